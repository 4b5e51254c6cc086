"""What is the money moved for? The amounts of each company by family of movement."""

from __future__ import annotations

import narwhals.stable.v2 as nw
import pandas as pd

from ...schema import Column, Table
from ...tables import COMPANY_KEY, REPORTS, TRANSACTIONS
from .. import frames
from ..frames import AsOf, Frame
from .deduplication import MINE, company_entries, covered_days, left_out, settled_entries

_MONEY = "currency, major units"
SHARES = Table(
    "category_shares",
    "One row per company and category, the result of category_shares.",
    (
        COMPANY_KEY,
        Column("category", "text", "Family of the movement; null is unknown."),
        Column("n_entries", "int", "Entries.", lo=0),
        Column("credit", "float", "Sum of credits.", unit=_MONEY, lo=0),
        Column("debit", "float", "Sum of debits, positive.", unit=_MONEY, lo=0),
        Column("share_ratio", "float", "Of all that the company moved, in and out.", lo=0, hi=1),
    ),
    ("company_id", "category"),
)


def category_shares(
    transactions: Frame,
    reports: Frame,
    *,
    categories: Frame | None = None,
    statements: Frame | None = None,
    as_of: AsOf | None = None,
) -> pd.DataFrame:
    """How much of a company's money moves in each family, each entry once.

    Parameters
    ----------
    transactions, reports, statements, as_of
        As for `counterparty_concentration`.
    categories
        The result of `categories`. Without it the families are the service's own words (the column `category`, whose
        meaning is not documented), and where there are no statements either the engine does all of it.

    Returns
    -------
    DataFrame
        The columns of `SHARES`, sorted by company and category, unknown last: `company_id`, `category`, `n_entries`,
        `credit`, `debit` (both positive), `share_ratio` (0–1; null where nothing moved). ``attrs["base"]``: companies,
        and entries left out.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id="a", company_id="732829320", created_at="2025-04-02", period_start_date="2024-12-31",
    ...     period_end_date="2025-03-31",
    ... )
    >>> transactions = TRANSACTIONS.example(
    ...     report_id="a", account_no=0, booked_date="2025-03-31", amount=[60.0, -30.0, -10.0],
    ...     category=["sales", "rent", None],
    ... )
    >>> category_shares(transactions, reports)[["category", "credit", "debit", "share_ratio"]].values.tolist()
    [['rent', 0.0, 30.0, 0.3], ['sales', 60.0, 0.0, 0.6], [<NA>, 0.0, 10.0, 0.1]]
    """
    keys = ["company_id", "category"]
    if categories is None and statements is None and frames.same_kind(transactions, reports):
        table, seen, excluded = _summed_by_engine(transactions, reports, as_of)
    else:
        seen = frames.newest_reports(reports, product="bank", as_of=as_of)
        names = () if categories is not None else ("category",)
        days = covered_days(reports, statements, as_of=as_of)
        entries, excluded = company_entries(transactions, days, names, categories=categories)
        amounts = entries.assign(
            credit=entries["amount"].clip(lower=0), debit=-entries["amount"].clip(upper=0), n_entries=1
        )
        table = amounts.groupby(keys, dropna=False)[["n_entries", "credit", "debit"]].sum().reset_index()
    moved = table["credit"] + table["debit"]
    total = moved.groupby(table["company_id"]).transform("sum")
    table["share_ratio"] = moved / total.where(total > 0)
    result = frames.typed(table.sort_values(keys, ignore_index=True), SHARES)
    result.attrs["base"] = frames.base(result["company_id"].nunique(), seen, excluded=excluded, as_of=as_of)
    return result


def _summed_by_engine(
    transactions: Frame, reports: Frame, as_of: AsOf | None
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    amount, zero = nw.col("amount"), nw.lit(0.0)
    sides = {
        "credit": nw.when(amount > 0).then(amount).otherwise(zero),
        "debit": nw.when(amount < 0).then(-amount).otherwise(zero),
    }
    category = nw.col("category")
    rows, seen = settled_entries(transactions, reports, ("category",), as_of=as_of, category=category, **sides)
    sums = rows.group_by("company_id", "state", "category").agg(
        nw.col("credit").sum(), nw.col("debit").sum(), nw.len().alias("n_entries")
    )
    table = frames.collect(sums, TRANSACTIONS, REPORTS)
    counts = table.groupby("state")["n_entries"].sum()
    return table[table["state"] == MINE], seen, left_out(counts)
