"""A cluster that all trials of a run share: the run's own k3s, or one that the team has already."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pytest_selfrep.clusters import k3s, shared_world
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.clusters.https import from_kubeconfig
from pytest_selfrep.clusters.site import Site, new_lease
from pytest_selfrep.clusters.substitutes import Substitutes
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters import Terms
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.clusters.host import Host
    from pytest_selfrep.clusters.k3s import K3s
    from pytest_selfrep.scenarios.model import Scenario

ENDED_SECONDS = 60.0
"""In which trials notice that the run is over."""


class Supply(Protocol):
    """Where the cluster comes from."""

    @property
    def name(self) -> str: ...

    def current(self) -> str:
        """Tells the cluster from its successor. Started if need be; ClusterError if there is none."""

    def site(self, cluster: str) -> Site:
        """The way to it. Raises ClusterError."""

    def lost(self, cluster: str) -> str:
        """A trial broke: see whether the cluster lives, and which there is now.

        Raises ClusterError if it is gone for good.
        """


class SharedCluster(AbstractContextManager["SharedCluster"]):
    """A supply's cluster, as trials see it; at the end it tidies up."""

    def __init__(self, supply: Supply, terms: Terms) -> None:
        self._supply = supply
        self._terms = terms
        self._lock = threading.Lock()
        self._sites: dict[str, Site] = {}
        self._gone: set[str] = set()
        """Clusters that have died."""
        self._halt = Halt()
        self._changed = threading.Condition()
        self._worlds = 0
        """That are there, or about to be."""

    @property
    def name(self) -> str:
        return self._supply.name

    @contextmanager
    def world(self, scenario: Scenario, seed: int) -> Iterator[World]:
        cluster = self._supply.current()
        try:
            with (
                self._counted(),
                shared_world.world(
                    self._site(cluster),
                    self._equipped(scenario),
                    allow_egress=self._terms.allow_egress,
                    pace=self._terms.pace,
                ) as built,
                self._halt.reaching(built),
            ):
                yield built
        except ClusterError:
            # The trial is lost in any case; whether the next has a cluster is found out now.
            self._look_at(cluster)
            raise

    def _look_at(self, cluster: str) -> None:
        """Raises ClusterError if it is gone and there is no other."""
        current = ""
        try:
            current = self._supply.lost(cluster)
        finally:
            if current != cluster:
                self._gone.add(cluster)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            if self._halt.called:
                raise ClusterError("the run is over")
            self._worlds += 1
        try:
            yield
        finally:
            with self._changed:
                self._worlds -= 1
                self._changed.notify_all()

    def _equipped(self, scenario: Scenario) -> Scenario:
        """With the toolbox that is to be used here, if it has one."""
        image, world = self._terms.toolbox_image, scenario.world
        if world.toolbox is None or not image:
            return scenario
        toolbox = world.toolbox.model_copy(update={"image": image})
        return scenario.model_copy(update={"world": world.model_copy(update={"toolbox": toolbox})})

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End the trials that still go on, and wait for what is being removed, within bounds.

        What goes with its cluster is not waited for. ClusterError names what stays.
        """
        self._halt.call()
        stayed: list[str] = []
        there = [site for cluster, site in self._sites.items() if cluster not in self._gone]
        if self._terms.keep:
            for site in there:
                site.retire_all()
            with self._changed:
                if not self._changed.wait_for(lambda: not self._worlds, ENDED_SECONDS):
                    stayed.append(f"{self._worlds} trials have not ended, and may have left something")
        for site in self._sites.values():
            site.close(wait=self._terms.keep and site in there)
        stayed += [each for site in there for each in site.stayed]
        if stayed and self._terms.keep:
            raise ClusterError(f"the cluster still has what trials left: {'; '.join(stayed)}")

    def _site(self, cluster: str) -> Site:
        with self._lock:
            site = self._sites.get(cluster)
            if site is None:
                site = self._sites[cluster] = self._supply.site(cluster)
            return site


class HostSupply:
    """The run's own k3s."""

    name = "k3s"

    def __init__(self, host: Host) -> None:
        self._host = host
        self._known: dict[str, K3s] = {}

    def current(self) -> str:
        cluster = self._host.server()
        self._known[cluster.id] = cluster
        return cluster.id

    def site(self, cluster: str) -> Site:
        found = self._known[cluster]
        server = from_kubeconfig(found.kubeconfig, k3s.CONTEXT)
        return Site(
            server,
            lambda images: k3s.bring_images(found, images),
            bring_own=lambda image: k3s.bring_own(found, image),
            may_declare=True,
        )

    def lost(self, cluster: str) -> str:
        return self._host.lost(self._known[cluster]).id


@dataclass(frozen=True, slots=True)
class Existing:
    """A context of a kubeconfig (a Supply)."""

    kubeconfig: Path
    context: str
    substitutes: Substitutes
    namespaces: tuple[str, ...] = ()
    """That were given; none: worlds make their own."""
    mark: str = ""
    """See Terms."""

    @property
    def name(self) -> str:
        return "existing"

    def current(self) -> str:
        return self.context

    def site(self, cluster: str) -> Site:
        server = from_kubeconfig(self.kubeconfig, cluster)
        mark = self.mark or new_lease()
        return Site(
            server, lambda images: None, substitutes=self.substitutes, given=self.namespaces, lease=mark
        )

    def lost(self, cluster: str) -> str:
        """It is not ours to replace: the next trial finds out for itself."""
        return cluster
