"""How strong are the accounts, and do they fit the bank?

Ratios of the Financial X-Ray are read as sent: fractions whose definitions are not documented but for their names.
What this package computes itself, it computes from the notes alone, and only what they determine: neither operating
profit nor tax is among them, so there is no EBITDA and no coverage of fixed charges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables import COMPANIES, FINANCIAL_RATIOS, REPORTS, REQUEST_NOTES
from .. import frames
from ..cashflow.declared_revenue import VAT_RATES, declared_vs_banked
from ..frames import Frame
from .counting import with_companies

__all__ = [
    "NOTES", "NOTE_RATIOS", "VAT_RATES", "declared_vs_banked", "ratio_matrix", "ratio_quantiles", "ratios_from_notes",
]  # fmt: skip
__dir__ = __all__.copy

FEWEST_FOR_TAILS = 20
_QUANTILES = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
_KEYS = ["report_id", "report_version"]

# Ratio -> numerator, denominator: sums of notes, the sign in front.
NOTE_RATIOS: dict[str, tuple[str, str]] = {
    "fixed_assets_to_total_assets": ("total_fixed_assets", "total_assets"),
    "equity_to_total_assets": ("equity", "total_assets"),
    "debt_to_equity": ("total_debt", "equity"),
    "net_debt_to_equity": ("total_debt - cash_available", "equity"),
    "short_term_share_of_debt": ("short_term_debt", "total_debt"),
    "cash_to_current_liabilities": ("cash_available", "current_liabilities"),
    "net_margin": ("net_income", "revenue"),
    "after_tax_interest_cover": ("net_income + interest_expense", "interest_expense"),
    "debt_to_cash_earnings": ("total_debt", "net_income + amortization_depreciation"),
}
_DENOMINATORS = {"net_income + amortization_depreciation": "cash_earnings"}
NOTES = tuple(column.name.removesuffix("_cents") for column in REQUEST_NOTES.columns if column.name.endswith("_cents"))


def ratio_quantiles(
    ratios: Frame, reports: Frame, *, by: str = "financial_risk_class", companies: Frame | None = None
) -> pd.DataFrame:
    """The spread of each ratio by class, from the newest financial report of each company.

    Parameters
    ----------
    ratios
        The table `financial_ratios`.
    reports
        The table `reports`, of the same snapshot and engine.
    by
        A column of `reports`, or of `companies`, to split by; null is a group of its own (by class: the unrated).
    companies
        The table `companies`, needed where `by` is one of its columns.

    Returns
    -------
    DataFrame
        `criterion`, `by`, `n` (companies with a number), `n_missing` (of the group: without the criterion, or without
        a value), `p5`, `p25`, `p50`, `p75`, `p95` (linear interpolation; as sent, mostly fractions; `p5` and `p95`
        null under 20 values). Every criterion that is a number anywhere, every group; texts are left out. Sorted by
        criterion and group. ``attrs["base"]``: companies used; reports without a company are excluded and counted.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, a report has a criterion twice, or the frames are of different kinds.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=list("xyz"), company_id=list("xyz"), product="financial", created_at="2025-01-10",
    ...     financial_risk_class=2,
    ... )
    >>> ratios = FINANCIAL_RATIOS.example(
    ...     report_id=list("xy"), criterion="equityTotalAssets", value=[0.1, 0.3], value_text=None,
    ... )
    >>> ratio_quantiles(ratios, reports)[["n", "n_missing", "p50"]].values.tolist()
    [[2.0, 1.0, 0.2]]
    """
    reports = with_companies(reports, companies, [by])
    versions = frames.newest_versions(reports, [by], product="financial")
    newest = frames.newest_of_companies(versions)
    rows = frames.of_reports(ratios, FINANCIAL_RATIOS, ["criterion", "value"], newest, ["company_id", by])
    table = frames.collect(rows, FINANCIAL_RATIOS, REPORTS, COMPANIES)
    numbers, criteria = _numbers(table, by)
    found = newest.seen
    sizes = found.groupby(by, dropna=False).size().rename("n_group").reset_index()
    grid = pd.DataFrame({"number": numbers["number"].unique()}).merge(sizes, how="cross")
    spread = _spread(numbers, ["number", by])
    result = grid.merge(spread, how="left", on=["number", by]).fillna({"n": 0}).astype({"n": "int64"})
    result["criterion"] = criteria.take(result["number"].to_numpy())
    result["n_missing"] = result["n_group"] - result["n"]
    result = result[["criterion", by, "n", "n_missing", *_QUANTILES]].sort_values(["criterion", by], ignore_index=True)
    result.attrs["base"] = frames.base(len(found), versions.seen, filters={"by": by})
    return result


def ratio_matrix(ratios: Frame) -> pd.DataFrame:
    """One row per report, one column per criterion: what models and scatter plots want.

    Parameters
    ----------
    ratios
        The table `financial_ratios`; filter it first to the reports you want.

    Returns
    -------
    DataFrame
        Indexed by `report_id` and `report_version`, sorted; a column for each criterion, sorted: float64 where any
        value is a number (a text among them is null), else string. Null is missing, never 0.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or a report has a criterion twice.

    Examples
    --------
    >>> ratios = FINANCIAL_RATIOS.example(
    ...     report_id=["a", "a", "b"], criterion=["net", "supplierScore", "net"], value=[0.1, None, 0.2],
    ...     value_text=[None, "green", None],
    ... )
    >>> ratio_matrix(ratios)["net"].tolist()
    [0.1, 0.2]
    """
    columns = [*_KEYS, "criterion", "value", "value_text"]
    table = frames.collect(frames.scan(ratios, FINANCIAL_RATIOS, columns), FINANCIAL_RATIOS)
    if table.duplicated([*_KEYS, "criterion"]).any():
        raise InputError("financial_ratios holds a criterion of a report twice; give the rows of one snapshot")
    wide = table.set_index([*_KEYS, "criterion"])
    is_number = table.groupby("criterion")["value"].agg("count") > 0
    numbers, texts = (wide[name].unstack("criterion") for name in ("value", "value_text"))
    parts = {str(name): numbers[name] if number else texts[name].astype("string") for name, number in is_number.items()}
    return pd.DataFrame(parts, index=numbers.index).sort_index()


def ratios_from_notes(notes: Frame) -> pd.DataFrame:
    """The ratios that the notes of a request determine, and why the others are null.

    Parameters
    ----------
    notes
        The table `request_notes`, amounts in cents; of each request the newest version counts.

    Returns
    -------
    DataFrame
        `request_id`, `ratio` (of `NOTE_RATIOS`, all), `value` (float64, a fraction; `debt_to_cash_earnings`
        in years), `reason` (null where there is a value): ``<note>_missing``, or ``<denominator>_not_positive``: a
        ratio to a negative equity or to losses has a sign that means nothing, and no infinity is ever returned.
        Sorted by request, in the order of `NOTE_RATIOS`. Higher is stronger for equity, cash, margin and cover;
        weaker for the debt ratios. `after_tax_interest_cover` is (net income + interest) / interest: after tax,
        unlike the usual cover.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    >>> notes = pd.DataFrame({"request_id": ["r"], "request_version": [1]} | {f"{name}_cents": [100] for name in NOTES})
    >>> found = ratios_from_notes(notes.assign(equity_cents=-5)).set_index("ratio")
    >>> found.loc["after_tax_interest_cover", "value"], found.loc["debt_to_equity", "reason"]
    (np.float64(2.0), 'equity_not_positive')
    """
    columns = ["request_id", "request_version", *(f"{name}_cents" for name in NOTES)]
    lazy = frames.scan(notes, REQUEST_NOTES, columns)
    newest = lazy.unique(subset=["request_id"], keep="last", order_by=["request_version"])
    table = frames.collect(newest, REQUEST_NOTES).sort_values("request_id", ignore_index=True)
    parts = [_note_ratio(table, name).assign(order=order) for order, name in enumerate(NOTE_RATIOS)]
    result = pd.concat(parts).sort_values(["request_id", "order"], ignore_index=True).drop(columns="order")
    return result.astype({"ratio": "string", "value": "float64", "reason": "string"})


def _numbers(table: pd.DataFrame, by: str) -> tuple[pd.DataFrame, pd.Index[str]]:
    """The values that are known, each with the `number` of its criterion; and the criteria."""
    company, companies = pd.factorize(table["company_id"])
    criterion, criteria = pd.factorize(table["criterion"])
    if pd.Series(len(companies) * criterion + company).duplicated().any():
        raise InputError("financial_ratios holds a criterion of a report twice; give the rows of one snapshot")
    is_known = table["value"].notna().to_numpy()
    known = {name: table[name].array[is_known] for name in (by, "value")}
    return pd.DataFrame({"number": criterion[is_known], **known}), criteria


def _spread(numbers: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    grouped = numbers.groupby(by, dropna=False)["value"]
    shares = np.array(list(_QUANTILES.values()))
    table = grouped.quantile(shares).unstack().reindex(columns=shares).set_axis(list(_QUANTILES), axis=1)
    n = grouped.size()
    tails = {name: table[name].where(n >= FEWEST_FOR_TAILS) for name in ("p5", "p95")}
    return table.assign(n=n, **tails).reset_index()


def _note_ratio(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """One ratio of every request, null with its reason where the notes do not determine it."""
    top, bottom = NOTE_RATIOS[name]
    needed = [note for part in (top, bottom) for note in part.replace("- ", "").replace("+ ", "").split(" ")]
    numerator, denominator = _sum(table, top), _sum(table, bottom)
    reason = pd.Series(pd.NA, table.index, dtype="string")
    reason = reason.mask((denominator <= 0).fillna(False), f"{_DENOMINATORS.get(bottom, bottom)}_not_positive")
    for note in reversed(needed):
        reason = reason.mask(table[f"{note}_cents"].isna(), f"{note}_missing")
    value = numerator.astype("Float64") / denominator.where(denominator > 0)
    values = value.where(reason.isna()).astype("float64")
    return pd.DataFrame({"request_id": table["request_id"], "ratio": name, "value": values, "reason": reason})


def _sum(table: pd.DataFrame, expression: str) -> pd.Series[Any]:
    """The notes of an expression such as ``"total_debt - cash_available"``, in exact cents."""
    first, *rest = expression.split(" ")
    total = table[f"{first}_cents"]
    for sign, note in zip(rest[::2], rest[1::2], strict=True):
        total = total + table[f"{note}_cents"] if sign == "+" else total - table[f"{note}_cents"]
    return total
