"""Months of companies, and months of the portfolio.

A month is one row per company, all its accounts together, on the days that every account covers. Only complete
months are compared. Credits are what the statements say: internal transfers, loans received and owners'
injections are still inside, unless `operating` tells them apart. Amounts are in the currency of the accounts, which
the monthly table does not name: give companies of one currency.
"""

from __future__ import annotations

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY, MONTHLY_SUMMARIES, REPORT_ID, STATEMENT_SUMMARIES, TRANSACTIONS
from .. import frames
from ..days import days as day_numbers
from ..days import month_numbers, months_later
from ..frames import Frame
from .balances import daily_balances
from .deduplication import CoveredDays, company_entries, covered_days

_MONTHLY = (
    "month", "total_credit", "total_debit", "net_flow", "closing_balance", "minimum_balance", "average_daily_balance",
    "n_negative_days", "n_days_covered", "n_alerts", "is_complete",
)  # fmt: skip
_CURRENCY = "currency, major units"
FLOWS = Table(
    "flows",
    "One row per company and month, the result of monthly_flows.",
    (
        COMPANY_KEY,
        *(MONTHLY_SUMMARIES[name] for name in _MONTHLY),
        REPORT_ID,
        Column("operating_credit", "money", "Operating credits; null where not asked for.", unit=_CURRENCY),
        Column("operating_debit", "money", "Operating debits, positive.", unit=_CURRENCY),
    ),
    ("company_id", "month"),
)
_MONEY = ("total_credit", "total_debit", "net_flow", "closing_balance", "minimum_balance", "average_daily_balance")


def monthly_flows(
    monthly: Frame,
    reports: Frame,
    *,
    transactions: Frame | None = None,
    statements: Frame | None = None,
    operating: Frame | None = None,
) -> pd.DataFrame:
    """One row per company and month, from the report that covers the month best.

    Where reports overlap, a month is taken whole from one of them: a complete month before an incomplete one,
    then the most days covered, then the newest report, ties by report id. With `transactions` and `statements` a
    month that changes hands is put together instead: every day of an account from the newest report that covers it
    (`entries.covered_days`), balances as in `daily_balances`.

    Parameters
    ----------
    monthly
        The table `monthly_summaries`; its consolidated rows are read (`account_no` null).
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
        The columns of `FLOWS`: `company_id`, `month` (first day), `total_credit`, `total_debit` (both
        positive), `net_flow`, `closing_balance`, `minimum_balance`, `average_daily_balance` [currency, major
        units; float64], `n_negative_days`, `n_days_covered`, `n_alerts` (Int64; null where a month was put together),
        `is_complete`, `report_id` (of a month put together the newest), `operating_credit`, `operating_debit`.
        Sorted by company and month; no row for empty tables. ``attrs["base"]``: company-months used; months of
        reports without a company, and months that a better report covers too, are excluded and counted;
        ``filters["put_together"]`` counts the months that were.

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
    ((0, 15), 0)
    """
    if (transactions is None) != (statements is None):
        raise InputError("monthly_flows needs transactions and statements, or neither of them")
    flows, seen, excluded = _whole_months(monthly, reports)
    filters = {}
    days = None if statements is None and operating is None else covered_days(reports, statements)
    if transactions is not None and statements is not None and days is not None:
        together = _put_together(days, transactions, statements)
        filters = {"put_together": len(together)}
        keys = pd.MultiIndex.from_frame(flows[["company_id", "month"]])
        replaced = keys.isin(pd.MultiIndex.from_frame(together[["company_id", "month"]]))
        parts = [part for part in (flows[~replaced], together) if len(part)]
        flows = pd.concat(parts) if parts else flows
    if operating is not None and days is not None:
        flows = flows.drop(columns=["operating_credit", "operating_debit"])
        sums = _operating_months(days, operating)
        flows = flows.merge(sums, on=["company_id", "month"], how="left")
        seen_at_all = flows["company_id"].isin(sums["company_id"])
        for name in ("operating_credit", "operating_debit"):
            flows[name] = flows[name].mask(seen_at_all & flows[name].isna(), 0.0)
    flows = frames.typed(flows.sort_values(["company_id", "month"], ignore_index=True), FLOWS)
    flows.attrs["base"] = frames.base(len(flows), seen, excluded=excluded, filters=filters)
    return flows


def _whole_months(monthly: Frame, reports: Frame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Of each company and month the row of the report that covers it best, the reports, and how many were left out."""
    versions = frames.newest_versions(reports)
    seen = versions.seen
    is_bank = seen["product"] == "bank"
    bank = frames.Versions(versions.rows.filter(nw.col("product") == "bank"), seen[is_bank])
    columns, carried = ("account_no", *_MONTHLY), ("company_id", "created_at")
    rows = frames.of_reports(monthly, MONTHLY_SUMMARIES, columns, bank, carried)
    best = months = rows.filter(nw.col("account_no").is_null())
    companies = bank.seen["company_id"]
    is_clear = companies.is_unique and companies.notna().all()  # each company has one report: nothing to choose
    if not is_clear:
        order = ["is_complete", "n_days_covered", "created_at", "report_id"]
        known = months.filter(~nw.col("company_id").is_null())
        best = known.unique(subset=["company_id", "month"], keep="last", order_by=order)
    flows = frames.typed(frames.collect(best.select("company_id", *_MONTHLY, "report_id"), FLOWS), FLOWS)
    n_all = n_known = len(flows)
    if not is_clear:
        counts = frames.collect(months.select(nw.len().alias("n"), nw.col("company_id").count().alias("known")))
        n_all, n_known = (int(n) for n in counts.iloc[0])
    return flows, seen, {"no_company": n_all - n_known, "covered_better": n_known - len(flows)}


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
    mine["known"] = mine["balance"].notna()
    joint = mine.merge(days.joint(), on=["company", "day", "month"]).groupby(["company", "month", "day"])
    sums = joint.agg(
        credit=("credit", "sum"), debit=("debit", "sum"), balance=("balance", "sum"), known=("known", "all"),
        rank=("rank", "max"),
    )  # fmt: skip
    return _months_of(sums.reset_index(), days)


def _of_reports(frame: Frame, table: Table, report_ids: list[str]) -> Frame:
    """The rows of these reports, of the columns that daily balances read."""
    own = ("report_id", "report_version", "account_no")
    more = ("booked_date", "amount") if table is TRANSACTIONS else (
        "statement_no", "start_date", "end_date", "start_balance", "end_balance"
    )  # fmt: skip
    lazy = frames.scan(frame, table, (*own, *more))
    return frames.collect(lazy.filter(nw.col("report_id").is_in(report_ids)), table)


def _months_of(joint: pd.DataFrame, days: CoveredDays) -> pd.DataFrame:
    """Months of days with `company`, `month`, `credit`, `debit`, `balance`, `known` and `rank`, in day order."""
    joint["negative"] = (joint["balance"] < 0).astype("int64")
    months = joint.groupby(["company", "month"]).agg(
        total_credit=("credit", "sum"), total_debit=("debit", "sum"), closing_balance=("balance", "last"),
        minimum_balance=("balance", "min"), average_daily_balance=("balance", "mean"),
        n_negative_days=("negative", "sum"), n_days_covered=("day", "size"), known=("known", "all"),
        rank=("rank", "max"),
    ).reset_index()  # fmt: skip
    months["net_flow"] = months["total_credit"] - months["total_debit"]
    balances = ["closing_balance", "minimum_balance", "average_daily_balance", "n_negative_days"]
    months[balances] = months[balances].where(months["known"])
    months[list(_MONEY)] = months[list(_MONEY)].round(4)
    start = months["month"].to_numpy("int64").astype("datetime64[M]")
    length = ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype("int64")
    months["is_complete"] = months["n_days_covered"] == length
    months["month"] = start.astype("datetime64[us]")
    months["company_id"] = days.companies[months["company"]].to_numpy()
    months["report_id"] = days.seen["report_id"].to_numpy()[months["rank"]]
    return frames.typed(months, FLOWS)


def _operating_months(days: CoveredDays, operating: Frame) -> pd.DataFrame:
    """By company and month the sums of operating credits and debits, on the days that every account covers."""
    entries, _ = company_entries(operating, days, ())
    entries = entries.merge(days.joint(), on=["company", "day"])
    amounts = entries.assign(
        month=entries["month"].to_numpy("int64").astype("datetime64[M]").astype("datetime64[us]"),
        operating_credit=entries["amount"].clip(lower=0),
        operating_debit=-entries["amount"].clip(upper=0),
    )
    sums = amounts.groupby(["company_id", "month"])[["operating_credit", "operating_debit"]].sum().round(4)
    return sums.reset_index()


def portfolio_months(flows: Frame) -> pd.DataFrame:
    """One row per month over the companies whose month is complete.

    The sums move with the number of companies. How credits developed is only told by
    `matched_credit_change_ratio`: the sum of the companies complete in this month and in the calendar month
    before it, against the sum of the same companies then.

    Parameters
    ----------
    flows
        The result of `monthly_flows`.

    Returns
    -------
    DataFrame
        `month`, `n_companies`, `total_credit`, `total_debit` (both positive), `net_flow`, `median_net_flow`
        [currency, major units], `negative_day_share_ratio` (days that ended below zero / days covered, where
        both are known), `matched_credit_change_ratio` (0.1 is 10 % more), `n_matched`. Sorted by month; months
        of `flows` without a complete company have `n_companies` 0 and nulls. ``attrs["base"]`` counts
        company-months. Companies weigh by their credits in the change: with few companies it is the largest
        one's.

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
    columns = ("total_credit", "total_debit", "net_flow", "n_negative_days", "n_days_covered")
    table = frames.collect(frames.scan(flows, FLOWS, ("company_id", "month", *columns, "is_complete")), FLOWS)
    complete = table[table["is_complete"] & table["total_credit"].notna() & table["total_debit"].notna()]
    ordered = complete.sort_values(["month", "company_id"])  # floats add up alike whatever the order of the rows
    months = pd.Index(sorted(table["month"].unique()), name="month", dtype="datetime64[us]")
    grouped = ordered.groupby("month")
    result = grouped[["total_credit", "total_debit", "net_flow"]].sum().reindex(months)
    result.insert(0, "n_companies", grouped.size().reindex(months, fill_value=0).astype("int64"))
    result["median_net_flow"] = grouped["net_flow"].median().astype("float64")
    result["negative_day_share_ratio"] = _negative_day_share(ordered)
    result = result.join(_matched_change(ordered))
    result["n_matched"] = result["n_matched"].fillna(0).astype("int64")
    result = result.reset_index()
    result.attrs["base"] = {
        "used": len(complete),
        "excluded": {"incomplete": len(table) - len(complete)},
        "backfilled": None,  # not known from the flows
        "as_of": None,
        "filters": {"is_complete": True},
    }
    return result


def _negative_day_share(months: pd.DataFrame) -> pd.Series[float]:
    known = months[months["n_negative_days"].notna()].groupby("month")
    days = known["n_days_covered"].sum().astype("float64")
    return known["n_negative_days"].sum().astype("float64") / days.where(days > 0)


def _matched_change(months: pd.DataFrame) -> pd.DataFrame:
    """By month: the change of credits on the month before, over the companies present in both, and their number."""
    now = months[["company_id", "month", "total_credit"]]
    before = now.assign(month=months_later(now["month"], 1))
    both = now.merge(before, on=["company_id", "month"], suffixes=("", "_before")).groupby("month")
    sums = both[["total_credit", "total_credit_before"]].sum()
    change = sums["total_credit"] / sums["total_credit_before"].replace(0, np.nan) - 1
    return pd.DataFrame({"matched_credit_change_ratio": change, "n_matched": both.size()})
