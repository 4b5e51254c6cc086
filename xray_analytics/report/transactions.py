"""What a report needs every transaction for, company by company, so that a large store is read in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..analysis import cashflow, quality
from ..analysis.chunks import of_companies, together
from .snapshot import of_reports

if TYPE_CHECKING:
    from ..store.snapshot import Snapshot

COMPANIES_AT_ONCE = 2_000
TRANSACTIONS = (
    "report_id", "report_version", "account_no", "transaction_no", "booked_date", "label", "counterparty", "amount",
    "currency", "balance_after",
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
    for piece in of_companies(reports, COMPANIES_AT_ONCE):
        ids = piece["report_id"]
        of_them = {name: frames[name][frames[name]["report_id"].isin(ids)] for name in names}
        transactions = snapshot.read("transactions", columns=TRANSACTIONS, where=of_reports(ids))
        yield of_them | {"reports": piece, "transactions": transactions}
