"""What was known on a day? Frames that hold every version, cut to what one could see then on the chosen clock.

The same rule as a snapshot of the store, for frames: of each report the newest version whose clock is not later than
the end of the day, and of every other table the rows of these versions. Features that are computed from nothing else
cannot look ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import narwhals.stable.v2 as nw
import pandas as pd
from narwhals.exceptions import NarwhalsError

from ...errors import InputError
from ...schema import Table
from ...tables import COMPANIES, EXPOSURES, REPORT_TABLES, REPORTS, table
from .. import frames, holding
from ..frames import AsOf, Frame
from ..guards import is_number

Clock = Literal["available", "fetched"]
CLOCKS = {"available": "available_at", "fetched": "fetched_at"}
_KEYS = ["report_id", "report_version"]
_LENDER = {COMPANIES.name: ("company_id",), EXPOSURES.name: ("company_id", "exposure_date", "currency")}


def known_by(
    tables: Mapping[str, Frame], as_of: AsOf, *, clock: Clock = "available", availability_lag_hours: float = 48
) -> dict[str, pd.DataFrame]:
    """The rows of these tables that were known by a day, in pandas.

    Parameters
    ----------
    tables
        Table name -> frame with all versions, as `Snapshot.history` reads them: ``reports``, any table with rows per
        report, and of the lender's ``companies`` and ``exposures`` (each row from its `valid_from` on).
    as_of
        The day, which counts to its end (UTC), or an instant.
    clock
        ``"available"``: a report counts from its `available_at`. ``"fetched"``: rows count from when they were here
        (`fetched_at`, `recorded_at`).
    availability_lag_hours
        On the clock ``"available"`` a report counts so much later: the service needs up to 48 hours (documented).

    Returns
    -------
    dict of DataFrame
        The same names, with the columns given, sorted by their keys as far as these are there.

    Raises
    ------
    InputError
        `reports` is absent, a table is not read as of a day (`loans` and `outcomes` tell what became of
        companies, of which no feature is made), a column is absent or of the wrong type, or the clock is unknown.

    Examples
    --------
    >>> at = pd.to_datetime(["2025-01-10", "2025-03-20"], utc=True)
    >>> versions = {"report_id": "a", "report_version": [1, 2], "available_at": at, "bank_score": [0.2, 0.9]}
    >>> reports = pd.DataFrame(versions)
    >>> known_by({"reports": reports}, "2025-02-28")["reports"]["bank_score"].tolist()
    [0.2]
    """
    seen = cut(read(tables), as_of, clock=clock, availability_lag_hours=availability_lag_hours)
    return {name: zoned(rows, table(name)) for name, rows in seen.items()}


def read(tables: Mapping[str, Frame]) -> dict[str, pd.DataFrame]:
    """The tables in pandas, checked: what `cut` takes again and again."""
    if REPORTS.name not in tables:
        raise InputError("what was known follows from the table reports; give it with all versions")
    declared = [table(name) for name in tables]
    refused = [t.name for t in declared if t not in REPORT_TABLES and t.name not in _LENDER]
    if refused:
        raise InputError(f"when rows of {', '.join(refused)} were known cannot be told; features cannot use them")
    found = {}
    for t in declared:
        needed = _LENDER.get(t.name, _KEYS)
        names = dict.fromkeys([*needed, *columns(tables[t.name], t)])
        found[t.name] = frames.collect(frames.scan(tables[t.name], t, names), t)
    return found


def cut(
    tables: Mapping[str, pd.DataFrame],
    as_of: AsOf,
    *,
    clock: Clock,
    availability_lag_hours: float,
    every_version: bool = False,
) -> dict[str, pd.DataFrame]:
    """As `known_by`, of frames that `read` made; every version known by then, or only the newest."""
    moment = pd.Timestamp(frames.instant(as_of)).tz_localize(None)
    reports = tables[REPORTS.name].assign(known_at=known_at(tables[REPORTS.name], clock, availability_lag_hours))
    seen = reports[reports["known_at"] <= moment] if every_version else newest_version(reports, moment)
    versions = seen[_KEYS].drop_duplicates()
    found = {}
    for name, rows in tables.items():
        if name == REPORTS.name:
            kept = seen.drop(columns="known_at")
        elif name in _LENDER:
            kept = lender_rows(rows, table(name), moment, clock, every_version)
        else:
            kept = rows.merge(versions, on=_KEYS)
        found[name] = kept.sort_values([key for key in table(name).key if key in kept], ignore_index=True)
    return found


def zoned(rows: pd.DataFrame, declared: Table) -> pd.DataFrame:
    """With the time zone that instants have in tables."""
    instants = [c.name for c in declared.columns if c.kind == "instant" and c.name in rows]
    return rows.assign(**{name: rows[name].dt.tz_localize("UTC") for name in instants})


def newest_version(versions: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """Of each report the newest version with `known_at` by the moment."""
    seen = versions[versions["known_at"] <= moment]
    return seen.sort_values(["report_version", "known_at"], kind="stable").drop_duplicates("report_id", keep="last")


def known_at(reports: pd.DataFrame, clock: Clock, availability_lag_hours: float) -> pd.Series[pd.Timestamp]:
    """When each row of reports was known on that clock, with the lag (UTC, without zone)."""
    if clock not in CLOCKS:
        raise InputError(f"no clock {clock!r}; there are {' and '.join(CLOCKS)}")
    if not is_number(availability_lag_hours, 0):
        raise InputError(f"availability_lag_hours is {availability_lag_hours}; give zero or more")
    if CLOCKS[clock] not in reports:
        raise InputError(f"the frame of reports lacks {CLOCKS[clock]}; read this column first")
    lag = pd.Timedelta(hours=availability_lag_hours if clock == "available" else 0)
    moments: pd.Series[pd.Timestamp] = reports[CLOCKS[clock]] + lag
    return moments


def columns(frame: Frame, table: Table, wanted: Iterable[str] | None = None) -> list[str]:
    """The columns of the table, or those wanted of them, that the frame has."""
    try:
        found = nw.from_native(frame).lazy().collect_schema()
    except (TypeError, ValueError, NarwhalsError) as error:
        raise InputError(f"{table.name}: expected a frame with named columns, found {type(frame).__name__}") from error
    return [name for name in (wanted or table.names) if name in found]


def lender_rows(
    rows: pd.DataFrame, declared: Table, moment: pd.Timestamp, clock: Clock, every_version: bool = False
) -> pd.DataFrame:
    """The rows that hold as of a moment, or all; one without `valid_from` was true from the beginning."""
    wanted = ["valid_from", *(["recorded_at"] if clock == "fetched" else [])]
    absent = [name for name in wanted if name not in rows]
    if absent:
        raise InputError(f"the frame of {declared.name} lacks {', '.join(absent)}; read these columns first")
    if every_version:
        if clock == "fetched":
            rows = rows[rows["recorded_at"] <= moment]
        elif "recorded_at" in rows:
            rows = holding.by_then_or_first(rows, declared, moment)
        return holding.as_it_reads(rows, declared, moment.normalize())
    held = holding.holding(rows, declared, as_of=moment.to_pydatetime(), clock=clock)
    ordered = held.sort_values("valid_from", na_position="first", kind="stable")
    return ordered.drop_duplicates(list(_LENDER[declared.name]), keep="last")
