"""Clients that do not speak HTTP, or speak it badly: each is answered or cut off, and the server goes on."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
from kube_driver import PODS, Kube

from pytest_selfrep.kubesim.decoding import bodies
from pytest_selfrep.kubesim.serving import gohttp, server
from pytest_selfrep.kubesim.serving.server import MAX_BODY, Served, serve

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PATIENCE = 5.0
"""Seconds; far more than any answer takes."""


@pytest.fixture
def served(three_nodes: Kube, caplog: pytest.LogCaptureFixture) -> Iterator[Served]:
    three_nodes.add_pod("web")
    three_nodes.advance(10)
    threads = _threads()
    with caplog.at_level(logging.WARNING):
        site = serve(three_nodes.cluster)
        yield site
        assert _asked(site, _request(three_nodes, PODS)).startswith(b"HTTP/1.1 200 OK")
        site.close()
    assert _threads() == threads
    assert not caplog.records, "something was logged"


def _threads() -> set[threading.Thread]:
    """All but those that read large texts, which serve all clusters of the process and end with the last."""
    return {each for each in threading.enumerate() if not each.name.startswith("asyncio_")}


def _connected(served: Served) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=served.ca_pem.decode())
    plain = socket.create_connection(("127.0.0.1", _port(served)), timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def _port(served: Served) -> int:
    return int(served.url.rpartition(":")[2])


def _asked(served: Served, sent: bytes) -> bytes:
    """All that the server says until it closes the connection."""
    with _connected(served) as connection:
        with contextlib.suppress(OSError):  # cut off while still speaking
            connection.sendall(sent)
        said = b""
        while piece := connection.recv(65536):
            said += piece
        return said


def _request(
    kube: Kube, path: str, *headers: str, method: str = "GET", body: bytes = b"", length: str = ""
) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Authorization: Bearer {kube.cluster.token_for()}",
        f"Content-Length: {length or len(body)}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


UNREADABLE = {
    b"\x16\x03\x01 garbage\r\n\r\n": "",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "",
    b"GET / HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n": "",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n": ": invalid header value",
    b"GET / HTTP/1.1\r\nHost: x\r\nX : b\r\n\r\n": ": invalid header name",
    b"GET / HTTP/1.1\r\n\r\n": ": missing required Host header",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n": ": malformed Host header",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": "",
    b"GET /\r\n\r\n": "",
    b"GET /api/v1/pods/%zz HTTP/1.1\r\nHost: x\r\n\r\n": "",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}": "",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n": "",
    b"GET http://[::1/api HTTP/1.1\r\nHost: x\r\n\r\n": "",
}
"""What is sent, and what Go says of it besides that it is a bad request."""


@pytest.mark.parametrize(("sent", "why"), UNREADABLE.items())
def test_what_is_no_http_is_refused_in_go_words(served: Served, sent: bytes, why: str) -> None:
    assert _asked(served, sent).decode() == (
        f"HTTP/1.1 400 Bad Request{why}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Connection: close\r\n\r\n400 Bad Request{why}"
    )


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (
            b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
            "505 HTTP Version Not Supported: unsupported protocol version",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "501 Not Implemented",
        ),
        (
            b"GET /?" + b"a" * 2**21 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            "431 Request Header Fields Too Large",
        ),
    ],
)
def test_what_the_server_does_not_understand_has_a_code_of_its_own(
    served: Served, sent: bytes, said: str
) -> None:
    assert _asked(served, sent).decode().startswith(f"HTTP/1.1 {said}\r\nContent-Type: text/plain")


def test_a_body_too_large_is_refused_before_it_is_sent(three_nodes: Kube, served: Served) -> None:
    with _connected(served) as connection:
        connection.sendall(_request(three_nodes, CONFIG_MAPS, method="POST", length=str(10**12)))
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("size", "code"), [(MAX_BODY, b"400"), (MAX_BODY + 1, b"413")])
def test_a_body_in_chunks_has_the_same_limit(
    three_nodes: Kube, served: Served, size: int, code: bytes
) -> None:
    head = _request(three_nodes, CONFIG_MAPS, "Transfer-Encoding: chunked", method="POST")
    head = head.replace(b"Content-Length: 0\r\n", b"")
    said = _asked(served, head + b"%x\r\n" % size + b"[" * size + b"\r\n0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 " + code)


def test_a_client_that_waits_to_be_told_to_send_its_body_is_told(three_nodes: Kube, served: Served) -> None:
    with _connected(served) as connection:
        head = _request(three_nodes, CONFIG_MAPS, "Expect: 100-continue", method="POST", length="1")
        connection.sendall(head)
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_does_not_come_ends_in_a_timeout(
    three_nodes: Kube, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    with _connected(served) as connection:
        connection.sendall(_request(three_nodes, CONFIG_MAPS, method="POST", length="10", body=b"{"))
        said = connection.recv(4096)
        assert said.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
        assert b'"reason":"Timeout"' in said


def test_a_client_that_does_not_take_a_large_answer_is_cut_off(
    three_nodes: Kube, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        name, data = f"a{number}", {"a": "x" * 900_000}
        three_nodes.create(CONFIG_MAPS, {"metadata": {"name": name}, "data": data})
    monkeypatch.setattr(gohttp, "TAKING_SECONDS", 0.05)
    with _connected(served) as idle:
        idle.sendall(_request(three_nodes, CONFIG_MAPS))
        assert _asked(served, _request(three_nodes, PODS)).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.5)
        received = 0
        with contextlib.suppress(OSError):
            while piece := idle.recv(65536):
                received += len(piece)
    assert received < 9_000_000


def test_others_are_served_while_a_large_text_of_yaml_is_read(
    three_nodes: Kube, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    parsed = bodies.parsed

    def beside_another(body: bytes) -> bodies.Parsed:
        seen.append(_asked(served, _request(three_nodes, PODS)))
        return parsed(body)

    monkeypatch.setattr(bodies, "parsed", beside_another)
    text = b"metadata: {name: a}\ndata:\n" + b"".join(b"  k%d: v\n  k0: v\n" % n for n in range(5000))
    asked = f"{CONFIG_MAPS}?fieldValidation=Strict"
    head = _request(three_nodes, asked, method="POST", body=text)
    said = _asked(served, head.replace(b"application/json", b"application/yaml"))
    assert seen[0].startswith(b"HTTP/1.1 200 ")
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b'line 4: key \\"k0\\" already set in map' in said


def test_compressed_bodies_are_not_unpacked(three_nodes: Kube, served: Served) -> None:
    bomb = gzip.compress(b" " * 30_000_000)
    for body in (b"no gzip", bomb):
        sent = _request(three_nodes, CONFIG_MAPS, "Content-Encoding: gzip", method="POST", body=body)
        said = _asked(served, sent)
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b'"kind":"Status"' in said


def test_bytes_that_are_no_text_are_refused_as_such(three_nodes: Kube, served: Served) -> None:
    sent = (
        b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \xff.\xfe.\xfd\r\n\r\n"
    )
    assert _asked(served, sent).startswith(b"HTTP/1.1 401 ")


def test_many_and_long_headers_are_read(three_nodes: Kube, served: Served) -> None:
    headers = [f"X-{number}: {'a' * 50}" for number in range(1000)]
    assert _asked(served, _request(three_nodes, PODS, *headers)).startswith(b"HTTP/1.1 200 ")


def test_what_is_no_tls_ends(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", _port(served)), timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            pass


def test_idle_connections_and_half_requests_hold_nobody_up(three_nodes: Kube, served: Served) -> None:
    waiting = [_connected(served) for _ in range(50)]
    for connection in waiting[:25]:
        connection.sendall(b"POST /api/v1/pods HTTP/1.1\r\nHost: x\r\nContent-Le")
    assert _asked(served, _request(three_nodes, PODS)).startswith(b"HTTP/1.1 200 ")
    for connection in waiting:
        connection.close()


CONFINED = """
import sys
sys.path.insert(0, {tests!r})
from kube_driver import Kube, pod
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import serve
import http.client, mimetypes, ssl

STARTS = ("subprocess", "os.exec", "os.fork", "os.spawn", "os.posix_spawn", "os.system", "pty")
# Python, the packages, the time zones; the standard library reads types of files when it is imported.
OWN = (sys.prefix, sys.base_prefix, {project!r}, "/usr/share/zoneinfo", "/tmp", *mimetypes.knownfiles)
seen, on = [], [False]

def watch(event, arguments):
    if not on[0]:
        return
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        if arguments[1][0] != "127.0.0.1":
            seen.append((event, arguments[1]))
    elif event.startswith(STARTS):
        seen.append((event, str(arguments)))
    elif event in ("open", "os.listdir") and isinstance(arguments[0], str):
        if not arguments[0].startswith(OWN):
            seen.append((event, arguments[0]))

sys.addaudithook(watch)
on[0] = True
cluster = Cluster()
served = serve(cluster)
kube = Kube(cluster, cluster.token_for())
kube.add_node("worker-1")
volume = {{"name": "v", "hostPath": {{"path": "/etc"}}}}
kube.create("/api/v1/namespaces/default/pods", pod("web", volumes=[volume]))
kube.advance(60)
trust = ssl.create_default_context(cadata=served.ca_pem.decode())
client = http.client.HTTPSConnection("127.0.0.1", int(served.url.rpartition(":")[2]), context=trust)
zone = {{"schedule": "* * * * *", "timeZone": "../../etc/passwd"}}
for path in ("/api/v1/pods", "/openapi/v2", "/api/v1/namespaces/default/pods/web/log", "/../../etc/passwd"):
    client.request("GET", path, headers={{"Authorization": "Bearer " + cluster.token_for()}})
    client.getresponse().read()
kube.send("POST", "/apis/batch/v1/namespaces/default/cronjobs", {{"metadata": {{"name": "a"}}, "spec": zone}})
kube.send("POST", "/api/v1/namespaces/default/pods", {{"apiVersion": "../../etc/v1", "kind": "Pod"}})
client.close()
served.close()
on[0] = False
print(seen)
"""


def test_a_served_cluster_stays_on_the_loopback_starts_nothing_and_reads_no_file(
    pytestconfig: pytest.Config,
) -> None:
    project = str(pytestconfig.rootpath)
    source = textwrap.dedent(CONFINED).format(project=project, tests=f"{project}/tests/kubesim")
    ran = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
