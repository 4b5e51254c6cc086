"""Which addresses the service calls when a report is new: read, add, remove.

Documented: ``GET /businesses/[id]`` shows the settings at ``business.settings.webhooks`` (``url``, ``events``, and the
``key`` that the service generates), and ``POST /businesses/:id`` changes them. How the POST nests them is *assumed*:
the whole list, as it is wished, under ``settings.webhooks``. So it is read back each time, and a difference is an
error that points to the web app, which is the documented way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import InputError, WebhookError, listed
from ..grammar import addresses
from ..settings import Secret, Settings, is_id
from .http.body import UNREADABLE
from .http.transport import Transport

_IN_THE_APP = "look into the web app: Organization Settings, Webhooks"


@dataclass(frozen=True)
class Webhook:
    """One address that is called: for which events, and the key that validates the deliveries, if it was shown."""

    url: str
    events: tuple[str, ...]
    key: Secret | None = None


def list_webhooks(transport: Transport, settings: Settings) -> list[Webhook]:
    """The webhook settings of the organization ``settings.business_id``.

    Raises
    ------
    InputError
        ``business_id`` is not set, or not of the form of ids.
    WebhookError
        The answer does not hold the settings where they are documented.
    """
    return [_webhook(one) for one in _read(transport, settings)]


def add_webhook(
    transport: Transport, settings: Settings, url: str, *, events: Sequence[str] = ("new_report",)
) -> Webhook:
    """Have `url` called; nothing is sent where it is there already for the same events.

    Raises
    ------
    InputError
        The url is not an https address without user and fragment, or as in `list_webhooks`.
    WebhookError
        The settings read back are not those that were sent.
    """
    events = listed(events, "events")
    _check(url, events)
    before = _read(transport, settings)
    same = [w for w in map(_webhook, before) if w.url == url]
    if not any(set(w.events) == set(events) for w in same):
        others = [one for one in before if one.get("url") != url]
        before = _write(transport, settings, [*others, {"events": list(events), "url": url}])
    return next(w for w in map(_webhook, before) if w.url == url and set(w.events) == set(events))


def remove_webhook(transport: Transport, settings: Settings, url: str) -> None:
    """Have `url` called no more.

    Raises
    ------
    InputError
        No setting has this url, or as in `list_webhooks`.
    WebhookError
        The settings read back are not those that were sent.
    """
    before = _read(transport, settings)
    rest = [one for one in before if one.get("url") != url]
    if len(rest) == len(before):
        raise InputError("no webhook has this url; `xray webhook list` shows them all")
    _write(transport, settings, rest)


def _path(settings: Settings) -> str:
    if settings.business_id is None:
        raise InputError(
            "business_id is not set: XRAY_BUSINESS_ID, or a line in the settings file; ask the vendor for it"
        )
    if not is_id(settings.business_id, settings.id_pattern):
        raise InputError(f"business_id is not of the form {settings.id_pattern!r}; check it, or change id_pattern")
    return f"/businesses/{settings.business_id}"


def _read(transport: Transport, settings: Settings) -> list[dict[str, Any]]:
    """The settings exactly as the service shows them, members unknown here included."""
    found = _listed(transport.get(_path(settings)).body)
    if found is None:
        raise WebhookError(f"GET {_path(settings)} shows no list of webhooks at business.settings; {_IN_THE_APP}")
    return found


def _listed(body: bytes) -> list[dict[str, Any]] | None:
    """The settings in an answer, their keys hidden; None where it holds none."""
    try:
        found: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return None
    for name in ("business", "settings", "webhooks"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, list) or not all(_is_setting(one) for one in found):
        return None
    return [one | {"key": Secret(one["key"])} if isinstance(one.get("key"), str) else one for one in found]


def _write(transport: Transport, settings: Settings, wished: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send the list as it is wished; what the service then shows."""
    transport.post(_path(settings), _body(wished), accept_json=False)
    now = _read(transport, settings)
    if _shape(now) != _shape(wished):
        differs = f"the {len(now)} webhooks read back are not the {len(wished)} that were sent"
        raise WebhookError(f"POST {_path(settings)} was answered, but {differs}; {_IN_THE_APP}")
    return now


def _body(webhooks: list[dict[str, Any]]) -> dict[str, Any]:
    """The one place that says how the settings nest; assumed."""
    shown = [one | {"key": one["key"].reveal()} if isinstance(one.get("key"), Secret) else one for one in webhooks]
    return {"settings": {"webhooks": shown}}


def _shape(webhooks: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    return sorted((one["url"], sorted(one["events"])) for one in webhooks)


def _is_setting(one: Any) -> bool:
    events = one.get("events") if isinstance(one, dict) else None
    return isinstance(events, list) and all(isinstance(e, str) for e in events) and isinstance(one.get("url"), str)


def _webhook(one: Mapping[str, Any]) -> Webhook:
    key = one.get("key")
    return Webhook(one["url"], tuple(one["events"]), key if isinstance(key, Secret) else None)


def _check(url: str, events: Sequence[str]) -> None:
    try:
        address = addresses.parse(url)
        is_allowed = address.scheme == "https" or address.is_loopback
    except ValueError:
        is_allowed = False
    if not is_allowed:
        raise InputError("the url of a webhook must be an https address without user and fragment")
    if not events or not all(events):
        raise InputError("a webhook needs at least one event, such as new_report")
