"""The sheets of the portfolio's workbook: the lists in full, and the numbers behind every figure."""

from __future__ import annotations

from ..document.document import Document
from ..document.sheets import head, of_document
from ..document.workbook import Sheet
from .results import Portfolio

_LISTS = {  # name: what it is
    "Watch list": "Every company and rule that it meets, worst first; before and after as the rule has them.",
    "Companies": "Cash-flow figures per company, over at most its last twelve complete months.",
    "Apart": "Companies whose bank and financial class are two or more apart; above 0 the bank looks worse.",
    "Findings": "Every oddity of the data, worst first.",
}


def sheets(results: Portfolio, document: Document) -> list[Sheet]:
    """All sheets; lists of single companies only where no small counts are to be hidden."""
    lists = [] if results.edition.min_n else _lists(results)
    return [*lists, *of_document(document)]


def _lists(results: Portfolio) -> list[Sheet]:
    frames = {
        "Watch list": results.listed,
        "Companies": results.named(results.metrics),
        "Apart": results.named(results.agreement.apart),
        "Findings": results.named(results.findings),
    }
    first = ["company_id", "company_name"]
    made = []
    for name, frame in frames.items():
        names = [*first, *(str(column) for column in frame if column not in first)]
        made.append(Sheet(name, frame, {column: head(column) for column in names}, _LISTS[name]))
    return made
