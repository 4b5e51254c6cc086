"""Which payloads does a JSON document hold: itself, or those of a list in it?

A list is an array, or an object around one: ``{"reports": [...]}``, ``{"requests": [...]}``, ``{"data": [...]}`` or
``{"data": {...}}``, with whatever else stands beside (a page, a total). Each element is a payload of its own, with the
bytes as they were received: they are cut out, never decoded and written again. A document is read in windows, so that
a list may be longer than memory; only one element of it may not be larger than the cap for one report.

What is cut out need not be valid: that is for `tidy` to say, of this element alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from ..errors import ReportError

WINDOW = 1 << 20  # bytes looked at together
LISTS = frozenset(("reports", "requests", "data"))
SINGLE = frozenset(("id", "report", "request", "raw", "source"))  # an object with one of these is a payload itself
MOST_LISTS = 4  # within each other

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_FIRST_NAME = re.compile(rb'\s*\{\s*"(?:' + "|".join(sorted(SINGLE)).encode() + rb')"\s*:')
_NAMED_LIST = tuple(f'"{name}"'.encode() for name in sorted(LISTS))
_MEMBER = re.compile(rb'\s*("(?:[^"\\]|\\.)*")\s*:')
_QUOTE, _COMMA, _OPEN, _CLOSE = ord('"'), ord(","), b"[{", b"]}"
_IS_MARK = np.isin(np.arange(256), list(b'",[]{}'))
_STEP = np.zeros(256, np.int64)
_STEP[list(_OPEN)], _STEP[list(_CLOSE)] = 1, -1


class Mark(NamedTuple):
    """A bracket or comma outside texts: where in its window, which, and in how many brackets it stands itself."""

    at: int
    sign: int
    depth: int


def is_list(head: bytes) -> bool:
    """Whether a document that starts so is a list of payloads; a first megabyte decides.

    >>> is_list(b'[{"report": {}}]'), is_list(b'{"page": 1, "reports": []}'), is_list(b'{"report": {"reports": []}}')
    (True, True, False)
    """
    head = head.removeprefix(_BOM)
    first = head.lstrip(_BLANK)[:1]
    if first != b"{" or _FIRST_NAME.match(head):
        return first == b"["
    if not any(name in head for name in _NAMED_LIST):
        return False
    names = dict(_members(head))
    return names.keys().isdisjoint(SINGLE) and any(
        value == b"[" or (name == "data" and value == b"{") for name, value in names.items() if name in LISTS
    )


def elements(document: Iterable[bytes], limit: int, depth: int = 1) -> Iterator[tuple[str, bytes]]:
    """The place and the bytes of each element of a list that comes in pieces; those of a list in it as well.

    Raises
    ------
    ReportError
        An element is larger than `limit`, the list ends early, or its object is a payload, too: what came before is
        given first.

    Examples
    --------
    >>> list(elements([b'{"total": 2, "reports": [{"id": ', b'"a"} , 7]}'], limit=100))
    [('$.reports[0]', b'{"id": "a"}'), ('$.reports[1]', b'7')]
    """
    taking = _Taking(limit)
    for window, marks in _marked(document):
        for place, body in taking.take(window, marks):
            if depth < MOST_LISTS and is_list(body):
                inner = elements([body], limit, depth + 1)
                yield from ((place + deeper.removeprefix("$"), one) for deeper, one in inner)
            else:
                yield place, body
    taking.finish()


def _members(head: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and first byte of the value of each member of an object, as far as it goes."""
    start = None
    for window, marks in _marked([head]):
        at_first = [mark for mark in marks if (mark.depth == 1 and mark.sign == _COMMA) or mark.depth == 0]
        for mark in at_first:
            if start is not None:
                yield from _member(window[start : mark.at])
            start = mark.at + 1
        if start is not None:
            yield from _member(window[start:])


def _member(text: bytes) -> Iterator[tuple[str, bytes]]:
    found = _MEMBER.match(text)
    if found:
        yield _name(found[1]), text[found.end() :].lstrip(_BLANK)[:1]


def _name(text: bytes) -> str:
    try:
        return str(json.loads(text))
    except ValueError:  # no text that JSON knows: it names nothing looked for
        return ""


class _Taking:
    """Elements as the marks of a document pass."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()  # of the member or element that is under way
        self._list: str | None = None  # the place of the list that is open
        self._value: str | None = None  # the place of the object that is taken as a whole
        self._number = 0
        self._names: set[str] = set()
        self._is_over = False

    def take(self, window: bytes, marks: Iterable[Mark]) -> Iterator[tuple[str, bytes]]:
        """The elements that end in this window."""
        start = 0
        for mark in marks:
            if self._is_over or not self._means(mark):
                continue
            opens = mark.sign in _OPEN
            keeps = self._value is not None and mark.sign in _CLOSE
            self._hold(window[start : mark.at + keeps])
            start = mark.at + 1
            if opens:
                start -= self._begin(mark)
            else:
                yield from self._end(mark)
        self._hold(window[start:])

    def finish(self) -> None:
        """Refuse a list that ends early, and one that more follows."""
        if not self._is_over or self._held.strip(_BLANK):
            said = "more follows after its end" if self._is_over else "it ends early"
            raise ReportError(f"its list of payloads is not whole, {said}", code="invalid_json")
        if not self._names.isdisjoint(SINGLE):
            raise ReportError("it is a list of payloads and a payload at once", code="invalid_json")

    def _means(self, mark: Mark) -> bool:
        if self._list == "$":
            return (mark.depth == 1 and mark.sign == _COMMA) or (mark.depth == 0 and mark.sign in _CLOSE)
        if self._list is not None:
            return (mark.depth == 2 and mark.sign == _COMMA) or (mark.depth == 1 and mark.sign in _CLOSE)
        if self._value is not None:
            return mark.depth == 1 and mark.sign in _CLOSE
        return mark.depth <= 1

    def _hold(self, text: bytes) -> None:
        self._held += text
        if len(self._held) > self._limit:
            raise ReportError(f"larger than {self._limit:,} bytes, the cap for one report", code="too_large")

    def _begin(self, mark: Mark) -> bool:
        """A bracket opens; whether it belongs to what is taken."""
        before = bytes(self._held)
        self._held.clear()
        if mark.depth == 0:
            self._list = "$" if mark.sign == _OPEN[0] else None
            return False
        name = self._noted(before)
        if name in LISTS and mark.sign == _OPEN[0]:
            self._list, self._number = f"$.{name}", 0
        elif name == "data":
            self._value = "$.data"
        return self._value is not None

    def _end(self, mark: Mark) -> Iterator[tuple[str, bytes]]:
        """A comma or a closing bracket: the end of a member or element."""
        text, is_last = bytes(self._held.strip(_BLANK)), mark.sign in _CLOSE
        self._held.clear()
        self._is_over = is_last and mark.depth == 0
        if self._list is not None:
            if text or self._number or not is_last:
                yield f"{self._list}[{self._number}]", text
                self._number += 1
            self._list = None if is_last else self._list
        elif self._value is not None:
            place, self._value = self._value, None
            yield place, text
        elif mark.sign == _COMMA or self._is_over:  # what a bracket closes within is a value that is not taken
            self._noted(text)

    def _noted(self, member: bytes) -> str:
        found = _MEMBER.match(member)
        name = _name(found[1]) if found else ""
        self._names.add(name)
        return name


def _marked(document: Iterable[bytes]) -> Iterator[tuple[bytes, list[Mark]]]:
    """Windows of a document, each with its marks that stand in at most two brackets."""
    in_text, depth = 0, 0
    for window in _windows(document):
        # A quote that is escaped ends no text; the same length, so that places stay.
        plain = window.replace(b"\\\\", b"  ").replace(b'\\"', b"  ") if b"\\" in window else window
        text = np.frombuffer(plain, np.uint8)
        at = np.flatnonzero(_IS_MARK[text])
        is_quote = text[at] == _QUOTE
        outside = ~is_quote & ((np.cumsum(is_quote) + in_text) % 2 == 0)
        in_text = (in_text + int(is_quote.sum())) % 2
        at = at[outside]
        steps = _STEP[text[at]]
        depths = depth + np.cumsum(steps)
        depth = int(depths[-1]) if len(depths) else depth
        own = depths - (steps == 1)
        shallow = own <= 2
        signs = text[at[shallow]]
        yield window, list(map(Mark, at[shallow].tolist(), signs.tolist(), own[shallow].tolist()))


def _windows(document: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of at most a window, none of which ends within an escape."""
    left = b""
    for piece in chain.from_iterable(map(_cut, document)):
        window = left + piece
        n_open = (len(window) - len(window.rstrip(b"\\"))) % 2
        left = window[len(window) - n_open :]
        if n_open < len(window):
            yield window[: len(window) - n_open]
    if left:
        yield left


def _cut(piece: bytes) -> Iterator[bytes]:
    return (piece[start : start + WINDOW] for start in range(0, len(piece), WINDOW))
