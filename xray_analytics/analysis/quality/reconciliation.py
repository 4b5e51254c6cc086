"""Do the figures of a bank report agree with each other? One row per check; exact, to the last of 18 digits.

Money is compared as whole numbers of 1/10,000 of the currency. Amounts of 1e11 or more are not exact as floats:
checks that need one are *unknown*, and so is every check that the data do not allow. `off` says that two
figures differ, not which of them is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...schema import MONEY_UNIT, Column, Table
from ...tables import MOVEMENT_METRICS, REPORT_ID, REPORT_VERSION, STATEMENT_SUMMARIES, TRANSACTIONS
from .. import frames
from ..chunks import by_report
from ..days import covered, days
from ..frames import Frame

CHECKS = ("arithmetic", "chain", "transactions", "running_balance", "annualised", "service_verdict")
LEDGER = Table(
    "reconciliation",
    "One row per check, item and statement, the result of reconciliation.",
    (
        REPORT_ID,
        REPORT_VERSION,
        Column("statement_no", "int", "Position in the payload, from 0; null for a check of the whole report.", lo=0),
        Column("check", "text", "The check.", choices=CHECKS, required=True),
        Column("item", "text", "What is compared.", required=True),
        Column("expected", "float", "What follows from the other figures."),
        Column("observed", "float", "What the report says."),
        Column("difference", "float", "Observed less expected, computed exactly."),
        Column("tolerance", "float", "Largest difference that is ok.", required=True),
        Column("verdict", "text", "Ok, off, or unknown.", choices=("ok", "off", "unknown"), required=True),
    ),
    ("report_id", "report_version", "statement_no", "check", "item"),
)
DAYS_PER_YEAR = 365  # inferred from the documented sample: 68226.41 * 365 / 31 = 803310.96
_CENT = MONEY_UNIT // 100
_EXACT_BELOW = 1e11  # money above it is not exact as a float
_COUNTS = ("gap_days", "balance_after", "movements")  # items in days, steps and yes or no; the others are money
_SPAN = 10_000_000  # more days than any calendar in use: account * _SPAN + day is one number per account and day
_OWNERS = 2**12  # more versions than any report has: report * _OWNERS + version is one number per version
_ACCOUNTS = 2**16  # more accounts than any report has


def reconciliation(statements: Frame, transactions: Frame, movements: Frame | None = None) -> pd.DataFrame:
    """The ledger of a store: every figure of a bank report that follows from others, with the difference.

    ===============  =============  ==================================================
    check            item           expected against observed
    ===============  =============  ==================================================
    arithmetic       end_balance    start + credits - debits against the end balance
    chain            gap_days       0 against this start less the previous end
    chain            start_balance  the previous end balance against this start
    transactions     total_credit   the statement's total against its entries above 0
    transactions     total_debit    the statement's total against its entries below 0
    running_balance  balance_after  steps there are against steps that fit together
    annualised       the metric     period * 365 / days against the service's figure
    service_verdict  movements      arithmetic is ok against the service says correct
    ===============  =============  ==================================================

    A gap below 0 is an overlap; after a gap or an overlap the balance is *unknown*. A statement of n entries
    has n + 1 steps from its start balance to its end balance; they fit together when every balance is reached
    as often as it is left, whatever the order of the entries, which is not documented. The service's verdict is
    1 for *correct*, 0 for *incorrect*.

    Parameters
    ----------
    statements
        The table `statement_summaries`. A statement covers the days after its start up to its end. The order of
        an account's statements is that of their days; the first has no row of `chain`.
    transactions
        The table `transactions`. An entry belongs to the statement of its account that covers its booking day.
    movements
        The table `movement_metrics`. That the days are those that at least one statement covers is assumed
        where there are several statements (documented for none, inferred from one).

    Returns
    -------
    DataFrame
        The columns of `LEDGER`: `report_id`, `report_version`, `statement_no` (null for annualised), `check`,
        `item`, `expected`, `observed`, `difference` (observed less expected), `tolerance` [major units; days,
        steps, 1 or 0; 0.01 for annualised, else 0], `verdict`: ``ok``, ``off``, or ``unknown`` where a figure
        is missing, accounts cannot be told apart, statements overlap, or entries lack a day or an amount.
        Sorted by report, version, statement, check as above, item. Every version given has its rows; reports are
        independent of each other and done in parts. ``attrs["base"]`` counts statements, and entries outside every
        statement or without day or amount.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    The statement of the documented sample; its entries are not known.

    >>> from xray_analytics import tables
    >>> statements = STATEMENT_SUMMARIES.example(
    ...     report_id="61e1a2b3c4d5e6f708192a3b", account_no=0, start_date="2021-07-31", end_date="2021-08-31",
    ...     start_balance=166623.16, end_balance=262738.66, total_credit=164341.91, total_debit=68226.41,
    ...     movements="correct",
    ... )
    >>> reconciliation(statements, tables.TRANSACTIONS.empty())[["check", "expected", "difference", "verdict"]]
                 check   expected  difference  verdict
    0       arithmetic  262738.66         0.0       ok
    1     transactions  164341.91         NaN  unknown
    2     transactions   68226.41         NaN  unknown
    3  running_balance       1.00         NaN  unknown
    4  service_verdict       1.00         0.0       ok
    """
    given = ((transactions, TRANSACTIONS), (statements, STATEMENT_SUMMARIES))
    return by_report(_ledger, *given, None if movements is None else (movements, MOVEMENT_METRICS))


def _ledger(transactions: Frame, statements: Frame, movements: Frame | None) -> pd.DataFrame:
    book = _book(statements)
    entries = _entries(transactions, book)
    arithmetic = _arithmetic(book)
    parts = [arithmetic, *_chain(book), *_sums(book, entries), _running_balance(book, entries)]
    parts.append(_service_verdict(book, arithmetic["verdict"]))
    if movements is not None:
        parts.append(_annualised(book, movements))
    table = frames.typed(pd.concat(parts, ignore_index=True), LEDGER)
    table["order"] = pd.Categorical(table["check"], CHECKS, ordered=True).codes
    keys = ["report_id", "report_version", "statement_no", "order", "item"]
    result = table.sort_values(keys, ignore_index=True, kind="stable").drop(columns="order")
    result.attrs["base"] = {
        "used": len(book),
        "excluded": {
            "entries_outside_statements": int(((entries["row"] < 0) & ~entries["is_poor"]).sum()),
            "entries_without_day_or_amount": int(entries["is_poor"].sum()),
        },
        "backfilled": None,  # not known from the statements
        "as_of": None,
        "filters": {},
    }
    return result


def _units(values: pd.Series[Any]) -> pd.Series[Any]:
    """Money in whole numbers of 1/10,000 as Int64; null where it is missing or too large for an exact float."""
    exact = values.abs() < _EXACT_BELOW
    return pd.Series(np.rint(values.where(exact, 0) * MONEY_UNIT), dtype="Int64").mask(~exact)


def _book(statements: Frame) -> pd.DataFrame:
    """The statements by account and day, with their figures in units and what is odd about their days."""
    money = ("start_balance", "end_balance", "total_credit", "total_debit")
    keys = ("report_id", "report_version", "account_no", "statement_no", "start_date", "end_date")
    lazy = frames.scan(statements, STATEMENT_SUMMARIES, (*keys, *money, "movements"))
    book = frames.collect(lazy, STATEMENT_SUMMARIES)
    book["report"] = pd.factorize(book["report_id"])[0]
    book = book.assign(owner=_owner(book), start=days(book["start_date"]), end=days(book["end_date"]))
    book["account"] = np.unique(_account(book), return_inverse=True)[1]
    book = book.assign(**{name: _units(book[name]) for name in money})
    book = book.sort_values(["account", "start", "end", "statement_no"], ignore_index=True)
    account = book["account"]
    reach = book["end"].fillna(0).groupby(account).cummax().groupby(account).shift()
    following = book["start"].groupby(account).shift(-1)
    overlaps = (book["start"] < reach).fillna(False) | (book["end"] > following).fillna(False)
    return book.assign(is_apart=~overlaps & book["start"].notna() & book["end"].notna())


def _owner(frame: pd.DataFrame) -> pd.Series[int]:
    return frame["report"] * _OWNERS + frame["report_version"].astype("int64")


def _account(frame: pd.DataFrame) -> pd.Series[int]:
    return frame["owner"] * _ACCOUNTS + (frame["account_no"].fillna(-1).astype("int64") + 1)


def _rows(of: pd.DataFrame, item: str, expected: Any, observed: Any, *, known: Any = None) -> pd.DataFrame:
    """One row per row of `of`: both figures, their difference, and the verdict."""
    check = _CHECK_OF.get(item, "annualised")
    tolerance, scale = (_CENT if check == "annualised" else 0), (1 if item in _COUNTS else MONEY_UNIT)
    difference = observed - expected
    difference = difference if known is None else difference.where(known)
    verdict = np.where(difference.isna(), "unknown", np.where(difference.abs().fillna(0) > tolerance, "off", "ok"))
    figures = {"expected": expected, "observed": observed, "difference": difference}
    columns = {name: (units / scale).astype("Float64") for name, units in figures.items()}
    return of[["report_id", "report_version", "statement_no"]].assign(
        check=check, item=item, **columns, tolerance=tolerance / scale, verdict=verdict
    )


def _arithmetic(book: pd.DataFrame) -> pd.DataFrame:
    expected = book["start_balance"] + book["total_credit"] - book["total_debit"]
    return _rows(book, "end_balance", expected, book["end_balance"])


def _chain(book: pd.DataFrame) -> list[pd.DataFrame]:
    before = book.groupby("account")[["end", "end_balance"]].shift()
    follows = book.duplicated("account") & book["account_no"].notna()
    gap = (book["start"] - before["end"]).where(follows)
    links = book.duplicated("account")
    rows = [
        _rows(book, "gap_days", gap * 0, gap),
        _rows(book, "start_balance", before["end_balance"], book["start_balance"], known=(gap == 0).fillna(False)),
    ]
    return [part[links] for part in rows]


def _entries(transactions: Frame, book: pd.DataFrame) -> pd.DataFrame:
    """The entries in units, each with the row of the book that covers it; -1 where there is none."""
    columns = ("report_id", "report_version", "account_no", "booked_date", "amount", "balance_after")
    table = frames.collect(frames.scan(transactions, TRANSACTIONS, columns), TRANSACTIONS)
    numbers = book.drop_duplicates("report_id").set_index("report_id")["report"]
    codes, ids = pd.factorize(table["report_id"])
    table["report"] = numbers.reindex(ids, fill_value=-1).to_numpy("int64")[codes]
    table["owner"] = _owner(table)
    table = table.assign(account=_dense_account(table, book), day=days(table["booked_date"]))
    table = table.assign(amount=_units(table["amount"]), balance_after=_units(table["balance_after"]))
    table["is_poor"] = table["amount"].isna() | table["day"].isna()
    return table.assign(row=_covering(table, book))


def _dense_account(entries: pd.DataFrame, book: pd.DataFrame) -> np.ndarray:
    """The accounts of the book as it numbers them; -1 for one that has no statement."""
    numbers = np.unique(_account(book))
    wanted = _account(entries).to_numpy()
    place = np.searchsorted(numbers, wanted)
    found = numbers[np.minimum(place, len(numbers) - 1)] == wanted if len(numbers) else np.zeros(len(wanted), bool)
    return np.where(found, place, -1)


def _covering(entries: pd.DataFrame, book: pd.DataFrame) -> np.ndarray:
    """The statement of the same account that starts last before the day, if it reaches that far."""
    if not len(book):
        return np.full(len(entries), -1)
    starts = (book["account"] * _SPAN + book["start"].fillna(_SPAN - 1)).to_numpy("int64")
    account, day = entries["account"].to_numpy(), entries["day"].fillna(-1).to_numpy("int64")
    row = np.searchsorted(starts, account * _SPAN + day) - 1
    place = np.maximum(row, 0)
    same = book["account"].to_numpy()[place] == account
    inside = (row >= 0) & same & (day <= book["end"].fillna(-1).to_numpy("int64")[place])
    return np.where(inside & ~entries["is_poor"].to_numpy(), row, -1)


def _readable(book: pd.DataFrame, entries: pd.DataFrame) -> pd.Series[bool]:
    """Statements whose entries are known to be all there: none is without day, amount or account."""
    poor = entries.loc[entries["is_poor"], "account"]
    stray = entries.loc[entries["account"] < 0, "owner"]
    has_entries = book["owner"].isin(entries["owner"].unique())
    return book["is_apart"] & has_entries & ~book["account"].isin(poor) & ~book["owner"].isin(stray)


def _sums(book: pd.DataFrame, entries: pd.DataFrame) -> list[pd.DataFrame]:
    placed, known = entries[entries["row"] >= 0], _readable(book, entries)
    parts = []
    for item, sign in (("total_credit", 1), ("total_debit", -1)):
        signed = placed["amount"] * sign
        sums = signed[signed > 0].groupby(placed["row"]).sum().reindex(book.index, fill_value=0)
        parts.append(_rows(book, item, book[item], sums, known=known))
    return parts


def _running_balance(book: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Every entry leads from one balance to another: each must be left as often as it is reached.

    So the balances before the entries and the end balance are the balances after them and the start balance, in
    any order.
    """
    placed = entries[entries["row"] >= 0]
    blind = placed.loc[placed["balance_after"].isna(), "row"]
    known = _readable(book, entries) & book["start_balance"].notna() & book["end_balance"].notna()
    known &= ~book.index.isin(blind)
    placed = placed[known.to_numpy()[placed["row"]]] if len(book) else placed
    after, ends = placed["balance_after"].to_numpy("int64"), book[known]
    reached = np.concatenate([after, ends["start_balance"].to_numpy("int64")])
    left = np.concatenate([after - placed["amount"].to_numpy("int64"), ends["end_balance"].to_numpy("int64")])
    rows = np.concatenate([placed["row"].to_numpy(), ends.index.to_numpy()])
    broken = _unmatched(rows, reached, left).reindex(book.index, fill_value=0)
    steps = placed.groupby("row").size().reindex(book.index, fill_value=0).astype("Int64") + 1
    return _rows(book, "balance_after", steps, steps - broken, known=known)


def _unmatched(rows: np.ndarray, reached: np.ndarray, left: np.ndarray) -> pd.Series[Any]:
    """Per row, how many of the numbers reached are not among the numbers left, repetitions counted."""
    row, value = np.tile(rows, 2), np.concatenate([reached, left])
    sign = np.repeat([1, -1], len(rows))
    order = np.lexsort((value, row))
    row, value = row[order], value[order]
    first = np.flatnonzero(np.append(True, (row[1:] != row[:-1]) | (value[1:] != value[:-1]))[: len(row)])
    surplus = np.add.reduceat(sign[order], first) if len(first) else np.empty(0, "int64")
    return pd.Series(np.maximum(surplus, 0)).groupby(row[first]).sum()


def _annualised(book: pd.DataFrame, movements: Frame) -> pd.DataFrame:
    columns = ("report_id", "report_version", "metric", "period_value", "annualised_value")
    table = frames.collect(frames.scan(movements, MOVEMENT_METRICS, columns), MOVEMENT_METRICS)
    runs = covered(book.dropna(subset=["start", "end"]), "owner")
    n_days = (runs["until"] - runs["after"]).groupby(runs["owner"]).sum()
    undated = book.loc[book["start"].isna() | book["end"].isna(), "owner"]
    owners = book.drop_duplicates("owner")[["report_id", "report_version", "owner"]]
    table = table.merge(owners, how="left", on=["report_id", "report_version"])
    table["statement_no"] = pd.array([None] * len(table), dtype="Int64")
    length = table["owner"].map(n_days.drop(undated.unique(), errors="ignore")).astype("float64")
    expected = _units(table["period_value"] * DAYS_PER_YEAR / length)
    rows = _rows(table, "annualised", expected, _units(table["annualised_value"]))
    return rows.assign(item=table["metric"])


def _service_verdict(book: pd.DataFrame, verdict: pd.Series[Any]) -> pd.DataFrame:
    """`movements` most plausibly certifies the arithmetic (inferred from one sample)."""
    ours = verdict.map({"ok": 1, "off": 0}).astype("Int64")
    theirs = book["movements"].map({"correct": 1, "incorrect": 0}).astype("Int64")
    return _rows(book, "movements", ours, theirs)


_CHECK_OF = {
    "end_balance": "arithmetic", "gap_days": "chain", "start_balance": "chain", "total_credit": "transactions",
    "total_debit": "transactions", "balance_after": "running_balance", "movements": "service_verdict",
}  # fmt: skip
