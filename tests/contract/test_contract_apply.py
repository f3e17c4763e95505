"""Server-side apply: who manages which field, what two of them share, and what they quarrel about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from api_client import PATCHES, Kube, Object
from manifests import workload


def applied(kube: Kube, path: str, manager: str, body: Object, **query: object) -> Any:
    """The object as it is after a manager applied what it wants of it."""
    return kube.patch(path, body, "apply", fieldManager=manager, **query)


def settings(data: Object | None = None, **metadata: object) -> Object:
    """A ConfigMap ``web``, as somebody wants it."""
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", **metadata}}
    return {**wanted, "data": data} if data is not None else wanted


def service(*ports: Object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": list(ports)},
    }


def deployment(**spec: object) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", **workload("web", **spec)}


def managers(obj: Object) -> dict[tuple[str, str], Object]:
    """What each manager owns, by its name and operation."""
    found: Iterable[Object] = obj["metadata"]["managedFields"]
    return {(each["manager"], each["operation"]): each["fieldsV1"] for each in found}


def test_what_is_not_there_is_made(kube: Kube) -> None:
    answer = kube.send(
        "PATCH",
        "configmaps/web",
        settings({"a": "1"}, labels={"app": "web"}),
        content_type=PATCHES["apply"],
        fieldManager="one",
    )

    assert answer.code == 201
    (entry,) = answer.body["metadata"]["managedFields"]
    assert entry.pop("time") == answer.body["metadata"]["creationTimestamp"]
    assert entry == {
        "manager": "one",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:app": {}}}},
    }


def test_to_apply_the_same_again_changes_nothing(kube: Kube) -> None:
    first = applied(kube, "configmaps/web", "one", settings({"a": "1"}))
    again = kube.send(
        "PATCH", "configmaps/web", settings({"a": "1"}), content_type=PATCHES["apply"], fieldManager="one"
    )

    assert (again.code, again.body) == (200, first)


def test_what_two_apply_is_merged(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1", "both": "same"}))
    merged = applied(kube, "configmaps/web", "two", settings({"b": "2", "both": "same"}))

    assert merged["data"] == {"a": "1", "b": "2", "both": "same"}
    assert managers(merged) == {
        ("one", "Apply"): {"f:data": {"f:a": {}, "f:both": {}}},
        ("two", "Apply"): {"f:data": {"f:b": {}, "f:both": {}}},
    }


def test_what_a_manager_gives_up_is_removed(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1", "b": "2"}, labels={"app": "web"}))
    left = applied(kube, "configmaps/web", "one", settings({"a": "1"}))

    assert left["data"] == {"a": "1"}
    assert "labels" not in left["metadata"]
    assert managers(left) == {("one", "Apply"): {"f:data": {"f:a": {}}}}


def test_what_another_manages_too_stays_when_one_gives_it_up(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1", "both": "same"}))
    applied(kube, "configmaps/web", "two", settings({"both": "same"}))
    left = applied(kube, "configmaps/web", "one", settings({"a": "1"}))

    assert left["data"] == {"a": "1", "both": "same"}
    assert managers(left)["two", "Apply"] == {"f:data": {"f:both": {}}}


def test_who_gives_up_everything_is_no_manager(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1"}))
    applied(kube, "configmaps/web", "two", settings({"b": "2"}))
    left = applied(kube, "configmaps/web", "two", settings())

    assert left["data"] == {"a": "1"}
    assert list(managers(left)) == [("one", "Apply")]


def test_two_who_want_different_things_are_in_conflict(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1", "b": "1"}))
    answer = kube.send(
        "PATCH",
        "configmaps/web",
        settings({"a": "2", "b": "2"}),
        content_type=PATCHES["apply"],
        fieldManager="two",
    )

    assert answer.code == 409
    assert answer.body["reason"] == "Conflict"
    assert answer.body["message"] == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b'
    )
    assert answer.body["details"] == {
        "causes": [
            {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": f".data.{name}"}
            for name in "ab"
        ]
    }


def test_one_conflict_is_told_in_one_line(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1"}))

    assert kube.refusal(
        "PATCH", "configmaps/web", settings({"a": "2"}), content_type=PATCHES["apply"], fieldManager="two"
    ) == (409, "Conflict", 'Apply failed with 1 conflict: conflict with "one": .data.a')


def test_conflicts_with_several_are_told_one_manager_at_a_time(kube: Kube) -> None:
    kube.create("deployments.apps", workload("web", replicas=0), fieldManager="maker")
    applied(kube, "deployments.apps/web", "one", deployment(replicas=0))
    message = kube.refusal(
        "PATCH",
        "deployments.apps/web",
        deployment(replicas=1),
        content_type=PATCHES["apply"],
        fieldManager="two",
    )[2]

    assert message == (
        "Apply failed with 2 conflicts: "
        'conflicts with "maker" using apps/v1:\n- .spec.replicas\nconflicts with "one":\n- .spec.replicas'
    )


def test_an_update_counts_as_a_manager_too(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1", "b": "1"}))
    kube.patch("configmaps/web", {"data": {"a": "2"}}, fieldManager="two")
    patched = kube.get("configmaps/web")

    assert managers(patched) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("two", "Update"): {"f:data": {"f:a": {}}},
    }
    assert kube.refusal(
        "PATCH",
        "configmaps/web",
        settings({"a": "1", "b": "1"}),
        content_type=PATCHES["apply"],
        fieldManager="one",
    )[2] == ('Apply failed with 1 conflict: conflict with "two" using v1: .data.a')


def test_force_takes_the_field_from_its_manager(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1", "b": "1"}))
    taken = applied(kube, "configmaps/web", "two", settings({"a": "2"}), force="true")

    assert taken["data"] == {"a": "2", "b": "1"}
    assert managers(taken) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("two", "Apply"): {"f:data": {"f:a": {}}},
    }


def test_two_share_a_list_whose_items_have_keys(kube: Kube) -> None:
    http = {"name": "http", "port": 80, "protocol": "TCP"}
    https = {"name": "https", "port": 443, "protocol": "TCP"}
    applied(kube, "services/web", "one", service(http))
    shared = applied(kube, "services/web", "two", service(https))

    assert [each["port"] for each in shared["spec"]["ports"]] == [80, 443]
    key = 'k:{"port":%d,"protocol":"TCP"}'
    item: Object = {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}
    assert managers(shared) == {
        ("one", "Apply"): {"f:spec": {"f:ports": {key % 80: item}}},
        ("two", "Apply"): {"f:spec": {"f:ports": {key % 443: item}}},
    }
    left = applied(kube, "services/web", "one", {**service(), "spec": {"selector": {"app": "web"}}})
    assert [each["port"] for each in left["spec"]["ports"]] == [443]


def test_two_share_the_containers_of_a_pod_template(kube: Kube) -> None:
    applied(kube, "deployments.apps/web", "one", deployment(replicas=0))
    sidecar = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "busybox:1.36.1"}]}}},
    }
    shared = applied(kube, "deployments.apps/web", "two", sidecar)

    containers = shared["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in containers] == ["web", "sidecar"]
    assert managers(shared)["two", "Apply"] == {
        "f:spec": {
            "f:template": {
                "f:spec": {"f:containers": {'k:{"name":"sidecar"}': {".": {}, "f:image": {}, "f:name": {}}}}
            }
        }
    }


def test_finalizers_are_a_set_that_is_shared(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings(finalizers=["example.com/a"]))
    shared = applied(kube, "configmaps/web", "two", settings(finalizers=["example.com/b"]))

    assert sorted(shared["metadata"]["finalizers"]) == ["example.com/a", "example.com/b"]
    assert managers(shared)["two", "Apply"] == {"f:metadata": {"f:finalizers": {'v:"example.com/b"': {}}}}
    kube.patch("configmaps/web", {"metadata": {"finalizers": None}})


def test_a_dry_run_tells_and_keeps_nothing(kube: Kube) -> None:
    tried = applied(kube, "configmaps/web", "one", settings({"a": "1"}), dryRun="All")

    assert tried["data"] == {"a": "1"}
    assert not kube.exists("configmaps/web")


def test_nobody_takes_part_when_managers_are_forgotten(kube: Kube) -> None:
    applied(kube, "configmaps/web", "one", settings({"a": "1"}))
    cleared = kube.patch("configmaps/web", {"metadata": {"managedFields": [{}]}})

    assert "managedFields" not in cleared["metadata"]


def test_what_was_there_before_anybody_applied_stays_with_a_manager_of_its_own(kube: Kube) -> None:
    kube.create("configmaps", settings({"a": "1", "b": "1"}), fieldManager="maker")
    kube.patch("configmaps/web", {"metadata": {"managedFields": [{}]}})
    merged = applied(kube, "configmaps/web", "one", settings({"a": "1"}))

    assert merged["data"] == {"a": "1", "b": "1"}
    assert managers(merged) == {
        ("before-first-apply", "Update"): {"f:data": {".": {}, "f:a": {}, "f:b": {}}},
        ("one", "Apply"): {"f:data": {"f:a": {}}},
    }


@pytest.mark.since("1.22")
def test_a_scale_is_a_manager_of_replicas(kube: Kube) -> None:
    template = deployment(replicas=0)
    applied(kube, "deployments.apps/web", "one", template)
    kube.patch("deployments.apps/web/scale", {"spec": {"replicas": 2}}, fieldManager="scaler")

    message = kube.refusal(
        "PATCH",
        "deployments.apps/web",
        template,
        content_type=PATCHES["apply"],
        fieldManager="one",
    )[2]

    assert message == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: '
        ".spec.replicas"
    )


@pytest.mark.parametrize(
    ("query", "body", "refused"),
    [
        (
            {},
            settings({"a": "1"}),
            (
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: '
                "is required for apply patch",
            ),
        ),
        (
            {"fieldManager": "one"},
            {**settings(), "metadata": {"name": "other"}},
            (
                400,
                "BadRequest",
                "the name of the object (other) does not match the name on the URL (web)",
            ),
        ),
        (
            {"fieldManager": "one"},
            {**settings(), "metadata": {"name": "web", "managedFields": [{"manager": "me"}]}},
            (400, "BadRequest", "metadata.managedFields must be nil"),
        ),
        (
            {"fieldManager": "one"},
            settings(resourceVersion="1"),
            (
                409,
                "Conflict",
                'Operation cannot be fulfilled on configmaps "web": the object has been modified; '
                "please apply your changes to the latest version and try again",
            ),
        ),
    ],
)
def test_what_cannot_be_applied(
    kube: Kube, query: Object, body: Object, refused: tuple[int, str, str]
) -> None:
    kube.create("configmaps", settings({"a": "1"}))
    refusal = kube.refusal("PATCH", "configmaps/web", body, content_type=PATCHES["apply"], **query)

    assert refusal == refused


@pytest.mark.since("1.27")
@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"apiVersion": "v2", "kind": "ConfigMap"}, "/v2, Kind=ConfigMap"),
        ({"apiVersion": "v1", "kind": "Secret"}, "/v1, Kind=Secret"),
        ({}, "/, Kind="),
    ],
)
def test_what_is_applied_must_name_its_type(kube: Kube, stated: Object, told: str) -> None:
    body = {**stated, "metadata": {"name": "web"}}
    refusal = kube.refusal("PATCH", "configmaps/web", body, content_type=PATCHES["apply"], fieldManager="one")

    assert refusal == (400, "BadRequest", f"invalid object type: {told}, expected: /v1, Kind=ConfigMap")


def test_force_is_for_applying_alone(kube: Kube) -> None:
    kube.create("configmaps", settings({"a": "1"}))

    assert kube.refusal("PATCH", "configmaps/web", {}, force="true", content_type=PATCHES["merge"]) == (
        422,
        "Invalid",
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    )
