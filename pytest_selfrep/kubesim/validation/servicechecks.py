"""What is checked of Services."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.endpointchecks import NO_ADDRESS, address_problems
from pytest_selfrep.kubesim.validation.fieldchecks import (
    dns_label,
    dns_subdomain,
    duplicate,
    duplicate_go,
    forbidden,
    formatted,
    go_strings,
    invalid,
    invalid_go,
    labels,
    one_of,
    port,
    port_name,
    qualified_name,
    required,
)

EXTERNAL = ("LoadBalancer", "NodePort")
"""The types of Services that have node ports."""
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_LONGEST_AFFINITY_SECONDS = 86400
_BALANCERS_ONLY = "may only be used when `type` is 'LoadBalancer'"
_NO_RANGES = "must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24 "


def service_causes(service: Object, old: Object | None) -> list[Cause]:
    spec = service["spec"]
    causes = list(_change_causes(spec, old["spec"])) if old is not None else []
    ports = spec.get("ports") or []
    if not ports and not is_headless(spec) and spec["type"] != "ExternalName":
        causes.append(required("spec.ports"))
    causes += _type_causes(spec)
    names: set[str] = set()
    for index, each in enumerate(ports):
        causes += _port_causes(each, f"spec.ports[{index}]", names, many=len(ports) > 1)
    causes += labels("spec.selector", spec.get("selector"))
    causes += _affinity_causes(spec)
    causes += address_causes(spec)
    for index, text in enumerate(spec.get("externalIPs") or ()):
        for why in address_problems(text):
            causes.append(invalid(f"spec.externalIPs[{index}]", text, why))
    causes += one_of("spec.type", spec["type"], _TYPES)
    causes += _together_causes(spec["type"], ports)
    causes += _balancer_causes(spec)
    causes += _policy_causes(spec)
    return causes


def is_headless(spec: Object) -> bool:
    return bool(spec.get("clusterIP") == "None")


def is_external(spec: Object) -> bool:
    """Whether something outside the cluster is meant to reach it."""
    return spec["type"] in EXTERNAL or bool(spec["type"] == "ClusterIP" and spec.get("externalIPs"))


def needs_health_check(spec: Object) -> bool:
    """Whether a load balancer asks the nodes which of them have pods of it."""
    return spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def address_causes(spec: Object) -> list[Cause]:
    """``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy`` by themselves and together."""
    if spec["type"] == "ExternalName":
        return []
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    causes: list[Cause] = []
    if address and not addresses:
        causes.append(required("spec.clusterIPs"))
    elif address and addresses[0] != address:
        why = "first value must match `clusterIP`"
        causes.append(invalid_go("spec.clusterIPs", go_strings(addresses), why))
    elif addresses and not address:
        why = "must be empty when `clusterIP` is not specified"
        causes.append(invalid_go("spec.clusterIPs", go_strings(addresses), why))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        causes += one_of(f"spec.ipFamilies[{index}]", family, _FAMILIES)
        if families.index(family) < index:
            causes.append(duplicate(f"spec.ipFamilies[{index}]", family))
    causes += one_of("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), _FAMILY_POLICIES)
    for index, text in enumerate(addresses):
        if index or text != "None":
            causes += _address_causes(f"spec.clusterIPs[{index}]", text)
        elif len(addresses) > 1:
            why = "'None' must be the first and only value"
            causes.append(invalid_go("spec.clusterIPs", go_strings(addresses), why))
    return causes


def _address_causes(at: str, text: str) -> Iterable[Cause]:
    try:
        ip_address(text)
    except ValueError:
        yield invalid(at, text, NO_ADDRESS)


def _change_causes(spec: Object, before: Object) -> Iterable[Cause]:
    have, had = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if "ExternalName" not in (spec["type"], before["type"]):
        if had and not have:
            why = "primary clusterIP can not be unset"
            yield invalid_go("spec.clusterIPs[0]", go_strings(have), why)
        elif had and have[0] != had[0]:
            yield invalid_go("spec.clusterIPs[0]", go_strings(have), "may not change once set")
    if spec["type"] == before["type"] == "LoadBalancer":
        chosen = spec.get("loadBalancerClass")
        if chosen != before.get("loadBalancerClass"):
            yield invalid("spec.loadBalancerClass", chosen, "may not change once set")
    checked = needs_health_check(spec) and needs_health_check(before)
    if checked and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        yield forbidden("spec.healthCheckNodePort", "field is immutable")


def _type_causes(spec: Object) -> Iterable[Cause]:
    """What a Service of a type may not do without, and what it cannot have."""
    kind = spec["type"]
    if kind in EXTERNAL and is_headless(spec):
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind != "ExternalName":
        return
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            yield forbidden(f"spec.{field}", "may not be set for ExternalName services")
    name = (spec.get("externalName") or "").removesuffix(".")
    if name:
        yield from formatted("spec.externalName", name, dns_subdomain)
    else:
        yield required("spec.externalName")


def _port_causes(each: Object, at: str, names: set[str], *, many: bool) -> Iterable[Cause]:
    name = each.get("name") or ""
    if not name and many:
        yield required(f"{at}.name")
    elif name:
        yield from formatted(f"{at}.name", name, dns_label)
        if name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)
    yield from port(f"{at}.port", each.get("port") or 0)
    yield from one_of(f"{at}.protocol", each["protocol"], _PROTOCOLS)
    target = each.get("targetPort") or 0
    if isinstance(target, int):
        yield from port(f"{at}.targetPort", target)
    else:
        for why in port_name(target):
            yield invalid(f"{at}.targetPort", target, why)
    if each.get("appProtocol") is not None:
        yield from formatted(f"{at}.appProtocol", each["appProtocol"], qualified_name)


def _together_causes(kind: str, ports: list[Object]) -> Iterable[Cause]:
    """What ports cannot be beside each other, or in a Service of this type."""
    if kind == "ClusterIP":
        for index, each in enumerate(ports):
            if each.get("nodePort"):
                why = "may not be used when `type` is 'ClusterIP'"
                yield forbidden(f"spec.ports[{index}].nodePort", why)
    seen: set[tuple[str, int]] = set()
    for index, each in enumerate(ports):
        number = each.get("nodePort") or 0
        if number and (each["protocol"], number) in seen:
            yield duplicate(f"spec.ports[{index}].nodePort", number)
        seen.add((each["protocol"], number))
    seen.clear()
    for index, each in enumerate(ports):
        key = each["protocol"], each.get("port") or 0
        if key in seen:
            yield duplicate_go(f"spec.ports[{index}]", _go_port(*key))
        seen.add(key)


def _go_port(protocol: str, number: int) -> str:
    return (
        f'core.ServicePort{{Name:"", Protocol:"{protocol}", AppProtocol:(*string)(nil), Port:{number}, '
        'TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}'
    )


def _affinity_causes(spec: Object) -> Iterable[Cause]:
    yield from one_of("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    if spec["sessionAffinity"] == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= _LONGEST_AFFINITY_SECONDS:
            why = f"must be greater than 0 and less than {_LONGEST_AFFINITY_SECONDS}"
            yield invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)


def _balancer_causes(spec: Object) -> Iterable[Cause]:
    is_balancer, ranges = spec["type"] == "LoadBalancer", spec.get("loadBalancerSourceRanges")
    if ranges:
        at = "spec.LoadBalancerSourceRanges"
        if not is_balancer:
            yield forbidden(at, _BALANCERS_ONLY)
        if not all(map(_is_range, ranges)):
            yield invalid(at, f"[{' '.join(ranges)}]", _NO_RANGES)
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_balancer:
        yield forbidden("spec.allocateLoadBalancerNodePorts", _BALANCERS_ONLY)
    chosen = spec.get("loadBalancerClass")
    if chosen is not None and is_balancer:
        yield from formatted("spec.loadBalancerClass", chosen, qualified_name)
    elif chosen is not None:
        yield forbidden("spec.loadBalancerClass", _BALANCERS_ONLY)


def _is_range(text: str) -> bool:
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        return False
    return "/" in text


def _policy_causes(spec: Object) -> Iterable[Cause]:
    policy = spec.get("externalTrafficPolicy") or ""
    if is_external(spec):
        yield from one_of("spec.externalTrafficPolicy", policy, _POLICIES)
    elif policy:
        why = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", policy, why)
    checked = spec.get("healthCheckNodePort") or 0
    if checked and not needs_health_check(spec):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", checked, why)
    yield from one_of("spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), _POLICIES)
