"""Who is paid, who pays, and what comes back on a schedule."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ..errors import InputError
from ..schema import Column, Table
from ..tables import COMPANY_KEY, TRANSACTIONS
from . import frames
from .entries import IN_OTHER, MINE, OUTSIDE, POOR, Days, company_entries, covered_days, settled_entries
from .frames import AsOf, Frame
from .labels import counterparties, stems
from .parts import by_company

SIDES = ("credit", "debit")
_MONEY = "currency, major units"
CONCENTRATION = Table(
    "counterparty_concentration",
    "One row per company and side, the result of counterparty_concentration.",
    (
        COMPANY_KEY,
        Column("side", "text", "Credits or debits.", choices=SIDES, required=True),
        Column("n_counterparties", "int", "Different names.", lo=0),
        Column("total", "float", "Sum of the amounts, positive.", unit=_MONEY, lo=0),
        Column("top_counterparty", "text", "The largest."),
        Column("top_1_share_ratio", "float", "Its share.", lo=0, hi=1),
        Column("top_5_share_ratio", "float", "Share of the five largest.", lo=0, hi=1),
        Column("hhi_ratio", "float", "Sum of squared shares; 1 is one counterparty.", lo=0, hi=1),
        Column("named_share_ratio", "float", "Share of the total whose counterparty the entry names.", lo=0, hi=1),
    ),
    ("company_id", "side"),
)
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
    ("company_id", "side", "counterparty", "stem"),
)
_STREAM = ["company_id", "side", "counterparty", "stem"]


def counterparty_concentration(  # noqa: PLR0913 - two frames and what to look at
    transactions: Frame,
    reports: Frame,
    *,
    statements: Frame | None = None,
    as_of: AsOf | None = None,
    named_only: bool = False,
    side: str | None = None,
) -> pd.DataFrame:
    """How much hangs on few payers and payees, by normalised counterparty (`labels.counterparties`).

    Give the result of `operating` as `transactions`, or internal transfers and loans count as counterparties.

    Parameters
    ----------
    transactions
        The table `transactions`, or the result of `operating`.
    reports
        The table `reports`; newest versions of bank reports, overlaps resolved by `entries.covered_days`.
    statements
        The table `statement_summaries`: days are then told apart by account.
    as_of
        Later reports are not seen.
    named_only
        Look at nothing but entries whose counterparty is named; the others are then in no total either.
    side
        ``"credit"`` or ``"debit"``: look at nothing but entries of that side, which is faster. Default both.

    Returns
    -------
    DataFrame
        The columns of `CONCENTRATION`, sorted by company and side. Entries without counterparty count under the stem
        of their label, those without either under no name at all: in `total`, in no share. A name printed in two
        ways is two counterparties: shares are lower bounds. ``attrs["base"]``: companies, and entries left out.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or there is no such side.

    Examples
    --------
    Three payers of 60, 30 and 10: HHI 0.36 + 0.09 + 0.01.

    >>> created = pd.to_datetime(["2025-04-02"], utc=True)
    >>> day = pd.to_datetime(["2024-12-31", "2025-03-31"])
    >>> reports = pd.DataFrame({
    ...     "report_id": ["a"], "report_version": 1, "company_id": "732829320", "product": "bank",
    ...     "created_at": created, "available_at": created, "is_backfilled": False,
    ...     "period_start_date": day[:1], "period_end_date": day[1:],
    ... })
    >>> transactions = pd.DataFrame({
    ...     "report_id": "a", "report_version": 1, "transaction_no": range(3), "account_no": 0, "label": "VIR RECU",
    ...     "booked_date": day[1], "amount": [60.0, 30.0, 10.0], "counterparty": ["X", "Y", "Z"],
    ... })
    >>> found = counterparty_concentration(transactions, reports)
    >>> found["top_counterparty"].tolist(), found["top_1_share_ratio"].tolist(), found["hhi_ratio"].round(4).tolist()
    (['X'], [0.6], [0.46])
    """
    if side is not None:
        transactions = _of_side(transactions, side)
    entries, seen, excluded = _amounts_by_name(transactions, reports, statements, as_of, named_only)
    sizes, companies, parties = _numbered(entries)
    sizes = sizes[sizes["is_mine"] & (sizes["is_named"] | (not named_only))]
    totals = sizes.groupby("group")[["size", "named"]].sum()
    sums = _shares(sizes[sizes["party"] >= 0], totals["size"])
    first = _five_largest(sums)
    grouped, first_five = sums.groupby("group"), first.groupby("group")
    result = pd.DataFrame(
        {
            "company_id": pd.Series(companies[totals.index // 2], totals.index),
            "side": np.take(SIDES, totals.index % 2),
            "n_counterparties": grouped.size().reindex(totals.index, fill_value=0),
            "total": totals["size"],
            "top_counterparty": first_five["party"].first().map(pd.Series(parties)),
            "top_1_share_ratio": first_five["share"].first(),
            "top_5_share_ratio": first_five["share"].sum().clip(upper=1),
            "hhi_ratio": grouped["square"].sum(),
            "named_share_ratio": totals["named"] / totals["size"],
        }
    )
    result = frames.typed(result.reset_index(drop=True), CONCENTRATION)
    result.attrs["base"] = frames.base(result["company_id"].nunique(), seen, excluded=excluded, as_of=as_of)
    return result


def recurring(
    transactions: Frame,
    reports: Frame,
    *,
    categories: Frame | None = None,
    statements: Frame | None = None,
    as_of: AsOf | None = None,
) -> pd.DataFrame:
    """Payments that come back on a schedule: rents, wages, loans, subscriptions, steady customers.

    A stream is what one company pays to, or receives from, one counterparty under one label stem; several entries on
    one day are one payment. Its period is the one that its median interval fits (`PERIODS`). It recurs with at least
    three payments of which at least three quarters of the intervals fit. A missed payment is an interval that does
    not fit. Companies are independent of each other and done in parts, so that memory does not grow with the store.

    Parameters
    ----------
    transactions, reports, statements, as_of
        As for `counterparty_concentration`.
    categories
        The result of `categories`: then the family of each stream is told (of several the most frequent).

    Returns
    -------
    DataFrame
        The columns of `STREAMS`, sorted by company, side, counterparty and stem. `next_due_date`: the last payment
        plus the period, for months on the median day of the month (the last day of a shorter month); it may be in the
        past. `is_active` compares it with the company's last covered day. ``attrs["base"]``: companies with entries,
        and entries left out.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    >>> created = pd.to_datetime(["2025-04-02"], utc=True)
    >>> reports = pd.DataFrame({
    ...     "report_id": ["a"], "report_version": 1, "company_id": "732829320", "product": "bank",
    ...     "created_at": created, "available_at": created, "is_backfilled": False,
    ...     "period_start_date": pd.to_datetime(["2024-12-31"]), "period_end_date": pd.to_datetime(["2025-03-31"]),
    ... })
    >>> transactions = pd.DataFrame({
    ...     "report_id": "a", "report_version": 1, "transaction_no": range(3), "account_no": 0, "counterparty": None,
    ...     "label": ["ECHEANCE PRET 00047211"] * 3, "amount": -500.0,
    ...     "booked_date": pd.to_datetime(["2025-01-10", "2025-02-10", "2025-03-10"]),
    ... })
    >>> found = recurring(transactions, reports)
    >>> print(*found.loc[0, ["period", "amount", "regularity_ratio", "next_due_date"]])
    monthly 500.0 1.0 2025-04-10 00:00:00
    """

    def kernel(part: Frame) -> pd.DataFrame:
        return _recurring(transactions, covered_days(part, statements, as_of=as_of), categories)

    return by_company(kernel, transactions, reports, STREAMS, as_of)


def _recurring(transactions: Frame, days: Days, categories: Frame | None) -> pd.DataFrame:
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
    last_day = days.table.groupby("company")["day"].max().rename_axis("company")
    ends = pd.Series(last_day.to_numpy(), days.companies[last_day.index], dtype="int64")
    result = frames.typed(_dated(streams, ends).sort_values(_STREAM, ignore_index=True), STREAMS)
    result.attrs["base"] = {"used": used, "excluded": excluded}
    return result


def _amounts_by_name(
    transactions: Frame, reports: Frame, statements: Frame | None, as_of: AsOf | None, named_only: bool
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Sums of amounts (`size`) by company, `is_debit` and name as sent, else label; reports; entries left out.

    Only what `is_mine` counts.
    """
    if statements is not None or not frames.same_kind(transactions, reports):
        days = covered_days(reports, statements, as_of=as_of)
        entries, excluded = company_entries(transactions, days, ("label", "counterparty"))
        moved = _sided(entries)
        names = {"name": moved["counterparty"].fillna(moved["label"]), "is_named": moved["counterparty"].notna()}
        seen = frames.newest_reports(reports, product="bank", as_of=as_of)
        return moved.assign(is_mine=True, is_debit=moved["side"] == "debit", **names), seen, excluded
    columns = ("counterparty",) if named_only else ("counterparty", "label")
    rows, seen = settled_entries(transactions, reports, columns, as_of=as_of)
    is_mine, amount = nw.col("state") == MINE, nw.col("amount")
    rows = rows.filter(~is_mine | (amount != 0)).with_columns(
        name=nw.when(is_mine).then(nw.coalesce(*columns)), is_named=~nw.col("counterparty").is_null(),
        is_debit=amount < 0, size=amount.abs(),
    )  # fmt: skip
    sums = rows.group_by("company_id", "state", "is_debit", "is_named", "name").agg(
        nw.col("size").sum(), nw.len().alias("n")
    )
    table = frames.collect(sums, TRANSACTIONS)
    counts = table.groupby("state")["n"].sum()
    excluded = {reason: int(counts.get(reason, 0)) for reason in (OUTSIDE, IN_OTHER, POOR)}
    return table.assign(is_mine=table["state"] == MINE), seen, excluded


def _of_side(transactions: Frame, side: str) -> Any:
    """The entries of one side, and those without amount, which are told apart later."""
    if side not in SIDES:
        raise InputError(f"side is {side!r}; choose {' or '.join(SIDES)}")
    amount = nw.col("amount").cast(nw.Float64)
    is_wanted = amount > 0 if side == "credit" else amount < 0
    return frames.lazy(transactions, TRANSACTIONS, ("amount",)).filter(is_wanted | amount.is_null())


def _numbered(entries: pd.DataFrame) -> tuple[pd.DataFrame, pd.Index[str], pd.Index[str]]:
    """Numbers for texts, which are slow to group and to copy: `group` is 2 · company, and 1 more for its debits.

    With `party` (-1 for none), `size`, what of it is `named`, `is_named` and `is_mine`; the companies and the parties.
    """
    company, companies = pd.factorize(entries["company_id"].astype("string"), sort=True)
    is_named = entries["is_named"].to_numpy(bool)
    party, parties = _parties(entries["name"], is_named)
    size = entries["size"].to_numpy("float64")
    numbers = pd.DataFrame({
        "group": 2 * company + entries["is_debit"].to_numpy(bool, na_value=False), "party": party, "size": size,
        "named": np.where(is_named, size, 0.0), "is_named": is_named, "is_mine": entries["is_mine"].to_numpy(bool),
    })  # fmt: skip
    return numbers, companies, parties


def _parties(names: pd.Series[str], is_named: np.ndarray) -> tuple[np.ndarray, pd.Index[str]]:
    """The number of each row's counterparty, -1 for none, in the order of these; every text is normalised once."""
    text, texts = pd.factorize(names.astype("string"))
    kind, kinds = pd.factorize(np.where(text < 0, -1, 2 * text + is_named))
    some = pd.Series(texts, dtype="string").reindex(kinds // 2).reset_index(drop=True)
    named = pd.Series(kinds % 2 == 1)
    party, parties = pd.factorize(counterparties(some.where(named), some.where(~named)), sort=True)
    return party[kind], parties


def _shares(sizes: pd.DataFrame, totals: pd.Series[float]) -> pd.DataFrame:
    """By `group` and `party` the `size`, its `share` of the group's total and the `square` of that."""
    n_parties = int(sizes["party"].max()) + 1 if len(sizes) else 1
    sums = sizes.groupby(sizes["group"] * n_parties + sizes["party"], sort=False)["size"].sum()
    group, party = np.divmod(sums.index.to_numpy("int64"), n_parties)
    share = sums.to_numpy() / totals.reindex(group).to_numpy()
    return pd.DataFrame({"group": group, "party": party, "size": sums.to_numpy(), "share": share, "square": share**2})


def _five_largest(sums: pd.DataFrame) -> pd.DataFrame:
    """The five largest rows of each group, largest first, ties by party.

    Dealt out to five hands, a group has five different rows that are at least as large as the smallest of the best of
    each hand: nothing below it can be among the five largest, and little is left to sort.
    """
    best = sums.groupby([sums["group"], np.arange(len(sums)) % 5])["size"].max().unstack(fill_value=0)
    least = best.min(axis=1) if best.shape[1] == 5 else pd.Series(0.0, best.index)
    able = sums[sums["size"].to_numpy() >= least.reindex(sums["group"]).to_numpy()]
    return able.sort_values(["group", "size", "party"], ascending=[True, False, True]).groupby("group").head(5)


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
    first = first.sort_values([*_STREAM, "n", "category"], ascending=[True] * 4 + [False, True])
    families = first.drop_duplicates(_STREAM)[[*_STREAM, "category"]]
    days = known.groupby([*_STREAM, "day"])["size"].sum().reset_index().merge(families, on=_STREAM, how="left")
    dates = days["day"].to_numpy("int64").astype("datetime64[D]")
    of_month = (dates - dates.astype("datetime64[M]")).astype("int64") + 1
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
