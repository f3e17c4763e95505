"""A scenario under other names of its namespaces, so that several of its worlds have room in one cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_selfrep.clusters.manifests import account_of
from pytest_selfrep.scenarios.kinds import KINDS

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Scenario

_NAME_LABEL = "kubernetes.io/metadata.name"
_READS = frozenset({"get", "list", "watch"})
_SHARED_READS: Mapping[str, frozenset[str]] = {
    "nodes": _READS,
    "storageclasses": _READS,
    "priorityclasses": _READS,
    "ingressclasses": _READS,
    "namespaces": frozenset({"get"}),
}
"""What may be read of the cluster itself. Who lists namespaces sees those of other worlds."""
_NAMESPACED = frozenset(kind.plural for kind in KINDS.values() if kind.namespaced)


def namespaces_of(scenario: Scenario) -> tuple[str, ...]:
    """All that its world has, the operator's own included."""
    operator = account_of(scenario.world.operator)
    of_operator = (operator[0],) if operator else ()
    return tuple(dict.fromkeys((*scenario.world.namespaces, *of_operator)))


def placed(scenario: Scenario, names: Mapping[str, str]) -> Scenario:
    """The scenario in namespaces of other names: ``names`` has the new one for each of ``namespaces_of``.

    Fields and manifests follow everywhere. Texts (the task, notices, strings in manifests) follow where they
    name a namespace as people do: ``namespace support``, ``namespaces support and batch``, ``support/web``,
    ``-n support``, ``web.support.svc`` and ``system:serviceaccount:support:web``.
    """
    placing = _Placing(names)
    data = scenario.model_dump(exclude_unset=True)
    world = data["world"]
    data["task"] = placing.text(scenario.task)
    world["namespaces"] = [names[each] for each in scenario.world.namespaces]
    world["operator"] = placing.text(scenario.world.operator)
    world["quota"] = {names[namespace]: hard for namespace, hard in scenario.world.quota.items()}
    for part in (world["agent"], *world["rights"], *_targets(data.get("timeline", ()))):
        if part.get("namespace") is not None:
            part["namespace"] = names[part["namespace"]]
    world["objects"] = [placing.value(each) for each in world.get("objects", ())]
    for step in data.get("timeline", ()):
        if step.get("apply") is not None:
            step["apply"] = placing.value(step["apply"])
        if step.get("notice") is not None:
            step["notice"] = placing.value(step["notice"])
    return type(scenario).model_validate(data)


def _targets(timeline: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The parts of steps that may name a namespace in a field of their own."""
    for step in timeline:
        for act in ("scale", "terminate"):
            if step.get(act) is not None:
                yield step[act]


class _Placing:
    """Renames namespaces in values of YAML."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        # Longest first, so that no name is taken for the beginning of another.
        name = f"(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?![a-z0-9-])"
        quoted = f"[`'\"]?{name}[`'\"]?"
        introduced = r"(?<=-n )|(?<=-n=)|(?<=--namespace )|(?<=--namespace=)|(?<=system:serviceaccount:)"
        self._name = re.compile(name)
        self._places = re.compile(
            rf"\bnamespaces?:?\s+{quoted}(?:(?:,\s*|,?\s+(?:and|or)\s+){quoted})*"
            rf"|(?:{introduced}){name}"
            rf"|(?<=\.){name}(?=\.svc\b)"
            rf"|(?<![\w./:-]){name}(?=/[a-z0-9])"
        )

    def value(self, value: Any, key: str = "") -> Any:
        """A part of a manifest that stands under ``key``."""
        if isinstance(value, dict):
            return {each: self.value(part, self._key(each, value)) for each, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part, key) for part in value]
        if not isinstance(value, str):
            return value
        if key in ("namespace", "namespaces", _NAME_LABEL):
            return self._names.get(value, value)
        return self.text(value)

    @staticmethod
    def _key(key: str, parent: dict[str, Any]) -> str:
        """What a value is about: the values of a label's expression are about the label."""
        return str(parent.get("key", key)) if key == "values" else key

    def text(self, text: str) -> str:
        return self._places.sub(lambda place: self._name.sub(self._other, place[0]), text)

    def _other(self, found: re.Match[str]) -> str:
        return self._names[found[0]]


def confined(scenario: Scenario, *, cluster_wide: bool = True) -> tuple[Scenario, list[str]]:
    """The same with no right that reaches into other worlds, and what was taken away, in words.

    A right to the whole cluster becomes one to each of the world's namespaces; of what has no namespace
    some may still be read, where rights to the whole cluster can be given (``cluster_wide``).
    """
    readable = _SHARED_READS if cluster_wide else {}
    rights, lost = [], []
    for right in scenario.world.rights:
        if right.namespace is not None:
            rights.append(right)
            continue
        inside = tuple(each for each in right.resources if each.partition("/")[0] in _NAMESPACED)
        if inside:
            update = {"resources": inside}
            rights += [
                right.model_copy(update={**update, "namespace": name}) for name in scenario.world.namespaces
            ]
        for resource in right.resources:
            if resource in inside:
                continue
            kept = tuple(verb for verb in right.verbs if verb in readable.get(resource, frozenset()))
            taken = [f"{verb} {resource}" for verb in right.verbs if verb not in kept]
            lost += [each for each in taken if each not in lost]
            if kept:
                rights.append(right.model_copy(update={"resources": (resource,), "verbs": kept}))
    world = scenario.world.model_copy(update={"rights": tuple(rights)})
    why = "which would show it other worlds" if cluster_wide else "which takes rights to the whole cluster"
    words = [f"the agent may not {', '.join(lost)}, {why}"] if lost else []
    return scenario.model_copy(update={"world": world}), words
