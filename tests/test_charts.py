"""Charts draw what the frame says: bars, labels, units, base; nothing global, nothing changed, the same bytes again."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from xray_analytics import charts
from xray_analytics.errors import InputError

BASE = {"used": 187, "excluded": {"no_company": 13}, "backfilled": 3, "as_of": "2025-06-30T23:59:59Z",
        "filters": {"product": "bank", "by": [], "weight": "company"}}  # fmt: skip
HOSTILE = "</text><script>alert(1)</script> $\\frac$ \u202e=cmd"


def based(frame):
    frame.attrs["base"] = BASE
    return frame


def classes(n=(40, 30, 20, 10, 5, 8), **groups):
    n = np.asarray(n)
    share = n / n.sum()
    risk_class = pd.array([1, 2, 3, 4, 5, None], dtype="Int64")
    return based(pd.DataFrame({**groups, "risk_class": risk_class, "n_companies": n, "share_ratio": share}))


def over_time():
    parts = [
        classes(n, period_end=pd.Timestamp(end), measure=measure)
        for end, stock, new in (("2025-03-31", 4, 3), ("2025-06-30", 6, 2))
        for measure, n in (("stock", [stock] * 6), ("new", [new] * 6))
    ]
    return based(pd.concat(parts, ignore_index=True))


def values():
    frame = pd.DataFrame({"low": [0, 0.01, 0.1, None], "high": [0.01, 0.1, 1, None], "n_companies": [5, 9, 2, 4]})
    frame.attrs["column"] = "default_probability"
    return frame


def months():
    return based(pd.DataFrame({
        "month": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-04-01"]), "total_credit": [2e6, 3e6, 4e6],
        "total_debit": [1e6, 3e6, 5e6], "net_flow": [1e6, 0.0, -1e6], "negative_day_share_ratio": [0.1, None, 0.2],
    }))  # fmt: skip


def ledger():
    verdicts = ["ok"] * 6 + ["off"] * 2 + ["unknown"] * 2 + ["ok"] * 5
    return based(pd.DataFrame({"check": ["arithmetic"] * 10 + ["running_balance"] * 5, "verdict": verdicts}))


def coverage():
    return based(pd.DataFrame({"n_months": [2, 5, 12, 12], "is_under_6_months": [True, False, False, False]}))


PLOTS = [
    (charts.plot_class_distribution, classes), (charts.plot_value_distribution, values),
    (charts.plot_class_over_time, over_time), (charts.plot_portfolio_months, months),
    (charts.plot_negative_days, months), (charts.plot_reconciliation, ledger), (charts.plot_coverage, coverage),
]  # fmt: skip
every_plot = pytest.mark.parametrize(("plot", "make"), PLOTS, ids=[plot.__name__ for plot, _ in PLOTS])


def heights(axes):
    return [float(bar.get_height()) for bar in axes.patches]


def widths(axes):
    return [round(float(bar.get_width()), 6) for bar in axes.patches]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_class_distribution__one_bar_per_class_and_the_unrated():
    axes = charts.plot_class_distribution(classes())
    assert heights(axes) == [40, 30, 20, 10, 5, 8]
    assert ticks(axes.xaxis) == ["1 (A)", "2 (B)", "3 (C)", "4 (D)", "5 (E)", "unrated"]
    assert "40\n35.4%" in texts(axes)
    assert axes.get_ylabel() == "companies"
    assert axes.get_title(loc="left") == "Companies by risk class"


def test_class_distribution__no_share_of_fewer_than_20_companies():
    assert texts(charts.plot_class_distribution(classes((5, 5, 5, 2, 1, 1))))[:6] == ["5", "5", "5", "2", "1", "1"]


def test_class_distribution__a_suppressed_cell_says_so():
    frame = classes().astype({"n_companies": "Int64"})
    frame.loc[4, ["n_companies", "share_ratio"]] = [pd.NA, np.nan]
    assert "suppressed" in texts(charts.plot_class_distribution(frame))


def test_class_distribution__by_group_stacks_shares():
    frame = pd.concat([classes(sector="41.20"), classes((1, 1, 1, 1, 1, 1), sector=None)], ignore_index=True)
    axes = charts.plot_class_distribution(based(frame))
    assert ticks(axes.yaxis) == ["41.20", "unknown"]
    assert widths(axes)[::2] == [round(n / 113, 6) for n in (40, 30, 20, 10, 5, 8)]
    assert "no shares of fewer than 20 companies" in texts(axes)


def test_value_distribution__uneven_bins_are_equally_wide_and_name_their_edges():
    axes = charts.plot_value_distribution(values())
    assert heights(axes) == [5, 9, 2]
    assert widths(axes) == [1, 1, 1]
    assert ticks(axes.xaxis) == ["0", "0.01", "0.1", "1"]
    assert "[0–1]" in axes.get_xlabel()
    assert "horizon is not documented" in axes.get_xlabel()
    assert "without a value: 4" in axes.get_xlabel()


def test_value_distribution__even_bins_keep_their_scale():
    axes = charts.plot_value_distribution(pd.DataFrame({"low": [0, 10], "high": [10, 20], "n_companies": [5, 9]}))
    assert widths(axes) == [10, 10]


def test_value_distribution__groups_are_refused():
    with pytest.raises(InputError, match="one group at a time"):
        charts.plot_value_distribution(pd.concat([values(), values()]))


def test_class_over_time__one_measure_at_a_time():
    assert heights(charts.plot_class_over_time(over_time())) == [4, 6] * 6
    assert heights(charts.plot_class_over_time(over_time(), measure="new")) == [3, 2] * 6
    with pytest.raises(InputError, match="'new'"):
        charts.plot_class_over_time(over_time().query("measure == 'stock'"), measure="new")


def test_class_over_time__shares_of_too_few_stay_empty():
    drawn = heights(charts.plot_class_over_time(over_time(), measure="stock", share=True))
    assert drawn == pytest.approx([1 / 6] * 12)
    few = np.array(heights(charts.plot_class_over_time(over_time(), measure="new", share=True)))
    assert np.isnan(few).all()


def test_portfolio_months__debits_hang_and_a_missing_month_leaves_a_gap():
    axes = charts.plot_portfolio_months(months())
    assert heights(axes) == [2, 3, 4, -1, -3, -5]
    assert axes.get_ylabel() == "amount million per month"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1, 0, np.nan, -1])
    assert ticks(axes.xaxis) == ["2025-01", "2025-02", "2025-04"]


def test_months_and_classes_without_any_company_are_drawn_empty():
    nothing = months().assign(total_credit=np.nan, total_debit=np.nan, net_flow=np.nan, negative_day_share_ratio=np.nan)
    assert charts.plot_portfolio_months(nothing).get_ylabel() == "amount per month"
    assert "<svg" in charts.to_svg(charts.plot_negative_days(nothing))
    assert heights(charts.plot_class_distribution(classes().assign(n_companies=0, share_ratio=np.nan))) == [0] * 6


def test_negative_days__per_cent_from_zero():
    axes = charts.plot_negative_days(months())
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.1, np.nan, np.nan, 0.2])
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylabel() == "share of covered days"


def test_reconciliation__shares_per_check():
    axes = charts.plot_reconciliation(ledger())
    assert widths(axes) == [0.6, 1, 0.2, 0, 0.2, 0]
    assert ticks(axes.yaxis) == ["arithmetic\n2 off", "running balance\n0 off"]


def test_coverage__the_flag_decides_what_is_short():
    axes = charts.plot_coverage(coverage())
    drawn = heights(axes)
    assert [month for month in range(13) if drawn[month]] == [2]
    assert {month: drawn[13 + month] for month in range(13) if drawn[13 + month]} == {5: 1, 12: 2}


@every_plot
def test_every_plot__leaves_its_input_alone(plot, make):
    frame = make()
    plot(frame)
    pd.testing.assert_frame_equal(frame, make())
    assert frame.attrs == make().attrs


@every_plot
def test_every_plot__says_what_is_wrong_with_the_frame(plot, make):
    with pytest.raises(InputError, match="no rows"):
        plot(make().iloc[:0])
    column = make().columns[0]
    with pytest.raises(InputError, match=f"no column {column}; pass the result of"):
        plot(make().drop(columns=column))


@every_plot
def test_every_plot__same_frame_same_bytes(plot, make):
    axes = plot(make())
    first = charts.to_svg(axes)
    assert charts.to_svg(axes) == first
    assert charts.to_svg(plot(make())) == first
    ElementTree.fromstring(first)


@every_plot
def test_every_plot__draws_on_given_axes_and_restores_the_style(plot, make):
    before, axes = dict(mpl.rcParams), charts.blank_axes(4, 3)
    assert plot(make(), ax=axes, title="Mine") is axes
    assert axes.get_title(loc="left") == "Mine"
    assert dict(mpl.rcParams) == before


def test_base__is_printed_with_n_and_as_of():
    line = "n = 187 companies · 13 excluded · product bank · as of 2025-06-30"
    assert line in texts(charts.plot_class_distribution(classes()))


def test_labels_from_outside_are_text_and_not_markup():
    frame = pd.concat([classes(sector=HOSTILE), classes(sector="شركة")], ignore_index=True)
    svg = charts.to_svg(charts.plot_class_distribution(frame))
    assert "<script" not in svg
    found = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert charts.plain(HOSTILE) in found
    assert "شركة" in found


def test_svg__ids_of_different_charts_never_meet_and_all_references_hold():
    pages = [charts.to_svg(plot(make())) for plot, make in PLOTS]
    ids = [re.findall(r' id="([^"]*)"', svg) for svg in pages]
    assert len({name for of in ids for name in of}) == sum(map(len, ids))
    for svg, own in zip(pages, ids, strict=True):
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg)) == set(own)
        assert "<style" not in svg
        assert "<image" not in svg


def test_png__is_900_by_500_and_an_impossible_path_is_named(tmp_path):
    path = charts.to_png(charts.plot_coverage(coverage()), tmp_path / "chart.png")
    assert np.frombuffer(path.read_bytes()[16:24], ">u4").tolist() == [900, 500]
    with pytest.raises(InputError, match=r"absent.chart\.png"):
        charts.to_png(charts.plot_coverage(coverage()), tmp_path / "absent" / "chart.png")


def test_threads_do_not_disturb_each_other():
    expected, before = charts.to_svg(charts.plot_coverage(coverage())), dict(mpl.rcParams)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: charts.to_svg(charts.plot_coverage(coverage())), range(8)))
    assert set(drawn) == {expected}
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported():
    code = "import sys, xray_analytics.charts; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def lightness(color):
    """CIE L* of a colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(color)]
    y = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return 116 * y ** (1 / 3) - 16


def test_class_colours_darken_with_risk_by_visible_steps():
    steps = np.diff([lightness(charts.CLASS_COLORS[c]) for c in (1, 2, 3, 4, 5)])
    assert (steps < -10).all()


def test_notebook__axes_that_end_a_cell_are_their_picture():
    picture = charts.blank_axes()._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert picture == charts.blank_axes()._repr_png_()
