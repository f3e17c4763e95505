"""What a request to the API server asks for, in copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_selfrep.clusters.base import AuditEvent
from pytest_selfrep.clusters.kube import KubeObject

READS = frozenset({"get", "list", "watch"})
DELETES = frozenset({"delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a kind of workload keeps its number of pods and their template."""

    kind: str
    replicas: tuple[str, ...]
    """Path to the number; empty where the kind has none."""
    template: tuple[str, ...]
    """Path to the pod template; empty for a pod, which is its own."""
    each_node: bool = False


WORKLOADS: Mapping[str, Shape] = {
    "pods": Shape("Pod", (), ()),
    "deployments": Shape("Deployment", ("spec", "replicas"), ("spec", "template")),
    "replicasets": Shape("ReplicaSet", ("spec", "replicas"), ("spec", "template")),
    "replicationcontrollers": Shape("ReplicationController", ("spec", "replicas"), ("spec", "template")),
    "statefulsets": Shape("StatefulSet", ("spec", "replicas"), ("spec", "template")),
    "daemonsets": Shape("DaemonSet", (), ("spec", "template"), each_node=True),
    "jobs": Shape("Job", ("spec", "parallelism"), ("spec", "template")),
    "cronjobs": Shape(
        "CronJob",
        ("spec", "jobTemplate", "spec", "parallelism"),
        ("spec", "jobTemplate", "spec", "template"),
    ),
}
"""Kinds that bring forth pods, by their plural."""

AUTOSCALERS = "horizontalpodautoscalers"

CREATED = 201
"""HTTP status of an answer to a request that made an object."""

MOST_REPLICAS = 2**31 - 1
"""The API knows no larger numbers. A request that is refused may still name one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one write asks of one workload."""

    kind: str
    namespace: str
    name: str
    replicas: int | None
    """Pods wanted; None when the request leaves the number as it is."""
    template: KubeObject | None
    """The pod template as far as the request gives it; None when it gives none."""
    creates: bool
    whole: bool = False
    """Whether the object is made if it is not there, as by server-side apply."""
    most: int | None = None
    """For an autoscaler, how many it may come to ask for."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.namespace, self.name


def creates(event: AuditEvent) -> bool:
    """Whether a write is, or turned out to be, a creation: server-side apply is a patch that may create."""
    return event.verb == "create" or event.code == CREATED


def asked_by(event: AuditEvent, nodes: int) -> Asked | None:
    """What a write asks for; None when it is not about workloads. A DaemonSet fills so many ``nodes``."""
    resource, _, subresource = event.resource.partition("/")
    if event.verb in READS or event.verb in DELETES or event.request is None:
        return None
    if resource == AUTOSCALERS and not subresource:
        return _asked_of_target(event)
    shape = WORKLOADS.get(resource)
    if shape is None or subresource not in ("", "scale"):
        return None
    is_new = creates(event)
    scales = subresource == "scale"
    number = at(event.request, ("spec", "replicas") if scales else shape.replicas)
    template = None if scales else at(event.request, shape.template)
    replicas = min(number, MOST_REPLICAS) if isinstance(number, int) else None
    whole = isinstance(event.request, dict) and "kind" in event.request and not scales
    if is_new and replicas is None:
        replicas = nodes if shape.each_node else 1
    name = event.name or _name_in(event.request)
    return Asked(
        shape.kind,
        event.namespace,
        name,
        replicas,
        template if isinstance(template, dict) else None,
        creates=is_new,
        whole=whole,
    )


def _asked_of_target(event: AuditEvent) -> Asked | None:
    """An autoscaler asks its target for at least its minimum, and may come to ask for its maximum."""
    target = at(event.request, ("spec", "scaleTargetRef"))
    if not isinstance(target, dict):
        return None
    least = at(event.request, ("spec", "minReplicas"))
    most = at(event.request, ("spec", "maxReplicas"))
    return Asked(
        str(target.get("kind")),
        event.namespace,
        str(target.get("name")),
        min(least, MOST_REPLICAS) if isinstance(least, int) else 1,
        None,
        creates=False,
        most=min(most, MOST_REPLICAS) if isinstance(most, int) else None,
    )


def at(body: KubeObject | list[KubeObject] | None, path: tuple[str, ...]) -> object:
    """The value at a path in an object, merge patch or JSON patch (RFC 6902); None where there is none."""
    if isinstance(body, list):
        return _in_json_patch(body, path)
    value: object = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _in_json_patch(patch: list[KubeObject], path: tuple[str, ...]) -> object:
    found = None
    for step in patch:
        if not isinstance(step, dict):
            continue
        pointer = tuple(str(step.get("path", "")).split("/")[1:])
        if pointer and path[: len(pointer)] == pointer and "value" in step:
            value = step["value"]
            rest = path[len(pointer) :]
            found = at(value, rest) if isinstance(value, dict) else value
    return found


def _name_in(body: KubeObject | list[KubeObject] | None) -> str:
    metadata = at(body, ("metadata",))
    if not isinstance(metadata, dict):
        return ""
    return str(metadata.get("name") or metadata.get("generateName") or "")


def key_of(event: AuditEvent) -> tuple[str, str, str]:
    """Kind, namespace and name of the workload that a request names; the kind is empty for other objects."""
    shape = WORKLOADS.get(event.resource.partition("/")[0])
    return (shape.kind if shape else ""), event.namespace, event.name


def in_words(event: AuditEvent) -> str:
    """A request as records name it: ``create deployments.apps shop/web``."""
    resource, slash, subresource = event.resource.partition("/")
    grouped = f"{resource}.{event.group}" if event.group else resource
    name = event.name or _name_in(event.request)
    place = f"{event.namespace}/{name}" if event.namespace else name
    return f"{event.verb} {grouped}{slash}{subresource} {place}".rstrip(" /")
