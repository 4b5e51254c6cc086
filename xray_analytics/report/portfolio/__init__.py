"""Report: portfolio."""

from .results import READ, Edition, Portfolio, all_synthetic, analyse, analysed, render, write_portfolio_report

__all__ = ["READ", "Edition", "Portfolio", "all_synthetic", "analyse", "analysed", "render", "write_portfolio_report"]
