"""An HTTP proxy that leads to a few hosts, and nowhere else: CONNECT for TLS, and plain requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from pytest_selfrep.tools.background import background

MOST_CONNECTIONS: Final = 64
LONGEST_HEAD: Final = 64 * 1024
"""Bytes."""
HEAD_SECONDS: Final = 30.0
"""In which a client is to say what it wants."""
CONNECT_SECONDS: Final = 30.0
_PIECE = 64 * 1024
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Refused(Exception):
    """A request that is not passed on, with the status of the answer."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One that is served."""

    url: str
    allowed: set[str]
    reached: set[str]
    """To which somebody has got through, as ``host:port``."""

    def allow(self, target: str) -> None:
        """Lead to one more, as ``host:port``."""
        self.allowed.add(target)


@contextmanager
def proxy(address: str, clients: str, allowed: Sequence[str]) -> Iterator[Proxy]:
    """Serve one at an address of this machine until the block ends.

    Args:
        clients: Where it is used from, as a block of addresses (``172.18.0.0/16``).
        allowed: What it leads to, as ``host:port``.

    Raises:
        OSError: there is no such address here.
    """
    led, reached = set(allowed), set[str]()
    door = _Door(clients, led, reached)
    with socket.create_server((address, 0)) as listening, background("proxy") as run:
        server = run(_opened(door, listening))
        try:
            yield Proxy(f"http://{address}:{listening.getsockname()[1]}", led, reached)
        finally:
            run(_closed(server))


async def _opened(door: _Door, listening: socket.socket) -> asyncio.Server:
    return await asyncio.start_server(door.serve, sock=listening, limit=LONGEST_HEAD)


async def _closed(server: asyncio.Server) -> None:
    # What it has under way is cancelled with its loop.
    server.close()


@dataclass(frozen=True, slots=True)
class _Wanted:
    host: str
    port: int
    head: bytes
    """What is sent there first; empty for a tunnel."""


class _Door:
    def __init__(self, clients: str, allowed: set[str], reached: set[str]) -> None:
        self._clients = ip_network(clients)
        self._allowed = allowed
        self._reached = reached
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            await self._answer(reader, writer)
        except Refused as refused:
            writer.write(f"HTTP/1.1 {refused}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            with suppress(OSError):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # A client that does not speak HTTP, or has gone.
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = ip_address(writer.get_extra_info("peername")[0])
        if peer not in self._clients or self._open > MOST_CONNECTIONS:
            raise Refused("403 Forbidden")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
        wanted = _wanted(head)
        target = f"{wanted.host}:{wanted.port}"
        if target not in self._allowed:
            raise Refused("403 Forbidden")
        try:
            beyond = await asyncio.wait_for(
                asyncio.open_connection(wanted.host, wanted.port), CONNECT_SECONDS
            )
        except (OSError, TimeoutError):
            raise Refused("502 Bad Gateway") from None
        self._reached.add(target)
        try:
            writer.write(b"" if wanted.head else _ESTABLISHED)
            beyond[1].write(wanted.head)
            await asyncio.gather(_passed_on(reader, beyond[1]), _passed_on(beyond[0], writer))
        finally:
            beyond[1].close()


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes, and then that nothing more does."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _wanted(head: bytes) -> _Wanted:
    """Where a request is to go. Refused if it is none for a proxy."""
    try:
        first, *headers = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, version = first.split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            return _Wanted(host.strip("[]").lower(), int(port), b"")
        url = urlsplit(target)
        if url.scheme != "http" or not url.hostname:
            raise ValueError(target)
        path = url._replace(scheme="", netloc="").geturl() or "/"
        # One request for each connection: whatever follows it goes where this went.
        kept = [line for line in headers if not line.lower().startswith(("proxy-", "connection:"))]
        lines = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
        return _Wanted(url.hostname.lower(), url.port or 80, "\r\n".join(lines).encode("latin-1"))
    except ValueError:
        raise Refused("400 Bad Request") from None
