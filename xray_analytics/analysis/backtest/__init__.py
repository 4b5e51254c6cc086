"""A backtest without look-ahead: rows, labels and features as they were known at the time.

`observations` (who was seen when, with what report, and what became of it), `default_rates` (of the rows used and of
every reason of exclusion), `features` (what was known then, wide), `check_no_look_ahead` (does a feature of your own
see the future?), `known_by` (tables as they were known on a day). Refuses to judge a model: that is `validation`.
"""

from __future__ import annotations

from .features import FEATURE_TABLES, features
from .look_ahead import check_no_look_ahead
from .observations import EXCLUSIONS, OBSERVATIONS, REPAID_REASONS, default_rates, observations
from .point_in_time import known_by
from .sampling import as_of_grid

__all__ = [
    "EXCLUSIONS", "FEATURE_TABLES", "OBSERVATIONS", "REPAID_REASONS", "as_of_grid", "check_no_look_ahead",
    "default_rates", "features", "known_by", "observations",
]  # fmt: skip
__dir__ = __all__.copy
