"""The portfolio: hand-counted tables, what may not matter (order, old versions, engine), and what must raise."""

import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics.analysis import portfolio
from xray_analytics.errors import InputError
from xray_analytics.tables import EXPOSURES, REPORTS


def reports_of(*rows, product="bank"):
    """A full table `reports` from (id, company, day, class) and optional other columns."""
    names = ("report_id", "company_id", "day", "risk_class")
    table = pd.DataFrame([dict(zip(names, row, strict=False)) | dict(*row[4:]) for row in rows])
    at = pd.to_datetime(table.pop("day"), utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    classes = pd.array(table.pop("risk_class"), dtype="Int64")
    defaults = {
        "report_version": 1, "product": product, "created_at": at, "available_at": at, "fetched_at": at,
        "is_backfilled": False, "is_rated": ~classes.isna(), "raw_sha256": "0",
        f"{'bank' if product == 'bank' else 'financial'}_risk_class": classes,
    }  # fmt: skip
    for name, value in defaults.items():
        table[name] = table[name].fillna(value) if name in table else value
    table["report_version"] = table["report_version"].astype("int64")
    return REPORTS.conform(table)


BOOK = reports_of(
    ("r1", "a", "2025-01-10", 2),
    ("r2", "a", "2025-02-10", 3),  # counts for a
    ("r3", "b", "2025-01-31T23:30:00", 5),
    ("r4", "c", "2025-02-01", None),
    ("r5", None, "2025-02-01", 1),  # no company
    ("r6", "d", "2025-03-01", 4),
    ("r7", "d", "2025-03-01", 5),  # the same moment: the larger id counts
)


def engines(table):
    """The same table in pandas, in Arrow and as a DuckDB relation; the connection is returned to keep it alive."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    return REPORTS.to_pandas(table), table, connection.from_arrow(table), connection


def counts(table):
    return table["n_companies"].tolist()


def test_class_distribution__counts_the_newest_report_of_each_company():
    table = portfolio.class_distribution(BOOK, product="bank")
    assert table["risk_class"].tolist() == [1, 2, 3, 4, 5, pd.NA]
    assert counts(table) == [0, 0, 1, 0, 2, 1]
    assert table["share_ratio"].tolist() == [0, 0, 0.25, 0, 0.5, 0.25]
    assert table.dtypes.astype(str).to_dict() == {
        "risk_class": "Int64", "n_companies": "int64", "share_ratio": "float64",
    }  # fmt: skip
    assert table.attrs["base"] == {
        "used": 4,
        "excluded": {"no_company": 1},
        "backfilled": 0,
        "as_of": "2025-03-01T00:00:00Z",
        "filters": {"product": "bank", "by": [], "weight": "company"},
    }
    assert json.loads(json.dumps(table.attrs["base"])) == table.attrs["base"]


def test_class_distribution__newer_versions_replace_older_ones():
    old = reports_of(("r1", "a", "2025-01-10", 2))
    corrected = reports_of(("r1", "a", "2025-01-10", 4, {"report_version": 2}))
    for both in (pa.concat_tables([old, corrected]), pa.concat_tables([corrected, old])):
        assert counts(portfolio.class_distribution(both, product="bank")) == [0, 0, 0, 1, 0, 0]


def test_class_distribution__by_keeps_the_group_without_a_name():
    frame = REPORTS.to_pandas(BOOK).assign(sector=["x", "x", None, "y", "y", None, None])
    table = portfolio.class_distribution(frame, product="bank", by="sector")
    assert table.columns.tolist() == ["sector", "risk_class", "n_companies", "share_ratio"]
    assert [s if isinstance(s, str) else None for s in table["sector"]] == ["x"] * 6 + ["y"] * 6 + [None] * 6
    assert counts(table) == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0]
    assert table.groupby("sector", dropna=False)["share_ratio"].sum().tolist() == [1, 1, 1]


def test_class_distribution__by_exposure():
    at = pd.to_datetime(["2025-01-01"] * 4, utc=True).astype("datetime64[us, UTC]")
    days = pd.to_datetime(["2024-01-01", "2025-01-01", "2025-01-01", "2025-01-01"]).astype("datetime64[us]")
    frame = pd.DataFrame({"company_id": ["a", "a", "b", "c"], "exposure_date": days, "recorded_at": at})
    exposures = EXPOSURES.conform(frame.assign(drawn=[999.0, 100.0, 250.0, 50.0], currency="EUR"))
    table = portfolio.class_distribution(BOOK, product="bank", weight="exposure", exposures=exposures)
    assert table["drawn"].tolist() == [0, 0, 100, 0, 250, 50]
    assert table["share_ratio"].tolist() == [0, 0, 0.25, 0, 0.625, 0.125]
    assert table.attrs["base"]["excluded"] == {"no_company": 1, "no_exposure": 1}
    with pytest.raises(InputError, match="needs the table exposures"):
        portfolio.class_distribution(BOOK, product="bank", weight="exposure")
    mixed = EXPOSURES.conform(frame.assign(drawn=1.0, currency=["EUR", "EUR", "GBP", "EUR"]))
    with pytest.raises(InputError, match="more than one currency"):
        portfolio.class_distribution(BOOK, product="bank", weight="exposure", exposures=mixed)


def test_empty_tables_give_typed_results():
    nobody = REPORTS.empty()
    table = portfolio.class_distribution(nobody, product="financial")
    assert counts(table) == [0] * 6
    assert table["share_ratio"].isna().all()
    assert table.attrs["base"]["as_of"] is None
    assert portfolio.class_distribution(nobody, product="bank", by="source").shape == (0, 4)
    assert portfolio.value_distribution(nobody, column="bank_score").shape == (1, 4)
    over = portfolio.class_over_time(nobody, product="bank")
    assert over.dtypes.astype(str).tolist() == ["datetime64[us]", "string", "Int64", "int64", "float64"]
    assert len(over) == 0


def test_value_distribution__bins_hold_their_lower_edge_and_the_last_both():
    values = [0.0, 69.99, 70.0, 90.0, 100.0, None]
    rows = [(f"r{i}", f"c{i}", "2025-01-01", 1, {"data_sanity_pct": v}) for i, v in enumerate(values)]
    table = portfolio.value_distribution(reports_of(*rows), column="data_sanity_pct", edges=[0, 70, 90])
    assert counts(table) == [2, 2, 1]  # 100 is outside
    assert table.attrs["base"]["excluded"] == {"no_company": 0, "outside_edges": 1}
    assert table["low"].tolist()[:2] == [0, 70]
    assert table["high"].isna().tolist() == [False, False, True]
    assert table["share_ratio"].tolist() == [0.4, 0.4, 0.2]
    by_ten = portfolio.value_distribution(reports_of(*rows), column="data_sanity_pct")
    assert counts(by_ten) == [1, 0, 0, 0, 0, 0, 1, 1, 0, 2, 1]


def test_value_distribution__score_has_no_scale_of_its_own():
    rows = [(f"r{i}", f"c{i}", "2025-01-01", 1, {"bank_score": v}) for i, v in enumerate([1.0, 1.5, 2.0])]
    table = portfolio.value_distribution(reports_of(*rows), column="bank_score")
    assert counts(table) == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    assert (table["low"].iloc[0], table["high"].iloc[9]) == (1.0, 2.0)
    one = portfolio.value_distribution(reports_of(rows[0]), column="bank_score")
    assert one["n_companies"].sum() == 1


def test_class_over_time__stock_and_new_apart():
    table = portfolio.class_over_time(BOOK, product="bank")
    assert [str(day.date()) for day in table["period_end"].unique()] == ["2025-01-31", "2025-02-28", "2025-03-31"]
    columns = [1, 2, 3, 4, 5, pd.NA]
    assert table["risk_class"].tolist()[:6] == columns
    assert table["measure"].tolist()[:12] == ["stock"] * 6 + ["new"] * 6
    assert table["n_companies"].to_numpy().reshape(-1, 6).tolist() == [
        [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 1, 0],  # January: stock, new
        [0, 0, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1],
        [0, 0, 1, 0, 2, 1], [0, 0, 0, 0, 1, 0],
    ]  # fmt: skip
    quarter = portfolio.class_over_time(BOOK, product="bank", freq="quarter")
    assert quarter["period_end"].unique().tolist() == [pd.Timestamp("2025-03-31")]
    assert counts(quarter) == [0, 0, 1, 0, 2, 1] * 2


def test_summary__figures_rest_on_the_newest_reports():
    bank = reports_of(
        ("r1", "a", "2025-01-10", 2, {"data_sanity_pct": 80.0, "n_transactions": 5, "n_days_covered": 31}),
        ("r2", "a", "2025-02-10", 4, {"data_sanity_pct": 90.0, "n_transactions": 7, "n_days_covered": 59}),
        ("r3", "b", "2025-01-31", None, {"data_sanity_pct": 60.0, "n_transactions": 2, "n_days_covered": 28}),
    )
    financial = reports_of(("r4", "a", "2025-01-01", 3, {"default_probability": 0.04}), product="financial")
    table = portfolio.summary(pa.concat_tables([financial, bank]))
    value = table.set_index(["product", "figure"])["value"].to_dict()
    n = table.set_index(["product", "figure"])["n_companies"].to_dict()
    assert value["bank", "reports"] == 3
    assert value["bank", "companies"] == 2
    assert (value["bank", "rated"], value["bank", "unrated"]) == (1, 1)
    assert (value["bank", "class_4_or_5_share"], n["bank", "class_4_or_5_share"]) == (1.0, 1)
    assert (value["bank", "median_data_sanity_pct"], value["bank", "transactions"]) == (75.0, 9)
    assert value["bank", "median_n_days_covered"] == 43.5
    assert value["financial", "median_default_probability"] == 0.04
    newest = table[table["figure"] == "newest_report"]["day"].tolist()
    assert newest == [pd.Timestamp("2025-02-10"), pd.Timestamp("2025-01-01")]
    before = portfolio.summary(bank, as_of="2025-01-31")
    assert before.set_index("figure").loc["class_4_or_5", "value"] == 0
    assert before.attrs["base"]["as_of"] == "2025-01-31T23:59:59.999999Z"


QUESTIONS = {
    "class": lambda r: portfolio.class_distribution(r, product="bank", by="source"),
    "value": lambda r: portfolio.value_distribution(r, column="bank_score"),
    "time": lambda r: portfolio.class_over_time(r, product="bank"),
    "summary": lambda r: portfolio.summary(r, as_of="2025-03-31"),
}
ROW = st.tuples(
    st.sampled_from("abcd") | st.none(), st.integers(0, 120), st.integers(1, 5) | st.none(), st.floats(0, 1) | st.none()
)


def random_book(rows):
    days = [str((pd.Timestamp("2025-01-01") + pd.Timedelta(days=row[1])).date()) for row in rows]
    more = [{"bank_score": row[3], "source": "bank_xray" if i % 3 else None} for i, row in enumerate(rows)]
    return reports_of(*((f"r{i}", row[0], days[i], row[2], more[i]) for i, row in enumerate(rows)))


@settings(max_examples=15, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_of_rows_and_repeated_rows_never_matter(rows, random):
    book = random_book(rows)
    order = [*range(book.num_rows), 0]
    random.shuffle(order)
    for question in QUESTIONS.values():
        pd.testing.assert_frame_equal(question(book), question(book.take(order)))


@settings(max_examples=15, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12))
def test_new_companies_add_up_to_the_stock(rows):
    table = portfolio.class_over_time(random_book(rows), product="bank")
    n = table.groupby(["measure", "period_end"])["n_companies"].sum()
    if len(table):
        assert n["new"].cumsum().tolist() == n["stock"].tolist()
        newest = portfolio.class_distribution(random_book(rows), product="bank")
        last = table[(table["measure"] == "stock") & (table["period_end"] == table["period_end"].max())]
        assert counts(last) == counts(newest)


@pytest.mark.parametrize("question", QUESTIONS)
def test_engines_agree(question):
    rng = np.random.default_rng(5)
    rows = [(str(rng.integers(9)), int(rng.integers(90)), int(rng.integers(1, 6)), rng.random()) for _ in range(60)]
    frame, arrow, relation, _connection = engines(random_book(rows))
    kept = frame.copy(deep=True)
    want = QUESTIONS[question](frame)
    pd.testing.assert_frame_equal(frame, kept)
    for other in (arrow, relation):
        got = QUESTIONS[question](other)
        pd.testing.assert_frame_equal(got, want, rtol=1e-9)
        assert got.attrs == want.attrs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: portfolio.class_distribution(BOOK, product="esg"), "only bank and financial"),
        (lambda: portfolio.class_distribution(BOOK, product="bank", by="sector"), "reports lacks sector"),
        (
            lambda: portfolio.class_distribution(pd.DataFrame(), product="bank"),
            "reports lacks report_id, report_version",
        ),
        (lambda: portfolio.class_distribution([1], product="bank"), "expected a frame with named columns, found list"),
        (lambda: portfolio.class_distribution(BOOK, product="bank", weight="loan"), "'company' or 'exposure'"),
        (
            lambda: portfolio.summary(REPORTS.to_pandas(BOOK).assign(bank_risk_class="A")),
            r"bank_risk_class \(int expected, String found\)",
        ),
        (
            lambda: portfolio.summary(REPORTS.to_pandas(BOOK).assign(created_at=pd.Timestamp("2025-01-01"))),
            r"created_at \(instant expected",
        ),
        (lambda: portfolio.summary(BOOK, as_of="June"), "as_of is 'June'"),
        (lambda: portfolio.value_distribution(BOOK, column="total_credit"), "choose one of bank_score"),
        (lambda: portfolio.value_distribution(BOOK, column="bank_score", edges=[1, 1]), "increasing numbers"),
        (lambda: portfolio.class_over_time(BOOK, product="bank", freq="week"), "'month' or 'quarter'"),
    ],
)
def test_wrong_questions_raise(call, message):
    with pytest.raises(InputError, match=message):
        call()
