"""A store that 0.1.0 wrote is not read, says what to do, and comes over offline to what a fresh import gives."""

import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from xray_analytics import Store, import_files, tables
from xray_analytics.errors import StoreError
from xray_analytics.ingest.rebuild import rebuild

OLD = Path(__file__).parent / "old_stores" / "0.1.0.zip"  # written by 0.1.0: payloads, then second


@pytest.fixture
def old(tmp_path):
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_old_store__is_not_read_and_says_what_to_do(old):
    store = Store(old / "store")
    assert store.head.schema_version == 1
    with pytest.raises(StoreError, match=r"have schema 1, this package's have 2; run `xray rebuild`"):
        store.snapshot()


def test_old_store__rebuilt_offline_is_what_a_fresh_import_gives(old):
    store, fresh = Store(old / "store"), Store(old / "fresh")
    rebuild(store)
    for name in ("payloads", "second"):
        import_files([old / name], fresh)
    assert store.head.schema_version == tables.SCHEMA_VERSION == 2
    assert store.content_digest() == fresh.content_digest()
    assert [finding for finding in store.verify() if "rebuild" in finding.remedy] == []


def test_old_store__what_nothing_supports_is_null_after_it(old):
    store = Store(old / "store")
    rebuild(store)
    months = store.snapshot().arrow("monthly_summaries").to_pylist()
    rows = [row for row in months if row["account_no"] is None]
    found = {
        (row["report_id"][-2:], f"{row['month']:%Y-%m}", row["currency"]): (row["flow_basis"], row["total_credit"])
        for row in rows
    }
    assert found == {
        ("3d", "2021-08", None): (
            "statement",
            Decimal("164341.91"),
        ),  # the guide's sample: its one transaction is empty
        ("01", "2021-09", "EUR"): ("entries", 200.0),
        ("01", "2021-10", "EUR"): ("entries", 0.0),  # a quarter's empty month is a true 0
        ("01", "2021-11", "EUR"): ("entries", 0.0),
        ("02", "2021-12", None): (None, None),  # no list, and the quarter's totals are no month's
        ("02", "2022-01", None): (None, None),
        ("02", "2022-02", None): (None, None),
        ("03", "2021-11", None): ("statement", 0.0),  # no amount could be read
        ("04", "2022-01", "EUR"): ("entries", 20.0),
        ("04", "2022-01", None): ("entries", 0.0),  # the account that stood still names no currency
        ("05", "2022-02", "EUR"): ("entries", 20.0),
        ("05", "2022-02", "JPY"): ("entries", 0.0),
    }
    assert {row["is_complete"] for row in rows if row["flow_basis"] is None} == {False}
