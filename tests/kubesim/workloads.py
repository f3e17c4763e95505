"""Workloads for tests: their paths, manifests, and the pods they own."""

from __future__ import annotations

from typing import Any

from kube_driver import Kube, Object, deployment, pod

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
BATCH = "/apis/batch/v1/namespaces/default"
DEPLOYMENTS = f"{APPS}/deployments"
REPLICA_SETS = f"{APPS}/replicasets"
STATEFUL_SETS = f"{APPS}/statefulsets"
DAEMON_SETS = f"{APPS}/daemonsets"
REVISIONS = f"{APPS}/controllerrevisions"
JOBS = f"{BATCH}/jobs"
CRON_JOBS = f"{BATCH}/cronjobs"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
NAMESPACES = "/api/v1/namespaces"
SETTLED = 120
"""Seconds in which any rollout of these tests comes to rest."""


def workload(kind: str, name: str = "web", *, image: str = "registry.acme.io/web:1.4", **spec: Any) -> Object:
    """A ReplicaSet, StatefulSet, DaemonSet or Deployment of one container; keywords go into its spec."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def deploy(kube: Kube, name: str = "web", replicas: int = 3, **spec: Any) -> Any:
    manifest = deployment(name, replicas)
    manifest["spec"].update(spec)
    return kube.create(DEPLOYMENTS, manifest)


def scale(kube: Kube, replicas: int, path: str = f"{DEPLOYMENTS}/web") -> None:
    kube.merge(path, {"spec": {"replicas": replicas}})


def set_image(kube: Kube, image: str, path: str = f"{DEPLOYMENTS}/web") -> None:
    containers = [{"name": "web", "image": image}]
    kube.merge(path, {"spec": {"template": {"spec": {"containers": containers}}}})


def live_pods(kube: Kube, **labels: str) -> list[Object]:
    """Pods that are not on their way out, by name."""
    query = {"labelSelector": ",".join(f"{name}={value}" for name, value in labels.items())}
    items = kube.get(f"{CORE}/pods", **query)["items"]
    return [each for each in items if "deletionTimestamp" not in each["metadata"]]


def names(objects: list[Object]) -> list[str]:
    return [each["metadata"]["name"] for each in objects]


def images(pods: list[Object]) -> list[str]:
    return sorted(each["spec"]["containers"][0]["image"] for each in pods)


def end(kube: Kube, name: str, phase: str) -> None:
    """Let a pod come to its end, as its kubelet would report it."""
    found = kube.pod(name)
    kube.replace(f"{CORE}/pods/{name}/status", {**found, "status": {**found["status"], "phase": phase}})


def is_ready(found: Object) -> bool:
    conditions = found.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def condition(obj: Object, kind: str) -> Object:
    return next(each for each in obj["status"]["conditions"] if each["type"] == kind)


def namespace(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def config_map(name: str, *owners: Object, **meta: Any) -> Object:
    """A ConfigMap that belongs to ``owners``, none of them controlling it."""
    references = [
        {
            "apiVersion": each["apiVersion"],
            "kind": each["kind"],
            "name": each["metadata"]["name"],
            "uid": each["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for each in owners
    ]
    metadata = {"name": name, **meta}
    if references:
        metadata["ownerReferences"] = references
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def quota(name: str = "compute", **hard: str) -> Object:
    """Underscores in names stand for dots."""
    limits = {each.replace("_", "."): amount for each, amount in hard.items()}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name},
        "spec": {"hard": limits},
    }


def sized(name: str, requests: Object | None = None, limits: Object | None = None) -> Object:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    return pod(name, resources=resources)
