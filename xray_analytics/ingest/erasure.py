"""A company leaves the store: its reports, its requests, what the lender said of it, and every trace on the disk.

What names it goes from every table, the rest of each table stays as it was; the commit that says so is the new root of
history, and the files before it are removed at once. Keyed hashes of its ids stay behind, so that no sync brings it
back. Copies outside the store (exports, reports, backups) are not reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa

from .. import tables
from ..api.journal import Journal
from ..errors import InputError, StoreError
from ..grammar import identity
from ..settings import DEFAULT_SOURCES
from ..store import Manifest, Store, Writer, erasure, tombstones
from ..tidy.batch import Received, Tidied, tidy
from ..tidy.layout import Given, layouts_of
from .rebuild import run_row
from .subject import REFUSED, Subject

Tidy = Callable[[list[Received]], Tidied]


@dataclass(frozen=True)
class Forgotten:
    """What was removed: rows per table, documents, lines of the journal, and files.

    ``n_mentions`` payloads of other companies still contain the company's code, as a counterparty of theirs for
    instance: they are records of those companies, and stay.
    """

    rows: dict[str, int]
    n_documents: int
    n_journal: int
    n_files: int
    n_mentions: int
    commit: int | None


def forget(  # noqa: PLR0913
    store: Store,
    company_id: str,
    *,
    journal: Journal | None = None,
    sources: Mapping[str, str] = DEFAULT_SOURCES,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    layout: Given = None,
) -> Forgotten:
    """Remove a company from the store, from all of its history, and for good.

    Its requests are those that carry its code in any version; its reports those of these requests and those that carry
    the code themselves. In quarantine, a payload that names any of them goes. Killed at any moment it has either not
    begun, or the next command that writes finishes it; asked again, it says so.

    Parameters
    ----------
    store
        Locked meanwhile. Readers of older commits lose them.
    company_id
        The code in any spelling, such as the nine digits of a SIREN.
    journal
        The store's, if it has one: what it says of the company goes as well.
    sources, aliases, layout
        As in `import_files`, for reports whose layout the store does not remember: what the company's reports counted
        in ``drift`` is subtracted.

    Raises
    ------
    InputError
        There is no such company, and there never was.
    StoreError
        The store is locked, damaged or cannot be written.
    """
    again = partial(tidy, layout=layouts_of(layout, sources=sources, aliases=aliases))
    with store.writer() as writer:
        known = store.tombstones()  # the writer has finished an erasure that was killed
        subject = Subject.of_company(store, company_id, known)
        if not subject.is_stored:
            if company_id not in known:
                why = identity.doubt(company_id)
                raise InputError(f"nothing in {store.path} belongs to company {company_id!r}; check its code{why}")
            return Forgotten({}, 0, 0, 0, subject.n_mentions, None)
        return _erased(store, writer, subject, tidy=again, journal=journal)


def erase(
    store: Store, writer: Writer, request_ids: Iterable[str], *, tidy: Tidy, journal: Journal | None = None
) -> Manifest | None:
    """Erase what hangs on these requests of a company that was forgotten earlier; None where nothing does.

    For a run that holds the store's `writer` and has committed its own rows; `tidy` is the one that it tidies with.
    """
    subject = Subject.of_requests(store, request_ids, store.tombstones())
    if not subject.is_stored:
        return None
    _erased(store, writer, subject, tidy=tidy, journal=journal)
    return writer.head


def _erased(store: Store, writer: Writer, subject: Subject, *, tidy: Tidy, journal: Journal | None) -> Forgotten:
    # First: only while the store names its requests and reports can the journal be asked for them.
    n_journal = journal.forget(subject.ids | tombstones.plain(subject.texts)) if journal else 0
    started_at, rows = datetime.now(UTC), _removed(writer, subject)
    counted = tidy(subject.payloads)
    writer.omit(writer.live("drift"))
    writer.append("drift", _subtracted(store.stored("drift"), counted.tables["drift"], subject.has))
    writer.append("runs", run_row("forget", started_at, writer.number))
    tombstones.make_key(store.path)
    return replace(_published(store, writer, subject, rows), n_journal=n_journal)


def _removed(writer: Writer, subject: Subject) -> dict[str, int]:
    """Leave the company's rows out of the commit to come; rows by table."""
    counts = {}
    for name in writer.head.parts if writer.head else ():
        table = tables.table(name)
        deciding = tombstones.OWNERS | {tombstones.GROUP}
        deciding |= {*REFUSED} if table is tables.QUARANTINE else set()
        columns = [column for column in table.names if column in deciding]
        if columns:
            counts[name] = writer.alter(name, subject.without, columns)
    return {name: n for name, n in counts.items() if n}


def _subtracted(drift: pa.Table, counted: pa.Table, is_theirs: Callable[[str], bool]) -> pa.Table:
    """The drift without what the company's own reports counted, the commits that name one of them first."""

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["source"], row["json_path"], row["problem"], row["example"]

    left = Counter({key(row): row["n_reports"] for row in counted.to_pylist()})
    rows = []
    named = {row["first_report_id"] for row in drift.to_pylist()}
    theirs = {report_id for report_id in named if report_id is not None and is_theirs(report_id)}
    for row in sorted(drift.to_pylist(), key=lambda row: (row["first_report_id"] not in theirs, row["commit"] or 0)):
        taken = min(row["n_reports"], left[key(row)])
        left[key(row)] -= taken
        first = None if row["first_report_id"] in theirs else row["first_report_id"]
        if taken < row["n_reports"]:
            rows.append(row | {"n_reports": row["n_reports"] - taken, "first_report_id": first})
    return pa.Table.from_pylist(rows, schema=tables.DRIFT.arrow_schema)


def _published(store: Store, writer: Writer, subject: Subject, rows: dict[str, int]) -> Forgotten:
    """Commit, then remove every file of the history before."""
    before = writer.head.cursor if writer.head else {}
    cursor = _without_ids(before, subject.has)
    marks = sorted(store.tombstones().with_texts(subject.texts).marks)
    head = writer.commit(cursor={**cursor, tombstones.CURSOR_NAME: marks}, new_root=True)
    try:
        n_files = erasure.finish(store.path, head)
    except OSError as error:
        raise StoreError(
            f"store {store.path}: the company is out of every table, but old files are still there "
            f"({error.strerror}); the next command that writes, such as `xray compact`, removes them"
        ) from error
    n_documents = len(before.get("documents", {})) - len(cursor.get("documents", {}))
    return Forgotten(rows, n_documents, 0, n_files, subject.n_mentions, head.number)


def _without_ids(value: Any, is_theirs: Callable[[str], bool]) -> Any:
    """Plain JSON without the members and elements that are, or are named, one of the ids."""

    def is_kept(one: Any) -> bool:
        return type(one) is not str or not is_theirs(one)

    if isinstance(value, Mapping):
        return {k: _without_ids(v, is_theirs) for k, v in value.items() if is_kept(k) and is_kept(v)}
    if isinstance(value, list | tuple):
        return [_without_ids(v, is_theirs) for v in value if is_kept(v)]
    return value
