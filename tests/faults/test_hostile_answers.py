"""One answer never stops the rest: whatever a service sends for one report, the others are committed.

Each answer below is sent for one report, or one list, of a run. It becomes an error of this package that names the
call, or what it says is taken or quarantined; nothing foreign leaves, and a run that did not bring everything says so.
"""

import gzip
import json
import zlib

import pytest

from xray_analytics import Store
from xray_analytics.errors import ApiError, XRayError

from .server import FaultServer, Reply, reply
from .service import BAD, REQUESTS, Service, bank, rating, run

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = json.dumps(bank()).encode()
GZIPPED = gzip.compress(BODY, mtime=0)


def head(*lines, first=b"HTTP/1.1 200 OK"):
    return b"\r\n".join((first, b"Content-Type: application/json", *lines, b"", b""))


def chunked(*chunks):
    return head(b"Transfer-Encoding: chunked") + b"".join(chunks)


def sized(body, *lines):
    return head(b"Content-Length: %d" % len(body), *lines) + body


FIRST_LINES = (
    b"", b"\r\n", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 OK", b"HTTP/1.1 -200 OK", b"HTTP/1.1 0 OK", b"HTTP/1.1 99 OK",
    b"HTTP/1.1 1000 OK", b"HTTP/1.1 20 0", b"HTTP/1.1 \xff\xfe OK", b"HTTP/1.1 200 \xff\x00\xfe", b"HTTP/9.9 200 OK",
    b"HTTP/0.9 200 OK", b"HTTP/-1.1 200 OK", b"ICY 200 OK", b"\x16\x03\x01\x02\x00", b"\x00" * 100, b"A" * 70_000,
    b"HTTP/1.1 200 " + b"A" * 70_000, b"HTTP/1.1 " + b"2" * 5_000 + b" OK", b"HTTP/1.1 2e2 OK",
    "HTTP/1.1 \u0662\u0660\u0660 OK".encode(), b"HTTP/1.1 200 OK\rX", b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 101 Switching",
    b"HTTP/1.1 103 Hints", b"HTTP/1.1 204 None", b"HTTP/1.1 205 Reset", b"HTTP/1.1 206 Part", b"HTTP/1.1 226 IM",
    b"HTTP/1.1 304 Same", b"HTTP/1.1 407 Proxy", b"HTTP/1.1 418 Tea", b"HTTP/1.1 451 Law", b"HTTP/1.1 511 Net",
    b"HTTP/1.1 599 X", b"HTTP/1.1 600 X", b"HTTP/1.1 999 X",
)  # fmt: skip
LINES = (
    b"Content-Length: -1", b"Content-Length: 1e3", b"Content-Length: 0x10", b"Content-Length: " + b"9" * 5_000,
    b"Content-Length: 18446744073709551616", b"Content-Length: 5, 6", b"Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: \u0665".encode(), b"Content-Length: ", b"Content-Length: +5",
    b"Content-Length: 9223372036854775807",
    b"Content-Length: NaN", b"Content-Length: 10\x00", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: \xff",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity", b"Content-Encoding: br",
    b"Content-Encoding: zstd", b"Content-Encoding: gzip", b"Content-Encoding: gzip, gzip",
    b"Content-Encoding: \xff\xfe",
    b"Content-Encoding: deflate", b"Content-Encoding: x" + b"y" * 50_000, b"Content-Encoding: gzip;q=\x00",
    b"Location: http://[", b"Location: //\xff", b"Retry-After: " + b"9" * 500, b"Date: Mon, 99 Foo 99999 99:99:99",
    b"Date: Thu, 01 Jan 99999999999 00:00:00 GMT", b"Date: \xff", b"Set-Cookie: \xff\x00=\x01; expires=\xff",
    b": no name",
    b"no colon", b" continued", b"\xff\xfe: x", b"X: " + b"y" * 70_000, b"X: a\rY: b", b"X\x00: y", b"Connection: \xff",
    b"\r\n".join(b"X-%d: y" % i for i in range(300)), b"Content-Type: \xff",
    b"Content-Type: application/json; charset=\xff",
    b"Content-Type: " + b"a/" * 5_000, b"Keep-Alive: timeout=-1", b"Upgrade: h2c", b"Trailer: X",
    b"Content-Type: multipart/form-data; boundary=\xff",
)  # fmt: skip
CHUNKS = (
    (b"-5\r\n", BODY), (b"-1\r\n\r\n",), (b"\r\n",), (b"zz\r\nx\r\n0\r\n\r\n",), (b"5", BODY[:5]),
    (b" 5 \r\nhello\r\n0\r\n\r\n",),
    (b"+5\r\nhello\r\n0\r\n\r\n",), (b"0x5\r\nhello\r\n0\r\n\r\n",), (b"f" * 40 + b"\r\n", BODY),
    (b"f" * 5_000 + b"\r\nx",),
    (b"5_0\r\n", BODY), (b"\xff\r\nx",), ("\u0665\r\nhello\r\n0\r\n\r\n".encode(),),
    (b"5;" + b"x" * 70_000 + b"\r\nhello\r\n",),
    (b"7fffffffffffffff\r\n", BODY), (b"8000000000000000\r\n", BODY), (b"5\r\nhelloXX0\r\n\r\n",),
    (b"5\r\nhello\r\n-0\r\n\r\n",),
    (b"0\r\n\xff\xfe: \x00\r\n\r\n",), (b"0\r\n" + b"X: y\r\n" * 500 + b"\r\n",), (b"\x00\r\n",), (b"1e1\r\n", BODY),
    (b"5\r\nhello\r\n5\r\n",), (b"%x\r\n" % len(BODY), BODY, b"\r\n0\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"),
    (b"5\rhello\r0\r\r",),
    (b"-" + b"f" * 30 + b"\r\n", BODY),
)  # fmt: skip
ENCODED = {
    "gzip cut": ("gzip", GZIPPED[:-5]), "gzip damaged": ("gzip", GZIPPED[:40] + b"\x00\xff" + GZIPPED[42:]),
    "gzip wrong sum": ("gzip", GZIPPED[:-8] + b"\x00" * 8), "gzip twice": ("gzip", GZIPPED + GZIPPED),
    "gzip with more": ("gzip", GZIPPED + b"more"), "no gzip": ("gzip", BODY), "empty gzip": ("gzip", b""),
    "raw deflate": ("deflate", zlib.compress(BODY)[2:-4]), "no deflate": ("deflate", BODY),
    "gzip head only": ("gzip", GZIPPED[:10]), "gzip bomb": ("gzip", gzip.compress(b" " * 200_000_000, 1)),
    "gzip with a name": ("gzip", GZIPPED[:3] + b"\x08" + GZIPPED[4:10] + b"\xff" * 70_000),
}  # fmt: skip
BODIES = (
    b"", b" ", b"null", b"0", b'""', b"[]", b"{}", b"true", b"NaN", b"{", b'{"report":', b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf",
    b'{"report": {"id": "%s", "\\ud800": 1}}' % BAD.encode(), b'{"report": {"id": "\\ud800"}}',
    b'{"\\udfff": "\\ud800"}',
    b'{"report": {"id": "%s", "raw": 1e999}}' % BAD.encode(), b'{"report": {"id": "%s", "n": %s}}' % (BAD.encode(),
    b"9" * 5_000),
    b'{"report": {"id": 5}}', b'{"report": {"id": null}}', b'{"report": [[]]}', b'{"report": 1, "id": {"a": 1}}',
    b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b'{"report": "\xff"}',
    b'{"report": {"id": "\xed\xa0\x80"}}', b'{"id": "%s"}{"id": "x"}' % BAD.encode(), b'{"report": {"id": 1e400}}',
    b'{"reports": [{"id": "\\ud83d"}]}', b'{"reports": [1, null, "x"]}',
    b'{"reports": [{"id": {}}], "remaining": 1e999}',
    b'{"reports": [], "remaining": %s}' % (b"9" * 5_000),
    b'{"reports": [], "remaining": %s}' % (b"[" * 5_000 + b"]" * 5_000),
    b'{"data": [' + b"[" * 3_000 + b"]" * 3_000 + b"]}", b'{"reports": []' + b', "a": 1' * 20_000 + b"}",
    b'{"data": [], "remaining": -1}', b'{"\xff": []}', b'[{"id": "\xff"}]',
    b'{"report": {"id": "%s", "id": "x"}}' % BAD.encode(),
)  # fmt: skip

ANSWERS = {
    **{f"first {i}": first + b"\r\nContent-Length: 2\r\n\r\n{}" for i, first in enumerate(FIRST_LINES)},
    **{f"line {i}": head(line, b"Content-Length: 2") + b"{}" for i, line in enumerate(LINES)},
    **{f"line {i} alone": head(line) + BODY for i, line in enumerate(LINES)},
    **{f"chunks {i}": chunked(*pieces) for i, pieces in enumerate(CHUNKS)},
    **{name: sized(body, b"Content-Encoding: " + how.encode()) for name, (how, body) in ENCODED.items()},
    **{f"body {i}": sized(body) for i, body in enumerate(BODIES)},
    "both lengths": head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
    "more than said": sized(BODY)[:-1] + b"}" * 50,
    "100 for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
    "endless head": HEAD + b"X: y\r\n" * 20_000,
    "nothing": b"",
    "a byte": b"\xff",
}


def sent(wire):
    return Reply(wire, "close")


class Hostile(Service):
    """A service of many requests with a bank report and a rating each; `answer` says what is hostile."""

    def __init__(self):
        ids = [(f"{n:024x}", f"{n:023x}b", f"{n:023x}f") for n in range(1, len(ANSWERS) + 1)]
        banks, ratings = {b: bank(b, r) for r, b, _ in ids}, {f: rating(f, r) for r, _, f in ids}
        super().__init__(reports=banks | ratings)
        self.wires = {b: wire for (_, b, _), wire in zip(ids, ANSWERS.values(), strict=True)}
        self.bank_of = {r: b for r, b, _ in ids}

    def honest(self, request):
        if request.path == "/requests":
            return {"requests": [{"id": r, "code": {"type": "siren", "id": "514673987"}} for r in self.bank_of]}
        return super().honest(request)


class HostileReports(Hostile):
    def __call__(self, request):
        wire = self.wires.get(request.path.removeprefix("/reports/"))
        return reply(self.honest(request)) if wire is None else sent(wire)


class HostileLists(Hostile):
    def __call__(self, request):
        is_list = request.path == "/reports" and request.query["source"] == "bank_xray"
        return sent(self.wires[self.bank_of[request.query["request"]]]) if is_list else reply(self.honest(request))


@pytest.mark.parametrize("kind", [HostileReports, HostileLists])
def test_sync__a_hostile_answer_stops_no_other(tmp_path, kind, figure):
    n, store, service = len(ANSWERS), Store(tmp_path / "store"), kind()
    limits = {"attempts": 2, "max_body_bytes": 2_000_000, "retry_budget": 10 * n, "paging": False, "workers": 8}
    done = run(service, store, **limits)
    assert done.error is None
    assert store.verify() == []
    published = set(store.snapshot().read("reports", columns=["report_id"])["report_id"])
    assert published >= service.reports.keys() - service.wires.keys()  # every rating: all that was not attacked
    bad = [issue.subject for issue in done.result.issues]
    named = {b for r, b in service.bank_of.items() if any(r in subject or b in subject for subject in bad)}
    silent = service.wires.keys() - named - published
    if kind is HostileReports:
        assert silent == set()  # published or named
        assert done.result.n_published >= 2 * n
    assert len(named) > 100
    assert all(len(issue.message) < 500 and issue.message.isprintable() for issue in done.result.issues)
    assert done.result.n_failed + done.result.n_quarantined == len(bad)  # so that the command ends partial (3)
    what = "a report" if kind is HostileReports else "a list"
    figure(f"hostile answers for {what}", f"{n} sent, {len(named)} named, 0 foreign, {n} of {n} others committed")


def test_sync__of_some_requests_a_hostile_one_stops_no_other(tmp_path):
    for number, name in enumerate(("chunks 0", "first 0", "body 16", "gzip damaged")):
        wire, store = ANSWERS[name], Store(tmp_path / str(number))
        faults = {f"/requests/{REQUESTS[0]}": sent(wire)}
        done = run(Service(faults), store, command={"request_ids": REQUESTS[:3]}, attempts=1)
        assert set(done.issues) == {REQUESTS[0]}, name
        assert (done.result.n_published, done.result.n_failed) == (6, 1)  # two requests with two reports each


CALLS = {
    "get_request": lambda client: client.get_request("6" * 24),
    "get_report": lambda client: client.get_report(BAD).data,
    "list_requests": lambda client: client.list_requests(),
    "list_reports": lambda client: client.list_reports(),
    "download_pdf": lambda client: client.download_pdf("6" * 24),
    "create_request": lambda client: client.create_request("514673987"),
    "list_webhooks": lambda client: client.list_webhooks(),
    "add_webhook": lambda client: client.add_webhook("https://hook.example/"),
}


@pytest.mark.parametrize("call", CALLS)
def test_call__nothing_foreign(connect, call, figure):
    errors = {}
    for name, wire in ANSWERS.items():
        with FaultServer(sent(wire)) as server:
            client = connect(
                server.url,
                attempts=1,
                download_attempts=1,
                max_body_bytes=2_000_000,
                total_timeout=20.0,
                business_id="6" * 24,
                requests_per_second=1e6,
                max_pages=2,
            )
            try:
                CALLS[call](client)
            except XRayError as error:
                errors[name] = error
            client.close()
    figure(f"hostile answers to {call}", f"{len(ANSWERS)} sent, {len(errors)} errors of this package, 0 foreign")
    assert len(errors) > 100
    assert [n for n, error in errors.items() if isinstance(error, ApiError) and not error.path] == []
    assert [n for n, error in errors.items() if "; " not in str(error) or not str(error).isprintable()] == []
