"""The validation report as a document and as a file: HTML, workbook or PDF."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ...files import save
from ..document.document import Document, drawn_once
from ..document.html import to_html
from ..document.write import write_document
from . import chapters
from .cohorts import usable
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


def write_rows(results: Validation, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the observations of every cohort as CSV, so that others can compute each figure again.

    A row per company and as-of date: what `backtest.observations` gives, with ``is_used``: whether it enters the tests
    of its date. The file is for its owner only, as it names companies by their code.

    Raises
    ------
    InputError
        The name does not end in ``.csv``, the file exists and `overwrite` is not set, or it cannot be written.
    """
    if Path(path).suffix.lower() != ".csv":
        raise InputError(f"{path} does not end in .csv; rows are written as CSV")
    observed = results.cohorts.observed
    rows = observed.assign(is_used=observed.index.isin(usable(observed).index))
    return save(rows.to_csv(index=False), path, overwrite=overwrite)
