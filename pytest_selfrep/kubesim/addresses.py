"""The API server's address, and the cluster addresses and node ports that Services get."""

from __future__ import annotations

import ipaddress

from pytest_selfrep.kubesim import serviceupdates
from pytest_selfrep.kubesim.ipfamilies import choose_families
from pytest_selfrep.kubesim.kinds import SERVICE
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Object, key_of
from pytest_selfrep.kubesim.status import Cause, StatusError, internal, invalid
from pytest_selfrep.kubesim.store import Store
from pytest_selfrep.kubesim.validation import fieldchecks
from pytest_selfrep.kubesim.validation.servicechecks import (
    EXTERNAL,
    is_headless,
    needs_health_check,
)

RANGE = ipaddress.ip_network("10.96.0.0/12")
_RESERVED = 256
"""Addresses at the start of the range that are given to those only who ask for them."""
_FIRST_NODE_PORT, _LAST_NODE_PORT = 30000, 32767
_RESERVED_PORTS = 86
"""Node ports at the start of their range, likewise."""
CONTROL_PLANE, CONTROL_PLANE_PORT = "10.0.10.1", 6443
API_SERVER = f"{CONTROL_PLANE}:{CONTROL_PLANE_PORT}"
"""Where the API server is reached from inside the network; the nodes' addresses follow (machines.py)."""


class Addresses:
    """Gives out addresses and ports that no Service has yet."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    def allocate(self, service: Object, old: Object | None) -> None:
        """Give a Service that is new or replaces ``old`` what its type needs and take the rest, in place.

        Before it is validated, as in pkg/registry/core/service/storage. Raises StatusError 422 for what it
        cannot have, 500 for ports that a client gave out twice, or for a port of health checks that is taken.
        """
        spec = service["spec"] = _own(service["spec"])
        before = old["spec"] if old is not None else {}
        if before:
            serviceupdates.keep(spec, before)
        serviceupdates.align(spec, before)
        if spec["type"] != "ExternalName":
            causes = choose_families(spec, before)
            if causes:
                raise _refused(service, causes)
            if not before or before["type"] == "ExternalName":
                self._allocate_address(service)
        taken = self._taken_ports(old)
        if spec["type"] in EXTERNAL:
            self._allocate_ports(service, before, taken)
        self._allocate_health_check(spec, before, taken)
        if before:
            serviceupdates.drop(service, before)

    def _allocate_address(self, service: Object) -> None:
        spec = service["spec"]
        if is_headless(spec):
            return
        asked = spec.get("clusterIP")
        taken = {each["spec"].get("clusterIP") for each in self._store.list(SERVICE)}
        if asked:
            _check(service, asked, taken)
        else:
            asked = self._free_address(taken)
        spec["clusterIP"], spec["clusterIPs"] = asked, [asked]

    def _free_address(self, taken: set[str | None]) -> str:
        while True:
            number = _RESERVED + int(self._names.random() * (RANGE.num_addresses - _RESERVED - 1))
            address = str(RANGE[number])
            if address not in taken:
                return address

    def _taken_ports(self, old: Object | None) -> set[int]:
        """Ports of nodes that Services other than ``old`` have."""
        own = key_of(old) if old is not None else None
        others = (each["spec"] for each in self._store.list(SERVICE) if key_of(each) != own)
        return set().union(*map(_ports_of, others))

    def _free_port(self, taken: set[int]) -> int:
        """A port that is in ``taken`` from now on. Raises StatusError 500 if there is none."""
        usual = range(_FIRST_NODE_PORT + _RESERVED_PORTS, _LAST_NODE_PORT + 1)
        if len(taken) >= len(usual) and taken.issuperset(usual):
            usual = range(_FIRST_NODE_PORT, usual.start)
            if taken.issuperset(usual):
                raise internal("Internal error occurred: failed to allocate a nodePort: range is full")
        while True:
            number = usual[int(self._names.random() * len(usual))]
            if number not in taken:
                taken.add(number)
                return number

    def _allocate_ports(self, service: Object, before: Object, taken: set[int]) -> None:
        """Protocols of one port have one node port in a new Service; a replaced one gets each its own."""
        spec = service["spec"]
        ports, held = spec.get("ports") or [], _ports_of(before)
        shared: dict[int, int] = {} if before else _asked_by_port(ports)
        reserved = taken | held | serviceupdates.node_ports(spec)
        claimed: set[tuple[int, int]] = set()
        said: set[tuple[str, int]] = set()
        for index, port in enumerate(ports):
            number, wanted = port.get("port") or 0, port.get("nodePort") or 0
            if not wanted and spec.get("allocateLoadBalancerNodePorts") is False:
                continue
            wanted = wanted or shared.get(number, 0) or self._free_port(reserved)
            place = 0 if before else number, wanted
            if wanted not in held and place not in claimed:
                _claim(service, index, wanted, taken)
            if before and (port["protocol"], wanted) in said:
                raise StatusError(500, "", f"duplicate nodePort: {{{port['protocol']} {wanted}}}")
            claimed.add(place)
            said.add((port["protocol"], wanted))
            port["nodePort"] = wanted
            if not before:
                shared.setdefault(number, wanted)

    def _allocate_health_check(self, spec: Object, before: Object, taken: set[int]) -> None:
        if not needs_health_check(spec) or (before and needs_health_check(before)):
            return
        asked = spec.get("healthCheckNodePort") or 0
        reserved = taken | _ports_of(before) | serviceupdates.node_ports(spec)
        why = _unfit(asked, reserved) if asked else ""
        if why:
            raise internal(
                f"Internal error occurred: failed to allocate requested HealthCheck NodePort {asked}: {why}"
            )
        spec["healthCheckNodePort"] = asked or self._free_port(reserved)


def _own(spec: Object) -> Object:
    """A copy that can be filled in: parts of a patched object are those of the stored one."""
    if not spec.get("ports"):
        return dict(spec)
    return {**spec, "ports": [dict(port) for port in spec["ports"]]}


def _ports_of(spec: Object) -> set[int]:
    """All ports of nodes that a Service has."""
    checked = spec.get("healthCheckNodePort")
    return serviceupdates.node_ports(spec) | ({checked} if checked else set())


def _asked_by_port(ports: list[Object]) -> dict[int, int]:
    """The first node port that is asked for, for each port."""
    asked: dict[int, int] = {}
    for port in ports:
        if port.get("nodePort"):
            asked.setdefault(port.get("port") or 0, port["nodePort"])
    return asked


def _claim(service: Object, index: int, number: int, taken: set[int]) -> None:
    """Raises StatusError 422 for a node port that a Service cannot have."""
    why = _unfit(number, taken)
    if why:
        raise _refused(service, [fieldchecks.invalid(f"spec.ports[{index}].nodePort", number, why)])
    taken.add(number)


def _unfit(number: int, taken: set[int]) -> str:
    if not _FIRST_NODE_PORT <= number <= _LAST_NODE_PORT:
        valid = f"{_FIRST_NODE_PORT}-{_LAST_NODE_PORT}"
        return f"provided port is not in the valid range. The range of valid ports is {valid}"
    return "provided port is already allocated" if number in taken else ""


def _check(service: Object, asked: str, taken: set[str | None]) -> None:
    """Raises StatusError 422 for an address that a Service cannot have."""
    if asked in taken:
        problem = "provided IP is already allocated"
    elif ipaddress.ip_address(asked) not in RANGE:
        problem = f"the provided IP ({asked}) is not in the valid range. The range of valid IPs is {RANGE}"
    else:
        return
    shown = fieldchecks.go_strings(service["spec"]["clusterIPs"])
    why = f"failed to allocate IP {asked}: {problem}"
    raise _refused(service, [fieldchecks.invalid_go("spec.clusterIPs", shown, why)])


def _refused(service: Object, causes: list[Cause]) -> StatusError:
    return invalid(SERVICE, service["metadata"]["name"], causes)
