"""What is asked of exec and attach (core/v1 PodExecOptions), and of which container."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_selfrep.kubesim.apiserver.calls import Call
from pytest_selfrep.kubesim.apiserver.http import TRUE
from pytest_selfrep.kubesim.containers.runtime import Running
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import StatusError, bad_request


@dataclass(frozen=True, slots=True)
class Asked:
    container: str
    command: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    translated: bool
    """Whether the API server speaks to the client itself, and passes on what a kubelet says (v5)."""


def asked_of(call: Call, pod: Object, kind: str) -> Asked:
    """Raises StatusError as the API server refuses."""
    pairs = call.request.pairs()
    flags = {name: value in TRUE for name, value in pairs}
    asked = Asked(
        _container(pod, call.query.get("container", "")),
        tuple(value for name, value in pairs if name == "command"),
        flags.get("stdin", False),
        flags.get("stdout", kind == "PodAttachOptions" and "stdout" not in flags),
        flags.get("stderr", kind == "PodAttachOptions" and "stderr" not in flags),
        flags.get("tty", False),
        "v5.channel.k8s.io" in call.request.headers.get("sec-websocket-protocol", ""),
    )
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    refuse_without_upgrade(call)
    if kind == "PodExecOptions" and not asked.command:
        raise bad_request("you must specify at least 1 command for the container")
    if not (asked.stdin or asked.stdout or asked.stderr):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return asked


def _container(pod: Object, asked: str) -> str:
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [each["name"] for each in spec["containers"]]
    init = [each["name"] for each in spec.get("initContainers") or ()]
    ephemeral = [each["name"] for each in spec.get("ephemeralContainers") or ()]
    if asked:
        if asked not in (*names, *init, *ephemeral):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names) == 1:
        return str(names[0])
    choose = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    if init:
        choose += f" or one of the init containers: [{' '.join(init)}]"
    raise bad_request(choose)


def running_of(call: Call, pod: Object, container: str) -> Running | None:
    """The container, if it runs."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(field) or ():
            if each["name"] == container and "running" in (each.get("state") or {}):
                return call.backend.runtime.get(each.get("containerID", ""))
    return None


def refuse_without_upgrade(call: Call) -> None:
    """Raises StatusError for a client that does not ask for a connection of its own."""
    headers = call.request.headers
    if "websocket" not in headers.get("upgrade", "").lower():
        raise StatusError(400, "BadRequest", "Upgrade request required")
