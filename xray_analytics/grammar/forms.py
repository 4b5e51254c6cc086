"""What stands in a file: rows as CSV, JSON, Parquet and XLSX, each value such that exactly it is read back.

=========  ====================================  ================================  ==================================
kind       CSV                                   JSON                              XLSX
=========  ====================================  ================================  ==================================
money      decimal text: ``1234.5000``           decimal text: ``"1234.5000"``     a number, a text beyond 15 digits
float      the shortest text that is the number  the same, a number                a number; infinity a text
date       ``2025-06-30``                        ``"2025-06-30"``                  a date, a text before 1 March 1900
instant    ``2025-06-30T12:00:00.000000Z``       ``"2025-06-30T12:00:00Z"``        UTC without zone; a text as in CSV
                                                                                   where one has microseconds
list       JSON in a text                        a list                            JSON in a text
bytes      Base64                                Base64                            Base64
null       nothing (an empty text is ``""``)     ``null``                          no cell
=========  ====================================  ================================  ==================================

A text that a spreadsheet could take for a formula gets an apostrophe in front in CSV, one to strip when reading, also
where it had one already; unless raw text is asked for. XLSX marks text as text. Parquet holds all of it as it is.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ..errors import InputError

# Behind blanks of any kind, which some spreadsheets drop; characters that nobody sees among them.
FORMULA = "^[\\s\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]*[=+\\-@＝＋－＠']|^ *[\\t\\r\\n]"
XLSX_MOST_ROWS = 1_048_575
XLSX_MOST_COLUMNS = 16_384
XLSX_LONGEST_TEXT = 32_767
_MOST_DIGITS = 15  # of a number that Excel keeps
_FIRST_DAY = date(1900, 3, 1)  # before it Excel counts a day that never was


def encoded(data: pa.Table | pd.DataFrame, form: str, *, title: str = "data", raw_text: bool = False) -> bytes:
    """Rows in a form, as the bytes of a file.

    Parameters
    ----------
    data
        An Arrow table, or any frame of this package.
    form
        ``"csv"``, ``"json"`` (an array of objects), ``"parquet"`` or ``"xlsx"``.
    title
        The name of the sheet.
    raw_text
        CSV: leave texts as they are, also those that a spreadsheet takes for a formula.

    Raises
    ------
    InputError
        There is no such form, it cannot hold so much, or a column has values of several types.

    Examples
    --------
    >>> rows = pa.table({"label": ["=1+1", ""], "amount": pa.array([Decimal("2.5"), None], pa.decimal128(18, 4))})
    >>> print(encoded(rows, "csv").decode(), encoded(rows, "json").decode(), sep="", end="")
    label,amount
    '=1+1,2.5000
    "",
    [{"label":"=1+1","amount":"2.5000"},
    {"label":"","amount":null}]
    """
    if form not in FORMS:
        raise InputError(f"no format {form!r}; there are {', '.join(FORMS)}")
    return FORMS[form](_plain(data), title, raw_text)


def inert(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as no spreadsheet takes them for formulas.

    >>> inert(pa.chunked_array([["=1+1", " @x", "'a", "SARL A-B", None]])).to_pylist()
    ["'=1+1", "' @x", "''a", 'SARL A-B', None]
    """
    guarded = pc.binary_join_element_wise(pa.scalar(""), texts, "'")
    return pc.if_else(pc.match_substring_regex(texts, FORMULA), guarded, texts)


def _plain(data: pa.Table | pd.DataFrame) -> pa.Table:
    """As Arrow; instants in UTC, and days as days, which pandas has no type for."""
    if isinstance(data, pd.DataFrame):
        try:
            data = pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise InputError(f"a column holds values of several types, which no file can: {error}") from None
    columns = [_unified(values) for values in data.columns]
    fields = [field.with_type(column.type) for field, column in zip(data.schema, columns, strict=True)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=data.schema.metadata))


def _unified(values: pa.ChunkedArray) -> pa.ChunkedArray:
    found = values.type
    if pa.types.is_dictionary(found):
        return values.cast(found.value_type)
    if not pa.types.is_timestamp(found):
        return values
    if found.tz is not None:
        return values.cast(pa.timestamp("us", "UTC"), safe=False)
    days = values.cast(pa.date32(), safe=False)
    return days if days.cast(found).equals(values) else values.cast(pa.timestamp("us"), safe=False)


def _csv(data: pa.Table, _: str, raw_text: bool) -> bytes:
    columns = [_quoted(_texts(column, raw_text)) for column in data.columns]
    names = _quoted(pa.chunked_array([pa.array(data.column_names, pa.string())]))
    head = ",".join(names.to_pylist())
    if len(columns) == 1:  # an empty line is skipped by most readers
        columns = [pc.fill_null(columns[0], '""')]
    lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace").to_pylist() if columns else []
    return "".join(f"{line}\n" for line in [head, *lines]).encode()


def _quoted(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """In quotation marks where there is need: nothing in them is an empty text, nothing at all is null."""
    doubled = pc.replace_substring(texts, '"', '""')
    inside = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[",\\r\\n]|^$|^ | $'), inside, texts)


def _texts(values: pa.ChunkedArray, raw_text: bool) -> pa.ChunkedArray:
    """A column as the texts of its values."""
    found = values.type
    if pa.types.is_string(found) or pa.types.is_large_string(found):
        return values.cast(pa.string()) if raw_text else inert(values.cast(pa.string()))
    if pa.types.is_boolean(found):
        return pc.if_else(values, "True", "False")
    if pa.types.is_timestamp(found):
        moment = pc.replace_substring(values.cast(pa.timestamp("us")).cast(pa.string()), " ", "T")
        return moment if found.tz is None else pc.binary_join_element_wise(moment, "Z", "")
    if pa.types.is_nested(found) or pa.types.is_binary(found) or pa.types.is_large_binary(found):
        as_text: list[str | None] = [None if value is None else _text(value) for value in values.to_pylist()]
        return pa.chunked_array([pa.array(as_text, pa.string())])
    return values.cast(pa.string())


def _text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else msgspec.json.encode(value).decode()


def _json(data: pa.Table, _: str, __: bool) -> bytes:
    encode = msgspec.json.Encoder().encode
    rows = [encode(row) for batch in data.to_batches() for row in batch.to_pylist()]
    return b"[" + b",\n".join(rows) + b"]\n"


def _parquet(data: pa.Table, _: str, __: bool) -> bytes:
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(data, sink, compression="zstd")
    return bytes(sink.getvalue())


def _xlsx(data: pa.Table, title: str, _: bool) -> bytes:
    import xlsxwriter  # noqa: PLC0415 - no other form needs it

    if data.num_rows > XLSX_MOST_ROWS or data.num_columns > XLSX_MOST_COLUMNS:
        size = f"{data.num_rows:,} rows of {data.num_columns:,} columns"
        raise InputError(f"a sheet of Excel cannot hold {size}; choose some of them, or another format")
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink, {"in_memory": True})
    book.set_properties({"title": title, "created": datetime(2000, 1, 1)})  # so that no clock is in it
    day, moment = (book.add_format({"num_format": form}) for form in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss.000"))
    page = book.add_worksheet(re.sub(r"[\[\]:*?/\\']", "_", title)[:31] or "data")
    for at, name in enumerate(data.column_names):
        page.write_string(0, at, name)
        for row, value in enumerate(_cells(data.column(at), name), start=1):
            if value is not None:
                write_cell(page, row, at, value, moment if isinstance(value, datetime) else day)
    page.freeze_panes(1, 0)
    book.close()
    return sink.getvalue()


def _cells(values: pa.ChunkedArray, name: str) -> list[Any]:
    """The values as Excel can hold them: text, truth, numbers, days and times."""
    found = values.type
    if pa.types.is_timestamp(found):
        whole = values.cast(pa.timestamp("ms", found.tz), safe=False).cast(found).equals(values)
        values = values.cast(pa.timestamp("us")) if whole else _texts(values, True)
    elif pa.types.is_nested(found) or pa.types.is_binary(found) or pa.types.is_large_binary(found):
        values = _texts(values, True)
    cells = [_within(value) for value in values.to_pylist()]
    if any(isinstance(value, str) and len(value) > XLSX_LONGEST_TEXT for value in cells):
        raise InputError(f"a text of {name} is longer than a cell of Excel holds; leave it out, or another format")
    return cells


def _within(value: Any) -> Any:
    """The value, as text where Excel has no such number or day; what is not a number is no cell."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Decimal):
        digits = len(value.normalize().as_tuple().digits)
        return float(value) if digits <= _MOST_DIGITS else str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**_MOST_DIGITS:
        return str(value)
    if isinstance(value, date):
        first = datetime.combine(_FIRST_DAY, datetime.min.time()) if isinstance(value, datetime) else _FIRST_DAY
        return value if value >= first else value.isoformat()
    return value


class _Exact(float):
    """A number that XlsxWriter writes with all its digits, and not with sixteen."""

    def __format__(self, _: str) -> str:
        return repr(float(self))


def write_cell(page: Any, row: int, at: int, value: Any, form: Any = None) -> None:
    """One value into a sheet: text never as a formula, a float with every digit, a day or time in its format."""
    if isinstance(value, str):
        page.write_string(row, at, value)
    elif isinstance(value, bool):
        page.write_boolean(row, at, value)
    elif isinstance(value, date):
        page.write_datetime(row, at, value, form)
    elif isinstance(value, float):
        page.write_number(row, at, _Exact(value))
    else:
        page.write_number(row, at, value)


FORMS: Mapping[str, Callable[[pa.Table, str, bool], bytes]] = {
    "csv": _csv, "json": _json, "parquet": _parquet, "xlsx": _xlsx,
}  # fmt: skip
