"""Report: validation."""

from .results import FORMS, READ, Terms, Validation, analyse, analysed, read_policy, write_validation_report

__all__ = ["FORMS", "READ", "Terms", "Validation", "analyse", "analysed", "read_policy", "write_validation_report"]
