"""Default rates class by class: do they rise with the class, and how sure is that?"""

from __future__ import annotations

import narwhals.stable.v2 as nw
import numpy as np
from pandas import DataFrame
from scipy import stats

from ...errors import InputError
from .. import frames
from ..frames import Frame
from .intervals import clustered_bounds, rate_bounds
from .statistic import CONFIDENCE
from .tally import SAMPLE, Floats, check_finite, check_sums, cluster_codes, counted, named_sums


def default_rate_table(
    sample: Frame, *, by: str = "risk_class", cluster: str | None = None, confidence: float = CONFIDENCE
) -> DataFrame:
    """Default rates by class with intervals, and where a worse class defaulted less than the one before it.

    Parameters
    ----------
    sample
        `defaulted` and the class, one row per company (or counts); see `validation`.
    by
        Column of the class, ordered from the best to the worst; a missing class is a row of its own, last.
    cluster
        Column by which repeated observations belong together: intervals are clustered, and nothing is tested.
    confidence
        Of the two-sided intervals: Jeffreys', clustered Wilson's.

    Returns
    -------
    DataFrame
        `by`, `n`, `n_defaults`, `default_rate_ratio`, `low`, `high`, `p_value_inversion`: the chance of so few defaults
        in this class or fewer, given those of both, if it were no better than the one before; small values say that
        the order of the two is wrong. Null in the first class, for a missing class and with clusters.

    Raises
    ------
    InputError
        As `auc`, but a sample without a default is welcome.

    Notes
    -----
    Fisher's exact test, one-sided, of neighbouring classes, not adjusted for their number.

    Examples
    --------
    >>> sample = DataFrame({"risk_class": [1, 2], "n": [100, 100], "n_defaults": [4, 0]})
    >>> default_rate_table(sample)[["default_rate_ratio", "p_value_inversion"]].round(3).values.tolist()
    [[0.04, nan], [0.0, 0.061]]
    """
    keys = list(dict.fromkeys([by, *([cluster] if cluster else [])]))
    lazy = counted(sample, (), cluster, by=by).group_by(*keys).agg(*(nw.col(name).sum() for name in named_sums()))
    cells = frames.collect(lazy, SAMPLE)
    check_sums(cells)
    check_finite(cells, [by])
    cells = cells[cells["n"] > 0].astype({"n": "float64", "n_defaults": "float64"})
    if cells.empty:
        raise InputError("the sample holds no observation; check how it was joined")
    if cluster:
        cells["cluster"] = cluster_codes(cells[cluster])
    sums = cells.groupby(by, dropna=False)[["n", "n_defaults"]].sum().reset_index()
    table = sums.sort_values(by, na_position="last", ignore_index=True)
    table["default_rate_ratio"] = table["n_defaults"] / table["n"]
    table["low"], table["high"] = class_bounds(table, cells, by, cluster, confidence)
    tested = table[by].notna().to_numpy(bool) & (cluster is None)
    table["p_value_inversion"] = np.where(tested, _inversions(table), np.nan)
    result = table.astype({"n": "int64", "n_defaults": "int64"})
    used = int(result["n"].sum())
    result.attrs["base"] = {"used": used, "excluded": {}, "backfilled": None, "as_of": None, "filters": {"by": by}}
    return result


def class_bounds(
    table: DataFrame, cells: DataFrame, by: str, cluster: str | None, confidence: float
) -> tuple[Floats, Floats]:
    """Bounds of the default rate of each class; null where a class has one cluster only."""
    if cluster is None:
        return rate_bounds(table["n"], table["n_defaults"], confidence=confidence)
    found = []
    for name in table[by]:
        rows = cells[cells[by].isna() if name is None or name != name else cells[by] == name]  # noqa: PLR0124
        numbers = np.unique(rows["cluster"], return_inverse=True)[1].astype(np.int64)
        n, bad = (rows[column].to_numpy(np.float64) for column in ("n", "n_defaults"))
        alone = numbers.max(initial=0) == 0
        found.append((np.nan, np.nan) if alone else clustered_bounds(n, bad, numbers, confidence=confidence))
    low, high = np.array(found).T
    return low, high


def _inversions(table: DataFrame) -> Floats:
    n, bad = table["n"].to_numpy(), table["n_defaults"].to_numpy()
    both = stats.hypergeom.cdf(bad[1:], n[1:] + n[:-1], bad[1:] + bad[:-1], n[1:])
    return np.concatenate([[np.nan], both])
