"""How much a company takes in, owes and keeps each month, before anything is booked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .companies import MONTHS, Company, Floats, depth
from .ledger import Months


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


def plan_budget(rng: np.random.Generator, company: Company, months: Months) -> Budget:
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
