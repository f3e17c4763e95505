"""Node objects as a kubelet registers them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from uuid import UUID

from pytest_selfrep.kubesim.objects import Object

KUBELET_VERSION = "v1.32.4"
KERNEL, KERNEL_BUILD = "6.8.0-58-generic", "#60-Ubuntu SMP PREEMPT_DYNAMIC Fri Mar 14 18:29:48 UTC 2025"
"""Release and version, as uname and a node's nodeInfo say them."""
EPHEMERAL_STORAGE = "102106120Ki"
ANNOTATIONS: Mapping[str, str] = {
    "kubeadm.alpha.kubernetes.io/cri-socket": "unix:///var/run/containerd/containerd.sock",
    "node.alpha.kubernetes.io/ttl": "0",
    "volumes.kubernetes.io/controller-managed-attach-detach": "true",
}
HEALTHY: tuple[tuple[str, str, str, str], ...] = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
"""Type, status, reason and message of a healthy node's conditions, in the kubelet's order."""


def node(
    name: str,
    *,
    now: str,
    cpu: str = "4",
    memory: str = "16Gi",
    pods: int = 110,
    extended: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    number: int = 1,
) -> Object:
    """A healthy Node, ready to be created through the API.

    All of its capacity is allocatable. ``number``, from 1, tells nodes apart in addresses (InternalIP and pod
    CIDR); ``now`` is the RFC 3339 time since which it is Ready.
    """
    capacity = {
        "cpu": cpu,
        "ephemeral-storage": EPHEMERAL_STORAGE,
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": memory,
        **{resource: str(count) for resource, count in (extended or {}).items()},
        "pods": str(pods),
    }
    pod_cidr = f"10.{244 + number // 256}.{number % 256}.0/24"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**_labels(name), **(labels or {})},
            "annotations": dict(ANNOTATIONS),
        },
        "spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"10.0.{10 + number // 250}.{1 + number % 250}"},
                {"type": "Hostname", "address": name},
            ],
            "allocatable": dict(capacity),
            "capacity": capacity,
            "conditions": _conditions(now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": _info(name),
        },
    }


def resized(
    node: Object,
    *,
    cpu: str | None = None,
    memory: str | None = None,
    pods: int | None = None,
    extended: Mapping[str, int] | None = None,
) -> Object:
    """The node with other capacity and allocatable; what is not said stays. For a PUT of its status."""
    changed: dict[str, str] = {resource: str(count) for resource, count in (extended or {}).items()}
    for resource, amount in (("cpu", cpu), ("memory", memory), ("pods", pods)):
        if amount is not None:
            changed[resource] = str(amount)
    status = node["status"]
    return {
        **node,
        "status": {
            **status,
            "capacity": {**status["capacity"], **changed},
            "allocatable": {**status["allocatable"], **changed},
        },
    }


def _conditions(now: str) -> list[Object]:
    return [
        {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        for kind, status, reason, message in HEALTHY
    ]


def _labels(name: str) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }


def _info(name: str) -> Object:
    digest = hashlib.sha384(name.encode()).digest()
    return {
        "architecture": "amd64",
        "bootID": str(UUID(bytes=digest[:16], version=4)),
        "containerRuntimeVersion": "containerd://2.0.4",
        "kernelVersion": KERNEL,
        "kubeProxyVersion": KUBELET_VERSION,
        "kubeletVersion": KUBELET_VERSION,
        "machineID": digest[16:32].hex(),
        "operatingSystem": "linux",
        "osImage": "Ubuntu 24.04.2 LTS",
        "systemUUID": str(UUID(bytes=digest[32:], version=4)),
    }
