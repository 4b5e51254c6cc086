"""Does the score rank the defaults first? AUC with its variance, differences of AUCs, KS, ROC and CAP.

``score``: higher is riskier. Everything is computed from counts by distinct score, ties count one half, and the order
of rows never matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from ...errors import InputError
from ..frames import Frame
from ..guards import is_number
from .auc_intervals import AreaEstimate
from .statistic import CONFIDENCE, Statistic, detectable_shift, reach
from .tally import Floats, Tally, tally

Matrix = npt.NDArray[np.float64]


def auc(
    sample: Frame, *, score: str = "score", cluster: str | None = None, confidence: float = CONFIDENCE
) -> Statistic:
    """The chance that a company which defaulted scores higher than one which did not; ties count one half.

    Parameters
    ----------
    sample
        `defaulted` and the score, one row per company (or counts: `n`, `n_defaults`); see `validation`.
    score
        Column of the score, higher is riskier. Observations without one are left out and counted.
    cluster
        Column by which repeated observations belong together, such as ``"company_id"``; without it a company that is
        there twice is refused, as the interval would be too narrow.
    confidence
        Of the two-sided interval.

    Returns
    -------
    Statistic
        ``value`` (0–1; 0.5 is chance), ``variance`` (DeLong; clustered: Obuchowski; null where a class has one
        observation only), ``low`` and ``high``, ``detectable`` the drop from this AUC that a two-sided test would find.
        From 100 defaults and non-defaults on the interval is on the logit scale; below it is the wider one of
        `auc_intervals`, which covers 0.93 and more from 3 defaults on, also with five tied classes; under 3 there is
        none, and a note says so.

    Raises
    ------
    InputError
        There are only defaults or none, an outcome is missing, or a column is absent or of the wrong type.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837–845; clustered: Obuchowski (1997), Biometrics 53,
    567–578; intervals: Pepe (2003), "The statistical evaluation of medical tests", 5.2, and `auc_intervals`.

    Examples
    --------
    Of 2 × 2 pairs three are right and one is tied: 3.5 / 4.

    >>> sample = pd.DataFrame({"defaulted": [1, 1, 0, 0], "score": [3, 2, 2, 1]})
    >>> auc(sample).value
    0.875
    """
    counts = tally(sample, [score], cluster=cluster)
    (value,), covariance = _areas(counts, [score])
    return _area("AUC", value, covariance[0, 0], counts, confidence)


def somers_d(
    sample: Frame, *, score: str = "score", cluster: str | None = None, confidence: float = CONFIDENCE
) -> Statistic:
    """Somers' D of the score given the outcome, 2 AUC − 1: the accuracy ratio, also called Gini coefficient.

    Parameters and errors as in `auc`; −1 … 1, 0 is chance, and a tie counts for neither side.

    Notes
    -----
    Somers (1962), American Sociological Review 27, 799–811.

    Examples
    --------
    >>> somers_d(pd.DataFrame({"defaulted": [1, 1, 0, 0], "score": [3, 2, 2, 1]})).value
    0.75
    """
    area = auc(sample, score=score, cluster=cluster, confidence=confidence)
    low, high = (None if bound is None else 2 * bound - 1 for bound in (area.low, area.high))
    variance = None if area.variance is None else 4 * area.variance
    return Statistic(
        "Somers' D", 2 * area.value - 1, area.n, area.n_defaults, low, high, variance=variance, confidence=confidence,
        n_missing=area.n_missing, n_clusters=area.n_clusters, notes=area.notes,
    )  # fmt: skip


def auc_difference(
    sample: Frame, *, score: str, other: str, cluster: str | None = None, confidence: float = CONFIDENCE
) -> Statistic:
    """How much better `score` ranks the same companies than `other`: paired, as both saw the same defaults.

    Parameters
    ----------
    sample, cluster, confidence
        As in `auc`; only observations with both scores count.
    score, other
        Columns of the two scores, both higher is riskier.

    Returns
    -------
    Statistic
        ``value``: AUC of `score` less that of `other`, with ``variance``, interval, and the two-sided ``p_value`` of
        the hypothesis that both are equal; null where one ranks exactly like the other. ``parts`` are the two AUCs.

    Raises
    ------
    InputError
        As `auc`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837–845; clustered: Obuchowski (1997), Biometrics 53.

    Examples
    --------
    >>> sample = pd.DataFrame({"defaulted": [1, 1, 0, 0], "a": [3, 2, 2, 1], "b": [1, 2, 3, 3]})
    >>> auc_difference(sample, score="a", other="b").value
    0.875
    """
    counts = tally(sample, [score, other], cluster=cluster)
    areas, covariance = _areas(counts, [score, other])
    value = areas[0] - areas[1]
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    known = bool(np.isfinite(variance) and variance > 1e-15)
    error = float(np.sqrt(variance)) if known else 0.0
    width = reach(confidence) * error
    return Statistic(
        "AUC difference", value, counts.n, counts.n_defaults,
        low=value - width if known else None, high=value + width if known else None,
        p_value=float(2 * stats.norm.sf(abs(value) / error)) if known else None,
        variance=variance if known else None, null="both scores rank equally well",
        detectable=detectable_shift(error) if known else None, detectable_is="difference of AUCs",
        confidence=confidence, n_missing=counts.n_missing, n_clusters=counts.n_clusters,
        parts={f"AUC {score}": areas[0], f"AUC {other}": areas[1]},
        notes=() if known else ("no interval: the variance of the difference is 0 or cannot be estimated",),
    )  # fmt: skip


def auc_drop(
    sample: Frame, *, reference: float, score: str = "score", cluster: str | None = None, confidence: float = CONFIDENCE
) -> Statistic:
    """How far the AUC is below a fixed reference, such as that of the development sample.

    Parameters
    ----------
    sample, score, cluster, confidence
        As in `auc`.
    reference
        The AUC to compare with (0–1), taken as known: its own sampling error is not in the test.

    Returns
    -------
    Statistic
        ``value``: `reference` less AUC, above 0 where the ranking got worse; one-sided ``p_value`` of the hypothesis
        that the AUC is not below the reference, by the test of which the interval is the inversion: it is below
        (1 − `confidence`)/2 just where the interval lies above 0. ``parts``: S of the ECB, whose normal distribution
        holds for many defaults only.

    Raises
    ------
    InputError
        As `auc`, or the reference is not between 0 and 1.

    Notes
    -----
    S = (reference − AUC) / s, s² DeLong's variance of the current AUC: ECB (2019), "Instructions for reporting the
    validation results of internal models", 2.5.4. Against the standard normal it rejected 6 to 25 % at 5 % under 30
    defaults in simulation; the test here 5 % or less.

    Examples
    --------
    >>> sample = pd.DataFrame({"defaulted": [1, 1, 0, 0], "score": [3, 2, 2, 1]})
    >>> round(auc_drop(sample, reference=0.9).value, 3)
    0.025
    """
    if not is_number(reference, 0, 1):
        raise InputError(f"the reference AUC is {reference}; give a number between 0 and 1")
    counts = tally(sample, [score], cluster=cluster)
    (area,), covariance = _areas(counts, [score])
    estimate = _estimate(area, covariance[0, 0], counts)
    found = _area("AUC", area, covariance[0, 0], counts, confidence)
    is_known = not estimate.why_not
    low, high = (None if bound is None else reference - bound for bound in (found.high, found.low))
    parts = {"AUC": area, "reference": reference}
    if found.variance:
        parts["S (ECB)"] = (reference - area) / float(np.sqrt(found.variance))
    return Statistic(
        "AUC drop", reference - area, counts.n, counts.n_defaults, low, high,
        p_value=estimate.chance_below(reference) if is_known else None, variance=found.variance,
        null=f"the AUC is at least {reference:.3g}",
        detectable=estimate.detectable_drop(reference) if is_known else None, detectable_is="drop of the AUC",
        confidence=confidence, n_missing=counts.n_missing, n_clusters=counts.n_clusters, parts=parts, notes=found.notes,
    )  # fmt: skip


def ks(sample: Frame, *, score: str = "score") -> Statistic:
    """The largest distance between the cumulative shares of defaults and of non-defaults over the score.

    Parameters
    ----------
    sample, score
        As in `auc`; one observation per company.

    Returns
    -------
    Statistic
        ``value`` (0–1), and in ``parts`` the score at which it is reached (the lowest of several). ``p_value`` of the
        hypothesis that both have the same distribution of scores, only where no score occurs twice: with ties the
        distribution of the statistic is not known.

    Raises
    ------
    InputError
        As `auc`.

    Notes
    -----
    Smirnov (1939); the distribution is `scipy.stats.ks_2samp`.

    Examples
    --------
    >>> ks(pd.DataFrame({"defaulted": [1, 1, 0, 0], "score": [3, 2, 2, 1]})).value
    0.5
    """
    counts = tally(sample, [score])
    _both_classes(counts)
    good, bad, at = counts.good, counts.bad, counts.values(score)
    gap = np.abs(np.cumsum(good) / good.sum() - np.cumsum(bad) / bad.sum())
    tied = bool((good + bad).max() > 1)
    test = None if tied else float(stats.ks_2samp(at[bad > 0], at[good > 0]).pvalue)
    place = int(np.argmax(gap))
    return Statistic(
        "KS", float(gap[place]), counts.n, counts.n_defaults, p_value=test, n_missing=counts.n_missing,
        null="defaults and non-defaults score alike", parts={"at score": float(at[place])},
        notes=("no p-value: scores are tied",) if tied else (),
    )  # fmt: skip


def roc_curve(sample: Frame, *, score: str = "score") -> pd.DataFrame:
    """False alarms against hits at every cut-off of the score.

    Parameters
    ----------
    sample, score
        As in `auc`.

    Returns
    -------
    DataFrame
        `score` (flagged are those at or above it; the first row, infinity, flags nobody), `false_positive_ratio`,
        `true_positive_ratio` (0–1), riskiest first. The area below it, by trapezes, is the AUC.

    Raises
    ------
    InputError
        As `auc`.

    Examples
    --------
    >>> roc_curve(pd.DataFrame({"defaulted": [1, 0], "score": [2, 1]})).values.tolist()
    [[inf, 0.0, 0.0], [2.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    counts = tally(sample, [score])
    _both_classes(counts)
    return _curve(counts, score, {"false_positive_ratio": counts.good, "true_positive_ratio": counts.bad})


def cap_curve(sample: Frame, *, score: str = "score") -> pd.DataFrame:
    """The share of all defaults found among the riskiest so many per cent of the companies.

    Parameters
    ----------
    sample, score
        As in `auc`.

    Returns
    -------
    DataFrame
        `score` (as in `roc_curve`), `share_ratio` of the companies and `defaults_share_ratio` of the defaults at or
        above it (0–1), riskiest first. The area between it and the diagonal, over that of a perfect ranking, is
        Somers' D.

    Raises
    ------
    InputError
        As `auc`.

    Examples
    --------
    >>> cap_curve(pd.DataFrame({"defaulted": [1, 0], "score": [2, 1]})).values.tolist()
    [[inf, 0.0, 0.0], [2.0, 0.5, 1.0], [1.0, 1.0, 1.0]]
    """
    counts = tally(sample, [score])
    _both_classes(counts)
    return _curve(counts, score, {"share_ratio": counts.values("n"), "defaults_share_ratio": counts.bad})


def _curve(counts: Tally, score: str, shares: dict[str, Floats]) -> pd.DataFrame:
    columns: dict[str, Any] = {"score": np.concatenate([[np.inf], counts.values(score)[::-1]])}
    for name, numbers in shares.items():
        columns[name] = np.concatenate([[0.0], np.cumsum(numbers[::-1]) / numbers.sum()])
    result = pd.DataFrame(columns)
    result.attrs["base"] = counts.base() | {"filters": {"score": score, "defaults": counts.n_defaults}}
    return result


def _area(name: str, value: float, variance: float, counts: Tally, confidence: float) -> Statistic:
    """An AUC with its interval, which stays within 0 and 1."""
    reach(confidence)
    estimate = _estimate(value, variance, counts)
    low, high = (None, None) if estimate.why_not else estimate.bounds(confidence)
    known = float(variance) if np.isfinite(variance) else None
    return Statistic(
        name, value, counts.n, counts.n_defaults, low, high, variance=known,
        detectable=None if estimate.why_not else estimate.detectable_drop(value, sides=2),
        detectable_is="drop of the AUC", confidence=confidence, n_missing=counts.n_missing,
        n_clusters=counts.n_clusters, notes=(estimate.why_not,) if estimate.why_not else (),
    )  # fmt: skip


def _estimate(value: float, variance: float, counts: Tally) -> AreaEstimate:
    """The AUC with what it rests on: observations, or clusters that hold one, of either outcome."""
    known = float(variance) if np.isfinite(variance) else 0.0
    if counts.cluster is None:
        return AreaEstimate(value, known, counts.n_defaults, counts.n - counts.n_defaults)
    bad, good = (int((np.bincount(counts.cluster, x) > 0).sum()) for x in (counts.bad, counts.good))
    return AreaEstimate(value, known, bad, good, is_clustered=True)


def _areas(counts: Tally, scores: list[str]) -> tuple[list[float], Matrix]:
    """The AUC of each score, and their covariances; NaN where a class is too small for one."""
    _both_classes(counts)
    good, bad = counts.good, counts.bad
    n_good, n_bad = good.sum(), bad.sum()
    placed = [_placements(counts.values(score), good, bad) for score in scores]
    areas = [float(above @ bad / n_bad) for above, _ in placed]
    if counts.cluster is None:
        of_bad = np.array([above - area for (above, _), area in zip(placed, areas, strict=True)])
        of_good = np.array([below - area for (_, below), area in zip(placed, areas, strict=True)])
        if min(n_bad, n_good) < 2:
            return areas, np.full((len(scores), len(scores)), np.nan)
        spread_bad, spread_good = (of_bad * bad) @ of_bad.T / (n_bad - 1), (of_good * good) @ of_good.T / (n_good - 1)
        return areas, spread_bad / n_bad + spread_good / n_good
    return areas, _clustered(counts, placed, areas)


def _placements(values: Floats, good: Floats, bad: Floats) -> tuple[Floats, Floats]:
    """Of each cell the share of non-defaults below it and the share of defaults above it, ties one half."""
    level = np.unique(values, return_inverse=True)[1]
    goods, bads = np.bincount(level, good), np.bincount(level, bad)
    below = (np.cumsum(goods) - goods / 2) / goods.sum()
    above = (bads.sum() - np.cumsum(bads) + bads / 2) / bads.sum()
    return below[level], above[level]


def _clustered(counts: Tally, placed: list[tuple[Floats, Floats]], areas: list[float]) -> Matrix:
    """Obuchowski's covariance: sums over the observations of a cluster take the place of single ones."""
    cluster, good, bad = counts.cluster, counts.good, counts.bad
    bads, goods = np.bincount(cluster, bad), np.bincount(cluster, good)  # type: ignore[arg-type]
    pairs = list(zip(placed, areas, strict=True))
    of_bad = np.array([np.bincount(cluster, (below - area) * bad) for (below, _), area in pairs])  # type: ignore[arg-type]
    of_good = np.array([np.bincount(cluster, (above - area) * good) for (_, above), area in pairs])  # type: ignore[arg-type]
    n, with_bad, with_good = len(bads), int((bads > 0).sum()), int((goods > 0).sum())
    if min(with_bad, with_good) < 2:
        return np.full((len(areas), len(areas)), np.nan)
    own = with_bad / (with_bad - 1) * of_bad @ of_bad.T / bad.sum() ** 2
    own = own + with_good / (with_good - 1) * of_good @ of_good.T / good.sum() ** 2
    cross = n / (n - 1) * of_bad @ of_good.T / (bad.sum() * good.sum())
    return np.asarray(own + cross + cross.T)


def _both_classes(counts: Tally) -> None:
    if counts.n_defaults in (0, counts.n):
        raise InputError(
            f"{counts.n_defaults:,} of {counts.n:,} observations defaulted; to judge a ranking both kinds are needed"
        )
