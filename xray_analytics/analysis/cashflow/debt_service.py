"""Can the business carry its loans? Operating cash before debt against the loan payments seen."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from ...errors import InputError, listed
from ...schema import Column, Table
from ...tables import COMPANY_KEY
from .. import frames
from ..days import days as day_numbers
from ..days import month_numbers
from ..frames import Frame
from ..guards import is_whole
from .metrics import counted_months, operating_or_all
from .recurring import PERIODS, STREAMS

DEBT = ("loan_repayment", "lease")
_PER_MONTH = {"weekly": 365 / 12 / 7, "fortnightly": 365 / 12 / 14} | {
    name: 1 / months for name, (_, _, months) in PERIODS.items() if months
}
_STATUS = ("known", "no_loan_seen", "no_complete_month", "several_currencies", "entries_unknown")
_MONEY = "currency, major units per month"
DEBT_SERVICE = Table(
    "debt_service",
    "One row per company, the result of debt_service.",
    (
        COMPANY_KEY,
        Column("n_months", "int", "Complete months in the window.", unit="months", lo=0),
        Column("credit_basis", "text", "What cash counts.", choices=("operating", "all")),
        Column("cash_before_debt", "float", "Mean of credits less debits, loan payments added back.", unit=_MONEY),
        Column("debt_payments", "float", "Payments of the active loans.", unit=_MONEY, lo=0),
        Column("n_loans", "int", "Active loans and leases.", lo=0),
        Column("cover_ratio", "float", "Cash before debt / payments; below 1 they are not earned."),
        Column("status", "text", "Why it is missing.", choices=_STATUS, required=True),
    ),
    ("company_id",),
)


def debt_service(
    flows: Frame, recurring: Frame, *, categories: Collection[str] = DEBT, window_months: int = 12
) -> pd.DataFrame:
    """Operating cash before debt / loan payments seen, per company.

    Cash before debt is the mean of credits less debits over the complete months of the window, plus the payments of
    the loans in those months, from each loan's first month to its last. Only loans that show as a recurring stream
    are seen, and only those still active are to be carried.

    Parameters
    ----------
    flows
        The result of `cashflow.monthly_flows`, best with operating columns: without them loans drawn count as cash.
    recurring
        The result of `cashflow.recurring` with categories.
    categories
        Which families are debt.
    window_months
        Calendar months to the company's last complete one.

    Returns
    -------
    DataFrame
        The columns of `DEBT_SERVICE`, one row per company of `flows`, sorted. `cover_ratio` is null without an active
        loan or a complete month, where loans in one currency would meet cash in another, and where no month rests on
        entries, so that no loan could be seen (`status`; `n_loans` and `debt_payments` are null then). Months without
        flows, and those that do not agree with their statements, do not count. ``attrs["base"]`` counts companies and
        those without a ratio.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or `window_months` is below 1.

    Examples
    --------
    Credits of 100, debits of 70, of which 20 a month are a loan: (30 + 20) / 20.

    >>> month = pd.date_range("2025-01-01", periods=3, freq="MS")
    >>> flows = pd.DataFrame({
    ...     "company_id": "732829320", "month": month, "is_complete": True, "total_credit": 100.0, "total_debit": 70.0,
    ... })
    >>> recurring = pd.DataFrame({
    ...     "company_id": ["732829320"], "side": "debit", "category": "loan_repayment", "period": "monthly",
    ...     "amount": 20.0, "first_date": month[:1], "last_date": month[2:], "is_active": True,
    ... })
    >>> debt_service(flows, recurring)[["cash_before_debt", "debt_payments", "cover_ratio"]].iloc[0].tolist()
    [50.0, 20.0, 2.5]
    """
    if not is_whole(window_months, 1):
        raise InputError(f"window_months is {window_months}; give at least one month")
    table, months, _ = counted_months(flows, ("flow_basis",))
    categories = listed(categories, "categories")
    loans = _loans(recurring, categories)
    several = _in_several_currencies(months, loans)
    months = operating_or_all(months[~months["company_id"].isin(several)])
    last = months.groupby("company_id")["number"].transform("max")
    months = months[last - months["number"] < window_months]
    grouped = months.groupby("company_id")
    result = pd.DataFrame(index=pd.Index(sorted(table["company_id"].unique()), name="company_id", dtype="string"))
    result = result.join(grouped.agg(n_months=("month", "size"), credit_basis=("basis", "first")))
    result["n_months"] = result["n_months"].fillna(0)
    result["cash_before_debt"] = grouped["credit"].mean() - grouped["debit"].mean() + _added_back(months, loans)
    active = loans[loans["is_active"].astype(bool)].groupby("company_id")["monthly"]
    result["debt_payments"], result["n_loans"] = active.sum(), active.size()
    result = result.fillna({"debt_payments": 0.0, "n_loans": 0})
    result["cover_ratio"] = result["cash_before_debt"] / result["debt_payments"].where(result["debt_payments"] > 0)
    is_mixed = pd.Series(result.index.isin(several), result.index)
    result["debt_payments"] = result["debt_payments"].mask(is_mixed)
    read = set(table.loc[_is_read(table), "company_id"])
    is_unread = pd.Series(~result.index.isin(read), result.index) & (result["n_loans"] == 0)
    for name in ("debt_payments", "n_loans"):
        result[name] = result[name].mask(is_unread)
    missing = [is_mixed, is_unread, result["n_months"] == 0, result["n_loans"] == 0]
    result["status"] = np.select(missing, [_STATUS[3], _STATUS[4], _STATUS[2], _STATUS[1]], "known")
    counts = result["status"].value_counts()
    result = frames.typed(result.reset_index(), DEBT_SERVICE)
    result.attrs["base"] = {
        "used": int(counts.get("known", 0)), "excluded": {name: int(counts.get(name, 0)) for name in _STATUS[1:]},
        "backfilled": None, "as_of": None,
        "filters": {"categories": sorted(categories), "window_months": window_months},
    }  # fmt: skip
    return result


def _in_several_currencies(months: pd.DataFrame, loans: pd.DataFrame) -> set[str]:
    """Companies whose cash, or whose cash and loans, are in different currencies; what names none is in the other."""
    cash = months.groupby("company_id")["currency"].nunique()
    both = pd.concat([months[["company_id", "currency"]], loans[["company_id", "currency"]]])
    named = both[both["currency"].fillna("") != ""].groupby("company_id")["currency"].nunique()
    return {*cash.index[cash > 1], *named.index[named > 1]}


def _is_read(months: pd.DataFrame) -> pd.Series[bool]:
    """Months that rest on entries; where no month says it, those with flows."""
    basis = months["flow_basis"]
    return months["total_credit"].notna() if basis.isna().all() else (basis == "entries").fillna(False).astype(bool)


def _loans(recurring: Frame, categories: Collection[str]) -> pd.DataFrame:
    """The debt streams with `monthly`, and the numbers of their first and last month."""
    columns = ("company_id", "currency", "side", "category", "period", "amount", "first_date", "last_date", "is_active")
    table = frames.collect(frames.scan(recurring, STREAMS, columns), STREAMS)
    if unknown := sorted(set(table["period"].dropna()) - set(PERIODS)):
        raise InputError(f"the frame of recurring has the period {unknown[0]!r}; there are {', '.join(PERIODS)}")
    loans = table[(table["side"] == "debit") & table["category"].isin(list(categories))]
    loans = loans.assign(monthly=loans["amount"] * loans["period"].map(_PER_MONTH).astype("float64"))
    for name in ("first", "last"):
        loans[name] = month_numbers(day_numbers(loans[f"{name}_date"]))
    return loans


def _added_back(months: pd.DataFrame, loans: pd.DataFrame) -> pd.Series[float]:
    """By company the mean loan payments of its months."""
    pairs = months[["company_id", "number"]].merge(loans[["company_id", "monthly", "first", "last"]], on="company_id")
    paid = pairs[(pairs["number"] >= pairs["first"]) & (pairs["number"] <= pairs["last"])]
    n_months = months.groupby("company_id").size()
    sums = paid.groupby("company_id")["monthly"].sum().reindex(n_months.index, fill_value=0.0)
    return sums / n_months
