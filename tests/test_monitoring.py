"""The watch list: one company per rule by hand, thresholds at their edge, nothing from after the day."""

import duckdb
import pandas as pd
import pytest
from sandbox_frames import economy_frames

from xray_analytics.analysis import cashflow, monitoring
from xray_analytics.errors import InputError
from xray_analytics.tables import REPORTS

AS_OF = "2025-06-30"


def reports_of(*rows):
    """From (id, company, created, class, period end), version 1 unless a sixth value says otherwise."""
    rows = [row if len(row) == 6 else (*row, 1) for row in rows]
    names = ["report_id", "company_id", "created_at", "bank_risk_class", "period_end_date", "report_version"]
    frame = pd.DataFrame(rows, columns=names)
    at = pd.to_datetime(frame["created_at"], utc=True).astype("datetime64[us, UTC]")
    frame["created_at"] = frame["available_at"] = frame["fetched_at"] = at
    frame["bank_risk_class"] = frame["bank_risk_class"].astype("Int64")
    frame["period_end_date"] = pd.to_datetime(frame["period_end_date"]).astype("datetime64[us]")
    rated = frame["bank_risk_class"].notna()
    return REPORTS.conform(frame.assign(product="bank", is_backfilled=False, is_rated=rated, raw_sha256="0"))


def flows_of(company, report, credits_, negative_days, *, start="2025-01-01"):
    months = pd.date_range(start, periods=len(credits_), freq="MS").astype("datetime64[us]")
    frame = pd.DataFrame({"company_id": company, "month": months, "report_id": report, "total_credit": credits_})
    return frame.assign(n_negative_days=negative_days, n_days_covered=28, is_complete=True, total_debit=0.0)


def flows(*parts):
    return cashflow.FLOWS.conform(pd.concat(parts)) if parts else cashflow.FLOWS.empty()


def rules_of(watch):
    return watch[["company_id", "rule", "severity"]].to_numpy().tolist()


def test_classes__worse_by_one_by_two_worst_and_newly_unrated():
    reports = reports_of(
        ("a1", "a", "2025-01-10", 2, "2025-06-01"), ("a2", "a", "2025-06-01", 3, "2025-06-01"),
        ("b1", "b", "2025-01-10", 1, "2025-06-01"), ("b2", "b", "2025-06-02", 3, "2025-06-01"),
        ("c1", "c", "2025-01-10", 5, "2025-06-01"), ("c2", "c", "2025-06-03", 5, "2025-06-01"),
        ("d1", "d", "2025-01-10", 4, "2025-06-01"), ("d2", "d", "2025-06-04", None, "2025-06-01"),
        ("e1", "e", "2025-01-10", 4, "2025-06-01"), ("e2", "e", "2025-06-05", 2, "2025-06-01"),  # better: no row
        ("f1", "f", "2025-01-10", 2, "2025-06-01"), ("f2", "f", "2025-03-01", None, "2025-06-01"),
        ("f3", "f", "2025-06-06", 3, "2025-06-01"),  # against the last rated one
    )  # fmt: skip
    watch = monitoring.watch_list(reports, flows(), as_of=AS_OF)
    assert rules_of(watch) == [
        ["b", "class_worse", "high"],
        ["a", "class_worse", "medium"],
        ["f", "class_worse", "medium"],
        ["c", "class_5", "medium"],
        ["d", "newly_unrated", "medium"],
    ]
    assert watch["before"].tolist() == [1, 2, 2, 5, 4]
    assert watch["after"].tolist()[:4] == [3, 3, 3, 5]
    assert pd.isna(watch["after"][4])
    assert watch["report_id"].tolist() == ["b2", "a2", "f3", "c2", "d2"]
    assert watch["first_seen"].dt.strftime("%m-%d").tolist() == ["06-02", "06-01", "06-06", "01-10", "06-04"]
    assert watch["evidence"].tolist() == [
        "Bank class 3 on 2025-06-02, 1 on 2025-01-10.",
        "Bank class 3 on 2025-06-01, 2 on 2025-01-10.",
        "Bank class 3 on 2025-06-06, 2 on 2025-01-10.",
        "Bank class 5, the worst, on 2025-06-03, and since 2025-01-10.",
        "No bank rating on 2025-06-04, class 4 on 2025-01-10.",
    ]
    assert watch.attrs["base"]["used"] == 6
    assert watch.attrs["base"]["excluded"]["credits_down_not_judged"] == 6
    assert watch.dtypes.astype(str).to_dict() == {
        "company_id": "string", "rule": "string", "severity": "string", "before": "float64", "after": "float64",
        "evidence": "string", "report_id": "string", "first_seen": "datetime64[us]",
    }  # fmt: skip


def test_months__thirty_percent_less_is_on_the_list_and_a_gap_is_not_judged():
    names = ["hit", "edge", "gap", "few"]
    reports = reports_of(*((name, name, "2025-06-10", 2, "2025-06-01") for name in names))
    table = flows(
        flows_of("hit", "hit", [100.0] * 3 + [60.0] * 3, [0, 0, 0, 2, 2, 1]),
        flows_of("edge", "edge", [100.0] * 3 + [70.0] * 3, [1, 1, 1, 2, 2, 1]),
        flows_of("gap", "gap", [100.0] * 6, [9] * 6).assign(is_complete=[True, True, False, True, True, True]),
        flows_of("few", "few", [100.0, 1.0], [0, 9]),
    )
    watch = monitoring.watch_list(reports, table, as_of=AS_OF)
    assert rules_of(watch) == [
        ["edge", "credits_down", "medium"],
        ["hit", "credits_down", "medium"],
        ["hit", "negative_days_up", "medium"],
    ]
    assert watch["evidence"].tolist() == [
        "Credits of 210 in the 3 months to 2025-06, 300 in those before (-30%).",
        "Credits of 180 in the 3 months to 2025-06, 300 in those before (-40%).",
        "5 days below zero in the 3 months to 2025-06, 0 in those before.",
    ]
    assert watch[["before", "after"]].to_numpy().tolist() == [[300, 210], [300, 180], [0, 5]]
    assert watch.attrs["base"]["excluded"] == {
        "no_company": 0, "credits_down_not_judged": 2, "negative_days_up_not_judged": 2, "stale_data_not_judged": 0,
    }  # fmt: skip


def test_stale_data__judged_on_the_period_not_on_the_report():
    reports = reports_of(
        ("a", "a", "2025-06-29", 2, "2025-03-29"),
        ("b", "b", "2025-06-29", 2, "2025-03-30"),
        ("c", "c", "2025-06-29", 2, None),
    )
    watch = monitoring.watch_list(reports, flows(), as_of=AS_OF)  # 93 and 92 days
    assert rules_of(watch) == [["a", "stale_data", "low"]]
    assert watch["evidence"][0] == "The last statement day is 2025-03-29, 93 days before 2025-06-30."
    assert (watch["before"][0], watch["after"][0], watch["first_seen"][0]) == (92, 93, pd.Timestamp("2025-06-30"))
    assert watch.attrs["base"]["excluded"]["stale_data_not_judged"] == 1


def test_nothing_from_after_the_day_is_seen():
    early = [("a1", "a", "2025-01-10", 2, "2025-06-01"), ("a2", "a", "2025-06-01", 3, "2025-06-01")]
    late = [("a3", "a", "2025-07-01", 5, "2025-06-01"), ("a2", "a", "2025-07-02", 5, "2025-06-01", 2)]
    june = flows_of("a", "a2", [100.0] * 6, [0] * 6)
    july = flows_of("a", "a3", [1.0], [9], start="2025-07-01")
    want = monitoring.watch_list(reports_of(*early), flows(june), as_of=AS_OF)
    got = monitoring.watch_list(reports_of(*late, *early), flows(july, june), as_of=AS_OF)
    assert rules_of(want) == [["a", "class_worse", "medium"]]
    pd.testing.assert_frame_equal(got, want)


def test_order_of_rows_and_engine_never_matter():
    reports = reports_of(
        ("a1", "a", "2025-01-10", 2, "2025-01-01"),
        ("a2", "a", "2025-01-10", 4, "2025-01-01"),
        ("b1", "b", "2025-01-10", 5, "2025-01-01"),
    )
    table = flows(flows_of("a", "a2", [100.0] * 3 + [6.5] * 3, [0, 0, 0, 9, 9, 9]))
    want = monitoring.watch_list(reports, table, as_of=AS_OF)
    assert len(want) == 6
    for seed in range(5):
        frame = REPORTS.to_pandas(reports).sample(frac=1, random_state=seed)
        shuffled = cashflow.FLOWS.to_pandas(table).sample(frac=1, random_state=seed)
        pd.testing.assert_frame_equal(monitoring.watch_list(frame, shuffled, as_of=AS_OF), want)
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    relations = connection.from_arrow(reports), connection.from_arrow(table)
    pd.testing.assert_frame_equal(monitoring.watch_list(*relations, as_of=AS_OF), want, rtol=1e-9)


def test_rules_are_data():
    reports = reports_of(("a1", "a", "2025-01-10", 2, "2025-06-01"), ("a2", "a", "2025-06-01", 5, "2025-06-01"))
    rules = monitoring.shipped_rules()
    rules["class_worse"]["at_least"] = 4
    assert rules_of(monitoring.watch_list(reports, flows(), as_of=AS_OF, rules=rules)) == [["a", "class_5", "medium"]]
    only = {"class_5": {"severity": "high"}}
    assert rules_of(monitoring.watch_list(reports, flows(), as_of=AS_OF, rules=only)) == [["a", "class_5", "high"]]
    assert monitoring.shipped_rules()["class_worse"]["at_least"] == 1
    for wrong, message in (
        ({"class_6": {}}, "no rule 'class_6'"),
        ({"stale_data": {"severity": "low"}}, "stale_data lacks the setting 'after_days'"),
        ({"class_5": {"severity": "dire"}}, "severity 'dire'"),
    ):
        with pytest.raises(InputError, match=message):
            monitoring.watch_list(reports, flows(), as_of=AS_OF, rules=wrong)


def test_empty_tables_give_typed_results():
    watch = monitoring.watch_list(REPORTS.empty(), cashflow.FLOWS.empty(), as_of=AS_OF)
    assert watch.shape == (0, 8)
    assert watch.attrs["base"]["used"] == 0
    assert monitoring.companies_to_review(watch).shape == (0, 4)


def test_companies_to_review__by_severity_then_number_of_rules():
    rows = [("a", "medium", "A."), ("b", "high", "B."), ("c", "medium", "C."), ("c", "low", "Cc."), ("d", "low", "D.")]
    watch = pd.DataFrame(rows, columns=["company_id", "severity", "evidence"])
    review = monitoring.companies_to_review(watch, n=3)
    assert review.to_numpy().tolist() == [
        ["b", 1, "high", "B."],
        ["c", 2, "medium", "C. Cc."],
        ["a", 1, "medium", "A."],
    ]
    assert review.columns.tolist() == ["company_id", "n_rules", "severity", "reasons"]
    with pytest.raises(InputError, match="at least one"):
        monitoring.companies_to_review(watch, n=0)
    with pytest.raises(InputError, match="frame of watch lacks evidence"):
        monitoring.companies_to_review(watch.drop(columns="evidence"))
    with pytest.raises(InputError, match="severity 'odd'"):
        monitoring.companies_to_review(watch.assign(severity="odd"))


def test_wrong_frames_raise():
    with pytest.raises(InputError, match="frame of reports lacks period_end_date"):
        monitoring.watch_list(REPORTS.empty().drop_columns("period_end_date"), flows(), as_of=AS_OF)
    with pytest.raises(InputError, match="frame of flows lacks month"):
        monitoring.watch_list(REPORTS.empty(), flows().drop_columns("month"), as_of=AS_OF)


def incidents_of(*rows):
    """From (company, incident, day, report)."""
    frame = pd.DataFrame(rows, columns=["company_id", "incident", "incident_date", "report_id"])
    frame["incident_date"] = pd.to_datetime(frame["incident_date"]).astype("datetime64[us]")
    return frame.assign(evidence=frame["incident"].str.upper() + ".")


def test_incidents__new_rejects_seizures_and_missed_charges():
    reports = reports_of(*((name, name, "2025-06-10", 2, "2025-05-31") for name in "abcdef"))
    incidents = incidents_of(
        ("a", "rejected_debit", "2025-05-01", "a"), ("a", "rejected_debit", "2025-05-02", "a"),
        ("b", "rejected_debit", "2025-05-01", "b"), ("b", "rejected_debit", "2025-02-01", "b"),  # not new
        ("c", "seizure", "2025-03-01", "c"),  # 91 days before the last statement day
        ("d", "seizure", "2025-02-28", "d"),  # 92
        ("e", "missed_social_security", "2025-04-15", "e"), ("e", "missed_social_security", "2025-01-15", "e"),
        ("f", "rejected_debit", "2025-05-01", "unknown report"),
    )  # fmt: skip
    watch = monitoring.watch_list(reports, flows(), incidents, as_of=AS_OF)
    assert rules_of(watch) == [
        ["c", "new_seizure", "high"], ["a", "new_reject", "medium"], ["e", "missed_urssaf", "medium"],
    ]  # fmt: skip
    assert watch[["before", "after"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1]]
    assert watch["evidence"][1] == ("2 in the last 92 days of statements, 0 in those before; the last: REJECTED_DEBIT.")
    assert watch["first_seen"].dt.strftime("%m-%d").tolist() == ["06-10"] * 3
    assert "new_lender" not in watch.attrs["base"]["filters"]["rules"]
    assert "new_reject" in watch.attrs["base"]["filters"]["rules"]
    without = monitoring.watch_list(reports, flows(), as_of=AS_OF)
    assert "new_reject" not in without.attrs["base"]["filters"]["rules"]


def streams_of(*rows):
    """From (company, counterparty, category, first, last)."""
    frame = pd.DataFrame(rows, columns=["company_id", "counterparty", "category", "first_date", "last_date"])
    for name in ("first_date", "last_date"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return frame.assign(side="debit", amount=500.0, period="monthly", is_active=True)


def test_new_lender__not_an_old_loan_nor_the_start_of_the_statements():
    reports = reports_of(*((name, name, "2025-06-10", 2, "2025-05-31") for name in "abcd"))
    months = flows(*(flows_of(name, name, [100.0] * 8, [0] * 8, start="2024-10-01") for name in "abcd"))
    streams = streams_of(
        ("a", "LUNE", "loan_repayment", "2025-02-10", "2025-05-10"),
        ("b", "LUNE", "loan_repayment", "2024-10-10", "2025-05-10"),  # may be old: seen from the start
        ("c", "LUNE", "loan_repayment", "2024-11-10", "2025-01-10"),
        ("c", "LUNE", "lease", "2025-02-10", "2025-05-10"),  # the same lender
        ("d", "SCI", "rent", "2025-02-10", "2025-05-10"),
    )
    watch = monitoring.watch_list(reports, months, recurring=streams, as_of=AS_OF)
    assert rules_of(watch) == [["a", "new_lender", "medium"]]
    assert watch["evidence"][0] == "Monthly payments of 500 to LUNE since 2025-02-10, none before."


def test_credits_down__compares_operations_where_they_are_known():
    reports = reports_of(("a", "a", "2025-06-10", 2, "2025-06-01"))
    months = flows_of("a", "a", [100.0] * 6, [0] * 6).assign(operating_debit=0.0)
    months["operating_credit"] = [100.0] * 3 + [50.0] * 3  # a loan fills the gap
    watch = monitoring.watch_list(reports, flows(months), as_of=AS_OF)
    assert watch["evidence"].tolist() == [
        "Operating credits of 150 in the 3 months to 2025-06, 300 in those before (-50%)."
    ]
    assert len(monitoring.watch_list(reports, flows(months.assign(operating_credit=None)), as_of=AS_OF)) == 0


def test_watch_list__of_an_economy_with_everything_given():
    _, frames = economy_frames(40, 11)
    given = {"transactions": frames["transactions"], "statements": frames["statement_summaries"]}
    families = cashflow.categories(given["transactions"])
    incidents = cashflow.incidents(given["transactions"], frames["reports"], categories=families)
    recurring = cashflow.recurring(given["transactions"], frames["reports"], categories=families)
    months = cashflow.monthly_flows(frames["monthly_summaries"], frames["reports"])
    watch = monitoring.watch_list(frames["reports"], months, incidents, recurring, as_of="2025-12-31")
    assert {"new_reject", "missed_urssaf"} <= set(watch["rule"])
    assert not watch.duplicated(["company_id", "rule"]).any()
    debt = monitoring.debt_service(months, recurring)
    loans = recurring[recurring["category"].isin(["loan_repayment", "lease"]) & recurring["is_active"]]
    assert set(debt.loc[debt["status"] == "known", "company_id"]) == set(loans["company_id"])


def test_empty_frames_of_incidents_and_streams_find_nothing():
    reports = reports_of(("a", "a", "2025-06-10", 2, "2025-06-01"))
    for book in (reports, REPORTS.empty()):
        watch = monitoring.watch_list(book, flows(), cashflow.INCIDENTS.empty(), cashflow.STREAMS.empty(), as_of=AS_OF)
        assert watch.shape == (0, 8)
        assert "new_lender" in watch.attrs["base"]["filters"]["rules"]
    streams = streams_of(("a", "LUNE", "loan_repayment", "2025-02-10", "2025-05-10"))
    assert len(monitoring.watch_list(reports, flows(), recurring=streams, as_of=AS_OF)) == 0  # no history to judge by
