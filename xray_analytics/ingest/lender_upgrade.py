"""The lender's tables of a store of 0.1.0 as statements that replace: converted once, by the first who writes.

There a row held beside others of its company until one with the same key came; now the rows recorded last hold, all of
them. So each recording is written again as what was shown then, and every question finds what it found. Nothing is
withdrawn by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from .. import tables
from ..schema import Table
from ..store import Writer

_FIRST_OF_STATEMENTS = 2  # the schema from which on rows are statements
# What told rows of a subject apart, where a subject had several.
_NATURAL: Mapping[str, str] = {"exposures": "currency", "outcomes": "default_date"}
_DERIVED = ("default_date", "exit_date", "observed_until")  # the first of them stood in `valid_from` of outcomes

Row = dict[str, Any]


def convert(writer: Writer) -> None:
    """Write the lender's tables anew where an older package wrote them."""
    if writer.head is None or writer.head.schema_version >= _FIRST_OF_STATEMENTS:
        return
    for name in _NATURAL:
        table, live = tables.table(name), writer.live(name)
        rows = [row for part in writer.rows(name) for row in part.to_pylist()]
        if rows:
            writer.omit(live)
            writer.append(name, pa.Table.from_pylist(list(statements(rows, table)), schema=table.arrow_schema))


def statements(rows: Iterable[Row], table: Table) -> Iterable[Row]:
    """For each subject and recording the rows that were shown then."""
    subjects: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        subjects.setdefault(tuple(row[name] for name in tables.SUBJECTS[table.name]), []).append(row)
    for of_subject in subjects.values():
        shown: dict[Any, Row] = {}
        for at in sorted({row["recorded_at"] for row in of_subject}):
            shown |= {row[_NATURAL[table.name]]: row for row in of_subject if row["recorded_at"] == at}
            yield from (_restated(row, table) | {"recorded_at": at} for row in shown.values())


def _restated(row: Row, table: Table) -> Row:
    """A row without the day that was derived from what it says, which a later correction would contradict."""
    derived = next((row[name] for name in _DERIVED if row.get(name) is not None), None)
    is_derived = table is tables.OUTCOMES and row["valid_from"] == derived
    return row | {"is_withdrawn": None} | ({"valid_from": None} if is_derived else {})
