"""Only loopback is ever contacted; the environment's credentials never reach a test."""

import signal
import socket
import sys

import pytest

from xray_analytics import Settings, XRayClient, cli
from xray_analytics.api.journal import Journal

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch):
    """Any connection or bind to another address fails the test that made it."""

    def guarded(method):
        def checked(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
                raise AssertionError(f"a test tried to reach {address!r}")
            return method(self, address)

        return checked

    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
    for name in (
        "XRAY_USER_ID",
        "XRAY_SESSION_TOKEN",
        "XRAY_API_VERSION",
        "XRAY_BASE_URL",
        "XRAY_SETTINGS",
        "XRAY_STORE",
    ):
        monkeypatch.delenv(name, raising=False)


def pytest_configure():
    """Ctrl-C reaches the processes that tests start, also where a shell started pytest in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Long loops run only when asked for: ``-m long``, and each may take an hour."""
    if "long" in config.getoption("-m"):
        for item in items:
            item.add_marker(pytest.mark.timeout(3600))
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="minutes; run with -m long"))


FIGURES = {}
_FIGURE = "figure: "


@pytest.fixture
def figure(request):
    """Print a figure of the proof at the end of the run: ``figure("kills survived", 50)``."""
    return lambda name, value: request.node.user_properties.append((f"{_FIGURE}{name}", str(value)))


def pytest_runtest_logreport(report):
    """Figures travel with the report of their test, also from a process beside this one."""
    for name, value in report.user_properties:
        if name.startswith(_FIGURE):
            FIGURES[name.removeprefix(_FIGURE)] = value


def pytest_terminal_summary(terminalreporter):
    """The figures of the proof, as measured in this run."""
    if FIGURES:
        terminalreporter.section("figures of this run")
        for name, value in FIGURES.items():
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture
def journal(tmp_path):
    """A journal of its own."""
    with Journal(tmp_path / "journal.sqlite3") as opened:
        yield opened


@pytest.fixture
def connect():
    """Build clients that wait for nothing and are closed after the test: ``connect(url, journal, **settings)``."""
    built = []

    def build(url, journal=None, **changes):
        settings = Settings(**{"base_url": url, "user_id": "canary-u5e7", "session_token": "canary-5e55"} | changes)
        built.append(XRayClient(settings, journal=journal, sleep=lambda seconds: None))
        return built[-1]

    yield build
    for client in built:
        client.close()


@pytest.fixture
def xray(monkeypatch, capsys):
    """Run `xray` with arguments: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["xray", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, *capsys.readouterr()

    return run
