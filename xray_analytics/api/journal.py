"""Small durable facts beside the store: POSTs under way, webhook deliveries not yet fetched, waits not yet over.

What a method returned survives a crash and a power failure. Two processes may use one journal at the same time. It
holds ids and times, no names, no report: everything in it can be asked of the service again.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .. import files
from ..errors import StoreError, WebhookError
from ..grammar.identity import without_blanks

FORMAT = 1
BUSY_SECONDS = 30.0
# Assumed: a report may take this long to become readable, as the vendor says of its creation.
PATIENCE = timedelta(hours=48)
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
REMEMBERED = timedelta(days=30)  # how long a delivery that is over still keeps its replays away

_TABLES = """
CREATE TABLE IF NOT EXISTS intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, payload TEXT NOT NULL,
    created_at REAL NOT NULL, is_open INTEGER NOT NULL, outcome TEXT);
CREATE INDEX IF NOT EXISTS intents_by_key ON intents (kind, key);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, request_id TEXT NOT NULL,
    report_id TEXT NOT NULL UNIQUE, received_at REAL NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL,
    state TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_by_state ON deliveries (state, due_at);
CREATE TABLE IF NOT EXISTS waits (
    request_id TEXT NOT NULL, product TEXT NOT NULL, started_at REAL NOT NULL, deadline REAL NOT NULL,
    known TEXT NOT NULL, PRIMARY KEY (request_id, product));
"""


_ERASING = (
    "DELETE FROM deliveries WHERE ? IN (request_id, report_id, lower(request_id), lower(report_id))",
    "DELETE FROM waits WHERE ?1 IN (request_id, lower(request_id)) OR instr(lower(known), '\"' || lower(?1) || '\"')",
)


@dataclass(frozen=True)
class Intent:
    """A POST that was about to be sent; while it is open, nobody knows whether it arrived."""

    id: int
    kind: str
    key: str
    payload: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """A hint that a report may exist; nothing of it is data. ``attempts`` counts the fetches that found nothing."""

    id: int
    event: str
    request_id: str
    report_id: str
    received_at: datetime
    attempts: int


@dataclass(frozen=True)
class Wait:
    """A report that is waited for: any of the request and product that is not among the ``known`` ids."""

    request_id: str
    product: str
    started_at: datetime
    deadline: datetime
    known: frozenset[str]


class Journal:
    """The journal in one SQLite file; thread-safe, a context manager.

    Parameters
    ----------
    path
        The file; it is made, private to its owner, if it does not exist.
    max_pending
        How many deliveries may wait; `enqueue` refuses more.

    Raises
    ------
    StoreError
        The file cannot be opened, is damaged, or was written by a newer version of this package.

    Examples
    --------
    >>> import tempfile
    >>> with Journal(Path(tempfile.mkdtemp()) / "journal.sqlite3") as journal:
    ...     intent = journal.intend("request", "siren:732829320", {"type": "siren", "id": "732829320"})
    ...     before = [i.key for i in journal.open_intents("request")]
    ...     journal.settle(intent, {"request_id": "61b1aaa1015c69003931e945"})
    ...     before, journal.open_intents("request")
    (['siren:732829320'], [])
    """

    def __init__(self, path: str | os.PathLike[str], *, max_pending: int = 10_000) -> None:
        self.path, self.max_pending = Path(path), max_pending
        self._lock = threading.Lock()
        with self._translating():
            self._connection = _opened(self.path)

    @staticmethod
    def fault(path: str | os.PathLike[str]) -> str | None:
        """What is wrong with the file of a journal; None where it is whole, or there is none. Nothing is changed."""
        if not os.path.exists(path):
            return None
        # Without a log nobody has it open, and SQLite need not make one to read it.
        how = "mode=ro" if os.path.exists(f"{os.fspath(path)}-wal") else "immutable=1"
        try:
            with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?{how}", uri=True)) as connection:
                return _fault(connection)
        except UnicodeDecodeError:  # in SQLite's own words, which repeat what it met
            return "is damaged"
        except sqlite3.Error as error:
            return f"cannot be read ({type(error).__name__})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    def close(self) -> None:
        """Close the file; the journal cannot be used afterwards."""
        with self._lock, self._translating():
            self._connection.close()

    def intend(self, kind: str, key: str, payload: Mapping[str, Any]) -> int:
        """Note, before it is sent, a POST that must not happen twice; the number to `settle` it with.

        Parameters
        ----------
        kind, key
            What is created (``"request"``, ``"medium"``), and what tells it from others of its kind.
        payload
            What is needed to find it again: ids and plain values, no names of persons, no secrets.
        """
        with self._transaction() as run:
            row = (kind, key, json.dumps(dict(payload)), _number(datetime.now(UTC)))
            query = "INSERT INTO intents (kind, key, payload, created_at, is_open) VALUES (?, ?, ?, ?, 1) RETURNING id"
            return int(run(query, row).fetchone()[0])

    def settle(self, intent_id: int, outcome: Mapping[str, Any] | None) -> None:
        """Say what became of a POST: what it created, or None where it is certain that it created nothing."""
        with self._transaction() as run:
            text = None if outcome is None else json.dumps(dict(outcome))
            run("UPDATE intents SET is_open = 0, outcome = ? WHERE id = ?", (text, intent_id))

    def open_intents(self, kind: str) -> list[Intent]:
        """POSTs of a kind whose outcome is unknown, oldest first."""
        query = "SELECT id, kind, key, payload, created_at FROM intents WHERE is_open AND kind = ? ORDER BY id"
        with self._transaction() as run:
            rows = run(query, (kind,)).fetchall()
        return [Intent(i, k, key, json.loads(payload), _instant(at)) for i, k, key, payload, at in rows]

    def outcome(self, kind: str, key: str) -> dict[str, Any] | None:
        """What the newest POST of this kind and key created; None where none did."""
        query = "SELECT outcome FROM intents WHERE kind = ? AND key = ? AND outcome IS NOT NULL ORDER BY id DESC"
        with self._transaction() as run:
            row = run(query, (kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def outcomes(self, kind: str) -> list[dict[str, Any]]:
        """What all POSTs of this kind created, oldest first."""
        query = "SELECT outcome FROM intents WHERE kind = ? AND outcome IS NOT NULL ORDER BY id"
        with self._transaction() as run:
            rows = run(query, (kind,)).fetchall()
        return [json.loads(text) for (text,) in rows]

    def enqueue(self, event: str, request_id: str, report_id: str, received_at: datetime) -> bool:
        """Queue a delivery; False where the report is queued already or was fetched since.

        A report that was given up is queued again.

        Raises
        ------
        WebhookError
            ``max_pending`` deliveries wait already.
        """
        at = _number(received_at)
        with self._transaction() as run:
            row = run("SELECT state FROM deliveries WHERE report_id = ?", (report_id,)).fetchone()
            if row is not None and row[0] != "parked":
                return False
            (n_pending,) = run("SELECT count(*) FROM deliveries WHERE state = 'pending'").fetchone()
            if n_pending >= self.max_pending:
                raise WebhookError(f"journal {self.path}: {n_pending:,} deliveries wait already; run `xray sync`")
            insert = (
                "INSERT OR REPLACE INTO deliveries (event, request_id, report_id, received_at, due_at, attempts, state)"
                " VALUES (?, ?, ?, ?, ?, 0, 'pending')"
            )
            run(insert, (event, request_id, report_id, at, at))
            over = "DELETE FROM deliveries WHERE state <> 'pending' AND received_at < ?"
            run(over, (at - REMEMBERED.total_seconds(),))
            return True

    def pending(self, now: datetime) -> list[Delivery]:
        """Deliveries whose turn it is at `now`, in the order in which they came."""
        query = (
            "SELECT id, event, request_id, report_id, received_at, attempts FROM deliveries "
            "WHERE state = 'pending' AND due_at <= ? ORDER BY id"
        )
        with self._transaction() as run:
            rows = run(query, (_number(now),)).fetchall()
        return [Delivery(i, event, request, report, _instant(at), n) for i, event, request, report, at, n in rows]

    def done(self, *delivery_ids: int) -> None:
        """These deliveries led to their reports."""
        with self._transaction() as run:
            for delivery_id in delivery_ids:
                run("UPDATE deliveries SET state = 'done' WHERE id = ?", (delivery_id,))

    def retry_later(self, delivery_id: int, now: datetime) -> bool:
        """The report is not there yet: its next turn comes after a growing time, the last 48 h after reception.

        Returns
        -------
        bool
            False where that was the last: the delivery is parked, and only a listing can still find its report.
        """
        with self._transaction() as run:
            query = "SELECT received_at, attempts FROM deliveries WHERE id = ?"
            received_at, attempts = run(query, (delivery_id,)).fetchone()
            ends, at = received_at + PATIENCE.total_seconds(), _number(now)
            delay = min(FIRST_RETRY.total_seconds() * 2 ** min(attempts, 30), LONGEST_RETRY.total_seconds())
            state = "pending" if at < ends else "parked"
            update = "UPDATE deliveries SET attempts = attempts + 1, due_at = ?, state = ? WHERE id = ?"
            run(update, (min(at + delay, ends), state, delivery_id))
            return state == "pending"

    def counts(self) -> dict[str, int]:
        """How many deliveries are pending, done and parked."""
        with self._transaction() as run:
            rows = run("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall()
        return {"pending": 0, "done": 0, "parked": 0, **dict(rows)}

    def start_wait(self, request_id: str, product: str, deadline: datetime, known: Iterable[str] = ()) -> Wait:
        """Note that a report is waited for; an open wait keeps the ids it knew and takes the new deadline."""
        row = (request_id, product, _number(datetime.now(UTC)), _number(deadline), json.dumps(sorted(known)))
        with self._transaction() as run:
            run(
                "INSERT INTO waits (request_id, product, started_at, deadline, known) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET deadline = excluded.deadline",
                row,
            )
        return next(w for w in self.waits() if (w.request_id, w.product) == (request_id, product))

    def waits(self) -> list[Wait]:
        """The waits that are not over, oldest first."""
        query = "SELECT request_id, product, started_at, deadline, known FROM waits ORDER BY started_at, rowid"
        with self._transaction() as run:
            rows = run(query).fetchall()
        return [Wait(r, p, _instant(a), _instant(d), frozenset(json.loads(k))) for r, p, a, d, k in rows]

    def finish_wait(self, request_id: str, product: str) -> None:
        """The wait is over, however it ended."""
        with self._transaction() as run:
            run("DELETE FROM waits WHERE request_id = ? AND product = ?", (request_id, product))

    def forget(self, ids: Iterable[str]) -> int:
        """Erase every line about these requests and reports, so that no byte of them stays; how many lines that were.

        Lines about POSTs go where one of the ids is a word of them, as in the key ``siren:732829320``, with or without
        blanks in it; ids in upper case go with those in lower case.

        Raises
        ------
        StoreError
            Another process reads the journal for so long that old bytes cannot leave its files.
        """
        gone, n_rows = set(ids), 0
        with self._transaction() as run:
            for one in gone:
                n_rows += sum(run(query, (one,)).rowcount for query in _ERASING)
            for intent_id in _intents_about(gone, run("SELECT id, key, payload, outcome FROM intents").fetchall()):
                n_rows += run("DELETE FROM intents WHERE id = ?", (intent_id,)).rowcount
        self._shred()
        return n_rows

    def black_out(self, *delivery_ids: int) -> None:
        """Keep these deliveries without the ids of their request and report, so that no byte of those stays.

        Raises
        ------
        StoreError
            As `forget`.
        """
        with self._transaction() as run:
            for delivery_id in delivery_ids:
                query = "UPDATE deliveries SET request_id = '', report_id = 'forgotten-' || id WHERE id = ?"
                run(query, (delivery_id,))
        self._shred()

    def _shred(self) -> None:
        """Write the file anew without the pages that deleted rows left, and cut its log to nothing."""
        with self._lock, self._translating():
            self._connection.execute("VACUUM")
            (is_busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise StoreError(
                f"journal {self.path}: another process is reading it, so that what is erased would stay in its log; "
                "end that process, such as `xray webhook serve`, and run the command again"
            )

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """One transaction, on disk when it ends; yields what runs a statement in it."""
        with self._lock, self._translating():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            problem = getattr(error, "strerror", None) or error
            advice = "check its disk, owner and mode, or move the file away: `xray sync --full` finds every report"
            raise StoreError(f"journal {self.path} cannot be used ({problem}); {advice}") from error


def _intents_about(ids: set[str], rows: list[tuple[int, str, str, str | None]]) -> list[int]:
    """The numbers of the lines in which one of the ids is a word, and not only a part of one."""
    words = "|".join(sorted(map(re.escape, ids)))
    naming = re.compile(f"(?<![0-9a-z])(?:{words})(?![0-9a-z])", re.IGNORECASE)
    found = []
    for intent_id, key, *said in rows:
        plain = [json.dumps(json.loads(text), ensure_ascii=False) for text in said if text is not None]
        if any(naming.search(text) or naming.search(without_blanks(text)) for text in (key, *plain)):
            found.append(intent_id)
    return found


def _opened(path: Path) -> sqlite3.Connection:
    os.makedirs(path.parent, mode=0o700, exist_ok=True)
    files.claim(path)  # SQLite gives its other files the same mode
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _fault(connection: sqlite3.Connection) -> str | None:
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    (written_by,) = connection.execute("PRAGMA user_version").fetchone()
    if found != "ok" or written_by != FORMAT:
        return "is damaged" if found != "ok" else f"has format {written_by}, this version reads {FORMAT}"
    for query in _PLAUSIBLE:
        if connection.execute(query).fetchone() is not None:
            return "holds a line that this package cannot have written"
    return None


# Rows that nothing here writes: SQLite itself has no check sums, and takes a flipped bit in a value for that value.
_PLAUSIBLE = (
    "SELECT 1 FROM intents WHERE is_open NOT IN (0, 1) OR NOT json_valid(payload) OR NOT json_valid(coalesce(outcome, "
    "'{}')) OR typeof(created_at) <> 'real' OR kind NOT IN ('request', 'medium')",
    "SELECT 1 FROM deliveries WHERE state NOT IN ('pending', 'done', 'parked') OR attempts < 0 OR typeof(due_at) <> "
    "'real' OR typeof(received_at) <> 'real' OR report_id GLOB '*[^0-9A-Za-z_-]*'",
    "SELECT 1 FROM waits WHERE NOT json_valid(known) OR typeof(started_at) <> 'real' OR typeof(deadline) <> 'real'",
)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise StoreError(f"journal {path} has format {found}, this version reads {FORMAT}; upgrade xray-analytics")
    if found < FORMAT:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")


def _number(moment: datetime) -> float:
    return moment.timestamp()


def _instant(number: float) -> datetime:
    return datetime.fromtimestamp(number, UTC)
