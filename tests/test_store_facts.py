"""The store's own facts: key, lock, journal, manifests, documents, quarantine, parts; each with what mends it."""

import random
import shutil
from datetime import UTC, datetime

import pytest
from test_upkeep import BANKS, REQUESTS, SIRENS, bank, bring, rating, request

from xray_analytics import Store, files
from xray_analytics.api.journal import Journal
from xray_analytics.cli.store import all_findings
from xray_analytics.errors import StoreError
from xray_analytics.ingest.erasure import forget
from xray_analytics.ingest.rebuild import rebuild


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with everything in it: two commits, a tombstone, a document, a quarantined payload, a journal."""
    store = Store(tmp_path_factory.mktemp("made") / "store")
    bring(store, request(0), bank(0), request(1), bank(1), rating(1), '{"report": {"id": "cut')
    forget(store, SIRENS[0])
    store.add_document(BANKS[1], b"%PDF of a bank")
    with Journal(store.path / "journal.sqlite3") as journal:
        journal.enqueue("report.created", REQUESTS[1], BANKS[1], datetime(2025, 1, 1, tzinfo=UTC))
        journal.intend("request", f"siren:{SIRENS[1]}", {"code": SIRENS[1]})
    return store


@pytest.fixture
def store(made, tmp_path):
    return Store(shutil.copytree(made.path, tmp_path / "store"))


def flip(path, rng):
    """One bit anywhere in a file."""
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


@pytest.fixture(params=[5, pytest.param(100, marks=pytest.mark.long)], ids=["some", "many"])
def n_flips(request):
    return request.param


def test_flipped_bit__in_any_file_is_found_with_what_mends_it(store, n_flips, figure):
    """All but the journal, whose database has no check sums of its own."""
    rng, missed, n = random.Random(13), [], 0
    paths = [path for path in sorted(store.path.rglob("*")) if path.is_file() and "journal" not in path.name]
    kinds = {path.relative_to(store.path).parts[0] for path in paths}
    assert kinds == {"key", "lock", "commits", "documents", "parts"}
    by_kind = {kind: [p for p in paths if p.relative_to(store.path).parts[0] == kind] for kind in sorted(kinds)}
    for kind in sorted(kinds):
        for _ in range(n_flips):
            path = rng.choice(by_kind[kind])
            before = path.read_bytes()
            flip(path, rng)
            found = Store(store.path).verify()
            n += 1
            if not any(f.remedy and f.file.startswith(kind) for f in found):
                missed.append(path.name)
            path.write_bytes(before)
    figure("flipped bits that verify notices", f"{n - len(missed)} of {n}")
    assert (missed, store.verify()) == ([], [])


# The lock


def test_lock__a_raised_digit_does_not_demand_a_backup(store):
    """Of any single bit that is flipped in it no reader notices, and whoever writes next makes it anew."""
    path, number = store.path / "lock", store.head.number
    whole = path.read_bytes()
    assert files.recorded(path) == number
    for bit in range(len(whole) * 8):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert (files.recorded(path), files.is_lock(data)) == (0, False), bit
    assert store.head.number == number
    (finding,) = store.verify()
    assert str(finding) == (
        "lock: is damaged; nothing else is affected: any command that writes, such as `xray compact`, writes it anew"
    )
    store.compact()
    assert store.verify() == []


def test_lock__cut_short_or_of_an_older_package_is_no_damage(store):
    whole = (store.path / "lock").read_bytes()
    for data in [*(whole[:n] for n in range(len(whole))), b"123\n9\n"]:
        (store.path / "lock").write_bytes(data)
        assert (files.recorded(store.path / "lock"), files.is_lock(data)) == (0, True), data
    assert store.verify() == []


def test_lock__still_notices_that_the_newest_commit_is_lost(store):
    (store.path / "commits" / f"{store.head.number:012d}.json").unlink()
    with pytest.raises(StoreError, match="the manifests of commits up to 3 are missing"):
        store.snapshot()


# The journal


def test_journal__damage_is_found_and_reading_it_changes_nothing(store, figure):
    path, rng = store.path / "journal.sqlite3", random.Random(5)
    whole, names = path.read_bytes(), sorted(p.name for p in store.path.iterdir())
    assert Journal.fault(path) is None
    used = [at for at, byte in enumerate(whole) if byte]
    n_noticed = 0
    for _ in range(300):
        data = bytearray(whole)
        data[rng.choice(used)] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        n_noticed += Journal.fault(path) is not None
    figure("flipped bits in used bytes of the journal that verify notices", f"{n_noticed} of 300")
    path.write_bytes(whole[:5000])
    (finding,) = all_findings(store.path)
    assert (finding.file, "move it away: `xray sync --full`" in finding.remedy) == ("journal.sqlite3", True)
    path.write_bytes(whole)
    assert (all_findings(store.path), sorted(p.name for p in store.path.iterdir())) == ([], names)


def test_journal__in_use_is_read_with_its_log(store):
    with Journal(store.path / "journal.sqlite3") as journal:
        journal.enqueue("report.created", REQUESTS[2], BANKS[2], datetime.now(UTC))
        assert all_findings(store.path) == []


def test_journal__of_a_newer_package_or_with_foreign_lines_is_named(store):
    with Journal(store.path / "journal.sqlite3") as journal:
        journal._connection.execute("UPDATE deliveries SET state = 'ponding'")
    assert [f.problem for f in all_findings(store.path)] == ["holds a line that this package cannot have written"]
    with Journal(store.path / "journal.sqlite3") as journal:
        journal._connection.execute("PRAGMA user_version = 9")
    assert "has format 9" in all_findings(store.path)[0].problem


# The rest


def test_quarantine__a_body_that_is_not_that_of_its_digest_is_found(store):
    from store_rows import make

    with store.writer() as writer:
        writer.append("quarantine", make("quarantine", {"raw_sha256": "0" * 64, "body": b"{"}))
        writer.commit()
    (finding,) = store.verify()
    assert (finding.file[:17], "a body is not that" in finding.problem) == ("parts/quarantine/", True)


def test_rows__of_a_company_that_was_forgotten_are_found_and_the_next_erasure_takes_them(store):
    """What a package before 0.2.0 let in again."""
    from store_rows import make

    with store.writer() as writer:
        writer.append("companies", make("companies", {"company_id": SIRENS[2], "group_id": "514 673 987"}))
        writer.append("reports", make("reports", {"report_id": "f" * 24, "request_id": REQUESTS[0].upper()}))
        writer.commit()
    found = {f.file: f for f in store.verify()}
    assert found.keys() == {"parts/companies", "parts/reports"}
    assert all("run `xray forget --company` again" in f.remedy for f in found.values())
    assert forget(store, SIRENS[0]).rows["reports"] == 1
    assert store.verify() == []
    assert store.snapshot().read("companies")["group_id"].isna().all()


def test_manifest__of_an_older_package_has_no_digest_of_the_key_and_still_reads(store):
    manifest = store.head
    assert len(manifest.key_sha256) == 64
    rebuild(store)
    assert store.head.key_sha256 == manifest.key_sha256


def test_key__that_is_lost_before_anybody_was_forgotten_is_no_matter(tmp_path):
    store = Store(tmp_path / "store")
    bring(store, request(0), bank(0), request(1))
    (store.path / "key").write_bytes(bytes(32))
    bring(store, bank(1))
    (store.path / "key").unlink()
    assert store.verify() == []
    forget(store, SIRENS[0])
    assert (store.verify(), SIRENS[0] in store.tombstones()) == ([], True)
