"""What runs that died have left in a cluster that exists: found by label and by claim, and removed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.claims import NAME, SECONDS, Claims, lease_in, present_of
from pytest_selfrep.clusters.containment import LEASE
from pytest_selfrep.clusters.discovery import Discovery
from pytest_selfrep.clusters.informer import METADATA
from pytest_selfrep.clusters.inventory import Inventory
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.own_namespaces import OwnNamespaces
from pytest_selfrep.clusters.site import GONE_SECONDS
from pytest_selfrep.clusters.vacancy import require_unclaimed
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.https import Https
    from pytest_selfrep.clusters.kube import KubeObject

_LABELLED = {"labelSelector": LEASE}


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of runs, whether they live or not."""

    namespaces: dict[str, str]
    """Made by runs, with the run that each belongs to."""
    objects: dict[str, str]
    """Paths of objects without a namespace, likewise."""
    claims: Sequence[KubeObject]
    """Leases: one in a namespace of each world, or in each namespace that was given."""

    def of(self, runs: Collection[str]) -> Found:
        """What belongs to some of them."""
        return Found(
            {name: run for name, run in self.namespaces.items() if run in runs},
            {path: run for path, run in self.objects.items() if run in runs},
            [each for each in self.claims if _run(each) in runs],
        )

    @property
    def runs(self) -> set[str]:
        return {*self.namespaces.values(), *self.objects.values(), *map(_run, self.claims)}


@dataclass(frozen=True, slots=True)
class Cleaned:
    """In words."""

    removed: Sequence[str]
    left: Sequence[str]
    """Of runs that live."""
    stayed: Sequence[str]
    """What does not go."""


class Leftovers:
    """Of one cluster, as far as its user may look."""

    def __init__(self, server: Https, given: Sequence[str] = ()) -> None:
        """``given``: namespaces to look into if the user may not look into all."""
        self._server = server
        self._admin = KubeClient(server)
        self._discovery = Discovery(self._admin)
        self._given = given

    def find(self) -> Found:
        """Raises ClusterError if the user may not look."""
        try:
            return Found(self._namespaces(), dict(self._objects()), self._claims())
        except ApiError as error:
            raise ClusterError(f"leftovers cannot be looked for: {error.message}") from error

    def remove(
        self, found: Found, wait: Callable[[float], None] = time.sleep, *, newer: bool = False
    ) -> Cleaned:
        """Remove what belongs to runs that do not renew their claims while one looks: for half a minute.

        ``newer``: in namespaces that were given, also what came when such a run had died already.
        """
        if found.runs:
            longest = max(
                (int(each["spec"]["leaseDurationSeconds"]) for each in found.claims), default=SECONDS
            )
            wait(longest + 1.0)
        known = {_version(each) for each in found.claims}
        # Also one that had no claim yet: its namespaces had just been made.
        alive = {_run(each) for each in self.find().claims if _version(each) not in known}
        removed: list[str] = []
        stayed: list[str] = []
        for path in (path for path, run in found.objects.items() if run not in alive):
            with _said(path, stayed):
                self._delete(path)
                removed.append(path)
        made = [name for name, run in found.namespaces.items() if run not in alive]
        with _said(f"namespaces {', '.join(made)}", stayed):
            rest = OwnNamespaces(self._server, "").clear(made, GONE_SECONDS)
            removed += [f"namespace {name}" for name in made if not any(f" {name} " in each for each in rest)]
            stayed += rest
        for lease in found.claims:
            if _run(lease) not in alive and lease["metadata"]["namespace"] not in found.namespaces:
                with _said(f"what was made in namespace {lease['metadata']['namespace']}", stayed):
                    self._tidy(lease, removed, stayed, newer=newer)
        left = [
            *(f"namespace {name}" for name, run in found.namespaces.items() if run in alive),
            *(path for path, run in found.objects.items() if run in alive),
            *(
                f"what is in namespace {each['metadata']['namespace']}"
                for each in found.claims
                if _run(each) in alive and each["metadata"]["namespace"] not in found.namespaces
            ),
        ]
        return Cleaned(removed, [f"{each}: its run still goes on" for each in left], stayed)

    def _tidy(self, lease: KubeObject, removed: list[str], stayed: list[str], *, newer: bool) -> None:
        """A namespace that was given to a run which is dead."""
        namespace, present = lease["metadata"]["namespace"], present_of(lease)
        inventory = Inventory(self._admin, self._discovery, namespace)
        if not newer:
            require_unclaimed(inventory, namespace, lease)
        claims = Claims(self._admin, secrets.token_hex(5))
        try:
            if not claims.take_over(lease):
                return
            rest: Sequence[str] = ()
            if present is not None:
                rest = inventory.sweep(present, GONE_SECONDS)
            if rest:
                stayed += rest
                claims.leave(namespace)
            else:
                claims.release(namespace)
                removed.append(f"what was made in namespace {namespace}")
        finally:
            claims.close()

    def _namespaces(self) -> dict[str, str]:
        try:
            items = self._admin.get(path_of("", "v1", "namespaces"), query=_LABELLED)["items"]
        except ApiError as error:
            if error.code == 403 and self._given:
                return {}
            raise
        return {each["metadata"]["name"]: _run(each) for each in items}

    def _objects(self) -> Iterator[tuple[str, str]]:
        for resource in self._discovery.removable:
            if resource.namespaced or resource.kind == "Namespace":
                continue
            try:
                found = self._admin.get(resource.path(), query=_LABELLED, accept=METADATA)
            except ApiError as error:
                if error.code not in (403, 404, 405, 503):
                    raise
                continue
            # Where there are none, some servers say null.
            for each in found.get("items") or ():
                yield resource.path(name=each["metadata"]["name"]), _run(each)

    def _claims(self) -> Sequence[KubeObject]:
        try:
            listed = self._admin.get(path_of("coordination.k8s.io", "v1", "leases"), query=_LABELLED)["items"]
            return [each for each in listed if each["metadata"]["name"] == NAME]
        except ApiError as error:
            if error.code != 403 or not self._given:
                raise
        there = (lease_in(self._admin, namespace) for namespace in self._given)
        return [lease for lease in there if lease is not None]

    def _delete(self, path: str) -> None:
        try:
            self._admin.delete(path)
        except ApiError as error:
            if error.code != 404:
                raise


@contextmanager
def _said(what: str, stayed: list[str]) -> Iterator[None]:
    """What cannot be removed is said, and keeps nothing else."""
    try:
        yield
    except (ApiError, ClusterError) as error:
        stayed.append(f"{what}: {error}")


def _run(obj: KubeObject) -> str:
    """To which run it belongs."""
    return str((obj["metadata"].get("labels") or {}).get(LEASE, ""))


def _version(lease: KubeObject) -> tuple[str, str]:
    return lease["metadata"]["uid"], lease["metadata"]["resourceVersion"]
