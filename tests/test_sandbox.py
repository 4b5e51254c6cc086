"""The sandbox keeps what the guides document, adds up to the cent, and behaves like a book of loans."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import requests

from xray_analytics.errors import InputError
from xray_analytics.sandbox import Sandbox, lender
from xray_analytics.sandbox.economy.companies import FLAWS, ReportPlan
from xray_analytics.sandbox.economy.identifiers import digest, dutch_iban, french_iban, siren
from xray_analytics.sandbox.economy.ledger import _easter, working_days
from xray_analytics.sandbox.payloads.bank import CRITERIA, annualised, number, overall_score, quantile
from xray_analytics.sandbox.payloads.financial import accounts as accounts_of
from xray_analytics.sandbox.payloads.financial import default_probability
from xray_analytics.sandbox.payloads.reports import Economy
from xray_analytics.sandbox.payloads.visible import criteria, sight
from xray_analytics.sandbox.service import server
from xray_analytics.tables import TABLES

UNTIL = date(2025, 12, 31)


@pytest.fixture(scope="module")
def economy() -> Economy:
    return Economy(40, 7, clean=True)


@pytest.fixture(scope="module")
def large() -> Economy:
    return Economy(2000, 7)


@pytest.fixture(scope="module")
def bank_reports(economy: Economy) -> list[dict[str, Any]]:
    return raws(economy, "bank_xray")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(companies=8, seed=7) as running:
        yield running


def raws(economy: Economy, source: str) -> list[dict[str, Any]]:
    ids = [id for id, (_, plan) in economy.plans.items() if plan.source == source]
    return [json.loads(economy.report_body(id), parse_float=Decimal)["report"]["raw"] for id in ids]


def headers(sandbox: Sandbox, **changes: str) -> dict[str, str]:
    settings = sandbox.settings()
    own = {
        "userId": settings.user_id.reveal(),
        "sessionToken": settings.session_token.reveal(),
        "October-Version": settings.api_version,
    }
    return own | changes


def get(sandbox: Sandbox, path: str, **changes: str) -> requests.Response:
    return requests.get(f"{sandbox.url}{path}", headers=headers(sandbox, **changes), timeout=100)


# --- the same seed, the same bytes


def test_bytes__depend_on_the_seed_only() -> None:
    first, second, other = Economy(12, 3), Economy(12, 3), Economy(12, 4)
    forwards = {id: first.report_body(id) for id in first.plans}
    backwards = {id: second.report_body(id) for id in reversed(second.plans)}
    assert forwards == backwards
    assert not set(forwards) & set(other.plans)
    assert [first.request(id) for id in first.request_owners] == [second.request(id) for id in second.request_owners]


def test_economy__larger_one_begins_with_the_smaller(large: Economy) -> None:
    small = Economy(200, 7)
    assert [c.code for c in large.companies[:200]] == [c.code for c in small.companies]
    assert set(small.plans) <= set(large.plans)
    shared = next(id for id, (no, _) in small.plans.items() if no == 199)
    assert large.report_body(shared) == small.report_body(shared)


def test_ids__are_object_ids_unique_and_timed(economy: Economy, large: Economy) -> None:
    ids = [*large.plans, *large.request_owners]
    assert len(ids) == len(set(ids)) == sum(len(c.reports) + len(c.requests) for c in large.companies)
    assert all(re.fullmatch("[0-9a-f]{24}", id) for id in ids)
    assert all(int(id[:8], 16) == int(plan.created.timestamp()) for id, (_, plan) in economy.plans.items())
    assert all(plan.created.date() <= UNTIL for _, plan in economy.plans.values())


# --- invented, and recognisably so


def test_companies__are_invented_and_well_formed(large: Economy) -> None:
    by_type: dict[str, list[str]] = {"siren": [], "kvk": []}
    for company in large.companies:
        assert "SYNTHETIC" in company.name
        by_type[company.code_type].append(company.code)
    assert 0.01 < len(by_type["kvk"]) / 2000 < 0.03
    assert all(re.fullmatch("[1-9][0-9]{7}", code) for code in by_type["kvk"])
    assert all(re.fullmatch("[0-9]{9}", code) and luhn(code) for code in by_type["siren"])
    assert len({c.code for c in large.companies}) == 2000


def luhn(digits: str) -> bool:
    total = sum(int(d) if i % 2 == 0 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(digits[::-1]))
    return total % 10 == 0


def test_siren__known_numbers() -> None:
    for known in ("514673987", "732829320", "552100554", "662042449"):
        assert siren(int(known[:8])) == known
    assert not luhn("514673986")


def test_iban__keys_are_valid() -> None:
    ibans = [french_iban(digest("t", n)) for n in range(50)] + [dutch_iban(digest("t", n)) for n in range(50)]
    for iban in ibans:
        assert int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1
    for iban in ibans[:50]:
        bank, branch, account, key = iban[4:9], iban[9:14], iban[14:25], iban[25:]
        assert bank == "99999"
        assert (89 * int(bank) + 15 * int(branch) + 3 * int(account) + int(key)) % 97 == 0


def test_working_days__french_holidays() -> None:
    assert [_easter(y) for y in (2008, 2011, 2024, 2025)] == [
        date(2008, 3, 23), date(2011, 4, 24), date(2024, 3, 31), date(2025, 4, 20),
    ]  # fmt: skip
    days = working_days(2024, 2025)
    closed = [
        "2024-04-01",
        "2024-05-09",
        "2024-05-20",
        "2025-05-01",
        "2025-06-09",
        "2025-11-11",
        "2025-03-15",
    ]
    assert not np.is_busday(closed, busdaycal=days).any()
    assert np.is_busday(["2025-04-22", "2025-12-31"], busdaycal=days).all()


# --- bank reports add up


def test_statements__reconcile_and_chain_to_the_cent(bank_reports: list[dict[str, Any]]) -> None:
    n_gaps = 0
    for raw in bank_reports:
        for s in raw["summary"]:
            amounts = [t["amount"] for t in raw["allTransactions"] if t["statementId"] == s["statementId"]]
            assert sum(a for a in amounts if a > 0) == s["totalCreditAmount"]
            assert -sum(a for a in amounts if a < 0) == s["totalDebitAmount"]
            assert s["startBalance"] + s["totalCreditAmount"] - s["totalDebitAmount"] == s["endBalance"]
            assert s["movements"] == "correct"
        for before, after in pairwise(raw["summary"]):
            if before["endDate"] == after["startDate"]:
                assert before["endBalance"] == after["startBalance"]
            else:
                n_gaps += before["endDate"] < after["startDate"]
    assert len(bank_reports) > 120
    assert n_gaps > 0


def test_transactions__step_by_their_amounts_within_their_statement(
    bank_reports: list[dict[str, Any]],
) -> None:
    for raw in bank_reports:
        entries = sorted(raw["allTransactions"], key=lambda t: t["id"])
        statements = {s["statementId"]: s for s in raw["summary"]}
        running = {no: s["startBalance"] for no, s in statements.items()}
        for entry in entries:
            statement = statements[entry["statementId"]]
            assert statement["startDate"] < entry["date"] <= statement["endDate"]
            running[entry["statementId"]] += entry["amount"]
            assert running[entry["statementId"]] == entry["balance"]


def test_movement_report__annualises_by_days_covered(bank_reports: list[dict[str, Any]]) -> None:
    assert annualised(6822641, 31) == 80331096
    for raw in bank_reports:
        periods = {(s["startDate"], s["endDate"]) for s in raw["summary"]}
        days = sum((date.fromisoformat(end) - date.fromisoformat(start)).days for start, end in periods)
        for metric in raw["movementReport"].values():
            exact = Decimal(metric["period"]) * 365 / days
            assert metric["annualised"] == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_bank_report__documented_members(bank_reports: list[dict[str, Any]]) -> None:
    summary = {
        "startDate": str, "endDate": str, "bic": str, "iban": (str, type(None)), "statementId": int, "pageCount": int,
        "startBalance": (int, Decimal), "endBalance": (int, Decimal), "totalCreditAmount": (int, Decimal),
        "totalDebitAmount": (int, Decimal), "movements": str,
    }  # fmt: skip
    reason = {"criteria": str, "quantile": int, "value": (int, Decimal), "sentiment": str, "popovers": list}
    for raw in bank_reports:
        assert list(raw)[:3] == ["movementReport", "summary", "bankFlag"]
        assert "totalDebitAmount" in raw["movementReport"]
        assert list(raw["bankFlag"]) == ["color", "dataSanity", "reasons"]
        assert [r["criteria"] for r in raw["bankFlag"]["reasons"]] == list(CRITERIA)
        for row, types in [(s, summary) for s in raw["summary"]] + [(r, reason) for r in raw["bankFlag"]["reasons"]]:
            assert list(row) == list(types)
            assert all(isinstance(row[name], kind) for name, kind in types.items())


def test_bank_report__class_follows_from_its_own_criteria(bank_reports: list[dict[str, Any]]) -> None:
    for raw in bank_reports:
        reasons = raw["bankFlag"]["reasons"]
        if raw["bankFlag"]["dataSanity"] < 70:
            assert raw.get("riskClass") is None
            continue
        values = {r["criteria"]: float(r["value"]) for r in reasons}
        assert raw["riskClass"] == 1 + sum(raw["score"] > cut for cut in map(Decimal, ("0.2", "0.4", "0.6", "0.8")))
        assert abs(overall_score(values) - float(raw["score"])) <= 0.02  # values are rounded to 4 places
        assert all(
            abs(quantile(name, values[name]) - r["quantile"]) <= 5 for name, r in zip(values, reasons, strict=True)
        )


def test_unrated__null_or_absent_but_never_zero() -> None:
    unrated = {"null": 0, "absent": 0}
    economy = Economy(60, 7, clean=True)
    for raw in raws(economy, "bank_xray"):
        assert raw.get("riskClass") != 0
        if raw["bankFlag"]["dataSanity"] < 70:
            unrated["null" if "riskClass" in raw else "absent"] += 1
        else:
            assert raw["riskClass"] in (1, 2, 3, 4, 5)
    assert unrated["null"] > 0
    assert unrated["absent"] > 0


def test_rejects__are_debit_credit_and_fee(bank_reports: list[dict[str, Any]]) -> None:
    n_rejects = 0
    for raw in bank_reports:
        entries = sorted(raw["allTransactions"], key=lambda t: t["id"])
        for n, entry in enumerate(entries):
            if not entry["label"].startswith("REJET PRLV") or entry["date"][8:] < "06":
                continue
            twins = [
                t for t in entries[:n] if t["amount"] == -entry["amount"] and t["counterparty"] == entry["counterparty"]
            ]
            assert len(twins) >= 1
            assert entry["alerts"] == ["rejected_payment"]
            n_rejects += 1
    assert n_rejects > 40


def test_optional_members__are_missing_in_some_reports(bank_reports: list[dict[str, Any]]) -> None:
    first = [raw["allTransactions"][0] for raw in bank_reports]
    assert {("category" in t, t.get("category") is None) for t in first} == {
        (True, False),
        (True, True),
        (False, True),
    }
    assert {raw["summary"][0]["iban"] is None for raw in bank_reports} == {True, False}


def test_number__as_javascript_writes_it() -> None:
    assert [str(number(c)) for c in (10000, 1250, 6822641, 0, -5)] == [
        "100",
        "12.5",
        "68226.41",
        "0",
        "-0.05",
    ]
    assert b".0," not in Economy(1, 7).report_body(next(iter(Economy(1, 7).plans)))


# --- financial and ESG reports


def test_financial_report__documented_members(economy: Economy) -> None:
    for raw in raws(economy, "magpie"):
        assert list(raw) == ["criterias", "probabilityOfDefault", "riskClass", "reasons"]
        assert next(iter(raw["criterias"])) == "totalFixedAssetsTotalAssets"
        assert 20 <= len(raw["criterias"]) <= 30
        assert all(list(c) == ["value", "source"] for c in raw["criterias"].values())
        assert isinstance(raw["criterias"]["supplierScore"]["value"], str)
        assert 0 < raw["probabilityOfDefault"] < 1
        assert raw["riskClass"] in (1, 2, 3, 4, 5)
        assert raw["reasons"][0]["criteria"] == {"supplierScore": raw["criterias"]["supplierScore"]["value"]}
        assert all(list(r) == ["typeCode", "sentiment", "weight", "criteria"] for r in raw["reasons"])


def test_esg_report__has_no_score_when_items_are_missing(economy: Economy) -> None:
    found = raws(economy, "esg")
    assert {(raw["score"] is None) == bool(raw["missingItems"]) for raw in found} == {True}


def test_request__documented_members_and_whole_cents(economy: Economy) -> None:
    shown = [economy.request(id) for id in economy.request_owners]
    for request in shown:
        assert list(request)[:5] == ["id", "code", "status", "stage", "creator"]
        assert (request["status"], request["stage"]) == ("pending_analysis", "1.1")
    with_notes = [request["notes"] for request in shown if "notes" in request]
    assert 0 < len(with_notes) < len(shown)
    for notes in with_notes:
        assert isinstance(notes["holding"], bool)
        assert all(isinstance(v, int) for name, v in notes.items() if not name.startswith("esg"))
        assert notes["totalFixedAssets"] + notes["cashAvailable"] <= notes["totalAssets"]


# --- damage on purpose


def test_damage__each_kind_is_as_announced() -> None:
    economy = Economy(1, 7)
    id, (no, plan) = next((i, found) for i, found in economy.plans.items() if found[1].source == "bank_xray")
    bodies = {}
    for flaw in FLAWS:
        economy.plans[id] = (no, ReportPlan(**(vars(plan) | {"flaw": flaw})))
        bodies[flaw] = economy.report_body(id)
    assert b'"score":0.1,"score":0.2' in bodies["duplicate_member"]
    assert b'"dataSanity":NaN' in bodies["not_a_number"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(bodies["truncated"])
    assert json.loads(bodies["wrong_type"])["report"]["raw"]["allTransactions"][0]["amount"] == "douze"
    assert json.loads(bodies["impossible_date"])["report"]["raw"]["summary"][0]["endDate"] == "2025-02-30"
    assert "extractionEngine" in json.loads(bodies["unknown_member"])["report"]["raw"]
    last = json.loads(bodies["unbalanced"], parse_float=Decimal)["report"]["raw"]["summary"][-1]
    assert last["startBalance"] + last["totalCreditAmount"] - last["totalDebitAmount"] == last["endBalance"] - 1000


def test_damage__about_one_report_in_150_and_none_when_clean(large: Economy) -> None:
    dirty, clean = large, Economy(2000, 7, clean=True)
    damaged = [id for id, (_, plan) in dirty.plans.items() if plan.flaw]
    assert 1 / 200 < len(damaged) / len(dirty.plans) < 1 / 110
    assert {dirty.plans[id][1].flaw for id in damaged} == set(FLAWS)
    for id in damaged[:6]:
        raw = json.loads(clean.report_body(id), parse_constant=pytest.fail)["report"]["raw"]
        assert "extractionEngine" not in raw
        assert clean.report_body(id) != dirty.report_body(id)


# --- a believable book


def test_defaults__about_two_percent_a_year(large: Economy) -> None:
    alive = [c for c in large.companies if c.default_date is None or c.default_date.year >= 2025]
    rate = sum(c.default_date is not None for c in alive) / len(alive)
    assert 0.015 < rate < 0.03


def twelve_months(n_companies: int, observed: date) -> tuple[np.ndarray, np.ndarray]:
    """Whether each company defaulted within a year of `observed`, and its class in the latest report before."""
    economy, rows = Economy(n_companies, 7, clean=True), []
    for company in economy.companies:
        plans = [p for p in company.reports if p.source == "bank_xray" and p.created.date() <= observed]
        default = company.default_date
        if plans and (default is None or default > observed):
            seen = sight(company, plans[-1], economy.ledger(company.no), economy.timeline)
            rows.append((default is not None and default <= observed + timedelta(365), overall_score(criteria(seen))))
    defaulted, score = np.array(rows).T
    return defaulted.astype(bool), 1 + (score[:, None] > (0.2, 0.4, 0.6, 0.8)).sum(axis=1)


def auc(defaulted: np.ndarray, score: np.ndarray) -> float:
    bad, good = score[defaulted][:, None], score[~defaulted]
    return float((bad > good).mean() + 0.5 * (bad == good).mean())


def test_bank_class__ranks_defaults() -> None:
    assert 0.70 < auc(*twelve_months(600, date(2024, 12, 31))) < 0.90


@pytest.mark.long
def test_bank_class__ranks_defaults_in_a_large_book() -> None:
    defaulted, risk_class = twelve_months(4000, date(2024, 12, 31))
    assert 0.75 < auc(defaulted, risk_class) < 0.85
    shares = np.bincount(risk_class, minlength=6)[1:] / len(risk_class)
    assert np.abs(shares - [0.18, 0.26, 0.28, 0.18, 0.08]).max() < 0.05


def test_default_probability__understates_by_about_a_half(large: Economy) -> None:
    alive = [c for c in large.companies if c.default_date is None or c.default_date.year >= 2025]
    expected = np.mean([default_probability(accounts_of(c, 22), large.truths) for c in alive])
    observed = np.mean([c.default_date is not None for c in alive])
    assert 1.2 < observed / expected < 1.9


# --- what the lender knows


@pytest.mark.parametrize("name", ["companies", "loans", "exposures", "outcomes"])
def test_lender_frames__have_the_columns_of_their_table(name: str) -> None:
    sandbox = Sandbox(companies=60, seed=7)
    frame = getattr(sandbox, name)()
    declared = [c.name for c in TABLES[name].columns if c.name not in ("valid_from", "recorded_at", "is_withdrawn")]
    assert list(frame.columns) == declared
    assert frame.equals(getattr(Sandbox(companies=60, seed=7), name)())


def test_lender_frames__agree_with_each_other() -> None:
    sandbox = Sandbox(companies=1000, seed=7)
    loans, exposures, outcomes = sandbox.loans(), sandbox.exposures(), sandbox.outcomes()
    known = set(sandbox.companies()["company_id"])
    assert set(loans["company_id"]) == set(outcomes["company_id"]) == known
    granted = loans[loans["origination_date"].notna()]
    assert set(exposures["company_id"]) <= set(granted["company_id"])
    assert (granted["application_date"] < granted["origination_date"]).all()
    assert (granted["origination_date"] < granted["maturity_date"]).all()
    defaults = outcomes[outcomes["default_date"].notna()].merge(granted, on="company_id")
    assert len(defaults) >= 8
    assert (defaults["default_date"] > defaults["origination_date"]).all()
    assert set(loans.loc[loans["refinanced_from"].notna(), "refinanced_from"]) <= set(loans["loan_id"])
    assert not exposures.duplicated(["company_id", "exposure_date"]).any()


def test_lender_frames__one_default_has_one_cause(large: Economy) -> None:
    frame = lender.outcome_frame(large.companies, UNTIL)
    assert (frame["default_reason"].notna() == frame["default_date"].notna()).all()
    assert (frame["default_end_date"].dropna() <= str(UNTIL)).all()


# --- over HTTP


def test_http__get_one_request_and_its_reports(sandbox: Sandbox) -> None:
    listed = get(sandbox, "/requests").json()
    assert list(listed) == ["requests", "remaining"]
    request = listed["requests"][0]
    assert get(sandbox, f"/requests/{request['id']}").json() == {"request": request}
    reports = get(sandbox, f"/reports?source=bank_xray&request={request['id']}").json()["reports"]
    assert reports
    for envelope in reports:
        assert list(envelope) == ["id", "request", "source", "creation"]
        assert (envelope["request"], envelope["source"]) == (request["id"], "bank_xray")
        answer = get(sandbox, f"/reports/{envelope['id']}")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.content == sandbox.economy.report_body(envelope["id"])


@pytest.mark.parametrize(
    "changes",
    [
        {"userId": "0" * 24},
        {"sessionToken": "wrong"},
        {"sessionToken": ""},
        {"October-Version": "2020-01-01"},
    ],
)
def test_http__401_without_the_three_headers(sandbox: Sandbox, changes: dict[str, str]) -> None:
    assert get(sandbox, "/requests", **changes).status_code == 401
    for missing in headers(sandbox):
        two = {name: value for name, value in headers(sandbox).items() if name != missing}
        assert requests.get(f"{sandbox.url}/requests", headers=two, timeout=100).status_code == 401
    assert get(sandbox, "/requests", **{"October-Version": "2023-06-01"}).status_code == 200


@pytest.mark.parametrize("path", ["/reports/000000000000000000000000", "/requests/none", "/nothing"])
def test_http__404(sandbox: Sandbox, path: str) -> None:
    answer = get(sandbox, path)
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "offset=x", "limit=1.5", "request=abc"])
def test_http__400_for_a_bad_query(sandbox: Sandbox, query: str) -> None:
    answer = get(sandbox, f"/reports?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.split("=", maxsplit=1)[0]]


def test_http__paging_covers_everything_once(sandbox: Sandbox) -> None:
    everything = get(sandbox, "/reports").json()["reports"]
    pages, remaining = [], [1]
    while remaining[-1]:
        page = get(sandbox, f"/reports?limit=7&offset={len(pages)}").json()
        pages += page["reports"]
        remaining.append(page["remaining"])
    assert pages == everything
    assert get(sandbox, "/reports?limit=7&offset=999").json() == {"reports": [], "remaining": 0}


@pytest.mark.parametrize("style", ["bare", "data"])
def test_http__other_list_envelopes(style: str) -> None:
    with Sandbox(companies=2, list_style=style) as sandbox:
        listed = get(sandbox, "/requests?limit=1").json()
    items = listed if style == "bare" else listed["data"]
    assert [request["id"] for request in items] == list(sandbox.economy.request_owners)[:1]


def test_http__answers_without_the_40_ms_stall(sandbox: Sandbox) -> None:
    with requests.Session() as session:
        url, own = f"{sandbox.url}/requests?limit=1", headers(sandbox)
        session.get(url, headers=own, timeout=100)
        quickest = min(session.get(url, headers=own, timeout=100).elapsed.total_seconds() for _ in range(50))
    assert quickest < 0.03  # the stall meets every answer, a busy machine not


# --- its own process


def test_sandbox__only_loopback_and_no_token_in_sight(sandbox: Sandbox) -> None:
    settings = sandbox.settings(page_size=5)
    assert settings.is_loopback
    assert settings.page_size == 5
    assert repr(sandbox) == f"<Sandbox of 8 fictitious companies, seed 7, {sandbox.url}>"
    assert settings.session_token != Sandbox(companies=1)._token
    command = sandbox._process.args if sandbox._process else []
    assert settings.session_token.reveal() not in " ".join(map(str, command))


def test_sandbox__wrong_use_is_an_input_error(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="not running"):
        Sandbox(companies=1).settings()
    with pytest.raises(InputError, match="runs already"):
        sandbox.start()
    with pytest.raises(InputError, match="at least 1"):
        Sandbox(companies=0)
    with pytest.raises(InputError, match="list_style 'odd'"):
        server.create_app(sandbox.economy, "u", "t", list_style="odd")
    taken = int(str(sandbox.url).rsplit(":", maxsplit=1)[1])
    with pytest.raises(InputError, match=f"port {taken}"):
        Sandbox(companies=1, port=taken).start()


def test_server__ends_when_its_parent_is_killed() -> None:
    code = (
        "from xray_analytics.sandbox import Sandbox; import time\n"
        "sandbox = Sandbox(companies=1); sandbox.start(); print(sandbox.url, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    assert requests.get(url, timeout=100).status_code == 401
    os.kill(parent.pid, 9)
    parent.communicate()
    deadline = time.monotonic() + 100
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(url)


def test_serve_forever__ends_quietly_when_interrupted() -> None:
    code = (
        "from xray_analytics.sandbox import Sandbox\n"
        "Sandbox(companies=1).serve_forever(lambda sandbox: print(sandbox.url, flush=True))"
    )
    foreground = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert foreground.stdout is not None
    url = foreground.stdout.readline().strip()
    assert requests.get(url, timeout=100).status_code == 401
    foreground.send_signal(signal.SIGINT)
    assert foreground.communicate(timeout=100) == ("", "")
    assert foreground.returncode == 0


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=100).status_code > 0
    except requests.RequestException:
        return False
