"""What the guides leave open, and how a sandbox plays it: every choice here is *assumed* by somebody."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError


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
    faults: str = "none"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} {getattr(self, name)!r} is unknown to the sandbox; choose one of {', '.join(choices)}"
                )
