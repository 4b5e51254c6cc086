"""From the service to tables: 16 calls in flight against one after the other, at 50 ms a call.

    python tests/benchmarks/fetch.py [CORPUS] [--companies 400] [--latency-ms 50] [--rounds 5] [--work FOLDER]

A server of its own answers on loopback after the latency. Sides:

* sync: `xa.sync` into a store that is new: list, fetch, tidy, check, commit
* faults: the same, where one report in 100 is at first refused, cut short or a second late
* slow: the same as sync, where the bodies of every chunk take half a second longer to be stored, as on a slow disk
* naive: one `requests.Session`, the same calls in a row, `json_normalize` of the transactions, one concat; no Parquet

Every side must find the same number of transactions. Printed: ratios of wall seconds, and of peak memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corpus import newest_of_each_company
from measure import costs, peak, ratio, rounds_of, tell

SIDES = ("sync", "faults", "slow", "naive")
FAULT_EVERY = 100
SLOWER_SECONDS = 0.5


@contextmanager
def serving(reports: Path, latency_ms: float, fault_every: int) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("service.py")), str(reports)]
    command += ["--latency-ms", str(latency_ms), "--fault-every", str(fault_every)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.communicate(timeout=30)


def synced(url: str, side: str) -> dict[str, int]:
    import xray_analytics as xa
    from xray_analytics.store import Writer

    if side == "slow":
        quickly = Writer.append

        def slowly(writer: Writer, table: str, rows: Any) -> None:
            time.sleep(SLOWER_SECONDS if table == "raw" else 0)
            quickly(writer, table, rows)

        Writer.append = slowly  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        store = xa.Store(Path(folder) / "store")
        settings = xa.Settings(base_url=url, user_id="u", session_token="t", workers=16)
        with xa.XRayClient(settings) as client:
            result = xa.sync(client, store, products=["bank"])
        assert (result.n_failed, result.n_quarantined) == (0, 0), result.issues[:3]
        head = store.head
        assert head is not None
        return {"reports": head.rows("reports"), "transactions": head.rows("transactions")}


def naive(url: str) -> dict[str, int]:
    import pandas as pd
    import requests

    frames, ids = [], []
    with requests.Session() as session:
        for request in session.get(f"{url}/requests", timeout=60).json()["requests"]:
            query = {"request": request["id"], "source": "bank_xray"}
            ids += [r["id"] for r in session.get(f"{url}/reports", params=query, timeout=60).json()["reports"]]
        for report_id in ids:
            raw = session.get(f"{url}/reports/{report_id}", timeout=60).json()["report"]["raw"]
            frames.append(pd.json_normalize(raw["allTransactions"]).assign(report_id=report_id))
    return {"reports": len(ids), "transactions": len(pd.concat(frames, ignore_index=True))}


def measure(side: str, reports: Path, latency_ms: float) -> int:
    import pandas as pd

    import xray_analytics as xa

    _ = xa.sync, xa.XRayClient, xa.Store, xa.tables, pd.json_normalize([{"a": 1}])
    with serving(reports, latency_ms, FAULT_EVERY if side == "faults" else 0) as url:
        with costs() as spent:
            found = naive(url) if side == "naive" else synced(url, side)
        return tell(spent, **found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--companies", type=int, default=400)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, help="folder that is kept; default a temporary one")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return measure(arguments.side, arguments.work / "reports", arguments.latency_ms)
    with tempfile.TemporaryDirectory() as folder:
        work = (arguments.work or Path(folder)).absolute()
        newest_of_each_company(arguments.corpus, arguments.companies, work / "reports")
        passed = ["--work", str(work), "--latency-ms", str(arguments.latency_ms)]
        found = rounds_of(__file__, SIDES, arguments.rounds, passed, same=("reports", "transactions"))
    print(f"{found['sync'][0]['reports']:,} bank reports, {found['sync'][0]['transactions']:,} transactions")
    print(ratio(found, "naive", "sync", "wall").line("wall, one after the other over sync", least=12))
    print(ratio(found, "faults", "sync", "wall").line("wall, one fault in 100 over none", most=1.2))
    print(ratio(found, "slow", "sync", "peak_mib").line("peak memory, slow disk over quick", most=1.1))
    print("peak MiB: " + ", ".join(f"{side} {peak(found, side):.0f}" for side in SIDES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
