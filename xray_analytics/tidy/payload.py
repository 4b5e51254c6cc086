"""Payload parsing: what one says, a report of some product or a request, checked, with its id, source and times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal, NoReturn

from ..errors import ReportError
from ..tables import COMPANY_ID, CREATED_AT, REQUEST_ID
from . import bank
from .decode import Json, content_sha256, parse, refuse
from .drift import DriftNotes, type_name
from .fast import decode_quickly
from .fields import CONVERT, NeedsExactNumbers, PayloadPlace, Unexpected, fields_of, read_members
from .financial import read_financial
from .other import read_other
from .requests import read_code, read_request
from .rows import Parts, Product
from .transactions import Aliases

Kind = Literal["report", "request"]
SOURCES: Mapping[str, str] = {"bank": "bank_xray", "financial": "magpie", "esg": "esg"}  # those documented

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
_TIMES = (replace(CREATED_AT, source="creation"), replace(CREATED_AT, source="createdAt"))
_ENVELOPE = fields_of(
    (replace(REQUEST_ID, source="request"), *_TIMES), lenient=("request",), optional=("creation", "createdAt")
)
_REQUEST_TIMES = fields_of(_TIMES, optional=("creation", "createdAt"))
_CODE = fields_of((COMPANY_ID,), "code.")
_REPORT_MEMBERS = frozenset(("id", "source", "raw", "code", *_ENVELOPE))
_MOST_MEMBERS = 64
_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')  # no shape can have a member of such a name


@dataclass
class Known:
    """What a batch knows before it reads: the alias map, the products by their source, and members it may meet.

    The members only make the quick way possible; they grow with what the reference way met, and change no result.
    """

    aliases: Aliases
    products: Mapping[str, str]
    members: tuple[frozenset[str], frozenset[str]] = (_REPORT_MEMBERS, bank.MEMBERS)

    @cached_property
    def bank_sources(self) -> tuple[str, ...]:
        """The service's words for a bank report."""
        return tuple(word for word, product in self.products.items() if product == "bank")

    def learn(self, report: Mapping[str, Json]) -> None:
        """Remember the members of a report and of its `raw`, unless they are too many to be a shape."""
        raw = report.get("raw")
        if type(raw) is not dict or "allTransactions" not in raw:
            return
        grown = self.members[0].union(report), self.members[1].union(raw)
        if max(map(len, grown)) <= _MOST_MEMBERS and not any(map(_UNNAMEABLE.search, grown[0] | grown[1])):
            self.members = grown


@dataclass(frozen=True)
class Decoded:
    """A decoded payload: the report or request itself, what stood beside it, and its digest."""

    kind: Kind
    root: str
    item: dict[str, Json]
    beside: dict[str, Json]
    content_sha256: str
    notes: DriftNotes
    parts: Parts | None = None


@dataclass(frozen=True)
class Read:
    """A payload that was understood."""

    kind: Kind
    object_id: str
    source: str
    content_sha256: str
    created_at: datetime | None
    request_id: str | None
    company_id: str | None
    product_name: str
    product: Product
    notes: DriftNotes


def decode(body: bytes, kind: Kind | None, known: Known) -> Decoded:
    """The tree of a payload, in the quick way if that is possible."""
    quick = decode_quickly(body, known.aliases, known.members, known.bank_sources) if kind != "request" else None
    if quick is not None:
        return Decoded("report", "report", quick.report, {}, quick.content_sha256, quick.notes, quick.parts)
    return decode_strictly(body, kind, known)


def decode_strictly(body: bytes, kind: Kind | None, known: Known, *, exact: bool = False) -> Decoded:
    """The tree of a payload in the reference way."""
    notes = DriftNotes()
    tree = parse(body, exact=exact, notes=notes)
    found, root, item, beside = _unwrap(tree)
    if kind is not None and kind != found:
        refuse("wrong_kind", "", f"expected a {kind}, found a {found}")
    if found == "report":
        known.learn(item)
    # In one envelope, whichever it came in: the same object from a list and by itself is the same content.
    return Decoded(found, root, item, beside, content_sha256({**beside, found: item}), notes)


def _unwrap(tree: Json) -> tuple[Kind, str, dict[str, Json], dict[str, Json]]:
    """Kind and root of an object, the object, and the members beside it in its envelope."""
    if type(tree) is not dict:
        refuse("not_a_report", "", f"expected a report or a request, found {type_name(tree)}")
    for kind in ("report", "request"):
        if type(tree.get(kind)) is dict:
            beside = {name: value for name, value in tree.items() if name != kind}
            if kind == "report":
                return "report", kind, tree[kind], beside
            # Documented twice, with status and stage on either level.
            inner = {name: beside.pop(name) for name in ("status", "stage") if name in beside}
            return "request", kind, inner | tree[kind], beside
    if "report" in tree:
        refuse("wrong_type", "report", f"expected an object, found {type_name(tree['report'])}")
    if "raw" in tree or "source" in tree:
        return "report", "", tree, {}
    if tree.keys() & {"code", "status", "stage", "notes"}:
        return "request", "", tree, {}
    refuse("not_a_report", "", "expected a report or a request, found an object that is neither")


def object_id_of(content: Decoded) -> str | None:
    """The id inside a payload, None where it is none."""
    value = content.item.get("id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def understand(content: Decoded, body: bytes, known: Known, expected_id: str | None = None) -> Read:
    """What a decoded payload says.

    Raises
    ------
    ReportError
        It is not as documented; the message and `json_path` name the place from the root of the payload.
    """
    try:
        try:
            return _read(content, known, expected_id)
        except NeedsExactNumbers:
            return _read(decode_strictly(body, content.kind, known, exact=True), known, expected_id)
    except ReportError as error:
        _raise_rooted(error, content)


def _raise_rooted(error: ReportError, content: Decoded) -> NoReturn:
    root = f"$.{content.root}" if content.root else "$"
    path = (error.json_path or "$").replace("$", root, 1)
    message = str(error).replace("$", root, 1)
    raise ReportError(message, code=error.code, json_path=path, report_id=object_id_of(content)) from None


def _read(content: Decoded, known: Known, expected_id: str | None) -> Read:
    item, notes = content.item, content.notes
    object_id = _mandatory(item, "id", "id")
    if not _ID.fullmatch(object_id):
        refuse("bad_id", "id", "expected 1 to 64 ASCII letters, digits, _ or -, found another text")
    if expected_id is not None and object_id != expected_id:
        refuse("wrong_id", "id", "expected the id that was asked for, found another one")
    read = _read_report if content.kind == "report" else _read_request
    found = read(object_id, content, known)
    if content.beside:
        found.product.extra["envelope"] = content.beside
        for name, value in content.beside.items():
            notes.add(f"envelope.{name}", "unknown_member", value)
    return found


def _mandatory(item: Mapping[str, Json], name: str, kind: str) -> str:
    value = item.get(name)
    if value is None:
        refuse("missing_member", name, f"expected {kind}, found {'null' if name in item else 'nothing'}")
    try:
        text: str | None = CONVERT[kind](value)
    except Unexpected as wrong:
        refuse(wrong.code, name, f"expected {wrong.expected}, found {type_name(value)}")
    return text or ""


def _read_report(object_id: str, content: Decoded, known: Known) -> Read:
    item, notes = content.item, content.notes
    source = _mandatory(item, "source", "text")
    raw = item.get("raw")
    if type(raw) is not dict:
        code = "wrong_type" if raw is not None else "missing_member"
        refuse(code, "raw", f"expected an object, found {type_name(raw) if 'raw' in item else 'nothing'}")
    name = known.products.get(source, "other")
    if source not in known.products:
        notes.add("source", "unknown_value", source)
    product = _read_product(name, raw, content, known)
    values = {n: v for n, v in item.items() if n not in ("id", "source", "raw", "code")}
    (request_id, creation, created_at), extra = read_members(values, _ENVELOPE, PayloadPlace(""), notes)
    request_id = request_id or _id_in(item.get("request"))
    company_id, code = _read_code(item.get("code"), notes)
    product.extra = extra | ({"raw": product.extra} if product.extra else {}) | ({"code": code} if code else {})
    created = creation or created_at or _time_in(object_id)
    digest = content.content_sha256
    return Read("report", object_id, source, digest, created, request_id, company_id, name, product, notes)


def _id_in(request: Json) -> str | None:
    """The id of a request that is given as an object, in a shape that is not documented; it stays in `extra`, too."""
    value = request.get("id") if type(request) is dict else None
    return value if type(value) is str and _ID.fullmatch(value) else None


def _read_product(name: str, raw: dict[str, Json], content: Decoded, known: Known) -> Product:
    if name == "bank":
        return bank.read_bank(raw, known.aliases, content.notes, content.parts)
    if name == "financial":
        return read_financial(raw, content.notes)
    return read_other(raw)


def _read_code(code: Json, notes: DriftNotes) -> tuple[str | None, Json]:
    """Company code of a report and what is left; not documented on reports, so that no shape is an error."""
    if type(code) is not dict:
        if code is not None:
            notes.add("code", "unknown_value", code)
        return None, code
    left = {name: value for name, value in code.items() if name != "id"}
    (number,), _ = read_members({"id": code.get("id")}, _CODE, PayloadPlace("code"), notes)
    return read_code(number, code.get("type"), notes), left


def _read_request(object_id: str, content: Decoded, known: Known) -> Read:
    times = {name: content.item[name] for name in _REQUEST_TIMES if name in content.item}
    (creation, created_at), _ = read_members(times, _REQUEST_TIMES, PayloadPlace(""), content.notes)
    rest = {name: value for name, value in content.item.items() if name != "id" and name not in times}
    product = read_request(rest, content.notes)
    created = creation or created_at or _time_in(object_id)
    digest, company_id = content.content_sha256, product.report["company_id"]
    return Read("request", object_id, "request", digest, created, object_id, company_id, "", product, content.notes)


def _time_in(object_id: str) -> datetime | None:
    """Assumed: an id of 24 hexadecimal digits starts with its creation in seconds since 1970."""
    if not _OBJECT_ID.fullmatch(object_id):
        return None
    return datetime.fromtimestamp(int(object_id[:8], 16), UTC)
