"""On how few names, groups or sectors does the money rest?

Companies of one group stand and fall together: a figure by company alone is too comforting. Everything here is about
the amounts drawn that the lender supplied; reports are not looked at for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from ...tables import COMPANIES, EXPOSURES
from .. import frames, holding
from ..frames import AsOf, Frame

_EXPOSURE_COLUMNS = ("company_id", "exposure_date", "drawn", "currency")
_TOP = (1, 5, 10)


def concentration(
    exposures: Frame, *, by: str = "company_id", companies: Frame | None = None, as_of: AsOf | None = None
) -> pd.DataFrame:
    """How concentrated the amounts drawn are: Herfindahl, Gini, and the largest shares.

    Parameters
    ----------
    exposures
        The table `exposures`. One day is read: the newest in it; a company without a row on it owes nothing.
    by
        What is counted as one: ``"company_id"``, ``"group_id"`` (a company without a group is a group of its own), or
        another column of `companies`, in which a missing value is one value more.
    companies
        The table `companies`, needed unless by company.
    as_of
        Days after this one are not seen; by default all are.

    Returns
    -------
    DataFrame
        `figure`, `value` (float64), `unit`, `n` (names with an amount), one row each: ``drawn`` [currency, major
        units]; ``herfindahl`` (sum of squared shares, 1/n … 1, higher is more concentrated); ``effective_number``
        (its inverse: so many equal names are as concentrated); ``gini`` (0 all equal; of n names at most 1 - 1/n, so
        only books of similar n compare); ``top_1_share``, ``top_5_share``, ``top_10_share``. Values are null where
        nothing is drawn. ``attrs["base"]``: names used; companies with nothing drawn or an unknown amount are
        excluded and counted.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, a company is twice in `companies`, amounts are negative or in more
        than one currency, or `companies` is needed.

    Notes
    -----
    Herfindahl: Hirschman (1964), "The paternity of an index", American Economic Review 54. Effective number: Adelman
    (1969), Review of Economics and Statistics 51. Gini: Σ (2i - n - 1) x_i / (n Σ x) over amounts in ascending order.

    Examples
    --------
    Amounts 60, 30, 10: squared shares 0.36 + 0.09 + 0.01; Gini (-2·10 + 0·30 + 2·60) / (3·100).

    >>> exposures = EXPOSURES.example(
    ...     company_id=["a", "b", "c"], exposure_date="2025-06-30", drawn=[60.0, 30.0, 10.0], currency="EUR",
    ...     recorded_at="2025-07-01",
    ... )
    >>> concentration(exposures)["value"].round(4).tolist()[1:5]
    [0.46, 2.1739, 0.3333, 0.6]
    """
    drawn = drawn_on(exposures, as_of)
    company = drawn.amounts["company_id"]
    names = company if by == "company_id" else _names(company, by, companies)
    amounts = drawn.amounts.groupby(names.to_numpy(), dropna=False)["drawn"].sum().to_numpy("float64")
    rows = [(*row, len(amounts)) for row in _figures(np.sort(amounts))]
    kinds = {"figure": "string", "value": "float64", "unit": "string", "n": "int64"}
    result = pd.DataFrame(rows, columns=pd.Index(kinds)).astype(kinds)
    day = None if pd.isna(drawn.day) else str(drawn.day.date())
    filters = {"by": by, "recorded_later": drawn.recorded_later}
    base = {"used": len(amounts), "excluded": drawn.excluded, "backfilled": None, "as_of": day, "filters": filters}
    result.attrs["base"] = base
    return result


@dataclass(frozen=True)
class Drawn:
    """What was owed on one day: `company_id` and `drawn` (above 0), what was left out, the day (null: no row).

    `recorded_later` counts rows that were brought in after the day of the question.
    """

    amounts: pd.DataFrame
    excluded: dict[str, int]
    day: pd.Timestamp
    recorded_later: int


def drawn_on(exposures: Frame, as_of: AsOf | None = None) -> Drawn:
    """The amounts drawn on the newest day of the exposures, as last recorded.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, or amounts are negative or in more than one currency.
    """
    table = holding.read(exposures, EXPOSURES, _EXPOSURE_COLUMNS)
    if as_of is not None:
        table = table[table["exposure_date"] <= frames.day(as_of)]
    day = table["exposure_date"].max()
    rows = table[table["exposure_date"] == day].sort_values("drawn", na_position="first")
    if rows["currency"].nunique() > 1:
        raise InputError("exposures are in more than one currency, which cannot be added; give one currency at a time")
    newest = rows.drop_duplicates("company_id", keep="last").sort_values("company_id")
    if (newest["drawn"] < 0).any():
        raise InputError("exposures: drawn holds negative amounts, which have no share; set credit balances to 0")
    unknown, nothing = newest["drawn"].isna(), newest["drawn"] == 0
    excluded = {"amount_unknown": int(unknown.sum()), "nothing_drawn": int(nothing.sum())}
    n_later = 0 if as_of is None else int(holding.recorded_later(newest, as_of).sum())
    return Drawn(newest.loc[~unknown & ~nothing, ["company_id", "drawn"]], excluded, day, n_later)


def _names(company: pd.Series[Any], by: str, companies: Frame | None) -> pd.Series[Any]:
    """What each company counts as: its own id where it has no group; other columns as they are."""
    if companies is None:
        raise InputError(f"by={by!r} needs the table companies; pass it as companies=")
    table = frames.collect(frames.scan(companies, COMPANIES, ("company_id", by)), COMPANIES)
    if table["company_id"].duplicated().any():
        raise InputError("companies holds a company twice; give the rows of one snapshot")
    names = company.map(table.set_index("company_id")[by])
    return names.fillna(company) if by == "group_id" else names


def _figures(amounts: npt.NDArray[np.float64]) -> list[tuple[str, float | None, str]]:
    """The figures of ascending amounts above 0."""
    n, total = len(amounts), float(amounts.sum())
    shares = amounts / total if n else amounts
    herfindahl = float(np.square(shares).sum()) if n else None
    gini = float((2 * np.arange(1, n + 1) - n - 1) @ shares) / n if n else None
    tops = [(f"top_{k}_share", float(shares[-k:].sum()) if n else None, "0–1") for k in _TOP]
    return [
        ("drawn", total if n else None, "currency, major units"),
        ("herfindahl", herfindahl, "0–1"),
        ("effective_number", 1 / herfindahl if herfindahl else None, "names"),
        ("gini", gini, "0–1"),
        *tops,
    ]
