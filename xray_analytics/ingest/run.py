"""Payloads into the store, whoever brings them: tidy in chunks, commit in batches, count everything.

One `Intake` is one run under the store's lock. Every batch is one atomic commit of all its tables, its control totals
and the cursor, so that a run killed anywhere leaves the last batch readable. What is received is published, unchanged,
or quarantined, and the three always add up to what was fetched.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .. import tables
from ..api.journal import Journal
from ..console import Progress, in_silence
from ..errors import ApiError
from ..settings import DEFAULT_SOURCES
from ..store import Store, Writer
from ..tidy import drift
from ..tidy.batch import Outcome, Received, Tidied
from ..tidy.layout import Given
from .door import Door
from .erasure import erase
from .layouts import Memory
from .rebuild import run_row, writing
from .versions import Versions, each_refusal_once
from .workers import Tidier

CHUNK_BYTES = 6_000_000  # bodies tidied together: more cost page faults, fewer cost calls
CHUNK = 256  # payloads, where they are small
BATCH_BYTES = 64_000_000  # bodies in one commit

TOTALS = (
    "n_listed",
    "n_known",
    "n_fetched",
    "n_unchanged",
    "n_forgotten",
    "n_published",
    "n_quarantined",
    "n_withdrawn",
    "n_failed",
)


@dataclass(frozen=True)
class Issue:
    """Something that did not go as it should: a stable word, what it is about, where in it, and one sentence."""

    code: str
    subject: str
    json_path: str | None
    message: str


@dataclass(frozen=True)
class IntakeResult:
    """Control totals of one run; ``n_fetched = n_unchanged + n_published + n_quarantined`` always.

    ``n_known`` ids were listed and not asked for again, ``n_failed`` could not be fetched and are tried by the next
    run, ``n_withdrawn`` are known here and gone there; ``n_forgotten`` of those unchanged are of companies that were
    forgotten, and were not kept. ``commits`` are the numbers of the commits this run published.
    ``doubts`` say what in published reports contradicts how they were read, and in how many of them.
    """

    run_id: str
    n_listed: int
    n_known: int
    n_fetched: int
    n_unchanged: int
    n_forgotten: int
    n_published: int
    n_quarantined: int
    n_withdrawn: int
    n_failed: int
    commits: tuple[int, ...]
    issues: tuple[Issue, ...] = field(repr=False)
    doubts: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_partial(self) -> bool:
        """Whether something was quarantined, failed, could not be read, or was not permitted: exit code 3."""
        return bool(self.issues)

    def to_dict(self) -> dict[str, Any]:
        """Totals and issues as plain values."""
        return asdict(self)


class Intake:
    """One run that takes payloads and publishes them in batches.

    Parameters
    ----------
    store, writer
        The store and its open writer, which holds the lock.
    tidier
        What makes tables of payloads.
    command
        What was run, for the run log.
    retry
        Take payloads again that were quarantined before.
    journal
        The store's, so that an erasure of this run reaches it as well.
    undated
        The payloads do not say when: what repeats the versions of an object is no change, see `versions`.
    progress
        Called with a stage, how many are done, and how many there are.
    """

    def __init__(  # noqa: PLR0913
        self,
        store: Store,
        writer: Writer,
        tidier: Tidier,
        *,
        command: str,
        retry: bool = False,
        journal: Journal | None = None,
        undated: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.store, self.command = store, command
        self.progress = progress or in_silence
        self.started_at = datetime.now(UTC)
        self.cursor: Mapping[str, Any] = store.head.cursor if store.head else {}
        self.totals: Counter[str] = Counter()
        self._writer, self._tidier, self._run_id = writer, tidier, uuid.uuid4().hex
        self._memory = Memory.of([store.stored("layouts")], tidier.layouts)
        self._versions = Versions.of(store, undated=undated)
        self._waiting: dict[tuple[str, str | None], Received] = {}
        still = store.open_quarantine()
        self._quarantined_ids = {object_id for _, object_id in still if object_id}
        self._quarantined: set[tuple[object, ...]] = {(raw_sha256,) for raw_sha256, _ in still}
        self._retry = retry
        self._door, self._journal = Door(store), journal
        self._withdrawn: dict[str, str] = dict(self.cursor.get("withdrawn", {}))
        self._issues: list[Issue] = []
        self._commits: list[int] = []
        self._drift: list[pa.Table] = []
        self._batch_bytes = self._batch_rows = 0
        self._counted: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._doubts: Counter[str] = Counter()

    def is_known(self, report_id: str) -> bool:
        """Whether the report is published, or quarantined and not to be tried again."""
        return not self._retry if report_id in self._quarantined_ids else self.is_published(report_id)

    def is_published(self, report_id: str) -> bool:
        """Whether some version of the report is in the store."""
        return self._versions.has("report", report_id)

    def is_forgotten(self, object_id: str) -> bool:
        """Whether the object belongs to a company that was forgotten, and must not come back."""
        return self._door.is_forgotten(object_id)

    def look_ahead(self, received: Callable[[], Iterable[Received | object]]) -> None:
        """Learn which requests are of companies that were forgotten, before any report of theirs is taken."""
        if self._door.is_watched:
            for one in received():
                if isinstance(one, Received):
                    self._door.learn(one)

    def mark_withdrawn(self, report_id: str) -> None:
        """Remember that the service no longer has a report; what is known of it stays."""
        self._withdrawn.setdefault(report_id, self.started_at.isoformat())

    def unmark_withdrawn(self, report_id: str) -> None:
        """The service has the report, perhaps again."""
        self._withdrawn.pop(report_id, None)

    def issue(self, code: str, subject: str, message: str, json_path: str | None = None) -> None:
        """Note something that did not go as it should; the run goes on and ends *partial*."""
        self._issues.append(Issue(code, subject, json_path, message))

    def take(self, received: Iterable[Received], *, stage: str, total: int | None = None) -> None:
        """Tidy and append in chunks, and commit whenever a batch is full."""
        arriving = _Arriving(received)
        for fresh, tidied in self._tidied(_chunks(arriving)):
            self._append(fresh, tidied)
            self.progress(stage, arriving.n, total)
            if self._batch_bytes >= BATCH_BYTES:
                self._commit(self.cursor)
        if arriving.refusal is not None:
            raise arriving.refusal

    def add(self, table: str, rows: pa.Table) -> None:
        """Rows that come from no payload, into the batch that is committed next."""
        self._writer.append(table, rows)
        self._batch_rows += rows.num_rows

    def finish(self, cursor: Mapping[str, Any] | None = None) -> IntakeResult:
        """Commit what is left, with the new cursor if there is one; a run that found nothing new writes nothing."""
        while self._waiting:
            key = next(iter(self._waiting))
            self._versions.over(*key)
            for fresh, tidied in self._tidied([[self._waiting.pop(key)]]):
                self._append(fresh, tidied)
        cursor = self.cursor if cursor is None else cursor
        if self._withdrawn != cursor.get("withdrawn", {}):
            cursor = {**cursor, "withdrawn": self._withdrawn.copy()}
        if self._batch_rows or cursor != self.cursor:
            self._commit(cursor)
        self._erase_late()
        if self._unread["transactions"]:
            self.issue("unread_transactions", f"{self._unread['reports']:,} reports", unread_words(self._unread))
        totals = {name: self.totals[name] for name in TOTALS}
        return IntakeResult(
            self._run_id, **totals, commits=tuple(self._commits), issues=tuple(self._issues), doubts=dict(self._doubts)
        )

    def _tidied(self, chunks: Iterable[list[Received]]) -> Iterator[tuple[list[Received], Tidied]]:
        return self._tidier.tidied(map(self._fresh, chunks), self._versions.number, self._versions.restart)

    def _fresh(self, chunk: list[Received]) -> list[Received]:
        """Those that may say something new."""
        fresh = [r for r in chunk if not self._versions.are_newest(r)]
        if self._door.is_watched:
            kept = [r for r in fresh if not self._door.refuses(r, self._versions)]
            self.totals["n_forgotten"] += len(fresh) - len(kept)
            fresh = kept
        n_unchanged = len(chunk) - len(fresh)
        self.totals.update(n_fetched=n_unchanged, n_unchanged=n_unchanged)
        return fresh

    def _append(self, fresh: list[Received], tidied: Tidied) -> None:
        self._versions.settle()
        self.totals["n_fetched"] += len(fresh)
        dropped: set[str] = set()
        decoded = _decoded(tidied.tables["quarantine"])
        for received, outcome in zip(fresh, tidied.outcomes, strict=True):
            if outcome.status == "quarantined" and self._door.refuses_bytes(
                received, self._versions, is_decoded=outcome.raw_sha256 in decoded
            ):
                dropped.add(received.raw_sha256)
                self.totals.update(n_unchanged=1, n_forgotten=1)
                continue
            self.totals[f"n_{outcome.status}"] += 1
            self._note(outcome)
            if outcome.doubt is not None and outcome.status == "published":
                self._doubts[outcome.doubt] += 1
            self._hold(received, outcome)
        data = dict(tidied.tables)
        self._unread += unread(data["reports"], data["transactions"])
        self._drift.append(data.pop("drift"))
        data["quarantine"] = _without(data["quarantine"], dropped)
        data["quarantine"] = each_refusal_once(data["quarantine"], self._quarantined)
        data["layouts"] = self._memory.new(data["reports"]["layout_sha256"].to_pylist())
        for name, rows in data.items():
            if rows.num_rows:
                self._writer.append(name, rows)
        self._batch_rows += data["raw"].num_rows + data["quarantine"].num_rows
        self._batch_bytes += sum(len(r.body) for r in fresh)

    def _hold(self, received: Received, outcome: Outcome) -> None:
        """Keep a payload that so far only repeats history: nothing newer may follow, and then it is the newest."""
        key = outcome.kind, outcome.object_id
        if outcome.status != "quarantined" and key in self._waiting:
            del self._waiting[key]
            self.totals.update(n_fetched=1, n_unchanged=1)
        if outcome.status == "unchanged" and self._versions.is_open(*key):
            self._waiting[key] = received
            self.totals.update(n_fetched=-1, n_unchanged=-1)

    def _erase_late(self) -> None:
        """Erase what hangs on a request that this run knows to be a forgotten company's, and the store did not."""
        late = self._door.late()
        if not late:
            return
        head = erase(self.store, self._writer, late, tidy=self._tidier.tidy, journal=self._journal)
        if head is not None:
            self._commits.append(head.number)
            self.cursor = head.cursor

    def _note(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            subject = outcome.object_id or outcome.origin
            self.issue(outcome.error.code, subject, str(outcome.error), outcome.error.json_path)

    def _commit(self, cursor: Mapping[str, Any]) -> None:
        """Publish the batch: its rows, what drifted, its totals and the cursor, all at once."""
        number, batch = self._writer.number, self.totals - self._counted
        if self._drift:
            self._writer.append("drift", drift.merge(self._drift, number))
        counts = {name: batch[name] for name in TOTALS if name in tables.RUNS.names}
        self._writer.append("runs", run_row(self.command, self.started_at, number, counts, run_id=self._run_id))
        cursor = self._door.remembered(cursor)
        self._writer.commit(cursor=cursor)
        self._commits.append(number)
        self._counted, self.cursor = self.totals.copy(), cursor
        self._drift, self._batch_bytes, self._batch_rows = [], 0, 0


@contextmanager
def taking(  # noqa: PLR0913
    store: Store,
    *,
    command: str,
    sources: Mapping[str, str] = DEFAULT_SOURCES,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    layout: Given = None,
    processes: int = 1,
    **options: Any,
) -> Iterator[Intake]:
    """An `Intake` for as long as the store is locked.

    Parameters
    ----------
    layout
        How payloads are read, one or several, see `layouts_of`.
    sources, aliases
        Product -> the service's word; transaction column -> member names, replacing lines of the layout.
    processes
        How many tidy, see `Tidier`.
    options
        Those of `Intake`.

    Raises
    ------
    StoreError
        The store is locked, damaged or cannot be written.
    """
    with (
        Tidier(processes, aliases=aliases, sources=sources, layout=layout) as tidier,
        writing(store, layout=tidier.layouts) as writer,
    ):
        intake = Intake(store, writer, tidier, command=command, **options)
        try:
            yield intake
        except ApiError:
            intake.finish()  # the service refuses us half-way: what arrived before is committed
            raise


class _Arriving:
    """Payloads until the service refuses us; its refusal is kept, so that what arrived before is taken in first."""

    def __init__(self, received: Iterable[Received]) -> None:
        self._received, self.n = received, 0
        self.refusal: ApiError | None = None

    def __iter__(self) -> Iterator[Received]:
        try:
            for one in self._received:
                self.n += 1
                yield one
        except ApiError as error:
            self.refusal = error


def _decoded(refused: pa.Table) -> set[str]:
    """Of payloads in quarantine, the hashes of those that are JSON as it should be."""
    stages = zip(refused["raw_sha256"].to_pylist(), refused["stage"].to_pylist(), strict=True)
    return {raw_sha256 for raw_sha256, stage in stages if stage == "tidy"}


def _without(quarantine: pa.Table, dropped: set[str]) -> pa.Table:
    gone = pc.is_in(quarantine["raw_sha256"], pa.array(sorted(dropped), pa.string()))
    return quarantine.filter(pc.invert(gone)) if dropped else quarantine


def _chunks(received: Iterable[Received]) -> Iterator[list[Received]]:
    chunk: list[Received] = []
    size = 0
    for one in received:
        chunk.append(one)
        size += len(one.body)
        if size >= CHUNK_BYTES or len(chunk) == CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def unread(reports: pa.Table, transactions: pa.Table) -> Counter[str]:
    """The reports of which more than one transaction in a hundred lacks amount or day, and what theirs lack."""
    n, n_unread = (reports[name].to_pylist() for name in ("n_transactions", "n_unread_transactions"))
    ids = zip(reports["report_id"].to_pylist(), n, n_unread, strict=True)
    poor = [report_id for report_id, of, lost in ids if lost and lost > tables.MAX_UNREAD_RATIO * of]
    if not poor:
        return Counter()
    own = transactions.filter(pc.is_in(transactions["report_id"], pa.array(poor, pa.string())))
    lacking = {name: own[column].null_count for name, column in (("amount", "amount"), ("booking day", "booked_date"))}
    return Counter({"reports": len(poor), "transactions": own.num_rows} | lacking)


def unread_words(counts: Mapping[str, int]) -> str:
    """What the counts of `unread` say, in one sentence."""
    of = f"of {counts['transactions']:,} transactions have no"
    return " and ".join(f"{counts[name]:,} {of} {name}" for name in _LACKING if counts[name]) + ": see `xray inspect`"


_LACKING = ("amount", "booking day")
