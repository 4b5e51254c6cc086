"""`Column` and `Table`: a table is declared once, and everything else about it is derived.

From a `Table` come its Arrow schema with field metadata, the check of a frame (`Table.conform`), the pandas reading
(`Table.to_pandas`) and its page of the data dictionary (`Table.to_markdown`). Nothing is ever inferred from data.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .errors import InputError, SchemaError

Kind = Literal["id", "text", "date", "instant", "int", "float", "bool", "money", "list<text>", "json", "bytes"]
Money = Literal["float", "decimal", "cents"]

SCHEMA_VERSION = 2  # of all tables together; raised at most once a release, and then a store must be rebuilt
_SOME_DAY = "2025-01-01"  # of an example
MONEY = pa.decimal128(18, 4)
_MOST_PROBLEMS = 20  # in a message
MONEY_UNIT = 10_000  # a money value is an integer count of 1/10,000 of its currency's major unit
ARROW: dict[str, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "json": pa.string(),
    "date": pa.date32(),
    "instant": pa.timestamp("us", "UTC"),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "money": MONEY,
    "list<text>": pa.list_(pa.string()),
    "bytes": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """One column: name, kind, meaning, and where it comes from.

    `lo`/`hi` bound numbers (inclusive). `choices` are the only words allowed; `known` are the words the documentation
    names, where any other word is kept and counted as drift.
    """

    name: str
    kind: Kind
    doc: str
    unit: str | None = None
    source: str | None = None
    assumed: bool = False
    required: bool = False
    lo: float | None = None
    hi: float | None = None
    choices: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    @property
    def arrow_field(self) -> pa.Field:
        """The Arrow field, carrying the contract in its metadata."""
        meta = {
            "doc": self.doc,
            "unit": self.unit,
            "source": self.source,
            "assumed": "yes" if self.assumed else None,
        }
        return pa.field(
            self.name,
            ARROW[self.kind],
            nullable=not self.required,
            metadata={key: text for key, text in meta.items() if text},
        )


@dataclass(frozen=True)
class Table:
    """One tidy table: columns in order, and the key that makes a row unique.

    Examples
    --------
    >>> company_id = Column("company_id", "id", "The code.", required=True)
    >>> table = Table("t", "One row per company.", (company_id,), key=("company_id",))
    >>> table.conform(pd.DataFrame({"company_id": ["514673987"]})).num_rows
    1
    >>> table.conform(pd.DataFrame({"company_id": [514673987]}))
    Traceback (most recent call last):
    xray_analytics.errors.SchemaError: t: 1 problem: company_id: expected text, found int64
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [c.name for c in self.columns]
        doubled = sorted({n for n in names if names.count(n) > 1} | set(self.key) - set(names))
        if doubled:
            raise InputError(f"table {self.name}: columns {doubled} are declared twice, or are keys and not columns")

    def __getitem__(self, name: str) -> Column:
        """The column of that name."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {c.name: c for c in self.columns}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(self._by_name)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema; field metadata hold doc, unit, source, assumed."""
        meta = {"table": self.name, "schema_version": str(SCHEMA_VERSION)}
        return pa.schema([c.arrow_field for c in self.columns], metadata=meta)

    def empty(self) -> pa.Table:
        """No rows, all columns, the right types."""
        return self.arrow_schema.empty_table()

    def example(self, **columns: Any) -> pd.DataFrame:
        """A small valid frame for docstrings and tests: rows by column, typed as the table.

        Parameters
        ----------
        **columns
            A list with one value per row, or one value for all rows; days and instants (UTC) may be text. A required
            column that is not given gets a plain value: the first word allowed, 0, false, the first instants given.
            Ids and positions in the key count up. Other columns are null.

        Raises
        ------
        InputError
            The lists are not equally long, or a day is none.
        SchemaError
            As in `conform`.

        Examples
        --------
        >>> rate, day = Column("rate", "float", "A rate.", lo=0), Column("day", "date", "A day.", required=True)
        >>> number = Column("company_no", "int", "From 0.", lo=0, required=True)
        >>> Table("t", "Rates.", (number, day, rate), key=("company_no",)).example(day="2025-03-31", rate=[0.5, None])
           company_no        day  rate
        0           0 2025-03-31   0.5
        1           1 2025-03-31   NaN
        """
        n_rows = max((len(values) for values in columns.values() if pd.api.types.is_list_like(values)), default=1)
        times = {c.name: c.kind for c in self.columns if c.kind in ("date", "instant")}
        known = [v for name, v in columns.items() if times.get(name) == "instant" and not np.any(pd.isna(v))]
        moment = known[0] if known else _SOME_DAY
        made = {
            c.name: moment if c.kind == "instant" else _plain_values(c, n_rows if c.name in self.key else 0)
            for c in self.columns
            if c.required and c.name not in columns
        }
        try:
            frame = pd.DataFrame(made | columns, index=range(n_rows))
            for name in times.keys() & set(frame.columns):
                frame[name] = pd.to_datetime(frame[name], utc=times[name] == "instant")
        except (TypeError, ValueError) as error:
            raise InputError(f"no example of {self.name} from these columns: {error}; give one value per row") from None
        return self.to_pandas(self.conform(frame))

    def conform(self, frame: Any) -> pa.Table:
        """The frame as an Arrow table of exactly this schema, or all its problems at once.

        Parameters
        ----------
        frame
            A pandas frame, an Arrow table, or anything with an Arrow stream. Column order does not matter; absent
            nullable columns become null. Money is a decimal or a float in major units.

        Raises
        ------
        SchemaError
            Unknown or absent columns, wrong types, values out of range, nulls in required columns, repeated keys.
            ``failures`` holds one row per problem: ``table``, ``column``, ``problem``, ``n_rows``, ``example``.
        """
        data = _as_arrow(frame)
        problems: list[Problem] = [
            Problem(name, "unknown column", data.num_rows) for name in data.column_names if name not in self._by_name
        ]
        arrays = []
        for column in self.columns:
            array, found = _conform_column(column, data)
            arrays.append(array)
            problems += found
        if not problems:
            table = pa.Table.from_arrays(arrays, schema=self.arrow_schema)
            problems = _repeated_keys(self, table)
        if problems:
            raise schema_error(self.name, problems)
        return table

    def to_pandas(self, data: pa.Table, *, money: Money = "float") -> pd.DataFrame:
        """A pandas frame: nullable Int64 and boolean, string, datetime64; money as asked.

        `money` is ``"float"`` (float64, major units, null as NaN), ``"decimal"`` (Decimal objects) or ``"cents"``
        (Int64; refused where a value is not a whole cent).
        """
        frame = {name: _to_pandas_column(data.column(name), name, money) for name in data.column_names}
        return pd.DataFrame(frame, columns=pd.Index(data.column_names))

    def to_dict(self) -> dict[str, Any]:
        """Name, meaning, key and columns as plain values."""
        return {"name": self.name, "doc": self.doc, "key": self.key, "columns": [asdict(c) for c in self.columns]}

    def to_markdown(self) -> str:
        """The page of the data dictionary."""
        lines = [f"## {self.name}", "", self.doc, "", f"Key: {', '.join(f'`{k}`' for k in self.key)}.", ""]
        lines += ["| column | kind | unit | meaning | source |", "|---|---|---|---|---|"]
        for c in self.columns:
            kind = c.kind + ("" if not c.required else ", required")
            doc = c.doc + (" *Assumed.*" if c.assumed else "")
            lines.append(f"| `{c.name}` | {kind} | {c.unit or ''} | {doc} | {f'`{c.source}`' if c.source else ''} |")
        return "\n".join([*lines, ""])


@dataclass(frozen=True)
class Problem:
    """One way in which a column is not as declared."""

    column: str
    problem: str
    n_rows: int
    example: str = ""


def money_units(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Money as its exact integers of 1/10,000; nulls are 0.

    Arrow's own cast of decimals to floats is not correctly rounded, so this reads the integers themselves.

    >>> from decimal import Decimal
    >>> money_units(pa.array([Decimal("1.25"), Decimal("-0.0001"), None], MONEY)).tolist()
    [12500, -1, 0]
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if len(values) == 0:
        return np.empty(0, np.int64)
    filled = values.fill_null(pa.scalar(0, MONEY).cast(MONEY)) if values.null_count else values
    words = np.frombuffer(filled.buffers()[1], dtype=np.int64)[filled.offset * 2 :]
    return words[: 2 * len(filled) : 2]  # 18 digits fit the low word of the 128 bits


def money_floats(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Money as float64 in major units, each the float nearest to the decimal; nulls are NaN."""
    floats = money_units(values) / MONEY_UNIT
    if values.null_count:
        floats[values.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return floats


def _plain_values(column: Column, n_keys: int) -> Any:
    """A value that is allowed, the same for every row; in a key as many as there are rows, if they can count up."""
    words = column.choices or column.known
    if column.kind in ("id", "text", "json") and not words:
        return [str(no + 1) for no in range(n_keys)] or "1"
    if n_keys and column.kind == "int" and column.lo == 0:
        return range(n_keys)
    others = {"date": _SOME_DAY, "bool": False, "bytes": b"", "list<text>": None}
    return words[0] if words else others.get(column.kind, column.lo or 0)


def _as_arrow(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pd.DataFrame):
        try:
            return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise schema_error("frame", [Problem("", f"mixed types: {error}", len(frame))]) from None
    try:
        return pa.table(frame)
    except (TypeError, ValueError, pa.ArrowInvalid) as error:
        raise InputError(f"expected a pandas frame or an Arrow table, found {type(frame).__name__}") from error


def _conform_column(column: Column, data: pa.Table) -> tuple[pa.ChunkedArray, list[Problem]]:
    """The column as its Arrow type, with what is wrong about it; all null where it cannot be converted."""
    target, n = ARROW[column.kind], data.num_rows
    nulls = pa.chunked_array([pa.nulls(n, target)])
    if column.name not in data.column_names:
        return nulls, [Problem(column.name, "absent", n)] if column.required else []
    values = data.column(column.name)
    try:
        array = _cast(values, column.kind)
    except _WrongType as wrong:
        return nulls, [Problem(column.name, str(wrong), n, _example(values))]
    return array, _value_problems(column, array)


class _WrongType(Exception):
    """A column that cannot be read as its kind; never leaves this module."""


def _cast(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    found, target = values.type, ARROW[kind]
    if found == target:
        return values
    if pa.types.is_null(found):
        return pa.chunked_array([pa.nulls(len(values), target)])
    if not _castable(found, kind):
        wanted = {"id": "text", "json": "text", "instant": "an instant with a time zone"}.get(kind, kind)
        raise _WrongType(f"expected {wanted}, found {found}")
    if kind == "float" or (kind in ("money", "int") and pa.types.is_floating(found)):
        values = pc.if_else(
            pc.is_nan(values.cast(pa.float64())), pa.scalar(None, pa.float64()), values.cast(pa.float64())
        )
    if kind == "money":
        return _cast_money(values)
    try:
        array = values.cast(target)
    except pa.ArrowInvalid as error:
        raise _WrongType(f"not {kind}: {error}") from None
    if kind == "date" and not array.cast(found).equals(values):
        raise _WrongType("calendar days expected, found times of day")
    return array


def _castable(found: pa.DataType, kind: str) -> bool:
    is_ = pa.types
    text = is_.is_string(found) or is_.is_large_string(found) or is_.is_string_view(found)
    number = is_.is_integer(found) or is_.is_floating(found)
    accepted = {
        "id": text,
        "text": text,
        "json": text,
        "date": is_.is_date(found) or (is_.is_timestamp(found) and found.tz is None),
        "instant": is_.is_timestamp(found) and found.tz is not None,
        "list<text>": is_.is_list(found) or is_.is_large_list(found),
        "bytes": is_.is_binary(found) or is_.is_large_binary(found),
        "bool": is_.is_boolean(found),
        "money": number or is_.is_decimal(found),
    }
    return bool(accepted.get(kind, number))


def _cast_money(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Floats are rounded to 1/10,000 and must then read back as themselves, so that no value changes in silence."""
    try:
        # any 64-bit integer has room in 23 digits, 4 of them decimals; whether 18 are enough is then its value's matter
        array = (values.cast(pa.decimal128(23, 4)) if pa.types.is_integer(values.type) else values).cast(MONEY)
    except pa.ArrowInvalid as error:
        raise _WrongType(f"not money of 18 digits, 4 of them decimals: {error}") from None
    if pa.types.is_floating(values.type):
        sent = values.drop_null().to_numpy()
        changed = np.flatnonzero(money_floats(array.drop_null()) != sent)
        if len(changed):
            raise _WrongType(f"{len(changed)} values have more than four decimals, such as {sent[changed[0]]}")
    return array


def _value_problems(column: Column, array: pa.ChunkedArray) -> list[Problem]:
    problems = []
    if column.required and array.null_count:
        problems.append(Problem(column.name, "null in a required column", array.null_count))
    if column.kind == "float":
        problems += _count(column, array, pc.is_inf(array), "infinite")
    if column.lo is not None:
        problems += _count(column, array, pc.less(array, pa.scalar(column.lo)), f"below {column.lo:g}")
    if column.hi is not None:
        problems += _count(column, array, pc.greater(array, pa.scalar(column.hi)), f"above {column.hi:g}")
    if column.choices:
        allowed = pc.is_in(array, pa.array(column.choices))
        bad = pc.and_(pc.is_valid(array), pc.invert(allowed))
        problems += _count(column, array, bad, f"not one of {', '.join(column.choices)}")
    return problems


def _count(column: Column, array: pa.ChunkedArray, bad: pa.ChunkedArray, problem: str) -> list[Problem]:
    n = pc.sum(bad).as_py() or 0
    return [Problem(column.name, problem, n, _example(array.filter(bad)))] if n else []


def _example(values: pa.ChunkedArray) -> str:
    """The first value, cut: enough to find it, too little to leak a line of an account."""
    present = values.drop_null()
    return str(present[0].as_py())[:24] if len(present) else ""


def _repeated_keys(table: Table, data: pa.Table) -> list[Problem]:
    if data.num_rows < 2 or not table.key:
        return []
    counts = data.group_by(list(table.key)).aggregate([([], "count_all")])["count_all"]
    repeated = data.num_rows - len(counts)
    if not repeated:
        return []
    rows = Counter(zip(*(data[name].to_pylist() for name in table.key), strict=True))
    first = next(row for row, n in rows.items() if n > 1)
    return [Problem(", ".join(table.key), "repeated key", repeated, ", ".join(map(str, first)))]


def schema_error(name: str, problems: list[Problem]) -> SchemaError:
    """All problems of a frame or file of that name, as one error."""
    failures = pd.DataFrame(
        [(name, p.column, p.problem, p.n_rows, p.example) for p in problems],
        columns=pd.Index(["table", "column", "problem", "n_rows", "example"]),
    )
    first = "; ".join(f"{p.column}: {p.problem}".removeprefix(": ") for p in problems[:_MOST_PROBLEMS])
    plural = "" if len(problems) == 1 else "s"
    return SchemaError(f"{name}: {len(problems)} problem{plural}: {first}", failures)


def _to_pandas_column(values: pa.ChunkedArray, name: str, money: Money) -> pd.Series[Any]:
    kind = values.type
    if kind == MONEY and money == "float":
        return pd.Series(money_floats(values))
    if kind == MONEY and money == "cents":
        return pd.Series(_cents(values, name))
    if pa.types.is_date(kind):
        values = values.cast(pa.timestamp("us"))
    dtype = _PANDAS.get(kind)
    series: pd.Series[Any] = values.to_pandas(types_mapper=(lambda _: dtype) if dtype else None)
    return series


_PANDAS: dict[pa.DataType, Any] = {
    pa.string(): pd.StringDtype("pyarrow", na_value=pd.NA),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def _cents(values: pa.ChunkedArray, name: str) -> pd.arrays.IntegerArray:
    cents, rest = np.divmod(money_units(values), MONEY_UNIT // 100)
    if rest.any():
        raise InputError(f"{name} holds {np.count_nonzero(rest)} values that are not whole cents; read money='decimal'")
    return pd.arrays.IntegerArray(cents, values.is_null().to_numpy(zero_copy_only=False).copy())
