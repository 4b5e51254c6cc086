"""Fast decoding of a bank report, in C: its parts as documented, its transactions all like the first of them.

What is not so is left to the reference way (`decode`, `transactions`, `bank`), which gives the same tables; a
property test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from ..schema import ARROW, MONEY_UNIT
from ..tables import TRANSACTIONS
from .bank import TABLES, criterion_row
from .decode import Json, count_members, written_members
from .drift import DriftNotes
from .fields import (
    EXACT_BELOW,
    Field,
    Members,
    NeedsExactNumbers,
    Unexpected,
    converted,
    note_money,
    taken,
    to_float,
    to_id,
    to_int,
    to_units,
    within_range,
)
from .layout.reader import SIDE, Reader, Side
from .rows import Parts, Row
from .transactions import AMOUNTS, COLUMNS, NAMED, Entries

_Scalar = str | int | float | None
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
    "other": _Scalar,
}


class Member(NamedTuple):
    """A member of every transaction: where it is, the column it feeds by position, and how it is sent.

    An identifier sent as a whole number is an "int"; what is not written as documented, or not as the column's kind,
    is "other" and read value by value, each different one once.
    """

    name: str
    inside: str
    position: int
    sent: str


_Entry = tuple[Member, ...]


@dataclass(frozen=True)
class Plan:
    """What a layout must be like to be read in C: its parts are members of `raw`, in one place each.

    `report` and `raw` are the members that each may have. `flag` holds the criteria and values of the report; without
    it only the transactions are read in C.
    """

    report: frozenset[str]
    raw: frozenset[str]
    entries: str
    statements: str = ""
    criteria: str = ""
    metrics: str = ""
    flag: str = ""
    flag_members: tuple[str, ...] = ()


@lru_cache(maxsize=32)
def plan_of(reader: Reader) -> Plan | None:
    """How reports of a layout can be read in C; None where they cannot."""
    entries = _member_of_raw(reader, "transactions", "[]")
    if entries is None or reader.entry.around or "report" not in reader.envelopes:
        return None
    paths = [steps for field in reader.report for steps in field.paths]
    report = frozenset(("raw", *(steps[0] for steps in paths)))
    in_raw = [steps[1] for steps in paths if steps[0] == "raw" and len(steps) > 1]
    heads = [path.steps[1].member for part in reader.parts.values() for path in part if len(path.steps) > 1]
    plain = Plan(report, frozenset((entries, *in_raw, *heads)), entries)
    statements, metrics = _member_of_raw(reader, "statements", "[]"), _member_of_raw(reader, "metrics", "{}")
    (criteria, *others), values = reader.parts["criteria"], [s[1:] for s in paths if s[0] == "raw" and len(s) == 3]
    steps = [step.member for step in criteria.steps]
    simple = all(map(_is_simple, (reader.statement, reader.criterion, reader.metric))) and reader.metric_is_key
    if others or len(steps) != 3 or steps[0] != "raw" or not statements or not metrics or not simple:
        return plain
    if {head for head, _ in values} - {steps[1]}:
        return plain
    members = tuple(sorted({steps[2], *(name for _, name in values)}))
    return replace(
        plain, statements=statements, criteria=steps[2], metrics=metrics, flag=steps[1], flag_members=members
    )


def _member_of_raw(reader: Reader, part: str, each: str) -> str | None:
    paths = reader.parts[part]
    steps = paths[0].steps if paths else ()
    if len(paths) != 1 or len(steps) != 2 or steps[0].member != "raw" or steps[0].each or steps[1].each != (each,):
        return None
    return steps[1].member


def _is_simple(members: Members) -> bool:
    return not (members.inner or members.around or members.several or "" in members.fields)


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
    members but those of the layout.
    """

    report: frozenset[str]
    raw: frozenset[str]
    entry: _Entry
    documented: bool


def decode_quickly(
    body: bytes, reader: Reader, known: tuple[frozenset[str], frozenset[str]], sources: Collection[str]
) -> Quick | None:
    """The bank report in a body whose transactions all have the members of the first; None for everything else.

    `known` names the members that a report and its `raw` may have, `sources` the service's words for a bank report: a
    body of this shape under another word is read as what it says it is.
    """
    plan = plan_of(reader)
    entry = _shape_of_first(body, reader, plan.entries) if plan else None
    if plan is None or entry is None:
        return None
    for documented in (True, False) if plan.flag else (False,):
        try:
            return _decode(body, Shape(*known, entry, documented), plan, reader, sources)
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, Unexpected, NeedsExactNumbers):
            continue  # the next way names what is wrong, if anything is
    return None


def _decode(body: bytes, shape: Shape, plan: Plan, reader: Reader, sources: Collection[str]) -> Quick | None:
    top = _decoder(shape, plan, reader).decode(body)
    report = _members_of(top.m0, shape.report)
    if not any(taken(report, steps) in sources for steps in reader.paths("source")):
        return None
    report["raw"] = raw = _members_of(report["raw"], shape.raw)
    entries, notes = raw.pop(plan.entries), DriftNotes()
    if shape.documented and raw.get(plan.flag) is not None:
        raw[plan.flag] = _members_of(raw[plan.flag], plan.flag_members)
    n_members = 2 + count_members(report, depth=2)
    rows, n_in_parts = _read_parts(raw, plan, reader, notes) if shape.documented else ({}, 0)
    columns, n_in_entries = _columns(entries, shape.entry, reader, notes)
    if n_members + n_in_parts + n_in_entries != written_members(body):
        return None
    return Quick(report, Parts(columns, rows), hashlib.sha256(_encode(top)).hexdigest(), notes)


def _shape_of_first(body: bytes, reader: Reader, entries: str) -> _Entry | None:
    """The members of the first transaction, if the layout knows them all and one for each column."""
    marker = body.find(f'"{entries}"'.encode())
    start = body.find(b"{", marker)
    if marker < 0 or start < 0:
        return None
    try:
        first, _ = _first_object(body[start : start + 4096].decode(errors="ignore"))
    except (ValueError, RecursionError):
        return None
    if len(first) < 2:
        return None
    shape: list[Member] = []
    fields, inner = reader.entry.fields, reader.entry.inner
    for name in sorted(first):
        value = first[name]
        if name in inner and type(value) is dict:
            paths = {f"{name}.{below}": value[below] for below in sorted(value)}
        elif name in fields:
            paths = {name: value}
        else:
            return None
        if not paths or not paths.keys() <= fields.keys():
            return None
        shape += [
            Member(name, path[len(name) + 1 :], fields[path].position, _sent(fields[path], v))
            for path, v in paths.items()
        ]
    positions = [member.position for member in shape]
    several_pairs = sum(len(COLUMNS) <= position < len(COLUMNS) + 2 * len(reader.pairs) for position in positions) > 2
    return tuple(shape) if len({*positions}) == len(positions) and not several_pairs else None


def _sent(field: Field, value: Json) -> str:
    """How a column is sent, by the value of the first transaction."""
    kind = field.column.kind
    if not field.as_documented or (kind == "date" and type(value) is str and len(value) != len("2023-05-31")):
        return "other"
    return "int" if kind == "id" and type(value) is int else kind


# ------------------------------------------------------------------------------------------------ decoders


@lru_cache(maxsize=64)
def _decoder(shape: Shape, plan: Plan, reader: Reader) -> msgspec.json.Decoder[Any]:
    """A decoder of bodies of this shape; fields in the order of their names, so that encoding is canonical."""
    members: dict[str, Any] = {}
    for name in {member.name for member in shape.entry}:
        inside = {member.inside: _TYPES[member.sent] for member in shape.entry if member.name == name}
        members[name] = inside[""] if "" in inside else _struct(inside) | None
    types: dict[str, Any] = dict.fromkeys(shape.raw, Any) | (_documented(plan, reader) if shape.documented else {})
    types[plan.entries] = list[_struct(members)]  # type: ignore[misc]
    raw = _struct(types, optional=shape.raw - {plan.entries})
    report: dict[str, Any] = dict.fromkeys(shape.report, Any) | {"raw": raw}
    return msgspec.json.Decoder(_struct({"report": _struct(report, optional=shape.report - {"raw"})}))


def _documented(plan: Plan, reader: Reader) -> dict[str, Any]:
    """The types of the parts of a bank report beside its transactions; any member of them may be absent."""
    statement, criterion, metric = map(_struct_of, (reader.statement, reader.criterion, reader.metric))
    inside: dict[str, Any] = dict.fromkeys(plan.flag_members, Any) | {plan.criteria: list[criterion] | None}  # type: ignore[valid-type]
    return {
        plan.statements: list[statement] | None,  # type: ignore[valid-type]
        plan.flag: _struct(inside, optional=plan.flag_members) | None,
        plan.metrics: dict[str, metric] | None,  # type: ignore[valid-type]
    }


def _struct_of(members: Members) -> Any:
    return _struct({name: _type_of(field) for name, field in members.fields.items()}, optional=members.fields)


def _type_of(field: Field) -> Any:
    if not field.as_documented:
        return _Scalar
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


def _read_parts(
    raw: dict[str, Any], plan: Plan, reader: Reader, notes: DriftNotes
) -> tuple[dict[str, list[Row] | None], int]:
    """The rows of the parts by table, taken out of `raw`, and how many members their elements hold.

    A part that is null has no rows, and neither has one that is absent, which is noted as missing.
    """
    flag = raw.get(plan.flag)
    found = {
        "statements": _part(raw, plan.statements, "raw", notes),
        "metrics": _part(raw, plan.metrics, "raw", notes),
        "criteria": None if flag is None else _part(flag, plan.criteria, f"raw.{plan.flag}", notes),
    }
    if plan.flag not in raw:
        notes.add(f"raw.{plan.flag}", "missing_member")
    metrics, paths = found["metrics"], {part: paths[0].pattern for part, paths in reader.parts.items()}
    statements, n = _rows(found["statements"] or (), reader.statement, paths["statements"], notes)
    criteria, n_criteria = _rows(found["criteria"] or (), reader.criterion, paths["criteria"], notes)
    values, n_values = _rows((metrics or {}).values(), reader.metric, paths["metrics"], notes)
    rows: dict[str, list[Row]] = {
        "statements": [(*row, None) for row in statements],
        "criteria": [criterion_row(no, row, {}) for no, row in enumerate(criteria)],
        "metrics": [(name, *row, None) for name, row in zip(metrics or {}, values, strict=True)],
    }
    read = {TABLES[part]: None if found[part] is None else rows[part] for part in TABLES}
    return read, n + n_criteria + n_values


def _part(holder: dict[str, Any], name: str, path: str, notes: DriftNotes) -> Any:
    if name not in holder:
        notes.add(f"{path}.{name}", "missing_member")
    return holder.pop(name, None)


def _rows(items: Collection[Any], members: Members, path: str, notes: DriftNotes) -> tuple[list[Row], int]:
    """As `read_members` for each item, and how many members they hold; raises where that would refuse one."""
    nothing = (None,) * len(items)
    columns: list[Any] = [nothing] * members.width
    n_absent = 0
    by_member = zip(*map(msgspec.structs.astuple, items), strict=True)
    for values, (name, field) in zip(by_member, sorted(members.fields.items()), strict=bool(items)):
        n = values.count(msgspec.UNSET)
        if n:
            notes.add(f"{path}.{name}", "missing_member")
            n_absent += n
        given = tuple(None if value is msgspec.UNSET else value for value in values) if n else values
        columns[field.position] = _column(given, field, f"{path}.{name}", notes)
    return list(zip(*columns, strict=True)), len(items) * len(members.fields) - n_absent


def _column(values: tuple[Any, ...], field: Field, path: str, notes: DriftNotes) -> Sequence[Any]:
    column = field.column
    if not field.as_documented:
        return [None if value is None else converted(value, field, path, notes) for value in values]
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


def _columns(rows: Sequence[Any], entry: _Entry, reader: Reader, notes: DriftNotes) -> tuple[Entries, int]:
    """The transactions, and how many members they hold; converted while values are still in the processor's cache."""
    n = len(rows)
    entries = Entries(n, named=dict.fromkeys(NAMED, (None,) * n))
    sent, n_members = _by_member(rows, entry)
    pattern = reader.parts["transactions"][0].pattern
    words: Sequence[Any] | None = None
    for member, values in zip(entry, sent, strict=bool(rows)):
        field = reader.by_position[member.position]
        name, path = field.column.name, f"{pattern}.{member.name}"
        path = f"{path}.{member.inside}" if member.inside else path
        if field.column.kind == "money":
            entries.units[name] = (
                _money(values, path, notes) if member.sent == "money" else _other_money(values, field, path, notes)
            )
        elif field.column is SIDE:
            words = [None if value is None else field.convert(value) for value in values]
        else:
            read = _values(values, member, field, path, notes)
            if name in NAMED:
                entries.named[name] = read
            entries.columns[name] = pa.array(read, ARROW[field.column.kind])
    entries.units["amount"] = _amounts(entries.units, words, reader, n)
    for name in (*COLUMNS, "extra"):
        if name in AMOUNTS:
            entries.units.setdefault(name, (np.zeros(n, np.int64), np.zeros(n, bool)))
        elif name not in entries.columns:
            entries.columns[name] = pa.nulls(n, ARROW[TRANSACTIONS[name].kind])
    entries.units = {name: entries.units[name] for name in AMOUNTS}
    return entries, n_members


def _by_member(rows: Sequence[Any], entry: _Entry) -> tuple[list[Sequence[Any]], int]:
    """The values of each member of all transactions, those inside objects as well, and how many members there are."""
    by_name = dict(
        zip(sorted({m.name for m in entry}), zip(*map(msgspec.structs.astuple, rows), strict=True), strict=False)
    )
    if not any(member.inside for member in entry) or not rows:
        return [by_name[member.name] for member in entry] if rows else [()] * len(entry), len(rows) * len(by_name)
    n_members, sent = len(rows) * len(by_name), dict[tuple[str, str], Sequence[Any]]()
    for name, objects in by_name.items():
        inside = [member.inside for member in entry if member.name == name and member.inside]
        if not inside:
            sent[name, ""] = objects
            continue
        n_members += sum(one is not None for one in objects) * len(inside)
        nothing = (None,) * len(inside)
        columns = zip(*(nothing if one is None else msgspec.structs.astuple(one) for one in objects), strict=True)
        sent |= {(name, below): column for below, column in zip(inside, columns, strict=True)}
    return [sent[member.name, member.inside] for member in entry], n_members


def _values(values: Sequence[Any], member: Member, field: Field, path: str, notes: DriftNotes) -> Sequence[Any]:
    """The values of a column that holds no money; each different one is read once."""
    if member.sent not in ("int", "other"):
        return values
    found = {value: converted(value, field, path, notes) for value in {*values} if value is not None}
    return tuple(map(found.get, values))


def _other_money(values: Sequence[Any], field: Field, path: str, notes: DriftNotes) -> tuple[np.ndarray, np.ndarray]:
    known = np.array([value is not None for value in values], bool)
    found = {value: converted(value, field, path, notes) for value in {*values} if value is not None}
    return np.array([found.get(value, 0) for value in values], np.int64), known


def _amounts(
    units: Mapping[str, tuple[np.ndarray, np.ndarray]], words: Sequence[Any] | None, reader: Reader, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """As the reference makes amounts, for all at once; raises where that refuses or leaves something."""
    nothing = np.zeros(n, np.int64), np.zeros(n, bool)
    amount, known = units.get("amount", nothing)
    made = np.zeros(n, bool)
    for number in range(len(reader.pairs)):
        if not {f"credit{number}", f"debit{number}"} & units.keys():
            continue
        (credit, has_credit), (debit, has_debit) = (
            units.get(f"{side}{number}", nothing) for side in ("credit", "debit")
        )
        given = has_credit | has_debit
        made = given & (~known | ((amount == 0) & ((credit != 0) | (debit != 0))))
        if (given & ~made).any() or _is_mixed(credit[made], reader) or _is_mixed(debit[made], reader):
            raise Unexpected("wrong_type", "amounts that need no second look")
        amount = np.where(made, np.abs(credit) - np.abs(debit), amount)
        known = known | made
    signed = known & ~made
    if reader.side is not None:
        return np.where(signed, _sided(amount, signed, words, reader.side), amount), known
    return np.where(signed, -amount, amount) if reader.inverted else amount, known


def _is_mixed(side: np.ndarray, reader: Reader) -> bool:
    below = side < 0
    return bool(below.any() and (reader.unsigned or (side > 0).any()))


def _sided(amount: np.ndarray, signed: np.ndarray, words: Sequence[Any] | None, side: Side) -> np.ndarray:
    signs = np.array([side.words.get(word, 0) for word in words or (None,) * len(amount)], np.int64)
    counts = signed & (amount != 0)
    debits = amount[counts & (signs < 0)]
    if (signs[counts] == 0).any() or (amount[counts & (signs > 0)] < 0).any() or len({*np.sign(debits)}) > 1:
        raise Unexpected("wrong_type", "amounts that need no second look")
    return np.where(signs < 0, -np.abs(amount), amount)


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
