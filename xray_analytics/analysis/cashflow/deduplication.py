"""Which report speaks for a day? Entries and days of companies, each from the newest report that has a basis for it.

Reports on a company overlap, so the same payment is in several of them; one whose entries cannot be read does not
silence an older one. An account is known by its IBAN; where a company's statements do not all name one, its accounts
are taken together, a day counting where every account of the report is covered. A statement, and without statements
the period of a report, covers the days after its start up to its end.

`entries` gives the result. `covered_days` and `company_entries` settle it in pandas, account by account;
`settled_entries` lets the engine do it where reports alone are given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables import BLANKS, ENTRIES, STATEMENT_SUMMARIES, TRANSACTIONS
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
_ORDER = ["company_id", "day", "rank", "transaction_no"]
MINE, IN_OTHER, OUTSIDE, POOR = "mine", "in_other_report", "outside_coverage", "without_day_or_amount"


@dataclass(frozen=True)
class CoveredDays:
    """Covered days of companies: one row per company, unit and day, with the report that speaks for it.

    `versions` are the bank reports of companies; `seen` is them in pandas, oldest first, and `rank` a position in it.
    Coverage is kept as intervals: `covered` has `company` (code of `companies`), `unit` (an account, or 0 for all
    accounts together), `start` and `end` (days since 1970; the days after the start up to the end), `rank`,
    `has_basis`, and `speaks`: of the reports that cover an interval one does. `table` are the intervals of these day by
    day. `unit_of` maps (rank, account_no) to a unit.
    """

    versions: frames.Versions
    seen: pd.DataFrame
    companies: pd.Index[str]
    covered: pd.DataFrame
    unit_of: pd.DataFrame

    @cached_property
    def spoken(self) -> pd.DataFrame:
        """The intervals with the report that speaks for each, sorted by company, unit and start."""
        return self.covered[self.covered["speaks"]].reset_index(drop=True)

    @cached_property
    def table(self) -> pd.DataFrame:
        """`company`, `unit`, `day`, `rank` and `has_basis`, sorted."""
        length = (self.spoken["end"] - self.spoken["start"]).to_numpy("int64")
        at = np.repeat(np.arange(len(length)), length)
        within = np.arange(len(at)) - np.repeat(np.cumsum(length) - length, length)
        rows = self.spoken.iloc[at].assign(day=self.spoken["start"].to_numpy("int64")[at] + 1 + within)
        return rows[["company", "unit", "day", "rank", "has_basis"]].reset_index(drop=True)

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
        place = _place(self.spoken, "company", company, unit, day)
        return np.where(place < 0, -1, np.append(self.spoken["rank"].to_numpy("int64"), -1)[place])

    def covers(self, rank: np.ndarray, unit: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Whether the report of each row covers the day, whoever speaks for it."""
        by_report = self.covered.sort_values(["rank", "unit", "start"], ignore_index=True)
        return _place(by_report, "rank", rank, unit, day) >= 0


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
    covered = _covered(spans.merge(unit_of, on=["rank", "account_no"], how="left"))
    return CoveredDays(versions, known.drop(columns=["rank", "company"]), pd.Index(companies), covered, unit_of)


def entries(
    transactions: Frame, reports: Frame, statements: Frame | None = None, *, as_of: AsOf | None = None
) -> pd.DataFrame:
    """Every entry of every company once, each day of an account from the report that speaks for it.

    Reports on a company overlap and repeat days: a sum over the table `transactions` counts those twice or more, a sum
    over this counts none twice. The newest report with a basis for a day speaks for it, else the newest. Accounts are
    known by their IBAN; where a company's statements do not all name one, they are taken together, a day counting where
    every account of the report is covered.

    Parameters
    ----------
    transactions, reports, statements
        The tables of that name (`statements`: `statement_summaries`); frames of any kind. Without `statements` the
        periods of the reports say what is covered, all accounts together.
    as_of
        Only reports available by then; default all.

    Returns
    -------
    DataFrame
        The columns of `tables.ENTRIES`: `company_id`, those of the table `transactions`, and `n_reports_seen`, in how
        many reports that cover the day of the account this entry stands: of equal day, amount and label (white space
        folded) the k-th is the same as the k-th of another report. Sorted by company, day, report and position.
        Columns that the frame of transactions lacks are null. ``attrs["base"]``: entries used; those
        `in_other_report`, `outside_coverage`, `without_day_or_amount`, and of reports with `no_company` are excluded
        and counted. ``filters["not_joint"]`` counts entries on days that not every account of the company covers:
        `monthly_flows` leaves these days out, and its sums may be lower by them.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or the frames are of different kinds.

    Examples
    --------
    Two reports of one company, both with the payment of 20 June:

    >>> from xray_analytics import tables
    >>> reports = tables.REPORTS.example(
    ...     report_id=["r1", "r2"], company_id="732829320", product="bank", created_at=["2025-07-01", "2025-08-01"],
    ...     period_start_date=["2025-05-31", "2025-06-15"], period_end_date=["2025-06-30", "2025-07-31"],
    ... )
    >>> transactions = tables.TRANSACTIONS.example(
    ...     report_id=["r1", "r1", "r2"], transaction_no=[0, 1, 0], account_no=0, amount=[5.0, -3.0, -3.0],
    ...     booked_date=["2025-06-02", "2025-06-20", "2025-06-20"], label=["IN", "OUT", "OUT "],
    ... )
    >>> found = entries(transactions, reports)
    >>> found[["report_id", "amount", "n_reports_seen"]].values.tolist()
    [['r1', 5.0, 1], ['r2', -3.0, 2]]
    """
    days = covered_days(reports, statements, as_of=as_of)
    needed = ("transaction_no", "account_no", "booked_date", "amount", *_OWN)
    rest = [name for name in TRANSACTIONS.names if name not in needed]
    absent = frames.lacking(transactions, TRANSACTIONS, rest)
    known, n_poor = _placed(transactions, days, tuple(name for name in rest if name not in absent))
    kept, counts = _mine(_seen(known, days), n_poor)
    counts["no_company"] = _of_nobody(transactions, reports, as_of)
    result = frames.typed(kept.sort_values(_ORDER, ignore_index=True), ENTRIES)
    filters = {"not_joint": len(kept) - _n_joint(kept, days)}
    result.attrs["base"] = frames.base(len(result), days.seen, excluded=counts, as_of=as_of, filters=filters)
    return result


def _seen(known: pd.DataFrame, days: CoveredDays) -> pd.DataFrame:
    """Entries on days that their report covers, with the number of reports that hold each."""
    rank, unit, day = (known[name].to_numpy("int64") for name in ("rank", "unit", "day"))
    is_held = days.covers(rank, unit, day)
    held = known[is_held].sort_values("transaction_no")
    label = held["label"] if "label" in held else pd.Series(pd.NA, held.index, dtype="string")
    held = held.assign(folded=label.astype("string").str.replace(BLANKS, " ", regex=True).str.strip(" "))
    same = ["company", "unit", "day", "amount", "folded"]
    held["k"] = held.groupby([*same, "rank"], dropna=False).cumcount()
    n_reports = held.groupby([*same, "k"], dropna=False)["rank"].transform("size")
    return pd.concat([held.assign(n_reports_seen=n_reports), known[~is_held]])


def _of_nobody(transactions: Frame, reports: Frame, as_of: AsOf | None) -> int:
    """How many entries are of reports without a company."""
    every = frames.newest_versions(reports, product="bank", as_of=as_of)
    nobody = every.seen["company_id"].isna()
    if not nobody.any():
        return 0
    versions = frames.Versions(every.rows.filter(nw.col("company_id").is_null()), every.seen[nobody])
    return len(frames.collect_of(transactions, TRANSACTIONS, ("transaction_no",), versions))


def _n_joint(kept: pd.DataFrame, days: CoveredDays) -> int:
    """How many entries are on days that every account of their company covers."""
    units = days.spoken.groupby("company")["unit"].nunique()
    several = days.covered["company"].isin(units.index[units > 1])
    of_several = kept["company"].isin(units.index[units > 1])
    joint = replace(days, covered=days.covered[several]).joint()[["company", "day"]]
    return int((~of_several).sum()) + len(kept.loc[of_several, ["company", "day"]].merge(joint, on=["company", "day"]))


def company_entries(
    transactions: Frame,
    days: CoveredDays,
    columns: tuple[str, ...],
    *,
    categories: Frame | None = None,
    whole: Frame | None = None,
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
    whole
        Where `transactions` are some of a table: that table, whose other entries say which currency is meant.

    Returns
    -------
    tuple
        The entries with `company_id`, `company`, `rank`, `unit`, `day` and the settled `currency`, sorted by company,
        day, report and position;
        and ``{"outside_coverage": …, "in_other_report": …, "without_day_or_amount": …}``.
    """
    known, n_poor = _placed(transactions, days, (*columns, "currency"), categories)
    known["currency"] = settled_currency(known, transactions if whole is None else whole, days.versions)
    kept, counts = _mine(known, n_poor)
    return kept.sort_values(_ORDER, ignore_index=True), counts


def _mine(known: pd.DataFrame, n_poor: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """The entries of reports that speak for their day, and how many the others are."""
    owner, mine = known["owner"], known["owner"] == known["rank"]
    counts = {OUTSIDE: int((owner < 0).sum()), IN_OTHER: int((~mine & (owner >= 0)).sum()), POOR: n_poor}
    return known[mine].drop(columns="owner"), counts


def _placed(
    transactions: Frame, days: CoveredDays, columns: tuple[str, ...], categories: Frame | None = None
) -> tuple[pd.DataFrame, int]:
    """Entries with company, rank, unit, day, and the `owner` of that; and how many have no day or amount."""
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
    return known.assign(owner=owner), len(table) - len(known)


def settled_entries(
    transactions: Frame, reports: Frame, columns: tuple[str, ...], *, as_of: AsOf | None = None, **computed: nw.Expr
) -> tuple[nw.LazyFrame[Any], frames.Versions]:
    """The entries of companies, lazily, each with its `state`: what `company_entries` keeps is ``mine``.

    Days are those of the periods of the reports, all accounts together. `amount`, `company_id` and the `currency` as
    sent are there, and what is `computed` from `amount` and `columns`. Second, the bank reports. Where each company has
    one there is nothing to settle, and nobody is asked.
    """
    every = frames.newest_versions(reports, (*_PERIOD, *_READ), product="bank", as_of=as_of)
    versions = frames.of_companies(every)
    poor = versions.seen["report_id"][~has_basis(versions.seen)].tolist()
    names, carried = ("booked_date", "amount", "currency", *columns), ("company_id", "created_at")
    rows = frames.of_reports(transactions, TRANSACTIONS, names, versions, carried, **_span())
    day, amount = nw.col("booked_date"), nw.col("amount")
    is_inside = ((day >= nw.col("first")) & (day < nw.col("after"))).fill_null(False)
    state: nw.Expr = nw.when(is_inside).then(nw.lit(MINE)).otherwise(nw.lit(OUTSIDE))
    if not versions.seen["company_id"].is_unique:
        elsewhere = _told_elsewhere(rows.with_columns(is_inside=is_inside), versions.rows.with_columns(**_span()), poor)
        rows = rows.join(elsewhere, on=["report_id", "booked_date"], how="left")
        state = nw.when(~nw.col("is_other").is_null()).then(nw.lit(IN_OTHER)).otherwise(state)
    state = nw.when(day.is_null() | amount.is_null()).then(nw.lit(POOR)).otherwise(state)
    return rows.select("company_id", "amount", "currency", state=state, **computed), every


def settled_currency(rows: pd.DataFrame, transactions: Frame, versions: frames.Versions) -> pd.Series[str]:
    """The currency of each entry, "" for none.

    One that names none is in the only one that its account names in the report, else in the only one of its company.
    """
    currency = rows["currency"]
    if currency.notna().all():
        return currency
    named = _named_currencies(transactions, versions)
    for by in (["report_id", "account_no"], ["company_id"]):
        told = rows[by].merge(only_named(named, by), on=by, how="left")["currency"]
        currency = currency.fillna(told.set_axis(rows.index).astype(currency.dtype))
    return currency.fillna("")


def currency_by_company(rows: pd.DataFrame, transactions: Frame, versions: frames.Versions) -> pd.Series[str] | None:
    """`settled_currency` of rows that do not tell their account; None where that would have to be asked."""
    currency = rows["currency"]
    if currency.notna().all():
        return currency
    named = _named_currencies(transactions, versions)
    only, nameless = only_named(named, ["company_id"]), named.loc[named["currency"].isna(), "company_id"]
    if (nameless.isin(named["company_id"][named["currency"].notna()]) & ~nameless.isin(only["company_id"])).any():
        return None
    told = rows["company_id"].map(only.set_index("company_id")["currency"])
    return currency.fillna(told.astype(currency.dtype)).fillna("")


def only_named(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The currency of those, alike in `by`, that name one and no other: `by` and `currency`."""
    named = rows[[*by, "currency"]].dropna(subset=["currency"]).drop_duplicates()
    return named.drop_duplicates(by, keep=False)


def _named_currencies(transactions: Frame, versions: frames.Versions) -> pd.DataFrame:
    """What the entries of each account of these reports name, with `company_id`; each combination once."""
    names = [*_OWN, "account_no", "currency"]
    distinct = frames.scan(transactions, TRANSACTIONS, names).unique(subset=names)
    return frames.collect(distinct, TRANSACTIONS).merge(versions.seen[[*_OWN, "company_id"]], on=_OWN)


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


def _covered(spans: pd.DataFrame) -> pd.DataFrame:
    """Of each company, unit and report the intervals that it covers in all accounts of the unit; one of them `speaks`.

    Intervals lie between all starts and ends of the unit, so that two are the same or have no day in common. The newest
    report with a basis for it speaks, else the newest.
    """
    spans = spans.dropna(subset=["start", "end"])
    spans = spans[(spans["end"] > spans["start"]) & (spans["end"] - spans["start"] <= _LONGEST)]
    spans = spans.assign(unit=spans["unit"].fillna(0).astype("int64"))
    spans = spans.astype({"start": "int64", "end": "int64", "has_basis": "bool"})
    n_accounts = spans.groupby(["rank", "unit"])["account_no"].nunique().clip(lower=1).rename("n").reset_index()
    each = (
        _cut(spans).groupby(["company", "unit", "start", "end", "rank", "account_no"], dropna=False)["has_basis"].all()
    )
    keys = ["company", "unit", "start", "end", "rank"]
    whole = each.reset_index().groupby(keys).agg(found=("has_basis", "size"), has_basis=("has_basis", "all"))
    whole = whole.reset_index().merge(n_accounts, on=["rank", "unit"])
    whole = whole[whole["found"] >= whole["n"]].sort_values(["company", "unit", "start", "has_basis", "rank"])
    speaks = ~whole.duplicated(["company", "unit", "start"], keep="last")
    whole = whole.assign(speaks=speaks.astype(bool)).astype(dict.fromkeys(keys, "int64") | {"has_basis": "bool"})
    return whole[[*keys, "has_basis", "speaks"]].reset_index(drop=True)


def _cut(spans: pd.DataFrame) -> pd.DataFrame:
    """Each span in pieces between all starts and ends of its company and unit."""
    ends = [spans[["company", "unit", name]].rename(columns={name: "at"}) for name in ("start", "end")]
    bounds = pd.concat(ends).drop_duplicates().sort_values(["company", "unit", "at"])
    at = bounds["at"].to_numpy("int64")
    known = _keys(*(bounds[name].to_numpy("int64") for name in ("company", "unit", "at")))
    company, unit = (spans[name].to_numpy("int64") for name in ("company", "unit"))
    first, after = (
        np.searchsorted(known, _keys(company, unit, spans[name].to_numpy("int64"))) for name in ("start", "end")
    )
    n = after - first
    of = np.repeat(np.arange(len(spans)), n)
    place = np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n) + first[of]
    return spans.iloc[of].assign(start=at[place], end=at[place + 1])


def _place(covered: pd.DataFrame, by: str, owner: np.ndarray, unit: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Where in intervals sorted by this column, unit and start each day stands; -1 where none holds it."""
    if not len(covered):
        return np.full(len(day), -1)
    owners, units, starts, ends = (covered[name].to_numpy("int64") for name in (by, "unit", "start", "end"))
    place = np.searchsorted(_keys(owners, units, starts), _keys(owner, unit, day)) - 1
    found = np.maximum(place, 0)
    holds = (place >= 0) & (owners[found] == owner) & (units[found] == unit) & (day <= ends[found])
    return np.where(holds, found, -1)
