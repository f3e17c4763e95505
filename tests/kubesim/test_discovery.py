"""What the server tells of itself."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.discovery.priorities import sorted_versions
from pytest_selfrep.kubesim.kinds import KINDS

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def ask(kube: Kube, path: str, **headers: str) -> Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent["authorization"] = f"Bearer {kube.cluster.token_for()}"
    return kube.cluster.handle(Request("GET", path, {}, sent))


def aggregated(kube: Kube, path: str) -> Any:
    answer = ask(kube, path, accept=AGGREGATED)
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


@pytest.mark.parametrize(
    "path", ["/nothing", "/apis/acme.io", "/apis/acme.io/v1", "/apis/acme.io/v1/gadgets", "/openapi"]
)
def test_of_an_unknown_path_nobody_has_a_page(kube: Kube, path: str) -> None:
    answer = kube.send("GET", path)
    assert (answer.status, answer.content_type, answer.body) == (
        404,
        "text/plain; charset=utf-8",
        "404 page not found\n",
    )


@pytest.mark.parametrize("path", ["/api/v2", "/apis/apps/v9", "/apis/apps/v9/deployments", "/api/v1/gadgets"])
def test_what_a_known_group_does_not_have_is_not_found(kube: Kube, path: str) -> None:
    refused = kube.refusal("GET", path)
    assert (refused["code"], refused["message"]) == (404, "the server could not find the requested resource")


def test_the_second_form_of_aggregated_discovery_differs_in_its_name_only(kube: Kube) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    answer = ask(kube, "/apis", accept=f"{accept},application/json")
    assert (answer.content_type, answer.body["apiVersion"]) == (accept, "apidiscovery.k8s.io/v2beta1")
    assert answer.body["items"] == aggregated(kube, "/apis")["items"]


@pytest.mark.parametrize(
    "accept", ["application/json", "application/json, application/json;g=apidiscovery.k8s.io;v=v2", "*/*"]
)
def test_who_does_not_ask_for_aggregated_discovery_first_gets_the_old_form(kube: Kube, accept: str) -> None:
    assert ask(kube, "/apis", accept=accept).body["kind"] == "APIGroupList"


def test_aggregated_discovery_is_not_sent_to_who_has_it_already(kube: Kube) -> None:
    first = ask(kube, "/apis", accept=AGGREGATED)
    assert first.headers["Vary"] == "Accept"
    again = ask(kube, "/apis", accept=AGGREGATED, if_none_match=first.headers["ETag"])
    assert (again.status, again.encode()) == (304, b"")


def test_groups_come_in_the_order_of_their_importance(kube: Kube) -> None:
    names = [group["name"] for group in kube.get("/apis")["groups"]]
    assert names[:5] == [
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
    ]
    assert names[-1] == "metrics.k8s.io"
    assert [group["metadata"]["name"] for group in aggregated(kube, "/apis")["items"]] == names


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["v1beta1", "v1", "v2", "v1alpha1"], ["v2", "v1", "v1beta1", "v1alpha1"]),
        (["v10", "v9", "v1beta2", "v1beta10"], ["v10", "v9", "v1beta10", "v1beta2"]),
        (["foo1", "v1alpha1", "foo10"], ["v1alpha1", "foo1", "foo10"]),
    ],
)
def test_versions_come_stable_and_new_ones_first(versions: list[str], expected: list[str]) -> None:
    assert sorted_versions("acme.io", versions) == expected


def test_newer_autoscalers_are_preferred() -> None:
    assert sorted_versions("autoscaling", ["v1", "v2"]) == ["v2", "v1"]


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/api/v1", "pods", "xPOwRZ+Yhw8="),
        ("/api/v1", "configmaps", "qFsyl6wFWjQ="),
        ("/apis/apps/v1", "statefulsets", "H+vl74LkKdo="),
    ],
)
def test_resources_say_how_they_are_stored(kube: Kube, path: str, name: str, expected: str) -> None:
    assert resources(kube, path)[name]["storageVersionHash"] == expected


def test_namespaces_are_not_deleted_by_the_dozen(kube: Kube) -> None:
    assert "deletecollection" not in resources(kube, "/api/v1")["namespaces"]["verbs"]
    assert "deletecollection" in resources(kube, "/api/v1")["services"]["verbs"]
    assert kube.refusal("DELETE", "/api/v1/namespaces")["code"] == 405


def test_the_control_plane_is_where_the_services_endpoints_say(kube: Kube) -> None:
    address = kube.get("/api")["serverAddressByClientCIDRs"][0]["serverAddress"]
    subset = kube.get("/api/v1/namespaces/default/endpoints/kubernetes")["subsets"][0]
    assert address == f"{subset['addresses'][0]['ip']}:{subset['ports'][0]['port']}"


def test_all_paths_that_the_root_lists_are_answered(kube: Kube) -> None:
    paths = kube.get("/")["paths"]
    assert {"/api/v1", "/apis/apps", "/readyz/etcd", "/openapi/v3", "/version"} <= set(paths)
    for path in paths:
        assert kube.send("GET", path).status == 200, path


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_is_told_check_by_check(kube: Kube, path: str) -> None:
    lines = str(kube.get(path, verbose="")).splitlines()
    assert lines[0] == "[+]ping ok"
    assert lines[-1] == f"{path[1:]} check passed"
    assert ("[+]shutdown ok" in lines) is (path == "/readyz")
    for line in lines[:-1]:
        assert kube.get(f"{path}/{line.removeprefix('[+]').removesuffix(' ok')}") == "ok"


def test_checks_can_be_left_out(kube: Kube) -> None:
    lines = str(kube.get("/readyz", verbose="", exclude="etcd")).splitlines()
    assert "[+]etcd excluded: ok" in lines
    lines = str(kube.get("/readyz", verbose="", exclude="nope")).splitlines()
    assert lines[-2] == 'warn: some health checks cannot be excluded: no matches for "nope"'


def test_issuer_of_tokens_is_told(kube: Kube) -> None:
    told = kube.get("/.well-known/openid-configuration")
    assert told["issuer"] == "https://kubernetes.default.svc.cluster.local"
