"""The documents of OpenAPI: complete, consistent, and true of what the server answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import orjson
import pytest
from kube_driver import Kube

from pytest_selfrep import kubesim
from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.schema import structs

PROTOBUF = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
METHODS = ("get", "post", "put", "patch", "delete")
HOMES = sorted(file.name.removesuffix(".schema") for file in (files(kubesim) / "schemas").iterdir())


def ask(kube: Kube, path: str, **headers: str) -> Response:
    sent = {"authorization": f"Bearer {kube.cluster.token_for()}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    path, _, query = path.partition("?")
    pairs = dict(part.split("=", 1) for part in query.split("&")) if query else {}
    return kube.cluster.handle(Request("GET", path, pairs, sent))


def documents(kube: Kube) -> dict[str, Any]:
    index = kube.get("/openapi/v3")["paths"]
    return {name: kube.get(f"/openapi/v3/{name}") for name in index}


def within(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from within(each)
    elif isinstance(value, list):
        for each in value:
            yield from within(each)


def schema(kube: Kube, document: str, name: str) -> Any:
    return kube.get(f"/openapi/v3/{document}")["components"]["schemas"][name]


def operations(kube: Kube) -> list[tuple[str, str, Any]]:
    """Method, path and operation, of all documents."""
    return [
        (method.upper(), path, said[method])
        for document in documents(kube).values()
        for path, said in document["paths"].items()
        for method in METHODS
        if method in said
    ]


def test_every_group_and_version_that_is_served_has_a_document(kube: Kube) -> None:
    served = [kube.get("/api")["versions"][0]]
    for group in kube.get("/apis")["groups"]:
        served += [version["groupVersion"] for version in group["versions"]]
    expected = {f"apis/{each}" if "/" in each else f"api/{each}" for each in served}
    assert set(kube.get("/openapi/v3")["paths"]) == expected


def test_the_index_says_where_a_document_is_for_good(kube: Kube) -> None:
    url = kube.get("/openapi/v3")["paths"]["apis/apps/v1"]["serverRelativeURL"]
    assert re.fullmatch(r"/openapi/v3/apis/apps/v1\?hash=[0-9A-F]{128}", url)
    answer = ask(kube, url)
    assert answer.headers["Cache-Control"] == "public, immutable"
    assert answer.body == kube.get("/openapi/v3/apis/apps/v1")


def test_a_hash_of_yesterday_leads_to_the_document_of_today(kube: Kube) -> None:
    url = kube.get("/openapi/v3")["paths"]["apis/apps/v1"]["serverRelativeURL"]
    answer = ask(kube, f"/openapi/v3/apis/apps/v1?hash={'0' * 128}")
    assert (answer.status, answer.headers["Location"]) == (301, url)


@pytest.mark.parametrize("path", ["/openapi/v3/api/v1", "/openapi/v2"])
def test_who_has_a_document_already_is_not_sent_it_again(kube: Kube, path: str) -> None:
    first = ask(kube, path)
    again = ask(kube, path, if_none_match=first.headers["ETag"])
    assert (again.status, again.encode(), again.headers["ETag"]) == (304, b"", first.headers["ETag"])


@pytest.mark.parametrize("path", ["/openapi/v3/api/v1", "/openapi/v3", "/openapi/v2"])
def test_who_takes_nothing_but_what_is_not_there_is_told_so(kube: Kube, path: str) -> None:
    assert ask(kube, path, accept=PROTOBUF).status == 406
    assert ask(kube, path, accept=f"{PROTOBUF},application/json").status == 200


@pytest.mark.parametrize(
    "name", ["apis/apps/v2", "apis/acme.io/v1", "api/v2", "apis/apps", "version", "apis//v1"]
)
def test_documents_of_groups_that_are_not_served_are_not_found(kube: Kube, name: str) -> None:
    assert kube.refusal("GET", f"/openapi/v3/{name}")["code"] == 404


def test_every_reference_leads_to_a_schema_of_the_same_document(kube: Kube) -> None:
    whole = documents(kube) | {"v2": kube.get("/openapi/v2")}
    for name, document in whole.items():
        prefix = "#/definitions/" if name == "v2" else "#/components/schemas/"
        known = document["definitions"] if name == "v2" else document["components"]["schemas"]
        found = {each["$ref"] for each in within(document["paths"]) if isinstance(each.get("$ref"), str)}
        for each in known.values():
            found |= {inner["$ref"] for inner in within(each) if isinstance(inner.get("$ref"), str)}
        assert found <= {f"{prefix}{each}" for each in known}, name


def test_every_operation_has_an_id_of_its_own(kube: Kube) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(kube)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("method", "path", "operation", "action"),
    [
        ("GET", "/api/v1/namespaces/{namespace}/pods", "listCoreV1NamespacedPod", "list"),
        ("GET", "/api/v1/pods", "listCoreV1PodForAllNamespaces", "list"),
        ("PUT", "/api/v1/nodes/{name}/status", "replaceCoreV1NodeStatus", "put"),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/{namespace}/deployments",
            "deleteAppsV1CollectionNamespacedDeployment",
            "deletecollection",
        ),
        (
            "POST",
            "/api/v1/namespaces/{namespace}/pods/{name}/exec",
            "connectCoreV1PostNamespacedPodExec",
            "connect",
        ),
        (
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}",
            "readRbacAuthorizationV1ClusterRole",
            "get",
        ),
    ],
)
def test_operations_are_called_as_in_kubernetes(
    kube: Kube, method: str, path: str, operation: str, action: str
) -> None:
    found = {(each[0], each[1]): each[2] for each in operations(kube)}[method, path]
    assert (found["operationId"], found["x-kubernetes-action"]) == (operation, action)


def test_every_operation_is_answered(three_nodes: Kube) -> None:
    for method, path, _ in operations(three_nodes):
        real = path.replace("{namespace}", "default").replace("{name}", "nothing")
        code = three_nodes.send(method, real, {}).status
        refused = three_nodes.refusal(method, real, {}) if code in (404, 405) else {}
        assert refused.get("message") != "the server could not find the requested resource", (method, path)
        assert code != 405, (method, path)


def test_all_that_discovery_tells_of_is_described(kube: Kube) -> None:
    said = {(method, path) for method, path, _ in operations(kube)}
    methods = {
        "create": "POST",
        "get": "GET",
        "list": "GET",
        "patch": "PATCH",
        "update": "PUT",
        "delete": "DELETE",
    }
    for name in documents(kube):
        for resource in kube.get(f"/{name}")["resources"]:
            plural, _, below = resource["name"].partition("/")
            base = f"/{name}/namespaces/{{namespace}}" if resource["namespaced"] else f"/{name}"
            for verb in set(resource["verbs"]) & set(methods):
                whole = verb in ("list", "create") and not below
                path = f"{base}/{plural}" if whole else f"{base}/{plural}/{{name}}"
                assert (methods[verb], f"{path}/{below}" if below else path) in said, resource


def test_writes_take_the_parameters_that_kubectl_looks_for(kube: Kube) -> None:
    found = {(method, path): operation for method, path, operation in operations(kube)}
    for method in ("POST", "PUT", "PATCH"):
        path = "/api/v1/namespaces/{namespace}/configmaps"
        operation = found[method, path if method == "POST" else f"{path}/{{name}}"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert {"dryRun", "fieldManager", "fieldValidation"} <= names
        assert ("force" in names) is (method == "PATCH")
        known = {"group": "", "kind": "ConfigMap", "version": "v1"}
        assert operation["x-kubernetes-group-version-kind"] == known


def test_patches_may_be_sent_in_four_forms(kube: Kube) -> None:
    document = kube.get("/openapi/v3/apis/apps/v1")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert set(patch["requestBody"]["content"]) == {
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    }


def test_types_say_how_their_lists_are_merged(kube: Kube) -> None:
    ports = schema(kube, "api/v1", "io.k8s.api.core.v1.Container")["properties"]["ports"]
    told = {key: value for key, value in ports.items() if key.startswith("x-")}
    assert told == {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
        "x-kubernetes-patch-merge-key": "containerPort",
        "x-kubernetes-patch-strategy": "merge",
    }
    finalizers = schema(kube, "api/v1", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")["properties"][
        "finalizers"
    ]
    assert (finalizers["x-kubernetes-list-type"], finalizers["x-kubernetes-patch-strategy"]) == (
        "set",
        "merge",
    )
    volumes = schema(kube, "api/v1", "io.k8s.api.core.v1.PodSpec")["properties"]["volumes"]
    assert volumes["x-kubernetes-patch-strategy"] == "merge,retainKeys"


def test_ephemeral_containers_are_merged_like_others(kube: Kube) -> None:
    others = schema(kube, "api/v1", "io.k8s.api.core.v1.Container")["properties"]
    ephemeral = schema(kube, "api/v1", "io.k8s.api.core.v1.EphemeralContainer")["properties"]
    assert ephemeral["env"] == others["env"]
    assert ephemeral["volumeMounts"] == others["volumeMounts"]


def test_bytes_are_a_list_to_server_side_apply(kube: Kube) -> None:
    spec = schema(
        kube,
        "apis/apiregistration.k8s.io/v1",
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec",
    )
    bundle = spec["properties"]["caBundle"]
    assert (bundle["format"], bundle["x-kubernetes-list-type"]) == ("byte", "atomic")


def test_types_say_what_is_required_chosen_and_filled_in(kube: Kube) -> None:
    port = schema(kube, "api/v1", "io.k8s.api.core.v1.ContainerPort")
    assert port["required"] == ["containerPort"]
    assert port["properties"]["containerPort"]["format"] == "int32"
    protocol = port["properties"]["protocol"]
    assert (protocol["enum"], protocol["default"]) == (["SCTP", "TCP", "UDP"], "TCP")
    modes = schema(kube, "apis/apps/v1", "io.k8s.api.core.v1.PersistentVolumeClaimSpec")["properties"][
        "accessModes"
    ]
    assert "ReadWriteOnce" in modes["items"]["enum"]
    assert "enum" not in modes
    spec = schema(kube, "apis/apps/v1", "io.k8s.api.apps.v1.Deployment")["properties"]["spec"]
    assert (spec["allOf"], spec["default"]) == (
        [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}],
        {},
    )


def test_kinds_say_which_they_are(kube: Kube) -> None:
    found = schema(kube, "apis/batch/v1", "io.k8s.api.batch.v1.JobList")
    known = [{"group": "batch", "kind": "JobList", "version": "v1"}]
    assert found["x-kubernetes-group-version-kind"] == known


@pytest.mark.parametrize("home", HOMES)
def test_every_type_and_every_field_is_explained(home: str) -> None:
    for struct in structs(home).values():
        assert struct.description, struct.name
        for field in struct.members:
            assert field.description or field.inline, f"{struct.name}.{field.name}"


def test_no_explanation_hints_at_where_it_is_read(kube: Kube) -> None:
    text = orjson.dumps(kube.get("/openapi/v2")).decode().lower()
    for word in ("simulat", "kubesim", "selfrep", "pytest", "fake", "mock", "emulat", "todo"):
        assert word not in text


def test_swagger_has_all_paths_and_types_in_one_document(kube: Kube) -> None:
    whole = kube.get("/openapi/v2")
    assert whole["swagger"] == "2.0"
    for document in documents(kube).values():
        assert set(document["paths"]) <= set(whole["paths"])
        assert set(document["components"]["schemas"]) <= set(whole["definitions"])
    body = whole["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"]["parameters"][0]
    assert (body["in"], body["schema"]) == ("body", {"$ref": "#/definitions/io.k8s.api.core.v1.Pod"})
    assert whole["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"
