"""SPDY/3.1 framing, as far as port forwarding needs it: streams, data, pings."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
DATA = 0
FIN = 1
"""The flag that ends one direction of a stream."""
MAX_FRAME = 1 << 20
"""Bytes of a frame that are taken; more end the session."""
MAX_HEADERS = 64 * 1024
_VERSION = 3
_CHUNK = 32 * 1024


class BadFrame(Exception):
    """Bytes that are no SPDY, or more than is borne."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of one kind (``DATA``, or a control type) for one stream; 0 for the session."""

    kind: int
    stream: int
    flags: int = 0
    data: bytes = b""
    """Of pings and other control frames what follows the stream's number, if they have one."""
    headers: Mapping[str, str] = field(default_factory=dict)


class Framer:
    """Both directions of a session; headers are compressed over all of it."""

    def __init__(self) -> None:
        dictionary = files(__package__).joinpath("spdy.dictionary").read_bytes()
        self._received = bytearray()
        self._unpack = zlib.decompressobj(zdict=dictionary)
        self._pack = zlib.compressobj(zdict=dictionary)

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes. Raises BadFrame."""
        self._received += data
        while len(self._received) >= 8:
            length = int.from_bytes(self._received[5:8], "big")
            if length > MAX_FRAME:
                raise BadFrame
            if len(self._received) < 8 + length:
                return
            head, body = bytes(self._received[:8]), bytes(self._received[8 : 8 + length])
            del self._received[: 8 + length]
            yield self._frame(head, body)

    def _frame(self, head: bytes, body: bytes) -> Frame:
        number = int.from_bytes(head[:4], "big")
        flags = head[4]
        if not number >> 31:
            return Frame(DATA, number, flags, body)
        version, kind = number >> 16 & 0x7FFF, number & 0xFFFF
        if version != _VERSION:
            raise BadFrame
        if kind not in (SYN_STREAM, SYN_REPLY, RST_STREAM, HEADERS, WINDOW_UPDATE):
            return Frame(kind, 0, flags, body)
        if len(body) < 4:
            raise BadFrame
        stream, rest = int.from_bytes(body[:4], "big") & 0x7FFFFFFF, body[4:]
        if kind == SYN_STREAM:
            return Frame(kind, stream, flags, headers=self._headers(rest[6:]))
        if kind in (SYN_REPLY, HEADERS):
            return Frame(kind, stream, flags, headers=self._headers(rest))
        return Frame(kind, stream, flags, rest)

    def _headers(self, packed: bytes) -> Mapping[str, str]:
        try:
            block = self._unpack.decompress(packed, MAX_HEADERS)
            if self._unpack.unconsumed_tail:
                raise BadFrame
            (count,), at = struct.unpack_from(">I", block), 4
            found: dict[str, str] = {}
            for _ in range(min(count, 1000)):
                pair = []
                for _ in range(2):
                    (length,) = struct.unpack_from(">I", block, at)
                    pair.append(block[at + 4 : at + 4 + length].decode("latin-1"))
                    at += 4 + length
                found[pair[0].lower()] = pair[1].partition("\0")[0]
        except (zlib.error, struct.error):
            raise BadFrame from None
        return found

    def data(self, stream: int, data: bytes, *, last: bool = False) -> Iterator[bytes]:
        """A stream's bytes, in frames."""
        pieces = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)] or ([b""] if last else [])
        for index, piece in enumerate(pieces):
            flags = FIN if last and index == len(pieces) - 1 else 0
            yield struct.pack(">IB", stream, flags) + len(piece).to_bytes(3, "big") + piece

    def reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """A stream is taken."""
        block = struct.pack(">I", len(headers))
        for pair in headers.items():
            for text in pair:
                block += struct.pack(">I", len(text)) + text.encode("latin-1")
        packed = self._pack.compress(block) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        return self.control(SYN_REPLY, struct.pack(">I", stream) + packed)

    def control(self, kind: int, body: bytes) -> bytes:
        return struct.pack(">HHB", 0x8000 | _VERSION, kind, 0) + len(body).to_bytes(3, "big") + body
