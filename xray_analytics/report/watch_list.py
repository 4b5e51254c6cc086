"""The watch list of a snapshot: every rule of it, those on transactions too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ..analysis import cashflow, monitoring
from ..errors import InputError
from .masking import with_names
from .snapshot import day_of
from .transactions import streams_and_incidents

if TYPE_CHECKING:
    from ..store.snapshot import Snapshot


def watched(snapshot: Snapshot, *, show_persons: bool = False) -> pd.DataFrame:
    """The watch list with `company_name`, as of the snapshot or of the day its newest report became available.

    Parameters
    ----------
    snapshot
        The store at a point in time.
    show_persons
        Show names and codes of natural persons, which are masked otherwise.

    Returns
    -------
    DataFrame
        `company_id`, `company_name`, and the other columns of `monitoring.watch_list`, in its order and with its base.

    Raises
    ------
    InputError
        The snapshot has no reports.
    """
    names = ("reports", "monthly_summaries", "statement_summaries", "companies")
    tables = {name: snapshot.read(name) for name in names}
    reports = tables["reports"]
    if reports.empty:
        raise InputError("the snapshot has no reports to watch; run xray sync or xray import first")
    as_of = day_of(snapshot, reports)
    recurring, incidents = streams_and_incidents(snapshot, tables)
    flows = cashflow.monthly_flows(tables["monthly_summaries"], reports)
    rows = monitoring.watch_list(reports, flows, incidents, recurring, as_of=as_of)
    named = with_names(rows, tables["companies"], show_persons=show_persons)
    named.insert(1, "company_name", named.pop("company_name"))
    named.attrs["base"] = rows.attrs["base"]
    return named
