"""Custom resources: every verb, what a schema does to objects, and what the cluster makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from definitions import DEFINITIONS, NAME, SCALE, SHIRTS, definition, shirt, version
from kube_driver import Kube

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.kinds import BY_RESOURCE, KINDS

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
STRATEGIC = "application/strategic-merge-patch+json"


def define(kube: Kube, spec: Any = None, **said: Any) -> None:
    kube.create(DEFINITIONS, definition("shirts", "Shirt", version(spec=spec, **said), shortNames=["sh"]))


def messages(kube: Kube, spec: Any) -> dict[str, str]:
    answer = kube.refusal("POST", SHIRTS, {**shirt(), "spec": spec})
    assert answer["code"] == 422, answer
    return {each["field"]: each["message"] for each in answer["details"]["causes"]}


def test_they_are_created_read_changed_and_deleted(kube: Kube) -> None:
    define(kube)
    kube.create(SHIRTS, shirt())
    kube.merge(f"{SHIRTS}/red", {"spec": {"replicas": 2}})
    listed = kube.get(SHIRTS)
    assert (listed["kind"], listed["apiVersion"]) == ("ShirtList", "stable.acme.io/v1")
    assert [each["spec"] for each in listed["items"]] == [{"color": "red", "replicas": 2}]
    answer = kube.delete(f"{SHIRTS}/red")
    assert answer["details"]["group"] == "stable.acme.io"
    assert not kube.exists(f"{SHIRTS}/red")


def test_watches_see_them(kube: Kube) -> None:
    define(kube)
    stream = kube.send("GET", SHIRTS, query={"watch": "true"}).stream
    assert stream is not None
    kube.create(SHIRTS, shirt())
    kube.delete(f"{SHIRTS}/red")
    assert [each["type"] for each in stream.poll()] == ["ADDED", "DELETED"]


def test_strategic_merge_patches_are_not_for_them(kube: Kube) -> None:
    define(kube)
    kube.create(SHIRTS, shirt())
    answer = kube.send("PATCH", f"{SHIRTS}/red", {"spec": {}}, content_type=STRATEGIC)
    assert answer.status == 415
    assert answer.body["message"] == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )


def test_unknown_fields_are_dropped_told_of_or_refused(kube: Kube) -> None:
    define(kube)
    obj = {**shirt(), "spec": {"color": "red", "size": "xl"}}
    answer = kube.refusal("POST", SHIRTS, obj, {"fieldValidation": "Strict"})
    assert answer["message"] == (
        'Shirt in version "v1" cannot be handled as a Shirt: strict decoding error: unknown field "spec.size"'
    )
    sent = kube.send("POST", SHIRTS, obj)
    assert list(sent.warnings) == ['unknown field "spec.size"']
    assert kube.get(f"{SHIRTS}/red")["spec"] == {"color": "red"}


def test_unknown_fields_are_kept_where_the_schema_says_so(kube: Kube) -> None:
    define(kube, {"extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}})
    made = kube.create(SHIRTS, shirt(extra={"a": {"b": [1]}}))
    assert made["spec"] == {"extra": {"a": {"b": [1]}}}


def test_defaults_are_filled_in(kube: Kube) -> None:
    item = {"type": "object", "properties": {"size": {"type": "string", "default": "m"}}}
    color = {"type": "string", "default": "white"}
    define(kube, {"color": color, "parts": {"type": "array", "items": item}})
    made = kube.create(SHIRTS, {**shirt(), "spec": {"color": None, "parts": [{}, {"size": "l"}]}})
    assert made["spec"] == {"color": "white", "parts": [{"size": "m"}, {"size": "l"}]}


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, 5, 'Invalid value: "integer": spec.x in body must be of type string: "integer"'),
        ({"type": "string", "enum": ["a", "b"]}, "c", 'Unsupported value: "c": supported values: "a", "b"'),
        ({"type": "string", "pattern": "^a$"}, "b",
         "Invalid value: \"b\": spec.x in body should match '^a$'"),
        ({"type": "string", "maxLength": 1}, "ab", "Too long: may not be more than 1 bytes"),
        ({"type": "string", "minLength": 2}, "a",
         'Invalid value: "a": spec.x in body should be at least 2 chars long'),
        ({"type": "string", "format": "ipv4"}, "y",
         'Invalid value: "y": spec.x in body must be of type ipv4: "y"'),
        ({"type": "integer", "minimum": 1}, 0,
         "Invalid value: 0: spec.x in body should be greater than or equal to 1"),
        ({"type": "integer", "maximum": 9, "exclusiveMaximum": True}, 9,
         "Invalid value: 9: spec.x in body should be less than 9"),
        ({"type": "number", "multipleOf": 0.5}, 0.7,
         "Invalid value: 0.7: spec.x in body should be a multiple of 0.5"),
        ({"type": "integer", "multipleOf": 0}, 3,
         "Invalid value: 3: spec.x in body factor MultipleOf declared for spec.x must be positive: 0"),
        ({"type": "number", "multipleOf": 0.1}, 1e70,
         "Invalid value: 1e+70: spec.x in body should be a multiple of 0.1"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"],
         "Too many: 2: must have at most 1 items"),
        ({"x-kubernetes-int-or-string": True}, 1.5,
         'Invalid value: "number": spec.x in body must be of type integer,string: "number"'),
    ],
)  # fmt: skip
def test_values_must_be_what_the_schema_says(kube: Kube, schema: Any, value: Any, message: str) -> None:
    define(kube, {"x": schema})
    assert messages(kube, {"x": value}) == {"spec.x": message}


def test_items_of_sets_and_maps_are_there_once(kube: Kube) -> None:
    define(kube, {"x": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}})
    assert messages(kube, {"x": ["a", "a"]}) == {"spec.x[1]": 'Duplicate value: "a"'}


def test_generation_counts_what_is_wanted_alone(kube: Kube) -> None:
    define(kube, subresources={"status": {}})
    kube.create(SHIRTS, {**shirt(), "status": {"ready": True}})
    assert "status" not in kube.get(f"{SHIRTS}/red")
    kube.merge(f"{SHIRTS}/red/status", {"status": {"ready": True}, "spec": {"color": "blue"}})
    read = kube.get(f"{SHIRTS}/red")
    assert (read["status"], read["spec"]["color"], read["metadata"]["generation"]) == (
        {"ready": True},
        "red",
        1,
    )
    kube.merge(f"{SHIRTS}/red", {"spec": {"color": "blue"}, "metadata": {"labels": {"a": "b"}}})
    assert kube.get(f"{SHIRTS}/red")["metadata"]["generation"] == 2


def test_the_scale_is_where_the_definition_says(kube: Kube) -> None:
    define(kube, subresources={"status": {}, "scale": SCALE})
    kube.create(SHIRTS, shirt(replicas=2))
    kube.merge(f"{SHIRTS}/red/scale", {"spec": {"replicas": 5}})
    kube.merge(f"{SHIRTS}/red/status", {"status": {"replicas": 4, "selector": "app=red"}})
    scale = kube.get(f"{SHIRTS}/red/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 5}, {"replicas": 4, "selector": "app=red"})
    assert kube.get(f"{SHIRTS}/red")["spec"]["replicas"] == 5


def test_tables_have_the_columns_of_the_definition(kube: Kube) -> None:
    columns = [
        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
        {"name": "Count", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
    ]
    define(kube, additionalPrinterColumns=columns)
    kube.create(SHIRTS, shirt())
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "accept": TABLE}
    table = kube.cluster.handle(Request("GET", SHIRTS, {}, headers)).body
    heads = [(each["name"], each["priority"]) for each in table["columnDefinitions"]]
    assert heads == [("Name", 0), ("Color", 0), ("Count", 1)]
    assert table["rows"][0]["cells"] == ["red", "red", None]


def test_fields_that_are_selectable_select(kube: Kube) -> None:
    define(kube, selectableFields=[{"jsonPath": ".spec.color"}])
    kube.create(SHIRTS, shirt())
    kube.create(SHIRTS, shirt("blue", color="blue"))
    found = kube.get(SHIRTS, fieldSelector="spec.color=blue")["items"]
    assert [each["metadata"]["name"] for each in found] == ["blue"]
    answer = kube.refusal("GET", SHIRTS, query={"fieldSelector": "spec.replicas=1"})
    assert answer["message"].endswith("field label not supported: spec.replicas")


def test_what_they_own_goes_with_them(kube: Kube) -> None:
    define(kube)
    owner = kube.create(SHIRTS, shirt())
    reference = {
        "apiVersion": "stable.acme.io/v1",
        "kind": "Shirt",
        "name": "red",
        "uid": owner["metadata"]["uid"],
    }
    maps = "/api/v1/namespaces/default/configmaps"
    kube.create(maps, {"metadata": {"name": "label", "ownerReferences": [reference]}})
    assert kube.exists(f"{maps}/label")
    kube.delete(f"{SHIRTS}/red")
    assert not kube.exists(f"{maps}/label")


def test_namespaces_empty_themselves_of_them(kube: Kube) -> None:
    define(kube)
    kube.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    kube.create(SHIRTS.replace("default", "shop"), shirt())
    kube.delete("/api/v1/namespaces/shop")
    kube.advance(5)
    assert not kube.exists("/api/v1/namespaces/shop")
    assert kube.get("/apis/stable.acme.io/v1/shirts")["items"] == []


def test_quotas_count_them(kube: Kube) -> None:
    define(kube)
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {f"count/{NAME}": "1"}}}
    kube.create("/api/v1/namespaces/default/resourcequotas", quota)
    kube.create(SHIRTS, shirt())
    answer = kube.refusal("POST", SHIRTS, shirt("blue"))
    assert answer["message"] == (
        f'{NAME} "blue" is forbidden: exceeded quota: few, '
        f"requested: count/{NAME}=1, used: count/{NAME}=1, limited: count/{NAME}=1"
    )
    kube.delete(f"{SHIRTS}/red")
    kube.create(SHIRTS, shirt("blue"))


def test_kinds_of_the_cluster_itself_cost_nothing_more_without_definitions(kube: Kube) -> None:
    kinds = kube.cluster.store.kinds
    assert kinds.stored is KINDS
    assert kinds.of_resource("", "v1", "pods") is BY_RESOURCE["", "v1", "pods"]
