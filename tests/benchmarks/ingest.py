"""JSON files to committed Parquet through the public `import_files`, against what an analyst writes first.

    python tests/benchmarks/ingest.py [CORPUS] [--rounds 5] [--limit 2000] [--companies 400] [--work FOLDER]

CORPUS holds folders of report JSON, one report a file; without it the sandbox makes the reports of `--companies`. The
sides:

* ours: `import_files` with every check on, raw bytes kept, parts read back, one atomic commit
* naive: `json_normalize` for each report, one concat and one Parquet file a table, dates and money as they come
* floor: what nobody can beat: reading the files, parsing them without using the result (simdjson where it is
  installed, else msgspec), and writing the transactions alone, already in memory, as Parquet
* dlt, where it is installed and `--dlt` is given: a pipeline to Parquet files, as its documentation starts; it does
  different work (child tables with keys, load state, no checks of ours)
* tenth: as ours, for a tenth of the reports
* bad: as ours, where every twentieth report breaks the contract, most of them late, so that it is quarantined
* two: as ours, with two processes that tidy beside the one that reads and stores; their start is counted

Ours, two, naive and dlt must find the same number of transactions and the same sum of amounts. Imports of modules are
not counted. Parquet is zstd, level 1. Printed: ratios of CPU and wall seconds, and of peak memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from measure import Found, Ratio, costs, peak, ratio, report_files, rounds_of, tell

SPOILED = "spoiled"


def corpus_of(arguments: argparse.Namespace, work: Path) -> Path:
    """The corpus named, or one that the sandbox makes, once."""
    if arguments.corpus is not None:
        return Path(arguments.corpus)
    made = work / f"corpus-{arguments.companies}"
    if not made.exists():
        from xray_analytics.sandbox.payloads.reports import Economy

        economy, staged = Economy(arguments.companies, seed=7, clean=True), made.with_suffix(".part")
        for report_id in economy.report_ids():
            body = economy.report_body(report_id)
            file = staged / json.loads(body)["report"]["source"] / f"{report_id}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        staged.rename(made)
    return made


def ours(files: list[Path], out: Path, processes: int = 1) -> None:
    import xray_analytics as xa

    result = xa.import_files(files, xa.Store(out / "store"), processes=processes)
    n_bad = sum(file.parent.name == SPOILED for file in files)
    assert (result.n_published, result.n_quarantined) == (len(files) - n_bad, n_bad), result


def spoiled(files: list[Path], folder: Path) -> list[Path]:
    """The files, every twentieth of them as a copy in the folder that breaks the contract."""
    folder.mkdir()
    chosen = []
    for number, file in enumerate(files):
        copy = folder / file.name
        if number % 20 == 0:
            chosen.append(copy)
            body = file.read_bytes()
            dated = b'"date":"' if b'"date":"' in body else b'"source":"'
            copy.write_bytes(body.replace(dated, dated[:-1] + b'7,"was":"', 1))
        else:
            chosen.append(file)
    return chosen


def naive(files: list[Path], out: Path) -> None:
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
            parts["statements"] = pd.json_normalize(raw.get("summary") or [])
            parts["flags"] = pd.json_normalize((raw.get("bankFlag") or {}).get("reasons") or [])
            parts["movements"] = pd.json_normalize(
                [{"metric": k, **v} for k, v in (raw.get("movementReport") or {}).items()]
            )
        elif "criterias" in raw:
            parts["ratios"] = pd.json_normalize([{"criterion": k, **v} for k, v in raw["criterias"].items()])
            parts["reasons"] = pd.json_normalize(raw.get("reasons") or [], max_level=0)
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


def floor(files: list[Path], out: Path, transactions: Any) -> None:
    import pyarrow.parquet as pq

    parse = _parser()
    for file in files:
        parse(file.read_bytes())
    pq.write_table(transactions, out / "transactions.parquet", compression="zstd", compression_level=1)


def _parser() -> Callable[[bytes], Any]:
    """The cheapest parser at hand whose result can be dropped unused."""
    if importlib.util.find_spec("simdjson"):
        import simdjson

        return simdjson.Parser().parse
    import msgspec

    return msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def with_dlt(files: list[Path], out: Path) -> None:
    import dlt
    import orjson

    kinds = {file.parent.name: [f for f in files if f.parent == file.parent] for file in files}

    def reports(of: list[Path]) -> Any:
        for file in of:
            yield orjson.loads(file.read_bytes())["report"]

    destination = dlt.destinations.filesystem(f"file://{out.resolve()}/dlt")
    pipeline = dlt.pipeline("ingest", destination=destination, dataset_name="xray", pipelines_dir=str(out / "state"))
    resources = [dlt.resource(reports(of), name=kind, primary_key="id") for kind, of in kinds.items()]
    pipeline.run(resources, loader_file_format="parquet")


def totals(side: str, out: Path) -> Found:
    """How many transactions were written, and the sum of their amounts in cents."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.dataset as ds

    places = {"naive": "transactions.parquet", "dlt": "dlt/xray/*__raw__all_transactions/*.parquet"}
    found = sorted(out.glob(places.get(side, "store/parts/transactions/*.parquet")))
    rows, cents = 0, 0
    for data in (ds.dataset(str(file)).to_table() for file in found):
        # dlt keeps whole numbers and fractions of one member in two columns
        for name in (name for name in data.column_names if name in ("amount", "amount__v_double", "amount__v_bigint")):
            amounts = data[name].cast(pa.float64()).to_numpy()
            cents += int(np.rint(np.nan_to_num(amounts) * 100).sum())
        rows += len(data)
    return {"transactions": rows, "cents": cents}


def measure(side: str, corpus: Path, limit: int | None, work: Path) -> int:
    """One side, in this process."""
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR")
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds

    import xray_analytics.ingest.files  # noqa: F401

    if side == "dlt":
        import dlt  # noqa: F401
    pa.array(["warm"]), pd.json_normalize([{"a": 1}])
    files = report_files(corpus, limit)
    chosen = files[::10] if side == "tenth" else files
    if side == "floor":
        stored = ds.dataset(str(work / "store" / "parts" / "transactions")).to_table()
        columns = [c.cast(pa.float64()) if pa.types.is_decimal(c.type) else c for c in stored.columns]
        transactions = pa.table(columns, names=stored.column_names)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        out = Path(folder)
        if side == "bad":
            chosen = spoiled(chosen, out / SPOILED)
        with costs() as found:
            if side == "floor":
                floor(chosen, out, transactions)
            else:
                {"naive": naive, "dlt": with_dlt, "two": partial(ours, processes=2)}.get(side, ours)(chosen, out)
        is_other = side in ("floor", "tenth", "bad")  # these write other rows, or none
        counted = totals("ours" if is_other else side, work if is_other else out)
    return tell(found, **counted)


def report(found: dict[str, list[Found]]) -> None:
    """The ratios, each with its gate."""
    print(ratio(found, "naive", "ours").line("CPU, naive over ours", least=4))
    print(ratio(found, "naive", "ours", "wall").line("wall, naive over ours"))
    print(ratio(found, "naive", "two", "wall").line("wall, naive over ours with two processes", least=7))
    print(ratio(found, "two", "ours").line("CPU, two processes over one"))
    print(ratio(found, "ours", "floor").line("CPU, ours over floor", most=7))
    print(ratio(found, "bad", "ours").line("CPU, one report in twenty bad over none", most=1.3))
    if "dlt" in found:
        print(ratio(found, "dlt", "ours").line("CPU, dlt over ours", least=7))
    growth: Ratio = ratio(found, "ours", "tenth", "peak_mib")
    print(growth.line("peak memory, all reports over a tenth of them", most=1.4))
    print("peak MiB: " + ", ".join(f"{side} {peak(found, side):.0f}" for side in found if side != "floor"))
    print(f"{found['ours'][0]['transactions']:,} transactions, the same on every side")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, help="reports of each folder")
    parser.add_argument("--companies", type=int, default=400, help="of the sandbox, where no corpus is named")
    parser.add_argument("--work", type=Path, help="where to keep what is made; default a folder that goes away")
    parser.add_argument("--dlt", action="store_true", help="compare with dlt as well")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return measure(arguments.side, arguments.corpus, arguments.limit, arguments.work)
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        corpus = corpus_of(arguments, work)
        if not (work / "store").exists():
            ours(report_files(corpus, arguments.limit), work)
        sides = ("ours", "two", "bad", "naive", "floor", "tenth", *(["dlt"] if arguments.dlt else []))
        limit = ["--limit", str(arguments.limit)] if arguments.limit else []
        passed = [str(corpus), "--work", str(work), *limit]
        report(rounds_of(__file__, sides, arguments.rounds, passed, same=("transactions", "cents")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
