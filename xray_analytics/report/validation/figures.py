"""The figures and tables of the validation report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ... import charts
from ...analysis.validation.stability import StabilityIndex
from ...analysis.validation.statistic import Statistic
from ..document.page import FEWEST_FOR_SHARES, Figure, Grid, figure, text
from .cohorts import ALL_COHORTS
from .results import Validation

WIDE = (10.6, 4.2)  # inches
RATES = {"n": "Companies", "n_defaults": "Defaults", "default_rate_ratio": "Default rate", "low": "From", "high": "To"}
AREA = {"auc": "AUC", "auc_low": "from", "auc_high": "to"}
P_VALUES = {"p_value": "p-value", "p_value_holm": "p-value, Holm", "p_value_over_holm": "p-value of too high, Holm"}
_SHARES = ("low", "high", "mean_probability", "default_probability")
_PLAIN = ("value", "statistic", "auc", "auc_low", "auc_high", "herfindahl", "effective_classes", "z")
_WORDS = {
    "distinct": "distinct",
    "not_shown": "not shown",
    "mixed": "mixed",
    "underestimated": "too low",
    "overestimated": "too high",
    "not_rejected": "not rejected",
    "too_few": "too few",
    "not_tested": "not tested",
}
_POINTS = 20  # of a curve in its table


def grid(frame: pd.DataFrame, heads: Mapping[str, str]) -> Grid:
    """A table of statistics: rates as per cent, p-values and areas with their digits.

    Columns that are not there, and areas that nobody has, are left out.
    """
    heads = {n: head for n, head in heads.items() if n in frame and not (n in AREA and frame[n].isna().all())}
    frame = of_enough(frame)
    columns = [[cell(value, name) for value in frame[name]] for name in heads]
    is_number = tuple(pd.api.types.is_numeric_dtype(frame[name]) and name != "risk_class" for name in heads)
    rows = tuple(zip(*columns, strict=True))
    return Grid(tuple(heads.values()), rows, is_number, 0, frame[list(heads)], tuple(heads))


def of_enough(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without the default rates of fewer than 20 companies: their counts say all there is to say."""
    if "n" not in frame or "default_rate_ratio" not in frame:
        return frame
    few = frame["n"] < FEWEST_FOR_SHARES
    return frame.assign(
        **{name: frame[name].mask(few) for name in ("default_rate_ratio", "low", "high") if name in frame}
    )


def cell(value: Any, name: str) -> str:
    """A value of a table of statistics.

    Examples
    --------
    >>> cell(0.0004, "p_value"), cell(0.0274, "low"), cell(0.75384, "auc"), cell(3.37, "detectable_factor")
    ('< 0.001', '2.74%', '0.7538', '× 3.37')
    """
    if name == "verdict":
        return _WORDS.get(value, str(value))
    if name not in (*_PLAIN, *_SHARES) and not name.endswith(("_ratio", "_factor")) and not name.startswith("p_value"):
        return text(value, name)
    return "–" if pd.isna(value) else _number(float(value), name)


def _number(value: float, name: str) -> str:
    if name.startswith("p_value"):
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    if name.endswith("_factor"):
        return f"× {value:.2f}"
    if name in _PLAIN:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:.2%}"


def statistics(tests: Mapping[str, Statistic | str]) -> Grid:
    """One row per statistic, or the reason why there is none."""
    rows: list[dict[str, Any]] = []
    for name, one in tests.items():
        if isinstance(one, str):
            rows.append({"name": name, "statistic": None, "interval": "–", "p_value": None, "note": one})
            continue
        interval = "–" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
        seen = "" if one.detectable is None else f"{one.detectable_is} {one.detectable:.3g} would be noticed"
        parts = [f"{part} {value:.4g}" for part, value in one.parts.items()]
        note = "; ".join(filter(None, [one.null and f"hypothesis: {one.null}", seen, *parts, *one.notes]))
        rows.append({"name": name, "statistic": one.value, "interval": interval, "p_value": one.p_value, "note": note})
    frame = pd.DataFrame(rows).astype({"statistic": "float64", "p_value": "float64"})
    heads = {"name": "Statistic", "statistic": "Value", "interval": "Interval", "p_value": "p-value", "note": "Note"}
    return grid(frame, heads)


def ranking_figures(results: Validation) -> dict[str, Figure]:
    """ROC and CAP; none where the cohort has defaults only, or none."""
    if results.roc is None or results.cap is None:
        return {}
    named = results.terms.score.replace("_", " ")
    roc = f"Share of defaults against share of non-defaults, at or above each value of the {named}. Ties are one step."
    cap = (
        "Share of the defaults among the riskiest so many per cent of the companies. How far it lies between chance "
        "and a perfect ranking is the accuracy ratio."
    )
    return {
        "roc": figure(charts.plot_roc, results.roc, roc, numbers=_points(results.roc), title="Ranking: ROC"),
        "cap": figure(charts.plot_cap, results.cap, cap, numbers=_points(results.cap), title="Ranking: CAP"),
    }


def _points(curve: pd.DataFrame) -> Grid:
    few = curve.iloc[:: max(1, len(curve) // _POINTS)]
    shown = few.assign(score=[f"{s:.4g}" if s < float("inf") else "–" for s in few["score"]])
    heads = {str(c): str(c).removesuffix("_ratio").replace("_", " ").capitalize() for c in shown.columns}
    return grid(shown, heads | {"score": "At or above"})


def class_table(results: Validation) -> Grid:
    """Default rates, and where probabilities are tested their means and verdicts, by class."""
    heads = {
        "risk_class": "Risk class",
        **RATES,
        "mean_probability": "Mean probability",
        **P_VALUES,
        "detectable_factor": "Noticed from",
        "verdict": "Verdict",
    }
    inversion = {} if "verdict" in results.classes else {"p_value_inversion": "p-value of a reversal"}
    return grid(results.classes, heads | inversion)


def class_figure(results: Validation) -> Figure:
    """Default rates by class, against the probabilities where these are tested."""
    months, table = results.terms.horizon_months, class_table(results)
    if "mean_probability" in results.classes:
        meaning = (
            f"Default rate of each class with its interval, and its mean probability over {months} months (as "
            "declared). A diamond below the interval: more defaulted than was said."
        )
        title = "Default rate and probability, by class"
        return figure(charts.plot_calibration, of_enough(results.classes), meaning, numbers=table, title=title)
    meaning = f"Share of each class that defaulted within {months} months, with its interval."
    return figure(
        charts.plot_default_rates, of_enough(results.classes), meaning, numbers=table, title="Default rate by class"
    )


def cohort_figure(results: Validation) -> dict[str, Figure]:
    """Default rates of the cohorts side by side; none while there is only one."""
    if len(results.periods) == 1:
        return {}
    heads = {"cohort": "Cohort", **RATES}
    single = results.periods[results.periods["cohort"] != ALL_COHORTS].reset_index(drop=True)
    base = {"used": int(single["n"].sum()), "excluded": {}, "backfilled": None, "as_of": results.edition.as_of}
    single.attrs["base"] = base | {"filters": {}}
    meaning = f"Share of each cohort that defaulted within {results.terms.horizon_months} months after its date."
    drawn = figure(
        charts.plot_default_rates,
        of_enough(single),
        meaning,
        numbers=grid(single, heads),
        counted="observations",
        title="Default rate by cohort",
    )
    return {"cohorts": drawn}


def newcomer_figure(index: StabilityIndex, as_of: str) -> Figure:
    """First ratings before and after the cohort's date."""
    bins = index.bins.copy()
    used = (index.n_expected or 0) + (index.n_actual or 0)
    bins.attrs["base"] = {"used": used, "excluded": {}, "backfilled": None, "as_of": as_of, "filters": {}}
    heads = {
        "bin": "Risk class",
        "expected_ratio": "Before",
        "actual_ratio": "Since",
        "contribution": "Adds to the PSI",
    }
    numbers = grid(bins.assign(contribution=bins["contribution"].map("{:.4f}".format)), heads)
    chance = "" if index.benchmark is None else f"; by chance alone up to {index.benchmark:.3f} once in twenty"
    meaning = (
        f"First ratings up to the cohort's date ({index.n_expected:,}) and since ({index.n_actual:,}): no company is "
        f"in both. PSI {index.value:.3f}{chance}."
    )
    return figure(charts.plot_psi, bins, meaning, numbers=numbers, title="Newcomers by risk class")


def migration_figure(results: Validation) -> Figure:
    """From class to state, all cohorts."""
    cells = results.matrix[results.matrix["n"] > 0]
    cells = cells.assign(risk_class=cells["from_class"], to_state=cells["to_state"].str.replace("_", " "))
    heads = {"risk_class": "From class", "to_state": "State after", "n": "Companies", "share_ratio": "Share of class"}
    heads |= {"drawn_share_ratio": "Share of amounts"}
    meaning = (
        "Companies of all cohorts by class and by what had become of them one horizon later. Not refreshed says "
        "nothing about risk."
    )
    return figure(
        charts.plot_migration_matrix,
        results.matrix,
        meaning,
        numbers=grid(cells, heads),
        counted="companies followed",
        size=WIDE,
    )


def vintage_figure(curves: pd.DataFrame) -> Figure:
    """Loans in default by age."""
    every = curves[curves["age_months"] % 6 == 0]
    heads = {
        "vintage": "Originated from", "age_months": "Age (months)", "n_at_risk": "Watched", "n_defaults": "Defaults",
        "n_repaid": "Repaid", "default_ratio": "In default by then", "low": "From", "high": "To",
    }  # fmt: skip
    meaning = (
        "Loans in default by age, repayment competing (Aalen–Johansen). Age counts from the first drawdown: who "
        "refinances goes on."
    )
    title = "Loans in default by age"
    numbers = grid(every, heads)
    return figure(charts.plot_vintage_curves, curves, meaning, numbers=numbers, counted="loans", title=title)
