"""A correction replaces: what holds of the lender's tables as of any moment, on both clocks, in store and frames."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xray_analytics as xa
from xray_analytics import Store, attach, tables
from xray_analytics.analysis import frames, holding
from xray_analytics.analysis.monitoring.precision import precision
from xray_analytics.analysis.portfolio.migration import endings, migration_matrix
from xray_analytics.errors import InputError, StoreError
from xray_analytics.ingest.rebuild import rebuild
from xray_analytics.sandbox.economy.identifiers import siren

A, B, C = "732829320", "356000000", "514673987"
OLD_STORE = Path(__file__).parent / "old_stores" / "lender_0_1_0"
DAYS = {"outcomes": ("default_date", "default_end_date", "observed_until", "exit_date"), "companies": ("valid_from",),
        "loans": ("application_date", "origination_date", "maturity_date", "closed_date"),
        "exposures": ("exposure_date",)}  # fmt: skip


def at(n):
    """The n-th day of 2025, at noon."""
    return datetime(2025, 1, 1, 12, tzinfo=UTC) + timedelta(days=n)


def rows(table, *given):
    frame = pd.DataFrame([dict(row) for row in given], columns=list(dict.fromkeys(k for row in given for k in row)))
    for name in frame:
        frame[name] = pd.to_datetime(frame[name]) if name in DAYS[table] else frame[name].astype(object)
    return frame


def outcome(company, default=None, end=None, until="2025-12-31", **more):
    return {"company_id": company, "default_date": default, "default_end_date": end, "observed_until": until, **more}


def seen(store, table, *columns, when=None, clock="available"):
    found = store.snapshot(when, clock=clock).read(table, columns=list(columns)).astype(object)
    return [
        tuple(v.date().isoformat() if isinstance(v, pd.Timestamp) else None if pd.isna(v) else v for v in row)
        for row in found.itertuples(index=False)
    ]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def put(store, table, *given, day=None, **more):
    return attach(store, rows(table, *given), table=table, recorded_at=None if day is None else at(day), **more)


# --- what a statement replaces


def test_default__attached_by_mistake_is_withdrawn_by_a_row_without(store):
    put(store, "outcomes", outcome(A, "2025-02-15"), outcome(B), day=100)
    done = put(store, "outcomes", outcome(A), outcome(B), day=101)
    assert (done.n_rows, done.n_new, done.n_replaced, done.n_withdrawn) == (2, 1, 1, 0)
    assert seen(store, "outcomes", "company_id", "default_date") == [(B, None), (A, None)]
    assert len(store.snapshot().history("outcomes")) == 3


def test_default_date__is_corrected_and_a_cure_added(store):
    put(store, "outcomes", outcome(A, "2025-02-15"), day=100)
    put(store, "outcomes", outcome(A, "2025-02-10"), day=101)
    assert seen(store, "outcomes", "default_date") == [("2025-02-10",)]
    put(store, "outcomes", outcome(A, "2025-02-10", "2025-06-01"), day=102)
    assert seen(store, "outcomes", "default_date", "default_end_date") == [("2025-02-10", "2025-06-01")]
    assert seen(store, "outcomes", "default_date", "default_end_date", when=at(101.5), clock="fetched") == [
        ("2025-02-10", None)
    ]


def test_whole_subject__is_written_where_one_of_its_rows_differs(store):
    put(store, "outcomes", outcome(A, "2023-02-15", "2023-06-01"), outcome(A, "2025-02-15"), day=100)
    done = put(store, "outcomes", outcome(A, "2023-02-15", "2023-06-01"), outcome(A, "2025-02-16"), day=101)
    assert (done.n_new, done.n_replaced) == (1, 1)
    assert seen(store, "outcomes", "default_date") == [("2023-02-15",), ("2025-02-16",)]
    assert put(store, "outcomes", outcome(A, "2025-02-16"), outcome(A, "2023-02-15", "2023-06-01")).commit is None


def test_exposure__is_of_a_company_and_day_in_all_currencies(store):
    def drawn(n, currency):
        return {"company_id": A, "exposure_date": "2024-12-31", "drawn": n, "currency": currency}

    put(store, "exposures", drawn(100.0, "EUR"), drawn(7.0, "USD"), day=1)
    put(store, "exposures", drawn(90.0, "EUR"), day=2)
    assert seen(store, "exposures", "currency", "drawn") == [("EUR", 90.0)]


def test_void__beside_a_default_is_not_read_and_alone_it_is(store):
    put(store, "outcomes", outcome(A), outcome(A, "2025-02-15"), outcome(B), day=100)
    assert seen(store, "outcomes", "company_id", "default_date") == [(B, None), (A, "2025-02-15")]


def test_recorded_at__is_later_than_everything_in_the_table(store):
    put(store, "outcomes", outcome(A), day=100)
    for day in (99, 100):
        with pytest.raises(InputError, match="is not later than the last recording"):
            put(store, "outcomes", outcome(A, "2025-02-15"), day=day)
    put(store, "companies", {"company_id": A}, day=50)
    put(store, "outcomes", outcome(A, "2025-02-15"), day=4_000)
    put(store, "outcomes", outcome(A))  # now, which is earlier than what was recorded
    assert seen(store, "outcomes", "default_date") == [(None,)]


# --- a complete file


def loan(n, company=A, **more):
    return {"loan_id": f"L{n}", "company_id": company, "application_date": "2024-01-31", **more}


def test_complete__withdraws_what_the_file_leaves_out(store):
    put(store, "loans", *(loan(n) for n in range(20)), day=1)
    done = put(store, "loans", *(loan(n) for n in range(19)), day=2, complete=True)
    assert (done.n_new, done.n_replaced, done.n_withdrawn) == (0, 0, 1)
    assert len(seen(store, "loans", "loan_id")) == 19
    gone = store.snapshot().history("loans", where="is_withdrawn")
    assert gone[["loan_id", "company_id"]].values.tolist() == [["L19", A]]
    assert gone["application_date"].isna().all()
    assert put(store, "loans", *(loan(n) for n in range(19)), day=3, complete=True).commit is None
    assert put(store, "loans", *(loan(n) for n in range(20)), day=4).n_new == 1
    assert len(seen(store, "loans", "loan_id")) == 20
    assert len(seen(store, "loans", "loan_id", when=at(2.5), clock="fetched")) == 19


def test_complete__more_than_a_tenth_asks(store):
    put(store, "loans", *(loan(n) for n in range(20)), day=1)
    fewer = [loan(n) for n in range(17)]
    with pytest.raises(InputError, match=r"leaves out 3 of 20 that loans has now.*--yes"):
        put(store, "loans", *fewer, day=2, complete=True)
    with pytest.raises(InputError, match="nothing was attached"):
        put(store, "loans", *fewer, day=2, complete=True, yes=lambda text: False)
    assert len(seen(store, "loans", "loan_id")) == 20
    asked = []
    put(store, "loans", *fewer, day=2, complete=True, yes=lambda text: not asked.append(text))
    assert "3 of 20" in asked[0]
    put(store, "loans", *fewer[:2], day=3, complete=True, yes=True)
    assert len(seen(store, "loans", "loan_id")) == 2


def test_complete__exposures_are_complete_for_each_day_in_the_file(store):
    def drawn(company, day):
        return {"company_id": company, "exposure_date": day, "drawn": 1.0, "currency": "EUR"}

    old = [drawn(c, d) for c in (A, B) for d in ("2024-11-30", "2024-12-31")]
    put(store, "exposures", *old, day=1)
    done = put(store, "exposures", drawn(A, "2024-12-31"), day=2, complete=True, yes=True)
    assert done.n_withdrawn == 1
    assert seen(store, "exposures", "company_id", "exposure_date") == [
        (B, "2024-11-30"), (A, "2024-11-30"), (A, "2024-12-31"),
    ]  # fmt: skip


# --- as of a day


def test_as_of__shows_no_later_day_of_the_lender(store):
    put(store, "loans", loan(1, origination_date="2024-02-10", maturity_date="2027-02-10", closed_date="2025-03-01",
        close_reason="repaid"), loan(2, application_date="2025-02-01"), day=200)  # fmt: skip
    put(store, "outcomes", outcome(A, "2025-02-15", "2025-04-01", default_reason="insolvency"),
        outcome(B, exit_date="2025-03-03", exit_reason="repaid"), outcome(C, until="2025-01-15"), day=200)  # fmt: skip
    put(store, "exposures", *({"company_id": A, "exposure_date": d, "drawn": 1.0, "currency": "EUR"}
        for d in ("2024-12-31", "2025-02-28")), day=200)  # fmt: skip
    put(store, "companies", {"company_id": A, "region": "old"}, {"company_id": B, "region": "x"}, day=200)
    put(store, "companies", {"company_id": A, "region": "new", "valid_from": "2025-03-01"}, day=201)
    when = "2025-01-31"
    assert seen(store, "loans", "loan_id", "maturity_date", "closed_date", "close_reason", when=when) == [
        ("L1", "2027-02-10", None, None)
    ]
    columns = ("company_id", "default_date", "default_end_date", "default_reason", "observed_until", "exit_date")
    assert seen(store, "outcomes", *columns, "exit_reason", when=when) == [
        (B, None, None, None, when, None, None), (C, None, None, None, "2025-01-15", None, None),
        (A, None, None, None, when, None, None),
    ]  # fmt: skip
    assert seen(store, "outcomes", *columns[:4], when="2025-03-01")[-1] == (A, "2025-02-15", None, "insolvency")
    assert seen(store, "exposures", "exposure_date", when=when) == [("2024-12-31",)]
    assert seen(store, "companies", "company_id", "region", when=when) == [(B, "x"), (A, "old")]
    assert seen(store, "companies", "company_id", "region") == [(B, "x"), (A, "new")]
    assert seen(store, "companies", "company_id", when=when, clock="fetched") == []


def test_as_of__available_takes_what_was_recorded_by_then_else_the_first_word(store):
    for day, drawn in ((50, 1.0), (60, 2.0), (70, 3.0)):
        put(store, "exposures", {"company_id": A, "exposure_date": "2024-12-31", "drawn": drawn}, day=day)
    for when, expected in ((at(1), 1.0), (at(55), 1.0), (at(65), 2.0), (None, 3.0)):
        assert seen(store, "exposures", "drawn", when=when) == [(expected,)]
    assert seen(store, "exposures", "drawn", when=at(1), clock="fetched") == []


RNG_TABLES = st.sampled_from(["companies", "loans", "exposures", "outcomes"])


def some_rows(rng, table, n):
    """Rows as a lender could have them: few keys, many days, of each key one."""
    codes = [A, B, C]
    day = lambda: None if rng.random() < 0.3 else date(2025, 1, 1) + timedelta(days=int(rng.integers(0, 60)))  # noqa: E731
    make = {
        "companies": lambda: {"company_id": rng.choice(codes), "valid_from": day(), "region": str(rng.integers(9))},
        "loans": lambda: {"loan_id": f"L{rng.integers(3)}", "company_id": A, "application_date": day(),
                          "origination_date": day(), "closed_date": day(), "close_reason": "x",
                          "maturity_date": day()},
        "exposures": lambda: {"company_id": rng.choice(codes), "exposure_date": day() or date(2025, 1, 5),
                              "currency": rng.choice(["EUR", "USD"]), "drawn": float(rng.integers(9))},
        "outcomes": lambda: {"company_id": rng.choice(codes), "default_date": day(), "default_end_date": day(),
                             "default_reason": "x", "observed_until": day(), "exit_date": day(), "exit_reason": "y"},
    }[table]  # fmt: skip
    key = [name for name in tables.table(table).key if name != "recorded_at"]
    found = {tuple(row[name] for name in key): row for row in (make() for _ in range(n))}
    return list(found.values())


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), table=RNG_TABLES)
def test_frames_and_store__read_by_one_rule(tmp_path_factory, seed, table):
    rng, store = np.random.default_rng(seed), Store(tmp_path_factory.mktemp("rule") / "store")
    for day in (10, 20, 30):
        put(store, table, *some_rows(rng, table, 4), day=day, complete=rng.random() < 0.5, yes=True)
    declared, everything = tables.table(table), store.snapshot().history(table)
    whole = frames.collect(frames.scan(everything, declared, declared.names), declared)
    for when in (None, at(5), at(15), at(20), at(45), at(90)):
        for clock in ("available", "fetched"):
            mine = holding.holding(whole, declared, as_of=when, clock=clock)
            if table == "companies":
                mine = mine.sort_values("valid_from", na_position="first").drop_duplicates("company_id", keep="last")
            if table == "outcomes":
                mine = mine.drop_duplicates(["company_id", "default_date"])
            read = store.snapshot(when, clock=clock).read(table)
            key = [name for name in declared.key if name != "recorded_at"]
            pairs = [frame[key].astype("string").fillna("").sort_values(key).values.tolist() for frame in (mine, read)]
            assert pairs[0] == pairs[1]
            if when is not None:
                for name in DAYS[table]:
                    assert name == "maturity_date" or not (read[name] > pd.Timestamp(when.date())).any()
                if clock == "fetched":
                    assert not (read["recorded_at"] > when).any()


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), table=RNG_TABLES)
def test_later_statements__change_nothing_on_the_clock_fetched(tmp_path_factory, seed, table):
    rng, store = np.random.default_rng(seed), Store(tmp_path_factory.mktemp("later") / "store")
    put(store, table, *some_rows(rng, table, 5), day=10)
    before = store.snapshot(at(15), clock="fetched").read(table)
    put(store, table, *some_rows(rng, table, 5), day=20, complete=True, yes=True)
    pd.testing.assert_frame_equal(store.snapshot(at(15), clock="fetched").read(table), before)
    if table != "outcomes":  # whose newest row counts whenever recorded: labels are corrected
        available = store.snapshot(at(15)).read(table)
        old = set(map(tuple, before.drop(columns="recorded_at").astype("string").fillna("").values.tolist()))
        now = set(map(tuple, available.drop(columns="recorded_at").astype("string").fillna("").values.tolist()))
        if table != "companies":  # of which a row that is true later may have come
            assert old <= now


# --- the same facts in other files


def answers(store):
    """What the tables say, without when it was recorded."""
    found = {}
    for table in tables.LENDER_TABLES:
        frame = store.snapshot().read(table.name).drop(columns="recorded_at")
        found[table.name] = frame.astype("string").fillna("").values.tolist()
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), table=RNG_TABLES)
def test_restated_reordered_split_or_withdrawn_and_attached_again__says_the_same(tmp_path_factory, seed, table):
    rng = np.random.default_rng(seed)
    facts = some_rows(rng, table, 6)
    subject = tables.SUBJECTS[table]
    of_subject = {}
    for row in facts:
        of_subject.setdefault(tuple(row.get(name) for name in subject), []).append(row)
    groups = list(of_subject.values())
    whole, again, reverse, split, back = (Store(tmp_path_factory.mktemp(n) / "s") for n in ("a", "b", "c", "d", "e"))
    put(whole, table, *facts)
    put(again, table, *facts), put(again, table, *facts, complete=True)
    put(reverse, table, *facts[::-1])
    for group in groups[::-1]:
        put(split, table, *group)
    put(back, table, *facts), put(back, table, *groups[0], complete=True, yes=True), put(back, table, *facts)
    assert [answers(other) for other in (again, reverse, split, back)] == [answers(whole)] * 4


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
@pytest.mark.parametrize("table", ["companies", "loans", "exposures", "outcomes"])
def test_what_is_read__attached_again_changes_nothing(store, tmp_path, table, form):
    put(store, table, *some_rows(np.random.default_rng(5), table, 6))
    held, file = store.snapshot().read(table), tmp_path / f"{table}.{form}"
    if form == "parquet":
        held.to_parquet(file)
    elif form == "csv":
        held.to_csv(file, index=False)
    else:
        held.drop(columns="recorded_at").to_excel(file, index=False)
    assert attach(store, file).commit is None


# --- plain frames and the analyses


def history_of_a_cure():
    """A default that was cured: the company stands in the frame as recorded twice."""
    recorded = pd.to_datetime(["2024-06-01", "2025-06-01"], utc=True)
    return rows(
        "outcomes", outcome(A, "2024-03-01", exit_date=None), outcome(A, "2024-03-01", "2024-09-01", exit_date=None)
    ).assign(recorded_at=recorded)  # fmt: skip


def test_endings__of_a_cured_company_are_over():
    assert endings(outcomes=history_of_a_cure())["until_date"].astype(str).tolist() == ["2024-09-01"]


def test_matrix__counts_cured_companies_again():
    n = 24
    codes = [siren(i) for i in range(n)]
    moments = pd.to_datetime(["2024-11-30", "2025-11-30"], utc=True)
    reports = pd.DataFrame({
        "report_id": [f"{c}-{i}" for c in codes for i in range(2)], "report_version": 1,
        "company_id": [c for c in codes for _ in range(2)], "product": "bank", "created_at": [*moments] * n,
        "available_at": [*moments] * n, "is_backfilled": False, "bank_risk_class": [2, 3] * n,
    })  # fmt: skip
    defaulted = rows("outcomes", *(outcome(c, "2024-02-01", exit_date=None) for c in codes)).assign(
        recorded_at=moments[0]
    )
    cured = rows("outcomes", *(outcome(c, "2024-02-01", "2024-08-01", exit_date=None) for c in codes)).assign(
        recorded_at=moments[1]
    )
    ends = endings(outcomes=pd.concat([defaulted, cured]))
    assert migration_matrix(reports, product="bank", as_of="2025-12-31", endings=ends)["n"].sum() == n


def test_precision__takes_the_newest_and_counts_companies_without_outcome():
    watch = pd.DataFrame({
        "company_id": [A, B], "rule": "class_5", "first_seen": pd.to_datetime(["2024-10-01", "2024-10-01"]),
    })  # fmt: skip
    found = precision(watch, history_of_a_cure(), known_until="2025-12-31", min_n=1)
    assert found[["n_in_default", "n_false_alarms", "n_lost"]].iloc[0].tolist() == [0, 1, 1]
    assert found.attrs["base"]["filters"]["companies_without_outcome"] == 1


def test_vintages__count_companies_without_outcome_and_loans_recorded_later():
    codes = [siren(i) for i in range(5)]
    loans = pd.DataFrame({
        "loan_id": [f"L{i}" for i in range(5)], "company_id": codes,
        "origination_date": pd.to_datetime(["2024-01-31"] * 5), "closed_date": pd.to_datetime([None] * 5),
        "refinanced_from": pd.array([None] * 5, "string"), "recorded_at": pd.Timestamp("2026-07-15", tz="UTC"),
    })  # fmt: skip
    right = pd.DataFrame({
        "company_id": codes, "default_date": pd.to_datetime(["2024-08-31"] * 4 + [None]),
        "observed_until": pd.to_datetime(["2026-06-30"] * 5),
    })  # fmt: skip
    lost_zeros = right.assign(company_id=[c.lstrip("0") for c in codes])
    bases = [
        xa.validation.vintage_curves(loans, ends, known_until="2026-06-30").attrs["base"]
        for ends in (right, lost_zeros)
    ]
    assert [base["filters"]["companies_without_outcome"] for base in bases] == [0, 5]
    assert bases[0]["filters"]["recorded_later"] == 5
    restated = pd.concat([loans, loans.assign(recorded_at=pd.Timestamp("2026-08-01", tz="UTC"))])
    assert xa.validation.vintage_curves(restated, right, known_until="2026-06-30").attrs["base"]["used"] == 5


# --- look-ahead: what a later statement may change in a backtest that stands


KNOWN = "2025-06-30"
LATE = 300  # recorded after KNOWN
NEVER, LABEL, MARKED = "nothing", "the label", "a feature, which is marked"
LATER = {  # construction: table, rows, complete, and what changes on the clock available; on fetched never anything
    "a default after the day": ("outcomes", [outcome(A, "2025-07-15", exit_date=None), outcome(B)], False, NEVER),
    "an exit after the day": ("outcomes", [outcome(A, exit_date="2025-08-01", exit_reason="sold")], False, NEVER),
    "a default reported late": ("outcomes", [outcome(A, "2024-11-15")], False, LABEL),
    "a default withdrawn": ("outcomes", [outcome(C)], False, LABEL),
    "a complete file without it": ("outcomes", [outcome(A), outcome(B)], True, LABEL),
    "a default date corrected": ("outcomes", [outcome(C, "2024-12-01")], False, LABEL),
    "a cure": ("outcomes", [outcome(C, "2024-09-10", "2024-10-01")], False, NEVER),
    "a company that was in none": ("outcomes", [outcome(siren(8))], False, NEVER),
    "the register restated": ("companies", [{"company_id": A, "region": "later"}], False, NEVER),
    "the register with a day before": (
        "companies", [{"company_id": A, "region": "later", "valid_from": "2024-01-01"}], False, MARKED,
    ),
    "the register with a day after": (
        "companies", [{"company_id": A, "region": "later", "valid_from": "2024-07-01"}], False, NEVER,
    ),
    "a company left out": ("companies", [{"company_id": B, "region": "x"}], True, NEVER),
}  # fmt: skip


def backtested(store, clock):
    """Rows and features of three companies on a day, by company."""
    seen_on = pd.to_datetime(["2024-06-01"] * 3, utc=True)
    reports = tables.REPORTS.to_pandas(tables.REPORTS.conform(pd.DataFrame({
        "report_id": ["a", "b", "c"], "report_version": 1, "company_id": [A, B, C], "product": "bank",
        "created_at": seen_on, "fetched_at": seen_on, "available_at": seen_on, "is_backfilled": False,
        "is_rated": True, "bank_risk_class": 2, "bank_score": 0.5, "raw_sha256": "0",
        "period_end_date": pd.Timestamp("2024-05-31"),
    })))  # fmt: skip
    snapshot = store.snapshot(clock=clock)
    rows = xa.backtest.observations(
        reports, snapshot.history("outcomes"), as_of_dates=["2024-06-30"], horizon_months=12,
        outcomes_known_until=KNOWN, product="bank", clock=clock,
    )  # fmt: skip
    found = xa.backtest.features({"reports": reports, "companies": snapshot.history("companies")}, rows)
    assert xa.backtest.known_by({"reports": reports, "companies": snapshot.history("companies")}, "2024-06-30",
        clock=clock)["companies"]["region"].notna().all()  # fmt: skip
    return [frame[frame["company_id"].isin([A, B, C])].set_index("company_id") for frame in (rows, found)], found


@pytest.mark.parametrize("clock", ["available", "fetched"])
@pytest.mark.parametrize("name", list(LATER))
def test_later_statement__in_a_backtest(store, name, clock):
    put(store, "outcomes", outcome(A), outcome(B), outcome(C, "2024-09-10"), day=180)  # the last of June, at noon
    put(store, "companies", {"company_id": A, "region": "first"}, {"company_id": B, "region": "x"}, day=-300)
    (rows, found), _ = backtested(store, clock)
    table, later, complete, changes = LATER[name]
    put(store, table, *later, day=LATE, complete=complete, yes=True)
    (rows_then, found_then), whole = backtested(store, clock)
    if clock == "fetched":
        changes = NEVER
    label = ["defaulted", "default_date", "is_censored", "excluded_because"]
    others = [column for column in rows if column not in label]
    pd.testing.assert_frame_equal(rows_then[others], rows[others])
    assert rows_then[label].equals(rows[label]) == (changes != LABEL)
    assert found_then.equals(found) == (changes != MARKED)
    if changes == MARKED:
        assert found_then.loc[A, "company_is_recorded_later"]
        assert whole.attrs["base"]["recorded_later"] == 1


# --- a store of 0.1.0


def test_old_store__is_converted_once_and_says_what_it_said(tmp_path):
    shutil.copytree(OLD_STORE, tmp_path / "store")
    store = Store(tmp_path / "store")
    for ask in (store.snapshot, lambda: put(store, "outcomes", outcome(A))):
        with pytest.raises(StoreError, match="run `xray rebuild`"):
            ask()
    rebuild(store)
    assert store.head.schema_version == tables.SCHEMA_VERSION
    when = lambda n: datetime(2025, n, 1, 9, tzinfo=UTC)  # noqa: E731
    columns = ("company_id", "default_date", "default_end_date")
    then = {n: seen(store, "outcomes", *columns, when=when(n), clock="fetched") for n in (1, 2, 3)}
    assert then[1] == [(B, "2024-05-01", None), (C, None, None), (A, None, None)]
    assert then[2] == [(B, "2024-05-01", "2024-12-01"), (C, None, None), (A, "2025-01-10", None)]
    assert then[3] == [*then[2], (A, "2025-02-20", None)]
    assert seen(store, "exposures", "company_id", "currency", "drawn") == [
        (B, "EUR", 60.0), (A, "EUR", 100.0), (A, "USD", 7.5),
    ]  # fmt: skip
    assert seen(store, "companies", "company_id", "region") == [(B, "IDF"), (A, "BRE")]
    assert seen(store, "loans", "loan_id", "decision") == [("L1", "accepted"), ("L2", "accepted")]
    n_rows = {name: store.stored(name).num_rows for name in ("outcomes", "exposures")}
    rebuild(store)
    assert {name: store.stored(name).num_rows for name in n_rows} == n_rows
    assert store.verify() == []
    put(store, "outcomes", outcome(A, "2025-02-20", until="2025-02-28"))
    assert seen(store, "outcomes", *columns)[-1] == (A, "2025-02-20", None)
    assert seen(store, "outcomes", *columns)[:-1] == then[2][:-1]


def test_command__says_what_became_of_the_file(tmp_path, xray):
    file, store = tmp_path / "loans.csv", str(tmp_path / "store")
    head = "loan_id,company_id,decision\n"
    file.write_text(head + "".join(f"L{i},{A},accepted\n" for i in range(9)) + "L9,732 829 320 00074,accepted\n")
    code, out, _ = xray("attach", str(file), "--store", store)
    assert (code, out.splitlines()) == (0, [
        "loans: 10 rows, 10 of them new, 0 corrected, 0 withdrawn, 0 of companies that were erased.",
        "1 of its 1 company codes are known to no report or request.",
        "1 rows have a SIRET and count for its first nine digits, the SIREN.",
    ])  # fmt: skip
    file.write_text(head + f"L0,{A},declined\n")
    code, _, err = xray("attach", str(file), "--store", store, "--complete")
    assert (code, "leaves out 9 of 10" in err) == (2, True)
    code, out, _ = xray("attach", str(file), "--store", store, "--complete", "--yes", "--json")
    facts = json.loads(out)
    assert (code, facts["n_new"], facts["n_replaced"], facts["n_withdrawn"]) == (0, 1, 1, 9)
