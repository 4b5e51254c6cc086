"""Reports and requests kept as files: what can be read as an archive, how it is cut into payloads, and taken in.

A payload is one JSON document: a file of its own (``.json``), a line of NDJSON (``.ndjson``, ``.jsonl``), each of them
also compressed (``.gz``, ``.zst``) or inside a ``.zip``; or an element of a document that is a list, see `elements`.
What macOS puts beside files (``__MACOSX/``, ``._name``) is none. What cannot be read is a `Failed`, never an exception,
so that the rest of the archive goes on.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import msgspec
import pyarrow as pa

from .. import tables
from ..console import Progress
from ..errors import InputError, ReportError, listed
from ..settings import DEFAULT_SOURCES
from ..store import Store
from ..tidy.batch import Received, tidy
from ..tidy.decode import KEPT
from ..tidy.inspection import Inspection, inspect
from ..tidy.layout import Given
from .elements import elements, is_list
from .run import Intake, IntakeResult, taking

if TYPE_CHECKING:
    import pandas as pd

DOCUMENT, LINES = (".json",), (".ndjson", ".jsonl")
COMPRESSION = {".gz": "gzip", ".zst": "zstd"}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
MAX_BODY_BYTES = 64_000_000
STANDARD_INPUT = "-"
_STEP = 1 << 16
_LOOK = 1 << 20  # of a document, to see whether it is a list


@dataclass(frozen=True)
class Failed:
    """A payload that never arrived: where it should have come from, and the one sentence that says why."""

    origin: str
    message: str
    code: str = "unreadable"


def import_files(  # noqa: PLR0913
    paths: str | Path | Iterable[str | Path],
    store: Store,
    *,
    sources: Mapping[str, str] | None = None,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    layout: Given = None,
    quarantined: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
) -> IntakeResult:
    """Bring in report and request files: the same as `sync`, without the service.

    Parameters
    ----------
    paths
        One or several files or folders: JSON, NDJSON, ``.gz``, ``.zst``, ``.zip``; reports and requests, bare, in their
        envelope, or in lists. ``"-"`` is standard input: one document, or one on each line, also gzipped.
    store
        Where to; locked for the length of the run.
    sources, aliases
        Product -> the service's word, default the documented ones; transaction column -> member names to look for,
        replacing those of the layout.
    layout
        How payloads are read: a TOML file such as `xray fit` writes, its lines, or several of them; of several the
        first that reads a report and every transaction of it, else the first that reads it. Default the shipped one.
    quarantined
        Try payloads again that were quarantined before.
    processes
        How many tidy: 1 is this one; more are started beside it, each with about 200 MB, and are worth it from about
        a thousand bank reports. A script that asks for them needs its ``if __name__ == "__main__":``.
    progress
        Called with a stage, how many are done, and how many there are.

    Raises
    ------
    InputError
        A path does not exist, a folder holds no report files, or `processes` is less than 1.
    StoreError
        The store is locked, damaged or cannot be written.
    """
    chosen = find(paths)
    with taking(
        store,
        command="import",
        sources=sources or DEFAULT_SOURCES,
        aliases=aliases,
        layout=layout,
        processes=processes,
        retry=quarantined,
        undated=True,
        progress=progress,
    ) as intake:
        again = {path: name for path, name in chosen.items() if not _is_standard_input(path)}  # that is read once
        intake.look_ahead(lambda: payloads(again, fetched_at=intake.started_at))
        intake.take(_received(chosen, intake), stage="files")
        return intake.finish()


def find(paths: str | Path | Iterable[str | Path]) -> dict[Path, str]:
    """The files to read, in a fixed order, each with its path relative to what was named.

    Files are taken as named, of folders all report files below them. Where several paths are named, the name of the
    folder stands before.

    Raises
    ------
    InputError
        A path does not exist, or a folder holds no report file.
    """
    named = [Path(paths)] if isinstance(paths, str | Path) else list(map(Path, listed(paths, "paths")))
    files: dict[Path, str] = {}
    for path in named:
        below = [path] if path.is_file() or _is_standard_input(path) else _files_below(path)
        if not path.exists() and not _is_standard_input(path):
            raise InputError(f"{path} does not exist; name files or folders of report JSON")
        if not below:
            raise InputError(
                f"{path} holds no report files; looked for .json, .ndjson, .jsonl (also .gz, .zst) and .zip"
            )
        start = path if path.is_dir() and len(named) == 1 else path.parent
        files |= {file: file.relative_to(start).as_posix() for file in below if file not in files}
    return files


def _files_below(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if _is_known(path.relative_to(folder).as_posix()))
    return sorted(path for path in found if path.is_file())


def _is_standard_input(path: Path) -> bool:
    return str(path) == STANDARD_INPUT


def payloads(
    files: Mapping[Path, str], *, fetched_at: datetime, max_bytes: int = MAX_BODY_BYTES
) -> Iterator[Received | Failed]:
    """Every payload in the files, in order; `files` as `find` gives them.

    ``origin`` is the file's relative path, with the member of an archive, the line, or the JSON path in a list after a
    colon: ``march.zip:reports.ndjson:12``, ``export.json:$.reports[3]``.
    """
    for path, found in files.items():
        name = found.encode("utf-8", "replace").decode()  # a name of a file need be no text
        try:
            for origin, body in _bodies_in(path, name, max_bytes):
                if isinstance(body, bytes):
                    yield Received(body, fetched_at, origin)
                else:
                    yield Failed(origin, f"{origin} cannot be read ({_reason(body)}); the rest of its file was taken")
        except Exception as error:  # whatever its class: one file must not stop the others
            yield Failed(name, _why(path, error))


def _bodies_in(path: Path, origin: str, limit: int) -> Iterator[_Body]:
    if _is_standard_input(path):
        stream = getattr(sys.stdin, "buffer", None)
        if stream is None:
            raise ReportError("there is none here, as in a notebook", code="unreadable")
        yield from _standard_input(stream, limit)
        return
    # a document is read in one step, without a buffer between
    with path.open("rb", buffering=0 if path.name.lower().endswith(DOCUMENT) else -1) as stream:
        yield from _bodies(path.name, origin, stream, limit)


def read_report(
    path: str | Path, *, fetched_at: datetime | None = None, layout: Given = None
) -> dict[str, pd.DataFrame]:
    """The tables of one report file, without a store: table name -> frame, for every table of a report.

    Parameters
    ----------
    path
        A file with one payload: ``{"report": {...}}`` or a bare report, plain or compressed.
    fetched_at
        When the bytes were received [UTC]; default the file's modification time.
    layout
        As in `import_files`.

    Raises
    ------
    InputError
        The file does not exist, cannot be read, or holds more than one payload.
    ReportError
        The report is not as documented; the message names the JSON path.
    """
    tidied = tidy([_only(path, fetched_at)], layout=layout)
    error = tidied.outcomes[0].error
    if error is not None:
        raise _in_file(path, error)
    return {t.name: t.to_pandas(tidied.tables[t.name]) for t in (*tables.REPORT_TABLES, *tables.REQUEST_TABLES)}


def inspect_file(
    path: str | Path, *, aliases: Mapping[str, tuple[str, ...]] | None = None, layout: Given = None
) -> Inspection:
    """What of one report file's transactions is recognised, and the settings lines that would map the rest.

    Raises
    ------
    InputError
        As in `read_report`.
    ReportError
        The file cannot be decoded.
    """
    try:
        return inspect([_only(path)], aliases=aliases, layout=layout)
    except ReportError as error:
        said = _in_file(path, error)
    raise said  # out here, as its context would carry frames that hold the report


def _received(paths: Mapping[Path, str], intake: Intake) -> Iterator[Received]:
    for payload in payloads(paths, fetched_at=intake.started_at):
        intake.totals["n_listed"] += 1
        if isinstance(payload, Failed):
            intake.totals["n_failed"] += 1
            intake.issue(payload.code, payload.origin, payload.message)
        else:
            yield payload


def _only(path: str | Path, fetched_at: datetime | None = None) -> Received:
    file, name = next(iter(find([path]).items()))
    modified_at = None if _is_standard_input(file) else datetime.fromtimestamp(file.stat().st_mtime, UTC)
    found = list(payloads({file: name}, fetched_at=fetched_at or modified_at or datetime.now(UTC)))
    if len(found) != 1:
        raise InputError(f"{path} holds {len(found)} payloads; `xray import` takes many, this takes one")
    if isinstance(found[0], Failed):
        raise InputError(found[0].message)
    return found[0]


def _in_file(path: str | Path, error: ReportError) -> ReportError:
    """The error of a payload that is kept nowhere but in its file."""
    problem = str(error).removesuffix(KEPT)
    return ReportError(f"{path}: {problem}", code=error.code, json_path=error.json_path, report_id=error.report_id)


_Body = tuple[str, bytes | Exception]  # where it stands, and it or why it cannot be read


def _is_known(name: str) -> bool:
    path = PurePosixPath(name)
    if "__MACOSX" in path.parts or path.name.startswith("._"):
        return False
    stem, dot, last = path.name.lower().rpartition(".")
    if f".{last}" in COMPRESSION:
        last = stem.rpartition(".")[2]
    return bool(dot) and f".{last}" in (*DOCUMENT, *LINES, ".zip")


def _bodies(name: str, origin: str, stream: IO[bytes], limit: int) -> Iterator[_Body]:
    stem, _, last = name.lower().rpartition(".")
    if last == "zip":
        yield from _zip_members(origin, stream, limit)
    elif f".{last}" in COMPRESSION:
        with _decompressed(stream, COMPRESSION[f".{last}"]) as plain:
            yield from _bodies(stem, origin, plain, limit)
    elif f".{last}" in LINES:
        yield from _lines(origin, stream, limit)
    else:
        yield from _document(origin, stream, limit)


@contextmanager
def _decompressed(stream: IO[bytes], how: str) -> Iterator[IO[bytes]]:
    with pa.CompressedInputStream(stream, how) as plain:
        yield io.BufferedReader(_Raw(plain))


def _standard_input(stream: IO[bytes], limit: int) -> Iterator[_Body]:
    """One document, or one on each line, as the first line tells; gzip and zstd by their first bytes."""
    first = stream.readline(limit + 1)
    how = next((how for magic, how in _MAGIC.items() if first.startswith(magic)), None)
    joined = io.BufferedReader(_Joined(first, stream))
    if how is not None:
        with _decompressed(joined, how) as plain:
            yield from _standard_input(plain, limit)
    else:
        yield from (_lines if _is_whole(first) else _document)(STANDARD_INPUT, joined, limit)


def _is_whole(line: bytes) -> bool:
    """Whether a line is a JSON text by itself."""
    try:
        msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"), type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _zip_members(origin: str, stream: IO[bytes], limit: int) -> Iterator[_Body]:
    with zipfile.ZipFile(stream) as archive:
        # not by their names: two members may have the same one
        known = sorted((one for one in archive.infolist() if _is_known(one.filename)), key=attrgetter("filename"))
        if not known:
            raise ReportError("no report file is in it", code="empty")
        for member in known:
            try:
                with archive.open(member) as plain:
                    yield from _bodies(member.filename, f"{origin}:{member.filename}", plain, limit)
            except Exception as error:  # as above: nor one member the others
                yield f"{origin}:{member.filename}", error


def _lines(origin: str, stream: IO[bytes], limit: int) -> Iterator[_Body]:
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit and not line.endswith(b"\n"):
            while (rest := stream.readline(_STEP)) and not rest.endswith(b"\n"):
                pass
            yield f"{origin}:{number}", _too_large(limit)
        elif body := line.strip():
            yield from _taken_apart(f"{origin}:{number}", body, (), limit)


def _document(origin: str, stream: IO[bytes], limit: int) -> Iterator[_Body]:
    """A payload, or those of a list, which may be larger than one may be."""
    head = stream.read(min(_size(stream), limit, _LOOK) + 1)
    if is_list(head):
        yield from _taken_apart(origin, head, iter(lambda: stream.read(_LOOK), b""), limit)
    else:
        yield from _taken_apart(origin, _read_capped(head, stream, limit), (), limit)


def _taken_apart(origin: str, head: bytes, rest: Iterable[bytes], limit: int) -> Iterator[_Body]:
    if is_list(head):
        yield from ((f"{origin}:{place}", body) for place, body in elements(chain([head], rest), limit))
    else:
        yield origin, head


def _read_capped(head: bytes, stream: IO[bytes], limit: int) -> bytes:
    """All of a stream, in steps: asking for the cap at once would set aside as much memory for every small file."""
    steps = [head]
    while steps[-1] and sum(map(len, steps)) <= limit:
        steps.append(stream.read(min(max(_size(stream) - len(head), _STEP), limit)))
    return _capped(b"".join(steps), limit)


def _size(stream: IO[bytes]) -> int:
    """How long a file is; for a stream that is none, a step."""
    try:
        return os.fstat(stream.fileno()).st_size
    except OSError:
        return _STEP


def _capped(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> ReportError:
    return ReportError(f"larger than {limit:,} bytes, the cap for one report", code="too_large")


def _why(path: Path, error: Exception) -> str:
    return (
        f"{path} cannot be read to its end ({_reason(error)}); nothing after that point was taken, copy the file again"
    )


def _reason(error: Exception) -> str:
    # Of what the libraries say, only what is known to quote no content: the system, and Arrow of a compressed stream.
    said = getattr(error, "strerror", None) or (str(error) if isinstance(error, (ReportError, OSError)) else "")
    return said or type(error).__name__


class _Joined(io.RawIOBase):
    """What was read of a stream already, and then the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Raw(io.RawIOBase):
    """An Arrow stream with the reading side of Python's own files, so that lines can be read from it."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
