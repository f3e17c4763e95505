"""What kubectl prints, word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from api_client import Kube, Object, until
from manifests import config_map, idle_pod, job, workload
from printed import Row, Said, filled, looking, plain, sessions

LIMITS = {"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "50m"}}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"}
SERVICE = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
NETWORK = "PodReadyToStartContainers"
AGENT = {"kind": "ServiceAccount", "name": "agent"}


def furnish(kube: Kube) -> None:
    """One of everything, at rest."""
    hard = {"pods": "20", "requests.cpu": "1"}
    kube.create("limitranges", {"metadata": {"name": "sizes"}, "spec": {"limits": [LIMITS]}})
    probe = idle_pod("probe")
    until(lambda: kube.create("pods", probe, dryRun="All")["spec"]["containers"][0]["resources"], bool)
    kube.create("resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": hard}})
    kube.eventually("resourcequotas/few", lambda quota: quota.get("status", {}).get("used"))
    kube.create("services", {"metadata": {"name": "web"}, "spec": SERVICE})
    kube.create("configmaps", config_map("settings", mode="fast"))
    kube.create("secrets", {"metadata": {"name": "key"}, "stringData": {"a": "secret"}})
    kube.create("serviceaccounts", {"metadata": {"name": "agent"}})
    kube.create("roles.rbac", {"metadata": {"name": "agent"}, "rules": [RULE]})
    subjects = [{**AGENT, "namespace": kube.namespace}]
    kube.create("rolebindings.rbac", {"metadata": {"name": "agent"}, "roleRef": ROLE, "subjects": subjects})
    kube.create("deployments.apps", workload("web", replicas=2))
    kube.create("jobs.batch", job("sum", "sh", "-c", "exit 0"))
    kube.create("statefulsets.apps", workload("db", serviceName="db", replicas=1))
    kube.create("daemonsets.apps", workload("agent"))
    kube.create("pods", idle_pod("idle"))
    for path, count, wanted in (
        ("deployments.apps/web", "availableReplicas", 2),
        ("jobs.batch/sum", "succeeded", 1),
        ("statefulsets.apps/db", "readyReplicas", 1),
        ("daemonsets.apps/agent", "numberAvailable", 1),
    ):
        kube.eventually(path, _counts(count, wanted))
    kube.eventually("resourcequotas/few", lambda quota: quota["status"]["used"]["pods"] == "5")
    kube.eventually("pods", _has_no_network, labelSelector="job-name=sum")


def _counts(name: str, wanted: int) -> Any:
    def there(obj: Object) -> bool:
        return bool(obj["status"].get(name) == wanted)

    return there


def _has_no_network(pods: Object) -> bool:
    """Older kubelets do not say."""
    conditions = pods["items"][0]["status"]["conditions"]
    return not any((each["type"], each["status"]) == (NETWORK, "True") for each in conditions)


@pytest.fixture(scope="module")
def furnished(shared: Kube) -> Kube:
    furnish(shared)
    return shared


def rows() -> list[Any]:
    return [
        pytest.param(row, id=row.command, marks=[pytest.mark.since(row.since)] if row.since else [])
        for row in looking()
    ]


def check(kube: Kube, row: Row) -> None:
    nodes = kube.names("/api/v1/nodes")
    command = row.command.replace("<namespace>", kube.namespace).replace("<node>", nodes[0])

    run = kube.run(command, row.stdin.replace("<namespace>", kube.namespace))

    out, err = (plain(kube.plain(text), *nodes) for text in (run.stdout, run.stderr))
    seen = Said(out, err, run.returncode)
    assert seen == filled(row.said, seen), row.command


@pytest.mark.parametrize("row", rows())
def test_what_looking_prints(furnished: Kube, row: Row) -> None:
    check(furnished, row)


@pytest.mark.parametrize("about", sessions())
def test_what_a_session_prints(kube: Kube, does: Callable[[str], bool], about: str) -> None:
    if about == "changing":
        furnish(kube)

    for row in sessions()[about]:
        if row.since is None or does(row.since):
            check(kube, row)
