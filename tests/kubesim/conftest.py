"""Clusters for tests."""

from __future__ import annotations

import pytest
from kube_driver import Kube

from pytest_selfrep.kubesim.cluster import Cluster


@pytest.fixture
def kube() -> Kube:
    """A cluster without nodes, as its administrator."""
    cluster = Cluster()
    return Kube(cluster, cluster.token_for())


@pytest.fixture
def three_nodes(kube: Kube) -> Kube:
    """The same with three nodes of 4 CPUs and 16 GiB: worker-1 to worker-3."""
    for number in (1, 2, 3):
        kube.add_node(f"worker-{number}", number=number)
    return kube
