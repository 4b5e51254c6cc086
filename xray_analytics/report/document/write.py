"""A document to a file, in the form that its name asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import InputError
from ...files import save
from .document import Document, Glossary
from .html import to_html
from .pdf import to_pdf
from .sheets import of_document
from .workbook import Sheet, workbook


def write_document(
    document: Document,
    path: str | Path,
    forms: Sequence[str],
    *,
    sheets: Callable[[Document], list[Sheet]] = of_document,
    overwrite: bool = False,
) -> Path:
    """Write a document as ``.html`` or ``.pdf``, or its sheets as ``.xlsx``, whole or not at all.

    The ending of the name decides; `forms` are those that this report has.

    Raises
    ------
    InputError
        Another ending, the file exists and `overwrite` is not set, or it cannot be written.
    """
    form = check_form(path, forms)
    edition = document.edition
    if form == ".xlsx":
        content: str | bytes = workbook(sheets(document), about(document), title=edition.title, as_of=edition.as_of)
    else:
        content = to_html(document) if form == ".html" else to_pdf(document)
    return save(content, path, overwrite=overwrite)


def check_places(paths: Sequence[Path], forms: Sequence[str], *, overwrite: bool) -> None:
    """Refuse names before hours are spent on what would stand in them.

    Raises
    ------
    InputError
        One ends in none of these forms, is given twice, or exists and `overwrite` is not set.
    """
    for path in paths:
        check_form(path, forms)
        if paths.count(path) > 1:
            raise InputError(f"{path} is given twice; give every form its own name")
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already; choose another name, or --force to replace it")


def check_form(path: str | Path, forms: Sequence[str]) -> str:
    """The ending of a name, if it is one of these forms.

    Raises
    ------
    InputError
        It is none.
    """
    form = Path(path).suffix.lower()
    if form not in forms:
        raise InputError(f"{path} ends in no form of a report; there are {', '.join(forms)}")
    return form


def about(document: Document) -> list[tuple[str, str]]:
    """What stands in *Read me*: when, from what, how again, and every term of the document."""
    edition = document.edition
    head = [
        ("As of", edition.as_of),
        ("Commit", "–" if edition.commit is None else str(edition.commit)),
        ("Changes since", edition.since),
        ("Smallest count shown", str(edition.min_n) if edition.min_n else "all are shown"),
        ("Command", edition.command or "–"),
    ]
    fiction = [("Fictitious", "All companies come from the embedded sandbox.")] * edition.synthetic
    blocks = [block for section in document.sections for block in section.each() if isinstance(block, Glossary)]
    terms = [term for block in blocks for term in block.terms]
    shown = [(figure.title or name, f"{figure.definition} {figure.base}") for name, figure in document.figures()]
    return [*fiction, *head, ("", ""), *terms, ("", ""), *shown]
