"""Tables of a small fictitious economy, tidied without a server, with what the economy knows of every entry."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pandas as pd

from xray_analytics import tables
from xray_analytics.sandbox.payloads.reports import Economy
from xray_analytics.tidy.batch import Received, tidy

NAMES = ("reports", "transactions", "statement_summaries", "monthly_summaries")
FETCHED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=2)
def economy_frames(companies: int, seed: int) -> tuple[Economy, dict[str, pd.DataFrame]]:
    """The economy and the frames of its bank reports; frames are shared: do not change them."""
    economy = Economy(companies, seed, clean=True)
    owners = {id: economy.company(no).code for id, (no, plan) in economy.plans.items() if plan.source == "bank_xray"}
    found = tidy([Received(economy.report_body(id), FETCHED_AT, id) for id in owners]).tables
    frames = {name: tables.table(name).to_pandas(found[name]) for name in NAMES}
    frames["reports"]["company_id"] = frames["reports"]["report_id"].map(owners).astype("string")
    return economy, frames


def true_kinds(economy: Economy, transactions: pd.DataFrame) -> np.ndarray:
    """The kind of movement that the economy booked behind each entry: its id names company and row."""
    ids = transactions["source_transaction_id"]
    return np.array([economy.ledger(int(id[:6], 16)).kinds[int(id[6:], 16)] for id in ids], dtype=object)
