"""A risk service of a few lines whose state a test changes as it goes: requests, reports of any source, webhooks."""

import atexit
import threading
from collections import Counter
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from xray_analytics.api import webhooks
from xray_analytics.settings import Settings

BUSINESS = "5f000000000000000000000b"


class Host:
    """A web server that stays up and serves one app after the other: uvicorn takes a tenth of a second to stop."""

    def __init__(self):
        self.app = None
        self._server = webhooks.server(self)
        self._socket = webhooks.listener("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)

    def stop(self):
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


_idle = []


@contextmanager
def serving(app):
    """`app` on a free port of this machine, served as `xray webhook serve` does; yields its address."""
    host = _idle.pop() if _idle else Host()
    host.app = app
    try:
        yield host.url
    finally:
        _idle.append(host)


class SmallService:
    """What the service knows; a path in `broken` answers that status instead."""

    def __init__(self):
        self.requests, self.reports, self.webhooks = {}, {}, []
        self.broken, self.calls = {}, Counter()
        self.list_members = ("id",)
        self.takes_webhooks = lambda body: body["settings"]["webhooks"]

    def add_request(self, request_id, siren="514673987"):
        self.requests[request_id] = {"id": request_id, "code": {"type": "siren", "id": siren}, "status": "open"}

    def add_report(self, report_id, request_id, source, raw):
        self.reports[report_id] = {"id": report_id, "request": request_id, "source": source, "raw": raw}

    def app(self):
        return Starlette(
            routes=[
                Route("/requests", self._list_requests),
                Route("/requests/{id}", self._one),
                Route("/reports", self._list_reports),
                Route("/reports/{id}", self._one),
                Route("/businesses/{id}", self._business, methods=["GET", "POST"]),
            ]
        )

    @contextmanager
    def running(self, **overrides):
        """The settings that reach it."""
        with serving(self.app()) as url:
            yield Settings(base_url=url, user_id="u", session_token="t", **{"attempts": 1, "workers": 4} | overrides)

    def _answer(self, request, content):
        self.calls[f"{request.method} {request.url.path}"] += 1
        status = self.broken.get(request.url.path)
        if content is None or status:
            return JSONResponse({}, status or 404)
        return JSONResponse(content)

    async def _one(self, request):
        kind = request.url.path.split("/")[1]
        found = getattr(self, kind).get(request.path_params["id"])
        return self._answer(request, found and {kind[:-1]: found})

    async def _list_requests(self, request):
        return self._answer(request, {"requests": list(self.requests.values()), "remaining": 0})

    async def _list_reports(self, request):
        wanted = {k: v for k, v in request.query_params.items() if k in ("request", "source")}
        found = [r for r in self.reports.values() if all(r[k] == v for k, v in wanted.items())]
        shown = [{name: r[name] for name in self.list_members if name in r} for r in found]
        return self._answer(request, {"reports": shown, "remaining": 0})

    async def _business(self, request):
        if request.method == "POST":
            sent = self.takes_webhooks(await request.json())
            self.webhooks = [{"key": f"key-{n}-canary", **one} for n, one in enumerate(sent)]
            return self._answer(request, {})
        return self._answer(request, {"business": {"settings": {"webhooks": self.webhooks}}})
