"""At the end of a run all is said that may be left in its cluster, and nothing of a cluster that has died."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated import simulated

from pytest_selfrep.clusters import Terms, shared
from pytest_selfrep.clusters import site as sites
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.shared import SharedCluster
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.loading import load

CONTEXT = "default@kubernetes"
PATIENCE = 60.0


class Replaced:
    """The clusters of a run (a Supply): the second takes the place of the first when that is lost."""

    name = "replaced"

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._now = "first"
        self.sites: dict[str, Site] = {}

    def current(self) -> str:
        return self._now

    def site(self, cluster: str) -> Site:
        server = from_kubeconfig(self._kubeconfig, CONTEXT)
        self.sites[cluster] = Site(server, bring=lambda images: None)
        return self.sites[cluster]

    def lost(self, cluster: str) -> str:
        self._now = "second"
        return self._now


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Https]:
    yield from simulated(tmp_path)


@pytest.fixture
def supply(server: Https, tmp_path: Path) -> Replaced:
    return Replaced(tmp_path / "config")


@pytest.fixture
def cluster(supply: Replaced) -> SharedCluster:
    return SharedCluster(supply, Terms(allow_egress=True, keep=True))


def test_what_was_left_in_a_cluster_that_was_replaced_is_gone_with_it(
    supply: Replaced, cluster: SharedCluster
) -> None:
    scenario = load("load-balancing")
    with pytest.raises(ClusterError, match="it broke"), cluster.world(scenario, 0):
        raise ClusterError("it broke")
    with cluster.world(scenario, 0):
        pass
    supply.sites["first"].stayed.append("namespace storefront: the server is gone")
    supply.sites["second"].stayed.append("namespace platform is still there")
    with pytest.raises(ClusterError, match=r"what trials left: namespace platform is still there$"):
        cluster.close()


def test_a_trial_that_does_not_end_is_said(cluster: SharedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ENDED_SECONDS", 0.2)
    begun, ending = threading.Event(), threading.Event()

    def hang() -> None:
        with cluster.world(load("load-balancing"), 0):
            begun.set()
            ending.wait(PATIENCE)

    trial = threading.Thread(target=hang)
    trial.start()
    assert begun.wait(PATIENCE)
    with pytest.raises(ClusterError, match="1 trials have not ended, and may have left something"):
        cluster.close()
    ending.set()
    trial.join(PATIENCE)


def test_what_is_still_being_removed_is_said(
    server: Https, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "GONE_SECONDS", 0.1)
    monkeypatch.setattr(sites, "SLACK_SECONDS", 0.1)
    site = Site(from_kubeconfig(tmp_path / "config", CONTEXT), bring=lambda images: None)
    ending = threading.Event()
    monkeypatch.setattr(site.ground, "clear", lambda namespaces, seconds: ending.wait(PATIENCE) and [])
    site.retire(["storefront"], [])
    site.close(wait=True)
    assert site.stayed == ["storefront: not gone yet, nor known to stay"]
    ending.set()
