"""Three steps to the service: nothing goes to a wrong host, nothing is online unverified, nothing is sent twice."""

import hashlib
import json
import os
import time
import warnings
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from faults.server import FaultServer, Reply, reply
from gateway import RESET, Gateway

from xray_analytics import Sandbox, Settings, XRayClient
from xray_analytics.api.storage import Receipt, check_host
from xray_analytics.api.upload import check_receipt
from xray_analytics.errors import ApiError, InputError, NotFoundError, UnavailableError, UploadError

TOKEN, USER, SIGNATURE = "canary-5e55", "canary-u5e7", "canary-519na7ure"
REQUEST, MEDIUM, SECOND = "635107e452436f15d3b39d87", "63510a0052436f15d3b39d01", "63510a0052436f15d3b39d02"
DATA = b"%PDF-1.7\n" + bytes(range(256)) * 1000 + b"\r\n--\r\n%%EOF\n"
MD5 = hashlib.md5(DATA).hexdigest()
ONLINE = f"POST /media/{MEDIUM}"


@pytest.fixture
def statement(tmp_path):
    path = tmp_path / "february.pdf"
    path.write_bytes(DATA)
    return path


class Service:
    """Answers the calls of an upload; `storage` and `online` are the answers of steps 2 and 3 in turn."""

    def __init__(self, *, storage=(), online=(), upload=None, style="form"):
        self.storage, self.online, self.upload, self.style = list(storage), list(online), upload, style
        self.media = [MEDIUM, SECOND]

    def __enter__(self):
        self.server = FaultServer(self._answer)
        self.server.__enter__()
        self.url = self.server.url
        return self

    def __exit__(self, *exc_info):
        self.server.__exit__(*exc_info)

    @property
    def calls(self):
        return [f"{r.method} {r.path}" for r in self.server.requests]

    def _answer(self, request):
        if request.path == "/media":
            return reply({"medium": {"id": self.media.pop(0), "status": "draft", "upload": self._upload()}}, 201)
        if request.path.startswith("/media/"):
            return self.online.pop(0) if self.online else reply({"medium": {"id": MEDIUM, "status": "online"}})
        return self.storage.pop(0) if self.storage else reply(b"", 204, {"ETag": f'"{MD5}"'})

    def _upload(self):
        if self.upload is not None:
            return self.upload
        url = f"{self.url}/s3?Signature={SIGNATURE}"
        return {"url": url, "fields": {"key": "k"}} if self.style == "form" else {"url": url, "method": "PUT"}


def send(client, path, **options):
    return client.upload(REQUEST, path, **{"name": "bank_statement"} | options)


# --- the whole way, on the sandbox


@pytest.mark.parametrize(("style", "place"), [("form", "inside"), ("put", "beside"), ("form", "beside")])
def test_upload__to_the_report_on_the_sandbox(statement, journal, style, place):
    manners = {"upload_style": style, "upload_place": place, "report_delay": 0.1}
    with Sandbox(companies=3, seed=5, clean=True, **manners) as sandbox:
        client, seen = XRayClient(sandbox.settings(poll_seconds=0.05), journal=journal), []
        request_id = client.create_request("514673987").id
        arguments = {"name": "bank_statement", "period": "quarter", "date": "2025-06-30"}
        start = time.monotonic()
        medium = client.upload(request_id, statement, **arguments, progress=lambda *step: seen.append(step))
        assert (medium.request_id, medium.size, medium.is_new) == (request_id, len(DATA), True)
        assert medium.sha256 == hashlib.sha256(DATA).hexdigest()
        assert seen == sorted(seen)
        assert seen[-1][0] == seen[-1][1] >= len(DATA)
        early = client.list_reports(request_id=request_id, product="bank")
        assert early == [] or time.monotonic() - start > 0.1
        report = client.wait_for_report(request_id, product="bank", timeout=timedelta(seconds=100))
        summary = client.get_report(report.id)["raw"]["summary"]
        assert (summary[0]["startDate"], summary[-1]["endDate"]) == ("2025-03-31", "2025-06-30")
        again = client.upload(request_id, statement, **arguments)
        assert (again.id, again.is_new) == (medium.id, False)
        other = client.upload(request_id, statement, **arguments, again=True)
        assert (other.id != medium.id, other.is_new) == (True, True)
        client.close()


def test_upload__financial_statements_start_a_financial_report(statement):
    with Sandbox(companies=3, seed=5, report_delay=0.0) as sandbox, XRayClient(sandbox.settings()) as client:
        request_id = client.list_requests()[0].id
        before = {r.id for r in client.list_reports(request_id=request_id)}
        client.upload(request_id, statement, name="certified_financial_statement", period="year")
        client.upload(request_id, statement, name="other")
        after = [r for r in client.list_reports(request_id=request_id) if r.id not in before]
        assert [r["source"] for r in after] == ["magpie"]


def test_upload__an_address_that_is_over_is_refused_by_the_sandbox(statement):
    for style in ("form", "put"):
        manners = {"upload_seconds": -1.0, "upload_style": style}
        with Sandbox(companies=1, **manners) as sandbox, XRayClient(sandbox.settings()) as client:
            request_id = client.list_requests()[0].id
            with pytest.raises(UploadError, match="answered 403 'AccessDenied'"):
                client.upload(request_id, statement, name="other")


# --- each step on the wire


@pytest.mark.parametrize("style", ["form", "put"])
def test_upload__what_is_sent(connect, statement, style):
    with Service(style=style) as service:
        made = send(connect(service.url), statement, period="month", date="2022-02-28")
    declare, store, online = service.server.requests
    assert json.loads(declare.body) == {
        "name": "bank_statement",
        "type": "document",
        "meta": {"name": "february.pdf", "size": len(DATA), "type": "application/pdf"},
        "request": REQUEST,
    }
    assert (store.method, store.query) == ("POST" if style == "form" else "PUT", {"Signature": SIGNATURE})
    assert not {"userid", "sessiontoken", "october-version", "cookie"} & set(store.headers)
    assert TOKEN not in str(store)
    assert USER not in str(store)
    assert int(store.headers["content-length"]) == len(store.body)
    if style == "put":
        assert (store.body, store.headers["content-type"]) == (DATA, "application/pdf")
    else:
        assert store.body.split(b"\r\n\r\n", 2)[2].startswith(DATA)
        assert store.body.index(b'name="key"') < store.body.index(b'name="file"')
    assert (online.path, json.loads(online.body)) == (
        f"/media/{MEDIUM}",
        {"status": "online", "meta": {"period": "month", "date": "2022-02-28"}},
    )
    assert online.headers["sessiontoken"] == TOKEN
    assert made.id == MEDIUM


def test_upload__a_file_whose_name_is_no_text(connect, statement):
    path = statement.rename(statement.with_name(os.fsdecode(b"\xe9t\xe9.pdf")))
    with Service(style="put") as service:
        send(connect(service.url), path)
    assert json.loads(service.server.requests[0].body)["meta"]["name"] == "?t?.pdf"


def test_upload__without_period_and_date_there_is_no_meta(connect, statement):
    with Service(online=[reply(b"", 204)]) as service:
        send(connect(service.url), statement)
    assert json.loads(service.server.requests[-1].body) == {"status": "online"}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([reply(b"<Error><Code>AccessDenied</Code></Error>", 403)] * 2, "answered 403 'AccessDenied' to the file"),
        ([reply(b"<Error><Code>EntityTooLarge</Code></Error>", 400)], "answered 400 'EntityTooLarge' to the file"),
        ([reply(b"<Code>a b</Code>" + SIGNATURE.encode(), 500)] * 2, "answered 500 to the file"),
        ([reply(b"", 200, {"ETag": f'"{"0" * 32}"'})], "received other bytes than were sent"),
        ([RESET] * 2, "did not take the file: no connection, or it broke"),
        ([Reply(b"", "hold")], "did not take the file: no answer in 0.3 s"),
    ],
    ids=["403", "400", "500", "etag", "reset", "silence"],
)
def test_upload__never_online_unless_the_file_is_there(connect, journal, statement, answers, message):
    patience = {"upload_timeout": 0.3} if "in 0.3 s" in message else {}
    with Service(storage=answers) as service, pytest.raises(UploadError, match=message) as caught:
        send(connect(service.url, journal, **patience), statement)
    assert ONLINE not in service.calls
    assert SIGNATURE not in str(caught.value) + repr(caught.value.__context__)
    assert journal.open_intents("medium") == []
    with Service() as service:
        assert send(connect(service.url, journal), statement).id == MEDIUM


def test_upload__a_redirect_of_the_storage_host_is_not_followed(connect, statement):
    with FaultServer(reply({})) as other, Service(storage=[reply(b"", 307, {"Location": other.url})]) as service:
        client = connect(service.url)
        with pytest.raises(UploadError, match="answered 307 to the file"):
            send(client, statement)
        assert other.requests == []
    assert ONLINE not in service.calls


def test_upload__an_address_that_is_over_is_asked_for_once_more(connect, statement):
    with Service(storage=[reply(b"<Error><Code>AccessDenied</Code></Error>", 403)]) as service:
        assert send(connect(service.url), statement).id == SECOND
    assert service.calls == ["POST /media", "POST /s3", "POST /media", "POST /s3", f"POST /media/{SECOND}"]


@pytest.mark.parametrize("style", ["form", "put"])
@pytest.mark.parametrize("fault", [RESET, reply(b"<Error><Code>SlowDown</Code></Error>", 503)], ids=["reset", "503"])
def test_upload__a_file_that_was_cut_off_is_sent_again_to_the_same_address(connect, statement, fault, style):
    """N36: the same bytes at the same address are one file, so that no empty draft is left."""
    with Service(storage=[fault], style=style) as service:
        assert send(connect(service.url), statement).id == MEDIUM
    step = "POST /s3" if style == "form" else "PUT /s3"
    assert service.calls == ["POST /media", step, step, ONLINE]
    first, second = (r.body for r in service.server.requests if r.path == "/s3")
    assert first == second
    assert DATA in second


# --- resuming


@pytest.mark.parametrize("fault", [RESET, reply({}, 502), reply({}, 401), reply({}, 429)])
def test_upload__a_stored_file_is_not_sent_again(connect, journal, statement, fault):
    with Service(online=[fault]) as service:
        with pytest.raises(ApiError):
            send(connect(service.url, journal), statement)
        assert send(connect(service.url, journal), statement).id == MEDIUM
        assert service.calls == ["POST /media", "POST /s3", ONLINE, ONLINE]
        assert send(connect(service.url, journal), statement).is_new is False
        assert len(service.calls) == 4
    text = journal.path.read_bytes() + (journal.path.parent / "journal.sqlite3-wal").read_bytes()
    assert not any(word.encode() in text for word in (SIGNATURE, TOKEN, "february"))


def test_upload__a_medium_that_is_gone_is_replaced(connect, journal, statement):
    with Service(online=[reply({}, 404)]) as service:
        with pytest.raises(NotFoundError):
            send(connect(service.url, journal), statement)
        assert send(connect(service.url, journal), statement).id == SECOND


def test_upload__still_a_draft(connect, statement):
    answer, message = reply({"medium": {"id": MEDIUM, "status": "draft"}}), f"medium {MEDIUM} is still a draft"
    with Service(online=[answer]) as service, pytest.raises(UploadError, match=message):
        send(connect(service.url), statement)


def test_upload__an_interrupted_one_starts_one_report_on_the_sandbox(connect, journal, statement):
    with Sandbox(companies=1, seed=5, report_delay=0.0) as sandbox, Gateway(sandbox.url) as gateway:
        own = sandbox.settings()
        client = connect(gateway.url, journal, user_id=own.user_id, session_token=own.session_token)
        request_id = client.list_requests()[0].id
        before = len(client.list_reports(request_id=request_id))
        gateway.faults |= {"POST /media": [RESET], "POST /media/*": [RESET]}
        for _ in range(2):  # the answer of the first step is lost, then that of the third
            with pytest.raises(UnavailableError, match="it was not repeated: upload the file again, "):
                client.upload(request_id, statement, name="bank_statement")
        client.upload(request_id, statement, name="bank_statement")
        assert len(client.list_reports(request_id=request_id)) == before + 1
        n_media = gateway.calls.count("POST /media")
        assert (n_media, len(gateway.calls) - n_media) == (2, 2 + 3)


# --- what is refused before a byte is sent


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "february.pdf is empty"),
        (b"%PDF-" + bytes(995), {}, "larger than 999 bytes"),
        (b"<html>", {}, "is not a PDF"),
        (None, {}, "cannot be read"),
        (DATA[:99], {"name": "invoice"}, "no document name 'invoice'; there are certified_financial_statement, bank"),
        (DATA[:99], {"period": "week"}, "no period 'week' is documented for bank_statement; there are: month, quarter"),
        (DATA[:99], {"name": "other", "period": "year"}, "no period 'year' is documented for other; there are: none"),
        (DATA[:99], {"date": "28/02/2022"}, "'28/02/2022' is not a day such as 2022-02-28"),
    ],
)
def test_upload__refused_before_the_call(connect, statement, content, options, message):
    statement.unlink() if content is None else statement.write_bytes(content)
    with Service() as service:
        with pytest.raises(InputError, match=message):
            send(connect(service.url, upload_max_bytes=999), statement, **options)
        statement.write_bytes(DATA[:99])
        with pytest.raises(InputError, match="an id is not of the form"):
            connect(service.url).upload("../x", statement, name="other")
    assert service.calls == []


def test_upload__other_types_are_the_callers_choice(connect, statement):
    statement.write_bytes(b"date;amount\n")
    etag = hashlib.md5(b"date;amount\n").hexdigest()
    with Service(storage=[reply(b"", 204, {"ETag": etag})]) as service:
        send(connect(service.url), statement, media_type="text/csv")
    assert json.loads(service.server.requests[0].body)["meta"]["type"] == "text/csv"


@pytest.mark.parametrize(
    "upload",
    [
        "nothing",
        {},
        {"href": "x"},
        {"url": "http://127.0.0.1:1/"},
        {"url": 5, "fields": {}},
        {"url": "http://127.0.0.1:1/", "fields": {"key": 1}},
        {"url": "http://127.0.0.1:1/", "method": "PATCH", "headers": {}},
        {"url": "http://127.0.0.1:1/", "method": "PUT", "headers": {"Host": "x"}},
        {"url": "http://127.0.0.1:1/", "method": "PUT", "headers": {"Authorization": "x"}},
        {"url": "http://127.0.0.1:1/", "method": "PUT", "headers": {"x-amz-acl": "a\r\nHost: b"}},
    ],
)
def test_upload__other_shapes_are_named_and_nothing_is_sent(connect, statement, upload):
    with (
        Service(upload=upload) as service,
        pytest.raises(UploadError, match=r"is neither \{url, fields\} nor") as caught,
    ):
        send(connect(service.url), statement)
    assert service.calls == ["POST /media"]
    assert "127.0.0.1:1" not in str(caught.value)


def test_upload__a_field_name_cannot_end_its_header(connect, statement):
    upload = {"url": "http://127.0.0.1:1/", "fields": {'a"\r\nb': "c"}}
    with Service(upload=upload) as service, pytest.raises(UploadError, match="a field of a strange name"):
        send(connect(service.url), statement)


@pytest.mark.parametrize(
    "url",
    [
        "http://b.s3.amazonaws.com/k",
        "https://amazonaws.com.evil.example/k",
        "https://evilamazonaws.com/k",
        "https://evil.example/.amazonaws.com",
        "https://user@b.s3.amazonaws.com/k",
        "https://b.s3.amazonaws.com:8443/k",
        "https://127.0.0.1/k",
        "https://[::1]/k",
        "https://169.254.169.254/latest",
        "//b.s3.amazonaws.com/k",
        "file:///etc/passwd",
        "https://b.s3.amazonaws.com:port/k",
        "https://[b.s3.amazonaws.com/k",
        "",
    ],
)
def test_check_host__refused(url):
    settings = Settings(user_id="u", session_token="t")
    with pytest.raises(UploadError, match=r"nothing was sent, ask the vendor") as caught:
        check_host(f"{url}?X-Amz-Signature={SIGNATURE}", settings)
    assert SIGNATURE not in str(caught.value)


def test_check_host__allowed():
    settings = Settings(user_id="u", session_token="t", upload_hosts=(".amazonaws.com", "files.example"))
    check_host("https://b.s3.eu-west-3.amazonaws.com:443/k", settings)
    check_host("https://files.example/k", settings)
    with pytest.raises(UploadError):
        check_host("https://more.files.example/k", settings)
    with pytest.raises(UploadError):
        check_host("http://127.0.0.1:9/k", settings)


def test_check_receipt__what_counts_as_an_md5():
    other = f'"{"0" * 32}"'
    check_receipt(Receipt(204, {"ETag": f'"{MD5}"'}), DATA)
    check_receipt(Receipt(200, {}), DATA)
    check_receipt(Receipt(200, {"etag": f'"{"0" * 32}-2"'}), DATA)
    check_receipt(Receipt(200, {"ETag": other, "x-amz-server-side-encryption": "aws:kms"}), DATA)
    check_receipt(Receipt(200, {"ETag": other, "x-amz-server-side-encryption-customer-algorithm": "AES256"}), DATA)
    with pytest.raises(UploadError):
        check_receipt(Receipt(200, {"ETag": other, "x-amz-server-side-encryption": "AES256"}), DATA)


# --- a genuine S3 implementation: presigned forms and addresses as AWS's own library makes them


@pytest.fixture(scope="module")
def s3():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the libraries' own, on import
        from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = s3_client(f"http://{host}:{port}", "s3v4")
    client.create_bucket(Bucket="media", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    yield client
    client.close()
    server.stop()


@pytest.fixture
def older_s3(s3):
    """Signs the content type as a part of the address, which the server then compares."""
    client = s3_client(s3.meta.endpoint_url, "s3")
    yield client
    client.close()


def s3_client(url, signature_version):
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "eu-west-3"}
    return boto3.client("s3", endpoint_url=url, config=Config(signature_version=signature_version), **keys)


def presigned_form(s3, key):
    conditions = [{"Content-Type": "application/pdf"}, ["content-length-range", 1, 20_000_000]]
    fields = {"Content-Type": "application/pdf"}
    return s3.generate_presigned_post("media", key, Fields=fields, Conditions=conditions, ExpiresIn=60)


def presigned_put(s3, key):
    parameters = {"Bucket": "media", "Key": key, "ContentType": "application/pdf"}
    url = s3.generate_presigned_url("put_object", parameters, ExpiresIn=60)
    return {"url": url, "method": "PUT", "headers": {"Content-Type": "application/pdf"}}


@pytest.mark.parametrize("presign", [presigned_form, presigned_put])
def test_s3__the_very_bytes_arrive(connect, statement, s3, presign):
    key = f"requests/{REQUEST}/document-{presign.__name__}.pdf"
    with Service(upload=presign(s3, key)) as service:
        assert send(connect(service.url), statement).id == MEDIUM
    assert service.calls == ["POST /media", ONLINE]
    stored = s3.get_object(Bucket="media", Key=key)
    assert stored["Body"].read() == DATA
    assert (stored["ETag"], stored["ContentLength"]) == (f'"{MD5}"', len(DATA))
    assert stored["ContentType"] == "application/pdf"


def test_s3__an_unknown_bucket_is_an_upload_error(connect, statement, s3):
    upload = presigned_put(s3, "k")
    upload["url"] = upload["url"].replace("/media/", "/nowhere/")
    with Service(upload=upload) as service, pytest.raises(UploadError, match="answered 404 'NoSuchBucket'") as caught:
        send(connect(service.url), statement)
    assert urlsplit(upload["url"]).query.split("&")[0] not in str(caught.value)
    assert service.calls == ["POST /media"]


def test_s3__a_type_other_than_the_signed_one_is_refused(connect, statement, s3, older_s3):
    upload = presigned_put(older_s3, "typed")
    with Service(upload=upload) as service:
        assert send(connect(service.url), statement).id == MEDIUM
    upload = presigned_put(older_s3, "mistyped") | {"headers": {"Content-Type": "text/csv"}}
    with Service(upload=upload) as service, pytest.raises(UploadError, match="answered 403 'SignatureDoesNotMatch'"):
        send(connect(service.url), statement)
    assert service.calls == ["POST /media", "POST /media"]
