"""What the lender knows of the same companies: register data, loans, exposures and outcomes, as frames.

Columns and order are those of the tables `companies`, `loans`, `exposures` and `outcomes`, without the two times that
are added when a file is attached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from .economy.companies import Company, Spell, Timeline
from .economy.phenomena import EarlyRepayments, Renewals
from .payloads.financial import accounts, class_of, default_probability

COMPANY_COLUMNS = (
    "company_id", "company_name", "sector_code", "size_class", "region", "group_id", "is_natural_person",
)  # fmt: skip
LOAN_COLUMNS = (
    "loan_id", "company_id", "application_date", "decision", "origination_date", "maturity_date", "principal",
    "currency", "refinanced_from", "closed_date", "close_reason",
)  # fmt: skip
EXPOSURE_COLUMNS = ("company_id", "exposure_date", "drawn", "undrawn", "currency")
OUTCOME_COLUMNS = (
    "company_id", "default_date", "default_end_date", "default_reason", "observed_until", "exit_date", "exit_reason",
)  # fmt: skip
REASONS = ("90_days_past_due", "unlikely_to_pay", "insolvency")


@dataclass(frozen=True)
class Loan:
    """One application and what became of it; a declined one has no origination."""

    loan_id: str
    company_id: str
    application_date: date
    decision: str
    principal: int
    origination_date: date | None = None
    maturity_date: date | None = None
    refinanced_from: str | None = None
    closed_date: date | None = None
    close_reason: str | None = None
    currency: str = "EUR"


def company_frame(companies: Iterable[Company]) -> pd.DataFrame:
    """Register data, one row per company."""
    rows = [(c.code, c.name, c.sector.code, _size_class(c.employees), c.region, _group(c), False) for c in companies]
    return _frame(rows, COMPANY_COLUMNS)


def loan_frame(companies: Iterable[Company], until: date) -> pd.DataFrame:
    """Applications and loans up to `until`, one row each."""
    rows = [
        tuple(getattr(loan, column) for column in LOAN_COLUMNS)
        for company in companies
        for loan in loans(company, until)
    ]
    return _frame(rows, LOAN_COLUMNS)


def exposure_frame(companies: Iterable[Company], until: date) -> pd.DataFrame:
    """Drawn and undrawn amounts [EUR] of active loans at each month end, one row per company and month."""
    timeline = Timeline(until)
    rows = [row for company in companies for row in _exposures(company, timeline)]
    return _frame(rows, EXPOSURE_COLUMNS)


def outcome_frame(companies: Iterable[Company], until: date) -> pd.DataFrame:
    """One row per company, or per default of it, and how long it was watched: declined applicants too, by a bureau."""
    return _frame([row for company in companies for row in _outcomes(company, until)], OUTCOME_COLUMNS)


def _frame(rows: Sequence[tuple[object, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    for column in frame.columns:
        if column.endswith("_date") or column == "observed_until":
            frame[column] = pd.to_datetime(frame[column])
        elif column != "is_natural_person" and column not in ("principal", "drawn", "undrawn"):
            frame[column] = frame[column].astype("string")
    return frame


def _size_class(employees: int) -> str:
    return "micro" if employees < 10 else "small" if employees < 50 else "medium"


def _group(company: Company) -> str | None:
    """The group of a company: some neighbourhoods are one, with most of their companies in it."""
    groups = company.truths.groups
    if groups is None:
        return None
    block = company.no // groups.size
    is_group = np.random.default_rng([company.seed, block, 5]).random() < groups.share
    in_group = is_group and company.rng(14).random() < groups.member_share
    return f"SYNTHETIC-GROUP-{block}" if in_group else None


def loans(company: Company, until: date) -> list[Loan]:
    """The applications of a company, oldest first; the later one may refinance the first."""
    rng, renewals = company.rng(6), company.truths.renewals or Renewals(share=0)
    applied = company.requests[0][1].date() + timedelta(days=int(rng.integers(2, 12)))
    principal = max(5_000, round(company.revenue * rng.uniform(0.05, 0.2) / 1000) * 1000)
    loan_id = f"L{company.no:06d}-1"
    if applied > until:
        return []
    if _is_declined(company, applied, until):
        return [Loan(loan_id, company.code, applied, "declined", principal)]
    first = _granted(rng, company, (loan_id, applied, principal), until)
    again = applied + timedelta(days=int(rng.integers(renewals.first_day, renewals.last_day)))
    ends = company.default_date or until
    if rng.random() > renewals.share or again + timedelta(days=60) >= ends or first.closed_date is not None:
        return [first]
    second = _granted(rng, company, (f"L{company.no:06d}-2", again, principal * renewals.growth), until)
    if second.origination_date is None:
        return [first, second]
    closed = {"closed_date": second.origination_date, "close_reason": "refinanced"}
    return [Loan(**(vars(first) | closed)), Loan(**(vars(second) | {"refinanced_from": loan_id}))]


def _is_declined(company: Company, applied: date, until: date) -> bool:
    """Whether the lender declines: the financial class is among the worst, or its own analyst does not like it.

    Without that it declines one in ten, blindly.
    """
    selection, rng = company.truths.selective_acceptance, company.rng(13)
    chance, error = rng.random(), rng.standard_normal()
    if selection is None:
        return bool(chance < 0.1)
    month = max(0, Timeline(until).month_of(applied) - 1)
    if company.quality[month] + selection.analyst_noise * error < selection.analyst_limit:
        return True
    last_month = next((plan.last_month for plan in company.reports if plan.source == "magpie"), month)
    probability = default_probability(accounts(company, last_month), company.truths)
    return class_of(probability) >= selection.declined_class


def _granted(rng: np.random.Generator, company: Company, terms: tuple[str, date, int], until: date) -> Loan:
    """A loan of those terms (id, application, principal); who is in default does not repay any more."""
    loan_id, applied, principal = terms
    early_ones = company.truths.early_repayments or EarlyRepayments(share=0)
    origination = applied + timedelta(days=int(rng.integers(5, 25)))
    n_months = int(rng.choice([12, 24, 36, 48, 60]))
    early = origination + timedelta(days=int(rng.integers(early_ones.first_day, early_ones.last_day)))
    is_early = rng.random() < early_ones.share
    maturity = origination + timedelta(days=round(30.44 * n_months))
    closed, reason = (early, "repaid_early") if is_early and early < maturity else (maturity, "repaid")
    if origination > until or origination >= (company.default_date or date.max):
        return Loan(loan_id, company.code, applied, "accepted", principal)
    is_closed = closed <= until and closed < (company.default_date or date.max)
    return Loan(
        loan_id, company.code, applied, "accepted", principal, origination, maturity, None,
        closed if is_closed else None, reason if is_closed else None,
    )  # fmt: skip


def _exposures(company: Company, timeline: Timeline) -> Iterator[tuple[object, ...]]:
    granted = [loan for loan in loans(company, timeline.until) if loan.origination_date is not None]
    revolving = company.rng(7).random() < 0.2
    for month in range(36):
        day = timeline.month_end(month)
        drawn = sum(_drawn(loan, day, company.spells) for loan in granted)
        if drawn > 0:
            undrawn = round(0.1 * granted[0].principal, 2) if revolving else 0.0
            yield (company.code, day, round(drawn, 2), undrawn, "EUR")


def _drawn(loan: Loan, day: date, spells: Sequence[Spell]) -> float:
    """Linear repayment, but for the days in default, on which nothing is repaid."""
    start, end = loan.origination_date or date.max, loan.maturity_date or date.max
    if not start <= day < (loan.closed_date or date.max):
        return 0.0
    unpaid = sum(max(0, (min(day, spell.end or day) - max(start, spell.start)).days) for spell in spells)
    return loan.principal * max(0.0, 1 - ((day - start).days - unpaid) / (end - start).days)


def _outcomes(company: Company, until: date) -> list[tuple[object, ...]]:
    """One row per default, or the one that says that none was seen."""
    rng = company.rng(8)
    reason = str(rng.choice(REASONS, p=[0.55, 0.25, 0.2]))
    lost = until - timedelta(days=int(rng.integers(30, 300)))
    is_lost = rng.random() < 0.02
    if company.spells:
        return [_default(company, spell, reason, until) for spell in company.spells]
    repaid = _repaid_on(company, until)
    if repaid is not None:
        return [(company.code, None, None, None, until, repaid, "repaid")]
    if is_lost:
        return [(company.code, None, None, None, lost, lost, "lost_to_follow_up")]
    return [(company.code, None, None, None, until, None, None)]


def _default(company: Company, spell: Spell, reason: str, until: date) -> tuple[object, ...]:
    """One default: who is insolvent leaves, who is cured was late and no more than that."""
    if spell.end is not None:
        return (company.code, spell.start, spell.end, REASONS[0], until, None, None)
    if reason == "insolvency":
        left = min(spell.start + timedelta(days=45), until)
        return (company.code, spell.start, None, reason, until, left, reason)
    return (company.code, spell.start, None, reason, until, None, None)


def _repaid_on(company: Company, until: date) -> date | None:
    """When the last loan was closed; None while one is open or where there was none."""
    closed = [loan.closed_date for loan in loans(company, until) if loan.origination_date is not None]
    days = [day for day in closed if day is not None]
    return max(days) if days and len(days) == len(closed) else None
