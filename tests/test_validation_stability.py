"""Shifts, low-default bounds, vintages and the policy: printed numbers, other software's, and refusals."""

import numpy as np
import pandas as pd
import pytest

from xray_analytics.analysis import validation as v
from xray_analytics.analysis.validation.policy import SHIPPED
from xray_analytics.errors import InputError

DAY = pd.Timestamp
LEVELS = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999]
# Pluto & Tasche (2005): 100, 400 and 300 companies in grades A, B, C; per cent at the levels above.
NO_DEFAULTS = {
    "A": [0.09, 0.17, 0.29, 0.37, 0.57, 0.86], "B": [0.10, 0.20, 0.33, 0.43, 0.66, 0.98],
    "C": [0.23, 0.46, 0.76, 0.99, 1.52, 2.28],
}  # fmt: skip
CORRELATED = {
    "A": [0.15, 0.40, 0.86, 1.31, 2.65, 5.29], "B": [0.17, 0.45, 0.96, 1.45, 2.92, 5.77],
    "C": [0.37, 0.92, 1.89, 2.78, 5.30, 9.84],
}  # fmt: skip
C_ONE_DEFAULT = [0.56, 0.90, 1.29, 1.57, 2.19, 3.04]
# Leukaemia, maintained group, of R's package survival (aml): weeks, and whether the patient relapsed.
AML = (np.array([9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161.0]), np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0]))


def grades(**options):
    found = v.low_default_pd([100, 400, 300], options.pop("defaults", [0, 0, 0]), confidence=LEVELS, **options)
    return {
        g: list(100 * part["default_probability"])
        for g, (_, part) in zip("ABC", found.groupby("grade_no"), strict=True)
    }


def test_low_default_pd__pluto_and_tasche():
    for grade, printed in NO_DEFAULTS.items():
        assert grades()[grade] == pytest.approx(printed, abs=0.0051)
    for grade, printed in CORRELATED.items():
        assert grades(correlation=0.12)[grade] == pytest.approx(printed, abs=0.0101)
    assert grades(defaults=[0, 2, 1])["C"] == pytest.approx(C_ONE_DEFAULT, abs=0.0051)
    assert v.low_default_pd([3], [3])["default_probability"].tolist() == [1.0] * 3


def test_psi__benchmarks_of_yurdakul_and_naranjo():
    found = {n: v.psi([n // 10] * 10, [n // 10] * 10) for n in (100, 200, 400, 1000)}
    assert [round(f.benchmark, 3) for f in found.values()] == [0.338, 0.169, 0.085, 0.034]
    assert {f.value for f in found.values()} == {0.0}
    fixed = v.psi([0.1] * 10, [10] * 10, reference="fixed")
    assert (fixed.benchmark, fixed.n_expected) == (pytest.approx(found[100].benchmark / 2), None)


def test_psi__is_the_sum_of_two_entropies():
    from scipy import stats

    before, after = np.array([50, 30, 20]), np.array([20, 30, 100])
    e, a = before / before.sum(), after / after.sum()
    found = v.psi(before, after)
    assert found.value == pytest.approx(stats.entropy(a, e) + stats.entropy(e, a), abs=1e-14)
    assert found.value == pytest.approx(v.psi(after, before).value) == found.bins["contribution"].sum()
    assert found.is_shifted
    shares = v.psi(e, a)
    assert (shares.value, shares.benchmark, shares.is_shifted) == (pytest.approx(found.value), None, None)
    assert "by chance up to" in repr(found)
    assert "<th>PSI</th>" in found._repr_html_()


def test_psi__by_name_and_with_empty_bins():
    before, after = pd.Series({"a": 50, "b": 50}), {"b": 40, "a": 40, "c": 20}
    with pytest.raises(InputError, match="bin c is empty on one side"):
        v.psi(before, after)
    found = v.psi(before, after, floor=1e-4)
    expected = [(0.4 - 0.5) * np.log(0.8)] * 2 + [(0.2 - 1e-4) * np.log(0.2 / 1e-4)]
    assert found.bins.set_index("bin").loc[["a", "b", "c"], "contribution"].tolist() == pytest.approx(expected)
    assert found.n_floored == 1


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        (([1, 2], [1, 2, 3]), "2 bins expected and 3 actual"),
        (([5], [5]), "two bins or more"),
        (([5, -1], [5, 5]), "negative or missing"),
        (([0.5, 0.2], [1, 5]), "neither counts nor shares"),
    ],
)
def test_psi__refused(sides, reason):
    with pytest.raises(InputError, match=reason):
        v.psi(*sides)


def test_stuart_maxwell__unaided_vision():
    # 7,477 women, right and left eye (Stuart 1955): statsmodels' SquareTable.homogeneity gives 11.957, p 0.00753, df 3
    vision = [[1520, 266, 124, 66], [234, 1512, 432, 78], [117, 362, 1772, 205], [36, 82, 179, 492]]
    found = v.stuart_maxwell(vision)
    assert found.value == pytest.approx(11.957, abs=5e-4)
    assert (found.p_value, found.parts["degrees of freedom"]) == (pytest.approx(0.00753, abs=5e-6), 3)
    turned = v.stuart_maxwell(np.array(vision)[::-1, ::-1].T)
    assert turned.value == pytest.approx(found.value, rel=1e-12)
    idle = np.pad(np.array(vision), (0, 1))
    idle[4, 4] = 99  # a class that nobody left or entered tells nothing
    assert v.stuart_maxwell(idle).value == pytest.approx(found.value, rel=1e-12)
    assert v.stuart_maxwell(idle).n == 7576
    with pytest.raises(InputError, match="nobody moved"):
        v.stuart_maxwell(np.diag([3, 4]))


def test_cumulative_incidence__is_kaplan_meier_without_repayment():
    end, event = AML
    found = v.cumulative_incidence(np.zeros(11), end, event)
    assert (1 - found["default_ratio"]).round(3).tolist() == [0.909, 0.818, 0.716, 0.614, 0.491, 0.368, 0.184]
    # R, summary(survfit(Surv(time, status) ~ x, aml)): std.err
    printed = [0.0867, 0.1163, 0.1397, 0.1526, 0.1642, 0.1627, 0.1535]
    assert np.sqrt(found["variance"]).round(4).tolist() == printed


def test_cumulative_incidence__with_a_competing_end():
    # Satagopan et al. (2004), British Journal of Cancer 91, table 2: 305 patients, the first nine follow-up times
    end = np.array([7, 10, 14, 16, 18, 23, 24, 26, 27] + [60] * 296, float)
    event = np.array([0, 1, 0, 1, 2, 1, 0, 2, 1] + [0] * 296)
    found = v.cumulative_incidence(np.zeros(305), end, event)
    assert found["n_at_risk"].tolist() == [304, 302, 301, 300, 298, 297]
    assert (100 * found["running"]).round(1).tolist() == [99.7, 99.3, 99.0, 98.7, 98.3, 98.0]
    steps = 100 * found["default_ratio"].diff().fillna(found["default_ratio"])
    assert steps[found["n_default"] > 0].round(1).tolist() == [0.3] * 4
    assert (found["running"] + found["default_ratio"] + found["repaid_ratio"]).tolist() == pytest.approx([1] * 6)


def test_cumulative_incidence__delayed_entry_by_hand():
    # At age 2 only the first is watched; the second enters at 2.5, so that one of two is left after 3.
    entry, end, event = np.array([0, 2.5, 0]), np.array([3.0, 4, 2]), np.array([1, 0, 2])
    found = v.cumulative_incidence(entry, end, event)
    assert found["n_at_risk"].tolist() == [2, 2]
    assert found[["default_ratio", "repaid_ratio"]].values.tolist() == [[0, 0.5], [0.25, 0.5]]
    with pytest.raises(InputError, match="each end must be after its entry"):
        v.cumulative_incidence(end, entry, event)


def test_cumulative_incidence__variance_against_the_bootstrap():
    rng = np.random.default_rng(3)
    end, event = rng.exponential(1, 300).round(2) + 0.01, rng.integers(0, 3, 300)
    found = v.cumulative_incidence(np.zeros(300), end, event)
    at = np.searchsorted(found["age"], 1.0, "right") - 1
    draws = []
    for _ in range(400):
        pick = rng.integers(0, 300, 300)
        curve = v.cumulative_incidence(np.zeros(300), end[pick], event[pick])
        draws.append(curve["default_ratio"][np.searchsorted(curve["age"], 1.0, "right") - 1])
    assert np.sqrt(found["variance"][at]) == pytest.approx(np.std(draws), rel=0.12)


def loans(*rows):
    names = ["loan_id", "company_id", "origination_date", "closed_date", "refinanced_from"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.astype(dict.fromkeys(names[:2] + names[4:], "string") | dict.fromkeys(names[2:4], "datetime64[us]"))


def outcomes(**defaults):
    frame = pd.DataFrame({"company_id": list(defaults), "default_date": list(defaults.values())})
    frame["observed_until"] = DAY("2025-12-31")
    return frame.astype({"default_date": "datetime64[us]", "observed_until": "datetime64[us]"})


def test_vintage_curves__a_renewal_continues_the_spell():
    book = loans(
        ("a1", "a", "2024-01-01", "2024-07-01", None), ("a2", "a", "2024-07-01", None, "a1"),
        ("b", "b", "2024-01-01", "2024-07-01", None), ("c", "c", "2024-05-01", None, "unknown"),
        ("d", "d", None, None, None),
    )  # fmt: skip
    found = v.vintage_curves(book, outcomes(a="2025-03-01", b=None, c=None), known_until="2025-12-31")
    last = found.iloc[-1]
    assert (last["n_defaults"], last["n_repaid"], found["vintage"].unique().tolist()) == (1, 1, [DAY("2024-01-01")])
    ages = found.loc[found["default_ratio"].diff() > 0, "age_months"]
    assert ages.tolist() == [14]  # from January 2024, not from July
    assert last["default_ratio"] == pytest.approx(2 / 3 * 1 / 2)  # one of three repaid, then one of two defaults
    assert found.attrs["base"]["excluded"] == {"never_drawn": 1, "ended_before_watched": 0}


def test_vintage_curves__sees_nothing_later_and_enters_late():
    book = loans(
        ("a", "a", "2024-01-01", None, None), ("b", "b", "2024-01-01", "2024-06-01", None),
        ("c", "c", "2025-01-01", None, None), ("e", "e", "2023-01-01", "2023-06-01", None),
        ("f", "f", "2024-01-01", None, None),
    )  # fmt: skip
    ends = outcomes(a="2025-06-30", b=None, c=None, f=None)
    early = v.vintage_curves(book, ends, known_until="2024-03-31", freq="all")
    assert early[["n_defaults", "n_repaid"]].to_numpy().sum() == early.loc[early["age_months"] > 4, "n_repaid"].sum()
    assert early["age_months"].max() <= 6
    late = v.vintage_curves(book, ends, known_until="2025-12-31", observed_from="2024-07-01", freq="all")
    assert late.attrs["base"]["excluded"]["ended_before_watched"] == 2
    assert late.loc[late["age_months"] == 3, "n_at_risk"].tolist() == [1]  # a was not watched at that age
    assert late["low"].iloc[-1] < late["default_ratio"].iloc[-1] < late["high"].iloc[-1]


def test_vintage_curves__no_interval_where_a_company_is_there_twice_and_refusals():
    twice = loans(("a", "a", "2024-01-01", None, None), ("b", "a", "2024-02-01", None, None))
    found = v.vintage_curves(twice, outcomes(a="2024-09-01"), known_until="2025-12-31")
    assert (found["default_ratio"].iloc[-1], found["low"].isna().all()) == (1.0, True)
    with pytest.raises(InputError, match="a loan twice"):
        v.vintage_curves(pd.concat([twice, twice]), outcomes(a=None), known_until="2025-12-31")
    circle = loans(("a", "a", "2024-01-01", None, "b"), ("b", "a", "2024-02-01", None, "a"))
    with pytest.raises(InputError, match="goes round in a circle"):
        v.vintage_curves(circle, outcomes(a=None), known_until="2025-12-31")
    with pytest.raises(InputError, match="no loan was drawn"):
        v.vintage_curves(twice, outcomes(a=None), known_until="2020-12-31")


def test_policy__is_complete_or_refused():
    text = SHIPPED.read_text()
    assert v.shipped_policy() == v.parsed_policy(text, "mine.toml")
    assert v.shipped_policy().auc_reference is None  # nobody has set one
    assert v.parsed_policy(f"{text}\nauc_reference = 0.75", "mine.toml").auc_reference == 0.75
    for changed, reason in (
        (text.replace("min_companies = 2000", ""), "mine.toml lacks min_companies"),
        (text + "\nfun = 1", "has unknown fun"),
        (text.replace("level = 0.05", 'level = "low"'), "level is 'low', where float is needed"),
        (text + "\nauc_reference = 70", "auc_reference is 70.0; allowed is 0.5 to 1"),
        (text.replace("judge_too_high = true", "judge_too_high = 1"), "judge_too_high is 1, where bool is needed"),
        ("[", "is no TOML"),
    ):
        with pytest.raises(InputError, match=reason):
            v.parsed_policy(changed, "mine.toml")


@pytest.mark.parametrize("odd", ["nan", "inf", "true"])
def test_policy__a_number_that_is_none_is_refused(odd):
    text = f"{SHIPPED.read_text()}\nauc_reference = {odd}"
    with pytest.raises(InputError, match=r"mine\.toml: auc_reference is"):
        v.parsed_policy(text, "mine.toml")
