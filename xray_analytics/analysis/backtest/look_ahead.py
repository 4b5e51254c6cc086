"""Does a feature see the future? What came later is taken away, and nothing may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError, listed
from ...tables import table
from .. import frames
from ..frames import AsOf, Frame
from . import point_in_time
from .features import clock_of
from .point_in_time import Clock

FeatureFunction = Callable[[Mapping[str, pd.DataFrame], pd.DataFrame], pd.DataFrame]

_KEY = ["company_id", "as_of_date"]
_UNKNOWN_YET: dict[str, Any] = {  # what only the outcomes tell
    "defaulted": pd.NA, "default_date": pd.NaT, "is_mature": False, "is_censored": False, "excluded_because": pd.NA,
}  # fmt: skip
_MOST_DATES = 4
_RELATIVE = 1e-9


def check_no_look_ahead(  # noqa: PLR0913
    function: FeatureFunction,
    tables: Mapping[str, Frame],
    observations: pd.DataFrame,
    *,
    as_of_dates: Iterable[AsOf] | None = None,
    clock: Clock | None = None,
    availability_lag_hours: float | None = None,
) -> pd.DataFrame:
    """The values of a feature function that change when everything later than their as-of day is taken away.

    The function is called once with everything, and once per as-of date with what was known by the end of that day:
    rows of tables that came later, observations of later dates and what only outcomes tell (the label, why a row is
    excluded) are gone. So it finds features that read a newer report or version, months of the future, the label, or
    an average over the whole sample.

    Parameters
    ----------
    function
        ``function(tables, observations)`` -> frame of `company_id`, `as_of_date` and features, such as `features`.
        Tables come in pandas with every version.
    tables
        As in `features`.
    observations
        The result of `observations`.
    as_of_dates
        The dates to check; default up to four, evenly spread over those with something later.
    clock, availability_lag_hours
        As in `observations`; default those of the observations.

    Returns
    -------
    DataFrame
        One row per value that changed: `company_id`, `as_of_date`, `column`, `with_later`, `without_later` (text;
        null is not known). Empty is the proof for this data, and for no other. ``attrs["base"]`` counts the values
        compared.

    Raises
    ------
    InputError
        Nothing in the tables is later than the first date, so that nothing could be shown; or the function gives no
        row for an observation.

    Examples
    --------
    >>> from xray_analytics.tables import REPORTS
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b"], company_id="732829320", available_at=["2025-01-10", "2025-05-20"],
    ...     bank_score=[0.2, 0.9],
    ... )
    >>> rows = pd.DataFrame({"company_id": "732829320", "as_of_date": pd.to_datetime(["2025-03-31"])})
    >>> def newest_score(tables, observations):  # reads the newest report, whatever the day
    ...     newest = tables["reports"].sort_values("available_at").drop_duplicates("company_id", keep="last")
    ...     return observations[["company_id", "as_of_date"]].merge(newest[["company_id", "bank_score"]])
    >>> found = check_no_look_ahead(newest_score, {"reports": reports}, rows)
    >>> found[["column", "with_later", "without_later"]].values.tolist()
    [['bank_score', '0.9', '0.2']]
    """
    clock, lag = clock_of(observations, clock, availability_lag_hours)
    given = point_in_time.read(tables)
    dates = _dates(given, observations, as_of_dates, point_in_time.known_at(given["reports"], clock, lag))
    whole = function(_as_tables(given), observations)
    parts, n_compared = [], 0
    for day in dates:
        seen = point_in_time.cut(given, day.date(), clock=clock, availability_lag_hours=lag, every_version=True)
        earlier = observations[observations["as_of_date"] <= day]
        unlabelled = earlier.assign(**{name: value for name, value in _UNKNOWN_YET.items() if name in earlier})
        unlabelled.attrs = {name: value for name, value in earlier.attrs.items() if name == "terms"}
        changed, n = _differences(whole, function(_as_tables(seen), unlabelled), observations, day)
        parts.append(changed)
        n_compared += n
    result = pd.concat(parts, ignore_index=True)
    shown = [day.date().isoformat() for day in dates]
    result.attrs["base"] = {"used": n_compared, "as_of_dates": shown, "clock": clock, "availability_lag_hours": lag}
    return result


def _as_tables(found: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {name: point_in_time.zoned(rows, table(name)) for name, rows in found.items()}


def _dates(
    tables: Mapping[str, pd.DataFrame],
    observations: pd.DataFrame,
    as_of_dates: Iterable[AsOf] | None,
    known_at: pd.Series[pd.Timestamp],
) -> list[pd.Timestamp]:
    present = pd.DatetimeIndex(observations["as_of_date"].unique()).sort_values()
    wanted = (
        present
        if as_of_dates is None
        else pd.DatetimeIndex([frames.day(value) for value in listed(as_of_dates, "as_of_dates", str, date)])
    )
    unknown = wanted.difference(present)
    if len(unknown):
        raise InputError(f"no observation is as of {unknown[0].date()}; give dates that the observations have")
    ends = wanted + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)
    testable = wanted[ends < known_at.max()]
    if testable.empty:
        raise InputError("no report came after the as-of dates, so that nothing could be shown; give more reports")
    if as_of_dates is None and len(testable) > _MOST_DATES:
        testable = testable[np.linspace(0, len(testable) - 1, _MOST_DATES).round().astype(int)]
    return list(testable)


def _differences(
    whole: pd.DataFrame, cut: pd.DataFrame, observations: pd.DataFrame, day: pd.Timestamp
) -> tuple[pd.DataFrame, int]:
    rows = observations.loc[observations["as_of_date"] == day, _KEY]
    with_later, without = (_of_rows(frame, rows) for frame in (whole, cut))
    names = [name for name in dict.fromkeys([*whole.columns, *cut.columns]) if name not in _KEY]
    parts = []
    for name in names:
        pair = [frame[name] if name in frame else pd.Series(pd.NA, frame.index) for frame in (with_later, without)]
        is_other = ~_same(*pair)
        texts = [values[is_other].astype("string") for values in pair]
        keys = with_later.index[is_other].to_frame(index=False)
        parts.append(keys.assign(column=name, with_later=texts[0].array, without_later=texts[1].array))
    columns = [*_KEY, "column", "with_later", "without_later"]
    found = pd.concat([pd.DataFrame(columns=columns), *parts]).astype({"column": "string", "company_id": "string"})
    return found, len(names) * len(rows)


def _of_rows(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The function's answer for these rows, in their order."""
    absent = [name for name in _KEY if name not in frame]
    if absent:
        raise InputError(f"the feature function gives no {', '.join(absent)}; it needs both keys of the observations")
    wanted = pd.MultiIndex.from_frame(rows.astype({"company_id": "string", "as_of_date": "datetime64[us]"}))
    keyed = frame.astype({"company_id": "string", "as_of_date": "datetime64[us]"}).set_index(_KEY)
    if keyed.index.has_duplicates or not wanted.isin(keyed.index).all():
        raise InputError("the feature function must give each observation one row; it gives none, or several")
    return keyed.loc[wanted]


def _same(left: pd.Series[Any], right: pd.Series[Any]) -> np.ndarray:
    """Value by value: equal, both null, or numbers apart by rounding."""
    both_null = (left.isna() & right.isna()).to_numpy(bool)
    if pd.api.types.is_numeric_dtype(left) and pd.api.types.is_numeric_dtype(right):
        a, b = (values.to_numpy("float64", na_value=np.nan) for values in (left, right))
        return np.asarray(both_null | np.isclose(a, b, rtol=_RELATIVE, atol=0))
    texts = [values.astype("string").fillna("").to_numpy(str) for values in (left, right)]
    return np.asarray(both_null | ((texts[0] == texts[1]) & (left.isna() == right.isna()).to_numpy(bool)))
