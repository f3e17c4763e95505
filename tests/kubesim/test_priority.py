"""PriorityClasses and the priority of pods."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, pod
from test_table import shown

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
WHY = "must not be provided in pod spec; priority admission controller computed"


def make(kube: Kube, name: str, value: int, **fields: Any) -> Any:
    return kube.create(CLASSES, {"metadata": {"name": name}, "value": value, **fields})


def test_the_systems_classes_are_there_and_stay(kube: Kube) -> None:
    assert [(row["Name"], row["Value"], row["Global-Default"]) for row in shown(kube, CLASSES)] == [
        ("system-cluster-critical", 2_000_000_000, False),
        ("system-node-critical", 2_000_001_000, False),
    ]
    refused = kube.refusal("DELETE", f"{CLASSES}/system-node-critical")
    assert refused["message"] == (
        'priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: '
        "this is a system priority class and cannot be deleted"
    )


def test_a_pod_gets_the_value_of_its_class(kube: Kube) -> None:
    make(kube, "high", 1000, preemptionPolicy="Never")
    spec = kube.add_pod("a", priorityClassName="high")["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
    assert kube.add_pod("b")["spec"]["priority"] == 0
    critical = kube.add_pod("c", priorityClassName="system-node-critical")
    assert critical["spec"]["priority"] == 2_000_001_000


def test_the_global_default_is_for_pods_that_name_none(kube: Kube) -> None:
    make(kube, "usual", 7, globalDefault=True)
    spec = kube.add_pod("a")["spec"]
    assert (spec["priorityClassName"], spec["priority"]) == ("usual", 7)
    second = {"metadata": {"name": "second"}, "value": 8, "globalDefault": True}
    assert kube.refusal("POST", CLASSES, second)["message"] == (
        'priorityclasses.scheduling.k8s.io "second" is forbidden: '
        "PriorityClass usual is already marked as default. Only one default can exist"
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"priority": 4}, f"the integer value of priority (4) {WHY} 0 from the given PriorityClass name"),
        ({"priorityClassName": "nope"}, "no PriorityClass with name nope was found"),
        (
            {"preemptionPolicy": "Never"},
            f"the string value of PreemptionPolicy (Never) {WHY} PreemptLowerPriority "
            "from the given PriorityClass name",
        ),
    ],
)
def test_pods_do_not_set_their_own_priority(kube: Kube, spec: dict[str, Any], why: str) -> None:
    refused = kube.refusal("POST", PODS, pod("a", **spec))
    assert refused["message"] == f'pods "a" is forbidden: {why}'


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        (
            "system-foo",
            {"value": 5},
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system "
            "use only. error: system-foo is not a known system priority class",
        ),
        (
            "big",
            {"value": 2_000_000_000},
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            "odd",
            {"value": 5, "preemptionPolicy": "Foo"},
            'preemptionPolicy: Unsupported value: "Foo": supported values: "PreemptLowerPriority", "Never"',
        ),
    ],
)
def test_a_class_that_cannot_be_is_refused(
    kube: Kube, name: str, fields: dict[str, Any], expected: str
) -> None:
    refused = kube.refusal("POST", CLASSES, {"metadata": {"name": name}, **fields})
    (cause,) = refused["details"]["causes"]
    assert f"{cause['field']}: {cause['message']}" == expected


def test_the_value_of_a_class_stays(kube: Kube) -> None:
    made = make(kube, "high", 1000)
    refused = kube.refusal("PUT", f"{CLASSES}/high", {**made, "value": 3})
    assert refused["message"].endswith("is invalid: value: Forbidden: may not be changed in an update.")
