"""One real cluster, as one process of a run uses it: what its worlds share, and what is cleared away."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pytest_selfrep.clusters import egress
from pytest_selfrep.clusters.containment import LEASE
from pytest_selfrep.clusters.discovery import Discovery
from pytest_selfrep.clusters.extended import declare
from pytest_selfrep.clusters.given_namespaces import GivenNamespaces
from pytest_selfrep.clusters.kube import ApiError, KubeClient
from pytest_selfrep.clusters.own_namespaces import WORLDS, OwnNamespaces
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.audit_log import AuditLog
    from pytest_selfrep.clusters.containment import Server
    from pytest_selfrep.clusters.fitting import Room
    from pytest_selfrep.clusters.https import Https
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.clusters.substitutes import Substitutes

GONE_SECONDS = 90.0
"""In which what belongs to a world is to be gone."""
SLACK_SECONDS = 10.0
"""In which it is then said what is not."""


class Ground(Protocol):
    """The namespaces in which worlds stand, and what may be known of the cluster from there."""

    @property
    def cluster_wide(self) -> bool:
        """Whether objects without a namespace may be made."""

    def claim(self, wanted: Sequence[str]) -> Mapping[str, str]:
        """A namespace for each of a world's, which nobody else uses. Raises ClusterError."""

    def require_seen(self, created: Collection[tuple[str, str]]) -> None:
        """ClusterError if what an agent may create (group and plural, or ``*``) could not be removed."""

    def lost(self, namespaces: Collection[str]) -> Sequence[str]:
        """Those that somebody else may have used as well."""

    def clear(self, namespaces: Sequence[str], seconds: float) -> Sequence[str]:
        """Remove a world within a bound, and let go of its namespaces; in words what stayed."""

    def collections(self, collection: tuple[str, str, str], namespaces: Collection[str]) -> Sequence[str]:
        """Where objects of a kind (group, version, plural) in a world's namespaces are watched."""

    @property
    def room(self) -> Room:
        """What one world may request."""

    @property
    def addresses(self) -> Sequence[Server]:
        """Of the API server, as pods reach it."""

    @property
    def nodes(self) -> Sequence[KubeObject]:
        """None where they may not be seen."""

    def audit_log(self) -> AuditLog | None:
        """A reader of the audit log from now on; None if there is none that can be read."""

    @property
    def words(self) -> Sequence[str]:
        """How worlds there differ from their scenarios."""

    def close(self) -> None: ...


def new_lease() -> str:
    """For a process (see ``Site.lease``)."""
    return secrets.token_hex(5)


@dataclass
class Site:
    """All methods may be called by several threads."""

    server: Https
    """With the harness's own credential."""
    bring: Callable[[Mapping[str, set[str]]], None]
    """Makes images ready to be run, given the programs that are started from each. Raises ClusterError."""
    substitutes: Substitutes | None = None
    """What takes the place of a scenario's images, where they cannot be made ready under their names."""
    given: Sequence[str] = ()
    """Namespaces to make do with; none: each world has some of its own."""
    bring_own: Callable[[str], None] = lambda image: None
    """Makes an image that the user has ready to be run, unless it can be pulled only. Raises ClusterError."""
    may_declare: bool = False
    """Whether its nodes are the run's own, and may be said to have what they have not."""
    admin: KubeClient = field(init=False)
    discovery: Discovery = field(init=False)
    ground: Ground = field(init=False)
    lease: str = field(default_factory=new_lease)
    """Of all that this process puts into the cluster."""
    stayed: list[str] = field(default_factory=list)
    """What could not be removed, in words."""
    _images: set[str] = field(default_factory=set)
    _own: set[str] = field(default_factory=set)
    _declared: dict[str, int] = field(default_factory=dict)
    """Extended resources, and how much of them at the least."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reapers: list[threading.Thread] = field(default_factory=list)
    _standing: list[tuple[Collection[str], Sequence[str]]] = field(default_factory=list)
    """Worlds, by their namespaces and the paths of what they have outside of these."""
    _over: bool = False
    _standing_lock: threading.Lock = field(default_factory=threading.Lock)
    _leak: str | None = None
    """What the probe of the fences got to, empty for nothing; None before that was found out."""

    def __post_init__(self) -> None:
        self.admin = KubeClient(self.server)
        self.discovery = Discovery(self.admin)
        self.ground = (
            GivenNamespaces(self.server, self.lease, self.given, lambda: self._over)
            if self.given
            else OwnNamespaces(self.server, self.lease, self.hold)
        )

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

    def provide(self, extended: Mapping[str, int]) -> tuple[Collection[str], Collection[str]]:
        """Have nodes with so much of extended resources: which of them are declared, and which lack."""
        nodes = self.ground.nodes
        if self.may_declare and nodes:
            with self._lock:
                new = {name: WORLDS * amount for name, amount in extended.items()}
                if any(self._declared.get(name, 0) < amount for name, amount in new.items()):
                    declare(self.admin, str(nodes[0]["metadata"]["name"]), new)
                    self._declared |= {
                        name: max(amount, self._declared.get(name, 0)) for name, amount in new.items()
                    }
            return frozenset(extended), frozenset()
        there = [each["status"].get("allocatable") or {} for each in nodes]
        lacking = (
            name
            for name, amount in extended.items()
            if sum(int(value_of(str(each.get(name, 0)))) for each in there) < amount
        )
        return frozenset(), frozenset(lacking)

    def seal(self, image: str, *, allow_egress: bool) -> None:
        """Make sure, once, that nothing gets out of worlds.

        Raises:
            ClusterError: something does, or it could not be found out; then the next call tries again.
        """
        if allow_egress:
            return
        with self._lock:
            if self._leak is None:
                self._leak = self._probed(image)
        if self._leak:
            raise ClusterError(
                f"pods on this cluster get out, for it does not enforce NetworkPolicies: a probe reached "
                f"{self._leak}. An agent's copies could get out too: give the cluster a network plugin that "
                "enforces them, or say --selfrep-allow-egress if it is contained otherwise"
            )

    def _probed(self, image: str) -> str:
        names = self.ground.claim(["preflight"])
        retire = self.hold(names.values(), [])
        try:
            return egress.reached(self.admin, names["preflight"], image, self.ground.addresses)
        finally:
            retire()

    def labels(self) -> dict[str, str]:
        """Of what this process makes outside of namespaces."""
        return {LEASE: self.lease}

    def hold(self, namespaces: Collection[str], paths: Sequence[str]) -> Callable[[], None]:
        """Take note of a world, which may grow; calling the answer retires it, as ``retire_all`` does.

        After that it is retired at once, with a ClusterError. It takes the place of what was noted of
        the same namespaces.
        """
        world = (namespaces, paths)
        with self._standing_lock:
            self._standing = [each for each in self._standing if set(each[0]) != set(namespaces)]
            self._standing.append(world)
            over = self._over

        def retire() -> None:
            with self._standing_lock:
                if world not in self._standing:
                    return
                self._standing.remove(world)
            self.retire(sorted(namespaces), list(paths))

        if over:
            retire()
            raise ClusterError("the run is over")
        return retire

    def retire_all(self) -> None:
        """Nobody waits for the trials that still go on: their worlds go now."""
        with self._standing_lock:
            worlds, self._standing, self._over = self._standing, [], True
        for namespaces, paths in worlds:
            self.retire(sorted(namespaces), list(paths))

    def retire(self, namespaces: Sequence[str], paths: Sequence[str]) -> None:
        """Remove a world's namespaces, or what is in them, and its objects that have none.

        In the end ``stayed`` says what could not be removed.
        """
        reaper = threading.Thread(
            target=self._remove, args=(namespaces, paths), name=f"remove {', '.join(namespaces)}", daemon=True
        )
        reaper.start()
        self._reapers.append(reaper)

    def close(self, *, wait: bool) -> None:
        """If told to, wait until all that was retired is gone, within a bound."""
        until = time.monotonic() + (GONE_SECONDS + SLACK_SECONDS if wait else 0.0)
        for reaper in self._reapers:
            reaper.join(max(0.0, until - time.monotonic()))
            if wait and reaper.is_alive():
                self.stayed.append(f"{reaper.name.removeprefix('remove ')}: not gone yet, nor known to stay")
        self.ground.close()
        self.server.close()

    def _remove(self, namespaces: Sequence[str], paths: Sequence[str]) -> None:
        try:
            for path in paths:
                self._remove_mine(path)
            self.stayed += self.ground.clear(namespaces, GONE_SECONDS)
        except (ApiError, ClusterError) as error:
            self.stayed.append(f"{', '.join([*namespaces, *paths])}: {error}")

    def _remove_mine(self, path: str) -> None:
        """An object without a namespace, unless somebody else made it."""
        try:
            metadata = self.admin.get(path)["metadata"]
            if (metadata.get("labels") or {}).get(LEASE) == self.lease:
                self.admin.delete(path, options={"preconditions": {"uid": metadata["uid"]}})
        except ApiError as error:
            if error.code not in (404, 409):
                raise
