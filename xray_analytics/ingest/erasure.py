"""A company leaves the store: its reports, its requests, what the lender said of it, and every trace on the disk.

What names it goes from every table, the rest of each table stays as it was; the commit that says so is the new root of
history, and the files before it are removed at once. Keyed hashes of its ids stay behind, so that no sync brings it
back. Copies outside the store (exports, reports, backups) are not reached.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .. import tables
from ..api.journal import Journal
from ..errors import InputError, StoreError
from ..settings import DEFAULT_SOURCES
from ..store import Store, Writer, erasure, tombstones
from ..tidy.batch import Received, tidy
from ..tidy.transactions import with_shipped
from .rebuild import run_row

# The columns that say whose a row is; in a table that has several, any of them.
_OWNERS = frozenset(("report_id", "request_id", "medium_id", "object_id", "company_id"))


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


def forget(
    store: Store,
    company_id: str,
    *,
    journal: Journal | None = None,
    sources: Mapping[str, str] = DEFAULT_SOURCES,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
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
        The code as stored, such as the nine digits of a SIREN.
    journal
        The store's, if it has one: what it says of the company goes as well.
    sources, aliases
        As in `sync`: what the company's reports counted in ``drift`` is subtracted.

    Raises
    ------
    InputError
        There is no such company, and there never was.
    StoreError
        The store is locked, damaged or cannot be written.
    """
    with store.writer() as writer:
        known = store.tombstones()  # the writer has finished an erasure that was killed
        subject = _Subject.of(store, company_id)
        if not subject.is_stored:
            if company_id not in known:
                raise InputError(f"nothing in {store.path} belongs to company {company_id!r}; check its code")
            return Forgotten({}, 0, 0, 0, subject.n_mentions, None)
        # First: only while the store names its requests and reports can the journal be asked for them.
        n_journal = journal.forget(subject.ids) if journal else 0
        started_at, rows = datetime.now(UTC), _removed(writer, subject)
        counted = tidy(subject.payloads, aliases=with_shipped(aliases), sources=sources)
        writer.omit(writer.live("drift"))
        writer.append("drift", _subtracted(store.stored("drift"), counted.tables["drift"], subject.ids))
        writer.append("runs", run_row("forget", started_at, writer.number))
        tombstones.make_key(store.path)
        return replace(_published(store, writer, subject, rows), n_journal=n_journal)


@dataclass(frozen=True)
class _Subject:
    """The company's code with the ids of all that belongs to it, and its payloads."""

    company_id: str
    ids: frozenset[str]
    is_stored: bool
    payloads: list[Received]
    n_mentions: int

    @classmethod
    def of(cls, store: Store, company_id: str) -> _Subject:
        ids = _owned(store, company_id)
        known = {i for name in ("request", "report") for i in store.stored(f"{name}s", [f"{name}_id"])[0].to_pylist()}
        payloads, n_mentions, code, names = [], 0, _naming({company_id}), _naming(ids)
        for row in store.bodies():
            if row.object_id in ids or (row.object_id not in known and names.search(row.body)):
                payloads.append(Received(row.body, row.fetched_at, row.object_id, None, row.api_version))
                ids.add(row.object_id)
            else:
                n_mentions += code.search(row.body) is not None
        is_stored = (
            len(ids) > 1
            or any(company_id in store.stored(t.name, ["company_id"])[0].to_pylist() for t in tables.LENDER_TABLES)
            or any(body and code.search(body) for body in store.stored("quarantine", ["body"])[0].to_pylist())
        )
        return cls(company_id, frozenset(ids), is_stored, payloads, n_mentions)

    def without(self, rows: pa.Table) -> pa.Table:
        """The rows that are not the company's; that another company is in its group is not said any more."""
        ids, gone = pa.array(sorted(self.ids), pa.string()), pa.array([False] * len(rows), pa.bool_())
        for name in _OWNERS & set(rows.column_names):
            gone = pc.or_(gone, pc.is_in(rows[name], ids))
        if "stage" in rows.column_names and "body" in rows.column_names:
            names = _naming(self.ids)
            bodies = [body is not None and names.search(body) is not None for body in rows["body"].to_pylist()]
            gone = pc.or_(gone, pa.array(bodies, pa.bool_()))
        if "group_id" in rows.column_names:
            group = pc.if_else(pc.is_in(rows["group_id"], ids), pa.scalar(None, pa.string()), rows["group_id"])
            rows = rows.set_column(rows.schema.get_field_index("group_id"), rows.schema.field("group_id"), group)
        return rows.filter(pc.invert(gone))


def _owned(store: Store, company_id: str) -> set[str]:
    """The code, and the ids of the requests, reports and media that belong to it."""

    def ids_where(table: str, owner: str, owners: set[str]) -> set[str]:
        found = store.stored(table, [tables.table(table).key[0], owner])
        return {i for i, of in zip(found[0].to_pylist(), found[1].to_pylist(), strict=True) if of in owners}

    requests = ids_where("requests", "company_id", {company_id})
    reports = ids_where("reports", "company_id", {company_id}) | ids_where("reports", "request_id", requests)
    return {company_id} | requests | reports | ids_where("media", "request_id", requests)


def _naming(ids: Iterable[str]) -> re.Pattern[bytes]:
    """Any of the ids as a word of its own."""
    return re.compile(
        rb"(?<![0-9A-Za-z])(?:" + b"|".join(re.escape(i.encode()) for i in sorted(ids)) + rb")(?![0-9A-Za-z])"
    )


def _removed(writer: Writer, subject: _Subject) -> dict[str, int]:
    """Leave the company's rows out of the commit to come; rows by table."""
    counts = {}
    for name in writer.head.parts if writer.head else ():
        table = tables.table(name)
        deciding = _OWNERS | {"group_id"} | ({"stage", "body"} if table is tables.QUARANTINE else set())
        columns = [column for column in table.names if column in deciding]
        if columns:
            counts[name] = writer.alter(name, subject.without, columns)
    return {name: n for name, n in counts.items() if n}


def _subtracted(drift: pa.Table, counted: pa.Table, ids: Collection[str]) -> pa.Table:
    """The drift without what the company's own reports counted, the commits that name one of them first."""

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["source"], row["json_path"], row["problem"], row["example"]

    left = Counter({key(row): row["n_reports"] for row in counted.to_pylist()})
    rows = []
    for row in sorted(drift.to_pylist(), key=lambda row: (row["first_report_id"] not in ids, row["commit"] or 0)):
        taken = min(row["n_reports"], left[key(row)])
        left[key(row)] -= taken
        first = None if row["first_report_id"] in ids else row["first_report_id"]
        if taken < row["n_reports"]:
            rows.append(row | {"n_reports": row["n_reports"] - taken, "first_report_id": first})
    return pa.Table.from_pylist(rows, schema=tables.DRIFT.arrow_schema)


def _published(store: Store, writer: Writer, subject: _Subject, rows: dict[str, int]) -> Forgotten:
    """Commit, then remove every file of the history before."""
    before = writer.head.cursor if writer.head else {}
    cursor = _without_ids(before, subject.ids)
    marks = sorted(store.tombstones().with_ids(subject.ids).marks)
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


def _without_ids(value: Any, ids: Collection[str]) -> Any:
    """Plain JSON without the members and elements that are, or are named, one of the ids."""
    if isinstance(value, Mapping):
        return {
            k: _without_ids(v, ids) for k, v in value.items() if k not in ids and (type(v) is not str or v not in ids)
        }
    if isinstance(value, list | tuple):
        return [_without_ids(v, ids) for v in value if type(v) is not str or v not in ids]
    return value
