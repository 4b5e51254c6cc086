"""Opening a store of 1,000 commits and 100 million transactions, its first question, and the next ones.

    python tests/benchmarks/opening.py [--commits 1000] [--rows 100000] [--rounds 5]

One part of `--rows` transactions is made and linked a thousand times under a thousand commits; the manifests are real.
(The digest of a part is computed once for a path, so a linked file is read again for each of its names, as a thousand
different files would be.) Printed for each round, in a fresh process: opening (`Store.snapshot`), the first question,
which pays the SHA-256 of the files it reads, the same again, and how many bytes a question on two columns read beside
the size of the files. The bytes are those the process read by itself (`/proc/self/io`), so Linux only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measure import Rounds, child, median, tell

STEPS = ("open_cpu", "open_wall", "first_cpu", "first_wall", "again_cpu", "again_wall")


def build(root: Path, commits: int, rows: int) -> None:
    """A store whose transactions are one part under many names; every commit has its manifest's full list."""
    import numpy as np
    import pyarrow as pa

    from xray_analytics import Store, tables
    from xray_analytics.store.manifests import encode

    store = Store(root)
    numbers = np.arange(rows)
    day = pa.array((19_000 + numbers % 365).astype("int32"), pa.date32())
    amount = pa.array(np.random.default_rng(7).integers(-(10**6), 10**6, rows) / 100).cast(pa.decimal128(18, 4))
    given = {
        "report_id": pa.array((numbers // 600).astype("str")).dictionary_encode().cast(pa.string()),
        "report_version": pa.array(np.ones(rows, "int64")),
        "account_no": pa.array(np.zeros(rows, "int64")),
        "transaction_no": pa.array(numbers),
        "booked_date": day,
        "amount": amount,
        "balance_after": amount,
        "label": pa.array(np.char.add("VIR SEPA ", (numbers % 5000).astype("str"))),
    }
    schema = tables.TRANSACTIONS.arrow_schema
    data = pa.table([given.get(f.name, pa.nulls(rows, f.type)) for f in schema], schema=schema)
    reports = tables.REPORTS.arrow_schema
    ids = pa.array([str(n) for n in range(rows // 600 + 1)])
    at = pa.array([datetime(2025, 1, 1, tzinfo=UTC)] * len(ids), pa.timestamp("us", "UTC"))
    required: dict[str, Any] = {
        "report_id": ids, "report_version": pa.array([1] * len(ids)), "product": pa.array(["bank"] * len(ids)),
        "fetched_at": at, "available_at": at, "is_backfilled": pa.array([False] * len(ids)),
        "is_rated": pa.array([False] * len(ids)), "raw_sha256": pa.array(["0" * 64] * len(ids)),
    }  # fmt: skip
    with store.writer() as writer:
        writer.append("reports", pa.table([required.get(f.name, pa.nulls(len(ids), f.type)) for f in reports],
                                          schema=reports))  # fmt: skip
        writer.append("transactions", data)
        head = writer.commit()
    (part,) = head.parts["transactions"]
    folder = root / "parts" / "transactions"
    every = [part]
    for number in range(2, commits + 1):
        every.append(part._replace(commit=number))
        os.link(folder / part.name, folder / every[-1].name)
        if number < commits - 18:  # a store keeps its last twenty manifests
            continue
        parts = {**head.parts, "transactions": tuple(every)}
        later = replace(head, number=number, parts=parts, created_at=head.created_at + timedelta(hours=number))
        (root / "commits" / f"{number:012d}.json").write_bytes(encode(later)[1])


def measure(root: Path) -> int:
    import duckdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from xray_analytics import Store, files

    found: dict[str, float] = {}

    def step(name: str, work: Any) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        done = work()
        found[f"{name}_cpu"], found[f"{name}_wall"] = time.process_time() - cpu, time.perf_counter() - wall
        return done

    def ask() -> Any:
        return snapshot.scan("transactions").aggregate("count(*), sum(amount)").fetchall()

    snapshot = step("open", lambda: Store(root).snapshot())
    first, n_bytes = step("first", ask), read_bytes()
    again = step("again", ask)
    assert first[0][0] == again[0][0]
    assert abs(first[0][1] - again[0][1]) <= 1e-9 * rows_of(first), "the order of a sum is not that of the rows"
    live = snapshot.manifest.parts["transactions"]
    digests = files._digest.cache_info().currsize
    return tell(
        found, rows=first[0][0], files=len(live), size=sum(part.bytes for part in live), digests=digests,
        scan_bytes=read_bytes() - n_bytes, cpu=found["first_cpu"], wall=found["first_wall"],
    )  # fmt: skip


def rows_of(answer: Any) -> float:
    """What a sum of doubles may differ by: as many roundings as there are rows."""
    return float(answer[0][0]) * 10_000


def read_bytes() -> int:
    """Bytes this process has read so far, from disk or from memory."""
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100_000, help="transactions in a commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return measure(arguments.side)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        build(root, arguments.commits, arguments.rows)
        found: Rounds = {"store": []}
        for _ in range(arguments.rounds):
            found["store"].append(child([sys.executable, __file__, "--side", str(root)]))
    one = found["store"][0]
    assert one["rows"] == arguments.commits * arguments.rows
    print(f"{one['files']:,} files, {one['rows']:,} transactions, {one['size'] / 1e9:.2f} GB")
    for step in STEPS:
        values = [of[step] * 1000 for of in found["store"]]
        print(f"{step:<11} {median(found, 'store', step) * 1000:8.1f} ms [{min(values):.1f} .. {max(values):.1f}]")
    kept = "yes" if median(found, "store", "open_wall") < 0.1 else "NO"
    print(f"opening in less than 100 ms: {kept}; SHA-256 computed for {one['digests']:,} files, once")
    print(f"the same question again read {one['scan_bytes'] / one['size']:.1%} of the bytes of the files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
