"""What a store remembers of layouts, and what a rebuild and an erasure do with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from layout_variants import layout_of, varied

import xray_analytics as xa
from xray_analytics.ingest.erasure import forget
from xray_analytics.ingest.rebuild import rebuild
from xray_analytics.sandbox.payloads.reports import Economy
from xray_analytics.tidy.layout import Layout, shipped

NAMES = ("french", "slashes")
THEIRS = Layout.of(layout_of(*NAMES))


@pytest.fixture
def store(tmp_path: Path) -> xa.Store:
    """One report of the house, one of another dialect, and their requests."""
    economy = Economy(8, seed=7, clean=True)
    ids = economy.report_ids(source="bank_xray")
    folder = tmp_path / "in"
    folder.mkdir()
    chosen = [i for i in ids if b'"allTransactions":[{' in economy.report_body(i)][:2]
    (folder / "a.json").write_bytes(economy.report_body(chosen[0]))
    (folder / "b.json").write_bytes(varied(economy.report_body(chosen[1]), *NAMES))
    for request_id in economy.request_owners:
        (folder / f"q{request_id}.json").write_text(json.dumps({"request": economy.request(request_id)}))
    store = xa.Store(tmp_path / "store")
    result = xa.import_files([folder], store, layout=[shipped(), THEIRS])
    assert (result.n_quarantined, result.doubts) == (0, {})
    return store


def read_by(store: xa.Store) -> list[str]:
    return store.stored("reports", ["layout_sha256"])[0].to_pylist()


def test_store__remembers_the_layout_of_each_report(store):
    assert set(read_by(store)) == {shipped().sha256, THEIRS.sha256}
    kept = {row["layout_sha256"]: row for row in store.stored("layouts").to_pylist()}
    assert kept.keys() == {shipped().sha256, THEIRS.sha256}
    assert json.loads(kept[THEIRS.sha256]["lines"]) == THEIRS.complete
    assert store.verify() == []


def test_rebuild__without_the_layout_reads_with_what_was_remembered(store):
    before, digest = store.stored("transactions").sort_by("report_id"), store.content_digest(clocks=True)
    done = rebuild(store)
    assert (done.n_refused, done.n_remembered) == (0, 1)
    assert store.content_digest(clocks=True) == digest
    assert store.stored("transactions").num_rows == before.num_rows
    assert store.stored("quarantine").num_rows == 0
    assert store.stored("layouts").num_rows == 2


def test_rebuild__the_present_layouts_come_first(store):
    renamed = Layout.of({**layout_of(*NAMES), "values": {"dates": ["DD/MM/YYYY", "iso"]}})
    assert rebuild(store, layout=renamed).n_remembered == 1, "the report of the house, whose dates it does not know"
    assert set(read_by(store)) == {renamed.sha256, shipped().sha256}


def test_digest__does_not_depend_on_the_layout(store, tmp_path):
    digest = store.content_digest()
    rebuild(store, layout=[shipped(), Layout.of({**layout_of(*NAMES), "parts": {"report": ["report", ""]}})])
    assert store.content_digest() == digest


def test_forget__reads_again_with_the_layout_of_the_version(store):
    def counts() -> int:
        return sum(row["n_reports"] for row in store.stored("drift").to_pylist())

    owners = store.snapshot().read("reports")["company_id"].dropna().unique()
    for company_id in owners:
        forget(store, company_id)
    assert store.stored("reports").num_rows == 0
    left = [row for row in store.stored("drift").to_pylist() if row["source"] == "bank_xray"]
    assert left == [], counts()


def test_import__says_what_contradicts_the_reading(store, tmp_path):
    economy = Economy(8, seed=7, clean=True)
    bodies = [economy.report_body(i) for i in economy.report_ids(source="bank_xray")][:4]
    folder = tmp_path / "wrong"
    folder.mkdir()
    for number, body in enumerate(bodies):
        (folder / f"{number}.json").write_bytes(varied(body, "inverted"))
    doubts = xa.import_files([folder], xa.Store(tmp_path / "other")).doubts
    assert list(doubts) == ["amounts move balances the other way"]
    assert sum(doubts.values()) >= 1


def test_settings__name_files_or_hold_the_lines(tmp_path):
    from xray_analytics.settings import read_settings_file

    (tmp_path / "ours.toml").write_text('[values]\nunit = "cents"\n')
    (tmp_path / "a.toml").write_text('layout = "ours.toml"\n')
    (tmp_path / "b.toml").write_text('[layout.values]\nunit = "cents"\n')
    from xray_analytics.tidy.layout import layouts_of

    found = [layouts_of(read_settings_file(tmp_path / name)["layout"])[0] for name in ("a.toml", "b.toml")]
    assert found[0].body == found[1].body
    assert found[0].complete["values"]["unit"] == "cents"
