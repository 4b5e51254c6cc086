"""The validation report as a document and as a file: HTML, workbook or PDF."""

from __future__ import annotations

from pathlib import Path

from ..document.document import Document, drawn_once
from ..document.html import to_html
from ..document.write import write_document
from . import chapters
from .results import Validation

FORMS = (".html", ".xlsx", ".pdf")


@drawn_once
def document(results: Validation) -> Document:
    """The report before it has a form; its charts are drawn once."""
    return chapters.document(results)


def render(results: Validation) -> str:
    """The page of these statistics: a pure function, the same input gives the same text."""
    return to_html(document(results))


def write_validation_report(results: Validation, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the report to a file only its owner can read: whole, or not at all.

    The ending of the name decides the form: ``.html``, ``.xlsx`` or ``.pdf``.

    Raises
    ------
    InputError
        Another ending, the file exists and `overwrite` is not set, or it cannot be written.
    """
    return write_document(document(results), path, FORMS, overwrite=overwrite)
