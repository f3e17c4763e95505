"""Requests and responses as the API server sees them, whatever carries them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Protocol

import orjson

from pytest_selfrep.kubesim.apply.entries import Entries
from pytest_selfrep.kubesim.decoding.bodies import Parsed
from pytest_selfrep.kubesim.objects import Json

JSON = "application/json"
TEXT = "text/plain"
TRUE = ("1", "t", "T", "true", "TRUE", "True")
"""What Go's ParseBool takes for true."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    """Percent-decoded, without the query."""
    query: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    parsed: Parsed | None = None
    """The body, if it is a YAML text that was read beforehand."""
    managed_fields: bool = False
    """Whether objects in the answer say which manager owns which of their fields."""

    def pairs(self) -> Sequence[tuple[str, str]]:
        """Names and values of the query, in order; a name may stand there several times."""
        return list(self.query.items() if isinstance(self.query, Mapping) else self.query)

    def readable(self) -> Request:
        """The same with U+FFFD for bytes that are no text, which Python's strings keep as surrogates."""
        query = self.pairs()
        texts = (self.path, *chain.from_iterable(query), *self.headers, *self.headers.values())
        if "".join(texts).isascii():
            return self
        return replace(
            self,
            path=_readable(self.path),
            query=[(_readable(name), _readable(value)) for name, value in query],
            headers={_readable(name): _readable(value) for name, value in self.headers.items()},
        )


def _readable(text: str) -> str:
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


class Stream(Protocol):
    """The body of a response that goes on: a watch, or a followed log."""

    @property
    def closed(self) -> bool:
        """Whether nothing more will come once everything so far has been polled."""

    @property
    def timeout_seconds(self) -> float | None:
        """After how long the client wants it closed."""

    def poll(self) -> Sequence[Json]:
        """What came since the last call: watch events as objects, log lines as text with their newline."""

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called, with the cluster's lock held, whenever there is something to poll."""

    def end(self) -> None:
        """The client's time is up: what is to be said at the end is there to be polled."""

    def close(self) -> None:
        """The client has gone."""


class Session(Protocol):
    """A conversation that a request opens. All but the subprotocols is used with the cluster's lock held."""

    @property
    def protocols(self) -> Sequence[str]:
        """The WebSocket subprotocols that it speaks."""

    @property
    def closed(self) -> bool:
        """Whether nothing more will come once everything so far has been polled."""

    def start(self) -> None:
        """The client is there."""

    def receive(self, message: bytes) -> None:
        """A message of the client's, without any encoding of the subprotocol's."""

    def poll(self) -> Sequence[bytes]:
        """The messages since the last call."""

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called whenever there is something to poll."""

    def close(self) -> None:
        """The client has gone."""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. ``body`` may share objects with the store: whoever wants to change it copies it."""

    status: int
    body: Json = None
    """A text or bytes are sent as they are, all else as JSON."""
    content_type: str = JSON
    stream: Stream | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    session: Session | None = None
    """What follows if the connection is upgraded (101)."""
    warnings: Sequence[str] = ()
    """What the client is told besides, each in a ``Warning`` header of its own."""

    def warning_headers(self) -> Sequence[str]:
        """The values of these headers, as RFC 7234 writes them; none for a text that no header can hold."""
        told = (text for text in self.warnings if not _CONTROL.search(text))
        quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in told)
        return [f'299 - "{text}"' for text in quoted]

    def encode(self, *, pretty: bool = False) -> bytes:
        """The body as it goes over the wire, for responses without a stream; ``pretty`` to be read."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        if pretty:
            return orjson.dumps(self.body, option=orjson.OPT_INDENT_2)
        return orjson.dumps(self.body, _written, orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_SUBCLASS)


def _written(value: Json) -> Json:
    """What JSON there is already for a value of a type that the encoder does not know."""
    if isinstance(value, Entries):
        return orjson.Fragment(value.json)
    raise TypeError(f"a {type(value).__name__} is no JSON value")
