"""Identifiers: which object, request and company a payload names, without reading the rest of it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_QUOTED = re.compile(rb'"([A-Za-z0-9_-]{1,64})"')


class _Item(msgspec.Struct):
    id: Any = None
    request: Any = None
    code: Any = None


class _Envelope(_Item):
    report: _Item | None = None


_envelope = msgspec.json.Decoder(_Envelope)


def ids_of(body: bytes) -> set[str]:
    """The ids of an object, of its request and of its company; of bytes that are no payload, all that could be ids.

    >>> sorted(ids_of(b'{"report": {"id": "r1", "request": "q1", "code": {"type": "siren", "id": "514673987"}}}'))
    ['514673987', 'q1', 'r1']
    >>> sorted(ids_of(b'{"request": {"id": "q1", "code": {"id": "514673987"}}}'))
    ['514673987', 'q1']
    """
    try:
        envelope = _envelope.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {found.decode() for found in _QUOTED.findall(body)}
    named = [*_named(envelope), *(_named(envelope.report) if envelope.report else ())]
    if isinstance(envelope.request, dict):
        named += _named(_Item(**{n: v for n, v in envelope.request.items() if n in _Item.__struct_fields__}))
    return {str(value) for value in named if isinstance(value, str | int)}


def object_id_in(body: bytes) -> str | None:
    """The id of the object itself, the same for all of its payloads; None of bytes that are no payload.

    >>> object_id_in(b'{"report": {"id": "r1", "request": "q1"}}'), object_id_in(b'{"id": 7}'), object_id_in(b'[')
    ('r1', '7', None)
    """
    try:
        envelope = _envelope.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    inner = envelope.report.id if envelope.report else None
    if isinstance(envelope.request, dict):
        inner = inner or envelope.request.get("id")
    found = inner or envelope.id
    return str(found) if isinstance(found, str | int) else None


def _named(item: _Item) -> list[Any]:
    return [item.id, item.request, item.code.get("id") if isinstance(item.code, dict) else item.code]
