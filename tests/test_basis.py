"""What a month rests on: recomputed day by day in plain Python, and the same answer whatever way the reports come."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics import Store, import_files
from xray_analytics.analysis import cashflow, frames, monitoring, quality
from xray_analytics.tables import MONTHLY_SUMMARIES, REPORTS, STATEMENT_SUMMARIES, TRANSACTIONS
from xray_analytics.tidy.batch import Received, tidy

A, B = "FR7612345987650123456789014", "NL91ABNA0417164300"
COMPANY = "514673987"
TABLES = (REPORTS, TRANSACTIONS, STATEMENT_SUMMARIES, MONTHLY_SUMMARIES)


def statement(start, end, *, sb=None, eb=None, credit=None, debit=None, iban=A, number=None):  # noqa: PLR0913
    """One element of `summary`; money in whole units."""
    return {
        "startDate": start, "endDate": end, "startBalance": sb, "endBalance": eb, "totalCreditAmount": credit,
        "totalDebitAmount": debit, "iban": iban, "statementId": number,
    }  # fmt: skip


def entry(day, amount, *, iban=A, currency="EUR", number=None):
    return {"date": day, "amount": amount, "iban": iban, "currency": currency, "statementId": number}


def report(statements, entries, *, no=1, created="2025-01-10T00:00:00Z", company=COMPANY):
    raw = {"summary": statements, "allTransactions": entries}
    code = {"type": "siren", "id": company}
    return {"id": f"r{no}", "source": "bank_xray", "creation": created, "code": code, "raw": raw}


def tidied(*reports):
    """The tables of these reports in pandas."""
    bodies = [json.dumps({"report": one}).encode() for one in reports]
    found = tidy([Received(body, datetime(2025, 6, 1, tzinfo=UTC), "") for body in bodies])
    assert [outcome.error for outcome in found.outcomes] == [None] * len(bodies)
    return {table.name: table.to_pandas(found.tables[table.name]) for table in TABLES}


def months_of(*reports, account=None):
    """(month, currency): (basis, credit, debit) of one account, or of all together."""
    rows = tidied(*reports)["monthly_summaries"]
    rows = rows[rows["account_no"].isna() if account is None else rows["account_no"] == account]
    rows = rows.astype(object).where(rows.notna(), None)
    keys = zip(rows["month"].map("{:%Y-%m}".format), rows["currency"], strict=True)
    return dict(zip(keys, zip(rows["flow_basis"], rows["total_credit"], rows["total_debit"], strict=True), strict=True))


def flows_of(found, *, together=False, **more):
    given = {"transactions": found["transactions"], "statements": found["statement_summaries"]} if together else {}
    return cashflow.monthly_flows(found["monthly_summaries"], found["reports"], **given, **more)


# --------------------------------------------------------------------------------------------- by hand


def test_guide_sample__gives_the_totals_of_its_statement():
    whole = {"sb": 166623.16, "eb": 262738.66, "credit": 164341.91, "debit": 68226.41, "iban": None}
    for entries in ([], [{}], None):
        found = tidied(report([statement("2021-07-31", "2021-08-31", **whole)], entries))
        (row,) = flows_of(found).to_dict("records")
        assert (row["flow_basis"], row["total_credit"], row["total_debit"]) == ("statement", 164341.91, 68226.41)
        assert (row["net_flow"], row["closing_balance"], row["unreconciled_amount"]) == (96115.5, 262738.66, 0)
        assert row["is_complete"]
        assert pd.isna(row["minimum_balance"])
        assert pd.isna(row["n_negative_days"])
        unread = 1 if entries else 0 if entries == [] else None
        assert found["reports"]["n_unread_transactions"].astype(object).where(lambda n: n.notna(), None)[0] == unread


def test_empty_month_of_a_quarter__is_a_true_zero_and_a_missing_list_is_none():
    quarter = statement("2021-08-31", "2021-11-30", sb=0, eb=5, credit=5, debit=0)
    read = months_of(report([quarter], [entry("2021-09-03", 5)]))
    assert read["2021-10", "EUR"] == ("entries", 0.0, 0.0)
    assert set(months_of(report([quarter], []))) == {("2021-09", None), ("2021-10", None), ("2021-11", None)}
    assert set(months_of(report([quarter], [])).values()) == {(None, None, None)}


@pytest.mark.parametrize(
    ("given", "basis"),
    [
        ({"credit": 0, "debit": 0}, "entries"), ({"sb": 7, "eb": 7}, "entries"), ({"sb": 7, "eb": 8}, None),
        ({"credit": 0}, None), ({}, None), ({"credit": 3, "debit": 0}, "statement"),
        ({"credit": 1, "debit": 1, "sb": 7, "eb": 7}, "statement"),
    ],
)  # fmt: skip
def test_no_entries__what_the_statement_says_decides(given, basis):
    found = months_of(report([statement("2021-08-31", "2021-09-30", **given)], []))
    assert [row[0] for row in found.values()] == [basis]
    assert (found["2021-09", None][1] is None) == (basis is None)


def test_entry_without_a_day__takes_the_basis_from_the_statement_it_names_else_from_the_whole_account():
    statements = [
        statement("2021-08-31", "2021-09-30", number=1), statement("2021-09-30", "2021-10-31", number=2),
        statement("2021-08-31", "2021-10-31", iban=B, number=3),
    ]  # fmt: skip
    entries = [entry("2021-09-03", 5), entry("2021-10-03", 5), entry("2021-10-03", 5, iban=B)]
    lost = [*entries, entry(None, 5, number=2)]
    assert months_of(report(statements, lost), account=0)["2021-09", "EUR"][0] == "entries"
    assert months_of(report(statements, lost), account=0)["2021-10", "EUR"] == (None, None, None)
    assert months_of(report(statements, lost), account=1)["2021-10", "EUR"][0] == "entries"
    assert months_of(report(statements, lost))["2021-10", "EUR"] == (None, None, None)  # the weakest of its accounts
    unnamed = months_of(report(statements, [*entries, entry(None, 5)]), account=0)
    assert set(unnamed.values()) == {(None, None, None)}
    nowhere = report(statements, [*entries, {}])
    assert {row for no in (0, 1, None) for row in months_of(nowhere, account=no).values()} == {(None, None, None)}


def test_two_halves_of_a_month__carry_it_together_and_a_gap_does_not():
    first = statement("2021-08-31", "2021-09-15", credit=5, debit=1, sb=0, eb=4)
    second = statement("2021-09-15", "2021-09-30", credit=2, debit=2, sb=4, eb=4)
    assert months_of(report([first, second, first], []))["2021-09", None] == ("statement", 7.0, 3.0)
    late = statement("2021-09-16", "2021-09-30", credit=2, debit=2)
    assert months_of(report([first, late], []))["2021-09", None] == (None, None, None)


def test_unreconciled_amount__is_shared_by_days_half_to_even():
    quarter = statement("2021-08-31", "2021-11-30", credit=10.01, debit=0)
    rows = tidied(report([quarter], [entry("2021-09-03", 10)]))["monthly_summaries"]
    shares = [round(Fraction(100 * days, 91)) / 10_000 for days in (30, 31, 30)]
    assert rows[rows["account_no"].isna()]["unreconciled_amount"].tolist() == shares
    missing = tidied(report([statement("2021-08-31", "2021-11-30", credit=10)], [entry("2021-09-03", 10)]))
    assert missing["monthly_summaries"]["unreconciled_amount"].isna().all()


def test_all_accounts__rest_on_the_weakest_and_add_whole_months_only():
    whole = [statement("2021-08-31", "2021-09-30", credit=5, debit=0), statement("2021-08-31", "2021-09-30", iban=B)]
    read = [entry("2021-09-03", 2, iban=B)]
    assert months_of(report(whole, read))["2021-09", "EUR"] == ("entries", 2.0, 0.0)
    assert months_of(report(whole, read))["2021-09", None] == ("statement", 5.0, 0.0)  # names no currency by itself
    named = report(whole, [*read, entry(None, 1)])  # the currency of the first account is known by now
    assert months_of(named)["2021-09", "EUR"] == ("statement", 7.0, 0.0)
    half = [whole[0], statement("2021-08-31", "2021-09-15", iban=B)]
    assert months_of(report(half, [entry("2021-09-03", 2, iban=B)]))["2021-09", None] == (None, None, None)


def test_currency__of_an_account_is_the_one_its_entries_name():
    whole = [statement("2021-08-31", "2021-09-30", sb=0, eb=3, credit=3, debit=0)]
    null = [entry("2021-09-03", 1, currency=None), entry("2021-09-04", 2)]
    assert months_of(report(whole, null)) == {("2021-09", "EUR"): ("entries", 3.0, 0.0)}
    several = [*null, entry("2021-09-05", 700, currency="JPY")]
    rows = tidied(report(whole, several))["monthly_summaries"]
    found = dict(zip(rows["currency"].fillna("?"), rows["total_credit"], strict=True))
    assert found == {"EUR": 2.0, "JPY": 700.0, "?": 1.0}  # whose the third is, nobody says
    assert rows[["closing_balance", "average_daily_balance", "unreconciled_amount"]].isna().all(axis=None)


# --------------------------------------------------------------------------------------------- brute force

FIRST = date(2021, 1, 20)
UNITS = st.integers(-300, 300)


@st.composite
def accounts(draw, no):
    """Statements and entries of one account: with and without totals, some entries unreadable."""
    start, statements, entries = FIRST + timedelta(draw(st.integers(0, 15))), [], []
    for _ in range(draw(st.integers(1, 3))):
        month_end = (start.replace(day=1) + timedelta(62)).replace(day=1) - timedelta(1)
        end = draw(st.sampled_from([month_end, month_end, start + timedelta(draw(st.integers(1, 70)))]))
        own = []
        for offset in draw(st.lists(st.integers(1, (end - start).days), max_size=3)):
            state = draw(st.sampled_from(["read"] * 8 + ["no amount", "no day"]))
            day = None if state == "no day" else start + timedelta(offset)
            currency = draw(st.sampled_from(["EUR", "EUR", "EUR", None]))
            number = draw(st.sampled_from([f"{no}-{len(statements)}", None]))
            amount = None if state == "no amount" else draw(UNITS)
            own.append({"no": no, "day": day, "amount": amount, "currency": currency, "number": number})
        read = [e["amount"] for e in own if e["amount"] is not None and e["day"] is not None]
        totals = {"credit": sum(a for a in read if a > 0), "debit": -sum(a for a in read if a < 0)}
        off = draw(st.sampled_from([0, 0, 1, 7]))
        statements.append({
            "no": no, "start": start, "end": end, "number": f"{no}-{len(statements)}",
            "sb": draw(st.sampled_from([0, 5, None])), "eb": draw(st.sampled_from([0, 5, None])),
            "credit": draw(st.sampled_from([totals["credit"] + off] * 3 + [None])),
            "debit": draw(st.sampled_from([totals["debit"]] * 3 + [None])),
        })  # fmt: skip
        entries += own
        start = end + timedelta(draw(st.sampled_from([0, 0, 0, 3, 40])))
    return statements, entries


@st.composite
def ledgers(draw):
    found = [draw(accounts(no)) for no in range(draw(st.integers(1, 2)))]
    return [s for statements, _ in found for s in statements], [e for _, entries in found for e in entries]


class Truth:
    """One report, day by day; a day is covered from the one after a statement's start to its end."""

    def __init__(self, statements, entries):
        self.statements, self.entries = statements, entries
        self.accounts = sorted({s["no"] for s in statements})

    def days(self, s):
        return [s["start"] + timedelta(n) for n in range(1, (s["end"] - s["start"]).days + 1)]

    def inside(self, s):
        return [e for e in self.entries if e["no"] == s["no"] and e["day"] is not None and e["day"] in self.days(s)]

    def has_basis(self, s):
        lost = [e for e in self.entries if e["day"] is None and e["no"] == s["no"]]
        if any(e["number"] in (None, s["number"]) for e in lost):
            return False
        amounts = [e["amount"] for e in self.inside(s)]
        none_moved = s["credit"] == 0 and s["debit"] == 0
        without = s["credit"] is None and s["debit"] is None
        return None not in amounts and (
            bool(amounts) or none_moved or (without and s["sb"] is not None and s["sb"] == s["eb"])
        )

    def month(self, no, month):
        """Basis, credit, debit and unreconciled amount of an account's month."""
        own = [s for s in self.statements if s["no"] == no and any(d.replace(day=1) == month for d in self.days(s))]
        booked = [e["amount"] for e in self.entries if e["no"] == no and e["day"] and e["day"].replace(day=1) == month]
        if all(map(self.has_basis, own)) and None not in booked:
            off = [self.off(s, month) for s in own]
            credit, debit = sum(a for a in booked if a > 0), -sum(a for a in booked if a < 0)
            return "entries", credit, debit, None if None in off or not off else round(sum(off) * 10_000)
        inside = [s for s in own if {d.replace(day=1) for d in self.days(s)} == {month}]
        covered = Counter(d for s in inside for d in self.days(s))
        length = ((month + timedelta(31)).replace(day=1) - month).days
        is_whole = len(covered) == length and set(covered.values()) == {1}
        if is_whole and all(s["credit"] is not None and s["debit"] is not None for s in inside):
            return "statement", sum(s["credit"] for s in inside), sum(s["debit"] for s in inside), 0
        return None, None, None, None

    def off(self, s, month):
        if s["credit"] is None or s["debit"] is None:
            return None
        amounts = [e["amount"] for e in self.inside(s)]
        gap = abs(sum(a for a in amounts if a > 0) - s["credit"]) + abs(-sum(a for a in amounts if a < 0) - s["debit"])
        return Fraction(gap * sum(d.replace(day=1) == month for d in self.days(s)), len(self.days(s)))


@settings(max_examples=60, deadline=None)
@given(ledgers(), st.booleans())
def test_account_months_are_those_of_the_truth(ledger, newest_first):
    statements, entries = ledger
    truth = Truth(statements, entries)
    given_statements = [
        statement(str(s["start"]), str(s["end"]), sb=s["sb"], eb=s["eb"], credit=s["credit"], debit=s["debit"],
                  iban=(A, B)[s["no"]], number=s["number"])
        for s in statements
    ]  # fmt: skip
    given_entries = [
        entry(e["day"] and str(e["day"]), e["amount"], iban=(A, B)[e["no"]], currency=e["currency"], number=e["number"])
        for e in entries
    ]
    tables_ = tidied(report(given_statements, given_entries[:: -1 if newest_first else 1]))
    has_basis = tables_["statement_summaries"]["has_basis"].tolist()
    assert has_basis == [truth.has_basis(s) for s in statements]
    rows = tables_["monthly_summaries"]
    for row in rows[rows["account_no"].notna()].astype(object).where(rows.notna(), None).to_dict("records"):
        basis, credit, debit, off = truth.month(row["account_no"], row["month"].date())
        assert (row["flow_basis"], row["total_credit"], row["total_debit"]) == (basis, credit, debit)
        assert (None if row["unreconciled_amount"] is None else round(row["unreconciled_amount"] * 10_000)) == off
        assert basis is not None or not row["is_complete"]
        counts = [row[name] for name in ("n_transactions", "n_alerts")]
        assert (counts == [None, None]) == (basis != "entries")
    bases = rows.assign(rank=rows["flow_basis"].map({"statement": 1, "entries": 2}).fillna(0))
    weakest = bases[bases["account_no"].notna()].groupby("month")["rank"].min()
    joint = bases[bases["account_no"].isna() & (bases["n_days_covered"] > 0)]
    least, is_whole = joint["month"].map(weakest), joint["n_days_covered"] == joint["month"].dt.days_in_month
    summed = is_whole | (least != 1)  # totals of statements are of whole months: of fewer joint days they say nothing
    assert (joint["rank"][summed] >= least[summed]).all()  # a currency rests on its own accounts
    assert (joint["is_complete"].astype(bool) == (is_whole & (joint["rank"] > 0))).all()


# --------------------------------------------------------------------------------------------- metamorphic

PLANS = st.lists(st.tuples(st.integers(0, 88), st.integers(-300, 300)), max_size=12)


def plan(entries):
    """A year's first quarter of one account, month by month, with the totals of its entries."""
    ends = ["2020-12-31", "2021-01-31", "2021-02-28", "2021-03-31"]
    booked = [(date(2021, 1, 1) + timedelta(day), amount) for day, amount in sorted(entries)]
    statements = []
    for start, end in pairwise(ends):
        own = [amount for day, amount in booked if start < str(day) <= end]
        credit, debit = sum(a for a in own if a > 0), -sum(a for a in own if a < 0)
        statements.append(statement(start, end, credit=credit, debit=debit))
    return statements, [entry(str(day), amount) for day, amount in booked]


@settings(max_examples=30, deadline=None)
@given(PLANS, st.permutations(range(4)), st.booleans())
def test_split_into_overlapping_reports_in_any_order__same_answers(entries, order, together):
    statements, rows = plan(entries)
    whole = flows_of(tidied(report(statements, rows)), together=together)

    def part(no, first, last):
        days = (statements[first]["startDate"], statements[last - 1]["endDate"])
        return report(statements[first:last], [r for r in rows if days[0] < r["date"] <= days[1]], no=no)

    parts = [part(1, 0, 2), part(2, 1, 3), part(3, 1, 2), part(4, 2, 3)]
    split = flows_of(tidied(*(parts[n] for n in order)), together=together)
    figures = ["month", "total_credit", "total_debit", "net_flow", "is_complete", "flow_basis"]
    pd.testing.assert_frame_equal(split[figures], whole[figures])


@settings(max_examples=30, deadline=None)
@given(PLANS, st.sampled_from(["no list", "empty", "no amount", "no day"]), st.booleans())
def test_later_unreadable_report__silences_nobody(entries, how, together):
    statements, rows = plan(entries)
    alone = tidied(report(statements, rows))
    spoilt = {
        "no list": None, "empty": [], "no amount": [r | {"amount": None} for r in rows],
        "no day": [r | {"date": None} for r in rows],
    }[how]  # fmt: skip
    later = report(statements, spoilt, no=2, created="2025-03-10T00:00:00Z")
    figures = ["month", "currency", "total_credit", "total_debit", "net_flow", "is_complete", "flow_basis"]
    both = flows_of(tidied(report(statements, rows), later), together=together)
    pd.testing.assert_frame_equal(both[figures], flows_of(alone, together=together)[figures])


def test_one_hundred_where_three_hundred_is_right():
    """A newer report with an unreadable entry counted as complete with what was left of it."""
    whole = [statement("2021-08-31", "2021-09-30")]
    old = report(whole, [entry("2021-09-03", 100), entry("2021-09-04", 200)])
    new = report(whole, [entry("2021-09-03", 100), entry(None, 200)], no=2, created="2025-03-10T00:00:00Z")
    for together in (False, True):
        row = flows_of(tidied(old, new), together=together).iloc[0]
        assert (row["total_credit"], row["is_complete"], row["report_id"]) == (300.0, True, "r1")
    tables_ = tidied(old, new)
    parties = cashflow.counterparty_concentration(
        tables_["transactions"].assign(label="VIR X", counterparty="X"), tables_["reports"]
    )
    assert parties["total"].tolist() == [300.0]  # the same rule where only the periods of the reports are known


@settings(max_examples=25, deadline=None)
@given(PLANS, st.booleans())
def test_list_deleted__every_flow_is_null_and_nothing_is_filled(entries, with_totals):
    statements, _ = plan(entries)
    if not with_totals:
        statements = [s | {"totalCreditAmount": None, "totalDebitAmount": None} for s in statements]
    flows = flows_of(tidied(report(statements, None)))
    assert len(flows) == 3
    if with_totals:
        assert set(flows["flow_basis"]) <= {"statement", "entries"}
        stated = [(s["totalCreditAmount"], s["totalDebitAmount"]) for s in statements]
        assert list(zip(flows["total_credit"], flows["total_debit"], strict=True)) == stated
        return
    figures = ["flow_basis", "total_credit", "total_debit", "net_flow", "closing_balance", "minimum_balance"]
    assert flows[figures].isna().all(axis=None)
    assert not flows["is_complete"].any()
    assert flows.attrs["base"]["filters"]["unknown"] == 3
    months = cashflow.portfolio_months(flows)
    assert (months["n_companies"].sum(), months.attrs["base"]["excluded"]["unknown"]) == (0, 3)
    metrics = cashflow.company_metrics(flows, as_of="2025-01-01")
    assert (metrics["n_months"][0], metrics["runway_status"][0]) == (0, "unknown")
    assert metrics.attrs["base"]["excluded"]["months_unknown"] == 3
    debt = monitoring.debt_service(flows, cashflow.STREAMS.empty())
    assert debt["status"].tolist() == ["entries_unknown"]


def test_days_without_a_basis__have_no_credits_and_no_balance():
    tables_ = tidied(report([statement("2021-08-31", "2021-09-02", sb=1, eb=9)], None))
    daily = cashflow.daily_balances(tables_["transactions"], tables_["statement_summaries"])
    assert daily[["credit", "debit", "balance"]].isna().all(axis=None)
    assert set(daily["basis"]) == {"unknown"}


@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize("kind", ["pandas", "arrow", "duckdb"])
def test_frames_made_by_hand__may_lack_what_is_new(kind, n):
    """Null, and has_basis true: nothing is concluded from what an older package did not know."""
    keys = pa.table({"report_id": pa.array(["a"] * n, pa.string()), "report_version": pa.array([1] * n, pa.int64())})
    frame = {"pandas": keys.to_pandas, "arrow": lambda: keys, "duckdb": lambda: duckdb.from_arrow(keys)}[kind]()
    for table in TABLES:
        names = frames.MAY_LACK[table.name]
        found = frames.collect(frames.scan(frame, table, ("report_id", *names)), table)
        assert len(found) == n
        assert found[list(names)].isna().all(axis=None) if names != ("has_basis",) else found["has_basis"].all()


# --------------------------------------------------------------------------------------------- accounts and currencies


def test_joint_day__is_one_that_every_account_of_the_company_covers_on_both_paths():
    """A in January and February, B in February only: entries 180, joint flows 80; both are right."""
    a = [statement("2020-12-31", "2021-01-31"), statement("2021-01-31", "2021-02-28")]
    b = statement("2021-01-31", "2021-02-28", iban=B)
    rows = [entry("2021-01-05", 100), entry("2021-02-05", 50), entry("2021-02-06", 30, iban=B)]
    apart = [report([a[0]], rows[:1]), report([a[1], b], rows[1:], no=2, created="2025-03-10T00:00:00Z")]
    for tables_ in (tidied(report([*a, b], rows)), tidied(*apart)):
        for together in (False, True):
            flows = flows_of(tables_, together=together)
            assert flows[["month", "total_credit"]].values.tolist() == [[pd.Timestamp("2021-02-01"), 80.0]]
    assert flows.attrs["base"]["excluded"]["not_every_account"] == 1


def test_null_currency__joins_the_only_named_one_of_the_company_when_reports_are_settled():
    statements, rows = plan([(3, 100), (40, 50), (70, 5)])
    bare = [r | {"currency": None} for r in rows]
    later = report(statements[2:], bare[2:], no=2, created="2025-03-10T00:00:00Z")
    flows = flows_of(tidied(report(statements[:2], rows[:2]), later))
    assert flows["currency"].tolist() == ["EUR"] * 3
    silent = flows_of(tidied(report(statements, bare)))
    assert silent["currency"].isna().all()
    third = report(statements[1:2], [rows[1] | {"currency": "USD"}], no=3, created="2025-02-10T00:00:00Z")
    mixed = flows_of(tidied(report(statements[:2], rows[:2]), later, third))
    assert mixed["currency"].astype(object).where(mixed["currency"].notna(), None).tolist() == [
        "EUR",
        "EUR",
        "USD",
        None,
    ]


def test_two_accounts_of_one_report__null_is_added_to_the_named_one():
    whole = [
        statement("2021-08-31", "2021-09-30", sb=0, eb=5),
        statement("2021-08-31", "2021-09-30", iban=B, sb=1, eb=3),
    ]
    rows = [entry("2021-09-03", 5), entry("2021-09-04", 2, iban=B, currency=None)]
    for others in ([], [report(whole, rows, no=2, created="2025-03-10T00:00:00Z")]):
        (row,) = flows_of(tidied(report(whole, rows), *others)).to_dict("records")
        assert (row["currency"], row["total_credit"], row["closing_balance"]) == ("EUR", 7.0, 8.0)
        assert pd.isna(row["minimum_balance"])


def test_currencies__are_never_added():
    whole = [statement("2021-08-31", "2021-09-30"), statement("2021-08-31", "2021-09-30", iban=B)]
    rows = [entry("2021-09-03", 5), entry("2021-09-04", 700, iban=B, currency="JPY")]
    tables_ = tidied(report(whole, rows), report(whole[:1], rows[:1], no=2, company="732829320"))
    flows = flows_of(tables_)
    months = cashflow.portfolio_months(flows)
    assert months[["currency", "n_companies", "total_credit"]].values.tolist() == [["EUR", 2, 10.0], ["JPY", 1, 700.0]]
    metrics = cashflow.company_metrics(flows, as_of="2025-01-01")
    assert metrics[["company_id", "currency", "mean_credit"]].values.tolist() == [
        [COMPANY, "EUR", 5.0], [COMPANY, "JPY", 700.0], ["732829320", "EUR", 5.0],
    ]  # fmt: skip
    shown, n_others = cashflow.in_main_currency(flows)
    assert (set(shown["currency"]), n_others) == ({"EUR"}, 1)


def test_month_that_does_not_agree_with_its_statement__is_left_out_and_counted():
    off = [
        statement("2021-08-31", "2021-09-30", credit=103, debit=0),
        statement("2021-09-30", "2021-10-31", credit=5, debit=0),
    ]
    flows = flows_of(tidied(report(off, [entry("2021-09-03", 100), entry("2021-10-03", 5)])))
    for found, reason in (
        (cashflow.company_metrics(flows, as_of="2025-01-01"), "months_unreconciled"),
        (cashflow.portfolio_months(flows), "unreconciled"),
    ):
        assert found.attrs["base"]["excluded"][reason] == 1
    assert cashflow.company_metrics(flows, as_of="2025-01-01")["mean_credit"].tolist() == [5.0]
    allowed = cashflow.company_metrics(flows, as_of="2025-01-01", max_unreconciled_ratio=0.03)
    assert allowed["n_months"].tolist() == [2]


# --------------------------------------------------------------------------------------------- at the door


def written(folder, *reports):
    folder.mkdir()
    for no, one in enumerate(reports):
        (folder / f"{no}.json").write_text(json.dumps({"report": one}))
    return folder


def test_unread_transactions__are_said_at_the_door_and_open_the_report(tmp_path, xray):
    statements, rows = plan([(day, 10) for day in range(30)])
    spoilt = report(statements, [r | {"amount": None} for r in rows])
    good = report(statements, [*rows * 3, *rows * 3, rows[0] | {"date": None}], no=2, company="732829320")
    code, out, _ = xray("import", written(tmp_path / "in", spoilt, good), "--store", tmp_path / "s")
    assert code == 3
    assert "30 of 30 transactions have no amount: see `xray inspect`" in " ".join(out.split())
    found = quality.findings(reports=Store(tmp_path / "s").snapshot().read("reports"))
    found = found[found["check"] == "unread_transactions"]
    assert found[["severity", "report_id", "n"]].values.tolist() == [["high", "r1", 30], ["medium", "r2", 1]]
    page = tmp_path / "book.html"
    assert xray("report", "portfolio", "--store", tmp_path / "s", "--out", page)[0] == 0
    text = page.read_text()
    assert text.index("30 of 30 transactions have no amount or no day") < text.index("Companies to look at first")


@pytest.mark.parametrize("entries", [[{}], [{"value": 5.0}] * 3])
def test_all_of_a_reports_transactions_unread__ends_partial(tmp_path, entries):
    result = import_files([written(tmp_path / "in", report([statement("2021-08-31", "2021-09-30")], entries))],
                          Store(tmp_path / "s"))  # fmt: skip
    assert result.is_partial
    n = len(entries)
    words = (
        f"{n} of {n} transactions have no amount and {n} of {n} transactions have no booking day: see `xray inspect`"
    )
    assert [(issue.code, issue.message) for issue in result.issues] == [("unread_transactions", words)]


def test_one_unread_of_many__is_a_finding_and_no_issue(tmp_path):
    statements, rows = plan([(day, 10) for day in range(60)])
    many = report(statements, [*rows * 2, rows[0] | {"amount": None}])
    assert not import_files([written(tmp_path / "in", many)], Store(tmp_path / "s")).is_partial
    assert Decimal(1) / 121 < Decimal("0.01")
