"""Any frame in, a checked frame out: what every analysis does before it counts anything.

A frame is whatever Narwhals accepts (pandas, Arrow, a DuckDB relation, Spark, Polars). `scan` checks and
narrows it without reading it, `collect` brings the little that is left to pandas. Reports come in versions and
companies in reports: `newest_reports` and `newest_of_each_company` say once which of them counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeAlias, cast

import narwhals.stable.v2 as nw
import pandas as pd
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
_PANDAS = {
    "id": "string", "text": "string", "json": "string", "int": "Int64", "bool": "boolean",
    "float": "float64", "money": "float64", "date": "datetime64[us]",
}  # fmt: skip


def scan(frame: Frame, table: Table, columns: Iterable[str]) -> nw.LazyFrame[Any]:
    """These columns of a frame, lazily: money as float64, days as midnight, everything else as it is.

    Columns that the table does not declare are passed through; all of them must be there.

    Raises
    ------
    InputError
        It is no frame, or a column is absent or of the wrong type; the message names the column and its table.
    """
    names = list(dict.fromkeys(columns))
    rows = lazy(frame, table, names)
    found = rows.collect_schema()
    declared = [table[name] for name in names if name in table.names]
    wrong = [f"{c.name} ({c.kind} expected, {found[c.name]} found)" for c in declared if not _fits(c, found[c.name])]
    if wrong:
        raise InputError(f"the frame of {table.name} has columns of the wrong type: {', '.join(wrong)}")
    return rows.select(*(_expression(name, table) for name in names))


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
    if dtype in (nw.Object, nw.Unknown):  # Python objects, or nothing but nulls
        return True
    if column.kind in ("id", "text", "json"):
        return dtype in (nw.String, nw.Categorical)
    if column.kind in ("date", "instant"):
        zone = getattr(dtype, "time_zone", None)
        return dtype in (nw.Date, nw.Datetime) and (zone is not None) == (column.kind == "instant")
    return dtype == nw.Boolean if column.kind == "bool" else bool(dtype.is_numeric())


def _expression(name: str, table: Table) -> nw.Expr:
    kind = table[name].kind if name in table.names else None
    if kind in ("float", "money"):
        return nw.col(name).cast(nw.Float64)
    return nw.col(name).cast(nw.Datetime("us")) if kind == "date" else nw.col(name)


def collect(rows: nw.LazyFrame[Any], *tables: Table) -> pd.DataFrame:
    """A lazy frame in pandas: Int64, boolean, string, float64; days and instants as datetime64[us], in UTC.

    The kind of a column is that of the first of `tables` that declares it.
    """
    names = ", ".join(table.name for table in tables)
    try:
        with engine.translated(f"the question about {names}"):
            eager = rows.collect("pandas" if rows.implementation.is_pandas() else "pyarrow")
        frame: pd.DataFrame = eager.to_pandas().reset_index(drop=True)
        for name in frame.columns:
            kind = next((t[name].kind for t in tables if name in t.names), None)
            if kind == "instant":
                frame[name] = frame[name].dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")
            elif kind in _PANDAS:
                frame[name] = frame[name].astype(cast(Any, _PANDAS[kind]))
    except (TypeError, ValueError, NarwhalsError) as error:
        raise InputError(f"a column of {names} cannot be read: {error}") from error
    return frame


def typed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The table's columns in its order with the dtypes of `collect`; also of a frame without rows."""
    return frame.reindex(columns=list(table.names)).astype({c.name: _PANDAS[c.kind] for c in table.columns})


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
) -> nw.LazyFrame[Any]:
    """Of each report the newest version available by `as_of`, lazily: `REPORT_COLUMNS` and these columns.

    A creation time that is unknown becomes `available_at`, which every row has.
    """
    lazy = scan(reports, REPORTS, (*REPORT_COLUMNS, *columns))
    if product is not None:
        lazy = lazy.filter(nw.col("product") == product)
    if as_of is not None:
        lazy = lazy.filter(nw.col("available_at") <= nw.lit(instant(as_of)))
    lazy = lazy.with_columns(nw.coalesce("created_at", "available_at").alias("created_at"))
    return lazy.unique(subset=["report_id"], keep="last", order_by=["report_version"])


def newest_reports(
    reports: Frame, columns: Sequence[str] = (), *, product: str | None = None, as_of: AsOf | None = None
) -> pd.DataFrame:
    """One row per report, oldest first, ties by id: `newest_versions` in pandas."""
    return collect_reports(newest_versions(reports, columns, product=product, as_of=as_of))


def collect_reports(versions: nw.LazyFrame[Any]) -> pd.DataFrame:
    """`newest_versions` in pandas, oldest first, ties by id."""
    return collect(versions, REPORTS, COMPANIES).sort_values(["created_at", "report_id"], ignore_index=True)


def newest_of_companies(versions: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Of `newest_versions` the newest report of each company, lazily; what `newest_of_each_company` is in pandas."""
    known = versions.filter(~nw.col("company_id").is_null())
    return known.unique(subset=["company_id"], keep="last", order_by=["created_at", "report_id"])


def of_reports(
    rows: Frame, table: Table, columns: Sequence[str], versions: nw.LazyFrame[Any], carried: Sequence[str] = ()
) -> nw.LazyFrame[Any]:
    """The rows that belong to these report versions, lazily: `columns` of theirs, `carried` of the report.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or the two frames are of different kinds.
    """
    keys = ["report_id", "report_version"]
    found = scan(rows, table, [*keys, *columns])
    try:
        return found.join(versions.select(*dict.fromkeys([*keys, *carried])), on=keys, how="inner")
    except (TypeError, NarwhalsError) as error:
        message = f"{table.name} and reports are frames of different kinds; read both with the same engine"
        raise InputError(message) from error


def collect_of(
    rows: Frame, table: Table, columns: Sequence[str], versions: nw.LazyFrame[Any], carried: Sequence[str] = ()
) -> pd.DataFrame:
    """`of_reports` in pandas: joined by the engine, so that only these reports leave it; by pandas for two engines."""
    keys = ["report_id", "report_version"]
    found = scan(rows, table, [*keys, *columns])
    if found.implementation == versions.implementation:
        return collect(of_reports(rows, table, columns, versions, carried), table, REPORTS)
    owners = collect(versions.select(*dict.fromkeys([*keys, *carried])), REPORTS)
    return collect(found, table).merge(owners, on=keys)


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
