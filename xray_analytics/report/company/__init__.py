"""Report: company."""

from .results import Company, analyse, analysed, render, write_company_report

__all__ = ["Company", "analyse", "analysed", "render", "write_company_report"]
