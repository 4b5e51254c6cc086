"""What belongs to a company: its requests, reports and media, in whatever spelling and shape they say so.

Its requests are those that carry its code in any version; its reports those of these requests, and those that carry the
code themselves. What gives no code, and no request that is known, is the company's if it names it beside its content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from .. import tables
from ..store import RawBody, Store, tombstones
from ..store.tombstones import plain, remembered, siren_in, spellings
from ..tidy.batch import Received
from ..tidy.ids import named_in, tokens
from .layouts import LAYOUT_OF, Memory, layouts_by_version

REFUSED = ["origin", "stage", "object_id", "body"]  # what tells whose something in quarantine is
_FRENCH = frozenset((None, "siren", "siret", "vat"))  # kinds of numbers, *documented* only the first


@dataclass(frozen=True)
class Subject:
    """The company's code with the ids of all that belongs to it (`texts` as tombstones remember them)."""

    ids: frozenset[str]
    texts: frozenset[str]
    known: tombstones.Tombstones
    is_stored: bool
    payloads: list[Received]
    n_mentions: int
    requests: frozenset[str]  # all that are published

    @classmethod
    def of_company(cls, store: Store, code: str, known: tombstones.Tombstones) -> Subject:
        """What belongs to a company, and what of those in the tombstones is there again."""
        return cls._of(store, {code}, remembered(code, is_siren=_is_siren(store, code)), known)

    @classmethod
    def of_requests(cls, store: Store, request_ids: Iterable[str], known: tombstones.Tombstones) -> Subject:
        """What belongs to these requests, and what of those in the tombstones is there again."""
        ids = set(request_ids)
        return cls._of(store, ids, {text for one in ids for text in remembered(one)}, known)

    @classmethod
    def _of(cls, store: Store, ids: set[str], texts: set[str], known: tombstones.Tombstones) -> Subject:
        mention = _naming(ids | plain(texts))
        owned = _Owned(ids, texts, known)
        given = owned.size
        owned.add_rows(store)
        published = {i for kind in ("request", "report") for i in _column(store, f"{kind}s", f"{kind}_id")}
        for row in store.bodies():  # twice, as what belongs to a request may come before it
            owned.add_payload(row, published)
        owned.add_rows(store)
        requests = frozenset(_column(store, "requests", "request_id"))
        payloads, n_mentions = [], 0
        memory = Memory.of([store.stored("layouts")])
        read_by = layouts_by_version([store.stored("reports", LAYOUT_OF)])
        for row in store.bodies():
            if owned.add_payload(row, published):
                layout = memory.remembered.get(read_by.get((row.object_id, row.object_version)) or "")
                received = Received(row.body, row.fetched_at, row.object_id, None, row.api_version)
                payloads.append(replace(received, layouts=(layout,)) if layout else received)
            else:
                n_mentions += mention.search(row.body) is not None
        subject = cls(frozenset(owned.ids), frozenset(owned.texts), known, True, payloads, n_mentions, requests)
        is_stored = owned.size > given or any(
            subject.has(i) for t in tables.LENDER_TABLES for i in _column(store, t.name, "company_id")
        )
        refused = store.stored("quarantine", REFUSED).to_pylist()
        return replace(subject, is_stored=is_stored or any(map(subject.has_refused, refused)))

    def has(self, text: str) -> bool:
        """Whether an id or a code belongs to the company, or to one that was forgotten before."""
        return not spellings(text).isdisjoint(self.texts) or text in self.known

    def has_refused(self, row: Mapping[str, Any]) -> bool:
        """Whether something in quarantine, or the file that it came in, names any of them.

        What was decoded and tells whose it is, is another's though it mentions them.
        """
        body = row["body"] or b""
        named = named_in(body) if row["stage"] == "tidy" else None
        known = row["object_id"], *(() if named is None else (named.object_id, named.request_id, *named.codes))
        if any(one is not None and self.has(one) for one in known):
            return True
        is_anothers = named is not None and named.says_whose(is_known=named.request_id in self.requests)
        said = [(row["origin"] or "").encode(), *([] if is_anothers else [body])]
        return any(self.has(token) for text in said for token in tokens(text))

    def without(self, rows: pa.Table) -> pa.Table:
        """The rows that are not the company's; that another company is in its group is not said any more."""
        if "stage" in rows.column_names and "body" in rows.column_names:
            refused = [self.has_refused(row) for row in rows.select(REFUSED).to_pylist()]
            rows = rows.filter(pa.array([not one for one in refused], pa.bool_()))
        return tombstones.without(rows, self.has)


class _Owned:
    """What belongs to a company, found step by step: `ids` as they were met, `texts` as tombstones remember them."""

    def __init__(self, ids: set[str], texts: set[str], known: tombstones.Tombstones) -> None:
        self.ids, self.texts, self._known = ids, texts, known

    @property
    def size(self) -> int:
        """How many ids were met."""
        return len(self.ids)

    def add_rows(self, store: Store) -> None:
        """Requests by their code; reports by their own code and their request; media by their request."""
        for table, owner in (
            ("requests", "company_id"), ("reports", "company_id"), ("reports", "request_id"), ("media", "request_id"),
        ):  # fmt: skip
            key = tables.table(table).key[0]
            found = zip(_column(store, table, key), _column(store, table, owner), strict=True)
            for object_id in [i for i, of in found if (of and self._has(of)) or i in self._known]:
                self._add(object_id)

    def add_payload(self, row: RawBody, published: set[str]) -> bool:
        """Whether a payload belongs to it; then its object does."""
        is_theirs = self._has(row.object_id) or self._names(row, published)
        if is_theirs:
            self._add(row.object_id)
        return is_theirs

    def _names(self, row: RawBody, published: set[str]) -> bool:
        named = named_in(row.body) if row.object_id in published else None
        if named is None:
            return row.object_id not in published and any(map(self._has, tokens(row.body)))
        if any(i is not None and self._has(i) for i in (named.object_id, named.request_id, *named.codes)):
            return True
        is_anothers = named.code is not None or (named.kind == "report" and named.request_id in published)
        return not is_anothers and any(map(self._has, named.texts))

    def _has(self, text: str) -> bool:
        return not spellings(text).isdisjoint(self.texts) or text in self._known

    def _add(self, object_id: str) -> None:
        self.ids.add(object_id)
        self.texts |= remembered(object_id)


def _column(store: Store, table: str, name: str) -> list[Any]:
    return list(store.stored(table, [name])[0].to_pylist())


def _is_siren(store: Store, code: str) -> bool:
    """Whether a company's number is one that a SIRET or VAT number may hold.

    That is, if its requests say nothing else; where it has none, if those of the store do not all say something else.
    """
    rows = store.stored("requests", ["company_id", "company_code_type"])
    kinds = list(zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True))
    exact = remembered(code)
    said = {kind for of, kind in kinds if of is not None and not exact.isdisjoint(remembered(of))}
    said = said or {kind for _, kind in kinds}
    return siren_in(code) is not None and (not said or not said.isdisjoint(_FRENCH))


def _naming(ids: Iterable[str]) -> re.Pattern[bytes]:
    """Any of the ids as a word of its own."""
    words = b"|".join(re.escape(one.encode("utf-8", "replace")) for one in sorted(ids))
    return re.compile(rb"(?<![0-9A-Za-z])(?:" + words + rb")(?![0-9A-Za-z])")
