"""Do the bank statements and the accounts tell the same story?"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from ...tables import RISK_CLASSES
from .. import frames
from ..frames import CLASS_COLUMNS, AsOf, Frame
from ..guards import Classes, is_number, on_scale, scale
from .counting import Level, at_level, newest

FEWEST_FOR_INTERVALS = 20
_SIX_MONTHS = 183  # days
_CLASSES = list(CLASS_COLUMNS.values())


@dataclass(frozen=True)
class ClassAgreement:
    """How far the two classes of the same companies agree; the result of `class_agreement`.

    ``kappa`` is 1 for equal classes and 0 for chance; ``kappa_low`` and ``kappa_high`` bound it at 95 %, and are null
    under 20 companies. The two scales are not proven equal: a low kappa may be a shift of scale.
    """

    counts: pd.DataFrame
    apart: pd.DataFrame
    n_companies: int
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None


def class_agreement(  # noqa: PLR0913 - how close in time, what counts as one, and the scale
    reports: Frame,
    *,
    max_gap_days: int = _SIX_MONTHS,
    as_of: AsOf | None = None,
    level: Level = "company",
    companies: Frame | None = None,
    classes: Classes = RISK_CLASSES,
) -> ClassAgreement:
    """Bank class against financial class of the companies that have both, from reports close in time.

    Of each company the newest report of either product is taken. Class 1 is very good, 5 very bad on the bank's scale
    (documented) and on that of the accounts (assumed).

    Parameters
    ----------
    reports
        The table `reports`.
    max_gap_days
        The most days between the two reports [days]; six months by default.
    as_of
        Versions available later are not seen; by default everything is.
    level, companies
        ``"group"``: connected companies count once, as their worst member; needs the table `companies`.
    classes
        The scale of both, from the best class, 1, to the worst.

    Returns
    -------
    ClassAgreement
        ``counts``: `bank_risk_class`, `financial_risk_class`, `n_companies`, all pairs, with the base: companies
        used; without a report of the other product, unrated in either, or reports too far apart are excluded and
        counted. ``apart``: companies two or more classes apart: `company_id`, the two classes, `steps` (above 0: the
        bank statements look worse), `gap_days`, furthest apart first, then by company. Quadratic-weighted ``kappa``,
        null where it is not defined (no company, or one and the same class for all).

    Raises
    ------
    InputError
        A column is absent or of the wrong type, a class outside the scale, or `max_gap_days` is below 0.

    Examples
    --------
    >>> from xray_analytics.tables import REPORTS
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b", "c", "d"], company_id=["732829320", "732829320", "356000000", "356000000"],
    ...     product=["bank", "financial"] * 2, created_at="2025-01-10", bank_risk_class=[5, None, 2, None],
    ...     financial_risk_class=[None, 3, None, 2],
    ... )
    >>> agreement = class_agreement(reports)
    >>> agreement.n_companies, agreement.apart["steps"].tolist()
    (2, [2])
    """
    if not is_number(max_gap_days, 0):
        raise InputError(f"max_gap_days is {max_gap_days}; give 0 days or more")
    classes = scale(classes)
    seen = frames.newest_reports(reports, _CLASSES, as_of=as_of)
    sides = [
        newest(reports, [column], product=product, as_of=as_of, level=level, companies=companies)[0]
        for product, column in CLASS_COLUMNS.items()
    ]
    pairs, excluded = _pairs(
        [side[["company_id", "created_at", c]] for side, c in zip(sides, _CLASSES, strict=True)], max_gap_days
    )
    for name in _CLASSES:
        on_scale(pairs[name], classes)
    table = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(table, tuple(pairs[column].to_numpy("int64") - 1 for column in _CLASSES), 1)
    grid = pd.MultiIndex.from_product([classes, classes], names=_CLASSES).to_frame(index=False)
    counts = grid.astype("Int64").assign(n_companies=table.ravel())
    counts.attrs["base"] = frames.base(
        len(pairs), seen[seen["product"].isin(list(CLASS_COLUMNS))], excluded=excluded, as_of=as_of,
        filters={"max_gap_days": max_gap_days, **at_level(level)},
    )  # fmt: skip
    kappa, low, high = weighted_kappa(table)
    few = len(pairs) < FEWEST_FOR_INTERVALS
    return ClassAgreement(counts, _apart(pairs), len(pairs), kappa, None if few else low, None if few else high)


def weighted_kappa(
    counts: npt.ArrayLike, *, power: float = 2, confidence: float = 0.95
) -> tuple[float | None, float | None, float | None]:
    """Cohen's weighted kappa of a square table of counts, with its large-sample interval.

    Parameters
    ----------
    counts
        Rows: one rater; columns: the other; ordered alike.
    power
        The weight of a cell is 1 - (steps apart / (k - 1)) ** power: 2 is quadratic, 1 linear.
    confidence
        Of the two-sided interval.

    Returns
    -------
    tuple
        Kappa and its bounds, within -1 … 1; all null where it is not defined: no counts, or all in one category.

    Raises
    ------
    InputError
        The table is not square, smaller than 2 × 2, or holds a negative number.

    Notes
    -----
    Cohen (1968), Psychological Bulletin 70; variance where kappa is not 0: Fleiss, Cohen & Everitt (1969), "Large
    sample standard errors of kappa and weighted kappa", Psychological Bulletin 72.

    Examples
    --------
    Two raters agree on 20 + 15 of 50, and would by chance on 25: kappa is (35 - 25) / (50 - 25).

    >>> round(weighted_kappa([[20, 5], [10, 15]])[0], 12)
    0.4
    """
    table = np.asarray(counts, dtype=np.float64)
    if (
        table.ndim != 2
        or table.shape[0] != table.shape[1]
        or len(table) < 2
        or not (np.isfinite(table) & (table >= 0)).all()
    ):
        raise InputError("kappa needs a square table of counts, at least 2 by 2, none of them negative")
    if not is_number(power, 0) or not is_number(confidence, 0, 1) or confidence in (0, 1):
        raise InputError(f"power is {power} and confidence {confidence}; give a power from 0 on and a share below 1")
    n, k = table.sum(), len(table)
    if n == 0:
        return None, None, None
    p = table / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    weights = 1 - (np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / (k - 1)) ** power
    seen, chance = float((weights * p).sum()), float(rows @ weights @ columns)
    if np.isclose(chance, 1, rtol=0, atol=1e-12):
        return None, None, None
    kappa = (seen - chance) / (1 - chance)
    margin = np.add.outer(weights @ columns, rows @ weights)
    spread = (p * (weights - margin * (1 - kappa)) ** 2).sum() - (kappa - chance * (1 - kappa)) ** 2
    error = np.sqrt(max(spread, 0.0) / n) / (1 - chance)
    reach = float(NormalDist().inv_cdf((1 + confidence) / 2) * error)
    return kappa, max(kappa - reach, -1.0), min(kappa + reach, 1.0)


def _pairs(sides: list[pd.DataFrame], max_gap_days: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """One row per company with two classes and reports close in time; how many were left out for what."""
    both = sides[0].merge(sides[1], on="company_id", suffixes=("", "_other"))
    both["gap_days"] = (both["created_at"] - both["created_at_other"]).abs().dt.total_seconds() / 86_400
    near = both[both["gap_days"] <= max_gap_days]
    rated = near[near[_CLASSES].notna().all(axis=1)]
    excluded = {
        "one_product_only": sum(len(side) for side in sides) - 2 * len(both),
        "too_far_apart": len(both) - len(near),
        "unrated": len(near) - len(rated),
    }
    return rated.assign(steps=rated[_CLASSES[0]] - rated[_CLASSES[1]]), excluded


def _apart(pairs: pd.DataFrame) -> pd.DataFrame:
    far = pairs[pairs["steps"].abs() >= 2].assign(size=-pairs["steps"].abs())
    ordered = far.sort_values(["size", "company_id"], ignore_index=True)
    return ordered[["company_id", *_CLASSES, "steps", "gap_days"]]
