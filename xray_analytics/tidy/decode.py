"""JSON decoding: bytes to a checked tree, strict about what JSON forbids or two decoders would read differently.

Everything refused is a `ReportError` with a stable code and the JSON path; messages never quote content.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any, Never

import msgspec
import numpy as np

from ..errors import ReportError
from .drift import DriftNotes

Json = Any
MAX_DEPTH = 64
KEPT = "; the bytes are kept in quarantine"
_BOM = b"\xef\xbb\xbf"

_sorted_json = msgspec.json.Encoder(order="sorted", decimal_format="number")


def refuse(code: str, path: str, problem: str) -> Never:
    """Raise the `ReportError` that quarantines a report."""
    where = f"$.{path}" if path else "$"
    raise ReportError(f"{where}: {problem}{KEPT}", code=code, json_path=where)


def refusal(error: Exception) -> ReportError:
    """The error that quarantines a report, of any exception; without its frames, which hold what was read."""
    if not isinstance(error, ReportError):
        message = f"$: expected a payload as documented, found one that cannot be read ({type(error).__name__}){KEPT}"
        return ReportError(message, code="unreadable", json_path="$")
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def parse(body: bytes, *, exact: bool = False, notes: DriftNotes | None = None) -> Json:
    """The tree of a JSON text, or a `ReportError`.

    Members given twice, NaN and Infinity, numbers out of range, more than 64 levels, invalid UTF-8 and anything
    after the end are refused. A UTF-8 byte order mark is tolerated. Half a surrogate pair, which UTF-8 cannot carry,
    is replaced and noted. With `exact`, numbers with a fraction are `Decimal`.
    """
    body = body.removeprefix(_BOM)
    if not exact:
        try:
            tree = msgspec.json.decode(body)
            if count_members(tree) == written_members(body):
                return tree
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # the exact parser below names what is wrong, or finds half a surrogate pair
    return _parse_exactly(body, Decimal if exact else float, notes or DriftNotes())


def content_sha256(tree: Json) -> str:
    """SHA-256 of the canonical form: members sorted, no white space."""
    return hashlib.sha256(_sorted_json.encode(tree)).hexdigest()


def to_json(value: Json) -> str:
    """A value as JSON text with sorted members."""
    return _sorted_json.encode(value).decode()


def count_members(value: Json, depth: int = 1) -> int:
    """How many members all objects of a tree hold.

    >>> count_members({"a": [{"b": 1}, {}]})
    2
    """
    n, level = 0, [value]
    while level:
        if depth > MAX_DEPTH:
            raise RecursionError
        objects = [item for item in level if type(item) is dict]
        arrays = [item for item in level if type(item) is list]
        n += sum(map(len, objects))
        children = chain(chain.from_iterable(map(dict.values, objects)), chain.from_iterable(arrays))
        level = [child for child in children if type(child) is dict or type(child) is list]
        depth += 1
    return n


def written_members(body: bytes) -> int:
    """How many members a text writes, or -1 where only the exact parser can tell.

    A member ends in ``":``. Inside a text that sequence must be written ``\\":`` and only raises the count, so that a
    count equal to that of the decoded tree proves that no member was written twice, unless white space before a colon
    hid one: then the answer is -1.
    """
    text = np.frombuffer(body, np.uint8)
    colon, before = text[1:] == ord(":"), text[:-1]
    blank = colon & (before <= ord(" "))
    if blank.any() and any(_ends_name(body, int(at)) for at in np.flatnonzero(blank)):
        return -1
    return int(np.count_nonzero(colon & (before == ord('"'))))


def _ends_name(body: bytes, blank: int) -> bool:
    """Whether the white space that ends at this position may follow a member's name."""
    window = body[max(0, blank - 63) : blank + 1].rstrip(b" \t\r\n")
    return not window or window.endswith(b'"')


@dataclass(frozen=True)
class _Refused:
    """Stands in the tree where the parser met something refused, until its path is known."""

    code: str
    problem: str


def _parse_exactly(body: bytes, real: Callable[[str], Any], notes: DriftNotes) -> Json:
    try:
        tree = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=lambda word: _Refused("not_a_number", f"expected a number, found {word}"),
            parse_float=lambda text: _real(text, real),
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        refuse("invalid_utf8", "", f"expected UTF-8, found other bytes at position {error.start}")
    except json.JSONDecodeError as error:
        found = "another text" if error.doc[error.pos :].strip() else "the end of the text"
        refuse("invalid_json", "", f"expected one JSON value, found {found} at position {error.pos}")
    except RecursionError:
        refuse("too_deep", "", f"expected at most {MAX_DEPTH} levels, found more")
    return _checked(tree, "", notes)


def _object(pairs: list[tuple[str, Any]]) -> Any:
    members = dict(pairs)
    if len(members) < len(pairs):
        return _Refused("duplicate_member", "expected every member once, found one twice")
    return members


def _real(text: str, real: Callable[[str], Any]) -> Any:
    if math.isinf(float(text)):
        return _Refused("number_out_of_range", "expected a number within float64, found a larger one")
    return real(text)


def _integer(text: str) -> Any:
    if len(text) > 300:
        return _Refused("number_out_of_range", "expected a number within float64, found a larger one")
    return int(text)


def _checked(value: Any, path: str, notes: DriftNotes, depth: int = 1) -> Any:
    """The tree without half surrogates; raises at the first refused value, now with its path."""
    if isinstance(value, _Refused):
        refuse(value.code, path.removeprefix("."), value.problem)
    if depth > MAX_DEPTH and isinstance(value, dict | list):
        refuse("too_deep", path.removeprefix("."), f"expected at most {MAX_DEPTH} levels, found more")
    if isinstance(value, dict):
        named = [(_text(name, f"{path}.{name}", notes), item) for name, item in value.items()]
        members = {name: _checked(item, f"{path}.{name}", notes, depth + 1) for name, item in named}
        if len(members) < len(value):
            refuse("duplicate_member", path.removeprefix("."), "expected every member once, found one twice")
        return members
    if isinstance(value, list):
        return [_checked(v, f"{path}[{i}]", notes, depth + 1) for i, v in enumerate(value)]
    return _text(value, path, notes) if isinstance(value, str) else value


def _text(value: str, path: str, notes: DriftNotes) -> str:
    whole = _whole(value)
    if whole is not value:
        place = re.sub(r"\[\d+\]", "[]", _whole(path))
        notes.add(place.removeprefix(".").removeprefix("report."), "replaced_text")
    return whole


def _whole(text: str) -> str:
    """The text itself, or, where UTF-8 cannot carry half a surrogate pair in it, with a replacement for that."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
