"""Months of accounts: flows by booking day, balances by the end of each covered day; integers of 1/10,000 only.

A statement covers the days after its `start_date`, the previous closing day, up to its `end_date`. The balance at the
end of a day comes from the balances its transactions state; else from the nearest statement balance or stated balance
before it (after it where there is none before) and the transactions between, as long as the days between are covered.
What a month rests on, where not on transactions that can all be read, is decided in `basis`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

Array = np.ndarray[Any, Any]
LONGEST_STATEMENT_DAYS = 3_660
_DAYS = 1 << 23  # more days than the calendar of ISO 8601 has: a group and a day fit one sortable integer
_EPOCH = 1 << 22
_LOW, _HIGH = np.iinfo(np.int64).min, np.iinfo(np.int64).max
NOTHING, STATEMENT, ENTRIES = 0, 1, 2  # what a month rests on, the weakest first


@dataclass(frozen=True)
class Flows:
    """Transactions as columns: ledger, booking day (days since 1970), amount, stated balance, number of alerts."""

    ledger: Array
    day: Array
    amount: Array
    has_amount: Array
    balance: Array
    has_balance: Array
    n_alerts: Array

    def where(self, chosen: Array) -> Flows:
        """Those chosen, by mask or by position."""
        return _chosen(self, chosen)

    def joined(self, other: Flows) -> Flows:
        """Both, one after the other."""
        return _concatenated(self, other)

    def sorted(self) -> Flows:
        """By ledger and day, in payload order within a day."""
        return self.where(_order(keys_of(self.ledger, self.day)))


@dataclass(frozen=True)
class Spans:
    """Statements as columns: number in the batch, ledger, start and end day, balances there, totals, has it a basis."""

    number: Array
    ledger: Array
    start: Array
    end: Array
    start_balance: Array
    has_start: Array
    end_balance: Array
    has_end: Array
    total_credit: Array
    has_credit: Array
    total_debit: Array
    has_debit: Array
    has_basis: Array

    def where(self, chosen: Array) -> Spans:
        """Those chosen, by mask or by position."""
        return _chosen(self, chosen)

    def joined(self, other: Spans) -> Spans:
        """Both, one after the other."""
        return _concatenated(self, other)


@dataclass(frozen=True)
class Days:
    """Covered days as columns, sorted: ledger, day, has it a basis, balances at its end and that of the day before."""

    ledger: Array
    day: Array
    has_basis: Array
    balance: Array
    known: Array
    before: Array
    before_known: Array

    def where(self, chosen: Array) -> Days:
        """Those chosen, by mask or by position."""
        return _chosen(self, chosen)

    def joined(self, other: Days) -> Days:
        """Both, sorted."""
        both = _concatenated(self, other)
        return both.where(np.lexsort((both.day, both.ledger)))


@dataclass(frozen=True)
class Months:
    """Months as columns, sorted by ledger and month (months since 1970-01); money in units of 1/10,000.

    `basis` is one of `NOTHING`, `STATEMENT` and `ENTRIES`; what it does not carry is zero.
    """

    ledger: Array
    month: Array
    basis: Array
    n_transactions: Array
    total_credit: Array
    total_debit: Array
    opening_balance: Array
    opening_known: Array
    closing_balance: Array
    closing_known: Array
    minimum_balance: Array
    average_daily_balance: Array
    n_negative_days: Array
    balances_known: Array
    n_days_covered: Array
    n_alerts: Array
    is_covered: Array
    unreconciled: Array
    unreconciled_known: Array

    def where(self, chosen: Array) -> Months:
        """Those chosen, by mask or by position."""
        return _chosen(self, chosen)

    def joined(self, other: Months) -> Months:
        """Both, one after the other."""
        return _concatenated(self, other)


C = TypeVar("C", Flows, Spans, Days, Months)


def _chosen(columns: C, chosen: Array) -> C:
    return type(columns)(*(getattr(columns, f.name)[chosen] for f in fields(columns)))


def _concatenated(a: C, b: C) -> C:
    return type(a)(*(np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(a)))


def month_of(day: Array) -> Array:
    """Months since 1970-01 of days since 1970-01-01."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def first_day_of(month: Array) -> Array:
    """Days since 1970-01-01 of the first day of months since 1970-01."""
    return month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


# ------------------------------------------------------------------------------------------------ days


def daily_balances(flows: Flows, spans: Spans, newest_first: Array, undated: Array) -> Days:
    """The covered days of each ledger and the balances at their ends.

    Parameters
    ----------
    flows
        In payload order.
    spans
        In any order; those without both days left out.
    newest_first
        By ledger: whether its payload runs from the newest day to the oldest; decides between two possible orders
        within a day.
    undated
        By ledger: whether some transaction has no day, so that no balance can be carried from one day to another.
    """
    key, covered, has_basis, anchor, anchored = _cells(spans)
    day_key, total, n_unknown, closing, resolved = _day_closings(flows, newest_first)
    at = np.searchsorted(key, day_key)
    on_cell = (at < len(key)) & (key[np.minimum(at, len(key) - 1)] == day_key) if len(key) else np.zeros(len(at), bool)
    at, total, n_unknown = at[on_cell], total[on_cell], n_unknown[on_cell]
    stated = at[resolved[on_cell]]
    anchor[stated], anchored[stated] = closing[on_cell][resolved[on_cell]], True
    moved, doubt = np.zeros(len(key), np.int64), np.zeros(len(key), np.int64)
    moved[at], doubt[at] = total, n_unknown
    doubt += undated[key // _DAYS]
    balance, known = _carry(key // _DAYS, covered, (anchor, anchored), np.cumsum(moved), np.cumsum(doubt))
    inside = np.flatnonzero(covered)
    ledger, day = np.divmod(key[inside], _DAYS)
    columns = (has_basis[inside], balance[inside], known[inside], balance[inside - 1], known[inside - 1])
    return Days(ledger, day - _EPOCH, *columns)


def _cells(spans: Spans) -> tuple[Array, Array, Array, Array, Array]:
    """Every day from the start of each statement to its end.

    Key, whether it is covered, whether every statement that covers it has a basis, statement balance, whether given.
    The day before a covered day is always there, at the position before it.
    """
    n_days = np.maximum(spans.end - spans.start + 1, 0)
    first = np.repeat(np.cumsum(n_days) - n_days, n_days)
    offset = np.arange(n_days.sum()) - first
    state = (offset > 0) * (2 + ~np.repeat(spans.has_basis, n_days))  # 2 covered, 3 covered without a basis
    days = keys_of(np.repeat(spans.ledger, n_days), np.repeat(spans.start, n_days) + offset) * 4 + state
    days.sort(kind="stable")
    last = np.flatnonzero(np.diff(days // 4, append=-1))
    key, covered, has_basis = days[last] // 4, days[last] % 4 >= 2, days[last] % 4 == 2
    anchor, anchored = np.zeros(len(key), np.int64), np.zeros(len(key), bool)
    real = n_days > 0
    for day, balance, has in (
        (spans.start, spans.start_balance, spans.has_start),
        (spans.end, spans.end_balance, spans.has_end),
    ):
        at = np.searchsorted(key, keys_of(spans.ledger, day)[real & has])
        anchor[at], anchored[at] = balance[real & has], True
    return key, covered, has_basis, anchor, anchored


def keys_of(ledger: Array, day: Array) -> Array:
    """A sortable number for a ledger and a day, or a ledger and a month."""
    return ledger.astype(np.int64) * _DAYS + day + _EPOCH


def _order(key: Array) -> Any:
    """What puts keys in order; payloads mostly are, and all of them as they are cost no copy."""
    return slice(None) if (key[1:] >= key[:-1]).all() else np.argsort(key, kind="stable")


def _day_closings(flows: Flows, newest_first: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Days with transactions: key, sum of amounts, how many amounts are unknown, stated closing, whether it is known.

    The order of the payload is not documented. If the balances of a day step in payload order, the closing balance
    is that of the last transaction; if they step in the reverse order, that of the first; else the one balance that
    no other transaction starts from.
    """
    key = keys_of(flows.ledger, flows.day)
    order = _order(key)
    flows, key = flows.where(order), key[order]
    if not len(key):
        empty = np.empty(0, np.int64)
        return empty, empty, empty, empty, empty.astype(bool)
    start = np.flatnonzero(np.diff(key, prepend=-1))
    size = np.diff(start, append=len(key))
    amount = np.where(flows.has_amount, flows.amount, 0)
    total = np.add.reduceat(amount, start)
    n_unknown = np.add.reduceat((~flows.has_amount).astype(np.int64), start)
    running = np.cumsum(amount)
    after = np.repeat(running[start + size - 1], size) - running  # what the rest of the day adds, in payload order
    upwards, up = _agreed(flows.balance + after, flows.has_balance, start)
    downwards, down = _agreed(flows.balance - after - amount + np.repeat(total, size), flows.has_balance, start)
    prefer_down = down & (newest_first[flows.ledger[start]] | ~up)
    closing, resolved = np.where(prefer_down, downwards, upwards), (up | down) & (n_unknown == 0)
    n_stated = np.add.reduceat(flows.has_balance.astype(np.int64), start)
    for at in np.flatnonzero(~resolved & (n_unknown == 0) & (n_stated == size)):
        rows = slice(start[at], start[at] + size[at])
        end = _end_of_chain(flows.balance[rows], flows.amount[rows])
        if end is not None:
            closing[at], resolved[at] = end, True
    return key[start], total, n_unknown, closing, resolved


def _agreed(candidate: Array, has: Array, start: Array) -> tuple[Array, Array]:
    """The closing balance that all stated balances of a day lead to, and whether they do."""
    low = np.minimum.reduceat(np.where(has, candidate, _HIGH), start)
    high = np.maximum.reduceat(np.where(has, candidate, _LOW), start)
    return low, low == high


def _end_of_chain(balances: Array, amounts: Array) -> int | None:
    """The one balance after a transaction from which no other transaction of the day starts."""
    left = Counter(balances.tolist())
    left.subtract((balances - amounts).tolist())
    ends = [balance for balance, n in left.items() if n > 0]
    return ends[0] if len(ends) == 1 and left[ends[0]] == 1 else None


def _carry(
    ledger: Array, covered: Array, anchors: tuple[Array, Array], running: Array, doubts: Array
) -> tuple[Array, Array]:
    """Balances of all cells from the nearest anchor before, else after, within days covered without a gap."""
    anchor, anchored = anchors
    n = len(anchor)
    stretch = np.cumsum(~covered)  # a day that is not covered can only start one
    position = np.arange(n)
    before = np.maximum.accumulate(np.where(anchored, position, -1)) if n else position
    after = np.minimum.accumulate(np.where(anchored, position, n)[::-1])[::-1] if n else position
    balance, known = np.zeros(n, np.int64), np.zeros(n, bool)
    for source, inside in ((after, after < n), (before, before >= 0)):
        at = np.where(inside, source, position)
        sure = inside & (stretch[at] == stretch) & (ledger[at] == ledger) & (doubts[at] == doubts)
        balance = np.where(sure, anchor[at] + running - running[at], balance)
        known |= sure
    return balance, known


def together(days: Days, group_of: Array, n_ledgers: Array) -> Days:
    """Days that every ledger of a group covers, with the sums of the balances; groups become the ledgers."""
    key = keys_of(group_of[days.ledger], days.day)
    order = np.argsort(key, kind="stable")
    key = key[order]
    start = np.flatnonzero(np.diff(key, prepend=-1))
    size = np.diff(start, append=len(key))
    ledger, day = np.divmod(key[start], _DAYS)
    if not len(start):
        return days
    sums = [np.add.reduceat(values[order], start) for values in (days.balance, days.before)]
    flags = (days.has_basis, days.known, days.before_known)
    has_basis, *knowns = (np.logical_and.reduceat(values[order], start) for values in flags)
    full = size == n_ledgers[ledger]
    columns = (ledger, day - _EPOCH, has_basis, sums[0], knowns[0], sums[1], knowns[1])
    return Days(*(column[full] for column in columns))


# ------------------------------------------------------------------------------------------------ months


def monthly(flows: Flows, days: Days) -> Months:
    """One row per ledger and month in which a day is covered or a transaction is booked.

    It rests on entries where every covered day has a basis and every transaction an amount, else on nothing.
    """
    flow_key, day_key = (keys_of(x.ledger, month_of(x.day)) for x in (flows, days))
    key = np.sort(np.concatenate([flow_key, day_key]), kind="stable")  # both mostly sorted, and merged at that
    key = key[np.diff(key, prepend=-1) != 0]
    ledger, month = np.divmod(key, _DAYS)
    month -= _EPOCH
    order = _order(flow_key)
    flows, at = flows.where(order), np.searchsorted(key, flow_key[order])
    amount = np.where(flows.has_amount, flows.amount, 0)
    n = len(key)
    credit, debit = _sums(at, np.maximum(amount, 0), n), _sums(at, np.maximum(-amount, 0), n)
    doubts = _sums(at, (~flows.has_amount).astype(np.int64), n)
    at_days = np.searchsorted(key, day_key)
    doubts += np.bincount(at_days[~days.has_basis], minlength=n)
    balances = _month_balances(days, at_days, n)
    return Months(
        ledger=ledger,
        month=month,
        basis=np.where(doubts == 0, ENTRIES, NOTHING),
        n_transactions=np.bincount(at, minlength=n),
        total_credit=credit,
        total_debit=debit,
        n_alerts=_sums(at, flows.n_alerts, n),
        is_covered=balances["n_days_covered"] == first_day_of(month + 1) - first_day_of(month),
        unreconciled=np.zeros(n, np.int64),
        unreconciled_known=np.zeros(n, bool),
        **balances,
    )


def _sums(at: Array, values: Array, n: int) -> Array:
    """Sums of sorted groups, exact."""
    sums = np.zeros(n, np.int64)
    if len(at):
        start = np.flatnonzero(np.diff(at, prepend=-1))
        sums[at[start]] = np.add.reduceat(values, start)
    return sums


def _month_balances(days: Days, at: Array, n: int) -> dict[str, Array]:
    """What the covered days say of each month; zero and not known where a month has none."""
    start = np.flatnonzero(np.diff(at, prepend=-1))
    rows, size = at[start], np.diff(start, append=len(at))
    last = start + size - 1

    def spread(values: Array) -> Array:
        column = np.zeros(n, values.dtype)
        column[rows] = values
        return column

    empty = np.empty(0, np.int64)
    return {
        "opening_balance": spread(days.before[start]),
        "opening_known": spread(days.before_known[start]),
        "closing_balance": spread(days.balance[last]),
        "closing_known": spread(days.known[last]),
        "balances_known": spread(np.logical_and.reduceat(days.known, start) if len(start) else empty.astype(bool)),
        "minimum_balance": spread(np.minimum.reduceat(days.balance, start) if len(start) else empty),
        "average_daily_balance": spread(_means(days.balance, start, size) if len(start) else empty),
        "n_negative_days": spread(np.add.reduceat((days.balance < 0).astype(np.int64), start) if len(start) else empty),
        "n_days_covered": spread(size),
    }


def _means(values: Array, start: Array, size: Array) -> Array:
    """Means of groups in whole units, half upwards; each value is divided first, so that no sum overflows."""
    whole, rest = np.divmod(values, np.repeat(size, size))
    whole, rest = np.add.reduceat(whole, start), np.add.reduceat(rest, start)
    means: Array = whole + (2 * rest + size) // (2 * size)
    return means
