"""Receiving deliveries over real HTTP; W1 to W11 are lines of the fault matrix in the design of reliability."""

import base64
import gzip
import hashlib
import hmac
import json
import logging
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_service import BUSINESS, SmallService, serving
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import Mount

from xray_analytics import Sandbox, Store, XRayClient, cli, sync
from xray_analytics.api import webhooks
from xray_analytics.api.journal import Journal
from xray_analytics.api.webhooks import is_authentic, signature
from xray_analytics.errors import InputError, StoreError, WebhookError
from xray_analytics.ingest.deliveries import drain, draining
from xray_analytics.ingest.erasure import forget
from xray_analytics.sandbox.service.deliveries import SIGNATURE_HEADER, TIMESTAMP_HEADER
from xray_analytics.settings import Secret, WebhookSettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REQUEST, REPORT = "61b1aaa1015c69003931e945", "61baf58cb92353003b888c3d"
DELIVERY = {"event": "new_report", "requestId": REQUEST, "reportId": REPORT}
BODY = json.dumps(DELIVERY).encode()
SIGNED = WebhookSettings(
    keys=["old-key", "new-key"],
    signature_header="X-Test-Signature",
    timestamp_header="X-Test-Time",
    signed="{timestamp}.{body}",
)


def report_id(n):
    return f"61baf58c{n:016x}"


def delivery(n):
    return json.dumps({**DELIVERY, "reportId": report_id(n)}).encode()


class Receiver:
    """The receiver of a journal, over HTTP."""

    def __init__(self, url, app, journal):
        self.address, self.counted, self.journal = urlsplit(url), app.state.counted, journal
        self._connection = HTTPConnection(self.address.hostname, self.address.port, timeout=100)

    def call(self, body=BODY, headers=None, *, method="POST", path="/webhook"):
        """Status, headers, body."""
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def close(self):
        self._connection.close()

    def status(self, *args, **options):
        return self.call(*args, **options)[0]

    def raw(self, data, *, shut=False):
        """All that comes back for these bytes until the connection ends."""
        with socket.create_connection((self.address.hostname, self.address.port), timeout=100) as connection:
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        return received

    @property
    def queued(self):
        return [d.report_id for d in self.journal.pending(datetime.max.replace(tzinfo=UTC))]


@contextmanager
def receiving(path, settings=None, *, now=lambda: NOW, clock=lambda: 0.0):
    options = settings or WebhookSettings()
    with Journal(path / "journal.sqlite3", max_pending=options.max_pending) as journal:
        app = webhooks.receiver(journal, options, now=now, clock=clock)
        with serving(app) as url, closing(Receiver(url, app, journal)) as receiver:
            yield receiver


@pytest.fixture
def receiver(tmp_path):
    with receiving(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with receiving(tmp_path_factory.mktemp("shared"), SIGNED) as running:
        yield running


@pytest.fixture
def shared(opened):
    """One receiver for many tests, reached anew by each: it ends connections that were idle for some seconds."""
    opened.close()
    return opened


def signed(body=BODY, key="new-key", at=NOW, scheme=SIGNED):
    timestamp = str(int(at.timestamp()))
    return {"X-Test-Time": timestamp, "X-Test-Signature": signature(body, Secret(key), scheme, timestamp)}


def test_a_delivery__is_queued_and_answered_empty(receiver):
    assert receiver.call()[::2] == (200, b"")
    assert receiver.queued == [REPORT]
    assert receiver.counted == {"queued": 1}


def test_w1__a_thousand_replays_are_one_row_and_one_fetch(tmp_path):
    service = SmallService()
    service.add_request(REQUEST)
    service.add_report(REPORT, REQUEST, "esg", {"score": "B"})
    with receiving(tmp_path, SIGNED) as receiver, service.running() as api, XRayClient(api) as client:
        statuses = {receiver.status(BODY, signed()) for _ in range(1000)}
        first = drain(client, Store(tmp_path / "store"), receiver.journal)
        statuses |= {receiver.status(BODY, signed()) for _ in range(10)}
        second = drain(client, Store(tmp_path / "store"), receiver.journal)
        assert statuses == {200}
        assert receiver.counted == {"queued": 1, "repeated": 1009}
    assert (first.n_published, second) == (2, None)
    assert service.calls[f"GET /reports/{REPORT}"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Test-Time": str(int(NOW.timestamp()))},
        signed(key="another-key"),
        signed(b"another body"),
        signed() | {"X-Test-Signature": signed()["X-Test-Signature"][:-1]},
        signed() | {"X-Test-Signature": ""},
        signed() | {"X-Test-Signature": ",".join([*"abcdefgh", signed()["X-Test-Signature"]])},
    ],
)
def test_w2__forged_or_missing_signatures_are_refused_alike(shared, headers):
    before = shared.counted["forged"]
    status, _, body = shared.call(BODY, headers)
    assert (status, body, shared.counted["forged"] - before) == (401, b"", 1)
    assert shared.queued == []


def test_w2__the_signature_given_twice_is_refused(shared):
    twice = [*signed().items(), ("X-Test-Signature", signed()["X-Test-Signature"])]
    lines = "".join(f"{name}: {value}\r\n" for name, value in twice)
    head = f"POST /webhook HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{lines}Content-Length: {len(BODY)}\r\n\r\n"
    assert shared.raw(head.encode() + BODY).startswith(b"HTTP/1.1 401 ")


def test_w2__the_comparison_takes_constant_time(shared):
    """All keys are compared with all signatures by `hmac.compare_digest`: counted, since a clock would lie."""
    called = []
    real = hmac.compare_digest

    def trace(frame, event, argument):
        if event == "c_call" and argument is real:
            called.append(1)

    sys.setprofile(trace)
    try:
        assert is_authentic(Headers(signed(key="old-key")), BODY, SIGNED, NOW)
    finally:
        sys.setprofile(None)
    assert len(called) == 2


def test_w2__either_key_is_accepted_so_that_one_can_be_replaced(tmp_path):
    with receiving(tmp_path, SIGNED) as receiver:
        both = signed(key="old-key") | {"X-Test-Signature": "beef, " + signed(key="old-key")["X-Test-Signature"]}
        assert [receiver.status(BODY, h) for h in (signed(key="old-key"), signed(), both)] == [200, 200, 200]


@pytest.mark.parametrize(("hash_", "encoding"), [("sha256", "base64"), ("sha512", "hex"), ("sha1", "hex")])
def test_w2__the_scheme_is_the_configured_one(tmp_path, hash_, encoding):
    """The signature computed by hand, with prefix and another order of what is signed."""
    scheme = WebhookSettings(
        keys=["k"],
        signature_header="X-Sig",
        signature_prefix=f"{hash_}=",
        hash=hash_,
        encoding=encoding,
        timestamp_header="X-At",
        signed="v0:{body}:{timestamp}",
    )
    at = str(int(NOW.timestamp()))
    digest = hmac.new(b"k", b"v0:" + BODY + b":" + at.encode(), getattr(hashlib, hash_))
    text = digest.hexdigest() if encoding == "hex" else base64.b64encode(digest.digest()).decode()
    with receiving(tmp_path, scheme) as receiver:
        assert receiver.status(BODY, {"X-Sig": f"{hash_}={text}", "X-At": at}) == 200
        assert receiver.status(BODY, {"X-Sig": text, "X-At": at}) == 401


def test_w3__a_secret_path_segment_stands_in_for_a_scheme(tmp_path):
    secret = "s3cret-segment-canary"
    with receiving(tmp_path, WebhookSettings(path_secret=secret)) as receiver:
        paths = (f"/webhook/{secret}", f"/webhook/{secret[:-1]}x", "/webhook", "/webhook/", f"/webhook/{secret}/", "/")
        assert [receiver.status(path=path) for path in paths] == [200, 404, 404, 404, 404, 404]
        assert receiver.counted["wrong_path"] == 1
        assert receiver.queued == [REPORT]
        assert receiver.status(path="/webhook/%c3%a9") == 404


def test_w3__nothing_of_the_body_is_data(tmp_path):
    """Another request id, more members, another report's content: what is stored is what the service says."""
    service = SmallService()
    service.add_request(REQUEST)
    service.add_report(REPORT, REQUEST, "esg", {"score": "B"})
    forged = {**DELIVERY, "requestId": "f" * 24, "raw": {"score": "forged"}, "source": "bank_xray"}
    store = Store(tmp_path / "store")
    with receiving(tmp_path) as receiver, service.running() as api, XRayClient(api) as client:
        assert receiver.status(json.dumps(forged).encode()) == 200
        result = drain(client, store, receiver.journal)
        assert receiver.journal.counts() == {"pending": 0, "done": 1, "parked": 0}
    snapshot = store.snapshot()
    assert (result.n_published, result.issues) == (2, ())
    assert snapshot.read("reports")[["report_id", "request_id", "product"]].values.tolist() == [
        [REPORT, REQUEST, "esg"]
    ]
    assert snapshot.read("requests")["request_id"].tolist() == [REQUEST]
    assert snapshot.read("other_facts")["value_text"].tolist() == ["B"]
    assert "f" * 24 not in {path.split("/")[-1] for path in service.calls}


def test_w4__the_window_has_two_sides(tmp_path):
    expected = {-301: 401, -300: 200, 0: 200, 300: 200, 301: 401, -(10**9): 401}
    with receiving(tmp_path, SIGNED) as receiver:
        assert {n: receiver.status(BODY, signed(at=NOW + timedelta(seconds=n))) for n in expected} == expected


@pytest.mark.parametrize(
    "text", ["", "now", "1e9", "-1", "+1", "1772366400.0", "٣", "0x1", "9" * 16, str(int(NOW.timestamp()) * 1000)]
)
def test_w4__an_unreadable_time_is_refused_even_if_it_is_signed(shared, text):
    """The last one is in milliseconds: right by another unit is wrong."""
    sent = {"X-Test-Time": text.encode(), "X-Test-Signature": signature(BODY, Secret("new-key"), SIGNED, text)}
    assert shared.status(BODY, sent) == 401


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({**DELIVERY, "event": "update_request"}, 204, "unknown_event"),
        ({"event": "new_offer"}, 204, "unknown_event"),
        ({"event": "new_report", "requestId": REQUEST}, 400, "wrong_id"),
        ({**DELIVERY, "reportId": None}, 400, "wrong_id"),
        ({**DELIVERY, "reportId": 5}, 400, "wrong_id"),
        ({**DELIVERY, "reportId": REPORT.upper()}, 400, "wrong_id"),
        ({**DELIVERY, "reportId": REPORT + "\n"}, 400, "wrong_id"),
        ({**DELIVERY, "requestId": "../../etc/passwd0000000"}, 400, "wrong_id"),
        ({**DELIVERY, "reportId": "٣" * 24}, 400, "wrong_id"),
        ({"requestId": REQUEST, "reportId": REPORT}, 400, "not_a_delivery"),
        ({**DELIVERY, "event": ["new_report"]}, 400, "not_a_delivery"),
        ([DELIVERY], 400, "not_a_delivery"),
        (None, 400, "not_a_delivery"),
    ],
)
def test_w5__what_is_no_delivery_is_400_and_what_is_another_event_204(shared, body, status, word):
    text, before = json.dumps(body).encode(), shared.counted[word]
    assert shared.call(text, signed(text))[::2] == (status, b"")
    assert shared.counted[word] == before + 1
    assert shared.queued == []


def test_w5__more_members_do_no_harm(receiver):
    assert receiver.status(json.dumps({**DELIVERY, "more": [{"a": None}]}).encode()) == 200
    assert receiver.queued == [REPORT]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 16_000,
        b'{"event":' * 1_700,
        b'{"event":NaN}',
        b"9" * 10_000,
        BODY + b"x",
        b"\x00",
    ],
)
def test_w5__malformed_bodies_are_400(shared, body):
    assert shared.status(body, signed(body)) == 400


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=True) | st.integers() | st.text(max_size=30),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        ).map(lambda value: json.dumps(value).encode()),
        st.fixed_dictionaries(
            {"event": st.sampled_from(["new_report", "x"])}, optional={"requestId": st.text(), "reportId": st.text()}
        ).map(lambda value: json.dumps(value).encode()),
    ),
    method=st.sampled_from(["POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET", "BREW"]),
    header=st.tuples(
        st.sampled_from(["X-Test-Time", "X-Test-Signature", "Content-Type", "Content-Encoding", "Expect", "Cookie"]),
        st.binary(max_size=40).filter(lambda v: not re.search(rb"[\x00-\x1f\x7f]", v)),
    ),
    is_signed=st.booleans(),
)
def test_w5__whatever_comes_is_never_a_500_and_never_queued(shared, body, method, header, is_signed):
    headers = {"Connection": "close"} | ({n: v.encode() for n, v in signed(body).items()} if is_signed else {})
    headers |= dict([header])
    status, _, answer = shared.call(body, headers, method=method)
    assert status in (204, 400, 401, 405, 415)
    assert status == 405 or not answer
    assert shared.queued == []


def test_w6__a_body_over_16_kb_is_refused_before_it_is_read(receiver):
    status, headers, _ = receiver.call(b"x" * 16_385)
    assert (status, headers["connection"]) == (413, "close")
    assert receiver.status(b"x" * 16_384) == 400
    head = b"POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n"
    assert receiver.raw(head).startswith(b"HTTP/1.1 413 "), "answered without waiting for the body"


def test_w6__an_endless_chunked_body_is_cut_at_16_kb(receiver):
    head = b"POST /webhook HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent = 0
    with socket.create_connection((receiver.address.hostname, receiver.address.port), timeout=100) as connection:
        connection.sendall(head)
        try:
            while sent < 10_000_000:
                connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
                sent += 1024
        except OSError:
            pass  # closed by the receiver, as it should
        assert sent < 10_000_000
    assert receiver.counted == {"too_large": 1}


def test_w6__a_compressed_body_is_refused(receiver):
    assert receiver.status(gzip.compress(BODY), {"Content-Encoding": "gzip"}) == 415
    assert receiver.status(BODY, {"Content-Encoding": "identity"}) == 200


def test_w6__a_slow_body_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(webhooks, "READ_SECONDS", 0.2)
    head = b"POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{"
    answer = receiver.raw(head)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert webhooks.MAX_BYTES == 16_384


def test_w6__a_wrong_length_is_refused(receiver):
    head = b"POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n"
    assert receiver.raw(head % b"-1" + BODY).startswith(b"HTTP/1.1 400 ")
    assert receiver.raw(head % b"abc" + BODY).startswith(b"HTTP/1.1 400 ")
    receiver.raw(head % b"500" + BODY, shut=True)
    assert receiver.queued == []


def test_w7__a_flood_meets_a_rate_and_a_bounded_queue(tmp_path):
    seconds = [0.0]
    options = WebhookSettings(requests_per_second=10, burst=20, max_pending=25)
    with receiving(tmp_path, options, clock=lambda: seconds[0]) as receiver:
        first = [receiver.status(delivery(n)) for n in range(40)]
        assert (first.count(200), first.count(503)) == (20, 20)
        seconds[0] = 2.0
        status = [receiver.call(delivery(n)) for n in range(40, 80)]
        assert [s for s, _, _ in status].count(200) == 5, "the queue is full"
        assert {h["retry-after"] for s, h, _ in status if s == 503} == {"60"}
        assert receiver.counted == {"queued": 25, "too_fast": 20 + 40 - 20, "queue_full": 15}
        assert len(receiver.queued) == 25


def test_w7__many_at_once_are_all_queued_or_told_to_come_back(receiver):
    def one(n):
        connection = HTTPConnection(receiver.address.hostname, receiver.address.port, timeout=100)
        connection.request("POST", "/webhook", delivery(n % 50))
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(one, range(200))) == {200}
    assert sorted(receiver.queued) == [report_id(n) for n in range(50)]


def test_w8__a_report_that_is_not_there_yet_is_tried_again_then_parked(tmp_path):
    service, store, now = SmallService(), Store(tmp_path / "store"), [NOW]
    service.add_request(REQUEST)
    with Journal(tmp_path / "j") as journal, service.running() as api, XRayClient(api) as client:
        for n in range(3):
            journal.enqueue("new_report", REQUEST, report_id(n), NOW)
        service.broken[f"/reports/{report_id(2)}"] = 403  # of another account
        early = drain(client, store, journal, now=lambda: now[0])
        assert (early.n_failed, early.issues, early.commits) == (3, (), ())
        assert drain(client, store, journal, now=lambda: now[0]) is None, "not before its turn"
        service.add_report(report_id(1), REQUEST, "esg", {})
        now[0] += timedelta(minutes=1)
        later = drain(client, store, journal, now=lambda: now[0])
        assert (later.n_published, later.n_failed) == (2, 2)
        now[0] = NOW + timedelta(hours=48)
        last = drain(client, store, journal, now=lambda: now[0])
        assert journal.counts() == {"pending": 0, "done": 1, "parked": 2}
    assert {(i.code, i.subject) for i in last.issues} == {("parked", report_id(0)), ("parked", report_id(2))}
    assert last.is_partial


def test_w8__a_sync_drains_the_queue_and_finds_what_was_lost(tmp_path):
    """The queued report belongs to no listed source; the other one was never delivered."""
    service, store = SmallService(), Store(tmp_path / "store")
    service.add_request(REQUEST)
    service.add_report(report_id(1), REQUEST, "never_heard_of", {"score": 3})
    service.add_report(report_id(2), REQUEST, "esg", {})
    with Journal(tmp_path / "j") as journal, service.running() as api, XRayClient(api) as client:
        journal.enqueue("new_report", REQUEST, report_id(1), datetime.now(UTC))
        result = sync(client, store, journal=journal)
        again = sync(client, store, journal=journal)
        assert journal.counts()["done"] == 1
    assert (result.n_published, result.issues, again.n_published) == (3, (), 0)
    assert sorted(store.snapshot().read("reports")["report_id"]) == [report_id(1), report_id(2)]


def test_w8__a_store_that_is_locked_leaves_the_queue_as_it_is(tmp_path, caplog):
    service, store = SmallService(), Store(tmp_path / "store")
    service.add_request(REQUEST)
    service.add_report(REPORT, REQUEST, "esg", {})
    with Journal(tmp_path / "j") as journal, service.running() as api, XRayClient(api) as client:
        journal.enqueue("new_report", REQUEST, REPORT, NOW)
        with store.writer():
            with pytest.raises(StoreError, match="is locked"):
                drain(client, store, journal)
            with draining(client, store, journal):
                pass
        assert "deliveries stay queued: store" in caplog.text
        assert (service.calls[f"GET /reports/{REPORT}"], journal.counts()["pending"]) == (0, 1)
        with draining(client, store, journal):
            pass
        assert journal.counts()["done"] == 1


def test_w8__an_id_of_another_grammar_never_reaches_a_url(tmp_path):
    service = SmallService()
    with Journal(tmp_path / "j") as journal, service.running() as api, XRayClient(api) as client:
        journal.enqueue("new_report", "x", "../businesses", NOW)
        assert drain(client, Store(tmp_path / "store"), journal).n_listed == 0
        assert service.calls == {}


def test_w8__a_company_that_was_forgotten_does_not_come_back(tmp_path):
    """Neither by a delivery about its old report, nor about a report of a request opened since."""
    service, store, later = SmallService(), Store(tmp_path / "store"), "62b1aaa1015c69003931e945"
    service.add_request(REQUEST)
    service.add_report(report_id(1), REQUEST, "esg", {"score": "B"})
    with Journal(tmp_path / "j") as journal, service.running() as api, XRayClient(api) as client:
        sync(client, store)
        forget(store, "514673987")
        service.add_request(later)
        service.add_report(report_id(2), later, "esg", {"score": "B"})
        for n in (1, 2):
            journal.enqueue("new_report", REQUEST, report_id(n), NOW)
        drain(client, store, journal)
        assert journal.counts() == {"pending": 0, "done": 2, "parked": 0}
    assert store.snapshot().read("reports").empty
    assert store.snapshot().read("requests").empty


def test_w9__what_was_answered_survives_kill_9(tmp_path):
    """`xray webhook serve` in its own process, killed right after the answer."""
    command = [sys.executable, "-m", "xray_analytics.cli", "webhook", "serve", "--port", "0", "--store", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/webhook", process.stdout.readline())[1])
        connection = HTTPConnection("127.0.0.1", port, timeout=100)
        connection.request("POST", "/webhook", BODY)
        status = connection.getresponse().status
        process.kill()
    connection.close()
    with Journal(tmp_path / "journal.sqlite3") as journal:
        assert (status, [d.report_id for d in journal.pending(datetime.now(UTC))]) == (200, [REPORT])


def test_w9__no_journal_no_200(receiver):
    receiver.journal.close()
    status, headers, _ = receiver.call()
    assert (status, headers["retry-after"], receiver.counted) == (503, "60", {"journal_failed": 1})


CANARY = "canary-reflected"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/webhook", 405),
        ("HEAD", "/webhook", 405),
        ("TRACE", "/webhook", 405),
        ("PUT", "/webhook", 405),
        ("OPTIONS", "/webhook", 405),
        ("POST", "/", 404),
        ("POST", "/webhook/", 404),
        ("POST", f"/{CANARY}", 404),
        ("POST", "//webhook", 404),
        ("POST", "/webhook/../webhook", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
    ],
)
def test_w10__other_methods_and_paths_say_nothing(shared, method, path, status):
    hostile = {"Host": f"{CANARY}.example", "X-Forwarded-Host": CANARY, "Cookie": CANARY, "Referer": CANARY}
    answered, headers, body = shared.call(b"", hostile, method=method, path=f"{path}?q={CANARY}")
    assert answered == status
    assert set(headers) <= {"date", "content-length", "content-type", "allow", "connection"}
    assert body in (b"", b"Not Found", b"Method Not Allowed")
    assert CANARY not in str(headers)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}GARBAGE \x00\xff\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /webhook HTTP/9.9\r\n\r\n",
        b"GET " + b"/x" * 40_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_w10__garbage_is_answered_400_or_not_at_all(shared, data):
    answer = shared.raw(data, shut=True)
    assert b" 500 " not in answer
    assert b"uvicorn" not in answer.lower()
    assert answer == b"" or answer.split(b" ")[1].startswith(b"4")


def test_w11__another_address_must_be_meant_and_is_warned_of(tmp_path, caplog):
    """The guard of the test suite refuses the bind, after the warning."""
    with Journal(tmp_path / "j") as journal:
        app = webhooks.receiver(journal)
        with pytest.raises(InputError, match=r"0\.0\.0\.0 is reachable from outside this machine: .* --expose"):
            webhooks.serve(app, host="0.0.0.0", port=0)
        assert caplog.text == ""
        with caplog.at_level(logging.WARNING), pytest.raises(AssertionError, match=r"tried to reach \('0\.0\.0\.0', 0"):
            webhooks.serve(app, host="0.0.0.0", port=0, expose=True)
    assert "listens on 0.0.0.0 without TLS" in caplog.text


def test_w11__a_taken_port_is_said(tmp_path):
    with (
        receiving(tmp_path) as receiver,
        pytest.raises(InputError, match=r"cannot use 127\.0\.0\.1:\d+: Address already"),
    ):
        webhooks.listener("127.0.0.1", receiver.address.port)


def test_receiver__can_be_mounted_in_another_app(tmp_path):
    with Journal(tmp_path / "j") as journal:
        app = Starlette(routes=[Mount("/hooks", webhooks.receiver(journal))])
        app.state.counted = {}
        with serving(app) as url, closing(Receiver(url, app, journal)) as receiver:
            assert [receiver.status(path=p) for p in ("/hooks/webhook", "/webhook", "/hooks/webhook/")] == [
                200,
                404,
                404,
            ]
            assert receiver.queued == [REPORT]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keys": ["k"]}, "belong together"),
        ({"signature_header": "X"}, "belong together"),
        ({"hash": "md5"}, "one of sha256"),
        ({"encoding": "base32"}, "hex or base64"),
        ({"signed": "{body}{body}"}, "{body} once"),
        ({"signed": "{timestamp}{body}"}, "exactly where timestamp_header is set"),
        ({"timestamp_header": "X"}, "exactly where timestamp_header is set"),
        ({"path_secret": "short"}, "16 to 128"),
        ({"window_seconds": 0}, "window_seconds must be above 0"),
    ],
)
def test_settings__parts_must_fit_together(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        WebhookSettings(**options)


def test_settings__come_from_the_file_and_secrets_from_the_environment(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('[webhook]\nkeys = ["file-key"]\nsignature_header = "X-Sig"\n')
    found = WebhookSettings.from_environment({"XRAY_SETTINGS": str(file)})
    assert (found.keys, found.is_signed) == ((Secret("file-key"),), True)
    found = WebhookSettings.from_environment({"XRAY_WEBHOOK_KEYS": "canary-a canary-b"}, file=file)
    assert found.keys == (Secret("canary-a"), Secret("canary-b"))
    assert "canary" not in repr(found)
    file.write_text("[webhook]\nwrong = 1\n")
    with pytest.raises(InputError, match=r"\[webhook\] holds unknown names \['wrong'\]"):
        WebhookSettings.from_environment({}, file=file)


URL = "https://hooks.example.org/webhook"


def test_subscriptions__are_added_listed_and_removed():
    service = SmallService()
    service.webhooks = [{"url": "https://a.example/x", "events": ["new_report"], "key": "kept", "more": 1}]
    with service.running(business_id=BUSINESS) as api, XRayClient(api) as client:
        added = client.add_webhook(URL)
        assert (added.url, added.events, added.key) == (URL, ("new_report",), Secret("key-1-canary"))
        assert service.webhooks[0] == {"url": "https://a.example/x", "events": ["new_report"], "key": "kept", "more": 1}
        assert client.add_webhook(URL) == added
        assert service.calls[f"POST /businesses/{BUSINESS}"] == 1, "the second time nothing was sent"
        assert "canary" not in repr(client.list_webhooks())
        assert [w.url for w in client.list_webhooks()] == ["https://a.example/x", URL]
        client.remove_webhook(URL)
        assert [w.url for w in client.list_webhooks()] == ["https://a.example/x"]
        with pytest.raises(InputError, match="no webhook has this url"):
            client.remove_webhook(URL)


def test_subscriptions__a_difference_after_writing_points_to_the_web_app():
    service = SmallService()
    service.takes_webhooks = lambda body: []
    with service.running(business_id=BUSINESS) as api, XRayClient(api) as client:
        with pytest.raises(
            WebhookError, match="the 0 webhooks read back are not the 1 that were sent; look into the web"
        ):
            client.add_webhook(URL)
        service.webhooks = {"not": "a list"}
        with pytest.raises(WebhookError, match=r"shows no list of webhooks at business\.settings"):
            client.list_webhooks()


def test_subscriptions__need_a_business_and_a_safe_url():
    service = SmallService()
    with service.running() as api, XRayClient(api) as client, pytest.raises(InputError, match="XRAY_BUSINESS_ID"):
        client.list_webhooks()
    with service.running(business_id="../x") as api, XRayClient(api) as client:
        with pytest.raises(InputError, match="business_id is not of the form"):
            client.list_webhooks()
        for url in ("http://hooks.example.org", "https://u:p@h", "https://h/#x", "ftp://h", "nonsense"):
            with pytest.raises(InputError, match="https address"):
                client.add_webhook(url)
    assert service.calls == {}


def test_cli__lists_without_keys_unless_asked(monkeypatch, capsys):
    service = SmallService()

    def xray(*arguments):
        monkeypatch.setattr(sys, "argv", ["xray", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, capsys.readouterr().out

    with service.running(business_id=BUSINESS) as api:
        names = {"BASE_URL": api.base_url, "USER_ID": "u", "SESSION_TOKEN": "t", "BUSINESS_ID": BUSINESS}
        for name, value in names.items():
            monkeypatch.setenv(f"XRAY_{name}", value)
        assert xray("webhook", "list") == (0, "No webhook is set.\n")
        assert xray("webhook", "add", URL)[1].startswith(f"{URL} is called on new_report; ")
        assert xray("webhook", "list") == (0, f"{URL}  new_report  key hidden\n")
        service.webhooks[0]["events"] = ["new_report", "\x1b[2J\u202e"]
        assert xray("webhook", "list") == (0, f"{URL}  new_report, ·[2J·  key hidden\n"), "nothing steers the terminal"
        assert "key-0-canary" in xray("webhook", "list", "--show-key")[1]
        assert "canary" not in xray("webhook", "list", "--json")[1]
        assert xray("webhook", "remove", URL) == (0, f"{URL} is not called any more.\n")
    assert service.webhooks == []


def test_sandbox__from_an_upload_to_a_signed_delivery_to_the_store(tmp_path):
    """The whole way, with the key that the service generated; then a replay and a forgery."""
    store, pdf, late = Store(tmp_path / "store"), tmp_path / "statement.pdf", {}
    pdf.write_bytes(b"%PDF-1.4\n%%EOF\n")

    async def app(scope, receive, send):
        await late["app"](scope, receive, send)

    with Sandbox(companies=3, clean=True, report_delay=0.05) as sandbox, serving(app) as url, ExitStack() as stack:
        client = stack.enter_context(XRayClient(sandbox.settings(poll_seconds=0.05)))
        journal = stack.enter_context(Journal(tmp_path / "j"))
        added = client.add_webhook(f"{url}/webhook")
        scheme = WebhookSettings(
            keys=[added.key],
            signature_header=SIGNATURE_HEADER,
            timestamp_header=TIMESTAMP_HEADER,
            signed="{timestamp}.{body}",
        )
        late["app"] = webhooks.receiver(journal, scheme)
        request = client.create_request(sandbox.companies()["company_id"][0])
        client.upload(request.id, pdf, name="bank_statement", period="month", date="2025-06-30")
        report = client.wait_for_report(request.id, product="bank", timeout=timedelta(seconds=100))
        for _ in range(10_000):
            if not late["app"].state.counted:
                time.sleep(0.01)
        receiver = stack.enter_context(closing(Receiver(url, late["app"], journal)))
        body = json.dumps({**DELIVERY, "requestId": request.id, "reportId": report.id}).encode()
        at = str(int(time.time()))
        replayed = {TIMESTAMP_HEADER: at, SIGNATURE_HEADER: signature(body, added.key, scheme, at)}
        forged = {TIMESTAMP_HEADER: at, SIGNATURE_HEADER: signature(body, Secret("x"), scheme, at)}
        assert [receiver.status(body, replayed), receiver.status(body, forged)] == [200, 401]
        assert receiver.counted == {"queued": 1, "repeated": 1, "forged": 1}
        assert drain(client, store, journal).n_published == 2
    assert store.snapshot().read("reports")["report_id"].tolist() == [report.id]
