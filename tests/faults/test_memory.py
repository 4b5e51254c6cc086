"""Ten times the data, and about the same memory: an import holds one batch, whatever the archive weighs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .service import bank

SMALL, TIMES, N_ENTRIES = 64, 10, 1_500  # reports, and entries in each: 9 MB, and 90 MB
PROGRAM = """
import sys
from pathlib import Path
from xray_analytics import Store, import_files
from xray_analytics.ingest import run

run.BATCH_BYTES = 4_000_000
result = import_files([sys.argv[1]], Store(sys.argv[2]))
status = Path("/proc/self/status").read_text()  # `ru_maxrss` would begin with what the parent process holds
print(result.n_published, int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def archive(path: Path, n_reports: int) -> int:
    """A file of reports, one a line; its size [bytes]."""
    entry = {"amount": -12.5, "label": "PRLV SEPA SOMEONE", "type": "debit", "category": "supplier"}
    entries = [{"date": f"2021-08-{1 + n % 28:02d}", **entry, "amount": n + 0.25} for n in range(N_ENTRIES)]
    line = json.dumps(bank("@" * 24, allTransactions=entries)) + "\n"
    with path.open("w") as file:
        for n in range(n_reports):
            file.write(line.replace("@" * 24, f"61baf5{n:018x}"))
    return path.stat().st_size


def peak(folder: Path, n_reports: int) -> int:
    """The most memory an import of so many reports takes, in a process of its own [MiB]."""
    size = archive(folder / f"{n_reports}.ndjson", n_reports)
    command = [sys.executable, "-c", PROGRAM, folder / f"{n_reports}.ndjson", folder / f"store-{n_reports}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n_published, most = map(int, done.stdout.split())
    assert n_published == n_reports
    assert size > 130_000 * n_reports
    return most


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell the peak of a process")
def test_memory__hardly_grows_when_the_data_grow_tenfold(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    small, large = peak(tmp_path, SMALL), peak(tmp_path, SMALL * TIMES)
    figure("memory when the data grow tenfold", f"{small} MiB -> {large} MiB, x {large / small:.2f}")
    assert large <= 1.25 * small  # without batches it would be x 1.5
