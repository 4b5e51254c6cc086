"""The validation report: does the class rank, are the probabilities true, and is it still the same population?

One document for HTML, PDF and XLSX. It judges one cohort with one observation per company, shows the earlier ones
beside it, and gives no verdict on a sample that the policy calls too small.
"""

from ..edition import Edition
from .cohorts import ValidationTerms
from .report import FORMS, document, render, write_rows, write_validation_report
from .results import READ, Validation, analyse, analysed, read_policy

__all__ = [
    "FORMS",
    "READ",
    "Edition",
    "Validation",
    "ValidationTerms",
    "analyse",
    "analysed",
    "document",
    "read_policy",
    "render",
    "write_rows",
    "write_validation_report",
]
