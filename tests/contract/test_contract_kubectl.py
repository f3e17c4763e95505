"""What kubectl prints, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from api_client import Kube, Object, until
from manifests import config_map, idle_pod, job, workload
from printed import plain

PRINTED: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("printed.yaml").read_text(encoding="utf-8"))
LIMITS = {"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "50m"}}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"}
SERVICE = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
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


def _counts(name: str, wanted: int) -> Any:
    def there(obj: Object) -> bool:
        return bool(obj["status"].get(name) == wanted)

    return there


@pytest.fixture(scope="module")
def furnished(shared: Kube) -> Kube:
    furnish(shared)
    return shared


def rows(section: str) -> list[Any]:
    return [
        pytest.param(
            row["kubectl"],
            row.get("prints", ""),
            row.get("refuses", ""),
            id=row["kubectl"],
            marks=[pytest.mark.since(row["since"])] if "since" in row else [],
        )
        for row in PRINTED[section]
    ]


def check(kube: Kube, command: str, prints: str, refuses: str) -> None:
    seen = kube.kubectl(command.replace("<namespace>", kube.namespace), fails=bool(refuses))

    assert plain(seen, *kube.names("/api/v1/nodes")) == (prints or refuses).rstrip("\n")


@pytest.mark.parametrize(("command", "prints", "refuses"), rows("looking"))
def test_what_looking_prints(furnished: Kube, command: str, prints: str, refuses: str) -> None:
    check(furnished, command, prints, refuses)


def test_what_a_session_prints(kube: Kube) -> None:
    furnish(kube)

    for row in PRINTED["session"]:
        check(kube, row["kubectl"], row.get("prints", ""), row.get("refuses", ""))
