"""Many calls at once, with results as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from ..errors import ApiError, AuthenticationError, RateLimitError, SilentServiceError

K = TypeVar("K")
V = TypeVar("V")
OF_ALL_CALLS = (AuthenticationError, RateLimitError, SilentServiceError)


def fan_out(function: Callable[[K], V], items: Iterable[K], *, workers: int) -> Iterator[tuple[K, V | ApiError]]:
    """What `XRayClient.fan_out` says, in so many threads."""
    source, done, waiting = iter(items), SimpleQueue[Future[V]](), dict[Future[V], K]()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="xray")

    def submit(count: int) -> None:
        for item in islice(source, count):
            future = pool.submit(function, item)
            waiting[future] = item
            future.add_done_callback(done.put)

    try:
        submit(2 * workers)
        while waiting:
            future = done.get()
            result = _result(future)
            yield waiting.pop(future), result
            submit(1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[V]) -> V | ApiError:
    error = future.exception()
    if isinstance(error, ApiError) and not isinstance(error, OF_ALL_CALLS):
        return error
    return future.result()
