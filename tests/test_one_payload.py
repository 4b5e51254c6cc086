"""One payload never stops the rest: whatever it holds, it alone is quarantined, with a code and its place."""

import json
import os
import random
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from payload_mutations import mutations

from xray_analytics import Sandbox, Store, XRayClient, import_files, tables
from xray_analytics.errors import InputError
from xray_analytics.ingest.erasure import forget
from xray_analytics.ingest.files import Failed, payloads
from xray_analytics.tidy import batch, ids, payload
from xray_analytics.tidy.batch import Received, tidy
from xray_analytics.tidy.ids import object_id_in

DOCUMENTED = Path(__file__).parent / "documented"
AT = datetime(2025, 6, 1, tzinfo=UTC)
GOOD = b'{"report": {"id": "good", "request": "q", "source": "magpie", "raw": {"riskClass": 3}}}'
DAYS = {"startDate": "2021-07-31", "endDate": "2021-08-31", "startBalance": 0, "endBalance": 1}


def bank(report_id="bad", *, entry=(), **statement):
    """A bank report of one statement and one transaction, as bytes."""
    row = {"statementId": "s", "bic": "", "iban": "", "pageCount": 1, "movements": "correct", **DAYS, **statement}
    entries = [{"date": "2021-08-02", "amount": 1.0, "label": "x", **dict(entry)}]
    raw = {"summary": [row], "allTransactions": entries, "bankFlag": {"reasons": []}, "movementReport": {}}
    report = {"id": report_id, "request": "q", "source": "bank_xray", "raw": raw}
    return json.dumps({"report": report}).encode()


def bring(folder, bodies, **options):
    """Import these bodies, in this order, into a store beside the folder."""
    store = Store(folder.with_suffix(".store"))
    return store, import_files([put(folder, bodies)], store, **options)


def put(folder, bodies):
    """The bodies as the files of a folder, in this order."""
    folder.mkdir()
    for number, body in enumerate(bodies):
        (folder / f"{number:03d}.json").write_bytes(body)
    return folder


LARGE = "$.report.raw.summary[0].pageCount"
LONELY = b'{"report": {"id": "bad", "source": "magpie", "raw": {"\\ud800": "\\udc00", "b": {"\\ud801": {"c": 1}}}}}'


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("bad", "code", "path"),
    [
        (bank(pageCount=2**63), "number_out_of_range", LARGE),
        (bank(pageCount=-(2**63) - 1), "number_out_of_range", LARGE),
        (bank(pageCount=10**30), "number_out_of_range", LARGE),
        (bank(endDate="9999-12-31"), "bad_date", "$.report.raw.summary[0].endDate"),
    ],
    ids=["2**63", "-2**63-1", "10**30", "year 9999"],
)
def test_import__one_bad_payload_is_quarantined_with_its_place(tmp_path, bad, code, path, processes):
    store, result = bring(tmp_path / "in", [GOOD, bad, bank("other")], processes=processes)
    assert (result.n_published, result.n_quarantined, result.is_partial) == (2, 1, True)
    assert [(i.code, i.json_path) for i in result.issues] == [(code, path)]
    assert sorted(store.snapshot().read("reports")["report_id"]) == ["good", "other"]
    held = store.stored("quarantine", ["object_id", "code", "json_path"]).to_pylist()
    assert held == [{"object_id": "bad", "code": code, "json_path": path}]


def test_half_a_surrogate_pair__in_the_name_and_the_value_of_a_member(tmp_path):
    store, result = bring(tmp_path / "in", [LONELY, GOOD])
    assert (result.n_published, result.n_quarantined) == (2, 0)
    drift = store.stored("drift", ["json_path", "problem"]).to_pylist()
    assert {"json_path": "$.raw.�", "problem": "replaced_text"} in drift


def test_xray_import__ends_partial_and_names_the_payload(tmp_path, xray):
    (tmp_path / "b_page_count.json").write_bytes(bank(pageCount=2**63))
    (tmp_path / "a_good.json").write_bytes(GOOD)
    code, out, err = xray("import", tmp_path, "--store", tmp_path / "store")
    assert (code, "Traceback" in out + err, LARGE in out + err) == (3, False, True)


# What no reader foresaw: the class of the exception makes no difference, whichever step raises it


class Foreign(Exception):
    """Nothing that this package knows."""


RAISED = [
    Foreign("secret"), OverflowError("secret"), RecursionError(), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"),
    KeyError("secret"), pa.ArrowInvalid("secret"), AssertionError(), MemoryError(), StopIteration(), pa.ArrowInvalid,
]  # fmt: skip


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: getattr(error, "__name__", type(error).__name__))
@pytest.mark.parametrize("step", ["decode", "understand"])
def test_any_exception__while_one_payload_is_read(monkeypatch, step, raised):
    real = getattr(payload, step)

    def fails(first, *more):
        if (b'"bad"' in first) if step == "decode" else (first.item.get("id") == "bad"):
            raise raised
        return real(first, *more)

    monkeypatch.setattr(batch, step, fails)
    done = tidy([Received(body, AT, str(n)) for n, body in enumerate([GOOD, bank(), bank("other")])])
    assert [(o.object_id, o.status) for o in done.outcomes][0::2] == [("good", "published"), ("other", "published")]
    error = done.outcomes[1].error
    assert (done.outcomes[1].status, error.code, error.json_path) == ("quarantined", "unreadable", "$")
    assert ("secret" in str(error), error.__context__, error.__traceback__) == (False, None, None)
    assert done.tables["quarantine"]["stage"].to_pylist() == ["decode" if step == "decode" else "tidy"]


@pytest.mark.parametrize("raised", [Foreign("secret"), OverflowError("secret"), pa.ArrowInvalid("secret")])
@pytest.mark.parametrize("table", ["report_tables", "request_tables", "count"])
def test_any_exception__while_a_batch_becomes_tables(monkeypatch, table, raised):
    """The culprit is found, its versions are those of payloads that never came, and the others are published."""
    module = batch.drift if table == "count" else batch
    real = getattr(module, table)

    def fails(published):
        ids = [p[1] if table == "count" else p.read.object_id for p in published]
        if "bad" in ids:
            raise raised
        return real(published)

    monkeypatch.setattr(module, table, fails)
    bad = b'{"request": {"id": "bad", "code": {"type": "siren", "id": "1"}}}' if table == "request_tables" else bank()
    done = tidy([Received(body, AT, str(n)) for n, body in enumerate([GOOD, bad, bank("other"), bad])])
    assert [o.status for o in done.outcomes] == ["published", "quarantined", "published", "quarantined"]
    assert (done.outcomes[1].error.code, "secret" in str(done.outcomes[1].error)) == ("unreadable", False)
    assert done.tables["reports"]["report_id"].to_pylist() == ["good", "other"]
    assert done.tables["raw"]["object_id"].to_pylist() == ["good", "other"]
    assert done.tables["quarantine"]["object_id"].to_pylist() == ["bad", "bad"]


def test_any_exception__that_only_a_whole_batch_raises(monkeypatch):
    """No payload is at fault alone: each is tidied by itself, and all are published."""
    real, bodies = batch.report_tables, [GOOD, bank(), bank("other")]
    expected = tidy([Received(body, AT, str(n)) for n, body in enumerate(bodies)])

    def fails(published):
        if len(published) > 1:
            raise pa.ArrowCapacityError("too large")
        return real(published)

    monkeypatch.setattr(batch, "report_tables", fails)
    done = tidy([Received(body, AT, str(n)) for n, body in enumerate(bodies)])
    assert done.outcomes == expected.outcomes
    for name, rows in expected.tables.items():
        assert done.tables[name].combine_chunks().equals(rows.combine_chunks()), name


def test_versions__of_an_object_do_not_count_the_culprit(tmp_path, monkeypatch):
    real = batch.report_tables

    def fails(published):
        if any(p.read.product.report.get("financial_risk_class") == 5 for p in published):
            raise Foreign
        return real(published)

    monkeypatch.setattr(batch, "report_tables", fails)
    bodies = [GOOD.replace(b"3", risk) for risk in (b"5", b"4", b"5", b"4", b"2")]
    store, result = bring(tmp_path / "in", bodies)
    assert (result.n_published, result.n_unchanged, result.n_quarantined) == (2, 1, 2)
    rows = store.stored("reports", ["report_version", "financial_risk_class"]).to_pylist()
    assert sorted((r["report_version"], r["financial_risk_class"]) for r in rows) == [(1, 4), (2, 2)]


def test_import__one_bad_member_or_line_is_named_and_the_rest_goes_on(tmp_path):
    other = GOOD.replace(b"good", b"other")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, body in (("1.json", GOOD), ("2.json", b"CANARY" * 9), ("3.json.gz", b"no gzip"), ("4.json", other)):
            archive.writestr(name, body)
    whole = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(whole.replace(b"CANARY", b"CANARZ", 1))
    lines = [GOOD.replace(b"good", b"first"), b'"' + b"x" * 3000 + b'"', GOOD.replace(b"good", b"last")]
    (tmp_path / "b.ndjson").write_bytes(b"\n".join(lines))
    files = [tmp_path / "a.zip", tmp_path / "b.ndjson"]
    found = list(payloads({path: path.name for path in files}, fetched_at=AT, max_bytes=1000))
    assert [(type(one).__name__, one.origin.partition(":")[2]) for one in found] == [
        ("Received", "1.json"), ("Failed", "2.json"), ("Failed", "3.json.gz"), ("Received", "4.json"),
        ("Received", "1"), ("Failed", "2"), ("Received", "3"),
    ]  # fmt: skip
    assert [one.message.partition("(")[2] for one in found if isinstance(one, Failed)] == [
        "BadZipFile); the rest of its file was taken",
        "zlib inflate failed: incorrect header check); the rest of its file was taken",
        "larger than 1,000 bytes, the cap for one report); the rest of its file was taken",
    ]
    result = import_files(files, Store(tmp_path / "store"))
    assert (result.n_published, result.n_quarantined, result.n_failed) == (4, 1, 2)


def test_alias_map__that_is_wrong_is_the_callers_fault_and_not_the_payloads():
    with pytest.raises(InputError, match="has no column 'nothing'"):
        tidy([Received(bank(), AT, "x")], aliases={"nothing": ("a",)})


# Fuzzing


@pytest.fixture(scope="module")
def bodies():
    """The documented payloads, and some of the sandbox with few transactions."""
    found = [path.read_bytes() for path in sorted(DOCUMENTED.glob("*.json"))]
    with Sandbox(companies=4, seed=3) as served, XRayClient(served.settings()) as client:
        listed = [report.id for report in client.list_reports()]
        sent = [*client.list_requests()[:2], *(client.get_report(report_id) for report_id in listed[:8])]
    return [*found, *(_shortened(answer.body) for answer in sent)]


def _shortened(body):
    tree = json.loads(body)
    raw = tree.get("report", {}).get("raw", {})
    for name, value in raw.items():
        raw[name] = value[:6] if isinstance(value, list) else value
    return json.dumps(tree).encode()


@pytest.fixture(params=[2_000, pytest.param(20_000, marks=pytest.mark.long)], ids=["some", "many"])
def n_mutations(request):
    return request.param


def test_mutated_payloads__are_published_or_quarantined_and_nothing_else(bodies, n_mutations, figure):
    rng, outcomes, foreign = random.Random(20), Counter(), []
    sent = [Received(body, AT, str(n)) for n, body in enumerate(mutations(bodies, n_mutations, rng))]
    for start in range(0, len(sent), 50):
        chunk = [*sent[start : start + 50], Received(GOOD, AT, "good")]
        try:
            done = tidy(chunk)
            for one in chunk:
                assert all(isinstance(text, str) for text in (*ids.tokens(one.body), object_id_in(one.body) or ""))
        except Exception as error:
            foreign.append(repr(error))
            continue
        outcomes.update(outcome.status for outcome in done.outcomes)
        outcomes["unforeseen"] += sum(o.error is not None and o.error.code == "unreadable" for o in done.outcomes)
        assert done.outcomes[-1].status == "published"
        assert all(rows.schema.equals(tables.table(name).arrow_schema) for name, rows in done.tables.items())
    figure("mutated payloads", f"{n_mutations}, of which foreign exceptions {len(foreign)}: {dict(outcomes)}")
    assert (foreign, outcomes["unforeseen"]) == ([], 0)
    assert min(outcomes["published"], outcomes["quarantined"]) > n_mutations // 10, "the damage is neither nil nor all"


def test_import__of_mutated_payloads_adds_up(bodies, tmp_path):
    """Also where every payload is looked at twice, because somebody was forgotten."""
    sent = list(mutations(bodies, 150, random.Random(21)))
    store, result = bring(tmp_path / "in", [*sent, GOOD])
    assert result.n_fetched == result.n_published + result.n_unchanged + result.n_quarantined == len(sent) + 1
    forget(store, next(iter(store.snapshot().read("requests")["company_id"].dropna())))
    sent = [GOOD.replace(b"good", b"better"), *mutations(bodies, 150, random.Random(22))]
    again = import_files([put(tmp_path / "again", sent)], store)
    assert again.n_fetched == again.n_published + again.n_unchanged + again.n_quarantined == len(sent)
    assert again.n_forgotten > 0
    assert {"good", "better"} <= set(store.snapshot().read("reports")["report_id"])
    assert store.verify() == []


def test_cluster__one_bad_payload_of_a_task_does_not_stop_it(tmp_path, monkeypatch):
    """What a task does with its payloads needs no cluster."""
    from xray_analytics.ingest import spark
    from xray_analytics.store.remote.filesystem import place

    real = batch.report_tables

    def fails(published):
        if any(p.read.object_id == "worse" for p in published):
            raise Foreign
        return real(published)

    monkeypatch.setattr(batch, "report_tables", fails)
    task = spark._Task(spark._Work(str(tmp_path), tables.TRANSACTION_ALIASES, {"bank": "bank_xray"}), place(tmp_path))
    bodies = [GOOD, bank(pageCount=2**63), LONELY, bank("worse"), bank("other")]
    known = {"origin": "x", "position": 0, "kind": None, "object_id": None, "api_version": None, "fetched_at": AT}
    task.take([known | {"body": body} for body in bodies])
    (totals,) = (json.loads(row.data) for row in task.finish() if row.what == "totals")
    assert totals == {"published": 3, "quarantined": 2}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archive__two_members_of_one_name_are_both_taken(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("same.json", GOOD)
        archive.writestr("same.json", GOOD.replace(b"good", b"other"))
    store = Store(tmp_path / "store")
    assert import_files([tmp_path / "a.zip"], store).n_published == 2
    assert sorted(store.snapshot().read("reports")["report_id"]) == ["good", "other"]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("somebody_is_forgotten", [False, True])
def test_file_name__that_is_no_text_stops_nothing(tmp_path, xray, processes, somebody_is_forgotten):
    code = {"type": "siren", "id": "514673987"}
    first = json.dumps({"request": {"id": "q", "code": code}}).encode()
    store, _ = bring(tmp_path / "first", [first])
    if somebody_is_forgotten:
        forget(store, "514673987")
    folder = put(tmp_path / "in", [GOOD.replace(b'"q"', b'"r"')])
    for body in (b"{", bank(pageCount=2**63).replace(b'"q"', b'"r"')):
        (folder / os.fsdecode(b"\xff%d.json" % len(body))).write_bytes(body)
    (folder / os.fsdecode(b"\xfe.zip")).write_bytes(b"no archive")
    said, out, err = xray("import", folder, "--store", store.path, "--processes", processes)
    assert (said, "1 published" in out + err, "2 quarantined" in out + err) == (3, True, True), out + err
    origins = store.stored("quarantine", ["origin"])[0].to_pylist()
    assert sorted(origins) == ["?1.json", f"?{len(bank(pageCount=2**63))}.json"]
