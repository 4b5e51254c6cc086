"""The transactions of a bank report, one object after the other, everything noted: the reference way.

The members of a transaction are not documented, so a layout says which feed which column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ..schema import ARROW
from ..tables import TRANSACTION_ALIASES, TRANSACTIONS
from .decode import Json, refuse, to_json
from .drift import DriftNotes
from .fields import PayloadPlace, read_members, taken
from .layout.paths import Found
from .layout.reader import ENTRY_COLUMNS, Reader

Aliases = Mapping[str, tuple[str, ...]]
COLUMNS = ENTRY_COLUMNS
AMOUNTS = ("amount", "balance_after")
NAMED = ("account_id", "statement_id", "currency")
_AMOUNT = COLUMNS.index("amount")


def with_shipped(aliases: Aliases | None) -> Aliases:
    """The shipped alias map, with these lines in the place of its own."""
    return {**TRANSACTION_ALIASES, **(aliases or {})}


@dataclass
class Entries:
    """The transactions of one report: Arrow arrays by column, amounts in units of 1/10,000 with a mask of those given.

    `named` holds the columns that tell accounts apart once more, as texts.
    """

    n: int = 0
    columns: dict[str, pa.Array] = field(default_factory=dict)
    units: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    named: dict[str, Sequence[str | None]] = field(default_factory=dict)


def read_entries(found: Found, reader: Reader, notes: DriftNotes) -> Entries:
    """All transactions, object by object; what no column takes goes to `extra`."""
    rows, extras, amounts = [], [], _Amounts(reader, notes)
    for item, place in zip(found.items, found.places(), strict=False):
        row, extra = read_members(item, reader.entry, place, notes)
        row[_AMOUNT] = amounts.read(row, item, place, extra)
        rows.append(row)
        extras.append(to_json(extra) if extra else None)
    amounts.refuse_mixed(found.pattern)
    columns: dict[str, Sequence[Any]] = dict(zip(COLUMNS, zip(*rows, strict=True), strict=False))
    columns = columns or dict.fromkeys(COLUMNS, ())
    units = {name: _units(columns.pop(name)) for name in AMOUNTS}
    named: dict[str, Sequence[str | None]] = {name: columns[name] for name in NAMED}
    columns["extra"] = extras
    arrays = {name: pa.array(values, ARROW[TRANSACTIONS[name].kind]) for name, values in columns.items()}
    return Entries(len(rows), arrays, units, named)


def n_unread(entries: Entries) -> int:
    """How many transactions lack amount or day."""
    known, booked = entries.units["amount"][1], entries.columns["booked_date"]
    if booked.null_count:
        known = known & booked.is_valid().to_numpy(zero_copy_only=False)
    return entries.n - int(known.sum())


class _Amounts:
    """Amounts out of what a layout makes them of: a signed one, two sides, or an unsigned one and the word of a side.

    Where either sign may stand on a side, one of them does in a whole report; both could be a reversal.
    """

    def __init__(self, reader: Reader, notes: DriftNotes) -> None:
        self._reader, self._notes = reader, notes
        self._seen: dict[str, set[bool]] = {}

    def read(self, row: Sequence[Any], item: Json, place: PayloadPlace, extra: dict[str, Json]) -> int | None:
        """The amount of one row; members of a pair that is not read go to `extra`."""
        amount: int | None = row[_AMOUNT]
        made: int | None = None
        for number, names in enumerate(self._reader.pairs):
            sides = row[len(COLUMNS) + 2 * number :][:2]
            given = {name: units for name, units in zip(names, sides, strict=True) if units is not None}
            if given and made is None and (amount is None or (amount == 0 and any(given.values()))):
                credit, debit = (self._unsigned(given.get(name, 0), place, name) for name in names)
                made = credit - debit
            else:
                self._leave(given, item, place, extra)
        if made is not None or amount is None:
            return made
        if self._reader.side is not None:
            return self._sided(amount, row[-1], place)
        return -amount if self._reader.inverted else amount

    def _leave(self, names: Iterable[str], item: Json, place: PayloadPlace, extra: dict[str, Json]) -> None:
        for name in names:
            extra[name] = taken(item, name.split("."))
            self._notes.add(place.general(name), "unknown_member", extra[name])

    def _unsigned(self, units: int, place: PayloadPlace, name: str) -> int:
        if units < 0 and self._reader.unsigned:
            line = "unsigned = false in [transaction.pair] of the layout would allow"
            refuse(
                "number_out_of_range",
                place.exact(name),
                f"expected an unsigned amount, found one below 0, which {line}",
            )
        return self._abs(units, name)

    def _sided(self, amount: int, word: Any, place: PayloadPlace) -> int:
        side = self._reader.side
        if side is None or amount == 0:
            return amount
        if word is None:
            refuse("missing_member", place.exact(side.member), "expected the side of an amount, found nothing")
        sign = side.words.get(word)
        if sign is None:
            what = "expected the word of a side, found another one, which a word more in [transaction.sign] would allow"
            refuse("unknown_side", place.exact(side.member), what)
        if amount < 0 and sign > 0:
            refuse(
                "number_out_of_range", place.exact(side.member), "expected the side of a debit, found that of a credit"
            )
        return -self._abs(amount, side.member) if sign < 0 else amount

    def _abs(self, units: int, name: str) -> int:
        if units:
            self._seen.setdefault(name, set()).add(units > 0)
        return abs(units)

    def refuse_mixed(self, pattern: str) -> None:
        """Refuse a report in which one side has both signs."""
        for name, signs in self._seen.items():
            if len(signs) > 1:
                refuse(
                    "mixed_signs",
                    PayloadPlace(pattern).exact(name),
                    "expected one sign in all amounts of a side, found both",
                )


def _units(values: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
    known = np.array([v is not None for v in values], bool)
    return np.array([v or 0 for v in values], np.int64), known
