"""What became of a company after a day, as far as it was known by another? The labels of a backtest.

A row of outcomes says dated things: a default, a cure, an exit, and each day on which the company was watched. By the
day `known_until` it reads as it would have read then: what is dated later is not there yet.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from ...errors import InputError
from ...tables import OUTCOMES
from .. import frames
from ..days import months_later
from ..frames import AsOf, Frame
from ..holding import holding, recorded_later
from .point_in_time import Clock, columns

_DATED = ("default_date", "default_end_date", "exit_date")
_READ = ("company_id", *_DATED, "observed_until", "exit_reason", "recorded_at", "is_withdrawn")


def read_outcomes(outcomes: Frame, known_until: AsOf, clock: Clock) -> pd.DataFrame:
    """The outcomes as they read on that day; on the clock ``"fetched"`` without rows recorded later.

    Of a company the rows recorded last count. Without `observed_until` a company was watched to
    its exit, else until `known_until`; with a default at least until then.
    """
    present = columns(outcomes, OUTCOMES, _READ)
    lazy = frames.scan(outcomes, OUTCOMES, dict.fromkeys(["company_id", "default_date", *present]))
    rows = frames.collect(lazy, OUTCOMES).reindex(columns=list(_READ))
    kinds = {"exit_reason": "string", "is_withdrawn": "boolean"}
    rows = rows.astype({name: kinds.get(name, "datetime64[us]") for name in _READ[1:]})
    until, n_read = frames.day(known_until), len(rows)
    if clock == "fetched":
        rows = rows[~recorded_later(rows, until.date())]
        if n_read and rows.empty:
            raise InputError(
                f"no outcome was recorded here by {until.date()}; with the clock fetched outcomes count from the day "
                "they were attached: set outcomes_known_until to that day or later, or use the clock available"
            )
    rows = holding(rows, OUTCOMES, as_of=until.date(), clock=clock)
    order = ["observed_until", "exit_date", "default_end_date"]  # so that no order of rows matters
    rows = rows.sort_values(order, na_position="first", kind="stable")
    rows = rows.drop_duplicates(["company_id", "default_date"], keep="last")
    return _watched(rows[rows["company_id"].notna()].copy(), until)


def _watched(rows: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    watched = rows["observed_until"].fillna(rows["exit_date"]).fillna(until)
    rows["watched_until"] = watched.mask(rows["default_date"] > watched, rows["default_date"])
    return rows[["company_id", *_DATED, "exit_reason", "watched_until"]].reset_index(drop=True)


def follow_up(
    rows: pd.DataFrame,
    outcomes: pd.DataFrame,
    known_until: pd.Timestamp,
    probation_months: int,
    repaid_reasons: Collection[str],
) -> pd.DataFrame:
    """What became of the company of each row (`company_id`, `as_of_date`, `horizon_end_date`), on the same index.

    `has_outcome`, `is_closed`, `in_default`, `in_probation` on the as-of day; `default_date` (first default after it,
    within the horizon), `is_repaid` (within the horizon), `watched_until`.
    """
    known = outcomes.groupby("company_id")["watched_until"].max()
    watched = known.reindex(rows["company_id"]).to_numpy("datetime64[us]")
    found = pd.DataFrame({"watched_until": watched}, index=rows.index)
    found["has_outcome"] = found["watched_until"].notna()
    spells = _pairs(rows, outcomes[outcomes["default_date"].notna()])
    cured, as_of = spells["default_end_date"], spells["as_of_date"]
    began = spells["default_date"] <= as_of
    over = cured.notna() & (cured <= as_of)
    free = months_later(cured, probation_months)
    found["in_default"] = _any(began & ~over, spells, rows)
    found["in_probation"] = _any(began & over & (free > as_of), spells, rows) & ~found["in_default"]
    inside = (spells["default_date"] > as_of) & (spells["default_date"] <= spells["horizon_end_date"])
    first = spells[inside].groupby("row")["default_date"].min()
    found["default_date"] = first.reindex(rows.index)
    exits = _pairs(rows, outcomes[outcomes["exit_date"].notna()])
    found["is_closed"] = _any(exits["exit_date"] <= exits["as_of_date"], exits, rows)
    repaid = exits["exit_reason"].str.lower().isin([reason.lower() for reason in repaid_reasons])
    in_time = (exits["exit_date"] > exits["as_of_date"]) & (exits["exit_date"] <= exits["horizon_end_date"])
    found["is_repaid"] = _any(repaid & in_time, exits, rows)
    end = rows["horizon_end_date"].mask(rows["horizon_end_date"] > known_until, known_until)
    safe = found["default_date"].notna() | found["is_repaid"]
    found["is_censored"] = found["has_outcome"] & ~safe & (found["watched_until"] < end)
    return found


def _pairs(rows: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    keyed = rows[["company_id", "as_of_date", "horizon_end_date"]].rename_axis("row").reset_index()
    return keyed.merge(events, on="company_id")


def _any(holds: pd.Series[bool], pairs: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[bool]:
    return pd.Series(rows.index.isin(pairs.loc[holds.fillna(False), "row"]), rows.index)
