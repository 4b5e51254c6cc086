"""A company that was forgotten stays forgotten: every way back that anyone has thought of is tried, and none works."""

import json
import os
import shutil
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from small_service import SmallService
from test_upkeep import BANKS, IBANS, RATINGS, REQUESTS, SIRENS, WORDS, bank, bring, rating, request, traces

from xray_analytics import PublishedStore, Store, XRayClient, attach, import_files, sync
from xray_analytics.api.journal import Journal
from xray_analytics.errors import InputError, StoreError
from xray_analytics.ingest.deliveries import drain
from xray_analytics.ingest.erasure import forget
from xray_analytics.ingest.rebuild import rebuild
from xray_analytics.store import tombstones

SIREN, SPACED, SIRET = SIRENS[0], "514 673\u202f987", "51467398700012"
NEW = "61b1aaaf015c69003931e94f"  # a request, and a report, that the store never saw
REPORT = "61baf5ff2353003b888c3d0f"
TRACES = (
    *WORDS,
    "514.673.987",
    "514-673-987",
    "５１４６７３９８７",
    SPACED,
    SIRET,
    NEW,
    REPORT,
    REQUESTS[0].upper(),
    BANKS[0].upper(),
    "514 673 987",
    "CANARY-BACK",
)


@pytest.fixture(scope="module")
def forgotten(tmp_path_factory):
    """A store of two companies that has forgotten the first."""
    store = Store(tmp_path_factory.mktemp("forgotten") / "store")
    bring(store, request(0), bank(0), rating(0), request(1), bank(1), rating(1))
    attach(store, pd.DataFrame({"company_id": SIRENS[:2], "company_name": ["CANARY 0", "other"]}), table="companies")
    forget(store, SIREN)
    return store


@pytest.fixture
def store(forgotten, tmp_path):
    return Store(shutil.copytree(forgotten.path, tmp_path / "store"))


def code(value, type_="siren"):
    return {"type": type_, "id": value}


def of_request(request_id=NEW, **members):
    return {"request": {"id": request_id, "status": "open", "businessName": "CANARY-BACK", **members}}


def of_report(report_id=REPORT, request_id=NEW, **members):
    raw = {"summary": [], "allTransactions": [{"date": "2021-08-02", "amount": 1, "label": "CANARY-BACK"}]}
    return {"report": {"id": report_id, "request": request_id, "source": "bank_xray", "raw": raw, **members}}


def cut(payload):
    """Bytes that nobody understands."""
    return json.dumps(payload)[:-1]


UNKNOWN = {"data": {"siren": SIREN, "text": "CANARY-BACK"}}
IMPORTED = {
    "a report that sorts before its request": [of_report(), of_request(code=code(SIREN))],
    "a request given as an object": [of_report(request_id={"id": REQUESTS[0], "x": "CANARY-BACK"})],
    "the same before its request": [of_report(request_id={"id": NEW}), of_request(code=code(SIREN))],
    "a code with blanks": [of_request(code=code(SPACED)), of_report()],
    "a code as SIRET": [of_request(code=code(SIRET, "siret")), of_report()],
    "a code that is a number": [of_request(code=code(int(SIREN))), of_report()],
    "a code that is a number with a fraction": [of_request(code=code(float(SIREN))), of_report()],
    "a code with points": [of_request(code=code("514.673.987")), of_report(code=code("514-673-987"))],
    "a code in wide digits": [of_request(code=code("５１４６７３９８７")), of_report()],
    "a code that is empty, and given elsewhere": [of_request(code=code("") | {"siren": SIREN}), of_report()],
    "a code of another kind beside it": [of_request(code=code("X1", "own") | {"siren": SPACED}), of_report()],
    "a VAT number": [of_request(code=code(f"FR40{SIREN}", "vat")), of_report()],
    "a code that is a member's name": [of_request(companies={SIREN: {}}), of_report()],
    "a code without its type": [of_request(code=SPACED), of_report()],
    "a code in an array": [of_request(code=[code(SIREN)]), of_report()],
    "a code under another name": [of_report(companyId=SPACED)],
    "a code on the report": [of_report(code=code(SPACED))],
    "a code beside the report": [of_report() | {"company": {"siren": SIREN}}],
    "a request in upper case": [of_report(request_id=REQUESTS[0].upper())],
    "a report in upper case": [of_report(report_id=BANKS[0].upper())],
    "a request that is new, in upper case": [of_report(request_id=NEW.upper()), of_request(code=code(SIREN))],
    "an unknown envelope": [json.dumps(UNKNOWN)],
    "an unknown envelope with blanks": [json.dumps({"data": {"text": f"CANARY-BACK of {SPACED} in 75001"}})],
    "an unknown envelope with escapes": [json.dumps(UNKNOWN).replace("514", r"\u0035\u00314")],
    "a list of reports": [json.dumps([of_report(request_id=REQUESTS[0])])],
    "another encoding": [json.dumps(UNKNOWN).encode("utf-16")],
    "bytes cut short": [cut(of_request(code=code(SPACED))), cut(of_report(request_id=REQUESTS[0].upper()))],
    "a page of another kind": [f"<html>{SPACED} CANARY-BACK</html>"],
    "a member given twice": [json.dumps(of_request(code=1)).replace('"code": 1', f'"code": {{}}, "code": "{SIRET}"')],
    "a payload that is refused": [of_report(request_id=REQUESTS[0], source=1), of_report(creation=SIREN)],
    "half a surrogate pair": [json.dumps(of_request(code=code(SPACED), x=1)).replace('"x": 1', r'"\ud800": "\udc00"')],
}  # fmt: skip
TRIED = {"attempts": 0, "violations": 0}
DIGESTS = {}  # of the commits before


@contextmanager
def attempt(store, figure, *, still=()):
    """Something is tried; afterwards no byte of the company is in the store, and the others are as they were."""
    commit = store.head
    before = DIGESTS[commit.digest] = DIGESTS.get(commit.digest) or store.content_digest(clocks=True)
    TRIED["attempts"] += 1
    TRIED["violations"] += 1
    yield
    assert traces(store, *TRACES) == []
    if store.head != commit:
        assert store.content_digest(clocks=True) == before or still
        assert store.verify() == []
    assert SIREN in store.tombstones()
    TRIED["violations"] -= 1
    figure("ways back for a company that was forgotten", f"{TRIED['attempts']} tried, {TRIED['violations']} work")


def put(folder, payloads):
    folder.mkdir()
    for number, payload in enumerate(payloads):
        body = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        (folder / f"{number}.json").write_bytes(body if isinstance(body, bytes) else body.encode())
    return folder


@pytest.mark.parametrize("way", IMPORTED)
def test_import__does_not_bring_it_back(store, tmp_path, way, figure):
    with attempt(store, figure):
        result = import_files([put(tmp_path / "in", IMPORTED[way])], store)
    assert (result.n_published, result.n_quarantined, result.issues) == (0, 0, ())
    assert result.n_forgotten == result.n_unchanged == result.n_fetched == len(IMPORTED[way])


def test_import__in_an_archive_and_with_processes(store, tmp_path, figure):
    lines = [json.dumps(payload) for way in IMPORTED.values() for payload in way if isinstance(payload, dict)]
    (tmp_path / "all.ndjson").write_text("\n".join(sorted(lines, reverse=True)))
    with attempt(store, figure):
        assert import_files([tmp_path / "all.ndjson"], store, processes=2).n_forgotten == len(lines)


def serving(*payloads):
    service = SmallService()
    service.list_members = ("id", "request", "source")
    for payload in payloads:
        ((kind, item),) = payload.items()
        getattr(service, f"{kind}s")[item["id"]] = item
    return service


SYNCED = {
    "a code with blanks": [of_request(code=code(SPACED)), of_report()],
    "a code as SIRET": [of_request(code=code(SIRET)), of_report()],
    "a code as a number": [of_request(code=int(SIREN)), of_report()],
    "another's request that names it on the report": [of_report(request_id=REQUESTS[1], code=code(SPACED))],
    "a report without its request": [of_report(request_id=REQUESTS[1], code=SIREN)],
}


@pytest.mark.parametrize("way", SYNCED)
def test_sync__does_not_bring_it_back(store, way, figure):
    service = serving(request(1), bank(1), rating(1), *SYNCED[way])
    with service.running() as settings, XRayClient(settings) as client:
        sync(client, store, full=True)
        with attempt(store, figure):
            result = sync(client, store, full=True, recheck=True)
    assert (result.n_published, result.n_quarantined) == (0, 0)


@pytest.mark.parametrize(
    "payloads",
    [
        [of_report(request_id=REQUESTS[0].upper())],
        [of_report(), of_request(code=code(SPACED))],
        [of_report(request_id={"id": NEW}), of_request(code=code(SIRET))],
        [of_report(request_id=NEW.upper()), of_request(code=code(SIREN))],
        [of_report(code=SPACED)],
    ],
    ids=["upper case", "blanks", "an object", "a new one in upper case", "on the report"],
)
def test_deliveries__do_not_bring_it_back(store, payloads, figure):
    """Nor do they leave its ids in the journal."""
    with Journal(store.path / "journal.sqlite3") as journal:
        journal.enqueue("report.created", NEW, REPORT, datetime(2025, 1, 1, tzinfo=UTC))
        with attempt(store, figure), serving(*payloads).running() as settings, XRayClient(settings) as client:
            result = drain(client, store, journal)
        assert (result.n_published, result.n_quarantined) == (0, 0)
        assert journal.counts() == {"pending": 0, "done": 1, "parked": 0}


ROWS = [SIREN, SPACED, SIRET, " 514673987", "514\t673\t987", "514 673 987 00012"]


@pytest.mark.parametrize("table", ["companies", "loans", "outcomes"])
def test_attach__does_not_bring_it_back(store, table, figure):
    row = {"companies": {"company_name": "CANARY-BACK"}, "loans": {"loan_id": "CANARY-BACK"}, "outcomes": {}}[table]
    for spelled in ROWS:
        with attempt(store, figure):
            done = attach(store, pd.DataFrame([{"company_id": spelled, **row}]), table=table)
        assert (done.n_rows, done.n_new) == (1, 0)


def test_attach__as_anothers_group(store, figure):
    for spelled in ROWS:
        with attempt(store, figure, still="the other company"):
            attach(store, pd.DataFrame([{"company_id": "552100554", "group_id": spelled}]), table="companies")
    assert store.snapshot().read("companies").set_index("company_id")["group_id"].isna().all()


def test_pdf__of_its_report_is_not_kept(store, figure):
    for report_id in (BANKS[0], BANKS[0].upper()):
        with attempt(store, figure), pytest.raises(InputError, match="company that was forgotten"):
            store.add_document(report_id, b"%PDF CANARY-BACK")


def test_rebuild__does_not_bring_it_back(store, figure):
    with attempt(store, figure):
        rebuild(store)


# What is known only later


def test_report_before_its_request__goes_when_that_comes(store, tmp_path, figure):
    """Known neither to the store nor to the run it is published; the run that learns whose it is erases it."""
    with Journal(store.path / "journal.sqlite3") as journal:
        journal.enqueue("report.created", NEW, REPORT, datetime(2025, 1, 1, tzinfo=UTC))
    before = store.content_digest(clocks=True)
    for number, request_id in enumerate((NEW, NEW.upper(), {"id": NEW})):
        late = of_report(report_id=f"{number}{REPORT[1:]}", request_id=request_id)
        assert import_files([put(tmp_path / f"a{number}", [late])], store).n_published == 1
    store.add_document(f"0{REPORT[1:]}", b"%PDF CANARY-BACK")
    assert traces(store, "CANARY-BACK") != []
    service = serving(request(1), bank(1), rating(1), of_request(code=code(SPACED)))
    with Journal(store.path / "journal.sqlite3") as journal, attempt(store, figure, still="compared below"):
        with service.running() as settings, XRayClient(settings) as client:
            result = sync(client, store, journal=journal)
        assert (result.n_forgotten, store.head.number) == (1, result.commits[-1])
    assert store.content_digest(clocks=True) == before
    assert store.head.root == store.head.number, "nothing before it can be read"
    again = import_files([put(tmp_path / "b", [of_report()])], store)
    assert (again.n_forgotten, again.n_published) == (1, 0), "the request is remembered"


def test_others__that_only_mention_it_are_published(store, tmp_path):
    theirs = [
        of_request(f"1{NEW[1:]}", code=code("552100554"), businessName=SIREN),
        of_report(f"1{REPORT[1:]}", f"1{NEW[1:]}", seeAlso=SIREN),
        of_report(f"2{REPORT[1:]}", "unknown", code=code("552100554"), seeAlso=SPACED),
    ]
    theirs[1]["report"]["raw"]["allTransactions"][0]["label"] = f"VIR {SPACED}"
    assert import_files([put(tmp_path / "in", theirs)], store).n_published == 3
    assert sorted(store.snapshot().read("reports")["company_id"].dropna()) == ["552100554"] * 2 + [SIRENS[1]] * 2
    forget(store, "552 100 554")
    assert sorted(store.snapshot().read("reports")["company_id"].dropna()) == [SIRENS[1]] * 2


def test_forget__takes_every_spelling_that_the_store_holds(tmp_path):
    """A store of 0.1.0 holds codes as they were typed."""
    store = Store(tmp_path / "store")
    bring(
        store,
        of_request(code=code(SPACED)), of_report(), of_report(BANKS[0], REQUESTS[0].upper()), request(0),
        of_report(f"3{REPORT[1:]}", {"id": NEW}), cut(of_report(f"4{REPORT[1:]}", NEW.upper())), request(1), bank(1),
    )  # fmt: skip
    done = forget(store, SIRET)
    assert (done.rows["requests"], done.rows["reports"], done.rows["quarantine"]) == (2, 3, 1)
    assert (traces(store, *TRACES), store.verify()) == ([], [])
    assert all(one in store.tombstones() for one in (SIREN, SPACED, SIRET, NEW.upper(), BANKS[0], REQUESTS[0]))
    assert list(store.snapshot().read("reports")["report_id"]) == [BANKS[1]]


def test_old_tombstone__covers_its_own_spelling_and_every_spelling_leads_to_it():
    key = bytes(32)
    old = tombstones.Tombstones(key, frozenset({tombstones._mark(key, SIREN), tombstones._mark(key, "7 3 2")}))
    assert all(one in old for one in (*ROWS, "7 3 2"))
    assert "732" not in old
    assert "732829320" not in old


# The key


@pytest.mark.parametrize("bit", range(0, 256, 17))
def test_key__one_flipped_bit_is_noticed(store, tmp_path, bit, figure):
    path = store.path / "key"
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    (finding,) = store.verify()
    assert (finding.file, finding.problem[:10], finding.remedy) == ("key", "is damaged", "restore it from a backup")
    with pytest.raises(StoreError, match="its file key is damaged, and without it companies"):
        import_files([put(tmp_path / "in", [request(0)])], store)
    with pytest.raises(StoreError, match="its file key is damaged"):
        attach(store, pd.DataFrame({"company_id": [SIREN]}), table="companies")


@pytest.mark.parametrize("n", [0, 1, 31, 33])
def test_key__of_another_length_is_noticed_also_where_no_digest_is_recorded(store, n):
    (store.path / "key").write_bytes(bytes(n))
    assert [f.file for f in store.verify()] == ["key"]
    assert "is damaged" in str(tombstones.fault(store.path, frozenset({"0" * 32}), None))


def test_key__without_a_recorded_digest_is_said_and_recorded_by_the_next_commit(store, monkeypatch):
    with monkeypatch.context() as patch, store.writer() as writer:  # as a package before 0.2.0 wrote it
        patch.setattr(type(writer), "_key_digest", lambda self: None)
        writer.commit()
    (finding,) = store.verify()
    assert (finding.file, "not recorded" in finding.problem) == ("key", True)
    assert store.compact() is not None
    assert store.verify() == []
    assert store.compact() is None


# What is put back, or left behind


def test_old_manifest_and_parts__put_back_are_not_read_found_and_removed(tmp_path, figure):
    store = Store(tmp_path / "store")
    bring(store, request(0), bank(0), request(1), bank(1))
    bring(store, rating(0))
    backup = shutil.copytree(store.path, tmp_path / "backup")
    forget(store, SIREN)
    for folder in ("commits", "parts"):
        for path in (backup / folder).rglob("*.*"):
            target = store.path / path.relative_to(backup)
            if not target.exists():
                shutil.copy2(path, target)
    for commit in (1, 2):
        with pytest.raises(StoreError, match=rf"commit {commit} is from before a company was forgotten.*compact"):
            store.snapshot(commit=commit)
    problems = [f.problem for f in store.verify() if "xray compact" in f.remedy]
    assert problems.count("is from before a company was forgotten") >= 4
    forgotten_at = store.head.number
    bring(store, bank(1, amount=3.0))
    said = store.snapshot(commit=forgotten_at).read("reports")
    shutil.copy2(backup / "commits" / f"{1:012d}.json", store.path / "commits")
    with store.writer():
        pass
    assert (traces(store, *WORDS), store.verify()) == ([], [])
    assert store.snapshot(commit=forgotten_at).read("reports").equals(said), "commits since then stay readable"


STRAYS = (
    "parts/reports/x.parquet.part",
    "commits/000000000001.json.tmp",
    "documents/copy.pdf",
    ".xray-1.part",
    "a.part",
)


def test_strays__are_found_and_removed_by_upkeep(store, xray):
    for name in STRAYS:
        (store.path / name).parent.mkdir(exist_ok=True)
        (store.path / name).write_text("CANARY-BACK")
    old = [store.path / "parts" / "reports" / f"{3:012d}-{0:012x}.parquet", store.path / "documents" / f"{0:064x}.pdf"]
    for path in old:
        path.write_text("CANARY-BACK")
        os.utime(path, (0, 0))
    (store.path / "notes.txt").write_text("mine")
    code, out, _ = xray("verify", "--store", store.path)
    assert (code, out.count("run `xray compact`, which removes it")) == (6, len(STRAYS) + len(old))
    assert "notes.txt: is no file of the store; move it out of the store's folder" in out
    code, out, _ = xray("compact", "--store", store.path, "--dry-run")
    assert (code, out.count("x.parquet.part"), (store.path / STRAYS[0]).exists()) == (0, 1, True)
    assert xray("compact", "--store", store.path)[0] == 0
    assert traces(store, "CANARY-BACK") == []
    assert [f.file for f in store.verify()] == ["notes.txt"]


def test_forget__removes_strays_at_once(store):
    path = store.path / "parts" / "reports" / f"{10**6:012d}-{0:012x}.parquet.part"
    path.write_text("CANARY-BACK")
    forget(store, SIRENS[1])
    assert traces(store, "CANARY-BACK") == []


def test_published_folder__strays_and_damage_are_found_and_strays_removed(store, tmp_path, xray):
    place = tmp_path / "shared"
    store.publish(place)
    published = PublishedStore(place, cache=tmp_path / "cache")
    assert published.verify() == []
    stray = place / "parts" / "reports" / f"{1:012d}-{0:012x}.parquet.77.part"
    stray.write_text("CANARY-BACK")
    (place / "current.json.77.part").write_text("{}")
    (place / "parts" / "reports" / f"{1:012d}-{0:012x}.parquet").write_text("CANARY-BACK")
    os.utime(place / "current.json.77.part", (0, 0))
    assert len(published.verify()) == 3
    code, out, _ = xray("verify", "--published", place)
    assert (code, out.count("publish")) == (6, 3)
    store.publish(place)
    assert published.verify() == []
    part = next((place / "parts" / "reports").iterdir())
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    (finding,) = published.verify()
    assert (part.name in finding.file, "publish" in finding.remedy) == (True, True)


# The journal


def test_journal__no_byte_of_an_id_is_left_also_while_another_process_has_it_open(tmp_path):
    path = tmp_path / "journal.sqlite3"
    with Journal(path) as journal, Journal(path) as other:
        for n in range(60):
            one = f"{n:024x}" if n % 3 else f"{n:05d}{REPORT[5:]}"
            journal.enqueue("report.created", NEW if n % 3 == 0 else "q", one, datetime.now(UTC))
            journal.intend("request", f"siren:{SPACED if n % 2 else n}", {"id": SIRET if n % 5 else n})
        other.start_wait(NEW, "bank", datetime.now(UTC) + timedelta(days=1), [REPORT])
        gone = {SIREN, SIRET, SPACED, NEW}
        assert journal.forget(gone) > 60
        assert other.counts()["pending"] == 40
        found = [p.name for p in tmp_path.iterdir() for text in (*gone, REPORT[5:]) if text.encode() in p.read_bytes()]
        assert found == []


def test_journal__held_by_a_reader_says_so_and_nothing_is_erased_half(store, monkeypatch):
    path = store.path / "journal.sqlite3"
    monkeypatch.setattr("xray_analytics.api.journal.BUSY_SECONDS", 0.05)
    with Journal(path) as journal:
        journal.enqueue("report.created", REQUESTS[1], BANKS[1], datetime.now(UTC))
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM deliveries").fetchall()
        number = store.head.number
        with pytest.raises(StoreError, match="another process"):
            forget(store, SIRENS[1], journal=journal)
        assert store.head.number == number
        reader.close()
        assert forget(store, SIRENS[1], journal=journal).commit == number + 1
    assert traces(store, SIRENS[1], REQUESTS[1], BANKS[1], IBANS[1], RATINGS[1]) == []
