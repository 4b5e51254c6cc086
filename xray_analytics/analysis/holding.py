"""Which rows of the lender's tables hold, and how they read on a day: what every analysis does before it counts them.

A correction replaces: of each subject (`tables.SUBJECTS`) the rows recorded last hold, all of them, and a withdrawal
holds by hiding what it names. What happens after the day is not there yet. A snapshot of the store reads by the same
rule (`store.holding`), and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import pandas as pd

from ..schema import Table
from ..tables import BEGINS, HAPPENS, OUTCOMES, SUBJECTS
from . import frames
from .frames import AsOf, Frame

_FIRST = pd.Timestamp("1678-01-01")  # before everything recorded


def read(frame: Frame, table: Table, columns: Iterable[str]) -> pd.DataFrame:
    """These columns of the rows that hold, in pandas, and `recorded_at` where the frame has it.

    Raises
    ------
    InputError
        As `frames.scan`.
    """
    told = ("recorded_at", "is_withdrawn", *SUBJECTS[table.name])
    found = frames.lazy(frame, table, ()).columns
    rows = frames.collect(frames.scan(frame, table, [*columns, *(name for name in told if name in found)]), table)
    return holding(rows, table)


def holding(rows: pd.DataFrame, table: Table, *, as_of: AsOf | None = None, clock: str = "available") -> pd.DataFrame:
    """The rows that hold, everything known or as of a day.

    Parameters
    ----------
    rows
        Of one of the lender's tables, as `frames.collect` gives them. Without `recorded_at` every row holds; one
        without a time was there before all others.
    as_of, clock
        The day, which counts to its end, or an instant. On ``"fetched"`` rows recorded later are not there. On
        ``"available"`` outcomes are the newest whenever recorded, since labels are corrected; of the other tables what
        was recorded by then, and of a subject that was recorded later the first word (`recorded_later` counts them).

    Returns
    -------
    DataFrame
        The rows on their own index. Of outcomes, a row without a default beside one with is left out.

    Examples
    --------
    A default that was attached by mistake, and corrected:

    >>> outcomes = pd.DataFrame({
    ...     "company_id": ["732829320"] * 2, "default_date": pd.to_datetime(["2025-02-15", None]),
    ...     "recorded_at": pd.to_datetime(["2025-03-01", "2025-04-01"]),
    ... })
    >>> holding(outcomes, OUTCOMES)["default_date"].tolist()
    [NaT]
    >>> holding(outcomes, OUTCOMES, as_of="2025-03-15", clock="fetched")["default_date"].astype(str).tolist()
    ['2025-02-15']
    """
    moment = None if as_of is None else pd.Timestamp(frames.instant(as_of)).tz_localize(None)
    found = _last_spoken(rows, table, moment, clock) if "recorded_at" in rows else rows
    if "is_withdrawn" in found:
        found = found[~found["is_withdrawn"].astype("boolean").fillna(False).astype(bool)]
    if moment is not None:
        found = as_it_reads(found, table, moment.normalize())
    return _without_the_void(found) if table is OUTCOMES else found


def by_then_or_first(rows: pd.DataFrame, table: Table, moment: pd.Timestamp) -> pd.DataFrame:
    """Every recording up to a moment (UTC, without zone); of a subject that was recorded later the first."""
    at = rows["recorded_at"].astype("datetime64[us]").fillna(_FIRST)
    return rows[(at <= moment) | (at == _of_subject(at, rows, table, "min"))]


def recorded_later(rows: pd.DataFrame, as_of: AsOf) -> pd.Series[bool]:
    """Which rows were recorded after a day or an instant: what they say was not known here by then."""
    moment = pd.Timestamp(frames.instant(as_of)).tz_localize(None)
    return rows["recorded_at"] > moment if "recorded_at" in rows else pd.Series(False, rows.index)


def as_it_reads(rows: pd.DataFrame, table: Table, day: pd.Timestamp) -> pd.DataFrame:
    """The rows as they read at the end of a day: those begun, what happens later null, and watching cut."""
    for name in (name for name in BEGINS[table.name] if name in rows):
        rows = rows[rows[name].isna() | (rows[name] <= day)]
    later = {name: rows[name] > day for name in HAPPENS[table.name] if name in rows}
    shown = rows.copy()
    for name, is_later in later.items():
        for column in (name, *HAPPENS[table.name][name]):
            if column in shown:
                shown[column] = shown[column].mask(is_later)
    if "observed_until" in shown:
        shown["observed_until"] = shown["observed_until"].mask(shown["observed_until"] > day, day)
    return shown


def _last_spoken(rows: pd.DataFrame, table: Table, moment: pd.Timestamp | None, clock: str) -> pd.DataFrame:
    """Of each subject the rows recorded last: by the moment, on the clock available else the first, or the last."""
    at = rows["recorded_at"].astype("datetime64[us]").fillna(_FIRST)
    if moment is not None and clock == "fetched":
        rows, at = rows[at <= moment], at[at <= moment]
    last = _of_subject(at, rows, table, "max")
    if moment is not None and clock == "available" and table is not OUTCOMES:
        by_then = _of_subject(at.where(at <= moment), rows, table, "max")
        last = by_then.fillna(_of_subject(at, rows, table, "min"))
    return rows[at == last]


def _of_subject(at: pd.Series[Any], rows: pd.DataFrame, table: Table, which: Literal["min", "max"]) -> pd.Series[Any]:
    """The first or the last time of each row's subject."""
    subject = [rows[name] for name in SUBJECTS[table.name] if name in rows]
    found: pd.Series[Any] = at.groupby(subject, dropna=False).transform(which)
    return found


def _without_the_void(outcomes: pd.DataFrame) -> pd.DataFrame:
    """A row without a default says nothing beside one with."""
    seen = outcomes["default_date"].notna()
    defaulted = outcomes["company_id"].isin(outcomes.loc[seen, "company_id"].unique())
    return outcomes[seen | ~defaulted]
