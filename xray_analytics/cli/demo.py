"""The first five minutes: the sandbox's fictitious portfolio, from HTTP to a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..analysis import monitoring
from ..api.client import XRayClient
from ..ingest import lender
from ..ingest.run import IntakeResult, Progress
from ..ingest.sync import sync
from ..report import company, portfolio
from ..report.portfolio.results import Portfolio
from ..sandbox import Sandbox
from ..store import Store
from ..store.snapshot import Snapshot


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
