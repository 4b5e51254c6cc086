"""A report as a small PDF: plain text on pages of A4, and on each that it is synthetic.

The same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

LINES_PER_PAGE = 52
_WIDTH = 92  # characters of 9 points Courier on a line
_LINE = 4.6  # mm


def pdf_of(report: Mapping[str, Any], business: str) -> bytes:
    """The Bank X-Ray `report` (with its `raw`) of `business` as a PDF."""
    from fpdf import FPDF  # noqa: PLC0415 - a third of the start of the service were it loaded above; few ask for a PDF

    lines = [line[:_WIDTH] for line in _lines(report, business)]
    pages = [lines[start : start + LINES_PER_PAGE] for start in range(0, len(lines), LINES_PER_PAGE)]
    paper = FPDF(format="A4")
    paper.set_creation_date(datetime.fromisoformat(report["creation"]))
    paper.pdf_version = "1.4"
    paper.set_compression(False)  # so that what it says can be looked for in its bytes
    paper.set_font("Courier", size=9)
    for number, page in enumerate(pages, start=1):
        paper.add_page()
        said = f"SYNTHETIC: made up by the sandbox, nobody is meant - page {number} of {len(pages)}"
        text = "\n".join([said, "", *page])
        paper.multi_cell(0, _LINE, text.encode("latin-1", "replace").decode("latin-1"), align="L")
    return bytes(paper.output())


def _lines(report: Mapping[str, Any], business: str) -> list[str]:
    raw, flag = report["raw"], report["raw"]["bankFlag"]
    head = [
        "BANK X-RAY",
        "",
        f"Company        {business}",
        f"Report         {report['id']} of {report['creation'][:10]}",
        f"Risk class     {raw.get('riskClass') or 'not rated'} (1 very good, 5 very bad)",
        f"Score          {raw.get('score') if raw.get('score') is not None else 'none'}",
        f"Flag           {flag['color']}, data sanity {flag['dataSanity']} %",
        "",
        "CRITERIA" + "value".rjust(34) + "quantile".rjust(12) + "   sentiment",
    ]
    criteria = [
        f"{r['criteria']:<28}{r['value']:>14.4g}{r['quantile']:>12g}   {r['sentiment']}" for r in flag["reasons"]
    ]
    statements = [
        f"{s['startDate']} to {s['endDate']}{s['startBalance']:>16,.2f}{s['endBalance']:>16,.2f}"
        for s in raw["summary"]
    ]
    title = "STATEMENTS" + "opening".rjust(29) + "closing".rjust(16)
    count = f"{len(raw['allTransactions']):,} transactions"
    return [*head, *criteria, "", title, *statements, "", count]
