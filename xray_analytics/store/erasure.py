"""Erasure: what is left to be removed, every file of the commits before the root.

A commit that erases a company is the new root of history. Once it is published, files that the head does not name go at
once and without grace; the old manifests go last, so that as long as one is there the work is known to be unfinished.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from .. import files
from .manifests import Manifest, published, vouched_for
from .strays import strays


def is_unfinished(root: Path, head: Manifest) -> bool:
    """Whether manifests of the time before an erasure are still there."""
    return published(root)[0] < head.root


def finish(root: Path, head: Manifest) -> int:
    """Remove every file of the store that no commit since the erasure names, old or not; gives how many there were.

    For the one who holds the lock. Readers of an older commit get a `StoreError` for what is gone.
    """
    doomed = [
        root / stray.name for stray in strays(root, head, list(vouched_for(root, head)), timedelta(0)) if stray.is_ours
    ]
    before = [path for path in doomed if path.parent.name == "commits"]
    for group in (sorted(set(doomed) - set(before)), before):
        for path in group:
            files.remove(path)
        for folder in sorted({path.parent for path in group}):
            files.sync_directory(folder)
    return len(doomed)
