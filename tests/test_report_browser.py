"""The pages in a real browser, where there is one: nothing is blocked, nothing overflows, two sheets stay two."""

import re
import shutil
import subprocess

import pytest

from xray_analytics import Sandbox, Store, XRayClient, attach, sync
from xray_analytics.report import company, portfolio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (390, 794, 1280)  # a phone, A4 at 96 dots per inch, a screen
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


def browse(*arguments):
    """Run the browser to its end: standard output and error."""
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    ends = ("--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND")
    command = [CHROMIUM, *quiet, *ends, "--enable-logging=stderr", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    store = Store(folder / "store")
    with Sandbox(companies=30, seed=5) as sandbox, XRayClient(sandbox.settings()) as client:
        sync(client, store)
        for name in ("companies", "exposures"):
            attach(store, getattr(sandbox, name)(), table=name)
    snapshot = store.snapshot()
    bank = snapshot.read("reports", where="product = 'bank'", columns=["company_id", "n_transactions"])
    busiest = str(bank.groupby("company_id")["n_transactions"].sum().idxmax())
    return {
        "portfolio": portfolio.write_portfolio_report(portfolio.analyse(snapshot), folder / "portfolio.html"),
        "company": company.write_company_report(company.analyse(snapshot, busiest), folder / "company.html"),
    }


def test_no_complaint_no_request_and_no_overflow(pages, tmp_path):
    frames = "".join(
        f'<iframe data-name="{name} at {width}" src="{path.as_uri()}" width="{width}" height="900"></iframe>'
        for name, path in pages.items()
        for width in WIDTHS
    )
    script = """addEventListener('load', () => { for (const f of document.querySelectorAll('iframe')) {
        const page = f.contentDocument, root = page.documentElement;
        const loaded = f.contentWindow.performance.getEntriesByType('resource').length;
        const p = document.createElement('p');
        p.textContent = [f.dataset.name, root.scrollWidth - root.clientWidth, loaded, page.title].join('|');
        document.body.append(p); } });"""
    (tmp_path / "frames.html").write_text(f"<!doctype html><body>{frames}<script>{script}</script>", encoding="utf-8")
    out, err = browse(
        "--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom",
        (tmp_path / "frames.html").as_uri(),
    )  # fmt: skip
    told = [line.split("|") for line in re.findall(r"<p>(.*?)</p>", out)]
    assert len(told) == len(pages) * len(WIDTHS)
    assert [(name, over) for name, over, _, _ in told if over != "0"] == []
    assert {loaded for _, _, loaded, _ in told} == {"0"}
    assert [line for line in err.splitlines() if "CONSOLE" in line] == []


def test_a_tear_sheet_prints_on_two_pages_of_a4(pages, tmp_path):
    browse("--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'c.pdf'}", pages["company"].as_uri())
    data = (tmp_path / "c.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 2
    assert re.search(rb"/MediaBox\s*\[0 0 59[45](\.\d+)? 84[12]", data)
