"""The same figure at every cut-off: newest versions only, whatever the kind of frame."""

import duckdb
import pandas as pd
import pytest
from test_cashflow import reports_of

from xray_analytics.analysis import portfolio, quality
from xray_analytics.errors import InputError
from xray_analytics.tables import REPORTS


def reports(*sanity):
    rows = [(f"r{n}", f"c{n}", "2025-01-05", 1) for n in range(len(sanity))]
    frame = REPORTS.to_pandas(reports_of(*rows))
    return frame.assign(data_sanity_pct=pd.array(sanity, dtype="Float64").astype("float64"), bank_risk_class=2)


def share(frame):
    found = portfolio.class_distribution(frame, product="bank")
    return found.loc[found["risk_class"] == 2, "n_companies"].iloc[0]


def test_each_threshold_counts_reports_at_or_above_it():
    found = quality.sensitivity(share, reports(100, 70, 69.9, None), (0, 70, 100))
    assert found[["threshold_pct", "value", "n_reports", "n_companies"]].to_numpy().tolist() == [
        [0, 4, 4, 4], [70, 2, 2, 2], [100, 1, 1, 1],
    ]  # fmt: skip
    assert found.attrs["base"]["excluded"] == {"unknown_sanity": 1}
    assert quality.sensitivity(share, reports(100))["threshold_pct"].tolist() == list(range(0, 100, 10))


def test_a_poor_new_version_does_not_bring_the_old_one_back():
    first = reports(100)
    second = first.assign(report_version=2, data_sanity_pct=10.0)
    found = quality.sensitivity(len, pd.concat([second, first]), (0, 50))
    assert found["value"].tolist() == [1, 0]


def test_a_figure_that_cannot_be_had_says_why():
    def refuse(frame):
        if len(frame) < 2:
            raise InputError("too few")
        return float("nan") if len(frame) == 2 else 1.0

    found = quality.sensitivity(refuse, reports(90, 90, 50, 10), (0, 20, 60, 95))
    assert found["value"].fillna(-1).tolist() == [1, 1, -1, -1]
    assert found["reason"].fillna("").tolist() == ["", "", "not a number", "too few"]


def test_engines_agree_and_the_statistic_gets_the_kind_given():
    frame = reports(100, 70, 30)
    arrow = REPORTS.conform(frame)
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    want, kinds = quality.sensitivity(share, frame, (0, 50)), []
    for other in (frame, arrow, connection.from_arrow(arrow)):
        found = quality.sensitivity(lambda given: (kinds.append(type(given)), share(given))[1], other, (0, 50))
        pd.testing.assert_frame_equal(found, want)
    assert kinds[::2] == [pd.DataFrame, type(arrow), duckdb.DuckDBPyRelation]


def test_empty_and_wrong_input():
    found = quality.sensitivity(len, REPORTS.empty(), (0, 50))
    assert found[["value", "n_reports"]].to_numpy().tolist() == [[0, 0], [0, 0]]
    with pytest.raises(InputError, match="threshold 101"):
        quality.sensitivity(len, REPORTS.empty(), (101,))
    with pytest.raises(InputError, match="frame of reports lacks data_sanity_pct"):
        quality.sensitivity(len, REPORTS.empty().drop_columns("data_sanity_pct"))
