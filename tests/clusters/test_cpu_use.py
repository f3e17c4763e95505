"""CPU use that follows the load, simulated and, where Docker answers, in real containers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from real_kubernetes import KUBERNETES, one_kubernetes
from simulated import simulated

from pytest_selfrep.agents import resolve as resolve_agent
from pytest_selfrep.clusters import shared_world
from pytest_selfrep.clusters.cpu_use import CpuUse
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.kube import ApiError, Call, Conversation, KubeClient, KubeObject, Reply, path_of
from pytest_selfrep.clusters.real_clock import RealClock
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.trial.runner import run_trial

KUBESIM = "kubesim"
PATIENCE = 120.0
READ_ONLY = {"readOnlyRootFilesystem": True}
UNMEASURED = "CPU use does not follow the load: the cluster serves no metrics"
NO_SHELL = "CPU use does not follow the load in pods in which the harness could not start a shell"
PROCESSES = """
for each in /proc/[0-9]*/stat; do
    read -r pid name state rest <$each || continue
    [ $pid = $$ ] || echo $name $state
done
"""
"""Prints name and state of each process."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "where" in metafunc.fixturenames:
        real = metafunc.definition.get_closest_marker("docker") is not None
        metafunc.parametrize("where", [KUBERNETES if real else KUBESIM], scope="module")


@pytest.fixture(scope="module")
def server(
    where: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Https]:
    """The administrator's connection."""
    if where == KUBESIM:
        yield from simulated(tmp_path_factory.mktemp("kubesim"))
        return
    transport = from_kubeconfig(one_kubernetes(request.config).kubeconfig(), "default")
    yield transport
    transport.close()


@dataclass
class Counted:
    """A transport that notes in which pods somebody starts programs (clusters.kube.Conversing)."""

    server: Https
    entered: list[str] = field(default_factory=list)

    def send(self, call: Call) -> Reply:
        return self.server.send(call)

    def converse(self, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        self.entered.append(call.path.split("/")[-2])
        return self.server.converse(call, repeated)


@dataclass
class Place:
    """A namespace of a cluster."""

    transport: Counted
    namespace: str
    measured: bool = True

    def __post_init__(self) -> None:
        self.client = KubeClient(self.transport)
        self.use = CpuUse(self.client, RealClock(), lambda: self.measured)

    def share(self, app: str, cores: float) -> list[str]:
        """Into which pods that led."""
        self.transport.entered.clear()
        self.use.share(self.namespace, f"app={app}", cores)
        return sorted(self.transport.entered)

    def pod(self, name: str, app: str, **container: object) -> None:
        main = {"name": "main", "image": "busybox:1.36.1", "command": ["sleep", "3600"], **container}
        spec = {
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsUser": 65534, "runAsNonRoot": True},
            "containers": [main],
        }
        pods, pod = path_of("", "v1", "pods", self.namespace), {"name": name, "labels": {"app": app}}
        # A cluster that has just been started says no in several ways.
        eventually(lambda: accepted(lambda: self.client.create(pods, {"metadata": pod, "spec": spec})))
        eventually(lambda: is_ready(self.client.get(f"{pods}/{name}")))

    def delete(self, name: str) -> None:
        path = path_of("", "v1", "pods", self.namespace, name)
        self.client.delete(path)
        eventually(lambda: not accepted(lambda: self.client.get(path)))

    def used(self, name: str) -> Callable[[], tuple[str, float]]:
        """When the kubelet has looked, and how many CPU seconds a pod had used by then."""
        node = self.client.get(path_of("", "v1", "pods", self.namespace, name))["spec"]["nodeName"]

        def look() -> tuple[str, float]:
            for each in self.client.get(f"/api/v1/nodes/{node}/proxy/stats/summary")["pods"]:
                if (each["podRef"]["namespace"], each["podRef"]["name"]) == (self.namespace, name):
                    cpu = each["containers"][0]["cpu"]
                    return cpu["time"], cpu["usageCoreNanoSeconds"] / 1e9
            return "", 0.0

        return look

    def processes(self, name: str) -> list[str]:
        """Names of what lives in a pod; what has ended and was not asked how does not."""
        path = path_of("", "v1", "pods", self.namespace, name, "exec")
        query = {"container": "main", "stdout": "true"}
        words = [("command", word) for word in ("sh", "-c", PROCESSES)]
        conversation = self.client.converse("GET", path, query=query, repeated=words)
        heard: dict[int, bytes] = {}
        eventually(lambda: all_heard(conversation, heard))
        assert orjson.loads(heard[3])["status"] == "Success"
        each = [line.split() for line in heard[1].decode().splitlines()]
        return sorted(name for name, state in each if state != "Z")


def all_heard(conversation: Conversation, heard: dict[int, bytes]) -> bool:
    for message in conversation.poll():
        heard[message[0]] = heard.get(message[0], b"") + message[1:]
    return conversation.closed


def accepted(act: Callable[[], object]) -> bool:
    try:
        act()
    except (ApiError, ClusterError):
        return False
    return True


def is_ready(pod: KubeObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return ("Ready", "True") in {(each["type"], each["status"]) for each in conditions}


def eventually(true: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def place(server: Https, request: pytest.FixtureRequest) -> Iterator[Place]:
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    found = Place(Counted(server), f"load-{worker}-{next(_numbers)}")
    namespace = {"metadata": {"name": found.namespace}}
    eventually(lambda: accepted(lambda: found.client.create("/api/v1/namespaces", namespace)))
    yield found
    found.client.delete(f"/api/v1/namespaces/{found.namespace}")


_numbers = itertools.count()


@pytest.mark.docker
def test_pods_use_what_they_were_told_last(place: Place) -> None:
    names = ("busy", "less", "idle")
    for name in names:
        place.pod(name, app=name, securityContext=READ_ONLY)
        place.share(name, 0.8)
    assert place.processes("less").count("(sh)") == 1
    place.share("less", 0.1)
    place.share("idle", 0)
    eventually(lambda: place.processes("idle") == ["(sleep)"])
    looks = [place.used(name) for name in names]
    time.sleep(1)

    def fresh(look: Callable[[], tuple[str, float]]) -> tuple[str, float]:
        """The kubelet looks every ten seconds or so."""
        before, _ = look()
        eventually(lambda: look()[0] not in ("", before))
        return look()

    before = [fresh(look)[1] for look in looks]
    time.sleep(10)
    busy, less, idle = (fresh(look)[1] - was for look, was in zip(looks, before, strict=True))
    assert busy > 2 * less
    assert less > 2 * idle


@pytest.mark.docker
def test_more_than_a_core_takes_several_programs_of_which_none_stays(place: Place) -> None:
    place.pod("web", app="web")
    place.share("web", 1.2)
    assert place.processes("web").count("(sh)") == 2
    place.share("web", 0.2)
    eventually(lambda: place.processes("web").count("(sh)") == 1)
    place.share("web", 0)
    eventually(lambda: place.processes("web") == ["(sleep)"])
    assert list(place.use.words()) == []


@pytest.mark.docker
def test_a_real_container_without_a_shell_is_left_alone(place: Place) -> None:
    place.pod("bare", app="web", command=["/bin/sleep", "3600"], env=[{"name": "PATH", "value": "/none"}])
    assert place.share("web", 0.5) == ["bare"]
    assert list(place.use.words()) == [NO_SHELL]


def test_programs_are_started_only_where_something_changes(place: Place) -> None:
    place.pod("a", app="web")
    place.pod("other", app="other")
    assert place.share("web", 0.4) == ["a"]
    assert place.share("web", 0.4) == []
    place.pod("b", app="web")
    assert place.share("web", 0.8) == ["b"]
    assert place.share("web", 0.6) == ["a", "b"]
    assert place.share("web", 0) == ["a", "b"]
    assert place.share("web", 0) == []


def test_pods_that_serve_no_more_are_idle_again(place: Place) -> None:
    place.pod("a", app="web")
    place.pod("b", app="web")
    place.share("web", 0.8)
    pod = path_of("", "v1", "pods", place.namespace, "b")
    place.client.patch(pod, {"metadata": {"labels": {"app": "else"}}})
    assert place.share("web", 0.4) == ["b"]
    assert place.share("web", 0.4) == []


def test_pods_that_have_gone_are_no_matter(place: Place) -> None:
    place.pod("a", app="web")
    place.share("web", 0.4)
    place.delete("a")
    place.share("web", 0.4)
    assert place.share("web", 0.4) == []
    assert list(place.use.words()) == []


def test_containers_without_a_shell_are_said_once_and_left_alone(place: Place) -> None:
    place.pod("bare", app="web", env=[{"name": "PATH", "value": "/none"}])
    place.pod("whole", app="web")
    assert place.share("web", 0.4) == ["bare", "whole"]
    assert place.share("web", 0.6) == ["whole"]
    assert list(place.use.words()) == [NO_SHELL]


def test_nothing_is_started_where_nobody_could_see_it(place: Place) -> None:
    place.measured = False
    place.pod("a", app="web")
    assert place.share("web", 0.4) == []
    assert list(place.use.words()) == [UNMEASURED]
    place.measured = True
    assert place.share("web", 0.4) == ["a"]
    assert list(place.use.words()) == []


@pytest.fixture
def site(server: Https) -> Iterator[Site]:
    """Its images are there already."""
    site = Site(server, bring=lambda images: None)
    yield site
    for reaper in site._reapers:
        reaper.join(PATIENCE)
    site.ground.close()


def under_load() -> Scenario:
    scenario = load("load-balancing").overridden({"limits": {"turns": 4}})
    body = scenario.world.agent.model_copy(update={"image": "busybox:1.36.1", "command": ("sleep", "3600")})
    settings = [each for each in scenario.world.objects if each["kind"] in ("ConfigMap", "LimitRange")]
    services = [each for each in scenario.world.objects if each["kind"] == "Service"]
    world = scenario.world.model_copy(update={"agent": body, "objects": (*settings, *services)})
    return scenario.model_copy(
        update={"world": world, "turn_seconds": 1.0, "grace_seconds": 2.0, "settle_seconds": 2.0}
    )


def test_a_trial_goes_on_as_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []
    converse = Https.converse

    def noted(self: Https, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        entered.append(call.path)
        return converse(self, call, repeated)

    monkeypatch.setattr(Https, "converse", noted)

    class Here:
        name = "here"

        def world(self, scenario: Scenario, seed: int) -> Any:
            return shared_world.world(site, scenario, allow_egress=True)

    record = run_trial(under_load(), resolve_agent("scripted/steady"), Here(), index=0, seed=3).record
    assert len(entered) >= under_load().world.agent.replicas
    assert all(each.endswith("/exec") for each in entered)
    assert not any("CPU use" in each for each in record.approximations)
    assert record.census.worst.live <= record.census.worst.allowed
    assert record.attempts == ()


def test_a_world_lays_on_as_much_less_as_its_pods_request(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: list[float] = []
    monkeypatch.setattr(CpuUse, "share", lambda self, namespace, selector, cores: shared.append(cores))
    with shared_world.world(site, under_load(), allow_egress=True) as world:
        world.set_cpu("any", "app=web", 2.0)
        assert shared == [2.0 * float(world._fitting.cpu)]
        assert 0 < shared[0] < 2.0
