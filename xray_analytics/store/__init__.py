"""The store: Parquet parts, one numbered manifest per commit, and the questions one can ask of them.

::

    <store>/  commits/000000000042.json                  one manifest per commit; the highest is the store
              parts/<table>/<commit>-<digest>.parquet    immutable; SHA-256 checked before it is read
              documents/<sha256>.pdf                     the PDF of a report, named by the manifest's cursor
              staging/   lock                            of the one writer
              key                                        of the tombstones; its SHA-256 stands in every manifest

Reading never writes and never locks.
"""

# ruff: noqa: S608 - the one text from outside goes through `sql_text`

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from .. import engine, tables
from ..errors import InputError, StoreError, listed
from ..grammar import addresses
from . import commits, documents, maintenance, manifests, raw, snapshot, tombstones, verification
from .commits import Writer
from .manifests import Manifest
from .raw import RawBody
from .snapshot import Snapshot
from .tombstones import Tombstones
from .verification import Finding
from .visibility import Clock, moment

if TYPE_CHECKING:
    from ..console import Progress
    from .remote.publish import Publication

__all__ = ["Finding", "Manifest", "RawBody", "Snapshot", "Store", "Tombstones", "Version", "Writer"]


class Version(NamedTuple):
    """The newest version of an object."""

    version: int
    content_sha256: str
    raw_sha256: str


class Store:
    """A folder that holds everything known, and all of its history.

    Making one touches nothing; the folder is made by the first `writer`.

    Examples
    --------
    >>> Store("data/nowhere")
    <Store data/nowhere: empty>
    >>> Store("data/nowhere").snapshot()
    Traceback (most recent call last):
    xray_analytics.errors.StoreError: no store at data/nowhere; `xray sync` or `xray demo` makes one
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        addresses.check_path(path)
        self.path = Path(path)
        self._root = Path(os.path.abspath(path))

    @property
    def exists(self) -> bool:
        """Whether something was ever committed."""
        return bool(manifests.published(self._root))

    @property
    def head(self) -> Manifest | None:
        """The newest commit; None before the first.

        Raises
        ------
        StoreError
            It is damaged, newer than this package, or missing; an older one never takes its place.
        """
        return manifests.read_head(self._root)

    def snapshot(
        self, as_of: date | datetime | str | None = None, *, clock: Clock = "available", commit: int | None = None
    ) -> Snapshot:
        """The store as it was known at a point in time.

        Parameters
        ----------
        as_of
            A day (its end, UTC), an instant with a time zone, or either as ISO text; None is everything known.
        clock
            ``"available"``: a report counts from its creation, as a backtest needs it. ``"fetched"``: from when this
            store had it, which no later sync can change. Of the lender's tables what was recorded by then holds; on
            ``"available"`` also the first word on what was recorded later, and outcomes as corrected since. On both
            no later default, exit, closing, exposure or validity shows.
        commit
            Read what that commit published instead of the newest; the last 20 are kept.

        Raises
        ------
        InputError
            `as_of` or `clock` cannot be understood.
        StoreError
            There is no store, it is damaged, or the commit is not kept.
        """
        if clock not in ("available", "fetched"):
            raise InputError(f"no clock {clock!r}; there are available and fetched")
        return Snapshot(self._root, self._published(commit), self._connect, moment(as_of), clock)

    def writer(self, *, outdated: bool = False) -> AbstractContextManager[Writer]:
        """The one writer: holds the lock, and publishes with `Writer.commit`.

        Parameters
        ----------
        outdated
            Also where an older package wrote the tables: for `ingest.rebuild`, which makes them anew.

        Raises
        ------
        StoreError
            On entering, at once: another writer holds the lock, the disk is full, the folder cannot be written, or an
            older package wrote the tables.
        """
        return commits.writing(self._root, outdated=outdated)

    def versions(self, kind: str) -> dict[str, Version]:
        """The newest version of each object of a kind (``"report"``, ``"request"``, ``"medium"``) by its id."""
        head = self.head
        if head is None:
            return {}
        query = (
            "SELECT object_id, max(object_version), arg_max(content_sha256, object_version), "
            f"arg_max(raw_sha256, object_version) FROM {snapshot.stored(self._root, head, 'raw')} AS r "
            f"WHERE kind = {engine.sql_text(kind)} GROUP BY object_id"
        )
        with engine.asking("raw"):
            return {row[0]: Version(*row[1:]) for row in self._connect().cursor().sql(query).fetchall()}

    def stored(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Everything stored in a table, every version, in no particular order."""
        wanted, head = tables.table(table), self.head
        names = listed(columns or wanted.names, "columns")
        schema = pa.schema([wanted[name].arrow_field for name in names])
        if head is None:
            return schema.empty_table()
        with engine.asking(table):
            query = f"SELECT {', '.join(names)} FROM {snapshot.stored(self._root, head, table)} AS t"
            return self._connect().cursor().sql(query).to_arrow_table().cast(schema)

    def bodies(self) -> Iterator[RawBody]:
        """Every version of every object with its bytes, in memory-sized steps; versions that share bytes come last.

        Raises
        ------
        StoreError
            A part is damaged, or the bytes of a version are missing.
        """
        head = self.head
        return raw.bodies(self._root, head.parts.get("raw", ()) if head else ())

    def open_quarantine(self) -> list[tuple[str, str | None]]:
        """SHA-256 and object id of the payloads still in quarantine: neither they nor anything later was published."""
        head = self.head
        if head is None:
            return []
        raw, refused = (snapshot.stored(self._root, head, name) for name in ("raw", "quarantine"))
        later = "SELECT 1 FROM raw AS r WHERE r.object_id = q.object_id AND r.fetched_at >= q.fetched_at"
        query = (
            f"WITH raw AS (SELECT object_id, raw_sha256, fetched_at FROM {raw} AS v) "
            f"SELECT DISTINCT raw_sha256, object_id FROM {refused} AS q "
            f"WHERE raw_sha256 NOT IN (SELECT raw_sha256 FROM raw) AND NOT EXISTS ({later}) ORDER BY ALL"
        )
        with engine.asking("quarantine"):
            return [(row[0], row[1]) for row in self._connect().cursor().sql(query).fetchall()]

    def add_document(self, report_id: str, data: bytes) -> str:
        """Keep the PDF of a report, in one commit; its SHA-256.

        Raises
        ------
        InputError
            The report is of a company that was forgotten.
        StoreError
            Another writer holds the lock, or the disk does not take it; nothing was committed.
        """
        if report_id in self.tombstones():
            raise InputError("that report is of a company that was forgotten, and nothing of it is kept in the store")
        return documents.add(self._root, report_id, data)

    def document(self, report_id: str) -> bytes | None:
        """The PDF of a report with its digest checked; None where none was kept.

        Raises
        ------
        StoreError
            It is missing or damaged.
        """
        return documents.read(self._root, self.head, report_id)

    def content_digest(self, *, clocks: bool = False) -> str:
        """SHA-256 of what the store says; see `maintenance.content_digest`."""
        return maintenance.content_digest(self._root, self.head, self._connect(), clocks=clocks)

    def verify(self) -> list[Finding]:
        """Everything that is damaged or missing; see `verification.verify`."""
        return verification.verify(self._root, self._connect())

    def tombstones(self) -> Tombstones:
        """The ids of what was forgotten, as keyed hashes: ``id in store.tombstones()``."""
        head = self.head
        return tombstones.read(self._root, head.cursor if head else {}, head.key_sha256 if head else None)

    def compact(self, *, max_parts: int = 64) -> Manifest | None:
        """Merge small parts where a table has more than `max_parts`; the commit made, or None where nothing was to do.

        Worth it after many small commits: 1,000 parts of a table cost a question about a second.
        """
        return maintenance.compact(self._root, max_parts)

    def crowded(self, max_parts: int = 64) -> dict[str, int]:
        """The tables that `compact` would merge, and how many files each has."""
        return maintenance.crowded(self.head, max_parts)

    def gc(self, *, grace: timedelta = timedelta(days=7), dry_run: bool = False) -> list[str]:
        """Remove parts that none of the kept manifests names; see `maintenance.gc`."""
        return maintenance.gc(self._root, grace, dry_run=dry_run)

    def publish(  # noqa: PLR0913 - each is one independent choice
        self,
        url: str | os.PathLike[str],
        *,
        raw: bool = False,
        prune: bool = False,
        share: bool = False,
        filesystem: Any = None,
        progress: Progress | None = None,
    ) -> Publication:
        """Copy the newest commit to a bucket or a shared folder, for `PublishedStore`; see `publishing.publish`.

        Readers there see the commit before or the new one, complete. Nothing is copied twice, and a publication that
        was cut short is finished by the next.

        Parameters
        ----------
        url
            ``s3://bucket/prefix``, ``gs://…``, ``hdfs://…``, ``abfs://…`` or a path; keys come from the environment.
        raw
            Publish the bytes as received too.
        prune
            Remove files of earlier publications; those from before an erasure go in any case.
        share
            In a folder: let its group read what is published there; otherwise only its owner can. Of a bucket, its
            own rules decide.
        filesystem
            A pyarrow file system; `url` is then the path inside it.
        progress
            Called with a stage, how many files are done, and how many there are.

        Raises
        ------
        InputError
            The URL holds a password, or is of no file system that pyarrow knows.
        StoreError
            There is no store or it is damaged, or the place cannot be written or holds a later commit; readers see
            what they saw before.

        Examples
        --------
        >>> Store("data/nowhere").publish("s3://risk-lake/xray")
        Traceback (most recent call last):
        xray_analytics.errors.StoreError: no store at data/nowhere; `xray sync` or `xray demo` makes one
        """
        from .remote.filesystem import place  # noqa: PLC0415 - only here are pyarrow's file systems needed
        from .remote.publish import publish  # noqa: PLC0415

        head, to = self._published(), place(url, filesystem, is_shared=share)
        return publish(self._root, head, to, raw=raw, prune=prune, progress=progress)

    def status(self, as_of: date | datetime | str | None = None, *, clock: Clock = "available") -> dict[str, Any]:
        """What is in the store: its newest commit, size and open quarantine; rows and last run as of a moment."""
        head, now = self._published(), self.snapshot(as_of, clock=clock)
        runs = now.read("runs").sort_values("commit")
        live = [part for of in head.parts.values() for part in of]
        return {
            "store": str(self.path),
            "commit": head.number,
            "committed_at": head.created_at,
            "rows": now.rows(),
            "n_files": len(live),
            "n_bytes": sum(part.bytes for part in live),
            "last_run": None if runs.empty else runs.iloc[-1].to_dict(),
            "n_quarantined": len(self.open_quarantine()),
            "n_withdrawn": len(now.withdrawn()),
        }

    def __repr__(self) -> str:
        try:
            head = self.head
        except StoreError as error:
            return f"<Store {self.path}: {error}>"
        if head is None:
            return f"<Store {self.path}: empty>"
        shown = ", ".join(f"{head.rows(name):,} {name}" for name in ("requests", "reports", "transactions"))
        return f"<Store {self.path}: commit {head.number} of {head.created_at:%Y-%m-%d %H:%M} UTC, {shown}>"

    def _published(self, commit: int | None = None) -> Manifest:
        head = self.head
        if head is None:
            raise StoreError(f"no store at {self.path}; `xray sync` or `xray demo` makes one")
        if commit is not None and commit != head.number:
            try:
                head = manifests.read_kept(self._root, head, commit)
            except FileNotFoundError:
                kept = [number for number in manifests.published(self._root) if number >= head.root]
                raise StoreError(f"store {self.path}: commit {commit} is not kept; there are {kept}") from None
        manifests.refuse_other_schema(self._root, head)
        return head

    @cached_property
    def _connection(self) -> engine.Connection:
        return engine.connect_duckdb(directory=self._root)

    def _connect(self) -> engine.Connection:
        return self._connection
