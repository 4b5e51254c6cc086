"""Charts of why: criteria by class, and the spread of ratios."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..errors import InputError
from . import canvas
from .canvas import BLUE, FEWEST_FOR_SHARES, MUTED, class_or_group, floats, plain
from .migration import heat

_ENDS = ("p5", "p25", "p50", "p75", "p95")


def plot_criterion_prevalence(
    frame: pd.DataFrame, *, sentiment: str = "bad", ax: Axes | None = None, title: str | None = None
) -> Axes:
    """How often each criterion has a sentiment, by class: a heat map with the counts written in.

    The criterion that separates the groups most stands on top. Groups of fewer than 20 companies have no colour.

    Parameters
    ----------
    frame
        Result of `flags.criterion_prevalence`: ``criterion``, the group, ``sentiment``, ``n_companies``,
        ``n_assessed``, ``share_ratio``.
    sentiment
        Which sentiment to draw.
    ax
        Axes to draw on; a new 900 × 500 pixel figure when omitted.
    title
        Replaces the default title.

    Raises
    ------
    InputError
        The frame has no rows, a column is missing, or it has no such sentiment.
    """
    needed = ("criterion", "sentiment", "n_companies", "n_assessed", "share_ratio")
    title = title or f"Companies whose criterion is {sentiment}, by group"
    with canvas.drawing(frame, "flags.criterion_prevalence", needed, ax, title) as axes:
        part = frame[frame["sentiment"] == sentiment]
        if part.empty:
            raise InputError(f"cannot draw {title!r}: no row has that sentiment; choose another sentiment")
        by = str(frame.columns[1])
        group, groups = pd.factorize(part[by], sort=True, use_na_sentinel=False)
        row, names = pd.factorize(part["criterion"])
        counts, shares = np.zeros((len(names), len(groups))), np.full((len(names), len(groups)), np.nan)
        counts[row, group] = floats(part["n_companies"])
        shares[row, group] = np.where(
            floats(part["n_assessed"]) < FEWEST_FOR_SHARES, np.nan, floats(part["share_ratio"])
        )
        known = np.isfinite(shares)
        spread = np.where(known, shares, -np.inf).max(1) - np.where(known, shares, np.inf).min(1)
        order = np.argsort(-spread, kind="stable")
        heat(axes, counts[order], shares[order])
        axes.set_yticks(range(len(names)), [plain(names[i]) for i in order])
        axes.set_xticks(range(len(groups)), [class_or_group(value, by) for value in groups])
        axes.set_xlabel(f"{canvas.words(by)} (count written in, colour: share of the companies assessed)")
    return axes


def plot_ratio_quantiles(
    frame: pd.DataFrame, *, criterion: str, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """The spread of one ratio by class: median, middle half, and 5 to 95 % where there are 20 values.

    Parameters
    ----------
    frame
        Result of `ratios.ratio_quantiles`: ``criterion``, the group, ``n``, ``n_missing``, ``p5`` … ``p95``.
    criterion
        Which ratio to draw.
    ax, title
        As in `plot_criterion_prevalence`.

    Raises
    ------
    InputError
        The frame has no rows, a column is missing, or it has no such criterion.
    """
    needed = ("criterion", "n", "n_missing", *_ENDS)
    with canvas.drawing(frame, "ratios.ratio_quantiles", needed, ax, title or f"Spread of {plain(criterion)}") as axes:
        part = frame[frame["criterion"] == criterion]
        if part.empty:
            known = ", ".join(plain(name) for name in frame["criterion"].drop_duplicates()[:5])
            raise InputError(f"no criterion {plain(criterion)!r} in the frame; there are {known} …")
        by, at = str(frame.columns[1]), np.arange(len(part))
        p5, p25, p50, p75, p95 = (floats(part[name]) for name in _ENDS)
        axes.vlines(at, p5, p95, color=MUTED, linewidth=1.2, label="5–95 %")
        axes.bar(at, p75 - p25, 0.5, p25, color=BLUE, alpha=0.55, label="25–75 %")
        axes.hlines(p50, at - 0.25, at + 0.25, color=BLUE, linewidth=2.2, label="median")
        labels = [class_or_group(value, by) for value in part[by]]
        missing = [f", {m:,} missing" if m else "" for m in part["n_missing"]]
        axes.set_xticks(at, [f"{a}\nn = {n:,}{m}" for a, n, m in zip(labels, part["n"], missing, strict=True)])
        axes.set_xlabel(canvas.words(by))
        axes.set_ylabel("as sent")
        axes.use_sticky_edges = False
        axes.margins(y=0.08)
        canvas.legend(axes)
    return axes
