"""A command loads what it needs: each is run in a process of its own, which then says what it has loaded."""

import json
import os
import subprocess
import sys

import pytest

from xray_analytics import Sandbox, Store, XRayClient, import_files, sync

# Of what draws, computes and writes reports, nothing is needed to bring data in or to read them.
REPORTS = {"matplotlib", "fpdf", "scipy", "xlsxwriter", "jinja2", "PIL"}
ANALYSES = {"narwhals"}
SERVERS = {"starlette", "uvicorn"}
NETWORK = {"requests", "urllib3"}
QUERIES = {"duckdb"}

PROGRAM = """
import json, sys
told, code = sys.argv.pop(1), 0
{statement}
with open(told, "w") as file:
    json.dump([code, sorted({{name.partition(".")[0] for name in sys.modules}})], file)
"""
COMMAND = """
from xray_analytics import cli
try:
    cli.main()
except SystemExit as end:
    code = end.code or 0
"""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(companies=4, seed=5, clean=True) as running:
        yield running


@pytest.fixture(scope="module")
def store(sandbox, tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("loading") / "store")
    with XRayClient(sandbox.settings()) as client:
        sync(client, made)
    return made


@pytest.fixture(scope="module")
def files(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for number, row in enumerate(store.bodies()):
        (folder / f"{number}.json").write_bytes(row.body)
    return folder


@pytest.fixture
def loaded(sandbox, tmp_path):
    """Run a program; the top-level names it has loaded by its end."""
    settings = sandbox.settings()
    service = {
        "XRAY_BASE_URL": settings.base_url,
        "XRAY_USER_ID": settings.user_id.reveal(),
        "XRAY_SESSION_TOKEN": settings.session_token.reveal(),
    }

    def run(statement, *words):
        told = tmp_path / "loaded.json"
        program = PROGRAM.format(statement=statement)
        words = [sys.executable, "-c", program, told, *words]
        done = subprocess.run(
            list(map(str, words)), env=os.environ | service, capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr
        code, names = json.loads(told.read_text())
        assert code == 0, done.stderr
        return set(names)

    return run


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        ("tables", REPORTS | ANALYSES | SERVERS | NETWORK | QUERIES),
        ("tables reports", REPORTS | ANALYSES | SERVERS | NETWORK | QUERIES),
        ("tables --write dictionary.md", REPORTS | ANALYSES | SERVERS | NETWORK | QUERIES),
        ("status --store STORE", REPORTS | ANALYSES | SERVERS | NETWORK),
        ("read reports --store STORE --format table", REPORTS | ANALYSES | SERVERS | NETWORK),
        ("read reports --store STORE --out rows.csv", REPORTS | ANALYSES | SERVERS | NETWORK),
        ("read reports --store STORE --out rows.parquet", REPORTS | ANALYSES | SERVERS | NETWORK),
        ("verify --store STORE", REPORTS | ANALYSES | SERVERS | NETWORK),
        ("import FILES --store new", REPORTS | ANALYSES | SERVERS),
        ("inspect FILE", REPORTS | ANALYSES | SERVERS),
        ("sync --store new", REPORTS | ANALYSES | SERVERS),
        ("wait REQUEST --timeout 60s --store new", REPORTS | ANALYSES | SERVERS),
        ("request list", REPORTS | ANALYSES | SERVERS | QUERIES),
    ],
)
def test_command__loads_what_it_needs(loaded, store, files, words, absent):
    reports = store.snapshot().read("reports")
    request_id = reports.loc[reports["product"] == "bank", "request_id"].iloc[0]
    report = min(path for path in files.iterdir() if b'"bank_xray"' in path.read_bytes())
    told = {"STORE": store.path, "FILES": files, "FILE": report, "REQUEST": request_id}
    assert loaded(COMMAND, *(told.get(word, word) for word in words.split())) & absent == set()


def test_command__that_draws_loads_what_draws(loaded, store):
    names = loaded(COMMAND, "report", "portfolio", "--store", store.path, "--out", "r.html")
    assert names >= {"matplotlib", "scipy", "jinja2", "narwhals", "duckdb", "pandas"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import xray_analytics as xa\nwith xa.progress() as bars: bars('files', 1, 2)",
            {"pandas", "pyarrow", "numpy"},
        ),
        ("import xray_analytics as xa\nxa.import_files([sys.argv[1]], xa.Store('new'))", {"rich"}),
    ],
)
def test_function__loads_what_it_needs(loaded, files, statement, absent):
    assert loaded(statement, files) & (absent | REPORTS | ANALYSES | SERVERS | {"typer"}) == set()


def test_files__are_a_whole_store(store, files, tmp_path):
    """What the commands above run on is no empty case."""
    assert import_files([files], Store(tmp_path / "store")).n_published > 4
