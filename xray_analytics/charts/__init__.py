"""Charts of analysis results: `plot_<analysis>(frame) -> Axes`, to be restyled at will.

A chart draws what the frame says and computes nothing beyond tallies of its rows. The base of the figure is read from
``frame.attrs["base"]`` where there is one. No chart touches `pyplot`: figures are plain objects, headless and safe in
threads.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..errors import InputError
from ..tables import REPORTS
from . import canvas
from .canvas import (
    BLUE,
    CLASS_COLORS,
    CLASSES,
    FEWEST_FOR_SHARES,
    INK,
    MUTED,
    SAND,
    WINE,
    Floats,
    base_line,
    blank_axes,
    class_label,
    count,
    floats,
    font_files,
    ink_on,
    plain,
    to_png,
    to_svg,
    words,
)  # fmt: skip
from .cashflow import plot_daily_balances, plot_sensitivity
from .company import plot_balance_calendar, plot_class_history, plot_monthly_flows
from .concentration import plot_concentration, plot_counterparty_concentration
from .flags import plot_criterion_prevalence, plot_ratio_quantiles
from .migration import plot_class_agreement, plot_migration_matrix, plot_movement
from .validation import plot_calibration, plot_cap, plot_default_rates, plot_psi, plot_roc, plot_vintage_curves

__all__ = [
    "CLASS_COLORS", "base_line", "blank_axes", "class_label", "font_files", "plain", "plot_balance_calendar",
    "plot_calibration", "plot_cap", "plot_class_agreement", "plot_class_distribution", "plot_class_history",
    "plot_class_over_time", "plot_concentration", "plot_counterparty_concentration", "plot_coverage",
    "plot_criterion_prevalence", "plot_daily_balances", "plot_default_rates", "plot_migration_matrix",
    "plot_monthly_flows", "plot_movement", "plot_negative_days", "plot_portfolio_months", "plot_psi",
    "plot_ratio_quantiles", "plot_reconciliation", "plot_roc", "plot_sensitivity", "plot_value_distribution",
    "plot_vintage_curves", "to_png", "to_svg",
]  # fmt: skip

VERDICT_COLORS = {"ok": "#a9d3e6", "off": "#74103a", "unknown": "#d9dcdf"}

Integers = npt.NDArray[np.integer[Any]]
Layer = tuple[str, str, Floats]  # label, colour, one length per bar


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


def plot_portfolio_months(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Credits above zero, debits below, net flow as a line: one month of `cashflow.portfolio_months` a bar.

    Money in major units; ``attrs["currency"]`` names it (EUR when absent: the service names none). Other parameters and
    errors as in `plot_class_distribution`.
    """
    needed = ("month", "total_credit", "total_debit", "net_flow")
    title = title or "Credits, debits and net flow by month"
    with canvas.drawing(frame, "cashflow.portfolio_months", needed, ax, title) as axes:
        frame = frame.sort_values("month")
        at, credit, debit, net = canvas.month_no(frame["month"]), *(floats(frame[c]) for c in needed[1:])
        scale, unit = canvas.money_scale(np.concatenate([credit, debit]))
        axes.bar(at, credit / scale, 0.72, color=BLUE, label="credits")
        axes.bar(at, -debit / scale, 0.72, color=SAND, label="debits")
        axes.plot(*canvas.with_gaps(at, net / scale), color=INK, marker="o", label="net flow")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_ylabel(f"{frame.attrs.get('currency', 'EUR')}{unit} per month")
        canvas.month_axis(axes, at, "month")
        canvas.legend(axes)
    return axes


def plot_negative_days(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Share of covered days that ended below zero, by month of `cashflow.portfolio_months`.

    An authorised overdraft is not known to the service: a negative day is no incident. Other parameters and errors as
    in `plot_class_distribution`.
    """
    needed = ("month", "negative_day_share_ratio")
    with canvas.drawing(frame, "cashflow.portfolio_months", needed, ax, title or "Days below zero by month") as axes:
        frame = frame.sort_values("month")
        at = canvas.month_no(frame["month"])
        axes.plot(*canvas.with_gaps(at, floats(frame["negative_day_share_ratio"])), color=WINE, marker="o")
        axes.margins(y=0.1)
        axes.set_ylim(bottom=0)
        canvas.month_axis(axes, at, "month")
        canvas.percent_axis(axes, "share of covered days")
    return axes


def plot_reconciliation(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Share of each verdict (ok, off, unknown) per check of `quality.reconciliation`, with the counts written in.

    Parameters and errors as in `plot_class_distribution`.
    """
    title = title or "Do the statements add up?"
    with canvas.drawing(frame, "quality.reconciliation", ("check", "verdict"), ax, title) as axes:
        counts = frame.groupby(["check", "verdict"], sort=False, observed=True).size().unstack(fill_value=0)
        counts = counts.reindex(columns=list(VERDICT_COLORS), fill_value=0)
        shares = counts.div(counts.sum(axis=1), axis=0)
        layers = [(v, color, floats(shares[v])) for v, color in VERDICT_COLORS.items()]
        names = [f"{words(plain(check))}\n{n:,} off" for check, n in counts["off"].items()]
        _stack_rows(axes, names, layers, [floats(counts[v]) for v in VERDICT_COLORS])
        axes.set_xlabel("share of checks made (count written in)")
    return axes


def plot_coverage(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Companies by months of statements covered, from `quality.coverage`; short histories stand out.

    Parameters and errors as in `plot_class_distribution`.
    """
    title = title or "Months of bank statements per company"
    needed = ("n_months", "is_under_6_months")
    with canvas.drawing(frame, "quality.coverage", needed, ax, title) as axes:
        months, is_short = frame["n_months"].astype("int64"), frame["is_under_6_months"].astype(bool)
        at = np.arange(months.max() + 1)
        short, long = (np.bincount(months[mask], minlength=len(at)) for mask in (is_short, ~is_short))
        axes.bar(at, short, 0.85, color=WINE, label="under 6 months")
        axes.bar(at, long, 0.85, short, color=BLUE, label="6 months or more")
        axes.set_xlabel("complete calendar months covered")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        canvas.count_axis(axes)
        canvas.legend(axes)
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
    names = [" · ".join(map(plain, key)) for key in first.itertuples(index=False)]
    _stack_rows(axes, names, _class_layers(frame, group, "share_ratio"), counts)
    axes.set_xlabel("share of companies (count written in)")


def _class_layers(frame: pd.DataFrame, group: Integers, column: str) -> list[Layer]:
    """One layer per risk class, one value per group; NaN where there is none, and for shares of too few companies."""
    classes, numbers, layers = floats(frame["risk_class"]), floats(frame[column]), []
    if column == "share_ratio":
        total = np.bincount(group, np.nan_to_num(floats(frame["n_companies"])))
        numbers = np.where(total[group] < FEWEST_FOR_SHARES, np.nan, numbers)
    for risk_class in CLASSES:
        mask = np.isnan(classes) if risk_class is None else classes == risk_class
        values = np.full(int(group.max()) + 1, np.nan)
        values[group[mask]] = numbers[mask]
        layers.append((class_label(risk_class), CLASS_COLORS[risk_class], values))
    return layers


def _stack_rows(axes: Axes, names: list[str], layers: list[Layer], counts: list[Floats]) -> None:
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
    canvas.legend(axes)


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
