"""Waiting for reports: minutes as a rule, up to 48 h, resumable.

That a report is ready is known from the report list (documented; the webhook is the other way), never from the
``status`` of the request. How often to ask is ours: the setting ``poll_seconds``, growing to ``poll_cap_seconds``.
A wait that stands in the `Journal` outlives this process: it keeps the ids it knew, so that nothing that came in
between is overlooked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from ..console import Progress, in_silence
from ..errors import (
    ApiError,
    IncompleteBody,
    NotFoundError,
    NotReadyError,
    RateLimitError,
    ReportError,
    SilentServiceError,
    UnavailableError,
    listed,
)
from .answer import Answer
from .journal import PATIENCE, Journal, Wait
from .requests import created_at

if TYPE_CHECKING:
    from ..settings import Settings

_K = TypeVar("_K")
_V = TypeVar("_V")
Status = Literal["ready", "unrated", "gone", "timed_out", "failed"]
RATED = frozenset({"bank", "financial"})  # the products whose rating is documented
_NEVER = datetime.min.replace(tzinfo=UTC)
_MAY_PASS = (UnavailableError, IncompleteBody, RateLimitError)


class Asked(Protocol):
    """Of a client, what waiting asks of it; `XRayClient` is one."""

    @property
    def settings(self) -> Settings:
        """How often to ask."""

    def list_reports(self, *, product: str, request_id: str) -> list[Answer]:
        """The reports of a product and request."""

    def get_report(self, report_id: str, /) -> Answer:
        """One report."""

    def get_request(self, request_id: str, /) -> Answer:
        """One request."""

    def fan_out(self, function: Callable[[_K], _V], items: Iterable[_K], /) -> Iterator[tuple[_K, _V | ApiError]]:
        """`function` of each item, as results arrive."""


@dataclass(frozen=True)
class Waited:
    """How a wait ended: with the report as received, or with the error that says why there is none."""

    request_id: str
    product: str
    report: Answer | None = None
    error: ApiError | None = None

    @property
    def status(self) -> Status:
        """One word: ``unrated`` is ready and without a risk class, ``gone`` is the request."""
        if self.report is not None:
            return "unrated" if self.product in RATED and not is_rated(self.report) else "ready"
        if isinstance(self.error, NotFoundError):
            return "gone"
        return "timed_out" if isinstance(self.error, NotReadyError) else "failed"


def is_rated(report: Answer) -> bool:
    """Whether the report gives a risk class: null, absent and 0 are assumed to say that it does not.

    Examples
    --------
    >>> bodies = b'{"report": {"raw": {"riskClass": 4}}}', b'{"report": {"raw": {"riskClass": 0}}}'
    >>> [is_rated(Answer("report", "7b", body, "2024-01-25", datetime(2026, 1, 3))) for body in bodies]
    [True, False]
    """
    try:
        raw = report.data.get("raw")
    except ReportError:
        return False
    risk_class: Any = raw.get("riskClass") if isinstance(raw, dict) else None
    return isinstance(risk_class, (int, Decimal)) and risk_class != 0


def wait_for_report(  # noqa: PLR0913
    client: Asked,
    request_id: str,
    *,
    product: str,
    timeout: timedelta = PATIENCE,
    known: Iterable[str] = (),
    sleep: Callable[[float], object] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = in_silence,
) -> Answer:
    """The newest report of a request and product that is not among the `known` ids, as soon as there is one.

    Raises
    ------
    NotFoundError
        The request is gone.
    NotReadyError
        No such report came within `timeout`; it may still come.
    ApiError
        The service refuses this request or product. Passing disturbances are waited out.
    InputError
        The product is unknown, or the id is not of the form of ids.
    """
    wait = Wait(request_id, product, now(), now() + timeout, frozenset(listed(known, "known")))
    (waited,) = wait_for_reports(client, [wait], sleep=sleep, now=now, progress=progress)
    if waited.report is None:
        assert waited.error is not None  # noqa: S101 - there is one or the other
        raise waited.error
    return waited.report


def wait_for_reports(  # noqa: PLR0913
    client: Asked,
    waits: Sequence[Wait],
    *,
    journal: Journal | None = None,
    sleep: Callable[[float], object] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = in_silence,
) -> Iterator[Waited]:
    """How each of many waits ends, in the order in which they do; each is looked at once at least.

    Parameters
    ----------
    client, waits
        Whom to ask, and what is waited for.
    journal
        Where the waits stand; each is taken from it once the caller comes back for the next one, so that a crash
        before that repeats it.
    sleep, now
        Waiting [s], and the time of day.
    progress
        Called after each round with a stage, how many waits are over, and how many there are.

    Raises
    ------
    AuthenticationError
        The headers were refused: nothing more is asked, the waits stay open.
    """
    is_open = {(w.request_id, w.product): w for w in waits}
    pause, total, settings = client.settings.poll_seconds, len(is_open), client.settings
    while is_open:
        for waited in _round(client, list(is_open.values()), now()):
            del is_open[waited.request_id, waited.product]
            progress("waits", total - len(is_open), total)
            yield waited
            if journal is not None:
                journal.finish_wait(waited.request_id, waited.product)
        progress("waits", total - len(is_open), total)
        if is_open:
            ends = min(w.deadline for w in is_open.values())
            sleep(max(0.0, min(pause, (ends - now()).total_seconds())))
            pause = min(pause * settings.poll_factor, settings.poll_cap_seconds)


def _round(client: Asked, waits: list[Wait], at: datetime) -> Iterator[Waited]:
    for wait, found in client.fan_out(lambda w: _look(client, w), waits):
        error = found if isinstance(found, ApiError) else None
        if isinstance(found, Answer):
            yield Waited(wait.request_id, wait.product, report=found)
        elif error is not None and not isinstance(error, _MAY_PASS):
            yield Waited(wait.request_id, wait.product, error=error)
        elif at >= wait.deadline:
            yield Waited(wait.request_id, wait.product, error=_too_late(wait, error))


def _look(client: Asked, wait: Wait) -> Answer | ApiError | None:
    """The new report; None if there is none yet; an error that may pass. Raises where the request is gone."""
    try:
        # A 404 of an empty list, or of a report that is not readable yet, says nothing: the request decides.
        with suppress(NotFoundError):
            listed = client.list_reports(product=wait.product, request_id=wait.request_id)
            new = [report for report in listed if report.id not in wait.known]
            if new:
                return client.get_report(max(new, key=_age).id)
        client.get_request(wait.request_id)
    except (RateLimitError, SilentServiceError) as error:
        return error  # raised, it would end the other waits; there is time
    return None


def _age(report: Answer) -> tuple[datetime, str]:
    """What orders reports by time, ties by id; one without a time comes first."""
    with suppress(ReportError):
        return created_at(report) or _NEVER, report.id
    return _NEVER, report.id


def _too_late(wait: Wait, last: ApiError | None) -> NotReadyError:
    why = f"; the last answer was: {last}" if last else ""
    return NotReadyError(
        f"request {wait.request_id} has no new {wait.product} report after {_length(wait.deadline - wait.started_at)}"
        f"{why}; wait again, or look at its documents in the web app"
    )


def _length(span: timedelta) -> str:
    if span < timedelta(minutes=1):
        return f"{round(span.total_seconds())} s"
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
