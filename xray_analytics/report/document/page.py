"""What every page is made of: grids of text, figures with their base and numbers, headline numbers.

All text that leaves here is plain; the template escapes it. Only the SVG of a chart is markup, and its text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from ...charts import blank_axes, class_label, plain, to_svg
from ...errors import InputError

CHART_INCHES = (5.2, 3.6)
MOST_ROWS = 60
LONG_CELL = 40  # characters
FEWEST_FOR_SHARES = 20
_STATISTICS = ("value", "p25", "p50", "p75", "quantile_pct")


@dataclass(frozen=True)
class Grid:
    """A table of text; `is_number` aligns a column to the right, `n_more` rows were left out.

    `frame` is what the text was made of, all rows, with `names` its columns under `heads`: for workbooks.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_number: tuple[bool, ...]
    n_more: int = 0
    frame: pd.DataFrame | None = field(default=None, compare=False, repr=False)
    names: tuple[str, ...] = ()

    @property
    def is_long(self) -> bool:
        """Whether a cell holds sentences."""
        return any(len(cell) > LONG_CELL for row in self.rows for cell in row)


@dataclass(frozen=True)
class Figure:
    """A chart, what it shows, what it rests on and its numbers; without a chart, `problem` says why."""

    definition: str
    base: str
    axes: Any = None
    grid: Grid | None = None
    problem: str = ""
    title: str = ""

    @cached_property
    def svg(self) -> Markup | None:
        """The chart as markup."""
        return None if self.axes is None else Markup(to_svg(self.axes))  # noqa: S704 - matplotlib escapes its text


@dataclass(frozen=True)
class Tile:
    """A headline number, its name, and its definition with the base."""

    label: str
    value: str
    definition: str


def grid(frame: pd.DataFrame, heads: Mapping[str, str], *, most: int = MOST_ROWS) -> Grid:
    """The columns of `heads`, under these heads, as text; at most `most` rows."""
    shown = frame.head(most)
    columns = [[text(value, name) for value in shown[name]] for name in heads]
    is_number = tuple(pd.api.types.is_numeric_dtype(frame[name]) and name != "risk_class" for name in heads)
    rows = tuple(zip(*columns, strict=True))
    return Grid(tuple(heads.values()), rows, is_number, max(len(frame) - most, 0), frame[list(heads)], tuple(heads))


def text(value: Any, column: str) -> str:
    """A value as a reader wants it, by the ending of its column's name.

    Examples
    --------
    >>> text(0.125, "share_ratio"), text(1234567.8, "total_credit"), text(None, "risk_class"), text(None, "low")
    ('12.5%', '1,234,568', 'unrated', '–')
    """
    missing = value is None or bool(pd.isna(value))
    if column == "risk_class":
        return class_label(None if missing else int(value))
    if missing:
        return "–"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m}" if column == "month" else f"{value:%Y-%m-%d}"
    if isinstance(value, Real):
        return _number(float(value), column)
    return str(value).replace("_", " ") if column in ("rule", "check") else plain(value, longest=400)


def _number(value: float, column: str) -> str:
    if column.endswith("_ratio"):
        return format(value, ".1%")
    if column in _STATISTICS and abs(value) < 1000:
        return format(value, ".3g")
    return format(value, "g" if column in ("low", "high") else ",.0f")


def unbroken(sentence: str) -> Markup:
    """The text, escaped, with every date kept on one line.

    Examples
    --------
    >>> print(unbroken("<b> since 2025-06-30"))
    &lt;b&gt; since <span class="d">2025-06-30</span>
    """
    return Markup(re.sub(r"\d{4}-\d\d-\d\d", r'<span class="d">\g<0></span>', str(escape(sentence))))  # noqa: S704


def dated(frame: pd.DataFrame, as_of: str) -> pd.DataFrame:
    """The frame, its base dated as the page is: an analysis knows the newest report only."""
    frame = frame.copy(deep=False)
    frame.attrs["base"] = {**frame.attrs["base"], "as_of": as_of}
    return frame


def figure(  # noqa: PLR0913 - what a figure is made of
    plot: Callable[..., Any], frame: pd.DataFrame, definition: str, *, numbers: Grid, counted: str = "companies",
    size: tuple[float, float] = CHART_INCHES, **options: Any,
) -> Figure:  # fmt: skip
    """The chart of a frame, `size` in inches; what cannot be drawn says why in its place."""
    base = base_sentence(frame, counted)
    try:
        axes = plot(frame, ax=blank_axes(*size), **options)
    except InputError as error:
        return Figure(definition, base, problem=f"Not shown: {error}.")
    return Figure(definition, base, axes, numbers, title=axes.get_title(loc="left"))


def base_sentence(frame: pd.DataFrame, counted: str) -> str:
    """What a figure rests on, in full.

    Examples
    --------
    >>> frame = pd.DataFrame()
    >>> frame.attrs["base"] = {"used": 187, "excluded": {"no_company": 2}, "backfilled": 1, "as_of": "2025-06-30"}
    >>> base_sentence(frame, "companies")
    'Base: 187 companies, as of 2025-06-30. Not counted: no company 2. Reports fetched long after their creation: 1.'
    """
    base = frame.attrs.get("base")
    if not base:
        return "Base: not stated."
    as_of = f", as of {base['as_of'][:10]}" if base.get("as_of") else ""
    out = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in base.get("excluded", {}).items() if n)
    late = base.get("backfilled") or 0
    sentences = [f"Base: {base['used']:,} {counted}{as_of}."] + [f"Not counted: {out}."] * bool(out)
    return " ".join(sentences + [f"Reports fetched long after their creation: {late:,}."] * bool(late))
