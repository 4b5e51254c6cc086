"""A company number is read in one way, and what a spreadsheet made of it is refused with the remedy."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_analytics.analysis.quality.findings import findings
from xray_analytics.errors import InputError
from xray_analytics.grammar.identity import code_fault, company_code, without_blanks
from xray_analytics.sandbox.economy.identifiers import siren
from xray_analytics.tidy.batch import Received, tidy

BLANKS = [" ", "\xa0", "\u202f", "\u2009", "\u3000", "\t", "\r\n", "\u200b", "\ufeff"]


@pytest.mark.parametrize("blank", BLANKS)
def test_blanks_of_every_kind__are_taken_out(blank):
    assert company_code(f"{blank}005{blank}520{blank}135{blank}") == "005520135"


@pytest.mark.parametrize(
    ("text", "code_type", "number"),
    [
        ("00552013500012", "siren", "005520135"),
        ("005 520 135 00012", "siren", "005520135"),
        ("35600000049837", "siren", "356000000"),  # an establishment of La Poste: its digits add up to 45
        ("24288945", "kvk", "24288945"),
        ("HRB12345", "hrb", "HRB12345"),
        ("1E5", "hrb", "1E5"),
    ],
)
def test_numbers__are_taken(text, code_type, number):
    assert company_code(text, code_type) == number
    assert code_fault(text, code_type) is None


@pytest.mark.parametrize(
    ("text", "code_type", "why"),
    [
        ("5520135", "siren", "5520135 is not a SIREN: that has 9 digits, this 7 characters; if a spreadsheet dropped"),
        ("5,52E+08", "siren", "spreadsheet rounded: format the column as text"),
        ("5.52013E8", "siren", "spreadsheet rounded: format the column as text"),
        ("514673987.0", "siren", "spreadsheet rounded: format the column as text"),
        ("2,4E+07", "kvk", "spreadsheet rounded: format the column as text"),
        ("514673987\0", "siren", "has digits and letters only"),
        ("Boulangerie du Coin", "siren", "is not a SIREN"),
        ("Café", "siren", "has digits and letters only"),
        ("00552013500013", "siren", "not a SIRET: its check digit does not fit"),
        ("35600000149837", "siren", "not a SIRET"),
        ("514673988", "siren", "its check digit does not fit"),
        ("514673987", "kvk", "not a KVK: that has 8 digits, this 9 characters"),
        ("2428894", "kvk", "if a spreadsheet dropped leading zeros"),
        ("A" * 33, "hrb", "at most 32"),
        ("", "hrb", "has digits and letters only"),
        ("514673987", "Siren", "code_type 'Siren' is not a word such as siren or kvk"),
    ],
)
def test_numbers__are_refused_with_the_remedy(text, code_type, why):
    with pytest.raises(InputError, match=why.replace("(", r"\(")):
        company_code(text, code_type)


@given(st.integers(0, 10**8 - 1))
def test_a_number_without_its_leading_zeros__is_never_padded(number):
    right = siren(number)
    shorter = right.lstrip("0")
    if len(shorter) < len(right):
        with pytest.raises(InputError):
            company_code(shorter)


@given(st.text(max_size=20), st.sampled_from(["siren", "kvk", "hrb"]))
def test_any_text__is_a_number_or_one_sentence(text, code_type):
    fault = code_fault(text, code_type)
    if fault is None:
        assert company_code(company_code(text, code_type), code_type) == company_code(text, code_type)
    else:
        with pytest.raises(InputError):
            company_code(text, code_type)
        assert not without_blanks(text) or len(without_blanks(text)) < 4 or without_blanks(text) not in fault


def told_bodies(code, **members):
    """A request payload and a report payload with this code."""
    request = json.dumps({"request": {"id": "6" * 24, "code": code, **members}}).encode()
    raw = {"riskClass": 2, "probabilityOfDefault": 0.02, "criterias": {}, "reasons": []}
    report = json.dumps({"report": {"id": "7" * 24, "source": "magpie", "code": code, "raw": raw}}).encode()
    return request, report


def told(code, **members):
    """The company, its drift and findings of a request payload and of a report payload with this code."""
    bodies = told_bodies(code, **members)
    tidied = tidy([Received(body, datetime(2025, 1, 1, tzinfo=UTC), "file") for body in bodies])
    assert [outcome.status for outcome in tidied.outcomes] == ["published"] * 2
    companies = [tidied.tables[name]["company_id"][0].as_py() for name in ("requests", "reports")]
    found = findings(drift=tidied.tables["drift"])
    return companies, found[found["check"] == "company_code"]


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ({"type": "siren", "id": " 514 673\xa0987 "}, "514673987"),
        ({"type": "siren", "id": "51467398700012"}, "514673987"),
        ({"type": "kvk", "id": "2428 8945"}, "24288945"),
        ({"type": "hrb", "id": "HRB 12345"}, "HRB12345"),
        ({"id": "24288945"}, "24288945"),
    ],
)
def test_payloads__numbers_are_normalised(code, number):
    companies, found = told(code)
    assert companies == [number, number]
    assert found.empty


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ({"type": "siren", "id": "5520135"}, "5520135"),
        ({"type": "siren", "id": "514 673 988"}, "514673988"),
        ({"type": "siren", "id": "5,52E+08"}, "5,52E+08"),
        ({"type": "kvk", "id": "514673987"}, "514673987"),
        ({"type": "hrb", "id": "a/b"}, "a/b"),
        ({"id": "12"}, "12"),
    ],
)
def test_payloads__a_number_that_fails_is_kept_and_found(code, kept):
    companies, found = told(code)
    assert companies == [kept, kept]
    assert found["severity"].tolist() == ["high", "high"]
    assert found["n"].tolist() == [1, 1]
    assert not found["finding"].str.contains(kept, regex=False).any()


@pytest.mark.parametrize("door", [["forget", "--company"], ["report", "company"]])
@pytest.mark.parametrize(("code", "why"), [("5520135", "dropped leading zeros"), ("5,52E+08", "a spreadsheet rounded")])
def test_a_number_that_is_found_nowhere__is_told_what_is_wrong_with_it(tmp_path, xray, door, code, why):
    _, body = told_bodies({"type": "siren", "id": "514673987"})
    (tmp_path / "report.json").write_bytes(body)
    store = tmp_path / "store"
    assert xray("import", tmp_path / "report.json", "--store", store)[0] == 0
    status, _, said = xray(*door, code, "--store", store, *(["--yes"] if door[0] == "forget" else []))
    assert (status, why in said) == (2, True)
    status, _, said = xray(*door, "24288945", "--store", store, *(["--yes"] if door[0] == "forget" else []))
    assert (status, "SIREN" in said) == (2, False)
