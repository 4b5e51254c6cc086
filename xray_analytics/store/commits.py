"""Atomic commit: all tables of a batch at once, or nothing; publishing is one link.

A commit goes: parts to staging, fsync, read back, rename, fsync of their folders; then the manifest to staging, fsync,
and a link to its number, which must not be taken. The highest manifest is the store. The cursor of a sync lives in the
same manifest as its data, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from .. import files, tables
from ..errors import StoreError
from ..schema import Table
from . import erasure, parts, raw, tombstones
from .manifests import (
    Manifest,
    encode,
    published,
    read_head,
    refuse_lost_commits,
    refuse_newer_schema,
    refuse_other_schema,
)
from .parts import Part, PartBuilder
from .raw import RawBody

KEPT_MANIFESTS = 20
SMALL_PART = 32_000_000  # bytes; larger parts are left alone
LARGE_PART = 256_000_000  # bytes; rows beyond it start another part


class _Staged(NamedTuple):
    table: str
    part: Part
    path: Path


@contextmanager
def writing(root: Path, *, outdated: bool = False) -> Iterator[Writer]:
    """A writer that holds the store's lock; leaving without `Writer.commit` publishes nothing.

    Sweeps up first: what a writer that was killed left in staging, and what it left of an erasure. `outdated` is for
    the one who makes the tables of an older package anew.

    Raises
    ------
    StoreError
        At once: another writer holds the lock, the disk is full, the folder cannot be written, or an older package
        wrote the tables.
    """
    with files.changing(root):
        files.make_tree(root, ("commits", "parts", "staging"))
        handle = files.lock(root / "lock")
    number = None
    try:
        with files.changing(root):
            files.empty(root / "staging")
            files.probe(root / "staging")
        writer = Writer(root, _head_to_write_on(root, outdated))
        try:
            yield writer
        finally:
            number = writer.number - 1
            writer.close()
            with suppress(OSError):  # the next writer sweeps again, and what was published stays published
                files.empty(root / "staging")
    finally:
        files.unlock(handle, number)


def _head_to_write_on(root: Path, outdated: bool) -> Manifest | None:
    head = read_head(root)
    if head is None:
        return None
    (refuse_newer_schema if outdated else refuse_other_schema)(root, head)
    if erasure.is_unfinished(root, head):
        with files.changing(root):
            erasure.finish(root, head)
    return head


class Writer:
    """Collects the rows of a batch and publishes them at once; `number` is the commit that `commit` will publish."""

    def __init__(self, root: Path, head: Manifest | None) -> None:
        refuse_lost_commits(root)
        self.number = head.number + 1 if head else 1
        self.head = head
        self._root = root
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="xray-parquet")
        self._builders: dict[str, PartBuilder] = {}
        self._staged: list[_Staged] = []
        self._omitted: set[str] = set()
        self._bodies_held: set[str] | None = None
        self._open = True

    def append(self, table_name: str, data: pa.Table) -> None:
        """Add rows to a table of the commit to come.

        Bodies of ``raw`` that the store already holds under the same SHA-256 are not written again.

        Raises
        ------
        SchemaError
            The rows are not of the table's schema.
        """
        self._require_open()
        table = tables.table(table_name)
        data = _exact(table, data)
        if table is tables.RAW:
            data = self._without_held_bodies(data)
        self._add(table, data)

    def live(self, table_name: str) -> tuple[Part, ...]:
        """The parts of the head that the commit to come keeps."""
        stored = self.head.parts.get(table_name, ()) if self.head else ()
        return tuple(part for part in stored if part.sha256 not in self._omitted)

    def rows(self, table_name: str) -> Iterator[pa.Table]:
        """The rows of those parts, every version, one row group after the other."""
        for part in self.live(table_name):
            yield from parts.groups(self._root / "parts" / table_name / part.name, part, tables.table(table_name))

    def bodies(self, lost: set[str] | None = None) -> Iterator[RawBody]:
        """Every version with its bytes out of those parts; see `raw.bodies`."""
        return raw.bodies(self._root, self.live("raw"), lost)

    def omit(self, found: Iterable[Part]) -> None:
        """Leave parts out of the commit to come.

        The files stay until no kept manifest names them and `Store.gc` is asked.
        """
        self._require_open()
        self._omitted.update(part.sha256 for part in found)

    def rewrite(self, table_name: str, part: Part, change: Callable[[pa.Table], pa.Table] = lambda rows: rows) -> None:
        """Put what `change` makes of a part's rows, one row group after the other, in the place of the part."""
        table = tables.table(table_name)
        for rows in parts.groups(self._root / "parts" / table_name / part.name, part, table):
            self._add(table, change(rows))
        self.omit([part])

    def alter(self, table_name: str, change: Callable[[pa.Table], pa.Table], columns: Sequence[str]) -> int:
        """`rewrite` the parts in which `change` changes these columns, and no others; gives how many rows went."""
        table, removed = tables.table(table_name), 0
        for part in self.live(table_name):
            path, left, is_same = self._root / "parts" / table_name / part.name, 0, True
            for rows in parts.groups(path, part, table, columns):
                changed = change(rows)
                left, is_same = left + changed.num_rows, is_same and changed.equals(rows)
            if not is_same:
                self.rewrite(table_name, part, change)
                removed += part.rows - left
        return removed

    def compact(self, table_name: str) -> None:
        """Merge the table's small parts into one of the commit to come; what the store says does not change."""
        small = _small(self.live(table_name))
        for part in small if len(small) > 1 else ():
            self.rewrite(table_name, part)

    def commit(self, *, cursor: Mapping[str, Any] | None = None, new_root: bool = False) -> Manifest:
        """Publish everything appended since the last commit, in all tables at once.

        Parameters
        ----------
        cursor
            Where the sync has got to, as plain JSON; None keeps the last one.
        new_root
            History starts from this commit: the next writer removes every file of the commits before it.

        Raises
        ------
        StoreError
            Nothing was committed, and this writer is closed; run the command again. Only where the message says that
            the commit may not survive a power failure is it already visible.
        """
        self._require_open()
        self._open = False  # until it has gone well: a half-done commit is not continued
        finished = {name: builder.finish() for name, builder in self._builders.items()}
        with files.changing(self._root, sum(data.size for _, data in finished.values())):
            files.empty(self._root / "staging", keep=[staged.path.name for staged in self._staged])
            for name, (part, data) in finished.items():
                self._stage(name, part, data)
            manifest, encoded = encode(self._next_manifest(cursor, new_root))
            self._forget_old_manifests()
            self._place()
            self._publish(manifest, encoded)
        self.head, self.number, self._open = manifest, manifest.number + 1, True
        self._builders, self._staged, self._omitted = {}, [], set()
        return manifest

    def close(self) -> None:
        """Take no more rows."""
        self._open, self._builders = False, {}
        self._pool.shutdown(cancel_futures=True)

    def _add(self, table: Table, rows: pa.Table) -> None:
        """Encode rows, and put what has become a large part on disk at once, so that memory stays bounded."""
        if not rows.num_rows:
            return
        if table.name not in self._builders:
            self._builders[table.name] = PartBuilder(table, self.number, self._pool)
        builder = self._builders[table.name]
        builder.add(rows)
        if builder.size >= LARGE_PART:
            part, data = self._builders.pop(table.name).finish()
            with files.changing(self._root, data.size):
                self._stage(table.name, part, data)

    def _stage(self, table_name: str, part: Part, data: pa.Buffer) -> None:
        path = self._root / "staging" / f"{table_name}-{part.name}"
        files.create(path, memoryview(data))
        parts.read_back(path, part)
        self._staged.append(_Staged(table_name, part, path))

    def _require_open(self) -> None:
        if not self._open:
            raise StoreError(f"the writer of store {self._root} is closed; open a new one with store.writer()")

    def _without_held_bodies(self, data: pa.Table) -> pa.Table:
        if self._bodies_held is None:
            self._bodies_held = _raw_digests(self._root, self.live("raw"))
        return raw.each_body_once(data, self._bodies_held)

    def _next_manifest(self, cursor: Mapping[str, Any] | None, new_root: bool) -> Manifest:
        head = self.head
        live = {name: kept for name in (head.parts if head else {}) if (kept := self.live(name))}
        for name, part, _ in self._staged:
            live[name] = (*live.get(name, ()), part)
        kept_cursor = head.cursor if head else {}
        return Manifest(
            number=self.number,
            created_at=datetime.now(UTC),
            parts=live,
            cursor=kept_cursor if cursor is None else cursor,
            code_version=version("xray-analytics"),
            schema_version=tables.SCHEMA_VERSION,
            root=head.root if head and not new_root else self.number,
            parent=head.digest if head and not new_root else None,
            digest="",
            key_sha256=self._key_digest(),
        )

    def _key_digest(self) -> str | None:
        """That of the key with which the tombstones were made, once recorded; else of the key that is there."""
        recorded = self.head.key_sha256 if self.head and tombstones.CURSOR_NAME in self.head.cursor else None
        return recorded or tombstones.key_digest(self._root)

    def _forget_old_manifests(self) -> None:
        for number in published(self._root)[: 1 - KEPT_MANIFESTS]:
            files.remove(self._root / "commits" / f"{number:012d}.json")

    def _place(self) -> None:
        for name, part, path in self._staged:
            folder = self._root / "parts" / name
            files.make_directory(folder)
            files.move(path, folder / part.name)
            files.sync_directory(folder)

    def _publish(self, manifest: Manifest, data: bytes) -> None:
        staged, commits = self._root / "staging" / "manifest", self._root / "commits"
        files.create(staged, data)
        try:
            files.publish(staged, commits / f"{manifest.number:012d}.json")
        except FileExistsError:
            raise StoreError(
                f"store {self._root}: commit {manifest.number} was published by another writer, so nothing of this one "
                "was; run the command again"
            ) from None
        try:
            files.sync_directory(commits)
        except OSError as error:
            raise StoreError(
                f"store {self._root}: commit {manifest.number} is visible, but may not survive a power failure "
                f"({error.strerror}); check the disk and run `xray verify`"
            ) from error


def _exact(table: Table, data: pa.Table) -> pa.Table:
    """The rows as they are where the schema is the table's own; else whatever `Table.conform` makes of them."""
    nulls = any(data.column(c.name).null_count for c in table.columns if c.required and c.name in data.column_names)
    return data if data.schema.equals(table.arrow_schema) and not nulls else table.conform(data)


def _raw_digests(root: Path, live: tuple[Part, ...]) -> set[str]:
    """Every SHA-256 in ``raw``: the first row of each holds its body."""
    held: set[str] = set()
    for part in live:
        path = root / "parts" / "raw" / part.name
        parts.columns(path, part)
        held.update(pq.read_table(path, columns=["raw_sha256"])["raw_sha256"].to_pylist())
    return held


def _small(live: tuple[Part, ...]) -> list[Part]:
    """Small parts, oldest first, as many as make one large part."""
    small = [part for part in live if part.bytes < SMALL_PART]
    sizes = accumulate(part.bytes for part in small)
    return [part for part, size in zip(small, sizes, strict=True) if size < LARGE_PART]
