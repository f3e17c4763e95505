"""The size of what can be scaled: workloads of Kubernetes' own, and custom resources that say where it is."""

from __future__ import annotations

from pytest_selfrep.kubesim.customresources.paths import first, with_value
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.selectors import format_labels, selector_of
from pytest_selfrep.kubesim.status import StatusError


def is_scalable(kind: Kind | None) -> bool:
    return kind is not None and "scale" in kind.subresources


def wanted(kind: Kind, obj: Object) -> int:
    """How many replicas there are to be; 0 for a custom resource that does not say it."""
    if kind.custom is None or kind.custom.scale is None:
        return int(obj["spec"].get("replicas", 1))
    found = first(obj, kind.custom.scale.spec_replicas)
    return found if isinstance(found, int) else 0


def check_said(kind: Kind, obj: Object) -> None:
    """Raises StatusError 500 for a custom resource that does not say how many replicas there are to be."""
    if kind.custom is None or kind.custom.scale is None:
        return
    path = kind.custom.scale.spec_replicas
    if not isinstance(first(obj, path), int):
        why = f'the spec replicas field "{path}" does not exist'
        causes = {"causes": [{"message": why}]}
        raise StatusError(500, "InternalError", f"Internal error occurred: {why}", causes)


def present(kind: Kind, obj: Object) -> int:
    """How many replicas there are."""
    if kind.custom is None or kind.custom.scale is None:
        return int((obj.get("status") or {}).get("replicas", 0))
    found = first(obj, kind.custom.scale.status_replicas)
    return found if isinstance(found, int) else 0


def selector(kind: Kind, obj: Object) -> str:
    """Which pods are its replicas, as a query spells it; empty if nothing says so."""
    if kind.custom is None or kind.custom.scale is None:
        return format_labels(selector_of(obj))
    path = kind.custom.scale.label_selector
    found = first(obj, path) if path else None
    return found if isinstance(found, str) else ""


def resized(kind: Kind, obj: Object, replicas: int) -> Object:
    """A copy that wants so many replicas."""
    path = (
        ".spec.replicas"
        if kind.custom is None or kind.custom.scale is None
        else kind.custom.scale.spec_replicas
    )
    copy: Object = {**obj, "metadata": {**obj["metadata"]}}
    return with_value(copy, path, replicas)
