"""Envelopes, paging, ids and many reports at once, over real HTTP against the fault server."""

import copy
import itertools
import logging
import pickle
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from faults.server import FaultServer, Reply, reply

from xray_analytics.api import parallel
from xray_analytics.api.answer import Answer
from xray_analytics.api.client import XRayClient
from xray_analytics.errors import (
    ApiError,
    AuthenticationError,
    IncompleteBody,
    InputError,
    NotFoundError,
    RateLimitError,
    ReportError,
)
from xray_analytics.settings import Settings

TOKEN = "canary-5e55"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
REQUEST = "635107e452436f15d3b39d87"
REPORT = "61baf58cb92353003b888c3d"


def ids(n):
    return [f"{i:024x}" for i in range(n)]


@pytest.fixture
def connect():
    """Build clients that are closed after the test: ``connect(server.url, **settings)``."""
    built = []

    def build(url, **changes):
        settings = Settings(base_url=url, user_id="canary-u5e7", session_token=TOKEN, **changes)
        built.append(XRayClient(settings, sleep=lambda seconds: None, now=lambda: NOW))
        return built[-1]

    yield build
    for client in built:
        client.close()


def until(is_so):
    """Wait for something that must happen, on however busy a machine."""
    ends = time.monotonic() + 100
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.001)


def new_threads(before, name="xray"):
    """Threads of a client that were not there before: a neighbour's may live until it is collected."""
    return [t for t in set(threading.enumerate()) - before if t.name.startswith(name)]


def by_path(request):
    """A service that has every report there is."""
    return reply({"report": {"id": request.path.rpartition("/")[2]}})


# --- one object


@pytest.mark.parametrize("envelope", ['{"request": %s}', "%s", '\ufeff {"request": %s, "more": []}\n'])
def test_get_request__wrapped_or_flat(connect, envelope):
    inner = '{"id": "REQUEST", "code": {"type": "siren", "id": "514673987"}, "rate": 1.10, "big": 1e999}'
    body = (envelope % inner.replace("REQUEST", REQUEST)).encode()
    with FaultServer(reply(body)) as server:
        answer = connect(server.url).get_request(REQUEST)
    assert server.requests[0].path == f"/requests/{REQUEST}"
    assert (answer.kind, answer.id, answer.body) == ("request", REQUEST, body)
    assert (answer.api_version, answer.fetched_at) == ("2024-01-25", NOW)
    assert dict(answer) == {
        "id": REQUEST,
        "code": {"type": "siren", "id": "514673987"},
        "rate": Decimal("1.10"),
        "big": Decimal("1e999"),
    }
    assert (answer["id"], len(answer), answer.get("nothing")) == (REQUEST, 4, None)
    assert answer.data is answer.data


def test_get_request__status_beside_the_envelope(connect):
    content = {"request": {"id": REQUEST, "stage": "1.1"}, "status": "pending_analysis", "stage": "2"}
    with FaultServer(reply(content)) as server:
        answer = connect(server.url).get_request(REQUEST)
    assert answer.data == {"id": REQUEST, "status": "pending_analysis", "stage": "1.1"}


def test_get_request__not_json(connect):
    message = f"^GET /requests/{REQUEST}: the body is not JSON to its end"
    with FaultServer(reply(b'{"request": ')) as server, pytest.raises(ApiError, match=message) as caught:
        connect(server.url).get_request(REQUEST)
    assert (caught.value.code, len(server.requests)) == ("invalid_json", 2)


def test_get_report__its_request_is_an_id_and_no_envelope(connect):
    body = {"id": REPORT, "request": REQUEST, "source": "bank_xray", "raw": {}}
    with FaultServer(reply({"report": body})) as server:
        answer = connect(server.url).get_report(REPORT)
    assert server.requests[0].path == f"/reports/{REPORT}"
    assert answer.data == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"report": {"id": "61baf58cb92353003b888c3d", "score": NaN}}',
        b'{"report": {"id": "61baf58cb92353003b888c3d", "raw": {"a',
        b'{"report": {"id": "61baf58cb92353003b888c3d", "label": "\xff"}}',
        b'{"report": {"id": "%s"}}' % (b"9" * 24) + b"{}",
        b"[" * 100_000,
    ],
)
def test_get_report__what_cannot_be_read_is_kept_as_evidence(connect, body):
    with FaultServer(reply(body)) as server:
        answer = connect(server.url).get_report(REPORT)
    assert (answer.body, answer.id, len(server.requests)) == (body, REPORT, 2)
    with pytest.raises(ReportError, match=f"^report {REPORT} is not a JSON object") as caught:
        answer["id"]
    assert (caught.value.code, caught.value.report_id) == ("invalid_json", REPORT)


def test_get_report__odd_content_is_not_judged(connect):
    body = b'{"report": {"id": "%s", "id": "%s", "raw": 5, "n": 1, "n": 2}}' % ((REPORT.encode(),) * 2)
    with FaultServer(reply(body)) as server:
        answer = connect(server.url).get_report(REPORT)
    assert (answer.body, answer["n"], len(server.requests)) == (body, 2, 1)


@pytest.mark.parametrize(
    "content", [{"report": {"id": REQUEST}}, {"id": REQUEST}, {"report": {}}, {"report": {"id": 5}}, {"error": "x"}, []]
)
def test_get_report__another_or_no_id(connect, content):
    message = "the answer is not the report asked for"
    with FaultServer(reply(content)) as server, pytest.raises(ApiError, match=message) as caught:
        connect(server.url).get_report(REPORT)
    assert (caught.value.code, caught.value.report_id, len(server.requests)) == ("wrong_id", REPORT, 1)


def test_get_report__errors_name_the_report(connect):
    with FaultServer(reply(b"", 404)) as server, pytest.raises(NotFoundError) as caught:
        connect(server.url).get_report(REPORT)
    assert (caught.value.report_id, caught.value.path) == (REPORT, f"/reports/{REPORT}")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "..",
        REPORT + "\n",
        REPORT.upper(),
        REPORT + "/download",
        "٣" * 24,
        REPORT[:-1],
        "a" * 65,
        "a b",
        None,
        7,
        "a?b",
    ],
)
@pytest.mark.parametrize("pattern", ["[0-9a-f]{24}", ".*"])
def test_ids__are_checked_before_they_reach_a_url(connect, bad, pattern):
    allowed = pattern == ".*" and bad in (REPORT.upper(), REPORT[:-1])
    with FaultServer(by_path) as server:
        client = connect(server.url, id_pattern=pattern)
        if allowed:
            assert client.get_report(bad)["id"] == bad
        else:
            for call in (client.get_report, client.get_request, lambda x: list(client.get_reports([x]))):
                with pytest.raises(InputError, match="was not sent") as caught:
                    call(bad)
                assert bad in ("", None, 7, "..") or str(bad) not in str(caught.value)
    assert len(server.requests) == allowed


# --- secrets


def test_client__neither_prints_nor_pickles_a_secret(connect):
    client = connect("http://127.0.0.1:9")
    assert repr(client) == "XRayClient(host='127.0.0.1:9')"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            attempt(client)
    assert TOKEN not in repr(vars(client))


def test_answer__shows_no_content_and_travels():
    answer = Answer("report", REPORT, b'{"iban": "FR76"}', "2024-01-25", NOW)
    assert repr(answer) == f"<Answer: report {REPORT}, 16 bytes>"
    assert pickle.loads(pickle.dumps(answer)) == answer


def test_client__from_the_environment(monkeypatch):
    with pytest.raises(InputError, match="XRAY_USER_ID and XRAY_SESSION_TOKEN not set"):
        XRayClient()
    monkeypatch.setenv("XRAY_USER_ID", "u")
    monkeypatch.setenv("XRAY_SESSION_TOKEN", "t")
    with XRayClient() as client:
        assert repr(client) == "XRayClient(host='api.lending.soprafinancing.io')"


def test_client__warns_once_of_a_clock_far_off(connect, caplog):
    for date, n in (("Sat, 31 Jan 2026 12:04:59 GMT", 0), ("Sat, 31 Jan 2026 11:54:00 GMT", 1), ("nonsense", 0)):
        with (
            FaultServer(reply([], headers={"Date": date})) as server,
            caplog.at_level(logging.WARNING),
        ):
            client = connect(server.url)
            client.list_requests()
            client.list_requests()
        assert [record.getMessage().startswith("the clock of 127.0.0.1") for record in caplog.records] == [True] * n
        caplog.clear()


# --- lists


@pytest.mark.parametrize("envelope", ["%s", ' {"reports": %s }', '{"data" : %s, "x": NaX}', '\ufeff{"data": %s}'])
def test_list_reports__envelopes_and_exact_bytes(connect, envelope):
    elements = [f'{{"id" :"{ids(2)[0]}",  "n": 1.50}}', f'{{"report":{{"id":"{ids(2)[1]}"}}}}']
    body = (envelope % f"[ {elements[0]} ,\n{elements[1]}]").replace("NaX", "1").encode()
    with FaultServer(reply(body)) as server:
        answers = connect(server.url, paging=False).list_reports()
    assert [answer.body.decode() for answer in answers] == elements
    assert [answer.id for answer in answers] == [answer["id"] for answer in answers] == ids(2)
    assert (len(server.requests), server.requests[0].query) == (1, {})


@pytest.mark.parametrize(
    ("content", "code", "named"),
    [
        ({"items": [], "total": 3}, "invalid_list", "members: items, total"),
        ({"data": {"reports": []}}, "invalid_list", "members: data"),
        ({"requests": []}, "invalid_list", "members: requests"),
        ({"café\n": 1}, "invalid_list", r"members: caf\?\?"),
        ({}, "invalid_list", "members: none"),
        (5, "invalid_list", "members: none"),
        ([{"id": REPORT}, {"name": "x"}], "invalid_list", "element 1 has no id"),
        ([{"id": "../x"}], "invalid_list", "element 0 has no id of the form"),
        (["x"], "invalid_list", "element 0 has no id"),
        (b'[{"id": NaN}]', "invalid_json", "not JSON to its end"),
    ],
)
def test_list_reports__anything_else_is_named(connect, content, code, named):
    with FaultServer(reply(content)) as server, pytest.raises(ApiError, match=named) as caught:
        connect(server.url).list_reports()
    assert caught.value.code == code
    assert str(caught.value).startswith("GET /reports: ")


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({"product": "bank"}, {"source": "bank_xray"}),
        ({"product": "financial", "request_id": REQUEST}, {"source": "magpie", "request": REQUEST}),
        ({"source": "esg"}, {"source": "esg"}),
        ({"request_id": REQUEST}, {"request": REQUEST}),
        ({}, {}),
    ],
)
def test_list_reports__filters(connect, arguments, query):
    with FaultServer(reply([])) as server:
        assert connect(server.url).list_reports(**arguments) == []
    assert server.requests[0].query == {"limit": "100", "offset": "0"} | query


def test_list_reports__questions_that_cannot_be_asked(connect):
    client = connect("http://127.0.0.1:9")
    with pytest.raises(InputError, match="unknown product 'doc'; there are bank, esg, financial"):
        client.list_reports(product="doc")
    with pytest.raises(InputError, match="product or source, not both"):
        client.list_reports(product="bank", source="bank_xray")
    with pytest.raises(InputError, match="was not sent"):
        client.list_reports(request_id="../requests")


def paged(listed, *, cap=1000, with_remaining=False):
    """A service that pages over ``listed(offset)`` and never sends more than `cap` elements at once."""

    def answer(request):
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        everything = listed(offset)
        page = everything[offset : offset + min(limit, cap)]
        content = {"requests": [{"id": x} for x in page]}
        if with_remaining:
            content["remaining"] = max(len(everything) - offset - len(page), 0)
        return reply(content)

    return answer


@pytest.mark.parametrize(
    ("n", "options", "n_calls"),
    [
        (0, {}, 1),
        (5, {}, 2),
        (10, {}, 2),
        (25, {}, 4),
        (25, {"cap": 4}, 8),  # the service may send less than asked for
        (25, {"with_remaining": True}, 3),
        (20, {"with_remaining": True}, 2),
    ],
)
def test_list_requests__pages(connect, n, options, n_calls):
    with FaultServer(paged(lambda offset: ids(n), **options)) as server:
        answers = connect(server.url, page_size=10).list_requests()
    assert [answer.id for answer in answers] == ids(n)
    assert len(server.requests) == n_calls


def test_list_requests__names_of_the_paging_parameters(connect):
    with FaultServer(reply([])) as server:
        connect(server.url, page_limit_name="size", page_offset_name="from", page_size=7).list_requests()
    assert server.requests[0].query == {"size": "7", "from": "0"}


def test_list_requests__shifting_while_paging(connect):
    """One request more at the head of the list with every page: what was there at the start is all found, once."""
    growth = itertools.count()

    def growing(offset):
        return [f"{'f' * 20}{i:04x}" for i in range(next(growth))][::-1] + ids(25)

    with FaultServer(paged(growing)) as server:
        grown = connect(server.url, page_size=10).list_requests()
    assert {answer.id for answer in grown} >= set(ids(25))
    assert len({answer.id for answer in grown}) == len(grown)


def test_list_requests__overlap_and_disorder(connect):
    pages = [ids(10), ids(15)[:4:-1], ids(20)[12:][::-1], []]
    with FaultServer(*[reply([{"id": x} for x in page]) for page in pages]) as server:
        answers = connect(server.url, page_size=10).list_requests()
    assert sorted(answer.id for answer in answers) == ids(20)
    assert len(answers) == 20


def test_list_requests__the_same_page_for_ever(connect):
    with FaultServer(reply([{"id": x} for x in ids(10)])) as server:
        answers = connect(server.url, page_size=10).list_requests()
    assert [answer.id for answer in answers] == ids(10)
    assert len(server.requests) == 2


def test_list_requests__endless(connect):
    def answer(request):
        return reply([{"id": f"{int(request.query['offset']):024x}"}])

    message = r"goes on after 9 pages \(max_pages\)"
    with FaultServer(answer) as server, pytest.raises(ApiError, match=message) as caught:
        connect(server.url, max_pages=9).list_requests()
    assert (caught.value.code, len(server.requests)) == ("endless_list", 9)


def test_list_requests__a_failing_page_fails_the_list(connect):
    whole = reply([{"id": x} for x in ids(10)])
    with FaultServer(whole, reply(b"", 404)) as server, pytest.raises(NotFoundError):
        connect(server.url, page_size=10).list_requests()


# --- many at once


def test_get_reports__one_failure_stops_no_other(connect):
    gone, cut, other, unreadable = ids(40)[3], ids(40)[11], ids(40)[17], ids(40)[23]

    def answer(request):
        asked = request.path.rpartition("/")[2]
        whole = reply({"report": {"id": asked}})
        return {
            gone: reply({"error": "gone"}, 410),
            cut: whole.cut(len(whole.wire) - 1),
            other: reply({"report": {"id": REPORT}}),
            unreadable: reply(b'{"report": NaN}'),
        }.get(asked, whole)

    with FaultServer(answer) as server:
        results = dict(connect(server.url, workers=4).get_reports(ids(40)))
    assert sorted(results) == ids(40)
    errors = {key: (type(x), x.code, x.report_id) for key, x in results.items() if isinstance(x, ApiError)}
    assert errors == {
        gone: (NotFoundError, "not_found", gone),
        cut: (IncompleteBody, "incomplete_body", cut),
        other: (ApiError, "wrong_id", other),
    }
    assert results[unreadable].body == b'{"report": NaN}'
    assert all(x.id == key for key, x in results.items() if isinstance(x, Answer))
    assert server.n_connections <= 4 + 4  # one per worker, and one more after each of the four cuts


def test_get_reports__in_order_of_arrival(connect):
    slow, arrived, others_are_here = ids(3)[0], [], threading.Event()

    def answer(request):
        assert not request.path.endswith(slow) or others_are_here.wait(100)
        return by_path(request)

    with FaultServer(answer) as server:
        for key, _ in connect(server.url, workers=3).get_reports(ids(3)):
            arrived.append(key)
            if len(arrived) == 2:
                others_are_here.set()
    assert arrived[-1] == slow


def endless(taken):
    for i in itertools.count():
        taken.append(i)
        yield f"{i:024x}"


@pytest.mark.parametrize(("many", "times"), [("fan_out", 2), ("get_reports", 8)])
def test_fan_out__never_far_ahead_of_its_consumer(connect, many, times):
    taken, most = [], 3 * times - 1

    with FaultServer(by_path) as server:
        client = connect(server.url, workers=3)
        items = endless(taken)
        results = client.fan_out(client.get_report, items) if many == "fan_out" else client.get_reports(items)
        assert taken == []
        for consumed in range(1, 30):
            next(results)
            assert len(taken) <= consumed + most
        until(lambda: len(server.requests) == len(taken))
        results.close()
        time.sleep(0.05)
        assert len(server.requests) == len(taken) == 29 + most


def test_get_reports__what_waits_for_the_consumer_weighs_little(connect, monkeypatch):
    """Where every report is as large as all that may wait, those under way are the last until one is consumed."""
    monkeypatch.setattr(parallel, "ROOM_BYTES", 1)
    with FaultServer(by_path) as server:
        results = connect(server.url, workers=3).get_reports(endless([]))
        for consumed in range(1, 5):
            next(results)
            time.sleep(0.05)
            assert len(server.requests) <= consumed + 3
        results.close()


def test_get_reports__after_a_refusal_nothing_begins_even_while_the_consumer_is_busy(connect):
    def answer(request):
        if request.path.endswith("3"):
            return reply(b"", 429, {"Retry-After": "999999"})
        if request.path.endswith("4"):
            time.sleep(0.5)  # so that the refusal is there before the other worker could begin once more
        return by_path(request)

    with FaultServer(answer) as server:
        results = connect(server.url, workers=2).get_reports(ids(100))
        next(results)
        until(lambda: len(server.requests) >= 4)
        time.sleep(0.8)
        assert len(server.requests) <= 5  # the other worker was under way
        with pytest.raises(RateLimitError):
            list(results)


def test_fan_out__what_has_not_begun_never_begins(connect):
    begun, release, before = [], threading.Event(), set(threading.enumerate())

    def work(item):
        begun.append(item)
        return item == 0 or release.wait(100)

    client = connect("http://127.0.0.1:9", workers=2)
    results = client.fan_out(work, itertools.count())
    assert next(results) == (0, True)
    results.close()
    release.set()
    until(lambda: not new_threads(before))
    assert set(begun) <= {0, 1, 2}  # the fourth of the look-ahead waited for a thread


def test_get_reports__a_401_stops_everything(connect):
    before = set(threading.enumerate())

    def answer(request):
        """401 for the 20th; those after it are answered only once the client has heard of that."""
        number = int(request.path.rpartition("/")[2], 16)
        if number > 19:
            until(lambda: client._transport._refused)
        return reply(b"", 401) if number == 19 else by_path(request)

    with FaultServer(answer) as server:
        client = connect(server.url, workers=4)
        with pytest.raises(AuthenticationError):
            list(client.get_reports(ids(1000)))
        until(lambda: not new_threads(before, "xray_"))  # what was about to be sent is sent
        n = len(server.requests)
        assert n <= 20 + 3
        with pytest.raises(AuthenticationError):
            client.list_requests()
        assert len(server.requests) == n


def test_get_reports__a_refusal_of_all_calls_stops_everything(connect):
    with FaultServer(reply(b"", 429, {"Retry-After": "999999"})) as server, pytest.raises(RateLimitError):
        list(connect(server.url, workers=2).get_reports(ids(1000)))
    assert len(server.requests) <= 4


def test_get_reports__an_interrupt_stops_promptly():
    patience = {"read_timeout": 1000.0, "total_timeout": 1000.0}
    before = set(threading.enumerate())
    with FaultServer(Reply(b"", "hold")) as server:
        settings = Settings(base_url=server.url, user_id="u", session_token="t", workers=4, **patience)

        def work(client, report_id):
            if report_id != ids(4)[3]:
                return client.get_report(report_id)
            while len(server.requests) < 3:
                time.sleep(0.002)
            raise KeyboardInterrupt

        def run():
            with XRayClient(settings) as client:
                return list(client.fan_out(lambda report_id: work(client, report_id), ids(100)))

        with pytest.raises(KeyboardInterrupt):
            run()
        until(lambda: not new_threads(before))
    assert len(server.requests) <= 4


def test_fan_out__lists_of_many_requests(connect):
    def answer(request):
        asked = request.query["request"]
        return reply(b"", 403) if asked == ids(9)[4] else reply([{"id": asked[::-1]}])

    with FaultServer(answer) as server:
        client = connect(server.url, workers=4, paging=False)
        results = dict(client.fan_out(lambda x: client.list_reports(request_id=x), ids(9)))
    assert sorted(results) == ids(9)
    assert results[ids(9)[4]].code == "permission_denied"
    assert [answer.id for answer in results[ids(9)[5]]] == [ids(9)[5][::-1]]


def test_calls__what_a_result_asks_for_is_called_while_the_consumer_is_busy():
    called, leaves = [], threading.Event()

    def work(item):
        called.append(item)
        if called.count("leaf") == 6:
            leaves.set()
        return item

    with parallel.Calls(work, 2, lambda item, result: ["leaf"] * 3 if item == "branch" else []) as calls:
        calls.add(["branch", "branch"])
        results = iter(calls)
        found = [next(results)]
        assert leaves.wait(60), called  # nothing was consumed meanwhile
        found += results
    assert sorted(found) == [("branch", "branch")] * 2 + [("leaf", "leaf")] * 6
    assert sorted(called) == ["branch"] * 2 + ["leaf"] * 6


def test_calls__a_bug_in_what_a_result_asks_for_is_not_hidden():
    with parallel.Calls(lambda item: item, 2, lambda item, result: 1 // 0) as calls:
        calls.add([1])
        with pytest.raises(ZeroDivisionError):
            list(calls)


def test_fan_out__nothing_to_do_and_a_bug_is_not_hidden(connect):
    client = connect("http://127.0.0.1:9", workers=2)
    assert list(client.fan_out(client.get_report, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(client.fan_out(lambda x: 1 / x, [1, 0]))


def test_get_reports__threads_overlap_the_waiting(connect):
    together = threading.Barrier(16)

    def answer(request):
        together.wait(60)  # no call is answered before fifteen others are under way
        return by_path(request)

    with FaultServer(answer) as server:
        results = dict(connect(server.url, workers=16).get_reports(ids(32)))
    assert [key for key, result in results.items() if isinstance(result, ApiError)] == []
    assert (len(results), len(server.requests)) == (32, 32)
