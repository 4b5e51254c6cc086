"""Where the sandbox takes files: forms and addresses it signed itself, checked as S3 checks them.

Nothing of a file is kept but its size, its MD5, and the entries of a statement that can be read. A call that shows a
header of the API is refused, so that a client that leaks its token to the storage host is noticed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ..payloads.statement import Entry, read

MAX_BYTES = 20_000_000
PREFIX = "/storage/"
_API_HEADERS = frozenset({"userid", "sessiontoken", "october-version"})


class Stored(NamedTuple):
    """What is known of a file."""

    size: int
    md5: str
    entries: tuple[Entry, ...] | None = None


class Refused(Exception):
    """The bucket does not take the file; `code` is S3's own word."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Bucket:
    """Files by key; `seconds` is how long a form or an address is good."""

    def __init__(self, seconds: float) -> None:
        self.files: dict[str, Stored] = {}
        self._seconds, self._secret = seconds, secrets.token_bytes(32)

    def form(self, base_url: str, key: str, media_type: str) -> dict[str, Any]:
        """Address and fields of a form that takes one file under `key`, with a signed policy."""
        expires = datetime.now(UTC) + timedelta(seconds=self._seconds)
        conditions = [{"key": key}, ["eq", "$Content-Type", media_type], ["content-length-range", 1, MAX_BYTES]]
        document = {"expiration": expires.isoformat(), "conditions": conditions}
        policy = base64.b64encode(json.dumps(document).encode()).decode()
        fields = {"key": key, "Content-Type": media_type, "policy": policy, "x-amz-signature": self._sign(policy)}
        return {"url": f"{base_url}{PREFIX}", "fields": fields}

    def address(self, base_url: str, key: str, media_type: str) -> dict[str, Any]:
        """An address that takes one file of that type under `key` by PUT."""
        expires = str((datetime.now(UTC) + timedelta(seconds=self._seconds)).timestamp())
        signature = self._sign(f"PUT\n{key}\n{expires}\n{media_type}")
        url = f"{base_url}{PREFIX}{key}?Expires={expires}&Signature={signature}"
        return {"url": url, "method": "PUT", "headers": {"Content-Type": media_type}}

    def post(self, headers: Mapping[str, str], body: bytes) -> Stored:
        """Take the file of a form.

        Raises
        ------
        Refused
            As S3 would: wrong signature, policy over or not met, file missing or not last, too large.
        """
        _check_headers(headers)
        fields, data = _parts(headers.get("content-type", ""), body)
        policy = fields.get("policy", "")
        if not hmac.compare_digest(self._sign(policy), fields.get("x-amz-signature", "")):
            raise Refused(403, "SignatureDoesNotMatch")
        _check_policy(json.loads(base64.b64decode(policy)), fields, len(data))
        return self._keep(fields["key"], data)

    def put(self, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Stored:
        """Take the body of a PUT.

        Raises
        ------
        Refused
            The address is not one of this bucket, or is over, or the file is too large.
        """
        _check_headers(headers)
        expires, media_type = query.get("Expires", ""), headers.get("content-type", "")
        if not hmac.compare_digest(self._sign(f"PUT\n{key}\n{expires}\n{media_type}"), query.get("Signature", "")):
            raise Refused(403, "SignatureDoesNotMatch")
        if float(expires) < datetime.now(UTC).timestamp():
            raise Refused(403, "AccessDenied")
        if len(body) > MAX_BYTES:
            raise Refused(400, "EntityTooLarge")
        return self._keep(key, body)

    def _keep(self, key: str, data: bytes) -> Stored:
        self.files[key] = Stored(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), read(data))
        return self.files[key]

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()


def _check_headers(headers: Mapping[str, str]) -> None:
    if _API_HEADERS & {name.lower() for name in headers}:
        raise Refused(400, "CredentialsLeaked")


def _parts(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of a form, and its file, which must be the last part."""
    boundary = re.fullmatch(r"multipart/form-data; boundary=([A-Za-z0-9'()+_,./:=?-]{1,70})", content_type)
    if boundary is None:
        raise Refused(412, "PreconditionFailed")
    mark = b"\r\n--" + boundary[1].encode()
    pieces = (b"\r\n" + body).split(mark)
    fields: dict[str, str] = {}
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'form-data; name="([^"]+)"', head)
        if name is None or "file" in fields:
            raise Refused(400, "MalformedPOSTRequest")
        if name[1] == b"file":
            return fields | {"file": ""}, _last(piece is pieces[-2], content)
        fields[name[1].decode()] = content.decode()
    raise Refused(400, "MalformedPOSTRequest")


def _last(is_last: bool, content: bytes) -> bytes:
    if not is_last:
        raise Refused(400, "MalformedPOSTRequest")
    return content


def _check_policy(policy: Mapping[str, Any], fields: Mapping[str, str], size: int) -> None:
    """Every condition holds, and every field is named by one."""
    if datetime.fromisoformat(policy["expiration"]) < datetime.now(UTC):
        raise Refused(403, "AccessDenied")
    named = {"policy", "x-amz-signature", "file"}
    for condition in policy["conditions"]:
        if isinstance(condition, list) and condition[0] == "content-length-range":
            if not condition[1] <= size <= condition[2]:
                raise Refused(400, "EntityTooLarge" if size > condition[2] else "EntityTooSmall")
            continue
        (name, value), *_ = condition.items() if isinstance(condition, dict) else [(condition[1][1:], condition[2])]
        if fields.get(name) != value:
            raise Refused(403, "AccessDenied")
        named.add(name)
    if set(fields) - named:
        raise Refused(403, "AccessDenied")
