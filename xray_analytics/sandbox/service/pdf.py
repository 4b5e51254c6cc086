"""A report as a small PDF that any reader opens: plain text on pages of A4, and on each that it is synthetic.

Written by hand, since a page of text needs no drawing library: the same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LINES_PER_PAGE = 52
_WIDTH = 92  # characters of 9 points Courier on a line


def pdf_of(report: Mapping[str, Any], business: str) -> bytes:
    """The Bank X-Ray `report` (with its `raw`) of `business` as a PDF."""
    lines = [line[:_WIDTH] for line in _lines(report, business)]
    pages = [lines[start : start + LINES_PER_PAGE] for start in range(0, len(lines), LINES_PER_PAGE)]
    return _file([_drawing(page, number, len(pages)) for number, page in enumerate(pages, start=1)])


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


def _drawing(lines: list[str], number: int, n_pages: int) -> bytes:
    """The content stream of one page."""
    shown = [f"SYNTHETIC: made up by the sandbox, nobody is meant - page {number} of {n_pages}", "", *lines]
    text = "\n".join(f"({_escaped(line)}) Tj T*" for line in shown)
    return f"BT /F1 9 Tf 13 TL 50 790 Td\n{text}\nET".encode("cp1252", "replace")


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _file(drawings: list[bytes]) -> bytes:
    """Objects 1 catalogue, 2 pages, 3 font, then a page and its drawing for each; then the table of their offsets."""
    numbers = range(4, 4 + 2 * len(drawings), 2)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(drawings)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>",
    ]
    for number, drawing in zip(numbers, drawings, strict=True):
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {number + 1} 0 R"
        objects.append(f"{page}/Resources<</Font<</F1 3 0 R>>>>>>".encode())
        objects.append(b"<</Length %d>>\nstream\n%b\nendstream" % (len(drawing), drawing))
    data, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
    return data + start + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(data))
