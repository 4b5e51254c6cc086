"""What probability of default can be ruled out where hardly anybody defaults?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import InputError
from ..guards import is_number
from .intervals import check_counts
from .one_factor import check_correlation, correlated_bounds


def low_default_pd(
    n: Sequence[int],
    defaults: Sequence[int],
    *,
    confidence: Sequence[float] = (0.5, 0.75, 0.9),
    correlation: float = 0.0,
) -> pd.DataFrame:
    """Upper bounds of the probability of default per grade by the most prudent estimation.

    A grade is at most as risky as all grades that are as bad or worse, taken together: so even one without a default
    has a bound above 0, and the bounds rise from grade to grade where the defaults do not contradict it.

    Parameters
    ----------
    n
        Companies of each grade, from the best to the worst, each company once.
    defaults
        Those of them that defaulted.
    confidence
        Of the one-sided bounds, one or several.
    correlation
        Of assets (one-factor model), 0 to below 1. Over one period.

    Returns
    -------
    DataFrame
        `grade_no` (0 the best), `n`, `n_defaults`, `confidence_ratio`, `default_probability`: one row per grade and
        confidence.

    Raises
    ------
    InputError
        The two lists differ in length or hold what are no counts; the confidence is not between 0 and 1; or the
        correlation is not one.

    Notes
    -----
    Pluto & Tasche (2005), "Estimating probabilities of default for low default portfolios". The bound solves
    P(D ≤ d | pd) = 1 − confidence, d and D over the grade and all worse ones.

    Examples
    --------
    Ten companies without a default: (1 − pd)¹⁰ = 0.5.

    >>> low_default_pd([10], [0], confidence=[0.5])["default_probability"].round(4).tolist()
    [0.067]
    """
    check_correlation(correlation)
    if len(n) != len(defaults) or not len(n):
        raise InputError(f"there are {len(n)} grades in n and {len(defaults)} in defaults; give one of each a grade")
    for size, bad in zip(n, defaults, strict=True):
        check_counts(size, bad)
    if not all(is_number(level, 0, 1) and 0 < level < 1 for level in confidence):
        raise InputError(f"confidence is {list(confidence)}; give numbers between 0 and 1, such as 0.9")
    worse_n, worse_bad = (np.cumsum(np.asarray(x, np.int64)[::-1])[::-1] for x in (n, defaults))
    rows = [
        (no, int(n[no]), int(defaults[no]), level, _bound(int(worse_n[no]), int(worse_bad[no]), level, correlation))
        for no in range(len(n))
        for level in confidence
    ]
    names = pd.Index(["grade_no", "n", "n_defaults", "confidence_ratio", "default_probability"])
    return pd.DataFrame(rows, columns=names)


def _bound(n: int, defaults: int, confidence: float, correlation: float) -> float:
    if correlation == 0 and defaults < n:
        return float(stats.beta.ppf(confidence, defaults + 1, n - defaults))
    return correlated_bounds(n, defaults, correlation, 1 - confidence)[1]
