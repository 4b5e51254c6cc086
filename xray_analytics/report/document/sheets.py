"""The sheets of a document: its tables, and the numbers behind every figure with a chart of Excel's own."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...charts import class_label
from ...tables import RISK_CLASSES
from .document import Document, NamedGrid
from .workbook import Sheet, SheetChart

_CLASSES = (*map(class_label, RISK_CLASSES), class_label(None))


def of_document(document: Document) -> list[Sheet]:
    """The sheets of a document's tables and of the numbers behind its figures."""
    return [*_of_tables(document), *_of_figures(document)]


def _of_tables(document: Document) -> list[Sheet]:
    made = []
    for section in document.sections:
        for block in section.each():
            if isinstance(block, NamedGrid) and block.sheet and block.grid.frame is not None:
                heads = dict(zip(block.grid.names, block.grid.heads, strict=True))
                made.append(Sheet(block.sheet, block.grid.frame, heads, section.title))
    return made


def _of_figures(document: Document) -> list[Sheet]:
    made = []
    for name, figure in document.figures():
        if figure.grid is None or figure.grid.frame is None:
            continue
        title, note = head(name)[:31], f"{figure.definition} {figure.base}"
        frame, heads = figure.grid.frame, dict(zip(figure.grid.names, figure.grid.heads, strict=True))
        if "period_end" in frame:
            frame, heads = _wide(frame)
        made.append(Sheet(title, frame, heads, note, _chart(frame, figure.title or title)))
    return made


def _wide(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Periods in rows, classes in columns, oldest first: what Excel draws as a stack."""
    words = [class_label(None if pd.isna(c) else int(c)) for c in frame["risk_class"]]
    table = frame.assign(risk_class=words).pivot(index="period_end", columns="risk_class", values="n_companies")
    table = table.reindex(columns=list(_CLASSES)).rename_axis(columns=None).reset_index()
    return table, {"period_end": "Period to"} | {name: name for name in _CLASSES}


def _chart(frame: pd.DataFrame, title: str) -> SheetChart | None:
    """The chart that Excel can draw of these columns, if there is one."""
    columns = set(frame.columns)
    if set(_CLASSES) <= columns:
        return SheetChart("column", "period_end", _CLASSES, title, stacked=True)
    if {"risk_class", "share_ratio", "n_companies"} <= columns and "criterion" not in columns:
        return SheetChart("column", "risk_class", ("n_companies",), title)
    if {"low", "n_companies"} <= columns:
        return SheetChart("column", "low", ("n_companies",), title)
    if {"month", "net_flow"} <= columns:
        return SheetChart("column", "month", ("total_credit", "total_debit"), title)
    if {"month", "negative_day_share_ratio"} <= columns:
        return SheetChart("line", "month", ("negative_day_share_ratio",), title)
    return None


def head(name: Any) -> str:
    """A column's or figure's name as a heading: ``net_flow`` is *Net flow*."""
    return str(name).replace("_", " ").capitalize()
