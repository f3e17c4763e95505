"""Events about nodes: that they came and went, are ready or not, take pods or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.kinds import NODE, Kind
from pytest_selfrep.kubesim.nodes.nodelifecycle import USER
from pytest_selfrep.kubesim.objects import Key, Object, is_ready, key_of
from pytest_selfrep.kubesim.store import Change

Happening = tuple[str, str, str]
"""Who reports, reason and message."""


class NodeEvents:
    """Reports what the node controller and the kubelets report."""

    name = "node-events"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._unreported: dict[Key, list[tuple[Object, Happening]]] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {NODE: self._on_node}

    def _on_node(self, change: Change) -> Iterable[Key]:
        happenings = [(change.object, each) for each in _happenings(change)]
        if not happenings:
            return ()
        key = key_of(change.object)
        self._unreported.setdefault(key, []).extend(happenings)
        return (key,)

    def reconcile(self, key: Key) -> None:
        for node, (user, reason, message) in self._unreported.pop(key, ()):
            self._context.writer(user).record(node, "Normal", reason, message)


def _happenings(change: Change) -> Iterator[Happening]:
    node, old = change.object, change.old
    name = node["metadata"]["name"]
    kubelet = f"system:node:{name}"
    if change.type == "DELETED":
        yield USER, "RemovingNode", f"Node {name} event: Removing Node {name} from Controller"
    elif old is None:
        yield USER, "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller"
    else:
        if is_ready(old) != is_ready(node):
            user, reason = (kubelet, "NodeReady") if is_ready(node) else (USER, "NodeNotReady")
            yield user, reason, f"Node {name} status is now: {reason}"
        if _is_cordoned(old) != _is_cordoned(node):
            reason = "NodeNotSchedulable" if _is_cordoned(node) else "NodeSchedulable"
            yield kubelet, reason, f"Node {name} status is now: {reason}"


def _is_cordoned(node: Object) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))
