"""What is in a namespace, of every kind, and its removal but for what was there before."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.claims import NAME as CLAIM
from pytest_selfrep.clusters.informer import METADATA
from pytest_selfrep.clusters.kube import ApiError, KubeClient

if TYPE_CHECKING:
    from pytest_selfrep.clusters.discovery import Discovery, Resource
    from pytest_selfrep.clusters.kube import KubeObject

_POLL_SECONDS = 0.25
_FIRST = frozenset({"rolebindings", "roles"})
"""Who may do something there may do so no longer."""
_FENCES = frozenset({"networkpolicies", "resourcequotas", "limitranges"})
"""They stand until nothing is left that they hold in."""
_RUNS = frozenset({"Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"})
_EVERY_NAMESPACE = frozenset({("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")})
"""Kubernetes makes them, and makes them again."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object."""

    resource: Resource
    name: str
    uid: str
    made: str
    """Its creationTimestamp, which grows as text does."""
    owners: frozenset[str]
    """Their uids."""

    @property
    def key(self) -> str:
        return f"{self.resource.plural}.{self.resource.group}/{self.name}"

    @property
    def is_event(self) -> bool:
        return self.resource.plural == "events"

    @property
    def runs(self) -> bool:
        return self.resource.kind in _RUNS or self.resource.plural == "replicationcontrollers"

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}"


class Inventory:
    """Of one namespace."""

    def __init__(self, admin: KubeClient, discovery: Discovery, namespace: str) -> None:
        self._admin = admin
        self._discovery = discovery
        self._namespace = namespace
        self.hidden: frozenset[tuple[str, str]] = frozenset()
        """Group and plural of kinds that may not be listed, as last found out."""

    def things(self, resources: Collection[Resource] | None = None) -> list[Thing]:
        """All that is there, of some kinds or of all, but for what belongs to every namespace."""
        wanted = self._kinds if resources is None else resources
        hidden: set[tuple[str, str]] = set()
        found: list[Thing] = []
        for resource in wanted:
            try:
                answer = self._admin.get(resource.path(self._namespace), accept=METADATA)
            except ApiError as error:
                if error.code == 403:
                    hidden.add((resource.group, resource.plural))
                # Between discovery and now a kind may have gone, and its server may be down.
                elif error.code not in (404, 405, 503):
                    raise
                continue
            found += _things(resource, answer.get("items") or ())
        if resources is None:
            self.hidden = frozenset(hidden)
        return found

    def remove(self, things: Collection[Thing]) -> None:
        """Ask for their removal. What is gone already, or has changed hands, is left alone."""
        for thing in things:
            self._remove(thing)

    def newer(self, present: Collection[str], moment: str) -> list[Thing]:
        """What has come after a moment, and belongs to nothing that had come by then and was not present."""
        there = [each for each in self.things() if each.key not in present and not each.is_event]
        older = {each.uid for each in there if each.made <= moment}
        while owned := {each.uid for each in there if each.owners & older} - older:
            older |= owned
        return [each for each in there if each.uid not in older]

    def sweep(self, present: Collection[str], seconds: float) -> list[str]:
        """Remove all but what was present, by keys; in words what stayed in spite of it."""
        until = time.monotonic() + seconds
        kinds: Collection[Resource] | None = None
        while True:
            left = [each for each in self.things(kinds) if each.key not in present]
            if not left and kinds is None:
                return []
            if left and time.monotonic() > until:
                return [
                    f"{each} in namespace {self._namespace} is still there after {seconds:.0f} s"
                    for each in left
                ]
            self.remove(list(_due(left)))
            kinds = {each.resource for each in left} or None
            if kinds:
                time.sleep(_POLL_SECONDS)

    @property
    def _kinds(self) -> list[Resource]:
        return [each for each in self._discovery.removable if each.namespaced]

    def _remove(self, thing: Thing) -> None:
        # Else pods end in their own time.
        query = {"gracePeriodSeconds": "0"} if thing.resource.plural == "pods" else {}
        options: KubeObject = {"preconditions": {"uid": thing.uid}, "propagationPolicy": "Background"}
        try:
            self._admin.delete(
                thing.resource.path(self._namespace, thing.name),
                query=query,
                options={**options, **_v1(query)},
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _v1(query: dict[str, str]) -> KubeObject:
    """The options once more: a body, where there is one, is all that counts."""
    found: KubeObject = {"apiVersion": "v1", "kind": "DeleteOptions"}
    return {**found, **{name: int(value) for name, value in query.items()}}


def _things(resource: Resource, items: Sequence[KubeObject]) -> Iterator[Thing]:
    for item in items:
        metadata = item["metadata"]
        annotations = metadata.get("annotations") or {}
        of_default = annotations.get("kubernetes.io/service-account.name") == "default"
        if (resource.kind, metadata["name"]) in _EVERY_NAMESPACE or (
            resource.kind == "Secret" and of_default
        ):
            continue
        if (resource.plural, metadata["name"]) == ("leases", CLAIM):
            continue
        owners = frozenset(each["uid"] for each in metadata.get("ownerReferences") or ())
        yield Thing(resource, metadata["name"], metadata["uid"], metadata["creationTimestamp"], owners)


def _due(left: Sequence[Thing]) -> Iterator[Thing]:
    """What is to be removed now: the fences at the end."""
    rest = [each for each in left if each.resource.plural not in _FENCES]
    yield from sorted(rest, key=lambda each: each.resource.plural not in _FIRST) or left
