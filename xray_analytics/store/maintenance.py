"""Compaction, collection, and the digest by which two stores are compared."""

# ruff: noqa: S608 - every name in this SQL comes from `tables`

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from .. import engine, files, tables
from ..schema import Column, Table
from . import tombstones
from .commits import Writer, writing
from .manifests import Manifest, published, read_manifest
from .snapshot import stored
from .strays import strays
from .verification import bad_parts

# Columns that say when this store, not the service, learnt something.
CLOCKS = frozenset({"fetched_at", "available_at", "is_backfilled", "recorded_at"})
# Columns that depend on how a sync was cut into commits.
_BATCH = {
    "drift": frozenset({"commit", "first_report_id"}),
    "quarantine": frozenset({"origin"}),
    "reports": frozenset({"layout_sha256"}),
}


def drop_damaged(root: Path, writer: Writer) -> tuple[str, ...]:
    """Leave damaged parts of tables that follow from nothing out of the commit to come; gives their names."""
    dropped = []
    for name, part, finding in bad_parts(root, writer.head) if writer.head else ():
        if tables.TABLES.get(name) not in (None, *tables.DERIVED_TABLES):
            writer.omit([part])
            dropped.append(finding.file)
    return tuple(dropped)


def compact(root: Path, max_parts: int) -> Manifest | None:
    """Merge the small parts of every table with more than `max_parts`, as an ordinary commit; None where none has.

    A commit is made as well where the digest of the key of the tombstones is not recorded yet.
    """
    with writing(root) as writer:
        head = writer.head
        names = crowded(head, max_parts)
        for name in names:
            writer.compact(name)
        lacks_digest = head is not None and tombstones.CURSOR_NAME in head.cursor and head.key_sha256 is None
        return writer.commit() if names or lacks_digest else None


def crowded(head: Manifest | None, max_parts: int) -> dict[str, int]:
    """Tables with more than `max_parts` parts, and how many they have."""
    return {name: len(live) for name, live in (head.parts if head else {}).items() if len(live) > max_parts}


def gc(root: Path, grace: timedelta, *, dry_run: bool = False) -> list[str]:
    """Remove the files of the store that no kept manifest names and that are older than `grace`; gives their names.

    At once goes what is from before an erasure, and what can be no file of the store, such as a copy cut short.

    Raises
    ------
    StoreError
        A manifest cannot be read: what it names is then unknown, and nothing is removed.
    """
    with writing(root) as writer, files.changing(root):
        if writer.head is None:
            return []
        kept = [read_manifest(root, number) for number in published(root)]
        found = strays(root, writer.head, kept, grace)
        doomed = sorted(stray.name for stray in found if stray.is_ours and (stray.is_due or not grace))
        for name in () if dry_run else doomed:
            files.remove(root / name)
    return [name.removeprefix("parts/") for name in doomed]


def content_digest(root: Path, head: Manifest | None, connection: engine.Connection, *, clocks: bool = False) -> str:
    """SHA-256 of what the store says, whatever the order of its rows, the cut of its parts and the number of commits.

    Covers every version in every table except ``runs`` and ``layouts``, which say how and not what; `clocks` includes
    when things were learnt. Of ``raw`` the digests count and not the bodies; ``drift`` counts with its reports added up
    over the commits.
    """
    lines = []
    for name in sorted(head.parts if head else ()):
        if head is not None and name not in ("runs", "layouts"):
            rows, total = _table_digest(stored(root, head, name), tables.table(name), connection, clocks=clocks)
            lines.append(f"{name} {rows} {total:064x}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _table_digest(source: str, table: Table, connection: engine.Connection, *, clocks: bool) -> tuple[int, int]:
    """Number of rows, and the sum of their SHA-256s modulo 2**256: the same in any order."""
    if table is tables.DRIFT:
        kept = "source, json_path, problem, example"
        source = f"(SELECT {kept}, CAST(sum(n_reports) AS BIGINT) AS n_reports FROM {source} AS d GROUP BY {kept})"
    left_out = (frozenset() if clocks else CLOCKS) | _BATCH.get(table.name, frozenset())
    columns = [c for c in table.columns if c.name not in left_out and c.kind != "bytes"]
    # where a clock is part of the key, rows that differ in nothing else are one
    distinct = "DISTINCT" if left_out & set(table.key) and table is not tables.DRIFT else ""
    canonical = ", ".join(map(_canonical, columns))
    query = f"SELECT {distinct} unhex(sha256(CAST(to_json(row({canonical})) AS VARCHAR))) AS h"
    rows = total = 0
    with engine.asking(table.name):
        for batch in connection.cursor().sql(f"{query} FROM {source} AS t").to_arrow_reader(100_000):
            digests = batch.column(0).to_pylist()
            rows += len(digests)
            total += sum(int.from_bytes(digest, "big") for digest in digests)
    return rows, total % 2**256


def _canonical(column: Column) -> str:
    return f"CAST({column.name} AS VARCHAR)" if column.kind in ("money", "instant") else column.name
