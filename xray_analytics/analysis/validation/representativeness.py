"""Is every input still what it was? Stability of each feature, month by month, against development and the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError, listed
from ...schema import Table
from ...tables import COMPANY_KEY
from .. import frames
from ..frames import Frame
from ..guards import is_whole
from .calibration import holm
from .stability import psi
from .tally import Floats, check_finite

AGAINST = ("development", "previous", "whole")
MISSING = "missing"
_INPUTS = Table("inputs", "One row per company and month of what a model reads.", (COMPANY_KEY,), ("company_id",))


def characteristic_stability(
    inputs: Frame,
    features: Sequence[str],
    *,
    period: str = "as_of_date",
    development: Frame | None = None,
    bins: int = 10,
) -> pd.DataFrame:
    """The stability index of every feature in every period: against development, the period before, and all of them.

    Parameters
    ----------
    inputs
        The features and `period`, one row per company and period: such as `backtest.features` beside its observations.
    features
        Columns of numbers, of words, or of truth values. Missing is a bin of its own, in every feature.
    period
        Column of the period; periods are compared in their order.
    development
        The features of the sample that the model was made of; without it that comparison is left out.
    bins
        Of numbers: quantiles of the development sample, else of the first period; equal values stay together, and what
        lies beyond the first and the last edge is in the outer bins. Words have a bin each.

    Returns
    -------
    DataFrame
        A row per feature, period and side: `feature`, `period`, `against` (``development``, ``previous``, ``whole``:
        all other periods), `n`, `against_n`, `n_missing` (of the period), `n_bins`, `psi`, `benchmark` (what chance
        exceeds once in twenty), `p_value`, `p_value_holm` (over all rows). Null where one side is empty or all are in
        one bin. Tests hold for other companies on either side; where they are the same ones, who do not change, the
        index is smaller than chance would have it, and a test finds less. ``attrs["base"]`` has the edges.

    Raises
    ------
    InputError
        A column is absent, there is no row, a period is missing, or `bins` is below two.

    Notes
    -----
    The population stability index of one feature is called characteristic stability index; see `psi` for its
    benchmark, and for bins that are empty or rare (share 0.0001, test by permutation).

    Examples
    --------
    Half and half, then a quarter and three: −0.25 ln 0.5 + 0.25 ln 1.5.

    >>> rows = pd.DataFrame({"month": [1] * 200 + [2] * 200, "x": [*range(200), *range(50, 250)]})
    >>> found = characteristic_stability(rows, ["x"], period="month", bins=2)
    >>> found[["period", "against"]].values.tolist(), found["psi"].round(4).tolist()
    ([['1', 'whole'], ['2', 'previous'], ['2', 'whole']], [0.2747, 0.2747, 0.2747])
    """
    features = listed(features, "features")
    if not is_whole(bins, 2) or not features:
        raise InputError(f"bins is {bins} and there are {len(features)} features; give two bins or more, and a feature")
    table = _read(inputs, [*features, period])
    made = None if development is None else _read(development, list(features))
    if table.empty or table[period].isna().any():
        raise InputError(f"there is no row, or one has no {period}; give the period of every row")
    periods, rows, edges = sorted(table[period].unique()), [], {}
    for feature in features:
        first = table.loc[table[period] == periods[0], feature] if made is None else made[feature]
        cuts = _edges(first, bins)
        edges[feature] = None if cuts is None else cuts.tolist()
        counts = {at: _binned(table.loc[table[period] == at, feature], cuts) for at in periods}
        known = None if made is None else _binned(made[feature], cuts)
        rows += [row for at in periods for row in _compared(feature, at, counts, known)]
    result = _frame(rows)
    result.attrs["base"] = {
        "used": len(table), "excluded": {}, "backfilled": None, "as_of": None, "filters": {"edges": edges},
    }  # fmt: skip
    return result


def _read(rows: Frame, columns: list[str]) -> pd.DataFrame:
    table = frames.collect(frames.scan(rows, _INPUTS, columns), _INPUTS)
    check_finite(table, columns)
    return table


def _edges(values: pd.Series[Any], bins: int) -> Floats | None:
    """Inner edges between quantiles; None for words."""
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return None
    known = values.dropna().to_numpy(np.float64)
    if not len(known):
        return np.array([], np.float64)
    return np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf"))


def _binned(values: pd.Series[Any], cuts: Floats | None) -> pd.Series[int]:
    """Counts by bin: `missing`, a word, or the number of the interval (up to and with its upper edge)."""
    if cuts is None:
        return values.astype("string").fillna(MISSING).value_counts()
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    place = pd.Series(np.searchsorted(cuts, np.nan_to_num(numbers), side="left")).astype("string")
    return place.mask(np.isnan(numbers), MISSING).value_counts()


def _compared(feature: str, at: Any, counts: dict[Any, pd.Series[int]], known: pd.Series[int] | None) -> list[Any]:
    earlier = [day for day in counts if day < at]
    others = [count for day, count in counts.items() if day != at]
    sides: dict[str, pd.Series[int] | None] = {
        "development": known,
        "previous": counts[max(earlier)] if earlier else None,
        "whole": pd.concat(others).groupby(level=0).sum() if others else None,
    }
    name = f"{at:%Y-%m-%d}" if isinstance(at, pd.Timestamp) else str(at)
    return [(feature, name, against, *_index(side, counts[at])) for against, side in sides.items() if side is not None]


def _index(before: pd.Series[int], now: pd.Series[int]) -> tuple[Any, ...]:
    sizes = (int(now.sum()), int(before.sum()), int(now.get(MISSING, 0)))
    try:
        found = psi(before.astype("float64"), now.astype("float64"), floor=1e-4)
    except InputError:  # everybody is in one bin
        return (*sizes, 1, None, None, None)
    return (*sizes, len(found.bins), found.value, found.benchmark, found.p_value)


def _frame(rows: list[Any]) -> pd.DataFrame:
    heads = ["feature", "period", "against", "n", "against_n", "n_missing", "n_bins", "psi", "benchmark", "p_value"]
    kinds: dict[Any, Any] = dict.fromkeys(heads[:3], "string") | dict.fromkeys(heads[3:7], "int64")
    table = pd.DataFrame(rows, columns=pd.Index(heads)).astype(kinds | dict.fromkeys(heads[7:], "float64"))
    table["p_value_holm"] = holm(table["p_value"].to_numpy(np.float64))
    return table
