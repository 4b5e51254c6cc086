"""An economy as the service would show it: requests and reports, as the bytes of their JSON.

The same seed gives the same bytes: members in a fixed order, whole numbers without a fraction as JavaScript writes
them, amounts from whole cents. A few reports are damaged on purpose, unless the economy is `clean`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from ..economy.cashflow import build_ledger
from ..economy.companies import Company, ReportPlan, Timeline, build_company
from ..economy.identifiers import digest, object_id, timestamp
from ..economy.phenomena import Truths
from .bank import bank_raw
from .dialects import in_dialect
from .financial import esg_raw, financial_raw, notes

CACHED_LEDGERS = 256


class Economy:
    """Invented companies and everything the service knows about them; `without` names what of `phenomena` is left out.

    A company is built when it is first asked for; ledgers are kept for the latest `CACHED_LEDGERS` companies.
    """

    def __init__(
        self,
        companies: int = 200,
        seed: int = 7,
        *,
        until: date = date(2025, 12, 31),
        clean: bool = False,
        without: Iterable[str] = (),
    ) -> None:
        self.seed, self.clean, self.without = seed, clean, tuple(without)
        self.truths = Truths().without(self.without)
        self.n_companies = companies
        self.timeline = Timeline(until)
        self.company: Callable[[int], Company] = lru_cache(maxsize=None)(self._build)
        self.ledger = lru_cache(maxsize=CACHED_LEDGERS)(lambda no: build_ledger(self.company(no), self.timeline))

    def _build(self, no: int) -> Company:
        return build_company(self.seed, no, self.timeline.until, self.truths)

    @cached_property
    def companies(self) -> list[Company]:
        """All companies, in their order."""
        return [self.company(no) for no in range(self.n_companies)]

    @cached_property
    def request_owners(self) -> dict[str, int]:
        """Request id -> number of the company, oldest request first."""
        owners = sorted((at, id, c.no) for c in self.companies for id, at in c.requests)
        return {id: no for _, id, no in owners}

    @cached_property
    def plans(self) -> dict[str, tuple[int, ReportPlan]]:
        """Report id -> company number and plan, oldest report first."""
        found = sorted((plan.created, plan.id, c.no, plan) for c in self.companies for plan in c.reports)
        return {id: (no, plan) for _, id, no, plan in found}

    def report_ids(self, *, request_id: str | None = None, source: str | None = None) -> list[str]:
        """Ids of the reports of a request, of a product, or both, oldest first; none of an unknown request."""
        plans: Iterable[ReportPlan] = (plan for _, plan in self.plans.values())
        if request_id is not None:
            owner = self.request_owners.get(request_id)
            reports = () if owner is None else self.company(owner).reports
            plans = sorted((p for p in reports if p.request_id == request_id), key=lambda p: (p.created, p.id))
        return [plan.id for plan in plans if source in (None, plan.source)]

    def request(self, request_id: str) -> dict[str, Any]:
        """One request object; KeyError for an unknown id."""
        company = self.company(self.request_owners[request_id])
        at = dict(company.requests)[request_id]
        creator = object_id(at.replace(year=2021, month=1, day=1, hour=0, minute=0, second=0), self.seed, "user")
        shown = {
            "id": request_id,
            "code": {"type": company.code_type, "id": company.code},
            "status": "pending_analysis",
            "stage": "1.1",
            "creator": creator,
            "collaborators": [creator],
            "businessName": company.name,
            "creation": timestamp(at),
        }
        if digest(request_id, "notes") % 3:
            shown["notes"] = notes(company, max(0, self.timeline.month_of(at.date()) - 1))
        return shown

    def envelope(self, report_id: str) -> dict[str, Any]:
        """A report without its `raw`; KeyError for an unknown id."""
        plan = self.plans[report_id][1]
        return {
            "id": plan.id,
            "request": plan.request_id,
            "source": plan.source,
            "creation": timestamp(plan.created),
        }

    def report_body(self, report_id: str, *, rewritten: bool = False, dialect: str = "house") -> bytes:
        """The body of ``GET /reports/[id]``, `rewritten` as it stands later on; KeyError for an unknown id.

        A bank report in another `dialect` than the house's is damaged in its bytes only, never in its members.
        """
        no, plan = self.plans[report_id]
        flaw = None if self.clean else plan.flaw
        raw = self.raw(no, plan, rewritten=rewritten)
        if dialect != "house" and plan.source == "bank_xray":
            raw = in_dialect(raw, dialect)
        elif flaw in BEFORE:
            BEFORE[flaw](raw)
        body = encode({"report": self.envelope(report_id) | {"raw": raw}})
        return AFTER[flaw](body) if flaw in AFTER else body

    def raw(self, no: int, plan: ReportPlan, *, rewritten: bool = False) -> dict[str, Any]:
        """The `raw` member of a planned report on company `no`, without damage."""
        company = self.company(no)
        if plan.source == "magpie":
            return financial_raw(company, plan)
        if plan.source == "esg":
            return esg_raw(company, plan)
        return bank_raw(company, plan, self.ledger(no), self.timeline, rewritten=rewritten)


def encode(value: object) -> bytes:
    """The one JSON writer of the sandbox: members in the order given, UTF-8, no white space."""
    return msgspec.json.encode(value)


def _wrong_type(raw: dict[str, Any]) -> None:
    raw["allTransactions"][0]["amount"] = "douze"


def _impossible_date(raw: dict[str, Any]) -> None:
    raw["summary"][0]["endDate"] = "2025-02-30"


def _unbalanced(raw: dict[str, Any]) -> None:
    raw["summary"][-1]["endBalance"] = round(raw["summary"][-1]["endBalance"] + 1000, 2)


def _unknown_member(raw: dict[str, Any]) -> None:
    raw["extractionEngine"] = {"name": "imaginary", "version": 2}


def _duplicate_member(body: bytes) -> bytes:
    return body.replace(b'"movementReport":', b'"score":0.1,"score":0.2,"movementReport":', 1)


def _not_a_number(body: bytes) -> bytes:
    return re.sub(rb'"dataSanity":\d+', b'"dataSanity":NaN', body, count=1)


def _truncated(body: bytes) -> bytes:
    return body[: len(body) * 2 // 3]


# Damage on purpose: contract breaches, and two things that are none (an oddity, and drift).
BEFORE: dict[str | None, Callable[[dict[str, Any]], None]] = {
    "wrong_type": _wrong_type,
    "impossible_date": _impossible_date,
    "unbalanced": _unbalanced,
    "unknown_member": _unknown_member,
}
AFTER: dict[str | None, Callable[[bytes], bytes]] = {
    "duplicate_member": _duplicate_member,
    "not_a_number": _not_a_number,
    "truncated": _truncated,
}
