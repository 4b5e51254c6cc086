"""Rankings of few defaults and few classes: what covers, what rejects once in twenty, what would have been noticed."""

import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import optimize, special, stats

from xray_analytics.analysis import validation as v
from xray_analytics.analysis.validation.auc_intervals import AreaEstimate, newcombe
from xray_analytics.analysis.validation.binning import apply_binning
from xray_analytics.analysis.validation.long_run import _cosines, _variance
from xray_analytics.errors import InputError


def normal(auc, spread=1.0, levels=300):
    """Shares of non-defaults and defaults by level of a normal score, `spread` times wider in the defaults."""
    shift, edges = stats.norm.ppf(auc) * np.sqrt(1 + spread**2), np.linspace(-6, 9, levels + 1)
    shares = [np.diff(stats.norm.cdf(edges)), np.diff(stats.norm.cdf((edges - shift) / spread))]
    return [s / s.sum() for s in shares]


def five_classes(auc, good=(0.5, 0.25, 0.15, 0.07, 0.03)):
    """Five tied classes: defaults are tilted towards the worse ones until the AUC is as wanted."""
    good = np.array(good)

    def tilted(by):
        weights = good * np.exp(by * np.arange(5))
        return weights / weights.sum()

    by = optimize.brentq(lambda x: (np.cumsum(good) - good / 2) @ tilted(x) - auc, 0, 30)
    return [good, tilted(by)]


def drawn(shares, n_bad, n_good, draws, rng):
    """AUC and DeLong variance of so many samples at once, and the true AUC."""
    good, bad = (rng.multinomial(n, s, draws).astype(float) for n, s in zip((n_good, n_bad), shares, strict=True))
    below, above = (np.cumsum(good, 1) - good / 2) / n_good, (n_bad - np.cumsum(bad, 1) + bad / 2) / n_bad
    area = (below * bad).sum(1) / n_bad
    spread = [
        (k * (place - area[:, None]) ** 2).sum(1) / (n - 1) / n
        for k, place, n in ((bad, below, n_bad), (good, above, n_good))
    ]
    return area, sum(spread), float((np.cumsum(shares[0]) - shares[0] / 2) @ shares[1])


SETTINGS = [
    *((normal(auc, s), d, n) for auc in (0.65, 0.8, 0.9) for s in (0.5, 1, 2) for d, n in ((5, 95), (30, 1970))),
    *((normal(auc), 3, 47) for auc in (0.65, 0.8, 0.9)), *((normal(auc), 120, 3000) for auc in (0.65, 0.9)),
    *((five_classes(auc), d, n) for auc in (0.75, 0.9) for d, n in ((5, 95), (10, 290), (30, 1970), (120, 5000))),
    *((five_classes(0.85, (0.2,) * 5), d, n) for d, n in ((5, 95), (30, 1970))),
]  # fmt: skip


def judged(draws, seed):
    """Per setting: coverage at 95 %, how often the AUC is called below its true value at 5 %, and Wald's coverage."""
    rows, rng = [], np.random.default_rng(seed)
    for shares, n_bad, n_good in SETTINGS:
        area, variance, truth = drawn(shares, n_bad, n_good, draws, rng)
        low = np.array([
            AreaEstimate(a, s, n_bad, n_good).chance_below(truth) for a, s in zip(area, variance, strict=True)
        ])  # fmt: skip
        high = np.array([
            AreaEstimate(1 - a, s, n_bad, n_good).chance_below(1 - truth) for a, s in zip(area, variance, strict=True)
        ])  # fmt: skip
        wald = np.abs(area - truth) <= 1.96 * np.sqrt(variance)
        rows.append((np.mean((low > 0.025) & (high > 0.025)), np.mean(low <= 0.05), wald.mean()))
    return np.array(rows)


def test_auc__covers_from_three_defaults_and_in_five_classes(figure):
    found = judged(400, 21)
    figure("AUC at 95 %, lowest and mean coverage", f"{found[:, 0].min():.3f}, {found[:, 0].mean():.3f}")
    figure("AUC, coverage of Wald's interval there", f"{found[:, 2].min():.3f}, {found[:, 2].mean():.3f}")
    figure("AUC drop, size at 5 %, highest and mean", f"{found[:, 1].max():.3f}, {found[:, 1].mean():.3f}")
    assert found[:, 0].min() >= 0.885  # 0.93 less three and a half standard errors of 400 draws
    assert found[:, 0].mean() >= 0.95
    assert found[:, 1].mean() <= 0.05
    assert found[:, 2].min() < 0.75  # what it replaces


@pytest.mark.long
def test_auc__covers_from_three_defaults_in_full():
    found = judged(8000, 22)
    assert found[:, 0].min() >= 0.925  # 0.93 but for a spread of the defaults that is twice that of the others
    assert found[:, 1].max() <= 0.06


def test_newcombe__by_hand():
    # Newcombe (2006), method 5: θ(1 − θ)(1 + N(1 − θ)/(2 − θ) + Nθ/(1 + θ)) / (mn), N = (m + n)/2 − 1
    assert newcombe(0.8, 10, 30) == pytest.approx(0.16 * (1 + 19 * 0.2 / 1.2 + 19 * 0.8 / 1.8) / 300, rel=1e-12)


def test_interval__is_where_the_test_rejects():
    for value, variance, d, n in (
        (0.8, 0.01, 5, 95),
        (0.95, 0.0001, 20, 500),
        (1.0, 0.0, 4, 50),
        (0.7, 0.002, 150, 900),
    ):
        estimate = AreaEstimate(value, variance, d, n)
        low, high = estimate.bounds(0.95)
        turned = AreaEstimate(1 - value, variance, d, n)
        assert turned.chance_below(1 - low) == pytest.approx(0.025, abs=1e-6)
        if value < 1:
            assert estimate.chance_below(high) == pytest.approx(0.025, abs=1e-6)
        assert 0 <= low < value <= high <= 1


def test_apart__has_a_lower_bound_and_two_of_a_kind_have_none():
    sample = pd.DataFrame({"score": [1, 2], "n": [50, 4], "n_defaults": [0, 4]})
    found = v.auc(sample)
    assert (found.value, found.high, found.variance) == (1.0, 1.0, 0.0)
    assert 0.5 < found.low < 0.95
    little = v.auc(sample.assign(n=[50, 2], n_defaults=[0, 2]))
    assert (little.low, "says nothing" in little.notes[0]) == (None, True)


def test_auc_drop__detectable_is_found_four_times_in_five_of_thirty_defaults_in_five_classes(figure):
    rng, (good, bad) = np.random.default_rng(23), five_classes(0.85)
    area, variance, _ = drawn((good, bad), 30, 1970, 1, rng)
    seen = AreaEstimate(float(area[0]), float(variance[0]), 30, 1970).detectable_drop(0.85)
    worse = five_classes(0.85 - seen)
    areas, variances, _ = drawn(worse, 30, 1970, 1500, rng)
    found = np.mean([
        AreaEstimate(a, s, 30, 1970).chance_below(0.85) <= 0.05 for a, s in zip(areas, variances, strict=True)
    ])  # fmt: skip
    figure("power at the detectable drop, 30 defaults in five classes", f"{found:.3f}")
    assert 0.75 <= found <= 0.95


def test_auc_unpaired__size(figure):
    rng, found = np.random.default_rng(24), {}
    for shares, d, n in (
        (normal(0.8), 5, 95),
        (normal(0.8), 30, 1970),
        (five_classes(0.8), 30, 1970),
        (normal(0.8), 150, 3000),
    ):
        (a, x, _), (b, y, _) = (drawn(shares, d, n, 6000, rng) for _ in range(2))
        freedom = (x + y) ** 2 / ((x**2 + y**2) / (d + n - 1))
        found[d, len(shares[0])] = np.mean(2 * stats.t.sf(np.abs(a - b) / np.sqrt(x + y), freedom) <= 0.05)
    figure(
        "unpaired AUC, size at 5 %, by defaults a side and levels", {k: round(float(s), 3) for k, s in found.items()}
    )
    assert found[5, 300] < 0.12  # which is why a note says so
    assert max(size for (d, _), size in found.items() if d >= 30) <= 0.066


def test_recalibration__shift_by_hand_and_covers(figure):
    sample = pd.DataFrame({"default_probability": [0.01, 0.05], "n": [900, 100], "n_defaults": [18, 12]})
    found = v.recalibration(sample, horizon_months=12)
    new = found.apply([0.01, 0.05])
    assert new @ [900, 100] == pytest.approx(30, abs=1e-9)
    assert special.logit(new) - special.logit([0.01, 0.05]) == pytest.approx([found.shift.value] * 2, abs=1e-12)
    p = np.repeat([0.01, 0.05], [900, 100])
    rng, truth = np.random.default_rng(25), 0.5
    hits = []
    for _ in range(300):
        bad = rng.random(1000) < special.expit(special.logit(p) + truth)
        rows = pd.DataFrame({"default_probability": [0.01, 0.05], "n": [900, 100],
                             "n_defaults": [bad[:900].sum(), bad[900:].sum()]})  # fmt: skip
        one = v.recalibration(rows, horizon_months=12).shift
        hits.append(one.low <= truth <= one.high)
    figure("shift of the logit, coverage at 95 %, 25 defaults", f"{np.mean(hits):.3f}")
    assert np.mean(hits) >= 0.92


def test_recalibration__isotonic_by_hand_and_checked():
    p, n, bad = [0.01, 0.02, 0.03, 0.10], [400, 300, 300, 200], [8, 3, 12, 30]
    sample = pd.DataFrame({"default_probability": p, "n": n, "n_defaults": bad})
    found = v.recalibration(sample, horizon_months=12, method="isotonic")
    assert found.buckets["n"].tolist() == [700, 300, 200]  # the first two violate the order
    assert found.apply([0.0, 0.015, 0.03, 0.5, np.nan]).tolist() == pytest.approx(
        [11 / 700, 11 / 700, 0.04, 0.15, np.nan], nan_ok=True
    )
    merged = v.recalibration(sample, horizon_months=12, method="isotonic", min_n=500)
    assert merged.buckets["n"].tolist() == [700, 500]
    checked = v.recalibration(
        sample, horizon_months=12, method="isotonic", check=sample.assign(n_defaults=[4, 6, 10, 20])
    )
    assert checked.buckets["check_n_defaults"].tolist() == [10, 10, 20]
    assert checked.tests["p_after"].notna().any()
    assert found.tests["p_after"].isna().all()
    for wrong, reason in (
        ({"method": "logit"}, "choose 'shift'"),
        ({"min_n": 0}, "min_n is 0"),
        ({"horizon_months": 0}, "horizon_months is 0"),
    ):
        with pytest.raises(InputError, match=reason):
            v.recalibration(sample, **{"horizon_months": 12} | wrong)
    with pytest.raises(InputError, match="no level fits"):
        v.recalibration(sample.assign(n_defaults=0), horizon_months=12)


def test_woe__by_hand_exported_and_by_chance(figure):
    rng = np.random.default_rng(26)
    sample = pd.DataFrame({"x": [*range(100), None] * 10, "n": 1})
    sample["n_defaults"] = (rng.random(len(sample)) < 0.1).astype(int)
    found = v.woe_binning(sample, "x", min_n=5, min_defaults=1)
    t = found.table
    bad, good = t["n_defaults"] / t["n_defaults"].sum(), (t["n"] - t["n_defaults"]) / (t["n"] - t["n_defaults"]).sum()
    assert t["weight_of_evidence"].to_numpy() == pytest.approx(np.log(bad / good).to_numpy(), abs=1e-12)
    assert found.value == pytest.approx(((bad - good) * np.log(bad / good)).sum(), abs=1e-12)
    assert t["bin"].tolist() == ["up to 19", "up to 39", "up to 59", "up to 79", "above 79", "missing"]
    carried = json.loads(json.dumps(found.to_dict()))
    assert apply_binning(carried, [0, 19, 20, 99, None]).tolist() == found.apply([0, 19, 20, 99, None]).tolist()
    hits = 0
    for _ in range(150):
        cells = pd.DataFrame({"x": list("abcde"), "n": 400, "n_defaults": rng.binomial(400, 0.1, 5)})
        hits += v.information_value(cells, ["x"])["p_value"].iloc[0] <= 0.05
    figure("information value of nothing, share called more than chance", f"{hits / 150:.3f}")
    assert hits / 150 <= 0.10  # three standard errors of 150 draws are 0.053
    words = v.information_value(sample.assign(y="same"), ["x", "y"])
    assert words["problem"].notna().tolist() == [False, True]


def test_long_run__by_hand_engines_and_refusals():
    cohorts = pd.DataFrame({
        "cohort_date": pd.date_range("2015-12-31", periods=8, freq="YE").astype("datetime64[us]"),
        "n": [100, 200, 400, 100, 100, 100, 100, 100], "n_defaults": [1, 4, 16, 1, 2, 3, 1, 2],
    })  # fmt: skip
    found = v.default_rate_long_run(cohorts)
    assert found.value == pytest.approx(np.mean([0.01, 0.02, 0.04, 0.01, 0.02, 0.03, 0.01, 0.02]), abs=1e-15)
    assert found.parts["pooled rate"] == 30 / 1200
    rates = (cohorts["n_defaults"] / cohorts["n"]).to_numpy()
    loads = [np.sqrt(2 / 8) * (np.cos(np.pi * j * (np.arange(8) + 0.5) / 8) * rates).sum() for j in (1, 2, 3)]
    width = stats.t.ppf(0.975, 3) * np.sqrt(np.mean(np.square(loads)) / 8)
    assert found.high == pytest.approx(found.value + width, rel=1e-12)
    shuffled = cohorts.sample(frac=1, random_state=2)
    arrow = pa.Table.from_pandas(shuffled, preserve_index=False)
    for other in (shuffled, arrow, duckdb.from_arrow(arrow)):
        assert v.default_rate_long_run(other) == found
        assert v.default_correlation(other) == v.default_correlation(cohorts)
    assert "4 windows that do not overlap; it takes 5" in v.default_rate_long_run(cohorts.head(4)).notes[0]
    assert "no date" in v.default_rate_long_run(cohorts.drop(columns="cohort_date")).notes[0]
    assert "evenly" in v.default_rate_long_run(cohorts.drop(index=[2, 3])).notes[0]
    assert "the same" in v.default_rate_long_run(cohorts.assign(n=100, n_defaults=2)).notes[0]
    rows = cohorts.loc[cohorts.index.repeat(cohorts["n"])].reset_index(drop=True)
    rows["defaulted"] = rows.groupby("cohort_date").cumcount() < rows["n_defaults"]
    rows = rows.drop(columns=["n", "n_defaults"]).assign(company_id=[f"c{i % 100}" for i in range(len(rows))])
    assert v.default_rate_long_run(rows).value == pytest.approx(found.value, abs=1e-15)
    for wrong, reason in (
        (cohorts.drop(columns="n"), "neither defaulted nor counts"), (cohorts.head(0), "there is no cohort"),
        (rows.drop(columns="cohort_date"), "no date of their cohort"), (cohorts.assign(n_defaults=500), "no counts"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=reason):
            v.default_rate_long_run(wrong)
    with pytest.raises(InputError, match="which cohorts do not overlap"):
        v.default_correlation(cohorts.drop(columns="cohort_date"))


def overlapping_rates(draws, years, step, rng):
    """One-year rates on every `step`-th month end of companies that share a factor; nothing else ties the months."""
    months = 12 * years
    factor = rng.normal(size=(draws, months + 12))
    monthly = special.ndtr((special.ndtri(0.02 / 12) + np.sqrt(0.12) * factor) / np.sqrt(0.88))
    seen = np.cumsum(rng.binomial(2000, monthly), axis=1)
    return (seen[:, 12:] - np.hstack([np.zeros((draws, 1)), seen[:, :-12]])[:, :months])[:, ::step] / 2000


def covered_long_run(draws, years, step, rng):
    truth = overlapping_rates(20_000, 1, 12, rng).mean()
    hits = 0
    for rates in overlapping_rates(draws, years, step, rng):
        variance, _ = _variance(rates, years)
        hits += abs(rates.mean() - truth) <= stats.t.ppf(0.975, _cosines(years)) * np.sqrt(variance)
    return hits / draws


@pytest.mark.parametrize(("years", "step"), [(5, 1), (5, 12), (10, 3)])
def test_long_run__covers_overlapping_windows(years, step, figure):
    found = covered_long_run(600, years, step, np.random.default_rng(27))
    figure(f"long-run rate, coverage, {years} years every {step} months", f"{found:.3f}")
    assert found >= 0.905  # 0.93 less two and a half standard errors of 600 draws


@pytest.mark.long
@pytest.mark.parametrize(("years", "step"), [(5, 1), (5, 3), (5, 12), (7, 3), (10, 1), (10, 12), (15, 1)])
def test_long_run__covers_in_full(years, step):
    assert covered_long_run(8000, years, step, np.random.default_rng(28)) >= 0.92


@pytest.mark.parametrize("correlation", [0.0, 0.05, 0.12, 0.24])
def test_default_correlation__covers(correlation, figure):
    rng, hits = np.random.default_rng(29), []
    dates = pd.date_range("2015-12-31", periods=8, freq="YE")
    for _ in range(150):
        p = special.ndtr((special.ndtri(0.02) - np.sqrt(correlation) * rng.normal(size=8)) / np.sqrt(1 - correlation))
        bad = rng.binomial(3000, p)
        found = v.default_correlation(pd.DataFrame({"cohort_date": dates, "n": 3000, "n_defaults": bad}))
        hits.append(found.low is None or found.low <= correlation <= found.high)
    figure(f"asset correlation {correlation}, coverage", f"{np.mean(hits):.3f}")
    assert np.mean(hits) >= 0.90  # 0.94 less two standard errors of 150 draws
