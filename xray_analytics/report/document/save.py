"""Writing a report: whole or not at all, for its owner's eyes, and never over another file by accident."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ...errors import InputError


def save(content: str | bytes, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write text (UTF-8) or bytes to a file only its owner can read (mode 0600): whole, or not at all.

    Raises
    ------
    InputError
        The file exists and `overwrite` is not set, or it cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; choose another name, or --force to replace it")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".report-")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"cannot write the report to {path}: {error.strerror}; choose another place") from error
    return path
