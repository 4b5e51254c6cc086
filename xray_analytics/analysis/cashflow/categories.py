"""What kind of movement is it? French label families as data, and what is left when only operations count.

The rules are in ``categories.toml`` beside this module: readable, replaceable, first match wins. A label that no
rule knows has no category; how many there are is in ``attrs["base"]``. The service's own `category` is not read: its
words are not documented. Which two entries belong together is decided by amount and time: each is used once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ...errors import InputError
from ...schema import MONEY_UNIT, Column, Table
from ...tables import REPORT_ID, REPORT_VERSION, TRANSACTIONS
from .. import frames
from ..days import days as day_numbers
from ..frames import Frame
from .labels import stems

Rules: TypeAlias = Mapping[str, Any]
KEY = ("report_id", "report_version", "transaction_no")
SIDES = ("credit", "debit")
_GROUP = ["report_id", "report_version", "units"]
PAIRED_DAYS = 3  # an own transfer reaches the other account at once, or over a weekend
RETURN_DAYS = 5  # a rejected debit comes back a day or two later, over a weekend or a holiday a few more
CATEGORIES = Table(
    "categories",
    "One row per transaction, the result of categories.",
    (
        REPORT_ID,
        REPORT_VERSION,
        TRANSACTIONS["transaction_no"],
        Column("category", "text", "Family of the movement; null where no rule knows the label."),
        Column("rule", "text", "Id of the rule that decided."),
    ),
    KEY,
)
OPERATING = Table(
    "operating",
    "One row per operating transaction, the result of operating.",
    (
        *(TRANSACTIONS[name] for name in ("report_id", "report_version", "account_no", "transaction_no")),
        *(TRANSACTIONS[name] for name in ("booked_date", "label", "amount", "currency", "counterparty")),
        CATEGORIES["category"],
    ),
    KEY,
)


def shipped_categories() -> dict[str, Any]:
    """The rules of ``categories.toml``, fresh: change them and pass them as `rules`.

    >>> shipped_categories()["rule"][0]["id"]
    'seizure_fee'
    """
    return tomllib.loads(resources.files(__package__).joinpath("categories.toml").read_text("utf-8"))


def categories(transactions: Frame, rules: Rules | None = None) -> pd.DataFrame:
    """The family of every transaction, by its label and its sign.

    Each distinct label stem is judged once, so that a million labels take seconds. Two plain transfers of the same
    amount between two accounts of one report, at most three days apart, are one internal transfer whatever their
    labels say (rule ``paired_accounts``).

    Parameters
    ----------
    transactions
        The table `transactions`.
    rules
        As `shipped_categories` gives them.

    Returns
    -------
    DataFrame
        The columns of `CATEGORIES`: `report_id`, `report_version`, `transaction_no`, `category`, `rule`; null where
        no rule knows the label, the label is missing, or the rule needs a sign and the amount is missing. Sorted by
        the first three. ``attrs["base"]``: transactions with a category, and `unmatched` among the excluded.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or a rule lacks an id, a category, a known side or a pattern.

    Examples
    --------
    >>> labels = ["PRLV SEPA URSSAF BRETAGNE", "VIR SEPA PRIMEUR PARIS", "REMBT PRLV ZEPHYR", "???"]
    >>> transactions = TRANSACTIONS.example(
    ...     report_id="a", account_no=0, label=labels, amount=[-900.0, -50.0, 59.9, 1.0],
    ...     booked_date="2025-01-15",
    ... )
    >>> found = categories(transactions)
    >>> found["category"].fillna("").tolist(), found.attrs["base"]["excluded"]
    (['social_security', 'transfer_out', 'refund', ''], {'unmatched': 1})
    """
    chosen = _checked(shipped_categories() if rules is None else rules)
    columns = (*KEY, "account_no", "label", "amount", "currency", "booked_date")
    table = frames.collect(frames.scan(transactions, TRANSACTIONS, columns), TRANSACTIONS)
    table = table.sort_values(list(KEY), ignore_index=True)  # pairs go by position
    stem, sign = stems(table["label"]), np.sign(table["amount"].fillna(0).to_numpy()).astype("int64")
    codes, unique = pd.factorize(stem)
    kinds, of_kind = np.unique(codes[codes >= 0] * 3 + sign[codes >= 0] + 1, return_inverse=True)
    judged = pd.DataFrame({"stem": unique[kinds // 3], "sign": kinds % 3 - 1})
    no = np.full(len(table), -1)
    no[codes >= 0] = _first_rule(judged, chosen)[of_kind]
    result = table[list(KEY)].assign(
        category=np.array([rule["category"] for rule in chosen] + [None], dtype=object)[no],
        rule=np.array([rule["id"] for rule in chosen] + [None], dtype=object)[no],
    )
    internal = _between_own_accounts(table, result["category"])
    result.loc[internal, ["category", "rule"]] = ["internal_transfer", "paired_accounts"]
    result = frames.typed(result, CATEGORIES)
    unmatched = int(result["category"].isna().sum())
    result.attrs["base"] = _base(len(result) - unmatched, {"unmatched": unmatched})
    return result


def operating(transactions: Frame, categories: Frame, *, rules: Rules | None = None) -> pd.DataFrame:
    """The transactions that are operations: what a company earns, spends and owes, each once.

    Left out are internal transfers, loans received, what owners bring or take, refunds, returned cheques of
    customers, and both sides of a rejected debit: the credit and the debit of the same account and amount at most
    five days before it (of several the latest). Loan payments stay: they are what the business must carry.

    Parameters
    ----------
    transactions
        The table `transactions`.
    categories
        The result of `categories`.
    rules
        Their ``operating.excluded`` names the categories left out.

    Returns
    -------
    DataFrame
        The columns of `OPERATING`: the key, `account_no`, `booked_date`, `label`, `amount` [currency; above 0 is a
        credit], `currency`, `counterparty`, `category`. Sorted by the key. It can stand wherever `transactions` are
        asked for. Transactions without a category stay. ``attrs["base"]`` counts what was left out by category, and
        `rejected_debit` for the debits that came back.

    Raises
    ------
    InputError
        A column is absent or of the wrong type.

    Examples
    --------
    >>> transactions = TRANSACTIONS.example(
    ...     report_id="a", account_no=0, booked_date=["2025-01-06", "2025-01-06", "2025-01-07"],
    ...     label=["PRLV SEPA LUNE", "PRLV SEPA ZEPHYR", "REJET PRLV LUNE"], amount=[-80.0, -60.0, 80.0],
    ... )
    >>> operating(transactions, globals()["categories"](transactions))["label"].tolist()
    ['PRLV SEPA ZEPHYR']
    """
    left_out = (shipped_categories() if rules is None else rules)["operating"]["excluded"]
    table = with_categories(transactions, categories, OPERATING.names[:-1])
    kept = ~table["category"].isin(left_out).to_numpy(bool)
    returned = np.zeros(len(table), bool)
    returned[rejected_pairs(table)["debit"]] = True
    counts = table.loc[~kept, "category"].value_counts().sort_index()
    excluded = {str(name): int(n) for name, n in counts.items()} | {"rejected_debit": int((returned & kept).sum())}
    result = frames.typed(table[kept & ~returned].reset_index(drop=True), OPERATING)
    result.attrs["base"] = _base(len(result), excluded)
    return result


def with_categories(transactions: Frame, categories: Frame, columns: tuple[str, ...]) -> pd.DataFrame:
    """These columns of the transactions in pandas, with the category of each, sorted by the key."""
    table = frames.collect(frames.scan(transactions, TRANSACTIONS, (*KEY, *columns)), TRANSACTIONS)
    known = frames.collect(frames.scan(categories, CATEGORIES, (*KEY, "category")), CATEGORIES)
    if known.duplicated(list(KEY)).any():
        raise InputError("the frame of categories names a transaction twice; give the result of one call")
    return table.merge(known, on=list(KEY), how="left").sort_values(list(KEY), ignore_index=True)


def rejected_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Positions of rejects (`credit`) and of the debits that they return (`debit`), where these are found."""
    credit = (table["category"] == "reject").fillna(False).to_numpy(bool)
    debit = (table["amount"] < 0).to_numpy(bool)
    return opposite_pairs(table, credit, debit, days=(-RETURN_DAYS, 0))


def _between_own_accounts(table: pd.DataFrame, category: pd.Series[Any]) -> np.ndarray:
    """Positions of plain transfers that left one account of a report and reached another."""
    plain = [category.isin([name]).to_numpy(bool) for name in ("transfer_in", "transfer_out")]
    pairs = opposite_pairs(table, *plain, days=(-PAIRED_DAYS, PAIRED_DAYS), same_account=False)
    return np.concatenate([pairs["credit"].to_numpy("int64"), pairs["debit"].to_numpy("int64")])


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
        `report_id`, `report_version`, `account_no`, `booked_date`, `amount`, `currency`; two that name different
        currencies are no pair.
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
    rows = table[["report_id", "report_version", "account_no", "currency"]].assign(
        position=np.arange(len(table)), day=day_numbers(table["booked_date"]), units=_units(table["amount"])
    )
    usable = (rows["day"].notna() & rows["units"].gt(0)).to_numpy(bool)
    pairs = rows[credits_ & usable].merge(rows[debits & usable], on=_GROUP, suffixes=("_credit", "_debit"))
    apart = pairs["day_debit"] - pairs["day_credit"]
    account, other = (pairs[f"account_no_{side}"].fillna(-1) for side in ("credit", "debit"))
    fits = (account == other) if same_account else (account != other) & (account >= 0) & (other >= 0)
    one, another = (pairs[f"currency_{side}"].fillna("") for side in ("credit", "debit"))
    fits &= (one == another) | (one == "") | (another == "")
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


def _first_rule(judged: pd.DataFrame, rules: list[Mapping[str, Any]]) -> np.ndarray:
    """Of each stem and sign the position of the first rule that matches, -1 for none."""
    found, stems_ = np.full(len(judged), -1), judged["stem"].to_numpy(object)
    for no, rule in enumerate(rules):
        open_ = found < 0
        if "side" in rule:
            open_ &= judged["sign"].to_numpy() == (1 if rule["side"] == "credit" else -1)
        left, matches = np.flatnonzero(open_), re.compile(rule["pattern"]).search
        hit = np.fromiter((matches(stem) is not None for stem in stems_[left]), bool, len(left))
        found[left[hit]] = no
    return found


def _checked(rules: Rules) -> list[Mapping[str, Any]]:
    chosen = rules.get("rule")
    if not isinstance(chosen, list) or not chosen:
        raise InputError("category rules need a list named 'rule'; see shipped_categories()")
    for rule in chosen:
        if missing := {"id", "category", "pattern"} - set(rule):
            raise InputError(f"the category rule {rule.get('id', rule)!r} lacks {', '.join(sorted(missing))}")
        if rule.get("side", "credit") not in SIDES:
            raise InputError(f"the category rule {rule['id']!r} has side {rule['side']!r}; choose credit or debit")
        try:
            re.compile(rule["pattern"])
        except re.error as error:
            raise InputError(f"the pattern of the category rule {rule['id']!r} is wrong: {error}") from None
    return chosen


def _base(used: int, excluded: Mapping[str, int]) -> dict[str, Any]:
    """Nothing is known here of companies and times: transactions are counted."""
    return {"used": used, "excluded": dict(excluded), "backfilled": None, "as_of": None, "filters": {}}
