"""The write side of the sandbox over HTTP: requests, notes, media, the storage host, and webhook settings.

Documented: paths and bodies of the guides. Assumed: which bodies are refused, with 400 and the names of the fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..payloads.reports import encode
from .deliveries import is_local
from .state import PERIOD_MONTHS, Desk
from .storage import MAX_BYTES, PREFIX, Refused, Stored

CODES = {"siren": r"[0-9]{9}", "kvk": r"[0-9]{8}"}
MEDIUM_NAMES = ("certified_financial_statement", "bank_statement", "interim_financial_statement", "other")
_ID = r"[0-9a-f]{24}"
_FORM_OVERHEAD = 100_000


def routes() -> list[Route]:
    """All routes that change something, and the two that go with them."""
    return [
        Route("/requests", _open_request, methods=["POST"]),
        Route("/requests/{id}", _note, methods=["POST"]),
        Route("/media", _declare, methods=["POST"]),
        Route("/media/{id}", _put_online, methods=["POST"]),
        Route(PREFIX, _store_form, methods=["POST"]),
        Route(PREFIX + "{key:path}", _store_put, methods=["PUT"]),
        Route("/businesses/{id}", _business, methods=["GET", "POST"]),
    ]


def respond(content: object, status: int = 200) -> Response:
    """JSON, as the sandbox writes it."""
    return Response(encode(content), status, media_type="application/json")


def desk_of(request: Request) -> Desk:
    """The desk of the app that was called."""
    desk: Desk = request.app.state.desk
    return desk


async def _open_request(request: Request) -> Response:
    desk, body = desk_of(request), await _body(request)
    raw_code = body.get("code")
    code = raw_code if isinstance(raw_code, dict) else {}
    checks = {
        "code": re.fullmatch(CODES.get(str(code.get("type")), "$."), str(code.get("id"))),
        "creator": re.fullmatch(_ID, str(body.get("creator", "0" * 24))),
        "businessName": body.get("businessName", "-"),
    }
    if not all(checks.values()):
        return _wrong(*(name for name, holds in checks.items() if not holds))
    made = desk.open_request(body)
    flat = {name: made[name] for name in ("id", "status", "stage")}
    return respond(flat if desk.manners.answer_style == "flat" else {"request": made})


async def _note(request: Request) -> Response:
    desk, body, name = desk_of(request), await _body(request), request.path_params["id"]
    if not desk.has_request(name):
        return respond({"error": "not_found"}, 404)
    if not isinstance(body.get("notes"), dict):
        return _wrong("notes")
    return respond({"request": desk.note(name, body["notes"])})


async def _declare(request: Request) -> Response:
    desk, body = desk_of(request), await _body(request)
    raw_meta = body.get("meta")
    meta = raw_meta if isinstance(raw_meta, dict) else {}
    size = meta.get("size")
    checks = {
        "name": body.get("name") in MEDIUM_NAMES,
        "request": desk.has_request(str(body.get("request"))),
        "meta.name": isinstance(meta.get("name"), str),
        "meta.type": isinstance(meta.get("type"), str),
        "meta.size": isinstance(size, int) and 0 < size <= MAX_BYTES,
    }
    if not all(checks.values()):
        return _wrong(*(name for name, holds in checks.items() if not holds))
    medium, upload = desk.declare_medium(body, str(request.base_url).rstrip("/"))
    inside = desk.manners.upload_place == "inside"
    return respond({"medium": medium | {"upload": upload}} if inside else {"medium": medium, "upload": upload})


async def _put_online(request: Request) -> Response:
    desk, body, name = desk_of(request), await _body(request), request.path_params["id"]
    if desk.medium(name) is None:
        return respond({"error": "not_found"}, 404)
    raw_meta = body.get("meta", {})
    meta = raw_meta if isinstance(raw_meta, dict) else {"period": None}
    if body.get("status") != "online" or not _is_meta(meta):
        return _wrong("status" if body.get("status") != "online" else "meta")
    medium = desk.put_online(name, meta)
    return respond({"medium": medium}) if medium else _wrong("status")


def _is_meta(meta: Mapping[str, Any]) -> bool:
    try:
        date.fromisoformat(meta.get("date", "2022-02-28"))
    except (TypeError, ValueError):
        return False
    return meta.get("period", "month") in PERIOD_MONTHS


async def _store_form(request: Request) -> Response:
    try:
        body = await _file(request)
        return _taken(desk_of(request).bucket.post(request.headers, body), 204)
    except Refused as error:
        return _refused(error)


async def _store_put(request: Request) -> Response:
    try:
        body = await _file(request)
        bucket = desk_of(request).bucket
        return _taken(bucket.put(request.path_params["key"], request.query_params, request.headers, body), 200)
    except Refused as error:
        return _refused(error)


async def _file(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise Refused(411, "MissingContentLength")
    if int(length) > MAX_BYTES + _FORM_OVERHEAD:
        raise Refused(400, "EntityTooLarge")
    return await request.body()


def _taken(stored: Stored, status: int) -> Response:
    return Response(status_code=status, headers={"ETag": f'"{stored.md5}"'})


def _refused(error: Refused) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{error.code}</Code></Error>'
    return Response(text, error.status, media_type="application/xml")


async def _business(request: Request) -> Response:
    desk = desk_of(request)
    if request.path_params["id"] != desk.organization_id:
        return respond({"error": "not_found"}, 404)
    if request.method == "POST":
        wanted = _webhooks(await _body(request))
        if wanted is None:
            return _wrong("settings.webhooks")
        desk.set_webhooks(wanted)
    return respond({"business": {"id": desk.organization_id, "settings": {"webhooks": desk.webhooks}}})


def _webhooks(body: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The list under `settings.webhooks`, with or without `business` around; None where it is not one."""
    found: Any = body.get("business", body)
    for name in ("settings", "webhooks"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, list) and all(map(_is_webhook, found)) else None


def _is_webhook(one: Any) -> bool:
    events = one.get("events") if isinstance(one, dict) else None
    return isinstance(events, list) and all(isinstance(e, str) for e in events) and is_local(one.get("url"))


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of the call; empty where it is none, so that its fields are found missing."""
    try:
        content = json.loads(await request.body())
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}


def _wrong(*names: str) -> Response:
    return respond({"errors": dict.fromkeys(names, "is not acceptable")}, 400)
