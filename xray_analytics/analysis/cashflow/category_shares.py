"""What is the money moved for? The amounts of each company by family of movement."""

from __future__ import annotations

import narwhals.stable.v2 as nw
import pandas as pd

from ...schema import Column, Table
from ...tables import COMPANY_KEY, REPORTS, TRANSACTIONS
from .. import frames
from ..frames import AsOf, Frame
from .deduplication import MINE, company_entries, covered_days, currency_by_company, left_out, settled_entries

_MONEY = "currency, major units"
SHARES = Table(
    "category_shares",
    "One row per company, currency and category, the result of category_shares.",
    (
        COMPANY_KEY,
        TRANSACTIONS["currency"],
        Column("category", "text", "Family of the movement; null is unknown."),
        Column("n_entries", "int", "Entries.", lo=0),
        Column("credit", "float", "Sum of credits.", unit=_MONEY, lo=0),
        Column("debit", "float", "Sum of debits, positive.", unit=_MONEY, lo=0),
        Column("share_ratio", "float", "Of all that the company moved in that currency, in and out.", lo=0, hi=1),
    ),
    ("company_id", "currency", "category"),
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
        The columns of `SHARES`, sorted by company, currency and category, unknown last: `company_id`, `currency` (as
        for `counterparty_concentration`; shares are of what moved in it), `category`, `n_entries`, `credit`, `debit`
        (both positive), `share_ratio` (0–1; null where nothing moved). ``attrs["base"]``: companies, and entries left
        out.

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
    found = None
    if categories is None and statements is None and frames.same_kind(transactions, reports):
        found = _summed_by_engine(transactions, reports, as_of)
    if found is None:
        names = () if categories is not None else ("category",)
        days = covered_days(reports, statements, as_of=as_of)
        entries, excluded = company_entries(transactions, days, names, categories=categories)
        found = _sides(entries), excluded
    sums = found[0].groupby(_KEYS, dropna=False)[["n_entries", "credit", "debit"]].sum()
    table = sums.sort_index().reset_index()
    moved = table["credit"] + table["debit"]
    total = moved.groupby([table["company_id"], table["currency"]]).transform("sum")
    table["share_ratio"] = moved / total.where(total > 0)
    result = frames.typed(table.assign(currency=table["currency"].mask(table["currency"] == "")), SHARES)
    seen = frames.newest_reports(reports, product="bank", as_of=as_of)
    result.attrs["base"] = frames.base(result["company_id"].nunique(), seen, excluded=found[1], as_of=as_of)
    return result


_KEYS = ["company_id", "currency", "category"]


def _sides(entries: pd.DataFrame) -> pd.DataFrame:
    amount = entries["amount"]
    return entries.assign(credit=amount.clip(lower=0), debit=-amount.clip(upper=0), n_entries=1)


def _summed_by_engine(
    transactions: Frame, reports: Frame, as_of: AsOf | None
) -> tuple[pd.DataFrame, dict[str, int]] | None:
    """The sums of each company, and the entries left out; None where the currency of an account must be asked."""
    amount, zero = nw.col("amount"), nw.lit(0.0)
    sides = {
        "credit": nw.when(amount > 0).then(amount).otherwise(zero),
        "debit": nw.when(amount < 0).then(-amount).otherwise(zero),
    }
    category = nw.col("category")
    rows, versions = settled_entries(transactions, reports, ("category",), as_of=as_of, category=category, **sides)
    sums = rows.group_by("company_id", "state", "currency", "category").agg(
        nw.col("credit").sum(), nw.col("debit").sum(), nw.len().alias("n_entries")
    )
    table = frames.collect(sums, TRANSACTIONS, REPORTS)
    currency = currency_by_company(table, transactions, versions)
    if currency is None:
        return None
    counts = table.groupby("state")["n_entries"].sum()
    return table.assign(currency=currency)[table["state"] == MINE], left_out(counts)
