"""What is published is read as it was stored; readers see the commit before or the new one, whatever was cut short."""

import json
import multiprocessing
import os
import random
import shutil
import time
import uuid
import warnings

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import fs
from shelf import Shelf
from store_rows import day, make, report

from xray_analytics import tables
from xray_analytics.errors import InputError, StoreError
from xray_analytics.store import Store
from xray_analytics.store.remote import published
from xray_analytics.store.remote.publish import AS_RECEIVED
from xray_analytics.store.remote.published import PublishedStore

PER_REPORT = 50
SPAWN = multiprocessing.get_context("spawn")  # a fork server would keep the environment of whoever started it


@pytest.fixture(scope="module")
def s3():
    """The address of a genuine S3 with one bucket, as the tail of a URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the libraries' own, on import
        from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    tail = f"?endpoint_override=127.0.0.1%3A{server.get_host_and_port()[1]}&scheme=http&region=eu-west-3"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "canary-key", "AWS_SECRET_ACCESS_KEY": "canary-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        bucket, _ = fs.FileSystem.from_uri(f"s3://lake{tail}&allow_bucket_creation=true")
        bucket.create_dir("lake")
        yield tail
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    """An empty place: a local folder, or a prefix in the bucket."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    return f"s3://lake/{uuid.uuid4().hex}{request.getfixturevalue('s3')}"


def add(store, number):
    """Commit a report of that number and the transactions that name it."""
    row = report(number, fetched=number, created=number, n_transactions=PER_REPORT, raw_sha256=f"{number:064x}")
    named = {"report_id": row["report_id"]}
    body = {"object_id": row["report_id"], "raw_sha256": row["raw_sha256"], "fetched_at": day(number), "body": b"{}"}
    with store.writer() as writer:
        writer.append("reports", make("reports", row))
        writer.append("transactions", make("transactions", *(named | {"transaction_no": i} for i in range(PER_REPORT))))
        writer.append("raw", make("raw", body))
        return writer.commit(cursor={"withdrawn": {row["report_id"]: day(number).isoformat()}, "private": "x"})


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    for number in (1, 2, 3):
        add(made, number)
    return made


def opened(url, tmp_path, **more):
    return PublishedStore(url, cache=tmp_path / "cache", **more)


def test_round_trip__every_table_at_every_moment(store, url, tmp_path):
    done = store.publish(url)
    assert (done.commit, done.n_copied, done.n_removed, "?" in done.url) == (3, 6, 0, False)
    there = opened(url, tmp_path)
    for as_of in (None, "2025-01-03"):
        ours, theirs = store.snapshot(as_of), there.snapshot(as_of)
        for name in tables.TABLES.keys() - set(AS_RECEIVED):
            assert theirs.arrow(name).equals(ours.arrow(name))
        assert theirs.withdrawn() == ours.withdrawn()
        assert theirs.scan("transactions").aggregate("count(*)").fetchall() == [(ours.rows()["transactions"],)]
    assert theirs.rows()["reports"] == 2
    assert there.head.cursor.keys() == {"withdrawn"}


def test_publishing_again__copies_nothing_and_then_only_what_is_new(store, url, tmp_path):
    store.publish(url)
    assert store.publish(url).n_copied == 0
    before = opened(url, tmp_path).snapshot()
    add(store, 4)
    assert store.publish(url).n_copied == 2
    assert before.rows()["reports"] == 3
    assert opened(url, tmp_path).snapshot().rows()["reports"] == 4


def test_raw_and_prune__are_as_asked(store, url, tmp_path):
    store.publish(url, raw=True)
    assert opened(url, tmp_path).snapshot().rows()["raw"] == 3
    assert store.publish(url).n_removed == 0
    assert opened(url, tmp_path).snapshot().rows()["raw"] == 0
    assert store.publish(url, prune=True).n_removed == 4  # three parts and a manifest
    assert opened(url, tmp_path).snapshot().rows()["reports"] == 3


def test_only_the_table_asked_for_is_copied_once(store, url, tmp_path):
    store.publish(url)
    snapshot = opened(url, tmp_path).snapshot()
    assert not list((tmp_path / "cache").glob("parts/*/*"))
    snapshot.read("transactions")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("parts/*/*")}
    assert {path.parent.name for path in kept} == {"transactions"}
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    opened(url, tmp_path).snapshot().read("transactions")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_erased__is_gone_there_and_from_the_copy(store, url, tmp_path):
    store.publish(url)
    opened(url, tmp_path).snapshot().read("transactions")
    erased = pa.array([f"{1:024x}"])
    with store.writer() as writer:
        for table in ("reports", "transactions"):
            writer.alter(table, lambda rows: rows.filter(pc.invert(pc.is_in(rows["report_id"], erased))), ["report_id"])
        writer.commit(new_root=True)
    done = store.publish(url)
    assert done.n_removed == 3  # two parts and the manifest from before
    assert list(opened(url, tmp_path).snapshot().read("reports")["report_id"].str[-1]) == ["2", "3"]
    assert not list((tmp_path / "cache").glob("parts/*/000000000001-*"))
    assert store.publish(url).n_removed == 0


def test_every_call_that_fails__leaves_old_or_new_and_the_next_publication_converges(store, tmp_path):
    later = Store(shutil.copytree(store.path, tmp_path / "later"))
    add(later, 4)
    n_failed, failed, whole = 0, True, {}
    while failed:  # one call later each time, until all goes well
        folder = tmp_path / f"shelf{n_failed}"
        folder.mkdir()
        shelf = Shelf(folder)
        there = PublishedStore("lake", cache=folder / "cache", filesystem=fs.PyFileSystem(shelf))
        failed = publish_with_failure(store, later, shelf, there, n_failed + 1)
        n_failed += failed
        found = {path.name: path.read_bytes() for path in folder.glob("lake/**/*.*")}
        whole = whole or found
        assert found == whole
    assert n_failed >= 9  # pointer and manifest, list, two parts, manifest, pointer, two lists


def publish_with_failure(store, later, shelf, there, fails_at):
    """Publish one commit, then the next while a call fails, for once or from then on; whether it was noticed."""
    shelf_of = {"filesystem": there._place.filesystem}
    store.publish("lake", **shelf_of)
    shelf.calls, shelf.fails_at, shelf.forever = 0, fails_at, fails_at % 2 == 0
    message = ""
    try:
        later.publish("lake", **shelf_of)
    except StoreError as error:
        message = str(error)
    failed = bool(message)
    assert message.startswith("lake/") == failed
    shelf.fails_at = 0
    assert there.snapshot().rows()["reports"] in ((3, 4) if failed else (4,))
    later.publish("lake", **shelf_of)
    assert there.snapshot().rows()["reports"] == 4
    return failed


def publish_for_ever(path, url, started):
    number = Store(path).head.number
    while True:
        add(Store(path), number := number + 1)
        Store(path).publish(url)
        started.set()


def test_kill__readers_see_a_whole_commit_and_the_next_publisher_carries_on(store, url, tmp_path):
    """`kill -9` while parts, manifests and pointers are being written."""
    store.publish(url)
    rng, seen, there = random.Random(1), [3], opened(url, tmp_path)
    for _ in range(3):
        started = SPAWN.Event()
        child = SPAWN.Process(target=publish_for_ever, args=(str(store.path), url, started))
        child.start()
        assert started.wait(200)
        end = time.monotonic() + rng.uniform(0.2, 0.5)
        while time.monotonic() < end or seen[-1] == 3:
            seen.append(whole_commit(there))
        assert child.is_alive(), "the publisher ended by itself"
        child.kill()
        child.join()
        seen.append(whole_commit(there))
    assert seen == sorted(seen)
    assert seen[-1] > 3
    assert store.publish(url).commit == store.head.number == whole_commit(there)


def whole_commit(there):
    """The commit published, once a snapshot holds exactly its reports and their transactions."""
    snapshot = there.snapshot()
    reports = snapshot.arrow("reports", columns=["report_id"])["report_id"].to_pylist()
    assert [int(report_id, 16) for report_id in reports] == list(range(1, snapshot.commit + 1))
    assert snapshot.rows()["transactions"] == snapshot.commit * PER_REPORT
    return snapshot.commit


def test_damage__is_named_and_never_served(store, tmp_path):
    lake = tmp_path / "lake"
    store.publish(lake)
    (part,) = lake.glob("parts/reports/000000000002-*")
    whole = part.read_bytes()
    part.write_bytes(whole[:-9] + b"x" + whole[-8:])
    with pytest.raises(StoreError, match=f"{part.name} is damaged: remove that file and publish the store again"):
        opened(lake, tmp_path).snapshot().read("reports")
    part.unlink()
    with pytest.raises(StoreError, match=f"{part.name} is missing; if the store was published anew"):
        opened(lake, tmp_path).snapshot().read("reports")
    part.write_bytes(b"cut short")
    assert store.publish(lake).n_copied == 1
    assert opened(lake, tmp_path).snapshot().rows()["reports"] == 3


def test_damaged_pointer_and_manifest__are_named(store, tmp_path):
    lake = tmp_path / "lake"
    store.publish(lake)
    pointer, (manifest,) = lake / "current.json", lake.glob("commits/*")
    good = pointer.read_text()
    for text, message in {
        "{": "current.json is damaged",
        json.dumps(json.loads(good) | {"format": 9}): "has format 9, this package reads up to 1",
        json.dumps(json.loads(good) | {"number": 7}): "commits/000000000007-.* is missing",
    }.items():
        pointer.write_text(text)
        with pytest.raises(StoreError, match=message):
            opened(lake, tmp_path).snapshot()
    pointer.write_text(good)
    manifest.write_bytes(manifest.read_bytes().replace(b"reports", b"rapport"))
    with pytest.raises(StoreError, match=r"manifest .* is damaged"):
        opened(lake, tmp_path).snapshot()


def test_a_snapshot_whose_files_were_pruned__says_so(store, tmp_path):
    lake = tmp_path / "lake"
    store.publish(lake)
    old = opened(lake, tmp_path).snapshot()
    store.compact(max_parts=1)
    store.publish(lake, prune=True)
    with pytest.raises(StoreError, match="if the store was published anew meanwhile open it again"):
        old.read("reports")


def test_a_place_with_a_later_commit__is_refused(store, tmp_path):
    older = Store(shutil.copytree(store.path, tmp_path / "older"))
    add(store, 4)
    store.publish(tmp_path / "lake")
    with pytest.raises(StoreError, match="holds commit 4, and this store is at 3: it is another store's place"):
        older.publish(tmp_path / "lake")
    assert opened(tmp_path / "lake", tmp_path).snapshot().commit == 4


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://key:canary@lake/x", "a URL with a user or password ends up in logs"),
        ("s3://key:canary@lake/a@b", "a URL with a user or password ends up in logs"),
        ("nosuch://lake/x", "nosuch://lake/x is no place that pyarrow can open"),
    ],
)
def test_a_url_that_cannot_be_used__says_why_and_repeats_no_secret(store, url, message):
    for use in (store.publish, PublishedStore):
        with pytest.raises(InputError, match=message) as raised:
            use(url)
        assert "canary" not in str(raised.value)


def test_no_bucket__is_one_sentence_without_the_keys(store, s3):
    with pytest.raises(
        StoreError, match=r"s3://nowhere/x/.* cannot be read or written \(NO_SUCH_BUCKET\); check"
    ) as raised:
        store.publish(f"s3://nowhere/x{s3}")
    assert "canary" not in str(raised.value)
    with pytest.raises(StoreError, match="nothing is published at s3://nowhere/x; `xray publish s3://nowhere/x` does"):
        PublishedStore(f"s3://nowhere/x{s3}").snapshot()


def test_default_cache__is_one_for_a_url_and_private(store, tmp_path, monkeypatch):
    monkeypatch.setattr(published.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "user" / name))
    store.publish(tmp_path / "lake")
    for _ in range(2):
        assert PublishedStore(tmp_path / "lake").snapshot().rows()["reports"] == 3
    (folder,) = (tmp_path / "user/xray_analytics/published").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_command__publishes_and_says_what(xray, store, tmp_path):
    code, out, _ = xray("publish", tmp_path / "lake", "--store", store.path)
    assert (code, out.startswith(f"Commit 3 is published at {tmp_path / 'lake'}: 6 files, 6 of them copied now")) == (
        0,
        True,
    )
    code, out, _ = xray("publish", tmp_path / "lake", "--store", store.path, "--raw", "--prune", "--json")
    assert (code, json.loads(out)["n_copied"], json.loads(out)["n_removed"]) == (0, 3, 1)
    code, _, err = xray("publish", tmp_path / "lake", "--store", tmp_path / "none")
    assert (code, "there is no store" in err) == (2, True)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_folder__is_its_owners_alone_and_with_share_its_groups_to_read(store, tmp_path, umask):
    def modes(lake):
        return {(path.is_dir(), path.stat().st_mode & 0o777) for path in (lake, *lake.rglob("*"))}

    lake, before = tmp_path / "below" / "lake", os.umask(umask)
    try:
        store.publish(lake)
        assert modes(lake) == {(True, 0o700), (False, 0o600)}
        store.publish(lake, share=True)  # also what was there already
        assert modes(lake) - {(True, 0o700)} == {(True, 0o750), (False, 0o640)}
        assert lake.stat().st_mode & 0o777 == 0o700  # of a folder that is there, its owner decides
        store.publish(lake)
        assert modes(lake) == {(True, 0o700), (False, 0o600)}
        store.publish(tmp_path / "shared", share=True)
        assert modes(tmp_path / "shared") == {(True, 0o750), (False, 0o640)}
    finally:
        os.umask(before)
