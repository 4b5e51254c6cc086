"""Safe file writing: the only place that changes files, the store's and those for people alike.

A file is created under a name of its own, complete and fsynced, and then given its name in one step, which either
replaces what was there or refuses. Directories are 0700 and files 0600; nothing is overwritten in place and no link is
followed. Each change is one call of `os`, so that a test can let every one of them fail in turn.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from .errors import InputError, StoreError

PROBE_BYTES = 1_000_000  # enough to notice a full disk, too little to be noticed
_WITHOUT_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # what a memory stick says to `os.link`

# What POSIX has to refuse links with, and Windows to leave bytes as they are.
_CAREFULLY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))


def save(
    content: str | bytes,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    instead: str = "choose another name, or --force to replace it",
) -> Path:
    """Write text (UTF-8) or bytes to a file that only its owner can read: whole, or not at all.

    Parameters
    ----------
    overwrite
        Replace a file of that name; otherwise it is refused.
    instead
        What to do then, as the end of the sentence.

    Raises
    ------
    InputError
        The file exists and `overwrite` is not set, or it cannot be written.
    """
    path = Path(path)
    try:
        place(content if isinstance(content, bytes) else content.encode(), path, overwrite=overwrite)
    except FileExistsError:
        raise InputError(f"{path} exists already; {instead}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; name another file") from None
    return path


def place(data: bytes, path: Path, *, overwrite: bool = False) -> None:
    """The file under its name in one step, and on the disk with its name: `FileExistsError` where that is taken."""
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    staged = path.parent / f".xray-{secrets.token_hex(8)}.part"
    try:
        create(staged, data)
        (move if overwrite else _publish_anywhere)(staged, path)
    finally:
        with suppress(FileNotFoundError):
            remove(staged)
    sync_directory(path.parent)


def _publish_anywhere(source: Path, target: Path) -> None:
    """`publish`, also where there are no hard links: there the name is taken first, and then filled in one step."""
    try:
        publish(source, target)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        create(target, b"")
        move(source, target)


def make_tree(root: Path, folders: tuple[str, ...]) -> None:
    """The store's folder, which may be a link to a larger disk, and the folders in it, which may not."""
    os.makedirs(root.parent, exist_ok=True)
    if not root.is_dir():
        make_directory(root)
    for name in folders:
        make_directory(root / name)


def make_directory(path: Path) -> None:
    """The directory, private to its owner; one that is there already is left as it is."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        return
    sync_directory(path.parent)


def create(path: Path, data: bytes | memoryview) -> None:
    """A new file, complete and fsynced; `FileExistsError` where the name is taken, by a link as well."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folders(path: Path, *, is_shared: bool = False) -> None:
    """A folder and those above it that are missing, as `set_rights` has them; those that are there stay as they are."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        make_directory(folder)
        set_rights(folder, is_shared=is_shared)


def set_rights(path: Path, *, is_shared: bool = False) -> None:
    """Let a file or folder be read by its owner alone, or by its group as well, whatever the umask."""
    seen = os.stat(path).st_mode
    wanted = (0o750 if is_shared else 0o700) if stat.S_ISDIR(seen) else 0o640 if is_shared else 0o600
    if seen & 0o777 != wanted:
        os.chmod(path, wanted | seen & stat.S_ISGID)  # which hands the group down to what is in a folder


def claim(path: Path) -> None:
    """An empty file, private from its first moment on; one that is there already is left as it is."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | _CAREFULLY, 0o600))


def move(source: Path, target: Path) -> None:
    """Rename within the store, in one step."""
    os.replace(source, target)


def publish(source: Path, target: Path) -> None:
    """Give the file its final name, which must not exist yet: `FileExistsError` where it does."""
    os.link(source, target)


def exchange(staged: Path, folder: Path) -> None:
    """The new folder under the name; one that was there is moved aside first and comes back if that fails."""
    aside = staged.with_name(f"{staged.name}-before")
    was_there = folder.exists()
    if was_there:
        os.rename(folder, aside)
    try:
        os.rename(staged, folder)
    except OSError:
        if was_there:
            os.rename(aside, folder)
        raise
    sync_directory(folder.parent)
    if was_there:
        shutil.rmtree(aside)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure; where a directory cannot be opened, as on Windows, not."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove one file."""
    os.unlink(path)


def empty(directory: Path, *, keep: Collection[str] = ()) -> None:
    """Remove every other file of a directory: what a writer that was killed left in staging."""
    for entry in sorted(set(os.listdir(directory)) - set(keep)):
        remove(directory / entry)


def probe(directory: Path) -> None:
    """Fail now, before anything was fetched, where files cannot be written, synced or linked."""
    first, second = directory / "probe", directory / "probe-link"
    create(first, bytes(PROBE_BYTES))
    publish(first, second)
    empty(directory)


def lock(path: Path) -> int:
    """Take the lock file, for `unlock`; the kernel releases it with the process, however that ends.

    Its first line is the process, its second the number that `unlock` last recorded, its third the check of both:
    see `recorded`.

    Raises
    ------
    StoreError
        Another writer holds it; the message names its process.
    """
    import fcntl  # noqa: PLC0415 - POSIX only; reading works without

    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _record(handle, recorded(path))
    except BlockingIOError:
        holder = os.read(handle, 20).decode("ascii", "replace").partition("\n")[0] or "unknown"
        os.close(handle)
        raise StoreError(
            f"store {path.parent} is locked: process {holder} is writing to it; wait for its end, or end it"
        ) from None
    except BaseException:
        os.close(handle)
        raise
    return handle


def unlock(handle: int, number: int | None = None) -> None:
    """Give the lock back, and record a commit that is published; the file stays, or two writers could get in."""
    try:
        if number is not None:
            with suppress(OSError):  # a record that is missing accuses nobody
                _record(handle, number)
    finally:
        os.close(handle)


def recorded(path: Path) -> int:
    """The highest commit known to have been published; 0 where the lock file does not say, or not whole.

    Written after publishing, and cut short by a crash it says nothing: it is never above the truth.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return 0
    is_whole = len(lines) == 4 and lines[1].isdigit() and lines[2] == _check(b"\n".join(lines[:2]))
    return int(lines[1]) if is_whole else 0


def is_lock(data: bytes) -> bool:
    """Whether these bytes are a lock file, or one that a crash cut short."""
    lines = data.split(b"\n")
    if len(lines) == 4 and _LOCK.fullmatch(data):
        return lines[2] == _check(b"\n".join(lines[:2]))
    return _CUT_SHORT.fullmatch(data) is not None


_LOCK = re.compile(rb"\d+\n\d+\n[0-9a-f]{8}\n")
_CUT_SHORT = re.compile(rb"\d*|\d+\n\d*|\d+\n\d+\n[0-9a-f]{0,8}")


def _check(said: bytes) -> bytes:
    return hashlib.sha256(said).hexdigest()[:8].encode()


def _record(handle: int, number: int) -> None:
    said = b"%d\n%d" % (os.getpid(), number)
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, b"%s\n%s\n" % (said, _check(said)))


@contextmanager
def changing(root: Path, needed: int = 0) -> Iterator[None]:
    """Errors of the file system as `StoreError`; `needed` is what the step writes [bytes]."""
    try:
        yield
    except OSError as error:
        raise StoreError(_explain(error, root, needed)) from error


def _explain(error: OSError, root: Path, needed: int) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(root).free if root.exists() else 0
        asked = f"{needed:,} bytes needed, " if needed else ""
        return f"store {root}: the disk is full ({asked}{free:,} free); nothing was committed, make room"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"store {root} cannot be written ({error.strerror}): check its owner and mode; reading still works"
    if not root.is_dir():
        return f"store {root} cannot be made ({error.strerror}); --store names another folder"
    where = os.path.basename(str(error.filename or root))
    return f"store {root}: {error.strerror or error} at {where}; nothing was committed, run the command again"


def digest(path: Path) -> str:
    """SHA-256 of a file, computed once per process for the same path, inode, size and time of change.

    Raises
    ------
    OSError
        The file is missing or cannot be read.
    """
    seen = os.stat(path)
    return _digest(path, seen.st_ino, seen.st_size, seen.st_mtime_ns)


def digest_now(path: Path) -> str:
    """SHA-256 of a file as it is at this moment."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _digest(path: Path, inode: int, size: int, changed_ns: int) -> str:
    return digest_now(path)
