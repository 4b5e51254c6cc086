"""Fast decoding of a bank report, in C: its parts as documented, its transactions all like the first of them.

What is not so is left to the reference way (`decode`, `transactions`, `bank`), which gives the same tables; a
property test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ..schema import ARROW, MONEY_UNIT
from ..tables import TRANSACTIONS
from .bank import CRITERION, METRIC, STATEMENT, criterion_row
from .decode import Json, count_members, written_members
from .drift import DriftNotes
from .fields import (
    EXACT_BELOW,
    Field,
    NeedsExactNumbers,
    Unexpected,
    note_money,
    to_float,
    to_id,
    to_int,
    to_units,
    within_range,
)
from .rows import Parts, Row
from .transactions import AMOUNTS, COLUMNS, NAMED, PLACE, Aliases, Entries, compile_aliases

_Entry = tuple[tuple[str, str, str], ...]  # member, column, kind; an identifier sent as a whole number is an "int"
_ENTRIES = "allTransactions"
_encode = msgspec.json.Encoder(order="deterministic").encode
_first_object = json.JSONDecoder().raw_decode
_TYPES: Mapping[str, Any] = {
    "id": str | None,
    "int": int | None,
    "text": str | None,
    "date": date | None,
    "money": int | float | None,
    "float": int | float | None,
    "list<text>": tuple[str, ...] | None,  # most are empty, and the empty tuple is one object
}


@dataclass(frozen=True)
class Quick:
    """A report decoded quickly: its members, the parts that are read already, its digest and what was noticed."""

    report: dict[str, Json]
    parts: Parts
    content_sha256: str
    notes: DriftNotes


@dataclass(frozen=True)
class Shape:
    """How a body may look.

    The members of the report and of `raw`, those that every transaction has, and whether the other parts have no
    members but the documented.
    """

    report: frozenset[str]
    raw: frozenset[str]
    entry: _Entry
    documented: bool


def decode_quickly(
    body: bytes, aliases: Aliases, known: tuple[frozenset[str], frozenset[str]], sources: Collection[str]
) -> Quick | None:
    """The bank report in a body whose transactions all have the members of the first; None for everything else.

    `known` names the members that a report and its `raw` may have, `sources` the service's words for a bank report: a
    body of this shape under another word is read as what it says it is.
    """
    entry = _shape_of_first(body, _fed_by(tuple(aliases.items())))
    for documented in (True, False) if entry is not None else ():
        try:
            return _decode(body, Shape(*known, entry or (), documented), sources)
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, Unexpected, NeedsExactNumbers):
            continue  # the next way names what is wrong, if anything is
    return None


def _decode(body: bytes, shape: Shape, sources: Collection[str]) -> Quick | None:
    top = _decoder(shape).decode(body)
    report = _members_of(top.m0, shape.report)
    if report.get("source") not in sources:
        return None
    report["raw"] = raw = _members_of(report["raw"], shape.raw)
    entries, notes = raw.pop(_ENTRIES), DriftNotes()
    rows, n_members = _read_parts(raw, notes) if shape.documented else ({}, 0)
    n_members += 2 + count_members(report, depth=2) + len(entries) * len(shape.entry)
    if n_members != written_members(body):
        return None
    parts = Parts(_columns(entries, shape.entry, notes), rows)
    return Quick(report, parts, hashlib.sha256(_encode(top)).hexdigest(), notes)


@lru_cache(maxsize=16)
def _fed_by(items: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, tuple[str, Field]]:
    """The column that each member feeds, and its field."""
    return {name: (column, field) for column, (field, names) in compile_aliases(items).items() for name in names}


def _shape_of_first(body: bytes, columns: Mapping[str, tuple[str, Field]]) -> _Entry | None:
    """The members of the first transaction, if the alias map knows them all and one for each column."""
    marker = body.find(b'"allTransactions"')
    start = body.find(b"{", marker)
    if marker < 0 or start < 0:
        return None
    try:
        first, _ = _first_object(body[start : start + 4096].decode(errors="ignore"))
    except (ValueError, RecursionError):
        return None
    if len(first) < 2 or not first.keys() <= columns.keys() or len({columns[n][0] for n in first}) < len(first):
        return None
    kinds = ((name, *columns[name]) for name in sorted(first))
    return tuple(
        (name, column, "int" if field_.column.kind == "id" and type(first[name]) is int else field_.column.kind)
        for name, column, field_ in kinds
    )


# ------------------------------------------------------------------------------------------------ decoders


@lru_cache(maxsize=64)
def _decoder(shape: Shape) -> msgspec.json.Decoder[Any]:
    """A decoder of bodies of this shape; fields in the order of their names, so that encoding is canonical."""
    entry = _struct({name: _TYPES[kind] for name, _, kind in shape.entry})
    types: dict[str, Any] = dict.fromkeys(shape.raw, Any) | (_documented() if shape.documented else {})
    types[_ENTRIES] = list[entry]  # type: ignore[valid-type]
    raw = _struct(types, optional=shape.raw - {_ENTRIES})
    report: dict[str, Any] = dict.fromkeys(shape.report, Any) | {"raw": raw}
    return msgspec.json.Decoder(_struct({"report": _struct(report, optional=shape.report - {"raw"})}))


def _documented() -> dict[str, Any]:
    """The types of the parts of a bank report beside its transactions; any member of them may be absent."""
    statement, criterion, metric = (_struct_of(fields) for fields in (STATEMENT, CRITERION, METRIC))
    flag = _struct({"color": Any, "dataSanity": Any, "reasons": list[criterion] | None}, optional=_FLAG)  # type: ignore[valid-type]
    return {
        "summary": list[statement] | None,  # type: ignore[valid-type]
        "bankFlag": flag | None,
        "movementReport": dict[str, metric] | None,  # type: ignore[valid-type]
    }


_FLAG = ("color", "dataSanity", "reasons")


def _struct_of(fields: Mapping[str, Field]) -> Any:
    return _struct({name: _type_of(field) for name, field in fields.items()}, optional=fields)


def _type_of(field: Field) -> Any:
    if field.column.name == "value":
        return int | float | str | bool | None
    return str | int | None if field.column.kind == "id" else _TYPES[field.column.kind]


def _struct(members: Mapping[str, Any], optional: Collection[str] = ()) -> Any:
    """A struct of exactly these members, in the order of their names."""
    fields: list[Any] = []
    for at, (name, kind) in enumerate(sorted(members.items())):
        spec = msgspec.field(default=msgspec.UNSET, name=name) if name in optional else msgspec.field(name=name)
        fields.append((f"m{at}", kind | msgspec.UnsetType if name in optional and kind is not Any else kind, spec))
    return msgspec.defstruct("Members", fields, forbid_unknown_fields=True, gc=False, kw_only=True)


def _members_of(struct: Any, names: Iterable[str]) -> dict[str, Any]:
    values = zip(sorted(names), msgspec.structs.astuple(struct), strict=True)
    return {name: value for name, value in values if value is not msgspec.UNSET}


# ------------------------------------------------------------------------------------------------ parts


def _read_parts(raw: dict[str, Any], notes: DriftNotes) -> tuple[dict[str, list[Row]], int]:
    """The rows of the parts by table, and how many members they hold beside those that `count_members` sees."""
    if raw.get("bankFlag") is not None:
        raw["bankFlag"] = _members_of(raw["bankFlag"], _FLAG)
    reasons = (raw.get("bankFlag") or {}).get("reasons") or ()
    metrics = raw.get("movementReport") or {}
    statements, n = _rows(raw.get("summary") or (), STATEMENT, "raw.summary[]", notes)
    criteria, n_criteria = _rows(reasons, CRITERION, "raw.bankFlag.reasons[]", notes)
    values, n_values = _rows(metrics.values(), METRIC, "raw.movementReport.*", notes)
    rows: dict[str, list[Row]] = {
        "statement_summaries": [(*row, None) for row in statements],
        "bank_flag_criteria": [criterion_row(no, row, {}) for no, row in enumerate(criteria)],
        "movement_metrics": [(name, *row, None) for name, row in zip(metrics, values, strict=True)],
    }
    return rows, n + n_criteria + n_values


def _rows(items: Collection[Any], fields: Mapping[str, Field], path: str, notes: DriftNotes) -> tuple[list[Row], int]:
    """As `read_members` for each item, and how many members they hold; raises where that would refuse one."""
    columns: list[Any] = [()] * len(fields)
    n_absent = 0
    by_member = zip(*map(msgspec.structs.astuple, items), strict=True)
    for values, (name, field) in zip(by_member, sorted(fields.items()), strict=bool(items)):
        n = values.count(msgspec.UNSET)
        if n:
            notes.add(f"{path}.{name}", "missing_member")
            n_absent += n
        given = tuple(None if value is msgspec.UNSET else value for value in values) if n else values
        columns[field.position] = _column(given, field, f"{path}.{name}", notes)
    return list(zip(*columns, strict=True)), len(items) * len(fields) - n_absent


def _column(values: tuple[Any, ...], field: Field, path: str, notes: DriftNotes) -> Sequence[Any]:
    column = field.column
    if column.kind == "money":
        return [None if value is None else _units(value, path, notes) for value in values]
    convert = _CONVERT.get(column.kind)
    if column.name == "value":  # mixed, and kept as sent, unless it is a number out of range
        list(map(to_float, (value for value in values if type(value) is int)))
    elif convert is not None:
        values = tuple(None if value is None else convert(value) for value in values)
    if column.lo is not None or column.hi is not None:
        for value in values:
            within_range(column, value)
    for word in {*values}.difference(column.known, (None,)) if column.known else ():
        notes.add(path, "unknown_value", word)
    return values


def _units(value: float, path: str, notes: DriftNotes) -> int:
    units = to_units(value)
    if units % (MONEY_UNIT // 100) or units / MONEY_UNIT != value:
        note_money(value, units, path, notes)
    return units


_CONVERT: Mapping[str, Callable[[Any], Any]] = {"id": to_id, "float": to_float, "int": to_int}


# ------------------------------------------------------------------------------------------------ transactions


def _columns(rows: Sequence[Any], entry: _Entry, notes: DriftNotes) -> Entries:
    """Converted while the values are still in the processor's cache."""
    n = len(rows)
    entries = Entries(n, named=dict.fromkeys(NAMED, (None,) * n))
    by_member = zip(*map(msgspec.structs.astuple, rows), strict=True)
    for sent, (name, column, kind) in zip(by_member, entry, strict=bool(rows)):
        if kind == "money":
            entries.units[column] = _money(sent, f"{PLACE}.{name}", notes)
            continue
        digits = {value: to_id(value) for value in set(sent) if value is not None} if kind == "int" else {}
        values = tuple(map(digits.get, sent)) if digits else sent
        if column in NAMED:
            entries.named[column] = values
        entries.columns[column] = pa.array(values, ARROW[TRANSACTIONS[column].kind])
    for column in AMOUNTS:
        entries.units.setdefault(column, (np.zeros(n, np.int64), np.zeros(n, bool)))
    for column in (*COLUMNS, "extra"):
        if column not in AMOUNTS and column not in entries.columns:
            entries.columns[column] = pa.nulls(n, ARROW[TRANSACTIONS[column].kind])
    return entries


def _money(values: Sequence[float | None], path: str, notes: DriftNotes) -> tuple[np.ndarray, np.ndarray]:
    """As `to_units`, for a column at once; raises where an amount needs exact numbers."""
    numbers = np.array(values, np.float64)
    known = ~np.isnan(numbers)  # absent amounts became NaN, which no payload can hold
    numbers[~known] = 0.0
    if len(numbers) and np.abs(numbers).max() >= EXACT_BELOW:
        raise OverflowError
    cents = np.rint(numbers * 100)
    if (cents / 100 == numbers).all():
        return cents.astype(np.int64) * (MONEY_UNIT // 100), known
    units = np.rint(numbers * MONEY_UNIT).astype(np.int64)
    if (units % (MONEY_UNIT // 100)).any():
        notes.add(path, "sub_cent")
    if (units / MONEY_UNIT != numbers).any():
        notes.add(path, "rounded")
    return units, known
