"""What is checked of the ports of containers, alone and next to each other."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    duplicate,
    invalid,
    one_of,
    port,
    port_name,
    required,
)

_PROTOCOLS = ("SCTP", "TCP", "UDP")


def port_causes(ports: Iterable[Object], at: str) -> Iterable[Cause]:
    """The ports of one container."""
    names: set[str] = set()
    for index, each in enumerate(ports):
        here, name = f"{at}[{index}]", each.get("name")
        if name:
            yield from _name_causes(name, f"{here}.name", names)
        number = each.get("containerPort", 0)
        if not number:
            yield required(f"{here}.containerPort")
        else:
            yield from port(f"{here}.containerPort", number)
        if each.get("hostPort"):
            yield from port(f"{here}.hostPort", each["hostPort"])
        yield from one_of(f"{here}.protocol", each["protocol"], _PROTOCOLS)


def _name_causes(name: str, at: str, seen: set[str]) -> Iterable[Cause]:
    wrong = port_name(name)
    for why in wrong:
        yield invalid(at, name, why)
    if not wrong and name in seen:
        yield duplicate(at, name)
    seen.add(name)


def host_port_causes(container: Object, at: str, taken: set[str]) -> Iterable[Cause]:
    """Ports of a node that are taken already; adds those of this container."""
    for index, each in enumerate(container.get("ports") or ()):
        if each.get("hostPort"):
            place = f"{each['protocol']}/{each.get('hostIP') or ''}/{each['hostPort']}"
            if place in taken:
                yield duplicate(f"{at}.ports[{index}].hostPort", place)
            taken.add(place)


def host_network_causes(spec: Object, at: str) -> Iterable[Cause]:
    """Containers in the network of their node, whose ports are the node's."""
    for number, container in enumerate(spec.get("containers") or ()):
        for index, each in enumerate(container.get("ports") or ()):
            if each.get("hostPort") not in (None, 0, each.get("containerPort")):
                why = "must match `containerPort` when `hostNetwork` is true"
                yield invalid(f"{at}.containers[{number}].ports[{index}].hostPort", each["hostPort"], why)
