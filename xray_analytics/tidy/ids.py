"""Identifiers: which object, request and company a payload names, without reading the rest of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import ReportError
from ..grammar.identity import DOCUMENTED_TYPES, code_fault
from .decode import Json, parse

_CONTENT = ("raw", "notes")  # what a report and a request say, beside whose they are
_LONGEST = 256  # characters of a text that may be a name
_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_QUOTED = re.compile(r'"([^"\\]{1,256})"')
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_GROUPS = re.compile(r"\d+(?:[\s./-]{1,3}\d+)*")
_DIGITS = re.compile(r"\d+")
_SIREN, _SIRET = 9, 14  # digits

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Named:
    """Whose a payload is: its own id, that of its request (of a request: its own), and the code of its company.

    `codes` are all texts and whole numbers of its member ``code``. `texts` are those of everything outside its content,
    and the names of its members: where no code is given as documented, one of them may be it.
    """

    kind: str
    object_id: str | None
    request_id: str | None
    code: str | None
    codes: frozenset[str]
    texts: frozenset[str]

    def says_whose(self, *, is_known: bool) -> bool:
        """Whether it tells whose it is: its request is known, or it has a number whose check digit or length is right.

        A payload that does is of that company, whatever it mentions; of others everything they mention may be a name.
        """
        return is_known or (self.code is not None and not all(code_fault(self.code, kind) for kind in DOCUMENTED_TYPES))


def named_in(body: bytes) -> Named | None:
    """Whose a payload is, in whatever shape it says so; None of bytes that are neither a report nor a request.

    Looked at is everything beside ``raw`` of a report and ``notes`` of a request, which may name others.

    >>> named = named_in(b'{"report": {"id": "r1", "request": {"id": "q1"}, "of": "514 673 987", "raw": {"a": "b"}}}')
    >>> named.object_id, named.request_id, named.code, "514 673 987" in named.texts, "b" in named.texts
    ('r1', 'q1', None, True, False)
    >>> named = named_in(b'{"request": {"id": "q1", "code": {"id": 514673987}, "notes": {"equity": 552100554}}}')
    >>> named.code, "552100554" in named.texts
    ('514673987', False)
    """
    tree = _outside_content(body)
    if tree is None:
        return None
    item, beside = tree, tree
    kind = next((word for word in ("report", "request") if isinstance(tree.get(word), dict)), None)
    if kind is not None:
        item, beside = tree[kind], {name: value for name, value in tree.items() if name != kind}
    kind = kind or ("report" if tree.keys() & {"raw", "source"} else "request")
    request = item.get("request") if kind == "report" else item.get("id")
    texts = frozenset((*_scalars(item), *_scalars(beside)))
    code = item.get("code")
    return Named(kind, _text(item.get("id")), _id_of(request), _id_of(code), frozenset(_scalars(code)), texts)


def _id_of(value: Json) -> str | None:
    """An id that is given as itself, or as an object that has it."""
    return _text(value.get("id") if isinstance(value, dict) else value) or None


def object_id_in(body: bytes) -> str | None:
    """The id of the object itself, the same for all of its payloads; None of bytes that are no payload.

    >>> object_id_in(b'{"report": {"id": "r1", "request": "q1"}}'), object_id_in(b'{"id": 7}'), object_id_in(b'[')
    ('r1', '7', None)
    """
    named = named_in(body)
    return named.object_id if named else None


def tokens(body: bytes) -> set[str]:
    """Everything in bytes that nobody understands which may be the name of an object or a company.

    Quoted texts, words, and numbers of nine or fourteen digits, also where something divides their digits into groups;
    escapes of JSON and the null bytes of UTF-16 are undone first.

    >>> sorted(tokens(b'<siren>514 673 987</siren> in 75001 "\\\\u0061 b"'))
    ['514', '514673987', '673', '75001', '987', 'a', 'a b', 'b', 'in', 'siren']
    """
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), body.replace(b"\0", b"").decode("utf-8", "replace"))
    text = unicodedata.normalize("NFKC", text)
    return {*_QUOTED.findall(text), *_WORD.findall(text), *_numbers(text)}


def _numbers(text: str) -> Iterator[str]:
    for run in _GROUPS.finditer(text):
        groups = _DIGITS.findall(run[0])
        for start in range(len(groups)):
            number = ""
            for group in groups[start:]:
                number += group
                if len(number) in (_SIREN, _SIRET):
                    yield number
                if len(number) >= _SIRET:
                    break


def _outside_content(body: bytes) -> dict[str, Json] | None:
    """The payload's tree without its content, which is skipped where that is possible."""
    try:
        return _shallow(_members.decode(body.removeprefix(_BOM)), depth=2)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # half a surrogate pair, which only the exact parser reads, or nothing that can be read at all
    try:
        tree = parse(body)
    except ReportError:
        return None
    return _without_content(tree) if isinstance(tree, dict) else None


def _shallow(members: Mapping[str, msgspec.Raw], depth: int) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in members.items():
        if name in _CONTENT:
            found[name] = None
        elif name in ("report", "request") and depth > 1 and bytes(memoryview(value)[:1]) == b"{":
            found[name] = _shallow(_members.decode(value), depth - 1)
        else:
            found[name] = msgspec.json.decode(value)
    return found


def _without_content(tree: Mapping[str, Json]) -> dict[str, Json]:
    return {
        name: _without_content(value)
        if name in ("report", "request") and isinstance(value, dict)
        else None
        if name in _CONTENT
        else value
        for name, value in tree.items()
    }


def _scalars(value: Json) -> Iterator[str]:
    """Texts and whole numbers of a tree, and the names of its members."""
    level = [value]
    while level:
        for one in level:
            if (text := _text(one)) is not None:
                yield text
        nested = [
            (*one, *one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)
        ]
        level = [one for items in nested for one in items]


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else None
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # what an identifier sent as 514673987.0 is read as
    return str(value) if type(value) is int and abs(value) < 10**64 else None
