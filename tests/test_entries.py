"""Every entry once: against a ledger that knows what was booked, on every engine, in any order, tied to the months."""

import json
import random
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from test_basis import COMPANY, A, B, entry, flows_of, report, statement, tidied

import xray_analytics as xa
from xray_analytics import tables
from xray_analytics.analysis import cashflow
from xray_analytics.analysis.cashflow.deduplication import covered_days

C = "DE89370400440532013000"
FIRST, LAST = date(2024, 12, 31), date(2025, 6, 30)
MONTH_ENDS = [date(2025, m, 1) - timedelta(1) for m in range(1, 7)] + [LAST]
SEEDS = range(25)


def ledger(rng, ibans):
    """What was booked: account, day, amount, label; some entries twice on one day."""
    rows = []
    for _ in range(rng.randint(5, 40)):
        day = FIRST + timedelta(rng.randint(1, (LAST - FIRST).days))
        row = (rng.choice(ibans), day, rng.randint(-30_000, 30_000) / 100, rng.choice(["RENT", "CLIENT A", "FEE"]))
        rows += [row] * rng.choice([1, 1, 1, 2])
    return rows


def cut(rng, start, end):
    """Statements from start to end: at ends of months, or one for all."""
    inner = [day for day in MONTH_ENDS if start < day < end] if rng.random() < 0.7 else []
    bounds = [start, *inner, end]
    return list(pairwise(bounds))


def seen(rng, booked, windows, no, *, lost=False):
    """A report with these accounts, each from a start to an end; with `lost` no amount can be read."""
    statements, entries = [], []
    for iban, (start, end) in windows.items():
        for after, until in cut(rng, start, end):
            own = [row for row in booked if row[0] == iban and after < row[1] <= until]
            credit = sum(round(row[2] * 100) for row in own if row[2] > 0) / 100
            debit = -sum(round(row[2] * 100) for row in own if row[2] < 0) / 100
            # a statement without movements names no balance that stood still: its totals say so
            statements.append(statement(str(after), str(until), credit=credit, debit=debit, sb=0, iban=iban,
                                        eb=round(credit - debit, 2)))  # fmt: skip
            for _, day, amount, label in own:
                spaced = label.replace(" ", rng.choice([" ", "  ", "\t", "\u00a0"])) + rng.choice(["", " "])
                entries.append(entry(str(day), None if lost else amount, iban=iban) | {"label": spaced})
    rng.shuffle(entries)
    return report(statements, entries, no=no, created=f"2025-07-{no + 1:02d}T00:00:00Z")


def world(seed, *, lost=0.0, accounts=None):
    """A ledger, and reports that each saw some of its accounts for some of its days."""
    rng = random.Random(seed)
    ibans = [A, B, C][: accounts or rng.randint(1, 3)]
    booked, reports, windows = ledger(rng, ibans), [], []
    for no in range(rng.randint(1, 4)):
        days = [FIRST, *MONTH_ENDS[1:], FIRST + timedelta(rng.randint(20, 160))]
        window = {}
        for iban in rng.sample(ibans, rng.randint(1, len(ibans))):
            start, end = sorted(rng.sample(days, 2))
            window[iban] = (start, max(end, start + timedelta(1)))
        is_lost = rng.random() < lost
        windows.append((window, is_lost))
        reports.append(seen(rng, booked, window, no, lost=is_lost))
    return booked, windows, reports


def entries_of(found, **more):
    return cashflow.entries(found["transactions"], found["reports"], found["statement_summaries"], **more)


def shown(entries):
    """What an entry is, whoever said it: account, day, amount, folded label, and how many reports hold it."""
    label = entries["label"].str.split().str.join(" ")
    day = pd.to_datetime(entries["booked_date"]).dt.date
    rows = zip(entries["account_id"], day, entries["amount"], label, entries["n_reports_seen"], strict=True)
    return Counter(rows)


def covering(windows, iban, day):
    return [no for no, (window, _) in enumerate(windows) if iban in window and window[iban][0] < day <= window[iban][1]]


@pytest.mark.parametrize("seed", SEEDS)
def test_entries__are_those_of_the_ledger_on_the_days_covered(seed):
    booked, windows, reports = world(seed)
    found = entries_of(tidied(*reports))
    n_covering = [(row, len(covering(windows, row[0], row[1]))) for row in booked]
    assert shown(found) == Counter((*row, n) for row, n in n_covering if n)
    excluded = found.attrs["base"]["excluded"]
    assert excluded == {
        "in_other_report": sum(n - 1 for _, n in n_covering if n), "outside_coverage": 0, "without_day_or_amount": 0,
        "no_company": 0,
    }  # fmt: skip
    assert list(found.columns) == list(tables.ENTRIES.names)
    assert set(found["company_id"]) <= {COMPANY}


@pytest.mark.parametrize("seed", SEEDS)
def test_entries__a_report_that_cannot_be_read_silences_none(seed):
    booked, windows, reports = world(seed, lost=0.4)
    found = entries_of(tidied(*reports))
    expected = Counter()
    for row in booked:
        said = [no for no in covering(windows, row[0], row[1]) if not windows[no][1]]
        expected.update([(*row, len(said))] if said else [])
    assert shown(found) == expected
    n_lost = sum(
        len(one["raw"]["allTransactions"]) for one, (_, is_lost) in zip(reports, windows, strict=True) if is_lost
    )
    assert found.attrs["base"]["excluded"]["without_day_or_amount"] == n_lost


@pytest.mark.parametrize("seed", SEEDS)
def test_tie__entries_on_joint_days_are_the_monthly_flows_to_the_cent(seed):
    _, _, reports = world(seed, lost=0.2)
    frames = tidied(*reports)
    flows = flows_of(frames, together=True)
    flows = flows[flows["flow_basis"] == "entries"]
    joint = covered_days(frames["reports"], frames["statement_summaries"]).joint()
    days = set(joint["day"].to_numpy("int64").astype("datetime64[D]").astype("datetime64[us]").tolist())
    found = entries_of(frames)
    found["is_joint"] = pd.Series([day.to_pydatetime() in days for day in found["booked_date"]], dtype="bool")
    assert found.attrs["base"]["filters"] == {"not_joint": int((~found["is_joint"]).sum())}
    used = found[found["is_joint"]]
    month = used["booked_date"].dt.to_period("M")
    for row in flows.itertuples():
        own = used[month == pd.Timestamp(row.month).to_period("M")]
        assert round(own["amount"].clip(lower=0).sum(), 2) == round(row.total_credit, 2), row.month
        assert round(-own["amount"].clip(upper=0).sum(), 2) == round(row.total_debit, 2), row.month


def test_tie__is_not_one_of_naive_sums():
    """Account A in January and February, B in February only: entries say 180, joint flows 80, and the base why."""
    months = [statement("2024-12-31", "2025-01-31"), statement("2025-01-31", "2025-02-28")]
    both = [*months, statement("2025-01-31", "2025-02-28", iban=B)]
    frames = tidied(report(both, [entry("2025-01-10", 100), entry("2025-02-10", 50), entry("2025-02-11", 30, iban=B)]))
    found = entries_of(frames)
    assert found["amount"].sum() == 180
    assert found.attrs["base"]["filters"] == {"not_joint": 1}
    assert flows_of(frames, together=True)["total_credit"].sum() == 80


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_entries__in_any_order_of_rows_and_reports(seed):
    _, _, reports = world(seed, lost=0.2)
    once = entries_of(tidied(*reports))
    random.Random(seed).shuffle(reports)
    frames = {name: table.sample(frac=1, random_state=seed) for name, table in tidied(*reports).items()}
    pd.testing.assert_frame_equal(entries_of(frames), once)


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_entries__a_report_split_into_overlapping_ones_gives_the_same(seed):
    rng = random.Random(seed)
    booked = ledger(rng, [A])
    whole = entries_of(tidied(seen(rng, booked, {A: (FIRST, LAST)}, 0)))
    cuts = [(FIRST, MONTH_ENDS[3]), (MONTH_ENDS[1], MONTH_ENDS[5]), (MONTH_ENDS[4], LAST)]
    parts = entries_of(tidied(*(seen(rng, booked, {A: window}, no) for no, window in enumerate(cuts))))
    assert Counter(row[:4] for row in shown(whole).elements()) == Counter(row[:4] for row in shown(parts).elements())


def test_kth_of_equal_entries__is_the_same_as_the_kth_elsewhere():
    month = [statement("2024-12-31", "2025-01-31")]
    twice, once = [entry("2025-01-10", 5)] * 2, [entry("2025-01-10", 5)]
    old, new = report(month, twice, no=1), report(month, once, no=2, created="2025-02-10T00:00:00Z")
    assert entries_of(tidied(old, new))["n_reports_seen"].tolist() == [2]
    newest_has_two = entries_of(tidied(old | {"creation": "2025-03-10T00:00:00Z"}, new))
    assert newest_has_two["n_reports_seen"].tolist() == [2, 1]


def test_left_out__is_counted():
    month = [statement("2024-12-31", "2025-01-31")]
    given = [entry("2025-01-10", 5), entry("2025-03-10", 7), entry("2025-01-11", None), entry(None, 9)]
    nobody = report(month, given, no=2)
    del nobody["code"]
    found = entries_of(tidied(report(month, given), nobody))
    assert found.attrs["base"]["excluded"] == {
        "in_other_report": 0, "outside_coverage": 1, "without_day_or_amount": 2, "no_company": 4,
    }  # fmt: skip
    assert found["amount"].tolist() == [5]


def test_entries__nothing_given_is_nothing_typed():
    given = (table.empty() for table in (tables.TRANSACTIONS, tables.REPORTS, tables.STATEMENT_SUMMARIES))
    found = cashflow.entries(*given)
    assert (len(found), list(found.columns)) == (0, list(tables.ENTRIES.names))
    assert found["amount"].dtype == "float64"


def in_engine(kind, frame):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    made = {"arrow": lambda: table, "polars": lambda: pl.from_arrow(table), "duckdb": lambda: duckdb.from_arrow(table)}
    return made[kind]()


@pytest.mark.parametrize("kind", ["arrow", "polars", "duckdb"])
def test_engines__agree(kind):
    frames = tidied(*world(3, lost=0.2, accounts=3)[2])
    frames["transactions"]["alerts"] = [["a", "b"] if n % 3 else None for n in range(len(frames["transactions"]))]
    given = {name: in_engine(kind, frame) for name, frame in frames.items()}
    there = entries_of(given)
    pd.testing.assert_frame_equal(there, entries_of(frames))
    assert len(there) > 10


def lazily(store, **more):
    rows = store.snapshot().entries(**more).to_arrow_table().to_pandas()
    order = ["company_id", "booked_date", "report_id", "transaction_no"]
    return rows.sort_values(order, ignore_index=True)


@pytest.mark.parametrize("seeds", [range(12), range(12, 24)])
def test_snapshot__says_lazily_what_the_analysis_says(seeds, tmp_path):
    """The rule stands twice, in pandas and in SQL: many companies at once, with lost entries and nameless accounts."""
    folder, store = tmp_path / "in", xa.Store(tmp_path / "store")
    folder.mkdir()
    for seed in seeds:
        for one in world(seed, lost=0.3)[2]:
            if seed % 4 == 0:  # accounts that cannot all be told apart
                for element in one["raw"]["summary"][::2]:
                    element["iban"] = None
            if seed % 5 == 0:
                one["raw"]["allTransactions"].append({"date": "2030-01-01", "amount": 1, "label": None})
            one["id"], one["code"] = f"s{seed}-{one['id']}", {"type": "siren", "id": f"{seed:09d}"}
            (folder / f"{one['id']}.json").write_text(json.dumps({"report": one}))
    xa.import_files(folder, store)
    snapshot = store.snapshot()
    expected = cashflow.entries(*(snapshot.scan(t) for t in ("transactions", "reports", "statement_summaries")))
    found = lazily(store)
    assert list(found.columns) == list(tables.ENTRIES.names)
    assert len(found) == len(expected) > 100
    same = ["company_id", "report_id", "transaction_no", "amount", "label", "n_reports_seen"]
    expected = expected.sort_values(["company_id", "booked_date", "report_id", "transaction_no"], ignore_index=True)
    pd.testing.assert_frame_equal(found[same], expected[same], check_dtype=False)
    naive = len(snapshot.read("transactions"))
    assert naive > 1.2 * len(found)


def test_snapshot__as_of_sees_what_was_known_then(tmp_path):
    _, _, reports = world(3, accounts=3)
    (tmp_path / "all.json").write_text(json.dumps({"reports": reports}))
    store = xa.Store(tmp_path / "store")
    xa.import_files(tmp_path / "all.json", store)
    assert len(reports) > 1
    then = store.snapshot("2025-07-01")
    given = [then.read(name) for name in ("transactions", "reports", "statement_summaries")]
    rows = then.entries().aggregate("count(*), max(n_reports_seen)").fetchall()
    assert rows == [(len(cashflow.entries(*given)), 1)]
    with pytest.raises(xa.errors.InputError, match="no engine 'pandas'"):
        then.entries(engine="pandas")


def test_dictionary__warns_on_its_first_line_where_a_naive_sum_doubles():
    for name in ("transactions", "monthly_summaries"):
        first = tables.TABLES[name].doc.partition(". ")[0]
        assert "twice" in first or "doubles" in first
    assert "`cashflow.entries` and `snapshot.entries`" in tables.TRANSACTIONS.doc
