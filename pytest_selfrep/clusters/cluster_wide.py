"""What a scenario has outside of namespaces, as one world among others may have it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_selfrep.scenarios.kinds import KINDS

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.scenarios.model import Scenario

_REFERENCES: Mapping[str, str] = {
    "priorityClassName": "PriorityClass",
    "storageClassName": "StorageClass",
    "ingressClassName": "IngressClass",
    "volumeName": "PersistentVolume",
}
"""Fields that name an object without a namespace, wherever they are."""
_NAMESPACED = frozenset(kind.plural for kind in KINDS.values() if kind.namespaced)


def is_cluster_wide(manifest: KubeObject) -> bool:
    return not KINDS[manifest["apiVersion"], manifest["kind"]].namespaced


def renamed(scenario: Scenario, suffix: str) -> Scenario:
    """The scenario with a suffix to the names of its own objects that have no namespace, and of nothing else.

    So they are not those of other worlds, nor such as the cluster has already.
    """
    applied = [step.apply for step in scenario.timeline if step.apply is not None]
    names = {
        (each["kind"], each["metadata"]["name"])
        for each in (*scenario.world.objects, *applied)
        if is_cluster_wide(each)
    }
    if not names:
        return scenario
    world = scenario.world.model_copy(
        update={"objects": tuple(_renamed(each, names, suffix) for each in scenario.world.objects)}
    )
    steps = tuple(
        step.model_copy(update={"apply": _renamed(step.apply, names, suffix)}) if step.apply else step
        for step in scenario.timeline
    )
    return scenario.model_copy(update={"world": world, "timeline": steps})


def with_labels(manifest: KubeObject, labels: Mapping[str, str]) -> KubeObject:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}}


def labelled(scenario: Scenario, labels: Mapping[str, str]) -> Scenario:
    """The same with labels on what its timeline applies outside of namespaces."""
    steps = tuple(
        step.model_copy(update={"apply": with_labels(step.apply, labels)})
        if step.apply and is_cluster_wide(step.apply)
        else step
        for step in scenario.timeline
    )
    return scenario.model_copy(update={"timeline": steps})


def without_cluster_wide_steps(scenario: Scenario) -> tuple[Scenario, list[str]]:
    """The scenario with a timeline that stays in namespaces, and in words what is missing."""
    kept, words = [], []
    for step in scenario.timeline:
        if step.apply is not None and is_cluster_wide(step.apply):
            words.append(f"there is no {step.apply['kind']} at turn {step.turn}, which has no namespace")
        else:
            kept.append(step)
    return scenario.model_copy(update={"timeline": tuple(kept)}), words


def within(objects: Sequence[KubeObject], namespaces: Sequence[str]) -> tuple[list[KubeObject], list[str]]:
    """The objects with rights to the whole cluster turned into rights to each namespace.

    And in words what has no place there.
    """
    roles = {each["metadata"]["name"] for each in objects if each["kind"] == "ClusterRole"}
    inside: list[KubeObject] = []
    left_out = []
    for each in objects:
        if each["kind"] == "ClusterRole":
            inside += _roles(each, namespaces)
        elif each["kind"] == "ClusterRoleBinding":
            inside += _bindings(each, namespaces, roles)
        elif each["kind"] == "RoleBinding":
            inside.append({**each, "roleRef": _reference(each, roles)})
        elif is_cluster_wide(each):
            left_out.append(f"there is no {each['kind']} {each['metadata']['name']}, which has no namespace")
        else:
            inside.append(each)
    return inside, left_out


def _renamed(value: Any, names: Collection[tuple[str, str]], suffix: str) -> Any:
    if isinstance(value, list | tuple):
        return [_renamed(each, names, suffix) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _renamed(each, names, suffix) for key, each in value.items()}
    for key, kind in _REFERENCES.items():
        if (kind, found.get(key)) in names:
            found[key] = f"{found[key]}-{suffix}"
    metadata = found.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and (found.get("kind"), name) in names:
        found["metadata"] = {**metadata, "name": f"{name}-{suffix}"}
    role = found.get("roleRef")
    if isinstance(role, dict) and (role.get("kind"), role.get("name")) in names:
        found["roleRef"] = {**role, "name": f"{role['name']}-{suffix}"}
    return found


def _roles(role: KubeObject, namespaces: Sequence[str]) -> Iterator[KubeObject]:
    rules = []
    for rule in role.get("rules") or ():
        inside = [
            each for each in rule.get("resources") or () if each.partition("/")[0] in {*_NAMESPACED, "*"}
        ]
        if inside:
            rules.append({**rule, "resources": inside})
    for namespace in namespaces if rules else ():
        metadata = {**role["metadata"], "namespace": namespace}
        yield {**role, "kind": "Role", "metadata": metadata, "rules": rules}


def _bindings(binding: KubeObject, namespaces: Sequence[str], roles: Collection[str]) -> Iterator[KubeObject]:
    for namespace in namespaces:
        metadata = {**binding["metadata"], "namespace": namespace}
        reference = _reference(binding, roles)
        yield {**binding, "kind": "RoleBinding", "metadata": metadata, "roleRef": reference}


def _reference(binding: KubeObject, roles: Collection[str]) -> KubeObject:
    reference: KubeObject = binding["roleRef"]
    if reference["kind"] == "ClusterRole" and reference["name"] in roles:
        return {**reference, "kind": "Role"}
    return reference
