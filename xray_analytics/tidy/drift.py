"""Schema drift: what differs from the documentation, counted and never quoted: unknown members, words, odd amounts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..tables import DRIFT

Note = tuple[str, str, str | None]  # JSON path with [] and * for positions and names, problem, masked example


@dataclass
class DriftNotes:
    """What was noticed in one report: each thing once, however often it occurs."""

    seen: set[Note] = field(default_factory=set)

    def add(self, path: str, problem: str, value: Any = None) -> None:
        """Note a problem at a path; of the value only its shape is kept."""
        self.seen.add((f"$.{path}", problem, mask(value)))


def mask(value: Any) -> str | None:
    """The shape of a value: letters become ``a`` or ``A``, digits ``9``; at most 24 characters.

    >>> mask("Red"), mask(12.5), mask({"iban": "FR76"}), mask(None)
    ('Aaa', 'number', 'object', None)
    """
    if isinstance(value, str):
        return "".join(_masked(c) for c in value[:24])
    if value is None:
        return None
    return type_name(value)


def type_name(value: Any) -> str:
    """The JSON word for the type of a decoded value."""
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "text", type(None): "null"}
    return names.get(type(value), "number")


def _masked(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character if character in " _-./:" else "?"


def count(noticed: list[tuple[str, str, DriftNotes]]) -> pa.Table:
    """The notes of several reports as rows of `drift`, without a commit.

    `noticed` holds the source, the id and the notes of each report. Of those with a note the one with the lowest id is
    named, since calls under way at once come back in any order.
    """
    totals: Counter[tuple[str, *Note]] = Counter()
    first: dict[tuple[str, *Note], str] = {}
    for source, object_id, notes in noticed:
        for note in notes.seen:
            totals[source, *note] += 1
            first[source, *note] = min(first.get((source, *note), object_id), object_id)
    return _table([(*key, n, first[key], None) for key, n in totals.items()])


def merge(tables: list[pa.Table], commit: int | None) -> pa.Table:
    """One `drift` table out of those of several batches, in order: counts added, the lowest id kept."""
    totals: dict[tuple[Any, ...], list[Any]] = {}
    for row in (row for table in tables for row in table.to_pylist()):
        key = (row["source"], row["json_path"], row["problem"], row["example"])
        known = totals.setdefault(key, [0, row["first_report_id"]])
        known[0] += row["n_reports"]
        known[1] = min((i for i in (known[1], row["first_report_id"]) if i is not None), default=None)
    return _table([(*key, n, first, commit) for key, (n, first) in totals.items()])


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    rows.sort(key=lambda row: tuple(text or "" for text in row[:4]))
    columns = zip(*rows, strict=True) if rows else [()] * len(DRIFT.columns)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, DRIFT.arrow_schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=DRIFT.arrow_schema)
