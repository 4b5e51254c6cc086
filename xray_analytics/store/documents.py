"""Documents of reports: the PDF as received, under its own digest, named by the cursor of the manifest.

::

    <store>/documents/<sha256>.pdf      immutable; SHA-256 checked whenever it is read
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..errors import InputError, StoreError
from . import files
from .commits import writing
from .manifests import Manifest, read_head

FOLDER = "documents"
CURSOR = "documents"  # report id -> SHA-256


def add(root: Path, report_id: str, data: bytes) -> str:
    """Keep the document and say so in one commit; its SHA-256. One that is kept already changes nothing."""
    sha256 = hashlib.sha256(data).hexdigest()
    with writing(root) as writer:
        head = read_head(root)
        with files.changing(root, len(data)):
            _place(root, sha256, data)
        known = digests(head)
        if known.get(report_id) != sha256:
            cursor = dict(head.cursor) if head else {}
            writer.commit(cursor=cursor | {CURSOR: known | {report_id: sha256}})
    return sha256


def read(root: Path, head: Manifest | None, report_id: str) -> bytes | None:
    """The document of a report; None where none was kept.

    Raises
    ------
    StoreError
        It is missing, or not the one that was kept.
    """
    sha256 = digests(head).get(report_id)
    if sha256 is None:
        return None
    path = _path(root, sha256)
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    else:
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        problem = "is damaged"
    raise StoreError(f"document {path} {problem}; `xray pdf {report_id} --refresh` fetches it again")


def digests(head: Manifest | None) -> dict[str, str]:
    """The SHA-256 of the document of each report that has one."""
    return dict(head.cursor.get(CURSOR, {})) if head else {}


def write_copy(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """The document as a file of its own, private to its owner, and there only when it is complete.

    Raises
    ------
    InputError
        The file exists and is not to be replaced, or it cannot be written.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        files.create(staged, data)
        try:
            (files.move if overwrite else files.publish)(staged, path)
        finally:
            staged.unlink(missing_ok=True)
    except FileExistsError:
        raise InputError(f"{path} exists; --force replaces it, --out names another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another file") from None


def _place(root: Path, sha256: str, data: bytes) -> None:
    """Under its name in one step; a damaged file of that name is replaced."""
    path = _path(root, sha256)
    files.make_directory(path.parent)
    if path.is_file() and files.digest_now(path) == sha256:
        return
    staged = root / "staging" / path.name
    files.create(staged, data)
    files.move(staged, path)
    files.sync_directory(path.parent)


def _path(root: Path, sha256: str) -> Path:
    return root / FOLDER / f"{sha256}.pdf"
