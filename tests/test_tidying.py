"""Tidying in processes beside this one: the same store, the same totals, and a sentence where one of them is lost."""

import json
import multiprocessing
import os
import pickle
import signal

import pytest

from xray_analytics import Sandbox, Store, errors, import_files
from xray_analytics.errors import ApiError, AuthenticationError, InputError, ReportError, XRayError
from xray_analytics.ingest import run
from xray_analytics.ingest.workers import Tidier
from xray_analytics.settings import DEFAULT_SOURCES
from xray_analytics.tables import TRANSACTION_ALIASES
from xray_analytics.tidy.batch import Received, first_version, tidy

CHUNK = 7  # payloads, so that a small archive makes many chunks


@pytest.fixture(scope="module")
def bodies():
    """Reports of the sandbox, as they come."""
    with Sandbox(companies=12, seed=5) as served:
        from xray_analytics import XRayClient

        with XRayClient(served.settings()) as client:
            requests = [request.body for request in client.list_requests()]
            reports = dict(client.get_reports([report.id for report in client.list_reports()]))
            return requests + [reports[report_id].body for report_id in sorted(reports)]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(run, "CHUNK", CHUNK)


def archive(folder, bodies):
    """Everything that makes a version more than one, or none: changes, repetitions, the same in other bytes, wrecks."""
    folder.mkdir()
    report = next(json.loads(body) for body in bodies if b'"bank_xray"' in body and b'"riskClass"' in body)
    changed = json.loads(json.dumps(report))
    changed["report"]["raw"]["riskClass"] = 1 + report["report"]["raw"]["riskClass"] % 5
    same = json.dumps(report, indent=1).encode()
    wreck = b'{"report": {"id": "'
    extra = [wreck, json.dumps(changed).encode(), same, *bodies[:4], json.dumps(changed).encode(), wreck]
    for number, body in enumerate([*bodies[: len(bodies) // 2], *extra, *bodies[len(bodies) // 2 :]]):
        (folder / f"{number:04d}.json").write_bytes(body)
    return folder


def received(bodies):
    from datetime import UTC, datetime

    return [Received(body, datetime(2025, 6, 1, tzinfo=UTC), str(n)) for n, body in enumerate(bodies)]


def fails(chunk):
    raise InputError("no such column")


def tidier(processes):
    return Tidier(processes, aliases=TRANSACTION_ALIASES, sources=DEFAULT_SOURCES)


def test_import__processes_change_nothing_but_who_does_the_work(bodies, tmp_path, small_chunks):
    source, totals, stores = archive(tmp_path / "archive", bodies), [], []
    for processes in (1, 2):
        store = Store(tmp_path / f"store-{processes}")
        result = import_files([source], store, processes=processes)
        totals.append({name: getattr(result, name) for name in run.TOTALS} | {"issues": result.issues})
        stores.append(store)
    assert totals[0] == totals[1]
    assert totals[0]["n_quarantined"] == 2
    assert stores[0].content_digest() == stores[1].content_digest()
    versions = [store.snapshot().arrow("raw").drop_columns("fetched_at") for store in stores]
    assert versions[0].equals(versions[1])
    assert max(versions[0]["object_version"].to_pylist()) > 1
    drift = [store.snapshot().arrow("drift") for store in stores]
    assert drift[0].equals(drift[1])
    assert stores[1].verify() == []


def test_import__what_arrived_before_a_refusal_is_committed(bodies, tmp_path, small_chunks):
    def refused():
        yield from received(bodies)
        raise AuthenticationError("GET /reports: 401", status=401)

    store = Store(tmp_path / "store")
    with (
        pytest.raises(AuthenticationError),
        run.taking(store, command="sync", processes=2) as taken,
    ):
        taken.take(refused(), stage="reports")
    assert store.snapshot().arrow("raw").num_rows == len(bodies)


def test_tidier__asks_for_versions_here_and_in_order(bodies):
    asked = []

    def version_of(kind, object_id, content_sha256):
        asked.append((kind, object_id))
        return None if len(asked) % 3 == 0 else len(asked)

    payloads = received(bodies)
    chunks = [payloads[at : at + CHUNK] for at in range(0, len(payloads), CHUNK)]
    with tidier(2) as beside:
        found = list(beside.tidied(chunks, version_of))
    here, asked = asked, []
    for (chunk, tidied), given in zip(found, chunks, strict=True):
        expected = tidy(given, version_of=version_of)
        assert chunk == given
        assert [o.version for o in tidied.outcomes] == [o.version for o in expected.outcomes]
        assert all(tidied.tables[name].equals(table) for name, table in expected.tables.items())
    assert here == asked


def test_tidier__a_process_that_is_killed_ends_the_run_with_one_sentence(bodies):
    others = set(multiprocessing.active_children())
    with tidier(2) as beside:
        tidied = beside.tidied([received(bodies[:2])] * 50, first_version)
        next(tidied)
        for child in set(multiprocessing.active_children()) - others:
            os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(XRayError, match="ended early"):
            list(tidied)


def test_tidier__an_error_in_a_process_is_raised_here_and_ends_it(bodies):
    others = set(multiprocessing.active_children())
    with tidier(2) as beside:
        beside._tidy = fails
        with pytest.raises(InputError, match="no such column"):
            list(beside.tidied([received(bodies[:2])], first_version))
    assert set(multiprocessing.active_children()) == others


@pytest.mark.parametrize("processes", [0, -1])
def test_import__no_process_at_all_is_refused(tmp_path, processes):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="processes must be 1 or more"):
        import_files([tmp_path / "a.json"], Store(tmp_path / "store"), processes=processes)
    assert not (tmp_path / "store").exists()


def kinds(root=XRayError):
    return [root, *(kind for sub in root.__subclasses__() for kind in kinds(sub))]


@pytest.mark.parametrize("kind", [k for k in kinds() if k.__module__ == errors.__name__])
def test_errors__travel_between_processes(kind):
    given = {ApiError: {"status": 503, "path": "/reports"}, ReportError: {"code": "bad_date", "json_path": "$.raw"}}
    named = next((names for base, names in given.items() if issubclass(kind, base)), {})
    if kind is errors.SchemaError:
        named = {"failures": None}
    error = kind("one sentence", **named)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, "one sentence", vars(error))
