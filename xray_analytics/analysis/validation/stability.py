"""Is it still the population the model was made for? Shifts between two samples, and of the same companies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from ...errors import InputError
from ..guards import are_counts, is_number
from .statistic import LEVEL, Statistic
from .tally import Floats

_FEW, _DRAWS, _TINY = 5, 10_000, 1e-4  # expected in a bin; samples drawn; share of an empty bin there
Bins: TypeAlias = "Sequence[float] | npt.NDArray[Any] | Mapping[Any, float] | pd.Series[Any]"


@dataclass(frozen=True)
class StabilityIndex:
    """A population stability index with what pure chance gives; the result of `psi`.

    ``value``; ``bins``: `bin`, `expected_ratio`, `actual_ratio`, `contribution`; ``benchmark``: what chance alone
    exceeds once in twenty, and ``p_value``, both null without counts; ``n_expected`` (null: a fixed reference) and
    ``n_actual``; ``n_floored`` bins that were empty on one side.
    """

    value: float
    bins: pd.DataFrame
    benchmark: float | None = None
    p_value: float | None = None
    n_expected: int | None = None
    n_actual: int | None = None
    n_floored: int = 0

    @property
    def is_shifted(self) -> bool | None:
        """Whether the index is more than chance explains; null without counts."""
        return None if self.p_value is None else self.p_value <= LEVEL

    def facts(self) -> dict[str, str]:
        """Name and text of everything that is known, in reading order."""
        facts = {"PSI": f"{self.value:.4g}", "bins": str(len(self.bins))}
        if self.benchmark is not None and self.p_value is not None:
            facts |= {"by chance up to": f"{self.benchmark:.4g}", "p-value": f"{self.p_value:.4g}"}
            against = "a fixed reference" if self.n_expected is None else f"{self.n_expected:,}"
            facts["n"] = f"{self.n_actual:,} against {against}"
        return facts | ({"bins empty on one side": str(self.n_floored)} if self.n_floored else {})

    def __repr__(self) -> str:
        return " · ".join(f"{name} {text}" for name, text in self.facts().items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self.facts().items()
        )
        return f"<table>{rows}</table>"


def psi(
    expected: Bins, actual: Bins, *, floor: float | None = None, reference: Literal["sample", "fixed"] = "sample"
) -> StabilityIndex:
    """Population stability index of two distributions over the same bins, with its own benchmark.

    Parameters
    ----------
    expected, actual
        Counts per bin (or shares that add up to 1: then no benchmark can be given), as sequences in the same order, or
        as mappings or Series by bin; a bin that one of them lacks is empty there.
    floor
        The share that takes the place of an empty bin's, such as 0.0001. The index grows without bound as it gets
        smaller; without it empty bins are refused.
    reference
        ``"sample"``: `expected` is a sample too and varies by chance. ``"fixed"``: it is exactly known.

    Returns
    -------
    StabilityIndex
        ``value``: 0 no shift, no upper bound, the same with both exchanged. ``benchmark``: its 95 % quantile if both
        samples come from the same population, (1/n + 1/m) χ²(B − 1), or χ²/m against a fixed reference. The usual
        limits of 0.10 and 0.25 know nothing of n. Where a bin expects fewer than 5 on either side, as where one is
        empty, χ² is wrong (with a floored empty bin it rejects 13 % at 5 %): there benchmark and ``p_value`` come
        from a permutation of the companies between both sides (10,000 draws of fixed seed).

    Raises
    ------
    InputError
        The bins differ in number, there are fewer than two, a number is negative, a bin is empty on one side and
        `floor` is not given, or one side is neither counts nor shares.

    Notes
    -----
    Σ (a − e) ln(a / e). Yurdakul & Naranjo (2020), "Statistical properties of the population stability index", Journal
    of Risk Model Validation 14. The benchmark is for independent samples: of the same companies twice, see
    `stuart_maxwell`. Bins empty on both sides are left out.

    Examples
    --------
    (0.6 − 0.5) ln(0.6 / 0.5) + (0.4 − 0.5) ln(0.4 / 0.5) = 0.1 ln 1.5.

    >>> round(psi([50, 50], [60, 40]).value, 6)
    0.040547
    """
    names, before, after = _held(expected, actual)
    if reference not in ("sample", "fixed"):
        raise InputError(f"reference is {reference!r}; choose 'sample' or 'fixed'")
    if floor is not None and (not is_number(floor, 0, 1) or floor in (0, 1)):
        raise InputError(f"floor is {floor}; give a small share above 0, such as 0.0001")
    n_expected, n_actual = _size(before, "expected"), _size(after, "actual")
    shares = [x / x.sum() for x in (before, after)]
    empty = (shares[0] == 0) | (shares[1] == 0)
    if empty.any() and floor is None:
        at = ", ".join(str(name) for name in names[empty][:3])
        raise InputError(f"bin {at} is empty on one side, where the index is infinite; merge bins or give floor=")
    e, a = (np.where(x == 0, floor, x) for x in shares) if floor is not None else shares
    terms = (a - e) * np.log(a / e)
    bins = pd.DataFrame({"bin": names, "expected_ratio": shares[0], "actual_ratio": shares[1], "contribution": terms})
    value = float(terms.sum())
    n_before = n_expected if reference == "sample" else None
    scale = _scale(n_expected, n_actual, reference)
    benchmark = p_value = None
    if scale is not None and n_actual is not None:
        pooled = (before + after) / (before + after).sum() if n_before else e / e.sum()
        if pooled.min() * min(n_actual, n_before or n_actual) < _FEW:
            benchmark, p_value = _drawn(value, before, after, floor or _TINY, is_fixed=n_before is None)
        else:
            benchmark = float(scale * stats.chi2.isf(LEVEL, len(bins) - 1))
            p_value = float(stats.chi2.sf(value / scale, len(bins) - 1))
    return StabilityIndex(value, bins, benchmark, p_value, n_before, n_actual, int(empty.sum()))


def stuart_maxwell(table: npt.ArrayLike | pd.DataFrame) -> Statistic:
    """Did the mix of classes change, looking at the same companies twice?

    Parameters
    ----------
    table
        Square counts: companies by the class before (rows) and after (columns), in the same order, each company once.

    Returns
    -------
    Statistic
        ``value``: chi-squared, and the ``p_value`` of the hypothesis that both times have the same mix. ``parts``: how
        many moved to an earlier and to a later class, and the degrees of freedom. Classes that nobody left or entered
        are left out; who did not move tells nothing and is in ``n``.

    Raises
    ------
    InputError
        The table is not square, smaller than 2 × 2 or holds what are no counts, or nobody moved.

    Notes
    -----
    Stuart (1955), Biometrika 42, 412–416; Maxwell (1970), British Journal of Psychiatry 116, 651–655. With two classes
    this is McNemar's test.

    Examples
    --------
    McNemar: (10 − 5)² / (10 + 5).

    >>> round(stuart_maxwell([[30, 10], [5, 20]]).value, 4)
    1.6667
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise InputError("the test needs a square table of classes before and after, at least 2 by 2")
    if not are_counts(counts):
        raise InputError("the table of classes before and after holds what are no counts")
    moved = counts - np.diag(np.diag(counts))
    active = (moved.sum(axis=0) + moved.sum(axis=1)) > 0
    if not active.any():
        raise InputError("nobody moved between classes: there is nothing to test")
    square = moved[np.ix_(active, active)]
    shift = (square.sum(axis=1) - square.sum(axis=0))[:-1]
    spread = (np.diag(square.sum(axis=0) + square.sum(axis=1)) - square - square.T)[:-1, :-1]
    freedom = int(np.linalg.matrix_rank(spread))  # fewer where classes exchange companies in separate groups only
    value = float(shift @ np.linalg.pinv(spread, hermitian=True) @ shift)
    return Statistic(
        "Stuart-Maxwell chi-squared", value, int(counts.sum()), p_value=float(stats.chi2.sf(value, freedom)),
        null="the mix of classes did not change",
        parts={
            "to earlier classes": float(np.tril(moved, -1).sum()),
            "to later classes": float(np.triu(moved, 1).sum()),
            "degrees of freedom": freedom,
        },
    )  # fmt: skip


def side_by_side(expected: Bins, actual: Bins) -> tuple[npt.NDArray[Any], Floats, Floats]:
    """Names of all bins, and both sides as floats: by name where both have names, else in their order.

    Raises
    ------
    InputError
        The sides differ in length, or a number is negative or missing.
    """
    sides = [pd.Series(x) if isinstance(x, Mapping | pd.Series) else None for x in (expected, actual)]
    if sides[0] is not None and sides[1] is not None:
        if any(side.isna().any() for side in sides if side is not None):
            raise InputError("a bin holds a negative or missing number; give counts or shares")
        both = pd.DataFrame({"expected": sides[0], "actual": sides[1]}).fillna(0).astype("float64")
        names, before, after = both.index.to_numpy(), both["expected"].to_numpy(), both["actual"].to_numpy()
    else:
        before, after = (np.asarray(x, np.float64) for x in (expected, actual))
        if before.shape != after.shape or before.ndim != 1:
            raise InputError(
                f"there are {before.size} bins expected and {after.size} actual; give the same ones to both"
            )
        names = np.arange(len(before))
    if not (np.isfinite(before) & np.isfinite(after) & (before >= 0) & (after >= 0)).all():
        raise InputError("a bin holds a negative or missing number; give counts or shares")
    return names, before, after


def _held(expected: Bins, actual: Bins) -> tuple[npt.NDArray[Any], Floats, Floats]:
    """The bins that somebody is in."""
    names, before, after = side_by_side(expected, actual)
    held = (before > 0) | (after > 0)
    if held.sum() < 2 or before.sum() == 0 or after.sum() == 0:
        raise InputError("an index needs two bins or more, and somebody on either side")
    return names[held], before[held], after[held]


def _drawn(value: float, before: Floats, after: Floats, floor: float, *, is_fixed: bool) -> tuple[float, float]:
    """What chance alone exceeds once in twenty, and how often it gives as much.

    Two samples: all ways to deal the companies of both to the two sides (a permutation test, which is exact). Against a
    fixed reference: samples out of it.
    """
    rng, both, n = np.random.default_rng(0), before + after, int(after.sum())
    if is_fixed:
        shares = np.where(before == 0, floor, before / before.sum())
        dealt = rng.multinomial(n, shares / shares.sum(), _DRAWS)
        rest = np.broadcast_to(before, dealt.shape)
    else:
        dealt = rng.multivariate_hypergeometric(both.astype(np.int64), n, _DRAWS, method="marginals")
        rest = both - dealt
    e, a = (np.where(side == 0, floor, side / side.sum(axis=1, keepdims=True)) for side in (rest, dealt))
    found = ((a - e) * np.log(a / e)).sum(axis=1)
    return float(np.quantile(found, 1 - LEVEL)), float((1 + (found >= value - 1e-12).sum()) / (1 + _DRAWS))


def _size(numbers: Floats, side: str) -> int | None:
    """How many there are; null for shares."""
    total = float(numbers.sum())
    if np.isclose(total, 1, rtol=0, atol=1e-6):
        return None
    if (numbers != numbers.round()).any():
        raise InputError(f"{side} holds neither counts nor shares that add up to 1: they add up to {total:g}")
    return int(total)


def _scale(n_expected: int | None, n_actual: int | None, reference: str) -> float | None:
    if n_actual is None:
        return None
    if reference == "fixed":
        return 1 / n_actual
    return None if n_expected is None else 1 / n_expected + 1 / n_actual
