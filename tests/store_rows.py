"""Rows for the tests of the store: plain ones from a few values, and random ones of every kind."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from xray_analytics import tables
from xray_analytics.schema import Column

DAY_0 = datetime(2025, 1, 1, tzinfo=UTC)
PLAIN = {
    "id": "0", "text": "x", "json": "{}", "date": date(2025, 1, 1), "instant": DAY_0, "int": 1, "float": 0.0,
    "bool": False, "money": Decimal(0), "bytes": b"",
}  # fmt: skip


def day(n: float) -> datetime:
    """Midnight UTC of the n-th day of 2025, from 0."""
    return DAY_0 + timedelta(days=n)


def make(table_name: str, *rows: dict[str, Any]) -> pa.Table:
    """Rows of a table from the values that matter; required columns get a plain value, the others null."""
    table = tables.table(table_name)
    plain = {c.name: (c.choices or (PLAIN[c.kind],))[0] for c in table.columns if c.required}
    return pa.Table.from_pylist([plain | row for row in rows], schema=table.arrow_schema)


def report(
    number: int, version: int = 1, *, fetched: float, created: float | None = None, **more: Any
) -> dict[str, Any]:
    """A row of reports; its clocks follow from when it was created and fetched [days]."""
    created_at = None if created is None else day(created)
    available = created_at if version == 1 and created_at else day(fetched)
    times = {"created_at": created_at, "fetched_at": day(fetched), "available_at": available}
    return {"report_id": f"{number:024x}", "report_version": version, "product": "bank", **times, **more}


def random_rows(table_name: str, n: int, rng: random.Random, *, first: int = 0) -> pa.Table:
    """Rows with every kind of value, whose keys count up from `first`."""
    table = tables.table(table_name)
    rows = [{c.name: _value(c, i, c.name in table.key, rng) for c in table.columns} for i in range(first, first + n)]
    return pa.Table.from_pylist(rows, schema=table.arrow_schema)


def _value(column: Column, i: int, is_key: bool, rng: random.Random) -> Any:
    if column.kind == "int" and column.name.endswith("_version"):
        return 1
    if is_key and not column.choices:
        return {"id": f"{i:024x}", "int": i, "text": f"n{i}", "date": date(2020, 1, 1) + timedelta(i)}.get(
            column.kind, day(i)
        )
    if not column.required and rng.random() < 0.2:
        return None
    if column.choices:
        return rng.choice(column.choices)
    lo, hi = int(column.lo or 0), int(column.hi or 10**9)
    return {
        "id": f"{rng.randrange(16**24):024x}",
        "text": rng.choice(["", "été", "a'b\"c", "x\n\ty", "0", "\U0001f600", "=1+1"]),
        "json": json.dumps({"a": [1, None]}),
        "date": date(1970, 1, 1) + timedelta(rng.randrange(40_000)),
        "instant": DAY_0 + timedelta(microseconds=rng.randrange(10**15)),
        "int": rng.randint(lo, hi),
        "float": lo + rng.random() * (hi - lo),
        "bool": rng.random() < 0.5,
        "money": Decimal(rng.randint(-(10**15) + 1, 10**15 - 1)).scaleb(-4),
        "list<text>": rng.choice([[], ["a"], ["b", "", "c"]]),
        "bytes": rng.randbytes(rng.randrange(50)),
    }[column.kind]


def by_key(table_name: str, data: pa.Table) -> pa.Table:
    """The rows in the order of the table's key."""
    keys: Iterable[str] = tables.table(table_name).key
    return data.sort_by([(name, "ascending") for name in keys])
