"""Secrets, labels and control characters: searched for wherever the package shows anything, with a positive control."""

import base64
import copy
import dataclasses
import json
import logging
import pickle
import pprint
import signal
import sys
import threading
import urllib.parse

import IPython.lib.pretty
import pytest
import rich.pretty
from canaries import forms, leaks, with_locals
from faults.server import FaultServer, Reply, reply
from faults.service import BAD, LABEL, SOURCES, TOKEN, USER, Service, bank

from xray_analytics import Settings, Store, XRayClient, cli, read_report, sync
from xray_analytics.errors import XRayError
from xray_analytics.ingest.files import inspect_file
from xray_analytics.settings import Secret, WebhookSettings

PATH = f"/reports/{BAD}"
IBAN = "FR7630006000011234567890189"
HOSTILE = "a\x1b[31m\x9b2J\u202eb\u2066\u200f\rc\x00"


@pytest.mark.parametrize("offset", range(3))
def test_control__every_form_is_found(offset):
    data = b"y" * offset + TOKEN.encode() + b"zz"
    shown = [TOKEN, urllib.parse.quote(TOKEN), data.hex(), base64.b64encode(data).decode(), f"x={TOKEN.encode().hex()}"]
    assert all(leaks(text, TOKEN) for text in shown)
    assert leaks("nothing", TOKEN) == []


FAULTS = {
    "401 in body": ("/requests", reply({"error": TOKEN}, 401)),
    "500 in body": ("/requests", reply({"error": f"{USER} {TOKEN}"}, 500)),
    "redirect": ("/requests", reply({}, 302, {"Location": f"https://{TOKEN}.example/{USER}"})),
    "type": ("/requests", reply({}, headers={"Content-Type": f"text/{TOKEN}"})),
    "reset": ("/requests", Reply(b"HTTP/1.1 200", "reset")),
    "bad list": ("/requests", reply({"items": [{"name": LABEL}], "of": IBAN})),
    "bad report": (PATH, reply(bank(allTransactions=[{"amount": LABEL, "label": LABEL, "iban": IBAN}]))),
    "no json": (PATH, reply(LABEL.encode())),
    "wrong id": (PATH, reply(bank("6" * 24))),
    "no fault": ("/none", reply({})),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_sync__shows_no_secret_and_no_label(tmp_path, caplog, fault):
    path, answer = FAULTS[fault]
    caplog.set_level(logging.DEBUG)
    shown = []
    with FaultServer(Service({path: answer})) as server:
        settings = Settings(base_url=server.url, user_id=USER, session_token=TOKEN, sources=SOURCES, attempts=2)
        with XRayClient(settings, sleep=lambda seconds: None) as client:
            try:
                result = sync(client, Store(tmp_path / "store"))
                shown += [repr(result), json.dumps(result.to_dict())]
            except XRayError as error:
                shown += [with_locals(error), str(pickle.dumps(error))]
            shown += map(repr, (client, settings, vars(client), server.url))
    log = "\n".join(record.getMessage() for record in caplog.records)
    assert "new HTTP connection" in log  # the log was on
    assert leaks("\n".join((log, *shown)), TOKEN, USER, LABEL, IBAN) == []
    files = b"".join(p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file())
    assert leaks(files.decode("latin-1"), TOKEN, USER) == []


@pytest.mark.parametrize("form", sorted(forms(TOKEN) - {TOKEN[::-1]}))
@pytest.mark.parametrize("where", ["error", "errors", "type", "redirect", "members", "upload", "header"])
def test_echo__the_token_is_masked_in_every_form(connect, tmp_path, caplog, form, where):
    """A service repeats the token in a form of its own; in base64 it stands inside of something longer."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    echo = f"x {form}yz"
    answers = {
        "error": reply({"error": echo}, 500),
        "errors": reply({"errors": {echo: 1}}, 400),
        "type": reply({}, headers={"Content-Type": f"text/{form}"}),
        "redirect": reply({}, 302, {"Location": f"https://{form}/"}),
        "members": reply({echo: 1}),
        "upload": reply({"medium": {"id": "6" * 24, "upload": {echo: 1}}}),
        "header": Reply(f"HTTP/1.1 500 {form}\r\n{form}\r\nX: y\r\n\r\n".encode(), "close"),
    }
    with FaultServer(answers[where]) as server:
        client = connect(server.url, session_token=TOKEN, user_id=USER, attempts=1)
        with pytest.raises(XRayError) as caught:
            client.upload("6" * 24, tmp_path / "a.pdf", name="other") if where == "upload" else client.list_requests()
    assert leaks(with_locals(caught.value) + caplog.text, TOKEN) == []


def test_storage__its_signed_address_is_in_no_log(connect, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with FaultServer(lambda request: reply({}, 403) if request.path == "/k" else declared) as server:
        upload = {"url": f"{server.url}/k?X-Amz-Signature={TOKEN}", "fields": {"key": "k"}}
        declared = reply({"medium": {"id": "6" * 24, "upload": upload}})
        with pytest.raises(XRayError, match="answered 403") as caught:
            connect(server.url).upload("6" * 24, tmp_path / "a.pdf", name="other")
    assert "new HTTP connection" in caplog.text
    assert leaks(with_locals(caught.value) + caplog.text, TOKEN) == []


SETTINGS_FILES = {
    "unknown name": "session_token = '{t}'\nwrokers = 3",
    "not TOML": "session_token = '{t}'\nworkers = ",
    "not TOML at the token": "session_token = {t}",
    "blank in the token": "session_token = '{t} x'\nuser_id = '{t}'",
    "a list": "session_token = ['{t}']\nuser_id = '{t}'",
    "wrong number": "session_token = '{t}'\nuser_id = '{t}'\nworkers = 0",
    "wrong shape": "session_token = '{t}'\nuser_id = '{t}'\nsources = 'x'",
    "base_url": "session_token = '{t}'\nuser_id = '{t}'\nbase_url = 'http://h\\\\e'",
    "no user": "session_token = '{t}'",
    "webhook name": "[webhook]\nkeys = ['{t}']\nkyes = 1",
    "webhook key": "[webhook]\nkeys = ['{t} x']\nsignature_header = 'X'",
    "webhook alone": "[webhook]\nkeys = ['{t}']",
    "webhook path": "[webhook]\npath_secret = '{t}/x'",
    "webhook number": "[webhook]\npath_secret = '{t}'\nburst = 0",
}


@pytest.mark.parametrize("case", SETTINGS_FILES)
def test_settings__no_frame_of_an_error_holds_a_secret(tmp_path, monkeypatch, case):
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS_FILES[case].format(t=TOKEN))
    read = WebhookSettings if case.startswith("webhook") else Settings
    for environ in ({}, {"XRAY_WEBHOOK_PATH_SECRET": TOKEN + " /", "XRAY_SESSION_TOKEN": TOKEN + " "}):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(XRayError) as caught:
            read.from_environment(file=file)
        assert leaks(with_locals(caught.value), TOKEN) == []


CALLS = {
    "get_report": lambda client, path: client.get_report(BAD).data,
    "create_request": lambda client, path: client.create_request("514673987"),
    "download_pdf": lambda client, path: client.download_pdf(BAD),
    "upload": lambda client, path: client.upload("6" * 24, path, name="other"),
    "list_webhooks": lambda client, path: client.list_webhooks(),
}
ENDS = {
    "refused": reply({"error": TOKEN}, 401), "failed": reply({}, 503), "reset": Reply(b"HTTP/1.1 2", "reset"),
    "negative chunk": Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n"),
    "no HTTP": Reply(b"\0" * 99),
    "silence": Reply(b"", "hold"),
    "not JSON": reply(TOKEN.encode()),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("call", CALLS)
def test_call__no_frame_of_its_error_holds_a_secret(connect, tmp_path, call, end):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with FaultServer(ENDS[end]) as server:
        changes = {"attempts": 2, "total_timeout": 0.2, "download_timeout": 0.2, "business_id": "6" * 24}
        client = connect(server.url, session_token=TOKEN, user_id=USER, **changes)
        with pytest.raises(XRayError) as caught:
            CALLS[call](client, tmp_path / "a.pdf")
        client.close()
    assert leaks(with_locals(caught.value), TOKEN, USER) == []


def test_call__an_interrupt_has_no_frame_that_holds_a_secret(connect):
    with FaultServer(Reply(b"", "hold")) as server:
        client = connect(server.url, session_token=TOKEN, user_id=USER)
        timer = threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            client.list_requests()
        timer.join()
    assert leaks(with_locals(caught.value), TOKEN, USER) == []


def test_control__a_frame_that_holds_a_secret_is_found():
    def leaky():
        token = Secret(TOKEN).reveal()
        raise ValueError(len(token))

    with pytest.raises(ValueError, match="1") as caught:
        leaky()
    assert leaks("\n".join(map(repr, caught.tb.tb_next.tb_frame.f_locals.values())), TOKEN) == [TOKEN]


@pytest.mark.parametrize(
    "show",
    [
        repr, str, "{}".format, "{!r:>99}".format, lambda s: f"{s}", lambda s: repr([s]), lambda s: str({s: s}),
        rich.pretty.pretty_repr, IPython.lib.pretty.pretty, pprint.pformat,
    ],
)  # fmt: skip
def test_secret__never_prints(show):
    assert leaks(show(Secret(TOKEN)), TOKEN) == []


@pytest.mark.parametrize("copy", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, dataclasses.asdict])
def test_secret__is_no_value_to_copy(copy):
    with pytest.raises(TypeError):
        copy(Secret(TOKEN))


def test_read_report__its_error_holds_no_frame_of_the_report(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(bank(allTransactions=[{"date": "x", "amount": 1, "label": LABEL, "iban": IBAN}])))
    with pytest.raises(XRayError) as caught:
        read_report(path)
    assert caught.value.json_path == "$.report.raw.allTransactions[0].date"
    assert leaks(with_locals(caught.value), LABEL, IBAN) == []


def test_inspect_file__its_error_holds_no_frame_of_the_report(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"label": LABEL, "iban": IBAN}))
    with pytest.raises(XRayError, match=r"report\.json: \$: expected a report or a request") as caught:
        inspect_file(path)
    assert leaks(with_locals(caught.value), LABEL, IBAN) == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A store whose every text was written by someone who means harm."""
    path = tmp_path_factory.mktemp("hostile") / "store"
    tree = bank(allTransactions=[{"date": "2021-08-02", "amount": 1, "label": HOSTILE, HOSTILE: 1}], **{HOSTILE: 1})
    spoilt = bank(BAD.replace("1", "7"), movementReport={HOSTILE: {"period": "x"}})
    faults = {PATH: reply(tree)}
    service = Service(faults, Service().reports | {spoilt["report"]["id"]: spoilt})
    with FaultServer(service) as server:
        settings = Settings(base_url=server.url, user_id=USER, session_token=TOKEN, sources=SOURCES)
        with XRayClient(settings) as client:
            assert sync(client, Store(path)).n_quarantined == 1
    (path.parent / "spoilt.json").write_text(json.dumps(spoilt))
    return path


COMMANDS = {
    "table": "read transactions --format table --store {store}",
    "csv": "read transactions --format csv --store {store}",
    "json": "read transactions --format json --store {store}",
    "drift": "read drift --format table --store {store}",
    "quarantine": "read quarantine --columns json_path,message --format csv --store {store}",
    "status": "status --store {store}",
    "report": "report portfolio --force --out {folder}/page.html --store {store}",
    "import": "import {folder}/spoilt.json --store {folder}/other",
    "import json": "import {folder}/spoilt.json --json --store {folder}/other2",
    "inspect": "inspect {folder}/spoilt.json",
    "wrong": "read transactions --where label={steer} --store {store}",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_terminal__nothing_in_the_data_can_steer_it(hostile, command, monkeypatch, capsys):
    words = COMMANDS[command].split()
    arguments = [word.format(store=hostile, folder=hostile.parent, steer="\x1b[31m") for word in words]
    monkeypatch.setattr(sys, "argv", ["xray", *arguments])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(SystemExit):
        cli.main()
    shown = "".join(capsys.readouterr())
    assert len(shown) > 10
    own = shown.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "").replace("\x1b[1;3m", "")
    assert [c for c in own if not c.isprintable() and c != "\n"] == []


def test_files__a_pipe_gets_the_text_as_it_is(hostile, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", f"xray read transactions --format json --store {hostile}".split())
    with pytest.raises(SystemExit):
        cli.main()
    assert HOSTILE in {row["label"] for row in json.loads(capsys.readouterr().out)}
