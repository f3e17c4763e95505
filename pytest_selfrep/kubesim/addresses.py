"""The cluster addresses and node ports that Services get."""

from __future__ import annotations

from pytest_selfrep.kubesim.kinds import SERVICE
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause, invalid
from pytest_selfrep.kubesim.store import Store

RANGE = "10.43.0.0/16"
_FIRST_NODE_PORT, _LAST_NODE_PORT = 30000, 32767


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
        if asked and asked != "None" and asked in taken:
            why = (
                f'Invalid value: ["{asked}"]: failed to allocate IP {asked}: provided IP is already allocated'
            )
            raise invalid(
                SERVICE, service["metadata"]["name"], [Cause("FieldValueInvalid", why, "spec.clusterIPs")]
            )
        if not asked:
            asked = self._free_address(taken)
        spec["clusterIP"], spec["clusterIPs"] = asked, [asked]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if kind in ("NodePort", "LoadBalancer"):
            self._allocate_ports(spec)

    def _free_address(self, taken: set[str | None]) -> str:
        while True:
            number = 256 + int(self._names.random() * (65536 - 512))
            address = f"10.43.{number >> 8}.{number & 255}"
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
