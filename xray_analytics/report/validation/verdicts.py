"""What a validation concludes: one row per question, with figure, interval, power, and a verdict or why none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from ...analysis import validation
from ...analysis.validation.policy import Policy
from ...analysis.validation.stability import StabilityIndex
from ...analysis.validation.statistic import Statistic
from ...charts import class_label
from ...errors import InputError
from .cohorts import NO_SUBJECT, Cohorts, ValidationTerms, intake, judges_probabilities, same_companies, usable

NO_VERDICT = "no verdict"
HOLDS = (
    "not below the reference", "not rejected", "no reversal shown", "within the policy", "not shifted", "not changed",
)  # fmt: skip
_EXPECTED = 5  # defaults in a group of Hosmer and Lemeshow


@dataclass(frozen=True)
class Verdict:
    """The answer to one question; `why` says what was compared, or why there is no verdict."""

    question: str
    figure: str
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int | None
    n_defaults: int | None
    detectable: str
    verdict: str
    why: str

    @property
    def shown(self) -> str:
        """The figure with its interval, as text."""
        if self.value is None:
            return "–"
        is_count = self.figure in ("reversals", "classes off")
        form = ".2%" if self.figure in ("default rate", "left out") else ".3f"
        between = "" if self.low is None or self.high is None else f" ({self.low:{form}} to {self.high:{form}})"
        return f"{self.value:.0f} {self.figure}" if is_count else f"{self.figure} {self.value:{form}}{between}"


@dataclass(frozen=True)
class Answers:
    """The statistics behind the verdicts; a sentence where one cannot be computed.

    ``reference`` compares the AUC with that of the policy or of the oldest cohort; ``overall`` is the test with the
    policy's correlation, ``independent`` the one without.
    """

    ranking: Statistic | str
    reference: Statistic | str
    overall: Statistic | str
    independent: Statistic | str
    forecasts: dict[str, Statistic | str]
    intake: StabilityIndex | str
    drift: Statistic | str


def answers(found: Cohorts, reports: pd.DataFrame, terms: ValidationTerms, policy: Policy) -> Answers:
    """Everything that is tested, on one row per company."""
    sample, months = found.sample, terms.horizon_months
    unfit = no_probability(terms, policy)

    def on_probabilities(test: Callable[[], Statistic]) -> Statistic | str:
        return unfit or _tried(test)

    known = sample[sample["default_probability"].notna()]
    n, bad = len(known), int(known["defaulted"].sum())
    mean = float(known["default_probability"].mean()) if n else 0.0
    groups = int(np.clip(n * mean // _EXPECTED, 3, 10))  # so that each expects enough for chi-squared
    forecasts = {
        "Spiegelhalter": lambda: validation.spiegelhalter(sample, horizon_months=months),
        "Hosmer-Lemeshow": lambda: validation.hosmer_lemeshow(
            sample, fitted=False, horizon_months=months, groups=groups
        ),
        "Brier": lambda: validation.brier(sample, confidence=policy.confidence, horizon_months=months),
    }
    return Answers(
        ranking=_tried(lambda: validation.auc(sample, score=terms.score, confidence=policy.confidence)),
        reference=_reference(found, terms, policy),
        overall=on_probabilities(
            lambda: validation.binomial(
                n,
                bad,
                mean,
                correlation=policy.asset_correlation,
                confidence=policy.confidence,
                level=one_sided(policy),
            )
        ),
        independent=on_probabilities(lambda: validation.jeffreys(n, bad, mean, confidence=policy.confidence)),
        forecasts={name: on_probabilities(test) for name, test in forecasts.items()},
        intake=_intake(reports, found, terms, policy),
        drift=_drift(found, terms),
    )


def verdicts(
    made: Answers, classes: pd.DataFrame, found: Cohorts, terms: ValidationTerms, policy: Policy
) -> list[Verdict]:
    """One per question; none is given on a sample that the policy calls too small."""
    few = too_few(found, policy)
    rows = [_ranking(made, policy, few)]
    if terms.product == "financial":
        rows += [
            _overall(made, policy, few),
            _fit(made, policy, few),
            _by_class(classes, policy, few, no_probability(terms, policy)),
        ]
    rows.append(_order(classes, policy, few))
    rows.append(_complete(found, policy, few))
    return [*rows, _shift(made.intake, policy, few), _changed(made.drift, policy, few)]


def too_few(found: Cohorts, policy: Policy) -> str:
    """Why nothing is judged on this sample; empty where it is large enough."""
    n, bad = len(found.sample), found.n_defaults
    if n >= policy.min_companies and bad >= policy.min_defaults:
        return ""
    return (
        f"{n:,} companies and {bad:,} defaults in the cohort of {found.date:%Y-%m-%d}: the policy judges none under "
        f"{policy.min_companies:,} companies and {policy.min_defaults:,} defaults, as it would be mostly chance"
    )


def as_frame(rows: list[Verdict]) -> pd.DataFrame:
    """The verdicts as a frame, in their order."""
    frame = pd.DataFrame([asdict(row) | {"shown": row.shown} for row in rows])
    return frame.astype(
        dict.fromkeys(("value", "low", "high", "p_value"), "float64") | {"n": "Int64", "n_defaults": "Int64"}
    )


def one_sided(policy: Policy) -> float:
    """The level of each direction: half of it where probabilities that are too high are a breach as well."""
    return policy.level / 2 if policy.judge_too_high else policy.level


def _reference(found: Cohorts, terms: ValidationTerms, policy: Policy) -> Statistic | str:
    """The AUC against that of the policy, or of the oldest cohort that has enough defaults: nobody else set one."""
    if policy.auc_reference is not None:
        known = policy.auc_reference
        return _tried(
            lambda: validation.auc_drop(found.sample, score=terms.score, reference=known, confidence=policy.confidence)
        )
    used = usable(found.observed)
    for day in found.earlier:
        earlier = used[used["as_of_date"] == day]
        bad = int(earlier["defaulted"].sum())
        if policy.min_defaults <= bad < len(earlier):
            return _tried(
                lambda earlier=earlier: validation.auc_unpaired(  # type: ignore[misc]
                    earlier, found.sample, score=terms.score, confidence=policy.confidence
                )
            )
    enough = f"no earlier cohort of {policy.min_defaults:,} defaults"
    return f"nothing to compare with: no auc_reference in the policy, {enough}"


def _ranking(made: Answers, policy: Policy, few: str) -> Verdict:
    question, area, test = "Does it rank the risk?", made.ranking, made.reference
    if isinstance(area, str):
        return _open(question, "AUC", area)
    figures = (area.value, area.low, area.high)
    if isinstance(test, str) or test.p_value is None:
        why = test if isinstance(test, str) else "; ".join(test.notes)
        return Verdict(question, "AUC", *figures, None, area.n, area.n_defaults, "", NO_VERDICT, why)
    if "reference" in test.parts:
        p_value, against = test.p_value, f"against the reference {test.parts['reference']:.3g} of the policy"
    else:
        p_value = test.p_value / 2 if test.value > 0 else 1 - test.p_value / 2
        against = f"against {test.parts['AUC']:.3f} of the oldest cohort with {policy.min_defaults:,} defaults"
    seen = "" if test.detectable is None else f"a drop of {test.detectable:.3f}"
    verdict = "below the reference" if p_value <= policy.level else "not below the reference"
    return Verdict(question, "AUC", *figures, p_value, area.n, area.n_defaults, seen, *_said(verdict, few, against))


def _overall(made: Answers, policy: Policy, few: str) -> Verdict:
    question, test, alone = "Are the probabilities high enough?", made.overall, made.independent
    if isinstance(test, str) or isinstance(alone, str):
        return _open(question, "default rate", test if isinstance(test, str) else str(alone))
    tails = [_tails(one) for one in (test, alone)]
    p_value, apart = (min(1.0, 2 * min(both)) if policy.judge_too_high else both[0] for both in tails)
    verdict = _direction(tails[0], test, policy)
    mean, seen = test.null.removeprefix("at most "), _factor(test.detectable)
    why = (
        f"mean probability {mean}, over {policy.pd_horizon_months} months as declared; with an asset correlation of "
        f"{policy.asset_correlation:g}, as is the interval; as if companies were independent: "
        f"{_direction(tails[1], test, policy)}, p-value {apart:.3g}"
    )
    figures = (test.value, test.low, test.high, p_value, test.n, test.n_defaults)
    return Verdict(question, "default rate", *figures, seen, *_said(verdict, few, why))


def _tails(test: Statistic) -> tuple[float, float]:
    """P-values of too low and of too high."""
    return test.p_value or 0.0, test.parts["p-value that it is not too high"]


def _direction(tails: tuple[float, float], test: Statistic, policy: Policy) -> str:
    if tails[0] <= one_sided(policy) and test.n_defaults:
        return "too low"
    return "too high" if policy.judge_too_high and tails[1] <= one_sided(policy) else "not rejected"


def _fit(made: Answers, policy: Policy, few: str) -> Verdict:
    """Both tests of all probabilities at once, adjusted for being two."""
    question, one = "Do they fit company by company?", made.forecasts["Spiegelhalter"]
    if isinstance(one, str):
        return _open(question, "Spiegelhalter z", one)
    other = made.forecasts["Hosmer-Lemeshow"]
    p_values = np.array([one.p_value, np.nan if isinstance(other, str) else other.p_value], np.float64)
    adjusted = validation.holm(p_values)
    verdict = "not rejected"
    if adjusted[0] <= policy.level:
        verdict = "too low" if one.value > 0 else "too high"
    elif adjusted[1] <= policy.level:
        verdict = "do not fit"
    beside = other if isinstance(other, str) else f"{other.value:.4g}, p-value {other.p_value:.3g}"
    why = f"with Hosmer-Lemeshow ({beside}), Holm-adjusted; for independent companies: a bad year alone fails it"
    least = float(np.nanmin(adjusted))
    figures = (one.value, None, None, least, one.n, one.n_defaults, _factor(one.detectable))
    return Verdict(question, "Spiegelhalter z", *figures, *_said(verdict, few, why))


def _by_class(classes: pd.DataFrame, policy: Policy, few: str, unfit: str) -> Verdict:
    question, figure = "In every class?", "classes off"
    if unfit or "verdict" not in classes:
        return _open(question, figure, unfit or "there is no probability")
    off = classes[classes["verdict"].isin(["underestimated", "overestimated"])]
    tested = classes["verdict"].isin(["underestimated", "overestimated", "not_rejected"])
    named = [
        f"{word}: {', '.join(class_label(None if pd.isna(c) else int(c)) for c in rows['risk_class'])}"
        for word, verdict in (("too low", "underestimated"), ("too high", "overestimated"))
        if len(rows := off[off["verdict"] == verdict])
    ]
    seen = classes.loc[tested, "detectable_factor"].dropna()
    reach = f"rate {seen.min():.2f} to {seen.max():.2f} times the probability, by class" if len(seen) else ""
    columns = ["p_value_holm", *(["p_value_over_holm"] if policy.judge_too_high else [])]
    adjusted = classes.loc[tested, columns].to_numpy(np.float64)
    p_value = min(1.0, float(np.nanmin(adjusted)) * len(columns)) if tested.any() else None
    n, bad = int(classes["n"].sum()), int(classes["n_defaults"].sum())
    compared = (
        f"{int(tested.sum())} of {len(classes)} classes tested, with an asset correlation of "
        f"{policy.asset_correlation:g}, Holm-adjusted at {policy.level:g}"
    )
    said = _said("; ".join(named) or "not rejected", few, compared)
    return Verdict(question, figure, float(len(off)), None, None, p_value, n, bad, reach, *said)


def _complete(found: Cohorts, policy: Policy, few: str) -> Verdict:
    """Who should be in the sample and is not: without a rating, with stale data, or without a known outcome."""
    day = found.observed[found.observed["as_of_date"] == found.date]
    subject = day[~day["excluded_because"].isin(NO_SUBJECT)]
    left_out = len(subject) - len(found.sample)
    share = left_out / len(subject)
    reasons = subject["excluded_because"].fillna("outcome unknown")[
        ~subject["company_id"].isin(found.sample["company_id"])
    ]
    named = ", ".join(f"{str(name).replace('_', ' ')} {n:,}" for name, n in reasons.value_counts().sort_index().items())
    why = f"the policy allows {policy.max_left_out_ratio:.0%} of {len(subject):,}" + (f"; {named}" if named else "")
    verdict = "too many left out" if share > policy.max_left_out_ratio else "within the policy"
    figures = (share, None, None, None, len(subject), None, "")
    return Verdict("Is everybody in the sample?", "left out", *figures, *_said(verdict, few, why))


def _order(classes: pd.DataFrame, policy: Policy, few: str) -> Verdict:
    question, rates = "Do worse classes default more?", classes[classes["risk_class"].notna()]
    if len(rates) < 2:
        return _open(question, "reversals", "fewer than two classes are there")
    n, bad = (rates[c].to_numpy(np.float64) for c in ("n", "n_defaults"))
    seen = int((np.diff(bad / n) < 0).sum())
    p_values = rates["p_value_inversion"].to_numpy(np.float64)[1:]
    adjusted = validation.holm(p_values)
    pairs = [
        f"{class_label(int(b))} below {class_label(int(a))}"
        for a, b, p in zip(rates["risk_class"][:-1], rates["risk_class"][1:], adjusted, strict=True)
        if p <= policy.level
    ]
    compared = f"neighbouring classes, Fisher's test, Holm-adjusted at {policy.level:g}"
    said = _said(f"reversed: {', '.join(pairs)}" if pairs else "no reversal shown", few, compared)
    figures = (float(seen), None, None, float(adjusted.min()), int(n.sum()), int(bad.sum()))
    return Verdict(question, "reversals", *figures, "", *said)


def _shift(index: StabilityIndex | str, policy: Policy, few: str) -> Verdict:
    question = "Are the newcomers like those before?"
    if isinstance(index, str):
        return _open(question, "PSI", index)
    chance = "" if index.benchmark is None else f"; by chance up to {index.benchmark:.3f} once in twenty"
    compared = f"{index.n_actual:,} first rated since, against {index.n_expected:,} before{chance}"
    said = _said("shifted" if (index.p_value or 0) <= policy.level else "not shifted", few, compared)
    return Verdict(question, "PSI", index.value, None, None, index.p_value, index.n_actual, None, "", *said)


def _changed(test: Statistic | str, policy: Policy, few: str) -> Verdict:
    question = "Did the classes of the same companies drift?"
    if isinstance(test, str):
        return _open(question, "Stuart-Maxwell", test)
    worse, better = (int(test.parts[f"to {way} classes"]) for way in ("later", "earlier"))
    compared = f"{worse:,} companies got worse, {better:,} better"
    said = _said("changed" if (test.p_value or 0) <= policy.level else "not changed", few, compared)
    return Verdict(question, "Stuart-Maxwell", test.value, None, None, test.p_value, test.n, None, "", *said)


def _intake(reports: pd.DataFrame, found: Cohorts, terms: ValidationTerms, policy: Policy) -> StabilityIndex | str:
    before, after = intake(reports, terms, found.date)
    fewest = min(int(before.sum()), int(after.sum()))
    if fewest < policy.min_segment_companies:
        return (
            f"first rated up to {found.date:%Y-%m-%d} were {int(before.sum()):,} companies, since then "
            f"{int(after.sum()):,}; {policy.min_segment_companies:,} on either side are needed"
        )
    names = [class_label(int(c)) for c in before.index]
    try:
        return validation.psi(before.set_axis(names), after.set_axis(names), floor=policy.psi_floor)
    except InputError as error:
        return str(error)


def _drift(found: Cohorts, terms: ValidationTerms) -> Statistic | str:
    table = same_companies(found, terms.known_until)
    if table is None:
        return f"no company is rated both on {found.date:%Y-%m-%d} and on {terms.known_until:%Y-%m-%d}"
    return _tried(lambda: validation.stuart_maxwell(table))


def no_probability(terms: ValidationTerms, policy: Policy) -> str:
    """Why no probabilities are tested; empty where they are."""
    if terms.product != "financial":
        return "bank classes have no probability of default"
    if judges_probabilities(terms, policy):
        return ""
    return (
        f"the policy declares probabilities over {policy.pd_horizon_months} months, the outcomes are seen over "
        f"{terms.horizon_months}"
    )


def _said(verdict: str, few: str, compared: str) -> tuple[str, str]:
    return NO_VERDICT if few else verdict, compared


def _open(question: str, figure: str, why: str) -> Verdict:
    return Verdict(question, figure, None, None, None, None, None, None, "", NO_VERDICT, why)


def _factor(factor: float | None) -> str:
    return "" if factor is None or pd.isna(factor) else f"rate {factor:.2f} times the probability"


def _tried(test: Callable[[], Statistic]) -> Statistic | str:
    try:
        return test()
    except InputError as error:
        return str(error)
