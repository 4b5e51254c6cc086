"""Whom should I look at today?

`watch_list` (companies that meet a rule, with the evidence), `precision` (were the alarms right?), and `debt_service`.
Rules are data (``rules.toml`` beside this module): thresholds of attention, chosen and not estimated, and no
statement about default.
"""

from __future__ import annotations

from ...tables import SEVERITIES
from ..cashflow.debt_service import debt_service
from .precision import precision
from .rules import WATCH
from .watch_list import companies_to_review, shipped_rules, watch_list

__all__ = [
    "SEVERITIES", "WATCH", "companies_to_review", "debt_service", "precision", "shipped_rules", "watch_list",
]  # fmt: skip
__dir__ = __all__.copy
