"""Fitting: a layout found in the values of sample reports, and accepted only where the statements prove it."""

from .fit import Fit, Question, fit_layout

__all__ = ["Fit", "Question", "fit_layout"]
