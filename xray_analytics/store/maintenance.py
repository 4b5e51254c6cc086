"""Integrity: is everything published still there and whole, do two stores hold the same? Compaction, and collection."""

# ruff: noqa: S608 - every name in this SQL comes from `tables`

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from .. import engine, files, tables
from ..errors import StoreError
from ..schema import Column, Table
from . import documents, erasure, parts
from .commits import Writer, writing
from .manifests import Manifest, published, read_head, read_manifest, refuse_lost_commits
from .parts import Part
from .snapshot import stored

# Columns that say when this store, not the service, learnt something.
CLOCKS = frozenset({"fetched_at", "available_at", "is_backfilled", "recorded_at"})
# Columns that depend on how a sync was cut into commits.
_BATCH = {"drift": frozenset({"commit", "first_report_id"})}


_BACKUP = "restore it from a backup"
_DROP = f"{_BACKUP}, or run `xray rebuild --drop-damaged`"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was published, and what helps."""

    file: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.remedy}"


def remedy(table_name: str) -> str:
    """What helps against damage in a table: tidy tables follow from the bytes kept, the others from nothing."""
    table = tables.TABLES.get(table_name)
    if table is None or table in tables.DERIVED_TABLES:
        return "run `xray rebuild`"
    again = "`xray attach` the file again" if table in tables.LENDER_TABLES else "`xray sync`"
    return f"{_DROP} and then {again}" if table is not tables.RUNS else _DROP


def verify(root: Path, connection: engine.Connection) -> list[Finding]:
    """Everything in the store that is damaged or missing; empty where all is well.

    Reads every byte anew: manifests and their chain, the digest, rows and control sums of each part, the SHA-256 of
    each stored body and document, and the keys of every table.
    """
    try:
        head = read_head(root)
        refuse_lost_commits(root)
    except StoreError as error:
        problem, _, mends = str(error).partition("; ")
        return [Finding("commits", problem, mends or _BACKUP)]
    if head is None:
        return []
    damaged = list(bad_parts(root, head))
    found = [*_bad_manifests(root, head), *_bad_documents(root, head), *(finding for _, _, finding in damaged)]
    if damaged:
        return [*found, *_lost_objects(root, head, damaged, connection)]
    return [*found, *_bad_bodies(root, head), *_repeated_keys(root, head, connection)]


def _problem(error: Exception) -> str:
    """What an error says is wrong, without the remedy it names as well."""
    return str(error).partition("; ")[0]


def _bad_manifests(root: Path, head: Manifest) -> Iterator[Finding]:
    if erasure.is_unfinished(root, head):
        yield Finding("commits", "an erasure was not finished", "run `xray compact`: any command that writes goes on")
    if head.schema_version != tables.SCHEMA_VERSION:
        yield Finding("parts", f"schema {head.schema_version} is not {tables.SCHEMA_VERSION}", "run `xray rebuild`")
    parent = None
    for number in published(root):
        name = f"{number:012d}.json"
        try:
            manifest = read_manifest(root, number)
        except StoreError as error:
            parent = None
            yield Finding(
                f"commits/{name}", _problem(error), f"only history: {_BACKUP} or wait, it goes with later commits"
            )
            continue
        follows = (manifest.parent, manifest.number) == (parent.digest, parent.number + 1) if parent else True
        if not follows and manifest.root != number:
            yield Finding(f"commits/{name}", f"does not follow the commit before {number}", _BACKUP)
        parent = manifest


def _bad_documents(root: Path, head: Manifest) -> Iterator[Finding]:
    for report_id in documents.digests(head):
        try:
            documents.read(root, head, report_id)
        except StoreError as error:
            yield Finding("documents", str(error), "nothing else is affected")


def bad_parts(root: Path, head: Manifest) -> Iterator[tuple[str, Part, Finding]]:
    """Table, part and finding of each live part that is damaged or missing."""
    for name, live in head.parts.items():
        for part in live:
            file = f"parts/{name}/{part.name}"
            try:
                parts.read_back(root / file, part)
            except FileNotFoundError:
                yield name, part, Finding(file, "is missing", remedy(name))
            except (StoreError, OSError) as error:
                yield name, part, Finding(file, _problem(error).removeprefix(f"part {root / file} "), remedy(name))


def drop_damaged(root: Path, writer: Writer) -> tuple[str, ...]:
    """Leave damaged parts of tables that follow from nothing out of the commit to come; gives their names."""
    dropped = []
    for name, part, finding in bad_parts(root, writer.head) if writer.head else ():
        if tables.TABLES.get(name) not in (None, *tables.DERIVED_TABLES):
            writer.omit([part])
            dropped.append(finding.file)
    return tuple(dropped)


def _lost_objects(
    root: Path, head: Manifest, damaged: list[tuple[str, Part, Finding]], connection: engine.Connection
) -> Iterator[Finding]:
    """The objects whose bytes were in a damaged part, as far as whole tables still name them."""
    bad = {part.sha256 for _, part, _ in damaged}
    if not any(name == "raw" for name, _, _ in damaged):
        return
    whole = replace(head, parts={n: tuple(p for p in live if p.sha256 not in bad) for n, live in head.parts.items()})
    for kind, name in (("report", "reports"), ("request", "requests")):
        kept = stored(root, whole, "raw")
        query = (
            f"SELECT DISTINCT {kind}_id FROM {stored(root, whole, name)} AS t ANTI JOIN {kept} AS r "
            f"ON r.kind = '{kind}' AND r.object_id = t.{kind}_id AND r.object_version = t.{kind}_version ORDER BY ALL"
        )
        with engine.asking("raw"):
            lost = [row[0] for row in connection.cursor().sql(query).fetchall()]
        if lost:
            yield Finding("raw", f"the bytes of these {name} are lost: {', '.join(lost)}", remedy("raw"))


def _bad_bodies(root: Path, head: Manifest) -> Iterator[Finding]:
    for part in head.parts.get("raw", ()):
        with pq.ParquetFile(root / "parts" / "raw" / part.name) as file:
            for batch in file.iter_batches(batch_size=64, columns=["raw_sha256", "body"]):
                for sha256, body in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if body is not None and hashlib.sha256(body).hexdigest() != sha256:
                        problem = f"a body is not that of its SHA-256 {sha256[:12]}"
                        yield Finding(f"parts/raw/{part.name}", problem, _BACKUP)


def _repeated_keys(root: Path, head: Manifest, connection: engine.Connection) -> Iterator[Finding]:
    for name in head.parts.keys() & tables.TABLES.keys():
        key = ", ".join(tables.table(name).key)
        grouped = f"SELECT {key} FROM {stored(root, head, name)} AS t GROUP BY {key} HAVING count(*) > 1"
        with engine.asking(name):
            repeated = connection.cursor().sql(f"SELECT count(*) FROM ({grouped}) AS r").fetchall()[0][0]
        if repeated:
            yield Finding(f"parts/{name}", f"{repeated} keys occur more than once", remedy(name))


def compact(root: Path, max_parts: int) -> Manifest | None:
    """Merge the small parts of every table with more than `max_parts`, as an ordinary commit; None where none has."""
    with writing(root) as writer:
        names = crowded(writer.head, max_parts)
        for name in names:
            writer.compact(name)
        return writer.commit() if names else None


def crowded(head: Manifest | None, max_parts: int) -> dict[str, int]:
    """Tables with more than `max_parts` parts, and how many they have."""
    return {name: len(live) for name, live in (head.parts if head else {}).items() if len(live) > max_parts}


def gc(root: Path, grace: timedelta, *, dry_run: bool = False) -> list[str]:
    """Remove the parts that no kept manifest names and that are older than `grace`; gives their names.

    Raises
    ------
    StoreError
        A manifest cannot be read: what it names is then unknown, and nothing is removed.
    """
    oldest = time.time() - grace.total_seconds()
    with writing(root), files.changing(root):
        kept = [read_manifest(root, number) for number in published(root)]
        named = {f"{name}/{part.name}" for found in kept for name, live in found.parts.items() for part in live}
        every = [path for path in sorted((root / "parts").glob("*/*.parquet")) if path.stat().st_mtime < oldest]
        unnamed = [path for path in every if f"{path.parent.name}/{path.name}" not in named]
        for path in () if dry_run else unnamed:
            files.remove(path)
    return [f"{path.parent.name}/{path.name}" for path in unnamed]


def content_digest(root: Path, head: Manifest | None, connection: engine.Connection, *, clocks: bool = False) -> str:
    """SHA-256 of what the store says, whatever the order of its rows, the cut of its parts and the number of commits.

    Covers every version in every table except ``runs``; `clocks` includes when things were learnt. Of ``raw`` the
    digests count and not the bodies; ``drift`` counts with its reports added up over the commits.
    """
    lines = []
    for name in sorted(head.parts if head else ()):
        if head is not None and name != "runs":
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
