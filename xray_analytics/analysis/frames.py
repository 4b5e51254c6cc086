"""Any frame in, a checked frame out: what every analysis does before it counts anything.

A frame is whatever Narwhals accepts (pandas, Arrow, a DuckDB relation, Spark, Polars). `scan` checks and
narrows it without reading it, `collect` brings the little that is left to pandas. Reports come in versions and
companies in reports: `newest_reports` and `newest_of_each_company` say once which of them counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from narwhals.exceptions import NarwhalsError
from narwhals.stable.v2.typing import IntoFrame

from .. import engine
from ..errors import InputError
from ..schema import Column, Table
from ..tables import COMPANIES, REPORTS

Frame: TypeAlias = IntoFrame
AsOf: TypeAlias = str | date | datetime

REPORT_COLUMNS = (
    "report_id", "report_version", "company_id", "product", "created_at", "available_at", "is_backfilled",
)  # fmt: skip
CLASS_COLUMNS = {"bank": "bank_risk_class", "financial": "financial_risk_class"}
_TEXT, _FLOAT, _DAY = pd.StringDtype("pyarrow", na_value=pd.NA), np.dtype("float64"), np.dtype("datetime64[us]")
# What frames made by hand, or by an older package, need not have: null, and nothing is concluded from it.
MAY_LACK: Mapping[str, tuple[str, ...]] = {
    "reports": ("n_accounts", "n_transactions", "n_unread_transactions", "total_credit", "total_debit"),
    "transactions": ("currency",),
    "statement_summaries": ("has_basis",),
    "monthly_summaries": ("currency", "flow_basis", "unreconciled_amount"),
    "flows": ("currency", "flow_basis", "unreconciled_amount", "operating_credit", "operating_debit"),
    "daily_balances": ("currency",),
    "company_metrics": ("currency",),
    "recurring": ("currency",),
    "incidents": ("currency",),
}
_NOTHING = {"text": nw.lit(None, nw.String), "money": nw.lit(None, nw.Float64), "int": nw.lit(None, nw.Float64)}
_NOTHING["bool"] = nw.lit(value=True)  # `has_basis`, the only one: null counts as true, and pandas has no null here
_INSTANT = pa.timestamp("us")  # of UTC, without saying so
_ZONED = "TIMESTAMP WITH TIME ZONE"
_PANDAS: dict[str, Any] = {  # dtypes and not their names, which pandas would parse for every column again
    "id": _TEXT, "text": _TEXT, "json": _TEXT, "int": pd.Int64Dtype(), "bool": pd.BooleanDtype(), "float": _FLOAT,
    "money": _FLOAT, "date": _DAY,
}  # fmt: skip
_OTHERS: dict[str, Any] = {"bool": nw.Boolean, "list<text>": nw.List, "bytes": nw.Binary}
_NULLS_PANDAS = _PANDAS | {"instant": pd.DatetimeTZDtype("us", "UTC")}
_NULLS: dict[str, Any] = {
    "id": nw.String(), "text": nw.String(), "json": nw.String(), "int": nw.Int64(), "bool": nw.Boolean(),
    "float": nw.Float64(), "money": nw.Float64(), "date": nw.Datetime("us"), "instant": nw.Datetime("us", "UTC"),
    "list<text>": nw.List(nw.String()), "bytes": nw.Binary(),
}  # fmt: skip
_NULLS_DUCKDB = {
    "id": "VARCHAR", "text": "VARCHAR", "json": "VARCHAR", "int": "BIGINT", "bool": "BOOLEAN", "float": "DOUBLE",
    "money": "DOUBLE", "date": "TIMESTAMP", "instant": "TIMESTAMPTZ", "list<text>": "VARCHAR[]", "bytes": "BLOB",
}  # fmt: skip


@dataclass(frozen=True)
class Versions:
    """Of each report its newest version: `rows` for the engine to join, `seen` in pandas, oldest first, ties by id."""

    rows: nw.LazyFrame[Any]
    seen: pd.DataFrame


def scan(frame: Frame, table: Table, columns: Iterable[str]) -> nw.LazyFrame[Any]:
    """These columns of a frame, lazily: money as float64, days as midnight, everything else as it is.

    A day with a time of day is that day: of a time with a zone the day it is there (DuckDB: in the connection's zone).
    Not a number is missing, an infinite one refused. A column of nothing but nulls has the type it should have,
    whatever it came as. Columns that the table does not declare are passed through; all of them must be there, but for
    those in `MAY_LACK`, which are null where they are absent.

    Raises
    ------
    InputError
        It is no frame, or a column is absent or of the wrong type; the message names the column and its table.
    """
    names = list(dict.fromkeys(columns))
    absent = lacking(frame, table, names)
    rows, known = _checked(frame, table, [name for name in names if name not in absent])
    nothing = {name: _NOTHING[table[name].kind] for name in absent}
    return _selected(rows, {name: nothing[name] if name in nothing else known[name] for name in names}, table)


def lacking(frame: Frame, table: Table, columns: Iterable[str]) -> list[str]:
    """Those of these columns that a frame lacks and may lack.

    Raises
    ------
    InputError
        It is no frame.
    """
    may = [name for name in columns if name in MAY_LACK.get(table.name, ())]
    found = lazy(frame, table, ()).columns if may else ()
    return [name for name in may if name not in found]


def _selected(rows: nw.LazyFrame[Any], expressions: Mapping[str, nw.Expr], table: Table) -> nw.LazyFrame[Any]:
    try:  # what lives in pandas is converted here and now
        return rows.select(**expressions)
    except (TypeError, ValueError, OverflowError, NarwhalsError) as error:
        raise InputError(f"a column of {table.name} cannot be read: {error}") from error


def _checked(frame: Frame, table: Table, names: Sequence[str]) -> tuple[nw.LazyFrame[Any], dict[str, nw.Expr]]:
    """The frame with columns that all fit, and what `scan` makes of each."""
    rows = lazy(frame, table, names)
    declared = [table[name] for name in names if name in table.names]
    found = _types(rows, declared)
    strange = [c for c in declared if found[c.name] == nw.Unknown or not _fits(c, found[c.name])]
    seen = {c.name: _type_of_values(rows, c.name, found[c.name]) for c in strange}
    wrong = [f"{c.name} ({c.kind} expected, {seen[c.name]} found)" for c in strange if not _fits(c, seen[c.name])]
    if wrong:
        raise InputError(f"the frame of {table.name} has columns of the wrong type: {', '.join(wrong)}")
    _refuse_infinite(rows, [c for c in declared if found[c.name] in (nw.Float32, nw.Float64)], table)
    nothing = [c for c in strange if seen[c.name] is None]
    if nothing:
        rows = _with_nulls(rows, nothing)
        found |= _types(rows, nothing)
    objects = [c.name for c in declared if c.kind == "instant" and seen.get(c.name, found[c.name]) == nw.Object]
    rows = _with_instants(rows, objects, table) if objects else rows
    return rows, {name: _expression(rows, table, name, found.get(name)) for name in names}


def _refuse_infinite(rows: nw.LazyFrame[Any], columns: Sequence[Column], table: Table) -> None:
    """Of a frame that is here already; `collect` looks at what other engines give."""
    here = rows.implementation.is_pandas() or rows.implementation.is_pyarrow()
    native: Any = rows.to_native() if here and columns else {}
    infinite = [c.name for c in columns if here and _is_infinite(native[c.name])]
    if infinite:
        raise InputError(
            f"the frame of {table.name} holds infinite numbers in {', '.join(infinite)}; correct them first"
        )


def _is_infinite(values: Any) -> bool:
    if isinstance(values, pa.ChunkedArray):
        return bool(pc.any(pc.is_inf(values)).as_py())
    return bool(np.isinf(values.to_numpy("float64", na_value=np.nan)).any())


def _type_of_values(rows: nw.LazyFrame[Any], name: str, dtype: Any) -> Any:
    """The type of the values that are no null; None where there is none. Of Python objects 100 rows told it so far."""
    known = rows.select(name)
    if dtype in (nw.Float32, nw.Float64):
        known = known.filter(~nw.col(name).is_nan())
    known = known.drop_nulls()
    if rows.implementation.is_pandas():
        native: Any = known.to_native()
        return dict(nw.from_native(native).schema)[name] if len(native) else None
    return dtype if len(known.head(1).collect("pyarrow")) else None


def _with_nulls(rows: nw.LazyFrame[Any], columns: Sequence[Column]) -> nw.LazyFrame[Any]:
    """These columns as nulls of their kind."""
    native: Any = rows.to_native()
    if rows.implementation.is_pandas():
        nothing = [None] * len(native)
        series = {c.name: pd.Series(nothing, native.index, _NULLS_PANDAS.get(c.kind, "object")) for c in columns}
        return _lazy(native.assign(**series))
    if rows.implementation.is_duckdb():
        nulls = ", ".join(f'CAST(NULL AS {_NULLS_DUCKDB[c.kind]}) AS "{c.name}"' for c in columns)
        return _lazy(native.project(f"* REPLACE ({nulls})"))
    return rows.with_columns(nw.lit(None, dtype=_NULLS[c.kind]).alias(c.name) for c in columns)


def _with_instants(rows: nw.LazyFrame[Any], names: Sequence[str], table: Table) -> nw.LazyFrame[Any]:
    """These columns of Python objects as instants; without a zone they are none."""
    native: Any = rows.to_native()
    for name in names:
        known = native[name].dropna() if rows.implementation.is_pandas() else [None]
        if not all(isinstance(value, datetime) and value.tzinfo is not None for value in known):
            raise InputError(
                f"the frame of {table.name} holds in {name} what is no time with a zone; convert it with "
                "pd.to_datetime(…, utc=True)"
            )
    return _lazy(native.assign(**{name: pd.to_datetime(native[name], utc=True) for name in names}))


def _lazy(native: Any) -> nw.LazyFrame[Any]:
    rows: nw.LazyFrame[Any] = nw.from_native(native).lazy()
    return rows


def _types(rows: nw.LazyFrame[Any], columns: Sequence[Column]) -> dict[str, Any]:
    """What is in these columns; DuckDB itself is asked for instants, of whose zone Narwhals would run a query."""
    native: Any = rows.to_native()
    here = dict(zip(native.columns, map(str, native.types), strict=True)) if rows.implementation.is_duckdb() else {}
    if _ZONED not in here.values():
        return dict(rows.collect_schema())
    zoned = {c.name: nw.Datetime(time_zone="UTC") for c in columns if here[c.name] == _ZONED}
    others = [c.name for c in columns if c.name not in zoned]
    return zoned | (dict(rows.select(*others).collect_schema()) if others else {})


def lazy(frame: Frame, table: Table, columns: Iterable[str]) -> nw.LazyFrame[Any]:
    """A frame as it is, lazily, once it is seen to have these columns.

    Raises
    ------
    InputError
        It is no frame, or a column is absent.
    """
    try:
        rows: nw.LazyFrame[Any] = nw.from_native(frame).lazy()
        found = rows.columns  # of names alone no engine makes a query, as DuckDB does of times with a zone
    except (TypeError, ValueError, NarwhalsError) as error:
        raise InputError(f"{table.name}: expected a frame with named columns, found {type(frame).__name__}") from error
    if absent := [name for name in columns if name not in found]:
        raise InputError(f"the frame of {table.name} lacks {', '.join(absent)}; read or join these columns first")
    return rows


def _fits(column: Column, dtype: Any) -> bool:
    if dtype is None or dtype in (nw.Object, nw.Unknown):  # nothing but nulls, or Python objects
        return True
    if column.kind in ("id", "text", "json"):
        return dtype in (nw.String, nw.Categorical)
    if column.kind == "date":
        return dtype in (nw.Date, nw.Datetime)
    if column.kind == "instant":
        return dtype == nw.Datetime and dtype.time_zone is not None
    if column.kind in _OTHERS:
        return bool(dtype == _OTHERS[column.kind])
    return bool(dtype.is_numeric())


def _expression(rows: nw.LazyFrame[Any], table: Table, name: str, dtype: Any) -> nw.Expr:
    kind = table[name].kind if name in table.names else None
    if kind in ("int", "float", "money") and dtype in (nw.Float32, nw.Float64) and not rows.implementation.is_pandas():
        return nw.col(name).cast(nw.Float64).fill_nan(None)  # which pandas takes for missing anyway
    if kind in ("float", "money"):
        return nw.col(name).cast(nw.Float64)
    if kind != "date":
        return nw.col(name)
    if dtype == nw.Datetime:  # cut before it is cast, which of nanoseconds would lose something
        there = nw.col(name) if dtype.time_zone is None else nw.col(name).dt.replace_time_zone(None)
        return there.dt.truncate("1d").cast(nw.Datetime("us"))
    moment = nw.col(name).cast(nw.Datetime("us"))
    return moment if dtype == nw.Date else moment.dt.truncate("1d")


def collect(rows: nw.LazyFrame[Any], *tables: Table) -> pd.DataFrame:
    """A lazy frame in pandas: Int64, boolean, string, float64; days and instants as datetime64[us], in UTC.

    The kind of a column is that of the first of `tables` that declares it.
    """
    names = ", ".join(table.name for table in tables)
    try:
        with engine.translated(f"the question about {names}"):
            eager = rows.collect("pandas" if rows.implementation.is_pandas() else "pyarrow")
        kinds = {name: next((t[name].kind for t in tables if name in t.names), None) for name in eager.columns}
        native = eager.to_native()
        columns = {name: _column(native[name], kind) for name, kind in kinds.items()}
    except (TypeError, ValueError, OverflowError, NarwhalsError) as error:
        raise InputError(f"a column of {names} cannot be read: {error}") from error
    infinite = [name for name, kind in kinds.items() if kind in ("float", "money") and np.isinf(columns[name]).any()]
    if infinite:
        raise InputError(f"{names}: {', '.join(infinite)} is infinite; correct the amounts first")
    return pd.DataFrame(columns, index=pd.RangeIndex(len(eager)))


def _column(values: Any, kind: str | None) -> Any:
    """A column of pandas or Arrow as an array with the dtype of its kind."""
    dtype: Any = _PANDAS.get(kind or "")
    if kind == "list<text>":  # lists, and None where there is none, whatever the engine calls it
        found = values.to_pylist() if isinstance(values, pa.ChunkedArray) else values
        return pd.Series([list(one) if pd.api.types.is_list_like(one) else None for one in found], dtype=object).array
    if isinstance(values, pa.ChunkedArray):
        found = values.type
        if kind == "instant" and pa.types.is_timestamp(found) and found.tz:
            return values.cast(_INSTANT, safe=False).to_numpy()
        if hasattr(dtype, "__from_arrow__") and not pa.types.is_dictionary(found):
            return dtype.__from_arrow__(values)
        values = values.to_pandas()
    if kind == "instant":
        values = values.dt.tz_convert("UTC").dt.tz_localize(None).astype(_DAY)
    elif dtype is not None and values.dtype != dtype:
        values = values.astype(dtype)
    return values.array


def typed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The table's columns in its order with the dtypes of `collect`; also of a frame without rows."""
    found = frame.reindex(columns=list(table.names))
    kinds = zip(table.columns, found.dtypes, strict=True)
    return found.astype({c.name: to for c, dtype in kinds if dtype != (to := _PANDAS.get(c.kind, object))})


def same_kind(*given: Frame) -> bool:
    """Whether these frames live in one engine, so that it can join them."""
    kinds = {nw.from_native(frame).implementation for frame in given}
    return len(kinds) == 1


def instant(as_of: AsOf) -> datetime:
    """The moment up to which things are seen: a day counts to its end, a time without zone is UTC.

    >>> instant("2025-06-30").isoformat()
    '2025-06-30T23:59:59.999999+00:00'
    """
    try:
        moment = pd.Timestamp(datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of)
    except ValueError as error:
        raise InputError(f"as_of is {as_of!r}; give a day such as 2025-06-30 or a time in ISO form") from error
    if pd.isna(moment):
        raise InputError("as_of is missing; give a day such as 2025-06-30")
    if not isinstance(as_of, datetime) and len(str(as_of)) <= len("2025-06-30"):
        moment += pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)
    zoned = moment.tz_localize(UTC) if moment.tzinfo is None else moment.tz_convert(UTC)
    return zoned.to_pydatetime()


def day(as_of: AsOf) -> pd.Timestamp:
    """The calendar day (UTC) of `as_of`."""
    return pd.Timestamp(instant(as_of)).tz_localize(None).normalize().as_unit("us")


def newest_versions(
    reports: Frame, columns: Sequence[str] = (), *, product: str | None = None, as_of: AsOf | None = None
) -> Versions:
    """Of each report the newest version available by `as_of`: `REPORT_COLUMNS` and these columns.

    A creation time that is unknown becomes `available_at`, which every row has.
    """
    names = list(dict.fromkeys((*REPORT_COLUMNS, *columns)))
    absent = lacking(reports, REPORTS, names)
    found, known = _checked(reports, REPORTS, [name for name in names if name not in absent])
    known |= {name: _NOTHING[REPORTS[name].kind] for name in absent}
    known["created_at"] = nw.coalesce("created_at", "available_at")
    rows = _selected(found, known, REPORTS)
    if product is not None:
        rows = rows.filter(nw.col("product") == product)
    if as_of is not None:
        rows = rows.filter(nw.col("available_at") <= nw.lit(instant(as_of)))
    seen = collect(rows, REPORTS, COMPANIES)
    if not seen["report_id"].is_unique:  # else the engine need not look for the newest, which costs it a window
        rows = rows.unique(subset=["report_id"], keep="last", order_by=["report_version"])
        seen = seen.sort_values("report_version", na_position="first").drop_duplicates("report_id", keep="last")
    return Versions(rows, seen.sort_values(["created_at", "report_id"], ignore_index=True))


def newest_reports(
    reports: Frame, columns: Sequence[str] = (), *, product: str | None = None, as_of: AsOf | None = None
) -> pd.DataFrame:
    """One row per report, oldest first, ties by id: `newest_versions` in pandas."""
    return newest_versions(reports, columns, product=product, as_of=as_of).seen


def of_companies(versions: Versions) -> Versions:
    """These reports without those that have no company."""
    has_company = versions.seen["company_id"].notna()
    if has_company.all():
        return versions
    rows = versions.rows.filter(~nw.col("company_id").is_null())
    return Versions(rows, versions.seen[has_company].reset_index(drop=True))


def newest_of_companies(versions: Versions) -> Versions:
    """Of these reports the newest of each company; those without a company are left out."""
    known = of_companies(versions)
    if known.seen["company_id"].is_unique:
        return known
    rows = known.rows.unique(subset=["company_id"], keep="last", order_by=["created_at", "report_id"])
    return Versions(rows, newest_of_each_company(known.seen))


def of_reports(
    rows: Frame,
    table: Table,
    columns: Sequence[str],
    versions: Versions,
    carried: Sequence[str] = (),
    **computed: nw.Expr,
) -> nw.LazyFrame[Any]:
    """The rows that belong to these reports, lazily: `columns` of theirs, `carried` and `computed` of the report.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or the two frames are of different kinds.
    """
    keys = ["report_id", "report_version"]
    found = scan(rows, table, [*keys, *columns])
    owners = versions.rows.select(*dict.fromkeys([*keys, *carried]), **computed)
    if found.implementation.is_pyarrow() and owners.implementation.is_pyarrow():
        return _arrow_joined(found, owners)
    try:
        return found.join(owners, on=keys, how="inner")
    except (TypeError, NarwhalsError) as error:
        message = f"{table.name} and reports are frames of different kinds; read both with the same engine"
        raise InputError(message) from error


def _arrow_joined(found: nw.LazyFrame[Any], owners: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Rows with what their report carries, each report being there once.

    The rows of a report mostly follow each other, so that it is looked up once for all of them; Arrow's own join looks
    up every row, and takes 10 to 60 ms more.
    """
    rows, reports = (lazy.collect("pyarrow").to_native() for lazy in (found, owners))
    wanted, known = (table["report_id"].cast(pa.string()) for table in (rows, reports))
    starts = _starts(wanted)
    place = pc.index_in(wanted.take(starts), known.combine_chunks(), skip_nulls=True)
    lengths = np.diff(np.append(starts, len(wanted)))
    at = place.take(np.repeat(np.arange(len(starts)), lengths))
    carried = reports.drop_columns("report_id").combine_chunks().take(at)
    is_same = pc.fill_null(pc.equal(rows["report_version"], carried["report_version"]), False)
    for name in carried.column_names[1:]:
        rows = rows.append_column(name, carried[name])
    joined: nw.LazyFrame[Any] = nw.from_native(rows if pc.all(is_same).as_py() else rows.filter(is_same)).lazy()
    return joined


def _starts(values: pa.ChunkedArray) -> np.ndarray:
    """Where a value is not the one before it."""
    changes = pc.fill_null(pc.not_equal(values.slice(1), values.slice(0, max(len(values) - 1, 0))), True)
    return np.flatnonzero(np.append(True, changes.to_numpy())[: len(values)])


def collect_of(
    rows: Frame, table: Table, columns: Sequence[str], versions: Versions, carried: Sequence[str] = ()
) -> pd.DataFrame:
    """`of_reports` in pandas: joined by the engine, so that only these reports leave it; by pandas for two engines."""
    keys = ["report_id", "report_version"]
    found = scan(rows, table, [*keys, *columns])
    if found.implementation == versions.rows.implementation:
        return collect(of_reports(rows, table, columns, versions, carried), table, REPORTS)
    return collect(found, table).merge(versions.seen[list(dict.fromkeys([*keys, *carried]))], on=keys)


def class_column(product: str) -> str:
    """The column of `reports` that holds the product's risk class.

    >>> class_column("bank")
    'bank_risk_class'
    """
    if product not in CLASS_COLUMNS:
        raise InputError(f"product is {product!r}; only {' and '.join(CLASS_COLUMNS)} reports have a risk class")
    return CLASS_COLUMNS[product]


def newest_of_each_company(reports: pd.DataFrame) -> pd.DataFrame:
    """The last row of each company of `newest_reports`; reports without a company are left out."""
    known = reports[reports["company_id"].notna()]
    return known.drop_duplicates("company_id", keep="last").reset_index(drop=True)


def base(
    used: int,
    reports: pd.DataFrame,
    *,
    excluded: Mapping[str, int] | None = None,
    as_of: AsOf | None = None,
    filters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a figure rests on, in plain JSON types; the same five keys everywhere.

    `used` counts what the figure counts. `excluded` maps a reason to a number of rows; reports without a
    company are always in it. `backfilled` counts the reports first fetched long after their creation. Without
    `as_of` it is the time of the newest report.
    """
    reasons = {"no_company": int(reports["company_id"].isna().sum()), **(excluded or {})}
    newest = reports["available_at"].max()
    if as_of is not None:
        newest = pd.Timestamp(instant(as_of)).tz_localize(None)
    return {
        "used": int(used),
        "excluded": {reason: int(n) for reason, n in reasons.items()},
        "backfilled": int(reports["is_backfilled"].sum()),
        "as_of": None if pd.isna(newest) else newest.isoformat() + "Z",
        "filters": dict(filters or {}),
    }
