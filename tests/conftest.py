"""Only loopback is ever contacted; the environment's credentials never reach a test."""

import socket
import sys

import pytest

from xray_analytics import cli

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


@pytest.fixture
def xray(monkeypatch, capsys):
    """Run `xray` with arguments: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["xray", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, *capsys.readouterr()

    return run
