"""Secrets, labels and control characters: searched for wherever the package shows anything, with a positive control."""

import base64
import json
import logging
import pickle
import sys
import traceback
import urllib.parse

import pytest
from faults.server import FaultServer, Reply, reply
from faults.service import BAD, LABEL, SOURCES, TOKEN, USER, Service, bank

from xray_analytics import Settings, Store, XRayClient, cli, read_report, sync
from xray_analytics.errors import XRayError
from xray_analytics.ingest.files import inspect_file

PATH = f"/reports/{BAD}"
IBAN = "FR7630006000011234567890189"
HOSTILE = "a\x1b[31m\x9b2J\u202eb\u2066\u200f\rc\x00"


def forms(secret):
    """The secret as it may travel: as it is, URL-encoded, in hex, and in base64 at any of three offsets."""
    data = secret.encode()
    encoded = (base64.b64encode(b"x" * n + data)[(4 * n + 2) // 3 : -4].decode().rstrip("=") for n in range(3))
    quoted = urllib.parse.quote(secret, safe="")
    return {secret, quoted, quoted.replace("-", "%2D"), data.hex(), data.hex().upper(), *encoded}


def leaks(text, *secrets):
    """The secrets that a text shows in any form."""
    return [s for s in secrets if any(form in text for form in forms(s))]


def with_locals(error):
    """A traceback as some loggers write it, with the locals of every frame of this package and of its libraries."""
    written = []
    while error is not None:
        frames = [f for f, _ in traceback.walk_tb(error.__traceback__) if "/tests/" not in f.f_code.co_filename]
        written += [repr(value) for frame in frames for value in frame.f_locals.values()]
        written += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(written)


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
