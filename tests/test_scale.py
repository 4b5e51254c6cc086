"""An archive cut over many tasks becomes the tables that one machine makes of it: every row, whatever the cut."""

import gzip
import importlib
import importlib.util
import json
import shutil
import sys
from datetime import UTC, datetime
from itertools import groupby

import pyarrow as pa
import pytest

from xray_analytics import engine, scale, tables
from xray_analytics.errors import InputError, StoreError
from xray_analytics.ingest import files
from xray_analytics.ingest.files import import_files
from xray_analytics.sandbox.payloads.reports import Economy, encode
from xray_analytics.settings import DEFAULT_SOURCES
from xray_analytics.store import Store
from xray_analytics.store.remote.filesystem import place
from xray_analytics.store.remote.published import PublishedStore

FETCHED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def bodies(tmp_path_factory):
    """Reports and requests as files: versions, repetitions, damage, several in one file, one cut short."""
    folder = tmp_path_factory.mktemp("archive")
    economy = Economy(6, seed=9)
    ids = economy.report_ids()
    for report_id in ids:
        (folder / f"1-{report_id}.json").write_bytes(economy.report_body(report_id))
    for number, report_id in enumerate(ids[:5]):
        (folder / f"2-{report_id}.json").write_bytes(economy.report_body(report_id, rewritten=True))
        (folder / f"3-{report_id}.json").write_bytes(economy.report_body(report_id, rewritten=number % 2 == 0))
    requests = [encode({"request": economy.request(request_id)}) for request_id in economy.request_owners]
    (folder / "requests.ndjson").write_bytes(b"\n".join([*requests, requests[0], b"{", b"{"]))
    (folder / "torn.json.gz").write_bytes(gzip.compress(requests[0])[:-9])
    return folder


@pytest.fixture(scope="module")
def local(bodies, tmp_path_factory):
    """What one machine makes of it: its totals and tables."""
    store = Store(tmp_path_factory.mktemp("local") / "store")
    found = import_files([bodies], store)
    return found, store.snapshot()


def same(there, local, totals):
    """Every table equal but for the clock and the run log; the totals as well."""
    found, snapshot = local
    for name in tables.TABLES.keys() - {"runs"}:
        assert timeless(there.arrow(name)).equals(timeless(snapshot.arrow(name))), name
    counted = ("n_published", "n_unchanged", "n_quarantined")
    assert [getattr(totals, name) for name in counted] == [getattr(found, name) for name in counted]
    assert (totals.n_payloads, len(totals.failed)) == (found.n_fetched, found.n_failed)
    (run,) = there.read("runs").to_dict("records")
    assert (run["n_listed"], run["n_fetched"]) == (found.n_listed, found.n_fetched)


def timeless(table):
    clocks = [name for name in ("fetched_at", "available_at", "is_backfilled") if name in table.column_names]
    return table.drop_columns(clocks).replace_schema_metadata()


def on_tasks(n_tasks, bodies, url):
    """As Spark runs it: read, key, bring each object to one task in the order of the archive, tidy, publish."""
    listed = [
        {"number": number, "path": str(path), "origin": origin}
        for number, (path, origin) in enumerate(files.find([bodies]).items())
    ]
    read = scale._Reading(FETCHED_AT).payloads(pa.RecordBatch.from_pylist(listed[i::2]) for i in (1, 0))
    rows = [row for batch in scale._keyed(read) for row in batch.to_pylist()]
    task_of = {key: number % n_tasks for number, key in enumerate(sorted({row["key"] for row in rows}))}
    rows.sort(key=lambda row: (task_of[row["key"]], row["fetched_at"], row["position"]))
    work = scale._Work(url, tables.TRANSACTION_ALIASES, dict(DEFAULT_SOURCES))
    said = []
    for _, payloads in groupby(rows, key=lambda row: task_of[row["key"]]):
        for batch in work.tidied([pa.RecordBatch.from_pylist(list(payloads))]):
            said += [scale._Row(*row.values()) for row in batch.to_pylist()]
    return scale._published(place(url), said, FETCHED_AT)


@pytest.mark.parametrize("n_tasks", [1, 4])
def test_tasks__any_cut_gives_the_rows_of_one_machine(n_tasks, bodies, local, tmp_path):
    lake = str(tmp_path / "lake")
    totals = on_tasks(n_tasks, bodies, lake)
    same(PublishedStore(lake, cache=tmp_path / "cache").snapshot(), local, totals)
    assert totals.rows["reports"] > 30
    assert len(list((tmp_path / "lake/parts/reports").iterdir())) == n_tasks


def test_a_task_that_is_repeated__writes_the_same_files(bodies, tmp_path):
    lake = tmp_path / "lake"
    on_tasks(2, bodies, str(lake))
    before = {path.name: path.read_bytes() for path in lake.glob("parts/reports/*")}
    on_tasks(2, bodies, str(lake))
    assert {path.name: path.read_bytes() for path in lake.glob("parts/reports/*")} == before


def test_a_place_that_is_taken__is_refused(bodies, tmp_path):
    on_tasks(1, bodies, str(tmp_path / "lake"))
    with pytest.raises(StoreError, match=r"a store is published at .*lake already; name a prefix of its own"):
        scale.tidy_archive(bodies, str(tmp_path / "lake"))


def test_spark_absent__says_which_extra_brings_it(monkeypatch, bodies, tmp_path):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(InputError, match=r"pip install 'xray-analytics\[spark\]'"):
        scale.tidy_archive(bodies, str(tmp_path / "lake"))


# --- Spark itself


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    if shutil.which("java") is None or importlib.util.find_spec("pyspark") is None:
        pytest.skip("Spark needs Java and the extra spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = importlib.import_module("pyspark.sql").SparkSession.builder.master("local[2]")
        for key, value in {
            "ui.enabled": "false",
            "sql.shuffle.partitions": "2",
            "driver.host": "127.0.0.1",
            "driver.bindAddress": "127.0.0.1",
            "sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        }.items():
            builder = builder.config(f"spark.{key}", value)
        session = builder.getOrCreate()
        yield engine.spark_session()
        session.stop()


@pytest.mark.filterwarnings("ignore")  # of Spark's own, about pandas and the session's files
def test_spark__files_become_the_tables_of_one_machine(spark, bodies, local, tmp_path):
    before = spark.conf.get(scale._BATCH)
    totals = scale.tidy_archive(bodies, str(tmp_path / "lake"), tasks=2)
    published = PublishedStore(tmp_path / "lake", cache=tmp_path / "cache")
    same(published.snapshot(), local, totals)
    assert spark.conf.get(scale._BATCH) == before
    on_cluster = published.snapshot().scan("transactions", engine="spark")
    assert on_cluster.count() == local[1].rows()["transactions"]


@pytest.mark.filterwarnings("ignore")
def test_spark__a_frame_of_bodies_becomes_the_same(spark, bodies, local, tmp_path):
    found = list(files.payloads(files.find([bodies]), fetched_at=FETCHED_AT))
    rows = [(n, bytearray(p.body), FETCHED_AT) for n, p in enumerate(found) if not isinstance(p, files.Failed)]
    frame = spark.createDataFrame([*rows, (0, None, FETCHED_AT)], "position int, body binary, fetched_at timestamp")
    totals = scale.tidy_archive(frame, str(tmp_path / "lake"), tasks=2)
    assert totals.failed == (("", "row without a body"),)
    same(PublishedStore(tmp_path / "lake", cache=tmp_path / "cache").snapshot(), local, totals)
    with pytest.raises(InputError, match="the frame of payloads lacks fetched_at"):
        scale.tidy_archive(frame.select("body"), str(tmp_path / "other"))


@pytest.mark.filterwarnings("ignore")
def test_spark__a_task_that_fails_publishes_nothing(spark, bodies, tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/parts").write_text("not a folder")
    with pytest.raises(StoreError, match=r"a task of Spark failed \(\w+\), so nothing was published at") as raised:
        scale.tidy_archive(bodies, str(tmp_path / "lake"), tasks=1)
    assert "report" not in str(raised.value)
    assert not (tmp_path / "lake/current.json").exists()


@pytest.mark.filterwarnings("ignore")
def test_spark__a_published_file_that_was_damaged_is_named(spark, bodies, tmp_path):
    lake = tmp_path / "lake"
    on_tasks(1, bodies, str(lake))
    (part,) = lake.glob("parts/accounts/*")
    part.write_bytes(part.read_bytes()[:-9] + b"x" + part.read_bytes()[-8:])
    with pytest.raises(StoreError, match=f"{part.name} is damaged"):
        PublishedStore(lake, cache=tmp_path / "cache").snapshot().scan("accounts", engine="spark")
    assert json.loads((lake / "current.json").read_text())["number"] == 1
