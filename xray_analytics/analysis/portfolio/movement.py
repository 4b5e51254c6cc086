"""How did the analysed companies move between two days, class by class?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables import RISK_CLASSES
from .. import frames
from ..days import months_later
from ..frames import AsOf, Frame
from ..guards import Classes, is_whole, on_scale, scale
from .counting import Level, at_level, newest

STEPS = ("stock_start", "new", "newly_rated", "upgraded", "downgraded", "newly_unrated", "gone", "stock_end")
_UNRATED = 0  # the cell of companies without a class


def movement(  # noqa: PLR0913 - two days, and what counts as one
    reports: Frame,
    *,
    product: str,
    start: AsOf,
    end: AsOf,
    max_age_months: int | None = None,
    level: Level = "company",
    companies: Frame | None = None,
    classes: Classes = RISK_CLASSES,
) -> pd.DataFrame:
    """From the stock of one day to the stock of another: who came, moved and went, by risk class.

    Each day sees what was available by then, so that a report that was revised in between counts as a move.

    Parameters
    ----------
    reports
        The table `reports`, of a snapshot not earlier than `end`.
    product
        ``"bank"`` or ``"financial"``.
    start, end
        The two days, each to its end (UTC).
    max_age_months
        A company is in the stock while its newest report was created no longer ago than this. Without it a report
        never expires, and nobody is gone.
    level, companies
        ``"group"``: connected companies count once, as their worst member; needs the table `companies`.
    classes
        The scale, from the best class, 1, to the worst.

    Returns
    -------
    DataFrame
        `step` (of `STEPS`, in that order), `risk_class` (1 very good … 5 very bad, then null for unrated), `n_in`,
        `n_out`: companies that the step brings into the class and takes out of it. A stock comes in. Upgraded is
        towards class 1. In each class the sum of `n_in` - `n_out` over all steps before ``stock_end`` is its `n_in`;
        companies that keep their class are in no step. All steps and classes are there: 48 rows of five classes.
        ``attrs["base"]``: companies in either stock.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, another product, a class outside the scale, `start` is not before
        `end`, or `max_age_months` is below 1.

    Examples
    --------
    >>> from xray_analytics.tables import REPORTS
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b", "c"], company_id=["732829320", "732829320", "356000000"],
    ...     created_at=["2025-01-10", "2025-03-10", "2025-03-11"], bank_risk_class=[2, 3, 1],
    ... )
    >>> moved = movement(reports, product="bank", start="2025-01-31", end="2025-03-31")
    >>> moved[moved["n_in"] + moved["n_out"] > 0].values.tolist()
    [['stock_start', 2, 1, 0], ['new', 1, 1, 0], ['downgraded', 2, 0, 1], ['downgraded', 3, 1, 0],\
 ['stock_end', 1, 1, 0], ['stock_end', 3, 1, 0]]
    """
    column, classes = frames.class_column(product), scale(classes)
    if frames.instant(start) >= frames.instant(end):
        raise InputError(f"start {start} is not before end {end}; give two days in their order")
    if max_age_months is not None and not is_whole(max_age_months, 1):
        raise InputError(f"max_age_months is {max_age_months}; give at least one month, or nothing")
    seen = frames.newest_reports(reports, product=product, as_of=end)
    before, after = (
        _stock(reports, product, moment, max_age_months, level=level, companies=companies) for moment in (start, end)
    )
    for stock in (before, after):
        on_scale(stock["cell"].mask(stock["cell"] == _UNRATED).rename(column), classes)
    both = before.merge(after, on="company_id", how="outer", suffixes=("_from", "_to"))
    result = _steps(both.assign(step=_step(both["cell_from"].to_numpy(), both["cell_to"].to_numpy())), classes)
    days = {"start": str(frames.day(start).date()), "end": str(frames.day(end).date())}
    filters = {"product": product, **days, "max_age_months": max_age_months, **at_level(level)}
    result.attrs["base"] = frames.base(len(both), seen, as_of=end, filters=filters)
    return result


def _stock(reports: Frame, product: str, moment: AsOf, max_age_months: int | None, **counted: Any) -> pd.DataFrame:
    """The companies of one day and the cell of each, as float64."""
    column, after = frames.class_column(product), None
    if max_age_months is not None:
        after = months_later(pd.Timestamp(frames.instant(moment)).tz_localize(None), -max_age_months)
    found, _ = newest(reports, [column], product=product, as_of=moment, created_after=after, **counted)
    return found[["company_id"]].assign(cell=found[column].fillna(_UNRATED).astype("float64"))


def _step(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The step of each company, from its two cells; NaN is not in the stock."""
    conditions = {
        "new": np.isnan(old),
        "gone": np.isnan(new),
        "unchanged": old == new,
        "newly_rated": old == _UNRATED,
        "newly_unrated": new == _UNRATED,
        "upgraded": new < old,
    }
    return np.select(list(conditions.values()), list(conditions), "downgraded")


def _steps(companies: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    moved = companies[companies["step"] != "unchanged"]
    old, new = (
        companies.assign(step=step)[["step", name]]
        for step, name in (("stock_start", "cell_from"), ("stock_end", "cell_to"))
    )
    coming = [part.set_axis(["step", "cell"], axis=1) for part in (old, moved[["step", "cell_to"]], new)]
    going = moved[["step", "cell_from"]].set_axis(["step", "cell"], axis=1)
    grid = pd.MultiIndex.from_product([STEPS, (*classes, _UNRATED)], names=["step", "cell"])
    sides = {"n_in": pd.concat(coming), "n_out": going}
    counts = {name: part.groupby(["step", "cell"]).size().reindex(grid, fill_value=0) for name, part in sides.items()}
    table = pd.DataFrame(counts).astype("int64").reset_index()
    table.insert(1, "risk_class", table.pop("cell").astype("Int64").mask(lambda cell: cell == _UNRATED))
    return table.astype({"step": "string"})
