"""A proxy between a client and an API server that misbehaves as told, one request at a time."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from pytest_selfrep.kubesim.serving.certificates import certificates

PATIENCE = 20.0
"""Seconds after which a test is stuck."""


@dataclass(frozen=True)
class Fault:
    """What happens to a request."""

    answer: bytes | None = None
    """Sent back in place of the server's; the server hears nothing of the request."""
    forwarded: bool = True
    """Whether the server hears of the request (where there is no answer in its place)."""
    length: int | None = None
    """How many bytes of the server's answer, head included, get through; all if None."""
    stall: float = 0.0
    """Seconds for which nothing more comes then, before the connection is closed."""
    trickle: float = 0.0
    """Seconds before each byte of ``answer``."""


def answer(status: str, body: bytes = b"", *headers: str) -> Fault:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return Fault("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def stream(*lines: bytes) -> Fault:
    """An answer of which nobody has said how long it is."""
    return Fault(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"".join(lines))


DROPPED = Fault(forwarded=False, length=0)
"""The connection ends before the server has heard of the request."""
UNANSWERED = Fault(length=0)
"""The server does what it is asked, and its answer is lost."""


def stalled(seconds: float, length: int = 0) -> Fault:
    return Fault(length=length, stall=seconds)


def cut(length: int) -> Fault:
    return Fault(length=length)


@dataclass
class Unruly:
    """Listens on the loopback interface with the certificate of simulated clusters."""

    upstream: str
    """The server's URL."""
    trusted: str = field(default_factory=lambda: certificates().ca_pem.decode())
    """The authority (PEM) of the server's certificate."""
    seen: list[str] = field(default_factory=list)
    """The first line of each request, in order."""
    heads: list[bytes] = field(default_factory=list)
    _faults: list[tuple[str, Fault]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _open: set[socket.socket] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"https://127.0.0.1:{self.port}"
        self._begin(self._accept)

    def meet(self, *faults: Fault, where: str = "") -> None:
        """One fault each for the next requests whose first line contains ``where``."""
        with self._lock:
            self._faults += [(where, each) for each in faults]

    def calm(self) -> None:
        """No more faults."""
        with self._lock:
            self._faults.clear()

    def cut_all(self) -> None:
        """Break all connections."""
        with self._lock:
            connections = list(self._open)
        for each in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._open)

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in list(self._threads):
            thread.join(PATIENCE)

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self._begin(partial(self._serve, plain))

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE)
        try:
            client = certificates().server.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        with self._tracked(client), contextlib.suppress(OSError):
            head, body = _read_request(client)
            if head:
                self._answer(client, head, body)

    def _answer(self, client: socket.socket, head: bytes, body: bytes) -> None:
        fault = self._fault(head)
        if fault.answer is not None and fault.trickle:
            for byte in fault.answer:
                self._ended.wait(fault.trickle)
                client.sendall(bytes((byte,)))
        elif fault.answer is not None:
            client.sendall(fault.answer)
        elif not fault.forwarded:
            self._ended.wait(fault.stall)
        else:
            url = urlsplit(self.upstream)
            context = ssl.create_default_context(cadata=self.trusted)
            plain = socket.create_connection((url.hostname, url.port), timeout=PATIENCE)
            server = context.wrap_socket(plain, server_hostname=url.hostname)
            with self._tracked(server):
                server.sendall(_once(head) + b"\r\n\r\n" + body)
                self._relay(server, client, fault)

    def _relay(self, server: ssl.SSLSocket, client: socket.socket, fault: Fault) -> None:
        left = fault.length
        if left == 0:
            # It has done what it was asked when it begins to answer.
            server.recv(1)
        while left is None or left > 0:
            if not server.pending() and client in select.select([server, client], [], [])[0]:
                # It speaks only once: it has gone.
                return
            piece = server.recv(65536)
            if not piece:
                return
            client.sendall(piece[:left])
            left = None if left is None else max(0, left - len(piece))
        self._ended.wait(fault.stall)

    def _fault(self, head: bytes) -> Fault:
        first = head.partition(b"\r\n")[0].decode()
        with self._lock:
            self.seen.append(first)
            self.heads.append(head)
            for index, (where, fault) in enumerate(self._faults):
                if where in first:
                    del self._faults[index]
                    return fault
        return Fault()

    @contextlib.contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _read_request(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            return b"", b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(each.partition(b":")[2])
            for each in head.split(b"\r\n")
            if each.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += client.recv(65536)
    return head, body


def _once(head: bytes) -> bytes:
    """The same, and the server closes the connection after its answer, unless that is to go on both ways."""
    if b"\nupgrade:" in head.lower():
        return head
    lines = [each for each in head.split(b"\r\n") if not each.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"])


def eventually(true: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
