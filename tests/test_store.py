"""The store writes what it was given, all at once, and says so when it cannot."""

import hashlib
import json
import os
import random
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_rows import by_key, day, make, random_rows, report

from xray_analytics import files, tables
from xray_analytics.errors import InputError, SchemaError, StoreError
from xray_analytics.store import Store, Version, manifests

Figure = Callable[[str, object], None]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, **rows: pa.Table) -> manifests.Manifest:
    with store.writer() as writer:
        for name, data in rows.items():
            writer.append(name, data)
        return writer.commit()


def raw(object_id: str, version: int, body: bytes, fetched: float = 0) -> dict[str, object]:
    sha256 = hashlib.sha256(body).hexdigest()
    values = {"object_version": version, "content_sha256": "c" + sha256[1:], "raw_sha256": sha256, "body": body}
    return {"kind": "report", "object_id": object_id, "fetched_at": day(fetched), **values}


def _that_hold(data: pa.Table) -> pa.Table:
    """Rows of the lender that withdraw nothing: a withdrawal is hidden by reading, as it should be."""
    if "is_withdrawn" not in data.column_names:
        return data
    at = data.schema.get_field_index("is_withdrawn")
    return data.set_column(at, data.schema.field(at), pa.nulls(len(data), pa.bool_()))


def test_round_trip__every_table_comes_back_as_it_was(store: Store) -> None:
    rng = random.Random(1)
    given = {name: _that_hold(random_rows(name, 40, rng)) for name in tables.TABLES}
    put(store, **given)
    snapshot = Store(store.path).snapshot()
    for name, data in given.items():
        found = snapshot.arrow(name)
        assert found.schema.equals(tables.TABLES[name].arrow_schema, check_metadata=True), name
        assert found.equals(by_key(name, data)), name
        again = tables.TABLES[name].conform(snapshot.read(name))
        assert again.equals(found), name
    assert snapshot.rows() == dict.fromkeys(tables.TABLES, 40)


def test_round_trip__money_at_the_ends_of_its_precision(store: Store) -> None:
    ends = ["99999999999999.9999", "-99999999999999.9999", "0.0001", "-0.0001"]
    rows = [
        {"transaction_no": i, "amount": pa.scalar(text).cast(pa.decimal128(18, 4)).as_py()}
        for i, text in enumerate(ends)
    ]
    manifest = put(store, transactions=make("transactions", *rows), reports=make("reports", {"report_id": "0"}))
    assert [str(x) for x in store.snapshot().read("transactions", money="decimal")["amount"]] == ends
    assert manifest.parts["transactions"][0].sums["amount"] == 0
    assert manifest.parts["transactions"][0].sums["transaction_no"] == 6


def test_files__carry_the_contract_and_are_private(store: Store) -> None:
    old = os.umask(0)
    try:
        part = put(store, reports=make("reports", {})).parts["reports"][0]
    finally:
        os.umask(old)
    path = store.path / "parts" / "reports" / part.name
    schema = pq.read_schema(path)
    assert {key: schema.metadata[key] for key in (b"table", b"schema_version", b"commit")} == {
        b"table": b"reports", b"schema_version": str(tables.SCHEMA_VERSION).encode(), b"commit": b"1",
    }  # fmt: skip
    assert schema.field("available_at").metadata[b"unit"] == b"UTC"
    assert part.name == f"000000000001-{files.digest_now(path)[:12]}.parquet"
    for found in [store.path, *store.path.rglob("*")]:
        assert stat.S_IMODE(found.stat().st_mode) == (0o700 if found.is_dir() else 0o600), found
    assert not list((store.path / "staging").iterdir())


def test_row_groups__are_large_and_one_part_a_commit(store: Store) -> None:
    rows = make("other_facts", {"value_type": "number"})
    data = pa.concat_tables([rows] * 7_000).combine_chunks()
    with store.writer() as writer:
        for _ in range(20):
            writer.append("other_facts", data)
        part = writer.commit().parts["other_facts"][0]
    meta = pq.read_metadata(store.path / "parts" / "other_facts" / part.name)
    assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == [63_000, 63_000, 14_000]


def test_commit__without_one_nothing_is_published(store: Store) -> None:
    with store.writer() as writer:
        writer.append("reports", make("reports", {}))
    assert not store.exists
    assert store.head is None
    assert list((store.path / "parts").iterdir()) == []
    with pytest.raises(StoreError, match=r"writer .* is closed"):
        writer.commit()


def test_commit__several_in_one_writer_and_the_cursor_with_them(store: Store) -> None:
    with store.writer() as writer:
        assert writer.number == 1
        first = writer.commit(cursor={"since": "2025-01-01", "seen": [1, 2]})
        writer.append("reports", make("reports", {}))
        second = writer.commit()
        assert writer.number == 3
    assert store.head == second
    assert (second.number, second.parent, second.cursor) == (2, first.digest, {"since": "2025-01-01", "seen": [1, 2]})
    assert second.rows("reports") == 1
    assert second.rows("transactions") == 0


def test_commit__keeps_twenty_manifests_and_all_parts(store: Store) -> None:
    with store.writer() as writer:
        for i in range(23):
            writer.append("reports", make("reports", {"report_id": f"{i:024x}"}))
            writer.commit()
    assert manifests.published(store.path) == list(range(4, 24))
    assert len(store.snapshot().read("reports")) == 23
    assert store.verify() == []


def test_append__other_schema_or_nulls_are_refused(store: Store) -> None:
    foreign = make("reports", {}).rename_columns(["surprise", *tables.REPORTS.names[1:]])
    with store.writer() as writer:
        with pytest.raises(SchemaError, match="reports: 2 problems: surprise: unknown column; report_id: absent"):
            writer.append("reports", foreign)
        with pytest.raises(SchemaError, match="report_id: null in a required column"):
            writer.append("reports", make("reports", {"report_id": None}))
        with pytest.raises(InputError, match="no table 'report'"):
            writer.append("report", make("reports", {}))


def test_versions__newest_of_a_b_a_and_each_body_once(store: Store) -> None:
    put(store, raw=make("raw", raw("x", 1, b"A"), raw("y", 1, b"Y")))
    put(store, raw=make("raw", raw("x", 2, b"B"), raw("z", 1, b"Z", fetched=1)))
    put(store, raw=make("raw", raw("x", 3, b"A"), raw("x2", 1, b"B")))
    latest = hashlib.sha256(b"A").hexdigest()
    assert store.versions("report")["x"] == Version(3, "c" + latest[1:], latest)
    assert set(store.versions("report")) == {"x", "y", "z", "x2"}
    assert store.versions("request") == {}
    assert store.snapshot().arrow("raw")["body"].null_count == 2
    found = {(body.object_id, body.object_version): body.body for body in store.bodies()}
    assert found == {("x", 1): b"A", ("x", 2): b"B", ("x", 3): b"A", ("y", 1): b"Y", ("z", 1): b"Z", ("x2", 1): b"B"}
    assert store.verify() == []


def test_content_digest__ignores_order_commits_and_clocks(tmp_path: Path) -> None:
    rows = [report(i, fetched=i, created=0) for i in range(6)]
    notes = [{"request_id": f"{i}", "request_version": 1, "equity_cents": i} for i in range(3)]
    drift = {"source": "bank_xray", "json_path": "a", "problem": "unknown_member", "example": "9"}
    one, two, other = (Store(tmp_path / name) for name in ("one", "two", "other"))
    put(one, reports=make("reports", *rows), request_notes=make("request_notes", *notes),
        drift=make("drift", {**drift, "n_reports": 5, "commit": 1}))  # fmt: skip
    put(two, reports=make("reports", *(row | {"fetched_at": day(99)} for row in rows[:1:-1])),
        drift=make("drift", {**drift, "n_reports": 2, "commit": 1}), runs=make("runs", {"run_id": "r"}))  # fmt: skip
    put(two, reports=make("reports", *rows[:2]), request_notes=make("request_notes", *notes[::-1]),
        drift=make("drift", {**drift, "n_reports": 3, "commit": 2}))  # fmt: skip
    put(other, reports=make("reports", *rows), request_notes=make("request_notes", *notes[:2]))
    assert one.content_digest() == two.content_digest() != other.content_digest()
    assert one.content_digest(clocks=True) != two.content_digest(clocks=True)
    put(two, reports=make("reports", rows[0]))
    assert one.content_digest() != two.content_digest(), "a row that is there twice is a difference"
    assert [finding.problem for finding in two.verify()] == ["1 keys occur more than once"]


def test_content_digest__of_nothing(tmp_path: Path) -> None:
    nothing = hashlib.sha256(b"").hexdigest()
    assert Store(tmp_path / "none").content_digest() == nothing


def test_open__of_a_thousand_commits_reads_one_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    head = put(store, reports=make("reports", {}))
    sums = dict.fromkeys(("n_accounts", "n_statements", "n_transactions", "total_credit", "total_debit"), 123456789)
    part = head.parts["reports"][0]._replace(sums=sums)
    many = {name: tuple(part._replace(commit=i) for i in range(1, 1001)) for name in list(tables.TABLES)[:8]}
    manifest, data = manifests.encode(replace(head, number=1000, parts=many))
    (store.path / "commits" / "000000001000.json").write_bytes(data)
    opened, real = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or real(path))
    assert Store(store.path).head == manifest
    assert len(data) > 1_000_000
    assert opened == ["lock", "000000001000.json"]  # who writes, and the newest manifest


def test_compact_and_gc__fewer_files_that_say_the_same(store: Store) -> None:
    for i in range(3):
        put(
            store,
            raw=make("raw", raw("x", 2 * i + 1, b"A"), raw("x", 2 * i + 2, b"%d" % i)),
            media=make("media", {"medium_id": f"{i}"}),
        )
    put(store, raw=make("raw", raw("y", 1, b"Y")))
    before, said, bodies = store.snapshot(), store.content_digest(clocks=True), sorted(store.bodies())
    assert store.compact(max_parts=4) is None
    merged = store.compact(max_parts=3)
    assert merged is not None
    counts = {name: (len(found), merged.rows(name)) for name, found in merged.parts.items()}
    assert counts == {"raw": (1, 7), "media": (3, 3)}
    assert (store.content_digest(clocks=True), sorted(store.bodies())) == (said, bodies)
    assert store.verify() == []
    assert store.gc(grace=timedelta(0)) == [], "older manifests still name the merged parts"
    with store.writer() as writer:
        for _ in range(20):
            writer.commit()
    assert store.gc() == [], "a reader may still be at it"
    gone = [f"raw/{part.name}" for part in before.manifest.parts["raw"]]
    assert store.gc(grace=timedelta(0), dry_run=True) == store.gc(grace=timedelta(0)) == gone
    assert (store.content_digest(clocks=True), store.verify()) == (said, [])
    with pytest.raises(StoreError, match="No such file"):
        before.read("raw")


def test_compact__an_older_part_gains_its_columns_and_a_newer_one_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = replace(tables.MEDIA, columns=tuple(c for c in tables.MEDIA.columns if c.name != "period"))
    with monkeypatch.context() as patch:
        patch.setitem(tables.TABLES, "media", older)
        put(store, media=make("media", {"medium_id": "1"}))
    put(store, media=make("media", {"medium_id": "2", "period": "month"}))
    with monkeypatch.context() as patch:
        patch.setitem(tables.TABLES, "media", older)
        with pytest.raises(StoreError, match=r"columns \['period'\] of a newer version"):
            store.compact(max_parts=1)
    assert store.compact(max_parts=1) is not None
    assert store.snapshot().read("media")["period"].tolist() == [pd.NA, "month"]


def test_repr__says_what_is_there_and_no_content(store: Store) -> None:
    assert repr(store) == f"<Store {store.path}: empty>"
    manifest = put(store, reports=make("reports", {"extra": "SECRET", "company_id": "SECRET"}))
    when = f"{manifest.created_at:%Y-%m-%d %H:%M}"
    assert repr(store) == f"<Store {store.path}: commit 1 of {when} UTC, 0 requests, 1 reports, 0 transactions>"
    snapshot = store.snapshot("2025-03-01", clock="fetched")
    assert repr(snapshot) == "<Snapshot of store, commit 1, fetched by 2025-03-01 23:59 UTC: 1 reports>"
    assert "<td>reports</td><td>1</td>" in snapshot._repr_html_()
    assert "SECRET" not in repr(snapshot) + snapshot._repr_html_()


# What cannot be read or written


def test_missing_store__is_named_with_what_makes_one(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no store at .*`xray sync`"):
        store.snapshot()
    assert store.versions("report") == {}
    assert store.verify() == []
    assert list(store.bodies()) == []
    assert not store.path.exists()


def test_newer_format__is_refused(store: Store) -> None:
    head = put(store)
    _, data = manifests.encode(replace(head, number=2, format=2))
    (store.path / "commits" / "000000000002.json").write_bytes(data)
    with pytest.raises(StoreError, match="has format 2, this package reads up to 1: upgrade it"):
        store.snapshot()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"digest":"' + b"0" * 64 + b'","number":2}'])
def test_damaged_head__is_never_a_step_back(store: Store, damage: bytes) -> None:
    put(store)
    put(store)
    (store.path / "commits" / "000000000002.json").write_bytes(damage)
    with pytest.raises(StoreError, match=r"000000000002\.json is damaged"):
        store.snapshot()
    with pytest.raises(StoreError, match="is damaged"), store.writer():
        pass
    assert "is damaged" in repr(store)
    (found,) = store.verify()
    assert (found.file, found.remedy) == ("commits", "restore it from a backup, or sync or import into a new store")
    assert found.remedy not in found.problem, "said once"


def test_path__of_a_file_or_nowhere_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    for path in (tmp_path / "report.json", tmp_path / "report.json" / "store"):
        with pytest.raises(StoreError, match=r"cannot be read \(Not a directory\); --store names another folder"):
            Store(path).snapshot()
        said = r"cannot be (made|read) .*; --store names another folder"
        with pytest.raises(StoreError, match=said), Store(path).writer():
            pass
    assert (tmp_path / "report.json").read_text() == "{}"


def test_misnamed_manifest__is_refused(store: Store) -> None:
    put(store)
    (store.path / "commits" / "000000000001.json").rename(store.path / "commits" / "000000000007.json")
    with pytest.raises(StoreError, match="says it is commit 1"):
        store.snapshot()


def test_lost_manifests__are_not_an_empty_store(store: Store) -> None:
    for i in range(2):
        put(store, reports=make("reports", {"report_id": f"{i:024x}"}))
    for path in (store.path / "commits").iterdir():
        path.unlink()
    with pytest.raises(StoreError, match="the manifests of commits up to 2 are missing"):
        store.snapshot()
    with pytest.raises(StoreError, match="are missing"), store.writer():
        pass


def test_missing_or_foreign_part__is_named(store: Store) -> None:
    part = put(store, reports=make("reports", {})).parts["reports"][0]
    put(store, media=make("media", {}))
    path = store.path / "parts" / "reports" / part.name
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(
        StoreError, match=rf"part .*{part.name} is damaged: No such file.*`xray verify`.*`xray rebuild`"
    ):
        store.snapshot().read("reports")
    with pytest.raises(StoreError, match="No such file"):
        store.snapshot().scan("reports")
    assert len(store.snapshot().read("media")) == 1
    assert [finding.problem for finding in store.verify()] == ["is missing"]
    path.write_bytes(data[:-1] + b"?")
    with pytest.raises(StoreError, match="its SHA-256 is not that of the manifest"):
        store.snapshot().read("reports")
    assert "SHA-256 differs" in store.verify()[0].problem


def test_wrong_body__is_found_by_verify(store: Store) -> None:
    put(store, raw=make("raw", raw("x", 1, b"A") | {"body": b"B"}))
    assert ["a body is not that" in finding.problem for finding in store.verify()] == [True]


def test_older_part__without_a_column_reads_as_null(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    older = replace(tables.MEDIA, columns=tuple(c for c in tables.MEDIA.columns if c.name != "period"))
    with monkeypatch.context() as patch:
        patch.setitem(tables.TABLES, "media", older)
        put(store, media=make("media", {"medium_id": "1"}))
        assert Store(store.path).snapshot().arrow("media").column_names == list(older.names)
    assert store.snapshot().read("media")["period"].isna().all()
    put(store, media=make("media", {"medium_id": "2", "period": "month"}))
    assert store.snapshot().arrow("media", columns=["medium_id", "period"]).to_pydict() == {
        "medium_id": ["1", "2"], "period": [None, "month"],
    }  # fmt: skip
    with monkeypatch.context() as patch:  # an older package leaves out the columns that it does not know
        patch.setitem(tables.TABLES, "media", older)
        assert store.snapshot().arrow("media").column_names == list(older.names)


@pytest.mark.parametrize("name", ["with space", "wild*[1]?", "d'été", "n" * 200])
def test_path__any_name_will_do(tmp_path: Path, name: str) -> None:
    put(Store(tmp_path / "wildcard1s"), reports=make("reports", {}))  # what the wild card would also find
    store = Store(str(tmp_path / name))
    put(store, reports=make("reports", {}))
    assert len(store.snapshot().read("reports")) == 1
    assert store.verify() == []


def test_path__a_link_to_a_larger_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    store = Store(tmp_path / "store")
    put(store, reports=make("reports", {}))
    assert len(store.snapshot().read("reports")) == 1


def test_planted_links__are_not_followed(store: Store, tmp_path: Path) -> None:
    put(store)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (store.path / "lock").unlink()
    (store.path / "lock").symlink_to(victim)
    with pytest.raises(StoreError, match="lock"), store.writer():
        pass
    (store.path / "lock").unlink()
    (store.path / "parts").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (store.path / "parts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="parts"), store.writer():
        pass
    assert victim.read_text() == "untouched"


# Every changing call fails once


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it happens."""


class FailingOs:
    """The module `os`, whose k-th changing call fails: once, or like a kill for good."""

    CHANGING = frozenset({"mkdir", "open", "write", "fsync", "replace", "link", "unlink", "ftruncate"})

    def __init__(self, k: int, fault: int | type[Killed], names: frozenset[str] = CHANGING) -> None:
        self.calls, self._k, self._fault, self._names = 0, k, fault, names

    def __getattr__(self, name: str) -> object:
        real = getattr(os, name)
        return self._counted(name, real) if name in self._names else real

    def _counted(self, name: str, real: object):
        def call(*args, **kwargs):
            self.calls += 1
            if self.calls == self._k and name == "write":
                real(args[0], args[1][: len(args[1]) // 2])  # half of it still reaches the disk
            if isinstance(self._fault, int) and self.calls == self._k:
                raise OSError(self._fault, os.strerror(self._fault))
            if not isinstance(self._fault, int) and self.calls >= self._k:
                raise self._fault
            return real(*args, **kwargs)

        return call


BATCHES = [
    {"reports": make("reports", report(i, fetched=i)), "raw": make("raw", raw(str(i), 1, b"%d" % i)),
     "transactions": make("transactions", *({"report_id": f"{i:024x}", "transaction_no": k} for k in range(3)))}
    for i in range(2)
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "names"),
    [(28, FailingOs.CHANGING), (5, frozenset({"fsync"})), (Killed, FailingOs.CHANGING)],
    ids=["ENOSPC", "EIO", "kill"],
)
def test_every_changing_call_fails_once__old_or_new_and_the_next_run_converges(
    figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int | type[Killed], names: frozenset[str]
) -> None:
    old, new = (put(Store(tmp_path / "sound"), **batch) for batch in BATCHES)
    put(Store(tmp_path / "before"), **BATCHES[0])
    outcomes = []
    for k in range(1, 200):
        shutil.copytree(tmp_path / "before", tmp_path / f"{k}")
        store = Store(tmp_path / f"{k}")
        failing = FailingOs(k, fault, names)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", failing)
            message = failure(store)
        if failing.calls < k:
            break
        outcomes.append(check_outcome(store, message, old, new))
    name = os.strerror(fault) if isinstance(fault, int) else "kill"
    figure(f"every changing call of a commit fails once: {name}", f"{len(outcomes)} points, each old or new")
    assert len(outcomes) >= (30 if names is FailingOs.CHANGING else 8)
    assert outcomes[0] == 1
    assert outcomes[-1] == 2
    assert outcomes == sorted(outcomes), "one call publishes: before it the old commit, after it the new one"
    assert Store(tmp_path / "9").content_digest(clocks=True) == Store(tmp_path / "sound").content_digest(clocks=True)


def failure(store: Store) -> str | None:
    try:
        put(store, **BATCHES[1])
    except StoreError as error:
        return str(error)
    except Killed:
        return "killed"
    return None


def check_outcome(store: Store, message: str | None, old: manifests.Manifest, new: manifests.Manifest) -> int:
    head = store.head
    assert head is not None
    assert head.parts == (old.parts if head.number == 1 else new.parts)
    if message is None or "visible, but may not survive" in message:
        assert head.number == 2
    elif message != "killed":
        assert head.number == 1, "an error means: not committed"
    assert whole(store, head)
    again = put(store, **BATCHES[1]) if head.number == 1 else head
    assert again.parts == new.parts
    assert whole(store, again)
    if again is not head:
        assert not list((store.path / "staging").iterdir()), "the next writer sweeps"
    return head.number


def whole(store: Store, manifest: manifests.Manifest) -> bool:
    files_named = ((name, part) for name, found in manifest.parts.items() for part in found)
    return all(files.digest_now(store.path / "parts" / name / part.name) == part.sha256 for name, part in files_named)


def test_full_disk__is_noticed_before_anything_is_fetched(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store)
    fetched = []
    for k in range(3, 12):
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", FailingOs(k, 28))
            with pytest.raises(StoreError, match=r"the disk is full \([\d,]+ free\); nothing was"), store.writer():
                fetched.append(k)
    assert fetched == []


def test_read_only__reading_works_and_writing_fails_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, reports=make("reports", {}))
    monkeypatch.setattr(files, "os", ReadOnlyOs())
    assert len(store.snapshot().read("reports")) == 1
    assert store.verify() == []
    with (
        pytest.raises(StoreError, match=r"cannot be written \(Read-only file system\).*reading still works"),
        store.writer(),
    ):
        pytest.fail("a writer was given")


class ReadOnlyOs:
    """The module `os` on a read-only file system."""

    def __getattr__(self, name: str) -> object:
        if name in FailingOs.CHANGING - {"mkdir"}:
            return self._refuse
        return getattr(os, name)

    def _refuse(self, *args: object, **kwargs: object) -> None:
        raise OSError(30, os.strerror(30))


def test_lock__a_second_writer_is_refused_and_told_who_holds_it(store: Store) -> None:
    """At once: who waited for the lock would wait for ever here."""
    with (
        store.writer(),
        pytest.raises(StoreError, match=rf"locked: process {os.getpid()} is writing"),
        Store(store.path).writer(),
    ):
        pytest.fail("two writers")
    with store.writer() as writer:
        assert writer.commit().number == 1


def test_head__a_first_commit_while_it_looks_is_not_a_lost_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, reports=make("reports", {}))
    real, looks = manifests.published, []
    monkeypatch.setattr(manifests, "published", lambda root: real(root) if looks.append(root) or looks[1:] else [])
    assert store.head is not None


def test_number_taken__nothing_is_committed(store: Store) -> None:
    put(store)
    with store.writer() as writer:
        writer.append("reports", make("reports", {}))
        (store.path / "commits" / "000000000002.json").write_bytes(b"of another writer")
        with pytest.raises(StoreError, match="commit 2 was published by another writer"):
            writer.commit()
        with pytest.raises(StoreError, match="is closed"):
            writer.commit()


def test_errors_of_the_caller__pass_through(store: Store) -> None:
    with pytest.raises(ConnectionResetError), store.writer():
        raise ConnectionResetError("the service")  # an OSError, and none of the store's


def test_manifest__is_one_json_object(store: Store) -> None:
    head = put(store, reports=make("reports", {}))
    read = json.loads((store.path / "commits" / "000000000001.json").read_bytes())
    assert read["digest"] == head.digest
    assert (read["number"], read["format"], read["code_version"]) == (1, 1, head.code_version)
    assert list(read["parts"]) == ["reports"]


@pytest.mark.parametrize("flips", [500, pytest.param(5_000, marks=pytest.mark.long)])
def test_bit_flips__no_wrong_read_goes_unnoticed(store: Store, flips: int, figure: Figure) -> None:
    rng, names = random.Random(5), ("media", "loans", "raw")
    for i in range(3):
        put(store, **{name: random_rows(name, 30, rng, first=30 * i) for name in names})
    truth = {name: store.snapshot().arrow(name) for name in names}
    paths = sorted([*store.path.glob("parts/*/*.parquet"), *store.path.glob("commits/*.json")])
    noticed = 0
    for flip in range(flips):
        path = rng.choice(paths)
        whole_file = path.read_bytes()
        bit = rng.randrange(8 * len(whole_file))
        damaged = bytearray(whole_file)
        damaged[bit // 8] ^= 1 << bit % 8
        overwrite(path, bytes(damaged), flip)
        try:
            assert {name: store.snapshot().arrow(name) for name in names} == truth, f"bit {bit} of {path.name}"
        except StoreError:
            noticed += 1
        overwrite(path, whole_file, flip + 10 * flips)
    assert noticed > flips // 2, "only older manifests may be damaged without being read"
    figure(f"{flips} bit flips", f"{noticed} refused, {flips - noticed} in bytes no answer comes from, 0 wrong reads")
    assert {name: store.snapshot().arrow(name) for name in names} == truth


def overwrite(path: Path, data: bytes, tick: int) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(tick, tick))  # the clock of a file system may stand still between two tests


def test_manifest__of_another_version_is_named(tmp_path):
    rest = b'"format":1,"number":1,"created_at":"2025-01-01T00:00:00+00:00","parts":{},"cursor":{}}'
    path = tmp_path / "commits" / "000000000001.json"
    path.parent.mkdir()
    path.write_bytes(b'{"digest":"%s",%s' % (hashlib.sha256(rest).hexdigest().encode(), rest))
    with pytest.raises(StoreError, match="lacks 'code_version': another version of this package wrote it"):
        _ = Store(tmp_path).head
