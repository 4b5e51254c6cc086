"""The commands as their user types them: output, exit codes, and one sentence for an expected error."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from xray_analytics import Sandbox, Store, XRayClient, cli, sync, tables

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(companies=8, seed=5, clean=True) as running:
        yield running


@pytest.fixture(scope="module")
def store(sandbox, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "store"
    with XRayClient(sandbox.settings()) as client:
        sync(client, Store(path))
    return path


@pytest.fixture
def credentials(monkeypatch, sandbox):
    settings = sandbox.settings()
    monkeypatch.setenv("XRAY_BASE_URL", settings.base_url)
    monkeypatch.setenv("XRAY_USER_ID", settings.user_id.reveal())
    monkeypatch.setenv("XRAY_SESSION_TOKEN", settings.session_token.reveal())
    return settings


def test_sync__fetches_then_says_nothing_new(xray, credentials, tmp_path):
    code, out, _ = xray("sync", "--store", tmp_path / "s")
    assert (code, "0 quarantined" in out) == (0, True)
    code, out, _ = xray("sync", "--store", tmp_path / "s")
    assert (code, out.startswith("Nothing new")) == (0, True)
    code, out, _ = xray("sync", "--store", tmp_path / "s", "--full", "--json")
    assert (code, json.loads(out)["n_published"]) == (0, 0)


def test_sync__without_credentials_says_which_and_where(xray, tmp_path):
    code, out, err = xray("sync", "--store", tmp_path / "s")
    assert (code, out) == (2, "")
    assert err.startswith("xray: XRAY_USER_ID and XRAY_SESSION_TOKEN not set: in the web app")
    assert err.count("\n") == 1


def test_sync__refused_headers_and_dead_server(xray, credentials, monkeypatch, tmp_path):
    monkeypatch.setenv("XRAY_SESSION_TOKEN", "canary-token")
    code, _, err = xray("sync", "--store", tmp_path / "s")
    assert (code, "canary" in err) == (4, False)
    monkeypatch.setenv("XRAY_SETTINGS", str(tmp_path / "fast.toml"))
    (tmp_path / "fast.toml").write_text("attempts = 1\n")
    monkeypatch.setenv("XRAY_BASE_URL", "http://127.0.0.1:9")
    code, _, err = xray("sync", "--store", tmp_path / "s")
    assert (code, err.count("\n")) == (5, 1)
    assert not (tmp_path / "s" / "commits").exists() or not list((tmp_path / "s" / "commits").iterdir())


def test_import__partial_names_what_is_wrong(xray, tmp_path):
    (tmp_path / "bad.json").write_text('{"report": {"id": "x"}')
    code, out, _ = xray("import", tmp_path / "bad.json", "--store", tmp_path / "s")
    assert code == 3
    assert "1 received = 0 published + 0 unchanged + 1 quarantined" in out
    assert "bad.json" in out
    assert "invalid_json" in out
    code, _, err = xray("import", tmp_path / "none", "--store", tmp_path / "s")
    assert (code, err) == (2, f"xray: {tmp_path}/none does not exist; name files or folders of report JSON\n")


def test_read__csv_json_parquet_and_table(xray, store, tmp_path):
    code, out, _ = xray("read", "reports", "--store", store, "--columns", "report_id,product", "--limit", "2")
    assert code == 0
    assert out.splitlines()[0] == "report_id,product"
    assert len(out.splitlines()) == 3
    code, out, _ = xray("read", "reports", "--store", store, "--where", "product = 'bank'", "--format", "json")
    rows = json.loads(out)
    assert {row["product"] for row in rows} == {"bank"}
    file = tmp_path / "t.parquet"
    assert xray("read", "transactions", "--store", store, "--out", file)[0] == 0
    assert len(pd.read_parquet(file)) == len(Store(store).snapshot().read("transactions"))
    code, _, err = xray("read", "transactions", "--store", store, "--out", file)
    assert (code, "name another file" in err) == (2, True)
    code, out, _ = xray("read", "reports", "--store", store, "--format", "table", "--limit", "1")
    assert (code, "report_id" in out) == (0, True)


def test_read__wrong_names_and_conditions(xray, store, tmp_path):
    assert xray("read", "report", "--store", store)[::2] == (
        2,
        f"xray: no table 'report'; there are {', '.join(tables.TABLES)}; did you mean reports?\n",
    )
    for arguments in (["--where", "1; DROP TABLE x"], ["--where", "nothing = 1"], ["--columns", "nothing"]):
        code, _, err = xray("read", "reports", "--store", store, *arguments)
        assert (code, err.count("\n")) == (2, 1), arguments
    code, _, err = xray("read", "reports", "--store", tmp_path / "none")
    assert (code, err.startswith("xray: there is no store at")) == (2, True)
    assert xray("read", "reports", "--store", store, "--as-of", "2025-13-01")[0] == 2


def test_read__as_of_hides_what_came_later(xray, store):
    _, out, _ = xray("read", "reports", "--store", store, "--as-of", "2024-12-31", "--columns", "created_at")
    created = out.splitlines()[1:]
    assert created
    assert max(created) < "2025"


def test_status__counts_rows(xray, store):
    code, out, _ = xray("status", "--store", store, "--json")
    facts = json.loads(out)
    assert (code, facts["rows"]["requests"]) == (0, 8)
    assert xray("status", "--store", store)[1].splitlines()[0].startswith(str(store)[:20])


def test_every_reading_command__knows_both_clocks(xray, store, tmp_path):
    before = ("--as-of", "2024-06-30")
    early = json.loads(xray("status", "--store", store, *before, "--json")[1])["rows"]["reports"]
    assert 0 < early < json.loads(xray("status", "--store", store, "--json")[1])["rows"]["reports"]
    fetched = json.loads(xray("status", "--store", store, *before, "--clock", "fetched", "--json")[1])
    assert fetched["rows"]["reports"] == 0
    report = ("report", "portfolio", "--store", store, "--out", tmp_path / "p.html", *before)
    code, _, err = xray(*report, "--clock", "fetched")
    assert (code, "the snapshot has no reports" in err) == (2, True)
    assert xray(*report)[0] == 0
    assert "--as-of 2024-06-30 --clock available" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_tables__lists_describes_and_writes(xray, tmp_path):
    assert all(name in xray("tables")[1] for name in tables.TABLES)
    assert "default_probability" in xray("tables", "reports")[1]
    assert xray("tables", "report")[0] == 2
    assert [t["name"] for t in json.loads(xray("tables", "--json")[1])] == list(tables.TABLES)
    xray("tables", "--write", tmp_path / "d.md")
    assert (tmp_path / "d.md").read_text() == tables.to_markdown()
    target = tmp_path / "d.md" / "e.md"
    code, _, err = xray("tables", "--write", target)
    assert (code, err) == (2, f"xray: {target} cannot be written: Not a directory; name another file\n")


def test_inspect__names_what_is_not_recognised(xray, tmp_path):
    entry = {"date": "2025-01-02", "montant": 1.5, "label": "VIR"}
    report = {"id": "65" * 12, "source": "bank_xray", "raw": {"allTransactions": [entry]}}
    (tmp_path / "r.json").write_text(json.dumps({"report": report}))
    code, out, _ = xray("inspect", tmp_path / "r.json")
    assert code == 0
    assert "montant" in out
    assert "[transaction_aliases]" in out
    for text, found in {
        "<html>": "another text",
        '{"report": ': "the end of the text",
        "": "the end of the text",
    }.items():
        (tmp_path / "r.json").write_text(text)
        code, _, err = xray("inspect", tmp_path / "r.json")
        assert (code, err.count("\n")) == (1, 1)
        assert err.startswith(f"xray: {tmp_path / 'r.json'}: $: expected one JSON value, found {found} at position")
        assert "quarantine" not in err, "it is kept nowhere"


def test_verify__whole_and_damaged(xray, store, sandbox, tmp_path):
    assert xray("verify", "--store", store)[:2] == (0, "The store is whole.\n")
    with XRayClient(sandbox.settings()) as client:
        sync(client, Store(tmp_path / "s"))
    part = next((tmp_path / "s" / "parts" / "reports").iterdir())
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o600)
    part.write_bytes(data)
    code, out, _ = xray("verify", "--store", tmp_path / "s")
    assert (code, part.name in out) == (6, True)
    assert xray("read", "reports", "--store", tmp_path / "s")[0] == 6


def test_report_portfolio__is_written_once(xray, store, tmp_path):
    out = tmp_path / "p.html"
    assert xray("report", "portfolio", "--store", store, "--out", out)[0] == 0
    assert out.read_text(encoding="utf-8").count("<svg") >= 5
    code, _, err = xray("report", "portfolio", "--store", store, "--out", out)
    assert (code, "--force" in err) == (2, True)
    assert xray("report", "portfolio", "--store", store, "--out", out, "--force")[0] == 0


def test_usage__unknown_command_is_2(xray):
    code, _, err = xray("snyc")
    assert (code, "No such command" in err) == (2, True)


def commands(app=cli.app, family=""):
    names = [f"{family}{c.name or c.callback.__name__}" for c in app.registered_commands]
    inner = [name for g in app.registered_groups for name in commands(g.typer_instance, f"{family}{g.name} ")]
    return names + inner


@pytest.mark.parametrize("command", commands())
def test_command__has_help_with_an_example_and_is_in_the_readme(xray, command):
    code, out, _ = xray(*command.split(), "--help")
    assert code == 0
    assert f"Example: xray {command}" in " ".join(out.split())
    assert f"`xray {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_help__is_light():
    code = (
        "import sys; sys.argv = ['xray', '--help']\n"
        "from xray_analytics import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'pyarrow', 'duckdb', 'matplotlib', 'scipy', 'requests'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_demo__end_to_end_and_a_second_run(xray, tmp_path):
    code, out, _ = xray("demo", "--out", tmp_path / "demo", "--companies", "12", "--seed", "3")
    assert code == 0
    assert "SYNTHETIC" in out or "fictitious" in out
    html = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") >= 5
    assert (tmp_path / "demo" / "report.xlsx").read_bytes().startswith(b"PK")
    assert (tmp_path / "demo" / "company.pdf").read_bytes().startswith(b"%PDF")
    code, out, _ = xray("demo", "--out", tmp_path / "demo", "--companies", "12", "--seed", "3")
    assert code == 0
    assert re.search(r"^Nothing new", out, re.MULTILINE)
