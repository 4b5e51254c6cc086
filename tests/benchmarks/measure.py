"""Benchmarks that hold on a busy machine: fresh processes, rotated order, ratios inside a round, medians with spread.

A script that compares sides calls itself once a side and round with ``--side NAME``; that child does the work inside
`costs` and prints what it found with `tell`. The parent collects the rounds with `rounds_of`, which fails unless every
side of a round found the same totals, and prints `Ratio`s::

    if arguments.side:
        with costs() as found:
            n_rows = work(arguments.side)
        return tell(found, n_rows=n_rows)
    found = rounds_of(__file__, ("ours", "pandas"), arguments.rounds, [str(corpus)], same=("n_rows",))
    print(ratio(found, "pandas", "ours").line("CPU, pandas over ours", least=20))

Seconds are of this machine at this moment; only ratios of one run are worth keeping.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Found = dict[str, Any]
Rounds = dict[str, list[Found]]


@dataclass(frozen=True)
class Ratio:
    """The median of the ratios inside each round, and the smallest and largest of them."""

    values: tuple[float, ...] = field(repr=False)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def line(self, what: str, *, least: float | None = None, most: float | None = None) -> str:
        """One line: median, minimum and maximum, rounds, and whether a bound was kept.

        >>> Ratio((4.0, 5.0, 7.0)).line("CPU, naive over ours", least=4)
        'CPU, naive over ours: 5.00 [4.00 .. 7.00], 3 rounds; at least 4: yes'
        """
        text = (
            f"{what}: {self.median:.2f} [{min(self.values):.2f} .. {max(self.values):.2f}], {len(self.values)} rounds"
        )
        if least is not None:
            text += f"; at least {least:g}: {_yes(self.median >= least)}"
        if most is not None:
            text += f"; at most {most:g}: {_yes(self.median <= most)}"
        return text


def _yes(kept: bool) -> str:
    return "yes" if kept else "NO"


def ratio(found: Rounds, above: str, below: str, key: str = "cpu") -> Ratio:
    """`key` of one side over that of another, round by round."""
    return Ratio(tuple(a[key] / b[key] for a, b in zip(found[above], found[below], strict=True)))


def median(found: Rounds, side: str, key: str = "cpu") -> float:
    """The median over the rounds of one side."""
    return statistics.median(one[key] for one in found[side])


def peak(found: Rounds, side: str, key: str = "peak_mib") -> float:
    """The largest over the rounds of one side."""
    return max(one[key] for one in found[side])


def rounds_of(  # noqa: PLR0913
    script: str,
    sides: Sequence[str],
    rounds: int,
    arguments: Sequence[str] = (),
    *,
    same: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Rounds:
    """Every side once a round, each in a process of its own, the order rotated from round to round.

    Raises
    ------
    RuntimeError
        A side failed; its last words are in the message.
    AssertionError
        The sides of a round differ in one of the totals named by `same`: they did not do the same work.
    """
    found: Rounds = {side: [] for side in sides}
    for number in range(rounds):
        turn = number % len(sides)
        for side in (*sides[turn:], *sides[:turn]):
            command = [sys.executable, script, *arguments, "--side", side]
            found[side].append(child(command, environment=environment))
        totals = {side: [found[side][-1][name] for name in same] for side in sides}
        assert len({json.dumps(of) for of in totals.values()}) == 1, f"round {number}: totals differ: {totals}"
        seconds = "  ".join(f"{side} {found[side][-1]['cpu']:.2f}/{found[side][-1]['wall']:.2f}" for side in sides)
        print(f"round {number}, CPU/wall s: {seconds}", file=sys.stderr, flush=True)
    return found


def child(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Found:
    """Run one measurement; the last line of its output is what it found."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **(environment or {})}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed: {done.stderr.strip()[-2000:]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def costs() -> Iterator[Found]:
    """CPU seconds (children that ended included), wall seconds and peak memory [MiB] of a block, into the mapping."""
    found: Found = {}
    cpu, wall = _cpu(), time.perf_counter()
    yield found
    found["wall"], found["cpu"] = time.perf_counter() - wall, _cpu() - cpu
    found["peak_mib"] = peak_mib()


def peak_mib() -> float:
    """The largest resident memory so far of this process, or of one of its children that ended [MiB]."""
    status = Path("/proc/self/status")  # `ru_maxrss` of a fresh process may still be that of the one that started it
    lines = status.read_text().splitlines() if status.exists() else []
    own = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(*(own or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]), children) / 1024


def _cpu() -> float:
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + of_children.ru_utime + of_children.ru_stime


def tell(found: Mapping[str, Any], **more: Any) -> int:
    """Print what a side found, as its last line; gives the exit code 0."""
    print(json.dumps({**found, **more}))
    return 0


def report_files(corpus: Path, limit: int | None = None) -> list[Path]:
    """The first `limit` reports of each folder of a corpus, in a fixed order."""
    folders = sorted(path for path in corpus.iterdir() if path.is_dir())
    return [file for folder in folders for file in sorted(folder.glob("*.json"))[:limit]]
