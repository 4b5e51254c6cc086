"""Every analysis, and the tidying of a raw archive, on a real Spark cluster on this machine, compared with DuckDB.

    python tests/benchmarks/cluster.py [--companies 40] [--connect-python PYTHON] [--only NAME …] [--keep FOLDER]

Starts a standalone cluster on loopback (1 master, 2 workers of 1 core, from the pip package; Java 17) and stops it.

* duckdb: every analysis of `tests/test_engines.py` on DuckDB, and `import_files`, on this machine: the reference
* cluster: the same with ``engine="spark"``, and `scale.tidy_archive`, through ``spark://``
* connect: the same through a Spark Connect server on that cluster, by another Python that has the light
  `pyspark-client` and no Spark of its own; left out without `--connect-python`

Needs ``pip install -e . "pyspark[connect]" pytest`` here, and ``pip install -e . pyspark-client pytest`` there, of one
Python version. Fails unless every result agrees to 1e-9 and every row of every table is equal.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from measure import child, costs, tell

TESTS = Path(__file__).parents[1]
PATIENCE = 300  # seconds until a part of the cluster is up
SESSION = {
    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2", "spark.executor.memory": "1g", "spark.log.level": "ERROR",
}  # fmt: skip


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    """A process for as long as the block lasts, with what it says in a file."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment})
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def wait_for(log: Path, said: str, times: int = 1) -> None:
    """Until a log has said something so many times."""
    end = time.monotonic() + PATIENCE
    while len(re.findall(said, log.read_text(errors="replace"))) < times:
        if time.monotonic() > end:
            raise RuntimeError(f"{log} has not said {said!r}: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def cluster(work: Path) -> Iterator[str]:
    """The address of a master with two workers."""
    home = spark_home()
    environment = {"SPARK_HOME": home, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    port, run = free_port(), [f"{home}/bin/spark-class"]
    master = f"spark://127.0.0.1:{port}"
    with ExitStack() as stack:
        options = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
        command = [*run, "org.apache.spark.deploy.master.Master", *options]
        stack.enter_context(running(command, work / "master.log", environment))
        wait_for(work / "master.log", "I have been elected leader")
        for number in (1, 2):
            options = ["--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "--webui-port", "0"]
            options += ["--work-dir", str(work / f"worker{number}")]
            command = [*run, "org.apache.spark.deploy.worker.Worker", *options, master]
            stack.enter_context(running(command, work / f"worker{number}.log", environment))
        wait_for(work / "master.log", "Registering worker", times=2)
        yield master


@contextmanager
def connect_server(master: str, work: Path) -> Iterator[str]:
    """The address of a Spark Connect server that works on the cluster."""
    home, port = spark_home(), free_port()
    environment = {"SPARK_HOME": home, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    settings = {
        **SESSION,
        "spark.connect.grpc.binding.port": str(port),
        "spark.connect.grpc.binding.address": "127.0.0.1",
    }
    command = [f"{home}/bin/spark-submit", "--master", master]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--name", "connect"]
    for name, value in {**settings, "spark.log.level": "INFO"}.items():
        command += ["--conf", f"{name}={value}"]
    with running([*command, "spark-internal"], work / "connect.log", environment):
        wait_for(work / "connect.log", "Spark Connect server started")
        yield f"sc://127.0.0.1:{port}"


def spark_home() -> str:
    import pyspark

    return str(Path(pyspark.__file__).parent)


def prepare(companies: int, work: Path) -> None:
    """Report files of the sandbox, and the local store with them and the lender's tables."""
    import xray_analytics as xa

    sandbox = xa.Sandbox(companies=companies, seed=7)
    archive = work / "archive"
    archive.mkdir()
    for report_id in sandbox.economy.report_ids():
        (archive / f"{report_id}.json").write_bytes(sandbox.economy.report_body(report_id))
    from xray_analytics.sandbox.payloads.reports import encode

    for request_id in sandbox.economy.request_owners:
        (archive / f"{request_id}.json").write_bytes(encode({"request": sandbox.economy.request(request_id)}))
    store = xa.Store(work / "store")
    xa.import_files([archive], store)
    for name in ("companies", "loans", "exposures", "outcomes"):
        xa.attach(store, getattr(sandbox, name)(), table=name)


def measure(side: str, work: Path, only: list[str]) -> int:
    """Every analysis, then the archive; the answers go to a file of that side."""
    import warnings

    warnings.simplefilter("ignore")  # of Spark's own, about pandas
    sys.path[:0] = [str(TESTS)]
    import test_engines as engines

    import xray_analytics as xa

    snapshot, found, seconds = xa.Store(work / "store").snapshot(), {}, {}
    engine = "duckdb" if side == "duckdb" else "spark"
    with costs() as spent:
        for name, (names, question) in engines.ANALYSES.items():
            if only and name not in only:
                continue
            before = time.perf_counter()
            found[name] = engines.parts(question(*(snapshot.scan(table, engine=engine) for table in names)))
            seconds[name] = time.perf_counter() - before
    (work / f"{side}.pickle").write_bytes(pickle.dumps(found))
    tidied, n_rows = time.perf_counter(), 0
    if side != "duckdb":
        at = snapshot.read("reports", columns=["fetched_at"])["fetched_at"].iloc[0].to_pydatetime()
        totals = xa.scale.tidy_archive(work / "archive", str(work / f"lake-{side}"), fetched_at=at, tasks=4)
        n_rows = sum(totals.rows.values())
    return tell(spent, analyses=len(found), tidy_wall=time.perf_counter() - tidied, rows=n_rows, seconds=seconds)


def compare(side: str, work: Path) -> int:
    """Fails where an analysis or a row differs from the local one; the number of tables that have rows."""
    sys.path[:0] = [str(TESTS)]
    import test_engines as engines

    import xray_analytics as xa

    ours, theirs = (pickle.loads((work / f"{name}.pickle").read_bytes()) for name in ("duckdb", side))
    assert ours.keys() == theirs.keys()
    for name in ours:
        engines.same(theirs[name], ours[name])
    local = xa.Store(work / "store").snapshot()
    there = xa.PublishedStore(work / f"lake-{side}", cache=work / f"cache-{side}").snapshot()
    lender = {table.name for table in xa.tables.LENDER_TABLES}
    compared = [name for name in xa.tables.TABLES if name not in lender | {"runs"}]
    for name in compared:
        assert there.arrow(name).equals(local.arrow(name)), f"{side}: {name} differs"
    return sum(local.arrow(name).num_rows > 0 for name in compared)


def environment_of(side: str, master: str, connect: str) -> dict[str, str]:
    if side == "cluster":
        options = " ".join(f"--conf {name}={value}" for name, value in SESSION.items())
        return {"PYSPARK_SUBMIT_ARGS": f"--master {master} {options} pyspark-shell", "PYSPARK_PYTHON": sys.executable}
    return {"SPARK_REMOTE": connect} if side == "connect" else {}


def run(arguments: argparse.Namespace, work: Path) -> None:
    prepare(arguments.companies, work)
    pythons = {"duckdb": sys.executable, "cluster": sys.executable, "connect": arguments.connect_python}
    found: dict[str, Any] = {}
    with cluster(work) as master:
        for side, python in pythons.items():
            if python is None:
                print("connect: left out; name a Python that has pyspark-client with --connect-python")
                continue
            with ExitStack() as stack:
                server = stack.enter_context(connect_server(master, work)) if side == "connect" else ""
                command = [python, __file__, "--side", side, "--keep", str(work), "--only", *arguments.only]
                found[side] = child(command, environment=environment_of(side, master, server))
    for side, one in found.items():
        tables = "" if side == "duckdb" else f", archive tidied in {one['tidy_wall']:.0f} s ({one['rows']:,} rows)"
        print(f"{side:<8} {one['analyses']} analyses in {one['wall']:.1f} s wall{tables}")
        if side != "duckdb":
            print(f"         all equal to DuckDB at 1e-9; {compare(side, work)} tables equal to the local ingest")
    slowest = sorted(found["cluster"]["seconds"].items(), key=lambda item: -item[1])[:3]
    print("slowest on the cluster: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, default=40)
    parser.add_argument("--connect-python", help="a Python with pyspark-client")
    parser.add_argument("--only", nargs="*", default=[], help="these analyses only")
    parser.add_argument("--keep", type=Path, help="new folder for everything, kept; default a temporary one")
    parser.add_argument("--side", choices=("duckdb", "cluster", "connect"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return measure(arguments.side, arguments.keep, arguments.only)
    with tempfile.TemporaryDirectory() as folder:
        work = (arguments.keep or Path(folder)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        run(arguments, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
