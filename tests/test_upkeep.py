"""Compaction, rebuilding, erasure and verification: no answer changes, but for the company that was forgotten."""

import io
import json
import random
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_service import SmallService
from store_rows import make
from test_store import FailingOs, Killed

from xray_analytics import Store, XRayClient, attach, files, import_files, sync, tables
from xray_analytics.api.journal import Journal
from xray_analytics.errors import InputError, StoreError
from xray_analytics.ingest.erasure import forget
from xray_analytics.ingest.rebuild import rebuild
from xray_analytics.tidy import batch
from xray_analytics.tidy.decode import refuse

SIRENS = ("514673987", "732829320", "552100554")
REQUESTS = [f"61b1aaa{i}015c69003931e945" for i in range(3)]
BANKS = [f"61baf58{i}2353003b888c3d00" for i in range(3)]
RATINGS = [f"61baf59{i}2353003b888c3d00" for i in range(3)]
IBANS = [f"FR763000400003123456789{i}143" for i in range(3)]


def request(i):
    code = {"type": "siren", "id": SIRENS[i]}
    return {"request": {"id": REQUESTS[i], "code": code, "businessName": f"CANARY {i} SARL", "status": "open"}}


def bank(i, amount=10.5, **more):
    day = {"startDate": "2021-07-31", "endDate": "2021-08-31", "startBalance": 0, "endBalance": amount}
    entry = {"date": "2021-08-02", "amount": amount, "label": f"VIR CLIENT-{i} {IBANS[i]}", "strange": f"s{i}"} | more
    summary = {"statementId": f"s{i}", "bic": "", "iban": IBANS[i], "pageCount": 1, "movements": "correct", **day}
    raw = {"summary": [summary], "allTransactions": [entry]}
    return {"report": {"id": BANKS[i], "request": REQUESTS[i], "source": "bank_xray", "raw": raw}}


def rating(i, risk_class=1):
    raw = {"criterias": {"debt": {"value": 0.5 + i, "source": "magpie"}}, "riskClass": risk_class}
    return {"report": {"id": RATINGS[i], "request": REQUESTS[i], "source": "magpie", "raw": raw}}


def bring(store, *payloads):
    """Import payloads, in one commit."""
    folder = store.path.parent / "payloads"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, payload in enumerate(payloads):
        text = payload if isinstance(payload, str) else json.dumps(payload)
        (folder / f"{number:03d}.json").write_text(text)
    return import_files([folder], store)


def everything():
    return [payload for i in range(3) for payload in (request(i), bank(i), rating(i, 1 + i))]


def serving_all():
    """A service that has all of it."""
    service = SmallService()
    for i in range(3):
        service.requests[REQUESTS[i]] = request(i)["request"]
        service.reports |= {BANKS[i]: bank(i)["report"], RATINGS[i]: rating(i, 1 + i)["report"]}
    return service


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Six commits: three companies, A-B-A, a quarantined payload, the lender's files."""
    store = Store(tmp_path_factory.mktemp("made") / "store")
    bring(store, *everything(), '{"report": {"id": "cut')
    bring(store, bank(0, amount=99.0))
    bring(store, bank(0))
    bring(store, rating(1, risk_class=4))
    bring(store, rating(1, risk_class=2))
    rows = [{"company_id": s, "company_name": f"CANARY {i} SARL", "group_id": SIRENS[0]} for i, s in enumerate(SIRENS)]
    attach(store, tables.COMPANIES.to_pandas(make("companies", *rows)), table="companies")
    for siren in SIRENS:
        row = {"loan_id": f"L{siren}", "company_id": siren}
        attach(store, tables.LOANS.to_pandas(make("loans", row)), table="loans")
    return store


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "store")
    return Store(tmp_path / "store")


def says(store):
    """All that the store answers."""
    moments = sorted(row["finished_at"] for row in store.stored("runs").to_pylist())[:4]
    when = [(None, "available"), *((random.Random(1).choice(moments), clock) for clock in ("available", "fetched"))]
    seen = [store.snapshot(at, clock=clock) for at, clock in when]
    rows = [s.arrow(name).to_pylist() for s in seen for name in tables.TABLES if name not in ("runs", "raw")]
    return store.content_digest(clocks=True), rows


def flip(path):
    """One bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def part(store, table, number=0):
    return store.path / "parts" / table / store.head.parts[table][number].name


# Compaction


def test_compact__no_answer_changes(store, xray):
    before, n_files = says(store), store.status()["n_files"]
    code, out, _ = xray("compact", "--store", store.path, "--max-parts", 1, "--dry-run")
    assert (code, "raw: 5 files would be merged" in out, store.head.number) == (0, True, 9)
    assert xray("compact", "--store", store.path, "--max-parts", 1)[0] == 0
    assert (store.head.number, store.status()["n_files"] < n_files, says(store)) == (10, True, before)
    code, out, _ = xray("compact", "--store", store.path, "--max-parts", 1, "--grace", 0, "--json")
    assert (code, json.loads(out)) == (0, {"merged": {}, "removed": [], "dry_run": False})
    assert store.verify() == []


# Rebuilding


def test_rebuild__says_the_same_in_one_commit(store):
    before, runs = says(store), store.stored("runs").num_rows
    done = rebuild(store)
    assert (done.commit, done.n_versions, done.n_refused, done.n_recovered, done.dropped) == (10, 13, 0, 0, ())
    assert says(store) == before
    assert (store.verify(), store.stored("runs").num_rows) == ([], runs + 1)
    versions = store.stored("reports", ["report_id", "report_version"]).to_pylist()
    assert sorted(r["report_version"] for r in versions if r["report_id"] == BANKS[0]) == [1, 2, 3]


def test_rebuild__with_other_aliases_reads_the_bytes_anew(store, xray, tmp_path):
    (tmp_path / "x.toml").write_text('[transaction_aliases]\ncounterparty = ["strange"]\n')
    assert store.snapshot().read("transactions")["counterparty"].isna().all()
    code, out, _ = xray("rebuild", "--store", store.path, "--settings", tmp_path / "x.toml")
    assert (code, out) == (0, "13 versions read again, 0 recovered from quarantine.\n")
    assert sorted(store.snapshot().read("transactions")["counterparty"]) == ["s0", "s1", "s2"]
    assert xray("rebuild", "--store", tmp_path / "none")[0] == 2


def test_rebuild__recovers_what_is_understood_now(store):
    """Bytes in quarantine become the next version at the time they were fetched, unless something newer is there."""
    later, early = json.dumps(rating(0, risk_class=5)).encode(), json.dumps(rating(1, risk_class=1)).encode()
    at = [row["finished_at"] for row in store.stored("runs").to_pylist()]
    held = {"stage": "tidy", "code": "x"}
    rows = [
        held | {"raw_sha256": "a", "object_id": RATINGS[0], "fetched_at": max(at), "body": later},
        held | {"raw_sha256": "b", "object_id": RATINGS[1], "fetched_at": min(at) - timedelta(days=1), "body": early},
    ]
    with store.writer() as writer:
        writer.append("quarantine", make("quarantine", *rows))
        writer.commit()
    assert rebuild(store).n_recovered == 1
    ratings = store.snapshot().read("reports").set_index("report_id")
    assert ratings.loc[RATINGS, "financial_risk_class"].tolist() == [5, 2, 3]
    assert ratings.loc[RATINGS[0], "fetched_at"].to_pydatetime() == max(at)
    digest = store.content_digest(clocks=True)
    assert (rebuild(store).n_recovered, store.content_digest(clocks=True), store.verify()) == (0, digest, [])


def test_rebuild__what_was_read_once_is_read_again_whatever_the_layouts_now(store, xray, tmp_path):
    (tmp_path / "x.toml").write_text('[transaction_aliases]\nbooked_date = ["strange"]\n')
    n_quarantined = store.stored("quarantine").num_rows
    code, out, _ = xray("rebuild", "--store", store.path, "--settings", tmp_path / "x.toml")
    assert code == 0
    assert "5 of them with the layout that read them before, not with one given now." in out
    assert len(store.snapshot().read("transactions")) == 3
    assert store.stored("quarantine").num_rows == n_quarantined


def test_rebuild__a_version_not_understood_any_more_is_named_and_kept(store, monkeypatch):
    real = batch.understand

    def stricter(content, *more):
        if content.item.get("id") in BANKS:
            refuse("bad_id", "id", "expected another id, found this one")
        return real(content, *more)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "understand", stricter)
        assert rebuild(store).n_refused == 5
        assert len(store.snapshot().read("transactions")) == 0
        n_quarantined = store.stored("quarantine").num_rows
        assert rebuild(store).n_refused == 5
        assert store.stored("quarantine").num_rows == n_quarantined, "named once"
    assert rebuild(store).n_refused == 0
    assert len(store.snapshot().read("transactions")) == 3


# Damage


@pytest.mark.parametrize("damage", [flip, Path.unlink], ids=["flipped", "missing"])
def test_damage__of_a_tidy_table_is_healed_by_rebuild(store, xray, damage):
    before = says(store)
    for name in ("reports", "transactions", "drift"):
        damage(part(store, name))
    code, out, _ = xray("verify", "--store", store.path)
    assert (code, out.count("; run `xray rebuild`\n")) == (6, 3)
    assert (out.count(";"), out.count(".parquet")) == (3, 3), "each sentence names its file and its remedy once"
    with pytest.raises(StoreError, match=r"is damaged.*`xray rebuild` makes the tables anew"):
        store.snapshot().read("transactions")
    assert xray("rebuild", "--store", store.path)[0] == 0
    assert (store.verify(), says(store)) == ([], before)


def test_damage__of_raw_is_never_dropped_in_silence(store, xray):
    service = serving_all()
    flip(part(store, "raw"))
    code, out, _ = xray("verify", "--store", store.path)
    assert code == 6
    assert f"the bytes of these reports are lost: {', '.join(sorted([*BANKS, *RATINGS]))}; restore it" in out
    code, _, err = xray("rebuild", "--store", store.path)
    assert (code, "`xray verify` lists all damage and what mends it\n" in err) == (6, True)
    assert store.head.number == 9
    code, out, _ = xray("rebuild", "--store", store.path, "--drop-damaged")
    assert (code, out.count("Given up: parts/raw/")) == (3, 1)
    assert store.verify() == []
    kept = store.stored("reports", ["report_id", "report_version"]).to_pylist()
    assert [(r["report_id"], r["report_version"]) for r in kept] == [(BANKS[0], 2), (RATINGS[1], 2)]
    with service.running() as settings, XRayClient(settings) as client:
        assert sync(client, store).n_failed == 0
    assert set(store.snapshot().read("reports")["report_id"]) == {*BANKS, *RATINGS}
    assert store.verify() == []


def test_damage__of_the_lenders_files(store, xray):
    flip(part(store, "loans"))
    assert "and then `xray attach` the file again" in xray("verify", "--store", store.path)[1]
    assert xray("rebuild", "--store", store.path, "--drop-damaged", "--json")[0] == 3
    assert (store.verify(), store.stored("loans").num_rows) == ([], 2)


def test_newest_manifest__its_loss_is_noticed(store):
    newest = store.path / "commits" / f"{store.head.number:012d}.json"
    newest.unlink()
    with pytest.raises(StoreError, match="the manifests of commits up to 9 are missing"):
        store.snapshot()
    with pytest.raises(StoreError, match="are missing"), store.writer():
        pytest.fail("a writer was given")
    assert [finding.file for finding in store.verify()] == ["commits"]


@pytest.mark.parametrize("lock", [b"", b"123", b"123\n", b"123\n8", b"123\nx\n", b"1\n2\n3"])
def test_lock_file__cut_short_accuses_nobody(store, lock):
    (store.path / "lock").write_bytes(lock)
    assert store.head.number == 9
    with store.writer() as writer:
        writer.commit()
    assert store.head.number == 10


# Another schema


def test_schema__older_is_said_and_made_anew_by_who_brings_data(store, xray, monkeypatch):
    before, ours = says(store), tables.SCHEMA_VERSION
    monkeypatch.setattr(tables, "SCHEMA_VERSION", ours + 1)
    for command in (["status"], ["read", "reports"], ["compact"], ["forget", "--company", SIRENS[0], "--yes"]):
        code, _, err = xray(*command, "--store", store.path)
        assert (code, f"its tables have schema {ours}, this package's have {ours + 1}; run `xray rebuild`" in err) == (
            6,
            True,
        )
    assert [f.remedy for f in store.verify()] == ["run `xray rebuild`"]
    bring(store, *everything())
    assert (store.head.schema_version, store.head.number, says(store)) == (ours + 1, 10, before)
    monkeypatch.setattr(tables, "SCHEMA_VERSION", ours)
    with pytest.raises(StoreError, match=f"this package knows up to {ours}: upgrade it"):
        store.snapshot()
    with pytest.raises(StoreError, match="upgrade it"):
        rebuild(store)


@pytest.fixture(params=[19, pytest.param(1, marks=pytest.mark.long)], ids=["some", "every"])
def step(request):
    """Every so many calls of `os` one fails."""
    return request.param


def test_rebuild__fails_at_any_call_and_changed_nothing(made, tmp_path, monkeypatch, step):
    before = made.content_digest(clocks=True)
    monkeypatch.setattr(tables, "SCHEMA_VERSION", tables.SCHEMA_VERSION + 1)
    numbers = []
    for k in range(3, 600, step):
        one = Store(shutil.copytree(made.path, tmp_path / f"{k}"))
        failing = FailingOs(k, Killed if k % 2 else 28)
        failed(partial(rebuild, one), failing, monkeypatch)
        if failing.calls < k:
            break
        numbers.append(one.head.number)
        assert one.content_digest(clocks=True) == before
        assert rebuild(one).commit == numbers[-1] + 1
        assert one.content_digest(clocks=True) == before
        shutil.rmtree(one.path)
    assert (numbers[0], sorted(numbers)) == (9, numbers)
    assert len(numbers) >= 80 // step


def failed(run, failing, monkeypatch):
    """Whether it failed, with one call of `os` failing."""
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", failing)
        try:
            run()
        except (StoreError, Killed):
            return True
    return False


# Erasure


def traces(store, *words):
    """Every place in the store's files, decompressed too, that holds one of the words."""
    pattern, found = re.compile("|".join(map(re.escape, words)).encode()), []
    for path in store.path.rglob("*"):
        if not path.is_file():
            continue
        texts = [path.name.encode(), path.read_bytes()]
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            texts += [repr(file.metadata.to_dict()).encode(), *map(_as_bytes, file.read().to_pylist())]
        found += [f"{path.name}: {hit}" for text in texts for hit in pattern.findall(text)]
    return found


def _as_bytes(row):
    return b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in row.values())


WORDS = (SIRENS[0], REQUESTS[0], BANKS[0], RATINGS[0], IBANS[0], "CANARY 0", "CLIENT-0")


def prepare_to_forget(store):
    """Traces of the company also in quarantine, documents, media and the cursor."""
    with store.writer() as writer:
        bodies = [f'{{"x": "{SIRENS[0]}"'.encode(), b'{"x": "y"', json.dumps(bank(0)).encode()]
        rows = [{"raw_sha256": str(i), "body": body, "stage": "tidy"} for i, body in enumerate(bodies)]
        writer.append("quarantine", make("quarantine", *rows, {"raw_sha256": "q", "object_id": RATINGS[0]}))
        media = [
            {"medium_id": f"{i}" * 24, "request_id": r, "file_name": f"CANARY {i}"} for i, r in enumerate(REQUESTS)
        ]
        writer.append("media", make("media", *media))
        writer.commit(cursor={"listed": {}, "withdrawn": {BANKS[0]: "x"}, "unfinished": {"magpie": REQUESTS}})
    for i in (0, 1):
        store.add_document(BANKS[i], f"%PDF CANARY {i}".encode())
    with Journal(store.path / "journal.sqlite3") as journal:
        for i in (0, 1):
            journal.intend("request", f"siren:{SIRENS[i]}", {"code": SIRENS[i]})
            journal.enqueue("report.created", REQUESTS[i], BANKS[i], datetime.now(UTC))


def test_forget__no_byte_of_the_company_is_left(store, xray):
    prepare_to_forget(store)
    assert len(traces(store, *WORDS)) > 50, "the search finds what is there"
    other = Store(store.path.parent / "other")
    shutil.copytree(store.path, other.path)
    assert xray("forget", "--company", "732829321", "--yes", "--store", store.path)[0] == 2
    code, out, _ = xray("forget", "--company", SIRENS[0], "--yes", "--store", store.path)
    assert code == 0
    assert "reports: 4 rows erased\n" in out
    assert "quarantine: 3 rows erased\n" in out
    assert "1 documents, 2 lines of the journal and " in out
    assert traces(store, *WORDS) == []
    assert sorted(p.name for p in (store.path / "commits").iterdir()) == [f"{store.head.number:012d}.json"]
    assert (store.path / "key").stat().st_mode & 0o777 == 0o600
    assert store.verify() == []
    check_others(store, other)


def check_others(store, before):
    """What the store says of the other companies is what it said before."""
    ours = {SIRENS[0], REQUESTS[0], BANKS[0], RATINGS[0], "0" * 24}
    for name in sorted(set(tables.TABLES) - {"runs", "drift", "quarantine", "layouts"}):
        owner = next(c for c in ("object_id", "report_id", "request_id", "company_id") if c in tables.table(name).names)
        old, new = (s.snapshot().arrow(name).to_pylist() for s in (before, store))
        expected = [row for row in old if row[owner] not in ours]
        for row in expected if name == "companies" else ():
            row["group_id"] = None
        assert new == expected, name
    assert store.head.cursor["unfinished"] == {"magpie": REQUESTS[1:]}
    assert list(store.head.cursor["documents"]) == [BANKS[1]]
    assert store.document(BANKS[1]) == b"%PDF CANARY 1"
    digest = store.content_digest(clocks=True)
    rebuild(store)
    assert store.content_digest(clocks=True) == digest, "the drift is that of the others"


def test_forget__nothing_brings_it_back(store):
    forget(store, SIRENS[0])
    again = forget(store, SIRENS[0])
    assert (again.rows, again.commit) == ({}, None)
    digest, number = store.content_digest(clocks=True), store.head.number
    new = {"request": request(0)["request"] | {"id": "61b1aaaf015c69003931e945"}}
    bad = bank(0, amount="not a number")
    result = bring(store, new, *everything(), bad, '{"report": {"id": "' + BANKS[0] + '"')
    assert (result.n_published, result.n_quarantined, result.n_unchanged) == (0, 0, 12)
    assert (store.content_digest(clocks=True), store.head.number) == (digest, number)
    service = serving_all()
    service.requests[new["request"]["id"]] = new["request"]
    service.add_report("61baf5ff2353003b888c3d00", new["request"]["id"], "magpie", {})
    with service.running() as settings, XRayClient(settings) as client:
        result = sync(client, store, full=True, recheck=True)
        assert (result.n_listed, result.n_published, result.n_quarantined) == (4, 0, 0)
        assert service.calls[f"GET /reports/{BANKS[0]}"] == 0
        assert sync(client, store).commits == ()
    assert store.content_digest(clocks=True) == digest
    assert traces(store, *WORDS) == []
    for at in ("2021-12-31", "2030-01-01"):
        assert SIRENS[0] not in set(store.snapshot(at).read("reports")["company_id"].dropna())
    (store.path / "key").unlink()
    with pytest.raises(StoreError, match="its file key is missing, and without it companies"):
        bring(store, *everything())


def test_forget__fails_at_any_call_and_the_next_writer_finishes(made, tmp_path, monkeypatch, step):
    """Either it has not begun, or all tables are without the company and whoever writes next removes the old files."""
    first = Store(shutil.copytree(made.path, tmp_path / "first"))
    prepare_to_forget(first)
    outcomes = []
    for k in range(3, 900, step):
        store = Store(shutil.copytree(first.path, tmp_path / "store"))
        failing = FailingOs(k, Killed if k % 2 else 28)
        with Journal(store.path / "journal.sqlite3") as journal:
            has_failed = failed(partial(forget, store, SIRENS[0], journal=journal), failing, monkeypatch)
            if not has_failed:
                break
            begun = SIRENS[0] not in set(store.snapshot().read("requests")["company_id"])
            outcomes.append(begun + bool(begun and not store.verify()))
            if begun:
                with store.writer():
                    pass
            assert bool(forget(store, SIRENS[0], journal=journal).commit) != begun
        assert (traces(store, *WORDS), store.verify()) == ([], [])
        shutil.rmtree(store.path)
    assert outcomes == sorted(outcomes)
    assert {0, 1} <= set(outcomes)


def test_forget__the_lenders_file_does_not_bring_it_back(store, tmp_path):
    forget(store, SIRENS[0])
    file = tmp_path / "companies.csv"
    file.write_text("company_id,company_name\n" + "".join(f"{siren},SYNTHETIC {siren[:3]} Ltd\n" for siren in SIRENS))
    done = attach(store, file)
    assert (done.n_rows, done.n_new, done.n_forgotten) == (3, 2, 1)
    assert SIRENS[0] not in set(store.snapshot().read("companies")["company_id"])


def test_forget__asks_first(store, xray, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, _, _ = xray("forget", "--company", SIRENS[0], "--store", store.path)
    assert (code, store.head.number) == (1, 9)
    with pytest.raises(InputError, match=r"nothing in .* belongs to company '0'; check its code"):
        forget(store, "0")


def test_forget__a_company_that_is_in_quarantine_only(tmp_path):
    store = Store(tmp_path / "store")
    bring(store, json.dumps(request(1)), json.dumps(request(0))[:-1])
    assert forget(store, SIRENS[0]).rows == {"quarantine": 1}
    assert (traces(store, *WORDS), store.stored("requests").num_rows) == ([], 1)


# Withdrawn


def test_withdrawn__is_marked_kept_and_cleared(tmp_path, xray):
    service, store = SmallService(), Store(tmp_path / "store")
    service.add_request(REQUESTS[0])
    service.reports = {RATINGS[0]: rating(0)["report"], BANKS[0]: bank(0)["report"]}
    with service.running() as settings, XRayClient(settings) as client:
        sync(client, store)
        service.broken[f"/reports/{RATINGS[0]}"] = 404
        assert sync(client, store, recheck=True, full=True).n_withdrawn == 1
        first = store.snapshot().withdrawn()
        assert list(first) == [RATINGS[0]]
        assert sync(client, store, recheck=True, full=True).n_withdrawn == 1
        assert store.snapshot().withdrawn() == first, "since when it was first noticed"
        assert store.snapshot("2020-01-01").withdrawn() == {}
        assert set(store.snapshot().read("reports")["report_id"]) == {RATINGS[0], BANKS[0]}
        assert "Reports no longer at the service: 1; they are kept here." in xray("status", "--store", store.path)[1]
        service.broken.clear()
        sync(client, store, recheck=True, full=True)
        assert store.snapshot().withdrawn() == {}
        service.reports.clear()
        sync(client, store, full=True, recheck=True)
    assert len(store.snapshot().read("reports")) == 2, "an empty list deletes nothing"
