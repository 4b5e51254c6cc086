"""What a report needs every transaction for, company by company, so that a large store is read in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..analysis import cashflow, quality
from .snapshot import of_reports

if TYPE_CHECKING:
    from ..store.snapshot import Snapshot

COMPANIES_AT_ONCE = 2_000
TRANSACTIONS = (
    "report_id", "report_version", "account_no", "transaction_no", "booked_date", "label", "counterparty", "amount",
    "balance_after",
)  # fmt: skip
_OF_REPORTS = ("statement_summaries",)


@dataclass(frozen=True)
class TransactionResults:
    """The results of the analyses that read transactions, each with its base."""

    ledger: pd.DataFrame
    incidents: pd.DataFrame
    recurring: pd.DataFrame
    concentration: pd.DataFrame


def of_transactions(frames: Mapping[str, pd.DataFrame]) -> TransactionResults:
    """The analyses of these tables: a pure function."""
    transactions, reports, statements = (frames[n] for n in ("transactions", "reports", "statement_summaries"))
    families = cashflow.categories(transactions)
    known: dict[str, Any] = {"categories": families, "statements": statements}
    return TransactionResults(
        ledger=quality.reconciliation(statements, transactions, frames["movement_metrics"]),
        incidents=cashflow.incidents(transactions, reports, **known),
        recurring=cashflow.recurring(transactions, reports, **known),
        concentration=cashflow.counterparty_concentration(
            cashflow.operating(transactions, families), reports, statements=statements
        ),
    )


def in_pieces(snapshot: Snapshot, frames: Mapping[str, pd.DataFrame]) -> TransactionResults:
    """The same from a store, with the transactions of some companies in memory at a time."""
    parts = [of_transactions(piece) for piece in _pieces(snapshot, frames, (*_OF_REPORTS, "movement_metrics"))]
    return TransactionResults(
        **{field.name: together([getattr(part, field.name) for part in parts]) for field in fields(TransactionResults)}
    )


def streams_and_incidents(snapshot: Snapshot, frames: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Only what the watch list reads: recurring streams, and incidents."""
    parts = [_streams_and_incidents(piece) for piece in _pieces(snapshot, frames, _OF_REPORTS)]
    return together([streams for streams, _ in parts]), together([incidents for _, incidents in parts])


def _streams_and_incidents(frames: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    transactions, reports, statements = (frames[n] for n in ("transactions", "reports", "statement_summaries"))
    known: dict[str, Any] = {"categories": cashflow.categories(transactions), "statements": statements}
    return cashflow.recurring(transactions, reports, **known), cashflow.incidents(transactions, reports, **known)


def _pieces(
    snapshot: Snapshot, frames: Mapping[str, pd.DataFrame], names: Sequence[str]
) -> Iterator[dict[str, pd.DataFrame]]:
    """The tables of some companies at a time, every company whole; at least one piece, which may be empty."""
    reports = frames["reports"][frames["reports"]["product"] == "bank"]
    number, companies = pd.factorize(reports["company_id"].fillna(""), sort=True)
    for first in range(0, max(len(companies), 1), COMPANIES_AT_ONCE):
        piece = reports[(number >= first) & (number < first + COMPANIES_AT_ONCE)]
        ids = piece["report_id"]
        of_them = {name: frames[name][frames[name]["report_id"].isin(ids)] for name in names}
        transactions = snapshot.read("transactions", columns=TRANSACTIONS, where=of_reports(ids))
        yield of_them | {"reports": piece, "transactions": transactions}


def together(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts, and their bases added up."""
    if len(parts) == 1:
        return parts[0]
    bases = [part.attrs["base"] for part in parts]
    filled = [part for part in parts if len(part)] or parts[:1]
    result = pd.concat([part.set_axis(part.columns, axis=1) for part in filled], ignore_index=True)
    reasons = dict.fromkeys(reason for base in bases for reason in base["excluded"])
    result.attrs["base"] = bases[0] | {
        "used": sum(base["used"] for base in bases),
        "excluded": {reason: sum(base["excluded"].get(reason, 0) for base in bases) for reason in reasons},
        "backfilled": None if bases[0]["backfilled"] is None else sum(base["backfilled"] for base in bases),
        "as_of": max((base["as_of"] for base in bases if base["as_of"]), default=None),
    }
    return result
