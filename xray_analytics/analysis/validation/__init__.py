"""Was the model right? Does it rank, are its probabilities true, and is the population still the same?

A **sample** is any frame with one row per company: `defaulted` (boolean, or 0 and 1) and a score (higher is riskier) or
a probability, in columns that the caller names; the result of `backtest.observations` is one once immature, excluded
and censored rows are left out. Counts do as well: `n` and `n_defaults` instead of `defaulted`. It is reduced to counts
where it lies, by one group-by (and, where there is a `company_id`, one look for repeats), so a DuckDB or Spark frame of
any length will do; of a very long one, leave `company_id` out where you know that each company is there once. The order
of rows never matters, and ties are the normal case: there are five classes.

* A missing score or probability leaves the row out and is counted (``n_missing``); a missing outcome is refused.
* **One row per company per test.** Repeated rows need ``cluster=``: intervals become clustered, exact tests refuse.
  Twelve months of outcome on monthly dates count one default up to twelve times.
* Tests of probabilities ask for ``horizon_months``, which you declare for probability and outcome alike.
* What is not rejected is not proven: every test says what it could have detected.

Ranking: `auc`, `auc_difference`, `auc_unpaired`, `auc_drop`, `somers_d`, `ks`, `roc_curve`, `cap_curve`. A class:
`jeffreys`, `binomial`, `calibration_table`, `default_rate_table`, `default_rate_interval`. Grades: `heterogeneity`,
`homogeneity`, `grade_concentration`. All probabilities: `brier`, `spiegelhalter`, `hosmer_lemeshow`, and the repair,
`recalibration`. Over the years: `default_rate_long_run`, `default_correlation`, `vintage_curves`, `low_default_pd`.
Features: `information_value`, `woe_binning`. Shifts: `psi`, `stuart_maxwell`,
`characteristic_stability`. Refuses
samples of one class, probabilities outside 0 … 1 and too few groups. Distributions are scipy's. Thresholds are policy:
`shipped_policy`.
"""

from __future__ import annotations

from .binning import Binning, information_value, woe_binning
from .calibration import VERDICTS, binomial, calibration_table, holm, jeffreys
from .comparison import auc_unpaired
from .default_rates import default_rate_table
from .discrimination import auc, auc_difference, auc_drop, cap_curve, ks, roc_curve, somers_d
from .grade_concentration import grade_concentration
from .grades import heterogeneity, homogeneity
from .intervals import METHODS, default_rate_interval
from .long_run import default_correlation, default_rate_long_run
from .low_default import low_default_pd
from .policy import Policy, parsed_policy, shipped_policy
from .probability_scores import brier, hosmer_lemeshow, spiegelhalter
from .recalibration import Recalibration, recalibration
from .representativeness import characteristic_stability
from .stability import StabilityIndex, psi, stuart_maxwell
from .statistic import Statistic
from .vintages import cumulative_incidence, vintage_curves

__all__ = [
    "METHODS", "VERDICTS", "Binning", "Policy", "Recalibration", "StabilityIndex", "Statistic", "auc",
    "auc_difference", "auc_drop", "auc_unpaired", "binomial", "brier", "calibration_table", "cap_curve",
    "characteristic_stability", "cumulative_incidence", "default_correlation", "default_rate_interval",
    "default_rate_long_run", "default_rate_table", "grade_concentration", "heterogeneity", "holm", "homogeneity",
    "hosmer_lemeshow", "information_value", "jeffreys", "ks", "low_default_pd", "parsed_policy", "psi",
    "recalibration", "roc_curve", "shipped_policy", "somers_d", "spiegelhalter", "stuart_maxwell", "vintage_curves",
    "woe_binning",
]  # fmt: skip
__dir__ = __all__.copy
