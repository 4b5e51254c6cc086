"""A small risk service on the fault server: a few requests and reports, any path of which can answer otherwise.

`play` runs the whole `sync` against it twice, with the fault and without, and checks what must hold whatever happens:
old or new, nothing lost, everything counted, every problem named, nothing secret shown.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from xray_analytics import Settings, Store, XRayClient, sync, tables
from xray_analytics.errors import XRayError
from xray_analytics.ingest.run import IntakeResult
from xray_analytics.store.maintenance import CLOCKS

from .server import FaultServer, Reply, Request, reply

TOKEN, USER, LABEL = "canary-5e55-70ken", "canary-u5e7", "CANARY VIR JEANNE"
SOURCES = {"bank": "bank_xray", "financial": "magpie"}
DOCUMENTED = Path(__file__).parents[1] / "documented"
REQUESTS = [f"61b1aaa{i}015c69003931e945" for i in range(4)]
BANKS = [f"61baf58{i}2353003b888c3d00" for i in range(4)]
RATINGS = [f"61baf59{i}2353003b888c3d00" for i in range(4)]
BAD = BANKS[1]  # the report that most faults befall
PATH = f"/reports/{BAD}"
RETRY = {"quarantined": True}
FIRST_TRIES = 1 + 2 * len(REQUESTS) + len(BANKS) + len(RATINGS)

Answer = Reply | Callable[[Request], Reply]


def bank(report_id: str = BAD, request_id: str = REQUESTS[1], **raw: Any) -> dict[str, Any]:
    """A bank report with two transactions, and with other members in its raw."""
    report = json.loads((DOCUMENTED / "bank_xray_report.json").read_text(encoding="utf-8"))["report"]
    rows = [("2021-08-02", 10.1, 1), ("2021-08-03", -0.01, 2)]
    entries = [{"date": d, "amount": a, "label": f"{LABEL} {n} {report_id}"} for d, a, n in rows]
    changes = {"id": report_id, "request": request_id, "raw": {**report["raw"], "allTransactions": entries, **raw}}
    return {"report": {**report, **changes}}


def rating(report_id: str, request_id: str) -> dict[str, Any]:
    """A financial report."""
    report = json.loads((DOCUMENTED / "magpie_report.json").read_text(encoding="utf-8"))["report"]
    return {"report": {**report, "id": report_id, "request": request_id}}


@dataclass
class Service:
    """What the service knows, and `faults`: path -> replies played in turn before the honest one, or one for ever."""

    faults: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    reports: dict[str, Any] = field(default_factory=lambda: dict(_everything()))
    calls: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: Request) -> Reply:
        """The answer to a request, with the fault of its path if it has one."""
        n_calls = self.calls[request.path]
        self.calls[request.path] += 1
        fault = self.faults.get(request.path)
        if isinstance(fault, list):
            fault = fault[n_calls] if n_calls < len(fault) else None
        if fault is None:
            return reply(self.honest(request))
        return fault if isinstance(fault, Reply) else fault(request)

    def honest(self, request: Request) -> Any:
        """What the path holds."""
        if request.path == "/requests":
            return {"requests": [_request(i) for i in REQUESTS], "remaining": 0}
        if request.path.startswith("/requests/"):
            return _request(request.path.removeprefix("/requests/"))  # flat: the same bytes as in the list
        if request.path == "/reports":
            return {"reports": [{"id": i} for i in self.listed(request.query)], "remaining": 0}
        return self.reports[request.path.removeprefix("/reports/")]

    def listed(self, query: dict[str, str]) -> list[str]:
        """Ids of the reports of a request and source."""
        wanted = (query["request"], query["source"])
        return [
            i for i, tree in self.reports.items() if (tree["report"]["request"], tree["report"]["source"]) == wanted
        ]


def _request(request_id: str) -> dict[str, Any]:
    return {"id": request_id, "code": {"type": "siren", "id": "514673987"}, "status": "done"}


def _everything() -> Iterator[tuple[str, Any]]:
    for request_id, bank_id, rating_id in zip(REQUESTS, BANKS, RATINGS, strict=True):
        yield bank_id, bank(bank_id, request_id)
        yield rating_id, rating(rating_id, request_id)


@dataclass
class Run:
    """One `sync`: its result or its error, how many calls it made, and how long it would have waited [s]."""

    result: IntakeResult | None
    error: XRayError | None
    n_calls: int
    waited: float

    @property
    def issues(self) -> dict[str, str]:
        """Subject -> code of what went wrong."""
        assert self.result is not None, self.error
        return {issue.subject: issue.code for issue in self.result.issues}


def run(
    service: Answer, store: Store, *, command: dict[str, Any] | None = None, real_time: bool = False, **changes: Any
) -> Run:
    """Run `sync`, on a virtual clock by default; checks that totals add up and that nothing secret is shown."""
    waits: list[float] = []
    virtual = {"sleep": waits.append, "clock": lambda: 1000.0 + sum(waits)}
    options = {"sources": SOURCES, "workers": 4, "requests_per_second": 1e6, **changes}
    with FaultServer(service) as server:
        settings = Settings(base_url=options.pop("base_url", server.url), user_id=USER, session_token=TOKEN, **options)
        with XRayClient(settings, rng=random.Random(3), **({} if real_time else virtual)) as client:
            try:
                done = Run(sync(client, store, **command or {}), None, 0, 0.0)
            except XRayError as error:
                done = Run(None, error, 0, 0.0)
        done.n_calls, done.waited = len(server.requests), sum(waits)
    check_words(done)
    if done.result is not None:
        check_totals(done.result, store)
    return done


def check_words(done: Run) -> None:
    """I3: no message shows a secret, a body or a query."""
    issues = done.result.issues if done.result else ()
    texts = [str(done.error), repr(done.error), repr(vars(done.error) if done.error else ""), *map(repr, issues)]
    for word in (TOKEN, USER, LABEL, "?source", "source=", "limit="):
        assert not any(word in text for text in texts), word
    assert all(issue.code and issue.subject for issue in issues)


def check_totals(result: IntakeResult, store: Store) -> None:
    """I6: nothing is lost in silence, in the result and in the run log."""
    assert result.n_fetched == result.n_published + result.n_unchanged + result.n_quarantined
    reports = result.n_listed - result.n_known
    assert result.n_fetched + result.n_failed + result.n_withdrawn >= reports
    if result.commits:
        runs = store.snapshot().read("runs")
        own = runs[runs["run_id"] == result.run_id]
        for name in ("n_listed", "n_fetched", "n_unchanged", "n_published", "n_quarantined"):
            assert own[name].sum() == getattr(result, name), name


def said(store: Store, *names: str) -> dict[str, list[str]]:
    """All rows of the tables that hold what the service said, without clocks."""
    snapshot, found = store.snapshot(), {}
    for name in names or (t.name for t in (*tables.REPORT_TABLES, *tables.REQUEST_TABLES, tables.RAW)):
        left_out = {*CLOCKS, "body"}
        data = snapshot.arrow(name, columns=[n for n in tables.table(name).names if n not in left_out])
        found[name] = sorted(map(str, data.to_pylist()))
    return found


def check_old_or_new(store: Store, clean: dict[str, list[str]]) -> None:
    """I1: what is there is whole, and part of what a run without faults brings."""
    if not store.exists:
        return
    assert store.verify() == []
    there = said(store, "requests", "reports", "transactions", "raw")
    for name, rows in there.items():
        assert set(rows) <= set(clean[name]), name
    assert len(there["transactions"]) == 2 * sum("bank_xray" in row for row in there["reports"])


@dataclass
class Played:
    """The run with the fault, and the store it left, healed by now."""

    faulty: Run
    store: Store


def play(folder: Path, faults: dict[str, Any], *, healing: dict[str, Any] | None = None, **changes: Any) -> Played:
    """Sync with `faults`, check; remove them, sync again, and check that nothing tells the two stores apart (I2)."""
    clean, store = clean_store(folder.parent), Store(folder / "store")
    faulty = run(Service(faults), store, **changes)
    check_old_or_new(store, _said_by_clean(clean))
    again = run(Service(), store, command=healing)
    assert again.result is not None, again.error
    assert again.issues == {}
    if faulty.result and faulty.result.n_quarantined:  # which the store remembers
        assert said(store) == _said_by_clean(clean)
        assert store.open_quarantine() == []
    else:
        assert store.content_digest() == clean.content_digest()
    return Played(faulty, store)


@cache
def clean_store(base: Path) -> Store:
    """A store that no fault ever befell."""
    store = Store(base / "clean")
    result = run(Service(), store).result
    assert result is not None
    assert (result.n_listed, result.n_published, result.issues) == (8, 12, ())
    return store


@cache
def _said_by_clean(clean: Store) -> dict[str, list[str]]:
    return said(clean)


def recovered(played: Played, n_more: int = 1) -> None:
    """The fault passed by itself: everything was published by a few more calls."""
    done = played.faulty
    assert done.result is not None
    assert (done.result.n_published, done.issues) == (12, {})
    assert done.n_calls == FIRST_TRIES + n_more
