"""Snapshots: the store as it was known at a point in time, read as pandas, Arrow, or a lazy frame.

What is visible is said in `visibility`; here it is asked, once the SHA-256 of every file it reads has been checked.
"""

# ruff: noqa: S608 - names come from `tables`, paths go through `sql_path`, a caller's predicate through DuckDB's own parser

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from .. import engine as engines
from .. import tables
from ..errors import InputError, StoreError, choices, no_such
from ..schema import Money, Table
from . import diff, entries, history, parts
from .manifests import Manifest
from .parts import Part
from .visibility import Clock, Visibility

if TYPE_CHECKING:
    import pandas as pd

_SQL_TYPES = {
    "id": "STRING", "text": "STRING", "json": "STRING", "date": "DATE", "instant": "TIMESTAMPTZ", "int": "BIGINT",
    "float": "DOUBLE", "bool": "BOOLEAN", "money": "DECIMAL(18, 4)", "list<text>": "VARCHAR[]", "bytes": "BLOB",
}  # fmt: skip
_SPARK_TYPES = {**_SQL_TYPES, "instant": "TIMESTAMP", "list<text>": "ARRAY<STRING>", "bytes": "BINARY"}

Question = Callable[[Callable[[str], str], str], str]


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The store at a point in time; made by `Store.snapshot`."""

    root: Path
    manifest: Manifest
    connect: Callable[[], engines.Connection]
    as_of: datetime | None
    clock: Clock
    bring: Callable[[str], None] | None = None  # has the parts of a table below `root`, where they are not there yet
    spark_url: Callable[[str, Part], str] | None = None  # where a cluster reads a part, where that is not below `root`

    @property
    def commit(self) -> int:
        """The commit it reads; later commits do not change what it sees."""
        return self.manifest.number

    def read(
        self, table: str, *, columns: Sequence[str] | None = None, where: str | None = None, money: Money = "float"
    ) -> pd.DataFrame:
        """The visible rows of a table, as pandas, in the order of its key.

        Parameters
        ----------
        columns
            Names to read, in the order wanted; only these are taken from disk. Default all.
        where
            A DuckDB predicate over the table's columns, such as ``"amount < -1000"``; money is decimal in it.
            One expression: it cannot change anything, and sees no file outside the store.
        money
            ``"float"`` (float64, major units), ``"decimal"`` or ``"cents"`` (Int64).

        Raises
        ------
        InputError
            There is no such table or column, or the predicate cannot be asked.
        StoreError
            A part is missing or damaged.
        """
        return tables.table(table).to_pandas(self.arrow(table, columns=columns, where=where), money=money)

    def arrow(self, table: str, *, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
        """As `read`, as an Arrow table with the field metadata of the contract; money is decimal(18,4)."""
        wanted = tables.table(table)
        names = _chosen(wanted, columns)
        query = f"SELECT * FROM ({self._visibility().sql(table)}) AS {table}"
        return self._fetch(query, wanted, names, where=where)

    def history(
        self, table: str, *, columns: Sequence[str] | None = None, where: str | None = None, money: Money = "float"
    ) -> pd.DataFrame:
        """As `read`, with every version known by then, and not only the newest: what a backtest looks back on.

        Of a report, `available_at` (with the clock ``"fetched"``: `fetched_at`) is then when its company was known as
        well, where that came through its request; should a request ever name another company, its reports are there
        once for each.

        Raises
        ------
        InputError
            As `read`, or the table is neither one of reports nor of the lender.
        """
        wanted = tables.table(table)
        query = f"SELECT * FROM ({history.sql(self._visibility(), table)}) AS {table}"
        clock = "available_at" if self.clock == "available" else "fetched_at"
        order = ", ".join([*wanted.key, *([clock] if wanted is tables.REPORTS else [])])
        found = self._fetch(query, wanted, _chosen(wanted, columns), where=where, order=order)
        return wanted.to_pandas(found, money=money)

    def latest(self, product: str, *, money: Money = "float") -> pd.DataFrame:
        """The newest visible report of each company, as pandas, ordered by company.

        Newest is by creation, where unknown by availability; ties go to the highest report id. A report without a
        company is nobody's newest: each of them stays, as a row of its own at the end.

        Raises
        ------
        InputError
            There is no such product.
        """
        if product not in tables.PRODUCTS:
            raise no_such("product", product, tables.PRODUCTS)
        company = "company_id, CASE WHEN company_id IS NULL THEN report_id END"
        newest = "coalesce(created_at, available_at) DESC, report_id DESC"
        query = (
            f"SELECT *, row_number() OVER (PARTITION BY {company} ORDER BY {newest}) AS newest_first "
            f"FROM ({self._visibility().sql('reports')}) AS r WHERE product = '{product}'"
        )
        order = "company_id NULLS LAST, report_id"
        found = self._fetch(query, tables.REPORTS, where="newest_first = 1", order=order)
        return tables.REPORTS.to_pandas(found, money=money)

    def scan(
        self, table: str, *, engine: Literal["duckdb", "spark"] = "duckdb", money: Literal["float", "decimal"] = "float"
    ) -> Any:
        """The visible rows as a lazy frame of that engine, in no particular order.

        Money is DOUBLE in major units, or with ``money="decimal"`` the exact DECIMAL(18,4), which analyses take too.
        Frames of one store can be joined with each other. Parts are checked now, not when the frame is computed.

        Raises
        ------
        InputError
            There is no such table, engine or form of money, or the engine is not installed.
        """
        wanted = tables.table(table)
        return self._lazy(wanted, lambda visible, _: visible(table), engine, money)

    def entries(
        self, *, engine: Literal["duckdb", "spark"] = "duckdb", money: Literal["float", "decimal"] = "float"
    ) -> Any:
        """Every entry of every company once, as a lazy frame of that engine, in no particular order; money as `scan`.

        The columns of `tables.ENTRIES`, by the rule of `cashflow.entries` with statements: reports overlap, and a sum
        over ``scan("transactions")`` counts the days that they repeat twice or more. Entries outside the statements,
        without day or amount, or of reports without a company are left out; `cashflow.entries` counts them.

        Raises
        ------
        InputError
            There is no such engine or form of money, or the engine is not installed.
        """
        return self._lazy(tables.ENTRIES, entries.sql, engine, money)

    def _lazy(self, table: Table, question: Question, engine: str, money: str) -> Any:
        """What an engine answers lazily; `question` makes SQL of the visible rows and of replacing a pattern."""
        if money not in ("float", "decimal"):
            raise InputError(f"no money {money!r} in a lazy frame; there are float and decimal")
        cast = {"money": "CAST({0} AS DOUBLE) AS {0}"} if money == "float" else {}
        names = ", ".join(cast.get(c.kind, "{0}").format(c.name) for c in table.columns)
        if engine == "duckdb":
            asked = question(self._visibility().sql, "regexp_replace({0}, {1}, ' ', 'g')")
            with engines.asking(table.name):
                return self.connect().sql(f"SELECT {names} FROM ({asked}) AS t")
        if engine != "spark":
            raise InputError(f"no engine {engine!r}; there are duckdb and spark")
        spark = engines.spark_session()
        rows = partial(spark_rows, spark, self.manifest, self._spark_urls)
        seen = Visibility(rows, self.manifest, self.as_of, self.clock, instant="TIMESTAMP")
        asked = question(seen.sql, "regexp_replace({0}, {1}, ' ')")
        return spark.sql(f"SELECT {names} FROM ({asked}) AS t")

    def diff(self, other: Snapshot) -> pd.DataFrame:
        """What is otherwise in `other` than here: reports that came, went, changed or were withdrawn.

        Parameters
        ----------
        other
            The later one, as a rule: ``store.snapshot("2025-03-31").diff(store.snapshot("2025-06-30"))``.

        Returns
        -------
        pandas.DataFrame
            ``report_id``, ``company_id``, ``product``, ``change`` (new, gone, revised, withdrawn), and of a revised
            report one row for each ``column`` out of `diff.FIGURES` with its value ``before`` and ``after``
            (float64; NaN is no value; of ``is_rated`` 1 is yes). Ordered by report and column.
        """
        old, new = (snapshot.read("reports", columns=diff.READ) for snapshot in (self, other))
        before, after = self.withdrawn().keys(), other.withdrawn().keys()
        return diff.between(old, new, withdrawn_before=before, withdrawn_after=after)

    def withdrawn(self) -> dict[str, datetime]:
        """Reports that the service no longer has, and since when that was noticed; their rows stay.

        A mark is removed when the report comes back; it is as of this commit.
        """
        marks = self.manifest.cursor.get("withdrawn", {})
        noticed = {report_id: datetime.fromisoformat(at) for report_id, at in marks.items()}
        return {i: at for i, at in sorted(noticed.items()) if self.as_of is None or at <= self.as_of}

    def rows(self) -> dict[str, int]:
        """Visible rows of each table."""
        return {name: self._count(name) for name in tables.TABLES}

    def __repr__(self) -> str:
        shown = ", ".join(f"{rows:,} {name}" for name, rows in self._shown().items())
        return f"<Snapshot of {self.root.name}, commit {self.commit}, {self._when()}: {shown or 'no rows'}>"

    def _repr_html_(self) -> str:
        lines = "".join(f"<tr><td>{name}</td><td>{rows:,}</td></tr>" for name, rows in self._shown().items())
        title = escape(f"{self.root.name}, commit {self.commit}, {self._when()}")
        return f"<table><caption>{title}</caption><tr><th>table</th><th>rows</th></tr>{lines}</table>"

    def _shown(self) -> dict[str, int]:
        """Without book-keeping, whose files are the largest: a look must not read them all."""
        counts = {
            name: self._count(name) for name, table in tables.TABLES.items() if table not in tables.BOOKKEEPING_TABLES
        }
        return {name: rows for name, rows in counts.items() if rows}

    def _count(self, name: str) -> int:
        if not self.manifest.rows(name):
            return 0
        with engines.asking(name):
            query = f"SELECT count(*) FROM ({self._visibility().sql(name)}) AS t"
            return int(self.connect().cursor().sql(query).fetchall()[0][0])

    def _when(self) -> str:
        return "everything known" if self.as_of is None else f"{self.clock} by {self.as_of:%Y-%m-%d %H:%M} UTC"

    def _fetch(
        self, query: str, table: Table, names: Sequence[str] = (), *, where: str | None = None, order: str | None = None
    ) -> pa.Table:
        names = names or table.names
        with engines.asking(f"{table.name}, where {where}" if where else table.name):
            relation = self.connect().cursor().sql(query)
            if where is not None:
                relation = relation.filter(where)  # parsed as one expression: a statement or a second clause is refused
            found = relation.order(order or ", ".join(table.key)).project(", ".join(names)).to_arrow_table()
        return found.cast(pa.schema([table[name].arrow_field for name in names], metadata=table.arrow_schema.metadata))

    def _visibility(self) -> Visibility:
        return Visibility(self._stored, self.manifest, self.as_of, self.clock)

    def _stored(self, name: str) -> str:
        if self.bring is not None:
            self.bring(name)
        return stored(self.root, self.manifest, name)

    def _spark_urls(self, spark: Any, name: str, live: Sequence[Part]) -> list[str]:
        """The files of these parts, once they were checked: here where they are local, else by the cluster."""
        if self.spark_url is not None:
            urls = [self.spark_url(name, part) for part in live]
            check_on_cluster(spark, urls, live)
            return urls
        paths = [self.root / "parts" / name / part.name for part in live]
        for path, part in zip(paths, live, strict=True):
            parts.columns(path, part)
        return [path.as_uri() for path in paths]


def stored(root: Path, manifest: Manifest, name: str) -> str:
    """DuckDB's SQL of everything stored in a table, all versions, after checking the files it reads."""
    paths, present, differ = _checked_parts(root, manifest, name)
    if not paths:
        return f"(SELECT {_names_or_nulls(name, present, _SQL_TYPES)} WHERE false)"
    listed = ", ".join(engines.sql_path(path) for path in paths)
    source = f"read_parquet([{listed}], union_by_name = {str(differ).lower()}, hive_partitioning = false)"
    return f"(SELECT {_names_or_nulls(name, present, _SQL_TYPES)} FROM {source})"


def spark_rows(spark: Any, manifest: Manifest, urls_of: Callable[..., list[str]], name: str) -> str:
    """Spark's SQL of everything stored in a table, all versions, after checking the files it reads."""
    live = [part for part in manifest.parts.get(name, ()) if part.rows]
    if not live:
        return f"(SELECT {_names_or_nulls(name, frozenset(), _SPARK_TYPES)} WHERE false)"
    view = f"xray_{manifest.digest[:16]}_{name}"
    frame = spark.read.option("mergeSchema", "true").parquet(*urls_of(spark, name, live))
    frame.createOrReplaceTempView(view)
    return f"(SELECT {_names_or_nulls(name, frozenset(frame.columns), _SPARK_TYPES)} FROM {view})"


def check_on_cluster(spark: Any, urls: Sequence[str], live: Sequence[Part]) -> None:
    """Have a cluster compute the SHA-256 of files that only it can read in bulk.

    Raises
    ------
    StoreError
        A file is missing or damaged.
    """
    with engines.translated("the SHA-256 of the published files"):
        digests = spark.read.format("binaryFile").load(list(urls)).selectExpr("path", "sha2(content, 256) AS sha256")
        found = {str(row["path"]).rpartition("/")[2]: row["sha256"] for row in digests.collect()}
    for url, part in zip(urls, live, strict=True):
        if found.get(part.name) != part.sha256:
            raise StoreError(f"{url} is damaged: remove that file and publish the store again")


def _checked_parts(root: Path, manifest: Manifest, name: str) -> tuple[list[Path], frozenset[str], bool]:
    """The files with rows, the columns that at least one of them has, and whether they differ in columns."""
    live = [part for part in manifest.parts.get(name, ()) if part.rows]
    paths = [root / "parts" / name / part.name for part in live]
    found = [parts.columns(path, part) for path, part in zip(paths, live, strict=True)]
    return paths, frozenset().union(*found), len(set(found)) > 1


def _names_or_nulls(name: str, present: frozenset[str], types: Mapping[str, str]) -> str:
    """The table's columns, null where no part has one yet; columns that only a newer package knows are left out."""
    missing = {c.name: f"CAST(NULL AS {types[c.kind]}) AS {c.name}" for c in tables.TABLES[name].columns}
    return ", ".join(column if column in present else null for column, null in missing.items())


def _chosen(table: Table, columns: Sequence[str] | None) -> tuple[str, ...]:
    if columns is None:
        return table.names
    if isinstance(columns, str):
        raise InputError(f"columns must be a list of names; write [{columns!r}]")
    unknown = [name for name in columns if name not in table.names]
    if unknown or not columns:
        asked = f"no column {unknown[0]!r}" if unknown else "no column was asked for"
        said = choices(unknown[0] if unknown else "", table.names)
        raise InputError(f"{table.name}: {asked}; {said}")
    if len(set(columns)) < len(columns):
        raise InputError(f"{table.name}: columns {list(columns)} name one twice; give each once")
    return tuple(columns)
