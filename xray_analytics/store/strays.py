"""Files in the store's folder that no kept manifest names: left by a writer that was killed, put back, or put there.

In ``commits``, ``parts``, ``documents`` and ``staging`` everything is the store's own, and upkeep removes what nothing
names; anywhere else it touches nothing but files that end in ``.part``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from .manifests import Manifest
from .tombstones import KEY_FILE

JOURNAL_FILE = "journal.sqlite3"
GRACE = timedelta(days=7)  # what a reader of an older commit, or a writer at work, may still need
_OWN_FOLDERS = ("commits", "parts", "documents", "staging")
_ROOT_FILES = re.compile(rf"lock|{KEY_FILE}|{re.escape(JOURNAL_FILE)}(-wal|-shm|-journal)?")
_PART = re.compile(r"parts/\w+/(\d{12})-[0-9a-f]{12}\.parquet")
_MANIFEST = re.compile(r"commits/(\d{12})\.json")
_DOCUMENT = re.compile(r"documents/[0-9a-f]{64}\.pdf")


@dataclass(frozen=True)
class Stray:
    """One such file: its path in the store, what is wrong with it, and whether upkeep may remove it, and now."""

    name: str
    problem: str
    is_ours: bool
    is_due: bool


def strays(root: Path, head: Manifest, kept: Sequence[Manifest], grace: timedelta = GRACE) -> Iterator[Stray]:
    """The files that none of these manifests names, by path.

    Those of a company that was forgotten are due at once, and so is what can be no file of the store; what a reader or
    a writer may still need is due once it is older than `grace`.
    """
    named, oldest = _named(kept), time.time() - grace.total_seconds()
    for path in _every_file(root):
        name = path.relative_to(root).as_posix()
        if name in named or _ROOT_FILES.fullmatch(name) or _is_kept_manifest(name, head):
            continue
        is_old = _changed_at(path) < oldest
        part = _PART.fullmatch(name)
        if (part and int(part[1]) < head.root) or _MANIFEST.fullmatch(name):
            yield Stray(name, "is from before a company was forgotten", True, True)
        elif part or _DOCUMENT.fullmatch(name) or name.startswith("staging/"):
            yield Stray(name, "is named by no commit that is kept", True, is_old)
        else:
            is_ours = name.startswith(tuple(f"{folder}/" for folder in _OWN_FOLDERS)) or name.endswith(".part")
            yield Stray(name, "is no file of the store", is_ours, True)


def _named(kept: Sequence[Manifest]) -> set[str]:
    parts = {f"parts/{table}/{part.name}" for one in kept for table, live in one.parts.items() for part in live}
    return parts | {f"documents/{sha256}.pdf" for one in kept for sha256 in one.documents().values()}


def _is_kept_manifest(name: str, head: Manifest) -> bool:
    number = _MANIFEST.fullmatch(name)
    return number is not None and int(number[1]) >= head.root


def _every_file(root: Path) -> Iterator[Path]:
    """Files and links below a folder, in a fixed order; hidden files of its own level are somebody else's business."""
    for folder, below, names in os.walk(root):
        here = Path(folder)
        links = [name for name in below if (here / name).is_symlink()]
        below[:] = sorted(set(below) - set(links))
        for name in sorted([*names, *links]):
            if here != root or not name.startswith(".") or name.endswith(".part"):
                yield here / name


def _changed_at(path: Path) -> float:
    try:
        return os.lstat(path).st_mtime
    except FileNotFoundError:  # a writer at work has finished it meanwhile
        return time.time()
