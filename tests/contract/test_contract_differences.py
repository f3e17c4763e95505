"""Where kubesim differs from Kubernetes on purpose: the table in its reference, held to the truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_client import Kube, Object, until
from manifests import idle_pod, pod, pod_spec, workload

from pytest_selfrep.kubesim.cluster import Cluster

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "kubesim.md"
Check = Callable[[Kube, bool], None]
"""Given a namespace and whether it is kubesim's, shows that the cluster does its side of a row."""


def rest(kube: Kube, simulated: bool) -> None:
    spec = pod_spec(nodeSelector={"disk": "none"})
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
    kube.create("deployments.apps", workload("web", template=template, replicas=40))

    assert (len(kube.names("pods")) == 40) == simulated


def nothing_runs(kube: Kube, simulated: bool) -> None:
    kube.create("pods", pod("web", "no-such-program"))
    (status,) = _until_tried(kube)

    assert ("running" in status["state"]) == simulated


def images(kube: Kube, simulated: bool) -> None:
    strange = pod("web")
    strange["spec"]["containers"][0]["image"] = "registry.example.com/none:1"
    kube.create("pods", strange)
    (status,) = _until_tried(kube)

    assert ("running" in status["state"]) == simulated


def _until_tried(kube: Kube) -> list[Object]:
    """The states of the pod's containers when they are not about to be made any more."""

    def tried(web: Object) -> bool:
        states = [each["state"] for each in web["status"].get("containerStatuses", ())]
        return bool(states) and all(
            state.get("waiting", {}).get("reason") != "ContainerCreating" for state in states
        )

    found: list[Object] = kube.eventually("pods/web", tried)["status"]["containerStatuses"]
    return found


def probes(kube: Kube, simulated: bool) -> None:
    probed = pod("web")
    probed["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    kube.create("pods", probed)

    _ready_when_running(kube, simulated)


def _ready_when_running(kube: Kube, ready: bool) -> None:
    kube.eventually("pods/web", lambda web: web["status"].get("phase") == "Running")
    if ready:
        until(lambda: kube.conditions("pods/web")["Ready"]["status"], lambda status: status == "True")
    assert (kube.conditions("pods/web")["Ready"]["status"] == "True") == ready


def groups(kube: Kube, simulated: bool) -> None:
    served = {each["name"] for each in kube.get("/apis")["groups"]}

    for name in ("admissionregistration", "certificates", "flowcontrol.apiserver"):
        assert (f"{name}.k8s.io" not in served) == simulated


def api_services(kube: Kube, simulated: bool) -> None:
    path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps"

    assert kube.get(path)["spec"]["group"] == "apps"
    assert (kube.send("DELETE", path, dryRun="All").code == 405) == simulated


def date(kube: Kube, simulated: bool) -> None:
    if simulated:
        assert Cluster().clock.timestamp().startswith("2025-05-06")
        return
    made = kube.create("pods", idle_pod("web"))["metadata"]["creationTimestamp"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(made)) < timedelta(hours=1)


CHECKS: dict[str, Check] = {
    "rest": rest,
    "nothing-runs": nothing_runs,
    "images": images,
    "probes": probes,
    "groups": groups,
    "api-services": api_services,
    "date": date,
}


def test_every_row_of_the_table_has_its_check() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Differences from Kubernetes")[1].split("\n## ")[0]

    assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE) == list(CHECKS)


@pytest.mark.parametrize("row", CHECKS)
def test_each_cluster_does_its_side_of_a_row(kube: Kube, simulated: bool, row: str) -> None:
    CHECKS[row](kube, simulated)
