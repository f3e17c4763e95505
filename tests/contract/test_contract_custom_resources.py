"""Custom resources: how their kind comes and goes, and what it makes of its objects."""

from __future__ import annotations

import pytest
from api_client import JSON, PATCHES, Object, until
from shirts import DEFINITIONS, SPEC, Shirts, schema, version


def test_a_definition_is_accepted_and_then_served(shirts: Shirts) -> None:
    shirts.kube.create(DEFINITIONS, shirts.manifest(shortNames=["sh"], categories=["all"]))
    made = shirts.kube.eventually(
        shirts.definition,
        lambda each: any(
            condition["type"] == "Established" and condition["status"] == "True"
            for condition in each["status"].get("conditions") or ()
        ),
    )

    names = {
        "plural": "shirts",
        "singular": "shirt",
        "kind": "Shirt",
        "listKind": "ShirtList",
        "shortNames": ["sh"],
        "categories": ["all"],
    }
    assert made["spec"]["names"] == names
    assert made["status"]["acceptedNames"] == names
    assert made["status"]["storedVersions"] == ["v1"]
    conditions = [
        {key: value for key, value in each.items() if key != "lastTransitionTime"}
        for each in made["status"]["conditions"]
    ]
    assert conditions == [
        {
            "type": "NamesAccepted",
            "status": "True",
            "reason": "NoConflicts",
            "message": "no conflicts found",
        },
        {
            "type": "Established",
            "status": "True",
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]
    assert made["spec"]["conversion"] == {"strategy": "None"}


def test_a_kind_that_is_served_is_in_discovery(shirts: Shirts) -> None:
    shirts.define(shortNames=["sh"], categories=["all"])
    listed = shirts.kube.eventually(f"/apis/{shirts.group}/v1", lambda each: each["resources"])

    found = {each["name"]: each for each in listed["resources"]}
    assert list(found) == ["shirts", "shirts/status", "shirts/scale"]
    whole = found["shirts"]
    assert whole.pop("storageVersionHash", "")
    assert whole == {
        "name": "shirts",
        "singularName": "shirt",
        "namespaced": True,
        "kind": "Shirt",
        "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
        "shortNames": ["sh"],
        "categories": ["all"],
    }
    assert found["shirts/status"] == {
        "name": "shirts/status",
        "singularName": "",
        "namespaced": True,
        "kind": "Shirt",
        "verbs": ["get", "patch", "update"],
    }
    assert found["shirts/scale"] == {
        "name": "shirts/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }
    groups = shirts.kube.eventually(
        "/apis", lambda each: any(group["name"] == shirts.group for group in each["groups"])
    )["groups"]
    version = {"groupVersion": f"{shirts.group}/v1", "version": "v1"}
    assert next(group for group in groups if group["name"] == shirts.group) == {
        "name": shirts.group,
        "versions": [version],
        "preferredVersion": version,
    }


def test_names_that_another_kind_has_are_not_accepted(shirts: Shirts) -> None:
    shirts.define()
    rival = shirts.manifest(plural="tops", kind="Shirt")
    rival["metadata"]["name"] = f"tops.{shirts.group}"
    path = f"{DEFINITIONS}/tops.{shirts.group}"
    shirts.kube.create(DEFINITIONS, rival)
    until(lambda: shirts.kube.conditions(path), lambda found: {"NamesAccepted", "Established"} <= set(found))
    conditions = shirts.kube.conditions(path)

    told = [
        (conditions[name]["status"], conditions[name]["reason"], conditions[name]["message"])
        for name in ("NamesAccepted", "Established")
    ]
    assert told == [
        ("False", "ListKindConflict", '"ShirtList" is already in use'),
        ("False", "NotAccepted", "not all names are accepted"),
    ]


def test_a_definition_that_goes_takes_its_objects_with_it(shirts: Shirts) -> None:
    shirts.define()
    held = shirts.shirt()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    shirts.kube.create(shirts.path(), held)
    shirts.create("blue")
    shirts.kube.delete(shirts.definition)

    left = shirts.kube.eventually(shirts.path(), lambda each: len(each["items"]) == 1)["items"]
    assert left[0]["metadata"]["name"] == "red"
    assert left[0]["metadata"]["deletionTimestamp"]
    assert shirts.kube.get(shirts.definition)["metadata"]["finalizers"] == [
        "customresourcecleanup.apiextensions.k8s.io"
    ]
    terminating = until(
        lambda: shirts.kube.conditions(shirts.definition).get("Terminating", {}),
        lambda each: each.get("status") == "True",
    )
    assert terminating["reason"] == "InstanceDeletionInProgress"
    code, reason, _ = shirts.kube.refusal("POST", shirts.path(), shirts.shirt("green"))
    assert (code, reason) == (405, "MethodNotAllowed")
    shirts.kube.patch(shirts.path("red"), {"metadata": {"finalizers": None}})
    shirts.kube.gone(shirts.definition)
    until(lambda: shirts.kube.send("GET", shirts.path()).code, lambda code: code == 404)
    until(lambda: shirts.kube.send("GET", f"/apis/{shirts.group}").code, lambda code: code == 404)


RECENT = pytest.mark.since("1.32")
"""How Kubernetes says it has changed."""


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"colour": "red"}, ["spec.size: Required value"]),
        ({"size": "tiny"}, ['spec.size: Unsupported value: "tiny": supported values: "small", "large"']),
        (
            {"size": 3},
            [
                'spec.size: Invalid value: "integer": spec.size in body must be of type string: "integer"',
                'spec.size: Unsupported value: 3: supported values: "small", "large"',
            ],
        ),
        (
            {"size": "small", "replicas": "3"},
            [
                'spec.replicas: Invalid value: "string": '
                'spec.replicas in body must be of type integer: "string"',
                ".spec.replicas: Invalid value: 0: "
                ".spec.replicas accessor error: 3 is of the type string, expected int64",
            ],
        ),
        (
            {"size": "small", "replicas": 10},
            ["spec.replicas: Invalid value: 10: spec.replicas in body should be less than or equal to 9"],
        ),
        (
            {"size": "small", "replicas": -1},
            [
                "spec.replicas: Invalid value: -1: "
                "spec.replicas in body should be greater than or equal to 0",
                ".spec.replicas: Invalid value: -1: should be a non-negative integer",
            ],
        ),
        (
            {"size": "small", "replicas": 1.5},
            [
                'spec.replicas: Invalid value: "number": '
                'spec.replicas in body must be of type integer: "number"',
                ".spec.replicas: Invalid value: 0: "
                ".spec.replicas accessor error: 1.5 is of the type float64, expected int64",
            ],
        ),
        (
            {"size": "small", "colour": "RED"},
            ["spec.colour: Invalid value: \"RED\": spec.colour in body should match '^[a-z]+$'"],
        ),
        (
            {"size": "small", "notes": "a"},
            ['spec.notes: Invalid value: "string": spec.notes in body must be of type array: "string"'],
        ),
        pytest.param(
            {"size": "small", "colour": "TURQUOISE"},
            ["spec.colour: Too long: may not be more than 8 bytes"],
            marks=RECENT,
        ),
        pytest.param(
            {"size": "small", "notes": ["a", "b", "c"]},
            ["spec.notes: Too many: 3: must have at most 2 items"],
            marks=RECENT,
        ),
        pytest.param(
            {"size": "small", "notes": [1]},
            [
                'spec.notes[0]: Invalid value: "integer": '
                'spec.notes[0] in body must be of type string: "integer"'
            ],
            marks=RECENT,
        ),
    ],
)
def test_a_schema_refuses(served: Shirts, spec: Object, wrong: list[str]) -> None:
    answer = served.kube.send("POST", served.path(), served.shirt(**spec))

    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    causes = answer.body["details"]["causes"]
    assert [f"{each['field']}: {each['message']}" for each in causes] == wrong


def test_the_first_thing_that_is_wrong_with_a_text_is_told(served: Shirts) -> None:
    answer = served.kube.send("POST", served.path(), served.shirt(size="small", colour="TURQUOISE"))

    assert [each["field"] for each in answer.body["details"]["causes"]] == ["spec.colour"]


@pytest.mark.since("1.32")
@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, "FieldValueRequired"),
        ({"size": "tiny"}, "FieldValueNotSupported"),
        ({"size": 3}, "FieldValueTypeInvalid"),
        ({"size": "small", "colour": "RED"}, "FieldValueInvalid"),
        ({"size": "small", "colour": "turquoise"}, "FieldValueTooLong"),
        ({"size": "small", "notes": ["a", "b", "c"]}, "FieldValueTooMany"),
    ],
)
def test_each_cause_has_its_reason(served: Shirts, spec: Object, reason: str) -> None:
    answer = served.kube.send("POST", served.path(), {**served.shirt(), "spec": spec})

    assert answer.body["details"]["causes"][0]["reason"] == reason


def test_a_refusal_names_kind_and_object(served: Shirts) -> None:
    code, reason, message = served.kube.refusal("POST", served.path(), served.shirt(size="tiny"))

    assert (code, reason) == (422, "Invalid")
    assert message == (
        'Shirt.<namespace>.example.com "red" is invalid: spec.size: '
        'Unsupported value: "tiny": supported values: "small", "large"'
    )


SIZELESS: Object = {"spec": {"size": None}}


def test_a_patch_is_held_to_the_schema_too(served: Shirts) -> None:
    served.create("patched")

    assert served.kube.refusal("PATCH", served.path("patched"), SIZELESS, content_type=PATCHES["merge"])[
        2
    ] == ('Shirt.<namespace>.example.com "patched" is invalid: spec.size: Required value')


def test_unknown_fields_are_dropped_and_missing_ones_filled_in(served: Shirts) -> None:
    made = served.create("pruned", size="small", sleeves=2, extra={"pockets": 1})

    assert made["spec"] == {"size": "small", "colour": "blue", "extra": {"pockets": 1}}
    assert served.kube.get(served.path("pruned"))["spec"] == made["spec"]


@pytest.mark.since("1.27")
def test_unknown_fields_are_refused_to_who_is_strict(served: Shirts) -> None:
    body = served.shirt(size="small", sleeves=2)

    assert served.kube.refusal("POST", served.path(), body, fieldValidation="Strict") == (
        400,
        "BadRequest",
        'Shirt in version "v1" cannot be handled as a Shirt: strict decoding error: '
        'unknown field "spec.sleeves"',
    )


def test_objects_that_were_there_before_are_read_by_the_new_schema(shirts: Shirts) -> None:
    shirts.define()
    shirts.create(size="small", replicas=1)
    before = shirts.kube.get(shirts.path("red"))
    properties = {**SPEC["properties"], "sleeves": {"type": "integer", "default": 2}}
    del properties["replicas"]
    later = [schema(properties={"spec": {**SPEC, "properties": properties}})]
    shirts.kube.patch(shirts.definition, {"spec": {"versions": later}})
    now = shirts.kube.eventually(shirts.path("red"), lambda each: "sleeves" in each["spec"])

    assert before["spec"] == {"size": "small", "colour": "blue", "replicas": 1}
    assert now["spec"] == {"size": "small", "colour": "blue", "sleeves": 2}
    assert now["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_status_is_written_apart(served: Shirts) -> None:
    body = {**served.shirt("apart"), "status": {"replicas": 5}}
    made = served.kube.create(served.path(), body)
    generation = made["metadata"]["generation"]
    changed = {"status": {"replicas": 3, "unknown": 1}, "spec": {"size": "large"}}
    status = served.kube.patch(served.path("apart/status"), changed)
    spec = served.kube.patch(served.path("apart"), {"spec": {"size": "large"}, "status": {"replicas": 9}})

    assert (generation, "status" in made) == (1, False)
    assert (status["spec"]["size"], status["status"]) == ("small", {"replicas": 3})
    assert status["metadata"]["generation"] == 1
    assert (spec["spec"]["size"], spec["status"]) == ("large", {"replicas": 3})
    assert spec["metadata"]["generation"] == 2


def test_scale_reads_and_writes_where_the_definition_says(served: Shirts) -> None:
    made = served.create("scaled", size="small", replicas=2)
    served.kube.patch(served.path("scaled/status"), {"status": {"replicas": 1, "selector": "app=web"}})
    scale = served.kube.get(served.path("scaled/scale"))

    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "app=web"})
    assert scale["metadata"]["uid"] == made["metadata"]["uid"]
    scaled = served.kube.patch(served.path("scaled/scale"), {"spec": {"replicas": 5}})
    assert scaled["spec"] == {"replicas": 5}
    assert served.kube.get(served.path("scaled"))["spec"]["replicas"] == 5
    assert served.kube.refusal(
        "PATCH", served.path("scaled/scale"), {"spec": {"replicas": 10}}, content_type=PATCHES["merge"]
    ) == (
        422,
        "Invalid",
        'Shirt.<namespace>.example.com "scaled" is invalid: spec.replicas: Invalid value: 10: '
        "spec.replicas in body should be less than or equal to 9",
    )


@pytest.mark.parametrize("kind", [JSON, PATCHES["strategic"]])
@pytest.mark.parametrize("below", ["", "/status", "/scale"])
def test_some_patches_are_not_for_custom_resources(served: Shirts, kind: str, below: str) -> None:
    assert served.kube.refusal("PATCH", served.path(f"none{below}"), {}, content_type=kind) == (
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    )


def test_every_served_version_shows_the_same_objects(shirts: Shirts) -> None:
    shirts.define(version(), version("v2", storage=False), version("v3", storage=False, served=False))
    shirts.create()
    until(lambda: shirts.kube.send("GET", shirts.path(version="v2")).code, lambda code: code == 200)

    assert shirts.kube.get(shirts.path("red", "v2"))["apiVersion"] == f"{shirts.group}/v2"
    assert shirts.kube.get(shirts.path("red", "v2"))["spec"] == {"size": "small", "colour": "blue"}
    assert shirts.kube.send("GET", shirts.path(version="v3")).code == 404
    preferred = shirts.kube.get(f"/apis/{shirts.group}")["preferredVersion"]["version"]
    assert preferred == "v2"
