"""What is new, unchanged or repeated, and which number does a version get? The one answer for run, rebuild and cluster.

A payload whose content is that of its object's newest version is *unchanged*; any other is the next version. Two rules
more, for those who need them:

* Files do not say when. A folder that holds A, B and A again brings three versions once. When it is imported a second
  time, or after a crash half-way, the same walk through A and B is history *repeated* and no change. A run that stops
  in the middle of it, with A as its last word about an object whose newest version is B, goes back to A: a change.
* What was in quarantine has a place in time. It is the next version, unless something as new was published meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import pyarrow as pa

from ..store import Store, Version
from ..tidy.batch import Received

KINDS = ("request", "report")
_Object = tuple[str, str | None]  # its kind and id
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Versions:
    """The newest version of each object, and how far the payloads so far have walked through the history before.

    Examples
    --------
    >>> versions = Versions()
    >>> [versions.number("report", "7b", content) for content in ("c0ffee", "c0ffee", "decaf", "c0ffee")]
    [1, None, 2, 3]
    """

    def __init__(
        self,
        newest: Mapping[str, dict[str, Version]] | None = None,
        histories: Mapping[_Object, list[str]] | None = None,
    ) -> None:
        self._newest = {kind: dict(newest[kind]) if newest else {} for kind in KINDS}
        self._bytes = {version.raw_sha256 for by_id in self._newest.values() for version in by_id.values()}
        self._fetched_at: dict[_Object, datetime] = {}
        self._histories = histories or {}
        # Positions in the history that the next payload may continue: several, as long as content repeats.
        self._next: dict[_Object, list[int]] = {}
        # What was known of the objects asked about since `settle`: their newest version, its time, their positions.
        self._before: dict[_Object, tuple[Version | None, datetime | None, list[int] | None]] = {}

    @classmethod
    def of(cls, store: Store, *, undated: bool = False) -> Versions:
        """Those of a store; `undated` is for payloads that do not say when, so that they may repeat history."""
        return cls({kind: store.versions(kind) for kind in KINDS}, _histories(store) if undated else None)

    def has(self, kind: str, object_id: str) -> bool:
        """Whether there is some version of the object."""
        return object_id in self._newest[kind]

    def are_newest(self, received: Received) -> bool:
        """Whether these very bytes are the newest version when a run begins, so that they need no reading.

        For sure only of an object asked for by its id: files may hold A, then B, then A.
        """
        return received.object_id is not None and received.raw_sha256 in self._bytes

    def number(
        self, kind: str, object_id: str, content_sha256: str, *, fetched_at: datetime | None = None
    ) -> int | None:
        """The version that a payload is: the next, or None where it is unchanged, repeated or overtaken.

        Overtaken is one fetched no later than the newest version recorded; without `fetched_at` none is.
        """
        key, newest = (kind, object_id), self._newest[kind].get(object_id)
        self._before.setdefault(key, (newest, self._fetched_at.get(key), self._next.get(key)))
        if self._repeats(kind, object_id, content_sha256):
            return None
        if newest is not None and newest.content_sha256 == content_sha256:
            return None
        published_at = self._fetched_at.get(key)
        if fetched_at is not None and published_at is not None and fetched_at <= published_at:
            return None
        number = newest.version + 1 if newest else 1
        self.record(kind, object_id, number, content_sha256, fetched_at)
        return number

    def settle(self) -> None:
        """What was asked until now became of a batch that is done."""
        self._before.clear()

    def restart(self) -> None:
        """Forget what was asked since `settle`: the batch is begun anew, without a payload that cannot become rows."""
        for (kind, object_id), (newest, fetched_at, positions) in self._before.items():
            _put_back(self._newest[kind], str(object_id), newest)
            _put_back(self._fetched_at, (kind, object_id), fetched_at)
            _put_back(self._next, (kind, object_id), positions)
        self._before.clear()

    def record(
        self, kind: str, object_id: str, number: int, content_sha256: str = "", fetched_at: datetime | None = None
    ) -> int:
        """Remember a version that has its number; gives it. Its content need not be known."""
        newest = self._newest[kind].get(object_id)
        if newest is None or number >= newest.version:
            self._newest[kind][object_id] = Version(number, content_sha256, raw_sha256="")
            if fetched_at is not None:
                self._fetched_at[kind, object_id] = fetched_at
        return number

    def is_open(self, kind: str, object_id: str | None) -> bool:
        """Whether the payloads have followed the object's history, and not to its end yet."""
        positions = self._next.get((kind, object_id))
        return bool(positions) and len(self._histories[kind, object_id]) not in positions  # type: ignore[operator]

    def over(self, kind: str, object_id: str | None) -> None:
        """Nothing follows: from now on every payload is compared with the newest version alone."""
        self._next[kind, object_id] = []

    def _repeats(self, kind: str, object_id: str, content_sha256: str) -> bool:
        """Whether the payload goes on where the earlier ones of this run, if any, have got to in the history."""
        history = self._histories.get((kind, object_id))
        if history is None:
            return False
        begun = self._next.get((kind, object_id))
        at = range(len(history)) if begun is None else begun
        follows = [n + 1 for n in at if n < len(history) and history[n] == content_sha256]
        stays = [n for n in begun or () if history[n - 1] == content_sha256]
        self._next[kind, object_id] = [*follows, *stays]
        return bool(follows or stays)


def _put_back(known: dict[_Key, _Value], key: _Key, value: _Value | None) -> None:
    if value is None:
        known.pop(key, None)
    else:
        known[key] = value


def each_refusal_once(
    refused: pa.Table, known: set[tuple[object, ...]], columns: tuple[str, ...] = ("raw_sha256",)
) -> pa.Table:
    """The rows of ``quarantine`` that are not known by these columns; adds them to those known."""
    keys = zip(*(refused[name].to_pylist() for name in columns), strict=True)
    is_new = [key not in known and not known.add(key) for key in keys]  # type: ignore[func-returns-value]
    return refused.filter(pa.array(is_new, pa.bool_()))


def _histories(store: Store) -> dict[_Object, list[str]]:
    """The content of each version of every object that has more than one, oldest first."""
    columns = ["kind", "object_id", "object_version", "content_sha256"]
    versions: dict[_Object, list[tuple[int, str]]] = defaultdict(list)
    for kind, object_id, version, content in zip(
        *(c.to_pylist() for c in store.stored("raw", columns).columns), strict=True
    ):
        versions[kind, object_id].append((version, content))
    return {key: [content for _, content in sorted(each)] for key, each in versions.items() if len(each) > 1}
