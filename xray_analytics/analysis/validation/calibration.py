"""Are there more defaults than the probabilities said? Class by class, with the power of every answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from pandas import DataFrame
from scipy import optimize, stats

from ...errors import InputError
from .. import frames
from ..frames import Frame
from ..guards import is_number, is_whole
from .default_rates import class_bounds
from .intervals import check_counts, rate_bounds
from .one_factor import chance_of_defaults, check_correlation, correlated_bounds
from .statistic import CONFIDENCE, LEVEL, POWER, Statistic, reach
from .tally import (
    SAMPLE,
    Floats,
    check_finite,
    check_horizon,
    check_probabilities,
    check_sums,
    cluster_codes,
    counted,
    named_sums,
)

VERDICTS = ("underestimated", "overestimated", "not_rejected", "too_few", "not_tested")
_FACTOR = "default rate / probability"
_TOO_HIGH = "p-value that it is not too high"


def jeffreys(n: int, defaults: int, probability: float, *, confidence: float = CONFIDENCE) -> Statistic:
    """Is the probability of default of a class too low? One-sided test from the Jeffreys posterior.

    Parameters
    ----------
    n
        Companies of the class, each once.
    defaults
        Those of them that defaulted within the horizon of the probability.
    probability
        The mean probability of default of the class (0–1), over that same horizon.
    confidence
        Of the two-sided interval of the default rate.

    Returns
    -------
    Statistic
        ``value``: the default rate, with its Jeffreys interval; ``p_value`` of the hypothesis that the true rate is at
        most `probability`: small values say that the risk is underestimated. Without any default it stays what it is
        by formula, and is no reason to call a class underestimated. ``detectable``: the smallest multiple of
        `probability` that this n would probably show. ``parts``: the p-value of the other direction, that the
        probability is not too high (the other tail of the posterior).

    Raises
    ------
    InputError
        Counts that cannot be, or a probability outside 0 … 1.

    Notes
    -----
    Beta(D + ½, n − D + ½) at the probability: ECB (2019), "Instructions for reporting the validation results of
    internal models", 2.5.3.1. Companies are taken as independent; see `binomial` for a correlation.

    Examples
    --------
    >>> round(jeffreys(1000, 12, 0.01).p_value, 6)
    0.252381
    """
    check_counts(n, defaults)
    check_probabilities(np.array([probability]), "probability")
    low, high = rate_bounds(n, defaults, confidence=confidence)
    return Statistic(
        "default rate", defaults / n, n, defaults, float(low), float(high),
        p_value=_jeffreys_p(n, defaults, probability), null=f"at most {probability:.4g}",
        detectable=_detectable_jeffreys(n, probability), detectable_is=_FACTOR,
        parts={_TOO_HIGH: 1 - _jeffreys_p(n, defaults, probability)}, confidence=confidence,
        notes=() if defaults else ("without a default no class is called underestimated",),
    )  # fmt: skip


def binomial(  # noqa: PLR0913 - how companies hang together, and how sure one wants to be
    n: int,
    defaults: int,
    probability: float,
    *,
    correlation: float = 0.0,
    confidence: float = CONFIDENCE,
    level: float = LEVEL,
) -> Statistic:
    """The chance of so many defaults or more, if the probability of default is right.

    Parameters
    ----------
    n, defaults, probability
        As in `jeffreys`.
    correlation
        Of the assets of the companies (one common factor), 0 to below 1; Basel's formulas use 0.12 to 0.24 for
        corporates. With any correlation, many more defaults are needed to reject.
    confidence
        Of the two-sided interval of the probability, all values rejected in neither direction.
    level
        One-sided, at which ``detectable`` is stated.

    Returns
    -------
    Statistic
        ``value``: the default rate; ``low`` and ``high``: see `default_rate_interval`; ``p_value``: P(D ≥ `defaults`);
        ``parts``: P(D ≤ `defaults`), for the other direction, and the correlation; ``detectable`` as in `jeffreys`,
        null where no number of defaults would reject.

    Raises
    ------
    InputError
        As `jeffreys`, or the correlation is not from 0 to below 1.

    Notes
    -----
    BCBS Working Paper 14 (2005), "Studies on the validation of internal rating systems", III; Vasicek (2002), "The
    distribution of loan portfolio value", Risk 15.

    Examples
    --------
    1 − 0.9² − 2 · 0.9 · 0.1 = 0.01.

    >>> round(binomial(2, 2, 0.1).p_value, 12)
    0.01
    """
    check_counts(n, defaults)
    check_correlation(correlation)
    check_probabilities(np.array([probability]), "probability")
    reach(confidence)
    if not is_number(level, 0, 1):
        raise InputError(f"level is {level}; give a probability, such as 0.05")
    low, high = correlated_bounds(n, defaults, correlation, (1 - confidence) / 2)
    fewer = 1 - chance_of_defaults(n, defaults + 1, probability, correlation)
    return Statistic(
        "default rate", defaults / n, n, defaults, low, high,
        p_value=chance_of_defaults(n, defaults, probability, correlation), null=f"at most {probability:.4g}",
        detectable=_detectable_binomial(n, probability, correlation, level), detectable_is=_FACTOR,
        confidence=confidence, parts={_TOO_HIGH: fewer} | ({"correlation": correlation} if correlation else {}),
    )  # fmt: skip


def calibration_table(  # noqa: PLR0913 - what a verdict rests on has to be said
    sample: Frame,
    *,
    horizon_months: int,
    by: str = "risk_class",
    probability: str = "default_probability",
    cluster: str | None = None,
    confidence: float = CONFIDENCE,
    level: float = LEVEL,
    min_n: int = 1,
    correlation: float = 0.0,
) -> DataFrame:
    """Mean probability of default against default rate, class by class, with a verdict that knows how many were asked.

    Parameters
    ----------
    sample
        `defaulted`, the class and the probability, one row per company (or counts); see `validation`.
    horizon_months
        Horizon of both probability and outcome, as you declare it [months].
    by
        Column of the class; a missing class is a row of its own, last.
    probability
        Column of the probability (0–1). Observations without one are left out and counted in the base.
    cluster
        Column by which repeated observations belong together: the intervals are clustered, and there is no exact test.
    confidence
        Of the two-sided intervals of the default rate: Jeffreys', clustered Wilson's.
    level
        At which Holm-adjusted p-values call a class underestimated or overestimated: in either direction, so that a
        table of right probabilities errs at twice this level at most.
    min_n
        Classes of fewer companies get no verdict.
    correlation
        Of assets, 0 to below 1: with one the tests are those of `binomial`, else Jeffreys'. The classes of one year
        share the factor; Holm's adjustment holds all the same.

    Returns
    -------
    DataFrame
        `by`, `n`, `n_defaults`, `mean_probability`, `default_rate_ratio`, `low`, `high`, `p_value` (one-sided,
        hypothesis: the probability is not too low), `p_value_holm` (over the classes tested), `p_value_over` and
        `p_value_over_holm` (hypothesis: it is not too high), `detectable_factor` (see `jeffreys`), `verdict`:
        ``underestimated``, ``overestimated``, ``not_rejected`` (no proof of being right: see what is detectable),
        ``too_few``, ``not_tested``. A class without a default is never underestimated.

    Raises
    ------
    InputError
        As in `auc`, a probability is outside 0 … 1, or the horizon is below one month.

    Notes
    -----
    Jeffreys test: see `jeffreys`. Holm (1979), Scandinavian Journal of Statistics 6, 65–70. Within a class the
    probabilities differ: the number of defaults then varies a little less than binomially, and the test errs on the
    quiet side.

    Examples
    --------
    >>> sample = DataFrame({
    ...     "risk_class": [1, 2], "default_probability": [0.01, 0.015], "n": [1000, 250], "n_defaults": [12, 9],
    ... })
    >>> table = calibration_table(sample, horizon_months=12)
    >>> table[["p_value", "p_value_holm"]].round(4).values.tolist(), table["verdict"].tolist()
    ([[0.2524, 0.2524], [0.0084, 0.0169]], ['not_rejected', 'underestimated'])
    """
    check_horizon(horizon_months)
    check_correlation(correlation)
    if not is_number(level, 0, 1) or not is_whole(min_n, 0):
        raise InputError(f"level is {level} and min_n {min_n}; give a probability and a whole number from 0 on")
    cells = _classes(sample, by, probability, cluster)
    n_missing = int(cells["n_missing"].sum())
    cells = cells[cells["n"] > 0]
    if cells.empty:
        raise InputError(f"no observation has {probability}; check how the sample was joined")
    sums = cells.groupby(by, dropna=False)[["n", "n_defaults", "sum"]].sum().reset_index()
    table = sums.sort_values(by, na_position="last", ignore_index=True)
    table["mean_probability"] = np.clip(table["sum"] / table["n"], 0, 1)
    table["default_rate_ratio"] = table["n_defaults"] / table["n"]
    table["low"], table["high"] = class_bounds(table, cells, by, cluster, confidence)
    tested = (table["n"] >= min_n) & (cluster is None)
    table = _tested(table, tested.to_numpy(bool), level, None if cluster is not None else correlation)
    result = table.drop(columns="sum").astype({"n": "int64", "n_defaults": "int64", "verdict": "string"})
    result.attrs["base"] = {
        "used": int(result["n"].sum()), "excluded": {"no_probability": n_missing}, "backfilled": None, "as_of": None,
        "filters": {"horizon": f"{horizon_months} months", "level": level},
    }  # fmt: skip
    return result


def holm(p_values: Floats) -> Floats:
    """P-values adjusted for their number, step by step from the smallest (Holm, 1979); one not known (NaN) stays so.

    Raises
    ------
    InputError
        One is no probability.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(12).tolist()
    [0.03, 0.06, 0.06]
    """
    known = np.flatnonzero(~np.isnan(p_values))
    check_probabilities(p_values[known], "p_values")
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.full_like(p_values, np.nan)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def _classes(sample: Frame, by: str, probability: str, cluster: str | None) -> DataFrame:
    """Per class (and cluster) the observations with a probability, their defaults and its sum; those without one."""
    lazy = counted(sample, [probability], cluster, by=by)
    known = ~nw.col(probability).is_null()
    given = nw.when(known)
    lazy = lazy.with_columns(
        n_missing=nw.when(~known).then(nw.col("n")),
        sum=given.then(nw.col(probability) * nw.col("n")),
        n=given.then(nw.col("n")),
        n_defaults=given.then(nw.col("n_defaults")),
    )
    keys = list(dict.fromkeys([by, *([cluster] if cluster else [])]))
    ends = (nw.col(probability).min().alias("least"), nw.col(probability).max().alias("most"))
    sums = (nw.col(name).sum() for name in named_sums("n_missing", "sum"))
    cells = frames.collect(lazy.group_by(*keys).agg(*sums, *ends), SAMPLE)
    check_sums(cells)
    check_finite(cells, [by])
    check_probabilities(cells[["least", "most"]].dropna().to_numpy(np.float64).ravel(), probability)
    if cluster:
        cells["cluster"] = cluster_codes(cells[cluster])
    return cells.astype(dict.fromkeys(("n", "n_defaults", "n_missing", "sum"), "float64"))


def _tested(table: DataFrame, tested: Any, level: float, correlation: float | None) -> DataFrame:
    """The table with p-values of both directions, what is detectable, and verdicts; no correlation: clustered."""
    numbers = [
        (int(n), int(bad), p) for n, bad, p in table[["n", "n_defaults", "mean_probability"]].itertuples(index=False)
    ]
    tails = np.array([_tails(*row, correlation or 0.0) for row in numbers])
    found: dict[str, Floats] = {}
    hits = []
    for column, raw in zip(("p_value", "p_value_over"), tails.T, strict=True):
        adjusted = np.full(len(table), np.nan)
        adjusted[tested] = holm(raw[tested])
        found |= {column: np.where(tested, raw, np.nan), f"{column}_holm": adjusted}
        hits.append(adjusted <= level)
    factors = [None if correlation is None else _detectable(n, p, correlation) for n, _, p in numbers]
    quiet = "not_tested" if correlation is None else "too_few"
    hits[0] &= table["n_defaults"].to_numpy() > 0
    words = np.select([~tested, *hits], [quiet, *VERDICTS[:2]], "not_rejected")
    return table.assign(**found, detectable_factor=np.array(factors, np.float64), verdict=words)


def _tails(n: int, defaults: int, probability: float, correlation: float) -> tuple[float, float]:
    """P-values of too low and of too high."""
    if correlation == 0:
        p_value = _jeffreys_p(n, defaults, probability)
        return p_value, 1 - p_value
    at_least = (chance_of_defaults(n, k, probability, correlation) for k in (defaults, defaults + 1))
    p_value, more = at_least
    return p_value, 1 - more


def _detectable(n: int, probability: float, correlation: float) -> float | None:
    if correlation == 0:
        return _detectable_jeffreys(n, probability)
    return _detectable_binomial(n, probability, correlation, LEVEL)


def _jeffreys_p(n: float, defaults: float, probability: float) -> float:
    return float(stats.beta.cdf(probability, defaults + 0.5, n - defaults + 0.5))


def _detectable_jeffreys(n: int, probability: float) -> float | None:
    needed = _first(n, lambda k: _jeffreys_p(n, k, probability) <= LEVEL)
    if needed is None or probability == 0:
        return None
    return float(stats.beta.ppf(POWER, needed, n - needed + 1)) / probability


def _detectable_binomial(n: int, probability: float, correlation: float, level: float) -> float | None:
    needed = _first(n, lambda k: chance_of_defaults(n, k, probability, correlation) <= level)
    if needed is None or probability == 0:
        return None
    found = optimize.brentq(lambda rate: chance_of_defaults(n, needed, rate, correlation) - POWER, probability, 1)
    return float(found) / probability


def _first(n: int, rejects: Callable[[int], bool]) -> int | None:
    """The smallest number of defaults, from 1 to n, that rejects; found by halving, as more defaults reject more."""
    low, high = 1, n
    if not rejects(n):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if rejects(middle) else (middle + 1, high)
    return low
