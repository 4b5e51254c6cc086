"""Between what bounds does an AUC lie when only a few companies default, or only a few classes are there?

With 100 observations or more of both kinds the logit of the AUC is normal enough. Below, and most of all with tied
classes, DeLong's variance is too small as often as not, and intervals made of it covered 0.78 to 0.89 in simulation.
There a value is within the interval if the AUC is no further from it than chance would carry it under either of two
variances, both taken *at that value*: Newcombe's method 5, which needs no estimate, and DeLong's, carried there in
proportion, with Student's t. Simulated from 3 defaults of 50 on, for normal scores whose spread among the defaults is
half to twice that of the others and for five tied classes: 0.93 to 1.00. Tests and intervals are the same inversion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from .statistic import LEVEL, POWER, reach
from .tally import Floats

ENOUGH = 100  # of either kind: from here on the logit interval
FEWEST = 3  # of either kind: below there is no interval
_GRID = np.linspace(1e-6, 1 - 1e-6, 2001)


@dataclass(frozen=True)
class AreaEstimate:
    """An AUC as estimated: its DeLong variance, and how many independent observations of either kind it rests on."""

    value: float
    variance: float
    n_bad: int
    n_good: int
    is_clustered: bool = False

    @property
    def why_not(self) -> str:
        """Why it has no interval; empty where it has one."""
        fewest = min(self.n_bad, self.n_good)
        if fewest > 1 and not self.variance > 0 and (self.is_clustered or fewest < FEWEST):
            return "no interval: the estimated variance is 0, which says nothing"
        return "no interval: too few in one of the two classes" if fewest < FEWEST else ""

    @property
    def is_large(self) -> bool:
        """Whether the logit interval holds."""
        return self.is_clustered or (self.variance > 0 and min(self.n_bad, self.n_good) >= ENOUGH)

    def bounds(self, confidence: float) -> tuple[float, float]:
        """The two-sided interval: all values that neither one-sided test rejects."""
        tail = float(stats.norm.sf(reach(confidence)))
        if self.is_large:
            away = self._logit_reach(tail)
            low, high = (float(special.expit(special.logit(self.value) + side * away)) for side in (-1, 1))
            return low, high
        below, above = _GRID[_GRID - self.value < 0], _GRID[_GRID - self.value > 0][::-1]
        lowest = _first_root(lambda at: self.value - at - self._width(at, tail), below)
        highest = _first_root(lambda at: at - self.value - self._width(at, tail), above)
        return (0.0 if lowest is None else lowest), (1.0 if highest is None else highest)

    def chance_below(self, reference: float) -> float:
        """One-sided p-value: how often chance gives an AUC as low as this, if `reference` is true."""
        if self.is_large:
            error = np.sqrt(self.variance) / (self.value * (1 - self.value))
            away = (special.logit(reference) - special.logit(self.value)) / error
            return float(stats.t.sf(away, self._freedom) if self.is_clustered else stats.norm.sf(away))
        drop, by_design, by_sample = reference - self.value, *self._errors(reference)
        chances = [_tail(drop, by_design, np.inf), _tail(drop, by_sample, self._freedom)]
        return float(max(chances) if drop > 0 else min(chances))

    def detectable_drop(self, reference: float, *, sides: int = 1) -> float | None:
        """The drop from `reference` that the test finds with `POWER`; null where it finds none."""
        needed = reference - self._last_not_rejected(reference, LEVEL / sides)

        def missed(drop: float) -> float:
            return float(drop - needed - stats.norm.ppf(POWER) * self._error_at(reference - drop))

        most = reference - 1e-3
        if most <= 0 or missed(most) < 0:
            return None
        return float(optimize.brentq(missed, 0, most))

    @property
    def _freedom(self) -> int:
        return min(self.n_bad, self.n_good) - 1

    def _logit_reach(self, tail: float) -> float:
        error = np.sqrt(self.variance) / (self.value * (1 - self.value))
        return float(error * (stats.t.isf(tail, self._freedom) if self.is_clustered else stats.norm.isf(tail)))

    def _errors(self, at: float | Floats) -> tuple[Floats, Floats]:
        """Standard errors if this were the true AUC: by Newcombe's method 5, and DeLong's carried there."""
        by_design = newcombe(at, self.n_bad, self.n_good)
        here = newcombe(self.value, self.n_bad, self.n_good)
        scale = self.variance / here if here > 0 else 0.0
        return np.sqrt(by_design), np.sqrt(by_design * scale)

    def _width(self, at: float | Floats, tail: float) -> Floats:
        by_design, by_sample = self._errors(at)
        return np.asarray(np.maximum(by_design * stats.norm.isf(tail), by_sample * stats.t.isf(tail, self._freedom)))

    def _error_at(self, at: float) -> float:
        if self.is_large:
            return float(np.sqrt(self.variance))
        return float(np.maximum(*self._errors(at)))

    def _last_not_rejected(self, reference: float, level: float) -> float:
        """The lowest AUC that would not be called below the reference."""
        if self.is_large:
            return float(special.expit(special.logit(reference) - self._logit_reach(level)))
        return reference - float(self._width(reference, level))


def newcombe(area: float | Floats, n_bad: int, n_good: int) -> Floats:
    """Variance of an AUC by Newcombe's method 5, from the AUC and the numbers alone.

    Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2",
    Statistics in Medicine 25, 559–573; after Hanley & McNeil (1982), both numbers replaced by their mean.

    >>> float(newcombe(0.5, 3, 3).round(12))  # 0.25 (1 + 2 (1/3 + 1/3)) / 9
    0.064814814815
    """
    alike = (n_bad + n_good) / 2 - 1
    spread = 1 + alike * (1 - area) / (2 - area) + alike * area / (1 + area)
    return np.asarray(area * (1 - area) * spread / (n_bad * n_good))


def _tail(drop: float, error: float | Floats, freedom: float) -> float:
    if error == 0:
        return 0.5 if drop == 0 else float(drop < 0)
    return float(stats.t.sf(drop / error, freedom) if np.isfinite(freedom) else stats.norm.sf(drop / error))


def _first_root(excess: Callable[[float | Floats], Floats], grid: Floats) -> float | None:
    """Where the excess over the width ends, going along the grid towards the estimate."""
    if not len(grid):
        return None
    inside = np.flatnonzero(np.asarray(excess(grid)) <= 0)
    if not len(inside):
        return float(grid[-1])
    if inside[0] == 0:
        return None
    ends = sorted((float(grid[inside[0] - 1]), float(grid[inside[0]])))
    return float(optimize.brentq(lambda at: float(excess(at)), *ends))
