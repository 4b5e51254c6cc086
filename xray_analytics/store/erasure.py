"""Erasure: what is left to be removed, every file of the commits before the root.

A commit that erases a company is the new root of history. Once it is published, files that the head does not name go at
once and without grace; the old manifests go last, so that as long as one is there the work is known to be unfinished.
"""

from __future__ import annotations

from pathlib import Path

from .. import files
from .manifests import Manifest, published


def is_unfinished(root: Path, head: Manifest) -> bool:
    """Whether manifests of the time before an erasure are still there."""
    return published(root)[0] < head.root


def finish(root: Path, head: Manifest) -> int:
    """Remove every part, document and manifest that the head does not name; gives how many there were.

    For the one who holds the lock. Readers of an older commit get a `StoreError` for what is gone.
    """
    named = {f"{name}/{part.name}" for name, live in head.parts.items() for part in live}
    documents = {f"{sha256}.pdf" for sha256 in head.cursor.get("documents", {}).values()}
    doomed = [p for p in root.glob("parts/*/*.parquet") if f"{p.parent.name}/{p.name}" not in named]
    doomed += [p for p in root.glob("documents/*") if p.name not in documents]
    before = [root / "commits" / f"{number:012d}.json" for number in published(root) if number < head.root]
    for group in (doomed, before):
        for path in sorted(group):
            files.remove(path)
        for folder in sorted({path.parent for path in group}):
            files.sync_directory(folder)
    return len(doomed) + len(before)
