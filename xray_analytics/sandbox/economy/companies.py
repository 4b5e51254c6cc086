"""Seeded companies: who they are, how well they really do, when they default, and which reports exist on them.

Company number i depends on (seed, i, until) and on what is planted only, so a larger economy begins with the smaller
one. Whether a company defaults is drawn from its latent quality here; no report is told. What the reports say is
computed elsewhere from what the statements show.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from .identifiers import digest, dutch_iban, french_iban, object_id, shuffled, siren
from .labels import FANCIES, REGIONS, SECTORS, Sector
from .phenomena import CommonShock, Cures, LoanStacking, RewrittenReports, SeveralAccounts, StoppedUploads, Truths

MONTHS = 36  # length of the history; reports are created in the last 24 of them
BASE_HAZARD = 0.0002  # a month, at latent quality 0: about 2 % of the portfolio a year
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
    is_rewritten: bool = False


@dataclass(frozen=True)
class Spell:
    """A time in default; `end` is the day of the cure, None as long as there is none."""

    start: date
    end: date | None


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
    spells: tuple[Spell, ...]
    stacked_month: int | None
    ibans: tuple[str | None, ...]
    statement_months: int
    requests: tuple[tuple[str, datetime], ...]
    reports: tuple[ReportPlan, ...] = field(repr=False)
    truths: Truths = field(repr=False)

    @property
    def default_date(self) -> date | None:
        """The first day of the first default; None where there is none."""
        return self.spells[0].start if self.spells else None

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


def build_company(seed: int, no: int, until: date, truths: Truths) -> Company:
    """Company number `no` of the economy `seed`."""
    rng = np.random.default_rng([seed, no])
    timeline = Timeline(until)
    sector = SECTORS[rng.choice(len(SECTORS), p=_weights())]
    employees = max(1, int(rng.lognormal(1.6, 0.95)))
    first_month = int(rng.integers(8, 22)) if rng.random() < 0.12 else 0
    latent = _random_walk(rng, sector) - quality_lost(truths.common_shock)
    windows = _windows(rng, first_month)
    default_month = _default_month(rng, latent, after=windows[0][1] + 2)
    spells = _spells(np.random.default_rng([seed, no, 9]), timeline, default_month, truths.cures)
    code_type, code = ("kvk", f"{10**7 + digest(seed, no, 'kvk') % (9 * 10**7)}") if rng.random() < 0.02 else (
        "siren", siren(90_000_000 + shuffled(no, seed))
    )  # fmt: skip
    silences = _silences(np.random.default_rng([seed, no, 10]), spells, truths.stopped_uploads)
    requests, reports = _reports(rng, (seed, no), timeline, windows, silences)
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
        quality=_shadowed(latent, [timeline.month_of(spell.start) for spell in spells]),
        spells=spells,
        stacked_month=_stacked_month(np.random.default_rng([seed, no, 11]), default_month, truths.loan_stacking),
        ibans=_ibans(np.random.default_rng([seed, no, 12]), (seed, no), code_type, truths.accounts),
        statement_months=3 if rng.random() < 0.2 else 1,
        requests=requests,
        reports=tuple(_marked(plan, truths.rewritten_reports) for plan in reports),
        truths=truths,
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


def quality_lost(shock: CommonShock | None) -> Floats:
    """What the downturn takes from everyone's latent quality, by month."""
    return np.asarray(shock.quality_loss * depth(shock)) if shock else np.zeros(MONTHS)


def depth(shock: CommonShock) -> Floats:
    """How deep the downturn is in each month: 0 not at all, 1 fully."""
    since = np.arange(MONTHS) - shock.first_month
    fading = 1 - (since - shock.n_months + 1) / (shock.fade_months + 1)
    return np.where(since < 0, 0.0, np.clip(fading, 0, 1))


def _shadowed(latent: Floats, default_months: list[int]) -> Floats:
    """Quality as it acts on the cash flow: it fades in the months before a default and comes back slowly."""
    shadow = np.zeros(MONTHS)
    for month in default_months:
        distance = np.abs(np.arange(MONTHS) - month)
        shadow = np.maximum(shadow, np.clip(1 - distance / WARNING_MONTHS, 0, 1))
    return np.asarray(latent - 2.0 * shadow)


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


def _spells(
    rng: np.random.Generator, timeline: Timeline, default_month: int | None, cures: Cures | None
) -> tuple[Spell, ...]:
    """The times in default: one that lasts, or one that is cured, and maybe a second."""
    if default_month is None:
        return ()
    start = timeline.month_start(default_month) + timedelta(days=int(rng.integers(0, 28)))
    if cures is None or rng.random() > cures.share:
        return (Spell(start, None),)
    end = start + timedelta(days=int(rng.integers(cures.first_day, cures.last_day)))
    if end > timeline.until:
        return (Spell(start, None),)
    again = end + timedelta(days=int(rng.integers(cures.relapse_first_day, cures.relapse_last_day)))
    relapses = rng.random() < cures.relapse_share and again <= timeline.until
    return (Spell(start, end), Spell(again, None)) if relapses else (Spell(start, end),)


def _silences(
    rng: np.random.Generator, spells: tuple[Spell, ...], stopped: StoppedUploads | None
) -> list[tuple[date, date]]:
    """First and last day of the times without reports: in default, and before the first one if the company hides."""
    silences = [(spell.start, spell.end or date.max) for spell in spells]
    if silences and stopped and rng.random() < stopped.share:
        n_months = int(rng.integers(stopped.first_months, stopped.last_months + 1))
        silences[0] = (silences[0][0] - timedelta(days=30 * n_months), silences[0][1])
    return silences


def _stacked_month(rng: np.random.Generator, default_month: int | None, stacking: LoanStacking | None) -> int | None:
    """The month in which a new lender pays out; None where there is no such loan."""
    if stacking is None:
        return None
    chance, any_month = rng.random(), int(rng.integers(6, MONTHS - 6))
    if default_month is None:
        return any_month if chance < stacking.share_of_others else None
    n_months = int(rng.integers(stacking.first_months, stacking.last_months + 1))
    return default_month - n_months if chance < stacking.share else None


def _ibans(
    rng: np.random.Generator, key: tuple[int, int], code_type: str, accounts: SeveralAccounts | None
) -> tuple[str | None, ...]:
    several, third, hidden = rng.random(3)
    n_accounts = 1
    if accounts is not None and several < accounts.several_share:
        n_accounts = 3 if third < accounts.third_share else 2
    if accounts is not None and hidden < accounts.without_iban_share:
        return (None,) * n_accounts
    make = dutch_iban if code_type == "kvk" else french_iban
    return tuple(make(digest(*key, "iban", n)) for n in range(n_accounts))


def _reports(
    rng: np.random.Generator,
    key: tuple[int, int],
    timeline: Timeline,
    windows: list[tuple[int, int]],
    silences: list[tuple[date, date]],
) -> tuple[tuple[tuple[str, datetime], ...], tuple[ReportPlan, ...]]:
    """The requests of a company and the plans of their reports, by time of creation."""
    planned = [("bank_xray", *window, _moment(rng, timeline, window[1])) for window in windows]
    for year, (first, last) in enumerate((windows[0], windows[-1])):
        planned.append(("magpie", first, last, _moment(rng, timeline, last + year)))
    if rng.random() < 0.33:
        planned.append(("esg", *windows[0], _moment(rng, timeline, windows[0][1])))
    planned = sorted((w for w in planned if w[3].date() <= timeline.until), key=lambda w: w[3])
    wanted = [w for w in planned if w is planned[0] or not _is_silent(w[3].date(), silences)]
    opened = wanted[0][3] - timedelta(days=int(rng.integers(1, 6)))
    moments = [opened]
    if rng.random() < 0.08 and len(wanted) > 4:
        moments.append(wanted[3][3] - timedelta(hours=30))
    requests = tuple((object_id(at, *key, "request", n), at) for n, at in enumerate(moments))
    flaws = [_flaw(rng, key[1]) if source == "bank_xray" else None for source, *_ in planned]
    plans = []
    for n, (wish, flaw) in enumerate(zip(planned, flaws, strict=True)):
        if wish in wanted:
            source, first, last, at = wish
            request_id = next(id for id, opened_at in reversed(requests) if opened_at < at)
            plans.append(ReportPlan(object_id(at, *key, source, n), request_id, source, at, first, last, flaw))
    return requests, tuple(plans)


def _is_silent(day: date, silences: list[tuple[date, date]]) -> bool:
    return any(first <= day <= last for first, last in silences)


def _marked(plan: ReportPlan, rewritten: RewrittenReports | None) -> ReportPlan:
    """The plan, with the mark that its bank report will be rewritten if it will."""
    is_marked = rewritten is not None and digest(plan.id, "rewritten") % rewritten.one_in == 0
    return replace(plan, is_rewritten=is_marked and plan.source == "bank_xray" and plan.flaw is None)


def _moment(rng: np.random.Generator, timeline: Timeline, last_month: int) -> datetime:
    """When a report on statements up to `last_month` is created: some days after, in office hours."""
    end = timeline.month_end(last_month)
    seconds = int(rng.integers(8 * 3600, 18 * 3600))
    milliseconds = int(rng.integers(0, 1000))
    day = datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=int(rng.integers(3, 26)))
    return day + timedelta(seconds=seconds, milliseconds=milliseconds)


def _flaw(rng: np.random.Generator, no: int) -> str | None:
    return FLAWS[no // 8 % len(FLAWS)] if rng.random() < 1 / 95 else None
