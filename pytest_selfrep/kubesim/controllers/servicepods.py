"""Which pods stand behind which Services, at which ports, and since when (k8s.io/endpointslice)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_selfrep.kubesim.controllers.base import Context, Controller, Mapper
from pytest_selfrep.kubesim.controllers.common import FINISHED, Backoff, phase_of
from pytest_selfrep.kubesim.kinds import POD, SERVICE, Kind
from pytest_selfrep.kubesim.objects import Key, Object, condition, is_ready, is_terminating, key_of, labels_of
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change, Store

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
"""Annotation that says when the oldest change happened that led to what an object says."""
HEADLESS = "service.kubernetes.io/headless"
_CROWD = 100
"""Pods of one Service from which on changes are gathered: each costs as much as there are pods."""
_GATHER_SECONDS = 1.0

Port = tuple[str, str, int | None, str]
"""Name, protocol, number and application protocol of an endpoint's port."""


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def tolerates_unready(service: Object) -> bool:
    return bool(service["spec"].get("publishNotReadyAddresses"))


def has_address(pod: Object) -> bool:
    """Whether traffic can reach a pod, or could until lately."""
    return bool((pod.get("status") or {}).get("podIP")) and phase_of(pod) not in FINISHED


def hostname_of(pod: Object, service: Object) -> str:
    """The name that DNS gives a pod below a Service; empty for most."""
    spec = pod["spec"]
    named = spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]
    return str(spec["hostname"]) if named else ""


def reference(pod: Object) -> Object:
    """core/v1 ObjectReference."""
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def ports_of(service: Object, pod: Object) -> tuple[Port, ...]:
    """Where a Service's ports lead in a pod; those that lead nowhere are left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = _target(port.get("targetPort"), port["protocol"], pod)
        if number is not None:
            found.append((port.get("name") or "", port["protocol"], number, port.get("appProtocol") or ""))
    return tuple(found)


def _target(target: int | str | None, protocol: str, pod: Object) -> int | None:
    if not isinstance(target, str):
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def pods_behind(store: Store, service: Object) -> list[Object]:
    """The pods with an address that a Service selects, sorted by name."""
    wanted = service["spec"]["selector"].items()
    pods = store.list(POD, service["metadata"]["namespace"])
    return [pod for pod in pods if wanted <= labels_of(pod).items() and has_address(pod)]


def selects_by_itself(service: Object) -> bool:
    """Whether endpoints are the controllers' business; without a selector they are the users'."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


@dataclass(slots=True)
class Triggers:
    """When the changes happened that a Service's endpoints have not shown yet."""

    _seen: dict[Key, dict[str, str]] = field(default_factory=dict)

    def take(self, key: Key, service: Object, pods: Iterable[Object]) -> str:
        """RFC 3339; empty if nothing new happened that has a time."""
        times = {"": service["metadata"]["creationTimestamp"]}
        for pod in pods:
            ready = condition(pod, "Ready") or {}
            times[pod["metadata"]["uid"]] = ready.get("lastTransitionTime") or ""
        seen = self._seen.get(key, {})
        self._seen[key] = times
        return min((time for uid, time in times.items() if time > seen.get(uid, "")), default="")

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)


@dataclass(slots=True)
class Pace:
    """Lets the changes of Services with very many pods gather."""

    context: Context
    _free: dict[Key, float] = field(default_factory=dict)

    def must_wait(self, controller: Controller, key: Key, pods: int) -> bool:
        """Whether a Service was dealt with a moment ago; if so the controller is called again for it."""
        now, free = self.context.clock.now, self._free.get(key, 0.0)
        if now < free:
            self.context.queue.add_after(controller, key, free - now)
            return True
        if pods > _CROWD:
            self._free[key] = now + _GATHER_SECONDS
        return False


class Attempts:
    """A controller's writes for one Service at a time, again later where they are refused."""

    def __init__(self, context: Context) -> None:
        self._backoff = Backoff(context.queue)
        self.writing = False
        """Whether the changes that the controller hears of are its own."""

    def make(self, controller: Controller, key: Key, write: Callable[[], None]) -> None:
        self.writing = True
        try:
            write()
            self._backoff.forget(key)
        except StatusError:
            self._backoff.retry(controller, key)
        finally:
            self.writing = False


def watches(store: Store, made: Mapping[Kind, Mapper]) -> Mapping[Kind, Mapper]:
    """What concerns a controller that makes objects of the kinds ``made`` for Services."""

    def on_pod(change: Change) -> Iterable[Key]:
        new, old = change.object, change.old if change.type == "MODIFIED" else None
        # Just made, it has no address; gone, it had one unless it never ran.
        matters = has_address(new) if old is None else _shown(old) != _shown(new)
        namespace = new["metadata"]["namespace"]
        if not matters or not store.count(SERVICE, namespace):
            return ()
        labels = [labels_of(pod).items() for pod in (new, old) if pod is not None]
        return [
            key_of(service)
            for service in store.list(SERVICE, namespace)
            if selects_by_itself(service)
            and any(service["spec"]["selector"].items() <= each for each in labels)
        ]

    return {SERVICE: _service, POD: on_pod, **made}


def _service(change: Change) -> Iterable[Key]:
    new, old = change.object, change.old
    if (
        change.type == "MODIFIED"
        and old is not None
        and new["spec"] == old["spec"]
        and labels_of(new) == labels_of(old)
    ):
        return ()
    return (key_of(new),)


def _shown(pod: Object) -> object:
    """All of a pod that its endpoints depend on."""
    if not has_address(pod):
        return None
    status = pod["status"]
    return status["podIP"], is_ready(pod), is_terminating(pod), labels_of(pod)
