"""The README says only what is true today: its examples run, its commands and links exist."""

import re
import tomllib
from pathlib import Path

import xray_analytics as xa
from xray_analytics.settings import read_settings_file

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language, containing):
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [text for text in blocks if containing in text]
    return found


def test_python__the_example_runs(tmp_path):
    small = block("python", "xa.Sandbox").replace("companies=200", "companies=12")
    names = {}
    exec(small.replace('"data/store"', repr(str(tmp_path / "store"))), names)
    assert names["book"]["n_companies"].sum() == names["book"].attrs["base"]["used"] > 0
    assert names["ax"].get_title(loc="left") or names["ax"].get_title()
    assert names["tx"].aggregate("count(*)").fetchall()[0][0] > 0


def test_python__from_a_company_number_to_its_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("february.pdf").write_bytes(b"%PDF-1.4\nfebruary\n%%EOF\n")
    with xa.Sandbox(companies=2, seed=3, report_delay=0.1) as sandbox:
        names = {"xa": xa, "settings": sandbox.settings(poll_seconds=0.1), "store": xa.Store(tmp_path / "store")}
        exec(block("python", "wait_for_report"), names)
    assert names["report"]["request"] == names["request"].id
    assert list(names["store"].snapshot().read("reports")["report_id"]) == [names["report"].id]


def test_settings__the_example_is_accepted(tmp_path):
    text = block("toml", "[sources]")
    assert tomllib.loads(text)["workers"] == 8
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    assert read_settings_file(file)["sources"]["doc"] == "doc_xray"


def test_links_and_pictures__exist():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) >= 4
    assert [t for t in targets if not (ROOT / t).exists()] == []


def test_modules__are_those_of_the_package():
    named = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    analyses = {"portfolio", "migration", "flags", "ratios", "cashflow", "monitoring", "quality", "validation"}
    assert analyses | {"backtest", "export"} == named
    assert named <= set(xa.__all__)
