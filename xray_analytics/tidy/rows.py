"""Rows of one report: the values of its row in `reports`, and its rows in the other tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .accounts import Accounts, Statement
from .transactions import Entries

Row = Sequence[Any]


@dataclass(frozen=True)
class Parts:
    """Parts of a bank report that were read with its bytes; the tables that `rows` lacks are still in the tree.

    None in `rows` is a part that the report does not have.
    """

    entries: Entries
    rows: dict[str, list[Row] | None]


@dataclass
class Product:
    """Rows without the key of their report, in the order of their tables' columns; money in units of 1/10,000.

    `report` holds columns of `reports` by name, `extra` the members that nothing else holds. `doubt` says what in the
    report contradicts how it was read.
    """

    report: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    entries: Entries | None = None
    accounts: Accounts = field(default_factory=Accounts)
    statements: list[Statement] = field(default_factory=list)
    doubt: str | None = None
