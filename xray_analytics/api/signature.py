"""Does a delivery come from whoever holds the key? By the scheme of the settings, which is *assumed* in every part."""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime

from starlette.datastructures import Headers

from ..settings import Secret, WebhookSettings

_MAX_SIGNATURES = 8


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
    offered = [part.strip().encode() for part in sent[0].split(",")][:_MAX_SIGNATURES]
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
