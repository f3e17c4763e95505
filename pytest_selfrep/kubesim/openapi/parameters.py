"""Parameters of requests as OpenAPI v3 describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pytest_selfrep.kubesim.objects import Object

_QUERY: Final[Mapping[str, tuple[str, str]]] = {
    "allowWatchBookmarks": ("boolean", "Whether a watch may send events of type BOOKMARK."),
    "command": ("string", "The command to run, its arguments one by one. It is not run in a shell."),
    "container": ("string", "The container that is meant. Defaults to the only one of the pod."),
    "continue": ("string", "Where to go on with a list: the token that came with its last piece."),
    "dryRun": ("string", "All goes through every stage of the request but stores nothing."),
    "fieldManager": ("string", "Who makes the change: up to 128 printable characters."),
    "fieldSelector": ("string", "Which objects are wanted, by their fields."),
    "fieldValidation": (
        "string",
        "What becomes of fields that are unknown or there twice: Ignore drops them, Warn (the default) drops "
        "them and says so in a warning, Strict refuses the request.",
    ),
    "follow": ("boolean", "Whether to go on with the log while it is written."),
    "force": (
        "boolean",
        "Whether an apply request takes fields over from other managers. Other patches must not say it.",
    ),
    "gracePeriodSeconds": ("integer", "Seconds until the object is gone; 0 means at once."),
    "ignoreStoreReadErrorWithClusterBreakingPotential": (
        "boolean",
        "Whether an object that cannot be read from the store is deleted all the same.",
    ),
    "insecureSkipTLSVerifyBackend": ("boolean", "Whether the node's certificate goes unchecked."),
    "labelSelector": ("string", "Which objects are wanted, by their labels."),
    "limit": ("integer", "The most objects that one answer may have; a token says where the list goes on."),
    "limitBytes": ("integer", "The most bytes of the log that are sent."),
    "orphanDependents": ("boolean", "Whether what the object owns stays. propagationPolicy says it better."),
    "path": ("string", "The path that is asked for."),
    "ports": ("integer", "The ports to forward, for clients that speak WebSocket."),
    "pretty": ("string", "Whether the answer is laid out for reading: true or false."),
    "previous": ("boolean", "Whether to read the log of the container's run before this one."),
    "propagationPolicy": (
        "string",
        "What becomes of what the object owns: Orphan, Background or Foreground.",
    ),
    "resourceVersion": ("string", "The revision that the answer must have, or be newer than."),
    "resourceVersionMatch": ("string", "How resourceVersion is meant: Exact or NotOlderThan."),
    "sendInitialEvents": ("boolean", "Whether a watch begins with an event for every object there is."),
    "sinceSeconds": ("integer", "How many seconds of the log, up to now, are wanted."),
    "stderr": ("boolean", "Whether the errors that the command prints are wanted."),
    "stdin": ("boolean", "Whether the client sends input."),
    "stdout": ("boolean", "Whether what the command prints is wanted."),
    "stream": ("string", "Which output of the container is wanted: All, Stdout or Stderr."),
    "tailLines": ("integer", "How many lines, from the end of the log, are wanted."),
    "timeoutSeconds": ("integer", "After how many seconds a list or watch ends, whatever happens."),
    "timestamps": ("boolean", "Whether every line begins with the time it was written."),
    "tty": ("boolean", "Whether the command gets a terminal."),
    "watch": ("boolean", "Whether changes are wanted, as they come, instead of a list."),
}
"""Name to type and what it says."""

LIST: Final = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
PATCH: Final = (*WRITE, "force")
DELETE: Final = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
DELETE_MANY: Final = tuple(sorted({*DELETE, *LIST} - {"allowWatchBookmarks", "watch"}))
CONNECT: Final[Mapping[str, Sequence[str]]] = {
    "attach": ("container", "stderr", "stdin", "stdout", "tty"),
    "exec": ("command", "container", "stderr", "stdin", "stdout", "tty"),
    "portforward": ("ports",),
    "proxy": ("path",),
    "log": (
        "container",
        "follow",
        "insecureSkipTLSVerifyBackend",
        "limitBytes",
        "previous",
        "sinceSeconds",
        "stream",
        "tailLines",
        "timestamps",
    ),
}
"""Of subresources that are asked by query."""


def query(*names: str) -> list[Object]:
    """Parameters of the query."""
    return [
        {
            "name": name,
            "in": "query",
            "description": _QUERY[name][1],
            "schema": {"type": _QUERY[name][0], "uniqueItems": True},
        }
        for name in names
    ]


def in_path(name: str, description: str) -> Object:
    """A parameter that is part of the path."""
    return {
        "name": name,
        "in": "path",
        "description": description,
        "required": True,
        "schema": {"type": "string", "uniqueItems": True},
    }
