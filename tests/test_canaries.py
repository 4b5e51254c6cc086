"""After every command, what must not leave is searched for wherever something can: and found where it was planted.

Each command runs as its user types it, against a sandbox and a store in which a token, an IBAN, the label of an entry,
the name of a natural person and a cell of the lender's own file are canaries. They are searched for in plain, base64,
hexadecimal and URL form, on standard output and standard error, in the log at its most talkative, in every file outside
the store (unpacked) and its name, and in the arguments of every process that was started. What a command is *for* may
be shown, and is: `shows` says it. A command that is new fails here until it is covered.
"""

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import typer
from canaries import leaks, text_of
from faults.service import bank

from xray_analytics import Sandbox, Store, XRayClient, cli, sync
from xray_analytics.ingest.lender import attach

CANARIES = {
    "token": "canary-7f3c-t0ken-91aa",
    "webhook key": "canary-webhook-key-55e1",
    "iban": "FR7612345987650123456789014",
    "label": "VIR CANARYLABEL 7741 JEANNE",
    "person": "CANARYNAME Jeanne Dupont",
    "cell": "CANARYCELL 4711",
}
REPORT = "61baf58cb92353003b888c3d"
ALL = {"label", "iban"}
STORE = "--store {store}"
# command -> its runs: arguments, and the canaries that it shows because that is what it was asked for
RUNS = {
    "status": [(f"status {STORE}", ()), (f"status --json {STORE}", ())],
    "tables": [("tables", ()), ("tables transactions --json", ()), ("tables --write {out}/t.md", ())],
    "read": [
        (f"read reports {STORE}", ()),
        (f"read companies {STORE}", {"person"}),
        (f"read transactions --format json {STORE} --out {{out}}/t.json", ALL),
        (f"read transactions --out {{out}}/t.parquet {STORE}", ALL),
        (f"read transactions --where nonsense {STORE}", ()),
        (f"read quarantine {STORE}", ()),
        (f"read drift {STORE}", ()),
    ],
    "watch": [(f"watch {STORE}", ()), (f"watch --json --show-persons {STORE}", {"person"})],
    "report portfolio": [
        (f"report portfolio {STORE} --out {{out}}/p.html --out {{out}}/p.xlsx", ()),
    ],
    "report company": [
        (f"report company {{company}} {STORE} --show-persons --out {{out}}/c.html", {"person"}),
        (f"report company 000000000 {STORE} --out {{out}}/n.html", ()),
    ],
    "validate": [
        (f"validate {STORE} --product financial --xlsx {{out}}/v.xlsx", ()),
        (f"validate {STORE} --outcomes {{files}}/outcomes.csv", ()),
    ],
    "backtest": [
        (f"backtest {STORE} --product bank --dates 2024-06-30 --out {{out}}/b --key {{out}}/k/k --format csv,xlsx", ()),
        (f"backtest {STORE} --product bank --dates 2024-06-30 --outcomes {{files}}/outcomes.csv --out {{out}}/c", ()),
    ],
    "import": [("import {files}/bad.json --store {out}/s", ()), ("import {files}/bad.json --json --store {out}/s", ())],
    "fit": [(f"fit {{files}}/{name}.json --out {{out}}/layout.toml", ()) for name in ("report", "bad")],
    "inspect": [("inspect {files}/report.json", ()), ("inspect {files}/bad.json", ())],
    "attach": [
        *((f"attach {{files}}/{name} --as {table} --store {{out}}/s", ()) for name, table in (
            ("loans.csv", "loans"), ("loans.xlsx", "loans"), ("outcomes.csv", "outcomes"),
            ("companies.csv", "companies"),
            ("ragged.csv", "loans"), ("text.xlsx", "loans"),
        )),
        ("attach {files}/companies_good.csv --as companies --store {out}/s --json", ()),
    ],
    "sync": [("sync --store {out}/s", ()), ("sync --store {out}/s --full --json --recheck", ())],
    "publish": [(f"publish {{out}}/lake {STORE}", ALL | {"person"}), (f"publish s3:/x {STORE}", ())],
    "verify": [(f"verify {STORE}", ()), (f"verify --json {STORE}", ())],
    "compact": [("compact --store {copy}", ())],
    "rebuild": [("rebuild --store {copy}", ())],
    "forget": [("forget --company {company} --yes --store {copy}", ())],
    "request create": [("request create --siren 514673987 --store {out}/s", ()), ("request create --siren 1", ())],
    "request show": [("request show {request}", ()), ("request show 61b1aaa1015c69003931e945 --json", ())],
    "request list": [("request list", ()), ("request list --json", ())],
    "request notes": [
        ("request notes {request} {files}/notes.csv", ()),
        ("request notes {request} {files}/bad.json", ()),
    ],
    "upload": [
        ("upload {request} {files}/a.pdf --name bank_statement --store {out}/s", ()),
        ("upload {request} {files}/loans.csv --name bank_statement --store {out}/s", ()),
    ],
    "pdf": [("pdf {report} --out {out}/r.pdf --store {copy}", ()), ("pdf 666666666666666666666666 --store {copy}", ())],
    "wait": [("wait {request} --timeout 0s --no-sync --store {out}/s", ())],
    "webhook add": [("webhook add http://127.0.0.1:9/hook", ()), ("webhook add http://evil\\x", ())],
    "webhook list": [("webhook list", ()), ("webhook list --json", ())],
    "webhook remove": [("webhook remove http://127.0.0.1:9/hook", ())],
    "sandbox": [("sandbox --companies 3 --port 0", ())],
    "webhook serve": [("webhook serve --port 0 --no-sync --store {out}/s", ())],
}  # fmt: skip
# Those that take seconds, most of them drawing: only in the long form.
LONG_RUNS = {
    "demo": [("demo --out {out}/demo --companies 3", ())],
    "report portfolio": [(f"report portfolio {STORE} --out {{out}}/p.pdf --out {{out}}/p.xlsx", ())],
    "report company": [(f"report company {{company}} {STORE} --shareable --out {{out}}/s.pdf", ())],
    "validate": [(f"validate {STORE} --product financial --out {{out}}/v.html --xlsx {{out}}/v.xlsx", ())],
}
SERVING = {"sandbox": "BUSINESS_ID", "webhook serve": "Listening"}  # until they are interrupted; what they say first


def commands(command=None, words=()):
    command = command or typer.main.get_command(cli.app)
    if not hasattr(command, "commands"):
        return [" ".join(words)]
    return [found for name, one in command.commands.items() for found in commands(one, (*words, name))]


def test_every_command__is_searched():
    assert sorted({*RUNS, *LONG_RUNS}) == sorted(commands())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A sandbox with that token, a store with all canaries, and files to bring in."""
    folder = tmp_path_factory.mktemp("canaries")
    files = folder / "files"
    files.mkdir()
    with Sandbox(companies=8, seed=5, clean=True, session_token=CANARIES["token"]) as sandbox:
        store = Store(folder / "store")
        with XRayClient(sandbox.settings()) as client:
            sync(client, store)
            request = client.list_requests()[0]
            report = client.list_reports(request_id=request.id, product="bank")[0].id
        companies = sandbox.companies()
        is_his = companies["company_id"] == request["code"]["id"]
        companies = companies.assign(
            company_name=companies["company_name"].mask(is_his, CANARIES["person"]),
            is_natural_person=companies["is_natural_person"].mask(is_his, True),
        )
        for name in ("loans", "exposures", "outcomes"):
            attach(store, getattr(sandbox, name)(), table=name)
        attach(store, companies, table="companies")
        write_files(files, request.id, companies)
        cli_import(files / "report.json", store)
        yield {
            "sandbox": sandbox, "folder": folder, "store": store.path, "files": files, "request": request.id,
            "company": request["code"]["id"], "report": report,
        }  # fmt: skip


def cli_import(path, store):
    from xray_analytics import import_files

    assert import_files([path], store).n_published == 1


def write_files(files, request_id, companies):
    """Payloads and the lender's own files, each with canaries, most of them with something wrong."""
    entry = {"date": "2021-08-02", "amount": 10.1, "label": CANARIES["label"], "iban": CANARIES["iban"]}
    summary = json.loads((Path(__file__).parent / "documented/bank_xray_report.json").read_text())["report"]["raw"]
    named = [one | {"iban": CANARIES["iban"]} for one in summary["summary"]]
    (files / "report.json").write_text(json.dumps(bank(REPORT, request_id, allTransactions=[entry], summary=named)))
    wrong = entry | {"date": CANARIES["label"], "amount": CANARIES["label"]}
    (files / "bad.json").write_text(json.dumps(bank("7" * 24, request_id, allTransactions=[wrong], summary=named)))
    cell, (one, two) = CANARIES["cell"], companies["company_id"][:2]
    (files / "loans.csv").write_text(f"company_id,loan_id,amount,application_date\n{one},L1,{cell},2024-01-01\n")
    (files / "ragged.csv").write_text(f"company_id,loan_id\n{one},L1\n{two},L2,{cell},{cell}\n")
    (files / "outcomes.csv").write_text(f"company_id,default_date,observed_until\n{one},{cell},2025-01-01\n")
    (files / "companies.csv").write_text(f"company_id,company_name,is_natural_person\n{one},X,{cell}\n{cell},Y,true\n")
    companies.to_csv(files / "companies_good.csv", index=False)
    frame = pd.DataFrame({"company_id": [one], "loan_id": ["L1"], "amount": [cell], "application_date": [cell]})
    frame.to_excel(files / "loans.xlsx", index=False)
    frame.assign(company_id=cell, loan_id=None).to_excel(files / "text.xlsx", index=False)
    (files / "notes.csv").write_text(f"company_id,is_holding,revenue\n{one},{cell},{cell}\n{cell},false,1\n")
    (files / "a.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")


class Watched:
    """The arguments of every process that was started below this one, looked at ten times a second."""

    def __enter__(self):
        self.said, self._over = set(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        me = psutil.Process()
        while not self._over.wait(0.1):
            for process in (me, *me.children(recursive=True)):
                try:
                    self.said.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue  # it is over


@pytest.fixture
def run(world, tmp_path, monkeypatch, capsys, caplog):
    """Run one line of a command: everything it said, by channel, and the files it left outside the store."""
    settings = world["sandbox"].settings()
    for name, value in {
        "XRAY_BASE_URL": settings.base_url, "XRAY_USER_ID": settings.user_id.reveal(),
        "XRAY_SESSION_TOKEN": CANARIES["token"], "XRAY_BUSINESS_ID": settings.business_id,
        "XRAY_WEBHOOK_PATH_SECRET": CANARIES["webhook key"], "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    caplog.set_level(logging.DEBUG)

    def line(command, text):
        places = world | {"out": out, "copy": copied(world["store"], tmp_path / "copy") if "{copy}" in text else ""}
        words = [word.format(**places) for word in text.split()]
        umask, before = os.umask(0), {path: path.stat().st_mtime_ns for path in written(out)}
        try:
            with Watched() as processes:
                said = serving(words, SERVING[command]) if command in SERVING else typed(words, monkeypatch, capsys)
        finally:
            os.umask(umask)
        said |= {"log": caplog.text, "processes": "\n".join(processes.said)}
        for path in written(out):
            if before.get(path) != path.stat().st_mtime_ns:
                said[f"file {path.relative_to(out)}"] = text_of(path)
        return said

    return line, out


def copied(store, copy):
    """A copy of the store that a command may change; one for all runs of a test."""
    import shutil

    return copy if copy.exists() else Path(shutil.copytree(store, copy))


def written(out):
    """Files outside stores: a store is a folder with commits in it, and its own matter."""
    stores = {path.parent for path in out.rglob("commits") if not (path.parent / "current.json").exists()}
    return [p for p in sorted(out.rglob("*")) if p.is_file() and not stores & set(p.parents)]


def typed(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["xray", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr()
    return {"stdout": said.out, "stderr": said.err, "code": str(stop.value.code)}


def serving(words, first):
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "xray_analytics.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    for text in process.stdout:
        said.append(text)
        if first in text:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said.append(process.communicate(timeout=60)[0])
    return {"stdout": "".join(said)}


COUNTED = {"runs": 0, "channels": 0}


@pytest.mark.parametrize("command", RUNS)
def test_command__shows_only_what_it_is_for(run, command, figure):
    check(run, command, RUNS[command], figure)


@pytest.mark.long
@pytest.mark.parametrize("command", LONG_RUNS)
def test_command__shows_only_what_it_is_for_where_it_takes_seconds(run, command, figure):
    check(run, command, LONG_RUNS[command], figure)


def check(run, command, runs, figure):
    line, out = run
    for text, shows in runs:
        said = line(command, text)
        assert len(said) > 4 or len(said["stdout"]) + len(said.get("stderr", "")) > 3, text
        found = {where: {n for n, c in CANARIES.items() if leaks(what, c)} for where, what in said.items()}
        hidden = {where: names - set(shows) for where, names in found.items() if names - set(shows)}
        assert hidden == {}, (text, hidden)
        assert set(shows) <= set().union(*found.values()), (text, "does not show what it is for")
        open_to_others = [str(p) for p in written(out) if stat.S_IMODE(p.stat().st_mode) & 0o077]
        assert open_to_others == [], text
        COUNTED["runs"] += 1
        COUNTED["channels"] += len(said)
        figure("canaries", f"{COUNTED['runs']} runs of commands, {COUNTED['channels']} channels, 0 shown unasked")


def test_control__a_canary_is_found_in_every_channel(world, tmp_path, caplog, monkeypatch, capsys):
    label, out = CANARIES["label"], tmp_path
    frame = pd.DataFrame({"a": [label]})
    frame.to_parquet(out / "a.parquet")
    frame.to_excel(out / "a.xlsx")
    frame.to_csv(out / "a.csv.gz")
    write_pdf(out / "a.pdf", label)
    for name in ("a.parquet", "a.xlsx", "a.csv.gz", "a.pdf"):
        assert leaks(text_of(out / name), label) == [label], name
    write_pdf(out / "b.pdf", "nothing", title=label)
    assert leaks(text_of(out / "b.pdf"), label) == [label]
    (out / label).write_text("")
    assert leaks(text_of(out / label), label) == [label]
    with Watched() as processes:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", label], check=True)
    assert leaks("\n".join(processes.said), label) == [label]


def write_pdf(path, text, title="A title"):
    """A PDF as the reports are written, with the same fonts."""
    from fpdf import FPDF
    from matplotlib import get_data_path

    pdf = FPDF()
    pdf.add_page()
    pdf.add_font("house", "", Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf")
    pdf.set_font("house", "", 10)
    pdf.set_title(title)
    pdf.cell(text=text)
    pdf.output(str(path))
