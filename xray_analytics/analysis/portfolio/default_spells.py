"""When was a company outside the performing book? Spells of default and without a loan, from the lender's files."""

from __future__ import annotations

import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY, LOANS, OUTCOMES
from .. import frames, holding
from ..frames import Frame

ENDED = ("closed", "defaulted")
ENDINGS = Table(
    "endings",
    "One row per spell of a company outside the performing book, the result of endings.",
    (
        COMPANY_KEY,
        Column("state", "text", "Closed or defaulted.", choices=ENDED, required=True),
        Column("from_date", "date", "First day of the spell.", required=True),
        Column("until_date", "date", "First day after it; null is not over."),
    ),
    ("company_id", "state", "from_date"),
)


def endings(*, outcomes: Frame | None = None, loans: Frame | None = None) -> pd.DataFrame:
    """When companies were in default or without a loan, from the lender's own files.

    Parameters
    ----------
    outcomes
        The table `outcomes`: in default from `default_date` up to `default_end_date`, closed from `exit_date` on. Of
        earlier recordings, here and in `loans`, the newest holds.
    loans
        The table `loans`: closed while every loan drawn so far is closed, until the next is drawn.

    Returns
    -------
    DataFrame
        `company_id`, `state` (``"defaulted"``, ``"closed"``), `from_date`, `until_date` (null: not over), sorted; for
        `transition_table`.

    Raises
    ------
    InputError
        Neither table is given, or a column is absent or of the wrong type.

    Examples
    --------
    >>> loans = LOANS.example(
    ...     company_id="732829320", origination_date=["2024-01-01", "2024-06-01", "2025-03-01"],
    ...     closed_date=["2024-07-01", "2024-12-01", None],
    ... )
    >>> endings(loans=loans)[["from_date", "until_date"]].astype("string").values.tolist()
    [['2024-12-01', '2025-03-01']]
    """
    if outcomes is None and loans is None:
        raise InputError("endings needs the table outcomes or the table loans; pass at least one")
    parts = [frames.typed(pd.DataFrame(), ENDINGS)]
    if outcomes is not None:
        columns = ("company_id", "default_date", "default_end_date", "exit_date")
        table = holding.read(outcomes, OUTCOMES, columns)
        parts.append(
            table.rename(columns={"default_date": "from_date", "default_end_date": "until_date"}).assign(
                state="defaulted"
            )
        )
        parts.append(table[["company_id"]].assign(from_date=table["exit_date"], state="closed"))
    if loans is not None:
        terms = ("company_id", "origination_date", "closed_date")
        parts.append(_without_loan(holding.read(loans, LOANS, terms)))
    spells = pd.concat([frames.typed(part[part["from_date"].notna()], ENDINGS) for part in parts])
    ordered = spells.drop_duplicates().sort_values(
        ["company_id", "from_date", "state", "until_date"], ignore_index=True
    )
    return frames.typed(ordered, ENDINGS)


def _without_loan(loans: pd.DataFrame) -> pd.DataFrame:
    """Spells in which every loan a company had drawn was closed."""
    drawn = loans[loans["origination_date"].notna()].sort_values(["company_id", "origination_date", "closed_date"])
    company = drawn["company_id"]
    closed = drawn["closed_date"].fillna(pd.Timestamp.max.as_unit("us")).groupby(company).cummax()
    following = drawn.groupby(company)["origination_date"].shift(-1)
    spells = drawn[["company_id"]].assign(from_date=closed, until_date=following, state="closed")
    is_open = closed == pd.Timestamp.max.as_unit("us")
    return spells[~is_open & (following.isna() | (following > closed))]
