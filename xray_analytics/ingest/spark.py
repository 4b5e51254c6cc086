"""An archive that outgrows one machine, tidied on Spark into the same tables: a published store.

Every payload goes to the task of its object, in the order of the archive, and there through the same pure functions as
on one machine, so that versions, repetitions and quarantine come out the same. A task writes its own parts; nothing but
their names comes back, and the store appears when the last of them is there. A task that Spark repeats writes the same
bytes under the same names.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from .. import engine, tables
from ..errors import InputError, StoreError
from ..store.commits import LARGE_PART
from ..store.manifests import Manifest, encode
from ..store.parts import Part, PartBuilder
from ..store.raw import each_body_once
from ..store.remote.filesystem import Place, place
from ..store.remote.publish import announce, current, part_name
from ..tidy import drift
from ..tidy.batch import Received, tidy
from ..tidy.ids import object_id_in
from ..tidy.layout import Given, Layout, layouts_of
from . import files
from .layouts import Memory
from .rebuild import run_row
from .run import unread, unread_words
from .versions import Versions, each_refusal_once

COMMIT = 1  # such a store begins with the commit that makes it
CHUNK = 32  # payloads tidied together
_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
_OPTIONAL = {"origin": "string", "position": "bigint", "kind": "string", "object_id": "string", "api_version": "string"}
_PAYLOAD = ", ".join(f"{name} {kind}" for name, kind in _OPTIONAL.items()) + ", fetched_at timestamp, body binary"
_KEYED = f"{_PAYLOAD}, key string"
_RESULT = "what string, name string, at bigint, position bigint, data string"

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Scaled:
    """What became of an archive; ``n_payloads = n_published + n_unchanged + n_quarantined``, and the rows by table.

    ``failed`` names what could not be read at all, with the reason; everything else is published. ``unread`` says what
    more than one transaction in a hundred of some reports lacks, amount or booking day; empty where none do.
    """

    url: str
    n_payloads: int
    n_published: int
    n_unchanged: int
    n_quarantined: int
    rows: Mapping[str, int]
    failed: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    unread: str = ""


def tidy_archive(  # noqa: PLR0913
    archived: Any,
    url: str,
    *,
    sources: Mapping[str, str] | None = None,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    layout: Given = None,
    fetched_at: datetime | None = None,
    tasks: int | None = None,
    spark: Any = None,
) -> Scaled:
    """Tidy a raw archive on Spark, and publish the tables for `PublishedStore`.

    Parameters
    ----------
    archived
        Files or folders as `import_files` takes them, under paths that every worker sees; or a Spark frame with the
        columns ``body`` (binary) and ``fetched_at`` (timestamp), and as far as known ``object_id``, ``kind``,
        ``api_version``, ``origin`` and ``position`` (which breaks ties of ``fetched_at``), such as
        ``spark.read.parquet("s3a://lake/bodies")``.
    url
        Where the store shall be, which every worker can write: ``s3://bucket/prefix``, or a path all of them share.
    sources, aliases, layout
        As in `import_files`.
    fetched_at
        When files were received [UTC]; default now. Give it where a repetition shall write the same bytes.
    tasks
        In how many tasks the payloads are tidied, each writing a file a table; default what Spark finds adequate.
    spark
        The session; default the one that runs, or what Spark's own configuration makes.

    Returns
    -------
    Scaled
        Control totals, and rows by table.

    Raises
    ------
    InputError
        A path does not exist, the frame lacks a column, or Spark is not installed.
    StoreError
        Something is published at `url` already, a task failed, or the place cannot be written: nothing was published.

    Examples
    --------
    >>> xa.scale.tidy_archive("/shared/archive", "s3://risk-lake/xray")  # doctest: +SKIP
    >>> xa.PublishedStore("s3://risk-lake/xray").snapshot().read("reports")  # doctest: +SKIP
    """
    started_at, to = datetime.now(UTC), place(url)
    if current(to) is not None:
        raise StoreError(f"a store is published at {to.url} already; name a prefix of its own for this archive")
    session = spark or engine.spark_session()
    work = _Work(url, aliases, sources, layout)
    layouts = work.layouts
    with _small_batches(session), _one_failure(to):
        payloads = _payloads(session, archived, fetched_at or started_at)
        keyed = payloads.repartition(tasks, "key") if tasks else payloads.repartition("key")
        ordered = keyed.sortWithinPartitions("fetched_at", "position")
        rows = ordered.mapInArrow(work.tidied, _RESULT).collect()
    return _published(to, [_Row(*row) for row in rows], started_at, layouts)


class _Row(NamedTuple):
    """What a task says: of a part, of a line of drift, of its totals, of unread entries, or of what is no payload."""

    what: str
    name: str
    at: int | None
    position: int | None
    data: str


@dataclass(frozen=True)
class _Work:
    """What a task needs, in plain values that travel."""

    url: str
    aliases: Mapping[str, tuple[str, ...]] | None = None
    sources: Mapping[str, str] | None = None
    layout: Given = None

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts to try."""
        return layouts_of(self.layout, sources=self.sources, aliases=self.aliases)

    def tidied(self, batches: Batches) -> Batches:
        """The payloads of one task, in order, into parts at the place; gives what is to be known of them."""
        task = _Task(self, place(self.url))
        for batch in batches:
            for start in range(0, batch.num_rows, CHUNK):
                task.take(batch.slice(start, CHUNK).to_pylist())
        found = task.finish()
        columns = zip(*found, strict=True) if found else [()] * len(_Row._fields)
        types = (pa.string(), pa.string(), pa.int64(), pa.int64(), pa.string())
        arrays = [pa.array(list(column), kind) for column, kind in zip(columns, types, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, names=list(_Row._fields))


class _Task:
    """The payloads of some objects, all of each: what an intake is on one machine."""

    def __init__(self, work: _Work, to: Place) -> None:
        self._work, self._to = work, to
        self._versions = Versions()
        self._bodies: set[str] = set()
        self._refused: set[tuple[object, ...]] = set()
        self._layouts: set[str] = set()
        self._builders: dict[str, PartBuilder] = {}
        self._totals: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._said: list[_Row] = []

    def take(self, payloads: list[dict[str, Any]]) -> None:
        """Tidy a chunk."""
        for lost in (p for p in payloads if p["body"] is None):
            self._said.append(_Row("failed", lost["origin"] or "", None, None, lost["kind"] or "row without a body"))
        payloads = [p for p in payloads if p["body"] is not None]
        received = [_received(p) for p in payloads]
        work = self._work
        versions = self._versions
        done = tidy(
            received,
            version_of=versions.number,
            restart=versions.restart,
            layout=work.layouts,
        )
        versions.settle()
        self._totals.update(outcome.status for outcome in done.outcomes)
        found = dict(done.tables)
        self._unread += unread(found["reports"], found["transactions"])
        first = {o.object_id: p for o, p in reversed(list(zip(done.outcomes, payloads, strict=True)))}
        for line in found.pop("drift").to_pylist():
            noticed = first[line["first_report_id"]]
            at = int(noticed["fetched_at"].timestamp() * 1_000_000)
            self._said.append(_Row("drift", "drift", at, noticed["position"], json.dumps(line)))
        found["raw"] = each_body_once(found["raw"], self._bodies)
        found["quarantine"] = each_refusal_once(found["quarantine"], self._refused)
        used = {sha256 for sha256 in found["reports"]["layout_sha256"].to_pylist() if sha256}
        self._said += [_Row("layout", sha256, None, None, "") for sha256 in sorted(used - self._layouts)]
        self._layouts |= used
        for name, rows in found.items():
            self._add(name, rows)

    def finish(self) -> list[_Row]:
        """Write what is left; parts, drift and totals of the task."""
        for name in list(self._builders):
            self._write(name)
        if self._unread:
            self._said.append(_Row("unread", "", None, None, json.dumps(self._unread)))
        if self._totals:
            self._said.append(_Row("totals", "", None, None, json.dumps(self._totals)))
        return self._said

    def _add(self, name: str, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        if name not in self._builders:
            self._builders[name] = PartBuilder(tables.table(name), COMMIT)
        self._builders[name].add(rows)
        if self._builders[name].size >= LARGE_PART:
            self._write(name)

    def _write(self, name: str) -> None:
        part = _put(self._to, name, self._builders.pop(name))
        self._said.append(_Row("part", name, None, None, json.dumps(part)))


def _received(payload: Mapping[str, Any]) -> Received:
    origin = payload["origin"] or payload["object_id"] or ""
    known = (payload["kind"], payload["api_version"], payload["object_id"])
    return Received(payload["body"], payload["fetched_at"].astimezone(UTC), origin, *known)


def _put(to: Place, name: str, builder: PartBuilder) -> Part:
    part, data = builder.finish()
    to.put(part_name(name, part), data)
    return part


def _payloads(spark: Any, archived: Any, fetched_at: datetime) -> Any:
    """Every payload with the key of its object."""
    if hasattr(archived, "mapInArrow"):
        return _of_frame(archived).mapInArrow(_keyed, _KEYED)
    found = files.find(archived).items()
    named = [(number, str(path.absolute()), origin) for number, (path, origin) in enumerate(found)]
    listed = spark.createDataFrame(named, "number bigint, path string, origin string")
    return listed.mapInArrow(_Reading(fetched_at).payloads, _PAYLOAD).mapInArrow(_keyed, _KEYED)


def _of_frame(frame: Any) -> Any:
    lacking = [name for name in ("body", "fetched_at") if name not in frame.columns]
    if lacking:
        raise InputError(f"the frame of payloads lacks {' and '.join(lacking)}; it needs body and fetched_at")
    given = {name: name if name in frame.columns else f"CAST(NULL AS {kind})" for name, kind in _OPTIONAL.items()}
    given["position"] = "CAST(position AS bigint)" if "position" in frame.columns else "CAST(0 AS bigint)"
    return frame.selectExpr(*(f"{source} AS {name}" for name, source in given.items()), "fetched_at", "body")


@dataclass(frozen=True)
class _Reading:
    """Files to payloads, on the workers."""

    fetched_at: datetime

    def payloads(self, batches: Batches) -> Batches:
        """The payloads of the files of a task; what cannot be read has its reason in the place of its kind."""
        for batch in batches:
            for file in batch.to_pylist():
                found = files.payloads({Path(file["path"]): file["origin"]}, fetched_at=self.fetched_at)
                for number, one in enumerate(found):
                    yield self._row(file["number"] * 2**32 + number, one)

    def _row(self, position: int, one: Received | files.Failed) -> pa.RecordBatch:
        is_lost = isinstance(one, files.Failed)
        kind, body = (one.message, None) if isinstance(one, files.Failed) else (one.kind, one.body)
        row = {"origin": one.origin, "position": position, "kind": kind, "object_id": None, "api_version": None}
        return _batch([row | {"fetched_at": self.fetched_at, "body": None if is_lost else body}])


def _keyed(batches: Batches) -> Batches:
    """Each payload with the id of its object; bytes without one stand for themselves."""
    for batch in batches:
        keys = [
            known or (object_id_in(body) if body else None) or hashlib.sha256(body or b"").hexdigest()
            for known, body in zip(batch["object_id"].to_pylist(), batch["body"].to_pylist(), strict=True)
        ]
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array(keys, pa.string())], names=[*batch.schema.names, "key"]
        )


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    kinds = {"position": pa.int64(), "fetched_at": pa.timestamp("us", "UTC"), "body": pa.binary()}
    return pa.RecordBatch.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0]]))


def _published(to: Place, rows: list[_Row], started_at: datetime, layouts: tuple[Layout, ...] = ()) -> Scaled:
    """The store that these parts make, announced."""
    found: dict[str, list[Part]] = {}
    totals: Counter[str] = Counter()
    poor: Counter[str] = Counter()
    for row in rows:
        if row.what == "part":
            found.setdefault(row.name, []).append(Part(*json.loads(row.data)))
        elif row.what == "totals":
            totals.update(json.loads(row.data))
        elif row.what == "unread":
            poor.update(json.loads(row.data))
    failed = tuple(sorted((row.name, row.data) for row in rows if row.what == "failed"))
    used = sorted({row.name for row in rows if row.what == "layout"})
    read_with = Memory.of((), layouts).new(used)
    run = _run(totals, len(failed), started_at)
    for name, data in (("drift", _drift(rows)), ("layouts", read_with), ("runs", run)):
        if data.num_rows:
            builder = PartBuilder(tables.table(name), COMMIT)
            builder.add(data)
            found.setdefault(name, []).append(_put(to, name, builder))
    live = {name: tuple(sorted(parts, key=lambda part: part.sha256)) for name, parts in sorted(found.items())}
    announce(to, *encode(_manifest(live, started_at)))
    counted = {name: sum(part.rows for part in parts) for name, parts in live.items()}
    numbers = {f"n_{status}": totals[status] for status in ("published", "unchanged", "quarantined")}
    words = unread_words(poor) if poor else ""
    return Scaled(to.url, totals.total(), **numbers, rows=counted, failed=failed, unread=words)


def _drift(rows: list[_Row]) -> pa.Table:
    """All lines of drift as those of one run: counts added, the first report of the archive kept."""
    lines = [row for row in rows if row.what == "drift"]
    lines.sort(key=lambda row: (row.at, row.position))
    schema = tables.DRIFT.arrow_schema
    return drift.merge([pa.Table.from_pylist([json.loads(row.data) for row in lines], schema=schema)], COMMIT)


def _run(totals: Mapping[str, int], n_failed: int, started_at: datetime) -> pa.Table:
    n_payloads = sum(totals.values())
    counts = {f"n_{status}": totals.get(status, 0) for status in ("published", "unchanged", "quarantined")}
    listed = {"n_listed": n_payloads + n_failed, "n_fetched": n_payloads, "n_withdrawn": 0}
    return run_row("scale", started_at, COMMIT, counts | listed)


def _manifest(live: Mapping[str, tuple[Part, ...]], created_at: datetime) -> Manifest:
    return Manifest(
        number=COMMIT,
        created_at=created_at,
        parts=live,
        cursor={},
        code_version=version("xray-analytics"),
        schema_version=tables.SCHEMA_VERSION,
        root=COMMIT,
        parent=None,
        digest="",
    )


@contextmanager
def _small_batches(spark: Any) -> Iterator[None]:
    """Bodies are large: few of them in one Arrow batch, for as long as this runs."""
    before = spark.conf.get(_BATCH)
    spark.conf.set(_BATCH, str(CHUNK))
    try:
        yield
    finally:
        spark.conf.set(_BATCH, before)


@contextmanager
def _one_failure(to: Place) -> Iterator[None]:
    """What Spark raises, as one sentence; what it says could quote a payload and is not repeated."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("pyspark", "py4j"):
            raise
        raise StoreError(
            f"a task of Spark failed ({type(error).__name__}), so nothing was published at {to.url}; Spark's own log "
            "names the task"
        ) from None
