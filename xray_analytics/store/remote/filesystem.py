"""A folder on any file system that pyarrow knows: S3, Google Cloud Storage, Azure, HDFS, or a local one.

The only module of the store that asks `pyarrow.fs`. A file appears under its name when it is complete, or not at all:
object stores show what was written when the writer closes it, and a local file is written beside its name and moved.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from ... import files
from ...errors import InputError, StoreError
from ...grammar import addresses

_SPARK_SCHEMES = {"s3": "s3a"}
_AWS_CODE = re.compile(r"AWS Error ([A-Z_]+)|\[code: (\w+)|HTTP status (\d+)")


@dataclass(frozen=True)
class Place:
    """A prefix of a bucket, or a folder; `name`s are relative to it, with slashes."""

    url: str
    filesystem: fs.FileSystem = field(repr=False)
    path: str = field(repr=False)
    is_shared: bool = False  # in a folder of this machine: may its group read what is put there?

    def put(self, name: str, data: pa.Buffer | bytes) -> None:
        """A whole file under that name, in place of one that is there."""
        target = f"{self.path}/{name}"
        with self._asking(name):
            if not isinstance(self.filesystem, fs.LocalFileSystem):
                self._write(target, data)
                return
            staged = Path(f"{target}.{os.getpid()}.part")
            files.make_folders(staged.parent, is_shared=self.is_shared)
            staged.unlink(missing_ok=True)
            files.create(staged, memoryview(data))
            files.set_rights(staged, is_shared=self.is_shared)
            files.move(staged, Path(target))

    def set_rights(self, *folders: str) -> None:
        """Give these folders, and the files that are there already, the rights of those put there now.

        Those of another owner keep theirs.
        """
        if not isinstance(self.filesystem, fs.LocalFileSystem):
            return
        root = Path(self.path)
        paths = {root / name for folder in folders for name in self.sizes(folder)}
        above = {folder for path in paths for folder in path.parents if root in folder.parents}
        for path in (*sorted(above), *sorted(paths)):
            with suppress(PermissionError, FileNotFoundError):
                files.set_rights(path, is_shared=self.is_shared)

    def get(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        with self._asking(name):
            try:
                with self.filesystem.open_input_stream(f"{self.path}/{name}") as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Name and size [bytes] of every file below a folder; nothing where there is no such folder."""
        return {name: info.size for name, info in self._files(folder)}

    def left_over(self, seconds: float) -> list[str]:
        """Files that were never completed: those of a process that ended, and so older than that."""
        found = self._files("") if isinstance(self.filesystem, fs.LocalFileSystem) else ()
        oldest = time.time() - seconds
        return [name for name, info in found if name.endswith(".part") and (info.mtime_ns or 0) < oldest * 10**9]

    def _files(self, folder: str) -> list[tuple[str, fs.FileInfo]]:
        where = f"{self.path}/{folder}" if folder else self.path
        with self._asking(folder):
            found = self.filesystem.get_file_info(fs.FileSelector(where, recursive=True, allow_not_found=True))
        return [(info.path[len(self.path) + 1 :], info) for info in found if info.type == fs.FileType.File]

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with self._asking(name), suppress(FileNotFoundError):
            self.filesystem.delete_file(f"{self.path}/{name}")

    def spark_url(self, name: str) -> str:
        """The file as Spark's own readers name it."""
        scheme = self.url.partition("://")[0] if "://" in self.url else "file"
        return f"{_SPARK_SCHEMES.get(scheme, scheme)}://{self.path}/{name}"

    def _write(self, target: str, data: pa.Buffer | bytes) -> None:
        with self.filesystem.open_output_stream(target) as stream:
            stream.write(data)

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """Errors of the file system as `StoreError`, without what its service says in full."""
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"{self.url}/{name} cannot be read or written ({_why(error)}); check the name, the rights and the "
                "connection, and run the command again: what was there before stays readable"
            ) from None


def place(url: str | os.PathLike[str], filesystem: fs.FileSystem | None = None, *, is_shared: bool = False) -> Place:
    """The folder of a URL such as ``s3://bucket/prefix``, or of a path; with `filesystem` the path inside it.

    What is put into a folder of this machine is its owner's alone, and with `is_shared` its group's to read.

    Raises
    ------
    InputError
        The URL holds a user or password, has no folder, is of no file system that pyarrow knows, or would pass for a
        folder of this machine: ``s3:/bucket``.

    Examples
    --------
    >>> place("/data/lake/").url
    '/data/lake'
    >>> place("s3://key:secret@bucket/lake")
    Traceback (most recent call last):
    xray_analytics.errors.InputError: a URL with a user or password ends up in logs; leave them out and set them \
in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    """
    text = os.fspath(url)
    is_url = addresses.is_meant_as_url(text)
    if not is_url:
        addresses.check_path(text)
    full, shown = addresses.place(text) if is_url else (text, text.rstrip("/"))
    if filesystem is not None:
        return Place(shown, filesystem, shown, is_shared)
    if not is_url:
        return Place(shown, fs.LocalFileSystem(), os.path.abspath(text), is_shared)
    try:
        found, path = fs.FileSystem.from_uri(full)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{shown} is no place that pyarrow can open ({_why(error)}); s3://bucket/prefix is") from None
    if not path.strip("/"):
        raise InputError(f"{shown} names no folder; write one such as s3://bucket/prefix")
    if not shown.endswith(path.strip("/")):
        raise InputError(f"{shown} is read in another way by pyarrow; write s3://bucket/prefix with plain characters")
    return Place(shown, found, path.rstrip("/"), is_shared)


def _why(error: BaseException) -> str:
    """The service's own code where it gives one, else the system's word; never its whole answer."""
    code = _AWS_CODE.search(str(error))
    if code:
        return str(next(filter(None, code.groups())))
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else type(error).__name__
