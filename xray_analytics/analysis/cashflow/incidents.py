"""What went wrong on the account? Rejected debits, overdraft charges, seizures, missed social charges; with evidence.

Found by label family, amount and date; the service's own `alerts` are not read: their words are not documented. An
entry is told once, in the report that speaks for its day. A reject is what the bank shows, whatever its reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...schema import Column, Table
from ...tables import COMPANY_KEY, REPORT_ID, REPORT_VERSION, TRANSACTIONS
from .. import frames
from ..chunks import by_company
from ..frames import AsOf, Frame
from .categories import categories as categories_of
from .categories import rejected_pairs
from .deduplication import CoveredDays, company_entries, covered_days
from .labels import counterparties, normalised
from .social_security import GRACE_DAYS, missed_months

KINDS = ("rejected_debit", "rejected_transfer", "overdraft_charges", "seizure", "missed_social_security")
_FEE_DAYS = 10  # the fee follows its reject or seizure within so many days
INCIDENTS = Table(
    "incidents",
    "One row per incident, the result of incidents.",
    (
        COMPANY_KEY,
        Column("incident", "text", "What it is.", choices=KINDS, required=True),
        Column("incident_date", "date", "Booking day of the entry, or the due day.", required=True),
        Column("amount", "float", "Amount concerned; null where unknown.", unit="currency, major units", lo=0),
        TRANSACTIONS["currency"],
        Column("counterparty", "text", "Creditor, in one spelling."),
        REPORT_ID,
        REPORT_VERSION,
        Column("transaction_no", "int", "The entry; null for a debit that never came.", lo=0),
        Column("debit_transaction_no", "int", "The debit that came back, where it is found.", lo=0),
        Column("fee_transaction_no", "int", "The fee, where it is found.", lo=0),
        Column("evidence", "text", "One sentence.", required=True),
    ),
    ("company_id", "incident", "incident_date", "report_id", "transaction_no"),
)


def incidents(
    transactions: Frame,
    reports: Frame,
    *,
    categories: Frame | None = None,
    statements: Frame | None = None,
    as_of: AsOf | None = None,
) -> pd.DataFrame:
    """Incidents of every company, each with its evidence.

    ======================  =========================================================================================
    incident                evidence
    ======================  =========================================================================================
    rejected_debit          a credit of the family ``reject`` (``transaction_no``), with the debit of the same account
                            and amount at most five days before it, and the fee that follows within ten; or such a fee
                            alone, where the bank shows no more
    rejected_transfer       the same for a transfer that came back: often a wrong account, not want of money
    overdraft_charges       interest and commissions on an overdraft
    seizure                 a debit of the family ``seizure``, with its fee; or the fee alone
    missed_social_security  a due day of the URSSAF calendar without a debit in the ten days after it, or with one that
                            came back (`social.missed_months`); only where the company was seen paying at all, and on
                            days of which every entry can be read
    ======================  =========================================================================================

    Companies are independent of each other and done in parts, so that memory does not grow with the store.

    Parameters
    ----------
    transactions, reports
        The tables of that name; newest versions of bank reports, overlaps resolved by `entries.covered_days`.
    categories
        The result of `categories`; made with the shipped rules where not given.
    statements
        The table `statement_summaries`. Without it a statement that is missing inside a report's period looks like
        missed social charges.
    as_of
        Later reports are not seen.

    Returns
    -------
    DataFrame
        The columns of `INCIDENTS`, sorted by company, date, incident and entry. ``attrs["base"]``: companies whose
        entries were looked at; entries left out; `no_social_security_seen`: companies whose due days were not judged.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    >>> from xray_analytics.tables import REPORTS
    >>> reports = REPORTS.example(
    ...     report_id="a", company_id="732829320", created_at="2025-04-02", period_start_date="2025-02-28",
    ...     period_end_date="2025-03-31",
    ... )
    >>> transactions = TRANSACTIONS.example(
    ...     report_id="a", account_no=0, label=["PRLV SEPA LUNE", "REJET PRLV LUNE", "FRAIS PRLV IMPAYE SEPA LUNE"],
    ...     booked_date=["2025-03-03", "2025-03-04", "2025-03-05"], amount=[-80.0, 80.0, -20.0],
    ... )
    >>> print(*incidents(transactions, reports)["evidence"])
    REJET PRLV LUNE: 80.00 back on 2025-03-04, debited on 2025-03-03, fee of 20.00 on 2025-03-05.
    """

    def kernel(part: Frame) -> pd.DataFrame:
        return _incidents(transactions, covered_days(part, statements, as_of=as_of), categories)

    return by_company(kernel, transactions, reports, as_of)


def _incidents(transactions: Frame, days: CoveredDays, categories: Frame | None) -> pd.DataFrame:
    families = categories
    if families is None:
        names = ("transaction_no", "account_no", "label", "amount", "booked_date")
        families = categories_of(frames.collect_of(transactions, TRANSACTIONS, names, days.versions))
    entries, excluded = company_entries(transactions, days, ("label", "counterparty"), categories=families)
    entries = entries.assign(
        party=counterparties(entries["counterparty"], entries["label"]), text=normalised(entries["label"])
    )
    rejects = _rejects(entries)
    social, n_unseen = _missed_social(entries, rejects, days)
    parts = [rejects, _seizures(entries), _overdrafts(entries), social]
    table = pd.concat([frames.typed(part, INCIDENTS) for part in parts if len(part)] or [_none()], ignore_index=True)
    order = ["company_id", "incident_date", "incident", "transaction_no"]
    excluded["no_social_security_seen"] = n_unseen
    result = table.assign(currency=table["currency"].mask(table["currency"] == ""))
    result = result.sort_values(order, ignore_index=True)
    result.attrs["base"] = {"used": entries["company_id"].nunique(), "excluded": excluded}
    return result


def _none() -> pd.DataFrame:
    return frames.typed(pd.DataFrame(), INCIDENTS)


def _is(entries: pd.DataFrame, category: str) -> np.ndarray:
    return (entries["category"] == category).fillna(False).to_numpy(bool)


def _rows(entries: pd.DataFrame, incident: Any) -> pd.DataFrame:
    return entries.assign(
        incident=incident, incident_date=entries["booked_date"], counterparty=entries["party"],
        amount=entries["amount"].abs(),
    )  # fmt: skip


def _rejects(entries: pd.DataFrame) -> pd.DataFrame:
    credits_ = entries[_is(entries, "reject")]
    pairs = rejected_pairs(entries).set_index("credit")["debit"].reindex(credits_.index)
    debit = entries.reindex(pairs.to_numpy()).set_axis(credits_.index)
    fees, alone = _fees(entries, credits_, "reject_fee")
    is_transfer = credits_["text"].str.contains(r"\bVIR", regex=True).fillna(False)
    rows = _rows(credits_, np.where(is_transfer, "rejected_transfer", "rejected_debit"))
    rows["debit_transaction_no"], rows["fee_transaction_no"] = debit["transaction_no"], fees["transaction_no"]
    rows["evidence"] = [
        f"{text}: {amount:,.2f} back on {day:%Y-%m-%d}{_dated(', debited on ', debited)}{_fee(fee, charged)}."
        for text, amount, day, debited, fee, charged in zip(
            rows["text"], rows["amount"], rows["booked_date"], debit["booked_date"], fees["amount"],
            fees["booked_date"], strict=True,
        )
    ]  # fmt: skip
    return pd.concat([rows, _fee_alone(alone, "rejected_debit")])


def _seizures(entries: pd.DataFrame) -> pd.DataFrame:
    seized = entries[_is(entries, "seizure")]
    fees, alone = _fees(entries, seized, "seizure_fee")
    rows = _rows(seized, "seizure").assign(fee_transaction_no=fees["transaction_no"])
    rows["evidence"] = [
        f"{text}: {amount:,.2f} on {day:%Y-%m-%d}{_fee(fee, charged)}."
        for text, amount, day, fee, charged in zip(
            rows["text"], rows["amount"], rows["booked_date"], fees["amount"], fees["booked_date"], strict=True
        )
    ]
    return pd.concat([rows, _fee_alone(alone, "seizure")])


def _overdrafts(entries: pd.DataFrame) -> pd.DataFrame:
    rows = _rows(entries[_is(entries, "overdraft_charges")], "overdraft_charges")
    return rows.assign(evidence=_sentences(rows))


def _fee_alone(fees: pd.DataFrame, incident: str) -> pd.DataFrame:
    """Incidents of which the bank shows the fee only: what was concerned is unknown."""
    rows = _rows(fees, incident)
    return rows.assign(evidence=_sentences(rows), fee_transaction_no=rows["transaction_no"], amount=np.nan)


def _sentences(rows: pd.DataFrame) -> list[str]:
    facts = zip(rows["text"], rows["amount"], rows["booked_date"], strict=True)
    return [f"{text}: {amount:,.2f} on {day:%Y-%m-%d}." for text, amount, day in facts]


def _dated(words: str, day: Any) -> str:
    return "" if pd.isna(day) else f"{words}{day:%Y-%m-%d}"


def _fee(amount: float, day: Any) -> str:
    return "" if pd.isna(day) else f", fee of {-amount:,.2f} on {day:%Y-%m-%d}"


def _fees(entries: pd.DataFrame, causes: pd.DataFrame, category: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The fee of each cause, with its index; and the fees without a cause.

    A fee belongs to the latest cause of its account in the days before it that has none yet, one that names the same
    party first.
    """
    fees = entries[_is(entries, category)]
    keys = ["company_id", "rank", "account_no"]
    both = [
        frame[[*keys, "day", "party", "text"]].assign(account_no=frame["account_no"].fillna(-1), row=frame.index)
        for frame in (causes, fees)
    ]
    pairs = both[0].merge(both[1], on=keys, suffixes=("_cause", "_fee"))
    wait = pairs["day_fee"] - pairs["day_cause"]
    pairs = pairs.assign(wait=wait)[wait.between(0, _FEE_DAYS)]
    named = [str(party) in str(text) for party, text in zip(pairs["party_cause"], pairs["text_fee"], strict=True)]
    pairs = pairs.assign(other=~np.array(named, bool)).sort_values(["other", "wait", "row_fee", "row_cause"])
    chosen: dict[int, int] = {}
    taken: set[int] = set()
    for cause, fee in zip(pairs["row_cause"], pairs["row_fee"], strict=True):
        if cause not in chosen and fee not in taken:
            chosen[cause] = fee
            taken.add(fee)
    found = pd.Series(chosen, dtype="float64").reindex(causes.index)
    return entries.reindex(found.to_numpy()).set_axis(causes.index), fees.drop(index=list(taken))


def _missed_social(entries: pd.DataFrame, rejects: pd.DataFrame, days: CoveredDays) -> tuple[pd.DataFrame, int]:
    """Missed due days, each in the report that speaks for it, and the number of companies that were not judged."""
    paid = _days_of(entries[_is(entries, "social_security") & _names_urssaf(entries)])
    returned = _days_of(rejects[_names_urssaf(rejects)])
    looked_at, none = set(entries["company"]), np.empty(0, "int64")
    parts = []
    joint = days.joint()
    for company, covered in joint[joint["has_basis"]].groupby("company")["day"]:  # nothing is missed that is unread
        back = returned.get(company, none)
        missed = missed_months(paid.get(company, none), back, covered.to_numpy("int64"))
        if missed is not None:
            parts.append(missed.assign(company=company))
    if not parts:
        return _none(), len(looked_at)
    missed = pd.concat(parts, ignore_index=True)
    owner = days.table.drop_duplicates(["company", "day"], keep="last").rename(columns={"day": "due"})
    missed = missed.merge(owner[["company", "due", "rank"]], on=["company", "due"])
    rows = missed.join(days.seen[["company_id", "report_id", "report_version"]], on="rank")
    dates = rows["due"].to_numpy("int64").astype("datetime64[D]").astype("datetime64[us]")
    sentences = {"no_debit": f"no debit within {GRACE_DAYS} days", "returned": "the debit came back"}
    rows = rows.assign(incident="missed_social_security", incident_date=dates, counterparty="URSSAF")
    facts = zip(rows["incident_date"], rows["how"], strict=True)
    rows["evidence"] = [f"URSSAF due on {day:%Y-%m-%d}: {sentences[how]}." for day, how in facts]
    return rows, len(looked_at - set(paid))


def _names_urssaf(entries: pd.DataFrame) -> np.ndarray:
    found = entries["text"].astype("string").str.contains(r"\bURSSAF\b", regex=True)
    return found.fillna(False).to_numpy(bool)


def _days_of(entries: pd.DataFrame) -> dict[Any, np.ndarray]:
    return {company: rows["day"].to_numpy("int64") for company, rows in entries.groupby("company")}
