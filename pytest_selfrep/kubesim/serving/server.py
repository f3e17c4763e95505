"""Serves clusters over HTTPS, each at a port of its own on the loopback interface."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
import yaml

from pytest_selfrep.kubesim.apiserver.http import TRUE, Request, Response, Stream
from pytest_selfrep.kubesim.auth.impersonation import REPEATED
from pytest_selfrep.kubesim.cluster import LONGEST
from pytest_selfrep.kubesim.decoding import bodies
from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.serving.background import BackgroundLoop
from pytest_selfrep.kubesim.serving.certificates import certificates
from pytest_selfrep.kubesim.serving.headers import Headers
from pytest_selfrep.kubesim.status import StatusError

if TYPE_CHECKING:
    from aiohttp import web

    from pytest_selfrep.kubesim.cluster import Cluster

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a request's body; the API server's own limit."""
MAX_HEAD = 1024 * 1024
"""Bytes of a request's first line, and of a header; Go's own limit for both together."""
TICK_SECONDS = 0.05
"""How often a cluster in real time is brought up to date."""
CLOSE_SECONDS = 2.0
"""How long clients of watches may take to hear that the server closes."""
READERS = ("curl", "Wget", "Mozilla/5.0")
"""How the User-Agents of programs begin that show people what they get."""
PANIC = "This request caused apiserver to panic. Look in the logs for details."
"""All that a client is told of a failure of ours; what failed is for the log."""
BODY_SECONDS = 60.0
"""How long a client may take to send a body."""
AT_ONCE = 2048
"""Bytes of an answer that Go sends in one piece; of a longer one it says the length of each piece alone."""
RAW = ("/version", "")
"""Paths, without a slash at their end, whose answers are always laid out to be read."""

_log = logging.getLogger("kube-apiserver")
_loop = BackgroundLoop("kube-apiserver")
"""All served clusters of the process share it."""


class Served:
    """A cluster that clients reach over HTTPS until it is closed."""

    def __init__(self, port: int, ca_pem: bytes, site: _Site) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.ca_pem = ca_pem
        self._site = site
        self._open = True

    def kubeconfig(self, token: str, namespace: str = "default", user: str = "default") -> str:
        """A kubeconfig (YAML) with one context, for the owner of a bearer token, there called ``user``."""
        authority = base64.b64encode(self.ca_pem).decode()
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": "kubernetes",
                        "cluster": {"certificate-authority-data": authority, "server": self.url},
                    }
                ],
                "contexts": [
                    {
                        "name": f"{user}@kubernetes",
                        "context": {"cluster": "kubernetes", "namespace": namespace, "user": user},
                    }
                ],
                "current-context": f"{user}@kubernetes",
                "preferences": {},
                "users": [{"name": user, "user": {"token": token}}],
            },
            sort_keys=False,
        )

    @property
    def failure(self) -> Exception | None:
        """Why the cluster's time no longer moves on, though it should."""
        return self._site.failure

    def close(self) -> None:
        """End all requests and watches, and free the port (and the thread, if this was the last cluster).

        Raises RuntimeError if the cluster's time stood still: what clients saw then is worth nothing.
        """
        if self._open:
            self._open = False
            try:
                _loop.run(self._site.stop())
            finally:
                _loop.give_back()
            if self.failure is not None:
                raise RuntimeError(f"the cluster's time did not move on: {self.failure}") from self.failure


def serve(cluster: Cluster, *, real_time: bool = False, rate: float = 1.0, port: int = 0) -> Served:
    """Serve a cluster on a port of the loopback interface, any free one unless told.

    The cluster's time moves by ``cluster.advance`` alone, or with the machine's clock if ``real_time``,
    ``rate`` times as fast. Raises OSError if the port cannot be had.
    """
    shown = certificates()
    _loop.take()
    try:
        site = _Site(cluster, rate if real_time else None)
        port = _loop.run(site.start(port))
    except BaseException:
        _loop.give_back()
        raise
    return Served(port, shown.ca_pem, site)


class _Site:
    """One cluster's HTTP server. All methods but the constructor run on the loop."""

    def __init__(self, cluster: Cluster, rate: float | None) -> None:
        """``rate`` is how fast the cluster's time runs; None if it does not run by itself."""
        self._cluster = cluster
        self._rate = rate
        self._closing = False
        self._waiting: set[asyncio.Event] = set()
        self._headers = Headers(cluster)
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None
        self._clock: asyncio.Task[None] | None = None
        self.failure: Exception | None = None

    async def start(self, port: int) -> int:
        from aiohttp import web

        from pytest_selfrep.kubesim.serving.gohttp import IDLE_SECONDS, Server, received

        self._server = Server(
            self._answer,
            request_factory=received,
            handler_cancellation=True,
            keepalive_timeout=IDLE_SECONDS,
            access_log=None,
            # No API server unpacks what a client has compressed.
            auto_decompress=False,
            max_headers=MAX_HEAD,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=CLOSE_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=certificates().server)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        if self._rate is not None:
            self._clock = asyncio.create_task(self._keep_time(self._rate))
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        self._closing = True
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)
        if self._runner is None or self._server is None:
            return
        await self._end_streams()
        # Closing politely takes TLS until the client has answered, and clients need not.
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()

    async def _end_streams(self) -> None:
        patience = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while self._waiting and asyncio.get_running_loop().time() < patience:
            for waiting in self._waiting:
                waiting.set()
            await asyncio.sleep(0.002)

    async def _keep_time(self, rate: float) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            try:
                self._cluster.advance(min((now - last) * rate, LONGEST))
            except Exception as error:
                _log.exception("the cluster's time does not move on")
                self.failure = error
                return
            last = now

    async def _answer(self, sent: web.BaseRequest) -> web.StreamResponse:
        from pytest_selfrep.kubesim.serving import gohttp

        objection = gohttp.objection(sent)
        if objection is not None:
            return objection
        path, query = gohttp.path_of(sent), gohttp.query_of(sent)
        request = Request(sent.method, path, query, _headers(sent), managed_fields=True).readable()
        headers: dict[str, str] = {}
        try:
            headers = self._headers.before(request)
            if sent.can_read_body:
                request = replace(request, body=await _read(sent))
            if bodies.takes_long(request.body, request.headers.get("content-type", "")):
                request = replace(request, parsed=await asyncio.to_thread(bodies.parsed, request.body))
            # Short enough for the loop: everything in a cluster happens under one lock anyway.
            response = self._cluster.handle(request)
        except StatusError as error:
            response = Response(error.code, error.to_object())
        except Exception:
            _log.exception("%s %s", sent.method, sent.path)
            failed = StatusError(500, "InternalError", PANIC)
            response = Response(500, failed.to_object())
        headers |= response.headers
        headers["Content-Type"], headers["Date"] = response.content_type, self._cluster.clock.http_date()
        if response.session is not None:
            from pytest_selfrep.kubesim.streams.websocket import converse

            return await converse(sent, response.session, self._cluster.lock, self._waiting)
        if response.stream is None:
            return _whole(request, response, headers)
        from aiohttp import web

        reply = web.StreamResponse(status=response.status, headers=headers)
        for warning in response.warning_headers():
            reply.headers.add("Warning", warning)
        await self._stream(sent, reply, response.stream)
        return reply

    async def _stream(self, sent: web.BaseRequest, reply: web.StreamResponse, stream: Stream) -> None:
        """Send what a stream has to say until it ends, its time is up, or the client has gone."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        until = None if stream.timeout_seconds is None else loop.time() + stream.timeout_seconds
        self._waiting.add(ready)
        try:
            await reply.prepare(sent)
            with self._cluster.lock:
                stream.on_ready(lambda: _wake(loop, ready))
            while not self._closing:
                ready.clear()
                with self._cluster.lock:
                    items, closed = stream.poll(), stream.closed
                if items:
                    await _write(reply, b"".join(map(_encoded, items)))
                if closed:
                    break
                if not await _wait(ready, until):
                    await self._say_last(reply, stream)
                    break
            await reply.write_eof()
        except ConnectionError:
            # The client has gone; it is for nobody to know.
            return
        finally:
            self._waiting.discard(ready)
            with self._cluster.lock:
                stream.close()

    async def _say_last(self, reply: web.StreamResponse, stream: Stream) -> None:
        with self._cluster.lock:
            stream.end()
            items = stream.poll()
        if items:
            await _write(reply, b"".join(map(_encoded, items)))


def _wake(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    loop.call_soon_threadsafe(ready.set)


async def _wait(ready: asyncio.Event, until: float | None) -> bool:
    """Whether something came up before a time of the loop's clock."""
    try:
        async with asyncio.timeout_at(until):
            await ready.wait()
    except TimeoutError:
        return False
    return True


def _whole(request: Request, response: Response, headers: Mapping[str, str]) -> web.StreamResponse:
    """An answer that does not go on."""
    from pytest_selfrep.kubesim.serving.gohttp import Whole

    content = response.encode(pretty=_is_pretty(request, response))
    return Whole(
        response.status,
        [*headers.items(), *(("Warning", each) for each in response.warning_headers())],
        content,
        chunked=len(content) > AT_ONCE and not isinstance(response.body, bytes),
        # Nobody reads the rest of a body that is too large.
        last=response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


async def _write(reply: web.StreamResponse, content: bytes) -> None:
    """In pieces: what is written at once is kept, however much it is, for a client that does not read."""
    from pytest_selfrep.kubesim.serving.gohttp import LARGE

    for start in range(0, len(content), LARGE):
        await reply.write(content[start : start + LARGE])


def _is_pretty(request: Request, response: Response) -> bool:
    """Whether the answer is laid out to be read: as the query says, else for people's own programs."""
    if response.status == HTTPStatus.OK and request.path.rstrip("/") in RAW:
        return True
    asked = dict(request.query).get("pretty")
    if asked:
        return asked in TRUE
    return request.headers.get("user-agent", "").startswith(READERS)


async def _read(sent: web.BaseRequest) -> bytes:
    """The request's body. Raises StatusError 413 or 504."""
    if (sent.content_length or 0) > MAX_BODY:
        raise _too_large()
    if sent.headers.get("Expect", "").lower() == "100-continue" and sent.transport is not None:
        sent.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in sent.content.iter_any():
                length += len(part)
                if length > MAX_BODY:
                    raise _too_large()
                parts.append(part)
    except TimeoutError:
        why = "Timeout: request did not complete within the allotted timeout"
        raise StatusError(504, "Timeout", why, {}) from None
    return b"".join(parts)


def _too_large() -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BODY}")


def _headers(sent: web.BaseRequest) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in sent.headers.items():
        name = name.lower()
        if name not in headers:
            headers[name] = value
        elif name.startswith("impersonate-"):
            # Somebody impersonated may have several groups, each in a header of its own.
            headers[name] += f"{REPEATED}{value}"
    return headers


def _encoded(item: Json | str) -> bytes:
    return item.encode() if isinstance(item, str) else orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE)
