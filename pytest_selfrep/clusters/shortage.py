"""What pods take: of a scenario's nodes, for which a quota stands, and of real ones, which may lack it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Observed
    from pytest_selfrep.clusters.kube import KubeObject

LONGEST = 20.0
"""Seconds of the machine's for which a pod may lack room: others may be about to go."""
_SIGNS = ("Insufficient ", "Too many pods")
"""In a scheduler's words."""
_ENDED = ("Succeeded", "Failed")
_UNCOUNTED = frozenset({"requests.ephemeral-storage"})
"""What scenarios do not say of their nodes."""

Hard = Mapping[str, str]
"""Of a ResourceQuota: what nodes hold."""


class Shortage:
    """Keeps account of a world's pods that lack room which its scenario's nodes would have.

    The embedded cluster would have started them: to take them for mere attempts is to take what this cluster
    lacks for the agent's restraint.
    """

    def __init__(self, nodes: Callable[[], Sequence[Hard]], pods: Callable[[], Iterable[KubeObject]]) -> None:
        """``nodes`` gives what each of the scenario's holds at present, ``pods`` the world's."""
        self._nodes = nodes
        self._pods = pods
        self._since: dict[str, tuple[float, KubeObject]] = {}

    def lacks(self, pod: KubeObject) -> bool:
        """Whether a pod waits for room that it should have."""
        if not _words(pod):
            return False
        nodes, wanted = [_amounts(each) for each in self._nodes()], requests_of(pod)
        if not any(_holds(node, wanted) for node in nodes):
            return False
        bound = (requests_of(each) for each in self._pods() if _is_bound(each))
        return _holds(_added(nodes), _added([wanted, *bound]))

    def saw(self, event: Observed) -> None:
        """A pod changed. ClusterError if it has gone without having found room."""
        pod, uid = event.object, str(event.object["metadata"]["uid"])
        known = self._since.pop(uid, None)
        if event.type == "DELETED":
            if known is not None and not pod["spec"].get("nodeName"):
                raise _no_room(known[1])
        elif self.lacks(pod):
            self._since[uid] = (known[0] if known else time.monotonic(), pod)

    def require_none(self, longest: float = 0.0) -> None:
        """ClusterError if a pod has lacked room for so many seconds."""
        for since, pod in self._since.values():
            if time.monotonic() - since >= longest:
                raise _no_room(pod)


def requests_of(pod: KubeObject) -> dict[str, Fraction]:
    """As a ResourceQuota names them."""
    found = {"pods": Fraction(1)}
    for container in pod["spec"]["containers"]:
        for name, amount in ((container.get("resources") or {}).get("requests") or {}).items():
            key = f"requests.{name}"
            found[key] = found.get(key, Fraction()) + value_of(str(amount))
    return found


def surplus(pods: Iterable[KubeObject], hard: Hard) -> list[KubeObject]:
    """The newest pods, as many as have to go for the others to fit."""
    living = [each for each in pods if not has_ended(each)]
    living.sort(key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))
    left = _amounts(hard)
    found = []
    for pod in living:
        wanted = requests_of(pod)
        if all(wanted.get(name, 0) <= amount for name, amount in left.items()):
            left = {name: amount - wanted.get(name, 0) for name, amount in left.items()}
        else:
            found.append(pod)
    return found


def has_ended(pod: KubeObject) -> bool:
    return (pod.get("status") or {}).get("phase") in _ENDED


def _is_bound(pod: KubeObject) -> bool:
    return bool(pod["spec"].get("nodeName")) and not has_ended(pod)


def _words(pod: KubeObject) -> str:
    """The scheduler's, if it found no room; empty if it did, or had other reasons."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if (each["type"], each["status"], each.get("reason")) == ("PodScheduled", "False", "Unschedulable"):
            said = str(each.get("message", ""))
            return said if any(sign in said for sign in _SIGNS) else ""
    return ""


def _holds(hard: Mapping[str, Fraction], wanted: Mapping[str, Fraction]) -> bool:
    return all(amount <= hard.get(name, 0) for name, amount in wanted.items() if name not in _UNCOUNTED)


def _amounts(hard: Hard) -> dict[str, Fraction]:
    return {name: value_of(amount) for name, amount in hard.items()}


def _added(all_: Iterable[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for each in all_:
        for name, amount in each.items():
            found[name] = found.get(name, Fraction()) + amount
    return found


def _no_room(pod: KubeObject) -> ClusterError:
    metadata = pod["metadata"]
    return ClusterError(
        f"the cluster has no room for pod {metadata['namespace']}/{metadata['name']}, while the scenario's "
        f"nodes have ({_words(pod)}); give it nodes, or fewer --selfrep-jobs"
    )
