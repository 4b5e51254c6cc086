"""Bank X-Ray: the rows of one report. The months are summed for a whole batch at once, in `batch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from ..schema import MONEY_UNIT
from ..tables import MINIMUM_DATA_SANITY_PCT
from .accounts import Statement, tell_apart
from .decode import Json, refuse, to_json
from .drift import DriftNotes, type_name
from .fields import LEFT, MONEY_LIMIT, PayloadPlace, read_members, read_value, to_mixed
from .layout.paths import put_back, take, take_value
from .layout.reader import Reader, ReportField
from .months import LONGEST_STATEMENT_DAYS
from .rows import Parts, Product, Row
from .transactions import NAMED, Entries, n_unread, read_entries

_EPOCH = date(1970, 1, 1).toordinal()
FEWEST = 5  # transactions: below, a coincidence says nothing
MANY = 25  # amounts that are all whole are no coincidence
TABLES = {"statements": "statement_summaries", "criteria": "bank_flag_criteria", "metrics": "movement_metrics"}


def read_bank(report: dict[str, Json], reader: Reader, notes: DriftNotes, parts: Parts | None = None) -> Product:
    """All rows of a Bank X-Ray report but its months; what is read is taken out of the report.

    `parts` are those that are read already. No class, or class 0, is *unrated*; a class given although the data
    sanity is below the documented minimum is kept as sent and counted as drift.
    """
    entries = _entries_of(report, reader, parts, notes)
    rows = {table: _rows_of(part, report, reader, parts, notes) for part, table in TABLES.items()}
    values = {field.column: take_field(report, field, notes) for field in reader.report if field.column in _BANK}
    risk_class, sanity = values["bank_risk_class"], values["data_sanity_pct"]
    product = Product(entries=entries)
    product.rows["movement_metrics"] = rows["movement_metrics"] or []
    if rows["bank_flag_criteria"] is not None:
        product.rows["bank_flag_criteria"] = rows["bank_flag_criteria"]
    if risk_class is not None and sanity is not None and sanity < MINIMUM_DATA_SANITY_PCT:
        notes.add(".".join(reader.paths("bank_risk_class")[0]), "unknown_value", "class given at low sanity")
    product.report = {
        "is_rated": risk_class is not None,
        **values,
        "n_transactions": None if entries is None else entries.n,
        "n_unread_transactions": None if entries is None else n_unread(entries),
    }
    _read_statements(rows["statement_summaries"], product)
    _refuse_overflow(product)
    product.doubt = doubt(entries, product.statements) if entries is not None else None
    return product


_BANK = ("bank_risk_class", "bank_score", "bank_flag_color", "data_sanity_pct")


def take_field(report: dict[str, Json], field: ReportField, notes: DriftNotes) -> Any:
    """A value of the report itself, taken out of it; one that cannot be read and may be left is."""
    of, column = field.field, field.column
    path, value = take_value(report, field.paths, notes, lenient=of.lenient, expected=of.expected)
    if value is None or (column == "bank_risk_class" and type(value) in (int, float) and value == 0):
        return None
    found = read_value(value, of, PayloadPlace(""), path, notes)
    if found is not LEFT:
        return found
    put_back(report, path, value)
    return None


def _entries_of(report: dict[str, Json], reader: Reader, parts: Parts | None, notes: DriftNotes) -> Entries | None:
    if parts is not None:
        return parts.entries
    found = take(report, reader.parts["transactions"], notes)
    return None if found is None else read_entries(found, reader, notes)


def _rows_of(
    part: str, report: dict[str, Json], reader: Reader, parts: Parts | None, notes: DriftNotes
) -> list[Row] | None:
    """The rows of a part, without what other parts say of them; None where the part is absent."""
    if parts is not None and TABLES[part] in parts.rows:
        return parts.rows[TABLES[part]]
    found = take(report, reader.parts[part], notes)
    if found is None:
        return None
    read = {"statements": _read_statement, "criteria": _read_criterion, "metrics": _read_metric}[part]
    placed = zip(found.items, found.places(), strict=False)
    return [read(no, item, place, reader, notes) for no, (item, place) in enumerate(placed)]


def _read_criterion(no: int, item: Json, place: PayloadPlace, reader: Reader, notes: DriftNotes) -> Row:
    row, extra = read_members(item, reader.criterion, place, notes)
    return criterion_row(no, row, extra)


def criterion_row(no: int, row: Sequence[Any], extra: Mapping[str, Json]) -> Row:
    """The row of a criterion from its members."""
    criterion, value, quantile, sentiment, popovers = row
    if criterion is None:  # Financial X-Ray sends an object here: its names, and the object itself in extra
        criterion = ", ".join(extra["criteria"]) if type(extra.get("criteria")) is dict else ""
    return no, criterion, *to_mixed(value), quantile, sentiment, popovers, to_json(extra) if extra else None


def _read_metric(no: int, item: Json, place: PayloadPlace, reader: Reader, notes: DriftNotes) -> Row:
    name = place.around.key if reader.metric_is_key else None
    if type(item) is not dict and "" not in reader.metric.fields:
        notes.add(place.general(), "unknown_value", item)
        row, extra = [None] * reader.metric.width, {"value": item}
    else:
        row, extra = read_members(item, reader.metric, place, notes)
    if not reader.metric_is_key:
        name, *row = row
    return name or "", *row, to_json(extra) if extra else None


def _read_statements(rows: list[Row] | None, product: Product) -> None:
    """Statements, accounts, and what both say of the report."""
    statements = [_statement(no, row) for no, row in enumerate(rows or ())]
    product.statements = statements
    named = product.entries.named if product.entries else dict.fromkeys(NAMED, ())
    accounts = product.accounts = tell_apart(statements, named["account_id"], named["statement_id"])
    product.rows["accounts"] = list(accounts.rows)
    product.rows["statement_summaries"] = [
        (account_no, no, *statement)
        for no, (account_no, statement) in enumerate(zip(accounts.of_statement, statements, strict=True))
    ]
    product.report |= {
        "period_start_date": min((s.start_date for s in statements if s.start_date), default=None),
        "period_end_date": max((s.end_date for s in statements if s.end_date), default=None),
        "n_accounts": len(accounts.rows),
        "n_statements": None if rows is None else len(statements),
        "n_days_covered": _n_days_covered(statements),
        "total_credit": _total([s.total_credit for s in statements]),
        "total_debit": _total([s.total_debit for s in statements]),
    }


def _read_statement(no: int, item: Json, place: PayloadPlace, reader: Reader, notes: DriftNotes) -> Row:
    row, extra = read_members(item, reader.statement, place, notes)
    return (*row, to_json(extra) if extra else None)


def _statement(no: int, row: Row) -> Statement:
    statement = Statement._make(row)
    if statement.start_date and statement.end_date:
        n_days = (statement.end_date - statement.start_date).days
        if n_days > LONGEST_STATEMENT_DAYS:
            path = PayloadPlace("raw.summary[]", no).exact("endDate")
            refuse("bad_date", path, "expected a statement of at most ten years, found a longer one")
    return statement


def _n_days_covered(statements: Sequence[Statement]) -> int:
    """Days in the union of (start_date, end_date]."""
    spans = sorted((s.start_date, s.end_date) for s in statements if s.start_date and s.end_date)
    n_days, reached = 0, None
    for start, end in spans:
        new = start if reached is None else max(start, reached)
        n_days += max((end - new).days, 0)
        reached = end if reached is None else max(end, reached)
    return n_days


def _total(amounts: Sequence[int | None]) -> int | None:
    known = [a for a in amounts if a is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _refuse_overflow(product: Product) -> None:
    """No sum of this report may leave the range of money."""
    totals = [abs(a or 0) for s in product.statements for a in (s.total_credit, s.total_debit)]
    balances = [abs(a or 0) for s in product.statements for a in (s.start_balance, s.end_balance)]
    reach = sum(totals) + sum(balances)
    if product.entries is not None and product.entries.n:
        amount, balance = (np.abs(product.entries.units[name][0]) for name in ("amount", "balance_after"))
        reach += int(amount.sum(dtype=np.float64)) + int(balance.max()) * max(len(product.rows["accounts"]), 1)
    if reach >= MONEY_LIMIT:
        refuse("money_out_of_range", "raw", "expected amounts that together stay below 10^14, found more")


def array(value: Json, path: str) -> list[Any]:
    """A list, empty for null; anything else is refused."""
    if value is not None and type(value) is not list:
        refuse("wrong_type", path, f"expected an array, found {type_name(value)}")
    return value or []


def as_object(value: Json, path: str) -> dict[str, Any]:
    """An object, empty for null; anything else is refused."""
    if value is not None and type(value) is not dict:
        refuse("wrong_type", path, f"expected an object, found {type_name(value)}")
    return value or {}


# ------------------------------------------------------------------------------------------------ contradictions


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
    days, bounds = booked.view(pa.int32()).to_numpy(), np.array(spans, np.int64)
    named, at = entries.named["statement_id"], {s.statement_id: number for number, s in enumerate(statements)}
    if len(at) == len(spans) and None not in at and at.keys() >= {*named}:
        first, last = bounds[np.fromiter(map(at.__getitem__, named), np.intp, len(named))].T
        return bool(((days <= first) | (days > last)).any())
    return bool(days.min() <= bounds[:, 0].min() or days.max() > bounds[:, 1].max())


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH
