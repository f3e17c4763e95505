"""The API server's address, and the cluster addresses and node ports that Services get."""

from __future__ import annotations

import ipaddress

from pytest_selfrep.kubesim.kinds import SERVICE
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause, invalid
from pytest_selfrep.kubesim.store import Store

RANGE = ipaddress.ip_network("10.96.0.0/12")
_RESERVED = 256
"""Addresses at the start of the range that are given to those only who ask for them."""
_FIRST_NODE_PORT, _LAST_NODE_PORT = 30000, 32767
CONTROL_PLANE, CONTROL_PLANE_PORT = "10.0.10.1", 6443
API_SERVER = f"{CONTROL_PLANE}:{CONTROL_PLANE_PORT}"
"""Where the API server is reached from inside the network; the nodes' addresses follow (machines.py)."""


class Addresses:
    """Gives out addresses that no Service has yet."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    def allocate(self, service: Object) -> None:
        """Fill in a Service's ``clusterIP`` and ``nodePort`` fields, in place. Raises StatusError 422."""
        spec = service["spec"]
        kind = spec.get("type", "ClusterIP")
        if kind == "ExternalName":
            return
        asked = spec.get("clusterIP")
        taken = {each["spec"].get("clusterIP") for each in self._store.list(SERVICE)}
        if asked and asked != "None":
            _check(service, asked, taken)
        if not asked:
            asked = self._free_address(taken)
        spec["clusterIP"], spec["clusterIPs"] = asked, [asked]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if kind in ("NodePort", "LoadBalancer"):
            self._allocate_ports(spec)

    def _free_address(self, taken: set[str | None]) -> str:
        while True:
            number = _RESERVED + int(self._names.random() * (RANGE.num_addresses - _RESERVED - 1))
            address = str(RANGE[number])
            if address not in taken:
                return address

    def _allocate_ports(self, spec: Object) -> None:
        taken = {
            port.get("nodePort")
            for each in self._store.list(SERVICE)
            for port in each["spec"].get("ports") or ()
        }
        for port in spec.get("ports") or ():
            while not port.get("nodePort"):
                number = _FIRST_NODE_PORT + int(
                    self._names.random() * (_LAST_NODE_PORT - _FIRST_NODE_PORT + 1)
                )
                if number not in taken:
                    port["nodePort"] = number
            taken.add(port["nodePort"])


def _check(service: Object, asked: str, taken: set[str | None]) -> None:
    """Raises StatusError 422 for an address that a Service cannot have."""
    if asked in taken:
        problem = "provided IP is already allocated"
    elif ipaddress.ip_address(asked) not in RANGE:
        problem = f"the provided IP ({asked}) is not in the valid range. The range of valid IPs is {RANGE}"
    else:
        return
    why = f'Invalid value: ["{asked}"]: failed to allocate IP {asked}: {problem}'
    raise invalid(SERVICE, service["metadata"]["name"], [Cause("FieldValueInvalid", why, "spec.clusterIPs")])
