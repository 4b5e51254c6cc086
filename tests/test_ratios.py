"""Ratios: quantiles and null rules by hand, units reconciled, and nothing infinite."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_movement import reports_of

from xray_analytics.analysis.portfolio import ratios
from xray_analytics.errors import InputError
from xray_analytics.tables import FINANCIAL_RATIOS, REPORTS, REQUEST_NOTES


def ratios_of(*rows):
    """From (report, criterion, value)."""
    frame = pd.DataFrame(rows, columns=["report_id", "criterion", "value"], dtype=object).assign(report_version=1)
    is_text = frame["value"].map(lambda value: isinstance(value, str))
    frame["value_text"] = frame["value"].where(is_text, None)
    return FINANCIAL_RATIOS.conform(frame.assign(value=frame["value"].where(~is_text, None).astype("float64")))


def financial(*rows):
    return reports_of(*((report, company, day, "financial", risk_class) for report, company, day, risk_class in rows))


BOOK = financial(
    ("old", "a", "2025-01-10", 1), ("a", "a", "2025-02-10", 2), ("b", "b", "2025-02-10", 2),
    ("c", "c", "2025-02-10", 2),
    ("d", "d", "2025-02-10", None), ("e", None, "2025-02-10", 2),
)  # fmt: skip
SENT = ratios_of(
    ("old", "equity", 9.0), ("a", "equity", 0.1), ("b", "equity", 0.2), ("c", "equity", None), ("e", "equity", 7.0),
    ("a", "light", "green"), ("d", "debt", 3.0),
)  # fmt: skip


def plain(table):
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


def test_ratio_quantiles__newest_reports_and_what_is_missing():
    table = ratios.ratio_quantiles(SENT, BOOK)
    assert plain(table) == [
        ["debt", 2, 0, 3, None, None, None, None, None],
        ["debt", None, 1, 0, None, 3.0, 3.0, 3.0, None],
        ["equity", 2, 2, 1, None, pytest.approx(0.125), pytest.approx(0.15), pytest.approx(0.175), None],
        ["equity", None, 0, 1, None, None, None, None, None],
    ]
    assert table.attrs["base"]["used"] == 4
    assert table.attrs["base"]["excluded"] == {"no_company": 1}


def test_ratio_quantiles__tails_from_20_values_and_ties():
    book = financial(*((f"r{i}", f"c{i}", "2025-01-10", 3) for i in range(21)))
    table = ratios.ratio_quantiles(ratios_of(*((f"r{i}", "x", float(i)) for i in range(21))), book)
    assert table[["p5", "p25", "p50", "p75", "p95"]].to_numpy().tolist() == [[1, 5, 10, 15, 19]]
    flat = ratios.ratio_quantiles(ratios_of(*((f"r{i}", "x", 4.0) for i in range(21))), book)
    assert flat[["p5", "p50", "p95"]].to_numpy().tolist() == [[4, 4, 4]]


def test_ratio_matrix__one_row_per_report_and_text_stays_text():
    table = ratios.ratio_matrix(SENT)
    assert table.columns.tolist() == ["debt", "equity", "light"]
    assert table.index.tolist() == [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("old", 1)]
    assert table["equity"].tolist()[:2] == [0.1, 0.2]
    assert table["equity"].isna().tolist() == [False, False, True, True, False, False]
    assert table["light"].dtype == "string"
    assert table.loc[("a", 1), "light"] == "green"
    assert ratios.ratio_matrix(FINANCIAL_RATIOS.empty()).shape == (0, 0)


def notes_of(*rows, version=1):
    """From (request, notes in cents that differ from 100)."""
    base = dict.fromkeys((f"{name}_cents" for name in ratios.NOTES), 100)
    frame = pd.DataFrame(
        [
            {"request_id": r, "request_version": version} | base | {f"{k}_cents": v for k, v in more.items()}
            for r, more in rows
        ]
    )
    return REQUEST_NOTES.conform(frame.astype(dict.fromkeys(base, "Int64")))


def test_ratios_from_notes__each_formula():
    values = {
        "total_fixed_assets": 30, "total_assets": 120, "equity": 40, "total_debt": 60, "cash_available": 20,
        "short_term_debt": 15, "current_liabilities": 80, "net_income": 7, "revenue": 350, "interest_expense": 2,
        "amortization_depreciation": 5,
    }  # fmt: skip
    table = ratios.ratios_from_notes(notes_of(("r", values)))
    assert table["value"].tolist() == pytest.approx([0.25, 1 / 3, 1.5, 1.0, 0.25, 0.25, 0.02, 4.5, 5.0])
    assert table["ratio"].tolist() == list(ratios.NOTE_RATIOS)
    assert table["reason"].isna().all()


NULL_RULES = [
    ({"equity": 0}, {"debt_to_equity": "equity_not_positive", "net_debt_to_equity": "equity_not_positive"}),
    ({"equity": -5}, {"debt_to_equity": "equity_not_positive", "net_debt_to_equity": "equity_not_positive"}),
    (
        {"total_assets": 0},
        {
            "fixed_assets_to_total_assets": "total_assets_not_positive",
            "equity_to_total_assets": "total_assets_not_positive",
        },
    ),
    ({"total_debt": 0}, {"short_term_share_of_debt": "total_debt_not_positive"}),
    ({"current_liabilities": 0}, {"cash_to_current_liabilities": "current_liabilities_not_positive"}),
    ({"revenue": 0}, {"net_margin": "revenue_not_positive"}),
    ({"interest_expense": 0}, {"after_tax_interest_cover": "interest_expense_not_positive"}),
    ({"net_income": -100}, {"debt_to_cash_earnings": "cash_earnings_not_positive"}),
    (
        {"cash_available": None},
        {"net_debt_to_equity": "cash_available_missing", "cash_to_current_liabilities": "cash_available_missing"},
    ),
    (
        {"total_assets": None},
        {"fixed_assets_to_total_assets": "total_assets_missing", "equity_to_total_assets": "total_assets_missing"},
    ),
    (
        {"net_income": None},
        dict.fromkeys(("net_margin", "after_tax_interest_cover", "debt_to_cash_earnings"), "net_income_missing"),
    ),
]


@pytest.mark.parametrize(("changed", "reasons"), NULL_RULES)
def test_ratios_from_notes__every_null_has_its_reason(changed, reasons):
    table = ratios.ratios_from_notes(notes_of(("r", changed))).set_index("ratio")
    assert table["reason"].dropna().to_dict() == reasons
    assert table.index[table["value"].isna()].tolist() == [name for name in ratios.NOTE_RATIOS if name in reasons]


def test_ratios_from_notes__the_newest_version_counts():
    both = pd.concat(
        [REQUEST_NOTES.to_pandas(notes_of(("r", {"equity": e}), version=v)) for v, e in ((2, 50), (1, 25))]
    )
    table = ratios.ratios_from_notes(both).set_index("ratio")
    assert table.loc["debt_to_equity", "value"] == 2
    assert len(ratios.ratios_from_notes(REQUEST_NOTES.empty())) == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-3, 3) | st.none(), min_size=len(ratios.NOTES), max_size=len(ratios.NOTES)))
def test_ratios_from_notes__finite_or_null_with_a_reason(cents):
    table = ratios.ratios_from_notes(notes_of(("r", dict(zip(ratios.NOTES, cents, strict=True)))))
    assert np.isfinite(table["value"].dropna()).all()
    assert (table["value"].isna() == table["reason"].notna()).all()


def flows_of(*rows):
    """From (company, month, credits)."""
    frame = pd.DataFrame(rows, columns=["company_id", "month", "total_credit"]).assign(
        total_debit=1.0, is_complete=True
    )
    month = pd.to_datetime(frame["month"])
    return frame.assign(month=month, n_days_covered=month.dt.days_in_month)


def year(company, credit, n=12, start="2024-01-01"):
    return [(company, str(month.date()), credit) for month in pd.date_range(start, periods=n, freq="MS")]


def test_declared_vs_banked__cents_against_euros_and_vat_as_a_range():
    book = REPORTS.to_pandas(reports_of(*((c, c, "2025-01-10", "bank", 1) for c in "abcde")))
    book["request_id"] = "q" + book["company_id"]
    notes = notes_of(
        ("qa", {"revenue": 100_000_00}), ("qb", {"revenue": 100_000_00}), ("qc", {"revenue": 0}),
        ("qd", {"revenue": None}),
        ("qe", {"revenue": 1_00}), ("qz", {}),
    )  # fmt: skip
    flows = flows_of(*year("a", 9_150.0, 20, "2023-01-01"), *year("b", 1_000.0, 3), *year("c", 1.0), *year("d", 1.0))
    table = ratios.declared_vs_banked(book, notes, flows).set_index("company_id")
    a, b = table.loc["a"], table.loc["b"]
    assert (a["declared_revenue"], a["n_months"], a["basis"]) == (100_000, 12, "all")
    assert a["banked_credit"] == pytest.approx(9_150 * 12 * 365 / 366)  # the last 12 months hold 29 February
    assert a["banked_low"] == pytest.approx(a["banked_high"] / 1.2)
    assert (a["is_inside"], a["is_under_6_months"]) == (True, False)
    assert b["banked_credit"] == pytest.approx(3_000 * 365 / 91)
    assert (b["is_inside"], b["is_under_6_months"]) == (False, True)
    assert table["reason"].fillna("").tolist() == ["", "", "revenue_not_positive", "revenue_missing", "no_months"]
    assert table["is_inside"].isna().tolist() == [False, False, True, True, True]
    excluded = ratios.declared_vs_banked(book, notes, flows).attrs["base"]["excluded"]
    assert excluded == {"no_company": 0, "request_without_company": 1, "not_comparable": 3}
    no_vat = ratios.declared_vs_banked(book, notes, flows, vat_rates=(0, 0)).set_index("company_id")
    assert no_vat.loc["a", "low_ratio"] == no_vat.loc["a", "high_ratio"] == pytest.approx(1.095, abs=1e-3)
    operating = flows.assign(operating_credit=flows["total_credit"] / 2, operating_debit=0.0)
    halved = ratios.declared_vs_banked(book, notes, operating).set_index("company_id")
    assert (halved.loc["a", "banked_credit"], halved.loc["a", "basis"]) == (a["banked_credit"] / 2, "operating")


def test_declared_vs_banked__the_newest_request_of_a_company():
    book = REPORTS.to_pandas(reports_of(("r1", "a", "2025-01-10", "bank", 1), ("r2", "a", "2025-03-10", "bank", 1)))
    book["request_id"] = ["z_old", "new"]
    table = ratios.declared_vs_banked(
        book, notes_of(("z_old", {"revenue": 1_00}), ("new", {"revenue": 2_00})), flows_of(*year("a", 1.0))
    )
    assert table[["request_id", "declared_revenue"]].to_numpy().tolist() == [["new", 2.0]]
    nothing = ratios.declared_vs_banked(REPORTS.empty(), REQUEST_NOTES.empty(), flows_of(*year("a", 1.0)))
    assert nothing.shape == (0, 15)


TWICE = pd.concat([FINANCIAL_RATIOS.to_pandas(SENT)] * 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ratios.ratio_quantiles(TWICE, REPORTS.to_pandas(BOOK)),
            "financial_ratios holds a criterion of a report twice",
        ),
        (lambda: ratios.ratio_matrix(TWICE), "financial_ratios holds a criterion of a report twice"),
        (lambda: ratios.ratio_quantiles(SENT, BOOK, by="sector"), "frame of reports lacks sector"),
        (lambda: ratios.ratios_from_notes(SENT), "frame of request_notes lacks request_id"),
        (
            lambda: ratios.ratios_from_notes(notes_of(("r", {})).to_pandas().astype({"equity_cents": str})),
            r"equity_cents \(int expected",
        ),
        (
            lambda: ratios.declared_vs_banked(BOOK, notes_of(("r", {})), flows_of(), vat_rates=(0.2, 0.1)),
            "vat_rates are",
        ),
        (lambda: ratios.declared_vs_banked(BOOK, notes_of(("r", {})), BOOK), "frame of flows lacks month"),
    ],
)
def test_wrong_questions_raise(call, message):
    with pytest.raises(InputError, match=message):
        call()
