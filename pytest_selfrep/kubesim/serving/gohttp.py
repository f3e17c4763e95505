"""HTTP as Go's net/http speaks it, and so an API server: the order of headers, and what is no request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from http import HTTPStatus
from operator import itemgetter
from typing import Final
from urllib.parse import parse_qsl, unquote

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

IDLE_SECONDS = 90.0
"""How long a connection may stay open without a request; for an unfinished one too."""
TAKING_SECONDS = 60.0
"""How long a client may take to take a large answer."""
LARGE = 64 * 1024
"""Bytes of an answer that do not go into the connection at once."""
_LAST: Final[Sequence[str]] = ("Date", "Content-Length", "Connection", "Transfer-Encoding")
"""Headers that Go adds itself, after those of the handler, which are sorted."""
_UPGRADED: Final[Sequence[str]] = ("Upgrade", "Connection", "Sec-Websocket-Accept", "Sec-Websocket-Protocol")
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_BREAKS = str.maketrans("\r\n", "  ")
"""No header breaks its line, whatever is in it."""
_HOST = re.compile(r"[-A-Za-z0-9._~:\[\]!$&'()*+,;=%]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_WHY = {
    "Missing 'Host' header": "missing required Host header",
    "Invalid header value": "invalid header value",
    "Invalid header token": "invalid header name",
}
"""What the parser finds, in Go's words; of all else Go says nothing."""


class Server(web.Server):
    """aiohttp's server, but for what it says of itself when a request cannot be read."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class Sent(web.BaseRequest):
    """A request whose answer has its headers in Go's order, and none that names the HTTP library."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        found = [(name.title(), value) for name, value in response.headers.items()]
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            ordered = sorted((each for each in found if each[0] in _UPGRADED), key=_place(_UPGRADED))
        else:
            # First those of the handler, by name, then Go's own.
            own = sorted((each for each in found if each[0] not in (*_LAST, "Server")), key=itemgetter(0))
            ordered = [*own, *sorted((each for each in found if each[0] in _LAST), key=_place(_LAST))]
        response.headers.clear()
        response.headers.extend(ordered)


def _place(order: Sequence[str]) -> Callable[[tuple[str, str]], int]:
    return lambda field: order.index(field[0])


def received(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """How a server makes requests."""
    return Sent(message, payload, protocol, writer, task, asyncio.get_running_loop())


class Whole(web.StreamResponse):
    """An answer that does not go on, written as Go writes it. A client has a time to take a large one."""

    def __init__(
        self, status: int, headers: Sequence[tuple[str, str]], content: bytes, *, chunked: bool, last: bool
    ) -> None:
        """``chunked`` says the length of each piece instead of all; ``last`` closes the connection."""
        super().__init__(status=status)
        self._fields = sorted(headers, key=itemgetter(0))
        self._whole = content
        self._is_chunked = chunked
        self._stays_open = not last

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open."""
        return self._stays_open

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        self._stays_open = self._stays_open and request.keep_alive
        whole = self._text(request).encode() + self._framed(request)
        if len(whole) <= LARGE:
            transport.write(whole)
            return None
        try:
            async with asyncio.timeout(TAKING_SECONDS):
                # What is written at once is kept, however much it is, for a client that does not read.
                for start in range(0, len(whole), LARGE):
                    transport.write(whole[start : start + LARGE])
                    await request.writer.drain()
        except TimeoutError:
            transport.abort()
            raise ConnectionResetError from None
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """There is nothing more."""

    def _text(self, request: web.BaseRequest) -> str:
        recent = request.version >= HttpVersion11
        lines = [f"HTTP/1.{int(recent)} {_said(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self._fields if name != "Date"]
        lines += [f"{name}: {value}" for name, value in self._fields if name == "Date"]
        bodiless = self.status in _BODILESS
        if not bodiless and not (self._is_chunked and recent):
            lines.append(f"Content-Length: {len(self._whole)}")
        if recent is not self._stays_open:
            lines.append(f"Connection: {'keep-alive' if self._stays_open else 'close'}")
        if not bodiless and self._is_chunked and recent and request.method != "HEAD":
            lines.append("Transfer-Encoding: chunked")
        if not all(map(str.isprintable, lines)):
            lines = [line.translate(_BREAKS) for line in lines]
        return "\r\n".join((*lines, "", ""))

    def _framed(self, request: web.BaseRequest) -> bytes:
        if request.method == "HEAD" or self.status in _BODILESS:
            return b""
        if self._is_chunked and request.version >= HttpVersion11:
            return b"%x\r\n%b\r\n0\r\n\r\n" % (len(self._whole), self._whole)
        return self._whole


class Raw(web.StreamResponse):
    """An answer that is written as it stands, after which the connection ends."""

    def __init__(self, status: int, text: str) -> None:
        """``text``: all but the status line."""
        super().__init__(status=status)
        self.force_close()
        self._text = text

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if request.transport is not None:
            request.transport.write(f"HTTP/1.1 {_said(self.status)}{self._text}".encode())
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """There is nothing more."""


def refusal(status: int, why: str = "", text: str = "") -> Raw:
    """For what is no request of HTTP. ``why`` is said in the status line too, ``text`` in the body alone."""
    more = f": {why}" if why else ""
    said = text or f"{_said(status)}{more}"
    head = f"{more}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    return Raw(status, head + said)


@cache
def _said(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, LineTooLong):
            return refusal(431)
        found = message or ""
        if found.startswith("Request has invalid `Transfer-Encoding`"):
            return refusal(501, text="Unsupported transfer encoding")
        if "Invalid HTTP version" in found:
            return refusal(505, "unsupported protocol version")
        why = next((why for sign, why in _WHY.items() if found.startswith(sign)), "")
        # Of a line that is no header at all Go says nothing.
        return refusal(status, why if why != "invalid header name" or ":" in found.partition("\n")[2] else "")


def objection(sent: web.BaseRequest) -> Raw | None:
    """Why Go would not pass a request on, though it can be read."""
    if sent.version not in (HttpVersion10, HttpVersion11):
        return refusal(505, "unsupported protocol version") if sent.version > HttpVersion11 else refusal(400)
    if not _HOST.fullmatch(sent.headers.get("Host", "")):
        return refusal(400, "malformed Host header")
    if _BAD_ESCAPE.search(sent.raw_path.partition("?")[0]):
        return refusal(400)
    coding = sent.headers.get("Transfer-Encoding", "chunked")
    if coding.lower() != "chunked":
        return refusal(501, text="Unsupported transfer encoding")
    return None


def path_of(sent: web.BaseRequest) -> str:
    """The path, percent-decoded and not tidied up; bytes that are no text as surrogates."""
    path = sent.raw_path.partition("?")[0]
    if not path.startswith("/"):
        path = f"/{path.partition('://')[2].partition('/')[2]}" if "://" in path else path
    return unquote(path, errors="surrogateescape") if "%" in path else path


def query_of(sent: web.BaseRequest) -> list[tuple[str, str]]:
    """The query's pairs, without those that Go cannot read."""
    query = sent.raw_path.partition("?")[2]
    return list(_pairs(query)) if query else []


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for each in query.split("&"):
        if ";" not in each and not _BAD_ESCAPE.search(each):
            yield from parse_qsl(each, keep_blank_values=True, errors="surrogateescape")
