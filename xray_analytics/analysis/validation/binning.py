"""Which feature tells defaults apart? Weight of evidence and information value, by bins that can be taken elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from ...errors import InputError, listed
from .. import frames
from ..frames import Frame
from ..guards import is_whole
from .calibration import holm
from .stability import psi
from .tally import SAMPLE, Floats, check_finite, check_sums, counted, named_sums

MISSING, OTHER = "missing", "other"


@dataclass(frozen=True)
class Binning:
    """The bins of one feature with their weights of evidence; the result of `woe_binning`.

    ``table``: `bin`, `n`, `n_defaults`, `default_rate_ratio`, `weight_of_evidence` (above 0: riskier than all
    together), `contribution` to the information value. ``edges`` of a numeric feature: a bin holds what is above one
    edge and up to the next; null for a feature of words. ``value``: the information value; ``benchmark``: what chance
    alone exceeds once in twenty, and ``p_value``.
    """

    feature: str
    edges: tuple[float, ...] | None
    table: pd.DataFrame
    value: float
    benchmark: float | None
    p_value: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON: `feature`, `edges` (null: words), `weights` by bin."""
        weights = dict(zip(self.table["bin"], self.table["weight_of_evidence"].astype(float), strict=True))
        return {"feature": self.feature, "edges": None if self.edges is None else list(self.edges), "weights": weights}

    def apply(self, values: Sequence[Any] | pd.Series[Any]) -> Floats:
        """The weight of evidence of each value; of a missing or new one that of its bin, or 0 where there is none."""
        return apply_binning(self.to_dict(), values)


def woe_binning(sample: Frame, feature: str, *, bins: int = 5, min_n: int = 50, min_defaults: int = 5) -> Binning:
    """Bins of one feature, their weights of evidence and its information value.

    Parameters
    ----------
    sample
        `defaulted` and the feature, one row per company (or counts); see `validation`.
    feature
        A column of numbers (quantiles, equal values together) or of words (each a bin, rare ones together as other).
    bins
        Quantiles to begin with.
    min_n, min_defaults
        Least companies, and least defaults and non-defaults, of a bin; smaller ones are merged with the next lower one.
        Missing values are a bin of their own if they are as many; else their weight is 0.

    Returns
    -------
    Binning
        Its ``apply`` gives the weights of other values; ``to_dict`` takes the bins elsewhere.

    Raises
    ------
    InputError
        A column is absent, an outcome is missing, a company is there twice, or fewer than two bins result.

    Notes
    -----
    ln(share of the defaults / share of the others), Good (1950); information value: Σ (b − g) ln(b / g), Kullback &
    Leibler (1951), Annals of Mathematical Statistics 22. By chance alone it is (1/D + 1/G) χ²(bins − 1), as a
    population stability index of defaults against others; the usual limit of 0.02 knows nothing of that.

    Examples
    --------
    >>> sample = pd.DataFrame({"sector": ["a", "b"], "n": [300, 300], "n_defaults": [10, 30]})
    >>> found = woe_binning(sample, "sector")
    >>> found.table["weight_of_evidence"].round(4).tolist(), round(found.value, 4)
    ([-0.7282, 0.4418], 0.3134)
    """
    if not all(is_whole(number, 1) for number in (min_n, min_defaults)) or not is_whole(bins, 2):
        raise InputError(f"bins is {bins}, min_n {min_n}, min_defaults {min_defaults}; give whole numbers, bins from 2")
    cells = _cells(sample, feature)
    known = cells[cells[feature].notna()]
    is_numeric = pd.api.types.is_numeric_dtype(known[feature]) and not pd.api.types.is_bool_dtype(known[feature])
    least = (min_n, min_defaults)
    edges, table = _of_numbers(known, feature, bins, least) if is_numeric else (None, _of_words(known, feature, least))
    missing = cells[cells[feature].isna()][["n", "n_defaults"]].sum()
    if _is_enough(missing["n"], missing["n_defaults"], least):
        table = pd.concat([table, pd.DataFrame([{"bin": MISSING, **missing.astype("int64")}])], ignore_index=True)
    if len(table) < 2:
        raise InputError(
            f"{feature} gives {len(table)} bin of {min_n:,} companies and {min_defaults:,} defaults; two are needed"
        )
    bad, good = table["n_defaults"].to_numpy(np.float64), (table["n"] - table["n_defaults"]).to_numpy(np.float64)
    index = psi(good, bad)
    table = table.assign(
        default_rate_ratio=bad / (bad + good), weight_of_evidence=np.log(bad / bad.sum()) - np.log(good / good.sum()),
        contribution=index.bins["contribution"].to_numpy(),
    ).astype({"bin": "string", "n": "int64", "n_defaults": "int64"})  # fmt: skip
    return Binning(feature, edges, table, index.value, index.benchmark, index.p_value)


def information_value(
    sample: Frame, features: Sequence[str], *, bins: int = 5, min_n: int = 50, min_defaults: int = 5
) -> pd.DataFrame:
    """The information value of each feature, highest first, with what chance alone would give.

    Parameters
    ----------
    sample, bins, min_n, min_defaults
        As in `woe_binning`.
    features
        Columns to look at.

    Returns
    -------
    DataFrame
        `feature`, `n`, `n_bins`, `information_value`, `benchmark` (chance exceeds it once in twenty), `p_value`,
        `p_value_holm` (over the features), `problem` (why there is no value; null otherwise).

    Raises
    ------
    InputError
        As `woe_binning`, but too few bins are a problem of that feature.

    Examples
    --------
    >>> sample = pd.DataFrame({"sector": ["a", "b"], "n": [300, 300], "n_defaults": [10, 30]})
    >>> information_value(sample, ["sector"])[["feature", "n_bins"]].values.tolist()
    [['sector', 2]]
    """
    rows: list[tuple[Any, ...]] = []
    for feature in listed(features, "features"):
        try:
            found = woe_binning(sample, feature, bins=bins, min_n=min_n, min_defaults=min_defaults)
        except InputError as error:
            if "two are needed" not in str(error):
                raise
            rows.append((feature, None, None, None, None, None, str(error)))
            continue
        n = int(found.table["n"].sum())
        rows.append((feature, n, len(found.table), found.value, found.benchmark, found.p_value, None))
    heads = ["feature", "n", "n_bins", "information_value", "benchmark", "p_value", "problem"]
    kinds = {"feature": "string", "n": "Int64", "n_bins": "Int64", "problem": "string"}
    table = pd.DataFrame(rows, columns=pd.Index(heads)).astype(kinds | dict.fromkeys(heads[3:6], "float64"))
    table.insert(6, "p_value_holm", holm(table["p_value"].to_numpy(np.float64)))
    return table.sort_values(["information_value", "feature"], ascending=[False, True], ignore_index=True)


def apply_binning(binning: Mapping[str, Any], values: Sequence[Any] | pd.Series[Any]) -> Floats:
    """Weights of evidence by bins that were exported with `Binning.to_dict`.

    Examples
    --------
    >>> apply_binning({"edges": [10.0], "weights": {"up to 10": -0.5, "above 10": 0.5}}, [3, 12, None]).tolist()
    [-0.5, 0.5, 0.0]
    """
    series, weights = pd.Series(values), binning["weights"]
    known = [weight for name, weight in weights.items() if name != MISSING]
    missing = float(weights.get(MISSING, 0.0))
    if binning["edges"] is None:
        named = series.astype("string")
        found = named.map(weights).astype("float64").fillna(float(weights.get(OTHER, 0.0)))
        return np.asarray(found.mask(series.isna(), missing), np.float64)
    numbers = series.to_numpy(np.float64, na_value=np.nan)
    place = np.searchsorted(np.asarray(binning["edges"], np.float64), np.nan_to_num(numbers), side="left")
    weights_here: Floats = np.asarray(known, np.float64)[place]
    return np.where(np.isnan(numbers), missing, weights_here)


def _cells(sample: Frame, feature: str) -> pd.DataFrame:
    """`n` and `n_defaults` by distinct value of the feature."""
    lazy = counted(sample, (), None, by=feature)
    cells = frames.collect(lazy.group_by(feature).agg(*(nw.col(name).sum() for name in named_sums())), SAMPLE)
    check_sums(cells)
    check_finite(cells, [feature])
    return cells[cells["n"] > 0].sort_values(feature, ignore_index=True)


def _is_enough(n: float, bad: float, least: tuple[int, int]) -> bool:
    return n >= least[0] and min(bad, n - bad) >= least[1]


def _of_numbers(
    cells: pd.DataFrame, feature: str, bins: int, least: tuple[int, int]
) -> tuple[tuple[float, ...], pd.DataFrame]:
    """Quantiles, merged from below until each is large enough; the last one that is not joins the one before."""
    n = cells["n"].to_numpy(np.float64)
    place = np.floor(bins * (np.cumsum(n) - n / 2) / n.sum()).astype(np.int64) if len(n) else np.array([], np.int64)
    highest = cells.groupby(place)[feature].max().astype("float64")
    sums = cells.groupby(place)[["n", "n_defaults"]].sum()
    rows: list[list[float]] = []
    is_open = False
    for at, size, bad in zip(highest, sums["n"], sums["n_defaults"], strict=True):
        rows = [*rows[:-1], [at, rows[-1][1] + size, rows[-1][2] + bad]] if is_open else [*rows, [at, size, bad]]
        is_open = not _is_enough(rows[-1][1], rows[-1][2], least)
    if is_open and len(rows) > 1:
        last = rows.pop()
        rows[-1] = [last[0], rows[-1][1] + last[1], rows[-1][2] + last[2]]
    edges = tuple(float(row[0]) for row in rows[:-1])
    names = [f"up to {edge:.6g}" for edge in edges] + ([f"above {edges[-1]:.6g}"] if edges else ["all"])
    return edges, pd.DataFrame(
        {"bin": names[: len(rows)], "n": [r[1] for r in rows], "n_defaults": [r[2] for r in rows]}
    )


def _of_words(cells: pd.DataFrame, feature: str, least: tuple[int, int]) -> pd.DataFrame:
    large = [_is_enough(n, bad, least) for n, bad in zip(cells["n"], cells["n_defaults"], strict=True)]
    named = cells[feature].astype("string").where(pd.Series(large, cells.index), OTHER)
    table = cells.groupby(named.rename("bin"))[["n", "n_defaults"]].sum().reset_index()
    held = [name != OTHER or _is_enough(n, bad, least) for name, n, bad in table.itertuples(index=False)]
    return table[held].reset_index(drop=True)
