"""Charts of one company: its classes over time, its months, and its balance day by day."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter

from ..errors import InputError
from ..tables import RISK_CLASSES
from . import canvas
from .canvas import BLUE, INK, MUTED, SAND, WINE, Floats, class_label, floats, month_no

_MOST_LINED = 36  # months; of more the lines between the days would be all one sees
_UNRATED = len(RISK_CLASSES) + 1.0
_BALANCE = colors.LinearSegmentedColormap.from_list("balance", [WINE, "#e7c9d2", "#f4f7f9", "#a9d3e6", BLUE])


def plot_class_history(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The risk classes of one company, report by report: the best on top, unrated below the line.

    Bank and Financial X-Ray have scales of their own: the two lines are not to be subtracted.

    Parameters
    ----------
    frame
        Rows of the table `reports` of one company: ``company_id``, ``product``, ``created_at``,
        ``bank_risk_class``, ``financial_risk_class``.
    ax
        Axes to draw on; a new 900 × 500 pixel figure when omitted.
    title
        Replaces the default title.

    Raises
    ------
    InputError
        The frame has no rows, none of a product with classes, or several companies, or a column is missing.
    """
    needed = ("company_id", "product", "created_at", "bank_risk_class", "financial_risk_class")
    title = title or "Risk class by report"
    with canvas.drawing(frame, "the table reports", needed, ax, title) as axes:
        if frame["company_id"].nunique() > 1:
            raise InputError(f"cannot draw {title!r}: the frame holds several companies; pass one at a time")
        looks = {"bank": (BLUE, "o", "-"), "financial": (WINE, "s", "--")}
        for product, (color, marker, line) in looks.items():
            rows = frame[frame["product"] == product].sort_values("created_at")
            at, level = _days(rows["created_at"]), floats(rows[f"{product}_risk_class"])
            axes.plot(at, level, line, drawstyle="steps-post", color=color, linewidth=1.2)
            axes.plot(at, np.where(np.isnan(level), _UNRATED, level), marker, color=color, label=product)
        axes.axhline(_UNRATED - 0.5, color=MUTED, linewidth=0.8)
        axes.set_yticks([*RISK_CLASSES, _UNRATED], [*map(class_label, RISK_CLASSES), class_label(None)])
        axes.set_ylim(_UNRATED + 0.5, 0.5)
        _day_axis(axes, _days(frame["created_at"]))
        canvas.legend(axes)
    return axes


def plot_monthly_flows(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The months of one company: credits up, debits down, and the balance at the end of the month as a line.

    Months that the statements do not cover in full are pale; one whose flows are unknown has no bars.

    Parameters
    ----------
    frame
        Result of `cashflow.monthly_flows`, of one company: ``company_id``, ``month``, ``total_credit``,
        ``total_debit``, ``closing_balance``, ``is_complete``.
    ax, title
        As in `plot_class_history`. The currency is the frame's only one, or what ``attrs["currency"]`` says.

    Raises
    ------
    InputError
        The frame has no rows, several companies or currencies, or a column is missing.
    """
    needed = ("company_id", "month", "total_credit", "total_debit", "closing_balance", "is_complete")
    title = title or "Credits, debits and balance by month"
    with canvas.drawing(frame, "cashflow.monthly_flows", needed, ax, title) as axes:
        if frame["company_id"].nunique() > 1:
            raise InputError(f"cannot draw {title!r}: the frame holds several companies; pass one at a time")
        months = frame.sort_values("month")
        at = month_no(months["month"])
        credit, debit, balance = (floats(months[name]) for name in needed[2:5])
        scale, unit = canvas.money_scale(np.concatenate([credit, debit, balance]))
        whole = months["is_complete"].fillna(False).to_numpy(bool)
        for heights, color, label in ((credit, BLUE, "credits"), (-debit, SAND, "debits")):
            for bar, is_whole in zip(axes.bar(at, heights / scale, 0.72, color=color, label=label), whole, strict=True):
                bar.set_alpha(1.0 if is_whole else 0.35)
        axes.plot(*canvas.with_gaps(at, balance / scale), color=INK, marker="o", markersize=3, label="balance")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_ylabel(f"{canvas.currency_of(frame, title)}{unit}")
        canvas.month_axis(axes, at, "month (pale: not covered in full)" if not whole.all() else "month")
        canvas.legend(axes)
    return axes


def plot_balance_calendar(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The balance of one company at the end of every day: months in rows, days in columns, below zero in red.

    The colours are those of the middle 90 % of the balances; a day whose balance is not known for every account is
    white.

    Parameters
    ----------
    frame
        Result of `cashflow.daily_balances`, of one company, each day of an account once: ``account_no``, ``day``,
        ``balance``.
    ax, title
        As in `plot_class_history`.

    Raises
    ------
    InputError
        The frame has no rows, a day of an account twice or several currencies, or a column is missing.

    Examples
    --------
    >>> days = pd.to_datetime(["2025-01-01", "2025-01-31", "2025-02-01"])
    >>> axes = plot_balance_calendar(pd.DataFrame({"account_no": 0, "day": days, "balance": [5.0, -1.0, 3.0]}))
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['2025-01', '2025-02']
    """
    title = title or "Balance at the end of every day"
    needed = ("account_no", "day", "balance")
    with canvas.drawing(frame, "cashflow.daily_balances", needed, ax, title) as axes:
        currency = canvas.currency_of(frame, title)
        if frame.duplicated(["account_no", "day"]).any():
            raise InputError(f"cannot draw {title!r}: a day of an account is there twice; pass one report at a time")
        sums = frame.groupby("day")["balance"].agg(["sum", "count", "size"])
        balance = floats(sums["sum"].where(sums["count"] == sums["size"]))
        scale, unit = canvas.money_scale(balance)
        days = pd.DatetimeIndex(sums.index)
        number = month_no(days.to_series())
        cells = np.full((int(number.max() - number.min()) + 1, 31), np.nan)
        cells[(number - number.min()).astype(np.intp), days.day.to_numpy() - 1] = balance / scale
        _draw_calendar(axes, cells, int(number.min()), f"{currency}{unit}")
    return axes


def _draw_calendar(axes: Axes, cells: Floats, first: int, unit: str) -> None:
    known = np.abs(cells[np.isfinite(cells)])
    most = float(np.quantile(known, 0.9)) if known.size and known.max() > 0 else 1.0
    span = colors.TwoSlopeNorm(0, -max(most, 1e-9), max(most, 1e-9))
    mesh = axes.pcolormesh(np.ma.masked_invalid(cells), cmap=_BALANCE, norm=span, antialiased=False)
    if len(cells) <= _MOST_LINED:
        mesh.set(edgecolor="white", linewidth=0.4)
    names = [f"{(first + row) // 12}-{(first + row) % 12 + 1:02d}" for row in range(len(cells))]
    every = -(-len(cells) // 12)
    axes.set_yticks(np.arange(0, len(cells), every) + 0.5, names[::every])
    axes.set_xticks(np.array([1, 5, 10, 15, 20, 25, 31]) - 0.5, ["1", "5", "10", "15", "20", "25", "31"])
    axes.set_ylim(len(cells), 0)
    axes.set_xlabel("day of the month")
    axes.grid(visible=False)
    bar = canvas.figure_of(axes).colorbar(mesh, ax=axes, extend="both", aspect=28, pad=0.02)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face")  # an image would not be markup
    bar.ax.tick_params(labelsize=8)
    bar.set_label(unit)


def _days(instants: pd.Series[Any]) -> np.ndarray:
    """UTC instants without their zone, as matplotlib draws dates."""
    return pd.DatetimeIndex(instants).tz_localize(None).to_numpy("datetime64[us]")


def _day_axis(axes: Axes, days: np.ndarray) -> None:
    span = np.timedelta64(days.max() - days.min(), "D").astype(int)
    edge = np.timedelta64(max(int(span) // 20, 10), "D")
    axes.set_xlim(days.min() - edge, days.max() + edge)
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=6))  # type: ignore[no-untyped-call]
    form = DateFormatter("%Y-%m" if span > 120 else "%Y-%m-%d")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(form)
