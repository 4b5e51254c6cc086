"""Observations: who was seen when, with what, and what became of it; every label and reason by hand."""

from itertools import pairwise

import duckdb
import pandas as pd
import pytest
from backtest_rows import TERMS, outcome, outcomes, report, reports

from xray_analytics import tables
from xray_analytics.analysis import backtest
from xray_analytics.analysis.days import months_later
from xray_analytics.errors import InputError


def observe(rows, ends, **terms):
    found = backtest.observations(reports(*rows), outcomes(*ends), **(TERMS | terms))
    return found.set_index("company_id")


def label(*ends, **terms):
    """The one row of a company with a fresh report, seen on 30 June 2024."""
    return observe([report("x", "2024-06-10")], ends, **terms).loc["x"]


# Labels


@pytest.mark.parametrize(
    ("default", "defaulted"),
    [("2024-07-01", True), ("2025-06-30", True), ("2025-07-01", False), (None, False)],
)
def test_defaulted__counts_from_the_day_after_to_the_end_of_the_horizon(default, defaulted):
    row = label(outcome("x", default))
    assert (row["defaulted"], row["is_mature"], row["is_censored"], row["excluded_because"]) == (
        defaulted, True, False, pd.NA,
    )  # fmt: skip
    assert row["default_date"] is pd.NaT or row["default_date"] == pd.Timestamp(default)


def test_defaulted__first_of_several_spells():
    spells = outcome("x", "2025-05-01"), outcome("x", "2024-09-01", "2025-01-15")
    assert label(*spells)["default_date"] == pd.Timestamp("2024-09-01")


def test_lost_to_follow_up__is_censored_and_has_no_label():
    row = label(outcome("x", until="2025-02-01", exit="2025-02-01", reason="sold"))
    assert (row["is_censored"], row["defaulted"]) == (True, pd.NA)


def test_repaid_within_the_horizon__did_not_default_although_nobody_watched_on():
    row = label(outcome("x", until="2025-02-01", exit="2025-02-01", reason="Repaid"))
    assert (row["is_censored"], row["defaulted"]) == (False, False)
    other = label(outcome("x", until="2025-02-01", exit="2025-02-01", reason="repaid"), repaid_reasons=["soldé"])
    assert other["is_censored"]


def test_not_said_until_when__was_watched_to_its_exit_or_to_the_day_of_the_outcomes():
    assert label(outcome("x", until=None))["defaulted"] == False  # noqa: E712 - of pandas
    assert label(outcome("x", until=None, exit="2025-01-01", reason="sold"))["is_censored"]


def test_immature__whatever_the_label_it_is_in_no_rate():
    rows = observe(
        [report("early", "2024-06-10"), report("fine", "2024-06-10")],
        [outcome("early", "2024-08-01"), outcome("fine")],
        outcomes_known_until="2025-06-29",
    )
    assert rows["is_mature"].tolist() == [False, False]
    assert (rows["defaulted"]["early"], rows["defaulted"]["fine"]) == (True, pd.NA)
    assert not rows["is_censored"].any()
    rates = backtest.default_rates(rows.reset_index())
    assert rates[["n_observations", "n_mature", "n_defaulted"]].values.tolist() == [[2, 0, 0]]
    assert rates["default_rate_best_ratio"].isna().all()


def test_reporting_lag__matures_later():
    assert label(outcome("x"), outcomes_known_until="2025-06-30")["is_mature"]
    assert not label(outcome("x"), outcomes_known_until="2025-06-30", reporting_lag_days=1)["is_mature"]
    assert label(outcome("x"), outcomes_known_until="2025-07-01", reporting_lag_days=1)["is_mature"]


def test_default_dated_after_the_outcomes_are_known__is_not_there_yet():
    row = label(outcome("x", "2025-06-15"), outcomes_known_until="2025-05-31")
    assert (row["defaulted"], row["is_mature"]) == (pd.NA, False)


@pytest.mark.parametrize(("start", "months"), [("2023-01-31", 1), ("2023-02-28", 12), ("2023-09-30", 3)])
def test_horizons__of_consecutive_month_ends_leave_no_day_out(start, months):
    days = pd.date_range(start, periods=30, freq=pd.offsets.MonthEnd(months))
    ends = months_later(pd.Series(days), months).tolist()
    assert all(end == following for end, (_, following) in zip(ends, pairwise(days), strict=False))


# Reasons


def test_exclusions__each_with_its_reason_and_its_default_rate():
    fresh = ["closed", "in_default", "in_probation", "no_outcome", "fine", "cured"]
    rows = [
        *(report(name, "2024-06-10") for name in fresh),
        report("unrated", "2024-06-10", is_rated=False, bank_risk_class=None),
        report("stale", "2024-06-10", period_end="2023-06-30"),
        report("late", "2024-06-29 00:00:01"),
        report("foreign", "2024-06-10", product="financial"),
    ]
    ends = [
        outcome("closed", exit="2024-06-30", reason="repaid"),
        outcome("in_default", "2024-06-30"),
        outcome("in_probation", "2023-01-05", "2024-04-01"),
        outcome("cured", "2023-01-05", "2024-03-30"),
        outcome("unrated", "2024-12-01"),
        *(outcome(name) for name in ("stale", "late", "fine", "foreign")),
    ]
    found = observe(rows, ends)
    assert found["excluded_because"].dropna().to_dict() == {
        "closed": "closed", "in_default": "in_default", "in_probation": "in_probation", "no_outcome": "no_outcome",
        "unrated": "unrated", "stale": "stale", "late": "no_report", "foreign": "no_report",
    }  # fmt: skip
    assert found.attrs["base"]["used"] == 2
    assert found.attrs["base"]["excluded"]["no_report"] == 2
    rates = backtest.default_rates(found.reset_index()).set_index("excluded_because")
    assert rates.loc["unrated", "default_rate_best_ratio"] == 1.0
    assert rates.loc["no_outcome", ["default_rate_best_ratio", "default_rate_worst_ratio"]].tolist() == [0.0, 1.0]
    assert rates["n_observations"].sum() == len(found)


def test_stale__is_judged_on_the_data_and_where_these_name_no_day_on_the_report():
    aged = report("x", "2024-06-10", period_end="2024-01-31")
    assert observe([aged], [outcome("x")]).loc["x", ["report_age_days", "data_age_days"]].tolist() == [20, 151]
    reason = {
        limit: observe([aged], [outcome("x")], max_data_age_days=limit)["excluded_because"].iloc[0]
        for limit in (150, 151)
    }
    assert reason == {150: "stale", 151: pd.NA}
    unnamed = {**aged, "period_end_date": pd.NaT}
    assert observe([unnamed], [outcome("x")], max_data_age_days=19)["excluded_because"].iloc[0] == "stale"


def test_probation__ends_after_its_months():
    cured = [outcome("x", "2023-01-05", "2024-03-31")]
    assert observe([report("x", "2024-06-10")], cured)["excluded_because"].iloc[0] is pd.NA
    assert observe([report("x", "2024-06-10")], cured, probation_months=4)["excluded_because"].iloc[0] == "in_probation"


# Which report


def test_newest_report_and_version__known_by_the_end_of_the_day():
    rows = [
        report("x", "2024-05-01", bank_risk_class=2),
        report("x", "2024-05-01", version=2, fetched="2024-06-01", bank_risk_class=4),
        report("x", "2024-05-01", version=3, fetched="2024-07-15", bank_risk_class=5),
        report("x", "2024-04-01", bank_risk_class=1),
        report("x", "2024-07-02", bank_risk_class=1),
    ]
    found = observe(rows, [outcome("x")]).loc["x"]
    assert found[["report_id", "report_version", "risk_class"]].tolist() == ["x-20240501", 2, 4]


def test_clock__available_waits_for_the_lag_and_fetched_for_the_fetch():
    row = report("x", "2024-06-29 12:00", fetched="2024-07-05")
    seen = {
        (clock, lag): observe([row], [outcome("x")], clock=clock, availability_lag_hours=lag)["report_id"].iloc[0]
        for clock, lag in (("available", 48), ("available", 24), ("fetched", 0))
    }
    assert seen == {("available", 48): pd.NA, ("available", 24): "x-20240629", ("fetched", 0): pd.NA}


def test_clock_fetched__sees_outcomes_as_recorded_by_then():
    rows = [report("x", "2024-06-10")]
    before = outcome("x", recorded="2025-12-01")
    corrected = outcome("x", "2024-09-01", recorded="2026-02-01")
    assert observe(rows, [before, corrected], clock="fetched")["defaulted"].iloc[0] == False  # noqa: E712
    assert observe(rows, [before, corrected])["defaulted"].iloc[0]
    with pytest.raises(InputError, match=r"no outcome was recorded here by 2025-12-31"):
        observe(rows, [corrected], clock="fetched")


# Sampling and splits

QUARTERS = backtest.as_of_grid("2023-01-01", "2025-12-31")


def test_non_overlapping__keeps_the_last_mature_date_and_leaves_gaps_of_a_horizon():
    rows = observe([report("x", "2023-01-10")], [outcome("x")], as_of_dates=QUARTERS)
    kept = [day.date().isoformat() for day in rows["as_of_date"]]
    assert kept == ["2023-12-31", "2024-12-31", "2025-12-31"]
    assert not rows["is_overlapping"].any()
    immature = observe(
        [report("x", "2023-01-10")], [outcome("x")], as_of_dates=QUARTERS, outcomes_known_until="2023-06-30"
    )
    assert [day.year for day in immature["as_of_date"]] == [2023, 2024, 2025]


def test_overlapping__marks_rows_whose_earlier_horizon_is_open():
    rows = observe([report("x", "2023-01-10")], [outcome("x")], as_of_dates=QUARTERS, sampling="overlapping")
    assert len(rows) == len(QUARTERS)
    assert rows["is_overlapping"].tolist() == [False] + [True] * (len(QUARTERS) - 1)
    assert rows["cohort"].tolist()[:2] == ["2023Q1", "2023Q2"]


def test_report__each_on_the_day_on_which_it_was_known_as_it_was_then():
    rows = [
        report("x", "2024-06-10 08:00", bank_risk_class=2),
        report("x", "2024-06-10 08:00", version=2, fetched="2024-09-01", bank_risk_class=5),
        report("x", "2024-06-10 20:00", report_id="second", bank_risk_class=4),
        report("x", "2025-07-01", bank_risk_class=1),
        report("x", "2026-01-01"),
    ]
    dates = ["2024-01-01", "2025-12-31"]
    found = observe(rows, [outcome("x")], as_of_dates=dates, sampling="report")
    assert [day.date().isoformat() for day in found["as_of_date"]] == ["2024-06-12", "2025-07-03"]
    assert found["risk_class"].tolist() == [4, 1]
    assert found["is_overlapping"].tolist() == [False, False]


def test_split__by_company_stays_when_companies_come_and_is_another_under_another_key():
    names = [f"{i:09d}" for i in range(2000)]
    few, many = (
        observe([report(n, "2024-06-10") for n in some], [outcome(n) for n in some])["split"]
        for some in (names[:50], names)
    )
    assert many[few.index].equals(few)
    assert 0.26 < (many == "test").mean() < 0.34
    other = observe([report(n, "2024-06-10") for n in names[:50]], [outcome("a")], split_key="another")["split"]
    assert not other[few.index].equals(few)


def test_split__by_time_purges_what_is_labelled_after_the_test_starts():
    rows = observe(
        [report("x", "2023-01-10")],
        [outcome("x")],
        as_of_dates=QUARTERS,
        sampling="overlapping",
        test_from="2024-06-30",
    )
    sides = rows.set_index(rows["as_of_date"].dt.date.astype(str))["split"]
    assert sides["2023-06-30"] == "train"
    assert sides["2023-09-30"] == sides["2024-03-31"] == "purged"
    assert sides["2024-06-30"] == "test"


# Frames of any kind, and refusals


def test_engines__give_the_same_rows():
    rows = [report(f"c{i}", f"2024-0{1 + i % 6}-10") for i in range(12)]
    ends = [outcome(f"c{i}", "2025-01-05" if i % 4 == 0 else None) for i in range(12)]
    pandas = backtest.observations(reports(*rows), outcomes(*ends), **TERMS)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("r", reports(*rows)), connection.register("o", outcomes(*ends))
    lazy = backtest.observations(connection.table("r"), connection.table("o"), **TERMS)
    pd.testing.assert_frame_equal(lazy, pandas)


def test_rows__do_not_depend_on_the_order_of_the_input():
    rows = [report(f"c{i}", f"2024-0{1 + i % 6}-10") for i in range(12)]
    ends = [outcome(f"c{i}", "2025-01-05" if i % 4 == 0 else None) for i in range(12)]
    one = backtest.observations(reports(*rows), outcomes(*ends), **TERMS)
    other = backtest.observations(reports(*rows[::-1]), outcomes(*ends[::-1]), **TERMS)
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"as_of_dates": []}, "no as-of date"),
        ({"as_of_dates": ["2024-06-30T12:00"]}, "is not a day"),
        ({"as_of_dates": ["June"]}, "as-of date June is not a day"),
        ({"horizon_months": 0}, "horizon_months is 0"),
        ({"probation_months": -1}, "probation_months is -1"),
        ({"product": "esg"}, "product is 'esg'"),
        ({"clock": "mine"}, "no clock 'mine'"),
        ({"sampling": "some"}, "sampling is 'some'"),
        ({"test_share": 1.5}, "test_share is 1.5"),
        ({"availability_lag_hours": -1}, "availability_lag_hours is -1"),
    ],
)
def test_observations__refuses(wrong, words):
    with pytest.raises(InputError, match=words):
        observe([report("x", "2024-06-10")], [outcome("x")], **wrong)


def test_frames__without_what_is_needed_are_refused():
    with pytest.raises(InputError, match="lacks period_end_date"):
        backtest.observations(
            reports(report("x", "2024-06-10")).drop(columns="period_end_date"), outcomes(outcome("x")), **TERMS
        )
    with pytest.raises(InputError, match="lacks default_date"):
        backtest.observations(reports(report("x", "2024-06-10")), outcomes(outcome("x"))[["company_id"]], **TERMS)
    with pytest.raises(InputError, match="lack excluded_because"):
        backtest.default_rates(pd.DataFrame({"company_id": ["x"]}))
    with pytest.raises(InputError, match="no year ends"):
        backtest.as_of_grid("2024-01-01", "2024-06-30", every="year")


@pytest.mark.parametrize("sampling", ["non_overlapping", "report", "overlapping"])
def test_observations__of_empty_tables_are_empty_and_typed(sampling):
    empty = (table.to_pandas(table.empty()) for table in (tables.REPORTS, tables.OUTCOMES))
    found = backtest.observations(*empty, sampling=sampling, **TERMS)
    full = observe([report("x", "2024-06-10")], [outcome("x")]).reset_index()
    assert found.empty
    assert found.dtypes.to_dict() == full.dtypes.to_dict()
    assert backtest.default_rates(found).empty


@pytest.mark.parametrize("popovers", [None, [["a", "b"]]])
@pytest.mark.parametrize("kind", ["pandas", "arrow", "duckdb"])
def test_known_by__reads_lists_and_columns_of_nothing_of_every_engine(kind, popovers):
    made = {
        "reports": tables.REPORTS.example(report_id="a", created_at="2025-01-10"),
        "bank_flag_criteria": tables.BANK_FLAG_CRITERIA.example(report_id="a", criterion="x", popovers=popovers),
    }
    arrow = {name: tables.table(name).conform(frame) for name, frame in made.items()}
    given = {"pandas": made, "arrow": arrow, "duckdb": {n: duckdb.from_arrow(t) for n, t in arrow.items()}}[kind]
    found = backtest.known_by(given, "2025-02-28")["bank_flag_criteria"]["popovers"]
    assert [None if value is None else list(value) for value in found] == (popovers or [None])
