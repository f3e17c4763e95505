"""Calls to a simulated cluster in the same process, without a network in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from pytest_selfrep.clusters.kube import Call, Reply
from pytest_selfrep.kubesim.http import Request

if TYPE_CHECKING:
    from pytest_selfrep.kubesim.cluster import Cluster
    from pytest_selfrep.kubesim.http import Stream


class InProcess:
    """A transport under the identity of one bearer token."""

    def __init__(self, cluster: Cluster, token: str) -> None:
        self._cluster = cluster
        self._authorization = f"Bearer {token}"

    def send(self, call: Call) -> Reply:
        headers = {name.lower(): value for name, value in call.headers.items()}
        headers["authorization"] = self._authorization
        with self._cluster.lock:
            response = self._cluster.handle(Request(call.method, call.path, call.query, headers, call.body))
            if response.stream is not None:
                return Reply(response.status, _so_far(response.stream))
            return Reply(response.status, response.encode())


def _so_far(stream: Stream) -> bytes:
    """What a stream has at once. Nothing more can come: time stands still while a call is answered."""
    pieces = [
        piece.encode() if isinstance(piece, str) else orjson.dumps(piece, option=orjson.OPT_APPEND_NEWLINE)
        for piece in stream.poll()
    ]
    stream.close()
    return b"".join(pieces)
