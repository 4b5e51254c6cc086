"""Cell tests, generator and powers of migration matrices, against printed numbers."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import linalg, stats

from xray_analytics import migration
from xray_analytics.errors import InputError

HAND = [[80, 15, 5], [10, 70, 20], [2, 18, 80]]  # analyses.md


def long(counts, states=None, name="n"):
    states = states or [str(i + 1) for i in range(len(counts[0]))]
    return pd.DataFrame(
        [(i + 1, states[j], x) for i, row in enumerate(counts) for j, x in enumerate(row)],
        columns=["from_class", "to_state", name],
    )


def test_cell_tests__printed_and_mirrored():
    found = migration.cell_tests(long(HAND))
    assert found[["from_class", "to_state", "against"]].values.tolist() == [[1, "2", "3"], [3, "2", "1"]]
    assert found["z"].iloc[0] == pytest.approx(2.29415733857, abs=1e-9)  # truth.md: 0.1 / √0.0019
    assert found["p_value"].iloc[0] == pytest.approx(stats.norm.cdf(0.1 / np.sqrt(0.0019)), abs=1e-12)
    p, q = 18 / 100, 2 / 100
    expected = (p - q) / np.sqrt((p * (1 - p) + q * (1 - q) + 2 * p * q) / 100)
    assert found["z"].iloc[1] == pytest.approx(expected, rel=1e-12)
    assert found["p_value_exact"].iloc[0] == pytest.approx(stats.binomtest(15, 20, alternative="less").pvalue, rel=1e-9)
    assert found["n"].tolist() == [100, 100]


def test_cell_tests__every_pair_of_a_scale_of_five_and_nothing_seen():
    counts = np.full((5, 5), 7)
    counts[1, 3:] = 0
    found = migration.cell_tests(long(counts.tolist()), classes=range(1, 6))
    pairs = found[["from_class", "to_state", "against"]].values.tolist()
    assert [row[1:] for row in pairs if row[0] == 1] == [["2", "3"], ["3", "4"], ["4", "5"]]
    assert [row[1:] for row in pairs if row[0] == 4] == [["2", "1"], ["3", "2"]]
    blank = found[(found["from_class"] == 2) & (found["to_state"] == "4")]
    assert blank[["z", "p_value", "p_value_holm"]].isna().all(axis=None)
    alone = migration.cell_tests(long([[0, 9, 0], [1, 1, 1], [1, 1, 1]])).iloc[0]  # everybody moved by one
    assert (alone["z"], alone["p_value"], alone["p_value_exact"]) == (np.inf, 1.0, 1.0)
    with pytest.raises(InputError, match="lacks n"):
        migration.cell_tests(long(HAND).drop(columns="n"))
    with pytest.raises(InputError, match="negative counts"):
        migration.cell_tests(long([[1, -2], [1, 1]]))


def test_cell_tests__exact_rejects_once_in_twenty(figure):
    """Both moves as likely: the worst case of the hypothesis; exactly, over all outcomes of m moves."""
    sizes = {"z": [], "exact": []}
    for m in (3, 6, 10, 20, 50):
        near = np.arange(m + 1)
        weight = stats.binom.pmf(near, m, 0.5)
        tests = [migration.cell_tests(long([[500, a, m - a], [0, 1, 0], [0, 0, 1]])).iloc[0] for a in near]
        sizes["z"].append(weight[[t["p_value"] <= 0.05 for t in tests]].sum())
        sizes["exact"].append(weight[[t["p_value_exact"] <= 0.05 for t in tests]].sum())
    figure(
        "cell test, size at 5 % by z and exactly, worst of 3 to 50 moves",
        [round(float(max(s)), 3) for s in sizes.values()],
    )
    assert max(sizes["exact"]) <= 0.05
    assert max(sizes["z"]) > 0.06


def lando_skodeberg():
    """Ten firms in A, ten in B for a year; A to B after 1 month, B to A after 2, B to D after 6."""
    rows = [(f"a{i}", "A", "2024-01-01", None) for i in range(9)] + [
        (f"b{i}", "B", "2024-01-01", None) for i in range(8)
    ]
    rows += [("a9", "A", "2024-01-01", "2024-02-01"), ("a9", "B", "2024-02-01", None)]
    rows += [("b8", "B", "2024-01-01", "2024-03-01"), ("b8", "A", "2024-03-01", None)]
    rows += [("b9", "B", "2024-01-01", "2024-07-01"), ("b9", "D", "2024-07-01", "2025-01-01")]
    frame = pd.DataFrame(rows, columns=["company_id", "state", "start_date", "end_date"])
    return frame.assign(**{c: frame[c].astype("datetime64[us]") for c in ("start_date", "end_date")})


def test_generator_matrix__lando_and_skodeberg():
    found = migration.generator_matrix(lando_skodeberg())
    cell = found.set_index(["from_class", "to_state"])
    assert cell["years_at_risk"].loc[[("A", "B"), ("B", "A")]].tolist() == pytest.approx([9.916667, 9.583333], abs=5e-7)
    assert cell["rate_per_year"].loc[("A", "B")] == pytest.approx(0.1008403361, abs=1e-10)
    assert cell["rate_per_year"].loc[[("B", "A"), ("B", "D")]].tolist() == pytest.approx([0.1043478261] * 2, abs=1e-10)
    rates = np.array([[-1 / 9.916666666666666, 1 / 9.916666666666666, 0],
                      [1 / 9.583333333333334, -2 / 9.583333333333334, 1 / 9.583333333333334], [0, 0, 0]])  # fmt: skip
    assert found["share_ratio"].tolist() == pytest.approx(linalg.expm(rates).ravel().tolist(), abs=1e-12)
    assert 0 < cell["share_ratio"].loc[("A", "D")] < 0.01  # nobody went there at one go
    assert cell["n"].loc[[("A", "B"), ("B", "A"), ("B", "D"), ("A", "D")]].tolist() == [1, 1, 1, 0]
    half = migration.generator_matrix(lando_skodeberg(), horizon_months=6)
    twice = half["share_ratio"].to_numpy().reshape(3, 3) @ half["share_ratio"].to_numpy().reshape(3, 3)
    assert twice.ravel().tolist() == pytest.approx(found["share_ratio"].tolist(), abs=1e-12)


def test_generator_matrix__same_on_every_engine_in_any_order_and_with_classes():
    frame = lando_skodeberg()
    expected = migration.generator_matrix(frame)
    shuffled = frame.sample(frac=1, random_state=1)
    arrow = pa.Table.from_pandas(shuffled, preserve_index=False)
    for other in (shuffled, arrow, duckdb.from_arrow(arrow)):
        pd.testing.assert_frame_equal(migration.generator_matrix(other), expected, check_dtype=False)
    numbered = migration.generator_matrix(frame.assign(state=frame["state"].map({"A": 1, "B": 2, "D": 10})))
    assert numbered["from_class"].tolist() == [1, 1, 1, 2, 2, 2, 10, 10, 10]
    named = migration.generator_matrix(frame.assign(state=frame["state"].replace({"D": "defaulted"})))
    structure = migration.term_structure(named, years=2)
    assert structure["low"].isna().all()
    assert structure["default_probability"].iloc[0] == pytest.approx(expected["share_ratio"].iloc[2], abs=1e-12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.assign(end_date=f["start_date"] - pd.Timedelta(days=1)), "ends before it starts"),
        (lambda f: pd.concat([f, f.head(1)]), "two stays of a0 overlap"), (lambda f: f.head(0), "spells are empty"),
        (lambda f: f.assign(state=None), "lack a company, a state"), (lambda f: f.drop(columns="end_date"), "end_date"),
    ],
)  # fmt: skip
def test_generator_matrix__refused(change, reason):
    with pytest.raises(InputError, match=reason):
        migration.generator_matrix(change(lando_skodeberg()))
    with pytest.raises(InputError, match="horizon_months is 0"):
        migration.generator_matrix(lando_skodeberg(), horizon_months=0)


# Jarrow, Lando & Turnbull (1997), table 3: one-year transitions AAA … CCC and default, as printed.
JLT = [
    [0.8910, 0.0963, 0.0078, 0.0019, 0.0030, 0.0000, 0.0000, 0.0000],
    [0.0086, 0.9010, 0.0747, 0.0099, 0.0029, 0.0029, 0.0000, 0.0000],
    [0.0009, 0.0291, 0.8894, 0.0649, 0.0101, 0.0045, 0.0000, 0.0009],
    [0.0006, 0.0043, 0.0656, 0.8427, 0.0644, 0.0160, 0.0018, 0.0045],
    [0.0004, 0.0022, 0.0079, 0.0719, 0.7764, 0.1043, 0.0127, 0.0241],
    [0.0000, 0.0019, 0.0031, 0.0066, 0.0517, 0.8246, 0.0435, 0.0685],
    [0.0000, 0.0000, 0.0116, 0.0116, 0.0203, 0.0754, 0.6493, 0.2319],
]
JLT_STATES = ["1", "2", "3", "4", "5", "6", "7", "defaulted"]


def test_multi_year__jarrow_lando_and_turnbull():
    printed = long(JLT, JLT_STATES, "share_ratio")
    sums = np.sum(JLT, axis=1)
    assert sums.round(4).tolist() == [1.0, 1.0, 0.9998, 0.9999, 0.9999, 0.9999, 1.0001]  # as printed
    full = np.vstack([JLT / sums[:, None], np.eye(8)[7]])
    found = migration.multi_year_matrix(printed, years=5)
    assert found["share_ratio"].to_numpy().reshape(8, 8) == pytest.approx(np.linalg.matrix_power(full, 5), abs=1e-14)
    assert found.attrs["base"]["filters"]["rescaled_ratio"] == pytest.approx(0.0002, abs=1e-9)
    structure = migration.term_structure(printed, years=[1, 5])
    assert structure["default_probability"].iloc[1::2].tolist() == pytest.approx(np.linalg.matrix_power(full, 5)[:7, 7])
    assert structure[["low", "n"]].isna().all(axis=None)
    ten = migration.term_structure(printed, years=10)
    cumulated = ten.groupby("from_class")["marginal_probability"].cumsum()
    assert cumulated.tolist() == pytest.approx(ten["default_probability"].tolist(), abs=1e-12)


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (long([[0.5, 0.4], [0, 1]], name="share_ratio"), "the row of 1 sums to 0.9"),
        (long([[5, 4], [0, 0]]), "the row of 2 sums to 0"), (long([[5, -4], [0, 1]]), "negative or missing"),
        (pd.DataFrame({"from_class": [1]}), "needs from_class, to_state"),
    ],
)  # fmt: skip
def test_multi_year__refused(matrix, reason):
    with pytest.raises(InputError, match=reason):
        migration.multi_year_matrix(matrix, years=2)
    with pytest.raises(InputError, match="years is 0"):
        migration.multi_year_matrix(long(HAND), years=0)
    with pytest.raises(InputError, match="no state defaulted"):
        migration.term_structure(long(HAND))


def covered_term_structure(draws, n, rng):
    truth = np.array([
        [0.90, 0.08, 0.013, 0.005, 0.002], [0.10, 0.80, 0.08, 0.014, 0.006], [0.02, 0.10, 0.75, 0.11, 0.02],
        [0.01, 0.04, 0.12, 0.73, 0.10],
    ])  # fmt: skip
    states = ["1", "2", "3", "4", "defaulted"]
    full = np.vstack([truth, np.eye(5)[4]])
    expected = np.concatenate([[np.linalg.matrix_power(full, y)[i, 4] for y in (1, 3, 5)] for i in range(4)])
    hits = []
    for _ in range(draws):
        found = migration.term_structure(long([rng.multinomial(n, row) for row in truth], states), years=[1, 3, 5])
        hits.append((found["low"] <= expected) & (expected <= found["high"]))
    return np.mean(hits, axis=0).reshape(4, 3)


def test_term_structure__covers(figure):
    rng = np.random.default_rng(31)
    for n in (50, 400):
        found = covered_term_structure(80, n, rng)
        figure(
            f"PD term structure, coverage, {n} a class, mean and lowest of 12", f"{found.mean():.3f}, {found.min():.3f}"
        )
        assert found.mean() >= 0.93
        assert found.min() >= 0.85  # three standard errors of 80 draws are 0.08


@pytest.mark.long
def test_term_structure__covers_in_full():
    for n in (50, 200, 1000):
        assert covered_term_structure(2000, n, np.random.default_rng(32)).min() >= 0.90


def test_migration_matrix__shares_by_amount_beside_shares_by_number():
    from xray_analytics.tables import EXPOSURES, REPORTS

    reports = REPORTS.example(
        report_id=list("abcd"), company_id=["x", "x", "y", "y"],
        created_at=["2024-03-01", "2025-03-01", "2024-03-01", "2025-03-01"], bank_risk_class=[2, 2, 2, 3],
    )  # fmt: skip
    exposures = EXPOSURES.example(
        company_id=["x", "y", "x", "y"], exposure_date=["2024-06-30", "2024-06-30", "2025-06-30", "2025-06-30"],
        drawn=[100.0, 300.0, 1.0, 1.0], currency="EUR",
    )  # fmt: skip
    found = migration.migration_matrix(reports, product="bank", as_of="2025-12-31", exposures=exposures)
    cells = found[found["n"] > 0].set_index("to_state")
    assert cells["share_ratio"].to_dict() == {"2": 0.5, "3": 0.5}
    assert cells["drawn_share_ratio"].to_dict() == {"2": 0.25, "3": 0.75}  # as it was on the day of the cohort
    assert cells["drawn"].tolist() == [100.0, 300.0]
    plain = migration.migration_matrix(reports, product="bank", as_of="2025-12-31")
    assert found[plain.columns].equals(plain)
    empty = migration.migration_matrix(REPORTS.empty(), product="bank", as_of="2025-12-31", exposures=exposures)
    assert empty["drawn"].sum() == 0
    later = migration.migration_matrix(
        reports,
        product="bank",
        as_of="2025-12-31",
        exposures=exposures.tail(2)[["company_id", "exposure_date", "drawn", "currency", "recorded_at"]],
    )
    assert later["drawn"].sum() == 0
    with pytest.raises(InputError, match="amounts are of companies"):
        migration.migration_matrix(
            reports,
            product="bank",
            as_of="2025-12-31",
            exposures=exposures,
            level="group",
            companies=pd.DataFrame({"company_id": ["x"], "group_id": ["g"]}),
        )
