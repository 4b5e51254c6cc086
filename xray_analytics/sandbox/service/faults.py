"""Faults on request: what networks and services do to a client, in profiles for trying a sync under fire.

A profile draws for each call whether it is answered late, refused, limited, cut short, or answered with a page instead
of JSON. Everything is drawn from the sandbox's seed; which call meets which fault depends on the order of the calls.
"""

from __future__ import annotations

import asyncio
import random

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .behaviour import Profile


class Faults:
    """ASGI middleware that plays a profile."""

    def __init__(self, app: ASGIApp, profile: Profile, seed: int) -> None:
        self._app, self._profile, self._rng = app, profile, random.Random(seed)  # noqa: S311 - a game, no secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the call, or do to it what was drawn."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(self._profile.delay_seconds)
        refusal = self._refusal()
        if refusal is not None:
            await refusal(scope, receive, send)
        elif self._rng.random() < self._profile.cut:
            await self._app(scope, receive, _cutting(send))
        else:
            await self._app(scope, receive, send)

    def _refusal(self) -> Response | None:
        drawn = self._rng.random()
        if drawn < self._profile.unavailable:
            return JSONResponse({"error": "unavailable"}, 503)
        if drawn < self._profile.unavailable + self._profile.limited:
            return JSONResponse({"error": "rate_limited"}, 429, {"Retry-After": "1"})
        if drawn < self._profile.unavailable + self._profile.limited + self._profile.page:
            return PlainTextResponse("<html><body>Maintenance</body></html>", 200, media_type="text/html")
        return None


def _cutting(send: Send) -> Send:
    """Send half of the first piece of the body, and nothing after it: the server then closes the connection."""
    is_cut = False

    async def cut(message: Message) -> None:
        nonlocal is_cut
        if message["type"] != "http.response.body":
            await send(message)
        elif not is_cut:
            is_cut = True
            half = message.get("body", b"")[: len(message.get("body", b"")) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})

    return cut
