"""What a ResourceQuota counts, and how much of it an object takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pytest_selfrep.kubesim import podresources, quantity
from pytest_selfrep.kubesim.kinds import (
    CONFIG_MAP,
    KINDS,
    POD,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    Kind,
)
from pytest_selfrep.kubesim.objects import Object, is_terminating
from pytest_selfrep.kubesim.store import Store

_COUNTED_PLAINLY = {
    CONFIG_MAP: "configmaps",
    SECRET: "secrets",
    SERVICE: "services",
    RESOURCE_QUOTA: "resourcequotas",
}
_MUST_SAY = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
"""Compute resources that every container must specify where a quota constrains them."""

_SCOPES: Mapping[str, Callable[[Object], bool]] = {
    "BestEffort": lambda pod: podresources.quality_of_service(pod["spec"]) == "BestEffort",
    "NotBestEffort": lambda pod: podresources.quality_of_service(pod["spec"]) != "BestEffort",
    "Terminating": lambda pod: pod["spec"].get("activeDeadlineSeconds") is not None,
    "NotTerminating": lambda pod: pod["spec"].get("activeDeadlineSeconds") is None,
}

COUNTED: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind.namespaced)


def covers(quota: Object, kind: Kind, obj: Object) -> bool:
    """Whether a quota's scopes let it count an object; scopes are about pods alone."""
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


def _service_usage(service: Object) -> dict[str, str]:
    spec = service["spec"]
    ports = len(spec.get("ports") or ())
    match spec.get("type"):
        case "NodePort":
            return {"services.nodeports": str(ports)}
        case "LoadBalancer":
            return {"services.nodeports": str(ports), "services.loadbalancers": "1"}
    return {}


def used_in(store: Store, quota: Object) -> dict[str, str]:
    """What the objects of a quota's namespace take together, for each name in its ``hard``."""
    hard = quota["spec"].get("hard") or {}
    namespace = quota["metadata"]["namespace"]
    used = dict.fromkeys(hard, "0")
    for kind in COUNTED:
        if not store.count(kind, namespace) or not _mentions(hard, kind):
            continue
        for obj in store.list(kind, namespace):
            if covers(quota, kind, obj):
                used = added(used, usage_of(kind, obj))
    return {name: quantity.canonical(text) for name, text in used.items()}


def added(used: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """``used`` and so much more, for the names in ``used``."""
    return {name: quantity.total((text, more[name])) if name in more else text for name, text in used.items()}


def _mentions(hard: Iterable[str], kind: Kind) -> bool:
    """Whether a quota on those names could count objects of a kind."""
    if kind is POD:
        plain = ("requests.", "limits.", "pods", "cpu", "memory", "ephemeral-storage", "count/pods")
        return any(name.startswith(plain) for name in hard)
    plain_name = _COUNTED_PLAINLY.get(kind, "")
    return any(
        name == f"count/{kind.resource}" or (plain_name and name.startswith(plain_name)) for name in hard
    )


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
                lacking.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(lacking[name]))}" for name in sorted(lacking))


def exceeded(quota: Object, wanted: Mapping[str, str]) -> str:
    """How an object that takes ``wanted`` would exceed the quota, in the API server's words; empty if not."""
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    over = [
        name
        for name in sorted(hard)
        if name in wanted
        and quantity.parse(wanted[name]) > 0
        and quantity.parse(used.get(name, "0")) + quantity.parse(wanted[name]) > quantity.parse(hard[name])
    ]
    if not over:
        return ""

    def listed(amounts: Mapping[str, str]) -> str:
        return ",".join(f"{name}={quantity.canonical(amounts.get(name, '0'))}" for name in over)

    return f"requested: {listed(wanted)}, used: {listed(used)}, limited: {listed(hard)}"


def charge(store: Store, quota: Object, wanted: Mapping[str, str]) -> None:
    """Note what an admitted object takes at once, so that the next one finds it counted."""
    status = quota["status"]
    used = added(status["used"], wanted)
    if used != status["used"]:
        meta = dict(quota["metadata"])
        store.put(RESOURCE_QUOTA, {**quota, "metadata": meta, "status": {**status, "used": used}})


def counts_differently(new: Object, old: Object) -> bool:
    """Whether a pod's change alters what it takes."""
    return _is_over(new) != _is_over(old) or is_terminating(new) != is_terminating(old)
