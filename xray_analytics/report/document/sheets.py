"""The sheets of the portfolio's workbook: the numbers behind every figure, and the lists in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ...charts import class_label
from ...tables import RISK_CLASSES
from .document import Document, Table
from .workbook import Chart, Sheet

if TYPE_CHECKING:
    from ..portfolio.results import Portfolio

_CLASSES = (*map(class_label, RISK_CLASSES), class_label(None))
_LISTS = {  # name: what it is
    "Watch list": "Every company and rule that it meets, worst first; before and after as the rule has them.",
    "Companies": "Cash-flow figures per company, over at most its last twelve complete months.",
    "Apart": "Companies whose bank and financial class are two or more apart; above 0 the bank looks worse.",
    "Findings": "Every oddity of the data, worst first.",
}


def sheets(found: Portfolio) -> list[Sheet]:
    """All sheets; lists of single companies only where no small counts are to be hidden."""
    lists = [] if found.edition.min_n else _lists(found)
    return [*lists, *of_document(found.document)]


def of_document(document: Document) -> list[Sheet]:
    """The sheets of a document's tables and of the numbers behind its figures."""
    return [*_of_tables(document), *_of_figures(document)]


def _lists(found: Portfolio) -> list[Sheet]:
    frames = {
        "Watch list": found.listed,
        "Companies": found.named(found.metrics),
        "Apart": found.named(found.agreement.apart),
        "Findings": found.named(found.findings),
    }
    first = ["company_id", "company_name"]
    made = []
    for name, frame in frames.items():
        names = [*first, *(str(column) for column in frame if column not in first)]
        made.append(Sheet(name, frame, {column: _head(column) for column in names}, _LISTS[name]))
    return made


def _of_tables(document: Document) -> list[Sheet]:
    made = []
    for section in document.sections:
        for block in section.each():
            if isinstance(block, Table) and block.sheet and block.grid.frame is not None:
                heads = dict(zip(block.grid.names, block.grid.heads, strict=True))
                made.append(Sheet(block.sheet, block.grid.frame, heads, section.title))
    return made


def _of_figures(document: Document) -> list[Sheet]:
    made = []
    for name, figure in document.figures():
        if figure.grid is None or figure.grid.frame is None:
            continue
        title, note = _head(name)[:31], f"{figure.definition} {figure.base}"
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


def _chart(frame: pd.DataFrame, title: str) -> Chart | None:
    """The chart that Excel can draw of these columns, if there is one."""
    columns = set(frame.columns)
    if set(_CLASSES) <= columns:
        return Chart("column", "period_end", _CLASSES, title, stacked=True)
    if {"risk_class", "share_ratio", "n_companies"} <= columns and "criterion" not in columns:
        return Chart("column", "risk_class", ("n_companies",), title)
    if {"low", "n_companies"} <= columns:
        return Chart("column", "low", ("n_companies",), title)
    if {"month", "net_flow"} <= columns:
        return Chart("column", "month", ("total_credit", "total_debit"), title)
    if {"month", "negative_day_share_ratio"} <= columns:
        return Chart("line", "month", ("negative_day_share_ratio",), title)
    return None


def _head(name: Any) -> str:
    return str(name).replace("_", " ").capitalize()
