"""Objects that the checks create: small ones, whose pods run and end on real nodes as on simulated ones."""

from __future__ import annotations

from api_client import Object

IMAGE = "busybox:1.36.1"
SLEEP = ("sleep", "3600")


def container(*command: str, name: str = "web", **fields: object) -> Object:
    """A container that runs a command (none: sleeps until it is stopped)."""
    return {"name": name, "image": IMAGE, "command": list(command or SLEEP), **fields}


def pod_spec(*command: str, **fields: object) -> Object:
    """One container; it is killed after a second, for a sleeping shell does not hear SIGTERM."""
    return {"terminationGracePeriodSeconds": 1, "containers": [container(*command)], **fields}


def pod(name: str, *command: str, labels: Object | None = None, **spec: object) -> Object:
    metadata = {"name": name, "labels": labels or {"app": name}}
    return {"metadata": metadata, "spec": pod_spec(*command, **spec)}


def idle_pod(name: str, labels: Object | None = None, **spec: object) -> Object:
    """A pod that no node takes: it stays Pending, and costs nothing."""
    return pod(name, labels=labels, nodeSelector={"disk": "none"}, **spec)


def workload(name: str, *command: str, **spec: object) -> Object:
    """What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common."""
    labels = {"app": name}
    template = spec.pop("template", None) or {"metadata": {"labels": labels}, "spec": pod_spec(*command)}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def job(name: str, *command: str, **spec: object) -> Object:
    template = {"spec": pod_spec(*command, restartPolicy="Never")}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


def config_map(name: str, labels: Object | None = None, /, **data: str) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


def owned(obj: Object, kind: str, owner: Object, *, blocks: bool = False) -> Object:
    """An object with one owner."""
    reference = {
        "apiVersion": owner.get("apiVersion", "v1"),
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": blocks,
    }
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [reference]}}
