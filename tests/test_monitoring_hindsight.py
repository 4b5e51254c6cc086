"""Alarms judged on matured history only, and loans against the cash that must carry them."""

from datetime import date

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_frames import economy_frames

from xray_analytics.analysis import cashflow, monitoring
from xray_analytics.errors import InputError
from xray_analytics.sandbox.lender import outcome_frame
from xray_analytics.tables import OUTCOMES

UNTIL = "2025-12-31"


def watch_of(*rows):
    """From (company, rule, first seen)."""
    frame = pd.DataFrame(rows, columns=["company_id", "rule", "first_seen"])
    frame["first_seen"] = pd.to_datetime(frame["first_seen"]).astype("datetime64[us]")
    return frame.astype({"company_id": "string", "rule": "string"})


def outcomes_of(*rows):
    """From (company, default, end of default, observed until)."""
    names = ["company_id", "default_date", "default_end_date", "observed_until"]
    frame = pd.DataFrame(rows, columns=names)
    for name in names[1:]:
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return frame.astype({"company_id": "string"})


OUTCOME_ROWS = outcomes_of(
    ("hit", "2024-07-01", None, UNTIL),
    ("last_day", "2025-01-10", None, UNTIL),
    ("too_late", "2025-01-11", None, UNTIL),
    ("good", None, None, UNTIL),
    ("lost", None, None, "2024-06-30"),
    ("in_default", "2024-01-10", None, UNTIL),
    ("cured", "2023-01-10", "2023-06-10", UNTIL),
    ("young", "2025-07-01", None, UNTIL),
)


def test_precision__states_of_alarms_at_their_edges():
    names = ["hit", "last_day", "too_late", "good", "lost", "in_default", "cured", "unknown"]
    watch = watch_of(
        *((name, "r", "2024-01-10") for name in names), ("young", "r", "2025-06-01"), ("hit", "r", "2024-01-10")
    )
    row = monitoring.precision(watch, OUTCOME_ROWS, known_until=UNTIL, min_n=1).iloc[0]
    assert (row["n_alarms"], row["n_hits"], row["n_false_alarms"]) == (5, 2, 3)
    assert (row["n_immature"], row["n_in_default"], row["n_lost"]) == (1, 1, 2)
    assert row["precision_ratio"] == 0.4
    assert row["lead_days_median"] == (173 + 366) / 2
    assert (row["n_defaults"], row["n_defaults_seen"]) == (2, 2)


def test_precision__an_early_default_of_an_immature_alarm_is_in_no_figure():
    watch = watch_of(("young", "r", "2025-06-01"), ("good", "r", "2024-01-01"))
    row = monitoring.precision(watch, OUTCOME_ROWS, known_until=UNTIL).iloc[0]
    assert (row["n_alarms"], row["n_hits"], row["n_immature"]) == (1, 0, 1)
    assert pd.isna(row["precision_ratio"])  # one alarm is no share


ALARMS = st.tuples(
    st.sampled_from(OUTCOME_ROWS["company_id"].tolist()),
    st.sampled_from("rs"),
    st.dates(date(2023, 1, 1), date(2025, 12, 1)),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(ALARMS, min_size=1))
def test_precision__every_alarm_has_one_state_and_order_never_matters(rows):
    watch = watch_of(*rows)
    found = monitoring.precision(watch, OUTCOME_ROWS, known_until=UNTIL)
    states = found[["n_hits", "n_false_alarms", "n_immature", "n_in_default", "n_lost"]].sum().sum()
    assert states == len(watch.drop_duplicates())
    assert (found["n_alarms"] == found["n_hits"] + found["n_false_alarms"]).all()
    assert (found["n_defaults_seen"] <= found["n_defaults"]).all()
    other = monitoring.precision(watch.iloc[::-1], OUTCOME_ROWS.iloc[::-1], known_until=UNTIL)
    pd.testing.assert_frame_equal(other, found)


def test_precision__engines_empty_and_wrong_frames():
    watch = watch_of(("hit", "r", "2024-01-10"))
    kept, want = watch.copy(), monitoring.precision(watch, OUTCOME_ROWS, known_until=UNTIL)
    connection = duckdb.connect()
    relations = (
        connection.from_df(watch.astype({"company_id": object, "rule": object})),
        connection.from_df(OUTCOME_ROWS),
    )
    pd.testing.assert_frame_equal(monitoring.precision(*relations, known_until=UNTIL), want)
    pd.testing.assert_frame_equal(watch, kept)
    assert monitoring.precision(monitoring.WATCH.empty(), OUTCOMES.empty(), known_until=UNTIL).shape == (0, 12)
    with pytest.raises(InputError, match="frame of outcomes lacks observed_until"):
        monitoring.precision(watch, OUTCOME_ROWS.drop(columns="observed_until"), known_until=UNTIL)
    with pytest.raises(InputError, match="horizon_months is 0"):
        monitoring.precision(watch, OUTCOME_ROWS, known_until=UNTIL, horizon_months=0)


def flows(company, credits_, debits, start="2025-01-01"):
    months = pd.date_range(start, periods=len(credits_), freq="MS").astype("datetime64[us]")
    return pd.DataFrame(
        {"company_id": company, "month": months, "is_complete": True, "total_credit": credits_, "total_debit": debits}
    )


def loans(*rows):
    """From (company, category, period, amount, first, last, active)."""
    names = ["company_id", "category", "period", "amount", "first_date", "last_date", "is_active"]
    frame = pd.DataFrame(rows, columns=names)
    for name in ("first_date", "last_date"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return frame.assign(side="debit")


def test_debt_service__on_paper():
    months = pd.concat([
        flows("a", [100.0] * 4, [90.0] * 4), flows("b", [100.0] * 4, [90.0] * 4),
        flows("c", [1.0], [1.0]).assign(is_complete=False),
    ])  # fmt: skip
    streams = loans(
        ("a", "loan_repayment", "monthly", 20.0, "2025-01-10", "2025-04-10", True),
        ("a", "lease", "quarterly", 30.0, "2024-06-10", "2025-03-10", True),
        ("a", "loan_repayment", "monthly", 8.0, "2024-11-10", "2025-02-10", False),  # repaid: added back, not to come
        ("b", "rent", "monthly", 50.0, "2025-01-10", "2025-04-10", True),
    )
    found = monitoring.debt_service(months, streams)
    assert found["company_id"].tolist() == ["a", "b", "c"]
    assert found["cash_before_debt"][0] == 10 + (4 * 20 + 3 * 10 + 2 * 8) / 4
    assert found["debt_payments"].tolist() == [30.0, 0.0, 0.0]
    assert found["cover_ratio"][0] == pytest.approx(41.5 / 30)
    assert found["status"].tolist() == ["known", "no_loan_seen", "no_complete_month"]
    assert found["n_months"].tolist() == [4, 4, 0]
    short = monitoring.debt_service(months, streams, window_months=1, categories=["rent"])
    assert short["cover_ratio"].fillna(0).tolist() == [0, 1.2, 0]


def test_debt_service__empty_and_wrong_frames():
    empty = monitoring.debt_service(cashflow.FLOWS.empty(), cashflow.STREAMS.empty())
    assert empty.shape == (0, 8)
    months = flows("a", [1.0], [1.0])
    with pytest.raises(InputError, match="frame of recurring lacks is_active"):
        monitoring.debt_service(months, cashflow.STREAMS.empty().drop_columns("is_active"))
    with pytest.raises(InputError, match="the period 'daily'"):
        monitoring.debt_service(months, loans(("a", "lease", "daily", 1.0, "2025-01-01", "2025-01-02", True)))
    with pytest.raises(InputError, match="window_months is 0"):
        monitoring.debt_service(months, cashflow.STREAMS.empty(), window_months=0)


def watch_as_it_was(frames, day):
    """The list of a day, made from nothing but the reports available by then."""
    reports = frames["reports"][frames["reports"]["available_at"] <= pd.Timestamp(day, tz="UTC")]
    transactions, statements, monthly = (
        frames[name].merge(reports[["report_id", "report_version"]])
        for name in ("transactions", "statement_summaries", "monthly_summaries")
    )
    families = cashflow.categories(transactions)
    return monitoring.watch_list(
        reports,
        cashflow.monthly_flows(monthly, reports, operating=cashflow.operating(transactions, families)),
        cashflow.incidents(transactions, reports, categories=families, statements=statements),
        cashflow.recurring(transactions, reports, categories=families, statements=statements),
        as_of=day,
    )


def test_precision__of_every_rule_on_the_matured_history_of_an_economy(figure):
    economy, frames = economy_frames(40, 11)
    until = frames["reports"]["available_at"].max().date()
    outcomes = outcome_frame([economy.company(no) for no in range(40)], until)
    lists = [watch_as_it_was(frames, day) for day in ("2024-08-31", "2024-11-30")]
    watch = pd.concat(lists)
    found = monitoring.precision(watch, outcomes, known_until=str(until), min_n=1).set_index("rule")
    assert set(found.index) == set(watch["rule"]) >= {"class_5", "missed_urssaf", "new_reject"}
    assert (found["n_hits"] + found["n_false_alarms"] == found["n_alarms"]).all()
    hits = found[found["n_hits"] > 0]
    assert len(hits)
    assert hits["lead_days_median"].between(1, 366).all()
    assert (found["n_defaults_seen"] <= found["n_defaults"]).all()
    for name, row in found.iterrows():
        figure(f"watch list, {name}", f"{row.n_hits} of {row.n_alarms} alarms, lead {row.lead_days_median:.0f} days")
