"""The OpenAPI description of the service as the sandbox plays it; the vendor publishes none.

``x-grade`` says how the shape of an operation or a schema is known: ``documented`` in the guides, or ``assumed``.
"""

from __future__ import annotations

from typing import Any

_ID = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_TEXT = {"type": "string"}
_MONEY = {"type": "number"}
_OBJECT = {"type": "object"}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


_SCHEMAS = {
    "Code": _object("type id", type={"enum": ["siren", "kvk"]}, id=_TEXT) | {"x-grade": "documented"},
    "Request": _object("id code status stage", id=_ID, code=_ref("Code"), status=_TEXT, stage=_TEXT, businessName=_TEXT,
                       creator=_ID, collaborators=_list(_ID), creation={"type": "string", "format": "date-time"},
                       notes=_OBJECT) | {"x-grade": "documented"},
    "Envelope": _object("id request source creation", id=_ID, request=_ID, source=_TEXT,
                        creation={"type": "string", "format": "date-time"}) | {"x-grade": "assumed"},
    "Report": {"allOf": [_ref("Envelope"), _object("raw", raw=_OBJECT)], "x-grade": "documented"},
    "Transaction": _object("date label amount", date={"type": "string", "format": "date"}, label=_TEXT, amount=_MONEY)
                   | {"x-grade": "assumed"},
    "Download": _object("bankXrayPdfB64 fileExtension request report creation", bankXrayPdfB64=_TEXT,
                        fileExtension={"const": "pdf"}, request=_ID, report=_ID, creation=_TEXT)
                | {"x-grade": "documented"},
    "Medium": _object("id name status meta request", id=_ID, request=_ID, name=_TEXT, type=_TEXT, url=_TEXT, user=_ID,
                      status={"enum": ["draft", "online", "pending_extraction"]},
                      meta=_object("name size type", name=_TEXT, size={"type": "integer"}, type=_TEXT),
                      upload=_ref("Upload")) | {"x-grade": "documented"},
    "Upload": _object("url", url=_TEXT, fields=_OBJECT, method={"const": "PUT"}, headers=_OBJECT)
              | {"x-grade": "assumed"},
    "Declaration": _object("name meta request", name=_TEXT, type=_TEXT, request=_ID,
                           meta=_object("name size type", name=_TEXT, size={"type": "integer"}, type=_TEXT))
                   | {"x-grade": "documented"},
    "Webhook": _object("url events", url=_TEXT, events=_list(_TEXT), key=_TEXT) | {"x-grade": "documented"},
    "Business": _object("id settings", id=_ID, settings=_object("webhooks", webhooks=_list(_ref("Webhook"))))
                | {"x-grade": "documented"},
    "Error": {"anyOf": [_object("error", error=_TEXT), _object("errors", errors=_OBJECT)], "x-grade": "assumed"},
}  # fmt: skip


def _around(name: str, inner: dict[str, Any]) -> dict[str, Any]:
    return _object(name, **{name: inner})


def _page(name: str, inner: dict[str, Any]) -> dict[str, Any]:
    """The three envelopes of a list that the sandbox plays."""
    named = _object(f"{name} remaining", **{name: _list(inner), "remaining": {"type": "integer", "minimum": 0}})
    return {"anyOf": [named, _list(inner), _around("data", _list(inner))]}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _operation(  # noqa: PLR0913 - what differs between two operations
    name: str, grade: str, answer: dict[str, Any], *, body: dict[str, Any] | None = None, query: str = "", of: str = ""
) -> dict[str, Any]:
    """One operation; `query` names its parameters, `of` the parameter of its path."""
    path = [{"name": of, "in": "path", "required": True, "schema": _ID}] if of else []
    asked = [{"name": word, "in": "query", "schema": _TEXT} for word in query.split()]
    refused = {code: {"description": "refused", "content": _json(_ref("Error"))} for code in ("400", "401", "404")}
    return {
        "operationId": name,
        "x-grade": grade,
        "parameters": path + asked,
        "responses": {"200": {"description": "done", "content": _json(answer)}} | refused,
    } | ({"requestBody": {"required": True, "content": _json(body)}} if body else {})


def _paths() -> dict[str, Any]:
    request, report, medium = _ref("Request"), _ref("Report"), _ref("Medium")
    opened = {"anyOf": [_around("request", request), _object("id status stage", id=_ID, status=_TEXT, stage=_TEXT)]}
    declared = _object("medium", medium=medium, upload=_ref("Upload"))
    opening = _object("code", code=_ref("Code"), creator=_ID, businessName=_TEXT)
    online = _object("status", status={"const": "online"}, meta=_OBJECT)
    business, wanted = _around("business", _ref("Business")), _object("settings", settings=_OBJECT)
    return {
        "/requests": {
            "get": _operation("listRequests", "assumed", _page("requests", request), query="limit offset"),
            "post": _operation("openRequest", "documented", opened, body=opening),
        },
        "/requests/{id}": {
            "get": _operation("getRequest", "documented", _around("request", request), of="id"),
            "post": _operation(
                "note", "documented", _around("request", request), body=_around("notes", _OBJECT), of="id"
            ),
        },
        "/reports": {
            "get": _operation(
                "listReports", "documented", _page("reports", _ref("Envelope")), query="source request limit offset"
            )
        },
        "/reports/{id}": {"get": _operation("getReport", "documented", _around("report", report), of="id")},
        "/reports/{id}/download": {"get": _operation("download", "documented", _ref("Download"), of="id")},
        "/media": {"post": _operation("declareMedium", "documented", declared, body=_ref("Declaration"))},
        "/media/{id}": {"post": _operation("putOnline", "documented", _around("medium", medium), body=online, of="id")},
        "/businesses/{id}": {
            "get": _operation("getBusiness", "documented", business, of="id"),
            "post": _operation("setWebhooks", "assumed", business, body=wanted, of="id"),
        },
    }


def description(base_url: str) -> dict[str, Any]:
    """The whole description, for `GET /openapi.json`.

    >>> sorted(description("http://127.0.0.1:1")["paths"])[0]
    '/businesses/{id}'
    """
    headers = {"userId": "userId", "sessionToken": "sessionToken", "version": "October-Version"}
    schemes = {name: {"type": "apiKey", "in": "header", "name": header} for name, header in headers.items()}
    about = (
        "A stand-in for a lender's risk service: all companies are fictitious (SYNTHETIC). "
        "x-grade says what the vendor's guides document and what is assumed."
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "X-Ray sandbox", "version": "2024-01-25", "description": about},
        "servers": [{"url": base_url}],
        "security": [{name: [] for name in schemes}],
        "paths": _paths(),
        "components": {"schemas": _SCHEMAS, "securitySchemes": schemes},
    }
