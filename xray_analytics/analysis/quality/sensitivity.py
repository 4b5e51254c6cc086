"""Does a figure hang on poor data? The same figure over reports of ever better data sanity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from ...errors import InputError
from ...schema import Column, Table
from ...tables import REPORTS
from .. import frames
from ..frames import Frame
from ..guards import is_number

THRESHOLDS = tuple(range(0, 100, 10))
SENSITIVITY = Table(
    "sensitivity",
    "One row per data-sanity cut-off, the result of sensitivity.",
    (
        Column("threshold_pct", "float", "Least data sanity of the reports counted.", unit="%", required=True),
        Column("value", "float", "The figure; null where it cannot be had."),
        Column("n_reports", "int", "Reports counted.", lo=0),
        Column("n_companies", "int", "Companies behind them.", lo=0),
        Column("reason", "text", "Why the figure is missing."),
    ),
    ("threshold_pct",),
)


def sensitivity(
    statistic: Callable[[Any], float], reports: Frame, thresholds: Sequence[float] = THRESHOLDS
) -> pd.DataFrame:
    """A figure at data-sanity cut-offs: the newest version of each report, where its sanity is at least so much.

    Parameters
    ----------
    statistic
        Takes a frame like `reports`, of the same kind, and gives one number. Where it raises `InputError` the figure
        is missing, and the message is the reason.
    reports
        The table `reports`; only columns that `statistic` reads and `data_sanity_pct`, `report_id`, `report_version`,
        `company_id` are needed.
    thresholds
        Cut-offs [0-100]. Reports of unknown sanity, as all that are no bank reports, count at 0 only.

    Returns
    -------
    DataFrame
        The columns of `SENSITIVITY`, one row per threshold, in their order. A figure that moves with the threshold
        hangs on poor data, or on which companies send poor data: the two cannot be told apart here.
        ``attrs["base"]`` counts reports, and those of unknown sanity.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or a threshold is not from 0 to 100.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b", "c"], company_id=["x", "y", "z"], data_sanity_pct=[100.0, 80.0, 40.0],
    ...     bank_risk_class=[1, 2, 3],
    ... )
    >>> sensitivity(lambda frame: frame["bank_risk_class"].mean(), reports, (0, 50, 90))["value"].tolist()
    [2.0, 1.5, 1.0]
    """
    if wrong := [t for t in thresholds if not is_number(t, 0, 100)]:
        raise InputError(f"the threshold {wrong[0]} is not from 0 to 100")
    needed = ("report_id", "report_version", "company_id", "data_sanity_pct")
    frames.scan(reports, REPORTS, needed)
    newest: Any = nw.from_native(reports).lazy()
    newest = newest.unique(subset=["report_id"], keep="last", order_by=["report_version"])
    rows = []
    for threshold in thresholds:
        chosen = newest.filter(nw.col("data_sanity_pct") >= threshold) if threshold > 0 else newest
        table = frames.collect(chosen.select("report_id", "company_id", "data_sanity_pct"), REPORTS)
        value, reason = _figure(statistic, chosen, reports)
        rows.append((threshold, value, len(table), table["company_id"].nunique(), reason))
    result = frames.typed(pd.DataFrame(rows, columns=list(SENSITIVITY.names)), SENSITIVITY)
    sanity = frames.collect(newest.select("data_sanity_pct"), REPORTS)["data_sanity_pct"]
    result.attrs["base"] = {
        "used": len(sanity), "excluded": {"unknown_sanity": int(sanity.isna().sum())}, "backfilled": None,
        "as_of": None, "filters": {},
    }  # fmt: skip
    return result


def _figure(statistic: Callable[[Any], float], chosen: Any, like: Frame) -> tuple[float | None, str | None]:
    """The figure of these reports as a frame of the kind given, or why there is none."""
    try:
        value = statistic(_native(chosen, like))
    except InputError as error:
        return None, str(error)
    return (None, "not a number") if pd.isna(value) else (float(value), None)


def _native(chosen: Any, like: Any) -> Any:
    """The lazy frame as the kind it was made of."""
    kind: Any = nw.from_native(like)
    if isinstance(kind, nw.LazyFrame):
        return chosen.to_native()
    return chosen.collect("pyarrow" if kind.implementation.is_pyarrow() else None).to_native()
