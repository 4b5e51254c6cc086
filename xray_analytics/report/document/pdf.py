"""A document as PDF on A4: text to select and search, fonts inside, charts as drawings, the same bytes again."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, cast

from fpdf import FPDF
from fpdf.enums import MethodReturnValue, TableBordersLayout
from fpdf.fonts import FontFace, TTFFont

from ...charts import font_files, plain
from .document import FICTION, Block, Charts, Columns, Document, Glossary, Heading, NamedGrid, Sentences
from .page import Figure, Grid, Tile

WIDTH, MARGIN, FOOT = 180.0, 15.0, 18.0  # mm, of A4's 210
_INK, _SOFT, _LINE, _ALARM = (31, 41, 51), (97, 110, 124), (225, 229, 234), (116, 16, 58)
_POINT = 25.4 / 72
_GAP = 3.0  # mm between the columns of a table
_NARROW = 26.0  # mm; columns up to here never give way
_BETWEEN = 6.0  # mm between charts
_LONGEST = 2_000  # characters of one paragraph or cell


def to_pdf(document: Document) -> bytes:
    """The file: a pure function, the same document gives the same bytes on the same versions of the libraries."""
    edition = document.edition
    paper = Paper(f"{edition.title}, {edition.as_of}", edition.as_of, is_small=document.is_small)
    if edition.synthetic:
        paper.sentence(" ".join(FICTION), size=8, color=_ALARM)
    paper.sentence(edition.title, size=18, bold=True)
    paper.sentence(document.lead, size=9, color=_SOFT)
    paper.tiles(document.tiles, columns=4 if document.is_small else 3)
    for section in document.sections:
        if section.on_new_page:
            paper.add_page()
        paper.section(section.title, paper.ahead(section.blocks))
        for at, block in enumerate(section.blocks):
            if isinstance(block, Heading):
                paper.keep(12 + paper.ahead(section.blocks[at + 1 :]))
            paper.block(block)
    again = f" To make it again: {edition.command}" if edition.command else ""
    paper.ln(4)
    paper.sentence(f"Made by xray_analytics {version('xray-analytics')} {document.made_by}{again}", size=7, color=_SOFT)
    return bytes(paper.output())


class Paper(FPDF):
    """Pages that fill from the top; everything is placed under what is there, on a new page where it has no room."""

    def __init__(self, title: str, as_of: str, *, is_small: bool = False) -> None:
        super().__init__(format="A4")
        self.left, self.span, self.size = MARGIN, WIDTH, 0.86 if is_small else 1.0
        self.set_title(plain(title, longest=200))
        self.set_creation_date(datetime.fromisoformat(as_of).replace(tzinfo=UTC))
        self.set_producer("xray_analytics")
        self.foot = plain(title, longest=120)
        self.set_margins(MARGIN, 12 if is_small else 14, MARGIN)
        self.set_auto_page_break(True, FOOT)
        for style, path in zip(("", "B"), font_files(), strict=True):
            self.add_font("house", style, path)
        self.c_margin = 0
        self.known: Collection[int] = cast(TTFFont, self.fonts["house"]).cmap
        self.add_page()

    def footer(self) -> None:
        """Title and page number at the foot of every page; called by the library."""
        self.set_y(-12)
        self._font(7, _SOFT)
        self.cell(WIDTH / 2, 4, self._known(self.foot))
        self.cell(WIDTH / 2, 4, f"{self.page_no()} / {{nb}}", align="R")

    def _known(self, text: str, longest: int = _LONGEST) -> str:
        """Text in which a character that the font lacks is a box, and nothing steers."""
        return "".join(c if ord(c) in self.known else "□" for c in plain(text, longest=longest))

    def _font(self, size: float, color: tuple[int, int, int] = _INK, *, bold: bool = False) -> None:
        self.set_font("house", "B" if bold else "", size * self.size)
        self.set_text_color(*color)

    def _line(self, size: float) -> float:
        """The height of a line [mm] of so many points."""
        return size * self.size * _POINT * 1.35

    def _write(self, text: str, width: float, size: float) -> None:
        """Lines of text from here on, in the font that is set."""
        self.multi_cell(width, self._line(size), self._known(text), align="L", new_x="LMARGIN", new_y="NEXT")

    @property
    def room(self) -> float:
        """What is left of the page [mm]."""
        return float(self.h - FOOT - self.get_y())

    def keep(self, height: float) -> None:
        """Begin a new page unless so much is left [mm]."""
        if self.room < height:
            self.add_page()

    def sentence(self, text: str, *, size: float = 8.5, color: tuple[int, int, int] = _INK, bold: bool = False) -> None:
        """A paragraph of the whole width."""
        self._font(size, color, bold=bold)
        self.multi_cell(
            self.span, size * _POINT * 1.4 * self.size, self._known(text), align="L", new_x="LMARGIN", new_y="NEXT"
        )
        self.ln(1)

    def ahead(self, blocks: Sequence[Block]) -> float:
        """The room that a heading needs below it, so that it is never alone at the foot of a page [mm]."""
        for block in blocks[:3]:
            if isinstance(block, Charts):
                return 15 + self._row(list(block.figures.values())[: block.columns], self._width(block))[1]
            if isinstance(block, Heading):
                break
        return 25

    def section(self, title: str, ahead: float = 25) -> None:
        """A heading under a line, with so much of what follows [mm] on its page."""
        self.keep(18 + ahead)
        self.ln(4)
        self.set_draw_color(*_INK)
        self.line(self.left, self.get_y(), self.left + self.span, self.get_y())
        self.ln(1.5)
        self.sentence(title, size=12, bold=True)

    def block(self, block: Block) -> None:
        """Any block of a document."""
        if isinstance(block, Heading):
            self.ln(1.5)
            self.sentence(block.text, size=9.5, bold=True)
        elif isinstance(block, Sentences):
            self.sentence(block.text)
        elif isinstance(block, NamedGrid):
            self.grid(block.grid)
        elif isinstance(block, Columns):
            self.columns(block)
        elif isinstance(block, Glossary):
            for name, meaning in block.terms:
                self.term(name, meaning)
        else:
            self.charts(block)

    def columns(self, block: Columns) -> None:
        """Two stacks beside each other, on the page where they begin."""
        top, left, span = self.get_y(), self.left, self.span
        lowest = top
        self.span = (span - _BETWEEN) / 2
        for at, blocks in enumerate((block.left, block.right)):
            self.left = left + at * (self.span + _BETWEEN)
            self.set_left_margin(self.left)
            self.set_xy(self.left, top)
            for inner in blocks:
                self.block(inner)
            lowest = max(lowest, self.get_y())
        self.left, self.span = left, span
        self.set_left_margin(left)
        self.set_xy(left, lowest)

    def tiles(self, tiles: Sequence[Tile], columns: int = 3) -> None:
        """Headline numbers in frames."""
        width, top = self.span / columns, self.get_y() + 1
        lines = [self._lines(f"{tile.definition}", width - 6, 7) for tile in tiles]
        for first in range(0, len(tiles), columns):
            height = (12 + 3.4 * max(lines[first : first + columns])) * self.size
            for at, tile in enumerate(tiles[first : first + columns]):
                self.set_draw_color(*_LINE)
                self.rect(self.left + at * width, top, width, height)
                texts = (
                    (tile.label, 7.5, _SOFT, False),
                    (tile.value, 14, _INK, True),
                    (tile.definition, 7, _SOFT, False),
                )
                self.set_y(top + 1)
                for text, size, color, bold in texts:
                    self.set_x(self.left + at * width + 2)
                    self._font(size, color, bold=bold)
                    self.multi_cell(
                        width - 4, size * _POINT * 1.35 * self.size, self._known(text), align="L", new_y="NEXT"
                    )
            top += height
        self.set_y(top + 2)

    def _lines(self, text: str, width: float, size: float) -> int:
        self._font(size)
        lines = self.multi_cell(width, 4, self._known(text), align="L", dry_run=True, output=MethodReturnValue.LINES)
        return len(cast(list[str], lines))

    def term(self, name: str, meaning: str, size: float = 8) -> None:
        """A name in bold and what it means."""
        self.keep(4 * self._lines(meaning, self.span - 42, size))
        top = self.get_y()
        self._font(size, bold=True)
        self.multi_cell(
            40, size * _POINT * 1.4 * self.size, self._known(name), align="L", new_x="LMARGIN", new_y="NEXT"
        )
        under = self.get_y()
        self.set_xy(self.left + 42, top)
        self._font(size)
        self.multi_cell(
            self.span - 42,
            size * _POINT * 1.4 * self.size,
            self._known(meaning),
            align="L",
            new_x="LMARGIN",
            new_y="NEXT",
        )
        self.set_y(max(under, self.get_y()) + 0.8)

    def grid(self, grid: Grid, *, size: float = 7, width: float | None = None) -> None:
        """A table; the head is repeated on every page."""
        self._font(size)
        texts = [[self._known(text, 400) for text in row] for row in (grid.heads, *grid.rows)]
        self.set_draw_color(*_LINE)
        line = TableBordersLayout.HORIZONTAL_LINES
        head = FontFace(emphasis="BOLD", color=_SOFT)
        align = tuple("RIGHT" if number else "LEFT" for number in grid.is_number)
        widths = self._widths(texts, width or self.span)
        with self.table(
            col_widths=tuple(widths), width=sum(widths), align="LEFT", text_align=align, borders_layout=line,
            headings_style=head, line_height=self._line(size), padding=(0.7, _GAP, 0.7, 0), v_align="TOP",
        ) as table:  # fmt: skip
            for row in texts:
                cells = table.row()
                for text in row:
                    cells.cell(text)
        if grid.n_more:
            self.sentence(f"{grid.n_more:,} more rows are not shown.", size=size, color=_SOFT)
        self.ln(1.5)

    def _widths(self, texts: Sequence[Sequence[str]], width: float) -> list[float]:
        """Columns as wide as their text; where that is too much, the wide ones give way."""
        natural = [max(map(self.get_string_width, column)) + _GAP + 1 for column in zip(*texts[1:], strict=True)]
        self.set_font(style="B")
        heads = [self.get_string_width(head) + _GAP + 1 for head in texts[0]]
        self.set_font(style="")
        natural = [max(both) for both in zip(heads, natural or heads, strict=True)]
        if sum(natural) <= width:
            return natural
        narrow = [n if n <= _NARROW else 0.0 for n in natural]
        roots = [0.0 if kept else n**0.5 for n, kept in zip(natural, narrow, strict=True)]
        left = width - sum(narrow)
        return [kept or min(n, left * root / sum(roots)) for n, kept, root in zip(natural, narrow, roots, strict=True)]

    def charts(self, block: Charts) -> None:
        """Figures side by side, each over its definition and base."""
        figures, width = list(block.figures.values()), self._width(block)
        for first in range(0, len(figures), block.columns):
            row = figures[first : first + block.columns]
            height, whole = self._row(row, width)
            self.keep(whole + 4)
            top = self.get_y() + 1
            for at, figure in enumerate(row):
                self._figure(figure, (self.left + at * (width + _BETWEEN), top, width, height))
            self.set_y(top + whole + 3)

    def _width(self, block: Charts) -> float:
        return (self.span - _BETWEEN * (block.columns - 1)) / block.columns

    def _row(self, row: Sequence[Figure], width: float) -> tuple[float, float]:
        """The height of the charts of a row, and with what stands below them [mm]."""
        height = max(_height(figure, width) for figure in row)
        return height, height + 3.3 * max(self._lines(_note(figure), width, 6.5) for figure in row)

    def _figure(self, figure: Figure, place: tuple[float, float, float, float]) -> None:
        x, y, width, height = place
        if figure.svg is not None:
            self.image(self._drawing(figure.svg), x=x, y=y, w=width)
        self.set_xy(x, y + height + 1)
        self._font(6.5, _SOFT)
        self.multi_cell(width, 3.2, self._known(_note(figure)), align="L")

    def _drawing(self, svg: str) -> bytes:
        """A chart in the font of the paper; its lengths are units of the drawing, which the library calls points."""
        svg = re.sub(r'font-family: [^;"]*', "font-family: house", svg)
        svg = re.sub(r"font-size: ([0-9.]+)px", r"font-size: \1pt", svg)
        return "".join(c if c.isascii() or ord(c) in self.known else "□" for c in svg).encode()


def _note(figure: Figure) -> str:
    return f"{figure.problem} {figure.definition} {figure.base}".strip()


def _height(figure: Figure, width: float) -> float:
    if figure.axes is None:
        return 0.0
    inches: Any = figure.axes.get_figure(root=True).get_size_inches()
    return float(width * inches[1] / inches[0])
