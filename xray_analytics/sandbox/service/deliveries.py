"""How the sandbox calls its users back when a report is there. The signature scheme is *assumed* in every part.

Only addresses on this machine are called. A delivery that is not answered with a status from 200 to 299 is repeated
twice; whoever receives must cope with duplicates and with losses.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any

from ...grammar import addresses
from ..payloads.reports import encode

SIGNATURE_HEADER, TIMESTAMP_HEADER = "X-October-Signature", "X-October-Timestamp"
PAUSES = (0.0, 0.5, 2.0)  # before each attempt [s]
TIMEOUT = 5.0


def is_local(url: object) -> bool:
    """Whether the sandbox may call this address."""
    try:
        address = addresses.parse(url)
    except ValueError:
        return False
    return address.scheme == "http" and address.is_loopback and address.port != 80  # a receiver is at a port of its own


def schedule(delay: float, webhooks: Callable[[], list[dict[str, Any]]], events: Sequence[Mapping[str, str]]) -> None:
    """Tell all `webhooks` of the `events` they want, in this order, in `delay` seconds; they are asked for then."""

    def call_all() -> None:
        for event in events:
            for webhook in webhooks():
                if event["event"] in webhook["events"]:
                    deliver(webhook["url"], webhook["key"], encode(event))

    timer = threading.Timer(delay, call_all)
    timer.daemon = True
    timer.start()


def deliver(url: str, key: str, body: bytes) -> bool:
    """POST one signed delivery, at most three times; whether it was answered with a status from 200 to 299."""
    for pause in PAUSES:
        time.sleep(pause)
        if _attempt(url, key, body):
            return True
    return False


def signed(key: str, body: bytes, now: int) -> dict[str, str]:
    """The headers of a delivery: Unix time, and the hexadecimal HMAC-SHA256 of ``<time>.<body>``."""
    digest = hmac.new(key.encode(), b"%d." % now + body, "sha256").hexdigest()
    return {"Content-Type": "application/json", TIMESTAMP_HEADER: str(now), SIGNATURE_HEADER: digest}


def _attempt(url: str, key: str, body: bytes) -> bool:
    address = addresses.parse(url)
    connection = HTTPConnection(address.host, address.port, timeout=TIMEOUT)
    try:
        target = address.target if address.target.startswith("/") else f"/{address.target}"
        connection.request("POST", target, body, signed(key, body, int(time.time())))
        return 200 <= connection.getresponse().status < 300
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
