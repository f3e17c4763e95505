"""Pod status as the kubelet writes it: phase, conditions, container statuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_selfrep.kubesim.nodes import images
from pytest_selfrep.kubesim.objects import Object

ORDER = {
    kind: place
    for place, kind in enumerate(
        (
            "DisruptionTarget",
            "PodReadyToStartContainers",
            "Initialized",
            "Ready",
            "ContainersReady",
            "PodScheduled",
        )
    )
}
"""The kubelet's order of conditions; others come last."""


class Condition(NamedTuple):
    """What a condition ought to be."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


def with_conditions(status: Object, wanted: Iterable[Condition], now: str) -> Object:
    """A copy of a pod's status with conditions set; transition times change with the status only."""
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    for each in wanted:
        old = conditions.get(each.type)
        same = old is not None and old["status"] == each.status
        new = {
            "type": each.type,
            "status": each.status,
            "lastProbeTime": None,
            "lastTransitionTime": old["lastTransitionTime"] if old is not None and same else now,
        }
        if each.reason:
            new["reason"] = each.reason
        if each.message:
            new["message"] = each.message
        conditions[each.type] = new
    ordered = sorted(conditions.values(), key=lambda each: ORDER.get(each["type"], len(ORDER)))
    return {**status, "conditions": ordered}


@dataclass(slots=True)
class Process:
    """A container of a pod, as the kubelet of its node knows it."""

    spec: Object
    state: Object
    """core/v1 ContainerState: one of ``waiting``, ``running``, ``terminated``."""
    last_state: Object = field(default_factory=dict)
    restarts: int = 0
    runs: int = 0
    container_id: str = ""
    pulled: bool = False
    ready: bool = False
    started: bool = False
    since: float = 0.0
    """Seconds of the cluster's clock at which it was last started."""
    pull_failures: int = 0

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def is_running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """None unless it has ended."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    @property
    def is_sidecar(self) -> bool:
        """An init container that keeps running."""
        return self.spec.get("restartPolicy") == "Always"


def waiting(reason: str, message: str = "") -> Object:
    """A container state."""
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def container_id(uid: str, name: str, run: int) -> str:
    return f"containerd://{hashlib.sha256(f'{uid}/{name}/{run}'.encode()).hexdigest()}"


def container_status(process: Process) -> Object:
    """core/v1 ContainerStatus."""
    image = process.spec["image"]
    status: Object = {
        "name": process.name,
        "state": process.state,
        "lastState": process.last_state,
        "ready": process.ready,
        "restartCount": process.restarts,
        "image": images.full_name(image) if process.pulled else image,
        "imageID": images.digest_name(image) if process.pulled else "",
        "started": process.started,
    }
    if process.container_id:
        status["containerID"] = process.container_id
    mounts = process.spec.get("volumeMounts")
    if mounts:
        status["volumeMounts"] = [_mount_status(mount) for mount in mounts]
    return status


def ephemeral_status(process: Process) -> Object:
    """core/v1 ContainerStatus of an ephemeral container, of which nobody says whether it has started."""
    return {name: value for name, value in container_status(process).items() if name != "started"}


def _mount_status(mount: Object) -> Object:
    status = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        status.update(readOnly=True, recursiveReadOnly="Disabled")
    return status


def phase_of(processes: Sequence[Process], restart_policy: str) -> str:
    """Pending until a container runs; then Running until none will run again."""
    codes = [process.exit_code for process in processes]
    if all(code is not None for code in codes):
        if restart_policy == "Always":
            return "Running"
        if not any(codes):
            return "Succeeded"
        return "Failed" if restart_policy == "Never" else "Running"
    return "Running" if any(process.runs for process in processes) else "Pending"


def gates(pod: Object) -> dict[str, str]:
    """The status of each condition that a pod waits for to be ready; empty where it is not there."""
    wanted = pod["spec"].get("readinessGates")
    if not wanted:
        return {}
    found = {each["type"]: each["status"] for each in pod["status"].get("conditions") or ()}
    return {each["conditionType"]: found.get(each["conditionType"], "") for each in wanted}


def conditions(
    init: Sequence[Process], main: Sequence[Process], phase: str, *, sandbox: bool, gates: Mapping[str, str]
) -> Iterable[Condition]:
    """The conditions that a kubelet sets.

    ``sandbox`` says whether the pod has got its network, which it has until it is over; ``gates`` is what
    :func:`gates` found.
    """
    over = phase in ("Succeeded", "Failed")
    yield Condition("PodReadyToStartContainers", str(sandbox and not over))
    incomplete = [each.name for each in init if not _has_initialised(each)]
    if phase == "Succeeded":
        yield Condition("Initialized", "True", "PodCompleted")
    elif incomplete:
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        yield Condition("Initialized", "False", "ContainersNotInitialized", message)
    else:
        yield Condition("Initialized", "True")
    unready = [each.name for each in main if not each.ready]
    ready = ("True", "", "")
    if over:
        ready = ("False", "PodCompleted" if phase == "Succeeded" else "PodFailed", "")
    elif unready:
        ready = ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    closed = [_why_closed(name, status) for name, status in gates.items() if status != "True"]
    if closed and ready[0] == "True":
        yield Condition("Ready", "False", "ReadinessGatesNotReady", ", ".join(closed))
    else:
        yield Condition("Ready", *ready)
    yield Condition("ContainersReady", *ready)


def _why_closed(gate: str, status: str) -> str:
    if not status:
        return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    return f'the status of pod readiness gate "{gate}" is not "True", but {status}'


def _has_initialised(process: Process) -> bool:
    return process.started if process.is_sidecar else process.exit_code == 0
