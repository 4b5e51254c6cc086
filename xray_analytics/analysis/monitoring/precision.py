"""Was the watch list right? Alarms against what happened, on history whose horizon has passed."""

from __future__ import annotations

import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import OUTCOMES
from .. import frames, holding
from ..days import months_later
from ..frames import AsOf, Frame
from ..guards import is_whole
from .rules import WATCH

PRECISION = Table(
    "precision",
    "One row per rule, the result of precision.",
    (
        Column("rule", "text", "Name of the rule.", required=True),
        Column("n_alarms", "int", "Matured alarms.", lo=0),
        Column("n_companies", "int", "Companies behind them.", lo=0),
        Column("n_hits", "int", "Alarms followed by a default within the horizon.", lo=0),
        Column("n_false_alarms", "int", "Alarms followed by none.", lo=0),
        Column("precision_ratio", "float", "Hits / alarms; null for few alarms.", lo=0, hi=1),
        Column("lead_days_median", "float", "Days from alarm to default, median of the hits.", unit="days"),
        Column("n_defaults", "int", "Defaults in the period that the matured alarms look at.", lo=0),
        Column("n_defaults_seen", "int", "Of these, with an alarm of the rule in the horizon before.", lo=0),
        Column("n_immature", "int", "Alarms whose horizon has not passed.", lo=0),
        Column("n_in_default", "int", "Alarms on companies in default already.", lo=0),
        Column("n_lost", "int", "Alarms on companies not watched to the end of the horizon.", lo=0),
    ),
    ("rule",),
)
_OUTCOME = ("company_id", "default_date", "default_end_date", "observed_until")


def precision(
    watch: Frame, outcomes: Frame, *, known_until: AsOf, horizon_months: int = 12, min_n: int = 20
) -> pd.DataFrame:
    """Hits, false alarms and lead time of each rule.

    An alarm is one company, rule and day on which the rule was first seen to hold; the same alarm on several lists
    is one. It matures when its horizon ends by `known_until`: alarms that have not are in no figure, even if the
    company has defaulted since, or early defaults would flatter the rule.

    Parameters
    ----------
    watch
        Results of `watch_list`, one below the other: of every day on which a list would have been made.
    outcomes
        The table `outcomes`: `default_date` (null is none seen), `default_end_date`, `observed_until`; of earlier
        recordings the newest holds.
    known_until
        Day up to which defaults are known.
    horizon_months
        A default counts from the day after the alarm to so many months after it.
    min_n
        Below so many matured alarms there is no `precision_ratio`.

    Returns
    -------
    DataFrame
        The columns of `PRECISION`, sorted by rule. A company without a row in `outcomes` is lost, not good; so is one
        that was not watched to the end of the horizon and did not default before. Alarms of one company are not
        independent: `n_companies` is the sample. ``attrs["base"]`` counts alarms, and the companies without outcome.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or `horizon_months` or `min_n` is below 1.

    Examples
    --------
    >>> day = pd.to_datetime(["2024-01-10", "2024-01-10", "2024-06-01"])
    >>> watch = pd.DataFrame({"company_id": ["x", "y", "x"], "rule": "class_5", "first_seen": day})
    >>> outcomes = pd.DataFrame({
    ...     "company_id": ["x", "y"], "default_date": pd.to_datetime(["2024-04-10", None]),
    ...     "default_end_date": pd.to_datetime([None, None]), "observed_until": pd.to_datetime(["2025-12-31"] * 2),
    ... })
    >>> found = precision(watch, outcomes, known_until="2025-12-31", min_n=1)
    >>> found[["n_alarms", "n_hits", "n_false_alarms", "lead_days_median", "n_in_default"]].iloc[0].tolist()
    [2.0, 1.0, 1.0, 91.0, 1.0]
    """
    if not is_whole(horizon_months, 1) or not is_whole(min_n, 1):
        raise InputError(f"horizon_months is {horizon_months} and min_n {min_n}; both are at least 1")
    table = frames.collect(frames.scan(watch, WATCH, ("company_id", "rule", "first_seen")), WATCH)
    alarms = table.dropna().drop_duplicates().reset_index(drop=True).rename_axis("alarm").reset_index()
    alarms["until"] = months_later(alarms["first_seen"], horizon_months)
    spells = holding.read(outcomes, OUTCOMES, _OUTCOME)
    judged = _judged(alarms, spells, frames.day(known_until))
    mature = judged[judged["state"].isin(["hit", "false"])]
    grouped = mature.groupby("rule")
    result = pd.DataFrame(index=pd.Index(sorted(table["rule"].dropna().unique()), name="rule", dtype="string"))
    result["n_alarms"], result["n_companies"] = grouped.size(), grouped["company_id"].nunique()
    names = {
        "n_hits": "hit", "n_false_alarms": "false", "n_immature": "immature", "n_in_default": "in_default",
        "n_lost": "lost",
    }  # fmt: skip
    for name, state in names.items():
        result[name] = (judged["state"] == state).groupby(judged["rule"]).sum()
    result["n_defaults"], result["n_defaults_seen"] = _defaults(mature, spells)
    result = result.fillna({"n_alarms": 0, "n_companies": 0, "n_defaults": 0, "n_defaults_seen": 0})
    share = result["n_hits"] / result["n_alarms"].where(result["n_alarms"] >= min_n)
    result["precision_ratio"], result["lead_days_median"] = share, grouped["lead"].median()
    result = frames.typed(result.reset_index(), PRECISION)
    excluded = {name: int(result[f"n_{name}"].sum()) for name in ("immature", "in_default", "lost")}
    n_without = int((~pd.Series(alarms["company_id"].unique()).isin(spells["company_id"])).sum())
    result.attrs["base"] = {
        "used": len(mature), "excluded": excluded, "backfilled": None,
        "as_of": frames.instant(known_until).isoformat().replace("+00:00", "Z"),
        "filters": {"horizon_months": horizon_months, "min_n": min_n, "companies_without_outcome": n_without},
    }  # fmt: skip
    return result


def _judged(alarms: pd.DataFrame, spells: pd.DataFrame, known_until: pd.Timestamp) -> pd.DataFrame:
    """Each alarm with its `state`, and the days to the first default after it."""
    pairs = alarms.merge(spells, on="company_id", how="left")
    started = pairs["default_date"] <= pairs["first_seen"]
    pairs["in_default"] = started & ~(pairs["default_end_date"] <= pairs["first_seen"])
    pairs["lead"] = (pairs["default_date"] - pairs["first_seen"]).dt.days.where(
        (pairs["default_date"] > pairs["first_seen"]) & (pairs["default_date"] <= pairs["until"])
    )
    facts = pairs.groupby("alarm").agg(
        in_default=("in_default", "any"), lead=("lead", "min"), watched=("observed_until", "max")
    )
    judged = alarms.join(facts, on="alarm")
    state = pd.Series("false", judged.index).mask(judged["lead"].notna(), "hit")
    lost = judged["lead"].isna() & ~(judged["watched"] >= judged["until"])
    state = state.mask(lost, "lost").mask(judged["until"] > known_until, "immature")
    return judged.assign(state=state.mask(judged["in_default"], "in_default"))


def _defaults(mature: pd.DataFrame, spells: pd.DataFrame) -> tuple[pd.Series[int], pd.Series[int]]:
    """By rule: defaults from its first matured alarm to the end of the last one's horizon, and those it announced."""
    rules = mature.groupby("rule").agg(first=("first_seen", "min"), last=("until", "max")).reset_index()
    defaults = spells[["company_id", "default_date"]].dropna().drop_duplicates()
    inside = rules.merge(defaults, how="cross")
    inside = inside[(inside["default_date"] > inside["first"]) & (inside["default_date"] <= inside["last"])]
    hits = mature[mature["state"] == "hit"]
    seen = hits.assign(default_date=hits["first_seen"] + pd.to_timedelta(hits["lead"], unit="D"))
    announced = seen[["rule", "company_id", "default_date"]].drop_duplicates()
    return inside.groupby("rule").size(), announced.groupby("rule").size()
