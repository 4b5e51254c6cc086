"""Verification: is everything that was published still there and whole, and does nothing else stand in the store?"""

# ruff: noqa: S608 - every name in this SQL comes from `tables`

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from .. import engine, files, tables
from ..errors import StoreError
from . import documents, erasure, parts, tombstones
from .manifests import Manifest, published, read_head, read_manifest, refuse_lost_commits, vouched_for
from .parts import Part
from .snapshot import stored
from .strays import strays

_SAY_WHOSE = {t.name for t in (tables.REQUESTS, tables.REPORTS, tables.MEDIA, *tables.LENDER_TABLES)}
_SHA256 = 64  # hexadecimal digits; what was put into quarantine by hand may be named otherwise
_BACKUP = "restore it from a backup"
_WRITE = "any command that writes, such as `xray compact`"
_ONLY_HISTORY = f"only history: {_BACKUP} or wait, it goes with later commits"
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
    each stored body and document, the keys of every table, the key of the tombstones and the lock; and names every
    file that is not of the store. The journal is no part of it: see `Journal.fault`.
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
    found = [
        *_bad_lock(root),
        *_bad_manifests(root, head),
        *_bad_key(root, head),
        *_bad_documents(root, head),
        *_strays(root, head),
        *(finding for _, _, finding in damaged),
    ]
    if damaged:
        return [*found, *_lost_objects(root, head, damaged, connection)]
    bodies = [finding for name in ("raw", "quarantine") for finding in _bad_bodies(root, head, name)]
    return [*found, *bodies, *_repeated_keys(root, head, connection), *_returned(root, head, connection)]


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
            yield Finding(f"commits/{name}", _problem(error), _ONLY_HISTORY)
            continue
        follows = (manifest.parent, manifest.number) == (parent.digest, parent.number + 1) if parent else True
        if not follows and manifest.root != number:
            yield Finding(f"commits/{name}", f"does not follow the commit before {number}", _BACKUP)
        parent = manifest


def _bad_lock(root: Path) -> Iterator[Finding]:
    with suppress(OSError):
        if not files.is_lock((root / "lock").read_bytes()):
            yield Finding("lock", "is damaged", f"nothing else is affected: {_WRITE}, writes it anew")


def _bad_key(root: Path, head: Manifest) -> Iterator[Finding]:
    problem = _fault(root, head)
    if problem:
        yield Finding(tombstones.KEY_FILE, f"{problem}, so that who was forgotten could come back", _BACKUP)
    elif tombstones.CURSOR_NAME in head.cursor and head.key_sha256 is None:
        lacks = "its digest is not recorded, so that damage to it would not be noticed"
        yield Finding(tombstones.KEY_FILE, lacks, "run `xray compact`, whose commit records it")


def _strays(root: Path, head: Manifest) -> Iterator[Finding]:
    for stray in strays(root, head, list(vouched_for(root, head))):
        if stray.is_due:
            helps = "run `xray compact`, which removes it" if stray.is_ours else "move it out of the store's folder"
            yield Finding(stray.name, stray.problem, helps)


def _returned(root: Path, head: Manifest, connection: engine.Connection) -> Iterator[Finding]:
    """Rows of companies that were forgotten: what a package before 0.2.0 let in again."""
    if _fault(root, head) or tombstones.CURSOR_NAME not in head.cursor:
        return
    gone = tombstones.read(root, head.cursor, head.key_sha256)
    for name in sorted(head.parts.keys() & _SAY_WHOSE):
        for column in sorted({*tombstones.OWNERS, tombstones.GROUP} & set(tables.table(name).names)):
            query = f"SELECT DISTINCT {column} FROM {stored(root, head, name)} AS t WHERE {column} IS NOT NULL"
            with engine.asking(name):
                back = sum(row[0] in gone for row in connection.cursor().sql(query).fetchall())
            if back:
                problem = f"{back} ids in {column} are those of companies that were forgotten"
                yield Finding(f"parts/{name}", problem, "run `xray forget --company` again with their codes")


def _fault(root: Path, head: Manifest) -> str | None:
    return tombstones.fault(root, frozenset(head.cursor.get(tombstones.CURSOR_NAME, ())), head.key_sha256)


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


def _bad_bodies(root: Path, head: Manifest, name: str) -> Iterator[Finding]:
    for part in head.parts.get(name, ()):
        with pq.ParquetFile(root / "parts" / name / part.name) as file:
            for batch in file.iter_batches(batch_size=64, columns=["raw_sha256", "body"]):
                for sha256, body in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if body is not None and len(sha256) == _SHA256 and hashlib.sha256(body).hexdigest() != sha256:
                        problem = f"a body is not that of its SHA-256 {sha256[:12]}"
                        yield Finding(f"parts/{name}/{part.name}", problem, _BACKUP)


def _repeated_keys(root: Path, head: Manifest, connection: engine.Connection) -> Iterator[Finding]:
    for name in head.parts.keys() & tables.TABLES.keys():
        key = ", ".join(tables.table(name).key)
        grouped = f"SELECT {key} FROM {stored(root, head, name)} AS t GROUP BY {key} HAVING count(*) > 1"
        with engine.asking(name):
            repeated = connection.cursor().sql(f"SELECT count(*) FROM ({grouped}) AS r").fetchall()[0][0]
        if repeated:
            yield Finding(f"parts/{name}", f"{repeated} keys occur more than once", remedy(name))
