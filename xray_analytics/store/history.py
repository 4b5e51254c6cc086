"""Every version that a point in time knows of, not only the newest: SQL text, for those who look back day by day."""

# ruff: noqa: S608 - every name in this SQL comes from `tables`, every value is an instant

from __future__ import annotations

from .. import tables
from ..errors import InputError
from . import holding
from .visibility import Visibility


def sql(seen: Visibility, name: str) -> str:
    """The rows of a table in all versions known by the moment.

    Raises
    ------
    InputError
        It is neither a table of reports nor of the lender.
    """
    table = tables.TABLES[name]
    if table is tables.REPORTS:
        return _reports(seen)
    if table in tables.REPORT_TABLES:
        versions = f"SELECT DISTINCT report_id, report_version FROM ({_reports(seen)}) AS r"
        return f"SELECT t.* FROM {seen.rows(name)} AS t SEMI JOIN ({versions}) AS v USING (report_id, report_version)"
    if table in tables.LENDER_TABLES:
        return holding.history(table, seen.rows(name), seen.as_of, seen.clock, seen.instant)
    raise InputError(f"{name} has no history to read; there is one of the tables of reports and of the lender")


def _reports(seen: Visibility) -> str:
    """A report whose company came through its request is there once for each company the request has named."""
    clock = "available_at" if seen.clock == "available" else "fetched_at"
    known = f"greatest(r.{clock}, coalesce(q.known_at, r.{clock}))"
    replaced = {"company_id": "coalesce(r.company_id, q.company_id)", clock: known}
    names = ", ".join(f"{replaced[n]} AS {n}" if n in replaced else f"r.{n}" for n in tables.REPORTS.names)
    newest = f"PARTITION BY r.report_id, r.report_version, {known} ORDER BY q.request_version DESC NULLS LAST"
    return (
        f"SELECT * FROM (SELECT {names} FROM {seen.rows('reports')} AS r LEFT JOIN ({_companies(seen)}) AS q "
        f"ON r.company_id IS NULL AND r.request_id = q.request_id "
        f"QUALIFY row_number() OVER ({newest}) = 1) AS h WHERE {seen.known(clock)}"
    )


def _companies(seen: Visibility) -> str:
    """The company of each request, from when it was first named, and again where another one was."""
    before = "lag(company_id) OVER (PARTITION BY request_id ORDER BY request_version)"
    return (
        f"SELECT request_id, request_version, company_id, {seen.request_clock} AS known_at "
        f"FROM {seen.rows('requests')} AS v WHERE company_id IS NOT NULL "
        f"QUALIFY company_id IS DISTINCT FROM {before}"
    )
