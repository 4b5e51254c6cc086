"""The tear sheet of a company: two pages, masked as asked, the same bytes again, and no name given away."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from xray_analytics import Sandbox, Store, XRayClient, attach, sync
from xray_analytics.errors import InputError
from xray_analytics.grammar.identity import code_fault
from xray_analytics.report import company
from xray_analytics.report.company import results
from xray_analytics.report.document import pdf


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("sheet") / "store")
    with Sandbox(companies=8, seed=5) as sandbox, XRayClient(sandbox.settings()) as client:
        sync(client, made)
        attach(made, sandbox.companies(), table="companies")
    return made


@pytest.fixture(scope="module")
def busiest(store):
    """The company with the most incidents and streams."""
    reports = store.snapshot().read("reports")
    bank = reports[reports["product"] == "bank"].groupby("company_id")["n_transactions"].sum()
    return str(bank.idxmax())


@pytest.fixture(scope="module")
def found(store, busiest):
    return company.analyse(store.snapshot(), busiest, command="xray report company")


def test_company__is_found_by_its_siret_and_with_blanks(store, busiest):
    siret = next(f"{busiest} 0001 {k}" for k in range(10) if code_fault(f"{busiest}0001{k}") is None)
    for typed in (f"{busiest[:3]} {busiest[3:6]}\u202f{busiest[6:]}", siret):
        assert company.analyse(store.snapshot(), typed).company_id == busiest
    with pytest.raises(InputError, match="5520135"):
        company.analyse(store.snapshot(), "5 520 135")


def n_pages(data):
    return len(re.findall(rb"/Type /Page\b", data))


def test_it_answers_for_one_company_alone(found, busiest):
    assert set(found.reports["company_id"]) == {busiest}
    assert set(found.flows["company_id"]) <= {busiest}
    assert set(found.entries.incidents["company_id"]) <= {busiest}
    assert not found.daily.duplicated(["account_no", "day"]).any()
    assert found.ratios["n"].max() > 1  # compared with all companies


def test_page_says_everything_it_should(found):
    html = company.render(found)
    for words in (
        "Risk class by report", "Credits, debits and balance by month", "Balance at the end of every day",
        "Rules of the watch list met", "Largest payers", "Largest payees", "Recurring", "Incidents, newest first",
        "Criteria of the bank flag", "Ratios against the portfolio", "Bank against accounts", "Do the figures agree?",
        "All companies in this report are fictitious", "To make it again: <code>xray report company</code>",
    ):  # fmt: skip
        assert words in html
    assert html.count("<svg") == 3


def test_largest_parties_are_those_of_the_newest_report(found):
    newest = found.reports[found.reports["product"] == "bank"].iloc[-1]
    shown = found.parties.groupby("side")["share_ratio"].sum()
    assert (found.parties.groupby("side").size() <= 5).all()
    assert (shown <= 1 + 1e-9).all()
    assert found.parties.loc[found.parties["side"] == "credit", "total"].sum() <= newest["total_credit"] + 0.01


def test_pdf_has_two_pages_and_the_same_bytes_again(found, store, busiest):
    made = pdf.to_pdf(company.document(found))
    assert n_pages(made) == 2
    again = company.analyse(store.snapshot(), busiest, command="xray report company")
    assert pdf.to_pdf(company.document(again)) == made
    assert company.render(again) == company.render(found)


def test_shareable_names_no_counterparty_and_repeats_no_label(found, store, busiest):
    shared = company.render(company.analyse(store.snapshot(), busiest, shareable=True))
    names = {str(party) for party in found.parties["party"]} | set(found.entries.recurring["counterparty"].dropna())
    names |= {text.split(":")[0] for text in found.entries.incidents["evidence"] if "URSSAF" not in text}
    assert len(names) > 5
    text = re.sub(r"<style.*?</style>", "", shared, flags=re.DOTALL).upper()
    assert [name for name in names if len(name) > 5 and f">{name.upper()}" in text] == []
    assert "PAYER 1" in text


def test_a_natural_person_is_masked_everywhere(store, busiest, tmp_path):
    read = store.snapshot()
    persons = read.read("companies").assign(is_natural_person=True)
    masked = replace(company.analyse(read, busiest, command=f"xray report company {busiest}"), companies=persons)
    html = company.render(masked)
    assert busiest not in html
    assert "natural person" in html
    assert f"To make it again: <code>xray report company …{busiest[-3:]}</code>" in html
    shown = replace(masked, edition=replace(masked.edition, show_persons=True))
    assert busiest in company.render(shown)


def test_an_unknown_company_is_told_with_near_codes_and_no_person(store, busiest):
    with pytest.raises(InputError, match=f"near it are .*{busiest}"):
        company.analyse(store.snapshot(), busiest[:-1])
    with pytest.raises(InputError, match="lists them"):
        company.analyse(store.snapshot(), "'; DROP TABLE x")
    reports = pd.DataFrame({"company_id": ["123456789", "123456780"]})
    persons = pd.DataFrame({"company_id": ["123456789"], "is_natural_person": pd.array([True], "boolean")})
    told = results._unknown("12345678", reports, persons)
    assert "123456780" in told
    assert "123456789" not in told


def test_grades_follow_the_learnt_direction():
    at = pd.to_datetime(["2025-01-10"] * 3, utc=True)
    reports = pd.DataFrame({
        "report_id": list("xyz"), "report_version": 1, "company_id": list("xyz"), "product": "bank", "created_at": at,
        "available_at": at, "is_backfilled": False,
    })  # fmt: skip
    criteria = pd.DataFrame({
        "report_id": list("xyz"), "report_version": 1, "criterion_no": 0, "criterion": "overdraft", "value": 1.0,
        "quantile_pct": [5.0, 50.0, 95.0], "sentiment": ["good", "neutral", "bad"],
    })  # fmt: skip
    grades = [results.graded(criteria, reports, name)["grade"].item() for name in "xyz"]
    assert grades == ["A", "C", "E"]


def test_command_writes_both_forms_and_never_over_a_file(xray, store, busiest, tmp_path):
    html, sheet = tmp_path / "c.html", tmp_path / "c.pdf"
    code, out, _ = xray("report", "company", busiest, "--store", store.path, "--out", html, "--out", sheet)
    assert (code, out) == (0, f"Written: {html}\nWritten: {sheet}\n")
    assert n_pages(sheet.read_bytes()) == 2
    code, _, err = xray("report", "company", busiest, "--store", store.path, "--out", html)
    assert (code, "--force" in err) == (2, True)
    code, _, err = xray("report", "company", busiest, "--store", store.path, "--out", tmp_path / "c.xlsx")
    assert (code, "there are .html, .pdf" in err) == (2, True)
    code, _, err = xray("report", "company", "000", "--store", store.path, "--out", tmp_path / "d.pdf")
    assert (code, err.count("\n")) == (2, 1)
