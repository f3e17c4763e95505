"""What is checked of Endpoints and EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    dns_label,
    dns_subdomain,
    duplicate,
    formatted,
    invalid,
    one_of,
    port,
    required,
    too_many,
)

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_PORTS = 1000, 100, 20000


def endpoints_causes(endpoints: Object, _old: Object | None) -> list[Cause]:
    causes: list[Cause] = []
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        at, ports = f"subsets[{index}]", subset.get("ports") or ()
        ready, waiting = subset.get("addresses") or (), subset.get("notReadyAddresses") or ()
        if not ready and not waiting:
            causes.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
        for field, addresses in (("addresses", ready), ("notReadyAddresses", waiting)):
            for place, each in enumerate(addresses):
                causes += _address_causes(each, f"{at}.{field}[{place}]")
        for place, each in enumerate(ports):
            causes += _subset_port_causes(each, f"{at}.ports[{place}]", named=len(ports) > 1)
    return causes


def _address_causes(address: Object, at: str) -> Iterable[Cause]:
    text = address.get("ip") or ""
    problems = address_problems(text)
    if problems != (NO_ADDRESS,):
        if address.get("hostname"):
            yield from formatted(f"{at}.hostname", address["hostname"], dns_label)
        if address.get("nodeName"):
            yield from formatted(f"{at}.nodeName", address["nodeName"], dns_subdomain)
    for why in problems:
        yield invalid(f"{at}.ip", text, why)


@lru_cache(maxsize=4096)
def address_problems(text: str) -> tuple[str, ...]:
    """Why pods cannot be reached at an address; the same ones are written again and again."""
    try:
        found = ip_address(text)
    except ValueError:
        return (NO_ADDRESS,)
    rules = (
        (found.is_unspecified, f"may not be unspecified ({text})"),
        (found.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (found.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            found.is_multicast and (found.version == 6 or text.startswith("224.0.0.")),
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    )
    return tuple(why for holds, why in rules if holds)


def _subset_port_causes(each: Object, at: str, *, named: bool) -> Iterable[Cause]:
    if named and not each.get("name"):
        yield required(f"{at}.name")
    elif each.get("name"):
        yield from formatted(f"{at}.name", each["name"], dns_label)
    yield from port(f"{at}.port", each.get("port") or 0)
    yield from one_of(f"{at}.protocol", each["protocol"], _PROTOCOLS)


def endpoint_slice_causes(endpoint_slice: Object, old: Object | None) -> list[Cause]:
    kind = endpoint_slice.get("addressType") or ""
    causes: list[Cause] = []
    if not kind:
        causes.append(required("addressType"))
    else:
        causes += one_of("addressType", kind, _ADDRESS_TYPES)
    endpoints, ports = endpoint_slice.get("endpoints") or (), endpoint_slice.get("ports") or ()
    if len(endpoints) > _MOST_ENDPOINTS:
        causes.append(too_many("endpoints", len(endpoints), _MOST_ENDPOINTS))
        endpoints = ()
    for index, each in enumerate(endpoints):
        causes += _endpoint_causes(each, f"endpoints[{index}]", kind)
    names: set[str] = set()
    for index, each in enumerate(ports):
        causes += _slice_port_causes(each, f"ports[{index}]", names)
    if old is not None and old.get("addressType") != kind:
        causes.append(invalid("addressType", kind, "field is immutable"))
    return causes


def _endpoint_causes(endpoint: Object, at: str, kind: str) -> Iterable[Cause]:
    addresses = endpoint.get("addresses") or ()
    if not addresses:
        yield required(f"{at}.addresses", "must contain at least 1 address")
    elif len(addresses) > _MOST_ADDRESSES:
        yield too_many(f"{at}.addresses", len(addresses), _MOST_ADDRESSES)
    for index, text in enumerate(addresses):
        if kind == "FQDN":
            yield from formatted(f"{at}.addresses[{index}]", text, dns_subdomain)
        elif kind in _ADDRESS_TYPES and not _is_address(text, kind):
            yield invalid(f"{at}.addresses[{index}]", text, f"must be a valid {kind} address")
    if endpoint.get("nodeName") is not None:
        yield from formatted(f"{at}.nodeName", endpoint["nodeName"], dns_subdomain)
    if endpoint.get("hostname") is not None:
        yield from formatted(f"{at}.hostname", endpoint["hostname"], dns_label)


@lru_cache(maxsize=4096)
def _is_address(text: str, kind: str) -> bool:
    try:
        return f"IPv{ip_address(text).version}" == kind
    except ValueError:
        return False


def _slice_port_causes(each: Object, at: str, names: set[str]) -> Iterable[Cause]:
    name = each["name"]
    if name:
        yield from formatted(f"{at}.name", name, dns_label)
    if name in names:
        yield duplicate(f"{at}.name", name)
    names.add(name)
    yield from one_of(f"{at}.protocol", each["protocol"], _PROTOCOLS)
