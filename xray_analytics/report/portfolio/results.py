"""The results of the portfolio report: what the analyses say of a snapshot, before it is shown anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from ...analysis import cashflow, monitoring, portfolio, quality
from ...analysis.portfolio import migration
from ...analysis.portfolio.agreement import ClassAgreement
from ...errors import InputError
from ..currency import currency_sentence
from ..edition import Edition
from ..masking import with_names, without_labels
from ..snapshot import all_synthetic, day_of, earlier_day
from ..transactions import TRANSACTIONS, TransactionResults, in_pieces, of_transactions

if TYPE_CHECKING:
    from ...store.snapshot import Snapshot

FEWEST_FOR_VERDICT = 2_000
READ: Mapping[str, tuple[str, ...] | None] = {  # table: columns, None is all
    "reports": None, "monthly_summaries": None, "statement_summaries": None, "movement_metrics": None,
    "companies": None, "outcomes": None, "loans": None, "drift": None, "exposures": None, "bank_flag_criteria": None,
    "transactions": TRANSACTIONS,
    "quarantine": ("raw_sha256", "object_id", "stage", "code", "json_path", "fetched_at"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Portfolio:
    """What the analyses say about a snapshot, before it is shown anywhere."""

    edition: Edition
    reports: pd.DataFrame
    history: pd.DataFrame
    companies: pd.DataFrame
    outcomes: pd.DataFrame
    exposures: pd.DataFrame
    ends: pd.DataFrame
    criteria: pd.DataFrame
    flows: pd.DataFrame
    metrics: pd.DataFrame
    watch: pd.DataFrame
    entries: TransactionResults
    agreement: ClassAgreement
    coverage: pd.DataFrame
    findings: pd.DataFrame

    @property
    def review(self) -> pd.DataFrame:
        """The ten companies to look at first, as the edition may show them."""
        watch = self.watch if self.edition.show_persons else without_labels(self.watch)
        return self.named(monitoring.companies_to_review(watch, n=10))

    @property
    def listed(self) -> pd.DataFrame:
        """The whole watch list, as the edition may show it."""
        return self.named(self.watch if self.edition.show_persons else without_labels(self.watch))

    def named(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows on companies with `company_name`; natural persons masked unless the edition shows them."""
        return with_names(rows, self.companies, show_persons=self.edition.show_persons)

    @property
    def months(self) -> pd.DataFrame:
        """The months in the currency of most companies."""
        return cashflow.in_main_currency(self.flows)[0]

    @property
    def currency(self) -> str:
        """One sentence on the currency of the months shown, and on who is not among them."""
        shown, n_others = cashflow.in_main_currency(self.flows)
        return currency_sentence(shown["currency"], n_others)

    @property
    def unread(self) -> str:
        """What is said before anything else: how many transactions could not be read; empty where nearly all were."""
        n, of = quality.unread(self.reports)
        if not n:
            return ""
        return (
            f"{n:,} of {of:,} transactions have no amount or no day that could be read, so that the flows which rest "
            "on them are unknown: see xray inspect."
        )

    @property
    def no_verdict(self) -> str:
        """Why this report does not judge the ratings."""
        n, defaults = self.reports["company_id"].nunique(), self.outcomes.dropna(subset=["default_date"])
        known = f"{n:,} companies analysed and {defaults['company_id'].nunique():,} with a recorded default"
        if n < FEWEST_FOR_VERDICT:
            chance = f"judging the ratings would be mostly chance; none is judged under {FEWEST_FOR_VERDICT:,}"
            return f"With {known}, {chance}."
        return f"There are {known}; whether the ratings were right is for the validation report to say."


def analyse(  # noqa: PLR0913 - what the reader is told
    snapshot: Snapshot, *, title: str = "Portfolio report", command: str | None = None, synthetic: bool | None = None,
    show_persons: bool = False, since: str | None = None, min_n: int = 0,
) -> Portfolio:  # fmt: skip
    """The analyses of the portfolio report.

    Parameters
    ----------
    snapshot
        The store at a point in time; without `as_of` the report is of the day its newest report became available.
    command
        The command that makes this report again, for the footer.
    synthetic
        Say at the top that all companies are fictitious; None looks whether every name known says SYNTHETIC.
    show_persons
        Show names and codes of natural persons, and what a bank wrote beside an incident; masked otherwise.
    since
        The day that changes are counted from, such as that of the last report; three months before by default.
    min_n
        Hide counts of fewer companies, and every list of single companies; 0 shows everything.

    Raises
    ------
    InputError
        The snapshot has no reports, `since` is not a day before it, or `min_n` is 1 or negative.
    """
    if min_n == 1 or min_n < 0:
        raise InputError(f"min_n is {min_n}; suppress below 2 or more, or 0 to show everything")
    tables = {name: snapshot.read(name, columns=columns) for name, columns in READ.items() if name != "transactions"}
    if tables["reports"].empty:
        raise InputError("the snapshot has no reports to report on; run xray sync or xray import first")
    if synthetic is None:
        synthetic = all_synthetic(snapshot)
    as_of = day_of(snapshot, tables["reports"])
    day = earlier_day(since, as_of)
    edition = Edition(as_of, snapshot.commit, title, command, synthetic, show_persons, day, min_n)
    history = snapshot.history("reports")
    return analysed(tables, edition, entries=in_pieces(snapshot, tables), history=history)


def analysed(
    frames: Mapping[str, pd.DataFrame],
    edition: Edition,
    *,
    entries: TransactionResults | None = None,
    history: pd.DataFrame | None = None,
) -> Portfolio:
    """The analyses of these tables: a pure function.

    `entries` are made of the transactions where they are not given; `history` holds every version of the reports, and
    is `reports` where it is not given.
    """
    reports, as_of = frames["reports"], edition.as_of
    read = of_transactions(frames) if entries is None else entries
    flows = cashflow.monthly_flows(frames["monthly_summaries"], reports)
    coverage = quality.coverage(frames["statement_summaries"], reports, as_of=as_of)
    return Portfolio(
        edition=edition,
        reports=reports,
        history=reports if history is None else history,
        companies=frames["companies"],
        outcomes=frames["outcomes"],
        exposures=frames["exposures"],
        ends=migration.endings(outcomes=frames["outcomes"], loans=_loans(frames)),
        criteria=frames["bank_flag_criteria"],
        flows=flows,
        metrics=cashflow.company_metrics(flows, as_of=as_of),
        watch=monitoring.watch_list(reports, flows, read.incidents, read.recurring, as_of=as_of),
        entries=read,
        agreement=portfolio.class_agreement(reports),
        coverage=coverage,
        findings=quality.findings(
            reconciliation=read.ledger,
            coverage=coverage,
            reports=reports,
            drift=frames["drift"],
            quarantine=frames["quarantine"],
            companies=frames["companies"],
            exposures=frames["exposures"],
            outcomes=frames["outcomes"],
        ),
    )


def _loans(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The loans, where there are any: closed is who has none left."""
    loans = frames.get("loans")
    return None if loans is None or loans.empty else loans
