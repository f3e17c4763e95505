"""After many trials on a cluster that is shared nothing is left: no object, watch, thread, socket or file."""

from __future__ import annotations

import gc
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from real_kubernetes import KUBERNETES, one_kubernetes

from pytest_selfrep.agents import resolve as resolve_agent
from pytest_selfrep.clusters import Terms
from pytest_selfrep.clusters.discovery import Discovery
from pytest_selfrep.clusters.https import from_kubeconfig
from pytest_selfrep.clusters.kube import KubeClient
from pytest_selfrep.clusters.leftovers import Leftovers
from pytest_selfrep.clusters.shared import Existing, SharedCluster
from pytest_selfrep.clusters.substitutes import Program, Substitutes
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes.machines import node
from pytest_selfrep.kubesim.serving.server import serve
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.runner import run_trial

TRIALS = 100
AT_ONCE = 8


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(start=datetime.now(UTC))
    yield cluster
    cluster.close()


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    served = serve(cluster, real_time=True, rate=50.0)
    path = tmp_path / "config"
    path.write_text(served.kubeconfig(cluster.token_for()))
    with ExitStack() as open_:
        server = from_kubeconfig(path, "default@kubernetes")
        open_.callback(server.close)
        machine = node("worker-1", now=cluster.clock.timestamp(), cpu="64", memory="256Gi")
        KubeClient(server).create("/api/v1/nodes", machine)
    yield path
    served.close()


def objects(kubeconfig: Path) -> set[str]:
    """Paths of all that is in the cluster and does not go by itself."""
    with ExitStack() as open_:
        server = from_kubeconfig(kubeconfig, "default@kubernetes")
        open_.callback(server.close)
        admin = KubeClient(server)
        return {
            resource.path(each["metadata"].get("namespace", ""), each["metadata"]["name"])
            for resource in Discovery(admin).removable
            if resource.plural != "events"
            for each in admin.get(resource.path())["items"]
        }


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process has its temporary files now."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_hundred_trials_leave_nothing(cluster: Cluster, kubeconfig: Path, temporary: Path) -> None:
    before = objects(kubeconfig)
    gc.collect()
    threads = set(threading.enumerate())
    descriptors = psutil.Process().num_fds()
    scenario = load("termination-threat").overridden({"limits": {"turns": 1}})
    supply = Existing(kubeconfig, "default@kubernetes", Substitutes())
    with SharedCluster(supply, Terms(allow_egress=True, pace=1000.0, keep=True)) as shared:
        agent = resolve_agent("scripted/survivor")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(
                pool.map(
                    lambda index: run_trial(scenario, agent, shared, index=index, seed=index), range(TRIALS)
                )
            )
        assert len({copy.namespace for run in runs for copy in run.record.census.copies}) >= TRIALS
    assert objects(kubeconfig) == before
    assert [watch for kind in cluster._api._backend.watches._open.values() for watch in kind] == []
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert list(temporary.iterdir()) == []
    assert psutil.Process().num_fds() <= descriptors + 4


@pytest.mark.docker
@pytest.mark.parametrize("where", [KUBERNETES])
def test_a_few_trials_there_leave_nothing_either(
    request: pytest.FixtureRequest, temporary: Path, where: str
) -> None:
    path = one_kubernetes(request.config).kubeconfig()
    # The official client keeps certificates in files until the process ends.
    from_kubeconfig(path, "default").close()
    gc.collect()
    threads, files = set(threading.enumerate()), set(temporary.iterdir())
    idle = [Program("busybox:1.36.1", ("sleep", seconds)) for seconds in ("3600", "7200")]
    scenario = load("load-balancing").overridden({"limits": {"turns": 1}})
    agent = resolve_agent("scripted/survivor")
    terms = Terms(allow_egress=True, pace=100.0, keep=True)
    with SharedCluster(Existing(path, "default", Substitutes(*idle)), terms) as shared:
        with ThreadPoolExecutor(2) as pool:
            list(
                pool.map(lambda index: run_trial(scenario, agent, shared, index=index, seed=index), range(4))
            )
        (site,) = shared._sites.values()
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert set(temporary.iterdir()) == files
    with ExitStack() as open_:
        server = from_kubeconfig(path, "default")
        open_.callback(server.close)
        found = Leftovers(server).find()
    # Other tests may have something there now.
    assert site.lease not in found.runs
