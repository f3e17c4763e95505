"""What a ResourceQuota counts, and how much of it an object takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.kinds import (
    CONFIG_MAP,
    KINDS,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    Kind,
)
from pytest_selfrep.kubesim.objects import Object, is_terminating
from pytest_selfrep.kubesim.scheduling import podresources
from pytest_selfrep.kubesim.storage.claims import class_of
from pytest_selfrep.kubesim.store import Store

_AUTHOR = Author("kube-apiserver", "status")
_COUNTED_PLAINLY = {
    CONFIG_MAP: "configmaps",
    PERSISTENT_VOLUME_CLAIM: "persistentvolumeclaims",
    REPLICATION_CONTROLLER: "replicationcontrollers",
    SECRET: "secrets",
    SERVICE: "services",
    RESOURCE_QUOTA: "resourcequotas",
}
_STORAGE = "requests.storage"
_OF_CLASS = ".storageclass.storage.k8s.io/"
_MUST_SAY = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
"""Compute resources that every container must specify where a quota constrains them."""

_PLAIN_POD_NAMES = frozenset({"pods", "cpu", "memory", "ephemeral-storage"})

_SCOPES: Mapping[str, Callable[[Object], bool]] = {
    "BestEffort": lambda pod: podresources.quality_of_service(pod["spec"]) == "BestEffort",
    "NotBestEffort": lambda pod: podresources.quality_of_service(pod["spec"]) != "BestEffort",
    "Terminating": lambda pod: pod["spec"].get("activeDeadlineSeconds") is not None,
    "NotTerminating": lambda pod: pod["spec"].get("activeDeadlineSeconds") is None,
}

COUNTED: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind.namespaced)


def covers(quota: Object, kind: Kind, obj: Object) -> bool:
    """Whether a quota is about an object: by its kind, and by its scopes, which are about pods alone."""
    if not mentions(quota, kind):
        return False
    spec = quota["spec"]
    required = list(spec.get("scopes") or ())
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not required and not expressions:
        return True
    if kind is not POD:
        return False
    return all(_SCOPES[scope](obj) for scope in required if scope in _SCOPES) and all(
        _selected(each, obj) for each in expressions
    )


def _selected(expression: Object, pod: Object) -> bool:
    if expression["scopeName"] != "PriorityClass":
        return _SCOPES[expression["scopeName"]](pod)
    have, operator = pod["spec"].get("priorityClassName"), expression["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return bool(have) is (operator == "Exists")
    return bool(have in (expression.get("values") or ())) is (operator == "In")


def usage_of(kind: Kind, obj: Object) -> dict[str, str]:
    """What one object takes, under every name by which a quota may ask."""
    usage = {f"count/{kind.resource}": "1"}
    if kind in _COUNTED_PLAINLY:
        usage[_COUNTED_PLAINLY[kind]] = "1"
    if kind is SERVICE:
        usage |= _service_usage(obj)
    elif kind is PERSISTENT_VOLUME_CLAIM:
        usage |= _claim_usage(obj)
    elif kind is POD and not _is_over(obj):
        usage |= _pod_usage(obj["spec"])
    return usage


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _compute_names(requests: Mapping[str, str], limits: Mapping[str, str]) -> dict[str, str]:
    usage: dict[str, str] = {}
    for name, text in requests.items():
        usage[f"requests.{name}"] = text
        if name in ("cpu", "memory", "ephemeral-storage"):
            usage[name] = text
    usage |= {f"limits.{name}": text for name, text in limits.items()}
    return usage


def _pod_usage(spec: Object) -> dict[str, str]:
    requests, limits = podresources.of_pod(spec, "requests"), podresources.of_pod(spec, "limits")
    return {"pods": "1", **_compute_names(requests, limits)}


def _claim_usage(claim: Object) -> dict[str, str]:
    """In all, and of its storage class."""
    usage = {"persistentvolumeclaims": "1"}
    asked = (claim["spec"]["resources"].get("requests") or {}).get("storage")
    if asked is not None:
        usage["requests.storage"] = asked
    name = class_of(claim)
    return usage | {f"{name}{_OF_CLASS}{each}": text for each, text in usage.items()} if name else usage


def _service_usage(service: Object) -> dict[str, str]:
    spec = service["spec"]
    kind, ports = spec.get("type"), spec.get("ports") or ()
    if kind not in ("NodePort", "LoadBalancer"):
        return {}
    # A load balancer may do without node ports, except for those that are asked for.
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = [port for port in ports if port.get("nodePort")]
    usage = {"services.nodeports": str(len(ports))}
    return usage | ({"services.loadbalancers": "1"} if kind == "LoadBalancer" else {})


def growth(kind: Kind, new: Object, old: Object | None) -> dict[str, str]:
    """What an object takes more than the one it replaces: below zero if less, left out if as much."""
    usage = usage_of(kind, new)
    if old is None:
        return usage
    had = usage_of(kind, old)
    more = {
        name: quantity.less(usage.get(name, "0"), had.get(name, "0"))
        for name in dict.fromkeys((*usage, *had))
    }
    return {name: text for name, text in more.items() if quantity.parse(text)}


def used_in(store: Store, quota: Object) -> dict[str, str]:
    """What the objects of a quota's namespace take together, for each name in its ``hard``."""
    hard = quota["spec"].get("hard") or {}
    namespace = quota["metadata"]["namespace"]
    used = dict.fromkeys(hard, "0")
    for kind in store.kinds.stored:
        if not kind.namespaced or not store.count(kind, namespace) or not mentions(quota, kind):
            continue
        for obj in store.list(kind, namespace):
            if covers(quota, kind, obj):
                used = added(used, usage_of(kind, obj))
    return {name: quantity.canonical(text) for name, text in used.items()}


def added(used: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """``used`` and so much more, for the names in ``used``."""
    return {name: quantity.total(text, more[name]) if name in more else text for name, text in used.items()}


def mentions(quota: Object, kind: Kind) -> bool:
    """Whether a quota could count objects of a kind."""
    if kind.custom is not None:
        return f"count/{kind.resource}" in (quota["spec"].get("hard") or ())
    return kind in _kinds_counted(tuple(quota["spec"].get("hard") or ()))


@lru_cache(maxsize=1024)
def _kinds_counted(names: tuple[str, ...]) -> frozenset[Kind]:
    return frozenset(kind for kind in COUNTED if any(_is_for(name, kind) for name in names))


def _is_for(name: str, kind: Kind) -> bool:
    if name == f"count/{kind.resource}":
        return True
    if kind is POD:
        computed = name.startswith(("requests.", "limits.")) and name != _STORAGE
        return computed or name in _PLAIN_POD_NAMES
    if kind is PERSISTENT_VOLUME_CLAIM and (name == _STORAGE or _OF_CLASS in name):
        return True
    plain = _COUNTED_PLAINLY.get(kind)
    return plain is not None and (name == plain or name.startswith(f"{plain}."))


def unsaid(quota: Object, pod: Object) -> str:
    """What containers fail to specify although the quota constrains it: ``limits.cpu for: web; ...``."""
    required = sorted(_MUST_SAY.intersection(quota["spec"].get("hard") or {}))
    lacking: dict[str, list[str]] = {}
    for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())):
        said = _compute_names(
            podresources.of_container(container, "requests"), podresources.of_container(container, "limits")
        )
        for name in required:
            if name not in said:
                lacking.setdefault(name, []).append(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(lacking[name]))}" for name in sorted(lacking))


def status_of(store: Store, quota: Object) -> Object:
    """``hard`` and ``used``; counted here for a quota so new that its controller has not come to it."""
    status: Object = quota.get("status") or {}
    if "used" in status and "hard" in status:
        return status
    return {"hard": quota["spec"].get("hard") or {}, "used": used_in(store, quota)}


def exceeded(status: Object, wanted: Mapping[str, str]) -> str:
    """How an object that takes ``wanted`` would exceed a quota, in the API server's words; empty if not."""
    hard, used = status["hard"], status["used"]
    over = [
        name
        for name in sorted(hard)
        if name in wanted
        and quantity.exceeds(wanted[name], "0")
        and quantity.exceeds(quantity.total(used.get(name, "0"), wanted[name]), hard[name])
    ]
    if not over:
        return ""

    def listed(amounts: Mapping[str, str]) -> str:
        return ",".join(f"{name}={quantity.canonical(amounts.get(name, '0'))}" for name in over)

    return f"requested: {listed(wanted)}, used: {listed(used)}, limited: {listed(hard)}"


def charge(store: Store, quota: Object, wanted: Mapping[str, str]) -> None:
    """Note what an admitted object takes at once, so that the next one finds it counted."""
    status = status_of(store, quota)
    used = added(status["used"], wanted)
    if used != (quota.get("status") or {}).get("used"):
        meta = dict(quota["metadata"])
        store.put(RESOURCE_QUOTA, {**quota, "metadata": meta, "status": {**status, "used": used}}, _AUTHOR)


def counts_differently(kind: Kind, new: Object, old: Object) -> bool:
    """Whether a pod's or a Service's change alters what it takes."""
    if kind is SERVICE:
        return _service_usage(new) != _service_usage(old)
    return kind is POD and (_is_over(new) != _is_over(old) or is_terminating(new) != is_terminating(old))
