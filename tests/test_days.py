"""Months end where months end, and a day with a time of day is that day: one rule each, in every analysis."""

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xray_analytics
from xray_analytics import backtest, migration, monitoring, portfolio, validation
from xray_analytics.analysis import frames
from xray_analytics.analysis.days import months_between, months_earlier, months_later
from xray_analytics.errors import InputError
from xray_analytics.report.document.document import Edition
from xray_analytics.report.validation import cohorts
from xray_analytics.tables import OUTCOMES

DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31)).map(pd.Timestamp)
MONTHS = st.integers(-60, 60)
PACKAGE = Path(xray_analytics.__file__).parent


@given(DAYS, MONTHS)
def test_months_later__of_a_month_end_is_a_month_end_and_of_others_the_same_day_or_the_last(day, n):
    found = months_later(day, n)
    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == n
    assert found.is_month_end if day.is_month_end else found.day == min(day.day, found.days_in_month)
    assert months_later(pd.Series([day, pd.NaT]), n).tolist()[:1] == [found]


@given(DAYS, st.integers(0, 40))
def test_months_later__keeps_order_and_time_of_day_and_months_between_turns_it_round(day, n):
    at = day + pd.Timedelta("13:45:00.000001")
    assert months_later(at, n) - months_later(day, n) == at - day
    assert months_later(day + pd.Timedelta(days=1), n) >= months_later(day, n)
    assert months_between(pd.Series([day]), pd.Series([months_later(day, n)])).tolist() == [n]


@given(DAYS, st.integers(1, 40))
def test_months_earlier__is_the_last_day_whose_horizon_is_over(day, n):
    found = months_earlier(day, n)
    assert months_later(found, n) <= day < months_later(found + pd.Timedelta(days=1), n)


def test_months__are_counted_in_one_place():
    counted = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for word in ("DateOffset", "relativedelta", "MonthEnd", "MonthBegin", "days=30", "30.4", "365.25")
        if word in path.read_text() and path != PACKAGE / "analysis/days.py" and PACKAGE / "sandbox" not in path.parents
    ]
    assert counted == ["api/journal.py"]  # how long deliveries are remembered: 30 days, no month


def reports(*rows):
    table = pd.DataFrame(rows, columns=["report_id", "company_id", "created_at", "bank_risk_class"])
    at = pd.to_datetime(table["created_at"], utc=True, format="mixed").astype("datetime64[us, UTC]")
    return table.assign(
        created_at=at, available_at=at, fetched_at=at, report_version=1, product="bank", is_backfilled=False,
        is_rated=True, period_end_date=at.dt.tz_localize(None).dt.normalize(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("as_of", "months", "cohort"), [("2025-06-30", 6, "2024-12-31"), ("2025-02-28", 2, "2024-12-31")]
)
def test_migration__a_report_of_31_december_is_in_the_cohort_of_31_december(as_of, months, cohort):
    made = reports(("a", "x", "2024-12-31 18:00", 2), ("b", "x", "2025-02-01", 3))
    found = migration.transition_table(made, product="bank", as_of=as_of, horizon_months=months)
    assert found[["cohort_date", "to_state"]].astype("string").values.tolist() == [[cohort, "3"]]


def test_movement__a_report_of_31_december_has_expired_six_months_after_the_end_of_june():
    made = reports(("a", "x", "2024-12-31 18:00", 2))
    asked = {"product": "bank", "start": "2024-12-31", "max_age_months": 6}
    gone = [
        portfolio.movement(made, end=end, **asked).query("step == 'gone'")["n_out"].sum()
        for end in ("2025-06-30", "2025-06-29")
    ]
    assert gone == [1, 0]


@pytest.mark.parametrize("months", [1, 2, 3, 6, 12])
@pytest.mark.parametrize(
    "until", ["2025-06-30", "2025-12-31", "2025-02-28", "2024-02-29", "2025-08-30", "2025-08-31", "2025-03-15"]
)
def test_cohorts__none_is_lost_and_every_one_is_mature(until, months):
    end = pd.Timestamp(until)
    made = reports(
        *((f"r{n}", f"c{n % 9}", months_later(end, -n) - pd.Timedelta(days=20), 1 + n % 5) for n in range(100))
    )
    outcomes = pd.DataFrame({"company_id": [f"c{n}" for n in range(9)], "default_date": pd.NaT, "observed_until": end})
    tables = {
        "reports": made,
        "outcomes": outcomes,
        "companies": pd.DataFrame({"company_id": []}).assign(size_class="", region="", sector_code=""),
    }
    terms = cohorts.ValidationTerms("bank", months, end, "available")
    found = cohorts.cohorts(tables, terms, validation.shipped_policy())
    wanted, day = [], end
    for _ in range(10):
        day = months_earlier(day, months)
        wanted.append(day)
    assert [found.date, *reversed(found.earlier)] == [
        day for day in wanted if day >= made["created_at"].min().tz_localize(None)
    ]


def test_precision__an_alarm_of_30_june_looks_three_months_ahead_to_30_september():
    watch = pd.DataFrame({"company_id": ["x"], "rule": "class_5", "first_seen": pd.to_datetime(["2024-06-30"])})
    for first, last, day, hits in (
        ("2024-06-30", 3, "2024-09-30", 1),
        ("2024-06-30", 1, "2024-07-31", 1),
        ("2024-06-29", 1, "2024-07-30", 0),
    ):
        ends = pd.DataFrame(
            {
                "company_id": ["x"],
                "default_date": pd.to_datetime([day]),
                "default_end_date": pd.NaT,
                "observed_until": pd.Timestamp("2025-12-31"),
            }
        )
        found = monitoring.precision(
            watch.assign(first_seen=pd.Timestamp(first)), ends, known_until="2025-12-31", horizon_months=last, min_n=1
        )
        assert found["n_hits"].tolist() == [hits], (first, day)


def test_vintage_curves__a_loan_of_31_january_is_a_month_old_at_the_end_of_february():
    loans = pd.DataFrame(
        {
            "loan_id": ["a", "b"],
            "company_id": ["x", "y"],
            "origination_date": pd.to_datetime(["2025-01-31", "2025-01-31"]),
            "closed_date": pd.NaT,
            "refinanced_from": None,
        }
    )
    ends = pd.DataFrame(
        {
            "company_id": ["x", "y"],
            "default_date": pd.to_datetime(["2025-02-28", "2025-03-31"]),
            "observed_until": pd.Timestamp("2025-12-31"),
        }
    )
    found = validation.vintage_curves(loans, ends, known_until="2025-12-31")
    assert found["n_defaults"].tolist() == [0, 1, 2]


def test_edition__changes_since_three_month_ends_before():
    assert [Edition(as_of).since for as_of in ("2025-06-30", "2025-05-31", "2025-05-30")] == [
        "2025-03-31",
        "2025-02-28",
        "2025-02-28",
    ]


NOON, LATE = pd.Timestamp("2025-06-30 13:45"), pd.Timestamp("2025-06-30 23:59:59.999999999")
TIMES = {
    "pandas": pd.DataFrame({"default_date": [NOON, pd.NaT]}),
    "pandas with a zone": pd.DataFrame({"default_date": [NOON.tz_localize("Europe/Paris"), pd.NaT]}),
    "objects": pd.DataFrame({"default_date": pd.Series([NOON, None], dtype="object")}),
    "days as objects": pd.DataFrame({"default_date": pd.Series([date(2025, 6, 30), None], dtype="object")}),
    "late objects": pd.DataFrame({"default_date": pd.Series([None] * 150 + [NOON, None], dtype="object")}),
    "Arrow": pa.table({"default_date": [NOON, None]}),
    "Arrow days": pa.table({"default_date": [date(2025, 6, 30), None]}),
    "Polars": pl.DataFrame({"default_date": [NOON, None]}),
    "DuckDB": duckdb.sql("SELECT UNNEST([TIMESTAMP '2025-06-30 13:45', NULL]) AS default_date"),
    "late in the day": pa.table({"default_date": pa.array([LATE.value, None], pa.timestamp("ns"))}),
}  # fmt: skip


@pytest.mark.parametrize("frame", TIMES.values(), ids=TIMES)
def test_scan__a_day_with_a_time_of_day_is_that_day(frame):
    found = frames.collect(frames.scan(frame, OUTCOMES, ["default_date"]), OUTCOMES)["default_date"]
    assert found.iloc[-2:].tolist() == [pd.Timestamp("2025-06-30"), pd.NaT]


CREATED = pd.Timestamp("2025-06-30 23:30", tz="UTC")
INSTANTS = {
    "Timestamp": [CREATED, None], "datetime": [CREATED.to_pydatetime(), None], "none": [None, None],
    "Paris": [CREATED.tz_convert("Europe/Paris"), None], "late": [None] * 150 + [CREATED, None],
}  # fmt: skip


@pytest.mark.parametrize("values", INSTANTS.values(), ids=INSTANTS)
def test_scan__python_objects_are_instants_too(values):
    frame = pd.DataFrame({"recorded_at": pd.Series(values, dtype="object")})
    found = frames.collect(frames.scan(frame, OUTCOMES, ["recorded_at"]), OUTCOMES)["recorded_at"]
    known = [value is not None for value in values]
    assert found.notna().tolist() == known
    assert found[known].tolist() == [CREATED.tz_localize(None)] * sum(known)


@pytest.mark.parametrize("value", [NOON, NOON.to_pydatetime(), date(2025, 6, 30), "2025-06-30T10:00:00Z", 7])
def test_scan__what_is_no_instant_is_named(value):
    frame = pd.DataFrame({"recorded_at": pd.Series([CREATED, value], dtype="object")})
    with pytest.raises(InputError, match="recorded_at"):
        frames.scan(frame, OUTCOMES, ["recorded_at"])


def test_scan__objects_of_polars_are_no_instants():
    frame = pl.DataFrame({"recorded_at": pl.Series([object()], dtype=pl.Object)})
    with pytest.raises(InputError, match="recorded_at"):
        frames.scan(frame, OUTCOMES, ["recorded_at"])


@pytest.mark.parametrize("time", ["00:00", "13:45", "23:59:59.999999"])
def test_observations__the_time_of_a_default_changes_nothing(time):
    made = reports(("a", "514673987", "2024-06-10", 3))
    for day, wanted in (
        ("2025-06-30", [True, None]),
        ("2024-06-30", [False, "in_default"]),
        ("2025-07-01", [False, None]),
    ):
        ends = pd.DataFrame({
            "company_id": ["514673987"], "default_date": pd.to_datetime([f"{day} {time}"]), "default_end_date": pd.NaT,
            "observed_until": pd.to_datetime([f"2026-06-30 {time}"]), "exit_date": pd.NaT, "exit_reason": None,
        })  # fmt: skip
        found = backtest.observations(
            made, ends, as_of_dates=["2024-06-30"], horizon_months=12, outcomes_known_until="2026-06-30", product="bank"
        )
        assert found[["defaulted", "excluded_because"]].astype("object").replace({pd.NA: None}).values.tolist() == [
            wanted
        ]


def test_scan__text_in_a_column_of_days_is_named():
    with pytest.raises(xray_analytics.XRayError, match="default_date"):
        frames.scan(pd.DataFrame({"default_date": ["2025-06-30", None]}), OUTCOMES, ["default_date"])
    late = pd.DataFrame({"default_date": pd.Series([None] * 150 + ["x", 1], dtype="object")})
    with pytest.raises(xray_analytics.XRayError, match="outcomes"):
        frames.collect(frames.scan(late, OUTCOMES, ["default_date"]), OUTCOMES)


def test_months_between__of_whole_months_is_exact():
    start = pd.Series(pd.to_datetime(["2024-01-31"] * 3))
    assert months_between(start, pd.Series(pd.to_datetime(["2024-02-29", "2024-04-30", "2024-03-15"]))).tolist()[
        :2
    ] == [1, 3]
    assert np.isfinite(months_between(start, start)).all()
