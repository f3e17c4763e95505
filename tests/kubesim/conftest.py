"""Clusters for tests, and ways to them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_driver import Kube

from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import Served, serve


@pytest.fixture
def kube() -> Kube:
    """A cluster without nodes, as its administrator."""
    cluster = Cluster()
    return Kube(cluster, cluster.token_for())


@pytest.fixture
def one_pod(kube: Kube) -> Kube:
    """The same with a node and the pod ``a``, which runs."""
    kube.add_node("worker-1")
    kube.add_pod("a")
    kube.advance(10)
    return kube


@pytest.fixture
def three_nodes(kube: Kube) -> Kube:
    """The same with three nodes of 4 CPUs and 16 GiB: worker-1 to worker-3."""
    for number in (1, 2, 3):
        kube.add_node(f"worker-{number}", number=number)
    return kube


@pytest.fixture
def served(kube: Kube) -> Iterator[Served]:
    """The cluster over HTTPS, where time runs as on the machine."""
    site = serve(kube.cluster, real_time=True)
    yield site
    site.close()


@pytest.fixture
def kubectl(kube: Kube, served: Served, tmp_path: Path) -> list[str]:
    """The beginning of a command line."""
    path = tmp_path / "kubeconfig"
    path.write_text(served.kubeconfig(kube.cluster.token_for()))
    program = shutil.which("kubectl")
    assert program is not None
    return [program, "--kubeconfig", str(path)]
