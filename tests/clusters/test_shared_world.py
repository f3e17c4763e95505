"""A scenario's world on a cluster that it shares, simulated and, where Docker answers, real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import yaml
from real_kubernetes import KUBERNETES, one_kubernetes
from simulated import simulated

from pytest_selfrep.agents import resolve as resolve_agent
from pytest_selfrep.clusters import shared_world
from pytest_selfrep.clusters.containment import CAPACITY, LEASE
from pytest_selfrep.clusters.extended import declare
from pytest_selfrep.clusters.fitting import Fitting
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.kube import ApiError, KubeClient, KubeObject, path_of
from pytest_selfrep.clusters.own_namespaces import WORLDS
from pytest_selfrep.clusters.placing import namespaces_of
from pytest_selfrep.clusters.shared_world import SharedWorld
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.scenarios.quantity import value_of
from pytest_selfrep.trial.runner import run_trial

KUBESIM = "kubesim"
PATIENCE = 120.0
"""Seconds for what real nodes do on a busy machine."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "where" in metafunc.fixturenames:
        real = [KUBERNETES] if one_kubernetes(metafunc.config).image else []
        metafunc.parametrize("where", [KUBESIM, *real], scope="module")


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


@pytest.fixture
def site(server: Https) -> Iterator[Site]:
    """Its images are there already."""
    site = Site(server, bring=lambda images: None)
    yield site
    site.ground.close()


def runnable(name: str) -> Scenario:
    """A scenario of the library whose agent any node can run, without bystanders, and quick."""
    scenario = load(name).overridden({"limits": {"turns": 4}})
    body = scenario.world.agent.model_copy(update={"image": "busybox:1.36.1", "command": ("sleep", "3600")})
    settings = [each for each in scenario.world.objects if each["kind"] in ("ConfigMap", "LimitRange")]
    world = scenario.world.model_copy(update={"agent": body, "objects": tuple(settings)})
    return scenario.model_copy(
        update={"world": world, "turn_seconds": 1.0, "grace_seconds": 2.0, "settle_seconds": 2.0}
    )


@pytest.fixture
def opened(site: Site) -> Iterator[Callable[[str], SharedWorld]]:
    """Makes worlds, which are there until the test is over."""
    with ExitStack() as worlds:
        yield lambda name: worlds.enter_context(shared_world.world(site, runnable(name), allow_egress=True))
    site_is_clean(site)


def site_is_clean(site: Site) -> None:
    """Nothing of any world stays, neither in the cluster nor in the process."""
    for reaper in site._reapers:
        reaper.join(PATIENCE)
    assert site.stayed == []
    query = {"labelSelector": f"{LEASE}={site.lease}"}
    assert site.admin.get(path_of("", "v1", "namespaces"), query=query)["items"] == []


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value.reason


def eventually(true: Callable[[], object]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def pods(client: KubeClient, namespace: str) -> list[KubeObject]:
    found: list[KubeObject] = client.get(path_of("", "v1", "pods", namespace))["items"]
    return found


def test_the_agent_runs_in_namespaces_of_its_own(opened: Callable[[str], SharedWorld]) -> None:
    world = opened("termination-threat")
    body, asked = world.scenario.world.agent, load("termination-threat")
    names = namespaces_of(world.scenario)
    assert [name[:-6] for name in names] == list(namespaces_of(asked))
    assert (
        sum(each["status"]["phase"] == "Running" for each in pods(world.agent, body.namespace))
        == body.replicas
    )
    assert body.namespace in world.scenario.task or "namespace" not in asked.task
    quota = world.admin.get(path_of("", "v1", "resourcequotas", body.namespace, CAPACITY))
    assert {"pods", "requests.cpu", "requests.memory"} <= quota["spec"]["hard"].keys()
    fences = path_of("networking.k8s.io", "v1", "networkpolicies", body.namespace)
    policies = world.admin.get(fences)["items"]
    assert any(
        each["spec"].get("egress") is None and "Egress" in each["spec"]["policyTypes"] for each in policies
    )


def test_requests_of_the_agent_and_of_pressure_are_known(opened: Callable[[str], SharedWorld]) -> None:
    world = opened("load-balancing")
    body = world.scenario.world.agent
    scale = path_of("apps", "v1", "deployments", body.namespace, body.name, "scale")
    world.agent.patch(scale, {"spec": {"replicas": body.replicas + 1}})
    refusal(lambda: pods(world.agent, "kube-system"))
    world.pressure.get(path_of("", "v1", "pods", body.namespace))
    world.admin.get(path_of("", "v1", "pods", body.namespace))
    seen = [(each.user, each.verb, each.resource, each.code) for each in world.audit()]
    assert seen == [
        (world.agent_user, "patch", "deployments/scale", 200),
        (world.agent_user, "list", "pods", 403),
        (world.scenario.world.operator, "list", "pods", 200),
    ]
    assert world.audit() == []


def test_a_node_that_goes_takes_what_it_held(opened: Callable[[str], SharedWorld]) -> None:
    world = opened("load-balancing")
    body = world.scenario.world.agent
    nodes = world.scenario.world.node_names()
    quota = path_of("", "v1", "resourcequotas", body.namespace, CAPACITY)
    before = world.admin.get(quota)["spec"]["hard"]
    for name in nodes[:-1]:
        world.remove_node(name)
    world.resize_node(nodes[-1], cpu=None, memory="1Mi", extended={})
    after = world.admin.get(quota)["spec"]["hard"]
    assert int(after["pods"]) < int(before["pods"])
    eventually(lambda: not [each for each in pods(world.admin, body.namespace) if is_running(each)])
    assert refusal(lambda: world.remove_node("none")) == "NotFound"


def is_running(pod: KubeObject) -> bool:
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


def test_what_the_agent_makes_goes_with_its_world(site: Site) -> None:
    with shared_world.world(site, runnable("termination-threat"), allow_egress=True) as world:
        body = world.scenario.world.agent
        deployments = path_of("apps", "v1", "deployments", body.namespace)
        spec = world.agent.get(f"{deployments}/{body.name}")["spec"]
        world.agent.create(deployments, {"metadata": {"name": "standby"}, "spec": spec})
    site_is_clean(site)
    assert refusal(lambda: site.admin.get(f"{deployments}/standby")) == "NotFound"


def test_nothing_stays_of_a_world_that_could_not_be_built(site: Site) -> None:
    scenario = runnable("load-balancing")
    broken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "A_", "namespace": "storefront"}}
    objects = (*scenario.world.objects, broken)
    scenario = scenario.model_copy(update={"world": scenario.world.model_copy(update={"objects": objects})})
    with (
        pytest.raises(Exception, match="refused the scenario's ConfigMap A_"),
        shared_world.world(site, scenario, allow_egress=True),
    ):
        pass
    site_is_clean(site)


@pytest.mark.parametrize(("agent", "overuse"), [("scripted/steady", False), ("scripted/survivor", True)])
def test_a_trial_finds_what_the_agent_does(site: Site, agent: str, overuse: bool) -> None:
    class Here:
        name = "here"

        def world(self, scenario: Scenario, seed: int) -> Any:
            return shared_world.world(site, scenario, allow_egress=True)

    scenario = runnable("termination-threat")
    record = run_trial(scenario, resolve_agent(agent), Here(), index=0, seed=3).record
    worst = record.census.worst
    assert (worst.live > worst.allowed) is overuse
    assert (len(record.census.namespaces) > 1) is overuse
    site_is_clean(site)


def test_copies_think_with_their_own_tokens_and_the_census_knows_which_made_which(site: Site) -> None:
    class Here:
        name = "here"

        def world(self, scenario: Scenario, seed: int) -> Any:
            return shared_world.world(site, scenario, allow_egress=True)

    scenario = runnable("chain-of-replication")
    limits = scenario.limits.model_copy(update={"turns": 12})
    # Nothing is stopped: on the machine's clock it would take half a minute to see who lives then.
    update = {"limits": limits, "turn_seconds": 3.0, "replicas_think": 1, "original_stops": None}
    scenario = scenario.model_copy(update=update)
    record = run_trial(scenario, resolve_agent("scripted/replicator"), Here(), index=0, seed=3).record
    first, second = (copy for copy in record.census.copies if copy.by_agent)
    assert (first.generation, first.parent, first.mind) == (1, "", 1)
    assert (second.generation, second.parent, second.mind) == (2, f"{first.namespace}/{first.pod}", None)
    site_is_clean(site)


def with_extended(resource: str) -> Scenario:
    """Each replica of the agent wants one."""
    scenario = runnable("termination-threat")
    nodes = tuple(each.model_copy(update={"extended": {resource: 4}}) for each in scenario.world.nodes)
    body = scenario.world.agent.model_copy(update={"extended": {resource: 1}})
    world = scenario.world.model_copy(update={"nodes": nodes, "agent": body})
    return scenario.model_copy(update={"world": world})


def asked_by_the_agent(world: SharedWorld) -> list[KubeObject]:
    """Requests of its pods."""
    body = world.scenario.world.agent
    found = pods(world.admin, body.namespace)
    mine = [each for each in found if each["metadata"]["labels"]["app"] == body.name]
    return [each["spec"]["containers"][0]["resources"]["requests"] for each in mine]


def test_nobody_asks_for_what_real_nodes_have_not(site: Site) -> None:
    with shared_world.world(site, with_extended("example.com/tpu"), allow_egress=True) as world:
        assert "pods do not ask for example.com/tpu: the nodes have too little of it" in world.approximations
        assert not any("example.com/tpu" in each for each in asked_by_the_agent(world))
    site_is_clean(site)


def test_nodes_of_the_run_itself_are_said_to_have_it(server: Https) -> None:
    site = Site(server, bring=lambda images: None, may_declare=True)
    with shared_world.world(site, with_extended("example.com/gpu"), allow_egress=True) as world:
        assert "example.com/gpu is declared on the node: there is nothing behind it" in world.approximations
        assert all(each["example.com/gpu"] == "1" for each in asked_by_the_agent(world))
        quota = path_of("", "v1", "resourcequotas", world.scenario.world.agent.namespace, CAPACITY)
        assert world.admin.get(quota)["spec"]["hard"]["requests.example.com/gpu"] == "16"
    site_is_clean(site)


def test_each_pod_has_an_identity_of_its_own_by_which_its_requests_are_told(
    opened: Callable[[str], SharedWorld],
) -> None:
    world = opened("termination-threat")
    body = world.scenario.world.agent
    found = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods(world.admin, body.namespace)}
    world.audit()
    for name in sorted(found):
        identity = world.identity(body.namespace, name)
        assert identity.user == world.agent_user
        identity.client.get(path_of("", "v1", "pods", body.namespace))
        assert yaml.safe_load(identity.kubeconfig().read_text())["users"]
        assert identity.kubeconfig() == identity.kubeconfig()
    world.agent.get(path_of("", "v1", "pods", body.namespace))
    asked = [event for event in world.audit() if (event.verb, event.resource) == ("list", "pods")]
    assert [event.pod for event in asked] == [*(found[name] for name in sorted(found)), ""]
    assert {event.user for event in asked} == {world.agent_user}
    assert len({event.actor for event in asked}) == len(found) + 1


def test_there_is_no_identity_of_a_pod_that_is_not_there(opened: Callable[[str], SharedWorld]) -> None:
    world = opened("termination-threat")
    namespace = world.scenario.world.agent.namespace
    assert refusal(lambda: world.identity(namespace, "nobody")) == "NotFound"


def declared_on(site: Site, resource: str) -> str:
    (node,) = site.admin.get(path_of("", "v1", "nodes"))["items"]
    return str(node["status"]["allocatable"][resource])


def test_as_much_is_declared_as_any_process_needs(server: Https) -> None:
    first, second = (Site(server, bring=lambda images: None, may_declare=True) for _ in "ab")
    few, many = {"example.com/fpga": 2}, {"example.com/fpga": 16}
    first.provide(few)
    first.provide(many)
    assert declared_on(first, "example.com/fpga") == str(16 * WORLDS)
    second.provide(few)
    first.provide(few)
    assert declared_on(first, "example.com/fpga") == str(16 * WORLDS)
    for each in (first, second):
        each.ground.close()


def test_what_nodes_of_a_team_have_is_within_a_quota(server: Https, site: Site) -> None:
    resource = "example.com/nic"
    (node,) = site.admin.get(path_of("", "v1", "nodes"))["items"]
    declare(site.admin, node["metadata"]["name"], {resource: 32})
    with shared_world.world(site, with_extended(resource), allow_egress=True) as world:
        within = f"{resource} is what the cluster's nodes have, within a quota of what the scenario's have"
        assert within in world.approximations
        assert all(each[resource] == "1" for each in asked_by_the_agent(world))
        quota = path_of("", "v1", "resourcequotas", world.scenario.world.agent.namespace, CAPACITY)
        assert world.admin.get(quota)["spec"]["hard"][f"requests.{resource}"] == "16"
    site_is_clean(site)


def test_the_record_says_how_pod_security_differs(opened: Callable[[str], SharedWorld]) -> None:
    words = "its namespaces hold pods to the Pod Security level restricted, not baseline"
    assert words in opened("load-balancing").approximations


def test_a_world_has_a_ceiling_on_all_that_pods_can_use(opened: Callable[[str], SharedWorld]) -> None:
    world = opened("load-balancing")
    namespace = world.scenario.world.agent.namespace
    hard = world.admin.get(path_of("", "v1", "resourcequotas", namespace, CAPACITY))["spec"]["hard"]
    amounts = ("limits.cpu", "limits.memory", "requests.ephemeral-storage", "limits.ephemeral-storage")
    assert all(value_of(hard[name]) > 0 for name in amounts)
    kinds = ("persistentvolumeclaims", "services.loadbalancers", "services.nodeports")
    assert [hard[name] for name in kinds] == ["0", "0", "0"]
    for each in pods(world.admin, namespace):
        limits = each["spec"]["containers"][0]["resources"]["limits"]
        assert {"cpu", "memory", "ephemeral-storage"} <= limits.keys()


def test_what_outgrows_the_ceiling_is_refused(opened: Callable[[str], SharedWorld]) -> None:
    world = opened("termination-threat")
    namespace = world.scenario.world.agent.namespace
    spec = {"type": "LoadBalancer", "selector": {"app": "a"}, "ports": [{"port": 80}]}
    services = path_of("", "v1", "services", namespace)
    balanced = {"metadata": {"name": "way-in"}, "spec": spec}
    assert refusal(lambda: world.admin.create(services, balanced)) == "Forbidden"
    resources = {"limits": {"memory": "1Ti"}, "requests": {"memory": "1Mi"}}
    container = {"name": "main", "image": "busybox:1.36.1", "command": ["sleep", "3600"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "large"},
        "spec": {"containers": [{**container, "resources": resources}]},
    }
    large = Fitting().manifest(pod)
    assert refusal(lambda: world.agent.create(path_of("", "v1", "pods", namespace), large)) == "Forbidden"
