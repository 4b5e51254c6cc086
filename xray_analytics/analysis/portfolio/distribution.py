"""What do the analysed companies look like, by class and by value, now and over time?

A company counts once per product: with its newest report, ties by report id. Unrated is a class of its own and
never dropped. Reports are analyses, not a loan book: without the lender's own exposures nothing here says
*book*. Give the reports of one snapshot, so that nothing later than its date is seen. Horizon and class limits
of the probability of default and the scale and direction of the bank score are not documented: nothing here
assumes any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import InputError
from ...tables import REPORTS, RISK_CLASSES
from .. import frames
from ..frames import CLASS_COLUMNS, AsOf, Frame, class_column
from ..guards import Classes, on_scale, scale
from .agreement import class_agreement
from .concentration import concentration
from .counting import By, Level, Weight, at_level, columns_of, drawn_by_company, group_reports, newest, with_companies
from .disclosure import suppressed
from .movement import movement

__all__ = [
    "class_agreement", "class_distribution", "class_over_time", "concentration", "group_reports", "movement", "summary",
    "suppressed", "value_distribution",
]  # fmt: skip

VALUE_PRODUCTS = {"bank_score": "bank", "data_sanity_pct": "bank", "default_probability": "financial"}
# A choice of presentation; the class limits of the service are not documented. The score has no documented scale.
DEFAULT_EDGES = {
    "data_sanity_pct": tuple(range(0, 101, 10)),
    "default_probability": (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1),
}
_OVER_TIME = ("period", "measure", "risk_class", "n_companies", "share_ratio")
_UNRATED = 0  # the cell of companies without a class


def class_distribution(  # noqa: PLR0913 - what is counted, by what, and with what weight
    reports: Frame,
    *,
    product: str,
    by: By = None,
    weight: Weight = "company",
    exposures: Frame | None = None,
    level: Level = "company",
    companies: Frame | None = None,
    classes: Classes = RISK_CLASSES,
) -> pd.DataFrame:
    """Companies by risk class, from the newest report of each.

    Parameters
    ----------
    reports
        The table `reports`.
    product
        ``"bank"`` or ``"financial"``: the two have different scales and are never mixed.
    by
        Columns of `reports`, or of `companies`, to split by; a missing value is a group of its own.
    weight
        What `share_ratio` is a share of: companies, or the amount drawn.
    exposures
        The table `exposures`, needed for ``weight="exposure"``: amounts drawn on its newest day, not what is merely
        committed; a company without a row on that day owes nothing.
    level
        ``"company"``, or ``"group"``: connected companies (`group_id`) count once, as their worst member.
    companies
        The table `companies`, needed for its columns in `by` and for the groups.
    classes
        The scale, from the best class, 1, to the worst.

    Returns
    -------
    DataFrame
        `by…`, `risk_class` (1 very good … 5 very bad, all present; null is unrated, last), `n_companies`
        (or groups), with exposure `drawn` [currency, major units], and `share_ratio` (0–1, of the group including the
        unrated; null in an empty group). Sorted by group, then class. ``attrs["base"]``: companies used; reports
        without a company and, by exposure, companies without one are excluded and counted. An empty table gives six
        rows of 0. `suppressed` hides small cells; charts and reports write no percentage
        of fewer than 20 companies.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, another product, a class outside the scale, no exposures, or exposures
        in more than one currency.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b", "c"], company_id=["732829320", "732829320", "356000000"],
    ...     created_at=["2025-01-10", "2025-02-10", "2025-02-11"], bank_risk_class=[2, 3, None],
    ... )
    >>> class_distribution(reports, product="bank").to_dict("list")["n_companies"]
    [0, 0, 1, 0, 0, 1]
    """
    groups, column, classes = columns_of(by), class_column(product), scale(classes)
    drawn = drawn_by_company(weight, exposures)
    found, seen = newest(reports, [column], product=product, by=groups, level=level, companies=companies, drawn=drawn)
    found, excluded = _with_weight(found.assign(cell=_cells(found[column], classes)))
    result = _tabulate(found, _grid(classes), groups)
    filters = {"product": product, "by": groups, "weight": weight, **at_level(level)}
    result.attrs["base"] = frames.base(len(found), seen, excluded=excluded, filters=filters)
    return result


def value_distribution(  # noqa: PLR0913 - what is counted, by what, and with what weight
    reports: Frame,
    *,
    column: str,
    edges: Sequence[float] | None = None,
    by: By = None,
    weight: Weight = "company",
    exposures: Frame | None = None,
    companies: Frame | None = None,
) -> pd.DataFrame:
    """Companies by score, probability of default or data sanity, from the newest report of each.

    Parameters
    ----------
    reports
        The table `reports`.
    column
        ``"bank_score"`` (scale and direction not documented), ``"default_probability"`` (0–1, horizon not
        documented; higher is riskier) or ``"data_sanity_pct"`` (0–100; below 70 a report has no rating).
    edges
        At least two increasing numbers, of which the first and the last may be infinite. A bin holds its lower edge
        and not its upper one; the last holds both.
        By default ten equal bins for data sanity, bins that widen upwards for the probability, and ten equal
        bins from the smallest to the largest score.
    by
        Columns of `reports`, or of `companies`, to split by; all groups share the bins.
    weight, exposures
        As in `class_distribution`.
    companies
        The table `companies`, needed for its columns in `by`.

    Returns
    -------
    DataFrame
        `by…`, `low`, `high` (float64; both null is *no value*, last), `n_companies`, with exposure `drawn` [currency,
        major units], `share_ratio` (0–1, of the group including those without a value). ``attrs["base"]`` counts the
        values outside the edges: they are in no row.

    Raises
    ------
    InputError
        Another column, a column that is absent or of the wrong type, or edges that do not increase.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b", "c"], company_id=["732829320", "356000000", "552100554"],
    ...     created_at=["2025-01-10", "2025-01-11", "2025-01-12"], data_sanity_pct=[69.9, 70.0, 100.0],
    ... )
    >>> value_distribution(reports, column="data_sanity_pct", edges=[0, 70, 100])["n_companies"].tolist()
    [1, 2, 0]
    """
    if column not in VALUE_PRODUCTS:
        raise InputError(f"column is {column!r}; choose one of {', '.join(VALUE_PRODUCTS)}")
    groups, product = columns_of(by), VALUE_PRODUCTS[column]
    drawn = drawn_by_company(weight, exposures)
    found, seen = newest(reports, [column], product=product, by=groups, companies=companies, drawn=drawn)
    found, excluded = _with_weight(found)
    values = found[column].to_numpy()
    bounds = _edges(column, edges, values)
    n_bins = max(len(bounds) - 1, 0)
    found["cell"] = _bins(values, bounds)
    inside = found[found["cell"] >= 0]
    cells = pd.DataFrame({"cell": range(n_bins + 1), "low": [*bounds[:-1], np.nan], "high": [*bounds[1:], np.nan]})
    result = _tabulate(inside, cells, groups)
    result.attrs["base"] = frames.base(
        len(inside),
        seen,
        excluded={"outside_edges": len(found) - len(inside), **excluded},
        filters={"product": product, "column": column, "by": groups, "weight": weight},
    )
    return result


def class_over_time(  # noqa: PLR0913 - what is counted, by what, on what scale
    reports: Frame,
    *,
    product: str,
    freq: Literal["month", "quarter"] = "month",
    by: By = None,
    companies: Frame | None = None,
    classes: Classes = RISK_CLASSES,
) -> pd.DataFrame:
    """Companies by risk class at each period end, and those analysed for the first time, apart.

    The date of a report is its creation (UTC). A report counts with its newest version from the day it was
    created. The last period may still be running, and in the first all companies are new.

    Parameters
    ----------
    reports
        The table `reports`.
    product
        ``"bank"`` or ``"financial"``.
    freq
        ``"month"`` or ``"quarter"``.
    by
        Columns of `reports`, or of `companies`, to split by: a company counts where its reports say; one that changes
        sides is in both stocks. A missing value is a group of its own.
    companies
        The table `companies`, needed for its columns in `by`.
    classes
        As in `class_distribution`.

    Returns
    -------
    DataFrame
        `by…`, `period_end` (calendar day), `measure` (``"stock"``: the newest report of each company by that day,
        however old; ``"new"``: companies whose first report falls into the period, with their newest report of
        it), `risk_class` (1 very good … 5 very bad, then null for unrated), `n_companies`, `share_ratio` (0–1,
        of the measure and period). Every period from the first report to the last, no row for an empty table.
        ``attrs["base"]``: companies with a report; reports without a company are excluded and counted.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, another product or frequency, or a class outside the scale.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b"], company_id=["732829320", "356000000"], created_at=["2025-01-10", "2025-03-11"],
    ...     bank_risk_class=[2, 2],
    ... )
    >>> table = class_over_time(reports, product="bank")
    >>> table[table["risk_class"] == 2].pivot_table("n_companies", "period_end", "measure").to_numpy().tolist()
    [[1.0, 1.0], [0.0, 1.0], [1.0, 2.0]]
    """
    if freq not in ("month", "quarter"):
        raise InputError(f"freq is {freq!r}; choose 'month' or 'quarter'")
    groups, column, classes = columns_of(by), class_column(product), scale(classes)
    seen = frames.newest_reports(with_companies(reports, companies, groups), [column, *groups], product=product)
    known = seen[seen["company_id"].notna()]
    months = 1 if freq == "month" else 3
    number = (known["created_at"].dt.year * 12 + known["created_at"].dt.month - 1) // months
    first, last = (int(number.min()), int(number.max())) if len(known) else (0, -1)
    known = known.assign(period=number - first, cell=_cells(known[column], classes))
    result = _over_time_by(known, groups, last - first + 1, classes)
    next_month = (result.pop("period") + first + 1) * months  # counted from year 0
    ends = (next_month - 1970 * 12).to_numpy().astype("datetime64[M]").astype("datetime64[D]") - 1
    result.insert(0, "period_end", ends.astype("datetime64[us]"))
    result = result[[*groups, *result.columns.drop(groups)]].astype({name: known[name].dtype for name in groups})
    n_companies = known["company_id"].nunique()
    result.attrs["base"] = frames.base(n_companies, seen, filters={"product": product, "freq": freq, "by": groups})
    return result


def summary(reports: Frame, *, as_of: AsOf | None = None, classes: Classes = RISK_CLASSES) -> pd.DataFrame:
    """The headline table: one row per product and figure.

    All figures but the number of reports rest on the newest report of each company, so that overlapping reports
    count once.

    Parameters
    ----------
    reports
        The table `reports`.
    as_of
        Versions available later are not seen; by default everything is.
    classes
        The scale of both products, from the best class, 1, to the worst; the two worst are counted.

    Returns
    -------
    DataFrame
        `figure`, `product`, `value` (float64), `unit`, `n_companies` (companies the value rests on), `day` (for
        dates, where `value` is null). Products in the order of `tables.PRODUCTS`; only products with a report
        have rows. ``attrs["base"]`` counts companies over all products.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, a class outside the scale, or `as_of` is no date.

    Examples
    --------
    >>> from xray_analytics import tables
    >>> summary(tables.REPORTS.empty()).shape
    (0, 6)
    """
    numbers = ["default_probability", "data_sanity_pct", "n_transactions", "n_days_covered"]
    seen = frames.newest_reports(reports, [*CLASS_COLUMNS.values(), *numbers], as_of=as_of)
    rows: list[tuple[Any, ...]] = []
    classes = scale(classes)
    for product in REPORTS["product"].choices:
        of = seen[seen["product"] == product]
        rows += _figures(of, product, classes) if len(of) else []
    columns = ["figure", "product", "value", "unit", "n_companies", "day"]
    kinds = {"figure": "string", "product": "string", "value": "float64", "unit": "string", "n_companies": "int64"}
    result = pd.DataFrame(rows, columns=pd.Index(columns)).astype({**kinds, "day": "datetime64[us]"})
    result.attrs["base"] = frames.base(seen["company_id"].nunique(), seen, as_of=as_of)
    return result


def _grid(classes: Classes) -> pd.DataFrame:
    """The cells in order: the classes, then those without."""
    return pd.DataFrame({"cell": [*classes, _UNRATED], "risk_class": pd.array([*classes, None], dtype="Int64")})


def _cells(values: pd.Series[Any], classes: Classes) -> pd.Series[int]:
    return on_scale(values, classes).fillna(_UNRATED).astype("int64")


def _with_weight(found: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """By exposure those who owe something, and how many do not."""
    if "drawn" not in found:
        return found, {}
    owing = found[found["drawn"].notna()]
    return owing.reset_index(drop=True), {"no_exposure": len(found) - len(owing)}


def _tabulate(companies: pd.DataFrame, cells: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Every cell of every group, with its number of companies and its share of the group."""
    weight = "drawn" if "drawn" in companies else "n_companies"
    ones = companies.assign(n_companies=1)
    counts = ones.groupby([*by, "cell"], dropna=False)[list(dict.fromkeys(["n_companies", weight]))].sum().reset_index()
    groups = companies[by].drop_duplicates().sort_values(by) if by else pd.DataFrame(index=[0])
    table = groups.merge(cells, how="cross").merge(counts, how="left", on=[*by, "cell"]).drop(columns="cell")
    table = table.fillna({"n_companies": 0, weight: 0}).astype({"n_companies": "int64"})
    total = table.groupby(by, dropna=False)[weight].transform("sum") if by else table[weight].sum()
    table["share_ratio"] = (table[weight] / np.where(total == 0, np.nan, total)).astype("float64")
    return table


def _edges(column: str, edges: Sequence[float] | None, values: np.ndarray) -> np.ndarray:
    present = values[~np.isnan(values)]
    if edges is None and column not in DEFAULT_EDGES:
        return np.histogram_bin_edges(present, bins=10) if len(present) else np.empty(0)
    bounds = np.asarray(DEFAULT_EDGES[column] if edges is None else edges, dtype="float64")
    if bounds.ndim != 1 or len(bounds) < 2 or not (np.diff(bounds) > 0).all():
        raise InputError(f"edges must be at least two increasing numbers, found {edges!r}")
    return bounds


def _bins(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The bin of each value; the number of bins where there is no value, -1 outside."""
    n_bins = max(len(bounds) - 1, 0)
    cell = np.searchsorted(bounds, values, side="right") - 1
    if n_bins:
        cell = np.where(values == bounds[-1], n_bins - 1, np.where(cell >= n_bins, -1, cell))
    return np.where(np.isnan(values), n_bins, cell)


def _over_time_by(reports: pd.DataFrame, groups: list[str], n_periods: int, classes: Classes) -> pd.DataFrame:
    if not groups:
        return _over_time(reports, n_periods, classes)
    tables = [_over_time(reports.head(0), 0, classes).reindex(columns=[*_OVER_TIME, *groups])]
    for _, rows in reports.groupby(groups, dropna=False):
        table = _over_time(rows, n_periods, classes)
        for name in groups:
            table[name] = pd.Series([rows[name].iloc[0]] * len(table), dtype=rows[name].dtype)
        tables.append(table)
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _over_time(reports: pd.DataFrame, n_periods: int, classes: Classes) -> pd.DataFrame:
    """Counts by period, measure and class; a report holds from its period to the one before the company's next."""
    held = reports.drop_duplicates(["company_id", "period"], keep="last")
    until = held.groupby("company_id")["period"].shift(-1, fill_value=n_periods)
    first = ~held.duplicated("company_id")
    grid = _grid(classes)
    changes, new = np.zeros((2, n_periods + 1, len(grid)), dtype="int64")
    np.add.at(changes, (held["period"], held["cell"]), 1)
    np.subtract.at(changes, (until, held["cell"]), 1)
    np.add.at(new, (held["period"][first], held["cell"][first]), 1)
    order = grid["cell"].to_numpy()
    counts = np.stack([changes.cumsum(axis=0), new], axis=1)[:n_periods, :, order]
    totals = counts.sum(axis=2, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    table = pd.MultiIndex.from_product(
        [range(n_periods), ["stock", "new"], order], names=["period", "measure", "cell"]
    ).to_frame(index=False)
    kinds = {"period": "int64", "measure": "string", "cell": "int64"}
    table = table.astype(kinds).merge(grid, on="cell", how="left")
    return table.drop(columns="cell").assign(n_companies=counts.ravel(), share_ratio=shares.ravel())


def _figures(reports: pd.DataFrame, product: str, classes: Classes) -> list[tuple[Any, ...]]:
    newest = frames.newest_of_each_company(reports)
    n = len(newest)
    rows: list[tuple[Any, ...]] = [
        ("reports", product, len(reports), "reports", n, None),
        ("companies", product, n, "companies", n, None),
        ("newest_report", product, None, "date", n, reports["created_at"].max().normalize()),
    ]
    if product in CLASS_COLUMNS:
        found = on_scale(newest[CLASS_COLUMNS[product]], classes).dropna()
        worst = f"class_{classes[-2]}_or_{classes[-1]}"
        rated, bad = len(found), int((found >= classes[-2]).sum())
        rows += [
            ("rated", product, rated, "companies", n, None),
            ("unrated", product, n - rated, "companies", n, None),
            (worst, product, bad, "companies", rated, None),
            (f"{worst}_share", product, bad / rated if rated else None, "ratio of rated companies", rated, None),
        ]
    if product == "financial":
        rows.append(_median(newest, "default_probability", product, "0–1, horizon not documented"))
    if product == "bank":
        counted = newest["n_transactions"].dropna()
        rows += [
            _median(newest, "data_sanity_pct", product, "0–100"),
            _median(newest, "n_days_covered", product, "days"),
            ("transactions", product, counted.sum(), "transactions", len(counted), None),
        ]
    return rows


def _median(newest: pd.DataFrame, column: str, product: str, unit: str) -> tuple[Any, ...]:
    values = newest[column].dropna()
    return (f"median_{column}", product, values.median() if len(values) else None, unit, len(values), None)
