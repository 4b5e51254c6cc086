"""The same payloads under other time zones, locales and hash seeds: the same rows, to the last bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.service import bank, rating

PROGRAM = """
import hashlib, sys, time
from xray_analytics import Store, import_files
from xray_analytics.tables import REPORT_TABLES, REQUEST_TABLES
store = Store(sys.argv[2])
import_files([sys.argv[1]], store)
rows, snapshot = hashlib.sha256(), store.snapshot()
for table in (*REPORT_TABLES, *REQUEST_TABLES):
    names = [n for n in table.names if n not in ("fetched_at", "available_at", "is_backfilled")]
    rows.update(repr(snapshot.arrow(table.name, columns=names).to_pylist()).encode())
print(time.tzname[0], store.content_digest(clocks=False), rows.hexdigest())
"""
PLACES = {
    "UTC": {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"},
    "far east, half an hour, ASCII": {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "2"},
    "far west, half an hour": {"TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "1"},
}
STRICT = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    base = tmp_path_factory.mktemp("determinism")
    folder = base / "files"
    folder.mkdir()
    labels = ["İstanbul ıiİI", "Ελλάς", "e\u0301", "\U0001f600"]
    entries = [{"date": f"2021-08-0{n + 1}", "amount": n / 10 - 0.15, "label": t} for n, t in enumerate(labels)]
    members = {f"Iı{n}": n for n in range(20)}
    trees = [bank(allTransactions=entries, **members), rating("a" * 24, "b" * 24), {"report": {"id": "İ"}}]
    request = json.loads((Path(__file__).parent / "documented" / "request.json").read_text(encoding="utf-8"))
    for number, tree in enumerate([*trees, request]):
        (folder / f"{number}.json").write_text(json.dumps(tree, ensure_ascii=bool(number % 2)), encoding="utf-8")
    children = {}
    for number, (name, place) in enumerate(PLACES.items()):
        command = [sys.executable, "-c", PROGRAM, str(folder), str(base / f"store-{number}")]
        environment = {**os.environ, **STRICT, **place}
        children[name] = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    found = {name: child.communicate()[0].split() for name, child in children.items()}
    assert [child.returncode for child in children.values()] == [0, 0, 0]
    return found


def test_determinism__the_places_are_different_places(answers):
    assert len({zone for zone, _, _ in answers.values()}) == 3


def test_determinism__same_store_and_same_rows_in_the_same_order(answers):
    assert len({digest for _, digest, _ in answers.values()}) == 1
    assert len({rows for _, _, rows in answers.values()}) == 1
