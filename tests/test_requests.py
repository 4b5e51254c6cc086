"""Requests are opened once, whatever happens on the wire; and a wrong company number never leaves the machine."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from faults.server import FaultServer, Reply, reply
from gateway import RESET, Gateway
from hypothesis import given
from hypothesis import strategies as st

from xray_analytics import Sandbox, XRayClient
from xray_analytics.api.requests import company_code
from xray_analytics.errors import (
    ApiError,
    AuthenticationError,
    InputError,
    PermissionDenied,
    RateLimitError,
    RedirectRefused,
    UnavailableError,
)
from xray_analytics.sandbox.economy.identifiers import siren

TOKEN, USER = "canary-5e55", "canary-u5e7"
REQUEST = "635107e452436f15d3b39d87"
SIREN, OTHER = "514673987", "732829320"
CODE = {"type": "siren", "id": SIREN}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(companies=2, seed=5, clean=True) as running:
        yield running


@pytest.fixture
def through(connect, sandbox):
    """A client whose calls reach the sandbox through a gateway."""
    own = sandbox.settings()
    return lambda gateway, journal: connect(
        gateway.url, journal, user_id=own.user_id, session_token=own.session_token, read_timeout=60.0
    )


def of_company(client, code_id):
    return [r.id for r in client.list_requests() if r["code"]["id"] == code_id]


# --- company numbers


@pytest.mark.parametrize(
    ("code_id", "code_type", "message"),
    [
        ("51467398", "siren", "51467398 is not a SIREN: that has 9 digits, this 8 characters"),
        ("514673988", "siren", "its check digit does not fit, so one digit is mistyped"),
        ("51467398A", "siren", "is not a SIREN: that has 9 digits"),
        ("٥١٤٦٧٣٩٨٧", "siren", "has digits and letters only"),
        ("2428894", "kvk", "2428894 is not a KVK: that has 8 digits, this 7 characters"),
        ("", "siren", "has digits and letters only, at most 32"),
        ("1", "SIREN", "code_type 'SIREN' is not a word such as siren or kvk"),
        ("../1", "hrb", "a hrb number has digits and letters only"),
    ],
)
def test_company_code__refused(code_id, code_type, message):
    with pytest.raises(InputError, match=message):
        company_code(code_id, code_type)


def test_company_code__accepted():
    assert company_code("514 673 987") == CODE
    assert company_code("24288945", "kvk") == {"type": "kvk", "id": "24288945"}
    assert company_code("HRB12345", "hrb") == {"type": "hrb", "id": "HRB12345"}


@given(st.integers(0, 10**8 - 1), st.integers(0, 8), st.integers(1, 9))
def test_company_code__one_wrong_digit_is_always_found(number, position, change):
    right = siren(number)
    assert company_code(right)["id"] == right
    wrong = right[:position] + str((int(right[position]) + change) % 10) + right[position + 1 :]
    with pytest.raises(InputError):
        company_code(wrong)


# --- what is sent, and both shapes of the answer


@pytest.mark.parametrize(
    "content",
    [
        {"request": {"id": REQUEST, "code": CODE, "status": "pending_analysis", "stage": "1.1"}},
        {"id": REQUEST, "code": CODE, "status": "pending_analysis", "stage": "1.1"},
        {"request": {"id": REQUEST, "code": CODE}, "status": "pending_analysis", "stage": "1.1"},
    ],
)
@pytest.mark.parametrize("status", [200, 201])
def test_create_request__body_and_answer(connect, content, status):
    with FaultServer(reply(content, status)) as server:
        made = connect(server.url).create_request(SIREN, creator="6" * 24, business_name="Café")
    (sent,) = server.requests
    assert (sent.method, sent.path, sent.headers["content-type"]) == ("POST", "/requests", "application/json")
    assert (sent.headers["userid"], sent.headers["sessiontoken"]) == (USER, TOKEN)
    assert json.loads(sent.body) == {"code": CODE, "creator": "6" * 24, "businessName": "Café"}
    assert made.data == {"id": REQUEST, "code": CODE, "status": "pending_analysis", "stage": "1.1"}


@pytest.mark.parametrize("style", ["wrapped", "flat"])
def test_create_request__on_the_sandbox(style):
    with Sandbox(companies=1, seed=5, answer_style=style) as sandbox, XRayClient(sandbox.settings()) as client:
        made = client.create_request("24288945", code_type="kvk", business_name="Zaak")
        assert (made["status"], made["stage"], "code" in made) == ("pending_analysis", "1.1", style == "wrapped")
        shown = client.get_request(made.id)
        assert (shown["code"], shown["businessName"]) == ({"type": "kvk", "id": "24288945"}, "Zaak")
        assert made.id in [r.id for r in client.list_requests()]
        assert client.list_reports(request_id=made.id) == []


def test_create_request__wrong_input_is_not_sent(connect):
    with FaultServer(reply({})) as server:
        client = connect(server.url)
        for arguments in ({"creator": "jeanne@example.org"}, {"code_type": "kvk"}, {"business_name": "a\udcff"}):
            with pytest.raises(InputError):
                client.create_request(SIREN, **arguments)
    assert server.requests == []


# --- refusals are final, and settle the intent


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ApiError),
        (401, AuthenticationError),
        (403, PermissionDenied),
        (408, UnavailableError),
        (409, ApiError),
        (429, RateLimitError),
    ],
)
def test_create_request__a_refusal_is_sent_once(connect, journal, status, kind):
    with FaultServer(reply({"errors": {"code": "x"}}, status)) as server, pytest.raises(kind) as caught:
        connect(server.url, journal).create_request(SIREN)
    assert len(server.requests) == 1
    assert (caught.value.is_refusal, journal.open_intents("request")) == (True, [])
    assert str(caught.value).startswith("POST /requests at 127.0.0.1:")


def test_create_request__without_connection_it_is_tried_again_and_nothing_is_open(connect, journal):
    with FaultServer(reply({})) as server:
        port = server.port
    with pytest.raises(UnavailableError) as caught:
        connect(f"http://127.0.0.1:{port}", journal, attempts=3).create_request(SIREN)
    assert (caught.value.code, caught.value.attempts) == ("unavailable", 3)
    assert journal.open_intents("request") == []


# --- an unknown outcome is never repeated


@pytest.mark.parametrize(
    "answer",
    [
        RESET,
        reply({}, 500),
        reply({}, 502),
        reply({}, 503),
        reply({"request": {"id": REQUEST}}).cut(40, "reset"),
        reply({"request": {"id": REQUEST}}).cut(120, "close"),
        reply(b'{"request": {"id": "6351', framing="close"),
        reply(b"<html>", headers={"Content-Type": "text/html"}),
        reply({"request": {}}),
        Reply(b"", "hold"),
    ],
    ids=["reset", "500", "502", "503", "head cut", "body cut", "no end", "html", "no id", "silence"],
)
def test_create_request__unknown_outcome(connect, journal, answer):
    with FaultServer(answer) as server, pytest.raises(UnavailableError) as caught:
        connect(server.url, journal, read_timeout=1.0).create_request(SIREN)
    assert len(server.requests) == 1
    assert (caught.value.code, caught.value.is_refusal) == ("unknown_outcome", False)
    assert "xray request list" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in (TOKEN, USER))
    (intent,) = journal.open_intents("request")
    assert (intent.key, intent.payload) == (f"siren:{SIREN}", {"code": CODE})


def test_create_request__a_redirect_is_refused_and_stays_open(connect, journal):
    with FaultServer(reply({})) as other, FaultServer(reply({}, 307, {"Location": other.url})) as server:
        with pytest.raises(RedirectRefused):
            connect(server.url, journal).create_request(SIREN)
        assert other.requests == []
    assert len(journal.open_intents("request")) == 1


def test_create_request__without_a_journal_it_says_how_to_look(connect):
    with FaultServer(RESET) as server, pytest.raises(UnavailableError, match="xray request list") as caught:
        connect(server.url).create_request(SIREN)
    assert (caught.value.code, len(server.requests)) == ("unknown_outcome", 1)


def test_create_request__what_had_arrived_is_adopted(sandbox, through, journal):
    with Gateway(sandbox.url, {"POST /requests": [RESET]}) as gateway:
        client = through(gateway, journal)
        with pytest.raises(UnavailableError):
            client.create_request(SIREN)
        adopted = client.create_request(SIREN)
        assert of_company(client, SIREN) == [adopted.id]
        assert gateway.calls.count("POST /requests") == 1
        assert journal.open_intents("request") == []
        assert journal.outcome("request", f"siren:{SIREN}") == {"request_id": adopted.id}
        # another one is wanted: nothing is unknown any more, so it is made
        assert client.create_request(SIREN).id != adopted.id


def test_create_request__what_had_not_arrived_is_created(sandbox, through, connect, journal):
    with FaultServer(RESET) as dead, pytest.raises(UnavailableError):
        connect(dead.url, journal).create_request(OTHER)
    with Gateway(sandbox.url) as gateway:
        client = through(gateway, journal)
        made = client.create_request(OTHER)
        assert of_company(client, OTHER) == [made.id]
        assert gateway.calls[0] == "GET /requests"
    assert journal.open_intents("request") == []


def test_create_request__as_long_as_nobody_can_look_nothing_is_created(connect, journal):
    with FaultServer(RESET) as dead, pytest.raises(UnavailableError):
        connect(dead.url, journal).create_request(SIREN)
    with FaultServer(reply({}, 500)) as server, pytest.raises(UnavailableError) as caught:
        connect(server.url, journal, attempts=1).create_request(SIREN)
    assert ([r.method for r in server.requests], caught.value.method) == (["GET"], "GET")
    assert len(journal.open_intents("request")) == 1


def at(moment, n=0):
    return f"{int(moment.timestamp()):08x}{n:016x}"


def test_create_request__which_request_is_adopted(connect, journal):
    now = datetime.now(UTC)
    journal.intend("request", f"siren:{SIREN}", {"code": CODE})
    early, first, second = at(now - timedelta(minutes=6)), at(now, 1), at(now + timedelta(seconds=9), 2)
    listed = [
        {"id": second, "code": CODE},
        {"id": at(now, 3), "code": {"type": "siren", "id": OTHER}},
        {"id": early, "code": CODE},
        {"id": first, "code": CODE},
    ]
    with FaultServer(reply({"requests": listed, "remaining": 0})) as server:
        assert connect(server.url, journal).create_request(SIREN).id == first
    journal.intend("request", f"siren:{SIREN}", {"code": CODE})
    old = {"id": second, "code": CODE, "creation": "2022-10-20T08:14:28.000Z"}

    def service(request):
        listing = {"requests": [old], "remaining": 0}
        return reply(listing if request.method == "GET" else {"id": REQUEST})

    with FaultServer(service) as server:
        assert connect(server.url, journal).create_request(SIREN).id == REQUEST
    assert journal.open_intents("request") == []
