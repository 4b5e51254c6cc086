"""From the queue of webhook deliveries to the store: each is a hint, and only what the service itself says is kept.

A delivery is over once its report is committed. One whose report is not there (yet), or not ours, comes up again after
a growing time, for 48 h; then it is parked, and a listing may still find the report.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from ..api.answer import Answer
from ..api.client import XRayClient
from ..api.journal import Delivery, Journal
from ..console import Progress
from ..errors import ApiError, AuthenticationError, ReportError, XRayError
from ..settings import is_id
from ..store import Store
from ..tidy.batch import Received
from .run import Intake, IntakeResult, taking

SLICE = 64  # reports held in memory until their requests are there

_log = logging.getLogger(__name__)


def drain(
    client: XRayClient,
    store: Store,
    journal: Journal,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress | None = None,
) -> IntakeResult | None:
    """Fetch the report of every delivery that is due into the store; None where none is.

    Raises
    ------
    AuthenticationError, RateLimitError
        As for `sync`; the deliveries stay queued.
    StoreError
        The store is locked, damaged or cannot be written: nothing was fetched, the deliveries stay queued.
    """
    if not journal.pending(now()):
        return None
    settings = client.settings
    with taking(
        store,
        command="webhook",
        sources=settings.sources,
        aliases=settings.transaction_aliases,
        layout=settings.layout,
        journal=journal,
        progress=progress,
    ) as intake:
        fetched = fetch_due(client, intake, journal, now())
        result = intake.finish()
    journal.done(*fetched)
    return result


def fetch_due(client: XRayClient, intake: Intake, journal: Journal, at: datetime) -> list[int]:
    """Take the reports that are due, and their requests; the deliveries that are `Journal.done` once committed."""
    due = journal.pending(at)
    askable = [
        d for d in due if is_id(d.report_id, client.settings.id_pattern) and not intake.is_forgotten(d.report_id)
    ]
    intake.totals["n_listed"] += len(askable)
    over = {d.id for d in due} - {d.id for d in askable}
    for start in range(0, len(askable), SLICE):
        reports = _reports(client, intake, journal, askable[start : start + SLICE], at)
        named = {i for report in reports.values() for i in _request_id(report, client.settings.id_pattern)}
        # Requests first: they tell whether a report belongs to a company that was forgotten.
        intake.take(_requests(client, sorted(named), intake), stage="requests", total=len(named))
        intake.take(map(received, reports.values()), stage="reports", total=len(reports))
        over |= reports.keys()
    forgotten = [d.id for d in due if intake.is_forgotten(d.report_id)]
    if forgotten:
        journal.black_out(*forgotten)
    return sorted(over)


def received(answer: Answer) -> Received:
    """What the service answered, as the intake takes it."""
    origin = f"/{answer.kind}s/{answer.id}"
    return Received(answer.body, answer.fetched_at, origin, answer.kind, answer.api_version, answer.id)


@contextmanager
def draining(client: XRayClient, store: Store, journal: Journal, *, seconds: float = 30.0) -> Iterator[None]:
    """Drain every so many seconds in a thread, and once more at the end."""
    over = threading.Event()

    def run() -> None:
        while True:
            is_last = over.wait(seconds)
            if not _drained(client, store, journal) or is_last:
                return

    thread = threading.Thread(target=run, name="xray-drain", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _drained(client: XRayClient, store: Store, journal: Journal) -> bool:
    """Whether to go on: not once the headers were refused."""
    try:
        result = drain(client, store, journal)
        if result is not None:
            _log.info("deliveries: %d fetched, %d to be tried again", result.n_fetched, result.n_failed)
    except XRayError as error:
        _log.error("deliveries stay queued: %s", error)
        return not isinstance(error, AuthenticationError)
    return True


def _reports(
    client: XRayClient, intake: Intake, journal: Journal, due: list[Delivery], at: datetime
) -> dict[int, Answer]:
    """The reports that are there, by delivery; the others come up again later."""
    of = {d.report_id: d for d in due}
    found = {}
    for report_id, answer in client.get_reports(of):
        if isinstance(answer, Answer):
            intake.unmark_withdrawn(report_id)
            found[of[report_id].id] = answer
            continue
        intake.totals["n_failed"] += 1
        if not journal.retry_later(of[report_id].id, at):
            message = f"the report of a delivery did not come within 48 h, and is not asked for again: {answer}"
            intake.issue("parked", report_id, message)
    return found


def _request_id(report: Answer, id_pattern: str) -> list[str]:
    """The request that the report itself names, if any; what the delivery named is nothing to go by."""
    with suppress(ReportError):
        named = report.data.get("request")
        named = named.get("id") if isinstance(named, dict) else named
        spelled = {named, named.strip().lower()} if isinstance(named, str) else ()
        return [one for one in sorted(spelled) if is_id(one, id_pattern)][:1]
    return []


def _requests(client: XRayClient, request_ids: list[str], intake: Intake) -> Iterator[Received]:
    for request_id, answer in client.fan_out(client.get_request, request_ids):
        if isinstance(answer, ApiError):
            intake.totals["n_failed"] += 1
            intake.issue(answer.code, request_id, str(answer))
        else:
            yield received(answer)
