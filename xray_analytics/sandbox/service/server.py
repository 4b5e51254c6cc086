"""The sandbox over HTTP: a Starlette app with the documented paths and headers, and the process that serves it.

Documented: paths, the three headers, 401 without them, `report` around one report, the answer of a download. Assumed
by analogy with the older API: the envelope of lists with `remaining`, `limit` and `offset`, error bodies. Only
127.0.0.1 is ever bound.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import InputError
from ..payloads.reports import Economy
from . import pdf, routes, storage
from .behaviour import PROFILES, Manners
from .faults import Faults
from .openapi import description
from .routes import desk_of, respond
from .state import Desk

API_VERSIONS = ("2024-01-25", "2023-06-01")  # documented
ID = re.compile(r"[0-9a-f]{24}")
DESCRIPTION = "/openapi.json"


def create_app(
    economy: Economy, user_id: str, session_token: str, *, organization_id: str = "0" * 24, **manners: Any
) -> Starlette:
    """The API of one economy as an ASGI app.

    Parameters
    ----------
    economy
        What is served.
    user_id, session_token
        The only credentials that are accepted.
    organization_id
        The organization of this user, which holds the webhook settings.
    manners
        As `Manners` has them.

    Raises
    ------
    InputError
        A choice of `behaviour` is none of those there are.
    """
    chosen = Manners(**manners)
    app = Starlette(
        routes=[
            Route(DESCRIPTION, _describe),
            Route("/requests", _list_requests),
            Route("/requests/{id}", _get_request),
            Route("/reports", _list_reports),
            Route("/reports/{id}", _get_report),
            Route("/reports/{id}/download", _download),
            *routes.routes(),
        ],
        middleware=[
            Middleware(Faults, profile=PROFILES[chosen.faults], seed=economy.seed),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1),
            Middleware(_Guard, user_id=user_id, session_token=session_token),
        ],
        exception_handlers={HTTPException: _refused},
    )
    app.state.desk = Desk(economy, chosen, user_id=user_id, organization_id=organization_id)
    return app


class _Guard:
    """Lets a call pass only with the three documented headers, compared in constant time.

    Files need a signature instead, and the description of the service is for everybody.
    """

    def __init__(self, app: ASGIApp, user_id: str, session_token: str) -> None:
        self.app = app
        self.expected = ((b"userid", user_id.encode()), (b"sessiontoken", session_token.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope.get("path", "").startswith((storage.PREFIX, DESCRIPTION))
        if scope["type"] == "http" and not is_open and not self._accepts(dict(scope["headers"])):
            await _error(401, "unauthorized")(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _accepts(self, headers: dict[bytes, bytes]) -> bool:
        matches = [hmac.compare_digest(headers.get(name, b""), value) for name, value in self.expected]
        return all(matches) and headers.get(b"october-version", b"").decode("latin-1") in API_VERSIONS


def _error(status: int, code: str) -> Response:
    return respond({"error": code}, status)


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    codes = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
    return _error(status, codes.get(status, "error"))


async def _describe(request: Request) -> Response:
    return respond(description(str(request.base_url).rstrip("/")))


async def _get_request(request: Request) -> Response:
    desk, id = desk_of(request), request.path_params["id"]
    return respond({"request": desk.request(id)}) if desk.has_request(id) else _error(404, "not_found")


async def _get_report(request: Request) -> Response:
    desk, id = desk_of(request), request.path_params["id"]
    if not desk.has_report(id):
        return _error(404, "not_found")
    return Response(desk.report_body(id), media_type="application/json")


async def _download(request: Request) -> Response:
    """The PDF in base64, for bank reports only; without the envelope `report`, as documented."""
    desk, id = desk_of(request), request.path_params["id"]
    if not desk.has_report(id) or desk.envelope(id)["source"] != "bank_xray":
        return _error(404, "not_found")
    report = json.loads(desk.report_body(id))["report"]
    name = desk.request(report["request"]).get("businessName") or desk.request(report["request"])["code"]["id"]
    encoded = base64.b64encode(pdf.pdf_of(report, name)).decode()
    said = {"fileExtension": "pdf", "request": report["request"], "report": id, "creation": report["creation"]}
    return respond(said | {"bankXrayPdfB64": encoded})


async def _list_requests(request: Request) -> Response:
    desk = desk_of(request)
    return _page(request, "requests", desk.request_ids(), desk.request)


async def _list_reports(request: Request) -> Response:
    desk, wanted = desk_of(request), request.query_params
    if "request" in wanted and not ID.fullmatch(wanted["request"]):
        return respond({"errors": {"request": "must be an id of 24 hexadecimal digits"}}, 400)
    ids = desk.report_ids(request_id=wanted.get("request"), source=wanted.get("source"))
    return _page(request, "reports", ids, desk.envelope)


def _page(request: Request, name: str, ids: list[str], show: Callable[[str], dict[str, Any]]) -> Response:
    query = request.query_params
    limit, offset = query.get("limit", str(max(1, len(ids)))), query.get("offset", "0")
    wrong = [key for key, text in (("limit", limit), ("offset", offset)) if not re.fullmatch(r"[0-9]{1,9}", text)]
    if wrong or int(limit) == 0:
        return respond({"errors": dict.fromkeys(wrong or ["limit"], "must be a whole number")}, 400)
    start, stop = int(offset), int(offset) + int(limit)
    items = [show(id) for id in ids[start:stop]]
    envelopes = {
        "named": {name: items, "remaining": max(0, len(ids) - stop)},
        "bare": items,
        "data": {"data": items},
    }
    return respond(envelopes[desk_of(request).manners.list_style])


def serve(app: Starlette, *, port: int = 0, announce: Callable[[int], None] = lambda port: None) -> None:
    """Serve `app` on 127.0.0.1 until interrupted; `announce` gets the port once connections are accepted.

    Raises
    ------
    InputError
        The port is taken.
    """
    # Without the explicit protocol asyncio leaves Nagle's algorithm on: 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"the sandbox cannot use port {port}: {error.strerror}; choose another one") from None
        listener.listen(128)
        announce(listener.getsockname()[1])
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_keep_alive=75)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn has shut down and raises the interrupt again
            uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """Serve as a child process: options as one JSON line on standard input, the port as one line on standard output.

    Standard input stays open as long as the parent lives; at its end, even after ``kill -9``, this process ends.
    """
    options = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    economy = Economy(
        options["companies"],
        options["seed"],
        until=date.fromisoformat(options["until"]),
        clean=options["clean"],
        without=options["without"],
    )
    app = create_app(economy, **options["account"], **options["manners"])
    try:
        serve(app, port=options["port"], announce=lambda port: print(port, flush=True))
    except InputError as error:
        raise SystemExit(str(error)) from None


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
