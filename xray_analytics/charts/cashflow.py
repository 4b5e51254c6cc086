"""Charts of money over days, and of what a figure owes to poor data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..errors import InputError
from . import canvas
from .canvas import BLUE, MUTED, WINE, count, floats


def plot_daily_balances(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The balance of one report at the end of every day, one line an account; days below zero are filled.

    A day that no statement covers, or whose balance is unknown, is a gap.

    Parameters
    ----------
    frame
        Result of `cashflow.daily_balances`, of one report: ``report_id``, ``account_no``, ``day``, ``balance``.
    ax
        Axes to draw on; a new 900 × 500 pixel figure when omitted.
    title
        Replaces the default title.

    Raises
    ------
    InputError
        The frame has no rows or several reports, or a column is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"report_id": "a", "account_no": 0, "balance": [5.0, -1.0],
    ...     "day": pd.to_datetime(["2025-01-01", "2025-01-02"])})
    >>> plot_daily_balances(frame).lines[1].get_ydata().tolist()
    [5.0, -1.0]
    """
    needed = ("report_id", "account_no", "day", "balance")
    title = title or "Balance at the end of the day"
    with canvas.drawing(frame, "cashflow.daily_balances", needed, ax, title) as axes:
        if frame["report_id"].nunique() > 1:
            raise InputError(f"cannot draw {title!r}: the frame holds several reports; pass one report at a time")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        accounts = [(no, rows.set_index("day").sort_index()["balance"]) for no, rows in frame.groupby("account_no")]
        for n, (no, balances) in enumerate(accounts):
            every_day = balances.reindex(pd.date_range(balances.index[0], balances.index[-1]))
            height, style = floats(every_day), ("-", "--", ":", "-.")[n % 4]
            axes.plot(
                every_day.index.to_numpy(), height, style, drawstyle="steps-post", color=BLUE, label=f"account {no}"
            )
            axes.fill_between(every_day.index.to_numpy(), np.minimum(height, 0), step="post", color=WINE, alpha=0.35)
        axes.set_ylabel("balance")
        axes.yaxis.set_major_formatter(lambda value, _: count(value))
        if len(accounts) > 1:
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
