"""What stood on the account on every day, from the statements' balances and the entries between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...schema import MONEY_UNIT, Column, Table
from ...tables import MONTHLY_SUMMARIES, REPORT_ID, REPORT_VERSION, STATEMENT_SUMMARIES, TRANSACTIONS
from .. import frames
from ..chunks import by_report
from ..days import days as day_numbers
from ..frames import Frame

DAILY = Table(
    "daily_balances",
    "One row per report, account, currency and covered day, the result of daily_balances.",
    (
        REPORT_ID,
        REPORT_VERSION,
        TRANSACTIONS["account_no"],
        MONTHLY_SUMMARIES["currency"],
        Column("day", "date", "The day.", required=True),
        Column("balance", "money", "Balance at its end; null where unknown.", unit="currency, major units"),
        Column("credit", "money", "Credits of the day, positive; null without a basis.", unit="currency, major units"),
        Column("debit", "money", "Debits of the day, positive; null without a basis.", unit="currency, major units"),
        Column(
            "basis", "text", "The statement balance it rests on, and whether entries lead from one to the other.",
            choices=("reconciled", "start", "end", "unknown"), required=True,
        ),
    ),
    ("report_id", "report_version", "account_no", "currency", "day"),
)  # fmt: skip
_ACCOUNT = ["report_id", "report_version", "account_no"]
_BOOK = [*_ACCOUNT, "currency"]


def daily_balances(transactions: Frame, statements: Frame) -> pd.DataFrame:
    """The balance at the end of every covered day, carried forward over days without entries.

    Within a statement: start balance + the entries so far; without a start balance, end balance - the entries still
    to come. Sums are exact. Reports are independent of each other and done in parts: beside the result memory does not
    grow with the store.

    Parameters
    ----------
    transactions
        The table `transactions`. The currency of an account is the one that its entries name; one with several has a
        row of each, without balances.
    statements
        The table `statement_summaries`. A statement covers the days after its start up to its end; of a day that
        several statements of an account cover the latest starting one speaks.

    Returns
    -------
    DataFrame
        The columns of `DAILY`: `report_id`, `report_version`, `account_no`, `currency`, `day`, `balance`, `credit`,
        `debit` [currency, major units; credit and debit are null where the statement has no basis: its entries cannot
        all be read, or are missing], `basis`: ``reconciled`` (start + entries = end), ``start`` or ``end`` (from that
        balance; the other is missing, or the entries do not lead to it), ``unknown`` (no balance, several currencies,
        no basis, or an entry of the account without day or amount; balance null). Sorted by the first five. No row for
        statements whose account cannot be told. ``attrs["base"]`` counts statements, and entries outside every
        statement.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    >>> day = pd.to_datetime(["2025-01-31", "2025-02-03", "2025-02-02"])
    >>> own = {"report_id": "a", "report_version": 1, "account_no": 0}
    >>> statements = pd.DataFrame(own | {
    ...     "statement_no": [0], "start_date": day[:1], "end_date": day[1:2],
    ...     "start_balance": 100.0, "end_balance": 130.0,
    ... })
    >>> transactions = pd.DataFrame(own | {"transaction_no": [0], "booked_date": day[2:], "amount": 30.0})
    >>> daily_balances(transactions, statements)["balance"].tolist()
    [100.0, 130.0, 130.0]
    """
    return by_report(_daily_balances, (transactions, TRANSACTIONS), (statements, STATEMENT_SUMMARIES))


def _daily_balances(transactions: Frame, statements: Frame) -> pd.DataFrame:
    rows = frames.scan(transactions, TRANSACTIONS, (*_BOOK, "booked_date", "amount"))
    table, statement_rows = frames.collect(rows, TRANSACTIONS), _spans(statements)
    spans = _in_currencies(statement_rows, table)
    cells = _cells(spans)
    entries, n_outside, n_poor = _entries(table, spans, cells)
    for side, sign in (("credit", 1), ("debit", -1)):
        amount = np.maximum(entries["units"].to_numpy() * sign, 0)
        cells[side] = np.bincount(entries["cell"], amount.astype("float64"), len(cells)).round().astype("int64")
    net = cells["credit"] - cells["debit"]
    so_far = net.groupby(cells["span"]).cumsum()
    total = net.groupby(cells["span"]).sum().reindex(spans.index, fill_value=0)
    basis = _basis(spans, total)
    anchor = spans["start_units"].where(basis != "end", spans["end_units"] - total)
    table = cells.assign(balance=anchor.to_numpy()[cells["span"]] + so_far, basis=basis.to_numpy()[cells["span"]])
    table["balance"] = table["balance"].where(table["basis"] != "unknown")
    for name in ("balance", "credit", "debit"):
        table[name] = table[name].astype("Float64") / MONEY_UNIT
    is_based = spans["has_basis"].to_numpy()[cells["span"]]
    for name in ("credit", "debit"):
        table[name] = table[name].where(is_based)
    table[_BOOK] = spans.loc[cells["span"], _BOOK].set_axis(table.index)
    table["day"] = table["day"].to_numpy("int64").astype("datetime64[D]").astype("datetime64[us]")
    table = table.sort_values([*_BOOK, "day"], ignore_index=True)
    result = frames.typed(table.assign(currency=table["currency"].mask(table["currency"] == "")), DAILY)
    excluded = {"entries_outside_statements": n_outside, "entries_without_day_or_amount": n_poor}
    result.attrs["base"] = {
        "used": len(statement_rows), "excluded": excluded, "backfilled": None, "as_of": None, "filters": {},
    }  # fmt: skip
    return result


def _spans(statements: Frame) -> pd.DataFrame:
    columns = (*_ACCOUNT, "statement_no", "start_date", "end_date", "start_balance", "end_balance", "has_basis")
    table = frames.collect(frames.scan(statements, STATEMENT_SUMMARIES, columns), STATEMENT_SUMMARIES)
    table["has_basis"] = table["has_basis"].fillna(True).astype(bool)
    table = table.assign(start=day_numbers(table["start_date"]), end=day_numbers(table["end_date"]))
    table = table[table["account_no"].notna() & (table["end"] > table["start"]).fillna(False)]
    table = table.sort_values([*_ACCOUNT, "start", "end", "statement_no"], ignore_index=True)
    for side in ("start", "end"):
        table[f"{side}_units"] = _units(table[f"{side}_balance"])
    return table


def _in_currencies(spans: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """The statements of each account in its currency, "" where none is named; `entries` get that of their account.

    The statements of an account with several are there once for each, and mixed.
    """
    named = entries.loc[entries["currency"].notna(), _BOOK].drop_duplicates()
    several = named.duplicated(_ACCOUNT, keep=False)
    nameless = entries.loc[entries["currency"].isna(), _ACCOUNT].drop_duplicates() if several.any() else named[:0]
    further = nameless.merge(named.loc[several, _ACCOUNT].drop_duplicates(), on=_ACCOUNT).assign(currency="")
    books = pd.concat([named, further]).assign(is_mixed=lambda t: t.duplicated(_ACCOUNT, keep=False))
    spans = spans.merge(books, on=_ACCOUNT, how="left").fillna({"currency": "", "is_mixed": False})
    single = entries[_ACCOUNT].merge(named[~several], on=_ACCOUNT, how="left")["currency"].array
    entries["currency"] = entries["currency"].fillna(pd.Series(single, entries.index)).fillna("")
    return spans.astype({"is_mixed": bool}).sort_values([*_BOOK, "start", "end", "statement_no"], ignore_index=True)


def _units(values: pd.Series[float]) -> pd.Series[Any]:
    return (values * MONEY_UNIT).round().astype("Int64")


def _cells(spans: pd.DataFrame) -> pd.DataFrame:
    """One row per span and day, in the order of accounts and days; a day of two statements is the later one's."""
    start, end = spans["start"].to_numpy("int64"), spans["end"].to_numpy("int64")
    account = spans.groupby(_BOOK, sort=False).ngroup().to_numpy()
    span = np.repeat(np.arange(len(spans)), end - start)
    day = np.arange(len(span)) - np.repeat(np.cumsum(end - start) - (end - start), end - start) + start[span] + 1
    cells = pd.DataFrame({"account": account[span], "span": span, "day": day})
    return cells.drop_duplicates(["account", "day"], keep="last").reset_index(drop=True)


def _entries(table: pd.DataFrame, spans: pd.DataFrame, cells: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """The entries with the position of their cell; how many are outside, how many poor. Poor accounts are marked."""
    accounts = spans.drop_duplicates(_BOOK)[_BOOK]
    accounts = accounts.assign(account=np.arange(len(accounts)))
    table = table.merge(accounts, on=_BOOK, how="left")
    table = table.assign(day=day_numbers(table["booked_date"]), units=_units(table["amount"]))
    poor = table["day"].isna() | table["units"].isna()
    account = spans.groupby(_BOOK, sort=False).ngroup()
    spans["is_poor"] = account.isin(table.loc[poor, "account"]) | spans["is_mixed"] | ~spans["has_basis"]
    placed = table[~poor].merge(
        cells[["account", "day"]].assign(cell=np.arange(len(cells))), on=["account", "day"], how="left"
    )
    inside = placed[placed["cell"].notna()]
    inside = inside[["cell", "units"]].astype("int64")
    return inside, len(placed) - len(inside), int(poor.sum())


def _basis(spans: pd.DataFrame, total: pd.Series[Any]) -> pd.Series[str]:
    start, end = spans["start_units"], spans["end_units"]
    agrees = (start + total == end).fillna(False)
    basis = np.select(
        [spans["is_poor"], agrees, start.notna(), end.notna()], ["unknown", "reconciled", "start", "end"], "unknown"
    )
    return pd.Series(basis, spans.index)
