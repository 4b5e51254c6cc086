"""Charts of whether the model was right: ranking, calibration, default rates, shifts, vintages."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

from ..errors import InputError
from . import canvas
from .canvas import BLUE, CLASS_COLORS, INK, MUTED, SAND, WINE, Floats, class_or_group, count, floats, plain

_MOST_VINTAGES = 6
_WIDE = 30  # times: from here on rates are drawn on a logarithmic axis
_ROOM = 0.18  # above the tallest interval, for the counts


def plot_roc(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Defaults found against false alarms, at every cut-off of the score; the diagonal is chance.

    Parameters
    ----------
    frame
        Result of `validation.roc_curve`: ``false_positive_ratio``, ``true_positive_ratio``.
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
    >>> frame = pd.DataFrame({"false_positive_ratio": [0.0, 0.0, 1.0], "true_positive_ratio": [0.0, 1.0, 1.0]})
    >>> plot_roc(frame).lines[-1].get_ydata().tolist()
    [0.0, 1.0, 1.0]
    """
    title = title or "Defaults found against false alarms"
    needed = ("false_positive_ratio", "true_positive_ratio")
    with canvas.drawing(frame, "validation.roc_curve", needed, ax, title) as axes:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="chance")
        _steps(axes, floats(frame[needed[0]]), floats(frame[needed[1]]), "score")
        _unit_square(axes, "share of non-defaults flagged", "share of defaults found")
    return axes


def plot_cap(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The share of defaults found among the riskiest so many companies, with a perfect ranking and chance.

    Parameters
    ----------
    frame
        Result of `validation.cap_curve`: ``share_ratio``, ``defaults_share_ratio``; its base knows the defaults,
        without which no perfect ranking is drawn.
    ax, title
        As in `plot_roc`.

    Raises
    ------
    InputError
        The frame has no rows, or a column is missing.
    """
    title = title or "Defaults found among the riskiest"
    needed = ("share_ratio", "defaults_share_ratio")
    with canvas.drawing(frame, "validation.cap_curve", needed, ax, title) as axes:
        base = frame.attrs.get("base", {})
        defaults = base.get("filters", {}).get("defaults")
        if defaults and base.get("used"):
            axes.plot([0, defaults / base["used"], 1], [0, 1, 1], color=SAND, linewidth=1.4, label="perfect")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="chance")
        _steps(axes, floats(frame[needed[0]]), floats(frame[needed[1]]), "score")
        _unit_square(axes, "share of companies, riskiest first", "share of defaults found")
    return axes


def plot_calibration(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Default rate with interval against mean probability, class by class; the number of defaults is written in.

    Where the diamond is below the interval, more defaulted than the probabilities said. Classes whose verdict is
    ``underestimated`` are dark. Where the rates differ much, the axis is logarithmic; what is 0 stands at its foot.

    Parameters
    ----------
    frame
        Result of `validation.calibration_table`: the class first, ``n``, ``n_defaults``, ``mean_probability``,
        ``default_rate_ratio``, ``low``, ``high``, ``verdict``.
    ax, title
        As in `plot_roc`.

    Raises
    ------
    InputError
        The frame has no rows, or a column is missing.
    """
    needed = ("n", "n_defaults", "mean_probability", "default_rate_ratio", "low", "high", "verdict")
    title = title or "Default rate against probability, by class"
    with canvas.drawing(frame, "validation.calibration_table", needed, ax, title) as axes:
        at, colors = np.arange(len(frame)), [WINE if v == "underestimated" else BLUE for v in frame["verdict"]]
        _rates(axes, frame, colors)
        said = floats(frame["mean_probability"])
        axes.plot(
            at,
            np.fmax(said, axes.get_ylim()[0]),
            linestyle="",
            marker="D",
            markersize=6.5,
            color=SAND,
            markeredgecolor=INK,
            zorder=4,
        )
        axes.lines[-1].set_label("mean probability")
        if WINE in colors:
            axes.plot([], [], linestyle="", marker="o", markersize=7, color=WINE, label="probability too low")
        _named_classes(axes, frame)
        axes.legend(loc="upper left")
    return axes


def plot_default_rates(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Default rate with interval, class by class, with defaults and companies written in; axis as `plot_calibration`.

    Parameters
    ----------
    frame
        Result of `validation.default_rate_table` (or `calibration_table`): the class first, ``n``, ``n_defaults``,
        ``default_rate_ratio``, ``low``, ``high``.
    ax, title
        As in `plot_roc`.

    Raises
    ------
    InputError
        The frame has no rows, or a column is missing.
    """
    needed = ("n", "n_defaults", "default_rate_ratio", "low", "high")
    with canvas.drawing(frame, "validation.default_rate_table", needed, ax, title or "Default rate by class") as axes:
        _rates(axes, frame, [BLUE] * len(frame))
        _named_classes(axes, frame)
    return axes


def plot_psi(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The two distributions behind a stability index, bin by bin, with what each bin adds to it.

    Parameters
    ----------
    frame
        ``bins`` of the result of `validation.psi`: ``bin``, ``expected_ratio``, ``actual_ratio``, ``contribution``.
    ax, title
        As in `plot_roc`.

    Raises
    ------
    InputError
        The frame has no rows, or a column is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"bin": [1, 2], "expected_ratio": 0.5, "actual_ratio": [0.6, 0.4], "contribution": 0.02})
    >>> [float(bar.get_height()) for bar in plot_psi(frame).patches]
    [0.5, 0.5, 0.6, 0.4]
    """
    needed = ("bin", "expected_ratio", "actual_ratio", "contribution")
    with canvas.drawing(frame, "validation.psi", needed, ax, title or "Shift between two populations") as axes:
        at, tallest = np.arange(len(frame), dtype=np.float64), np.zeros(len(frame))
        for shift, column, label, color in ((-0.2, needed[1], "expected", SAND), (0.2, needed[2], "actual", BLUE)):
            heights = floats(frame[column])
            axes.bar(at + shift, heights, 0.38, color=color, label=label)
            tallest = np.maximum(tallest, heights)
        for x, y, part in zip(at, tallest, floats(frame["contribution"]), strict=True):
            _note(axes, x, y, f"+{part:.3f}")
        axes.set_xticks(at, [plain(name) for name in frame["bin"]])
        axes.set_ylim(0, float(tallest.max()) * (1 + _ROOM))
        canvas.percent_axis(axes, "share (written in: what the bin adds to the index)")
        canvas.legend(axes)
    return axes


def plot_vintage_curves(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Cumulative share in default by age, one line a vintage; at most the six newest, the newest darkest.

    A line ends where fewer than 20 loans, or than one in ten of the vintage, are left to watch.

    Parameters
    ----------
    frame
        Result of `validation.vintage_curves`: ``vintage``, ``age_months``, ``n_at_risk``, ``default_ratio``.
    ax, title
        As in `plot_roc`.

    Raises
    ------
    InputError
        The frame has no rows or no vintage of 20 loans, or a column is missing.
    """
    needed = ("vintage", "age_months", "n_at_risk", "default_ratio")
    title = title or "Share of loans in default by age"
    with canvas.drawing(frame, "validation.vintage_curves", needed, ax, title) as axes:
        parts = [(name, rows[rows["n_at_risk"] >= _fewest(rows)]) for name, rows in _vintages(frame)]
        parts = [(name, rows) for name, rows in parts if len(rows) > 1][-_MOST_VINTAGES:]
        if not parts:
            raise InputError(f"cannot draw {title!r}: no vintage has {canvas.FEWEST_FOR_SHARES} loans watched")
        shades = [CLASS_COLORS[c] for c in (1, 2, 3, 4, 5)]
        for no, (name, rows) in enumerate(parts):
            color = shades[round((no + 1) * (len(shades) - 1) / len(parts))]
            axes.plot(rows["age_months"], rows["default_ratio"], drawstyle="steps-post", color=color, label=name)
        axes.set_xlabel("months since origination (renewals continue)")
        axes.set_ylim(bottom=0)
        canvas.percent_axis(axes, "share of loans in default by then")
        canvas.legend(axes)
    return axes


def _vintages(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    quarters = frame["vintage"].dropna().dt.month.nunique() > 1
    named = []
    for name, rows in frame.groupby("vintage", dropna=False, sort=True):
        at = pd.Timestamp(str(name)) if not pd.isna(name) else None
        named.append(("all" if at is None else f"{at.year} Q{at.quarter}" if quarters else f"{at.year}", rows))
    return named


def _fewest(rows: pd.DataFrame) -> float:
    return max(canvas.FEWEST_FOR_SHARES, 0.1 * float(rows["n_at_risk"].max()))


def _steps(axes: Axes, x: Floats, y: Floats, label: str) -> None:
    few = len(x) <= 12
    axes.plot(x, y, color=BLUE, linewidth=2, marker="o" if few else None, markersize=5, label=label)


def _unit_square(axes: Axes, across: str, up: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(across)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    canvas.percent_axis(axes, up)
    axes.legend(loc="lower right")


def _rates(axes: Axes, frame: pd.DataFrame, colors: list[str]) -> None:
    """A point with its interval per row, and above it defaults of companies."""
    at = np.arange(len(frame), dtype=np.float64)
    rate, low, high = (floats(frame[c]) for c in ("default_rate_ratio", "low", "high"))
    if not np.isfinite(rate).any():
        raise InputError("no class has a default rate, as each has too few companies; the counts stand in the table")
    said = floats(frame["mean_probability"]) if "mean_probability" in frame else rate
    foot = _scaled(axes, np.concatenate([rate, high, said]))
    for x, y, bottom, top, color in zip(at, rate, low, high, colors, strict=True):
        if np.isfinite(bottom) and np.isfinite(top):
            axes.plot([x, x], [max(bottom, foot), top], color=color, linewidth=5, alpha=0.45, solid_capstyle="butt")
        axes.plot([x], [max(y, foot)], marker="o", markersize=7, color=color, markeredgecolor="white", linestyle="")
    ends = np.fmax(np.fmax(high, rate), foot)
    for x, y, bad, n in zip(at, ends, floats(frame["n_defaults"]), floats(frame["n"]), strict=True):
        _note(axes, x, y, f"{count(bad)} of {count(n)}")
    axes.set_xlim(-0.6, len(frame) - 0.4)


def _scaled(axes: Axes, values: Floats) -> float:
    """The axis of rates: from 0, or logarithmic where the largest is many times the smallest; its lower end."""
    positive = values[np.isfinite(values) & (values > 0)]
    top, least = float(positive.max(initial=1e-6)), float(positive.min(initial=1.0))
    if top / least <= _WIDE:
        axes.set_ylim(0, top * (1 + _ROOM))
        canvas.percent_axis(axes, "default rate, with its interval")
        return 0.0
    axes.set_yscale("log")
    axes.set_ylim(least / 2, top * 2)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.set_ylabel("default rate, with its interval (log scale)")
    return least / 2


def _named_classes(axes: Axes, frame: pd.DataFrame) -> None:
    column = str(frame.columns[0])
    axes.set_xticks(np.arange(len(frame)), [class_or_group(name, column) for name in frame[column]])
    axes.set_xlabel(f"{canvas.words(column)} (written in: defaults of companies)")


def _note(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), (0, 4), textcoords="offset points", ha="center", fontsize=8.5, color=MUTED)
