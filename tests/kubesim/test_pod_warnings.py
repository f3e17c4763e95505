"""Warnings of what is allowed in pods and templates, but hardly meant."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, Object, pod
from workloads import CRON_JOBS, DEPLOYMENTS, JOBS, workload

WEB = "spec.containers[0]"
FRACTION = "is invalid, must be an integer"
MERGE = "application/merge-patch+json"


def warnings(kube: Kube, obj: Object, path: str = PODS, method: str = "POST") -> list[str]:
    answer = kube.send(method, path, obj)
    assert answer.status < 300, answer.body
    return list(answer.warnings)


def of_container(**fields: Any) -> Object:
    made = pod("a")
    made["spec"]["containers"][0].update(fields)
    return made


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}, []),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            [f'{WEB}.env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}, []),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)"}]},
            [f'{WEB}.env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (
            {"ports": [{"containerPort": 80}, {"containerPort": 80, "name": "web"}]},
            [f"{WEB}.ports[1]: duplicate port definition with {WEB}.ports[0]"],
        ),
        ({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]}, []),
        (
            {"ports": [{"containerPort": 80}, {"containerPort": 80, "hostPort": 80}]},
            [f"{WEB}.ports[1]: overlapping port definition with {WEB}.ports[0]"],
        ),
        (
            {
                "ports": [
                    {"containerPort": 80, "hostPort": 80},
                    {"containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.1"},
                ]
            },
            [f"{WEB}.ports[1]: dangerously ambiguous port definition with {WEB}.ports[0]"],
        ),
        (
            {"resources": {"limits": {"memory": "128m"}, "requests": {"memory": "1m"}}},
            [
                f'{WEB}.resources.limits[memory]: fractional byte value "128m" {FRACTION}',
                f'{WEB}.resources.requests[memory]: fractional byte value "1m" {FRACTION}',
            ],
        ),
    ],
)
def test_containers(kube: Kube, fields: dict[str, Any], expected: list[str]) -> None:
    assert warnings(kube, of_container(**fields)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            "spec.nodeSelector[beta.kubernetes.io/os]: "
            'deprecated since v1.14; use "kubernetes.io/os" instead',
        ),
        (
            {"hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}]},
            'spec.hostAliases[1].ip: duplicate ip "10.0.0.1"',
        ),
        (
            {"imagePullSecrets": [{"name": "a"}, {"name": "a"}]},
            'spec.imagePullSecrets[1].name: duplicate name "a"',
        ),
        (
            {"terminationGracePeriodSeconds": -1},
            "spec.terminationGracePeriodSeconds: "
            "must be >= 0; negative values are invalid and will be treated as 1",
        ),
        ({"imagePullSecrets": [{}]}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
    ],
)
def test_pods(kube: Kube, spec: Object, expected: str) -> None:
    assert warnings(kube, pod("a", **spec)) == [expected]


def test_containers_of_a_pod_share_its_ports(kube: Kube) -> None:
    both = pod("a", ports=[{"containerPort": 80}])
    both["spec"]["containers"].append({**both["spec"]["containers"][0], "name": "other"})
    assert warnings(kube, both) == [
        "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]"
    ]


def test_a_name_becomes_a_hosts(kube: Kube) -> None:
    why = "which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"
    assert warnings(kube, pod("a.b")) == [f"metadata.name: this is used in the Pod's hostname, {why}"]
    found = warnings(kube, workload("Deployment", "a.b", replicas=0), DEPLOYMENTS)
    assert found == [f"metadata.name: this is used in Pod names and hostnames, {why}"]


def test_templates_are_told_of_as_often_as_they_change(kube: Kube) -> None:
    doubtful = workload("Deployment", replicas=0)
    ports = [{"containerPort": 80}, {"containerPort": 80}]
    doubtful["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    at = "spec.template.spec.containers[0].ports"
    told = [f"{at}[1]: duplicate port definition with {at}[0]"]
    assert warnings(kube, doubtful, DEPLOYMENTS) == told
    for patch, expected in (({"metadata": {"labels": {"a": "b"}}}, []), ({"spec": {"paused": True}}, told)):
        answer = kube.send("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=MERGE)
        assert list(answer.warnings) == expected


def test_a_pod_in_use_is_not_warned_of_again(kube: Kube) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    assert len(warnings(kube, of_container(env=env))) == 1
    labelled = kube.pod("a")
    labelled["metadata"]["labels"] = {"a": "b"}
    assert warnings(kube, labelled, f"{PODS}/a", "PUT") == []


def test_a_cron_job_is_told_of_the_pods_of_its_jobs(kube: Kube) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    containers = [{"name": "sum", "image": "sum:1", "env": env}]
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}}}
    made = {"metadata": {"name": "sum"}, "spec": {"schedule": "@daily", "jobTemplate": template}}
    at = "spec.jobTemplate.spec.template.spec.containers[0].env[1]"
    assert warnings(kube, made, CRON_JOBS) == [
        f'{at}: hides previous definition of "A", which may be dropped when using apply'
    ]


@pytest.mark.parametrize(
    ("options", "query", "told"),
    [
        (None, {}, True),
        ({"gracePeriodSeconds": 0}, {}, True),
        ({"propagationPolicy": "Background"}, {}, False),
        (None, {"propagationPolicy": "Orphan"}, False),
        ({"orphanDependents": False}, {}, False),
    ],
)
def test_who_deletes_a_job_is_told_that_its_pods_stay(
    kube: Kube, options: Object | None, query: dict[str, str], told: bool
) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "sum:1"}]}}
    kube.create(JOBS, {"metadata": {"name": "sum"}, "spec": {"template": template}})
    warning = (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background "
        "to remove them or set propagationPolicy=Orphan to suppress this warning"
    )
    for path in (f"{JOBS}/sum", JOBS):
        answer = kube.send("DELETE", path, options, query)
        assert list(answer.warnings) == ([warning] if told else [])
