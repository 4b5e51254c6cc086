"""Bank statements that the sandbox can read: CSV with a day, a label, an amount and, perhaps, the balance after it.

A report on such a file says what the file says, and nothing of the invented economy; without a balance column the
account is taken to open at 0. *Assumed*: all of it, since what the service reads from a document is not documented.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np

from ..economy.companies import MONTHS, Company, Timeline
from ..economy.ledger import Calendar, CompanyLedger
from .bank import raw_of
from .visible import ShownStatement, Sight

_NAMES = {
    "day": ("date", "date operation", "booked_date"),
    "label": ("label", "libelle", "libellé", "description"),
    "amount": ("amount", "montant"),
    "debit": ("debit", "débit"),
    "credit": ("credit", "crédit"),
    "balance": ("balance", "solde"),
}
_DAYS = ("%Y-%m-%d", "%d/%m/%Y")
_KINDS = (
    ("seizure", r"SAISIE|SATD|\bATD\b"),
    ("reject", r"REJET|IMPAYE"),
    ("overdraft_fee", r"AGIOS|INTERETS DEBITEURS|COMMISSION D.INTERVENTION"),
    ("social", r"URSSAF"),
    ("tax", r"DGFIP|\bTVA\b|IMPOT"),
    ("payroll", r"SALAIRE|\bPAIE\b"),
    ("rent", r"LOYER"),
    ("lease", r"CREDIT.BAIL|LEASING"),
    ("loan", r"\bPRET\b|ECHEANCE"),
    ("insurance", r"ASSUR"),
    ("charges", r"FRAIS|COTISATION CARTE"),
)


class Entry(NamedTuple):
    """One line of a statement: day since 1970, cents (credits positive), label, and the balance after it if given."""

    day: int
    cents: int
    label: str
    balance: int | None


def read(data: bytes) -> tuple[Entry, ...] | None:
    """The entries of a CSV statement, oldest first; None for a file that is none.

    >>> read(b"date;libelle;montant\\n28/02/2025;VIR RECU;1 234,50\\n")
    (Entry(day=20147, cents=123450, label='VIR RECU', balance=None),)
    >>> read(b"%PDF-1.4")
    """
    try:
        text = data.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text), delimiter=";" if ";" in text.partition("\n")[0] else ","))
        found = _columns(rows[0])
        entries = [_entry(row, found) for row in rows[1:] if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error, LookupError, ValueError, InvalidOperation):
        return None
    newest_first = len(entries) > 1 and entries[0].day > entries[-1].day
    return tuple(sorted(reversed(entries) if newest_first else entries, key=lambda entry: entry.day)) or None


def raw_of_statement(entries: Sequence[Entry], company: Company, seed: int) -> dict[str, Any]:
    """The `raw` member of a Bank X-Ray report on these entries: one account without IBAN, a statement each month."""
    cents = np.array([entry.cents for entry in entries], dtype=np.int64)
    given = entries[0].balance
    opening = 0 if given is None else given - entries[0].cents
    days = np.array([entry.day for entry in entries], dtype=np.int64)
    kinds, labels = np.array([[_kind(e), e.label] for e in entries], dtype=object).T
    ledger = CompanyLedger(
        days=days, accounts=np.zeros_like(days), cents=cents, balances=opening + np.cumsum(cents), kinds=kinds,
        parties=np.array([_party(label) for label in labels], dtype=object), labels=labels, opening=np.array([opening]),
    )  # fmt: skip
    months = Calendar(Timeline(_month_end(entries[-1].day)))
    statements = _statements(ledger, months)
    n_days = statements[-1].end - statements[0].start
    seen = Sight(replace(company, ibans=(None,)), ledger, months, statements, np.arange(len(days)), n_days)
    return raw_of(seen, np.random.default_rng(seed), sanity=100)


def _columns(head: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in head]
    found = {what: names.index(name) for what, known in _NAMES.items() for name in known if name in names}
    if not {"day", "label"} <= set(found) or ("amount" in found) == ({"debit", "credit"} <= set(found)):
        raise LookupError("no statement")
    return found


def _entry(row: Sequence[str], found: dict[str, int]) -> Entry:
    cell = {what: row[at].strip() for what, at in found.items()}
    if "amount" in found:
        amount = _cents(cell["amount"])
    else:
        amount = abs(_cents(cell["credit"] or "0")) - abs(_cents(cell["debit"] or "0"))
    balance = _cents(cell["balance"]) if cell.get("balance") else None
    return Entry(_day(cell["day"]), amount, cell["label"], balance)


def _cents(text: str) -> int:
    plain = re.sub(r"[\s\u00a0\u202f€]", "", text)
    amount = Decimal(plain.replace(",", ".") if "." not in plain else plain.replace(",", "")) * 100
    if amount != int(amount):
        raise ValueError("not a whole number of cents")
    return int(amount)


def _day(text: str) -> int:
    for form in _DAYS:
        try:
            return (datetime.strptime(text, form).date() - date(1970, 1, 1)).days
        except ValueError:
            continue
    raise ValueError("no day")


def _month_end(day: int) -> date:
    month = np.datetime64(day, "D").astype("datetime64[M]")
    last: date = ((month + 1).astype("datetime64[D]") - 1).item()
    return last


def _statements(ledger: CompanyLedger, months: Calendar) -> tuple[ShownStatement, ...]:
    """One statement for each month from the first entry to the last; what is older than the history joins the first."""
    first = max(0, int(np.searchsorted(months.first, ledger.days[0], side="right")) - 1)
    edges = [int(months.first[month]) - 1 for month in range(first, MONTHS + 1)]
    edges[0] = min(edges[0], int(ledger.days[0]) - 1)
    stops = [0, *np.searchsorted(ledger.days, edges[1:], side="right").tolist()]
    balances = [int(ledger.opening[0]), *(int(b) for b in ledger.balances)]
    return tuple(
        ShownStatement(
            no + 1, 0, edges[no], edges[no + 1], balances[stops[no]], balances[stops[no + 1]], *stops[no : no + 2]
        )
        for no in range(len(edges) - 1)
    )


def _kind(entry: Entry) -> str:
    known = next((kind for kind, form in _KINDS if re.search(form, entry.label, re.I)), None)
    return known or ("customer" if entry.cents > 0 else "supplier_transfer")


def _party(label: str) -> str:
    return "URSSAF" if "URSSAF" in label.upper() else ""
