"""Tombstones: who must not come back, as keyed hashes of the ids of companies that were forgotten.

The hashes stand in the cursor of the manifest, so that they are published with the erasure itself; the key is a file of
the store. Whoever has both can try out ids, which is why the store's folder stays private.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..errors import StoreError

KEY_FILE = "key"
CURSOR_NAME = "forgotten"
_HEX_DIGITS = 32


@dataclass(frozen=True)
class Tombstones:
    """Ids that were forgotten: ``id in tombstones`` answers, and nothing lists them."""

    key: bytes
    marks: frozenset[str]

    def __contains__(self, object_id: str) -> bool:
        return bool(self.marks) and _mark(self.key, object_id) in self.marks

    def __bool__(self) -> bool:
        return bool(self.marks)

    def with_ids(self, ids: Iterable[str]) -> Tombstones:
        """These and those of more ids."""
        return Tombstones(self.key, self.marks | {_mark(self.key, i) for i in ids})


def read(root: Path, cursor: Mapping[str, Any]) -> Tombstones:
    """The tombstones of a store.

    Raises
    ------
    StoreError
        There are some and their key is missing: without it, who was forgotten could come back.
    """
    marks = frozenset(cursor.get(CURSOR_NAME, ()))
    path = root / KEY_FILE
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        if marks:
            raise StoreError(
                f"store {root}: its file {KEY_FILE} is missing, and without it companies that were forgotten could "
                "come back; restore it from a backup"
            ) from None
        key = b""
    return Tombstones(key, marks)


def make_key(root: Path) -> None:
    """Make the key if there is none: whole or not at all, readable by its owner only. For the one who writes."""
    if (root / KEY_FILE).exists():
        return
    staged = root / "staging" / KEY_FILE
    with files.changing(root):
        files.create(staged, os.urandom(32))
        files.publish(staged, root / KEY_FILE)
        files.sync_directory(root)
        files.remove(staged)


def _mark(key: bytes, object_id: str) -> str:
    return hmac.new(key, object_id.encode(), hashlib.sha256).hexdigest()[:_HEX_DIGITS]
