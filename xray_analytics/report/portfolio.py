"""The portfolio report: what the analysed companies look like, whom to look at, and how far the data can be trusted.

One HTML file that loads nothing and runs nothing; the same snapshot gives the same bytes. Reports are analyses, not a
loan book: the page says *analysed companies*, gives no average probability of default (its horizon is not documented)
and no verdict on the model (that is the validation report's).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import pandas as pd

from ..analysis import cashflow, monitoring, portfolio, quality
from ..errors import InputError
from . import figures
from .page import FEWEST_FOR_SHARES, Figure, Grid, Tile, grid, text, unbroken, with_names
from .saving import save

if TYPE_CHECKING:
    from ..store.snapshot import Snapshot

FEWEST_FOR_VERDICT = 2_000
FINDINGS_SHOWN = 20
READ: Mapping[str, tuple[str, ...] | None] = {  # table: columns, None is all
    "reports": None, "monthly_summaries": None, "statement_summaries": None, "movement_metrics": None,
    "companies": None, "outcomes": None, "drift": None,
    "transactions": ("report_id", "report_version", "account_no", "booked_date", "amount", "balance_after"),
    "quarantine": ("raw_sha256", "object_id", "stage", "code", "json_path", "fetched_at"),
}  # fmt: skip


@dataclass(frozen=True)
class Edition:
    """What the reader is told about a report besides its figures."""

    as_of: str
    commit: int | None = None
    title: str = "Portfolio report"
    command: str | None = None
    synthetic: bool = False
    show_persons: bool = False


@dataclass(frozen=True)
class Portfolio:
    """What the analyses say about a snapshot, before it is shown anywhere."""

    edition: Edition
    reports: pd.DataFrame
    companies: pd.DataFrame
    outcomes: pd.DataFrame
    flows: pd.DataFrame
    watch: pd.DataFrame
    ledger: pd.DataFrame
    coverage: pd.DataFrame
    findings: pd.DataFrame

    @property
    def review(self) -> pd.DataFrame:
        """The ten companies to look at first; names of natural persons masked unless the edition shows them."""
        first = monitoring.companies_to_review(self.watch, n=10)
        return with_names(first, self.companies, show_persons=self.edition.show_persons)

    @property
    def no_verdict(self) -> str:
        """Why this report does not judge the ratings."""
        n, defaults = self.reports["company_id"].nunique(), self.outcomes.dropna(subset=["default_date"])
        known = f"{n:,} companies analysed and {defaults['company_id'].nunique():,} with a recorded default"
        if n < FEWEST_FOR_VERDICT:
            chance = f"judging the ratings would be mostly chance; none is judged under {FEWEST_FOR_VERDICT:,}"
            return f"With {known}, {chance}."
        return f"There are {known}; whether the ratings were right is for the validation report to say."


def analyse(
    snapshot: Snapshot, *, title: str = "Portfolio report", command: str | None = None, synthetic: bool | None = None,
    show_persons: bool = False,
) -> Portfolio:  # fmt: skip
    """The analyses of the portfolio report.

    Parameters
    ----------
    snapshot
        The store at a point in time; without `as_of` the report is of the day its newest report became available.
    command
        The command that makes this page again, for the footer.
    synthetic
        Say at the top that all companies are fictitious; None looks whether every name known says SYNTHETIC.
    show_persons
        Show names and codes of natural persons, which are masked otherwise.

    Raises
    ------
    InputError
        The snapshot has no reports.
    """
    frames = {name: snapshot.read(name, columns=columns) for name, columns in READ.items()}
    if frames["reports"].empty:
        raise InputError("the snapshot has no reports to report on; run xray sync or xray import first")
    if synthetic is None:
        synthetic = _all_synthetic(snapshot)
    newest = snapshot.as_of or frames["reports"]["available_at"].max()
    return analysed(frames, Edition(f"{newest:%Y-%m-%d}", snapshot.commit, title, command, synthetic, show_persons))


def analysed(frames: Mapping[str, pd.DataFrame], edition: Edition) -> Portfolio:
    """The analyses of these tables: a pure function."""
    reports, as_of = frames["reports"], edition.as_of
    flows = cashflow.monthly_flows(frames["monthly_summaries"], reports)
    ledger = quality.reconciliation(frames["statement_summaries"], frames["transactions"], frames["movement_metrics"])
    coverage = quality.coverage(frames["statement_summaries"], reports, as_of=as_of)
    return Portfolio(
        edition=edition,
        reports=reports,
        companies=frames["companies"],
        outcomes=frames["outcomes"],
        flows=flows,
        watch=monitoring.watch_list(reports, flows, as_of=as_of),
        ledger=ledger,
        coverage=coverage,
        findings=quality.findings(
            reconciliation=ledger,
            coverage=coverage,
            reports=reports,
            drift=frames["drift"],
            quarantine=frames["quarantine"],
        ),
    )


def write_portfolio_report(found: Portfolio, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the page to a file only its owner can read: whole, or not at all.

    Raises
    ------
    InputError
        The file exists and `overwrite` is not set, or it cannot be written.
    """
    return save(render(found), path, overwrite=overwrite)


def render(found: Portfolio) -> str:
    """The page of these analyses: a pure function, the same input gives the same text."""
    edition, as_of = found.edition, found.edition.as_of
    drawn = {
        **figures.class_figures(found.reports, as_of),
        **figures.value_figures(found.reports, as_of),
        **figures.flow_figures(found.flows, as_of),
        **figures.quality_figures(found.ledger, found.coverage, as_of),
    }
    return _template().render(
        edition=edition,
        version=version("xray-analytics"),
        tiles=_tiles(portfolio.summary(found.reports), found.watch, found.ledger),
        review=_review(found),
        figures=drawn,
        findings=_findings(found.findings, found.companies, edition),
        excluded=_excluded(drawn),
        rules=_tally(found.watch, "rule"),
        checks=_tally(found.findings, "check"),
        no_verdict=found.no_verdict,
    )


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page.filters["unbroken"] = unbroken
    return page.get_template("portfolio.html.jinja")


def _all_synthetic(snapshot: Snapshot) -> bool:
    names = pd.concat([snapshot.read("companies")["company_name"], snapshot.read("requests")["business_name"]]).dropna()
    return len(names) > 0 and bool(names.str.contains("SYNTHETIC", regex=False).all())


def _tiles(summary: pd.DataFrame, watch: pd.DataFrame, ledger: pd.DataFrame) -> list[Tile]:
    value = {(str(p), str(f)): n for p, f, n in summary[["product", "figure", "value"]].itertuples(index=False)}
    per_product = ", ".join(f"{n:,.0f} {p}" for (p, figure), n in value.items() if figure == "companies")
    verdicts = ledger["verdict"].value_counts()
    off, made = int(verdicts.get("off", 0)), int(verdicts.get("off", 0) + verdicts.get("ok", 0))
    return [
        Tile("Companies analysed", f"{summary.attrs['base']['used']:,}", f"with at least one report: {per_product}"),
        *(_class_tile(value, p) for p in ("bank", "financial") if (p, "rated") in value),
        Tile(
            "Companies to review", f"{watch['company_id'].nunique():,}",
            f"meet a rule of the watch list, of {watch.attrs['base']['used']:,} judged",
        ),
        Tile("Checks that are off", f"{off:,}", f"of {made:,} reconciliation checks that could be made"),
        Tile("Newest report", text(summary["day"].max(), "day"), "day of its creation at the service"),
    ]  # fmt: skip


def _class_tile(value: Mapping[tuple[str, str], float], product: str) -> Tile:
    rated, bad, unrated = (value[product, figure] for figure in ("rated", "class_4_or_5", "unrated"))
    shown = text(bad / rated, "share_ratio") if rated >= FEWEST_FOR_SHARES else f"{bad:,.0f}"
    definition = (
        f"{bad:,.0f} of {rated:,.0f} rated companies, by their newest {product} report; {unrated:,.0f} more are unrated"
    )
    return Tile(f"{product.capitalize()} class 4 or 5", shown, definition)


def _review(found: Portfolio) -> Grid:
    heads = {
        "company_id": "Company",
        "company_name": "Name",
        "severity": "Severity",
        "n_rules": "Rules",
        "reasons": "Why",
    }
    if found.companies.empty:
        del heads["company_name"]
    return grid(found.review, heads)


def _findings(findings: pd.DataFrame, companies: pd.DataFrame, edition: Edition) -> Grid:
    heads = {
        "severity": "Severity",
        "check": "Check",
        "company_id": "Company",
        "n": "Times",
        "finding": "What was found",
    }
    return grid(with_names(findings, companies, show_persons=edition.show_persons), heads, most=FINDINGS_SHOWN)


def _tally(rows: pd.DataFrame, kind: str) -> Grid:
    """How many rows and companies of each rule or check."""
    by = rows.groupby([kind, "severity"], sort=False)
    counts = by.agg(n_rows=(kind, "size"), n_companies=("company_id", "nunique")).reset_index()
    heads = {kind: kind.capitalize(), "severity": "Severity", "n_rows": "Rows", "n_companies": "Companies"}
    return grid(counts, heads)


def _excluded(drawn: Mapping[str, Figure]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), shown.base) for name, shown in drawn.items() if "Not counted" in shown.base]
