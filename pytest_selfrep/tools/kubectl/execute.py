"""``kubectl exec``: a program in a container, with its input given and its output printed at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from pytest_selfrep.clusters.kube import ApiError, Conversation, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import POD
from pytest_selfrep.tools.kubectl.logs import meant, pods_behind
from pytest_selfrep.tools.kubectl.waiting import LONGEST

UNAVAILABLE = (
    'the command "exec" is not available: interactive and streaming sessions are not available; use get, '
    "describe, logs and events to look"
)
_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_LOOK_SECONDS = 0.25
_PIECE = 32 * 1024
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(slots=True)
class _Ran:
    """What a program has printed, and how it ended."""

    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    status: KubeObject = field(default_factory=dict)

    def take(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            if message[0] == _STDOUT:
                self.out += message[1:]
            elif message[0] == _STDERR:
                self.err += message[1:]
            elif message[0] == _ERROR:
                self.status = orjson.loads(message[1:])


def execute(command: Command) -> None:
    words, program = command.arguments, command.parsed.after_dash
    if not words:
        raise command.usage("pod, type/name or --filename must be specified")
    if len(words) > 1:
        raise command.usage(
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead"
        )
    if not program:
        raise command.usage("you must specify at least one command for the container")
    if not command.client.converses:
        raise fault(UNAVAILABLE)
    pod = pods_behind(command, *meant(command, words[0]), "attach to")[0]
    phase = (pod.get("status") or {}).get("phase", "")
    if phase in ("Succeeded", "Failed"):
        raise fault(f"cannot exec into a container in a completed pod; current phase is {phase}")
    said: list[str] = []
    container = _container(command, pod, said)
    ran, ended = _run(command, pod, container, program)
    command.write(ran.out.decode(errors="replace"))
    command.errors += said
    if ran.err:
        command.errors.append(ran.err.decode(errors="replace"))
    if not ended:
        raise fault(f"the command was still running after {LONGEST:.0f} seconds and has been stopped")
    _explain(ran.status)


def _container(command: Command, pod: KubeObject, said: list[str]) -> str:
    asked, spec = command.text("container"), pod["spec"]
    names = [entry["name"] for entry in spec["containers"]]
    others = [
        (entry["name"], word)
        for key, word in (("ephemeralContainers", "ephem"), ("initContainers", "init"))
        for entry in spec.get(key) or []
    ]
    if asked:
        if asked not in (*names, *(name for name, _ in others)):
            raise fault(f"container {asked} not found in pod {pod['metadata']['name']}")
        return asked
    usual = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER, "")
    if usual in names:
        return str(usual)
    if len(names) + len(others) > 1 and not command.switched("quiet"):
        known = ", ".join([*names, *(f"{name} ({word})" for name, word in others)])
        said.append(f'Defaulted container "{names[0]}" out of: {known}')
    return str(names[0])


def _run(command: Command, pod: KubeObject, container: str, program: Sequence[str]) -> tuple[_Ran, bool]:
    """What came of it, and whether it ended by itself."""
    feeds = command.switched("stdin")
    query = {"container": container, "stdout": "true", "stderr": "true"}
    if feeds:
        query["stdin"] = "true"
    path = POD.path(pod["metadata"]["namespace"], pod["metadata"]["name"], "exec")
    conversation = _begun(command, path, query, [("command", word) for word in program])
    ran, clock = _Ran(), command.hands.clock
    try:
        if feeds:
            _feed(conversation, command.stdin.encode())
        until = clock.now() + LONGEST
        ran.take(conversation.poll())
        while not conversation.closed and clock.now() < until:
            clock.sleep(_LOOK_SECONDS)
            ran.take(conversation.poll())
        return ran, conversation.closed
    finally:
        conversation.close()


def _begun(
    command: Command, path: str, query: dict[str, str], words: Sequence[tuple[str, str]]
) -> Conversation:
    """As a WebSocket, which is a GET; who may not do that is tried as one who may POST, as by kubectl."""
    try:
        return command.client.converse("GET", path, query=query, repeated=words)
    except ApiError as error:
        if error.reason != "Forbidden":
            raise
    return command.client.converse("POST", path, query=query, repeated=words)


def _feed(conversation: Conversation, data: bytes) -> None:
    for at in range(0, len(data), _PIECE):
        conversation.send(bytes((_STDIN,)) + data[at : at + _PIECE])
    conversation.send(bytes((_CLOSE, _STDIN)))


def _explain(status: KubeObject) -> None:
    """Raises Complaint for any end but exit code 0."""
    if status.get("status") == "Success":
        return
    causes = (status.get("details") or {}).get("causes") or []
    code = next((each["message"] for each in causes if each.get("reason") == "ExitCode"), "")
    if code:
        raise Complaint(f"command terminated with exit code {code}")
    raise fault(str(status.get("message", "")))


VERBS = (
    Verb(
        "exec",
        execute,
        (
            f.Flag("container", f.TEXT, "c"),
            f.Flag("stdin", f.BOOL, "i"),
            f.Flag("quiet", f.BOOL, "q"),
        ),
        "exec (POD | TYPE/NAME) [-c CONTAINER] [-i] -- COMMAND [args...]",
        "Execute a command in a container",
    ),
)
