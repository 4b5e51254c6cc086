"""Plausible ways in which a service may write the same Bank X-Ray, and the lines of a layout that read each of them.

A variant changes a report of the sandbox, as the service sends it; `lost` are the columns whose member it takes away.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """How a report is changed, the lines that read it, and the columns that are null then."""

    change: Callable[[Json], Any]
    layout: Json
    lost: tuple[str, ...] = ()
    envelope: Callable[[Json], Any] = field(default=lambda report: report)


def entries(change: Callable[[Json], Json]) -> Callable[[Json], None]:
    def changed(report: Json) -> None:
        report["raw"]["allTransactions"] = [change(dict(e)) for e in report["raw"]["allTransactions"]]

    return changed


def raw(change: Callable[[Json], None]) -> Callable[[Json], None]:
    return lambda report: change(report["raw"])


def renamed(names: dict[str, str]) -> Callable[[Json], Json]:
    return lambda e: {names.get(k, k): v for k, v in e.items()}


def without(e: Json, *names: str) -> Json:
    return {k: v for k, v in e.items() if k not in names}


def pair(credit: str, debit: str, sign: int = -1) -> Callable[[Json], Json]:
    return lambda e: {
        **without(e, "amount"),
        **({credit: e["amount"]} if e["amount"] > 0 else {debit: sign * e["amount"]}),
    }


def paris(day: str) -> str:
    """Midnight of a day in Paris, as a program there writes it."""
    local = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Paris"))
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def dates(write: Callable[[str], Any]) -> Callable[[Json], None]:
    return entries(lambda e: {**e, **{k: write(e[k]) for k in ("date", "valueDate") if e.get(k)}})


def number_text(value: float) -> str:
    return f"{value:,.2f}".replace(",", " ").replace(".", ",")


def in_cents(report: Json) -> None:
    r = report["raw"]
    for e in r["allTransactions"]:
        e.update({k: round(e[k] * 100) for k in ("amount", "balance") if e.get(k) is not None})
    for s in r["summary"]:
        money = ("startBalance", "endBalance", "totalCreditAmount", "totalDebitAmount")
        s.update({k: round(s[k] * 100) for k in money if s.get(k) is not None})
    for m in r["movementReport"].values():
        m.update({k: round(v * 100) for k, v in m.items()})


def into_statements(r: Json) -> None:
    found = r.pop("allTransactions")
    for s in r["summary"]:
        s["transactions"] = [without(e, "statementId") for e in found if e["statementId"] == s["statementId"]]


def keyed_by_statement(r: Json) -> None:
    found = r.pop("allTransactions")
    keys = dict.fromkeys(str(e["statementId"]) for e in found)
    r["byStatement"] = {k: [without(e, "statementId") for e in found if str(e["statementId"]) == k] for k in keys}


FRENCH = {
    "date": "dateOperation", "valueDate": "dateValeur", "label": "libellé", "amount": "montant", "balance": "solde",
    "currency": "devise", "category": "catégorie", "counterparty": "tiers", "type": "nature",
}  # fmt: skip
STATEMENT = {
    "startDate": "dateDebut", "endDate": "dateFin", "startBalance": "soldeDebut", "endBalance": "soldeFin",
    "totalCreditAmount": "totalCredit", "totalDebitAmount": "totalDebit",
}  # fmt: skip
VARIANTS: dict[str, Variant] = {
    "french": Variant(
        entries(renamed(FRENCH)),
        {
            "transaction": {
                "booked_date": ["dateOperation"],
                "value_date": ["dateValeur"],
                "label": ["libellé"],
                "amount": ["montant"],
                "balance_after": ["solde"],
                "currency": ["devise"],
                "category": ["catégorie"],
                "counterparty": ["tiers"],
                "transaction_type": ["nature"],
            }
        },
    ),
    "nested_amount": Variant(
        entries(lambda e: {**without(e, "currency"), "amount": {"value": e["amount"], "currency": e.get("currency")}}),
        {"transaction": {"amount": ["amount.value"], "currency": ["amount.currency"]}},
    ),
    "pair": Variant(
        entries(pair("montantCredit", "montantDebit")),
        {"transaction": {"pair": {"credit": ["montantCredit"], "debit": ["montantDebit"]}}},
    ),
    "negative_pair": Variant(
        entries(lambda e: {**without(e, "amount"), "credit": max(e["amount"], 0), "debit": min(e["amount"], 0)}),
        {"transaction": {"pair": {"credit": ["credit"], "debit": ["debit"]}}},
    ),
    "side": Variant(
        entries(lambda e: {**e, "amount": abs(e["amount"]), "type": "credit" if e["amount"] > 0 else "debit"}),
        {"transaction": {"sign": {"member": "type", "credit": ["credit"], "debit": ["debit"]}}},
        lost=("transaction_type",),
    ),
    "inverted": Variant(entries(lambda e: {**e, "amount": -e["amount"]}), {"values": {"inverted": True}}),
    "text": Variant(
        entries(lambda e: {**e, **{k: f"{e[k]:.2f}" for k in ("amount", "balance") if e.get(k) is not None}}),
        {"values": {"decimal": "."}},
    ),
    "french_text": Variant(
        entries(lambda e: {**e, **{k: number_text(e[k]) for k in ("amount", "balance") if e.get(k) is not None}}),
        {"values": {"decimal": ","}},
    ),
    "cents": Variant(in_cents, {"values": {"unit": "cents", "unit_of_metrics": "cents"}}),
    "epoch_ms": Variant(
        dates(lambda d: int(datetime.fromisoformat(d).replace(tzinfo=UTC).timestamp() * 1000)),
        {"values": {"dates": ["iso", "epoch_ms"]}},
    ),
    "epoch_s": Variant(
        dates(lambda d: int(datetime.fromisoformat(d).replace(tzinfo=UTC).timestamp())),
        {"values": {"dates": ["iso", "epoch_s"]}},
    ),
    "utc_midnight": Variant(dates(lambda d: d + "T00:00:00.000Z"), {}),
    "paris_midnight": Variant(dates(paris), {"values": {"zone": "Europe/Paris"}}),
    "written_zone": Variant(dates(lambda d: d + "T00:00:00+09:00"), {"values": {"zone": "written"}}),
    "slashes": Variant(dates(lambda d: "/".join(reversed(d.split("-")))), {"values": {"dates": ["iso", "DD/MM/YYYY"]}}),
    "dots": Variant(dates(lambda d: ".".join(reversed(d.split("-")))), {"values": {"dates": ["iso", "DD.MM.YYYY"]}}),
    "digits": Variant(dates(lambda d: d.replace("-", "")), {"values": {"dates": ["iso", "YYYYMMDD"]}}),
    "counterparty_object": Variant(
        entries(lambda e: {**e, "counterparty": {"name": e.get("counterparty"), "iban": None}}),
        {"transaction": {"counterparty": ["counterparty.name"]}},
    ),
    "category_object": Variant(
        entries(lambda e: {**e, "category": {"id": 7, "label": e.get("category")}}),
        {"transaction": {"category": ["category.label"]}},
    ),
    "elsewhere": Variant(
        raw(lambda r: r.update(transactions=r.pop("allTransactions"))),
        {"parts": {"transactions": ["raw.transactions[]"]}},
    ),
    "items": Variant(
        raw(lambda r: r.update(operations={"items": r.pop("allTransactions"), "total": 3})),
        {"parts": {"transactions": ["raw.operations.items[]"]}},
    ),
    "in_statements": Variant(
        raw(into_statements),
        {
            "parts": {"transactions": ["raw.summary[].transactions[]"]},
            "transaction": {"statement_id": ["^.statementId"]},
        },
    ),
    "keyed": Variant(
        raw(keyed_by_statement),
        {"parts": {"transactions": ["raw.byStatement{}[]"]}, "transaction": {"statement_id": ["{}"]}},
    ),
    "data": Variant(
        lambda report: None, {"parts": {"report": ["data"]}}, envelope=lambda tree: {"data": tree["report"]}
    ),
    "flat": Variant(
        lambda report: report.update(report.pop("raw")),
        {
            "parts": {
                "transactions": ["allTransactions[]"],
                "statements": ["summary[]"],
                "criteria": ["bankFlag.reasons[]"],
                "metrics": ["movementReport{}"],
            },
            "report": {
                "bank_risk_class": ["riskClass"],
                "bank_score": ["score"],
                "bank_flag_color": ["bankFlag.color"],
                "data_sanity_pct": ["bankFlag.dataSanity"],
            },
        },
    ),
    "underscore_id": Variant(lambda report: report.update(_id=report.pop("id")), {"report": {"report_id": ["_id"]}}),
    "statements_in_french": Variant(
        raw(lambda r: r.update(summary=[{STATEMENT.get(k, k): v for k, v in s.items()} for s in r["summary"]])),
        {
            "statement": {
                "start_date": ["dateDebut"],
                "end_date": ["dateFin"],
                "start_balance": ["soldeDebut"],
                "end_balance": ["soldeFin"],
                "total_credit": ["totalCredit"],
                "total_debit": ["totalDebit"],
            }
        },
    ),
    "criteria": Variant(
        raw(lambda r: r["bankFlag"].update(criteria=r["bankFlag"].pop("reasons"))),
        {"parts": {"criteria": ["raw.bankFlag.criteria[]"]}},
    ),
    "letter": Variant(
        raw(lambda r: r.update(riskClass="ABCDE"[r["riskClass"] - 1]) if r.get("riskClass") else None),
        {"values": {"classes": {"A": 1, "B": 2, "C": 3, "D": 4, "E": 5}}},
    ),
    "flat_metrics": Variant(
        raw(lambda r: r.update(movementReport={k: v["period"] for k, v in r["movementReport"].items()})),
        {"metric": {"period_value": [""]}},
        lost=("annualised_value",),
    ),
    "listed_metrics": Variant(
        raw(lambda r: r.update(movementReport=[{"name": k, **v} for k, v in r["movementReport"].items()])),
        {"parts": {"metrics": ["raw.movementReport[]"]}, "metric": {"metric": ["name"]}},
    ),
    "percent": Variant(
        raw(lambda r: r["bankFlag"].update(dataSanity=f"{r['bankFlag']['dataSanity']} %")),
        {"values": {"percent_text": True}},
    ),
}


def varied(body: bytes, *names: str) -> bytes:
    """A report as these variants write it, the first one first."""
    tree = json.loads(body)
    for name in names:
        VARIANTS[name].change(tree["report"])
    return json.dumps(
        reduce(lambda made, name: VARIANTS[name].envelope(made), names, tree), ensure_ascii=False
    ).encode()


def layout_of(*names: str) -> Json:
    """The lines that read these variants together."""
    made: Json = {"name": "+".join(names)}
    for name in names:
        for section, lines in copy.deepcopy(VARIANTS[name].layout).items():
            known = made.setdefault(section, {})
            for line, value in lines.items():
                known[line] = (
                    list(dict.fromkeys([*known[line], *value])) if line == "dates" and line in known else value
                )
    return made
