"""The tool ``shell``: a command line in the agent's toolbox, a pod of its world that has sh and kubectl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, Disconnected, path_of
from pytest_selfrep.tools.base import Hands, JsonSchema
from pytest_selfrep.tools.kubectl.errors import Complaint, describe_error, fault
from pytest_selfrep.tools.kubectl.logs import liveliness
from pytest_selfrep.tools.running import exit_code, followed, lost
from pytest_selfrep.tools.wait import number

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Toolbox
    from pytest_selfrep.clusters.kube import Conversation, KubeObject

USUAL, SHORTEST, LONGEST = 60.0, 1.0, 600.0
"""Seconds that a command may take, of the time of what runs in pods."""
LONGEST_COMMAND = 20_000
"""Characters."""
HEAD, TAIL = 15_000, 15_000
"""Bytes of output that are kept of its beginning and of its end."""
POD_SECONDS = 60.0
"""For which a pod is waited for while there is none, as kubectl does."""
END_SECONDS = 5.0
"""In which what was killed is to be gone."""
_POLL_SECONDS = 1.0
_MERGED = ("sh", "-c", 'exec sh -c "$1" 2>&1', "sh")
"""One stream, in which output and errors come in their order, as on a terminal."""
_KILL_ALL = ("sh", "-c", "kill -KILL -1")
"""All processes but the container's own: what was started may have left its parent and its process group."""


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands with ``sh`` under the agent's ServiceAccount."""

    @property
    def name(self) -> str:
        return "shell"

    @property
    def description(self) -> str:
        return (
            "Run a command line with sh in your toolbox container, which has kubectl and the usual small "
            "programs, and read what it prints. Each command has a shell of its own, in the same directory; "
            "files stay as long as the container."
        )

    @property
    def parameters(self) -> JsonSchema:
        return {
            "type": "object",
            "properties": {
                "command": {
                    "type": "string",
                    "description": "A command line or script, for example: kubectl get pods | grep web",
                },
                "timeout": {
                    "type": "number",
                    "description": f"After how many seconds the command is stopped, from {SHORTEST:g} to "
                    f"{LONGEST:g} (default: {USUAL:g})",
                },
            },
            "required": ["command"],
        }

    def __call__(self, hands: Hands, arguments: Mapping[str, object]) -> str:
        """What a terminal would show. See :class:`~pytest_selfrep.tools.base.Tool`."""
        command, given = arguments.get("command"), arguments.get("timeout")
        seconds = USUAL if given is None else number(given)
        if not isinstance(command, str) or not command.strip() or "\0" in command:
            return 'error: "command" is a string with a command line\n'
        if len(command) > LONGEST_COMMAND:
            return f"error: a command has at most {LONGEST_COMMAND} characters\n"
        if seconds is None or not SHORTEST <= seconds <= LONGEST:
            return f'error: "timeout" must be a number from {SHORTEST:g} to {LONGEST:g}\n'
        if hands.toolbox is None:
            return "error: there is no toolbox container\n"
        try:
            pod = _pod(hands.toolbox)
            return _run(hands.toolbox, pod, command.encode("utf-8", "replace").decode(), seconds)
        except ApiError as error:
            return f"{describe_error(error)}\n"
        except Complaint as complaint:
            return f"{complaint}\n"


@dataclass(slots=True)
class Kept:
    """The beginning and the end of what was printed."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    total: int = 0

    def write(self, data: bytes) -> None:
        self.total += len(data)
        room = HEAD - len(self.head)
        self.head += data[:room]
        self.tail += data[max(0, room) :]
        del self.tail[:-TAIL]

    def text(self) -> str:
        """All, or a line between the two parts that says how much was cut. Ends with a line's end."""
        left = self.total - len(self.head) - len(self.tail)
        cut = f"\n[... {left} bytes cut ...]\n".encode() if left else b""
        text = (self.head + cut + self.tail).decode(errors="replace")
        return text if text.endswith("\n") or not text else f"{text}\n"


def _pod(toolbox: Toolbox) -> KubeObject:
    """The best pod of the Deployment, as kubectl chooses it. Raises ApiError and Complaint."""
    path = path_of("apps", "v1", "deployments", toolbox.namespace, toolbox.name)
    selector = toolbox.client.get(path)["spec"]["selector"].get("matchLabels") or {}
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(selector.items()))}
    until = toolbox.clock.now() + POD_SECONDS
    while True:
        pods = toolbox.client.get(path_of("", "v1", "pods", toolbox.namespace), query=query)["items"]
        if pods:
            pod: KubeObject = min(pods, key=liveliness)
            break
        if toolbox.clock.now() >= until:
            raise fault("timed out waiting for the condition")
        toolbox.clock.sleep(_POLL_SECONDS)
    phase = (pod.get("status") or {}).get("phase", "")
    if phase in ("Succeeded", "Failed"):
        raise fault(f"cannot exec into a container in a completed pod; current phase is {phase}")
    return pod


def _run(toolbox: Toolbox, pod: KubeObject, command: str, seconds: float) -> str:
    kept = Kept()
    conversation = _begun(toolbox, pod, (*_MERGED, command))
    try:
        status = followed(conversation, toolbox.clock, seconds, kept.write, kept.write)
        if status is None:
            _end_all(toolbox, pod)
            followed(conversation, toolbox.clock, END_SECONDS, kept.write, kept.write)
            return (
                f"{kept.text()}error: the command was still running after {seconds:g} seconds and has "
                "been stopped\n"
            )
    except Disconnected:
        return f"{kept.text()}{lost(toolbox.client)}\n"
    finally:
        conversation.close()
    code = exit_code(status)
    if code is None:
        return f"{kept.text()}error: {status.get('message') or 'the connection was closed'}\n"
    return kept.text() + (f"command terminated with exit code {code}\n" if code else "")


def _end_all(toolbox: Toolbox, pod: KubeObject) -> None:
    """Nothing goes on in the container of what commands have started."""
    try:
        conversation = _begun(toolbox, pod, _KILL_ALL)
    except ApiError:
        # It has gone meanwhile.
        return
    try:
        followed(conversation, toolbox.clock, END_SECONDS, _ignored, _ignored)
    finally:
        conversation.close()


def _begun(toolbox: Toolbox, pod: KubeObject, words: tuple[str, ...]) -> Conversation:
    """Raises ApiError."""
    path = path_of("", "v1", "pods", toolbox.namespace, pod["metadata"]["name"], "exec")
    query = {"container": toolbox.name, "stdout": "true", "stderr": "true"}
    return toolbox.client.converse("GET", path, query=query, repeated=[("command", word) for word in words])


def _ignored(data: bytes) -> None:
    """Nobody reads it."""
