"""Validation statistics of rankings and probabilities against printed numbers, brute force, and scipy."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from xray_analytics.analysis import validation as v
from xray_analytics.analysis.validation.auc_intervals import newcombe
from xray_analytics.analysis.validation.one_factor import chance_of_defaults
from xray_analytics.errors import InputError

# aSAH, from R's package pROC: outcome by the WFNS grade of 113 patients.
ASAH = pd.DataFrame({"score": range(1, 6), "n": [39, 32, 4, 16, 22], "n_defaults": [2, 12, 1, 8, 18]})


def rows(counts):
    """One row per observation of a frame of counts."""
    cells = counts.loc[counts.index.repeat(counts["n"])].reset_index(drop=True)
    number = cells.groupby(list(counts.columns)).cumcount() if len(cells) else 0
    return cells.assign(defaulted=number < cells["n_defaults"]).drop(columns=["n", "n_defaults"])


def made(seed=0, n=400, companies=None, rate=0.2):
    """Made-up companies with two coarse scores and a probability."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)
    sample = pd.DataFrame({
        "score": np.round(quality + rng.normal(size=n), 1), "other": np.round(quality + 2 * rng.normal(size=n)),
        "default_probability": np.clip(np.round(special.expit(quality - 2), 2), 0.01, 0.99),
        "defaulted": rng.random(n) < special.expit(quality + special.logit(rate)),
        "risk_class": np.clip(np.round(quality + 3), 1, 5).astype(int),
    })  # fmt: skip
    return sample if companies is None else sample.assign(company_id=[f"c{i % companies}" for i in range(n)])


def pairs(sample, score):
    """The kernel of every pair of a default (rows) and a non-default (columns): 1, ½ or 0."""
    bad, good = (sample.loc[sample["defaulted"] == d, score].to_numpy()[:, None] for d in (True, False))
    return (bad > good.T) + 0.5 * (bad == good.T)


def test_auc__asah():
    found = v.auc(ASAH)
    assert found.value == pytest.approx(0.823678861788618, abs=1e-15)  # analyses.md, computed with pROC
    assert found.variance == pytest.approx(0.00146991470882363, abs=1e-16)
    # pROC, help page of ci.auc: 95% CI of wfns 0.7485-0.8988 (DeLong), normal on the AUC itself
    assert found.value + 1.96 * np.sqrt(found.variance) * np.array([-1, 1]) == pytest.approx([0.7485, 0.8988], abs=5e-5)
    assert 0 < found.low < found.value < found.high < 1
    assert (found.n, found.n_defaults) == (113, 41)


def test_auc__is_the_mann_whitney_statistic():
    sample = made()
    bad, good = (sample.loc[sample["defaulted"] == d, "score"] for d in (True, False))
    expected = stats.mannwhitneyu(bad, good).statistic / (len(bad) * len(good))
    assert v.auc(sample).value == pytest.approx(expected, abs=1e-14)


def test_auc__variance_by_brute_force():
    sample = made(1, 150)
    kernel = pairs(sample, "score")
    m, n = kernel.shape
    expected = kernel.mean(axis=1).var(ddof=1) / m + kernel.mean(axis=0).var(ddof=1) / n
    assert v.auc(sample).variance == pytest.approx(expected, rel=1e-12)


def test_auc__clusters_by_brute_force_and_singles_as_delong():
    sample = made(2, 240, companies=80)
    sample["score"] += sample["company_id"].str[1:].astype(int) % 5  # what companies have in common
    kernel = pairs(sample, "score")
    area, (m, n) = kernel.mean(), kernel.shape
    ids = sorted(sample["company_id"].unique())
    bad, good = (sample.loc[sample["defaulted"] == d, "company_id"].to_numpy() for d in (True, False))
    of_bad = np.array([(kernel.mean(axis=1)[bad == i] - area).sum() for i in ids])
    of_good = np.array([(kernel.mean(axis=0)[good == i] - area).sum() for i in ids])
    k10, k01, k = len(set(bad)), len(set(good)), len(ids)
    expected = k10 / (k10 - 1) * (of_bad**2).sum() / m**2 + k01 / (k01 - 1) * (of_good**2).sum() / n**2
    expected += 2 * k / (k - 1) * (of_bad * of_good).sum() / (m * n)
    found = v.auc(sample, cluster="company_id")
    assert (found.variance, found.n_clusters) == (pytest.approx(expected, rel=1e-12), 80)
    alone = sample.assign(own=range(len(sample)))
    single = v.auc(alone.drop(columns="company_id"))
    assert v.auc(alone, cluster="own").variance == pytest.approx(single.variance, rel=1e-12)


def test_auc__of_little_says_so():
    two = pd.DataFrame({"defaulted": [1, 1, 0, 0], "score": [4, 3, 2, 1]})
    apart = v.auc(two)
    assert (apart.value, apart.low, apart.notes) == (
        1.0, None, ("no interval: the estimated variance is 0, which says nothing",),
    )  # fmt: skip
    one = v.auc(two.iloc[1:])
    assert (one.variance, one.notes) == (None, ("no interval: too few in one of the two classes",))


def test_auc_difference__by_brute_force():
    sample = made(3, 200)
    kernels = [pairs(sample, name) for name in ("score", "other")]
    m, n = kernels[0].shape
    s10, s01 = (np.cov([k.mean(axis=axis) for k in kernels]) for axis in (1, 0))
    cov = s10 / m + s01 / n
    found = v.auc_difference(sample, score="score", other="other")
    z = found.value / np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    assert found.value == pytest.approx(kernels[0].mean() - kernels[1].mean(), abs=1e-14)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)
    same = v.auc_difference(sample.assign(twin=sample["score"] * 2), score="score", other="twin")
    assert (same.value, same.p_value) == (0.0, None)


def test_auc_drop__is_one_sided_against_a_known_value():
    area = v.auc(ASAH)
    found = v.auc_drop(ASAH, reference=0.9)
    assert found.parts["S (ECB)"] == pytest.approx((0.9 - area.value) / np.sqrt(area.variance), rel=1e-12)
    at_the_reference = newcombe(np.array([0.9, area.value]), 41, 72)  # the variances as they would be there
    errors = np.sqrt([at_the_reference[0], area.variance * at_the_reference[0] / at_the_reference[1]])
    by_either = [stats.norm.sf(found.value / errors[0]), stats.t.sf(found.value / errors[1], 40)]
    assert found.p_value == pytest.approx(max(by_either), rel=1e-12)
    assert v.auc_drop(ASAH, reference=area.value).p_value == 0.5
    assert (found.low, found.high) == (0.9 - area.high, 0.9 - area.low)
    for reference in (area.high, area.low + 1e-9):  # test and interval are one inversion
        assert v.auc_drop(ASAH, reference=reference).p_value == pytest.approx(
            0.025 if reference > 0.8 else 0.975, abs=1e-6
        )


def test_somers_d__is_scipys():
    sample = rows(ASAH)
    expected = stats.somersd(sample["defaulted"].astype(int), sample["score"]).statistic
    assert v.somers_d(ASAH).value == pytest.approx(expected, abs=1e-14)


def test_ks__is_scipys_and_has_no_p_value_with_ties():
    tied = rows(ASAH)
    bad, good = (tied.loc[tied["defaulted"] == d, "score"] for d in (True, False))
    found = v.ks(ASAH)
    assert found.value == pytest.approx(stats.ks_2samp(bad, good).statistic, abs=1e-14)
    assert (found.p_value, found.parts["at score"]) == (None, 3.0)
    free = made(4, 120)
    free["score"] = np.random.default_rng(1).permutation(120)
    bad, good = (free.loc[free["defaulted"] == d, "score"] for d in (True, False))
    assert v.ks(free).p_value == pytest.approx(stats.ks_2samp(bad, good).pvalue)


def test_curves__areas_are_auc_and_somers_d():
    sample = made(5)
    roc, cap = v.roc_curve(sample), v.cap_curve(sample)
    area = np.trapezoid(roc["true_positive_ratio"], roc["false_positive_ratio"])
    assert area == pytest.approx(v.auc(sample).value, abs=1e-12)
    rate = sample["defaulted"].mean()
    gain = (np.trapezoid(cap["defaults_share_ratio"], cap["share_ratio"]) - 0.5) / (0.5 - rate / 2)
    assert gain == pytest.approx(v.somers_d(sample).value, abs=1e-12)
    assert roc.attrs["base"]["used"] == 400


def test_brier__value_decomposition_and_variance():
    # scikit-learn, documentation of brier_score_loss
    small = pd.DataFrame({"defaulted": [0, 1, 1, 0], "default_probability": [0.1, 0.9, 0.8, 0.3]})
    assert v.brier(small, horizon_months=12).value == pytest.approx(0.0375, abs=1e-15)
    sample = made(6).assign(default_probability=lambda s: s["default_probability"].round(1).clip(0.1, 0.9))
    errors = (sample["defaulted"] - sample["default_probability"]) ** 2
    found = v.brier(sample, horizon_months=12)
    parts = found.parts
    assert parts["reliability"] - parts["resolution"] + parts["uncertainty"] == pytest.approx(found.value, abs=1e-14)
    assert (found.value, found.variance) == (pytest.approx(errors.mean()), pytest.approx(errors.var() / len(sample)))
    clusters = made(6, companies=100)
    sums = (errors - errors.mean()).groupby(clusters["company_id"]).sum()
    clustered = v.brier(sample.assign(company_id=clusters["company_id"]), horizon_months=12, cluster="company_id")
    assert clustered.variance == pytest.approx(100 / 99 * (sums**2).sum() / 400**2)


def test_spiegelhalter__by_hand_and_by_enumeration():
    # 0.2 and 0.4, both defaulted: ((0.8)(0.6) + (0.6)(0.2)) / √(0.36 · 0.16 + 0.04 · 0.24)
    sample = pd.DataFrame({"defaulted": [True, True], "default_probability": [0.2, 0.4]})
    assert v.spiegelhalter(sample, horizon_months=12).value == pytest.approx(0.6 / np.sqrt(0.0672), rel=1e-12)
    # Of all outcomes of five companies, weighted by their chance, z has mean 0 and variance 1.
    p, moments = np.array([0.05, 0.1, 0.2, 0.3, 0.7]), np.zeros(2)
    for bits in range(32):
        hit = np.array([bits >> i & 1 for i in range(5)], bool)
        z = v.spiegelhalter(pd.DataFrame({"defaulted": hit, "default_probability": p}), horizon_months=12).value
        moments += np.where(hit, p, 1 - p).prod() * np.array([z, z * z])
    assert moments == pytest.approx([0, 1], abs=1e-12)


def test_hosmer_lemeshow__is_a_sum_of_scipys_chi_squares():
    n, bad, p = np.array([200] * 10), np.array([3, 5, 9, 8, 14, 15, 22, 20, 31, 40]), np.linspace(0.01, 0.19, 10)
    counts = pd.DataFrame({"default_probability": p, "n": n, "n_defaults": bad})
    expected = sum(stats.chisquare([b, m - b], [m * q, m - m * q]).statistic for m, b, q in zip(n, bad, p, strict=True))
    found = {fitted: v.hosmer_lemeshow(counts, fitted=fitted, horizon_months=12) for fitted in (True, False)}
    assert found[True].value == found[False].value == pytest.approx(expected, rel=1e-12)
    assert [found[f].p_value for f in (True, False)] == pytest.approx([stats.chi2.sf(expected, df) for df in (8, 10)])
    assert "1 of 10 groups expect fewer than 5" in found[True].notes[1]


@pytest.mark.parametrize("test", [v.spiegelhalter, lambda s, **k: v.hosmer_lemeshow(s, fitted=False, **k)])
def test_forecasts__detectable_factor_is_found_four_times_in_five(test):
    rng, p = np.random.default_rng(7), np.repeat(np.linspace(0.01, 0.1, 10), 300)
    factor = test(pd.DataFrame({"defaulted": p > 0.05, "default_probability": p}), horizon_months=12).detectable
    hits = [
        test(pd.DataFrame({"defaulted": rng.random(3000) < p * factor, "default_probability": p}), horizon_months=12)
        for _ in range(120)
    ]
    assert np.mean([found.p_value <= 0.05 for found in hits]) == pytest.approx(0.8, abs=0.11)  # 3 standard errors


def test_jeffreys__ecb():
    # ECB (2019), 2.5.3.1, values of analyses.md
    assert v.jeffreys(1000, 12, 0.01).p_value == pytest.approx(0.252381226151347, abs=1e-13)
    assert v.jeffreys(250, 9, 0.015).p_value == pytest.approx(0.00843960094573144, abs=1e-13)
    assert v.jeffreys(250, 9, 0.015).p_value == pytest.approx(special.betainc(9.5, 241.5, 0.015), abs=1e-14)


def test_jeffreys__detects_what_it_says():
    found = v.jeffreys(800, 20, 0.02)
    needed = next(k for k in range(801) if v.jeffreys(800, k, 0.02).p_value <= 0.05)
    assert stats.binom.sf(needed - 1, 800, 0.02 * found.detectable) == pytest.approx(0.8, abs=1e-9)
    assert v.jeffreys(800, 20, 0.0).detectable is None


@pytest.mark.parametrize(("correlation", "smallest"), [(0, 19), (0.05, 35), (0.1, 49), (0.15, 63), (0.2, 77)])
def test_binomial__bcbs_working_paper_14(correlation, smallest):
    found = [v.binomial(1000, k, 0.01, correlation=correlation).p_value for k in (smallest - 1, smallest)]
    assert found[0] > 0.01 >= found[1]


def test_binomial__is_scipys_and_detects_what_it_says():
    assert v.binomial(250, 9, 0.015).p_value == pytest.approx(stats.binom.sf(8, 250, 0.015), rel=1e-12)
    for correlation in (0.0, 0.12):
        found = v.binomial(800, 20, 0.02, correlation=correlation)
        needed = next(k for k in range(801) if chance_of_defaults(800, k, 0.02, correlation) <= 0.05)
        power = chance_of_defaults(800, needed, 0.02 * found.detectable, correlation)
        assert power == pytest.approx(0.8, abs=1e-9)


def test_one_factor__simulated():
    # P. Windridge's check of his Pluto-Tasche calculator: 9,810 companies, 35 defaults, correlation 0.15, PD 3.34 %:
    # more than 35 in 95 % of the draws.
    assert chance_of_defaults(9810, 36, 0.0334, 0.15) == pytest.approx(0.95, abs=0.002)
    bound = v.low_default_pd([9810], [35], confidence=[0.95], correlation=0.15)["default_probability"].item()
    assert bound == pytest.approx(0.0334, abs=5e-5)


def test_default_rate_interval__schuermann_and_hanson():
    found = v.default_rate_interval(531, 15, method="wald")  # 2004: 141.56 to 423.41 basis points
    assert [found.low * 1e4, found.high * 1e4] == pytest.approx([141.56, 423.41], abs=0.01)


@pytest.mark.parametrize(("n", "k"), [(531, 15), (40, 0), (40, 40), (1000, 1)])
def test_default_rate_interval__is_scipys(n, k):
    for method, name in (("clopper_pearson", "exact"), ("wilson", "wilson")):
        expected = stats.binomtest(k, n).proportion_ci(method=name)
        found = v.default_rate_interval(n, k, method=method)
        assert (found.low, found.high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high))


def test_default_rate_interval__agresti_coull_and_jeffreys_printed():
    # R's binom package, help of binom.confint(x = 2, n = 10): printed to 7 digits
    assert [
        getattr(v.default_rate_interval(10, 2, method="agresti_coull"), b) for b in ("low", "high")
    ] == pytest.approx([0.0459, 0.5206], abs=1e-4)
    low, high = stats.beta.ppf([0.025, 0.975], 2.5, 8.5)
    found = v.default_rate_interval(10, 2)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_calibration_table__verdicts_know_how_many_were_asked():
    counts = pd.DataFrame({
        "risk_class": pd.array([1, 2, 3, 4, None], "Int64"), "n": [1000, 250, 900, 10, 300],
        "n_defaults": [12, 9, 0, 5, 9], "default_probability": [0.01, 0.015, 1e-6, 0.05, 0.02],
    })  # fmt: skip
    table = v.calibration_table(counts, horizon_months=12, min_n=50)
    raw = np.array(
        [v.jeffreys(*row).p_value for row in counts[["n", "n_defaults", "default_probability"]].values[:, :]]
    )
    assert table["p_value"].dropna().tolist() == pytest.approx(raw[[0, 1, 2, 4]].tolist())
    assert table["p_value_holm"].dropna().tolist() == pytest.approx(v.holm(raw[[0, 1, 2, 4]]).tolist())
    assert raw[2] < 0.05  # a class without a default is never called underestimated, whatever the formula says
    assert table["verdict"].tolist() == ["not_rejected", "underestimated", "not_rejected", "too_few", "not_rejected"]
    one = rows(counts.assign(risk_class=1))
    assert v.calibration_table(one, horizon_months=12)["mean_probability"].item() == pytest.approx(
        (counts["n"] * counts["default_probability"]).sum() / 2460
    )


def test_calibration_table__clusters_have_intervals_but_no_exact_test():
    sample = made(8, 600, companies=200)
    with pytest.raises(InputError, match=r"200 companies have 600 observations.*cluster='company_id'"):
        v.calibration_table(sample, horizon_months=12)
    table = v.calibration_table(sample, horizon_months=12, cluster="company_id")
    assert set(table["verdict"]) == {"not_tested"}
    assert table["p_value"].isna().all()
    assert (table["low"] <= table["default_rate_ratio"]).all()


def test_holm__printed():
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert v.holm(np.array([0.01, 0.02, 0.03, 0.04, 0.05])) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_statistic__reads_well():
    found = v.auc(ASAH)
    assert repr(found).startswith("AUC 0.8237 · 95% interval 0.7269 … 0.8886 · n 113, 41 defaulted · detectable")
    assert "<th>AUC</th><td>0.8237</td>" in found._repr_html_()
    assert "p-value 0.2524 (at most 0.01)" in repr(v.jeffreys(1000, 12, 0.01))


STATISTICS = {
    "auc": v.auc, "somers_d": v.somers_d, "ks": v.ks,
    "auc_difference": lambda s: v.auc_difference(s, score="score", other="other"),
    "auc_drop": lambda s: v.auc_drop(s, reference=0.8),
    "brier": lambda s: v.brier(s, horizon_months=12), "spiegelhalter": lambda s: v.spiegelhalter(s, horizon_months=12),
    "hosmer_lemeshow": lambda s: v.hosmer_lemeshow(s, fitted=False, horizon_months=12),
}  # fmt: skip
TABLES = {
    "roc_curve": v.roc_curve, "cap_curve": v.cap_curve,
    "calibration_table": lambda s: v.calibration_table(s, horizon_months=12),
}  # fmt: skip


def numbers(found):
    return np.array([getattr(found, n) or 0.0 for n in ("value", "low", "high", "p_value", "variance", "detectable")])


ORDERED = made(9, 120).assign(company_id=[f"c{i}" for i in range(120)])


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(120)))
@pytest.mark.parametrize("name", [*STATISTICS, *TABLES])
def test_order_of_rows__never_matters(name, order):
    shuffled = ORDERED.iloc[list(order)]
    if name in STATISTICS:
        assert STATISTICS[name](ORDERED) == STATISTICS[name](shuffled)
    else:
        pd.testing.assert_frame_equal(TABLES[name](ORDERED), TABLES[name](shuffled), check_exact=True)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
def test_auc__counts_pairs(cells):
    sample = pd.DataFrame(cells, columns=["score", "defaulted"])
    if sample["defaulted"].nunique() < 2:
        with pytest.raises(InputError, match="both kinds are needed"):
            v.auc(sample)
        return
    assert v.auc(sample).value == pytest.approx(pairs(sample, "score").mean(), abs=1e-12)
    stretched = sample.assign(score=np.exp(sample["score"] * 3.0) - 7)
    assert v.auc(stretched) == v.auc(sample)  # only the order of scores matters
    turned = v.auc(sample.assign(score=-sample["score"]))
    assert turned.value == pytest.approx(1 - v.auc(sample).value, abs=1e-12)


@pytest.mark.parametrize("engine", ["arrow", "duckdb"])
def test_engines__agree(engine):
    sample = made(10).assign(company_id=[f"c{i}" for i in range(400)])
    sample.loc[:20, ["score", "default_probability"]] = np.nan
    other = pa.Table.from_pandas(sample) if engine == "arrow" else duckdb.from_df(sample)
    for name, statistic in STATISTICS.items():
        here, there = statistic(sample), statistic(other)
        assert numbers(here) == pytest.approx(numbers(there), rel=1e-9), name
        assert (here.n, here.n_missing) == (there.n, there.n_missing)
        assert here.n_missing == 21
    for table in TABLES.values():
        pd.testing.assert_frame_equal(table(sample), table(other), check_dtype=False, rtol=1e-9)
    clusters = made(10, companies=50)
    other = pa.Table.from_pandas(clusters) if engine == "arrow" else duckdb.from_df(clusters)
    here, there = (v.auc(s, cluster="company_id").variance for s in (clusters, other))
    assert here == pytest.approx(there, rel=1e-9)


GOOD = pd.DataFrame({"defaulted": [True, False, False], "score": [3, 2, 1], "default_probability": [0.3, 0.2, 0.1]})
REFUSED = {
    "one class": (v.auc, GOOD.assign(defaulted=False), "0 of 3 observations defaulted"),
    "no outcome": (
        v.auc,
        GOOD.assign(defaulted=pd.array([True, None, False], "boolean")),
        "1 observations have no outcome",
    ),
    "neither 0 nor 1": (v.auc, GOOD.assign(defaulted=[0, 1, 2]), "neither 0 nor 1"),
    "no outcome column": (v.auc, GOOD[["score"]], "neither defaulted nor counts"),
    "no score column": (v.auc, GOOD[["defaulted"]], "lacks score"),
    "words as scores": (v.auc, GOOD.assign(score=list("abc")), r"found score \(String\)"),
    "nobody": (v.auc, GOOD.iloc[:0], "no observation has score"),
    "no scores": (v.auc, GOOD.assign(score=np.nan), "no observation has score"),
    "no frame": (v.auc, 7, "a sample is a frame"),
    "more defaults than companies": (v.auc, pd.DataFrame({"score": [1], "n": [1], "n_defaults": [2]}), "no counts"),
    "per cent": (STATISTICS["brier"], GOOD.assign(default_probability=[1, 2, 30]), "30|divide percentages by 100"),
    "below 0": (
        STATISTICS["spiegelhalter"],
        GOOD.assign(default_probability=[-0.1, 0.2, 0.3]),
        "-0.1, which is no prob",
    ),
    "few groups": (STATISTICS["hosmer_lemeshow"], GOOD.assign(default_probability=[0.1, 0.1, 0.2]), "2 groups"),
    "no horizon": (lambda s: v.brier(s, horizon_months=0), GOOD, "horizon_months is 0"),
    "one cluster": (lambda s: v.auc(s, cluster="c"), GOOD.assign(c="x"), "two or more clusters"),
    "no cluster": (lambda s: v.auc(s, cluster="c"), GOOD.assign(c=["x", None, "y"]), "have no c"),
    "no reference": (lambda s: v.auc_drop(s, reference=70), GOOD, "between 0 and 1"),
    "confidence": (lambda s: v.auc(s, confidence=95), GOOD, "confidence is 95"),
    "table outside": (
        TABLES["calibration_table"],
        GOOD.assign(risk_class=1, default_probability=2.0),
        "no probability",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused__with_a_reason(case):
    call, sample, reason = REFUSED[case]
    with pytest.raises(InputError, match=reason):
        call(sample)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: v.jeffreys(10, 11, 0.1), "11 defaults of 10 companies"),
        (lambda: v.jeffreys(10, 1, 1.1), "no probability"),
        (lambda: v.binomial(10, 1, 0.1, correlation=1), "from 0 to below 1"),
        (lambda: v.default_rate_interval(0, 0), "0 defaults of 0 companies"),
        (lambda: v.default_rate_interval(9, 1, method="exact"), "choose jeffreys, wilson"),
        (lambda: v.low_default_pd([1], [0, 0]), "1 grades in n and 2 in defaults"),
        (lambda: v.low_default_pd([1], [0], confidence=[90]), "between 0 and 1"),
    ],
)
def test_refused__counts(call, reason):
    with pytest.raises(InputError, match=reason):
        call()
