"""Every report is built alike: results that know no form, one document of them, drawn once for all its forms."""

import gc
import weakref
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pytest

import xray_analytics
from xray_analytics import tables
from xray_analytics.report import portfolio
from xray_analytics.report.document import page
from xray_analytics.report.document.document import Document, drawn_once

FOLDER = Path(xray_analytics.__file__).parent / "report"
WINGS = sorted(path.parent.name for path in FOLDER.glob("*/report.py"))
EDITION = portfolio.Edition(as_of="2025-06-30")


@dataclass(frozen=True, eq=False)
class Results:
    rows: list


def test_there_are_three_reports():
    assert WINGS == ["company", "portfolio", "validation"]


@pytest.mark.parametrize("wing", WINGS)
def test_a_report_has_the_files_and_the_door_of_every_report(wing):
    assert {"results.py", "chapters.py", "report.py"} <= {path.name for path in (FOLDER / wing).iterdir()}
    door = import_module(f"xray_analytics.report.{wing}")
    shared = {"FORMS", "Edition", "analyse", "analysed", "document", "render", f"write_{wing}_report"}
    assert shared <= set(door.__all__)
    assert all(hasattr(door, name) for name in door.__all__)
    modules = {path.stem for path in (FOLDER / wing).glob("*.py")}
    assert {name for name in vars(door) if not name.startswith("__")} - modules == set(door.__all__)


@pytest.mark.parametrize("wing", WINGS)
def test_results_and_what_stands_below_them_do_not_know_the_form(wing):
    assert (FOLDER / wing / "results.py").exists()
    below = [*FOLDER.glob("*.py"), *(FOLDER / wing / f"{name}.py" for name in ("results", "cohorts", "verdicts"))]
    read = [path for path in below if path.exists() and ".document" in path.read_text(encoding="utf-8")]
    assert read == []


def test_the_document_of_results_is_made_once_and_dies_with_them():
    made = []
    document = drawn_once(lambda results: made.append(results.rows) or Document(EDITION, "Nothing", (), ()))
    one, other = Results([1]), Results([1])
    assert document(one) is document(one)
    assert document(one) is not document(other)
    assert made == [[1], [1]]
    gone = weakref.ref(document(one))
    del one
    gc.collect()
    assert gone() is None


def test_charts_are_drawn_once_for_all_forms(tmp_path, monkeypatch):
    drawn, blank = [], page.blank_axes
    monkeypatch.setattr(page, "blank_axes", lambda *size: drawn.append(size) or blank(*size))
    frames = {name: tables.table(name).to_pandas(tables.table(name).empty()) for name in portfolio.READ}
    results = portfolio.analysed(frames, EDITION)
    portfolio.render(results)
    once = len(drawn)
    assert once > 10
    for form in portfolio.FORMS:
        portfolio.write_portfolio_report(results, tmp_path / f"report{form}")
    assert len(drawn) == once
    portfolio.render(replace(results, edition=replace(EDITION, title="Another")))
    assert len(drawn) == 2 * once
