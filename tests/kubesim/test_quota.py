"""ResourceQuotas: what they refuse, what they count, and when room comes back."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, deployment
from workloads import CORE, SETTLED, config_map, deploy, live_pods, quota, sized

from pytest_selfrep.kubesim.kinds import POD, RESOURCE_QUOTA
from pytest_selfrep.kubesim.status import StatusError

QUOTAS = f"{CORE}/resourcequotas"


def used(kube: Kube, name: str = "compute") -> Any:
    return kube.get(f"{QUOTAS}/{name}")["status"]["used"]


def test_a_pod_over_quota_is_refused_with_the_sums(kube: Kube) -> None:
    kube.create(QUOTAS, quota(requests_cpu="1", requests_memory="1Gi"))
    kube.create(PODS, sized("a", {"cpu": "600m", "memory": "512Mi"}))
    refusal = kube.refusal("POST", PODS, sized("b", {"cpu": "500m", "memory": "768Mi"}))
    assert (refusal["code"], refusal["reason"]) == (403, "Forbidden")
    assert refusal["message"] == (
        'pods "b" is forbidden: exceeded quota: compute, '
        "requested: requests.cpu=500m,requests.memory=768Mi, "
        "used: requests.cpu=600m,requests.memory=512Mi, limited: requests.cpu=1,requests.memory=1Gi"
    )


def test_only_what_is_exceeded_is_named(kube: Kube) -> None:
    kube.create(QUOTAS, quota(requests_cpu="1", requests_memory="10Gi"))
    refusal = kube.refusal("POST", PODS, sized("a", {"cpu": "2", "memory": "1Gi"}))
    said = "requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1"
    assert refusal["message"].endswith(f"exceeded quota: compute, {said}")


def test_the_status_shows_what_is_used(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="10", requests_cpu="4", limits_memory="8Gi"))
    assert kube.get(f"{QUOTAS}/compute")["status"] == {
        "hard": {"pods": "10", "requests.cpu": "4", "limits.memory": "8Gi"},
        "used": {"pods": "0", "requests.cpu": "0", "limits.memory": "0"},
    }
    kube.create(PODS, sized("a", {"cpu": "250m", "memory": "1Gi"}, {"memory": "1536Mi"}))
    kube.create(PODS, sized("b", {"cpu": "750m", "memory": "1Gi"}, {"memory": "1Gi"}))
    assert used(kube) == {"pods": "2", "requests.cpu": "1", "limits.memory": "2560Mi"}


def test_a_deleted_pod_gives_its_share_back(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="1"))
    kube.add_pod("a")
    kube.refusal("POST", PODS, sized("b"))
    kube.delete(f"{PODS}/a")
    assert used(kube) == {"pods": "0"}
    kube.add_pod("b")


def test_finished_pods_do_not_count(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="1"))
    kube.add_pod("a")
    done = kube.pod("a")
    kube.replace(f"{PODS}/a/status", {**done, "status": {**done["status"], "phase": "Succeeded"}})
    assert used(kube) == {"pods": "0"}


def test_what_a_quota_constrains_must_be_stated(kube: Kube) -> None:
    kube.create(QUOTAS, quota(limits_cpu="4", limits_memory="4Gi"))
    refusal = kube.refusal("POST", PODS, sized("a", limits={"cpu": "1"}))
    assert refusal["message"] == (
        'pods "a" is forbidden: failed quota: compute: must specify limits.memory for: web'
    )


def test_a_deployment_grows_only_as_far_as_the_quota_lets_it(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="4"))
    deploy(kube, replicas=10)
    assert len(live_pods(kube)) == 4
    assert used(kube) == {"pods": "4"}


def test_asking_for_far_more_than_the_quota_gets_what_the_quota_allows(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="4"))
    deploy(kube, replicas=100_000)
    kube.advance(1)
    assert len(live_pods(kube)) == 4
    status = kube.get("/apis/apps/v1/namespaces/default/deployments/web")["status"]
    assert "ReplicaFailure" in [each["type"] for each in status["conditions"]]


def test_pods_that_were_refused_come_when_room_does(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="2"))
    deploy(kube, replicas=3)
    kube.merge(f"{QUOTAS}/compute", {"spec": {"hard": {"pods": "5"}}})
    kube.advance(SETTLED)
    assert len(live_pods(kube)) == 3


def test_extended_resources_are_counted(kube: Kube) -> None:
    kube.create(QUOTAS, {**quota(), "spec": {"hard": {"requests.nvidia.com/gpu": "1"}}})
    gpu = {"nvidia.com/gpu": "1"}
    kube.create(PODS, sized("a", gpu, gpu))
    refusal = kube.refusal("POST", PODS, sized("b", gpu, gpu))
    said = "requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=1"
    assert said in refusal["message"]


@pytest.mark.parametrize("name", ["configmaps", "count/configmaps"])
def test_objects_are_counted_under_both_of_their_names(kube: Kube, name: str) -> None:
    kube.create(QUOTAS, {**quota("objects"), "spec": {"hard": {name: "2"}}})
    kube.create(f"{CORE}/configmaps", config_map("a"))  # and the CA bundle, which is there already
    refusal = kube.refusal("POST", f"{CORE}/configmaps", config_map("b"))
    assert refusal["message"] == (
        'configmaps "b" is forbidden: exceeded quota: objects, '
        f"requested: {name}=1, used: {name}=2, limited: {name}=2"
    )


def test_deployments_can_be_counted(kube: Kube) -> None:
    kube.create(QUOTAS, {**quota("objects"), "spec": {"hard": {"count/deployments.apps": "1"}}})
    deploy(kube, "one")
    assert used(kube, "objects") == {"count/deployments.apps": "1"}
    refusal = kube.refusal("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("two", 1))
    assert refusal["message"].startswith('deployments.apps "two" is forbidden: exceeded quota: objects')


def test_scopes_limit_what_a_quota_counts(kube: Kube) -> None:
    kube.create(QUOTAS, {**quota("free"), "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}})
    kube.create(PODS, sized("paid", {"cpu": "1"}))
    kube.create(PODS, sized("free-1"))
    assert used(kube, "free") == {"pods": "1"}
    kube.refusal("POST", PODS, sized("free-2"))


SCOPES = "spec.scopes: Invalid value: []core.ResourceQuotaScope"
EXPRESSIONS = "spec.scopeSelector.matchExpressions"


@pytest.mark.parametrize(
    ("hard", "scopes", "message"),
    [
        ("cpu", ["BestEffort"], f'{SCOPES}{{"BestEffort"}}: unsupported scope applied to resource'),
        ("services", ["Terminating"], f'{SCOPES}{{"Terminating"}}: unsupported scope applied to resource'),
        (
            "pods",
            ["BestEffort", "NotBestEffort"],
            f'{SCOPES}{{"BestEffort", "NotBestEffort"}}: conflicting scopes',
        ),
    ],
)
def test_scopes_that_make_no_sense_are_refused(
    kube: Kube, hard: str, scopes: list[str], message: str
) -> None:
    wanted = {**quota("free"), "spec": {"hard": {hard: "1"}, "scopes": scopes}}
    assert kube.refusal("POST", QUOTAS, wanted)["message"].endswith(message)


@pytest.mark.parametrize(
    ("expression", "messages"),
    [
        ({"scopeName": "X", "operator": "Exists"}, ['scopeName: Invalid value: "X": unsupported scope']),
        (
            {"scopeName": "PriorityClass", "operator": "In"},
            [
                "values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' "
                "for scope selector"
            ],
        ),
        (
            {"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]},
            [
                'values: Invalid value: []string{"a"}: must be no value when `operator` is '
                "'Exist' or 'DoesNotExist' for scope selector"
            ],
        ),
        (
            {"scopeName": "BestEffort", "operator": "In", "values": ["a"]},
            [
                "operator: Invalid value: \"In\": must be 'Exist' when scope is any of "
                "ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity"
            ],
        ),
    ],
)
def test_selectors_of_scopes_that_make_no_sense_are_refused(
    kube: Kube, expression: Any, messages: list[str]
) -> None:
    spec = {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [expression]}}
    refusal = kube.refusal("POST", QUOTAS, {**quota("free"), "spec": spec})
    found = [f"{each['field']}: {each['message']}" for each in refusal["details"]["causes"]]
    assert found == [f"{EXPRESSIONS}.{each}" for each in messages]


def test_scopes_are_written_as_go_prints_them(kube: Kube) -> None:
    expression = {"scopeName": "BestEffort", "operator": "Exists"}
    spec = {"hard": {"cpu": "1"}, "scopeSelector": {"matchExpressions": [expression]}}
    refusal = kube.refusal("POST", QUOTAS, {**quota("free"), "spec": spec})
    assert refusal["message"].endswith(
        f"{EXPRESSIONS}: Invalid value: core.ScopeSelector{{MatchExpressions:"
        "[]core.ScopedResourceSelectorRequirement{core.ScopedResourceSelectorRequirement{"
        'ScopeName:"BestEffort", Operator:"Exists", Values:[]string(nil)}}}: '
        "unsupported scope applied to resource"
    )


def test_every_quota_of_a_namespace_must_agree(kube: Kube) -> None:
    kube.create(QUOTAS, quota("wide", pods="10"))
    kube.create(QUOTAS, quota("narrow", pods="1"))
    kube.add_pod("a")
    refusal = kube.refusal("POST", PODS, sized("b"))
    assert "exceeded quota: narrow" in refusal["message"]
    assert used(kube, "wide") == {"pods": "1"}


def test_a_dry_run_is_refused_as_well_but_charges_nothing(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="1"))
    kube.ok("POST", PODS, sized("a"), {"dryRun": "All"})
    assert used(kube) == {"pods": "0"}
    kube.add_pod("a")
    assert kube.refusal("POST", PODS, sized("b"), {"dryRun": "All"})["code"] == 403


def test_other_namespaces_are_not_concerned(kube: Kube) -> None:
    kube.create(QUOTAS, quota(pods="0"))
    kube.create("/api/v1/namespaces/kube-public/pods", sized("a"))


def test_a_quota_holds_from_the_moment_it_is_stored(kube: Kube) -> None:
    writer = kube.cluster.writer("system:admin")
    new = quota(pods="1")
    new["metadata"]["namespace"] = "default"
    writer.create(RESOURCE_QUOTA, new)
    first, second = sized("a"), sized("b")
    first["metadata"]["namespace"] = second["metadata"]["namespace"] = "default"
    writer.create(POD, first)
    with pytest.raises(StatusError, match="exceeded quota: compute"):
        writer.create(POD, second)


def test_a_service_is_charged_for_what_it_becomes(kube: Kube) -> None:
    kube.create(QUOTAS, quota(services_nodeports="2", services_loadbalancers="0"))
    ports = [{"name": name, "port": number} for name, number in (("a", 80), ("b", 81))]
    kube.create(f"{CORE}/services", {"metadata": {"name": "web"}, "spec": {"ports": ports}})
    path, merge = f"{CORE}/services/web", "application/merge-patch+json"

    answer = kube.send("PATCH", path, {"spec": {"type": "LoadBalancer"}}, content_type=merge)
    assert (answer.status, answer.body["message"]) == (
        403,
        'services "web" is forbidden: exceeded quota: compute, requested: services.loadbalancers=1, '
        "used: services.loadbalancers=0, limited: services.loadbalancers=0",
    )
    kube.merge(path, {"spec": {"type": "NodePort"}})
    assert used(kube) == {"services.nodeports": "2", "services.loadbalancers": "0"}
    kube.merge(path, {"spec": {"ports": ports[:1]}})
    assert used(kube) == {"services.nodeports": "1", "services.loadbalancers": "0"}
    kube.merge(path, {"spec": {"type": "ClusterIP"}})
    assert used(kube) == {"services.nodeports": "0", "services.loadbalancers": "0"}


def test_a_change_that_takes_no_more_is_no_matter_of_quotas(kube: Kube) -> None:
    web = {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    kube.create(f"{CORE}/services", web)
    kube.create(QUOTAS, quota(services="0", services_nodeports="0"))

    kube.merge(f"{CORE}/services/web", {"metadata": {"labels": {"a": "b"}}})

    assert used(kube) == {"services": "2", "services.nodeports": "1"}


def test_a_dry_run_of_a_change_charges_nothing(kube: Kube) -> None:
    kube.create(QUOTAS, quota(services_nodeports="1"))
    web = kube.create(f"{CORE}/services", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})

    changed = {**web, "spec": {**web["spec"], "type": "NodePort"}}
    kube.ok("PUT", f"{CORE}/services/web", changed, {"dryRun": "All"})

    assert used(kube) == {"services.nodeports": "0"}


def test_node_ports_that_a_load_balancer_does_without_do_not_count(kube: Kube) -> None:
    kube.create(QUOTAS, quota(services_nodeports="0", services_loadbalancers="1"))
    spec = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"port": 80}]}

    kube.create(f"{CORE}/services", {"metadata": {"name": "web"}, "spec": spec})

    assert used(kube) == {"services.nodeports": "0", "services.loadbalancers": "1"}
