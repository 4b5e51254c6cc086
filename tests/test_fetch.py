"""From the service to the store over real HTTP: what is fetched, what is counted, what a second run does."""

import gzip
import json
import signal
import subprocess
import sys
import time
import zipfile

import pyarrow as pa
import pytest

from xray_analytics import Sandbox, Store, XRayClient, import_files, read_report, sync
from xray_analytics.errors import AuthenticationError, InputError, ReportError, StoreError, UnavailableError
from xray_analytics.settings import Settings

COMPANIES = 25


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(companies=COMPANIES, seed=11) as running:
        yield running


@pytest.fixture(scope="module")
def synced(sandbox, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("synced") / "store")
    with XRayClient(sandbox.settings()) as client:
        result = sync(client, store)
    return store, result


def adds_up(result):
    return result.n_fetched == result.n_published + result.n_unchanged + result.n_quarantined


def folder(tmp_path, sandbox, kinds=("reports",)):
    """The sandbox's payloads as files, one per object."""
    target = tmp_path / "payloads"
    target.mkdir(exist_ok=True)
    with XRayClient(sandbox.settings()) as client:
        if "requests" in kinds:
            for request in client.list_requests():
                (target / f"request-{request.id}.json").write_bytes(request.body)
        ids = [r.id for r in client.list_reports()]
        for report_id, answer in client.get_reports(ids):
            (target / f"{report_id}.json").write_bytes(answer.body)
    return target


def test_sync__totals_add_up_and_every_report_is_somewhere(synced, sandbox):
    store, result = synced
    snapshot = store.snapshot()
    reports = snapshot.read("reports", columns=["report_id"])["report_id"]
    quarantined = snapshot.read("quarantine", columns=["object_id"])["object_id"]
    with XRayClient(sandbox.settings()) as client:
        listed = {r.id for product in ("bank", "financial", "esg") for r in client.list_reports(product=product)}
    assert adds_up(result)
    assert set(reports) | set(quarantined) == listed
    assert result.n_listed == len(listed)
    assert result.n_quarantined == len(quarantined) == len(result.issues)
    assert result.is_partial == bool(len(quarantined))
    assert len(snapshot.read("requests")) == result.n_published - len(reports)
    runs = snapshot.read("runs")
    assert runs["n_fetched"].sum() == result.n_fetched
    assert (runs["n_fetched"] == runs["n_published"] + runs["n_unchanged"] + runs["n_quarantined"]).all()


def test_sync__a_second_run_fetches_nothing_and_writes_nothing(synced, sandbox):
    store, _ = synced
    before = {p: p.stat().st_mtime_ns for p in store.path.rglob("*") if p.is_file() and p.name != "lock"}
    with XRayClient(sandbox.settings()) as client:
        again = sync(client, store)
    assert (again.n_published, again.n_quarantined, again.commits, again.issues) == (0, 0, (), ())
    assert again.n_unchanged == again.n_fetched == store.snapshot().rows()["requests"]
    assert {p: p.stat().st_mtime_ns for p in store.path.rglob("*") if p.is_file() and p.name != "lock"} == before


def test_sync__full_and_recheck_find_everything_known(synced, sandbox):
    store, first = synced
    digest = store.content_digest()
    with XRayClient(sandbox.settings()) as client:
        full = sync(client, store, full=True)
        recheck = sync(client, store, full=True, recheck=True)
    assert (full.n_listed, full.n_known, full.n_published) == (first.n_listed, first.n_listed, 0)
    assert recheck.n_published == 0
    assert adds_up(recheck)
    assert recheck.n_fetched == first.n_fetched
    assert store.content_digest() == digest


def test_sync__equals_import_of_the_same_payloads(synced, sandbox, tmp_path):
    store, result = synced
    imported = Store(tmp_path / "imported")
    totals = import_files([folder(tmp_path, sandbox, ("requests", "reports"))], imported)
    assert totals.n_quarantined == result.n_quarantined
    one, other = store.snapshot(), imported.snapshot()
    for name in ("transactions", "statement_summaries", "monthly_summaries", "financial_ratios", "accounts"):
        assert one.arrow(name).equals(other.arrow(name)), name


def test_sync__only_what_was_asked_for(sandbox, tmp_path):
    store = Store(tmp_path / "store")
    with XRayClient(sandbox.settings()) as client:
        some = client.list_requests()[:2]
        result = sync(client, store, products=["financial"], request_ids=[r.id for r in some])
        assert set(store.snapshot().read("reports")["product"]) == {"financial"}
        assert result.n_fetched == 2 + result.n_listed
        with pytest.raises(InputError, match="no source is configured for doc; there are bank, financial, esg"):
            sync(client, store, products=["doc"])
        rest = sync(client, store)
    assert (
        rest.n_published
        == len(store.snapshot().read("reports")) - result.n_listed + len(store.snapshot().read("requests")) - 2
    )


def test_sync__wrong_credentials_stop_with_one_sentence(sandbox, tmp_path):
    store = Store(tmp_path / "store")
    settings = Settings(base_url=sandbox.url, user_id="u", session_token="canary-wrong")
    with XRayClient(settings) as client, pytest.raises(AuthenticationError, match="sessionToken") as caught:
        sync(client, store)
    assert "canary-wrong" not in str(caught.value)
    assert not store.exists


def test_sync__dead_server_changes_nothing(tmp_path, synced):
    store, _ = synced
    digest = store.content_digest()
    settings = Settings(base_url="http://127.0.0.1:9", user_id="u", session_token="t")
    with XRayClient(settings, sleep=lambda seconds: None) as client, pytest.raises(UnavailableError):
        sync(client, store)
    assert store.content_digest() == digest


def test_sync__locked_store_is_refused_before_any_fetch(sandbox, tmp_path):
    store = Store(tmp_path / "store")
    with XRayClient(sandbox.settings()) as client, store.writer(), pytest.raises(StoreError, match="lock"):
        sync(client, store)


def test_sync__killed_anywhere_converges(sandbox, synced, tmp_path):
    """A sync is killed at several moments; what is there is always a commit, and the next run completes it."""
    reference, _ = synced
    store = Store(tmp_path / "store")
    program = (
        "import sys; from xray_analytics import *; from xray_analytics import intake; intake.BATCH_BYTES = 200_000;"
        "s = Settings(base_url=sys.argv[1], user_id=sys.argv[2], session_token=sys.argv[3]);"
        "print('go', flush=True); sync(XRayClient(s), Store(sys.argv[4]))"
    )
    settings = sandbox.settings()
    arguments = [sandbox.url, settings.user_id.reveal(), settings.session_token.reveal(), str(store.path)]
    for delay in (0.05, 0.3, 0.6):
        child = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert store.head is None or store.verify() == []
    with XRayClient(settings) as client:
        sync(client, store)
    assert store.content_digest() == reference.content_digest()


def test_import__every_container_gives_the_same_rows(sandbox, tmp_path):
    source = folder(tmp_path, sandbox)
    bodies = [p.read_bytes() for p in sorted(source.iterdir())][:12]
    lines = b"\n".join(b.replace(b"\n", b" ") for b in bodies) + b"\n\n"
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a.ndjson").write_bytes(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "a.ndjson.zst").write_bytes(pa.compress(lines, codec="zstd", asbytes=True))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number, body in enumerate(bodies):
            archive.writestr(f"inner/{number}.json", body)
        archive.writestr("inner/readme.txt", "not a report")
    digests = set()
    for name in ("plain", "a.jsonl.gz", "a.ndjson.zst", "a.zip"):
        store = Store(tmp_path / f"store-{name}")
        result = import_files([tmp_path / name], store)
        assert (result.n_listed, adds_up(result), result.n_failed) == (len(bodies), True, 0)
        again = import_files([tmp_path / name], store)
        assert (again.n_published, again.commits) == (0, ())
        digests.add(store.content_digest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json.gz", gzip.compress(b"{}" * 100, mtime=0)[:-9], "cannot be read to its end"),
        ("a.zip", b"PK not a zip", "cannot be read to its end"),
        ("a.json.zst", b"XX", r"cannot be read to its end (ZSTD decompress failed"),
        ("a.zip", b"PK\x05\x06" + bytes(18), "cannot be read to its end (no report file is in it)"),
    ],
)
def test_import__an_unreadable_file_is_named_and_the_rest_goes_on(sandbox, tmp_path, name, content, message):
    source = folder(tmp_path, sandbox)
    keep = sorted(source.iterdir())[:2]
    (tmp_path / name).write_bytes(content)
    result = import_files([tmp_path / name, *keep], Store(tmp_path / "store"))
    assert (result.n_failed, result.n_fetched, result.is_partial) == (1, 2, True)
    assert message in result.issues[0].message
    assert result.issues[0].subject.endswith(name)


def test_import__bad_payloads_are_quarantined_once_and_kept(tmp_path):
    source = tmp_path / "bad"
    source.mkdir()
    (source / "cut.json").write_text('{"report": {"id": "')
    (source / "other.json").write_text('{"hello": 1}')
    (source / "page.json").write_text("<html></html>")
    store = Store(tmp_path / "store")
    result = import_files([source], store)
    assert (result.n_quarantined, result.n_published, len(result.issues)) == (3, 0, 3)
    kept = store.snapshot().read("quarantine")
    assert sorted(kept["body"]) == sorted(p.read_bytes() for p in source.iterdir())
    again = import_files([source], store)
    assert (again.n_quarantined, again.commits) == (3, ())


def test_import__nothing_to_read_is_refused(tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(InputError, match="does not exist"):
        import_files([tmp_path / "nowhere"], store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no report files"):
        import_files([tmp_path / "empty"], store)
    assert not store.exists


def test_read_report__one_file_without_a_store(tmp_path):
    path = tmp_path / "report.json"
    report = {"id": "65" * 12, "request": "66" * 12, "source": "magpie"}
    path.write_text(json.dumps({"report": {**report, "raw": {"criterias": {"x": {"value": 0.5, "source": "magpie"}}}}}))
    frames = read_report(path)
    assert frames["financial_ratios"][["criterion", "value"]].to_numpy().tolist() == [["x", 0.5]]
    assert len(frames["transactions"]) == 0
    path.write_text(json.dumps({"report": {**report, "raw": 3}}))
    with pytest.raises(ReportError, match="raw"):
        read_report(path)
    path.with_suffix(".ndjson").write_text("{}\n{}\n")
    with pytest.raises(InputError, match="holds 2 payloads"):
        read_report(path.with_suffix(".ndjson"))


@pytest.mark.parametrize("faults", ["flaky", "limited", "confused", "hostile"])
def test_sync__under_fire_ends_with_the_same_store(synced, tmp_path, faults):
    reference, _ = synced
    store = Store(tmp_path / "store")
    with Sandbox(companies=COMPANIES, seed=11, faults=faults) as rough:
        settings = rough.settings(retry_budget=1_000)
        with XRayClient(settings, sleep=lambda seconds: None) as client:
            for _ in range(10):
                result = sync(client, store)
                if not result.n_failed and store.head:
                    break
    assert result.n_failed == 0
    assert store.content_digest() == reference.content_digest()


def test_sandbox__unknown_faults_are_refused():
    with pytest.raises(InputError, match="faults 'storm' is unknown to the sandbox; choose one of none, slow, flaky"):
        Sandbox(companies=1, faults="storm")
