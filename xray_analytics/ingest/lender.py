"""The lender's own files into the store: companies, loans, exposures, outcomes.

A file is a statement about its subjects (a company's outcomes, a loan, a company's exposure on a day): where the rows
of a subject differ from those that hold, all of them are written, and replace the earlier ones. Nothing that was
recorded is lost: `Snapshot.history` has it, and `Snapshot.read` shows what holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .. import tables
from ..errors import InputError, choices
from ..grammar import identity
from ..schema import ARROW, Table
from ..store import Store, Tombstones
from ..store.tombstones import without
from . import lender_files
from .lender_files import CodeType, Source

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
        What kind of company numbers the file has; default the one of the store's requests, of several that of the
        request which names the number, else ``"siren"``.
    complete
        The file is all there is (exposures: for each day in it): what it leaves out is withdrawn.
    yes
        Whether to withdraw more than a tenth, or a function that is asked and answers.

    Raises
    ------
    InputError
        The table is not named, the file cannot be read, `recorded_at` is not later, or more than a tenth would be
        withdrawn.
    SchemaError
        The rows are not those of the table; all problems at once. Where the store's requests have several kinds of
        numbers, and `code_type` is not given, a number that none of them names is one.
    """
    declared = tables.table(table or _named_in(source))
    if declared.name not in NAMES:
        raise InputError(f"{declared.name} is not a lender's table; {choices(declared.name, NAMES)}")
    found = lender_files.read(
        source, declared, code_type or code_type_of(store.stored("requests", ["company_id", "company_code_type"]))
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


def read_frame(source: Source, table: Table, *, code_type: CodeType = "siren") -> pd.DataFrame:
    """The rows of a lender's file or frame, checked, for an analysis: it knows of no recording; errors as `attach`."""
    rows = _derived(lender_files.read(source, table, code_type).table, table)
    return table.to_pandas(rows.drop_columns("is_withdrawn"))


def code_type_of(requests: pa.Table) -> CodeType:
    """The kind of company numbers that these requests have; ``"siren"`` where there are none.

    Where there are several, the kind of each number: a file may mix them, and a number that no request names is not
    guessed at.
    """
    named = zip(requests["company_id"].to_pylist(), requests["company_code_type"].to_pylist(), strict=True)
    kinds = {number: kind for number, kind in named if kind is not None and identity.is_code_type(kind)}
    several = len(set(kinds.values())) > 1
    return kinds if several else next(iter(kinds.values()), "siren")


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
    """A company that was erased does not come back by a file either, nor as the group of another."""
    return without(rows, tombstones.__contains__) if tombstones else rows


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

    written: pa.Table
    withdrawn: list[dict[str, Any]]
    n_new: int
    n_replaced: int
    n_subjects: int

    @classmethod
    def of(cls, rows: pa.Table, stored: pa.Table, table: Table, complete: bool) -> _Change:
        subject, held = tables.SUBJECTS[table.name], _holding(stored, table)
        alone, n_new = _on_one_side(rows, held, table)
        given, was = _keys(rows, subject), set(_keys(held, subject))
        named = set(given)
        changed = named.intersection(_keys(alone, subject))
        written = rows.filter(pa.array([key in changed for key in given], pa.bool_()))
        if not complete:
            return cls(written, [], n_new, len(changed & was), 0)
        days = {key[1] for key in named} if table is tables.EXPOSURES else None
        mine = {key for key in was if days is None or key[1] in days}
        return cls(written, _withdrawals(held, mine - named, table), n_new, len(changed & was), len(mine))

    def rows(self, table: Table, at: datetime) -> pa.Table:
        """What is written, in the order of the file, as recorded at that time."""
        gone = pa.Table.from_pylist(self.withdrawn, schema=self.written.schema)
        written = pa.concat_tables([self.written, gone])
        written = written.append_column("recorded_at", pa.repeat(pa.scalar(at, ARROW["instant"]), written.num_rows))
        return written.select(table.names).cast(table.arrow_schema)


def _confirm(change: _Change, table: Table, yes: bool | Ask) -> None:
    n = len(change.withdrawn)
    if n <= _ASK_ABOVE * change.n_subjects or yes is True:
        return
    text = f"the file leaves out {n:,} of {change.n_subjects:,} that {table.name} has now; they would be withdrawn"
    if yes is False:
        raise InputError(f"{text}: check that it is complete, and say --yes (yes=True)")
    if not yes(f"{text[0].upper()}{text[1:]}. Is the file complete?"):
        raise InputError("nothing was attached; without --complete what a file leaves out stays")


def _keys(data: pa.Table, names: Sequence[str]) -> list[Row]:
    return list(zip(*(data[name].to_pylist() for name in names), strict=True))


def _holding(stored: pa.Table, table: Table) -> pa.Table:
    """The rows that hold: of each subject those recorded last, unless they withdraw it."""
    subject = list(tables.SUBJECTS[table.name])
    if stored.num_rows and pc.count_distinct(stored["recorded_at"]).as_py() > 1:
        last = stored.group_by(subject).aggregate([("recorded_at", "max")])
        times = dict(zip(_keys(last, subject), last["recorded_at_max"].to_pylist(), strict=True))
        pairs = zip(_keys(stored, subject), stored["recorded_at"].to_pylist(), strict=True)
        stored = stored.filter(pa.array([times[key] == at for key, at in pairs], pa.bool_()))
    return stored.filter(pc.invert(pc.fill_null(stored["is_withdrawn"], False)))


def _on_one_side(rows: pa.Table, held: pa.Table, table: Table) -> tuple[pa.Table, int]:
    """The rows that only one of the two has, as the lender says them, and how many of them are in the first."""
    said = [name for name in table.names if name not in ("recorded_at", "is_withdrawn")]
    sides = [
        data.select(said).append_column("is_held", pa.repeat(pa.scalar(is_held), data.num_rows))
        for data, is_held in ((rows, False), (held, True))
    ]
    every = pa.concat_tables([side.replace_schema_metadata(None).cast(sides[0].schema) for side in sides])
    found = every.group_by(said).aggregate([("is_held", "min"), ("is_held", "max")])
    alone = found.filter(pc.equal(found["is_held_min"], found["is_held_max"]))
    return alone, alone.num_rows - (pc.sum(alone["is_held_min"]).as_py() or 0)


def _withdrawals(held: pa.Table, gone: set[Row], table: Table) -> list[dict[str, Any]]:
    """The rows that withdraw these subjects: the key, whose company it was, and nothing else."""
    subject = tables.SUBJECTS[table.name]
    names = list(dict.fromkeys(("company_id", *subject)))
    of_subject = dict(zip(_keys(held, subject), _keys(held, names), strict=True))
    return [dict(zip(names, row, strict=True), is_withdrawn=True) for key, row in of_subject.items() if key in gone]
