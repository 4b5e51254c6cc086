"""Can probabilities that miss the level be mended? A shift of the logit, or an isotonic map with a least bucket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special, stats

from ...errors import InputError
from ..frames import Frame
from ..guards import is_whole
from .intervals import rate_bounds
from .probability_scores import brier, hosmer_lemeshow, spiegelhalter
from .statistic import CONFIDENCE, Statistic, reach
from .tally import Floats, check_horizon, check_probabilities, tally

_FURTHEST = 30.0  # of a logit


@dataclass(frozen=True)
class Recalibration:
    """A map from old probabilities to new ones, with what it rests on; the result of `recalibration`.

    ``shift``: that of the logit with its interval (null: isotonic). ``buckets``: `low` (the bucket begins there),
    `n`, `n_defaults`, `probability`, and of the check sample `check_n`, `check_n_defaults`, `check_low`,
    `check_high` (null: shift). ``tests``: `statistic`, `before`, `p_before`, `after`, `p_after`, on the check sample;
    without one p-values of after are null, because the map was made to fit.
    """

    method: str
    shift: Statistic | None
    buckets: pd.DataFrame | None
    tests: pd.DataFrame

    def apply(self, probabilities: npt.ArrayLike) -> Floats:
        """The new probabilities of old ones; null stays null.

        Raises
        ------
        InputError
            One is outside 0 … 1.
        """
        old = np.asarray(probabilities, np.float64)
        check_probabilities(old[~np.isnan(old)], "probabilities")
        if self.shift is not None:
            return np.asarray(special.expit(special.logit(old) + self.shift.value))
        assert self.buckets is not None  # noqa: S101 - one of the two is there
        place = np.searchsorted(self.buckets["low"].to_numpy(), np.nan_to_num(old), side="right") - 1
        return np.where(np.isnan(old), np.nan, self.buckets["probability"].to_numpy(np.float64)[place])


def recalibration(  # noqa: PLR0913 - what is mended, how, and on whom it is checked
    sample: Frame,
    *,
    horizon_months: int,
    method: Literal["shift", "isotonic"] = "shift",
    probability: str = "default_probability",
    check: Frame | None = None,
    min_n: int = 100,
    min_defaults: int = 5,
    confidence: float = CONFIDENCE,
) -> Recalibration:
    """New probabilities that agree with the defaults of a sample, and how they do before and after.

    Parameters
    ----------
    sample
        `defaulted` and the probability, one row per company (or counts); see `validation`. The map is made of it.
    horizon_months
        Horizon of both probability and outcome, as you declare it [months].
    method
        ``"shift"`` adds one number to every logit, so that as many defaults are expected as were seen: the order and
        the spread stay. ``"isotonic"`` takes the rates of buckets that never fall: it needs many defaults.
    probability
        Column of the probability (0–1); observations without one are left out.
    check
        Other companies, or another period, on which both are tested.
    min_n, min_defaults
        Least companies and defaults of a bucket; smaller ones are merged with the neighbour of the nearest rate.
    confidence
        Of the two-sided intervals.

    Returns
    -------
    Recalibration
        Use its ``apply``. The interval of the shift inverts its score test, for independent companies: in a bad year
        the shift is that of the year, not of the long run. Buckets have an interval from `check` only (Jeffreys): made
        of the sample that chose them it would be too short.

    Raises
    ------
    InputError
        As `brier`, every or no company defaulted, probabilities of 0 and 1 only, or there are too few for one bucket.

    Notes
    -----
    Shift: the maximum-likelihood intercept of a logistic regression with slope 1. Isotonic: pool adjacent violators,
    Barlow et al. (1972), `scipy.optimize.isotonic_regression`.

    Examples
    --------
    >>> sample = pd.DataFrame({"default_probability": [0.5], "n": [100], "n_defaults": [20]})
    >>> found = recalibration(sample, horizon_months=12)
    >>> round(found.shift.value, 6), found.apply([0.5]).round(6).tolist()  # ln(0.2 / 0.8)
    (-1.386294, [0.2])
    """
    check_horizon(horizon_months)
    if method not in ("shift", "isotonic"):
        raise InputError(f"method is {method!r}; choose 'shift' or 'isotonic'")
    if not is_whole(min_n, 1) or not is_whole(min_defaults, 1):
        raise InputError(f"min_n is {min_n} and min_defaults {min_defaults}; give whole numbers from 1 on")
    counts = tally(sample, [probability])
    p, n, bad = counts.values(probability), counts.values("n"), counts.bad
    check_probabilities(p, probability)
    if counts.n_defaults in (0, counts.n):
        raise InputError(f"{counts.n_defaults:,} of {counts.n:,} defaulted, so that no level fits; see low_default_pd")
    shift = _shift(p, n, bad, confidence) if method == "shift" else None
    buckets = None if shift else _buckets(p, n, bad, min_n, min_defaults)
    bare = Recalibration(method, shift, buckets, pd.DataFrame())
    terms: dict[str, Any] = {"horizon_months": horizon_months, "probability": probability}
    tests = _tests(bare, sample if check is None else check, terms, is_checked=check is not None)
    if buckets is not None and check is not None:
        buckets = _checked(buckets, check, probability, confidence)
    return Recalibration(method, shift, buckets, tests)


def _shift(p: Floats, n: Floats, bad: Floats, confidence: float) -> Statistic:
    inside = (p > 0) & (p < 1)
    logit, size, defaults = special.logit(p[inside]), n[inside], float(bad[inside].sum())
    if not inside.any() or not 0 < defaults < size.sum():
        raise InputError("probabilities of 0 and 1 cannot be shifted, and the others hold no mixed outcomes")

    def excess(shift: float, away: float = 0.0) -> float:
        q = special.expit(logit + shift)
        return float(defaults - (size * q).sum() - away * np.sqrt((size * q * (1 - q)).sum()))

    z = reach(confidence)
    value, low, high = (
        float(optimize.brentq(excess, -_FURTHEST, _FURTHEST, args=(away,))) for away in (0.0, z, -z)
    )  # fmt: skip
    q = special.expit(logit + value)
    return Statistic(
        "shift of the logit", value, int(n.sum()), int(bad.sum()), low, high, confidence=confidence,
        variance=float(1 / (size * q * (1 - q)).sum()), null="the level is right",
        p_value=float(2 * stats.norm.sf(abs(excess(0.0)) / np.sqrt((size * p[inside] * (1 - p[inside])).sum()))),
        parts={"factor of the odds": float(np.exp(value))},
    )  # fmt: skip


def _buckets(p: Floats, n: Floats, bad: Floats, min_n: int, min_defaults: int) -> pd.DataFrame:
    """Runs of probabilities whose rates never fall, each with enough companies and defaults."""
    if n.sum() < min_n or bad.sum() < min_defaults:
        raise InputError(f"{n.sum():,.0f} companies and {bad.sum():,.0f} defaults are too few for one bucket")
    starts = optimize.isotonic_regression(bad / n, weights=n).blocks[:-1]
    rows = [[float(p[a]), float(k), float(d)] for a, k, d in zip(starts, *_sums(starts, n, bad), strict=True)]
    while (small := _smallest(rows, min_n, min_defaults)) is not None:
        sides = [i for i in (small - 1, small + 1) if 0 <= i < len(rows)]
        other = min(sides, key=lambda i: abs(rows[i][2] / rows[i][1] - rows[small][2] / rows[small][1]))
        first, second = sorted((small, other))
        rows[first] = [rows[first][0], rows[first][1] + rows[second][1], rows[first][2] + rows[second][2]]
        del rows[second]
    rows[0][0] = 0.0
    table = pd.DataFrame(rows, columns=pd.Index(["low", "n", "n_defaults"])).astype(
        {"n": "int64", "n_defaults": "int64"}
    )
    return table.assign(probability=table["n_defaults"] / table["n"])


def _sums(starts: npt.NDArray[Any], n: Floats, bad: Floats) -> tuple[Floats, Floats]:
    return np.add.reduceat(n, starts), np.add.reduceat(bad, starts)


def _smallest(rows: list[list[float]], min_n: int, min_defaults: int) -> int | None:
    few = [i for i, (_, n, bad) in enumerate(rows) if n < min_n or bad < min_defaults]
    return min(few, key=lambda i: rows[i][1]) if few and len(rows) > 1 else None


def _checked(buckets: pd.DataFrame, check: Frame, probability: str, confidence: float) -> pd.DataFrame:
    counts = tally(check, [probability])
    place = np.searchsorted(buckets["low"].to_numpy(), counts.values(probability), side="right") - 1
    n, bad = (np.bincount(place, x, minlength=len(buckets)) for x in (counts.values("n"), counts.bad))
    low, high = rate_bounds(np.maximum(n, 1), bad, confidence=confidence)
    return buckets.assign(
        check_n=n.astype("int64"), check_n_defaults=bad.astype("int64"),
        check_low=np.where(n > 0, low, np.nan), check_high=np.where(n > 0, high, np.nan),
    )  # fmt: skip


def _tests(made: Recalibration, judged: Frame, terms: dict[str, Any], *, is_checked: bool) -> pd.DataFrame:
    name = terms["probability"]
    before = tally(judged, [name]).cells
    after = before.assign(**{name: made.apply(before[name])})
    after = after.groupby(name, as_index=False)[["n", "n_defaults"]].sum()
    tests: dict[str, Callable[[pd.DataFrame], Statistic]] = {
        "Brier score": lambda rows: brier(rows, **terms),
        "Spiegelhalter z": lambda rows: spiegelhalter(rows, **terms),
        "Hosmer-Lemeshow chi-squared": lambda rows: hosmer_lemeshow(rows, fitted=False, **terms),
    }
    rows = []
    for title, test in tests.items():
        first, second = _or_none(test, before), _or_none(test, after)
        rows.append((title, *_said(first), *(_said(second) if is_checked else (_said(second)[0], None))))
    heads = pd.Index(["statistic", "before", "p_before", "after", "p_after"])
    return pd.DataFrame(rows, columns=heads).astype({"statistic": "string"} | dict.fromkeys(heads[1:], "float64"))


def _said(found: Statistic | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None else (found.value, found.p_value)


def _or_none(test: Callable[[pd.DataFrame], Statistic], rows: pd.DataFrame) -> Statistic | None:
    """What can be tested of these rows; of too few groups nothing is said."""
    try:
        return test(rows)
    except InputError:
        return None
