"""The host that takes the files: reached with a signed address, in a session that knows no header of the service.

Where a file may go is decided here: https and a host of the setting `upload_hosts` (*assumed*), or this machine if the
service itself runs on it. A signed address is a key: it appears in no message and is never kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import UnavailableError, UploadError
from ..settings import LOOPBACK_HOSTS, Settings
from .http.deadline import Watchdog
from .http.failure import Failure
from .http.transport import FOREIGN, new_session, read_body, translated

_CHUNK = 65_536
_ANSWER_CAP = 65_536
_ATTEMPTS = 2
Sent = Callable[[int, int], object]  # called with the bytes sent and the bytes there are


@dataclass(frozen=True)
class Receipt:
    """What the storage host answered; `reason` is its own short code of a refusal, such as ``AccessDenied``."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    reason: str = ""


class Storage:
    """Sends files; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._watchdog = settings, Watchdog()
        self._session = new_session(settings, self._watchdog)

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._watchdog.close()
        self._session.close()

    def send(self, url: str, body: Iterable[bytes], *, method: str, headers: Mapping[str, str]) -> Receipt:
        """Send `body`, which is taken anew for each attempt: two at most, in ``upload_timeout`` seconds together.

        Once more where the connection broke or the host failed (5xx): the same bytes at the same address are one file,
        however often they arrive, and another address would cost another medium.

        Raises
        ------
        UploadError
            The host is not one a file may go to (nothing was sent), or it did not answer.
        """
        check_host(url, self._settings)
        seconds = self._settings.upload_timeout
        with self._watchdog.limit(seconds) as limit:
            for _ in range(_ATTEMPTS):
                outcome = self._attempt(url, body, method, headers)
                if isinstance(outcome, Failure) and limit.is_over:
                    limit.expired = True
                if limit.expired or not _may_heal(outcome):
                    break
        if limit.expired:
            outcome = Failure(UnavailableError, f"no answer in {seconds:g} s")
        if isinstance(outcome, Failure):
            raise UploadError(f"the storage host did not take the file: {outcome.problem}; upload it again")
        return outcome

    def _attempt(self, url: str, body: Iterable[bytes], method: str, headers: Mapping[str, str]) -> Receipt | Failure:
        try:
            return self._exchange(url, body, method, headers)
        except FOREIGN as error:
            return translated(error)

    def _exchange(self, url: str, body: Iterable[bytes], method: str, headers: Mapping[str, str]) -> Receipt | Failure:
        settings = self._settings
        with self._session.request(
            method,
            url,
            data=body,
            headers={"Accept": "*/*", "Accept-Encoding": "identity", **headers},
            timeout=(settings.connect_timeout, settings.upload_timeout),
            allow_redirects=False,
            stream=True,
        ) as answer:
            said = read_body(answer, _ANSWER_CAP) if answer.status_code >= 400 else b""
            return Receipt(answer.status_code, dict(answer.headers), "" if isinstance(said, Failure) else _code(said))


class Metered:
    """Bytes that report how far they were taken; of known length, so that they are not sent in chunks."""

    def __init__(self, data: bytes, progress: Sent | None) -> None:
        self._data, self._progress = data, progress

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), _CHUNK):
            yield self._data[start : start + _CHUNK]
            if self._progress is not None:
                self._progress(min(start + _CHUNK, len(self._data)), len(self._data))


def check_host(url: str, settings: Settings) -> None:
    """Refuse an address to which no file may go.

    Raises
    ------
    UploadError
        Another scheme than https, another host than the setting allows, another port, or an address with a user.

    Examples
    --------
    >>> settings = Settings(user_id="u", session_token="t")
    >>> check_host("https://some-bucket.s3.eu-west-3.amazonaws.com/key?X-Amz-Signature=0", settings)
    >>> check_host("https://169.254.169.254/latest/meta-data", settings)
    Traceback (most recent call last):
    xray_analytics.errors.UploadError: the service asks to upload to 'https://169.254.169.254', which the setting \
upload_hosts does not allow; nothing was sent, ask the vendor before you add it
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UploadError("the service sent a malformed upload address; nothing was sent, ask the vendor") from None
    if settings.is_loopback and host in LOOPBACK_HOSTS and parts.scheme in ("http", "https"):
        return
    is_listed = any(host == name or (name.startswith(".") and host.endswith(name)) for name in settings.upload_hosts)
    if not is_listed or parts.scheme != "https" or port not in (None, 443) or "@" in parts.netloc:
        shown = re.sub(r"[^A-Za-z0-9.:/-]", "?", f"{parts.scheme}://{host}" + (f":{port}" if port else ""))[:100]
        raise UploadError(
            f"the service asks to upload to '{shown}', which the setting upload_hosts does not allow; "
            "nothing was sent, ask the vendor before you add it"
        )


def _may_heal(outcome: Receipt | Failure) -> bool:
    return outcome.retry if isinstance(outcome, Failure) else outcome.status >= 500


def _code(said: bytes) -> str:
    """The ``<Code>`` of an S3 error, if it is a plain word."""
    found = re.search(rb"<Code>([A-Za-z0-9]{1,60})</Code>", said)
    return found[1].decode() if found else ""
