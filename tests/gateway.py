"""A gateway in front of a sandbox that passes everything on, and may keep the answer of a chosen call to itself."""

from fnmatch import fnmatchcase
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

from faults.server import FaultServer, Reply, Request, reply


class Gateway(FaultServer):
    """``faults`` maps patterns of "METHOD /path" to what replaces the answers in turn; calls still arrive."""

    def __init__(self, url: str, faults: dict[str, list[Reply]] | None = None) -> None:
        super().__init__(self._pass_on)
        self._target = urlsplit(url)
        self.faults = faults or {}

    @property
    def calls(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]

    def _pass_on(self, request: Request) -> Reply:
        connection = HTTPConnection(self._target.hostname or "", self._target.port, timeout=100)
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "accept-encoding", "content-length")}
        connection.request(request.method, request.path + query, request.body or None, headers)
        answer = connection.getresponse()
        kept = {name: answer.headers[name] for name in ("Content-Type", "ETag") if name in answer.headers}
        honest = reply(answer.read(), answer.status, kept)
        connection.close()
        call = f"{request.method} {request.path}"
        waiting = next((answers for pattern, answers in self.faults.items() if fnmatchcase(call, pattern)), [])
        return waiting.pop(0) if waiting else honest


RESET = Reply(b"", "reset")
