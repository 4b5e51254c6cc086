"""Content-addressed documents: the PDF of a report as received, under its digest, named by the manifest's cursor.

::

    <store>/documents/<sha256>.pdf      immutable; SHA-256 checked whenever it is read
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .. import files
from ..errors import StoreError
from .commits import writing
from .manifests import DOCUMENTS, Manifest, read_head

FOLDER = "documents"


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
            writer.commit(cursor=cursor | {DOCUMENTS: known | {report_id: sha256}})
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
    return head.documents() if head else {}


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
