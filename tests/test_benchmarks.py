"""The benchmarks run: on next to nothing, once, with every total checked; how quick they are is not asked."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """One folder for those that can share the reports they make."""
    return tmp_path_factory.mktemp("benchmarks")


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / f"{script}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ingest(work):
    out = run("ingest", "--companies", 8, "--rounds", 1, "--work", work / "ingest")
    assert out.count("1 rounds") == 7
    assert re.search(r"^[\d,]+ transactions, the same on every side$", out, re.MULTILINE)


def test_queries(work):
    out = run("queries", "--companies", 3, "--rounds", 1, "--work", work)
    assert len(re.findall(r"pandas over \w+: [0-9.]+ \[[0-9.]+ \.\. [0-9.]+\], 1 rounds", out)) == 9


def test_fetch(work):
    out = run("fetch", "--companies", 3, "--rounds", 1, "--latency-ms", 1, "--work", work)
    assert re.search(r"^3 bank reports, [\d,]+ transactions$", out, re.MULTILINE)


def test_growth(work):
    out = run("growth", "--companies", 3, "--sizes", 0.004, "--work", work, "--chart", work / "growth.png")
    assert len(re.findall(r"^(?:ingest|\w+_\w+|monthly|volatility) +[0-9.]+  1\.00$", out, re.MULTILINE)) == 8
    assert (work / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_opening():
    out = run("opening", "--commits", 25, "--rows", 1000, "--rounds", 1)
    assert "25 files, 25,000 transactions" in out
    assert "SHA-256 computed for 25 files, once" in out


def test_start_up():
    assert run("start_up", "--rounds", 1).count("1 rounds") == 4


def test_totals_that_differ_stop_a_comparison(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "import measure\n"
        "if '--side' in sys.argv:\n"
        "    sys.exit(measure.tell({'cpu': 1, 'wall': 1}, n=len(sys.argv[-1])))\n"
        "measure.rounds_of(__file__, ('a', 'bb'), 1, same=('n',))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "AssertionError: round 0: totals differ: {'a': [1], 'bb': [2]}" in done.stderr
