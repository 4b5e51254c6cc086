"""One cell of a lender's file as the value of its column, or one sentence that says what to do: never both, no guess.

The same rule for CSV, XLSX, Parquet and frames. Text is text, also ``NA`` and ``None``; a day is ISO or a date without
a time of day; an amount is exact to four decimals. Nothing here repeats what stands in a cell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..grammar.identity import without_blanks

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)([T ]00:00(:00(\.0+)?)?)?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
# Errors as spreadsheets write them, in every language: capitals and a mark at the end; and those without a mark.
_ERROR = re.compile(r"#[¡¿]?[^\W\d_a-z][^\Wa-z]{0,30}(/0)?[!?]|#(N/[A-Z]|NV|GETTING_DATA)|Err:\d{3}|#DEEL/0!")
_SHOWN_DIGITS = 15  # of a number, in a spreadsheet; what a float has behind them is of its binary form
_EXACTLY_SHOWN = 10**10  # below it they reach beyond the fourth decimal
_WORDS = {"true": True, "vrai": True, "1": True, "false": False, "faux": False, "0": False}
_WIDEST = 10**14  # 18 digits, 4 of them decimals
AS_DAY = "write days as YYYY-MM-DD"
AS_TEXT = "format the column as text"


class Wrong(Exception):
    """A cell that cannot be read as its column; its text is the problem, and what to do. Never leaves `ingest`."""


class Formula(NamedTuple):
    """A cell of a workbook that has a formula and no value."""


def is_null(value: Any) -> bool:
    """Whether a value of a frame is none."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def plain(value: Any) -> Any:
    """A value of NumPy as one of Python.

    >>> plain(np.float64(1.5)), plain(np.datetime64("2024-02-29")), plain("a")
    (1.5, Timestamp('2024-02-29 00:00:00'), 'a')
    """
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value)
    return value.item() if isinstance(value, np.generic) else value


def refuse_what_is_no_value(value: Any) -> None:
    """Errors and formulas that a spreadsheet has left behind.

    >>> refuse_what_is_no_value("#N/A")
    Traceback (most recent call last):
    xray_analytics.ingest.cells.Wrong: an error of the spreadsheet; correct the cell, or leave it empty
    """
    if isinstance(value, Formula):
        raise Wrong("a formula without its value; open the file in a spreadsheet and save it, or paste values")
    if isinstance(value, str) and _ERROR.fullmatch(value.strip()):
        raise Wrong("an error of the spreadsheet; correct the cell, or leave it empty")


def to_text(value: Any) -> str:
    """A text as it is; a number is refused, since what was in front of its digits is lost."""
    if isinstance(value, str):
        return value
    raise Wrong(f"expected text, found {_word(value)}; {AS_TEXT}")


def to_day(value: Any) -> date:
    """A calendar day.

    >>> to_day("2024-02-29"), to_day(datetime(2024, 2, 29))
    (datetime.date(2024, 2, 29), datetime.date(2024, 2, 29))
    >>> to_day("29/02/2024")
    Traceback (most recent call last):
    xray_analytics.ingest.cells.Wrong: not a day; write days as YYYY-MM-DD
    """
    if isinstance(value, str):
        return _day_of_text(value.strip())
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise Wrong(f"expected date, found an instant with a time zone; {AS_DAY}")
        if value != datetime.combine(value.date(), datetime.min.time()):
            raise Wrong(f"calendar days expected, found times of day; {AS_DAY}")
        return value.date()
    if isinstance(value, date):
        return value
    raise Wrong(f"expected date, found {_word(value)}; {AS_DAY}")


def to_bool(value: Any) -> bool:
    """True or false, in English or French, or as 1 and 0."""
    word = str(value).strip().casefold().removesuffix(".0")
    if word not in _WORDS:
        raise Wrong("neither true nor false; write true or false")
    return _WORDS[word]


def to_money(mark: str) -> Callable[[Any], Decimal]:
    """Reads amounts whose texts have this decimal mark."""

    def read(value: Any) -> Decimal:
        if isinstance(value, str):
            value = _number_of_text(without_blanks(value), mark)
        elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise Wrong(f"expected money, found {_word(value)}; write amounts as 1234.56")
        amount = _of_float(value) if isinstance(value, float) else Decimal(value)
        if not amount.is_finite() or abs(amount) >= _WIDEST:
            raise Wrong("not money of 18 digits, 4 of them decimals; check the amount")
        if amount != round(amount, 4):
            raise Wrong("more than four decimals; round the amounts")
        return amount

    return read


def decimal_mark(texts: list[str], usual: str | None) -> str:
    """The decimal mark of a column of amounts: that of the file, or the one it uses without any doubt.

    >>> decimal_mark(["1234,56", "7"], "."), decimal_mark(["1234.56"], ","), decimal_mark(["1,234"], ".")
    (',', '.', '?')
    """
    numbers = [without_blanks(text) for text in texts]
    numbers = [text for text in numbers if _NUMBER.fullmatch(text)]
    used = {mark for text in numbers for mark in ".," if mark in text}
    if len(used) != 1:
        return "?" if used else usual or "."
    (mark,) = used
    return mark if mark == usual or not any(_THOUSANDS.fullmatch(text) for text in numbers) else "?"


def _day_of_text(text: str) -> date:
    found = _ISO.fullmatch(text)
    if found:
        try:
            return date.fromisoformat(found[1])
        except ValueError:
            raise Wrong(f"not a day of the calendar; {AS_DAY}") from None
    if _TIME.fullmatch(text):
        raise Wrong(f"calendar days expected, found times of day; {AS_DAY}")
    raise Wrong(f"not a day; {AS_DAY}")


def _of_float(value: float) -> Decimal:
    """A float as the decimal that it is written as; or, where a spreadsheet computed it, as what is shown of it.

    >>> _of_float(1234.56), _of_float(0.1 + 0.2), _of_float(0.12345)
    (Decimal('1234.56'), Decimal('0.3'), Decimal('0.12345'))
    """
    if not abs(value) < _EXACTLY_SHOWN:
        return Decimal(repr(value))
    shown = Decimal(f"{value:.{_SHOWN_DIGITS}g}")
    return shown if shown == round(shown, 4) else Decimal(repr(value))


def _number_of_text(text: str, mark: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise Wrong("not a number; write amounts as 1234.56")
    if mark == "?" and not text.lstrip("+-").isdigit():
        raise Wrong("a mark that may be of decimals or of thousands; write amounts as 1234.56")
    return Decimal(text.replace(",", "."))


def _word(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", Decimal: "a number", str: "text"}
    kind = next((word for kind, word in names.items() if type(value) is kind), None)
    return kind or ("a day" if isinstance(value, date) else "something else")
