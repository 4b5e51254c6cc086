"""What an export says about itself: `datapackage.json`, in the form of the Frictionless Data Package (version 1).

Each resource has its schema with units and meanings, its size and SHA-256. Under ``xray`` stands what it takes to
trust the data and to make them again: counts, control sums and a digest of every column that no file format or library
version changes, the terms, the commit of the store, versions and the command.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd

from ..schema import Column

FORMAT = 1
_LIBRARIES = ("xray-analytics", "pandas", "numpy", "scipy", "pyarrow", "xlsxwriter")
_TYPES = {"id": "string", "text": "string", "date": "date", "int": "integer", "float": "number", "bool": "boolean"}
_MEDIA_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "feather": "application/vnd.apache.arrow.file",
    "stata": "application/x-stata",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def field(column: Column) -> dict[str, Any]:
    """The schema of a column; its unit stands beside its meaning."""
    described = {"name": column.name, "type": _TYPES[column.kind], "description": column.doc}
    if column.unit:
        described["unit"] = column.unit
    if column.required:
        described["constraints"] = {"required": True}  # type: ignore[assignment]
    return described


def resource(  # noqa: PLR0913
    name: str, path: str, data: bytes, *, form: str, columns: Sequence[Column], key: Sequence[str]
) -> dict[str, Any]:
    """One file."""
    described: dict[str, Any] = {
        "name": name, "path": path, "profile": "tabular-data-resource", "format": form, "mediatype": _MEDIA_TYPES[form],
        "encoding": "utf-8", "bytes": len(data), "hash": f"sha256:{hashlib.sha256(data).hexdigest()}",
    }  # fmt: skip
    if path.endswith(".gz"):
        described["compression"] = "gz"
    return described | {
        "schema": {"fields": [field(c) for c in columns], "primaryKey": list(key), "missingValues": [""]}
    }


def control(frame: pd.DataFrame, columns: Iterable[Column]) -> dict[str, dict[str, Any]]:
    """Of each column: values that are not null, their exact sum where they are numbers, and a digest of all rows.

    >>> frame = pd.DataFrame({"a": [0.1, None, 0.2]})
    >>> control(frame, [Column("a", "float", "")])["a"]["n"], control(frame, [Column("a", "float", "")])["a"]["sum"]
    (2, 0.30000000000000004)
    """
    found = {}
    for column in columns:
        values = frame[column.name]
        present = values.dropna()
        sums: dict[str, Any] = {"n": len(present)}
        if column.kind in ("int", "bool"):
            sums["sum"] = int(present.astype("int64").sum())
        elif column.kind == "float":
            sums["sum"] = math.fsum(present)
        texts = [_canonical(value, column.kind) for value in values.tolist()]
        sums["sha256"] = hashlib.sha256("\x1e".join(texts).encode()).hexdigest()
        found[column.name] = sums
    return found


def _canonical(value: Any, kind: str) -> str:
    """A value as text that no library decides; null is one character that no text of ours is."""
    if pd.isna(value):
        return "\x00"
    if kind == "float":
        return repr(float(value))
    if kind == "date":
        return str(value.date().isoformat())
    return str(int(value)) if kind in ("int", "bool") else str(value)


def content_digest(sums: Mapping[str, Mapping[str, Any]]) -> str:
    """One SHA-256 for names and values, whatever the files are."""
    lines = [f"{name} {found['sha256']}" for name, found in sums.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of Python, of this package and of the libraries that decide the bytes."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def encode(described: Mapping[str, Any]) -> bytes:
    """The file; a number that JSON does not have is refused."""
    return (json.dumps(described, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
