"""Parts of objects that are always there, because Go has them by value: left out, they are empty."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim import kinds
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object

_TEMPLATE = ("template", "template.metadata", "template.spec", "template.spec.containers[]")


def _below(path: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    return (path, *(f"{path}.{part}" for part in parts))


_WORKLOAD = _below("spec", _TEMPLATE)

STRUCTS: Mapping[Kind, tuple[str, ...]] = {
    kinds.NODE: ("spec", "status"),
    kinds.POD: ("spec", "spec.containers[]"),
    kinds.SERVICE: ("spec",),
    kinds.EVENT: ("involvedObject", "source"),
    kinds.RESOURCE_QUOTA: ("spec",),
    kinds.LIMIT_RANGE: ("spec", "spec.limits[]"),
    kinds.DEPLOYMENT: _WORKLOAD,
    kinds.REPLICA_SET: _WORKLOAD,
    kinds.STATEFUL_SET: _WORKLOAD,
    kinds.DAEMON_SET: _WORKLOAD,
    kinds.JOB: _below("spec", _TEMPLATE),
    kinds.CRON_JOB: ("spec", *_below("spec.jobTemplate", _below("spec", _TEMPLATE))),
    kinds.HORIZONTAL_POD_AUTOSCALER: ("spec", "spec.scaleTargetRef"),
    kinds.POD_DISRUPTION_BUDGET: ("spec",),
    kinds.LEASE: ("spec",),
    kinds.INGRESS: ("spec",),
    kinds.INGRESS_CLASS: ("spec",),
    kinds.NETWORK_POLICY: _below("spec", ("podSelector",)),
    kinds.ROLE_BINDING: ("roleRef",),
    kinds.CLUSTER_ROLE_BINDING: ("roleRef",),
}
"""Dotted paths, outer parts first; ``[]`` ends one that is a list."""

_PATHS = {
    kind: [(path.removesuffix("[]").split("."), path.endswith("[]")) for path in paths]
    for kind, paths in STRUCTS.items()
}


def complete(kind: Kind, obj: Object) -> None:
    """Add what is not there, in place, to an object of the right types."""
    for (*outer, last), is_list in _PATHS.get(kind, ()):
        place = obj
        for step in outer:
            place = place[step]
        if last not in place:
            place[last] = [] if is_list else {}
