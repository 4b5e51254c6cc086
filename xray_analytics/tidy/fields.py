"""Field parsing: the members of an object to the columns of a row, each strictly as its column's kind.

Nothing is guessed: no text becomes a number, no number a text, no day is read in two ways. Two coercions only: a whole
number where an identifier is expected becomes its digits, and 9.0 is the whole number 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from ..schema import MONEY_UNIT, Column
from .decode import Json, refuse
from .drift import DriftNotes, type_name

EXACT_BELOW = 10.0**11  # below it, rounding a float64 to four decimals gives back every literal of four decimals
MONEY_LIMIT = 10**18  # decimal(18, 4) in units of 1/10,000

# Exactly these forms. A day given as an instant must be in UTC, so that its date does not depend on a zone.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00))?", re.ASCII)


class NeedsExactNumbers(Exception):
    """An amount is too large for float64: the report is read again with decimals. Never leaves `tidy`."""


class Unexpected(Exception):
    """A value is not of its kind; becomes a `ReportError` once the path is known. Never leaves `tidy`.

    `line` is the line of the layout that would allow it, if one would.
    """

    def __init__(self, code: str, expected: str, line: str | None = None) -> None:
        super().__init__(expected)
        self.code, self.expected, self.line = code, expected, line

    def problem(self, value: Json) -> str:
        """What was expected and what was found, as one sentence without its place."""
        hint = f", which {self.line} in the layout would allow" if self.line else ""
        return f"expected {self.expected}, found {type_name(value)}{hint}"


class Around(NamedTuple):
    """What stands around an object: its key, where it is the value of a map, and the object that holds it."""

    key: str | None = None
    holder: Mapping[str, Json] = MappingProxyType({})


ALONE = Around()


class PayloadPlace(NamedTuple):
    """Where an object stands: a path with ``[]`` or ``*`` for each position, the positions, and what stands around."""

    pattern: str
    at: Any = ""
    around: Around = ALONE

    def exact(self, member: str = "") -> str:
        """The path with the positions filled in.

        >>> PayloadPlace("raw.summary[].entries.*", (2, "a")).exact("date")
        'raw.summary[2].entries.a.date'
        """
        positions = iter(self.at if type(self.at) is tuple else (self.at,))
        path = re.sub(r"\[\]|\*", lambda mark: _filled(mark[0], next(positions, "")), self.pattern)
        return ".".join(part for part in (path, member) if part)

    def general(self, member: str = "") -> str:
        """The path that is the same for all objects of this kind."""
        return ".".join(part for part in (self.pattern, member) if part)


def _filled(mark: str, position: int | str) -> str:
    return f"[{position}]" if mark == "[]" else str(position)


@dataclass(frozen=True, slots=True)
class Field:
    """A member's column, and how its value is read.

    `prepare` makes of a value as this layout writes it what `convert` reads: a number of a text, an amount of cents.

    A lenient field (a text of undocumented shape, a mixed value) leaves an object or an array it cannot read to
    `extra`; every other mismatch is an error. A field that is not expected may be absent without being missed. A
    value of a type in `plain`, or a text in `words`, needs no reading.
    """

    column: Column
    position: int
    convert: Callable[[Any], Any]
    lenient: bool = False
    expected: bool = True
    plain: tuple[type, ...] = ()
    words: frozenset[str] = frozenset()
    prepare: Callable[[Any], Any] | None = None
    as_documented: bool = True  # whether what is documented reads as it stands, and nothing else does


@dataclass(frozen=True)
class Writing:
    """How values are written: by kind what reads them, by column or kind what prepares them.

    `changed` are the kinds and columns that are not written as documented.
    """

    convert: Mapping[str, Callable[[Any], Any]]
    prepare: Mapping[str, Callable[[Any], Any]]
    changed: frozenset[str]


@dataclass(frozen=True)
class Members:
    """The members of one kind of object: their fields by path, how many columns they feed, and what paths need.

    `several` are the columns that more than one member may feed, as the members in order. `inner` are the paths with
    more than one step, by their first. `around` are those that lead to the object around or to the key of a map.
    """

    fields: Mapping[str, Field]
    width: int
    several: tuple[tuple[str, ...], ...]
    inner: Mapping[str, tuple[str, ...]]
    around: tuple[str, ...]


def fields_of(
    columns: Iterable[Column], prefix: str = "", *, lenient: Collection[str] = (), optional: Collection[str] = ()
) -> Members:
    """The members that feed columns, by name: of those whose source is ``prefix`` + name.

    >>> from ..tables import MOVEMENT_METRICS
    >>> {name: field.column.name for name, field in fields_of(MOVEMENT_METRICS.columns).fields.items()}
    {'period': 'period_value', 'annualised': 'annualised_value'}
    """
    fed = [(c, (c.source or "").removeprefix(prefix)) for c in columns if (c.source or "").startswith(prefix)]
    lines = {c: (member,) for c, member in fed if re.fullmatch(r"\w+", member) and c.name != "value_text"}
    return members_of(lines, lenient=lenient, optional=optional)


def members_of(
    lines: Mapping[Column, Sequence[str]],
    writing: Writing | None = None,
    *,
    lenient: Collection[str] = (),
    optional: Collection[str] = (),
) -> Members:
    """The members that feed columns: of each column its paths, in order; every column has its place in a row.

    `value` and `value_text` are one member and one field, a scalar for `to_mixed` to split. `lenient` and `optional`
    are members or columns, see `Field`.
    """
    fields: dict[str, Field] = {}
    for position, (column, paths) in enumerate(lines.items()):
        for path in paths:
            ours = {path, column.name}
            fields[path] = _field(column, position, writing, not ours.isdisjoint(lenient), ours.isdisjoint(optional))
    inner: dict[str, tuple[str, ...]] = {}
    around = tuple(path for path in fields if path == "{}" or path.startswith("^."))
    for path in fields.keys() - {*around}:
        head, dot, _ = path.partition(".")
        if dot:
            inner[head] = (*inner.get(head, ()), path)
    several = tuple(tuple(paths) for paths in lines.values() if len(paths) > 1)
    return Members(fields, len(lines), several, inner, around)


def _field(column: Column, position: int, writing: Writing | None, lenient: bool, expected: bool) -> Field:
    mixed = column.name == "value"
    bounded = column.known or column.lo is not None or column.hi is not None
    plain = () if bounded else (float, str, bool) if mixed else _PLAIN.get(column.kind, ())
    words = frozenset(column.known) if column.kind == "text" else frozenset()
    convert = _unchanged if mixed else (writing.convert if writing else CONVERT)[column.kind]
    prepare = writing.prepare.get(column.name) or writing.prepare.get(column.kind) if writing else None
    documented = writing is None or writing.changed.isdisjoint((column.name, column.kind))
    shown = () if prepare else plain
    return Field(column, position, convert, mixed or lenient, expected, shown, words, prepare, documented)


_PLAIN: Mapping[str, tuple[type, ...]] = {"text": (str,), "float": (float,)}


def read_members(
    value: Json, members: Members, place: PayloadPlace, notes: DriftNotes
) -> tuple[list[Any], dict[str, Json]]:
    """The values of an object's fields, in their order, and the members that no field takes.

    Absent and null members are None; absent ones are noted as missing, those without a field as unknown. Of several
    members that feed one column the first that is not null does.
    """
    fields = members.fields
    if type(value) is not dict:
        if "" not in fields or type(value) is list:
            refuse("wrong_type", place.exact(), f"expected an object, found {type_name(value)}")
        value = {"": value}
    row: list[Any] = [None] * members.width
    extra: dict[str, Any] = {}
    if members.inner or members.around:
        value, left = _flat(value, members, place, notes)
        extra |= left
    beaten = _beaten(value, members.several) if members.several else ()
    for name, item in value.items():
        field = fields.get(name)
        if field is None or name in beaten:
            extra[name] = item
            notes.add(place.general(name), "unknown_member", item)
        elif type(item) in field.plain or (type(item) is str and item in field.words):
            row[field.position] = item
        elif item is not None:
            row[field.position] = read_value(item, field, place, name, notes)
            if row[field.position] is LEFT:
                row[field.position], extra[name] = None, item
    if len(value) < members.width or extra:
        _note_missing(value, members, place, notes)
    return row, extra


def _beaten(value: Mapping[str, Json], several: tuple[tuple[str, ...], ...]) -> set[str]:
    """Members whose column another member feeds."""
    beaten: set[str] = set()
    for paths in several:
        given = [path for path in paths if value.get(path) is not None]
        beaten.update(given[1:])
    return beaten


def _note_missing(value: Mapping[str, Json], members: Members, place: PayloadPlace, notes: DriftNotes) -> None:
    given = {field.position for name, field in members.fields.items() if name in value}
    for name, field in members.fields.items():
        if field.expected and field.position not in given:
            given.add(field.position)
            notes.add(place.general(name), "missing_member")


def _flat(
    value: Mapping[str, Json], members: Members, place: PayloadPlace, notes: DriftNotes
) -> tuple[dict[str, Json], dict[str, Json]]:
    """The object with the members that paths lead to beside its own, and what they leave of its objects."""
    flat, left = dict(value), dict[str, Json]()
    for path in (*members.around, *(p for paths in members.inner.values() for p in paths)):
        if path in value:
            refuse("ambiguous_member", place.exact(path), "expected a path of the layout, found a member of that name")
    for path in members.around:
        flat[path] = place.around.key if path == "{}" else place.around.holder.get(path.removeprefix("^."))
    for head, paths in members.inner.items():
        if type(value.get(head)) is not dict:
            continue
        inner = flat.pop(head)
        found = {path: taken(inner, path.split(".")[1:]) for path in paths}
        flat |= {path: item for path, item in found.items() if item is not ABSENT}
        rest = without(inner, [path.split(".")[1:] for path in paths])
        if rest:
            left[head] = rest
            for name, item in rest.items():
                notes.add(place.general(f"{head}.{name}"), "unknown_member", item)
    return flat, left


ABSENT: Any = object()  # where a path leads to nothing, which is less than null


def taken(value: Json, steps: Sequence[str]) -> Json:
    """What steps into objects lead to."""
    for step in steps:
        if type(value) is not dict or step not in value:
            return ABSENT
        value = value[step]
    return value


def without(value: Mapping[str, Json], paths: Sequence[Sequence[str]]) -> dict[str, Json]:
    """An object without what these steps lead to, and without objects that are empty then.

    >>> without({"a": {"b": 1, "c": 2}, "d": {"e": 3}}, [["a", "b"], ["d", "e"]])
    {'a': {'c': 2}}
    """
    rest: dict[str, Json] = {}
    for name, item in value.items():
        below = [steps[1:] for steps in paths if steps[0] == name]
        if [] in below and not (type(item) is dict and any(below)):
            continue
        if below and type(item) is dict:
            left = without(item, [steps for steps in below if steps])
            if left:
                rest[name] = left
        else:
            rest[name] = item
    return rest


LEFT: Any = object()  # what `read_value` answers where a lenient field leaves a value to `extra`


def read_value(value: Json, field: Field, place: PayloadPlace, name: str, notes: DriftNotes) -> Any:
    """One value as its column's kind; money as whole units of 1/10,000."""
    try:
        return converted(value, field, place.general(name), notes)
    except Unexpected as wrong:
        if field.lenient and type(value) in (dict, list):
            notes.add(place.general(name), "unknown_value", value)
            return LEFT
        refuse(wrong.code, place.exact(name), wrong.problem(value))


def converted(value: Json, field: Field, path: str, notes: DriftNotes) -> Any:
    """As `read_value`, for a path without positions; raises where that would refuse or leave a value."""
    column = field.column
    sent = value if field.prepare is None else field.prepare(value)
    found = field.convert(sent)
    within_range(column, found)
    if column.kind == "money":
        note_money(sent, found, path, notes)
    elif column.known and found not in column.known:
        notes.add(path, "unknown_value", found)
    return found


def note_money(sent: Json, units: int, path: str, notes: DriftNotes) -> None:
    """Note an amount of more than four decimals, and one that is not a whole cent."""
    if (units / MONEY_UNIT != float(sent)) if abs(sent) < EXACT_BELOW else (Decimal(units) / MONEY_UNIT != sent):
        notes.add(path, "rounded")
    if units % (MONEY_UNIT // 100):
        notes.add(path, "sub_cent")


def within_range(column: Column, value: Any) -> None:
    """Raise where a number is outside the bounds of its column."""
    if value is None:
        return
    if column.lo is not None and value < column.lo:
        raise Unexpected("number_out_of_range", f"a number from {column.lo:g}")
    if column.hi is not None and value > column.hi:
        raise Unexpected("number_out_of_range", f"a number up to {column.hi:g}")


def to_text(value: Json) -> str:
    """A text."""
    if type(value) is not str:
        raise Unexpected("wrong_type", "text")
    return value


def to_id(value: Json) -> str | None:
    """An identifier as text; a whole number becomes its digits, and the empty text is no identifier.

    >>> to_id(1), to_id(1.0), to_id("0042"), to_id("")
    ('1', '1', '0042', None)
    """
    if type(value) is str:
        return value or None
    return str(to_int(value, expected="a text or a whole number"))


def to_float(value: Json) -> float:
    """A number as float64."""
    if type(value) not in (int, float, Decimal):
        raise Unexpected("wrong_type", "a number")
    try:
        return float(value)
    except OverflowError:
        raise Unexpected("number_out_of_range", "a number within float64") from None


def to_int(value: Json, expected: str = "a whole number") -> int:
    """A whole number of 64 bits; 9.0 is one, 9.5 and true are not."""
    if type(value) in (float, Decimal) and value == int(value):
        value = int(value)
    if type(value) is not int:
        raise Unexpected("wrong_type", expected)
    if not -(2**63) <= value < 2**63:
        raise Unexpected("number_out_of_range", f"{expected} of 64 bits")
    return value


def to_bool(value: Json) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise Unexpected("wrong_type", "true or false")
    return value


def to_units(value: Json) -> int:
    """An amount as whole units of 1/10,000, half to even."""
    number = to_float(value)
    if abs(number) < EXACT_BELOW:
        return round(number * MONEY_UNIT)
    if type(value) is float:
        if abs(number) * MONEY_UNIT < 2 * MONEY_LIMIT:
            raise NeedsExactNumbers
        raise Unexpected("money_out_of_range", "an amount below 10^14")
    units = int((Decimal(value) * MONEY_UNIT).to_integral_value(ROUND_HALF_EVEN))
    if abs(units) >= MONEY_LIMIT:
        raise Unexpected("money_out_of_range", "an amount below 10^14")
    return units


def to_day(value: Json) -> date:
    """A calendar day: ``YYYY-MM-DD``, or an instant in UTC of which the date is taken.

    >>> to_day("2021-08-31"), to_day("2021-08-31T22:00:00.000Z")
    (datetime.date(2021, 8, 31), datetime.date(2021, 8, 31))
    """
    match = _DAY.fullmatch(to_text(value)) if type(value) is str else None
    if match is None:
        raise Unexpected("bad_date", "a day as YYYY-MM-DD")
    try:
        return date.fromisoformat(match[1])
    except ValueError:
        raise Unexpected("bad_date", "a day of the calendar") from None


def to_instant(value: Json) -> datetime:
    """An instant in UTC from ISO 8601 with seconds and an offset."""
    if type(value) is not str or not _INSTANT.fullmatch(value):
        raise Unexpected("bad_date", "an instant as YYYY-MM-DDTHH:MM:SSZ")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unexpected("bad_date", "an instant of the calendar") from None


def to_texts(value: Json) -> list[str]:
    """A list of texts."""
    if type(value) is not list or any(type(item) is not str for item in value):
        raise Unexpected("wrong_type", "an array of texts")
    return value


CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "id": to_id,
    "text": to_text,
    "date": to_day,
    "instant": to_instant,
    "int": to_int,
    "float": to_float,
    "bool": to_bool,
    "money": to_units,
    "list<text>": to_texts,
}


Mixed = tuple[float | None, str | None]


def to_mixed(value: Json) -> Mixed:
    """A mixed value as a number, and as text where it is none.

    >>> to_mixed(0.5), to_mixed(True), to_mixed("yellow"), to_mixed(None)
    ((0.5, None), (None, 'true'), (None, 'yellow'), (None, None))
    """
    if type(value) is bool:
        return None, "true" if value else "false"
    if type(value) is str or value is None:
        return None, value
    return to_float(value), None


def _unchanged(value: Json) -> Json:
    to_mixed(value)
    return value


def read_mixed(value: Json, path: str) -> Mixed:
    """A mixed value that is a scalar; a number out of range is refused."""
    try:
        return to_mixed(value)
    except Unexpected as wrong:
        refuse(wrong.code, path, wrong.problem(value))
