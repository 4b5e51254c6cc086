"""What every report asks of a snapshot: its day, whether its companies are fictitious, the rows of some reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from ..errors import InputError

if TYPE_CHECKING:
    from ..store.snapshot import Snapshot


def day_of(snapshot: Snapshot, reports: pd.DataFrame) -> str:
    """The day that a report is of: that of the snapshot, or on which its newest report became available."""
    return f"{snapshot.as_of or reports['available_at'].max():%Y-%m-%d}"


def earlier_day(since: str | None, as_of: str) -> str:
    """The day that changes are counted from, empty where it is not given.

    Raises
    ------
    InputError
        It is no day, or not before the report's.

    Examples
    --------
    >>> earlier_day("2025-03-31", "2025-06-30"), earlier_day(None, "2025-06-30")
    ('2025-03-31', '')
    """
    if since is None:
        return ""
    try:
        day = pd.Timestamp(since)
    except ValueError:
        raise InputError(f"since is {since!r}; give a day such as 2025-03-31") from None
    if not day < pd.Timestamp(as_of):
        raise InputError(f"since is {since}, not before the report's day {as_of}; give an earlier day")
    return f"{day:%Y-%m-%d}"


def all_synthetic(snapshot: Snapshot) -> bool:
    """Whether every name known says SYNTHETIC."""
    names = pd.concat([snapshot.read("companies")["company_name"], snapshot.read("requests")["business_name"]]).dropna()
    return len(names) > 0 and bool(names.str.contains("SYNTHETIC", regex=False).all())


def of_reports(report_ids: Iterable[str]) -> str:
    """The condition that `Snapshot.read` takes for the rows of these reports.

    Examples
    --------
    >>> of_reports(["r1", "l'autre"])
    "report_id IN ('r1', 'l''autre')"
    """
    quoted = (str(report_id).replace("'", "''") for report_id in report_ids)
    return "report_id IN ('" + "', '".join(quoted) + "')"
