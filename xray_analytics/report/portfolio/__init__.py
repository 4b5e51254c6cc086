"""The portfolio report: what the analysed companies look like, whom to look at, and how far the data can be trusted.

One HTML page that loads nothing and runs nothing, one workbook, one PDF; the same snapshot gives the same bytes.
Reports are analyses, not a loan book: the page says *analysed companies*, gives no average probability of default (its
horizon is not documented) and no verdict on the model (that is the validation report's).
"""

from ..edition import Edition
from .report import FORMS, document, render, write_portfolio_report
from .results import READ, Portfolio, analyse, analysed

__all__ = [
    "FORMS",
    "READ",
    "Edition",
    "Portfolio",
    "analyse",
    "analysed",
    "document",
    "render",
    "write_portfolio_report",
]
