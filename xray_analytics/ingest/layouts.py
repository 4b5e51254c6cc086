"""Layouts of a store: which of them read each report, kept so that what was once read can always be read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from .. import tables
from ..tidy.layout import Layout, shipped

LAYOUT_OF = ("report_id", "report_version", "layout_sha256")


@dataclass
class Memory:
    """The layouts that a store remembers, and those at hand; `new` gives the rows of those it does not remember yet."""

    remembered: dict[str, Layout] = field(default_factory=dict)
    at_hand: dict[str, Layout] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Iterable[pa.Table], layouts: Iterable[Layout] = ()) -> Memory:
        """What the rows of `layouts` remember."""
        rows = [row for group in stored for row in group.to_pylist()]
        found = {row["layout_sha256"]: Layout.stored(row["name"], row["layout_sha256"], row["lines"]) for row in rows}
        return cls(found, {layout.sha256: layout for layout in layouts} | {shipped().sha256: shipped()})

    def new(self, used: Iterable[str | None]) -> pa.Table:
        """Rows of `layouts` for those of these digests that are not remembered; now they are."""
        fresh = [
            self.at_hand[one]
            for one in sorted({one for one in used if one} - self.remembered.keys())
            if one in self.at_hand
        ]
        self.remembered |= {layout.sha256: layout for layout in fresh}
        rows = [{"layout_sha256": one.sha256, "name": one.name, "lines": one.body} for one in fresh]
        return pa.Table.from_pylist(rows, schema=tables.LAYOUTS.arrow_schema)


def layouts_by_version(reports: Iterable[pa.Table]) -> dict[tuple[str, int], str | None]:
    """Which layout read each version of each report, by its digest."""
    columns = (group.select(LAYOUT_OF).to_pydict().values() for group in reports)
    return {
        (report_id, version): sha256 for group in columns for report_id, version, sha256 in zip(*group, strict=True)
    }
