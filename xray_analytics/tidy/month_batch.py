"""The months of a batch: transactions and statements of many reports as columns, for `months` to sum at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from .accounts import Accounts, Statement
from .months import Array, Days, Flows, Months, Spans, daily_balances, monthly, together

_EPOCH = date(1970, 1, 1).toordinal()
JOINT = np.iinfo(np.int64).max  # stands for "all accounts together", after every account


@dataclass(frozen=True)
class Ledger:
    """The accounts of one report, its statements, and where its transactions are among those of the batch."""

    accounts: Accounts
    statements: Sequence[Statement]
    n_entries: int
    currencies: Sequence[str | None]


@dataclass(frozen=True)
class Entered:
    """The transactions of a batch by column, report after report in payload order; see `Flows`."""

    day: Array
    dated: Array
    amount: Array
    has_amount: Array
    balance: Array
    has_balance: Array
    n_alerts: Array


def months_of(ledgers: Sequence[Ledger], entered: Entered) -> tuple[Array, Array, Months]:
    """Report number, account number (`JOINT`: all together) and the months, sorted by these.

    Accounts count every transaction booked in the month. All accounts of a report together count the days that every
    account covers; of a report whose accounts cannot all be told apart, every transaction, and no balances. Money is
    unknown where it would add different currencies.
    """
    n_accounts = np.array([len(ledger.accounts.rows) for ledger in ledgers], np.int64)
    first = np.cumsum(n_accounts) - n_accounts  # number of each report's first account among all accounts
    report_of = np.repeat(np.arange(len(ledgers)), n_accounts)
    told = np.array([ledger.accounts.told_apart for ledger in ledgers], bool)
    report = np.repeat(np.arange(len(ledgers)), [ledger.n_entries for ledger in ledgers])
    account = np.concatenate([x.accounts.of_entry for x in ledgers]) if ledgers else np.empty(0, np.int64)
    flows = Flows(first[report] + account, *(getattr(entered, name) for name in _FLOW_COLUMNS))
    own = flows.where(entered.dated & (account >= 0))
    lost = np.bincount(flows.ledger[~entered.dated & (account >= 0)], minlength=len(report_of)) > 0
    spans = _spans([(first[r] + no, s) for r, x in enumerate(ledgers) for no, s in _told(x)])
    days = daily_balances(own, spans, _newest_first(own, len(report_of)), lost)
    by_account = monthly(own, days)
    single = told & (n_accounts == 1)  # their months are those of their account
    is_single = single[report_of]
    same = by_account.where(is_single[by_account.ledger])
    joint_days = _joint_days(days.where(~is_single[days.ledger]), report_of, n_accounts, told, ledgers)
    others = entered.dated & ~single[report]
    by_report = Flows(report, *(getattr(entered, name) for name in _FLOW_COLUMNS)).where(others)
    counted = ~told[by_report.ledger] | _is_in(by_report, joint_days)
    joint = monthly(by_report.where(counted), joint_days).joined(replace(same, ledger=report_of[same.ledger]))
    joint.is_complete[~told[joint.ledger]] = False
    mixed = [_mixed(ledger) for ledger in ledgers]
    _forget_money(by_account, np.array([no in mixed[r] for r, n in enumerate(n_accounts) for no in range(n)], bool))
    _forget_money(joint, np.array([JOINT in one for one in mixed], bool))
    return _stack(by_account, joint, report_of, first)


_FLOW_COLUMNS = ("day", "amount", "has_amount", "balance", "has_balance", "n_alerts")


def _told(ledger: Ledger) -> list[tuple[int, Statement]]:
    pairs = zip(ledger.accounts.of_statement, ledger.statements, strict=True)
    return [(no, statement) for no, statement in pairs if no is not None]


def _spans(statements: Sequence[tuple[int, Statement]], *, balances: bool = True) -> Spans:
    dated = [(no, s) for no, s in statements if s.start_date is not None and s.end_date is not None]
    starts, ends = [s.start_balance for _, s in dated], [s.end_balance for _, s in dated]
    return Spans(
        np.array([no for no, _ in dated], np.int64),
        np.array([s.start_date.toordinal() - _EPOCH for _, s in dated if s.start_date], np.int64),
        np.array([s.end_date.toordinal() - _EPOCH for _, s in dated if s.end_date], np.int64),
        np.array([b or 0 for b in starts], np.int64),
        np.array([balances and b is not None for b in starts], bool),
        np.array([b or 0 for b in ends], np.int64),
        np.array([balances and b is not None for b in ends], bool),
    )


def _newest_first(flows: Flows, n: int) -> Array:
    """By account: whether its first transaction of the payload is later than its last."""
    first, last = np.zeros(n, np.int64), np.zeros(n, np.int64)
    first[flows.ledger[::-1]] = flows.day[::-1]  # of several values for one account, the last written stays
    last[flows.ledger] = flows.day
    newest: Array = first > last
    return newest


def _joint_days(days: Days, report_of: Array, n_accounts: Array, told: Array, ledgers: Sequence[Ledger]) -> Days:
    """By report: days that all accounts cover; where accounts are not told apart, that some statement covers."""
    shared = together(days.where(told[report_of[days.ledger]]), report_of, n_accounts)
    unclear = [(r, s) for r, ledger in enumerate(ledgers) if not told[r] for s in ledger.statements]
    if not unclear:
        return shared
    none, nothing = np.empty(0, np.int64), np.empty(0, bool)
    no_flows = Flows(none, none, none, nothing, none, nothing, none)
    flags = np.zeros(len(ledgers), bool)
    return shared.joined(daily_balances(no_flows, _spans(unclear, balances=False), flags, flags))


def _is_in(flows: Flows, days: Days) -> Array:
    span = 1 << 32
    return np.isin(flows.ledger * span + flows.day, days.ledger * span + days.day)


def _mixed(ledger: Ledger) -> set[int]:
    """Accounts whose transactions are in several currencies, `JOINT` among them where those of the report are."""
    if len(set(ledger.currencies) - {None}) < 2:
        return set()
    numbers_of = ledger.accounts.of_entry.tolist()
    pairs = {(no, c) for no, c in zip(numbers_of, ledger.currencies, strict=True) if c is not None}
    numbers = [no for no, _ in pairs]
    return {JOINT} | {no for no in numbers if no >= 0 and numbers.count(no) > 1}


def _forget_money(months: Months, mixed: Array) -> None:
    at = mixed[months.ledger] if len(months.ledger) else np.empty(0, bool)
    for known in (months.flows_known, months.opening_known, months.closing_known, months.balances_known):
        known[at] = False


def _stack(by_account: Months, joint: Months, report_of: Array, first: Array) -> tuple[Array, Array, Months]:
    report = np.concatenate([report_of[by_account.ledger], joint.ledger])
    own = by_account.ledger - first[report_of[by_account.ledger]]
    account = np.concatenate([own, np.full(len(joint.ledger), JOINT)])
    months = by_account.joined(joint)
    order = np.lexsort((months.month, account, report))
    return report[order], account[order], months.where(order)
