"""Which report speaks for a day? Entries and days of companies, each from the newest report that has a basis for it.

Reports on a company overlap, so the same payment is in several of them; one whose entries cannot be read does not
silence an older one. An account is known by its IBAN; where a company's statements do not all name one, its accounts
are taken together, a day counting where every account of the report is covered. A statement, and without statements
the period of a report, covers the days after its start up to its end.

`covered_days` and `company_entries` settle it in pandas, account by account; `settled_entries` lets the engine do it
where reports alone are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables import STATEMENT_SUMMARIES, TRANSACTIONS
from .. import frames
from ..days import days as day_numbers
from ..days import month_numbers
from ..frames import AsOf, Frame
from .categories import CATEGORIES, KEY

_OWN = ["report_id", "report_version"]
_UNIT_SPAN = 1 << 22  # more days than any calendar in use
_COMPANY_SPAN = 1 << 10  # more accounts than any company has
_LONGEST = 3_660  # days; a longer statement has a wrong date
_PERIOD = ("period_start_date", "period_end_date")
_READ = ("n_transactions", "n_unread_transactions", "total_credit", "total_debit")
MINE, IN_OTHER, OUTSIDE, POOR = "mine", "in_other_report", "outside_coverage", "without_day_or_amount"


@dataclass(frozen=True)
class CoveredDays:
    """Covered days of companies: one row per company, unit and day, with the report that speaks for it.

    `versions` are the bank reports of companies; `seen` is them in pandas, oldest first, and `rank` a position in it.
    `table` has `company` (code of `companies`), `unit` (an account, or 0 for all accounts together), `day` (since
    1970), `rank` and `has_basis`, sorted. `unit_of` maps (rank, account_no) to a unit.
    """

    versions: frames.Versions
    seen: pd.DataFrame
    companies: pd.Index[str]
    table: pd.DataFrame
    unit_of: pd.DataFrame

    def joint(self) -> pd.DataFrame:
        """Days that every account of the company covers: `company`, `day`, `month`, and whether each has a basis.

        An account that some report has is one of the company on every day: what it did before and after is unknown.
        """
        n_units = self.table.groupby("company")["unit"].nunique()
        days = self.table.groupby(["company", "day"]).agg(found=("unit", "size"), has_basis=("has_basis", "all"))
        days = days.reset_index()
        joint = days[days["found"] == days["company"].map(n_units)]
        return joint.assign(month=month_numbers(joint["day"]))[["company", "day", "month", "has_basis"]]

    def units(self, table: pd.DataFrame) -> np.ndarray:
        """The unit of each row with `rank` and `account_no`; 0 where accounts are taken together."""
        keyed = table[["rank", "account_no"]].merge(self.unit_of, on=["rank", "account_no"], how="left")
        return keyed["unit"].fillna(0).to_numpy("int64")

    def owner(self, company: np.ndarray, unit: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The rank of the report that speaks for each day; -1 where none does."""
        if not len(self.table):
            return np.full(len(day), -1)
        keys = _keys(*(self.table[name].to_numpy("int64") for name in ("company", "unit", "day")))
        wanted = _keys(company, unit, day)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[place] == wanted, self.table["rank"].to_numpy()[place], -1)


def covered_days(reports: Frame, statements: Frame | None = None, *, as_of: AsOf | None = None) -> CoveredDays:
    """The covered days of every company, from statements, else from the periods of the reports."""
    versions = _versions(reports, as_of)
    known = versions.seen
    codes, companies = pd.factorize(known["company_id"])
    known = known.assign(rank=np.arange(len(known)), company=codes)
    if statements is None:
        spans = known.assign(
            account_no=0, iban=None, start=known["period_start_date"], end=known["period_end_date"],
            has_basis=has_basis(known),
        )  # fmt: skip
    else:
        spans = _statement_spans(statements, versions, known)
    spans = spans.assign(start=day_numbers(spans["start"]), end=day_numbers(spans["end"]))
    unit_of = _units(spans)
    table = _owned(spans.merge(unit_of, on=["rank", "account_no"], how="left"))
    return CoveredDays(versions, known.drop(columns=["rank", "company"]), pd.Index(companies), table, unit_of)


def company_entries(
    transactions: Frame, days: CoveredDays, columns: tuple[str, ...], *, categories: Frame | None = None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The entries of companies, each once, and how many were left out by reason.

    Parameters
    ----------
    transactions
        The table `transactions`, or the result of `operating`.
    days
        The result of `covered_days`.
    columns
        Of the transactions, beside key, account, booking day and amount.
    categories
        The result of `categories`; its category is joined.

    Returns
    -------
    tuple
        The entries with `company_id`, `company`, `rank`, `unit` and `day`, sorted by company, day, report and position;
        and ``{"outside_coverage": …, "in_other_report": …, "without_day_or_amount": …}``.
    """
    names = ("transaction_no", "account_no", "booked_date", "amount", *columns)
    table = frames.collect_of(transactions, TRANSACTIONS, names, days.versions)
    if categories is not None:
        known = frames.collect_of(categories, CATEGORIES, ("transaction_no", "category"), days.versions)
        if known.duplicated(list(KEY)).any():
            raise InputError("the frame of categories names a transaction twice; give the result of one call")
        table = table.merge(known, on=list(KEY), how="left")
    place = days.seen[[*_OWN, "company_id"]].assign(rank=np.arange(len(days.seen)))
    table = table.merge(place, on=_OWN)
    table = table.assign(day=day_numbers(table["booked_date"]))
    known = table[table["day"].notna() & table["amount"].notna()]
    known = known.assign(company=days.companies.get_indexer(pd.Index(known["company_id"])), unit=days.units(known))
    owner = days.owner(*(known[name].to_numpy("int64") for name in ("company", "unit", "day")))
    mine = owner == known["rank"].to_numpy("int64")
    counts = {
        OUTSIDE: int((owner < 0).sum()), IN_OTHER: int((~mine & (owner >= 0)).sum()), POOR: len(table) - len(known),
    }  # fmt: skip
    order = ["company_id", "day", "rank", "transaction_no"]
    return known[mine].sort_values(order, ignore_index=True), counts


def settled_entries(
    transactions: Frame, reports: Frame, columns: tuple[str, ...], *, as_of: AsOf | None = None, **computed: nw.Expr
) -> tuple[nw.LazyFrame[Any], pd.DataFrame]:
    """The entries of companies, lazily, each with its `state`: what `company_entries` keeps is ``mine``.

    Days are those of the periods of the reports, all accounts together. `amount` and `company_id` are there, and what
    is `computed` from `amount` and `columns`. Second, the bank reports in pandas. Where each company has one there is
    nothing to settle, and nobody is asked.
    """
    every = frames.newest_versions(reports, (*_PERIOD, *_READ), product="bank", as_of=as_of)
    versions = frames.of_companies(every)
    poor = versions.seen["report_id"][~has_basis(versions.seen)].tolist()
    names, carried = ("booked_date", "amount", *columns), ("company_id", "created_at")
    rows = frames.of_reports(transactions, TRANSACTIONS, names, versions, carried, **_span())
    day, amount = nw.col("booked_date"), nw.col("amount")
    is_inside = ((day >= nw.col("first")) & (day < nw.col("after"))).fill_null(False)
    state: nw.Expr = nw.when(is_inside).then(nw.lit(MINE)).otherwise(nw.lit(OUTSIDE))
    if not versions.seen["company_id"].is_unique:
        elsewhere = _told_elsewhere(rows.with_columns(is_inside=is_inside), versions.rows.with_columns(**_span()), poor)
        rows = rows.join(elsewhere, on=["report_id", "booked_date"], how="left")
        state = nw.when(~nw.col("is_other").is_null()).then(nw.lit(IN_OTHER)).otherwise(state)
    state = nw.when(day.is_null() | amount.is_null()).then(nw.lit(POOR)).otherwise(state)
    return rows.select("company_id", "amount", state=state, **computed), every.seen


def left_out(counts: pd.Series[Any]) -> dict[str, int]:
    """How many entries each reason left out, from the counts of `settled_entries` by state."""
    return {reason: int(counts.get(reason, 0)) for reason in (OUTSIDE, IN_OTHER, POOR)}


def _span() -> dict[str, nw.Expr]:
    """The first day that a report speaks for, and the first day after: from the day after its start up to its end."""
    start, end = (nw.col(name) for name in _PERIOD)
    is_span = (end > start) & (end <= start.dt.offset_by(f"{_LONGEST}d"))
    days = {"first": start.dt.offset_by("1d"), "after": end.dt.offset_by("1d")}
    return {name: nw.when(is_span).then(day) for name, day in days.items()}


def _told_elsewhere(rows: nw.LazyFrame[Any], versions: nw.LazyFrame[Any], poor: list[str]) -> nw.LazyFrame[Any]:
    """Reports and days of entries of which another report of the company speaks: a newer one, or any for a day outside.

    Reports without a basis (`poor`) stand behind all others. Only companies with several reports get into the join.
    """
    several = versions.group_by("company_id").agg(nw.len().alias("n_reports")).filter(nw.col("n_reports") > 1)
    others = versions.join(several.select("company_id"), on="company_id", how="inner").select(
        "company_id", other_id="report_id", other_at="created_at", other_first="first", other_after="after"
    )
    days = rows.filter(~nw.col("booked_date").is_null()).join(others, on="company_id", how="inner")
    day, at, other_at = nw.col("booked_date"), nw.col("created_at"), nw.col("other_at")
    is_newer = (other_at > at) | ((other_at == at) & (nw.col("other_id") > nw.col("report_id")))
    if poor:
        is_poor, is_other_poor = nw.col("report_id").is_in(poor), nw.col("other_id").is_in(poor)
        is_newer = (is_poor & ~is_other_poor) | (is_newer & ~(is_other_poor & ~is_poor))
    covers = (day >= nw.col("other_first")) & (day < nw.col("other_after"))
    told = days.filter(nw.col("other_id") != nw.col("report_id"), covers, is_newer | ~nw.col("is_inside"))
    return told.select("report_id", "booked_date").unique().with_columns(is_other=nw.lit(True))


def _keys(company: np.ndarray, unit: np.ndarray, day: np.ndarray) -> np.ndarray:
    keys: np.ndarray = (company * _COMPANY_SPAN + unit) * _UNIT_SPAN + day
    return keys


def _versions(reports: Frame, as_of: AsOf | None) -> frames.Versions:
    """The bank reports of companies, newest versions."""
    every = frames.newest_versions(reports, (*_PERIOD, *_READ), product="bank", as_of=as_of)
    return frames.of_companies(every)


def has_basis(reports: pd.DataFrame) -> pd.Series[bool]:
    """Whether the entries of each report can all be read, and are there where its totals say that something moved.

    True where a frame does not say it.
    """
    n, unread = reports["n_transactions"], reports["n_unread_transactions"]
    none_moved = (reports["total_credit"] == 0) & (reports["total_debit"] == 0)
    if unread.isna().all():
        return pd.Series(True, reports.index)
    return ((unread == 0) & ((n > 0) | none_moved)).astype("boolean").fillna(False).astype(bool)


def _statement_spans(statements: Frame, versions: frames.Versions, known: pd.DataFrame) -> pd.DataFrame:
    columns = ("account_no", "iban", "start_date", "end_date", "has_basis")
    rows = frames.collect_of(statements, STATEMENT_SUMMARIES, columns, versions)
    rows["has_basis"] = rows["has_basis"].fillna(True).astype(bool)
    rows = rows.rename(columns={"start_date": "start", "end_date": "end"})
    return rows.merge(known[[*_OWN, "company_id", "company", "rank"]], on=_OWN)


def _units(spans: pd.DataFrame) -> pd.DataFrame:
    """Of each report and account the unit: the number of its IBAN, or 0 where the company's are not all named."""
    accounts = spans.groupby(["rank", "account_no"], dropna=False).agg(
        company=("company", "first"), iban=("iban", "first")
    )
    accounts = accounts.reset_index()
    unnamed = accounts["iban"].isna() | accounts["account_no"].isna()
    told = ~unnamed.groupby(accounts["company"]).transform("any")
    number = accounts.groupby("company")["iban"].rank(method="dense").fillna(0)
    accounts["unit"] = np.where(told, number, 0).astype("int64")
    return accounts.dropna(subset=["account_no"])[["rank", "account_no", "unit"]]


def _owned(spans: pd.DataFrame) -> pd.DataFrame:
    """One row per company, unit and day: the report in which all accounts of the unit are covered.

    The newest with a basis for the day, else the newest.
    """
    spans = spans.dropna(subset=["start", "end"])
    spans = spans[(spans["end"] > spans["start"]) & (spans["end"] - spans["start"] <= _LONGEST)]
    spans = spans.assign(unit=spans["unit"].fillna(0).astype("int64"))
    length = (spans["end"] - spans["start"]).to_numpy("int64")
    at = np.repeat(np.arange(len(spans)), length)
    first = np.repeat(np.cumsum(length) - length, length)
    names = ["company", "unit", "rank", "account_no"]
    days = spans[[*names, "has_basis"]].iloc[at]
    days = days.assign(day=spans["start"].to_numpy("int64")[at] + 1 + np.arange(len(at)) - first)
    days = days.sort_values("has_basis", kind="stable").drop_duplicates([*names, "day"])  # the weakest of a day
    n_accounts = spans.groupby(["rank", "unit"])["account_no"].nunique().clip(lower=1).rename("n").reset_index()
    keys = ["company", "unit", "day", "rank"]
    whole = days.groupby(keys).agg(found=("has_basis", "size"), has_basis=("has_basis", "all")).reset_index()
    whole = whole.merge(n_accounts, on=["rank", "unit"])
    whole = whole[whole["found"] >= whole["n"]].sort_values(["company", "unit", "day", "has_basis", "rank"])
    owned = whole.drop_duplicates(["company", "unit", "day"], keep="last")
    owned = owned.astype(dict.fromkeys(keys, "int64") | {"has_basis": "bool"})
    return owned[[*keys, "has_basis"]].reset_index(drop=True)
