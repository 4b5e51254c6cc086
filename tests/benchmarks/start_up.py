"""How long until something happens: `xray --help` and `import xray_analytics` beside `import pandas` and nothing.

    python tests/benchmarks/start_up.py [--rounds 15]

Every command is a fresh process; the order is rotated. Printed: median seconds of CPU and wall, and the ratios to
`python -c "import pandas"` and `python -c pass` of the same round. The goals (0.3 s and 0.5 s) are seconds of an idle
machine: read CPU seconds on a busy one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from measure import Rounds, median, ratio

COMMANDS = {
    "pass": ("-c", "pass"),
    "pandas": ("-c", "import pandas"),
    "import": ("-c", "import xray_analytics"),
    "help": ("-m", "xray_analytics.cli", "--help"),
}
GOALS = {"help": 0.3, "import": 0.5}


def timed(arguments: tuple[str, ...]) -> dict[str, float]:
    """CPU and wall seconds of one process."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    names = tuple(COMMANDS)
    for name in names:
        timed(COMMANDS[name])  # so that files are in memory and byte code is written
    found: Rounds = {name: [] for name in names}
    for number in range(arguments.rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            found[name].append(timed(COMMANDS[name]))
    for name in names:
        print(f"{name:<7} CPU {median(found, name):.3f} s, wall {median(found, name, 'wall'):.3f} s")
    for name, goal in GOALS.items():
        kept = "yes" if median(found, name) <= goal else "NO"
        print(f"CPU of {name}: {median(found, name):.3f} s; at most {goal}: {kept}")
        print(ratio(found, name, "pandas").line(f"CPU, {name} over import pandas", most=1))
        print(ratio(found, name, "pass").line(f"CPU, {name} over nothing"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
