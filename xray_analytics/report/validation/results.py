"""The results of the validation report: what the statistics say of a product, before it is shown anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ...analysis import backtest, portfolio, validation
from ...analysis.portfolio import migration
from ...analysis.validation.policy import Policy, parsed_policy, shipped_policy
from ...analysis.validation.statistic import Statistic
from ...errors import InputError
from ..edition import Edition
from ..snapshot import all_synthetic
from . import cohorts as parts
from . import verdicts
from .cohorts import Cohorts, ValidationTerms
from .details import Details, details, or_none, or_why
from .verdicts import Answers, Verdict

if TYPE_CHECKING:
    from ...store.snapshot import Snapshot

READ = ("companies", "loans", "exposures")


@dataclass(frozen=True, eq=False)
class Validation:
    """What the statistics say of a product, before it is shown anywhere."""

    edition: Edition
    policy: Policy
    terms: ValidationTerms
    cohorts: Cohorts
    rate: Statistic
    answers: Answers
    ranking: dict[str, Statistic | str]
    roc: pd.DataFrame | None
    cap: pd.DataFrame | None
    classes: pd.DataFrame
    periods: pd.DataFrame
    segments: dict[str, pd.DataFrame]
    mix: pd.DataFrame
    matrix: pd.DataFrame
    mobility: pd.DataFrame
    exclusions: pd.DataFrame
    exposure: pd.DataFrame | None
    details: Details
    vintages: pd.DataFrame | None

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """One per question."""
        return verdicts.verdicts(self.answers, self.classes, self.cohorts, self.terms, self.policy)

    @property
    def verdict_table(self) -> pd.DataFrame:
        """The verdicts as a frame."""
        return verdicts.as_frame(self.verdicts)

    @property
    def too_few(self) -> str:
        """Why nothing is judged; empty where the sample is large enough."""
        return verdicts.too_few(self.cohorts, self.policy)

    @property
    def no_probability(self) -> str:
        """Why no probabilities are tested; empty where they are."""
        return verdicts.no_probability(self.terms, self.policy)


def read_policy(path: str | Path | None) -> Policy:
    """The policy of a TOML file, or the one shipped.

    Raises
    ------
    InputError
        The file cannot be read, or is no complete policy.
    """
    if path is None:
        return shipped_policy()
    try:
        return parsed_policy(Path(path).read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the policy {path} cannot be read: {error}") from None


def analyse(  # noqa: PLR0913 - what is judged, by what, and what the reader is told
    snapshot: Snapshot, *, product: str, outcomes: pd.DataFrame | None = None, horizon_months: int = 12,
    known_until: str | None = None, clock: str = "available", policy: Policy | None = None, command: str | None = None,
) -> Validation:  # fmt: skip
    """The statistics of the validation report.

    Parameters
    ----------
    snapshot
        The store; every version of its reports is looked at, each from when it was known.
    product
        ``"bank"`` (the class ranks; there is no probability) or ``"financial"``.
    outcomes
        The table `outcomes`; those attached to the store by default.
    horizon_months
        A default counts from the day after an observation to so many months after it.
    known_until
        Day up to which outcomes are known; the newest day on which a company was watched by default.
    clock
        ``"available"`` (known to the service) or ``"fetched"`` (known here).
    policy
        Thresholds; the shipped ones by default.
    command
        The command that makes this report again, for the footer.

    Raises
    ------
    InputError
        There are no outcomes, no reports of the product, or nobody was observed over a whole horizon.
    """
    tables = {name: snapshot.read(name) for name in READ} | {"reports": snapshot.history("reports")}
    tables["outcomes"] = snapshot.history("outcomes") if outcomes is None else outcomes
    until = _known_until(tables["outcomes"], known_until)
    title = f"Validation of {product.capitalize()} X-Ray"
    edition = Edition(f"{until:%Y-%m-%d}", snapshot.commit, title, command, all_synthetic(snapshot))
    return analysed(tables, edition, ValidationTerms(product, horizon_months, until, clock), policy or shipped_policy())


def analysed(
    tables: Mapping[str, pd.DataFrame], edition: Edition, terms: ValidationTerms, policy: Policy
) -> Validation:
    """The statistics of these tables: a pure function."""
    if terms.product not in parts.SCORES:
        raise InputError(f"product is {terms.product!r}; {' and '.join(parts.SCORES)} can be validated")
    found = parts.cohorts(tables, terms, policy)
    n, bad = len(found.sample), found.n_defaults
    ends = migration.endings(outcomes=tables["outcomes"], loans=tables["loans"] if len(tables["loans"]) else None)
    moved: dict[str, Any] = {"product": terms.product, "as_of": edition.as_of, "horizon_months": terms.horizon_months}
    matrix = or_none(
        lambda: migration.migration_matrix(
            tables["reports"],
            endings=ends,
            exposures=tables["exposures"] if len(tables["exposures"]) else None,
            **moved,
        )
    )  # amounts in several currencies have no shares
    if matrix is None:
        matrix = migration.migration_matrix(tables["reports"], endings=ends, **moved)
    day = found.observed[found.observed["as_of_date"] == found.date]
    return Validation(
        edition=edition, policy=policy, terms=terms, cohorts=found,
        rate=validation.default_rate_interval(
            n, bad, confidence=policy.confidence, correlation=policy.asset_correlation
        ),
        answers=verdicts.answers(found, tables["reports"], terms, policy),
        ranking=_ranking(found, terms, policy),
        roc=or_none(lambda: validation.roc_curve(found.sample, score=terms.score)),
        cap=or_none(lambda: validation.cap_curve(found.sample, score=terms.score)),
        classes=_classes(found, terms, policy),
        periods=parts.by_period(found, terms, policy),
        segments=parts.by_segment(found, terms, policy),
        mix=parts.class_mix(found),
        matrix=matrix, mobility=migration.mobility(matrix),
        details=details(found, matrix, terms, policy),
        exclusions=backtest.default_rates(day),
        exposure=or_none(lambda: portfolio.concentration(tables["exposures"], as_of=edition.as_of))
        if len(tables["exposures"]) else None,
        vintages=or_none(
            lambda: validation.vintage_curves(tables["loans"], tables["outcomes"], known_until=edition.as_of)
        ),
    )  # fmt: skip


def _ranking(found: Cohorts, terms: ValidationTerms, policy: Policy) -> dict[str, Statistic | str]:
    """The ranking of the cohort; with a probability also whether that ranks better than the class."""
    sample, level = found.sample, policy.confidence
    named = "probability" if terms.product == "financial" else "class"
    tests: dict[str, Callable[[], Statistic]] = {
        f"AUC of the {named}": lambda: validation.auc(sample, score=terms.score, confidence=level),
        "Somers' D (accuracy ratio)": lambda: validation.somers_d(sample, score=terms.score, confidence=level),
        "KS": lambda: validation.ks(sample, score=terms.score),
    }
    if terms.product == "financial":
        tests["AUC of the class"] = lambda: validation.auc(sample, score="risk_class", confidence=level)
        tests["Probability less class"] = lambda: validation.auc_difference(
            sample, score="default_probability", other="risk_class", confidence=level
        )
    return {name: or_why(test) for name, test in tests.items()}


def _classes(found: Cohorts, terms: ValidationTerms, policy: Policy) -> pd.DataFrame:
    """Default rates by class; where probabilities are tested, with their means and verdicts."""
    table = validation.default_rate_table(found.sample, confidence=policy.confidence)
    if not parts.judges_probabilities(terms, policy) or found.sample["default_probability"].isna().all():
        return table
    said = validation.calibration_table(
        found.sample,
        horizon_months=terms.horizon_months,
        confidence=policy.confidence,
        level=verdicts.one_sided(policy),
        min_n=policy.min_class_companies,
        correlation=policy.asset_correlation,
    )
    if not policy.judge_too_high:
        said["verdict"] = said["verdict"].replace("overestimated", "not_rejected")
    if verdicts.too_few(found, policy):
        said["verdict"] = verdicts.NO_VERDICT
    merged = said.merge(table[["risk_class", "p_value_inversion"]], on="risk_class", how="left")
    merged.attrs = {"base": said.attrs["base"] | {"as_of": f"{found.date:%Y-%m-%d}"}}
    return merged


def _known_until(outcomes: pd.DataFrame, given: str | None) -> pd.Timestamp:
    if outcomes.empty:
        raise InputError("there are no outcomes: give --outcomes FILE, or attach them first (xray attach)")
    if given is None:
        newest = outcomes["observed_until"].max()
        if pd.isna(newest):
            raise InputError("the outcomes do not say until when companies were watched (observed_until); give --as-of")
        return pd.Timestamp(newest)
    try:
        return pd.Timestamp(pd.Timestamp(given).date())
    except ValueError:
        raise InputError(f"the day outcomes are known until is {given!r}; give a day such as 2025-06-30") from None
