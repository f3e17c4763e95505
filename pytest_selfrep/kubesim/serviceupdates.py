"""What a Service that is replaced keeps of its addresses and ports, and what goes with its old type."""

from __future__ import annotations

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.validation.servicechecks import EXTERNAL, is_external, needs_health_check

_ADDRESSES = ("clusterIP", "clusterIPs")
_BALANCER = ("allocateLoadBalancerNodePorts", "loadBalancerClass")


def keep(spec: Object, before: Object) -> None:
    """Carry over what a client did not say and still holds (patchAllocatedValues), in place."""
    if "ExternalName" not in (spec["type"], before["type"]):
        if not spec.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and spec["clusterIP"] == before["clusterIP"]:
            spec["clusterIPs"] = before["clusterIPs"]
    if spec["type"] in EXTERNAL and before["type"] in EXTERNAL:
        _keep_node_ports(spec, before)
    if needs_health_check(spec) and needs_health_check(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort")


def _keep_node_ports(spec: Object, before: Object) -> None:
    """By the names of ports, unless another one has the number by now."""
    used = node_ports(before) & node_ports(spec)
    held = {port.get("name"): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        number = held.get(port.get("name"))
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number


def align(spec: Object, before: Object) -> None:
    """Let ``clusterIPs`` follow ``clusterIP`` for clients that know the latter alone, in place."""
    address, addresses = spec.get("clusterIP"), spec.get("clusterIPs")
    if not before:
        if address and not addresses:
            spec["clusterIPs"] = [address]
    elif address == before.get("clusterIP"):
        if not addresses and before.get("clusterIPs"):
            spec["clusterIPs"] = before["clusterIPs"]
    elif addresses and addresses == before.get("clusterIPs"):
        spec["clusterIPs"] = [address] if address else []


def drop(service: Object, before: Object) -> None:
    """Take what only the old type had and the client left as it was (dropTypeDependentFields), in place."""
    spec = service["spec"]
    if spec["type"] == "ExternalName" != before["type"]:
        if all(spec.get(field) == before.get(field) for field in _ADDRESSES):
            _remove(spec, _ADDRESSES)
        _remove_same(spec, before, ("ipFamilies", "ipFamilyPolicy"))
    lost = before["type"] in EXTERNAL and spec["type"] not in EXTERNAL
    if lost and node_ports(spec) <= node_ports(before):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if needs_health_check(before) and not needs_health_check(spec):
        _remove_same(spec, before, ("healthCheckNodePort",))
    if before["type"] == "LoadBalancer" != spec["type"]:
        _remove_same(spec, before, _BALANCER)
        service["status"] = {"loadBalancer": {}}
    if is_external(before) and not is_external(spec):
        _remove_same(spec, before, ("externalTrafficPolicy",))


def node_ports(spec: Object) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def _remove(spec: Object, fields: tuple[str, ...]) -> None:
    for field in fields:
        spec.pop(field, None)


def _remove_same(spec: Object, before: Object, fields: tuple[str, ...]) -> None:
    _remove(spec, tuple(field for field in fields if spec.get(field) == before.get(field)))
