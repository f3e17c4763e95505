"""What the server tells of itself."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube

from pytest_selfrep.kubesim.http import Request
from pytest_selfrep.kubesim.kinds import KINDS

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def aggregated(kube: Kube, path: str) -> Any:
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "accept": AGGREGATED}
    answer = kube.cluster.handle(Request("GET", path, {}, headers))
    assert answer.content_type == AGGREGATED.partition(",")[0]
    return answer.body


def resources(kube: Kube, path: str) -> dict[str, Any]:
    return {resource["name"]: resource for resource in kube.get(path)["resources"]}


def test_the_version_is_that_of_kubernetes_1_32(kube: Kube) -> None:
    version = kube.get("/version")
    assert (version["major"], version["minor"], version["gitVersion"]) == ("1", "32", "v1.32.4")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_the_server_says_that_it_is_well(kube: Kube, path: str) -> None:
    answer = kube.send("GET", path)
    assert (answer.status, answer.body, answer.content_type) == (200, "ok", "text/plain; charset=utf-8")


def test_groups_are_listed_with_their_versions(kube: Kube) -> None:
    assert kube.get("/api")["versions"] == ["v1"]
    groups = {group["name"]: group for group in kube.get("/apis")["groups"]}
    assert {"apps", "batch", "policy", "metrics.k8s.io", "authorization.k8s.io"} <= set(groups)
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert kube.get("/apis/apps") == {"kind": "APIGroup", "apiVersion": "v1", **groups["apps"]}


def test_resources_are_listed_with_names_verbs_and_categories(kube: Kube) -> None:
    assert resources(kube, "/apis/apps/v1")["deployments"] == {
        "name": "deployments",
        "singularName": "deployment",
        "namespaced": True,
        "kind": "Deployment",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["deploy"],
        "categories": ["all"],
        "storageVersionHash": "8aSe+NMegvE=",
    }


@pytest.mark.parametrize(
    ("path", "name", "group", "kind", "verbs"),
    [
        ("/apis/apps/v1", "deployments/scale", "autoscaling", "Scale", ["get", "patch", "update"]),
        ("/api/v1", "pods/eviction", "policy", "Eviction", ["create"]),
        ("/api/v1", "serviceaccounts/token", "authentication.k8s.io", "TokenRequest", ["create"]),
    ],
)
def test_subresources_name_the_kind_that_they_speak(
    kube: Kube, path: str, name: str, group: str, kind: str, verbs: list[str]
) -> None:
    found = resources(kube, path)[name]
    assert (found["group"], found["version"], found["kind"], found["verbs"]) == (group, "v1", kind, verbs)


def test_computed_resources_are_listed_with_what_they_answer(kube: Kube) -> None:
    assert resources(kube, "/apis/metrics.k8s.io/v1beta1")["pods"]["verbs"] == ["get", "list"]
    reviews = resources(kube, "/apis/authorization.k8s.io/v1")
    assert reviews["selfsubjectaccessreviews"]["verbs"] == ["create"]


def test_aggregated_discovery_tells_the_same_in_one_document(kube: Kube) -> None:
    told = {}
    for path in ("/api", "/apis"):
        document = aggregated(kube, path)
        assert (document["kind"], document["apiVersion"]) == (
            "APIGroupDiscoveryList",
            "apidiscovery.k8s.io/v2",
        )
        for group in document["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name", "")
                for resource in version["resources"]:
                    told[name, version["version"], resource["resource"]] = resource
    for kind in KINDS:
        resource = told[kind.group, kind.version, kind.plural]
        assert resource["responseKind"] == {"group": kind.group, "version": kind.version, "kind": kind.kind}
        assert resource["scope"] == ("Namespaced" if kind.namespaced else "Cluster")
        below = {each["subresource"] for each in resource.get("subresources", ())}
        assert below == set(kind.subresources)


def test_every_kind_that_is_told_of_can_be_listed(kube: Kube) -> None:
    for kind in KINDS:
        path = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        assert kube.get(f"{path}/{kind.plural}")["kind"] == f"{kind.kind}List"


def test_every_subresource_that_is_told_of_answers_some_verb(kube: Kube) -> None:
    paths = ["/api/v1", *(f"/apis/{group['name']}" for group in kube.get("/apis")["groups"])]
    for path in paths:
        document = kube.get(path)
        if "preferredVersion" in document:
            document = kube.get(f"/apis/{document['preferredVersion']['groupVersion']}")
        assert all(resource["verbs"] for resource in document["resources"])


@pytest.mark.parametrize("path", ["/nothing", "/apis/acme.io", "/apis/acme.io/v1", "/openapi/v2", "/api/v2"])
def test_an_unknown_path_is_not_found(kube: Kube, path: str) -> None:
    refused = kube.refusal("GET", path)
    assert (refused["code"], refused["message"]) == (404, "the server could not find the requested resource")
