"""Conversations with containers (exec) over a WebSocket, as channel.k8s.io has them."""

from __future__ import annotations

import contextlib
import select
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import websocket

from pytest_selfrep.clusters.kube import Conversation, Disconnected, Reply
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
"""The second, of servers before Kubernetes 1.30, cannot say that the input has come to its end."""
_CLOSE = 255
_MOST = 1024 * 1024
"""Bytes that are read at once; whoever writes more waits meanwhile."""
_BROKEN = (websocket.WebSocketException, OSError)


def conversation(
    settings: Configuration, target: str, headers: Mapping[str, str], seconds: float
) -> Conversation | Reply:
    """Open one, or say what the server answered instead. ``seconds``: for each step of the connection.

    Raises:
        ClusterError: the server cannot be reached.
    """
    # Some of its functions lack types.
    socket: Any = websocket.WebSocket(sslopt=_tls(settings), enable_multithread=True)
    try:
        socket.connect(
            settings.host.replace("http", "ws", 1) + target,
            header=[f"{name}: {value}" for name, value in headers.items()],
            subprotocols=[V5, V4],
            suppress_origin=True,
            timeout=seconds,
            # A credential is for the server that it was given for.
            redirect_limit=0,
            **_proxy(settings),
        )
    except websocket.WebSocketBadStatusException as error:
        return Reply(error.status_code, error.resp_body or b"")
    except _BROKEN as error:
        raise ClusterError(
            f"the API server at {settings.host} opens no WebSocket for {target.partition('?')[0]}: {error}; "
            "check that the cluster runs, and that proxies in front of it let WebSockets through"
        ) from error
    return _Held(socket, settings.host)


class _Held:
    """An open WebSocket (clusters.kube.Conversation)."""

    def __init__(self, socket: Any, server: str) -> None:
        self._socket = socket
        self._server = server
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def send(self, message: bytes) -> None:
        """Lost, if the other side has left already. Raises Disconnected."""
        if self._closed or (message[:1] == bytes((_CLOSE,)) and self._socket.getsubprotocol() == V4):
            return
        try:
            self._socket.send_binary(message)
        except websocket.WebSocketConnectionClosedException:
            return
        except _BROKEN as error:
            raise self._broke(error) from error

    def poll(self) -> Sequence[bytes]:
        """Of endless output a part. Raises Disconnected if it breaks before its end."""
        found: list[bytes] = []
        size = 0
        while not self._closed and size < _MOST and self._readable():
            try:
                opcode, data = self._socket.recv_data(control_frame=True)
            except _BROKEN as error:
                self.close()
                raise self._broke(error) from error
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.close()
            elif opcode in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) and len(data) > 1:
                found.append(bytes(data))
                size += len(data)
        return found

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(*_BROKEN):
                self._socket.send_close()
            self._socket.shutdown()

    def _readable(self) -> bool:
        channel = self._socket.sock
        if isinstance(channel, ssl.SSLSocket) and channel.pending():
            return True
        return bool(select.select([channel], [], [], 0)[0])

    def _broke(self, error: BaseException) -> Disconnected:
        return Disconnected(
            f"the connection to {self._server} broke in the middle of a conversation: {error}"
        )


def _tls(settings: Configuration) -> dict[str, Any]:
    if not settings.verify_ssl:
        options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    else:
        options = {"cert_reqs": ssl.CERT_REQUIRED}
        if settings.ssl_ca_cert:
            options["ca_certs"] = settings.ssl_ca_cert
    names = {"certfile": "cert_file", "keyfile": "key_file", "server_hostname": "tls_server_name"}
    given = {option: getattr(settings, name) for option, name in names.items()}
    return options | {option: value for option, value in given.items() if value}


def _proxy(settings: Configuration) -> dict[str, Any]:
    if not settings.proxy:
        return {}
    proxy = urlsplit(settings.proxy)
    skipped = [each.strip() for each in (settings.no_proxy or "").split(",") if each.strip()]
    return {
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port,
        "http_no_proxy": skipped or None,
        "proxy_type": "http",
    }
