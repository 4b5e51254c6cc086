"""Charts of movement, migration, criteria and ratios: what is drawn, what is left uncoloured, what is refused."""

from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from xray_analytics import charts
from xray_analytics.errors import InputError

BASE = {"used": 187, "excluded": {"no_company": 13}, "backfilled": 3, "as_of": "2025-06-30T23:59:59Z", "filters": {}}
CLASSES = pd.array([1, 2, 3, 4, 5, None], dtype="Int64")


def based(frame):
    frame.attrs["base"] = BASE
    return frame


def movement():
    steps = {
        "stock_start": ([10, 5, 0, 0, 0, 2], [0] * 6), "new": ([3, 0, 0, 0, 0, 0], [0] * 6),
        "upgraded": ([2, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0]), "gone": ([0] * 6, [0, 1, 0, 0, 0, 0]),
        "stock_end": ([15, 2, 0, 0, 0, 2], [0] * 6),
    }  # fmt: skip
    parts = [
        pd.DataFrame({"step": step, "risk_class": CLASSES, "n_in": i, "n_out": o}) for step, (i, o) in steps.items()
    ]
    return based(pd.concat(parts, ignore_index=True))


def matrix(rows=((30, 10, 0), (2, 3, 5))):
    states = ["1", "2", "not_refreshed"]
    cells = [
        (c, s, n, n / max(sum(row), 1))
        for c, row in zip((1, 2), rows, strict=True)
        for s, n in zip(states, row, strict=True)
    ]
    frame = pd.DataFrame(cells, columns=["from_class", "to_state", "n", "share_ratio"])
    return based(frame.astype({"from_class": "Int64"}))


def prevalence():
    rows = [
        (name, risk_class, sentiment, n, total, n / total)
        for name, bad in (("flat", (10, 10, 1)), ("steep", (0, 30, 2)))
        for risk_class, total, n_bad in zip((1, 5, None), (40, 40, 3), bad, strict=True)
        for sentiment, n in (("good", total - n_bad), ("bad", n_bad))
    ]
    columns = ["criterion", "bank_risk_class", "sentiment", "n_companies", "n_assessed", "share_ratio"]
    return based(pd.DataFrame(rows, columns=columns).astype({"bank_risk_class": "Int64"}))


def quantiles():
    return based(pd.DataFrame({
        "criterion": "equity", "financial_risk_class": pd.array([1, None], "Int64"), "n": [40, 5], "n_missing": [2, 0],
        "p5": [0.1, np.nan], "p25": [0.2, 0.0], "p50": [0.3, 0.1], "p75": [0.4, 0.2], "p95": [0.5, np.nan],
    }))  # fmt: skip


def plot_equity(frame, **how):
    return charts.plot_ratio_quantiles(frame, criterion="equity", **how)


def concentration():
    figures = ["drawn", "herfindahl", "effective_number", "gini", "top_1_share", "top_5_share", "top_10_share"]
    return based(pd.DataFrame({"figure": figures, "value": [900.0, 0.25, 4.0, 0.5, 0.4, 0.9, 1.0], "n": 7}))


def counterparties():
    shares = [0.05, 0.1, 0.95, 1.0]
    return based(pd.DataFrame({
        "company_id": list("abab"), "side": ["credit", "credit", "debit", "debit"], "top_1_share_ratio": shares,
    }))  # fmt: skip


def agreement():
    cells = [(b, f, 30 * (b == f) if b < 5 else 1) for b in range(1, 6) for f in range(1, 6)]
    frame = pd.DataFrame(cells, columns=["bank_risk_class", "financial_risk_class", "n_companies"])
    return based(frame.astype({"bank_risk_class": "Int64", "financial_risk_class": "Int64"}))


def history():
    return based(pd.DataFrame({
        "company_id": "a", "product": ["bank", "financial", "bank"],
        "created_at": pd.to_datetime(["2024-03-01", "2024-04-01", "2024-10-01"], utc=True),
        "bank_risk_class": pd.array([2, None, None], "Int64"),
        "financial_risk_class": pd.array([None, 4, None], "Int64"),
    }))  # fmt: skip


def company_months():
    return based(pd.DataFrame({
        "company_id": "a", "month": pd.to_datetime(["2025-01-01", "2025-03-01"]), "total_credit": [2e3, 4e3],
        "total_debit": [1e3, 5e3], "closing_balance": [3e3, None], "is_complete": [True, False],
    }))  # fmt: skip


def daily():
    days = pd.to_datetime(["2025-01-01", "2025-01-31", "2025-02-01"])
    return based(pd.DataFrame({"account_no": 0, "day": days, "balance": [5.0, -1.0, None]}))


PLOTS = [
    (charts.plot_concentration, concentration), (charts.plot_counterparty_concentration, counterparties),
    (charts.plot_class_agreement, agreement), (charts.plot_class_history, history),
    (charts.plot_monthly_flows, company_months), (charts.plot_balance_calendar, daily),
    (charts.plot_movement, movement), (charts.plot_migration_matrix, matrix),
    (charts.plot_criterion_prevalence, prevalence), (plot_equity, quantiles),
]  # fmt: skip
every_plot = pytest.mark.parametrize(("plot", "make"), PLOTS, ids=[plot.__name__ for plot, _ in PLOTS])


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_movement__stocks_by_class_and_steps_from_the_level():
    axes = charts.plot_movement(movement())
    bars = [(float(b.get_y()), float(b.get_height())) for b in axes.patches if b.get_height()]
    assert bars == [(0, 10), (10, 5), (15, 2), (17, 3), (18, 2), (19, 1), (0, 15), (15, 2), (17, 2)]
    assert texts(axes)[:5] == ["17", "+3", "2", "−1", "19"]
    assert ticks(axes.xaxis) == ["stock\nstart", "new", "upgraded", "gone", "stock\nend"]
    assert axes.get_ylabel() == "companies"


def test_migration_matrix__counts_and_no_share_of_fewer_than_20():
    axes = charts.plot_migration_matrix(matrix())
    shares = axes.collections[0].get_array()
    assert shares[0].tolist() == [0.75, 0.25, 0]
    assert shares.mask.tolist() == [[False] * 3, [True] * 3]
    assert texts(axes)[:5] == ["30", "10", "2", "3", "5"]
    assert ticks(axes.xaxis) == ["1 (A)", "2 (B)", "not\nrefreshed"]
    assert ticks(axes.yaxis) == ["1 (A)", "2 (B)"]
    assert [patch.get_xy() for patch in axes.patches] == [(-0.5, -0.5), (0.5, 0.5)]
    assert "n = 187 companies followed · 13 excluded · as of 2025-06-30" in texts(axes)
    with pytest.raises(InputError, match="one matrix at a time"):
        charts.plot_migration_matrix(pd.concat([matrix(), matrix()]))


def test_criterion_prevalence__what_separates_most_is_on_top():
    axes = charts.plot_criterion_prevalence(prevalence())
    assert ticks(axes.yaxis) == ["steep", "flat"]
    assert ticks(axes.xaxis) == ["1 (A)", "5 (E)", "unrated"]
    shares = axes.collections[0].get_array()
    assert shares[:, :2].tolist() == [[0, 0.75], [0.25, 0.25]]
    assert shares.mask[:, 2].all()
    good = charts.plot_criterion_prevalence(prevalence(), sentiment="good").collections[0].get_array()
    assert good[0, :2].tolist() == [1, 0.25]
    with pytest.raises(InputError, match="choose another sentiment"):
        charts.plot_criterion_prevalence(prevalence(), sentiment="neutral")


def test_ratio_quantiles__box_median_and_tails():
    axes = plot_equity(quantiles())
    assert [(round(b.get_y(), 6), round(b.get_height(), 6)) for b in axes.patches] == [(0.2, 0.2), (0, 0.2)]
    assert ticks(axes.xaxis) == ["1 (A)\nn = 40, 2 missing", "unrated\nn = 5"]
    assert axes.get_ylim()[0] < 0
    with pytest.raises(InputError, match="there are equity"):
        charts.plot_ratio_quantiles(quantiles(), criterion="debt")


@every_plot
def test_every_plot__leaves_its_input_alone_and_gives_the_same_bytes(plot, make):
    frame, before = make(), dict(mpl.rcParams)
    svg = charts.to_svg(plot(frame))
    pd.testing.assert_frame_equal(frame, make())
    assert dict(mpl.rcParams) == before
    assert charts.to_svg(plot(make())) == svg
    ElementTree.fromstring(svg)


@every_plot
def test_every_plot__says_what_is_wrong_with_the_frame(plot, make):
    with pytest.raises(InputError, match="no rows"):
        plot(make().iloc[:0])
    column = make().columns[0]
    with pytest.raises(InputError, match=f"no column {column}; pass the result of"):
        plot(make().drop(columns=column))


@every_plot
def test_every_plot__draws_on_given_axes(plot, make):
    axes = charts.blank_axes(4, 3)
    assert plot(make(), ax=axes, title="Mine") is axes
    assert axes.get_title(loc="left") == "Mine"


def test_concentration__of_nothing_is_refused():
    axes = charts.plot_concentration(concentration())
    assert {"40.0%", "90.0%", "100.0%"} <= set(texts(axes))
    assert axes.get_xlabel().endswith("7 names, as concentrated as 4.0 equal")
    with pytest.raises(InputError, match="nothing is drawn"):
        charts.plot_concentration(concentration().assign(value=0.0))


def test_counterparty_concentration__bins_hold_their_lower_edge_and_the_last_both():
    axes = charts.plot_counterparty_concentration(counterparties())
    n = [int(bar.get_height()) for bar in axes.patches]
    assert (n[:10], n[10:]) == ([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 2])
    with pytest.raises(InputError, match="no company has"):
        charts.plot_counterparty_concentration(counterparties().assign(top_1_share_ratio=np.nan))


def test_class_agreement__colours_are_shares_of_rows_of_twenty():
    axes = charts.plot_class_agreement(agreement())
    shares = axes.collections[0].get_array()
    assert np.ma.getdata(shares)[:4].tolist() == np.eye(5)[:4].tolist()
    assert np.ma.getmaskarray(shares)[4].all()
    with pytest.raises(InputError, match="twice"):
        charts.plot_class_agreement(pd.concat([agreement()] * 2))


def test_class_history__unrated_is_below_the_line_and_breaks_it():
    axes = charts.plot_class_history(history())
    line, marks = axes.lines[:2]
    np.testing.assert_array_equal(line.get_ydata(), [2, np.nan])
    np.testing.assert_array_equal(marks.get_ydata(), [2, 6])
    assert ticks(axes.yaxis) == ["1 (A)", "2 (B)", "3 (C)", "4 (D)", "5 (E)", "unrated"]
    with pytest.raises(InputError, match="several companies"):
        charts.plot_class_history(pd.concat([history(), history().assign(company_id="b")]))


def test_monthly_flows__debits_hang_and_what_is_not_covered_is_pale():
    axes = charts.plot_monthly_flows(company_months())
    assert [float(bar.get_height()) for bar in axes.patches] == [2, 4, -1, -5]
    assert [bar.get_alpha() for bar in axes.patches] == [1, 0.35, 1, 0.35]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [3, np.nan, np.nan])
    assert axes.get_ylabel() == "amount thousand"  # the frame names no currency
    named = charts.plot_monthly_flows(company_months().assign(currency="EUR"))
    assert named.get_ylabel() == "EUR thousand"


def test_balance_calendar__a_day_is_known_when_every_account_is():
    both = pd.concat([daily(), daily().assign(account_no=1, balance=[1.0, 1.0, 1.0])])
    cells = charts.plot_balance_calendar(both).collections[0].get_array()
    assert cells.shape == (2, 31)
    assert (float(cells[0, 0]), float(cells[0, 30])) == (6, 0)
    assert np.ma.getmaskarray(cells)[1].all()
    with pytest.raises(InputError, match="there twice"):
        charts.plot_balance_calendar(pd.concat([daily()] * 2))


@every_plot
def test_every_plot__is_markup_without_pictures(plot, make):
    assert "<image" not in charts.to_svg(plot(make()))
