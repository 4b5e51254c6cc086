"""Charts of a validation: what is drawn, which axis, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from xray_analytics import charts
from xray_analytics.analysis import validation as v
from xray_analytics.errors import InputError

CLASSES = pd.DataFrame({
    "risk_class": pd.array([1, 2, 3, 4, 5, None], "Int64"), "n": [1000, 900, 800, 400, 100, 40],
    "n_defaults": [0, 9, 20, 25, 15, 1], "default_probability": [0.001, 0.005, 0.03, 0.05, 0.14, 0.02],
})  # fmt: skip


def written(axes):
    return [text.get_text() for text in axes.texts]


def test_roc_and_cap__draw_every_class_and_chance():
    roc, cap = v.roc_curve(CLASSES, score="risk_class"), v.cap_curve(CLASSES, score="risk_class")
    axes = charts.plot_roc(roc)
    assert [line.get_label() for line in axes.lines] == ["chance", "score"]
    assert axes.lines[1].get_xdata().tolist() == roc["false_positive_ratio"].tolist()
    assert axes.lines[1].get_marker() == "o"  # five classes are five points
    axes = charts.plot_cap(cap)
    perfect = axes.lines[0].get_xdata()[1]
    assert ([line.get_label() for line in axes.lines], perfect) == (
        ["perfect", "chance", "score"], pytest.approx(69 / 3200),
    )  # fmt: skip
    assert "40 excluded" in written(axes)[-1]
    cap.attrs = {}
    assert [line.get_label() for line in charts.plot_cap(cap).lines] == ["chance", "score"]


def test_calibration__marks_what_is_too_low_on_a_logarithmic_axis():
    table = v.calibration_table(CLASSES, horizon_months=12)
    before = table.copy()
    axes = charts.plot_calibration(table)
    pd.testing.assert_frame_equal(table, before)
    assert axes.get_yscale() == "log"
    assert "horizon 12 months" in written(axes)[-1]
    assert written(axes)[:-1] == [f"{bad} of {n:,}" for bad, n in zip(table["n_defaults"], table["n"], strict=True)]
    diamonds = next(line for line in axes.lines if line.get_label() == "mean probability")
    assert diamonds.get_ydata() == pytest.approx(table["mean_probability"])
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        charts.class_label(c) for c in (1, 2, 3, 4, 5, None)
    ]
    assert ("underestimated" in set(table["verdict"])) == ("probability too low" in axes.get_legend_handles_labels()[1])
    points = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert points[0].get_ydata()[0] == axes.get_ylim()[0]  # a rate of 0 stands at the foot


def test_default_rates__from_zero_where_the_rates_are_alike():
    table = v.default_rate_table(CLASSES.iloc[2:4])
    axes = charts.plot_default_rates(table)
    assert (axes.get_yscale(), axes.get_ylim()[0]) == ("linear", 0)
    nothing = v.default_rate_table(CLASSES.assign(n_defaults=0).iloc[:1])
    assert charts.plot_default_rates(nothing).get_ylim()[1] > 0
    with pytest.raises(InputError, match="no class has a default rate"):
        charts.plot_default_rates(table.assign(default_rate_ratio=np.nan))


def test_psi__draws_both_sides_and_what_a_bin_adds():
    found = v.psi([50, 30, 20], [20, 30, 50])
    axes = charts.plot_psi(found.bins)
    assert [round(bar.get_height(), 12) for bar in axes.patches] == [0.5, 0.3, 0.2, 0.2, 0.3, 0.5]
    assert [text for text in written(axes) if text.startswith("+")] == ["+0.275", "+0.000", "+0.275"]


def curves(n=60):
    days = pd.to_datetime(["2023-03-01", "2024-03-01"] * (n // 2))
    ids = [str(i) for i in range(n)]
    loans = pd.DataFrame({
        "loan_id": ids, "company_id": ids, "origination_date": days, "closed_date": pd.NaT, "refinanced_from": None,
    }).astype({"closed_date": "datetime64[us]"})  # fmt: skip
    defaults = [day + pd.Timedelta(days=200) if i % 10 == 0 else None for i, day in enumerate(days)]
    outcomes = pd.DataFrame({"company_id": ids, "default_date": pd.to_datetime(defaults), "observed_until": pd.NaT})
    outcomes = outcomes.astype({"observed_until": "datetime64[us]"})
    return v.vintage_curves(loans, outcomes, known_until="2025-12-31")


def test_vintage_curves__one_line_a_vintage_and_none_of_few():
    axes = charts.plot_vintage_curves(curves())
    assert [line.get_label() for line in axes.lines] == ["2023", "2024"]
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(0.2)  # every tenth loan, all of 2023
    with pytest.raises(InputError, match="no vintage has 20 loans watched"):
        charts.plot_vintage_curves(curves(20))


@pytest.mark.parametrize(
    "plot", [charts.plot_roc, charts.plot_cap, charts.plot_calibration, charts.plot_default_rates, charts.plot_psi]
)
def test_refused__with_the_function_that_would_give_it(plot):
    with pytest.raises(InputError, match="pass the result of validation"):
        plot(pd.DataFrame({"a": [1]}))


def test_default_rate_table__inversions_are_fishers():
    from scipy import stats

    table = v.default_rate_table(CLASSES)
    n, bad = CLASSES["n"], CLASSES["n_defaults"]
    for i in range(1, 5):
        cells = [[bad[i], n[i] - bad[i]], [bad[i - 1], n[i - 1] - bad[i - 1]]]
        assert table["p_value_inversion"][i] == pytest.approx(stats.fisher_exact(cells, "less").pvalue)
    assert table["p_value_inversion"].isna().tolist() == [True, False, False, False, False, True]
    clustered = v.default_rate_table(
        pd.DataFrame({"company_id": list("aabbcc"), "risk_class": 1, "defaulted": [0, 0, 1, 1, 0, 0]}),
        cluster="company_id",
    )
    assert np.isnan(clustered["p_value_inversion"].item())
    z, n, p = 1.959964, 2, 1 / 3  # three clusters that agree within are worth two: Wilson's interval of 2/3 of 2
    middle, width = (p + z * z / (2 * n)) / (1 + z * z / n), np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    bounds = middle + z / (1 + z * z / n) * width * np.array([-1, 1])
    assert (clustered["low"].item(), clustered["high"].item()) == pytest.approx(tuple(bounds), abs=1e-6)
