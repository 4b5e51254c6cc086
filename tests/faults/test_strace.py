"""The kernel fails the k-th system call of a small import: old or new, and the same store after the next run.

The counterpart of the sweeps through `files.py`: nothing between Python and the disk is taken on trust. Only
the main thread is traced, which is the one that writes; calls are counted by kind, as strace does.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from xray_analytics import Store, import_files

from .service import BANKS, REQUESTS, bank

CALLS = "write,fsync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate"
PDF = b"%PDF-1.7\n%%EOF\n"
PROGRAM = """
import sys
from xray_analytics import Store, import_files
from xray_analytics.errors import StoreError

try:
    store = Store(sys.argv[2])
    import_files([sys.argv[1]], store)
    store.add_document(sys.argv[3], b"%PDF-1.7\\n%%EOF\\n")
except StoreError as error:
    sys.exit(error.exit_code)
"""


@cache
def can_trace() -> bool:
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-qq", "-o", os.devnull, "true"], check=False).returncode == 0


pytestmark = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace a child")


def write(folder: Path, **risk_classes: int) -> Path:
    folder.mkdir(parents=True)
    for n, (report_id, request_id) in enumerate(zip(BANKS[:3], REQUESTS, strict=False)):
        body = bank(report_id, request_id, riskClass=risk_classes.get(f"of_{n}", 4))
        (folder / f"{n}.json").write_text(json.dumps(body))
    return folder


def traced(root: Path, folder: Path, *options: str) -> int:
    """Run the import under strace; its exit status, negative for a signal."""
    program = [sys.executable, "-c", PROGRAM, str(folder), str(root), BANKS[0]]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = ["strace", "-qq", "-e", f"trace={CALLS}", *options, *program]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def points(log: Path) -> Iterator[tuple[str, int]]:
    """Each call of the undisturbed run: its name, and the how-manieth of that name it was."""
    seen: Counter[str] = Counter()
    for name in re.findall(r"^(\w+)\(", log.read_text(errors="replace"), re.MULTILINE):
        seen[name] += 1
        yield name, seen[name]


FAULTS = {"kill": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}


@pytest.mark.parametrize(
    ("fault", "step"), [("kill", 15), ("ENOSPC", 31), *(pytest.param(f, 1, marks=pytest.mark.long) for f in FAULTS)]
)
def test_strace__old_or_new_and_the_next_run_converges(
    tmp_path: Path, figure: Callable[[str, object], None], fault: str, step: int
) -> None:
    before, sound = Store(tmp_path / "before"), Store(tmp_path / "sound")
    import_files([write(tmp_path / "first")], before)
    shutil.copytree(before.path, sound.path)
    folder, log = write(tmp_path / "second", of_1=5), tmp_path / "log"
    assert traced(sound.path, folder, "-o", str(log)) == 0
    digests = {before.content_digest(), sound.content_digest()}
    chosen, statuses = list(points(log))[::step], []
    for number, (name, k) in enumerate(chosen):
        store = Store(shutil.copytree(before.path, tmp_path / f"{number}"))
        statuses += [traced(store.path, folder, "-o", os.devnull, "-e", f"inject={name}:{FAULTS[fault]}:when={k}")]
        assert store.content_digest() in digests, (name, k)
        assert store.verify() == [], (name, k)
        import_files([folder], store)
        store.add_document(BANKS[0], PDF)
        assert (store.content_digest(), store.verify()) == (sound.content_digest(), []), (name, k)
        assert store.document(BANKS[0]) == PDF
        shutil.rmtree(store.path)
    assert len(chosen) >= 60 // step
    assert set(statuses) == {-9} if fault == "kill" else any(statuses), "nothing was disturbed"
    figure(f"system calls failed by strace: {fault}", f"{len(chosen)} points, each old or new and healed")
