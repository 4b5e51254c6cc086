"""One answer on every engine: each public analysis on every kind of frame, to 1e-9, on the hard cases.

A new analysis is one line of `ANALYSES`: its name, the tables it reads, and the question.
"""

import dataclasses
import importlib.util
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics import engine, tables
from xray_analytics.analysis import cashflow, frames, monitoring, portfolio, quality
from xray_analytics.analysis.portfolio import flags, migration, ratios
from xray_analytics.errors import InputError

AS_OF = "2025-12-31"
CLASS_COLUMNS = ("bank_risk_class", "financial_risk_class")

ANALYSES = {
    "class_distribution": (("reports",), lambda r: portfolio.class_distribution(r, product="bank", by="source")),
    "class_distribution by exposure": (
        ("reports", "exposures"),
        lambda r, e: portfolio.class_distribution(r, product="bank", weight="exposure", exposures=e),
    ),
    "value_distribution": (("reports",), lambda r: portfolio.value_distribution(r, column="default_probability")),
    "class_over_time": (("reports",), lambda r: portfolio.class_over_time(r, product="bank", freq="quarter")),
    "summary": (("reports",), lambda r: portfolio.summary(r, as_of=AS_OF)),
    "movement": (
        ("reports",),
        lambda r: portfolio.movement(r, product="bank", start="2025-03-31", end=AS_OF, max_age_months=6),
    ),
    "concentration": (
        ("exposures", "companies"),
        lambda e, c: portfolio.concentration(e, by="group_id", companies=c),
    ),
    "group_reports": (("reports", "companies"), lambda r, c: portfolio.group_reports(r, c, product="bank")),
    "class_agreement": (("reports",), portfolio.class_agreement),
    "suppressed": (
        ("reports",),
        lambda r: portfolio.suppressed(portfolio.class_distribution(r, product="bank", by="source"), min_n=3),
    ),
    "migration_matrix": (
        ("reports", "outcomes", "loans"),
        lambda r, o, n: migration.migration_matrix(
            r, product="bank", as_of=AS_OF, horizon_months=6, endings=migration.endings(outcomes=o, loans=n)
        ),
    ),
    "transition_table": (
        ("reports",),
        lambda r: migration.transition_table(r, product="financial", as_of=AS_OF, horizon_months=4),
    ),
    "mobility": (
        ("reports",),
        lambda r: migration.mobility(migration.migration_matrix(r, product="bank", as_of=AS_OF, horizon_months=4)),
    ),
    "endings": (("outcomes", "loans"), lambda o, n: migration.endings(outcomes=o, loans=n)),
    "criterion_prevalence": (("bank_flag_criteria", "reports"), flags.criterion_prevalence),
    "criterion_cooccurrence": (("bank_flag_criteria", "reports"), flags.criterion_cooccurrence),
    "criterion_profile": (("bank_flag_criteria", "reports"), flags.criterion_profile),
    "criterion_conflicts": (("bank_flag_criteria", "reports"), flags.criterion_conflicts),
    "ratio_quantiles": (("financial_ratios", "reports"), ratios.ratio_quantiles),
    "ratio_matrix": (("financial_ratios",), ratios.ratio_matrix),
    "ratios_from_notes": (("request_notes",), ratios.ratios_from_notes),
    "declared_vs_banked": (
        ("reports", "request_notes", "monthly_summaries"),
        lambda r, n, m: ratios.declared_vs_banked(r, n, cashflow.monthly_flows(m, r)),
    ),
    "monthly_flows": (("monthly_summaries", "reports"), cashflow.monthly_flows),
    "monthly_flows put together": (
        ("monthly_summaries", "reports", "transactions", "statement_summaries"),
        lambda m, r, t, s: cashflow.monthly_flows(
            m, r, transactions=t, statements=s, operating=cashflow.operating(t, cashflow.categories(t))
        ),
    ),
    "portfolio_months": (
        ("monthly_summaries", "reports"),
        lambda m, r: cashflow.portfolio_months(cashflow.monthly_flows(m, r)),
    ),
    "company_metrics": (
        ("monthly_summaries", "reports", "transactions", "statement_summaries"),
        lambda m, r, t, s: cashflow.company_metrics(
            cashflow.monthly_flows(m, r), as_of=AS_OF, daily=cashflow.daily_balances(t, s)
        ),
    ),
    "daily_balances": (("transactions", "statement_summaries"), cashflow.daily_balances),
    "entries": (("transactions", "reports", "statement_summaries"), cashflow.entries),
    "entries by report": (("transactions", "reports"), cashflow.entries),
    "categories": (("transactions",), cashflow.categories),
    "operating": (("transactions",), lambda t: cashflow.operating(t, cashflow.categories(t))),
    "category_shares": (("transactions", "reports"), cashflow.category_shares),
    "category_shares of label families": (
        ("transactions", "reports", "statement_summaries"),
        lambda t, r, s: cashflow.category_shares(t, r, categories=cashflow.categories(t), statements=s),
    ),
    "counterparty_concentration": (("transactions", "reports"), cashflow.counterparty_concentration),
    "counterparty_concentration by account": (
        ("transactions", "reports", "statement_summaries"),
        lambda t, r, s: cashflow.counterparty_concentration(t, r, statements=s, named_only=True),
    ),
    "recurring": (
        ("transactions", "reports"),
        lambda t, r: cashflow.recurring(t, r, categories=cashflow.categories(t)),
    ),
    "incidents": (
        ("transactions", "reports", "statement_summaries"),
        lambda t, r, s: cashflow.incidents(t, r, statements=s),
    ),
    "watch_list": (
        ("reports", "monthly_summaries", "transactions"),
        lambda r, m, t: monitoring.watch_list(
            r,
            cashflow.monthly_flows(m, r),
            cashflow.incidents(t, r),
            cashflow.recurring(t, r, categories=cashflow.categories(t)),
            as_of=AS_OF,
        ),
    ),
    "companies_to_review": (
        ("reports", "monthly_summaries"),
        lambda r, m: monitoring.companies_to_review(
            monitoring.watch_list(r, cashflow.monthly_flows(m, r), as_of=AS_OF)
        ),
    ),
    "precision": (
        ("reports", "monthly_summaries", "outcomes"),
        lambda r, m, o: monitoring.precision(
            monitoring.watch_list(r, cashflow.monthly_flows(m, r), as_of=AS_OF), o, known_until=AS_OF, horizon_months=1
        ),
    ),
    "debt_service": (
        ("monthly_summaries", "reports", "transactions"),
        lambda m, r, t: monitoring.debt_service(
            cashflow.monthly_flows(m, r), cashflow.recurring(t, r, categories=cashflow.categories(t))
        ),
    ),
    "reconciliation": (("statement_summaries", "transactions", "movement_metrics"), quality.reconciliation),
    "coverage": (("statement_summaries", "reports"), lambda s, r: quality.coverage(s, r, as_of=AS_OF)),
    "findings": (
        ("statement_summaries", "transactions", "reports"),
        lambda s, t, r: quality.findings(quality.reconciliation(s, t), quality.coverage(s, r, as_of=AS_OF), r),
    ),
    "unread": (("reports",), lambda r: pd.DataFrame([quality.unread(r)], columns=["n_unread", "n_transactions"])),
    "sensitivity": (
        ("reports",),
        lambda r: quality.sensitivity(
            lambda some: portfolio.class_distribution(some, product="bank")["share_ratio"].iloc[3], r
        ),
    ),
}
MODULES = (portfolio, migration, flags, ratios, cashflow, monitoring, quality)
NO_FRAMES = {
    "shipped_categories", "shipped_rules",  # they read a rule file
    "in_main_currency",  # rows of a result
    "cell_tests", "multi_year_matrix", "term_structure",  # they read a migration matrix, which is here already
    "generator_matrix",  # its spells are no table; test_migration_estimators asks it on every engine
}  # fmt: skip

WORLDS = {
    "many": {"n_companies": 10},
    "one company": {"n_companies": 1},
    "nobody": {"n_companies": 0},
}


@cache
def world(name):
    """Every table as Arrow; small, with versions, nulls, overlaps and strangers, and nothing in order."""
    made = _world(np.random.default_rng(11), **WORLDS[name])
    return {table: _shuffled(tables.table(table), frame) for table, frame in made.items()}


def _shuffled(table, frame):
    if frame.empty:
        return table.empty()
    arrow = table.conform(frame)
    return arrow.take(np.random.default_rng(3).permutation(arrow.num_rows))


def _world(rng, n_companies):
    companies = [f"0{no:08d}" for no in range(n_companies)]
    reports = _reports(rng, companies)
    bank = reports[reports["product"] == "bank"]
    return {
        "reports": reports,
        "bank_flag_criteria": _long(bank, ["overdraft", "cashBuffer", "debtStress"], lambda n: {
            "criterion_no": np.arange(n) % 3,
            "quantile_pct": pd.Series(rng.integers(0, 101, n)).where(rng.random(n) > 0.1).astype("float64"),
            "sentiment": rng.choice(np.array(["good", "neutral", "bad", "odd", None], dtype=object), n),
        }),
        "financial_ratios": _long(reports[reports["product"] == "financial"], ["debt", "equity", "light"], lambda n: {
            "value": pd.Series(rng.normal(size=n)).where((np.arange(n) % 3 < 2) & (rng.random(n) > 0.2)),
            "value_text": pd.Series("green", range(n), dtype=object).where(np.arange(n) % 3 == 2, None),
        }),
        "request_notes": _notes(rng, companies),
        "monthly_summaries": _months(rng, bank),
        "statement_summaries": _statements(bank),
        "transactions": _transactions(rng, bank),
        "movement_metrics": _long(bank, ["totalDebitAmount"], lambda n: {
            "period_value": 10.0, "annualised_value": 117.7,
        }),
        **_lender(rng, companies),
    }  # fmt: skip


def _reports(rng, companies):
    rows = []
    for company in [*companies, None] * 6 if companies else []:
        product = str(rng.choice(["bank", "bank", "financial"]))
        at = pd.Timestamp("2025-01-31T23:30:00Z") + pd.Timedelta(hours=1000 * int(rng.integers(0, 8)))  # ties
        for version in (1, 2) if rng.random() < 0.2 else (1,):
            risk_class = None if rng.random() < 0.15 else int(rng.integers(1, 6))
            rows.append({
                "report_id": f"r{len(rows) if version == 1 else len(rows) - 1}", "report_version": version,
                "request_id": None if company is None else f"q{company}", "company_id": company, "product": product,
                "source": None if rng.random() < 0.3 else "bank_xray",
                "created_at": None if rng.random() < 0.1 else at,
                "available_at": at + pd.Timedelta(days=40 * (version - 1)), "is_backfilled": bool(rng.random() < 0.2),
                "is_rated": risk_class is not None,
                "bank_risk_class": risk_class if product == "bank" else None,
                "financial_risk_class": risk_class if product == "financial" else None,
                "default_probability": rng.random() if product == "financial" and risk_class else None,
                "data_sanity_pct": rng.random() * 100, "n_transactions": 2, "n_days_covered": 59,
                "period_start_date": pd.Timestamp("2024-12-31"), "period_end_date": pd.Timestamp("2025-02-28"),
            })  # fmt: skip
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame.reindex(columns=["product"])
    integers = (*CLASS_COLUMNS, "n_transactions", "n_days_covered")
    frame = frame.assign(
        fetched_at=frame["available_at"], raw_sha256="0", **{c: frame[c].astype("Int64") for c in integers}
    )
    days = dict.fromkeys(("period_start_date", "period_end_date"), "datetime64[us]")
    instants = dict.fromkeys(("created_at", "available_at", "fetched_at"), "datetime64[us, UTC]")
    return frame.astype({"default_probability": "float64", **days, **instants})


def _long(reports, names, columns):
    """`columns` for every version of `reports` and each name."""
    keys = reports.reindex(columns=["report_id", "report_version"]).loc[reports.index.repeat(len(names))]
    label = "metric" if names == ["totalDebitAmount"] else "criterion"
    frame = keys.reset_index(drop=True).assign(**{label: names * len(reports)})
    return frame.assign(**columns(len(frame))) if len(frame) else frame


def _notes(rng, companies):
    frame = pd.DataFrame({"request_id": [f"q{company}" for company in companies], "request_version": 1})
    for name in ratios.NOTES:
        frame[f"{name}_cents"] = pd.array(rng.integers(-50_000, 500_000, len(frame)), "Int64")
    frame.loc[frame.index[::4], "equity_cents"] = pd.NA
    return frame


def _months(rng, bank):
    rows = [
        {
            "report_id": r.report_id, "report_version": r.report_version, "month": month,
            "total_credit": round(float(rng.integers(0, 10**6)) / 100, 2), "total_debit": 50.25, "net_flow": 1.1,
            "closing_balance": None if rng.random() < 0.3 else 7.7,
            "n_negative_days": pd.NA if rng.random() < 0.3 else 2,
            "n_days_covered": month.days_in_month, "is_complete": bool(rng.random() < 0.8), "n_alerts": 0,
            "n_transactions": 3,
        }
        for r in bank.itertuples()
        for month in pd.date_range("2025-01-01", periods=7, freq="MS")
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.astype({"n_negative_days": "Int64", "month": "datetime64[us]"}) if rows else frame


def _statements(bank):
    days = pd.to_datetime(["2024-12-31", "2025-01-31", "2025-02-28"]).astype("datetime64[us]")
    rows = [
        {
            "report_id": r.report_id, "report_version": r.report_version, "account_no": 0, "statement_no": no,
            "start_date": days[no], "end_date": days[no + 1], "start_balance": 100.1 + no, "end_balance": 101.1 + no,
            "total_credit": 3.0, "total_debit": 2.0, "movements": "correct",
        }
        for r in bank.itertuples()
        for no in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


ENTRIES = (  # day of 2025, label, counterparty, amount: among them rejects, seizures, a loan, and what is missing
    *((10 + 30 * (no // 2), "VIR SEPA RECU", None, amount) for no, amount in enumerate((3.0, -2.0, 3.0, -2.0))),
    *((3 + 7 * week, f"ECHEANCE PRET {week}777", "Banque Lune", -25.5) for week in range(8)),
    (15, "PRLV SEPA URSSAF BRETAGNE", "URSSAF", -90.0), (20, "PRLV SEPA ZEPHYR 123", None, -12.3),
    (21, "REJET PRLV ZEPHYR", None, 12.3), (22, "FRAIS PRLV IMPAYE SEPA ZEPHYR", None, -20.0),
    (23, "SAISIE ADMINISTRATIVE", None, -300.0), (24, "AGIOS", None, -1.0), (25, None, None, 4.0),
    (26, "CB Café 12", "CAFÉ SARL", 0.0), (27, "???", "Café s.a.r.l", -7.0), (None, "VIR", None, 1.0),
    (28, "VIR X", None, None), (80, "VIR HORS PERIODE", "X", 5.0),
)  # fmt: skip


def _transactions(rng, bank):
    rows = [
        {
            "report_id": r.report_id, "report_version": r.report_version, "account_no": 0, "transaction_no": no,
            "booked_date": None if day is None else pd.Timestamp("2024-12-31") + pd.Timedelta(days=day),
            "label": label, "counterparty": party, "amount": amount, "category": party and party[:1],
            "balance_after": None if rng.random() < 0.5 else 103.1,
        }
        for r in bank.itertuples()
        for no, (day, label, party, amount) in enumerate(ENTRIES)
    ]  # fmt: skip
    kinds = {"booked_date": "datetime64[us]", "balance_after": "float64", "amount": "float64"}
    return pd.DataFrame(rows).astype(kinds) if rows else pd.DataFrame()


def _lender(rng, companies):
    at, n = pd.Timestamp("2025-12-31", tz="UTC").as_unit("us"), len(companies)
    day = pd.Timestamp("2025-06-30").as_unit("us")
    known = pd.DataFrame({"company_id": companies}).assign(recorded_at=at)
    if not n:
        return dict.fromkeys(("companies", "exposures", "loans", "outcomes"), known)
    some_day = pd.Series(day + pd.to_timedelta(rng.integers(0, 150, n), "D")).astype("datetime64[us]")
    group = pd.Series([f"G{no // 3}" if no % 2 else None for no in range(n)], dtype="string")
    return {
        "companies": known.assign(group_id=group),
        "exposures": known.assign(exposure_date=day, drawn=rng.integers(0, 9999, n) / 100, currency="EUR"),
        "loans": known.assign(
            loan_id=[f"l{no}" for no in range(n)], origination_date=pd.Timestamp("2024-01-01").as_unit("us"),
            closed_date=some_day.where(rng.random(n) < 0.5),
        ),
        "outcomes": known.assign(default_date=some_day.where(rng.random(n) < 0.3)),
    }  # fmt: skip


def _numpy(table):
    floats = {f.name: pa.float64() for f in table.schema if pa.types.is_decimal(f.type)}
    schema = pa.schema([pa.field(f.name, floats.get(f.name, f.type)) for f in table.schema])
    return table.cast(schema).to_pandas(date_as_object=False)


def _from_duckdb(table):
    return CONNECTION.from_arrow(table)


def _from_polars(table):
    return pl.from_arrow(table).lazy()


def _from_spark(table):
    with tempfile.NamedTemporaryFile(suffix=".parquet", delete=False) as file:
        pq.write_table(table, file)
    return engine.spark_session().read.parquet(file.name).cache()


CONNECTION = engine.connect_duckdb(threads=1)
ENGINES = {
    "numpy": _numpy,
    "arrow types": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "arrow table": lambda table: table,
    "duckdb": _from_duckdb,
    "polars": _from_polars,
    "spark": _from_spark,
}


@cache
def answer(analysis, name):
    """The reference: on the package's own pandas frames."""
    names, question = ANALYSES[analysis]
    return parts(question(*(tables.table(t).to_pandas(world(name)[t]) for t in names)))


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_behind():
    """No relation outlives its connection: the interpreter would complain at its end."""
    yield
    frame.cache_clear()
    CONNECTION.close()


@cache
def frame(flavour, name, table):
    """A table of a world as a frame of an engine; made once, and changed by nobody."""
    return ENGINES[flavour](world(name)[table])


def asked(analysis, name, flavour):
    names, question = ANALYSES[analysis]
    return parts(question(*(frame(flavour, name, t) for t in names)))


def parts(result):
    """Frames and figures of a result by name; a frame of a frozen result is one of them."""
    return (
        {"": result}
        if isinstance(result, pd.DataFrame)
        else {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    )


def same(got, want):
    for name, expected in want.items():
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(got[name], expected, rtol=1e-9, atol=0)
            assert got[name].attrs == expected.attrs
        else:
            assert got[name] == (expected if expected is None else pytest.approx(expected, rel=1e-9))


HERE = [name for name in ENGINES if name != "spark"]
CASES = [(name, flavour) for name in WORLDS for flavour in HERE if name == "many" or not flavour.startswith("arrow")]


@pytest.mark.parametrize(("name", "flavour"), CASES)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_every_engine_gives_the_same_answer(analysis, name, flavour):
    same(asked(analysis, name, flavour), answer(analysis, name))


def test_every_public_analysis_is_asked_on_every_engine():
    public = {name for module in MODULES for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    assert public - NO_FRAMES == {name.split()[0] for name in ANALYSES}


@pytest.mark.parametrize("analysis", ANALYSES)
def test_the_worlds_ask_something(analysis):
    first = next(part for part in answer(analysis, "many").values() if isinstance(part, pd.DataFrame))
    assert len(first)
    base = first.attrs.get("base")
    if base is not None:
        assert json.loads(json.dumps(base)) == base
        assert set(base) == {"used", "excluded", "backfilled", "as_of", "filters"}


PARIS = """
import json, sys
sys.path.insert(0, {here!r})
import test_engines as here
wanted = [a for a in here.ANALYSES]
print(json.dumps({{a: here.digest(here.asked(a, "many", "duckdb")) for a in wanted}}))
"""


def digest(result):
    """A result as text, figures to nine digits."""
    return {
        n: part.to_csv(float_format="%.9g") if isinstance(part, pd.DataFrame) else part for n, part in result.items()
    }


def test_another_time_zone_changes_nothing():
    script = PARIS.format(here=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "TZ": "Europe/Paris"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps({a: digest(answer(a, "many")) for a in ANALYSES}))


SPARK = {
    "ui.enabled": "false", "sql.shuffle.partitions": "1", "default.parallelism": "1", "driver.memory": "1g",
    "driver.host": "127.0.0.1", "driver.bindAddress": "127.0.0.1", "sql.warehouse.dir": tempfile.gettempdir(),
    "network.timeout": "600s", "executor.heartbeatInterval": "60s", "sql.codegen.wholeStage": "false",
    "log.level": "ERROR",
}  # fmt: skip


@pytest.fixture(scope="module")
def spark():
    if shutil.which("java") is None or importlib.util.find_spec("pyspark") is None:
        pytest.skip("Spark needs Java and the extra spark")
    builder = importlib.import_module("pyspark.sql").SparkSession.builder.master("local[2]")
    for key, value in SPARK.items():
        builder = builder.config(f"spark.{key}", value)
    session = builder.getOrCreate()
    yield engine.spark_session()
    session.stop()


@pytest.mark.timeout(1200)  # the first one waits for the JVM, on a machine that may be busy
@pytest.mark.filterwarnings("ignore")  # of Spark's own, about pandas and the session's files
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_spark_gives_the_same_answer(analysis, name):
    same(asked(analysis, name, "spark"), answer(analysis, name))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 2), st.sampled_from(["x", "y", None]),
                          st.integers(0, 3)), max_size=6, unique_by=lambda row: row[:2]))  # fmt: skip
def test_the_engine_joins_the_reports_that_pandas_has_seen(rows):
    """Also where nothing is there twice, so that no engine is asked for the newest."""
    at = pd.Timestamp("2025-01-01", tz="UTC")
    names = ["report_id", "report_version", "company_id", "created_at"]
    made = pd.DataFrame(rows, columns=names).assign(product="bank", is_backfilled=False, raw_sha256="0", is_rated=False)
    made["created_at"] = (at + pd.to_timedelta(made["created_at"], "D")).astype("datetime64[us, UTC]")
    made = made.assign(available_at=made["created_at"], fetched_at=made["created_at"])
    reports = tables.REPORTS.conform(made) if rows else tables.REPORTS.empty()
    for of in (lambda arrow: arrow, _from_duckdb, _from_polars):
        every = frames.newest_versions(of(reports))
        for found in (every, frames.of_companies(every), frames.newest_of_companies(every)):
            joined = frames.collect(found.rows, tables.REPORTS).sort_values(["created_at", "report_id"])
            pd.testing.assert_frame_equal(joined.reset_index(drop=True), found.seen)
        last = made.sort_values("report_version").drop_duplicates("report_id", keep="last")
        assert sorted(every.seen["report_id"]) == sorted(last["report_id"])
        known = last.sort_values(["created_at", "report_id"]).dropna(subset="company_id")
        newest = known.drop_duplicates("company_id", keep="last")
        assert frames.newest_of_companies(every).seen["report_id"].tolist() == newest["report_id"].tolist()


def test_an_engine_that_fails_on_a_row_is_an_input_error_without_the_row():
    relation = CONNECTION.sql(
        "SELECT 'FR7612345' AS report_id, CAST(label AS BIGINT) AS report_version FROM (VALUES ('secret')) AS t(label)"
    )
    with pytest.raises(InputError, match="reports fails on the rows it meets") as raised:
        frames.collect(frames.scan(relation, tables.REPORTS, ["report_id", "report_version"]), tables.REPORTS)
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_errors_of_no_engine_pass_through():
    with pytest.raises(KeyError), engine.translated("a question"):
        raise KeyError("ours")
    with pytest.raises(InputError, match="a question fails in pyarrow"), engine.translated("a question"):
        raise pa.ArrowNotImplementedError("no")
    with pytest.raises(InputError, match="a question fails on the rows"), engine.translated("a question"):
        raise duckdb.ConversionException("no")


def test_frames_of_different_engines_are_refused():
    criteria, reports = (world("many")[name] for name in ("bank_flag_criteria", "reports"))
    with pytest.raises(InputError, match="bank_flag_criteria and reports are frames of different kinds"):
        flags.criterion_prevalence(criteria, _from_duckdb(reports))
