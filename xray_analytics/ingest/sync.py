"""The service into the store: list, fetch what is new, hand it to the intake; resumable.

`sync` asks for the requests, then for one report list per unsettled request and configured source, and meanwhile for
the reports listed that are unknown. The cursor remembers when each source was last listed completely: a request is
*settled* for a source when that listing came ``settled_days`` after its newest report, and is not asked again (assumed,
configurable). It also remembers the requests of which a report could not be fetched: they are not settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from ..api.answer import Answer
from ..api.client import XRayClient
from ..api.journal import Journal
from ..api.parallel import Calls
from ..api.requests import created_at
from ..console import Progress
from ..errors import ApiError, InputError, NotFoundError, PermissionDenied, listed
from ..store import Store
from ..tidy.batch import Received
from .deliveries import fetch_due, received
from .media import take_media
from .run import Intake, IntakeResult, taking

_Pair = tuple[str, str]  # a request's id, and a source


class _Listed(NamedTuple):
    """The ids of a list that are in no list before it, and those of them that are to be fetched."""

    new: list[str]
    unknown: list[str]


_Answered = Answer | _Listed | ApiError | None


def sync(  # noqa: PLR0913
    client: XRayClient,
    store: Store,
    *,
    products: Iterable[str] | None = None,
    request_ids: Iterable[str] | None = None,
    since: date | None = None,
    full: bool = False,
    recheck: bool = False,
    quarantined: bool = False,
    journal: Journal | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> IntakeResult:
    """Fetch everything new from the service into the store.

    Parameters
    ----------
    client, store
        Where from, and where to; the store is locked for the length of the run.
    products
        Only these (bank, financial, esg, …); default every configured source.
    request_ids
        Only these requests; default all.
    since
        Only requests created on this day or later [UTC].
    full, recheck, quarantined
        List settled requests too; fetch known reports again; list settled requests too and fetch quarantined reports
        again.
    journal
        Fetch the reports of its webhook deliveries as well, also those of settled requests, and keep the rows of the
        documents that were uploaded.
    processes
        How many tidy what arrives, as in `import_files`.
    progress
        Called with a stage, how many are done, and how many there are.

    Returns
    -------
    IntakeResult
        Control totals, and every issue by id and path.

    Raises
    ------
    AuthenticationError
        The headers were refused: the run stops, and what arrived before is committed.
    RateLimitError, SilentServiceError
        The service asks to wait for longer than the run may last, or answers no call in time: as above.
    ApiError
        The requests could not be listed.
    StoreError
        The store is locked, damaged or cannot be written: nothing was fetched.
    """
    settings = client.settings
    sources = _wanted(settings.sources, products)
    with taking(
        store,
        command="sync",
        sources=settings.sources,
        aliases=settings.transaction_aliases,
        layout=settings.layout,
        processes=processes,
        retry=quarantined,
        journal=journal,
        progress=progress,
    ) as intake:
        requests = _requests(client, intake, request_ids, since)
        intake.take(map(received, requests), stage="requests", total=len(requests))
        requests = [r for r in requests if not intake.is_forgotten(r.id)]
        due = fetch_due(client, intake, journal, datetime.now(UTC)) if journal else []
        listing = _Listing(store, intake, settings.settled_days)
        every = full or quarantined
        pairs = [(r.id, source) for r in requests for source in sources if every or not listing.is_settled(r, source)]
        intake.progress = listing.progress(intake.progress)
        intake.take(_reports(client, intake, listing, pairs, recheck=recheck), stage="reports")
        if journal:
            take_media(intake, journal)
        is_whole = request_ids is None and since is None
        result = intake.finish(listing.cursor(requests, sources) if is_whole else None)
    if journal is not None:
        journal.done(*due)
    return result


class _Listing:
    """Which requests need listing, and what the cursor says once they were listed."""

    def __init__(self, store: Store, intake: Intake, settled_days: int) -> None:
        self._intake, self._patience = intake, timedelta(days=settled_days)
        self._now = datetime.now(UTC)
        self._listed = {s: datetime.fromisoformat(at) for s, at in intake.cursor.get("listed", {}).items()}
        self._failed: set[str] = set()
        self._forbidden: set[str] = set()
        self._n_unknown = 0
        self._unfinished = {(r, s) for s, ids in intake.cursor.get("unfinished", {}).items() for r in ids}
        self._pair_of: dict[str, _Pair] = {}
        self._seen: dict[str, datetime] = {}
        self._newest: dict[_Pair, datetime] = {}
        if store.head is not None:
            self._remember(store)

    def _remember(self, store: Store) -> None:
        snapshot = store.snapshot()
        self._seen.update(_rows(snapshot.arrow("requests", columns=["request_id", "fetched_at"])))
        reports = snapshot.arrow("reports", columns=["request_id", "source", "created_at", "fetched_at"])
        for request_id, source, created, fetched in _rows(reports):
            key, at = (request_id, source), created or fetched
            self._newest[key] = max(at, self._newest.get(key, at))

    def is_settled(self, request: Answer, source: str) -> bool:
        """Whether the source's last complete listing knew the request and came long after its newest report."""
        listed_at, seen_at = self._listed.get(source), self._seen.get(request.id)
        if listed_at is None or seen_at is None or seen_at > listed_at or (request.id, source) in self._unfinished:
            return False
        return listed_at - self._newest_at(request, source) >= self._patience

    def _will_settle(self, request: Answer, source: str) -> bool:
        return self._now - self._newest_at(request, source) >= self._patience

    def _newest_at(self, request: Answer, source: str) -> datetime:
        return self._newest.get((request.id, source)) or created_at(request) or self._now

    def ask(self, client: XRayClient, pair: _Pair, *, recheck: bool) -> _Listed | None:
        """What a request and source list, asked by any thread; None, without a call, where it is not permitted."""
        request_id, source = pair
        if source in self._forbidden:
            return None
        reports = client.list_reports(request_id=request_id, source=source)
        new = [report.id for report in reports if self._pair_of.setdefault(report.id, pair) == pair]
        unknown = [i for i in new if not self._intake.is_forgotten(i) and (recheck or not self._intake.is_known(i))]
        return _Listed(new, unknown)

    def note(self, pair: _Pair, answer: _Answered) -> None:
        """Count what an answer to `ask` lists, or remember why it lists nothing."""
        if isinstance(answer, ApiError):
            self._failed.add(pair[1])
            self._note(answer, *pair)
        if isinstance(answer, _Listed):
            self._unfinished.discard(pair)
            self._intake.totals.update(n_listed=len(answer.new), n_known=len(answer.new) - len(answer.unknown))
            self._n_unknown += len(answer.unknown)

    def progress(self, told: Progress) -> Progress:
        """`told`, with how many reports there are as far as that is known by now."""
        return lambda stage, done, total: told(stage, done, self._n_unknown if stage == "reports" else total)

    def failed(self, report_id: str) -> None:
        """Remember that a listed report could not be fetched, so that its request is listed again."""
        self._unfinished.add(self._pair_of[report_id])

    def _note(self, error: ApiError, request_id: str, source: str) -> None:
        """A source that is not permitted is one issue, not one a request."""
        is_forbidden = isinstance(error, PermissionDenied)
        if is_forbidden and source in self._forbidden:
            return
        self._forbidden.update({source} if is_forbidden else ())
        self._intake.totals["n_failed"] += not is_forbidden
        self._intake.issue(error.code, source if is_forbidden else f"{source} of request {request_id}", str(error))

    def cursor(self, requests: list[Answer], sources: Iterable[str]) -> Mapping[str, Any]:
        """The cursor after this run; the old one where a new time would settle nothing, so that nothing is written."""
        listed = dict(self._listed)
        for source in set(sources) - self._failed:
            settles = any(not self.is_settled(r, source) and self._will_settle(r, source) for r in requests)
            if source not in listed or settles:
                listed[source] = self._now
        unfinished: dict[str, list[str]] = {}
        for request_id, source in sorted(self._unfinished):
            unfinished.setdefault(source, []).append(request_id)
        times = {source: at.isoformat() for source, at in sorted(listed.items())}
        return {**self._intake.cursor, "listed": times, "unfinished": unfinished}


def _wanted(sources: Mapping[str, str], products: Iterable[str] | None) -> list[str]:
    chosen = list(sources) if products is None else listed(products, "products")
    unknown = [p for p in chosen if p not in sources]
    if unknown:
        raise InputError(
            f"no source is configured for {', '.join(unknown)}; there are {', '.join(sources)}: add a line such as "
            f'{unknown[0]} = "the service\'s word for it" under [sources] in the settings file'
        )
    return [sources[p] for p in chosen]


def _requests(client: XRayClient, intake: Intake, ids: Iterable[str] | None, since: date | None) -> list[Answer]:
    answers = client.list_requests() if ids is None else list(_asked(client, intake, listed(ids, "request_ids")))
    if since is None:
        return answers
    return [a for a in answers if (created := created_at(a)) is None or created.date() >= since]


def _asked(client: XRayClient, intake: Intake, ids: Iterable[str]) -> Iterator[Answer]:
    """The requests of these ids, in their order; one that cannot be fetched is noted, and stops no other."""
    wanted = list(ids)
    found = dict(client.fan_out(client.get_request, wanted))
    for request_id in dict.fromkeys(wanted):
        answer = found[request_id]
        if isinstance(answer, ApiError):
            intake.totals["n_failed"] += 1
            intake.issue(answer.code, request_id, str(answer))
        else:
            yield answer


def _reports(
    client: XRayClient, intake: Intake, listing: _Listing, pairs: list[_Pair], *, recheck: bool
) -> Iterator[Received]:
    """The reports of these requests and sources as they arrive, each once, while further requests are being listed."""

    def ask(what: _Pair | str) -> Answer | _Listed | None:
        return client.get_report(what) if isinstance(what, str) else listing.ask(client, what, recheck=recheck)

    def listed(what: _Pair | str, answer: _Answered) -> list[str]:
        return answer.unknown if isinstance(answer, _Listed) else []

    n_lists = 0
    with Calls[_Pair | str, Answer | _Listed | None](ask, client.settings.workers, listed) as calls:
        calls.add(pairs)
        for asked, answer in calls:
            if isinstance(asked, str):
                yield from _report(asked, answer, intake, listing)
                continue
            listing.note(asked, answer)
            n_lists += 1
            intake.progress("lists", n_lists, len(pairs))


def _report(report_id: str, answer: _Answered, intake: Intake, listing: _Listing) -> Iterator[Received]:
    """The report; what cannot be fetched is noted and left to the next run."""
    if isinstance(answer, Answer):
        intake.unmark_withdrawn(report_id)
        yield received(answer)
    elif isinstance(answer, ApiError):
        is_gone = isinstance(answer, NotFoundError) and intake.is_published(report_id)
        intake.totals["n_withdrawn" if is_gone else "n_failed"] += 1
        intake.issue("withdrawn" if is_gone else answer.code, report_id, str(answer))
        if is_gone:
            intake.mark_withdrawn(report_id)
        if not intake.is_published(report_id):
            listing.failed(report_id)


def _rows(data: Any) -> Iterator[Any]:
    return zip(*(column.to_pylist() for column in data.columns), strict=True)
