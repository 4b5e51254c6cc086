"""The figures of the portfolio report: which chart, of which analysis, with which definition and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ... import charts
from ...analysis import cashflow, portfolio, quality
from ...analysis.portfolio import flags, migration
from ...analysis.portfolio.agreement import ClassAgreement
from ...analysis.portfolio.disclosure import hidden_cells, suppressed
from ...errors import InputError
from ..currency import currency_sentence
from ..document.page import FEWEST_FOR_SHARES, Figure, base_sentence, dated, figure, grid
from ..edition import Edition

CLASS_HEADS = {"risk_class": "Risk class", "n_companies": "Companies", "share_ratio": "Share"}
PRODUCTS = ("bank", "financial")
WIDE, FLAT = (10.6, 4.2), (10.6, 3.4)  # inches


def class_figures(reports: pd.DataFrame, edition: Edition) -> dict[str, Figure]:
    """Of each product the classes now, the stock over time, and apart from it the newly analysed."""
    figures = {}
    for product in PRODUCTS:
        now = _shown(portfolio.class_distribution(reports, product=product), edition)
        figures[f"{product}_classes"] = figure(
            charts.plot_class_distribution,
            now,
            f"Companies by the risk class of their newest {product} report. Unrated is a result of its own.",
            numbers=grid(without_small_shares(now, []), CLASS_HEADS),
            title=f"{product.capitalize()} risk class",
        )
        figures |= _trend_figures(reports, product, edition)
    return figures


def _trend_figures(reports: pd.DataFrame, product: str, edition: Edition) -> dict[str, Figure]:
    trend = _shown(portfolio.class_over_time(reports, product=product, freq="quarter"), edition)
    meaning = {
        "stock": "Every company known at the end of the quarter, by its newest report then.",
        "new": "Companies whose first report was created in the quarter; they are part of the stock from then on.",
    }
    figures = {}
    for measure, definition in meaning.items():
        rows = without_small_shares(trend[trend["measure"] == measure], ["period_end"])
        rows = rows.sort_values("period_end", ascending=False, kind="stable")
        title = f"{product.capitalize()} risk class: " + ("stock" if measure == "stock" else "newly analysed")
        figures[f"{product}_{measure}"] = figure(
            charts.plot_class_over_time,
            trend,
            definition,
            measure=measure,
            title=title,
            numbers=grid(rows, {"period_end": "Quarter to", **CLASS_HEADS}, most=72),
        )
    return figures


def movement_figures(history: pd.DataFrame, ends: pd.DataFrame, edition: Edition) -> dict[str, Figure]:
    """Of each product the stock then and now and the steps between, and what became of the classes in a year.

    `ends` is the result of `migration.endings`: who defaulted or closed is no company that was not refreshed.
    """
    figures = {}
    heads = {"step": "Step", "risk_class": "Risk class", "n_in": "Into the class", "n_out": "Out of it"}
    for product in PRODUCTS:
        moved = portfolio.movement(history, product=product, start=edition.since, end=edition.as_of)
        rows = moved[(moved["n_in"] > 0) | (moved["n_out"] > 0)]
        figures[f"{product}_movement"] = _unless_hidden(
            edition,
            charts.plot_movement,
            moved,
            f"From the stock of {edition.since} to that of {edition.as_of}. Companies that changed class leave the "
            "stock as large as it was: their bar hangs from it.",
            numbers=grid(rows, heads),
            title=f"{product.capitalize()} risk class: what moved since {edition.since}",
            size=FLAT,
        )
    matrix = migration.migration_matrix(history, product="bank", as_of=edition.as_of, endings=ends)
    cells = {"from_class": "From class", "to_state": "To", "n": "Companies", "share_ratio": "Share of the row"}
    few = matrix.groupby("from_class", dropna=False)["n"].transform("sum") < FEWEST_FOR_SHARES
    table = matrix.assign(share_ratio=matrix["share_ratio"].where(~few), from_class=_class_words(matrix["from_class"]))
    figures["bank_migration"] = _unless_hidden(
        edition,
        charts.plot_migration_matrix,
        matrix,
        "Where the companies of each class were twelve months later, over the cohorts whose horizon has passed. "
        "Defaulted and closed by the lender's files. Not refreshed: no newer report, which says nothing of risk.",
        numbers=grid(table[table["n"] > 0], cells),
        counted="companies followed",
        size=WIDE,
        title="Bank risk class: twelve months later",
    )
    return figures


def value_figures(reports: pd.DataFrame, edition: Edition) -> dict[str, Figure]:
    """Distributions of the default probability, of the score and of data sanity."""
    definitions = {
        "default_probability": "The service's probability of default. Its horizon is not documented: no average.",
        "bank_score": "The service's score of the newest bank report. Neither scale nor direction is documented.",
        "data_sanity_pct": "How well the statements of a bank report could be extracted, 0–100; below 70 no rating.",
    }
    heads = {"low": "From", "high": "Below", "n_companies": "Companies", "share_ratio": "Share"}
    figures = {}
    for column, definition in definitions.items():
        values = _shown(portfolio.value_distribution(reports, column=column), edition)
        values.attrs["column"] = column
        numbers = grid(without_small_shares(values, []), heads)
        figures[column] = figure(charts.plot_value_distribution, values, definition, numbers=numbers)
    return figures


def criteria_figures(criteria: pd.DataFrame, reports: pd.DataFrame, edition: Edition) -> dict[str, Figure]:
    """Which criteria are bad in which class."""
    prevalence = dated(flags.criterion_prevalence(criteria, reports), edition.as_of)
    bad = prevalence[prevalence["sentiment"] == "bad"]
    few = bad["n_assessed"] < FEWEST_FOR_SHARES
    rows = bad.assign(share_ratio=bad["share_ratio"].where(~few), risk_class=bad["bank_risk_class"])
    heads = {"criterion": "Criterion", "risk_class": "Bank class", "n_companies": "Bad", "n_assessed": "Assessed"}
    return {
        "criteria": _unless_hidden(
            edition,
            charts.plot_criterion_prevalence,
            prevalence,
            "Share of the companies of a class whose criterion the service calls bad, in their newest bank report. The "
            "criterion that separates the classes most stands on top.",
            numbers=grid(rows, {**heads, "share_ratio": "Share"}, most=72),
            size=WIDE,
            title="Criteria that are bad, by bank risk class",
        )
    }


def flow_figures(flows: pd.DataFrame, currency: str, edition: Edition) -> dict[str, Figure]:
    """Money by month, and days below zero."""
    months = dated(cashflow.portfolio_months(flows), edition.as_of)
    if edition.min_n:
        few = months["n_companies"].lt(edition.min_n)
        figures = [name for name in months.columns if name not in ("month", "currency")]
        months[figures] = months[figures].astype("Float64").mask(few)
    newest_first = months.iloc[::-1]
    heads = {
        "month": "Month",
        "n_companies": "Companies",
        "total_credit": "Credits",
        "total_debit": "Debits",
        "net_flow": "Net flow",
        "median_net_flow": "Median net flow",
        "matched_credit_change_ratio": "Credits, same companies",
    }
    days = {"month": "Month", "n_companies": "Companies", "negative_day_share_ratio": "Days below zero"}
    return {
        "flows": figure(
            charts.plot_portfolio_months,
            months,
            "Sums over the companies whose month is complete, so they grow with their number; the table gives "
            f"the change for the same companies. {currency}",
            counted="company-months",
            numbers=grid(newest_first, heads),
        ),
        "negative_days": figure(
            charts.plot_negative_days,
            months,
            "Days that ended below zero, of the days covered by statements. An authorised overdraft is not known: a "
            "negative day is no incident.",
            counted="company-months",
            numbers=grid(newest_first, days),
        ),
    }


def concentration_figures(exposures: pd.DataFrame, parties: pd.DataFrame, edition: Edition) -> dict[str, Figure]:
    """How much of the money drawn hangs on the largest names, and how much of a company's on its largest party."""
    heads = {"figure": "Figure", "value": "Value", "unit": "Unit", "n": "Names"}
    definition = "Amounts drawn on the newest day of the lender's exposures."
    try:
        drawn = portfolio.concentration(exposures, as_of=edition.as_of)
    except InputError as error:
        drawn_figure = Figure(definition, "Base: not stated.", problem=f"Not shown: {error}.")
    else:
        table = drawn.assign(figure=drawn["figure"].str.replace("_", " "), value=drawn["value"].map(_digits))
        drawn_figure = _unless_hidden(
            edition, charts.plot_concentration, drawn, definition, numbers=grid(table, heads), counted="names"
        )
    parties, n_others = cashflow.in_main_currency(parties)
    beside = f" {currency_sentence(parties['currency'], n_others)}" if n_others else ""
    summary = parties.groupby("side")[["top_1_share_ratio", "top_5_share_ratio", "hhi_ratio"]].median().reset_index()
    words = {"side": "Side", "top_1_share_ratio": "Largest, median", "top_5_share_ratio": "Five largest, median"}
    return {
        "drawn": drawn_figure,
        "counterparties": _unless_hidden(
            edition,
            charts.plot_counterparty_concentration,
            dated(parties, edition.as_of),
            "Operating credits by their largest payer and debits by their largest payee, over all days covered. A "
            f"name printed in two ways is two: shares are lower bounds.{beside}",
            numbers=grid(summary, words),
        ),
    }


def agreement_figure(agreement: ClassAgreement, edition: Edition) -> Figure:
    """Bank class against financial class of the same companies."""
    counts = dated(agreement.counts, edition.as_of)
    both = {"bank_risk_class": "Bank class", "financial_risk_class": "Financial class", "n_companies": "Companies"}
    interval = ""
    if agreement.kappa is not None and agreement.kappa_low is not None:
        low, high = agreement.kappa_low, agreement.kappa_high
        interval = f" Quadratic-weighted kappa {agreement.kappa:.2f} (95 %: {low:.2f} to {high:.2f})."
    return _unless_hidden(
        edition,
        charts.plot_class_agreement,
        counts,
        f"Companies with both reports at most six months apart.{interval} The two scales are not proven equal.",
        numbers=grid(counts[counts["n_companies"] > 0], both),
        title="Bank class against financial class",
        size=WIDE,
    )


def quality_figures(
    ledger: pd.DataFrame, coverage: pd.DataFrame, reports: pd.DataFrame, edition: Edition
) -> dict[str, Figure]:
    """How often the checks hold, how long the histories are, and what a headline owes to poor data."""
    verdicts = ledger.groupby(["check", "verdict"], sort=False).size().unstack(fill_value=0)
    verdicts = verdicts.reindex(columns=["ok", "off", "unknown"], fill_value=0).reset_index()
    lengths = coverage.groupby("n_months").size().rename("n_companies").reset_index()
    bank = reports[reports["product"] == "bank"]
    sensitive = dated(quality.sensitivity(_share_of_bad_classes, bank), edition.as_of)
    cells = {"threshold_pct": "From", "share_ratio": "Class 4 or 5", "n_reports": "Reports", "n_companies": "Companies"}
    return {
        "reconciliation": figure(
            charts.plot_reconciliation, dated(ledger, edition.as_of),
            "One check per statement or report. Off: the difference is above the tolerance. Unknown: the data do not "
            "allow the check.",
            counted="statements", numbers=grid(verdicts, {str(name): str(name) for name in verdicts}),
        ),
        "coverage": _unless_hidden(
            edition, charts.plot_coverage, coverage,
            "Months of bank statements known per company, over all its reports; under six months figures are fragile.",
            numbers=grid(lengths, {"n_months": "Months", "n_companies": "Companies"}),
        ),
        "sensitivity": _unless_hidden(
            edition, charts.plot_sensitivity, sensitive,
            "Rated companies in class 4 or 5, counting only bank reports of at least so much data sanity. A figure "
            "that moves with the cut-off hangs on poor data.",
            numbers=grid(sensitive.assign(share_ratio=sensitive["value"]), cells), counted="reports",
            label="share in class 4 or 5", share=True, title="Class 4 or 5, over better and better data",
        ),
    }  # fmt: skip


def hidden_counts(counts: pd.Series[Any], edition: Edition) -> pd.Series[Any]:
    """One row of counts without the small ones and what gives them away."""
    shown = counts.astype("Int64")
    if edition.min_n and len(shown):
        shown = shown.mask(hidden_cells(np.array([shown], np.int64), edition.min_n)[0])
    return shown


def without_small_shares(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """No percentage of fewer than 20 companies."""
    total = frame.groupby(by)["n_companies"].transform("sum") if by else frame["n_companies"].sum()
    too_few = np.less(total, FEWEST_FOR_SHARES)
    return frame.assign(share_ratio=np.where(too_few, np.nan, frame["share_ratio"]))


def _shown(frame: pd.DataFrame, edition: Edition) -> pd.DataFrame:
    """A distribution dated as the page is, and without its small cells where they are to be hidden."""
    shown = dated(frame, edition.as_of)
    return suppressed(shown, min_n=edition.min_n) if edition.min_n else shown


def _unless_hidden(
    edition: Edition, plot: Callable[..., Any], frame: pd.DataFrame, definition: str, **options: Any
) -> Figure:
    """The figure, or where small counts are to be hidden, why it is not there."""
    if not edition.min_n:
        return figure(plot, frame, definition, **options)
    reason = f"Not shown: counts of fewer than {edition.min_n} companies cannot be kept out of this figure."
    return Figure(definition, base_sentence(frame, options.get("counted", "companies")), problem=reason)


def _class_words(classes: pd.Series[Any]) -> list[str]:
    return [charts.class_label(None if pd.isna(value) else int(value)) for value in classes]


def _digits(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _share_of_bad_classes(reports: pd.DataFrame) -> float:
    """Of the rated companies, by their newest bank report, the share in class 4 or 5."""
    classes = portfolio.class_distribution(reports, product="bank").dropna(subset=["risk_class"])
    n = int(classes["n_companies"].sum())
    if n < FEWEST_FOR_SHARES:
        raise InputError(f"fewer than {FEWEST_FOR_SHARES} rated companies")
    return float(classes.loc[classes["risk_class"] >= 4, "n_companies"].sum() / n)
