"""The `raw` object of a Bank X-Ray report, computed from what its statements show and from nothing else.

Documented: the members of the Bank X-Ray guide. Assumed: the members of a transaction, all criteria but one (nine in
the score as one page has it, a tenth beside them as another has ten), the metrics beside `totalDebitAmount`, their
thresholds and weights, and the rule that ties `score` to `riskClass`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..economy.companies import Company, ReportPlan, Timeline
from ..economy.identifiers import digest
from ..economy.labels import KINDS
from ..economy.ledger import CompanyLedger
from .visible import ShownStatement, Sight, criteria, sight

CLASS_CUTS = (0.2, 0.4, 0.6, 0.8)  # scores at or below: classes 1, 2, 3, 4; else 5
SCORE_SCALE = (0, 0.08, 0.33, 0.555, 0.755, 1)  # weighted quantiles that stand at scores 0, 0.2 … 1
LEVELS = (0, 10, 30, 50, 80, 95, 100)


class Criterion(NamedTuple):
    """Weight in the score, and reference values at the quantiles `LEVELS` (0 best, 100 worst)."""

    weight: float
    reference: tuple[float, ...]


CRITERIA = {
    "alertFrequency": Criterion(22, (0, 0.001, 0.004, 0.013, 0.04, 0.07, 0.11)),
    "alertAmount": Criterion(18, (0, 0.0001, 0.0003, 0.001, 0.015, 0.06, 0.15)),
    "overdraft": Criterion(13, (0, 0.002, 0.01, 0.04, 0.2, 0.6, 1)),
    "missedSocialSecurity": Criterion(13, (0, 0.1, 0.3, 0.6, 1, 2, 5)),
    "paymentIncidents": Criterion(14, (0, 0.02, 0.05, 0.09, 0.17, 0.45, 1.2)),
    "debtStress": Criterion(6, (0, 0.001, 0.004, 0.012, 0.04, 0.055, 0.07)),
    "cashBuffer": Criterion(6, (2.2, 1.2, 0.8, 0.55, 0.2, -0.1, -0.4)),
    "cashTrend": Criterion(3, (0.8, 0.3, 0.13, 0.03, -0.14, -0.3, -0.5)),
    "incomeVolatility": Criterion(5, (0.03, 0.06, 0.086, 0.11, 0.163, 0.225, 0.3)),
    "evenAmounts": Criterion(0, (0.35, 0.43, 0.47, 0.5, 0.545, 0.585, 0.65)),
}
POPOVERS = {
    "missedSocialSecurity": "Regularity of social security payments, compared with their due dates.",
}


def bank_raw(
    company: Company, plan: ReportPlan, ledger: CompanyLedger, timeline: Timeline, *, rewritten: bool = False
) -> dict[str, Any]:
    """The `raw` member of a Bank X-Ray report; `rewritten` as it stands once its last statement is in."""
    seen = sight(company, plan, ledger, timeline, rewritten=rewritten)
    rng = np.random.default_rng(digest(plan.id))
    return raw_of(seen, rng, _data_sanity(rng, gap=seen.n_days < _days(timeline, plan)))


def raw_of(seen: Sight, rng: np.random.Generator, sanity: int) -> dict[str, Any]:
    """The `raw` member of a Bank X-Ray report on these statements; `rng` draws which optional members are shown."""
    values = criteria(seen)
    score = overall_score(values)
    risk_class = 1 + sum(score > cut for cut in CLASS_CUTS)
    raw: dict[str, Any] = {
        "movementReport": movement_report(seen),
        "summary": [_summary(seen, statement) for statement in seen.statements],
        "bankFlag": _bank_flag(values, sanity, risk_class),
        "riskClass": risk_class,
        "score": score,
        "allTransactions": transactions(seen, rng),
    }
    return raw if sanity >= 70 else _unrated(raw, rng)


def _days(timeline: Timeline, plan: ReportPlan) -> int:
    return (timeline.month_end(plan.last_month) - timeline.month_start(plan.first_month)).days + 1


def _data_sanity(rng: np.random.Generator, *, gap: bool) -> int:
    if rng.random() < 0.02:
        return int(rng.integers(35, 70))
    sanity = 100 if rng.random() < 0.7 else int(rng.integers(82, 100))
    return sanity - 12 * gap


def _unrated(raw: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Below 70 % of data sanity no rating is given; how JSON says so is unknown: null or absent."""
    raw["bankFlag"]["color"] = "orange"
    empty: dict[str, Any] = {} if rng.random() < 0.5 else {"riskClass": None, "score": None}
    return {name: value for name, value in raw.items() if name not in ("riskClass", "score")} | empty


def number(cents: int) -> int | float:
    """Cents as JavaScript would print the amount: ``100``, ``12.5``, ``68226.41``."""
    return cents // 100 if cents % 100 == 0 else cents / 100


def annualised(cents: int, n_days: int) -> int:
    """``period * 365 / days``, rounded to the cent, halves away from zero.

    >>> annualised(6822641, 31)
    80331096
    """
    magnitude = (2 * abs(cents) * 365 + n_days) // (2 * n_days)
    return magnitude if cents >= 0 else -magnitude


def movement_report(seen: Sight) -> dict[str, dict[str, int | float]]:
    """Metrics over the period and a year; the days are those the statements cover (assumed for several)."""
    cents, kinds = seen.ledger.cents[seen.rows], seen.ledger.kinds[seen.rows]
    metrics = {
        "totalDebitAmount": -cents[cents < 0].sum(),
        "totalCreditAmount": cents[cents > 0].sum(),
        "numberOfDebits": 100 * (cents < 0).sum(),
        "numberOfCredits": 100 * (cents > 0).sum(),
        "cashGenerated": cents.sum(),
        "debtPayments": -cents[(kinds == "loan") | (kinds == "lease")].sum(),
        "salariesPaid": -cents[kinds == "payroll"].sum(),
        "intercompanyTransfers": cents[(kinds == "internal") & (cents > 0)].sum(),
    }
    return {
        name: {"period": number(int(value)), "annualised": number(annualised(int(value), seen.n_days))}
        for name, value in metrics.items()
    }


def _summary(seen: Sight, statement: ShownStatement) -> dict[str, Any]:
    cents = seen.ledger.cents[statement.first : statement.stop]
    iban = seen.company.ibans[statement.account]
    return {
        "startDate": str(np.datetime64(statement.start, "D")),
        "endDate": str(np.datetime64(statement.end, "D")),
        "bic": "" if iban is None else "SYNTFRP1XXX",
        "iban": iban,
        "statementId": statement.no,
        "pageCount": 1 + len(cents) // 30,
        "startBalance": number(statement.start_balance),
        "endBalance": number(statement.end_balance),
        "totalCreditAmount": number(int(cents[cents > 0].sum())),
        "totalDebitAmount": number(int(-cents[cents < 0].sum())),
        "movements": "correct",
    }


def quantile(criterion: str, value: float) -> int:
    """Where a value stands among the reference companies: 0 best, 100 worst (assumed)."""
    reference = np.array(CRITERIA[criterion].reference)
    sign = 1 if reference[0] < reference[-1] else -1
    return round(float(np.interp(sign * value, sign * reference, LEVELS)))


def overall_score(values: dict[str, float]) -> float:
    """0 best to 1 worst, two decimals (scale and direction assumed; the sample has 0.8 beside class 4)."""
    weighted = sum(CRITERIA[name].weight * quantile(name, value) for name, value in values.items()) / 10_000
    return round(float(np.interp(weighted, SCORE_SCALE, (0, *CLASS_CUTS, 1))), 2)


def sentiment(quantile: int) -> str:
    """Good below 30, bad from 80 (only ``bad`` is documented)."""
    return "good" if quantile < 30 else "neutral" if quantile < 80 else "bad"


def _bank_flag(values: dict[str, float], sanity: int, risk_class: int) -> dict[str, Any]:
    reasons = []
    for name, value in values.items():
        place = quantile(name, value)
        popovers = [POPOVERS[name]] if name in POPOVERS else []
        reasons.append(
            {
                "criteria": name,
                "quantile": place,
                "value": _plain(value),
                "sentiment": sentiment(place),
                "popovers": popovers,
            }
        )
    color = ("green", "green", "orange", "red", "red")[risk_class - 1]
    return {"color": color, "dataSanity": sanity, "reasons": reasons}


def _plain(value: float) -> int | float:
    rounded = round(float(value), 4)
    return int(rounded) if rounded == int(rounded) else rounded


def transactions(seen: Sight, rng: np.random.Generator) -> list[dict[str, Any]]:
    """`allTransactions`, oldest first in each account or, in a quarter of the reports, newest first."""
    optional = {
        "category": rng.random() < 0.75,
        "currency": rng.random() < 0.9,
        "valueDate": rng.random() < 0.9,
    }
    silent = rng.random() < 0.5
    entries = _entries(seen)
    left_out = [name for name, shown in optional.items() if not shown]
    for entry in entries if left_out else ():
        for name in left_out:
            _leave_out(entry, name, silent)
    return entries if rng.random() < 0.75 else entries[::-1]


def _entries(seen: Sight) -> list[dict[str, Any]]:
    ledger, rows = seen.ledger, seen.rows
    statement_of = np.repeat([s.no for s in seen.statements], [s.stop - s.first for s in seen.statements])
    columns = (
        rows,
        ledger.days[rows].astype("datetime64[D]").astype(str),
        ledger.labels[rows],
        ledger.cents[rows],
        ledger.balances[rows],
        ledger.kinds[rows],
        ledger.parties[rows],
        statement_of,
    )
    return [
        {
            "date": date,
            "valueDate": date,
            "label": label,
            "amount": number(cents),
            "balance": number(balance),
            "currency": "EUR",
            "category": KINDS[kind].category,
            "counterparty": party or None,
            "type": KINDS[kind].type,
            "alerts": KINDS[kind].alerts,
            "statementId": statement,
            "id": f"{seen.company.no:06x}{row:06x}",
        }
        for row, date, label, cents, balance, kind, party, statement in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _leave_out(entry: dict[str, Any], name: str, silent: bool) -> None:
    if silent:
        del entry[name]
    else:
        entry[name] = None
