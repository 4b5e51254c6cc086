"""Receiving deliveries: verify, check, queue durably, answer. It never fetches, and stores nothing but two ids.

Documented: a POST of ``{"event": "new_report", "requestId": ..., "reportId": ...}``, and that a key validates it. How
it does is unknown, so the scheme is *assumed* to be an HMAC and configurable (`WebhookSettings`); with or without it,
a delivery is only a hint, and whoever drains the queue fetches the report over the authenticated API. Assumed as
well: deliveries come at least once, in any order, and an answer of 2xx ends them.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import InputError, StoreError, WebhookError
from ..grammar.addresses import LOOPBACK_HOSTS
from ..settings import DEFAULT_ID_PATTERN, Secret, WebhookSettings, is_id
from .journal import Journal

MAX_BYTES = 16_384
MAX_SIGNATURES = 8  # of one delivery, compared with every key
READ_SECONDS = 5.0
RETRY_SECONDS = 60
EVENT = "new_report"  # the only one documented
PATH = "/webhook"
_CLOSE = {"Connection": "close"}  # what is left of the body is never read

_log = logging.getLogger(__name__)


def signature(body: bytes, key: Secret, settings: WebhookSettings, timestamp: str = "") -> str:
    """What the signature header of a delivery holds, by the scheme of the settings.

    Examples
    --------
    >>> signature(b"{}", Secret("key"), WebhookSettings(), "")[:16]
    'a777724d943eb48d'
    """
    before, after = (part.replace("{timestamp}", timestamp).encode() for part in settings.signed.split("{body}"))
    digest = hmac.digest(key.reveal().encode(), before + body + after, settings.hash)
    text = digest.hex() if settings.encoding == "hex" else base64.b64encode(digest).decode()
    return settings.signature_prefix + text


def is_authentic(headers: Headers, body: bytes, settings: WebhookSettings, now: datetime) -> bool:
    """Whether one of the signatures sent fits one of the keys, and the time is in the window on either side.

    The header may hold several signatures, separated by commas. All are compared with all, in constant time.
    """
    sent = headers.getlist(settings.signature_header or "")
    timestamp = _timestamp(headers, settings, now)
    if len(sent) != 1 or timestamp is None:
        return False
    offered = [part.strip().encode() for part in sent[0].split(",")][:MAX_SIGNATURES]
    expected = [signature(body, key, settings, timestamp).encode() for key in settings.keys]
    return any([hmac.compare_digest(one, other) for one in offered for other in expected])  # noqa: C419 - all of them


def _timestamp(headers: Headers, settings: WebhookSettings, now: datetime) -> str | None:
    """The time that was signed, as it was sent; "" where the scheme has none, None where it is not acceptable."""
    if settings.timestamp_header is None:
        return ""
    sent = headers.getlist(settings.timestamp_header)
    if len(sent) != 1 or not re.fullmatch(r"[0-9]{1,15}", sent[0], re.ASCII):
        return None
    return sent[0] if abs(now.timestamp() - int(sent[0])) <= settings.window_seconds else None


class _Refused(Exception):
    """A delivery that is not taken: the status, and the word it is counted under."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status, self.word = status, word


class _Bucket:
    """So many new deliveries a second, and so many at once."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._size, self._clock = per_second, burst, clock
        self._level, self._at = float(burst), clock()

    def take(self) -> bool:
        """Whether there is room for one more."""
        now = self._clock()
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def give_back(self) -> None:
        """Undo a `take`."""
        self._level += 1


def receiver(
    journal: Journal,
    settings: WebhookSettings | None = None,
    *,
    id_pattern: str = DEFAULT_ID_PATTERN,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """An ASGI app that takes ``POST /webhook``, or ``/webhook/<path_secret>``; to be served, or mounted elsewhere.

    Answers: 200 queued, or queued before; 204 an event that means nothing here; 400 not a delivery; 401 signature or
    time not accepted; 404 and 405 another path or method; 408, 413, 415 too slow, too large, compressed; 503 with
    ``Retry-After`` where the queue or the rate is at its limit. No answer has a body that says more.

    Parameters
    ----------
    journal
        Where deliveries are queued, on disk before they are answered.
    settings
        Default: no signature, as nothing about it is known.
    id_pattern
        The form of ids, as in `Settings`.
    now, clock
        The time of day, for the window of timestamps; monotonic seconds, for the rate.

    Notes
    -----
    ``app.state.counted`` counts deliveries by what became of them.

    Examples
    --------
    In an app of one's own::

        app = Starlette(routes=[Mount("/xray", receiver(Journal("data/journal.sqlite3")))])
    """
    settings = settings or WebhookSettings()
    path = f"{PATH}/{{secret}}" if settings.path_secret else PATH
    endpoint = _Receiver(journal, settings, id_pattern, now, clock)
    app = Starlette(routes=[Route(path, endpoint.answer, methods=["POST"])])
    app.router.redirect_slashes = False  # a redirect would repeat the Host header that was sent
    app.state.counted = endpoint.counted
    return app


def serve(
    app: Starlette,
    *,
    host: str = "127.0.0.1",
    port: int = 8750,
    expose: bool = False,
    announce: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve `app` until interrupted; `announce` gets the port once connections are accepted.

    The vendor calls over HTTPS: a reverse proxy on this machine ends it, and forwards to this address. Another `host`
    than this machine's loopback must be meant (`expose`), and is warned of.

    Raises
    ------
    InputError
        The host is another one and `expose` is not set, or the address is taken.
    """
    if host not in LOOPBACK_HOSTS:
        if not expose:
            raise InputError(f"{host} is reachable from outside this machine: put a proxy in front, or pass --expose")
        _log.warning("the receiver listens on %s without TLS: whoever reaches it can send deliveries", host)
    with listener(host, port) as listening:
        announce(listening.getsockname()[1])
        with suppress(KeyboardInterrupt):  # uvicorn has shut down and raises the interrupt again
            server(app).run(sockets=[listening])


def server(app: Starlette) -> uvicorn.Server:
    """The web server of `serve`: no banner, no forwarded headers believed, a bounded number of connections."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=256,
        timeout_keep_alive=int(READ_SECONDS),
        timeout_graceful_shutdown=int(READ_SECONDS),
    )
    return uvicorn.Server(config)


class _Receiver:
    def __init__(
        self,
        journal: Journal,
        settings: WebhookSettings,
        id_pattern: str,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._journal, self._settings, self._id_pattern, self._now = journal, settings, id_pattern, now
        self._bucket = _Bucket(settings.requests_per_second, settings.burst, clock)
        self.counted: Counter[str] = Counter()

    async def answer(self, request: Request) -> Response:
        """The answer to one delivery, counted."""
        try:
            status, word = 200, await self._take(request)
        except _Refused as refused:
            status, word = refused.status, refused.word
        self.counted[word] += 1
        _log.info("webhook: %s", word)
        headers = {503: {"Retry-After": str(RETRY_SECONDS)}, 408: _CLOSE, 413: _CLOSE, 415: _CLOSE}
        return Response(status_code=status, headers=headers.get(status))

    async def _take(self, request: Request) -> str:
        secret = self._settings.path_secret
        if secret and not hmac.compare_digest(request.path_params["secret"].encode(), secret.reveal().encode()):
            raise _Refused(404, "wrong_path")
        body = await _read(request)
        if self._settings.is_signed and not is_authentic(request.headers, body, self._settings, self._now()):
            raise _Refused(401, "forged")
        request_id, report_id = self._ids(body)
        return await run_in_threadpool(self._enqueue, request_id, report_id)

    def _ids(self, body: bytes) -> tuple[str, str]:
        try:
            delivery = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise _Refused(400, "not_a_delivery") from None
        if not isinstance(delivery.get("event"), str):
            raise _Refused(400, "not_a_delivery")
        if delivery["event"] != EVENT:
            raise _Refused(204, "unknown_event")
        request_id, report_id = delivery.get("requestId"), delivery.get("reportId")
        if not is_id(request_id, self._id_pattern) or not is_id(report_id, self._id_pattern):
            raise _Refused(400, "wrong_id")
        return request_id, report_id

    def _enqueue(self, request_id: str, report_id: str) -> str:
        if not self._bucket.take():
            raise _Refused(503, "too_fast")
        try:
            is_new = self._journal.enqueue(EVENT, request_id, report_id, self._now())
        except WebhookError:
            raise _Refused(503, "queue_full") from None
        except StoreError as error:
            _log.error("webhook: %s", error)
            raise _Refused(503, "journal_failed") from None
        if not is_new:
            self._bucket.give_back()  # a replay costs next to nothing
        return "queued" if is_new else "repeated"


async def _read(request: Request) -> bytes:
    """The body, if it is small, plain and in time."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise _Refused(415, "compressed")
    announced = request.headers.get("Content-Length", "0")
    if not re.fullmatch(r"[0-9]{1,18}", announced, re.ASCII) or int(announced) > MAX_BYTES:
        raise _Refused(413, "too_large")
    body = b""
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _Refused(413, "too_large")
    except TimeoutError:
        raise _Refused(408, "too_slow") from None
    except ClientDisconnect:
        raise _Refused(400, "cut") from None
    return body


def listener(host: str, port: int) -> socket.socket:
    """An open socket for `server` to listen on.

    Raises
    ------
    InputError
        The address is taken, or not one of this machine.
    """
    # Without the explicit protocol asyncio leaves Nagle's algorithm on: 40 ms an answer.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(128)
    except BaseException as error:
        opened.close()
        if isinstance(error, OSError):
            raise InputError(f"the receiver cannot use {host}:{port}: {error.strerror}; choose another one") from None
        raise
    return opened
