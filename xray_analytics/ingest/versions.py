"""Files do not say when: which payloads of an import only repeat the versions that the store has already?

A folder that holds A, B and A again brings three versions once. When it is imported a second time, or after a crash
half-way, the same walk through A and B is history repeated and no change. A run that stops in the middle of it, with A
as its last word about an object whose newest version is B, goes back to A: that is a change.
"""

from __future__ import annotations

from collections import defaultdict

from ..store import Store


class Replays:
    """How far the payloads of one run have followed the versions that `store` had before it; without one, never.

    Examples
    --------
    >>> Replays(None).is_known("report", "7b", "c0ffee")
    False
    """

    def __init__(self, store: Store | None) -> None:
        self._histories = _histories(store) if store is not None else {}
        # Positions in the history that the next payload may continue: several, as long as content repeats.
        self._next: dict[tuple[str, str | None], list[int]] = {}

    def is_known(self, kind: str, object_id: str, content_sha256: str) -> bool:
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

    def is_open(self, kind: str, object_id: str | None) -> bool:
        """Whether the payloads have followed the history, and not to its end yet."""
        found = self._next.get((kind, object_id))
        return bool(found) and len(self._histories[kind, object_id]) not in found  # type: ignore[operator]

    def over(self, kind: str, object_id: str | None) -> None:
        """Nothing follows: from now on every payload is compared with the newest version alone."""
        self._next[kind, object_id] = []


def _histories(store: Store) -> dict[tuple[str, str | None], list[str]]:
    """The content of each version of every object that has more than one, oldest first."""
    columns = ["kind", "object_id", "object_version", "content_sha256"]
    found: dict[tuple[str, str | None], list[tuple[int, str]]] = defaultdict(list)
    for kind, object_id, version, content in zip(
        *(c.to_pylist() for c in store.stored("raw", columns).columns), strict=True
    ):
        found[kind, object_id].append((version, content))
    return {key: [content for _, content in sorted(of)] for key, of in found.items() if len(of) > 1}
