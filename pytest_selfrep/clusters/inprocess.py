"""Calls to a simulated cluster in the same process, without a network in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from pytest_selfrep.clusters.kube import Call, Reply
from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.discovery.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_selfrep.clusters.kube import Conversation
    from pytest_selfrep.kubesim.apiserver.http import Session, Stream
    from pytest_selfrep.kubesim.cluster import Cluster


class InProcess:
    """A transport under the identity of one bearer token.

    ``program`` is what the client calls itself, and so who manages the fields that it writes.
    """

    def __init__(self, cluster: Cluster, token: str, program: str = "kubectl") -> None:
        self._cluster = cluster
        self._identity = {
            "authorization": f"Bearer {token}",
            "user-agent": f"{program}/{VERSION['gitVersion']}",
        }

    def send(self, call: Call) -> Reply:
        headers = {name.lower(): value for name, value in call.headers.items()} | self._identity
        request = Request(
            call.method, call.path, call.query, headers, call.body, managed_fields=call.managed_fields
        )
        with self._cluster.lock:
            response = self._cluster.handle(request)
            if response.stream is not None:
                return Reply(response.status, _so_far(response.stream))
            return Reply(response.status, response.encode())

    def converse(self, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        headers = {**self._identity, "connection": "Upgrade", "upgrade": "websocket"}
        query = [*call.query.items(), *repeated]
        with self._cluster.lock:
            response = self._cluster.handle(Request(call.method, call.path, query, headers))
            if response.session is None:
                return Reply(response.status, response.encode())
            return _Held(self._cluster, response.session)


class _Held:
    """A session of the cluster's (clusters.kube.Conversation). It begins with its lock held."""

    def __init__(self, cluster: Cluster, session: Session) -> None:
        self._cluster = cluster
        self._session = session
        self._woken = False
        session.start()
        session.on_ready(self._wake)

    def _wake(self) -> None:
        self._woken = True

    @property
    def closed(self) -> bool:
        return self._session.closed

    def send(self, message: bytes) -> None:
        with self._cluster.lock:
            self._session.receive(message)

    def poll(self) -> Sequence[bytes]:
        """All that comes without time passing."""
        found: list[bytes] = []
        with self._cluster.lock:
            self._woken = True
            while self._woken:
                self._woken = False
                came = self._session.poll()
                found += came
                self._woken = self._woken or bool(came)
        return found

    def close(self) -> None:
        with self._cluster.lock:
            self._session.close()


def _so_far(stream: Stream) -> bytes:
    """What a stream has at once. Nothing more can come: time stands still while a call is answered."""
    pieces = [
        piece.encode() if isinstance(piece, str) else orjson.dumps(piece, option=orjson.OPT_APPEND_NEWLINE)
        for piece in stream.poll()
    ]
    stream.close()
    return b"".join(pieces)
