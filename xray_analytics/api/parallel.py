"""Many calls at once, with results as they arrive, and never more of them waiting than there is room for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Generic, Self, TypeVar

from ..errors import ApiError, AuthenticationError, RateLimitError, SilentServiceError
from .answer import Answer

K = TypeVar("K")
V = TypeVar("V")
OF_ALL_CALLS = (AuthenticationError, RateLimitError, SilentServiceError)
ROOM_BYTES = 24_000_000  # of reports that wait: at 50 ms a call, 0.4 s in which the consumer may do something else


class Calls(Generic[K, V]):
    """Calls of `function` in so many threads, and their results as they arrive; a context manager.

    `follow_up` says, in the thread of the call, what an item and its result ask to have called as well, before all
    others: so the threads go on while the consumer is at something else.

    None begins while reports of `ROOM_BYTES` wait for the consumer, or after an error that ends everything: one that
    is no `ApiError`, or one of `OF_ALL_CALLS`. The loop over the results raises that error; the others are results.
    Items may be added inside that loop.
    """

    def __init__(
        self,
        function: Callable[[K], V],
        workers: int,
        follow_up: Callable[[K, V | ApiError], Iterable[K]] = lambda item, result: (),
    ) -> None:
        self._function, self._workers, self._follow_up = function, workers, follow_up
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="xray")
        self._done = SimpleQueue[tuple[K, V | ApiError] | BaseException]()
        self._lock, self._first, self._later = threading.Lock(), deque[K](), deque[K]()
        self._n_expected = self._n_running = self._waiting_bytes = 0
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[K, V | ApiError]]:
        while self._n_expected:
            yield self._result()

    def add(self, items: Iterable[K]) -> None:
        """Have these called as well, after all others."""
        taken = list(items)
        with self._lock:
            self._n_expected += len(taken)
            self._later.extend(taken)
            self._begin()

    def close(self) -> None:
        """Begin no more."""
        with self._lock:
            self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _result(self) -> tuple[K, V | ApiError]:
        arrived = self._done.get()
        if isinstance(arrived, BaseException):
            try:
                raise arrived
            finally:
                del arrived  # its traceback would keep it alive, and all that waits with it
        with self._lock:
            self._n_expected -= 1
            self._waiting_bytes -= _size(arrived[1])
            self._begin()
        return arrived

    def _begin(self) -> None:
        while self._n_running < self._workers and self._waiting_bytes < ROOM_BYTES and not self._is_closed:
            waiting = self._first or self._later
            if not waiting:
                return
            self._n_running += 1
            self._pool.submit(self._call, waiting.popleft())

    def _call(self, item: K) -> None:
        size = 0
        try:
            result = _result(self._function, item)
            size = _size(result)
            following = list(self._follow_up(item, result))
            with self._lock:
                self._n_expected += len(following)
                self._first.extend(following)
            self._done.put((item, result))
        except BaseException as error:  # the consumer raises it
            self._done.put(error)
            self.close()
        with self._lock:
            self._n_running -= 1
            self._waiting_bytes += size
            self._begin()


def fan_out(
    function: Callable[[K], V], items: Iterable[K], *, workers: int, ahead: int = 2
) -> Iterator[tuple[K, V | ApiError]]:
    """What `XRayClient.fan_out` says; at most `ahead` times as many items as workers are under way or wait."""
    source = iter(items)
    with Calls(function, workers) as calls:
        calls.add(islice(source, ahead * workers))
        for result in calls:
            yield result
            calls.add(islice(source, 1))


def _result(function: Callable[[K], V], item: K) -> V | ApiError:
    """The result, or the error that is of this call alone; every other one is raised."""
    try:
        return function(item)
    except OF_ALL_CALLS:
        raise
    except ApiError as error:
        return error


def _size(result: object) -> int:
    return len(result.body) if isinstance(result, Answer) else 0
