"""Which counts may leave the house: small ones are hidden, and what would give them away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from ..guards import are_counts, is_whole

_CELLS = (("risk_class",), ("low", "high"))
_FIGURES = ("share_ratio", "drawn")

Counts = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


def suppressed(distribution: pd.DataFrame, *, min_n: int) -> pd.DataFrame:
    """A distribution without its small cells, for readers who must not learn about single companies.

    A cell of 1 to `min_n` - 1 companies is hidden. Totals of groups, and of a class over the groups, may be known
    from elsewhere: so in each group, and in each class over the groups, at least two cells that hold `min_n`
    companies together are hidden, or none. The smallest cells are added first, empty ones last.

    Parameters
    ----------
    distribution
        The result of `class_distribution` or `value_distribution`.
    min_n
        The smallest count that may be shown, at least 2.

    Returns
    -------
    DataFrame
        The same rows and columns; hidden `n_companies` are null (Int64), as are their shares and amounts. The base
        has ``filters["min_n"]``.

    Raises
    ------
    InputError
        `min_n` is below 2, or the frame is no such result.

    Examples
    --------
    Hiding the 2 alone would not hide it from someone who knows that there are 39 companies.

    >>> shown = pd.DataFrame({"risk_class": [1, 2, 3, 4], "n_companies": [2, 20, 10, 7], "share_ratio": 0.0})
    >>> suppressed(shown, min_n=3)["n_companies"].tolist()
    [<NA>, 20, 10, <NA>]
    """
    if not is_whole(min_n, 2):
        raise InputError(f"min_n is {min_n}; every count of 1 or more may be shown, so suppress below 2 or more")
    cells = next((list(names) for names in _CELLS if set(names) <= set(distribution.columns)), None)
    if cells is None or "n_companies" not in distribution:
        raise InputError("nothing to suppress: give the result of class_distribution or value_distribution")
    if not are_counts(distribution["n_companies"].dropna().to_numpy("float64")):
        raise InputError("n_companies holds what are no counts; give the result of class_distribution")
    by = list(distribution.columns[: distribution.columns.get_loc(cells[0])])
    hidden = _hidden_rows(distribution, by, cells, min_n)
    result = distribution.astype({"n_companies": "Int64"})
    result.loc[hidden, "n_companies"] = pd.NA
    result.loc[hidden, [name for name in _FIGURES if name in result]] = np.nan
    if "base" in distribution.attrs:
        base = distribution.attrs["base"]
        result.attrs["base"] = base | {"filters": base["filters"] | {"min_n": min_n}}
    return result


def _hidden_rows(distribution: pd.DataFrame, by: list[str], cells: list[str], min_n: int) -> Marks:
    cell = _numbered(distribution, cells)
    group = _numbered(distribution, by) if by else np.zeros(len(cell), np.intp)
    counts = np.zeros((group.max(initial=-1) + 1, cell.max(initial=-1) + 1), np.int64)
    counts[group, cell] = distribution["n_companies"].fillna(0)
    return np.asarray(hidden_cells(counts, min_n)[group, cell], dtype=bool)


def _numbered(frame: pd.DataFrame, names: list[str]) -> npt.NDArray[np.intp]:
    return np.asarray(frame.groupby(names, dropna=False, sort=False).ngroup(), np.intp)


def hidden_cells(counts: Counts, min_n: int) -> Marks:
    """Which cells of a table of counts are hidden: the small ones, and in their rows and columns what gives them away.

    >>> hidden_cells(np.array([[9, 9, 2], [9, 8, 7]]), 3).astype(int).tolist()
    [[1, 0, 1], [1, 0, 1]]
    """
    hidden = (counts > 0) & (counts < min_n)
    tables = ((counts, hidden), (counts.T, hidden.T))
    lines = [line for table in tables for line in zip(*table, strict=True)]
    while sum(_covered(counted, marked, min_n) for counted, marked in lines):
        pass
    return hidden


def _covered(line: Counts, mark: Marks, min_n: int) -> bool:
    """Hide one more cell of a line that gives a hidden one away; whether that was needed."""
    if not mark.any() or mark.all() or (mark.sum() > 1 and line[mark].sum() >= min_n):
        return False
    open_cells = np.flatnonzero(~mark)
    order = np.lexsort((line[open_cells], line[open_cells] == 0))
    mark[open_cells[order[0]]] = True
    return True
