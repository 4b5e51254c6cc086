"""What a transaction costs as the store grows: ingest, and each question of a portfolio.

    python tests/benchmarks/growth.py [CORPUS] [--sizes 1 10] [--rounds 1] [--work FOLDER] [--chart PNG]

Sizes are in millions of transactions. A larger archive is the smaller one again and again under other ids (of report,
request and company), as one compressed NDJSON file; every size is imported into a store of its own through
`import_files`, and asked the questions of `queries.py` in fresh processes. Copies are kinder to dictionaries and
statistics than real data. Printed: CPU microseconds a transaction, peak memory, and the ratios to the first size; the
goal is 1.3 for each.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import queries
from corpus import newest_of_each_company
from measure import Rounds, child, costs, median, peak, tell

_ID = re.compile(rb'"(id|request)": ?"([0-9a-f]{24})"')
_CODE = re.compile(rb'"id": ?"(\d{9})"')
STEPS = ("ingest", *queries.QUESTIONS)


def copies(reports: Path, wanted: int) -> Iterator[bytes]:
    """Bodies until `wanted` transactions are there, one a line; each round of them under other ids."""
    bodies = [path.read_bytes() for path in sorted(reports.glob("*.json"))]
    counts = [body.count(b'"label"') for body in bodies]
    number = done = 0
    while done < wanted:
        for body, count in zip(bodies, counts, strict=True):
            if done < wanted:
                yield body if not number else _renamed(body, number)
                done += count
        number += 1


def _renamed(body: bytes, number: int) -> bytes:
    tag = b"%04x" % number
    body = _ID.sub(lambda m: b'"%b":"%b%b%b"' % (m[1], m[2][:8], tag, m[2][12:]), body)
    return _CODE.sub(lambda m: b'"id":"%09d"' % ((int(m[1]) + 7919 * number) % 10**9), body)


def write_archive(reports: Path, wanted: int, target: Path) -> None:
    import pyarrow as pa

    if target.exists():
        return
    staged = target.with_name(f"part-{target.name}")
    with pa.CompressedOutputStream(staged, "zstd") as out:
        for body in copies(reports, wanted):
            out.write(body.replace(b"\n", b" ") + b"\n")
    staged.rename(target)


def ingest(archive: Path, folder: Path) -> int:
    import pandas  # noqa: F401

    import xray_analytics as xa

    store, _ = xa.Store(folder), xa.import_files
    with costs() as spent:
        result = xa.import_files([archive], store)
    assert not result.is_partial, result.issues[:3]
    head = store.head
    assert head is not None
    return tell(spent, transactions=head.rows("transactions"), reports=head.rows("reports"))


def ask(work: Path) -> int:
    import xray_analytics as xa

    queries.load_everything(xa)
    spent = {}
    with costs() as spending:
        answer = queries.ours(queries.opened(work), "arrow")
        before = time.process_time()
        for question in queries.QUESTIONS:
            answer(question)
            spent[question], before = time.process_time() - before, time.process_time()
    return tell(spending, **{f"cpu_{question}": cpu for question, cpu in spent.items()})


def run(side: str, work: Path, size: str) -> dict[str, Any]:
    return child([sys.executable, __file__, "--side", side, "--work", str(work), "--sizes", size])


def chart(table: dict[str, list[float]], sizes: list[float], target: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for step, values in table.items():
        axes.plot(sizes, [value / values[0] for value in values], marker="o", label=step)
    axes.axhline(1.3, color="grey", linestyle=":", label="goal")
    axes.set(xscale="log", xlabel="transactions [million]", ylabel="CPU a transaction, first size = 1")
    axes.set_title("Cost of a transaction as the store grows", loc="left")
    axes.legend(fontsize="small", ncols=2)
    figure.savefig(target, dpi=150)


def collect(sizes: list[float], rounds: int, work: Path, archived: dict[float, Path]) -> dict[str, Rounds]:
    """Every size once a round, the order rotated."""
    found: dict[str, Rounds] = {"ingest": {}, "ask": {}}
    for number in range(rounds):
        turn = number % len(sizes)
        for size in (*sizes[turn:], *sizes[:turn]):
            place = work / f"size-{size:g}-{number}"
            place.mkdir(exist_ok=True)
            (place / "archive").write_text(str(archived[size]))
            for side in ("ingest", "ask"):
                found[side].setdefault(f"{size:g}", []).append(run(side, place, f"{size:g}"))
            print(f"round {number}, {size:g} M: done", file=sys.stderr, flush=True)
    return found


def show(found: dict[str, Rounds], sizes: list[float], target: Path | None) -> None:
    names = [f"{size:g}" for size in sizes]
    counts = {name: found["ingest"][name][0]["transactions"] for name in names}
    table: dict[str, list[float]] = {}
    for step in STEPS:
        side, key = ("ingest", "cpu") if step == "ingest" else ("ask", f"cpu_{step}")
        table[step] = [median(found[side], name, key) / counts[name] * 1e6 for name in names]
    print(f"{'CPU µs a transaction':<22}" + "".join(f"{counts[name]:>14,}" for name in names) + "  last/first")
    for step, values in table.items():
        growth = values[-1] / values[0]
        print(f"{step:<22}" + "".join(f"{v:14.3f}" for v in values) + f"  {growth:.2f}{'' if growth <= 1.3 else ' NO'}")
    for side in ("ingest", "ask"):
        print(f"peak MiB, {side:<12}" + "".join(f"{peak(found[side], name):14.0f}" for name in names))
    if target:
        chart(table, [counts[name] / 1e6 for name in names], target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--companies", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", type=Path, help="folder that is kept; default a temporary one")
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--side", choices=("ingest", "ask"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side == "ingest":
        return ingest(Path((arguments.work / "archive").read_text()), arguments.work / "store")
    if arguments.side == "ask":
        return ask(arguments.work)
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        kept = (arguments.work or Path(folder)).absolute()
        reports = newest_of_each_company(arguments.corpus, arguments.companies, kept / "reports")
        archived = {size: kept / f"archive-{size:g}.ndjson.zst" for size in arguments.sizes}
        for size, target in archived.items():
            write_archive(reports, int(size * 1_000_000), target)
        show(collect(arguments.sizes, arguments.rounds, Path(folder), archived), arguments.sizes, arguments.chart)
    return 0


if __name__ == "__main__":
    sys.exit(main())
