"""Batches of payloads to tables: one call, every table, one outcome for each payload.

A payload that is not as documented becomes a row of `quarantine` and none elsewhere; its neighbours do not notice.
The tables of two batches, one after the other, are those of both in one call, but for `drift`, which `drift.merge`
adds up.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from ..errors import ReportError
from ..tables import QUARANTINE, RAW, TRANSACTION_ALIASES
from . import drift
from .arrow_tables import Published, report_tables, request_tables, table_of
from .drift import DriftNotes
from .payload import SOURCES, Kind, Known, Read, decode, object_id_of, understand
from .transactions import Aliases

VersionOf = Callable[[str, str, str], int | None]
Status = Literal["published", "unchanged", "quarantined"]


@dataclass(frozen=True)
class Received:
    """One payload as it arrived.

    `body` is ``{"report": {...}}``, a bare report, ``{"request": {...}}`` or a bare request; with `kind` None the body
    tells. `object_id` is the id that was asked for: another one inside is refused. `origin` names the file or path in
    messages.
    """

    body: bytes = field(repr=False)
    fetched_at: datetime
    origin: str
    kind: Kind | None = None
    api_version: str | None = None
    object_id: str | None = None

    @cached_property
    def raw_sha256(self) -> str:
        """SHA-256 of the bytes, as 64 hexadecimal digits."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of one payload; `error` says why it was quarantined."""

    kind: str
    object_id: str | None
    status: Status
    version: int | None
    raw_sha256: str
    error: ReportError | None
    origin: str


@dataclass(frozen=True)
class Tidied:
    """Every table of reports and requests, `raw`, `drift` and `quarantine`; outcomes in the order of the payloads."""

    tables: dict[str, pa.Table] = field(repr=False)
    outcomes: list[Outcome]


def first_version(kind: str, object_id: str, content_sha256: str) -> int | None:
    """Every payload is the first of its object."""
    return 1


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Trees of JSON hold no cycles, and looking for them in every new one would cost a twentieth of the work."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_collector_paused()
def tidy(
    received: Iterable[Received],
    *,
    version_of: VersionOf = first_version,
    aliases: Aliases = TRANSACTION_ALIASES,
    sources: Mapping[str, str] = SOURCES,
) -> Tidied:
    """Tables of a batch of payloads.

    Parameters
    ----------
    received
        Payloads, reports and requests mixed; about 32 at once are fastest.
    version_of
        Called with kind, object id and content SHA-256, once for each payload that was understood and in their order:
        the version to publish, or None where nothing changed. The content SHA-256 is that of the canonical form
        (members sorted, no white space).
    aliases
        Column of `transactions` -> members to look for, in order.
    sources
        Product -> the service's word for it; any other word is the product *other*.

    Raises
    ------
    InputError
        The alias map names a column that does not exist, or one member twice.

    Examples
    --------
    >>> from datetime import UTC
    >>> body = b'{"report": {"id": "r1", "source": "magpie", "raw": {"probabilityOfDefault": 0.04, "riskClass": 3}}}'
    >>> tidied = tidy([Received(body, datetime(2025, 1, 1, tzinfo=UTC), "r1.json")])
    >>> tidied.outcomes[0].status, tidied.tables["reports"]["financial_risk_class"].to_pylist()
    ('published', [3])
    """
    batch = _Batch(version_of, Known(aliases, {word: product for product, word in sources.items()}))
    for one in received:
        batch.take(one)
    return Tidied(batch.tables(), batch.outcomes)


@dataclass
class _Batch:
    version_of: VersionOf
    known: Known
    outcomes: list[Outcome] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    raw: list[tuple[Any, ...]] = field(default_factory=list)
    refused: list[tuple[Any, ...]] = field(default_factory=list)
    noticed: list[tuple[str, str, DriftNotes]] = field(default_factory=list)

    def take(self, one: Received) -> None:
        """Read one payload and keep what became of it."""
        stage, object_id = "decode", one.object_id
        try:
            content = decode(one.body, one.kind, self.known)
            stage, object_id = "tidy", one.object_id or object_id_of(content)
            read = understand(content, one.body, self.known, one.object_id)
        except ReportError as error:
            error.__context__ = None  # nor a traceback: the frames of both hold what was read
            self._refuse(one, object_id, stage, error.with_traceback(None))
            return
        version = self.version_of(read.kind, read.object_id, read.content_sha256)
        if version is not None:
            self._publish(one, read, version)
        status: Status = "unchanged" if version is None else "published"
        self.outcomes.append(Outcome(read.kind, read.object_id, status, version, one.raw_sha256, None, one.origin))

    def tables(self) -> dict[str, pa.Table]:
        """All tables of the batch."""
        reports = [p for p in self.published if p.read.kind == "report"]
        requests = [p for p in self.published if p.read.kind == "request"]
        return {
            **request_tables(requests),
            **report_tables(reports),
            "raw": table_of(RAW, self.raw),
            "drift": drift.count(self.noticed),
            "quarantine": table_of(QUARANTINE, self.refused),
        }

    def _publish(self, one: Received, read: Read, version: int) -> None:
        self.published.append(Published(read, version, one.fetched_at, one.raw_sha256, one.api_version))
        key = (read.kind, read.object_id, version, read.content_sha256, one.raw_sha256)
        self.raw.append((*key, one.api_version, one.fetched_at, one.body))
        self.noticed.append((read.source, read.object_id, read.notes))

    def _refuse(self, one: Received, object_id: str | None, stage: str, error: ReportError) -> None:
        where = (stage, error.code, error.json_path, str(error))
        self.refused.append((one.raw_sha256, object_id, *where, one.fetched_at, one.body))
        kind = one.kind or "report"
        self.outcomes.append(Outcome(kind, object_id, "quarantined", None, one.raw_sha256, error, one.origin))
