"""Contradictions: what a report itself says against the way it was read; sums are right or wrong, days lie in or out.

A report may be wrong by itself. What is looked for here is systematic: amounts a hundred times too large, signs that
are turned round or missing, days that are all shifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from ..schema import MONEY_UNIT
from .accounts import Statement
from .transactions import Entries

_EPOCH = date(1970, 1, 1).toordinal()
FEWEST = 5  # transactions: below, a coincidence says nothing
MANY = 25  # amounts that are all whole are no coincidence


def doubt(entries: Entries, statements: Sequence[Statement]) -> str | None:
    """What contradicts the reading, as a short sentence; None where nothing does or nothing can be compared."""
    amounts, known = entries.units["amount"]
    if entries.n < FEWEST or not known.all():
        return None
    if entries.n >= MANY and not (amounts % MONEY_UNIT).any() and _are_whole(statements):
        return "every amount is a whole number, as cents are"
    moved = _moved(statements)
    if moved is None:
        return None
    total = int(amounts.sum())
    if total != moved:
        return _of_sums(total, moved, amounts)
    return (
        "days lie outside the statements, as where midnights are of another zone"
        if _outside(entries, statements)
        else None
    )


def _of_sums(total: int, moved: int, amounts: np.ndarray) -> str | None:
    if moved and total in (100 * moved, -100 * moved):
        return "amounts move balances by a hundredth of what they say, as cents do"
    if moved and total == -moved:
        return "amounts move balances the other way"
    if (amounts >= 0).all() and moved < total:
        return "no amount is below zero, though balances fell"
    return None


def _moved(statements: Sequence[Statement]) -> int | None:
    """What the statements say that their transactions add up to."""
    pairs = [(s.start_balance, s.end_balance) for s in statements]
    if not pairs or any(start is None or end is None for start, end in pairs):
        return None
    return sum(end - start for start, end in pairs if start is not None and end is not None)


def _are_whole(statements: Sequence[Statement]) -> bool:
    money = [m for s in statements for m in (s.start_balance, s.end_balance, s.total_credit, s.total_debit)]
    return not any(m % MONEY_UNIT for m in money if m is not None)


def _outside(entries: Entries, statements: Sequence[Statement]) -> bool:
    """Whether transactions are booked on days outside their statement, or outside all of them where they name none."""
    spans = [(_day(s.start_date), _day(s.end_date)) for s in statements if s.start_date and s.end_date]
    booked = entries.columns["booked_date"]
    if len(spans) < len(statements) or booked.null_count:
        return False
    days = booked.cast(pa.int32()).to_numpy()
    by_id = dict(zip((s.statement_id for s in statements), spans, strict=True))
    if len(by_id) == len(spans) and None not in by_id and by_id.keys() >= {*entries.named["statement_id"]}:
        firsts, lasts = zip(*map(by_id.__getitem__, entries.named["statement_id"]), strict=True)
        return bool(((days <= firsts) | (days > lasts)).any())
    return bool(days.min() <= min(first for first, _ in spans) or days.max() > max(last for _, last in spans))


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH
