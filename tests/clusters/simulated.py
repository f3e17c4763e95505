"""A simulated cluster behind HTTPS, on the machine's clock: for what speaks to real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.kube import KubeClient
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes.machines import node
from pytest_selfrep.kubesim.serving.server import serve


def simulated(folder: Path) -> Iterator[Https]:
    cluster = Cluster(start=datetime.now(UTC))
    with ExitStack() as open_:
        open_.callback(cluster.close)
        served = serve(cluster, real_time=True, rate=5.0)
        open_.callback(served.close)
        path = folder / "config"
        path.write_text(served.kubeconfig(cluster.token_for()))
        transport = from_kubeconfig(path, "default@kubernetes")
        open_.callback(transport.close)
        machine = node("worker-1", now=cluster.clock.timestamp(), cpu="8", memory="32Gi")
        KubeClient(transport).create("/api/v1/nodes", machine)
        yield transport
