"""Who was forgotten does not come back: every payload of a run passes here before it is tidied.

A payload is of a company that was forgotten if it, or its request, is; if it gives that company's code; or if it gives
no code, its request is unknown, and anything beside its content names one. Bytes that nobody understands are refused as
soon as one word in them does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..store import Store, tombstones
from ..tidy.batch import Received
from ..tidy.ids import Named, named_in, tokens
from .versions import Versions


class Door:
    """What one run knows of those who were forgotten; with a store that has forgotten nobody it lets everything in."""

    def __init__(self, store: Store) -> None:
        self._store, self._tombstones = store, store.tombstones()
        self._seen: set[str] = set()  # ids of this run that belong to them, as tombstones remember them
        self._requests: set[str] = set()  # of those, the requests
        self._others: set[str] = set()  # requests of this run that are of other companies

    @property
    def is_watched(self) -> bool:
        """Whether anybody was forgotten."""
        return bool(self._tombstones)

    def is_forgotten(self, text: str) -> bool:
        """Whether an id or a code is, in any spelling, that of somebody forgotten."""
        return self.is_watched and (text in self._tombstones or not tombstones.spellings(text).isdisjoint(self._seen))

    def learn(self, received: Received) -> None:
        """Remember whose request it is; other payloads are not looked at."""
        named = named_in(received.body)
        if named is not None and named.kind == "request":
            self._remember(named, is_theirs=self._is_theirs(named, is_known=False))

    def refuses(self, received: Received, versions: Versions) -> bool:
        """Whether a payload is of somebody forgotten; then what belongs to it is, too."""
        asked = received.object_id is not None and self.is_forgotten(received.object_id)
        named = named_in(received.body)
        if named is None:
            return asked
        is_theirs = asked or self._is_theirs(named, is_known=self._is_known(named, versions))
        self._remember(named, is_theirs=is_theirs)
        return is_theirs

    def refuses_bytes(self, received: Received, versions: Versions, *, is_decoded: bool) -> bool:
        """Whether bytes that could not be understood, or the file that they came in, name somebody forgotten.

        Of bytes that were decoded and tell whose they are, which `refuses` has looked at, only the file.
        """
        if not self.is_watched:
            return False
        named = named_in(received.body) if is_decoded else None
        is_anothers = named is not None and named.says_whose(is_known=self._is_known(named, versions))
        said = [received.origin.encode("utf-8", "replace"), *([] if is_anothers else [received.body])]
        return any(self.is_forgotten(token) for text in said for token in tokens(text))

    def late(self) -> set[str]:
        """Requests of somebody forgotten that the store did not know, and on which something in it hangs."""
        new = {text for one in self._requests if one not in self._tombstones for text in tombstones.remembered(one)}
        if not new:
            return set()
        tables = ("requests", "reports", "media")
        hanging = {i for name in tables for i in self._store.stored(name, ["request_id"])[0].to_pylist()}
        return {one for one in hanging if one is not None and not tombstones.spellings(one).isdisjoint(new)}

    def remembered(self, cursor: Mapping[str, Any]) -> Mapping[str, Any]:
        """The cursor of a commit, with the requests of this run that belong to somebody forgotten among the marks."""
        if not self._requests:
            return cursor
        texts = {text for one in self._requests for text in tombstones.remembered(one)}
        marks = sorted(self._tombstones.with_texts(texts).marks)
        return {**cursor, tombstones.CURSOR_NAME: marks}

    def _is_known(self, named: Named, versions: Versions) -> bool:
        of = named.request_id if named.kind == "report" else None
        return of is not None and (of in self._others or versions.has("request", of))

    def _is_theirs(self, named: Named, *, is_known: bool) -> bool:
        ids = [i for i in (named.object_id, named.request_id) if i is not None]
        if any(map(self.is_forgotten, ids)):
            return True
        if any(map(self.is_forgotten, named.codes)):
            return True
        is_anothers = is_known or named.code is not None
        return not is_anothers and any(map(self.is_forgotten, named.texts))

    def _remember(self, named: Named, *, is_theirs: bool) -> None:
        if named.object_id is None:
            return
        if is_theirs:
            self._seen |= tombstones.remembered(named.object_id)
        if named.kind == "request" and is_theirs:
            self._requests.add(named.object_id)
        elif named.kind == "request":
            self._others |= tombstones.spellings(named.object_id)
