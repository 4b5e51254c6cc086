"""How far do classes move, and do near moves outnumber far ones? Figures and tests of a migration matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from ...errors import InputError
from ...tables import RISK_CLASSES
from ..guards import Classes, are_counts, on_scale, scale
from ..validation.calibration import holm
from .default_spells import ENDED

NO_CLASS = ("unrated", "not_refreshed", *ENDED)
Counts = npt.NDArray[np.int64]


def mobility(matrix: pd.DataFrame, *, classes: Classes | None = None) -> pd.DataFrame:
    """How much a migration matrix moves, on the classes alone: only companies rated at both ends count.

    Parameters
    ----------
    matrix
        The result of `migration_matrix`, or any frame of `from_class`, `to_state` and `n`.
    classes
        The scale, from the best class, 1, to the worst; by default from 1 to the largest class in the matrix, of five.

    Returns
    -------
    DataFrame
        `figure`, `value` (float64), `n` (companies it rests on), one row each: ``downgrade_share`` and
        ``upgrade_share`` (0–1, of those rated at both ends); ``upper_bandwidth`` (downgrades) and ``lower_bandwidth``
        (upgrades): the classes moved over the classes that the movers could have moved at most, 0–1, n the movers;
        ``trace_index`` (0 nobody moves, 1 the class tells nothing of the next; null unless every class had a
        company). Null where there is nothing to divide by.

    Raises
    ------
    InputError
        A column is absent, a state or class is not on the scale, or `n` holds what is no count.

    Notes
    -----
    Bandwidths: ECB (2019), "Instructions for reporting the validation results of internal models", 2.5.5.1. Trace
    index: (K - trace P) / (K - 1), Shorrocks (1978), "The measurement of mobility", Econometrica 46.

    Examples
    --------
    >>> counts = [[80, 15, 5], [10, 70, 20], [2, 18, 80]]
    >>> cells = [(i + 1, str(j + 1), n) for i, row in enumerate(counts) for j, n in enumerate(row)]
    >>> matrix = pd.DataFrame(cells, columns=["from_class", "to_state", "n"])
    >>> mobility(matrix).set_index("figure")["value"].round(12).tolist()[2:]
    [0.75, 0.64, 0.35]
    """
    counts = read_square(matrix, classes)
    total, worse, better = (int(part.sum()) for part in (counts, np.triu(counts, 1), np.tril(counts, -1)))
    rows = [
        ("downgrade_share", _ratio(worse, total), total),
        ("upgrade_share", _ratio(better, total), total),
        ("upper_bandwidth", _bandwidth(np.triu(counts, 1)), worse),
        ("lower_bandwidth", _bandwidth(np.tril(counts, -1)), better),
        ("trace_index", _trace_index(counts), total),
    ]
    result = pd.DataFrame(rows, columns=pd.Index(["figure", "value", "n"]))
    result = result.astype({"figure": "string", "value": "float64", "n": "int64"})
    result.attrs.update(matrix.attrs)
    return result


def cell_tests(matrix: pd.DataFrame, *, classes: Classes | None = None) -> pd.DataFrame:
    """Is a farther move likelier than the nearer one beside it? A test of every two neighbouring cells of a matrix.

    Classes that order risk move mostly by one; where moves by two outnumber them, the scale or the data jump.

    Parameters
    ----------
    matrix, classes
        As in `mobility`: only companies rated at both ends count, and N is their number in the row.

    Returns
    -------
    DataFrame
        A row per class and pair of neighbouring cells on the same side of the diagonal, the diagonal left out:
        `from_class`, `to_state` (the nearer move), `against` (the farther one), `z`, `p_value` (small: the farther
        move is the likelier), `n` (companies of the row), `p_value_exact` (by the sign test, which needs no large
        numbers), `p_value_holm` (of the exact ones, over all pairs). Null where neither move was seen.

    Raises
    ------
    InputError
        As `mobility`.

    Notes
    -----
    z = (p − q) / √((p(1 − p) + q(1 − q) + 2pq) / N) with p of the nearer and q of the farther cell, p-value Φ(z): ECB
    (2019), "Instructions for reporting the validation results of internal models", 2.5.5.2. The
    normal distribution is rough where both cells together hold few: three moves, all of them far, give 0.04 where
    1/8 is exact. Judge by the exact one.

    Examples
    --------
    >>> matrix = pd.DataFrame({"from_class": [1, 1, 1], "to_state": ["1", "2", "3"], "n": [80, 15, 5]})
    >>> found = cell_tests(matrix)
    >>> found["to_state"].iloc[0], found["against"].iloc[0], found["z"].round(6).iloc[0].item()
    ('2', '3', 2.294157)
    """
    counts, rows = read_square(matrix, classes), []
    for row, line in enumerate(counts):
        total = int(line.sum())
        for near, far in _pairs(row, len(counts)):
            a, b = int(line[near]), int(line[far])
            z, exact = _cell_z(a, b, total), float(stats.binom.cdf(a, a + b, 0.5)) if a + b else np.nan
            rows.append((row + 1, str(near + 1), str(far + 1), z, float(stats.norm.cdf(z)), total, exact))
    heads = ["from_class", "to_state", "against", "z", "p_value", "n", "p_value_exact"]
    kinds: dict[Any, Any] = dict.fromkeys(heads, "float64") | {"from_class": "Int64", "n": "int64"}
    result = pd.DataFrame(rows, columns=pd.Index(heads)).astype(kinds | {"to_state": "string", "against": "string"})
    result["p_value_holm"] = holm(result["p_value_exact"].to_numpy(np.float64))
    result.attrs.update(matrix.attrs)
    return result


def read_square(matrix: pd.DataFrame, classes: Classes | None) -> Counts:
    """The counts of companies rated at both ends, from the best class to the worst.

    Raises
    ------
    InputError
        A column is absent, a state or class is not on the scale, or `n` holds what is no count.
    """
    missing = [name for name in ("from_class", "to_state", "n") if name not in matrix]
    if missing:
        raise InputError(f"the matrix lacks {', '.join(missing)}; give the result of migration_matrix")
    if not are_counts(matrix["n"].to_numpy("float64", na_value=np.nan)):
        raise InputError("the matrix holds negative counts, or what are none; give the result of migration_matrix")
    allowed = RISK_CLASSES if classes is None else scale(classes)
    rated = matrix[matrix["from_class"].notna() & ~matrix["to_state"].isin(NO_CLASS)]
    sides = []
    for name in ("from_class", "to_state"):
        numbers = pd.to_numeric(rated[name], errors="coerce")
        as_given = rated[name].astype("object").fillna("null")
        on_scale(numbers.astype("object").where(numbers.notna(), as_given).rename(name), allowed)
        sides.append(numbers.to_numpy("int64"))
    origin, state = sides
    size = len(allowed) if classes is not None else int(max(origin.max(initial=1), state.max(initial=1)))
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (origin - 1, state - 1), rated["n"].to_numpy("int64"))
    return counts


def _bandwidth(moves: Counts) -> float | None:
    """Classes moved over the most that the movers of each row could have moved."""
    place = np.arange(len(moves))
    furthest = np.maximum(place, len(moves) - 1 - place)
    return _ratio((np.abs(np.subtract.outer(place, place)) * moves).sum(), (furthest * moves.sum(axis=1)).sum())


def _trace_index(counts: Counts) -> float | None:
    rows = counts.sum(axis=1)
    if len(rows) < 2 or (rows == 0).any():
        return None
    return float((len(rows) - (np.diag(counts) / rows).sum()) / (len(rows) - 1))


def _ratio(top: Any, bottom: Any) -> float | None:
    return float(top / bottom) if bottom else None


def _pairs(row: int, size: int) -> list[tuple[int, int]]:
    """Neighbouring cells of a row on the same side of the diagonal, the nearer one first."""
    better = [(near, near - 1) for near in range(row - 1, 0, -1)]
    return better[::-1] + [(near, near + 1) for near in range(row + 1, size - 1)]


def _cell_z(near: int, far: int, total: int) -> float:
    if near + far == 0:
        return float("nan")
    p, q = near / total, far / total
    spread = p * (1 - p) + q * (1 - q) + 2 * p * q
    return float((p - q) / np.sqrt(spread / total)) if spread > 0 else float(np.copysign(np.inf, p - q))
