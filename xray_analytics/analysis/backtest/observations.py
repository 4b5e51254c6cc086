"""Which company was seen when, with what, and what became of it? Rows of a backtest without look-ahead.

A row knows of reports what was known by the end of its as-of day, and of outcomes what was known by
`outcomes_known_until`. Nobody is dropped: who cannot be used has a reason, and the default rate of every reason is one
call away (`default_rates`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import pandas as pd

from ...errors import InputError, listed
from ...schema import Column, Table
from ...tables import COMPANY_KEY, REPORT_ID, REPORTS
from .. import frames
from ..frames import AsOf, Frame
from .outcomes import follow_up, read_outcomes
from .point_in_time import Clock
from .sampling import SPLITS, BacktestTerms, Sampling, as_of_days, sampled, split_by_company, split_by_time, versions_of

# In the order in which they are looked for: a row has the first that holds.
EXCLUSIONS = ("no_outcome", "closed", "in_default", "in_probation", "no_report", "unrated", "stale")
REPAID_REASONS = ("repaid", "repaid_early", "refinanced")
OBSERVATIONS = Table(
    "observations",
    "One row per company and as-of date, the result of observations.",
    (
        COMPANY_KEY,
        Column("as_of_date", "date", "Day at whose end the company was looked at.", required=True),
        Column("report_id", "id", "Newest report known then; null where there was none.", source=REPORT_ID.source),
        Column("report_version", "int", "Its newest version known then.", lo=1),
        Column("report_age_days", "int", "As-of date less the day of its creation.", unit="days"),
        Column("data_age_days", "int", "As-of date less the last day covered; null where none is named.", unit="days"),
        REPORTS["is_backfilled"],
        Column("is_rated", "bool", "Whether the report gives a risk class."),
        Column("risk_class", "int", "1 very good … 5 very bad; null is unrated.", lo=1),
        Column("score", "float", "Of a bank report; scale and direction are not documented.", source="raw.score"),
        REPORTS["data_sanity_pct"],
        REPORTS["default_probability"],
        Column("horizon_end_date", "date", "Last day on which a default counts.", required=True),
        Column("defaulted", "bool", "A default in (as_of_date, horizon_end_date]; null is not known."),
        Column("default_date", "date", "The first default of the horizon: label, never a feature."),
        Column("is_mature", "bool", "The horizon and the reporting lag ended by outcomes_known_until.", required=True),
        Column("is_censored", "bool", "Lost to follow-up within the horizon, not repaid.", required=True),
        Column("excluded_because", "text", "Why the row cannot be used; null is used.", choices=EXCLUSIONS),
        Column("is_overlapping", "bool", "An earlier horizon of the company reaches past the day.", required=True),
        Column("split", "text", "Train, test, or purged.", choices=SPLITS, required=True),
        Column("cohort", "text", "Calendar quarter of the as-of date.", required=True),
    ),
    ("company_id", "as_of_date"),
)


def observations(  # noqa: PLR0913 - each is a decision that a validation has to state
    reports: Frame,
    outcomes: Frame,
    *,
    as_of_dates: Iterable[AsOf],
    horizon_months: int,
    outcomes_known_until: AsOf,
    product: str,
    clock: Clock = "available",
    availability_lag_hours: float = 48,
    sampling: Sampling = "non_overlapping",
    max_data_age_days: int = 365,
    probation_months: int = 3,
    reporting_lag_days: int = 0,
    repaid_reasons: Collection[str] = REPAID_REASONS,
    test_share: float = 0.3,
    split_key: str = "xray_analytics",
    test_from: AsOf | None = None,
) -> pd.DataFrame:
    """One row per company and as-of date: what was known of it then, and whether it defaulted afterwards.

    Parameters
    ----------
    reports
        The table `reports` with all its versions, as `Snapshot.history` reads it. With the newest versions alone, a
        report that was changed later is not seen before its change. Headline figures may be absent, and are null then.
    outcomes
        The table `outcomes`. It is read as on `outcomes_known_until`: what is dated later is not there yet. A company
        without `observed_until` was watched to its exit, else to that day.
    as_of_dates
        Days at whose end (UTC) companies are looked at; see `as_of_grid`. For the sampling ``"report"`` the first and
        the last of them bound the reports.
    horizon_months
        A default counts from the day after the as-of date to so many months after it; after a month end to a month
        end, so that consecutive horizons leave no day out.
    outcomes_known_until
        Day up to which outcomes are known.
    product
        ``"bank"`` or ``"financial"``.
    clock
        ``"available"``: a report counts from its `available_at`. ``"fetched"``: from when it was here, and outcomes
        from when they were recorded here.
    availability_lag_hours
        On the clock ``"available"`` a report counts so much later: the service needs up to 48 hours (documented).
    sampling
        ``"non_overlapping"``: of the dates the last mature one and, from it both ways, each whose horizon does not
        overlap with one that is kept.
        ``"overlapping"``: all. ``"report"``: one row per report, on the day on which it was known; of several of a
        company on one day the newest. Rows of the last two overlap, so that tests need `cluster=`.
    max_data_age_days
        A report whose data end longer before the as-of date is stale; where no last day is named (financial reports)
        its creation is judged.
    probation_months
        So long after the end of a default a company is in probation (EBA/GL/2016/07, 71: at least three months);
        0 where `default_end_date` includes it.
    reporting_lag_days
        Days by which defaults may be reported late.
    repaid_reasons
        Values of `exit_reason` (in any case) with which an exit within the horizon counts as not defaulted.
    test_share, split_key
        About that share of companies tests, chosen by the hash of company and key.
    test_from
        Instead: as-of dates from that day on test, and training rows are purged whose horizon and reporting lag pass
        it.

    Returns
    -------
    DataFrame
        The columns of `OBSERVATIONS`, sorted by as-of date and company: for every date the companies with a report
        known by then and those of `outcomes` (with the sampling ``"report"``, the former only). `defaulted` is true,
        false, or null where it is not known; **rows that are not mature enter no rate and no test, whatever their
        label**: early defaults show before the others can. Censored rows (lost to follow-up) have a null label:
        rates are stated with all of them good and all of them bad. `excluded_because` has the first of `EXCLUSIONS`
        that holds. ``attrs["base"]``: rows used are mature and not excluded. ``attrs["terms"]``: every decision above.

    Raises
    ------
    InputError
        A column is absent or of the wrong type, there is no as-of date or one has a time of day, a number is out of
        range, or with the clock ``"fetched"`` no outcome was recorded by `outcomes_known_until`.

    Notes
    -----
    No look-ahead: reports, versions and transactions that are later on the clock than an as-of date change no row of
    that date, and outcomes dated (on the clock ``"fetched"`` also recorded) after `outcomes_known_until` change none.

    Examples
    --------
    Two companies in June 2024; one defaults in March. A report of July is not seen.

    >>> from xray_analytics.tables import OUTCOMES
    >>> reports = REPORTS.example(
    ...     report_id=["a", "b", "c"], company_id=["732829320", "356000000", "732829320"],
    ...     created_at=["2024-05-02", "2024-05-20", "2024-07-15"], is_rated=True,
    ...     period_end_date=["2024-04-30", "2024-04-30", "2024-06-30"], bank_risk_class=[4, 2, 5],
    ...     bank_score=[0.7, 0.2, 0.9],
    ... )
    >>> outcomes = OUTCOMES.example(
    ...     company_id=["732829320", "356000000"], default_date=["2025-03-10", None], observed_until="2025-12-31",
    ... )
    >>> rows = observations(
    ...     reports, outcomes, as_of_dates=["2024-06-30"], horizon_months=12, outcomes_known_until="2025-12-31",
    ...     product="bank",
    ... )
    >>> rows[["company_id", "risk_class", "data_age_days", "defaulted", "is_mature"]].values.tolist()
    [['356000000', 2, 61, False, True], ['732829320', 4, 61, True, True]]
    """
    dates = [] if test_from is None else [frames.day(test_from)]
    terms = BacktestTerms(
        product, clock, availability_lag_hours, sampling, as_of_days(as_of_dates), horizon_months,
        frames.day(outcomes_known_until), max_data_age_days, probation_months, reporting_lag_days,
        tuple(listed(repaid_reasons, "repaid_reasons")), test_share, split_key, *dates,
    )  # fmt: skip
    versions = versions_of(reports, terms)
    ends = read_outcomes(outcomes, terms.outcomes_known_until, clock)
    rows = _labelled(sampled(versions, ends, terms), ends, terms)
    result = frames.typed(rows, OBSERVATIONS)
    result.attrs = {"base": _base(result, versions, terms), "terms": terms.to_dict()}
    return result


def default_rates(observations: pd.DataFrame, *, by: str = "excluded_because") -> pd.DataFrame:
    """Default rates of the mature rows by a column, in the best and in the worst case for those without a label.

    Parameters
    ----------
    observations
        The result of `observations`.
    by
        The column to split by; null is a group of its own (by reason of exclusion: the rows used). Split by any
        other, only rows that are used count.

    Returns
    -------
    DataFrame
        `by`, `n_observations`, `n_companies`, `n_mature`, `n_defaulted`, `n_unknown` (mature rows without a label:
        lost to follow-up, or without an outcome), `default_rate_best_ratio` (none of these defaulted),
        `default_rate_worst_ratio` (all of them did); null without a mature row. Sorted by group, null last.

    Raises
    ------
    InputError
        A column is absent.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "company_id": list("abcd"), "excluded_because": None, "is_mature": [True, True, True, False],
    ...     "defaulted": pd.array([True, False, None, True], "boolean"),
    ... })
    >>> rates = default_rates(rows)[["n_mature", "default_rate_best_ratio", "default_rate_worst_ratio"]]
    >>> rates.round(4).values.tolist()
    [[3.0, 0.3333, 0.6667]]
    """
    absent = [n for n in ("company_id", "excluded_because", "is_mature", "defaulted", by) if n not in observations]
    if absent:
        raise InputError(f"the observations lack {', '.join(absent)}; give the result of backtest.observations")
    rows = observations if by == "excluded_because" else observations[observations["excluded_because"].isna()]
    mature, label = rows["is_mature"].astype(bool), rows["defaulted"].astype("boolean")
    counted = rows[["company_id", by]].assign(
        n_mature=mature, n_defaulted=mature & label.fillna(False), n_unknown=mature & label.isna()
    )
    grouped = counted.groupby(by, dropna=False)
    result = grouped.agg(n_observations=("company_id", "size"), n_companies=("company_id", "nunique"))
    result = result.join(grouped[["n_mature", "n_defaulted", "n_unknown"]].sum()).astype("int64").reset_index()
    n_mature = result["n_mature"].where(result["n_mature"] > 0)
    result["default_rate_best_ratio"] = (result["n_defaulted"] / n_mature).astype("float64")
    result["default_rate_worst_ratio"] = ((result["n_defaulted"] + result["n_unknown"]) / n_mature).astype("float64")
    return result.sort_values(by, na_position="last", ignore_index=True)


def _labelled(rows: pd.DataFrame, ends: pd.DataFrame, terms: BacktestTerms) -> pd.DataFrame:
    later = follow_up(rows, ends, terms.outcomes_known_until, terms.probation_months, terms.repaid_reasons)
    created = rows["created_at"].astype("datetime64[us]").dt.normalize()
    label_known = rows["horizon_end_date"] + pd.Timedelta(days=terms.reporting_lag_days)
    rows = rows.assign(
        defaulted=_label(rows, later),
        default_date=later["default_date"],
        is_censored=later["is_censored"],
        is_mature=label_known <= terms.outcomes_known_until,
        report_age_days=_days_between(created, rows["as_of_date"]),
        data_age_days=_days_between(rows["period_end_date"].astype("datetime64[us]"), rows["as_of_date"]),
        is_overlapping=_overlapping(rows),
        cohort=rows["as_of_date"].dt.to_period("Q").astype("string"),
    )
    if terms.test_from is None:
        split = split_by_company(rows["company_id"], key=terms.split_key, test_share=terms.test_share)
    else:
        split = split_by_time(rows["as_of_date"], label_known, terms.test_from)
    return rows.assign(split=split, excluded_because=_exclusion(rows, later, terms.max_data_age_days))


def _label(rows: pd.DataFrame, later: pd.DataFrame) -> pd.Series[Any]:
    watched = later["has_outcome"] & (later["watched_until"] >= rows["horizon_end_date"])
    label = pd.Series(pd.NA, rows.index, dtype="boolean").mask(watched | later["is_repaid"], False)
    return label.mask(later["default_date"].notna(), True)


def _days_between(start: pd.Series[pd.Timestamp], end: pd.Series[pd.Timestamp]) -> pd.Series[Any]:
    return (end - start).dt.days.astype("Int64")


def _exclusion(rows: pd.DataFrame, later: pd.DataFrame, max_data_age_days: int) -> pd.Series[str]:
    has_report = rows["report_id"].notna()
    holds: dict[str, Callable[[], pd.Series[bool]]] = {
        "no_outcome": lambda: ~later["has_outcome"],
        "closed": lambda: later["is_closed"],
        "in_default": lambda: later["in_default"],
        "in_probation": lambda: later["in_probation"],
        "no_report": lambda: ~has_report,
        "unrated": lambda: ~rows["is_rated"].fillna(False).astype(bool) | rows["risk_class"].isna(),
        "stale": lambda: rows["data_age_days"].fillna(rows["report_age_days"]).gt(max_data_age_days).fillna(False),
    }
    because = pd.Series(pd.NA, rows.index, dtype="string")
    for reason in EXCLUSIONS:
        because = because.mask(because.isna() & holds[reason]().astype(bool), reason)
    return because


def _overlapping(rows: pd.DataFrame) -> pd.Series[bool]:
    """Looks back only, so that a later row cannot change an earlier one; rows are sorted by date."""
    before = rows.groupby("company_id")["horizon_end_date"].shift()
    return (before > rows["as_of_date"]).fillna(False)


def _base(rows: pd.DataFrame, versions: pd.DataFrame, terms: BacktestTerms) -> dict[str, Any]:
    used = rows["excluded_because"].isna() & rows["is_mature"]
    excluded = rows["excluded_because"].value_counts()
    counts = {str(reason): int(excluded.get(reason, 0)) for reason in EXCLUSIONS}
    counts["immature"] = int((rows["excluded_because"].isna() & ~rows["is_mature"]).sum())
    seen = versions.sort_values("report_version").drop_duplicates("report_id", keep="last")
    filters = {name: getattr(terms, name) for name in ("product", "clock", "sampling", "horizon_months")}
    until = terms.outcomes_known_until.date()
    return frames.base(int(used.sum()), seen, excluded=counts, as_of=until, filters=filters)
