"""The lender's files as rows of their tables: every problem at once, each with its column, its rows and a remedy.

A file may be CSV (commas, semicolons or tabs; UTF-8, or UTF-16 with its mark), XLSX (its first sheet) or Parquet; a
frame may be of pandas, Polars or Arrow. All are read cell by cell by the one rule of `cells`, and no message repeats
what stands in a cell. A row is numbered as in a spreadsheet, the header being row 1; of a frame the first row is 1.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ..errors import InputError
from ..grammar import identity
from ..schema import ARROW, Column, Problem, Table, schema_error
from . import cells
from .cells import Wrong

Source = str | Path | pd.DataFrame | Any  # or whatever else has an Arrow stream
_CHUNK = 50_000  # rows of a CSV that are Python objects at a time
_SHOWN = 5  # row numbers in a message
_UNREADABLE = "\ufffd"
_EXAMPLES = {
    "companies": "company_id,company_name,sector_code / 732829320,Example,47.11",
    "loans": "loan_id,company_id,origination_date,principal / L1,732829320,2024-03-01,10000.50",
    "exposures": "company_id,exposure_date,drawn,currency / 732829320,2024-06-30,8000.00,EUR",
    "outcomes": "company_id,default_date,observed_until / 732829320,2024-03-15,2025-12-31 / 356000000,,2025-12-31: the "
    "day of a default, empty where none was seen, and the last day on which the company was watched",
}


@dataclass
class Sheet:
    """The cells of a file or frame: columns as they stand, the number of each row, and what is wrong already."""

    names: list[str]
    columns: list[pa.ChunkedArray | list[Any]]
    rows: np.ndarray
    is_file: bool
    mark: str | None = None  # of decimals
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Rows:
    """The rows of a file, checked, without the time at which they are recorded; and how many had a SIRET."""

    table: pa.Table
    n_sirets: int


def read(source: Source, table: Table, code_type: str = "siren") -> Rows:
    """The rows of a lender's file or frame.

    Parameters
    ----------
    source
        A path to a .csv, .xlsx or .parquet file, or a frame.
    table
        The lender's table that it holds.
    code_type
        What kind of company numbers are in it; see `identity.company_code`.

    Raises
    ------
    InputError
        The file cannot be opened.
    SchemaError
        Its cells are not those of the table: ``failures`` has a row for each column and problem.
    """
    named = f"{source} cannot be read as {table.name}" if isinstance(source, str | Path) else table.name
    sheet = _opened(Path(source), table) if isinstance(source, str | Path) else _of_frame(source)
    problems = [*sheet.problems, *_problems_of_header(sheet, table)]
    columns, n_sirets = {}, 0
    for name, values in zip(sheet.names, sheet.columns, strict=True):
        if name in table.names and name != "recorded_at" and name not in columns:
            columns[name], found, sirets = _column(values, table[name], sheet, code_type)
            problems += found
            n_sirets += sirets
    if not problems:
        problems = _problems_of_keys(columns, table, sheet)
    if problems:
        raise schema_error(named, problems)
    return Rows(_assembled(columns, table, len(sheet.rows)), n_sirets)


def _assembled(columns: dict[str, pa.Array], table: Table, n: int) -> pa.Table:
    fields = [f for f in table.arrow_schema if f.name != "recorded_at"]
    arrays = [columns[f.name] if f.name in columns else pa.nulls(n, f.type) for f in fields]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _column(
    values: pa.ChunkedArray | list[Any], column: Column, sheet: Sheet, code_type: str
) -> tuple[pa.Array, list[Problem], int]:
    """The column as its Arrow type, what is wrong with which rows of it, and how many SIRETs were cut."""
    if isinstance(values, pa.ChunkedArray) and column.kind in ("id", "text") and not _is_text(values.type):
        problem = f"expected text, found {values.type}; {cells.AS_TEXT}"
        return pa.nulls(len(values), pa.string()), [Problem(column.name, problem, len(values))], 0
    amounts = _plain_amounts(values, sheet.mark) if column.kind == "money" and sheet.is_file else None
    if amounts is not None:
        return amounts, [], 0
    codes, distinct = _encoded(values)
    convert = _reader(column, sheet, distinct, code_type)
    found: list[Any] = []
    wrong: dict[str, list[int]] = defaultdict(list)
    for place, value in enumerate(distinct):
        try:
            found.append(None if cells.is_null(value) or (sheet.is_file and value == "") else convert(value))
        except Wrong as problem:
            found.append(None)
            wrong[str(problem)].append(place)
    array = pa.array(found, ARROW[column.kind]).take(pa.array(codes, mask=codes < 0))
    problems = [_problem(column.name, text, sheet.rows[np.isin(codes, places)]) for text, places in wrong.items()]
    if column.required and not wrong and array.null_count:
        problems.append(_problem(column.name, "null in a required column", sheet.rows[_nulls(array)]))
    return array, problems, _n_sirets(codes, distinct, found) if column.name == "company_id" else 0


def _plain_amounts(values: pa.ChunkedArray | list[Any], mark: str | None) -> pa.ChunkedArray | None:
    """Amounts of a CSV that are all written as the file's mark lets expect, at once; None where one is not."""
    if isinstance(values, list) or mark is None:
        return None
    texts = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
    plain = pc.match_substring_regex(texts, rf"^[+-]?\d{{1,14}}([{mark}]\d{{1,4}})?$")
    if not pc.all(plain, skip_nulls=True, min_count=0).as_py():
        return None
    return pc.replace_substring(texts, mark, ".").cast(ARROW["money"])


def _reader(column: Column, sheet: Sheet, distinct: list[Any], code_type: str) -> Callable[[Any], Any]:
    """What reads a cell of this column."""
    if column.kind == "money":
        texts = [value for value in distinct if isinstance(value, str)]
        convert: Callable[[Any], Any] = cells.to_money(cells.decimal_mark(texts, sheet.mark))
    elif column.name == "company_id":
        convert = _code_reader(code_type)
    else:
        convert = {"date": cells.to_day, "bool": cells.to_bool}.get(column.kind, cells.to_text)

    def read_cell(value: Any) -> Any:
        if sheet.is_file:
            cells.refuse_what_is_no_value(value)
            if isinstance(value, str) and _UNREADABLE in value and sheet.problems:
                return None  # said already
        return convert(value)

    return read_cell


def _code_reader(code_type: str) -> Callable[[Any], str]:
    def read_code(value: Any) -> str:
        text = cells.to_text(value)
        fault = identity.code_fault(text, code_type)
        if fault:
            raise Wrong(fault)
        return identity.company_code(text, code_type)

    return read_code


def _n_sirets(codes: np.ndarray, distinct: list[Any], found: list[Any]) -> int:
    pairs = zip(distinct, found, strict=True)
    cut = [i for i, (text, code) in enumerate(pairs) if code is not None and identity.without_blanks(text) != code]
    return int(np.isin(codes, cut).sum())


def _is_text(kind: pa.DataType) -> bool:
    is_ = pa.types
    return any(fits(kind) for fits in (is_.is_null, is_.is_string, is_.is_large_string, is_.is_string_view))


def _encoded(values: pa.ChunkedArray | list[Any]) -> tuple[np.ndarray, list[Any]]:
    """The place of each row's value among the distinct values, -1 for null; equal values of two types are two."""
    if isinstance(values, list):
        places: dict[tuple[type, Any], int] = {}
        codes = [-1 if cells.is_null(v) else places.setdefault((type(v), v), len(places)) for v in values]
        return np.array(codes, np.int64), [value for _, value in places]
    if pa.types.is_null(values.type):
        return np.full(len(values), -1), []
    encoded = pa.chunked_array(values, values.type).combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


# ------------------------------------------------------------------------------------------------ problems


def _problem(column: str, text: str, rows: Iterable[Any]) -> Problem:
    numbers = sorted(map(int, rows))
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return Problem(
        column, f"{text} (row{'s' if len(numbers) > 1 else ''} {shown}{more})", len(numbers), f"row {numbers[0]}"
    )


def _nulls(array: pa.Array) -> np.ndarray:
    found: np.ndarray = array.is_null().to_numpy(zero_copy_only=False)
    return found


def _problems_of_header(sheet: Sheet, table: Table) -> Iterator[Problem]:
    n = len(sheet.rows)
    for name in dict.fromkeys(sheet.names):
        places = [i for i, other in enumerate(sheet.names, 1) if other == name]
        if len(places) > 1:
            yield Problem(name, f"the header names it {len(places)} times, in columns {', '.join(map(str, places))}", n)
    unknown = [name for name in dict.fromkeys(sheet.names) if name not in table.names]
    known = ", ".join(name for name in table.names if name not in ("recorded_at", "is_withdrawn"))
    for name in unknown:
        remedy = f"; {table.name} has {known}; such as {_EXAMPLES[table.name]}" if name == unknown[-1] else ""
        yield Problem(name, f"unknown column{remedy}", n)
    for column in table.columns:
        if column.required and column.name not in (*sheet.names, "recorded_at"):
            yield Problem(column.name, f"absent; such as {_EXAMPLES[table.name]}", n)


def _problems_of_keys(columns: dict[str, pa.Array], table: Table, sheet: Sheet) -> list[Problem]:
    """Empty keys, keys that are there twice, and rows that say themselves that they are withdrawn."""
    key = [name for name in table.key if name in columns]
    problems = []
    for name in key:
        if table[name].kind == "id":
            empty = [i for i, text in enumerate(columns[name].to_pylist()) if text is not None and not text.strip()]
            problems += [_problem(name, "an empty key", sheet.rows[empty])] if empty else []
    first: dict[tuple[Any, ...], int] = {}
    values = zip(*(columns[name].to_pylist() for name in key), strict=True)
    repeated = [(i, first[k]) for i, k in enumerate(values) if first.setdefault(k, i) != i]
    if repeated:
        again = ", ".join(f"{sheet.rows[i]} repeats {sheet.rows[j]}" for i, j in repeated[:_SHOWN])
        more = f" and {len(repeated) - _SHOWN} more" if len(repeated) > _SHOWN else ""
        where = f"row {sheet.rows[repeated[0][0]]}"
        problems.append(Problem(", ".join(key), f"repeated key (row {again}{more})", len(repeated), where))
    withdrawn = columns.get("is_withdrawn")
    if withdrawn is not None and any(withdrawn.to_pylist()):
        problems.append(Problem("is_withdrawn", "leave such rows out and attach with --complete (complete=True)", 1))
    return problems


# ------------------------------------------------------------------------------------------------ files and frames


def _opened(path: Path, table: Table) -> Sheet:
    readers: dict[str, Callable[[Path], Sheet]] = {".csv": _of_csv, ".xlsx": _of_workbook, ".parquet": _of_parquet}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: expected a .csv, .xlsx or .parquet file")
    try:
        return readers[path.suffix.lower()](path)
    except (OSError, ValueError, KeyError, csv.Error, zipfile.BadZipFile, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or error  # all that Arrow, openpyxl and csv raise on bad files
        raise InputError(f"{path} cannot be read as {table.name}: {why}") from None


def _of_parquet(path: Path) -> Sheet:
    return _of_frame(pa.parquet.read_table(path))


def _of_frame(frame: Any) -> Sheet:
    if isinstance(frame, pd.DataFrame):
        columns = [_of_series(frame.iloc[:, i]) for i in range(frame.shape[1])]
        return Sheet([str(name) for name in frame.columns], columns, np.arange(1, len(frame) + 1), False)
    try:
        data = frame if isinstance(frame, pa.Table) else pa.table(frame)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"expected a path or a frame of pandas, Polars or Arrow, found {type(frame).__name__}"
        ) from error
    return Sheet(data.column_names, [_plain(c) for c in data.columns], np.arange(1, data.num_rows + 1), False)


def _of_series(values: pd.Series[Any]) -> pa.ChunkedArray | list[Any]:
    if values.dtype == object:
        return list(values)
    array = pa.array(values, from_pandas=True)
    return _plain(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]))


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = values.type
    return values.cast(kind.value_type) if pa.types.is_dictionary(kind) else values


def _of_workbook(path: Path) -> Sheet:
    """The first sheet of a workbook: values as they were stored, and formulas that have none."""
    import openpyxl  # type: ignore[import-untyped]  # noqa: PLC0415 - only workbooks need it

    with path.open("rb") as file:
        values = list(
            openpyxl.load_workbook(file, read_only=True, data_only=True).worksheets[0].iter_rows(values_only=True)
        )
        formulas = openpyxl.load_workbook(file, read_only=True).worksheets[0].iter_rows(values_only=True)
        read_rows = [list(map(_stored, row, shown)) for row, shown in zip(values, formulas, strict=True)]
    if not read_rows:
        raise ValueError("its first sheet is empty")
    header, *body = read_rows
    return _sheet([str(name or "") for name in header], [(i, row) for i, row in enumerate(body, 2)])


def _stored(value: Any, shown: Any) -> Any:
    is_formula = value is None and isinstance(shown, str) and shown.startswith("=")
    return cells.Formula() if is_formula else value


def _sheet(names: list[str], body: list[tuple[int, list[Any]]]) -> Sheet:
    """A sheet of rows with their numbers: without empty rows, and without columns that have neither name nor cell."""
    width = max([len(names), *(len(row) for _, row in body)])
    names, body = [*names, *[""] * (width - len(names))], [(i, [*row, *[None] * (width - len(row))]) for i, row in body]
    filled = [(number, row) for number, row in body if any(value not in (None, "") for value in row)]
    columns = [list(column) for column in zip(*(row for _, row in filled), strict=True)] or [[] for _ in names]
    used = [i for i, name in enumerate(names) if name.strip() or any(v not in (None, "") for v in columns[i])]
    numbers = np.array([number for number, _ in filled], np.int64)
    return Sheet([names[i].strip() for i in used], [columns[i] for i in used], numbers, True)


def _of_csv(path: Path) -> Sheet:
    text, is_utf8 = _decoded(path.read_bytes())
    first_line = text[: text.find("\n") + 1 or None]
    delimiter = max(";\t,", key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise ValueError("the file is empty")
    sheet = Sheet(header, [], np.empty(0, np.int64), True, {";": ",", ",": "."}.get(delimiter))
    chunks: list[list[pa.Array]] = [[] for _ in header]
    numbers: list[np.ndarray] = []
    ragged: dict[int, list[int]] = defaultdict(list)
    for block in _blocks(reader, len(header), ragged):
        numbers.append(np.array([number for number, _ in block], np.int64))
        for chunk, column in zip(chunks, zip(*(row for _, row in block), strict=True), strict=True):
            chunk.append(pa.array(column, pa.string()))
    sheet.columns = [pa.chunked_array(chunk, pa.string()) for chunk in chunks]
    sheet.rows = np.concatenate(numbers) if numbers else sheet.rows
    cut = f"cells where the header has {len(header)}; check separators and quotes"
    sheet.problems += [_problem("", f"{n} {cut}", rows) for n, rows in sorted(ragged.items())]
    sheet.problems += [] if is_utf8 else _not_utf8(sheet)
    return _without_nameless(sheet)


def _blocks(
    reader: Iterator[list[str]], width: int, ragged: dict[int, list[int]]
) -> Iterator[list[tuple[int, list[str]]]]:
    """The rows that have as many cells as the header, numbered, some at a time; empty rows are none."""
    numbered = enumerate(reader, 2)
    while part := list(islice(numbered, _CHUNK)):
        block = []
        for number, row in part:
            if len(row) == width and any(row):
                block.append((number, row))
            elif any(row):
                ragged[len(row)].append(number)
        if block:
            yield block


def _decoded(data: bytes) -> tuple[str, bool]:
    """The text of a file, and whether it was Unicode; else what cannot be read stands as U+FFFD."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16"), True
    if b"\0" in data[:200]:
        raise ValueError("it is not UTF-8; save it as CSV UTF-8")
    try:
        return data.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        return data.decode("utf-8-sig", errors="replace"), False


def _not_utf8(sheet: Sheet) -> list[Problem]:
    text = "not UTF-8; save the file as CSV UTF-8"
    problems = [Problem(name, text, len(sheet.rows), "row 1") for name in sheet.names if _UNREADABLE in name]
    for name, values in zip(sheet.names, sheet.columns, strict=True):
        bad = [i for i, value in enumerate(values.to_pylist()) if _UNREADABLE in value]  # type: ignore[union-attr]
        problems += [_problem(name, text, sheet.rows[bad])] if bad else []
    return problems or [Problem("", text, len(sheet.rows))]


def _without_nameless(sheet: Sheet) -> Sheet:
    """Columns without a name and without a cell are what a spreadsheet leaves behind."""
    kept: Sequence[int] = [
        i
        for i, name in enumerate(sheet.names)
        if name or any(sheet.columns[i].to_pylist())  # type: ignore[union-attr]
    ]
    sheet.names, sheet.columns = [sheet.names[i] for i in kept], [sheet.columns[i] for i in kept]
    return sheet
