"""A folder behind pyarrow's own interface for file systems, whose N-th call can be made to fail."""

from __future__ import annotations

import os
from typing import Any

from pyarrow import fs


class Shelf(fs.FileSystemHandler):
    """Passes every call on to a local folder; the call number `fails_at` raises, and with `forever` all after it."""

    def __init__(self, folder: os.PathLike[str]) -> None:
        self._inner = fs.SubTreeFileSystem(os.fspath(folder), fs.LocalFileSystem())
        self.calls, self.fails_at, self.forever = 0, 0, False

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.fails_at or (self.forever and 0 < self.fails_at < self.calls):
            raise OSError(5, "the shelf broke")

    def get_file_info(self, paths: list[str]) -> Any:
        return self._inner.get_file_info(paths)

    def get_file_info_selector(self, selector: fs.FileSelector) -> Any:
        self._count()
        return self._inner.get_file_info(selector)

    def open_input_stream(self, path: str) -> Any:
        self._count()
        return self._inner.open_input_stream(path)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        self._count()
        self._inner.create_dir(os.path.dirname(path), recursive=True)
        return self._inner.open_output_stream(path, metadata=metadata)

    def delete_file(self, path: str) -> None:
        self._count()
        self._inner.delete_file(path)

    def open_input_file(self, path: str) -> Any:
        return self._inner.open_input_file(path)

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError(path)

    def create_dir(self, path: str, recursive: bool) -> None:
        raise NotImplementedError(path)

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError(src, dest)

    def move(self, src: str, dest: str) -> None:
        raise NotImplementedError(src, dest)

    def delete_dir(self, path: str) -> None:
        raise NotImplementedError(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        raise NotImplementedError(path)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def get_type_name(self) -> str:
        return "shelf"

    def normalize_path(self, path: str) -> str:
        return path
