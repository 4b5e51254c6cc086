"""Documented payloads to exact frames; what is refused, and that neighbours do not notice; batches add up."""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_analytics.errors import InputError
from xray_analytics.tables import (
    DRIFT,
    QUARANTINE,
    RAW,
    REPORT_TABLES,
    REQUEST_TABLES,
    TABLES,
)
from xray_analytics.tidy import drift
from xray_analytics.tidy.batch import Received, Tidied, tidy
from xray_analytics.tidy.drift import DriftNotes
from xray_analytics.tidy.inspection import inspect
from xray_analytics.tidy.layout import shipped
from xray_analytics.tidy.layout.reader import compiled
from xray_analytics.tidy.payload import Known, decode

DOCUMENTED = Path(__file__).parent / "documented"
FETCHED_AT = datetime(2021, 12, 17, 9, 0, tzinfo=UTC)
BANK_ID = "61baf58cb92353003b888c3d"


def one(body: bytes, **more: Any) -> Received:
    return Received(body, more.pop("fetched_at", FETCHED_AT), "test.json", **more)


def tidy_one(tree: Any, **more: Any) -> Tidied:
    return tidy([one(json.dumps(tree).encode(), **more)])


def documented(name: str) -> Any:
    return json.loads((DOCUMENTED / name).read_text(encoding="utf-8"))


def bank(**raw: Any) -> Any:
    """The documented Bank X-Ray report with other members in its raw."""
    tree = documented("bank_xray_report.json")
    tree["report"]["raw"] |= raw
    return tree


def rows(tidied: Tidied, name: str) -> list[dict[str, Any]]:
    """The rows of a table without the key of the report and without what is null."""
    found = tidied.tables[name].to_pylist()
    return [
        {k: v for k, v in row.items() if v is not None and k not in ("report_id", "report_version")} for row in found
    ]


def noticed(tidied: Tidied) -> set[tuple[str, str]]:
    return {(row["json_path"], row["problem"]) for row in tidied.tables["drift"].to_pylist()}


def refusal(body: bytes, **more: Any) -> tuple[str, str | None]:
    """Code and path of the only payload, which leaves rows in quarantine alone."""
    tidied = tidy([one(body, **more)])
    assert [outcome.status for outcome in tidied.outcomes] == ["quarantined"]
    assert {name for name, table in tidied.tables.items() if table.num_rows} == {"quarantine"}
    (row,) = tidied.tables["quarantine"].to_pylist()
    assert row["body"] == body
    return row["code"], row["json_path"]


# --------------------------------------------------------------------------------------------- documented truth


def test_documented_bank_report_gives_exact_rows() -> None:
    body = (DOCUMENTED / "bank_xray_report.json").read_bytes()
    tidied = tidy([one(body, api_version="2024-01-25", object_id=BANK_ID)])
    assert rows(tidied, "reports") == [
        {
            "request_id": "61b1aaa1015c69003931e945",
            "source": "bank_xray",
            "product": "bank",
            "created_at": datetime(2021, 12, 16, 8, 15, 8, tzinfo=UTC),
            "fetched_at": FETCHED_AT,
            "available_at": datetime(2021, 12, 16, 8, 15, 8, tzinfo=UTC),
            "is_backfilled": False,
            "layout_sha256": shipped().sha256,
            "is_rated": True,
            "bank_risk_class": 4,
            "bank_score": 0.8,
            "bank_flag_color": "red",
            "data_sanity_pct": 100.0,
            "period_start_date": date(2021, 7, 31),
            "period_end_date": date(2021, 8, 31),
            "n_accounts": 1,
            "n_statements": 1,
            "n_transactions": 0,
            "n_unread_transactions": 0,
            "n_days_covered": 31,
            "total_credit": Decimal("164341.91"),
            "total_debit": Decimal("68226.41"),
            "api_version": "2024-01-25",
            "raw_sha256": hashlib.sha256(body).hexdigest(),
        }
    ]
    (statement,) = rows(tidied, "statement_summaries")
    assert statement == {
        "account_no": 0,
        "statement_no": 0,
        "statement_id": "1",
        "start_date": date(2021, 7, 31),
        "end_date": date(2021, 8, 31),
        "page_count": 9,
        "start_balance": Decimal("166623.16"),
        "end_balance": Decimal("262738.66"),
        "total_credit": Decimal("164341.91"),
        "total_debit": Decimal("68226.41"),
        "movements": "correct",
        "has_basis": False,
    }
    net = statement["total_credit"] - statement["total_debit"]
    assert statement["start_balance"] + net == statement["end_balance"]
    assert rows(tidied, "bank_flag_criteria") == [
        {
            "criterion_no": 0,
            "criterion": "missedSocialSecurity",
            "value": 1.0,
            "quantile_pct": 100.0,
            "sentiment": "bad",
            "popovers": ["One sentence on the regularity of social security payments."],
        }
    ]
    assert rows(tidied, "movement_metrics") == [
        {"metric": "totalDebitAmount", "period_value": 68226.41, "annualised_value": 803310.96}
    ]
    assert rows(tidied, "accounts") == [
        {
            "account_no": 0,
            "basis": "assumed single",
            "n_statements": 1,
            "start_date": date(2021, 7, 31),
            "end_date": date(2021, 8, 31),
        }
    ]
    assert [(m.get("account_no"), m["month"], m["n_days_covered"]) for m in rows(tidied, "monthly_summaries")] == [
        (0, date(2021, 8, 1), 31),
        (None, date(2021, 8, 1), 31),
    ]
    assert tidied.tables["drift"].num_rows == tidied.tables["quarantine"].num_rows == 0


def test_documented_financial_report_gives_exact_rows() -> None:
    tidied = tidy_one(documented("magpie_report.json"))
    (report,) = rows(tidied, "reports")
    assert report["default_probability"] == 0.039524826661933084
    assert (report["product"], report["financial_risk_class"], report["is_rated"]) == ("financial", 3, True)
    assert rows(tidied, "financial_ratios") == [
        {"criterion": "totalFixedAssetsTotalAssets", "value": 0.0867204257133327, "value_origin": "magpie"}
    ]
    assert rows(tidied, "financial_reasons") == [
        {
            "reason_no": 0,
            "type_code": "trafficLight",
            "sentiment": "good",
            "weight": 0.039524826661933084,
            "criterion": "supplierScore",
            "value_text": "yellow",
        }
    ]
    assert tidied.tables["drift"].num_rows == 0


@pytest.mark.parametrize("flat", [False, True])
def test_documented_request_in_both_shapes(flat: bool) -> None:
    tree = documented("request.json")
    tidied = tidy_one(tree["request"] if flat else tree, kind="request")
    (request,) = rows(tidied, "requests")
    del request["raw_sha256"]
    assert request == {
        "request_id": "635107e452436f15d3b39d87",
        "request_version": 1,
        "company_code_type": "siren",
        "company_id": "514673987",
        "status": "pending_analysis",
        "stage": "1.1",
        "created_at": datetime(2022, 10, 20, 8, 33, 40, tzinfo=UTC),
        "fetched_at": FETCHED_AT,
    }
    assert tidied.tables["request_notes"].num_rows == tidied.tables["drift"].num_rows == 0


def test_status_beside_the_request_is_read_too() -> None:
    tree = documented("request.json")
    tree["status"] = tree["request"].pop("status")
    assert rows(tidy_one(tree), "requests")[0]["status"] == "pending_analysis"


def test_notes_are_whole_cents() -> None:
    tree = documented("request.json")
    tree["request"]["notes"] = {"equity": 1250, "holding": False, "esgLabels": ["none"]}
    (notes,) = rows(tidy_one(tree), "request_notes")
    assert (notes["equity_cents"], notes["is_holding"], notes["esg_labels"]) == (1250, False, ["none"])
    tree["request"]["notes"]["equity"] = 12.5
    assert refusal(json.dumps(tree).encode()) == ("wrong_type", "$.request.notes.equity")


def test_tables_are_exactly_as_declared_with_and_without_rows() -> None:
    expected = {t.name for t in (*REPORT_TABLES, *REQUEST_TABLES, RAW, DRIFT, QUARANTINE)}
    entries = [{"id": 7, "date": "2021-08-02", "amount": -5, "alerts": ["a"], "statementId": 1}]
    broken = one(b"{")
    full = tidy([one(json.dumps(bank(allTransactions=entries, x=1)).encode()), broken])
    for tidied in (tidy([]), full):
        assert set(tidied.tables) == expected
        for name, table in tidied.tables.items():
            assert table.schema.equals(TABLES[name].arrow_schema, check_metadata=True), name
            table.validate(full=True)
            TABLES[name].conform(table)


# --------------------------------------------------------------------------------------------- what is refused

GOOD = (DOCUMENTED / "bank_xray_report.json").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        (b'"score": 0.8', b'"score": NaN', "not_a_number", "$.report.raw.score"),
        (b'"score": 0.8', b'"score": -Infinity', "not_a_number", "$.report.raw.score"),
        (b'"score": 0.8', b'"score": 1e999', "number_out_of_range", "$.report.raw.score"),
        (b'"score": 0.8', b'"score": ' + b"9" * 5000, "number_out_of_range", "$.report.raw.score"),
        (b'"score": 0.8', b'"score": "0.8"', "wrong_type", "$.report.raw.score"),
        (b'"score": 0.8', b'"score": true', "wrong_type", "$.report.raw.score"),
        (b'"score": 0.8', b'"score": 0.8, "score": 0.8', "duplicate_member", "$.report.raw"),
        (b'"score": 0.8', b'"score" : 0.8, "score": 0.8', "duplicate_member", "$.report.raw"),
        (b'"riskClass": 4', b'"riskClass": 6', "number_out_of_range", "$.report.raw.riskClass"),
        (b'"riskClass": 4', b'"riskClass": 3.5', "wrong_type", "$.report.raw.riskClass"),
        (b'"2021-08-31"', b'"2021-02-30"', "bad_date", "$.report.raw.summary[0].endDate"),
        (b'"2021-08-31"', b'"31/08/2021"', "bad_date", "$.report.raw.summary[0].endDate"),
        (b'"2021-08-31"', b'"2021-08-31T00:00:00+02:00"', "bad_date", "$.report.raw.summary[0].endDate"),
        (b'"2021-08-31"', b"1630368000", "bad_date", "$.report.raw.summary[0].endDate"),
        (b'"2021-08-31"', b'"2099-08-31"', "bad_date", "$.report.raw.summary[0].endDate"),
        (b"262738.66", b"1e14", "money_out_of_range", "$.report.raw.summary[0].endBalance"),
        (b"262738.66", b"100000000000000", "money_out_of_range", "$.report.raw.summary[0].endBalance"),
        (b"262738.66", b'"262738.66"', "wrong_type", "$.report.raw.summary[0].endBalance"),
        (b'"allTransactions": []', b'"allTransactions": {}', "wrong_type", "$.report.raw.allTransactions"),
        (b'"allTransactions": []', b'"allTransactions": [3]', "wrong_type", "$.report.raw.allTransactions[0]"),
        (b'"source": "bank_xray"', b'"source": null', "missing_member", "$.report.source"),
        (b'"raw": {', b'"raw": null, "more": {', "missing_member", "$.report.raw"),
        (BANK_ID.encode(), b"../../etc/passwd", "bad_id", "$.report.id"),
        (b'"red"', b"[" * 70 + b"]" * 70, "too_deep", "$.report.raw.bankFlag.color" + "[0]" * 60),
        (b'"red"', b"[" * 100_000, "too_deep", "$"),
        (b'"red"', b'"\xff"', "invalid_utf8", "$"),
        (b'"red"', b"", "invalid_json", "$"),
    ],
)
def test_refused_with_code_and_path(old: bytes, new: bytes, code: str, path: str) -> None:
    assert old in GOOD
    assert refusal(GOOD.replace(old, new, 1)) == (code, path)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (GOOD[:-20], "invalid_json"),
        (GOOD + b"{}", "invalid_json"),
        (GOOD.decode().encode("utf-16"), "invalid_utf8"),
        (b"[]", "not_a_report"),
        (b'{"error": "not found"}', "not_a_report"),
        (b'{"report": null}', "wrong_type"),
    ],
)
def test_bodies_that_are_no_report(body: bytes, code: str) -> None:
    assert refusal(body)[0] == code


def test_another_id_or_kind_than_asked_for_is_refused() -> None:
    assert refusal(GOOD, object_id="61baf58cb92353003b888c3f") == ("wrong_id", "$.report.id")
    assert refusal(GOOD, kind="request") == ("wrong_kind", "$")


def test_a_byte_order_mark_is_tolerated_and_changes_no_content() -> None:
    plain, marked = tidy([one(GOOD)]), tidy([one(b"\xef\xbb\xbf" + GOOD)])
    assert marked.outcomes[0].status == "published"
    assert marked.tables["raw"]["content_sha256"] == plain.tables["raw"]["content_sha256"]


def test_messages_never_quote_content() -> None:
    body = GOOD.replace(b'"2021-08-31"', b'"FR7612345987650123456789014"')
    message = tidy([one(body)]).tables["quarantine"]["message"][0].as_py()
    assert "FR76" not in message
    assert message.startswith("$.report.raw.summary[0].endDate: expected a day as YYYY-MM-DD, found text")


def test_neighbours_of_a_bad_report_do_not_notice() -> None:
    good = [one(GOOD), one(json.dumps(documented("magpie_report.json")).encode())]
    alone, together = tidy(good), tidy([good[0], one(GOOD.replace(b"0.8", b"NaN")), good[1]])
    assert [o.status for o in together.outcomes] == ["published", "quarantined", "published"]
    for name in alone.tables.keys() - {"quarantine"}:
        assert together.tables[name].equals(alone.tables[name]), name


# --------------------------------------------------------------------------------------------- what is kept


def test_unknown_members_and_words_are_kept_and_counted() -> None:
    tree = bank(newMember={"a": 1}, riskClass=None)
    tree["report"]["raw"]["summary"][0] |= {"more": [1], "movements": "odd"}
    del tree["report"]["raw"]["bankFlag"]["dataSanity"]
    tree["report"]["raw"]["movementReport"]["other"] = 5
    tree["report"]["lang"] = "fr"
    tidied = tidy_one(tree)
    assert noticed(tidied) == {
        ("$.lang", "unknown_member"),
        ("$.raw.newMember", "unknown_member"),
        ("$.raw.summary[].more", "unknown_member"),
        ("$.raw.summary[].movements", "unknown_value"),
        ("$.raw.bankFlag.dataSanity", "missing_member"),
        ("$.raw.movementReport.*", "unknown_value"),
    }
    (report,) = rows(tidied, "reports")
    assert json.loads(report["extra"]) == {"lang": "fr", "raw": {"newMember": {"a": 1}}}
    assert (report["is_rated"], report.get("bank_risk_class")) == (False, None)
    assert rows(tidied, "statement_summaries")[0]["extra"] == '{"more":[1]}'
    assert rows(tidied, "movement_metrics")[1] == {"metric": "other", "extra": '{"value":5}'}


@pytest.mark.parametrize("risk_class", [None, 0])
def test_no_class_and_class_0_are_unrated(risk_class: int | None) -> None:
    for name in ("bank_xray_report.json", "magpie_report.json"):
        tree = documented(name)
        tree["report"]["raw"]["riskClass"] = risk_class
        (report,) = rows(tidy_one(tree), "reports")
        assert report["is_rated"] is False
        assert not report.keys() & {"bank_risk_class", "financial_risk_class"}


def test_a_class_at_low_sanity_is_kept_and_counted() -> None:
    tree = bank()
    tree["report"]["raw"]["bankFlag"]["dataSanity"] = 69.9
    tidied = tidy_one(tree)
    assert rows(tidied, "reports")[0]["bank_risk_class"] == 4
    assert noticed(tidied) == {("$.raw.riskClass", "unknown_value")}


@pytest.mark.parametrize(
    ("amount", "kept", "problems"),
    [
        ("0.1", "0.1000", set()),
        ("12", "12.0000", set()),
        ("0.125", "0.1250", {"sub_cent"}),
        ("0.00001", "0.0000", {"rounded"}),
        ("2.00005", "2.0000", {"rounded"}),
        ("99999999999.9999", "99999999999.9999", {"sub_cent"}),
        ("12345678901234.5678", "12345678901234.5678", {"sub_cent"}),
        ("49999999999999.99", "49999999999999.9900", set()),
    ],
)
def test_money_is_exact(amount: str, kept: str, problems: set[str]) -> None:
    body = GOOD.replace(b"68226.41,\n", amount.encode() + b",\n")
    body = body.replace(b'"allTransactions": []', b'"allTransactions": [{"id": 1, "amount": %s}]' % amount.encode())
    if abs(float(amount)) > 3e13:
        body = body.replace(b'{"id": 1, "amount": %s}' % amount.encode(), b"")
    tidied = tidy([one(body)])
    assert tidied.outcomes[0].error is None
    assert str(tidied.tables["statement_summaries"]["total_debit"][0].as_py()) == kept
    if abs(float(amount)) <= 3e13:
        assert str(tidied.tables["transactions"]["amount"][0].as_py()) == kept
    assert {problem for _, problem in noticed(tidied)} == problems


def test_half_a_surrogate_pair_is_replaced_and_counted() -> None:
    tidied = tidy([one(GOOD.replace(b'"red"', b'"red\\ud800"'))])
    assert rows(tidied, "reports")[0]["bank_flag_color"] == "red\ufffd"
    assert ("$.raw.bankFlag.color", "replaced_text") in noticed(tidied)


def test_bank_criteria_may_be_an_object_and_financial_ones_a_text() -> None:
    tree = bank()
    tree["report"]["raw"]["bankFlag"]["reasons"][0]["criteria"] = {"a": 1}
    (row,) = rows(tidy_one(tree), "bank_flag_criteria")
    assert (row["criterion"], row["extra"]) == ("a", '{"criteria":{"a":1}}')
    tree = documented("magpie_report.json")
    tree["report"]["raw"]["reasons"][0]["criteria"] = "supplierScore"
    assert rows(tidy_one(tree), "financial_reasons")[0]["criterion"] == "supplierScore"


def test_unknown_products_become_facts() -> None:
    raw = {"score": "B", "n": 2, "ok": None, "items": [{"a b": True}], "empty": []}
    tree = {"report": {"id": "r1", "request": "q1", "source": "esg", "raw": raw}}
    tidied = tidy_one(tree)
    assert rows(tidied, "reports")[0]["product"] == "esg"
    assert [(f["path"], f["value_type"]) for f in rows(tidied, "other_facts")] == [
        ("score", "text"),
        ("n", "number"),
        ("ok", "null"),
        ('items[0]["a b"]', "bool"),
    ]
    tree["report"]["source"] = "doc_xray"
    assert rows(tidy_one(tree), "reports")[0]["product"] == "other"
    named = tidy([one(json.dumps(tree).encode())], sources={"doc": "doc_xray"})
    assert rows(named, "reports")[0]["product"] == "doc"


# --------------------------------------------------------------------------------------------- versions and times


def test_white_space_and_order_make_no_version() -> None:
    tree = documented("bank_xray_report.json")
    turned = {"report": dict(reversed(tree["report"].items()))}
    first, second = tidy([one(GOOD)]), tidy_one(turned)
    assert first.tables["raw"]["raw_sha256"] != second.tables["raw"]["raw_sha256"]
    digest = first.tables["raw"]["content_sha256"][0].as_py()
    assert second.tables["raw"]["content_sha256"][0].as_py() == digest
    canonical = json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()
    assert digest == hashlib.sha256(canonical).hexdigest()


def test_version_of_decides_what_is_published() -> None:
    asked = []

    def version_of(kind: str, object_id: str, content_sha256: str) -> int | None:
        asked.append((kind, object_id))
        return [2, None][len(asked) - 1]

    tidied = tidy([one(b"{"), one(GOOD), one(GOOD)], version_of=version_of)
    assert asked == [("report", BANK_ID)] * 2
    assert [(o.status, o.version) for o in tidied.outcomes] == [
        ("quarantined", None),
        ("published", 2),
        ("unchanged", None),
    ]
    (report,) = tidied.tables["reports"].to_pylist()
    assert (report["report_version"], report["available_at"], report["is_backfilled"]) == (2, FETCHED_AT, False)


def test_creation_is_a_member_else_in_the_id_else_unknown() -> None:
    tree = bank()
    tree["report"]["creation"] = "2021-12-01T10:00:00.000+01:00"
    (report,) = rows(tidy_one(tree), "reports")
    assert report["created_at"] == datetime(2021, 12, 1, 9, tzinfo=UTC)
    assert report["is_backfilled"] is True
    tree["report"] |= {"creation": None, "id": "r-1"}
    (report,) = rows(tidy_one(tree), "reports")
    assert "created_at" not in report
    assert report["available_at"] == FETCHED_AT


# --------------------------------------------------------------------------------------------- transactions


def entries_of(*entries: Any, **more: Any) -> list[dict[str, Any]]:
    return rows(tidy([one(json.dumps(bank(allTransactions=list(entries))).encode())], **more), "transactions")


def test_transactions_by_the_shipped_alias_map() -> None:
    sent = {
        "_id": 12,
        "bookingDate": "2021-08-05T23:30:00.000Z",
        "description": "VIR",
        "amount": -12.34,
        "balance": None,
        "alerts": ["x"],
        "category": {"id": 1},
        "odd": 1,
    }
    (row,) = entries_of(sent)
    assert row == {
        "account_no": 0,
        "transaction_no": 0,
        "booked_date": date(2021, 8, 5),
        "label": "VIR",
        "amount": Decimal("-12.3400"),
        "alerts": ["x"],
        "source_transaction_id": "12",
        "extra": '{"category":{"id":1},"odd":1}',
    }


def test_credit_and_debit_pairs() -> None:
    found = entries_of(
        {"credit": 5, "debit": None}, {"credit": 0, "debit": 2.5}, {"creditAmount": 1}, {"amount": 3, "debit": 9}
    )
    assert [row["amount"] for row in found] == [5, Decimal("-2.5"), 1, 3]
    assert found[3]["extra"] == '{"debit":9}'
    body = json.dumps(bank(allTransactions=[{"debit": -1}])).encode()
    assert refusal(body) == ("number_out_of_range", "$.report.raw.allTransactions[0].debit")


def test_a_changed_alias_map_is_used_and_checked() -> None:
    assert entries_of({"when": "2021-08-05"}, aliases={"booked_date": ("when",)})[0]["booked_date"] == date(2021, 8, 5)
    with pytest.raises(InputError, match="no column 'day'"):
        entries_of({}, aliases={"day": ("when",)})
    with pytest.raises(InputError, match="member 'when' twice"):
        entries_of({}, aliases={"booked_date": ("when",), "value_date": ("when",)})


# --------------------------------------------------------------------------------------------- two ways, batches

PLAIN = {
    "id": "a",
    "date": "2021-08-02",
    "label": "VIR : x",
    "amount": 10.5,
    "balance": None,
    "statementId": 1,
    "alerts": ["a"],
    "iban": "FR1",
}
ODD = st.sampled_from(
    [None, True, 'VIR "x": 1', 0, -3, 1.0, 2.00005, 0.125, 1e11, 123456789012.3456, 1e15, "", "x", "2021-08-03",
     "2021-02-30", "2021-08-03T10:00:00Z", [], ["a", "b"], [1], {}, {"a": 1}, "\ud800", 2**70]
)  # fmt: skip


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """Reports whose transactions are all alike, but for a few changes."""
    entries = [dict(PLAIN, id=str(i)) for i in range(draw(st.integers(0, 4)))]
    for _ in range(draw(st.integers(0, 2))):
        for entry in entries if draw(st.booleans()) else entries[-1:]:
            name = draw(st.sampled_from([*PLAIN, "new", "credit", "_id", "currency", "bookingDate"]))
            if draw(st.booleans()):
                entry[name] = draw(ODD)
            else:
                entry.pop(name, None)
    tree = bank(allTransactions=entries)
    if draw(st.booleans()):
        tree["report"][draw(st.sampled_from(["creation", "new"]))] = draw(ODD)
    raw = tree["report"]["raw"]
    raw["summary"] *= draw(st.integers(1, 3))
    for part in (
        raw,
        raw["summary"][0],
        raw["bankFlag"],
        raw["bankFlag"]["reasons"][0],
        *raw["movementReport"].values(),
    ):
        if draw(st.integers(0, 4)) == 0:
            name = draw(st.sampled_from([*sorted(part.keys() - {"allTransactions"}), "new"]))
            part[name] = draw(ODD)
        if draw(st.integers(0, 9)) == 0:
            part.pop(draw(st.sampled_from(sorted(part.keys() - {"allTransactions"}) or ["new"])), None)
    text = json.dumps(tree, separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (", ", " : ")])))
    if draw(st.integers(0, 9)) == 0:
        text = text.replace('"amount"', '"amount":1,"amount"', 1)
    return text.encode()


@settings(max_examples=150, deadline=None)
@given(payloads())
def test_the_quick_way_is_the_reference_way(body: bytes) -> None:
    quick, reference = tidy([one(body)]), tidy([one(b"\xef\xbb\xbf" + body)])  # a mark takes the reference way
    for name in quick.tables.keys() - {"raw", "quarantine"}:
        ours, theirs = (_without_digest(t.tables[name]) for t in (quick, reference))
        assert ours.equals(theirs), name
    assert quick.tables["raw"]["content_sha256"] == reference.tables["raw"]["content_sha256"]
    same = ["code", "json_path", "object_id", "stage", "message"]
    ours, theirs = (t.tables["quarantine"].select(same) for t in (quick, reference))
    assert ours.equals(theirs)


def _without_digest(table: pa.Table) -> pa.Table:
    return table.drop_columns("raw_sha256") if "raw_sha256" in table.column_names else table


def test_the_quick_way_is_taken_for_plain_reports() -> None:
    known = Known(compiled(shipped()))
    body = json.dumps(bank(allTransactions=[PLAIN, PLAIN])).encode()
    content = decode(body, None, known)
    assert content.parts is not None
    assert content.parts.entries.n == 2
    assert content.parts.rows.keys() == {"statement_summaries", "bank_flag_criteria", "movement_metrics"}
    assert content.content_sha256 == hashlib.sha256(msgspec.json.encode(json.loads(body), order="sorted")).hexdigest()
    assert content.notes == DriftNotes()


@settings(max_examples=20, deadline=None)
@given(st.lists(payloads(), min_size=2, max_size=6), st.data())
def test_two_batches_are_one(bodies: list[bytes], data: st.DataObject) -> None:
    received = [one(body) for body in bodies]
    cut = data.draw(st.integers(0, len(received)))
    whole, parts = tidy(received), [tidy(received[:cut]), tidy(received[cut:])]
    for name in whole.tables.keys() - {"drift"}:
        assert pa.concat_tables([p.tables[name] for p in parts]).equals(whole.tables[name]), name
    merged = drift.merge([p.tables["drift"] for p in parts], 7)
    assert merged.drop_columns("commit").equals(whole.tables["drift"].drop_columns("commit"))
    assert set(merged["commit"].to_pylist()) <= {7}


def test_inspection_names_what_is_and_is_not_recognised() -> None:
    body = json.dumps(bank(allTransactions=[{"date": "2021-08-02", "credit": 1, "when": 1}, {"when": 2}])).encode()
    found = inspect([one(body)])
    assert found.n_transactions == 2
    assert found.recognised == {"credit": "amount", "date": "booked_date"}
    assert found.unrecognised == {"when": 2}
    assert tomllib.loads(found.settings_lines) == {"transaction_aliases": {}}
    uncommented = found.settings_lines.splitlines()[2].removeprefix("# ")
    ((column, names),) = tomllib.loads(uncommented).items()
    assert (column, names[0]) == ("statement_id", "when")
    assert entries_of({"when": 7}, aliases={column: tuple(names)})[0]["statement_id"] == "7"
    assert inspect([one(GOOD)]).settings_lines == ""


def test_an_empty_list_before_an_object_that_looks_like_a_transaction() -> None:
    body = json.dumps(bank(more={"id": "1", "date": "2021-08-02"})).encode()
    tidied = tidy([one(body), one(body)])
    assert [o.status for o in tidied.outcomes] == ["published", "published"]
    assert [r["n_transactions"] for r in rows(tidied, "reports")] == [0, 0]


def test_drift__names_the_same_report_whatever_the_order():
    notes = DriftNotes()
    notes.add("raw.new", "unknown_member")
    noticed = [("bank_xray", object_id, notes) for object_id in ("7c", "7a", "7b")]
    whole = drift.count(noticed)
    assert whole["first_report_id"].to_pylist() == ["7a"]
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        assert drift.merge([drift.count([noticed[i]]) for i in order], None).equals(whole)
