"""One part: the rows that one commit adds to one table, as one Parquet file with the contract in its metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from .. import files, tables
from ..errors import StoreError
from ..schema import Table, money_units

GROUP_ROWS = 60_000
GROUP_BYTES = 20_000_000
BODY_GROUP_BYTES = 8_000_000  # of tables that hold bodies, which fill memory sooner than rows do
_NUMBERS = ("int", "money")
_COUNTED = (*_NUMBERS, "id", "date", "instant", "float")  # kinds whose minimum and maximum are worth keeping
_STEPPING = ("int", "money", "date")  # kinds that are smaller, and sooner written, as differences
_REPETITIVE = ("id", "text")  # kinds worth a dictionary, but for columns that hardly ever repeat a value
_UNIQUE = frozenset({"label", "source_transaction_id", "raw_sha256", "content_sha256"})


class Part(NamedTuple):
    """What a manifest knows of one file."""

    commit: int
    sha256: str
    rows: int
    bytes: int
    sums: Mapping[str, int]

    @property
    def name(self) -> str:
        """File name within the folder of its table."""
        return f"{self.commit:012d}-{self.sha256[:12]}.parquet"


class PartBuilder:
    """Encodes rows as they come, so that only compressed bytes pile up in memory.

    With a `pool`, one row group at a time is encoded there, while the caller makes the next: Arrow needs no Python
    meanwhile. A failure there is raised by the next call here.
    """

    def __init__(self, table: Table, commit: int, pool: Executor | None = None) -> None:
        self._table, self._commit, self._pool = table, commit, pool
        self._encoding: Future[None] | None = None
        self._sink = pa.BufferOutputStream()
        self._waiting: list[pa.Table] = []
        self._waiting_rows = self._waiting_bytes = self._rows = self._size = 0
        self._sums = {column.name: 0 for column in table.columns if column.kind in _NUMBERS}
        schema = table.arrow_schema.with_metadata({**table.arrow_schema.metadata, "commit": str(commit)})
        holds_bodies = any(column.kind == "bytes" for column in table.columns)
        self._group_bytes = BODY_GROUP_BYTES if holds_bodies else GROUP_BYTES
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            compression_level=1,
            store_decimal_as_integer=True,
            use_dictionary=[c.name for c in table.columns if c.kind in _REPETITIVE and c.name not in _UNIQUE],
            column_encoding={c.name: "DELTA_BINARY_PACKED" for c in table.columns if c.kind in _STEPPING},
            write_statistics=[c.name for c in table.columns if c.kind in _COUNTED],
            # Pages are measured after so many values: bodies are large, and one page must not hold them all.
            write_batch_size=4 if holds_bodies else None,
        )

    @property
    def size(self) -> int:
        """Compressed bytes of the row groups that are encoded."""
        return self._size

    def add(self, data: pa.Table) -> None:
        """Take rows of exactly the table's schema."""
        for name, total in control_sums(self._table, data).items():
            self._sums[name] += total
        self._rows += data.num_rows
        self._waiting.append(data)
        self._waiting_rows += data.num_rows
        self._waiting_bytes += data.nbytes
        if self._waiting_rows >= GROUP_ROWS or self._waiting_bytes >= self._group_bytes:
            self._write_group()

    def finish(self) -> tuple[Part, pa.Buffer]:
        """The part, and the bytes of its file."""
        if self._waiting:
            self._write_group()
        self._settle()
        self._writer.close()
        data = self._sink.getvalue()
        return Part(self._commit, hashlib.sha256(data).hexdigest(), self._rows, data.size, self._sums), data

    def _write_group(self) -> None:
        group = pa.concat_tables(self._waiting)
        self._waiting.clear()
        self._waiting_rows = self._waiting_bytes = 0
        self._settle()
        if self._pool is None:
            self._encode(group)
        else:
            self._encoding = self._pool.submit(self._encode, group)

    def _encode(self, group: pa.Table) -> None:
        self._writer.write_table(group, row_group_size=2 * GROUP_ROWS)
        self._size = int(self._sink.tell())

    def _settle(self) -> None:
        if self._encoding is not None:
            self._encoding.result()
            self._encoding = None


def control_sums(table: Table, data: pa.Table) -> dict[str, int]:
    """The exact sum of each integer column, and of each money column in 1/10,000."""
    return {c.name: _exact_sum(data.column(c.name)) for c in table.columns if c.kind in _NUMBERS}


def _exact_sum(values: pa.ChunkedArray) -> int:
    known = values.fill_null(0) if values.null_count else values
    numbers = money_units(known) if pa.types.is_decimal(values.type) else known.to_numpy()
    # in halves of 32 bits, so that no sum of 64-bit integers can overflow
    return (int((numbers >> 32).sum()) << 32) + int((numbers & 0xFFFF_FFFF).sum())


def read_back(path: Path, part: Part) -> None:
    """Compare a file with what was meant to be written.

    Raises
    ------
    StoreError
        Its digest, its number of rows or a control sum differs; nothing is repaired.
    """
    if files.digest_now(path) != part.sha256:
        raise _damaged(path, "its SHA-256 differs from that of the bytes written")
    with pq.ParquetFile(path) as file:
        present = frozenset(file.schema_arrow.names)
        found = {name: 0 for name in part.sums if name in present}
        for number in range(file.num_row_groups):  # one by one, and without threads that keep memory of their own
            group = file.read_row_group(number, columns=list(found), use_threads=False)
            found = {name: total + _exact_sum(group.column(name)) for name, total in found.items()}
        rows = file.metadata.num_rows
    if rows != part.rows or found != part.sums:
        raise _damaged(path, f"it holds {rows} rows of {part.rows}, or other sums than were written")


def groups(path: Path, part: Part, table: Table, wanted: Sequence[str] = ()) -> Iterator[pa.Table]:
    """The rows of a part in the table's schema, one row group after the other, once the part has been checked.

    Only the columns `wanted`, if there are any.

    Raises
    ------
    StoreError
        The part is damaged, or a newer package wrote columns that this one would lose.
    """
    present = columns(path, part)
    unknown = present - set(table.names)
    if unknown:
        raise StoreError(f"part {path} has columns {sorted(unknown)} of a newer version: upgrade this package")
    schema = pa.schema([table[n].arrow_field for n in wanted or table.names], metadata=table.arrow_schema.metadata)
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            found = file.read_row_group(number, columns=[name for name in schema.names if name in present])
            kept = [found[f.name] if f.name in present else pa.nulls(len(found), f.type) for f in schema]
            yield pa.Table.from_arrays(kept, schema=schema)


def columns(path: Path, part: Part) -> frozenset[str]:
    """The columns of a part, once its SHA-256 and its number of rows are as the manifest says.

    Raises
    ------
    StoreError
        The file is missing or damaged.
    """
    try:
        if files.digest(path) != part.sha256:
            raise _damaged(path, "its SHA-256 is not that of the manifest")
        rows, names = _footer(path, part.sha256)
    except OSError as error:
        raise _damaged(path, error.strerror or "it cannot be read") from None
    if rows != part.rows:
        raise _damaged(path, f"it holds {rows} rows, the manifest says {part.rows}")
    return names


@cache
def _footer(path: Path, sha256: str) -> tuple[int, frozenset[str]]:
    metadata = pq.read_metadata(path)
    return metadata.num_rows, frozenset(metadata.schema.to_arrow_schema().names)


def _damaged(path: Path, problem: str) -> StoreError:
    follows = tables.TABLES.get(path.parent.name) in tables.DERIVED_TABLES
    mends = ", `xray rebuild` makes the tables anew" if follows else " and what mends it"
    return StoreError(f"part {path} is damaged: {problem}; `xray verify` lists all damage{mends}")
