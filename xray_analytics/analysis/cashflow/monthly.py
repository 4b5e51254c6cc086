"""Months of companies, and months of the portfolio.

A month is one row per company and currency, all its accounts together, on the days that every account covers. What
nothing supports is null, never zero. Only complete months are compared. Credits are what the statements say: internal
transfers, loans received and owners' injections are still inside, unless `operating` tells them apart. Amounts are in
the `currency` of the row, null where none is named; different currencies are never added.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY, MONTHLY_SUMMARIES, REPORT_ID, REPORTS, STATEMENT_SUMMARIES, TRANSACTIONS
from .. import frames
from ..days import days as day_numbers
from ..days import month_numbers, months_later
from ..frames import Frame
from .balances import daily_balances
from .deduplication import CoveredDays, company_entries, covered_days, only_named

_FIGURES = (
    "total_credit", "total_debit", "net_flow", "closing_balance", "minimum_balance", "average_daily_balance",
    "n_negative_days", "n_alerts",
)  # fmt: skip
_MONTHLY = ("month", *_FIGURES[:-1], "n_days_covered", "n_alerts", "is_complete")
_BASIS = ("currency", "flow_basis", "unreconciled_amount")  # absent from frames made by hand
_CURRENCY = "currency, major units"
MAX_UNRECONCILED_RATIO = 0.02
FLOWS = Table(
    "flows",
    "One row per company, month and currency, the result of monthly_flows.",
    (
        COMPANY_KEY,
        *(MONTHLY_SUMMARIES[name] for name in ("month", *_BASIS, *_MONTHLY[1:])),
        REPORT_ID,
        Column("operating_credit", "money", "Operating credits; null where not asked for.", unit=_CURRENCY),
        Column("operating_debit", "money", "Operating debits, positive.", unit=_CURRENCY),
    ),
    ("company_id", "month", "currency"),
)
_MONEY = ("total_credit", "total_debit", "net_flow", "closing_balance", "minimum_balance", "average_daily_balance")
_KEY = ["company_id", "month", "currency"]


def monthly_flows(
    monthly: Frame,
    reports: Frame,
    *,
    transactions: Frame | None = None,
    statements: Frame | None = None,
    operating: Frame | None = None,
) -> pd.DataFrame:
    """One row per company, month and currency, from the report that covers the month best.

    Where reports overlap, a month is taken whole from one of them: a complete month before an incomplete one,
    then one that rests on entries before one that rests on statement totals before one that rests on nothing, then the
    most days covered, then the newest report, ties by report id. With `transactions` and `statements` a month that
    changes hands is put together instead: every day of an account from the newest report that has a basis for it
    (`covered_days`), balances as in `daily_balances`; where some day has none, the whole month stays.

    A month counts days that every account of the company covers: months of a report with fewer accounts than another
    one of the company are left out, and with `statements` those on whose days not every IBAN is covered. A report
    whose entries name no currency is in the company's only named one; else its currency stays null.

    Parameters
    ----------
    monthly
        The table `monthly_summaries`; its consolidated rows are read (`account_no` null). Without `flow_basis` in it a
        month that has credits rests on entries.
    reports
        The table `reports`; of each report the newest version counts. All frames of the same kind, and of one
        snapshot.
    transactions, statements
        The tables `transactions` and `statement_summaries`; both or neither.
    operating
        The result of `operating`: the columns of that name are filled. Its days are resolved like those of the
        transactions, by the periods of the reports where there are no statements.

    Returns
    -------
    DataFrame
        The columns of `FLOWS`: `company_id`, `month` (first day), `currency`, `flow_basis`, `unreconciled_amount`,
        `total_credit`, `total_debit` (both positive), `net_flow`, `closing_balance`, `minimum_balance`,
        `average_daily_balance` [currency, major units; float64], `n_negative_days`, `n_days_covered`, `n_alerts`
        (Int64; null where a month was put together, as is `unreconciled_amount`), `is_complete`, `report_id` (of a
        month put together the newest), `operating_credit`, `operating_debit` (null where the flows are, and where a
        company has months in several currencies).
        Sorted by company, month and currency; no row for empty tables. ``attrs["base"]``: company-months used; months
        of reports without a company, of `not_every_account`, and months that a better report covers too, are excluded
        and counted; ``filters["put_together"]`` counts the months that were, ``filters["unknown"]`` those that rest on
        nothing.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, the frames are of different kinds, or only one of `transactions`
        and `statements` is given.

    Examples
    --------
    >>> from xray_analytics import tables
    >>> flows = monthly_flows(tables.MONTHLY_SUMMARIES.empty(), tables.REPORTS.empty())
    >>> flows.shape, flows.attrs["base"]["used"]
    ((0, 18), 0)
    """
    if (transactions is None) != (statements is None):
        raise InputError("monthly_flows needs transactions and statements, or neither of them")
    flows, names, seen, excluded = _whole_months(monthly, reports)
    filters: dict[str, int] = {}
    days = None if statements is None and operating is None else covered_days(reports, statements)
    if transactions is not None and statements is not None and days is not None:
        together = _put_together(days, transactions, statements)
        filters = {"put_together": len(together)}
        flows, excluded["not_every_account"] = _with(flows, together, days, excluded["not_every_account"])
        flows = _in_one_currency(flows, names)
    if operating is not None and days is not None:
        flows = _with_operating(flows, _operating_months(days, operating))
    flows = frames.typed(flows.sort_values(_KEY, ignore_index=True), FLOWS)
    filters["unknown"] = int(flows["total_credit"].isna().sum())
    flows.attrs["base"] = frames.base(len(flows), seen, excluded=excluded, filters=filters)
    return flows


def in_main_currency(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Of rows with `company_id` and `currency` those in the currency of most companies, and how many others there are.

    Ties go to the most rows, then to a named currency, then by name; ``attrs`` stay, but for what the base uses.

    Examples
    --------
    >>> rows = pd.DataFrame({"company_id": ["a", "b", "c", "c"], "currency": ["EUR", "EUR", "JPY", "EUR"]})
    >>> shown, n_others = in_main_currency(rows)
    >>> shown["company_id"].tolist(), n_others
    (['a', 'b', 'c'], 1)
    """
    currency = rows["currency"].fillna("")
    sizes = rows.groupby(currency)["company_id"].agg(["nunique", "size"]).rename_axis("name").reset_index()
    sizes["is_unnamed"] = sizes["name"] == ""
    order, rising = ["nunique", "size", "is_unnamed", "name"], [False, False, True, True]
    ranked = sizes.sort_values(order, ascending=rising)["name"].tolist()
    is_main = currency == ranked[0] if ranked else currency.notna()
    shown = rows[is_main].reset_index(drop=True)
    shown.attrs = dict(rows.attrs)
    if "base" in rows.attrs:
        is_of_rows = rows.attrs["base"]["used"] == len(rows)
        used = len(shown) if is_of_rows else shown["company_id"].nunique()
        shown.attrs["base"] = rows.attrs["base"] | {"used": int(used)}
    return shown, int(rows.loc[~is_main, "company_id"].nunique())


def _whole_months(monthly: Frame, reports: Frame) -> tuple[pd.DataFrame, pd.Series[str], pd.DataFrame, dict[str, int]]:
    """Of each company and month the row of the report that covers it best, currencies settled.

    Second the only named currency by company, then the reports, and how many months were left out.
    """
    versions = frames.newest_versions(reports, ("n_accounts",))
    seen = versions.seen
    bank = frames.Versions(versions.rows.filter(nw.col("product") == "bank"), seen[seen["product"] == "bank"])
    months = _months_of(monthly, bank)
    companies = bank.seen["company_id"]
    if companies.is_unique and companies.notna().all():  # each company has one report: nothing to choose
        flows = _collected(months)
        names = _only_names(flows)
        none_left = dict.fromkeys(("no_company", "not_every_account", "covered_better"), 0)
        return _in_one_currency(flows, names), names, seen, none_left
    grouped = months.group_by("company_id", "report_id", "currency").agg(nw.len().alias("n"))
    counts = frames.collect(grouped, MONTHLY_SUMMARIES, FLOWS)
    lacking, names = _lacking_accounts(bank.seen), _only_names(counts)
    rows = months.filter(~nw.col("company_id").is_null())
    rows = rows.filter(~nw.col("report_id").is_in(lacking)) if lacking else rows
    flows = _chosen(rows, counts, names)
    of_companies, of_lacking = counts["company_id"].notna(), counts["report_id"].isin(lacking)
    n_all, n_known, n_lacking = (
        int(counts.loc[of, "n"].sum()) for of in (slice(None), of_companies, of_companies & of_lacking)
    )
    n_better = n_known - n_lacking - len(flows)
    excluded = {"no_company": n_all - n_known, "not_every_account": n_lacking, "covered_better": n_better}
    return flows, names, seen, excluded


def _collected(rows: nw.LazyFrame[Any]) -> pd.DataFrame:
    return frames.typed(frames.collect(rows.select("company_id", *_ROW), FLOWS), FLOWS)


def _only_names(rows: pd.DataFrame) -> pd.Series[str]:
    """The currency of the companies that name one and no other, by company."""
    return only_named(rows.dropna(subset=["company_id"]), ["company_id"]).set_index("company_id")["currency"]


def _chosen(rows: nw.LazyFrame[Any], counts: pd.DataFrame, names: pd.Series[str]) -> pd.DataFrame:
    """The best months, in the engine; those of companies with reports in several currencies are added up first."""
    company = counts["company_id"]
    named = counts.loc[counts["currency"].notna(), "company_id"]
    mixed = sorted(set(named.dropna()) - set(names.index))
    doubled = company[counts.duplicated(["company_id", "report_id"], keep=False) & company.isin(names.index)]
    if doubled.empty:
        return _in_one_currency(_collected(_best(rows, mixed)), names)
    is_doubled = nw.col("company_id").is_in(doubled.unique().tolist())
    apart = frames.collect(rows.filter(is_doubled).select("company_id", "created_at", *_ROW), FLOWS, REPORTS)
    created = apart.drop_duplicates("report_id").set_index("report_id")["created_at"]
    added = _in_one_currency(frames.typed(apart, FLOWS), names)
    added["created_at"] = created.reindex(added["report_id"]).to_numpy()
    best = _collected(_best(nw.from_native(added).lazy(), []))
    return pd.concat([_in_one_currency(_collected(_best(rows.filter(~is_doubled), mixed)), names), best])


_ROW = (*_MONTHLY, *_BASIS, "report_id")


def _months_of(monthly: Frame, bank: frames.Versions) -> nw.LazyFrame[Any]:
    """The rows of all accounts together, of these reports."""
    carried = ("company_id", "created_at")
    rows = frames.of_reports(monthly, MONTHLY_SUMMARIES, ("account_no", *_MONTHLY, *_BASIS), bank, carried)
    if frames.lacking(monthly, MONTHLY_SUMMARIES, ("flow_basis",)):
        has_credit = ~nw.col("total_credit").is_null()
        rows = rows.with_columns(flow_basis=nw.when(has_credit).then(nw.lit("entries")))
    return rows.filter(nw.col("account_no").is_null())


def _lacking_accounts(bank: pd.DataFrame) -> list[str]:
    """Reports with fewer accounts than another one of their company: what the missing one did is unknown."""
    most = bank.groupby("company_id")["n_accounts"].transform("max")
    return bank["report_id"][(bank["n_accounts"] < most).fillna(False).astype(bool)].tolist()


def _best(rows: nw.LazyFrame[Any], mixed: list[str]) -> nw.LazyFrame[Any]:
    """Of each company and month the rows of the best report, for companies with several currencies by currency."""
    credit, basis = nw.col("total_credit"), nw.col("flow_basis")
    rank = nw.when(credit.is_null()).then(nw.lit(0)).otherwise(nw.when(basis == "statement").then(1).otherwise(2))
    rows = rows.with_columns(basis_rank=rank)
    key = ["company_id", "month"]
    if mixed:
        is_mixed = nw.col("company_id").is_in(mixed)
        rows = rows.with_columns(by_currency=nw.when(is_mixed).then(nw.col("currency")).otherwise(nw.lit(None)))
        key.append("by_currency")
    order = ["is_complete", "basis_rank", "n_days_covered", "created_at", "report_id"]
    return rows.unique(subset=key, keep="last", order_by=order)


def _in_one_currency(flows: pd.DataFrame, names: pd.Series[str]) -> pd.DataFrame:
    """Months whose entries name no currency in the company's only named one (`names`), each report's added up."""
    joined = flows.assign(currency=flows["currency"].fillna(flows["company_id"].map(names).astype("string")))
    key = [*_KEY, "report_id"]
    doubled = joined.duplicated(key, keep=False)
    if not doubled.any():
        return joined
    groups = joined[doubled].groupby(key, dropna=False, sort=False)
    first, added = groups.first(), ["unreconciled_amount", *_FIGURES]
    first[added] = groups[added].sum().where(groups[added].count().eq(groups.size(), axis=0))
    first[["minimum_balance", "n_negative_days"]] = None  # lows of two accounts need not fall on one day
    first["n_days_covered"], first["is_complete"] = groups["n_days_covered"].min(), groups["is_complete"].all()
    weakest = groups["flow_basis"].max().where(groups["flow_basis"].count() == groups.size())  # "entries" < "statement"
    return pd.concat([joined[~doubled], frames.typed(first.assign(flow_basis=weakest).reset_index(), FLOWS)])


def _with(flows: pd.DataFrame, together: pd.DataFrame, days: CoveredDays, n_lacking: int) -> tuple[pd.DataFrame, int]:
    """Months with those put together in their place, where these rest on entries or nothing else is there.

    Months on whose days not every account of the company is covered go; second, how many went in all.
    """
    month = ["company_id", "month"]
    joint = days.joint()[["company", "month"]].drop_duplicates()
    joint = joint.assign(
        company_id=days.companies[joint["company"]],
        month=joint["month"].to_numpy("int64").astype("datetime64[M]").astype("datetime64[us]"),
    )
    keys, jointly = (pd.MultiIndex.from_frame(t[month]) for t in (flows, joint))
    known = days.companies[days.table["company"].unique()]
    gone = flows["company_id"].isin(known) & (flows["n_days_covered"] > 0) & ~keys.isin(jointly)
    useful = together["flow_basis"].notna() | ~pd.MultiIndex.from_frame(together[month]).isin(keys[~gone])
    together = together[useful]
    replaced = keys.isin(pd.MultiIndex.from_frame(together[month]))
    parts = [part for part in (flows[~gone & ~replaced], together) if len(part)]
    n_gone = n_lacking + int((gone & ~replaced).sum())
    return (pd.concat(parts) if parts else flows[:0]), n_gone


def _put_together(days: CoveredDays, transactions: Frame, statements: Frame) -> pd.DataFrame:
    """The months that change hands, in the columns of `FLOWS`."""
    owned = days.table.assign(month=month_numbers(days.table["day"]))
    changes = owned.groupby(["company", "month"])["rank"].transform("nunique") > 1
    owned = owned[changes]
    if owned.empty:
        return frames.typed(pd.DataFrame(), FLOWS)
    wanted = days.seen["report_id"].iloc[np.unique(owned["rank"])].tolist()
    daily = daily_balances(*(_of_reports(frame, table, wanted) for frame, table in
                             ((transactions, TRANSACTIONS), (statements, STATEMENT_SUMMARIES))))  # fmt: skip
    place = days.seen[["report_id", "report_version"]].assign(rank=np.arange(len(days.seen)))
    daily = daily.merge(place, on=["report_id", "report_version"])
    daily["unit"], daily["day"] = days.units(daily), day_numbers(daily["day"]).astype("int64")
    mine = owned.merge(daily, on=["rank", "unit", "day"])
    mine["known"], mine["read"] = mine["balance"].notna(), mine["credit"].notna()
    mine["currency"] = _only_named(mine)
    joint = mine.merge(days.joint()[["company", "day", "month"]], on=["company", "day", "month"])
    sums = joint.groupby(["company", "currency", "month", "day"]).agg(
        credit=("credit", "sum"), debit=("debit", "sum"), balance=("balance", "sum"), known=("known", "all"),
        read=("read", "all"), rank=("rank", "max"),
    )  # fmt: skip
    return _months_of_days(sums.reset_index(), days)


def _only_named(daily: pd.DataFrame) -> pd.Series[str]:
    """The currency of each row, null being in the company's only named one, else ""."""
    names = only_named(daily, ["company"]).set_index("company")["currency"]
    return daily["currency"].fillna(daily["company"].map(names).astype("string")).fillna("")


def _of_reports(frame: Frame, table: Table, report_ids: list[str]) -> Frame:
    """The rows of these reports, of the columns that daily balances read."""
    own = ("report_id", "report_version", "account_no")
    more = ("booked_date", "amount", "currency") if table is TRANSACTIONS else (
        "statement_no", "start_date", "end_date", "start_balance", "end_balance", "has_basis"
    )  # fmt: skip
    lazy = frames.scan(frame, table, (*own, *more))
    return frames.collect(lazy.filter(nw.col("report_id").is_in(report_ids)), table)


def _months_of_days(joint: pd.DataFrame, days: CoveredDays) -> pd.DataFrame:
    """Months of days with `company`, `currency`, `month`, `credit`, `debit`, `balance`, `known`, `read` and `rank`."""
    joint["negative"] = (joint["balance"] < 0).astype("int64")
    months = joint.groupby(["company", "currency", "month"]).agg(
        total_credit=("credit", "sum"), total_debit=("debit", "sum"), closing_balance=("balance", "last"),
        minimum_balance=("balance", "min"), average_daily_balance=("balance", "mean"),
        n_negative_days=("negative", "sum"), n_days_covered=("day", "size"), known=("known", "all"),
        read=("read", "all"), rank=("rank", "max"),
    ).reset_index()  # fmt: skip
    months["net_flow"] = months["total_credit"] - months["total_debit"]
    balances = ["closing_balance", "minimum_balance", "average_daily_balance", "n_negative_days"]
    months[balances] = months[balances].where(months["known"])
    months[list(_MONEY)] = months[list(_MONEY)].round(4).where(months["read"])
    months["n_negative_days"] = months["n_negative_days"].where(months["read"])
    months["flow_basis"] = pd.Series("entries", months.index).where(months["read"])
    start = months["month"].to_numpy("int64").astype("datetime64[M]")
    length = ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype("int64")
    months["is_complete"] = (months["n_days_covered"] == length) & months["read"]
    months["month"] = start.astype("datetime64[us]")
    months["currency"] = months["currency"].mask(months["currency"] == "")
    months["company_id"] = days.companies[months["company"]].to_numpy()
    months["report_id"] = days.seen["report_id"].to_numpy()[months["rank"]]
    return frames.typed(months, FLOWS)


def _with_operating(flows: pd.DataFrame, sums: pd.DataFrame) -> pd.DataFrame:
    """Months with their operating sums: 0 where a company seen has none, null where the flows are or currencies mix."""
    names = ["operating_credit", "operating_debit"]
    flows = flows.drop(columns=names).merge(sums, on=["company_id", "month"], how="left")
    seen_at_all = flows["company_id"].isin(sums["company_id"])
    doubled = flows.duplicated(["company_id", "month"], keep=False)
    for name in names:
        filled = flows[name].mask(seen_at_all & flows[name].isna(), 0.0)
        flows[name] = filled.where(flows["total_credit"].notna() & (flows["flow_basis"] == "entries") & ~doubled)
    return flows


def _operating_months(days: CoveredDays, operating: Frame) -> pd.DataFrame:
    """By company and month the sums of operating credits and debits, on the days that every account covers."""
    entries, _ = company_entries(operating, days, ())
    entries = entries.merge(days.joint(), on=["company", "day"])
    amounts = entries.assign(
        month=entries["month"].to_numpy("int64").astype("datetime64[M]").astype("datetime64[us]"),
        operating_credit=entries["amount"].clip(lower=0), operating_debit=-entries["amount"].clip(upper=0),
    )  # fmt: skip
    sums = amounts.groupby(["company_id", "month"])[["operating_credit", "operating_debit"]].sum().round(4)
    return sums.reset_index()


def counted(
    flows: pd.DataFrame, max_unreconciled_ratio: float = MAX_UNRECONCILED_RATIO
) -> tuple[pd.Series[bool], dict[str, int]]:
    """Which months of `flows` a metric may count, and how many it leaves out by reason.

    Not complete, or without flows (*unknown*); or more of the turnover is *unreconciled* between entries and the totals
    of their statements than allowed. Where that is not known it is not held against a month.
    """
    known = flows["total_credit"].notna() & flows["total_debit"].notna()
    complete = flows["is_complete"].fillna(False).astype(bool)
    limit = max_unreconciled_ratio * (flows["total_credit"] + flows["total_debit"])
    agrees = ~(flows["unreconciled_amount"] > limit)
    reasons = {
        "unknown": int((~known).sum()), "incomplete": int((known & ~complete).sum()),
        "unreconciled": int((known & complete & ~agrees).sum()),
    }  # fmt: skip
    return known & complete & agrees, reasons


def portfolio_months(flows: Frame, *, max_unreconciled_ratio: float = MAX_UNRECONCILED_RATIO) -> pd.DataFrame:
    """One row per month and currency over the companies whose month is complete.

    The sums move with the number of companies. How credits developed is only told by
    `matched_credit_change_ratio`: the sum of the companies complete in this month and in the calendar month
    before it, against the sum of the same companies then.

    Parameters
    ----------
    flows
        The result of `monthly_flows`.
    max_unreconciled_ratio
        Months whose entries and statement totals differ by more than this share of the turnover are left out.

    Returns
    -------
    DataFrame
        `month`, `currency`, `n_companies`, `total_credit`, `total_debit` (both positive), `net_flow`, `median_net_flow`
        [currency, major units], `negative_day_share_ratio` (days that ended below zero / days covered, where
        both are known), `matched_credit_change_ratio` (0.1 is 10 % more), `n_matched`. Sorted by month and currency;
        those of `flows` without a complete company have `n_companies` 0 and nulls. ``attrs["base"]`` counts
        company-months: incomplete, unknown (no flows) and unreconciled ones are excluded. Companies weigh by their
        credits in the change: with few companies it is the largest one's.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    A company of 100 grows to 110 while one of 900 joins: the credits of the portfolio grew by 10 %.

    >>> flows = pd.DataFrame({
    ...     "company_id": ["732829320", "732829320", "356000000"],
    ...     "month": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-02-01"]),
    ...     "total_credit": [100.0, 110.0, 900.0], "total_debit": [90.0, 90.0, 90.0], "net_flow": [10.0, 20.0, 810.0],
    ...     "n_negative_days": [0, 7, 0], "n_days_covered": [31, 28, 28], "is_complete": True,
    ... })
    >>> portfolio_months(flows)[["n_companies", "total_credit", "matched_credit_change_ratio", "n_matched"]].round(6)
       n_companies  total_credit  matched_credit_change_ratio  n_matched
    0            1         100.0                          NaN          0
    1            2        1010.0                          0.1          1
    """
    figures = ("total_credit", "total_debit", "net_flow", "n_negative_days", "n_days_covered")
    columns = (*figures, "unreconciled_amount", "is_complete")
    table = frames.collect(frames.scan(flows, FLOWS, ("company_id", *_PERIOD, *columns)), FLOWS)
    table["currency"] = table["currency"].fillna("")
    chosen, reasons = counted(table, max_unreconciled_ratio)
    complete = table[chosen]
    ordered = complete.sort_values([*_PERIOD, "company_id"])  # floats add up alike whatever the order of the rows
    months = pd.MultiIndex.from_frame(table[_PERIOD].drop_duplicates().sort_values(_PERIOD))
    grouped = ordered.groupby(_PERIOD)
    result = grouped[["total_credit", "total_debit", "net_flow"]].sum().reindex(months)
    result.insert(0, "n_companies", grouped.size().reindex(months, fill_value=0).astype("int64"))
    result["median_net_flow"] = grouped["net_flow"].median().astype("float64")
    result["negative_day_share_ratio"] = _negative_day_share(ordered)
    result = result.join(_matched_change(ordered))
    result["n_matched"] = result["n_matched"].fillna(0).astype("int64")
    result = result.reset_index()
    result["currency"] = result["currency"].mask(result["currency"] == "")
    result.attrs["base"] = {
        "used": len(complete),
        "excluded": reasons,
        "backfilled": None,  # not known from the flows
        "as_of": None,
        "filters": {"is_complete": True, "max_unreconciled_ratio": max_unreconciled_ratio},
    }
    return result


_PERIOD = ["month", "currency"]


def _negative_day_share(months: pd.DataFrame) -> pd.Series[float]:
    known = months[months["n_negative_days"].notna()].groupby(_PERIOD)
    days = known["n_days_covered"].sum().astype("float64")
    return known["n_negative_days"].sum().astype("float64") / days.where(days > 0)


def _matched_change(months: pd.DataFrame) -> pd.DataFrame:
    """By month: the change of credits on the month before, over the companies present in both, and their number."""
    now = months[["company_id", *_PERIOD, "total_credit"]]
    before = now.assign(month=months_later(now["month"], 1))
    both = now.merge(before, on=["company_id", *_PERIOD], suffixes=("", "_before")).groupby(_PERIOD)
    sums = both[["total_credit", "total_credit_before"]].sum()
    change = sums["total_credit"] / sums["total_credit_before"].replace(0, np.nan) - 1
    return pd.DataFrame({"matched_credit_change_ratio": change, "n_matched": both.size()})
