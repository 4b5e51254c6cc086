"""The chapters of the portfolio report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ...analysis import cashflow, portfolio
from ...analysis.portfolio import flags
from ..document.document import Charts, Document, Glossary, Heading, NamedGrid, Section, Sentences
from ..document.page import FEWEST_FOR_SHARES, Figure, Grid, Tile, grid, text
from ..edition import Edition
from . import figures
from .results import Portfolio

FINDINGS_SHOWN = 20
_CLEAN_BILL = "a rule says nothing of a company whose data are too short for it."


def document(results: Portfolio) -> Document:
    """The report before it has a form: headline, then from whom to call today down to what to trust."""
    edition = results.edition
    commit = f" · store commit {edition.commit}" if edition.commit is not None else ""
    drawn = {
        **figures.class_figures(results.reports, edition),
        **figures.movement_figures(results.history, results.ends, edition),
        **figures.value_figures(results.reports, edition),
        **figures.criteria_figures(results.criteria, results.reports, edition),
        **figures.flow_figures(results.months, results.currency, edition),
        **figures.concentration_figures(results.exposures, results.entries.concentration, edition),
        "agreement": figures.agreement_figure(results.agreement, edition),
        **figures.quality_figures(results.entries.ledger, results.coverage, results.reports, edition),
    }
    sections = (
        *((Section("Read this first", (Sentences(results.unread),)),) if results.unread else ()),
        _watched(results),
        _moved(drawn, edition),
        _classes(drawn),
        _values(drawn),
        _criteria(results, drawn),
        _cash(results, drawn),
        _concentrated(results, drawn),
        _trusted(results, drawn),
        Section("Method", (_method(results),)),
    )
    return Document(edition, f"Analysed companies as of {edition.as_of}{commit}", tuple(_tiles(results)), sections)


def _tiles(results: Portfolio) -> list[Tile]:
    edition, watch = results.edition, results.watch
    now, before = (
        _headline(portfolio.summary(frame, as_of=day))
        for frame, day in ((results.reports, None), (results.history, edition.since))
    )
    per_product = ", ".join(f"{n:,.0f} {p}" for (p, figure), n in now.items() if figure == "companies" and p)
    n, n_before = (int(side["", "companies"]) for side in (now, before))
    verdicts = results.entries.ledger["verdict"].value_counts()
    off, made = int(verdicts.get("off", 0)), int(verdicts.get("off", 0) + verdicts.get("ok", 0))
    since = f"; {n - n_before:+,} since {edition.since}"
    named = [] if edition.min_n else [p for p in figures.PRODUCTS if (p, "rated") in now]
    watched = figures.hidden_counts(pd.Series([watch["company_id"].nunique()]), edition).iloc[0]
    return [
        Tile("Companies analysed", f"{n:,}", f"with at least one report: {per_product}{since}"),
        *(_class_tile(now, before, p, edition) for p in named),
        Tile(
            "Companies to review",
            "few" if pd.isna(watched) else f"{watched:,}",
            f"meet a rule of the watch list, of {watch.attrs['base']['used']:,} judged",
        ),
        Tile("Checks that are off", f"{off:,}", f"of {made:,} reconciliation checks that could be made"),
        Tile(
            "Newest report",
            text(portfolio.summary(results.reports)["day"].max(), "day"),
            "day of its creation at the service",
        ),
    ]


def _headline(summary: pd.DataFrame) -> dict[tuple[str, str], float]:
    value = {(str(p), str(f)): n for p, f, n in summary[["product", "figure", "value"]].itertuples(index=False)}
    return value | {("", "companies"): float(summary.attrs["base"]["used"])}


def _class_tile(
    now: Mapping[tuple[str, str], float], before: Mapping[tuple[str, str], float], product: str, edition: Edition
) -> Tile:
    rated, bad, unrated = (now[product, figure] for figure in ("rated", "class_4_or_5", "unrated"))
    shown = text(bad / rated, "share_ratio") if rated >= FEWEST_FOR_SHARES else f"{bad:,.0f}"
    definition = (
        f"{bad:,.0f} of {rated:,.0f} rated companies, by their newest {product} report; {unrated:,.0f} more are unrated"
    )
    if (product, "rated") in before:
        old_bad, old_rated = before[product, "class_4_or_5"], before[product, "rated"]
        share = f" ({old_bad / old_rated:.1%})" if old_rated >= FEWEST_FOR_SHARES else ""
        definition += f". On {edition.since}: {old_bad:,.0f} of {old_rated:,.0f}{share}"
    return Tile(f"{product.capitalize()} class 4 or 5", shown, definition)


def _watched(results: Portfolio) -> Section:
    edition, title = results.edition, "Companies to look at first"
    if results.watch.empty:
        none = f"No rule of the watch list is met on {edition.as_of}. That is no clean bill: {_CLEAN_BILL}"
        return Section(title, (Sentences(none),))
    tally = NamedGrid("Rules met", _tally(results.watch, "rule", edition), "Rules met")
    if edition.min_n:
        why = f"Single companies are not listed where counts under {edition.min_n} are hidden."
        return Section(title, (Sentences(why), tally))
    heads = {"company_id": "Company", "company_name": "Name", "severity": "Severity", "n_rules": "Rules"}
    if results.companies.empty:
        del heads["company_name"]
    lead = f"The worst severity first, then the number of rules met. Not being listed is no clean bill: {_CLEAN_BILL}"
    first = NamedGrid(title, grid(results.review, {**heads, "reasons": "Why"}))
    return Section(title, (Sentences(lead), first, Heading("Rules met"), tally))


def _moved(drawn: Mapping[str, Figure], edition: Edition) -> Section:
    lead = (
        f"Each day sees what was available by then, so that a report revised since {edition.since} counts as a move. "
        "New are companies analysed for the first time; nobody is gone, because a report never expires here."
    )
    names = ("bank_movement", "financial_movement", "bank_migration")
    return Section(f"What moved since {edition.since}", (Sentences(lead), *(_one(drawn, name) for name in names)))


def _classes(drawn: Mapping[str, Figure]) -> Section:
    scales = (
        "A company counts once per product, with its newest report. Bank and Financial X-Ray have scales of their own "
        "and are never mixed. No share is given of fewer than 20 companies."
    )
    apart = (
        "The stock and the newly analysed are two different questions, and are shown apart. A change of the stock can "
        "come from new companies, not only from companies that moved."
    )
    names = [f"{product}_{measure}" for product in figures.PRODUCTS for measure in ("stock", "new")]
    now = Charts({name: drawn[name] for name in ("bank_classes", "financial_classes")})
    over_time = Charts({name: drawn[name] for name in names})
    both = (Heading("Bank against accounts"), _one(drawn, "agreement"))
    return Section("Risk classes", (Sentences(scales), now, Heading("Over time"), Sentences(apart), over_time, *both))


def _values(drawn: Mapping[str, Figure]) -> Section:
    pair = Charts({name: drawn[name] for name in ("default_probability", "bank_score")})
    return Section("Default probability and score", (pair,))


def _criteria(results: Portfolio, drawn: Mapping[str, Figure]) -> Section:
    lead = (
        "Direction is learnt from the grades that the service gives with the quantiles, never assumed. Conflicts are "
        "entries that a monotone map does not explain. The deviation compares the grades of these companies with the "
        "benchmark of their own sectors."
    )
    heads = {
        "criterion": "Criterion",
        "direction": "A higher quantile is",
        "n_reports": "Entries",
        "n_conflicts": "Conflicts",
        "monotony_ratio": "Explained",
        "grade_deviation_ratio": "Deviation from the benchmark",
    }
    profile = flags.criterion_profile(results.criteria, results.reports)
    words = profile["direction"].str.removeprefix("higher_is_").fillna("not told by the data")
    table = NamedGrid("Criteria", grid(profile.assign(direction=words), heads), "Directions")
    return Section("Criteria that drive it", (_one(drawn, "criteria"), Sentences(lead), table))


def _cash(results: Portfolio, drawn: Mapping[str, Figure]) -> Section:
    metrics = cashflow.in_main_currency(results.metrics)[0]
    by = metrics.groupby("runway_status").agg(
        n_companies=("company_id", "size"), runway_months=("runway_months", "median")
    )
    meaning = {
        "exhausted": "spends more than it takes in, and has nothing left",
        "burning": "spends more than it takes in, and has a balance to spend",
        "not_burning": "takes in as much as it spends, or more",
        "unknown": "too few complete months, or no balance",
    }
    table = by.reindex(list(meaning)).fillna({"n_companies": 0}).reset_index()
    table["n_companies"] = figures.hidden_counts(table["n_companies"], results.edition)
    table = table.assign(meaning=table["runway_status"].map(meaning), runway_status=_words(table["runway_status"]))
    heads = {"runway_status": "Cash", "meaning": "The company", "n_companies": "Companies"}
    pair = Charts({name: drawn[name] for name in ("flows", "negative_days")})
    lead = "Mean of at most the last twelve complete months of each company; an unused credit line is not known."
    return Section(
        "Cash flow",
        (pair, Heading("Who is running out of cash"), Sentences(lead), NamedGrid("Cash", grid(table, heads), "Cash")),
    )


def _concentrated(results: Portfolio, drawn: Mapping[str, Figure]) -> Section:
    pair = Charts({name: drawn[name] for name in ("drawn", "counterparties")})
    if len(results.exposures):
        return Section("Concentration", (pair,))
    none = "The lender's exposures are not known here, so nothing is said of amounts: `xray attach` brings them in."
    return Section("Concentration", (Sentences(none), Charts({"counterparties": drawn["counterparties"]})))


def _trusted(results: Portfolio, drawn: Mapping[str, Figure]) -> Section:
    edition = results.edition
    names = ("reconciliation", "coverage", "data_sanity_pct", "sensitivity")
    blocks: list[Any] = [
        Charts({name: drawn[name] for name in names}),
        Heading("Findings"),
    ]
    if results.findings.empty:
        blocks.append(Sentences("Nothing was found."))
    else:
        blocks.append(NamedGrid("Findings by check", _tally(results.findings, "check", edition), "Findings by check"))
        if not edition.min_n:
            blocks += [Heading("The first findings, worst first"), NamedGrid("Findings", findings(results))]
    excluded = [
        (name.replace("_", " ").capitalize(), shown.base)
        for name, shown in drawn.items()
        if "Not counted" in shown.base
    ]
    left = Glossary(tuple(excluded)) if excluded else Sentences("No figure leaves anything out.")
    return Section("Can the data be trusted?", (*blocks, Heading("What the figures leave out"), left))


def findings(results: Portfolio) -> Grid:
    """The first findings, worst first."""
    heads = {
        "severity": "Severity",
        "check": "Check",
        "company_id": "Company",
        "n": "Times",
        "finding": "What was found",
    }
    return grid(results.named(results.findings), heads, most=FINDINGS_SHOWN)


def _tally(rows: pd.DataFrame, kind: str, edition: Edition) -> Grid:
    """How many rows and companies of each rule or check."""
    by = rows.groupby([kind, "severity"], sort=False)
    counts = by.agg(n_rows=(kind, "size"), n_companies=("company_id", "nunique")).reset_index()
    heads = {kind: kind.capitalize(), "severity": "Severity", "n_rows": "Rows", "n_companies": "Companies"}
    if edition.min_n:
        few = counts["n_companies"].between(1, edition.min_n - 1)
        counts[["n_rows", "n_companies"]] = counts[["n_rows", "n_companies"]].astype("Int64").mask(few)
    return grid(counts, heads)


def _one(drawn: Mapping[str, Figure], name: str) -> Charts:
    return Charts({name: drawn[name]}, columns=1)


def _words(names: pd.Series[Any]) -> pd.Series[Any]:
    return names.str.replace("_", " ")


def _method(results: Portfolio) -> Glossary:
    edition = results.edition
    names = (
        "Natural persons are shown by name: handle this report accordingly."
        if edition.show_persons
        else "Natural persons are masked in name and code. Where the lender has not said that a company is none, its "
        "name is withheld. What a bank wrote beside an incident is not repeated."
    )
    small = f"Counts of 1 to {edition.min_n - 1} companies are hidden, and those that would give them away."
    return Glossary((
        ("Risk class", "1 (A) is the best, 5 (E) the worst, as the service gave it. Letters are for display. The class "
         "limits are not documented."),
        ("Unrated", "The report has no class; a bank report below 70 % data sanity never has one. That is information, "
         "not an error, and never dropped."),
        ("Newest report", "By its creation at the service, in the newest version known on the day of this report; ties "
         "by report id."),
        ("Default probability", "Between 0 and 1, as the service gave it. Its horizon is not documented, therefore no "
         "average is given and no expected loss."),
        ("Net flow", "Credits less debits of a calendar month that statements cover in full, all accounts of the "
         "company together."),
        ("Off", "A check whose difference is above its tolerance. A statement that does not add up may have been read "
         "wrongly, or have been changed."),
        ("Model", results.no_verdict),
        ("Names", names),
        *([("Small counts", small)] if edition.min_n else []),
    ))  # fmt: skip
