"""A sample reduced to counts, with one group-by where the sample lies: all that a validation statistic reads.

A sample is a frame (pandas, Arrow, a DuckDB relation, Spark, Polars) of one row per observation with `defaulted`
(boolean, or 0 and 1) and the score or probability; or of counts already made, with `n` and `n_defaults` instead of
`defaulted`. Its order never matters. An observation without a score is left out and counted; one without an outcome is
refused, because who is censored or immature is no non-default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
from narwhals.exceptions import NarwhalsError

from ...errors import InputError
from ...schema import Table
from ...tables import COMPANY_KEY
from .. import frames
from ..frames import Frame
from ..guards import is_whole

SAMPLE = Table("sample", "One row per observation of a validation.", (COMPANY_KEY,), ("company_id",))
_SUMS = ("n", "n_defaults", "n_unknown", "n_wrong")
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tally:
    """Counts by distinct values: a row per combination of the columns asked for, and of the cluster, ascending."""

    cells: pd.DataFrame  # the columns, `n`, `n_defaults`, and with clusters `cluster` (0, 1, …)
    n_missing: int

    @property
    def n(self) -> int:
        """Observations."""
        return int(self.cells["n"].sum())

    @property
    def n_defaults(self) -> int:
        """Observations that defaulted."""
        return int(self.cells["n_defaults"].sum())

    @property
    def bad(self) -> Floats:
        """Defaulted observations of each cell."""
        return self.values("n_defaults")

    @property
    def good(self) -> Floats:
        """Observations of each cell that did not default."""
        return self.values("n") - self.bad

    @property
    def cluster(self) -> Integers | None:
        """Number of the cluster of each cell; null where every observation stands alone."""
        return self.cells["cluster"].to_numpy(np.int64) if "cluster" in self.cells else None

    @property
    def n_clusters(self) -> int | None:
        """How many clusters there are."""
        return int(self.cells["cluster"].nunique()) if "cluster" in self.cells else None

    def values(self, column: str) -> Floats:
        """A column of the cells."""
        return self.cells[column].to_numpy(np.float64)

    def base(self) -> dict[str, Any]:
        """What a frame made of this rests on, as everywhere."""
        excluded = {"no_value": self.n_missing}
        return {"used": self.n, "excluded": excluded, "backfilled": None, "as_of": None, "filters": {}}


def tally(sample: Frame, columns: Sequence[str], *, cluster: str | None = None) -> Tally:
    """Count a sample by the distinct values of these numeric columns, and of `cluster`.

    Raises
    ------
    InputError
        A column is absent or of the wrong type; an outcome is missing or neither 0 nor 1; counts are no counts; a
        company is there twice and `cluster` is not given; or nothing is left to count.

    Examples
    --------
    >>> sample = pd.DataFrame({"score": [2, 1, 2, None], "defaulted": [True, False, False, False]})
    >>> counted = tally(sample, ["score"])
    >>> counted.cells.values.tolist(), counted.n_missing
    ([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0]], 1)
    """
    lazy = counted(sample, columns, cluster)
    keys = list(dict.fromkeys([*columns, *([cluster] if cluster else [])]))
    sums = lazy.group_by(*keys).agg(*(nw.col(name).sum() for name in named_sums()))
    cells = frames.collect(sums, SAMPLE)
    check_sums(cells)
    check_finite(cells, columns)
    present = cells[list(columns)].notna().all(axis=1)
    n_missing, cells = int(cells.loc[~present, "n"].sum()), cells[present & (cells["n"] > 0)]
    if cells.empty:
        raise InputError(f"no observation has {' and '.join(columns)}; check how the sample was joined")
    kinds: dict[str, Any] = dict.fromkeys(columns, "float64") | {"n": "int64", "n_defaults": "int64"}
    cells = cells.astype(kinds)
    if cluster:
        cells["cluster"] = cluster_codes(cells[cluster])
    order = [*columns, *(["cluster"] if cluster else [])]
    return Tally(cells.sort_values(order, ignore_index=True)[[*order, "n", "n_defaults"]], n_missing)


def counted(
    sample: Frame, columns: Sequence[str], cluster: str | None, *, by: str | Sequence[str] | None = None
) -> nw.LazyFrame[Any]:
    """The sample, lazily and row by row: numeric columns as float64, `n`, `n_defaults`, `n_unknown`, `n_wrong`.

    Raises
    ------
    InputError
        As in `tally`.
    """
    names = frame_names(sample)
    groups = [by] if isinstance(by, str) else list(by or ())
    given = [*columns, *([cluster] if cluster else []), *groups]
    if "defaulted" in names:
        held = ["defaulted", *(["company_id"] if "company_id" in names else [])]
    elif {"n", "n_defaults"} <= names:
        held = ["n", "n_defaults"]
    else:
        raise InputError("the sample has neither defaulted nor counts (n and n_defaults); join the outcomes first")
    lazy = frames.scan(sample, SAMPLE, [*given, *held])
    schema = lazy.collect_schema()
    numeric = [*columns, *(name for name in held if name != "company_id")]
    wrong = [f"{name} ({schema[name]})" for name in numeric if not _is_number(schema[name], name)]
    if wrong:
        raise InputError(f"a sample needs numbers, and defaulted as boolean or 0 and 1; found {', '.join(wrong)}")
    lazy = lazy.with_columns(*(_plain(name) for name in columns)) if columns else lazy
    if "company_id" in held and cluster is None:
        _refuse_repeats(lazy, columns)
    return lazy.with_columns(**(_of_rows(schema["defaulted"]) if "defaulted" in held else _of_counts()))


def named_sums(*more: str) -> tuple[str, ...]:
    """What is summed in every group: observations, defaults, outcomes that are unknown or wrong, and more."""
    return (*_SUMS, *more)


def check_sums(cells: pd.DataFrame) -> None:
    """Refuse sums that hide outcomes which are missing, or counts that are none.

    Raises
    ------
    InputError
        With the number of observations concerned.
    """
    unknown, wrong = (int(cells[name].sum()) for name in ("n_unknown", "n_wrong"))
    if unknown:
        raise InputError(f"{unknown:,} observations have no outcome; leave out immature and censored ones first")
    if wrong:
        raise InputError(
            f"{wrong:,} rows of the sample are neither 0 nor 1 in defaulted, or no counts of defaults in n"
        )


def check_finite(cells: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse infinite values.

    Raises
    ------
    InputError
        There is one; its column is named.
    """
    numbers = [name for name in columns if pd.api.types.is_numeric_dtype(cells[name])]
    infinite = [name for name in numbers if np.isinf(cells[name].to_numpy(np.float64, na_value=np.nan)).any()]
    if infinite:
        raise InputError(f"the sample holds infinite numbers in {', '.join(infinite)}; correct or leave out these rows")


def cluster_codes(names: pd.Series[Any]) -> Integers:
    """Clusters numbered in the order of their names, so that the order of rows never matters.

    Raises
    ------
    InputError
        An observation has no cluster, or there is one cluster only.
    """
    if names.isna().any():
        raise InputError(f"{int(names.isna().sum()):,} observations have no {names.name}, by which they should cluster")
    codes = pd.factorize(names, sort=True)[0].astype(np.int64)
    if codes.max(initial=0) == 0:
        raise InputError(
            f"all observations have the same {names.name}; a clustered interval needs two or more clusters"
        )
    return codes


def check_probabilities(values: Floats, column: str) -> None:
    """Refuse what is no probability.

    Raises
    ------
    InputError
        A value is below 0, above 1 or no number.
    """
    outside = values[~((values >= 0) & (values <= 1))]
    if len(outside):
        hint = "; divide percentages by 100" if outside.max() > 1 else ""
        raise InputError(f"{column} holds {outside[0]:g}, which is no probability between 0 and 1{hint}")


def check_horizon(horizon_months: int) -> str:
    """What the result says of the horizon that the user declared for both probability and outcome.

    Raises
    ------
    InputError
        It is below one month.
    """
    if not is_whole(horizon_months, 1):
        raise InputError(f"horizon_months is {horizon_months}; give the months that probability and outcome look ahead")
    return f"probability and outcome over {horizon_months} months, as declared"


def frame_names(sample: Frame) -> set[str]:
    """The columns of a sample.

    Raises
    ------
    InputError
        It is no frame.
    """
    try:
        return set(nw.from_native(sample).lazy().collect_schema())
    except (TypeError, ValueError, NarwhalsError) as error:
        raise InputError(f"a sample is a frame with named columns, found {type(sample).__name__}") from error


def _is_number(dtype: Any, name: str) -> bool:
    return bool(dtype.is_numeric()) or (name == "defaulted" and dtype == nw.Boolean)


def _plain(name: str) -> nw.Expr:
    """Float64, with null for not a number and one zero only: Arrow groups 0.0 and −0.0 apart."""
    number = nw.col(name).cast(nw.Float64).fill_nan(None)
    return nw.when(number == 0).then(nw.lit(0.0)).otherwise(number).alias(name)


def _of_rows(dtype: Any) -> dict[str, nw.Expr]:
    outcome = nw.col("defaulted").cast(nw.Int64) if dtype == nw.Boolean else nw.col("defaulted")
    return {
        "n": nw.lit(1),
        "n_defaults": outcome,
        "n_unknown": outcome.is_null().cast(nw.Int64),
        "n_wrong": (~outcome.is_in([0, 1])).cast(nw.Int64),
    }


def _of_counts() -> dict[str, nw.Expr]:
    n, bad = nw.col("n"), nw.col("n_defaults")
    is_count = (bad >= 0) & (bad <= n) & (n.round() == n) & (bad.round() == bad)
    return {"n_unknown": (n.is_null() | bad.is_null()).cast(nw.Int64), "n_wrong": (~is_count).cast(nw.Int64)}


def _refuse_repeats(lazy: nw.LazyFrame[Any], columns: Sequence[str]) -> None:
    """One row per company, or the observations are not independent."""
    for column in columns:
        lazy = lazy.filter(~nw.col(column).is_null())
    known = lazy.filter(~nw.col("company_id").is_null())
    company = nw.col("company_id")
    found = known.select(n=company.count(), companies=company.n_unique())
    n, companies = (int(x) for x in frames.collect(found, SAMPLE).iloc[0])
    if n > companies:
        message = f"{companies:,} companies have {n:,} observations, which are not independent"
        raise InputError(f"{message}; take one a company, or give cluster='company_id' for a clustered interval")
