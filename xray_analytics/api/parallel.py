"""Many calls at once, with results as they arrive, and never more of them waiting than there is room for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Generic, TypeVar

from ..errors import ApiError, AuthenticationError, RateLimitError, SilentServiceError

K = TypeVar("K")
V = TypeVar("V")
OF_ALL_CALLS = (AuthenticationError, RateLimitError, SilentServiceError)
ROOM_BYTES = 24_000_000  # of results that wait: at 50 ms a call, 0.4 s in which the consumer may do something else


def fan_out(
    function: Callable[[K], V],
    items: Iterable[K],
    *,
    workers: int,
    ahead: int = 2,
    size: Callable[[V], int] = lambda result: 0,
) -> Iterator[tuple[K, V | ApiError]]:
    """What `XRayClient.fan_out` says, in so many threads.

    At most `ahead` times as many items as workers are under way or wait; and once `ROOM_BYTES` of results wait, whose
    `size` says what they weigh, no call begins until some are consumed.
    """
    source, calls = iter(items), _Calls(function, workers, size)
    try:
        n_under_way = calls.add(islice(source, ahead * workers))
        while n_under_way:
            yield calls.result()
            n_under_way += calls.add(islice(source, 1)) - 1
    finally:
        calls.close()


class _Calls(Generic[K, V]):
    """Calls in so many threads; none begins while results of `ROOM_BYTES` wait for the consumer."""

    def __init__(self, function: Callable[[K], V], workers: int, size: Callable[[V], int]) -> None:
        self._function, self._workers, self._size = function, workers, size
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="xray")
        self._done = SimpleQueue[tuple[K, V | ApiError, int] | BaseException]()
        self._lock, self._next = threading.Lock(), deque[K]()
        self._n_running = self._waiting_bytes = 0
        self._is_closed = False

    def add(self, items: Iterable[K]) -> int:
        """Have these called as well, in their turn; how many they are."""
        taken = list(items)
        with self._lock:
            self._next.extend(taken)
            self._begin()
        return len(taken)

    def result(self) -> tuple[K, V | ApiError]:
        """The next item that is done, and its result; an error that ends everything is raised."""
        arrived = self._done.get()
        if isinstance(arrived, BaseException):
            try:
                raise arrived
            finally:
                del arrived  # its traceback would keep it alive, and all that waits with it
        item, result, size = arrived
        with self._lock:
            self._waiting_bytes -= size
            self._begin()
        return item, result

    def close(self) -> None:
        """Begin no more."""
        with self._lock:
            self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        if self._is_closed:
            return
        while self._next and self._n_running < self._workers and self._waiting_bytes < ROOM_BYTES:
            self._n_running += 1
            self._pool.submit(self._call, self._next.popleft())

    def _call(self, item: K) -> None:
        size = 0
        try:
            result = _result(self._function, item)
            size = 0 if isinstance(result, ApiError) else self._size(result)
            self._done.put((item, result, size))
        except BaseException as error:  # the consumer raises it
            self._done.put(error)
            self.close()
        with self._lock:
            self._n_running -= 1
            self._waiting_bytes += size
            self._begin()


def _result(function: Callable[[K], V], item: K) -> V | ApiError:
    """The result, or the error that is of this call alone; every other one is raised."""
    try:
        return function(item)
    except OF_ALL_CALLS:
        raise
    except ApiError as error:
        return error
