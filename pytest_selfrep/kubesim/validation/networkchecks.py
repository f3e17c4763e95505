"""What is checked of Ingresses, IngressClasses and NetworkPolicies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    dns_1035_label,
    dns_subdomain,
    forbidden,
    formatted,
    invalid,
    invalid_go,
    label_selector,
    port,
    port_name,
    required,
    unsupported,
    wildcard_subdomain,
)

Network = IPv4Network | IPv6Network

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
_BAD_AT_END = ("/..", "/.")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_POLICY_TYPES = ("Ingress", "Egress")
_NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def ingress_causes(ingress: Object, _old: Object | None) -> list[Cause]:
    spec = ingress["spec"]
    rules, backend = spec.get("rules") or (), spec.get("defaultBackend")
    causes: list[Cause] = []
    if not rules and backend is None:
        why = "either `defaultBackend` or `rules` must be specified"
        causes.append(invalid_go("spec", "[]networking.IngressRule(nil)", why))
    if backend is not None:
        causes += _backend_causes(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        causes += _rule_causes(rule, f"spec.rules[{index}]")
    for index, each in enumerate(spec.get("tls") or ()):
        for place, host in enumerate(each.get("hosts") or ()):
            at = f"spec.tls[{index}].hosts[{place}]"
            causes += formatted(at, host, wildcard_subdomain if "*" in host else dns_subdomain)
    if spec.get("ingressClassName") is not None:
        causes += formatted("spec.ingressClassName", spec["ingressClassName"], dns_subdomain)
    return causes


def _rule_causes(rule: Object, at: str) -> Iterable[Cause]:
    host, http = rule.get("host") or "", rule.get("http")
    if host:
        if _is_address(host):
            yield invalid(f"{at}.host", host, "must be a DNS name, not an IP address")
        yield from formatted(f"{at}.host", host, wildcard_subdomain if "*" in host else dns_subdomain)
    if http is None:
        return
    if not http.get("paths"):
        yield required(f"{at}.http.paths")
    for index, each in enumerate(http.get("paths") or ()):
        yield from _path_causes(each, f"{at}.http.paths[{index}]")


def _path_causes(each: Object, at: str) -> Iterable[Cause]:
    kind, path = each.get("pathType"), each.get("path") or ""
    if kind is None:
        yield required(f"{at}.pathType", "pathType must be specified")
    elif kind not in _PATH_TYPES:
        yield unsupported(f"{at}.pathType", kind, _PATH_TYPES)
    elif kind == "ImplementationSpecific":
        if path and not path.startswith("/"):
            yield invalid(f"{at}.path", path, "must be an absolute path")
    else:
        yield from _strict_path_causes(path, f"{at}.path")
    yield from _backend_causes(each.get("backend") or {}, f"{at}.backend")


def _strict_path_causes(path: str, at: str) -> Iterable[Cause]:
    if not path.startswith("/"):
        yield invalid(at, path, "must be an absolute path")
    for bad in _BAD_IN_PATH:
        if bad in path:
            yield invalid(at, path, f"must not contain '{bad}'")
    for bad in _BAD_AT_END:
        if path.endswith(bad):
            yield invalid(at, path, f"cannot end with '{bad}'")


def _backend_causes(backend: Object, at: str) -> Iterable[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is None and resource is None:
        yield invalid(at, "", "resource or service backend is required")
    elif service is not None and resource is not None:
        yield invalid(at, "", "cannot set both resource and service backends")
    elif resource is not None:
        for field in ("kind", "name"):
            if not resource.get(field):
                yield required(f"{at}.resource.{field}")
    else:
        yield from _service_causes(service or {}, at)


def _service_causes(service: Object, at: str) -> Iterable[Cause]:
    name, wanted = service.get("name") or "", service.get("port") or {}
    if name:
        yield from formatted(f"{at}.service.name", name, dns_1035_label)
    else:
        yield required(f"{at}.service.name")
    named, number = wanted.get("name") or "", wanted.get("number") or 0
    if named and number:
        yield invalid(at, "", "cannot set both port name & port number")
    elif named:
        for why in port_name(named):
            yield invalid(f"{at}.service.port.name", named, why)
    elif number:
        yield from port(f"{at}.service.port.number", number)
    else:
        yield required(at, "port name or number is required")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def ingress_class_causes(ingress_class: Object, old: Object | None) -> list[Cause]:
    spec = ingress_class["spec"]
    controller, parameters = spec.get("controller") or "", spec.get("parameters")
    causes: list[Cause] = []
    if not controller:
        causes.append(required("spec.controller"))
    elif not re.fullmatch(r"[^/]+/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", controller):
        why = 'must be a domain-prefixed path (such as "acme.io/foo")'
        causes.append(invalid("spec.controller", controller, why))
    elif old is not None and old["spec"].get("controller") != controller:
        causes.append(invalid("spec.controller", controller, "field is immutable"))
    if parameters is not None:
        causes += _parameters_causes(parameters)
    return causes


def _parameters_causes(parameters: Object) -> Iterable[Cause]:
    at, scope = "spec.parameters", parameters.get("scope")
    for field in ("kind", "name"):
        if not parameters.get(field):
            yield required(f"{at}.{field}")
    if scope not in ("Cluster", "Namespace"):
        yield unsupported(f"{at}.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Namespace" and not parameters.get("namespace"):
        yield required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Cluster" and parameters.get("namespace"):
        yield forbidden(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'")


def network_policy_causes(policy: Object, _old: Object | None) -> list[Cause]:
    spec = policy["spec"]
    causes = list(label_selector("spec.podSelector", spec.get("podSelector")))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            causes += _policy_rule_causes(rule, f"spec.{direction}[{index}]", peers)
    types = spec.get("policyTypes") or ()
    if len(types) > len(_POLICY_TYPES):
        shown = ", ".join(f'"{each}"' for each in types)
        why = "may not specify more than two policyTypes"
        return [*causes, invalid_go("spec.policyTypes", f"[]networking.PolicyType{{{shown}}}", why)]
    for index, each in enumerate(types):
        if each not in _POLICY_TYPES:
            causes.append(unsupported(f"spec.policyTypes[{index}]", each, _POLICY_TYPES))
    return causes


def _policy_rule_causes(rule: Object, at: str, peers: str) -> Iterable[Cause]:
    for index, each in enumerate(rule.get("ports") or ()):
        yield from _policy_port_causes(each, f"{at}.ports[{index}]")
    for index, peer in enumerate(rule.get(peers) or ()):
        yield from _peer_causes(peer, f"{at}.{peers}[{index}]")


def _policy_port_causes(each: Object, at: str) -> Iterable[Cause]:
    if each["protocol"] not in _PROTOCOLS:
        yield unsupported(f"{at}.protocol", each["protocol"], _PROTOCOLS)
    number, last = each.get("port"), each.get("endPort")
    if isinstance(number, int):
        yield from port(f"{at}.port", number)
        if last is not None and last < number:
            yield invalid(f"{at}.endPort", number, "must be greater than or equal to `port`")
    elif number is not None:
        if last is not None:
            yield invalid(f"{at}.endPort", last, "may not be specified when `port` is non-numeric")
        for why in port_name(number):
            yield invalid(f"{at}.port", number, why)
    elif last is not None:
        yield invalid(f"{at}.endPort", last, "may not be specified when `port` is not specified")
    if last is not None:
        yield from port(f"{at}.endPort", last)


def _peer_causes(peer: Object, at: str) -> Iterable[Cause]:
    said = 0
    for field in ("podSelector", "namespaceSelector"):
        if peer.get(field) is not None:
            said += 1
            yield from label_selector(f"{at}.{field}", peer[field])
    block = peer.get("ipBlock")
    if block is not None:
        yield from _block_causes(block, f"{at}.ipBlock")
    if block is not None and said:
        yield forbidden(at, "may not specify both ipBlock and another peer")
    elif block is None and not said:
        yield required(at, "must specify a peer")


def _block_causes(block: Object, at: str) -> Iterable[Cause]:
    cidr = block.get("cidr") or ""
    if not cidr:
        yield required(f"{at}.cidr")
        return
    whole = _network(cidr)
    if whole is None:
        yield invalid(f"{at}.cidr", cidr, _NO_CIDR)
        return
    for index, text in enumerate(block.get("except") or ()):
        part = _network(text)
        if part is None:
            yield invalid(f"{at}.except[{index}]", text, _NO_CIDR)
        elif not _is_strictly_within(part, whole):
            yield invalid(f"{at}.except[{index}]", text, "must be a strict subset of `cidr`")


def _is_strictly_within(part: Network, whole: Network) -> bool:
    return (
        part.version == whole.version and part.prefixlen > whole.prefixlen and part.network_address in whole
    )


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False) if text.rpartition("/")[2].isdigit() else None
    except ValueError:
        return None
