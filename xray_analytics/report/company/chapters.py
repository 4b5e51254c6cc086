"""The chapters of a company's tear sheet."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pandas as pd

from ... import charts
from ...charts import class_label, plain
from ..currency import currency_sentence
from ..document.document import Block, Charts, Columns, Document, Glossary, Heading, NamedGrid, Section, Sentences
from ..document.page import Figure, Tile, figure, grid, text
from .results import CompanyProfile

HALF, WHOLE = (5.6, 3.3), (11.0, 3.4)  # inches
NAME, SENTENCE = 34, 120  # characters
_CLASS_COLUMNS = ("bank_risk_class", "financial_risk_class")
_INCIDENTS, _STREAMS, _RULES, _FINDINGS, _CRITERIA, _RATIOS, _REPORTS = 6, 8, 6, 5, 12, 14, 7
_UNREAD = "Unknown: no bank report has entries that can all be read."
_FIRST = Section(
    "Read this first",
    (Sentences("No bank report has entries that can all be read: what is missing here is unknown, not absent."),),
)


def document(results: CompanyProfile) -> Document:
    """Two pages: how it stands and moves, and what is behind it."""
    code, name = results.identity
    command = results.edition.command and results.edition.command.replace(results.company_id, code)  # masked there too
    edition = replace(results.edition, command=command)
    commit = f" · store commit {edition.commit}" if edition.commit is not None else ""
    lead = f"{plain(name, longest=70)}{' · ' * bool(name)}{code} · as of {edition.as_of}{commit}"
    if results.is_shareable:
        lead += " · counterparties and labels left out"
    sections = (
        *(() if results.is_read or results.reports["product"].ne("bank").all() else (_FIRST,)),
        Section("Class, money and balance", (*_charts(results), _watched(results))),
        Section("What is behind it", (_behind(results), *_notes(results)), on_new_page=True),
    )
    return Document(edition, lead, tuple(_tiles(results)), sections, is_small=True)


def _tiles(results: CompanyProfile) -> list[Tile]:
    newest = {product: _newest(results.reports, product) for product in ("bank", "financial")}
    tiles = []
    for product, row in newest.items():
        if row is not None:
            rating = row[f"{product}_risk_class"]
            tiles.append(
                Tile(
                    f"{product.capitalize()} class",
                    class_label(None if pd.isna(rating) else int(rating)),
                    f"report of {row['created_at']:%Y-%m-%d}{_extra(row, product)}",
                )
            )
    if len(results.metrics):
        row = results.metrics.iloc[0]
        basis = f"mean of {row['n_months']:.0f} complete months, {row['credit_basis']} credits"
        basis = basis if row["n_months"] > 0 else "no complete month that rests on something"
        tiles.append(Tile("Credits a month", text(row["mean_credit"], "total_credit"), basis))
        tiles.append(_cash_tile(row))
    return tiles


def _extra(row: pd.Series[Any], product: str) -> str:
    if product == "bank":
        return f"; score {_value(row['bank_score'])}, data sanity {_value(row['data_sanity_pct'])} %"
    return f"; default probability {_value(row['default_probability'])}, horizon not documented"


def _cash_tile(row: pd.Series[Any]) -> Tile:
    if row["runway_status"] == "burning":
        return Tile("Runway", f"{row['runway_months']:.1f} months", "last balance over the mean monthly burn")
    words = {
        "exhausted": "spends more than it takes in, and has nothing left",
        "not_burning": "takes in as much as it spends, or more",
        "unknown": "too few complete months, or no balance",
    }
    return Tile("Runway", str(row["runway_status"]).replace("_", " "), words[str(row["runway_status"])])


def _newest(reports: pd.DataFrame, product: str) -> pd.Series[Any] | None:
    rows = reports[reports["product"] == product]
    return None if rows.empty else rows.iloc[-1]


def _charts(results: CompanyProfile) -> tuple[Block, ...]:
    no_grid = grid(pd.DataFrame({"n": []}), {"n": "n"})
    rated = results.reports[results.reports["product"].isin(["bank", "financial"])].copy()
    rated.attrs["base"] = {"used": len(rated), "excluded": {}, "as_of": results.edition.as_of}
    pair = {
        "history": figure(charts.plot_class_history, rated, "", numbers=no_grid, size=HALF),
        "months": figure(charts.plot_monthly_flows, results.flows, "", numbers=no_grid, size=HALF),
    }
    balance = figure(charts.plot_balance_calendar, results.daily, "", numbers=no_grid, size=WHOLE)
    return Charts({name: _bare(shown) for name, shown in pair.items()}), Charts({"balance": _bare(balance)}, columns=1)


def _bare(shown: Figure) -> Figure:
    """A figure whose numbers are elsewhere on the sheet: no definition, base or table below it."""
    return Figure("", "", shown.axes, None, shown.problem, shown.title)


def _watched(results: CompanyProfile) -> Columns:
    rows = results.watch
    rules: Block = Sentences("No rule is met. That is no clean bill: a rule says nothing where the data are too short.")
    if len(rows):
        heads = {"rule": "Rule", "severity": "Severity", "evidence": "Evidence"}
        rules = NamedGrid("Rules met", grid(_short(rows, "evidence", SENTENCE), heads, most=_RULES))
    seen = results.reports.iloc[::-1].assign(
        rating=lambda t: [_rating(*row) for row in t[["product", *_CLASS_COLUMNS]].itertuples(index=False)],
        created_at=lambda t: t["created_at"].dt.tz_localize(None).dt.normalize(),
    )
    heads = {"created_at": "Created", "product": "Report", "rating": "Class", "period_end_date": "Data to"}
    return Columns(
        (Heading("Rules of the watch list met"), rules),
        (Heading("Reports, newest first"), NamedGrid("Reports", grid(seen, heads, most=_REPORTS))),
    )


def _rating(product: str, bank: Any, financial: Any) -> str:
    """The class of a report as a word; other products have none."""
    rating = {"bank": bank, "financial": financial}.get(product, "")
    return "–" if isinstance(rating, str) else class_label(None if pd.isna(rating) else int(rating))


def _behind(results: CompanyProfile) -> Columns:
    return Columns(
        (
            *_parties(results, "credit", "Largest payers"),
            *_parties(results, "debit", "Largest payees"),
            *_listed("Recurring", _streams(results)),
            *_listed("Incidents, newest first", _incidents(results)),
        ),
        (
            *_listed("Criteria of the bank flag", _criteria(results)),
            *_listed("Ratios against the portfolio, most unlike first", _ratios(results)),
            *_listed("Do the figures agree?", _findings(results)),
        ),
    )


def _listed(title: str, table: NamedGrid | Sentences) -> tuple[Block, ...]:
    return Heading(title), table


def _parties(results: CompanyProfile, side: str, title: str) -> tuple[Block, ...]:
    rows = _short(results.parties[results.parties["side"] == side], "party", NAME)
    if rows.empty:
        return _listed(title, Sentences("None seen." if results.is_read else _UNREAD))
    heads = {"party": "Name", "n": "Entries", "total": "Total", "share_ratio": "Share"}
    return _listed(title, NamedGrid(title, grid(rows, heads)))


def _streams(results: CompanyProfile) -> NamedGrid | Sentences:
    rows = results.entries.recurring
    rows = rows[rows["is_active"].fillna(False).astype(bool)].sort_values(["total", "stem"], ascending=[False, True])
    if rows.empty:
        return Sentences("Nothing that recurs was seen." if results.is_read else _UNREAD)
    rows = _short(rows, "counterparty", 24).assign(
        amount=rows["amount"].where(rows["side"] == "credit", -rows["amount"]),
        period=rows["period"].str.replace("_", "-"),
    )
    heads = {"counterparty": "Name", "period": "Period", "amount": "Amount", "next_due_date": "Next"}
    heads |= _of_several(results, rows)
    return NamedGrid("Recurring", grid(rows, heads, most=_STREAMS))


def _incidents(results: CompanyProfile) -> NamedGrid | Sentences:
    rows = results.entries.incidents.sort_values(["incident_date", "incident"], ascending=[False, True], kind="stable")
    if rows.empty:
        return Sentences("None seen." if results.is_read else _UNREAD)
    kind = rows["incident"].str.replace("_", " ")
    rows = _short(rows, "evidence", 70).assign(incident=kind)
    heads = {"incident_date": "Day", "incident": "Incident", "evidence": "Evidence"}
    if results.is_shareable:
        heads = {"incident_date": "Day", "incident": "Incident", "amount": "Amount"}
    heads |= _of_several(results, rows)
    return NamedGrid("Incidents", grid(rows, heads, most=_INCIDENTS))


def _of_several(results: CompanyProfile, rows: pd.DataFrame) -> dict[str, str]:
    """A column for the currency, where some row is in another than the sheet."""
    others = set(rows["currency"].dropna()) - set(results.flows["currency"].dropna())
    return {"currency": "Currency"} if others else {}


def _criteria(results: CompanyProfile) -> NamedGrid | Sentences:
    if results.criteria.empty:
        return Sentences("The newest bank report names none.")
    rows = _short(results.criteria.assign(criterion=results.criteria["criterion"].map(_spaced)), "criterion", NAME)
    heads = {
        "criterion": "Criterion",
        "value": "Value",
        "quantile_pct": "Quantile",
        "sentiment": "Service says",
        "grade": "Grade",
    }
    return NamedGrid("Criteria", grid(rows, heads, most=_CRITERIA))


def _ratios(results: CompanyProfile) -> NamedGrid | Sentences:
    if results.ratios.empty:
        return Sentences("There is no financial report with ratios.")
    away = (results.ratios["value"] - results.ratios["p50"]).abs() / (results.ratios["p75"] - results.ratios["p25"])
    rows = results.ratios.assign(criterion=results.ratios["criterion"].map(_spaced), away=away)
    rows = _short(rows.sort_values(["away", "criterion"], ascending=[False, True]), "criterion", 30)
    heads = {"criterion": "Ratio", "value": "Company", "p25": "25 %", "p50": "Median", "p75": "75 %", "n": "n"}
    return NamedGrid("Ratios", grid(rows, heads, most=_RATIOS))


def _findings(results: CompanyProfile) -> NamedGrid | Sentences:
    rows = results.findings[results.findings["severity"] != "low"]
    if rows.empty:
        return Sentences("Every check that could be made holds.")
    rows = _short(rows, "finding", 90)
    return NamedGrid("Findings", grid(rows, {"severity": "Severity", "finding": "What was found"}, most=_FINDINGS))


def _notes(results: CompanyProfile) -> tuple[Block, ...]:
    return Heading("Bank against accounts"), Glossary(
        (*_declared(results), *_classes(results), *_debt(results), *_reading(results))
    )


def _declared(results: CompanyProfile) -> list[tuple[str, str]]:
    known = results.declared[results.declared["low_ratio"].notna()]
    if known.empty:
        return [("Revenue", "No declared revenue to compare the credits with.")]
    row = known.iloc[0]
    inside = "inside" if row["is_inside"] else "outside"  # of what was banked
    words = (
        f"Declared {row['declared_revenue']:,.0f} a year; banked, net of VAT, {row['banked_low']:,.0f} to "
        f"{row['banked_high']:,.0f} ({row['low_ratio']:.0%} to {row['high_ratio']:.0%}); "
        f"what was declared is {inside} that range ({row['basis']} credits, {row['n_months']} months). A question to "
        "ask, not a finding."
    )
    return [("Revenue", words)]


def _classes(results: CompanyProfile) -> list[tuple[str, str]]:
    bank, financial = (_newest(results.reports, product) for product in ("bank", "financial"))
    if (
        bank is None
        or financial is None
        or pd.isna(bank["bank_risk_class"])
        or pd.isna(financial["financial_risk_class"])
    ):
        return [("Classes", "Not both of bank and financial class are known.")]
    steps = int(bank["bank_risk_class"]) - int(financial["financial_risk_class"])
    words = (
        "agree"
        if steps == 0
        else f"are {abs(steps)} apart: {'the bank looks' if steps > 0 else 'the accounts look'} worse"
    )
    return [("Classes", f"Bank and financial class {words}. The two scales are not proven equal.")]


def _debt(results: CompanyProfile) -> list[tuple[str, str]]:
    rows = results.debt[results.debt["status"] == "known"]
    if rows.empty:
        return [("Debt service", _no_debt(results))]
    row = rows.iloc[0]
    words = (
        f"{row['cash_before_debt']:,.0f} a month before debt, {row['debt_payments']:,.0f} of payments on "
        f"loans and leases ({row['n_loans']} seen): {row['cover_ratio']:.2f} times, over {row['n_months']} months."
    )
    return [("Debt service", words)]


def _no_debt(results: CompanyProfile) -> str:
    if not results.is_read:
        return _UNREAD
    if (results.debt["status"] == "entries_unknown").any():
        return "Unknown: no month rests on entries."
    if (results.debt["status"] == "several_currencies").any():
        return "Not compared: cash and loans are in several currencies."
    return "No active loan payment, or no complete month, was seen."


def _reading(results: CompanyProfile) -> tuple[tuple[str, str], ...]:
    shown = currency_sentence(results.flows["currency"], 0)
    others = [name for name in results.currencies if name not in set(results.flows["currency"].dropna())]
    beside = f" Months in {' and '.join(others)} are left out of it." if others else ""
    words = (
        f"Class 1 (A) is the best, 5 (E) the worst. {shown}{beside} Payers and payees are of the newest bank report "
        "whose entries can all be read, criteria of the newest; the grade follows the direction that the portfolio "
        "shows; quantiles are of the newest financial report of every company. A day below zero is no incident: an "
        "authorised overdraft is not known."
    )
    return (("How to read", words),)


def _short(rows: pd.DataFrame, column: str, longest: int) -> pd.DataFrame:
    return rows.assign(**{column: [plain(value, longest=longest) for value in rows[column]]})


def _spaced(name: Any) -> str:
    """A name of the service with its words apart.

    >>> _spaced("equityTotalAssets")
    'equity total assets'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name)).lower()


def _value(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
