"""``kubectl exec``: a program in a container, with its input given and its output printed at its end."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_selfrep.clusters.kube import ApiError, Conversation, Disconnected, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import POD
from pytest_selfrep.tools.kubectl.logs import meant, pods_behind
from pytest_selfrep.tools.kubectl.waiting import LONGEST
from pytest_selfrep.tools.running import CLOSE, STDIN, exit_code, followed, lost

UNAVAILABLE = (
    'the command "exec" is not available: interactive and streaming sessions are not available; use get, '
    "describe, logs and events to look"
)
_PIECE = 32 * 1024
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


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
    out, err = bytearray(), bytearray()
    status = _run(command, pod, container, program, out, err)
    command.write(out.decode(errors="replace"))
    command.remarks += said
    if err:
        command.remarks.append(err.decode(errors="replace"))
    if status is None:
        raise fault(f"the command was still running after {LONGEST:.0f} seconds and has been stopped")
    _explain(status)


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


def _run(
    command: Command,
    pod: KubeObject,
    container: str,
    program: Sequence[str],
    out: bytearray,
    err: bytearray,
) -> KubeObject | None:
    """How it ended (meta/v1 Status); None if it did not end by itself."""
    feeds = command.switched("stdin")
    query = {"container": container, "stdout": "true", "stderr": "true"}
    if feeds:
        query["stdin"] = "true"
    path = POD.path(pod["metadata"]["namespace"], pod["metadata"]["name"], "exec")
    conversation = _begun(command, path, query, [("command", word) for word in program])
    try:
        if feeds:
            _feed(conversation, command.stdin.encode())
        return followed(conversation, command.hands.clock, LONGEST, out.extend, err.extend)
    except Disconnected:
        raise Complaint(lost(command.client)) from None
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
        conversation.send(bytes((STDIN,)) + data[at : at + _PIECE])
    conversation.send(bytes((CLOSE, STDIN)))


def _explain(status: KubeObject) -> None:
    """Raises Complaint for any end but exit code 0."""
    code = exit_code(status)
    if code is None:
        raise fault(str(status.get("message", "")))
    if code:
        raise Complaint(f"command terminated with exit code {code}", code)


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
