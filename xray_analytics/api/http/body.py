"""When is a body complete, and is it JSON to its end?

Common clients hand over the first part of a compressed stream as if it were all of it, and inflate a small answer to
any size. Here the stream must end where its own format says, and the decoded size is capped while it is being read.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

import msgspec

BOM = b"\xef\xbb\xbf"
# What decoding JSON raises that someone made up: no JSON, no UTF-8, too deep, a number that fits nowhere.
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, ArithmeticError)
_JSON_TYPE = re.compile(r"(application|text)/([\w.-]+\+)?json", re.ASCII | re.IGNORECASE)
# RFC 9110: "deflate" is the zlib format, not a bare stream.
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def decoded(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    """All of `chunks` after removing one content encoding (gzip, deflate or none).

    Raises
    ------
    LookupError
        Another encoding, or more than one.
    OverflowError
        More than `limit` decoded bytes; never more than one chunk beyond is held.
    EOFError, zlib.error
        The compressed stream ends too early, goes on after its end, or is damaged.

    Examples
    --------
    >>> decoded([b"[1,", b"2]"], "identity", limit=100)
    b'[1,2]'
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return _joined(chunks, limit)
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    body = _joined(_inflated(chunks, inflater, limit), limit)
    if not inflater.eof:
        raise EOFError("the compressed stream ends too early")
    return body


def is_json(body: bytes) -> bool:
    """Whether `body` is one JSON document in UTF-8 from its first to its last byte; a leading BOM is tolerated.

    Examples
    --------
    >>> is_json(b'{"id": 1}'), is_json(b'{"id": 1'), is_json(b'{"id": NaN}'), is_json(b"{}{}")
    (True, False, False, False)
    """
    text = body.removeprefix(BOM)
    try:
        if not text.isascii():
            text.decode()
        msgspec.json.decode(text, type=msgspec.Raw)
    except UNREADABLE:
        return False
    return True


def is_json_type(content_type: str) -> bool:
    """Whether a ``Content-Type`` announces JSON.

    Examples
    --------
    >>> is_json_type("application/json; charset=utf-8"), is_json_type("text/html")
    (True, False)
    """
    return _JSON_TYPE.fullmatch(content_type.partition(";")[0].strip()) is not None


def _joined(chunks: Iterable[bytes], limit: int) -> bytes:
    pieces, size = [], 0
    for piece in chunks:
        size += len(piece)
        if size > limit:
            raise OverflowError("the body is larger than its cap")
        pieces.append(piece)
    return b"".join(pieces)


def _inflated(chunks: Iterable[bytes], inflater: zlib._Decompress, limit: int) -> Iterable[bytes]:
    room = limit
    for chunk in chunks:
        # One byte above the room is enough to see that the cap is passed, and stops a bomb inside a single chunk.
        piece = inflater.decompress(chunk, room + 1)
        if inflater.unused_data:
            raise EOFError("bytes follow the end of the compressed stream")
        room -= len(piece)
        yield piece
