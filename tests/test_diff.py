"""What changed between two snapshots: reports that came, went or were withdrawn, and figures that differ."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from store_rows import day, make, report

from xray_analytics.store import Store
from xray_analytics.store.diff import COLUMNS

NAMES = ["report_id", "change", "column", "before", "after"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Day 1: reports 1 and 2. Day 3: 1 is revised, 3 comes. Day 5: 2 is withdrawn."""
    store = Store(tmp_path / "store")
    first = {"is_rated": True, "bank_risk_class": 2, "bank_score": 61.5, "company_id": "514673987"}
    unrated = first | {"is_rated": False, "bank_risk_class": None, "bank_score": 40.0}
    third = report(3, fetched=3, product="financial", default_probability=0.25)
    batches = [
        (make("reports", report(1, fetched=1, **first), report(2, fetched=1)), {}),
        (make("reports", report(1, 2, fetched=3, **unrated), third), {}),
        (make("reports"), {"withdrawn": {f"{2:024x}": day(5).isoformat()}}),
    ]
    with store.writer() as writer:
        for rows, cursor in batches:
            writer.append("reports", rows)
            writer.commit(cursor=cursor)
    return store


def listed(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    rows = frame[NAMES].astype(object).where(frame[NAMES].notna(), None)
    return [(int(row[0], 16), *row[1:]) for row in rows.itertuples(index=False, name=None)]


def test_diff__says_what_came_and_what_changed(store: Store) -> None:
    before, after = store.snapshot(day(2)), store.snapshot(day(4))
    found = before.diff(after)
    assert listed(found) == [
        (1, "revised", "bank_risk_class", 2, None),
        (1, "revised", "bank_score", 61.5, 40),
        (1, "revised", "is_rated", 1, 0),
        (1, "revised", "report_version", 1, 2),
        (3, "new", None, None, None),
    ]
    assert list(found["company_id"].fillna("-")) == ["514673987"] * 4 + ["-"]
    assert list(found["product"]) == ["bank"] * 4 + ["financial"]


def test_diff__the_other_way_round(store: Store) -> None:
    found = store.snapshot(day(4)).diff(store.snapshot(day(2)))
    assert listed(found)[1:] == [
        (1, "revised", "bank_score", 40, 61.5),
        (1, "revised", "is_rated", 0, 1),
        (1, "revised", "report_version", 2, 1),
        (3, "gone", None, None, None),
    ]


def test_diff__withdrawn_is_a_mark_and_the_report_stays(store: Store) -> None:
    before, after = store.snapshot(day(4)), store.snapshot(day(6))
    assert listed(before.diff(after)) == [(2, "withdrawn", None, None, None)]
    assert (before.withdrawn(), after.withdrawn()) == ({}, {f"{2:024x}": day(5)})
    assert after.rows()["reports"] == 3
    assert store.snapshot(day(5) - timedelta(microseconds=1)).withdrawn() == {}


def test_diff__nothing_and_everything_have_the_same_columns(store: Store) -> None:
    now, never = store.snapshot(), store.snapshot("2020-01-01")
    same, all_of_it = now.diff(now), never.diff(now)
    assert (len(same), list(same.columns), list(all_of_it.columns)) == (0, list(COLUMNS), list(COLUMNS))
    assert list(all_of_it["change"]) == ["new", "new", "withdrawn", "new"]
    assert dict(same.dtypes) == dict(all_of_it.dtypes)
    assert {str(same.dtypes[name]) for name in ("before", "after")} == {"float64"}
