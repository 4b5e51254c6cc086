"""Opening a request for a company: numbers that can be right, and never two requests for one intention.

Documented: the number types ``siren`` (France) and ``kvk`` (Netherlands); others exist and are passed on as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..errors import ApiError
from ..grammar import identity

if TYPE_CHECKING:
    from .answer import Answer
    from .journal import Journal

# The service's clock and ours may differ by this much when a request is matched with the attempt to create it.
CLOCK_TOLERANCE = timedelta(minutes=5)


def company_code(code_id: str, code_type: str = "siren") -> dict[str, str]:
    """The documented `code` of a request: its number as `identity.company_code` reads it.

    Raises
    ------
    InputError
        It cannot be the number of a company: wrong length, other characters, or a wrong check digit.

    Examples
    --------
    >>> company_code("514 673 987")
    {'type': 'siren', 'id': '514673987'}
    >>> company_code("514673986")
    Traceback (most recent call last):
    xray_analytics.errors.InputError: 514673986 is not a SIREN: its check digit does not fit, so one digit is mistyped
    """
    return {"type": code_type, "id": identity.company_code(code_id, code_type)}


def once(
    journal: Journal,
    body: dict[str, Any],
    *,
    create: Callable[[dict[str, Any]], Answer],
    listed: Callable[[], list[Answer]],
) -> Answer:
    """The request that `create` makes of `body`, or the one an earlier attempt turns out to have made.

    Where an earlier POST for the same company was never settled, the list of requests is read first. A request is
    taken for the one then created if it is of the same company and not older than that attempt (5 minutes are allowed
    for the clocks); of several, the oldest. Its time is the member `creation`, else the first 8 hexadecimal digits of
    its id (both *assumed*); one without a time is not taken. A colleague's request for the same company in the same
    minutes would be taken too, which is what the user wanted: one request, not two.
    """
    code = body["code"]
    key = f"{code['type']}:{code['id']}"
    unsettled = [intent for intent in journal.open_intents("request") if intent.key == key]
    if unsettled:
        found = _made_since(unsettled[0].created_at - CLOCK_TOLERANCE, code, listed())
        for intent in unsettled:
            journal.settle(intent.id, None if found is None else {"request_id": found.id})
        if found is not None:
            return found
    number = journal.intend("request", key, {"code": code})
    try:
        answer = create(body)
    except ApiError as error:
        if error.is_refusal:
            journal.settle(number, None)
        raise
    journal.settle(number, {"request_id": answer.id})
    return answer


def created_at(request: Answer) -> datetime | None:
    """When the request was created [UTC]: its member `creation`, else the time in its id; both assumed."""
    try:
        said = datetime.fromisoformat(str(request.data.get("creation")))
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    except ValueError:
        pass
    is_object_id = re.fullmatch(r"[0-9a-f]{24}", request.id)
    return datetime.fromtimestamp(int(request.id[:8], 16), UTC) if is_object_id else None


def _made_since(start: datetime, code: dict[str, str], requests: list[Answer]) -> Answer | None:
    dated = [(created_at(r), r) for r in requests if r.data.get("code") == code]
    later = sorted(((at, r.id, r) for at, r in dated if at is not None and at >= start), key=lambda found: found[:2])
    return later[0][2] if later else None
