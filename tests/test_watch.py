"""`xray watch`: every rule of the list on screen, in JSON, at any width."""

import json
import re

import pandas as pd
import pytest

from xray_analytics import Sandbox, Store, XRayClient, attach, monitoring, sync
from xray_analytics.cli import terminal
from xray_analytics.report import portfolio, transactions
from xray_analytics.report.watch_list import watched


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("watch") / "store")
    with Sandbox(companies=24, seed=5, clean=True) as sandbox, XRayClient(sandbox.settings()) as client:
        sync(client, made)
        attach(made, sandbox.companies(), table="companies")
    return made


@pytest.fixture(scope="module")
def rows(store):
    return watched(store.snapshot())


def test_rules_on_entries_fire_too(rows):
    assert rows.attrs["base"]["filters"]["rules"] == list(monitoring.shipped_rules())
    assert {"new_reject", "missed_urssaf"} & set(rows["rule"])
    assert list(rows.columns[:2]) == ["company_id", "company_name"]


def test_the_report_has_the_same_list_and_pieces_change_nothing(store, rows, monkeypatch):
    monkeypatch.setattr(transactions, "COMPANIES_AT_ONCE", 5)
    found = portfolio.analyse(store.snapshot())
    columns = ["rule", "before", "after", "evidence"]
    pd.testing.assert_frame_equal(found.watch[columns], rows[columns])
    with_one = monkeypatch.setattr(transactions, "COMPANIES_AT_ONCE", 10_000) or portfolio.analyse(store.snapshot())
    for name in ("ledger", "incidents", "recurring", "concentration"):
        many, one = getattr(found.entries, name), getattr(with_one.entries, name)
        keys = [column for column in ("company_id", "report_id", "check") if column in one]
        assert many.attrs["base"] == one.attrs["base"]
        ordered = [frame.sort_values([*keys, *frame.columns], ignore_index=True) for frame in (many, one)]
        pd.testing.assert_frame_equal(*ordered)


def test_json_is_the_list(xray, store, rows):
    code, out, _ = xray("watch", "--store", store.path, "--json", "--limit", 3)
    listed = json.loads(out)
    assert (code, len(listed)) == (0, 3)
    assert [row["evidence"] for row in listed] == rows["evidence"].head(3).tolist()
    assert {"before", "after", "first_seen"} <= set(listed[0])


def test_as_of_looks_back(xray, store):
    code, out, _ = xray("watch", "--store", store.path, "--as-of", "2024-12-31")
    assert code == 0
    assert out.startswith("Watch list as of 2024-12-31")
    code, _, err = xray("watch", "--store", store.path, "--as-of", "2001-01-01")
    assert (code, "no reports to watch" in err) == (2, True)


@pytest.mark.parametrize("width", [80, 160])
def test_screen_lines_fit_numbers_are_whole_and_the_cut_is_told(rows, monkeypatch, capsys, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(terminal.sys.stdout, "isatty", lambda: True, raising=False)
    terminal.show_watch(rows, 2)
    out = capsys.readouterr().out
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert max(map(len, lines)) <= width
    assert f"… {len(rows) - 2:,} more rows; --limit shows more" in out
    assert all(code in out for code in rows["company_id"].head(2))
    assert not re.search(r"\x1b\[(3[0-7]|9[0-7])m", out)  # weight and shade, no colour
