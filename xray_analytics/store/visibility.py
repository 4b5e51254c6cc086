"""What a point in time can see of each table: SQL text, the same for DuckDB and Spark.

Of each report and request the newest version known by then is visible, and every other table follows.
"""

# ruff: noqa: S608 - every name in this SQL comes from `tables`, every value is an instant

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal

from .. import tables
from ..errors import InputError
from ..schema import Table
from . import holding
from .manifests import Manifest

Clock = Literal["available", "fetched"]


def moment(as_of: date | datetime | str | None) -> datetime | None:
    """The instant meant: a day is its last microsecond in UTC, text is ISO 8601, None is no limit.

    Raises
    ------
    InputError
        The text is not ISO 8601, or an instant has no time zone.

    Examples
    --------
    >>> moment("2025-06-30").isoformat()
    '2025-06-30T23:59:59.999999+00:00'
    >>> moment("2025-06-30T12:00:00+02:00").isoformat()
    '2025-06-30T10:00:00+00:00'
    """
    if as_of is None:
        return None
    if isinstance(as_of, str):
        as_of = _from_text(as_of)
    if not isinstance(as_of, datetime):
        return datetime.combine(as_of, time.max, UTC)
    if as_of.tzinfo is None:
        raise InputError(f"as_of {as_of} has no time zone; add one (such as +00:00), or give a day")
    utc = as_of.astimezone(UTC)
    return datetime.combine(utc.date(), utc.time(), UTC)


def _from_text(text: str) -> date | datetime:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    raise InputError(f"as_of {text!r} is neither a day such as 2025-06-30 nor an instant such as 2025-06-30T12:00:00Z")


@dataclass(frozen=True)
class Visibility:
    """What a point in time can see, as SQL; `rows` gives the SQL of everything stored in a table.

    Without a moment, and where the manifest says that no object has a second version, nothing is looked for: the rows
    of a table are then there even where the part that held their report was damaged and put aside.
    """

    rows: Callable[[str], str]
    manifest: Manifest
    as_of: datetime | None
    clock: Clock
    instant: str = "TIMESTAMPTZ"

    def sql(self, name: str) -> str:
        """The visible rows of a table."""
        table = tables.TABLES[name]
        if table in tables.REPORT_TABLES:
            return self._reports() if table is tables.REPORTS else self._versions(table, tables.REPORTS)
        if table in tables.REQUEST_TABLES:  # notes have no creation of their own: known when fetched, on both clocks
            clock = self.request_clock if table is tables.REQUESTS else "fetched_at"
            return self._versions(table, tables.REQUESTS, clock)
        if table in tables.LENDER_TABLES:
            return holding.sql(table, self.rows(name), self.as_of, self.clock, self.instant)
        if table is tables.MEDIA:
            return self._newest(table, ("medium_id",), self.known("fetched_at"), "fetched_at DESC")
        return f"SELECT * FROM {self.rows(name)} AS t WHERE {self._book_keeping(table)}"

    @property
    def request_clock(self) -> str:
        """SQL of when a version of a request was known."""
        if self.clock == "fetched":
            return "fetched_at"
        return "CASE WHEN request_version = 1 THEN coalesce(created_at, fetched_at) ELSE fetched_at END"

    def known(self, clock: str) -> str:
        """SQL of whether a time is not later than the moment."""
        return "true" if self.as_of is None else f"{clock} <= {self.instant} '{self.as_of.isoformat()}'"

    def _book_keeping(self, table: Table) -> str:
        if table is tables.LAYOUTS:
            return "true"
        if table is tables.RUNS:
            return self.known("finished_at")
        if table is not tables.DRIFT:
            return self.known("fetched_at")
        runs = f"SELECT commit FROM {self.rows('runs')} AS r WHERE {self.known('finished_at')}"
        return "true" if self.as_of is None else f"commit IN ({runs})"

    def _versions(self, table: Table, objects: Table, clock: str | None = None) -> str:
        """The rows of the newest version of each object known by the moment."""
        object_id, version = table.key[:2]
        if self.as_of is None and self._is_single(table) and self._is_single(objects):
            return f"SELECT * FROM {self.rows(table.name)} AS t"
        known = self.known(clock or ("available_at" if self.clock == "available" else "fetched_at"))
        newest = (
            f"SELECT {object_id}, max({version}) AS {version} FROM {self.rows(objects.name)} AS v "
            f"WHERE {known} GROUP BY {object_id}"
        )
        return (
            f"SELECT t.* FROM {self.rows(table.name)} AS t JOIN ({newest}) AS n "
            f"ON t.{object_id} = n.{object_id} AND t.{version} = n.{version}"
        )

    def _is_single(self, table: Table) -> bool:
        """Whether every object has one version: versions count from 1, and the parts know their sum."""
        return all(part.sums.get(table.key[1]) == part.rows for part in self.manifest.parts.get(table.name, ()))

    def _reports(self) -> str:
        """The company is the report's own code, else that of its request: which may have come later."""
        if not self.manifest.rows("requests"):
            return self._versions(tables.REPORTS, tables.REPORTS)
        names = ", ".join(
            "coalesce(r.company_id, q.company_id) AS company_id" if name == "company_id" else f"r.{name}"
            for name in tables.REPORTS.names
        )
        reports = self._versions(tables.REPORTS, tables.REPORTS)
        requests = self.sql("requests")
        return f"SELECT {names} FROM ({reports}) AS r LEFT JOIN ({requests}) AS q ON r.request_id = q.request_id"

    def _newest(self, table: Table, natural: Sequence[str], known: str, order: str) -> str:
        names = ", ".join(table.names)
        ranked = (
            f"SELECT {names}, row_number() OVER (PARTITION BY {', '.join(natural)} ORDER BY {order}) AS newest_first "
            f"FROM {self.rows(table.name)} AS t WHERE {known}"
        )
        return f"SELECT {names} FROM ({ranked}) AS n WHERE newest_first = 1"
