"""Concentration, heterogeneity and homogeneity of grades, and comparisons of samples, against printed numbers."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

from xray_analytics.analysis import validation as v
from xray_analytics.analysis.validation import grades
from xray_analytics.errors import InputError

ENGINES = {"pandas": lambda f: f, "arrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
           "duckdb": lambda f: duckdb.from_arrow(pa.Table.from_pandas(f, preserve_index=False)),
           "polars": pl.from_pandas}  # fmt: skip
GRADES = pd.DataFrame({
    "risk_class": [1, 2, 3, 4], "n": [1000, 1000, 1000, 40], "n_defaults": [10, 30, 31, 1],
})  # fmt: skip


def test_grade_concentration__printed():
    found = v.grade_concentration([20, 30, 30, 20], [5, 15, 60, 20])  # truth.md, computed apart
    assert found.parts["initial CV"] == pytest.approx(0.2, abs=1e-12)
    assert found.parts["CV"] == pytest.approx(0.836660026534, abs=1e-12)
    assert found.parts["initial index"] == pytest.approx(0.0282917641832, abs=1e-12)
    assert found.value == pytest.approx(0.382767373181, abs=1e-12)
    assert found.parts["S"] == pytest.approx(1.20317435707, abs=1e-11)
    assert found.p_value == pytest.approx(stats.norm.sf(1.20317435707), abs=1e-10)
    assert found.n == 100


def test_grade_concentration__ends_and_names():
    assert v.grade_concentration([5, 5], [7, 7]).value == pytest.approx(0, abs=1e-12)
    assert v.grade_concentration([5, 5], [0, 14]).value == pytest.approx(1, abs=1e-12)
    assert v.grade_concentration([5, 5], [7, 7]).p_value == 0.5
    assert v.grade_concentration([1, 5], [7, 7]).p_value == 1.0
    by_name = v.grade_concentration(
        {"A": 20, "B": 30, "C": 30, "D": 20}, pd.Series({"D": 20, "C": 60, "B": 15, "A": 5})
    )
    assert by_name.value == pytest.approx(0.382767373181, abs=1e-12)
    lacking = v.grade_concentration({"A": 20, "B": 30, "C": 50}, {"A": 20, "B": 80})
    assert lacking.parts["grades"] == 3
    blind = v.grade_concentration([40, 60, 0, 0], [30, 70, 0, 0])
    assert "no mix of 4 grades would be rejected" in blind.notes[0]
    from_here = v.grade_concentration([100] * 20, [100] * 20).parts["index rejected from"]
    assert 0 < from_here < 1


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        (([1, 2], [1, 2, 3]), "2 bins expected and 3 actual"), (([5], [5]), "two grades or more"),
        (([1.5, 2], [1, 2]), "initial holds what are no counts"),
        (([1, 2], [0, 0]), "current holds what are no counts"),
        (([1, 2], [np.nan, 2]), "negative or missing"), (([1, 2], [-1, 2]), "negative or missing"),
    ],
)  # fmt: skip
def test_grade_concentration__refused(sides, reason):
    with pytest.raises(InputError, match=reason):
        v.grade_concentration(*sides)


def test_grade_concentration__an_unchanged_mix_is_never_rejected(figure):
    rng, shares = np.random.default_rng(1), [0.1, 0.2, 0.4, 0.2, 0.1]
    pairs = rng.multinomial(500, shares, size=(2000, 2))
    size = np.mean([v.grade_concentration(*pair).p_value <= 0.05 for pair in pairs[:400]])
    figure("size of the concentration test at 5 %, five grades, same mix", f"{size:.3f}")
    assert size <= 0.06


def test_heterogeneity__by_hand():
    found = v.heterogeneity(GRADES)
    rate = 40 / 2000
    z = (0.03 - 0.01) / np.sqrt(rate * (1 - rate) * 2 / 1000)
    assert found["p_value"].iloc[0] == pytest.approx(stats.norm.sf(z), rel=1e-12)
    assert found["test"].tolist() == ["two proportions", "two proportions", "fisher"]
    exact = stats.fisher_exact([[1, 39], [31, 969]], alternative="greater").pvalue
    assert found["p_value"].iloc[2] == pytest.approx(exact, rel=1e-9)
    assert found["p_value_holm"].tolist() == pytest.approx(v.holm(found["p_value"].to_numpy()).tolist())
    assert found["verdict"].tolist() == ["distinct", "not_shown", "not_shown"]


def test_homogeneity__by_hand():
    cells = pd.DataFrame({
        "risk_class": [1, 1, 2, 2, 2, 3], "part": ["a", "b", "a", "b", "c", "a"],
        "n": [500, 500, 400, 400, 400, 90], "n_defaults": [25, 25, 20, 20, 60, 3],
    })  # fmt: skip
    found = v.homogeneity(cells, within="part")
    assert found[["risk_class", "part"]].values.tolist() == [[1, "a"], [2, "a"], [2, "b"], [2, "c"]]
    rate = 100 / 1200
    z = (60 / 400 - 40 / 800) / np.sqrt(rate * (1 - rate) * (1 / 400 + 1 / 800))
    assert found["p_value"].iloc[3] == pytest.approx(2 * stats.norm.sf(z), rel=1e-12)
    assert found["p_value"].iloc[0] == 1.0
    assert found["verdict"].tolist()[-1] == "mixed"
    assert found["rest_n_defaults"].tolist() == [25, 80, 80, 40]


@pytest.mark.parametrize("engine", ENGINES)
def test_grades__same_on_every_engine_and_in_any_order(engine):
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({
        "company_id": [f"{i:09d}" for i in range(900)], "risk_class": rng.integers(1, 5, 900),
        "sector": rng.choice(["a", "b", "c"], 900), "defaulted": rng.random(900) < 0.1,
    })  # fmt: skip
    frame = ENGINES[engine](rows.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(v.heterogeneity(frame), v.heterogeneity(rows), check_dtype=False)
    pd.testing.assert_frame_equal(
        v.homogeneity(frame, within="sector"), v.homogeneity(rows, within="sector"), check_dtype=False
    )
    found = [v.woe_binning(f, "sector", min_n=20).table for f in (frame, rows)]
    pd.testing.assert_frame_equal(*found, check_dtype=False)


def test_grades__refused():
    with pytest.raises(InputError, match="1 grade in risk_class"):
        v.heterogeneity(GRADES.head(1))
    with pytest.raises(InputError, match="level is 5"):
        v.heterogeneity(GRADES, level=5)
    with pytest.raises(InputError, match="two or more parts"):
        v.homogeneity(GRADES.assign(part="x"), within="part")
    missing = pd.concat([GRADES, pd.DataFrame({"risk_class": [None], "n": [7], "n_defaults": [1]})])
    assert v.heterogeneity(missing).attrs["base"]["excluded"] == {"not_graded": 7}


def test_heterogeneity__rejects_once_in_twenty(figure):
    rng, found = np.random.default_rng(4), {}
    for n, other in ((500, 500), (2000, 300), (300, 2000), (20000, 500)):
        for rate in (0.005, 0.02, 0.05, 0.1):
            pairs = zip(rng.binomial(n, rate, 4000), rng.binomial(other, rate, 4000), strict=True)
            known = {}
            hits = 0
            for a, b in pairs:
                if (a, b) not in known:
                    known[a, b] = grades._more_defaults(n, a, other, b)[1] <= 0.05 if a + b else False
                hits += known[a, b]
            found[n, other, rate] = hits / 4000
    figure("size of the test of two grades at 5 %, worst of 16 settings", f"{max(found.values()):.3f}")
    assert max(found.values()) <= 0.065  # two standard errors of 4,000 draws are 0.007
    assert np.mean(list(found.values())) <= 0.05


def test_auc_unpaired__by_brute_force_and_welch():
    rng = np.random.default_rng(5)
    sides = []
    for n, shift in ((120, 1.0), (80, 0.5)):
        bad = rng.random(n) < 0.3
        sides.append(pd.DataFrame({"defaulted": bad, "score": np.round(rng.normal(size=n) + shift * bad, 1)}))
    found = v.auc_unpaired(*sides)
    areas, variances, sizes = [], [], []
    for side in sides:
        b, g = (side.loc[side["defaulted"] == d, "score"].to_numpy()[:, None] for d in (True, False))
        kernel = (b > g.T) + 0.5 * (b == g.T)
        areas.append(kernel.mean())
        variances.append(kernel.mean(axis=1).var(ddof=1) / len(b) + kernel.mean(axis=0).var(ddof=1) / len(g))
        sizes.append(len(side))
    d = (areas[0] - areas[1]) / np.sqrt(sum(variances))
    df = sum(variances) ** 2 / sum(x**2 / (n - 1) for x, n in zip(variances, sizes, strict=True))
    assert found.parts["D"] == pytest.approx(d, rel=1e-12)
    assert found.parts["degrees of freedom"] == pytest.approx(df, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(d), df), rel=1e-12)
    turned = v.auc_unpaired(*sides[::-1])
    assert (turned.value, turned.p_value) == (pytest.approx(-found.value), pytest.approx(found.p_value))
    same = v.auc_unpaired(sides[0], sides[0])
    assert (same.value, same.p_value) == (0.0, 1.0)
    assert found.low < found.value < found.high
    assert "under 30 the test errs more than it says" in found.notes[0]


def test_auc_unpaired__missing_little_and_wrong():
    good = pd.DataFrame({"defaulted": [1, 1, 0, 0, 0], "score": [3, 2, 2, 1, None]})
    assert v.auc_unpaired(good, good).n_missing == 2
    apart = pd.DataFrame({"defaulted": [1, 0], "score": [2, 1]})
    found = v.auc_unpaired(good, apart)
    assert (found.p_value, found.low) == (None, None)
    assert "cannot be estimated" in found.notes[0]
    with pytest.raises(InputError, match="0 of 2 observations defaulted"):
        v.auc_unpaired(good, apart.assign(defaulted=0))
    with pytest.raises(InputError, match="other"):
        v.auc_unpaired(good, good, other_score="other")
