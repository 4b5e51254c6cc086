"""What comes back on a schedule?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...schema import Column, Table
from ...tables import COMPANY_KEY, TRANSACTIONS
from .. import frames
from ..chunks import by_company
from ..frames import AsOf, Frame
from .counterparties import SIDES
from .deduplication import CoveredDays, company_entries, covered_days
from .labels import counterparties, stems

_MONEY = "currency, major units"
PERIODS = {  # name: days from one payment to the next at least, at most; months until the next
    "weekly": (5, 9, 0),
    "fortnightly": (12, 16, 0),
    "monthly": (24, 38, 1),
    "two_monthly": (54, 68, 2),
    "quarterly": (82, 101, 3),
    "half_yearly": (172, 194, 6),
    "yearly": (350, 380, 12),
}
_DAYS = {"weekly": 7, "fortnightly": 14}
_FEWEST_PAYMENTS = 3
_LEAST_REGULAR = 0.75
STREAMS = Table(
    "recurring",
    "One row per company and recurring stream, the result of recurring.",
    (
        COMPANY_KEY,
        TRANSACTIONS["currency"],
        Column("side", "text", "Credit or debit.", choices=SIDES, required=True),
        Column("counterparty", "text", "Normalised name, or the stem of the label.", required=True),
        Column("stem", "text", "Label without references.", required=True),
        Column("category", "text", "Family; null where not given."),
        Column("period", "text", "How often.", choices=tuple(PERIODS), required=True),
        Column("amount", "float", "Median payment, positive.", unit=_MONEY, lo=0),
        Column("amount_variation_ratio", "float", "Median absolute deviation / median; 0 is a fixed amount.", lo=0),
        Column("regularity_ratio", "float", "Share of intervals that fit the period.", lo=0, hi=1),
        Column("n_payments", "int", "Payments; several on one day are one.", lo=0),
        Column("first_date", "date", "First payment."),
        Column("last_date", "date", "Last payment."),
        Column("next_due_date", "date", "When the next is expected: a day of the calendar, no working day."),
        Column("is_active", "bool", "The next one was not missing for half a period when the entries end."),
        Column("total", "float", "Sum of the payments, positive.", unit=_MONEY, lo=0),
    ),
    ("company_id", "currency", "side", "counterparty", "stem"),
)
_STREAM = ["company_id", "currency", "side", "counterparty", "stem"]


def recurring(
    transactions: Frame,
    reports: Frame,
    *,
    categories: Frame | None = None,
    statements: Frame | None = None,
    as_of: AsOf | None = None,
) -> pd.DataFrame:
    """Payments that come back on a schedule: rents, wages, loans, subscriptions, steady customers.

    A stream is what one company pays to, or receives from, one counterparty under one label stem in one currency;
    several entries on one day are one payment. Its period is the one that its median interval fits (`PERIODS`). It
    recurs with at least three payments of which at least three quarters of the intervals fit. A missed payment is an
    interval that does not fit. Companies are independent of each other and done in parts, so that memory does not grow
    with the store.

    Parameters
    ----------
    transactions, reports, statements, as_of
        As for `counterparty_concentration`.
    categories
        The result of `categories`: then the family of each stream is told (of several the most frequent).

    Returns
    -------
    DataFrame
        The columns of `STREAMS`, sorted by company, currency, side, counterparty and stem. `next_due_date`: the last
        payment plus the period, for months on the median day of the month (a month end is the 31st, and that the last
        day of any month); it may be in the past. `is_active` compares it with the company's last covered day whose
        entries can all be read. ``attrs["base"]``: companies with entries, and entries left out.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    >>> from xray_analytics.tables import REPORTS, TRANSACTIONS
    >>> reports = REPORTS.example(
    ...     report_id="a", company_id="732829320", created_at="2025-04-02", period_start_date="2024-12-31",
    ...     period_end_date="2025-03-31",
    ... )
    >>> transactions = TRANSACTIONS.example(
    ...     report_id="a", account_no=0, label=["ECHEANCE PRET 00047211"] * 3, amount=-500.0,
    ...     booked_date=["2025-01-10", "2025-02-10", "2025-03-10"],
    ... )
    >>> found = recurring(transactions, reports)
    >>> print(*found.loc[0, ["period", "amount", "regularity_ratio", "next_due_date"]])
    monthly 500.0 1.0 2025-04-10 00:00:00
    """

    def kernel(part: Frame) -> pd.DataFrame:
        return _recurring(transactions, covered_days(part, statements, as_of=as_of), categories)

    return by_company(kernel, transactions, reports, as_of)


def _recurring(transactions: Frame, days: CoveredDays, categories: Frame | None) -> pd.DataFrame:
    entries, excluded = company_entries(transactions, days, ("label", "counterparty"), categories=categories)
    used = entries["company_id"].nunique()
    payments = _payments(entries)
    payments["gap"] = payments.groupby(_STREAM)["day"].diff()
    streams = payments.groupby(_STREAM).agg(
        n_payments=("day", "size"), median_gap=("gap", "median"), amount=("size", "median"), total=("size", "sum"),
        first=("day", "min"), last=("day", "max"), due_day=("of_month", "median"), category=("category", "first"),
    ).reset_index()  # fmt: skip
    streams["period"] = _period(streams["median_gap"])
    streams = streams[streams["period"].notna() & (streams["n_payments"] >= _FEWEST_PAYMENTS)]
    streams = streams.merge(_spreads(payments, streams), on=_STREAM)
    streams = streams[streams["regularity_ratio"] >= _LEAST_REGULAR]
    read = days.spoken[days.spoken["has_basis"] | ~days.spoken.groupby("company")["has_basis"].transform("any")]
    last_day = read.groupby("company")["end"].max().rename_axis("company")
    ends = pd.Series(last_day.to_numpy(), days.companies[last_day.index], dtype="int64")
    dated = _dated(streams, ends).sort_values(_STREAM, ignore_index=True)
    result = frames.typed(dated.assign(currency=dated["currency"].mask(dated["currency"] == "")), STREAMS)
    result.attrs["base"] = {"used": used, "excluded": excluded}
    return result


def _sided(entries: pd.DataFrame) -> pd.DataFrame:
    moved = entries[entries["amount"] != 0]
    return moved.assign(side=np.where(moved["amount"] > 0, "credit", "debit"), size=moved["amount"].abs())


def _payments(entries: pd.DataFrame) -> pd.DataFrame:
    """One row per stream and day."""
    entries = _sided(entries)
    stem = stems(entries["label"])
    party = counterparties(entries["counterparty"], entries["label"])
    entries = entries.assign(stem=stem.fillna(party), counterparty=party.fillna(stem))
    if "category" not in entries:
        entries["category"] = pd.Series(pd.NA, entries.index, dtype="string")
    known = entries[entries["stem"].notna()]
    first = known.groupby([*_STREAM, "category"]).size().rename("n").reset_index()
    first = first.sort_values([*_STREAM, "n", "category"], ascending=[True] * len(_STREAM) + [False, True])
    families = first.drop_duplicates(_STREAM)[[*_STREAM, "category"]]
    days = known.groupby([*_STREAM, "day"])["size"].sum().reset_index().merge(families, on=_STREAM, how="left")
    dates = days["day"].to_numpy("int64").astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    is_month_end = (dates + 1).astype("datetime64[M]") > month
    of_month = np.where(is_month_end, 31, (dates - month).astype("int64") + 1)
    return days.assign(day=days["day"].astype("int64"), of_month=of_month)


def _period(gaps: pd.Series[float]) -> np.ndarray:
    found = np.full(len(gaps), None, dtype=object)
    for name, (low, high, _) in PERIODS.items():
        found[gaps.between(low, high).to_numpy(bool)] = name
    return found


def _spreads(payments: pd.DataFrame, streams: pd.DataFrame) -> pd.DataFrame:
    """Of each stream the share of intervals that fit its period, and how much its amounts differ."""
    rows = payments.merge(streams[[*_STREAM, "period", "amount"]], on=_STREAM)
    low, high = (rows["period"].map({name: PERIODS[name][k] for name in PERIODS}).astype("float64") for k in (0, 1))
    fits = rows["gap"].between(low, high).astype("float64").where(rows["gap"].notna())
    rows = rows.assign(fits=fits, apart=(rows["size"] - rows["amount"]).abs() / rows["amount"])
    grouped = rows.groupby(_STREAM)
    return pd.DataFrame(
        {"regularity_ratio": grouped["fits"].mean(), "amount_variation_ratio": grouped["apart"].median()}
    ).reset_index()


def _dated(streams: pd.DataFrame, ends: pd.Series[int]) -> pd.DataFrame:
    """With the days of the first, last and next payment, and whether the next was still to come."""
    months = streams["period"].map({name: months for name, (_, _, months) in PERIODS.items()}).to_numpy("int64")
    step = streams["period"].map(_DAYS).fillna(0).to_numpy("int64")
    last = streams["last"].to_numpy("int64").astype("datetime64[D]")
    month = last.astype("datetime64[M]") + months
    length = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype("int64")
    on_day = np.minimum(np.floor(streams["due_day"].to_numpy("float64")).astype("int64"), length) - 1
    due = np.where(months > 0, month.astype("datetime64[D]") + on_day, last + step)
    half = (due.astype("int64") - last.astype("int64")) // 2
    end = ends.reindex(streams["company_id"]).to_numpy("float64")
    return streams.assign(
        first_date=streams["first"].to_numpy("int64").astype("datetime64[D]").astype("datetime64[us]"),
        last_date=last.astype("datetime64[us]"),
        next_due_date=due.astype("datetime64[us]"),
        is_active=end <= due.astype("int64") + half,
    )
