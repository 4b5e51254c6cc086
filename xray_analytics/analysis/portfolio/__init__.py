"""What do the analysed companies look like, by class and by value, now and over time?

`distribution` (classes and values), `movement` and `migration` (who moved), `concentration` (how much hangs on few),
`agreement` (bank and financial class), `flags` (criteria), `ratios` (accounts), `disclosure` (small counts hidden).
A company counts once per product: with its newest report, ties by report id. Unrated is a class of its own and never
dropped. Reports are analyses, not a loan book.
"""

from __future__ import annotations

from .agreement import class_agreement
from .concentration import concentration
from .counting import group_reports
from .disclosure import suppressed
from .distribution import class_distribution, class_over_time, summary, value_distribution
from .movement import movement

__all__ = [
    "class_agreement", "class_distribution", "class_over_time", "concentration", "group_reports", "movement", "summary",
    "suppressed", "value_distribution",
]  # fmt: skip
__dir__ = __all__.copy
