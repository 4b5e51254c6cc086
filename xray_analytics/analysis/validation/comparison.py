"""Do two samples rank equally well? Development against now, one portfolio against another: other companies each."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ..frames import Frame
from .discrimination import auc
from .statistic import CONFIDENCE, LEVEL, POWER, Statistic, reach

FEW = 30  # of the rarer outcome: below the test errs on the bold side


def auc_unpaired(
    sample: Frame, other: Frame, *, score: str = "score", other_score: str | None = None, confidence: float = CONFIDENCE
) -> Statistic:
    """How much better one sample is ranked than another that has no company in common with it.

    Parameters
    ----------
    sample, other
        `defaulted` and the score, one row per company (or counts); see `validation`. Companies in both are taken as
        independent all the same; for two scores of the same companies see `auc_difference`.
    score, other_score
        Columns of the scores, both higher is riskier; the same name in both by default.
    confidence
        Of the two-sided interval.

    Returns
    -------
    Statistic
        ``value``: AUC of `sample` less that of `other`; ``variance``, interval and two-sided ``p_value`` of the
        hypothesis that both are equal, which agree; null where one of them has no variance. ``n`` and ``n_defaults``
        are those of both. ``detectable``: the difference that this test would probably find. ``parts``: the two AUCs,
        the statistic and its degrees of freedom. With fewer than 30 defaults in one of them it errs more often than
        it says (7 % at 5 defaults a side, 6 % at 30), and a note says so.

    Raises
    ------
    InputError
        As `auc`, of either sample.

    Notes
    -----
    D = (A₁ − A₂) / √(V₁ + V₂) against Student's t with Welch's degrees of freedom (V₁ + V₂)² / (V₁² / (n₁ − 1) +
    V₂² / (n₂ − 1)), DeLong's variances: as `roc.test(paired = FALSE)` of R's package pROC, Robin et al. (2011), BMC
    Bioinformatics 12, 77. Ties count one half.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> now = DataFrame({"defaulted": [1, 1, 0, 0], "score": [3, 2, 2, 1]})
    >>> then = DataFrame({"defaulted": [1, 1, 0, 0], "score": [3, 1, 2, 1]})
    >>> auc_unpaired(now, then).value
    0.25
    """
    first = auc(sample, score=score, confidence=confidence)
    second = auc(other, score=other_score or score, confidence=confidence)
    value, sides = first.value - second.value, (first, second)
    parts, notes = {"AUC": first.value, "AUC of the other": second.value}, _notes(sides)
    counts = (first.n + second.n, (first.n_defaults or 0) + (second.n_defaults or 0))
    n_missing = first.n_missing + second.n_missing
    variances = [side.variance for side in sides if side.variance is not None]
    if len(variances) < 2 or not sum(variances):
        return Statistic(
            "AUC difference", value, *counts, confidence=confidence, n_missing=n_missing, parts=parts,
            notes=("no interval: the variance of an AUC is 0 or cannot be estimated",),
        )  # fmt: skip
    freedom = _welch(variances, [side.n for side in sides])
    error = float(np.sqrt(sum(variances)))
    seen = error * float(stats.t.isf(LEVEL / 2, freedom) + stats.norm.ppf(POWER))
    width = error * float(stats.t.isf(stats.norm.sf(reach(confidence)), freedom))
    return Statistic(
        "AUC difference", value, *counts, value - width, value + width,
        p_value=float(2 * stats.t.sf(abs(value) / error, freedom)), variance=error**2,
        null="both samples are ranked equally well", detectable=seen,
        detectable_is="difference of AUCs", confidence=confidence, n_missing=n_missing,
        parts=parts | {"D": value / error, "degrees of freedom": freedom}, notes=notes,
    )  # fmt: skip


def _welch(variances: list[float], sizes: list[int]) -> float:
    return float(sum(variances) ** 2 / sum(v**2 / (n - 1) for v, n in zip(variances, sizes, strict=True)))


def _notes(sides: tuple[Statistic, Statistic]) -> tuple[str, ...]:
    rarer = min(min(side.n_defaults or 0, side.n - (side.n_defaults or 0)) for side in sides)
    if rarer >= FEW:
        return ()
    return (f"{rarer} observations of the rarer outcome in one sample: under {FEW} the test errs more than it says",)
