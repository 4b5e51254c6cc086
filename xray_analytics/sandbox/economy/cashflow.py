"""Why money moves: receipts, wages, charges, purchases and incidents of one company.

Receipts follow season, trend and latent quality; wages, charges, taxes and loans fall due on French calendars;
purchases take what is left, so that cash drifts towards the cushion that a company of that quality keeps. Incidents
(rejected debits, missed social charges, seizures, overdraft fees) become frequent as quality falls. Nothing here
knows of outcomes; that who defaults often took a loan from a new lender before is planted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .companies import MONTHS, Company, Floats, Timeline, depth
from .labels import CUSTOMER_WORDS, LENDERS, SUPPLIER_WORDS
from .ledger import (
    Calendar,
    CompanyLedger,
    Ints,
    Movements,
    cents,
    overdraft_fees,
    settle,
    social_due_day,
    social_due_months,
)

ALL = np.arange(MONTHS)
LEAVES = ("dividend", "ASSOCIE", "VIR SEPA EMIS VERS ASSOCIE")
COMES_IN = ("injection", "ASSOCIE", "VIR SEPA RECU /DE ASSOCIE /MOTIF APPORT")
TRANSFERS_IN = (
    "VIR SEPA RECU /DE {} /MOTIF FACTURE {}",
    "VIR INST RECU /DE {} /MOTIF {}",
    "VIREMENT RECU {} REF {}",
    "VIRSEPARECU {} F{}",
)


@dataclass(frozen=True)
class Budget:
    """What a company takes, must pay, and would like to keep as cash at the end of each month [EUR]."""

    receipts: Floats
    wages: Floats
    social: Floats
    vat: Floats
    rent: float
    instalment: float
    drawdown_month: int | None
    cushion: Floats


def plan_budget(rng: np.random.Generator, company: Company, months: Calendar) -> Budget:
    """What season, trend and latent quality make of a company's size."""
    quality, sector = company.quality, company.sector
    trend = np.cumsum(0.004 * np.tanh(quality) + 0.006 * rng.standard_normal(MONTHS))
    season = 1 + sector.swing * np.cos(2 * np.pi * (months.number - sector.peak) / 12)
    vat, shock = company.truths.value_added_tax, company.truths.common_shock
    usual = company.revenue / 12 * (1 + (vat.rate if vat else 0)) * np.exp(trend)
    unsteady = 0.04 + 0.10 / (1 + np.exp(0.5 + 1.5 * quality))
    receipts = usual * season * np.exp(unsteady * rng.standard_normal(MONTHS))
    receipts *= 1 - (shock.receipts_loss * depth(shock) if shock else 0)
    level = float(usual[0])
    has_loan = rng.random() < 1 / (1 + np.exp(0.8 * quality.mean()))
    instalment = level * rng.uniform(0.015, 0.05) if has_loan else 0.0
    drawdown_month = int(rng.integers(6, 30)) if has_loan and rng.random() < 0.3 else None
    wages, social = usual * sector.payroll_share * 0.58, usual * sector.payroll_share * 0.30
    tax_due = receipts * (vat.paid_share if vat else 0)
    rent = level * rng.uniform(0.02, 0.05)
    cushion = np.clip(0.40 + 0.44 * quality + 0.08 * rng.standard_normal(MONTHS), -0.6, 3.0) * usual
    return Budget(receipts, wages, social, tax_due, rent, instalment, drawdown_month, cushion)


def build_ledger(company: Company, timeline: Timeline) -> CompanyLedger:
    """All movements of a company over the history, the same for every report on it."""
    rng = company.rng(1)
    book = Movements(int(np.datetime64(timeline.month_end(MONTHS - 1)).astype(np.int64)))
    months = Calendar(timeline)
    budget = plan_budget(rng, company, months)
    opening = round(float(budget.cushion[0]) * 100)
    _receipts(rng, book, company, months, budget)
    _staff(rng, book, company, months, budget)
    _fixed_costs(rng, book, company, months, budget)
    _borrowing(book, months, budget)
    _stacked_loan(book, company, months, budget)
    _taxes(book, company, months, budget)
    _oddities(rng, book, company, months)
    _purchases(rng, book, company, months, budget)
    overdraft_fees(book, months, opening)
    return settle(book, len(company.ibans), opening)


def split(rng: np.random.Generator, totals: Floats, counts: Ints, spread: float) -> tuple[Ints, Floats]:
    """Split each month's total into `counts` unequal amounts; returns month and amount of each."""
    month = np.repeat(ALL, counts)
    weight = np.exp(spread * rng.standard_normal(len(month)))
    return month, totals[month] * weight / np.bincount(month, weight, minlength=MONTHS)[month]


def _counts(rng: np.random.Generator, mean: float) -> Ints:
    return np.maximum(1, rng.poisson(mean, MONTHS)).astype(np.int64)


def _size(company: Company) -> float:
    """A factor of about 0.5 to 1.6 for the number of movements."""
    return float(np.clip(0.55 + 0.11 * np.log(company.revenue / 25_000), 0.5, 1.6))


def _parties(rng: np.random.Generator, words: tuple[str, ...], size: int) -> list[str]:
    """`size` picks among some invented names, few of which are picked often."""
    n_names = int(rng.integers(6, 22))
    names = [f"{words[k]} {n + 10}" for n, k in enumerate(rng.integers(0, len(words), n_names))]
    shares = (1 + np.arange(n_names)) ** -rng.uniform(0.6, 1.4)
    return [names[k] for k in rng.choice(n_names, size=size, p=shares / shares.sum())]


def _receipts(rng: np.random.Generator, book: Movements, company: Company, months: Calendar, budget: Budget) -> None:
    card, n_accounts = company.sector.card_share, len(company.ibans)
    counts = _counts(rng, 4 * _size(company) * (1.2 - card))
    month, amount = split(rng, budget.receipts * (1 - card), counts, 0.8)
    days, amounts = months.due(month, rng.integers(1, 29, len(month))), cents(amount)
    shape = TRANSFERS_IN[int(rng.integers(len(TRANSFERS_IN)))]
    parties = _parties(rng, CUSTOMER_WORDS, len(month))
    texts = [("customer", party, shape.format(party, 2000 + n)) for n, party in enumerate(parties)]
    for n in np.flatnonzero(rng.random(len(texts)) < 0.08):
        texts[n] = ("cheque_in", "", f"REMISE CHEQUE N {7000 + n}")
    where = (rng.random(len(month)) < 0.3) * rng.integers(1, max(2, n_accounts), len(month)) * (n_accounts > 1)
    for account in range(n_accounts):
        mine = np.flatnonzero(where == account)
        book.add(days[mine], amounts[mine], [texts[k] for k in mine], account=account)
        if account:
            _sweep(book, months, _monthly(month[mine], amounts[mine]), account)
    if card:
        _takings(rng, book, months, budget.receipts * card)


def _monthly(month: Ints, amounts: Ints) -> Ints:
    sums = np.zeros(MONTHS, dtype=np.int64)
    np.add.at(sums, month, amounts)
    return sums


def _sweep(book: Movements, months: Calendar, received: Ints, account: int) -> None:
    """Once a month, what a second account took in goes to the first, in whole hundreds."""
    moved = received // 10_000 * 10_000
    days = months.working(months.first[ALL + 1] + 1)
    book.add(days, -moved, [("internal", "", "VIR CPTE A CPTE EMIS")] * MONTHS, account=account)
    book.add(days, moved, [("internal", "", "VIR CPTE A CPTE RECU")] * MONTHS)


def _takings(rng: np.random.Generator, book: Movements, months: Calendar, totals: Floats) -> None:
    """Card takings twice a week with a monthly fee line, and cash brought to the bank."""
    contract = int(rng.integers(10**6, 10**7))
    counts = np.full(MONTHS, 6, dtype=np.int64)
    month, amount = split(rng, totals * 0.9, counts, 0.25)
    days = months.due(month, np.tile([3, 8, 13, 18, 23, 28], MONTHS))
    card = ("card_takings", "CARTES", f"REMISE CB NO {contract}")
    book.add(days, cents(amount), [card] * len(days))
    fee = ("card_fee", "CARTES", "COMMISSIONS SUR REMISE CB")
    book.add(months.due(ALL, 28), -cents(totals * 0.9 * 0.008), [fee] * MONTHS)
    cash = ("cash_in", "", "VERSEMENT ESPECES AUTOMATE")
    book.add(months.due(ALL, 17), cents(np.round(totals * 0.1 / 20) * 20), [cash] * MONTHS)


def _close_books(book: Movements, months: Calendar, budget: Budget) -> tuple[Floats, Floats]:
    """Purchases and surplus of each month [EUR] that lead from what was booked so far to the cushion wanted.

    Purchases stay between 15 % and 85 % of receipts; what does not fit leaves the company, or is brought in.
    """
    days, _, amounts, _ = book.columns()
    month = np.searchsorted(months.first, days, side="right") - 1
    net = np.bincount(np.maximum(month, 0), weights=amounts, minlength=MONTHS) / 100
    room = net - np.diff(budget.cushion, prepend=budget.cushion[0])
    purchases, surplus = np.zeros(MONTHS), np.zeros(MONTHS)
    carried = 0.0
    for m, receipts in enumerate(budget.receipts):
        purchases[m] = np.clip(room[m] + carried, 0.15 * receipts, 0.85 * receipts)
        carried += room[m] - purchases[m]
        if abs(carried) > 0.05 * receipts:
            surplus[m], carried = carried, 0.0
    return purchases, surplus


def _purchases(rng: np.random.Generator, book: Movements, company: Company, months: Calendar, budget: Budget) -> None:
    purchases, surplus = _close_books(book, months, budget)
    texts = [LEAVES if amount > 0 else COMES_IN for amount in surplus]
    book.add(months.due(ALL, 26), -cents(surplus), texts)
    month, amount = split(rng, purchases, _counts(rng, 5.2 * _size(company)), 0.9)
    days, amounts = months.due(month, rng.integers(1, 29, len(month))), -cents(amount)
    parties = _parties(rng, SUPPLIER_WORDS, len(month))
    way = rng.random(len(month))
    texts = [_purchase(party, float(chosen)) for party, chosen in zip(parties, way, strict=True)]
    book.add(days, amounts, texts)
    chance = np.clip(np.exp(-4.5 - 1.4 * company.quality), 0, 0.4)[month]
    rejected = np.flatnonzero((way < 0.5) & (rng.random(len(month)) < chance))
    _reject(book, months, days[rejected], amounts[rejected], [parties[n] for n in rejected])


def _purchase(party: str, way: float) -> tuple[str, str, str]:
    if way < 0.5:
        return ("supplier_debit", party, f"PRLV SEPA {party} MDT{party.rsplit(maxsplit=1)[-1]}77")
    if way < 0.8:
        return ("supplier_transfer", party, f"VIR SEPA EMIS VERS {party}")
    return ("card_payment", party, f"CARTE X4821 {party}")


def _reject(book: Movements, months: Calendar, days: Ints, amounts: Ints, parties: list[str]) -> None:
    """A debit (already written) comes back a working day later, and costs a fee on the next."""
    back = months.working(days + 1)
    book.add(back, -amounts, [("reject", party, f"REJET PRLV {party}") for party in parties])
    fee = np.full(len(days), -2000, dtype=np.int64)
    book.add(
        months.working(back + 1),
        fee,
        [("reject_fee", party, f"FRAIS PRLV IMPAYE SEPA {party}") for party in parties],
    )


def _staff(rng: np.random.Generator, book: Movements, company: Company, months: Calendar, budget: Budget) -> None:
    """Wages at the end of the month; social charges on their due date, late, rejected or not at all."""
    n_lines = min(company.employees, 3)
    shares = np.tile([0.42, 0.35, 0.23][:n_lines] / np.sum([0.42, 0.35, 0.23][:n_lines]), MONTHS)
    month = np.repeat(ALL, n_lines)
    lines = [("payroll", f"SALARIE {n % n_lines + 1}", "VIR SALAIRE") for n in range(len(month))]
    book.add(months.due(month, 27), -cents(budget.wages[month] * shares), lines)
    due = np.flatnonzero(social_due_months(company.employees, months.number))
    owed = np.array([budget.social[max(0, m - 12 // _payments(company)) : max(1, m)].sum() for m in due])
    days, amounts = months.due(due, social_due_day(company.employees)), -cents(owed)
    fate = rng.random(len(due)) / np.clip(np.exp(-3.7 - 1.3 * company.quality[due]), 0, 0.6)
    late = (fate >= 0.3) & (fate < 0.8)
    paid = fate >= 0.3
    place = company.region.upper()
    text = ("social", "URSSAF", f"PRLV SEPA URSSAF {place} COTISATIONS")
    days = np.where(late, months.working(days + 21), days)
    book.add(days[paid], amounts[paid], [text] * int(paid.sum()))
    bounced = (fate >= 0.8) & (fate < 1)
    _reject(book, months, days[bounced], amounts[bounced], ["URSSAF"] * int(bounced.sum()))
    quarter = np.flatnonzero(np.isin(months.number, (1, 4, 7, 10)))
    pension = ("pension", "KLESIA", "PRLV SEPA KLESIA AGIRC-ARRCO")
    book.add(months.due(quarter, 25), -cents(budget.wages[quarter] * 0.25), [pension] * len(quarter))


def _payments(company: Company) -> int:
    return 4 if company.employees < 4 else 12


def _fixed_costs(rng: np.random.Generator, book: Movements, company: Company, months: Calendar, budget: Budget) -> None:
    level = company.revenue / 12
    every_month = (
        ("rent", "SCI DES MURS REVES", "PRLV SEPA LOYER SCI DES MURS REVES", 5, budget.rent),
        ("utility", "ENERGIE FICTIVE", "PRLV SEPA ENERGIE FICTIVE CONTRAT 88", 12, 0.014 * level),
        ("utility", "TELECOM ZEPHYR", "PRLV SEPA TELECOM ZEPHYR", 9, 59.9),
        ("insurance", "ASSUR-LUNE", "PRLV SEPA ASSUR-LUNE PRIME", 7, 0.008 * level),
        ("charges", "BANQUE", "COTISATION MENSUELLE OPTION PRO", 3, 24.5),
        ("lease", "CREDIT BAIL NUAGE", "CREDIT BAIL NUAGE LOYER", 10, 0.012 * level * (company.no % 5 < 2)),
    )
    for kind, party, label, day, amount in every_month:
        noise = 1 + 0.15 * rng.standard_normal(MONTHS) * (party == "ENERGIE FICTIVE")
        book.add(months.due(ALL, day), -cents(amount * noise), [(kind, party, label)] * MONTHS)


def _borrowing(book: Movements, months: Calendar, budget: Budget) -> None:
    """Instalments on the 10th; a loan drawn within the history arrives as a plain transfer and is spent."""
    start = -1 if budget.drawdown_month is None else budget.drawdown_month
    paying = ALL[start + 1 :]
    amounts = np.full(len(paying), -round(budget.instalment * 100), dtype=np.int64)
    book.add(months.due(paying, 10), amounts, [("loan", "BANQUE", "ECHEANCE PRET 00047211")] * len(paying))
    if start >= 0:
        sum_drawn = np.array([round(budget.instalment * 36) * 100])
        at = np.array([start])
        drawn = ("drawdown", "BANQUE", "VIR SEPA RECU /DE BANQUE /MOTIF MISE A DISPOSITION")
        spent = ("supplier_transfer", "MACHINES CHIMERES", "VIR SEPA EMIS VERS MACHINES CHIMERES")
        book.add(months.due(at, 8), sum_drawn, [drawn])
        book.add(months.due(at, 15), -sum_drawn, [spent])


def _stacked_loan(book: Movements, company: Company, months: Calendar, budget: Budget) -> None:
    """A loan of a lender that was not paid before: the money goes to suppliers who waited."""
    stacking, start = company.truths.loan_stacking, company.stacked_month
    if stacking is None or start is None:
        return
    party = LENDERS[company.no % len(LENDERS)]
    instalment = cents(np.array([stacking.instalment_ratio * budget.receipts.mean()]))
    at, paid = np.array([start]), ALL[start + 1 : start + 1 + stacking.n_instalments]
    total = instalment * stacking.n_instalments
    book.add(months.due(at, 6), total, [("drawdown", party, f"VIR SEPA RECU /DE {party} /MOTIF DEBLOCAGE PRET")])
    waited = ("supplier_transfer", "FOURNISSEURS PATIENTS", "VIR SEPA EMIS VERS FOURNISSEURS PATIENTS")
    book.add(months.due(at, 7), -total, [waited])
    lines = [("loan", party, f"PRLV SEPA {party} ECHEANCE PRET")] * len(paid)
    book.add(months.due(paid, 6), np.repeat(-instalment, len(paid)), lines)


def _taxes(book: Movements, company: Company, months: Calendar, budget: Budget) -> None:
    """VAT of the month before by month, or of the quarter before for the smallest; the others as they fall due."""
    vat, line = company.truths.value_added_tax, ("tax", "DGFIP", "PRLV SEPA DGFIP TVA")
    is_quarterly = vat is not None and company.employees < vat.quarterly_below
    due = np.flatnonzero(np.isin(months.number, (1, 4, 7, 10))) if is_quarterly else ALL
    owed = np.array([budget.vat[max(0, m - (3 if is_quarterly else 1)) : max(1, m)].sum() for m in due])
    book.add(months.due(due, 19), -cents(owed), [line] * len(due))
    withheld = ("tax", "DGFIP", "PRLV SEPA DGFIP PAS")
    book.add(months.due(ALL, 15), -cents(budget.wages * 0.04), [withheld] * MONTHS)
    yearly = np.flatnonzero(months.number == 12)
    book.add(
        months.due(yearly, 15),
        -cents(budget.receipts[yearly] * 0.02),
        [("tax", "DGFIP", "PRLV SEPA DGFIP CFE")] * len(yearly),
    )
    profit = np.flatnonzero(np.isin(months.number, (3, 6, 9, 12)))
    book.add(
        months.due(profit, 16),
        -cents(budget.receipts[profit] * 0.012),
        [("tax", "DGFIP", "PRLV SEPA DGFIP IS ACOMPTE")] * len(profit),
    )


def _oddities(rng: np.random.Generator, book: Movements, company: Company, months: Calendar) -> None:
    """Seizures, cash withdrawals, and refunds that look like rejects but are none."""
    risk = np.clip(np.exp(-6.6 - 1.2 * company.quality), 0, 0.2)
    seized = np.flatnonzero(rng.random(MONTHS) < risk)
    amounts = cents(company.revenue / 12 * rng.uniform(0.02, 0.12, len(seized)))
    book.add(
        months.due(seized, 21),
        -amounts,
        [("seizure", "TRESOR PUBLIC", "SAISIE ADMINISTRATIVE")] * len(seized),
    )
    fees = np.full(len(seized), -10_000, dtype=np.int64)
    book.add(months.due(seized, 22), fees, [("seizure", "BANQUE", "FRAIS SAISIE")] * len(seized))
    drawn = np.flatnonzero(rng.random(MONTHS) < 0.3)
    cash = -2000 * rng.integers(2, 26, len(drawn))
    book.add(months.due(drawn, 14), cash, [("cash_out", "", "RETRAIT DAB LUNEVILLE-SUR-RIEN")] * len(drawn))
    refunded = np.flatnonzero(rng.random(MONTHS) < 0.04)
    refund = ("refund", "TELECOM ZEPHYR", "REMBT PRLV TELECOM ZEPHYR")
    book.add(months.due(refunded, 20), np.full(len(refunded), 5990, dtype=np.int64), [refund] * len(refunded))
