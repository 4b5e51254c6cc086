"""The host that takes the files: reached with a signed address, in a session that knows no header of the service.

Where a file may go is decided here: https and a host of the setting `upload_hosts` (*assumed*), or this machine if the
service itself runs on it; and never to a private address, unless its host stands in that setting in full. A signed
address is a key: it appears in no message and is never kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import UnavailableError, UploadError
from ..grammar import addresses
from ..settings import Settings
from .http.deadline import Limit, Watchdog
from .http.failure import Failure
from .http.transport import new_session, read_body, translated

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
        address, seconds = check_host(url, self._settings), self._settings.upload_timeout
        is_named = address.is_loopback or address.host in self._settings.upload_hosts
        with self._watchdog.limit(seconds, address, public_only=not is_named) as limit:
            for _ in range(_ATTEMPTS):
                outcome = self._attempt(str(address), body, method, headers, limit)
                if isinstance(outcome, Failure) and limit.is_over:
                    limit.expired = True
                if limit.expired or not _may_heal(outcome):
                    break
        if limit.expired:
            outcome = Failure(UnavailableError, f"no answer in {seconds:g} s")
        if isinstance(outcome, Failure):
            raise UploadError(f"the storage host did not take the file: {outcome.problem}; upload it again")
        return outcome

    def _attempt(
        self, url: str, body: Iterable[bytes], method: str, headers: Mapping[str, str], limit: Limit
    ) -> Receipt | Failure:
        try:
            return self._exchange(url, body, method, headers)
        except Exception as error:  # whatever the HTTP libraries make of a hostile answer
            return translated(error, is_sent=limit.is_sent)

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


def check_host(url: str, settings: Settings) -> addresses.Address:
    """The address, if a file may go there; what is connected to is this, and not the text.

    Raises
    ------
    UploadError
        It is not of the grammar of `addresses`, has another scheme than https, another host than the setting allows,
        another port, or names a private address that the setting does not name in full.

    Examples
    --------
    >>> settings = Settings(user_id="u", session_token="t")
    >>> check_host("https://some-bucket.s3.eu-west-3.amazonaws.com/key?X-Amz-Signature=0", settings).port
    443
    >>> check_host("https://169.254.169.254/latest/meta-data", settings)
    Traceback (most recent call last):
    xray_analytics.errors.UploadError: the service asks to upload to 'https://169.254.169.254', which the setting \
upload_hosts does not allow; nothing was sent, ask the vendor before you add it
    """
    address = addresses.read(url)
    del url  # it is a key, and would stand in the frame of an error
    if isinstance(address, str):
        raise UploadError(f"the service sent a malformed upload address, {address}; nothing was sent, ask the vendor")
    if settings.is_loopback and address.is_loopback:
        return address
    host, named = address.host, settings.upload_hosts
    is_listed = host in named or any(name.startswith(".") and host.endswith(name) for name in named)
    is_private = addresses.is_private_host(host) and host not in named
    if not is_listed or is_private or address.scheme != "https" or address.port != 443:
        raise UploadError(
            f"the service asks to upload to '{address.scheme}://{address.netloc}', which the setting upload_hosts does "
            "not allow; nothing was sent, ask the vendor before you add it"
        )
    return address


def _may_heal(outcome: Receipt | Failure) -> bool:
    return outcome.retry if isinstance(outcome, Failure) else outcome.status >= 500


def _code(said: bytes) -> str:
    """The ``<Code>`` of an S3 error, if it is a plain word."""
    found = re.search(rb"<Code>([A-Za-z0-9]{1,60})</Code>", said)
    return found[1].decode() if found else ""
