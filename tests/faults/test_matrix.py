"""The network lines of the fault matrix, each against the whole of `sync`: fault, invariants, heal, same store.

What a fault means for one call is proved in `test_transport`; here it is what it means for a store.
"""

import gzip
import json
import socket
import threading
import time

import pytest

from xray_analytics import Settings, Store
from xray_analytics.errors import (
    AuthenticationError,
    IncompleteBody,
    InputError,
    PermissionDenied,
    RateLimitError,
    RedirectRefused,
    SilentServiceError,
    UnavailableError,
)

from .server import FaultServer, Reply, reply
from .service import (
    BAD,
    BANKS,
    FIRST_TRIES,
    LABEL,
    PATH,
    RATINGS,
    REQUESTS,
    RETRY,
    Service,
    bank,
    play,
    rating,
    recovered,
    run,
)

PATHS = [f"/reports/{i}" for i in BANKS]


def failed(played, code, n=1):
    """One bad report, or n, failed by this code, and all others were published (I4)."""
    done = played.faulty
    assert done.issues == dict.fromkeys(BANKS[:n] if n > 1 else [BAD], code)
    assert (done.result.n_published, done.result.n_failed, done.result.n_quarantined) == (12 - n, n, 0)
    assert done.result.is_partial
    return done


def quarantined(played, code, path=None):
    """The one bad report is in quarantine with a code and a path, and all others were published (I4)."""
    done = played.faulty
    assert done.issues == {BAD: code}
    assert (done.result.n_published, done.result.n_failed, done.result.n_quarantined) == (11, 0, 1)
    issue = done.result.issues[0]
    assert issue.json_path == path if path else issue.json_path.startswith("$")
    kept = played.store.snapshot().read("quarantine")
    assert kept[["object_id", "code"]].to_numpy().tolist() == [[BAD, code]]
    return done


def published(played):
    """What each run published."""
    return played.store.snapshot().read("runs").sort_values("commit")["n_published"].tolist()


def test_n01__nobody_listens(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    played = play(tmp_path, {}, base_url=url)
    assert type(played.faulty.error) is UnavailableError
    assert (played.faulty.error.exit_code, played.faulty.error.attempts) == (5, 4)
    assert 0 < played.faulty.waited <= 0.5 + 1 + 2


def test_n02__no_answer_in_time(tmp_path):
    seen, start = [], time.monotonic()
    silent = lambda request: seen.append(request) or Reply(b"", "hold")  # noqa: E731
    failed(play(tmp_path, {PATH: silent}, read_timeout=1.5, attempts=2), "unavailable")
    assert 0 < len(seen) <= 2
    assert time.monotonic() - start < 100


def test_n02__a_service_that_takes_calls_and_stays_silent_stops_the_run_and_it_resumes(tmp_path):
    """From the fifth report on it says nothing: four are committed, and the next run fetches the others."""
    silent = Reply(b"", "hold")
    last = [f"/reports/{i}" for i in (*BANKS[2:], *RATINGS[2:])]
    options = {"workers": 1, "read_timeout": 2.0, "attempts": 2, "max_silences": 2}
    played = play(tmp_path, dict.fromkeys(last, silent), **options)
    error = played.faulty.error
    assert (type(error), error.exit_code) == (SilentServiceError, 5)
    assert "2 calls in a row were not answered in time (attempt 2); the run stops here and keeps what it" in str(error)
    assert published(played) == [8, 4]


def test_n02__silent_from_the_lists_on(tmp_path):
    played = play(tmp_path, {"/reports": Reply(b"", "hold")}, workers=2, read_timeout=3.0, max_silences=2)
    assert type(played.faulty.error) is SilentServiceError
    assert published(played) == [4, 8]  # the requests had come


def test_n02__one_slow_list_holds_up_no_report(tmp_path):
    """The last list is answered only after every report of the others was asked for."""
    others = [f"/reports/{i}" for i in (*BANKS[:-1], *RATINGS[:-1])]
    asked, all_asked = set(), threading.Event()

    def report(request):
        asked.add(request.path)
        if len(asked) == len(others):
            all_asked.set()
        return reply(service.honest(request))

    def listing(request):
        assert request.query["request"] != REQUESTS[-1] or all_asked.wait(100)
        return reply(service.honest(request))

    service = Service({"/reports": listing, **dict.fromkeys(others, report)})
    told = []
    done = run(
        service,
        Store(tmp_path / "store"),
        command={"progress": lambda *said: told.append(said)},
        read_timeout=60.0,
    )
    assert (done.result.n_listed, done.result.n_published) == (8, 12)
    assert ("lists", 8, 8) in told
    assert told[-1] == ("reports", 8, 8)


@pytest.mark.parametrize(("framing", "then"), [("length", "reset"), ("chunked", "close")])
def test_n04__reset_in_the_middle_of_a_body(tmp_path, framing, then):
    whole = reply(bank(), framing=framing)
    cut = whole.cut(len(whole.wire) // 2, then)
    recovered(play(tmp_path, {PATH: [cut, cut]}), n_more=2)


def test_n04__cut_for_ever(tmp_path):
    whole = reply(bank(), framing="chunked")
    done = failed(play(tmp_path, {PATH: whole.cut(len(whole.wire) - 8)}), "incomplete_body")
    assert done.n_calls == FIRST_TRIES + 3


def test_n04__a_cut_list_is_not_a_shorter_list(tmp_path):
    whole = reply({"reports": [{"id": BAD}], "remaining": 0})
    played = play(tmp_path, {"/reports": whole.cut(len(whole.wire) - 5)}, retry_budget=0)
    assert played.faulty.result.n_listed == 0
    assert played.faulty.result.n_failed == 2 * len(REQUESTS)
    assert set(played.faulty.issues.values()) == {"incomplete_body"}


def test_n04__a_cut_list_of_requests_stops_the_run(tmp_path):
    played = play(tmp_path, {"/requests": reply({"requests": []}).cut(90)})
    assert type(played.faulty.error) is IncompleteBody
    assert played.faulty.error.exit_code == 5


def test_n05__a_compressed_stream_ends_early(tmp_path):
    body = gzip.compress(json.dumps(bank()).encode(), mtime=0)[:-20]
    cuts = {f: reply(body, headers={"Content-Encoding": "gzip"}, framing=f) for f in ("length", "chunked", "close")}
    faults = {path: [cut] for path, cut in zip(PATHS, cuts.values(), strict=False)}
    recovered(play(tmp_path, faults), n_more=3)


def test_n06__a_body_that_ends_with_its_connection(tmp_path):
    whole = reply(bank(), framing="close")
    recovered(play(tmp_path, {PATH: [whole.cut(len(whole.wire) - 1), whole]}), n_more=1)


def test_n07__complete_but_not_json(tmp_path):
    body = json.dumps(bank()).encode()[:-9]
    played = play(tmp_path, {PATH: reply(body)}, healing=RETRY)
    assert quarantined(played, "invalid_json").n_calls == FIRST_TRIES + 1  # once more: perhaps it was cut elsewhere
    assert played.store.snapshot().read("quarantine")["body"].tolist() == [body]


def test_n07__a_byte_order_mark_is_tolerated(tmp_path):
    store = Store(tmp_path / "store")
    done = run(Service({PATH: reply(b"\xef\xbb\xbf" + json.dumps(bank()).encode())}), store)
    assert (done.result.n_published, done.issues, done.n_calls) == (12, {}, FIRST_TRIES)


def test_n08__retry_after_is_waited_for(tmp_path):
    played = play(tmp_path, {PATH: [reply({}, 429, {"Retry-After": "100"})]}, workers=1)
    recovered(played)
    assert 100 <= played.faulty.waited < 101


def test_n08__a_wait_beyond_the_run_stops_it_and_keeps_what_arrived(tmp_path):
    last = RATINGS[-1]
    later = reply({}, 429, {"Retry-After": "999999"})
    played = play(tmp_path, {f"/reports/{last}": later}, workers=1)
    error = played.faulty.error
    assert (type(error), error.exit_code, error.report_id, error.code) == (RateLimitError, 5, last, "rate_limited")
    assert "run the same command again later, it resumes where it stopped" in str(error)
    assert played.faulty.n_calls == FIRST_TRIES
    assert played.faulty.waited == 0
    assert published(played) == [11, 1]  # the second run fetched one report, not eight


def test_n08__a_service_that_allows_few_calls_a_second_is_synced_all_the_same(tmp_path):
    """After every twenty calls it takes none for a second."""
    reports, lock, state = many(60), threading.Lock(), {"taken": 0, "opens": 0.0}
    service = Service({}, reports)

    def limited(request):
        with lock:
            is_over = time.monotonic() < state["opens"]
            if not is_over and state["taken"] == 20:
                state.update(taken=0, opens=time.monotonic() + 1)
                is_over = True
            state["taken"] += not is_over
        return reply({}, 429, {"Retry-After": "1"}) if is_over else service(request)

    store = Store(tmp_path / "store")
    done = run(limited, store, workers=16, retry_budget=0, real_time=True)
    assert (done.result.n_published, done.issues) == (60 + len(REQUESTS), {})
    assert 69 + 3 <= done.n_calls <= 69 + 3 * 16


def test_n09__malformed_retry_after_is_own_backoff(tmp_path):
    values = ["soon", "-5", "Wed, 99 Foo 2026 07:28:00 GMT", ""]
    faults = {p: [reply({}, 429, {"Retry-After": value})] for p, value in zip(PATHS, values, strict=True)}
    played = play(tmp_path, faults)
    recovered(played, n_more=4)
    assert played.faulty.waited <= 4 * 0.5


def test_n10__some_reports_fail_for_ever(tmp_path):
    faults = {path: reply({}, status) for path, status in zip(PATHS, (500, 502, 503, 504), strict=True)}
    assert failed(play(tmp_path, faults, retry_budget=12), "unavailable", n=4).n_calls == FIRST_TRIES + 12


def many(n):
    """A service with so many reports of one request."""
    ids = [f"61baf5{i:06x}53003b888c3d" for i in range(n)]
    return {i: rating(i, REQUESTS[0]) for i in ids}


def test_n10__a_storm_costs_first_tries_plus_budget_and_loses_nothing(tmp_path):
    reports = many(200)
    down = dict.fromkeys((f"/reports/{i}" for i in reports), reply({}, 503))
    store, clean = Store(tmp_path / "store"), Store(tmp_path / "clean")
    done = run(Service(down, reports), store)
    n_lists = 1 + 2 * len(REQUESTS)
    assert done.n_calls <= n_lists + 200 + 10 + n_lists // 10
    assert done.waited < 60
    assert (done.result.n_listed, done.result.n_failed, done.result.n_published) == (200, 200, len(REQUESTS))
    assert done.result.is_partial  # exit code 3: the requests are in, no report is
    assert set(done.issues.values()) == {"unavailable"}
    assert set(done.issues) == set(reports)
    again = run(Service({}, reports), store)
    assert (again.result.n_published, again.issues) == (200, {})
    run(Service({}, reports), clean)
    assert store.content_digest() == clean.content_digest()
    settled = run(Service({}, reports), store)
    assert (settled.n_calls, settled.result.commits) == (1, ())  # and then all is settled: the list of requests only


def test_n10__down_from_the_start_is_unavailable(tmp_path):
    played = play(tmp_path, {"/requests": reply({}, 503)})
    assert (type(played.faulty.error), played.faulty.error.exit_code) == (UnavailableError, 5)
    assert played.faulty.n_calls == 4


def test_n10__lists_fail_and_nothing_counts_as_listed(tmp_path):
    played = play(tmp_path, {"/reports": reply({}, 500)})
    assert played.faulty.n_calls <= 1 + 8 + 10
    assert played.faulty.result.n_failed == 8
    assert {s.split()[0] for s in played.faulty.issues} == {"bank_xray", "magpie"}


def test_n11__may_be_tried_again(tmp_path):
    recovered(play(tmp_path, {PATHS[0]: [reply({}, 408)], PATHS[1]: [reply({}, 425)]}), n_more=2)


def test_n11__a_conflict_is_final(tmp_path):
    assert failed(play(tmp_path, {PATH: reply({}, 409)}), "api_error").n_calls == FIRST_TRIES


def test_n12__401_at_once_stops_at_once(tmp_path):
    played = play(tmp_path, {"/requests": reply({"error": TOKEN_WORDS}, 401)})
    assert (type(played.faulty.error), played.faulty.error.exit_code) == (AuthenticationError, 4)
    assert "userId, sessionToken and October-Version" in str(played.faulty.error)
    assert played.faulty.n_calls == 1


TOKEN_WORDS = f"no user {LABEL.lower()}"


def test_n12__401_half_way_keeps_what_arrived(tmp_path):
    played = play(tmp_path, {f"/reports/{RATINGS[-1]}": reply({}, 401)}, workers=1)
    assert type(played.faulty.error) is AuthenticationError
    assert played.faulty.n_calls == FIRST_TRIES
    assert published(played) == [11, 1]


def test_n12__403_on_requests_stops_and_on_a_product_is_one_issue(tmp_path):
    played = play(tmp_path, {"/requests": reply({}, 403)})
    assert (type(played.faulty.error), played.faulty.n_calls) == (PermissionDenied, 1)


def test_n12__403_on_a_product_is_one_issue_and_the_other_goes_on(tmp_path):
    service = Service()
    honest = lambda request: reply(service.honest(request))  # noqa: E731
    forbidden = lambda request: reply({}, 403) if request.query["source"] == "bank_xray" else honest(request)  # noqa: E731
    done = play(tmp_path, {"/reports": forbidden}).faulty
    assert done.issues == {"bank_xray": "permission_denied"}
    assert done.result.n_published == len(REQUESTS) + len(RATINGS)


def test_n12__a_product_that_is_forbidden_is_not_asked_for_again(tmp_path):
    """Of 300 requests: the calls that were under way when the first 403 came, and no more."""
    service, asked = Service(), []
    requests = [{"id": f"61b1aaa{i:017x}", "code": {"type": "siren", "id": "514673987"}} for i in range(300)]

    def answer(request):
        if request.path == "/requests":
            return reply({"requests": requests, "remaining": 0})
        if request.query.get("source") == "bank_xray":
            asked.append(request)
            return reply({}, 403)
        return reply(service.honest(request))

    done = run(answer, Store(tmp_path / "store"), workers=4)
    assert done.issues == {"bank_xray": "permission_denied"}
    assert (done.result.n_published, done.result.n_failed) == (300, 0)
    assert 0 < len(asked) <= 2 * 4


def test_n13__withdrawn_upstream_is_kept_here(tmp_path):
    store = Store(tmp_path / "store")
    run(Service(), store)
    digest = store.content_digest()
    faults = {PATHS[0]: reply({}, 404), PATHS[1]: reply({}, 410)}
    gone = run(Service(faults), store, command={"full": True, "recheck": True})
    assert gone.issues == dict.fromkeys(BANKS[:2], "withdrawn")
    assert (gone.result.n_withdrawn, gone.result.n_failed, gone.result.n_published) == (2, 0, 0)
    assert store.content_digest() == digest


def test_n13__listed_and_not_there_is_tried_again(tmp_path):
    failed(play(tmp_path, {PATH: reply({}, 404)}), "not_found")


def test_n14__one_byte_at_a_time_meets_the_deadline(tmp_path):
    seen, start = [], time.monotonic()
    whole = reply(bank()).drip(0.1)  # three minutes
    drip = lambda request: seen.append(request) or whole  # noqa: E731
    failed(play(tmp_path, {PATH: drip}, total_timeout=1.5, attempts=2), "unavailable")
    assert 0 < len(seen) <= 2
    assert time.monotonic() - start < 100


@pytest.mark.parametrize("path", ["/requests", "/reports", PATH])
def test_n15__no_request_reaches_the_second_host(tmp_path, path):
    with FaultServer(reply({})) as second:
        redirect = reply({}, 302, {"Location": f"{second.url}/x?token=1"})
        done = play(tmp_path, {path: redirect}).faulty
        assert (second.n_connections, second.requests) == (0, [])
    if path == "/requests":
        assert type(done.error) is RedirectRefused
    else:
        assert set(done.issues.values()) == {"redirect_refused"}


def test_n16__plain_http_elsewhere_is_refused_and_a_plain_server_is_no_tls(tmp_path):
    with pytest.raises(InputError, match="https is required"):
        Settings(base_url="http://service.invalid", user_id="u", session_token="t")
    with FaultServer(reply({})) as server:
        url = server.url.replace("http:", "https:")
        played = play(tmp_path, {}, base_url=url, connect_timeout=0.1, read_timeout=0.1, attempts=1)
        assert (server.n_connections, server.requests) == (1, [])  # it saw no readable byte
    assert type(played.faulty.error) is UnavailableError


def test_n17__proxies_of_the_environment_are_ignored(tmp_path, monkeypatch):
    with FaultServer(reply({}, 502)) as proxy:
        for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        recovered(play(tmp_path, {}), n_more=0)
        assert proxy.n_connections == 0


def test_n18__another_content_type_is_never_parsed(tmp_path):
    types = ("text/html", "application/pdf", "")
    faults = {p: reply(bank(), headers={"Content-Type": t}) for p, t in zip(PATHS, types, strict=False)}
    assert failed(play(tmp_path, faults), "api_error", n=3).n_calls == FIRST_TRIES


def test_n18__a_page_instead_of_the_list_of_requests(tmp_path):
    played = play(tmp_path, {"/requests": reply(b"<html>login</html>", headers={"Content-Type": "text/html"})})
    assert "text/html instead of JSON" in str(played.faulty.error)


def test_n19__a_bomb_is_one_failed_report(tmp_path):
    bomb = reply(b"[" + b" " * 20_000_000 + b"]", encoding="gzip")
    done = failed(play(tmp_path, {PATH: bomb}, max_body_bytes=100_000), "incomplete_body")
    assert done.n_calls == FIRST_TRIES


def test_n19__nested_and_unknown_encodings(tmp_path):
    encodings = ("gzip, gzip", "br")
    faults = {p: reply(bank(), headers={"Content-Encoding": e}) for p, e in zip(PATHS, encodings, strict=False)}
    failed(play(tmp_path, faults), "api_error", n=2)


def test_n19__huge_headers(tmp_path):
    failed(play(tmp_path, {PATH: reply(bank(), headers={"X-Long": "x" * 70_000})}, attempts=1), "unavailable")
