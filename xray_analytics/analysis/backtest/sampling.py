"""On which days is a company looked at, and with which report? The decisions behind a backtest, and its bare rows.

Which rows train a model and which test it is decided by a keyed hash of the company, or by time.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import narwhals.stable.v2 as nw
import pandas as pd

from ...errors import InputError, listed
from ...tables import REPORTS
from .. import frames
from ..days import months_later
from ..frames import AsOf, Frame
from ..guards import is_number, is_whole
from . import point_in_time
from .point_in_time import Clock

Sampling = Literal["non_overlapping", "report", "overlapping"]
SAMPLINGS = ("non_overlapping", "report", "overlapping")
SPLITS = ("train", "test", "purged")
_FIGURES = ("bank_score", "data_sanity_pct", "default_probability")
_READ = (*frames.REPORT_COLUMNS, "is_rated", "period_end_date")


@dataclass(frozen=True)
class BacktestTerms:
    """Every decision behind a set of observations, checked; days are midnights."""

    product: str
    clock: Clock
    availability_lag_hours: float
    sampling: Sampling
    as_of_dates: tuple[pd.Timestamp, ...]
    horizon_months: int
    outcomes_known_until: pd.Timestamp
    max_data_age_days: int
    probation_months: int
    reporting_lag_days: int
    repaid_reasons: tuple[str, ...]
    test_share: float
    split_key: str
    test_from: pd.Timestamp | None = None

    def __post_init__(self) -> None:
        least = {"horizon_months": 1, "max_data_age_days": 0, "probation_months": 0, "reporting_lag_days": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if not is_whole(value, bound):
                raise InputError(f"{name} is {value}; give a whole number from {bound} on")
        if self.sampling not in SAMPLINGS:
            raise InputError(f"sampling is {self.sampling!r}; give {', '.join(SAMPLINGS)}")
        if not self.as_of_dates:
            raise InputError("there is no as-of date; as_of_grid makes some")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values: the arguments that `observations` takes."""

        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return [plain(item) for item in value]
            return value.date().isoformat() if isinstance(value, pd.Timestamp) else value

        return {name: plain(value) for name, value in vars(self).items()}


def as_of_grid(start: AsOf, end: AsOf, *, every: Literal["month", "quarter", "year"] = "quarter") -> list[date]:
    """The ends of the months, quarters or years from `start` to `end`, both included.

    Raises
    ------
    InputError
        `every` is another word, or the grid is empty.

    Examples
    --------
    >>> [day.isoformat() for day in as_of_grid("2024-01-15", "2024-09-30", every="quarter")]
    ['2024-03-31', '2024-06-30', '2024-09-30']
    """
    steps = {"month": "ME", "quarter": "QE", "year": "YE"}
    if every not in steps:
        raise InputError(f"every is {every!r}; give month, quarter or year")
    found = pd.date_range(frames.day(start), frames.day(end), freq=steps[every])
    if found.empty:
        raise InputError(f"no {every} ends between {frames.day(start).date()} and {frames.day(end).date()}")
    return [moment.date() for moment in found]


def as_of_days(as_of_dates: Iterable[AsOf]) -> tuple[pd.Timestamp, ...]:
    """The days, each once and in order, as midnights."""
    given = listed(as_of_dates, "as_of_dates", str, date)
    for value in given:
        is_text = isinstance(value, str)
        if (is_text and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value))) or frames.day(value) != pd.Timestamp(value):
            raise InputError(f"as-of date {value} is not a day such as 2024-06-30, which counts to its end")
    return tuple(sorted({frames.day(value) for value in given}))


def _spaced(terms: BacktestTerms) -> list[pd.Timestamp]:
    """The last mature date and, from it both ways, each date whose horizon does not overlap with one kept already."""
    dates, months = terms.as_of_dates, terms.horizon_months
    ends = dict(zip(dates, months_later(pd.Series(dates), months), strict=True))
    lag = pd.Timedelta(days=terms.reporting_lag_days)
    mature = [day for day in dates if ends[day] + lag <= terms.outcomes_known_until]
    kept = [mature[-1] if mature else dates[0]]
    for day in reversed(dates):
        if ends[day] <= kept[0]:
            kept.insert(0, day)
    for day in dates:
        if day >= ends[kept[-1]]:
            kept.append(day)
    return kept


def versions_of(reports: Frame, terms: BacktestTerms) -> pd.DataFrame:
    """All versions of the product's reports with `known_at` and `risk_class`; figures that are absent are null."""
    class_column = frames.class_column(terms.product)
    clocks = [point_in_time.CLOCKS[terms.clock]] if terms.clock in point_in_time.CLOCKS else []
    figures = point_in_time.columns(reports, REPORTS, _FIGURES)
    lazy = frames.scan(reports, REPORTS, (*_READ, *clocks, class_column, *figures))
    versions = frames.collect(lazy.filter(nw.col("product") == terms.product), REPORTS)
    versions = versions.rename(columns={class_column: "risk_class", "bank_score": "score"})
    versions["known_at"] = point_in_time.known_at(versions, terms.clock, terms.availability_lag_hours)
    versions["created_at"] = versions["created_at"].fillna(versions["available_at"])
    return versions


def sampled(versions: pd.DataFrame, ends: pd.DataFrame, terms: BacktestTerms) -> pd.DataFrame:
    """Rows of company, as-of date and report, sorted by date and company."""
    dates = terms.as_of_dates
    if terms.sampling == "report":
        rows = _each_report(versions, dates[0], dates[-1])
    else:
        kept = _spaced(terms) if terms.sampling == "non_overlapping" else list(dates)
        companies = pd.Index(ends["company_id"].unique())
        rows = pd.concat([_on(day, versions, companies) for day in kept])
    rows = rows.sort_values(["as_of_date", "company_id"], ignore_index=True)
    return rows.assign(horizon_end_date=months_later(rows["as_of_date"], terms.horizon_months))


def _on(day: pd.Timestamp, versions: pd.DataFrame, companies: pd.Index[str]) -> pd.DataFrame:
    """The newest report of each company that was known by the end of a day; a row without one for the others."""
    moment = pd.Timestamp(frames.instant(day.date())).tz_localize(None)
    reports = point_in_time.newest_version(versions, moment).sort_values(["created_at", "report_id"])
    found = frames.newest_of_each_company(reports)
    others = pd.DataFrame({"company_id": companies.difference(pd.Index(found["company_id"]))}, dtype="string")
    return pd.concat([found, others], ignore_index=True).assign(as_of_date=day)


def _each_report(versions: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """Each report as it was when first known, on that day; of a company's reports of one day the newest."""
    named = versions[versions["company_id"].notna()].sort_values(["known_at", "report_version"], kind="stable")
    fresh = named.drop_duplicates("report_id")
    fresh = fresh.assign(as_of_date=fresh["known_at"].dt.normalize()).sort_values(["created_at", "report_id"])
    return fresh[fresh["as_of_date"].between(first, last)].drop_duplicates(["company_id", "as_of_date"], keep="last")


def split_by_company(company_ids: pd.Series[str], *, key: str, test_share: float) -> pd.Series[str]:
    """``"test"`` for about that share of the companies, else ``"train"``; all rows of a company are on one side.

    The side of a company follows from the key and its id alone, so that neither other companies nor later rows can
    move it.

    >>> split_by_company(pd.Series(["732829320", "356000000", "732829320"]), key="b", test_share=0.5).tolist()
    ['train', 'test', 'train']
    """
    if not is_number(test_share, 0, 1):
        raise InputError(f"test_share is {test_share}; give a share between 0 and 1")
    sides = {company: _side(company, key, test_share) for company in company_ids.dropna().unique()}
    return company_ids.map(sides).astype("string")


def _side(company: str, key: str, test_share: float) -> str:
    digest = hmac.digest(key.encode(), company.encode(), "sha256")
    return "test" if int.from_bytes(digest[:8], "big") < test_share * 2**64 else "train"


def split_by_time(
    as_of: pd.Series[pd.Timestamp], label_known: pd.Series[pd.Timestamp], test_from: AsOf
) -> pd.Series[str]:
    """``"test"`` from that day on; before it ``"train"``, or ``"purged"`` where the label was not known by then."""
    start = frames.day(test_from)
    sides = pd.Series("train", as_of.index, dtype="string").mask(label_known > start, "purged")
    return sides.mask(as_of >= start, "test")
