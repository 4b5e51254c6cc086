"""Days and months as whole numbers since 1970, and runs of days that statements cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


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
