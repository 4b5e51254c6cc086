"""What a power cut leaves: bytes that no fsync made safe are gone, names that no directory's fsync made safe may be.

Every call of `os` that changes the store during one commit is recorded. For each prefix of that record the disk is
rebuilt as it may look after the power came back, in the worst ways a file system is allowed; the store is then old or
new, whole, and takes the next commit. Once the commit has said that it is done, it is new, whatever was lost.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from test_store import BATCHES, check_outcome, put

from xray_analytics import files
from xray_analytics.store import Store

Figure = Callable[[str, object], None]
CALLS = ("mkdir", "open", "write", "fsync", "replace", "link", "unlink", "ftruncate")
LOSSES = ("names and bytes", "bytes", "bytes, not their length")


@dataclass
class Inode:
    """A file: what was written, and what of it is safe."""

    written: bytes = b""
    safe: bytes = b""


@dataclass
class Disk:
    """Names and files below a folder, as they are seen and as they would survive; None is a directory."""

    names: dict[Path, Inode | None]
    safe_names: dict[Path, Inode | None] = field(default_factory=dict)
    handles: dict[int, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> "Disk":
        """All that is there is safe."""
        found = {p: None if p.is_dir() else Inode(p.read_bytes(), p.read_bytes()) for p in sorted(root.rglob("*"))}
        return cls(found, dict(found))

    def do(self, name: str, *arguments: object) -> None:
        """One call of `os`, as recorded."""
        getattr(self, f"_{name}")(*arguments)

    def survivors(self, loss: str) -> dict[Path, bytes | None]:
        """What is there when the power is back."""
        names = self.safe_names if loss == "names and bytes" else self.names
        zeros = loss == "bytes, not their length"
        return {path: None if inode is None else _kept(inode, zeros) for path, inode in names.items()}

    def _mkdir(self, path: Path) -> None:
        self.names[path] = None

    def _open(self, path: Path, handle: int) -> None:
        self.handles[handle] = path
        self.names.setdefault(path, Inode())

    def _write(self, handle: int, data: bytes) -> None:
        inode = self._inode(handle)
        inode.written += data

    def _ftruncate(self, handle: int, length: int) -> None:
        inode = self._inode(handle)
        inode.written = inode.written[:length]

    def _fsync(self, handle: int) -> None:
        path = self.handles[handle]
        inode = self.names.get(path)
        if inode is not None:
            inode.safe = inode.written
            return
        for known in {*self.names, *self.safe_names}:
            if known.parent == path:
                if known in self.names:
                    self.safe_names[known] = self.names[known]
                else:
                    del self.safe_names[known]

    def _replace(self, source: Path, target: Path) -> None:
        self.names[target] = self.names.pop(source)

    def _link(self, source: Path, target: Path) -> None:
        self.names[target] = self.names[source]

    def _unlink(self, path: Path) -> None:
        del self.names[path]

    def _inode(self, handle: int) -> Inode:
        inode = self.names[self.handles[handle]]
        assert inode is not None
        return inode


def _kept(inode: Inode, zeros: bool) -> bytes:
    n = len(inode.written)
    return inode.safe[:n].ljust(n, b"\0") if zeros else inode.safe


class RecordingOs:
    """The module `os`, which writes down every changing call that succeeded."""

    def __init__(self) -> None:
        self.record: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> object:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*arguments, **options):
            given = real(*arguments, **options)
            if name == "open":
                arguments = arguments[0], given
            elif name == "write":
                arguments = arguments[0], bytes(arguments[1])[:given]
            self.record.append((name, *(arguments[:1] if name == "mkdir" else arguments)))
            return given

        return call


@pytest.mark.parametrize("loss", LOSSES)
def test_power_cut__at_any_call_the_store_is_old_or_new_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Figure, loss: str
) -> None:
    old, new = (put(Store(tmp_path / "sound"), **batch) for batch in BATCHES)
    root, recording = tmp_path / "store", RecordingOs()
    put(Store(root), **BATCHES[0])
    disk = Disk.of(root)
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", recording)
        put(Store(root), **BATCHES[1])
    outcomes = []
    for call in [None, *recording.record]:
        if call is not None:
            disk.do(*call)
        shutil.rmtree(root)
        restore(root, disk.survivors(loss))
        outcomes.append(check_outcome(Store(root), "killed", old, new))
    assert (outcomes[0], outcomes[-1]) == (1, 2)
    if loss == "names and bytes":
        assert outcomes == sorted(outcomes)
    figure(f"power cut, losing {loss}", f"{len(outcomes)} points, each old or new and whole")


def restore(root: Path, found: dict[Path, bytes | None]) -> None:
    root.mkdir(mode=0o700)
    for path, data in sorted(found.items()):
        if data is None:
            path.mkdir(mode=0o700)
        else:
            path.write_bytes(data)


@pytest.mark.parametrize("left_out", ["file", "directory"])
def test_control__a_commit_without_its_fsyncs_is_condemned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    """The same search finds a store that is torn or a commit that is lost, or it proves nothing."""
    root, recording = tmp_path / "store", RecordingOs()
    put(Store(root), **BATCHES[0])
    disk = Disk.of(root)
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", recording)
        put(Store(root), **BATCHES[1])
    for name, *arguments in recording.record:
        is_directory = name == "fsync" and disk.names.get(disk.handles[arguments[0]]) is None
        if name != "fsync" or is_directory != (left_out == "directory"):
            disk.do(name, *arguments)
    shutil.rmtree(root)
    restore(root, disk.survivors("bytes" if left_out == "file" else "names and bytes"))
    head = None
    try:
        head = Store(root).head
        is_sound = Store(root).verify() == []
    except Exception:
        is_sound = False
    assert not is_sound or head is None or head.number == 1
