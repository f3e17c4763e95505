"""What admission adds to pods, and what it keeps out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from kube_driver import PODS, Kube, Object, deployment, pod
from workloads import CORE, NAMESPACES, namespace, sized

RANGES = f"{CORE}/limitranges"


def limit_range(**item: Any) -> Object:
    spec = {"limits": [{"type": "Container", **item}]}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"}, "spec": spec}


def refused(kube: Kube, obj: Object, path: str = PODS) -> str:
    answer = kube.refusal("POST", path, obj)
    assert answer["code"] == 403, answer
    return str(answer["message"])


def test_a_pod_runs_as_the_default_service_account_unless_it_says_otherwise(kube: Kube) -> None:
    spec = kube.add_pod("a")["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"


def test_a_service_account_that_does_not_exist_is_refused(kube: Kube) -> None:
    assert refused(kube, pod("a", serviceAccountName="ghost")) == (
        'pods "a" is forbidden: error looking up service account default/ghost: '
        'serviceaccount "ghost" not found'
    )


def test_no_token_is_mounted_where_the_pod_says_no_or_else_its_account(kube: Kube) -> None:
    assert "volumes" not in kube.add_pod("a", automountServiceAccountToken=False)["spec"]
    kube.merge(f"{CORE}/serviceaccounts/default", {"automountServiceAccountToken": False})
    assert "volumes" not in kube.add_pod("b")["spec"]
    assert "volumes" in kube.add_pod("c", automountServiceAccountToken=True)["spec"]


def test_a_token_is_mounted_into_every_other_pod(kube: Kube) -> None:
    spec = kube.add_pod("a")["spec"]
    (volume,) = spec["volumes"]
    (mount,) = spec["containers"][0]["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert re.fullmatch("kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}", volume["name"])
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert [next(iter(each)) for each in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]


def test_pods_tolerate_a_node_in_trouble_for_five_minutes(kube: Kube) -> None:
    assert kube.add_pod("a")["spec"]["tolerations"] == [
        {
            "key": f"node.kubernetes.io/{trouble}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        }
        for trouble in ("not-ready", "unreachable")
    ]


def test_pods_have_priority_zero_or_that_of_their_class(kube: Kube) -> None:
    plain = kube.add_pod("a")["spec"]
    assert (plain["priority"], plain["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert kube.add_pod("b", priorityClassName="system-node-critical")["spec"]["priority"] == 2000001000
    message = refused(kube, pod("c", priorityClassName="vip"))
    assert message == 'pods "c" is forbidden: no PriorityClass with name vip was found'


@pytest.mark.parametrize(
    ("requests", "limits", "quality"),
    [
        (None, None, "BestEffort"),
        ({"cpu": "1"}, None, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        (None, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "500m", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Burstable"),
    ],
)
def test_the_quality_of_service_follows_from_requests_and_limits(
    kube: Kube, requests: Object | None, limits: Object | None, quality: str
) -> None:
    assert kube.create(PODS, sized("a", requests, limits))["status"]["qosClass"] == quality


def test_a_limit_range_fills_in_requests_and_limits(kube: Kube) -> None:
    kube.create(RANGES, limit_range(default={"cpu": "500m"}, defaultRequest={"cpu": "100m"}))
    created = kube.add_pod("a")
    assert created["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m"},
        "limits": {"cpu": "500m"},
    }
    assert created["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container web; cpu limit for container web"
    )
    assert created["status"]["qosClass"] == "Burstable"


def test_a_limit_range_refuses_what_is_too_big_or_too_small(kube: Kube) -> None:
    kube.create(RANGES, limit_range(max={"cpu": "1"}, min={"cpu": "100m"}))
    big = refused(kube, sized("a", {"cpu": "1"}, {"cpu": "2"}))
    assert big == 'pods "a" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
    small = refused(kube, sized("a", {"cpu": "50m"}, {"cpu": "1"}))
    assert small == 'pods "a" is forbidden: minimum cpu usage per Container is 100m, but request is 50m'


def test_several_violations_are_listed(kube: Kube) -> None:
    kube.create(RANGES, limit_range(max={"cpu": "1", "memory": "1Gi"}))
    message = refused(kube, sized("a", None, {"cpu": "2", "memory": "2Gi"}))
    assert message.endswith(
        "[maximum cpu usage per Container is 1, but limit is 2, "
        "maximum memory usage per Container is 1Gi, but limit is 2Gi]"
    )


def test_limits_may_be_bound_to_requests_by_a_ratio(kube: Kube) -> None:
    kube.create(RANGES, limit_range(maxLimitRequestRatio={"cpu": "2"}))
    message = refused(kube, sized("a", {"cpu": "250m"}, {"cpu": "1"}))
    said = "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000"
    assert message.endswith(said)


def test_pods_can_be_bounded_as_a_whole(kube: Kube) -> None:
    spec = {"limits": [{"type": "Pod", "max": {"memory": "1Gi"}}]}
    kube.create(RANGES, {**limit_range(), "spec": spec})
    two = sized("a", None, {"memory": "768Mi"})
    two["spec"]["containers"].append({**two["spec"]["containers"][0], "name": "sidecar"})
    assert refused(kube, two).endswith("maximum memory usage per Pod is 1Gi, but limit is 1536Mi")


@pytest.fixture
def strict(kube: Kube) -> str:
    """Where pods go in a namespace that enforces ``restricted``."""
    kube.create(NAMESPACES, namespace("strict", **{"pod-security.kubernetes.io/enforce": "restricted"}))
    return f"{NAMESPACES}/strict/pods"


@pytest.fixture
def basic(kube: Kube) -> str:
    kube.create(NAMESPACES, namespace("basic", **{"pod-security.kubernetes.io/enforce": "baseline"}))
    return f"{NAMESPACES}/basic/pods"


def contained(name: str) -> Object:
    """A pod that meets the restricted standard."""
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    result = pod(name, securityContext=security)
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    result["spec"]["containers"][0]["securityContext"] = own
    return result


def test_restricted_refuses_a_pod_that_says_nothing_of_security(kube: Kube, strict: str) -> None:
    assert refused(kube, pod("a"), strict) == (
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": '
        'allowPrivilegeEscalation != false (container "web" must set '
        "securityContext.allowPrivilegeEscalation=false), "
        'unrestricted capabilities (container "web" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "web" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "web" must set securityContext.seccompProfile.type to '
        '"RuntimeDefault" or "Localhost")'
    )
    kube.create(strict, contained("b"))


def test_baseline_refuses_what_reaches_into_the_node(kube: Kube, basic: str) -> None:
    violation = 'violates PodSecurity "baseline:latest": '
    assert refused(kube, pod("a", hostNetwork=True, hostPID=True), basic).endswith(
        f"{violation}host namespaces (hostNetwork=true, hostPID=true)"
    )
    mounted = pod("a", volumes=[{"name": "root", "hostPath": {"path": "/"}}])
    assert refused(kube, mounted, basic).endswith(f'{violation}hostPath volumes (volume "root")')
    privileged = pod("a")
    privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    said = 'privileged (container "web" must not set securityContext.privileged=true)'
    assert refused(kube, privileged, basic).endswith(violation + said)
    capable = pod("a")
    capable["spec"]["containers"][0]["securityContext"] = {"capabilities": {"add": ["NET_ADMIN"]}}
    said = 'must not include "NET_ADMIN" in securityContext.capabilities.add)'
    assert refused(kube, capable, basic).endswith(
        f'{violation}non-default capabilities (container "web" {said}'
    )
    ported = pod("a", ports=[{"containerPort": 80, "hostPort": 80}])
    assert refused(kube, ported, basic).endswith(f'{violation}hostPort (container "web" uses hostPort 80)')
    kube.create(basic, pod("b"))


@pytest.mark.parametrize(
    ("pod_security", "container_security", "violation"),
    [
        ({"runAsUser": 0}, {}, "runAsUser=0 (pod must not set runAsUser=0)"),
        ({}, {"runAsUser": 0}, 'runAsUser=0 (container "web" must not set runAsUser=0)'),
        (
            {},
            {"runAsNonRoot": False},
            'runAsNonRoot != true (pod or container "web" must set securityContext.runAsNonRoot=true)',
        ),
        (
            {},
            {"seccompProfile": {"type": "Unconfined"}},
            'seccompProfile (pod or container "web" must set securityContext.seccompProfile.type to '
            '"RuntimeDefault" or "Localhost")',
        ),
        (
            {},
            {"capabilities": {"drop": ["ALL"], "add": ["SYS_TIME"]}},
            'unrestricted capabilities (container "web" must not include "SYS_TIME" in '
            "securityContext.capabilities.add)",
        ),
        ({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, {}, "forbidden sysctls (kernel.msgmax)"),
        (
            {},
            {"procMount": "Unmasked"},
            'procMount (container "web" must not set securityContext.procMount to "Unmasked")',
        ),
    ],
)
def test_restricted_looks_at_every_setting(
    kube: Kube, strict: str, pod_security: Object, container_security: Object, violation: str
) -> None:
    lax = contained("a")
    lax["spec"]["securityContext"].update(pod_security)
    lax["spec"]["containers"][0]["securityContext"].update(container_security)
    assert refused(kube, lax, strict).endswith(f'PodSecurity "restricted:latest": {violation}')


def test_baseline_refuses_to_run_unconfined(kube: Kube, basic: str) -> None:
    unconfined = pod("a", securityContext={"seccompProfile": {"type": "Unconfined"}})
    said = 'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'
    assert refused(kube, unconfined, basic).endswith(said)


def test_net_bind_service_may_be_kept(kube: Kube, strict: str) -> None:
    web = contained("a")
    capabilities = {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    web["spec"]["containers"][0]["securityContext"]["capabilities"] = capabilities
    kube.create(strict, web)


def test_restricted_allows_few_kinds_of_volume(kube: Kube, strict: str) -> None:
    mounted = contained("a")
    mounted["spec"]["volumes"] = [{"name": "data", "nfs": {"server": "nas", "path": "/"}}]
    said = 'restricted volume types (volume "data" uses restricted volume type "nfs")'
    assert refused(kube, mounted, strict).endswith(said)


def test_namespaces_without_the_label_enforce_nothing(kube: Kube) -> None:
    kube.add_pod("a", hostNetwork=True)


def test_pods_of_a_deployment_are_refused_too(kube: Kube, strict: str) -> None:
    kube.create("/apis/apps/v1/namespaces/strict/deployments", deployment("web", 1))
    assert kube.get(strict)["items"] == []
    (replica_set,) = kube.get("/apis/apps/v1/namespaces/strict/replicasets")["items"]
    reasons = dict(kube.events(replica_set["metadata"]["name"], "strict"))
    assert "violates PodSecurity" in reasons["FailedCreate"]
