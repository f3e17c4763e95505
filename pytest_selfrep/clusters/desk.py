"""How workers ask their controller for its cluster: over a socket that only the same user can reach."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

import orjson

from pytest_selfrep.clusters.host import Host
from pytest_selfrep.clusters.k3s import K3s
from pytest_selfrep.clusters.ownership import SOCKET
from pytest_selfrep.errors import ClusterError


class Desk:
    """The controller's side: answers every worker, each in a thread of its own."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._path = folder / SOCKET
        self._key = secrets.token_bytes(32)
        self._listener: Listener | None = None

    def open(self) -> tuple[str, str]:
        """Begin to answer; where, and with which key (see Asking). ClusterError if no socket can be had."""
        try:
            self._listener = Listener(str(self._path), "AF_UNIX", authkey=self._key)
        except OSError as error:
            raise ClusterError(
                f"workers cannot be answered at {self._path}: {error}; set TMPDIR to a folder with a "
                "shorter path that can be written to"
            ) from error
        threading.Thread(target=self._accept, args=(self._listener,), name="desk", daemon=True).start()
        return str(self._path), self._key.hex()

    def close(self) -> None:
        """Take no more questions."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        # The thread that accepts is blocked in the system: only a connection wakes it. That must not wait for
        # an answer, for the thread may have seen by itself that it is over.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as door:
            door.connect(str(self._path))
        listener.close()

    def _accept(self, listener: Listener) -> None:
        while self._listener is listener:
            try:
                connection = listener.accept()
            except _BROKEN:
                # Who asked was no worker, or is gone already.
                continue
            threading.Thread(target=self._answer, args=(connection,), name="desk", daemon=True).start()

    def _answer(self, connection: Connection[bytes, bytes]) -> None:
        with connection, contextlib.suppress(*_BROKEN):
            while True:
                connection.send_bytes(self._reply(connection.recv_bytes()))

    def _reply(self, question: bytes) -> bytes:
        lost = orjson.loads(question)
        try:
            cluster = self._host.lost(_cluster(lost)) if lost else self._host.server()
        except ClusterError as error:
            return orjson.dumps({"error": str(error)})
        except Exception as error:
            # The worker must not take it for the controller's end.
            return orjson.dumps({"error": f"the cluster did not come up: {type(error).__name__}: {error}"})
        return _packed(cluster)


class Asking:
    """The host in a worker: what the controller's has, asked for over its desk."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._key = bytes.fromhex(key)
        self._lock = threading.Lock()
        self._connection: Connection[bytes, bytes] | None = None

    def server(self) -> K3s:
        return self._ask(b"null")

    def lost(self, cluster: K3s) -> K3s:
        return self._ask(_packed(cluster))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _ask(self, question: bytes) -> K3s:
        with self._lock:
            try:
                connection = self._connection or self._connect()
                connection.send_bytes(question)
                answer = orjson.loads(connection.recv_bytes())
            except _BROKEN as error:
                raise ClusterError(
                    "the process that owns the cluster is gone, and the cluster with it; run the tests again"
                ) from error
        if "error" in answer:
            raise ClusterError(answer["error"])
        return _cluster(answer)

    def _connect(self) -> Connection[bytes, bytes]:
        self._connection = Client(self._address, "AF_UNIX", authkey=self._key)
        return self._connection


_BROKEN = (OSError, EOFError, AuthenticationError)
"""What a connection raises that has ended, or was none."""


def _packed(cluster: K3s) -> bytes:
    return orjson.dumps(
        {
            "id": cluster.id,
            "name": cluster.name,
            "image": cluster.image,
            "kubeconfig": str(cluster.kubeconfig),
        }
    )


def _cluster(told: dict[str, str]) -> K3s:
    return K3s(told["id"], told["name"], told["image"], Path(told["kubeconfig"]))
