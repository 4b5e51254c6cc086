"""What the benchmarks read: reports of a corpus or of the sandbox; one bank and one financial report a company.

With several reports of a company pandas would have to decide which of them counts for which month, as the analyses do;
with one there is nothing to decide, and both sides must agree.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from measure import report_files

FETCHED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def newest_of_each_company(corpus: Path | None, companies: int, folder: Path) -> Path:
    """A folder with the newest report of each company and product; made once."""
    if folder.exists():
        return folder
    from xray_analytics.sandbox.payloads.reports import Economy

    chosen: dict[tuple[str, str], tuple[str, str, bytes]] = {}
    if corpus is None:
        economy = Economy(companies, seed=7, clean=True)
        bodies = map(economy.report_body, economy.report_ids())
    else:
        bodies = (path.read_bytes() for path in report_files(corpus))
    for body in bodies:
        report = json.loads(body)["report"]
        company = report.get("code", {}).get("id") or report["request"]
        found = (report.get("createdAt") or report.get("creation") or "", report["id"], body)
        key = (company, report["source"])
        chosen[key] = max(found, chosen.get(key, found))
    staged = folder.with_suffix(".part")
    staged.mkdir(parents=True, exist_ok=True)
    for _, report_id, body in chosen.values():
        (staged / f"{report_id}.json").write_bytes(body)
    if corpus is None:
        for request_id in economy.request_owners:
            (staged / f"{request_id}.json").write_text(json.dumps({"request": economy.request(request_id)}))
    staged.rename(folder)
    return folder


def store_of(reports: Path, folder: Path) -> Path:
    """A store with the reports of a folder; made once."""
    from xray_analytics import Store, import_files

    store = Store(folder)
    if not store.exists:
        print(f"importing {reports} …", file=sys.stderr, flush=True)
        result = import_files([reports], store)
        assert not result.is_partial, result.issues[:3]
    return folder
