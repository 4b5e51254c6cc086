"""New, unchanged or repeated: the one rule, as a run, a rebuild and a cluster ask for it."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from xray_analytics import ingest
from xray_analytics.ingest.versions import Versions, each_refusal_once
from xray_analytics.store import Version
from xray_analytics.store.raw import each_body_once
from xray_analytics.tidy.batch import Received

MONDAY, TUESDAY, WEDNESDAY = (datetime(2025, 6, day, tzinfo=UTC) for day in (2, 3, 4))
AB = {("report", "r"): ["a", "b"]}


def numbers(versions, contents, **options):
    return [versions.number("report", "r", content, **options) for content in contents]


def newest(number, content):
    return {"report": {"r": Version(number, content, f"bytes of {content}")}, "request": {}}


def test_number__counts_changes_of_each_object():
    versions = Versions()
    assert numbers(versions, "aabba") == [1, None, 2, None, 3]
    assert versions.number("request", "r", "a") == 1  # a request is another object, whatever its id
    assert (versions.has("report", "r"), versions.has("report", "s")) == (True, False)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [("ab", [None, None]), ("abc", [None, None, 3]), ("b", [None]), ("ba", [None, 3]), ("ca", [3, 4])],
)
def test_number__what_repeats_history_is_no_change(contents, expected):
    assert numbers(Versions(newest(2, "b"), AB), contents) == expected


def test_number__a_walk_that_stops_half_way_goes_back():
    versions = Versions(newest(2, "b"), AB)
    assert (numbers(versions, "a"), versions.is_open("report", "r")) == ([None], True)
    versions.over("report", "r")
    assert (numbers(versions, "a"), versions.is_open("report", "r")) == ([3], False)


@pytest.mark.parametrize(("at", "expected"), [(MONDAY, None), (TUESDAY, None), (WEDNESDAY, 5)])
def test_number__what_was_overtaken_is_no_version(at, expected):
    versions = Versions()
    versions.record("report", "r", 4, "d", TUESDAY)
    versions.record("report", "r", 1, "a", WEDNESDAY)  # an older version, read later
    assert numbers(versions, "x", fetched_at=at) == [expected]
    assert numbers(versions, "y") == [6 if expected else 5]  # without a time none is overtaken


def test_record__one_that_is_not_understood_keeps_its_number():
    versions = Versions()
    versions.record("report", "r", 2, fetched_at=MONDAY)
    assert numbers(versions, "a", fetched_at=TUESDAY) == [3]


def test_are_newest__only_of_an_object_asked_for():
    body = b"{}"
    received = Received(body, MONDAY, "r", object_id="r")
    versions = Versions({"report": {"r": Version(1, "a", received.raw_sha256)}, "request": {}})
    assert versions.are_newest(received)
    assert not versions.are_newest(Received(body, MONDAY, "r.json"))
    assert not versions.are_newest(Received(b"[]", MONDAY, "r", object_id="r"))


def test_each_refusal_once__by_bytes_or_by_sighting():
    refused = pa.table({"raw_sha256": ["a", "b", "a", "c"], "fetched_at": [MONDAY, MONDAY, TUESDAY, MONDAY]})
    known = {("b",)}
    assert each_refusal_once(refused, known)["raw_sha256"].to_pylist() == ["a", "c"]
    assert known == {("a",), ("b",), ("c",)}
    sightings = each_refusal_once(refused, {("b", MONDAY)}, ("raw_sha256", "fetched_at"))
    assert sightings["raw_sha256"].to_pylist() == ["a", "a", "c"]


def test_each_body_once__and_a_row_without_one_holds_nothing():
    held = {"z"}
    rows = pa.table({"raw_sha256": ["a", "a", "b", "b", "z"], "body": [b"A", b"A", None, b"B", b"Z"]})
    assert each_body_once(rows, held)["body"].to_pylist() == [b"A", None, None, b"B", None]
    assert held == {"a", "b", "z"}


def test_versions__are_numbered_in_one_file():
    """Whoever adds one to a version, or compares the content of two, has a rule of his own."""
    for path in Path(ingest.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        sums = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Add)]
        compared = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Compare)]
        rules = [text for text in sums if "version" in text and "1" in text]
        rules += [text for text in compared if "content_sha256" in text]
        assert bool(rules) is (path.name == "versions.py"), (path.name, rules)
