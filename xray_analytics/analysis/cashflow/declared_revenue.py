"""Does the revenue that a company declared fit the credits its bank accounts saw?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables import REQUEST_NOTES
from .. import frames
from ..frames import Frame
from ..guards import is_number
from .metrics import counted_months, operating_or_all

VAT_RATES = (0.0, 0.20)  # no VAT in the receipts, or the French standard rate in all of them


def declared_vs_banked(
    reports: Frame, notes: Frame, flows: Frame, *, vat_rates: Sequence[float] = VAT_RATES
) -> pd.DataFrame:
    """The revenue a company declared against the credits its bank accounts saw, as a range.

    Credits include VAT and revenue does not, so that the net of VAT lies between credits / (1 + the higher rate) and
    credits / (1 + the lower one). What the comparison cannot know: the declared year is "the last year" and need not
    be the months banked; credits that are not operating ones hold internal transfers, loans drawn and owners' money
    (too high); a factor's advance comes net, and an account may not have been shown (too low). It is a question to
    ask, not a finding.

    Parameters
    ----------
    reports
        The table `reports`: says which company a request is about.
    notes
        The table `request_notes`, revenue in cents.
    flows
        The result of `cashflow.monthly_flows`; its operating credits count where a company has them in every month.
    vat_rates
        The lowest and the highest rate on the company's sales (0.20 is 20 %).

    Returns
    -------
    DataFrame
        `company_id`, `request_id` (its newest with notes), `declared_revenue`, `banked_credit` (of the last 12
        complete months at most, times 365 over their days), `basis` (``"operating"`` or ``"all"`` credits),
        `n_months`, `first_month`, `last_month`, `banked_low`, `banked_high` (net of VAT) [currency, major units, a
        year], `low_ratio`, `high_ratio` (banked over declared: below 1 less was banked), `is_inside` (1 is between
        them; null where not known), `is_under_6_months` (annualised from a short time: weak), `reason`
        (``no_months``, also where months are in several currencies, ``revenue_missing``, ``revenue_not_positive``;
        null where compared). One row per company with notes, sorted. ``attrs["base"]``: companies compared; requests
        that no report leads to a company are excluded and counted.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or the rates are not two rising numbers from 0.

    Examples
    --------
    >>> from xray_analytics.tables import REPORTS
    >>> reports = REPORTS.example(report_id="a", request_id="r", company_id="732829320", created_at="2025-01-10")
    >>> notes = REQUEST_NOTES.example(request_id="r", revenue_cents=100_000_00)
    >>> flows = pd.DataFrame({
    ...     "company_id": "732829320", "month": pd.date_range("2023-01-01", periods=12, freq="MS"),
    ...     "total_credit": 9_000.0, "total_debit": 8_000.0,
    ...     "n_days_covered": [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], "is_complete": True,
    ... })
    >>> declared_vs_banked(reports, notes, flows)[["banked_low", "banked_high", "is_inside"]].values.tolist()
    [[90000.0, 108000.0, True]]
    """
    rates = tuple(float(rate) for rate in vat_rates)
    if len(rates) != 2 or not all(is_number(rate, 0) for rate in rates) or rates[0] > rates[1]:
        raise InputError(f"vat_rates are {vat_rates!r}; give the lowest and the highest, such as (0, 0.20)")
    seen = frames.newest_reports(reports, ["request_id"])
    declared, n_lost = _declared(seen, notes)
    table = declared.merge(_banked(flows), how="left", on="company_id").sort_values("company_id", ignore_index=True)
    revenue = table["declared_revenue"].where(table["declared_revenue"] > 0)
    for end, rate in (("low", rates[1]), ("high", rates[0])):
        table[f"banked_{end}"] = table["banked_credit"] / (1 + rate)
        table[f"{end}_ratio"] = table[f"banked_{end}"] / revenue
    known = table["low_ratio"].notna()
    inside = (table["low_ratio"] <= 1) & (table["high_ratio"] >= 1)
    table["is_inside"] = inside.astype("boolean").where(known)
    table["n_months"] = table["n_months"].fillna(0).astype("int64")
    table["is_under_6_months"] = table["n_months"] < 6
    checks = [table["n_months"] == 0, table["declared_revenue"].isna(), ~(table["declared_revenue"] > 0)]
    reason = np.select(checks, ["no_months", "revenue_missing", "revenue_not_positive"], "")
    table["reason"] = pd.Series(reason, table.index, dtype="string").replace("", pd.NA)
    result = table[list(_COMPARED)]
    excluded = {"request_without_company": n_lost, "not_comparable": int((~known).sum())}
    result.attrs["base"] = frames.base(int(known.sum()), seen, excluded=excluded, filters={"vat_rates": list(rates)})
    return result


_COMPARED = (
    "company_id", "request_id", "declared_revenue", "banked_credit", "basis", "n_months", "first_month", "last_month",
    "banked_low", "banked_high", "low_ratio", "high_ratio", "is_inside", "is_under_6_months", "reason",
)  # fmt: skip


def _declared(seen: pd.DataFrame, notes: Frame) -> tuple[pd.DataFrame, int]:
    """The newest declared revenue of each company [major units], and the number of requests that lead to none."""
    lazy = frames.scan(notes, REQUEST_NOTES, ["request_id", "request_version", "revenue_cents"])
    newest = lazy.unique(subset=["request_id"], keep="last", order_by=["request_version"])
    table = frames.collect(newest, REQUEST_NOTES)
    known = seen[seen["company_id"].notna() & seen["request_id"].notna()]
    companies = known.drop_duplicates("request_id", keep="last")[["request_id", "company_id", "created_at"]]
    found = table.merge(companies, on="request_id").sort_values(["created_at", "request_id"])
    revenue = found["revenue_cents"].astype("float64") / 100
    declared = found[["company_id", "request_id"]].assign(declared_revenue=revenue)
    return declared.drop_duplicates("company_id", keep="last"), len(table) - len(found)


def _banked(flows: Frame) -> pd.DataFrame:
    """The credits of the last twelve complete months of each company at most, as of a year.

    None of companies whose months are in several currencies: the declared revenue is in one.
    """
    _, complete, _ = counted_months(flows, ("n_days_covered",))
    mixed = complete.groupby("company_id")["currency"].transform("nunique") > 1
    months = operating_or_all(complete[~mixed])
    last = months.groupby("company_id")["month"].transform("max")
    age = (last.dt.year - months["month"].dt.year) * 12 + last.dt.month - months["month"].dt.month
    banked = months[age < 12].groupby("company_id").agg(
        credit=("credit", "sum"), days=("n_days_covered", "sum"), n_months=("month", "size"),
        first_month=("month", "min"), last_month=("month", "max"), basis=("basis", "first"),
    )  # fmt: skip
    credit = (banked["credit"] * 365 / banked["days"]).astype("float64")
    result: pd.DataFrame = banked.assign(banked_credit=credit, basis=banked["basis"].astype("string")).reset_index()
    return result
