"""``pods/portforward``: connections to what listens in a pod."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_selfrep.kubesim.apiserver.calls import Call
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.containers.httpserver import HttpConnection
from pytest_selfrep.kubesim.containers.network import listener
from pytest_selfrep.kubesim.decoding.gonumbers import int_or
from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.status import bad_request
from pytest_selfrep.kubesim.store import Store
from pytest_selfrep.kubesim.streams import spdy
from pytest_selfrep.kubesim.streams.asked import refuse_without_upgrade

TUNNEL = "SPDY/3.1+portforward.k8s.io"
CHANNELS = ("v4.channel.k8s.io", "portforward.k8s.io")
MAX_STREAMS = 256
"""That are open at a time in one session."""
_REFUSED_STREAM = 3

Connect = Callable[[int], HttpConnection | str]
"""A connection to a port of the pod, or why there is none."""


def forward(call: Call) -> Response:
    """Raises StatusError before anything is upgraded."""
    pod = call.stored()
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    refuse_without_upgrade(call)
    context, runtime = call.backend.context, call.backend.runtime
    connect = _connector(context.store, call.key, runtime.serves)
    offered = call.request.headers.get("sec-websocket-protocol", "")
    if TUNNEL in offered:
        return Response(101, session=Conversation(Tunnel(context.clock, connect)))
    ports = [
        int_or(each, 0)
        for name, value in call.request.pairs()
        if name == "ports"
        for each in value.split(",")
        if 0 < int_or(each, 0) < 65536
    ]
    if not ports:
        raise bad_request('query parameter "port" is required')
    return Response(101, session=Conversation(Forward(context.clock, connect, ports)))


def _connector(store: Store, key: Key, serves: Callable[[str], bool]) -> Connect:
    def connect(port: int) -> HttpConnection | str:
        pod: Object = store.get(POD, key) or {"metadata": {"uid": ""}, "spec": {"containers": []}}
        container = listener(serves, pod, port)
        if container is not None:
            return HttpConnection(container)
        sandbox = hashlib.sha256(f"sandbox {pod['metadata']['uid']}".encode()).hexdigest()
        digest = hashlib.sha256(sandbox.encode()).hexdigest()
        space = f"cni-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
        return (
            f"error forwarding port {port} to pod {sandbox}, uid : failed to execute portforward in network "
            f'namespace "/var/run/netns/{space}": failed to connect to localhost:{port} inside namespace '
            f'"{sandbox}", IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused IPv6 dial tcp6: '
            "address localhost: no suitable address found "
        )

    return connect


class Side(Protocol):
    """The pod's side of a port forward."""

    @property
    def protocols(self) -> Sequence[str]:
        """The WebSocket subprotocols that it speaks."""

    closed: bool
    said: list[bytes]
    """Messages to the client, who has not got them yet."""

    def start(self) -> None:
        """The client is there."""

    def receive(self, message: bytes) -> None:
        """A message of the client's."""


class Conversation:
    """A session in which the pod speaks only when it is spoken to (http.Session)."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self.protocols = side.protocols
        self.start = side.start
        self.receive = side.receive

    @property
    def closed(self) -> bool:
        return self._side.closed

    def poll(self) -> Sequence[bytes]:
        messages, self._side.said = self._side.said, []
        return messages

    def on_ready(self, wake: Callable[[], None]) -> None:
        """Nobody is to be woken: who has sent a message polls."""

    def close(self) -> None:
        self._side.closed = True


class Forward:
    """Ports as channels: two for each, data and errors."""

    protocols = CHANNELS

    def __init__(self, clock: Clock, connect: Connect, ports: Sequence[int]) -> None:
        self._clock = clock
        self._connect = connect
        self._ports = ports
        self._connections: dict[int, HttpConnection | None] = {}
        self.said: list[bytes] = []
        self.closed = False

    def start(self) -> None:
        for index, port in enumerate(self._ports):
            for channel in (2 * index, 2 * index + 1):
                self.said.append(bytes((channel,)) + struct.pack("<H", port))
            connection = self._connect(port)
            if isinstance(connection, str):
                self.said.append(bytes((2 * index + 1,)) + connection.encode())
                self._connections[index] = None
            else:
                self._connections[index] = connection

    def receive(self, message: bytes) -> None:
        if not message or message[0] % 2:
            return
        connection = self._connections.get(message[0] // 2)
        if connection is not None:
            said = connection.receive(message[1:], self._clock.moment(self._clock.now))
            if said:
                self.said.append(message[:1] + said)
        if all(each is None or each.closed for each in self._connections.values()):
            self.closed = True


@dataclass(slots=True)
class _Pair:
    """The two streams of one connection."""

    port: int
    error: int = 0
    data: int = 0
    connection: HttpConnection | None = None
    early: bytes = field(default=b"")


class Tunnel:
    """Connections as streams of SPDY/3.1, in the bytes of messages."""

    protocols = (TUNNEL,)

    def __init__(self, clock: Clock, connect: Connect) -> None:
        self._clock = clock
        self._connect = connect
        self._framer = spdy.Framer()
        self._pairs: dict[str, _Pair] = {}
        self._streams: dict[int, _Pair] = {}
        self.said: list[bytes] = []
        self.closed = False

    def start(self) -> None:
        """Nothing is said before the client opens a stream."""

    def receive(self, message: bytes) -> None:
        try:
            for frame in self._framer.read(message):
                self._take(frame)
        except spdy.BadFrame:
            self.closed = True

    def _take(self, frame: spdy.Frame) -> None:
        if frame.kind == spdy.SYN_STREAM:
            self._open(frame)
        elif frame.kind == spdy.DATA:
            self._data(frame)
        elif frame.kind == spdy.RST_STREAM:
            self._streams.pop(frame.stream, None)
        elif frame.kind == spdy.PING:
            # Those with odd numbers are the client's own, and want to hear of them.
            if int.from_bytes(frame.data[:4], "big") % 2:
                self.said.append(self._framer.control(spdy.PING, frame.data[:4]))
        elif frame.kind == spdy.GOAWAY:
            self.closed = True

    def _open(self, frame: spdy.Frame) -> None:
        port, kind = int_or(frame.headers.get("port"), -1), frame.headers.get("streamtype", "")
        if port < 0 or kind not in ("error", "data") or len(self._streams) >= MAX_STREAMS:
            body = struct.pack(">II", frame.stream, _REFUSED_STREAM)
            self.said.append(self._framer.control(spdy.RST_STREAM, body))
            return
        request = frame.headers.get("requestid", str(frame.stream))
        pair = self._pairs.setdefault(request, _Pair(port))
        self._streams[frame.stream] = pair
        self.said.append(self._framer.reply(frame.stream, {}))
        if kind == "error":
            pair.error = frame.stream
        else:
            pair.data = frame.stream
        if pair.error and pair.data:
            del self._pairs[request]
            self._begin(pair)

    def _begin(self, pair: _Pair) -> None:
        connection = self._connect(pair.port)
        if isinstance(connection, str):
            self.said += self._framer.data(pair.error, connection.encode(), last=True)
            self._end(pair)
            return
        pair.connection = connection
        if pair.early:
            self._say(pair, pair.early)

    def _data(self, frame: spdy.Frame) -> None:
        pair = self._streams.get(frame.stream)
        if pair is None or frame.stream != pair.data:
            return
        if pair.connection is None:
            pair.early += frame.data
        elif frame.data:
            self._say(pair, frame.data)
        if frame.flags & spdy.FIN and frame.stream in self._streams:
            self._end(pair)

    def _say(self, pair: _Pair, data: bytes) -> None:
        if pair.connection is None:
            return
        said = pair.connection.receive(data, self._clock.moment(self._clock.now))
        self.said += self._framer.data(pair.data, said)
        if pair.connection.closed:
            self._end(pair)

    def _end(self, pair: _Pair) -> None:
        """Nothing more comes from the pod."""
        if self._streams.pop(pair.data, None) is not None:
            self.said += self._framer.data(pair.data, b"", last=True)
        if self._streams.pop(pair.error, None) is not None and pair.connection is not None:
            self.said += self._framer.data(pair.error, b"", last=True)
