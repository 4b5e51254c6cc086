"""What users did to the service since it started: requests, notes, files, and the reports that follow from them.

State lives in memory and ends with the process. Beside it stands the economy, which never changes: without any POST,
the service shows exactly what the economy holds. What a new report says depends on the company, the period and the
notes only, or on the statement uploaded where that can be read; its id and time depend on the moment. *Assumed*: what
starts a report, and which months it covers.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..economy.companies import MONTHS, ReportPlan
from ..economy.identifiers import digest, object_id, timestamp
from ..payloads.financial import financial_raw
from ..payloads.reports import Economy, encode
from ..payloads.statement import Entry, raw_of_statement
from .behaviour import Manners
from .deliveries import schedule
from .storage import Bucket

PERIOD_MONTHS = {"month": 1, "quarter": 3, "semester": 6, "year": 12}
STARTED_BY = {
    "bank_statement": "bank_xray",
    "certified_financial_statement": "magpie",
    "interim_financial_statement": "magpie",
}
N_MANDATORY = 13


class Desk:
    """The service as it is now: the economy, and what was done since. Thread-safe."""

    def __init__(
        self,
        economy: Economy,
        manners: Manners,
        *,
        user_id: str,
        organization_id: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.economy, self.manners, self.organization_id = economy, manners, organization_id
        self.bucket = Bucket(manners.upload_seconds)
        self.webhooks: list[dict[str, Any]] = []
        self._user_id, self._now = user_id, now
        self._lock = threading.Lock()
        self._requests: dict[str, dict[str, Any]] = {}
        self._notes: dict[str, dict[str, Any]] = {}
        self._media: dict[str, dict[str, Any]] = {}
        self._plans: dict[str, tuple[int, ReportPlan]] = {}
        self._held: list[dict[str, str]] = []  # a delivery that the next one overtakes
        self._entries: dict[str, tuple[Entry, ...]] = {}  # of reports on a statement that could be read

    # --- reading

    def request_ids(self) -> list[str]:
        """All requests, oldest first."""
        return [*self.economy.request_owners, *self._requests]

    def has_request(self, request_id: str) -> bool:
        """Whether there is such a request."""
        return request_id in self._requests or request_id in self.economy.request_owners

    def request(self, request_id: str) -> dict[str, Any]:
        """One request as it is now; KeyError for an unknown id."""
        made = self._requests.get(request_id)
        shown = dict(made) if made else self.economy.request(request_id)
        notes = self._notes.get(request_id)
        return shown | {"notes": shown.get("notes", {}) | notes} if notes else shown

    def report_ids(self, *, request_id: str | None = None, source: str | None = None) -> list[str]:
        """Ids of the reports that are there by now, oldest first."""
        old = self.economy.report_ids(request_id=request_id, source=source)
        new = [
            plan.id
            for _, plan in self._plans.values()
            if plan.created <= self._now() and request_id in (None, plan.request_id) and source in (None, plan.source)
        ]
        return old + new

    def has_report(self, report_id: str) -> bool:
        """Whether there is such a report by now."""
        is_new = report_id in self._plans and self._plans[report_id][1].created <= self._now()
        return is_new or report_id in self.economy.plans

    def envelope(self, report_id: str) -> dict[str, Any]:
        """A report without its `raw`; KeyError for an unknown id."""
        if report_id not in self._plans:
            return self.economy.envelope(report_id)
        plan = self._plans[report_id][1]
        created = timestamp(plan.created)
        return {"id": plan.id, "request": plan.request_id, "source": plan.source, "creation": created}

    def report_body(self, report_id: str) -> bytes:
        """The body of ``GET /reports/[id]``; KeyError for an unknown id."""
        if report_id not in self._plans:
            manners = self.manners
            return self.economy.report_body(report_id, rewritten=manners.rewritten, dialect=manners.dialect)
        return encode({"report": self.envelope(report_id) | {"raw": self._raw(report_id)}})

    # --- writing

    def open_request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A new request."""
        with self._lock:
            at = self._now()
            code = {"type": body["code"]["type"], "id": body["code"]["id"]}
            creator = body.get("creator", self._user_id)
            made = {
                "id": object_id(at, self.economy.seed, "opened", len(self._requests), *code.values()),
                "code": code,
                "status": "pending_analysis",
                "stage": "1.1",
                "creator": creator,
                "collaborators": [creator],
            }
            made |= {"businessName": body["businessName"]} if "businessName" in body else {}
            self._requests[made["id"]] = made | {"creation": timestamp(at)}
            return self._requests[made["id"]]

    def note(self, request_id: str, notes: Mapping[str, Any]) -> dict[str, Any]:
        """Notes merged into those of the request; complete ones may start a Financial X-Ray."""
        with self._lock:
            self._notes[request_id] = self._notes.get(request_id, {}) | dict(notes)
            if self.manners.notes_start_report and _is_complete(self._notes[request_id]):
                self._start(request_id, "magpie", {})
        return self.request(request_id)

    def declare_medium(self, body: Mapping[str, Any], base_url: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A draft, and where its file is to go."""
        with self._lock:
            at = self._now()
            name = object_id(at, self.economy.seed, "medium", len(self._media))
            key = f"requests/{body['request']}/document-{digest(name):016x}{digest(name, 2):016x}.pdf"
            medium = {
                "id": name,
                "creation": timestamp(at),
                "name": body["name"],
                "status": "draft",
                "type": body.get("type", "document"),
                "url": key,
                "user": self._user_id,
                "request": body["request"],
                "meta": dict(body["meta"]),
            }
            self._media[name] = medium
        make = self.bucket.form if self.manners.upload_style == "form" else self.bucket.address
        return medium, make(base_url, key, body["meta"]["type"])

    def medium(self, medium_id: str) -> dict[str, Any] | None:
        """One medium as it is now, None if there is none."""
        medium = self._media.get(medium_id)
        return medium and medium | {"status": self._status(medium)}

    def put_online(self, medium_id: str, meta: Mapping[str, Any]) -> dict[str, Any] | None:
        """The medium, now online, and its report under way; None where its file is missing or of another size."""
        with self._lock:
            medium = self._media[medium_id]
            stored = self.bucket.files.get(medium["url"])
            if stored is None or stored.size != medium["meta"]["size"]:
                return None
            was_draft, medium["status"] = medium["status"] == "draft", self.manners.medium_status
            medium["meta"] |= meta
            if was_draft and medium["name"] in STARTED_BY:
                self._start(medium["request"], STARTED_BY[medium["name"]], medium["meta"], stored.entries)
            return medium | {"status": self._status(medium)}

    def set_webhooks(self, wanted: list[Mapping[str, Any]]) -> None:
        """The list as it is wanted; an address that was there keeps its key."""
        with self._lock:
            keys = {one["url"]: one["key"] for one in self.webhooks}
            self.webhooks = [
                {"url": w["url"], "events": list(w["events"]), "key": keys.get(w["url"]) or secrets.token_hex(24)}
                for w in wanted
            ]

    def _status(self, medium: Mapping[str, Any]) -> str:
        """Content is being extracted as long as a report that it started is not there."""
        under_way = any(p.request_id == medium["request"] and p.created > self._now() for _, p in self._plans.values())
        return "online" if medium["status"] == "pending_extraction" and not under_way else str(medium["status"])

    # --- reports under way

    def _start(
        self, request_id: str, source: str, meta: Mapping[str, Any], entries: tuple[Entry, ...] | None = None
    ) -> None:
        ready = self._now() + timedelta(seconds=self.manners.report_delay)
        no = self._company_no(request_id)
        first, last = self._months(no, meta)
        name = object_id(ready, self.economy.seed, request_id, source, len(self._plans))
        self._plans[name] = (no, ReportPlan(name, request_id, source, ready, first, last))
        if entries is not None and source == "bank_xray":
            self._entries[name] = entries
        event = {"event": "new_report", "requestId": request_id, "reportId": name}
        schedule(self.manners.report_delay, lambda: list(self.webhooks), self._to_deliver(event))

    def _to_deliver(self, event: dict[str, str]) -> list[dict[str, str]]:
        if self.manners.deliveries == "reordered":
            held, self._held = self._held, [] if self._held else [event]
            return [event, *held] if held else []
        return [event] * (2 if self.manners.deliveries == "twice" else 1)

    def _company_no(self, request_id: str) -> int:
        """The company of the request; for a number that is not in the economy, one that stands for it."""
        if request_id in self.economy.request_owners:
            return self.economy.request_owners[request_id]
        code = self._requests[request_id]["code"]["id"]
        known = (c.no for c in self.economy.companies if c.code == code)
        return next(known, digest(code) % self.economy.n_companies)

    def _months(self, no: int, meta: Mapping[str, Any]) -> tuple[int, int]:
        """The months a report covers: the period that ends with the document's date, else the last six."""
        company, timeline = self.economy.company(no), self.economy.timeline
        last = MONTHS - 2
        if "date" in meta:
            last = min(max(timeline.month_of(date.fromisoformat(meta["date"])), company.first_month), last)
        n_months = PERIOD_MONTHS.get(str(meta.get("period")), 6)
        return max(company.first_month, last - n_months + 1), last

    def _raw(self, report_id: str) -> dict[str, Any]:
        no, plan = self._plans[report_id]
        if report_id in self._entries:
            return raw_of_statement(self._entries[report_id], self.economy.company(no), digest(report_id))
        notes = self._notes.get(plan.request_id, {})
        if plan.source == "magpie" and _is_complete(notes):
            return financial_raw(self.economy.company(no), plan, year=notes)
        return self.economy.raw(no, plan)


def _is_complete(notes: Mapping[str, Any]) -> bool:
    return sum(not name.startswith("esg") for name in notes) >= N_MANDATORY
