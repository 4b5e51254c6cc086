"""Chunks of payloads to tables: in this process, or in others beside it.

A process beside knows no store, so it takes every payload for the first version of its object. Whoever counts versions
is asked here, in the order of the payloads, and a chunk in which another answer came is tidied again with those
answers. Bodies travel there and not back. What comes out is the same either way.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue

import pyarrow as pa

from ..errors import InputError, XRayError
from ..tidy.arrow_tables import bytes_of
from ..tidy.batch import Outcome, Received, Tidied, VersionOf, tidy
from ..tidy.layout import Given, layouts_of
from ..tidy.transactions import Aliases

TidyChunk = Callable[[list[Received]], Tidied]
Done = tuple[list[Received], Tidied]
Packed = tuple[dict[str, bytes], list[Outcome]]  # each table as an Arrow stream


class Tidier:
    """Tidies chunk after chunk, in the order in which they come; a context, which other processes live as long as.

    Parameters
    ----------
    processes
        1 tidies here. With more there are so many beside this one, each of which needs about 200 MB and a second to
        start: worth it from about a thousand bank reports. They are started afresh, as `multiprocessing` calls
        *spawn*, so that a script that asks for them needs its ``if __name__ == "__main__":``.
    aliases, sources, layout
        As in `tidy`.

    Raises
    ------
    InputError
        `processes` is not at least 1.
    """

    def __init__(
        self,
        processes: int,
        *,
        aliases: Aliases | None = None,
        sources: Mapping[str, str] | None = None,
        layout: Given = None,
    ) -> None:
        if processes < 1:
            raise InputError(f"processes must be 1 or more, not {processes}: 1 tidies in this process")
        self._processes = processes
        self.layouts = layouts_of(layout, sources=sources, aliases=aliases)
        self._tidy = partial(tidy, layout=self.layouts)
        self._idle: SimpleQueue[_Beside] = SimpleQueue()
        self._asking: ThreadPoolExecutor | None = None

    def __enter__(self) -> Tidier:
        if self._processes > 1:  # at once, so that they start while the first payloads are fetched or read
            for _ in range(self._processes):
                self._idle.put(_Beside())
            self._asking = ThreadPoolExecutor(self._processes, thread_name_prefix="xray-tidy")
        return self

    def __exit__(self, *_: object) -> None:
        if self._asking is not None:
            self._asking.shutdown(cancel_futures=True)
            self._asking = None
        while not self._idle.empty():
            self._idle.get().end()

    def tidy(self, received: list[Received]) -> Tidied:
        """The tables of payloads that are nobody's newest version, in this process."""
        return self._tidy(received)

    def tidied(
        self, chunks: Iterable[list[Received]], version_of: VersionOf, restart: Callable[[], None] | None = None
    ) -> Iterator[Done]:
        """Each chunk and its tables; `version_of` and `restart` are called here, as `tidy` calls them.

        Raises
        ------
        XRayError
            A process beside this one ended early.
        """
        if self._asking is None:
            for chunk in chunks:
                yield chunk, self._tidy(chunk, version_of=version_of, restart=restart)
            return
        under_way: deque[tuple[list[Received], Future[Packed]]] = deque()
        for chunk in chunks:
            under_way.append((chunk, self._asking.submit(self._ask, chunk)))
            if len(under_way) > self._processes:
                yield self._finished(*under_way.popleft(), version_of)
        while under_way:
            yield self._finished(*under_way.popleft(), version_of)

    def _ask(self, chunk: list[Received]) -> Packed:
        beside = self._idle.get()
        try:
            return beside.tidied(chunk, self._tidy)
        finally:
            self._idle.put(beside)

    def _finished(self, chunk: list[Received], begun: Future[Packed], version_of: VersionOf) -> Done:
        found = _unpacked(begun.result())
        seen = found.tables["raw"].select(["kind", "object_id", "content_sha256"]).to_pydict().values()
        answers = [version_of(*one) for one in zip(*seen, strict=True)]
        if all(number == 1 for number in answers):
            return chunk, _with_bodies(found, chunk)
        return chunk, self._again(chunk, found, answers)

    def _again(self, chunk: list[Received], found: Tidied, answers: list[int | None]) -> Tidied:
        """The chunk with these versions; what was quarantined there stays so."""
        told, is_refused = iter(answers), [outcome.status == "quarantined" for outcome in found.outcomes]
        understood = [one for one, refused in zip(chunk, is_refused, strict=True) if not refused]
        again = self._tidy(understood, version_of=lambda *_: next(told))
        anew = iter(again.outcomes)
        outcomes = [old if refused else next(anew) for old, refused in zip(found.outcomes, is_refused, strict=True)]
        refusals = pa.concat_tables([found.tables["quarantine"], again.tables["quarantine"]])
        return Tidied({**again.tables, "quarantine": refusals}, outcomes)


class _Beside:
    """A process that tidies what it is sent; one pipe of its own, so that its end is noticed wherever it comes."""

    def __init__(self) -> None:
        spawn = get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def tidied(self, chunk: list[Received], tidy_chunk: TidyChunk) -> Packed:
        try:
            self._pipe.send((chunk, tidy_chunk))
            answer: Packed | Exception = self._pipe.recv()
        except (EOFError, OSError):
            raise XRayError(
                "a process that tidies ended early: for want of memory, or because the script that asked for it lacks "
                'its `if __name__ == "__main__":`; what was committed stays, so run it again with fewer, or with '
                "processes=1"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.join()


def _serve(pipe: Connection) -> None:
    """Tidy until the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    while True:
        try:
            chunk, tidy_chunk = pipe.recv()
        except EOFError:
            return
        try:
            answer: Packed | Exception = _without_bodies(tidy_chunk(chunk))
        except Exception as error:
            answer = error
        pipe.send(answer)


def _without_bodies(found: Tidied) -> Packed:
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
    bodies = bytes_of([one.body for one, outcome in pairs if outcome.status == "published"])
    return Tidied({**found.tables, "raw": _with(found.tables["raw"], bodies)}, found.outcomes)


def _with(raw: pa.Table, bodies: pa.Array | pa.ChunkedArray) -> pa.Table:
    at = raw.schema.get_field_index("body")
    return raw.set_column(at, raw.schema.field(at), bodies)
