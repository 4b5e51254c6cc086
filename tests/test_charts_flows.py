"""Balances and sensitivity as drawn: data, gaps, labels; the frame stays as it is."""

import numpy as np
import pandas as pd
import pytest

from xray_analytics import charts
from xray_analytics.analysis import quality
from xray_analytics.errors import InputError


def balances(*rows):
    frame = pd.DataFrame(rows, columns=["account_no", "day", "balance"]).assign(report_id="r")
    return frame.assign(day=pd.to_datetime(frame["day"]))


def test_plot_daily_balances__lines_gaps_and_zero():
    frame = balances((1, "2025-01-02", 3.0), (0, "2025-01-01", 5.0), (0, "2025-01-03", -2.0))
    kept = frame.copy()
    axes = charts.plot_daily_balances(frame)
    zero, first, second = (line.get_ydata() for line in axes.lines)
    assert list(zero) == [0, 0]
    np.testing.assert_array_equal(first, [5.0, np.nan, -2.0])
    assert second.tolist() == [3.0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["account 0", "account 1"]
    assert axes.get_ylabel() == "balance"
    pd.testing.assert_frame_equal(frame, kept)
    assert charts.to_svg(axes).startswith("<svg")


def test_plot_sensitivity__points_and_their_counts():
    reports = pd.DataFrame({"report_id": list("abc"), "report_version": 1, "company_id": list("xyz")})
    reports["data_sanity_pct"] = [100.0, 80.0, 40.0]
    axes = charts.plot_sensitivity(quality.sensitivity(len, reports, (0, 50, 90)), label="reports")
    assert axes.lines[0].get_ydata().tolist() == [3, 2, 1]
    assert [text.get_text() for text in axes.texts][:3] == ["3", "2", "1"]
    assert axes.get_ylabel() == "reports"


def test_wrong_frames_raise():
    with pytest.raises(InputError, match="no column balance"):
        charts.plot_daily_balances(balances((0, "2025-01-01", 1.0)).drop(columns="balance"))
    with pytest.raises(InputError, match="several reports"):
        charts.plot_daily_balances(
            balances((0, "2025-01-01", 1.0), (0, "2025-01-02", 1.0)).assign(report_id=["a", "b"])
        )
    with pytest.raises(InputError, match="no rows"):
        charts.plot_daily_balances(balances())
    with pytest.raises(InputError, match="no column value"):
        charts.plot_sensitivity(pd.DataFrame({"threshold_pct": [0]}))
