"""A report before it has a form: sections of sentences, tables, charts and terms, for HTML, PDF and XLSX alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import ClassVar, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from ..edition import Edition
from .page import Figure, Grid, Tile

_Results = TypeVar("_Results")


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Sentences:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "sentences"


@dataclass(frozen=True)
class NamedGrid:
    """A grid under a name; `sheet` is its name in a workbook, empty where it has no place there."""

    label: str
    grid: Grid
    sheet: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Charts:
    """Figures side by side, by the name that a link within the page has."""

    figures: Mapping[str, Figure]
    columns: int = 2
    kind: ClassVar[str] = "charts"


@dataclass(frozen=True)
class Glossary:
    """Names and what they mean."""

    terms: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "terms"


@dataclass(frozen=True)
class Columns:
    """Two stacks of blocks beside each other."""

    left: tuple[Block, ...]
    right: tuple[Block, ...]
    kind: ClassVar[str] = "columns"


Block: TypeAlias = "Heading | Sentences | NamedGrid | Charts | Glossary | Columns"


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; on paper on a new page where that is wanted."""

    title: str
    blocks: tuple[Block, ...]
    on_new_page: bool = False

    def each(self) -> Iterator[Block]:
        """Every block, those within columns too."""
        for block in self.blocks:
            yield from (*block.left, *block.right) if isinstance(block, Columns) else (block,)


@dataclass(frozen=True)
class Document:
    """A whole report: its head, its headline numbers, its sections; set small where it is to fit on few pages."""

    edition: Edition
    lead: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    is_small: bool = False

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure with its name, in order."""
        for section in self.sections:
            for block in section.each():
                if isinstance(block, Charts):
                    yield from block.figures.items()

    @property
    def made_by(self) -> str:
        """How the report came about, but for the command."""
        commit = f", store commit {self.edition.commit}" if self.edition.commit is not None else ""
        return f"from the snapshot of {self.edition.as_of}{commit}. The same snapshot gives the same bytes."


FICTION = (
    "All companies in this report are fictitious.",
    "Names, codes and figures come from the embedded sandbox and say nothing about any real company.",
)


def drawn_once(make: Callable[[_Results], Document]) -> Callable[[_Results], Document]:
    """The maker of a document, asked once per results: the charts drawn for one form serve the others.

    Results are told apart by identity and hold no document themselves, so that they know no form of a report. Their
    document lives as long as they do.

    Examples
    --------
    >>> class Results:
    ...     pass
    >>> document = drawn_once(lambda results: Document(Edition("2025-06-30"), "Nothing", (), ()))
    >>> results = Results()
    >>> document(results) is document(results), document(results) is document(Results())
    (True, False)
    """
    drawn: WeakKeyDictionary[_Results, Document] = WeakKeyDictionary()

    @wraps(make)
    def document(results: _Results) -> Document:
        if results not in drawn:
            drawn[results] = make(results)
        return drawn[results]

    return document
