"""What a month rests on: transactions that can all be read, else the statement's own totals, else nothing.

Unknown is not zero: an account whose list of transactions is missing did not stand still. A statement has a basis when
it has transactions and each of them has an amount and a day; without transactions when its totals say that nothing
moved, or, where it has no totals, its balances do. A month of days that all have one rests on entries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from .months import ENTRIES, NOTHING, STATEMENT, Array, Flows, Months, Spans, first_day_of, keys_of, month_of


@dataclass(frozen=True)
class Moved:
    """What the transactions on the days of each statement come to; `n_unread` of them have no amount."""

    n: Array
    n_unread: Array
    credit: Array
    debit: Array

    def where(self, chosen: Array) -> Moved:
        """Those chosen, by mask or by position."""
        return Moved(self.n[chosen], self.n_unread[chosen], self.credit[chosen], self.debit[chosen])


def moved_within(flows: Flows, spans: Spans) -> Moved:
    """Count and add up the transactions of each statement's days; `flows` are sorted by ledger and day."""
    key = keys_of(flows.ledger, flows.day)
    ends = (keys_of(spans.ledger, day) for day in (spans.start, np.maximum(spans.start, spans.end)))
    low, high = (np.searchsorted(key, end, "right") for end in ends)
    amount = np.where(flows.has_amount, flows.amount, 0)

    def within(values: Array) -> Array:
        running = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
        sums: Array = running[high] - running[low]
        return sums

    n_unread = np.zeros(len(low), np.int64) if flows.has_amount.all() else within(~flows.has_amount)
    return Moved(high - low, n_unread, within(np.maximum(amount, 0)), within(np.maximum(-amount, 0)))


def has_basis(spans: Spans, moved: Moved) -> Array:
    """Whether the days of each statement rest on something, its transactions without a day left aside."""
    none_moved = spans.has_credit & spans.has_debit & (spans.total_credit == 0) & (spans.total_debit == 0)
    without_totals = ~spans.has_credit & ~spans.has_debit
    stood_still = spans.has_start & spans.has_end & (spans.start_balance == spans.end_balance)
    supported: Array = ((moved.n > 0) | none_moved | (without_totals & stood_still)) & (moved.n_unread == 0)
    return supported


# ------------------------------------------------------------------------------------------------ totals


def rest_on_statements(months: Months, spans: Spans) -> Months:
    """Months that rest on nothing get the totals of the statements that cover exactly them, where there are such."""
    if (months.basis != NOTHING).all():
        return months
    ledger, month, stated = _whole_months(spans)
    at = np.searchsorted(keys_of(months.ledger, months.month), keys_of(ledger, month))
    is_wanted = months.basis[at] == NOTHING
    at, stated = at[is_wanted], stated.where(is_wanted)
    values = {name: getattr(months, name).copy() for name in ("basis", "total_credit", "total_debit", *_BALANCES)}
    values["basis"][at] = STATEMENT
    for name, found in (
        ("total_credit", stated.total_credit), ("total_debit", stated.total_debit),
        ("opening_balance", stated.start_balance), ("opening_known", stated.has_start),
        ("closing_balance", stated.end_balance), ("closing_known", stated.has_end),
    ):  # fmt: skip
        values[name][at] = found
    return replace(months, **values)


_BALANCES = ("opening_balance", "opening_known", "closing_balance", "closing_known")


def _whole_months(spans: Spans) -> tuple[Array, Array, Spans]:
    """Ledger, month, and the sum of the statements, where those inside the month follow each other and fill it.

    The same statement given twice is one.
    """
    month = month_of(spans.end)
    inside = (spans.start < spans.end) & (spans.start >= first_day_of(month) - 1)
    spans, month = spans.where(inside), month[inside]
    order = np.lexsort((spans.total_debit, spans.total_credit, spans.end, spans.start, spans.ledger))
    spans, month = spans.where(order), month[order]
    values = np.stack([spans.ledger, spans.start, spans.end, spans.total_credit, spans.total_debit])
    is_new = np.append(True, (np.diff(values) != 0).any(axis=0))[: len(month)]
    spans, month = spans.where(is_new), month[is_new]
    if not len(month):
        return month, month, spans
    first = np.flatnonzero(np.diff(keys_of(spans.ledger, month), prepend=-1))
    last = np.append(first[1:], len(month)) - 1
    follows = spans.start == np.roll(spans.end, 1)
    follows[first] = spans.start[first] == first_day_of(month[first]) - 1
    follows[last] &= spans.end[last] == first_day_of(month[last] + 1) - 1
    fills = np.logical_and.reduceat(follows & spans.has_credit & spans.has_debit, first)
    whole = replace(
        spans.where(first),
        total_credit=np.add.reduceat(spans.total_credit, first), total_debit=np.add.reduceat(spans.total_debit, first),
        end_balance=spans.end_balance[last], has_end=spans.has_end[last],
    )  # fmt: skip
    return spans.ledger[first][fills], month[first][fills], whole.where(fills)


# ------------------------------------------------------------------------------------------------ what is left over


def with_unreconciled(months: Months, spans: Spans, moved: Moved) -> Months:
    """Months with what separates their transactions from the totals of their statements, by days; half to even.

    Unknown where a statement lacks a total, or where there is none; nothing where the totals are what is shown.
    """
    is_real = spans.start < spans.end
    spans, moved = spans.where(is_real), moved.where(is_real)
    first, last = month_of(spans.start + 1), month_of(spans.end)
    n_months = last - first + 1
    span = np.repeat(np.arange(len(first)), n_months)
    month = first[span] + np.arange(len(span)) - np.repeat(np.cumsum(n_months) - n_months, n_months)
    at = np.searchsorted(keys_of(months.ledger, months.month), keys_of(spans.ledger[span], month))
    gap = np.abs(moved.credit - spans.total_credit) + np.abs(moved.debit - spans.total_debit)
    is_total = spans.has_credit & spans.has_debit
    amount, known = np.zeros(len(months.ledger), np.int64), np.zeros(len(months.ledger), bool)
    known[at] = True
    known[at[~is_total[span]]] = False
    has_gap = (gap * is_total)[span] > 0
    for place, units in _shared(at[has_gap], span[has_gap], month[has_gap], (spans, gap)).items():
        amount[place] = round(units)  # half to even
    shown = months.basis == ENTRIES
    known = (shown & known) | (months.basis == STATEMENT)
    return replace(months, unreconciled=np.where(shown, amount, 0), unreconciled_known=known)


def _shared(at: Array, span: Array, month: Array, gaps: tuple[Spans, Array]) -> dict[int, Fraction]:
    """The gap of each statement by month, each getting the share of its days."""
    spans, gap = gaps
    start, end = spans.start[span], spans.end[span]
    days = np.minimum(end, first_day_of(month + 1) - 1) - np.maximum(start, first_day_of(month) - 1)
    shares: dict[int, Fraction] = {}
    for place, units, n, of in zip(at.tolist(), gap[span].tolist(), days.tolist(), (end - start).tolist(), strict=True):
        shares[place] = shares.get(place, Fraction(0)) + Fraction(units * n, of)
    return shares
