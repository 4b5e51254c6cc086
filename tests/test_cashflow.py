"""Months of companies and of the portfolio: overlaps resolved, composition kept out of trends, engines in agreement."""

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics.analysis import cashflow
from xray_analytics.errors import InputError
from xray_analytics.tables import MONTHLY_SUMMARIES, REPORTS


def reports_of(*rows):
    frame = pd.DataFrame(rows, columns=["report_id", "company_id", "day", "report_version"])
    at = pd.to_datetime(frame.pop("day"), utc=True).astype("datetime64[us, UTC]")
    return REPORTS.conform(
        frame.assign(
            created_at=at,
            available_at=at,
            fetched_at=at,
            product="bank",
            is_backfilled=False,
            is_rated=True,
            raw_sha256="0",
        )
    )


def monthly_of(*rows, account_no=None):
    """From (report, month, credit, days covered), debits of 10, complete from 28 days."""
    frame = pd.DataFrame(rows, columns=["report_id", "month", "total_credit", "n_days_covered"])
    return MONTHLY_SUMMARIES.conform(
        frame.assign(
            report_version=1, account_no=pd.array([account_no] * len(frame), dtype="Int64"), total_debit=10.0,
            month=pd.to_datetime(frame["month"]).astype("datetime64[us]"), net_flow=frame["total_credit"] - 10,
            n_negative_days=0, is_complete=frame["n_days_covered"] >= 28,
        )
    )  # fmt: skip


REPORTS_3 = reports_of(
    ("old", "a", "2025-02-05", 1),
    ("new", "a", "2025-03-05", 1),
    ("lost", None, "2025-03-05", 1),
    ("b", "b", "2025-03-05", 1),
)
MONTHLY = monthly_of(
    ("old", "2025-01-01", 100.0, 31),  # complete: before the newer, incomplete one
    ("new", "2025-01-01", 50.0, 3),
    ("old", "2025-02-01", 40.0, 5),
    ("new", "2025-02-01", 110.0, 28),
    ("lost", "2025-02-01", 7.0, 28),
    ("b", "2025-02-01", 900.0, 28),
    ("b", "2025-03-01", 1.0, 4),
)


def test_monthly_flows__takes_the_complete_month_then_the_newest():
    flows = cashflow.monthly_flows(MONTHLY, REPORTS_3)
    assert list(flows.columns) == list(cashflow.FLOWS.names)
    assert flows[["company_id", "report_id", "total_credit"]].to_numpy().tolist() == [
        ["a", "old", 100.0], ["a", "new", 110.0], ["b", "b", 900.0], ["b", "b", 1.0],
    ]  # fmt: skip
    assert flows.attrs["base"]["excluded"] == {"no_company": 1, "not_every_account": 0, "covered_better": 2}
    assert flows.attrs["base"]["used"] == 4
    assert flows.dtypes.astype(str).to_dict() | {"month": "datetime64[us]", "n_alerts": "Int64"} == {
        "company_id": "string", "month": "datetime64[us]", "currency": "string", "flow_basis": "string",
        "unreconciled_amount": "float64", "total_credit": "float64", "total_debit": "float64",
        "net_flow": "float64", "closing_balance": "float64", "minimum_balance": "float64",
        "average_daily_balance": "float64", "n_negative_days": "Int64", "n_days_covered": "Int64", "n_alerts": "Int64",
        "is_complete": "boolean", "report_id": "string", "operating_credit": "float64", "operating_debit": "float64",
    }  # fmt: skip


def test_monthly_flows__two_complete_months_newest_report_ties_by_id():
    monthly = monthly_of(("x", "2025-01-01", 1.0, 31), ("y", "2025-01-01", 2.0, 31), ("z", "2025-01-01", 3.0, 31))
    reports = reports_of(("x", "a", "2025-03-01", 1), ("y", "a", "2025-03-01", 1), ("z", "a", "2025-02-01", 1))
    assert cashflow.monthly_flows(monthly, reports)["report_id"].tolist() == ["y"]


def test_monthly_flows__reads_consolidated_rows_of_newest_versions_only():
    account = monthly_of(("b", "2025-02-01", 400.0, 28), account_no=0)
    corrected = reports_of(("old", "a", "2025-02-05", 2))
    flows = cashflow.monthly_flows(pa.concat_tables([account, MONTHLY]), pa.concat_tables([corrected, REPORTS_3]))
    assert flows["total_credit"].tolist() == [50.0, 110.0, 900.0, 1.0]  # version 2 of `old` has no months here


def test_portfolio_months__composition_is_not_a_trend():
    months = cashflow.portfolio_months(cashflow.monthly_flows(MONTHLY, REPORTS_3))
    assert months["n_companies"].tolist() == [1, 2, 0]
    assert months["total_credit"].tolist()[:2] == [100.0, 1010.0]
    assert months["net_flow"].tolist()[:2] == [90.0, 990.0]
    assert months["median_net_flow"].tolist()[:2] == [90.0, 495.0]
    assert months["negative_day_share_ratio"].tolist()[:2] == [0.0, 0.0]
    assert months["matched_credit_change_ratio"].iloc[1] == pytest.approx(0.1, rel=1e-12)
    assert months["n_matched"].tolist() == [0, 1, 0]
    assert months.drop(columns="currency").iloc[2].isna().sum() == 6  # March has no complete company
    assert months.attrs["base"]["excluded"] == {"unknown": 0, "incomplete": 1, "unreconciled": 0}


def test_portfolio_months__a_missing_month_breaks_the_match_and_nothing_divides_by_zero():
    monthly = monthly_of(
        ("b", "2025-01-01", 5.0, 31),
        ("b", "2025-03-01", 6.0, 31),
        ("new", "2025-02-01", 0.0, 28),
        ("new", "2025-03-01", 3.0, 31),
    )
    months = cashflow.portfolio_months(cashflow.monthly_flows(monthly, REPORTS_3))
    assert months["n_matched"].tolist() == [0, 0, 1]
    assert months["matched_credit_change_ratio"].isna().all()


def test_empty_tables_give_typed_results():
    flows = cashflow.monthly_flows(MONTHLY_SUMMARIES.empty(), REPORTS.empty())
    assert flows.shape == (0, 18)
    months = cashflow.portfolio_months(flows)
    assert months.shape == (0, 10)
    assert months.dtypes.astype(str).to_dict()["n_matched"] == "int64"


def engine_frames():
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    yield MONTHLY_SUMMARIES.to_pandas(MONTHLY), REPORTS.to_pandas(REPORTS_3)
    yield MONTHLY, REPORTS_3
    yield connection.from_arrow(MONTHLY), connection.from_arrow(REPORTS_3)


def test_engines_agree_and_inputs_stay_as_they_are():
    kept = MONTHLY_SUMMARIES.to_pandas(MONTHLY)
    results = [(cashflow.monthly_flows(*pair), pair[0]) for pair in engine_frames()]
    want = results[0][0]
    for flows, _ in results[1:]:
        pd.testing.assert_frame_equal(flows, want, rtol=1e-9)
        assert flows.attrs == want.attrs
        pd.testing.assert_frame_equal(cashflow.portfolio_months(flows), cashflow.portfolio_months(want), rtol=1e-9)
    pd.testing.assert_frame_equal(results[0][1], kept)


def test_portfolio_months__reads_flows_of_any_engine():
    flows = cashflow.monthly_flows(MONTHLY, REPORTS_3)
    connection = duckdb.connect()
    relation = connection.from_arrow(cashflow.FLOWS.conform(flows))
    pd.testing.assert_frame_equal(cashflow.portfolio_months(relation), cashflow.portfolio_months(flows), rtol=1e-9)


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(MONTHLY.num_rows)), st.permutations(range(REPORTS_3.num_rows)))
def test_order_of_rows_never_matters(months, reports):
    got = cashflow.monthly_flows(MONTHLY.take(months), REPORTS_3.take(reports))
    want = cashflow.monthly_flows(MONTHLY, REPORTS_3)
    pd.testing.assert_frame_equal(got, want)
    shuffled = want.sample(frac=1, random_state=len(months))
    pd.testing.assert_frame_equal(cashflow.portfolio_months(shuffled), cashflow.portfolio_months(want))


def test_wrong_frames_raise():
    with pytest.raises(InputError, match="different kinds"):
        cashflow.monthly_flows(MONTHLY_SUMMARIES.to_pandas(MONTHLY), REPORTS_3)
    with pytest.raises(InputError, match="frame of monthly_summaries lacks n_alerts"):
        cashflow.monthly_flows(MONTHLY.drop_columns("n_alerts"), REPORTS_3)
    with pytest.raises(InputError, match="frame of flows lacks company_id"):
        cashflow.portfolio_months(pd.DataFrame({"month": []}))
    with pytest.raises(InputError, match=r"total_credit \(money expected, String found\)"):
        cashflow.monthly_flows(MONTHLY_SUMMARIES.to_pandas(MONTHLY).assign(total_credit="1"), REPORTS_3)
