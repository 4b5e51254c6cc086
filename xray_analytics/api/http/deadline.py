"""One thread that ends every call whose time is up, and a door through which each call reaches its own host only.

A read time-out starts again with each byte, so a server that sends one byte a second can hold a call for ever. The
watchdog shuts the socket under such a call, whether it waits for headers or for the body. It never decides what the
call then reports: whoever runs the call asks `Limit.expired`.

A call says with its limit which address was checked. Its connection is refused where it is to another host or port, by
whatever way the HTTP library came to that; and where the peer is not of the internet although the host came from
outside, as when a name is resolved anew after it was checked. Both before a byte is sent.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from ...grammar.addresses import Address, is_public

# A call may still be connecting when its time is up, and have no socket yet: look again after this many seconds.
_AGAIN = 0.02
_HERE = threading.local()  # `limit`: of the call that this thread makes


class WrongPeer(ValueError):
    """A call was about to reach another host than the one that was checked, or one it may not reach."""


@dataclass(eq=False)
class Limit:
    """The limits of one call: `ends` on the monotonic clock, `expired` once it was enforced; and whom it may reach.

    `is_sent` says that a byte of the call may have left this machine, whatever came of it.
    """

    ends: float
    address: Address
    is_public_only: bool = False
    expired: bool = False
    is_sent: bool = False
    connection: Any = None

    @property
    def is_over(self) -> bool:
        """Whether the time is up; the call's own read time-out may notice before the watchdog does."""
        return self.expired or time.monotonic() >= self.ends


class Watchdog:
    """Shuts the sockets of calls that outlive their limit; `close` shuts those of all calls, and ends the thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limits: set[Limit] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0
        self._closing = False

    @contextmanager
    def limit(self, seconds: float, address: Address, *, public_only: bool = False) -> Iterator[Limit]:
        """Limit the call that the current thread makes inside this block to `seconds`, and to this host and port.

        With `public_only` its peer must be of the internet, whatever its name is resolved to.
        """
        limit = Limit(time.monotonic() + seconds, address, public_only)
        _HERE.limit = limit
        with self._changed:
            self._limits.add(limit)
            self._rouse(limit.ends)
        try:
            yield limit
        finally:
            _HERE.limit = None
            with self._changed:
                self._limits.discard(limit)

    def check_host(self, connection: Any, scheme: str) -> None:
        """Refuse a connection to another host or port than the call of this thread was checked for.

        Raises
        ------
        WrongPeer
            It is another.
        """
        limit = getattr(_HERE, "limit", None)
        origin = (scheme, connection.host.strip("[]").lower(), connection.port)
        if limit is None or limit.address.origin != origin:
            raise WrongPeer("the HTTP library reads another host in the address")

    def check_peer(self, wire: socket.socket) -> None:
        """Refuse a peer that is not of the internet where the call of this thread may reach no other.

        Raises
        ------
        WrongPeer
            It is private.
        """
        if _HERE.limit.is_public_only and not is_public(wire.getpeername()[0]):
            raise WrongPeer("the name of the host leads to a private address")

    def attach(self, connection: Any) -> None:
        """Say that `connection`, whose socket is its `wire`, now serves the call of this thread, and no earlier one."""
        with self._changed:
            limit = getattr(_HERE, "limit", None)
            connection.limit = limit
            if limit is not None:
                limit.connection = connection

    def pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Connection pools by scheme whose connections `attach` themselves to each call they serve."""
        return {"http": _announcing(HTTPConnectionPool, self), "https": _announcing(HTTPSConnectionPool, self)}

    def close(self) -> None:
        """End all calls under way and the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=10.0)  # at most one look at the limits away

    def _rouse(self, ends: float) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="xray-watchdog", daemon=True)
            self._thread.start()
        elif ends < self._wakes_at:
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self._limits or not self._closing:
                now = time.monotonic()
                for limit in self._limits:
                    if self._closing or limit.ends <= now:
                        _shut(limit)
                self._wakes_at = min((x.ends for x in self._limits if not x.expired), default=float("inf"))
                if any(limit.expired for limit in self._limits):
                    self._wakes_at = min(self._wakes_at, now + _AGAIN)
                self._changed.wait(min(max(self._wakes_at - now, 0.0), threading.TIMEOUT_MAX))


def _may_be_logged(record: logging.LogRecord) -> bool:
    """Whether a line of the HTTP library may be logged: of our calls only that one begins.

    The others repeat what a service sent, and signed addresses, which are keys.
    """
    return getattr(_HERE, "limit", None) is None or str(record.msg).startswith("Starting new")


for _name in ("connectionpool", "connection", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_may_be_logged)


def _announcing(pool: type[HTTPConnectionPool], watchdog: Watchdog) -> type[HTTPConnectionPool]:
    """`pool` with connections that tell `watchdog` about each request, before there is any answer to hold on to."""
    plain: Any = pool.ConnectionCls

    class Announcing(plain):  # type: ignore[misc]  # the base differs by scheme
        wire = None  # outlives `sock`, which is dropped as soon as an answer says that it ends with the connection
        limit: Limit | None = None

        def _new_conn(self) -> socket.socket:  # the one place where urllib3 opens a socket, before any TLS
            watchdog.check_host(self, pool.scheme)
            wire: socket.socket = super()._new_conn()
            try:
                watchdog.check_peer(wire)
            except BaseException:
                wire.close()
                raise
            return wire

        def connect(self) -> None:
            super().connect()
            self.wire = self.sock

        def request(self, *args: Any, **options: Any) -> None:
            watchdog.check_host(self, pool.scheme)  # a connection of the pool is not opened anew
            watchdog.attach(self)
            super().request(*args, **options)

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()  # as the parent would, but before anything counts as sent
            if self.limit is not None:
                self.limit.is_sent = True
            super().send(data)

    return type(pool.__name__, (pool,), {"ConnectionCls": Announcing})


def _shut(limit: Limit) -> None:
    limit.expired = True
    connection = limit.connection
    # A pooled connection may already serve another call: that one keeps it.
    if connection is None or connection.limit is not limit or connection.wire is None:
        return
    try:
        # The plain socket's method: that of a TLS socket would first forget the encryption under the reader's feet.
        socket.socket.shutdown(connection.wire, socket.SHUT_RDWR)
    except OSError:
        return  # already shut, or about to be replaced by a new one: the next look will find that
