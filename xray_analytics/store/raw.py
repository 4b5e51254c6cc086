"""Deduplication of the bytes as received: in ``raw`` each body is stored once, with the first version that has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import StoreError
from . import parts
from .parts import Part


class RawBody(NamedTuple):
    """The bytes of one version of an object, as received."""

    kind: Literal["report", "request", "medium"]
    object_id: str
    object_version: int
    api_version: str | None
    fetched_at: datetime
    raw_sha256: str
    body: bytes


def each_body_once(rows: pa.Table, held: set[str]) -> pa.Table:
    """Deduplication: rows of ``raw`` without the bodies that are held already under their SHA-256; adds the others."""
    keep = []
    for sha256, is_null in zip(rows["raw_sha256"].to_pylist(), rows["body"].is_null().to_pylist(), strict=True):
        keep.append(sha256 not in held and not is_null)
        if not is_null:
            held.add(sha256)
    if all(keep):
        return rows
    kept = pc.if_else(pa.array(keep, pa.bool_()), rows["body"], pa.scalar(None, pa.binary()))
    return rows.set_column(rows.schema.get_field_index("body"), rows.schema.field("body"), kept)


def bodies(root: Path, live: Sequence[Part], lost: set[str] | None = None) -> Iterator[RawBody]:
    """Every version of every object in these parts with its bytes; versions that share bytes come last.

    Where bytes are missing their SHA-256 goes to `lost`, if that is given.

    Raises
    ------
    StoreError
        A part is damaged, or the bytes of a version are in none of them.
    """
    shared: dict[str, list[RawBody]] = {}
    for row in _rows(root, live):
        if row.body is None:
            shared.setdefault(row.raw_sha256, []).append(row)
        else:
            yield row
    for row in _rows(root, live) if shared else ():
        for other in shared.pop(row.raw_sha256, ()) if row.body is not None else ():
            yield other._replace(body=row.body)
    if lost is not None:
        lost.update(shared)
    elif shared:
        raise StoreError(f"store {root}: the bytes of {len(shared)} versions are missing; run `xray verify`")


def _rows(root: Path, live: Sequence[Part]) -> Iterator[RawBody]:
    names = list(RawBody._fields)
    for part in live:
        path = root / "parts" / "raw" / part.name
        parts.columns(path, part)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64, columns=names):
                columns = [batch.column(name).to_pylist() for name in names]
                yield from (RawBody(*row) for row in zip(*columns, strict=True))
