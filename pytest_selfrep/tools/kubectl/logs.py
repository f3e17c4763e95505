"""``kubectl logs``."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import POD, Kind
from pytest_selfrep.tools.kubectl.selectors import format_selector
from pytest_selfrep.tools.kubectl.targets import list_objects
from pytest_selfrep.tools.kubectl.text import joined

_USAGE = (
    "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"
    "POD or TYPE/NAME is a required argument for the logs command\n"
    "See 'kubectl logs -h' for help and examples"
)
_SELECTED_TAIL = 10
"""Lines of each pod when a selector chooses them and ``--tail`` says nothing (kubectl's own default)."""


def logs(command: Command) -> None:
    words, selector = command.arguments, command.text("selector")
    if bool(words) == bool(selector) or len(words) > 2:
        if words and selector:
            raise command.usage("only a selector (-l) or a POD name is allowed")
        raise Complaint(_USAGE)
    if command.integer("tail", -1) < -1:
        raise fault("--tail must be greater than or equal to -1")
    if len(words) == 2 and command.given("container"):
        raise command.usage("only one of -c or an inline [CONTAINER] arg is allowed")
    container = words[1] if len(words) == 2 else command.text("container")
    if selector:
        pods = list_objects(command, POD, {"labelSelector": selector})
        if not pods:
            command.remark(f"No resources found in {command.namespace} namespace.")
        for pod in pods:
            with command.carry_on():
                _print(command, pod, container)
        return
    _print(command, _pod(command, words[0]), container)


def _pod(command: Command, word: str) -> KubeObject:
    try:
        kind, obj = meant(command, word)
    except ApiError as error:
        words = (
            f'{error.message} in namespace "{command.namespace}"'
            if error.reason == "NotFound"
            else error.message
        )
        raise fault(f"error from server ({error.reason}): {words}") from None
    pods = pods_behind(command, kind, obj, "get the logs from")
    if len(pods) > 1:
        command.say(f"Found {len(pods)} pods, using pod/{pods[0]['metadata']['name']}")
    return pods[0]


def meant(command: Command, word: str) -> tuple[Kind, KubeObject]:
    """The object that ``POD`` or ``TYPE/NAME`` means. Raises ApiError and Complaint."""
    kind_word, slash, name = word.partition("/")
    kind = command.discovery.by_word(kind_word) if slash else POD
    name = name if slash else word
    if "/" in name or not name:
        raise fault("arguments in resource/name form must have a single resource and name")
    return kind, command.client.get(kind.path(command.namespace, name))


def pods_behind(command: Command, kind: Kind, obj: KubeObject, intent: str) -> list[KubeObject]:
    """A pod itself, or those that a workload selects, the best first; ``intent``: ``attach to``.

    Raises:
        Complaint: there is none.
    """
    if kind == POD:
        return [obj]
    pods = list_objects(command, POD, {"labelSelector": _selector(kind, obj, intent)})
    if not pods:
        raise fault("timed out waiting for the condition")
    return sorted(pods, key=liveliness)


def _selector(kind: Kind, obj: KubeObject, intent: str) -> str:
    spec = obj.get("spec") or {}
    if kind.kind == "Service" and spec.get("selector"):
        return joined(spec["selector"])
    if isinstance(spec.get("selector"), dict) and kind.kind != "Service":
        return format_selector(spec["selector"])
    version = obj.get("apiVersion", kind.api_version).rpartition("/")[2]
    name = f"*{version}.{kind.kind}"
    raise fault(f"cannot {intent} {name}: selector for {name} not implemented")


def liveliness(pod: KubeObject) -> tuple[bool, int, bool, str, int, str]:
    """Sorts as kubectl does (podutils.ByLogging): what runs longest and best comes first."""
    status = pod.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    is_ready = ready.get("status") == "True"
    restarts = [each.get("restartCount", 0) for each in status.get("containerStatuses") or []]
    return (
        not pod["spec"].get("nodeName"),
        {"Running": 0, "Unknown": 1, "Pending": 2}.get(status.get("phase", ""), 0),
        not is_ready,
        str(ready.get("lastTransitionTime", "")) if is_ready else "",
        -max(restarts, default=0),
        str(pod["metadata"].get("creationTimestamp", "")),
    )


def _print(command: Command, pod: KubeObject, container: str) -> None:
    names = [entry["name"] for entry in pod["spec"]["containers"]]
    first = [entry["name"] for entry in pod["spec"].get("initContainers") or []]
    chosen = [container] if container else names[:1]
    if command.switched("all-containers"):
        chosen = [*first, *names]
    elif not container and len(names) + len(first) > 1:
        known = ", ".join([*names, *(f"{name} (init)" for name in first)])
        command.say(f'Defaulted container "{names[0]}" out of: {known}')
    elif container and container not in (*first, *names):
        raise fault(f"container {container} is not valid for pod {pod['metadata']['name']}")
    for name in chosen:
        _print_one(command, pod, name)


def _print_one(command: Command, pod: KubeObject, container: str) -> None:
    meta = pod["metadata"]
    query = {"container": container}
    tail = command.integer("tail", _SELECTED_TAIL if command.text("selector") else -1)
    if tail >= 0:
        query["tailLines"] = str(tail)
    if command.switched("previous"):
        query["previous"] = "true"
    if command.switched("timestamps"):
        query["timestamps"] = "true"
    if command.given("since"):
        query["sinceSeconds"] = str(max(1, int(command.seconds("since"))))
    text = command.client.text(
        "GET", POD.path(meta["namespace"], meta["name"], "log"), query=query, accept="*/*"
    )
    lines = text.decode(errors="replace")
    if command.switched("prefix"):
        head = f"[pod/{meta['name']}/{container}] "
        lines = "".join(f"{head}{line}\n" for line in lines.splitlines())
    command.write(lines)


VERBS = (
    Verb(
        "logs",
        logs,
        (
            f.SELECTOR,
            f.Flag("container", f.TEXT, "c"),
            f.Flag("all-containers", f.BOOL),
            f.Flag("previous", f.BOOL, "p"),
            f.Flag("tail", f.INT),
            f.Flag("since", f.DURATION),
            f.Flag("timestamps", f.BOOL),
            f.Flag("prefix", f.BOOL),
        ),
        "logs [-p] (POD | TYPE/NAME) [-c CONTAINER] [options]",
        "Print the logs for a container in a pod",
    ),
)
