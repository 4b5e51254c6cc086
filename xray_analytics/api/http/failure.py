"""What an answer other than 200 means: which error, worded how, and whether another try may help."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from ...errors import (
    ApiError,
    AuthenticationError,
    IncompleteBody,
    NotFoundError,
    PermissionDenied,
    RateLimitError,
    RedirectRefused,
    SilentServiceError,
    UnavailableError,
)
from ...grammar import addresses
from ...settings import Settings
from .body import UNREADABLE

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_KINDS: dict[int, type[ApiError]] = dict.fromkeys(RETRIED, UnavailableError) | {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFoundError,
    410: NotFoundError,
    429: RateLimitError,
}
_ADVICE: dict[type[ApiError], str] = {
    AuthenticationError: "the headers userId, sessionToken and October-Version were not accepted: "
    "check XRAY_USER_ID, XRAY_SESSION_TOKEN and XRAY_API_VERSION",
    PermissionDenied: "ask an administrator of your organization for the right to do that",
    NotFoundError: "check the id, and that it belongs to your organization",
    RateLimitError: "run the same command again later, it resumes where it stopped; lower requests_per_second and "
    "workers in the settings if that recurs",
    UnavailableError: "check the network and run it again later",
    SilentServiceError: "the run stops here and keeps what it fetched: run the same command again later, it resumes; "
    "or raise read_timeout and lower workers in the settings",
    IncompleteBody: "run it again later, and tell the vendor if it stays",
    RedirectRefused: "set base_url to the address of the service itself",
    ApiError: "check base_url and the API version, or ask the vendor",
}


@dataclass(frozen=True)
class Failure:
    """Why one attempt brought no answer.

    A value and not an exception, because an exception raised inside the HTTP library would carry frames in which the
    token stands in clear.
    `retry` says that another try may help, not before `wait` seconds; `code` and `advice` replace those of `kind`.
    `is_silence` says that an answer did not come in time.
    """

    kind: type[ApiError]
    problem: str
    status: int | None = None
    retry: bool = False
    wait: float = 0.0
    code: str | None = None
    advice: str | None = None
    is_silence: bool = False

    def error(self, host: str, path: str, attempts: int, *, method: str = "GET") -> ApiError:
        """The error to raise for a call of `path` after so many attempts."""
        tries = f" (attempt {attempts})" if attempts > 1 else ""
        wait = f", which asks to wait {self.wait:.0f} s" if self.wait else ""
        error = self.kind(
            f"{method} {path} at {host}: {self.problem}{wait}{tries}; {self.advice or _ADVICE[self.kind]}",
            status=self.status,
            method=method,
            path=path,
            attempts=attempts,
        )
        error.code = self.code or error.code
        return error


def unknown_outcome(failure: Failure, advice: str) -> Failure:
    """What is left to say of a POST that may have reached the service before `failure`; `advice` says what to do."""
    return Failure(
        UnavailableError,
        f"{failure.problem}, so that nobody knows whether it was done",
        failure.status,
        code="unknown_outcome",
        advice=f"it was not repeated: {advice}",
    )


def refusal(status: int, headers: Mapping[str, str], body: bytes, settings: Settings) -> Failure:
    """What a `status` other than 200 means; shows a short code of the `body`, never the body."""
    if 300 <= status < 400:
        target = plain(_host_of(headers.get("Location", "")), settings)
        return Failure(RedirectRefused, f"answered {status}, a redirect to {target}, never followed", status)
    words = plain(_words(body), settings)
    retry = status in RETRIED
    return Failure(
        _KINDS.get(status, ApiError),
        f"answered {status}" + (f" '{words}'" if words else ""),
        status,
        retry,
        wait=retry_after(headers.get("Retry-After"), headers.get("Date")) if retry else 0.0,
    )


def retry_after(value: str | None, date: str | None) -> float:
    """The seconds a ``Retry-After`` asks for, 0 if it is absent, past or malformed.

    An HTTP date counts from the service's own `date` header where there is one, so that our clock may be wrong.

    Examples
    --------
    >>> retry_after("120", None), retry_after("soon", None)
    (120.0, 0.0)
    >>> retry_after("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT")
    30.0
    """
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value or "", re.ASCII):
        return float(value or "")
    until, now = http_date(value), http_date(date) or datetime.now(UTC)
    return max((until - now).total_seconds(), 0.0) if until else 0.0


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as a UTC instant, None if there is none or it is malformed."""
    try:
        date = parsedate_to_datetime(value or "")
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def plain(text: str, settings: Settings) -> str:
    """At most 80 printable ASCII characters of a `text` that the service sent, without the secrets."""
    return re.sub(r"[^\x20-\x7e]", "?", masked(text, settings))[:80]


def masked(text: str, settings: Settings) -> str:
    """`text` without the secrets, in the forms in which a service may repeat them.

    As they are, in either case; with characters escaped for a URL (once or more), JSON, HTML or a string; in
    hexadecimal digits; in base64 or base64url, also inside of something longer.

    Examples
    --------
    >>> settings = Settings(user_id="canary-user", session_token="canary-token")
    >>> masked("no %63anary%2Dtoken, no 63616e6172792d746f6b656e, no eD1jYW5hcnktdG9rZW4mYQ==", settings)
    'no ***, no ***, no eD***mYQ=='
    """
    for secret in (settings.session_token, settings.user_id):
        forms = "|".join(_forms(secret.reveal()))
        text = re.sub(forms, "***", text, flags=re.IGNORECASE)
    return text


def _forms(secret: str) -> list[str]:
    """Patterns of a secret; of a very short one only itself, since its other forms are parts of many words."""
    escaped = r"(?:{}|%(?:25)*{code}|\\u00{code}|\\x{code}|&#0*{number};|&#x0*{code};)"
    as_it_is = "".join(escaped.format(re.escape(c), code=f"{ord(c):02x}", number=ord(c)) for c in secret)
    if len(secret) < 4:
        return [as_it_is]
    data = secret.encode()
    return [*map(_base64, (data, data, data), range(3)), "[ :-]?".join(f"{byte:02x}" for byte in data), as_it_is]


def _base64(data: bytes, offset: int) -> str:
    """The base64 of something in which `data` begins after `offset` bytes, with what it shares with its neighbours."""
    text = base64.b64encode(bytes(offset) + data).decode()
    certain = text[(4 * offset + 2) // 3 : (offset + len(data)) * 4 // 3]
    before, after = ("[A-Za-z0-9+/_-]?" if n % 3 else "" for n in (offset, offset + len(data)))
    return before + r"\s?".join({"+": "[+-]", "/": "[/_]"}.get(c, c) for c in certain) + after


def _host_of(location: str) -> str:
    if not location or (location.startswith("/") and not location.startswith("//")):
        return "the same host"
    try:
        return addresses.parse(location).host
    except ValueError:
        return "a malformed address"


def _words(body: bytes) -> str:
    """The `error` code, or the field names of `errors`: assumed, by analogy with an older API of the vendor."""
    try:
        content = msgspec.json.decode(body)
    except UNREADABLE:
        return ""
    if not isinstance(content, dict):
        return ""
    code, names = content.get("error"), content.get("errors")
    return code if isinstance(code, str) else ", ".join(names) if isinstance(names, dict) else ""
