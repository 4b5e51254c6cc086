"""The tear sheet as a document and as a file: HTML or PDF."""

from __future__ import annotations

from pathlib import Path

from ..document.document import Document, drawn_once
from ..document.html import to_html
from ..document.write import write_document
from . import chapters
from .results import CompanyProfile

FORMS = (".html", ".pdf")


@drawn_once
def document(results: CompanyProfile) -> Document:
    """The sheet before it has a form; its charts are drawn once."""
    return chapters.document(results)


def render(results: CompanyProfile) -> str:
    """The page of these analyses: a pure function, the same input gives the same text."""
    return to_html(document(results))


def write_company_report(results: CompanyProfile, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the sheet to a file only its owner can read, whole or not at all; its name ends in ``.html`` or ``.pdf``.

    Raises
    ------
    InputError
        Another ending, the file exists and `overwrite` is not set, or it cannot be written.
    """
    return write_document(document(results), path, FORMS, overwrite=overwrite)
