"""A day of the service, hour by hour on a virtual clock: one call in twenty fails, deliveries get lost and repeated.

In the end the store says what a store says that saw no fault, and nothing that was opened is left open.
"""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from xray_analytics import Settings, Store, XRayClient, sync
from xray_analytics.api.journal import Journal
from xray_analytics.errors import ApiError
from xray_analytics.ingest.deliveries import drain

from .server import FaultServer, Reply, Request, reply
from .service import REQUESTS, SOURCES, TOKEN, USER, Service, bank, rating, run

HOURS, MIDNIGHT = 24, datetime(2026, 3, 1, tzinfo=UTC)


class Rough:
    """A service of which one answer in twenty is cut, reset, an error or a plea for less."""

    def __init__(self, service: Service, rng: random.Random) -> None:
        self.service, self.rng, self.n_faults = service, rng, 0

    def __call__(self, request: Request) -> Reply:
        honest = reply(self.service.honest(request))
        if self.rng.random() >= 0.05:
            return honest
        self.n_faults += 1
        cut = honest.cut(self.rng.randrange(len(honest.wire)), self.rng.choice(["close", "reset"]))
        return self.rng.choice([cut, reply({}, 500), reply({}, 503), reply({}, 429, {"Retry-After": "3"})])


def day(n_reports: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Report and request ids, and the report, in the order in which they appear."""
    found = []
    for n in range(n_reports):
        report_id, request_id = f"61baf5{n:018x}", REQUESTS[n % len(REQUESTS)]
        found.append((report_id, request_id, (bank if n % 2 else rating)(report_id, request_id)))
    return found


def announce(journal: Journal, new: list[tuple[str, str, dict[str, Any]]], at: datetime, rng: random.Random) -> None:
    """Deliveries of these reports: out of order, one in ten lost, one in five repeated."""
    told = [one for one in new if rng.random() >= 0.1]
    told += [one for one in told if rng.random() < 0.2]
    for report_id, request_id, _ in rng.sample(told, len(told)):
        journal.enqueue("new_report", request_id, report_id, at)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux to count what is open")
@pytest.mark.parametrize("n_reports", [240, pytest.param(10_000, marks=pytest.mark.long)])
def test_soak__a_day_of_faults_ends_with_the_same_store(
    tmp_path: Path, figure: Callable[[str, object], None], n_reports: int
) -> None:
    rng, waits, n_open, n_refused = random.Random(20), [0.0], [], 0
    everything, service = day(n_reports), Service(reports={})
    rough, store = Rough(service, rng), Store(tmp_path / "store")
    with FaultServer(rough) as server, Journal(tmp_path / "journal.sqlite3") as journal:
        settings = Settings(base_url=server.url, user_id=USER, session_token=TOKEN, sources=SOURCES, workers=4)
        virtual = {"sleep": lambda seconds: waits.append(waits[-1] + seconds), "clock": lambda: waits[-1]}
        for hour in range(HOURS):
            at = MIDNIGHT + timedelta(hours=hour)
            new = everything[hour * n_reports // HOURS : (hour + 1) * n_reports // HOURS]
            service.reports |= {report_id: report for report_id, _, report in new}
            announce(journal, new, at, rng)
            with XRayClient(settings, rng=random.Random(hour), **virtual) as client:  # type: ignore[arg-type]
                try:
                    drain(client, store, journal, now=lambda at=at: at)  # type: ignore[misc]
                    if hour % 6 == 5:
                        sync(client, store, full=True)
                except ApiError:
                    n_refused += 1  # the next hour comes
            n_open.append(len(os.listdir("/proc/self/fd")))
        n_known = len(store.versions("report"))
    last, clean = run(service, store, command={"full": True}), Store(tmp_path / "clean")
    run(service, clean)
    assert last.result is not None
    assert (last.issues, store.verify()) == ({}, [])
    assert store.content_digest() == clean.content_digest()
    assert n_known > 0.8 * n_reports, "deliveries and listings bring nearly all, before the last run mends the rest"
    assert rough.n_faults > 0.02 * n_reports
    assert max(n_open[HOURS // 2 :]) <= max(n_open[: HOURS // 2]) + 8
    figure(
        f"a day of {n_reports} reports", f"{rough.n_faults} faults, {n_refused} runs refused, the same store in the end"
    )
