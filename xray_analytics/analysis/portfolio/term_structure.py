"""Where do companies stand after several years, and how many have defaulted by then? Powers of a one-year matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from ..guards import is_whole
from ..validation.intervals import rate_bounds
from ..validation.statistic import CONFIDENCE

NOT_SEEN = ("unrated", "not_refreshed")
DEFAULTED = "defaulted"
FEWEST = 20  # companies of a class for an interval
_ROUNDED = 1e-3  # by which a printed row may miss 1
_Matrix = npt.NDArray[np.float64]


def multi_year_matrix(matrix: pd.DataFrame, *, years: int) -> pd.DataFrame:
    """The migration matrix over several horizons: the matrix to its power, with default and closing for good.

    Parameters
    ----------
    matrix
        The result of `migration_matrix` with `endings`, or of `generator_matrix`; or any frame of `from_class`,
        `to_state` and `n` or `share_ratio`, such as a matrix of an agency. Unrated and not refreshed are left out, and
        the shares are of the rest; unrated companies as well.
    years
        How many horizons of the matrix, from 1 on.

    Returns
    -------
    DataFrame
        `from_class`, `to_state`, `share_ratio` (0–1): all pairs, states without a row of their own (``defaulted``,
        ``closed``) as absorbing. ``attrs["base"]``: companies used and left out, and by how much printed rows missed 1
        (filter ``rescaled_ratio``: they are divided by their sum).

    Raises
    ------
    InputError
        A column is absent, a number is negative, a row is empty or misses 1 by more than 0.001, or `years` is below 1.

    Notes
    -----
    Jarrow, Lando & Turnbull (1997), "A Markov model for the term structure of credit risk spreads", Review of
    Financial Studies 10. The next move is taken to depend on the present class alone: in truth downgrades follow
    downgrades, and what comes out is rather too low for good classes.

    Examples
    --------
    >>> matrix = pd.DataFrame({
    ...     "from_class": [1, 1, 2, 2, 2], "to_state": ["1", "2", "1", "2", "defaulted"], "n": [90, 10, 20, 70, 10],
    ... })
    >>> multi_year_matrix(matrix, years=2).query("to_state == 'defaulted'")["share_ratio"].round(3).tolist()
    [0.01, 0.17, 1.0]
    """
    if not is_whole(years, 1):
        raise InputError(f"years is {years}; give a whole number of horizons from 1 on")
    states, shares, _, base = _read(matrix)
    power = np.linalg.matrix_power(shares, int(years))
    pairs = [(origin, to) for origin in states for to in states]
    result = pd.DataFrame(pairs, columns=pd.Index(["from_class", "to_state"]), dtype="string")
    result["share_ratio"] = np.clip(power, 0, 1).ravel()
    result.attrs["base"] = _with_filter(base, years=int(years))
    return result


def term_structure(
    matrix: pd.DataFrame, *, years: int | Sequence[int] = 5, default: str = DEFAULTED, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """The probability to have defaulted within one, two, … years of each class, with its interval.

    Parameters
    ----------
    matrix
        As in `multi_year_matrix`; for intervals with counts `n` of companies (of `generator_matrix` there are none).
    years
        Up to how many horizons, or which.
    default
        The state that is default.
    confidence
        Of the two-sided intervals.

    Returns
    -------
    DataFrame
        `from_class`, `years`, `default_probability` (0–1, cumulative), `marginal_probability` (in that year), `low`,
        `high` (null without counts, where nobody could default, and in classes of fewer than 20 companies), `n`
        (companies of the class).

    Raises
    ------
    InputError
        As `multi_year_matrix`, or nobody can default.

    Notes
    -----
    Interval: the variance of the cumulative probability by the delta method, rows of the matrix being multinomial, as
    that of a proportion of so many independent companies (Jeffreys). Companies are independent, and the matrix stays
    the same; in a bad year they are not. A company in several cohorts counts in each.

    Examples
    --------
    >>> matrix = pd.DataFrame({
    ...     "from_class": [1, 1, 2, 2, 2], "to_state": ["1", "2", "1", "2", "defaulted"], "n": [90, 10, 20, 70, 10],
    ... })
    >>> found = term_structure(matrix, years=2)
    >>> found["default_probability"].round(3).tolist(), found["low"].round(3).tolist()
    ([0.0, 0.01, 0.1, 0.17], [0.0, 0.001, 0.053, 0.091])
    """
    given = [years] if isinstance(years, int | float) else list(years)
    if not given or not all(is_whole(year, 1) for year in given):
        raise InputError(f"years is {years}; give whole numbers of horizons from 1 on")
    wanted = list(range(1, years + 1)) if isinstance(years, int) else [int(year) for year in given]
    states, shares, sizes, base = _read(matrix)
    if default not in states:
        raise InputError(f"the matrix has no state {default}; give endings to migration_matrix, or name it by default=")
    goal, alive = (
        states.index(default),
        [no for no, state in enumerate(states) if state.isdigit() or shares[no, no] < 1],
    )
    powers = [np.eye(len(states))]
    for _ in range(max(wanted)):
        powers.append(powers[-1] @ shares)
    rows = []
    for no in alive:
        for year in wanted:
            p, before = float(powers[year][no, goal]), float(powers[year - 1][no, goal])
            low, high = _bounds(p, _variance(powers, shares, sizes, (no, goal), year), sizes[no], confidence)
            rows.append((states[no], year, p, p - before, low, high, sizes[no]))
    heads = ["from_class", "years", "default_probability", "marginal_probability", "low", "high", "n"]
    kinds = {"from_class": "string", "years": "int64", "n": "Int64"} | dict.fromkeys(heads[2:6], "float64")
    result = pd.DataFrame(rows, columns=pd.Index(heads))
    result["n"] = result["n"].where(result["n"] > 0)
    result = result.astype(kinds)
    result.attrs["base"] = _with_filter(base, default=default)
    return result


def _read(matrix: pd.DataFrame) -> tuple[list[str], _Matrix, list[int], dict[str, Any]]:
    """States, shares with rows that sum to 1, companies of each row (0: not known), and the base."""
    weight = next((name for name in ("n", "share_ratio") if name in matrix and name in _telling(matrix)), None)
    if weight is None or not {"from_class", "to_state"} <= set(matrix.columns):
        raise InputError("the matrix needs from_class, to_state, and n or share_ratio; give that of migration_matrix")
    rows = matrix.assign(origin=_named(matrix["from_class"]), to=_named(matrix["to_state"]))
    seen = rows["origin"].notna() & ~rows["origin"].isin(NOT_SEEN) & ~rows["to"].isin(NOT_SEEN)
    numbers = rows[weight].astype("float64")
    if (numbers[seen] < 0).any() or not np.isfinite(numbers[seen & (numbers != 0)]).all():
        raise InputError(f"{weight} of the matrix holds negative or missing numbers; give counts or shares")
    rows, left_out = rows[seen].assign(weight=numbers[seen]), int(numbers[~seen].sum()) if weight == "n" else None
    table = rows.astype({"origin": "object", "to": "object"}).groupby(["origin", "to"])["weight"].sum().unstack()
    states = sorted({*table.index, *table.columns}, key=_place)
    table = table.reindex(index=states, columns=states).fillna(0.0)
    shares = table.to_numpy(np.float64).copy()
    sums = shares.sum(axis=1)
    ends = [no for no, state in enumerate(states) if sums[no] == 0 and not state.isdigit()]
    shares[ends, ends] = sums[ends] = 1.0
    missed = np.abs(sums - 1)
    if (weight != "n" and missed.max() > _ROUNDED) or (sums == 0).any():
        worst = states[int(np.argmax(np.where(sums == 0, np.inf, missed)))]
        raise InputError(
            f"the row of {worst} sums to {sums[states.index(worst)]:g}; shares have to sum to 1, counts to more than 0"
        )
    sizes = [0 if no in ends or weight != "n" else round(total) for no, total in enumerate(sums)]
    used, rescaled = (sum(sizes), None) if weight == "n" else (None, float(missed.max()))
    base: dict[str, Any] = {
        "used": used, "excluded": {"not_seen_at_both_ends": left_out}, "backfilled": None, "as_of": None,
        "filters": {"rescaled_ratio": rescaled},
    }  # fmt: skip
    return states, shares / sums[:, None], sizes, base


def _named(states: pd.Series[Any]) -> pd.Series[Any]:
    """States as text; classes that were floats are whole numbers again."""
    if not pd.api.types.is_numeric_dtype(states):
        return states.astype("string")
    if not all(is_whole(state, 1) for state in states.dropna()):
        raise InputError(f"{states.name} of the matrix holds what is no class; give whole numbers from 1 on, or words")
    return states.astype("Int64").astype("string")


def _with_filter(base: dict[str, Any], **more: object) -> dict[str, Any]:
    return base | {"filters": base["filters"] | more}


def _telling(matrix: pd.DataFrame) -> set[str]:
    """What the shares are made of: counts, unless they are those of a generator."""
    return {"share_ratio"} if "rate_per_year" in matrix or "n" not in matrix else {"n"}


def _place(state: str) -> tuple[bool, bool, int, str]:
    """Classes by number, then words, default last."""
    return not state.isdigit(), state == DEFAULTED, int(state) if state.isdigit() else 0, state


def _variance(powers: list[_Matrix], shares: _Matrix, sizes: list[int], cell: tuple[int, int], year: int) -> float:
    """Of the cumulative probability: each row of the matrix is multinomial, and enters in every year.

    A cell of default in which nobody was seen counts as half a company: that it is empty is chance as well.
    """
    origin, goal = cell
    total = 0.0
    for row, size in enumerate(sizes):
        if not size:
            continue
        slope = np.sum([powers[s][origin, row] * powers[year - 1 - s][:, goal] for s in range(year)], axis=0)
        p = shares[row].copy()
        p[goal] = max(p[goal], 0.5 / size)
        p /= p.sum()
        total += float(p @ slope**2 - (p @ slope) ** 2) / size
    return total


def _bounds(p: float, variance: float, size: int, confidence: float) -> tuple[float, float]:
    if size < FEWEST or variance <= 0:
        return np.nan, np.nan
    worth = max(p * (1 - p), 0.5 / size * (1 - 0.5 / size)) / variance
    low, high = rate_bounds(worth, p * worth, confidence=confidence)
    return float(low), float(high)
