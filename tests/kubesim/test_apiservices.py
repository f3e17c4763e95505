"""APIServices: who serves each group and version."""

from __future__ import annotations

from typing import Any

from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Request

PATH = "/apis/apiregistration.k8s.io/v1/apiservices"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def table(kube: Kube) -> Any:
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "accept": TABLE}
    return kube.cluster.handle(Request("GET", PATH, {}, headers)).body


def test_there_is_one_for_every_group_and_version_but_their_own(kube: Kube) -> None:
    names = [each["metadata"]["name"] for each in kube.get(PATH)["items"]]
    served = {"v1."}
    for group in kube.get("/apis")["groups"]:
        served |= {f"{version['version']}.{group['name']}" for version in group["versions"]}
    assert names == sorted(served - {"v1.apiregistration.k8s.io"})


def test_the_servers_own_are_local_and_always_available(kube: Kube) -> None:
    found = kube.get(f"{PATH}/v1.apps")
    assert found["spec"] == {
        "group": "apps",
        "version": "v1",
        "groupPriorityMinimum": 17800,
        "versionPriority": 15,
    }
    condition = found["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Available", "True", "Local")
    assert condition["message"] == "Local APIServices are always available"


def test_metrics_come_from_a_service(kube: Kube) -> None:
    found = kube.get(f"{PATH}/v1beta1.metrics.k8s.io")
    assert found["spec"]["service"] == {"namespace": "kube-system", "name": "metrics-server", "port": 443}
    assert found["status"]["conditions"][0]["message"] == "all checks passed"


def test_the_table_says_who_serves_and_whether_it_is_available(kube: Kube) -> None:
    shown = table(kube)
    assert [column["name"] for column in shown["columnDefinitions"]] == [
        "Name",
        "Service",
        "Available",
        "Age",
    ]
    cells = {row["cells"][0]: row["cells"][1:3] for row in shown["rows"]}
    assert cells["v1.batch"] == ["Local", "True"]
    assert cells["v1beta1.metrics.k8s.io"] == ["kube-system/metrics-server", "True"]


def test_they_are_the_same_whenever_they_are_read(kube: Kube) -> None:
    before = kube.get(f"{PATH}/v1.apps")
    kube.advance(600)
    assert kube.get(f"{PATH}/v1.apps") == before


def test_they_are_selected_like_other_objects(kube: Kube) -> None:
    found = kube.get(PATH, labelSelector="k8s-app=metrics-server")["items"]
    assert [each["metadata"]["name"] for each in found] == ["v1beta1.metrics.k8s.io"]
    found = kube.get(PATH, fieldSelector="metadata.name=v1.apps")["items"]
    assert [each["metadata"]["name"] for each in found] == ["v1.apps"]


def test_one_that_is_not_there_is_not_found(kube: Kube) -> None:
    refused = kube.refusal("GET", f"{PATH}/v1.acme.io")
    assert refused["message"] == 'apiservices.apiregistration.k8s.io "v1.acme.io" not found'


def test_the_api_has_its_group_beside_the_others(kube: Kube) -> None:
    resources = kube.get("/apis/apiregistration.k8s.io/v1")["resources"]
    assert (resources[0]["name"], resources[0]["categories"]) == ("apiservices", ["api-extensions"])
    assert kube.get("/apis")["groups"][0]["name"] == "apiregistration.k8s.io"
