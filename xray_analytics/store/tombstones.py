"""Who must not come back: keyed hashes of the ids of companies that were forgotten.

The hashes stand in the cursor of the manifest, so that they are published with the erasure itself; the key is a file of
the store, whose SHA-256 every manifest repeats. Whoever has both can try out ids, which is why the store's folder stays
private. Every spelling is looked up, but only the number of a French company is remembered in a form that several
spellings lead to: other ids that begin alike are those of others.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .. import files
from ..errors import StoreError
from ..grammar.identity import code_fault, without_blanks

KEY_FILE = "key"
KEY_BYTES = 32
CURSOR_NAME = "forgotten"
_HEX_DIGITS = 32
# The columns that say whose a row is; in a table that has several, any of them.
OWNERS = frozenset(("report_id", "request_id", "medium_id", "object_id", "company_id"))
GROUP = "group_id"
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
_EXACTLY = "\0"  # before an id that is remembered as itself only
# Alone, of a SIRET, of a VAT number.
_SIREN = re.compile(r"(\d{9})(?:\d{5})?|[Ff][Rr][0-9A-Za-z]{2}(\d{9})", re.ASCII)
_DIVIDERS = re.compile(r"[./-]")
_MARK = re.compile(r"[0-9a-f]{32}")


def spellings(text: str) -> set[str]:
    """The texts under which an id is looked up.

    Itself; without blanks; the SIREN in a SIRET or a French VAT number, and one whose digits points or dashes divide;
    24 hexadecimal digits in small; and, marked as such, exactly it.

    >>> sorted(spellings("514 673 987 00012"))
    ['\\x0051467398700012', '514 673 987 00012', '514673987', '51467398700012']
    >>> sorted(spellings("61BAF5802353003B888C3D00"))
    ['\\x0061baf5802353003b888c3d00', '61BAF5802353003B888C3D00', '61baf5802353003b888c3d00']
    >>> ["514673987" in spellings(text) for text in ("514.673.987", "FR40514673987", "IT40514673987", "51467398A")]
    [True, True, False, False]
    """
    bare = _bare(text)
    siren = siren_in(bare)
    return {text, bare, bare.lower() if _OBJECT_ID.fullmatch(bare) else bare, _exactly(bare)} | (
        {siren} if siren else set()
    )


def remembered(text: str, *, is_siren: bool = False) -> set[str]:
    """The texts under which an id is remembered: exactly as it is, and a SIREN so that all spellings lead to it.

    A number of another kind, or the id of an object, leads to none that only begins like it.

    >>> sorted(remembered("51467398700012")), sorted(remembered("514 673 987 00012", is_siren=True))
    (['\\x0051467398700012'], ['\\x0051467398700012', '514673987'])
    """
    bare = _bare(text)
    siren = siren_in(bare) if is_siren else None
    return {_exactly(bare)} | ({siren} if siren else set())


def plain(texts: Iterable[str]) -> set[str]:
    """Texts of `remembered` as they are written elsewhere.

    >>> sorted(plain(remembered("61BAF5802353003B888C3D00")))
    ['61baf5802353003b888c3d00']
    """
    return {text.removeprefix(_EXACTLY) for text in texts}


def siren_in(text: str) -> str | None:
    """The SIREN that a number is or holds, None where there is none whose check digit fits.

    >>> siren_in("514.673.987"), siren_in("51467398700012"), siren_in("20240000100001"), siren_in("24288945")
    ('514673987', '514673987', None, None)
    """
    number = _SIREN.fullmatch(_DIVIDERS.sub("", _bare(text)))
    siren = (number[1] or number[2]) if number else None
    return siren if siren and code_fault(siren) is None else None


def _bare(text: str) -> str:
    return without_blanks(unicodedata.normalize("NFKC", text))


def _exactly(bare: str) -> str:
    return _EXACTLY + (bare.lower() if _OBJECT_ID.fullmatch(bare) else bare)


@dataclass(frozen=True)
class Tombstones:
    """Ids that were forgotten: ``id in tombstones`` answers, and nothing lists them."""

    key: bytes
    marks: frozenset[str]

    def __contains__(self, object_id: str) -> bool:
        return bool(self.marks) and any(_mark(self.key, text) in self.marks for text in spellings(object_id))

    def __bool__(self) -> bool:
        return bool(self.marks)

    def with_texts(self, texts: Iterable[str]) -> Tombstones:
        """These and those of more texts, as `remembered` gives them."""
        return Tombstones(self.key, self.marks | {_mark(self.key, text) for text in texts})


def read(root: Path, cursor: Mapping[str, Any], key_sha256: str | None = None) -> Tombstones:
    """The tombstones of a store; `key_sha256` is what its manifest says of the key.

    Raises
    ------
    StoreError
        There are some and their key is missing or not the one they were made with: without it, who was forgotten
        could come back.
    """
    marks = frozenset(cursor.get(CURSOR_NAME, ()))
    problem = fault(root, marks, key_sha256)
    if problem:
        raise StoreError(
            f"store {root}: its file {KEY_FILE} {problem}, and without it companies that were forgotten could "
            "come back; restore it from a backup"
        )
    return Tombstones(_key(root) or b"", marks)


def fault(root: Path, marks: frozenset[str], key_sha256: str | None) -> str | None:
    """What is wrong with the key, or None; without tombstones none is needed.

    Raises
    ------
    StoreError
        It is there and cannot be read.
    """
    if not marks:
        return None
    if not all(_MARK.fullmatch(mark) for mark in marks):
        return "belongs to marks that no version of this package makes"
    key = _key(root)
    if key is None:
        return "is missing"
    is_same = key_sha256 in (None, hashlib.sha256(key).hexdigest())
    return None if is_same and len(key) == KEY_BYTES else "is damaged"


def key_digest(root: Path) -> str | None:
    """The SHA-256 of the key, for the manifest; None where the store has none."""
    key = _key(root)
    return None if key is None else hashlib.sha256(key).hexdigest()


def make_key(root: Path) -> None:
    """Make the key if there is none: whole or not at all, readable by its owner only. For the one who writes."""
    if (root / KEY_FILE).exists():
        return
    staged = root / "staging" / KEY_FILE
    with files.changing(root):
        files.create(staged, os.urandom(KEY_BYTES))
        files.publish(staged, root / KEY_FILE)
        files.sync_directory(root)
        files.remove(staged)


def without(rows: pa.Table, is_gone: Callable[[str], bool]) -> pa.Table:
    """The rows that belong to nobody who is gone; that somebody is in their group is not said any more."""
    gone = pa.array([False] * len(rows), pa.bool_())
    for name in sorted(OWNERS & set(rows.column_names)):
        gone = pc.or_(gone, _is_in(rows[name], is_gone))
    if GROUP in rows.column_names:
        group = pc.if_else(_is_in(rows[GROUP], is_gone), pa.scalar(None, pa.string()), rows[GROUP])
        at = rows.schema.get_field_index(GROUP)
        rows = rows.set_column(at, rows.schema.field(at), group)
    return rows.filter(pc.invert(gone))


def _is_in(column: pa.ChunkedArray, is_gone: Callable[[str], bool]) -> pa.ChunkedArray:
    named = [one for one in pc.unique(column).to_pylist() if one is not None and is_gone(one)]
    return pc.is_in(column, pa.array(named, pa.string()))


def _key(root: Path) -> bytes | None:
    try:
        return (root / KEY_FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"store {root}: its file {KEY_FILE} cannot be read ({error.strerror}); check its owner and mode"
        ) from None


def _mark(key: bytes, object_id: str) -> str:
    return hmac.new(key, object_id.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:_HEX_DIGITS]
