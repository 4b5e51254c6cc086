"""Charts of analysis results: `plot_<analysis>(frame) -> Axes`, to be restyled at will.

A chart draws what the frame says and computes nothing beyond tallies of its rows. The base of the figure is read from
``frame.attrs["base"]`` where there is one. No chart touches `pyplot`: figures are plain objects, headless and safe in
threads.
"""

from __future__ import annotations

from .canvas import CLASS_COLORS, base_line, blank_axes, class_label, font_files, plain, to_png, to_svg
from .cashflow import plot_daily_balances, plot_negative_days, plot_portfolio_months
from .company import plot_balance_calendar, plot_class_history, plot_monthly_flows
from .concentration import plot_concentration, plot_counterparty_concentration
from .flags import plot_criterion_prevalence, plot_ratio_quantiles
from .migration import plot_class_agreement, plot_migration_matrix, plot_movement
from .portfolio import plot_class_distribution, plot_class_over_time, plot_value_distribution
from .quality import plot_coverage, plot_reconciliation, plot_sensitivity
from .validation import plot_calibration, plot_cap, plot_default_rates, plot_psi, plot_roc, plot_vintage_curves

__all__ = [
    "CLASS_COLORS", "base_line", "blank_axes", "class_label", "font_files", "plain", "plot_balance_calendar",
    "plot_calibration", "plot_cap", "plot_class_agreement", "plot_class_distribution", "plot_class_history",
    "plot_class_over_time", "plot_concentration", "plot_counterparty_concentration", "plot_coverage",
    "plot_criterion_prevalence", "plot_daily_balances", "plot_default_rates", "plot_migration_matrix",
    "plot_monthly_flows", "plot_movement", "plot_negative_days", "plot_portfolio_months", "plot_psi",
    "plot_ratio_quantiles", "plot_reconciliation", "plot_roc", "plot_sensitivity", "plot_value_distribution",
    "plot_vintage_curves", "to_png", "to_svg",
]  # fmt: skip
__dir__ = __all__.copy
