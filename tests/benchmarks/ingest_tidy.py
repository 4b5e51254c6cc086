"""How many times less CPU `tidy` needs than what an analyst writes first; every check on, raw bytes stored.

    python tests/benchmarks/ingest_tidy.py CORPUS [--rounds 5] [--limit 500] [--require 4]

CORPUS holds folders of reports as JSON files, one of them named bank. Both sides read the same files and write Parquet
(zstd, level 1); each measurement is a fresh process, the order changes from round to round, imports are not counted.
Both sides must agree on the number of transactions and on the sum of their amounts. Printed: the median of the ratios
of CPU seconds, and the peak memory of each side.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

CHUNK = 32
ROW_GROUP = 60_000
FETCHED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def report_files(corpus: Path, limit: int) -> list[Path]:
    return [
        file for folder in sorted(corpus.iterdir()) if folder.is_dir() for file in sorted(folder.glob("*.json"))[:limit]
    ]


def naive(files: list[Path], out: Path) -> None:
    """json_normalize for each report, one concat, one Parquet file for each table; dates and money as they come."""
    import pandas as pd

    frames = defaultdict(list)
    for file in files:
        report = json.loads(file.read_text(encoding="utf-8"))["report"]
        raw = report.pop("raw")
        head = pd.json_normalize(report)
        for name in ("riskClass", "score", "probabilityOfDefault"):
            head[name] = raw.get(name)
        parts = {"reports": head}
        if "allTransactions" in raw:
            parts["transactions"] = pd.json_normalize(raw["allTransactions"])
            parts["statements"] = pd.json_normalize(raw["summary"])
            parts["flags"] = pd.json_normalize(raw["bankFlag"]["reasons"])
            parts["movements"] = pd.json_normalize([{"metric": k, **v} for k, v in raw["movementReport"].items()])
        else:
            parts["ratios"] = pd.json_normalize([{"criterion": k, **v} for k, v in raw["criterias"].items()])
            parts["reasons"] = pd.json_normalize(raw["reasons"], max_level=0)
        for name, frame in parts.items():
            frame["report_id"] = report["id"]
            frames[name].append(frame)
    for name, found in frames.items():
        frame = pd.concat(found, ignore_index=True)
        for column in frame.columns:
            if "date" in column.lower():
                frame[column] = pd.to_datetime(frame[column])
            elif column in ("value", "criteria"):
                frame[column] = frame[column].map(json.dumps)
        frame.to_parquet(out / f"{name}.parquet", compression="zstd", compression_level=1, index=False)


def checked(files: list[Path], out: Path) -> None:
    """`tidy` in chunks, into one Parquet file for each table with row groups of about 60,000 rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from xray_analytics.tables import TABLES
    from xray_analytics.tidy.batch import Received, tidy

    writers: dict[str, pq.ParquetWriter] = {}
    waiting: dict[str, list[pa.Table]] = defaultdict(list)

    def flush(name: str, least: int) -> None:
        if sum(t.num_rows for t in waiting[name]) < least or not waiting[name]:
            return
        schema = TABLES[name].arrow_schema
        if name not in writers:
            path = out / f"{name}.parquet"
            plain = name != "raw"  # bodies never repeat: no dictionary, no statistics
            writers[name] = pq.ParquetWriter(
                path, schema, compression="zstd", compression_level=1, use_dictionary=plain, write_statistics=plain
            )
        writers[name].write_table(pa.concat_tables(waiting.pop(name)))

    for bodies in chunks(files):
        tidied = tidy([Received(body, FETCHED_AT, name) for name, body in bodies])
        assert all(outcome.status == "published" for outcome in tidied.outcomes)
        for name, table in tidied.tables.items():
            waiting[name].append(table)
            flush(name, 1 if name == "raw" else ROW_GROUP)
    for name in list(waiting):
        flush(name, 1)
    for writer in writers.values():
        writer.close()


def chunks(files: list[Path]) -> Iterator[list[tuple[str, bytes]]]:
    for start in range(0, len(files), CHUNK):
        yield [(file.name, file.read_bytes()) for file in files[start : start + CHUNK]]


def measure(side: str, corpus: Path, limit: int) -> None:
    """One side, in this process; prints one line of JSON."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    import xray_analytics.tidy.batch  # noqa: F401

    pa.set_cpu_count(1)
    pa.array(["warm"]), pd.json_normalize([{"a": 1}])
    files = report_files(corpus, limit)
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        {"naive": naive, "tidy": checked}[side](files, Path(folder))
        cpu = time.process_time() - before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        amounts = pq.read_table(Path(folder) / "transactions.parquet", columns=["amount"])["amount"]
    cents = int(pc.sum(pc.round(pc.multiply(amounts.cast(pa.float64()), 100))).as_py())
    print(json.dumps({"cpu": cpu, "peak_mib": peak, "transactions": len(amounts), "cents": cents}))


def run(side: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, str(arguments.corpus), "--limit", str(arguments.limit), "--side", side]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=500, help="reports of each folder")
    parser.add_argument("--require", type=float, default=4.0, help="fail below this ratio")
    parser.add_argument("--side", choices=("naive", "tidy"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side, arguments.corpus, arguments.limit)
        return 0
    ratios, peaks = [], defaultdict(float)
    for number in range(arguments.rounds):
        sides = ("naive", "tidy") if number % 2 else ("tidy", "naive")
        found = {side: run(side, arguments) for side in sides}
        assert all(found["naive"][k] == found["tidy"][k] for k in ("transactions", "cents")), found
        ratios.append(found["naive"]["cpu"] / found["tidy"]["cpu"])
        for side in sides:
            peaks[side] = max(peaks[side], found[side]["peak_mib"])
        print(
            f"round {number}: {ratios[-1]:.2f}  " + "  ".join(f"{s} {found[s]['cpu']:.2f} s" for s in ("naive", "tidy"))
        )
    median = statistics.median(ratios)
    spread = f"[{min(ratios):.2f} .. {max(ratios):.2f}]"
    print(f"CPU, naive over tidy: median {median:.2f} {spread}; gate >= {arguments.require:g}")
    print("peak MiB: " + ", ".join(f"{side} {peak:.0f}" for side, peak in sorted(peaks.items())))
    return int(median < arguments.require)


if __name__ == "__main__":
    sys.exit(main())
