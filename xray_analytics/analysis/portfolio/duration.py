"""How fast do companies move, counting every day they spent in a class? The duration estimator of migration.

A cohort sees where a company stands at the end of a year; this sees every move inside it, and so gives a chance also to
moves that nobody made at one go. It needs the days of the moves: `spells`.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import linalg

from ...errors import InputError
from ...schema import Column, Table
from ...tables import COMPANY_KEY
from .. import frames
from ..days import months_between
from ..frames import Frame
from ..guards import is_whole

SPELLS = Table(
    "spells",
    "One row per company and stay in a state, for generator_matrix.",
    (
        COMPANY_KEY,
        Column("state", "text", "Class, defaulted, or any other state.", required=True),
        Column("start_date", "date", "First day in it.", required=True),
        Column("end_date", "date", "First day after it; null is not over on the newest day of the frame."),
    ),
    ("company_id", "start_date"),
)
_Matrix = npt.NDArray[np.float64]


def generator_matrix(spells: Frame, horizon_months: int = 12) -> pd.DataFrame:
    """Migration over a horizon from the generator: moves over time at risk, then the exponential of the matrix.

    Parameters
    ----------
    spells
        `company_id`, `state` (text or number), `start_date`, `end_date`: a stay from its first day to the first day
        after it; null where it is not over on the newest day of the frame. A company moves where one stay begins on the
        day another ends; a gap between stays is time in which nobody watched. Order of rows never matters.
    horizon_months
        Over which the probabilities look [months].

    Returns
    -------
    DataFrame
        As `migration_matrix`, a row per pair of states: `from_class`, `to_state`, `n` (moves seen; on the diagonal 0),
        `share_ratio` (0–1: the probability to be there after the horizon), and beside them `rate_per_year` (of the
        generator; on the diagonal less the sum of the others) and `years_at_risk` (of the from-state). States that
        nobody left are absorbing. Numbers come first, in their order, then words. ``attrs["base"]``: companies, and
        stays.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, a stay ends before it starts, two stays of a company overlap, a state
        is missing, there is nobody, or the horizon is below one month.

    Notes
    -----
    λᵢⱼ = Nᵢⱼ / ∫Yᵢ, P(t) = exp(Λt): Lando & Skødeberg (2002), "Analyzing rating transitions and rating drift with
    continuous observations", Journal of Banking & Finance 26. Time is counted in months of the calendar: a year is 12,
    whatever its days. Moves are taken to depend on the present state alone, at a rate that stays the same. With few
    moves the rates are rough: a rate of N moves has a relative error of 1/√N, and of a state without moves nothing but
    the years at risk is known.

    Examples
    --------
    One of two companies moves after half a year: 1 move in 1.5 years; exp(−1/1.5) stay.

    >>> spells = pd.DataFrame({
    ...     "company_id": ["x", "y", "y"], "state": ["A", "A", "B"],
    ...     "start_date": ["2024-01-01", "2024-01-01", "2024-07-01"],
    ...     "end_date": ["2025-01-01", "2024-07-01", "2025-01-01"],
    ... }).astype({"start_date": "datetime64[us]", "end_date": "datetime64[us]"})
    >>> generator_matrix(spells)["share_ratio"].round(6).tolist()
    [0.513417, 0.486583, 0.0, 1.0]
    """
    if not is_whole(horizon_months, 1):
        raise InputError(f"horizon_months is {horizon_months}; give at least one month")
    stays = _stays(spells)
    states = _ordered(stays["state"])
    place = stays["state"].map({state: no for no, state in enumerate(states)}).to_numpy("int64")
    years = months_between(stays["start_date"], stays["end_date"]) / 12
    at_risk = np.bincount(place, years, minlength=len(states)).astype(np.float64)
    moves = np.zeros((len(states), len(states)), np.int64)
    goes_on = (stays["company_id"].shift(-1) == stays["company_id"]) & (
        stays["start_date"].shift(-1) == stays["end_date"]
    )
    here = np.flatnonzero(goes_on.to_numpy(bool))
    np.add.at(moves, (place[here], place[here + 1]), 1)
    np.fill_diagonal(moves, 0)
    rates = np.divide(moves, at_risk[:, None], out=np.zeros(moves.shape), where=at_risk[:, None] > 0)
    np.fill_diagonal(rates, -rates.sum(axis=1))
    shares = np.clip(linalg.expm(rates * horizon_months / 12), 0, 1)
    result = _long(states, moves, shares, rates, at_risk)
    result.attrs["base"] = {
        "used": int(stays["company_id"].nunique()), "excluded": {}, "backfilled": None, "as_of": None,
        "filters": {"horizon_months": horizon_months, "stays": len(stays)},
    }  # fmt: skip
    return result


def _stays(spells: Frame) -> pd.DataFrame:
    """The stays by company and day, those not over cut at the newest day; a stay of no time is none."""
    table = frames.collect(frames.scan(_named(spells), SPELLS, SPELLS.names), SPELLS)
    if table.empty or table[["company_id", "state", "start_date"]].isna().any(axis=None):
        raise InputError("spells are empty, or lack a company, a state or a start_date; give every stay its own")
    newest = table[["start_date", "end_date"]].max().max()
    table["end_date"] = table["end_date"].fillna(newest)
    if (table["end_date"] < table["start_date"]).any():
        company = table.loc[table["end_date"] < table["start_date"], "company_id"].iloc[0]
        raise InputError(f"a stay of {company} ends before it starts; end_date is the first day after it")
    table = table.sort_values(["company_id", "start_date", "end_date"], ignore_index=True)
    overlap = (table["company_id"].shift(-1) == table["company_id"]) & (
        table["start_date"].shift(-1) < table["end_date"]
    )
    if overlap.any():
        company = table.loc[overlap, "company_id"].iloc[0]
        raise InputError(f"two stays of {company} overlap; a company is in one state at a time")
    return table


def _named(spells: Frame) -> Frame:
    """With states as text, also where they are classes."""
    rows = frames.lazy(spells, SPELLS, SPELLS.names)
    return rows.with_columns(nw.col("state").cast(nw.String)).to_native()  # type: ignore[no-any-return]


def _ordered(states: pd.Series[Any]) -> list[str]:
    return sorted(states.unique(), key=lambda state: (not state.isdigit(), int(state) if state.isdigit() else 0, state))


def _long(states: list[str], moves: Any, shares: _Matrix, rates: _Matrix, at_risk: _Matrix) -> pd.DataFrame:
    origin, to = (
        pd.Series(np.array(names), dtype="string")
        for names in (np.repeat(states, len(states)), np.tile(states, len(states)))
    )
    if all(state.isdigit() for state in states):
        origin = origin.astype("Int64")
    return pd.DataFrame({
        "from_class": origin, "to_state": to, "n": moves.ravel(), "share_ratio": shares.ravel(),
        "rate_per_year": rates.ravel() + 0.0, "years_at_risk": np.repeat(at_risk, len(states)),
    })  # fmt: skip
