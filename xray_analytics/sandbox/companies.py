"""Seeded companies: who they are, how well they really do, when they default, and which reports exist on them.

Company number i depends on (seed, i, until) only, so a larger economy begins with the smaller one. Whether a company
defaults is drawn from its latent quality here; no report is told. What the reports say is computed elsewhere from
what the statements show.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from .identifiers import digest, dutch_iban, french_iban, object_id, siren
from .labels import FANCIES, REGIONS, SECTORS, Sector

MONTHS = 36  # length of the history; reports are created in the last 24 of them
BASE_HAZARD = 0.00033  # a month, at latent quality 0: about 2 % of the portfolio a year
HAZARD_SLOPE = 1.9
WARNING_MONTHS = 9  # a default casts its shadow this long before
FLAWS = (
    "wrong_type", "duplicate_member", "not_a_number", "truncated", "impossible_date", "unbalanced", "unknown_member",
)  # fmt: skip

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReportPlan:
    """One report to be written: its envelope, the months it covers, and its damage if any."""

    id: str
    request_id: str
    source: str
    created: datetime
    first_month: int
    last_month: int
    flaw: str | None = None


@dataclass(frozen=True)
class Company:
    """One invented company; money in EUR, months counted from the first of the `MONTHS` of history."""

    no: int
    seed: int
    name: str
    code_type: str
    code: str
    sector: Sector
    region: str
    employees: int
    revenue: float
    first_month: int
    quality: Floats = field(repr=False)
    default_date: date | None
    recovery_date: date | None
    ibans: tuple[str | None, ...]
    statement_months: int
    requests: tuple[tuple[str, datetime], ...]
    reports: tuple[ReportPlan, ...] = field(repr=False)

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator of its own for each purpose, so that the order of requests never matters."""
        return np.random.default_rng([self.seed, self.no, *purpose])


@dataclass(frozen=True)
class Timeline:
    """The `MONTHS` complete months that end on or before `until`.

    >>> Timeline(date(2025, 12, 31)).month_end(35)
    datetime.date(2025, 12, 31)
    """

    until: date

    def month_start(self, month: int) -> date:
        """First day of a month, counted from the start of the history."""
        after = self.until + timedelta(days=1)
        index = after.year * 12 + after.month - 1 - MONTHS + month
        return date(index // 12, index % 12 + 1, 1)

    def month_end(self, month: int) -> date:
        """Last day of a month."""
        start = self.month_start(month)
        return start.replace(day=monthrange(start.year, start.month)[1])

    def month_of(self, day: date) -> int:
        """The number of the month a day falls into."""
        origin = self.month_start(0)
        return (day.year - origin.year) * 12 + day.month - origin.month


def build_company(seed: int, no: int, until: date) -> Company:
    """Company number `no` of the economy `seed`."""
    rng = np.random.default_rng([seed, no])
    timeline = Timeline(until)
    sector = SECTORS[rng.choice(len(SECTORS), p=_weights())]
    employees = max(1, int(rng.lognormal(1.6, 0.95)))
    first_month = int(rng.integers(8, 22)) if rng.random() < 0.12 else 0
    latent = _random_walk(rng, sector)
    windows = _windows(rng, first_month)
    default_month = _default_month(rng, latent, after=windows[0][1] + 4)
    default_date = _day_in(timeline, default_month, rng) if default_month is not None else None
    recovery_date = _recovery(rng, default_date, until)
    code_type, code = ("kvk", f"{10**7 + digest(seed, no, 'kvk') % (9 * 10**7)}") if rng.random() < 0.02 else (
        "siren", siren(900_000_00 + digest(seed, no, "siren") % 9_999_999)
    )  # fmt: skip
    requests, reports = _reports(rng, (seed, no), timeline, windows, (default_date, recovery_date))
    return Company(
        no=no,
        seed=seed,
        name=f"SYNTHETIC {sector.trade} {FANCIES[rng.integers(len(FANCIES))]}",
        code_type=code_type,
        code=code,
        sector=sector,
        region=REGIONS[rng.integers(len(REGIONS))],
        employees=employees,
        revenue=employees * sector.revenue_per_head * rng.lognormal(0, 0.25),
        first_month=first_month,
        quality=_shadowed(latent, default_month),
        default_date=default_date,
        recovery_date=recovery_date,
        ibans=_ibans(rng, (seed, no), code_type),
        statement_months=3 if rng.random() < 0.2 else 1,
        requests=requests,
        reports=reports,
    )


def _weights() -> Floats:
    weights = np.array([sector.weight for sector in SECTORS])
    return np.asarray(weights / weights.sum())


def _random_walk(rng: np.random.Generator, sector: Sector) -> Floats:
    """Latent quality by month: stationary with unit variance, 12 months apart correlated by 0.85."""
    keep = 0.987
    shocks = rng.standard_normal(MONTHS) * np.sqrt(1 - keep**2)
    shocks[0] = rng.standard_normal()
    values = np.empty(MONTHS)
    values[0] = shocks[0]
    for month in range(1, MONTHS):
        values[month] = keep * values[month - 1] + shocks[month]
    return values - sector.fragility


def _default_month(rng: np.random.Generator, latent: Floats, *, after: int) -> int | None:
    hazard = BASE_HAZARD * np.exp(-HAZARD_SLOPE * latent)
    hits = np.flatnonzero(rng.random(MONTHS) < hazard)
    hits = hits[hits >= after]
    return int(hits[0]) if len(hits) else None


def _shadowed(latent: Floats, default_month: int | None) -> Floats:
    """Quality as it acts on the cash flow: it fades in the months before a default and comes back slowly."""
    if default_month is None:
        return latent
    distance = np.abs(np.arange(MONTHS) - default_month)
    return np.asarray(latent - 2.0 * np.clip(1 - distance / WARNING_MONTHS, 0, 1))


def _windows(rng: np.random.Generator, first_month: int) -> list[tuple[int, int]]:
    """First and last month of each bank report, oldest first; some companies stop uploading."""
    n_reports = int(rng.integers(3, 6))
    spacing = 6 if n_reports < 5 else 5
    last_months = MONTHS - 2 - int(rng.integers(0, 3)) - spacing * np.arange(n_reports)[::-1]
    lengths = rng.choice([6, 7, 9, 12], size=n_reports, p=[0.3, 0.15, 0.25, 0.3])
    windows = [
        (max(first_month, int(last) - int(n) + 1), int(last))
        for last, n in zip(last_months, lengths, strict=True)
        if last - first_month >= 4
    ]
    stays = rng.random() < 0.9
    return windows if stays else windows[: max(1, len(windows) - 2)]


def _day_in(timeline: Timeline, month: int, rng: np.random.Generator) -> date:
    return timeline.month_start(month) + timedelta(days=int(rng.integers(0, 28)))


def _recovery(rng: np.random.Generator, default: date | None, until: date) -> date | None:
    if default is None or rng.random() > 0.25:
        return None
    recovered = default + timedelta(days=int(rng.integers(120, 270)))
    return recovered if recovered <= until else None


def _ibans(rng: np.random.Generator, key: tuple[int, int], code_type: str) -> tuple[str | None, ...]:
    n_accounts = int(rng.choice([1, 2, 3], p=[0.85, 0.13, 0.02]))
    if rng.random() < 0.35:
        return (None,) * n_accounts
    make = dutch_iban if code_type == "kvk" else french_iban
    return tuple(make(digest(*key, "iban", n)) for n in range(n_accounts))


def _reports(
    rng: np.random.Generator,
    key: tuple[int, int],
    timeline: Timeline,
    windows: list[tuple[int, int]],
    silence: tuple[date | None, date | None],
) -> tuple[tuple[tuple[str, datetime], ...], tuple[ReportPlan, ...]]:
    """The requests of a company and the plans of their reports, by time of creation."""
    wanted = [("bank_xray", *window, _moment(rng, timeline, window[1])) for window in windows]
    for year, (first, last) in enumerate((windows[0], windows[-1])):
        wanted.append(("magpie", first, last, _moment(rng, timeline, last + year)))
    if rng.random() < 0.33:
        wanted.append(("esg", *windows[0], _moment(rng, timeline, windows[0][1])))
    wanted = sorted((w for w in wanted if _is_made(w[3], timeline.until, silence)), key=lambda w: w[3])
    opened = wanted[0][3] - timedelta(days=int(rng.integers(1, 6)))
    moments = [opened]
    if len(wanted) > 4 and rng.random() < 0.08:
        moments.append(wanted[3][3] - timedelta(hours=30))
    requests = tuple((object_id(at, *key, "request", n), at) for n, at in enumerate(moments))
    plans = []
    for n, (source, first, last, at) in enumerate(wanted):
        request_id = next(id for id, opened_at in reversed(requests) if opened_at < at)
        flaw = _flaw(rng, key[1]) if source == "bank_xray" else None
        plans.append(ReportPlan(object_id(at, *key, source, n), request_id, source, at, first, last, flaw))
    return requests, tuple(plans)


def _moment(rng: np.random.Generator, timeline: Timeline, last_month: int) -> datetime:
    """When a report on statements up to `last_month` is created: some days after, in office hours."""
    end = timeline.month_end(last_month)
    seconds = int(rng.integers(8 * 3600, 18 * 3600))
    milliseconds = int(rng.integers(0, 1000))
    day = datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=int(rng.integers(3, 26)))
    return day + timedelta(seconds=seconds, milliseconds=milliseconds)


def _is_made(at: datetime, until: date, silence: tuple[date | None, date | None]) -> bool:
    default, recovery = silence
    silent = default is not None and at.date() >= default and (recovery is None or at.date() <= recovery)
    return at.date() <= until and not silent


def _flaw(rng: np.random.Generator, no: int) -> str | None:
    return FLAWS[no // 8 % len(FLAWS)] if rng.random() < 1 / 95 else None
