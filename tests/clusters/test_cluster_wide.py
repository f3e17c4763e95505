"""What a scenario has outside of namespaces: under a name of its own in each world, or inside of them."""

from __future__ import annotations

from typing import Any

from pytest_selfrep.clusters.cluster_wide import (
    labelled,
    renamed,
    with_labels,
    within,
    without_cluster_wide_steps,
)
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario

RBAC = "rbac.authorization.k8s.io"
HIGH = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "high"},
    "value": 1,
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "high", "namespace": "batch"},
    "spec": {"priorityClassName": "high", "containers": [{"name": "a", "image": "b"}]},
}
CRITICAL = {
    **POD,
    "metadata": {"name": "other", "namespace": "batch"},
    "spec": {**POD["spec"], "priorityClassName": "system"},
}
ROLE = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "reader"},
    "rules": [
        {"apiGroups": [""], "resources": ["pods", "pods/log", "nodes"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ],
}
SUBJECTS = [{"kind": "ServiceAccount", "namespace": "batch", "name": "default"}]


def binding(kind: str, role: str, **metadata: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": "readers", **metadata},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": SUBJECTS,
    }


def scenario(*objects: dict[str, Any], applied: dict[str, Any] | None = None) -> Scenario:
    steps = [{"turn": 0, "load": 45}, *([{"turn": 3, "apply": applied}] if applied else [])]
    return load("termination-threat").overridden({"world": {"objects": list(objects)}, "timeline": steps})


def config_map() -> dict[str, Any]:
    """What the agent's pods mount."""
    (found,) = (each for each in load("termination-threat").world.objects if each["kind"] == "ConfigMap")
    return found


def test_new_names_are_those_of_objects_without_a_namespace_and_of_what_refers_to_them() -> None:
    bound = binding("ClusterRoleBinding", "reader")
    there = renamed(scenario(config_map(), HIGH, POD, CRITICAL, ROLE, bound, applied=HIGH), "7f3a")
    _, high, pod, critical, role, now_bound = there.world.objects
    assert high["metadata"]["name"] == "high-7f3a"
    assert pod["spec"]["priorityClassName"] == "high-7f3a"
    assert pod["metadata"]["name"] == "high"
    assert critical["spec"]["priorityClassName"] == "system"
    assert role["metadata"]["name"] == now_bound["roleRef"]["name"] == "reader-7f3a"
    assert there.timeline[1].apply is not None
    assert there.timeline[1].apply["metadata"]["name"] == "high-7f3a"


def test_rights_to_the_cluster_become_rights_to_each_namespace() -> None:
    objects = [ROLE, binding("ClusterRoleBinding", "reader"), binding("ClusterRoleBinding", "view")]
    inside, left_out = within(objects, ["a", "b"])
    roles = [each for each in inside if each["kind"] == "Role"]
    assert [each["metadata"]["namespace"] for each in roles] == ["a", "b"]
    assert [rule["resources"] for rule in roles[0]["rules"]] == [["pods", "pods/log"]]
    bindings = [each for each in inside if each["kind"] == "RoleBinding"]
    assert [(each["metadata"]["namespace"], each["roleRef"]["kind"]) for each in bindings] == [
        ("a", "Role"),
        ("b", "Role"),
        ("a", "ClusterRole"),
        ("b", "ClusterRole"),
    ]
    assert left_out == []


def test_bindings_in_a_namespace_follow_the_roles_that_moved_there() -> None:
    inside, _ = within([ROLE, binding("RoleBinding", "reader", namespace="a")], ["a"])
    assert inside[-1]["roleRef"]["kind"] == "Role"


def test_what_has_no_place_in_a_namespace_is_named() -> None:
    inside, left_out = within([HIGH, POD], ["batch"])
    assert inside == [POD]
    assert left_out == ["there is no PriorityClass high, which has no namespace"]
    cut, words = without_cluster_wide_steps(scenario(config_map(), applied=HIGH))
    assert [step.turn for step in cut.timeline] == [0]
    assert words == ["there is no PriorityClass at turn 3, which has no namespace"]


def test_labels_say_whose_an_object_is_and_keep_those_it_has() -> None:
    metadata = {"name": "high", "labels": {"team": "a"}}
    both = {"team": "a", "run": "b"}
    assert with_labels({**HIGH, "metadata": metadata}, {"run": "b"})["metadata"]["labels"] == both
    step = labelled(scenario(config_map(), applied=HIGH), {"run": "b"}).timeline[1]
    assert step.apply is not None
    assert step.apply["metadata"]["labels"] == {"run": "b"}
