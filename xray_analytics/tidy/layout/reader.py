"""A layout compiled, once: the fields and paths by which both ways of reading read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from ...schema import Column, Table
from ...tables import BANK_FLAG_CRITERIA, COMPANY_ID, MOVEMENT_METRICS, REPORTS, REQUEST_ID, STATEMENT_SUMMARIES
from ...tables import TRANSACTIONS as TRANSACTIONS_TABLE
from ..fields import Field, Members, Writing, members_of
from . import SECTIONS, Layout, Sign, Values
from .paths import Path
from .values import word_of, writing

CREDIT = Column("credit", "money", "The amount, where it is a credit.")
DEBIT = Column("debit", "money", "The amount, where it is a debit.")
SIDE = Column("side", "text", "The word that says the side of the amount.")
_LENIENT = ("id", "text", "list<text>")  # kinds of a transaction whose shape is not documented
_OPTIONAL_OF_REPORT = ("created_at", "company_id", "source", "report_id")
_OF_REPORT: Mapping[str, Column] = {
    "report_id": REPORTS["report_id"], "request_id": REQUEST_ID, "source": REPORTS["source"],
    "created_at": REPORTS["created_at"], "company_id": COMPANY_ID,
}  # fmt: skip


@dataclass(frozen=True)
class ReportField:
    """A value of the report itself: its paths in order, and its field."""

    column: str
    paths: tuple[tuple[str, ...], ...]
    field: Field


@dataclass(frozen=True)
class Side:
    """The member that says the side of an unsigned amount, and what its words make of the amount: 1 or -1."""

    member: str
    words: Mapping[Any, int]


@dataclass(frozen=True, eq=False)
class Reader:
    """Everything that reading needs of a layout.

    `entry` feeds the columns of a transaction in the order of `ENTRY_COLUMNS`, then credit and debit of each pair, then
    the side. `inner` are the paths of objects on the way to something.
    """

    layout: Layout
    products: Mapping[str, str]
    envelopes: tuple[str, ...]
    parts: Mapping[str, tuple[Path, ...]]
    report: tuple[ReportField, ...]
    entry: Members
    pairs: tuple[tuple[str, str], ...]
    unsigned: bool
    side: Side | None
    inverted: bool
    statement: Members
    criterion: Members
    metric: Members
    metric_is_key: bool
    inner: frozenset[str]

    @cached_property
    def by_position(self) -> dict[int, Field]:
        """A field of a transaction by the position of its column in a row."""
        return {field.position: field for field in self.entry.fields.values()}

    @cached_property
    def of_report(self) -> dict[str, ReportField]:
        """The values of the report by column."""
        return {field.column: field for field in self.report}

    def paths(self, column: str) -> tuple[tuple[str, ...], ...]:
        """The paths of a column of the report."""
        return self.of_report[column].paths


ENTRY_COLUMNS: tuple[str, ...] = SECTIONS["transaction"]


@lru_cache(maxsize=32)
def compiled(layout: Layout) -> Reader:
    """The reader of a layout."""
    complete = layout.complete
    how = writing(msgspec.convert(complete["values"], Values))
    entry = complete["transaction"]
    pair, sign = entry.get("pair") or {"credit": [], "debit": []}, entry.get("sign")
    side = msgspec.convert(sign, Sign) if sign else None
    is_key = complete["metric"]["metric"] == ["{}"]
    report = tuple(_report_field(column, complete["report"].get(column, ()), how) for column in SECTIONS["report"])
    parts = {name: tuple(map(Path.of, paths)) for name, paths in complete["parts"].items() if name != "report"}
    return Reader(
        layout=layout,
        products=layout.products,
        envelopes=tuple(complete["parts"]["report"]),
        parts=parts,
        report=report,
        entry=_entry(entry, pair, side, how),
        pairs=tuple(zip(pair["credit"], pair["debit"], strict=True)),
        unsigned=bool(pair.get("unsigned", False)),
        side=Side(side.member, dict.fromkeys(side.credit, 1) | dict.fromkeys(side.debit, -1)) if side else None,
        inverted=complete["values"]["inverted"],
        statement=_members(STATEMENT_SUMMARIES, complete["statement"], SECTIONS["statement"], how),
        criterion=_criterion(complete["criterion"], how),
        metric=_members(MOVEMENT_METRICS, complete["metric"], SECTIONS["metric"][is_key:], how),
        metric_is_key=is_key,
        inner=_inner(report, parts),
    )


def _report_field(column: str, paths: Any, how: Writing) -> ReportField:
    declared = _OF_REPORT.get(column) or REPORTS[column]
    members = members_of(
        {declared: tuple(paths) or (column,)}, how, optional=_OPTIONAL_OF_REPORT, lenient=("request_id", "company_id")
    )
    field = next(iter(members.fields.values()))
    return ReportField(column, tuple(tuple(path.split(".")) for path in paths), field)


def _entry(lines: Mapping[str, Any], pair: Mapping[str, Any], side: Sign | None, how: Writing) -> Members:
    fed: dict[Column, Any] = {TRANSACTIONS_TABLE[column]: lines.get(column, ()) for column in ENTRY_COLUMNS}
    for number, (credit, debit) in enumerate(zip(pair["credit"], pair["debit"], strict=True)):
        fed[Column(f"credit{number}", "money", CREDIT.doc)] = (credit,)
        fed[Column(f"debit{number}", "money", DEBIT.doc)] = (debit,)
    if side:
        fed[SIDE] = (side.member,)
    lenient = [column.name for column in fed if column.kind in _LENIENT and column is not SIDE]
    members = members_of(fed, how, lenient=lenient, optional=[column.name for column in fed])
    if not side:
        return members
    word = replace(members.fields[side.member], convert=word_of, plain=(), as_documented=False)
    return replace(members, fields={**members.fields, side.member: word})


def _members(table: Table, lines: Mapping[str, Any], columns: tuple[str, ...], how: Writing) -> Members:
    return members_of({table[column]: tuple(lines.get(column, ())) for column in columns}, how)


def _criterion(lines: Mapping[str, Any], how: Writing) -> Members:
    fed = {BANK_FLAG_CRITERIA[column]: tuple(lines.get(column, ())) for column in SECTIONS["criterion"]}
    return members_of(fed, how, lenient=("criterion",))


def _inner(report: tuple[ReportField, ...], parts: Mapping[str, tuple[Path, ...]]) -> frozenset[str]:
    ways = [steps[:-1] for field in report for steps in field.paths]
    for paths in parts.values():
        for path in paths:
            each = next(number for number, step in enumerate(path.steps) if step.each)
            ways.append(tuple(step.member for step in path.steps[:each]))
    return frozenset(".".join(way[:n]) for way in ways for n in range(1, len(way) + 1))
