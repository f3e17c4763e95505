"""Worlds of concurrent trials cannot see, touch or reach each other: agent and operator try all they can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from real_kubernetes import KUBERNETES, one_kubernetes
from simulated import simulated
from test_shared_world import runnable

from pytest_selfrep.clusters import shared_world
from pytest_selfrep.clusters.containment import RESTRICTED
from pytest_selfrep.clusters.discovery import Discovery, Resource
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.kube import MERGE_PATCH, ApiError, KubeClient, KubeObject, path_of
from pytest_selfrep.clusters.placing import namespaces_of
from pytest_selfrep.clusters.shared_world import SharedWorld
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.scenarios.model import Scenario

KUBESIM, OWN, GIVEN = "kubesim", "own", "given"
PATIENCE = 120.0
SCENARIO = "termination-threat"
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "high"},
    "value": 1,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    real = [(KUBERNETES, OWN)] if one_kubernetes(metafunc.config).image else []
    where = [(KUBESIM, OWN), (KUBESIM, GIVEN), *real]
    ids = ["-".join(each) for each in where]
    metafunc.parametrize("where", where, ids=ids, scope="module", indirect=True)


@pytest.fixture(scope="module")
def where(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture(scope="module")
def server(
    where: tuple[str, str], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Https]:
    if where[0] == KUBESIM:
        yield from simulated(tmp_path_factory.mktemp("kubesim"))
        return
    transport = from_kubeconfig(one_kubernetes(request.config).kubeconfig(), "default")
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def scenario(where: tuple[str, str]) -> Scenario:
    """With an object that has no namespace, where it may have one."""
    found = runnable(SCENARIO)
    objects = (*found.world.objects, *([PRIORITY] if where[1] == OWN else []))
    return found.model_copy(update={"world": found.world.model_copy(update={"objects": objects})})


@pytest.fixture(scope="module")
def worlds(
    server: Https, where: tuple[str, str], scenario: Scenario
) -> Iterator[tuple[SharedWorld, SharedWorld]]:
    """Two at the same time."""
    given = [f"nordvik-{number}" for number in range(8)] if where[1] == GIVEN else []
    for name in given:
        labels = {"metadata": {"name": name, "labels": RESTRICTED}}
        KubeClient(server).create(path_of("", "v1", "namespaces"), labels)
    site = Site(server, bring=lambda images: None, given=given)
    with ExitStack() as open_:
        both = [open_.enter_context(shared_world.world(site, scenario, allow_egress=True)) for _ in "ab"]
        yield both[0], both[1]
    for reaper in site._reapers:
        reaper.join(PATIENCE)
    site.ground.close()
    assert site.stayed == []


def answer(client: KubeClient, method: str, path: str, body: KubeObject | None = None) -> int:
    """The status of the answer."""
    content = MERGE_PATCH if method == "PATCH" else "application/json"
    try:
        client.text(method, path, body=body, content_type=content, query={"dryRun": "All"} if body else {})
    except ApiError as error:
        return error.code
    return 200


def attempts(resource: Resource, namespace: str) -> Iterator[tuple[str, str, KubeObject | None]]:
    """One request for each verb."""
    body: KubeObject = {
        "apiVersion": f"{resource.group}/{resource.version}".lstrip("/"),
        "kind": resource.kind,
        "metadata": {"name": "a", "namespace": namespace},
    }
    yield "GET", resource.path(namespace), None
    yield "GET", resource.path(namespace, "a"), None
    yield "POST", resource.path(namespace), body
    yield "PUT", resource.path(namespace, "a"), body
    yield "PATCH", resource.path(namespace, "a"), {"metadata": {"labels": {"a": "b"}}}
    yield "DELETE", resource.path(namespace, "a"), None
    yield "DELETE", resource.path(namespace), None


def test_nothing_in_the_other_world_may_be_read_or_changed(worlds: tuple[SharedWorld, SharedWorld]) -> None:
    kinds = [each for each in Discovery(worlds[0].admin).removable if each.namespaced]
    assert len(kinds) > 20
    done = []
    for mine, other in (worlds, worlds[::-1]):
        for namespace in namespaces_of(other.scenario):
            for who in (mine.agent, mine.pressure):
                for kind in kinds:
                    done += [
                        f"{method} {path}"
                        for method, path, body in attempts(kind, namespace)
                        if answer(who, method, path, body) not in (403, 405)
                    ]
    assert done == []


def test_no_way_leads_into_the_pods_of_the_other_world(worlds: tuple[SharedWorld, SharedWorld]) -> None:
    mine, other = worlds
    namespace = other.scenario.world.agent.namespace
    pod = other.admin.get(path_of("", "v1", "pods", namespace))["items"][0]["metadata"]["name"]
    for way in ("exec", "attach", "portforward", "proxy", "log", "eviction", "ephemeralcontainers"):
        path = path_of("", "v1", "pods", namespace, pod, way)
        found = {answer(mine.agent, method, path, {}) for method in ("GET", "POST", "PATCH")}
        assert found <= {403, 405}, (way, found)


def test_what_lies_across_namespaces_is_not_shown(worlds: tuple[SharedWorld, SharedWorld]) -> None:
    mine, _ = worlds
    for kind in Discovery(mine.admin).removable:
        if kind.namespaced or kind.kind == "Namespace":
            assert answer(mine.agent, "GET", kind.path()) == 403 or kind.plural in ("nodes",), kind
            assert answer(mine.pressure, "GET", kind.path()) == 403, kind


def test_what_lies_outside_of_namespaces_may_not_be_changed(worlds: tuple[SharedWorld, SharedWorld]) -> None:
    mine, _ = worlds
    done = [
        f"{method} {path}"
        for kind in Discovery(mine.admin).removable
        if not kind.namespaced
        for method, path, body in attempts(kind, "")
        if method != "GET" and answer(mine.agent, method, path, body) not in (403, 405)
    ]
    assert done == []


def test_names_are_not_shared(worlds: tuple[SharedWorld, SharedWorld], where: tuple[str, str]) -> None:
    mine, other = worlds
    assert set(namespaces_of(mine.scenario)).isdisjoint(namespaces_of(other.scenario))
    assert mine.agent_user != other.agent_user
    classes = mine.admin.get(path_of("scheduling.k8s.io", "v1", "priorityclasses"))["items"]
    ours = [each["metadata"]["name"] for each in classes if each["metadata"]["name"].startswith("high")]
    assert len(ours) == (2 if where[1] == OWN else 0)


def fenced(world: SharedWorld) -> list[KubeObject]:
    """The rules by which something gets out, after a look at all else that keeps a world to itself."""
    rules = []
    for namespace in namespaces_of(world.scenario):
        policies = world.admin.get(path_of("networking.k8s.io", "v1", "networkpolicies", namespace))["items"]
        assert all(each["spec"]["podSelector"] == {} for each in policies)
        assert {kind for each in policies for kind in each["spec"]["policyTypes"]} == {"Ingress", "Egress"}
        assert not [rule for each in policies for rule in each["spec"].get("ingress") or ()]
        rules += [rule for each in policies for rule in each["spec"].get("egress") or ()]
        labels = world.admin.get(path_of("", "v1", "namespaces", name=namespace))["metadata"]["labels"]
        assert RESTRICTED.items() <= labels.items()
    return rules


def is_about_names(rule: KubeObject) -> bool:
    return all("namespaceSelector" in end for end in rule["to"]) and all(
        each["port"] == 53 for each in rule["ports"]
    )


def test_every_namespace_lets_nothing_in_and_names_alone_out(worlds: tuple[SharedWorld, SharedWorld]) -> None:
    mine, _ = worlds
    assert all(is_about_names(rule) for rule in fenced(mine))


def test_whose_pods_need_the_api_server_gets_to_its_ports_alone(
    worlds: tuple[SharedWorld, SharedWorld], server: Https, where: tuple[str, str]
) -> None:
    _, mine = worlds
    mine.ready_image("busybox:1.36.1")
    ways = [rule for rule in fenced(mine) if not is_about_names(rule)]
    service = mine.admin.get(path_of("", "v1", "services", "default", "kubernetes"))["spec"]
    assert {"ipBlock": {"cidr": f"{service['clusterIP']}/32"}} in [end for each in ways for end in each["to"]]
    own = {urlsplit(server.server).port, 6443, *(each["port"] for each in service["ports"])}
    for rule in ways:
        (end,), (port,) = rule["to"], rule["ports"]
        assert end["ipBlock"]["cidr"].endswith("/32")
        assert port["protocol"] == "TCP"
        assert port["port"] in own


def test_watches_show_a_world_itself_alone(worlds: tuple[SharedWorld, SharedWorld]) -> None:
    mine, _ = worlds
    for group, plural in (("", "pods"), ("apps", "deployments"), ("", "events")):
        seen = {each.object["metadata"]["namespace"] for each in mine.watch(group, "v1", plural).poll()}
        assert seen <= set(namespaces_of(mine.scenario))
