"""How many defaults are there when companies default together? Binomial, mixed over one common factor."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy import optimize, special

from ...errors import InputError
from ..guards import is_number
from .tally import Floats

_FURTHEST = 9.0  # standard deviations: PDs from 1e-19 to 1
_EDGE = 8.5  # of the common factor; beyond it lies less than 1e-16
_STEPS = np.array([-40.0, -12.0, -4.0, 0.0, 4.0, 12.0, 40.0])  # widths of the jump from no to all scenarios
_NODES, _WEIGHTS = leggauss(48)


def chance_of_defaults(n: int, at_least: int, pd: float, correlation: float = 0.0) -> float:
    """P(D ≥ `at_least`) among `n` companies that default with probability `pd`.

    With a correlation of their asset values r, companies are independent given a common factor Y, standard normal:
    each then defaults with probability Φ((Φ⁻¹(pd) + √r Y) / √(1 − r)) (Vasicek, 2002). The mixture is integrated
    numerically, to about 1e-10.

    Examples
    --------
    >>> round(chance_of_defaults(2, 1, 0.5), 12)
    0.75
    """
    if at_least <= 0 or at_least > n:
        return float(at_least <= 0)
    if correlation == 0 or pd in (0.0, 1.0):
        return float(special.betainc(at_least, n - at_least + 1, pd))
    factor, weight = _grid(n, at_least, pd, correlation)
    given = special.ndtr((special.ndtri(pd) + np.sqrt(correlation) * factor) / np.sqrt(1 - correlation))
    return float(np.clip(weight @ special.betainc(at_least, n - at_least + 1, given), 0, 1))


def correlated_bounds(n: int, defaults: int, correlation: float, tail: float) -> tuple[float, float]:
    """Bounds of the probability: those at which so many defaults or more, and so few or fewer, have the chance `tail`.

    Without a correlation they are Clopper and Pearson's; with one they are those of the year's companies together.

    Examples
    --------
    >>> [round(bound, 4) for bound in correlated_bounds(10, 0, 0.0, 0.5)]  # (1 − pd)¹⁰ = 0.5
    [0.0, 0.067]
    """

    def crossing(at_least: int, chance: float) -> float:
        def excess(quantile: float) -> float:
            return chance_of_defaults(n, at_least, float(special.ndtr(quantile)), correlation) - chance

        return float(special.ndtr(optimize.brentq(excess, -_FURTHEST, _FURTHEST, xtol=1e-11)))

    low = 0.0 if defaults == 0 else crossing(defaults, tail)
    return low, 1.0 if defaults == n else crossing(defaults + 1, 1 - tail)


def check_correlation(correlation: float) -> None:
    """Refuse what is no correlation of assets.

    Raises
    ------
    InputError
        It is below 0, or 1 and above.
    """
    if not is_number(correlation, 0, 1) or correlation == 1:
        raise InputError(f"correlation is {correlation}; give the correlation of assets, from 0 to below 1")


def _grid(n: int, at_least: int, pd: float, correlation: float) -> tuple[Floats, Floats]:
    """Nodes and weights over the factor, finer where the count goes from surely below to surely above."""
    rate = np.clip(at_least / n, 0.5 / n, 1 - 0.5 / n)
    slope, quantile = np.sqrt(correlation / (1 - correlation)), special.ndtri(rate)
    middle = (quantile * np.sqrt(1 - correlation) - special.ndtri(pd)) / np.sqrt(correlation)
    steepness = slope * np.exp(-(quantile**2) / 2) / np.sqrt(2 * np.pi)
    width = np.sqrt(rate * (1 - rate) / n) / steepness
    edges = np.unique(np.clip(np.concatenate([[-_EDGE, 0.0, _EDGE], middle + width * _STEPS]), -_EDGE, _EDGE))
    half = np.diff(edges) / 2
    nodes = ((edges[:-1] + edges[1:]) / 2)[:, None] + half[:, None] * _NODES
    weights = half[:, None] * _WEIGHTS * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
    return nodes.ravel(), weights.ravel()
