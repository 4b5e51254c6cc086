"""Charts of money over days and months."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..errors import InputError
from . import canvas
from .canvas import BLUE, INK, MUTED, SAND, WINE, count, floats


def plot_portfolio_months(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Credits above zero, debits below, net flow as a line: one month of `cashflow.portfolio_months` a bar.

    Money in major units of the frame's only currency, or of the one that ``attrs["currency"]`` names; *amount* where
    none is named. Other parameters and errors as in `plot_class_distribution`; a frame in several currencies is one.
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
        axes.set_ylabel(f"{canvas.currency_of(frame, title)}{unit} per month")
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
        canvas.currency_of(frame, title or "Days below zero by month")
        at = canvas.month_no(frame["month"])
        axes.plot(*canvas.with_gaps(at, floats(frame["negative_day_share_ratio"])), color=WINE, marker="o")
        axes.margins(y=0.1)
        axes.set_ylim(bottom=0)
        canvas.month_axis(axes, at, "month")
        canvas.percent_axis(axes, "share of covered days")
    return axes


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
        The frame has no rows, several reports or currencies, or a column is missing.

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
        currency = canvas.currency_of(frame, title)
        axes.set_ylabel("balance" if currency == "amount" else f"balance ({currency})")
        axes.yaxis.set_major_formatter(lambda value, _: count(value))
        if len(accounts) > 1:
            canvas.legend(axes)
    return axes
