"""The first five minutes: the sandbox's fictitious portfolio, from HTTP to a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..analysis import cashflow, monitoring
from ..analysis.portfolio import class_distribution
from ..api.client import XRayClient
from ..console import Progress
from ..ingest import lender
from ..ingest.run import IntakeResult
from ..ingest.sync import sync
from ..report import company, portfolio
from ..report.portfolio.results import Portfolio
from ..sandbox import Sandbox
from ..store import Store
from ..store.snapshot import Snapshot
from . import terminal


@dataclass(frozen=True)
class Demo:
    """What the demo made: the totals of the sync, the store, what the analyses found, and the reports."""

    intake: IntakeResult
    store: Store
    portfolio: Portfolio
    report: Path
    workbook: Path
    sheet: Path


def run(out: Path, *, companies: int = 200, seed: int = 7, progress: Progress | None = None) -> Demo:
    """Sync the sandbox over real HTTP, bring in the lender's files, write the reports.

    Parameters
    ----------
    out
        Folder; the store of an economy is kept in it, so that a second run fetches nothing new.
    companies, seed
        Size and identity of the fictitious economy. A larger one begins with the companies of a smaller one.
    progress
        As in `sync`.
    """
    store = Store(out / f"store_{seed}")
    with Sandbox(companies=companies, seed=seed) as sandbox, XRayClient(sandbox.settings()) as client:
        result = sync(client, store, progress=progress)
        for name in lender.NAMES:
            lender.attach(store, getattr(sandbox, name)(), table=name)
    snapshot = store.snapshot()
    command = f"xray report portfolio --store {store.path} --out report.html --out report.xlsx"
    found = portfolio.analyse(snapshot, title="Demo portfolio", command=command)
    report, workbook = (
        portfolio.write_portfolio_report(found, out / f"report{form}", overwrite=True) for form in (".html", ".xlsx")
    )
    return Demo(result, store, found, report, workbook, _sheet(found, snapshot, out))


def _sheet(found: Portfolio, snapshot: Snapshot, out: Path) -> Path:
    """The tear sheet of the company to look at first; of the first by its code, where no rule is met."""
    first = [*monitoring.companies_to_review(found.watch, n=1)["company_id"], found.reports["company_id"].min()][0]
    command = f"xray report company {first} --store {snapshot.root} --out company.pdf"
    return company.write_company_report(
        company.analyse(snapshot, first, command=command), out / "company.pdf", overwrite=True
    )


def show_portfolio(found: Portfolio) -> None:
    """Print the book: classes, monthly trend, data quality, the ten companies to look at."""
    edition = found.edition
    if edition.synthetic:
        terminal.say("[bold]All companies below are fictitious (SYNTHETIC): they were made up by the sandbox.[/bold]")
    if found.unread:
        terminal.say(f"[bold]{terminal.plain(found.unread)}[/bold]")
    terminal.show(
        _classes(found.reports), title=f"Companies by the risk class of their newest report, as of {edition.as_of}"
    )
    months = cashflow.portfolio_months(found.months).tail(6)
    wanted = ["month", "n_companies", "total_credit", "total_debit", "net_flow", "matched_credit_change_ratio"]
    terminal.show(
        months[wanted].rename(columns={"matched_credit_change_ratio": "like for like"}),
        title="Last months, companies with a complete month",
        note=f"like for like: companies complete in both months. {terminal.plain(found.currency)}",
    )
    by = found.findings.groupby(["severity", "check"], sort=False, observed=True)
    terminal.show(
        by.agg(rows=("check", "size"), companies=("company_id", "nunique")).reset_index(), title="Data quality"
    )
    columns = ["company_id", "company_name", "severity", "n_rules", "reasons"]
    terminal.show(found.review[columns], title="Ten companies to look at", note="Rules and evidence: see the report.")
    terminal.say(f"No verdict on the ratings. {terminal.plain(found.no_verdict)}")


def _classes(reports: pd.DataFrame) -> pd.DataFrame:
    """Classes in rows, products in columns, unrated last."""
    rows: dict[str, list[Any]] = {}
    for product in ("bank", "financial"):
        classes = class_distribution(reports, product=product)
        rows["risk_class"] = ["unrated" if pd.isna(c) else str(c) for c in classes["risk_class"]]
        rows[f"{product} companies"] = list(classes["n_companies"])
        rows[f"{product} share"] = list(classes["share_ratio"])
    return pd.DataFrame(rows)
