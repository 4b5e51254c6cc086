"""What the lender's own rows say that cannot be: kept as they are, and each contradiction a finding.

No clock is asked: a day is too late where it is after the recording of the row that says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ...tables import table
from .. import frames
from ..frames import Frame
from ..holding import holding

# Table -> a day, one that cannot be before it, and what is said of a row where it is.
_ORDER: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "outcomes": (("default_date", "default_end_date", "A default ends before it begins"),),
    "loans": (
        ("application_date", "origination_date", "A loan is drawn before its application"),
        ("origination_date", "maturity_date", "A loan is due before it is drawn"),
        ("origination_date", "closed_date", "A loan is closed before it is drawn"),
    ),
}
# Days of what has happened: none of them is after the day on which it was said.
_PAST: Mapping[str, tuple[str, ...]] = {
    "outcomes": ("default_date", "default_end_date", "exit_date", "observed_until"),
    "loans": ("closed_date",),
    "exposures": ("exposure_date",),
}
_AMOUNTS: Mapping[str, tuple[str, ...]] = {"loans": ("principal",), "exposures": ("drawn", "undrawn")}
_IDS: Mapping[str, tuple[str, ...]] = {"companies": ("group_id",), "loans": ("refinanced_from",)}


def contradictions(given: Mapping[str, Frame]) -> pd.DataFrame:
    """One row per company and contradiction of the lender's tables given: `severity`, `company_id`, `n`, `finding`.

    >>> outcomes = pd.DataFrame({
    ...     "company_id": ["732829320"], "default_date": pd.to_datetime(["2024-05-01"]),
    ...     "default_end_date": pd.to_datetime(["2024-04-01"]),
    ... })
    >>> contradictions({"outcomes": outcomes})["finding"].tolist()
    ['A default ends before it begins.']
    """
    found = [pd.DataFrame({"company_id": [], "severity": [], "finding": []}, dtype="string")]
    for name, frame in given.items():
        declared = table(name)
        there = [column for column in frames.lazy(frame, declared, ()).columns if column in declared.names]
        rows = holding(frames.collect(frames.scan(frame, declared, there), declared), declared)
        for hit, severity, sentence in _tests(rows, name):
            wrong = rows.loc[hit.fillna(False).astype(bool), ["company_id"]]
            found.append(wrong.assign(severity=severity, finding=f"{sentence}."))
    every = pd.concat(found, ignore_index=True)
    keys = ["company_id", "severity", "finding"]
    return every.groupby(keys, dropna=False).size().rename("n").reset_index().assign(check="contradiction")


def _tests(rows: pd.DataFrame, name: str) -> Iterator[tuple[pd.Series[Any], str, str]]:
    """Which rows are wrong, how badly, and the sentence that says so: for the columns that are there."""
    for before, after, sentence in _ORDER.get(name, ()):
        if before in rows and after in rows:
            yield rows[after] < rows[before], "high", sentence
    if name == "outcomes" and {"default_date", "default_end_date"} <= set(rows):
        yield rows["default_end_date"].notna() & rows["default_date"].isna(), "high", "A default ends that has no begin"
    for column in _PAST.get(name, ()):
        if column in rows and "recorded_at" in rows:
            later = rows[column] > rows["recorded_at"].dt.normalize()
            yield later, "high", f"{name}: {column} is after the day on which the row was recorded"
    for column in _AMOUNTS.get(name, ()):
        if column in rows:
            yield rows[column] < 0, "medium", f"{name}: {column} is negative"
    for column in _IDS.get(name, ()):
        if column in rows:
            yield (
                rows[column].str.strip() == "",
                "medium",
                f"{name}: {column} is an empty text, which is an id to every join",
            )
