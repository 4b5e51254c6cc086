"""Who is paid and what recurs: by hand, and the schedules that an economy keeps."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox_frames import economy_frames
from test_incidents import entries, report

from xray_analytics.analysis import cashflow
from xray_analytics.analysis.cashflow.counterparties import SIDES, _five_largest, _Sums
from xray_analytics.errors import InputError
from xray_analytics.tables import REPORTS, TRANSACTIONS

YEAR = report(("r", "a", "2026-01-05", "2024-12-31", "2025-12-31"))


def stream(label, dates, amounts=-50.0):
    frame = pd.DataFrame({"booked_date": dates, "label": label, "amount": amounts})
    return list(frame.itertuples(index=False, name=None))


def test_recurring__periods_amounts_and_due_days():
    found = cashflow.recurring(
        entries(
            "r",
            *stream("PRLV SEPA LOYER SCI", ["2025-10-31", "2025-11-28", "2025-12-31"], [-100.0, -100.0, -110.0]),
            *stream("CB CAFE", pd.date_range("2025-11-03", periods=5, freq="7D")),
            *stream("PRLV SEPA KLESIA", ["2025-03-25", "2025-06-25", "2025-09-25"]),
            *stream("PRLV SEPA HASARD", ["2025-01-02", "2025-01-30", "2025-02-03", "2025-07-30"]),
            *stream("PRLV SEPA DEUX FOIS", ["2025-01-02", "2025-02-02"]),
        ),
        YEAR,
    ).set_index("counterparty")
    assert found["period"].to_dict() == {"CAFE": "weekly", "KLESIA": "quarterly", "LOYER SCI": "monthly"}
    assert found["next_due_date"].dt.strftime("%m-%d").to_dict() == {
        "CAFE": "12-08", "KLESIA": "12-25", "LOYER SCI": "01-31",
    }  # fmt: skip
    assert found["is_active"].to_dict() == {"CAFE": False, "KLESIA": True, "LOYER SCI": True}
    assert (found["amount"]["LOYER SCI"], found["total"]["LOYER SCI"]) == (100.0, 310.0)
    assert found["amount_variation_ratio"]["LOYER SCI"] == 0
    assert found["regularity_ratio"].tolist() == [1.0] * 3


def test_recurring__a_missed_payment_costs_regularity_and_a_day_counts_once():
    months = pd.date_range("2025-01-10", periods=10, freq="MS") + pd.Timedelta(days=9)
    found = cashflow.recurring(
        entries("r", *stream("ECHEANCE PRET 12", months.delete(4)), *stream("ECHEANCE PRET 12", months[:1])), YEAR
    )
    row = found.iloc[0]
    assert (row["n_payments"], row["regularity_ratio"], row["amount"]) == (9, 7 / 8, 50.0)
    assert row["total"] == 500.0


def test_recurring__knows_the_schedules_of_an_economy():
    _, frames = economy_frames(40, 11)
    families = cashflow.categories(frames["transactions"])
    arguments = {"categories": families, "statements": frames["statement_summaries"]}
    found = cashflow.recurring(frames["transactions"], frames["reports"], **arguments)
    by_company = found.groupby("category")["company_id"].nunique()
    n = frames["reports"]["company_id"].nunique()
    assert (by_company[["rent", "insurance", "utilities", "tax"]] == n).all()  # every company has them, monthly
    monthly = found[found["category"].isin(["rent", "loan_repayment", "lease", "payroll"])]
    assert set(monthly["period"]) == {"monthly"}
    pension = found[(found["category"] == "social_funds")]
    assert set(pension["period"]) == {"quarterly"}
    irregular = found[found["category"].isin(["direct_debit", "card_payment"])]
    assert len(irregular) < 0.02 * len(found)  # suppliers are paid when they deliver
    half = frames["reports"]["company_id"].str[-1].isin(list("02468"))
    parts = [cashflow.recurring(frames["transactions"], frames["reports"][h], **arguments) for h in (half, ~half)]
    keys = ["company_id", "side", "counterparty", "stem"]
    pd.testing.assert_frame_equal(pd.concat(parts).sort_values(keys, ignore_index=True), found)


def test_concentration__shares_on_paper():
    rows = TRANSACTIONS.to_pandas(
        entries(
            "r",
            ("2025-02-01", "VIR SEPA RECU /DE LUNE SARL /MOTIF F1", 30.0),
            ("2025-02-02", "VIR SEPA RECU /DE LUNE /MOTIF F2", 30.0),
            ("2025-02-02", "VIR INST RECU /DE ZEPHYR", 40.0),
            ("2025-02-03", "PRLV SEPA EDF 123456", -10.0),
            ("2025-02-04", None, -30.0),
        )
    )
    found = cashflow.counterparty_concentration(rows, REPORTS.to_pandas(YEAR))
    assert found["side"].tolist() == ["credit", "debit"]
    assert found["top_counterparty"].tolist() == ["LUNE", "EDF"]
    assert found["top_1_share_ratio"].tolist() == [0.6, 0.25]
    assert found["top_5_share_ratio"].tolist() == [1.0, 0.25]
    assert found["hhi_ratio"].round(10).tolist() == [0.52, 0.0625]
    assert found["total"].tolist() == [100.0, 40.0]
    assert found["named_share_ratio"].tolist() == [0.0, 0.0]


def test_concentration__bounds_hold_on_an_economy():
    _, frames = economy_frames(40, 11)
    operating = cashflow.operating(frames["transactions"], cashflow.categories(frames["transactions"]))
    found = cashflow.counterparty_concentration(operating, frames["reports"], statements=frames["statement_summaries"])
    assert len(found) == 2 * frames["reports"]["company_id"].nunique()
    top, five, hhi = (found[name] for name in ("top_1_share_ratio", "top_5_share_ratio", "hhi_ratio"))
    assert (top**2 <= hhi + 1e-12).all()
    assert (hhi <= top + 1e-12).all()
    assert (top <= five + 1e-12).all()
    shuffled = cashflow.counterparty_concentration(
        operating.sample(frac=1, random_state=3), frames["reports"], statements=frames["statement_summaries"]
    )
    pd.testing.assert_frame_equal(shuffled, found, rtol=1e-12)


@pytest.mark.parametrize("statements", [False, True])
def test_concentration__one_side_is_what_both_say_of_it(statements):
    _, frames = economy_frames(40, 11)
    tables = frames["transactions"], frames["reports"]
    more = {"statements": frames["statement_summaries"]} if statements else {}
    both = cashflow.counterparty_concentration(*tables, **more)
    for side in SIDES:
        found = cashflow.counterparty_concentration(*tables, **more, side=side)
        want = both[both["side"] == side].reset_index(drop=True)
        assert len(want) > 10
        pd.testing.assert_frame_equal(found, want, rtol=1e-12)
    with pytest.raises(InputError, match="side is 'credits'; choose credit or debit"):
        cashflow.counterparty_concentration(*tables, side="credits")


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.5, 1.0, 2.0, 3.0])), max_size=40))
def test_the_five_largest_are_those_of_a_full_sort(rows):
    sums = pd.DataFrame(rows, columns=["group", "size"]).astype({"group": "int64", "size": "float64"})
    sums["party"] = np.arange(len(sums))[::-1]
    order = sums.sort_values(["group", "size", "party"], ascending=[True, False, True])
    want = order.groupby("group").head(5)
    found, rank = _five_largest(_Sums(*(sums[name].to_numpy() for name in ("group", "party", "size"))), 3)
    assert found.tolist() == want.index.tolist()
    assert rank.tolist() == want.groupby("group").cumcount().tolist()


def test_empty_and_wrong_frames():
    for function, width in ((cashflow.recurring, 16), (cashflow.counterparty_concentration, 10)):
        found = function(TRANSACTIONS.empty(), REPORTS.empty())
        assert found.shape == (0, width)
        assert found.attrs["base"]["used"] == 0
        with pytest.raises(InputError, match="frame of transactions lacks label"):
            function(TRANSACTIONS.empty().drop_columns("label"), YEAR)
        with pytest.raises(InputError, match="frame of reports lacks period_start_date"):
            function(TRANSACTIONS.empty(), YEAR.drop_columns("period_start_date"))
