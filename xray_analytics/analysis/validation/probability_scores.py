"""How good are the probabilities as forecasts? Brier score, and tests of all of them together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from ...errors import InputError
from ..frames import Frame
from ..guards import is_whole
from .statistic import CONFIDENCE, LEVEL, POWER, Statistic, reach
from .tally import Floats, Tally, check_horizon, check_probabilities, tally

MOST_GRADES = 20  # distinct probabilities; with more, each is forecast too rarely for a decomposition
FEWEST_GROUPS = 3
_FACTOR = "default rate / probability, all alike,"


def brier(
    sample: Frame,
    *,
    horizon_months: int,
    probability: str = "default_probability",
    cluster: str | None = None,
    confidence: float = CONFIDENCE,
) -> Statistic:
    """Mean squared distance between outcome (1 default, 0 none) and probability: 0 is perfect, lower is better.

    Parameters
    ----------
    sample
        `defaulted` and the probability, one row per company (or counts); see `validation`.
    horizon_months
        Horizon of both probability and outcome, as you declare it [months].
    probability
        Column of the probability (0–1). Observations without one are left out and counted.
    cluster
        Column by which repeated observations belong together: the interval is clustered.
    confidence
        Of the two-sided interval.

    Returns
    -------
    Statistic
        ``value``, ``variance`` and normal interval. With at most 20 distinct probabilities ``parts`` has Murphy's
        decomposition, value = reliability (0 is perfect) − resolution (more is better) + uncertainty. With 2 % of
        defaults the score is near 0.02 whatever the model does: compare it with uncertainty, never between samples.

    Raises
    ------
    InputError
        A probability is outside 0 … 1, the horizon is below one month, or as in `auc`.

    Notes
    -----
    Brier (1950), Monthly Weather Review 78; Murphy (1973), Journal of Applied Meteorology 12, 595–600.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> sample = DataFrame({"defaulted": [0, 1, 1, 0], "default_probability": [0.1, 0.9, 0.8, 0.3]})
    >>> round(brier(sample, horizon_months=12).value, 12)
    0.0375
    """
    horizon = check_horizon(horizon_months)
    counts, p = _forecasts(sample, probability, cluster)
    bad, good, n = counts.bad, counts.good, float(counts.n)
    value = float((bad * (1 - p) ** 2 + good * p**2).sum() / n)
    variance = _mean_variance(counts, [((1 - p) ** 2 - value, bad), (p**2 - value, good)])
    width = None if variance is None else reach(confidence) * float(np.sqrt(variance))
    return Statistic(
        "Brier score", value, counts.n, counts.n_defaults,
        low=None if width is None else max(value - width, 0.0), high=None if width is None else min(value + width, 1.0),
        variance=variance, confidence=confidence, n_missing=counts.n_missing, n_clusters=counts.n_clusters,
        parts=_murphy(p, bad, bad + good), notes=(horizon,),
    )  # fmt: skip


def spiegelhalter(sample: Frame, *, horizon_months: int, probability: str = "default_probability") -> Statistic:
    """Are the probabilities right, taken together? Spiegelhalter's z from the Brier score.

    Parameters
    ----------
    sample, horizon_months, probability
        As in `brier`; one observation per company.

    Returns
    -------
    Statistic
        ``value``: z, standard normal if every probability is right; above 0 where outcomes are further from the
        probabilities than they should be, which for probabilities below one half means too many defaults. Two-sided
        ``p_value``. ``detectable``: the smallest common factor by which all probabilities would have to be too low.

    Raises
    ------
    InputError
        As `brier`, or every probability is 0, ½ or 1, which says nothing.

    Notes
    -----
    Σ (d − p)(1 − 2p) / √(Σ (1 − 2p)² p (1 − p)): Spiegelhalter (1986), Statistics in Medicine 5, 421–433. It can miss
    errors that cancel: low probabilities too low, high ones too high.

    Examples
    --------
    One of ten with 10 % each defaults, just as expected.

    >>> from pandas import DataFrame
    >>> sample = DataFrame({"default_probability": [0.1], "n": [10], "n_defaults": [1]})
    >>> round(spiegelhalter(sample, horizon_months=12).value, 12)
    0.0
    """
    horizon = check_horizon(horizon_months)
    counts, p = _forecasts(sample, probability, None)
    n, weight = counts.values("n"), 1 - 2 * p
    spread = float((n * weight**2 * p * (1 - p)).sum())
    if spread <= 0:
        raise InputError(f"every {probability} is 0, ½ or 1: Spiegelhalter's test says nothing of them")
    value = float(((counts.bad - n * p) * weight).sum() / np.sqrt(spread))

    def missed(factor: float) -> float:
        q = np.minimum(p * factor, 1)
        shift, error = (n * (q - p) * weight).sum(), np.sqrt((n * weight**2 * q * (1 - q)).sum())
        return float(shift - stats.norm.isf(LEVEL / 2) * np.sqrt(spread) - stats.norm.ppf(POWER) * error)

    return Statistic(
        "Spiegelhalter z", value, counts.n, counts.n_defaults, p_value=float(2 * stats.norm.sf(abs(value))),
        null="all probabilities are right", detectable=_factor(missed, p), detectable_is=_FACTOR,
        n_missing=counts.n_missing, notes=(horizon,),
    )  # fmt: skip


def hosmer_lemeshow(
    sample: Frame, *, fitted: bool, horizon_months: int, probability: str = "default_probability", groups: int = 10
) -> Statistic:
    """Do defaults agree with the probabilities in groups of equal size, from the safest to the riskiest?

    Parameters
    ----------
    sample, horizon_months, probability
        As in `brier`; one observation per company.
    fitted
        Whether the probabilities were fitted to these very outcomes: g − 2 degrees of freedom, else g.
    groups
        How many groups of about equal size. Equal probabilities stay together, in the group in which the middle of
        them lies, so there may be fewer.

    Returns
    -------
    Statistic
        ``value``: chi-squared; ``p_value`` of the hypothesis that the probabilities are right; ``parts`` the groups
        and degrees of freedom. A note says where fewer than 5 defaults are expected: the distribution is rough there.

    Raises
    ------
    InputError
        As `brier`, fewer than 3 groups result, or a group has probabilities of 0 or 1 only and a contrary outcome.

    Notes
    -----
    Σ (D − E)² / (E (1 − E / n)) over the groups: Hosmer & Lemeshow (1980), Communications in Statistics 9. Its power
    depends on n and on the grouping: no measure of how good a model is.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> sample = DataFrame({"default_probability": [0.1, 0.2, 0.5], "n": [100, 100, 100], "n_defaults": [13, 20, 50]})
    >>> round(hosmer_lemeshow(sample, fitted=False, horizon_months=12).value, 12)
    1.0
    """
    horizon = check_horizon(horizon_months)
    counts, p = _forecasts(sample, probability, None)
    n = counts.values("n")
    if not is_whole(groups, FEWEST_GROUPS):
        raise InputError(f"groups is {groups}; give {FEWEST_GROUPS} or more")
    place = np.floor(groups * (np.cumsum(n) - n / 2) / n.sum()).astype(np.int64)
    group = np.unique(place, return_inverse=True)[1]
    sizes, bads, expected = (np.bincount(group, x) for x in (n, counts.bad, n * p))
    if len(sizes) < FEWEST_GROUPS:
        distinct = len(np.unique(p))
        raise InputError(f"{distinct} probabilities give {len(sizes)} groups; the test needs {FEWEST_GROUPS} or more")
    spread = expected * (1 - expected / sizes)
    if ((spread <= 0) & (bads != expected)).any():
        raise InputError("a group with probabilities of 0 or 1 only has a contrary outcome; no test is needed")
    terms = np.divide((bads - expected) ** 2, spread, out=np.zeros_like(spread), where=spread > 0)
    value, freedom = float(terms.sum()), len(sizes) - (2 if fitted else 0)

    def missed(factor: float) -> float:
        shift = expected * (factor - 1)
        away = np.divide(shift**2, spread, out=np.zeros_like(spread), where=spread > 0).sum()
        return float(stats.ncx2.sf(stats.chi2.isf(LEVEL, freedom), freedom, away) - POWER)

    few = int((np.minimum(expected, sizes - expected) < 5).sum())
    notes = (horizon, *([f"{few} of {len(sizes)} groups expect fewer than 5 defaults or non-defaults"] if few else []))
    return Statistic(
        "Hosmer-Lemeshow chi-squared", value, counts.n, counts.n_defaults, p_value=float(stats.chi2.sf(value, freedom)),
        null="all probabilities are right", detectable=_factor(missed, expected / sizes), detectable_is=_FACTOR,
        n_missing=counts.n_missing, parts={"groups": len(sizes), "degrees of freedom": freedom}, notes=notes,
    )  # fmt: skip


def _forecasts(sample: Frame, probability: str, cluster: str | None) -> tuple[Tally, Floats]:
    counts = tally(sample, [probability], cluster=cluster)
    p = counts.values(probability)
    check_probabilities(p, probability)
    return counts, p


def _mean_variance(counts: Tally, terms: list[tuple[Floats, Floats]]) -> float | None:
    """Variance of a mean whose deviations are given with their counts; null for fewer than two observations."""
    n = counts.n
    if counts.cluster is None:
        return None if n < 2 else float(sum((x**2 * k).sum() for x, k in terms) / (n - 1) / n)
    groups = counts.n_clusters or 0
    sums = np.bincount(counts.cluster, np.sum([x * k for x, k in terms], axis=0))
    return float(groups / (groups - 1) * np.square(sums).sum() / n**2)


def _murphy(p: Floats, bad: Floats, n: Floats) -> dict[str, float]:
    level = np.unique(p, return_inverse=True)[1]
    if level.max() >= MOST_GRADES:
        return {}
    sizes, bads = np.bincount(level, n), np.bincount(level, bad)
    rates, rate, total = bads / sizes, bads.sum() / sizes.sum(), sizes.sum()
    return {
        "reliability": float((sizes * (np.unique(p) - rates) ** 2).sum() / total),
        "resolution": float((sizes * (rates - rate) ** 2).sum() / total),
        "uncertainty": float(rate * (1 - rate)),
    }


def _factor(missed: Callable[[float], float], p: Floats) -> float | None:
    """The factor above 1 at which the power is reached; null where not even the largest that keeps p below 1 does."""
    most = float(1 / p.max()) if p.max() > 0 else 1.0
    if most <= 1 or missed(most) < 0:
        return None
    return float(optimize.brentq(missed, 1.0, most))
