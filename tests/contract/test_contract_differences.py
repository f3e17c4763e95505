"""Where kubesim differs from Kubernetes on purpose: the table in its reference, held to the truth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_client import JSON, Kube, Object, until
from manifests import idle_pod, job, pod, pod_spec, workload

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

    for name in ("admissionregistration", "certificates", "flowcontrol.apiserver", "node", "events"):
        assert (f"{name}.k8s.io" not in served) == simulated


def kinds(kube: Kube, simulated: bool) -> None:
    for path, names in (
        ("/api/v1", {"podtemplates", "bindings"}),
        ("/apis/storage.k8s.io/v1", {"volumeattachments", "csinodes", "csidrivers"}),
    ):
        served = {each["name"] for each in kube.get(path)["resources"]}
        assert served & names == (set() if simulated else names)


def api_services(kube: Kube, simulated: bool) -> None:
    path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps"

    assert kube.get(path)["spec"]["group"] == "apps"
    assert (kube.send("DELETE", path, dryRun="All").code == 405) == simulated


def metrics(kube: Kube, simulated: bool) -> None:
    def without_a_server() -> bool:
        path = "/apis/apps/v1/namespaces/kube-system/deployments"
        served = {each["name"] for each in kube.get("/apis")["groups"]}
        return "metrics.k8s.io" in served and not kube.names(path, labelSelector="k8s-app=metrics-server")

    until(without_a_server, lambda so: so == simulated)
    if simulated:
        assert kube.kubectl("top nodes").startswith("NAME ")


def descriptions(kube: Kube, simulated: bool) -> None:
    headers = {"accept": JSON, **kube.link.headers()}
    types = kube.link.pool.request("GET", f"{kube.link.url}/openapi/v2", headers=headers).data

    assert b'"io.k8s.api.core.v1.ConfigMap"' in types
    assert (b'"ConfigMap holds configuration data for pods to consume."' not in types) == simulated


def date(kube: Kube, simulated: bool) -> None:
    if simulated:
        assert Cluster().clock.timestamp().startswith("2025-05-06")
        return
    made = kube.create("pods", idle_pod("web"))["metadata"]["creationTimestamp"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(made)) < timedelta(hours=1)


def paths(kube: Kube, simulated: bool) -> None:
    for path in ("/metrics", "/logs/", "/openid/v1/jwks"):
        assert (kube.send("GET", path).code == 404) == simulated


def openapi_protobuf(kube: Kube, simulated: bool) -> None:
    wanted = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
    headers = {"accept": wanted, **kube.link.headers()}
    answer = kube.link.pool.request("GET", f"{kube.link.url}/openapi/v3/api/v1", headers=headers)

    assert (answer.status == 406) == simulated


def programs(kube: Kube, simulated: bool) -> None:
    kube.create("pods", pod("web"))
    kube.eventually("pods/web", lambda web: web["status"].get("phase") == "Running")

    assert (kube.run("exec web -- awk 'BEGIN {print 1}'").returncode != 0) == simulated


def preemption(kube: Kube, simulated: bool) -> None:
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    kube.create(classes, {"metadata": {"name": kube.namespace}, "value": 1000})
    try:
        kube.create("pods", _with_port(pod("low")))
        kube.eventually("pods/low", lambda low: low["status"].get("phase") == "Running")
        kube.create("pods", _with_port(pod("high", priorityClassName=kube.namespace)))
        if simulated:
            kube.eventually("pods/high", lambda _: "PodScheduled" in kube.conditions("pods/high"))
            assert kube.exists("pods/low")
        else:
            kube.gone("pods/low")
    finally:
        kube.delete(f"{classes}/{kube.namespace}")


def _with_port(obj: Object) -> Object:
    """A pod that wants the same port of a node as others do."""
    obj["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 31999}]
    return obj


def job_policies(kube: Kube, simulated: bool) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}
    failing = job("web", "sh", "-c", "exit 3", podFailurePolicy={"rules": [rule]}, backoffLimit=0)
    kube.create("jobs.batch", failing)
    until(lambda: kube.conditions("jobs.batch/web"), lambda found: "Failed" in found)

    assert (kube.conditions("jobs.batch/web")["Failed"]["reason"] != "PodFailurePolicy") == simulated


def pod_security_warnings(kube: Kube, simulated: bool) -> None:
    label = {"pod-security.kubernetes.io/warn": "restricted"}
    kube.patch(f"/api/v1/namespaces/{kube.namespace}", {"metadata": {"labels": label}})

    run = kube.run("run web --image=busybox:1.36.1 --dry-run=server")
    assert ("would violate PodSecurity" not in run.stderr) == simulated


def cel(kube: Kube, simulated: bool) -> None:
    rule = {"rule": "self.size == 'small'", "message": "too large"}
    spec = {"type": "object", "properties": {"size": {"type": "string"}}, "x-kubernetes-validations": [rule]}
    with _shirts(kube, _version("v1", {"spec": spec})) as shirts:
        large = {**_shirt(kube), "spec": {"size": "large"}}
        assert (kube.send("POST", shirts, large).code == 201) == simulated


def conversion_webhooks(kube: Kube, simulated: bool) -> None:
    webhook = {"clientConfig": {"url": "https://localhost:1/convert"}, "conversionReviewVersions": ["v1"]}
    versions = [_version("v1", {}), {**_version("v2", {}), "storage": False}]
    with _shirts(kube, *versions, conversion={"strategy": "Webhook", "webhook": webhook}) as shirts:
        kube.create(shirts, _shirt(kube))
        other = f"{shirts.replace('/v1/', '/v2/')}/red"
        assert (kube.send("GET", other).code == 200) == simulated


@contextmanager
def _shirts(kube: Kube, *versions: Object, **more: object) -> Iterator[str]:
    """The path of a kind that lasts as long as its check."""
    group = f"{kube.namespace}.example.com"
    names = {"plural": "shirts", "kind": "Shirt"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": list(versions), **more}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    path = f"/apis/{group}/v1/namespaces/{kube.namespace}/shirts"
    kube.create(definitions, {"metadata": {"name": f"shirts.{group}"}, "spec": spec})
    try:
        until(lambda: kube.send("GET", path).code, lambda code: code == 200)
        yield path
    finally:
        kube.send("DELETE", f"{definitions}/shirts.{group}")


def _version(name: str, properties: Object) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    return {"name": name, "served": True, "storage": True, "schema": schema}


def _shirt(kube: Kube) -> Object:
    return {
        "apiVersion": f"{kube.namespace}.example.com/v1",
        "kind": "Shirt",
        "metadata": {"name": "red"},
    }


CHECKS: dict[str, Check] = {
    "rest": rest,
    "nothing-runs": nothing_runs,
    "images": images,
    "probes": probes,
    "groups": groups,
    "kinds": kinds,
    "api-services": api_services,
    "metrics": metrics,
    "descriptions": descriptions,
    "date": date,
    "paths": paths,
    "openapi-protobuf": openapi_protobuf,
    "programs": programs,
    "preemption": preemption,
    "job-policies": job_policies,
    "pod-security-warnings": pod_security_warnings,
    "cel": cel,
    "conversion-webhooks": conversion_webhooks,
}
SINCE = {"cel": "1.25", "job-policies": "1.26", "openapi-protobuf": "1.24", "pod-security-warnings": "1.23"}
"""From which version on Kubernetes does its side."""


def rows() -> list[object]:
    late = {row: [pytest.mark.since(version)] for row, version in SINCE.items()}
    return [pytest.param(row, marks=late.get(row, [])) for row in CHECKS]


def test_every_row_of_the_table_has_its_check() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Differences from Kubernetes")[1].split("\n## ")[0]

    assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE) == list(CHECKS)


@pytest.mark.parametrize("row", rows())
def test_each_cluster_does_its_side_of_a_row(kube: Kube, simulated: bool, row: str) -> None:
    CHECKS[row](kube, simulated)
