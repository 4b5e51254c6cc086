"""Where things stand in a report: the paths of a layout followed into its tree, and what they leave of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from ..decode import Json, refuse
from ..drift import DriftNotes, type_name
from ..fields import ABSENT, ALONE, Around, PayloadPlace

_STEP = re.compile(r"([^\[\]{}]+)((?:\[\]|\{\})*)")


class Step(NamedTuple):
    """A member, and what of it is meant: ``""`` itself, ``[]`` each element, ``{}`` each value, one after the other."""

    member: str
    each: tuple[str, ...]


class Path(NamedTuple):
    """A path of a layout: its steps, its text, and its text as notes and places write it."""

    steps: tuple[Step, ...]
    text: str
    pattern: str

    @classmethod
    def of(cls, text: str) -> Path:
        """
        >>> Path.of("raw.summary[].entries{}").pattern, Path.of("raw.x[]").steps[1]
        ('raw.summary[].entries.*', Step(member='x', each=('[]',)))
        """
        found = [_STEP.fullmatch(step) for step in text.split(".")]
        steps = tuple(Step(m[1], tuple(re.findall(r"\[\]|\{\}", m[2]))) for m in found if m)
        return cls(steps, text, text.replace("{}", ".*"))

    @property
    def container(self) -> str:
        """The path of the list or map itself."""
        return re.sub(r"(\[\]|\.\*)+$", "", self.pattern)


class Found(NamedTuple):
    """The elements of a part: where they stand, and what stands around each; `around` is None where nothing does."""

    pattern: str
    items: list[Json]
    at: Sequence[Any]
    around: Sequence[Around] | None

    def places(self) -> Iterator[PayloadPlace]:
        """The place of each element."""
        return map(PayloadPlace, repeat(self.pattern), self.at, self.around or repeat(ALONE))


class _Container(NamedTuple):
    """What holds elements, the object it is a member of, and the way to it."""

    value: Json
    holder: dict[str, Json]
    at: tuple[Any, ...]


def take(report: dict[str, Json], paths: Sequence[Path], notes: DriftNotes) -> Found | None:
    """The elements of a part, taken out of the tree: of the first path that leads to some; None where none does.

    A part that is absent is noted as missing; one that is null is not.
    """
    for number, path in enumerate(paths):
        containers = list(_containers(report, path.steps, (), path))
        given = [c for c in containers if c.value is not None]
        first, last = path.steps[-1].each[0], number == len(paths) - 1
        if not last and (not given or any(type(c.value) is not _TYPES[first][0] for c in given)):
            continue
        for container in containers:
            container.holder.pop(path.steps[-1].member, None)
        if not containers:
            _note_absent(report, paths[0], notes)
        return _elements(given, path) if given else None
    return None


_TYPES: Mapping[str, tuple[Any, str]] = {"[]": (list, "an array"), "{}": (dict, "an object")}


def _containers(node: Json, steps: Sequence[Step], at: tuple[Any, ...], path: Path) -> Iterator[_Container]:
    if type(node) is not dict:
        return
    step, rest = steps[0], steps[1:]
    if step.member not in node:
        return
    value = node[step.member]
    if not rest:
        yield _Container(value, node, at)
    elif not step.each:
        if value is not None and type(value) is not dict:
            done = path.steps[: len(path.steps) - len(rest)]
            refuse("wrong_type", ".".join(s.member for s in done), f"expected an object, found {type_name(value)}")
        yield from _containers(value, rest, at, path)
    elif value is not None:
        for element, below in _each(value, step.each, at, path):
            yield from _containers(element, rest, below, path)


def _each(value: Json, each: Sequence[str], at: tuple[Any, ...], path: Path) -> Iterator[tuple[Json, tuple[Any, ...]]]:
    if not each:
        yield value, at
        return
    kind, word = _TYPES[each[0]]
    if type(value) is not kind:
        where = PayloadPlace(path.pattern, at).exact() if at else path.container
        refuse("wrong_type", where, f"expected {word}, found {type_name(value)}")
    for position, element in value.items() if type(value) is dict else enumerate(value):
        yield from _each(element, each[1:], (*at, position), path)


def _elements(containers: Sequence[_Container], path: Path) -> Found:
    each = path.steps[-1].each
    if len(containers) == 1 and each == ("[]",) and not containers[0].at:
        value = containers[0].value
        if type(value) is not list:
            refuse("wrong_type", path.container, f"expected an array, found {type_name(value)}")
        return Found(path.pattern, value, range(len(value)), None)
    items, places, around = [], [], []
    for value, holder, at in containers:
        for element, below in _each(value, each, at, path):
            items.append(element)
            places.append(below)
            around.append(Around(next((str(p) for p in reversed(below) if type(p) is str), None), holder))
    return Found(path.pattern, items, places, around)


def _note_absent(report: Json, path: Path, notes: DriftNotes) -> None:
    """Note the first member of a path that is not there; nothing where something on the way is null."""
    node, done = report, []
    for step in path.steps:
        done.append(step.member)
        if type(node) is not dict:
            return
        if step.member not in node:
            notes.add(".".join(done), "missing_member")
            return
        node = node[step.member]


def take_value(
    report: dict[str, Json], paths: Sequence[Sequence[str]], notes: DriftNotes, *, lenient: bool, expected: bool
) -> tuple[str, Json]:
    """The first value that is not null at one of some paths, taken out of the tree, and its path.

    Something else than an object on the way is refused, or left where it is if the value is `lenient`.
    """
    for steps in paths:
        holder = report if len(steps) == 1 else _holder(report, steps, lenient=lenient)
        if holder is not None:
            value = holder.get(steps[-1])
            if value is not None:
                del holder[steps[-1]]
                return ".".join(steps), value
    absent = [steps for steps in paths if not _drop_null(report, steps)]
    if expected and absent and len(absent) == len(paths):
        _note_absent(report, Path.of(".".join(paths[0])), notes)
    return ".".join(paths[0]) if paths else "", None


def _holder(report: Json, steps: Sequence[str], *, lenient: bool) -> dict[str, Json] | None:
    node = report
    for number, step in enumerate(steps[:-1]):
        node = node.get(step)
        if type(node) is not dict:
            if node is not None and not lenient:
                where = ".".join(steps[: number + 1])
                refuse("wrong_type", where, f"expected an object, found {type_name(node)}")
            return None
    return node  # type: ignore[no-any-return]


def _drop_null(report: Json, steps: Sequence[str]) -> bool:
    """Take a null out of the tree; whether there was one."""
    holder = _holder(report, steps, lenient=True)
    return holder is not None and holder.pop(steps[-1], ABSENT) is None


def put_back(report: dict[str, Json], path: str, value: Json) -> None:
    """Undo the taking of a value."""
    *way, last = path.split(".")
    holder = _holder(report, (*way, last), lenient=True)
    if holder is not None:
        holder[last] = value


def left_over(
    node: Mapping[str, Json], inner: Collection[str], quiet: Collection[str], notes: DriftNotes, path: str = ""
) -> dict[str, Json]:
    """What no path took, without the objects on the ways that are empty now; each member is noted as unknown.

    `inner` are the paths of the objects on the ways; those of `quiet` are of no documented shape, and not noted.
    """
    rest: dict[str, Json] = {}
    for name, value in node.items():
        here = f"{path}.{name}" if path else name
        if here not in inner:
            rest[name] = value
            if path not in quiet:
                notes.add(here, "unknown_member", value)
        elif type(value) is dict:
            below = left_over(value, inner, quiet, notes, here)
            if below:
                rest[name] = below
        elif value is not None:
            rest[name] = value
            notes.add(here, "unknown_value", value)
    return rest
