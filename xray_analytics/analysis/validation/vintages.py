"""How many loans of a vintage default, by age, when others are repaid first?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables import LOANS, OUTCOMES
from .. import frames, holding
from ..days import months_between
from ..frames import AsOf, Frame
from .statistic import CONFIDENCE, reach
from .tally import Floats, Integers

CENSORED, DEFAULT, REPAID = ENDS = 0, 1, 2
_LOAN = ("loan_id", "company_id", "origination_date", "closed_date", "refinanced_from")
_OUTCOME = ("company_id", "default_date", "observed_until")


def vintage_curves(  # noqa: PLR0913 - what is watched, since when and until when
    loans: Frame,
    outcomes: Frame,
    *,
    known_until: AsOf,
    observed_from: AsOf | None = None,
    freq: Literal["year", "quarter", "all"] = "year",
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Cumulative share of loans in default by their age, per vintage, with repayment as the competing end.

    Treating repaid loans as if they could still default (Kaplan–Meier) overstates the share; here who repays has left
    for good. A loan that refinances another continues its spell: the clock is not set back, and the first is not
    counted as repaid.

    Parameters
    ----------
    loans
        The table `loans`; those never drawn are left out and counted.
    outcomes
        The table `outcomes`: `default_date`, `observed_until`. A default belongs to every spell of its company that
        is running then; a company without a row is watched to `known_until`.
    known_until
        Day up to which closings and defaults are known; nothing later is seen.
    observed_from
        Since when defaults were recorded. Older loans enter at the age they had then (delayed entry), and those ended
        before are left out; without it all loans are taken as watched from their origination.
    freq
        Vintages by ``"year"`` or ``"quarter"`` of origination, or ``"all"`` in one.
    confidence
        Of the two-sided intervals (complementary log-log).

    Returns
    -------
    DataFrame
        `vintage` (first day of the period; null for all), `age_months` (0, 1, …, to the last age anybody reached;
        one drawn on 31 January is a month old on the last day of February),
        `n_at_risk` (spells watched at that age), `n_defaults`, `n_repaid` (by then, of those watched), `default_ratio`
        and `repaid_ratio` (0–1, Aalen–Johansen; the rest is still running), `low` and `high` of `default_ratio` (null
        where a company has several spells in the vintage: they are not independent; and before the first default).
        ``attrs["base"]`` counts spells, the companies without outcome behind them, and loans recorded here later.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, a loan is there twice, refinancing goes round in a circle, or there is
        no spell to watch.

    Notes
    -----
    Aalen & Johansen (1978), Scandinavian Journal of Statistics 5; variance by the delta method (Marubini & Valsecchi,
    1995, 10.2). On one day, default comes before repayment, and both before the end of watching.

    Examples
    --------
    Of two loans one defaults after about three months; the other is repaid after six.

    >>> loans = LOANS.example(company_id=["x", "y"], origination_date="2024-01-01", closed_date=[None, "2024-07-01"])
    >>> outcomes = OUTCOMES.example(
    ...     company_id=["x", "y"], default_date=["2024-03-20", None], observed_until="2024-12-31"
    ... )
    >>> curves = vintage_curves(loans, outcomes, known_until="2024-12-31")
    >>> curves["default_ratio"].tolist(), curves["n_at_risk"].tolist()
    ([0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5], [2, 2, 2, 1, 1, 1, 0])
    """
    until = frames.day(known_until)
    ends = holding.read(outcomes, OUTCOMES, _OUTCOME)
    drawn = holding.read(loans, LOANS, _LOAN)
    spells, excluded = _spells(drawn, ends, until, None if observed_from is None else frames.day(observed_from))
    if spells.empty:
        raise InputError(f"no loan was drawn and watched by {until:%Y-%m-%d}; check the loans and known_until")
    parts = [_vintage(name, group, confidence) for name, group in _by_vintage(spells, freq)]
    result = pd.concat(parts, ignore_index=True)
    result["vintage"] = result["vintage"].astype("datetime64[us]")
    without = spells.loc[~spells["company_id"].isin(ends["company_id"]), "company_id"]
    filters = {
        "freq": freq, "companies": int(spells["company_id"].nunique()), "companies_without_outcome": without.nunique(),
        "recorded_later": int(holding.recorded_later(drawn, until).sum()),
    }  # fmt: skip
    result.attrs["base"] = {
        "used": len(spells), "excluded": excluded, "backfilled": None, "as_of": f"{until:%Y-%m-%d}", "filters": filters,
    }  # fmt: skip
    return result


def cumulative_incidence(entry: Floats, end: Floats, event: Integers) -> pd.DataFrame:
    """Aalen–Johansen shares of two competing ends over time; without the second it is one minus Kaplan–Meier.

    Parameters
    ----------
    entry
        Age at which each is watched first; 0 for those watched from the start.
    end
        Age at which each ended, or was watched last; after `entry`.
    event
        How it ended: 0 not by then, 1 default, 2 repaid.

    Returns
    -------
    DataFrame
        One row per age at which something ended: `age`, `n_at_risk` (just before), `n_default`, `n_repaid`, `running`
        (share not ended, after), `default_ratio`, `repaid_ratio`, `variance` (of `default_ratio`).

    Raises
    ------
    InputError
        Nobody is there, or somebody ends before being watched.

    Examples
    --------
    >>> found = cumulative_incidence(np.zeros(4), np.array([1.0, 2, 3, 4]), np.array([1, 2, 1, 0]))
    >>> found[["default_ratio", "repaid_ratio", "running"]].iloc[-1].tolist()
    [0.5, 0.25, 0.25]
    """
    if not len(end) or not (np.isfinite(entry) & np.isfinite(end)).all() or not np.isin(event, ENDS).all():
        raise InputError(f"ages have to be finite numbers, somebody has to be there, and events are {ENDS}")
    if (entry >= end).any():
        raise InputError("everybody has to be watched for some time: each end must be after its entry")
    ages = np.unique(end[event != CENSORED])
    ends, entries = np.sort(end), np.sort(entry)
    at_risk = np.searchsorted(entries, ages, side="left") - np.searchsorted(ends, ages, side="left")
    hits = {kind: np.sort(end[event == kind]) for kind in (DEFAULT, REPAID)}
    bad, paid = (
        np.searchsorted(hits[kind], ages, "right") - np.searchsorted(hits[kind], ages, "left") for kind in hits
    )
    running = np.cumprod(1 - (bad + paid) / at_risk)
    before = np.concatenate([[1.0], running[:-1]])
    defaulted = np.cumsum(before * bad / at_risk)
    return pd.DataFrame({
        "age": ages, "n_at_risk": at_risk, "n_default": bad, "n_repaid": paid, "running": running,
        "default_ratio": defaulted, "repaid_ratio": np.cumsum(before * paid / at_risk),
        "variance": _variance(at_risk, bad, paid, before, defaulted),
    })  # fmt: skip


def _variance(at_risk: Any, bad: Any, paid: Any, before: Floats, incidence: Floats) -> Floats:
    """Of the cumulative incidence, at each age; without repayment it is Greenwood's."""
    ends, n = bad + paid, np.asarray(at_risk, np.float64)
    hazard = np.divide(ends, n * (n - ends), out=np.zeros_like(n), where=n > ends)
    own, mixed = before**2 * bad * (n - bad) / n**3, before * bad / n**2
    # Σ (I(t) − I_j)² h_j + Σ own_j − 2 Σ (I(t) − I_j) mixed_j, expanded so that each age is a sum over earlier ones.
    squares, lines, points = (np.cumsum(x) for x in (hazard, hazard * incidence, hazard * incidence**2))
    total = incidence**2 * squares - 2 * incidence * lines + points + np.cumsum(own)
    total -= 2 * (incidence * np.cumsum(mixed) - np.cumsum(mixed * incidence))
    return np.asarray(np.maximum(total, 0.0))


def _spells(
    loans: pd.DataFrame, outcomes: pd.DataFrame, until: pd.Timestamp, since: pd.Timestamp | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """One row per chain of loans: origination, first day watched, last day and how it ended; who was left out."""
    if loans["loan_id"].duplicated().any():
        raise InputError("loans holds a loan twice; give the rows of one snapshot")
    never = loans["origination_date"].isna() | (loans["origination_date"] > until)
    drawn = loans[~never].assign(root=_roots)
    drawn = drawn.sort_values(["root", "origination_date", "loan_id"])
    spells = drawn.drop_duplicates("root")[["company_id", "origination_date"]].reset_index(drop=True)
    spells = spells.rename(columns={"origination_date": "start"})
    spells["closed"] = drawn.drop_duplicates("root", keep="last")["closed_date"].to_numpy()
    spells = _ended(spells, outcomes, until)
    spells["watched"] = spells["start"] if since is None else spells["start"].mask(spells["start"] < since, since)
    seen = spells["watched"] < spells["end"]
    excluded = {"never_drawn": int(never.sum()), "ended_before_watched": int((~seen).sum())}
    return spells[seen].reset_index(drop=True), excluded


def _roots(drawn: pd.DataFrame) -> pd.Series[Any]:
    """The first loan of each loan's chain of refinancing; one whose forerunner is unknown begins a chain."""
    known = set(drawn["loan_id"])
    parent = {
        loan: before
        for loan, before in zip(drawn["loan_id"], drawn["refinanced_from"], strict=True)
        if not pd.isna(before) and before in known
    }
    root = {}
    for loan in drawn["loan_id"]:
        at, steps = loan, 0
        while at in parent:
            at, steps = parent[at], steps + 1
            if steps > len(parent):
                raise InputError(f"refinanced_from of loan {loan} goes round in a circle")
        root[loan] = at
    return drawn["loan_id"].map(root)


def _ended(spells: pd.DataFrame, outcomes: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """Each spell with its end and event: the first of default, repayment and the end of watching."""
    spells = spells.rename_axis("spell").reset_index()
    pairs = spells.merge(outcomes[["company_id", "default_date"]].dropna(), on="company_id")
    inside = pairs[(pairs["default_date"] > pairs["start"]) & (pairs["default_date"] <= until)]
    inside = inside[~(inside["closed"] < inside["default_date"])]
    default = inside.groupby("spell")["default_date"].min().reindex(spells["spell"])
    watched = outcomes.groupby("company_id")["observed_until"].max().reindex(spells["company_id"])
    watched.index = spells.index
    last = watched.mask(watched.isna() | (watched > until), until)
    closed = spells["closed"].where(spells["closed"] <= last)
    event = pd.Series(CENSORED, spells.index).mask(closed.notna(), REPAID).mask(default.notna(), DEFAULT)
    return spells.assign(end=default.fillna(closed).fillna(last), event=event)


def _by_vintage(spells: pd.DataFrame, freq: str) -> list[tuple[pd.Timestamp, pd.DataFrame]]:
    codes = {"year": "Y", "quarter": "Q"}
    if freq == "all":
        return [(pd.NaT, spells)]  # type: ignore[list-item]
    if freq not in codes:
        raise InputError(f"freq is {freq!r}; choose year, quarter or all")
    period = spells["start"].dt.to_period(codes[freq]).dt.start_time
    return [(pd.Timestamp(name), group) for name, group in spells.groupby(period)]


def _vintage(name: pd.Timestamp, spells: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The curve of one vintage on whole months of age."""
    entry, end = (months_between(spells["start"], spells[name]) for name in ("watched", "end"))
    event = spells["event"].to_numpy(np.int64)
    months = np.arange(int(np.ceil(end.max())) + 1)
    curve = cumulative_incidence(entry, end, event)
    place = np.searchsorted(curve["age"].to_numpy(), months, side="right")

    def at(column: str, start: float) -> Floats:
        return np.concatenate([[start], curve[column].to_numpy(np.float64)])[place]

    low, high = _bounds(at("default_ratio", 0.0), at("variance", 0.0), confidence)
    alone = not spells["company_id"].duplicated().any()
    return pd.DataFrame({
        "vintage": name, "age_months": months,
        "n_at_risk": [int(((entry <= age) & (end > age)).sum()) for age in months],
        "n_defaults": np.concatenate([[0], np.cumsum(curve["n_default"])])[place],
        "n_repaid": np.concatenate([[0], np.cumsum(curve["n_repaid"])])[place],
        "default_ratio": at("default_ratio", 0.0), "repaid_ratio": at("repaid_ratio", 0.0),
        "low": low if alone else np.nan, "high": high if alone else np.nan,
    })  # fmt: skip


def _bounds(share: Floats, variance: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Bounds on the complementary log-log scale, within 0 and 1; null where nothing or everything ended."""
    inside = (share > 0) & (share < 1) & (variance > 0)
    x, spread = np.where(inside, share, 0.5), np.where(inside, np.sqrt(variance), 0.0)
    away = reach(confidence) * spread / ((1 - x) * np.log1p(-x))
    low, high = (1 - np.exp(np.log1p(-x) * np.exp(side * away)) for side in (1, -1))
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)
