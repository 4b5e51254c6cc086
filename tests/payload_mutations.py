"""Small damage to payloads: values, members and bytes that a faulty or hostile service might send."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

# What no column expects: numbers at the edge of every width, texts that are none, days that do not exist.
ODD: tuple[Any, ...] = (
    2**31, 2**53 + 1, 2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64, 10**18, 10**30, 10**299, 1e308, 1e-320, -0.0,
    9.0, 0.1 + 0.2, 0, -1, True, False, None, "", " ", "\ud800", "x\udfff", "\U0001f600\x00", "é" * 5000, "1" * 400,
    "NaN", "2021-02-30", "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "2021-08-31T23:59:60Z", "10000-01-01", "-0001-01-01", [], {}, [None], [[]], {"": None}, {"\ud800": "\udc00"},
    {"a": {"\udfff": [1]}}, ["\ud800"], [True, "x"], [{"id": "x"}],
)  # fmt: skip
NAMES = ("", "\ud800", "a\udc00b", "extra", "a.b[0]", "*", "id", "raw", "x" * 3000, "é", "\x00")
TEXTS = (b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"1E+18", b"1e-400", b'"\\ud83d"', b'"\\u0000"', b"{", b"[")


def mutations(bodies: list[bytes], n: int, rng: random.Random) -> Iterator[bytes]:
    """So many payloads, each one of the bodies with one to three changes."""
    trees = [json.loads(body) for body in bodies]
    for _ in range(n):
        tree = copy.deepcopy(rng.choice(trees))
        for _ in range(rng.randint(1, 3)):
            _change_tree(tree, rng)
        body = json.dumps(tree, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")
        yield _changed_bytes(body, rng) if rng.random() < 0.3 else body


def _change_tree(tree: Any, rng: random.Random) -> None:
    """One value, member or element of the tree anew, missing, twice or somewhere else."""
    objects = [found for found in _containers(tree) if found] or [{"": None}]
    holder = rng.choice(objects)
    key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    kind = rng.randrange(6)
    if kind == 0 and isinstance(holder, dict):
        holder[rng.choice(NAMES)] = holder.pop(key)
    elif kind == 1:
        del holder[key]
    elif kind == 2 and isinstance(holder, dict):
        holder[rng.choice(NAMES)] = copy.deepcopy(rng.choice(ODD))
    elif kind == 3:
        holder[key] = copy.deepcopy(rng.choice(objects))
    elif kind == 4 and isinstance(holder, list):
        holder.insert(0, copy.deepcopy(rng.choice(ODD)))
    else:
        holder[key] = copy.deepcopy(rng.choice(ODD))


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _containers(item)


def _changed_bytes(body: bytes, rng: random.Random) -> bytes:
    at, kind = rng.randrange(len(body)), rng.randrange(6)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :]
    if kind == 2:
        return body.replace(b"null", rng.choice(TEXTS), 1) if b"null" in body else body + b"x"
    if kind == 3:
        start = body.find(b": ", at) + 2
        end = min((found for mark in b",}" if (found := body.find(mark, start)) >= 0), default=start)
        return body[:start] + rng.choice(TEXTS) + body[end:]
    if kind == 4:
        return body[:at] + rng.choice(TEXTS) + body[at:]
    return (b"\xef\xbb\xbf" + body, b"\xff\xfe" + body.decode("utf-8", "replace").encode("utf-16-le"))[at % 2]
