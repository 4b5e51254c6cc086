"""Migration: the hand example, states one by one, what is never carried forward, and what must raise."""

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_movement import bank

from xray_analytics.analysis.portfolio import migration
from xray_analytics.errors import InputError
from xray_analytics.tables import LOANS, OUTCOMES, REPORTS

AT = pd.Timestamp("2025-12-31", tz="UTC").as_unit("us")


def lender(table, *rows):
    """Rows of one of the lender's tables, days as text."""
    frame = pd.DataFrame(rows).assign(recorded_at=AT)
    for name in frame.columns:
        if table[name].kind == "date":
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return table.conform(frame)


BOOK = bank(
    ("a1", "a", "2024-03-01", 2), ("a2", "a", "2025-03-01", 3),
    ("b1", "b", "2024-03-01", 2),  # not refreshed
    ("c1", "c", "2024-03-01", 2), ("c2", "c", "2025-03-01", None),
    ("d1", "d", "2024-03-01", 4), ("d2", "d", "2025-03-01", 4),  # defaults
    ("e1", "e", "2024-03-01", 1), ("e2", "e", "2025-03-01", 1),  # closed
    ("f1", "f", "2023-03-01", 1), ("f2", "f", "2025-03-01", 5),  # stale in the cohort of 2024
    ("g1", "g", "2024-03-01", None), ("g2", "g", "2025-02-01", 5), ("g3", "g", "2025-03-01", 2),
    ("h1", "h", "2025-03-01", 3),  # its horizon has not passed
    ("i1", None, "2024-03-01", 3),
)  # fmt: skip
OUTCOMES_3 = lender(
    OUTCOMES,
    {"company_id": "d", "default_date": "2025-05-01", "default_end_date": "2025-09-01"},
    {"company_id": "e", "exit_date": "2025-06-30"},
)
ASKED = {"product": "bank", "as_of": "2025-12-31"}


def states(table, cohort="2024-12-31"):
    rows = table[table["cohort_date"] == cohort]
    return dict(zip(rows["company_id"], zip(rows["from_class"].fillna(0), rows["to_state"], strict=True), strict=True))


def test_transition_table__every_state():
    table = migration.transition_table(BOOK, **ASKED, endings=migration.endings(outcomes=OUTCOMES_3))
    assert list(table.columns) == list(migration.TRANSITIONS.names)
    assert states(table) == {
        "a": (2, "3"), "b": (2, "not_refreshed"), "c": (2, "unrated"), "d": (4, "defaulted"), "e": (1, "closed"),
        "g": (0, "2"),
    }  # fmt: skip
    assert states(table, "2023-12-31") == {"f": (1, "not_refreshed")}
    assert table["horizon_date"].unique().tolist() == [pd.Timestamp("2024-12-31"), pd.Timestamp("2025-12-31")]
    row = table[table["company_id"] == "a"].iloc[0]
    assert (row["from_report_id"], row["to_report_id"]) == ("a1", "a2")
    assert table.attrs["base"]["excluded"] == {"no_company": 1, "stale": 1, "already_defaulted": 0, "already_closed": 0}
    without = states(migration.transition_table(BOOK, **ASKED))
    assert (without["d"], without["e"]) == ((4, "4"), (1, "1"))


def test_transition_table__already_defaulted_or_closed_start_in_no_cohort():
    early = lender(
        OUTCOMES,
        {"company_id": "a", "default_date": "2024-05-01"},
        {"company_id": "b", "exit_date": "2024-12-31"},
        {"company_id": "d", "default_date": "2024-05-01", "default_end_date": "2024-12-31"},  # cured that day
    )
    table = migration.transition_table(BOOK, **ASKED, endings=migration.endings(outcomes=early))
    assert set(states(table)) == {"c", "d", "e", "g"}
    assert table.attrs["base"]["excluded"] == {"no_company": 1, "stale": 1, "already_defaulted": 1, "already_closed": 1}


def test_transition_table__both_ends_see_what_was_available_then():
    book = bank(("a1", "a", "2024-03-01", 2), ("a1", "a", "2025-05-01", 5, 2), ("a2", "a", "2025-06-01", 3))
    assert states(migration.transition_table(book, **ASKED)) == {"a": (2, "3")}


def test_endings__loans_close_a_company_until_the_next_is_drawn():
    loans = lender(
        LOANS,
        {"loan_id": "1", "company_id": "a", "origination_date": "2024-01-01", "closed_date": "2024-06-01"},
        {"loan_id": "2", "company_id": "a", "origination_date": "2024-02-01", "closed_date": "2024-03-01"},
        {
            "loan_id": "3",
            "company_id": "a",
            "origination_date": "2024-06-01",
            "closed_date": "2024-08-01",
        },  # refinanced
        {"loan_id": "4", "company_id": "a", "origination_date": "2025-01-01", "closed_date": None},
        {"loan_id": "5", "company_id": "b", "origination_date": "2024-01-01", "closed_date": "2024-06-01"},
        {"loan_id": "6", "company_id": "c", "origination_date": None, "closed_date": None},  # declined
    )
    spells = migration.endings(loans=loans, outcomes=OUTCOMES.empty())
    days = spells[["from_date", "until_date"]].map(lambda day: str(day)[:10]).to_numpy().tolist()
    assert days == [["2024-08-01", "2025-01-01"], ["2024-06-01", "NaT"]]
    assert spells[["company_id", "state"]].to_numpy().tolist() == [["a", "closed"], ["b", "closed"]]


def test_migration_matrix__is_the_table_counted():
    matrix = migration.migration_matrix(BOOK, **ASKED)
    assert matrix["to_state"].drop_duplicates().tolist() == ["1", "2", "3", "4", "5", "unrated", "not_refreshed"]
    assert matrix["from_class"].drop_duplicates().tolist() == [1, 2, 3, 4, 5, pd.NA]
    assert matrix["n"].sum() == 7
    two = matrix[matrix["from_class"] == 2].set_index("to_state")
    assert two["n"].to_dict() == {"1": 0, "2": 0, "3": 1, "4": 0, "5": 0, "unrated": 1, "not_refreshed": 1}
    assert two["share_ratio"].sum() == pytest.approx(1)
    assert matrix[matrix["from_class"] == 5]["share_ratio"].isna().all()
    assert matrix.dtypes.astype(str).tolist() == ["Int64", "string", "int64", "float64"]
    ended = migration.migration_matrix(BOOK, **ASKED, endings=migration.endings(outcomes=OUTCOMES_3))
    assert ended["to_state"].drop_duplicates().tolist() == list(migration.STATES)


def test_nothing_is_carried_forward():
    once = bank(*((f"r{i}", f"c{i}", "2024-06-01", 1 + i % 5) for i in range(10)))
    matrix = migration.migration_matrix(once, **ASKED)
    assert set(matrix[matrix["n"] > 0]["to_state"]) == {"not_refreshed"}
    assert migration.mobility(matrix)["value"].isna().all()


def square(counts):
    cells = [(i + 1, str(j + 1), n) for i, row in enumerate(counts) for j, n in enumerate(row)]
    return pd.DataFrame(cells, columns=["from_class", "to_state", "n"])


def test_mobility__the_hand_example():
    table = migration.mobility(square([[80, 15, 5], [10, 70, 20], [2, 18, 80]]))
    assert table["figure"].tolist() == [
        "downgrade_share", "upgrade_share", "upper_bandwidth", "lower_bandwidth", "trace_index",
    ]  # fmt: skip
    assert table["value"].tolist() == pytest.approx([40 / 300, 30 / 300, 45 / 60, 32 / 50, 0.35])
    assert table["n"].tolist() == [300, 300, 40, 30, 300]


def test_mobility__only_classes_count_and_null_where_there_is_nothing():
    extra = pd.DataFrame({"from_class": [1, None], "to_state": ["not_refreshed", "2"], "n": [99, 99]})
    counts = [[80, 15, 5], [10, 70, 20], [2, 18, 80]]
    both = migration.mobility(pd.concat([square(counts), extra]))
    pd.testing.assert_frame_equal(both, migration.mobility(square(counts)))
    still = migration.mobility(square([[5, 0], [0, 5]])).set_index("figure")["value"]
    assert still[["downgrade_share", "trace_index"]].tolist() == [0, 0]
    assert still[["upper_bandwidth", "lower_bandwidth"]].isna().all()
    assert pd.isna(migration.mobility(square([[5, 5], [0, 0]])).set_index("figure")["value"]["trace_index"])


def test_empty_and_one_company():
    table = migration.transition_table(REPORTS.empty(), **ASKED)
    assert table.dtypes.astype(str).tolist() == [
        "string",
        "datetime64[us]",
        "datetime64[us]",
        "Int64",
        "string",
        "string",
        "string",
    ]
    assert len(table) == 0
    matrix = migration.migration_matrix(bank(("a", "a", "2025-06-01", 1)), **ASKED)
    assert (len(matrix), matrix["n"].sum()) == (42, 0)


ROW = st.tuples(st.sampled_from("abcd"), st.integers(0, 700), st.integers(1, 5) | st.none())


@settings(max_examples=6, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=14), st.sampled_from([6, 12]), st.randoms(use_true_random=False))
def test_order_and_repeated_rows_never_matter_and_mirrored_classes_mirror_the_figures(rows, months, random):
    def book(mirrored):
        day = pd.Timestamp("2024-01-15")
        return bank(*(
            (f"r{i}", c, str((day + pd.Timedelta(days=d)).date()), 6 - k if mirrored and k else k)
            for i, (c, d, k) in enumerate(rows)
        ))  # fmt: skip

    asked = {**ASKED, "horizon_months": months}
    table = migration.transition_table(book(False), **asked)
    shuffled = pa.concat_tables([book(False), book(False).slice(0, 1)])
    order = list(range(len(rows) + 1))
    random.shuffle(order)
    pd.testing.assert_frame_equal(migration.transition_table(shuffled.take(order), **asked), table)
    assert not table.duplicated(["company_id", "cohort_date"]).any()
    one, other = (
        migration.mobility(migration.migration_matrix(book(m), **asked))["value"].tolist() for m in (False, True)
    )
    assert other == pytest.approx([one[1], one[0], one[3], one[2], one[4]], nan_ok=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: migration.transition_table(BOOK, product="doc", as_of="2025-12-31"), "only bank and financial"),
        (lambda: migration.migration_matrix(BOOK, **ASKED, horizon_months=0), "at least one month"),
        (lambda: migration.migration_matrix(BOOK, product="bank", as_of="never"), "as_of is 'never'"),
        (lambda: migration.migration_matrix(BOOK, **ASKED, endings=OUTCOMES_3), "frame of endings lacks state"),
        (migration.endings, "needs the table outcomes or the table loans"),
        (lambda: migration.endings(loans=OUTCOMES_3), "frame of loans lacks origination_date"),
        (lambda: migration.mobility(pd.DataFrame({"n": [1]})), "lacks from_class, to_state"),
        (lambda: migration.mobility(square([[1, -1], [0, 1]])), "negative counts"),
    ],
)
def test_wrong_questions_raise(call, message):
    with pytest.raises(InputError, match=message):
        call()
