"""A document that was uploaded: its row in `media`, from what was sent and what the service answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from ..errors import ReportError
from ..tables import MEDIA
from .arrow_tables import table_of
from .decode import Json, to_json
from .drift import DriftNotes
from .fields import Members, PayloadPlace, fields_of, read_members

_MEDIUM = fields_of((c for c in MEDIA.columns if not (c.source or "").startswith("meta.")), optional=("creation",))
_META = fields_of(MEDIA.columns, "meta.", optional=("period", "date"))


def media_table(media: Mapping[str, tuple[Mapping[str, Any], datetime]]) -> pa.Table:
    """Rows of `media`, one per id: the object, and when it was answered [UTC].

    What the answer says in another form than is documented stays in `extra`, so that no document is missing for it.

    >>> at = datetime.fromisoformat("2025-07-01T10:00:00+00:00")
    >>> medium = {"id": "m", "request": "r", "status": "online", "creation": "soon", "meta": {"size": 4911}}
    >>> media_table({"m": (medium, at)}).select(["medium_id", "size_bytes", "created_at", "extra"]).to_pylist()
    [{'medium_id': 'm', 'size_bytes': 4911, 'created_at': None, 'extra': '{"creation":"soon"}'}]
    """
    return table_of(MEDIA, [_row(medium, at) for medium, at in media.values()])


def _row(medium: Mapping[str, Json], at: datetime) -> tuple[Any, ...]:
    values: dict[str, Any] = {"fetched_at": at}
    extra: dict[str, Json] = {}
    for name, value in medium.items():
        fields, members = (
            (_META, dict(value)) if name == "meta" and isinstance(value, dict) else (_MEDIUM, {name: value})
        )
        for member, one in members.items():
            found = _read(member, one, fields)
            if found is None:
                extra[member if fields is _MEDIUM else f"meta.{member}"] = one
            else:
                values |= found
    values["extra"] = to_json(extra) if extra else None
    return tuple(values.get(name) for name in MEDIA.names)


def _read(name: str, value: Json, members: Members) -> dict[str, Any] | None:
    """The value by its column; None where no column takes it."""
    if name not in members.fields:
        return None
    try:
        row, left = read_members({name: value}, members, PayloadPlace(""), DriftNotes())
    except ReportError:
        return None
    field = members.fields[name]
    return None if left else {field.column.name: row[field.position]}
