"""One object of the service: its exact bytes, its id, and what is in its envelope.

The envelopes of lists are *assumed*: a bare array, ``{"reports": [...]}`` or ``{"data": [...]}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, cached_property
from typing import Any, Literal

import msgspec

from ..errors import ReportError
from .http.body import BOM, UNREADABLE

Kind = Literal["request", "report"]

_CONTENT = msgspec.json.Decoder(float_hook=Decimal)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


class _Identified(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, repr=False)
class Answer(Mapping[str, Any]):
    """One object of the service: the exact bytes, and what they say.

    Attributes
    ----------
    kind, id
        ``request`` or ``report``, and its id.
    body
        The bytes as received, envelope included; for an element of a list, exactly its slice of the list.
    api_version
        The version asked for in the ``October-Version`` header.
    fetched_at
        When the answer was complete, by our clock [UTC].

    Examples
    --------
    >>> answer = Answer("request", "7b", b'{"request": {"id": "7b", "rate": 1.10}}', "2024-01-25", datetime(2026, 1, 3))
    >>> answer["rate"]
    Decimal('1.10')
    >>> answer
    <Answer: request 7b, 39 bytes>
    """

    kind: Kind
    id: str
    body: bytes
    api_version: str
    fetched_at: datetime

    @property
    def data(self) -> dict[str, Any]:
        """The object out of its envelope, wrapped (``{"report": {...}}``) or flat; fractions are exact decimals.

        Raises
        ------
        ReportError
            The bytes are not a JSON object in UTF-8: code ``invalid_json``.
        """
        if self._object is None:
            message = f"{self.kind} {self.id} is not a JSON object; its bytes are kept in .body"
            raise ReportError(message, code="invalid_json", json_path="$", report_id=self.id)
        return self._object

    @cached_property
    def _object(self) -> dict[str, Any] | None:
        return object_of(self.kind, self.body)

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"<Answer: {self.kind} {self.id}, {len(self.body)} bytes>"


def object_of(envelope: str, body: bytes) -> dict[str, Any] | None:
    """The object in `envelope`, or without envelope the whole; None where the bytes are no JSON object.

    Examples
    --------
    >>> object_of("medium", b'{"medium": {"id": "7b"}, "upload": {}}')
    {'upload': {}, 'id': '7b'}
    """
    try:
        outer = _CONTENT.decode(body.removeprefix(BOM))
    except UNREADABLE:
        return None
    if not isinstance(outer, dict):
        return None
    inner = outer.get(envelope)
    # The guides leave open whether these stand inside the envelope or beside it.
    beside = {name: outer[name] for name in ("status", "stage", "upload") if name in outer}
    return beside | inner if isinstance(inner, dict) else outer


def id_of(envelope: str, body: bytes) -> str | None:
    """The id in `envelope` or, without envelope, beside the other members; None if there is none.

    Examples
    --------
    >>> id_of("report", b'{"report": {"id": "7b"}}'), id_of("report", b'{"id": "7b"}'), id_of("report", b"[]")
    ('7b', '7b', None)
    """
    try:
        outer = _identified(envelope).decode(body.removeprefix(BOM))
        inner = getattr(outer, envelope)
        return msgspec.json.decode((inner if isinstance(inner, _Identified) else outer).id, type=str | None)
    except UNREADABLE:
        return None


@cache
def _identified(envelope: str) -> msgspec.json.Decoder[Any]:
    """Reads the ids on both levels in one pass: every other member is skipped, and builds nothing."""
    inner = _Identified | list[msgspec.Raw] | str | int | float | bool | None
    return msgspec.json.Decoder(msgspec.defstruct("Outer", [(envelope, inner, None)], bases=(_Identified,)))


def elements_of(plural: str, body: bytes) -> tuple[list[bytes], int | None] | str:
    """The exact bytes of each element of a list, and how many `remain` if that is said.

    For any other JSON document, the names of the members seen instead, as the service wrote them.

    Examples
    --------
    >>> elements_of("reports", b'{"reports": [{"id": "7b"}], "remaining": 0}')
    ([b'{"id": "7b"}'], 0)
    >>> elements_of("reports", b'{"items": []}')
    'members: items'
    """
    try:
        return _elements(plural, body)
    except UNREADABLE as error:
        return f"it cannot be read: {type(error).__name__}"


def _elements(plural: str, body: bytes) -> tuple[list[bytes], int | None] | str:
    text = body.removeprefix(BOM).lstrip()
    if text.startswith(b"["):
        return [bytes(element) for element in _ELEMENTS.decode(text)], None
    members = _MEMBERS.decode(text) if text.startswith(b"{") else {}
    for name in (plural, "data"):
        if bytes(members.get(name, b"")).startswith(b"["):
            remaining = msgspec.json.decode(members.get("remaining", b"null"))
            elements = [bytes(element) for element in _ELEMENTS.decode(members[name])]
            return elements, remaining if isinstance(remaining, int) else None
    return f"members: {', '.join(members) or 'none'}"
