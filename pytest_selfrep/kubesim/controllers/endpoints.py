"""Endpoints: the addresses behind each Service that has a selector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.servicepods import (
    HEADLESS,
    TRIGGER,
    Attempts,
    Pace,
    Port,
    Triggers,
    hostname_of,
    is_headless,
    pods_behind,
    ports_of,
    reference,
    selects_by_itself,
    tolerates_unready,
    watches,
)
from pytest_selfrep.kubesim.kinds import ENDPOINTS, SERVICE, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_ready, is_terminating, key_of, labels_of
from pytest_selfrep.kubesim.store import Change

_CAPACITY = 1000
"""Addresses that one object may have; more are left out and it says so."""
_OVER = "endpoints.kubernetes.io/over-capacity"


class EndpointsController:
    """Keeps one object of the same name for each Service. Its keys are those of Services."""

    name = "endpoint-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._triggers = Triggers()
        self._pace = Pace(context)
        self._attempts = Attempts(context)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return watches(self._context.store, {ENDPOINTS: self._deleted})

    def _deleted(self, change: Change) -> Iterable[Key]:
        """What others delete is made again; what they change stays until the Service's pods do."""
        return () if self._attempts.writing or change.type != "DELETED" else (key_of(change.object),)

    def reconcile(self, key: Key) -> None:
        self._attempts.make(self, key, lambda: self._reconcile(key))

    def _reconcile(self, key: Key) -> None:
        store = self._context.store
        service, found = store.get(SERVICE, key), store.get(ENDPOINTS, key)
        if service is None:
            self._triggers.forget(key)
            self._writer.delete(ENDPOINTS, key)
        elif selects_by_itself(service):
            self._sync(key, service, found)

    def _sync(self, key: Key, service: Object, found: Object | None) -> None:
        pods = [
            pod
            for pod in pods_behind(self._context.store, service)
            if tolerates_unready(service) or not is_terminating(pod)
        ]
        if self._pace.must_wait(self, key, len(pods)):
            return
        subsets = subsets_of(service, pods[:_CAPACITY])
        labels = dict(labels_of(service))
        labels.pop(HEADLESS, None)
        if is_headless(service):
            labels[HEADLESS] = ""
        if found is not None and found.get("subsets", []) == subsets and labels_of(found) == labels:
            return
        annotations = dict((found or {"metadata": {}})["metadata"].get("annotations") or {})
        for name, value in (
            (TRIGGER, self._triggers.take(key, service, pods)),
            (_OVER, "truncated" if len(pods) > _CAPACITY else ""),
        ):
            annotations.pop(name, None)
            if value:
                annotations[name] = value
        meta: Object = dict(found["metadata"]) if found is not None else {}
        meta |= {"name": key.name, "namespace": key.namespace, "labels": labels, "annotations": annotations}
        # Empty maps and lists are left out, as Go leaves them out.
        meta = {name: value for name, value in meta.items() if value != {}}
        wanted: Object = {"metadata": meta}
        if subsets:
            wanted["subsets"] = subsets
        if found is None:
            self._writer.create(ENDPOINTS, wanted)
        else:
            self._writer.update(ENDPOINTS, wanted)


def subsets_of(service: Object, pods: Sequence[Object]) -> list[Object]:
    """Addresses gathered by the ports that they all have (EndpointSubsets)."""
    behind: dict[Port | None, list[tuple[Object, bool]]] = {}
    for pod in pods:
        entry = _address(service, pod), tolerates_unready(service) or is_ready(pod)
        ports: Sequence[Port | None] = ports_of(service, pod)
        if not service["spec"].get("ports") and is_headless(service):
            ports = (None,)
        for port in ports:
            behind.setdefault(port, []).append(entry)
    alike: dict[tuple[str, ...], list[Port | None]] = {}
    for port, entries in behind.items():
        alike.setdefault(tuple(each["targetRef"]["uid"] for each, _ in entries), []).append(port)
    return [_subset(ports, behind[ports[0]]) for ports in alike.values()]


def _subset(ports: Iterable[Port | None], entries: Sequence[tuple[Object, bool]]) -> Object:
    subset: Object = {}
    for name, wanted in (("addresses", True), ("notReadyAddresses", False)):
        found = [address for address, ready in entries if ready is wanted]
        if found:
            subset[name] = sorted(found, key=_number) if len(found) > 1 else found
    shown = [_port(port) for port in ports if port is not None]
    return {**subset, "ports": shown} if shown else subset


def _number(address: Object) -> int:
    return int(ip_address(address["ip"]))


def _address(service: Object, pod: Object) -> Object:
    address: Object = {"ip": pod["status"]["podIP"]}
    hostname = hostname_of(pod, service)
    if hostname:
        address["hostname"] = hostname
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    return {**address, "targetRef": reference(pod)}


def _port(port: Port) -> Object:
    name, protocol, number, application = port
    shown: Object = {"name": name} if name else {}
    shown |= {"port": number, "protocol": protocol}
    return {**shown, "appProtocol": application} if application else shown
