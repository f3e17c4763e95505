"""Carries a session over a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import MutableSet
from threading import RLock

from aiohttp import WSMsgType, web

from pytest_selfrep.kubesim.apiserver.http import Session
from pytest_selfrep.kubesim.serving.gohttp import Raw

MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes of one message; a client that sends more is cut off."""
PING_SECONDS = 20.0
"""A client that does not answer for so long has gone."""


async def converse(
    sent: web.BaseRequest,
    session: Session,
    lock: RLock,
    waiting: MutableSet[asyncio.Event],
) -> web.StreamResponse:
    """Upgrade a request and carry its session until either side ends it, or the server closes.

    ``waiting``: events that are set when the server closes.
    """
    offered = [
        each.strip() for each in sent.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()
    ]
    if offered and not set(offered) & set(session.protocols):
        return Raw(403, "\r\n\r\n")
    socket = web.WebSocketResponse(
        protocols=session.protocols,
        max_msg_size=MAX_MESSAGE,
        heartbeat=PING_SECONDS,
        compress=False,
        timeout=1.0,
    )
    try:
        await socket.prepare(sent)
    except web.HTTPException:
        if sent.headers.get("Sec-WebSocket-Version") != "13":
            return Raw(400, "\r\nSec-WebSocket-Version: 13\r\n\r\nmissing or bad WebSocket Version")
        return Raw(400, "\r\n\r\nmismatch challenge/response")
    link = _Link(socket, session, lock)
    waiting.add(link.ready)
    try:
        await link.carry()
    finally:
        waiting.discard(link.ready)
        with lock:
            session.close()
    return socket


class _Link:
    def __init__(self, socket: web.WebSocketResponse, session: Session, lock: RLock) -> None:
        self.ready = asyncio.Event()
        self._socket = socket
        self._session = session
        self._lock = lock
        self._base64 = "base64" in (socket.ws_protocol or "")

    async def carry(self) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            self._session.start()
            self._session.on_ready(lambda: _wake(loop, self.ready))
        reading = asyncio.create_task(self._read())
        try:
            await self._write(reading)
            if not self._socket.closed:
                await self._socket.close()
        except (ConnectionError, asyncio.CancelledError):
            # The client has gone; it is for nobody to know.
            pass
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _write(self, reading: asyncio.Task[None]) -> None:
        while True:
            self.ready.clear()
            with self._lock:
                messages, closed = self._session.poll(), self._session.closed
            for message in messages:
                if self._base64:
                    await self._socket.send_str(_channel(message) + base64.b64encode(message[1:]).decode())
                else:
                    await self._socket.send_bytes(message)
            if closed or reading.done():
                return
            if not messages:
                await self.ready.wait()
            if reading.done():
                return

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    data: bytes = message.data
                elif message.type is WSMsgType.TEXT:
                    data = self._decoded(message.data)
                else:
                    break
                with self._lock:
                    self._session.receive(data)
                self.ready.set()
        finally:
            self.ready.set()

    def _decoded(self, text: str) -> bytes:
        if not self._base64:
            return text.encode()
        try:
            return bytes((int(text[:1] or "0"),)) + base64.b64decode(text[1:])
        except (ValueError, binascii.Error):
            return b""


def _channel(message: bytes) -> str:
    return str(message[0])


def _wake(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    loop.call_soon_threadsafe(ready.set)
