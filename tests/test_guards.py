"""Not a number is no argument: every public function, every numeric argument, every numeric column of its frames."""

import inspect
import math
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from xray_analytics import backtest, cashflow, flags, migration, monitoring, portfolio, quality, ratios, validation
from xray_analytics.analysis import guards
from xray_analytics.errors import InputError

day = pd.to_datetime(["2024-03-01", "2025-03-01", "2024-05-01"], utc=True)
R = pd.DataFrame(
    {
        "report_id": ["a", "b", "c"],
        "report_version": 1,
        "company_id": ["x", "x", "y"],
        "product": "bank",
        "created_at": day,
        "available_at": day,
        "fetched_at": day,
        "is_backfilled": False,
        "is_rated": True,
        "bank_risk_class": [2, 4, 1],
        "financial_risk_class": [2, 3, 1],
        "default_probability": 0.1,
        "bank_score": 0.5,
        "data_sanity_pct": 90.0,
        "n_transactions": 1,
        "n_days_covered": 3,
        "request_id": "r",
        "period_start_date": pd.to_datetime("2024-01-01"),
        "period_end_date": pd.to_datetime("2024-02-01"),
    }
)
ENDS = pd.DataFrame(
    {
        "company_id": ["x", "y"],
        "default_date": pd.to_datetime(["2024-12-10", None]),
        "default_end_date": pd.to_datetime([None, None]),
        "exit_date": pd.to_datetime([None, None]),
        "exit_reason": None,
        "observed_until": pd.to_datetime(["2025-12-31"] * 2),
    }
)
S = pd.DataFrame(
    {
        "score": [1.0, 2, 3, 4, 5, 6, 7, 8],
        "other": [1.0, 3, 2, 4, 5, 6, 8, 7],
        "default_probability": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
        "risk_class": [1, 1, 2, 2, 3, 3, 4, 4],
        "defaulted": [0, 1, 0, 0, 1, 0, 1, 1],
        "company_id": list("abcdefgh"),
    }
)
L = pd.DataFrame(
    {
        "loan_id": ["a", "b"],
        "company_id": ["x", "y"],
        "origination_date": pd.to_datetime(["2024-01-01"] * 2),
        "closed_date": pd.to_datetime([None, "2024-07-01"]),
        "refinanced_from": None,
    }
)
W = pd.DataFrame(
    {
        "company_id": ["x", "y"],
        "rule": "class_5",
        "first_seen": pd.to_datetime(["2024-01-10"] * 2),
        "severity": "low",
        "evidence": "e",
    }
)
FL = pd.DataFrame(
    {
        "company_id": "x",
        "month": pd.date_range("2025-01-01", periods=6, freq="MS"),
        "report_id": "a",
        "total_credit": [120.0, 110, 100, 90, 80, 70],
        "total_debit": [125.0, 115, 105, 95, 85, 75],
        "net_flow": -5.0,
        "closing_balance": [40.0, 35, 30, 25, 20, 15],
        "minimum_balance": 10.0,
        "average_daily_balance": 20.0,
        "n_negative_days": 0,
        "n_days_covered": 30,
        "is_complete": True,
    }
)
ST = pd.DataFrame(
    {
        "company_id": ["x"],
        "side": "debit",
        "category": "loan_repayment",
        "period": "monthly",
        "amount": 20.0,
        "first_date": FL.month[:1],
        "last_date": FL.month[2:3].values,
        "is_active": True,
    }
)
E = pd.DataFrame(
    {
        "company_id": ["x", "y"],
        "exposure_date": pd.to_datetime("2024-12-31"),
        "drawn": [10.0, 5.0],
        "undrawn": 0.0,
        "currency": "EUR",
        "recorded_at": day[:2],
    }
)
N = pd.DataFrame({"request_id": ["r"], "request_version": 1, "revenue_cents": 100_000_00})
H = pd.DataFrame(
    {
        "cohort_date": pd.date_range("2018-12-31", periods=6, freq="YE"),
        "n": 1000,
        "n_defaults": [10, 20, 30, 40, 20, 30],
    }
)
M = pd.DataFrame(
    {"from_class": [1, 1, 2, 2, 2], "to_state": ["1", "2", "1", "2", "defaulted"], "n": [90, 10, 20, 70, 9]}
)
SPELLS = pd.DataFrame(
    {
        "company_id": ["x", "x", "y"],
        "state": ["A", "B", "A"],
        "start_date": pd.to_datetime(["2024-01-01", "2024-06-01", "2024-01-01"]),
        "end_date": pd.to_datetime(["2024-06-01", "2025-01-01", "2025-01-01"]),
    }
)
BINS = {"bins": 2, "min_n": 1, "min_defaults": 1}
CALLS = {
    validation.characteristic_stability: {
        "inputs": S.assign(month=[1] * 4 + [2] * 4),
        "features": ["score", "other"],
        "period": "month",
        "bins": 2,
    },
    validation.auc_unpaired: {"sample": S, "other": S, "confidence": 0.95},
    validation.grade_concentration: {"initial": {"a": 10, "b": 5}, "current": {"a": 8, "b": 9}},
    validation.default_rate_long_run: {"cohorts": H, "horizon_months": 12, "confidence": 0.95},
    validation.default_correlation: {"cohorts": H, "horizon_months": 12, "confidence": 0.95},
    validation.heterogeneity: {"sample": S, "level": 0.05},
    validation.homogeneity: {"sample": S, "within": "other", "level": 0.05},
    validation.recalibration: {"sample": S, "horizon_months": 12, "min_n": 1, "min_defaults": 1, "confidence": 0.95},
    validation.woe_binning: {"sample": S, "feature": "score", **BINS},
    validation.information_value: {"sample": S, "features": ["score", "other"], **BINS},
    migration.cell_tests: {"matrix": M.head(4)},
    migration.multi_year_matrix: {"matrix": M, "years": 2},
    migration.term_structure: {"matrix": M, "years": 2, "confidence": 0.95},
    migration.generator_matrix: {"spells": SPELLS, "horizon_months": 12},
    validation.auc: {"sample": S, "confidence": 0.95},
    validation.auc_difference: {"sample": S, "score": "score", "other": "other", "confidence": 0.95},
    validation.auc_drop: {"sample": S, "reference": 0.7, "confidence": 0.95},
    validation.binomial: {"n": 10, "defaults": 1, "probability": 0.1, "correlation": 0.1},
    validation.brier: {"sample": S, "horizon_months": 12, "confidence": 0.95},
    validation.calibration_table: {"sample": S, "horizon_months": 12, "confidence": 0.95, "level": 0.05, "min_n": 1},
    validation.cap_curve: {"sample": S},
    validation.ks: {"sample": S},
    validation.roc_curve: {"sample": S},
    validation.somers_d: {"sample": S, "confidence": 0.95},
    validation.cumulative_incidence: {"entry": np.zeros(2), "end": np.array([1.0, 2]), "event": np.array([1.0, 0])},
    validation.default_rate_interval: {"n": 10, "defaults": 1, "confidence": 0.95},
    validation.default_rate_table: {"sample": S, "confidence": 0.95},
    validation.holm: {"p_values": np.array([0.1, 0.2])},
    validation.hosmer_lemeshow: {"sample": S, "fitted": False, "horizon_months": 12, "groups": 4},
    validation.jeffreys: {"n": 10, "defaults": 1, "probability": 0.1, "confidence": 0.95},
    validation.low_default_pd: {"n": [10, 20], "defaults": [0, 1], "confidence": [0.5], "correlation": 0.1},
    validation.psi: {"expected": {"a": 10, "b": 5}, "actual": {"a": 8, "b": 9}, "floor": 0.001},
    validation.spiegelhalter: {"sample": S, "horizon_months": 12},
    validation.stuart_maxwell: {"table": np.array([[30.0, 10], [5, 20]])},
    validation.vintage_curves: {"loans": L, "outcomes": ENDS, "known_until": "2024-12-31", "confidence": 0.95},
    portfolio.class_agreement: {"reports": R, "max_gap_days": 100},
    portfolio.class_distribution: {"reports": R, "product": "bank", "weight": "exposure", "exposures": E},
    portfolio.class_over_time: {"reports": R, "product": "bank"},
    portfolio.concentration: {"exposures": E},
    portfolio.movement: {
        "reports": R,
        "product": "bank",
        "start": "2024-06-30",
        "end": "2025-06-30",
        "max_age_months": 12,
    },
    portfolio.summary: {"reports": R},
    portfolio.suppressed: {
        "distribution": pd.DataFrame({"risk_class": [1, 2, 3, 4], "n_companies": [2, 20, 10, 7], "share_ratio": 0.0}),
        "min_n": 3,
    },
    portfolio.value_distribution: {"reports": R, "column": "bank_score", "edges": [0.0, 0.5, 1.0]},
    portfolio.group_reports: {
        "reports": R,
        "companies": pd.DataFrame({"company_id": ["x", "y"], "group_id": "G"}),
        "product": "bank",
    },
    migration.transition_table: {"reports": R, "product": "bank", "as_of": "2025-12-31", "horizon_months": 12},
    migration.migration_matrix: {"reports": R, "product": "bank", "as_of": "2025-12-31", "horizon_months": 12},
    migration.mobility: {"matrix": pd.DataFrame({"from_class": [1, 2], "to_state": ["1", "2"], "n": [1.0, 1.0]})},
    monitoring.precision: {"watch": W, "outcomes": ENDS, "known_until": "2025-12-31", "horizon_months": 12, "min_n": 1},
    monitoring.companies_to_review: {"watch": W, "n": 3},
    monitoring.debt_service: {"flows": FL, "recurring": ST, "window_months": 3},
    monitoring.watch_list: {"reports": R, "flows": FL, "as_of": "2025-12-31"},
    cashflow.company_metrics: {"flows": FL, "as_of": "2025-12-31", "window_months": 3},
    cashflow.portfolio_months: {"flows": FL},
    ratios.declared_vs_banked: {"reports": R, "notes": N, "flows": FL, "vat_rates": [0.0, 0.2]},
    quality.sensitivity: {"statistic": lambda f: f["bank_risk_class"].mean(), "reports": R, "thresholds": [0, 50]},
    backtest.observations: {
        "reports": R,
        "outcomes": ENDS,
        "as_of_dates": ["2024-06-30"],
        "horizon_months": 12,
        "outcomes_known_until": "2025-12-31",
        "product": "bank",
        "availability_lag_hours": 48,
        "max_data_age_days": 365,
        "probation_months": 3,
        "reporting_lag_days": 0,
        "test_share": 0.3,
    },
    backtest.known_by: {"tables": {"reports": R}, "as_of": "2025-12-31", "availability_lag_hours": 3.0},
}

ROWS = backtest.observations(**CALLS[backtest.observations])
CALLS[backtest.features] = {"tables": {"reports": R}, "observations": ROWS, "availability_lag_hours": 48}
CALLS[backtest.check_no_look_ahead] = {
    "function": backtest.features, "tables": {"reports": R}, "observations": ROWS, "availability_lag_hours": 48,
}  # fmt: skip

MODULES = (validation, portfolio, cashflow, monitoring, quality, backtest, flags, migration, ratios)
NUMBERS = ("int", "float", "Floats", "Integers", "ArrayLike", "Bins")
PASSED_ON = (quality.sensitivity, portfolio.suppressed)  # columns that mean what the caller says
NOT_KNOWN = {("holm", "p_values"): (math.nan,), ("value_distribution", "edges"): (-math.inf, math.inf)}  # documented


def variants(value, bad):
    """The value with one number in it made bad."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield "", bad
    elif isinstance(value, list) and isinstance(value[0], int | float):
        yield "[0]", [bad, *value[1:]]
    elif isinstance(value, np.ndarray):
        changed = value.astype(float)
        changed.flat[-1] = bad
        yield "[-1]", changed
    elif isinstance(value, dict) and all(isinstance(x, int | float) for x in value.values()):
        yield "[last]", value | {list(value)[-1]: bad}
    elif isinstance(value, pd.DataFrame):
        for name in value.select_dtypes("number"):
            changed = value.astype({name: "float64"})
            changed.loc[changed.index[-1], name] = bad
            yield f".{name}", changed


def same(one, other):
    """Whether two results are the same, whatever they are."""
    if isinstance(one, dict):
        return all(same(one[name], other[name]) for name in one)
    if isinstance(one, pd.DataFrame):  # an Int64 may have become a float64
        one, other = (f.astype("object").where(f.notna(), None).to_numpy().tolist() for f in (one, other))
    return repr(one) == repr(other) if not isinstance(one, list) else one == other


def test_calls__name_every_function_with_a_number():
    called = {function.__name__ for function in CALLS}
    for module in MODULES:
        for name in getattr(module, "__all__", dir(module)):
            function = getattr(module, name)
            if inspect.isfunction(function) and not name.startswith("_"):
                kinds = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
                has_number = any(word in kind for kind in kinds for word in NUMBERS)
                assert name in called or not has_number or not function.__module__.startswith("xray_analytics"), name


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_not_a_number__is_refused_as_an_argument(function):
    given = CALLS[function]
    function(**given)
    for name, value in given.items():
        for bad in (math.nan, math.inf, -math.inf):
            if isinstance(value, pd.DataFrame) or bad in NOT_KNOWN.get((function.__name__, name), ()):
                continue
            for _, changed in variants(value, bad):
                with pytest.raises(InputError):
                    function(**{**given, name: changed})


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_not_a_number__in_a_column_is_missing_and_an_infinite_one_refused(function):
    given = CALLS[function]
    expected = function(**given)
    for name, value in given.items():
        if not isinstance(value, pd.DataFrame) or function in PASSED_ON:
            continue
        for (where, missing), (_, infinite) in zip(variants(value, math.nan), variants(value, math.inf), strict=True):
            wanted = None
            try:
                wanted = function(**{**given, name: missing.convert_dtypes()})  # with null instead of NaN
            except InputError:
                with pytest.raises(InputError):
                    function(**{**given, name: missing})
            assert wanted is None or same(function(**{**given, name: missing}), wanted), (name, where)
            found = None
            with suppress(InputError):
                found = function(**{**given, name: infinite})
            assert found is None or same(found, expected), (name, where)  # a column that is not read


@pytest.mark.parametrize("bad", [math.nan, math.inf, "2", None, [1]])
def test_guards__ask_for_what_is_right(bad):
    assert not guards.is_number(bad)
    assert not guards.is_whole(bad)


def test_cumulative_incidence__refuses_an_age_that_is_no_number_and_an_unknown_event():
    zeros, ends, events = np.zeros(2), np.array([1.0, 2.0]), np.array([1, 0])
    with pytest.raises(InputError, match="finite numbers"):
        validation.cumulative_incidence(zeros, np.array([math.nan, 2.0]), events)
    with pytest.raises(InputError, match="events are"):
        validation.cumulative_incidence(zeros, ends, np.array([3, 0]))
