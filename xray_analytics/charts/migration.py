"""Charts of who moved: the waterfall between two days, and the migration matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.axes import Axes

from ..errors import InputError
from ..tables import RISK_CLASSES
from . import canvas
from .canvas import (
    BLUE,
    CLASS_COLORS,
    FEWEST_FOR_SHARES,
    INK,
    MUTED,
    SAND,
    WINE,
    Floats,
    class_label,
    count,
    floats,
    ink_on,
    words,
)

_HEAT = colors.LinearSegmentedColormap.from_list("heat", ["#f4f7f9", *(CLASS_COLORS[c] for c in (1, 2, 3, 4, 5))])
_STOCKS = ("stock_start", "stock_end")
_COMING, _GOING = ("new", "newly_rated", "upgraded"), ("newly_unrated", "gone")
_STEP_COLORS = {**dict.fromkeys(_COMING, BLUE), **dict.fromkeys(_GOING, SAND), "downgraded": WINE}


def plot_movement(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """From one stock to the other: the two stocks by class, and between them what came in, moved and went.

    A step that moves companies between classes leaves the stock as large as it was: its bar, at the height of the
    stock, shows how many moved. Only new and gone change the height.

    Parameters
    ----------
    frame
        Result of `portfolio.movement`: ``step``, ``risk_class``, ``n_in``, ``n_out``.
    ax
        Axes to draw on; a new 900 × 500 pixel figure when omitted.
    title
        Replaces the default title.

    Raises
    ------
    InputError
        The frame has no rows, or a column is missing.
    """
    needed = ("step", "risk_class", "n_in", "n_out")
    with canvas.drawing(frame, "portfolio.movement", needed, ax, title or "How the stock moved, by risk class") as axes:
        sums = frame.groupby("step", sort=False)[["n_in", "n_out"]].sum()
        level = 0.0
        for at, step in enumerate(sums.index):
            if step in _STOCKS:
                level = _draw_stock(axes, at, frame[frame["step"] == step])
            else:
                level = _draw_step(axes, at, sums.loc[step], level)
        axes.set_xticks(range(len(sums)), [words(str(step)).replace(" ", "\n") for step in sums.index])
        axes.margins(y=0.12)
        canvas.count_axis(axes)
        canvas.legend(axes, reverse=True)
    return axes


def plot_migration_matrix(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The migration matrix as a heat map: from the class of the row to the state of the column.

    The colour is the share of the row, the number the count of companies; rows of fewer than 20 companies have no
    colour, and their counts alone are shown. The diagonal is framed.

    Parameters
    ----------
    frame
        Result of `migration.migration_matrix`: ``from_class`` (null is unrated), ``to_state``, ``n``,
        ``share_ratio``.
    ax, title
        As in `plot_movement`.

    Raises
    ------
    InputError
        The frame has no rows, a column is missing, or a cell is there twice.
    """
    needed = ("from_class", "to_state", "n", "share_ratio")
    title = title or "From risk class to state"
    with canvas.drawing(frame, "migration.migration_matrix", needed, ax, title) as axes:
        if frame.duplicated(["from_class", "to_state"]).any():
            raise InputError(f"cannot draw {title!r}: a cell is there twice; pass one matrix at a time")
        rows, states = frame["from_class"].drop_duplicates(), list(frame["to_state"].drop_duplicates())
        names = [class_label(None if pd.isna(c) else int(c)) for c in rows]
        counts, shares = (floats(frame[column]).reshape(len(rows), len(states)) for column in ("n", "share_ratio"))
        heat(axes, counts, np.where(np.nansum(counts, axis=1, keepdims=True) < FEWEST_FOR_SHARES, np.nan, shares))
        for row, name in enumerate(names):
            if (state := "unrated" if name == "unrated" else name[0]) in states:
                place = (states.index(state) - 0.5, row - 0.5)
                axes.add_patch(canvas.frame_of(place))
        axes.set_yticks(range(len(names)), names)
        labels = [class_label(int(s)) if str(s).isdigit() else words(str(s)) for s in states]
        axes.set_xticks(range(len(states)), [label.replace("not refreshed", "not\nrefreshed") for label in labels])
        axes.set_ylabel("risk class before")
        axes.set_xlabel("state one horizon later (count written in, colour: share of the row)")
    return axes


def plot_class_agreement(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Bank class against financial class of the same companies as a heat map: on the framed diagonal they agree.

    Colour, counts and rows of fewer than 20 companies as in `plot_migration_matrix`. The two scales are not proven
    equal: a shift off the diagonal may be one of scale.

    Parameters
    ----------
    frame
        The ``counts`` of `portfolio.class_agreement`: ``bank_risk_class``, ``financial_risk_class``, ``n_companies``.
    ax, title
        As in `plot_movement`.

    Raises
    ------
    InputError
        The frame has no rows, a column is missing, or a cell is there twice.
    """
    needed = ("bank_risk_class", "financial_risk_class", "n_companies")
    title = title or "Bank class against financial class"
    with canvas.drawing(frame, "portfolio.class_agreement", needed, ax, title) as axes:
        if frame.duplicated(list(needed[:2])).any():
            raise InputError(f"cannot draw {title!r}: a cell is there twice; pass one result at a time")
        counts = np.zeros((len(RISK_CLASSES), len(RISK_CLASSES)))
        counts[tuple(frame[name].to_numpy("int64") - 1 for name in needed[:2])] = floats(frame["n_companies"])
        total = counts.sum(axis=1, keepdims=True)
        heat(axes, counts, np.where(total < FEWEST_FOR_SHARES, np.nan, counts / np.maximum(total, 1)))
        for at, risk_class in enumerate(RISK_CLASSES):
            axes.add_patch(canvas.frame_of((at - 0.5, risk_class - 1.5)))
        names = [class_label(risk_class) for risk_class in RISK_CLASSES]
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel("bank class")
        axes.set_xlabel("financial class (count written in, colour: share of the row)")
    return axes


def heat(axes: Axes, counts: Floats, shares: Floats) -> None:
    """Cells coloured by share and labelled with their count; a cell without a share is grey, one of zero is empty."""
    edges = [np.arange(n + 1) - 0.5 for n in (shares.shape[1], shares.shape[0])]
    axes.set_facecolor("#eceff1")
    axes.pcolormesh(*edges, np.ma.masked_invalid(shares), cmap=_HEAT, vmin=0, vmax=1)  # an image would not be markup
    axes.set_ylim(shares.shape[0] - 0.5, -0.5)
    for (row, column), n in np.ndenumerate(counts):
        share = shares[row, column]
        ink = MUTED if np.isnan(share) else ink_on(_HEAT(float(share)))
        axes.annotate("" if n == 0 else count(n), (column, row), ha="center", va="center", fontsize=9, color=ink)
    axes.grid(visible=False)
    axes.tick_params(length=0)


def _draw_stock(axes: Axes, at: int, part: pd.DataFrame) -> float:
    """One bar of the classes on each other; its height."""
    numbers = dict(zip(part["risk_class"].fillna(0), floats(part["n_in"]), strict=True))
    bottom = 0.0
    for risk_class, color in CLASS_COLORS.items():
        n, label = float(numbers.get(risk_class or 0, 0)), class_label(risk_class) if at == 0 else None
        axes.bar([at], [n], 0.72, [bottom], color=color, edgecolor="white", linewidth=0.6, label=label)
        bottom += n
    _label(axes, at, bottom, count(bottom))
    return bottom


def _draw_step(axes: Axes, at: int, moved: pd.Series[Any], level: float) -> float:
    """One bar from the level so far; where nothing but classes change, hanging from it. The level after."""
    size, change = float(moved.max()), float(moved["n_in"] - moved["n_out"])
    bottom = level if change > 0 else level - size
    color = _STEP_COLORS.get(str(moved.name), MUTED)
    axes.bar([at], [size], 0.5, [bottom], color=color, alpha=1 if change else 0.55)
    sign = "" if change == 0 else "+" if change > 0 else "−"
    _label(axes, at, bottom + size, f"{sign}{count(size)}")
    axes.plot([at - 0.5, at + 0.5], [level + change] * 2, color=MUTED, linewidth=0.8)
    return level + change


def _label(axes: Axes, at: int, height: float, text: str) -> None:
    axes.annotate(text, (at, height), (0, 3), textcoords="offset points", ha="center", fontsize=9, color=INK)
