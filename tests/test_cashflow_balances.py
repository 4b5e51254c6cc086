"""Days and months put together: hand-made overlaps, and the same numbers as the tidying's own months."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from sandbox_frames import economy_frames
from test_cashflow import monthly_of, reports_of

from xray_analytics import tables
from xray_analytics.analysis import cashflow
from xray_analytics.analysis.cashflow.deduplication import covered_days
from xray_analytics.errors import InputError
from xray_analytics.tables import MONTHLY_SUMMARIES, REPORTS, STATEMENT_SUMMARIES, TRANSACTIONS


def statements(*rows):
    """From (report, account, iban, start, end, start balance, end balance)."""
    names = ["report_id", "account_no", "iban", "start_date", "end_date", "start_balance", "end_balance"]
    frame = pd.DataFrame(rows, columns=names).assign(report_version=1, statement_no=range(len(rows)))
    for name in ("start_date", "end_date"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    kinds = {"account_no": "Int64", "iban": "string", "start_balance": "float64", "end_balance": "float64"}
    return STATEMENT_SUMMARIES.to_pandas(STATEMENT_SUMMARIES.conform(frame.astype(kinds)))


def entries(*rows):
    """From (report, account, day, amount)."""
    frame = pd.DataFrame(rows, columns=["report_id", "account_no", "booked_date", "amount"])
    frame["booked_date"] = pd.to_datetime(frame["booked_date"]).astype("datetime64[us]")
    frame = frame.astype({"account_no": "Int64", "amount": "float64"})
    frame = frame.assign(report_version=1, transaction_no=range(len(rows)), label="VIR")
    return TRANSACTIONS.to_pandas(TRANSACTIONS.conform(frame))


def pandas_reports(*rows):
    return REPORTS.to_pandas(reports_of(*rows))


def test_daily_balances__carried_forward_and_their_basis():
    found = cashflow.daily_balances(
        entries(("r", 0, "2025-01-02", 0.1), ("r", 0, "2025-01-02", 0.2), ("r", 0, "2025-01-05", -1.0)),
        statements(
            ("r", 0, None, "2024-12-31", "2025-01-03", 10.0, 10.3),
            ("r", 0, None, "2025-01-03", "2025-01-05", None, 9.3),
            ("r", 1, None, "2025-01-01", "2025-01-02", 5.0, 6.0),
            ("r", 2, None, "2025-01-01", "2025-01-02", None, None),
        ),
    )
    assert found["balance"].fillna(-99).tolist() == [10.0, 10.3, 10.3, 10.3, 9.3, 5.0, -99.0]
    assert found["basis"].tolist() == ["reconciled"] * 3 + ["end"] * 2 + ["start", "unknown"]
    assert found["credit"].tolist() == [0, 0.3, 0, 0, 0, 0, 0]
    assert found["debit"].tolist() == [0, 0, 0, 0, 1, 0, 0]
    assert found.attrs["base"]["used"] == 4


def test_daily_balances__an_entry_without_amount_makes_its_account_unknown():
    found = cashflow.daily_balances(
        entries(("r", 0, "2025-01-02", None), ("r", 1, "2025-02-09", 1.0)),
        statements(("r", 0, None, "2025-01-01", "2025-01-02", 5, 6), ("r", 1, None, "2025-01-01", "2025-01-02", 5, 5)),
    )
    assert found["basis"].tolist() == ["unknown", "reconciled"]
    assert found["balance"].isna().tolist() == [True, False]
    assert found.attrs["base"]["excluded"] == {"entries_outside_statements": 1, "entries_without_day_or_amount": 1}


def test_daily_balances__give_the_months_of_the_tidying():
    """Two independent ways from statements to months: running sums here, stated balances there."""
    _, frames = economy_frames(40, 11)
    daily = cashflow.daily_balances(frames["transactions"], frames["statement_summaries"])
    daily["month"] = daily["day"].dt.to_period("M").dt.to_timestamp().astype("datetime64[us]")
    daily["negative"] = daily["balance"] < 0
    keys = ["report_id", "account_no", "month"]
    got = daily.groupby(keys).agg(
        total_credit=("credit", "sum"), total_debit=("debit", "sum"), closing_balance=("balance", "last"),
        minimum_balance=("balance", "min"), average_daily_balance=("balance", "mean"),
        n_negative_days=("negative", "sum"),
    )  # fmt: skip
    monthly = frames["monthly_summaries"]
    want = monthly[monthly["account_no"].notna()].set_index(keys)[got.columns].sort_index()
    assert len(want) > 1_000
    pd.testing.assert_frame_equal(got.astype("float64"), want.astype("float64"), check_index_type=False, atol=1e-4)


TWO = pandas_reports(("old", "a", "2025-02-05", 1), ("new", "a", "2025-03-05", 1))
HALVES = monthly_of(("old", "2025-01-01", 30.0, 15), ("new", "2025-01-01", 80.0, 20))


def half_months(iban=None):
    """January: the 1st to the 15th in the old report, the 12th to the 31st in the new one."""
    return statements(
        ("old", 0, iban, "2024-12-31", "2025-01-15", 100.0, 130.0),
        ("new", 0, iban, "2025-01-11", "2025-01-31", 120.0, 200.0),
    )


HALF_ENTRIES = entries(
    ("old", 0, "2025-01-10", 20.0), ("old", 0, "2025-01-12", 10.0),
    ("new", 0, "2025-01-12", 10.0), ("new", 0, "2025-01-31", 70.0),
)  # fmt: skip


@pytest.mark.parametrize("iban", [None, "FR7612345987650123456789014"])
def test_monthly_flows__a_month_that_changes_hands_is_put_together(iban):
    monthly = MONTHLY_SUMMARIES.to_pandas(HALVES)
    without = cashflow.monthly_flows(monthly, TWO).iloc[0]
    assert (without["total_credit"], without["is_complete"], without["report_id"]) == (80.0, False, "new")
    flows = cashflow.monthly_flows(monthly, TWO, transactions=HALF_ENTRIES, statements=half_months(iban))
    row = flows.iloc[0]
    assert (row["total_credit"], row["total_debit"], row["net_flow"]) == (100.0, 0.0, 100.0)  # the 12th counts once
    assert (row["closing_balance"], row["minimum_balance"]) == (200.0, 100.0)
    assert row["average_daily_balance"] == pytest.approx((9 * 100 + 2 * 120 + 19 * 130 + 200) / 31, abs=1e-4)
    assert (row["n_days_covered"], row["is_complete"], row["report_id"]) == (31, True, "new")
    assert pd.isna(row["n_alerts"])
    assert flows.attrs["base"]["filters"] == {"put_together": 1, "unknown": 0}
    assert list(flows.columns) == list(cashflow.FLOWS.names)


def test_monthly_flows__a_whole_month_stays_as_the_tidying_has_it():
    _, frames = economy_frames(40, 11)
    plain = cashflow.monthly_flows(frames["monthly_summaries"], frames["reports"])
    given = {"transactions": frames["transactions"], "statements": frames["statement_summaries"]}
    flows = cashflow.monthly_flows(frames["monthly_summaries"], frames["reports"], **given)
    together = flows["n_alerts"].isna()
    assert flows.attrs["base"]["filters"]["put_together"] == together.sum()
    pd.testing.assert_frame_equal(flows[~together].reset_index(drop=True), plain[~together].reset_index(drop=True))
    operating = cashflow.operating(given["transactions"], cashflow.categories(given["transactions"]))
    flows = cashflow.monthly_flows(frames["monthly_summaries"], frames["reports"], operating=operating, **given)
    assert (flows["operating_credit"] <= flows["total_credit"] + 1e-6).all()
    assert (flows["operating_debit"] <= flows["total_debit"] + 1e-6).all()
    assert (flows["operating_credit"] < flows["total_credit"] - 1).any()


def test_days__accounts_are_known_by_iban_or_taken_together():
    mixed = statements(
        ("old", 0, "FR1", "2024-12-31", "2025-01-31", 0, 0), ("old", 1, "FR2", "2024-12-31", "2025-01-31", 0, 0),
        ("new", 0, "FR2", "2025-01-15", "2025-02-28", 0, 0),
    )  # fmt: skip
    table = covered_days(TWO, mixed).table
    assert table.groupby(["unit", "rank"]).size().to_dict() == {(1, 0): 31, (2, 0): 15, (2, 1): 44}
    joint = covered_days(TWO, mixed).joint()
    assert joint.groupby("month").size().tolist() == [31]  # in February only one of the two is covered
    together = covered_days(TWO, mixed.assign(iban=mixed["iban"].mask(mixed["iban"] == "FR1"))).table
    assert together.groupby(["unit", "rank"]).size().to_dict() == {(0, 0): 15, (0, 1): 44}


def test_company_metrics__on_paper():
    months = pd.date_range("2024-01-01", periods=12, freq="MS").astype("datetime64[us]")
    flows = pd.DataFrame({
        "company_id": "a", "month": months, "report_id": "r", "total_credit": 100.0, "total_debit": 110.0,
        "net_flow": [10.0, -30.0] * 6, "closing_balance": np.arange(60.0, 0, -5),
        "minimum_balance": np.arange(-12.0, 0),
        "average_daily_balance": [10.0, 20.0] * 6, "n_negative_days": 1, "n_days_covered": months.days_in_month,
        "is_complete": True,
    })  # fmt: skip
    row = cashflow.company_metrics(flows, as_of="2024-12-31").iloc[0]
    assert (row["n_months"], row["credit_basis"], row["mean_credit"]) == (12, "all", 100.0)
    assert row["trend_pct_per_month"] == row["trend_low_pct"] == row["trend_high_pct"] == 0
    assert row["volatility_ratio"] == pytest.approx(20 * np.sqrt(12 / 11) / 100)
    assert row["negative_day_share_ratio"] == pytest.approx(12 / 366)
    assert row["average_daily_balance"] == pytest.approx(
        (10 * sum(months.days_in_month[::2]) + 20 * sum(months.days_in_month[1::2])) / 366
    )
    assert (row["minimum_balance"], row["runway_months"], row["runway_status"]) == (-12.0, 0.5, "burning")
    assert pd.isna(row["seasonality_ratio"])
    assert row["balance_status"] == "not_given"
    early = cashflow.company_metrics(flows, as_of="2024-05-30").iloc[0]  # May is not over
    assert (early["n_months"], early["runway_months"]) == (4, 4.5)
    assert pd.isna(early["volatility_ratio"])
    assert pd.isna(early["trend_pct_per_month"])
    daily = pd.DataFrame({
        "report_id": "r", "report_version": 1, "account_no": 0, "balance": np.arange(101.0),
        "day": pd.date_range("2024-03-01", periods=101).astype("datetime64[us]"),
    })  # fmt: skip
    row = cashflow.company_metrics(flows, as_of="2024-12-31", daily=daily).iloc[0]
    assert (row["balance_90pct_days"], row["balance_status"]) == (10.0, "known")


def test_company_metrics__runway_status_and_season():
    months = pd.date_range("2022-01-01", periods=36, freq="MS").astype("datetime64[us]")
    plain = pd.DataFrame({
        "month": months, "report_id": "r", "total_credit": 100.0, "total_debit": 110.0, "net_flow": -10.0,
        "closing_balance": 50.0, "minimum_balance": 0.0, "average_daily_balance": 1.0, "n_negative_days": 0,
        "n_days_covered": 30, "is_complete": True,
    })  # fmt: skip
    season = 100 + 20 * np.cos(2 * np.pi * np.arange(36) / 12) + np.arange(36)
    noise = 100 + 20 * np.random.default_rng(5).standard_normal(36)
    flows = pd.concat([
        plain.assign(company_id="burning"), plain.assign(company_id="earning", total_debit=90.0),
        plain.assign(company_id="empty", closing_balance=0.0),
        plain.assign(company_id="unseen", closing_balance=np.nan),
        plain.assign(company_id="season", total_credit=season), plain.assign(company_id="noise", total_credit=noise),
        plain.assign(company_id="none", is_complete=False),
    ])  # fmt: skip
    found = cashflow.company_metrics(flows, as_of="2025-01-01").set_index("company_id")
    assert found["runway_status"].to_dict() == {
        "burning": "burning", "earning": "not_burning", "empty": "exhausted", "unseen": "unknown",
        "season": "not_burning", "noise": "burning", "none": "unknown",
    }  # fmt: skip
    assert found["runway_months"].notna().to_dict()["burning"]
    assert found["seasonality_ratio"]["season"] > 0.95
    assert found["seasonality_ratio"]["noise"] < 0.5
    assert found["seasonality_ratio"]["burning"] == 0
    assert found["n_months"]["none"] == 0
    assert found.attrs["base"]["excluded"]["under_6_months"] == 1


def test_engines_and_wrong_frames():
    _, frames = economy_frames(40, 11)
    want = cashflow.daily_balances(frames["transactions"], frames["statement_summaries"])
    arrow = [table.conform(frames[table.name]) for table in (TRANSACTIONS, STATEMENT_SUMMARIES)]
    pd.testing.assert_frame_equal(cashflow.daily_balances(*arrow), want)
    assert cashflow.daily_balances(TRANSACTIONS.empty(), STATEMENT_SUMMARIES.empty()).shape == (0, 9)
    with pytest.raises(InputError, match="or neither"):
        cashflow.monthly_flows(HALVES, TWO, transactions=HALF_ENTRIES)
    with pytest.raises(InputError, match="frame of statement_summaries lacks end_balance"):
        cashflow.daily_balances(HALF_ENTRIES, half_months().drop(columns="end_balance"))
    with pytest.raises(InputError, match="window_months is 0"):
        cashflow.company_metrics(cashflow.FLOWS.empty(), as_of="2025-01-01", window_months=0)
    empty = cashflow.company_metrics(cashflow.FLOWS.empty(), as_of="2025-01-01")
    assert empty.shape == (0, len(cashflow.METRICS.names))
    nothing = cashflow.monthly_flows(
        MONTHLY_SUMMARIES.empty(), REPORTS.empty(), transactions=TRANSACTIONS.empty(),
        statements=STATEMENT_SUMMARIES.empty(), operating=cashflow.OPERATING.empty(),
    )  # fmt: skip
    assert nothing.shape == (0, 18)


def test_duckdb_and_pandas_give_the_same():
    _, frames = economy_frames(8, 11)
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    relations = {name: connection.from_arrow(tables.table(name).conform(frame)) for name, frame in frames.items()}
    results = []
    for given in (frames, relations):
        entries_, reports = given["transactions"], given["reports"]
        families = cashflow.categories(entries_)
        both = {"categories": families, "statements": given["statement_summaries"]}
        results.append([
            families, cashflow.recurring(entries_, reports, **both), cashflow.incidents(entries_, reports, **both),
            cashflow.counterparty_concentration(entries_, reports),
            cashflow.daily_balances(entries_, given["statement_summaries"]),
            cashflow.monthly_flows(
                given["monthly_summaries"], reports, transactions=entries_, statements=given["statement_summaries"],
                operating=cashflow.operating(entries_, families),
            ),
        ])  # fmt: skip
    for want, got in zip(*results, strict=True):
        pd.testing.assert_frame_equal(got, want, rtol=1e-9)
        assert got.attrs == want.attrs
