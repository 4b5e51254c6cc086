"""Who came, moved and went; how concentrated; how far the two classes agree; what may be shown."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics.analysis import portfolio
from xray_analytics.analysis.portfolio.agreement import weighted_kappa
from xray_analytics.analysis.portfolio.disclosure import hidden_cells
from xray_analytics.analysis.portfolio.movement import STEPS
from xray_analytics.errors import InputError
from xray_analytics.tables import COMPANIES, EXPOSURES, REPORTS


def reports_of(*rows):
    """From (id, company, day, product, class) and optionally a version, available from `day` on."""
    names = ["report_id", "company_id", "created_at", "product", "risk_class", "report_version"]
    frame = pd.DataFrame([(*row, 1)[:6] for row in rows], columns=names)
    at = pd.to_datetime(frame["created_at"], utc=True).astype("datetime64[us, UTC]")
    frame["created_at"] = at.groupby(frame["report_id"]).transform("min")
    classes = pd.array(frame.pop("risk_class"), dtype="Int64")
    frame = frame.assign(available_at=at, fetched_at=at, is_backfilled=False, is_rated=False, raw_sha256="0")
    for product in ("bank", "financial"):
        frame[f"{product}_risk_class"] = pd.Series(classes).where(frame["product"] == product)
    return REPORTS.conform(frame)


def bank(*rows):
    return reports_of(*((row[0], row[1], row[2], "bank", *row[3:]) for row in rows))


BOOK = bank(
    ("a1", "a", "2025-01-10", 2), ("a2", "a", "2025-03-10", 4),  # down
    ("b1", "b", "2025-01-10", 5), ("b2", "b", "2025-03-10", 3),  # up
    ("c1", "c", "2025-01-10", 1),  # stays
    ("d1", "d", "2025-01-10", 3), ("d2", "d", "2025-03-10", None),  # newly unrated
    ("e1", "e", "2025-01-10", None), ("e2", "e", "2025-03-10", 2),  # newly rated
    ("f1", "f", "2025-02-10", 1),  # new
    ("g1", "g", "2024-03-10", 2),  # gone where a report lasts 12 months
    ("h1", None, "2025-01-10", 2),
)  # fmt: skip


def steps(table):
    """{step: {class: (in, out)}} of what is not zero; 0 is unrated."""
    busy = table[(table["n_in"] > 0) | (table["n_out"] > 0)]
    found = {step: {} for step in busy["step"]}
    for row in busy.fillna({"risk_class": 0}).itertuples():
        found[row.step][int(row.risk_class)] = (row.n_in, row.n_out)
    return found


def test_movement__every_step_by_class():
    table = portfolio.movement(BOOK, product="bank", start="2025-01-31", end="2025-03-31", max_age_months=12)
    assert table["step"].drop_duplicates().tolist() == list(STEPS)
    assert table["risk_class"].tolist()[:6] == [1, 2, 3, 4, 5, pd.NA]
    assert table.dtypes.astype(str).tolist() == ["string", "Int64", "int64", "int64"]
    assert steps(table) == {
        "stock_start": {1: (1, 0), 2: (2, 0), 3: (1, 0), 5: (1, 0), 0: (1, 0)},
        "new": {1: (1, 0)},
        "newly_rated": {2: (1, 0), 0: (0, 1)},
        "upgraded": {3: (1, 0), 5: (0, 1)},
        "downgraded": {2: (0, 1), 4: (1, 0)},
        "newly_unrated": {3: (0, 1), 0: (1, 0)},
        "gone": {2: (0, 1)},
        "stock_end": {1: (2, 0), 2: (1, 0), 3: (1, 0), 4: (1, 0), 0: (1, 0)},
    }
    base = table.attrs["base"]
    assert (base["used"], base["excluded"], base["as_of"]) == (7, {"no_company": 1}, "2025-03-31T23:59:59.999999Z")
    forever = portfolio.movement(BOOK, product="bank", start="2025-01-31", end="2025-03-31")
    assert forever[forever["step"] == "gone"][["n_in", "n_out"]].to_numpy().sum() == 0


def test_movement__a_revised_report_is_a_move_and_later_versions_are_not_seen():
    book = bank(("a", "x", "2025-01-10", 2), ("a", "x", "2025-02-20", 5, 2), ("a", "x", "2025-05-01", 1, 3))
    found = steps(portfolio.movement(book, product="bank", start="2025-01-31", end="2025-03-31"))
    assert found["downgraded"] == {2: (0, 1), 5: (1, 0)}
    assert found["stock_end"] == {5: (1, 0)}


ROW = st.tuples(st.sampled_from("abcde"), st.integers(0, 300), st.integers(1, 5) | st.none())


@settings(max_examples=12, deadline=None)
@given(st.lists(ROW, max_size=14), st.none() | st.integers(1, 6), st.randoms(use_true_random=False))
def test_movement__the_steps_add_up_in_every_class_whatever_the_order(rows, months, random):
    day = pd.Timestamp("2025-01-01")
    book = (
        bank(*((f"r{i}", c, str((day + pd.Timedelta(days=d)).date()), k) for i, (c, d, k) in enumerate(rows)))
        if rows
        else REPORTS.empty()
    )
    question = {"product": "bank", "start": "2025-04-30", "end": "2025-09-30", "max_age_months": months}
    table = portfolio.movement(book, **question)
    change = table.assign(n=table["n_in"] - table["n_out"], cell=table["risk_class"].fillna(0))
    before = change[change["step"] != "stock_end"].groupby("cell")["n"].sum()
    assert before.tolist() == change[change["step"] == "stock_end"].groupby("cell")["n"].sum().tolist()
    order = [*range(len(rows)), *range(min(len(rows), 1))]
    random.shuffle(order)
    pd.testing.assert_frame_equal(portfolio.movement(book.take(pa.array(order, pa.int64())), **question), table)


def exposures_of(**drawn):
    at = pd.Timestamp("2025-07-01", tz="UTC").as_unit("us")
    frame = pd.DataFrame({"company_id": list(drawn), "drawn": list(drawn.values())}).astype({"drawn": "float64"})
    return EXPOSURES.conform(
        frame.assign(exposure_date=pd.Timestamp("2025-06-30").as_unit("us"), currency="EUR", recorded_at=at)
    )


def companies_of(**groups):
    at = pd.Timestamp("2025-07-01", tz="UTC").as_unit("us")
    frame = pd.DataFrame({"company_id": list(groups), "group_id": pd.array(list(groups.values()), "string")})
    return COMPANIES.conform(
        frame.assign(recorded_at=at, sector_code=pd.array(["41.20", None, None, "43.21"], "string"))
    )


def figures(table):
    return table.set_index("figure")["value"].to_dict()


def test_concentration__by_company_group_and_sector():
    book = exposures_of(a=60, b=30, c=10, d=0, e=None)
    table = portfolio.concentration(book)
    assert figures(table) == pytest.approx({
        "drawn": 100, "herfindahl": 0.46, "effective_number": 1 / 0.46, "gini": 1 / 3, "top_1_share": 0.6,
        "top_5_share": 1, "top_10_share": 1,
    })  # fmt: skip
    assert table["n"].unique().tolist() == [3]
    assert table.attrs["base"]["excluded"] == {"amount_unknown": 1, "nothing_drawn": 1}
    assert table.attrs["base"]["as_of"] == "2025-06-30"
    companies = companies_of(a="G", b=None, c="G", d=None)
    assert figures(portfolio.concentration(book, by="group_id", companies=companies))["top_1_share"] == 0.7
    by_sector = portfolio.concentration(book, by="sector_code", companies=companies)
    assert figures(by_sector)["herfindahl"] == pytest.approx(0.6**2 + 0.4**2)  # b and c: sector unknown
    equal = figures(portfolio.concentration(exposures_of(a=5, b=5, c=5, d=5)))
    assert (equal["effective_number"], equal["gini"], equal["top_1_share"]) == (4, 0, 0.25)


def test_concentration__a_company_without_a_row_on_the_day_owes_nothing():
    at = pd.Timestamp("2025-07-01", tz="UTC").as_unit("us")
    days = pd.to_datetime(["2025-05-31", "2025-05-31", "2025-06-30"]).astype("datetime64[us]")
    frame = pd.DataFrame(
        {"company_id": ["repaid", "b", "b"], "exposure_date": days, "drawn": [900.0, 9.0, 5.0], "currency": "EUR"}
    )
    book = EXPOSURES.conform(frame.assign(recorded_at=at))
    assert figures(portfolio.concentration(book))["drawn"] == 5
    assert figures(portfolio.concentration(book, as_of="2025-06-15"))["drawn"] == 909
    empty = portfolio.concentration(EXPOSURES.empty())
    assert empty["value"].isna().all()
    assert empty.attrs["base"]["as_of"] is None


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12), st.integers(2, 9))
def test_concentration__neither_scale_nor_order_matters(amounts, factor):
    names = [f"c{i}" for i in range(len(amounts))]
    once = figures(portfolio.concentration(exposures_of(**dict(zip(names, amounts, strict=True)))))
    other = dict(zip(names, [factor * amount for amount in reversed(amounts)], strict=True))
    again = figures(portfolio.concentration(exposures_of(**other)))
    assert once.pop("drawn") * factor == pytest.approx(again.pop("drawn"))
    assert once == pytest.approx(again)
    assert 1 / len(amounts) - 1e-12 <= once["herfindahl"] <= 1 + 1e-12
    assert -1e-12 <= once["gini"] <= 1 - 1 / len(amounts) + 1e-12


def test_group_reports__a_group_is_as_bad_as_its_worst_member():
    book = bank(
        ("a1", "a", "2025-01-10", 5), ("a2", "a", "2025-02-10", 2),  # newest of a: 2
        ("b1", "b", "2025-01-10", 4), ("c1", "c", "2025-01-10", None), ("d1", "d", "2025-01-10", None),
    )  # fmt: skip
    groups = portfolio.group_reports(book, companies_of(a="G", b="G", c="G", d=None), product="bank")
    assert groups["company_id"].tolist() == ["G", "d"]
    assert groups["report_id"].tolist() == ["b1", "d1"]
    assert groups["n_members"].tolist() == [3, 1]
    counted = portfolio.class_distribution(groups, product="bank")
    assert counted["n_companies"].tolist() == [0, 0, 0, 1, 0, 1]


def test_weighted_kappa__published_and_hand_made_tables():
    # 91 couples of Hout, Duncan & Sobel (1987), as in Agresti (1990); linear weights; kappa and error as in R's vcd.
    couples = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]
    kappa, low, high = weighted_kappa(couples, power=1)
    assert kappa == pytest.approx(0.2374, abs=5e-5)
    assert (high - low) / 2 / 1.959963985 == pytest.approx(0.0783, abs=5e-5)
    # The example of SAS's PROC FREQ, linear weights, as statsmodels quotes its print-out (tests/test_inter_rater.py).
    assert weighted_kappa([[0, 4, 1], [0, 8, 0], [0, 1, 5]], power=1) == pytest.approx(
        (0.4701, 0.1845, 0.7558), abs=5e-5
    )
    # Two classes: the unweighted kappa and its variance (Fleiss, Cohen & Everitt, equation 13) worked by hand.
    kappa, low, high = weighted_kappa([[20, 5], [10, 15]])
    p, rows, columns = np.array([[0.4, 0.1], [0.2, 0.3]]), np.array([0.5, 0.5]), np.array([0.6, 0.4])
    a = sum(p[i, i] * (1 - (rows[i] + columns[i]) * 0.6) ** 2 for i in (0, 1))
    b = 0.36 * sum(p[i, j] * (columns[i] + rows[j]) ** 2 for i, j in ((0, 1), (1, 0)))
    error = np.sqrt((a + b - (0.4 - 0.5 * 0.6) ** 2) / 50) / 0.5
    assert kappa == pytest.approx(0.4)
    assert high - low == pytest.approx(2 * 1.959963984540054 * error)
    assert weighted_kappa(np.diag([3, 4, 5]))[0] == 1
    assert weighted_kappa([[0, 5], [5, 0]])[0] == -1
    assert weighted_kappa([[0, 0], [0, 5]]) == (None, None, None)
    assert weighted_kappa(np.zeros((5, 5))) == (None, None, None)


def test_weighted_kappa__quadratic_weights():
    # R's irr: kappa2(anxiety[, 2:3], "squared"), quoted there too; nobody gave mark 5, which irr leaves out.
    marks = [[int(mark) for mark in row] for row in ("36462424332333221334", "21443216111233113322")]
    table = np.zeros((5, 5))
    np.add.at(table, tuple(np.searchsorted([1, 2, 3, 4, 6], row) for row in marks), 1)
    assert weighted_kappa(table)[0] == pytest.approx(0.2520325, abs=5e-8)
    # No print-out of the error for quadratic weights was found: the delta method with numerical derivatives instead,
    # which knows nothing of the formula of Fleiss, Cohen & Everitt.
    couples = np.array([[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]], float)
    _, low, high = weighted_kappa(couples)
    slopes = np.zeros(couples.shape)
    for cell in np.ndindex(couples.shape):
        step = np.zeros(couples.shape)
        step[cell] = 1e-4
        slopes[cell] = (weighted_kappa(couples + step)[0] - weighted_kappa(couples - step)[0]) / 2e-4
    p, n = couples / couples.sum(), couples.sum()
    variance = n * ((p * slopes**2).sum() - (p * slopes).sum() ** 2)
    assert (high - low) / 2 / 1.959963985 == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_weighted_kappa__its_interval_covers_as_promised():
    rng = np.random.default_rng(8)
    p = np.array([[0.20, 0.08, 0.02], [0.06, 0.25, 0.09], [0.01, 0.07, 0.22]])
    truth, _, _ = weighted_kappa(p)
    bounds = [weighted_kappa(rng.multinomial(150, p.ravel()).reshape(3, 3))[1:] for _ in range(400)]
    covered = np.mean([low <= truth <= high for low, high in bounds])
    assert 0.91 < covered < 0.98


def test_class_agreement__pairs_reports_close_in_time():
    book = reports_of(
        ("a1", "a", "2025-01-10", "bank", 5), ("a2", "a", "2025-03-10", "financial", 2),
        ("b1", "b", "2025-01-10", "bank", 1), ("b2", "b", "2025-01-11", "financial", 4),
        ("c1", "c", "2025-01-10", "bank", 3), ("c2", "c", "2025-07-13", "financial", 3),  # 184 days
        ("d1", "d", "2025-01-10", "bank", None), ("d2", "d", "2025-01-10", "financial", 3),
        ("e1", "e", "2025-01-10", "bank", 3),
        ("f1", "f", "2025-01-10", "bank", 2), ("f2", "f", "2025-01-10", "financial", 2),
    )  # fmt: skip
    agreement = portfolio.class_agreement(book)
    assert agreement.n_companies == agreement.counts["n_companies"].sum() == 3
    excluded = agreement.counts.attrs["base"]["excluded"]
    assert excluded == {"no_company": 0, "one_product_only": 1, "too_far_apart": 1, "unrated": 1}
    assert agreement.apart[["company_id", "steps"]].to_numpy().tolist() == [["a", 3], ["b", -3]]
    assert (agreement.kappa_low, agreement.kappa_high) == (None, None)  # 3 companies
    counted = agreement.counts.set_index(["bank_risk_class", "financial_risk_class"])["n_companies"]
    assert agreement.kappa == weighted_kappa(counted.to_numpy().reshape(5, 5))[0]
    assert portfolio.class_agreement(book, max_gap_days=184).n_companies == 4


def test_class_agreement__has_an_interval_from_20_companies_and_nothing_without():
    rows = [
        (f"{p}{i}", f"c{i}", "2025-01-10", p, 1 + (i + (p == "bank")) % 5)
        for i in range(20)
        for p in ("bank", "financial")
    ]
    agreement = portfolio.class_agreement(reports_of(*rows))
    assert agreement.kappa_low < agreement.kappa < agreement.kappa_high
    nothing = portfolio.class_agreement(REPORTS.empty())
    assert (nothing.kappa, nothing.n_companies, len(nothing.counts), len(nothing.apart)) == (None, 0, 25, 0)


def distribution(*counts, **by):
    classes = pd.array([1, 2, 3, 4, 5, None][: len(counts)], dtype="Int64")
    frame = pd.DataFrame({**by, "risk_class": classes, "n_companies": counts})
    return frame.assign(share_ratio=frame["n_companies"] / max(sum(counts), 1))


def test_suppressed__the_small_cell_and_the_one_that_would_give_it_away():
    table = portfolio.suppressed(distribution(2, 20, 10, 7, 0), min_n=5)
    assert table["n_companies"].tolist() == [pd.NA, 20, 10, pd.NA, 0]
    assert table["share_ratio"].isna().tolist() == [True, False, False, True, False]
    two_small = portfolio.suppressed(distribution(1, 1, 20, 10), min_n=5)
    assert two_small["n_companies"].tolist() == [pd.NA, pd.NA, 20, pd.NA]  # 1 + 1 would be given away by their sum
    nothing_small = portfolio.suppressed(distribution(5, 6, 0), min_n=5)
    assert nothing_small["n_companies"].tolist() == [5, 6, 0]
    alone = portfolio.suppressed(distribution(0, 3, 0), min_n=5)
    assert alone["n_companies"].tolist() == [pd.NA, pd.NA, pd.NA]


def test_suppressed__groups_guard_each_other_and_the_base_says_so():
    groups = pd.concat([distribution(2, 30, 40, sector="a"), distribution(8, 9, 7, sector="b")], ignore_index=True)
    groups.attrs["base"] = {"filters": {"by": ["sector"]}}
    table = portfolio.suppressed(groups, min_n=5)
    assert table["n_companies"].isna().tolist() == [True, True, False, True, True, False]
    assert table.attrs["base"]["filters"] == {"by": ["sector"], "min_n": 5}
    assert groups["n_companies"].tolist() == [2, 30, 40, 8, 9, 7]
    bins = pd.DataFrame(
        {"low": [0.0, 1.0, None], "high": [1.0, 2.0, None], "n_companies": [3, 9, 9], "share_ratio": 0.1}
    )
    assert portfolio.suppressed(bins, min_n=5)["n_companies"].tolist() == [pd.NA, pd.NA, 9]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(2, 8), st.randoms(use_true_random=False))
def test_hidden_cells__no_line_gives_a_small_count_away(n_groups, n_cells, min_n, random):
    counts = np.array([[random.choice([0, 1, 2, 5, 9, 30]) for _ in range(n_cells)] for _ in range(n_groups)])
    hidden = hidden_cells(counts, min_n)
    assert hidden[(counts > 0) & (counts < min_n)].all()
    for line, mark in itertools.chain(zip(counts, hidden, strict=True), zip(counts.T, hidden.T, strict=True)):
        enough = mark.sum() > 1 and line[mark].sum() >= min_n
        assert not mark.any() or mark.all() or enough


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: portfolio.movement(BOOK, product="bank", start="2025-03-31", end="2025-03-31"), "is not before end"),
        (
            lambda: portfolio.movement(BOOK, product="esg", start="2025-01-01", end="2025-03-31"),
            "only bank and financial",
        ),
        (
            lambda: portfolio.movement(BOOK, product="bank", start="2025-01-01", end="2025-03-31", max_age_months=0),
            "at least one",
        ),
        (
            lambda: portfolio.movement(
                BOOK.drop_columns(["bank_risk_class"]), product="bank", start="2025-01-01", end="2025-03-31"
            ),
            "frame of reports lacks bank_risk_class",
        ),
        (lambda: portfolio.concentration(exposures_of(a=-1)), "exposures: drawn holds negative"),
        (lambda: portfolio.concentration(exposures_of(a=1), by="group_id"), "needs the table companies"),
        (
            lambda: portfolio.concentration(
                exposures_of(a=1), by="colour", companies=companies_of(a=None, b=None, c=None, d=None)
            ),
            "companies lacks colour",
        ),
        (
            lambda: portfolio.concentration(
                EXPOSURES.to_pandas(exposures_of(a=1, b=1)).assign(currency=["EUR", "GBP"])
            ),
            "more than one currency",
        ),
        (
            lambda: portfolio.group_reports(
                BOOK, pd.DataFrame({"company_id": ["a", "a"], "group_id": ["x", "y"]}), product="bank"
            ),
            "a company twice",
        ),
        (lambda: portfolio.class_agreement(BOOK, max_gap_days=-1), "0 days or more"),
        (lambda: weighted_kappa([[1, 2, 3], [1, 2, 3]]), "square table"),
        (lambda: portfolio.suppressed(distribution(1, 2), min_n=1), "min_n is 1"),
        (lambda: portfolio.suppressed(pd.DataFrame({"a": [1]}), min_n=5), "nothing to suppress"),
    ],
)
def test_wrong_questions_raise(call, message):
    with pytest.raises(InputError, match=message):
        call()
