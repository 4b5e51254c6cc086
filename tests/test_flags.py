"""Flags: prevalence and lift counted by hand, a direction that is learnt, conflicts that are listed."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_movement import bank

from xray_analytics.analysis.portfolio import flags
from xray_analytics.errors import InputError
from xray_analytics.tables import BANK_FLAG_CRITERIA, REPORTS


def criteria_of(*rows):
    """From (report, criterion, quantile, sentiment)."""
    frame = pd.DataFrame(rows, columns=["report_id", "criterion", "quantile_pct", "sentiment"])
    frame = frame.assign(report_version=1, criterion_no=frame.groupby("report_id").cumcount())
    return BANK_FLAG_CRITERIA.conform(frame.astype({"quantile_pct": "float64"}))


def reports(n):
    """One report a company, r0 of c0 on."""
    return bank(*((f"r{i}", f"c{i}", "2025-01-10", 1 + i % 2) for i in range(n)))


BOOK = bank(
    ("old", "a", "2025-01-10", 2), ("a", "a", "2025-02-10", 4), ("b", "b", "2025-02-10", 4),
    ("c", "c", "2025-02-10", None),
    ("d", "d", "2025-02-10", 1), ("e", None, "2025-02-10", 4),
)  # fmt: skip
SAID = criteria_of(
    ("old", "overdraft", 1, "good"), ("a", "overdraft", 99, "bad"), ("b", "overdraft", 10, "good"),
    ("c", "overdraft", None, None), ("e", "overdraft", 99, "bad"), ("a", "cash", 50, "odd"), ("a", "cash", 1, "bad"),
)  # fmt: skip


def test_criterion_prevalence__newest_reports_all_sentiments_and_the_unrated():
    table = flags.criterion_prevalence(SAID, BOOK)
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    assert rows == [
        ["cash", 4, "good", 0, 1, 0.0], ["cash", 4, "neutral", 0, 1, 0.0], ["cash", 4, "bad", 0, 1, 0.0],
        ["cash", 4, "odd", 1, 1, 1.0],  # the first of two entries
        ["overdraft", 4, "good", 1, 2, 0.5], ["overdraft", 4, "neutral", 0, 2, 0.0], ["overdraft", 4, "bad", 1, 2, 0.5],
        ["overdraft", None, "good", 0, 1, 0.0], ["overdraft", None, "neutral", 0, 1, 0.0],
        ["overdraft", None, "bad", 0, 1, 0.0], ["overdraft", None, None, 1, 1, 1.0],
    ]  # fmt: skip
    assert table.attrs["base"]["used"] == 3
    assert table.attrs["base"]["excluded"] == {"no_company": 1, "no_criterion": 1}


def test_criterion_cooccurrence__lift_on_companies_that_have_both():
    pattern = {"x": "bbbgg-", "y": "bbgbgb", "z": "gggggg"}
    words = {"b": "bad", "g": "good"}
    rows = [(f"r{i}", name, 1, words[s]) for name, said in pattern.items() for i, s in enumerate(said) if s in words]
    table = flags.criterion_cooccurrence(criteria_of(*rows), reports(6)).set_index(["criterion", "other_criterion"])
    assert table.loc[("x", "y")].tolist() == [5, 3, 3, 2, pytest.approx(2 * 5 / 9)]
    assert table.loc[("x", "z")].tolist()[:4] == [5, 3, 0, 0]
    assert np.isnan(table.loc[("x", "z"), "lift"])
    assert len(table) == 3
    good = flags.criterion_cooccurrence(criteria_of(*rows), reports(6), sentiment="good")
    assert good["n_both"].tolist() == [1, 2, 2]


def test_criterion_profile__learns_the_direction_and_counts_conflicts():
    worse = [
        (f"r{i}", "overdraft", q, s)
        for i, (q, s) in enumerate(
            zip([0, 20, 40, 60, 80, 100], ["good", "good", "neutral", "good", "bad", "bad"], strict=True)
        )
    ]
    better = [
        (f"r{i}", "cash", q, s) for i, (q, s) in enumerate(zip([0, 50, 100], ["bad", "neutral", "good"], strict=True))
    ]
    silent = [(f"r{i}", "flat", q, "good") for i, q in enumerate([1, 99])]
    said = criteria_of(*worse, *better, *silent)
    table = flags.criterion_profile(said, reports(6)).set_index("criterion")
    assert table["direction"].tolist() == ["higher_is_better", pd.NA, "higher_is_worse"]
    assert table["n_conflicts"].tolist() == [0, 0, 1]
    assert table["monotony_ratio"].tolist() == pytest.approx([1, 1, 5 / 6])
    assert table.loc["overdraft", ["good_low_pct", "good_high_pct", "bad_low_pct", "bad_high_pct"]].tolist() == [
        0,
        60,
        80,
        100,
    ]
    # overdraft: better than 100, 80, 60, 40, 20 and 0 %: A, B, C, D, D, E
    assert table.loc["overdraft", [f"grade_{g}_ratio" for g in "abcde"]].tolist() == pytest.approx(
        np.array([1, 1, 1, 2, 1]) / 6
    )
    assert table.loc["overdraft", "grade_deviation_ratio"] == pytest.approx(
        (4 / 60 + 2 / 60 + 2 / 60 + 2 / 60 + 2 / 60) / 2
    )
    assert table["n_graded"].tolist() == [3, 0, 6]
    assert np.isnan(table.loc["flat", "grade_a_ratio"])
    conflicts = flags.criterion_conflicts(said, reports(6))  # 40 or 60 % is the odd one; the better reading wins
    assert conflicts.to_numpy().tolist() == [["overdraft", "r2", "c2", 40.0, "neutral", "good"]]


def test_criterion_profile__grades_companies_once_and_maps_every_report():
    book = bank(("old", "a", "2025-01-10", 2), ("new", "a", "2025-02-10", 4), ("x", None, "2025-02-10", 4))
    said = criteria_of(
        ("old", "o", 1, "good"),
        ("new", "o", 95, "bad"),
        ("x", "o", 50, "neutral"),
        ("x", "p", None, "bad"),
        ("new", "p", 3, "odd"),
    )
    table = flags.criterion_profile(said, book)
    assert table[["criterion", "n_reports", "n_graded", "grade_e_ratio"]].to_numpy().tolist() == [["o", 3, 1, 1.0]]
    assert table.attrs["base"]["excluded"] == {"no_company": 1, "repeated": 0, "no_quantile": 1, "unknown_sentiment": 1}


def test_the_benchmark_itself_deviates_by_nothing():
    said = [(f"r{i}", "overdraft", i + 0.5, "good" if i < 30 else "bad") for i in range(100)]
    table = flags.criterion_profile(criteria_of(*said), reports(100))
    assert table["grade_deviation_ratio"].tolist() == pytest.approx([0])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=5))
def test_best_map__is_the_best_of_all_monotone_maps(rows):
    counts = np.array(rows)
    chosen = flags.best_map(counts)
    assert (np.diff(chosen) >= 0).all()
    every = itertools.combinations_with_replacement(range(3), len(rows))
    best = max(sum(counts[i, c] for i, c in enumerate(path)) for path in every)
    assert sum(counts[i, c] for i, c in enumerate(chosen)) == best


ENTRY = st.tuples(st.integers(0, 10), st.sampled_from(["good", "neutral", "bad"]))


@settings(max_examples=10, deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_order_never_matters_and_a_mirrored_scale_turns_the_direction(entries, random):
    def profile(map_quantile):
        rows = [(f"r{i}", "overdraft", map_quantile(10 * q), s) for i, (q, s) in enumerate(entries)]
        random.shuffle(rows)
        return flags.criterion_profile(criteria_of(*rows), reports(len(entries))).iloc[0]

    plain, stretched, mirrored = profile(lambda q: q), profile(lambda q: q**2 / 100), profile(lambda q: 100 - q)
    assert plain[["n_conflicts", "direction"]].equals(stretched[["n_conflicts", "direction"]])
    turned = {"higher_is_worse": "higher_is_better", "higher_is_better": "higher_is_worse"}
    assert mirrored["n_conflicts"] == plain["n_conflicts"] or pd.isna(plain["direction"])
    assert pd.isna(plain["direction"]) == pd.isna(mirrored["direction"])
    assert pd.isna(plain["direction"]) or mirrored["direction"] == turned[plain["direction"]]


def test_empty_tables_give_typed_results():
    nothing = BANK_FLAG_CRITERIA.empty(), REPORTS.empty()
    assert flags.criterion_prevalence(*nothing).shape == (0, 6)
    assert flags.criterion_cooccurrence(*nothing).dtypes.astype(str).to_dict()["n_both"] == "int64"
    assert flags.criterion_profile(*nothing).shape == (0, 18)
    assert flags.criterion_conflicts(*nothing).shape == (0, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flags.criterion_prevalence(SAID, BOOK, by="sector_code"), "frame of reports lacks sector_code"),
        (
            lambda: flags.criterion_prevalence(SAID.drop_columns("sentiment"), BOOK),
            "bank_flag_criteria lacks sentiment",
        ),
        (lambda: flags.criterion_cooccurrence(SAID, BOOK, sentiment="worst"), "choose good, neutral, bad"),
        (lambda: flags.criterion_profile(SAID, SAID), "frame of reports lacks"),
        (
            lambda: flags.criterion_profile(BANK_FLAG_CRITERIA.to_pandas(SAID).assign(quantile_pct="high"), BOOK),
            r"quantile_pct \(float expected, String found\)",
        ),
    ],
)
def test_wrong_questions_raise(call, message):
    with pytest.raises(InputError, match=message):
        call()
