"""One real cluster, as one process of a run uses it: what its worlds share, and what is cleared away."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_selfrep.clusters import egress
from pytest_selfrep.clusters.audit_log import AuditLog
from pytest_selfrep.clusters.containment import LEASE
from pytest_selfrep.clusters.fitting import Room
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.https import Https
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.clusters.substitutes import Substitutes

WORLDS = 8
"""For how many worlds at once there is to be room."""
GONE_SECONDS = 90.0
"""In which what belongs to a world is to be gone."""
_POLL_SECONDS = 0.25


@dataclass
class Site:
    """All methods may be called by several threads."""

    server: Https
    """With the harness's own credential."""
    bring: Callable[[Mapping[str, set[str]]], None]
    """Makes images ready to be run, given the programs that are started from each. Raises ClusterError."""
    substitutes: Substitutes | None = None
    """What takes the place of a scenario's images, where they cannot be made ready under their names."""
    bring_own: Callable[[str], None] = lambda image: None
    """Makes an image that the user has ready to be run, unless it can be pulled only. Raises ClusterError."""
    admin: KubeClient = field(init=False)
    lease: str = field(default_factory=lambda: secrets.token_hex(5))
    """Of all that this process puts into the cluster."""
    stayed: list[str] = field(default_factory=list)
    """What could not be removed, in words."""
    _images: set[str] = field(default_factory=set)
    _own: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reapers: list[threading.Thread] = field(default_factory=list)
    _leak: str | None = None
    """What the probe of the fences found out; None before it."""

    def __post_init__(self) -> None:
        self.admin = KubeClient(self.server)

    @cached_property
    def nodes(self) -> Sequence[KubeObject]:
        found: list[KubeObject] = self.admin.get(path_of("", "v1", "nodes"))["items"]
        return found

    @cached_property
    def room(self) -> Room:
        """What one world may request."""
        shares = [
            sum((value_of(str(node["status"]["allocatable"][name])) for node in self.nodes), Fraction())
            for name in ("cpu", "memory")
        ]
        return Room(*(share / WORLDS for share in shares))

    @cached_property
    def addresses(self) -> Sequence[str]:
        """Of the API server, as pods reach it."""
        found = self.admin.get(path_of("", "v1", "endpoints", "default", "kubernetes"))
        service = self.admin.get(path_of("", "v1", "services", "default", "kubernetes"))
        ends = [each["ip"] for subset in found.get("subsets") or () for each in subset.get("addresses") or ()]
        return [service["spec"]["clusterIP"], *ends]

    def audit_log(self) -> AuditLog | None:
        """A reader of the audit log from now on; None if the API server keeps none that can be read."""
        log = AuditLog(self.server, str(self.nodes[0]["metadata"]["name"]))
        return log if log.open() else None

    def collection(self, group: str, version: str, plural: str) -> str | None:
        """The path of a kind's collection, in another version if that is not served; None if none is."""
        for each in (version, *self._versions(group)):
            if plural in self._plurals(group, each):
                return path_of(group, each, plural)
        return None

    def ready_images(self, images: Mapping[str, set[str]]) -> None:
        """Have images of these names to be run. Raises ClusterError."""
        with self._lock:
            wanted = {f"{name} {program}" for name, programs in images.items() for program in (*programs, "")}
            if not wanted <= self._images:
                self.bring(images)
                self._images |= wanted

    def ready_own(self, image: str) -> None:
        """Have an image of the user's own to be run, itself and nothing in its place. Raises ClusterError."""
        with self._lock:
            if image not in self._own:
                self.bring_own(image)
                self._own.add(image)

    def seal(self, image: str, *, allow_egress: bool) -> None:
        """Make sure, once, that nothing gets out of worlds. Raises ClusterError if something does."""
        if allow_egress:
            return
        with self._lock:
            if self._leak is None:
                self._leak = self._probed(image)
        if self._leak:
            raise ClusterError(self._leak)

    def _probed(self, image: str) -> str:
        """What is wrong with the fences; empty if nothing is."""
        namespace = f"preflight-{secrets.token_hex(4)}"
        try:
            egress.require_denied(self.admin, namespace, self.labels(), image, self.addresses)
        except ClusterError as error:
            return str(error)
        finally:
            self.retire([namespace], [])
        return ""

    def labels(self) -> dict[str, str]:
        """Of what this process makes."""
        return {LEASE: self.lease}

    def retire(self, namespaces: Sequence[str], paths: Sequence[str]) -> None:
        """Remove namespaces and other objects; in the end ``stayed`` says what could not be."""
        reaper = threading.Thread(
            target=self._remove, args=(namespaces, paths), name=f"remove {', '.join(namespaces)}", daemon=True
        )
        self._reapers.append(reaper)
        reaper.start()

    def close(self, *, wait: bool) -> None:
        """If told to, wait until all that was retired is gone, within a bound."""
        until = time.monotonic() + (GONE_SECONDS if wait else 0.0)
        for reaper in self._reapers:
            reaper.join(max(0.0, until - time.monotonic()))
        self.server.close()

    def _remove(self, namespaces: Sequence[str], paths: Sequence[str]) -> None:
        try:
            for path in paths:
                self._delete(path)
            for namespace in namespaces:
                # Else it waits for its pods to end in their own time.
                self._delete(path_of("", "v1", "pods", namespace), gracePeriodSeconds="0")
                self._delete(path_of("", "v1", "namespaces", name=namespace))
            self._await_gone(namespaces)
        except (ApiError, ClusterError) as error:
            self.stayed.append(f"{', '.join([*namespaces, *paths])}: {error}")

    def _delete(self, path: str, **query: str) -> None:
        try:
            self.admin.delete(path, query=query)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _await_gone(self, namespaces: Sequence[str]) -> None:
        until = time.monotonic() + GONE_SECONDS
        left = list(namespaces)
        while left:
            left = [each for each in left if self._exists(each)]
            if left and time.monotonic() > until:
                self.stayed += [
                    f"namespace {each} is still there after {GONE_SECONDS:.0f} s" for each in left
                ]
                return
            if left:
                time.sleep(_POLL_SECONDS)

    def _exists(self, namespace: str) -> bool:
        try:
            self.admin.get(path_of("", "v1", "namespaces", name=namespace))
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    def _versions(self, group: str) -> Sequence[str]:
        found = [each for each in self._groups if each["name"] == group]
        return [each["version"] for each in found[0]["versions"]] if found else ()

    @cached_property
    def _groups(self) -> Sequence[KubeObject]:
        found: list[KubeObject] = self.admin.get("/apis")["groups"]
        return found

    def _plurals(self, group: str, version: str) -> frozenset[str]:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            return frozenset(each["name"] for each in self.admin.get(path)["resources"])
        except ApiError as error:
            if error.code == 404:
                return frozenset()
            raise
