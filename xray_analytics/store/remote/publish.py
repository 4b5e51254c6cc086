"""Publishing: one commit of the store copied to a place that others read, whole or not at all.

::

    <url>/  current.json                               names the manifest that counts; the only file ever replaced
            commits/<number>-<digest>.json             manifests as published
            parts/<table>/<commit>-<digest>.parquet    the store's own parts, under the same names

Parts go first, then the manifest, then `current.json`: a reader sees the commit before or the new one, and what was cut
short is finished by the next publication. Files are named by their content, so nothing is copied twice.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from ... import tables
from ...console import Progress
from ...errors import StoreError
from .. import parts
from ..manifests import Manifest, decode, encode
from ..parts import Part
from .filesystem import Place

CURRENT = "current.json"
AS_RECEIVED = (tables.RAW.name, tables.QUARANTINE.name)  # hold the bytes of the service, which readers rarely need
CURSOR = ("withdrawn",)  # of the cursor, what a snapshot asks
FORMAT = 1
ABANDONED_SECONDS = 3600  # a copy that is not complete after that is of a process that ended
IN_FLIGHT = 8  # copies at once
SETTLING = (0.0, 0.05, 0.1, 0.2, 0.4)  # seconds before each look at a place where something is wrong
_COMMIT = re.compile(r"[^/]*/(?:[^/]*/)?(\d{12})-")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Publication:
    """What publishing did: the commit that readers now see, and what was copied and removed for it."""

    url: str
    commit: int
    n_files: int
    n_copied: int
    n_bytes_copied: int
    n_removed: int


def publish(  # noqa: PLR0913
    root: Path, head: Manifest, to: Place, *, raw: bool = False, prune: bool = False, progress: Progress | None = None
) -> Publication:
    """Copy what is missing there, and make it what readers see.

    Parameters
    ----------
    root, head
        The store's folder, and the commit to publish with all of its history.
    to
        Where to; one store a place.
    raw
        Publish the bytes as received too (``raw`` and ``quarantine``).
    prune
        Remove files of earlier publications. Those from before an erasure (`xray forget`) go in any case.
    progress
        Called with a stage, how many files are done, and how many there are.

    Raises
    ------
    StoreError
        A part is damaged, the place cannot be written, or it holds a later commit: readers see what they saw before.
    """
    published, encoded = encode(_shown(head, raw))
    _refuse_older(published, to)
    live = [(name, part) for name, found in published.parts.items() for part in found]
    there = to.sizes("parts")
    missing = [(name, part) for name, part in live if there.get(part_name(name, part)) != part.bytes]
    copied = in_parallel(partial(_copy, root, to), missing, "publish", progress)
    to.set_rights("parts", "commits")
    announce(to, published, encoded)
    removed = _sweep(to, published, prune)
    return Publication(to.url, published.number, len(live), len(missing), sum(copied), removed)


def announce(to: Place, manifest: Manifest, encoded: bytes) -> None:
    """Make a manifest, whose parts are all there, the one that readers see."""
    to.put(_manifest_name(manifest), encoded)
    pointer = {"format": FORMAT, "number": manifest.number, "digest": manifest.digest}
    to.put(CURRENT, json.dumps(pointer).encode())


def current(at: Place) -> Manifest | None:
    """The manifest that counts there; None where nothing was published yet.

    Raises
    ------
    StoreError
        It cannot be read, is damaged, or is newer than this package.
    """
    problem = None
    for pause in SETTLING:
        time.sleep(pause)
        seen = at.get(CURRENT)
        if seen is None:
            return None
        try:
            return _named_by(at, seen)
        except StoreError as error:
            problem = error  # perhaps it was being replaced, or published anew between two calls
    assert problem is not None  # noqa: S101 - for the type checker
    raise problem


def _named_by(at: Place, pointer: bytes) -> Manifest:
    number, digest = _pointed_at(at, pointer)
    name = f"commits/{number:012d}-{digest[:16]}.json"
    data = at.get(name)
    if data is None:
        raise StoreError(f"{at.url}/{name} is missing; publish the store again")
    manifest = decode(data, Path(name))
    if manifest.digest != digest:
        raise StoreError(f"{at.url}/{name} is not the manifest that {CURRENT} names; publish the store again")
    return manifest


def part_name(table: str, part: Part) -> str:
    """Where a part stands in a place."""
    return f"parts/{table}/{part.name}"


def in_parallel(
    work: Callable[[tuple[str, Part]], _T], found: Iterable[tuple[str, Part]], stage: str, progress: Progress | None
) -> list[_T]:
    """Work on several parts at once; the first failure ends it, and what was not begun is left."""
    todo = list(found)
    done: list[_T] = []
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        futures = [pool.submit(work, one) for one in todo]
        try:
            for future in futures:
                done.append(future.result())
                if progress:
                    progress(stage, len(done), len(todo))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _shown(head: Manifest, raw: bool) -> Manifest:
    """The head as readers get it: without what they do not need, and the same whenever it is published."""
    chosen = {name: found for name, found in head.parts.items() if raw or name not in AS_RECEIVED}
    cursor: dict[str, Any] = {name: head.cursor[name] for name in CURSOR if name in head.cursor}
    return replace(head, parts=chosen, cursor=cursor, key_sha256=None)


def _refuse_older(ours: Manifest, to: Place) -> None:
    theirs = current(to)
    if theirs is not None and theirs.number > ours.number:
        raise StoreError(
            f"{to.url} holds commit {theirs.number}, and this store is at {ours.number}: it is another store's place, "
            "or this is an old copy; publish to another prefix"
        )


def _copy(root: Path, to: Place, one: tuple[str, Part]) -> int:
    """Copy a part whose SHA-256 was checked; gives its size [bytes]."""
    table, part = one
    path = root / "parts" / table / part.name
    parts.columns(path, part)
    with pa.memory_map(str(path)) as file:
        to.put(part_name(table, part), file.read_buffer())
    return part.bytes


def _sweep(to: Place, manifest: Manifest, prune: bool) -> int:
    """Remove what this manifest does not name: all of it, or only what is from before an erasure or was cut short."""
    doomed = _unnamed(to, manifest) if prune else unwanted(to, manifest)
    for name in doomed:
        to.remove(name)
    return len(doomed)


def unwanted(at: Place, manifest: Manifest) -> list[str]:
    """Files that nobody may still need: from before an erasure, or cut short when a process ended."""
    before = {name for name in _unnamed(at, manifest) if _commit_of(name) < manifest.root}
    return sorted(before | set(at.left_over(ABANDONED_SECONDS)))


def _unnamed(at: Place, manifest: Manifest) -> list[str]:
    named = {part_name(name, part) for name, found in manifest.parts.items() for part in found}
    named.add(_manifest_name(manifest))
    return [name for folder in ("parts", "commits") for name in at.sizes(folder) if name not in named]


def _commit_of(name: str) -> int:
    """The commit in the name of a file; of a file that is not ours, one that is never removed by itself."""
    found = _COMMIT.match(name)
    return int(found[1]) if found else 10**12


def _manifest_name(manifest: Manifest) -> str:
    return f"commits/{manifest.number:012d}-{manifest.digest[:16]}.json"


def _pointed_at(at: Place, data: bytes) -> tuple[int, str]:
    try:
        pointer = json.loads(data)
        if pointer["format"] <= FORMAT:
            return int(pointer["number"]), str(pointer["digest"])
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{at.url}/{CURRENT} is damaged; publish the store again") from None
    raise StoreError(
        f"{at.url}/{CURRENT} has format {pointer['format']}, this package reads up to {FORMAT}: upgrade it"
    )
