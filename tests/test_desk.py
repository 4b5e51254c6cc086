"""The write side of the sandbox: what it refuses, what follows from what, and how it calls back."""

import hmac
import json
import time

import pytest
import requests
from faults.server import FaultServer, reply

from xray_analytics import Sandbox, XRayClient
from xray_analytics.errors import InputError
from xray_analytics.sandbox.service.behaviour import Manners
from xray_analytics.sandbox.service.deliveries import is_local, signed
from xray_analytics.sandbox.service.storage import Bucket, Refused


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(companies=3, seed=5, clean=True, report_delay=0.0) as running:
        yield running


@pytest.fixture
def call(sandbox):
    settings = sandbox.settings()
    headers = {
        "userId": settings.user_id.reveal(),
        "sessionToken": settings.session_token.reveal(),
        "October-Version": settings.api_version,
    }

    def send(method, path, body=None, **options):
        url = path if path.startswith("http") else settings.base_url + path
        with requests.Session() as session:
            answer = session.request(method, url, json=body, headers=headers, timeout=100, **options)
        return answer.status_code, answer.json()

    return send


@pytest.fixture
def request_id(sandbox):
    with XRayClient(sandbox.settings()) as client:
        return client.list_requests()[0].id


def declaration(request_id, **changes):
    meta = {"name": "a.pdf", "size": 4, "type": "application/pdf"} | changes.pop("meta", {})
    return {"name": "bank_statement", "type": "document", "meta": meta, "request": request_id} | changes


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "code"),
        ({"code": {"type": "siren", "id": 514673987}}, None),
        ({"code": {"type": "siren", "id": "51467398"}}, "code"),
        ({"code": {"type": "hrb", "id": "1"}}, "code"),
        ({"code": "514673987"}, "code"),
        ({"code": {"type": "kvk", "id": "24288945"}, "creator": "jeanne"}, "creator"),
    ],
)
def test_open_request__bodies(call, body, name):
    status, said = call("POST", "/requests", body)
    assert (status, list(said.get("errors", {}))) == ((400, [name]) if name else (200, []))


def test_writing__without_the_headers_is_401(sandbox):
    for path in ("/requests", "/media", f"/businesses/{sandbox.organization_id}"):
        assert requests.post(sandbox.url + path, json={}, timeout=100).status_code == 401


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"name": "invoice"}, ["name"]),
        ({"request": "0" * 24}, ["request"]),
        ({"meta": {"size": 20_000_001}}, ["meta.size"]),
        ({"meta": {"size": "4", "type": None}}, ["meta.type", "meta.size"]),
    ],
)
def test_declare__refused(call, request_id, changes, wrong):
    assert call("POST", "/media", declaration(request_id, **changes)) == (
        400,
        {"errors": dict.fromkeys(wrong, "is not acceptable")},
    )


def test_medium__is_not_online_without_its_file(call, request_id):
    _, said = call("POST", "/media", declaration(request_id))
    medium = said["medium"]
    assert (medium["status"], medium["request"], medium["meta"]["size"]) == ("draft", request_id, 4)
    assert call("POST", f"/media/{medium['id']}", {"status": "online"})[0] == 400
    assert call("POST", f"/media/{'0' * 24}", {"status": "online"})[0] == 404
    assert call("POST", f"/media/{medium['id']}", {"status": "online", "meta": {"period": "week"}})[0] == 400


def test_notes__are_merged_and_unknown_requests_are_404(call, request_id):
    call("POST", f"/requests/{request_id}", {"notes": {"equity": 1}})
    _, said = call("POST", f"/requests/{request_id}", {"notes": {"revenue": 2}})
    assert (said["request"]["notes"]["equity"], said["request"]["notes"]["revenue"]) == (1, 2)
    assert call("POST", f"/requests/{'0' * 24}", {"notes": {}})[0] == 404
    assert call("POST", f"/requests/{request_id}", {"notes": 5})[0] == 400


def test_reading__is_unchanged_as_long_as_nobody_writes():
    with Sandbox(companies=3, seed=5) as sandbox, XRayClient(sandbox.settings()) as client:
        listed = [r.id for r in client.list_requests()]
        assert listed == list(sandbox.economy.request_owners)
        report = client.list_reports(product="bank")[0].id
        assert client.get_report(report).body == sandbox.economy.report_body(report)


# --- the bucket, as S3 checks


def form(bucket, **changes):
    fields = bucket.form("http://h", "k", "application/pdf")["fields"] | changes
    body = b"".join(
        b'--B\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (n.encode(), v.encode())
        for n, v in fields.items()
    )
    file = b'--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return {"content-type": "multipart/form-data; boundary=B"}, body, file


def test_bucket__takes_exactly_the_bytes():
    bucket = Bucket(60)
    data = b"%PDF\r\n--\r\n--B \x00\xff"
    headers, fields, file = form(bucket)
    assert bucket.post(headers, fields + file + data.replace(b"--B", b"--C") + b"\r\n--B--\r\n").size == len(data)


@pytest.mark.parametrize(
    ("changes", "seconds", "code"),
    [
        ({"key": "other"}, 60, "AccessDenied"),
        ({"Content-Type": "text/html"}, 60, "AccessDenied"),
        ({"acl": "public-read"}, 60, "AccessDenied"),
        ({"policy": "e30="}, 60, "SignatureDoesNotMatch"),
        ({"x-amz-signature": "0"}, 60, "SignatureDoesNotMatch"),
        ({}, -1, "AccessDenied"),
    ],
)
def test_bucket__refuses_a_form_that_was_changed_or_is_over(changes, seconds, code):
    bucket = Bucket(seconds)
    headers, fields, file = form(bucket, **changes)
    with pytest.raises(Refused, match=code):
        bucket.post(headers, fields + file + b"%PDF\r\n--B--\r\n")
    assert bucket.files == {}


def test_bucket__file_last_size_and_leaked_headers():
    bucket = Bucket(60)
    headers, fields, file = form(bucket)
    with pytest.raises(Refused, match="MalformedPOSTRequest"):
        bucket.post(headers, file + b"%PDF\r\n" + fields + b"--B--\r\n")
    with pytest.raises(Refused, match="EntityTooSmall"):
        bucket.post(headers, fields + file + b"\r\n--B--\r\n")
    with pytest.raises(Refused, match="EntityTooLarge"):
        bucket.post(headers, fields + file + bytes(20_000_001) + b"\r\n--B--\r\n")
    with pytest.raises(Refused, match="CredentialsLeaked"):
        bucket.post(headers | {"sessionToken": "t"}, fields + file + b"%PDF\r\n--B--\r\n")
    with pytest.raises(Refused, match="MalformedPOSTRequest"):
        bucket.post(headers, fields + b"--B--\r\n")


def test_manners__unknown_choices_and_names():
    with pytest.raises(InputError, match="upload_style 'ftp' is unknown to the sandbox; choose one of form, put"):
        Manners(upload_style="ftp")
    with pytest.raises(InputError, match="answer_style"):
        Sandbox(companies=1, answer_style="odd")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("polite=true", "no manner 'polite'; there are list_style, "),
        ("report_delay=soon", "report_delay must be a number of seconds, not 'soon'"),
        ("report_delay=nan", "report_delay must be a number of seconds"),
        ("upload_seconds=-1", "upload_seconds must be a number of seconds"),
        ("rewritten", "rewritten must be true or false, not ''"),
        ("deliveries=never", "deliveries 'never' is unknown to the sandbox; choose one of once, twice, reordered"),
    ],
)
def test_manners__of_the_command_line_are_checked(text, message):
    with pytest.raises(InputError, match=message):
        Manners(**Manners.parsed([text]))


# --- webhooks


def test_webhooks__are_set_as_a_whole_and_keep_their_keys(call, sandbox):
    path, url = f"/businesses/{sandbox.organization_id}", "http://127.0.0.1:9/hook"
    assert call("POST", path, {"settings": {"webhooks": [{"url": url, "events": ["new_report"]}]}})[0] == 200
    _, said = call("GET", path)
    (hook,) = said["business"]["settings"]["webhooks"]
    assert (hook["url"], hook["events"], len(hook["key"])) == (url, ["new_report"], 48)
    other = {"url": "http://localhost:9/other", "events": []}
    _, said = call("POST", path, {"business": {"settings": {"webhooks": [hook, other]}}})
    assert [h["key"] == hook["key"] for h in said["business"]["settings"]["webhooks"]] == [True, False]
    assert call("POST", path, {"settings": {"webhooks": []}})[1]["business"]["settings"]["webhooks"] == []
    assert call("GET", f"/businesses/{'0' * 24}")[0] == 404


@pytest.mark.parametrize(
    "webhooks", [None, "x", [5], [{"url": "http://127.0.0.1:9"}], [{"url": "https://example.org/", "events": []}]]
)
def test_webhooks__refused(call, sandbox, webhooks):
    path = f"/businesses/{sandbox.organization_id}"
    assert call("POST", path, {"settings": {"webhooks": webhooks}})[0] == 400


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8000/hook?a=1", True),
        ("http://localhost:8000", True),
        ("http://127.0.0.1/", False),
        ("http://127.0.0.1.evil.example:80/", False),
        ("ftp://127.0.0.1:21/", False),
        (None, False),
    ],
)
def test_is_local(url, allowed):
    assert is_local(url) is allowed


def test_webhooks__a_new_report_is_announced_signed_until_it_is_taken(call, sandbox, request_id):
    path = f"/businesses/{sandbox.organization_id}"
    with FaultServer(reply({}, 500), reply(b"", 204)) as receiver:
        hooks = [{"url": f"{receiver.url}/hook?a=1", "events": ["new_report"]}, {"url": receiver.url, "events": ["x"]}]
        _, said = call("POST", path, {"settings": {"webhooks": hooks}})
        key = said["business"]["settings"]["webhooks"][0]["key"]
        with XRayClient(sandbox.settings()) as client:
            before = {r.id for r in client.list_reports(request_id=request_id)}
            call("POST", f"/requests/{request_id}", {"notes": dict.fromkeys("abcdefghijklm", 1) | FULL})
            until = time.monotonic() + 100
            while len(receiver.requests) < 2 and time.monotonic() < until:
                time.sleep(0.02)
            (new,) = {r.id for r in client.list_reports(request_id=request_id)} - before
    assert [(r.method, r.path, r.query) for r in receiver.requests] == [("POST", "/hook", {"a": "1"})] * 2
    for delivery in receiver.requests:
        assert json.loads(delivery.body) == {"event": "new_report", "requestId": request_id, "reportId": new}
        text = delivery.headers["x-october-timestamp"].encode() + b"." + delivery.body
        assert delivery.headers["x-october-signature"] == hmac.new(key.encode(), text, "sha256").hexdigest()
    call("POST", path, {"settings": {"webhooks": []}})


FULL = {
    "equity": 1,
    "revenue": 0,
    "amortizationDepreciation": 0,
    "netIncome": 0,
    "interestExpense": 0,
    "cashAvailable": 0,
    "totalFixedAssets": 0,
    "totalAssets": 0,
    "shortTermDebt": 0,
    "totalDebt": 0,
    "currentLiabilities": 0,
}


def test_reports__notes_of_zeros_still_make_one(call, sandbox):
    _, said = call("POST", "/requests", {"code": {"type": "siren", "id": "732829320"}})
    request_id = said["request"]["id"]
    call("POST", f"/requests/{request_id}", {"notes": FULL | {"holding": False, "workforceNumber": 1}})
    with XRayClient(sandbox.settings()) as client:
        (report,) = client.list_reports(request_id=request_id, product="financial")
        raw = client.get_report(report.id)["raw"]
    assert raw["riskClass"] in (1, 2, 3, 4, 5)
    assert "value" not in raw["criterias"].get("netIncomeRevenue", {}) or (
        raw["criterias"]["netIncomeRevenue"]["value"] is None
    )


def test_signed__known_value():
    headers = signed("key", b"{}", 1_700_000_000)
    assert headers["X-October-Timestamp"] == "1700000000"
    assert headers["X-October-Signature"] == hmac.new(b"key", b"1700000000.{}", "sha256").hexdigest()


def uploaded(client, folder, request_id, day):
    path = folder / f"{day}.csv"
    path.write_text(f"date,label,amount\n{day},VIR RECU,1.00\n", encoding="utf-8")
    return client.upload(request_id, path, name="bank_statement", media_type="text/csv")


@pytest.mark.parametrize(("manner", "expected"), [("twice", [0, 0, 1, 1]), ("reordered", [1, 0])])
def test_deliveries__may_come_twice_or_in_another_order(tmp_path, manner, expected):
    with (
        FaultServer(reply({})) as receiver,
        Sandbox(companies=1, clean=True, report_delay=0.2, deliveries=manner) as sandbox,
        XRayClient(sandbox.settings(poll_seconds=0.1, business_id=sandbox.organization_id)) as client,
    ):
        client.add_webhook(f"{receiver.url}/hook")
        requests_made = [client.create_request(code).id for code in ("732829320", "356000000")]
        for request_id in requests_made:
            uploaded(client, tmp_path, request_id, "2025-01-05")
        until = time.monotonic() + 60
        while len(receiver.requests) < len(expected) and time.monotonic() < until:
            time.sleep(0.02)
    came = [requests_made.index(json.loads(call.body)["requestId"]) for call in receiver.requests]
    assert (came if manner == "reordered" else sorted(came)) == expected


def test_medium__is_being_extracted_until_its_report_is_there(tmp_path):
    bare = {"status": "online"}
    with Sandbox(companies=1, clean=True, report_delay=0.0, medium_status="pending_extraction") as sandbox:
        settings = sandbox.settings(poll_seconds=0.1)
        headers = {
            "userId": settings.user_id.reveal(),
            "sessionToken": settings.session_token.reveal(),
            "October-Version": settings.api_version,
        }
        with XRayClient(settings) as client:
            request_id = client.create_request("732829320").id
            medium = uploaded(client, tmp_path, request_id, "2025-01-05")
            client.wait_for_report(request_id, product="bank")
        again = requests.post(f"{sandbox.url}/media/{medium.id}", json=bare, headers=headers, timeout=100).json()
    assert again["medium"]["status"] == "online"
