"""LimitRanges: requests and limits for containers that state none; bounds for pods and claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.scheduling import podresources

ANNOTATION = "kubernetes.io/limit-ranger"

Amounts = Mapping[str, str]


def fill(pod: Object, ranges: Iterable[Object]) -> None:
    """Give containers the default requests and limits, in place, noting so in an annotation."""
    requests, limits = _defaults(ranges)
    notes: list[str] = []
    spec = pod["spec"]
    for field, called in (("initContainers", "init container"), ("containers", "container")):
        for container in spec.get(field) or ():
            resources = container.setdefault("resources", {})
            for which, defaults, word in (("requests", requests, "request"), ("limits", limits, "limit")):
                missing = [name for name in sorted(defaults) if name not in (resources.get(which) or {})]
                if missing:
                    added = {name: defaults[name] for name in missing}
                    resources[which] = {**(resources.get(which) or {}), **added}
                    notes.append(f"{', '.join(missing)} {word} for {called} {container.get('name', '')}")
    if notes:
        meta = pod["metadata"]
        text = "LimitRanger plugin set: " + "; ".join(notes)
        meta["annotations"] = {**(meta.get("annotations") or {}), ANNOTATION: text}


def _defaults(ranges: Iterable[Object]) -> tuple[dict[str, str], dict[str, str]]:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in _items(ranges):
        if item["type"] == "Container":
            requests |= item.get("defaultRequest") or {}
            limits |= item.get("default") or {}
    return requests, limits


def _items(ranges: Iterable[Object]) -> Iterable[Object]:
    for each in ranges:
        yield from each["spec"].get("limits") or ()


def broken_by_claim(claim: Object, ranges: Iterable[Object]) -> list[str]:
    """The bounds that a claim breaks, in the API server's words. Claims have no limits, only requests."""
    asked = claim["spec"]["resources"].get("requests") or {}
    found: list[str] = []
    for item in _items(ranges):
        if item["type"] == "PersistentVolumeClaim":
            for name, bound in (item.get("min") or {}).items():
                found += _below(name, item["type"], bound, asked.get(name), None)
            for name, bound in (item.get("max") or {}).items():
                found += _asks_above(name, item["type"], bound, asked.get(name))
    return found


def broken_by_pod(pod: Object, ranges: Iterable[Object]) -> list[str]:
    """The bounds that a pod breaks, in the API server's words."""
    spec = pod["spec"]
    found: list[str] = []
    for item in _items(ranges):
        if item["type"] == "Container":
            for container in (*spec["containers"], *(spec.get("initContainers") or ())):
                asked = podresources.of_container(container, "requests")
                found += _of_item(item, asked, podresources.of_container(container, "limits"))
        elif item["type"] == "Pod":
            asked, limits = podresources.of_pod(spec, "requests"), podresources.of_pod(spec, "limits")
            found += _of_item(item, asked, limits)
    return found


def _of_item(item: Object, requests: Amounts, limits: Amounts) -> Iterable[str]:
    kind = item["type"]
    for name, bound in (item.get("min") or {}).items():
        yield from _below(name, kind, bound, requests.get(name), limits.get(name))
    for name, bound in (item.get("max") or {}).items():
        yield from _above(name, kind, bound, requests.get(name), limits.get(name))
    for name, bound in (item.get("maxLimitRequestRatio") or {}).items():
        yield from _ratio(name, kind, bound, requests.get(name), limits.get(name))


def _below(name: str, kind: str, bound: str, request: str | None, limit: str | None) -> Iterable[str]:
    said = f"minimum {name} usage per {kind} is {bound}"
    if request is None:
        yield f"{said}.  No request is specified"
    elif quantity.parse(request) < quantity.parse(bound):
        yield f"{said}, but request is {request}"
    elif limit is not None and quantity.parse(limit) < quantity.parse(bound):
        yield f"{said}, but limit is {limit}"


def _above(name: str, kind: str, bound: str, request: str | None, limit: str | None) -> Iterable[str]:
    said = f"maximum {name} usage per {kind} is {bound}"
    if limit is None:
        yield f"{said}.  No limit is specified"
    elif quantity.parse(limit) > quantity.parse(bound):
        yield f"{said}, but limit is {limit}"
    elif request is not None and quantity.parse(request) > quantity.parse(bound):
        yield f"{said}, but request is {request}"


def _asks_above(name: str, kind: str, bound: str, request: str | None) -> Iterable[str]:
    said = f"maximum {name} usage per {kind} is {bound}"
    if request is None:
        yield f"{said}.  No request is specified"
    elif quantity.parse(request) > quantity.parse(bound):
        yield f"{said}, but request is {request}"


def _ratio(name: str, kind: str, bound: str, request: str | None, limit: str | None) -> Iterable[str]:
    said = f"{name} max limit to request ratio per {kind} is {bound}"
    if request is None or not quantity.parse(request):
        yield f"{said}, but no request is specified or request is 0"
    elif limit is None or not quantity.parse(limit):
        yield f"{said}, but no limit is specified or limit is 0"
    else:
        ratio = quantity.parse(limit) / quantity.parse(request)
        if ratio > quantity.parse(bound):
            yield f"{said}, but provided ratio is {float(ratio):.6f}"
