"""A server of the run's own that is not ready for a moment is not taken for dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from unruly import Unruly, answer

from pytest_selfrep.clusters import k3s
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import serve

NOT_READY = answer("500 Internal Server Error", b"[-]etcd failed: reason withheld")


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[tuple[Path, Unruly]]:
    """Of a server, and what lies before it."""
    with ExitStack() as open_:
        cluster = Cluster()
        open_.callback(cluster.close)
        served = serve(cluster)
        open_.callback(served.close)
        proxy = Unruly(served.url)
        open_.callback(proxy.close)
        text = served.kubeconfig(cluster.token_for()).replace(served.url, proxy.url)
        path = tmp_path / "config"
        path.write_text(text.replace("default@kubernetes", k3s.CONTEXT))
        yield path, proxy


def test_a_server_that_is_ready_again_lives(kubeconfig: tuple[Path, Unruly]) -> None:
    path, proxy = kubeconfig
    proxy.meet(NOT_READY, NOT_READY, where="/readyz")
    assert k3s.unready_for(path, 20.0) == ""
    assert len(proxy.seen) == 3


def test_a_server_that_does_not_become_ready_is_said_to_be_unready(kubeconfig: tuple[Path, Unruly]) -> None:
    path, proxy = kubeconfig
    proxy.meet(*[NOT_READY] * 50, where="/readyz")
    assert "etcd failed" in k3s.unready_for(path, 0.5)
