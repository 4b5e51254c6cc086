"""The lender's files as rows of their tables: every problem at once, each with its column, its rows and a remedy.

A file may be CSV (commas, semicolons or tabs; UTF-8, or UTF-16 with its mark), XLSX (its first sheet) or Parquet; a
frame may be of pandas, Polars or Arrow. All are read cell by cell by the one rule of `cells`, and no message repeats
what stands in a cell. A row is numbered as in a spreadsheet, the header being row 1; of a frame the first row is 1.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
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

CodeType = str | Mapping[str, str]  # the kind of all company numbers, or of each
Source = str | Path | pd.DataFrame | Any  # or whatever else has an Arrow stream
_CHUNK = 50_000  # rows of a CSV that are Python objects at a time
_SHOWN = 5  # row numbers in a message
_CONTROL = re.compile(r"_x00([01][0-9A-Fa-f])_", re.ASCII)  # how a workbook writes what XML cannot hold
_HASHED = (str, int, float, Decimal, date)  # bool and datetime too
_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_WORDS = {"id": "text", "bool": "true or false"}  # what a kind is called, where not by its name
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


def read(source: Source, table: Table, code_type: CodeType = "siren") -> Rows:
    """The rows of a lender's file or frame.

    Parameters
    ----------
    source
        A path to a .csv, .xlsx or .parquet file, or a frame.
    table
        The lender's table that it holds.
    code_type
        What kind of company numbers are in it, see `identity.company_code`; or the kind by number.

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
    if not {problem.column for problem in problems} & {"", *table.key}:
        problems += _problems_of_keys(columns, table, sheet)
    if problems:
        raise schema_error(named, problems)
    return Rows(_assembled(columns, table, len(sheet.rows)), n_sirets)


def _assembled(columns: dict[str, pa.Array], table: Table, n: int) -> pa.Table:
    fields = [f for f in table.arrow_schema if f.name != "recorded_at"]
    arrays = [columns[f.name] if f.name in columns else pa.nulls(n, f.type) for f in fields]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _column(
    values: pa.ChunkedArray | list[Any], column: Column, sheet: Sheet, code_type: CodeType
) -> tuple[pa.Array, list[Problem], int]:
    """The column as its Arrow type, what is wrong with which rows of it, and how many SIRETs were cut."""
    if isinstance(values, pa.ChunkedArray) and not (_fits(values.type, column.kind) or _is_empty(values)):
        remedy = cells.AS_TEXT if column.kind in ("id", "text") else "give single values"
        problem = f"expected {_WORDS.get(column.kind, column.kind)}, found {values.type}; {remedy}"
        return pa.nulls(len(values), ARROW[column.kind]), [Problem(column.name, problem, len(values))], 0
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


def _reader(column: Column, sheet: Sheet, distinct: list[Any], code_type: CodeType) -> Callable[[Any], Any]:
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


def _code_reader(code_type: CodeType) -> Callable[[Any], str]:
    def read_code(value: Any) -> str:
        text = cells.to_text(value)
        kind = code_type if isinstance(code_type, str) else _kind(text, code_type)
        fault = identity.code_fault(text, kind)
        if fault:
            raise Wrong(fault)
        return identity.company_code(text, kind)

    return read_code


def _kind(text: str, kinds: Mapping[str, str]) -> str:
    """The kind of a number that a request names, as it is or as the SIRET of its SIREN."""
    number = identity.without_blanks(text)
    siren = number[: identity.SIREN_DIGITS] if len(number) == identity.SIRET_DIGITS else number
    kind = kinds.get(siren)
    if kind is None:
        several = " and ".join(sorted(set(kinds.values())))
        raise Wrong(
            f"no request names this number, and there are numbers of {several}: say which the file has (--code-type)"
        )
    return kind


def _n_sirets(codes: np.ndarray, distinct: list[Any], found: list[Any]) -> int:
    pairs = zip(distinct, found, strict=True)
    cut = [i for i, (text, code) in enumerate(pairs) if code is not None and identity.without_blanks(text) != code]
    return int(np.isin(codes, cut).sum())


def _fits(found: pa.DataType, kind: str) -> bool:
    """Whether cells of an Arrow type can be read one by one as a kind; of numbers no text, and no nested values."""
    is_text = pa.types.is_null(found) or any(
        fits(found) for fits in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )
    return is_text or (kind not in ("id", "text") and (pa.types.is_primitive(found) or pa.types.is_decimal(found)))


def _is_empty(values: pa.ChunkedArray) -> bool:
    """Whether a column of numbers holds none: what pandas makes of a column without a value."""
    return bool(pa.types.is_floating(values.type) and pc.all(values.is_null(nan_is_null=True), min_count=0).as_py())


def _encoded(values: pa.ChunkedArray | list[Any]) -> tuple[np.ndarray, list[Any]]:
    """The place of each row's value among the distinct values, -1 for null; equal values of two types are two."""
    if isinstance(values, list):
        return _encoded_objects(values)
    if pa.types.is_null(values.type) or _is_empty(values):
        return np.full(len(values), -1), []
    encoded = pa.chunked_array(values, values.type).combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, [_as_python(value) for value in encoded.dictionary]


def _encoded_objects(values: list[Any]) -> tuple[np.ndarray, list[Any]]:
    places: dict[tuple[type, Any], int] = {}
    distinct: list[Any] = []
    codes = np.full(len(values), -1, np.int64)
    for row, given in enumerate(values):
        value = cells.plain(given)
        if cells.is_null(value):
            continue
        key = (type(value), value if isinstance(value, _HASHED) else id(value))
        codes[row] = places.setdefault(key, len(distinct))
        distinct += [value] if codes[row] == len(distinct) else []
    return codes, distinct


def _as_python(value: pa.Scalar[Any]) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):  # a day that Python does not know: no column takes the scalar itself
        return value


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
    known = ", ".join(name for name in table.names if name not in ("recorded_at", "is_withdrawn"))
    if not set(sheet.names) & set(table.names):  # what stands there may be a company's data: it is not repeated
        yield Problem("", f"no name of a column in row 1; {table.name} has {known}; such as {_EXAMPLES[table.name]}", n)
        return
    for name in dict.fromkeys(sheet.names):
        places = [i for i, other in enumerate(sheet.names, 1) if other == name]
        if len(places) > 1:
            yield Problem(name, f"the header names it {len(places)} times, in columns {', '.join(map(str, places))}", n)
    unknown = [name for name in dict.fromkeys(sheet.names) if name not in table.names]
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
    except Exception as error:  # whatever the libraries make of a damaged file
        is_plain = isinstance(error, Wrong | pa.ArrowException | zipfile.BadZipFile)  # others may repeat a cell
        why = getattr(error, "strerror", None) or (error if is_plain else "it is damaged, or not what its name says")
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
    try:
        array = pa.array(values, from_pandas=True)
    except pa.ArrowException:  # a type that only pandas has: value by value
        return list(values)
    return _plain(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]))


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without a dictionary: that of a category of Polars has texts that Arrow takes from no dictionary."""
    kind = values.type
    if not pa.types.is_dictionary(kind):
        return values
    wide = pa.large_string() if pa.types.is_string_view(kind.value_type) else kind.value_type
    return pa.chunked_array([chunk.dictionary.cast(wide).take(chunk.indices) for chunk in values.chunks], wide)


def _of_workbook(path: Path) -> Sheet:
    """The first sheet of a workbook: values as they were stored, and formulas that have none."""
    import openpyxl  # type: ignore[import-untyped]  # noqa: PLC0415 - only workbooks need it

    with path.open("rb") as file:
        values, formulas = (openpyxl.load_workbook(file, read_only=True, data_only=only) for only in (True, False))
        pages = [book.worksheets[0] for book in (values, formulas)]
        for page in pages:
            page.reset_dimensions()  # what the file says of its size is wrong where other programs wrote it
        read_rows = [list(map(_stored, *rows)) for rows in zip(*pages, strict=True)]
    if not read_rows:
        raise Wrong("its first sheet is empty")
    header, *body = read_rows
    return _sheet([str(name or "") for name in header], [(i, row) for i, row in enumerate(body, 2)])


def _stored(cell: Any, formula: Any) -> Any:
    """What a cell holds: the value of a formula, also of one whose text is empty, or the mark that it has none."""
    if isinstance(cell.value, str):
        return _CONTROL.sub(lambda found: chr(int(found[1], 16)), cell.value)
    has_none = cell.value is None and formula.data_type == "f" and cell.data_type != "str"
    return cells.Formula() if has_none else cell.value


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
        raise Wrong("the file is empty")
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
    numbered = _numbered(reader)
    while part := list(islice(numbered, _CHUNK)):
        block = []
        for number, row in part:
            if len(row) == width and any(row):
                block.append((number, row))
            elif any(row):
                ragged[len(row)].append(number)
        if block:
            yield block


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    number = 1
    try:
        for number, row in enumerate(reader, 2):
            yield number, row
    except csv.Error as error:
        raise Wrong(f"after row {number}: {error}; check the quotation marks there") from None


def _decoded(data: bytes) -> tuple[str, bool]:
    """The text of a file, and whether it was Unicode; else what cannot be read stands as U+FFFD."""
    wide = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if wide is None and b"\0" in data[:200]:
        raise Wrong("it is not UTF-8; save it as CSV UTF-8")
    try:
        return data.decode(wide or "utf-8-sig"), True
    except UnicodeDecodeError:
        if wide is not None:
            raise Wrong(f"it is {wide.upper()} and cut off or damaged; save it as CSV UTF-8") from None
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
