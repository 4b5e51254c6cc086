"""Charts of the analysed companies by class and value, now and over time."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from ..errors import InputError
from ..tables import REPORTS
from . import canvas
from .canvas import BLUE, MUTED, Floats, Layer, class_label, count, floats, words

Integers = npt.NDArray[np.integer[Any]]


def plot_class_distribution(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Companies by risk class; with ``by`` columns, the class mix of each group.

    Parameters
    ----------
    frame
        Result of `portfolio.class_distribution`: by…, ``risk_class`` (null is unrated),
        ``n_companies``, ``share_ratio``.
    ax
        Axes to draw on; a new 900 × 500 pixel figure when omitted.
    title
        Replaces the default title.

    Raises
    ------
    InputError
        The frame has no rows, or a column is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"risk_class": [1, 2], "n_companies": [30, 10], "share_ratio": [0.75, 0.25]})
    >>> [float(bar.get_height()) for bar in plot_class_distribution(frame).patches[:3]]
    [30.0, 10.0, 0.0]
    """
    needed = ("risk_class", "n_companies", "share_ratio")
    title = title or "Companies by risk class"
    with canvas.drawing(frame, "portfolio.class_distribution", needed, ax, title) as axes:
        by = list(frame.columns[: frame.columns.get_loc("risk_class")])
        if by:
            _draw_groups(axes, frame, by)
        else:
            _draw_classes(axes, frame)
    return axes


def plot_value_distribution(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Histogram of `portfolio.value_distribution`: bins from ``low`` to ``high``, ``n_companies`` high.

    Bins of unequal width are drawn equally wide with their edges named, so that no area misleads. Companies without a
    value are counted below the plot. ``attrs["column"]``, or the filter of that name in the base, is the quantity.
    Other parameters as in `plot_class_distribution`.

    Raises
    ------
    InputError
        As in `plot_class_distribution`, or the frame holds several groups.
    """
    column = str(frame.attrs.get("column") or frame.attrs.get("base", {}).get("filters", {}).get("column", "value"))
    needed = ("low", "high", "n_companies")
    title = title or f"Companies by {words(_stem(column))}"
    with canvas.drawing(frame, "portfolio.value_distribution", needed, ax, title) as axes:
        if frame.duplicated(["low", "high"]).any():
            raise InputError(f"cannot draw {title!r}: the frame holds several groups; pass one group at a time")
        bins, missing = frame[frame["low"].notna()], frame[frame["low"].isna()]
        _draw_bins(axes, *(floats(bins[c]) for c in needed))
        aside = "".join(f"\nwithout a value: {count(n)}" for n in floats(missing["n_companies"]) if n)
        axes.set_xlabel(_meaning(column) + aside)
        axes.margins(y=0.1)
        canvas.count_axis(axes)
    return axes


def plot_class_over_time(
    frame: pd.DataFrame,
    *,
    measure: Literal["stock", "new"] = "stock",
    share: bool = False,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Companies by risk class at each period end: the stock, or those newly analysed, never both.

    Parameters
    ----------
    frame
        Result of `portfolio.class_over_time`: ``period_end``, ``measure``, ``risk_class``,
        ``n_companies``, ``share_ratio``.
    measure
        ``"stock"`` (latest report of each company at the period end) or ``"new"`` (first analysed in the period).
    share
        Draw ``share_ratio`` instead of ``n_companies``; a period without shares stays empty.
    ax, title
        As in `plot_class_distribution`.

    Raises
    ------
    InputError
        As in `plot_class_distribution`, or the frame has no row of that measure.
    """
    needed = ("period_end", "measure", "risk_class", "n_companies", "share_ratio")
    what = {"stock": "Stock: companies by latest risk class", "new": "Newly analysed companies by risk class"}
    with canvas.drawing(frame, "portfolio.class_over_time", needed, ax, title or what[measure]) as axes:
        part = frame[frame["measure"] == measure]
        if part.empty:
            raise InputError(f"cannot draw the measure {measure!r}: the frame has no such row; choose another measure")
        at, period = np.unique(canvas.month_no(part["period_end"]), return_inverse=True)
        bottom, width = np.zeros(len(at)), 0.8 * float(np.diff(at).min(initial=3))
        for label, color, values in _class_layers(part, period, "share_ratio" if share else "n_companies"):
            axes.bar(at, values, width, bottom, label=label, color=color, edgecolor="white", linewidth=0.6)
            bottom += np.nan_to_num(values)
        canvas.month_axis(axes, at, "period end")
        canvas.percent_axis(axes, "share of companies") if share else canvas.count_axis(axes)
        canvas.legend(axes, reverse=True)
    return axes


def _draw_classes(axes: Axes, frame: pd.DataFrame) -> None:
    one = np.zeros(len(frame), np.intp)
    shares = [values[0] for _, _, values in _class_layers(frame, one, "share_ratio")]
    layers = _class_layers(frame, one, "n_companies")
    for at, ((_, color, n), share) in enumerate(zip(layers, shares, strict=True)):
        bar = axes.bar([at], np.nan_to_num(n), 0.72, color=color)
        text = count(n[0]) if np.isnan(share) else f"{count(n[0])}\n{share:.1%}"
        axes.bar_label(bar, [text], padding=3, fontsize=9)
    axes.set_xticks(range(len(layers)), [label for label, _, _ in layers])
    axes.set_xlabel("risk class, 1 best … 5 worst")
    axes.margins(y=0.18)
    canvas.count_axis(axes)


def _draw_groups(axes: Axes, frame: pd.DataFrame, by: list[str]) -> None:
    groups = frame.groupby(by, sort=False, dropna=False)
    group = groups.ngroup().to_numpy(np.intp)
    counts = [values for _, _, values in _class_layers(frame, group, "n_companies")]
    first = frame.loc[~frame.duplicated(by), by]
    names = [" · ".join(map(canvas.plain, key)) for key in first.itertuples(index=False)]
    canvas.stack_rows(axes, names, _class_layers(frame, group, "share_ratio"), counts)
    axes.set_xlabel("share of companies (count written in)")


def _class_layers(frame: pd.DataFrame, group: Integers, column: str) -> list[Layer]:
    """One layer per risk class, one value per group; NaN where there is none, and for shares of too few companies."""
    classes, numbers, layers = floats(frame["risk_class"]), floats(frame[column]), []
    if column == "share_ratio":
        total = np.bincount(group, np.nan_to_num(floats(frame["n_companies"])))
        numbers = np.where(total[group] < canvas.FEWEST_FOR_SHARES, np.nan, numbers)
    for risk_class in canvas.CLASSES:
        mask = np.isnan(classes) if risk_class is None else classes == risk_class
        values = np.full(int(group.max()) + 1, np.nan)
        values[group[mask]] = numbers[mask]
        layers.append((class_label(risk_class), canvas.CLASS_COLORS[risk_class], values))
    return layers


def _draw_bins(axes: Axes, low: Floats, high: Floats, n: Floats) -> None:
    left, width = low, high - low
    if not np.allclose(width, width[:1]):
        left, width = np.arange(len(low), dtype=np.float64), np.ones(len(low))
        axes.set_xticks(range(len(low) + 1), [f"{edge:g}" for edge in [*low, high[-1]]])
    bars = axes.bar(left, n, width, align="edge", color=BLUE, edgecolor="white")
    axes.bar_label(bars, [count(x) if x else "" for x in n], padding=2, fontsize=8, color=MUTED)


def _stem(column: str) -> str:
    return column.removesuffix("_pct").removesuffix("_ratio")


def _meaning(column: str) -> str:
    """What the dictionary says of a column of `reports`: name, unit and meaning; other columns keep their name."""
    if column not in REPORTS.names:
        return words(column)
    known = REPORTS[column]
    unit = f" [{known.unit}]" if known.unit else ""
    return f"{words(_stem(column))}{unit}\n{known.doc}"
