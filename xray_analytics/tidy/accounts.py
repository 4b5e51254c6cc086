"""Accounts: which account each statement and each transaction belongs to, by evidence and never by guess."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", re.ASCII)


class Statement(NamedTuple):
    """One element of `summary`, in the order of its table; balances in units of 1/10,000."""

    statement_id: str | None
    start_date: date | None
    end_date: date | None
    bic: str | None
    iban: str | None
    page_count: int | None
    start_balance: int | None
    end_balance: int | None
    total_credit: int | None
    total_debit: int | None
    movements: str | None
    extra: str | None


class Account(NamedTuple):
    """One row of `accounts`, without the key of its report."""

    account_no: int
    iban: str | None
    basis: str
    n_statements: int
    start_date: date | None
    end_date: date | None


@dataclass(frozen=True)
class Accounts:
    """The accounts of a report, and the number of the account of each statement and transaction.

    Unknown is None for a statement, and -1 in `of_entry`.
    """

    rows: list[Account] = field(default_factory=list)
    of_statement: list[int | None] = field(default_factory=list)
    of_entry: Array = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def told_apart(self) -> bool:
        """Whether every statement and every transaction has its account."""
        return None not in self.of_statement and not (self.of_entry < 0).any()


def tell_apart(
    statements: Sequence[Statement], account_ids: Sequence[str | None], statement_ids: Sequence[str | None]
) -> Accounts:
    """Tell the accounts of a report apart.

    Statements belong together when they name the same IBAN, when their transactions name the same account, or when
    one ends on the day and with the balance with which exactly one other starts. All that is left is one account as
    long as no two statements cover the same day; where they do, a statement that nothing ties to others has no
    account. A transaction has the account it names, else that of the statement it names (as long as statement ids are
    unique), else the only one there is.

    Parameters
    ----------
    statements
        The statements of the report.
    account_ids, statement_ids
        What each transaction names, None where it names nothing.
    """
    named = {_key(s.iban) for s in statements if s.iban} | {_key(a) for a in set(account_ids) if a}
    if len(named) == 1 and statements and not _overlap(statements):
        rows = [_row(0, named.pop(), "iban", range(len(statements)), statements)]
        return Accounts(rows, [0] * len(statements), np.zeros(len(account_ids), np.int64))
    names = _names(statements, account_ids, statement_ids)
    accounts = _accounts(statements, names, _groups(statements, names))
    numbers = {name: no for no, (name, _, _) in enumerate(accounts) if name}
    for name in sorted({_key(a) for a in set(account_ids) if a} - numbers.keys()):
        if len(accounts) == 1 and len(numbers) <= 1 and _one_of_two_words(accounts[0][0], name):
            accounts[0] = (accounts[0][0] or name, "iban", accounts[0][2])
            numbers[name] = 0
        else:
            numbers[name] = len(accounts)
            accounts.append((name, "iban", []))
    if not accounts and not statements and account_ids:
        accounts = [(None, "assumed single", [])]
    of_statement: list[int | None] = [None] * len(statements)
    for no, (_, _, members) in enumerate(accounts):
        for member in members:
            of_statement[member] = no
    rows = [_row(no, *account, statements) for no, account in enumerate(accounts)]
    if len(rows) == 1 and None not in of_statement:
        return Accounts(rows, of_statement, np.zeros(len(account_ids), np.int64))
    return Accounts(rows, of_statement, _of_entries(statements, of_statement, numbers, account_ids, statement_ids))


_Group = tuple[str | None, str, list[int]]  # key, basis, positions of its statements


def _one_of_two_words(name: str | None, other: str) -> bool:
    """Whether two names may mean one account: a report may give its IBAN here and its number there."""
    return name is None or not (_IBAN.fullmatch(name) and _IBAN.fullmatch(other))


@lru_cache(maxsize=4096)
def _key(account_id: str) -> str:
    """An IBAN is one whatever its spaces and case."""
    compact = re.sub(r"\s", "", account_id).upper()
    return compact if _IBAN.fullmatch(compact) else account_id


def _names(
    statements: Sequence[Statement], account_ids: Sequence[str | None], statement_ids: Sequence[str | None]
) -> list[str | None]:
    """The account each statement names, itself or through its transactions when they all agree."""
    names = [_key(s.iban) if s.iban else None for s in statements]
    if None not in names or not any(account_ids):
        return names
    nameless = {s.statement_id for s, name in zip(statements, names, strict=True) if name is None}
    named: dict[str | None, set[str]] = {}
    for statement_id, account_id in set(zip(statement_ids, account_ids, strict=True)):
        if account_id and statement_id in nameless:
            named.setdefault(statement_id, set()).add(_key(account_id))
    unique = Counter(s.statement_id for s in statements)
    for at, statement in enumerate(statements):
        found = named.get(statement.statement_id, set())
        if names[at] is None and statement.statement_id and unique[statement.statement_id] == 1 and len(found) == 1:
            (names[at],) = found
    return names


def _groups(statements: Sequence[Statement], names: Sequence[str | None]) -> list[list[int]]:
    """Positions of the statements that belong together by name or by a chain of balances."""
    first: dict[Any, int] = {}
    group = [first.setdefault(name or _twin(s), at) for at, (s, name) in enumerate(zip(statements, names, strict=True))]
    for left, right in _links(statements):
        a, b = group[left], group[right]
        both = {names[i] for i, g in enumerate(group) if g in (a, b) and names[i] is not None}
        if len(both) <= 1:
            group = [min(a, b) if g in (a, b) else g for g in group]
    return [[i for i, g in enumerate(group) if g == one] for one in sorted(set(group))]


def _twin(statement: Statement) -> tuple[Any, ...]:
    """What a statement uploaded twice has in common with itself."""
    return statement.start_date, statement.end_date, statement.start_balance, statement.end_balance


def _links(statements: Sequence[Statement]) -> list[tuple[int, int]]:
    """Pairs where one statement ends as exactly one other starts: same balance, same or next day."""
    starts: dict[tuple[date, int], list[int]] = {}
    distinct = {_twin(s): at for at, s in reversed(list(enumerate(statements)))}
    for at, s in ((at, statements[at]) for at in distinct.values()):
        if s.start_date is not None and s.start_balance is not None:
            starts.setdefault((s.start_date, s.start_balance), []).append(at)
    links = []
    for at, s in ((at, statements[at]) for at in distinct.values()):
        if s.end_date is None or s.end_balance is None or s.end_date == date.max:
            continue
        days = (s.end_date, s.end_date + timedelta(1))
        found = [i for day in days for i in starts.get((day, s.end_balance), ()) if i != at]
        links += [(at, found[0])] if len(found) == 1 else []
    ends = Counter(right for _, right in links)
    return [(left, right) for left, right in links if ends[right] == 1]


def _accounts(statements: Sequence[Statement], names: Sequence[str | None], groups: list[list[int]]) -> list[_Group]:
    named = {at: names[i] for at, group in enumerate(groups) for i in group if names[i] is not None}
    if groups and len(set(named.values())) <= 1 and (len(groups) == 1 or not _overlap(statements)):
        name = next(iter(named.values()), None)
        chained = "chained" if len(groups) == 1 and len(statements) > 1 else "assumed single"
        return [(name, "iban" if name else chained, list(range(len(statements))))]
    return [
        (named.get(at), "iban" if at in named else "chained", group)
        for at, group in enumerate(groups)
        if at in named or len(group) > 1
    ]


def _overlap(statements: Sequence[Statement]) -> bool:
    """Whether two statements cover the same day; one without both dates says nothing."""
    distinct = {_twin(s): s for s in statements}.values()
    spans = sorted((s.start_date, s.end_date) for s in distinct if s.start_date and s.end_date)
    spans = [(start, end) for start, end in spans if start < end]
    return any(later_start < end and later_end > start for (start, end), (later_start, later_end) in pairwise(spans))


def _row(no: int, name: str | None, basis: str, members: Sequence[int], statements: Sequence[Statement]) -> Account:
    starts = [d for i in members if (d := statements[i].start_date) is not None]
    ends = [d for i in members if (d := statements[i].end_date) is not None]
    iban = name if name is not None and _IBAN.fullmatch(name) else None
    return Account(no, iban, basis, len(members), min(starts, default=None), max(ends, default=None))


def _of_entries(
    statements: Sequence[Statement],
    of_statement: Sequence[int | None],
    numbers: dict[str, int],
    account_ids: Sequence[str | None],
    statement_ids: Sequence[str | None],
) -> Array:
    unique = Counter(s.statement_id for s in statements)
    by_statement: dict[Any, int] = {
        s.statement_id: no
        for s, no in zip(statements, of_statement, strict=True)
        if s.statement_id and unique[s.statement_id] == 1 and no is not None
    }
    found = [
        numbers.get(_key(account), -1) if account else by_statement.get(statement, -1)
        for account, statement in zip(account_ids, statement_ids, strict=True)
    ]
    return np.array(found, np.int64)
