"""The validation report: finds what is planted, judges nothing on little, says what it rests on."""

import json
import re
from dataclasses import replace

import numpy as np
import openpyxl
import pandas as pd
import pytest

from xray_analytics import attach, tables
from xray_analytics.analysis.validation import shipped_policy
from xray_analytics.analysis.validation.policy import SHIPPED
from xray_analytics.errors import InputError
from xray_analytics.report import validation as report
from xray_analytics.report.edition import Edition
from xray_analytics.report.validation.figures import class_table
from xray_analytics.sandbox import lender
from xray_analytics.sandbox.economy.identifiers import siren
from xray_analytics.sandbox.payloads import financial
from xray_analytics.sandbox.payloads.reports import Economy
from xray_analytics.store import Store

UNTIL = pd.Timestamp("2025-12-31")
EDITION = Edition("2025-12-31", 3, "Validation of Financial X-Ray", "xray validate --out x.html", synthetic=True)
LENDER = {"companies": lender.company_frame, "loans": lender.loan_frame, "outcomes": lender.outcome_frame}


def conformed(name, frame):
    table = tables.table(name)
    if name in LENDER or name == "exposures":
        frame = frame.assign(valid_from=pd.NaT, recorded_at=pd.Timestamp("2026-01-01", tz="UTC"))
    return table.to_pandas(table.conform(frame)) if len(frame) else table.to_pandas(table.empty())


def report_rows(rows):
    frame = pd.DataFrame(rows).assign(report_version=1, is_backfilled=False, is_rated=True, raw_sha256="0" * 64)
    return conformed("reports", frame.assign(available_at=frame["created_at"], fetched_at=frame["created_at"]))


@pytest.fixture(scope="module")
def economy():
    """The financial reports and the lender's files of 2,500 companies of the sandbox, without a server."""
    made, seen = Economy(2500, 7, clean=True), set()
    companies = [c for c in made.companies if not (c.code in seen or seen.add(c.code))]
    rows = [
        {
            "report_id": plan.id, "company_id": company.code, "product": "financial", "source": "magpie",
            "created_at": plan.created, "default_probability": probability,
            "financial_risk_class": financial.class_of(probability),
        }
        for company in companies
        for plan in company.reports
        if plan.source == "magpie"
        for probability in [
            financial.default_probability(financial.accounts(company, plan.last_month), company.truths)
        ]
    ]  # fmt: skip
    until = made.timeline.until
    frames = {n: make(companies) if n == "companies" else make(companies, until) for n, make in LENDER.items()}
    exposures = conformed("exposures", lender.exposure_frame(companies[:50], until))
    conformed_frames = {name: conformed(name, frame) for name, frame in frames.items()}
    return {"reports": report_rows(rows), "exposures": exposures, **conformed_frames}


@pytest.fixture(scope="module")
def found(economy):
    return report.analysed(economy, EDITION, report.ValidationTerms("financial", 12, UNTIL), shipped_policy())


def verdict(found, question):
    (row,) = [row for row in found.verdicts if row.question == question]
    return row


def test_planted__the_understated_probability_is_found(found):
    """The sandbox's probabilities are 1.5 times too low on the last year-end but one (sandbox.truths)."""
    sample = found.cohorts.sample
    assert found.cohorts.date == pd.Timestamp("2024-12-31")
    assert 1.2 < sample["defaulted"].sum() / sample["default_probability"].sum() < 1.9
    overall = verdict(found, "Are the probabilities high enough?")  # one bad year, says a correlation of 0.12
    assert (overall.verdict, overall.p_value > 0.1) == ("not rejected", True)
    assert re.search(
        r"over 12 months as declared; with an asset correlation of 0.12, .*independent: too low, p-value", overall.why
    )
    assert found.answers.independent.p_value < 0.01
    assert overall.low < found.answers.independent.low
    assert overall.high > found.answers.independent.high
    assert verdict(found, "Do they fit company by company?").verdict == "too low"
    assert found.answers.forecasts["Spiegelhalter"].p_value < 0.01
    assert verdict(found, "Does it rank the risk?").verdict == "no verdict"  # nobody set a reference
    assert verdict(found, "Do worse classes default more?").verdict == "no reversal shown"


def judged(economy, factor, **changes):
    """The verdicts where every probability is so many times what it is."""
    reports = economy["reports"]
    changed = reports.assign(default_probability=np.minimum(reports["default_probability"] * factor, 0.99))
    policy = replace(shipped_policy(), **changes)
    return report.analysed(
        economy | {"reports": changed}, EDITION, report.ValidationTerms("financial", 12, UNTIL), policy
    )


def test_both_directions__too_high_is_found_and_a_policy_may_leave_it(economy):
    high = judged(economy, 4.0, asset_correlation=0.0)
    assert verdict(high, "Are the probabilities high enough?").verdict == "too high"
    assert verdict(high, "Do they fit company by company?").verdict == "too high"
    assert verdict(high, "In every class?").verdict.startswith("too high: ")
    one_sided = judged(economy, 4.0, asset_correlation=0.0, judge_too_high=False)
    assert verdict(one_sided, "Are the probabilities high enough?").verdict == "not rejected"
    assert "overestimated" not in set(one_sided.classes["verdict"])
    low = judged(economy, 1.0, asset_correlation=0.0)
    assert verdict(low, "Are the probabilities high enough?").verdict == "too low"


def test_reference__of_the_policy_or_the_oldest_cohort_or_none(found, economy):
    alone = verdict(found, "Does it rank the risk?")
    assert (alone.verdict, alone.p_value) == ("no verdict", None)
    assert "no auc_reference in the policy, no earlier cohort of 30 defaults" in alone.why
    book = report.analysed(bank_book(), EDITION, report.ValidationTerms("bank", 12, UNTIL), shipped_policy())
    oldest = verdict(book, "Does it rank the risk?")
    assert re.search(r"against 0\.\d+ of the oldest cohort with 30 defaults", oldest.why)
    assert oldest.verdict == "not below the reference"
    test = book.answers.reference
    assert oldest.p_value == pytest.approx(test.p_value / 2 if test.value > 0 else 1 - test.p_value / 2)
    kept = verdict(judged(economy, 1.0, auc_reference=0.70), "Does it rank the risk?")
    assert kept.verdict == "not below the reference"
    set_by_policy = verdict(judged(economy, 1.0, auc_reference=0.99), "Does it rank the risk?")
    assert set_by_policy.verdict == "below the reference"
    assert set_by_policy.why == "against the reference 0.99 of the policy"


def test_left_out__is_judged_by_the_policy(found, economy):
    row = verdict(found, "Is everybody in the sample?")
    day = found.cohorts.observed[found.cohorts.observed["as_of_date"] == found.cohorts.date]
    subject = day[~day["excluded_because"].isin(["closed", "in_default", "in_probation"])]
    assert row.value == pytest.approx(1 - len(found.cohorts.sample) / len(subject))
    assert verdict(judged(economy, 1.0, max_left_out_ratio=0.0), row.question).verdict == "too many left out"
    assert verdict(judged(economy, 1.0, max_left_out_ratio=1.0), row.question).verdict == "within the policy"


def test_planted__right_probabilities_are_left_alone(economy):
    right = economy["reports"].assign(
        default_probability=np.minimum(economy["reports"]["default_probability"] * 1.5, 1)
    )
    mended = report.analysed(
        economy | {"reports": right}, EDITION, report.ValidationTerms("financial", 12, UNTIL), shipped_policy()
    )
    assert verdict(mended, "Are the probabilities high enough?").verdict == "not rejected"
    assert verdict(mended, "In every class?").verdict == "not rejected"


def test_numbers__are_those_of_the_statistics(found):
    sample, classes = found.cohorts.sample, found.classes
    assert (classes["n"].sum(), classes["n_defaults"].sum()) == (len(sample), sample["defaulted"].sum())
    assert not sample["company_id"].duplicated().any()
    assert (
        found.exclusions["n_observations"].sum() == (found.cohorts.observed["as_of_date"] == found.cohorts.date).sum()
    )
    assert found.periods["n"].iloc[-1] == len(sample)
    for table in found.segments.values():
        assert table["n"].sum() + table.attrs["base"]["excluded"]["in_smaller_segments"] == len(sample)
        assert table["n"].min() >= shipped_policy().min_segment_companies


def test_page__says_policy_horizon_base_and_power(found, tmp_path):
    page = report.write_validation_report(found, tmp_path / "v.html").read_text()
    text = re.sub(r"<[^>]+>", " ", page)
    for phrase in (
        "Was the model right?", "too low", "Mean probability", "over 12 months", "Would have been noticed", "Holm",
        "shipped with xray_analytics", "Base: ", "All companies in this report are fictitious", "Stuart-Maxwell",
        "Not refreshed says nothing", "xray validate --out x.html",
    ):  # fmt: skip
        assert phrase in re.sub(r"\s+", " ", text), phrase
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    with pytest.raises(InputError, match="exists already"):
        report.write_validation_report(found, tmp_path / "v.html")
    with pytest.raises(InputError, match=r"there are \.html, \.xlsx, \.pdf"):
        report.write_validation_report(found, tmp_path / "v.docx")


def test_rows__each_figure_can_be_computed_again(found, tmp_path, figure):
    path = report.write_rows(found, tmp_path / "rows.csv")
    rows = pd.read_csv(path, dtype={"company_id": "string"})
    used = rows[rows["is_used"] & (rows["as_of_date"] == "2024-12-31")]
    sample = found.cohorts.sample
    assert len(used) == len(sample) > 200
    bad = used["defaulted"].astype(bool)
    assert (len(used), int(bad.sum())) == (found.rate.n, found.rate.n_defaults)
    assert bad.mean() == pytest.approx(found.rate.value, abs=1e-15)
    pairs = used.loc[bad, "default_probability"].to_numpy()[:, None] - used.loc[~bad, "default_probability"].to_numpy()
    assert ((pairs > 0) + 0.5 * (pairs == 0)).mean() == pytest.approx(found.answers.ranking.value, abs=1e-12)
    p = used["default_probability"]
    z = ((bad - p) * (1 - 2 * p)).sum() / np.sqrt(((1 - 2 * p) ** 2 * p * (1 - p)).sum())
    assert z == pytest.approx(found.answers.forecasts["Spiegelhalter"].value, rel=1e-9)
    by_class = used.groupby("risk_class").agg(n=("defaulted", "size"), p=("default_probability", "mean"))
    assert by_class["n"].tolist() == found.classes["n"].tolist()
    assert by_class["p"].tolist() == pytest.approx(found.classes["mean_probability"].tolist(), rel=1e-12)
    figure("rows exported and computed again", len(used))
    with pytest.raises(InputError, match="does not end in"):
        report.write_rows(found, tmp_path / "rows.txt")
    with pytest.raises(InputError, match="exists already"):
        report.write_rows(found, path)


def test_page__begins_with_what_fails_and_what_could_not_be_said(found):
    first = report.document(found).sections[0]
    lines = [str(block) for block in first.blocks if type(block).__name__ == "Sentences"]
    assert any("Fails: Do they fit company by company? (too low)" in line for line in lines)
    assert any("Nothing shown against it: Are the probabilities high enough?" in line for line in lines)
    assert any("This sample could not say: Does it rank the risk?" in line for line in lines)
    every = {row.verdict for row in found.verdicts}
    assert len(every) > 2
    blocks = [block for section in report.document(found).sections for block in section.blocks]
    titles = [block.label for block in blocks if hasattr(block, "label")]
    for title in ("History", "Neighbouring classes", "Cell tests", "Default over several horizons", "Repair"):
        assert title in titles, titles


def test_workbook__numbers_stay_numbers(found, tmp_path):
    book = openpyxl.load_workbook(report.write_validation_report(found, tmp_path / "v.xlsx"))
    assert {"Read me", "Verdicts", "Ranking", "Tests", "Over time", "Policy", "Left out"} <= set(book.sheetnames)
    sheet = book["Classes"]
    header = [cell.value for cell in sheet[1]]
    values = {name: [row[i].value for row in sheet.iter_rows(min_row=2)] for i, name in enumerate(header)}
    assert values["Defaults"][:5] == found.classes["n_defaults"].tolist()
    assert values["Default rate"][:5] == pytest.approx(found.classes["default_rate_ratio"].tolist())


def test_little__is_never_judged(found, economy):
    strict = replace(shipped_policy(), min_companies=100_000)
    careful = report.analysed(economy, EDITION, report.ValidationTerms("financial", 12, UNTIL), strict)
    assert {row.verdict for row in careful.verdicts} == {"no verdict"}
    assert set(careful.classes["verdict"]) == {"no verdict"}
    assert "the policy judges none under 100,000 companies and 30 defaults" in careful.too_few
    assert verdict(careful, "Does it rank the risk?").value == verdict(found, "Does it rank the risk?").value


def test_horizon__other_than_declared_tests_no_probability(economy):
    short = report.analysed(economy, EDITION, report.ValidationTerms("financial", 6, UNTIL), shipped_policy())
    overall = verdict(short, "Are the probabilities high enough?")
    assert (overall.verdict, overall.value) == ("no verdict", None)
    assert overall.why == "the policy declares probabilities over 12 months, the outcomes are seen over 6"
    assert "mean_probability" not in short.classes
    assert "mean_probability" not in short.periods
    assert len(short.periods) > 1
    assert short.periods["cohort"].iloc[-1] == "all (clustered)"
    assert not any("Mean probability" in tile.label for tile in report.document(short).tiles)


def bank_book(n=2400):
    """Bank reports two years running; class 2 defaults more than class 3, which is the wrong way round."""
    rng, rates = np.random.default_rng(3), {1: 0.004, 2: 0.06, 3: 0.01, 4: 0.05, 5: 0.12}
    rows, outcomes = [], []
    for no in range(n):
        risk_class, company = int(rng.integers(1, 6)), siren(no)
        default = None
        for year in (2023, 2024):
            at = pd.Timestamp(year, 12, 1, 12, tz="UTC")
            if default is None:
                rows.append({
                    "report_id": f"b{no}-{year}", "company_id": company, "product": "bank", "source": "bank_xray",
                    "created_at": at, "bank_risk_class": risk_class, "period_end_date": pd.Timestamp(year, 11, 30),
                })  # fmt: skip
                if rng.random() < rates[risk_class]:
                    default = pd.Timestamp(year + 1, 6, 1)
        outcomes.append({"company_id": company, "default_date": default, "observed_until": UNTIL})
    frames = {name: conformed(name, pd.DataFrame()) for name in ("companies", "loans", "exposures")}
    return {"reports": report_rows(rows), "outcomes": conformed("outcomes", pd.DataFrame(outcomes)), **frames}


def test_bank__has_default_rates_but_no_probabilities():
    book = bank_book()
    found = report.analysed(book, EDITION, report.ValidationTerms("bank", 12, UNTIL), shipped_policy())
    assert verdict(found, "Do worse classes default more?").verdict == "reversed: 3 (C) below 2 (B)"
    assert [row.question for row in found.verdicts if "probabilit" in row.question] == []
    assert found.no_probability == "bank classes have no probability of default"
    assert found.periods["cohort"].tolist() == ["2023-12-31", "2024-12-31", "all (clustered)"]
    pooled = found.periods.iloc[-1]
    assert pooled["n"] == found.periods["n"].iloc[:2].sum()
    assert pooled["low"] < pooled["default_rate_ratio"] < pooled["high"]
    names = [name for name, _ in report.document(found).figures()]
    assert names == ["roc", "cap", "classes", "cohorts", "migration"]
    assert all(figure.problem == "" for _, figure in report.document(found).figures())
    again = report.analysed(book, EDITION, report.ValidationTerms("bank", 12, UNTIL), shipped_policy())
    from xray_analytics.report.document.html import to_html

    assert to_html(report.document(found)) == to_html(report.document(again))


def test_refused__with_a_reason():
    book = bank_book(30)
    none = conformed("outcomes", pd.DataFrame())
    with pytest.raises(InputError, match="there are no outcomes to validate with"):
        report.analysed(book | {"outcomes": none}, EDITION, report.ValidationTerms("bank", 12, UNTIL), shipped_policy())
    with pytest.raises(InputError, match="there is no financial report"):
        report.analysed(book, EDITION, report.ValidationTerms("financial", 12, UNTIL), shipped_policy())
    with pytest.raises(InputError, match="product is 'esg'"):
        report.analysed(book, EDITION, report.ValidationTerms("esg", 12, UNTIL), shipped_policy())


def test_without_a_default__the_report_still_stands():
    book = bank_book(60)
    book["outcomes"] = book["outcomes"].assign(default_date=pd.NaT)
    found = report.analysed(book, EDITION, report.ValidationTerms("bank", 12, UNTIL), shipped_policy())
    assert "0 of 60 observations defaulted" in verdict(found, "Does it rank the risk?").why
    assert "Not shown: 0 of 60 observations defaulted" in str(report.document(found).sections[1].blocks[0])


def test_few__rates_of_under_twenty_companies_are_not_given():
    found = report.analysed(bank_book(60), EDITION, report.ValidationTerms("bank", 12, UNTIL), shipped_policy())
    small = found.classes["n"] < 20
    assert small.any()
    table = dict(report.document(found).figures())["classes"].grid or class_table(found)
    rates = table.frame["default_rate_ratio"]
    assert rates.isna().tolist() == small.tolist()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with bank reports as the table has them, written directly."""
    path, book = tmp_path_factory.mktemp("validate") / "store", bank_book(300)
    opened = Store(path)
    with opened.writer() as writer:
        writer.append("reports", tables.REPORTS.conform(book["reports"]))
        writer.commit()
    file = path.parent / "mine.csv"
    columns = ["company_id", "default_date", "observed_until"]
    book["outcomes"][columns].to_csv(file, index=False)
    return path, file


def test_command__joins_prints_and_writes(xray, store, tmp_path):
    path, outcomes = store
    (tmp_path / "mine.toml").write_text(SHIPPED.read_text().replace("min_companies = 2000", "min_companies = 200"))
    common = ("--store", path, "--outcomes", outcomes, "--policy", tmp_path / "mine.toml")
    forms = (
        "--out",
        tmp_path / "v.html",
        "--xlsx",
        tmp_path / "v.xlsx",
        "--pdf",
        tmp_path / "v.pdf",
        "--rows",
        tmp_path / "r.csv",
    )
    code, out, err = xray("validate", *common, *forms)
    assert (code, err) == (0, "")
    assert "Does it rank the risk?" in out
    assert "No verdict:" in out  # too few defaults
    assert (tmp_path / "v.html").exists()
    assert (tmp_path / "v.xlsx").exists()
    assert (tmp_path / "r.csv").exists()
    assert (tmp_path / "v.pdf").read_bytes().startswith(b"%PDF-")
    code, out, _ = xray("validate", *common, "--out", tmp_path / "v.html", "--json", "--force")
    facts = json.loads(out)
    assert (code, facts["policy"]["min_companies"], facts["cohort"]) == (0, 200, "2024-12-31")
    assert (facts["n"] > 250, facts["no_verdict"].count("30 defaults")) == (True, 1)
    assert facts["verdicts"][0]["verdict"] == "no verdict"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "there are no outcomes"),
        (("--policy", "none.toml", "--outcomes", "{outcomes}"), "none.toml cannot be read"),
        (("--outcomes", "none.csv"), "none.csv"),
        (("--outcomes", "{outcomes}", "--as-of", "2024-06-30"), "was observed 12 months before"),
    ],
)
def test_command__refuses_in_one_sentence(xray, store, tmp_path, arguments, reason):
    path, outcomes = store
    given = [a.replace("{outcomes}", str(outcomes)) for a in arguments]
    code, out, err = xray("validate", "--store", path, "--out", tmp_path / "v.html", *given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err
    assert list(tmp_path.iterdir()) == []


def test_outcomes__attached_ones_are_all_looked_at_also_on_an_earlier_day(tmp_path):
    """A row without a default dates from the end of its watch: an earlier snapshot alone would hold defaulters only."""
    book, store = bank_book(300), Store(tmp_path / "store")
    with store.writer() as writer:
        writer.append("reports", tables.REPORTS.conform(book["reports"]))
        writer.commit()
    attach(store, book["outcomes"][["company_id", "default_date", "observed_until"]], table="outcomes")
    day = "2025-11-30"
    found = report.analyse(store.snapshot(day), product="bank", known_until=day, horizon_months=10)
    given = report.analyse(
        store.snapshot(day), product="bank", known_until=day, horizon_months=10, outcomes=book["outcomes"]
    )
    assert 0 < found.cohorts.n_defaults == given.cohorts.n_defaults
    assert len(found.cohorts.sample) == len(given.cohorts.sample) > 250
