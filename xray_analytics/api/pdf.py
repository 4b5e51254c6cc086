"""The PDF of a report: strict base64 inside JSON, of the report asked for, whole from its first to its last marker."""

from __future__ import annotations

import binascii

import msgspec

from ..errors import ApiError, PermissionDenied
from ..settings import Settings
from .http.body import UNREADABLE
from .http.transport import Transport

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TAIL = 1024  # the end marker stands within so many bytes of the end, as readers accept it


def download(transport: Transport, settings: Settings, report_id: str) -> bytes:
    """The PDF of a Bank X-Ray report; see `XRayClient.download_pdf`."""
    try:
        response = transport.get(
            f"/reports/{report_id}/download",
            deadline=settings.download_timeout,
            max_bytes=settings.download_max_bytes,
            attempts=settings.download_attempts,
        )
    except ApiError as error:
        error.report_id = report_id
        if isinstance(error, PermissionDenied):
            advice = "the user needs the permission read_bank_xray_report; ask an administrator of your organization"
            error.args = (f"GET {error.path} at {settings.host}: answered 403; {advice}",)
        raise
    return pdf_of(response.body, report_id)


def pdf_of(body: bytes, report_id: str) -> bytes:
    """The bytes of the PDF in the answer of ``GET /reports/[id]/download``.

    Documented: ``report`` is the id, ``bankXrayPdfB64`` the file; the form of its base64 is not (line breaks are
    dropped, everything else must be the standard alphabet with its padding).

    Raises
    ------
    ApiError
        Code ``wrong_id``: the PDF of another report. Code ``invalid_pdf``: it is none, or not whole.
    """
    members = _members(body)
    is_other = _text(members, "report") != report_id
    found = "the PDF is not of the report asked for" if is_other else _data(members)
    del body, members  # what the service sent stands in no frame of the error
    if isinstance(found, str):
        raise _error("wrong_id" if is_other else "invalid_pdf", report_id, found)
    return found


def _data(members: dict[str, msgspec.Raw]) -> bytes | str:
    """The file, or what is wrong with it."""
    encoded = _text(members, "bankXrayPdfB64")
    if encoded is None:
        return "the answer holds no bankXrayPdfB64, as it does for Bank X-Ray reports"
    try:
        data = binascii.a2b_base64(encoded.replace("\r", "").replace("\n", "").encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return "the PDF is not valid base64"
    if not data.startswith(b"%PDF-"):
        return "what came is not a PDF"
    return data if b"%%EOF" in data[-_TAIL:] else "the PDF is cut: its end marker is missing"


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _MEMBERS.decode(body)
    except UNREADABLE:
        return {}


def _text(members: dict[str, msgspec.Raw], name: str) -> str | None:
    try:
        return msgspec.json.decode(members.get(name, b"null"), type=str | None)
    except UNREADABLE:
        return None


def _error(code: str, report_id: str, problem: str) -> ApiError:
    path = f"/reports/{report_id}/download"
    message = f"GET {path}: {problem}; try again later, and tell the vendor if it stays"
    error = ApiError(message, status=200, method="GET", path=path, report_id=report_id)
    error.code = code
    return error
