"""Do grades differ from each other, and is a grade one thing? By number of defaults, corrected for many tests."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from scipy import stats

from ...errors import InputError
from .. import frames
from ..frames import Frame
from ..guards import is_number
from .calibration import holm
from .statistic import LEVEL
from .tally import SAMPLE, check_finite, check_sums, counted, named_sums

_FEW = 10.0  # expected defaults or non-defaults of a side: below, Fisher's test takes the place of the normal one


def heterogeneity(sample: Frame, *, by: str = "risk_class", level: float = LEVEL) -> pd.DataFrame:
    """Does each grade default more than the one before it? Neighbouring grades, one-sided, Holm-adjusted.

    Parameters
    ----------
    sample
        `defaulted` and the grade, one row per company (or counts); see `validation`.
    by
        Column of the grade, ordered from the best to the worst; observations without one are left out and counted.
    level
        At which adjusted p-values call two grades distinct.

    Returns
    -------
    DataFrame
        A row per pair of neighbours: `from_grade`, `to_grade` (the worse one), `n`, `n_defaults`,
        `default_rate_ratio` of the one, `to_n`, `to_n_defaults`, `to_default_rate_ratio` of the other, `test`
        (``"two proportions"``, or ``"fisher"`` where a side expects fewer than 10 defaults or non-defaults), `p_value`
        of the hypothesis that the worse grade defaults no more, `p_value_holm`, `verdict`: ``distinct`` or
        ``not_shown``, which is no proof that they are the same.

    Raises
    ------
    InputError
        As `default_rate_table`, or there are fewer than two grades.

    Notes
    -----
    Pooled two-proportion z-test, or Fisher's exact test; Holm (1979) over the pairs. ECB (2024), "Guide to internal
    models", asks for significant differences of neighbouring grades. Simulated size at 5 %, grades of 300 to
    20,000 companies and rates of 0.5 to 10 %: 0.058 and below; Fisher's well below.

    Examples
    --------
    >>> sample = pd.DataFrame({"risk_class": [1, 2, 3], "n": [1000, 1000, 1000], "n_defaults": [10, 30, 31]})
    >>> heterogeneity(sample)[["p_value_holm", "verdict"]].round(4).values.tolist()
    [[0.0014, 'distinct'], [0.4483, 'not_shown']]
    """
    table, n_missing = _counts(sample, [by], level)
    if len(table) < 2:
        raise InputError(f"there is {len(table)} grade in {by}; two or more are needed to compare them")
    first, second = (part.reset_index(drop=True) for part in (table[:-1], table[1:]))
    tests = [_more_defaults(*row) for row in _sides(first, second)]
    result = pd.DataFrame({
        "from_grade": first[by], "to_grade": second[by],
        "n": first["n"], "n_defaults": first["n_defaults"], "default_rate_ratio": first["n_defaults"] / first["n"],
        "to_n": second["n"], "to_n_defaults": second["n_defaults"],
        "to_default_rate_ratio": second["n_defaults"] / second["n"],
    })  # fmt: skip
    return _judged(result, tests, level, ("distinct", "not_shown"), (int(table["n"].sum()), n_missing))


def homogeneity(sample: Frame, *, within: str, by: str = "risk_class", level: float = LEVEL) -> pd.DataFrame:
    """Does a part of a grade default otherwise than the rest of it? Each part, two-sided, Holm-adjusted over all.

    Parameters
    ----------
    sample, by, level
        As in `heterogeneity`.
    within
        Column of the parts: a segment, or quantiles of the score (`pandas.qcut`); observations without one are left
        out and counted. Of two parts one is compared, as the other is the rest.

    Returns
    -------
    DataFrame
        A row per grade and part: `by`, `within`, `n`, `n_defaults`, `default_rate_ratio`, `rest_n`, `rest_n_defaults`,
        `rest_default_rate_ratio`, `test`, `p_value` of the hypothesis that the part defaults as the rest of its grade,
        `p_value_holm`, `verdict`: ``mixed`` or ``not_shown``. A grade of one part has no row.

    Raises
    ------
    InputError
        As `heterogeneity`, or no grade has two parts.

    Examples
    --------
    >>> sample = pd.DataFrame({
    ...     "risk_class": [1, 1, 2, 2], "sector": ["a", "b", "a", "b"], "n": [500] * 4, "n_defaults": [5, 5, 10, 40],
    ... })
    >>> homogeneity(sample, within="sector")[["risk_class", "sector", "verdict"]].values.tolist()
    [[1, 'a', 'not_shown'], [2, 'a', 'mixed']]
    """
    table, n_missing = _counts(sample, [by, within], level)
    grade = table.groupby(by)
    parts = grade["n"].transform("size")
    if not (parts > 1).any():
        raise InputError(f"no {by} has two or more parts of {within}; nothing can be compared")
    rest = pd.DataFrame({name: grade[name].transform("sum") - table[name] for name in ("n", "n_defaults")})
    asked = (parts > 2) | ((parts == 2) & (grade.cumcount() == 0))
    own, rest = table[asked].reset_index(drop=True), rest[asked].reset_index(drop=True)
    tests = [_other_rate(*row) for row in _sides(own, rest)]
    result = own.assign(
        default_rate_ratio=own["n_defaults"] / own["n"], rest_n=rest["n"], rest_n_defaults=rest["n_defaults"],
        rest_default_rate_ratio=rest["n_defaults"] / rest["n"],
    )  # fmt: skip
    return _judged(result, tests, level, ("mixed", "not_shown"), (int(table["n"].sum()), n_missing))


def _counts(sample: Frame, keys: list[str], level: float) -> tuple[pd.DataFrame, int]:
    """`n` and `n_defaults` by these columns, in their order; observations that lack one are counted."""
    if not is_number(level, 0, 1):
        raise InputError(f"level is {level}; give a probability, such as 0.05")
    lazy = counted(sample, (), None, by=keys)
    cells = frames.collect(lazy.group_by(*keys).agg(*(nw.col(name).sum() for name in named_sums())), SAMPLE)
    check_sums(cells)
    check_finite(cells, keys)
    missing = cells[keys].isna().any(axis=1)
    table = cells[~missing & (cells["n"] > 0)].sort_values(keys, ignore_index=True)
    return table[[*keys, "n", "n_defaults"]].astype({"n": "int64", "n_defaults": "int64"}), int(
        cells.loc[missing, "n"].sum()
    )


def _sides(first: pd.DataFrame, second: pd.DataFrame) -> Any:
    return zip(first["n"], first["n_defaults"], second["n"], second["n_defaults"], strict=True)


def _more_defaults(n: int, bad: int, other_n: int, other_bad: int) -> tuple[str, float]:
    if _is_few(n, bad, other_n, other_bad):
        return "fisher", float(stats.hypergeom.sf(other_bad - 1, n + other_n, bad + other_bad, other_n))
    return "two proportions", float(stats.norm.sf(_z(n, bad, other_n, other_bad)))


def _other_rate(n: int, bad: int, other_n: int, other_bad: int) -> tuple[str, float]:
    if _is_few(n, bad, other_n, other_bad):
        return "fisher", float(stats.fisher_exact([[bad, n - bad], [other_bad, other_n - other_bad]]).pvalue)
    return "two proportions", float(2 * stats.norm.sf(abs(_z(n, bad, other_n, other_bad))))


def _is_few(n: int, bad: int, other_n: int, other_bad: int) -> bool:
    rate = (bad + other_bad) / (n + other_n)
    return min(n, other_n) * min(rate, 1 - rate) < _FEW


def _z(n: int, bad: int, other_n: int, other_bad: int) -> float:
    rate = (bad + other_bad) / (n + other_n)
    return float((other_bad / other_n - bad / n) / np.sqrt(rate * (1 - rate) * (1 / n + 1 / other_n)))


def _judged(
    result: pd.DataFrame, tests: list[tuple[str, float]], level: float, words: tuple[str, str], base: tuple[int, int]
) -> pd.DataFrame:
    p_values = np.array([p for _, p in tests])
    adjusted = holm(p_values)
    result = result.assign(
        test=pd.Series([name for name, _ in tests], dtype="string"), p_value=p_values, p_value_holm=adjusted,
        verdict=pd.Series(np.where(adjusted <= level, *words), dtype="string"),
    )  # fmt: skip
    result.attrs["base"] = {
        "used": base[0], "excluded": {"not_graded": base[1]}, "backfilled": None, "as_of": None,
        "filters": {"level": level},
    }  # fmt: skip
    return result
