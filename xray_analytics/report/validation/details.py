"""What stands behind the chapters: grades, levels over the years, moves by cell, and the repair that is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from ...analysis import validation
from ...analysis.portfolio import migration
from ...analysis.validation.policy import Policy
from ...analysis.validation.statistic import Statistic
from ...errors import InputError
from ...tables import RISK_CLASSES
from .cohorts import SEGMENTS, Cohorts, ValidationTerms, judges_probabilities, usable

YEARS = 5
_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Details:
    """Statistics beside the verdicts; a sentence, or null, where one cannot be computed."""

    levels: dict[str, Statistic | str]  # over all cohorts
    concentration: Statistic | str
    grades: pd.DataFrame | None
    mixed: dict[str, pd.DataFrame]
    cells: pd.DataFrame
    structure: pd.DataFrame | None
    repair: Statistic | str
    cycle: pd.DataFrame | None


def details(found: Cohorts, matrix: pd.DataFrame, terms: ValidationTerms, policy: Policy) -> Details:
    """All of it, from the observations of every cohort and the migration matrix."""
    used = usable(found.observed)
    months, sample = terms.horizon_months, found.sample
    history = {
        "Long-run default rate": lambda: validation.default_rate_long_run(
            used, horizon_months=months, confidence=policy.confidence
        ),
        "Correlation of assets": lambda: validation.default_correlation(
            used, horizon_months=months, confidence=policy.confidence
        ),
    }
    return Details(
        levels={name: or_why(make) for name, make in history.items()},
        concentration=or_why(lambda: validation.grade_concentration(*_mixes(found))),
        grades=or_none(lambda: validation.heterogeneity(sample, level=policy.level)),
        mixed=_mixed(sample, policy),
        cells=migration.cell_tests(matrix),
        structure=or_none(lambda: migration.term_structure(matrix, years=YEARS, confidence=policy.confidence)),
        repair=_repair(sample, terms, policy),
        cycle=_cycle(used) if judges_probabilities(terms, policy) else None,
    )


def _mixes(found: Cohorts) -> tuple[pd.Series[int], pd.Series[int]]:
    """Companies by class on the first date, and on the last."""
    rated = found.observed[found.observed["excluded_because"].isna()]
    days = sorted(rated["as_of_date"].unique())
    first, last = (
        rated.loc[rated["as_of_date"] == day, "risk_class"].value_counts().reindex(list(RISK_CLASSES), fill_value=0)
        for day in (days[0], days[-1])
    )
    return first, last


def _mixed(sample: pd.DataFrame, policy: Policy) -> dict[str, pd.DataFrame]:
    """Parts of a class that default otherwise than the rest, by each kind of segment that has large ones."""
    tables = {}
    for kind in SEGMENTS:
        known = sample[sample[kind].notna()]
        large = known[known.groupby(kind)[kind].transform("size") >= policy.min_segment_companies]
        table = or_none(lambda kind=kind, large=large: validation.homogeneity(large, within=kind, level=policy.level))  # type: ignore[misc]
        if table is not None:
            tables[kind] = table
    return tables


def _repair(sample: pd.DataFrame, terms: ValidationTerms, policy: Policy) -> Statistic | str:
    if not judges_probabilities(terms, policy):
        return "there are no probabilities over the declared horizon"
    return or_why(
        lambda: _shift(
            validation.recalibration(sample, horizon_months=terms.horizon_months, confidence=policy.confidence)
        )
    )


def _shift(made: validation.Recalibration) -> Statistic:
    if made.shift is None:
        raise InputError("there is no shift")
    return made.shift


def _cycle(used: pd.DataFrame) -> pd.DataFrame:
    """Point in time against through the cycle: what each cohort was told, what came, and the mean of all cohorts."""
    table = used.groupby("as_of_date").agg(
        n=("defaulted", "size"), n_defaults=("defaulted", "sum"), mean_probability=("default_probability", "mean"),
        default_rate_ratio=("defaulted", "mean"),
    ).reset_index()  # fmt: skip
    table["long_run_ratio"] = table["default_rate_ratio"].mean()
    table["told_less_long_run_ratio"] = table["mean_probability"] - table["long_run_ratio"]
    return table


def or_none(make: Callable[[], _Found]) -> _Found | None:
    """What can be made of these data; what cannot is not shown."""
    try:
        return make()
    except InputError:
        return None


def or_why(make: Callable[[], Statistic]) -> Statistic | str:
    """The statistic, or why there is none."""
    try:
        return make()
    except InputError as error:
        return str(error)
