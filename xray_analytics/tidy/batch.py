"""Batches of payloads to tables: one call, every table, one outcome for each payload.

A payload that is not as documented becomes a row of `quarantine` and none elsewhere; its neighbours do not notice. That
holds for every exception, whatever its class: where a whole batch cannot become tables, tables are made of each payload
alone to find the culprit. The tables of two batches, one after the other, are those of both in one call, but for
`drift`, which `drift.merge` adds up.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from ..errors import InputError, ReportError
from ..tables import QUARANTINE, RAW
from . import drift
from .arrow_tables import Published, report_tables, request_tables, table_of
from .decode import refusal
from .layout import Given, Layout, layouts_of
from .layout.reader import compiled
from .payload import Kind, Known, Read, decode, object_id_of, understand
from .transactions import Aliases

VersionOf = Callable[[str, str, str], int | None]
Status = Literal["published", "unchanged", "quarantined"]


@dataclass(frozen=True)
class Received:
    """One payload as it arrived.

    `body` is ``{"report": {...}}``, a bare report, ``{"request": {...}}`` or a bare request; with `kind` None the body
    tells. `object_id` is the id that was asked for: another one inside is refused. `origin` names the file or path in
    messages. `layouts` are tried instead of those of the batch.
    """

    body: bytes = field(repr=False)
    fetched_at: datetime
    origin: str
    kind: Kind | None = None
    api_version: str | None = None
    object_id: str | None = None
    layouts: tuple[Layout, ...] | None = None

    @cached_property
    def raw_sha256(self) -> str:
        """SHA-256 of the bytes, as 64 hexadecimal digits."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of one payload; `error` says why it was quarantined, `doubt` what in it contradicts its reading."""

    kind: str
    object_id: str | None
    status: Status
    version: int | None
    raw_sha256: str
    error: ReportError | None
    origin: str
    doubt: str | None = None


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
def tidy(  # noqa: PLR0913
    received: Iterable[Received],
    *,
    version_of: VersionOf = first_version,
    restart: Callable[[], None] | None = None,
    aliases: Aliases | None = None,
    sources: Mapping[str, str] | None = None,
    layout: Given = None,
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
    restart
        Called before `version_of` is asked once more about the whole batch, without a payload that was understood and
        cannot become rows; without it the first answers hold.
    aliases, sources
        Column of `transactions` -> members to look for, in order; product -> the service's word for it, any other word
        being the product *other*: they replace lines of the layout.
    layout
        How payloads are read, see `layouts_of`; of several the first that reads a report and every transaction of it,
        else the first that reads it. Default the shipped one.

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
    layouts = layouts_of(layout, sources=sources, aliases=aliases)
    readers, batch = _Readers(layouts), _Batch(version_of)
    for one in received:
        batch.settle(readers.read(one))
    try:
        return Tidied(batch.tables(), batch.outcomes)
    except Exception:  # whatever its class: one payload must not stop the others
        return _without_culprits(batch, restart)


class _Reading(NamedTuple):
    """What became of one payload before anyone was asked for its version: `read`, or why not."""

    one: Received
    read: Read | None
    object_id: str | None
    stage: str = "tidy"
    error: ReportError | None = None


class _Readers:
    """The layouts of a batch, in the order in which they are tried, and what each of them has met."""

    def __init__(self, layouts: tuple[Layout, ...]) -> None:
        self._layouts, self._known = layouts, dict[Layout, Known]()

    def read(self, one: Received) -> _Reading:
        """A payload by the first layout that reads all of its transactions, else the first that reads it, else none."""
        partly: _Reading | None = None
        for layout in one.layouts or self._layouts:
            reading = _read(one, self._known.get(layout) or self._known.setdefault(layout, Known(compiled(layout))))
            if reading.read is not None and reading.read.is_whole:
                return reading
            if partly is None or (partly.read is None and reading.read is not None):
                partly = reading
        if partly is None:
            raise InputError("a payload needs a layout to be read with; give one, or none for the shipped one")
        return partly


def _read(one: Received, known: Known) -> _Reading:
    stage, object_id = "decode", one.object_id
    try:
        content = decode(one.body, one.kind, known)
        stage, object_id = "tidy", one.object_id or object_id_of(content, known.reader)
        return _Reading(one, understand(content, one.body, known, one.object_id), object_id)
    except Exception as error:  # whatever its class, as above
        return _Reading(one, None, object_id, stage, refusal(error))


@dataclass
class _Batch:
    version_of: VersionOf
    readings: list[_Reading] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    published: dict[int, Published] = field(default_factory=dict)  # by position among the readings
    refused: list[tuple[Any, ...]] = field(default_factory=list)

    def settle(self, reading: _Reading) -> None:
        """Decide what becomes of a payload."""
        one, read = reading.one, reading.read
        version = self.version_of(read.kind, read.object_id, read.content_sha256) if read is not None else None
        if read is None:
            self._refuse(reading)
        else:
            status: Status = "unchanged" if version is None else "published"
            self.outcomes.append(
                Outcome(
                    read.kind, read.object_id, status, version, one.raw_sha256, None, one.origin, read.product.doubt
                )
            )
        if read is not None and version is not None:
            position = len(self.readings)
            self.published[position] = Published(read, version, one.fetched_at, one.raw_sha256, one.api_version)
        self.readings.append(reading)
        self.answers.append(version)

    def tables(self) -> dict[str, pa.Table]:
        """All tables of the batch."""
        return self.tables_of(list(self.published)) | {"quarantine": table_of(QUARANTINE, self.refused)}

    def tables_of(self, positions: list[int]) -> dict[str, pa.Table]:
        """The tables of those published that stand there, all but ``quarantine``."""
        published = [self.published[position] for position in positions]
        bodies = [self.readings[position].one.body for position in positions]
        return {
            **request_tables([p for p in published if p.read.kind == "request"]),
            **report_tables([p for p in published if p.read.kind == "report"]),
            "raw": table_of(RAW, [_raw_row(p, body) for p, body in zip(published, bodies, strict=True)]),
            "drift": drift.count([(p.read.source, p.read.object_id, p.read.notes) for p in published]),
        }

    def _refuse(self, reading: _Reading) -> None:
        one, error = reading.one, reading.error
        if error is None:
            raise TypeError("a payload was neither read nor refused")
        where = (reading.stage, error.code, error.json_path, str(error))
        self.refused.append((one.raw_sha256, one.origin or None, reading.object_id, *where, one.fetched_at, one.body))
        kind = one.kind or "report"
        self.outcomes.append(Outcome(kind, reading.object_id, "quarantined", None, one.raw_sha256, error, one.origin))


def _raw_row(p: Published, body: bytes) -> tuple[Any, ...]:
    key = (p.read.kind, p.read.object_id, p.version, p.read.content_sha256, p.raw_sha256)
    return (*key, p.api_version, p.fetched_at, body)


def _without_culprits(batch: _Batch, restart: Callable[[], None] | None) -> Tidied:
    """The batch with what cannot become tables by itself in quarantine; where only all together fail, one by one."""
    culprits = {at: error for at in batch.published if (error := _fault(batch, at)) is not None}
    if restart is not None:
        restart()
    answered = [at for at, reading in enumerate(batch.readings) if reading.read is not None and at not in culprits]
    answers = iter([batch.answers[at] for at in answered])
    left = _Batch(batch.version_of if restart is not None else lambda *_: next(answers))
    for at, reading in enumerate(batch.readings):
        left.settle(reading._replace(read=None, error=culprits[at]) if at in culprits else reading)
    try:
        return Tidied(left.tables(), left.outcomes)
    except Exception:  # as above; what fails for one payload now raises
        return Tidied(_one_by_one(left), left.outcomes)


def _fault(batch: _Batch, position: int) -> ReportError | None:
    """Why this payload alone cannot become tables; None where it can."""
    try:
        batch.tables_of([position])
    except Exception as error:  # as above
        return refusal(error)
    return None


def _one_by_one(batch: _Batch) -> dict[str, pa.Table]:
    found = [batch.tables_of([]), *(batch.tables_of([position]) for position in batch.published)]
    joined = {name: pa.concat_tables([one[name] for one in found]) for name in found[0]}
    noticed = drift.merge([one["drift"] for one in found], None)
    return joined | {"drift": noticed, "quarantine": table_of(QUARANTINE, batch.refused)}
