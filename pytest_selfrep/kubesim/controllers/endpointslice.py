"""EndpointSlices: the addresses behind each Service that has a selector, at most a hundred in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
from pytest_selfrep.kubesim.kinds import ENDPOINT_SLICE, NODE, SERVICE, Kind
from pytest_selfrep.kubesim.objects import (
    Key,
    Object,
    is_ready,
    is_terminating,
    key_of,
    labels_of,
    owner_reference,
)
from pytest_selfrep.kubesim.store import Change

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
_MOST = 100
"""Endpoints in one slice."""
_ZONE = "topology.kubernetes.io/zone"


class EndpointSliceController:
    """Keeps the slices of each Service. Its keys are those of Services."""

    name = "endpointslice-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._slices: dict[Key, set[Key]] = {}
        self._triggers = Triggers()
        self._pace = Pace(context)
        self._attempts = Attempts(context)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return watches(self._context.store, {ENDPOINT_SLICE: self._on_slice})

    def _on_slice(self, change: Change) -> Iterable[Key]:
        """Notes which slices there are; those that others changed or deleted are put right."""
        labels, key = labels_of(change.object), key_of(change.object)
        if labels.get(MANAGED_BY) != CONTROLLER:
            return
        service = Key(key.namespace, labels.get(SERVICE_NAME, ""))
        if change.type == "DELETED":
            self._slices.get(service, set()).discard(key)
        else:
            self._slices.setdefault(service, set()).add(key)
        if not self._attempts.writing:
            yield service

    def reconcile(self, key: Key) -> None:
        self._attempts.make(self, key, lambda: self._reconcile(key))

    def _reconcile(self, key: Key) -> None:
        service = self._context.store.get(SERVICE, key)
        if service is None or not selects_by_itself(service):
            self._triggers.forget(key)
            for each in sorted(self._slices.get(key, ())):
                self._writer.delete(ENDPOINT_SLICE, each)
        else:
            self._sync(key, service)

    def _sync(self, key: Key, service: Object) -> None:
        pods = pods_behind(self._context.store, service)
        if self._pace.must_wait(self, key, len(pods)):
            return
        wanted = self._contents(service, pods)
        found = [self._context.store.get(ENDPOINT_SLICE, each) for each in sorted(self._slices.get(key, ()))]
        present = [each for each in found if each is not None]
        labels = _labels(service)
        left = [each for each in present if _contents_of(each) not in wanted or labels_of(each) != labels]
        kept = [_contents_of(each) for each in present if each not in left]
        missing = [each for each in wanted if each not in kept]
        if not missing and not left:
            return
        trigger = self._triggers.take(key, service, pods)
        for contents in missing:
            # A slice for the same ports is changed rather than replaced.
            old = next((each for each in left if each.get("ports") == contents["ports"]), None)
            old = old or (left[0] if left else None)
            if old is not None:
                left.remove(old)
            self._write(service, contents, old, labels, trigger)
        for each in left:
            self._writer.delete(ENDPOINT_SLICE, key_of(each))

    def _write(
        self, service: Object, contents: Object, old: Object | None, labels: dict[str, str], trigger: str
    ) -> None:
        meta: Object = {} if old is None else dict(old["metadata"])
        name = service["metadata"]["name"]
        meta |= {"namespace": service["metadata"]["namespace"], "labels": labels}
        annotations = dict(meta.pop("annotations", {}))
        annotations.pop(TRIGGER, None)
        if trigger:
            annotations[TRIGGER] = trigger
        if annotations:
            meta["annotations"] = annotations
        if old is not None:
            self._writer.update(ENDPOINT_SLICE, {**old, **contents, "metadata": meta})
            return
        meta |= {"generateName": f"{name}-", "ownerReferences": [owner_reference(service)]}
        self._writer.create(ENDPOINT_SLICE, {"metadata": meta, "addressType": "IPv4", **contents})

    def _contents(self, service: Object, pods: Sequence[Object]) -> list[Object]:
        """Endpoints and ports of all slices. There is always one, if only an empty one."""
        alike: dict[tuple[Port, ...], list[Object]] = {}
        for pod in pods:
            alike.setdefault(ports_of(service, pod), []).append(self._endpoint(service, pod))
        found = [
            {"endpoints": endpoints[first : first + _MOST], "ports": [_port(port) for port in ports] or None}
            for ports, endpoints in alike.items()
            for first in range(0, len(endpoints), _MOST)
        ]
        # Go writes lists without elements as null here.
        return found or [{"endpoints": None, "ports": None}]

    def _endpoint(self, service: Object, pod: Object) -> Object:
        serving, terminating = is_ready(pod), is_terminating(pod)
        ready = tolerates_unready(service) or (serving and not terminating)
        endpoint: Object = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        }
        hostname, node = hostname_of(pod, service), pod["spec"].get("nodeName", "")
        if hostname:
            endpoint["hostname"] = hostname
        endpoint["targetRef"] = reference(pod)
        if node:
            endpoint["nodeName"] = node
        zone = labels_of(self._context.store.get(NODE, Key("", node)) or {"metadata": {}}).get(_ZONE)
        return {**endpoint, "zone": zone} if zone else endpoint


def _contents_of(endpoint_slice: Object) -> Object:
    return {field: endpoint_slice.get(field) for field in ("endpoints", "ports")}


def _labels(service: Object) -> dict[str, str]:
    labels = {name: value for name, value in labels_of(service).items() if name != HEADLESS}
    if is_headless(service):
        labels[HEADLESS] = ""
    return {**labels, MANAGED_BY: CONTROLLER, SERVICE_NAME: service["metadata"]["name"]}


def _port(port: Port) -> Object:
    name, protocol, number, application = port
    shown: Object = {"name": name, "port": number, "protocol": protocol}
    return {**shown, "appProtocol": application} if application else shown
