"""Arrow tables: the rows of many reports and requests in exactly their declared schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import ARROW, MONEY, Column, Table
from ..tables import (
    MONTHLY_SUMMARIES,
    REPORT_TABLES,
    REPORTS,
    REQUEST_NOTES,
    REQUESTS,
    STATEMENT_SUMMARIES,
    TRANSACTIONS,
)
from .decode import to_json
from .month_batch import JOINT, Entered, Ledger, Summed, months_of
from .months import ENTRIES, NOTHING, STATEMENT, Array, first_day_of
from .payload import Read
from .rows import Product
from .transactions import AMOUNTS

BACKFILLED_AFTER = timedelta(days=7)
_ROW_TABLES = [t for t in REPORT_TABLES if t not in (REPORTS, TRANSACTIONS, STATEMENT_SUMMARIES, MONTHLY_SUMMARIES)]
_BASES = {NOTHING: None, STATEMENT: "statement", ENTRIES: "entries"}


@dataclass(frozen=True)
class Published:
    """A payload that was understood and makes a version."""

    read: Read
    version: int
    fetched_at: datetime
    raw_sha256: str
    api_version: str | None


def report_tables(published: Sequence[Published]) -> dict[str, pa.Table]:
    """The tables of reports."""
    transactions, entered = _transactions(published)
    banks = [p for p in published if p.read.product_name == "bank"]
    summed = months_of([_ledger(p.read.product) for p in banks], entered)
    tables = {
        "reports": _table(REPORTS, [_report_row(p) for p in published]),
        "transactions": transactions,
        "statement_summaries": _statements_table(banks, summed.has_basis),
        "monthly_summaries": _months_table(banks, summed),
        **{t.name: _keyed_table(t, published) for t in _ROW_TABLES},
    }
    return {table.name: tables[table.name] for table in REPORT_TABLES}


def request_tables(published: Sequence[Published]) -> dict[str, pa.Table]:
    """The tables of requests."""
    rows = [
        {
            **p.read.product.report,
            "request_id": p.read.object_id,
            "request_version": p.version,
            "created_at": p.read.created_at,
            "fetched_at": p.fetched_at,
            "raw_sha256": p.raw_sha256,
            "extra": _extra(p.read),
        }
        for p in published
    ]
    return {"requests": _table(REQUESTS, rows), "request_notes": _keyed_table(REQUEST_NOTES, published)}


def table_of(table: Table, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Rows in the order of the table's columns; money in units of 1/10,000."""
    columns = zip(*rows, strict=True) if rows else [()] * len(table.columns)
    arrays = [_array(column, values) for column, values in zip(table.columns, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema)


def _table(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return table_of(table, [tuple(map(row.get, table.names)) for row in rows])


def _report_row(p: Published) -> dict[str, Any]:
    read = p.read
    first_known = read.created_at if p.version == 1 else None
    return {
        **read.product.report,
        "report_id": read.object_id,
        "report_version": p.version,
        "request_id": read.request_id,
        "company_id": read.company_id,
        "source": read.source,
        "product": read.product_name,
        "created_at": read.created_at,
        "fetched_at": p.fetched_at,
        "available_at": first_known or p.fetched_at,
        "layout_sha256": read.layout.sha256 if read.layout else None,
        "is_backfilled": first_known is not None and p.fetched_at - first_known > BACKFILLED_AFTER,
        "api_version": p.api_version,
        "raw_sha256": p.raw_sha256,
        "extra": _extra(read),
    }


def _extra(read: Read) -> str | None:
    return to_json(read.product.extra) if read.product.extra else None


def _keyed_table(table: Table, published: Sequence[Published]) -> pa.Table:
    """The rows of all reports, each after the key of its report."""
    name = table.name
    return table_of(
        table,
        [(p.read.object_id, p.version, *row) for p in published for row in p.read.product.rows.get(name, ())],
    )


# ------------------------------------------------------------------------------------------------ long tables


def _transactions(published: Sequence[Published]) -> tuple[pa.Table, Entered]:
    """All transactions, and what the months need of them."""
    found = [(p, p.read.product.entries) for p in published]
    with_entries = [(p, entries) for p, entries in found if entries is not None]
    counts = np.array([entries.n for _, entries in with_entries], np.int64)
    arrays = _key_arrays([p for p, _ in with_entries], counts)
    account = _joint([p.read.product.accounts.of_entry for p, _ in with_entries], np.int64)
    arrays["account_no"] = pa.array(account, mask=account < 0)
    arrays["transaction_no"] = pa.array(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
    units = {name: _stacked([entries.units[name] for _, entries in with_entries]) for name in AMOUNTS}
    arrays |= {name: money(*columns) for name, columns in units.items()}
    for column in TRANSACTIONS.columns:
        if column.name not in arrays:
            arrays[column.name] = _joined(column, [entries.columns[column.name] for _, entries in with_entries])
    days = arrays["booked_date"].cast(pa.int32())
    entered = Entered(
        days.fill_null(0).to_numpy().astype(np.int64),
        days.is_valid().to_numpy(),
        *units["amount"],
        *units["balance_after"],
        pc.list_value_length(arrays["alerts"]).fill_null(0).to_numpy().astype(np.int64),
    )
    columns = [arrays[name] for name in TRANSACTIONS.names]
    return pa.Table.from_arrays(columns, schema=TRANSACTIONS.arrow_schema), entered


def _statements_table(banks: Sequence[Published], has_basis: Array) -> pa.Table:
    """The statements, each with its basis before what is left over."""
    rows = [(p.read.object_id, p.version, *row) for p in banks for row in p.read.product.rows["statement_summaries"]]
    pairs = zip(rows, has_basis.tolist(), strict=True)
    return table_of(STATEMENT_SUMMARIES, [(*row[:-1], is_based, row[-1]) for row, is_based in pairs])


def _months_table(banks: Sequence[Published], summed: Summed) -> pa.Table:
    """The months: of those that rest on nothing no figure, of those that rest on a statement no count, low or mean."""
    account, months = summed.account, summed.months
    some, all_ = months.basis != NOTHING, months.basis == ENTRIES
    balances = all_ & months.balances_known
    bases = pa.DictionaryArray.from_arrays(pa.array(months.basis), pa.array([_BASES[n] for n in range(len(_BASES))]))
    arrays = _key_arrays(banks, np.bincount(summed.report, minlength=len(banks))) | {
        "account_no": pa.array(np.where(account == JOINT, 0, account), mask=account == JOINT),
        "currency": pa.array(summed.currency, pa.string()),
        "month": pa.array(first_day_of(months.month).astype(np.int32)).cast(pa.date32()),
        "flow_basis": bases.cast(pa.string()),
        "n_transactions": pa.array(months.n_transactions, mask=~all_),
        "total_credit": money(months.total_credit, some),
        "total_debit": money(months.total_debit, some),
        "net_flow": money(months.total_credit - months.total_debit, some),
        "unreconciled_amount": money(months.unreconciled, months.unreconciled_known),
        "opening_balance": money(months.opening_balance, some & months.opening_known),
        "closing_balance": money(months.closing_balance, some & months.closing_known),
        "minimum_balance": money(months.minimum_balance, balances),
        "average_daily_balance": money(months.average_daily_balance, balances),
        "n_negative_days": pa.array(months.n_negative_days, mask=~balances),
        "n_days_covered": pa.array(months.n_days_covered),
        "n_alerts": pa.array(months.n_alerts, mask=~all_),
        "is_complete": pa.array(months.is_covered & some),
    }
    columns = [arrays[name] for name in MONTHLY_SUMMARIES.names]
    return pa.Table.from_arrays(columns, schema=MONTHLY_SUMMARIES.arrow_schema)


def _ledger(product: Product) -> Ledger:
    named = product.entries.named if product.entries else {"currency": (), "statement_id": ()}
    return Ledger(product.accounts, product.statements, named["currency"], named["statement_id"])


def _key_arrays(published: Sequence[Published], counts: Array) -> dict[str, pa.Array]:
    """Id and version of each report, repeated for its rows."""
    at = pa.array(np.repeat(np.arange(len(published)), counts))
    return {
        "report_id": pa.array([p.read.object_id for p in published], pa.string()).take(at),
        "report_version": pa.array([p.version for p in published], pa.int64()).take(at),
    }


def _joint(columns: Sequence[Array], kind: Any) -> Array:
    return np.concatenate(columns) if columns else np.empty(0, kind)


def _stacked(columns: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    return _joint([units for units, _ in columns], np.int64), _joint([known for _, known in columns], bool)


# ------------------------------------------------------------------------------------------------ arrays


def _array(column: Column, values: Sequence[Any]) -> pa.Array | pa.ChunkedArray:
    if column.kind == "money":
        known = np.array([value is not None for value in values], bool)
        return money(np.array([value or 0 for value in values], np.int64), known)
    if column.kind == "bytes":
        return bytes_of(values)
    return _without_empty_ids(column, pa.array(values, ARROW[column.kind]))


def bytes_of(values: Sequence[bytes]) -> pa.ChunkedArray:
    """Values that are not copied: each is a chunk on its own bytes."""
    return pa.chunked_array([_one(value) for value in values], ARROW["bytes"])


def _one(value: bytes) -> pa.Array:
    ends = pa.py_buffer(np.array([0, len(value)], np.int32))
    return pa.Array.from_buffers(ARROW["bytes"], 1, [None, ends, pa.py_buffer(value)])


def _joined(column: Column, arrays: Sequence[pa.Array]) -> pa.ChunkedArray:
    return _without_empty_ids(column, pa.chunked_array(arrays, ARROW[column.kind]))


def _without_empty_ids(column: Column, array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if column.kind == "id" and len(array) and pc.min(pc.binary_length(array)).as_py() == 0:
        return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)
    return array


def money(units: Array, known: Array) -> pa.Array:
    """Money from its integers of 1/10,000: 128-bit decimals, the upper 64 bits being the sign.

    >>> money(np.array([12500, -1, 0]), np.array([True, True, False])).to_pylist()
    [Decimal('1.2500'), Decimal('-0.0001'), None]
    """
    words = np.empty(2 * len(units), np.int64)
    words[::2], words[1::2] = units, units >> 63
    valid = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(MONEY, len(units), [valid, pa.py_buffer(words)])
