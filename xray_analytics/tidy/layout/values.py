"""How values are written: the lines of ``[values]`` of a layout as functions that read amounts, days and words.

What a layout does not allow is refused, with the line that would allow it. A day that two allowed forms read
differently is refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from ..decode import Json
from ..fields import CONVERT, Unexpected, Writing, to_day, to_instant, to_text
from . import Values

Read = Callable[[Any], Any]

_GROUP = "[ \\u00a0\\u202f'\\u2019{other}]"
_NUMBER = r"[-+\u2212]?(?:\d{{1,3}}(?:(?P<gap>{group})\d{{3}})(?:(?P=gap)\d{{3}})*|\d+)(?:{decimal}\d+)?"
NUMBER: Mapping[str, re.Pattern[str]] = {
    decimal: re.compile(_NUMBER.format(group=_GROUP.format(other=other), decimal=re.escape(decimal)), re.ASCII)
    for decimal, other in ((".", ","), (",", "."))
}
_PERCENT = re.compile(r"(\d{1,3}(?:[.,]\d+)?) ?[%]", re.ASCII)
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_DIGITS = re.compile(r"\d{9,13}", re.ASCII)
_WRITTEN: Mapping[str, tuple[re.Pattern[str], str]] = {
    "DD/MM/YYYY": (re.compile(r"(\d\d)/(\d\d)/(\d{4})", re.ASCII), "dmy"),
    "DD.MM.YYYY": (re.compile(r"(\d\d)\.(\d\d)\.(\d{4})", re.ASCII), "dmy"),
    "DD-MM-YYYY": (re.compile(r"(\d\d)-(\d\d)-(\d{4})", re.ASCII), "dmy"),
    "MM/DD/YYYY": (re.compile(r"(\d\d)/(\d\d)/(\d{4})", re.ASCII), "mdy"),
    "YYYY/MM/DD": (re.compile(r"(\d{4})/(\d\d)/(\d\d)", re.ASCII), "ymd"),
    "YYYYMMDD": (re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII), "ymd"),
}
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)  # of days given as a count
_PER_SECOND = {"epoch_s": 1, "epoch_ms": 1000}


def writing(values: Values) -> Writing:
    """The functions that read what is written in this way."""
    is_house = values.dates == ["iso"] and values.zone is None
    day = to_day if is_house else lru_cache(maxsize=1 << 16, typed=True)(partial(day_of, values=values))
    instant = to_instant if is_house else partial(instant_of, values=values)
    convert = {**CONVERT, "date": _with_line(day), "instant": instant}
    in_cents = values.unit == "cents", values.unit_of_metrics == "cents"
    amount, metric = (
        partial(amount_of, decimal=values.decimal, in_cents=cents) if values.decimal or cents else _checked_amount
        for cents in in_cents
    )
    prepare: dict[str, Read] = {
        "money": amount,
        "period_value": metric,
        "annualised_value": metric,
        "bank_risk_class": partial(class_of, classes=values.classes) if values.classes else _checked_class,
        **dict.fromkeys(("data_sanity_pct", "quantile_pct"), percent_of if values.percent_text else _checked_percent),
    }
    checks = (_checked_amount, _checked_class, _checked_percent)  # what is documented passes them as it is
    changed = {name for name, read in prepare.items() if read not in checks} | (set() if is_house else {"date"})
    return Writing(convert, prepare, frozenset(changed))


def amount_of(value: Json, *, decimal: str | None, in_cents: bool) -> Json:
    """An amount in major units as a number, of a number or a text.

    >>> amount_of("1 234,56", decimal=",", in_cents=False), amount_of(1250, decimal=None, in_cents=True)
    (Decimal('1234.56'), Decimal('12.50'))
    """
    if type(value) is str and decimal is not None:
        text = value.strip()
        if not NUMBER[decimal].fullmatch(text):
            other = "," if decimal == "." else "."
            raise Unexpected("bad_number", f"an amount such as 1234{decimal}56", _decimal_line(text, other))
        digits = re.sub(r"[^\d+\-" + re.escape(decimal) + "]", "", text.replace("\u2212", "-"))
        value = Decimal(digits.replace(decimal, "."))
    if not in_cents or type(value) not in (int, float, Decimal):
        return value if type(value) is not str else _checked_amount(value)
    if value != int(value):
        raise Unexpected("not_cents", "a whole number of cents", 'unit = "major"')
    return Decimal(int(value)).scaleb(-2)


def _checked_amount(value: Json) -> Json:
    """An amount that must be a number."""
    if type(value) is str:
        raise Unexpected("wrong_type", "a number", _decimal_line(value.strip(), ".") or _decimal_line(value, ","))
    if type(value) is dict:
        raise Unexpected("wrong_type", "a number", "a path to a member of it")
    return value


def _decimal_line(text: str, decimal: str) -> str | None:
    return f'decimal = "{decimal}"' if NUMBER[decimal].fullmatch(text) else None


def class_of(value: Json, *, classes: Mapping[str, int]) -> Json:
    """A risk class as a number; a letter is one where the layout says which."""
    return classes[value] if type(value) is str and value in classes else _checked_class(value)


def _checked_class(value: Json) -> Json:
    if type(value) is str:
        line = "a line classes with that letter" if re.fullmatch("[A-Z][+-]?", value) else None
        raise Unexpected("wrong_type", "a whole number", line)
    return value


def percent_of(value: Json) -> Json:
    """A percentage as a number, of a number or of a text.

    >>> percent_of("85 %"), percent_of("85%"), percent_of(85)
    (85.0, 85.0, 85)
    """
    if type(value) is not str:
        return value
    match = _PERCENT.fullmatch(value.strip())
    if match is None:
        raise Unexpected("bad_number", "a percentage such as 85 %")
    return float(match[1].replace(",", "."))


def _checked_percent(value: Json) -> Json:
    if type(value) is str:
        raise Unexpected("wrong_type", "a number", "percent_text = true" if _PERCENT.fullmatch(value) else None)
    return value


# ------------------------------------------------------------------------------------------------ days


def _with_line(read: Read) -> Read:
    """`to_day` of the house names no line; this looks for one once a day was refused."""

    def day(value: Json) -> date:
        try:
            found: date = read(value)
        except Unexpected as wrong:
            if wrong.code != "bad_date":
                raise
            raise Unexpected(wrong.code, wrong.expected, _line_for(value)) from None
        except TypeError:  # an object or an array, which no cache can hold
            raise Unexpected("bad_date", "a day", None) from None
        return found

    return day


def _line_for(value: Json) -> str | None:
    if type(value) is str and _INSTANT.fullmatch(value):
        return 'a zone, such as zone = "Europe/Paris",'
    for form in (*_WRITTEN, *_PER_SECOND):
        try:
            if _read_as(form, value, None) is not None:
                return f'"{form}" among dates'
        except Unexpected:
            continue
    return None


def day_of(value: Json, *, values: Values) -> date:
    """A calendar day in one of the forms that the layout allows.

    >>> day_of("31/05/2023", values=Values(dates=["DD/MM/YYYY"]))
    datetime.date(2023, 5, 31)
    >>> day_of("2023-05-31T22:00:00.000Z", values=Values(zone="Europe/Paris"))
    datetime.date(2023, 6, 1)
    """
    days = {day for form in values.dates if (day := _read_as(form, value, values.zone)) is not None}
    if len(days) > 1:
        raise Unexpected("ambiguous_date", "a day that all date forms of the layout read alike")
    if not days:
        raise Unexpected("bad_date", f"a day as {' or '.join(values.dates)}")
    return days.pop()


def _read_as(form: str, value: Json, zone: str | None) -> date | None:
    """The day in one form; None where the value does not have that form, refused where no calendar has that day."""
    if form == "iso":
        return _iso_day(value, zone) if type(value) is str else None
    if form in _PER_SECOND:
        at = _instant_at(form, value)
        return None if at is None else at.astimezone(_zone(zone)).date()
    text = str(value) if type(value) is int and form == "YYYYMMDD" else value
    pattern, order = _WRITTEN[form]
    match = pattern.fullmatch(text) if type(text) is str else None
    if match is None:
        return None
    part = dict(zip(order, map(int, match.groups()), strict=True))
    try:
        return date(part["y"], part["m"], part["d"])
    except ValueError:
        return None


def _iso_day(value: str, zone: str | None) -> date | None:
    if zone is None or len(value) == len("2023-05-31"):
        try:
            return to_day(value)
        except Unexpected:
            return None
    match = _INSTANT.fullmatch(value)
    if match is None:
        return None
    try:
        if zone == "written" or match[3] is None:
            return date.fromisoformat(match[1])
        return datetime.fromisoformat(value).astimezone(_zone(zone)).date()
    except (ValueError, OverflowError):
        return None


def _instant_at(form: str, value: Json) -> datetime | None:
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        return None
    try:
        at = datetime.fromtimestamp(value / _PER_SECOND[form], UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return at if _EARLIEST <= at < _LATEST else None


@lru_cache(maxsize=64)
def _zone(name: str | None) -> Any:
    return UTC if name in (None, "UTC", "written") else ZoneInfo(str(name))


def instant_of(value: Json, *, values: Values) -> datetime:
    """An instant in UTC, also one that is counted or written in the layout's zone."""
    for form in values.dates:
        at = _instant_at(form, value) if form in _PER_SECOND else None
        if at is not None:
            return at
    match = _INSTANT.fullmatch(value) if type(value) is str else None
    if match is not None and match[3] is None and values.zone is not None:
        try:
            return datetime.fromisoformat(value).replace(tzinfo=_zone(values.zone)).astimezone(UTC)
        except ValueError:
            raise Unexpected("bad_date", "an instant of the calendar") from None
    return to_instant(value)


def word_of(value: Json) -> str | int:
    """A word that says a side."""
    return value if type(value) is int else to_text(value)
