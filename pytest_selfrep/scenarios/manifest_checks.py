"""What is wrong with the Kubernetes manifests that a scenario brings along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pytest_selfrep.errors import did_you_mean
from pytest_selfrep.scenarios.kinds import KINDS
from pytest_selfrep.scenarios.problems import Loc, Problem

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.fields import Manifest
    from pytest_selfrep.scenarios.model import Scenario

_MADE_FROM_FIELDS = {"Node": "world.nodes", "Namespace": "world.namespaces"}


def manifest_problems(scenario: Scenario) -> Iterator[Problem]:
    """Manifests that are no objects, clash with each other, or live in a namespace that is not there."""
    yield from _objects(scenario)
    yield from _applied(scenario)
    yield from _config_maps(scenario)


def named(kind: str, namespace: str, manifests: Iterable[Manifest]) -> Iterator[str]:
    """Names of the manifests of a kind in a namespace."""
    for manifest in manifests:
        metadata = manifest.get("metadata")
        if isinstance(metadata, dict) and (manifest.get("kind"), metadata.get("namespace")) == (
            kind,
            namespace,
        ):
            yield str(metadata.get("name"))


def _objects(scenario: Scenario) -> Iterator[Problem]:
    agent = scenario.world.agent
    taken = {
        ("Deployment", agent.namespace, agent.name): "world.agent",
        ("ServiceAccount", agent.namespace, agent.service_account): "world.agent.service_account",
        ("Service", agent.namespace, scenario.service.name): "service",
        ("ConfigMap", agent.namespace, scenario.service.status): "service.status",
    }
    if scenario.world.toolbox is not None:
        taken["Deployment", agent.namespace, scenario.world.toolbox.name] = "world.toolbox"
    for index, manifest in enumerate(scenario.world.objects):
        loc: Loc = ("world", "objects", index)
        problems = list(_manifest(scenario, manifest, loc))
        yield from problems
        if problems:
            continue
        metadata = manifest["metadata"]
        identity = (manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        if identity in taken:
            message = (
                f"{identity[0]} {identity[2]} is made from {taken[identity]} already; remove or rename one"
            )
            yield Problem((*loc, "metadata", "name"), message)
        taken[identity] = f"world.objects[{index}]"


def _applied(scenario: Scenario) -> Iterator[Problem]:
    for index, step in enumerate(scenario.timeline):
        if step.apply is not None:
            yield from _manifest(scenario, step.apply, ("timeline", index, "apply"))


def _config_maps(scenario: Scenario) -> Iterator[Problem]:
    """The agent's pods would wait for ever for a ConfigMap that is not there."""
    agent = scenario.world.agent
    there = [scenario.service.status, *named("ConfigMap", agent.namespace, scenario.world.objects)]
    for index, name in enumerate(agent.config_maps):
        if name not in there:
            message = (
                f"there is no ConfigMap {name} in namespace {agent.namespace}; "
                f"{did_you_mean(name, there)}add it to world.objects"
            )
            yield Problem(("world", "agent", "config_maps", index), message)


def _manifest(scenario: Scenario, manifest: Manifest, loc: Loc) -> Iterator[Problem]:
    kind_name, version = manifest.get("kind"), manifest.get("apiVersion")
    metadata = manifest.get("metadata")
    if not isinstance(kind_name, str) or not isinstance(version, str):
        yield Problem(loc, "a manifest has a kind and an apiVersion; add them")
        return
    if kind_name in _MADE_FROM_FIELDS:
        message = f"a {kind_name} is not given as a manifest; list it in {_MADE_FROM_FIELDS[kind_name]}"
        yield Problem((*loc, "kind"), message)
        return
    kind = KINDS.get((version, kind_name))
    if kind is None:
        names = [f"{known} ({of})" for of, known in KINDS]
        hint = did_you_mean(f"{kind_name} ({version})", names) or f"known kinds: {', '.join(names)}"
        yield Problem((*loc, "kind"), f"there is no {kind_name} in {version}; {hint}".rstrip())
        return
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        yield Problem((*loc, "metadata"), "a manifest has a metadata.name of text; add it")
        return
    if kind.namespaced:
        yield from _namespace(scenario, metadata, loc)
    yield from _plain(manifest, loc)


def _namespace(scenario: Scenario, metadata: Manifest, loc: Loc) -> Iterator[Problem]:
    known = scenario.world.namespaces
    there = ", ".join(known)
    namespace = metadata.get("namespace")
    if namespace is None:
        message = f"{metadata['name']} has no metadata.namespace; give one of: {there}"
        yield Problem((*loc, "metadata"), message)
    elif namespace not in known:
        hint = did_you_mean(namespace, known)
        message = f"there is no namespace named {namespace}; {hint}the scenario has: {there}"
        yield Problem((*loc, "metadata", "namespace"), message)


def _plain(value: object, loc: Loc) -> Iterator[Problem]:
    """JSON has text keys only and knows no dates, both of which YAML reads from unquoted text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str):
                yield from _plain(inner, (*loc, key))
            else:
                yield Problem(loc, f"the key {key!r} is no text; put it in quotes")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _plain(inner, (*loc, index))
    elif value is not None and not isinstance(value, str | int | float | bool):
        yield Problem(loc, f"{value} is no JSON value; put it in quotes")
