"""Can I trust it? What the statements cover, whether their figures agree, and every oddity as a row.

`reconciliation` is the ledger, `coverage` says which days there are, and `findings` puts these and what the tidying
noticed into one list; `sensitivity` shows what a figure owes to poor data. An oddity is information about the data, not
about the company.
"""

from __future__ import annotations

from .findings import coverage, findings, unread
from .reconciliation import reconciliation
from .sensitivity import sensitivity

__all__ = ["coverage", "findings", "reconciliation", "sensitivity", "unread"]
__dir__ = __all__.copy
