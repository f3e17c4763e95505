"""Manifests for the tests of kubectl, as plain objects."""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
IMAGE = "busybox:1.36.1"


def config_map(name: str, labels: Object | None = None, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(name, labels), "data": data}


def pod(name: str, labels: Object | None = None, command: str = "", **spec: Any) -> Object:
    """A pod with one container ``main``, which runs until it is stopped unless a shell command is given."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta(name, labels),
        "spec": {"containers": [container("main", command)], **spec},
    }


def container(name: str, command: str = "", **fields: Any) -> Object:
    words = ["sh", "-c", command] if command else ["sleep", "infinity"]
    return {"name": name, "image": IMAGE, "command": words, **fields}


def workload(kind: str, name: str, replicas: int | None = None, **fields: Any) -> Object:
    """A Deployment, StatefulSet, DaemonSet or ReplicaSet of pods labelled ``app: <name>``."""
    labels = {"app": name}
    spec: Object = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container("main")]}},
        **fields,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": _meta(name, labels), "spec": spec}


def deployment(name: str, replicas: int = 1, **fields: Any) -> Object:
    return workload("Deployment", name, replicas, **fields)


def job(name: str, command: str = "echo done", **fields: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(name, None),
        "spec": {"template": _finite(command), **fields},
    }


def cron_job(name: str, schedule: str = "0 3 * * *", command: str = "echo done") -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _meta(name, None),
        "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": _finite(command)}}},
    }


def service(name: str, port: int = 80, **fields: Any) -> Object:
    spec = {"selector": {"app": name}, "ports": [{"port": port}], **fields}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name, {"app": name}), "spec": spec}


def budget(name: str, min_available: int) -> Object:
    spec = {"minAvailable": min_available, "selector": {"matchLabels": {"app": name}}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta(name, None),
        "spec": spec,
    }


def _finite(command: str) -> Object:
    return {"spec": {"restartPolicy": "Never", "containers": [container("main", command)]}}


def _meta(name: str, labels: Object | None) -> Object:
    return {"name": name, **({"labels": labels} if labels else {})}
