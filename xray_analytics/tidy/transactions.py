"""The transactions of a bank report, one object after the other, everything noted: the reference way.

The members of a transaction are not documented, so an alias map says which feed which column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError, listed
from ..schema import ARROW
from ..tables import CREDIT_DEBIT_PAIRS, TRANSACTION_ALIASES, TRANSACTIONS
from .decode import Json, refuse, to_json
from .drift import DriftNotes, type_name
from .fields import CONVERT, LEFT, Field, PayloadPlace, Unexpected, read_value, to_units

Aliases = Mapping[str, tuple[str, ...]]
PLACE = "raw.allTransactions[]"
COLUMNS = (*(c.name for c in TRANSACTIONS.columns if c.assumed), "currency")
AMOUNTS = ("amount", "balance_after")
NAMED = ("account_id", "statement_id", "currency")


@dataclass
class Entries:
    """The transactions of one report: Arrow arrays by column, amounts in units of 1/10,000 with a mask of those given.

    `named` holds the columns that tell accounts apart once more, as texts.
    """

    n: int = 0
    columns: dict[str, pa.Array] = field(default_factory=dict)
    units: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    named: dict[str, Sequence[str | None]] = field(default_factory=dict)


def with_shipped(aliases: Aliases | None) -> Aliases:
    """The shipped alias map, with these lines in the place of its own."""
    given = {column: tuple(listed(names, f"the aliases of {column}")) for column, names in (aliases or {}).items()}
    return {**TRANSACTION_ALIASES, **given}


@lru_cache(maxsize=16)
def compile_aliases(items: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, tuple[Field, tuple[str, ...]]]:
    """Field and candidate members of each column, checked.

    Raises
    ------
    InputError
        A column that does not exist, or a member that feeds two columns.
    """
    unknown = sorted({column for column, _ in items} - set(COLUMNS))
    members = [name for _, names in items for name in names]
    doubled = sorted({name for name in members if members.count(name) > 1})
    if unknown or doubled:
        what = f"has no column {unknown[0]!r}" if unknown else f"maps member {doubled[0]!r} twice"
        raise InputError(f"the alias map of transactions {what}; correct [transaction_aliases] in the settings file")
    return {
        column: (
            Field(TRANSACTIONS[column], 0, CONVERT[kind], lenient=kind in ("id", "text", "list<text>")),
            names,
        )
        for column, names in items
        for kind in [TRANSACTIONS[column].kind]
    }


# ------------------------------------------------------------------------------------------------ the reference


def read_entries(items: Json, aliases: Aliases, notes: DriftNotes) -> Entries:
    """All transactions, object by object; what no column takes goes to `extra`."""
    if type(items) is not list:
        refuse(
            "wrong_type", PayloadPlace(PLACE.removesuffix("[]")).exact(), f"expected an array, found {type_name(items)}"
        )
    compiled = compile_aliases(tuple(aliases.items()))
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    extras = []
    for position, item in enumerate(items):
        row, extra = _read_entry(item, compiled, PayloadPlace(PLACE, position), notes)
        for name, values in columns.items():
            values.append(row.get(name))
        extras.append(to_json(extra) if extra else None)
    units = {name: _units(columns.pop(name)) for name in AMOUNTS}
    named: dict[str, Sequence[str | None]] = {name: columns[name] for name in NAMED}
    columns["extra"] = extras
    arrays = {name: pa.array(values, ARROW[TRANSACTIONS[name].kind]) for name, values in columns.items()}
    return Entries(len(items), arrays, units, named)


def _read_entry(
    item: Json, compiled: Mapping[str, tuple[Field, tuple[str, ...]]], place: PayloadPlace, notes: DriftNotes
) -> tuple[dict[str, Any], dict[str, Any]]:
    if type(item) is not dict:
        refuse("wrong_type", place.exact(), f"expected an object, found {type_name(item)}")
    row: dict[str, Any] = {}
    taken = set()
    for column, (field_, names) in compiled.items():
        name = next((n for n in names if item.get(n) is not None), None)
        if name is not None:
            row[column] = read_value(item[name], field_, place, name, notes)
            taken.add(name)
            if row[column] is LEFT:
                row[column] = None
                taken.discard(name)
    if row.get("amount") is None:
        row["amount"], pair = _read_pair(item, place)
        taken |= pair
    candidates = {name for _, names in compiled.values() for name in names}
    extra = {n: v for n, v in item.items() if n not in taken and (v is not None or n not in candidates)}
    for name, value in extra.items():
        notes.add(place.general(name), "unknown_member", value)
    return row, extra


def _read_pair(item: Mapping[str, Json], place: PayloadPlace) -> tuple[int | None, set[str]]:
    """An amount given as unsigned credit and debit: credit less debit, and the members it was read from."""
    for pair in CREDIT_DEBIT_PAIRS:
        given = {name for name in pair if item.get(name) is not None}
        if given:
            credit, debit = (_read_unsigned(item[n], place, n) if n in given else 0 for n in pair)
            return credit - debit, given | (set(pair) & item.keys())
    return None, set()


def _read_unsigned(value: Json, place: PayloadPlace, name: str) -> int:
    try:
        units = to_units(value)
    except Unexpected as wrong:
        refuse(wrong.code, place.exact(name), f"expected {wrong.expected}, found {type_name(value)}")
    if units < 0:
        refuse("number_out_of_range", place.exact(name), "expected an unsigned amount, found one below 0")
    return units


def _units(values: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
    known = np.array([v is not None for v in values], bool)
    return np.array([v or 0 for v in values], np.int64), known
