"""`kill -9` at any instant: a reader sees one commit, whole, and the next writer carries on.

The same loop must condemn a writer that overwrites two files in place, or it proves nothing.
"""

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_rows import day, make

from xray_analytics.errors import StoreError
from xray_analytics.store import Store

PER_REPORT = 400
Figure = Callable[[str, object], None]
DONE: Counter[str] = Counter()  # over all seeds
SPAWN = multiprocessing.get_context("forkserver")  # a server that has imported everything: a writer starts in 10 ms
SPAWN.set_forkserver_preload(["store_rows", "xray_analytics.store"])


def batch(number: int) -> tuple[pa.Table, pa.Table]:
    """The only rows commit `number` may hold: one report, and transactions that name it."""
    key = {"report_id": f"{number:024x}", "fetched_at": day(0)}
    rows = ({"report_id": key["report_id"], "transaction_no": i, "label": f"{number}"} for i in range(PER_REPORT))
    return make("reports", key | {"n_transactions": PER_REPORT}), make("transactions", *rows)


def write_for_ever(path: str, started: Event) -> None:
    started.set()
    with Store(path).writer() as writer:
        while True:
            reports, transactions = batch(writer.number)
            writer.append("reports", reports)
            writer.append("transactions", transactions)
            writer.commit(cursor={"done": writer.number})


def is_whole(store: Store) -> bool:
    """Whether a snapshot holds the first n batches, complete, and the cursor says n."""
    try:
        head = store.head
        if head is None:
            return True
        snapshot = store.snapshot()
        counts = snapshot.rows()
        reports = snapshot.arrow("reports", columns=["report_id"])["report_id"].to_pylist()
    except StoreError:
        return False
    n = snapshot.commit
    numbers = [int(report, 16) for report in reports]
    return (
        numbers == list(range(1, n + 1))
        and counts["transactions"] == n * PER_REPORT
        and snapshot.manifest.cursor == {"done": n}
    )


def overwrite_for_ever(path: str, started: Event) -> None:
    """A naive writer: two files that belong together, each overwritten in place."""
    started.set()
    n, found = 1, [make("reports"), make("transactions")]
    while True:
        found = [pa.concat_tables([old, new]) for old, new in zip(found, batch(n), strict=True)]
        for name, data in zip(("reports", "transactions"), found, strict=True):
            pq.write_table(data, Path(path) / f"{name}.parquet")
        n += 1


def is_whole_in_place(path: Path) -> bool:
    try:
        reports, transactions = (pq.read_table(path / f"{name}.parquet") for name in ("reports", "transactions"))
    except (OSError, pa.ArrowException):
        return False
    return bool(transactions.num_rows == PER_REPORT * reports.num_rows)


def start(writer: Callable[[str, Event], None], path: Path) -> BaseProcess:
    started = SPAWN.Event()
    child = SPAWN.Process(target=writer, args=(str(path), started))
    child.start()
    assert started.wait(200)
    return child


def kill_while_reading(child: BaseProcess, whole: Callable[[], bool], is_due: Callable[[], bool]) -> list[bool]:
    """Read beside a writer until it has got somewhere and a moment more, kill it, and read once more."""
    seen = []
    while not is_due():
        seen.append(whole())
        assert child.is_alive(), "the writer ended by itself"
    child.kill()
    child.join()
    return [*seen, whole()]


def is_later(begun: Callable[[], bool], pause: float) -> Callable[[], bool]:
    """Whether so many seconds have gone since something had begun: by the clock alone a busy machine gets nowhere."""
    ends: list[float] = []

    def is_due() -> bool:
        if not ends and begun():
            ends.append(time.monotonic() + pause)
        return bool(ends) and time.monotonic() >= ends[0]

    return is_due


def number(store: Store) -> int:
    return store.head.number if store.head else 0


def loop(path: Path, kills: int, seed: int) -> int:
    """The number of commits that the killed writers left."""
    rng, store, commits = random.Random(seed), Store(path / "store"), [0]
    for _ in range(kills):
        child, wanted = start(write_for_ever, store.path), commits[-1] + rng.randint(0, 1)
        is_due = is_later(lambda wanted=wanted: number(store) >= wanted, rng.uniform(0, 0.05))  # type: ignore[misc]
        assert all(kill_while_reading(child, partial(is_whole, store), is_due))
        commits.append(number(store))
    assert commits == sorted(commits)
    assert commits[-1] >= kills // 4, "the writers must get somewhere, or nothing was killed"
    assert store.verify() == []
    with store.writer() as writer:  # the lock went with the last writer, and staging is swept
        assert writer.number == commits[-1] + 1
        assert not list((store.path / "staging").iterdir())
    return commits[-1]


@pytest.mark.parametrize("seed", range(5))
def test_kill__old_or_new_and_the_lock_is_free(tmp_path: Path, figure: Figure, seed: int) -> None:
    DONE.update(commits=loop(tmp_path, kills=10, seed=seed), kills=10)
    left = f"{DONE['kills']} writers killed, {DONE['commits']} commits left by them, 0 torn or lost"
    figure("kill -9 at random times", left)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40))
def test_kill__a_thousand(tmp_path: Path, seed: int) -> None:
    loop(tmp_path, kills=25, seed=seed)


def test_control__a_naive_writer_is_condemned(tmp_path: Path, figure: Figure) -> None:
    """By what is left after a kill, not by what a reader saw in between."""
    rng = random.Random(2)
    for kills in range(1, 61):
        path = tmp_path / f"{kills}"
        path.mkdir()
        child = start(overwrite_for_ever, path)
        is_due = is_later(partial(is_whole_in_place, path), rng.uniform(0, 0.05))
        if not kill_while_reading(child, partial(is_whole_in_place, path), is_due)[-1]:
            figure("kill -9, control", f"a naive writer left torn files at kill {kills}")
            return
    pytest.fail("a harness that finds nothing proves nothing")


def write_ten(path: str, _: Event) -> None:
    done = 0
    while done < 10:
        try:
            with Store(path).writer() as writer:
                writer.append("reports", batch(writer.number)[0])
                done = done + (writer.commit().number > 0)
        except StoreError as error:
            if "locked" not in str(error):
                raise


def test_several_writers__no_commit_is_lost_or_doubled(tmp_path: Path, figure: Figure) -> None:
    store, started = Store(tmp_path / "store"), SPAWN.Event()
    children = [SPAWN.Process(target=write_ten, args=(str(store.path), started)) for _ in range(4)]
    for child in children:
        child.start()
    reads = 0
    while any(child.is_alive() for child in children):
        if store.head is not None:
            snapshot = store.snapshot()
            found = snapshot.read("reports", columns=["report_id"])["report_id"]
            assert [int(report, 16) for report in found] == list(range(1, snapshot.commit + 1))
            reads += 1
    assert [child.exitcode for child in children] == [0, 0, 0, 0]
    found = store.snapshot().read("reports", columns=["report_id"])["report_id"]
    assert [int(report, 16) for report in found] == list(range(1, 41))
    assert store.verify() == []
    figure("4 processes x 10 commits", f"40 commits, each there once; {reads} reads beside them, each of one commit")


def test_lock__is_held_by_another_process_and_freed_by_its_death(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    child = start(write_for_ever, store.path)
    while number(store) < 1:
        time.sleep(0.01)
    with pytest.raises(StoreError, match=f"locked: process {child.pid} is writing"), store.writer():
        pytest.fail("two writers")
    child.kill()
    child.join()
    with store.writer() as writer:
        assert writer.number > 1
