"""A point in time sees the newest version known by then, and nothing later, in every table."""

import random
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rows import day, make, report

from xray_analytics import tables
from xray_analytics.errors import InputError, StoreError
from xray_analytics.schema import MONEY, money_floats
from xray_analytics.store import Snapshot, Store
from xray_analytics.store.visibility import moment

Put = Callable[..., Store]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, **rows: list[dict[str, object]]) -> Store:
    with store.writer() as writer:
        for name, found in rows.items():
            writer.append(name, make(name, *found))
        writer.commit()
    return store


def seen(snapshot: Snapshot, table: str, *columns: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in snapshot.arrow(table, columns=columns).to_pylist()]


# When


def test_moment__day_instant_text_or_nothing() -> None:
    end = datetime(2025, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    assert [moment("2025-06-30"), moment(date(2025, 6, 30)), moment(None)] == [end, end, None]
    ten = datetime(2025, 6, 30, 10, tzinfo=UTC)
    zoned = pd.Timestamp("2025-06-30 12:00", tz="Europe/Paris")
    assert [moment("2025-06-30T10:00:00Z"), moment("2025-06-30T12:00+02:00"), moment(zoned), moment(ten)] == [ten] * 4
    assert type(moment(zoned)) is datetime


@pytest.mark.parametrize("as_of", ["2025-06", "yesterday", "", "2025-06-30T10:00:00", datetime(2025, 6, 30), pd.NaT])
def test_moment__unclear_is_refused(as_of: object) -> None:
    with pytest.raises(InputError, match="as_of"):
        moment(as_of)  # type: ignore[arg-type]


def test_unknown_clock_table_product_column_engine__are_named(store: Store) -> None:
    snapshot = put(store).snapshot()
    with pytest.raises(InputError, match="no clock 'known'; there are available and fetched"):
        store.snapshot(clock="known")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no table 'transaction'; there are requests"):
        snapshot.read("transaction")
    with pytest.raises(InputError, match="no product 'magpie'; there are bank, financial"):
        snapshot.latest("magpie")
    with pytest.raises(InputError, match=r"transactions: no column 'amont'; there are report_id"):
        snapshot.read("transactions", columns=["amont"])
    with pytest.raises(InputError, match=r"write \['amount'\]"):
        snapshot.read("transactions", columns="amount")
    with pytest.raises(InputError, match="no engine 'polars'"):
        snapshot.scan("reports", engine="polars")  # type: ignore[arg-type]


# What


def test_versions__a_b_a_on_both_clocks(store: Store) -> None:
    put(store, reports=[report(1, 1, created=0, fetched=20, is_backfilled=True, company_id="A")],
        transactions=[{"report_id": f"{1:024x}", "label": "a", "amount": Decimal(1)}])  # fmt: skip
    put(store, reports=[report(1, 2, created=0, fetched=30, company_id="B")],
        transactions=[{"report_id": f"{1:024x}", "report_version": 2, "label": "b"}])  # fmt: skip
    put(store, reports=[report(1, 3, created=0, fetched=40, company_id="A")])

    def at(n: float, clock: str) -> list[tuple[object, ...]]:
        snapshot = store.snapshot(day(n), clock=clock)  # type: ignore[arg-type]
        return seen(snapshot, "reports", "report_version", "company_id") + seen(snapshot, "transactions", "label")

    assert [at(n, "available") for n in (-0.1, 0, 29.9, 30, 40)] == [
        [], [(1, "A"), ("a",)], [(1, "A"), ("a",)], [(2, "B"), ("b",)], [(3, "A")],
    ]  # fmt: skip
    assert [at(n, "fetched") for n in (19.9, 20, 30, 40)] == [
        [], [(1, "A"), ("a",)], [(2, "B"), ("b",)], [(3, "A")],
    ]  # fmt: skip
    assert seen(store.snapshot(), "reports", "report_version") == [(3,)]


def test_requests__creation_counts_for_the_first_version_and_fetching_for_its_notes(store: Store) -> None:
    first = {"request_id": "q", "created_at": day(0), "fetched_at": day(5), "company_id": "old"}
    unknown = {"request_id": "u", "fetched_at": day(5)}
    second = first | {"request_version": 2, "fetched_at": day(9), "company_id": "new"}
    put(store, requests=[first, unknown], request_notes=[{"request_id": "q", "equity_cents": 7}])
    put(store, requests=[second], reports=[report(1, created=0, fetched=5, request_id="q")])

    def at(n: float, clock: str = "available") -> list[object]:
        snapshot = store.snapshot(day(n), clock=clock)  # type: ignore[arg-type]
        return [seen(snapshot, "requests", "request_id", "company_id"), seen(snapshot, "request_notes", "equity_cents"),
                seen(snapshot, "reports", "company_id")]  # fmt: skip

    assert at(1) == [[("q", "old")], [], [("old",)]]
    assert at(5) == [[("q", "old"), ("u", None)], [(7,)], [("old",)]]
    assert at(9) == [[("q", "new"), ("u", None)], [], [("new",)]], "the second version has no notes"
    assert at(4, "fetched") == [[], [], []]
    assert at(5, "fetched") == at(5)


def test_company__own_code_first_then_the_request_even_if_it_came_later(store: Store) -> None:
    put(store, reports=[
        report(1, fetched=0, request_id="q"), report(2, fetched=0, request_id="q", company_id="own"),
        report(3, fetched=0), report(4, fetched=0, request_id="nowhere"),
    ])  # fmt: skip
    assert seen(store.snapshot(), "reports", "company_id") == [(None,), ("own",), (None,), (None,)]
    put(store, requests=[{"request_id": "q", "company_id": "asked", "fetched_at": day(3)}])
    assert seen(store.snapshot(), "reports", "company_id") == [("asked",), ("own",), (None,), (None,)]
    assert seen(store.snapshot(day(2)), "reports", "company_id") == [(None,), ("own",), (None,), (None,)]


def test_media_and_book_keeping__by_when_they_were_learnt(store: Store) -> None:
    put(store, media=[{"medium_id": "m", "status": "draft", "created_at": day(0), "fetched_at": day(1)}],
        runs=[{"run_id": "r", "finished_at": day(1), "commit": 1}],
        drift=[{"source": "s", "json_path": "a", "problem": "unknown_member", "commit": 1}],
        quarantine=[{"object_id": "x", "stage": "decode", "fetched_at": day(1)}],
        raw=[{"object_id": "x", "object_version": v, "fetched_at": day(v)} for v in (1, 2)])  # fmt: skip
    put(store, media=[{"medium_id": "m", "status": "online", "fetched_at": day(2)}],
        runs=[{"run_id": "r", "finished_at": day(2), "commit": 2}],
        drift=[{"source": "s", "json_path": "b", "problem": "unknown_member", "commit": 2}])  # fmt: skip
    for clock in ("available", "fetched"):
        rows = [store.snapshot(day(n), clock=clock).rows() for n in (0.5, 1, 2)]  # type: ignore[arg-type]
        names = ("media", "runs", "drift", "quarantine", "raw")
        assert [[row[name] for name in names] for row in rows] == [[0] * 5, [1] * 5, [1, 2, 2, 1, 2]]
        assert seen(store.snapshot(day(1), clock=clock), "media", "status") == [("draft",)]  # type: ignore[arg-type]
    assert seen(store.snapshot(), "media", "status") == [("online",)]
    assert seen(store.snapshot(), "drift", "json_path", "commit") == [("a", 1), ("b", 2)]


def test_lender__newest_record_of_what_was_true(store: Store) -> None:
    def company(sector: str, recorded: float, true_from: date | None) -> dict[str, object]:
        return {"company_id": "c", "sector_code": sector, "recorded_at": day(recorded), "valid_from": true_from}

    march = date(2025, 3, 1)
    loan = {"loan_id": "l", "company_id": "c"}
    drawn = {"company_id": "c", "exposure_date": march}
    put(store, companies=[company("first", 100, None), company("march", 101, march), company("corrected", 102, None)],
        loans=[loan | {"decision": word, "recorded_at": day(n)} for n, word in ((10, "accepted"), (20, "declined"))],
        exposures=[drawn | {"currency": money, "drawn": Decimal(n), "recorded_at": day(n)}
                   for n, money in ((1, "EUR"), (2, "EUR"), (3, None))],
        outcomes=[{"company_id": "c", "default_date": default, "recorded_at": day(n)}
                  for n, default in ((1, None), (2, None), (3, march))])  # fmt: skip
    sector = lambda *when, **clock: seen(store.snapshot(*when, **clock), "companies", "sector_code")  # noqa: E731
    assert [sector(), sector("2025-03-01"), sector("2025-02-28")] == [[("march",)], [("march",)], [("first",)]]
    assert [sector("2025-03-01", clock="fetched"), sector(day(101.5), clock="fetched")] == [[], [("march",)]]
    assert seen(store.snapshot(), "loans", "decision") == [("declined",)]
    assert seen(store.snapshot(day(15), clock="fetched"), "loans", "decision") == [("accepted",)]
    assert seen(store.snapshot(), "exposures", "currency", "drawn") == [(None, Decimal(3))]
    assert seen(store.snapshot(), "outcomes", "default_date") == [(march,)]


def test_latest__newest_of_each_company_and_nobody_is_left_out(store: Store) -> None:
    put(store, reports=[
        report(1, created=1, fetched=9, company_id="a"), report(2, created=3, fetched=3, company_id="a"),
        report(1, 2, created=1, fetched=50, company_id="a"),  # an old report fetched again does not become the newest
        report(3, fetched=2, company_id="b"), report(4, created=2, fetched=2, company_id="b"),
        report(5, created=9, fetched=9, company_id="b", product="esg"), report(6, fetched=1), report(7, fetched=1),
    ])  # fmt: skip
    found = store.snapshot().latest("bank")
    assert list(found.columns) == list(tables.REPORTS.names)
    assert [int(report_id, 16) for report_id in found["report_id"]] == [2, 4, 6, 7]
    assert found["company_id"].isna().tolist() == [False, False, True, True]
    assert [int(report_id, 16) for report_id in store.snapshot(day(2.5)).latest("bank")["report_id"]] == [1, 4, 6, 7]
    assert len(store.snapshot().latest("manager")) == 0


def test_empty__is_typed(store: Store) -> None:
    put(store, reports=[report(1, fetched=5)])
    for snapshot in (store.snapshot(), store.snapshot(day(0))):
        for name in set(tables.TABLES) - {"reports"}:
            assert snapshot.arrow(name).equals(tables.TABLES[name].empty(), check_metadata=True), name
    before = store.snapshot(day(0)).read("reports")
    assert before.dtypes.astype(str).to_dict() == store.snapshot().read("reports").dtypes.astype(str).to_dict()
    assert len(before) == 0


def test_snapshot__does_not_see_later_commits(store: Store) -> None:
    snapshot = put(store, reports=[report(1, fetched=1)]).snapshot()
    put(store, reports=[report(2, fetched=1)])
    assert (snapshot.commit, len(snapshot.read("reports"))) == (1, 1)
    assert (store.snapshot().commit, len(store.snapshot().read("reports"))) == (2, 2)


# Any history


@st.composite
def histories(draw: st.DrawFn) -> list[list[dict[str, object]]]:
    """Commits of reports, fetched ever later; versions of an id follow each other."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    versions, clock, commits = {}, 0.0, []
    for _ in range(draw(st.integers(1, 4))):
        rows = []
        for _ in range(rng.randrange(4)):
            clock += rng.choice([0, 0.5, 3])
            number = rng.randrange(3)
            versions[number] = version = versions.get(number, 0) + 1
            created = rng.choice([None, clock - rng.randrange(20)])
            rows.append(report(number, version, created=created, fetched=clock, company_id=rng.choice([None, "c"])))
        commits.append(rows)
    return commits


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.floats(-20, 30).map(lambda n: round(n, 1)))
def test_any_history__as_a_plain_model_and_later_syncs_change_no_fetched_snapshot(
    commits: list[list[dict[str, object]]], when: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, rows, fetched_then = Store(Path(folder) / "store"), [], None
        for batch in commits:
            put(store, reports=batch, accounts=[{k: row[k] for k in ("report_id", "report_version")} for row in batch])
            rows += batch
            for clock, column in (("available", "available_at"), ("fetched", "fetched_at")):
                snapshot = store.snapshot(day(when), clock=clock)  # type: ignore[arg-type]
                expected = model(rows, column, day(when))
                assert seen(snapshot, "reports", "report_id", "report_version", "company_id") == expected
                assert seen(snapshot, "accounts", "report_id", "report_version") == [row[:2] for row in expected]
            newest = model(rows, "fetched_at", day(10_000))  # without a moment, a store of first versions asks less
            assert seen(store.snapshot(), "reports", "report_id", "report_version", "company_id") == newest
            assert seen(store.snapshot(), "accounts", "report_id", "report_version") == [row[:2] for row in newest]
            if fetched_then is not None:
                assert store.snapshot(day(when), clock="fetched").arrow("reports") == fetched_then
            if rows and rows[-1]["fetched_at"] > day(when):  # from here on, everything is fetched later
                fetched_then = store.snapshot(day(when), clock="fetched").arrow("reports")


def model(rows: list[dict[str, object]], clock: str, when: datetime) -> list[tuple[object, ...]]:
    newest: dict[object, dict[str, object]] = {}
    for row in sorted(rows, key=lambda row: row["report_version"]):  # type: ignore[arg-type,return-value]
        if row[clock] <= when:  # type: ignore[operator]
            newest[row["report_id"]] = row
    return sorted((row["report_id"], row["report_version"], row["company_id"]) for row in newest.values())  # type: ignore[type-var]


# Asking


@pytest.fixture
def ledger(store: Store) -> Snapshot:
    amounts = ["-0.10", "0.10", "250.00", "-1000.01"]
    entries = [
        {"report_id": f"{1:024x}", "transaction_no": i, "amount": Decimal(a), "label": f"l{i}"}
        for i, a in enumerate(amounts)
    ]
    return put(store, reports=[report(1, fetched=0)], transactions=entries).snapshot()


def test_read__columns_predicate_and_money(ledger: Snapshot) -> None:
    def numbers(where: str) -> list[int]:
        return ledger.read("transactions", columns=["transaction_no"], where=where)["transaction_no"].tolist()

    assert numbers("amount = 0.1") == [1], "money is exact in a predicate"
    assert numbers("amount < 0 AND label LIKE 'l%'") == [0, 3]
    assert numbers("amount > (SELECT 100) -- a remark") == [2]
    found = ledger.read("transactions", columns=["label", "amount"], where="amount > 0")
    assert found.to_dict("list") == {"label": ["l1", "l2"], "amount": [0.1, 250.0]}
    cents = ledger.read("transactions", columns=["amount"], money="cents")["amount"]
    assert (cents.dtype, cents.tolist()) == ("Int64", [-10, 10, 25000, -100001])


@pytest.mark.parametrize(
    "where",
    [
        "", "amount > 0; DROP TABLE x", "1=1) UNION SELECT (1", "amount > 0 LIMIT 1", "amount > 0 ORDER BY amount",
        "amount FROM transactions", "true, true", "COPY (SELECT 1) TO 'x'", "SET threads = 1", "nosuch > 0", "amount >",
        "label IN (SELECT content FROM read_text('/etc/hostname'))", "(SELECT count(*) FROM glob('/*')) > 0",
        "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0", "label IN (SELECT * FROM ledger)", "amount = 'PRIVATE'",
        "CAST(label AS INTEGER) > 0", "ATTACH 'x'", "getenv('HOME') = ''", "error(label)",
    ],
)  # fmt: skip
def test_where__anything_but_one_harmless_expression_is_refused(ledger: Snapshot, where: str) -> None:
    with pytest.raises(InputError) as refused:
        ledger.read("transactions", where=where)
    assert "l0" not in str(refused.value).replace(where, ""), "no value of a row is repeated"
    assert len(ledger.read("transactions")) == 4


def test_read__only_the_parts_asked_for_are_opened(ledger: Snapshot) -> None:
    for path in ledger.root.glob("parts/reports/*"):
        path.unlink()
    with pytest.raises(StoreError, match="reports"):
        ledger.read("reports")
    assert len(ledger.read("transactions")) == 4


def test_scan__lazy_same_rows_and_money_as_the_nearest_float(store: Store) -> None:
    rng = np.random.default_rng(3)
    units = np.concatenate([rng.integers(-(2**53), 2**53, 500_000), rng.integers(-(10**9), 10**9, 500_000)])
    words = np.stack([units, np.where(units < 0, -1, 0)], axis=1).astype(np.int64)
    amounts = pa.Array.from_buffers(MONEY, len(units), [None, pa.py_buffer(words.tobytes())])
    row = make("transactions", {"report_id": f"{1:024x}"})
    table = pa.concat_tables([row] * 1000).combine_chunks().take(pa.array(np.arange(len(units)) % 1000))
    with store.writer() as writer:
        writer.append("reports", make("reports", report(1, fetched=0)))
        writer.append("transactions", table.set_column(table.schema.get_field_index("amount"), "amount", amounts))
        writer.commit()
    scanned = store.snapshot().scan("transactions")
    assert str(scanned.project("amount").types[0]) == "DOUBLE"
    found = np.sort(scanned.project("amount").to_arrow_table()["amount"].to_numpy())
    assert np.array_equal(found, np.sort(money_floats(amounts)))
    literal = np.array([float(str(value)) for value in amounts[:100_000]])
    assert np.array_equal(literal, money_floats(amounts[:100_000]))


def test_scan__of_two_moments_can_be_joined(store: Store) -> None:
    put(store, reports=[report(1, 1, fetched=0, bank_risk_class=2), report(1, 2, fetched=9, bank_risk_class=5)])
    before, after = (store.snapshot(day(n)).scan("reports").set_alias(name) for n, name in ((5, "b"), (10, "a")))
    moved = before.join(after, "report_id").project("b.bank_risk_class, a.bank_risk_class")
    assert moved.fetchall() == [(2, 5)]
    assert store.snapshot(day(-1)).scan("reports").fetchall() == []


def test_scan__spark_sees_the_same(store: Store) -> None:
    pytest.importorskip("pyspark")
    put(store, reports=[report(1, 1, created=0, fetched=2, total_credit=Decimal("1.25")), report(1, 2, fetched=9)],
        requests=[{"request_id": "q", "fetched_at": day(1)}])  # fmt: skip
    snapshot = store.snapshot(day(5))
    for name in ("reports", "requests", "accounts", "media"):
        spark = snapshot.scan(name, engine="spark")
        assert spark.columns == list(tables.TABLES[name].names)
        assert spark.count() == snapshot.rows()[name], name
    assert snapshot.scan("reports", engine="spark").collect()[0]["total_credit"] == 1.25
