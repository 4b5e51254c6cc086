"""The months of a batch: transactions and statements of many reports as columns, for `months` to sum at once.

Each account of a report is a ledger; a report whose accounts cannot all be told apart is one more. A ledger has a book
for each of its currencies, mostly one: they are never added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from .accounts import Accounts, Statement
from .basis import has_basis, moved_within, rest_on_statements, with_unreconciled
from .months import (
    ENTRIES,
    NOTHING,
    STATEMENT,
    Array,
    Days,
    Flows,
    Months,
    Spans,
    daily_balances,
    keys_of,
    monthly,
    together,
)

_EPOCH = date(1970, 1, 1).toordinal()
JOINT = np.iinfo(np.int64).max  # stands for "all accounts together", after every account
_FLOW_COLUMNS = ("day", "amount", "has_amount", "balance", "has_balance", "n_alerts")


@dataclass(frozen=True)
class Ledger:
    """The accounts of one report, its statements, and what each of its transactions names."""

    accounts: Accounts
    statements: Sequence[Statement]
    currencies: Sequence[str | None]
    statement_ids: Sequence[str | None]


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


@dataclass(frozen=True)
class Summed:
    """Months with their report, account (`JOINT`: all together) and currency, sorted by these.

    `has_basis` tells of every statement of the batch whether its days rest on something.
    """

    report: Array
    account: Array
    currency: list[str | None]
    months: Months
    has_basis: Array


def months_of(ledgers: Sequence[Ledger], entered: Entered) -> Summed:
    """The months of all reports.

    Accounts count every transaction booked in the month. All accounts of a report together count the days that every
    account covers, and rest on what the weakest of them rests on; of a report whose accounts cannot all be told apart,
    every transaction, and no balances. An account with transactions in several currencies has a month of each, without
    balances.
    """
    batch = _batch_of(ledgers, entered)
    flows = _flows(entered, batch.own, batch.whole[batch.report])
    newest_first, flows = _newest_first(flows, len(batch.report_of)), flows.sorted()
    spans = _spans(batch)
    moved = moved_within(flows, spans)
    spans = replace(spans, has_basis=has_basis(spans, moved) & ~_doubtful(batch, spans))
    books, lost = _books(batch), _lost(batch)
    if books.is_mixed.any():
        flows = _flows(entered, *_books_of_entries(batch, books)).sorted()
    of_books = _spans_of_books(spans, books)
    days = daily_balances(flows, of_books, newest_first[books.ledger], lost[books.ledger])
    is_seen = ~(books.is_mixed | (books.account == JOINT))[days.ledger]
    days = replace(days, known=days.known & is_seen, before_known=days.before_known & is_seen)
    months = monthly(flows, days)
    bare = np.bincount(of_books.ledger, minlength=len(books.ledger)) == 0
    months.basis[(lost[books.ledger] & bare)[months.ledger]] = NOTHING
    plain = ~books.is_mixed[spans.ledger] & (books.account[spans.ledger] != JOINT)
    seen, moved = (spans, moved) if plain.all() else (spans.where(plain), moved.where(plain))
    months = with_unreconciled(rest_on_statements(months, seen), seen, moved)
    joint = _joint(batch, books, flows, (days, months))
    return _stack(books, months, joint, _by_statement(batch, spans))


# ------------------------------------------------------------------------------------------------ the batch


@dataclass(frozen=True)
class _Batch:
    """The reports of a batch, its ledgers, and those of its transactions (-1: none).

    `report_of` and `account_of` are by ledger: the accounts of every report, then each report that is not `told` apart,
    with the account `JOINT`. `first` is the ledger of a report's first account, `whole` that of all its accounts
    together. `report` and `own` are by transaction.
    """

    ledgers: Sequence[Ledger]
    entered: Entered
    report_of: Array
    account_of: Array
    n_accounts: Array
    first: Array
    whole: Array
    told: Array
    report: Array
    own: Array


def _batch_of(ledgers: Sequence[Ledger], entered: Entered) -> _Batch:
    n_accounts = np.array([len(ledger.accounts.rows) for ledger in ledgers], np.int64)
    first = np.cumsum(n_accounts) - n_accounts
    report = np.repeat(np.arange(len(ledgers)), [len(ledger.currencies) for ledger in ledgers])
    account = np.concatenate([x.accounts.of_entry for x in ledgers]) if ledgers else np.empty(0, np.int64)
    told = np.array([x.accounts.told_apart for x in ledgers], bool)
    if not told.all():  # a transaction that cannot be read need not have an account
        is_stray = (account < 0) & entered.dated & entered.has_amount
        stray = np.bincount(report[is_stray], minlength=len(ledgers)) > 0
        told = ~stray & np.array([None not in x.accounts.of_statement for x in ledgers], bool)
    unclear, total = np.flatnonzero(~told), int(n_accounts.sum())
    whole = np.full(len(ledgers), -1)
    whole[unclear] = total + np.arange(len(unclear))
    of_accounts = np.repeat(np.arange(len(ledgers)), n_accounts)
    numbers = np.arange(total) - first[of_accounts]
    report_of = np.concatenate([of_accounts, unclear])
    account_of = np.concatenate([numbers, np.full(len(unclear), JOINT)])
    own = np.where(account < 0, -1, first[report] + account)
    return _Batch(ledgers, entered, report_of, account_of, n_accounts, first, whole, told, report, own)


def _flows(entered: Entered, own: Array, whole: Array) -> Flows:
    """The transactions that have a day, in the ledgers of their account and of their report."""
    flows = _flows_in(entered, own)
    return flows.joined(_flows_in(entered, whole)) if (whole >= 0).any() else flows


def _flows_in(entered: Entered, ledger: Array) -> Flows:
    chosen = entered.dated & (ledger >= 0)
    return Flows(ledger, *(getattr(entered, name) for name in _FLOW_COLUMNS)).where(chosen)


def _newest_first(flows: Flows, n: int) -> Array:
    """By ledger: whether its first transaction of the payload is later than its last."""
    first, last = np.zeros(n, np.int64), np.zeros(n, np.int64)
    first[flows.ledger[::-1]] = flows.day[::-1]  # of several values for one ledger, the last written stays
    last[flows.ledger] = flows.day
    newest: Array = first > last
    return newest


def _spans(batch: _Batch) -> Spans:
    """The statements that have both days, in the ledger of their account and in that of their report."""
    found: list[tuple[int, int, Statement]] = []
    number = 0
    for r, x in enumerate(batch.ledgers):
        for no, statement in zip(x.accounts.of_statement, x.statements, strict=True):
            owners = [] if no is None else [int(batch.first[r]) + no]
            owners += [] if batch.told[r] else [int(batch.whole[r])]
            if statement.start_date is not None and statement.end_date is not None:
                found += [(number, owner, statement) for owner in owners]
            number += 1
    places = np.array([(number, owner) for number, owner, _ in found], np.int64).reshape(-1, 2)
    days = [(s.start_date.toordinal(), s.end_date.toordinal()) for *_, s in found if s.start_date and s.end_date]
    ends = np.array(days, np.int64).reshape(-1, 2) - _EPOCH
    names = ("start_balance", "end_balance", "total_credit", "total_debit")
    money = [column for name in names for column in _known([getattr(s, name) for *_, s in found])]
    return Spans(*[*places.T, *ends.T, *money, np.ones(len(found), bool)])


def _known(values: Sequence[int | None]) -> tuple[Array, Array]:
    return np.array([value or 0 for value in values], np.int64), np.array([v is not None for v in values], bool)


def _by_statement(batch: _Batch, spans: Spans) -> Array:
    """Whether each statement has a basis; where accounts cannot be told apart, in the ledger of the report."""
    found = np.zeros(sum(len(x.statements) for x in batch.ledgers), bool)
    found[spans.number] = spans.has_basis
    is_whole = batch.account_of[spans.ledger] == JOINT
    found[spans.number[is_whole]] = spans.has_basis[is_whole]
    return found


# ------------------------------------------------------------------------------------------------ what cannot be read


def _lost(batch: _Batch) -> Array:
    """By ledger: whether a transaction that may be its own has no day."""
    lost = np.zeros(len(batch.report_of), bool)
    undated = ~batch.entered.dated
    if undated.any():
        is_stray = undated & (batch.own < 0)
        lost[batch.own[undated & ~is_stray]] = True
        lost |= np.isin(batch.report_of, batch.report[is_stray])
        lost |= (batch.account_of == JOINT) & np.isin(batch.report_of, batch.report[undated])
    return lost


def _doubtful(batch: _Batch, spans: Spans) -> Array:
    """Whether each statement may hold a transaction without a day, or one whose account is not known.

    One without a day belongs to the statement it names, else to all of its account; one without an account to every
    account that covers its day.
    """
    doubtful = np.zeros(len(spans.ledger), bool)
    entered, report_of = batch.entered, batch.report_of[spans.ledger]
    is_whole = batch.account_of[spans.ledger] == JOINT
    astray = (batch.own < 0) & (~batch.told[batch.report] | ~entered.has_amount)
    stray = np.flatnonzero(~entered.dated | astray)
    ids = _statement_ids(batch) if len(stray) else {}
    places = zip(batch.report[stray].tolist(), batch.own[stray].tolist(), _named(batch, stray), strict=True)
    days = np.where(entered.dated, entered.day, _LOST)[stray].tolist()
    for (report, own, name), day in set(zip(places, days, strict=True)):
        mine = report_of == report
        number = ids.get((report, name)) if day == _LOST else None
        if number is not None:
            mine &= spans.number == number
        elif day == _LOST:
            mine &= is_whole | (own < 0) | (spans.ledger == own)
        else:
            mine &= ~is_whole & (spans.start < day) & (day <= spans.end)
        doubtful |= mine
    return doubtful


_LOST = np.iinfo(np.int64).min


def _named(batch: _Batch, entries: Array) -> list[str | None]:
    """The statement that each of these transactions names."""
    offset = np.searchsorted(batch.report, batch.report[entries])
    places = zip(batch.report[entries].tolist(), (entries - offset).tolist(), strict=True)
    return [batch.ledgers[report].statement_ids[at] for report, at in places]


def _statement_ids(batch: _Batch) -> dict[tuple[int, str | None], int]:
    """The number of the statement by report and id, where the id is the statement's alone."""
    named = [(r, s.statement_id) for r, x in enumerate(batch.ledgers) for s in x.statements]
    counts = Counter(named)
    return {key: number for number, key in enumerate(named) if key[1] is not None and counts[key] == 1}


# ------------------------------------------------------------------------------------------------ currencies


@dataclass(frozen=True)
class _Books:
    """Ledgers by currency: the first book of each ledger in their order, then the further ones of those with several.

    `of` maps ledger and currency to a book, where there are several.
    """

    ledger: Array
    report: Array
    account: Array
    currency: list[str | None]
    is_mixed: Array
    of: dict[tuple[int, str | None], int]


def _books(batch: _Batch) -> _Books:
    words = [w for x in batch.ledgers for w in _currencies_of_accounts(x)]
    words += [_currencies(set(batch.ledgers[r].currencies)) for r in np.flatnonzero(~batch.told).tolist()]
    further = [(at, word) for at, found in enumerate(words) for word in found[1:]]
    ledger = np.array([*range(len(words)), *(at for at, _ in further)], np.int64)
    currency = [found[0] for found in words] + [word for _, word in further]
    is_mixed = np.array([len(words[at]) > 1 for at in ledger], bool)
    of = {(int(ledger[book]), currency[book]): int(book) for book in np.flatnonzero(is_mixed)}
    return _Books(ledger, batch.report_of[ledger], batch.account_of[ledger], currency, is_mixed, of)


def _currencies_of_accounts(ledger: Ledger) -> list[tuple[str | None, ...]]:
    """The currencies of each account, in order; null rows are in the one currency that the others name."""
    n, words = len(ledger.accounts.rows), set(ledger.currencies)
    if n == 1 and (ledger.accounts.of_entry >= 0).all():
        return [_currencies(words)]
    if len(words) <= 1:
        used = np.bincount(ledger.accounts.of_entry[ledger.accounts.of_entry >= 0], minlength=n) > 0
        return [_currencies(words if is_used else set()) for is_used in used]
    found: list[set[str | None]] = [set() for _ in range(n)]
    for no, word in set(zip(ledger.accounts.of_entry.tolist(), ledger.currencies, strict=True)):
        if no >= 0:
            found[no].add(word)
    return [_currencies(one) for one in found]


def _currencies(words: Collection[str | None]) -> tuple[str | None, ...]:
    named = sorted(word for word in words if word is not None)
    if len(named) < 2:
        return (named[0] if named else None,)
    return (*named, None) if None in words else tuple(named)


def _books_of_entries(batch: _Batch, books: _Books) -> tuple[Array, Array]:
    """The book of each transaction, among those of its account and of its report."""
    moved = []
    currencies = [word for x in batch.ledgers for word in x.currencies]
    for ledger in (batch.own, batch.whole[batch.report]):
        book = ledger.copy()
        for at in np.flatnonzero((ledger >= 0) & books.is_mixed[ledger]).tolist():
            book[at] = books.of[int(ledger[at]), currencies[at]]
        moved.append(book)
    return moved[0], moved[1]


def _spans_of_books(spans: Spans, books: _Books) -> Spans:
    """The statements of every book: those of its ledger."""
    for book in range(int(books.ledger.max(initial=-1)) + 1, len(books.ledger)):
        own = spans.where(spans.ledger == books.ledger[book])
        spans = spans.joined(replace(own, ledger=np.full(len(own.ledger), book)))
    return spans


# ------------------------------------------------------------------------------------------------ accounts together


def _joint(batch: _Batch, books: _Books, flows: Flows, found: tuple[Days, Months]) -> Months:
    """All accounts of a report together, by currency; the ledger of a month is the first book of its currency."""
    days, months = found
    is_account = books.account != JOINT
    single = (is_account & (batch.told & (batch.n_accounts == 1))[books.report])[months.ledger]
    several = is_account & (batch.told & (batch.n_accounts > 1))[books.report]
    if not several.any():
        return months.where(single)
    group, n_books = _groups(books, several)
    own = days.where(several[days.ledger])
    shared = together(own, group, n_books)
    of_report, n_of_report = _groups(replace(books, currency=[None] * len(books.currency)), several)
    if (group != of_report).any():  # a day of one currency has to be one of the others as well
        every = together(own, of_report, n_of_report)
        shared = shared.where(_is_in(of_report[shared.ledger], shared.day, every))
    flows = flows.where(several[flows.ledger])
    flows = replace(flows, ledger=group[flows.ledger])
    joint = monthly(flows.where(_is_in(flows.ledger, flows.day, shared)), shared)
    mine = months.where(several[months.ledger])
    return _weakest(joint, replace(mine, ledger=group[mine.ledger])).joined(months.where(single))


def _groups(books: _Books, chosen: Array) -> tuple[Array, Array]:
    """By book: the first book of its report and currency, and how many there are; of the chosen ones."""
    first: dict[tuple[int, str | None], int] = {}
    group = np.arange(len(books.ledger))
    for book in np.flatnonzero(chosen).tolist():
        group[book] = first.setdefault((int(books.report[book]), books.currency[book]), book)
    return group, np.bincount(group[chosen], minlength=len(group))


def _is_in(ledger: Array, day: Array, days: Days) -> Array:
    return np.isin(keys_of(ledger, day), keys_of(days.ledger, days.day))


def _weakest(joint: Months, accounts: Months) -> Months:
    """Months of several accounts with what the weakest of them rests on; `accounts` have the same ledgers.

    Where that is a statement, the totals of the whole month are added, as long as every account has the whole month.
    """
    key = keys_of(joint.ledger, joint.month)
    own = keys_of(accounts.ledger, accounts.month)
    accounts = accounts.where(np.isin(own, key))
    at = np.searchsorted(key, keys_of(accounts.ledger, accounts.month))
    basis = np.full(len(key), ENTRIES)
    np.minimum.at(basis, at, accounts.basis)
    basis[(basis == STATEMENT) & ~joint.is_covered] = NOTHING
    stated = basis == STATEMENT
    found = {name: _added(getattr(accounts, name), at, len(key)) for name in _SUMS}
    found |= {name: ~_any(~getattr(accounts, name), at, len(key)) for name in ("opening_known", "closing_known")}
    sums = {name: np.where(stated, values, getattr(joint, name)) for name, values in found.items()}
    return replace(
        joint, basis=basis, **sums, unreconciled=_added(accounts.unreconciled, at, len(key)),
        unreconciled_known=(basis != NOTHING) & ~_any(~accounts.unreconciled_known, at, len(key)),
    )  # fmt: skip


_SUMS = ("total_credit", "total_debit", "opening_balance", "closing_balance")


def _added(values: Array, at: Array, n: int) -> Array:
    sums = np.zeros(n, np.int64)
    np.add.at(sums, at, values)
    return sums


def _any(flags: Array, at: Array, n: int) -> Array:
    return np.bincount(at[flags], minlength=n) > 0


# ------------------------------------------------------------------------------------------------ all of it


def _stack(books: _Books, own: Months, joint: Months, has_basis: Array) -> Summed:
    months = own.joined(joint)
    book = months.ledger
    account = np.concatenate([books.account[own.ledger], np.full(len(joint.ledger), JOINT)])
    is_unclear = books.account[book] == JOINT  # never complete: what an account lacks is not seen
    order = np.lexsort((months.month, book, account, books.report[book]))
    months = replace(months, is_covered=months.is_covered & ~is_unclear).where(order)
    book = book[order]
    return Summed(books.report[book], account[order], [books.currency[b] for b in book.tolist()], months, has_basis)
