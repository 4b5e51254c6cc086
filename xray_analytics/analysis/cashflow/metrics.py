"""How steady is a company's money? One row per company and currency, from its months."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY, MONTHLY_SUMMARIES
from .. import frames
from ..days import days as day_numbers
from ..days import month_numbers, months_later
from ..frames import AsOf, Frame
from ..guards import is_whole
from .balances import DAILY
from .monthly import FLOWS, MAX_UNRECONCILED_RATIO, counted

_FEWEST_MONTHS = 6
_SEASONAL_MONTHS = 24
_MONEY = "currency, major units"
METRICS = Table(
    "company_metrics",
    "One row per company and currency, the result of company_metrics.",
    (
        COMPANY_KEY,
        MONTHLY_SUMMARIES["currency"],
        Column("first_month", "date", "First complete month of the window; null where there is none."),
        Column("last_month", "date", "Last complete month of the window."),
        Column("n_months", "int", "Complete months in the window.", unit="months", lo=0),
        Column("credit_basis", "text", "What credits and debits count.", choices=("operating", "all")),
        Column("mean_credit", "float", "Mean monthly credits on that basis.", unit=_MONEY),
        Column("trend_pct_per_month", "float", "Theil-Sen slope / median of credits.", unit="% per month"),
        Column("trend_low_pct", "float", "Lower end of its 95 % interval.", unit="% per month"),
        Column("trend_high_pct", "float", "Upper end of its 95 % interval.", unit="% per month"),
        Column("volatility_ratio", "float", "sd(net flow) / mean credits.", lo=0),
        Column("seasonality_ratio", "float", "Share of the variation that returns every year.", lo=0, hi=1),
        Column("negative_day_share_ratio", "float", "Days below zero / days covered.", lo=0, hi=1),
        Column("average_daily_balance", "float", "Mean balance over the days covered.", unit=_MONEY),
        Column("minimum_balance", "float", "Lowest balance.", unit=_MONEY),
        Column("balance_90pct_days", "float", "Balance exceeded on 90 % of days.", unit=_MONEY),
        Column("balance_status", "text", "Why it is missing.", choices=("known", "not_given", "unknown")),
        Column("runway_months", "float", "Latest balance / mean burn.", unit="months", lo=0),
        Column(
            "runway_status", "text", "Why it is missing.", choices=("burning", "not_burning", "exhausted", "unknown")
        ),
    ),
    ("company_id", "currency"),
)
_KEY = ["company_id", "currency"]
_NO_COMPANY = pd.MultiIndex.from_tuples([], names=_KEY)


def company_metrics(
    flows: Frame,
    *,
    as_of: AsOf,
    daily: Frame | None = None,
    window_months: int = 12,
    max_unreconciled_ratio: float = MAX_UNRECONCILED_RATIO,
) -> pd.DataFrame:
    """One row per company and currency: level, trend, volatility, season, days below zero, balances and runway.

    Only complete months that ended by `as_of` count, and of these the calendar months of the window that ends with
    the company's last one; the season is judged on all of them. A gap makes a window shorter, not longer.

    ====================  ===========================================================================================
    figure                how
    ====================  ===========================================================================================
    trend                 Theil-Sen slope over months / median (Sen 1968; `scipy.stats.theilslopes`), from 6 months
    volatility_ratio      standard deviation (n - 1) of net flow / mean credits, from 6 months
    seasonality_ratio     strength of season (Hyndman & Athanasopoulos, Forecasting, 4.3) of credits without their
                          linear trend: max(0, 1 - Var(remainder) / Var(season + remainder)), variances by degrees of
                          freedom, so that noise gives about 0; from 24 months in which every calendar month occurs
    balance_90pct_days    10 % quantile (linear) of the daily balances that are known
    runway_months         last closing balance / mean of debits less credits, where both are above 0
    ====================  ===========================================================================================

    An authorised overdraft is not known: a day below zero is no incident.

    Parameters
    ----------
    flows
        The result of `monthly_flows`. Where its operating columns are filled for all complete months of a company,
        credits and debits are operating ones (`credit_basis`).
    as_of
        Months that end later are not seen.
    daily
        The result of `daily_balances`, of the same snapshot. Of a month the days of the report that `flows` names
        are read, where all its accounts are known.
    window_months
        Length of the window.
    max_unreconciled_ratio
        Months whose entries and statement totals differ by more than this share of the turnover are left out.

    Returns
    -------
    DataFrame
        The columns of `METRICS`, sorted by company and currency; companies without a complete month have `n_months` 0
        and nulls. ``attrs["base"]`` counts rows, those under 6 months, and the months left out: ``months_unknown``
        (nothing supports their flows), ``months_unreconciled``, ``months_incomplete_or_later``.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, `as_of` is no date, or `window_months` is below 1.

    Examples
    --------
    Credits fall from 120 to 70 by 10 a month: the median is 95; each month burns 5, and 15 are left.

    >>> flows = pd.DataFrame({
    ...     "company_id": "732829320", "month": pd.date_range("2025-01-01", periods=6, freq="MS"), "report_id": "a",
    ...     "total_credit": [120.0, 110, 100, 90, 80, 70], "total_debit": [125.0, 115, 105, 95, 85, 75],
    ...     "net_flow": -5.0, "closing_balance": [40.0, 35, 30, 25, 20, 15], "minimum_balance": 10.0,
    ...     "average_daily_balance": 20.0, "n_negative_days": 0, "n_days_covered": 30, "is_complete": True,
    ... })
    >>> found = company_metrics(flows, as_of="2025-06-30")
    >>> found[["trend_pct_per_month", "volatility_ratio", "runway_months"]].round(4).values.tolist()
    [[-10.5263, 0.0, 3.0]]
    """
    if not is_whole(window_months, 1):
        raise InputError(f"window_months is {window_months}; give at least one month")
    months, companies, reasons = _months(flows, as_of, max_unreconciled_ratio)
    window = months[months.groupby(_KEY)["number"].transform("max") - months["number"] < window_months]
    grouped = window.groupby(_KEY)
    result = pd.DataFrame(index=companies)
    levels = grouped.agg(
        first_month=("month", "min"), last_month=("month", "max"), n_months=("month", "size"),
        mean_credit=("credit", "mean"), minimum_balance=("minimum_balance", "min"), credit_basis=("basis", "first"),
    )  # fmt: skip
    result = result.join(levels).fillna({"n_months": 0})
    spread = grouped["net_flow"].std() / levels["mean_credit"].where(levels["mean_credit"] > 0)
    result["volatility_ratio"] = spread.where(levels["n_months"] >= _FEWEST_MONTHS)
    result = result.join(_trends(grouped)).join(_daily_shares(window)).join(_runway(grouped))
    seasons = {name: _season(rows) for name, rows in months.groupby(_KEY)}
    result["seasonality_ratio"] = [seasons.get(name, np.nan) for name in result.index]
    result = result.join(_quantiles(window, daily))
    given = "not_given" if daily is None else "unknown"
    result["balance_status"] = np.where(result["balance_90pct_days"].notna(), "known", given)
    result["runway_status"] = result["runway_status"].fillna("unknown")
    few = int((result["n_months"] < _FEWEST_MONTHS).sum())
    result = result.reset_index()
    result = frames.typed(result.assign(currency=result["currency"].mask(result["currency"] == "")), METRICS)
    result.attrs["base"] = {
        "used": len(result),
        "excluded": {"under_6_months": few, **reasons},
        "backfilled": None, "as_of": frames.instant(as_of).isoformat().replace("+00:00", "Z"),
        "filters": {"window_months": window_months, "max_unreconciled_ratio": max_unreconciled_ratio},
    }  # fmt: skip
    return result


def operating_or_all(months: pd.DataFrame) -> pd.DataFrame:
    """The months with `credit`, `debit` and `basis`: operating where a company has it for all of them, else all."""
    known = months["operating_credit"].notna() & months["operating_debit"].notna()
    use = known.groupby([months["company_id"], months["currency"].fillna("")]).transform("all").astype(bool)
    return months.assign(
        credit=months["total_credit"].mask(use, months["operating_credit"]).astype("float64"),
        debit=months["total_debit"].mask(use, months["operating_debit"]).astype("float64"),
        basis=np.where(use, "operating", "all"),
    )


def counted_months(
    flows: Frame, columns: tuple[str, ...], max_unreconciled_ratio: float = MAX_UNRECONCILED_RATIO
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """All months of flows in pandas, those that a metric may count (see `counted`), and how many it leaves out.

    They have `currency` ("" where none is named), `total_credit`, `total_debit`, `is_complete`, the operating columns
    and these.
    """
    own = ("company_id", "month", "currency", "total_credit", "total_debit", "unreconciled_amount", "is_complete")
    wanted = (*own, "operating_credit", "operating_debit", *columns)
    table = frames.collect(frames.scan(flows, FLOWS, wanted), FLOWS)
    table["currency"] = table["currency"].fillna("")
    chosen, reasons = counted(table, max_unreconciled_ratio)
    months = table[chosen].sort_values(["company_id", "currency", "month"], ignore_index=True)
    return table, months.assign(number=month_numbers(day_numbers(months["month"]))), reasons


def _months(flows: Frame, as_of: AsOf, max_ratio: float) -> tuple[pd.DataFrame, pd.MultiIndex, dict[str, int]]:
    """The months that count and ended by the day, with `number`, `credit`, `debit` and `basis`; all companies."""
    columns = (
        "net_flow", "closing_balance", "minimum_balance", "average_daily_balance", "n_negative_days", "n_days_covered",
        "report_id",
    )  # fmt: skip
    table, months, left_out = counted_months(flows, columns, max_ratio)
    ended = months_later(months["month"], 1) <= frames.day(as_of) + pd.Timedelta(days=1)
    reasons = {f"months_{name}": left_out[name] for name in ("unknown", "unreconciled")}
    reasons["months_incomplete_or_later"] = left_out["incomplete"] + int((~ended).sum())
    companies = pd.MultiIndex.from_frame(table[_KEY].drop_duplicates().sort_values(_KEY))
    return operating_or_all(months[ended].reset_index(drop=True)), companies, reasons


def _trends(grouped: Any) -> pd.DataFrame:
    rows = {}
    for name, months in grouped:
        middle = months["credit"].median()
        if len(months) >= _FEWEST_MONTHS and middle > 0:
            slope = stats.theilslopes(months["credit"], months["number"], 0.95)
            rows[name] = [100 * value / middle for value in (slope.slope, slope.low_slope, slope.high_slope)]
    names = ["trend_pct_per_month", "trend_low_pct", "trend_high_pct"]
    index = pd.MultiIndex.from_tuples(rows, names=_KEY) if rows else _NO_COMPANY
    return pd.DataFrame(list(rows.values()), index=index, columns=names, dtype="float64")


def _season(months: pd.DataFrame) -> float:
    number, value = months["number"].to_numpy("float64"), months["credit"].to_numpy()
    calendar = months["number"].to_numpy("int64") % 12
    if len(value) < _SEASONAL_MONTHS or len(np.unique(calendar)) < 12:
        return float("nan")
    design = np.column_stack([number - number.mean(), np.eye(12)[calendar]])
    remainder = value - design @ np.linalg.lstsq(design, value, rcond=None)[0]
    moving = value - np.polyval(np.polyfit(number - number.mean(), value, 1), number - number.mean())
    total = (moving**2).sum() / (len(value) - 2)
    if total <= 1e-12 * max(1.0, (value**2).mean()):
        return 0.0
    return float(np.clip(1 - (remainder**2).sum() / (len(value) - 13) / total, 0, 1))


def _daily_shares(window: pd.DataFrame) -> pd.DataFrame:
    known = window[window["n_negative_days"].notna() & window["average_daily_balance"].notna()]
    days = known["n_days_covered"].astype("float64")
    sums = known.assign(days=days, weighted=known["average_daily_balance"] * days).groupby(_KEY)
    total = sums["days"].sum()
    return pd.DataFrame(
        {
            "negative_day_share_ratio": sums["n_negative_days"].sum().astype("float64") / total,
            "average_daily_balance": sums["weighted"].sum() / total,
        }
    )


def _runway(grouped: Any) -> pd.DataFrame:
    burn = grouped["debit"].mean() - grouped["credit"].mean()
    latest = grouped.tail(1).set_index(_KEY)["closing_balance"].reindex(burn.index)
    status = np.select([burn <= 1e-9, latest.isna(), latest <= 0], ["not_burning", "unknown", "exhausted"], "burning")
    months = (latest / burn).where(status == "burning")
    return pd.DataFrame({"runway_months": months, "runway_status": status}, index=burn.index)


def _quantiles(window: pd.DataFrame, daily: Frame | None) -> pd.DataFrame:
    """By company the balance exceeded on 90 % of the days of its window."""
    if daily is None:
        return pd.DataFrame(columns=["balance_90pct_days"], index=_NO_COMPANY, dtype="float64")
    columns = ("report_id", "report_version", "account_no", "currency", "day", "balance")
    table = frames.collect(frames.scan(daily, DAILY, columns), DAILY)
    newest = table.groupby("report_id")["report_version"].transform("max") == table["report_version"]
    table = table[newest].assign(number=lambda t: month_numbers(day_numbers(t["day"])))
    table = table.merge(window[[*_KEY, "report_id", "number"]], on=["report_id", "number"], suffixes=("_named", ""))
    own = table["currency_named"].fillna(table["currency"]) == table["currency"]  # null is in the month's currency
    table = table[own | table["currency_named"].isna()]
    n_accounts = table.groupby(["report_id", "currency"])["account_no"].transform("nunique")
    days = table.assign(n=n_accounts, known=table["balance"].notna()).groupby([*_KEY, "day"])
    sums = days.agg(balance=("balance", "sum"), n_known=("known", "sum"), n=("n", "first"))
    whole = sums[sums["n_known"] == sums["n"]]
    return whole.groupby(_KEY)["balance"].quantile(0.1).rename("balance_90pct_days").to_frame()
