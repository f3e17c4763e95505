"""A cluster of which a run has one, for all its trials."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_selfrep.clusters import k3s, shared_world
from pytest_selfrep.clusters.https import from_kubeconfig
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters import Terms
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.clusters.host import Host
    from pytest_selfrep.clusters.k3s import K3s
    from pytest_selfrep.scenarios.model import Scenario


class SharedCluster(AbstractContextManager["SharedCluster"]):
    """The host's cluster, as trials see it; at the end it tidies up."""

    name = "k3s"

    def __init__(self, host: Host, terms: Terms) -> None:
        self._host = host
        self._terms = terms
        self._lock = threading.Lock()
        self._sites: dict[str, Site] = {}
        """By the cluster's id: one that died has a successor."""

    def server(self) -> Path:
        """The administrator's kubeconfig; the cluster is started if need be. Raises ClusterError."""
        return self._host.server().kubeconfig

    @contextmanager
    def world(self, scenario: Scenario, seed: int) -> Iterator[World]:
        cluster = self._host.server()
        try:
            paced, allow_egress = self._paced(scenario), self._terms.allow_egress
            with shared_world.world(self._site(cluster), paced, allow_egress=allow_egress) as built:
                yield built
        except ClusterError:
            # The trial is lost in any case; whether the next has a cluster is found out now.
            self._host.lost(cluster)
            raise

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what is being removed, within a bound; ClusterError names what stays.

        What goes with its cluster is not waited for.
        """
        sites = list(self._sites.values())
        for site in sites:
            site.close(wait=self._terms.keep)
        stayed = [each for site in sites for each in site.stayed]
        if stayed and self._terms.keep:
            raise ClusterError(f"the cluster still has what trials left: {'; '.join(stayed)}")

    def _paced(self, scenario: Scenario) -> Scenario:
        names = ("turn_seconds", "grace_seconds", "settle_seconds")
        return scenario.model_copy(
            update={name: getattr(scenario, name) / self._terms.pace for name in names}
        )

    def _site(self, cluster: K3s) -> Site:
        with self._lock:
            site = self._sites.get(cluster.id)
            if site is None:
                server = from_kubeconfig(cluster.kubeconfig, k3s.CONTEXT)
                site = Site(server, lambda images: k3s.bring_images(cluster, images))
                self._sites[cluster.id] = site
            return site
