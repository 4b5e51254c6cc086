"""How often a call may be made: one token bucket per client, and a pause of all calls where the service asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pyrate_limiter import InMemoryBucket, Rate, RateItem

from ...errors import InputError


class Pace:
    """At most so many calls a second, over all threads.

    Parameters
    ----------
    per_second
        Calls per second; below 1, one call in that many seconds.
    clock
        Monotonic seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        if not per_second > 0:
            raise InputError(f"settings: requests_per_second must be above 0, not {per_second!r}")
        rate = Rate(round(per_second), 1000) if per_second >= 1 else Rate(1, round(1000 / per_second))
        self._bucket, self._clock, self._lock = InMemoryBucket([rate]), clock, threading.Lock()
        self._opens = clock()

    def hold(self, seconds: float) -> None:
        """Let no call begin for so long."""
        with self._lock:
            self._opens = max(self._opens, self._clock() + seconds)

    def wait(self, sleep: Callable[[float], object]) -> None:
        """Wait for a place, by calling `sleep` [s] as often as that takes."""
        closed_for = self._opens - self._clock()
        if closed_for > 0:
            sleep(closed_for)
        while True:
            with self._lock:
                now = int(self._clock() * 1000)
                item = RateItem("call", now)
                self._bucket.leak(now)
                if self._bucket.put(item):
                    return
                wait_ms = int(self._bucket.waiting(item))  # type: ignore[arg-type]  # awaitable only in async buckets
            sleep(max(wait_ms, 1) / 1000)
