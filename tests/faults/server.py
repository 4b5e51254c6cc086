"""A raw-socket HTTP server whose every answer is scripted down to the byte.

It can do what no well-behaved server does: cut a body inside a compressed stream, drip it byte by byte, reset the
connection, or keep silent. It records all it receives, so that a test can also show that nothing arrived::

    with FaultServer(reply({"id": "a"}).cut(40), reply({"id": "a"})) as server:
        ...                      # the first request is cut after 40 bytes, all later ones are answered in full
        assert len(server.requests) == 2
"""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What arrived; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """Bytes to send, pausing so many seconds before each piece of `every` bytes, and what to do with the connection."""

    wire: bytes
    then: str = "keep"
    pause: float = 0.0
    every: int = 1 << 20

    def cut(self, n: int, then: str = "close") -> "Reply":
        """The first `n` bytes only, then close or reset."""
        return replace(self, wire=self.wire[:n], then=then)

    def drip(self, pause: float, every: int = 1) -> "Reply":
        """Slowly: `every` bytes after each `pause` [s]."""
        return replace(self, pause=pause, every=every)

    @property
    def head_length(self) -> int:
        """Bytes up to the end of the headers."""
        return self.wire.index(b"\r\n\r\n") + 4


def reply(
    content: object,
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    framing: str = "length",
    encoding: str | None = None,
) -> Reply:
    """A complete answer; `content` is sent as it is if it is bytes, else as JSON.

    `framing` is ``length``, ``chunked`` (pieces of 7 bytes) or ``close``; `encoding` is ``gzip`` or None.
    """
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fields = {"Content-Type": "application/json"} | (headers or {})
    if encoding == "gzip":
        body = gzip.compress(body, mtime=0)
        fields = {"Content-Encoding": "gzip"} | fields
    if framing == "length":
        fields = {"Content-Length": str(len(body))} | fields
    elif framing == "chunked":
        fields = {"Transfer-Encoding": "chunked"} | fields
        pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    head = f"HTTP/1.1 {status} Some Reason\r\n{lines}\r\n".encode()
    return Reply(head + body, "close" if framing == "close" else "keep")


class FaultServer:
    """Answers the n-th request with the n-th reply, the last one for ever; or with what a function makes of it."""

    def __init__(self, *script: Reply | Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        self.n_connections = 0
        self._script = script
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "FaultServer":
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over.set()
            for connection in (self._listener, *self._open):
                _shut(connection)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if self._over.is_set():  # too late to be shut by `__exit__`, which would wait for it for ever
                    connection.close()
                    return
                self.n_connections += 1
                self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            for request in _incoming(connection):
                if not self._answer(connection, self._next(request)):
                    break
        except OSError:
            return  # the client went away, as some tests want
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _next(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            step = self._script[min(len(self.requests), len(self._script)) - 1]
        return step if isinstance(step, Reply) else step(request)

    def _answer(self, connection: socket.socket, step: Reply) -> bool:
        for start in range(0, len(step.wire), step.every):
            if self._over.wait(step.pause):
                return False
            connection.sendall(step.wire[start : start + step.every])
        if step.then == "hold":
            self._over.wait()
        if step.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return step.then == "keep"


def _incoming(connection: socket.socket) -> Iterator[Request]:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            received = connection.recv(65_536)
            if not received:
                return
            buffer += received
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        parts = urlsplit(target)
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        while len(buffer) < (length := int(headers.get("content-length", 0))):
            received = connection.recv(65_536)
            if not received:
                return
            buffer += received
        body, buffer = buffer[:length], buffer[length:]
        yield Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # not connected any more
