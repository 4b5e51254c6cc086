"""Payload parsing: what one says, a report of some product or a request, checked, with its id, source and times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal, NoReturn

from ..errors import ReportError
from ..tables import CREATED_AT
from . import bank
from .decode import Json, content_sha256, parse, refuse
from .drift import DriftNotes, type_name
from .fast import decode_quickly, plan_of
from .fields import CONVERT, NeedsExactNumbers, PayloadPlace, Unexpected, fields_of, read_members, taken
from .financial import read_financial
from .layout import Layout
from .layout.paths import left_over, take_value
from .layout.reader import Reader, ReportField
from .other import read_other
from .requests import read_code, read_request
from .rows import Parts, Product

Kind = Literal["report", "request"]
SOURCES: Mapping[str, str] = {"bank": "bank_xray", "financial": "magpie", "esg": "esg"}  # those documented

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
_TIMES = (replace(CREATED_AT, source="creation"), replace(CREATED_AT, source="createdAt"))
_REQUEST_TIMES = fields_of(_TIMES, optional=("creation", "createdAt"))
_QUIET = ("code",)  # on a report of no documented shape
_MOST_MEMBERS = 64
_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')  # no shape can have a member of such a name


@dataclass
class Known:
    """What a batch knows before it reads: the layout compiled, and members it may meet.

    The members only make the quick way possible; they grow with what the reference way met, and change no result.
    """

    reader: Reader
    members: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())

    def __post_init__(self) -> None:
        plan = plan_of(self.reader)
        if plan is not None:
            self.members = plan.report, plan.raw

    @cached_property
    def bank_sources(self) -> tuple[str, ...]:
        """The service's words for a bank report."""
        return tuple(word for word, product in self.reader.products.items() if product == "bank")

    def learn(self, report: Mapping[str, Json]) -> None:
        """Remember the members of a report and of its `raw`, unless they are too many to be a shape."""
        raw, plan = report.get("raw"), plan_of(self.reader)
        if type(raw) is not dict or plan is None or plan.entries not in raw:
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
    layout: Layout | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every transaction of it was read; a report of another product has none."""
        return self.product_name != "bank" or self.product.report["n_unread_transactions"] == 0


def decode(body: bytes, kind: Kind | None, known: Known) -> Decoded:
    """The tree of a payload, in the quick way if that is possible."""
    quick = decode_quickly(body, known.reader, known.members, known.bank_sources) if kind != "request" else None
    if quick is not None:
        return Decoded("report", "report", quick.report, {}, quick.content_sha256, quick.notes, quick.parts)
    return decode_strictly(body, kind, known)


def decode_strictly(body: bytes, kind: Kind | None, known: Known, *, exact: bool = False) -> Decoded:
    """The tree of a payload in the reference way."""
    notes = DriftNotes()
    tree = parse(body, exact=exact, notes=notes)
    found, root, item, beside = _unwrap(tree, known.reader)
    if kind is not None and kind != found:
        refuse("wrong_kind", "", f"expected a {kind}, found a {found}")
    if found == "report":
        known.learn(item)
    # In one envelope, whichever it came in: the same object from a list and by itself is the same content.
    return Decoded(found, root, item, beside, content_sha256({**beside, found: item}), notes)


def _unwrap(tree: Json, reader: Reader) -> tuple[Kind, str, dict[str, Json], dict[str, Json]]:
    """Kind and root of an object, the object, and the members beside it in its envelope."""
    if type(tree) is not dict:
        refuse("not_a_report", "", f"expected a report or a request, found {type_name(tree)}")
    named = next((name for name in reader.envelopes if name and type(tree.get(name)) is dict), None)
    if named is not None:
        return "report", named, tree[named], {name: value for name, value in tree.items() if name != named}
    if type(tree.get("request")) is dict:
        beside = {name: value for name, value in tree.items() if name != "request"}
        # Documented twice, with status and stage on either level.
        inner = {name: beside.pop(name) for name in ("status", "stage") if name in beside}
        return "request", "request", inner | tree["request"], beside
    for name in filter(None, reader.envelopes):
        if name in tree and "raw" not in tree:
            refuse("wrong_type", name, f"expected an object, found {type_name(tree[name])}")
    heads = {"raw", *(steps[0] for steps in reader.paths("source"))}
    if tree.keys() & heads and "" in reader.envelopes:
        return "report", "", tree, {}
    if tree.keys() & {"code", "status", "stage", "notes"}:
        return "request", "", tree, {}
    inside = next((name for name, value in tree.items() if type(value) is dict and value.keys() & heads), None)
    line = f', which parts.report = ["{inside}"] in the layout would allow' if inside and len(tree) == 1 else ""
    refuse("not_a_report", "", f"expected a report or a request, found an object that is neither{line}")


def object_id_of(content: Decoded, reader: Reader) -> str | None:
    """The id inside a payload, None where it is none."""
    paths = reader.paths("report_id") if content.kind == "report" else (("id",),)
    values = (taken(content.item, steps) for steps in paths)
    return next((value for value in values if isinstance(value, str) and _ID.fullmatch(value)), None)


def understand(content: Decoded, body: bytes, known: Known, expected_id: str | None = None) -> Read:
    """What a decoded payload says.

    Raises
    ------
    ReportError
        It is not as documented; the message and `json_path` name the place from the root of the payload.
    """
    object_id = object_id_of(content, known.reader)
    try:
        try:
            return _read(content, known, expected_id)
        except NeedsExactNumbers:
            return _read(decode_strictly(body, content.kind, known, exact=True), known, expected_id)
    except ReportError as error:
        _raise_rooted(error, content, object_id)


def _raise_rooted(error: ReportError, content: Decoded, object_id: str | None) -> NoReturn:
    root = f"$.{content.root}" if content.root else "$"
    path = (error.json_path or "$").replace("$", root, 1)
    message = str(error).replace("$", root, 1)
    raise ReportError(message, code=error.code, json_path=path, report_id=object_id) from None


def _read(content: Decoded, known: Known, expected_id: str | None) -> Read:
    found = (_read_report if content.kind == "report" else _read_request)(content, known.reader)
    if expected_id is not None and found.object_id != expected_id:
        refuse("wrong_id", "id", "expected the id that was asked for, found another one")
    if content.beside:
        found.product.extra["envelope"] = content.beside
        for name, value in content.beside.items():
            content.notes.add(f"envelope.{name}", "unknown_member", value)
    return found


def _mandatory(item: dict[str, Json], paths: Sequence[Sequence[str]], kind: str) -> str:
    """A text that must be there, taken out of the object."""
    present = {".".join(steps): taken(item, steps) for steps in paths}
    path, value = take_value(item, paths, DriftNotes(), lenient=False, expected=False)
    if value is None:
        refuse("missing_member", path, f"expected {kind}, found {'null' if None in present.values() else 'nothing'}")
    try:
        text: str | None = CONVERT[kind](value)
    except Unexpected as wrong:
        refuse(wrong.code, path, wrong.problem(value))
    return text or ""


def _id_of(item: dict[str, Json], paths: Sequence[Sequence[str]]) -> str:
    object_id = _mandatory(item, paths, "id")
    if not _ID.fullmatch(object_id):
        refuse("bad_id", ".".join(paths[0]), "expected 1 to 64 ASCII letters, digits, _ or -, found another text")
    return object_id


def _read_report(content: Decoded, reader: Reader) -> Read:
    item, notes = content.item, content.notes
    object_id = _id_of(item, reader.paths("report_id"))
    source = _mandatory(item, reader.paths("source"), "text")
    name = reader.products.get(source, "other")
    if source not in reader.products:
        notes.add("source", "unknown_value", source)
    product = _read_product(name, content, reader)
    fields = reader.of_report
    request_id, created_at = (bank.take_field(item, fields[column], notes) for column in ("request_id", "created_at"))
    request_id = request_id or _id_in(item.get("request"))
    company_id = _company_of(item, fields["company_id"], notes)
    product.extra |= left_over(item, reader.inner, _QUIET, notes)
    created = created_at or _time_in(object_id)
    digest = content.content_sha256
    ids = object_id, source, digest, created, request_id, company_id
    return Read("report", *ids, name, product, notes, reader.layout)


def _read_product(name: str, content: Decoded, reader: Reader) -> Product:
    item, raw = content.item, content.item.get("raw")
    if name == "bank" and "raw" not in reader.inner:
        return bank.read_bank(item, reader, content.notes, content.parts)
    if type(raw) is not dict:
        code = "wrong_type" if raw is not None else "missing_member"
        refuse(code, "raw", f"expected an object, found {type_name(raw) if 'raw' in item else 'nothing'}")
    if name == "bank":
        return bank.read_bank(item, reader, content.notes, content.parts)
    del item["raw"]
    product = read_financial(raw, content.notes) if name == "financial" else read_other(raw)
    product.extra = {"raw": product.extra} if product.extra else {}
    return product


def _company_of(item: dict[str, Json], field: ReportField, notes: DriftNotes) -> str | None:
    """Company code of a report; not documented on reports, so that no shape of what holds it is an error."""
    heads = {steps[0] for steps in field.paths if len(steps) > 1}
    for head in heads:
        if item.get(head) is not None and type(item[head]) is not dict:
            notes.add(head, "unknown_value", item[head])
    kinds = [item[head].get("type") for head in heads if type(item.get(head)) is dict]
    return read_code(bank.take_field(item, field, notes), next(iter(kinds), None), notes)


def _id_in(request: Json) -> str | None:
    """The id of a request that is given as an object, in a shape that is not documented; it stays in `extra`, too."""
    value = request.get("id") if type(request) is dict else None
    return value if type(value) is str and _ID.fullmatch(value) else None


def _read_request(content: Decoded, reader: Reader) -> Read:
    object_id = _id_of({"id": content.item.get("id")} if "id" in content.item else {}, (("id",),))
    times = {name: content.item[name] for name in _REQUEST_TIMES.fields if name in content.item}
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
