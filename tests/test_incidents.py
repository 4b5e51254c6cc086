"""Incidents by hand and against what an economy planted; the URSSAF calendar day by day."""

import numpy as np
import pandas as pd
import pytest
from sandbox_frames import economy_frames

from xray_analytics.analysis import cashflow
from xray_analytics.analysis.cashflow import social_security
from xray_analytics.errors import InputError
from xray_analytics.sandbox.economy.ledger import _easter, social_due_day, social_due_months, working_days
from xray_analytics.sandbox.payloads.visible import _missed_social, sight
from xray_analytics.tables import REPORTS, TRANSACTIONS


def report(*rows):
    """From (report, company, created, period start, period end)."""
    frame = pd.DataFrame(rows, columns=["report_id", "company_id", "at", "period_start_date", "period_end_date"])
    at = pd.to_datetime(frame.pop("at"), utc=True).astype("datetime64[us, UTC]")
    for name in ("period_start_date", "period_end_date"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return REPORTS.conform(
        frame.assign(
            report_version=1, created_at=at, available_at=at, fetched_at=at, product="bank", is_backfilled=False,
            is_rated=True, raw_sha256="0",
        )
    )  # fmt: skip


def entries(report_id, *rows):
    """From (day, label, amount)."""
    frame = pd.DataFrame(rows, columns=["booked_date", "label", "amount"])
    frame["booked_date"] = pd.to_datetime(frame["booked_date"]).astype("datetime64[us]")
    frame = frame.astype({"label": "string", "amount": "float64"})
    return TRANSACTIONS.conform(
        frame.assign(report_id=report_id, report_version=1, account_no=0, transaction_no=range(len(rows)))
    )


YEAR = report(("r", "a", "2026-01-05", "2024-12-31", "2025-12-31"))


def test_a_reject_is_debit_credit_and_fee_or_the_fee_alone():
    found = cashflow.incidents(
        entries(
            "r",
            ("2025-03-03", "PRLV SEPA LUNE", -80.0),
            ("2025-03-04", "REJET PRLV LUNE", 80.0),
            ("2025-03-05", "FRAIS PRLV IMPAYE SEPA LUNE", -20.0),
            ("2025-04-01", "F FRAIS PRLV IMP 97 49EUR", -20.0),
            ("2025-05-02", "REJET VIREMENT ZEPHYR", 500.0),
            ("2025-06-02", "REMBT PRLV LUNE", 80.0),
        ),
        YEAR,
    )
    assert found["incident"].tolist() == ["rejected_debit", "rejected_debit", "rejected_transfer"]
    assert found[["transaction_no", "debit_transaction_no", "fee_transaction_no"]].fillna(-1).to_numpy().tolist() == [
        [1, 0, 2], [3, -1, 3], [4, -1, -1],
    ]  # fmt: skip
    assert found["amount"].fillna(-1).tolist() == [80.0, -1.0, 500.0]
    assert found["evidence"].tolist() == [
        "REJET PRLV LUNE: 80.00 back on 2025-03-04, debited on 2025-03-03, fee of 20.00 on 2025-03-05.",
        "F FRAIS PRLV IMP 97 49EUR: 20.00 on 2025-04-01.",
        "REJET VIREMENT ZEPHYR: 500.00 back on 2025-05-02.",
    ]
    assert list(found.columns) == list(cashflow.INCIDENTS.names)


def test_fees_go_to_the_party_they_name_each_once():
    found = cashflow.incidents(
        entries(
            "r",
            ("2025-03-04", "REJET PRLV LUNE", 80.0),
            ("2025-03-04", "REJET PRLV ZEPHYR", 70.0),
            ("2025-03-05", "FRAIS PRLV IMPAYE SEPA ZEPHYR", -20.0),
            ("2025-03-06", "FRAIS PRLV IMPAYE SEPA LUNE", -20.0),
            ("2025-08-21", "SAISIE ADMINISTRATIVE", -900.0),
            ("2025-08-22", "FRAIS SAISIE", -100.0),
            ("2025-10-01", "RESULTAT ARRETE COMPTE AGIOS", -12.5),
        ),
        YEAR,
    )
    assert found["fee_transaction_no"].fillna(-1).tolist() == [3, 2, 5, -1]
    assert found["incident"].tolist() == ["rejected_debit", "rejected_debit", "seizure", "overdraft_charges"]
    assert found["evidence"][2] == "SAISIE ADMINISTRATIVE: 900.00 on 2025-08-21, fee of 100.00 on 2025-08-22."


def test_an_entry_of_two_reports_is_one_incident_of_the_newer():
    reports = report(
        ("old", "a", "2025-04-05", "2024-12-31", "2025-03-31"), ("new", "a", "2025-07-05", "2025-02-28", "2025-06-30")
    )
    rows = [("2025-02-04", "REJET PRLV LUNE", 80.0), ("2025-03-04", "REJET PRLV LUNE", 70.0)]
    both = pd.concat([TRANSACTIONS.to_pandas(entries(name, *rows)) for name in ("old", "new")])
    found = cashflow.incidents(both, REPORTS.to_pandas(reports))
    assert found[["report_id", "amount"]].to_numpy().tolist() == [["old", 80.0], ["new", 70.0]]
    # February is before the newer report's days, March belongs to it
    assert found.attrs["base"]["excluded"] == {
        "no_company": 0, "outside_coverage": 0, "in_other_report": 2, "without_day_or_amount": 0,
        "no_social_security_seen": 1,
    }  # fmt: skip
    early = cashflow.incidents(both, REPORTS.to_pandas(reports), as_of="2025-05-01")
    assert early["report_id"].tolist() == ["old", "old"]


def days(*texts):
    return np.array(texts, dtype="datetime64[D]").astype("int64")


def monthly(first, last, day=15):
    months = np.arange(np.datetime64(first, "M"), np.datetime64(last, "M") + 1)
    return (months.astype("datetime64[D]").astype("int64")) + day - 1


WHOLE_YEAR = np.arange(*days("2025-01-01", "2026-01-01"))
NONE = days()


def test_social__monthly_payers():
    paid = monthly("2025-01", "2025-12") + 3  # a few days late is in time
    assert len(social_security.missed_months(paid, NONE, WHOLE_YEAR)) == 0
    missed = social_security.missed_months(np.delete(paid, [3, 7]), NONE, WHOLE_YEAR)
    assert missed["due"].tolist() == days("2025-04-15", "2025-08-18").tolist()  # the 15th of August is a holiday
    back = social_security.missed_months(paid, paid[5:6] + 1, WHOLE_YEAR)
    assert back[["due", "how"]].to_numpy().tolist() == [[int(days("2025-06-16")[0]), "returned"]]


def test_social__quarterly_payers_large_ones_and_those_never_seen():
    quarterly = days("2025-01-15", "2025-04-15", "2025-10-15")
    missed = social_security.missed_months(quarterly, NONE, WHOLE_YEAR)
    assert missed["due"].tolist() == days("2025-07-15").tolist()
    large = np.delete(monthly("2025-01", "2025-12", day=5) + 1, 4)
    assert social_security.missed_months(large, NONE, WHOLE_YEAR)["due"].tolist() == days("2025-05-05").tolist()
    assert social_security.missed_months(NONE, NONE, WHOLE_YEAR) is None


def test_social__a_due_day_is_judged_only_where_its_whole_window_is_covered():
    paid = monthly("2025-01", "2025-11")
    assert social_security.missed_months(paid, NONE, np.arange(*days("2025-01-01", "2025-12-25")))["due"].tolist() == []
    assert len(social_security.missed_months(paid, NONE, np.arange(*days("2025-01-01", "2025-12-26")))) == 1
    gap = np.setdiff1d(WHOLE_YEAR, np.arange(*days("2025-06-01", "2025-07-01")))
    assert len(social_security.missed_months(np.delete(monthly("2025-01", "2025-12"), 5), NONE, gap)) == 0


def test_calendar__agrees_with_an_independent_one_for_two_centuries():
    assert [social_security._easter(year) for year in range(1900, 2100)] == [
        _easter(year) for year in range(1900, 2100)
    ]
    months = np.arange(np.datetime64("2020-01", "M"), np.datetime64("2030-01", "M")).astype("int64")
    calendar = working_days(2019, 2031)
    for day in (5, 15):
        plain = months.astype("datetime64[M]").astype("datetime64[D]") + day - 1
        assert (
            social_security._due(months, day)
            == np.busday_offset(plain, 0, roll="forward", busdaycal=calendar).astype(int)
        ).all()


def true_incidents(economy, report_id):
    """(company, day) of missed due days, and (company, day, cents) of rejects, as the economy booked them."""
    no, plan = economy.plans[report_id]
    company = economy.company(no)
    seen = sight(company, plan, economy.ledger(no), economy.timeline)
    due = seen.months.due(
        np.flatnonzero(social_due_months(company.employees, seen.months.number)), social_due_day(company.employees)
    )
    first = [s for s in seen.statements if s.account == 0]
    due = [day for day in due.tolist() if any(day > s.start and day + 10 <= s.end for s in first)]
    kinds, booked = seen.ledger.kinds[seen.rows], seen.ledger.days[seen.rows]
    paid = booked[kinds == "social"]
    back = booked[(kinds == "reject") & (seen.ledger.parties[seen.rows] == "URSSAF")]
    near = [((x >= day) & (x <= day + n)).any() for day in due for x, n in ((paid, 10), (back, 15))]
    missed = [day for day, hit, again in zip(due, near[::2], near[1::2], strict=True) if not hit or again]
    assert len(missed) == _missed_social(seen)  # the same rule as the economy's own criterion
    back = seen.rows[kinds == "reject"]
    rows = zip(seen.ledger.days[back].tolist(), seen.ledger.cents[back].tolist(), strict=True)
    return {(company.code, day) for day in missed}, {(company.code, *row) for row in rows}


def test_planted_incidents_are_found():
    """Rejects: all of them, and nothing else. Missed social charges: recall and precision of at least 90 %."""
    economy, frames = economy_frames(40, 11)
    found = cashflow.incidents(frames["transactions"], frames["reports"], statements=frames["statement_summaries"])
    day = found["incident_date"].to_numpy("datetime64[D]").astype("int64")
    found = found.assign(day=day, cents=(found["amount"] * 100).round().fillna(-1).astype("int64"))
    missed, rejects = set(), set()
    for report_id in frames["reports"]["report_id"]:
        one, other = true_incidents(economy, report_id)
        missed, rejects = missed | one, rejects | other
    rows = found[found["incident"] == "rejected_debit"]
    assert set(zip(rows["company_id"], rows["day"], rows["cents"], strict=True)) == rejects
    assert len(rejects) > 50
    assert rows["debit_transaction_no"].notna().all()
    rows = found[found["incident"] == "missed_social_security"]
    got = set(zip(rows["company_id"], rows["day"], strict=True))
    assert len(missed) > 30
    assert len(got & missed) >= 0.9 * len(missed)
    assert len(got & missed) >= 0.9 * len(got)


def test_companies_are_independent_so_that_chunks_give_the_same():
    _, frames = economy_frames(40, 11)
    reports, statements = frames["reports"], frames["statement_summaries"]
    want = cashflow.incidents(frames["transactions"], reports, statements=statements)
    even = reports["company_id"].str[-1].isin(list("02468"))
    parts = [cashflow.incidents(frames["transactions"], reports[half], statements=statements) for half in (even, ~even)]
    both = pd.concat(parts).sort_values(
        ["company_id", "incident_date", "incident", "transaction_no"], ignore_index=True
    )
    pd.testing.assert_frame_equal(both, want)
    shuffled = [frame.sample(frac=1, random_state=2) for frame in (frames["transactions"], reports, statements)]
    pd.testing.assert_frame_equal(cashflow.incidents(*shuffled[:2], statements=shuffled[2]), want)


def test_empty_and_wrong_frames():
    found = cashflow.incidents(TRANSACTIONS.empty(), REPORTS.empty())
    assert found.shape == (0, 12)
    assert str(found.dtypes["transaction_no"]) == "Int64"
    assert cashflow.incidents(TRANSACTIONS.empty(), YEAR).attrs["base"]["used"] == 0
    with pytest.raises(InputError, match="frame of transactions lacks counterparty"):
        cashflow.incidents(TRANSACTIONS.empty().drop_columns("counterparty"), YEAR)
    with pytest.raises(InputError, match="frame of reports lacks period_end_date"):
        cashflow.incidents(TRANSACTIONS.empty(), YEAR.drop_columns("period_end_date"))
    with pytest.raises(InputError, match="as_of"):
        cashflow.incidents(TRANSACTIONS.empty(), YEAR, as_of="soon")
