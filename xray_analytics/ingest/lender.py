"""The lender's own files into the store: companies, loans, exposures, outcomes.

A file is a statement about its subjects (a company's outcomes, a loan, a company's exposure on a day): where the rows
of a subject differ from those that hold, all of them are written, and replace the earlier ones. Nothing that was
recorded is lost: `Snapshot.history` has it, and `Snapshot.read` shows what holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .. import identity, tables
from ..errors import InputError
from ..schema import Table
from ..store import Store, Tombstones
from . import lender_files
from .lender_files import Source

NAMES = tuple(t.name for t in tables.LENDER_TABLES)
# First day on which a row was true, where the file does not say: the first of these that is not null.
_VALID_FROM = {
    "companies": (),
    "loans": ("application_date", "origination_date"),
    "exposures": ("exposure_date",),
    "outcomes": (),
}
_ASK_ABOVE = 0.1  # the share of subjects that a complete file may withdraw without a word
Ask = Callable[[str], bool]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Attached:
    """What became of a file: rows in it, and the commit (None: nothing new).

    `n_new` rows did not hold before, `n_replaced` subjects (a company's outcomes, a loan, …) had other rows until now,
    and `n_withdrawn` are left out by a complete file. `n_forgotten` rows are of companies that were erased, `n_unknown`
    of the `n_companies` are known to no report or request, `n_sirets` rows had a SIRET: its first nine digits count.
    """

    table: str
    n_rows: int
    n_new: int
    n_forgotten: int
    commit: int | None
    n_replaced: int = 0
    n_withdrawn: int = 0
    n_unknown: int = 0
    n_companies: int = 0
    n_sirets: int = 0


def attach(  # noqa: PLR0913 - what it is, whose numbers, when, and whether it is all
    store: Store,
    source: Source,
    *,
    table: str | None = None,
    recorded_at: datetime | None = None,
    code_type: str | None = None,
    complete: bool = False,
    yes: bool | Ask = False,
) -> Attached:
    """Bring in one of the lender's files, in one commit: of what it names, it replaces what held before.

    Parameters
    ----------
    store
        Where to; locked meanwhile.
    source
        A CSV, XLSX or Parquet file, or a frame of pandas, Polars or Arrow. Only an empty cell is null.
    table
        companies, loans, exposures or outcomes; default the one that the file's name contains.
    recorded_at
        When the rows were brought in [UTC], later than everything in the table; default now.
    code_type
        What kind of company numbers the file has; default the one of the store's requests, else ``"siren"``.
    complete
        The file is all there is (exposures: for each day in it): what it leaves out is withdrawn.
    yes
        Whether to withdraw more than a tenth, or a function that is asked and answers.

    Raises
    ------
    InputError
        The table is not named, the file cannot be read, `recorded_at` is not later, the store has requests with
        several kinds of numbers and `code_type` is not given, or more than a tenth would be withdrawn.
    SchemaError
        The rows are not those of the table; all problems at once.
    """
    declared = tables.table(table or _named_in(source))
    if declared.name not in NAMES:
        raise InputError(f"{declared.name} is not a lender's table; there are {', '.join(NAMES)}")
    found = lender_files.read(
        source, declared, code_type or code_type_of(store.stored("requests", ["company_code_type"]))
    )
    rows = _derived(found.table, declared)
    with store.writer() as writer:
        kept = _not_forgotten(rows, store.tombstones())
        stored = store.stored(declared.name)
        at = _recorded_at(recorded_at, stored)
        change = _Change.of(kept, stored, declared, complete)
        _confirm(change, declared, yes)
        written = change.rows(declared, at)
        if written.num_rows:
            writer.append(declared.name, written)
        commit = writer.commit().number if written.num_rows else None
    companies = set(kept["company_id"].to_pylist())
    return Attached(
        declared.name, rows.num_rows, change.n_new, rows.num_rows - kept.num_rows, commit, change.n_replaced,
        len(change.withdrawn), len(companies - _known(store)), len(companies), found.n_sirets,
    )  # fmt: skip


def read_frame(source: Source, table: Table, *, code_type: str = "siren") -> pd.DataFrame:
    """The rows of a lender's file or frame, checked, for an analysis: it knows of no recording; errors as `attach`."""
    rows = _derived(lender_files.read(source, table, code_type).table, table)
    return table.to_pandas(rows.drop_columns("is_withdrawn"))


def code_type_of(requests: pa.Table) -> str:
    """The kind of company numbers that these requests have; ``"siren"`` where there are none.

    Raises
    ------
    InputError
        There are several: the file has to say which.
    """
    said = set(requests["company_code_type"].to_pylist())
    kinds = sorted(kind for kind in said if kind is not None and identity.is_code_type(kind))
    if len(kinds) > 1:
        raise InputError(f"the requests have numbers of {' and '.join(kinds)}: say which the file has (--code-type)")
    return kinds[0] if kinds else "siren"


def _named_in(source: Source) -> str:
    found = [n for n in NAMES if isinstance(source, str | Path) and n in Path(source).stem.lower()]
    if len(found) != 1:
        raise InputError(f"say which table it is (--as, table=): {', '.join(NAMES)}")
    return found[0]


def _derived(rows: pa.Table, table: Table) -> pa.Table:
    """With the first day on which a row was true, and the dot of a sector code."""
    true_from = pc.coalesce(rows["valid_from"], *(rows[name] for name in _VALID_FROM[table.name]))
    rows = _replaced(rows, "valid_from", true_from)
    rows = _replaced(rows, "is_withdrawn", pa.chunked_array([pa.nulls(rows.num_rows, pa.bool_())]))
    if "sector_code" in rows.column_names:
        dotted = pc.replace_substring_regex(rows["sector_code"], r"^(\d{2})(\d{2}[A-Z]?)$", r"\1.\2")
        rows = _replaced(rows, "sector_code", dotted)
    return rows


def _replaced(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)


def _not_forgotten(rows: pa.Table, tombstones: Tombstones) -> pa.Table:
    """A company that was erased does not come back by a file either."""
    if not tombstones:
        return rows
    return rows.filter(pa.array([i not in tombstones for i in rows["company_id"].to_pylist()], pa.bool_()))


def _known(store: Store) -> set[str]:
    """The companies that a report or a request names."""
    named = (store.stored(name, ["company_id"])["company_id"] for name in ("requests", "reports"))
    return {code for codes in named for code in codes.unique().to_pylist()}


def _recorded_at(given: datetime | None, stored: pa.Table) -> datetime:
    """The time of a statement: later than all others of its table, so that it is clear which holds."""
    last = pc.max(stored["recorded_at"]).as_py() if stored.num_rows else None
    if given is not None and given.tzinfo is None:
        raise InputError(f"recorded_at {given} has no time zone; add one, such as +00:00")
    if given is not None and last is not None and given <= last:
        raise InputError(
            f"recorded_at {given:%Y-%m-%d %H:%M:%S} is not later than the last recording, {last:%Y-%m-%d %H:%M:%S.%f} "
            "UTC; a correction is recorded after what it corrects"
        )
    now = given or datetime.now(UTC)
    return now if last is None else max(now, last + timedelta(microseconds=1))


# ------------------------------------------------------------------------------------------------ what differs


@dataclass(frozen=True)
class _Change:
    """What a statement changes: the rows of each subject that differs, and withdrawals; and all it could withdraw."""

    written: list[Row]
    withdrawn: list[Row]
    n_new: int
    n_replaced: int
    n_subjects: int

    @classmethod
    def of(cls, rows: pa.Table, stored: pa.Table, table: Table, complete: bool) -> _Change:
        given, held = _by_subject(rows, table), _holding(stored, table)
        other = {subject: said for subject, said in given.items() if said != held.get(subject)}
        written = [row for said in other.values() for row in said]
        n_new = sum(row not in held.get(subject, ()) for subject, said in other.items() for row in said)
        n_replaced = sum(subject in held for subject in other)
        if not complete:
            return cls(written, [], n_new, n_replaced, 0)
        days = {subject[1] for subject in given} if table is tables.EXPOSURES else None
        mine = {subject: said for subject, said in held.items() if days is None or subject[1] in days}
        gone = [_withdrawal(next(iter(said)), table) for subject, said in mine.items() if subject not in given]
        return cls(written, gone, n_new, n_replaced, len(mine))

    def rows(self, table: Table, at: datetime) -> pa.Table:
        """What is written, in the order of the file, as recorded at that time."""
        names = _said(table)
        written = [dict(zip(names, row, strict=True)) for row in self.written]
        gone = [dict(zip(names, row, strict=True), is_withdrawn=True) for row in self.withdrawn]
        return pa.Table.from_pylist(
            [{**row, "recorded_at": at} for row in (*written, *gone)], schema=table.arrow_schema
        )


def _confirm(change: _Change, table: Table, yes: bool | Ask) -> None:
    n = len(change.withdrawn)
    if n <= _ASK_ABOVE * change.n_subjects or yes is True:
        return
    text = f"the file leaves out {n:,} of {change.n_subjects:,} that {table.name} has now; they would be withdrawn"
    if yes is False:
        raise InputError(f"{text}: check that it is complete, and say --yes (yes=True)")
    if not yes(f"{text[0].upper()}{text[1:]}. Is the file complete?"):
        raise InputError("nothing was attached; without --complete what a file leaves out stays")


def _said(table: Table) -> list[str]:
    """The columns that the lender says, without the two that say how it was recorded."""
    return [name for name in table.names if name not in ("recorded_at", "is_withdrawn")]


def _by_subject(rows: pa.Table, table: Table) -> dict[Row, dict[Row, None]]:
    """The rows of each subject, which compare as sets and keep the order in which they come."""
    names = _said(table)
    places = [names.index(name) for name in tables.SUBJECTS[table.name]]
    found: dict[Row, dict[Row, None]] = {}
    for row in zip(*(rows[name].to_pylist() for name in names), strict=True):
        found.setdefault(tuple(row[i] for i in places), {})[row] = None
    return found


def _holding(stored: pa.Table, table: Table) -> dict[Row, dict[Row, None]]:
    """The rows of each subject that hold: those recorded last, unless they withdraw it."""
    if not stored.num_rows:
        return {}
    subject = list(tables.SUBJECTS[table.name])
    last = stored.group_by(subject).aggregate([("recorded_at", "max")])
    times = dict(zip(_rows_of(last, subject), last["recorded_at_max"].to_pylist(), strict=True))
    at, gone = stored["recorded_at"].to_pylist(), stored["is_withdrawn"].to_pylist()
    is_held = [
        times[key] == time and not withdrawn
        for key, time, withdrawn in zip(_rows_of(stored, subject), at, gone, strict=True)
    ]
    return _by_subject(stored.filter(pa.array(is_held, pa.bool_())), table)


def _rows_of(data: pa.Table, names: list[str]) -> Iterator[Row]:
    return zip(*(data[name].to_pylist() for name in names), strict=True)


def _withdrawal(row: Row, table: Table) -> Row:
    """The row that withdraws a subject: its key, whose company it was, and nothing else."""
    kept = {"company_id", *tables.SUBJECTS[table.name]}
    return tuple(value if name in kept else None for name, value in zip(_said(table), row, strict=True))
