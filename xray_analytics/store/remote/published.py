"""Reading what was published: snapshots of a store that stands in a bucket, through a private copy of what is asked.

A question copies the parts of the tables it reads, several at a time, and keeps them; each is checked against its
SHA-256 before it is kept. What the published store no longer names is removed from the copy when it is next opened.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from contextlib import suppress
from datetime import date, datetime
from functools import cached_property, partial
from pathlib import Path

import platformdirs
from pyarrow import fs

from ... import engine, files
from ...errors import InputError, StoreError
from ...grammar import addresses
from .. import manifests
from ..manifests import Manifest
from ..parts import Part
from ..snapshot import Snapshot
from ..verification import Finding
from ..visibility import Clock, moment
from .filesystem import Place, place
from .publish import ABANDONED_SECONDS, CURRENT, current, in_parallel, part_name, unwanted

_AGAIN = "remove it and publish the store again"


class PublishedStore:
    """A store that `Store.publish` copied to a bucket or a shared folder; read only.

    Parameters
    ----------
    url
        ``s3://bucket/prefix``, ``gs://…``, ``hdfs://…``, ``abfs://…`` or a path. Keys come from the environment or the
        machine's role, never from the URL.
    cache
        Folder for the copies; default one for this URL in the user's cache. It holds what the tables hold, and is
        private to its owner.
    filesystem
        A pyarrow file system; `url` is then the path inside it.

    Raises
    ------
    InputError
        The URL holds a password, or is of no file system that pyarrow knows.

    Examples
    --------
    >>> PublishedStore("data/nowhere")
    <PublishedStore data/nowhere>
    >>> PublishedStore("data/nowhere").snapshot()
    Traceback (most recent call last):
    xray_analytics.errors.StoreError: nothing is published at data/nowhere; `xray publish data/nowhere` does it
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        cache: str | os.PathLike[str] | None = None,
        filesystem: fs.FileSystem | None = None,
    ) -> None:
        self._place = place(url, filesystem)
        self.url = self._place.url
        self._cache = Path(os.path.abspath(cache)) if cache is not None else _default_cache(self.url)

    @property
    def head(self) -> Manifest | None:
        """The commit published; None where there is none.

        Raises
        ------
        StoreError
            It cannot be read, or is damaged.
        """
        return current(self._place)

    def snapshot(self, as_of: date | datetime | str | None = None, *, clock: Clock = "available") -> Snapshot:
        """The published store as it was known at a point in time; as `Store.snapshot`.

        A later publication does not change what it sees; where its files were pruned meanwhile, it says so.

        Raises
        ------
        InputError
            `as_of` or `clock` cannot be understood.
        StoreError
            Nothing is published there, or it cannot be read.
        """
        if clock not in ("available", "fetched"):
            raise InputError(f"no clock {clock!r}; there are available and fetched")
        seen, head = moment(as_of), self.head
        if head is None:
            raise StoreError(f"nothing is published at {self.url}; `xray publish {self.url}` does it")
        manifests.refuse_other_schema(Path(self.url), head)
        with files.changing(self._cache):
            files.make_tree(self._cache, ("parts", "staging"))
            _sweep(self._cache, head)
        bring = partial(_bring, self._place, self._cache, head)
        return Snapshot(self._cache, head, self._connect, seen, clock, bring=bring, spark_url=self._spark_url)

    def verify(self) -> list[Finding]:
        """Everything published that is damaged or missing, and what should not be there; reads every byte.

        Raises
        ------
        StoreError
            The place cannot be read.
        """
        try:
            head = self.head
        except StoreError as error:
            problem, _, _ = str(error).partition("; ")
            return [Finding(CURRENT, problem, "publish the store again")]
        if head is None:
            return []
        live = [(table, part) for table, found in head.parts.items() for part in found]
        damaged = [one for one in in_parallel(partial(_checked, self._place), live, "verify", None) if one]
        left = "is from before an erasure, or was never completed"
        strays = [
            Finding(name, left, "publish the store again, which removes it") for name in unwanted(self._place, head)
        ]
        return [*damaged, *strays]

    def __repr__(self) -> str:
        return f"<PublishedStore {self.url}>"

    @cached_property
    def _connection(self) -> engine.Connection:
        return engine.connect_duckdb(directory=self._cache)

    def _connect(self) -> engine.Connection:
        return self._connection

    def _spark_url(self, table: str, part: Part) -> str:
        return self._place.spark_url(part_name(table, part))


def _checked(source: Place, one: tuple[str, Part]) -> Finding | None:
    """What is wrong with a published part, if anything."""
    table, part = one
    name = part_name(table, part)
    data = source.get(name)
    if data is None:
        return Finding(name, "is missing", "publish the store again")
    return None if hashlib.sha256(data).hexdigest() == part.sha256 else Finding(name, "is damaged", _AGAIN)


def _default_cache(url: str) -> Path:
    name = hashlib.sha256((url if addresses.is_meant_as_url(url) else os.path.abspath(url)).encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("xray_analytics")) / "published" / name


def _bring(source: Place, cache: Path, manifest: Manifest, table: str) -> None:
    """Copy the parts of a table that are not in the cache yet."""
    live = [(table, part) for part in manifest.parts.get(table, ()) if part.rows]
    missing = [one for one in live if not (cache / "parts" / table / one[1].name).is_file()]
    if missing:
        with files.changing(cache):
            files.make_directory(cache / "parts" / table)
        in_parallel(partial(_fetch, source, cache), missing, "fetch", None)


def _fetch(source: Place, cache: Path, one: tuple[str, Part]) -> None:
    table, part = one
    name = part_name(table, part)
    data = source.get(name)
    if data is None:
        raise StoreError(
            f"{source.url}/{name} is missing; if the store was published anew meanwhile open it again, else publish it "
            "again"
        )
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise StoreError(f"{source.url}/{name} is damaged: remove that file and publish the store again")
    staged = cache / "staging" / uuid.uuid4().hex
    with files.changing(cache, len(data)):
        files.create(staged, data)
        files.move(staged, cache / "parts" / table / part.name)


def _sweep(cache: Path, head: Manifest) -> None:
    """Remove copies of what the published store no longer names: a company it has forgotten is forgotten here."""
    named = {part_name(name, part) for name, found in head.parts.items() for part in found}
    doomed = [path for path in cache.glob("parts/*/*") if path.relative_to(cache).as_posix() not in named]
    doomed += [path for path in cache.glob("staging/*") if time.time() - path.stat().st_mtime > ABANDONED_SECONDS]
    for path in doomed:
        with suppress(FileNotFoundError):  # another reader of the same cache was quicker
            files.remove(path)
