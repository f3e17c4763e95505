"""Server-side apply: what is made, merged, taken back, and refused because others own it."""

from __future__ import annotations

from typing import Any

import pytest
from applying import (
    CONFIG_MAPS,
    MERGE,
    WEB,
    apply,
    ask,
    config_map,
    containers,
    entries,
    owned,
    refusal,
    try_apply,
    workload,
)
from kube_driver import Kube, deployment, pod

C1 = f"{CONFIG_MAPS}/c1"


@pytest.fixture
def web(kube: Kube) -> Kube:
    """A Deployment that the manager ``one`` has applied."""
    apply(kube, WEB, {**deployment("web", 0), "apiVersion": "apps/v1"})
    return kube


def image_of(obj: Any, name: str = "web") -> str:
    items = obj["spec"]["template"]["spec"]["containers"]
    return str(next(each["image"] for each in items if each["name"] == name))


def test_what_is_not_there_is_made(kube: Kube) -> None:
    made = try_apply(kube, C1, config_map("c1", {"a": "1"}))
    assert (made.status, made.body["data"]) == (201, {"a": "1"})
    assert try_apply(kube, C1, config_map("c1", {"a": "2"})).status == 200
    assert kube.get(C1)["data"] == {"a": "2"}


@pytest.mark.parametrize(
    "text",
    [
        b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: c1}\ndata:\n  a: 'b'\n",
        b"{kind: 'ConfigMap', apiVersion: v1, metadata: {'name': c1}, data: {a: b}}",
        b'{"kind":"ConfigMap", "apiVersion":"v1", "metadata":{"name":"c1"},\n\t"data": {"a": "", "a": "b"}}',
    ],
    ids=["blocks", "one line", "JSON with tabs"],
)
def test_yaml_is_read(kube: Kube, text: bytes) -> None:
    answer = ask(kube, "PATCH", C1, text, "application/apply-patch+yaml", fieldManager="one")
    assert answer.status == 201
    assert answer.body["data"] == {"a": "b"}


def test_managers_add_to_what_others_applied(kube: Kube) -> None:
    apply(kube, C1, config_map("c1", {"a": "1"}), "one")
    assert apply(kube, C1, config_map("c1", {"b": "2"}), "two")["data"] == {"a": "1", "b": "2"}
    assert owned(kube, C1) == {
        ("one", "Apply"): {"f:data": {"f:a": {}}},
        ("two", "Apply"): {"f:data": {"f:b": {}}},
    }


def test_a_field_that_is_no_longer_applied_goes(kube: Kube) -> None:
    apply(kube, C1, config_map("c1", {"a": "1", "b": "2"}, labels={"tier": "x"}))
    changed = apply(kube, C1, config_map("c1", {"a": "1"}))
    assert changed["data"] == {"a": "1"}
    assert "labels" not in changed["metadata"]


def test_a_field_that_two_managers_apply_stays_until_both_have_dropped_it(kube: Kube) -> None:
    both = config_map("c1", {"a": "1", "shared": "x"})
    apply(kube, C1, both, "one")
    apply(kube, C1, both, "two")
    assert apply(kube, C1, config_map("c1", {"a": "1"}), "one")["data"] == {"a": "1", "shared": "x"}
    assert apply(kube, C1, config_map("c1", {"a": "1"}), "two")["data"] == {"a": "1"}


def test_a_field_that_was_updated_since_stays_when_its_applier_drops_it(kube: Kube) -> None:
    apply(kube, C1, config_map("c1", {"a": "1", "b": "2"}))
    ask(kube, "PATCH", C1, {"data": {"b": "3"}}, MERGE, fieldManager="hand")
    assert apply(kube, C1, config_map("c1", {"a": "1"}))["data"] == {"a": "1", "b": "3"}


def test_applying_the_same_again_writes_nothing(web: Kube) -> None:
    before = web.get(WEB)["metadata"]["resourceVersion"]
    apply(web, WEB, {**deployment("web", 0), "apiVersion": "apps/v1"})
    assert web.get(WEB)["metadata"]["resourceVersion"] == before


def test_a_second_owner_of_equal_values_is_written_down(kube: Kube) -> None:
    apply(kube, C1, config_map("c1", {"a": "1"}), "one")
    before = kube.get(C1)["metadata"]["resourceVersion"]
    after = apply(kube, C1, config_map("c1", {"a": "1"}), "two")
    assert after["metadata"]["resourceVersion"] != before
    assert set(owned(kube, C1)) == {("one", "Apply"), ("two", "Apply")}


def test_one_conflict_names_the_manager_and_the_field(kube: Kube) -> None:
    apply(kube, C1, config_map("c1", {"a": "1"}), "one")
    answer = try_apply(kube, C1, config_map("c1", {"a": "2"}), "two")
    assert answer.status == 409
    assert answer.body["reason"] == "Conflict"
    assert answer.body["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert answer.body["details"] == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}]
    }


def test_managers_that_update_are_named_with_their_version(kube: Kube) -> None:
    made = {**deployment("web", 1), "apiVersion": "apps/v1"}
    ask(kube, "POST", WEB.removesuffix("/web"), made, fieldManager="kubectl-client-side-apply")
    status, message = refusal(kube, WEB, workload(replicas=3))
    why = 'conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    assert (status, message) == (409, f"Apply failed with 1 conflict: {why}")


def test_several_conflicts_are_listed_by_manager(web: Kube) -> None:
    apply(web, WEB, {**workload(), "metadata": {"name": "web", "labels": {"app": "web", "x": "1"}}}, "two")
    wanted = containers({"name": "web", "image": "registry.acme.io/web:2"})
    wanted["metadata"]["labels"] = {"app": "other", "x": "2"}
    status, message = refusal(web, WEB, wanted, "three")
    assert status == 409
    assert message == (
        'Apply failed with 4 conflicts: conflicts with "one":\n'
        "- .metadata.labels.app\n"
        '- .spec.template.spec.containers[name="web"].image\n'
        'conflicts with "two":\n'
        "- .metadata.labels.app\n"
        "- .metadata.labels.x"
    )


def test_force_takes_over_what_others_own(web: Kube) -> None:
    wanted = containers({"name": "web", "image": "registry.acme.io/web:2"})
    assert image_of(apply(web, WEB, wanted, "two", force="true")) == "registry.acme.io/web:2"
    fields = owned(web, WEB)["one", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert fields == {'k:{"name":"web"}': {".": {}, "f:name": {}}}
    assert refusal(web, WEB, {**deployment("web", 0), "apiVersion": "apps/v1"})[0] == 409


def test_defaults_belong_to_nobody_who_applied(web: Kube) -> None:
    assert web.get(WEB)["spec"]["revisionHistoryLimit"] == 10
    assert "f:revisionHistoryLimit" not in owned(web, WEB)["one", "Apply"]["f:spec"]
    assert apply(web, WEB, workload(revisionHistoryLimit=3), "two")["spec"]["revisionHistoryLimit"] == 3
    assert apply(web, WEB, workload(), "two")["spec"]["revisionHistoryLimit"] == 10


def test_null_unsets_a_field(web: Kube) -> None:
    apply(web, WEB, workload(paused=True), "two")
    assert "paused" not in apply(web, WEB, workload(paused=None), "two")["spec"]


def test_items_of_a_list_are_known_by_their_keys_and_what_stands_for_them(web: Kube) -> None:
    plain = containers({"name": "web", "ports": [{"containerPort": 80, "name": "http"}]})
    apply(web, WEB, plain, "two")
    same = containers({"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}]})
    apply(web, WEB, same, "three")
    udp = containers({"name": "web", "ports": [{"containerPort": 80, "protocol": "UDP"}]})
    ports = apply(web, WEB, udp, "four")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports == [
        {"containerPort": 80, "name": "http", "protocol": "TCP"},
        {"containerPort": 80, "protocol": "UDP"},
    ]
    fields = owned(web, WEB)["two", "Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert fields['k:{"name":"web"}']["f:ports"] == {
        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:name": {}}
    }


def test_a_new_item_takes_its_place_from_the_configuration(web: Kube) -> None:
    side, image = {"name": "side", "image": "registry.acme.io/side:1"}, "registry.acme.io/web:1.4"

    def names(obj: Any) -> list[str]:
        return [each["name"] for each in obj["spec"]["template"]["spec"]["containers"]]

    assert names(apply(web, WEB, containers(side), "two")) == ["web", "side"]
    front = containers({"name": "front", "image": "registry.acme.io/side:1"}, {"name": "web", "image": image})
    assert names(apply(web, WEB, front, "three")) == ["front", "web", "side"]
    assert names(apply(web, WEB, containers(), "two")) == ["front", "web"]


def test_sets_are_added_to_and_atomic_lists_are_replaced(web: Kube) -> None:
    def finalizers(*names: str) -> Any:
        meta = {"name": "web", "finalizers": list(names)}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}

    apply(web, WEB, finalizers("acme.io/a"), "two")
    merged = apply(web, WEB, finalizers("acme.io/b"), "three")
    assert merged["metadata"]["finalizers"] == ["acme.io/a", "acme.io/b"]
    assert owned(web, WEB)["two", "Apply"] == {"f:metadata": {"f:finalizers": {'v:"acme.io/a"': {}}}}
    apply(web, WEB, containers({"name": "web", "args": ["-v"]}), "four")
    wanted = containers({"name": "web", "args": ["-q", "-x"]})
    status, message = refusal(web, WEB, wanted, "five")
    assert status == 409
    assert message.endswith('.spec.template.spec.containers[name="web"].args')


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        (workload(foo=1), ".spec.foo: field not declared in schema"),
        (
            workload(replicas="x"),
            ".spec.replicas: expected numeric (int or float), got *value.valueUnstructured",
        ),
        (workload(paused="x"), ".spec.paused: expected boolean, got &{x}"),
        (workload(template="x"), ".spec.template: expected map, got &{x}"),
        (
            workload(template={"spec": {"containers": {"a": 1}}}),
            ".spec.template.spec.containers: expected list, got &{map[a:1]}",
        ),
        (
            containers({"name": "web", "image": 7}),
            '.spec.template.spec.containers[name="web"].image: '
            "expected string, got &value.valueUnstructured{Value:7}",
        ),
        (
            containers({"name": "a"}, {"name": "a"}),
            '.spec.template.spec.containers: duplicate entries for key [name="a"]',
        ),
        (
            containers({"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 80, "name": "h"}]}),
            '.spec.template.spec.containers[name="a"].ports: '
            'duplicate entries for key [containerPort=80,protocol="TCP"]',
        ),
        (
            {**workload(), "metadata": {"name": "web", "finalizers": ["a/b", "a/b"]}},
            '.metadata.finalizers: duplicate entries for key [="a/b"]',
        ),
        (
            workload(foo=1) | {"status": {"bar": 1}},
            "errors:\n  .spec.foo: field not declared in schema\n  .status.bar: field not declared in schema",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_its_type_is_refused(
    web: Kube, configuration: Any, why: str
) -> None:
    status, message = refusal(web, WEB, configuration)
    assert status == 500
    assert message == f"failed to create typed patch object (/web; apps/v1, Kind=Deployment): {why}"


@pytest.mark.parametrize(
    ("configuration", "status", "message"),
    [
        (config_map("c1", {}, managedFields=[]), 400, "metadata.managedFields must be nil"),
        (
            config_map("y", {}),
            400,
            "the name of the object (y) does not match the name on the URL (c1)",
        ),
        (
            config_map("c1", {}, uid="123"),
            409,
            'Operation cannot be fulfilled on configmaps "c1": uid mismatch: '
            "the provided object specified uid 123, and no existing object was found",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap"},
            400,
            "the name of the object (c1 based on URL) was undeterminable: name must be provided",
        ),
        (
            {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "c1"}},
            400,
            "invalid object type: /v2, Kind=ConfigMap, expected: /v1, Kind=ConfigMap",
        ),
        (
            [1],
            400,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array "
            "into Go value of type map[string]interface {}",
        ),
    ],
)
def test_a_configuration_of_something_else_is_refused(
    kube: Kube, configuration: Any, status: int, message: str
) -> None:
    assert refusal(kube, C1, configuration) == (status, message)
    assert not kube.exists(C1)


def test_the_state_that_a_configuration_was_made_for_must_be_the_present_one(kube: Kube) -> None:
    made = apply(kube, C1, config_map("c1", {"a": "1"}, resourceVersion="1"))
    seen = made["metadata"]["resourceVersion"]
    apply(kube, C1, config_map("c1", {"a": "2"}, resourceVersion=seen))
    status, message = refusal(kube, C1, config_map("c1", {"a": "3"}, resourceVersion=seen))
    assert status == 409
    assert message.startswith(
        'Operation cannot be fulfilled on configmaps "c1": the object has been modified'
    )
    status, message = refusal(kube, C1, config_map("c1", {"a": "3"}, uid="123"))
    assert status == 422
    assert message == 'ConfigMap "c1" is invalid: metadata.uid: Invalid value: "123": field is immutable'


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({}, "fieldManager: Required value: is required for apply patch"),
        ({"fieldManager": "a" * 129}, "fieldManager: Too long: may not be more than 128 bytes"),
        (
            {"fieldManager": "a\x01b"},
            'fieldManager: Invalid value: "a\\x01b": invalid character U+0001 (at position 1)',
        ),
    ],
)
def test_the_manager_must_have_a_good_name(kube: Kube, query: dict[str, str], why: str) -> None:
    body = config_map("c1", {})
    answer = ask(kube, "PATCH", C1, body, "application/apply-patch+yaml", **query)
    assert answer.status == 422
    assert answer.body["message"] == f'PatchOptions.meta.k8s.io "" is invalid: {why}'


def test_only_apply_can_be_forced(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("c1", {}))
    answer = ask(kube, "PATCH", C1, {"data": {}}, MERGE, force="true")
    why = "force: Forbidden: may not be specified for non-apply patch"
    assert (answer.status, answer.body["message"]) == (
        422,
        f'PatchOptions.meta.k8s.io "" is invalid: {why}',
    )


def test_cbor_is_not_read(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("c1", {}))
    assert ask(kube, "PATCH", C1, {}, "application/apply-patch+cbor", fieldManager="one").status == 415


def test_a_dry_run_shows_what_would_be_and_stores_nothing(kube: Kube) -> None:
    shown = apply(kube, C1, config_map("c1", {"a": "1"}), dryRun="All")
    assert shown["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {"f:a": {}}}
    assert not kube.exists(C1)
    apply(kube, C1, config_map("c1", {"a": "1"}))
    before = kube.get(C1)
    shown = apply(kube, C1, config_map("c1", {"b": "1"}), dryRun="All")
    assert shown["data"] == {"b": "1"}
    assert shown["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {"f:b": {}}}
    assert kube.get(C1) == before
    assert owned(kube, C1) == {("one", "Apply"): {"f:data": {"f:a": {}}}}


def test_the_status_has_owners_of_its_own(web: Kube) -> None:
    condition = {"type": "Acme", "status": "True"}
    wanted = {**workload(paused=True), "status": {"conditions": [condition]}}
    changed = apply(web, f"{WEB}/status", wanted, "two")
    assert condition in changed["status"]["conditions"]
    assert "paused" not in changed["spec"]
    entry = entries(web, WEB)["two", "Apply"]
    assert entry["subresource"] == "status"
    key = 'k:{"type":"Acme"}'
    assert entry["fieldsV1"] == {"f:status": {"f:conditions": {key: {".": {}, "f:status": {}, "f:type": {}}}}}
    wanted["status"]["conditions"] = [{**condition, "status": "False"}]
    status, message = refusal(web, f"{WEB}/status", wanted, "three")
    assert (status, 'conflict with "two" with subresource "status": ' in message) == (409, True)


def test_the_replicas_are_applied_through_the_scale(web: Kube) -> None:
    def scale(replicas: int) -> Any:
        meta = {"name": "web"}
        return {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": meta,
            "spec": {"replicas": replicas},
        }

    status, message = refusal(web, f"{WEB}/scale", scale(2), "scaler")
    assert (status, message) == (409, 'Apply failed with 1 conflict: conflict with "one": .spec.replicas')
    changed = apply(web, f"{WEB}/scale", scale(2), "scaler", force="true")
    assert (changed["kind"], changed["spec"]) == ("Scale", {"replicas": 2})
    assert "managedFields" not in changed["metadata"]
    entry = entries(web, WEB)["scaler", "Apply"]
    assert (entry["subresource"], entry["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})
    assert "f:replicas" not in owned(web, WEB)["one", "Apply"]["f:spec"]


def test_what_was_there_before_anybody_was_counted_has_a_manager_too(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("c1", {"a": "1"}))
    ask(kube, "PATCH", C1, {"metadata": {"managedFields": [{}]}}, MERGE)
    assert owned(kube, C1) == {}
    apply(kube, C1, config_map("c1", {"b": "2"}))
    assert owned(kube, C1)["before-first-apply", "Update"] == {"f:data": {".": {}, "f:a": {}}}


def test_kubectl_inherits_what_it_applied_on_the_clients_side(kube: Kube) -> None:
    applied = config_map("c1", {"a": "1"})
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c1"},"data":{"a":"1"}}'
    note = {"kubectl.kubernetes.io/last-applied-configuration": text}
    made = {**applied, "metadata": {"name": "c1", "annotations": note}, "data": {"a": "1", "b": "2"}}
    ask(kube, "POST", CONFIG_MAPS, made, fieldManager="kubectl-client-side-apply")
    assert refusal(kube, C1, config_map("c1", {"a": "2"}), "other")[0] == 409
    assert refusal(kube, C1, config_map("c1", {"a": "2", "b": "3"}), "kubectl")[1] == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.b'
    )
    changed = apply(kube, C1, config_map("c1", {"a": "2"}), "kubectl")
    assert changed["data"] == {"a": "2", "b": "2"}
    noted = changed["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert noted == '{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"c1"}}\n'


def test_who_may_not_create_cannot_make_objects_by_applying(kube: Kube) -> None:
    role = {
        "metadata": {"name": "patcher"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}],
    }
    kube.create("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", role)
    binding = {
        "metadata": {"name": "patcher"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patcher"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    }
    kube.create("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding)
    bob = Kube(kube.cluster, kube.cluster.token_for("bob"))
    answer = bob.send(
        "PATCH", C1, config_map("c1", {}), {"fieldManager": "bob"}, "application/apply-patch+yaml"
    )
    assert (answer.status, answer.body["message"]) == (
        403,
        'configmaps "c1" is forbidden: User "bob" cannot create resource "configmaps" in API group "" '
        'in the namespace "default"',
    )


def test_pods_are_applied_and_their_spec_stays_as_it_is(kube: Kube) -> None:
    path = "/api/v1/namespaces/default/pods/p"
    apply(kube, path, pod("p"))
    changed = apply(kube, path, {**pod("p"), "metadata": {"name": "p", "labels": {"tier": "x"}}})
    assert changed["metadata"]["labels"] == {"tier": "x"}
    status, message = refusal(kube, path, pod("p", hostNetwork=True))
    assert (status, "Forbidden: pod updates may not change fields" in message) == (422, True)
