"""Commands in containers, over WebSockets: what they print, read and end with, and what is refused."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
import websocket
from api_client import PATIENCE, Kube, Object
from manifests import idle_pod, pod

PROTOCOL = "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR = range(4)
"""The channels of a session."""
SUCCESS: Object = {"metadata": {}, "status": "Success"}


@dataclass
class Session:
    """What came over the channels until the session ended."""

    said: dict[int, bytes] = field(default_factory=dict)

    @property
    def status(self) -> Any:
        return orjson.loads(self.said[ERROR])


@contextmanager
def opened(kube: Kube, path: str, *command: str, **query: str) -> Iterator[websocket.WebSocket]:
    """A session that begins."""
    asked = [*(("command", word) for word in command), *query.items()]
    url = f"{kube.link.url}{kube.path(path)}?{urlencode(asked)}".replace("https", "wss", 1)
    place = urlsplit(kube.link.url)
    context: ssl.SSLContext = kube.link.pool.connection_pool_kw["ssl_context"]
    # The client would leave sockets open of sessions that are refused.
    with (
        socket.create_connection((str(place.hostname), int(place.port or 443)), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=place.hostname) as link,
    ):
        yield websocket.create_connection(
            url, socket=link, header=kube.link.headers(), subprotocols=[PROTOCOL]
        )


def execute(kube: Kube, path: str, *command: str, stdin: bytes = b"", **query: str) -> Session:
    """A command that is run to its end."""
    streams = {"stdout": "true", "stderr": "true", **({"stdin": "true"} if stdin else {})}
    session = Session()
    with (
        opened(kube, path, *command, **{**streams, **query}) as link,
        suppress(websocket.WebSocketConnectionClosedException),
    ):
        if stdin:
            link.send_binary(bytes([STDIN]) + stdin)
        while frame := link.recv():
            data = frame.encode() if isinstance(frame, str) else frame
            session.said[data[0]] = session.said.get(data[0], b"") + data[1:]
    return session


def refused(kube: Kube, path: str, *command: str, **query: str) -> tuple[int, str, str]:
    """Code, reason and message of the answer to a session that does not begin."""
    with (
        pytest.raises(websocket.WebSocketBadStatusException) as caught,
        opened(kube, path, *command, **query),
    ):
        pass
    status = orjson.loads(caught.value.resp_body or b"")
    return caught.value.status_code, status.get("reason", ""), kube.plain(status["message"])


@pytest.fixture(scope="module")
def running(shared: Kube) -> Kube:
    """A namespace with a pod that runs."""
    shared.create("pods", pod("web"))
    shared.eventually("pods/web", lambda each: each["status"].get("phase") == "Running")
    return shared


def test_output_and_errors_have_their_channels(running: Kube) -> None:
    session = execute(running, "pods/web/exec", "sh", "-c", "echo out; echo err >&2")

    assert (session.said[STDOUT], session.said[STDERR]) == (b"out\n", b"err\n")
    assert session.status == SUCCESS


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("false", 1),
        ("exit 255", 255),
        ("no-such-program", 127),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("cat /no/such/file", 1),
        ("[ 1 = 2 ]", 1),
        ("true && exit 4", 4),
    ],
)
def test_a_command_that_fails_tells_its_exit_code(running: Kube, command: str, code: int) -> None:
    session = execute(running, "pods/web/exec", "sh", "-c", command)

    assert session.status == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: "
        f"error executing command [sh -c {command}], exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def test_a_program_that_is_not_there_cannot_be_run(running: Kube) -> None:
    status = execute(running, "pods/web/exec", "no-such-program").status
    message = re.sub("[0-9a-f]{64}", "<id>", status["message"])

    assert message == (
        "Internal error occurred: error executing command in container: failed to exec in container: "
        'failed to start exec "<id>": OCI runtime exec failed: exec failed: unable to start container '
        'process: exec: "no-such-program": executable file not found in $PATH: unknown'
    )
    assert (status["status"], status["reason"], status["code"]) == ("Failure", "InternalError", 500)
    assert f"Internal error occurred: {status['details']['causes'][0]['message']}" == status["message"]


def test_a_command_reads_what_it_is_sent(running: Kube) -> None:
    session = execute(running, "pods/web/exec", "head", "-n", "1", stdin=b"one\ntwo\n")

    assert session.said[STDOUT] == b"one\n"


def test_only_what_is_asked_for_comes(running: Kube) -> None:
    session = execute(running, "pods/web/exec", "sh", "-c", "echo out; echo err >&2", stderr="false")

    assert session.said.get(STDERR, b"") == b""


@pytest.fixture(scope="module")
def waiting(running: Kube) -> Kube:
    """A namespace with another pod, which no node takes."""
    running.create("pods", idle_pod("idle"))
    return running


REFUSED = [
    ("pods/none/exec", {}, (404, "NotFound", 'pods "none" not found')),
    ("pods/web/exec", {"container": "none"}, (400, "BadRequest", "container none is not valid for pod web")),
    (
        "pods/web/attach",
        {"container": "none"},
        (400, "BadRequest", "container none is not valid for pod web"),
    ),
    ("pods/idle/exec", {}, (400, "BadRequest", "pod idle does not have a host assigned")),
    ("pods/idle/attach", {}, (400, "BadRequest", "pod idle does not have a host assigned")),
]


@pytest.mark.parametrize(("path", "query", "answer"), REFUSED)
def test_a_session_that_cannot_be_is_refused(
    waiting: Kube, path: str, query: dict[str, str], answer: tuple[int, str, str]
) -> None:
    asked = {"stdout": "true", **query}

    assert refused(waiting, path, "true", **asked) == answer
    assert waiting.refusal("GET", path, command="true", **asked) == answer


@pytest.mark.parametrize("path", ["pods/web/exec", "pods/web/attach", "pods/web/portforward"])
@pytest.mark.parametrize("query", [{}, {"stdout": "true"}, {"stdout": "true", "command": "true"}])
def test_a_session_needs_a_connection_of_its_own(waiting: Kube, path: str, query: dict[str, str]) -> None:
    assert waiting.refusal("GET", path, **query) == (400, "BadRequest", "Upgrade request required")
