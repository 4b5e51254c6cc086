"""Diff of two point-in-time views: which reports changed, and which of their headline figures."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import numpy as np
import pandas as pd

FIGURES = (
    "report_version", "is_rated", "bank_risk_class", "bank_score", "data_sanity_pct", "financial_risk_class",
    "default_probability",
)  # fmt: skip
_NAMES = ("report_id", "company_id", "product")
READ = (*_NAMES, *FIGURES)
COLUMNS = (*_NAMES, "change", "column", "before", "after")


def between(
    old: pd.DataFrame, new: pd.DataFrame, *, withdrawn_before: AbstractSet[str], withdrawn_after: AbstractSet[str]
) -> pd.DataFrame:
    """The changes from one state of ``reports`` to another, of each its columns `READ` and its withdrawn ids.

    See `Snapshot.diff`.
    """
    gone, came = (a[~a["report_id"].isin(b["report_id"])] for a, b in ((old, new), (new, old)))
    changes = [
        _marked(came, "new"),
        _marked(gone, "gone"),
        _marked(new[new["report_id"].isin(withdrawn_after - withdrawn_before)], "withdrawn"),
        _revised(old, new),
    ]
    return pd.concat(changes).sort_values(["report_id", "change", "column"], kind="stable", ignore_index=True)


def _marked(reports: pd.DataFrame, change: str) -> pd.DataFrame:
    """One row for each report, without a figure."""
    return _typed(reports[list(_NAMES)].assign(change=change, column=None, before=np.nan, after=np.nan))


def _revised(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """One row for each figure that differs, of the reports that both have."""
    both = [frame[frame["report_id"].isin(other["report_id"])] for frame, other in ((old, new), (new, old))]
    values = [frame.set_index("report_id")[list(FIGURES)].astype("Float64").astype("float64") for frame in both]
    changed = (values[0] != values[1]) & ~(values[0].isna() & values[1].isna())
    row, figure = np.nonzero(changed.to_numpy())
    rows = both[1][list(_NAMES)].iloc[row].assign(change="revised", column=np.array(FIGURES, dtype=object)[figure])
    return _typed(rows.assign(before=values[0].to_numpy()[row, figure], after=values[1].to_numpy()[row, figure]))


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype({"change": "string", "column": "string"})[list(COLUMNS)]
