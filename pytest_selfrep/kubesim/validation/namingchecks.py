"""What is checked of the names by which a pod is found, and of how it finds others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    dns_label,
    dns_subdomain,
    formatted,
    go_strings,
    invalid,
    invalid_go,
    required,
)

_NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_MOST_SERVERS, _MOST_SEARCHES = 3, 32


def name_causes(spec: Object, at: str) -> Iterable[Cause]:
    """The name of a pod's host."""
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            yield from formatted(f"{at}.{field}", spec[field], dns_label)


def host_alias_causes(aliases: Sequence[Object], at: str) -> Iterable[Cause]:
    """Lines of ``/etc/hosts``."""
    for index, alias in enumerate(aliases):
        yield from _address(f"{at}[{index}].ip", alias.get("ip") or "")
        for number, name in enumerate(alias.get("hostnames") or ()):
            yield from formatted(f"{at}[{index}].hostnames[{number}]", name, dns_subdomain)


def dns_config_causes(spec: Object, at: str) -> Iterable[Cause]:
    """What is written into ``/etc/resolv.conf``."""
    config = spec.get("dnsConfig")
    if spec["dnsPolicy"] == "None":
        if config is None:
            yield required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.get("nameservers"):
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{at}.nameservers", why)
            return
    if not config:
        return
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    if len(servers) > _MOST_SERVERS:
        why = f"must not have more than {_MOST_SERVERS} nameservers"
        yield invalid_go(f"{at}.nameservers", go_strings(servers), why)
    for index, server in enumerate(servers):
        yield from _address(f"{at}.nameservers[{index}]", server)
    if len(searches) > _MOST_SEARCHES:
        why = f"must not have more than {_MOST_SEARCHES} search paths"
        yield invalid_go(f"{at}.searches", go_strings(searches), why)
    for index, search in enumerate(searches):
        yield from formatted(f"{at}.searches[{index}]", search.removesuffix("."), dns_subdomain)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required(f"{at}.options[{index}]", "must not be empty")


def _address(at: str, text: str) -> Iterable[Cause]:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        yield invalid(at, text, _NO_ADDRESS)
