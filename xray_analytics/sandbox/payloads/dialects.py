"""Dialects: the same Bank X-Ray as other services might write it, so that a layout can be tried out end to end.

Members of a transaction are not documented, and neither is how dates, signs and units are written. Each dialect changes
the documented form of a bank report; what a company did is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
_AMOUNTS = ("amount", "balance")
_TOTALS = ("startBalance", "endBalance", "totalCreditAmount", "totalDebitAmount")
_FRENCH = {
    "date": "dateOperation", "valueDate": "dateValeur", "label": "libellé", "amount": "montant", "balance": "solde",
    "currency": "devise", "category": "catégorie", "counterparty": "tiers", "type": "nature",
}  # fmt: skip
_GERMAN = {
    "date": "Buchungstag", "valueDate": "Wertstellung", "label": "Verwendungszweck", "amount": "Betrag",
    "balance": "Saldo", "currency": "Währung", "category": "Kategorie", "counterparty": "Gegenpartei",
    "type": "Buchungsart",
}  # fmt: skip
_SNAKE = {
    "date": "booking_date", "valueDate": "value_date", "label": "raw_label", "amount": "amt",
    "balance": "running_balance",
}  # fmt: skip
_FRENCH_STATEMENT = {
    "startDate": "dateDebut", "endDate": "dateFin", "startBalance": "soldeDebut", "endBalance": "soldeFin",
    "totalCreditAmount": "totalCredit", "totalDebitAmount": "totalDebit",
}  # fmt: skip


def _entries(change: Callable[[Json], Json]) -> Callable[[Json], None]:
    def changed(raw: Json) -> None:
        raw["allTransactions"] = [change(entry) for entry in raw["allTransactions"]]

    return changed


def _renamed(names: Mapping[str, str]) -> Callable[[Json], Json]:
    return lambda entry: {names.get(name, name): value for name, value in entry.items()}


def _dated(write: Callable[[str], Any]) -> Callable[[Json], None]:
    return _entries(lambda e: {k: write(v) if k in ("date", "valueDate") and v else v for k, v in e.items()})


def _paris(day: str) -> str:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Paris"))
    return midnight.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _milliseconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def _slashes(day: str) -> str:
    return "/".join(reversed(day.split("-")))


def _comma(amount: float) -> str:
    return f"{amount:,.2f}".replace(",", " ").replace(".", ",")


def _french(raw: Json) -> None:
    _entries(_renamed(_FRENCH))(raw)
    raw["summary"] = [_renamed(_FRENCH_STATEMENT)(statement) for statement in raw["summary"]]


def _french_texts(raw: Json) -> None:
    _dated(_slashes)(raw)
    _entries(lambda e: {k: _comma(v) if k in _AMOUNTS and v is not None else v for k, v in e.items()})(raw)


def _sides(entry: Json) -> Json:
    return {**entry, "amount": abs(entry["amount"]), "direction": "CRDT" if entry["amount"] > 0 else "DBIT"}


def _pair(entry: Json) -> Json:
    amount = entry["amount"]
    side = {"montantCredit": amount} if amount > 0 else {"montantDebit": -amount}
    return {name: value for name, value in entry.items() if name != "amount"} | side


def _nested(entry: Json) -> Json:
    inner = {"value": entry["amount"], "currency": entry.get("currency")}
    outer = {name: value for name, value in entry.items() if name != "currency"}
    return outer | {"amount": inner, "counterparty": {"name": entry.get("counterparty")}}


def _cents(raw: Json) -> None:
    _entries(lambda e: {k: round(v * 100) if k in _AMOUNTS and v is not None else v for k, v in e.items()})(raw)
    for statement in raw["summary"]:
        statement |= {name: round(statement[name] * 100) for name in _TOTALS}
    for metric in raw["movementReport"].values():
        metric |= {name: round(value * 100) for name, value in metric.items()}


def _items(raw: Json) -> None:
    raw["operations"] = {"items": raw.pop("allTransactions")}


def _in_statements(raw: Json) -> None:
    entries = raw.pop("allTransactions")
    for statement in raw["summary"]:
        statement["transactions"] = [e for e in entries if e["statementId"] == statement["statementId"]]


def _words(raw: Json) -> None:
    raw["bankFlag"]["dataSanity"] = f"{raw['bankFlag']['dataSanity']} %"
    if raw.get("riskClass"):
        raw["riskClass"] = "ABCDE"[raw["riskClass"] - 1]


def _listed_metrics(raw: Json) -> None:
    raw["movementReport"] = [{"name": name, **metric} for name, metric in raw["movementReport"].items()]


DIALECTS: Mapping[str, Callable[[Json], None]] = {
    "house": lambda raw: None,
    "snake_case": _entries(_renamed(_SNAKE)),
    "french": _french,
    "french_texts": _french_texts,
    "german": _entries(_renamed(_GERMAN)),
    "pair": _entries(_pair),
    "sides": _entries(_sides),
    "inverted": _entries(lambda entry: {**entry, "amount": -entry["amount"]}),
    "nested": _entries(_nested),
    "cents": _cents,
    "paris_midnight": _dated(_paris),
    "milliseconds": _dated(_milliseconds),
    "digits": _dated(lambda day: day.replace("-", "")),
    "items": _items,
    "in_statements": _in_statements,
    "words": _words,
    "listed_metrics": _listed_metrics,
}


def in_dialect(raw: Json, dialect: str) -> Json:
    """The `raw` member of a bank report in a dialect."""
    spoken = {**raw, "bankFlag": dict(raw["bankFlag"])}
    DIALECTS[dialect](spoken)
    return spoken
