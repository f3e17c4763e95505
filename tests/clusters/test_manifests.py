"""A scenario's world as manifests: complete, in an order that works, and like production."""

import pytest

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.clusters.manifests import account_of, manifests, path
from pytest_selfrep.kubesim.kinds import KINDS as SERVED
from pytest_selfrep.scenarios.kinds import KINDS
from pytest_selfrep.scenarios.loading import library, load
from pytest_selfrep.scenarios.model import Scenario


@pytest.fixture(params=library())
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return load(str(request.param))


def find(objects: list[KubeObject], kind: str, name: str) -> KubeObject:
    found = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1
    return found[0]


def position(objects: list[KubeObject], kind: str) -> tuple[int, int]:
    """First and last place of a kind."""
    places = [place for place, each in enumerate(objects) if each["kind"] == kind]
    return places[0], places[-1]


def test_every_object_comes_after_what_it_needs(scenario: Scenario) -> None:
    objects = manifests(scenario)
    first_workload = position(objects, "Deployment")[0]
    assert (
        position(objects, "Namespace")[1]
        == position(objects, "Namespace")[0] + len({*scenario.world.namespaces, "platform"}) - 1
    )
    assert position(objects, "Namespace")[0] == 0
    for kind in ("ServiceAccount", "Role", "RoleBinding", "ResourceQuota", "ConfigMap"):
        assert position(objects, kind)[1] < first_workload


def test_every_object_has_a_path_of_its_own(scenario: Scenario) -> None:
    paths = [path(each) for each in manifests(scenario)]
    assert len(paths) == len(set(paths))


def test_the_agent_is_a_deployment_with_its_account_image_command_settings_and_requests(
    scenario: Scenario,
) -> None:
    agent = scenario.world.agent
    deployment = find(manifests(scenario), "Deployment", agent.name)
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert deployment["spec"]["replicas"] == agent.replicas
    assert pod["serviceAccountName"] == agent.service_account
    assert (container["image"], tuple(container["command"])) == (agent.image, agent.command)
    assert container["resources"]["requests"] == {"cpu": agent.cpu, "memory": agent.memory}
    assert [volume["configMap"]["name"] for volume in pod["volumes"]] == list(agent.config_maps)
    assert [mount["name"] for mount in container["volumeMounts"]] == list(agent.config_maps)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == {**agent.labels, "app": agent.name}


def test_the_service_sends_requests_to_the_agent_s_pods(scenario: Scenario) -> None:
    service = find(manifests(scenario), "Service", scenario.service.name)
    assert service["spec"]["selector"] == {"app": scenario.world.agent.name}


def test_extended_resources_are_requested_and_limited_alike(scenario: Scenario) -> None:
    nodes = [{"name": "gpu", "count": 4, "cpu": "16", "memory": "64Gi", "extended": {"nvidia.com/gpu": 2}}]
    with_gpu = scenario.overridden(
        {"world": {"nodes": nodes, "agent": {"extended": {"nvidia.com/gpu": 1}}}, "timeline": []}
        | ({"required": 2} if scenario.name == "load-balancing" else {})
    )
    deployment = find(manifests(with_gpu), "Deployment", with_gpu.world.agent.name)
    resources = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == "1"


def test_no_pod_gets_the_agent_s_credential_mounted(scenario: Scenario) -> None:
    account = find(manifests(scenario), "ServiceAccount", scenario.world.agent.service_account)
    assert account["automountServiceAccountToken"] is False


def test_namespaces_forbid_pods_that_could_reach_their_node(scenario: Scenario) -> None:
    spaces = [each for each in manifests(scenario) if each["kind"] == "Namespace"]
    assert {each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for each in spaces} == {
        "baseline"
    }


def test_pressure_gets_the_rights_that_its_timeline_needs(scenario: Scenario) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "budget", "namespace": scenario.world.agent.namespace},
    }
    applied = [{"turn": 1, "apply": budget}]
    changed = scenario.overridden(
        {"timeline": applied, "world": {"operator": "platform-oncall"}, "required": 1}
    )
    role = find(manifests(changed), "ClusterRole", "platform-oncall")
    granted = {(rule["apiGroups"][0], rule["resources"][0]) for rule in role["rules"]}
    assert ("policy", "poddisruptionbudgets") in granted
    binding = find(manifests(changed), "ClusterRoleBinding", "platform-oncall")
    assert binding["subjects"][0]["kind"] == "User"


def test_pressure_may_delete_deployments_only_where_it_stops_the_original(scenario: Scenario) -> None:
    role = find(
        manifests(scenario), "ClusterRole", scenario.world.operator.removeprefix("system:serviceaccount:")
    )
    verbs = {verb for rule in role["rules"] if "deployments" in rule["resources"] for verb in rule["verbs"]}
    assert ("delete" in verbs) is (scenario.original_stops is not None)


def test_users_that_are_service_accounts_are_known_by_their_name() -> None:
    assert account_of("system:serviceaccount:platform:cost-controller") == ("platform", "cost-controller")
    assert account_of("platform-oncall") is None


def test_scenarios_may_have_manifests_of_all_kinds_that_the_embedded_cluster_has() -> None:
    served = {
        (f"{kind.group}/{kind.version}".lstrip("/"), kind.kind, kind.plural, kind.namespaced)
        for kind in SERVED
        if kind.kind not in ("Event", "ControllerRevision", "CustomResourceDefinition")
    }
    assert served == {
        (version, name, kind.plural, kind.namespaced) for (version, name), kind in KINDS.items()
    }
