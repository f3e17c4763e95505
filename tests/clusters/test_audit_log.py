"""An audit log is read as it grows, and believed only where it tells all that an agent does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from simulated import simulated

from pytest_selfrep.clusters.audit_log import AuditLog
from pytest_selfrep.clusters.https import Https, Patience, from_kubeconfig
from pytest_selfrep.clusters.kube import KubeClient
from pytest_selfrep.clusters.own_namespaces import OwnNamespaces
from pytest_selfrep.errors import ClusterError

KUBERNETES = "/api/v1/namespaces/default/endpoints/kubernetes"
LOGS = "/api/v1/nodes/here/proxy/logs/kubernetes/audit.log"


class Server(ThreadingHTTPServer):
    """An API server that refuses all writes, and one file of its node."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.log = b""
        self.refuses = 0
        """The status of all answers about the file, if it is not to be had."""
        self.level = "RequestResponse"
        """At which writes are put down; empty: not at all."""
        self.read: list[int] = []
        """How much of the file each answer had."""

    def write(self, event: dict[str, Any]) -> None:
        self.log += json.dumps(event).encode() + b"\n"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        log, (first, _, last) = self.server.log, self.headers["Range"][6:].partition("-")
        begin = int(first) if first else max(0, len(log) - int(last))
        if self.server.refuses or self.path != LOGS:
            self.answer(self.server.refuses or 404, b"no")
        elif not log:
            self.answer(200, b"")
        elif begin >= len(log):
            self.answer(416, b"", f"bytes */{len(log)}")
        else:
            self.server.read.append(len(log) - begin)
            self.answer(206, log[begin:], f"bytes {begin}-{len(log) - 1}/{len(log)}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        event = {"stage": "ResponseComplete", "level": self.server.level, "requestURI": self.path}
        if self.server.level:
            self.server.write({**event, "stage": "RequestReceived"})
            self.server.write(event)
        self.answer(403, b"{}")

    def answer(self, status: int, body: bytes, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests say enough."""


@pytest.fixture
def node() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def transport(node: Server, tmp_path: Path) -> Iterator[Https]:
    path = tmp_path / "config"
    named = [
        ("clusters", "cluster", {"server": f"http://127.0.0.1:{node.server_port}"}),
        ("users", "user", {}),
        ("contexts", "context", {"cluster": "a", "user": "a"}),
    ]
    path.write_text(yaml.safe_dump({many: [{"name": "a", one: what}] for many, one, what in named}))
    transport = from_kubeconfig(path, "a", Patience(again=0.2))
    yield transport
    transport.close()


@pytest.fixture
def log(transport: Https) -> AuditLog:
    return AuditLog(transport, "here")


def ids(log: AuditLog) -> list[int]:
    return [each["id"] for each in log.poll()]


def test_what_was_there_before_is_not_even_fetched(node: Server, log: AuditLog) -> None:
    for number in range(1000):
        node.write({"id": number})
    assert log.open()
    assert ids(log) == []
    node.write({"id": 1000})
    assert ids(log) == [1000]
    assert max(node.read) < 1000


def test_an_event_that_is_half_written_is_read_when_it_is_whole(node: Server, log: AuditLog) -> None:
    node.log = b'{"id": 0}\n{"id":'
    assert log.open()
    node.log += b' 1}\n{"id": 2}\n{"id"'
    # The first began before.
    assert ids(log) == [2]
    node.log += b": 3}\n"
    assert ids(log) == [3]


def test_a_log_may_begin_empty(node: Server, log: AuditLog) -> None:
    assert log.open()
    assert ids(log) == []
    node.write({"id": 0})
    assert ids(log) == [0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500, 501, 502, 503])
def test_one_that_cannot_be_had_is_none_whatever_the_reason(node: Server, log: AuditLog, status: int) -> None:
    node.refuses = status
    assert not log.open()


def cut(log: bytes) -> bytes:
    return log[:-30]


def emptied(log: bytes) -> bytes:
    return b""


def turned_over(log: bytes) -> bytes:
    return b"".join(b'{"id": %d}\n' % number for number in range(5000, 6000))


@pytest.mark.parametrize("changed", [cut, emptied, turned_over])
def test_a_log_that_has_lost_something_breaks_the_trial(
    node: Server, log: AuditLog, changed: Callable[[bytes], bytes]
) -> None:
    for number in range(100):
        node.write({"id": number})
    assert log.open()
    node.log = changed(node.log)
    with pytest.raises(ClusterError, match="turned over or cut"):
        log.poll()


def test_a_line_that_is_no_event_breaks_the_trial(node: Server, log: AuditLog) -> None:
    assert log.open()
    node.log += b"<html>\n"
    with pytest.raises(ClusterError, match="a line that is no event"):
        log.poll()


@pytest.mark.parametrize(
    ("level", "believed"), [("RequestResponse", True), ("Request", False), ("Metadata", False), ("", False)]
)
def test_a_log_is_believed_only_if_writes_of_the_agent_are_in_it_in_full(
    node: Server, log: AuditLog, transport: Https, level: str, believed: bool
) -> None:
    assert log.open()
    node.level = level
    node.write({"id": 0})
    assert log.shows(KubeClient(transport), "storefront") is believed
    node.write({"id": 1, "stage": "RequestReceived"})
    node.write({"id": 2, "stage": "ResponseComplete"})
    assert ids(log) == [0, 2]


@pytest.mark.parametrize(("servers", "read"), [(1, True), (2, False)])
def test_of_several_api_servers_no_log_is_read_for_each_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, servers: int, read: bool
) -> None:
    monkeypatch.setattr(AuditLog, "open", lambda log: True)
    for transport in simulated(tmp_path):
        endpoints = KubeClient(transport).get(KUBERNETES)
        addresses = [{"ip": f"10.1.0.{number + 1}"} for number in range(servers)]
        ports = [{"name": "https", "port": 6443}]
        endpoints["subsets"] = [{"addresses": addresses, "ports": ports}]
        KubeClient(transport).replace(KUBERNETES, endpoints)
        ground = OwnNamespaces(transport, "here")
        assert (ground.audit_log() is not None) is read
        ground.close()
