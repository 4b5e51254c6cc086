"""Notes are right before they are sent: every problem at once, cents as the guide says, nothing converted unasked."""

import json
import re

import pytest
from faults.server import FaultServer, Reply, reply
from hypothesis import given
from hypothesis import strategies as st

from xray_analytics import Sandbox, XRayClient, tables
from xray_analytics.api.notes import Notes, read_notes
from xray_analytics.errors import InputError, UnavailableError

REQUEST = "635107e452436f15d3b39d87"
AMOUNTS = {
    "equity_cents": 4_000_000,
    "revenue_cents": 120_000_000,
    "amortization_depreciation_cents": 900_000,
    "net_income_cents": -1_500_050,
    "interest_expense_cents": 310_000,
    "cash_available_cents": 2_000_000,
    "total_fixed_assets_cents": 5_000_000,
    "total_assets_cents": 20_000_000,
    "short_term_debt_cents": 1_000_000,
    "total_debt_cents": 6_000_000,
    "current_liabilities_cents": 7_000_000,
}
COMPANY = {"is_holding": False, "workforce_number": 12} | AMOUNTS
ESG = {
    "esg_gender_diversity": "21-40%",
    "esg_labels": ("lucie", "b-corp"),
    "esg_employee_protection": "2-5",
    "esg_job_creation": "10+",
}
PAYLOAD = {
    "holding": False,
    "workforceNumber": 12,
    "equity": 4_000_000,
    "revenue": 120_000_000,
    "amortizationDepreciation": 900_000,
    "netIncome": -1_500_050,
    "interestExpense": 310_000,
    "cashAvailable": 2_000_000,
    "totalFixedAssets": 5_000_000,
    "totalAssets": 20_000_000,
    "shortTermDebt": 1_000_000,
    "totalDebt": 6_000_000,
    "currentLiabilities": 7_000_000,
}
ESG_PAYLOAD = {
    "esgGenderDiversity": "21-40%",
    "esgLabels": ["lucie", "b-corp"],
    "esgEmployeeProtection": "2-5",
    "esgJobCreation": "10+",
}


def euros(name):
    return name.removesuffix("_cents")


def test_payload__is_the_documented_object():
    assert Notes(**COMPANY).to_payload() == PAYLOAD
    assert Notes(**COMPANY, **ESG).to_payload() == PAYLOAD | ESG_PAYLOAD
    assert len(PAYLOAD | ESG_PAYLOAD) == 17


def test_fields__are_the_columns_of_the_table():
    declared = {c.name: c.source for c in tables.REQUEST_NOTES.columns if (c.source or "").startswith("notes.")}
    members = {name: f"notes.{f.metadata['member']}" for name, f in Notes.__dataclass_fields__.items()}
    assert members == declared


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workforce_number": 0}, "workforce_number must be at least 1, not 0"),
        ({"workforce_number": 2.5}, "workforce_number must be a whole number, not 2.5"),
        ({"workforce_number": True}, "workforce_number must be a whole number, not True"),
        ({"total_assets_cents": -1}, "total_assets_cents must be at least 0, not -1"),
        ({"equity_cents": 1.0}, "equity_cents must be a whole number of cents, not 1.0"),
        ({"equity_cents": None}, "equity_cents must be a whole number of cents, not None"),
        ({"revenue_cents": "12"}, "revenue_cents must be a whole number of cents, not 12"),
        ({"revenue_cents": 10**18}, "revenue_cents is beyond any company: 1000000000000000000"),
        ({"is_holding": "no"}, "is_holding must be true or false, not 'no'"),
        ({"is_holding": 1}, "is_holding must be true or false, not '1'"),
        ({"esg_gender_diversity": "20-40%"}, "must be one of 0-20%, 21-40%, 41-60%, 61-80%, 81-100%, not '20-40%'"),
        ({"esg_job_creation": "10"}, "esg_job_creation must be one of 0, 1, 2-5, 6-10, 10+, not '10'"),
        ({"esg_employee_protection": 1}, "esg_employee_protection must be one of 0, 1, 2-5, 6-10, 10+, not '1'"),
        ({"esg_labels": ()}, 'without any, ["none"]'),
        ({"esg_labels": "lucie"}, "esg_labels must be labels such as"),
        ({"esg_labels": ("none", "lucie")}, "esg_labels cannot hold none beside other labels"),
    ],
)
def test_notes__one_problem(change, message):
    with pytest.raises(InputError) as caught:
        Notes(**COMPANY | change)
    assert str(caught.value).startswith("the notes have 1 problem: ")
    assert message in str(caught.value)


def test_notes__all_problems_at_once():
    row = {"holding": "maybe", "workforceNumber": "0", "equity": "1,5", "profit": "3", "esgJobCreation": "2"}
    with pytest.raises(InputError) as caught:
        Notes.from_mapping(row)
    text = str(caught.value)
    assert text.startswith("the notes have 15 problems: unknown name 'profit'; revenue_cents is missing; ")
    assert text.count(" is missing") == 10
    for part in ("is_holding must be", "workforce_number must be at least 1", "equity_cents must be", "job_creation"):
        assert part in text


def test_warnings__contradictions_are_named_and_sent_all_the_same():
    assert Notes(**COMPANY).warnings == ()
    odd = COMPANY | {"total_fixed_assets_cents": 20_000_001, "short_term_debt_cents": 7_000_001}
    assert Notes(**odd).warnings == (
        "fixed assets are above total assets",
        "short-term debt is above total debt",
        "short-term debt is above current liabilities",
    )
    assert Notes(**COMPANY | {"cash_available_cents": 15_000_001}).warnings == (
        "cash and fixed assets together are above total assets",
    )
    assert Notes(**COMPANY | {"equity_cents": 20_000_001}).warnings == ("equity is above total assets",)


def test_from_euros__converts_exactly():
    amounts = {euros(name): f"{cents / 100:.2f}" for name, cents in AMOUNTS.items()}
    assert Notes.from_euros(is_holding=False, workforce_number=12, **amounts) == Notes(**COMPANY)
    for value, cents in ((0.1, 10), (1234, 123_400), ("1234,5", 123_450), ("-0.01", -1), (19.99, 1999)):
        assert (
            Notes.from_euros(is_holding=False, workforce_number=1, **amounts | {"equity": value}).equity_cents == cents
        )


@pytest.mark.parametrize("value", ["0.001", 0.1 + 0.2, "1 000", "1.000,00", "NaN", "inf", True, "", "12 €"])
def test_from_euros__refuses_what_is_not_whole_cents(value):
    amounts = {euros(name): cents / 100 for name, cents in AMOUNTS.items()}
    with pytest.raises(InputError, match=r"equity is (no amount in euros with at most 2 decimals|missing)"):
        Notes.from_euros(is_holding=False, workforce_number=1, **amounts | {"equity": value})


def test_from_euros__cents_are_not_taken_for_euros():
    with pytest.raises(InputError, match=r"unknown name 'equity_cents'.*equity is missing"):
        Notes.from_mapping(COMPANY, in_euros=True)


@given(st.integers(-(10**14), 10**14))
def test_from_euros__is_the_inverse_of_showing_cents(cents):
    sign, units = ("-" if cents < 0 else ""), abs(cents)
    amounts = {euros(name): 1 for name in AMOUNTS} | {"net_income": f"{sign}{units // 100}.{units % 100:02d}"}
    assert Notes.from_euros(is_holding=True, workforce_number=1, **amounts).net_income_cents == cents


# --- files


def write_csv(path, rows, separator):
    names = list(rows[0])
    lines = [separator.join(names), *(separator.join(str(row[name]) for name in names) for row in rows)]
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [",", ";"])
def test_read_notes__many_companies_from_csv(tmp_path, separator):
    first = {"company_id": "514673987"} | COMPANY | ESG | {"esg_labels": "lucie | b-corp"}
    second = first | {"company_id": "732829320", "is_holding": "TRUE"} | dict.fromkeys(ESG, "")
    read = read_notes(write_csv(tmp_path / "n.csv", [first, second], separator))
    assert read == {"514673987": Notes(**COMPANY, **ESG), "732829320": Notes(**COMPANY | {"is_holding": True})}


def test_read_notes__json_with_the_names_of_the_service(tmp_path):
    path = tmp_path / "n.json"
    path.write_text(json.dumps([{"request_id": REQUEST} | PAYLOAD | ESG_PAYLOAD]))
    assert read_notes(path) == {REQUEST: Notes(**COMPANY, **ESG)}
    path.write_text(json.dumps(PAYLOAD))
    assert read_notes(path) == {"": Notes(**COMPANY)}
    path.write_text(json.dumps(PAYLOAD | {"equity": 40_000.5}))
    with pytest.raises(InputError, match=re.escape("equity_cents must be a whole number of cents, not 40000.5")):
        read_notes(path)
    path.write_text(json.dumps({n: v if n in ("holding", "workforceNumber") else v / 100 for n, v in PAYLOAD.items()}))
    assert read_notes(path, in_euros=True) == {"": Notes(**COMPANY)}


def test_read_notes__every_bad_row_is_named(tmp_path):
    rows = [
        {"company_id": "1"} | COMPANY,
        {"company_id": "1"} | COMPANY,
        {"company_id": ""} | COMPANY,
        {"company_id": "2"} | COMPANY | {"workforce_number": 0},
    ]
    with pytest.raises(InputError) as caught:
        read_notes(write_csv(tmp_path / "n.csv", rows, ","))
    assert str(caught.value) == (
        f"{tmp_path}/n.csv has 3 problems: row 2 repeats 1; row 3 has no request_id or company_id; "
        "row 4: the notes have 1 problem: workforce_number must be at least 1, not 0"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [("n.json", b"{"), ("n.json", b"[1]"), ("n.csv", b"\xff\xfe"), ("n.csv", b""), ("n.json", b"[]"), ("n.csv", None)],
)
def test_read_notes__unreadable(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_notes(tmp_path / name)


# --- sending


@pytest.mark.parametrize("answer", [reply({"request": {"id": REQUEST}}), reply(b"", 204), reply({"ok": True}, 201)])
def test_update_notes__whatever_the_answer_the_request_is_read_back(connect, answer):
    shown = {"request": {"id": REQUEST, "notes": PAYLOAD}}
    with FaultServer(answer, reply(shown)) as server:
        updated = connect(server.url).update_notes(REQUEST, Notes(**COMPANY))
    post, get = server.requests
    assert [(r.method, r.path) for r in (post, get)] == [
        ("POST", f"/requests/{REQUEST}"),
        ("GET", f"/requests/{REQUEST}"),
    ]
    assert json.loads(post.body) == {"notes": PAYLOAD}
    assert updated["notes"] == PAYLOAD


def test_update_notes__unknown_outcome(connect):
    with FaultServer(Reply(b"", "reset")) as server, pytest.raises(UnavailableError) as caught:
        connect(server.url).update_notes(REQUEST, Notes(**COMPANY))
    assert (caught.value.code, len(server.requests)) == ("unknown_outcome", 1)
    assert not re.search("4000000|120000000", str(caught.value))
    assert str(caught.value).endswith("it was not repeated: send the notes again, twice the same does no harm")


@pytest.mark.parametrize("starts", [True, False])
def test_update_notes__a_report_on_the_sandbox_follows_from_them(starts):
    manners = {"report_delay": 0.0, "notes_start_report": starts}
    with Sandbox(companies=2, seed=5, clean=True, **manners) as sandbox, XRayClient(sandbox.settings()) as client:
        request_id = client.create_request("514673987").id
        changed = client.update_notes(request_id, Notes(**COMPANY, **ESG))
        assert changed["notes"] == PAYLOAD | ESG_PAYLOAD
        reports = client.list_reports(request_id=request_id, product="financial")
        assert len(reports) == starts
        for report in reports:
            criteria = client.get_report(report.id)["raw"]["criterias"]
            assert float(criteria["totalFixedAssetsTotalAssets"]["value"]) == 0.25
            assert float(criteria["equityTotalAssets"]["value"]) == 0.2
