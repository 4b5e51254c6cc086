"""A file goes to the service in three steps: declare a medium, send the bytes to the storage host, put it online.

Documented: the steps, the body of the first, and that it answers with ``upload``. *Assumed*: the members of
``upload`` (a form to POST, or an address to PUT to; inside ``medium`` or beside it) and the body of the third step.

A medium is put online only after the storage host confirmed the file, and a file that was confirmed is never sent
again: the journal remembers it until its medium is online. A file that was cut off is sent once more to the same
address. A step that failed for good before leaves at most a draft without a file, which starts nothing; the service
documents no way to remove it, nor to ask again where its file should go.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ApiError, InputError, UploadError
from ..settings import Settings, is_id
from .answer import object_of
from .http.failure import plain
from .storage import Metered, Receipt, Sent, Storage, check_host

if TYPE_CHECKING:
    from .http.transport import Transport
    from .journal import Intent, Journal

# Documented, and which periods each may have; "year" of a bank statement is named on one page and missing on another.
NAMES = ("certified_financial_statement", "bank_statement", "interim_financial_statement", "other")
PERIODS: Mapping[str, tuple[str, ...]] = {
    "certified_financial_statement": ("year",),
    "bank_statement": ("month", "quarter", "semester", "year"),
}
PDF = "application/pdf"
_ADDRESSES = ("url", "upload")
_HEADER = re.compile(r"(content-(type|md5|disposition|encoding)|cache-control|expires|x-amz-[a-z0-9-]+)", re.I)


@dataclass(frozen=True)
class Medium:
    """A file that is online at the service.

    ``is_new`` is false where an earlier run had put the same file online for the same request.
    """

    id: str
    request_id: str
    name: str
    size: int
    sha256: str
    is_new: bool = True


@dataclass(frozen=True)
class Document:
    """A file that may be uploaded, read once, so that what is checked, sent and remembered are the same bytes."""

    name: str
    filename: str
    media_type: str
    data: bytes = field(repr=False)
    meta: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """What tells this file from others."""
        return hashlib.sha256(self.data).hexdigest()

    def declaration(self, request_id: str) -> dict[str, Any]:
        """The documented body of ``POST /media``."""
        about = {"name": self.filename, "size": len(self.data), "type": self.media_type}
        return {"name": self.name, "type": "document", "meta": about, "request": request_id}


@dataclass(frozen=True)
class Target:
    """Where and how the bytes are to be sent; a form where there are `fields`, else a PUT."""

    url: str = field(repr=False)
    fields: Mapping[str, str] | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def read_document(
    path: str | Path, *, name: str, meta: Mapping[str, str], media_type: str, settings: Settings
) -> Document:
    """The file, if it is one the service may take.

    Raises
    ------
    InputError
        It cannot be read, is empty, larger than ``upload_max_bytes``, or said to be a PDF and is none.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(settings.upload_max_bytes + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); nothing was sent") from None
    if not data:
        raise InputError(f"{path} is empty; nothing was sent")
    if len(data) > settings.upload_max_bytes:
        raise InputError(f"{path} is larger than {settings.upload_max_bytes:,} bytes, the service's limit; split it")
    if media_type == PDF and not data.startswith(b"%PDF-"):
        raise InputError(f"{path} is not a PDF; export it as one, or say what it is (media_type, --type)")
    filename = path.name.encode("utf-8", "replace").decode()  # a name of a file need be no text
    return Document(name, filename, media_type, data, meta)


def checked_meta(name: str, period: str | None, day: date | str | None) -> dict[str, str]:
    """The `meta` of the third step; its `date` as an ISO day (assumed), whose meaning is left to the caller.

    Raises
    ------
    InputError
        An undocumented name, a period that is not documented for it, or a day that is none.

    Examples
    --------
    >>> checked_meta("bank_statement", "month", "2022-02-28")
    {'period': 'month', 'date': '2022-02-28'}
    """
    if name not in NAMES:
        raise InputError(f"no document name {name!r}; there are {', '.join(NAMES)}")
    if period is not None and period not in PERIODS.get(name, ()):
        allowed = ", ".join(PERIODS.get(name, ())) or "none"
        raise InputError(f"no period {period!r} is documented for {name}; there are: {allowed}")
    meta = {} if period is None else {"period": period}
    return meta if day is None else meta | {"date": _iso_day(day)}


def _iso_day(day: date | str) -> str:
    try:
        parsed = datetime.strptime(day, "%Y-%m-%d").date() if isinstance(day, str) else day
    except ValueError:
        raise InputError(f"{day!r} is not a day such as 2022-02-28") from None
    return parsed.strftime("%Y-%m-%d")


class Upload:
    """One file on its way to one request."""

    def __init__(
        self, transport: Transport, settings: Settings, *, journal: Journal | None, progress: Sent | None
    ) -> None:
        self._transport, self._settings = transport, settings
        self._journal, self._progress = journal, progress

    def run(self, request_id: str, document: Document, *, again: bool = False) -> Medium:
        """Take the steps that are still to be taken.

        Raises
        ------
        UploadError
            The file did not reach the storage host, or is not whole there; nothing was put online.
        ApiError
            The service refused a step, or did not answer it.
        """
        key = f"{document.sha256}:{request_id}:{document.name}"
        facts = (request_id, document.name, len(document.data), document.sha256)
        done = self._journal.outcome("medium", key) if self._journal and not again else None
        if done is not None:
            return Medium(str(done["medium_id"]), *facts, is_new=False)
        intent = self._stored(key)
        medium_id = str(intent.payload["medium_id"]) if intent else self._store(request_id, document)
        number = intent.id if intent else self._remember(key, request_id, medium_id)
        self._put_online(medium_id, request_id, document, number)
        return Medium(medium_id, *facts)

    def _stored(self, key: str) -> Intent | None:
        """The file of an earlier run that is at the storage host, while nobody knows whether its medium is online."""
        intents = self._journal.open_intents("medium") if self._journal else []
        return next((intent for intent in intents if intent.key == key), None)

    def _remember(self, key: str, request_id: str, medium_id: str) -> int | None:
        payload = {"request_id": request_id, "medium_id": medium_id, "step": "stored"}
        return self._journal.intend("medium", key, payload) if self._journal else None

    def _store(self, request_id: str, document: Document) -> str:
        """Declare and send; once more from the start where the storage host says that the address is over."""
        medium_id, target = self._declare(request_id, document)
        receipt = self._send(target, document)
        if receipt.status == 403:
            medium_id, target = self._declare(request_id, document)
            receipt = self._send(target, document)
        check_receipt(receipt, document.data)
        return medium_id

    def _declare(self, request_id: str, document: Document) -> tuple[str, Target]:
        again = "upload the file again, at worst an empty draft is left"
        response = self._transport.post("/media", document.declaration(request_id), if_unknown=again)
        medium_id, target = _declared(object_of("medium", response.body) or {}, self._settings)
        check_host(target.url, self._settings)
        return medium_id, target

    def _send(self, target: Target, document: Document) -> Receipt:
        if target.fields is None:
            method, body, headers = "PUT", document.data, {"Content-Type": document.media_type, **target.headers}
        else:
            boundary = secrets.token_hex(16)
            method, body = "POST", form_body(target.fields, document, boundary)
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        with Storage(self._settings) as storage:
            return storage.send(target.url, Metered(body, self._progress), method=method, headers=headers)

    def _put_online(self, medium_id: str, request_id: str, document: Document, intent: int | None) -> None:
        body: dict[str, Any] = {"status": "online"} | ({"meta": dict(document.meta)} if document.meta else {})
        try:
            again = "upload the file again, with a journal only this last step is repeated"
            response = self._transport.post(f"/media/{medium_id}", body, accept_json=False, if_unknown=again)
        except ApiError as error:
            if self._journal and intent is not None and error.is_refusal and error.status not in (401, 403, 429):
                self._journal.settle(intent, None)  # this medium will never be online: the next run starts anew
            raise
        answered = object_of("medium", response.body) or {}
        if answered.get("status") == "draft":
            raise UploadError(f"medium {medium_id} is still a draft although its file was sent; upload it again")
        if self._journal and intent is not None:
            told = told_of(answered, document, request_id, medium_id)
            at = datetime.now(UTC).isoformat()
            self._journal.settle(intent, {"medium_id": medium_id, "medium": told, "answered_at": at})


def told_of(answered: Mapping[str, Any], document: Document, request_id: str, medium_id: str) -> dict[str, Any]:
    """The medium as it is known when it is online, for the journal: what was sent, and what else the answer says.

    Without addresses, which are signed (who has one has the file), and without the name of the file, which may be that
    of a person.

    >>> document = Document("other", "f.pdf", PDF, b"%PDF-", {})
    >>> answered = {"id": "m", "status": "pending_extraction", "url": "requests/r/f.pdf?Signature=s", "user": "u"}
    >>> told = told_of(answered, document, "r", "m")
    >>> told["status"], told["meta"]["size"], "url" in told, told["user"]
    ('pending_extraction', 5, False, 'u')
    """
    sent = document.declaration(request_id)
    known = {"status": "online"} | {n: v for n, v in answered.items() if n not in _ADDRESSES and not _is_signed(v)}
    meta = {"size": sent["meta"]["size"], "type": sent["meta"]["type"], **document.meta}
    return {**known, **sent, "id": medium_id, "meta": meta}


def _is_signed(value: object) -> bool:
    return bool(re.search(r"://|[?&][\w-]+=|signature", str(value), re.I))


def _declared(medium: dict[str, Any], settings: Settings) -> tuple[str, Target]:
    medium_id, upload = medium.get("id"), [medium.get("upload")]
    medium.clear()  # signed addresses are keys: none stands in the frame of an error
    if not is_id(medium_id, settings.id_pattern):
        del medium_id
        raise UploadError("POST /media: the answer holds no medium with an id; nothing was sent, ask the vendor")
    return medium_id, target_of(upload.pop(), settings)


def target_of(upload: object, settings: Settings) -> Target:
    """Where to send the file, from either assumed shape of ``upload``.

    Raises
    ------
    UploadError
        Another shape; the message names its members and nothing of their content.

    Examples
    --------
    >>> settings = Settings(user_id="user", session_token="token")
    >>> target_of({"url": "https://b.s3.amazonaws.com/", "fields": {"key": "k"}}, settings).fields
    {'key': 'k'}
    >>> target_of({"href": "https://b.s3.amazonaws.com/"}, settings)
    Traceback (most recent call last):
    xray_analytics.errors.UploadError: POST /media: `upload` is neither {url, fields} nor {url, method: PUT, headers} \
(members: href); nothing was sent, ask the vendor
    """
    target = _target(upload)
    members = "" if target else plain(", ".join(map(str, upload if isinstance(upload, dict) else ())), settings)
    del upload
    if target is not None:
        return target
    raise UploadError(
        f"POST /media: `upload` is neither {{url, fields}} nor {{url, method: PUT, headers}} (members: "
        f"{members or 'none'}); nothing was sent, ask the vendor"
    )


def _target(upload: object) -> Target | None:
    found = upload if isinstance(upload, dict) else {}
    url, fields, headers = found.get("url"), found.get("fields"), found.get("headers") or {}
    is_put = str(found.get("method", "")).upper() == "PUT" and _is_text(headers)
    if isinstance(url, str) and (_is_text(fields) or (fields is None and is_put)):
        wrong = [name for name in headers if not _HEADER.fullmatch(name)] if fields is None else []
        if not wrong and not any(set(n + headers[n]) & {"\r", "\n"} for n in headers):
            return Target(url, fields, headers if fields is None else {})
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)


def form_body(fields: Mapping[str, str], document: Document, boundary: str) -> bytes:
    """A ``multipart/form-data`` body with the file last: S3 ignores every field after it.

    Raises
    ------
    UploadError
        The name of a field could end its own header.
    """
    parts = []
    for name, value in fields.items():
        if not re.fullmatch(r"[ -!#-~]{1,200}", name):
            raise UploadError("POST /media: `upload` holds a field of a strange name; nothing was sent, ask the vendor")
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="document"\r\n'
        f"Content-Type: {document.media_type}\r\n\r\n"
    )
    return b"".join(parts) + head.encode() + document.data + f"\r\n--{boundary}--\r\n".encode()


def check_receipt(receipt: Receipt, data: bytes) -> None:
    """Whether the storage host has these bytes: a status from 200 to 299 and, where its ETag is an MD5, this one.

    Objects encrypted with a customer's key have an ETag of the same form that is no MD5; there the status must do.

    Raises
    ------
    UploadError
        It refused the file, or has other bytes.
    """
    if not 200 <= receipt.status < 300:
        reason = f" '{receipt.reason}'" if receipt.reason else ""
        raise UploadError(
            f"the storage host answered {receipt.status}{reason} to the file, so it was not put online; upload it again"
        )
    headers = {name.lower(): value for name, value in receipt.headers.items()}
    tag = headers.get("etag", "").strip('"')
    has_own_key = "kms" in headers.get("x-amz-server-side-encryption", "") or any(
        name.startswith("x-amz-server-side-encryption-customer") for name in headers
    )
    is_md5 = re.fullmatch(r"[0-9a-f]{32}", tag) and not has_own_key
    if is_md5 and tag != hashlib.md5(data, usedforsecurity=False).hexdigest():
        raise UploadError(
            "the storage host received other bytes than were sent, so they were not put online; try again"
        )
