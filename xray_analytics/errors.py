"""Every error this package raises, in one tree.

::

    XRayError
    ├─ ApiError              the service did not answer as it should
    │  ├─ AuthenticationError   401: the three headers were not accepted
    │  ├─ PermissionDenied      403: this user may not read that
    │  ├─ NotFoundError         404 or 410
    │  ├─ RateLimitError        429, and the wait asked for does not fit
    │  ├─ UnavailableError      no connection, a time-out, or 5xx after every attempt
    │  │  └─ SilentServiceError    call after call is not answered in time: the run stops
    │  ├─ NotReadyError         a report did not come in the time given
    │  ├─ IncompleteBody        the answer ended early, in transfer or in decompression
    │  └─ RedirectRefused       3xx: the secret headers never travel to another host
    ├─ ReportError           a report is not as documented
    ├─ StoreError            the store is missing, damaged, newer, locked or not writable
    ├─ UploadError           a media upload could not be completed
    ├─ WebhookError          a delivery or a webhook configuration is not acceptable
    └─ InputError            a question cannot be answered with this input
       └─ SchemaError           a frame or file is not its table

A message is one sentence: what failed, where, and what to do next. No message holds a token, a body or a signed query.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ApiError", "AuthenticationError", "IncompleteBody", "InputError", "NotFoundError", "NotReadyError",
    "PermissionDenied", "RateLimitError", "RedirectRefused", "ReportError", "SchemaError", "SilentServiceError",
    "StoreError", "UnavailableError", "UploadError", "WebhookError", "XRayError",
]  # fmt: skip
__dir__ = __all__.copy
_One = TypeVar("_One")


class XRayError(Exception):
    """Root of all errors of this package."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """As errors travel between processes, with what their constructors take by name."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[XRayError], arguments: tuple[Any, ...], state: dict[str, Any]) -> XRayError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class ApiError(XRayError):
    """The service did not answer as it should.

    ``status`` is the HTTP status (None when there was no answer), ``method`` and ``path`` name the call without its
    query, ``attempts`` counts the tries, ``code`` is a stable word for programs.
    """

    code = "api_error"

    def __init__(  # noqa: PLR0913
        self,
        message: str,
        *,
        status: int | None = None,
        method: str | None = None,
        path: str | None = None,
        report_id: str | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.status, self.method, self.path = status, method, path
        self.report_id, self.attempts = report_id, attempts

    @property
    def is_refusal(self) -> bool:
        """Whether the call certainly did nothing: the service refused it with 4xx, or it was never sent."""
        return 400 <= (self.status or 0) < 500 or (self.status is None and self.code != "unknown_outcome")


class AuthenticationError(ApiError):
    """401: the three headers were not accepted; the run stops at once."""

    code, exit_code = "authentication", 4


class PermissionDenied(ApiError):
    """403: this user may not read that resource."""

    code = "permission_denied"


class NotFoundError(ApiError):
    """404 or 410: no such resource, or no longer."""

    code = "not_found"


class RateLimitError(ApiError):
    """429, and the wait asked for does not fit into what is left of the run."""

    code, exit_code = "rate_limited", 5


class UnavailableError(ApiError):
    """No connection, a time-out, or a server error after every attempt."""

    code, exit_code = "unavailable", 5


class SilentServiceError(UnavailableError):
    """The service takes connections and answers none in time, call after call: the run stops."""

    code = "silent_service"


class NotReadyError(ApiError):
    """A report did not come in the time given; it may still come."""

    code, exit_code = "not_ready", 3


class IncompleteBody(ApiError):
    """The answer ended before its end: in transfer, in decompression, or over the size cap."""

    code, exit_code = "incomplete_body", 5


class RedirectRefused(ApiError):
    """The service answered with a redirect, which is never followed."""

    code = "redirect_refused"


class ReportError(XRayError):
    """A report is not as documented: which one, where in it, what was there and what was expected."""

    def __init__(self, message: str, *, code: str, json_path: str | None = None, report_id: str | None = None) -> None:
        super().__init__(message)
        self.code, self.json_path, self.report_id = code, json_path, report_id


class StoreError(XRayError):
    """The store is missing, damaged, newer than this package, locked, or cannot be written."""

    exit_code = 6


class UploadError(XRayError):
    """A media upload could not be completed."""


class WebhookError(XRayError):
    """A delivery or a webhook configuration is not acceptable."""


class InputError(XRayError):
    """A question cannot be answered with this input: one class only, an empty frame, an unknown name."""

    exit_code = 2


class SchemaError(InputError):
    """A frame or file is not its table; ``failures`` lists all problems (table, column, problem, n_rows, example)."""

    def __init__(self, message: str, failures: pd.DataFrame) -> None:
        super().__init__(message)
        self.failures = failures


def no_such(what: str, name: object, known: Collection[str]) -> InputError:
    """The error about a name that is not known: what there is, and what was probably meant.

    >>> print(no_such("table", "report", ["requests", "reports", "media"]))
    no table 'report'; there are requests, reports, media; did you mean reports?
    >>> print(no_such("clock", "noon", ["available", "fetched"]))
    no clock 'noon'; there are available, fetched
    """
    return InputError(f"no {what} {name!r}; {choices(name, known)}")


def choices(name: object, known: Collection[str]) -> str:
    """The end of such a sentence: all known names, and the one nearest to what was given."""
    by_folded = {one.lower(): one for one in known}
    near = get_close_matches(str(name).lower(), by_folded, n=1)
    return f"there are {', '.join(known)}" + "".join(f"; did you mean {by_folded[one]}?" for one in near)


def listed(given: Iterable[_One], what: str, *kinds: type) -> list[_One]:
    """What may be given alone or several at once, as a list: a text is one thing, never its letters.

    Raises
    ------
    InputError
        It is neither one of these kinds, by default texts, nor several.

    Examples
    --------
    >>> listed("bank", "products"), listed(("bank", "esg"), "products")
    (['bank'], ['bank', 'esg'])
    """
    if isinstance(given, kinds or str):
        return [given]  # type: ignore[list-item]
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise InputError(f"{what} must be one or a list of them, not {type(given).__name__}")
    return list(given)
