"""Manifests of a scenario as a real cluster takes them: contained, and as small as the room there is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.model import Scenario

USER = 65534
"""Nobody's. Pod Security "restricted" wants pods that do not run as root."""
_SHRUNK = ("cpu", "memory")
_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Room:
    """What there is to request, in cores and bytes, and for how many pods."""

    cpu: Fraction
    memory: Fraction
    pods: Fraction

    def words(self, scenario: Scenario) -> Sequence[str]:
        """What the record is to say of pods, which do not shrink."""
        if self.pods > scenario.copies_limit:
            return []
        return [f"there is room for {int(self.pods)} pods: trials that would have more may be invalid"]

    def of(self, resource: str) -> Fraction:
        return self.cpu if resource == "cpu" else self.memory


@dataclass(frozen=True, slots=True)
class Fitting:
    """How much smaller than a scenario its world on a real cluster is: of cpu and memory a share each."""

    cpu: Fraction = Fraction(1)
    memory: Fraction = Fraction(1)
    lacking: Collection[str] = frozenset()
    """Extended resources for which pods do not ask, for they would not get them."""

    @classmethod
    def into(cls, room: Room, scenario: Scenario, lacking: Collection[str] = frozenset()) -> Fitting:
        """So that all that the scenario's nodes hold has room. What has room is left as it is."""
        wanted = capacity_of(scenario)
        cpu, memory = (min(Fraction(1), room.of(each) / wanted.of(each)) for each in _SHRUNK)
        return cls(cpu, memory, lacking)

    def words(self) -> Sequence[str]:
        """What the record is to say."""
        shares = {"cpu": self.cpu, "memory": self.memory}
        return [
            f"requests of {name} are {float(share):.3g} of the scenario's: the cluster has no room for all"
            for name, share in shares.items()
            if share < 1
        ]

    def manifest(self, manifest: KubeObject) -> KubeObject:
        """An object as it is to be made; what is not changed is shared with ``manifest``."""
        if manifest["kind"] == "ResourceQuota":
            spec = {**manifest["spec"], "hard": self.hard(manifest["spec"].get("hard") or {})}
            return {**manifest, "spec": spec}
        if manifest["kind"] == "LimitRange":
            limits = [self._limit(each) for each in manifest["spec"]["limits"]]
            return {**manifest, "spec": {**manifest["spec"], "limits": limits}}
        fitted: KubeObject = self._within(manifest)
        return fitted

    def hard(self, hard: Mapping[str, Any]) -> dict[str, str]:
        """The limits of a ResourceQuota."""
        return {name: self.quantity(name.removeprefix("requests."), amount) for name, amount in hard.items()}

    def _limit(self, limit: KubeObject) -> KubeObject:
        """Of a LimitRange, with what is requested where nothing is said: as much as the limit, if need be."""
        fitted = dict(limit)
        asked = {**(limit.get("default") or {}), **(limit.get("defaultRequest") or {})}
        for field, amounts in (("defaultRequest", asked), ("min", limit.get("min") or {})):
            if amounts:
                fitted[field] = {name: self.quantity(name, amount) for name, amount in amounts.items()}
        return fitted

    def quantity(self, resource: str, amount: object) -> str:
        """A request of a resource."""
        share = {"cpu": self.cpu, "memory": self.memory}.get(resource, Fraction(1))
        if share == 1:
            return str(amount)
        exact = value_of(str(amount)) * share
        if resource == "cpu":
            return f"{max(1, ceil(exact * 1000))}m"
        return f"{max(1, ceil(exact / _BYTES))}Mi"

    def _within(self, value: Any) -> Any:
        """Every pod template in a manifest, wherever it is."""
        if isinstance(value, list):
            return [self._within(each) for each in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("containers"), list):
            return self._pod(value)
        return {name: self._within(each) for name, each in value.items()}

    def _pod(self, spec: KubeObject) -> KubeObject:
        pod = {
            **spec,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
                **(spec.get("securityContext") or {}),
            },
            # Nothing in it has anything to finish, and teardown waits for it.
            "terminationGracePeriodSeconds": spec.get("terminationGracePeriodSeconds", 2),
        }
        for kind in ("containers", "initContainers"):
            if spec.get(kind):
                pod[kind] = [self._container(each) for each in spec[kind]]
        return pod

    def _container(self, container: KubeObject) -> KubeObject:
        resources = self._asked(container.get("resources") or {})
        requests = {
            name: self.quantity(name, amount) for name, amount in (resources.get("requests") or {}).items()
        }
        return {
            "imagePullPolicy": "IfNotPresent",
            **container,
            "resources": {**resources, "requests": requests} if requests else resources,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                **(container.get("securityContext") or {}),
            },
        }

    def _asked(self, resources: KubeObject) -> KubeObject:
        if not self.lacking:
            return resources
        return {
            kind: {name: amount for name, amount in amounts.items() if name not in self.lacking}
            if kind in ("requests", "limits")
            else amounts
            for kind, amounts in resources.items()
        }


def capacity_of(scenario: Scenario) -> Room:
    """What all nodes of a scenario's world hold together."""
    nodes = scenario.world.nodes
    return Room(
        sum((value_of(group.cpu) * group.count for group in nodes), Fraction()),
        sum((value_of(group.memory) * group.count for group in nodes), Fraction()),
        Fraction(sum(group.pods * group.count for group in nodes)),
    )


def images_of(manifests: Sequence[KubeObject]) -> dict[str, set[str]]:
    """Image to the programs that containers start from it."""
    found: dict[str, set[str]] = {}
    for container in _containers(list(manifests)):
        programs = found.setdefault(str(container["image"]), set())
        if container.get("command"):
            programs.add(str(container["command"][0]))
    return found


def _containers(value: Any) -> Iterator[KubeObject]:
    if isinstance(value, list):
        for each in value:
            yield from _containers(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in ("containers", "initContainers") and isinstance(each, list):
                yield from (container for container in each if "image" in container)
            else:
                yield from _containers(each)
