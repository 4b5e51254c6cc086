"""What counts as one, and by what it is split: a company or its group, with columns of `reports` or of `companies`.

Every analysis that takes ``by``, ``level``, ``companies``, ``weight`` or ``exposures`` takes them from here, so that
they mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import narwhals.stable.v2 as nw
import pandas as pd
from narwhals.exceptions import NarwhalsError

from ...errors import InputError
from ...tables import COMPANIES, REPORTS
from .. import frames
from ..frames import AsOf, Frame
from .concentration import drawn_on

By: TypeAlias = str | Sequence[str] | None
Level: TypeAlias = Literal["company", "group"]
Weight: TypeAlias = Literal["company", "exposure"]

LEVELS, WEIGHTS = ("company", "group"), ("company", "exposure")


def columns_of(by: By) -> list[str]:
    """The columns named by ``by``.

    >>> columns_of("region"), columns_of(None)
    (['region'], [])
    """
    return [by] if isinstance(by, str) else list(by or ())


def at_level(level: Level) -> dict[str, str]:
    """The filter that a base names: nothing where companies count."""
    return {} if level == "company" else {"level": level}


def newest(  # noqa: PLR0913 - what is counted, as of when, by what, and with what weight
    reports: Frame,
    columns: Sequence[str],
    *,
    product: str,
    as_of: AsOf | None = None,
    by: Sequence[str] = (),
    level: Level = "company",
    companies: Frame | None = None,
    drawn: pd.Series[Any] | None = None,
    created_after: pd.Timestamp | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The newest report of each company, or of each group that of its worst member; and all reports seen.

    Parameters
    ----------
    reports, product, as_of
        As in `frames.newest_reports`.
    columns
        Columns of `reports` to read; by group the first of them is the class, and the highest is the worst.
    by
        Columns of `reports`, or else of `companies`, to read too.
    level
        ``"group"``: companies of one `group_id` count once, as the member with the worst class; unrated only if every
        member is; ties go to the newest report. A company without a group stands alone.
    companies
        The table `companies`, where `reports` does not have these columns itself.
    drawn
        Amounts by `company_id`: they become the column `drawn`, of a group the sum of its members.
    created_after
        Companies whose newest report was created before are left out, before groups are formed.

    Returns
    -------
    tuple
        One row per company or group (whose id is then `company_id`), sorted by it; and `frames.newest_reports`.

    Raises
    ------
    InputError
        A column is in neither table, another level, or a company is twice in `companies`.
    """
    if level not in LEVELS:
        raise InputError(f"level is {level!r}; choose 'company' or 'group'")
    more = [*by, *(["group_id"] if level == "group" else [])]
    seen = frames.newest_reports(
        with_companies(reports, companies, more), [*columns, *more], product=product, as_of=as_of
    )
    found = frames.newest_of_each_company(seen)
    if created_after is not None:
        found = found[found["created_at"] > created_after]
    if drawn is not None:
        found["drawn"] = found["company_id"].map(drawn).astype("float64")
    if level == "group":
        found = _worst_members(found, columns[0])
    return found.sort_values("company_id", ignore_index=True), seen


def group_reports(reports: Frame, companies: Frame, *, product: str) -> pd.DataFrame:
    """One report per group of connected companies: that of its worst member, so that analyses can count groups.

    Of each company the newest report is looked at, of each group the one with the worst class; a group is unrated
    only if every member is. Ties go to the newest report, then to the largest id.

    Parameters
    ----------
    reports
        The table `reports`.
    companies
        The table `companies`; `group_id` is read, and who has none stands alone.
    product
        ``"bank"`` or ``"financial"``.

    Returns
    -------
    DataFrame
        Rows for `class_distribution`: the columns it needs, `company_id` holding the group's id (or that of the
        company that stands alone) and `n_members` the analysed companies behind it. Sorted by `company_id`.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, another product, or a company is twice in `companies`.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b"], company_id=["732829320", "356000000"], created_at=["2025-01-10", "2025-01-11"],
    ...     bank_risk_class=[4, 2],
    ... )
    >>> companies = COMPANIES.example(company_id=["732829320", "356000000"], group_id="G")
    >>> groups = group_reports(reports, companies, product="bank")
    >>> groups[["company_id", "bank_risk_class", "n_members"]].values.tolist()
    [['G', 4, 2]]
    """
    column = frames.class_column(product)
    worst, _ = newest(reports, [column], product=product, level="group", companies=companies)
    for name in ("created_at", "available_at"):
        worst[name] = worst[name].dt.tz_localize("UTC")
    return worst


def with_companies(reports: Frame, companies: Frame | None, names: Sequence[str]) -> Any:
    """The reports with these columns: what they do not have comes from `companies`, lazily."""
    if not names:
        return reports
    rows = frames.lazy(reports, REPORTS, ("company_id",))
    absent = [name for name in dict.fromkeys(names) if name not in rows.columns]
    if not absent:
        return rows
    if companies is None:
        raise InputError(
            f"the frame of reports lacks {', '.join(absent)}; pass the table companies as companies= for its columns"
        )
    known = frames.scan(companies, COMPANIES, ("company_id", *absent))
    twice = frames.collect(known.group_by("company_id").agg(nw.len().alias("n")).filter(nw.col("n") > 1), COMPANIES)
    if len(twice):
        raise InputError("companies holds a company twice; give the rows of one snapshot")
    try:
        return rows.join(known, on="company_id", how="left")
    except (TypeError, NarwhalsError) as error:
        raise InputError(
            "companies and reports are frames of different kinds; read both with the same engine"
        ) from error


def drawn_by_company(weight: Weight, exposures: Frame | None, as_of: AsOf | None = None) -> pd.Series[Any] | None:
    """The amounts drawn to weigh with, on the newest day of the exposures; None where companies count."""
    if weight not in WEIGHTS:
        raise InputError(f"weight is {weight!r}; choose 'company' or 'exposure'")
    if weight == "company":
        return None
    if exposures is None:
        raise InputError("weight='exposure' needs the table exposures; pass it as exposures=")
    return drawn_on(exposures, as_of).amounts.set_index("company_id")["drawn"]


def _worst_members(found: pd.DataFrame, column: str) -> pd.DataFrame:
    found = found.assign(company_id=found["group_id"].fillna(found["company_id"]), worst=found[column].fillna(0))
    group = found.groupby("company_id")
    found["n_members"] = group["report_id"].transform("size").astype("int64")
    if "drawn" in found:
        found["drawn"] = group["drawn"].transform(lambda amounts: amounts.sum(min_count=1))
    ordered = found.sort_values(["company_id", "worst", "created_at", "report_id"])
    return ordered.drop_duplicates("company_id", keep="last").drop(columns=["worst", "group_id"])
