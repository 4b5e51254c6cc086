"""The results of one company's tear sheet: what the analyses say of it, before it is shown anywhere."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from ...analysis import cashflow, monitoring, quality
from ...analysis.cashflow import labels
from ...analysis.cashflow.deduplication import has_basis
from ...analysis.portfolio import flags, ratios
from ...errors import InputError
from ...grammar import identity
from ..edition import Edition
from ..masking import codes_of_persons, with_names, without_labels
from ..snapshot import all_synthetic, day_of, of_reports
from ..transactions import TRANSACTIONS, TransactionResults, of_transactions

if TYPE_CHECKING:
    from ...store.snapshot import Snapshot

TOP_PARTIES = 5
_BENCHMARK = {"reports": None, "financial_ratios": None, "bank_flag_criteria": None, "companies": None}
_OF_REPORTS = ("monthly_summaries", "statement_summaries", "movement_metrics", "transactions")


@dataclass(frozen=True, eq=False)
class CompanyProfile:
    """What the analyses say about one company, and about the portfolio that it is compared with."""

    edition: Edition
    company_id: str
    is_shareable: bool
    companies: pd.DataFrame
    reports: pd.DataFrame
    flows: pd.DataFrame
    currencies: tuple[str, ...]
    daily: pd.DataFrame
    metrics: pd.DataFrame
    entries: TransactionResults
    parties: pd.DataFrame
    is_read: bool
    watch: pd.DataFrame
    debt: pd.DataFrame
    declared: pd.DataFrame
    criteria: pd.DataFrame
    ratios: pd.DataFrame
    findings: pd.DataFrame

    @property
    def identity(self) -> tuple[str, str]:
        """Code and name, as the edition may show them; the name is empty where it is not known."""
        row = with_names(
            pd.DataFrame({"company_id": pd.array([self.company_id], "string")}),
            self.companies,
            show_persons=self.edition.show_persons,
        ).iloc[0]
        return str(row["company_id"]), "" if pd.isna(row["company_name"]) else str(row["company_name"])


def analyse(  # noqa: PLR0913 - what the reader is told
    snapshot: Snapshot, company_id: str, *, command: str | None = None, synthetic: bool | None = None,
    show_persons: bool = False, shareable: bool = False,
) -> CompanyProfile:  # fmt: skip
    """The analyses of one company's tear sheet.

    Parameters
    ----------
    snapshot
        The store at a point in time.
    company_id
        Its code, such as a SIREN; blanks do not matter, and a SIRET counts for its SIREN.
    command
        The command that makes this sheet again, for the footer.
    synthetic
        Say at the top that the company is fictitious; None looks whether every name known says SYNTHETIC.
    show_persons
        Show name and code of a natural person; masked otherwise.
    shareable
        Leave out the names of counterparties and what a bank wrote beside an entry.

    Raises
    ------
    InputError
        The snapshot knows no report of that company.
    """
    read = {name: snapshot.read(name) for name in _BENCHMARK}
    reports, companies = read["reports"], read["companies"]
    company_id = identity.meant(company_id, set(reports["company_id"].dropna()))
    own = reports[reports["company_id"] == company_id]
    if own.empty:
        raise InputError(_unknown(company_id, reports, companies))
    where = of_reports(own.loc[own["product"] == "bank", "report_id"])
    columns = {"transactions": TRANSACTIONS}
    read |= {name: snapshot.read(name, columns=columns.get(name), where=where) for name in _OF_REPORTS}
    read["request_notes"] = snapshot.read("request_notes")
    if synthetic is None:
        synthetic = all_synthetic(snapshot)
    day = day_of(snapshot, reports)
    edition = Edition(day, snapshot.commit, "Company report", command, synthetic, show_persons)
    return analysed(read, company_id, edition, shareable=shareable)


def analysed(
    frames: Mapping[str, pd.DataFrame], company_id: str, edition: Edition, *, shareable: bool = False
) -> CompanyProfile:
    """The analyses of these tables: a pure function. Reports, criteria and ratios are those of the whole portfolio."""
    every, as_of = frames["reports"], edition.as_of
    reports = every[every["company_id"] == company_id].reset_index(drop=True)
    mine = {name: frames[name][frames[name]["report_id"].isin(reports["report_id"])] for name in _OF_REPORTS}
    transactions, statements = mine["transactions"], mine["statement_summaries"]
    entries = of_transactions({"reports": reports, **mine})
    families = cashflow.categories(transactions)
    operating = cashflow.operating(transactions, families)
    bank = reports[reports["product"] == "bank"]
    readable = bank[has_basis(bank) & bank["n_transactions"].notna()]
    every_flow = cashflow.monthly_flows(mine["monthly_summaries"], reports, operating=operating, statements=None)
    flows, _ = cashflow.in_main_currency(every_flow)
    coverage = quality.coverage(statements, reports, as_of=as_of)
    daily = newest_days(cashflow.daily_balances(transactions, statements), reports)
    daily = in_currency_of(flows, daily)
    profile = CompanyProfile(
        edition=edition,
        company_id=company_id,
        is_shareable=shareable,
        companies=frames["companies"],
        reports=reports.sort_values(["created_at", "report_id"], ignore_index=True),
        flows=flows,
        currencies=tuple(sorted(every_flow["currency"].dropna().unique())),
        daily=daily,
        metrics=cashflow.company_metrics(flows, as_of=as_of),
        entries=entries,
        parties=top_parties(operating, readable),
        is_read=not readable.empty,
        watch=monitoring.watch_list(reports, every_flow, entries.incidents, entries.recurring, as_of=as_of),
        debt=monitoring.debt_service(every_flow, entries.recurring),
        declared=ratios.declared_vs_banked(reports, frames["request_notes"], every_flow),
        criteria=graded(frames["bank_flag_criteria"], every, company_id),
        ratios=against_portfolio(frames["financial_ratios"], every, company_id),
        findings=quality.findings(reconciliation=entries.ledger, coverage=coverage, reports=reports),
    )
    return _without_names(profile) if shareable else profile


def in_currency_of(flows: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """The days in the currency of these months; those that name none are in it."""
    name = flows["currency"].iloc[0] if len(flows) else pd.NA
    if pd.isna(name):
        return daily[daily["currency"].isna()].reset_index(drop=True) if len(flows) else daily
    kept: pd.DataFrame = daily[daily["currency"].fillna(name) == name].assign(currency=name).reset_index(drop=True)
    kept.attrs = dict(daily.attrs)
    return kept


def newest_days(daily: pd.DataFrame, reports: pd.DataFrame) -> pd.DataFrame:
    """Of each day the accounts of the newest report that has a basis for it, else of the newest that covers it."""
    made = reports.set_index("report_id")["created_at"]
    dated = daily.assign(created_at=daily["report_id"].map(made), is_based=daily["credit"].notna())
    dated["is_based"] = dated.groupby(["day", "report_id"])["is_based"].transform("all")
    dated = dated.sort_values(["is_based", "created_at", "report_id"])
    last = dated.drop_duplicates("day", keep="last")[["day", "report_id"]]
    kept: pd.DataFrame = dated.merge(last, on=["day", "report_id"]).drop(columns=["created_at", "is_based"])
    kept = kept.sort_values(["day", "account_no"], ignore_index=True)
    kept.attrs["base"] = daily.attrs["base"]
    return kept


def top_parties(operating: pd.DataFrame, bank: pd.DataFrame) -> pd.DataFrame:
    """The largest payers and payees of the newest of these bank reports, in the currency of most of its entries.

    `side`, `party`, `n`, `total`, `share_ratio`; none without a report.
    """
    newest = bank.sort_values(["created_at", "report_id"])["report_id"].tail(1)
    rows = operating[operating["report_id"].isin(newest) & (operating["amount"] != 0)]
    name = rows["currency"].value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:1]
    only = rows["currency"].nunique() < 2
    rows = rows[rows["currency"].isin(name)] if not only else rows
    party = labels.counterparties(rows["counterparty"], rows["label"])
    side = (rows["amount"] > 0).map({True: "credit", False: "debit"})
    sums = rows.assign(party=party, side=side, size=rows["amount"].abs()).groupby(["side", "party"])["size"]
    table = sums.agg(n="size", total="sum").reset_index()
    whole = rows["amount"].abs().groupby(side).sum()
    table["share_ratio"] = table["total"] / table["side"].map(whole).astype("float64")
    ordered = table.sort_values(["side", "total", "party"], ascending=[True, False, True])
    return ordered.groupby("side").head(TOP_PARTIES).reset_index(drop=True)


def graded(criteria: pd.DataFrame, reports: pd.DataFrame, company_id: str) -> pd.DataFrame:
    """The criteria of the company's newest bank report, with the grade that the portfolio's learnt direction gives.

    `criterion`, `value`, `quantile_pct`, `sentiment`, `grade` (A best … E; null without a direction).
    """
    newest = reports[(reports["product"] == "bank") & (reports["company_id"] == company_id)]
    newest = newest.sort_values(["created_at", "report_id"]).tail(1)
    rows = criteria[criteria["report_id"].isin(newest["report_id"])].drop_duplicates("criterion")
    direction = flags.criterion_profile(criteria, reports).set_index("criterion")["direction"]
    told = rows["criterion"].map(direction)
    better_than = rows["quantile_pct"].where(told == "higher_is_better", 100 - rows["quantile_pct"])
    letters = [
        None if pd.isna(side) or pd.isna(value) else "EDCBA"[sum(value >= limit for limit in flags.GRADE_LIMITS)]
        for side, value in zip(told, better_than, strict=True)
    ]
    kept = ["criterion", "value", "quantile_pct", "sentiment"]
    return rows[kept].assign(grade=pd.array(letters, "string")).reset_index(drop=True)


def against_portfolio(values: pd.DataFrame, reports: pd.DataFrame, company_id: str) -> pd.DataFrame:
    """The ratios of the company's newest financial report beside the quantiles of all companies.

    `criterion`, `value`, `p25`, `p50`, `p75`, `n`.
    """
    newest = reports[(reports["product"] == "financial") & (reports["company_id"] == company_id)]
    newest = newest.sort_values(["created_at", "report_id"]).tail(1)
    rows = values[values["report_id"].isin(newest["report_id"]) & values["value"].notna()]
    spread = ratios.ratio_quantiles(values, reports, by="product")
    wanted = ["criterion", "value", "p25", "p50", "p75", "n"]
    return (
        rows[["criterion", "value"]].merge(spread, on="criterion")[wanted].sort_values("criterion", ignore_index=True)
    )


def _without_names(profile: CompanyProfile) -> CompanyProfile:
    """Counterparties by number, evidence by kind, day and amount."""
    numbered = profile.parties.groupby("side").cumcount() + 1
    kind = profile.parties["side"].map({"credit": "payer ", "debit": "payee "})
    streams, incidents = profile.entries.recurring, profile.entries.incidents
    category = streams["category"].fillna("other").str.replace("_", " ")
    entries = replace(
        profile.entries,
        recurring=streams.assign(counterparty=category, stem=category),
        incidents=incidents.assign(counterparty=None, evidence="not repeated in a sheet to share"),
    )
    parties = profile.parties.assign(party=kind + numbered.astype("string"))
    return replace(profile, parties=parties, entries=entries, watch=without_labels(profile.watch))


def _unknown(company_id: str, reports: pd.DataFrame, companies: pd.DataFrame) -> str:
    """Which codes are near, none of a natural person among them."""
    known = sorted(set(reports["company_id"].dropna()) - codes_of_persons(companies))
    near = difflib.get_close_matches(company_id, known, n=3, cutoff=0.7)
    hint = f"near it are {', '.join(near)}" if near else "`xray read reports --columns company_id` lists them"
    return f"no report of a company {company_id!r} in the snapshot{identity.doubt(company_id)}; {hint}"
