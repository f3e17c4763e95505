"""The clusters that keep the contract, and a namespace of one of them for each test."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_client import Connection, Kube, connection, until
from manifests import idle_pod
from real_kubernetes import KUBERNETES, OneKubernetes, one_kubernetes
from shirts import DEFINITIONS, Shirts

from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes.machines import node
from pytest_selfrep.kubesim.serving.server import serve

KUBESIM = "kubesim"
RATE = 20.0
"""Seconds of kubesim's time in one of the machine's."""
TICK_SECONDS = 0.01
BORN_AGO = timedelta(days=2)
"""kubesim's clock is behind the machine's, so that nothing in it is younger than kubectl can say."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cluster" in metafunc.fixturenames:
        real = [KUBERNETES] if one_kubernetes(metafunc.config).image else []
        metafunc.parametrize("cluster", [KUBESIM, *real], indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Ask an older Kubernetes nothing that came later."""
    late = [each for each in items if _too_new(config, each)]
    if late:
        config.hook.pytest_deselected(items=late)
        items[:] = [each for each in items if each not in late]


def _too_new(config: pytest.Config, item: pytest.Item) -> bool:
    marker = item.get_closest_marker("since")
    if marker is None or f"[{KUBERNETES}" not in item.nodeid:
        return False
    return not _does(one_kubernetes(config), marker.args[0])


def _does(kubernetes: OneKubernetes, since: str) -> bool:
    """Whether it is of that version, or a later one."""
    major, _, minor = since.partition(".")
    return (int(major), int(minor)) <= kubernetes.version


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, folder: Path) -> Iterator[Connection]:
    """The administrator's connection to one of the clusters."""
    if request.param == KUBESIM:
        yield from kubesim(folder)
        return
    real = one_kubernetes(request.config)
    admin = connection(real.kubeconfig())
    kube = Kube(admin, "default", folder)
    until(lambda: _ready(kube), bool)
    version = kube.get("/version")["gitVersion"]
    assert version.startswith("v{}.{}.".format(*real.version)), f"the image's tag says otherwise: {version}"
    yield admin
    admin.pool.clear()


def _ready(kube: Kube) -> bool:
    """Whether a node takes pods, and the namespace has its account."""
    if kube.send("GET", "serviceaccounts/default").code != 200:
        return False
    conditions = [each["status"]["conditions"] for each in kube.get("/api/v1/nodes")["items"]]
    return any(each["type"] == "Ready" and each["status"] == "True" for node in conditions for each in node)


def kubesim(folder: Path) -> Iterator[Connection]:
    """kubesim with a node, served over HTTPS, its clock running fast."""
    simulation = Cluster(start=datetime.now(UTC) - BORN_AGO)
    served = serve(simulation)
    ended = threading.Event()
    clock = threading.Thread(target=_let_time_pass, args=(simulation, ended), daemon=True)
    clock.start()
    path = folder / "kubesim.kubeconfig"
    path.write_text(served.kubeconfig(simulation.token_for()))
    admin = connection(path)
    machine = node("worker-1", now=simulation.clock.timestamp(), cpu="8", memory="32Gi")
    Kube(admin, "default", folder).create("/api/v1/nodes", machine)
    yield admin
    admin.pool.clear()
    ended.set()
    clock.join()
    served.close()
    simulation.close()


def _let_time_pass(simulation: Cluster, ended: threading.Event) -> None:
    while not ended.wait(TICK_SECONDS):
        simulation.advance(TICK_SECONDS * RATE)


@pytest.fixture
def simulated(cluster: Connection, request: pytest.FixtureRequest) -> bool:
    """Whether the cluster is kubesim: only for what differs on purpose."""
    return bool(request.node.callspec.params["cluster"] == KUBESIM)


@pytest.fixture
def does(simulated: bool, request: pytest.FixtureRequest) -> Callable[[str], bool]:
    """Whether the cluster does what Kubernetes does since a version."""
    return lambda since: simulated or _does(one_kubernetes(request.config), since)


@pytest.fixture
def kube(cluster: Connection, folder: Path, request: pytest.FixtureRequest) -> Iterator[Kube]:
    """A namespace of the test's own, as the administrator."""
    yield from namespace(cluster, folder, request.config)


@pytest.fixture(scope="module")
def shared(cluster: Connection, folder: Path, request: pytest.FixtureRequest) -> Iterator[Kube]:
    """A namespace for all checks of a module that leave nothing behind which others see."""
    yield from namespace(cluster, folder, request.config)


_numbers = itertools.count(1)


def namespace(cluster: Connection, folder: Path, config: pytest.Config) -> Iterator[Kube]:
    worker = getattr(config, "workerinput", {}).get("workerid", "main")
    kube = Kube(cluster, f"contract-{worker}-{next(_numbers)}", folder)
    kube.create("/api/v1/namespaces", {"metadata": {"name": kube.namespace}})
    # Its service account, and what else pods need, comes a little later.
    kube.admits(idle_pod("probe"))
    until(lambda: kube.exists("configmaps/kube-root-ca.crt"), bool)
    yield kube
    # It goes in its own time: nobody waits for it.
    kube.delete(f"/api/v1/namespaces/{kube.namespace}")


@pytest.fixture
def shirts(kube: Kube) -> Iterator[Shirts]:
    """A kind that is still to be defined."""
    made = Shirts(kube)
    yield made
    for name in kube.names(DEFINITIONS):
        if name.endswith(f".{made.group}"):
            kube.send("DELETE", f"{DEFINITIONS}/{name}")


@pytest.fixture(scope="module")
def served(shared: Kube) -> Iterator[Shirts]:
    """A kind that is there, for tests that leave no shirt behind that others see."""
    made = Shirts(shared)
    made.define()
    yield made
    shared.send("DELETE", made.definition)
