"""What all charts share: the style, axes and labels, the base line, and the way to SVG and PNG."""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from xml.sax.saxutils import quoteattr

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.typing import ColorType

from ..errors import InputError
from ..tables import CLASS_LETTERS, RISK_CLASSES

MOST_MONTHS_NAMED = 5
FEWEST_FOR_SHARES = 20  # companies; of fewer no percentage is written
INK, MUTED = "#1f2933", "#616e7c"
BLUE, SAND, WINE = "#3f78ad", "#d9b382", "#74103a"
# Light to dark, blue to wine: the order survives every kind of colour blindness, and a grey printer.
CLASS_COLORS = {1: "#a9d3e6", 2: "#7fa9d2", 3: "#8c7cb8", 4: "#a0487c", 5: "#74103a", None: "#d9dcdf"}
CLASSES = (*RISK_CLASSES, None)
_OUTSIDE = "outside 1 to 5, which pages show; count it in Python, classes=(1, …, n)"
_CLASS_COLUMNS = frozenset(("risk_class", "from_class", "bank_risk_class", "financial_risk_class"))

_STYLE = mpl.rc_params_from_file(Path(__file__).with_name("chart.mplstyle"), use_default_template=False)
_STYLE_LOCK = threading.RLock()  # style is matplotlib's one global: changed under a lock, and put back

_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^")]+)')

COUNTED = {
    "cashflow.daily_balances": "statements",
    "cashflow.monthly_flows": "months",
    "cashflow.portfolio_months": "company-months",
    "portfolio.concentration": "names",
    "migration.migration_matrix": "companies followed",
    "quality.reconciliation": "statements",
    "quality.sensitivity": "reports",
    "the table reports": "reports",
    "validation.vintage_curves": "loans",
}
_ENTRIES_EXCLUDED = ("cashflow.counterparty_concentration", "cashflow.daily_balances", "cashflow.monthly_flows")
_DRAWN = ("by", "column", "freq", "weight", "start", "end")  # seen in the chart itself

Floats = npt.NDArray[np.float64]
Layer = tuple[str, str, Floats]  # label, colour, one length per bar


class ChartAxes(Axes):
    """Axes that a notebook shows as their picture when they end a cell, without pyplot and its state."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        with _house_style():
            _figure(self).savefig(picture, format="png", metadata={"Software": None})
        return picture.getvalue()


def blank_axes(width: float = 9.0, height: float = 5.0) -> Axes:
    """Empty axes in the house style on a figure of their own; width and height in inches (100 pixels each)."""
    with _house_style():
        return Figure(figsize=(width, height)).add_subplot(axes_class=ChartAxes)


def base_line(frame: pd.DataFrame, counted: str = "companies", *, excluded: bool = True) -> str:
    """What a figure rests on, in one line: n, what was excluded, filters, as-of; empty when the frame does not say.

    Without `excluded` what was left out is not counted: where it is something else than what is counted.

    Examples
    --------
    >>> frame = pd.DataFrame()
    >>> frame.attrs["base"] = {"used": 187, "excluded": {"no report": 13}, "as_of": "2025-06-30"}
    >>> base_line(frame)
    'n = 187 companies · 13 excluded · as of 2025-06-30'
    """
    base = frame.attrs.get("base")
    if not base:
        return ""
    n_out = sum(base.get("excluded", {}).values()) if excluded else 0
    parts = [f"n = {count(base['used'])} {counted}"] + [f"{count(n_out)} excluded"] * bool(n_out)
    parts += [
        f"{words(str(k))} {v}" for k, v in base.get("filters", {}).items() if isinstance(v, str) and k not in _DRAWN
    ]
    if as_of := base.get("as_of"):
        parts.append(f"as of {as_of[:10]}")
    return " · ".join(parts)


def class_label(risk_class: int | None) -> str:
    """How a risk class is written everywhere.

    Examples
    --------
    >>> class_label(1), class_label(None)
    ('1 (A)', 'unrated')
    >>> class_label(7)
    Traceback (most recent call last):
    xray_analytics.errors.InputError: class 7 is outside 1 to 5, which pages show; count it in Python, classes=(1, …, n)
    """
    if risk_class is not None and risk_class not in CLASS_LETTERS:
        raise InputError(f"class {risk_class} is {_OUTSIDE}")
    return "unrated" if risk_class is None else f"{risk_class} ({CLASS_LETTERS[risk_class]})"


def plain(value: object, *, longest: int = 40) -> str:
    """A label from outside as one printable line: control and direction characters become spaces, long ends are cut.

    Examples
    --------
    >>> plain("a\\u202eb"), plain(None)
    ('a b', 'unknown')
    """
    if value is None or value is pd.NA or value != value:  # noqa: PLR0124 - not a number is not itself
        return "unknown"
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def to_svg(ax: Axes) -> str:
    """The figure of these axes as one ``<svg>`` element: same figure, same bytes.

    Text stays text (small, searchable, read aloud, escaped). Ids are kept only where something refers to them and start
    with a digest of the drawing, so that many charts live in one HTML page; no style leaks out of the element.
    """
    drawing, facts = io.StringIO(), dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _house_style():
        _figure(ax).savefig(drawing, format="svg", metadata=facts)
    svg = drawing.getvalue()
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg[svg.index("<svg") :], count=1, flags=re.DOTALL)
    digest = hashlib.sha256(_number_ids(svg, "").encode()).hexdigest()[:8]
    name = quoteattr(plain(ax.get_title(loc="left"), longest=200))
    root = f'<svg role="img" aria-label={name} style="stroke-linejoin: round; stroke-linecap: butt" '
    return root + _number_ids(svg, f"c{digest}_").removeprefix("<svg ").strip()


def to_png(ax: Axes, path: str | Path, *, dpi: int = 100) -> Path:
    """Write the figure of these axes as PNG: 900 × 500 pixels at the default size and `dpi`.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    path = Path(path)
    try:
        with _house_style():
            _figure(ax).savefig(path, format="png", dpi=dpi, metadata={"Software": None})
    except OSError as error:
        raise InputError(f"cannot write the chart to {path}: {error.strerror}; choose another path") from error
    return path


def font_files() -> tuple[Path, Path]:
    """The files of the font that charts are set in, regular and bold; matplotlib brings them along."""
    folder = Path(mpl.get_data_path(), "fonts", "ttf")
    return folder / "DejaVuSans.ttf", folder / "DejaVuSans-Bold.ttf"


@contextmanager
def _house_style() -> Iterator[None]:
    with _STYLE_LOCK, mpl.rc_context(_STYLE):
        yield


@contextmanager
def drawing(frame: pd.DataFrame, maker: str, needed: Sequence[str], ax: Axes | None, title: str) -> Iterator[Axes]:
    """Axes to draw on in the house style; the title and the base of the frame are added at the end.

    Raises
    ------
    InputError
        The frame has no rows, a class is none of the five, or a column of `needed` is missing; `maker` is the function
        that would give it.
    """
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise InputError(f"cannot draw {title!r}: no column {', '.join(missing)}; pass the result of {maker}")
    if frame.empty:
        raise InputError(f"cannot draw {title!r}: the frame has no rows; check the filters given to {maker}")
    for name in _CLASS_COLUMNS & set(needed):
        outside = frame[name][frame[name].notna() & ~frame[name].isin(RISK_CLASSES)]
        if len(outside):
            raise InputError(f"cannot draw {title!r}: {name} holds class {outside.iloc[0]}, {_OUTSIDE}")
    axes = blank_axes() if ax is None else ax
    with _house_style():
        yield axes
        axes.set_title(title)
        line = base_line(frame, COUNTED.get(maker, "companies"), excluded=maker not in _ENTRIES_EXCLUDED)
        above = (0, 7)
        axes.annotate(
            line, (0, 1), above, xycoords="axes fraction", textcoords="offset points", fontsize=8.5, color=MUTED
        )


def legend(axes: Axes, *, reverse: bool = False) -> None:
    """A legend to the right, in the order of the bars."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), reverse=reverse)


def count_axis(axes: Axes) -> None:
    """An upright axis that counts companies, from zero."""
    axes.set_ylabel("companies")
    axes.use_sticky_edges = False  # room above a stack whose last layer is empty
    axes.autoscale_view()
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
    axes.yaxis.set_major_formatter(lambda n, _: count(n))


def percent_axis(axes: Axes, label: str) -> None:
    """An upright axis of ratios, shown as per cent."""
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def stack_rows(axes: Axes, names: list[str], layers: list[Layer], counts: list[Floats]) -> None:
    """A lying bar per name, made of shares one after the other, with their counts written in."""
    left, at = np.zeros(len(names)), np.arange(len(names))
    for (label, color, share), n in zip(layers, counts, strict=True):
        bars = axes.barh(at, share, 0.72, left, label=label, color=color, edgecolor="white", linewidth=0.6)
        notes = [count(x) if s > 0.04 else "" for x, s in zip(n, share, strict=True)]
        axes.bar_label(bars, notes, label_type="center", fontsize=8, color=ink_on(color))
        left += np.nan_to_num(share)
    for y in at[left == 0]:
        axes.annotate(
            f"no shares of fewer than {FEWEST_FOR_SHARES} companies", (0.01, y), va="center", fontsize=8, color=MUTED
        )
    axes.set_yticks(at, names)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend(axes)


def month_no(dates: pd.Series) -> Floats:
    """Months since year 0, so that a missing month leaves a gap."""
    days = pd.DatetimeIndex(pd.to_datetime(dates))
    return (days.year * 12 + days.month - 1).to_numpy(np.float64)


def month_axis(axes: Axes, at: Floats, label: str) -> None:
    """A level axis of months, some of them named, as 2025-06."""
    step = float(np.diff(at).min(initial=3))
    every = step * np.ceil((at[-1] - at[0] + step) / step / MOST_MONTHS_NAMED)
    shown = at[(at - at[0]) % every == 0]
    axes.set_xticks(shown, [f"{int(no) // 12}-{int(no) % 12 + 1:02d}" for no in shown])
    half = max(at[-1] - at[0], 3 * step) / 2 + 0.7 * step  # one bar alone is no wall
    axes.set_xlim((at[0] + at[-1]) / 2 - half, (at[0] + at[-1]) / 2 + half)
    axes.set_xlabel(label)


def with_gaps(at: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Every month from first to last, NaN where there is none, so that no line bridges a gap."""
    months = np.arange(at[0], at[-1] + 1)
    filled = np.full(len(months), np.nan)
    filled[(at - at[0]).astype(np.intp)] = values
    return months, filled


def money_scale(amounts: Floats) -> tuple[float, str]:
    """What to divide amounts by, and how that is called after the currency."""
    top = float(np.nanmax(np.abs(amounts), initial=0))
    return next(((s, u) for s, u in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")) if top >= s), (1.0, ""))


def currency_of(frame: pd.DataFrame, title: str) -> str:
    """What the amounts of a frame are in: what ``attrs["currency"]`` says, else its only currency, else ``"amount"``.

    Raises
    ------
    InputError
        It holds several currencies, of which none is to be drawn upon another.
    """
    if "currency" in frame.attrs:
        return str(frame.attrs["currency"])
    found = frame["currency"].drop_duplicates() if "currency" in frame else pd.Series(dtype="string")
    if len(found) > 1:
        raise InputError(f"cannot draw {title!r}: the frame holds several currencies; pass one, as of in_main_currency")
    return "amount" if found.dropna().empty else str(found.iloc[0])


def floats(series: pd.Series) -> Floats:
    """The numbers of a column; null is NaN."""
    return np.asarray(series.astype("float64"), np.float64)


def count(n: float) -> str:
    """A count with thousands separated; null is a suppressed cell."""
    return "suppressed" if np.isnan(n) else f"{n:,.0f}"


def ink_on(color: ColorType) -> str:
    """Dark letters on light colours, white ones on dark."""
    return INK if float(np.sum(colors.to_rgb(color))) > 1.6 else "white"


def class_or_group(value: object, column: str) -> str:
    """A group as a label: a risk class as everywhere, anything else as it is."""
    if not column.endswith("risk_class"):
        return plain(value)
    return class_label(None if pd.isna(value) else int(str(value)))  # type: ignore[call-overload]


def frame_of(place: tuple[float, float]) -> Rectangle:
    """A thin frame around the cell of a heat map whose corner is there."""
    return Rectangle(place, 1, 1, fill=False, edgecolor=INK, linewidth=1.1)


def words(name: str) -> str:
    """A column or check name as words."""
    return name.replace("_", " ")


def figure_of(ax: Axes) -> Figure:
    """The figure that axes are on."""
    return cast("Figure", ax.get_figure(root=True))


def _figure(ax: Axes) -> Figure:
    """The whole figure, laid out afresh: a layout that starts from the last one moves by a hair at each drawing."""
    figure = figure_of(ax)
    for axes in figure.axes:
        if spec := axes.get_subplotspec():
            axes.set_subplotspec(spec)
    return figure


def _number_ids(svg: str, prefix: str) -> str:
    """Ids numbered by first reference, none on what nothing refers to: matplotlib's hash the last bit of a float."""
    number = {old: no for no, old in enumerate(dict.fromkeys(m[2] for m in _REFERENCE.finditer(svg)))}

    def renamed(match: re.Match[str]) -> str:
        tag = _ID.sub(lambda m: f' id="{prefix}{number[m[1]]}"' if m[1] in number else "", match[0])
        return _REFERENCE.sub(lambda m: f"{m[1]}{prefix}{number[m[2]]}", tag)

    return re.sub(r"<[^<>]*>", renamed, svg)  # tags only: in text, < and > are escaped
