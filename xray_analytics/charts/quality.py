"""Charts of what can be trusted: whether statements add up, what they cover, what a figure owes to poor data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from . import canvas
from .canvas import BLUE, MUTED, WINE, count, floats, plain, words

VERDICT_COLORS = {"ok": "#a9d3e6", "off": "#74103a", "unknown": "#d9dcdf"}


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
        canvas.stack_rows(axes, names, layers, [floats(counts[v]) for v in VERDICT_COLORS])
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


def plot_sensitivity(
    frame: pd.DataFrame,
    *,
    label: str = "figure",
    share: bool = False,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """A figure over data-sanity cut-offs, with the number of reports behind each point.

    Parameters
    ----------
    frame
        Result of `quality.sensitivity`: ``threshold_pct``, ``value``, ``n_reports``.
    label
        What the figure is, on the upright axis.
    share
        The figure is a share (0–1): shown as per cent, from zero.
    ax, title
        As in `plot_daily_balances`.

    Raises
    ------
    InputError
        The frame has no rows, or a column is missing.
    """
    needed = ("threshold_pct", "value", "n_reports")
    title = title or "The same figure over better and better data"
    with canvas.drawing(frame, "quality.sensitivity", needed, ax, title) as axes:
        at, value = floats(frame["threshold_pct"]), floats(frame["value"])
        axes.plot(at, value, marker="o", color=BLUE)
        for x, y, n in zip(at, value, floats(frame["n_reports"]), strict=True):
            if not np.isnan(y):
                axes.annotate(
                    count(n), (x, y), (0, 8), textcoords="offset points", ha="center", fontsize=8.5, color=MUTED
                )
        axes.margins(y=0.2)
        axes.set_xlabel("least data sanity of the reports counted (%)\nnumber of reports at the points")
        axes.set_ylabel(label)
        if share:
            canvas.percent_axis(axes, label)
            axes.set_ylim(bottom=0)
    return axes
