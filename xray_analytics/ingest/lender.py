"""The lender's own files into the store: companies, loans, exposures, outcomes.

A file is read with the columns of its table and nothing is guessed: company codes are text, days are ISO, amounts are
exact. Rows the store already holds are not written again, and a changed row is a new one with its own ``recorded_at``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from .. import tables
from ..errors import InputError
from ..schema import ARROW, Table
from ..store import Store, Tombstones
from ..store.tombstones import without

NAMES = tuple(t.name for t in tables.LENDER_TABLES)
# First day on which a row was true, where the file does not say: the first of these that is not null.
_VALID_FROM = {
    "companies": (),
    "loans": ("application_date", "origination_date"),
    "exposures": ("exposure_date",),
    "outcomes": ("default_date", "exit_date", "observed_until"),
}


@dataclass(frozen=True)
class Attached:
    """What became of a file: rows in it, new ones, those of forgotten companies, and the commit (None: nothing new)."""

    table: str
    n_rows: int
    n_new: int
    n_forgotten: int
    commit: int | None


def attach(
    store: Store, source: str | Path | pd.DataFrame, *, table: str | None = None, recorded_at: datetime | None = None
) -> Attached:
    """Bring one of the lender's files into the store, in one commit.

    Parameters
    ----------
    store
        Where to; locked meanwhile.
    source
        A CSV, XLSX or Parquet file, or a frame. A CSV whose header is separated by semicolons has decimal commas.
    table
        companies, loans, exposures or outcomes; default the one that the file's name contains.
    recorded_at
        When the rows were brought in [UTC]; default now.

    Raises
    ------
    InputError
        The table is not named, or the file cannot be read.
    SchemaError
        The rows are not those of the table; all problems at once.
    """
    declared = tables.table(table or _named_in(source))
    if declared.name not in NAMES:
        raise InputError(f"{declared.name} is not a lender's table; there are {', '.join(NAMES)}")
    rows = read_rows(source, declared, recorded_at)
    with store.writer() as writer:
        kept = _not_forgotten(rows, store.tombstones())
        n_forgotten = rows.num_rows - kept.num_rows
        stored = store.snapshot(clock="fetched").arrow(declared.name) if store.head else declared.empty()
        new = _unknown(kept, stored)
        if not new.num_rows:
            return Attached(declared.name, rows.num_rows, 0, n_forgotten, None)
        writer.append(declared.name, new)
        manifest = writer.commit()
        return Attached(declared.name, rows.num_rows, new.num_rows, n_forgotten, manifest.number)


def read_rows(source: str | Path | pd.DataFrame, table: Table, recorded_at: datetime | None = None) -> pa.Table:
    """The rows of a lender's file or frame, checked against their table; errors as `attach`."""
    data = source if isinstance(source, pd.DataFrame) else _read(Path(source), table)
    return _with_clocks(table, data, recorded_at or datetime.now(UTC))


def _named_in(source: str | Path | pd.DataFrame) -> str:
    found = [n for n in NAMES if not isinstance(source, pd.DataFrame) and n in Path(source).stem.lower()]
    if len(found) != 1:
        raise InputError(f"say which table it is (--as, table=): {', '.join(NAMES)}")
    return found[0]


def _read(path: Path, table: Table) -> pa.Table | pd.DataFrame:
    readers: dict[str, Callable[[Path, Table], pa.Table | pd.DataFrame]] = {
        ".csv": _read_csv,
        ".xlsx": lambda file, _: pd.read_excel(file, dtype=object),
        ".parquet": lambda file, _: pa.parquet.read_table(file),
    }
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: expected a .csv, .xlsx or .parquet file")
    try:
        return readers[path.suffix.lower()](path, table)
    except (OSError, ValueError, pa.ArrowException) as error:  # all that Arrow, pandas and openpyxl raise on bad files
        why = getattr(error, "strerror", None) or re.sub(
            r"'.*'|(?<=, got )(\d+):.*", r"\1…", str(error), flags=re.DOTALL
        )
        raise InputError(f"{path} cannot be read as {table.name}: {why}") from None


def _read_csv(path: Path, table: Table) -> pa.Table:
    with path.open("rb") as file:
        semicolons = b";" in file.readline()
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(delimiter=";" if semicolons else ","),
        convert_options=pa.csv.ConvertOptions(
            column_types={c.name: ARROW[c.kind] for c in table.columns},
            decimal_point="," if semicolons else ".",
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _with_clocks(table: Table, data: pa.Table | pd.DataFrame, recorded_at: datetime) -> pa.Table:
    if isinstance(data, pd.DataFrame):
        rows = table.conform(data.assign(recorded_at=pd.Timestamp(recorded_at).as_unit("us")))
    else:
        known = data.drop_columns([n for n in data.column_names if n == "recorded_at"])
        instants = pa.repeat(pa.scalar(recorded_at, ARROW["instant"]), known.num_rows)
        rows = table.conform(known.append_column("recorded_at", instants))
    rows = _replaced(rows, "valid_from", pc.coalesce(rows["valid_from"], *(rows[n] for n in _VALID_FROM[table.name])))
    if "sector_code" in rows.column_names:
        dotted = pc.replace_substring_regex(rows["sector_code"], r"^(\d{2})(\d{2}[A-Z]?)$", r"\1.\2")
        rows = _replaced(rows, "sector_code", dotted)
    return rows


def _replaced(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)


def _not_forgotten(rows: pa.Table, tombstones: Tombstones) -> pa.Table:
    """A company that was erased does not come back by a file either, nor as the group of another."""
    return without(rows, tombstones.__contains__) if tombstones else rows


def _unknown(rows: pa.Table, stored: pa.Table) -> pa.Table:
    """The rows that the store does not hold already, whenever those were recorded."""
    names = [n for n in rows.column_names if n != "recorded_at"]

    def cells(data: pa.Table) -> list[tuple[object, ...]]:
        return list(zip(*(data[n].to_pylist() for n in names), strict=True))

    known = set(cells(stored))
    return rows.filter(pa.array([row not in known for row in cells(rows)], pa.bool_()))
