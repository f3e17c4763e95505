"""A session in a container of a cluster, step by step."""

from __future__ import annotations

import gc
import warnings
from dataclasses import dataclass
from typing import Any

import orjson
from kube_driver import PODS, Kube

from pytest_selfrep.kubesim.apiserver.http import Request, Response, Session


def forget_sockets() -> None:
    """The client leaves the sockets of its sessions to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@dataclass
class Ran:
    """What a program printed and how it ended."""

    out: str = ""
    err: str = ""
    ending: str = ""

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.ending) if self.ending else {}
        return found

    @property
    def code(self) -> int:
        if self.status.get("status") == "Success":
            return 0
        return int(self.status["details"]["causes"][0]["message"])


def ask(kube: Kube, *command: str, pod: str = "a", kind: str = "exec", **query: str) -> Response:
    """The answer to a request for a session, as a WebSocket client asks."""
    pairs = [("stdout", "true"), ("stderr", "true"), *query.items(), *(("command", word) for word in command)]
    token = kube.cluster.token_for()
    headers = {"authorization": f"Bearer {token}", "upgrade": "websocket", "connection": "Upgrade"}
    return kube.cluster.handle(Request("GET", f"{PODS}/{pod}/{kind}", pairs, headers))


def session(kube: Kube, *command: str, **query: str) -> Session:
    answer = ask(kube, *command, **query)
    assert answer.session is not None, answer.body
    answer.session.start()
    return answer.session


def gathered(opened: Session, ran: Ran | None = None) -> Ran:
    """What has come by now."""
    ran = ran or Ran()
    woken = [True]
    opened.on_ready(lambda: woken.append(True))
    while woken:
        woken.clear()
        messages = opened.poll()
        for message in messages:
            text = message[1:].decode()
            if message[0] == 1:
                ran.out += text
            elif message[0] == 2:
                ran.err += text
            else:
                ran.ending += text
        if messages:
            woken.append(True)
        if opened.closed:
            break
    return ran


def execute(kube: Kube, *command: str, stdin: bytes = b"", seconds: float = 60, **query: str) -> Ran:
    """Run a program to its end, letting time pass as long as it takes."""
    opened = session(kube, *command, stdin="true", **query)
    opened.receive(b"\0" + stdin)
    opened.receive(b"\xff\0")
    ran = gathered(opened)
    waited = 0.0
    while not opened.closed and waited < seconds:
        kube.advance(0.25)
        waited += 0.25
        gathered(opened, ran)
    opened.close()
    return ran


def sh(kube: Kube, script: str, **options: Any) -> Ran:
    return execute(kube, "sh", "-c", script, **options)
