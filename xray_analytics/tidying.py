"""Chunks of payloads to tables: in this process, or in others beside it.

A process beside knows no store, so it takes every payload for the first version of its object. Whoever counts versions
is asked here, in the order of the payloads, and a chunk in which another answer came is tidied again with those
answers. Bodies travel there and not back. What comes out is the same either way.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context

import pyarrow as pa

from .errors import InputError, XRayError
from .tidy.batch import Outcome, Received, Tidied, VersionOf, tidy

Aliases = Mapping[str, tuple[str, ...]]
Done = tuple[list[Received], Tidied]
Packed = tuple[dict[str, bytes], list[Outcome]]  # each table as an Arrow stream


class Tidier:
    """Tidies chunk after chunk, in the order in which they come; close it, or use it as a context.

    Parameters
    ----------
    processes
        1 tidies here. With more there are so many beside this one, each of which needs about 200 MB and a second to
        start: worth it from about a thousand bank reports. They are started afresh, as `multiprocessing` calls
        *spawn*, so that a script that asks for them needs its ``if __name__ == "__main__":``.
    aliases, sources
        As in `tidy`.

    Raises
    ------
    InputError
        `processes` is not at least 1.
    """

    def __init__(self, processes: int, *, aliases: Aliases, sources: Mapping[str, str]) -> None:
        if processes < 1:
            raise InputError(f"processes must be 1 or more, not {processes}: 1 tidies in this process")
        self._processes = processes
        self._tidy = partial(tidy, aliases=aliases, sources=sources)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Tidier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the other processes; what they were at is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def tidied(self, chunks: Iterable[list[Received]], version_of: VersionOf) -> Iterator[Done]:
        """Each chunk and its tables; `version_of` is called here, as `tidy` calls it.

        Raises
        ------
        XRayError
            A process beside this one was killed.
        """
        if self._processes == 1:
            for chunk in chunks:
                yield chunk, self._tidy(chunk, version_of=version_of)
            return
        under_way: deque[tuple[list[Received], Future[Packed]]] = deque()
        for chunk in chunks:
            under_way.append((chunk, self._begin(chunk)))
            if len(under_way) > self._processes:
                yield self._finished(*under_way.popleft(), version_of)
        while under_way:
            yield self._finished(*under_way.popleft(), version_of)

    def _begin(self, chunk: list[Received]) -> Future[Packed]:
        if self._pool is None:  # not before there is something to do
            self._pool = ProcessPoolExecutor(self._processes, get_context("spawn"), _leave_ctrl_c_to_the_parent)
        return self._pool.submit(_tidied_beside, chunk, self._tidy)

    def _finished(self, chunk: list[Received], begun: Future[Packed], version_of: VersionOf) -> Done:
        try:
            found = _unpacked(begun.result())
        except BrokenProcessPool:
            raise XRayError(
                f"one of {self._processes} processes that tidy ended early: for want of memory, or because the script "
                'that started it lacks its `if __name__ == "__main__":`; what was committed stays, so run it again '
                "with fewer, or with processes=1"
            ) from None
        seen = found.tables["raw"].select(["kind", "object_id", "content_sha256"]).to_pydict().values()
        answers = [version_of(*one) for one in zip(*seen, strict=True)]
        if all(number == 1 for number in answers):
            return chunk, _with_bodies(found, chunk)
        told = iter(answers)
        return chunk, self._tidy(chunk, version_of=lambda *_: next(told))


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _tidied_beside(chunk: list[Received], tidy_chunk: Callable[[list[Received]], Tidied]) -> Packed:
    found = tidy_chunk(chunk)
    raw = found.tables["raw"]
    sent = {**found.tables, "raw": _with(raw, pa.nulls(raw.num_rows, pa.binary()))}
    return {name: _packed(data) for name, data in sent.items()}, found.outcomes


def _packed(data: pa.Table) -> bytes:
    """As an Arrow stream, which costs a third of a pickle."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as stream:
        stream.write_table(data)
    return bytes(sink.getvalue())


def _unpacked(packed: Packed) -> Tidied:
    streams, outcomes = packed
    return Tidied({name: pa.ipc.open_stream(data).read_all() for name, data in streams.items()}, outcomes)


def _with_bodies(found: Tidied, chunk: list[Received]) -> Tidied:
    pairs = zip(chunk, found.outcomes, strict=True)
    bodies = pa.array([one.body for one, outcome in pairs if outcome.status == "published"], pa.binary())
    return Tidied({**found.tables, "raw": _with(found.tables["raw"], bodies)}, found.outcomes)


def _with(raw: pa.Table, bodies: pa.Array) -> pa.Table:
    at = raw.schema.get_field_index("body")
    return raw.set_column(at, raw.schema.field(at), bodies)
