"""Other products, Doc, ESG, Manager and unknown reports: every scalar of a payload whose members are not documented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from .decode import Json
from .fields import read_mixed
from .rows import Product, Row

_WORDS = {int: "number", float: "number", str: "text", bool: "bool", type(None): "null"}


def read_other(raw: Json) -> Product:
    """One row of `other_facts` per scalar, by its path below `raw`.

    >>> read_other({"score": "B", "items": [{"ok": True}]}).rows["other_facts"]
    [('score', None, 'B', 'text'), ('items[0].ok', None, 'true', 'bool')]
    """
    facts: list[Row] = [
        (path, *read_mixed(value, f"raw.{path}"), _WORDS.get(type(value), "number"))
        for path, value in _scalars(raw, "")
    ]
    return Product(report={"is_rated": False}, rows={"other_facts": facts})


def _scalars(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    if type(value) is dict:
        for name, child in value.items():
            step = name if re.fullmatch(r"\w+", name) else f"[{json.dumps(name, ensure_ascii=False)}]"
            yield from _scalars(child, f"{path}.{step}" if path and not step.startswith("[") else path + step)
    elif type(value) is list:
        for at, child in enumerate(value):
            yield from _scalars(child, f"{path}[{at}]")
    else:
        yield path, value
