"""What the API server fills in when a client leaves it out."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, deployment, pod
from workloads import CORE, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, JOBS, REPLICA_SETS, STATEFUL_SETS, workload

SERVICES = f"{CORE}/services"


def test_a_pod(kube: Kube) -> None:
    spec = kube.add_pod("a")["spec"]
    expected = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "enableServiceLinks": True,
    }
    assert {name: spec[name] for name in expected} == expected


def test_a_container(kube: Kube) -> None:
    (container,) = kube.add_pod("a", ports=[{"containerPort": 80}], automountServiceAccountToken=False)[
        "spec"
    ]["containers"]
    assert container == {
        "name": "web",
        "image": "registry.acme.io/web:1.4",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


def test_claims_of_resources_are_dropped(kube: Kube) -> None:
    claims = [{"name": "gpu", "resourceClaimName": "gpu"}]
    spec = kube.add_pod("a", resourceClaims=claims, resources={"claims": [{"name": "gpu"}]})["spec"]
    assert "resourceClaims" not in spec
    assert spec["containers"][0]["resources"] == {}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_images_are_pulled_by_their_tag(kube: Kube, image: str, policy: str) -> None:
    assert kube.add_pod("a", image=image)["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_requests_follow_limits_in_pods_but_not_in_templates(kube: Kube) -> None:
    resources = {"limits": {"cpu": "1"}}
    created = kube.add_pod("a", resources=resources)
    assert created["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    template = kube.create(DEPLOYMENTS, deployment("web", 0, resources=resources))["spec"]["template"]
    assert template["spec"]["containers"][0]["resources"] == resources


def test_quantities_are_written_back_canonically(kube: Kube) -> None:
    resources = {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 1, "memory": "2048Mi"}}
    created = kube.add_pod("a", resources=resources)
    assert created["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "2Gi"},
    }


def test_a_probe(kube: Kube) -> None:
    created = kube.add_pod("a", readinessProbe={"httpGet": {"port": 80}})
    assert created["spec"]["containers"][0]["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_volumes(kube: Kube) -> None:
    volumes = [
        {"name": "scratch"},
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "host", "hostPath": {"path": "/var/log"}},
    ]
    assert kube.add_pod("a", volumes=volumes)["spec"]["volumes"][:3] == [
        {"name": "scratch", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": "settings", "defaultMode": 420}},
        {"name": "host", "hostPath": {"path": "/var/log", "type": ""}},
    ]


def test_a_deployment(kube: Kube) -> None:
    manifest = workload("Deployment")
    spec = kube.create(DEPLOYMENTS, manifest)["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)


def test_recreate_has_no_rolling_parameters(kube: Kube) -> None:
    spec = kube.create(DEPLOYMENTS, workload("Deployment", strategy={"type": "Recreate"}))["spec"]
    assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        (REPLICA_SETS, "ReplicaSet", {"replicas": 1}),
        (
            STATEFUL_SETS,
            "StatefulSet",
            {
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
        ),
        (
            DAEMON_SETS,
            "DaemonSet",
            {
                "revisionHistoryLimit": 10,
                "updateStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
                },
            },
        ),
    ],
)
def test_other_owners_of_pods(kube: Kube, path: str, kind: str, expected: dict[str, Any]) -> None:
    spec = kube.create(path, workload(kind))["spec"]
    assert {name: spec[name] for name in expected} == expected


TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "sum:1"}]}}


def test_a_job(kube: Kube) -> None:
    manifest = {"kind": "Job", "metadata": {"name": "sum"}, "spec": {"template": TEMPLATE}}
    spec = kube.create(JOBS, manifest)["spec"]
    expected = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }
    assert {name: spec[name] for name in expected} == expected


def test_a_work_queue_has_no_number_of_completions(kube: Kube) -> None:
    manifest = {"metadata": {"name": "sum"}, "spec": {"template": TEMPLATE, "parallelism": 2}}
    assert "completions" not in kube.create(JOBS, manifest)["spec"]


def test_a_cron_job(kube: Kube) -> None:
    spec = {"schedule": "@daily", "jobTemplate": {"spec": {"template": TEMPLATE}}}
    created = kube.create(CRON_JOBS, {"metadata": {"name": "sum"}, "spec": spec})["spec"]
    expected = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    assert {name: created[name] for name in expected} == expected


def test_a_service(kube: Kube) -> None:
    manifest = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    spec = kube.create(SERVICES, manifest)["spec"]
    assert spec["ports"] == [{"port": 80, "targetPort": 80, "protocol": "TCP"}]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == (
        "ClusterIP",
        "None",
        "Cluster",
    )


def test_a_secret_is_opaque_and_string_data_is_encoded(kube: Kube) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"user": "admin"}}
    created = kube.create(f"{CORE}/secrets", secret)
    assert created["type"] == "Opaque"
    assert created["data"] == {"user": "YWRtaW4="}
    assert "stringData" not in created


def test_a_limit_range(kube: Kube) -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "64Mi"}}
    manifest = {"metadata": {"name": "bounds"}, "spec": {"limits": [item]}}
    assert kube.create(f"{CORE}/limitranges", manifest)["spec"]["limits"] == [
        {**item, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2", "memory": "64Mi"}}
    ]


def test_an_autoscaler_aims_at_80_percent_of_cpu(kube: Kube) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    manifest = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": target, "maxReplicas": 5}}
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    spec = kube.create(path, manifest)["spec"]
    assert spec["minReplicas"] == 1
    utilization = {"type": "Utilization", "averageUtilization": 80}
    assert spec["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}]


def test_what_is_said_is_kept(kube: Kube) -> None:
    spec = kube.add_pod("a", terminationGracePeriodSeconds=0, restartPolicy="Never")["spec"]
    assert (spec["terminationGracePeriodSeconds"], spec["restartPolicy"]) == (0, "Never")


def test_a_malformed_quantity_cannot_even_be_read(kube: Kube) -> None:
    refusal = kube.refusal("POST", PODS, pod("a", cpu="lots"))
    assert (refusal["code"], refusal["reason"]) == (400, "BadRequest")
    assert refusal["message"] == (
        'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )
