"""The tear sheet of one company: two A4 pages on who it is, how it moves, what went wrong and what to trust.

Everything is of one snapshot. Overlapping reports are resolved as in the analyses; counterparties are of the newest
bank report. Shareable, it names no counterparty and repeats nothing that a bank wrote.
"""

from ..edition import Edition
from .report import FORMS, document, render, write_company_report
from .results import CompanyProfile, analyse, analysed

__all__ = [
    "FORMS",
    "CompanyProfile",
    "Edition",
    "analyse",
    "analysed",
    "document",
    "render",
    "write_company_report",
]
