"""Who moved between risk classes, and how far?

Time is cut into windows of one horizon, counted back from `as_of`. The class of a company in a window is that of its
newest report made in it; a cohort is everyone seen in one window, followed to the end of the next. Nothing is carried
forward: who has no newer report by then is *not refreshed*, which says nothing about its risk. Carrying the old class
on would fill the diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY, REPORTS, RISK_CLASSES
from .. import frames
from ..days import months_later
from ..frames import AsOf, Frame
from ..guards import Classes, is_whole, on_scale, scale
from .concentration import drawn_on
from .counting import By, Level, at_level, columns_of, newest, with_companies
from .default_spells import ENDED, ENDINGS, endings
from .duration import SPELLS, generator_matrix
from .mobility import NO_CLASS, cell_tests, mobility
from .term_structure import multi_year_matrix, term_structure

__all__ = [
    "ENDINGS", "SPELLS", "STATES", "TRANSITIONS", "cell_tests", "endings", "generator_matrix", "migration_matrix",
    "mobility", "multi_year_matrix", "term_structure", "transition_table",
]  # fmt: skip
__dir__ = __all__.copy

STATES = (*map(str, RISK_CLASSES), *NO_CLASS)
TRANSITIONS = Table(
    "transitions",
    "One row per company and cohort, the result of transition_table.",
    (
        COMPANY_KEY,
        Column("cohort_date", "date", "Day on which the company was in its from-class.", required=True),
        Column("horizon_date", "date", "Day on which its state was looked up.", required=True),
        Column("from_class", "int", "1 very good … 5 very bad; null is unrated.", lo=1),
        Column("to_state", "text", "Class, unrated, not_refreshed, closed or defaulted.", required=True),
        Column("from_report_id", "id", "Report behind the from-class.", required=True),
        Column("to_report_id", "id", "Report behind the state; null where there is none."),
    ),
    ("company_id", "cohort_date"),
)


def transition_table(  # noqa: PLR0913 - the cohorts, what ended them, and what counts as one
    reports: Frame,
    *,
    product: str,
    as_of: AsOf,
    horizon_months: int = 12,
    endings: Frame | None = None,
    level: Level = "company",
    companies: Frame | None = None,
    classes: Classes = RISK_CLASSES,
) -> pd.DataFrame:
    """Each company of each cohort: its class, and what had become of it one horizon later.

    Only cohorts whose horizon has passed by `as_of` are there. They do not overlap: the horizons end on `as_of` and
    every `horizon_months` before it, and a report counts at most once as a start and once as an end. Both ends see
    what was available by then.

    Parameters
    ----------
    reports
        The table `reports`, of a snapshot not earlier than `as_of`.
    product
        ``"bank"`` or ``"financial"``.
    as_of
        The day on which the last horizon ends.
    horizon_months
        Length of a horizon [months].
    endings
        The result of `endings`; without it nobody is closed or defaulted, and many who are will be *not refreshed*.
    level, companies
        ``"group"``: connected companies count once, as their worst member; needs the table `companies`. Not with
        `endings`, which are of companies.
    classes
        The scale, from the best class, 1, to the worst.

    Returns
    -------
    DataFrame
        The columns of `TRANSITIONS`: `company_id`, `cohort_date`, `horizon_date`, `from_class` (null is unrated),
        `to_state` (of `STATES`: defaulted within the horizon, even if cured by its end; else closed at its end; else
        the class of the newest report made within it; else unrated; else not_refreshed), `from_report_id`,
        `to_report_id`. Sorted by cohort and company. ``attrs["base"]``: rows used; companies already defaulted or
        closed when their cohort starts, and those whose newest report then was older than a horizon (stale), are
        excluded and counted, once per cohort.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, another product, a class outside the scale, or a horizon below one
        month.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b", "c"], company_id=["732829320", "732829320", "356000000"],
    ...     created_at=["2024-03-01", "2025-03-01", "2024-05-01"], bank_risk_class=[2, 3, 1],
    ... )
    >>> table = transition_table(reports, product="bank", as_of="2025-12-31")
    >>> table[["company_id", "from_class", "to_state"]].values.tolist()
    [['356000000', 1, 'not_refreshed'], ['732829320', 2, '3']]
    """
    column, classes = frames.class_column(product), scale(classes)
    if not is_whole(horizon_months, 1):
        raise InputError(f"horizon_months is {horizon_months}; give at least one month")
    if level == "group" and endings is not None:
        raise InputError("level='group' and endings do not go together: closed and defaulted are said of companies")
    seen = frames.newest_reports(reports, product=product, as_of=as_of)
    spells = frames.typed(pd.DataFrame(), ENDINGS)
    if endings is not None:
        spells = frames.collect(frames.scan(endings, ENDINGS, ENDINGS.names), ENDINGS)
    edges = _edges(_first_day(reports, product), as_of, horizon_months)
    counted: dict[str, Any] = {"level": level, "companies": companies}
    windows = [_window(reports, product, *window, **counted) for window in pairwise(edges)]
    for window in windows:
        on_scale(window.newest["risk_class"].rename(column), classes)
    cohorts = [_cohort(before, after, spells) for before, after in pairwise(windows)]
    empty = frames.typed(pd.DataFrame(), TRANSITIONS)
    table = pd.concat([empty, *(part for part, _ in cohorts)]).sort_values(
        ["cohort_date", "company_id"], ignore_index=True
    )
    result = frames.typed(table, TRANSITIONS)
    reasons = ("stale", "already_defaulted", "already_closed")
    excluded = {reason: sum(counts[reason] for _, counts in cohorts) for reason in reasons}
    filters = {"product": product, "horizon_months": horizon_months, "endings": endings is not None, **at_level(level)}
    result.attrs["base"] = frames.base(len(result), seen, excluded=excluded, as_of=as_of, filters=filters)
    return result


def migration_matrix(  # noqa: PLR0913 - as transition_table
    reports: Frame,
    *,
    product: str,
    as_of: AsOf,
    horizon_months: int = 12,
    endings: Frame | None = None,
    by: By = None,
    level: Level = "company",
    companies: Frame | None = None,
    classes: Classes = RISK_CLASSES,
    exposures: Frame | None = None,
) -> pd.DataFrame:
    """How many companies of each class were in which state one horizon later, over all cohorts of `transition_table`.

    Parameters
    ----------
    reports, product, as_of, horizon_months, endings, level, classes
        As in `transition_table`.
    by
        Columns of `reports`, or of `companies`, to split by, as of the report behind the from-class; a missing value
        is a group of its own.
    companies
        The table `companies`, needed for its columns in `by` and for the groups.
    exposures
        The table `exposures`: shares by amount beside those by number; not with groups.

    Returns
    -------
    DataFrame
        `by…`, `from_class` (1 very good … 5 very bad, then null for unrated), `to_state` (1–5, unrated, not_refreshed,
        and with `endings` closed and defaulted; all present, in that order), `n` (companies, once per cohort),
        `share_ratio` (0–1, of the from-class; null where it is empty). With `exposures` also `drawn` (of companies
        whose amount is known: on the newest day up to that of their cohort) and `drawn_share_ratio` (0–1, of the
        from-class); tests of a matrix stay by number. The base is that of `transition_table`.

    Raises
    ------
    InputError
        As `transition_table`.

    Examples
    --------
    >>> from xray_analytics import tables
    >>> migration_matrix(tables.REPORTS.empty(), product="bank", as_of="2025-12-31")["n"].sum()
    np.int64(0)
    """
    groups = columns_of(by)
    moves = transition_table(
        reports, product=product, as_of=as_of, horizon_months=horizon_months, endings=endings, level=level,
        companies=companies, classes=classes,
    )  # fmt: skip
    if exposures is not None:
        if level == "group":
            raise InputError("level='group' and exposures do not go together: amounts are of companies")
        moves = moves.assign(drawn=_drawn(moves, exposures))
    counted: dict[str, Any] = {"with_endings": endings is not None, "classes": scale(classes)}
    base = moves.attrs["base"]
    if not groups:
        table = _counted(moves, groups, **counted)
    else:
        known = frames.newest_reports(with_companies(reports, companies, groups), groups, product=product, as_of=as_of)
        known = known.rename(columns={"report_id": "from_report_id"})[["from_report_id", *groups]]
        split = moves.merge(known, on="from_report_id", how="left")
        tables = [_counted(rows, groups, **counted) for _, rows in split.groupby(groups, dropna=False)]
        table = pd.concat(tables or [_counted(split, groups, **counted).head(0)], ignore_index=True)
        base = base | {"filters": base["filters"] | {"by": groups}}
    table.attrs["base"] = base
    return table


def _drawn(moves: pd.DataFrame, exposures: Frame) -> pd.Series[Any]:
    """The amount of each move on the newest day up to its cohort's; null where it is not known."""
    parts = [pd.Series(dtype="float64")]
    for day, rows in moves.groupby("cohort_date"):
        amounts = drawn_on(exposures, pd.Timestamp(str(day)).date()).amounts.set_index("company_id")["drawn"]
        parts.append(rows["company_id"].map(amounts).astype("float64"))
    found: pd.Series[Any] = pd.concat(parts)
    return found.reindex(moves.index)


def _counted(moves: pd.DataFrame, groups: list[str], *, with_endings: bool, classes: Classes) -> pd.DataFrame:
    """The matrix of some moves, with the columns of the group that they all share."""
    states = [*map(str, classes), *(state for state in NO_CLASS if with_endings or state not in ENDED)]
    origins = [*classes, 0]
    grid = pd.MultiIndex.from_product([origins, states], names=["from_class", "to_state"])
    counts = moves.assign(from_class=moves["from_class"].fillna(0)).groupby(["from_class", "to_state"]).size()
    table = counts.reindex(grid, fill_value=0).rename("n").reset_index()
    total = table.groupby("from_class")["n"].transform("sum")
    table["share_ratio"] = (table["n"] / total.where(total > 0)).astype("float64")
    if "drawn" in moves:
        amounts = (
            moves.assign(from_class=moves["from_class"].fillna(0)).groupby(["from_class", "to_state"])["drawn"].sum()
        )
        table["drawn"] = amounts.reindex(grid, fill_value=0.0).to_numpy("float64")
        sums = table.groupby("from_class")["drawn"].transform("sum")
        table["drawn_share_ratio"] = (table["drawn"] / sums.where(sums > 0)).astype("float64")
    table["from_class"] = table["from_class"].astype("Int64").mask(lambda origin: origin == 0)
    table = table.astype({"to_state": "string", "n": "int64"})
    for name in reversed(groups):
        value = moves[name].iloc[0] if len(moves) else None
        table.insert(0, name, pd.Series([value] * len(table), dtype=moves[name].dtype))
    return table


@dataclass(frozen=True)
class _Window:
    """The companies whose newest report by `end` was made after `start`, and the number of those whose was not."""

    start: pd.Timestamp
    end: pd.Timestamp
    newest: pd.DataFrame  # company_id, report_id, risk_class
    n_stale: int


def _first_day(reports: Frame, product: str) -> pd.Timestamp:
    """When the first report of the product was made, of any version; null where there is none."""
    rows = frames.scan(reports, REPORTS, ("product", "created_at", "available_at")).filter(nw.col("product") == product)
    made = frames.collect(rows.select(nw.coalesce("created_at", "available_at").alias("created_at")), REPORTS)
    return pd.Timestamp(made["created_at"].min())


def _edges(first: pd.Timestamp, as_of: AsOf, horizon_months: int) -> list[pd.Timestamp]:
    """The edges of the windows, oldest first; the first report is in the first window."""
    last = pd.Timestamp(frames.instant(as_of)).tz_localize(None)
    edges = [last]
    while edges[-1] >= first:
        edges.append(months_later(last, -horizon_months * len(edges)))
    return edges[::-1]


def _window(reports: Frame, product: str, start: pd.Timestamp, end: pd.Timestamp, **counted: Any) -> _Window:
    column = frames.class_column(product)
    found, _ = newest(reports, [column], product=product, as_of=end, **counted)
    fresh = found[found["created_at"] > start]
    table = fresh[["company_id", "report_id", column]].set_axis(["company_id", "report_id", "risk_class"], axis=1)
    return _Window(start, end, table, len(found) - len(fresh))


def _cohort(before: _Window, after: _Window, spells: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Everyone seen in one window with the state at the end of the next, and how many were left out for what."""
    company = before.newest["company_id"]
    gone = _ended(spells, before.end, before.end)
    in_default, is_closed = (company.isin(gone[state]) for state in ("defaulted", "closed"))
    start = before.newest[~in_default & ~is_closed]
    moves = start.merge(after.newest, on="company_id", how="left", suffixes=("_from", "_to"))
    state = (
        moves["risk_class_to"].astype("string").fillna("unrated").where(moves["report_id_to"].notna(), "not_refreshed")
    )
    for name, companies in _ended(spells, before.end, after.end).items():
        state = state.mask(moves["company_id"].isin(companies), name)
    names = {"risk_class_from": "from_class", "report_id_from": "from_report_id", "report_id_to": "to_report_id"}
    days = {"cohort_date": before.end.normalize(), "horizon_date": after.end.normalize()}
    counts = {
        "stale": before.n_stale,
        "already_defaulted": int(in_default.sum()),
        "already_closed": int((is_closed & ~in_default).sum()),
    }
    return moves.rename(columns=names).assign(to_state=state, **days), counts


def _ended(spells: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> dict[str, pd.Series[Any]]:
    """Companies closed at `end`, and those in default at `end` or since a day after `start`."""
    first, last = start.normalize(), end.normalize()
    current = (spells["from_date"] <= last) & ~(spells["until_date"] <= last)
    begun = (spells["from_date"] > first) & (spells["from_date"] <= last)
    is_default = spells["state"] == "defaulted"
    hit = {"closed": current & ~is_default, "defaulted": (current | begun) & is_default}
    return {state: spells.loc[rows, "company_id"] for state, rows in hit.items()}
