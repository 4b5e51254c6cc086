"""A service on loopback with latency and faults on request: the reports of a folder, eight to a request.

    python tests/benchmarks/service.py FOLDER [--latency-ms 50] [--fault-every 0]

Prints its port, and ends when its standard input is closed. With `--fault-every 100` one report in 100 is at first
answered with 503, or cut short, or not answered for a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PER_REQUEST = 8


class Service:
    """Bodies by id, requests that own eight of them each, and how often each report was asked for."""

    def __init__(self, folder: Path, latency: float, fault_every: int) -> None:
        found = (path.read_bytes() for path in sorted(folder.glob("*.json")))
        heads = ((json.loads(body).get("report"), body) for body in found)
        self._bodies = {report["id"]: (report, body) for report, body in heads if report}
        self._latency, self._fault_every = latency, fault_every
        self._asked: Counter[str] = Counter()
        self._reports: dict[str, list[dict[str, Any]]] = {}
        for number, (report_id, (report, _)) in enumerate(sorted(self._bodies.items())):
            request_id = f"{number // PER_REQUEST:024x}"
            summary = {"id": report_id, "request": request_id, "source": report["source"]}
            self._reports.setdefault(request_id, []).append(summary)

    def app(self) -> Starlette:
        routes = [
            Route("/requests", self._list_requests),
            Route("/reports", self._list_reports),
            Route("/reports/{id}", self._report),
        ]
        return Starlette(routes=routes)

    async def _list_requests(self, request: Request) -> Response:
        await asyncio.sleep(self._latency)
        code = {"type": "siren", "id": "514673987"}
        return JSONResponse({"requests": [{"id": i, "code": code} for i in self._reports], "remaining": 0})

    async def _list_reports(self, request: Request) -> Response:
        await asyncio.sleep(self._latency)
        source = request.query_params.get("source")
        found = self._reports.get(request.query_params.get("request", ""), [])
        return JSONResponse({"reports": [r for r in found if source in (None, r["source"])], "remaining": 0})

    async def _report(self, request: Request) -> Response:
        await asyncio.sleep(self._latency)
        report_id = request.path_params["id"]
        body = self._bodies[report_id][1]
        draw = zlib.crc32(report_id.encode())
        self._asked[report_id] += 1
        if self._fault_every and draw % self._fault_every == 0 and self._asked[report_id] == 1:
            if draw % 3 == 0:
                return JSONResponse({"error": "unavailable"}, 503)
            if draw % 3 == 1:  # fewer bytes than announced: the server closes the connection
                return Response(body[: len(body) // 2], headers={"Content-Length": str(len(body))})
            await asyncio.sleep(1)
        return Response(body, media_type="application/json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--fault-every", type=int, default=0)
    arguments = parser.parse_args()
    service = Service(arguments.folder, arguments.latency_ms / 1000, arguments.fault_every)
    config = uvicorn.Config(service.app(), host="127.0.0.1", port=0, log_level="critical")
    server = uvicorn.Server(config)

    def watch() -> None:
        while not server.started:
            threading.Event().wait(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
