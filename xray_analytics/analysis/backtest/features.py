"""What was known of a company on its as-of day, one column per feature: for a model that must not see the future."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from ...errors import InputError
from ...schema import Column
from ...tables import BANK_FLAG_CRITERIA, COMPANIES, FINANCIAL_RATIOS, MONTHLY_SUMMARIES, REPORTS
from .. import frames, holding
from ..cashflow import METRICS, company_metrics, monthly_flows
from ..days import months_later
from ..frames import Frame
from . import point_in_time
from .point_in_time import Clock

FEATURE_TABLES = ("reports", "bank_flag_criteria", "financial_ratios", "monthly_summaries", "companies")
_KEY = ["company_id", "as_of_date"]
_VERSION = ["report_id", "report_version"]
_HEADLINES = {
    "bank": ("bank_risk_class", "bank_score", "data_sanity_pct"),
    "financial": ("financial_risk_class", "default_probability"),
}
_REGISTER = ("sector_code", "size_class", "region")
_LATER = Column("company_is_recorded_later", "bool", "The lender's row was brought in after the as-of day.")
_DAILY = {"balance_90pct_days", "balance_status", "credit_basis"}  # known only with daily balances or operating flows
_METRICS = tuple(c for c in METRICS.columns if c.kind in ("int", "float", "text") and c.name not in _DAILY)


Dated = list[tuple[pd.Timestamp, pd.DataFrame, pd.DataFrame]]  # as-of day, rows of it, reports known by its end
Block = tuple[pd.DataFrame, dict[str, dict[str, Any]]]  # features, and what they mean


def features(
    tables: Mapping[str, Frame],
    observations: pd.DataFrame,
    *,
    clock: Clock | None = None,
    availability_lag_hours: float | None = None,
) -> pd.DataFrame:
    """One row per observation, one column per feature, all of it known by the end of the as-of day.

    =================  ==============================================================================================
    columns            what
    =================  ==============================================================================================
    ``bank_…``         risk class, score, data sanity and age [days] of the newest bank report known then
    ``financial_…``    risk class, default probability and age of the newest financial report known then
    ``criterion_…``    of that bank report, by criterion as sent: `_value`, `_text` (not a number), `_sentiment`
    ``ratio_…``        of that financial report, by criterion as sent: `_value`, `_text`
    ``cash_…``         `cashflow.company_metrics` of the complete months in all bank reports known then; `cash_age_days`
    ``company_…``      sector, size class and region in the lender's register then; a row without `valid_from` is
                       taken to have been true always. `company_is_recorded_later` marks what was brought in later
    =================  ==============================================================================================

    Parameters
    ----------
    tables
        Table name -> frame with all versions, as `Snapshot.history` reads them; those of `FEATURE_TABLES` are read,
        and only `reports` must be there.
    observations
        The result of `observations`; its `company_id` and `as_of_date` are read.
    clock, availability_lag_hours
        As in `observations`; default those of the observations.

    Returns
    -------
    DataFrame
        `company_id`, `as_of_date` and the features, on the index of the observations. Numbers are float64 or Int64,
        text is string; null is not known, never 0. A criterion that a report names twice counts as it is named
        first. ``attrs["columns"]``: name, kind, unit, meaning and source of each column, as plain values.
        ``attrs["base"]`` counts rows, and those made of a row `recorded_later`.

    Raises
    ------
    InputError
        A table or column is absent or of the wrong type, there are no observations, or a company is there twice on a
        day, or the clock is not that of the observations.

    Examples
    --------
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b"], company_id="732829320", created_at=["2025-01-10", "2025-05-20"],
    ...     bank_risk_class=[2, 5],
    ... )
    >>> criteria = BANK_FLAG_CRITERIA.example(
    ...     report_id=["a", "b"], criterion="overdraft", value=[3.0, 28.0], sentiment=["good", "bad"],
    ... )
    >>> rows = pd.DataFrame({"company_id": "732829320", "as_of_date": pd.to_datetime(["2025-03-31", "2025-06-30"])})
    >>> found = features({"reports": reports, "bank_flag_criteria": criteria}, rows)
    >>> found[["bank_risk_class", "criterion_overdraft_value", "criterion_overdraft_sentiment"]].values.tolist()
    [[2, 3.0, 'good'], [5, 28.0, 'bad']]
    """
    clock, lag = clock_of(observations, clock, availability_lag_hours)
    given = point_in_time.read({name: tables[name] for name in FEATURE_TABLES if name in tables})
    absent = [name for name in frames.REPORT_COLUMNS if name not in given["reports"]]
    if absent:
        raise InputError(f"the frame of reports lacks {', '.join(absent)}; read these columns first")
    rows = _rows(observations)
    reports = given["reports"].assign(known_at=point_in_time.known_at(given["reports"], clock, lag))
    reports["created_at"] = reports["created_at"].fillna(reports["available_at"])
    dated: Dated = [(day, part, _seen(reports, day, part)) for day, part in _by_day(rows)]
    bank, financial = (_newest(dated, product) for product in _HEADLINES)
    blocks = [
        _headlines(bank, "bank", given["reports"].columns),
        _headlines(financial, "financial", given["reports"].columns),
        _named(given.get("bank_flag_criteria"), bank, "criterion", ("value", "text", "sentiment")),
        _named(given.get("financial_ratios"), financial, "ratio", ("value", "text")),
        _cash(given.get("monthly_summaries"), dated),
        _register(given.get("companies"), dated, clock),
    ]
    found = pd.concat([rows, *(block.reindex(rows.index) for block, _ in blocks)], axis=1)
    described = {name: meaning for _, meanings in blocks for name, meaning in meanings.items()}
    found.index = observations.index
    n_later = int(found[_LATER.name].fillna(False).sum()) if _LATER.name in found else 0
    found.attrs = {
        "columns": described,
        "terms": {"clock": clock, "availability_lag_hours": lag},
        "base": {"used": len(found), "recorded_later": n_later},
    }
    return found


def clock_of(observations: pd.DataFrame, clock: Clock | None, lag: float | None) -> tuple[Clock, float]:
    """The clock and lag given, or those of the observations; they must not differ."""
    terms = observations.attrs.get("terms", {})
    chosen, hours = terms.get("clock", "available"), terms.get("availability_lag_hours", 48)
    if terms and (clock not in (None, chosen) or lag not in (None, hours)):
        raise InputError(
            f"the observations are of the clock {chosen} with {hours:g} hours of lag; features follow them"
        )
    return clock or cast(Clock, chosen), hours if lag is None else lag


def _rows(observations: pd.DataFrame) -> pd.DataFrame:
    absent = [name for name in _KEY if name not in observations]
    if absent:
        raise InputError(f"the observations lack {', '.join(absent)}; give the result of backtest.observations")
    rows = observations[_KEY].reset_index(drop=True)
    if rows.duplicated().any():
        raise InputError("the observations hold a company twice on one day; give each once")
    if rows.empty:
        raise InputError("there are no observations; give the result of backtest.observations")
    rows.attrs = {}  # pandas copies them with every step
    return rows.astype({"company_id": "string", "as_of_date": "datetime64[us]"})


def _by_day(rows: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.DataFrame]]:
    return [(pd.Timestamp(cast(Any, day)), part) for day, part in rows.groupby("as_of_date")]


def _seen(reports: pd.DataFrame, day: pd.Timestamp, rows: pd.DataFrame) -> pd.DataFrame:
    """The reports of these companies known by the end of a day, oldest first."""
    moment = pd.Timestamp(frames.instant(day.date())).tz_localize(None)
    newest = point_in_time.newest_version(reports, moment)
    return newest[newest["company_id"].isin(rows["company_id"])].sort_values(["created_at", "report_id"])


def _newest(dated: Dated, product: str) -> pd.DataFrame:
    """The newest report of each row's company, on the index of the rows; rows without one are absent."""
    newest = ((part, frames.newest_of_each_company(seen[seen["product"] == product])) for _, part, seen in dated)
    return pd.concat([_of_rows(part, companies) for part, companies in newest])


def _of_rows(rows: pd.DataFrame, companies: pd.DataFrame) -> pd.DataFrame:
    """Rows that have one of the companies, with its columns, on their own index."""
    joined = rows.rename_axis("row").reset_index().merge(companies, on="company_id")
    return joined.set_index("row")


def _headlines(newest: pd.DataFrame, product: str, present: Iterable[str]) -> Block:
    found, meanings = {}, {}
    for name in (name for name in _HEADLINES[product] if name in present):
        column = name if name.startswith(f"{product}_") else f"{product}_{name}"
        found[column], meanings[column] = newest[name], _meaning(REPORTS[name], f"reports.{name}")
    ages = {"report": newest["created_at"].dt.normalize()}
    if product == "bank" and "period_end_date" in present:
        ages["data"] = newest["period_end_date"]
    for what, start in ages.items():
        column, doc = f"{product}_{what}_age_days", f"As-of date less the {what}'s day, {product} report."
        found[column] = (newest["as_of_date"] - start).dt.days.astype("Int64")
        meanings[column] = _meaning(Column(column, "int", doc, unit="days"), "reports")
    return pd.DataFrame(found), meanings


def _named(table: pd.DataFrame | None, newest: pd.DataFrame, prefix: str, kinds: tuple[str, ...]) -> Block:
    """Members that have a name of their own, wide: only those of the reports of the rows make columns."""
    if table is None:
        return pd.DataFrame(), {}
    declared = BANK_FLAG_CRITERIA if prefix == "criterion" else FINANCIAL_RATIOS
    order = [name for name in declared.key if name in table]
    first = table.sort_values(order).drop_duplicates([*_VERSION, "criterion"])
    long = newest[_VERSION].rename_axis("row").reset_index().merge(first, on=_VERSION)
    found, meanings = {}, {}
    for criterion, rows in long.groupby("criterion"):
        values = rows.set_index("row")
        for kind in kinds:
            source = "value_text" if kind == "text" else kind
            if source not in values or values[source].notna().sum() == 0:
                continue
            column = f"{prefix}_{criterion}_{kind}"
            found[column] = values[source]
            doc = f"{declared[source].doc} Criterion {criterion}."
            unit = "as sent" if kind == "value" else None
            meanings[column] = _meaning(Column(column, declared[source].kind, doc, unit=unit), declared.name)
    return pd.DataFrame(found), meanings


def _cash(monthly: pd.DataFrame | None, dated: Dated) -> Block:
    if monthly is None:
        return pd.DataFrame(), {}
    positions = monthly.groupby(_VERSION).indices
    parts = []
    for day, part, seen in dated:
        mine = seen[seen["product"] == "bank"].drop(columns="known_at")
        keys = zip(mine["report_id"], mine["report_version"], strict=True)
        chosen = [positions[key] for key in keys if key in positions]
        if not chosen:
            continue
        flows = monthly_flows(monthly.iloc[np.sort(np.concatenate(chosen))], point_in_time.zoned(mine, REPORTS))
        metrics = company_metrics(flows, as_of=day.date())
        metrics = metrics.drop_duplicates("company_id", keep=False)  # one in several currencies has no one figure
        last_day = months_later(metrics["last_month"], 1) - pd.Timedelta(days=1)
        metrics["age_days"] = (day - last_day).dt.days.astype("Int64")
        parts.append(_of_rows(part, metrics))
    age = Column("age_days", "int", "As-of date less the end of the last complete month.", unit="days")
    columns = [*_METRICS, age]
    meanings = {f"cash_{c.name}": _meaning(c, MONTHLY_SUMMARIES.name) for c in columns}
    if not parts:
        return pd.DataFrame(), {}
    found = pd.concat(parts)[[c.name for c in columns]]
    return found.rename(columns=lambda name: f"cash_{name}"), meanings


def _register(companies: pd.DataFrame | None, dated: Dated, clock: Clock) -> Block:
    present = [name for name in _REGISTER if companies is not None and name in companies]
    if companies is None or not present:
        return pd.DataFrame(), {}
    parts = []
    for day, part, _ in dated:
        moment = pd.Timestamp(frames.instant(day.date())).tz_localize(None)
        known = point_in_time.lender_rows(companies, COMPANIES, moment, clock)
        later = holding.recorded_later(known, day.date()).astype("boolean")
        parts.append(_of_rows(part, known.assign(is_recorded_later=later)))
    found = pd.concat(parts)
    meanings = {f"company_{name}": _meaning(COMPANIES[name], f"companies.{name}") for name in present}
    if "recorded_at" in companies:
        meanings[_LATER.name] = _meaning(_LATER, "companies.recorded_at")
    return found.rename(columns=lambda name: f"company_{name}")[list(meanings)], meanings


def _meaning(column: Column, source: str) -> dict[str, Any]:
    return {"kind": column.kind, "unit": column.unit, "doc": column.doc, "source": source}
