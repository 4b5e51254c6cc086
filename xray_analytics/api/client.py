"""Requests, notes, files and reports: the calls of the service, and its answers as the bytes it sent.

`XRayClient` knows the paths and envelopes of the API and checks that an answer is the one asked for; what a report
says is none of its business. What the vendor leaves open (list envelopes, paging, form of ids) is *assumed* here in
one place each, under names of `Settings`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Never, Self, TypeVar, cast

from ..errors import ApiError, InputError, UnavailableError
from ..settings import Settings, is_id
from . import parallel, pdf, requests, upload, waiting, webhook_settings
from .answer import Answer, Kind, elements_of, id_of
from .http.body import is_json
from .http.failure import http_date, plain
from .http.transport import Response, Transport
from .journal import PATIENCE

if TYPE_CHECKING:
    from datetime import date

    from .journal import Journal
    from .notes import Notes
    from .storage import Sent

K = TypeVar("K")
V = TypeVar("V")

_log = logging.getLogger(__name__)
_CLOCK_TOLERANCE_SECONDS = 300


class XRayClient:
    """The service. Thread-safe; a context manager.

    Parameters
    ----------
    settings
        Default: ``Settings.from_environment()``.
    journal
        Remembers what was about to be created, so that an attempt of unknown fate is looked up and not repeated.
    sleep, clock, rng
        Waiting, monotonic time and jitter, as in `Transport`.
    now
        The time of day, for ``fetched_at``.

    Examples
    --------
    >>> XRayClient(Settings(base_url="http://127.0.0.1:8000", user_id="u", session_token="t"))
    XRayClient(host='127.0.0.1:8000')
    """

    def __init__(  # noqa: PLR0913
        self,
        settings: Settings | None = None,
        *,
        journal: Journal | None = None,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings or Settings.from_environment()
        self._transport = Transport(self._settings, sleep=sleep, clock=clock, rng=rng)
        self._journal, self._now, self._sleep = journal, now, sleep or time.sleep
        self._is_clock_checked = False

    def __repr__(self) -> str:
        return f"XRayClient(host={self._settings.host!r})"

    def __reduce__(self) -> Never:
        raise TypeError("an XRayClient cannot be pickled or copied; build one from the settings where it is needed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def settings(self) -> Settings:
        """Where the service is and how it is called; secrets in it do not print."""
        return self._settings

    def close(self) -> None:
        """End calls and waits under way, and all connections."""
        self._transport.close()

    def create_request(
        self,
        code_id: str,
        *,
        code_type: str = "siren",
        creator: str | None = None,
        business_name: str | None = None,
    ) -> Answer:
        """Open a request for a company; what a flat answer of the service leaves out, `get_request` fetches.

        With a journal, an earlier attempt for the same company whose fate is unknown is looked up first; see
        `opening.once` for how its request is recognised.

        Parameters
        ----------
        code_id, code_type
            Number of the company, and what kind of number: ``siren`` or ``kvk`` (documented), or another of the
            service's words, which is passed on with the number as it is.
        creator
            Id of the user responsible; default the user who calls.
        business_name
            A name for the request.

        Raises
        ------
        InputError
            The number cannot be one, or the name is no text; nothing was sent.
        ApiError
            The service refused. Code ``unknown_outcome`` (an `UnavailableError`): nobody knows whether it was created.
        """
        body: dict[str, Any] = {"code": requests.company_code(code_id, code_type)}
        if creator is not None:
            body["creator"] = self._settings.checked_id(creator)
        if business_name is not None:
            body["businessName"] = _checked_text("business_name", business_name)
        if self._journal is None:
            return self._create(body)
        return requests.once(self._journal, body, create=self._create, listed=self.list_requests)

    def update_notes(self, request_id: str, notes: Notes) -> Answer:
        """Replace the notes of a request; the request as the service shows it afterwards.

        Documented: ``POST /requests/[id]`` with ``notes``; its answer is not, hence the second call. Sending the same
        notes twice does no harm.
        """
        path = f"/requests/{self._settings.checked_id(request_id)}"
        again = "send the notes again, twice the same does no harm"
        self._transport.post(path, {"notes": notes.to_payload()}, accept_json=False, if_unknown=again)
        return self.get_request(request_id)

    def upload(  # noqa: PLR0913 - each is one independent choice
        self,
        request_id: str,
        path: str | Path,
        *,
        name: str,
        period: str | None = None,
        date: date | str | None = None,
        media_type: str = upload.PDF,
        again: bool = False,
        progress: Sent | None = None,
    ) -> upload.Medium:
        """Upload a file: declare it, send it to the storage host, put it online.

        With a journal, a file that reached the storage host is never sent again, and one that is online already for
        this request and name is not uploaded a second time unless `again`.

        Parameters
        ----------
        name, period
            ``bank_statement`` (``month``, ``quarter``, ``semester``, ``year``), ``certified_financial_statement``
            (``year``), ``interim_financial_statement`` or ``other``. Pages of the vendor disagree on ``year`` for bank
            statements.
        date
            The document's date; which day of its period is meant is not documented.
        media_type
            What the file is; a PDF must begin like one, for others the service may have no use.
        progress
            Called with the bytes sent and their total.

        Raises
        ------
        InputError
            The file is empty, too large or no PDF, or a word is not documented; nothing was sent.
        UploadError, ApiError
            A step failed; the same call goes on from there.
        """
        meta, settings = upload.checked_meta(name, period, date), self._settings
        document = upload.read_document(path, name=name, meta=meta, media_type=media_type, settings=settings)
        one = upload.Upload(self._transport, settings, journal=self._journal, progress=progress)
        return one.run(self._settings.checked_id(request_id), document, again=again)

    def download_pdf(self, report_id: str) -> bytes:
        """The PDF of a Bank X-Ray report (documented for no other product), checked to be whole and of this report.

        Raises
        ------
        PermissionDenied
            Naming the permission that is missing.
        ApiError
            Codes ``wrong_id`` and ``invalid_pdf`` beside those of every call.
        """
        return pdf.download(self._transport, self._settings, self._settings.checked_id(report_id))

    def wait_for_report(
        self, request_id: str, *, product: str, timeout: timedelta = PATIENCE, known: Iterable[str] = ()
    ) -> Answer:
        """The newest report of a request and product not among `known`, once there is one; `waiting` says how."""
        wait = waiting.wait_for_report
        return wait(self, request_id, product=product, timeout=timeout, known=known, sleep=self._sleep, now=self._now)

    def list_webhooks(self) -> list[webhook_settings.Webhook]:
        """The webhook settings of the organization ``settings.business_id``, keys included."""
        return webhook_settings.list_webhooks(self._transport, self._settings)

    def add_webhook(self, url: str, *, events: Sequence[str] = ("new_report",)) -> webhook_settings.Webhook:
        """Have `url` called on these events, and read back what was set; see `webhook_settings`."""
        return webhook_settings.add_webhook(self._transport, self._settings, url, events=events)

    def remove_webhook(self, url: str) -> None:
        """Have `url` called no more; see `webhook_settings`."""
        webhook_settings.remove_webhook(self._transport, self._settings, url)

    def get_request(self, request_id: str) -> Answer:
        """One request.

        Raises
        ------
        InputError
            The id is not of the form ``settings.id_pattern``; nothing was sent.
        ApiError
            The service did not answer as it should; code ``wrong_id`` if it answered with another request, and
            ``invalid_json`` if not with JSON.
        """
        answer = self._get("request", request_id)
        if not is_json(answer.body):
            raise _unexpected("invalid_json", f"/requests/{request_id}", "the body is not JSON to its end")
        return answer

    def get_report(self, report_id: str) -> Answer:
        """One report, as received.

        What is wrong *inside* a report is not judged here: a completely transferred body that is not JSON (cut before
        it reached the service's own server, a NaN token, invalid UTF-8) is fetched once more and then handed over all
        the same, so that it can be kept as evidence. Its ``data`` raises `ReportError`. A body that can be read must
        carry the id asked for.

        Raises
        ------
        InputError, ApiError
            As in `get_request`, except for code ``invalid_json``.
        """
        try:
            return self._get("report", report_id)
        except ApiError as error:
            error.report_id = report_id
            raise

    def get_reports(self, report_ids: Iterable[str]) -> Iterator[tuple[str, Answer | ApiError]]:
        """Many reports at once: pairs of id and report, or of id and the error that this report met.

        In the order in which they arrive, and with the rules of `fan_out`, save that the workers go further ahead:
        eight times as many reports as workers, or as many as weigh 24 MB.
        """
        return parallel.fan_out(self.get_report, _several(report_ids), workers=self._settings.workers, ahead=8)

    def list_requests(self) -> list[Answer]:
        """All requests this user may see, in the order of the service, each once."""
        return self._list("request", {})

    def list_reports(
        self, *, product: str | None = None, request_id: str | None = None, source: str | None = None
    ) -> list[Answer]:
        """The reports of one product, of one request, or both; each once.

        Parameters
        ----------
        product
            A house word (``bank``, ``financial``, ``esg``, ...) that ``settings.sources`` translates.
        source
            The API's own word instead, such as ``bank_xray``.

        Raises
        ------
        InputError
            Unknown product, both product and source, or an id of another form.
        ApiError
            The service did not answer as it should; code ``invalid_list`` if not with a list of identified objects.
        """
        if product is not None and source is not None:
            raise InputError("give product or source, not both")
        if product is not None:
            source = self._settings.source_of(product)
        filters = {
            "source": source,
            "request": self._settings.checked_id(request_id) if request_id is not None else None,
        }
        return self._list("report", {name: value for name, value in filters.items() if value is not None})

    def fan_out(self, function: Callable[[K], V], items: Iterable[K]) -> Iterator[tuple[K, V | ApiError]]:
        """Call `function` on each item in ``settings.workers`` threads; yield item and result as they arrive.

        An `ApiError` is the result of its item and stops nothing, except that the account or the service refuses
        us as a whole: `AuthenticationError`, `RateLimitError` and `SilentServiceError` are raised, as is every other
        exception. At most twice as many items as workers are under way or wait to be consumed; `items` may be endless.
        When the loop is left early, calls that have not begun never begin, and `close` ends the others.

        Examples
        --------
        Reports of many requests::

            for request_id, reports in client.fan_out(lambda r: client.list_reports(request_id=r), request_ids):
                ...
        """
        return parallel.fan_out(function, _several(items), workers=self._settings.workers)

    def _create(self, body: dict[str, Any]) -> Answer:
        look = "see with `xray request list` whether it is there; with a journal the next attempt looks by itself"
        response = self._transport.post("/requests", body, if_unknown=look)
        identity = id_of("request", response.body)
        if identity is None or not is_id(identity, self._settings.id_pattern):
            problem = "POST /requests was answered without an id, so nobody knows what was created"
            error = UnavailableError(f"{problem}; look with `xray request list`", method="POST", path="/requests")
            error.code = "unknown_outcome"
            raise error
        return self._answer("request", identity, response.body)

    def _get(self, kind: Kind, asked: str) -> Answer:
        path = f"/{kind}s/{self._settings.checked_id(asked)}"
        response = self._receive(path, {})
        if response.is_json and id_of(kind, response.body) != asked:
            raise _unexpected("wrong_id", path, f"the answer is not the {kind} asked for, its id is another or missing")
        return self._answer(kind, asked, response.body)

    def _list(self, kind: Kind, filters: Mapping[str, str]) -> list[Answer]:
        """The union by id of all pages; a page without anything new is the last, as is one that says so."""
        settings, found, offset = self._settings, dict[str, Answer](), 0
        for _ in range(settings.max_pages):
            window = {settings.page_limit_name: settings.page_size, settings.page_offset_name: offset}
            page, remaining = self._page(kind, {**filters, **(window if settings.paging else {})})
            n_known = len(found)
            for answer in page:
                found.setdefault(answer.id, answer)
            if len(found) == n_known or remaining == 0 or not settings.paging:
                return list(found.values())
            # By what came, not by what was asked for: the service may cap the size of a page.
            offset += len(page)
        raise _unexpected("endless_list", f"/{kind}s", f"the list goes on after {settings.max_pages} pages (max_pages)")

    def _page(self, kind: Kind, params: Mapping[str, str | int]) -> tuple[list[Answer], int | None]:
        path, settings = f"/{kind}s", self._settings
        response = self._receive(path, params)
        if not response.is_json:
            raise _unexpected("invalid_json", path, "the body is not JSON to its end")
        listed = elements_of(f"{kind}s", response.body)
        if isinstance(listed, str):
            listed = plain(listed, settings)
            raise _unexpected("invalid_list", path, f"neither a list nor an object that holds one ({listed})")
        elements, remaining = listed
        answers = []
        for position, element in enumerate(elements):
            identity = id_of(kind, element)
            if identity is None or not is_id(identity, settings.id_pattern):
                problem = f"element {position} has no id of the form of the setting id_pattern"
                raise _unexpected("invalid_list", path, problem)
            answers.append(self._answer(kind, identity, element))
        return answers, remaining

    def _receive(self, path: str, params: Mapping[str, str | int]) -> Response:
        response = self._transport.get(path, params)
        if not self._is_clock_checked:
            self._check_clock(http_date(response.headers.get("Date")))
        return response

    def _check_clock(self, theirs: datetime | None) -> None:
        """Warn once if the service's clock is far from ours: `fetched_at` would mislead."""
        self._is_clock_checked = True
        if theirs is not None and abs((theirs - self._now()).total_seconds()) > _CLOCK_TOLERANCE_SECONDS:
            _log.warning("the clock of %s and the clock of this machine differ by minutes or more", self._settings.host)

    def _answer(self, kind: Kind, identity: str, body: bytes) -> Answer:
        return Answer(kind, identity, body, self._settings.api_version, self._now())


def _checked_text(name: str, text: str) -> str:
    """The text, unless it holds half a surrogate pair, as of bytes that a terminal did not understand."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} is no text that UTF-8 can carry, so nothing was sent; type it again") from None
    return text


def _unexpected(code: str, path: str, problem: str) -> ApiError:
    error = ApiError(f"GET {path}: {problem}; ask the vendor", status=200, method="GET", path=path)
    error.code = code
    return error


def _several(items: Iterable[K]) -> Iterable[K]:
    """As they are, also without an end; a text is one item, never its letters."""
    return cast("Iterable[K]", [items]) if isinstance(items, str) else items
