"""A class outside the scale is named and refused, never dropped; a scale of eight classes is counted as it is."""

import json

import numpy as np
import pandas as pd
import pytest

from xray_analytics import cashflow, charts, migration, monitoring, portfolio, tables, validation
from xray_analytics.errors import InputError
from xray_analytics.report.validation import cohorts

EIGHT = range(1, 9)


@pytest.fixture
def reports():
    day = pd.to_datetime(["2024-03-01", "2025-03-01", "2024-05-01"], utc=True)
    return pd.DataFrame({
        "report_id": ["a", "b", "c"], "report_version": 1, "company_id": ["x", "x", "y"], "product": "financial",
        "created_at": day, "available_at": day, "is_backfilled": False, "financial_risk_class": [2, 7, 1],
        "bank_risk_class": [2, 7, 1], "default_probability": 0.1, "data_sanity_pct": 90.0, "n_transactions": 1,
        "n_days_covered": 3,
    })  # fmt: skip


ASKED = {
    "class_distribution": lambda t, **kw: portfolio.class_distribution(t, product="financial", **kw),
    "class_over_time": lambda t, **kw: portfolio.class_over_time(t, product="financial", **kw),
    "movement": lambda t, **kw: portfolio.movement(t, product="financial", start="2024-06-30", end="2025-06-30", **kw),
    "transition_table": lambda t, **kw: migration.transition_table(t, product="financial", as_of="2025-12-31", **kw),
    "migration_matrix": lambda t, **kw: migration.migration_matrix(t, product="financial", as_of="2025-12-31", **kw),
    "summary": portfolio.summary,
}


@pytest.mark.parametrize("name", ASKED)
def test_classes__one_outside_is_named_and_a_longer_scale_counts_it(name, reports):
    with pytest.raises(InputError, match="financial_risk_class holds class 7"):
        ASKED[name](reports)
    found = ASKED[name](reports, classes=EIGHT)
    held = {"transition_table": "to_state", "migration_matrix": "to_state"}.get(name)
    if held:
        assert "7" in set(found[held])
    elif name == "summary":
        assert found.set_index("figure")["value"]["class_7_or_8"] == 1
    else:
        assert set(found["risk_class"].dropna()) == set(EIGHT)


@pytest.mark.parametrize("classes", [(0, 1, 2), (2, 1), (1,), (1, 2, 4), ()])
@pytest.mark.parametrize("name", ASKED)
def test_classes__are_a_scale(name, classes, reports):
    with pytest.raises(InputError, match="classes are"):
        ASKED[name](reports, classes=classes)


def test_class_agreement__counts_on_the_scale_given(reports):
    both = pd.concat([reports, reports.assign(product="bank", report_id=["d", "e", "f"])])
    with pytest.raises(InputError, match="bank_risk_class holds class 7"):
        portfolio.class_agreement(both)
    found = portfolio.class_agreement(both, classes=EIGHT)
    assert (found.n_companies, len(found.counts), found.counts["n_companies"].sum()) == (2, 64, 2)


def square(counts):
    cells = [(i + 1, str(j + 1), n) for i, row in enumerate(counts) for j, n in enumerate(row)]
    return pd.DataFrame(cells, columns=["from_class", "to_state", "n"])


def test_mobility__of_eight_states_counts_all_of_them():
    counts = np.random.default_rng(3).integers(1, 20, (8, 8))
    found = migration.mobility(square(counts), classes=EIGHT).set_index("figure")["value"]
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert found["downgrade_share"] == pytest.approx(np.triu(counts, 1).sum() / counts.sum())
    assert found["upgrade_share"] == pytest.approx(np.tril(counts, -1).sum() / counts.sum())
    assert found["trace_index"] == pytest.approx((8 - np.trace(shares)) / 7)
    with pytest.raises(InputError, match="holds class 6"):
        migration.mobility(square(counts))
    as_numbers = square(counts).astype({"to_state": "int64"})
    assert migration.mobility(as_numbers, classes=EIGHT).equals(migration.mobility(square(counts), classes=EIGHT))


@pytest.mark.parametrize(("wrong", "named"), [("D", "'D'"), ("2.5", "2.5"), (None, "'null'"), ("0", "0")])
def test_mobility__a_state_that_is_no_class_is_named(wrong, named):
    with pytest.raises(InputError, match=f"to_state holds class {named}"):
        migration.mobility(pd.DataFrame({"from_class": [1, 2], "to_state": ["1", wrong], "n": [1, 1]}))


def test_financial_classes__are_bounded_by_no_undocumented_scale():
    column = tables.REPORTS["financial_risk_class"]
    assert (column.lo, column.hi, column.assumed) == (None, None, True)
    assert (tables.REPORTS["bank_risk_class"].lo, tables.REPORTS["bank_risk_class"].hi) == (1, 5)


def test_validation__a_class_outside_the_five_is_named(reports):
    ends = pd.DataFrame(
        {"company_id": ["x", "y"], "default_date": pd.NaT, "observed_until": pd.Timestamp("2026-12-31")}
    )
    held = reports.assign(is_rated=True, fetched_at=reports["available_at"], period_end_date=pd.Timestamp("2025-02-28"))
    given = {"reports": held, "outcomes": ends, "companies": tables.COMPANIES.to_pandas(tables.COMPANIES.empty())}
    with pytest.raises(InputError, match="risk_class holds class 7"):
        cohorts.cohorts(
            given,
            cohorts.ValidationTerms("financial", 12, pd.Timestamp("2026-06-30"), "available"),
            validation.shipped_policy(),
        )


def test_charts__have_no_colour_for_a_class_outside_the_five_and_say_so(reports):
    counted = portfolio.class_distribution(reports, product="financial", classes=EIGHT)
    with pytest.raises(InputError, match=r"risk_class holds class 6, outside 1 to 5.*count it in Python"):
        charts.plot_class_distribution(counted)
    with pytest.raises(InputError, match=r"class 7 is outside 1 to 5, which pages show; count it in Python"):
        charts.class_label(7)


def test_watch_list__a_class_outside_the_five_is_named(reports):
    held = reports.assign(product="bank", period_end_date=pd.Timestamp("2025-02-28"))
    with pytest.raises(InputError, match="bank_risk_class holds class 7"):
        monitoring.watch_list(held, cashflow.FLOWS.empty(), as_of="2025-12-31")


@pytest.mark.parametrize("asked", [["portfolio"], ["company", "732829320"]])
def test_pages__name_a_class_outside_the_five_in_one_sentence(tmp_path, xray, asked):
    code = {"type": "siren", "id": "732829320"}
    raw = {"probabilityOfDefault": 0.1, "criterias": {}, "reasons": []}
    seen = [
        {"report": {"id": str(n) * 24, "source": "magpie", "code": code, "raw": raw | {"riskClass": n}}} for n in (2, 7)
    ]
    (tmp_path / "reports.ndjson").write_text("\n".join(map(json.dumps, seen)))
    store = tmp_path / "store"
    assert xray("import", tmp_path / "reports.ndjson", "--store", store)[0] == 0
    done = xray("report", *asked, "--store", store, "--out", tmp_path / "page.html")
    assert done[0] == 2
    assert "class 7" in done[2]
    assert "in Python" in done[2]
    assert len(done[2].splitlines()) == 1
