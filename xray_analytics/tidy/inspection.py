"""Inspection: what of a payload's transactions the alias map recognises, and the settings that would map the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..tables import TRANSACTION_ALIASES
from .batch import Received
from .decode import refusal
from .drift import DriftNotes
from .layout import Given, layouts_of
from .layout.paths import Found, take
from .layout.reader import Reader, compiled
from .payload import Known, decode_strictly
from .transactions import COLUMNS, Aliases


@dataclass(frozen=True)
class Inspection:
    """Members of transactions: those recognised with their column, the others with the number of their entries.

    `settings_lines` is TOML for the settings file: a table of aliases in which each unrecognised member waits, as a
    comment, for the column it means. It is empty where everything is recognised.
    """

    n_transactions: int
    recognised: dict[str, str]
    unrecognised: dict[str, int]
    settings_lines: str

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def inspect(received: Iterable[Received], *, aliases: Aliases | None = None, layout: Given = None) -> Inspection:
    """Compare the members of all transactions with the layout.

    Raises
    ------
    ReportError
        A payload cannot be decoded. What a full reading would refuse besides is not looked at.
    """
    reader = compiled(layouts_of(layout, aliases=aliases)[0])
    columns = {name: field.column.name for name, field in reader.entry.fields.items()}
    columns |= {name: "amount" for pair in reader.pairs for name in pair}
    seen: Counter[str] = Counter()
    n = 0
    for one in received:
        part = _transactions(one, reader)
        found = [entry for entry in part.items if isinstance(entry, dict)] if part else []
        n += len(found)
        for entry in found:
            seen.update(_members(entry, reader))
    unrecognised = {name: times for name, times in sorted(seen.items()) if name not in columns}
    recognised = {name: columns[name] for name in sorted(seen.keys() & columns.keys())}
    return Inspection(n, recognised, unrecognised, _settings_lines(unrecognised, set(recognised.values())))


def _transactions(one: Received, reader: Reader) -> Found | None:
    try:
        return take(decode_strictly(one.body, one.kind, Known(reader)).item, reader.parts["transactions"], DriftNotes())
    except Exception as error:  # whatever its class, as in `tidy`
        raise refusal(error) from None


def _members(entry: dict[str, Any], reader: Reader) -> list[str]:
    """The members of a transaction; of an object into which a path leads those inside."""
    return [
        path
        for name, value in entry.items()
        for path in (
            [f"{name}.{below}" for below in value] if name in reader.entry.inner and type(value) is dict else [name]
        )
    ]


def _settings_lines(unrecognised: dict[str, int], fed: set[str]) -> str:
    """One commented line per member, with the column to be filled in among those that nothing feeds yet."""
    if not unrecognised:
        return ""
    free = [column for column in COLUMNS if column not in fed]
    lines = ["[transaction_aliases]", f"# put the right column first; nothing feeds {', '.join(free)} yet"]
    for name in unrecognised:
        kept = (
            ", ".join(json.dumps(n, ensure_ascii=False) for n in (name, *TRANSACTION_ALIASES.get(free[0], ())))
            if free
            else ""
        )
        lines.append(f"# {free[0]} = [{kept}]" if free else f"# {json.dumps(name)} stays in extra")
    return "\n".join(lines) + "\n"
