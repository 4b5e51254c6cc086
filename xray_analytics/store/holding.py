"""Which of the lender's rows hold, and how they read as of a moment: SQL text, the same for DuckDB and Spark.

A statement replaces what an earlier one said of its subjects: of each the rows recorded last hold, all of them, and a
withdrawal holds by hiding what it names. What happens after the moment is not there yet. `analysis.holding` is the
same rule for frames, and a test holds the two together.
"""

# ruff: noqa: S608 - every name in this SQL comes from `tables`, every value is a day or an instant

from __future__ import annotations

from datetime import datetime

from .. import tables
from ..schema import Table


def sql(table: Table, rows: str, as_of: datetime | None, clock: str, instant: str) -> str:
    """The rows that hold, as they read at the moment; of companies those that were true last.

    Parameters
    ----------
    table
        One of the lender's.
    rows
        SQL of everything stored in it.
    as_of, clock
        The moment, or None for everything known; on ``"fetched"`` what was recorded later is not there.
    instant
        SQL's word for the type of `recorded_at`.
    """
    names, tests = ", ".join(table.names), ["recorded_at = last_at", "NOT coalesce(is_withdrawn, false)"]
    shown = list(table.names)
    if as_of is not None:
        shown, begun = _as_it_reads(table, as_of)
        tests += begun
        if clock == "fetched":
            rows = f"(SELECT * FROM {rows} AS f WHERE {_by_then(as_of, instant)})"
    over = f"OVER (PARTITION BY {', '.join(tables.SUBJECTS[table.name])})"
    last = f"max(recorded_at) {over}"
    if as_of is not None and table is not tables.OUTCOMES:
        by_then = f"max(CASE WHEN {_by_then(as_of, instant)} THEN recorded_at END) {over}"
        last = f"coalesce({by_then}, min(recorded_at) {over})"
    spoken = f"SELECT *, {last} AS last_at FROM {rows} AS s"
    held = f"SELECT {', '.join(shown)} FROM ({spoken}) AS l WHERE {' AND '.join(tests)}"
    if table is tables.COMPANIES:
        return _first(names, held, "company_id", "valid_from DESC NULLS LAST")
    return _without_the_void(names, held) if table is tables.OUTCOMES else held


def history(table: Table, rows: str, as_of: datetime | None, clock: str, instant: str) -> str:
    """Everything recorded that the moment knows, withdrawals too; of what was recorded later only the first word."""
    if as_of is None:
        return f"SELECT * FROM {rows} AS t"
    shown, tests = _as_it_reads(table, as_of)
    by_then = _by_then(as_of, instant)
    if clock == "fetched":
        tests.append(by_then)
    elif table is not tables.OUTCOMES:  # whose newest row holds whenever it was recorded: labels are corrected
        first = f"min(recorded_at) OVER (PARTITION BY {', '.join(tables.SUBJECTS[table.name])})"
        rows = f"(SELECT *, {first} AS first_at FROM {rows} AS f)"
        tests.append(f"({by_then} OR recorded_at = first_at)")
    return f"SELECT {', '.join(shown)} FROM {rows} AS t WHERE {' AND '.join(tests) or 'true'}"


def _by_then(as_of: datetime, instant: str) -> str:
    return f"recorded_at <= {instant} '{as_of.isoformat()}'"


def _as_it_reads(table: Table, as_of: datetime) -> tuple[list[str], list[str]]:
    """The columns of a row, what happens later being null and watching cut, and the tests that it has begun."""
    day = f"DATE '{as_of.date().isoformat()}'"
    later: dict[str, list[str]] = {}
    for name, others in tables.HAPPENS[table.name].items():
        for column in (name, *others):
            later.setdefault(column, []).append(f"coalesce({name} > {day}, false)")
    hidden = {column: f"CASE WHEN {' OR '.join(tests)} THEN NULL ELSE {column} END" for column, tests in later.items()}
    hidden["observed_until"] = f"CASE WHEN observed_until > {day} THEN {day} ELSE observed_until END"
    shown = [f"{hidden[name]} AS {name}" if name in hidden else name for name in table.names]
    return shown, [f"({name} IS NULL OR {name} <= {day})" for name in tables.BEGINS[table.name]]


def _without_the_void(names: str, held: str) -> str:
    """Of outcomes: a row without a default says nothing beside one with, and two of them are one."""
    defaults = "max(CASE WHEN default_date IS NULL THEN 0 ELSE 1 END) OVER (PARTITION BY company_id)"
    counted = f"SELECT *, {defaults} AS has_default FROM ({held}) AS d"
    kept = f"SELECT {names} FROM ({counted}) AS c WHERE default_date IS NOT NULL OR has_default = 0"
    order = "exit_date NULLS LAST, observed_until DESC NULLS LAST, default_end_date DESC NULLS LAST"
    return _first(names, kept, "company_id, default_date", order)


def _first(names: str, rows: str, subject: str, order: str) -> str:
    ranked = f"SELECT *, row_number() OVER (PARTITION BY {subject} ORDER BY {order}) AS place FROM ({rows}) AS r"
    return f"SELECT {names} FROM ({ranked}) AS p WHERE place = 1"
