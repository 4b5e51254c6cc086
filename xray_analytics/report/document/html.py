"""A document as one HTML page that loads nothing and runs nothing; all text from outside is escaped."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import jinja2

from .document import FICTION, Document
from .page import unbroken


def to_html(document: Document, *, template: str = "document.html.jinja") -> str:
    """The page: a pure function, the same document gives the same text."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page.filters["unbroken"] = unbroken
    known = {"document": document, "edition": document.edition, "fiction": FICTION}
    return page.get_template(template).render(known, version=version("xray-analytics"))
