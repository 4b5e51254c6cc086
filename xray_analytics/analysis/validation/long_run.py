"""What is the default rate in the long run? The mean of one-year rates, whose windows overlap more often than not."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from scipy import stats

from ...errors import InputError
from .. import frames
from ..days import months_between
from ..frames import Frame
from .statistic import CONFIDENCE, Statistic, reach
from .tally import SAMPLE, Floats, check_finite, check_horizon, check_sums, counted, frame_names, named_sums

DATES = ("cohort_date", "as_of_date", "cohort")
FEWEST_WINDOWS = 5
FEWEST_DEFAULTS = 20


def default_rate_long_run(
    cohorts: Frame, *, horizon_months: int = 12, by: str | None = None, confidence: float = CONFIDENCE
) -> Statistic:
    """The long-run average default rate: the mean of the rates of all cohorts, beside the rate of all pooled.

    Parameters
    ----------
    cohorts
        A row per cohort with its date, `n` and `n_defaults`; or the observations themselves with `defaulted`, such as
        the result of `backtest.observations` without immature, excluded and censored rows. A company may be in many
        cohorts.
    horizon_months
        Over which defaults were counted [months]; cohorts closer to each other than that overlap.
    by
        Column of the date; by default the first that is there of `cohort_date`, `as_of_date`, `cohort`.
    confidence
        Of the two-sided interval.

    Returns
    -------
    Statistic
        ``value``: the mean of the rates, every date counting once; ``low`` and ``high`` know that windows overlap.
        ``n`` and ``n_defaults`` are observations, the same company as often as it is in a cohort. ``parts``: the
        pooled rate (every observation counting once), the lowest and highest rate, cohorts, and windows that do not
        overlap. Without an interval, and a note why, where the dates hold fewer than five such windows, are no dates,
        are not evenly spaced, or all rates are the same.

    Raises
    ------
    InputError
        Neither counts nor `defaulted` are there, an outcome is missing, a date is missing, or the horizon is below one
        month.

    Notes
    -----
    EBA/GL/2017/16, 5.3.4 (the mean of one-year rates, at least over five years). Interval: variance of a mean of
    dependent rates by the equal-weighted cosine estimator with half as many cosines as windows, less one, and Student's
    t: Lazarus, Lewis, Stock & Watson (2018), Journal of Business & Economic Statistics 36. In simulation it covers 0.93
    where nothing but the overlap ties cohorts together; Newey & West's covers 0.84 to 0.90 there. Where bad years
    follow bad years it covers less (0.73 to 0.87): five to fifteen years do not show a whole cycle, and no method makes
    up for that.

    Examples
    --------
    >>> cohorts = pd.DataFrame({
    ...     "cohort_date": ["2019-12-31", "2020-12-31", "2021-12-31", "2022-12-31", "2023-12-31"],
    ...     "n": [1000, 1000, 500, 500, 2000], "n_defaults": [10, 30, 10, 5, 20],
    ... })
    >>> found = default_rate_long_run(cohorts)
    >>> round(found.value, 6), found.parts["pooled rate"], found.low < found.value < found.high
    (0.016, 0.015, True)
    """
    check_horizon(horizon_months)
    table, named = cohort_counts(cohorts, by)
    rates = (table["n_defaults"] / table["n"]).to_numpy(np.float64)
    n, bad = int(table["n"].sum()), int(table["n_defaults"].sum())
    windows, why = _windows(table, named, horizon_months)
    variance = None
    if not why:
        variance, why = _variance(rates, windows)
    width = 0.0
    if variance is not None:
        width = float(np.sqrt(variance) * stats.t.isf(stats.norm.sf(reach(confidence)), _cosines(windows)))
    value, is_known = float(rates.mean()), variance is not None
    parts = {
        "pooled rate": bad / n, "lowest": float(rates.min()), "highest": float(rates.max()),
        "cohorts": float(len(rates)), "windows that do not overlap": float(windows),
    }  # fmt: skip
    return Statistic(
        "long-run default rate", value, n, bad, max(value - width, 0.0) if is_known else None,
        min(value + width, 1.0) if is_known else None, variance=variance, confidence=confidence, parts=parts,
        notes=(f"no interval: {why}",) if why else (f"mean of rates over {horizon_months} months each",),
    )  # fmt: skip


def default_correlation(
    cohorts: Frame, *, horizon_months: int = 12, by: str | None = None, confidence: float = CONFIDENCE
) -> Statistic:
    """How strongly do companies default together? The asset correlation that the ups and downs of the rates show.

    Parameters
    ----------
    cohorts, by
        As in `default_rate_long_run`, of one population: where its quality changes, that counts as correlation.
    horizon_months
        Over which defaults were counted [months]; of cohorts closer to each other, the newest counts and those within
        a horizon before it are left out.
    confidence
        Of the two-sided interval.

    Returns
    -------
    Statistic
        ``value``: the asset correlation of the one-factor model (0–1), for `binomial`, with its interval; ``n`` and
        ``n_defaults`` of the cohorts used. ``parts``: cohorts used and left out, defaults a cohort. No interval, and a
        note why, with fewer than five cohorts or fewer than 20 defaults a cohort on average.

    Raises
    ------
    InputError
        As `default_rate_long_run`, there are no dates, or there are fewer than two cohorts.

    Notes
    -----
    Vasicek (2002): Φ⁻¹ of the rate of a year is normal with variance ρ/(1 − ρ), to which chance adds about
    r(1 − r)/(n φ(Φ⁻¹(r))²); from the variance of the years, less that, the moment estimate, and its interval by
    chi-squared with one degree less than cohorts. Years are taken as independent. Rates are (D + ½)/(n + 1). Simulated
    for correlations of 0 to 0.24 and 5 to 20 years with 20 defaults a year or more: covers 0.94 and more; few years
    leave it wide.

    Examples
    --------
    >>> cohorts = pd.DataFrame({
    ...     "cohort_date": [f"{year}-12-31" for year in range(2015, 2021)], "n": 2000,
    ...     "n_defaults": [30, 40, 20, 90, 50, 35],
    ... })
    >>> found = default_correlation(cohorts)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.039, 0.013, 0.209)
    """
    check_horizon(horizon_months)
    table, named = cohort_counts(cohorts, by)
    if named is None:
        raise InputError(f"there is no date ({', '.join(DATES)}): which cohorts do not overlap is not known")
    kept = table[_apart(pd.to_datetime(table[named]), horizon_months)]
    if len(kept) < 2:
        raise InputError("there is one cohort that does not overlap with others; a correlation shows over several")
    n, bad = (kept[name].to_numpy(np.float64) for name in ("n", "n_defaults"))
    rates = (bad + 0.5) / (n + 1)
    places = stats.norm.ppf(rates)
    chance = float((rates * (1 - rates) / n / stats.norm.pdf(places) ** 2).mean())
    spread, freedom = float(places.var(ddof=1)), len(kept) - 1
    tail = float(stats.norm.sf(reach(confidence)))
    few = len(kept) < FEWEST_WINDOWS or bad.mean() < FEWEST_DEFAULTS
    low, high = (_correlation(freedom * spread / stats.chi2.isf(t, freedom) - chance) for t in (tail, 1 - tail))
    why = f"no interval: it takes {FEWEST_WINDOWS} cohorts with {FEWEST_DEFAULTS} defaults on average"
    return Statistic(
        "asset correlation", _correlation(spread - chance), int(n.sum()), int(bad.sum()),
        None if few else low, None if few else high, confidence=confidence, notes=(why,) if few else (),
        parts={
            "cohorts": len(kept), "cohorts left out": len(table) - len(kept), "defaults a cohort": float(bad.mean()),
        },
    )  # fmt: skip


def _apart(dates: pd.Series[Any], horizon: int) -> list[bool]:
    """Which cohorts do not overlap, counted back from the newest."""
    kept, last = [], None
    for date in dates[::-1]:
        is_apart = last is None or months_between(pd.Series([date]), pd.Series([last]))[0] >= horizon
        kept.append(is_apart)
        last = date if is_apart else last
    return kept[::-1]


def _correlation(variance: float) -> float:
    return float(max(variance, 0.0) / (1 + max(variance, 0.0)))


def cohort_counts(cohorts: Frame, by: str | None) -> tuple[pd.DataFrame, str | None]:
    """Cohorts in the order of their dates with `n` and `n_defaults`, and the column of the date (None: there is none).

    Raises
    ------
    InputError
        As `default_rate_long_run`.
    """
    names = frame_names(cohorts)
    named = by or next((name for name in DATES if name in names), None)
    if named is None and "defaulted" in names:
        raise InputError(f"the observations have no date of their cohort ({', '.join(DATES)}); give its column as by=")
    own: Any = nw.from_native(cohorts).lazy().drop("company_id", strict=False).to_native()
    keys = [named] if named else []
    lazy = counted(own, (), None, by=keys)
    if named:
        lazy = lazy.group_by(named).agg(*(nw.col(name).sum() for name in named_sums()))
    sums = frames.collect(lazy, SAMPLE)
    check_sums(sums)
    check_finite(sums, ["n", "n_defaults"])
    table = sums[sums["n"] > 0].astype({"n": "int64", "n_defaults": "int64"})
    if table.empty or table[keys].isna().any(axis=None):
        raise InputError("there is no cohort, or one has no date; give the date of every cohort")
    return table.sort_values([*keys, "n", "n_defaults"], ignore_index=True), named


def _windows(table: pd.DataFrame, named: str | None, horizon: int) -> tuple[int, str]:
    """How many horizons fit beside each other, and why the dates allow no interval."""
    if named is None:
        return len(table), f"there is no date ({', '.join(DATES)}), so that whether windows overlap is not known"
    dates = pd.to_datetime(table[named], errors="coerce")
    if dates.isna().any():
        return len(table), f"{named} holds what is no date, so that whether windows overlap is not known"
    if len(dates) < 2:
        return 1, f"1 window; it takes {FEWEST_WINDOWS} that do not overlap"
    apart = months_between(dates[:-1].reset_index(drop=True), dates[1:].reset_index(drop=True))
    windows = int(np.floor((apart.sum() + horizon) / horizon + 0.1))
    if windows < FEWEST_WINDOWS or len(dates) < FEWEST_WINDOWS:
        return windows, f"{windows} windows that do not overlap; it takes {FEWEST_WINDOWS}"
    uneven = apart.max() - apart.min() > 0.25 * apart.mean()
    return min(windows, len(dates)), "the dates are not evenly spaced" if uneven else ""


def _cosines(windows: int) -> int:
    return max(2, windows // 2 - 1)


def _variance(rates: Floats, windows: int) -> tuple[float | None, str]:
    """Of the mean of evenly spaced rates that depend on each other, by equal weights on the slowest cosines."""
    n = len(rates)
    if np.ptp(rates) == 0:
        return None, "all rates are the same, which says nothing of how they vary"
    places = np.pi * np.outer(np.arange(1, _cosines(windows) + 1), (np.arange(n) + 0.5) / n)
    loads = np.sqrt(2 / n) * np.cos(places) @ rates
    return float(np.square(loads).mean() / n), ""
