"""What the statements of one report show: their balances, their movements, and the criteria computed from them.

Nothing latent is read here: two companies with the same statements get the same criteria.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..economy.companies import Company, ReportPlan, Timeline
from ..economy.identifiers import digest
from ..economy.labels import KINDS
from ..economy.ledger import Calendar, CompanyLedger, Ints, social_due_day, social_due_months

ALERTING = [kind for kind, shown in KINDS.items() if shown.alerts]
OPERATING = ("customer", "card_takings", "cheque_in", "cash_in")
DEBT = ("loan", "lease", "overdraft_fee")
FREE = ("customer", "supplier_debit", "supplier_transfer", "card_payment")  # amounts that no contract fixes


@dataclass(frozen=True)
class ShownStatement:
    """One statement of one account: days after `start` up to `end`, rows `first` to `stop` of the ledger."""

    no: int
    account: int
    start: int
    end: int
    start_balance: int
    end_balance: int
    first: int
    stop: int


@dataclass(frozen=True)
class Sight:
    """What a report is computed from: the statements handed in, and the rows of the ledger they hold."""

    company: Company
    ledger: CompanyLedger
    months: Calendar
    statements: tuple[ShownStatement, ...]
    rows: Ints
    n_days: int


def sight(
    company: Company, plan: ReportPlan, ledger: CompanyLedger, timeline: Timeline, *, rewritten: bool = False
) -> Sight:
    """The statements of the months of `plan`; one report in 25 lacks a statement in the middle.

    A report that is rewritten later lacks its last statement until then.
    """
    months = Calendar(timeline)
    edges = [*range(plan.first_month, plan.last_month + 1, company.statement_months), plan.last_month + 1]
    periods = [(int(months.first[a]) - 1, int(months.first[b]) - 1) for a, b in pairwise(edges)]
    if len(periods) > 3 and digest(plan.id, "gap") % 25 == 0:
        del periods[len(periods) // 2]
    if plan.is_rewritten and not rewritten and len(periods) > 1:
        del periods[-1]
    statements: list[ShownStatement] = []
    for account in range(len(company.ibans)):
        for start, end in periods:
            statements.append(_statement(ledger, len(statements) + 1, account, (start, end)))
    rows = np.concatenate([np.arange(s.first, s.stop) for s in statements])
    return Sight(company, ledger, months, tuple(statements), rows, sum(b - a for a, b in periods))


def _statement(ledger: CompanyLedger, no: int, account: int, period: tuple[int, int]) -> ShownStatement:
    offset, stop = np.searchsorted(ledger.accounts, [account, account + 1])
    first, last = offset + np.searchsorted(ledger.days[offset:stop], period, side="right")
    before, after = (
        int(ledger.balances[row - 1] if row > offset else ledger.opening[account]) for row in (first, last)
    )
    return ShownStatement(no, account, *period, before, after, int(first), int(last))


def criteria(seen: Sight) -> dict[str, float]:
    """The criteria as the statements show them; only of `cashBuffer` and `cashTrend` more is better."""
    cents, kinds = seen.ledger.cents[seen.rows], seen.ledger.kinds[seen.rows]
    alert = np.isin(kinds, ALERTING)
    debits = max(1, int(-cents[cents < 0].sum()))
    n_months = seen.n_days / 30.4
    income, balance = _by_month(seen), _daily(seen)
    turnover = max(1.0, income.sum() / n_months)
    half = len(balance) // 2
    debt = -cents[np.isin(kinds, DEBT)].sum()
    useless = seen.company.truths.useless_criterion
    return {
        "alertFrequency": alert.sum() / max(1, len(cents)),
        "alertAmount": np.abs(cents[alert]).sum() / debits,
        "overdraft": float((balance < 0).mean()),
        "missedSocialSecurity": float(_missed_social(seen)),
        "paymentIncidents": (kinds == "reject").sum() / n_months,
        "debtStress": debt / max(1.0, income.sum()),
        "cashBuffer": balance.mean() / turnover,
        "cashTrend": (balance[half:].mean() - balance[:half].mean()) / turnover,
        "incomeVolatility": income.std() / max(1.0, income.mean()),
        **({useless.criterion: _even_share(cents[np.isin(kinds, FREE)])} if useless else {}),
    }


def _even_share(cents: Ints) -> float:
    return float((cents % 2 == 0).mean()) if len(cents) else 0.5


def _by_month(seen: Sight) -> Ints:
    """Operating receipts of each month with statements [cents]."""
    cents, kinds = seen.ledger.cents[seen.rows], seen.ledger.kinds[seen.rows]
    operating = np.isin(kinds, OPERATING)
    month = np.searchsorted(seen.months.first, seen.ledger.days[seen.rows][operating], side="right")
    sums = np.bincount(month, weights=cents[operating])
    return np.asarray(sums[sums > 0] if len(sums) else np.zeros(1))


def _daily(seen: Sight) -> Ints:
    """Closing balance of the first account on each covered day [cents]."""
    parts = []
    for s in seen.statements:
        if s.account == 0:
            flow = np.zeros(s.end - s.start, dtype=np.int64)
            np.add.at(flow, seen.ledger.days[s.first : s.stop] - s.start - 1, seen.ledger.cents[s.first : s.stop])
            parts.append(s.start_balance + np.cumsum(flow))
    return np.concatenate(parts)


def _missed_social(seen: Sight) -> int:
    """Due dates without a social-security debit in the ten days after, or with a reject of one."""
    employees = seen.company.employees
    due_months = np.flatnonzero(social_due_months(employees, seen.months.number))
    due = seen.months.due(due_months, social_due_day(employees))
    covered = np.zeros(len(due), dtype=bool)
    for s in seen.statements:
        covered |= (due > s.start) & (due + 10 <= s.end) & (s.account == 0)
    kinds, days = seen.ledger.kinds[seen.rows], seen.ledger.days[seen.rows]
    paid = days[kinds == "social"]
    back = days[(kinds == "reject") & (seen.ledger.parties[seen.rows] == "URSSAF")]
    return sum(1 for day in due[covered] if not _within(paid, day, 10) or _within(back, day, 15))


def _within(days: Ints, start: int, length: int) -> bool:
    return bool(((days >= start) & (days <= start + length)).any())
