"""Months against a day-by-day reference in plain Python, on ledgers with gaps, odd orders and missing balances."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics.tidy.batch import Received, tidy

FETCHED_AT = datetime(2022, 1, 1, tzinfo=UTC)
FIRST = date(2021, 1, 20)
IBANS = ("FR7612345987650123456789014", "NL91ABNA0417164300")
COLUMNS = (
    "n_transactions", "total_credit", "total_debit", "net_flow", "opening_balance", "closing_balance",
    "minimum_balance", "average_daily_balance", "n_negative_days", "n_days_covered", "n_alerts", "is_complete",
)  # fmt: skip
Row = dict[str, Any]


# --------------------------------------------------------------------------------------------- the reference


class Account:
    """One account, day by day; cents as integers."""

    def __init__(self, statements: list[Row], entries: list[Row]) -> None:
        self.statements, self.entries = statements, entries
        self.covered = {
            s["start"] + timedelta(k) for s in statements for k in range(1, (s["end"] - s["start"]).days + 1)
        }
        self.cells = self.covered | {s["start"] for s in statements if s["start"] <= s["end"]}
        self.by_day = defaultdict(list)
        for entry in entries:
            self.by_day[entry["day"]].append(entry)
        self.newest_first = bool(entries) and entries[0]["day"] > entries[-1]["day"]
        self.anchors = {}
        for s in statements:
            if s["start"] <= s["end"] and s["sb"] is not None:
                self.anchors[s["start"]] = s["sb"]
        for s in statements:
            if s["start"] <= s["end"] and s["eb"] is not None:
                self.anchors[s["end"]] = s["eb"]
        for day in self.by_day:
            closing = self.stated_closing(day)
            if closing is not None:
                self.anchors[day] = closing

    def based(self, day: date) -> bool:
        """Whether every statement that covers the day has readable entries, or none and an unmoved balance."""
        found = []
        for s in (s for s in self.statements if s["start"] < day <= s["end"]):
            amounts = [e["amount"] for e in self.entries if s["start"] < e["day"] <= s["end"]]
            stood_still = s["sb"] is not None and s["sb"] == s["eb"]
            found.append(None not in amounts and (bool(amounts) or stood_still))
        return all(found)

    def rests(self, month: date) -> bool:
        """Whether all its days of the month have a basis, and all its entries an amount."""
        covered = all(self.based(d) for d in self.covered if d.replace(day=1) == month)
        return covered and None not in [e["amount"] for e in self.entries if e["day"].replace(day=1) == month]

    def moved(self, day: date) -> int | None:
        amounts = [e["amount"] for e in self.by_day.get(day, ())]
        return None if None in amounts else sum(amounts)

    def stated_closing(self, day: date) -> int | None:
        entries = self.by_day[day]
        if self.moved(day) is None:
            return None
        orders = [entries, entries[::-1]]
        for order in orders[::-1] if self.newest_first else orders:
            openings, so_far = set(), 0
            for entry in order:
                so_far += entry["amount"]
                if entry["balance"] is not None:
                    openings.add(entry["balance"] - so_far)
            if len(openings) == 1:
                return openings.pop() + so_far
        if any(e["balance"] is None for e in entries):
            return None
        after = Counter(e["balance"] for e in entries) - Counter(e["balance"] - e["amount"] for e in entries)
        return next(iter(after)) if sum(after.values()) == 1 else None

    def balance(self, day: date) -> int | None:
        at, since = day, 0
        while at in self.cells:
            if at in self.anchors:
                return self.anchors[at] + since
            if at not in self.covered or self.moved(at) is None:
                break
            since += self.moved(at)
            at -= timedelta(1)
        at, until = day + timedelta(1), 0
        while at in self.covered and self.moved(at) is not None:
            until += self.moved(at)
            if at in self.anchors:
                return self.anchors[at] - until
            at += timedelta(1)
        return None


def month_rows(accounts: list[Account], days: set[date], entries: list[Row]) -> dict[date, Row]:
    """The months of accounts taken together, on these days and with these entries."""
    months = {d.replace(day=1) for d in days} | {e["day"].replace(day=1) for e in entries}
    return {month: month_row(accounts, days, entries, month) for month in sorted(months)}


def month_row(accounts: list[Account], days: set[date], entries: list[Row], month: date) -> Row:
    inside = sorted(d for d in days if d.replace(day=1) == month)
    booked = [e for e in entries if e["day"].replace(day=1) == month]
    following = (month + timedelta(31)).replace(day=1)

    def total(day: date) -> int | None:
        balances = [account.balance(day) for account in accounts]
        return None if None in balances else sum(balances)

    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        "n_transactions": len(booked),
        "n_alerts": sum(len(e["alerts"]) for e in booked),
        "n_days_covered": len(inside),
        "is_complete": len(inside) == (following - month).days,
    }
    amounts = [e["amount"] for e in booked]
    if not all(account.rests(month) for account in accounts):
        return dict.fromkeys(COLUMNS) | {"n_days_covered": len(inside), "is_complete": False}
    row["total_credit"] = sum(a for a in amounts if a > 0)
    row["total_debit"] = -sum(a for a in amounts if a < 0)
    row["net_flow"] = sum(amounts)
    if inside:
        balances = [total(d) for d in inside]
        row["opening_balance"], row["closing_balance"] = total(inside[0] - timedelta(1)), balances[-1]
        if None not in balances:
            row["minimum_balance"] = min(balances)
            row["n_negative_days"] = sum(b < 0 for b in balances)
            row["average_daily_balance"] = Decimal(sum(balances)) / len(balances)
    return row


def expected_months(statements: list[Row], entries: list[Row], n_accounts: int) -> dict[tuple[int | None, date], Row]:
    accounts = [
        Account([s for s in statements if s["no"] == no], [e for e in entries if e["no"] == no])
        for no in range(n_accounts)
    ]
    found: dict[tuple[int | None, date], Row] = {}
    for no, account in enumerate(accounts):
        found |= {(no, m): row for m, row in month_rows([account], account.covered, account.entries).items()}
    days = set.intersection(*(a.covered for a in accounts))
    together = [e for e in entries if n_accounts == 1 or e["day"] in days]
    return found | {(None, m): row for m, row in month_rows(accounts, days, together).items()}


# --------------------------------------------------------------------------------------------- payloads

CENTS = st.integers(-50_000, 50_000)


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[list[Row], list[Row], int]:
    """Statements and entries of one or two accounts; many consistent, some with holes and contradictions."""
    n_accounts = draw(st.integers(1, 2))
    statements, entries = [], []
    for no in range(n_accounts):
        own_statements, own_entries = draw(accounts(no))
        statements += own_statements
        entries += own_entries
    return statements, entries, n_accounts


@st.composite
def accounts(draw: st.DrawFn, no: int) -> tuple[list[Row], list[Row]]:
    start, balance = FIRST + timedelta(draw(st.integers(0, 20))), draw(CENTS)
    statements, entries = [], []
    for _ in range(draw(st.integers(1, 3))):
        end = start + timedelta(draw(st.integers(0, 40)))
        opening, days = balance, sorted(draw(st.lists(st.integers(-2, (end - start).days + 2), max_size=5)))
        for offset in days:
            amount = draw(CENTS)
            balance += amount
            stated = draw(st.sampled_from([balance, balance, balance, None, balance + 1]))
            known = draw(st.sampled_from([amount] * 9 + [None]))
            alerts = draw(st.sampled_from([[], [], ["a"], ["a", "b"]]))
            day = start + timedelta(offset)
            entries.append({"no": no, "day": day, "amount": known, "balance": stated, "alerts": alerts})
        sb, eb = (draw(st.sampled_from([b, b, b, None])) for b in (opening, balance))
        statements.append({"no": no, "start": start, "end": end, "sb": sb, "eb": eb})
        start = end + timedelta(draw(st.sampled_from([0, 0, 0, 1, 5, 45])))
    order = draw(st.sampled_from(["oldest", "newest", "mixed"]))
    entries = entries[::-1] if order == "newest" else draw(st.permutations(entries)) if order == "mixed" else entries
    return statements, list(entries)


def months_of(statements: list[Row], entries: list[Row], **more: Any) -> dict[tuple[int | None, date], Row]:
    """What tidy makes of it, through the payload; money in cents."""
    found = rows_of(statements, entries, **more)
    return {(row["account_no"], row["month"]): {name: in_cents(row[name]) for name in COLUMNS} for row in found}


def rows_of(statements: list[Row], entries: list[Row], **more: Any) -> list[Row]:
    """Its rows of `monthly_summaries`."""
    summary = [
        {
            "startDate": str(s["start"]),
            "endDate": str(s["end"]),
            "iban": IBANS[s["no"]] if s["no"] is not None else None,
            "startBalance": s["sb"] if s["sb"] is None else s["sb"] / 100,
            "endBalance": s["eb"] if s["eb"] is None else s["eb"] / 100,
        }
        for s in statements
    ]
    transactions = [
        {
            "date": str(e["day"]) if e["day"] else None,
            "amount": e["amount"] if e["amount"] is None else e["amount"] / 100,
            "balance": e["balance"] if e["balance"] is None else e["balance"] / 100,
            "alerts": e["alerts"],
            "iban": IBANS[e["no"]] if e["no"] is not None else None,
            **{name: e[name] for name in more.get("names", ())},
        }
        for e in entries
    ]
    raw = {"summary": summary, "allTransactions": transactions}
    body = json.dumps({"report": {"id": "r1", "source": "bank_xray", "raw": raw}}).encode()
    tidied = tidy([Received(body, FETCHED_AT, "r1")])
    assert tidied.outcomes[0].error is None
    rows: list[Row] = tidied.tables["monthly_summaries"].to_pylist()
    return rows


def in_cents(value: Any) -> Any:
    return value * 100 if isinstance(value, Decimal) else value


@settings(max_examples=250, deadline=None)
@given(ledgers())
def test_months_are_those_of_the_reference(ledger: tuple[list[Row], list[Row], int]) -> None:
    statements, entries, n_accounts = ledger
    found, expected = months_of(statements, entries), expected_months(statements, entries, n_accounts)
    for row in expected.values():
        if row["average_daily_balance"] is not None:
            row["average_daily_balance"] = half_up(row["average_daily_balance"])
    assert found == expected


def half_up(cents: Decimal) -> Decimal:
    """Half upwards in 1/10,000, below zero too."""
    shifted = cents + Decimal(10) ** 12
    return shifted.quantize(Decimal("0.01"), ROUND_HALF_UP) - Decimal(10) ** 12


# --------------------------------------------------------------------------------------------- by hand


def statement(start: str, end: str, sb: int | None, eb: int | None, no: int | None = 0) -> Row:
    return {"no": no, "start": date.fromisoformat(start), "end": date.fromisoformat(end), "sb": sb, "eb": eb}


def entry(day: str, amount: int, balance: int | None = None, no: int | None = 0, **more: Any) -> Row:
    booked = date.fromisoformat(day) if day else None
    return {"no": no, "day": booked, "amount": amount, "balance": balance, "alerts": [], **more}


def test_a_month_by_hand() -> None:
    found = months_of([statement("2021-01-31", "2021-02-28", 1000, 700)], [entry("2021-02-15", -300)])
    assert found[0, date(2021, 2, 1)] == {
        "n_transactions": 1,
        "total_credit": 0,
        "total_debit": 300,
        "net_flow": -300,
        "opening_balance": 1000,
        "closing_balance": 700,
        "minimum_balance": 700,
        "average_daily_balance": Decimal(1000 * 14 + 700 * 14) / 28,
        "n_negative_days": 0,
        "n_days_covered": 28,
        "n_alerts": 0,
        "is_complete": True,
    }
    assert found[None, date(2021, 2, 1)] == found[0, date(2021, 2, 1)]


def test_the_start_day_is_the_previous_closing_day() -> None:
    found = months_of([statement("2021-02-01", "2021-02-28", 0, 0)], [])
    assert [(r["n_days_covered"], r["is_complete"]) for r in found.values()] == [(27, False)] * 2


def test_accounts_together_only_on_days_that_both_cover() -> None:
    statements = [statement("2021-01-31", "2021-02-28", 100, 300), statement("2021-02-14", "2021-02-28", 5, 1, no=1)]
    entries = [entry("2021-02-10", 200), entry("2021-02-20", -4, no=1)]
    found = months_of(statements, entries)[None, date(2021, 2, 1)]
    assert (found["n_transactions"], found["net_flow"], found["n_days_covered"]) == (1, -4, 14)
    assert (found["opening_balance"], found["closing_balance"]) == (305, 301)


def test_accounts_that_cannot_be_told_apart_have_flows_and_no_balances() -> None:
    statements = [
        statement("2021-01-31", "2021-02-28", 100, 100, None),
        statement("2021-01-31", "2021-02-28", 5, 5, None),
    ]
    found = months_of(statements, [entry("2021-02-10", 200, 300, None)])
    assert list(found) == [(None, date(2021, 2, 1))]
    row = found[None, date(2021, 2, 1)]
    assert (row["net_flow"], row["n_days_covered"], row["is_complete"]) == (200, 28, False)
    assert row["opening_balance"] is row["closing_balance"] is row["average_daily_balance"] is None


def test_currencies_are_never_added() -> None:
    entries = [entry("2021-02-10", 200, currency="EUR"), entry("2021-02-11", 100, currency="USD")]
    found = rows_of([statement("2021-01-31", "2021-02-28", 0, 300)], entries, names=["currency"])
    assert [row["account_no"] for row in found] == [0, 0, None, None]
    for row in found:
        assert row["n_transactions"] == 1
        assert in_cents(row["total_credit"]) == {"EUR": 200, "USD": 100}[row["currency"]]
        assert {row[name] for name in COLUMNS if "balance" in name} == {row["unreconciled_amount"]} == {None}


def test_nothing_is_said_where_a_transaction_has_no_day() -> None:
    found = months_of([statement("2021-01-31", "2021-02-28", 100, 300)], [entry("", 200)])
    row = found[0, date(2021, 2, 1)]
    assert row == dict.fromkeys(COLUMNS) | {"n_days_covered": 28, "is_complete": False}


@pytest.mark.parametrize(
    ("balances", "closing"),
    [((110, 130, 160), 160), ((160, 150, 130), 160), ((130, 160, 110), None), ((160, 120, 150), 160)],
)
def test_the_order_within_a_day_is_that_in_which_balances_step(balances: tuple[int, ...], closing: int | None) -> None:
    entries = [entry("2021-02-28", amount, balance) for amount, balance in zip((10, 20, 30), balances, strict=True)]
    found = months_of([statement("2021-01-31", "2021-02-28", None, None)], entries)
    assert found[0, date(2021, 2, 1)]["closing_balance"] == closing
