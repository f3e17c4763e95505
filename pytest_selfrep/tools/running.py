"""A program in a container (pods/exec), from its first output to its end, while somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Clock
    from pytest_selfrep.clusters.kube import Conversation, KubeClient, KubeObject

STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
"""Channels (channel.k8s.io)."""
_LOOK_SECONDS = 0.25

Sink = Callable[[bytes], object]


def followed(
    conversation: Conversation, clock: Clock, seconds: float, out: Sink, err: Sink
) -> KubeObject | None:
    """Wait for a program's end, passing on what it prints.

    Gives the Status (meta/v1) of its end, empty if the server gave none, and None if it still runs after so
    many ``seconds`` of the clock.

    Raises:
        Disconnected: the connection broke.
    """
    until = clock.now() + seconds
    status: KubeObject = {}
    while True:
        for message in conversation.poll():
            if message[0] == STDOUT:
                out(message[1:])
            elif message[0] == STDERR:
                err(message[1:])
            elif message[0] == ERROR:
                status = orjson.loads(message[1:])
        if conversation.closed:
            return status
        if clock.now() >= until:
            return None
        clock.sleep(_LOOK_SECONDS)


def lost(client: KubeClient) -> str:
    """What is said of a connection that broke, perhaps because the pod went in the middle of it.

    Raises:
        ClusterError: it was the cluster.
    """
    client.get("/version")
    return "error: websocket: close 1006 (abnormal closure): unexpected EOF"


def exit_code(status: KubeObject) -> int | None:
    """How a program ended; None for one that could not be run, of which the status has a message."""
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or []
    code = next((each["message"] for each in causes if each.get("reason") == "ExitCode"), "")
    return int(code) if code else None
