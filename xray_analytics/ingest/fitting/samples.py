"""Samples: the trees of some reports, the lists and maps in them, and the values at every path."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import ReportError
from ...tidy.batch import Received
from ...tidy.decode import Json, parse
from ...tidy.drift import type_name
from ...tidy.fields import Unexpected
from ...tidy.layout import DATE_FORMS, Values
from ...tidy.layout.values import NUMBER, day_of
from ..files import find, payloads
from .words import plain

MOST_VALUES = 4000  # of a path that are looked at
_NAME = re.compile(r"[A-Za-z_\u00c0-\u024f][\w\u00c0-\u024f]{0,39}(?:\[\]|\{\})*")
_IDS = ("id", "reportid", "uuid")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", re.ASCII)


@dataclass
class Leaf:
    """The values at one path of the elements of a part; `n` is the number of elements."""

    path: str
    n: int = 0
    values: list[Json] = field(default_factory=list)

    @property
    def is_number(self) -> bool:
        """Whether all values are numbers, or texts that are read as one."""
        return self.share(lambda v: type(v) in (int, float) or number_texts(v)) >= 0.99

    @property
    def is_text(self) -> bool:
        """Whether all values are texts."""
        return self.share(lambda v: type(v) is str) >= 0.99

    @property
    def is_list(self) -> bool:
        """Whether all values are lists of texts."""
        return self.share(lambda v: type(v) is list and all(type(one) is str for one in v)) >= 0.99

    def share(self, is_so: Any) -> float:
        """The share of the values that are so; 0 without values."""
        return sum(map(bool, map(is_so, self.values))) / len(self.values) if self.values else 0.0

    def date_forms(self) -> list[str]:
        """The forms that read nearly every value as a day."""
        return [form for form in DATE_FORMS if self.share(partial(is_day, form=form)) >= 0.99]

    @property
    def is_date(self) -> bool:
        """Whether some form reads nearly every value as a day."""
        return bool(self.date_forms())

    @property
    def has_instants(self) -> bool:
        """Whether values are instants, which are days only in a zone."""
        return any((type(v) is str and _INSTANT.fullmatch(v)) or is_epoch(v) for v in self.values[:200])


def is_day(value: Json, form: str) -> bool:
    """Whether one form reads a value as a day between 1990 and 2100; an instant in any zone is one."""
    try:
        day = day_of(value, values=Values(dates=[form], zone="UTC"))
    except (Unexpected, TypeError):
        return False
    return 1990 <= day.year < 2100


def is_epoch(value: Json) -> bool:
    """Whether a value counts seconds or milliseconds."""
    return is_day(value, "epoch_s") or is_day(value, "epoch_ms")


def number_texts(value: Json) -> list[str]:
    """The decimal signs with which a text is a number."""
    return [sign for sign, form in NUMBER.items() if form.fullmatch(value.strip())] if type(value) is str else []


@dataclass
class Group:
    """A list or map of objects, by its path from the report: its elements in all samples, and what is in them."""

    path: str
    elements: list[Json] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def leaves(self) -> dict[str, Leaf]:
        """The values of each member, those of objects inside by their paths."""
        found: dict[str, Leaf] = {}
        for element in self.elements:
            if type(element) is not dict:
                found.setdefault("", Leaf("")).values.append(element)
                continue
            for path, value in _members(element):
                leaf = found.setdefault(path, Leaf(path))
                leaf.n += 1
                if value is not None and len(leaf.values) < MOST_VALUES:
                    leaf.values.append(value)
        return {path: leaf for path, leaf in found.items() if leaf.values}


def _members(element: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for name, value in element.items():
        if type(value) is dict:
            yield from ((f"{name}.{below}", one) for below, one in value.items() if type(one) is not dict)
        else:
            yield name, value


def unwrapped(tree: Json) -> tuple[str, Json]:
    """The envelope of a report, and the report: what is the only object of its envelope and has an id."""
    if type(tree) is not dict:
        return "", None
    inside = {name: value for name, value in tree.items() if type(value) is dict}
    if len(inside) == 1:
        name, value = next(iter(inside.items()))
        if any(plain(member) in _IDS for member in value) and any(type(v) in (dict, list) for v in value.values()):
            return name, value
    return "", tree


def groups_of(reports: Iterable[Mapping[str, Json]]) -> dict[str, Group]:
    """Every list of objects, and every map whose values are alike, in all reports."""
    found: dict[str, Group] = {}
    for report in reports:
        for path, element, key in _walk(report, ""):
            group = found.setdefault(path, Group(path))
            group.elements.append(element)
            if key is not None:
                group.keys.append(key)
    return found


def _walk(node: Json, path: str, depth: int = 0) -> Iterator[tuple[str, Json, str | None]]:
    if depth > 6 or type(node) is not dict:
        return
    for name, value in node.items():
        here = f"{path}.{name}" if path else name
        if type(value) is list:
            yield from _each(value, f"{here}[]", depth)
        elif type(value) is dict:
            if _is_map(value):
                for key, one in value.items():
                    if type(one) is list:
                        yield from _each(one, f"{here}{{}}[]", depth, key)
                    else:
                        yield f"{here}{{}}", one, key
            yield from _walk(value, here, depth + 1)


def _each(
    items: Sequence[Json], path: str, depth: int, key: str | None = None
) -> Iterator[tuple[str, Json, str | None]]:
    for item in items:
        if type(item) is dict:
            yield path, item, key
            yield from _walk(item, path, depth + 1)


def _is_map(value: Mapping[str, Json]) -> bool:
    """Whether values are all objects, all lists of objects, or all numbers."""
    if len(value) < 2:
        return len(value) == 1 and type(next(iter(value.values()))) is list and bool(next(iter(value.values())))
    kinds = {type(one) for one in value.values()}
    if kinds == {dict}:
        shapes = [frozenset(one) for one in value.values()]
        return len(set(shapes)) == 1 or len(frozenset.intersection(*shapes)) > 0
    if kinds == {list}:
        return all(type(one) is dict for each in value.values() for one in each)
    return kinds <= {int, float} and len(value) > 2


def scalars_of(reports: Iterable[Mapping[str, Json]]) -> dict[str, Leaf]:
    """The values outside of lists, by their paths from the report."""
    found: dict[str, Leaf] = defaultdict(lambda: Leaf(""))
    for report in reports:
        for path, value in _scalars(report, ""):
            leaf = found[path]
            leaf.path, leaf.n = path, leaf.n + 1
            if value is not None:
                leaf.values.append(value)
    return {path: leaf for path, leaf in found.items() if leaf.values}


def _scalars(node: Mapping[str, Json], path: str) -> Iterator[tuple[str, Json]]:
    for name, value in node.items():
        here = f"{path}.{name}" if path else name
        if type(value) is dict:
            yield from _scalars(value, here)
        elif type(value) is not list:
            yield here, value


def described(paths: Iterable[str | Path]) -> str:
    """The shapes in some samples as JSON: paths, kinds, counts and forms; no amount, name or text of any report."""
    trees = []
    for one in payloads(find(paths), fetched_at=datetime.now(UTC)):
        try:
            trees.append(unwrapped(parse(one.body)) if isinstance(one, Received) else ("", None))
        except ReportError:
            trees.append(("", None))
    reports = [report for _, report in trees if report is not None]
    groups = {_shown(path): _shape(group.leaves(), len(group.elements)) for path, group in groups_of(reports).items()}
    alone = _shape(scalars_of(reports), len(reports))
    return (
        json.dumps({"n_samples": len(trees), "n_read": len(reports), "report": alone, "lists": groups}, indent=1) + "\n"
    )


def _shape(leaves: Mapping[str, Leaf], n: int) -> dict[str, Any]:
    members = {_shown(path): _leaf_shape(leaf) for path, leaf in leaves.items()}
    return {"n": n, "members": members}


def _leaf_shape(leaf: Leaf) -> dict[str, Any]:
    values = leaf.values
    numbers = [v for v in values if type(v) in (int, float)]
    texts = [v for v in values if type(v) is str]
    return {
        "kinds": dict(Counter(type_name(v) for v in values)),
        "null_share": round(1 - len(values) / leaf.n, 2) if leaf.n else 0,
        "few_values": len({repr(v) for v in values}) <= 2,
        "dates": leaf.date_forms(),
        "below_zero": any(v < 0 for v in numbers),
        "whole": all(float(v).is_integer() for v in numbers),
        "number_texts": sorted({sign for v in texts[:200] for sign in number_texts(v)}),
        "longest_text": max(map(len, texts), default=0),
    }


def _shown(path: str) -> str:
    """A path without what may be content: keys that are no plain names."""
    return ".".join(step if _NAME.fullmatch(step) else "?" for step in path.split("."))
