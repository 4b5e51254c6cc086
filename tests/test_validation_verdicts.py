"""How often does a verdict err? Exactly where it can be counted, else simulated, under the model that it states."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xray_analytics.analysis import validation as v
from xray_analytics.analysis.validation.one_factor import chance_of_defaults, correlated_bounds
from xray_analytics.errors import InputError

TOO_HIGH = "p-value that it is not too high"


def chances(n, pd_, correlation):
    """The probability of every number of defaults."""
    at_least = np.array([chance_of_defaults(n, k, pd_, correlation) for k in range(n + 2)])
    return -np.diff(at_least)


@pytest.mark.parametrize(
    ("n", "pd_", "correlation"), [(1000, 0.01, 0.12), (1000, 0.01, 0.05), (400, 0.03, 0.12), (300, 0.02, 0)]
)
def test_level__errs_as_it_says_and_independence_does_not(n, pd_, correlation, figure):
    """Exact: over all numbers of defaults; each direction at half of 5 %, as the report judges."""
    weight = chances(n, pd_, correlation)
    seen = np.flatnonzero(weight > 1e-9)
    low = np.array([chance_of_defaults(n, k, pd_, correlation) for k in seen])
    high = 1 - np.array([chance_of_defaults(n, k + 1, pd_, correlation) for k in seen])
    size = weight[seen][(low <= 0.025) | (high <= 0.025)].sum()
    alone = weight[seen][stats.beta.cdf(pd_, seen + 0.5, n - seen + 0.5) <= 0.05].sum()
    bounds = np.array([correlated_bounds(n, int(k), correlation, 0.025) for k in seen[weight[seen] > 1e-5]])
    inside = (bounds[:, 0] <= pd_) & (pd_ <= bounds[:, 1])
    coverage = weight[seen][weight[seen] > 1e-5][inside].sum()
    setting = f"{n:,} companies, PD {pd_:.0%}, correlation {correlation}"
    figure(f"verdict on the level, size at 5 %, {setting}", f"{size:.3f}; independent Jeffreys {alone:.3f}")
    figure(f"interval of the default rate, coverage at 95 %, {setting}", f"{coverage:.3f}")
    assert size <= 0.05
    assert coverage >= 0.95 - 1e-3
    if correlation >= 0.05 and n == 1000:
        assert alone > 0.15  # truth.md: 0.176 and 0.203


def test_binomial__both_tails_and_the_interval_are_one_test():
    found = v.binomial(1000, 20, 0.01, correlation=0.12)
    assert found.p_value + found.parts[TOO_HIGH] == pytest.approx(1 + chances(1000, 0.01, 0.12)[20], abs=1e-9)
    assert v.binomial(1000, 20, found.low, correlation=0.12).p_value == pytest.approx(0.025, abs=1e-8)
    assert v.binomial(1000, 20, found.high, correlation=0.12).parts[TOO_HIGH] == pytest.approx(0.025, abs=1e-8)
    assert v.binomial(50, 3, 0.1).low == pytest.approx(stats.beta.ppf(0.025, 3, 48), rel=1e-7)  # Clopper and Pearson
    assert v.default_rate_interval(1000, 20, correlation=0.12).low == pytest.approx(found.low, abs=1e-12)
    assert (v.binomial(50, 0, 0.1).low, v.binomial(50, 50, 0.1).high) == (0.0, 1.0)
    for wrong in ({"correlation": 1.0}, {"level": 5}, {"confidence": 95}):
        with pytest.raises(InputError):
            v.binomial(50, 3, 0.1, **wrong)


@pytest.mark.parametrize(("k", "p"), [(10_003_000, 0.01), (9_995_000, 0.01), (10_000_000, 0.01), (1, 1e-9)])
def test_binomial__keeps_its_digits_at_a_billion(k, p):
    n = 10**9
    assert chance_of_defaults(n, k, p) == pytest.approx(stats.binom.sf(k - 1, n, p), rel=1e-9)
    if k > 1:
        normal = stats.norm.sf((k - 0.5 - n * p) / np.sqrt(n * p * (1 - p)))
        assert chance_of_defaults(n, k, p) == pytest.approx(normal, abs=1e-4)
        threshold = (stats.norm.ppf(k / n) * np.sqrt(0.88) - stats.norm.ppf(p)) / np.sqrt(0.12)
        assert chance_of_defaults(n, k, p, 0.12) == pytest.approx(stats.norm.sf(threshold), abs=1e-6)


def test_calibration_table__both_directions_and_correlated():
    sample = pd.DataFrame({
        "risk_class": [1, 2, 3], "default_probability": [0.01, 0.05, 0.02], "n": [2000, 2000, 40],
        "n_defaults": [50, 40, 0],
    })  # fmt: skip
    alone = v.calibration_table(sample, horizon_months=12, min_n=50)
    assert alone["verdict"].tolist() == ["underestimated", "overestimated", "too_few"]
    assert (alone["p_value"] + alone["p_value_over"]).iloc[:2].tolist() == pytest.approx([1, 1])
    together = v.calibration_table(sample, horizon_months=12, min_n=50, correlation=0.12)
    assert together["verdict"].tolist() == ["not_rejected", "not_rejected", "too_few"]
    expected = v.binomial(2000, 50, 0.01, correlation=0.12)
    assert together["p_value"].iloc[0] == pytest.approx(expected.p_value, rel=1e-12)
    assert together["detectable_factor"].iloc[0] == pytest.approx(expected.detectable, rel=1e-9)
    with pytest.raises(InputError, match="correlation is 2"):
        v.calibration_table(sample, horizon_months=12, correlation=2)


def test_fit__errs_as_it_says(figure):
    """Spiegelhalter and Hosmer-Lemeshow, Holm-adjusted, groups that expect five, 2,000 companies and 40 defaults."""
    rng, hits = np.random.default_rng(41), 0
    p = np.round(np.clip(rng.beta(0.8, 39, 2000), 0.001, 0.5), 3)
    groups = int(np.clip(p.sum() // 5, 3, 10))
    values, place = np.unique(p, return_inverse=True)
    n = np.bincount(place)
    for _ in range(400):
        bad = np.bincount(place, rng.random(2000) < p).astype(int)
        rows = pd.DataFrame({"default_probability": values, "n": n, "n_defaults": bad})
        tests = (
            v.spiegelhalter(rows, horizon_months=12),
            v.hosmer_lemeshow(rows, fitted=False, horizon_months=12, groups=groups),
        )
        hits += v.holm(np.array([test.p_value for test in tests])).min() <= 0.05
    figure("verdict on the fit, size at 5 %, independent", f"{hits / 400:.3f}")
    assert hits / 400 <= 0.085  # 0.06 and two standard errors of 400 draws


@pytest.mark.parametrize(
    ("shares", "n", "m"), [([0.3, 0.3, 0.2, 0.19, 0.01], 100, 100), ([0.5, 0.3, 0.19, 0.008, 0.002], 1000, 400)]
)
def test_psi__with_floored_bins_rejects_once_in_twenty(shares, n, m, figure):
    rng, hits, chi, empty = np.random.default_rng(42), 0, 0, 0
    for _ in range(300):
        before, after = rng.multinomial(n, shares), rng.multinomial(m, shares)
        found = v.psi(before, after, floor=1e-4)
        freedom, scale = len(found.bins) - 1, 1 / n + 1 / m
        hits, chi = hits + bool(found.is_shifted), chi + (stats.chi2.sf(found.value / scale, freedom) <= 0.05)
        empty += found.n_floored > 0
    figure(f"PSI with rare bins, size at 5 %, {n} and {m}", f"{hits / 300:.3f}; by χ² {chi / 300:.3f}")
    assert empty > 30
    assert hits / 300 <= 0.085  # 0.05 and almost three standard errors of 300 draws
    assert chi > hits


def test_psi__permutation_is_exact_for_two_bins():
    """With two bins the index orders the tables as the hypergeometric distribution does."""
    found = v.psi([96, 4], [99, 1], floor=1e-4)
    value = found.value

    def index(k):
        e, a = (np.where(x == 0, 1e-4, x / 100) for x in (np.array([100 - (5 - k), 5 - k]), np.array([100 - k, k])))
        return ((a - e) * np.log(a / e)).sum()

    expected = sum(stats.hypergeom.pmf(k, 200, 5, 100) for k in range(6) if index(k) >= value - 1e-12)
    assert found.p_value == pytest.approx(expected, abs=0.01)
    assert v.psi([96, 4], [99, 1], floor=1e-4).p_value == found.p_value  # the seed is fixed
    fixed = v.psi([0.96, 0.04], [99, 1], floor=1e-4, reference="fixed")
    assert 0 < fixed.p_value <= 1
