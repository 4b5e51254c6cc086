"""One frame in each file format, as bytes: the same frame gives the same bytes on the same library versions.

Text that a spreadsheet could take for a formula is made inert in CSV by an apostrophe in front, which is one
character to strip when reading; numbers stay numbers. XLSX marks text as text. No clock, zone, locale or hash order is
in any of them.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import xlsxwriter

from ..errors import InputError
from ..grammar.forms import FORMULA, XLSX_LONGEST_TEXT, XLSX_MOST_COLUMNS, XLSX_MOST_ROWS, write_cell
from ..schema import ARROW, Column

_STATA_LONGEST_NAME = 32
_STATA_LONGEST_LABEL = 80
_STATA_LONGEST_TEXT = 2045  # bytes of a fixed-width text; longer ones are strL
_STATA_RESERVED = frozenset({
    "_all", "_b", "_coef", "_cons", "_n", "_N", "_pi", "_pred", "_rc", "_se", "_skip", "aggregate", "byte", "double",
    "export", "eclass", "float", "for", "if", "in", "int", "long", "numeric", "rclass", "strL", "using", "with",
})  # fmt: skip


@dataclass(frozen=True)
class Content:
    """A frame, what its columns are, and the day that stands for *now* in files that want one."""

    frame: pd.DataFrame
    columns: tuple[Column, ...]
    stamp: datetime
    title: str

    def to_arrow(self) -> pa.Table:
        """The frame with the types of its columns, each with its meaning and unit."""
        schema = pa.schema([column.arrow_field for column in self.columns])
        arrays = [pa.array(self.frame[c.name], type=ARROW[c.kind], from_pandas=True) for c in self.columns]
        return pa.Table.from_arrays(arrays, schema=schema)


def inert(text: str) -> str:
    """The text as no spreadsheet takes it for a formula; one apostrophe in front, also of one that had it already.

    >>> inert("=1+1"), inert(" @x"), inert("'a"), inert("SARL A-B")
    ("'=1+1", "' @x", "''a", 'SARL A-B')
    """
    return f"'{text}" if re.match(FORMULA, text) else text


def to_parquet(content: Content) -> bytes:
    """Parquet, zstd; each field carries `doc` and `unit`."""
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(content.to_arrow(), sink, compression="zstd", compression_level=3)
    return bytes(sink.getvalue())


def to_feather(content: Content) -> bytes:
    """Feather (Arrow IPC), lz4: what R's `arrow` reads fastest."""
    sink = pa.BufferOutputStream()
    pa.feather.write_feather(content.to_arrow(), sink, compression="lz4")
    return bytes(sink.getvalue())


def to_csv(content: Content) -> bytes:
    """CSV in gzip: UTF-8, commas, text in quotes, null empty, dates ISO, TRUE and FALSE (as R wants); text inert."""
    table = content.to_arrow()
    written: Mapping[str, Callable[[Any], str]] = {"id": inert, "text": inert, "bool": _truth}
    for at, column in enumerate(content.columns):
        if as_text := written.get(column.kind):
            texts = [None if value is None else as_text(value) for value in table.column(at).to_pylist()]
            table = table.set_column(at, column.name, pa.array(texts, pa.string()))
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(table, sink)
    return gzip.compress(bytes(sink.getvalue()), mtime=0)


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def to_stata(content: Content) -> bytes:
    """Stata 14 and later (format 118): short names, labels with the meaning; truth as 0 and 1, null as missing."""
    names, frame = stata_names(column.name for column in content.columns), {}
    for column in content.columns:
        values = content.frame[column.name]
        if column.kind in ("id", "text"):
            frame[names[column.name]] = values.astype("string").fillna("").astype(object)
        elif column.kind == "date":
            frame[names[column.name]] = values.astype("datetime64[ns]")
        else:
            frame[names[column.name]] = values.astype("Float64").astype("float64")
    table = pd.DataFrame(frame)
    texts = [names[c.name] for c in content.columns if c.kind in ("id", "text")]
    long = [n for n in texts if max((len(t.encode()) for t in table[n]), default=0) > _STATA_LONGEST_TEXT]
    sink = io.BytesIO()
    table.to_stata(
        sink,
        write_index=False,
        version=118,
        time_stamp=content.stamp,
        data_label=content.title[:_STATA_LONGEST_LABEL],
        variable_labels={names[c.name]: _label(c) for c in content.columns},
        convert_dates={names[c.name]: "td" for c in content.columns if c.kind == "date"},
        convert_strl=long,
    )
    return sink.getvalue()


def to_xlsx(content: Content) -> bytes:
    """A workbook of the data and its dictionary; text is text and never a formula, numbers are numbers."""
    n_rows, n_columns = content.frame.shape
    if n_rows > XLSX_MOST_ROWS or n_columns > XLSX_MOST_COLUMNS:
        raise InputError(f"a sheet of Excel cannot hold {n_rows:,} rows of {n_columns:,} columns; leave xlsx out")
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink, {"in_memory": True})
    book.set_properties({"title": content.title, "created": content.stamp})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    page = book.add_worksheet("data")
    for at, column in enumerate(content.columns):
        page.write_string(0, at, column.name)
        for row, value in enumerate(content.frame[column.name].tolist(), start=1):
            if not pd.isna(value):
                cell = value[:XLSX_LONGEST_TEXT] if isinstance(value, str) else value
                write_cell(page, row, at, cell, day)
    page.freeze_panes(1, 0)
    described = book.add_worksheet("dictionary")
    for row, line in enumerate([("column", "kind", "unit", "meaning"), *map(_described, content.columns)]):
        for at, text in enumerate(line):
            described.write_string(row, at, text)
    book.close()
    return sink.getvalue()


def _described(column: Column) -> tuple[str, str, str, str]:
    return column.name, column.kind, column.unit or "", column.doc


def _label(column: Column) -> str:
    text = f"{column.doc} [{column.unit}]" if column.unit else column.doc
    return text if len(text) <= _STATA_LONGEST_LABEL else text[: _STATA_LONGEST_LABEL - 1] + "…"


def stata_names(names: Any) -> dict[str, str]:
    """Name -> a name that Stata takes: letters, digits, underscores, at most 32 characters, each once.

    >>> stata_names(["as_of_date", "criterion_missedSocialSecurity_value", "criterion_missedSocialSecurity_verdict"])
    {'as_of_date': 'as_of_date', 'criterion_missedSocialSecurity_value': 'criterion_missedSocialSecurity_v',\
 'criterion_missedSocialSecurity_verdict': 'criterion_missedSocialSecurity_2'}
    """
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = f"_{plain}" if re.match(r"\d|$", plain) or plain in _STATA_RESERVED else plain
        plain = f"_{plain}" if re.fullmatch(r"str\d+", plain) else plain
        short, n = plain[:_STATA_LONGEST_NAME], 1
        while short in found.values():
            n += 1
            short = f"{plain[: _STATA_LONGEST_NAME - len(str(n)) - 1]}_{n}"
        found[name] = short
    return found


WRITERS: Mapping[str, tuple[str, Callable[[Content], bytes]]] = {
    "parquet": ("data.parquet", to_parquet),
    "csv": ("data.csv.gz", to_csv),
    "feather": ("data.feather", to_feather),
    "stata": ("data.dta", to_stata),
    "xlsx": ("data.xlsx", to_xlsx),
}
