"""The first five minutes: the sandbox's fictitious portfolio, from HTTP to a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import lender
from .api.client import XRayClient
from .fetch import sync
from .intake import IntakeResult, Progress
from .report import portfolio
from .report.portfolio import Portfolio
from .sandbox import Sandbox
from .store import Store


@dataclass(frozen=True)
class Demo:
    """What the demo made: the totals of the sync, the store, what the analyses found, and the report."""

    intake: IntakeResult
    store: Store
    portfolio: Portfolio
    report: Path


def run(out: Path, *, companies: int = 200, seed: int = 7, progress: Progress | None = None) -> Demo:
    """Sync the sandbox over real HTTP, bring in the lender's files, write the report.

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
    command = f"xray report portfolio --store {store.path} --out report.html"
    found = portfolio.analyse(store.snapshot(), title="Demo portfolio", command=command)
    return Demo(result, store, found, portfolio.write_portfolio_report(found, out / "report.html", overwrite=True))
