"""`xray request …`, `xray upload` and `xray pdf` as their user types them."""

import json
import sys
import time

import pytest
from faults.server import reply
from gateway import RESET, Gateway

from xray_analytics import Sandbox, Store, XRayClient, cli, sync

HEAD = "company_id,is_holding,workforce_number,equity,revenue,amortization_depreciation,net_income,interest_expense"
REST = "cash_available,total_fixed_assets,total_assets,short_term_debt,total_debt,current_liabilities"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(companies=3, seed=5, clean=True, report_delay=0.0) as running:
        yield running


@pytest.fixture
def xray(monkeypatch, capsys, sandbox, tmp_path):
    """Run `xray` against the sandbox: exit code, standard output, standard error."""
    settings = sandbox.settings()
    monkeypatch.setenv("XRAY_BASE_URL", settings.base_url)
    monkeypatch.setenv("XRAY_USER_ID", settings.user_id.reveal())
    monkeypatch.setenv("XRAY_SESSION_TOKEN", settings.session_token.reveal())
    monkeypatch.setenv("XRAY_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["xray", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def request_id(sandbox):
    with XRayClient(sandbox.settings()) as client:
        return client.list_requests()[0].id


def test_request__create_show_list(xray):
    code, out, err = xray("request", "create", "--siren", "514 673 987", "--business-name", "Café", "--json")
    made = json.loads(out)
    assert (code, err, made["code"]) == (0, "", {"type": "siren", "id": "514673987"})
    code, out, _ = xray("request", "show", made["id"])
    assert (code, "businessName" in out, "Café" in out, "code.id" in out) == (0, True, True, True)
    assert json.loads(xray("request", "show", made["id"], "--json")[1]) == made
    code, out, _ = xray("request", "list")
    assert (code, made["id"] in out, "siren 514673987" in out) == (0, True, True)
    assert made in json.loads(xray("request", "list", "--json")[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one company number: --siren or --kvk"),
        (["--siren", "514673987", "--kvk", "24288945"], "give one company number"),
        (["--siren", "514673988"], "its check digit does not fit"),
        (["--kvk", "1"], "is not a KVK"),
        (["--siren", "514673987", "--creator", "jeanne"], "an id is not of the form"),
    ],
)
def test_request_create__wrong_usage(xray, arguments, message):
    code, out, err = xray("request", "create", *arguments)
    assert (code, out, err.count("\n"), message in err) == (2, "", 1, True)


def test_request_create__an_unknown_outcome_is_looked_up_by_the_next_command(xray, sandbox, monkeypatch):
    with Gateway(sandbox.url, {"POST /requests": [RESET]}) as gateway:
        monkeypatch.setenv("XRAY_BASE_URL", gateway.url)
        code, _, err = xray("request", "create", "--kvk", "24288945")
        assert (code, "nobody knows whether it was done" in err) == (5, True)
        code, out, _ = xray("request", "create", "--kvk", "24288945", "--json")
        listed = json.loads(xray("request", "list", "--json")[1])
    assert (code, gateway.calls.count("POST /requests")) == (0, 1)
    assert [r["id"] for r in listed if r["code"]["id"] == "24288945"] == [json.loads(out)["id"]]


def test_request_notes__by_company_in_euros_with_warnings(xray, sandbox, request_id, tmp_path):
    with XRayClient(sandbox.settings()) as client:
        company = client.get_request(request_id)["code"]["id"]
    row = f"{company},false,3,10,20,1,1,1,1,99.5,50,1,2,3"
    (tmp_path / "n.csv").write_text(f"{HEAD},{REST}\n000000000,false,1{',1' * 11}\n{row}\n")
    code, out, err = xray("request", "notes", request_id, "n.csv", "--euros")
    assert (code, out) == (0, f"Notes of request {request_id} sent.\n")
    assert err == "warning: fixed assets are above total assets\n"
    shown = json.loads(xray("request", "show", request_id, "--json")[1])
    assert (shown["notes"]["totalFixedAssets"], shown["notes"]["workforceNumber"]) == (9950, 3)


def test_request_notes__of_many_companies_in_one_go(xray, sandbox, monkeypatch, tmp_path):
    """Rows by request and by company; one that is for nobody stops all before anything is sent."""
    listed = json.loads(xray("request", "list", "--json")[1])
    codes = [one["code"]["id"] for one in listed]
    first, second = [one for one in listed if codes.count(one["code"]["id"]) == 1][:2]
    lines = [f"request_id,{HEAD},{REST}", f"{first['id']},,false,3{',1' * 11}"]
    lines += [f",{second['code']['id']},false,4{',1' * 11}", f",000000000,false,5{',1' * 11}"]
    (tmp_path / "n.csv").write_text("\n".join(lines))
    code, out, err = xray("request", "notes", "n.csv", "--euros")
    assert (code, out, err) == (2, "", "xray: the file has 1 problem: 000000000 has no request\n")
    (tmp_path / "n.csv").write_text("\n".join(lines[:3]))
    code, out, _ = xray("request", "notes", "n.csv", "--euros")
    assert (code, out) == (0, "Notes of 2 requests sent.\n")
    after = [json.loads(xray("request", "show", one["id"], "--json")[1])["notes"] for one in (first, second)]
    assert [(notes["workforceNumber"], notes["equity"]) for notes in after] == [(3, 100), (4, 100)]
    refusal = {f"POST /requests/{first['id']}": [reply({"error": "closed"}, 409)]}
    with Gateway(sandbox.url, refusal) as gateway:
        monkeypatch.setenv("XRAY_BASE_URL", gateway.url)
        code, out, err = xray("request", "notes", "n.csv", "--euros")
    assert (code, out) == (3, f"Notes of request {second['id']} sent.\n")
    assert f"POST /requests/{first['id']} at " in err


def test_request_notes__problems_are_named_before_anything_is_sent(xray, request_id, tmp_path):
    before = xray("request", "show", request_id, "--json")[1]
    (tmp_path / "n.csv").write_text(f"{HEAD},{REST}\n1,maybe,0,10,20,1,1,1,1,99.555,50,1,2,3\n")
    code, _, err = xray("request", "notes", request_id, "n.csv", "--euros")
    assert (code, err.count("\n")) == (2, 1)
    assert all(part in err for part in ("3 problems", "is_holding", "workforce_number", "total_fixed_assets"))
    (tmp_path / "n.csv").write_text(f"{HEAD},{REST}\n1,true,1{',1' * 11}\n")
    code, _, err = xray("request", "notes", request_id, "n.csv", "--euros")
    assert (code, f"no row for request {request_id}" in err) == (2, True)
    assert xray("request", "show", request_id, "--json")[1] == before


def test_upload__then_again_then_the_pdf_of_its_report(xray, sandbox, request_id, tmp_path):
    (tmp_path / "f.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    arguments = ["upload", request_id, "f.pdf", "--name", "bank_statement", "--period", "month", "--date", "2025-06-30"]
    code, out, _ = xray(*arguments, "--json")
    first = json.loads(out)
    assert (code, first["is_new"], first["request_id"]) == (0, True, request_id)
    code, out, _ = xray(*arguments)
    assert (code, out) == (0, f"Medium {first['id']} was online already; --again uploads it anew.\n")
    assert f"Medium {first['id']}" not in xray(*arguments, "--again")[1]
    time.sleep(0.01)
    with XRayClient(sandbox.settings()) as client:
        report = client.list_reports(request_id=request_id, product="bank")[-1].id
        sync(client, Store(tmp_path / "store"))
    code, out, _ = xray("pdf", report)
    assert (code, out) == (0, f"Written: {report}.pdf\n")
    assert (tmp_path / f"{report}.pdf").read_bytes() == Store(tmp_path / "store").document(report)


def test_pdf__comes_from_the_store_and_never_overwrites(xray, monkeypatch, sandbox, tmp_path):
    with XRayClient(sandbox.settings()) as client:
        report = client.list_reports(product="bank")[0].id
    assert xray("pdf", report, "--out", "a.pdf")[0] == 0
    assert not (tmp_path / "store").exists()
    Store(tmp_path / "store").add_document(report, (tmp_path / "a.pdf").read_bytes())
    code, _, err = xray("pdf", report, "--out", "a.pdf")
    assert (code, "--force replaces it" in err) == (2, True)
    monkeypatch.delenv("XRAY_SESSION_TOKEN")
    assert xray("pdf", report, "--out", "a.pdf", "--force")[0] == 0
    assert xray("pdf", report, "--out", "b.pdf")[0] == 0
    assert xray("pdf", report, "--out", "c.pdf", "--refresh")[0] == 2
    assert (tmp_path / "b.pdf").read_bytes() == (tmp_path / "a.pdf").read_bytes()
    assert not (tmp_path / "c.pdf").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["pdf", "0" * 24], 1), (["pdf", "../x"], 2), (["upload", "0" * 24, "none.pdf", "--name", "other"], 2)],
)
def test_errors__are_one_sentence(xray, arguments, code, tmp_path):
    got, out, err = xray(*arguments)
    assert (got, out, err.count("\n"), err.startswith("xray: ")) == (code, "", 1, True)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["store"])


@pytest.mark.parametrize(
    "command", ["request create", "request show", "request list", "request notes", "upload", "pdf"]
)
def test_help__has_an_example(xray, command):
    code, out, _ = xray(*command.split(), "--help")
    assert (code, f"Example: xray {command}" in out) == (0, True)
