"""The way out of an agent's container leads to the hosts that are named, and nowhere else."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest

from pytest_selfrep.agents.command.proxy import LONGEST_HEAD, MOST_CONNECTIONS, Proxy, proxy

HERE = "127.0.0.0/8"


class Echo(BaseHTTPRequestHandler):
    """Says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        names = ",".join(sorted(name.lower() for name in self.headers))
        said = f"{self.path} {self.headers['Host']} {names} ".encode() + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def connected(led: Proxy) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(led.url).netloc, timeout=30)


def asked(led: Proxy, said: bytes) -> bytes:
    """The first line of the answer."""
    where = urlsplit(led.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as door:
        door.sendall(said)
        return door.recv(4096).partition(b"\r\n")[0]


def test_a_tunnel_leads_to_a_host_that_is_named(port: int) -> None:
    with proxy("127.0.0.1", HERE, [f"localhost:{port}"]) as led, closing(connected(led)) as connection:
        connection.set_tunnel("LOCALHOST", port)
        for number in range(3):
            connection.request("POST", f"/{number}", b"x" * 200_000)
            answer = connection.getresponse().read()
            assert answer.startswith(f"/{number} ".encode())
            assert answer.endswith(b"x" * 200_000)


def test_a_plain_request_is_passed_on_as_if_there_was_no_proxy(port: int) -> None:
    target = f"127.0.0.1:{port}"
    with proxy("127.0.0.1", HERE, [target]) as led, closing(connected(led)) as connection:
        connection.request("POST", f"http://{target}/v1?a=b", b"body", {"Proxy-Authorization": "Basic x"})
        answer = connection.getresponse().read().decode()

    assert answer == f"/v1?a=b {target} accept-encoding,connection,content-length,host body"


def test_what_was_not_allowed_at_first_may_be_later(port: int) -> None:
    with proxy("127.0.0.1", HERE, []) as led:
        line = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode()
        assert asked(led, line) == b"HTTP/1.1 403 Forbidden"
        led.allow(f"127.0.0.1:{port}")
        assert asked(led, line) == b"HTTP/1.1 200 Connection established"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"CONNECT api.acme.io:22 HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT evil.api.acme.io:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT api.acme.io.evil:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 Forbidden"),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 Forbidden"),
        (b"GET http://api.acme.io/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 Forbidden"),
        (b"GET http://api.acme.io:443@evil/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 Forbidden"),
        (b"GET https://api.acme.io/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: api.acme.io:443\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"CONNECT api.acme.io:port HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"x" * (LONGEST_HEAD * 3), b""),
    ],
)
def test_everything_else_is_refused(said: bytes, answer: bytes) -> None:
    with proxy("127.0.0.1", HERE, ["api.acme.io:443"]) as led:
        try:
            assert asked(led, said) == answer
        except ConnectionError:
            assert answer == b""


def test_a_host_that_does_not_answer_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with proxy("127.0.0.1", HERE, [f"127.0.0.1:{port}"]) as led:
        line = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode()
        assert asked(led, line) == b"HTTP/1.1 502 Bad Gateway"


def test_only_the_container_that_it_is_for_may_use_it(port: int) -> None:
    with proxy("127.0.0.1", "172.30.0.0/16", [f"127.0.0.1:{port}"]) as led:
        line = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode()
        assert asked(led, line) == b"HTTP/1.1 403 Forbidden"


def test_it_has_no_more_connections_than_one_agent_needs(port: int) -> None:
    target = f"127.0.0.1:{port}"
    with proxy("127.0.0.1", HERE, [target]) as led, ExitStack() as stack:
        where = urlsplit(led.url)
        for _ in range(MOST_CONNECTIONS):
            stack.enter_context(socket.create_connection((where.hostname or "", where.port or 0)))
        assert asked(led, f"CONNECT {target} HTTP/1.1\r\n\r\n".encode()) == b"HTTP/1.1 403 Forbidden"
