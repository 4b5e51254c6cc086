"""Field parsing: the members of an object to the columns of a row, each strictly as its column's kind.

Nothing is guessed: no text becomes a number, no number a text, no day is read in two ways. Two coercions only: a whole
number where an identifier is expected becomes its digits, and 9.0 is the whole number 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
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
    """A value is not of its kind; becomes a `ReportError` once the path is known. Never leaves `tidy`."""

    def __init__(self, code: str, expected: str) -> None:
        super().__init__(expected)
        self.code, self.expected = code, expected


class PayloadPlace(NamedTuple):
    """Where an object stands: a path with ``[]`` or ``*`` for its position, and that position."""

    pattern: str
    at: int | str = ""

    def exact(self, member: str = "") -> str:
        """The path with the position filled in."""
        path = self.pattern.replace("[]", f"[{self.at}]").replace("*", str(self.at))
        return ".".join(part for part in (path, member) if part)

    def general(self, member: str = "") -> str:
        """The path that is the same for all objects of this kind."""
        return ".".join(part for part in (self.pattern, member) if part)


@dataclass(frozen=True, slots=True)
class Field:
    """A member's column, and how its value is read.

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


def fields_of(
    columns: Iterable[Column], prefix: str = "", *, lenient: Collection[str] = (), optional: Collection[str] = ()
) -> dict[str, Field]:
    """The members that feed columns, by name: of those whose source is ``prefix`` + name.

    `value` and `value_text` are one member and one field, a scalar for `to_mixed` to split.

    >>> from ..tables import MOVEMENT_METRICS
    >>> {name: field.column.name for name, field in fields_of(MOVEMENT_METRICS.columns).items()}
    {'period': 'period_value', 'annualised': 'annualised_value'}
    """
    fields: dict[str, Field] = {}
    for column in columns:
        member = (column.source or "").removeprefix(prefix)
        if not (column.source or "").startswith(prefix) or not re.fullmatch(r"\w+", member):
            continue
        if column.name == "value_text":
            continue
        mixed = column.name == "value"
        convert = _unchanged if mixed else CONVERT[column.kind]
        bounded = column.known or column.lo is not None or column.hi is not None
        plain = () if bounded else (float, str, bool) if mixed else _PLAIN.get(column.kind, ())
        field = Field(column, len(fields), convert, mixed or member in lenient, member not in optional, plain)
        fields[member] = replace(field, words=frozenset(column.known) if column.kind == "text" else frozenset())
    return fields


_PLAIN: Mapping[str, tuple[type, ...]] = {"text": (str,), "float": (float,)}


def read_members(
    value: Json, fields: Mapping[str, Field], place: PayloadPlace, notes: DriftNotes
) -> tuple[list[Any], dict[str, Json]]:
    """The values of an object's fields, in their order, and the members that no field takes.

    Absent and null members are None; absent ones are noted as missing, those without a field as unknown.
    """
    if type(value) is not dict:
        refuse("wrong_type", place.exact(), f"expected an object, found {type_name(value)}")
    row: list[Any] = [None] * len(fields)
    extra: dict[str, Any] = {}
    for name, item in value.items():
        field = fields.get(name)
        if field is None:
            extra[name] = item
            notes.add(place.general(name), "unknown_member", item)
        elif type(item) in field.plain or (type(item) is str and item in field.words):
            row[field.position] = item
        elif item is not None:
            row[field.position] = read_value(item, field, place, name, notes)
            if row[field.position] is LEFT:
                row[field.position], extra[name] = None, item
    if len(value) < len(fields) or extra:
        for name in (n for n, field in fields.items() if field.expected and n not in value):
            notes.add(place.general(name), "missing_member")
    return row, extra


LEFT: Any = object()  # what `read_value` answers where a lenient field leaves a value to `extra`


def read_value(value: Json, field: Field, place: PayloadPlace, name: str, notes: DriftNotes) -> Any:
    """One value as its column's kind; money as whole units of 1/10,000."""
    column = field.column
    try:
        converted = field.convert(value)
        within_range(column, converted)
    except Unexpected as wrong:
        if field.lenient and type(value) in (dict, list):
            notes.add(place.general(name), "unknown_value", value)
            return LEFT
        refuse(wrong.code, place.exact(name), f"expected {wrong.expected}, found {type_name(value)}")
    if column.kind == "money":
        note_money(value, converted, place.general(name), notes)
    elif column.known and converted not in column.known:
        notes.add(place.general(name), "unknown_value", converted)
    return converted


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
        refuse(wrong.code, path, f"expected {wrong.expected}, found {type_name(value)}")
