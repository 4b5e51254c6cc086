"""The value rules as properties of `tidy`: exact, or in quarantine with a code and a path; never a guess or a crash."""

import json
import math
import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xray_analytics.schema import money_units
from xray_analytics.tables import QUARANTINE, REPORT_TABLES, REQUEST_TABLES
from xray_analytics.tidy.batch import Received, tidy

FETCHED_AT = datetime(2021, 12, 17, 9, 0, tzinfo=UTC)
DOCUMENTED = {p.name: p.read_bytes() for p in (Path(__file__).parent / "documented").iterdir()}
REPORT_ID = "61baf58cb92353003b888c3d"
FEW, SOME, MANY = (settings(max_examples=n, deadline=None) for n in (60, 200, 400))


def one(body):
    return Received(body, FETCHED_AT, "test.json")


def written(literal, *path, name="bank_xray_report.json"):
    """A documented report with a JSON literal at a place of its raw."""
    tree = json.loads(DOCUMENTED[name])
    place = tree["report"]["raw"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "@@"
    return json.dumps(tree).replace('"@@"', literal).encode()


def read(body):
    """Tables, drift problems by path, and the error of one payload."""
    tidied = tidy([one(body)])
    (outcome,) = tidied.outcomes
    drift = {(row["json_path"], row["problem"]) for row in tidied.tables["drift"].to_pylist()}
    check_quarantine(tidied)
    return tidied.tables, drift, outcome.error


def check_quarantine(tidied):
    """Every refused payload, and no other, has a row with its code and path, and its bytes."""
    refused = [o for o in tidied.outcomes if o.error is not None]
    kept = tidied.tables["quarantine"].to_pylist()
    assert [(o.raw_sha256, o.error.code, o.error.json_path) for o in refused] == [
        (row["raw_sha256"], row["code"], row["json_path"]) for row in kept
    ]
    for row in kept:
        assert re.fullmatch("[a-z0-9_]+", row["code"])
        assert row["json_path"].startswith("$")
        assert row["message"].startswith(row["json_path"])
        assert row["body"] is not None


# --- money

BALANCE_PATH = "$.report.raw.summary[0].startBalance"


def balance(literal):
    """The literal as money: units of 1/10,000, drift problems, error code."""
    others = {"endBalance": None, "totalCreditAmount": None, "totalDebitAmount": None}
    found, drift, error = read(written(json.dumps([others])[:-2] + f', "startBalance": {literal}}}]', "summary"))
    if error is not None:
        assert error.json_path == BALANCE_PATH
        return None, set(), error.code
    problems = {problem for path, problem in drift if path == "$.raw.summary[].startBalance"}
    return int(money_units(found["statement_summaries"]["start_balance"])[0]), problems, None


in_range = st.decimals(-(10**14) + 1, 10**14 - 1, places=4, allow_nan=False)


@SOME
@given(in_range)
@example(Decimal("99999999999999.9999"))
@example(Decimal("-99999999999999.9999"))
@example(Decimal("99999999999.9999"))
@example(Decimal("-100000000000.0001"))
@example(Decimal("-0.0000"))
def test_money__every_decimal_of_four_places_comes_back(amount):
    units, problems, code = balance(str(amount))
    assert (units, code) == (int(amount * 10_000), None)
    assert problems == ({"sub_cent"} if units % 100 else set())


@FEW
@given(st.decimals(-(10**10), 10**10, places=2), st.sampled_from(["{:e}", "{}", "{:.4f}"]))
def test_money__however_it_is_written(amount, form):
    assert balance(form.format(amount)) == (int(amount * 10_000), set(), None)


@FEW
@given(st.integers(10**14, 10**300), st.sampled_from([1, -1]))
@example(10**14, 1)
@example(10**14, -1)
def test_money__beyond_14_digits_is_refused(amount, sign):
    assert balance(str(sign * amount)) == (None, set(), "money_out_of_range")


@FEW
@given(st.decimals(-(10**10), 10**10, places=6).filter(lambda a: a * 10_000 % 1 != 0))
@example(Decimal("0.00005"))
@example(Decimal("99999999999998.99995"))
def test_money__more_than_four_decimals_are_rounded_and_counted(amount):
    units, problems, code = balance(str(amount))
    assert code is None
    assert "rounded" in problems
    assert abs(units - amount * 10_000) <= Decimal("0.5001")
    if abs(amount) >= 10**11:
        assert units == int((amount * 10_000).to_integral_value(ROUND_HALF_EVEN))


cents = st.lists(st.integers(-(10**11), 10**11), max_size=30)


@FEW
@given(cents)
def test_money__sum_of_cents_in_is_sum_out(amounts):
    entries = [f'{{"date": "2021-08-02", "amount": {Decimal(a) / 100:.2f}, "label": "x"}}' for a in amounts]
    found, _, error = read(written(f"[{', '.join(entries)}]", "allTransactions"))
    assert error is None
    assert int(money_units(found["transactions"]["amount"]).sum()) == sum(amounts) * 100


@pytest.mark.parametrize("n", [2, 200])
def test_money__a_report_whose_sums_would_overflow_is_refused_and_no_neighbour_notices(n):
    entries = json.dumps([{"date": "2021-08-02", "amount": 99_999_999_999_999, "label": "x"}] * n)
    good = DOCUMENTED["bank_xray_report.json"].replace(REPORT_ID.encode(), b"a" * 24)
    tidied = tidy([one(written(entries, "allTransactions")), one(good)])
    assert [o.error.code if o.error else None for o in tidied.outcomes] == ["money_out_of_range", None]
    alone = tidy([one(good)])
    assert all(tidied.tables[t.name].equals(alone.tables[t.name]) for t in REPORT_TABLES)


# --- dates

START, START_PATH = ("summary", 0, "startDate"), "$.report.raw.summary[0].startDate"
days = st.dates(date(2012, 1, 1), date(2021, 8, 31))  # a statement of ten years at most ends on 2021-08-31
OTHER_FORMS = ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y", "%Y/%m/%d", "%Y%m%d", "%Y-W%W-%w", "%Y-%j", "%b %d, %Y"]


def start(literal):
    """The literal as a day, or the code of its refusal."""
    found, _, error = read(written(literal, *START))
    if error is not None:
        assert error.json_path == START_PATH
        return error.code
    return found["statement_summaries"]["start_date"].to_pylist()[0]


@FEW
@given(days, st.sampled_from(["", "T00:00:00Z", "T23:59:59.999Z", "T12:30:00+00:00"]))
def test_dates__iso_days_and_utc_instants_are_that_day(day, tail):
    assert start(f'"{day.isoformat()}{tail}"') == day


@SOME
@given(days, st.sampled_from(OTHER_FORMS))
def test_dates__other_orders_are_never_guessed(day, form):
    assert start(f'"{day.strftime(form)}"') == "bad_date"


@FEW
@given(
    days, st.sampled_from(["T00:00:00+02:00", "T22:00:00-05:00", "T00:00:00", " 00:00:00", "Z", "T00Z", "\n", "\u0660"])
)
def test_dates__a_zone_that_could_move_the_day_is_refused(day, tail):
    assert start(json.dumps(f"{day.isoformat()}{tail}")) == "bad_date"


@FEW
@given(st.one_of(st.integers(0, 2**40), st.floats(0, 2e9).map(repr), st.booleans().map(json.dumps)))
def test_dates__no_number_is_a_date(epoch):
    assert start(str(epoch)) == "bad_date"


@pytest.mark.parametrize("day", ["2021-02-30", "2021-13-01", "2021-00-10", "0000-01-01", "2021-06-31", "20２1-01-01"])
def test_dates__impossible_days_are_refused(day):
    assert start(json.dumps(day)) == "bad_date"


@SOME
@given(st.text(max_size=12))
def test_dates__no_other_text_is_a_date(text):
    assert isinstance(start(json.dumps(text)), date) == bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text))


# --- text

LABELS = st.text(st.characters(codec="utf-8"), max_size=30)


def labels(texts):
    """The labels of transactions with these texts, and whether a replacement was counted."""
    entries = [{"date": "2021-08-02", "amount": 1, "label": text} for text in texts]
    found, drift, error = read(written(json.dumps(entries), "allTransactions"))
    assert error is None
    return found["transactions"]["label"].to_pylist(), any(problem == "replaced_text" for _, problem in drift)


@SOME
@given(st.lists(LABELS, min_size=1, max_size=4))
@example(["\x00\x1b[2J\x7f\x9b", "\u202e\u2066\u200f", "e\u0301\ufeff", "", "\U0010ffff\ufffe"])
def test_text__whatever_utf_8_can_carry_is_kept(texts):
    assert labels(texts) == (texts, False)


@FEW
@given(LABELS, st.characters(categories=["Cs"]), LABELS)
def test_text__half_a_surrogate_is_replaced_and_counted(before, half, after):
    kept, replaced = labels([before + half + after, "neighbour"])
    assert kept == [f"{before}\ufffd{after}", "neighbour"]
    assert replaced


def test_text__two_names_that_become_one_are_refused():
    body = b'{"report": {"id": "a", "source": "magpie", "raw": {"x": {"\\ud800": 1, "\\udc00": 2}}}}'
    _, _, error = read(body)
    assert (error.code, error.json_path) == ("duplicate_member", "$.report.raw.x")


def test_text__a_label_of_a_megabyte():
    assert labels(["x" * 1_000_000]) == (["x" * 1_000_000], False)


# --- what JSON forbids, and limits


@pytest.mark.parametrize(
    ("literal", "code"),
    [
        ("NaN", "not_a_number"),
        ("Infinity", "not_a_number"),
        ("-Infinity", "not_a_number"),
        ('{"a": 1, "a": 1}', "duplicate_member"),
        ("1e999", "number_out_of_range"),
        ("-1e999", "number_out_of_range"),
        ("9" * 5000, "number_out_of_range"),
        ("-" + "9" * 5000, "number_out_of_range"),
        ("[" * 62 + "]" * 62, "too_deep"),
    ],
)
@pytest.mark.parametrize("path", [("new",), ("bankFlag", "new"), ("summary", 0, "startBalance"), ("score",)])
def test_forbidden__has_code_and_path(literal, code, path):
    _, _, error = read(written(literal, *path))
    assert error.code == code
    expected = "$.report.raw" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
    assert error.json_path.startswith(expected)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b"9" * 5000])
def test_forbidden__hostile_bodies_are_quarantined(body):
    _, _, error = read(body)
    assert error.code in ("too_deep", "invalid_json", "number_out_of_range")


def test_limits__64_levels_are_read():
    found, _, error = read(written("[" * 60 + "]" * 60, "new"))
    assert error is None
    assert json.loads(found["reports"]["extra"].to_pylist()[0])["raw"]["new"] == json.loads("[" * 60 + "]" * 60)


# --- unknown members

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    LABELS,
)
trees = st.recursive(scalars, lambda t: st.lists(t, max_size=3) | st.dictionaries(LABELS, t, max_size=3), max_leaves=8)
PLACES = [("zz",), ("bankFlag", "zz"), ("summary", 0, "zz"), ("bankFlag", "reasons", 0, "zz")]
PLACES += [("movementReport", "totalDebitAmount", "zz")]


@SOME
@given(trees, st.sampled_from(PLACES))
def test_unknown__members_are_kept_exactly_and_counted(tree, path):
    found, drift, error = read(written(json.dumps(tree), *path))
    assert error is None
    kept = [json.loads(e) for t in REPORT_TABLES if "extra" in t.names for e in found[t.name]["extra"].to_pylist() if e]
    assert list(_members_named("zz", kept)) == [tree]
    general = "$.raw." + ".".join("*" if s == "totalDebitAmount" else str(s) for s in path)
    general = general.replace("summary.0", "summary[]").replace("reasons.0", "reasons[]")
    assert (general, "unknown_member") in drift


@FEW
@given(LABELS, st.sampled_from(['a"b', "a\\b", "a\x1b", "\x00", "", "é", "x" * 1000]))
def test_unknown__no_name_of_a_member_disturbs_a_neighbour(label, name):
    entries = [{"date": "2021-08-02", "amount": 1.5, "label": label}]
    first, second = (json.loads(written(json.dumps(entries), "allTransactions")) for _ in range(2))
    first["report"] |= {"id": "a" * 24, name: 1}
    first["report"]["raw"][name] = label
    tidied = tidy([one(json.dumps(tree).encode()) for tree in (first, second)])
    assert [o.status for o in tidied.outcomes] == ["published", "published"]
    assert tidied.tables["transactions"]["label"].to_pylist() == [label, label]
    assert json.loads(tidied.tables["reports"]["extra"].to_pylist()[0]) == {name: 1, "raw": {name: label}}


def _members_named(name, tree):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        if key == name:
            yield value
        elif isinstance(value, dict | list):
            yield from _members_named(name, value)


# --- fuzzing

FUZZ = [*b'null true -1e308 1e400 NaN " { } [] \\ud800'.split(), b"\xff", b"\x00", b"9" * 400]


@st.composite
def mutated(draw):
    """A documented payload with some bytes replaced, removed, repeated or inserted."""
    body = bytearray(DOCUMENTED[draw(st.sampled_from(sorted(DOCUMENTED)))])
    for _ in range(draw(st.integers(1, 4))):
        at, n = draw(st.integers(0, len(body))), draw(st.integers(0, 12))
        kind = draw(st.sampled_from(["put", "remove", "repeat", "byte"]))
        new = draw(st.sampled_from(FUZZ)) if kind == "put" else bytes(body[at : at + n]) * 2
        new = bytes([draw(st.integers(0, 255))]) if kind == "byte" else new
        body[at : at + n] = b"" if kind == "remove" else new
    return bytes(body)


@st.composite
def swapped(draw):
    """A documented payload with one value, anywhere, replaced by any other."""
    tree = json.loads(DOCUMENTED[draw(st.sampled_from(sorted(DOCUMENTED)))])
    place = tree
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        below = place[key]
        if not isinstance(below, dict | list) or not below or draw(st.integers(0, 3)) == 0:
            break
        place = below
    place[key] = draw(trees)
    return json.dumps(tree).encode()


@MANY
@given(st.lists(mutated() | swapped() | st.binary(max_size=40), min_size=1, max_size=4))
def test_fuzz__no_exception_escapes_and_no_neighbour_notices(bodies):
    good = DOCUMENTED["bank_xray_report.json"].replace(REPORT_ID.encode(), b"a" * 24)
    tidied = tidy([*map(one, bodies), one(good)])
    assert len(tidied.outcomes) == len(bodies) + 1
    check_quarantine(tidied)
    alone = tidy([one(good)])
    for table in REPORT_TABLES:
        rows = tidied.tables[table.name]
        n = alone.tables[table.name].num_rows
        assert rows.slice(rows.num_rows - n).equals(alone.tables[table.name]), table.name
    for table in (*REPORT_TABLES, *REQUEST_TABLES, QUARANTINE):
        assert tidied.tables[table.name].schema.equals(table.arrow_schema)
    floats = [x for x in tidied.tables["reports"]["bank_score"].to_pylist() if x is not None]
    assert all(map(math.isfinite, floats))
