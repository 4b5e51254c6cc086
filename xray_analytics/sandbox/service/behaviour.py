"""What the guides leave open, and how a sandbox plays it: every choice here is *assumed* by somebody."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from ...errors import InputError
from ..payloads.dialects import DIALECTS


@dataclass(frozen=True)
class Profile:
    """Faults on request: seconds that every answer waits, and the probability of each fault per call."""

    delay_seconds: float = 0.0
    unavailable: float = 0.0
    limited: float = 0.0
    cut: float = 0.0
    page: float = 0.0


PROFILES = {
    "none": Profile(),
    "slow": Profile(delay_seconds=0.05),
    "flaky": Profile(unavailable=0.02, cut=0.01),
    "limited": Profile(limited=0.03),
    "confused": Profile(page=0.01),
    "hostile": Profile(delay_seconds=0.01, unavailable=0.02, limited=0.01, cut=0.02, page=0.01),
    "down": Profile(unavailable=1.0),
}
_CHOICES = {
    "faults": tuple(PROFILES),
    "list_style": ("named", "bare", "data"),
    "answer_style": ("wrapped", "flat"),
    "upload_style": ("form", "put"),
    "upload_place": ("inside", "beside"),
    "medium_status": ("online", "pending_extraction"),
    "deliveries": ("once", "twice", "reordered"),
    "dialect": tuple(DIALECTS),
}


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError("no length of time")
    return seconds


_READ: dict[type, Callable[[str], Any]] = {
    str: str,
    float: _seconds,
    bool: {"true": True, "false": False}.__getitem__,
}


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How the service behaves where its documentation is silent.

    Attributes
    ----------
    list_style
        Envelope of lists: ``named`` (``{"reports": [...], "remaining": n}``), ``bare`` (an array) or ``data``.
    answer_style
        Answer of ``POST /requests``: ``wrapped`` (``{"request": {...}}``) or ``flat``.
    upload_style, upload_place
        ``upload`` is a ``form`` to POST or an address to ``put`` to; it stands ``inside`` the medium or ``beside`` it.
    medium_status
        What the answer to the last step of an upload says: ``online``, or ``pending_extraction`` until the report is
        there (both words are documented, their order is not).
    upload_seconds
        How long an upload address is good.
    report_delay
        From the last step that starts a report until it is there [s].
    notes_start_report
        Whether complete notes start a Financial X-Ray without any file.
    deliveries
        Webhook deliveries come ``once``, ``twice``, or ``reordered``: the first of two waits for the
        second and follows it.
    rewritten
        Whether some reports are served as they were rewritten since, under the same id.
    dialect
        How bank reports are written, one of `DIALECTS`: other names, signs, units, dates and places.
    faults
        Which `PROFILES` of faults it plays.
    """

    list_style: str = "named"
    answer_style: str = "wrapped"
    upload_style: str = "form"
    upload_place: str = "inside"
    medium_status: str = "online"
    upload_seconds: float = 3600.0
    report_delay: float = 2.0
    notes_start_report: bool = True
    deliveries: str = "once"
    rewritten: bool = False
    dialect: str = "house"
    faults: str = "none"

    @classmethod
    def parsed(cls, texts: Iterable[str]) -> dict[str, Any]:
        """Arguments from ``NAME=VALUE``, as a command line has them.

        Raises
        ------
        InputError
            There is no such name, or the value is not of its kind.

        Examples
        --------
        >>> Manners.parsed(["report_delay=0.5", "deliveries=twice", "notes_start_report=false"])
        {'report_delay': 0.5, 'deliveries': 'twice', 'notes_start_report': False}
        """
        own = {one.name: type(one.default) for one in fields(cls)}
        found = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in own:
                raise InputError(f"no manner {name!r}; there are {', '.join(own)}, each as NAME=VALUE")
            try:
                found[name] = _READ[own[name]](value)
            except (KeyError, ValueError):
                kind = "true or false" if own[name] is bool else "a number of seconds"
                raise InputError(f"{name} must be {kind}, not {value!r}") from None
        return found

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} {getattr(self, name)!r} is unknown to the sandbox; choose one of {', '.join(choices)}"
                )
