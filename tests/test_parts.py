"""A large store part by part: how it is cut never changes a result; and the engine settles overlaps as pandas does."""

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_frames import economy_frames
from test_incidents import entries, report

from xray_analytics.analysis import cashflow, chunks, frames, quality
from xray_analytics.analysis.cashflow.deduplication import (
    MINE,
    company_entries,
    covered_days,
    settled_entries,
)
from xray_analytics.errors import InputError
from xray_analytics.tables import REPORTS, TRANSACTIONS, table

KERNELS = {
    "recurring": lambda t, r, s: cashflow.recurring(t, r, statements=s),
    "incidents": lambda t, r, s: cashflow.incidents(t, r, statements=s),
    "daily_balances": lambda t, r, s: cashflow.daily_balances(t, s),
    "reconciliation": lambda t, r, s: quality.reconciliation(s, t),
}


@pytest.fixture(scope="module")
def economy():
    """The tables of six companies, in pandas and in DuckDB."""
    _, made = economy_frames(40, 11)
    names = ("transactions", "reports", "statement_summaries")
    few = sorted(made["reports"]["company_id"].unique())[:6]
    ids = made["reports"].loc[made["reports"]["company_id"].isin(few), "report_id"]
    chosen = {name: made[name][made[name]["report_id"].isin(ids)] for name in names}
    connection = duckdb.connect()
    arrow = {name: table(name).conform(frame) for name, frame in chosen.items()}
    return list(chosen.values()), [connection.from_arrow(arrow[name]) for name in names]


@pytest.mark.parametrize("kernel", KERNELS)
def test_any_size_of_part_gives_the_same_result(kernel, economy, monkeypatch):
    in_pandas, in_duckdb = economy
    want = KERNELS[kernel](*in_pandas)
    assert len(want) > 20
    assert want.attrs["base"]["used"] >= 6
    for n_rows, given_frames in ((1, in_pandas), (700, in_duckdb)):
        monkeypatch.setattr(chunks, "ROWS_AT_ONCE", n_rows)
        found = KERNELS[kernel](*given_frames)
        pd.testing.assert_frame_equal(found, want, rtol=1e-9)
        assert found.attrs == want.attrs


def test_a_kernel_never_holds_more_than_its_part(economy, monkeypatch):
    """Counted: no frame that leaves the engine for a kernel is longer than a part and its last company."""
    _, (transactions, reports, _) = economy
    monkeypatch.setattr(chunks, "ROWS_AT_ONCE", 700)
    collect, lengths = frames.collect, []
    monkeypatch.setattr(frames, "collect", lambda *a: lengths.append(len(f := collect(*a))) or f)
    cashflow.recurring(transactions, reports)
    by_company = transactions.join(reports, "report_id").aggregate("company_id, count(*) AS n").df()["n"]
    assert 700 <= max(lengths) < 700 + by_company.max() < by_company.sum()


@given(st.lists(st.sampled_from("abcdefg"), max_size=40), st.integers(1, 50))
def test_parts_hold_every_row_once_and_cut_no_company(companies, n_rows):
    rows = frames.scan(pd.DataFrame({"company_id": pd.array(companies, "string")}), REPORTS, ["company_id"])
    cuts = chunks.parts(rows, "company_id", n_rows)
    found = [frames.collect(chunks.within(rows, "company_id", part), REPORTS)["company_id"].tolist() for part in cuts]
    assert sorted(company for part in found for company in part) == sorted(companies)
    assert sum(len(set(part)) for part in found) == len(set(companies))
    assert all(len(part) < n_rows + companies.count(max(part)) for part in found if part)


@given(st.lists(st.one_of(st.none(), st.sampled_from("abcdefg")), max_size=20), st.integers(1, 9))
def test_pieces_of_companies_hold_every_report_once_and_cut_no_company(companies, n):
    reports = pd.DataFrame({"company_id": pd.array(companies, "string")})
    pieces = list(chunks.of_companies(reports, n))
    assert sorted(row for piece in pieces for row in piece.index) == list(range(len(companies)))
    assert len(pieces) == max(1, -(-len(set(companies)) // n))
    assert sum(piece["company_id"].nunique(dropna=False) for piece in pieces) == len(set(companies))


def test_frames_that_are_none_are_refused_part_by_part_too(economy, monkeypatch):
    _, (transactions, _, statements) = economy
    monkeypatch.setattr(chunks, "ROWS_AT_ONCE", 1)
    with pytest.raises(InputError, match="statement_summaries: expected a frame"):
        cashflow.daily_balances(transactions, 7)
    with pytest.raises(InputError, match="transactions lacks amount"):
        cashflow.daily_balances(transactions.project("* EXCLUDE (amount)"), statements)


DAY = st.integers(0, 9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xy"), st.integers(1, 3), DAY, DAY), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), DAY)), max_size=12),
)
def test_the_engine_settles_overlaps_as_pandas_does(given_reports, given_entries):
    base = pd.Timestamp("2025-01-01")
    rows = [
        (f"r{no}", company, base + pd.Timedelta(days=400 + created), base + pd.Timedelta(days=start),
         base + pd.Timedelta(days=end))
        for no, (company, created, start, end) in enumerate(given_reports)
    ]  # fmt: skip
    reports = report(*rows)
    booked = [[(None if day is None else base + pd.Timedelta(days=day), "X", 2.0**no)
               for no, (of, day) in enumerate(given_entries) if of == n] for n in range(len(rows))]  # fmt: skip
    found = [TRANSACTIONS.to_pandas(entries(row[0], *some)) for row, some in zip(rows, booked, strict=True) if some]
    transactions = TRANSACTIONS.conform(pd.concat(found)) if found else TRANSACTIONS.empty()
    kept, left_out = company_entries(transactions, covered_days(reports), ())
    connection = duckdb.connect()
    for of in (lambda arrow: arrow, connection.from_arrow):
        rows, _ = settled_entries(of(transactions), of(reports), ())
        settled = frames.collect(rows, REPORTS)
        mine = settled[settled["state"] == MINE]
        assert sorted(mine["amount"].astype(float)) == sorted(kept["amount"])
        counts = settled["state"].value_counts()
        assert {reason: int(counts.get(reason, 0)) for reason in left_out} == left_out
