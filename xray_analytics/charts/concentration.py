"""Charts of how much hangs on few: amounts drawn by the largest names, and a company's largest payers and payees."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..errors import InputError
from . import canvas
from .canvas import BLUE, INK, SAND, count, floats

_TOPS = {"top_1_share": "the largest", "top_5_share": "the 5 largest", "top_10_share": "the 10 largest"}
_SIDES = {"credit": ("largest payer, of credits", BLUE), "debit": ("largest payee, of debits", SAND)}
_BINS = 10


def plot_concentration(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The share of the amounts drawn that the largest names hold; below it, to how many equal names that amounts.

    Parameters
    ----------
    frame
        Result of `portfolio.concentration`: ``figure``, ``value``, ``n``.
    ax
        Axes to draw on; a new 900 × 500 pixel figure when omitted.
    title
        Replaces the default title.

    Raises
    ------
    InputError
        The frame has no rows or nothing drawn, or a column is missing.

    Examples
    --------
    >>> figures = ["drawn", "herfindahl", "effective_number", "gini", "top_1_share", "top_5_share", "top_10_share"]
    >>> frame = pd.DataFrame({"figure": figures, "value": [900.0, 0.25, 4.0, 0.5, 0.4, 0.9, 1.0], "n": 7})
    >>> [float(bar.get_width()) for bar in plot_concentration(frame).patches]
    [0.4, 0.9, 1.0]
    """
    title = title or "Amounts drawn by the largest names"
    with canvas.drawing(frame, "portfolio.concentration", ("figure", "value", "n"), ax, title) as axes:
        value = dict(zip(frame["figure"], floats(frame["value"]), strict=True))
        if not value.get("drawn", 0) > 0:
            raise InputError(f"cannot draw {title!r}: nothing is drawn; check the exposures given")
        shares = [float(value[name]) for name in _TOPS]
        bars = axes.barh(range(len(_TOPS)), shares, 0.6, color=BLUE)
        axes.bar_label(
            bars,
            [f"{share:.1%}" if share >= 0.001 else "under 0.1%" for share in shares],
            padding=4,
            fontsize=9,
            color=INK,
        )
        axes.set_yticks(range(len(_TOPS)), list(_TOPS.values()))
        axes.set_ylim(len(_TOPS) - 0.4, -0.6)
        axes.set_xlim(0, max(1.0, 1.12 * max(shares)))
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(visible=False)
        n, equal = int(frame["n"].iloc[0]), value["effective_number"]
        names = f"{count(n)} name{'s' * (n != 1)}"
        axes.set_xlabel(f"share of the amounts drawn\n{names}, as concentrated as {equal:,.1f} equal")
    return axes


def plot_counterparty_concentration(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Companies by the share of their largest payer and payee: who hangs on one name stands on the right.

    Parameters
    ----------
    frame
        Result of `cashflow.counterparty_concentration`: ``company_id``, ``side``, ``top_1_share_ratio``.
    ax, title
        As in `plot_concentration`.

    Raises
    ------
    InputError
        The frame has no rows, no share or several currencies, or a column is missing.
    """
    title = title or "Share of the largest counterparty"
    needed = ("company_id", "side", "top_1_share_ratio")
    with canvas.drawing(frame, "cashflow.counterparty_concentration", needed, ax, title) as axes:
        canvas.currency_of(frame, title)  # a company with two would be counted twice
        known = frame[frame["top_1_share_ratio"].notna()]
        if known.empty:
            raise InputError(f"cannot draw {title!r}: no company has a counterparty with a name")
        width = 0.42 / _BINS
        for at, (side, (label, color)) in enumerate(_SIDES.items()):
            share = floats(known.loc[known["side"] == side, "top_1_share_ratio"])
            place = np.minimum((share * _BINS + 1e-9).astype(np.intp), _BINS - 1)
            left = np.arange(_BINS) / _BINS + 0.08 / _BINS + at * width
            axes.bar(left, np.bincount(place, minlength=_BINS), width, align="edge", color=color, label=label)
        axes.set_xlim(0, 1)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("share of the largest counterparty (in bins of 10 %)")
        canvas.count_axis(axes)
        axes.legend(loc="upper right")
    return axes
