"""A folder of files: all of them or none, for their owner's eyes, and never over what somebody else put there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .. import files
from ..errors import InputError

DESCRIPTOR = "datapackage.json"


def save_folder(contents: Mapping[str, bytes], folder: Path, *, overwrite: bool) -> None:
    """Write these contents by their names as one folder, by a rename once all are on the disk.

    Raises
    ------
    InputError
        The folder exists and `overwrite` is not set, holds more than an earlier export, or cannot be written.
    """
    check_target(folder, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))  # mode 0700
        try:
            for name, data in contents.items():
                files.create(staged / name, data)
            files.sync_directory(staged)
            files.exchange(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise InputError(f"cannot write the export to {folder}: {error.strerror}; choose another place") from None


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Whether an export may be written there, before any work is done for it; errors as `save_folder`."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(f"{folder} is not a folder; choose another place")
    names = {path.name for path in folder.iterdir()}
    if not names:
        return
    if not overwrite:
        raise InputError(f"{folder} exists already; choose another place, or --force to replace the export in it")
    foreign = names - _of_export(folder)
    if foreign:
        raise InputError(f"{folder} holds {sorted(foreign)[0]}, which no export wrote; choose another place")


def _of_export(folder: Path) -> set[str]:
    """The files that the export in the folder consists of."""
    try:
        described = json.loads((folder / DESCRIPTOR).read_bytes())
        return {DESCRIPTOR, *(resource["path"] for resource in described["resources"])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
