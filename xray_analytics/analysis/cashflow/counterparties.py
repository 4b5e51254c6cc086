"""On how few payers and payees does a company's money rest?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY, REPORTS, TRANSACTIONS
from .. import frames
from ..frames import AsOf, Frame
from .deduplication import (
    MINE,
    CoveredDays,
    company_entries,
    covered_days,
    currency_by_company,
    left_out,
    settled_entries,
)  # fmt: skip
from .labels import counterparties

SIDES = ("credit", "debit")
_MONEY = "currency, major units"
_FEW = 5  # whose shares are told
CONCENTRATION = Table(
    "counterparty_concentration",
    "One row per company, currency and side, the result of counterparty_concentration.",
    (
        COMPANY_KEY,
        TRANSACTIONS["currency"],
        Column("side", "text", "Credits or debits.", choices=SIDES, required=True),
        Column("n_counterparties", "int", "Different names.", lo=0),
        Column("total", "float", "Sum of the amounts, positive.", unit=_MONEY, lo=0),
        Column("top_counterparty", "text", "The largest."),
        Column("top_1_share_ratio", "float", "Its share.", lo=0, hi=1),
        Column("top_5_share_ratio", "float", "Share of the five largest.", lo=0, hi=1),
        Column("hhi_ratio", "float", "Sum of squared shares; 1 is one counterparty.", lo=0, hi=1),
        Column("named_share_ratio", "float", "Share of the total whose counterparty the entry names.", lo=0, hi=1),
    ),
    ("company_id", "currency", "side"),
)


@dataclass(frozen=True)
class _Sums:
    """Sums of money (`size`, positive) by numbers: 2 · owner, and 1 more for its debits; the party, -1 for none."""

    group: npt.NDArray[np.int64]
    party: npt.NDArray[np.int64]
    size: npt.NDArray[np.float64]

    def where(self, wanted: npt.NDArray[np.bool_]) -> _Sums:
        """Only these."""
        return self if wanted.all() else _Sums(self.group[wanted], self.party[wanted], self.size[wanted])

    def by_group(self, values: npt.NDArray[np.float64], n_groups: int) -> npt.NDArray[np.float64]:
        """The sum of one value each, by group."""
        return _added(self.group, values, n_groups)

    def by_party(self) -> _Sums:
        """Added up, so that every party of a group is there once."""
        n_parties = int(self.party.max(initial=0)) + 1
        number, keys = pd.factorize(self.group * n_parties + self.party)
        group = keys // n_parties
        return _Sums(group, keys - group * n_parties, _added(number, self.size, len(keys)))


def _added(number: npt.NDArray[np.int64], values: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    return np.asarray(np.bincount(number, values, n), np.float64)


def counterparty_concentration(  # noqa: PLR0913 - two frames and what to look at
    transactions: Frame,
    reports: Frame,
    *,
    statements: Frame | None = None,
    as_of: AsOf | None = None,
    named_only: bool = False,
    side: str | None = None,
) -> pd.DataFrame:
    """How much hangs on few payers and payees, by normalised counterparty (`labels.counterparties`).

    Give the result of `operating` as `transactions`, or internal transfers and loans count as counterparties.

    Parameters
    ----------
    transactions
        The table `transactions`, or the result of `operating`.
    reports
        The table `reports`; newest versions of bank reports, overlaps resolved by `entries.covered_days`.
    statements
        The table `statement_summaries`: days are then told apart by account.
    as_of
        Later reports are not seen.
    named_only
        Look at nothing but entries whose counterparty is named; the others are then in no total either.
    side
        ``"credit"`` or ``"debit"``: look at nothing but entries of that side, which is faster. Default both.

    Returns
    -------
    DataFrame
        The columns of `CONCENTRATION`, sorted by company, currency and side. Currencies are not added; an entry that
        names none is in the only one of its account, else of its company. Entries without counterparty count under the
        stem of their label, those without either under no name at all: in `total`, in no share. A name printed in
        two ways is two counterparties: shares are lower bounds. ``attrs["base"]``: companies, and entries left out.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or there is no such side.

    Examples
    --------
    Three payers of 60, 30 and 10: HHI 0.36 + 0.09 + 0.01.

    >>> reports = REPORTS.example(
    ...     report_id="a", company_id="732829320", created_at="2025-04-02", period_start_date="2024-12-31",
    ...     period_end_date="2025-03-31",
    ... )
    >>> transactions = TRANSACTIONS.example(
    ...     report_id="a", account_no=0, label="VIR RECU", booked_date="2025-03-31", amount=[60.0, 30.0, 10.0],
    ...     counterparty=["X", "Y", "Z"],
    ... )
    >>> found = counterparty_concentration(transactions, reports)
    >>> found["top_counterparty"].tolist(), found["top_1_share_ratio"].tolist(), found["hhi_ratio"].round(4).tolist()
    (['X'], [0.6], [0.46])
    """
    given = transactions if side is None else _of_side(transactions, side)
    found = None
    if statements is None and frames.same_kind(transactions, reports):
        found = _amounts_by_engine(given, transactions, reports, as_of, named_only)
    table, excluded = found or _amounts(given, transactions, covered_days(reports, statements, as_of=as_of))
    sums, is_named, owners, parties = _numbered(table, named_only)
    n_groups = 2 * len(owners)
    total = sums.by_group(sums.size, n_groups)
    named = sums.by_group(np.where(is_named, sums.size, 0.0), n_groups)
    group = np.flatnonzero(np.bincount(sums.group))
    table = _shares(sums.where(sums.party >= 0).by_party(), total).iloc[group]
    result = table.assign(
        company_id=owners["company_id"].array[group // 2],
        currency=owners["currency"].array[group // 2],
        side=np.take(SIDES, group % 2),
        total=total[group],
        top_counterparty=pd.Series(parties).reindex(table["party"]).array,
        named_share_ratio=named[group] / total[group],
    )
    result = frames.typed(result.reset_index(drop=True), CONCENTRATION)
    seen = frames.newest_reports(reports, product="bank", as_of=as_of)
    result.attrs["base"] = frames.base(result["company_id"].nunique(), seen, excluded=excluded, as_of=as_of)
    return result


def _amounts(transactions: Frame, whole: Frame, days: CoveredDays) -> tuple[pd.DataFrame, dict[str, int]]:
    """The `amount` of each entry with company, currency, and its name as sent, else its label; entries left out.

    Only what `is_mine` counts. Nothing is added up yet: hardly any label is there twice, and engines take longer to
    group texts than numbers take here.
    """
    entries, excluded = company_entries(transactions, days, ("label", "counterparty"), whole=whole)
    names = {"name": entries["counterparty"].fillna(entries["label"]), "is_named": entries["counterparty"].notna()}
    return entries.assign(is_mine=True, **names), excluded


def _amounts_by_engine(
    transactions: Frame, whole: Frame, reports: Frame, as_of: AsOf | None, named_only: bool
) -> tuple[pd.DataFrame, dict[str, int]] | None:
    """The same where reports alone are given; None where the currency of an account must be asked."""
    columns = ("counterparty",) if named_only else ("counterparty", "label")
    name, is_named = nw.coalesce(*columns), ~nw.col("counterparty").is_null()
    rows, versions = settled_entries(transactions, reports, columns, as_of=as_of, name=name, is_named=is_named)
    table = frames.collect(rows, TRANSACTIONS, REPORTS)
    currency = currency_by_company(table, whole, versions)
    if currency is None:
        return None
    is_mine = table["state"] == MINE
    left = left_out(table.loc[~is_mine, "state"].value_counts())
    return table.assign(is_mine=is_mine, currency=currency), left


def _of_side(transactions: Frame, side: str) -> Any:
    """The entries of one side, and those without amount, which are told apart later."""
    if side not in SIDES:
        raise InputError(f"side is {side!r}; choose {' or '.join(SIDES)}")
    amount = nw.col("amount").cast(nw.Float64)
    is_wanted = amount > 0 if side == "credit" else amount < 0
    return frames.lazy(transactions, TRANSACTIONS, ("amount",)).filter(is_wanted | amount.is_null())


def _numbered(
    found: pd.DataFrame, named_only: bool
) -> tuple[_Sums, npt.NDArray[np.bool_], pd.DataFrame, pd.Index[str]]:
    """Numbers for texts, which are slow to group; whether each is named; the owners of sums; the parties."""
    owner, owners = _owners(found)
    is_named = found["is_named"].to_numpy(bool)
    party, parties = _parties(found["name"], is_named)
    amount = found["amount"].to_numpy("float64")
    sums = _Sums(2 * owner + (amount < 0), party, np.abs(amount))
    counts = found["is_mine"].to_numpy(bool) & (amount != 0) & (is_named | (not named_only))
    return sums.where(counts), is_named[counts], owners, parties


def _owners(found: pd.DataFrame) -> tuple[npt.NDArray[np.int64], pd.DataFrame]:
    """The number of each row's company and currency, in the order of these; and both by number."""
    company, companies = pd.factorize(found["company_id"].astype("string"), sort=True)
    currency, currencies = pd.factorize(found["currency"].astype("string"), sort=True)
    number, keys = pd.factorize(company * max(1, len(currencies)) + currency, sort=True)
    names = pd.Series(currencies[keys % max(1, len(currencies))], dtype="string")
    owners = {"company_id": companies[keys // max(1, len(currencies))], "currency": names.mask(names == "")}
    return number, pd.DataFrame(owners)


def _parties(names: pd.Series[str], is_named: np.ndarray) -> tuple[np.ndarray, pd.Index[str]]:
    """The number of each row's counterparty, -1 for none, in the order of these; every text is normalised once."""
    text, texts = pd.factorize(names.astype("string"))
    kind = 2 * (text + 1) + is_named
    kinds = np.flatnonzero(np.bincount(kind))
    some = pd.Series(texts, dtype="string").reindex(kinds // 2 - 1).reset_index(drop=True)
    named = pd.Series(kinds % 2 == 1)
    number, parties = pd.factorize(counterparties(some.where(named), some.where(~named)), sort=True)
    place = np.full(2 * len(texts) + 2, -1)
    place[kinds] = number
    return place[kind], parties


def _shares(sums: _Sums, total: npt.NDArray[np.float64]) -> pd.DataFrame:
    """By group the number of parties, the largest `party` and what concentration they make; null without a party."""
    share = sums.size / total[sums.group]
    first, rank = _five_largest(sums, len(total))
    largest = np.zeros((len(total), _FEW))
    largest[sums.group[first], rank] = share[first]
    party = np.full(len(total), -1)
    party[sums.group[first[rank == 0]]] = sums.party[first[rank == 0]]
    shares = {
        "top_1_share_ratio": largest[:, 0],
        "top_5_share_ratio": largest.sum(axis=1).clip(max=1),
        "hhi_ratio": sums.by_group(share**2, len(total)),
    }
    known = {name: np.where(party >= 0, values, np.nan) for name, values in shares.items()}
    return pd.DataFrame({"party": party, "n_counterparties": np.bincount(sums.group, minlength=len(total)), **known})


def _five_largest(sums: _Sums, n_groups: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where the five largest of each group are, ties by party, and the rank of each in its group, from 0.

    Dealt out to five hands, a group has five different parties that are at least as large as the smallest of the best
    of each hand: nothing below it can be among the five largest, and little is left to sort.
    """
    best = np.zeros((n_groups, _FEW))
    np.maximum.at(best, (sums.group, np.arange(len(sums.size)) % _FEW), sums.size)
    able = np.flatnonzero(sums.size >= best.min(axis=1)[sums.group])
    order = able[np.lexsort((sums.party[able], -sums.size[able], sums.group[able]))]
    group = sums.group[order]
    rank = np.arange(len(group)) - np.searchsorted(group, group)
    return order[rank < _FEW], rank[rank < _FEW]
