"""How a call travels: who may see the secret headers, how long it may take, when it is tried again.

A GET is repeated as the settings allow. A POST is repeated only where no byte of it was sent; where one may have
arrived without an answer that settles it, the error says so: code ``unknown_outcome``.

The only module that knows `requests`. It hands over complete bodies or raises an `ApiError`: what is inside a body is
none of its business, save that it is JSON to its end. Redirects are never followed, proxies and ``.netrc`` never
consulted, certificates always checked, and a body is read under a cap and a wall-clock limit.

Foreign exceptions are turned into values inside an attempt and the error is raised afterwards, so that neither its
context nor its traceback holds the frames in which the token stands in clear.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Never, Self

import msgspec
import requests
import tenacity
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.exceptions import SSLError as UrllibSSLError
from urllib3.exceptions import TimeoutError as UrllibTimeout

from ...errors import (
    ApiError,
    AuthenticationError,
    IncompleteBody,
    InputError,
    RateLimitError,
    SilentServiceError,
    UnavailableError,
)
from ...grammar import addresses
from ...settings import Settings
from .body import decoded, is_json, is_json_type
from .credentials import credentials_for
from .deadline import Watchdog, WrongPeer
from .failure import Failure, plain, refusal, unknown_outcome
from .rate_limit import Pace

_CHUNK = 65_536
_ERROR_BODY_CAP = 65_536
_LOOK = "look whether it was done before you send it again"
_KEPT_HEADERS = ("Content-Type", "Date")
_CUT = Failure(IncompleteBody, "the answer ended before its end", 200, retry=True)


@dataclass(frozen=True)
class Response:
    """A complete answer: its `body` as received after content decoding, and whether that is JSON to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    is_json: bool


@dataclass
class _Call:
    """One call and what its attempts have seen so far."""

    method: str
    path: str
    accept_json: bool
    seconds: float
    timeouts: tuple[float, float]
    max_bytes: int
    max_attempts: int
    params: Mapping[str, str | int] | None = None
    content: bytes | None = field(default=None, repr=False)
    if_unknown: str = ""
    attempts: int = 0
    n_not_json: int = 0
    address: addresses.Address = field(init=False)


class _Session(requests.Session):
    """A session that knows no redirects: even to refuse one, requests would first read all of its body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Never a target."""


class Transport:
    """Polite, bounded, authenticated calls to one service. Thread-safe; a context manager.

    Parameters
    ----------
    settings
        Where, who, and all limits. The run deadline and the retry budget count from here, per transport.
    sleep
        How to wait [s]. By default a wait that `close` ends early.
    clock
        Monotonic seconds, for the run deadline and the rate limit. The limit of one attempt is always real time.
    rng
        Source of the jitter.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        addresses.service(settings.base_url)
        self._settings, self._clock = settings, clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._ends = clock() + settings.run_deadline_seconds
        self._lock = threading.Lock()
        self._n_successes = self._n_retries = self._n_silences = 0
        self._refused = False
        self._pace = Pace(settings.requests_per_second, clock)
        self._watchdog = Watchdog()
        self._session = new_session(settings, self._watchdog)
        self._policy = tenacity.Retrying(
            retry=_may_help,
            wait=self._delay,
            stop=self._is_over,
            sleep=self._rest,
            retry_error_callback=_outcome,
        )

    def __repr__(self) -> str:
        return f"Transport(host={self._settings.host!r})"

    def __reduce__(self) -> Never:
        raise TypeError("a Transport holds connections and cannot be pickled; build one where it is needed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End calls and waits under way, the watchdog's thread and all connections."""
        self._closed.set()
        self._watchdog.close()
        self._session.close()

    def get(  # noqa: PLR0913
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        accept_json: bool = True,
        deadline: float | None = None,
        max_bytes: int | None = None,
        attempts: int | None = None,
    ) -> Response:
        """The complete answer to ``GET base_url + path``, retried as the settings allow.

        A JSON body whose transfer is complete but which is not JSON to its end is fetched once more, since it may
        have been cut on its way to the server we talk to. If that brings the same, this is what the service has: the
        bytes are handed over with ``is_json`` false.

        Parameters
        ----------
        path
            Begins with a slash.
        accept_json
            Whether anything but a JSON content type is an error. Without, a body that ends with its connection is taken
            as it is: nothing tells whether it was cut.
        deadline
            Longest duration of one attempt, from connecting to the last byte [s]; default ``total_timeout``. Name
            resolution is outside: no portable call can interrupt it.
        max_bytes
            Cap on the decoded body; default ``max_body_bytes``.
        attempts
            At most so many; default ``attempts`` of the settings.

        Raises
        ------
        ApiError
            Of the class that says why; the message never holds a body, a query or a secret.
        InputError
            The path does not begin with a slash.
        """
        limits = self._settings
        seconds = deadline or limits.total_timeout
        read_timeout = seconds if deadline else min(limits.read_timeout, seconds)
        return self._call(
            _Call(
                method="GET",
                path=path,
                params=params,
                accept_json=accept_json,
                seconds=seconds,
                timeouts=(min(limits.connect_timeout, seconds), read_timeout),
                max_bytes=max_bytes or limits.max_body_bytes,
                max_attempts=attempts or limits.attempts,
            )
        )

    def post(
        self, path: str, content: Mapping[str, Any], *, accept_json: bool = True, if_unknown: str = _LOOK
    ) -> Response:
        """The answer to ``POST base_url + path`` with `content` as JSON; any status from 200 to 299 will do.

        Repeated only where no byte was sent: no connection, no TLS handshake. `if_unknown` advises on the other case.

        Raises
        ------
        ApiError
            As for `get`. Code ``unknown_outcome`` (an `UnavailableError`): bytes were sent, and neither a refusal (3xx,
            4xx) nor a complete answer came back, which with `accept_json` is JSON.
        """
        limits = self._settings
        call = _Call(
            method="POST",
            path=path,
            content=msgspec.json.encode(content),
            if_unknown=if_unknown,
            accept_json=accept_json,
            seconds=limits.total_timeout,
            timeouts=(limits.connect_timeout, limits.read_timeout),
            max_bytes=limits.max_body_bytes,
            max_attempts=limits.attempts,
        )
        del content  # it may hold keys, and would stand in the frame of an error
        return self._call(call)

    def _call(self, call: _Call) -> Response:
        if not call.path.startswith("/"):
            raise InputError("the path of a call must begin with a slash")
        try:
            call.address = addresses.parse(self._settings.base_url + call.path)
        except ValueError as error:
            raise InputError(f"the path of a call cannot be sent, {error}") from None
        outcome = self._policy(self._attempt, call)
        if isinstance(outcome, Failure):
            raise outcome.error(self._settings.host, call.path, call.attempts, method=call.method)
        with self._lock:
            self._n_successes += 1
        return outcome

    def _attempt(self, call: _Call) -> Response | Failure:
        self._pace.wait(self._sleep)
        if self._refused:
            return Failure(AuthenticationError, "not sent, since an earlier call was answered 401", 401)
        if self._closed.is_set():
            return Failure(UnavailableError, "not sent, since this client is closed")
        call.attempts += 1
        outcome: Response | Failure | None
        with self._watchdog.limit(call.seconds, call.address) as limit:
            try:
                outcome = self._exchange(call)
            except Exception as error:  # whatever the HTTP libraries make of a hostile answer
                outcome, limit.expired = translated(error, is_sent=limit.is_sent), limit.is_over
            except KeyboardInterrupt:
                outcome = None
        if outcome is None:  # raised here, it has no frame in which the token stands
            raise KeyboardInterrupt
        if limit.expired and self._closed.is_set():
            outcome = Failure(UnavailableError, "given up by close", retry=True)
        elif limit.expired:
            problem = f"no complete answer in {call.seconds:g} s"
            outcome = Failure(UnavailableError, problem, retry=True, is_silence=True)
        outcome = self._listened(outcome)
        return outcome if call.method == "GET" else _of_post(outcome, call, is_sent=limit.is_sent)

    def _listened(self, outcome: Response | Failure) -> Response | Failure:
        """The outcome; or that of so many attempts in a row, over all threads, none was answered in time."""
        most = self._settings.max_silences
        with self._lock:
            is_silence = isinstance(outcome, Failure) and outcome.is_silence
            self._n_silences = self._n_silences + 1 if is_silence else 0
            if self._n_silences < most:
                return outcome
            self._n_silences = 0  # who asks again, as one who waits for hours does, is heard again
        return Failure(SilentServiceError, f"{most} calls in a row were not answered in time")

    def _exchange(self, call: _Call) -> Response | Failure:
        url = str(call.address)
        content_type = {"Content-Type": "application/json"} if call.content is not None else {}
        headers = {**self._session.headers, **credentials_for(url, self._settings), **content_type}
        request = requests.PreparedRequest()  # `Session.request` would merge settings that are empty, at each call
        request.prepare(call.method, url, headers=headers, params=call.params, data=call.content)
        with self._session.send(request, timeout=call.timeouts, allow_redirects=False, stream=True) as answer:
            if answer.status_code != 200 and not (call.method == "POST" and 200 <= answer.status_code < 300):
                self._refused = self._refused or answer.status_code == 401
                return _declined(answer, self._settings)
            received = answer.headers.get("Content-Type", "")
            if call.accept_json and not is_json_type(received):
                sent = plain(received, self._settings) or "no content type"
                wrong = Failure(ApiError, f"answered with {sent} instead of JSON", 200)
                return _CUT if _is_empty(answer) else wrong
            body = read_body(answer, call.max_bytes)
            return body if isinstance(body, Failure) else _judged(call, answer, body)

    def _rest(self, seconds: float) -> None:
        self._sleep(seconds)

    def _delay(self, state: tenacity.RetryCallState) -> float:
        """Full jitter, and never below what the service asked for [s]."""
        ceiling = self._settings.backoff_seconds * 2.0 ** (state.attempt_number - 1)
        own = self._rng.uniform(0.0, min(self._settings.backoff_cap_seconds, ceiling))
        outcome = _outcome(state)
        return max(own, outcome.wait) if isinstance(outcome, Failure) else own

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        """Whether attempts, time or budget are used up; takes from the budget if not.

        A 429 that says for how long holds back all calls. Waiting as told amplifies nothing: it is not in the budget.
        """
        late = self._clock() + state.upcoming_sleep > self._ends
        if late or self._closed.is_set() or state.attempt_number >= state.args[0].max_attempts:
            return True
        outcome = _outcome(state)
        if isinstance(outcome, Failure) and outcome.kind is RateLimitError and outcome.wait:
            self._pace.hold(outcome.wait)
            return False
        with self._lock:
            is_spent = self._n_retries >= self._settings.retry_budget + self._n_successes // 10
            self._n_retries += not is_spent
        return is_spent


def translated(error: Exception, *, is_sent: bool = False) -> Failure:
    """What a foreign exception, of any class, means for the call; names its innermost cause by class only."""
    if isinstance(error, WrongPeer):
        return Failure(ApiError, f"not sent, since {error}", code="wrong_host", advice="ask the vendor")
    root: BaseException = error
    while root.__context__ is not None:
        root = root.__context__
    name = type(root).__name__
    is_cut = isinstance(root, (ssl.SSLEOFError, ConnectionError, TimeoutError))
    if isinstance(error, (requests.exceptions.SSLError, UrllibSSLError, ssl.SSLError)) and not is_cut:
        return Failure(UnavailableError, f"the TLS certificate or handshake was not accepted ({name})")
    if isinstance(error, (requests.Timeout, UrllibTimeout, TimeoutError)):
        return Failure(UnavailableError, f"timed out ({name})", retry=True, is_silence=True)
    if isinstance(error, (OSError, HTTPError, HTTPException)) and not isinstance(error, ValueError):
        return Failure(UnavailableError, f"no connection, or it broke ({name})", retry=True)
    if is_sent:
        return Failure(ApiError, f"sent an answer that is not HTTP ({name})", retry=True)
    return Failure(ApiError, f"could not be sent ({name})")


def new_session(settings: Settings, watchdog: Watchdog) -> _Session:
    """A session that keeps no cookies, follows nothing, asks no environment, and sends no secret of its own accord."""
    session = _Session()
    session.trust_env = False
    session.verify = str(settings.ca_file) if settings.ca_file is not None else True
    session.headers.clear()
    session.headers.update({"User-Agent": "xray-analytics", "Accept": "application/json", "Accept-Encoding": "gzip"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_maxsize=settings.workers, max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = watchdog.pools()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _outcome(state: tenacity.RetryCallState) -> Response | Failure:
    assert state.outcome is not None  # noqa: S101 - tenacity asks only after an attempt
    outcome: Response | Failure = state.outcome.result()
    return outcome


def _may_help(state: tenacity.RetryCallState) -> bool:
    """Whether another attempt may bring a better outcome: for a complete body that is not JSON, one."""
    outcome, call = _outcome(state), state.args[0]
    if isinstance(outcome, Failure):
        return outcome.retry
    return call.method == "GET" and call.accept_json and not outcome.is_json and call.n_not_json < 2


def _of_post(outcome: Response | Failure, call: _Call, *, is_sent: bool) -> Response | Failure:
    """What one attempt of a POST means: never repeated once a byte was sent, and settled only by a clear answer."""
    if isinstance(outcome, Response):
        no_answer = Failure(IncompleteBody, "the answer is not JSON to its end", outcome.status)
        return unknown_outcome(no_answer, call.if_unknown) if call.accept_json and not outcome.is_json else outcome
    if not is_sent:
        return outcome
    is_refusal = 300 <= (outcome.status or 0) < 500
    return replace(outcome, retry=False) if is_refusal else unknown_outcome(outcome, call.if_unknown)


def read_body(answer: requests.Response, limit: int) -> bytes | Failure:
    """The decoded body up to `limit` bytes, or why there is none."""
    chunks = answer.raw.stream(_CHUNK, decode_content=False)
    try:
        return decoded(chunks, answer.headers.get("Content-Encoding", ""), limit)
    except LookupError:
        return Failure(ApiError, "answered in a content encoding other than gzip or deflate", answer.status_code)
    except OverflowError:
        return Failure(IncompleteBody, f"the answer is larger than {limit} bytes", answer.status_code)
    except (EOFError, zlib.error, ProtocolError, OSError):
        return _CUT


def _is_empty(answer: requests.Response) -> bool:
    """Whether not one byte of body comes: then the headers themselves may have been cut, which nobody else notices."""
    try:
        return not answer.raw.read(1, decode_content=False)
    except (ProtocolError, OSError):
        return True


def _judged(call: _Call, answer: requests.Response, body: bytes) -> Response | Failure:
    """The answer, unless its end cannot be told from a cut connection."""
    headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
    response = Response(answer.status_code, headers, body, is_json(body))
    ends_with_connection = answer.raw.length_remaining is None and not answer.raw.chunked
    if call.accept_json and not response.is_json and (ends_with_connection or not body.strip()):
        return _CUT
    call.n_not_json += not response.is_json
    return response


def _declined(answer: requests.Response, settings: Settings) -> Failure:
    # Of a 401 or a redirect not even the body is read: nothing may delay the stop.
    is_read = answer.status_code != 401 and not 300 <= answer.status_code < 400
    body = read_body(answer, _ERROR_BODY_CAP) if is_read else b""
    return refusal(answer.status_code, answer.headers, b"" if isinstance(body, Failure) else body, settings)
