"""Manifest: a numbered JSON file per commit that names every live part of every table; the highest is the store."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import files, tables
from ..errors import StoreError
from .parts import Part

FORMAT = 1
DOCUMENTS = "documents"  # in the cursor: report id -> SHA-256
_HEAD = re.compile(rb'\{"digest":"([0-9a-f]{64})",')


@dataclass(frozen=True)
class Manifest:
    """One commit: what the store holds, and where its sync had got to.

    ``root`` is the commit that history starts from: 1, or the last that erased a company. ``key_sha256`` is the digest
    of the key of its tombstones; None where there was none, or where a package before 0.2.0 wrote the manifest.
    """

    number: int
    created_at: datetime
    parts: Mapping[str, tuple[Part, ...]]
    cursor: Mapping[str, Any]
    code_version: str
    schema_version: int
    root: int
    parent: str | None
    digest: str
    format: int = FORMAT
    key_sha256: str | None = None

    def rows(self, table: str) -> int:
        """Stored rows of a table, all versions together."""
        return sum(part.rows for part in self.parts.get(table, ()))

    def documents(self) -> dict[str, str]:
        """The SHA-256 of the document of each report that has one."""
        return dict(self.cursor.get(DOCUMENTS, {}))


def encode(manifest: Manifest) -> tuple[Manifest, bytes]:
    """The manifest with its digest filled in, and the bytes of its file.

    The digest comes first and covers every byte after itself, so that checking it needs no second encoding.
    """
    body = {
        "format": manifest.format,
        "number": manifest.number,
        "created_at": manifest.created_at.isoformat(),
        "code_version": manifest.code_version,
        "schema_version": manifest.schema_version,
        "root": manifest.root,
        "parent": manifest.parent,
        "key_sha256": manifest.key_sha256,
        "cursor": manifest.cursor,
        "parts": manifest.parts,
    }
    rest = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()[1:]
    digest = hashlib.sha256(rest).hexdigest()
    return replace(manifest, digest=digest), b'{"digest":"%s",%s' % (digest.encode(), rest)


def decode(data: bytes, where: Path) -> Manifest:
    """The manifest of these bytes.

    Raises
    ------
    StoreError
        The bytes are damaged, or were written by a newer package.
    """
    head = _HEAD.match(data)
    if head is None or hashlib.sha256(data[head.end() :]).hexdigest() != head[1].decode():
        raise StoreError(f"manifest {where} is damaged; restore it from a backup, or sync or import into a new store")
    body = json.loads(data)
    if body["format"] > FORMAT:
        raise StoreError(f"manifest {where} has format {body['format']}, this package reads up to {FORMAT}: upgrade it")
    if f"{body['number']:012d}" != where.name[:12]:
        raise StoreError(f"manifest {where} says it is commit {body['number']}; restore it from a backup")
    try:
        return _decoded(body, body["digest"])
    except KeyError as missing:
        raise StoreError(
            f"manifest {where} lacks {missing.args[0]!r}: another version of this package wrote it; use that version, "
            "or import the reports into a new store"
        ) from None


def _decoded(body: Mapping[str, Any], digest: str) -> Manifest:
    return Manifest(
        number=body["number"],
        created_at=datetime.fromisoformat(body["created_at"]),
        parts={table: tuple(Part(*values) for values in found) for table, found in body["parts"].items()},
        cursor=body["cursor"],
        code_version=body["code_version"],
        schema_version=body["schema_version"],
        root=body["root"],
        parent=body["parent"],
        digest=digest,
        format=body["format"],
        key_sha256=body.get("key_sha256"),
    )


def published(root: Path) -> list[int]:
    """The numbers of the manifests that are kept, ascending."""
    try:
        names = os.listdir(root / "commits")
    except FileNotFoundError:
        names = []
    except OSError as error:
        remedy = "check its owner and mode" if root.is_dir() else "--store names another folder"
        raise StoreError(f"store {root} cannot be read ({error.strerror}); {remedy}") from None
    return sorted(int(name[:12]) for name in names if re.fullmatch(r"\d{12}\.json", name))


def read_manifest(root: Path, number: int) -> Manifest:
    """The manifest of that number; `FileNotFoundError` where it is not kept."""
    path = root / "commits" / f"{number:012d}.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"manifest {path} cannot be read ({error.strerror}); check its owner and mode") from None
    return decode(data, path)


def read_kept(root: Path, head: Manifest, number: int) -> Manifest:
    """An older manifest that the newest still vouches for; `FileNotFoundError` where it is not kept.

    Raises
    ------
    StoreError
        It is from before an erasure, so that it names what was erased: a copy that somebody put back.
    """
    if number < head.root and (root / "commits" / f"{number:012d}.json").exists():
        raise StoreError(
            f"store {root}: commit {number} is from before a company was forgotten, and is not read any more; any "
            "command that writes, such as `xray compact`, removes it"
        )
    return read_manifest(root, number)


def vouched_for(root: Path, head: Manifest) -> Iterator[Manifest]:
    """The manifests since the last erasure that can be read, the newest first."""
    for number in reversed(published(root)):
        with suppress(StoreError, FileNotFoundError):
            if number >= head.root:
                yield read_manifest(root, number)


def read_head(root: Path) -> Manifest | None:
    """The newest manifest; None for a store that has none yet.

    Raises
    ------
    StoreError
        It is damaged or newer than this package, or manifests are missing. No older one ever takes its place.
    """
    at_least = files.recorded(root / "lock")  # first: what is committed after this is not missing from the list
    while numbers := published(root):
        with suppress(FileNotFoundError):  # removed between listing and reading: then there are 20 newer ones
            head = read_manifest(root, numbers[-1])
            _refuse_lost(root, head.number, at_least)
            return head
    refuse_lost_commits(root)
    return read_head(root) if published(root) else None


def refuse_lost_commits(root: Path) -> None:
    """A part two numbers after the head can only come from a commit whose manifest was removed since.

    The part after the head's may be what a killed writer left; `files.recorded` tells the two apart where it can.
    """
    newest = max((int(path.name[:12]) for path in root.glob("parts/*/*.parquet")), default=0)
    at_least = max(newest - 1, files.recorded(root / "lock"))
    _refuse_lost(root, max(published(root), default=0), at_least)  # listed last: what comes meanwhile is not missing


def _refuse_lost(root: Path, head: int, at_least: int) -> None:
    if at_least > head:
        raise StoreError(
            f"store {root}: the manifests of commits up to {at_least} are missing; restore its folder commits "
            "from a backup"
        )


def refuse_other_schema(root: Path, manifest: Manifest) -> None:
    """Tables of another schema are not those that this package describes.

    Raises
    ------
    StoreError
        An older package wrote them, and `xray rebuild` makes them anew; or a newer one did.
    """
    found, ours = manifest.schema_version, tables.SCHEMA_VERSION
    if found < ours:
        raise StoreError(
            f"store {root}: its tables have schema {found}, this package's have {ours}; run `xray rebuild`, which "
            "makes them anew from the bytes kept"
        )
    refuse_newer_schema(root, manifest)


def refuse_newer_schema(root: Path, manifest: Manifest) -> None:
    """Tables that a newer package wrote may hold what this one would lose: `StoreError`."""
    found, ours = manifest.schema_version, tables.SCHEMA_VERSION
    if found > ours:
        raise StoreError(f"store {root}: its tables have schema {found}, this package knows up to {ours}: upgrade it")
