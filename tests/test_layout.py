"""Layouts: what a line means, that both ways of reading mean the same by it, and what is refused by name."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_variants import VARIANTS, layout_of, varied

from xray_analytics.errors import InputError
from xray_analytics.sandbox.payloads.reports import Economy
from xray_analytics.tidy.batch import Received, Tidied, tidy
from xray_analytics.tidy.decode import content_sha256
from xray_analytics.tidy.layout import Layout, layouts_of, shipped
from xray_analytics.tidy.layout.reader import compiled
from xray_analytics.tidy.payload import Known, decode

AT = datetime(2026, 1, 1, tzinfo=UTC)
LEFT_OUT = {"extra", "api_version", "raw_sha256", "fetched_at", "available_at", "is_backfilled", "layout_sha256"}


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    economy = Economy(6, seed=7, clean=True)
    found = [economy.report_body(i) for i in economy.report_ids(source="bank_xray")]
    return [body for body in found if b'"allTransactions":[{' in body and b'"statementId"' in body][:4]


def read(body: bytes, layout: Any = None) -> Tidied:
    return tidy([Received(body, AT, "test.json")], layout=layout)


def same_tables(ours: Tidied, theirs: Tidied, lost: tuple[str, ...] = ()) -> None:
    """Every table of a report cell by cell; transactions as a multiset."""
    assert [o.status for o in ours.outcomes] == [o.status for o in theirs.outcomes] == ["published"], ours.outcomes
    for name in ours.tables.keys() - {"raw", "drift", "quarantine", "layouts"}:
        left, right = (rows(t.tables[name], lost) for t in (ours, theirs))
        assert left == right, name


def rows(table: pa.Table, lost: tuple[str, ...]) -> list[str]:
    left_out = LEFT_OUT | set(lost) | ({"transaction_no"} if "booked_date" in table.column_names else set())
    kept = table.select([name for name in table.column_names if name not in left_out])
    return sorted(map(repr, kept.to_pylist()))


# ------------------------------------------------------------------------------------------------ variants


@pytest.mark.parametrize("name", VARIANTS)
def test_layout__reads_a_variant_like_the_house(name, bodies):
    for body in bodies:
        ours = read(varied(body, name), layout_of(name))
        same_tables(ours, read(body), VARIANTS[name].lost)


REFUSED = {
    "text": 'decimal = "."', "french_text": 'decimal = ","', "slashes": "DD/MM/YYYY", "dots": "DD.MM.YYYY",
    "digits": "YYYYMMDD", "epoch_ms": "epoch_ms", "epoch_s": "epoch_s", "written_zone": "zone = ",
    "negative_pair": "unsigned = false", "letter": "classes", "percent": "percent_text = true",
    "nested_amount": "a path", "data": 'parts.report = ["data"]',
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_layout__what_it_does_not_allow_is_refused_with_the_line_that_would(name, bodies):
    (outcome,) = read(varied(bodies[0], name)).outcomes
    assert outcome.status == "quarantined"
    assert REFUSED[name] in str(outcome.error)
    assert "would allow" in str(outcome.error)


SILENT = {
    "cents": "whole number", "inverted": "the other way", "side": "below zero",
    "paris_midnight": "outside the statements",
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_layout__what_only_sums_and_days_contradict_is_said(name):
    economy = Economy(12, seed=7, clean=True)
    every = [economy.report_body(i) for i in economy.report_ids(source="bank_xray")]
    doubts = [o.doubt for body in every for o in read(varied(body, name)).outcomes]
    assert any(SILENT[name] in (doubt or "") for doubt in doubts)
    assert {o.doubt for body in every for o in read(body).outcomes} == {None}


COMBINED = st.lists(st.sampled_from(sorted(VARIANTS)), unique=True, max_size=4)


@settings(max_examples=120, deadline=None)
@given(names=COMBINED, data=st.data())
def test_the_quick_way_is_the_reference_way_in_every_layout(names, data, bodies):
    try:
        body = varied(data.draw(st.sampled_from(bodies)), *names)
        layout = Layout.of(layout_of(*names))
    except (KeyError, TypeError, AttributeError, ValueError, InputError):
        return  # one variant takes away what the other changes
    quick, reference = read(body, layout), read(b"\xef\xbb\xbf" + body, layout)
    assert [o.status for o in quick.outcomes] == [o.status for o in reference.outcomes]
    for name in quick.tables.keys() - {"raw", "quarantine"}:
        ours, theirs = (t.tables[name] for t in (quick, reference))
        drop = [c for c in ("raw_sha256",) if c in ours.column_names]
        assert ours.drop_columns(drop).equals(theirs.drop_columns(drop)), name
    assert quick.tables["raw"]["content_sha256"] == reference.tables["raw"]["content_sha256"]
    said = ["code", "json_path", "message"]
    assert quick.tables["quarantine"].select(said).equals(reference.tables["quarantine"].select(said))


QUICK = (
    "french", "nested_amount", "negative_pair", "side", "inverted", "text", "french_text", "cents", "epoch_ms",
    "paris_midnight", "slashes", "digits", "elsewhere", "underscore_id", "statements_in_french", "criteria", "letter",
    "percent",
)  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_the_quick_way_is_taken_in_other_layouts(name, bodies):
    taken = [decode(varied(body, name), None, Known(compiled(Layout.of(layout_of(name))))) for body in bodies]
    assert any(content.parts is not None for content in taken)


# ------------------------------------------------------------------------------------------------ lines


def entry(**members: Any) -> bytes:
    whole = {"date": "2023-06-02", "label": "x", **members}
    raw = {"allTransactions": [{k: v for k, v in whole.items() if v is not None}], "summary": []}
    return json.dumps({"report": {"id": "r1", "source": "bank_xray", "raw": raw}}).encode()


def only(body: bytes, layout: Any = None) -> dict[str, Any]:
    tidied = read(body, layout)
    assert tidied.outcomes[0].error is None, tidied.outcomes[0].error
    return tidied.tables["transactions"].to_pylist()[0]


def code_of(body: bytes, layout: Any = None) -> str:
    error = read(body, layout).outcomes[0].error
    assert error is not None
    return error.code


def test_values__two_date_forms_that_read_a_text_differently_refuse_the_report():
    both = {"values": {"dates": ["DD/MM/YYYY", "MM/DD/YYYY"]}}
    assert code_of(entry(date="05/06/2023"), both) == "ambiguous_date"
    assert only(entry(date="05/05/2023"), both)["booked_date"] == date(2023, 5, 5)
    assert only(entry(date="25/06/2023"), both)["booked_date"] == date(2023, 6, 25)


@pytest.mark.parametrize("amount", [0, 0.0, None])
def test_pair__an_amount_of_zero_beside_a_pair_follows_the_pair(amount):
    assert only(entry(amount=amount, debit=5))["amount"] == -5
    assert only(entry(amount=amount, credit=0, debit=5))["amount"] == -5
    assert only(entry(amount=7, debit=5))["amount"] == 7
    assert only(entry(amount=0, debit=0))["amount"] == 0


def two(first: dict[str, Any], second: dict[str, Any]) -> bytes:
    tree = json.loads(entry(**first))
    tree["report"]["raw"]["allTransactions"] += json.loads(entry(**second))["report"]["raw"]["allTransactions"]
    return json.dumps(tree).encode()


def test_pair__either_sign_but_one_in_a_report():
    either = {"transaction": {"pair": {"credit": ["in"], "debit": ["out"]}}}
    assert only(entry(out=-5), either)["amount"] == only(entry(out=5), either)["amount"] == -5
    assert code_of(two({"out": -5}, {"out": 5}), either) == "mixed_signs"


SIDES = {"transaction": {"sign": {"member": "side", "credit": ["C"], "debit": ["D"]}}}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"amount": 5, "side": "X"}, "unknown_side"),
        ({"amount": 5}, "missing_member"),
        ({"amount": -5, "side": "C"}, "number_out_of_range"),
    ],
)
def test_sign__a_side_that_is_not_said_refuses_the_report(members, code):
    assert code_of(entry(**members), SIDES) == code
    assert only(entry(amount=-5, side="D"), SIDES)["amount"] == -5
    assert code_of(two({"amount": -5, "side": "D"}, {"amount": 5, "side": "D"}), SIDES) == "mixed_signs"


def test_cents__a_fraction_is_none():
    assert only(entry(amount=1234), {"values": {"unit": "cents"}})["amount"] * 100 == 1234
    assert code_of(entry(amount=12.5), {"values": {"unit": "cents"}}) == "not_cents"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"transactions": {}}, "no table [transactions]; did you mean 'transaction'?"),
        ({"transaction": {"amuont": ["x"]}}, "no column 'amuont'; did you mean 'amount'?"),
        ({"transaction": {"amount": "x"}}, "transaction.amount must be a list"),
        ({"values": {"units": "cents"}}, "no line 'units'; did you mean 'unit'?"),
        ({"values": {"unit": "cent"}}, 'unit is "major" or "cents"'),
        ({"values": {"dates": ["DD/MM/YYY"]}}, "did you mean 'DD/MM/YYYY'?"),
        ({"values": {"zone": "Europe/Pari"}}, "no time zone"),
        ({"transaction": {"label": ["x"], "category": ["x"]}}, "maps member 'x' twice"),
        ({"parts": {"transactions": ["raw.items"]}}, "no path"),
        ({"transaction": {"pair": {"credit": ["a", "b"], "debit": ["c"]}}}, "as many members"),
        ({"transaction": {"sign": {"member": "s", "credit": ["x"], "debit": ["x"]}}}, "one word both sides"),
        ({"transaction": {"sign": {"member": "s"}}}, "[transaction.sign]"),
    ],
)
def test_layout__a_line_that_cannot_be_meant_is_named(document, said):
    with pytest.raises(InputError) as refused:
        Layout.of(document)
    assert said in str(refused.value)


def test_layout__its_digest_is_of_what_was_written_without_the_name():
    document = {"name": "a", "values": {"unit": "cents"}}
    assert Layout.of(document).sha256 == Layout.of({**document, "name": "b"}).sha256
    assert Layout.of(document).sha256 == content_sha256({"values": {"unit": "cents"}})
    assert shipped().sha256 == layouts_of()[0].sha256
    assert layouts_of(aliases={"label": ("wording2",)})[0].sha256 != shipped().sha256


def test_layouts__the_first_that_reads_all_transactions_else_the_first_that_reads():
    french = entry(date=None, jour="2023-06-02", montant=5)
    ours = Layout.of({"name": "ours", "transaction": {"booked_date": ["jour"], "amount": ["montant"]}})
    found = read(french, [shipped(), ours])
    assert found.tables["reports"]["layout_sha256"].to_pylist() == [ours.sha256]
    neither = read(entry(date=None, tag="2023-06-02"), [shipped(), ours])
    assert neither.tables["reports"]["layout_sha256"].to_pylist() == [shipped().sha256]
    assert code_of(entry(date="x", jour="y"), [shipped(), ours]) == "bad_date"


def test_layout__nothing_is_lost(bodies):
    """What a path leaves of an object is in `extra`."""
    layout = {"transaction": {"amount": ["amount.value"], "counterparty": ["who.name"]}}
    found = only(entry(amount={"value": 5, "fee": 1}, who={"name": "N", "iban": {"x": 1}}), layout)
    assert json.loads(found["extra"]) == {"amount": {"fee": 1}, "who": {"iban": {"x": 1}}}
    assert code_of(json.dumps({"report": {"id": "r", "source": "bank_xray", "raw": {"allTransactions": [
        {"amount.value": 3, "amount": {"value": 5}}]}}}).encode(), layout) == "ambiguous_member"  # fmt: skip
