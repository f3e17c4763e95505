"""What keeps a world on a shared cluster to itself: quotas, and a network that ends there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_selfrep.clusters.fitting import Fitting
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.model import Nodes

LEASE = "provisioning.internal/lease"
"""Label of every namespace of a world, and of all else that belongs to it: by it leftovers are found. It says
nothing to an agent that looks."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CAPACITY = "platform-capacity"
"""Name of the ResourceQuota that stands for the scenario's nodes."""
_NETWORKING = "networking.k8s.io/v1"


class Server(NamedTuple):
    """Where something listens for TCP connections."""

    address: str
    """An IP address."""
    port: int


def capacity(nodes: Mapping[str, Nodes], fitting: Fitting) -> dict[str, str]:
    """What all nodes of a scenario hold together, as the ``hard`` of a ResourceQuota."""
    from pytest_selfrep.scenarios.quantity import value_of

    groups = nodes.values()
    cpu = sum(value_of(group.cpu) for group in groups)
    memory = sum(value_of(group.memory) for group in groups)
    extended: dict[str, int] = {}
    for group in groups:
        for name, amount in group.extended.items():
            extended[f"requests.{name}"] = extended.get(f"requests.{name}", 0) + int(amount)
    return {
        "pods": str(sum(group.pods for group in groups)),
        "requests.cpu": fitting.quantity("cpu", f"{int(cpu * 1000)}m"),
        "requests.memory": fitting.quantity("memory", f"{int(memory)}"),
        **{name: str(amount) for name, amount in extended.items()},
    }


def fences(namespace: str, hard: Mapping[str, str]) -> Iterator[KubeObject]:
    """For one namespace of a world."""
    yield _object("v1", "ResourceQuota", CAPACITY, namespace, {"hard": dict(hard)})
    yield from network_policies(namespace)


def network_policies(namespace: str) -> Iterator[KubeObject]:
    """Nothing in, nothing out, but names."""
    nothing = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    yield _object(_NETWORKING, "NetworkPolicy", "platform-deny", namespace, nothing)
    names = {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }
    yield _out(namespace, "platform-names", [names])


def way_to(namespace: str, servers: Sequence[Server]) -> KubeObject:
    """For pods that speak to the API server: to its ports alone, for more listens on its machines."""
    return _out(
        namespace,
        "platform-api",
        [
            {
                "to": [{"ipBlock": {"cidr": f"{each.address}/{128 if ':' in each.address else 32}"}}],
                "ports": [{"protocol": "TCP", "port": each.port}],
            }
            for each in servers
        ],
    )


def _out(namespace: str, name: str, egress: Sequence[KubeObject]) -> KubeObject:
    allowed = {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(egress)}
    return _object(_NETWORKING, "NetworkPolicy", name, namespace, allowed)


def _object(api_version: str, kind: str, name: str, namespace: str, spec: KubeObject) -> KubeObject:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
