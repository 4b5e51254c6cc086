"""Waiting for reports on a virtual clock, against a service whose state changes while one waits."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from small_service import SmallService

from xray_analytics import Store, XRayClient, cli, sync
from xray_analytics.api.journal import Journal, Wait
from xray_analytics.api.waiting import wait_for_report, wait_for_reports
from xray_analytics.errors import AuthenticationError, InputError, NotFoundError, NotReadyError, PermissionDenied

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (f"61b1aaa1015c69003931e94{n}" for n in range(3))
OLD, NEW = "61baf58cb92353003b888c3d", "61bb0000b92353003b888c3d"
HOURS = timedelta(hours=1)


class Clock:
    """Time that passes only by sleeping; what is to happen after so many seconds happens then."""

    def __init__(self):
        self.seconds, self.pauses, self.events = 0.0, [], {}

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def sleep(self, seconds):
        self.pauses.append(round(seconds, 3))
        self.seconds += seconds
        for due in [at for at in self.events if at <= self.seconds]:
            self.events.pop(due)()


@pytest.fixture
def service():
    served = SmallService()
    for request_id in (FIRST, SECOND, THIRD):
        served.add_request(request_id)
    return served


@pytest.fixture
def clock():
    return Clock()


@contextmanager
def connected(service, **overrides):
    with service.running(**overrides) as settings, XRayClient(settings) as client:
        yield client


def wait(client, clock, request_id=FIRST, **options):
    return wait_for_report(client, request_id, **{"product": "bank"} | options, sleep=clock.sleep, now=clock.now)


def bank(service, report_id, request_id=FIRST, **raw):
    service.add_report(report_id, request_id, "bank_xray", {"riskClass": 4} | raw)


def test_wait__asks_ever_more_rarely_until_the_report_is_there(service, clock):
    clock.events[3600] = lambda: bank(service, NEW)
    with connected(service) as client:
        report = wait(client, clock)
    assert (report.id, report["request"]) == (NEW, FIRST)
    assert clock.pauses[:5] == [10, 15, 22.5, 33.75, 50.625]
    assert max(clock.pauses) == 600
    assert 3600 <= clock.seconds < 4200
    assert service.calls["GET /reports"] == len(clock.pauses) + 1


def test_wait__48_hours_are_under_three_hundred_looks(service, clock):
    clock.events[47.9 * 3600] = lambda: bank(service, NEW)
    with connected(service) as client:
        assert wait(client, clock).id == NEW
    assert len(clock.pauses) < 300


def test_wait__only_what_was_not_known_counts_and_of_that_the_newest(service, clock):
    bank(service, OLD)
    clock.events[5] = lambda: (bank(service, NEW), bank(service, "61bafffffffffffffffffff0"))
    with connected(service) as client:
        assert wait(client, clock).id == OLD
        assert wait(client, clock, known=[OLD]).id == NEW


def test_wait__the_creation_member_goes_before_the_time_in_the_id(service, clock):
    bank(service, OLD)
    bank(service, NEW)
    service.reports[OLD]["creation"] = "2021-12-30T08:15:08.000Z"
    service.list_members = ("id", "creation")
    with connected(service) as client:
        assert wait(client, clock).id == OLD


def test_wait__times_out_and_says_after_how_long(service, clock):
    with (
        connected(service) as client,
        pytest.raises(NotReadyError, match=r"no new bank report after 2 h 0 min") as caught,
    ):
        wait(client, clock, timeout=2 * HOURS)
    assert clock.seconds == pytest.approx(7200, abs=0.001)
    assert (caught.value.exit_code, caught.value.code) == (3, "not_ready")


def test_wait__a_request_that_is_gone_ends_it(service, clock):
    clock.events[100] = lambda: service.requests.pop(FIRST)
    with connected(service) as client, pytest.raises(NotFoundError, match=f"/requests/{FIRST}"):
        wait(client, clock)
    assert clock.seconds < 200


def test_wait__a_report_listed_but_not_readable_yet_is_waited_for(service, clock):
    bank(service, NEW)
    service.broken[f"/reports/{NEW}"] = 404
    clock.events[100] = service.broken.clear
    with connected(service) as client:
        assert wait(client, clock).id == NEW
    assert clock.seconds > 100


@pytest.mark.parametrize("status", [503, 500, 429])
def test_wait__disturbances_are_waited_out(service, clock, status):
    service.broken["/reports"] = status
    clock.events[3000] = lambda: (service.broken.clear(), bank(service, NEW))
    with connected(service) as client:
        assert wait(client, clock).id == NEW
    assert clock.seconds >= 3000


def test_wait__a_disturbance_to_the_end_is_named(service, clock):
    service.broken["/reports"] = 503
    with connected(service) as client, pytest.raises(NotReadyError, match=r"the last answer was: GET /reports .*503"):
        wait(client, clock, timeout=HOURS)


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (403, PermissionDenied)])
def test_wait__a_refusal_ends_it_at_once(service, clock, status, error):
    service.broken["/reports"] = status
    with connected(service) as client, pytest.raises(error):
        wait(client, clock)
    assert clock.pauses == []


def test_wait__unknown_products_and_ids_are_said_before_anything_is_sent(service, clock):
    with connected(service) as client:
        with pytest.raises(InputError, match="unknown product 'doc'"):
            wait(client, clock, product="doc")
        with pytest.raises(InputError, match="id_pattern"):
            wait(client, clock, "../x")
    assert service.calls == {}


def test_client__waits_by_the_same_rules(service):
    pauses = []
    with service.running() as settings, XRayClient(settings, sleep=pauses.append) as client:
        bank(service, OLD)
        assert client.wait_for_report(FIRST, product="bank").id == OLD
        with pytest.raises(NotReadyError):
            client.wait_for_report(FIRST, product="bank", timeout=timedelta(0), known=[OLD])
    assert pauses == []


def test_waits__end_one_by_one_each_in_its_own_way(service, clock, tmp_path):
    service.broken[f"/requests/{THIRD}"] = 403
    clock.events |= {
        50: lambda: bank(service, NEW, SECOND, riskClass=0),
        500: lambda: bank(service, OLD, FIRST),
        900: lambda: service.requests.pop(FIRST),
    }
    seen = []
    with connected(service) as client, Journal(tmp_path / "j") as journal:
        for request_id, product in [
            (FIRST, "bank"),
            (SECOND, "bank"),
            (THIRD, "bank"),
            (SECOND, "esg"),
            (FIRST, "esg"),
        ]:
            journal.start_wait(request_id, product, START + HOURS)
        progress = lambda stage, done, total: seen.append((done, total))  # noqa: E731
        options = {"journal": journal, "sleep": clock.sleep, "now": clock.now, "progress": progress}
        ended = [(w.request_id, w.product, w.status) for w in wait_for_reports(client, journal.waits(), **options)]
        assert journal.waits() == []
    assert ended == [
        (THIRD, "bank", "failed"),
        (SECOND, "bank", "unrated"),
        (FIRST, "bank", "ready"),
        (FIRST, "esg", "gone"),
        (SECOND, "esg", "timed_out"),
    ]
    assert (seen[0], seen[-1]) == ((1, 5), (5, 5))


@pytest.mark.parametrize(
    ("product", "raw", "status"),
    [
        ("bank", {"riskClass": 1}, "ready"),
        ("bank", {"riskClass": None}, "unrated"),
        ("financial", {}, "unrated"),
        ("bank", {"riskClass": 0.0}, "unrated"),
        ("esg", {}, "ready"),
    ],
)
def test_waits__tell_unrated_from_ready(service, clock, product, raw, status):
    one = Wait(FIRST, product, START, START, frozenset())
    with connected(service) as client:
        service.add_report(NEW, FIRST, client.settings.sources[product], raw)
        assert [w.status for w in wait_for_reports(client, [one], now=clock.now)] == [status]


def test_waits__survive_ctrl_c_and_overlook_nothing(service, clock, tmp_path):
    """Interrupted, 40 hours of nobody watching, and what came meanwhile is found by the first look."""
    bank(service, OLD)

    def interrupt():
        raise KeyboardInterrupt

    clock.events[60] = interrupt
    with connected(service) as client:
        with Journal(tmp_path / "j") as journal:
            journal.start_wait(FIRST, "bank", START + 48 * HOURS, known=[OLD])
            waits = wait_for_reports(client, journal.waits(), journal=journal, sleep=clock.sleep, now=clock.now)
            with pytest.raises(KeyboardInterrupt):
                list(waits)
        bank(service, NEW)
        clock.seconds += 40 * 3600
        with Journal(tmp_path / "j") as journal:
            looks, slept = service.calls["GET /reports"], len(clock.pauses)
            waits = wait_for_reports(client, journal.waits(), journal=journal, sleep=clock.sleep, now=clock.now)
            assert [w.report.id for w in waits] == [NEW]
            assert journal.waits() == []
    assert (service.calls["GET /reports"] - looks, len(clock.pauses) - slept) == (1, 0)


def test_waits__one_past_its_deadline_is_looked_at_once(service, clock, tmp_path):
    clock.seconds = 50 * 3600
    bank(service, NEW)
    with connected(service) as client, Journal(tmp_path / "j") as journal:
        for request_id in (FIRST, SECOND):
            journal.start_wait(request_id, "bank", START + 48 * HOURS)
        waits = wait_for_reports(client, journal.waits(), journal=journal, sleep=clock.sleep, now=clock.now)
        assert {w.request_id: w.status for w in waits} == {FIRST: "ready", SECOND: "timed_out"}
    assert clock.pauses == []


def test_waits__a_result_that_was_not_taken_stays_open(service, clock, tmp_path):
    bank(service, NEW)
    with connected(service) as client, Journal(tmp_path / "j") as journal:
        journal.start_wait(FIRST, "bank", START + HOURS)
        waits = wait_for_reports(client, journal.waits(), journal=journal, now=clock.now)
        next(waits)
        waits.close()  # as when the caller fails to store it
        assert [w.request_id for w in journal.waits()] == [FIRST]


@pytest.fixture
def xray(service, monkeypatch, capsys, tmp_path):
    """Run `xray` against the service: exit code, standard output, standard error."""
    with service.running() as settings:
        for name, value in {"BASE_URL": settings.base_url, "USER_ID": "u", "SESSION_TOKEN": "t"}.items():
            monkeypatch.setenv(f"XRAY_{name}", value)
        monkeypatch.setenv("XRAY_STORE", str(tmp_path / "store"))

        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["xray", *arguments])
            with pytest.raises(SystemExit) as stop:
                cli.main()
            return stop.value.code or 0, *capsys.readouterr()

        yield run


def test_cli__prints_the_report_and_stores_it(xray, service, tmp_path):
    bank(service, OLD)
    assert xray("wait", FIRST)[:2] == (0, f"{OLD}\n")
    snapshot = Store(tmp_path / "store").snapshot()
    assert snapshot.read("reports")["report_id"].tolist() == [OLD]
    assert snapshot.read("requests")["request_id"].tolist() == [FIRST]
    code, out, err = xray("wait", FIRST, "--timeout", "0s")
    assert (code, err) == (3, "")
    assert out.startswith(f"timed_out: request {FIRST} has no new bank report after 0 s; wait again"), "it is known"
    bank(service, NEW, riskClass=0)
    assert xray("wait", FIRST, "--no-sync")[:2] == (0, f"{NEW} (ready, but unrated)\n")
    assert Store(tmp_path / "store").snapshot().rows()["reports"] == 1


def test_cli__takes_open_waits_up_again(xray, service, tmp_path):
    assert xray("wait")[::2] == (0, "No wait is open.\n")
    with Journal(tmp_path / "store" / "journal.sqlite3") as journal:
        journal.start_wait(FIRST, "bank", datetime.now(UTC) + HOURS)
        journal.start_wait(SECOND, "esg", datetime.now(UTC))
    bank(service, OLD)
    code, out, _ = xray("wait", "--json")
    found = {w["request_id"]: (w["product"], w["status"], w["report_id"]) for w in json.loads(out)}
    assert (code, found) == (3, {FIRST: ("bank", "ready", OLD), SECOND: ("esg", "timed_out", None)})
    assert xray("wait")[::2] == (0, "No wait is open.\n")


@pytest.mark.parametrize("arguments", [(FIRST, "--product", "nope"), (FIRST, "no-id")])
def test_cli__what_cannot_be_asked_is_not_waited_for_ever_after(xray, arguments):
    assert xray("wait", *arguments)[0] == 2
    assert xray("wait")[::2] == (0, "No wait is open.\n")


@pytest.mark.parametrize("text", ["", "2", "2 hours", "-1h", "1e3s", "٣h"])
def test_cli__a_length_of_time_is_checked(xray, text):
    assert xray("wait", FIRST, "--timeout", text)[::2] == (
        2,
        f"xray: --timeout {text!r} is not a length of time such as 90s, 30m, 2h or 2d\n",
    )


def test_journal__beside_the_store_is_no_damage(xray, service, tmp_path):
    bank(service, OLD)
    xray("wait", FIRST)
    store = Store(tmp_path / "store")
    assert store.verify() == []
    with connected(service) as client:
        assert sync(client, store).issues == ()


def test_cli__ctrl_c_leaves_the_wait_open(service, tmp_path):
    """`xray wait` in its own process, interrupted while it sleeps."""
    with service.running() as settings:
        names = {"XRAY_BASE_URL": settings.base_url, "XRAY_USER_ID": "u", "XRAY_SESSION_TOKEN": "t"}
        command = [sys.executable, "-m", "xray_analytics.cli", "wait", FIRST, "--store", str(tmp_path)]
        with subprocess.Popen(command, env=os.environ | names, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and not service.calls[f"GET /requests/{FIRST}"]:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=200)[1]
    assert "Waits still open: 1; `xray wait` takes them up again." in said
    assert "Traceback" not in said
    assert process.returncode == 130
    with Journal(tmp_path / "journal.sqlite3") as journal:
        assert [w.request_id for w in journal.waits()] == [FIRST]
