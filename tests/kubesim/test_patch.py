"""Merge patch, JSON patch and strategic merge patch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kube_driver import Kube, deployment

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.apiserver.patch import merge
from pytest_selfrep.kubesim.apiserver.strategic import strategic
from pytest_selfrep.kubesim.schema import struct

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
PATH = "/apis/apps/v1/namespaces/default/deployments/web"
REFUSED = "the server rejected our request due to an error in our request"

json_values = st.recursive(
    st.one_of(st.booleans(), st.integers(0, 9), st.text("ab", max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
json_objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


@pytest.fixture
def web(kube: Kube) -> Kube:
    kube.create("/apis/apps/v1/namespaces/default/deployments", deployment("web", 1))
    return kube


def patch(kube: Kube, body: Any, content_type: str) -> Any:
    answer = kube.send("PATCH", PATH, body, content_type=content_type)
    assert answer.status == 200, answer.body
    return answer.body


def container(obj: dict[str, Any], index: int = 0) -> Any:
    return obj["spec"]["template"]["spec"]["containers"][index]


def test_a_merge_patch_sets_replaces_and_removes_with_null(web: Kube) -> None:
    patch(web, {"metadata": {"annotations": {"a": "1", "b": "2"}}}, MERGE)
    changed = patch(web, {"metadata": {"annotations": {"a": None, "b": "3"}}, "spec": {"replicas": 3}}, MERGE)
    assert "a" not in changed["metadata"]["annotations"]
    assert changed["metadata"]["annotations"]["b"] == "3"
    assert changed["spec"]["replicas"] == 3


def test_a_merge_patch_replaces_lists_as_a_whole(web: Kube) -> None:
    wanted = [{"name": "other", "image": "registry.acme.io/other:1"}]
    changed = patch(web, {"spec": {"template": {"spec": {"containers": wanted}}}}, MERGE)
    assert [each["name"] for each in changed["spec"]["template"]["spec"]["containers"]] == ["other"]


@given(json_objects, json_objects)
def test_after_a_merge_patch_everything_that_it_says_holds(
    target: dict[str, Any], wanted: dict[str, Any]
) -> None:
    merged = merge(target, wanted)
    assert merge(merged, wanted) == merged
    assert merge({}, merged) == merged
    assert all(key in merged for key in wanted)


def test_a_json_patch_adds_removes_replaces_moves_copies_and_tests(web: Kube) -> None:
    changed = patch(
        web,
        [
            {"op": "test", "path": "/spec/replicas", "value": 1},
            {"op": "replace", "path": "/spec/replicas", "value": 2},
            {"op": "add", "path": "/metadata/annotations", "value": {"acme.io/a": "1"}},
            {"op": "copy", "from": "/metadata/annotations/acme.io~1a", "path": "/metadata/annotations/b"},
            {"op": "move", "from": "/metadata/annotations/b", "path": "/metadata/annotations/c"},
            {"op": "remove", "path": "/metadata/annotations/acme.io~1a"},
            {
                "op": "add",
                "path": "/spec/template/spec/containers/-",
                "value": {"name": "side", "image": "registry.acme.io/side:1"},
            },
        ],
        JSON,
    )
    assert changed["spec"]["replicas"] == 2
    assert changed["metadata"]["annotations"] == {"c": "1"}
    assert container(changed, 1)["name"] == "side"


def test_a_json_patch_counts_from_the_end_and_tests_for_what_is_not_there(web: Kube) -> None:
    finalizers = "/metadata/finalizers"
    changed = patch(
        web,
        [
            {"op": "test", "path": "/spec/paused", "value": None},
            {"op": "add", "path": finalizers, "value": ["a.io/1", "a.io/2", "a.io/3"]},
            {"op": "add", "path": f"{finalizers}/-1", "value": "a.io/4"},
            {"op": "replace", "path": f"{finalizers}/-2", "value": "a.io/x"},
            {"op": "test", "path": f"{finalizers}/-1", "value": "a.io/4"},
            {"op": "remove", "path": f"{finalizers}/-4"},
        ],
        JSON,
    )
    assert changed["metadata"]["finalizers"] == ["a.io/2", "a.io/x", "a.io/4"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/nothing/at", "value": None},
        {"op": "remove", "path": "/spec/template/spec/containers/-2"},
        {"op": "test", "path": "/spec/replicas", "value": 9},
        {"op": "remove", "path": "/spec/nothing"},
        {"op": "replace", "path": "/spec/nothing", "value": 1},
        {"op": "add", "path": "/spec/template/spec/containers/7", "value": {}},
        {"op": "add", "path": "spec", "value": {}},
        {"op": "add", "path": "/spec/replicas/x", "value": 1},
        {"op": "frobnicate", "path": "/spec"},
        {"op": "remove", "path": ""},
        {"path": "/spec"},
        {"op": "remove"},
    ],
)
def test_a_json_patch_that_does_not_fit_is_unprocessable_and_changes_nothing(
    web: Kube, operation: Any
) -> None:
    before = web.get(PATH)
    answer = web.send(
        "PATCH", PATH, [{"op": "replace", "path": "/spec/replicas", "value": 5}, operation], None, JSON
    )
    assert (answer.status, answer.body["message"]) == (422, REFUSED)
    assert web.get(PATH) == before


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"op": "remove"}, "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (["remove"], "json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
    ],
)
def test_what_is_no_list_of_operations_cannot_be_decoded(web: Kube, sent: Any, why: str) -> None:
    answer = web.send("PATCH", PATH, sent, None, JSON)
    assert (answer.status, answer.body["message"]) == (400, f"error decoding patch: {why}")


def test_a_strategic_patch_changes_the_container_it_names_and_no_other_field(web: Kube) -> None:
    before = container(web.get(PATH))
    wanted = {"containers": [{"name": "web", "image": "registry.acme.io/web:2"}]}
    changed = patch(web, {"spec": {"template": {"spec": wanted}}}, STRATEGIC)
    assert container(changed) == {**before, "image": "registry.acme.io/web:2"}


def test_a_strategic_patch_puts_a_new_container_first_unless_told_where(web: Kube) -> None:
    side = {"name": "side", "image": "registry.acme.io/side:1"}
    changed = patch(web, {"spec": {"template": {"spec": {"containers": [side]}}}}, STRATEGIC)
    assert [container(changed, 0)["name"], container(changed, 1)["name"]] == ["side", "web"]
    order = [{"name": "web"}, {"name": "side"}]
    spec = {"$setElementOrder/containers": order, "containers": [{"name": "side", "tty": True}]}
    changed = patch(web, {"spec": {"template": {"spec": spec}}}, STRATEGIC)
    assert [container(changed, 0)["name"], container(changed, 1)["name"]] == ["web", "side"]


def test_a_strategic_patch_merges_environment_by_name(web: Kube) -> None:
    for env in ([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], [{"name": "A", "value": "3"}]):
        spec = {"containers": [{"name": "web", "env": env}]}
        changed = patch(web, {"spec": {"template": {"spec": spec}}}, STRATEGIC)
    found = {each["name"]: each["value"] for each in container(changed)["env"]}
    assert found == {"A": "3", "B": "2"}


def test_a_strategic_patch_deletes_from_lists_and_maps(web: Kube) -> None:
    side = {"name": "side", "image": "registry.acme.io/side:1"}
    patch(web, {"spec": {"template": {"spec": {"containers": [side]}}}}, STRATEGIC)
    gone = {"containers": [{"name": "side", "$patch": "delete"}]}
    changed = patch(web, {"spec": {"template": {"spec": gone}}}, STRATEGIC)
    assert [each["name"] for each in changed["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_a_strategic_patch_replaces_where_it_says_so_and_lists_without_a_key() -> None:
    target = {"spec": {"tolerations": [{"key": "a"}], "containers": [{"name": "a"}, {"name": "b"}]}}
    patch_ = {"spec": {"tolerations": [{"key": "b"}], "containers": [{"$patch": "replace"}, {"name": "c"}]}}
    patched = strategic(target, patch_, struct("core.v1.Pod"))
    assert patched == {"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "c"}]}}


def test_a_strategic_patch_retains_only_the_keys_it_lists() -> None:
    target = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    patched = strategic(
        target, {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}, struct("apps.v1.DeploymentSpec")
    )
    assert patched == {"strategy": {"type": "Recreate"}}


def test_finalizers_are_merged_and_taken_out_by_value() -> None:
    target = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic(target, {"metadata": {"finalizers": ["b", "c"]}}, struct("core.v1.Pod")) == {
        "metadata": {"finalizers": ["a", "b", "c"]}
    }
    patch_ = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic(target, patch_, struct("core.v1.Pod")) == {"metadata": {"finalizers": ["b"]}}


def test_ports_of_services_are_merged_by_port_and_those_of_containers_by_container_port() -> None:
    service = {"spec": {"ports": [{"port": 80, "name": "a"}]}}
    more = {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
    assert strategic(service, more, struct("core.v1.Service")) == {
        "spec": {"ports": [{"port": 80, "name": "a", "targetPort": 8080}]}
    }
    pod = {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}}
    patch_ = {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]}}
    assert strategic(pod, patch_, struct("core.v1.Pod")) == {
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]}
    }


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        (
            {"containers": [{"image": "a"}]},
            500,
            "map: map[image:a] does not contain declared merge key: name",
        ),
        (
            {"containers": [{"name": "web", "$patch": "x"}]},
            500,
            "unknown patch type: x in map: map[$patch:x name:web]",
        ),
        ({"$retainKeys": "x"}, 400, "invalid patch format of retainKeys"),
        ({"$retainKeys": ["a"], "hostname": "b"}, 400, "invalid patch format of retainKeys"),
        (
            {"$setElementOrder/containers": "x", "containers": [{"name": "web"}]},
            500,
            "expected a []interface {}, but received a string",
        ),
        (
            {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "web"}]},
            500,
            "The order in patch list:\n[map[name:web]]\n"
            " doesn't match $setElementOrder list:\n[map[name:b]]\n",
        ),
    ],
)
def test_a_strategic_patch_that_makes_no_sense_is_refused(
    web: Kube, change: Any, code: int, why: str
) -> None:
    body = {"spec": {"template": {"spec": change}}}
    answer = web.send("PATCH", PATH, body, content_type=STRATEGIC)
    assert (answer.status, answer.body["message"]) == (code, why)


def test_what_is_deleted_from_a_list_that_is_not_there_is_taken_for_the_list() -> None:
    patch_ = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic({"metadata": {}}, patch_, struct("core.v1.Pod")) == {"metadata": {"finalizers": ["a"]}}


@given(json_objects, json_objects)
def test_without_lists_of_objects_and_directives_a_strategic_patch_is_a_merge_patch(
    target: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert strategic(target, wanted, None) == merge(target, wanted)


@pytest.mark.parametrize("content_type", [MERGE, STRATEGIC])
@pytest.mark.parametrize(("body", "name"), [("x", "string"), ([], "array"), (7, "number")])
def test_a_patch_that_is_no_object_is_a_bad_request(
    web: Kube, content_type: str, body: Any, name: str
) -> None:
    answer = web.send("PATCH", PATH, body, content_type=content_type)
    assert answer.status == 400
    why = f"json: cannot unmarshal {name} into Go value of type map[string]interface {{}}"
    assert answer.body["message"] == (f"error decoding patch: {why}" if content_type == MERGE else why)


@pytest.mark.parametrize("content_type", [JSON, STRATEGIC])
def test_a_patch_of_null_changes_nothing(web: Kube, content_type: str) -> None:
    before = web.get(PATH)
    headers = {"authorization": f"Bearer {web.cluster.token_for()}", "content-type": content_type}
    answer = web.cluster.handle(Request("PATCH", PATH, {}, headers, b"null"))
    assert (answer.status, answer.body) == (200, before)


@pytest.mark.parametrize("patch", [{"kind": "Pod"}, {"apiVersion": "apps/v9"}])
def test_a_merge_patch_makes_nothing_of_another_kind(web: Kube, patch: Any) -> None:
    answer = web.send("PATCH", PATH, patch, content_type=MERGE)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"].startswith(' "" is invalid: patch: Invalid value: ')


def test_a_patch_that_leaves_no_name_is_refused(web: Kube) -> None:
    answer = web.send("PATCH", PATH, {"$patch": "delete"}, content_type=STRATEGIC)
    assert (answer.status, answer.body["message"]) == (
        400,
        "the name of the object (web based on URL) was undeterminable: name must be provided",
    )


def test_a_patch_of_another_media_type_is_refused(web: Kube) -> None:
    answer = web.send("PATCH", PATH, {}, content_type="application/json")
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")
    assert answer.body["message"] == "415: Unsupported Media Type"


def test_a_patch_with_a_stale_resource_version_is_a_conflict(web: Kube) -> None:
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 2}}
    answer = web.send("PATCH", PATH, stale, content_type=MERGE)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("content_type", "quoted", "why"),
    [
        (
            MERGE,
            '"{\\"kind\\":\\"Deployment\\"',
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (STRATEGIC, '"map[spec:map[replicas:many]]"', "unrecognized type: int32"),
    ],
)
def test_a_patch_to_a_wrong_type_is_refused(web: Kube, content_type: str, quoted: str, why: str) -> None:
    answer = web.send("PATCH", PATH, {"spec": {"replicas": "many"}}, content_type=content_type)
    assert answer.status == 422
    assert answer.body["message"].startswith(f' "" is invalid: patch: Invalid value: {quoted}')
    assert answer.body["message"].endswith(f": {why}")


def test_an_empty_patch_changes_nothing(web: Kube) -> None:
    before = web.get(PATH)
    assert patch(web, {}, MERGE) == before


def test_a_patch_cannot_rename(web: Kube) -> None:
    answer = web.send("PATCH", PATH, {"metadata": {"name": "other"}}, content_type=MERGE)
    assert answer.status == 400


def test_copies_within_a_json_patch_cannot_fill_the_memory(web: Kube) -> None:
    doubling = [{"op": "add", "path": "/x", "value": {"seed": "x" * 1000}}]
    doubling += [{"op": "copy", "from": "/x", "path": f"/x/{step}"} for step in range(64)]

    answer = web.send("PATCH", PATH, doubling, content_type=JSON)

    assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")
    assert answer.body["message"].startswith("Unable to copy, the accumulated size increase of copy is")


def test_a_json_patch_has_a_largest_number_of_operations(web: Kube) -> None:
    answer = web.send("PATCH", PATH, [{"op": "test", "path": "/kind", "value": "Deployment"}] * 10_001)
    assert answer.status == 415

    answer = web.send("PATCH", PATH, [{"op": "remove", "path": "/x"}] * 10_001, content_type=JSON)

    assert answer.status == 413
    assert answer.body["message"] == "The allowed maximum operations in a JSON patch is 10000, got 10001"


def test_patches_cannot_pile_up_a_depth_that_none_of_them_has(web: Kube) -> None:
    piling = [{"op": "add", "path": "/metadata/annotations", "value": {}}]
    piling += [
        {"op": "add", "path": "/metadata/annotations" + "/a" * level, "value": {}} for level in range(1, 300)
    ]

    answer = web.send("PATCH", PATH, piling, content_type=JSON)

    assert (answer.status, answer.body["message"]) == (400, "exceeded max depth")
