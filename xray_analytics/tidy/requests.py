"""Analysis requests: the row of one request, and the notes the lender gave with it."""

from __future__ import annotations

from ..errors import InputError
from ..grammar import identity
from ..tables import REQUEST_NOTES, REQUESTS
from .decode import Json, to_json
from .drift import DriftNotes
from .fields import PayloadPlace, fields_of, read_members
from .rows import Product

_OPTIONAL = ("businessName", "creator", "status", "stage")
_REQUEST = fields_of(
    (REQUESTS[name] for name in ("business_name", "creator_id", "status", "stage")), optional=_OPTIONAL
)
_CODE = fields_of((REQUESTS["company_code_type"], REQUESTS["company_id"]), "code.")
_NOTES = fields_of(
    REQUEST_NOTES.columns,
    "notes.",
    optional=("esgGenderDiversity", "esgLabels", "esgEmployeeProtection", "esgJobCreation"),
)
_KEPT = ("collaborators",)  # documented, of unknown shape: in `extra`, and no drift


def read_request(request: dict[str, Json], notes: DriftNotes) -> Product:
    """The row of a request without its id and times, and one row of notes where it has some.

    DriftNotes are whole numbers of cents as sent; a fraction is refused.
    """
    values = {name: value for name, value in request.items() if name not in ("code", "notes", *_KEPT)}
    (business_name, creator_id, status, stage), extra = read_members(values, _REQUEST, PayloadPlace(""), notes)
    extra |= {name: request[name] for name in _KEPT if name in request}
    code_type, company_id = None, None
    if request.get("code") is not None:
        (code_type, company_id), more = read_members(request["code"], _CODE, PayloadPlace("code"), notes)
        extra |= {"code": more} if more else {}
        company_id = read_code(company_id, code_type, notes)
    product = Product(extra=extra)
    if request.get("notes") is not None:
        row, more = read_members(request["notes"], _NOTES, PayloadPlace("notes"), notes)
        product.rows["request_notes"] = [(*row, to_json(more) if more else None)]
    product.report = {
        "company_code_type": code_type,
        "company_id": company_id,
        "business_name": business_name,
        "creator_id": creator_id,
        "status": status,
        "stage": stage,
    }
    return product


def read_code(number: str | None, code_type: Json, notes: DriftNotes) -> str | None:
    """The number of a company as `identity.company_code` has it; one that fails as sent without blanks, and noted.

    Without a type that is a word, it is a number where it fits one of the documented types.

    >>> notes = DriftNotes()
    >>> read_code("732 829 320 00074", "siren", notes), read_code("5520135", "siren", notes), notes.seen
    ('732829320', '5520135', {('$.code.id', 'wrong_code', '9999999')})
    """
    if number is None:
        return None
    given = code_type if isinstance(code_type, str) and identity.is_code_type(code_type) else None
    for kind in (given,) if given else identity.DOCUMENTED_TYPES:
        try:
            return identity.company_code(number, kind)
        except InputError:
            continue
    notes.add("code.id", "wrong_code", number)
    return identity.without_blanks(number)
