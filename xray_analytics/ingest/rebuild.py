"""The tables made anew from the bytes kept: after an upgrade, a new alias map, or damage.

A rebuild reads every version that ``raw`` holds, gives it the same number and the same times, and replaces every table
that follows from it in one commit. What the store cannot derive stays as it is: ``raw`` itself, the run log, media, and
the lender's own tables (those of 0.1.0 are converted once). Offline: nothing is asked of the service.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from itertools import groupby, islice
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .. import tables
from ..console import Progress, in_silence
from ..errors import StoreError
from ..settings import DEFAULT_SOURCES
from ..store import Store, Writer
from ..store.maintenance import drop_damaged as drop_damaged_parts
from ..tidy import drift
from ..tidy.batch import Received, Tidied, tidy
from ..tidy.layout import Given, Layout, layouts_of, shipped
from ..tidy.transactions import Aliases
from . import lender_upgrade
from .layouts import Memory, layouts_by_version
from .versions import Versions, each_refusal_once

CHUNK = 32
_SIGHTING = ("raw_sha256", "fetched_at")


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did.

    ``n_versions`` payloads were read again, of which ``n_refused`` are not understood any more; of those in quarantine
    ``n_recovered`` are understood now, and ``n_remembered`` were read with a layout that the store remembers and none
    of those given. ``dropped`` names what was damaged and left out.
    """

    commit: int
    n_versions: int
    n_refused: int
    n_recovered: int
    dropped: tuple[str, ...] = field(default=())
    n_remembered: int = 0


def rebuild(  # noqa: PLR0913
    store: Store,
    *,
    sources: Mapping[str, str] = DEFAULT_SOURCES,
    aliases: Aliases | None = None,
    layout: Given = None,
    drop_damaged: bool = False,
    progress: Progress = in_silence,
) -> Rebuilt:
    """Make every table that follows from the bytes kept anew, in one commit.

    Parameters
    ----------
    store
        Locked meanwhile; readers see the old tables until the end, and a rebuild that is killed changed nothing.
    sources, aliases, layout
        As in `import_files`. A version that these do not read, or not every transaction of it, is read with the layout
        that the store remembers for it; so nothing that was read once goes into quarantine.
    drop_damaged
        Leave out parts that are damaged and follow from nothing. Their reports are gone until they are fetched again;
        their older versions, and whatever else was in the parts, are gone for good. Try a backup first.
    progress
        Called with a stage, how many are done, and how many there are.

    Raises
    ------
    StoreError
        There is no store; it is locked, or damaged in a part that follows from nothing.
    """
    if not store.exists:
        raise StoreError(f"no store at {store.path}; `xray sync` or `xray demo` makes one")
    with store.writer(outdated=True) as writer:
        dropped = drop_damaged_parts(store.path, writer) if drop_damaged else ()
        layouts = layouts_of(layout, sources=sources, aliases=aliases)
        return _Rebuild(writer, layouts).run(progress, dropped=dropped)


@contextmanager
def writing(store: Store, *, layout: Given = None) -> Iterator[Writer]:
    """The store's writer; where an older package wrote the tables, they are made anew first.

    Raises
    ------
    StoreError
        As `Store.writer`, but for the tables of an older package.
    """
    with store.writer(outdated=True) as writer:
        if writer.head is not None and writer.head.schema_version < tables.SCHEMA_VERSION:
            _Rebuild(writer, layouts_of(layout)).run()
        yield writer


def run_row(
    command: str,
    started_at: datetime,
    commit: int,
    counts: Mapping[str, int] | None = None,
    *,
    run_id: str | None = None,
) -> pa.Table:
    """One row of the run log; `run_id` joins the commits of a command that makes several."""
    row = {
        "run_id": run_id or uuid.uuid4().hex,
        "command": command,
        "started_at": started_at,
        "finished_at": datetime.now(UTC),
        "code_version": version("xray-analytics"),
        "commit": commit,
    }
    return pa.Table.from_pylist([row | dict(counts or {})], schema=tables.RUNS.arrow_schema)


class _Payload(NamedTuple):
    """Bytes to read again; `version` is None for those in quarantine, `commit` is the one that counted its drift."""

    received: Received
    version: int | None
    commit: int


class _Rebuild:
    def __init__(self, writer: Writer, layouts: tuple[Layout, ...]) -> None:
        self._writer, self._layouts = writer, layouts
        self._memory, self._read_by = Memory.of(writer.rows("layouts"), layouts), _read_by(writer)
        self._started_at = datetime.now(UTC)
        self._versions = Versions()
        self._published: set[str] = set()  # the bytes that `raw` holds, and of those in quarantine what was read again
        self._current: _Payload | None = None
        self._drift: dict[int, list[pa.Table]] = {}
        self._counts: Counter[str] = Counter()

    def run(self, progress: Progress = in_silence, *, dropped: tuple[str, ...] = ()) -> Rebuilt:
        """Read everything again and commit; `dropped` names what was left out, so that raw may have gaps."""
        writer, counts = self._writer, self._counts
        lost: set[str] | None = set() if dropped else None
        lender_upgrade.convert(writer)
        for table in tables.DERIVED_TABLES:
            writer.omit(writer.live(table.name))
        refused = self._read_again(self._recorded(lost), progress, "versions")
        still = self._read_again(self._quarantined(), progress, "quarantined")
        for commit, noticed in sorted(self._drift.items()):
            writer.append("drift", drift.merge(noticed, commit))
        if lost:
            _leave_out_bodiless(writer, lost)
        totals = {"n_published": counts["published"], "n_unchanged": counts["unchanged"], "n_quarantined": still}
        totals["n_fetched"] = sum(totals.values())
        writer.append("runs", run_row("rebuild", self._started_at, writer.number, totals))
        manifest = writer.commit(cursor=_cursor_to_list_again(writer) if dropped else None)
        return Rebuilt(manifest.number, counts["versions"], refused, counts["published"], dropped, counts["remembered"])

    def _recorded(self, lost: set[str] | None) -> Iterator[_Payload]:
        """Every version of reports and requests in `raw`."""
        commit_of = _commits_by_time(self._writer)
        for row in self._writer.bodies(lost):
            self._published.add(row.raw_sha256)
            if row.kind != "medium":
                # Before it is read: one that is not understood any more keeps its number all the same.
                self._versions.record(row.kind, row.object_id, row.object_version, fetched_at=row.fetched_at)
                received = Received(row.body, row.fetched_at, "", row.kind, row.api_version, row.object_id)
                received = replace(received, layouts=self._layouts_for(row.object_id, row.object_version))
                yield _Payload(received, row.object_version, commit_of(row.fetched_at))

    def _quarantined(self) -> Iterator[_Payload]:
        """What is in quarantine and was never published, oldest first, each bytes once."""
        rows = [row for group in self._writer.rows("quarantine") for row in group.to_pylist()]
        for row in sorted(rows, key=lambda row: row["fetched_at"]):
            if row["body"] is not None and row["raw_sha256"] not in self._published:
                self._published.add(row["raw_sha256"])
                origin = row["raw_sha256"][:12]
                received = Received(row["body"], row["fetched_at"], origin, object_id=row["object_id"])
                yield _Payload(received, None, self._writer.number)

    def _read_again(self, payloads: Iterable[_Payload], progress: Progress, stage: str) -> int:
        """Tidy and append in chunks that share a commit; gives how many are not understood."""
        n_refused = done = 0
        for commit, together in groupby(payloads, key=lambda payload: payload.commit):
            while chunk := list(islice(together, CHUNK)):
                tidied = tidy(self._each(chunk), version_of=self._version_of, layout=self._layouts)
                self._drift.setdefault(commit, []).append(tidied.tables["drift"])
                n_refused += self._append(chunk, tidied)
                done += len(chunk)
                progress(stage, done, None)
        return n_refused

    def _each(self, chunk: list[_Payload]) -> Iterator[Received]:
        """One payload after the other: `tidy` asks for the version of each before it takes the next."""
        for payload in chunk:
            self._current = payload
            yield payload.received

    def _version_of(self, kind: str, object_id: str, content_sha256: str) -> int | None:
        """The version recorded; of what was in quarantine what `Versions` says."""
        if self._current is None:
            raise StoreError("tidy asked for a version before it took a payload; please report this")
        recorded, fetched_at = self._current.version, self._current.received.fetched_at
        if recorded is None:
            return self._versions.number(kind, object_id, content_sha256, fetched_at=fetched_at)
        return self._versions.record(kind, object_id, recorded, content_sha256, fetched_at)

    @cached_property
    def _quarantine(self) -> set[tuple[object, ...]]:
        """What of ``quarantine`` is there already: the same bytes may be refused at several times."""
        rows = (group.select(_SIGHTING).to_pydict().values() for group in self._writer.rows("quarantine"))
        return {sighting for columns in rows for sighting in zip(*columns, strict=True)}

    def _append(self, chunk: list[_Payload], tidied: Tidied) -> int:
        data, is_retry = dict(tidied.tables), chunk[0].version is None
        del data["drift"]
        refused = data.pop("quarantine")
        if is_retry:
            self._counts.update(outcome.status for outcome in tidied.outcomes)
        else:
            del data["raw"]
            self._counts["versions"] += len(chunk)
            data["quarantine"] = each_refusal_once(refused, self._quarantine, _SIGHTING) if len(refused) else refused
        self._counts["remembered"] += self._n_by_memory(data["reports"])
        data["layouts"] = self._memory.new(data["reports"]["layout_sha256"].to_pylist())
        for name, rows in data.items():
            self._writer.append(name, rows)
        return int(refused.num_rows)

    def _layouts_for(self, object_id: str, version: int) -> tuple[Layout, ...]:
        """The present layouts, then the one that read this version before."""
        remembered = self._memory.remembered
        before = remembered.get(self._read_by.get((object_id, version)) or "")
        return tuple(dict.fromkeys((*self._layouts, *((before,) if before else (*remembered.values(), shipped())))))

    def _n_by_memory(self, reports: pa.Table) -> int:
        present = {layout.sha256 for layout in self._layouts}
        return sum(sha256 not in present for sha256 in reports["layout_sha256"].to_pylist())


def _read_by(writer: Writer) -> dict[tuple[str, int], str | None]:
    """Which layout read each version; of damaged tables, which a rebuild heals, none is known, and all may be tried."""
    try:
        return layouts_by_version(writer.rows("reports"))
    except StoreError:
        return {}


def _commits_by_time(writer: Writer) -> Callable[[datetime], int]:
    """The commit of the first batch that ended after an instant: the one that published what was fetched then.

    Where the run log does not say, it is the commit to come.
    """
    ends = sorted((row["finished_at"], row["commit"]) for group in writer.rows("runs") for row in group.to_pylist())
    times = [finished_at for finished_at, _ in ends]

    def commit_of(fetched_at: datetime) -> int:
        place = bisect_left(times, fetched_at)
        return ends[place][1] if place < len(ends) else writer.number

    return commit_of


def _leave_out_bodiless(writer: Writer, lost: set[str]) -> None:
    """Versions whose bytes were in a part that was dropped are gone with it."""
    gone = pa.array(sorted(lost), pa.string())
    for part in writer.live("raw"):
        writer.rewrite("raw", part, lambda rows: rows.filter(pc.invert(pc.is_in(rows["raw_sha256"], gone))))


def _cursor_to_list_again(writer: Writer) -> Mapping[str, Any]:
    """The cursor without what was listed, so that the next sync asks for every report that is not here."""
    return {name: value for name, value in (writer.head.cursor if writer.head else {}).items() if name != "listed"}
