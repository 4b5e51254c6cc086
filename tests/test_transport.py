"""Faults of the network against the transport; a raw-socket server plays them, and waiting is virtual."""

import gzip
import inspect
import ipaddress
import json
import pickle
import random
import socket
import ssl
import threading
import time
import traceback
import tracemalloc
import zlib
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import requests
import urllib3.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from faults.server import FaultServer, Reply, reply

from xray_analytics.api.http.body import decoded, is_json, is_json_type
from xray_analytics.api.http.credentials import credentials_for
from xray_analytics.api.http.deadline import Watchdog
from xray_analytics.api.http.failure import retry_after
from xray_analytics.api.http.transport import Response, Transport, translated
from xray_analytics.errors import (
    ApiError,
    AuthenticationError,
    IncompleteBody,
    InputError,
    NotFoundError,
    PermissionDenied,
    RateLimitError,
    RedirectRefused,
    SilentServiceError,
    UnavailableError,
    XRayError,
)
from xray_analytics.grammar.addresses import parse
from xray_analytics.settings import Settings

TOKEN = "canary-5e55"
USER = "canary-u5e7"
NOWHERE = parse("http://127.0.0.1:9")
CONTENT = {"report": {"id": "61baf58cb92353003b888c3d", "amount": 12.5}}
BODY = json.dumps(CONTENT).encode()


class Waits:
    """A virtual clock: sleeping advances it at once and is written down."""

    def __init__(self):
        self.seconds, self.now = [], 1000.0

    def sleep(self, seconds):
        self.seconds.append(seconds)
        self.now += seconds

    def clock(self):
        return self.now


def settings(url, **changes):
    return Settings(base_url=url, user_id=USER, session_token=TOKEN, **changes)


@pytest.fixture
def connect():
    """Build transports that are closed after the test: ``connect(url, waits, **settings)``."""
    built = []

    def build(url, waits=None, **changes):
        waits = waits or Waits()
        changes = {"requests_per_second": 1e6} | changes
        built.append(Transport(settings(url, **changes), sleep=waits.sleep, clock=waits.clock, rng=random.Random(7)))
        return built[-1]

    yield build
    for transport in built:
        transport.close()


def raised(kind, transport, path="/reports/x", **options):
    """The error of one call, after checking that no form of it shows a secret."""
    with pytest.raises(kind) as caught:
        transport.get(path, **options)
    error = caught.value
    assert type(error) is kind
    shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    frames = [
        repr(f.f_locals) for f, _ in traceback.walk_tb(error.__traceback__) if "transport" in f.f_code.co_filename
    ]
    assert not any(secret in text for secret in (TOKEN, USER) for text in (*shown, *frames))
    assert error.__context__ is None
    return error


# --- who may see the headers


def test_get__sends_the_three_headers_and_returns_the_bytes(connect):
    with FaultServer(reply(BODY, headers={"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Set-Cookie": "a=b"})) as server:
        transport = connect(server.url)
        answer = transport.get("/reports", {"source": "bank_xray", "limit": 2})
        transport.get("/reports")
    assert answer == Response(
        200, {"Content-Type": "application/json", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, BODY, True
    )
    first, second = server.requests
    assert (first.method, first.path, first.query) == ("GET", "/reports", {"source": "bank_xray", "limit": "2"})
    assert first.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "xray-analytics",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "userid": USER,
        "sessiontoken": TOKEN,
        "october-version": "2024-01-25",
    }
    assert second.headers == first.headers  # no cookie came back
    assert server.n_connections == 1  # and the connection was kept


def test_get__consults_neither_proxy_nor_netrc(connect, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with FaultServer(reply(CONTENT)) as server, FaultServer(reply(CONTENT)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        connect(server.url).get("/requests")
    assert len(server.requests) == 1
    assert "authorization" not in server.requests[0].headers
    assert proxy.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/requests",
        "https://api.example:444/requests",
        "https://cdn.example/file",
        "https://api.example.evil/requests",
        "https://api.example@evil/requests",
        "https://evil/?https://api.example",
    ],
)
def test_credentials_for__nothing_for_another_origin(url):
    assert credentials_for(url, settings("https://api.example")) == {}


@pytest.mark.parametrize("url", ["https://api.example/x", "https://api.example:443/x", "HTTPS://API.Example/x?y"])
def test_credentials_for__the_three_headers_for_the_same_origin(url):
    headers = {"userId": USER, "sessionToken": TOKEN, "October-Version": "2024-01-25"}
    assert credentials_for(url, settings("https://api.example")) == headers


@pytest.mark.parametrize("path", ["@127.0.0.1:1/x", ".evil/x", "", "http://127.0.0.1/"])
def test_get__refuses_a_path_that_could_change_the_host(connect, path):
    with pytest.raises(InputError, match="must begin with a slash"):
        connect("http://127.0.0.1:9").get(path)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_get__never_follows_a_redirect(connect, status):
    with FaultServer(reply(CONTENT)) as other:
        target = f"http://127.0.0.1:{other.port}/stolen?sessionToken={TOKEN}"
        with FaultServer(reply(b"", status, {"Location": target})) as server:
            error = raised(RedirectRefused, connect(server.url))
    assert f"answered {status}, a redirect to 127.0.0.1, never followed; set base_url" in str(error)
    assert (error.status, error.attempts, error.path, error.code) == (status, 1, "/reports/x", "redirect_refused")
    assert (len(server.requests), other.requests, other.n_connections) == (1, [], 0)


@pytest.mark.parametrize(
    ("location", "named"),
    [("/elsewhere", "the same host"), ("http://[", "a malformed address"), (f"https://{TOKEN}.evil/", "***.evil")],
)
def test_get__names_only_the_host_of_a_redirect(connect, location, named):
    with FaultServer(reply(b"", 302, {"Location": location})) as server:
        assert f"a redirect to {named}, never followed" in str(raised(RedirectRefused, connect(server.url)))


def test_get__does_not_read_the_body_of_a_redirect(connect):
    bomb = reply(b"0" * 5_000_000, 302, {"Location": "/x"}, encoding="gzip").drip(5.0, every=2_000)
    slow = Reply(bomb.wire[: bomb.head_length + 10], "hold")
    with FaultServer(slow) as server:
        start = time.monotonic()
        raised(RedirectRefused, connect(server.url))
        assert time.monotonic() - start < 25  # whoever waits for the body waits for the read time-out of 30 s


def test_transport__plain_http_only_on_this_machine():
    class Elsewhere:
        base_url, host, is_loopback = "http://192.0.2.1", "192.0.2.1", False

    with pytest.raises(InputError, match="https is required"):
        Transport(Elsewhere())


def test_transport__the_port_is_a_number():
    with pytest.raises(InputError, match="base_url must be a plain address such as https://host, and it is not scheme"):
        Transport(settings("https://api.example:x1"))


def test_transport__the_rate_is_above_zero():
    with pytest.raises(InputError, match="requests_per_second must be above 0"):
        Transport(settings("https://api.example", requests_per_second=0))


def test_transport__neither_prints_nor_pickles_a_secret(connect):
    transport = connect("http://127.0.0.1:9")
    assert repr(transport) == "Transport(host='127.0.0.1:9')"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(transport)


# --- how long it may take


@pytest.mark.parametrize("part", ["headers", "body", "chunks", "body without end", "silence"])
def test_get__total_deadline(connect, part):
    whole = reply([0] * 20_000)
    slow = {  # each would take more than a minute
        "headers": whole.drip(0.02),
        "body": whole.drip(0.1, every=whole.head_length),
        "chunks": reply([0] * 20_000, framing="chunked").drip(0.05, every=100),
        "body without end": reply([0] * 20_000, framing="close").drip(0.1, every=100),
        "silence": Reply(b"", "hold"),
    }[part]
    with FaultServer(slow) as server:
        transport = connect(server.url, attempts=2, total_timeout=0.2)
        start = time.monotonic()
        error = raised(UnavailableError, transport)
        assert 0.4 <= time.monotonic() - start < 30
    assert "no complete answer in 0.2 s (attempt 2); check the network" in str(error)
    assert (error.attempts, len(server.requests) <= 2) == (2, True)


def test_get__slow_but_in_time(connect):
    with FaultServer(reply(CONTENT).drip(0.0005)) as server:
        assert connect(server.url, total_timeout=200.0).get("/reports/x").body == BODY


def test_get__read_timeout_and_explicit_deadline(connect):
    with FaultServer(Reply(b"", "hold")) as server:
        transport = connect(server.url, attempts=1, read_timeout=0.05)
        assert "timed out" in str(raised(UnavailableError, transport))
        assert "no complete answer in 0.15 s" in str(raised(UnavailableError, transport, deadline=0.15))


def test_get__a_pooled_connection_outlives_the_deadline_of_its_earlier_call(connect):
    with FaultServer(reply(CONTENT)) as server:
        transport = connect(server.url)
        for deadline in (0.1, 1.0, 10.0):  # a busy machine may need more than the first
            with suppress(UnavailableError):
                transport.get("/a", deadline=deadline, attempts=1)
                break
        n_connections = server.n_connections
        time.sleep(1.5 * deadline)
        assert transport.get("/b").body == BODY
    assert server.n_connections == n_connections


def test_watchdog__spares_a_connection_that_serves_another_call_now():
    ours, theirs = socket.socketpair()
    watchdog, connection = Watchdog(), SimpleNamespace(wire=ours)
    with ours, theirs, watchdog.limit(1000.0, NOWHERE) as first:
        watchdog.attach(connection)

        def second_call():
            with watchdog.limit(1000.0, NOWHERE) as second:
                watchdog.attach(connection)
                first.ends = time.monotonic()  # its time is up only now, that the connection is no longer its own
                with watchdog._changed:
                    watchdog._changed.notify()
                while not first.expired:
                    time.sleep(0.005)
                with watchdog._changed:  # its look at the limits is over
                    assert not second.expired

        other = threading.Thread(target=second_call)
        other.start()
        other.join()
        assert first.expired
        ours.sendall(b"alive")
        assert theirs.recv(5) == b"alive"
        watchdog.attach(connection)  # it is ours again, and our time is up
        assert theirs.recv(5) == b""
    watchdog.close()


def test_close__ends_calls_under_way_and_the_watchdog():
    before = set(threading.enumerate())  # a neighbour's client may live until it is collected
    with FaultServer(Reply(b"", "hold")) as server:
        transport, seen = Transport(settings(server.url)), []

        def call():
            try:
                transport.get("/reports/x")
            except ApiError as error:
                seen.append(error)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        while len(server.requests) < 4:
            time.sleep(0.005)
        (watchdog,) = (t for t in set(threading.enumerate()) - before if t.name == "xray-watchdog")
        transport.close()
        for caller in callers:
            caller.join(100)
    assert [type(error) for error in seen] == [UnavailableError] * 4
    assert not watchdog.is_alive()
    assert "this client is closed" in str(raised(UnavailableError, transport))


def test_close__ends_a_long_wait():
    def answer(request):
        closing.start()
        return reply(b"", 503, {"Retry-After": "3600"})

    with FaultServer(answer) as server, Transport(settings(server.url)) as transport:
        closing = threading.Timer(0.1, transport.close)
        start = time.monotonic()
        raised(UnavailableError, transport)
        assert time.monotonic() - start < 200
    assert len(server.requests) == 1


# --- when is a body complete


@pytest.mark.parametrize("encoding", [None, "gzip"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("then", ["close", "reset"])
def test_get__cut_at_every_byte(connect, framing, encoding, then):
    whole = reply(CONTENT, framing=framing, encoding=encoding)
    start = 0 if framing == "length" else whole.head_length - 20  # the headers are cut everywhere once
    cuts = [whole.cut(n, then) for n in range(start, len(whole.wire))]
    outcomes = set()
    with FaultServer(*cuts, whole) as server:
        transport = connect(server.url, attempts=1)
        for _ in cuts:
            try:
                assert transport.get("/reports/x").body == BODY
                outcomes.add("whole")
            except (IncompleteBody, UnavailableError) as error:
                outcomes.add(error.code)
        assert transport.get("/reports/x").body == BODY
    assert len(server.requests) == len(cuts) + 1
    assert "incomplete_body" in outcomes
    assert framing != "length" or "unavailable" in outcomes


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_get__an_incomplete_body_is_fetched_again(connect, framing, encoding):
    whole = reply(CONTENT, framing=framing, encoding=encoding)
    with FaultServer(whole.cut(len(whole.wire) - 20), whole) as server:
        assert connect(server.url).get("/reports/x").body == BODY
    assert len(server.requests) == 2


def test_get__incomplete_after_every_attempt(connect):
    whole = reply(CONTENT)
    with FaultServer(whole.cut(len(whole.wire) - 1)) as server:
        error = raised(IncompleteBody, connect(server.url, attempts=3))
    assert "the answer ended before its end (attempt 3); run it again later" in str(error)
    assert (error.attempts, len(server.requests)) == (3, 3)


def test_get__empty_json_is_incomplete(connect):
    with FaultServer(reply(b"")) as server:
        assert raised(IncompleteBody, connect(server.url, attempts=2)).attempts == 2


@pytest.mark.parametrize(
    "body",
    [b'{"a": 1', b'{"a": 1} x', b'{"a": 1}{"a": 2}', b'{"a": NaN}', b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16")],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_get__complete_but_not_json_is_fetched_once_more_and_then_handed_over(connect, body, framing):
    with FaultServer(reply(body, framing=framing)) as server:
        answer = connect(server.url).get("/reports/x")
    assert (answer.body, answer.is_json, len(server.requests)) == (body, False, 2)


def test_get__not_json_once_then_right(connect):
    with FaultServer(reply(b'{"a": '), reply(b"", 503), reply(BODY)) as server:
        answer = connect(server.url).get("/reports/x")
    assert (answer.body, answer.is_json, len(server.requests)) == (BODY, True, 3)


def test_get__bom_is_kept_and_tolerated(connect):
    body = b"\xef\xbb\xbf" + BODY
    with FaultServer(reply(body)) as server:
        answer = connect(server.url).get("/reports/x")
    assert (answer.body, answer.is_json, len(server.requests)) == (body, True, 1)


@pytest.mark.parametrize(
    ("content_type", "named"),
    [
        ("text/html; charset=utf-8", "answered with text/html; charset=utf-8 instead"),
        ("application/pdf", "answered with application/pdf instead"),
        ("", "answered with no content type instead"),
        (f"text/{TOKEN}", r"answered with text/*** instead"),
    ],
)
def test_get__another_content_type_is_refused_unread(connect, content_type, named):
    with FaultServer(reply(b"<p>secret</p>", headers={"Content-Type": content_type})) as server:
        transport = connect(server.url)
        error = raised(ApiError, transport)
        assert named in str(error)
        assert "secret" not in str(error)
        assert len(server.requests) == 1
        assert transport.get("/file", accept_json=False).body == b"<p>secret</p>"


def test_get__gzip_bomb_is_stopped_near_the_cap(connect):
    bomb = reply(b'"' + b"0" * 30_000_000 + b'"', encoding="gzip")
    with FaultServer(bomb) as server:
        transport = connect(server.url, max_body_bytes=1_000_000)
        tracemalloc.start()
        error = raised(IncompleteBody, transport)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert "the answer is larger than 1000000 bytes" in str(error)
    assert peak < 4_000_000
    assert len(server.requests) == 1


def test_get__cap_is_exact_and_can_be_given(connect):
    with FaultServer(reply(BODY)) as server:
        transport = connect(server.url, max_body_bytes=len(BODY))
        assert transport.get("/x").body == BODY
        raised(IncompleteBody, transport, max_bytes=len(BODY) - 1)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate, gzip", "nonsense"])
def test_get__nested_or_unknown_encoding_is_refused(connect, encoding):
    body = gzip.compress(gzip.compress(BODY))
    with FaultServer(reply(body, headers={"Content-Encoding": encoding})) as server:
        assert "content encoding other than gzip or deflate" in str(raised(ApiError, connect(server.url)))
    assert len(server.requests) == 1


def test_decoded__one_encoding_to_its_very_end():
    packed = gzip.compress(BODY)
    assert decoded([packed[:5], packed[5:]], "GZIP", 1000) == BODY
    assert decoded([zlib.compress(BODY)], "deflate", 1000) == BODY
    assert decoded([], "", 1000) == b""
    for broken in ([packed, b"x"], [packed + b"x"], [packed, packed], [packed[:-1]], []):
        with pytest.raises(EOFError):
            decoded(broken, "gzip", 1000)
    with pytest.raises(zlib.error):
        decoded([BODY], "gzip", 1000)


def test_is_json__depth_and_types():
    assert is_json(b'[1e999, "\xc3\xa9"]')
    assert not is_json(b"[" * 100_000 + b"]" * 100_000)
    assert [is_json_type(x) for x in ("text/json", "application/problem+json", "application/jsonp", "json")] == [
        True,
        True,
        False,
        False,
    ]


# --- what a status means


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, ApiError),
        (400, ApiError),
        (403, PermissionDenied),
        (404, NotFoundError),
        (409, ApiError),
        (410, NotFoundError),
        (422, ApiError),
        (501, ApiError),
    ],
)
def test_get__statuses_that_are_final(connect, status, kind):
    with FaultServer(reply(b"", status)) as server:
        error = raised(kind, connect(server.url))
    assert (error.status, error.attempts, len(server.requests)) == (status, 1, 1)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_get__statuses_that_are_retried(connect, status):
    with FaultServer(reply(b"", status), reply(BODY)) as server:
        assert connect(server.url).get("/x").body == BODY
    with FaultServer(reply(b"", status)) as server:
        error = raised(RateLimitError if status == 429 else UnavailableError, connect(server.url))
    assert (error.status, error.attempts, len(server.requests)) == (status, 4, 4)


def test_get__after_a_401_nothing_is_sent_any_more(connect):
    with FaultServer(reply({"error": "unauthorized"}, 401), reply(CONTENT)) as server:
        transport = connect(server.url)
        error = raised(AuthenticationError, transport)
        again = raised(AuthenticationError, transport, "/requests")
    assert str(error) == (
        f"GET /reports/x at 127.0.0.1:{server.port}: answered 401; the headers userId, sessionToken and "
        "October-Version were not accepted: check XRAY_USER_ID, XRAY_SESSION_TOKEN and XRAY_API_VERSION"
    )
    assert (error.status, error.attempts, error.exit_code) == (401, 1, 4)
    assert "not sent, since an earlier call was answered 401" in str(again)
    assert (again.attempts, len(server.requests)) == (0, 1)


def test_get__a_401_does_not_wait_for_its_body(connect):
    slow = reply(BODY, 401)
    with FaultServer(Reply(slow.wire[:-5], "hold")) as server:
        start = time.monotonic()
        raised(AuthenticationError, connect(server.url))
        assert time.monotonic() - start < 25  # whoever waits for the body waits for the read time-out of 30 s


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"error": "invalid_request"}', "answered 400 'invalid_request'; check"),
        (b'{"errors": {"notes.equity": "not a number: 12", "code": "x"}}', "answered 400 'notes.equity, code'; check"),
        (json.dumps({"error": f"bad {TOKEN.upper()}"}).encode(), "answered 400 'bad ***'; check"),
        ('{"error": "caf\u00e9 \\u0000\\n"}'.encode(), "answered 400 'caf? ??'; check"),
        (json.dumps({"error": "e" * 500}).encode(), f"answered 400 '{'e' * 80}'; check"),
        (b'{"error": {"deep": "Dupont"}, "message": "Dupont"}', "answered 400; check"),
        (b"Dupont", "answered 400; check"),
        (b'["Dupont"]', "answered 400; check"),
        (b"[" * 50_000, "answered 400; check"),
        (b"0" * 70_000, "answered 400; check"),
    ],
)
def test_get__shows_a_code_of_an_error_body_and_never_the_body(connect, body, shown):
    with FaultServer(reply(body, 400)) as server:
        error = raised(ApiError, connect(server.url))
    assert shown in str(error)
    assert "Dupont" not in str(error)


# --- when it is tried again


def test_get__full_jitter_within_its_bounds(connect):
    waits = Waits()
    with FaultServer(reply(b"", 503)) as server:
        transport = connect(
            server.url, waits, attempts=9, retry_budget=1000, backoff_seconds=0.5, backoff_cap_seconds=20
        )
        for _ in range(20):
            raised(UnavailableError, transport)
    ceilings = [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert len(server.requests) == 180
    assert len(waits.seconds) == 160
    assert all(0 <= wait <= ceiling for wait, ceiling in zip(waits.seconds, ceilings * 20, strict=True))
    again = random.Random(7)  # draws once more per call than it waits
    drawn = [[again.uniform(0, ceiling) for ceiling in (*ceilings, 20)][:8] for _ in range(20)]
    assert waits.seconds == [wait for call in drawn for wait in call]


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", None, 0.0),
        (" 7 ", None, 7.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2026 09:28:30 +0200", "Wed, 21 Oct 2026 07:28:00 -0000", 30.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:30 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None, 0.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT, 5", "x", 0.0),
        ("-5", None, 0.0),
        ("1.5", None, 0.0),
        ("1e9", None, 0.0),
        ("\u0661\u0662", None, 0.0),
        ("soon", None, 0.0),
        ("", None, 0.0),
        (None, None, 0.0),
        ("9" * 40, None, 0.0),
        ("Wed, 99 Oct 99999 07:28:00 GMT", None, 0.0),
    ],
)
def test_retry_after__seconds_dates_and_nonsense(value, date, seconds):
    assert retry_after(value, date) == seconds


@pytest.mark.parametrize("status", [429, 503])
def test_get__waits_as_long_as_the_service_asks(connect, status):
    waits = Waits()
    with FaultServer(reply(b"", status, {"Retry-After": "90"}), reply(BODY)) as server:
        connect(server.url, waits).get("/x")
    assert waits.seconds == [90.0]


def test_get__malformed_retry_after_is_own_backoff(connect):
    waits = Waits()
    with FaultServer(reply(b"", 429, {"Retry-After": "tomorrow"}), reply(BODY)) as server:
        connect(server.url, waits).get("/x")
    assert waits.seconds == [random.Random(7).uniform(0, 0.5)]


def test_get__a_wait_beyond_the_run_is_not_begun(connect):
    waits = Waits()
    with FaultServer(reply(b"", 429, {"Retry-After": "101"})) as server:
        error = raised(RateLimitError, connect(server.url, waits, run_deadline_seconds=100))
    assert "answered 429, which asks to wait 101 s; run the same command again later, it resumes" in str(error)
    assert (waits.seconds, len(server.requests), error.exit_code) == ([], 1, 5)


def test_get__the_run_deadline_bounds_all_waits(connect):
    waits = Waits()
    with FaultServer(reply(b"", 503, {"Retry-After": "40"})) as server:
        raised(UnavailableError, connect(server.url, waits, run_deadline_seconds=100))
    assert (waits.seconds, len(server.requests)) == ([40.0, 40.0], 3)


def test_get__full_outage_costs_first_tries_plus_budget(connect):
    with FaultServer(reply(b"", 503)) as server:
        transport = connect(server.url, retry_budget=10)
        attempts = [raised(UnavailableError, transport).attempts for _ in range(50)]
    assert attempts == [4, 4, 4, 2] + [1] * 46
    assert len(server.requests) == 60


def test_get__ten_successes_earn_one_retry(connect):
    with FaultServer(*[reply(BODY)] * 30, reply(b"", 503)) as server:
        transport = connect(server.url, retry_budget=0)
        for _ in range(30):
            transport.get("/x")
        assert [raised(UnavailableError, transport).attempts for _ in range(3)] == [4, 1, 1]


def test_get__budget_holds_across_threads(connect):
    with FaultServer(reply(b"", 503)) as server:
        transport = connect(server.url, retry_budget=10)

        def work():
            for _ in range(10):
                raised(UnavailableError, transport)

        workers = [threading.Thread(target=work) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len(server.requests) == 90


def test_get__a_service_that_takes_calls_and_stays_silent_stops_the_run(connect):
    """Counted over all calls and threads; an answer, even a refusal, starts the count anew."""
    answers = {"/silent": Reply(b"", "hold"), "/gone": reply(b"", 404), "/x": reply(BODY)}
    silent = {"path": "/silent", "deadline": 0.1}
    with FaultServer(lambda request: answers[request.path]) as server:
        transport = connect(server.url, attempts=3, max_silences=4)
        for _ in range(2):
            assert raised(UnavailableError, transport, **silent).attempts == 3
            raised(NotFoundError, transport, "/gone")
            assert raised(UnavailableError, transport, **silent).attempts == 3
            transport.get("/x")
        raised(UnavailableError, transport, **silent)
        error = raised(SilentServiceError, transport, **silent)
    assert (error.code, error.exit_code, error.attempts) == ("silent_service", 5, 1)
    assert str(error).endswith(
        "4 calls in a row were not answered in time; the run stops here and keeps what it fetched: run the same "
        "command again later, it resumes; or raise read_timeout and lower workers in the settings"
    )


def test_get__refused_connection_and_reset_are_retried(connect):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = raised(UnavailableError, connect(f"http://127.0.0.1:{port}"))
    assert "no connection, or it broke (ConnectionRefusedError) (attempt 4)" in str(error)
    with FaultServer(Reply(b"", "reset"), Reply(b"nonsense\r\n\r\n", "close"), reply(BODY)) as server:
        assert connect(server.url).get("/x").body == BODY
    assert len(server.requests) == 3


def test_get__keeps_the_rate(connect):
    waits = Waits()
    with FaultServer(reply(BODY)) as server:
        transport = connect(server.url, waits, requests_per_second=5)
        for _ in range(16):
            transport.get("/x")
    assert 3.0 <= sum(waits.seconds) <= 3.1
    waits = Waits()
    with FaultServer(reply(BODY)) as server:
        transport = connect(server.url, waits, requests_per_second=0.5)
        for _ in range(3):
            transport.get("/x")
    assert 4.0 <= sum(waits.seconds) <= 4.1


# --- TLS


@contextmanager
def listener(handle):
    """Hand each accepted connection to `handle`; yields the port and the list of connections."""
    accepted = []

    def serve(sock):
        while True:
            try:
                accepted.append(sock.accept()[0])
            except OSError:
                return
            with accepted[-1] as connection:
                handle(connection)

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=serve, args=(sock,))
        thread.start()
        yield sock.getsockname()[1], accepted
        sock.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A server's TLS context that nobody trusts, and its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]), datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = dated.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    certificate_file.write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return context, certificate_file


def test_get__tls_with_a_stranger_fails_at_once(connect, certified):
    context, _ = certified

    def handshake(connection):
        with suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    with listener(handshake) as (port, accepted):
        error = raised(UnavailableError, connect(f"https://127.0.0.1:{port}"))
    assert "the TLS certificate or handshake was not accepted (SSLCertVerificationError)" in str(error)
    assert (error.attempts, len(accepted)) == (1, 1)


def test_get__tls_with_an_authority_of_ones_own(connect, certified):
    """As behind a proxy that looks into TLS: whom `ca_file` names is trusted, and only for the name it certifies."""
    context, certificate = certified

    def answer(connection):
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(10_000)
            encrypted.sendall(reply(CONTENT).wire)

    with listener(answer) as (port, _):
        assert connect(f"https://127.0.0.1:{port}", ca_file=certificate).get("/reports/x").body == BODY
        error = raised(UnavailableError, connect(f"https://localhost:{port}", ca_file=str(certificate)))
    assert "the TLS certificate or handshake was not accepted (SSLCertVerificationError)" in str(error)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_get__total_deadline_under_tls(connect, certified, framing):
    context, certificate = certified
    wire = reply([0] * 10_000, framing=framing).wire  # more than a minute

    def drip(connection):
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(10_000)
            for start in range(0, len(wire), 100):
                encrypted.sendall(wire[start : start + 100])
                time.sleep(0.2)

    with listener(drip) as (port, _):
        transport = connect(f"https://127.0.0.1:{port}", attempts=1, total_timeout=0.1, ca_file=certificate)
        start = time.monotonic()
        error = raised(UnavailableError, transport)
        assert 0.1 <= time.monotonic() - start < 30
    assert "no complete answer in 0.1 s" in str(error)


def test_get__tls_with_a_plain_server_fails_at_once(connect):
    with listener(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")) as (port, accepted):
        error = raised(UnavailableError, connect(f"https://127.0.0.1:{port}"))
    assert "the TLS certificate or handshake was not accepted (SSLError)" in str(error)
    assert (error.attempts, len(accepted)) == (1, 1)


def test_get__a_cut_handshake_is_tried_again(connect):
    with listener(lambda connection: connection.recv(10_000)) as (port, accepted):
        error = raised(UnavailableError, connect(f"https://127.0.0.1:{port}"))
    assert "no connection, or it broke" in str(error)
    assert (error.attempts, len(accepted)) == (4, 4)


# --- nothing foreign


def foreign():
    for module in (requests.exceptions, urllib3.exceptions):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Exception) and not issubclass(kind, Warning) and kind.__module__ == module.__name__:
                yield pytest.param(kind, id=f"{module.__name__}.{kind.__name__}")


@pytest.mark.parametrize("kind", list(foreign()))
def test_translated__every_foreign_exception(kind):
    error = translated(kind.__new__(kind)).error("host", "/path", 1)
    assert isinstance(error, ApiError)
    assert isinstance(error, XRayError)
    assert str(error).startswith("GET /path at host: ")


def test_translated__retries_what_may_heal():
    exceptions = requests.exceptions
    kinds = {name: translated(getattr(exceptions, name)()) for name in ("ConnectionError", "ReadTimeout", "InvalidURL")}
    assert {name: (failure.kind, failure.retry) for name, failure in kinds.items()} == {
        "ConnectionError": (UnavailableError, True),
        "ReadTimeout": (UnavailableError, True),
        "InvalidURL": (ApiError, False),
    }
    cut = exceptions.SSLError()
    cut.__context__ = ssl.SSLEOFError()
    assert translated(cut).retry
    assert not translated(exceptions.SSLError()).retry
