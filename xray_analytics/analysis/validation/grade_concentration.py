"""Have companies piled up in a few grades since the model was made? Then it tells them apart less than it did."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import InputError
from ..guards import are_counts
from .stability import Bins, side_by_side
from .statistic import LEVEL, Statistic
from .tally import Floats


def grade_concentration(initial: Bins, current: Bins) -> Statistic:
    """Is the mix of grades more concentrated than when the model was made? Herfindahl index of grades and its test.

    Parameters
    ----------
    initial, current
        Companies per grade, at development and now: counts as sequences in the same order, or as mappings or Series by
        grade; a grade that one of them lacks is empty there. Every grade of the scale belongs in, empty ones too:
        their number is K.

    Returns
    -------
    Statistic
        ``value``: the index of `current`, 0 where all grades hold as many, 1 where one holds all; one-sided ``p_value``
        of the hypothesis that the concentration has not risen. ``n``: companies of `current`. ``parts``: the initial
        index, both coefficients of variation, the statistic S, and, where there is one, the index from which the test
        would reject (``index rejected from``). A note says where no mix of K grades would be rejected.

    Raises
    ------
    InputError
        The sides differ in length, there are fewer than two grades, a count is none, or a side is empty.

    Notes
    -----
    CV = √(K Σ (Rᵢ − 1/K)²), HI = 1 + ln((CV² + 1) / K) / ln K, S = √(K − 1) (CV − CV₀) / √(CV² (½ + CV²)) against
    the standard normal: ECB (2019), "Instructions for reporting the validation results of internal models", 2.5.5.3.
    S knows the number of grades but not that of companies: with few grades it is all but blind, and of a mix that did
    not change it rejects none.

    Examples
    --------
    >>> found = grade_concentration([20, 30, 30, 20], [5, 15, 60, 20])
    >>> round(found.value, 6), round(found.p_value, 3)
    (0.382767, 0.114)
    """
    before, after = _counts(initial, current)
    grades, variations = len(before), [_variation(counts) for counts in (before, after)]
    statistic = _statistic(variations[0], variations[1], grades)
    parts = {
        "initial index": _index(variations[0], grades),
        "CV": variations[1],
        "initial CV": variations[0],
        "S": statistic,
        "grades": float(grades),
    }
    rejected = _rejected_from(variations[0], grades)
    if rejected is not None:
        parts["index rejected from"] = rejected
    blind = f"no mix of {grades} grades would be rejected at {LEVEL:.0%} against this initial one"
    return Statistic(
        "Herfindahl index of grades", _index(variations[1], grades), int(after.sum()),
        p_value=float(stats.norm.sf(statistic)), null="the concentration has not risen", parts=parts,
        notes=() if rejected is not None else (blind,),
    )  # fmt: skip


def _counts(initial: Bins, current: Bins) -> tuple[Floats, Floats]:
    _, before, after = side_by_side(initial, current)
    if len(before) < 2:
        raise InputError("a concentration needs two grades or more; give every grade of the scale")
    for side, counts in (("initial", before), ("current", after)):
        if not are_counts(counts) or counts.sum() == 0:
            raise InputError(f"{side} holds what are no counts of companies, or nobody; give whole numbers from 0 on")
    return before, after


def _variation(counts: Floats) -> float:
    shares, grades = counts / counts.sum(), len(counts)
    return float(np.sqrt(grades * np.square(shares - 1 / grades).sum()))


def _index(variation: float, grades: int) -> float:
    return float(1 + np.log((variation**2 + 1) / grades) / np.log(grades))


def _statistic(initial: float, current: float, grades: int) -> float:
    if current == 0:
        return 0.0 if initial == 0 else -np.inf
    return float(np.sqrt(grades - 1) * (current - initial) / np.sqrt(current**2 * (0.5 + current**2)))


def _rejected_from(initial: float, grades: int) -> float | None:
    """The smallest index that the test rejects; S falls again for very high ones, so that there may be none."""
    every = pd.Series(np.linspace(initial, np.sqrt(grades - 1), 2001)[1:])
    rejected = every[every.map(lambda current: _statistic(initial, current, grades)) >= stats.norm.isf(LEVEL)]
    return None if rejected.empty else _index(float(rejected.iloc[0]), grades)
