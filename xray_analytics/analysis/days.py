"""Days and months as whole numbers since 1970, steps of months, and runs of days that statements cover.

After a month end comes a month end, in every analysis: `months_later` says so, and nothing else counts months.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pandas as pd

Days = TypeVar("Days", pd.Timestamp, "pd.Series[Any]")


def covered(statements: pd.DataFrame, key: str) -> pd.DataFrame:
    """The days that at least one statement covers, as runs without gaps: `key`, `after`, `until` (numbers of days).

    A statement covers the days after its start up to its end, and so does a run. `statements` has `key`,
    `start` and `end`; order, overlaps and repetitions do not matter.

    >>> months = pd.DataFrame({"report": ["a", "a", "a"], "start": [0, 31, 70], "end": [31, 59, 90]})
    >>> covered(months, "report").values.tolist()
    [['a', 0, 59], ['a', 70, 90]]
    """
    runs = statements[statements["end"] > statements["start"]].sort_values([key, "start", "end"])
    reach = runs.groupby(key)["end"].cummax().groupby(runs[key]).shift()
    is_new = (runs["start"] > reach) | ~runs.duplicated(key)
    grouped = runs.groupby(is_new.cumsum().rename("run"))
    return grouped.agg(**{key: (key, "first")}, after=("start", "min"), until=("end", "max")).reset_index(drop=True)


def days(dates: pd.Series[Any]) -> pd.Series[Any]:
    """Days since 1970 as Int64."""
    return pd.Series(dates.to_numpy("datetime64[D]").astype("int64"), dates.index, "Int64").mask(dates.isna())


def month_numbers(days: pd.Series[Any]) -> np.ndarray:
    """Months since 1970 of days since 1970."""
    months: np.ndarray = days.to_numpy("int64").astype("datetime64[D]").astype("datetime64[M]").astype("int64")
    return months


def months_later(day: Days, n: int) -> Days:
    """The day `n` months later, or earlier where `n` is negative: of a month end a month end, else the same day.

    A day that its month does not have is the last one there. A time of day stays, and null stays null.

    >>> print(months_later(pd.Timestamp("2024-06-30"), 1), months_later(pd.Timestamp("2024-06-15"), -3))
    2024-07-31 00:00:00 2024-03-15 00:00:00
    >>> months_later(pd.Series(pd.to_datetime(["2024-01-30", "2023-02-28", None])), 1).astype("string").tolist()
    ['2024-02-29', '2023-03-31', <NA>]
    """
    if isinstance(day, pd.Series):
        return pd.Series(_months_later(day.to_numpy("datetime64[us]"), n), day.index, name=day.name)
    return pd.Timestamp(_months_later(np.array([day.to_datetime64()], "datetime64[us]"), n)[0])


def months_earlier(day: pd.Timestamp, n: int) -> pd.Timestamp:
    """The last day from which `n` months do not lead beyond `day`.

    >>> print(months_earlier(pd.Timestamp("2024-12-31"), 3), months_earlier(pd.Timestamp("2025-08-30"), 6))
    2024-09-30 00:00:00 2025-02-27 00:00:00
    """
    earlier = months_later(day, -n)
    return earlier - pd.Timedelta(days=1) if months_later(earlier, n) > day else earlier


def months_between(start: pd.Series[Any], end: pd.Series[Any]) -> np.ndarray:
    """Months from one day to a later one as float64: whole where `months_later` leads from one to the other.

    >>> start, end = ["2024-01-31", "2024-01-01"], ["2024-02-29", "2024-02-16"]
    >>> months_between(*(pd.Series(pd.to_datetime(days)) for days in (start, end))).round(3).tolist()
    [1.0, 1.517]
    """
    first, last = (days.to_numpy("datetime64[us]") for days in (start, end))
    whole = (last.astype("datetime64[M]") - first.astype("datetime64[M]")).astype("int64")
    whole = whole - (_months_later(first, whole) > last)
    low, high = _months_later(first, whole), _months_later(first, whole + 1)
    found: np.ndarray = whole + (last - low) / (high - low)
    return found


def _months_later(moments: np.ndarray, n: Any) -> np.ndarray:
    month, date = moments.astype("datetime64[M]"), moments.astype("datetime64[D]")
    of_month, later = date - month.astype("datetime64[D]"), month + n
    last, last_there = _last_place(month), _last_place(later)
    place = np.where(of_month == last, last_there, np.minimum(of_month, last_there))
    found: np.ndarray = later.astype("datetime64[D]") + place + (moments - date)
    return found


def _last_place(month: np.ndarray) -> np.ndarray:
    """Days from the first of a month to its last."""
    length: np.ndarray = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
    return np.asarray(length - 1)
