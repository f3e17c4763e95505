"""What must be right about a Node."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import invalid, one_of, required

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def node_causes(node: Object, old: Object | None) -> list[Cause]:
    """Its taints, and the parts of its status that others reckon with."""
    return [*_taint_causes(node.get("spec") or {}), *_status_causes(node.get("status") or {})]


def _taint_causes(spec: Object) -> Iterator[Cause]:
    for index, taint in enumerate(spec.get("taints") or ()):
        at = f"spec.taints[{index}]"
        if not taint.get("key"):
            yield required(f"{at}.key", "name part must be non-empty")
        if taint.get("effect"):
            yield from one_of(f"{at}.effect", taint["effect"], EFFECTS)
        else:
            yield required(f"{at}.effect")


def _status_causes(status: Object) -> Iterator[Cause]:
    for field in ("capacity", "allocatable"):
        for name, text in (status.get(field) or {}).items():
            try:
                quantity.parse(text)
            except quantity.InvalidQuantity as error:
                yield invalid(f"status.{field}[{name}]", text, str(error))
    for field, parts in (("conditions", ("type", "status")), ("addresses", ("type", "address"))):
        for index, each in enumerate(status.get(field) or ()):
            for part in parts:
                if not each.get(part):
                    yield required(f"status.{field}[{index}].{part}")
