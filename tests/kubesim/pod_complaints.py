"""Pods with something wrong, and what the API server says of them."""

from __future__ import annotations

from typing import Any

from kube_driver import PODS, Kube, Object, pod

WEB = "spec.containers[0]"
QUALIFIED = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with"


def complaints(kube: Kube, obj: Object, path: str = PODS) -> list[str]:
    answer = kube.refusal("POST", path, obj)
    assert (answer["code"], answer["reason"]) == (422, "Invalid"), answer
    return [f"{each['field']}: {each['message']}" for each in answer["details"]["causes"]]


def of_container(**fields: Any) -> Object:
    made = pod("a")
    made["spec"]["containers"][0].update(fields)
    return made


def of_init_container(**fields: Any) -> Object:
    return pod("a", initContainers=[{"name": "first", "image": "busybox:1", **fields}])
