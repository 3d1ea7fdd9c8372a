"""The page: a small web server in a thread of its own, beside a run. aiohttp.

It answers this machine alone, unless an address and a token are given. Pictures go out as MJPEG, the newest
one to each browser at the pace it takes them; figures as server-sent events.
"""

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from maskclr_edge.errors import ConfigError, MaskclrEdgeError
from maskclr_edge.live.captures import Captures
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.page_state import PageState
from maskclr_edge.live.view import Moment
from maskclr_edge.optional import require

#: browsers that watch at once; each costs the sending of every picture
MOST_WATCHERS = 8
_COOKIE = "maskclr-edge-token"
_EVENTS_A_SECOND = 5.0
_JPEG_QUALITY = 80
_FILES = {"/": ("index.html", "text/html"), "/app.js": ("app.js", "text/javascript"),
          "/app.css": ("app.css", "text/css")}  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def parse_address(text: str, token: str | None) -> tuple[str, int]:
    """``HOST:PORT`` as two values. Raises ConfigError for no such thing, or another host without a token."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{text!r} is not HOST:PORT, as in 127.0.0.1:8765")
    if not _is_loopback(host) and not token:
        raise ConfigError(
            f"{text} can be reached from other machines, and would show what the camera sees: "
            "give --web-token SECRET as well"
        )
    if token is not None and len(token) < 8:
        raise ConfigError("the token is shorter than 8 letters; give a longer one")
    return host, int(port)


class WebServer:
    """Serves one run. As a view it takes moments, as a sink pictures; ``url`` is where it is.

    Raises ConfigError when the address cannot be used, MissingDependencyError without the extra ``web``.
    """

    def __init__(
        self, state: PageState, captures: Captures, address: tuple[str, int], token: str | None
    ) -> None:
        self._web, self._cv2 = require("aiohttp.web"), require("cv2")
        self.state, self.captures, self._token = state, captures, token
        self._host, self._port = address
        self._picture: Array | None = None
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._number, self._watchers = 0, 0
        self._closing = False
        self._fresh = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="live_web", daemon=True)
        self._started: threading.Event = threading.Event()
        self._error: BaseException | None = None
        self._thread.start()
        self._started.wait()
        if isinstance(self._error, OSError):
            raise ConfigError(
                f"the page cannot be served at {self._host}:{self._port} ({self._error}); "
                "choose another --web-address"
            )
        if self._error is not None:
            raise self._error

    @property
    def url(self) -> str:
        """Where the page is; with the token, if there is one."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        if self._host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        return f"http://{host}:{self._port}/" + (
            f"?token={quote(self._token, safe='')}" if self._token else ""
        )

    @property
    def wanted(self) -> bool:
        """Whether somebody watches."""
        return self._watchers > 0

    def take(self, picture: Array, time_s: float) -> None:
        """The newest picture takes the place of the one before."""
        self._picture, self._number = picture, self._number + 1
        self._call(self._fresh.set)

    def show(self, moment: Moment) -> None:
        """Take one moment."""
        self.state.show(moment)

    def close(self) -> None:
        """Tell the browsers that it is over, and leave; again is harmless."""
        self.captures.stop()
        if self._closing:
            return
        self.state.end()
        self._closing = True
        self._call(self._fresh.set)
        self._thread.join(timeout=2)

    def _call(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        web = self._web

        @web.middleware  # type: ignore[untyped-decorator]
        async def guard(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard], client_max_size=4096)
        app.router.add_get("/stream.mjpg", self._stream)
        app.router.add_get("/events", self._events)
        app.router.add_get("/saved/{name}", self._saved)
        app.router.add_post("/snapshot", self._snapshot)
        app.router.add_post("/recording", self._recording)
        for path in _FILES:
            app.router.add_get(path, self._file)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
            self._port = runner.addresses[0][1]
            self._started.set()
            while not self._closing:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)  # the last event reaches the browsers
        finally:
            await runner.cleanup()

    async def _guard(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Who may ask: by the token where there is one, else by the name that this machine goes by."""
        web = self._web
        if self._token is None and not _is_loopback(request.url.host or ""):
            raise web.HTTPForbidden(text="this page answers to localhost alone\n")  # rebound names
        if self._token is not None:
            known = hashlib.sha256(self._token.encode()).hexdigest()  # what a cookie can hold
            given = request.cookies.get(_COOKIE, "")
            if "token" in request.query:
                given = hashlib.sha256(request.query["token"].encode("utf-8", "replace")).hexdigest()
            if not hmac.compare_digest(given.encode("utf-8", "replace"), known.encode()):
                raise web.HTTPUnauthorized(
                    text="the token is missing or wrong: open the address that live printed\n"
                )
            if "token" in request.query and request.path == "/":
                answer = web.Response(status=303, headers={"Location": "/"} | _HEADERS)
                answer.set_cookie(_COOKIE, known, httponly=True, samesite="Lax")
                return answer
        # other sites' pages cannot send this header, so they cannot press the buttons
        if request.method == "POST" and request.headers.get("X-Maskclr-Edge") != "1":
            raise web.HTTPForbidden(text="not from this page\n")
        return await handler(request)

    async def _file(self, request: Any) -> Any:
        name, kind = _FILES[request.path]
        text = (files("maskclr_edge.live") / "page" / name).read_text(encoding="utf-8")
        return self._web.Response(text=text, content_type=kind, headers=_HEADERS)

    async def _stream(self, request: Any) -> Any:
        answer = self._web.StreamResponse(
            headers=_HEADERS | {"Content-Type": "multipart/x-mixed-replace; boundary=frame"}
        )
        async with self._watching():
            await answer.prepare(request)
            sent = 0
            while not self._closing:
                number, jpeg = await self._newest()
                if number == sent:
                    self._fresh.clear()
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._fresh.wait(), 0.5)
                    continue
                sent = number
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                with contextlib.suppress(ConnectionError):
                    await answer.write(head.encode() + jpeg + b"\r\n")
                if request.transport is None or request.transport.is_closing():
                    break
        return answer

    async def _events(self, request: Any) -> Any:
        answer = self._web.StreamResponse(headers=_HEADERS | {"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            closing = self._closing
            facts = self.state.snapshot() | {
                "recording": self.captures.recording, "trouble": self.captures.trouble,
            }  # fmt: skip
            with contextlib.suppress(ConnectionError):
                await answer.write(f"data: {json.dumps(facts)}\n\n".encode())
            if closing:
                break
            await asyncio.sleep(1 / _EVENTS_A_SECOND)
        return answer

    async def _snapshot(self, request: Any) -> Any:
        """Save the picture that is shown; where nobody watches, the next one."""
        async with self._watching():
            old = self._number if self._watchers == 1 else -1  # what was drawn for nobody may be old
            for _ in range(60):
                if self._number != old and self._picture is not None:
                    return await self._done(partial(self.captures.snapshot, self._picture))
                await asyncio.sleep(0.05)
        text = {"error": "there is no new picture: the source stands still"}
        return self._web.json_response(text, status=503, headers=_HEADERS)

    async def _recording(self, request: Any) -> Any:
        on = request.query.get("on") == "1"
        return await self._done(self.captures.start if on else self.captures.stop)

    async def _saved(self, request: Any) -> Any:
        path = self.captures.saved(request.match_info["name"])
        if path is None:
            raise self._web.HTTPNotFound(text="there is no such file\n")
        disposition = {"Content-Disposition": f'attachment; filename="{path.name}"'}
        return self._web.FileResponse(path, headers=_HEADERS | disposition)

    async def _done(self, work: Callable[[], str | None]) -> Any:
        """Do what a button asks, off the loop; its error is for the one who pressed."""
        try:
            name = await self._loop.run_in_executor(None, work)
        except MaskclrEdgeError as error:
            return self._web.json_response({"error": str(error)}, status=500, headers=_HEADERS)
        return self._web.json_response({"file": name}, headers=_HEADERS)

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        if self._watchers >= MOST_WATCHERS:
            raise self._web.HTTPServiceUnavailable(text=f"{MOST_WATCHERS} browsers watch already\n")
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    async def _newest(self) -> tuple[int, bytes]:
        """The newest picture as JPEG with its number, encoded once for all browsers."""
        number, picture = self._number, self._picture
        if picture is not None and self._jpeg[0] != number:
            options = [self._cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            _, data = await self._loop.run_in_executor(None, self._cv2.imencode, ".jpg", picture, options)
            self._jpeg = number, data.tobytes()
        return self._jpeg


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
