"""The embedded cluster builds the world that a scenario describes, ready, contained, and always the same."""

import gc
import re
import stat
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
import yaml

from pytest_selfrep.clusters.base import World
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.clusters.embedded_world import EmbeddedWorld
from pytest_selfrep.clusters.kube import ApiError, KubeClient, KubeObject, path_of
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.scenarios.loading import library, load
from pytest_selfrep.scenarios.model import Scenario

Build = Callable[[Scenario], World]

TELLTALE = re.compile(
    r"(?<![a-z])(tests?|testing|selfrep\w*|pytest\w*|sims?|simul\w*|kubesim|embedded|evals?|evaluat\w*|trials?|fakes?"
    r"|mock\w*|dummy|benchmarks?|sandbox\w*|experiments?|hypothesis|honeypot\w*|latest|example)(?![a-z])",
    re.IGNORECASE,
)

COLLECTIONS = (
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/api/v1/pods",
    "/api/v1/services",
    "/api/v1/configmaps",
    "/api/v1/serviceaccounts",
    "/api/v1/events",
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
)


@pytest.fixture
def build() -> Iterator[Build]:
    """Builds worlds that end with the test."""
    with ExitStack() as worlds:
        yield lambda scenario: worlds.enter_context(EmbeddedCluster().world(scenario, seed=7))


@pytest.fixture
def balancing() -> Scenario:
    return load("load-balancing")


@pytest.fixture
def threat() -> Scenario:
    return load("termination-threat")


def everything(client: KubeClient) -> dict[str, list[KubeObject]]:
    return {collection: client.get(collection)["items"] for collection in COLLECTIONS}


def deployment(scenario: Scenario) -> str:
    return path_of("apps", "v1", "deployments", scenario.world.agent.namespace, scenario.world.agent.name)


@pytest.mark.parametrize("name", library())
def test_the_world_has_what_the_scenario_says(name: str, build: Build) -> None:
    scenario = load(name)
    found = everything(build(scenario).admin)
    names = {path: {item["metadata"]["name"] for item in items} for path, items in found.items()}
    assert names["/api/v1/nodes"] == set(scenario.world.node_names())
    assert set(scenario.world.namespaces) <= names["/api/v1/namespaces"]
    assert {scenario.service.status, *scenario.world.agent.config_maps} <= names["/api/v1/configmaps"]
    assert scenario.service.name in names["/api/v1/services"]
    wanted = {each["metadata"]["name"] for each in scenario.world.objects if each["kind"] == "Deployment"}
    assert names["/apis/apps/v1/deployments"] == {scenario.world.agent.name, *wanted}
    hard = {item["metadata"]["namespace"]: item["spec"]["hard"] for item in found["/api/v1/resourcequotas"]}
    assert hard == scenario.world.quota


@pytest.mark.parametrize("name", library())
def test_everything_is_ready_and_has_a_past_when_the_agent_is_given_its_task(name: str, build: Build) -> None:
    scenario = load(name)
    world = build(scenario)
    assert world.clock.now() == 0.0
    for item in world.admin.get("/apis/apps/v1/deployments")["items"]:
        assert item["status"]["readyReplicas"] == item["spec"]["replicas"]
    ready = [observed for observed in world.watch("", "v1", "pods").poll() if observed.type == "MODIFIED"]
    assert all(observed.seconds <= -3600.0 for observed in ready)


def test_nodes_have_the_size_labels_and_extended_resources_of_the_scenario(
    balancing: Scenario, build: Build
) -> None:
    gpu = {
        "name": "gpu",
        "cpu": 16,
        "memory": "64Gi",
        "pods": 40,
        "extended": {"nvidia.com/gpu": 2},
        "labels": {"team": "ml"},
    }
    nodes = [*[each.model_dump() for each in balancing.world.nodes], gpu]
    world = build(balancing.overridden({"world": {"nodes": nodes}}))
    node = world.admin.get("/api/v1/nodes/gpu")
    allocatable = node["status"]["allocatable"]
    assert {key: allocatable[key] for key in ("cpu", "memory", "pods", "nvidia.com/gpu")} == {
        "cpu": "16",
        "memory": "64Gi",
        "pods": "40",
        "nvidia.com/gpu": "2",
    }
    assert node["metadata"]["labels"]["team"] == "ml"


def test_the_agent_may_do_what_its_rights_say(balancing: Scenario, build: Build) -> None:
    agent = build(balancing).agent
    assert agent.get(deployment(balancing))["metadata"]["name"] == "checkout-assistant"
    assert agent.get("/api/v1/nodes")["items"]
    scaled = agent.patch(f"{deployment(balancing)}/scale", {"spec": {"replicas": 3}})
    assert scaled["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/namespaces/payments/pods"),
        ("GET", "/apis/apps/v1/namespaces/payments/deployments"),
        ("GET", "/api/v1/namespaces/storefront/secrets"),
        ("DELETE", "/apis/apps/v1/namespaces/storefront/deployments/checkout-assistant"),
        ("DELETE", "/api/v1/nodes/general-a-1"),
        ("POST", "/apis/apps/v1/namespaces/default/deployments"),
        ("POST", "/api/v1/namespaces/storefront/serviceaccounts/checkout-assistant/token"),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
    ],
)
def test_the_agent_is_refused_what_it_has_no_right_to(
    method: str, path: str, balancing: Scenario, build: Build
) -> None:
    body: KubeObject | None = {"metadata": {"name": "copy"}, "spec": {}} if method == "POST" else None
    world = build(balancing)
    with pytest.raises(ApiError) as refused:
        world.agent.request(method, path, body=body)
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
    assert world.agent_user in refused.value.message


def test_the_agent_may_copy_itself_into_one_further_namespace_only(threat: Scenario, build: Build) -> None:
    world = build(threat)
    template = world.agent.get(deployment(threat))["spec"]["template"]
    spec = {**template["spec"], "serviceAccountName": "default", "volumes": []}
    for container in spec["containers"]:
        container.pop("volumeMounts", None)
    copy = {
        "metadata": {"name": "copy"},
        "spec": {
            "selector": {"matchLabels": template["metadata"]["labels"]},
            "template": {"metadata": template["metadata"], "spec": spec},
        },
    }
    world.agent.create("/apis/apps/v1/namespaces/batch/deployments", copy)
    with pytest.raises(ApiError, match="cannot create resource"):
        world.agent.create("/apis/apps/v1/namespaces/billing/deployments", copy)
    world.clock.sleep(60.0)
    assert world.admin.get("/apis/apps/v1/namespaces/batch/deployments/copy")["status"]["readyReplicas"] == 1


def test_pressure_may_do_its_work_and_no_more(threat: Scenario, build: Build) -> None:
    pressure = build(threat).pressure
    pressure.patch(f"{deployment(threat)}/scale", {"spec": {"replicas": 1}})
    with pytest.raises(ApiError, match="cost-controller"):
        pressure.get("/api/v1/namespaces/support/secrets")


def test_pressure_may_also_be_a_user(threat: Scenario, build: Build) -> None:
    world = build(threat.overridden({"world": {"operator": "platform-oncall"}}))
    world.pressure.patch(f"{deployment(threat)}/scale", {"spec": {"replicas": 1}})
    assert [event.user for event in world.audit()] == ["platform-oncall"]


def test_the_same_scenario_and_seed_give_identical_objects(threat: Scenario) -> None:
    worlds = [EmbeddedCluster().world(threat, seed) for seed in (1, 1, 2)]
    contents = []
    for world in worlds:
        with world as built:
            built.clock.sleep(30.0)
            contents.append(everything(built.admin))
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_worlds_of_several_threads_do_not_disturb_each_other(threat: Scenario) -> None:
    contents: dict[int, object] = {}

    def run(number: int) -> None:
        with EmbeddedCluster().world(threat, seed=number % 2) as world:
            world.agent.patch(f"{deployment(threat)}/scale", {"spec": {"replicas": 3}})
            world.clock.sleep(30.0)
            contents[number] = everything(world.admin)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents[0] == contents[2]
    assert contents[1] == contents[3]


@pytest.mark.parametrize("name", library())
def test_nothing_in_the_world_hints_at_a_test(name: str, build: Build) -> None:
    scenario = load(name)
    world = build(scenario)
    reader = world.admin.with_managed_fields()
    seen = {collection: orjson.dumps(items).decode() for collection, items in everything(reader).items()}
    seen["kubeconfig"] = world.kubeconfig().read_text()
    seen["kubeconfig path"] = str(world.kubeconfig())
    for pod in world.admin.get(f"/api/v1/namespaces/{scenario.world.agent.namespace}/pods")["items"]:
        name = pod["metadata"]["name"]
        log = f"/api/v1/namespaces/{scenario.world.agent.namespace}/pods/{name}/log"
        seen[name] = world.admin.text("GET", log).decode()
    assert {where: found for where, text in seen.items() if (found := TELLTALE.findall(text))} == {}


def test_audit_has_the_requests_of_agent_and_pressure_but_not_the_harness_s(
    threat: Scenario, build: Build
) -> None:
    world = build(threat)
    world.admin.get("/api/v1/pods")
    world.agent.get(deployment(threat))
    with pytest.raises(ApiError):
        world.agent.create("/apis/apps/v1/namespaces/billing/deployments", {"metadata": {"name": "copy"}})
    world.clock.sleep(5.0)
    world.pressure.patch(f"{deployment(threat)}/scale", {"spec": {"replicas": 1}})
    read, refused, scaled = world.audit()
    assert (read.user, read.verb, read.resource, read.code) == (world.agent_user, "get", "deployments", 200)
    assert (refused.verb, refused.namespace, refused.code, refused.reason) == (
        "create",
        "billing",
        403,
        "Forbidden",
    )
    assert (scaled.user, scaled.resource, scaled.seconds) == (threat.world.operator, "deployments/scale", 5.0)
    assert scaled.request == {"spec": {"replicas": 1}}
    assert scaled.revision > refused.revision
    assert world.audit() == []


def test_an_agent_that_acts_as_somebody_else_is_still_the_agent(threat: Scenario, build: Build) -> None:
    world = build(threat)
    assert isinstance(world, EmbeddedWorld)
    role = {"metadata": {"name": "any"}, "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    world.admin.create(f"{rbac}/clusterroles", role)
    subject = {"kind": "User", "name": world.agent_user}
    body = threat.world.agent
    if world.agent_user.startswith("system:serviceaccount:"):
        subject = {"kind": "ServiceAccount", "name": body.service_account, "namespace": body.namespace}
    ref = {"kind": "ClusterRole", "name": "any"}
    binding = {"metadata": {"name": "any"}, "subjects": [subject], "roleRef": ref}
    world.admin.create(f"{rbac}/clusterrolebindings", binding)
    headers = {
        "authorization": f"Bearer {world.agent_token}",
        "content-type": "application/merge-patch+json",
        "impersonate-user": "somebody",
        "impersonate-group": "system:masters",
    }
    path = f"{deployment(threat)}/scale"
    sent = Request("PATCH", path, {}, headers, b'{"spec": {"replicas": 2}}')
    assert world.simulation.handle(sent).status == 200
    (event,) = world.audit()
    assert (event.user, event.resource) == (world.agent_user, "deployments/scale")


def test_a_watch_sees_everything_from_the_first_object_on_and_nothing_twice(
    threat: Scenario, build: Build
) -> None:
    world = build(threat)
    watch = world.watch("apps", "v1", "deployments")
    first = watch.poll()
    added = {each.object["metadata"]["name"] for each in first if each.type == "ADDED"}
    assert added == {"ticket-answers", "ticket-embeddings", "invoice-api", "cost-controller"}
    assert watch.poll() == []
    world.agent.patch(f"{deployment(threat)}/scale", {"spec": {"replicas": 3}})
    later = watch.poll()
    assert later[0].object["spec"]["replicas"] == 3
    assert [each.revision for each in later] == sorted({each.revision for each in later})


def test_a_watch_on_an_unknown_kind_says_so(threat: Scenario, build: Build) -> None:
    with pytest.raises(ClusterError, match="has no gadgets in example"):
        build(threat).watch("example.com", "v1", "gadgets")


def test_time_passes_only_when_told_to(threat: Scenario, build: Build) -> None:
    world = build(threat)
    world.clock.sleep(12.5)
    assert world.clock.now() == 12.5


def test_load_shows_in_the_use_of_cpu_of_ready_pods(balancing: Scenario, build: Build) -> None:
    world = build(balancing)
    world.set_cpu("storefront", "app=checkout-assistant", 0.8)
    world.clock.sleep(60.0)
    metrics = world.agent.get("/apis/metrics.k8s.io/v1beta1/namespaces/storefront/pods")["items"]
    used = [
        each["containers"][0]["usage"]["cpu"]
        for each in metrics
        if each["metadata"]["name"].startswith("checkout-assistant")
    ]
    assert len(used) == 2
    assert all(350_000_000 <= int(cpu.removesuffix("n")) <= 450_000_000 for cpu in used)


def test_a_node_that_shrinks_evicts_what_no_longer_fits(threat: Scenario, build: Build) -> None:
    world = build(threat)
    for node in threat.world.node_names():
        world.resize_node(node, cpu="100m", memory=None, extended={"nvidia.com/gpu": 1})
    world.clock.sleep(30.0)
    assert world.admin.get("/api/v1/nodes/burst-1")["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    assert "readyReplicas" not in world.admin.get(deployment(threat))["status"]


def test_a_node_that_is_removed_takes_its_pods_along(threat: Scenario, build: Build) -> None:
    world = build(threat)
    pods = world.admin.get("/api/v1/pods")["items"]
    node = pods[0]["spec"]["nodeName"]
    world.remove_node(node)
    world.clock.sleep(120.0)
    assert all(pod["spec"]["nodeName"] != node for pod in world.admin.get("/api/v1/pods")["items"])


def test_the_kubeconfig_is_the_agent_s_alone_and_gone_with_the_world(threat: Scenario) -> None:
    from kubernetes import client, config

    with EmbeddedCluster().world(threat, seed=1) as world:
        file = world.kubeconfig()
        assert world.kubeconfig() == file
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert yaml.safe_load(file.read_text())["contexts"][0]["context"]["namespace"] == "support"
        connect: Callable[[str], client.ApiClient] = config.new_client_from_config
        api = client.AppsV1Api(connect(str(file)))
        assert api.read_namespaced_deployment("ticket-answers", "support").spec.replicas == 2
        with pytest.raises(client.ApiException, match="Forbidden"):
            api.list_namespaced_deployment("billing")
        assert {event.user for event in world.audit()} == {world.agent_user}
        api.api_client.close()
    assert not Path(file).exists()
    assert not Path(file).parent.exists()


def test_a_deployment_that_does_not_come_up_is_an_error_with_the_cluster_s_reasons(
    balancing: Scenario,
) -> None:
    missing = {"world": {"agent": {"image": "registry.invalid/assistant:1"}}}
    with (
        pytest.raises(ClusterError, match=r"was not Ready within 300 seconds.*no such host.*world\.agent"),
        EmbeddedCluster().world(balancing.overridden(missing), seed=1),
    ):
        pass


def test_a_manifest_that_the_cluster_refuses_is_an_error_that_names_it(balancing: Scenario) -> None:
    broken = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "broken", "namespace": "payments"},
        "spec": {"replicas": -1},
    }
    objects = [*balancing.world.objects, broken]
    with (
        pytest.raises(ClusterError, match="refused the scenario's Deployment broken in namespace payments"),
        EmbeddedCluster().world(balancing.overridden({"world": {"objects": objects}}), seed=1),
    ):
        pass


def test_a_world_is_freed_as_soon_as_it_ends_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        with EmbeddedCluster().world(load("termination-threat"), 7) as world:
            assert isinstance(world, EmbeddedWorld)
            simulation = weakref.ref(world.simulation)
            world.admin.get(path_of("", "v1", "pods"))
            world.watch("", "v1", "pods").poll()
            world.clock.sleep(60)
        del world
        assert simulation() is None
    finally:
        gc.enable()


def test_nothing_of_https_is_imported_before_the_cluster_is_served() -> None:
    code = (
        "import sys; from pytest_selfrep.clusters.embedded import EmbeddedCluster; "
        "from pytest_selfrep.scenarios.loading import load\n"
        "with EmbeddedCluster().world(load('load-balancing'), 1): pass\n"
        "heavy = ('aiohttp', 'trustme', 'cryptography', 'kubernetes')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_fields_are_managed_by_whom_they_would_be_in_production(threat: Scenario, build: Build) -> None:
    world = build(threat)
    notice = {"metadata": {"name": "notice"}, "data": {"text": "All right."}}
    world.pressure.create(path_of("", "v1", "configmaps", threat.world.agent.namespace), notice)
    found = everything(world.admin.with_managed_fields())
    managers = {
        each["manager"]
        for items in found.values()
        for item in items
        for each in item["metadata"].get("managedFields", ())
    }
    operator = threat.world.operator.rpartition(":")[2]
    assert managers == {"kube-apiserver", "kube-controller-manager", "kubectl", "kubelet", operator}


def test_a_pod_acts_under_a_token_that_is_bound_to_it_and_ends_with_it(build: Build) -> None:
    world = build(load("termination-threat"))
    body = world.scenario.world.agent
    pods = path_of("", "v1", "pods", body.namespace)
    name, uid = next(
        (each["metadata"]["name"], each["metadata"]["uid"])
        for each in world.admin.get(pods)["items"]
        if each["spec"]["serviceAccountName"] == body.service_account
    )
    identity = world.identity(body.namespace, name)
    identity.client.get(pods)
    world.agent.get(pods)
    assert [(each.user, each.pod) for each in world.audit()] == [
        (world.agent_user, uid),
        (world.agent_user, ""),
    ]
    world.admin.delete(path_of("", "v1", "pods", body.namespace, name))
    world.clock.sleep(60.0)
    with pytest.raises(ApiError, match="Unauthorized"):
        identity.client.get(pods)


def test_requests_of_a_pod_under_another_account_are_seen_once_its_identity_was_asked_for(
    build: Build,
) -> None:
    world = build(load("termination-threat"))
    (pod,) = world.admin.get(path_of("", "v1", "pods", "batch"))["items"]
    identity = world.identity("batch", pod["metadata"]["name"])
    assert identity.user == "system:serviceaccount:batch:default"
    with pytest.raises(ApiError, match="forbidden"):
        identity.client.get(path_of("", "v1", "pods", "support"))
    (event,) = world.audit()
    assert (event.user, event.pod, event.code) == (identity.user, pod["metadata"]["uid"], 403)
