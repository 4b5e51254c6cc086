"""`by`, `level` and `weight` mean the same everywhere: columns of two tables, groups as their worst member, amounts."""

import duckdb
import pandas as pd
import pytest
from test_portfolio import BOOK, reports_of

from xray_analytics.analysis import portfolio
from xray_analytics.analysis.portfolio import flags, migration, ratios
from xray_analytics.errors import InputError
from xray_analytics.tables import BANK_FLAG_CRITERIA, COMPANIES, EXPOSURES, FINANCIAL_RATIOS, REPORTS

AT = pd.Timestamp("2025-12-31", tz="UTC").as_unit("us")
LENDER = COMPANIES.conform(
    pd.DataFrame({
        "company_id": list("abcdz"), "recorded_at": AT, "region": ["N", "S", "N", None, "S"],
        "group_id": ["G", None, None, "G", "G"],
    })
)  # fmt: skip
DRAWN = EXPOSURES.conform(
    pd.DataFrame({
        "company_id": list("abd"), "exposure_date": pd.Timestamp("2025-06-30").as_unit("us"), "currency": "EUR",
        "drawn": [10.0, 60.0, 30.0], "recorded_at": AT,
    })
)  # fmt: skip


def shown(table, *names):
    kept = table[table["n_companies"] > 0]
    return [tuple(None if pd.isna(value) else value for value in row) for row in kept[list(names)].to_numpy()]


@pytest.mark.parametrize("engine", ["arrow", "duckdb"])
def test_columns_of_companies_split_like_columns_of_reports(engine):
    connection = duckdb.connect()
    reports, companies = (BOOK, LENDER) if engine == "arrow" else map(connection.from_arrow, (BOOK, LENDER))
    table = portfolio.class_distribution(reports, product="bank", by="region", companies=companies)
    assert shown(table, "region", "risk_class", "n_companies") == [
        ("N", 3, 1),
        ("N", None, 1),
        ("S", 5, 1),
        (None, 5, 1),
    ]
    assert str(table["region"].dtype) == "string"
    joined = BOOK.join(LENDER.select(["company_id", "region"]), "company_id")
    same = portfolio.class_distribution(joined, product="bank", by="region")
    pd.testing.assert_frame_equal(same, table)
    values = portfolio.value_distribution(
        reports, column="data_sanity_pct", by=["product", "region"], companies=companies
    )
    assert values.groupby("region", dropna=False)["n_companies"].sum().tolist() == [2, 1, 1]
    stock = portfolio.class_over_time(reports, product="bank", by="region", companies=companies)
    last = stock[(stock["period_end"] == stock["period_end"].max()) & (stock["measure"] == "stock")]
    assert shown(last, "region", "risk_class", "n_companies") == shown(table, "region", "risk_class", "n_companies")


def test_a_group_counts_once_as_its_worst_member():
    table = portfolio.class_distribution(BOOK, product="bank", level="group", companies=LENDER)
    assert shown(table, "risk_class", "n_companies") == [(5, 2), (None, 1)]  # G as d is, b and c alone
    assert table.attrs["base"]["filters"]["level"] == "group"
    weighed = portfolio.class_distribution(
        BOOK, product="bank", level="group", companies=LENDER, weight="exposure", exposures=DRAWN
    )
    assert shown(weighed, "risk_class", "drawn", "share_ratio") == [(5, 100.0, 1.0)]
    assert weighed.attrs["base"]["excluded"]["no_exposure"] == 1
    moved = portfolio.movement(
        BOOK, product="bank", start="2025-02-15", end="2025-03-31", level="group", companies=LENDER
    )
    steps = moved[moved["n_in"] > 0][["step", "risk_class", "n_in"]]
    assert steps[steps["step"] == "downgraded"].values.tolist() == [["downgraded", 5, 1]]  # d joins, and is the worst
    assert (moved["step"] == "new").sum() == 6
    assert moved.loc[moved["step"] == "new", "n_in"].sum() == 0


def test_weights_of_values_are_amounts():
    rows = (("a", 50.0), ("b", 90.0), ("c", 90.0), ("d", 95.0))
    book = reports_of(*((f"r{name}", name, "2025-01-10", 1, {"data_sanity_pct": pct}) for name, pct in rows))
    table = portfolio.value_distribution(
        book, column="data_sanity_pct", edges=[0, 70, 100], weight="exposure", exposures=DRAWN
    )
    assert table["drawn"].tolist() == [10.0, 90.0, 0.0]
    assert table["share_ratio"].tolist() == [0.1, 0.9, 0.0]
    assert table.attrs["base"]["excluded"] == {"no_company": 0, "outside_edges": 0, "no_exposure": 1}


def test_migration_by_region_adds_up_and_counts_groups():
    years = reports_of(
        ("r1", "a", "2024-06-01", 1), ("r2", "a", "2025-06-01", 2), ("r3", "b", "2024-06-01", 3),
        ("r4", "d", "2024-06-01", 4), ("r5", "d", "2025-06-01", 1),
    )  # fmt: skip
    arguments = {"product": "bank", "as_of": "2025-12-31"}
    whole = migration.migration_matrix(years, **arguments)
    split = migration.migration_matrix(years, **arguments, by="region", companies=LENDER)
    assert split["region"].drop_duplicates().isna().tolist() == [False, False, True]
    sums = split.groupby(["from_class", "to_state"], dropna=False, sort=False)["n"].sum()
    assert sums.tolist() == whole["n"].tolist()
    assert sum(sums) == 3
    groups = migration.transition_table(years, **arguments, level="group", companies=LENDER)
    assert groups[["company_id", "from_class", "to_state"]].values.tolist() == [
        ["G", 4, "2"],
        ["b", 3, "not_refreshed"],
    ]
    with pytest.raises(InputError, match="level='group' and endings"):
        migration.transition_table(
            years, **arguments, level="group", companies=LENDER, endings=migration.ENDINGS.empty()
        )


def test_agreement_of_groups():
    bank = reports_of(("r1", "a", "2025-01-10", 2), ("r2", "d", "2025-01-10", 4))
    financial = reports_of(("r3", "a", "2025-01-10", 3), ("r4", "d", "2025-01-10", 1), product="financial")
    both = REPORTS.conform(pd.concat([REPORTS.to_pandas(bank), REPORTS.to_pandas(financial)]))
    assert portfolio.class_agreement(both).n_companies == 2
    groups = portfolio.class_agreement(both, level="group", companies=LENDER)
    assert groups.counts[groups.counts["n_companies"] > 0].values.tolist() == [[4, 3, 1]]


def test_criteria_and_ratios_by_a_column_of_companies():
    own = {"report_id": ["r2", "r3"], "report_version": 1}
    criteria = BANK_FLAG_CRITERIA.conform(
        pd.DataFrame(own | {"criterion_no": 0, "criterion": "x", "sentiment": ["bad", "good"]})
    )
    found = flags.criterion_prevalence(criteria, BOOK, by="region", companies=LENDER)
    assert shown(found, "region", "sentiment", "share_ratio") == [("N", "bad", 1.0), ("S", "good", 1.0)]
    book = reports_of(("r2", "a", "2025-02-10", 3), ("r3", "b", "2025-01-31", 5), product="financial")
    values = FINANCIAL_RATIOS.conform(pd.DataFrame(own | {"criterion": "x", "value": [1.0, 2.0]}))
    spread = ratios.ratio_quantiles(values, book, by="region", companies=LENDER)
    assert spread[["region", "n", "p50"]].values.tolist() == [["N", 1, 1.0], ["S", 1, 2.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "region"}, "reports lacks region; pass the table companies"),
        ({"by": "colour", "companies": LENDER}, "companies lacks colour"),
        ({"level": "region", "companies": LENDER}, "level is 'region'"),
        ({"level": "group"}, "reports lacks group_id; pass the table companies"),
        ({"by": "region", "companies": LENDER.slice(0, 1).to_pandas()}, "different kinds"),
        ({"weight": "size"}, "weight is 'size'"),
        ({"weight": "exposure"}, "needs the table exposures"),
    ],
)
def test_wrong_questions_raise(change, message):
    with pytest.raises(InputError, match=message):
        portfolio.class_distribution(BOOK, product="bank", **change)


def test_a_company_twice_and_two_currencies_are_refused():
    twice = pd.concat([COMPANIES.to_pandas(LENDER)] * 2)
    with pytest.raises(InputError, match="companies holds a company twice"):
        portfolio.class_distribution(REPORTS.to_pandas(BOOK), product="bank", by="region", companies=twice)
    mixed = EXPOSURES.to_pandas(DRAWN).assign(currency=["EUR", "USD", "EUR"])
    for ask in (portfolio.class_distribution, portfolio.value_distribution):
        what = {"product": "bank"} if ask is portfolio.class_distribution else {"column": "data_sanity_pct"}
        with pytest.raises(InputError, match="more than one currency"):
            ask(BOOK, weight="exposure", exposures=mixed, **what)
