"""Proof of a layout: what the statements of a report say about the transactions that were read, to the cent.

Six checks, each made only where all of its operands are known: a statement's start and its transactions give its end;
credits and debits are its totals; balances step by amounts; a statement begins where the one before ended; and days lie
inside their statement.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ...tidy.accounts import Statement
from ...tidy.rows import Product

CHECKS = ("balance", "credits", "debits", "steps", "chain", "days")
Array = np.ndarray[Any, Any]


@dataclass
class Proof:
    """How many checks were made and how many failed, by name, and over how many statements."""

    made: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    n_statements: int = 0
    n_reports: int = 0
    worst: dict[str, int] = field(default_factory=dict)  # by how much a check fails at first, in units of 1/10,000

    @property
    def share(self) -> float:
        """The share of the checks made that hold."""
        made = self.made.total()
        return 1 - self.failed.total() / made if made else 0.0

    def note(self, check: str, difference: int) -> None:
        """Count a check, which holds where nothing differs."""
        self.made[check] += 1
        if difference:
            self.failed[check] += 1
            self.worst.setdefault(check, difference)


def prove(products: Iterable[Product]) -> Proof:
    """All checks on some reports."""
    proof = Proof()
    for product in products:
        proof.n_reports += 1
        if product.entries is not None:
            _prove(product, proof)
    return proof


def _prove(product: Product, proof: Proof) -> None:
    entries, statements = product.entries, product.statements
    if entries is None:
        return
    amounts, known = entries.units["amount"]
    days = entries.columns["booked_date"].cast(pa.int32()).fill_null(-1).to_numpy()
    balances = entries.units["balance_after"]
    of_statement = _entries_of(entries.named["statement_id"], days, statements)
    for statement, mine in zip(statements, of_statement, strict=True):
        if mine is None:
            continue
        before = proof.made.total()
        if known[mine].all():
            _sums(statement, amounts[mine], proof)
            _steps(amounts[mine], balances[0][mine], balances[1][mine], proof)
        _days(statement, days[mine], proof)
        proof.n_statements += proof.made.total() > before
    _chain(statements, proof)


def _entries_of(named: Sequence[str | None], days: Array, statements: Sequence[Statement]) -> list[Array | None]:
    """The positions of each statement's transactions: by the id they name, else by day where no statements overlap."""
    ids = [s.statement_id for s in statements]
    if None not in ids and len({*ids}) == len(ids) and {*named} <= {*ids}:
        places: dict[str | None, list[int]] = defaultdict(list)
        for at, one in enumerate(named):
            places[one].append(at)
        return [np.array(places[one], np.int64) for one in ids]
    spans = [(_ordinal(s.start_date), _ordinal(s.end_date)) for s in statements]
    whole = sorted((a, b) for a, b in spans if a is not None and b is not None)
    overlap = any(first[1] > second[0] for first, second in pairwise(whole))
    if overlap or len(whole) < len(spans):
        return [None] * len(statements)
    return [np.flatnonzero((days > a) & (days <= b)) if a is not None and b is not None else None for a, b in spans]


def _ordinal(day: Any) -> int | None:
    return None if day is None else day.toordinal() - 719_163


def _sums(statement: Statement, amounts: Array, proof: Proof) -> None:
    if statement.start_balance is not None and statement.end_balance is not None:
        proof.note("balance", statement.start_balance + int(amounts.sum()) - statement.end_balance)
    if statement.total_credit is not None:
        proof.note("credits", int(amounts[amounts > 0].sum()) - statement.total_credit)
    if statement.total_debit is not None:
        proof.note("debits", -int(amounts[amounts < 0].sum()) - statement.total_debit)


def _steps(amounts: Array, balances: Array, known: Array, proof: Proof) -> None:
    """Oldest first or newest first, whichever steps better."""
    if len(amounts) < 2 or not known.all():
        return
    forward = np.diff(balances) - amounts[1:]
    backward = np.diff(balances) + amounts[:-1]
    best = min((forward, backward), key=np.count_nonzero)
    proof.note("steps", int(best[np.flatnonzero(best)[0]]) if best.any() else 0)


def _days(statement: Statement, days: Array, proof: Proof) -> None:
    first, last = _ordinal(statement.start_date), _ordinal(statement.end_date)
    if first is None or last is None or not len(days) or (days < 0).any():
        return
    outside = np.count_nonzero((days <= first) | (days > last))
    proof.note("days", int(outside))


def _chain(statements: Sequence[Statement], proof: Proof) -> None:
    """A statement that begins on the day another of its account ended begins with the balance that one ended with."""
    ends: dict[tuple[Any, Any], list[int]] = defaultdict(list)
    for s in statements:
        if s.end_balance is not None:
            ends[s.iban, s.end_date].append(s.end_balance)
    for s in statements:
        before = ends.get((s.iban, s.start_date), [])
        if before and s.start_balance is not None and s.start_date is not None and s.start_date != s.end_date:
            proof.note("chain", 0 if s.start_balance in before else s.start_balance - before[0])
