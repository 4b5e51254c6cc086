"""The figures of the portfolio report: which chart, of which analysis, with which definition and numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import charts
from ..analysis import cashflow, portfolio
from .page import FEWEST_FOR_SHARES, Figure, dated, figure, grid

CLASS_HEADS = {"risk_class": "Risk class", "n_companies": "Companies", "share_ratio": "Share"}


def class_figures(reports: pd.DataFrame, as_of: str) -> dict[str, Figure]:
    """Of each product the classes now, the stock over time, and apart from it the newly analysed."""
    figures = {}
    for product in ("bank", "financial"):
        now = dated(portfolio.class_distribution(reports, product=product), as_of)
        figures[f"{product}_classes"] = figure(
            charts.plot_class_distribution, now,
            f"Companies by the risk class of their newest {product} report. Unrated is a result of its own.",
            numbers=grid(_without_small_shares(now, []), CLASS_HEADS), title=f"{product.capitalize()} risk class",
        )  # fmt: skip
        figures |= _trend_figures(reports, product, as_of)
    return figures


def _trend_figures(reports: pd.DataFrame, product: str, as_of: str) -> dict[str, Figure]:
    trend = dated(portfolio.class_over_time(reports, product=product, freq="quarter"), as_of)
    meaning = {
        "stock": "Every company known at the end of the quarter, by its newest report then.",
        "new": "Companies whose first report was created in the quarter; they are part of the stock from then on.",
    }
    figures = {}
    for measure, definition in meaning.items():
        rows = _without_small_shares(trend[trend["measure"] == measure], ["period_end"])
        rows = rows.sort_values("period_end", ascending=False, kind="stable")
        title = f"{product.capitalize()} risk class: " + ("stock" if measure == "stock" else "newly analysed")
        figures[f"{product}_{measure}"] = figure(
            charts.plot_class_over_time, trend, definition, measure=measure, title=title,
            numbers=grid(rows, {"period_end": "Quarter to", **CLASS_HEADS}, most=72),
        )  # fmt: skip
    return figures


def value_figures(reports: pd.DataFrame, as_of: str) -> dict[str, Figure]:
    """Distributions of data sanity and of the default probability."""
    definitions = {
        "data_sanity_pct": "How well the statements of a bank report could be extracted, 0–100; below 70 no rating.",
        "default_probability": "The service's probability of default. Its horizon is not documented: no average.",
    }
    heads = {"low": "From", "high": "Below", "n_companies": "Companies", "share_ratio": "Share"}
    figures = {}
    for column, definition in definitions.items():
        values = dated(portfolio.value_distribution(reports, column=column), as_of)
        numbers = grid(_without_small_shares(values, []), heads)
        figures[column] = figure(charts.plot_value_distribution, values, definition, numbers=numbers)
    return figures


def flow_figures(flows: pd.DataFrame, as_of: str) -> dict[str, Figure]:
    """Money by month, and days below zero."""
    months = dated(cashflow.portfolio_months(flows), as_of)
    newest_first = months.iloc[::-1]
    heads = {
        "month": "Month", "n_companies": "Companies", "total_credit": "Credits", "total_debit": "Debits",
        "net_flow": "Net flow", "median_net_flow": "Median net flow",
        "matched_credit_change_ratio": "Credits, same companies",
    }  # fmt: skip
    days = {"month": "Month", "n_companies": "Companies", "negative_day_share_ratio": "Days below zero"}
    return {
        "flows": figure(
            charts.plot_portfolio_months, months,
            "Sums over the companies whose month is complete, so they grow with their number; the table gives "
            "the change for the same companies. EUR where the service names no currency (assumed, for display only).",
            counted="company-months", numbers=grid(newest_first, heads),
        ),
        "negative_days": figure(
            charts.plot_negative_days, months,
            "Days that ended below zero, of the days covered by statements. An authorised overdraft is not known: a "
            "negative day is no incident.",
            counted="company-months", numbers=grid(newest_first, days),
        ),
    }  # fmt: skip


def quality_figures(ledger: pd.DataFrame, coverage: pd.DataFrame, as_of: str) -> dict[str, Figure]:
    """How often the checks hold, and how long the histories are."""
    verdicts = ledger.groupby(["check", "verdict"], sort=False).size().unstack(fill_value=0)
    verdicts = verdicts.reindex(columns=["ok", "off", "unknown"], fill_value=0).reset_index()
    lengths = coverage.groupby("n_months").size().rename("n_companies").reset_index()
    return {
        "reconciliation": figure(
            charts.plot_reconciliation, dated(ledger, as_of),
            "One check per statement or report. Off: the difference is above the tolerance. Unknown: the data do not "
            "allow the check.",
            counted="statements", numbers=grid(verdicts, {str(name): str(name) for name in verdicts}),
        ),
        "coverage": figure(
            charts.plot_coverage, coverage,
            "Months of bank statements known per company, over all its reports; under six months figures are fragile.",
            numbers=grid(lengths, {"n_months": "Months", "n_companies": "Companies"}),
        ),
    }  # fmt: skip


def _without_small_shares(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    total = frame.groupby(by)["n_companies"].transform("sum") if by else frame["n_companies"].sum()
    too_few = np.less(total, FEWEST_FOR_SHARES)
    return frame.assign(share_ratio=np.where(too_few, np.nan, frame["share_ratio"]))
