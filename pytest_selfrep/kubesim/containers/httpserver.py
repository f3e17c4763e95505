"""One HTTP/1.1 connection to a container, byte by byte."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime

from pytest_selfrep.kubesim.containers.network import respond
from pytest_selfrep.kubesim.objects import Object

MAX_HEAD = 64 * 1024
"""Bytes of a request's first line and headers."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HttpConnection:
    """Answers the requests that come over one connection to a container."""

    def __init__(self, container: Object) -> None:
        self._container = container
        self._received = bytearray()
        self._skip = 0
        self.closed = False
        """Whether the server has ended the connection."""

    def receive(self, data: bytes, now: datetime) -> bytes:
        """What the server says to what came."""
        self._received += data
        said = b""
        while not self.closed:
            skipped = min(self._skip, len(self._received))
            del self._received[:skipped]
            self._skip -= skipped
            head, end, _ = bytes(self._received).partition(b"\r\n\r\n")
            if self._skip or not end:
                if len(self._received) > MAX_HEAD:
                    said += self._bad()
                return said
            del self._received[: len(head) + 4]
            said += self._answer(head.decode("latin-1"), now)
        return said

    def _answer(self, head: str, now: datetime) -> bytes:
        first, *lines = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or words[0] not in _METHODS:
            return self._bad()
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
        }
        length = headers.get("content-length", "0")
        self._skip = int(length) if length.isdigit() and len(length) < 10 else 0
        self.closed = headers.get("connection", "").lower() == "close" or (
            words[2] == "HTTP/1.0" and headers.get("connection", "").lower() != "keep-alive"
        )
        answer = respond(self._container, words[1])
        shown = [
            f"HTTP/1.1 {answer.status} {answer.reason}",
            *([f"Server: {answer.server}"] if answer.server else []),
            f"Date: {format_datetime(now, usegmt=True)}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            *(["Connection: close"] if self.closed else []),
        ]
        text = "\r\n".join(shown).encode() + b"\r\n\r\n"
        return text if words[0] == "HEAD" else text + answer.body

    def _bad(self) -> bytes:
        self.closed = True
        body = b"400 Bad Request"
        return (
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Connection: close\r\n\r\n" + body
        )
