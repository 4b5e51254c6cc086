"""Which two entries belong together: the same amount with opposite signs, close in time, each used once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...schema import MONEY_UNIT
from ..days import days as day_numbers

_GROUP = ["report_id", "report_version", "units"]


def opposite_pairs(
    table: pd.DataFrame,
    credits_: np.ndarray,
    debits: np.ndarray,
    *,
    days: tuple[int, int],
    same_account: bool = True,
) -> pd.DataFrame:
    """Positions of credits and of the debits of the same report and amount, booked so many days from the credit.

    Parameters
    ----------
    table
        `report_id`, `report_version`, `account_no`, `booked_date`, `amount`.
    credits_, debits
        Which rows may be one or the other.
    days
        The debit's day less the credit's, lowest and highest.
    same_account
        The same account, else two different ones that are known.

    Returns
    -------
    DataFrame
        `credit`, `debit`: positions in `table`; each row at most once, the closest in time first, ties by position.
    """
    rows = table[["report_id", "report_version", "account_no"]].assign(
        position=np.arange(len(table)), day=day_numbers(table["booked_date"]), units=_units(table["amount"])
    )
    usable = (rows["day"].notna() & rows["units"].gt(0)).to_numpy(bool)
    pairs = rows[credits_ & usable].merge(rows[debits & usable], on=_GROUP, suffixes=("_credit", "_debit"))
    apart = pairs["day_debit"] - pairs["day_credit"]
    account, other = (pairs[f"account_no_{side}"].fillna(-1) for side in ("credit", "debit"))
    fits = (account == other) if same_account else (account != other) & (account >= 0) & (other >= 0)
    near = pairs.assign(apart=apart.abs())[fits & apart.between(*days)]  # assigning to no rows would add some
    near = near.sort_values(["apart", "position_credit", "position_debit"])
    return _one_to_one(near.rename(columns={"position_credit": "credit", "position_debit": "debit"}))


def _units(amounts: pd.Series[float]) -> pd.Series[int]:
    return (amounts.abs() * MONEY_UNIT).round().fillna(0).astype("int64")


def _one_to_one(pairs: pd.DataFrame) -> pd.DataFrame:
    """The best pair of each, again and again among the rest, until no pair is left."""
    chosen = [pairs.iloc[:0]]
    while len(pairs):
        best = pairs[~pairs.duplicated("credit") & ~pairs.duplicated("debit")]
        chosen.append(best)
        pairs = pairs[~pairs["credit"].isin(best["credit"]) & ~pairs["debit"].isin(best["debit"])]
    return pd.concat(chosen)[["credit", "debit"]].astype("int64").reset_index(drop=True)
