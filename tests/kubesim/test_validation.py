"""What the API server refuses as invalid, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, Object, pod
from workloads import (
    BUDGETS,
    CORE,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    STATEFUL_SETS,
    deploy,
    quota,
    workload,
)

WEB = f"{DEPLOYMENTS}/web"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"


def causes(kube: Kube, path: str, obj: Object, method: str = "POST") -> list[str]:
    answer = kube.refusal(method, path, obj)
    assert (answer["code"], answer["reason"]) == (422, "Invalid"), answer
    return [f"{each['field']}: {each['message']}" for each in answer["details"]["causes"]]


def cause(kube: Kube, path: str, obj: Object, method: str = "POST") -> str:
    (only,) = causes(kube, path, obj, method)
    return only


def with_container(**fields: Any) -> Object:
    result = pod("a")
    result["spec"]["containers"][0].update(fields)
    return result


def named(name: str, **fields: Any) -> Object:
    return {"metadata": {"name": name}, **fields}


def job(**spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "sum:1"}]}}
    return named("sum", spec={"template": template, **spec})


def test_the_message_names_the_object_and_the_field(kube: Kube) -> None:
    answer = kube.refusal("POST", DEPLOYMENTS, workload("Deployment", replicas=-1))
    assert answer["message"] == (
        'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: '
        "must be greater than or equal to 0"
    )
    assert answer["details"] == {
        "name": "web",
        "group": "apps",
        "kind": "Deployment",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: -1: must be greater than or equal to 0",
                "field": "spec.replicas",
            }
        ],
    }


def test_all_that_is_wrong_is_listed(kube: Kube) -> None:
    wrong = pod("a")
    wrong["spec"]["containers"] = [{"imagePullPolicy": "Sometimes"}]
    answer = kube.refusal("POST", PODS, wrong)
    assert answer["message"] == (
        'Pod "a" is invalid: [spec.containers[0].name: Required value, '
        "spec.containers[0].image: Required value, "
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": '
        'supported values: "Always", "IfNotPresent", "Never"]'
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "Web"}, 'name: Invalid value: "Web": a lowercase RFC 1123 label must consist of'),
        (
            {"ports": [{"containerPort": 70000}]},
            "ports[0].containerPort: Invalid value: 70000: must be between",
        ),
        ({"ports": [{"protocol": "TCP"}]}, "ports[0].containerPort: Required value"),
        ({"env": [{"value": "1"}]}, "env[0].name: Required value"),
        ({"env": [{"name": "A=B"}]}, 'env[0].name: Invalid value: "A=B": a valid environment variable'),
        ({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, 'volumeMounts[0].name: Not found: "x"'),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {"resources": {"requests": {"nvidia.com/gpu": "1"}}},
            "resources.limits: Required value: Limit must be set for non overcommitable resources",
        ),
        (
            {"resources": {"limits": {"nvidia.com/gpu": "500m"}}},
            'resources.limits[nvidia.com/gpu]: Invalid value: "500m": must be an integer',
        ),
        (
            {"resources": {"requests": {"gpu": "1"}}},
            'resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully',
        ),
        (
            {"resources": {"requests": {"cpu": "-1"}}},
            'resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ),
    ],
)
def test_containers(kube: Kube, fields: dict[str, Any], expected: str) -> None:
    found = causes(kube, PODS, with_container(**fields))
    assert found[0].startswith(f"spec.containers[0].{expected}")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        (
            {"restartPolicy": "Maybe"},
            'spec.restartPolicy: Unsupported value: "Maybe": '
            'supported values: "Always", "OnFailure", "Never"',
        ),
        (
            {"volumes": [{"name": "a"}, {"name": "a"}]},
            'spec.volumes[1].name: Duplicate value: "a"',
        ),
        (
            {"volumes": [{"name": "a", "emptyDir": {}, "configMap": {"name": "b"}}]},
            "spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type",
        ),
        (
            {"tolerations": [{"operator": "Equal"}]},
            'spec.tolerations[0].operator: Invalid value: "Equal": '
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
        (
            {"activeDeadlineSeconds": 0},
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
    ],
)
def test_pod_specs(kube: Kube, spec: dict[str, Any], expected: str) -> None:
    wrong = pod("a")
    wrong["spec"].update(spec)
    assert cause(kube, PODS, wrong) == expected


NODE_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("affinity", "expected"),
    [
        (
            {"nodeAffinity": {NODE_TERMS: {"nodeSelectorTerms": []}}},
            "nodeSelectorTerms: Required value: must have at least one node selector term",
        ),
        (
            {
                "nodeAffinity": {
                    NODE_TERMS: {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Is"}]}]
                    }
                }
            },
            'matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
        ),
        (
            {"podAntiAffinity": {NODE_TERMS: [{"labelSelector": {}}]}},
            "topologyKey: Required value: can not be empty",
        ),
    ],
)
def test_affinities(kube: Kube, affinity: dict[str, Any], expected: str) -> None:
    found = cause(kube, PODS, pod("a", affinity=affinity))
    assert found.startswith("spec.affinity.")
    assert found.endswith(expected)


def test_two_containers_need_two_names(kube: Kube) -> None:
    twice = pod("a")
    twice["spec"]["containers"] *= 2
    assert cause(kube, PODS, twice) == 'spec.containers[1].name: Duplicate value: "web"'


def test_little_of_a_pod_may_change(kube: Kube) -> None:
    kube.add_pod("a")
    path = f"{PODS}/a"
    created = kube.get(path)
    containers = created["spec"]["containers"]
    renewed = [{**containers[0], "image": "registry.acme.io/web:2"}]
    kube.replace(path, {**created, "spec": {**created["spec"], "containers": renewed}})
    current = kube.get(path)
    answer = cause(kube, path, {**current, "spec": {**current["spec"], "hostNetwork": True}}, "PUT")
    assert answer.startswith("spec: Forbidden: pod updates may not change fields other than")


@pytest.mark.parametrize("name", ["Web", "web_1", "-web", "web-", "web..de", "ä", "a" * 254])
def test_names_are_dns_names(kube: Kube, name: str) -> None:
    assert cause(kube, f"{CORE}/configmaps", named(name)).startswith("metadata.name: Invalid value")


def test_service_names_begin_with_a_letter(kube: Kube) -> None:
    found = cause(kube, f"{CORE}/services", named("1st", spec={"ports": [{"port": 80}]}))
    assert found.startswith('metadata.name: Invalid value: "1st": a DNS-1035 label must consist of')


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"labels": {"a b": "c"}}, 'metadata.labels: Invalid value: "a b": name part must consist of'),
        ({"labels": {"a": "b c"}}, 'metadata.labels: Invalid value: "b c": a valid label must be'),
        ({"labels": {"a": "b" * 64}}, "must be no more than 63 bytes"),
        ({"annotations": {"/a": "b"}}, "prefix part must be non-empty"),
        ({"annotations": {"a": "b" * 300_000}}, "Too long: may not be more than 262144 bytes"),
        ({"ownerReferences": [{"name": "a"}]}, "metadata.ownerReferences.apiVersion: Invalid value"),
    ],
)
def test_metadata(kube: Kube, meta: dict[str, Any], expected: str) -> None:
    found = causes(kube, f"{CORE}/configmaps", {"metadata": {"name": "a", **meta}})
    assert expected in found[0]


def test_a_selector_must_match_its_template(kube: Kube) -> None:
    wrong = workload("Deployment")
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    assert cause(kube, DEPLOYMENTS, wrong) == (
        'spec.template.metadata.labels: Invalid value: map[string]string{"app":"other"}: '
        "`selector` does not match template `labels`"
    )


def test_a_selector_may_not_change(kube: Kube) -> None:
    deploy(kube)
    changed = workload("Deployment")
    changed["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    assert cause(kube, WEB, changed, "PUT") == (
        'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"app":"other"}, '
        "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"
    )


def test_a_selector_is_needed_and_may_not_be_empty(kube: Kube) -> None:
    missing = workload("Deployment")
    del missing["spec"]["selector"]
    assert "spec.selector: Required value" in causes(kube, DEPLOYMENTS, missing)
    empty = workload("Deployment", selector={})
    assert cause(kube, DEPLOYMENTS, empty).endswith("empty selector is invalid for deployment")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"strategy": {"type": "BlueGreen"}},
            'spec.strategy: Unsupported value: apps.DeploymentStrategy{Type:"BlueGreen", '
            "RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}: "
            'supported values: "Recreate", "RollingUpdate"',
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        (
            {"progressDeadlineSeconds": 10, "minReadySeconds": 10},
            "spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds",
        ),
    ],
)
def test_deployments(kube: Kube, spec: dict[str, Any], expected: str) -> None:
    assert cause(kube, DEPLOYMENTS, workload("Deployment", **spec)) == expected


def test_pods_of_a_deployment_always_restart(kube: Kube) -> None:
    wrong = workload("Deployment")
    wrong["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    expected = 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'
    assert cause(kube, DEPLOYMENTS, wrong) == expected


def test_pods_of_a_job_do_not_always_restart(kube: Kube) -> None:
    wrong = job()
    del wrong["spec"]["template"]["spec"]["restartPolicy"]
    assert cause(kube, JOBS, wrong) == (
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    )


def test_a_job_keeps_its_template(kube: Kube) -> None:
    kube.create(JOBS, job())
    current = kube.get(f"{JOBS}/sum")
    template = current["spec"]["template"]
    template = {**template, "metadata": {**template["metadata"], "annotations": {"a": "b"}}}
    changed = {**current, "spec": {**current["spec"], "template": template}}
    found = cause(kube, f"{JOBS}/sum", changed, "PUT")
    assert found.startswith("spec.template: Invalid value")
    assert found.endswith("field is immutable")


def test_little_of_a_stateful_set_may_change(kube: Kube) -> None:
    kube.create(STATEFUL_SETS, workload("StatefulSet", serviceName="web"))
    changed = workload("StatefulSet", serviceName="other")
    assert cause(kube, f"{STATEFUL_SETS}/web", changed, "PUT") == (
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
        "'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
        "are forbidden"
    )


def test_a_daemon_set_is_unavailable_or_surges(kube: Kube) -> None:
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    found = cause(kube, DAEMON_SETS, workload("DaemonSet", updateStrategy=strategy))
    assert found.endswith("may not be set when maxUnavailable is non-zero")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"schedule": "every day"}, 'spec.schedule: Invalid value: "every day": expected exactly 5 fields'),
        ({"schedule": "61 * * * *"}, "end of range (61) above maximum (59): 61"),
        ({"schedule": ""}, "spec.schedule: Required value"),
        ({"schedule": "@daily", "timeZone": "Mars/Base"}, "unknown time zone Mars/Base"),
        ({"schedule": "@daily", "concurrencyPolicy": "Queue"}, "spec.concurrencyPolicy: Unsupported value"),
    ],
)
def test_cron_jobs(kube: Kube, spec: dict[str, Any], expected: str) -> None:
    wrong = named("backup", spec={"jobTemplate": {"spec": job()["spec"]}, **spec})
    assert expected in cause(kube, CRON_JOBS, wrong)


def test_services_need_ports(kube: Kube) -> None:
    assert cause(kube, f"{CORE}/services", named("web", spec={})) == "spec.ports: Required value"
    unnamed = named("web", spec={"ports": [{"port": 80}, {"name": "admin", "port": 81}]})
    assert cause(kube, f"{CORE}/services", unnamed) == "spec.ports[0].name: Required value"


def test_immutable_config_maps_stay_as_they_are(kube: Kube) -> None:
    path = f"{CORE}/configmaps"
    kube.create(path, named("a", data={"k": "1"}, immutable=True))
    changed = named("a", data={"k": "2"}, immutable=True)
    expected = "data: Forbidden: field is immutable when `immutable` is set"
    assert cause(kube, f"{path}/a", changed, "PUT") == expected


def test_secrets_hold_base64(kube: Kube) -> None:
    answer = kube.refusal("POST", f"{CORE}/secrets", named("s", data={"k": "not base64"}))
    assert answer["code"] in (400, 422)
    assert "illegal base64 data" in answer["message"]


def test_quotas_count_whole_objects(kube: Kube) -> None:
    found = cause(kube, f"{CORE}/resourcequotas", quota(pods="1500m"))
    assert found == "spec.hard[pods]: Invalid value: 1500m: must be an integer"


def test_limit_ranges_keep_order(kube: Kube) -> None:
    item = {"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}
    found = causes(kube, f"{CORE}/limitranges", named("bounds", spec={"limits": [item]}))
    assert "spec.limits[0].min[cpu]: Invalid value: 2: min value 2 is greater than max value 1" in found


def test_budgets_say_one_thing(kube: Kube) -> None:
    spec = {"minAvailable": 1, "maxUnavailable": 1, "selector": {}}
    found = cause(kube, BUDGETS, named("web", spec=spec))
    assert found.endswith("minAvailable and maxUnavailable cannot be both set")


def test_autoscalers_have_bounds_in_order(kube: Kube) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 2}
    found = cause(kube, AUTOSCALERS, named("web", spec=spec))
    assert found == ("spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`")


def test_rules_need_verbs_groups_and_resources(kube: Kube) -> None:
    assert causes(kube, ROLES, named("r", rules=[{}])) == [
        "rules[0].verbs: Required value: verbs must contain at least one value",
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        "rules[0].resources: Required value: resource rules must supply at least one resource",
    ]


def test_a_binding_keeps_its_role(kube: Kube) -> None:
    def binding(role: str) -> Object:
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        return named("b", roleRef=ref)

    kube.create(BINDINGS, binding("view"))
    assert cause(kube, f"{BINDINGS}/b", binding("edit"), "PUT") == (
        'roleRef: Invalid value: rbac.RoleRef{APIGroup:"rbac.authorization.k8s.io", '
        'Kind:"ClusterRole", Name:"edit"}: cannot change roleRef'
    )


@pytest.mark.parametrize(
    ("volume", "complaint"),
    [
        ({"configMap": {}}, "spec.volumes[0].configMap.name: Required value"),
        ({"configMap": {"name": ""}}, "spec.volumes[0].configMap.name: Required value"),
        ({"secret": {"secretName": ""}}, "spec.volumes[0].secret.secretName: Required value"),
        ({"hostPath": {"path": ""}}, "spec.volumes[0].hostPath.path: Required value"),
        (
            {"persistentVolumeClaim": {"claimName": ""}},
            "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
        ),
        (
            {"projected": {"sources": [{"secret": {"name": ""}}]}},
            "spec.volumes[0].projected.sources[0].secret.name: Required value",
        ),
    ],
)
def test_a_volume_names_its_source(kube: Kube, volume: Object, complaint: str) -> None:
    assert cause(kube, PODS, pod("a", volumes=[{"name": "data", **volume}])) == complaint


_FROM = "spec.containers[0].env[0].valueFrom"
_ENV_FROM = "spec.containers[0].envFrom[0]"
_SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of"


@pytest.mark.parametrize(
    ("container", "complaint"),
    [
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "", "key": "a"}}}]},
            f'{_FROM}.configMapKeyRef.name: Invalid value: "": {_SUBDOMAIN}',
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}}]},
            f"{_FROM}.secretKeyRef.key: Required value",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {}}]},
            f'{_FROM}: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, '
            "`configMapKeyRef` or `secretKeyRef`",
        ),
        ({"envFrom": [{"secretRef": {"name": ""}}]}, f"{_ENV_FROM}.secretRef.name: Required value"),
        (
            {"envFrom": [{}]},
            f'{_ENV_FROM}: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
        ),
        (
            {"envFrom": [{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]},
            f'{_ENV_FROM}: Invalid value: "": may not have more than one field specified at a time',
        ),
    ],
)
def test_environment_says_where_it_comes_from(kube: Kube, container: Object, complaint: str) -> None:
    assert cause(kube, PODS, with_container(**container)).startswith(complaint)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (
            "1.2.3.4",
            'spec.clusterIPs: Invalid value: []string{"1.2.3.4"}: failed to allocate IP 1.2.3.4: the '
            "provided IP (1.2.3.4) is not in the valid range. The range of valid IPs is 10.96.0.0/12",
        ),
        (
            "nonsense",
            'spec.clusterIPs[0]: Invalid value: "nonsense": must be a valid IP address, '
            "(e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
    ],
)
def test_a_service_gets_no_address_from_elsewhere(kube: Kube, address: str, complaint: str) -> None:
    service = {"metadata": {"name": "a"}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}
    assert cause(kube, f"{CORE}/services", service) == complaint
