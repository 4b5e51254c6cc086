"""The transactions of a bank report, read in two ways with one meaning.

The members of a transaction are not documented, so an alias map says which feed which column. `read_entries` is the
reference: one object after the other, everything noted. `decode_quickly` decodes a whole body whose transactions all
look like its first one, in C, and gives up at anything else; a property test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ..errors import InputError
from ..schema import ARROW, MONEY_UNIT
from ..tables import CREDIT_DEBIT_PAIRS, TRANSACTIONS
from .decode import Json, count_members, refuse, to_json, written_members
from .drift import Notes, type_name
from .members import CONVERT, EXACT_BELOW, LEFT, Field, Place, Unexpected, read_value, to_id, to_units

Aliases = Mapping[str, tuple[str, ...]]
PLACE = "raw.allTransactions[]"
COLUMNS = (*(c.name for c in TRANSACTIONS.columns if c.assumed), "currency")
AMOUNTS = ("amount", "balance_after")
NAMED = ("account_id", "statement_id", "currency")


@dataclass
class Entries:
    """The transactions of one report: Arrow arrays by column, amounts in units of 1/10,000 with a mask of those given.

    `named` holds the columns that tell accounts apart once more, as texts.
    """

    n: int = 0
    columns: dict[str, pa.Array] = field(default_factory=dict)
    units: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    named: dict[str, Sequence[str | None]] = field(default_factory=dict)


def _entries(columns: dict[str, Sequence[Any]], units: dict[str, tuple[np.ndarray, np.ndarray]], n: int) -> Entries:
    """Convert while the values are still in the processor's cache, and keep few objects alive."""
    named = {name: columns[name] for name in NAMED}
    arrays = {name: pa.array(values, ARROW[TRANSACTIONS[name].kind]) for name, values in columns.items()}
    return Entries(n, arrays, units, named)


@lru_cache(maxsize=16)
def compile_aliases(items: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, tuple[Field, tuple[str, ...]]]:
    """Field and candidate members of each column, checked.

    Raises
    ------
    InputError
        A column that does not exist, or a member that feeds two columns.
    """
    unknown = sorted({column for column, _ in items} - set(COLUMNS))
    members = [name for _, names in items for name in names]
    doubled = sorted({name for name in members if members.count(name) > 1})
    if unknown or doubled:
        what = f"has no column {unknown[0]!r}" if unknown else f"maps member {doubled[0]!r} twice"
        raise InputError(f"the alias map of transactions {what}; correct [transaction_aliases] in the settings file")
    return {
        column: (
            Field(TRANSACTIONS[column], 0, CONVERT[kind], lenient=kind in ("id", "text", "list<text>")),
            names,
        )
        for column, names in items
        for kind in [TRANSACTIONS[column].kind]
    }


# ------------------------------------------------------------------------------------------------ the reference


def read_entries(items: Json, aliases: Aliases, notes: Notes) -> Entries:
    """All transactions, object by object; what no column takes goes to `extra`."""
    if type(items) is not list:
        refuse("wrong_type", Place(PLACE.removesuffix("[]")).exact(), f"expected an array, found {type_name(items)}")
    compiled = compile_aliases(tuple(aliases.items()))
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    extras = []
    for position, item in enumerate(items):
        row, extra = _read_entry(item, compiled, Place(PLACE, position), notes)
        for name, values in columns.items():
            values.append(row.get(name))
        extras.append(to_json(extra) if extra else None)
    units = {name: _units(columns.pop(name)) for name in AMOUNTS}
    return _entries({**columns, "extra": extras}, units, len(items))


def _read_entry(
    item: Json, compiled: Mapping[str, tuple[Field, tuple[str, ...]]], place: Place, notes: Notes
) -> tuple[dict[str, Any], dict[str, Any]]:
    if type(item) is not dict:
        refuse("wrong_type", place.exact(), f"expected an object, found {type_name(item)}")
    row: dict[str, Any] = {}
    taken = set()
    for column, (field_, names) in compiled.items():
        name = next((n for n in names if item.get(n) is not None), None)
        if name is not None:
            row[column] = read_value(item[name], field_, place, name, notes)
            taken.add(name)
            if row[column] is LEFT:
                row[column] = None
                taken.discard(name)
    if row.get("amount") is None:
        row["amount"], pair = _read_pair(item, place)
        taken |= pair
    candidates = {name for _, names in compiled.values() for name in names}
    extra = {n: v for n, v in item.items() if n not in taken and (v is not None or n not in candidates)}
    for name, value in extra.items():
        notes.add(place.general(name), "unknown_member", value)
    return row, extra


def _read_pair(item: Mapping[str, Json], place: Place) -> tuple[int | None, set[str]]:
    """An amount given as unsigned credit and debit: credit less debit, and the members it was read from."""
    for pair in CREDIT_DEBIT_PAIRS:
        given = {name for name in pair if item.get(name) is not None}
        if given:
            credit, debit = (_read_unsigned(item[n], place, n) if n in given else 0 for n in pair)
            return credit - debit, given | (set(pair) & item.keys())
    return None, set()


def _read_unsigned(value: Json, place: Place, name: str) -> int:
    try:
        units = to_units(value)
    except Unexpected as wrong:
        refuse(wrong.code, place.exact(name), f"expected {wrong.expected}, found {type_name(value)}")
    if units < 0:
        refuse("number_out_of_range", place.exact(name), "expected an unsigned amount, found one below 0")
    return units


def _units(values: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
    known = np.array([v is not None for v in values], bool)
    return np.array([v or 0 for v in values], np.int64), known


# ------------------------------------------------------------------------------------------------ the quick way


@dataclass(frozen=True)
class Quick:
    """A report decoded quickly: its members without the transactions, these, and the digest of the content."""

    report: dict[str, Json]
    entries: Entries
    content_sha256: str


_Entry = tuple[tuple[str, str, str], ...]  # member, column, kind; an identifier sent as a whole number is an "int"


@dataclass(frozen=True)
class Shape:
    """How a body may look: the members of the report and of `raw`, and those that every transaction has."""

    report: frozenset[str]
    raw: frozenset[str]
    entry: _Entry


def decode_quickly(
    body: bytes, aliases: Aliases, known: tuple[frozenset[str], frozenset[str]], notes: Notes
) -> Quick | None:
    """The report in a body whose transactions all have the members of the first; None for everything else.

    `known` names the members that a report and its `raw` may have.
    """
    entry = _shape_of_first(body, compile_aliases(tuple(aliases.items())))
    if entry is None:
        return None
    shape = Shape(*known, entry)
    try:
        top = _decoder(shape).decode(body)
        report = _members_of(top.m0, shape.report)
        report["raw"] = raw = _members_of(report["raw"], shape.raw)
        rows = raw.pop(_ENTRIES)
        if 2 + count_members(report, depth=2) + len(rows) * len(entry) != written_members(body):
            return None
        entries = _columns(rows, entry, notes)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, Unexpected):
        return None  # the reference way names what is wrong, if anything is
    return Quick(report, entries, hashlib.sha256(_encode(top)).hexdigest())


_ENTRIES = "allTransactions"
_encode = msgspec.json.Encoder(order="deterministic").encode
_first_object = json.JSONDecoder().raw_decode
_TYPES = {
    "id": str | None,
    "int": int | None,
    "text": str | None,
    "date": date | None,
    "money": int | float | None,
    "list<text>": tuple[str, ...] | None,  # most are empty, and the empty tuple is one object
}


def _shape_of_first(body: bytes, compiled: Mapping[str, tuple[Field, tuple[str, ...]]]) -> _Entry | None:
    """The members of the first transaction, if the alias map knows them all and one for each column."""
    marker = body.find(b'"allTransactions"')
    start = body.find(b"{", marker)
    if marker < 0 or start < 0:
        return None
    try:
        first, _ = _first_object(body[start : start + 4096].decode(errors="ignore"))
    except (ValueError, RecursionError):
        return None
    columns = {name: (column, field_) for column, (field_, names) in compiled.items() for name in names}
    if len(first) < 2 or not first.keys() <= columns.keys() or len({columns[n][0] for n in first}) < len(first):
        return None
    kinds = ((name, *columns[name]) for name in sorted(first))
    return tuple(
        (name, column, "int" if field_.column.kind == "id" and type(first[name]) is int else field_.column.kind)
        for name, column, field_ in kinds
    )


@lru_cache(maxsize=64)
def _decoder(shape: Shape) -> msgspec.json.Decoder[Any]:
    """A decoder of bodies of this shape; fields in the order of their names, so that encoding is canonical."""
    entry = _struct([(name, _TYPES[kind]) for name, _, kind in shape.entry])
    raw = _struct([(name, list[entry] if name == _ENTRIES else Any) for name in shape.raw], _ENTRIES)  # type: ignore[valid-type]
    report = _struct([(name, raw if name == "raw" else Any) for name in shape.report], "raw")
    return msgspec.json.Decoder(_struct([("report", report)]))


def _struct(members: list[tuple[str, Any]], *required: str) -> Any:
    """A struct of exactly these members; with `required`, all others may be absent."""
    fields: list[Any] = []
    for at, (name, kind) in enumerate(sorted(members, key=lambda m: m[0])):
        optional = bool(required) and name not in required
        spec = msgspec.field(default=msgspec.UNSET, name=name) if optional else msgspec.field(name=name)
        fields.append((f"m{at}", kind | msgspec.UnsetType if optional and kind is not Any else kind, spec))
    return msgspec.defstruct("Members", fields, forbid_unknown_fields=True, gc=False, kw_only=True)


def _members_of(struct: Any, names: frozenset[str]) -> dict[str, Any]:
    values = zip(sorted(names), msgspec.structs.astuple(struct), strict=True)
    return {name: value for name, value in values if value is not msgspec.UNSET}


def _columns(rows: Sequence[Any], entry: _Entry, notes: Notes) -> Entries:
    n = len(rows)
    columns: dict[str, Sequence[Any]] = dict.fromkeys((*COLUMNS, "extra"), [None] * n)
    units = dict.fromkeys(AMOUNTS, _units(columns["amount"]))
    by_member = zip(*map(msgspec.structs.astuple, rows), strict=True)
    for values, (name, column, kind) in zip(by_member, entry, strict=bool(rows)):
        if kind == "money":
            units[column] = _float_units(values, f"{PLACE}.{name}", notes)
        elif kind == "int":
            digits = {value: to_id(value) for value in set(values) if value is not None}
            columns[column] = list(map(digits.get, values))
        else:
            columns[column] = values
    return _entries({name: values for name, values in columns.items() if name not in AMOUNTS}, units, n)


def _float_units(values: Sequence[float | None], path: str, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """As `to_units`, for a column at once; raises where an amount needs exact numbers."""
    numbers = np.array(values, np.float64)
    known = ~np.isnan(numbers)  # absent amounts became NaN, which no payload can hold
    numbers[~known] = 0.0
    if len(numbers) and np.abs(numbers).max() >= EXACT_BELOW:
        raise OverflowError
    units = np.rint(numbers * MONEY_UNIT).astype(np.int64)
    if (units % (MONEY_UNIT // 100)).any():
        notes.add(path, "sub_cent")
    if (units / MONEY_UNIT != numbers).any():
        notes.add(path, "rounded")
    return units, known
