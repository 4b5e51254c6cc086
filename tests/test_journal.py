"""The journal: what it returned is on disk, whoever else uses the file, and whatever happens next."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from xray_analytics.api.journal import Journal
from xray_analytics.errors import StoreError, WebhookError

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
REQUEST, REPORT = "61b1aaa1015c69003931e945", "61baf58cb92353003b888c3d"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "journal.sqlite3"


@pytest.fixture
def journal(path):
    with Journal(path) as opened:
        yield opened


def test_intents__stay_open_until_settled(journal, path):
    first = journal.intend("request", "siren:1", {"id": "1"})
    second = journal.intend("request", "siren:1", {"id": "1"})
    journal.intend("medium", "m", {})
    with Journal(path) as later:
        assert [(i.id, i.key, i.payload) for i in later.open_intents("request")] == [
            (first, "siren:1", {"id": "1"}),
            (second, "siren:1", {"id": "1"}),
        ]
    journal.settle(first, {"request_id": REQUEST})
    journal.settle(second, None)
    assert journal.open_intents("request") == []
    assert journal.outcome("request", "siren:1") == {"request_id": REQUEST}
    assert journal.outcome("request", "siren:2") is None
    assert [i.key for i in journal.open_intents("medium")] == ["m"]


def test_deliveries__are_queued_once_and_stay_over(journal):
    assert journal.enqueue("new_report", REQUEST, REPORT, START) is True
    assert journal.enqueue("new_report", REQUEST, REPORT, START) is False
    (delivery,) = journal.pending(START)
    assert (delivery.request_id, delivery.report_id, delivery.received_at) == (REQUEST, REPORT, START)
    journal.done(delivery.id)
    assert journal.enqueue("new_report", REQUEST, REPORT, START) is False
    assert (journal.pending(START), journal.counts()) == ([], {"pending": 0, "done": 1, "parked": 0})


def test_deliveries__are_bounded(path):
    with Journal(path, max_pending=2) as journal:
        journal.enqueue("new_report", REQUEST, "a", START)
        journal.enqueue("new_report", REQUEST, "b", START)
        with pytest.raises(WebhookError, match="2 deliveries wait already; run `xray sync`"):
            journal.enqueue("new_report", REQUEST, "c", START)
        assert journal.enqueue("new_report", REQUEST, "b", START) is False
        journal.done(journal.pending(START)[0].id)
        assert journal.enqueue("new_report", REQUEST, "c", START) is True


def test_deliveries__come_up_ever_later_and_are_parked_after_48_hours(journal):
    journal.enqueue("new_report", REQUEST, REPORT, START)
    now, turns = START, []
    while due := journal.pending(now):
        turns.append((now - START) / timedelta(minutes=1))
        if not journal.retry_later(due[0].id, now):
            break
        while not journal.pending(now):
            now += timedelta(minutes=1)
    assert turns[:9] == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert turns[-1] == 48 * 60
    assert len(turns) == 54
    assert journal.counts() == {"pending": 0, "done": 0, "parked": 1}
    assert journal.enqueue("new_report", REQUEST, REPORT, now) is True, "a new delivery gives it another 48 hours"


def test_deliveries__forget_what_is_long_over(journal):
    for n, age in enumerate((31, 29)):
        journal.enqueue("new_report", REQUEST, f"old{n}", START - timedelta(days=age))
    journal.done(*(d.id for d in journal.pending(START)))
    assert journal.counts()["done"] == 2
    journal.enqueue("new_report", REQUEST, REPORT, START)
    assert journal.counts() == {"pending": 1, "done": 1, "parked": 0}


def test_waits__keep_what_they_knew(journal, path):
    journal.start_wait(REQUEST, "bank", START, known=["a"])
    with Journal(path) as later:
        again = later.start_wait(REQUEST, "bank", START + timedelta(hours=1), known=["a", "b"])
    assert (again.known, again.deadline) == ({"a"}, START + timedelta(hours=1))
    journal.start_wait(REQUEST, "esg", START)
    assert [(w.product, w.known) for w in journal.waits()] == [("bank", {"a"}), ("esg", set())]
    journal.finish_wait(REQUEST, "bank")
    assert [w.product for w in journal.waits()] == ["esg"]


def test_forget__leaves_no_byte(journal, path):
    journal.enqueue("new_report", REQUEST, REPORT, START)
    journal.enqueue("new_report", "other-request", "other-report", START)
    journal.start_wait(REQUEST, "bank", START, known=[REPORT])
    journal.settle(journal.intend("request", "siren:732829320", {"id": "732829320"}), {"request_id": REQUEST})
    assert journal.forget([REQUEST, "siren:732829320"]) == 3
    assert [d.report_id for d in journal.pending(START)] == ["other-report"]
    kept = b"".join(p.read_bytes() for p in path.parent.iterdir())
    assert [word for word in (REQUEST, REPORT, "732829320") if word.encode() in kept] == []
    assert b"other-report" in kept


def test_journal__is_private(journal, path):
    journal.enqueue("new_report", REQUEST, REPORT, START)
    modes = {p.name: stat.S_IMODE(os.stat(p).st_mode) for p in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700


def test_journal__a_link_is_not_followed(tmp_path):
    (tmp_path / "j").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"^journal .*/j cannot be used"):
        Journal(tmp_path / "j")
    assert not (tmp_path / "elsewhere").exists()


def test_journal__damage_and_newer_formats_are_named(tmp_path):
    damaged, newer = tmp_path / "damaged", tmp_path / "newer"
    damaged.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"^journal .*damaged cannot be used \(file is not a database\)"):
        Journal(damaged)
    Journal(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="has format 99, this version reads 1; upgrade"):
        Journal(newer)


def test_journal__after_close_is_an_error_not_a_crash(path):
    journal = Journal(path)
    journal.close()
    with pytest.raises(StoreError, match="cannot be used"):
        journal.counts()


def test_journal__threads_share_it(journal):
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: journal.enqueue("new_report", REQUEST, f"r{n % 10}", START), range(100)))
    assert (sum(taken), journal.counts()["pending"]) == (10, 10)


WRITER = """
import sys
from datetime import datetime, UTC
from xray_analytics.api.journal import Journal
with Journal(sys.argv[1]) as journal:
    for n in range(int(sys.argv[3])):
        journal.enqueue("new_report", "r", f"{sys.argv[2]}{n}", datetime.now(UTC))
        print(n, flush=True)
"""


def test_journal__two_processes_share_it(path):
    Journal(path).close()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, name, "50"], stdout=subprocess.DEVNULL) for name in "ab"
    ]
    assert [w.wait() for w in writers] == [0, 0]
    with Journal(path) as journal:
        assert journal.counts()["pending"] == 100


def test_journal__what_was_returned_survives_kill_9(path):
    with subprocess.Popen([sys.executable, "-c", WRITER, path, "k", "100000"], stdout=subprocess.PIPE) as writer:
        returned = [writer.stdout.readline() for _ in range(40)]
        writer.send_signal(signal.SIGKILL)
    with Journal(path) as journal:
        assert {d.report_id for d in journal.pending(datetime.now(UTC))} >= {f"k{int(n)}" for n in returned}
