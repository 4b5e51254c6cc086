"""Nothing that comes later changes a row; and a feature that reads what comes later is caught."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from backtest_rows import outcome, outcomes, report, reports
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from store_rows import day, make
from store_rows import report as stored_report

import xray_analytics as xa
from xray_analytics import tables
from xray_analytics.analysis import backtest
from xray_analytics.analysis.backtest.look_ahead import check_no_look_ahead
from xray_analytics.errors import InputError, StoreError
from xray_analytics.store import Store

DATES = ["2024-03-31", "2024-08-15", "2024-12-31"]
KNOWN_UNTIL = pd.Timestamp("2025-06-30")
COMPANIES = [f"{i:09d}" for i in range(6)]
LABELS = ["defaulted", "default_date", "is_censored", "excluded_because"]


# Any rows, and any that come later


def children(rows, rng):
    """Criteria, ratios and months of these report versions."""
    keys = rows[["report_id", "report_version"]].to_dict("records")
    names = ["cashBuffer", "overdraft", "supplierScore"]
    criteria = [
        {**key, "criterion_no": i, "criterion": name, "value": rng.random(), "value_text": None,
         "sentiment": rng.choice(["good", "bad"])}
        for key in keys for i, name in enumerate(names[: rng.integers(1, 4)])
    ]  # fmt: skip
    texts = rng.random(len(keys)) < 0.5  # the same criterion, a number in one report and a word in the next
    ratios = [
        {**key, "criterion": "supplierScore", "value": None if text else 1.5, "value_text": "green" if text else None}
        for key, text in zip(keys, texts, strict=True)
    ]
    ends = rows["period_end_date"].dt.to_period("M").dt.to_timestamp()
    months = [
        {**key, "account_no": None, "month": end - pd.DateOffset(months=back), "total_credit": 100 * rng.random(),
         "total_debit": 50.0, "net_flow": 10 * rng.random(), "closing_balance": 5.0, "minimum_balance": -1.0,
         "average_daily_balance": 2.0, "n_negative_days": 1, "n_days_covered": 30, "n_alerts": 0, "is_complete": True}
        for key, end in zip(keys, ends, strict=True) for back in range(1, 1 + rng.integers(1, 8))
    ]  # fmt: skip
    return {
        "bank_flag_criteria": pd.DataFrame(criteria),
        "financial_ratios": pd.DataFrame(ratios).astype({"value": "float64", "value_text": "string"}),
        "monthly_summaries": pd.DataFrame(months).astype({"account_no": "Int64"}),
    }


def some_reports(rng, n, days, *, clock, prefix):
    """Versions of reports whose clock falls between two days; the other clock falls anywhere before."""
    found, (first, last) = [], days
    for i in range(n):
        moment = first + (last - first) * rng.random()
        earlier = moment - pd.Timedelta(days=float(rng.integers(0, 400)))
        version = int(rng.integers(1, 3))
        created, fetched = (moment, moment) if clock == "available" and version == 1 else (earlier, moment)
        row = report(
            str(rng.choice(COMPANIES)), created.isoformat(), version=version, fetched=fetched.isoformat(),
            report_id=f"{prefix}{i // 2}", bank_risk_class=int(rng.integers(1, 6)), bank_score=float(rng.random()),
        )  # fmt: skip
        product = str(rng.choice(["bank", "financial"], p=[0.8, 0.2]))
        found.append(row | {"product": product, "default_probability": float(rng.random()), "financial_risk_class": 2})
    frame = reports(*(row | {"created_at": row["created_at"].tz_convert("UTC")} for row in found))
    for name in ("created_at", "fetched_at", "available_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame.drop_duplicates(["report_id", "report_version"], ignore_index=True)


def some_outcomes(rng):
    dates = pd.date_range("2023-06-01", "2025-06-30")
    rows = [outcome(c, rng.choice(dates) if rng.random() < 0.4 else None, until=KNOWN_UNTIL) for c in COMPANIES[:-1]]
    return outcomes(*(row | {"recorded_at": pd.Timestamp("2025-06-30", tz="UTC")} for row in rows))


def later_outcomes(rng, clock, ends):
    """A later statement: facts dated after the outcomes were known beside what was known, or rows about any day."""
    first = KNOWN_UNTIL + pd.Timedelta(days=1) if clock == "available" else pd.Timestamp("2023-06-01")
    dates = pd.date_range(first, first + pd.Timedelta(days=500))
    until = KNOWN_UNTIL + pd.Timedelta(days=600)
    rows = [outcome(c, rng.choice(dates), until=until, exit=until, reason="sold") for c in COMPANIES[:-1]]
    later = outcomes(*(row | {"recorded_at": pd.Timestamp("2025-08-01", tz="UTC")} for row in rows))
    restated = ends.assign(recorded_at=pd.Timestamp("2025-08-01", tz="UTC"))  # a statement says all of a company
    return pd.concat([ends, restated, later]) if clock == "available" else pd.concat([ends, later])


def both(tables_, ends, clock, sampling):
    rows = backtest.observations(
        tables_["reports"], ends, as_of_dates=DATES, horizon_months=3, outcomes_known_until=KNOWN_UNTIL,
        product="bank", clock=clock, sampling=sampling,
    )  # fmt: skip
    found = backtest.features(tables_, rows) if len(rows) else rows[["company_id", "as_of_date"]]
    return rows.set_index(["company_id", "as_of_date"]), found.set_index(["company_id", "as_of_date"])


SEEDS = {"seed": st.integers(0, 2**32 - 1), "sampling": st.sampled_from(["overlapping", "report"])}
SLOW = {  # a smaller seed is no simpler case: nothing to shrink
    "deadline": None, "suppress_health_check": [HealthCheck.too_slow], "phases": [Phase.reuse, Phase.generate],
}  # fmt: skip


@pytest.mark.parametrize("clock", ["available", "fetched"])
@settings(max_examples=4, **SLOW)
@given(**SEEDS)
def test_rows__do_not_change_by_anything_later(clock, seed, sampling):
    later_changes_nothing(clock, seed, sampling)


@pytest.mark.long
@pytest.mark.parametrize("clock", ["available", "fetched"])
@settings(max_examples=60, **SLOW)
@given(**SEEDS)
def test_rows__do_not_change_by_anything_later_at_length(clock, seed, sampling):
    later_changes_nothing(clock, seed, sampling)


def later_changes_nothing(clock, seed, sampling):
    rng = np.random.default_rng(seed)
    end = pd.Timestamp(rng.choice(DATES), tz="UTC") + pd.Timedelta(days=1)  # of the last day that must not change
    wait = pd.Timedelta(hours=48 if clock == "available" else 0)
    before = pd.Timestamp("2023-09-01", tz="UTC"), end - wait
    known = some_reports(rng, 14, before, clock=clock, prefix="a")
    after = end - wait + pd.Timedelta(seconds=1), end + pd.Timedelta(days=300)
    late = some_reports(rng, 8, after, clock=clock, prefix="b")
    newer = late.assign(report_id=known["report_id"].iloc[0], report_version=range(5, 5 + len(late)))
    if clock == "available":
        newer["available_at"] = late["fetched_at"].clip(lower=end)
    now = {"reports": known, **children(known, rng)}
    later = pd.concat([late, newer], ignore_index=True)
    more = {name: pd.concat([now[name], rows]) for name, rows in {"reports": later, **children(later, rng)}.items()}
    ends = some_outcomes(rng)
    rows, found = both(now, ends, clock, sampling)
    rows, found = (frame[frame.index.get_level_values("as_of_date") < end.tz_localize(None)] for frame in (rows, found))
    rows_then, found_then = both(more, later_outcomes(rng, clock, ends), clock, sampling)
    pd.testing.assert_frame_equal(rows_then.loc[rows.index], rows, check_freq=False)
    kept = found_then.loc[found.index]
    pd.testing.assert_frame_equal(kept[found.columns], found, check_dtype=False)
    assert kept.drop(columns=found.columns).isna().all(axis=None)


def test_later_rows__do_change_later_ones():
    """What the property above would not notice: that nothing ever changes."""
    rng = np.random.default_rng(3)
    days = [pd.Timestamp(text, tz="UTC") for text in ("2023-09-01", "2024-05-01", "2024-12-31")]
    known = some_reports(rng, 14, days[:2], clock="available", prefix="a")
    more = pd.concat([known, some_reports(rng, 20, days[1:], clock="available", prefix="b")])
    ends = some_outcomes(rng)
    old, new = (both({"reports": r}, ends, "available", "overlapping")[0] for r in (known, more))
    same = (old["report_id"] == new.loc[old.index, "report_id"]) | (
        old["report_id"].isna() & new.loc[old.index, "report_id"].isna()
    )
    first = old.index.get_level_values("as_of_date") == pd.Timestamp(DATES[0])
    assert same[first].all()
    assert not same[~first].all()


# The harness on a store of the sandbox


@pytest.fixture(scope="module")
def sandbox_backtest(tmp_path_factory):
    store = xa.Store(tmp_path_factory.mktemp("look_ahead") / "store")
    with xa.Sandbox(companies=12, seed=11, clean=True) as sandbox:
        xa.sync(xa.XRayClient(sandbox.settings()), store)
        ends = sandbox.outcomes()
    snapshot = store.snapshot()
    frames = {name: snapshot.history(name) for name in backtest.FEATURE_TABLES}
    rows = backtest.observations(
        frames["reports"], ends, as_of_dates=backtest.as_of_grid("2024-07-01", "2025-06-30"), horizon_months=6,
        outcomes_known_until="2025-12-31", product="bank", sampling="overlapping",
    )  # fmt: skip
    return frames, rows


def test_features__of_this_package_do_not_look_ahead(sandbox_backtest):
    frames, rows = sandbox_backtest
    found = check_no_look_ahead(backtest.features, frames, rows, as_of_dates=["2025-03-31"])
    assert found.empty
    assert found.attrs["base"]["used"] > 500
    assert backtest.features(frames, rows)["cash_mean_credit"].notna().any()


def newest_report(frames, rows):
    newest = frames["reports"].sort_values("available_at").drop_duplicates("company_id", keep="last")
    return rows[["company_id", "as_of_date"]].merge(newest[["company_id", "bank_score"]], how="left")


def newest_version(frames, rows):
    """Of the right report, but its version of today: `report_version` was not joined."""
    own = rows[["company_id", "as_of_date", "report_id"]]
    newest = frames["reports"].sort_values("report_version").drop_duplicates("report_id", keep="last")
    return own.merge(newest[["report_id", "bank_score"]], how="left").drop(columns="report_id")


def months_of_the_future(frames, rows):
    months = frames["monthly_summaries"].merge(frames["reports"][["report_id", "report_version", "company_id"]])
    last = months.groupby("company_id")["month"].max().rename("last_month").reset_index()
    return rows[["company_id", "as_of_date"]].merge(last, how="left")


def standardised_over_everything(frames, rows):
    scores = rows["score"].astype("float64")
    return rows[["company_id", "as_of_date"]].assign(z=(scores - scores.mean()) / scores.std())


def label_itself(frames, rows):
    return rows[["company_id", "as_of_date"]].assign(x=rows["defaulted"].fillna(False).astype("int64"))


@pytest.mark.parametrize("leaky", [newest_report, months_of_the_future, standardised_over_everything])
def test_leaky_feature__is_caught(sandbox_backtest, leaky):
    frames, rows = sandbox_backtest
    found = check_no_look_ahead(leaky, frames, rows)
    assert len(found) >= 5
    assert set(found["column"]) <= {"bank_score", "last_month", "z"}


def test_leaky_feature__of_the_label_is_caught():
    rows, frames = tiny()
    rows.loc[0, "defaulted"] = True
    found = check_no_look_ahead(label_itself, frames, rows)
    assert found[["company_id", "with_later", "without_later"]].values.tolist() == [["x", "1", "0"]]


def test_leaky_feature__of_a_later_version_is_caught():
    rows, frames = tiny()
    found = check_no_look_ahead(newest_version, frames, rows)
    assert found[["with_later", "without_later"]].values.tolist() == [["0.9", "0.2"]]


def tiny():
    versions = [
        report("x", "2024-03-01", bank_score=0.2),
        report("x", "2024-03-01", version=2, fetched="2024-10-01", bank_score=0.9),
    ]
    found = backtest.observations(
        reports(*versions), outcomes(outcome("x")), as_of_dates=["2024-06-30"], horizon_months=12,
        outcomes_known_until="2025-12-31", product="bank",
    )  # fmt: skip
    return found, {"reports": reports(*versions)}


def why_it_was_left_out(frames, rows):
    because = rows["excluded_because"].fillna("used").astype("string")
    return rows[["company_id", "as_of_date"]].assign(because=because, n=rows.attrs.get("base", {}).get("used", 0))


@pytest.mark.parametrize("reason", ["closed", "in_default", "no_outcome"])
def test_leaky_feature__made_of_why_a_row_was_left_out_is_caught(reason):
    rows, frames = tiny()
    rows.loc[0, "excluded_because"] = reason
    found = check_no_look_ahead(why_it_was_left_out, frames, rows)
    assert found["column"].tolist() == ["because", "n"]
    assert found["with_later"].tolist() == [reason, "1"]


def test_harness__refuses_to_prove_nothing():
    rows, frames = tiny()
    with pytest.raises(InputError, match="nothing could be shown"):
        check_no_look_ahead(newest_version, {"reports": frames["reports"].head(1)}, rows)
    with pytest.raises(InputError, match="no observation is as of 2023-06-30"):
        check_no_look_ahead(newest_version, frames, rows, as_of_dates=["2023-06-30"])
    with pytest.raises(InputError, match="none, or several"):
        check_no_look_ahead(lambda frames, rows: rows.head(0), frames, rows)
    with pytest.raises(InputError, match="gives no as_of_date"):
        check_no_look_ahead(lambda frames, rows: rows[["company_id"]], frames, rows)


# What was known: frames and store agree


def versions_of(rng, n):
    """Reports of which some name their company through a request that came later, or was corrected."""
    reports_, requests = [], []
    for i in range(n):
        created, direct = float(rng.integers(0, 60)), bool(rng.random() < 0.4)
        fetched = created + float(rng.integers(0, 30))
        own = {"company_id": f"{i:09d}"} if direct else {"request_id": f"{i:024x}"}
        for version in range(1, 1 + int(rng.integers(1, 4))):
            reports_.append(
                stored_report(
                    i, version, created=created, fetched=fetched + 7 * version, bank_score=rng.random(), **own
                )
            )
        if not direct:
            begin = fetched + float(rng.integers(-20, 20))
            for version in range(1, 1 + int(rng.integers(1, 4))):
                code = f"{i + 500 * (version == 3):09d}"
                at = begin + 5 * version
                requests.append({"request_id": f"{i:024x}", "request_version": version, "company_id": code,
                                 "created_at": day(at - 5), "fetched_at": day(at)})  # fmt: skip
    return reports_, requests


@pytest.mark.parametrize("clock", ["available", "fetched"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_known_by__of_the_history_is_what_a_snapshot_of_that_day_reads(tmp_path, clock, seed):
    store = Store(tmp_path / "store")
    found, requests = versions_of(np.random.default_rng(seed), 25)
    with store.writer() as writer:
        writer.append("reports", make("reports", *found))
        writer.append("requests", make("requests", *requests))
        writer.append("other_facts", make("other_facts", *(
            {"report_id": r["report_id"], "report_version": r["report_version"], "path": "$.a"} for r in found
        )))  # fmt: skip
        writer.commit()
    history = {name: store.snapshot(clock=clock).history(name) for name in ("reports", "other_facts")}
    for n in (5, 20, 33, 47, 60, 90, 150):
        moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=n)
        snapshot = store.snapshot(moment, clock=clock)
        known = backtest.known_by(history, moment, clock=clock, availability_lag_hours=0)
        columns = ["report_id", "report_version", "company_id", "bank_score"]
        seen = snapshot.read("reports", columns=columns)
        own = known["reports"][columns]
        named = own["company_id"].notna()
        waiting = set(seen.loc[seen["company_id"].isna(), "report_id"])  # counted once their company is known
        seen = seen[seen["company_id"].notna()].reset_index(drop=True)
        pd.testing.assert_frame_equal(own[named].reset_index(drop=True), seen, check_dtype=False)
        facts = snapshot.read("other_facts")
        facts = facts[~facts["report_id"].isin(waiting)].reset_index(drop=True)
        mine = known["other_facts"]
        mine = mine[mine["report_id"].isin(own.loc[named, "report_id"])].reset_index(drop=True)
        assert (
            mine[["report_id", "report_version"]].values.tolist()
            == facts[["report_id", "report_version"]].values.tolist()
        )


def test_known_by__companies_of_the_register_as_they_were():
    register = pd.DataFrame({
        "company_id": "x", "sector_code": ["10.71", "47.11", "56.10"],
        "valid_from": pd.to_datetime([None, "2024-05-01", "2024-05-15"]),
        "recorded_at": pd.to_datetime(["2024-01-01", "2024-05-02", "2024-09-01"], utc=True),
    })  # fmt: skip
    frames = {"reports": tables.REPORTS.to_pandas(tables.REPORTS.empty()), "companies": register}
    seen = {
        (at, clock): backtest.known_by(frames, at, clock=clock)["companies"]["sector_code"].tolist()
        for at in ("2024-04-30", "2024-06-30") for clock in ("available", "fetched")
    }  # fmt: skip
    assert list(seen.values()) == [["10.71"], ["10.71"], ["56.10"], ["47.11"]]
    with pytest.raises(InputError, match="when rows of loans were known cannot be told"):
        backtest.known_by({**frames, "loans": register}, "2024-06-30")
    with pytest.raises(InputError, match="lacks recorded_at"):
        backtest.known_by({**frames, "companies": register.drop(columns="recorded_at")}, "2024-06-30", clock="fetched")
    with pytest.raises(InputError, match="follows from the table reports"):
        backtest.known_by({"companies": register}, "2024-06-30")


def test_snapshot__of_an_older_commit_and_histories_refused(tmp_path):
    store = Store(tmp_path / "store")
    for i in range(2):
        with store.writer() as writer:
            writer.append("reports", make("reports", stored_report(i, created=1, fetched=1)))
            writer.commit()
    assert [len(store.snapshot(commit=n).read("reports")) for n in (1, 2)] == [1, 2]
    with pytest.raises(StoreError, match=r"commit 3 is not kept; there are \[1, 2\]"):
        store.snapshot(commit=3)
    with pytest.raises(InputError, match="runs has no history"):
        store.snapshot().history("runs")


# Features


def test_features__follow_the_clock_of_their_observations():
    rows, frames = tiny()
    assert backtest.features(frames, rows)["bank_score"].tolist() == [0.2]
    with pytest.raises(InputError, match="of the clock available with 48 hours"):
        backtest.features(frames, rows, clock="fetched")
    with pytest.raises(InputError, match="lack company_id"):
        backtest.features(frames, rows.drop(columns="company_id"))
    with pytest.raises(InputError, match="a company twice"):
        backtest.features(frames, pd.concat([rows, rows]))
    with pytest.raises(InputError, match="reports lacks product"):
        backtest.features({"reports": frames["reports"].drop(columns="product")}, rows)
    with pytest.raises(InputError, match="lacks report_version"):
        backtest.features({"reports": frames["reports"].drop(columns="report_version")}, rows)
    with pytest.raises(InputError, match="there are no observations"):
        backtest.features(frames, rows.head(0))


def test_features__say_what_each_column_is(sandbox_backtest):
    frames, rows = sandbox_backtest
    found = backtest.features(frames, rows)
    assert found[["company_id", "as_of_date"]].equals(rows[["company_id", "as_of_date"]])
    described = found.attrs["columns"]
    assert list(described) == list(found.columns[2:])
    assert all(d["doc"] and d["source"] and d["kind"] in ("int", "float", "text", "bool") for d in described.values())
    assert (
        described["cash_mean_credit"]["unit"] == "currency, major units a month"
        or "currency" in described["cash_mean_credit"]["unit"]
    )
    own = rows["risk_class"].notna()
    assert found.loc[own, "bank_risk_class"].astype("int64").equals(rows.loc[own, "risk_class"].astype("int64"))
