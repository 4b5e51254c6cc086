"""One workbook (XLSX) of analysis results: sheets that filter and print well, charts of Excel's own, a page to read.

::

    chart = SheetChart("column", "risk_class", ("n_companies",), "Companies by class")
    sheets = [Sheet("Classes", frame, {"risk_class": "Class", "n_companies": "Companies"}, chart=chart)]
    about = [("As of", "2025-06-30"), ("Commit", "3"), ("Command", "xray report …"), ("Unrated", "No class …")]
    write_workbook("june.xlsx", sheets, about, title="Portfolio", as_of="2025-06-30", overwrite=False)

The first sheet, *Read me*, holds `about` and a list of the sheets with their notes. Every other sheet is one frame: a
bold header that stays in view and filters, a format by the ending of the column's name (`number_format`), widths that
fit. Text from outside is always text: never a formula, a link or a number. The same sheets give the same bytes on the
same version of XlsxWriter.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import xlsxwriter

from ...charts import CLASS_COLORS, class_label, plain
from ...errors import InputError
from ...files import save

MOST_ROWS = 1_048_575  # of Excel, without the header
_LONGEST_TEXT = 32_767  # of an Excel cell
_NARROWEST, _WIDEST = 9, 60  # characters
_LOOKED_AT = 300  # rows whose texts decide the width of a column
_NAME_WIDTH, _WORDS_WIDTH = 26, 110  # characters, of the page to read
_LINE_POINTS, _ROOM = 15.0, 1.05  # of a line of text; words break before the edge
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_PLAIN_NUMBERS = ("_class", "_no", "_version", "year")
_COLORS = ("#3f78ad", "#d9b382", "#74103a", "#8c7cb8", "#616e7c", "#a9d3e6")


@dataclass(frozen=True)
class SheetChart:
    """A chart of Excel's own over the rows of its sheet.

    `kind` as Excel calls it; `category` and `values` are columns of the frame; `stacked` puts the values on each other.
    """

    kind: Literal["column", "bar", "line"]
    category: str
    values: tuple[str, ...]
    title: str
    stacked: bool = False


@dataclass(frozen=True)
class Sheet:
    """A frame under a name of at most 31 characters; `heads` chooses, orders and names its columns (default: all)."""

    name: str
    frame: pd.DataFrame = field(compare=False)
    heads: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    chart: SheetChart | None = None


def write_workbook(  # noqa: PLR0913 - what a reader needs to know stands in the workbook
    path: str | Path, sheets: Sequence[Sheet], about: Sequence[tuple[str, str]], *, title: str, as_of: str,
    overwrite: bool = False,
) -> Path:  # fmt: skip
    """Write `workbook` to a file only its owner can read: whole, or not at all.

    Raises
    ------
    InputError
        As `workbook`; the file exists and `overwrite` is not set, or it cannot be written.
    """
    return save(workbook(sheets, about, title=title, as_of=as_of), path, overwrite=overwrite)


def workbook(sheets: Sequence[Sheet], about: Sequence[tuple[str, str]], *, title: str, as_of: str) -> bytes:
    """The bytes of an XLSX file.

    Parameters
    ----------
    sheets
        One or more, with different names.
    about
        Name and text of what stands in *Read me*: as-of, commit, filters, definitions, the command.
    title
        Of the document.
    as_of
        The day of the report, as 2025-06-30: also the creation date of the document, so that no clock is in it.

    Raises
    ------
    InputError
        A sheet has more rows than Excel holds, lacks a column of its `heads`, or its name is not allowed or there
        twice.

    Examples
    --------
    >>> frame = pd.DataFrame({"company_id": ["=1+1"], "share_ratio": [0.25]})
    >>> workbook([Sheet("One", frame)], [("As of", "2025-06-30")], title="T", as_of="2025-06-30")[:2]
    b'PK'
    """
    _check(sheets)
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, _OPTIONS)
    book.set_properties({"title": plain(title), "comments": "xray_analytics", "created": datetime.fromisoformat(as_of)})
    book.set_size(2400, 1600)
    _read_me(book, sheets, about, title)
    for sheet in sheets:
        _sheet(book, sheet)
    book.close()
    return buffer.getvalue()


def number_format(column: str, values: pd.Series[Any]) -> str:
    """The Excel format of a column, by the ending of its name and, for money and months, by its values.

    Examples
    --------
    >>> number_format("share_ratio", pd.Series([0.5])), number_format("data_sanity_pct", pd.Series([71.5]))
    ('0.0%', '0.0')
    >>> number_format("n_companies", pd.Series([1200])), number_format("total_credit", pd.Series([1234.5]))
    ('#,##0', '#,##0.00')
    >>> number_format("total_credit", pd.Series([None], dtype="Float64"))  # nothing is known
    'General'
    """
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "yyyy-mm" if column == "month" else "yyyy-mm-dd hh:mm" if column.endswith("_at") else "yyyy-mm-dd"
    if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        return "@"
    if column.endswith("_ratio"):
        return "0.0%"
    if column.endswith("_pct"):
        return "0.0"
    if pd.api.types.is_integer_dtype(values.dtype):
        return "0" if column.endswith(_PLAIN_NUMBERS) else "#,##0"
    return "#,##0.00" if (values.abs() >= 1000).any() else "General"  # money; a statistic keeps its digits


def _check(sheets: Sequence[Sheet]) -> None:
    names = ["read me", *(sheet.name.lower() for sheet in sheets)]
    for sheet in sheets:
        is_allowed = 0 < len(sheet.name) <= 31 and not set(sheet.name) & set("[]:*?/\\") and sheet.name.strip("'")
        if not is_allowed or names.count(sheet.name.lower()) > 1:
            raise InputError(f"no sheet can be called {sheet.name!r}; give 1 to 31 characters, none of []:*?/\\, once")
        if len(sheet.frame) > MOST_ROWS:
            raise InputError(f"the sheet {sheet.name} has {len(sheet.frame):,} rows, more than Excel holds; filter it")
        wanted = (*sheet.heads, *((sheet.chart.category, *sheet.chart.values) if sheet.chart else ()))
        if absent := [column for column in wanted if column not in sheet.frame]:
            raise InputError(f"the frame of the sheet {sheet.name} lacks {', '.join(absent)}")


def _read_me(book: Any, sheets: Sequence[Sheet], about: Sequence[tuple[str, str]], title: str) -> None:
    page = book.add_worksheet("Read me")
    look = {"text_wrap": True, "valign": "top"}
    bold, top = book.add_format({"bold": True, **look}), book.add_format(look)
    page.write_string(0, 0, plain(title, longest=200), book.add_format({"bold": True, "font_size": 15}))
    rows = [*about, ("", ""), ("Sheets", ""), *((sheet.name, sheet.note) for sheet in sheets)]
    for at, (name, words) in enumerate(rows, start=2):
        page.write_string(at, 0, plain(name, longest=200), bold)
        page.write_string(at, 1, plain(words, longest=_LONGEST_TEXT), top)
        page.set_row(at, _height([(name, _NAME_WIDTH), (words, _WORDS_WIDTH)]))
    page.set_column(0, 0, _NAME_WIDTH)
    page.set_column(1, 1, _WORDS_WIDTH)
    page.hide_gridlines(2)
    _for_paper(page)


def _sheet(book: Any, sheet: Sheet) -> None:
    page = book.add_worksheet(sheet.name)
    heads = dict(sheet.heads) or {str(name): str(name) for name in sheet.frame.columns}
    frame = sheet.frame[list(heads)]
    wrapped: list[list[str]] = []
    for at, (column, head) in enumerate(heads.items()):
        values = frame[column]
        form = number_format(column, values)
        is_text = form == "@" or column == "risk_class"
        look = {"bold": True, "bottom": 1, "valign": "top", "text_wrap": True, "align": "left" if is_text else "right"}
        look |= {"indent": 1} if is_text else {}
        page.write_string(0, at, plain(head, longest=200), book.add_format(look))
        texts = [_cell(page, row, at, value, column) for row, value in enumerate(values, start=1)]
        length = max((len(text) for text in texts[:_LOOKED_AT]), default=0)
        width = min(max(length, len(head) + 2, _NARROWEST), _WIDEST)
        cells = {"num_format": form, "valign": "top"} | ({"align": "left", "indent": 1} if is_text else {})
        if length > _WIDEST:
            cells["text_wrap"] = True
            wrapped.append(texts)
        page.set_column(at, at, width + is_text, book.add_format(cells))
    for row, long in enumerate(zip(*wrapped, strict=True), start=1):
        page.set_row(row, _height([(text, _WIDEST) for text in long]))
    page.freeze_panes(1, 0)
    if len(frame):
        page.autofilter(0, 0, len(frame), len(heads) - 1)
        if sheet.chart:
            page.insert_chart(1, len(heads) + 1, _chart(book, sheet, list(heads)))
    _for_paper(page)
    page.repeat_rows(0)


def _height(cells: Iterable[tuple[str, int]]) -> float:
    """Of a row whose texts are wrapped at these widths: not every program finds it by itself."""
    return _LINE_POINTS * max(math.ceil(max(len(text), 1) * _ROOM / width) for text, width in cells)


def _for_paper(page: Any) -> None:
    page.set_paper(9)  # A4
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.set_footer("&L&A&RPage &P of &N")


def _cell(page: Any, row: int, column: int, value: Any, name: str) -> str:
    """Write one value, in the format of its column; the text that decides the width."""
    if name == "risk_class":
        return _text(page, row, column, class_label(None if pd.isna(value) else int(value)))
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return ""
    if isinstance(value, pd.Timestamp):
        page.write_datetime(row, column, value.tz_localize(None).to_pydatetime())  # all instants are UTC
        return "2025-06-30 12:00" if name.endswith("_at") else "2025-06-30"
    if pd.api.types.is_bool(value):
        return _text(page, row, column, "yes" if value else "no")
    if pd.api.types.is_number(value) and math.isfinite(number := float(str(value))):
        page.write_number(row, column, number)
        return f"{number:,.2f}"
    return _text(page, row, column, value)


def _text(page: Any, row: int, column: int, value: Any) -> str:
    text = plain(value, longest=_LONGEST_TEXT)
    page.write_string(row, column, text)
    return text


def _chart(book: Any, sheet: Sheet, columns: list[str]) -> Any:
    chosen = sheet.chart
    assert chosen is not None  # noqa: S101 - for the type checker
    kind = {"type": chosen.kind} | ({"subtype": "stacked"} if chosen.stacked else {})
    chart, n = book.add_chart(kind), len(sheet.frame)
    at = {name: columns.index(name) for name in (chosen.category, *chosen.values)}
    for name, color in zip(chosen.values, _palette(chosen), strict=False):
        look = {"line": {"color": color, "width": 1.75}} if chosen.kind == "line" else {"fill": {"color": color}}
        series = {
            "name": [sheet.name, 0, at[name]],
            "values": [sheet.name, 1, at[name], n, at[name]],
            "categories": [sheet.name, 1, at[chosen.category], n, at[chosen.category]],
        }
        chart.add_series(series | look | ({"gap": 60} if chosen.kind != "line" else {}))
    chart.set_title({"name": plain(chosen.title, longest=200), "name_font": {"size": 12}, "overlay": False})
    chart.set_legend({"position": "bottom"} if len(chosen.values) > 1 else {"none": True})
    chart.set_y_axis({"major_gridlines": {"visible": True, "line": {"color": "#e4e7eb"}}, "line": {"none": True}})
    if chosen.kind == "bar":
        chart.set_y_axis({"reverse": True})
    chart.set_size({"width": 640, "height": 360})
    return chart


def _palette(chart: SheetChart) -> Sequence[str]:
    """The ramp of the classes where there is one value per class, best first; else the house's colours."""
    return list(CLASS_COLORS.values()) if len(chart.values) == len(CLASS_COLORS) else _COLORS * 9
