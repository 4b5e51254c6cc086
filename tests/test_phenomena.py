"""What the sandbox plants is found again from the tables, and is not found in the same economy without it.

`planted` is the economy as it is, `plain` the same companies with every phenomenon switched off; both as the tables
that a lender would have. Bank reports carry the entries and are dear: 700 companies. Financial reports and the
lender's files are cheap: 4,000. Seeds are fixed, and each test says what both worlds give.
"""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import xray_analytics as xa
from xray_analytics import tables
from xray_analytics.errors import InputError
from xray_analytics.sandbox import lender
from xray_analytics.sandbox.economy.companies import depth
from xray_analytics.sandbox.economy.phenomena import PHENOMENA, CommonShock, Truths
from xray_analytics.sandbox.payloads.reports import Economy, encode
from xray_analytics.tidy.batch import Received, tidy

FETCHED = datetime(2026, 1, 1, tzinfo=UTC)
YEAR_END = pd.Timestamp("2024-12-31")


class World:
    """The tables of one economy: those of its reports of one product, and the lender's own."""

    def __init__(self, companies, source, without=()):
        self.economy = economy = Economy(companies, 7, clean=True, without=without)
        self.truths = economy.truths
        bodies = [economy.report_body(id) for id, (_, plan) in economy.plans.items() if plan.source == source]
        bodies += [encode({"request": economy.request(id)}) for id in economy.request_owners]
        self._arrow = tidy([Received(body, FETCHED, "sandbox") for body in bodies]).tables
        code = self.read("requests").set_index("request_id")["company_id"]
        self.reports = self.read("reports")
        self.reports["company_id"] = self.reports["request_id"].map(code).astype("string")
        people, until = economy.companies, economy.timeline.until
        self.companies = lender.company_frame(people).assign(recorded_at=FETCHED)
        self.loans, self.outcomes = lender.loan_frame(people, until), lender.outcome_frame(people, until)
        self.default_date = self.outcomes.groupby("company_id")["default_date"].min()

    def read(self, name):
        return tables.table(name).to_pandas(self._arrow[name])

    def entries_of(self, report_ids):
        rows = self._arrow["transactions"]
        return tables.TRANSACTIONS.to_pandas(rows.filter(pc.is_in(rows["report_id"], pa.array(report_ids))))


@pytest.fixture(scope="module")
def planted():
    return World(700, "bank_xray")


@pytest.fixture(scope="module")
def plain():
    return World(700, "bank_xray", PHENOMENA)


@pytest.fixture(scope="module")
def large():
    return World(4000, "magpie")


@pytest.fixture(scope="module")
def large_plain():
    return World(4000, "magpie", PHENOMENA)


# --- the answers


def test_planted__says_what_and_how_it_is_found():
    planted = xa.Sandbox(companies=1).planted()
    assert tuple(planted) == PHENOMENA
    for one in planted.values():
        assert one["what"]
        assert one["parameters"]
        for name in one["found_by"]:
            module, _, function = name.partition(".")
            found = getattr(xa.Store, module, None) if function == "diff" else getattr(xa, module, None)
            assert name in tables.TABLES or function == "diff" or function in found.__all__


def test_without__leaves_out_what_is_named_and_nothing_else():
    sandbox = xa.Sandbox(companies=1, without=["groups", "cures"])
    assert set(PHENOMENA) - set(sandbox.planted()) == {"groups", "cures"}
    with pytest.raises(InputError, match="plants no 'gruops'; there are common_shock, selective_acceptance"):
        Truths().without(["gruops"])


@pytest.mark.parametrize("name", PHENOMENA)
def test_without__one_phenomenon_never_shifts_what_is_drawn_for_another(name):
    """Only the downturn says who defaults, and without it nobody defaults earlier."""
    pairs = zip(Economy(150, 7).companies, Economy(150, 7, without=[name]).companies, strict=True)
    for one, other in pairs:
        assert (one.code, one.name, one.employees, one.revenue) == (
            other.code, other.name, other.employees, other.revenue,
        )  # fmt: skip
        if name == "common_shock":
            assert other.default_date is None or one.default_date <= other.default_date
        else:
            assert one.default_date == other.default_date


def test_without__reaches_the_server():
    with (
        xa.Sandbox(companies=1, without=["useless_criterion"]) as sandbox,
        xa.XRayClient(sandbox.settings()) as client,
    ):
        body = client.get_report(client.list_reports(product="bank")[0].id).body
    assert body in [sandbox.economy.report_body(id) for id in sandbox.economy.plans]
    assert b"evenAmounts" not in body


def test_common_shock__its_depth_by_month():
    shock = CommonShock(first_month=2, n_months=2, fade_months=3)
    assert depth(shock)[:9].tolist() == [0, 0, 1, 1, 0.75, 0.5, 0.25, 0, 0]


# --- the common shock: January 2025, six months, then it fades


def mean_class(world, day):
    table = xa.portfolio.class_over_time(world.reports, product="bank", freq="quarter")
    stock = table[(table["measure"] == "stock") & (table["period_end"] == day) & table["risk_class"].notna()]
    return np.average(stock["risk_class"].astype(float), weights=stock["n_companies"])


def test_common_shock__classes_get_worse_together(planted, plain):
    assert mean_class(planted, "2025-09-30") - mean_class(planted, "2024-12-31") > 0.12
    assert mean_class(plain, "2025-09-30") - mean_class(plain, "2024-12-31") < 0.05


def receipts_against_a_year_before(world):
    """Median over the companies: credits from January to June 2025 against the same months of 2024."""
    flows = xa.cashflow.monthly_flows(world.read("monthly_summaries"), world.reports)
    whole = flows[flows["is_complete"] & (flows["month"].dt.month <= 6)]
    sums = whole.groupby(["company_id", whole["month"].dt.year])["total_credit"].agg(["sum", "size"])
    full = sums.loc[sums["size"] == 6, "sum"].unstack()
    return float((full[2025] / full[2024]).median())


def test_common_shock__receipts_fall_everywhere(planted, plain):
    lost = planted.truths.common_shock.receipts_loss
    assert receipts_against_a_year_before(planted) == pytest.approx(1 - lost, abs=0.03)
    assert receipts_against_a_year_before(plain) == pytest.approx(1, abs=0.03)


def defaults_in_and_after(world):
    """Defaults of the first half of 2025 over those of the second half."""
    quarter = world.default_date.dropna().dt.to_period("Q").astype(str).value_counts()
    return quarter[["2025Q1", "2025Q2"]].sum() / quarter[["2025Q3", "2025Q4"]].sum()


def test_common_shock__defaults_come_together(large, large_plain):
    assert defaults_in_and_after(large) > 1.7
    assert defaults_in_and_after(large_plain) < 1.3


# --- selective acceptance


def applicants(world):
    """The newest financial report of each company at the year-end, the lender's decision, and the year after."""
    seen = world.reports[world.reports["created_at"] <= YEAR_END.tz_localize("UTC")]
    newest = seen.sort_values("created_at").drop_duplicates("company_id", keep="last")
    decision = world.loans.drop_duplicates("company_id").set_index("company_id")["decision"]
    default = newest["company_id"].map(world.default_date)
    table = newest.assign(decision=newest["company_id"].map(decision), defaulted=default.notna())
    return table[~(default <= YEAR_END)]


def test_selective_acceptance__the_book_is_better_than_those_who_applied(large, large_plain):
    worst = str(large.truths.selective_acceptance.declined_class)
    for world, low, high in ((large, 2.5, 10), (large_plain, 0.5, 1.5)):
        table = applicants(world)
        rate = table.groupby("decision")["defaulted"].mean()
        assert low < rate["declined"] / rate["accepted"] < high
        classes = xa.portfolio.class_distribution(table, product="financial", by="decision")
        booked = classes[(classes["decision"] == "accepted") & (classes["risk_class"].astype("string") == worst)]
        assert (booked["n_companies"].iloc[0] < 5) == (world is large)


def test_selective_acceptance__classes_in_the_book_default_less_than_classes_of_applicants(large, large_plain):
    """Blind acceptance gives as many defaults in the book as the classes of all applicants let expect."""
    found = {}
    for world in (large, large_plain):
        table = applicants(world)
        booked = table[table["decision"] == "accepted"]
        by_class = table.groupby("financial_risk_class")["defaulted"].mean()
        found[world] = booked["defaulted"].sum() / booked["financial_risk_class"].map(by_class).sum()
    assert found[large] < 0.88
    assert found[large_plain] == pytest.approx(1, abs=0.06)


# --- early repayments, renewals, groups, cures


def test_early_repayments__loans_end_before_they_mature(large, large_plain):
    for world in (large, large_plain):
        loans = world.loans[world.loans["close_reason"] != "refinanced"]
        early = loans[loans["closed_date"] < loans["maturity_date"]]
        closed = xa.migration.endings(loans=early)
        assert (set(early["close_reason"]), len(closed) > 150) == (
            ({"repaid_early"}, True) if world is large else (set(), False)
        )


def test_renewals__the_new_loan_takes_over_where_the_old_one_ends(large, large_plain):
    assert large_plain.loans["refinanced_from"].notna().sum() == 0
    renewed = large.loans[large.loans["refinanced_from"].notna()]
    pairs = renewed.merge(large.loans, left_on="refinanced_from", right_on="loan_id", suffixes=("", "_old"))
    assert len(pairs) == len(renewed) > 200
    assert (pairs["closed_date_old"] == pairs["origination_date"]).all()
    assert (pairs["principal"] == large.truths.renewals.growth * pairs["principal_old"]).all()
    spells = xa.migration.endings(loans=large.loans).merge(renewed, on="company_id")
    assert not (spells["from_date"] == spells["origination_date"]).any()  # nobody is closed in between


def test_groups__the_book_rests_on_fewer_names_than_it_seems(planted, plain):
    for world in (planted, plain):
        people, until = world.economy.companies, world.economy.timeline.until
        exposures = lender.exposure_frame(people, until).assign(recorded_at=FETCHED)
        alone = xa.portfolio.concentration(exposures).set_index("figure")
        joint = xa.portfolio.concentration(exposures, by="group_id", companies=world.companies).set_index("figure")
        fewer = alone.loc["drawn", "n"] - joint.loc["drawn", "n"]
        rows = xa.portfolio.group_reports(world.reports, world.companies, product="bank")
        if world is plain:
            assert (fewer, rows["n_members"].max()) == (0, 1)
            assert joint["value"].equals(alone["value"])
        else:
            assert fewer > 20
            assert rows["n_members"].max() == world.truths.groups.size
            assert joint.loc["herfindahl", "value"] > 1.1 * alone.loc["herfindahl", "value"]


def test_cures__some_defaulters_perform_again_and_some_of_those_do_not_last(large, large_plain):
    assert large_plain.outcomes["default_end_date"].isna().all()
    spells = xa.migration.endings(outcomes=large.outcomes)
    defaults = spells[spells["state"] == "defaulted"]
    first = defaults.drop_duplicates("company_id")
    again = defaults[defaults["company_id"].duplicated()].merge(first, on="company_id", suffixes=("", "_first"))
    assert 0.15 < first["until_date"].notna().mean() < large.truths.cures.share  # some are still waiting for theirs
    assert len(again) >= 3
    assert (again["from_date"] > again["until_date_first"]).all()


def test_cures__the_cured_are_analysed_again(planted):
    cured = planted.outcomes.dropna(subset="default_end_date").drop_duplicates("company_id")
    made = planted.reports.merge(cured, on="company_id")
    day = made["created_at"].dt.tz_localize(None)
    assert not ((day > made["default_date"]) & (day < made["default_end_date"])).any()
    assert made.loc[day > made["default_end_date"], "company_id"].nunique() >= 2


# --- companies that default stop uploading before


def default_rates(world):
    """Defaults within six months of those who were not refreshed in the six months before, and of the others."""
    days = ("2024-12-31", "2025-03-31", "2025-06-30", "2025-09-30")
    moves = []
    for day in days:
        table = xa.migration.transition_table(world.reports, product="bank", as_of=day, horizon_months=6)
        moves.append(table[table["horizon_date"] == day])
    table = pd.concat(moves)
    default = table["company_id"].map(world.default_date)
    alive = table[~(default <= table["horizon_date"])]
    soon = alive["company_id"].map(world.default_date) <= alive["horizon_date"] + pd.DateOffset(months=6)
    return soon.groupby(alive["to_state"] == "not_refreshed").mean()


def test_stopped_uploads__not_refreshed_is_bad_news(planted, plain):
    found, nothing = default_rates(planted), default_rates(plain)
    assert found[True] > 0.05
    assert found[False] < 0.01
    assert nothing[True] < 0.025


def test_stopped_uploads__the_last_report_is_old_when_the_default_comes(planted, plain):
    shares = []
    for world in (planted, plain):
        day = world.reports["created_at"].dt.tz_localize(None)
        default = world.reports["company_id"].map(world.default_date)
        age = (default - day)[day < default].groupby(world.reports["company_id"]).min().dt.days
        shares.append((age > 150).mean())
    assert shares[0] > 0.4
    assert shares[1] < 0.15


# --- accounts


def test_accounts__without_iban_and_several_are_told_apart(planted, plain):
    accounts = planted.read("accounts").merge(planted.reports, on=["report_id", "report_version"])
    owned = {company.code: company.ibans for company in planted.economy.companies}
    seen = accounts.groupby(["company_id", "report_id"]).agg(n=("account_no", "size"), bases=("basis", set))
    shows = seen.index.get_level_values("company_id").map(lambda code: owned[code][0] is not None)
    right = seen["n"].to_numpy() == [len(owned[code]) for code in seen.index.get_level_values("company_id")]
    assert set(map(frozenset, seen["bases"][shows])) == {frozenset({"iban"})}
    assert right[shows].all()
    assert not any("iban" in bases for bases in seen["bases"][~shows])
    assert right[~shows].mean() > 0.97  # a gap in the statements breaks the chain of balances, and says so
    assert seen["n"][~shows].max() > 1
    alone = plain.read("accounts")
    assert set(alone["basis"]) == {"iban"}
    assert not alone["report_id"].duplicated().any()


def test_accounts__their_statements_chain(planted):
    several = planted.read("accounts").query("account_no == 1 and basis == 'chained'")["report_id"].unique()[:20]
    statements = planted.read("statement_summaries")
    ledger = xa.quality.reconciliation(statements[statements["report_id"].isin(several)], planted.entries_of(several))
    steps = ledger[(ledger["check"] == "chain") & (ledger["item"] == "start_balance")]
    assert len(steps) > 100
    assert (steps["verdict"] == "ok").mean() > 0.95  # unknown behind a gap
    assert (ledger["verdict"] != "off").all()


# --- value added tax


def median_ratio(world):
    """Credits banked before the downturn over the revenue declared, median of the companies."""
    before = world.reports[world.reports["created_at"] <= YEAR_END.tz_localize("UTC")]
    flows = xa.cashflow.monthly_flows(world.read("monthly_summaries"), before)
    compared = xa.ratios.declared_vs_banked(before, world.read("request_notes"), flows)
    assert compared["high_ratio"].count() > 300
    return compared["high_ratio"].median()


def test_value_added_tax__receipts_are_larger_than_the_revenue_declared(planted, plain):
    """All credits count, so that loans and owners' money add some 4 % in both worlds; the rest is VAT."""
    assert median_ratio(plain) == pytest.approx(1, abs=0.07)
    assert median_ratio(planted) / median_ratio(plain) == pytest.approx(
        1 + planted.truths.value_added_tax.rate, abs=0.04
    )


@pytest.fixture(scope="module")
def sample(planted, plain):
    """Of both worlds: every company that defaults and every fifth other, with reports, entries and families."""

    def of(world):
        codes = [company.code for company in world.economy.companies]
        kept = set(codes[::5]) | set(world.default_date.dropna().index)
        reports = world.reports[world.reports["company_id"].isin(kept)]
        entries = world.entries_of(reports["report_id"])
        return reports, entries, xa.cashflow.categories(entries)

    return {world: of(world) for world in (planted, plain)}


def test_value_added_tax__is_paid_by_month_or_by_quarter(planted, plain, sample):
    employees = {company.code: company.employees for company in planted.economy.companies}
    limit = planted.truths.value_added_tax.quarterly_below
    for world in (planted, plain):
        reports, entries, categories = sample[world]
        streams = xa.cashflow.recurring(entries, reports, categories=categories)
        paid = streams[streams["stem"].str.endswith("DGFIP TVA")]
        if world is plain:
            assert len(paid) == 0
            continue
        small = paid["company_id"].map(employees) < limit
        assert set(paid["category"]) == {"tax"}
        assert set(paid["period"][small]) == {"quarterly"}
        assert set(paid["period"][~small]) == {"monthly"}
        assert min(small.sum(), (~small).sum()) > 30


# --- loan stacking


def alarmed(world, sample):
    """Share of the companies that default, and of the others, on whom the rule of the new lender gave an alarm."""
    reports, entries, categories = sample[world]
    flows = xa.cashflow.monthly_flows(world.read("monthly_summaries"), reports)
    rules = {"new_lender": xa.monitoring.shipped_rules()["new_lender"]}
    lists = []
    for day in ("2024-09-30", "2025-03-31", "2025-09-30", "2025-12-31"):
        streams = xa.cashflow.recurring(entries, reports, categories=categories, as_of=day)
        lists.append(xa.monitoring.watch_list(reports, flows, recurring=streams, as_of=day, rules=rules))
    watch = pd.concat(lists)
    codes = pd.Series(reports["company_id"].unique())
    return codes.isin(watch["company_id"]).groupby(codes.isin(world.default_date.dropna().index)).mean(), watch


def test_loan_stacking__a_new_lender_announces_defaults(planted, plain, sample):
    """Others borrow too: without stacking the rule finds no more among those who default than among the others."""
    found, watch = alarmed(planted, sample)
    nothing, _ = alarmed(plain, sample)
    assert found[True] > 2 * found[False] > 0
    assert nothing[True] <= nothing[False]
    judged = xa.monitoring.precision(watch, planted.outcomes, known_until="2025-12-31", min_n=1).iloc[0]
    assert judged["n_hits"] >= 3
    assert judged["lead_days_median"] > 60


# --- rewritten reports


def test_rewritten_reports__are_found_by_comparing_two_snapshots(tmp_path):
    store, economy = xa.Store(tmp_path / "store"), Economy(200, clean=True)
    marked = {id: plan.request_id for id, (_, plan) in economy.plans.items() if plan.is_rewritten}
    asked = {*marked.values(), *list(economy.request_owners)[:5]}
    for rewritten in (False, True):
        with (
            xa.Sandbox(companies=200, clean=True, rewritten=rewritten) as sandbox,
            xa.XRayClient(sandbox.settings()) as client,
        ):
            xa.sync(client, store, products=["bank"], request_ids=asked, full=True, recheck=True)
    before, after = store.snapshot(commit=1), store.snapshot()
    changes = before.diff(after)
    assert (set(changes["report_id"]), set(changes["change"])) == (set(marked), {"revised"})
    first, second = (snapshot.read("reports").set_index("report_id") for snapshot in (before, after))
    assert len(second) > len(marked) > 5
    assert set(second.index[second["report_version"] == 2]) == set(marked)
    assert (second.loc[list(marked), "n_transactions"] > first.loc[list(marked), "n_transactions"]).all()
    assert not any(plan.is_rewritten for _, plan in Economy(200, without=["rewritten_reports"]).plans.values())


# --- a useless criterion


def test_useless_criterion__separates_least(planted, plain):
    """Share of bad in classes 4 and 5 less that in classes 1 and 2: of all others it is larger."""
    useless = planted.truths.useless_criterion.criterion
    prevalence = xa.flags.criterion_prevalence(planted.read("bank_flag_criteria"), planted.reports)
    bad = prevalence[prevalence["sentiment"] == "bad"].dropna(subset="bank_risk_class")
    side = np.select([bad["bank_risk_class"] <= 2, bad["bank_risk_class"] >= 4], ["good", "weak"], "middle")
    counts = bad.groupby(["criterion", side])[["n_companies", "n_assessed"]].sum()
    share = (counts["n_companies"] / counts["n_assessed"]).unstack()
    separation = (share["weak"] - share["good"]).abs().sort_values()
    assert separation.index[0] == useless
    assert separation.iloc[0] < 0.06
    assert useless not in set(plain.read("bank_flag_criteria")["criterion"])


# --- a probability of default that is too low


def test_understated_probability__more_default_than_was_said(large):
    """Of 3,800 companies at the year-end some 100 default: the factor is known to ± 0.3."""
    honest = World(4000, "magpie", ["understated_probability"])
    factor = large.truths.understated_probability.factor
    for world, expected in ((large, factor), (honest, 1)):
        table = applicants(world)
        assert len(table) > 3500
        observed = table["defaulted"].sum() / table["default_probability"].sum()
        assert observed == pytest.approx(expected, rel=0.2)
