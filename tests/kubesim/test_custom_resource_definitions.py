"""CustomResourceDefinitions: what is filled in, refused, accepted, and what becomes of their objects."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from definitions import DEFINITIONS, NAME, SHIRTS, definition, shirt, version
from kube_driver import Kube

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def stored(kube: Kube, name: str = NAME) -> Any:
    return deepcopy(kube.get(f"{DEFINITIONS}/{name}"))


def conditions(kube: Kube, name: str = NAME) -> list[tuple[str, str, str, str]]:
    return [
        (each["type"], each["status"], each["reason"], each["message"])
        for each in stored(kube, name)["status"]["conditions"]
    ]


def refused(kube: Kube, obj: Any) -> dict[str, str]:
    """Field to message of everything that is wrong."""
    answer = kube.refusal("POST", DEFINITIONS, obj)
    assert answer["code"] == 422, answer
    return {each["field"]: each["message"] for each in answer["details"]["causes"]}


def with_schema(schema: Any) -> Any:
    return definition("shirts", "Shirt", {**version(), "schema": {"openAPIV3Schema": schema}})


def test_names_and_conversion_are_filled_in(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition())
    spec = stored(kube)["spec"]
    assert spec["names"] == {
        "plural": "shirts",
        "kind": "Shirt",
        "singular": "shirt",
        "listKind": "ShirtList",
    }
    assert spec["conversion"] == {"strategy": "None"}


def test_a_definition_is_established_once_its_names_are_accepted(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition(shortNames=["sh"], categories=["all"]))
    assert conditions(kube) == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    status = stored(kube)["status"]
    assert status["acceptedNames"] == {
        "categories": ["all"],
        "kind": "Shirt",
        "listKind": "ShirtList",
        "plural": "shirts",
        "shortNames": ["sh"],
        "singular": "shirt",
    }
    assert status["storedVersions"] == ["v1"]


def test_names_that_are_taken_are_not_accepted_until_they_are_free(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition())
    kube.create(DEFINITIONS, definition("skirts", "Shirt", singular="skirt", listKind="SkirtList"))
    assert conditions(kube, "skirts.stable.acme.io") == [
        ("NamesAccepted", "False", "KindConflict", '"Shirt" is already in use'),
        ("Established", "False", "NotAccepted", "not all names are accepted"),
    ]
    assert not kube.exists(SHIRTS.replace("shirts", "skirts"))
    kube.delete(f"{DEFINITIONS}/{NAME}")
    assert kube.exists(SHIRTS.replace("shirts", "skirts"))


def test_equal_short_names_in_a_group_are_a_conflict(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition(shortNames=["sh"]))
    kube.create(DEFINITIONS, definition("skirts", "Skirt", shortNames=["sh"]))
    taken = ("NamesAccepted", "False", "ShortNamesConflict", '"sh" is already in use')
    assert conditions(kube, "skirts.stable.acme.io")[0] == taken


def test_what_is_missing_is_named(kube: Kube) -> None:
    causes = refused(kube, {**definition(), "metadata": {"name": "x"}, "spec": {}})
    assert causes["metadata.name"] == 'Invalid value: "x": must be spec.names.plural+"."+spec.group'
    for field in ("group", "scope", "names.plural", "names.singular", "names.kind", "names.listKind"):
        assert causes[f"spec.{field}"] == "Required value"
    none = "Invalid value: []apiextensions.CustomResourceDefinitionVersion(nil)"
    assert causes["spec.versions"] == f"{none}: must have exactly one version marked as storage version"
    assert causes["status.storedVersions"] == (
        "Invalid value: []string(nil): must have at least one stored version"
    )


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({}, ".type", "Required value: must not be empty at the root"),
        ({"type": "object", "properties": {"a": {}}}, ".properties[a].type",
         "Required value: must not be empty for specified object fields"),
        ({"type": "object", "properties": {"a": {"type": "foo"}}}, ".properties[a].type",
         'Unsupported value: "foo": supported values: '
         '"array", "boolean", "integer", "number", "object", "string"'),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, ".properties[a].items",
         "Required value: must be specified"),
        ({"type": "object", "properties": {"a": {"$ref": "x", "type": "object"}}}, ".properties[a].$ref",
         "Forbidden: $ref is not supported"),
        ({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True,
                                                 "items": {"type": "string"}}}},
         ".properties[a].uniqueItems",
         "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"),
        ({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"},
                                                 "properties": {"b": {"type": "string"}}}}},
         ".properties[a].additionalProperties",
         "Forbidden: additionalProperties and properties are mutual exclusive"),
        ({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map",
                                                 "items": {"type": "object"}}}},
         ".properties[a].x-kubernetes-list-map-keys",
         "Required value: must not be empty if x-kubernetes-list-type is map"),
        ({"type": "object", "properties": {"a": {"type": "string", "default": 5}}}, ".properties[a].default",
         'Invalid value: "integer": default in body must be of type string: "integer"'),
        ({"type": "object", "anyOf": [{"properties": {"z": {"minimum": 1}}}]}, ".properties[z]",
         "Required value: because it is defined in "
         "spec.validation.openAPIV3Schema.anyOf[0].properties[z]"),
    ],
)  # fmt: skip
def test_schemas_that_are_not_structural_are_refused(
    kube: Kube, schema: Any, field: str, message: str
) -> None:
    assert refused(kube, with_schema(schema))[f"spec.validation.openAPIV3Schema{field}"] == message


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"items": {"minimum": [1]}},
         "json: cannot unmarshal array into Go struct field JSONSchemaProps.minimum of type float64"),
        ({"items": [{"minimum": "1"}]},
         "json: cannot unmarshal string into Go struct field JSONSchemaProps.minimum of type float64"),
        ({"additionalProperties": {"items": {"pattern": 1}}},
         "json: cannot unmarshal number into Go struct field JSONSchemaProps.pattern of type string"),
        ({"additionalProperties": 7}, "boolean or JSON schema expected"),
    ],
)  # fmt: skip
def test_schemas_within_schemas_are_read_too(kube: Kube, schema: Any, why: str) -> None:
    shirts = definition("shirts", "Shirt", version(spec={"x": schema}))
    answer = kube.refusal("POST", DEFINITIONS, shirts)
    about = 'CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition: '
    assert (answer["code"], answer["message"]) == (400, about + why)


def test_columns_and_scale_must_be_paths(kube: Kube) -> None:
    columns = [{"name": "", "type": "foo", "jsonPath": "spec"}]
    scale = {"specReplicasPath": ".foo", "statusReplicasPath": "status.x"}
    said = version(additionalPrinterColumns=columns, subresources={"scale": scale})
    assert refused(kube, definition("shirts", "Shirt", said)) == {
        "spec.subresources.scale.specReplicasPath": (
            'Invalid value: ".foo": should be a json path under .spec'
        ),
        "spec.subresources.scale.statusReplicasPath": (
            'Invalid value: "status.x": must be a simple json path starting with .'
        ),
        "spec.additionalPrinterColumns[0].name": "Required value",
        "spec.additionalPrinterColumns[0].type": (
            'Invalid value: "foo": must be one of boolean,date,integer,number,string'
        ),
        "spec.additionalPrinterColumns[0].jsonPath": (
            'Invalid value: "spec": must be a simple json path starting with .'
        ),
    }


def test_preserving_unknown_fields_is_said_in_the_schema(kube: Kube) -> None:
    obj = definition()
    obj["spec"]["preserveUnknownFields"] = True
    assert "spec.preserveUnknownFields" in refused(kube, obj)


def test_a_webhook_must_say_where_it_is(kube: Kube) -> None:
    obj = definition()
    obj["spec"]["conversion"] = {"strategy": "Webhook"}
    assert refused(kube, obj) == {
        "spec.conversion.webhookClientConfig": "Required value: required when strategy is set to Webhook",
        "spec.conversion.conversionReviewVersions": "Required value",
    }


def test_groups_of_kubernetes_own_need_an_approval(kube: Kube) -> None:
    obj = definition()
    obj["spec"]["group"], obj["metadata"]["name"] = "acme.k8s.io", "shirts.acme.k8s.io"
    assert list(refused(kube, obj)) == ["metadata.annotations[api-approved.kubernetes.io]"]


def test_scope_and_kind_stay_once_they_are_established(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition())
    changed = stored(kube)
    changed["spec"]["scope"], changed["spec"]["names"]["kind"] = "Cluster", "Blouse"
    answer = kube.refusal("PUT", f"{DEFINITIONS}/{NAME}", changed)
    assert {each["field"] for each in answer["details"]["causes"]} == {"spec.scope", "spec.names.kind"}


def test_a_version_that_objects_may_be_stored_in_cannot_go(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition())
    changed = stored(kube)
    changed["spec"]["versions"] = [version("v2")]
    answer = kube.refusal("PUT", f"{DEFINITIONS}/{NAME}", changed)
    assert answer["details"]["causes"][0]["field"] == "status.storedVersions[0]"


def test_discovery_has_what_definitions_add_and_other_clusters_do_not(kube: Kube) -> None:
    from pytest_selfrep.kubesim.cluster import Cluster

    kube.create(DEFINITIONS, definition(shortNames=["sh"], categories=["all"]))
    (resource,) = kube.get("/apis/stable.acme.io/v1")["resources"]
    assert (resource["name"], resource["kind"], resource["shortNames"]) == ("shirts", "Shirt", ["sh"])
    assert "stable.acme.io" in [each["name"] for each in kube.get("/apis")["groups"]]
    other = Cluster()
    assert not Kube(other, other.token_for()).exists("/apis/stable.acme.io/v1")
    kube.delete(f"{DEFINITIONS}/{NAME}")
    assert not kube.exists("/apis/stable.acme.io/v1")


def test_openapi_has_the_descriptions_of_the_definition(kube: Kube) -> None:
    spec = {"color": {"type": "string", "description": "What it is dyed with."}}
    kube.create(DEFINITIONS, definition("shirts", "Shirt", version(spec=spec)))
    document = kube.get("/openapi/v3/apis/stable.acme.io/v1")
    described = document["components"]["schemas"]["io.acme.stable.v1.Shirt"]["properties"]["spec"]
    assert described["properties"]["color"]["description"] == "What it is dyed with."


def test_a_definition_takes_its_objects_along(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition())
    kube.create(SHIRTS, shirt())
    kube.delete(f"{DEFINITIONS}/{NAME}")
    assert not kube.exists(f"{DEFINITIONS}/{NAME}")
    kube.create(DEFINITIONS, definition())
    assert kube.get(SHIRTS)["items"] == []


def test_a_definition_waits_for_objects_with_finalizers_and_takes_no_new_ones(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition())
    held = shirt()
    held["metadata"]["finalizers"] = ["acme.io/laundry"]
    kube.create(SHIRTS, held)
    kube.delete(f"{DEFINITIONS}/{NAME}")
    assert stored(kube)["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert conditions(kube)[-1] == (
        "Terminating",
        "True",
        "InstanceDeletionInProgress",
        "CustomResource deletion is in progress",
    )
    answer = kube.refusal("POST", SHIRTS, shirt("blue"))
    assert answer["code"] == 405
    assert answer["message"] == "create not allowed while custom resource definition is terminating"
    kube.merge(f"{SHIRTS}/red", {"metadata": {"finalizers": None}})
    assert not kube.exists(f"{DEFINITIONS}/{NAME}")


def test_versions_that_are_not_served_are_not_found(kube: Kube) -> None:
    kube.create(
        DEFINITIONS, definition("shirts", "Shirt", version(), version("v0", served=False, storage=False))
    )
    assert kube.exists(SHIRTS)
    assert not kube.exists(SHIRTS.replace("/v1/", "/v0/"))


def test_objects_are_read_and_written_in_every_version(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition("shirts", "Shirt", version(), version("v2", storage=False)))
    kube.create(SHIRTS, shirt())
    other = SHIRTS.replace("/v1/", "/v2/")
    assert kube.get(f"{other}/red")["apiVersion"] == "stable.acme.io/v2"
    assert kube.get(other)["items"][0]["apiVersion"] == "stable.acme.io/v2"
    watch = kube.send("GET", other, query={"watch": "true"}).stream
    assert watch is not None
    kube.merge(f"{other}/red", {"spec": {"color": "blue"}})
    assert {each["object"]["apiVersion"] for each in watch.poll()} == {"stable.acme.io/v2"}
    read = kube.get(f"{SHIRTS}/red")
    assert (read["apiVersion"], read["spec"]["color"]) == ("stable.acme.io/v1", "blue")


def test_a_new_storage_version_is_added_to_those_stored(kube: Kube) -> None:
    kube.create(DEFINITIONS, definition())
    kube.create(SHIRTS, shirt())
    changed = stored(kube)
    changed["spec"]["versions"] = [version(storage=False), version("v2")]
    kube.replace(f"{DEFINITIONS}/{NAME}", changed)
    assert stored(kube)["status"]["storedVersions"] == ["v1", "v2"]
    assert kube.get(SHIRTS.replace("/v1/", "/v2/") + "/red")["apiVersion"] == "stable.acme.io/v2"
