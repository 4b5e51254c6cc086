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
from .cohorts import Cohorts, ValidationTerms, intake, judges_probabilities, same_companies

NO_VERDICT = "no verdict"


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
        is_count = self.figure in ("reversals", "classes too low")
        form = ".2%" if self.figure == "default rate" else ".3f"
        between = "" if self.low is None or self.high is None else f" ({self.low:{form}} to {self.high:{form}})"
        return f"{self.value:.0f} {self.figure}" if is_count else f"{self.figure} {self.value:{form}}{between}"


@dataclass(frozen=True)
class Answers:
    """The statistics behind the verdicts; a sentence where one cannot be computed."""

    ranking: Statistic | str
    overall: Statistic | str
    correlated: Statistic | str
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
    forecasts = {
        "Spiegelhalter": lambda: validation.spiegelhalter(sample, horizon_months=months),
        "Hosmer-Lemeshow": lambda: validation.hosmer_lemeshow(sample, fitted=False, horizon_months=months),
        "Brier": lambda: validation.brier(sample, confidence=policy.confidence, horizon_months=months),
    }
    return Answers(
        ranking=_tried(
            lambda: validation.auc_drop(
                sample, score=terms.score, reference=policy.auc_reference, confidence=policy.confidence
            )
        ),
        overall=on_probabilities(lambda: validation.jeffreys(n, bad, mean, confidence=policy.confidence)),
        correlated=on_probabilities(lambda: validation.binomial(n, bad, mean, correlation=policy.asset_correlation)),
        forecasts={name: on_probabilities(test) for name, test in forecasts.items()},
        intake=_intake(reports, found, terms, policy),
        drift=_drift(found, terms),
    )


def verdicts(
    made: Answers, classes: pd.DataFrame, found: Cohorts, terms: ValidationTerms, policy: Policy
) -> list[Verdict]:
    """One per question; none is given on a sample that the policy calls too small."""
    few = too_few(found, policy)
    rows = [_ranking(made.ranking, policy, few)]
    if terms.product == "financial":
        rows += [_overall(made, policy, few), _by_class(classes, policy, few, no_probability(terms, policy))]
    rows.append(_order(classes, policy, few))
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


def _ranking(drop: Statistic | str, policy: Policy, few: str) -> Verdict:
    question = "Does it rank the risk?"
    if isinstance(drop, str):
        return _open(question, "AUC", drop)
    low, high = (None if b is None else policy.auc_reference - b for b in (drop.high, drop.low))
    fell = drop.p_value is not None and drop.p_value <= policy.level
    verdict = "below the reference" if fell else "not below the reference"
    seen = "" if drop.detectable is None else f"a drop of {drop.detectable:.3f}"
    verdict = verdict if drop.p_value is not None else NO_VERDICT
    said = _said(verdict, few, f"against the reference {policy.auc_reference:.3g} of the policy")
    area = drop.parts["AUC"]
    return Verdict(question, "AUC", area, low, high, drop.p_value, drop.n, drop.n_defaults, seen, *said)


def _overall(made: Answers, policy: Policy, few: str) -> Verdict:
    question, test = "Are the probabilities high enough?", made.overall
    if isinstance(test, str):
        return _open(question, "default rate", test)
    also = ""
    if isinstance(made.correlated, Statistic) and policy.asset_correlation:
        also = (
            f"; with an asset correlation of {policy.asset_correlation:g} the p-value is {made.correlated.p_value:.3f}"
        )
    verdict = "too low" if (test.p_value or 0) <= policy.level and test.n_defaults else "not rejected"
    mean, seen = test.null.removeprefix("at most "), _factor(test.detectable)
    said = _said(verdict, few, f"mean probability {mean}, over {policy.pd_horizon_months} months as declared{also}")
    figures = (test.value, test.low, test.high, test.p_value, test.n, test.n_defaults)
    return Verdict(question, "default rate", *figures, seen, *said)


def _by_class(classes: pd.DataFrame, policy: Policy, few: str, unfit: str) -> Verdict:
    question = "In every class?"
    if unfit or "verdict" not in classes:
        return _open(question, "classes too low", unfit or "there is no probability")
    low = classes[classes["verdict"] == "underestimated"]
    tested = classes["verdict"].isin(["underestimated", "not_rejected"])
    named = ", ".join(class_label(None if pd.isna(c) else int(c)) for c in low["risk_class"])
    factors = classes.loc[tested, "detectable_factor"]
    seen = factors.dropna()
    reach = f"rate {seen.min():.2f} to {seen.max():.2f} times the probability, by class" if len(seen) else ""
    smallest = classes.loc[tested, "p_value_holm"].min()
    p_value = None if pd.isna(smallest) else float(smallest)
    n, bad = int(classes["n"].sum()), int(classes["n_defaults"].sum())
    compared = f"{int(tested.sum())} of {len(classes)} classes tested, Holm-adjusted at {policy.level:g}"
    said = _said(f"too low: {named}" if len(low) else "not rejected", few, compared)
    return Verdict(question, "classes too low", float(len(low)), None, None, p_value, n, bad, reach, *said)


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
