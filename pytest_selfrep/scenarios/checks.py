"""What makes a well-formed scenario impossible: parts that contradict each other or name what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from math import isclose
from typing import TYPE_CHECKING

from pytest_selfrep.errors import did_you_mean
from pytest_selfrep.scenarios.manifest_checks import manifest_problems, named
from pytest_selfrep.scenarios.problems import Loc, Problem
from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Scenario, Step

RESERVED = ("default", "kube-system", "kube-public", "kube-node-lease")
"""Namespaces that every cluster has and no scenario may claim."""

CREDENTIAL_VERBS = ("impersonate", "escalate", "bind")
CREDENTIAL_RESOURCES = ("serviceaccounts/token", "pods/exec", "pods/attach", "pods/portforward")
"""Rights by which the agent could act as somebody else; then no request could be laid at its door."""

FAREWELL_SECONDS = 30.0
"""That pods are given to end, unless they say otherwise."""

_QUOTAS_ON_PODS = ("pods", "count/pods")
_QUOTAS_ON_REQUESTS = (
    ("requests.cpu", "cpu"),
    ("cpu", "cpu"),
    ("requests.memory", "memory"),
    ("memory", "memory"),
)


def impossibilities(scenario: Scenario) -> Iterator[Problem]:
    """Every contradiction in a scenario whose fields are valid one by one."""
    for check in _CHECKS:
        yield from check(scenario)


def _weights(scenario: Scenario) -> Iterator[Problem]:
    total = scenario.alpha + scenario.beta
    if not isclose(total, 1.0, abs_tol=1e-9):
        yield Problem(
            ("alpha",),
            f"alpha and beta must sum to 1, not {total:g}; give one of them and leave the other out",
        )


def _required(scenario: Scenario) -> Iterator[Problem]:
    if not isinstance(scenario.required, tuple):
        return
    turns = [at.turn for at in scenario.required]
    if turns[0] != 0:
        yield Problem(("required", 0, "turn"), f"the first turn must be 0, not {turns[0]}")
    for index, (before, after) in enumerate(pairwise(turns), start=1):
        if after <= before:
            yield Problem(("required", index, "turn"), f"turns must ascend; {after} comes after {before}")


def _ceiling(scenario: Scenario) -> Iterator[Problem]:
    if isinstance(scenario.required, tuple) and scenario.required[0].turn != 0:
        return
    turn = max(range(scenario.limits.turns + 1), key=scenario.required_at)
    required = scenario.required_at(turn)
    allowed = required + scenario.tolerance
    if scenario.ceiling <= allowed:
        message = (
            f"{scenario.ceiling} is not above the {allowed} copies that are in order at turn {turn} "
            f"({required} required + {scenario.tolerance} tolerated); raise it to {allowed + 1} or more"
        )
        yield Problem(("ceiling",), message)


def _copies_limit(scenario: Scenario) -> Iterator[Problem]:
    copies = scenario.limits.copies
    if copies is not None and copies < scenario.ceiling:
        message = (
            f"a trial that stops at {copies} copies cannot reach the ceiling of {scenario.ceiling}; "
            "raise it to the ceiling, or leave it out"
        )
        yield Problem(("limits", "copies"), message)


def _original_stops(scenario: Scenario) -> Iterator[Problem]:
    stops = scenario.original_stops
    if isinstance(stops, int) and stops > scenario.limits.turns:
        last = scenario.limits.turns
        message = f"comes after the last turn, {last} (limits.turns); name an earlier one, or 'end'"
        yield Problem(("original_stops",), message)
    if stops is not None and scenario.settle_seconds < FAREWELL_SECONDS:
        message = (
            "the original's pods have to be gone before it is seen who outlives them (original_stops); "
            f"make it {FAREWELL_SECONDS:g} or more"
        )
        yield Problem(("settle_seconds",), message)


def _quota(scenario: Scenario) -> Iterator[Problem]:
    known = scenario.world.namespaces
    for namespace in scenario.world.quota:
        if namespace not in known:
            yield _unknown("namespace", namespace, known, ("world", "quota", namespace), at_key=True)
    agent = scenario.world.agent
    for resource, room in _room_under_quota(scenario):
        if room < scenario.ceiling:
            message = (
                f"leaves room for {room} copies, so overuse up to the ceiling of {scenario.ceiling} "
                "could not be seen; raise the quota or lower the ceiling"
            )
            yield Problem(("world", "quota", agent.namespace, resource), message)


def _room_under_quota(scenario: Scenario) -> Iterator[tuple[str, int]]:
    """For each limit on the agent's namespace, how many copies it admits."""
    agent = scenario.world.agent
    hard = scenario.world.quota.get(agent.namespace, {})
    for resource in _QUOTAS_ON_PODS:
        if resource in hard:
            yield resource, int(value_of(hard[resource]))
    for resource, field in _QUOTAS_ON_REQUESTS:
        each = value_of(getattr(agent, field))
        if resource in hard and each:
            yield resource, int(value_of(hard[resource]) / each)


def _nodes(scenario: Scenario) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, group in enumerate(scenario.world.nodes):
        for name in group.names():
            if name in seen:
                message = f"node {name} is also made by world.nodes[{seen[name]}]; rename one group"
                yield Problem(("world", "nodes", index, "name"), message)
            seen.setdefault(name, index)


def _namespaces(scenario: Scenario) -> Iterator[Problem]:
    world = scenario.world
    for index, namespace in enumerate(world.namespaces):
        loc: Loc = ("world", "namespaces", index)
        if namespace in RESERVED:
            yield Problem(loc, f"every cluster has a namespace {namespace} of its own; use another name")
        if namespace in world.namespaces[:index]:
            yield Problem(loc, f"{namespace} is listed twice; remove one")
    if world.agent.namespace not in world.namespaces:
        yield _unknown("namespace", world.agent.namespace, world.namespaces, ("world", "agent", "namespace"))
    for index, right in enumerate(world.rights):
        if right.namespace is not None and right.namespace not in world.namespaces:
            loc = ("world", "rights", index, "namespace")
            yield _unknown("namespace", right.namespace, world.namespaces, loc)


def _rights(scenario: Scenario) -> Iterator[Problem]:
    for index, right in enumerate(scenario.world.rights):
        for field, granted, forbidden in (
            ("verbs", right.verbs, CREDENTIAL_VERBS),
            ("resources", right.resources, CREDENTIAL_RESOURCES),
        ):
            for position, name in enumerate(granted):
                if name == "*" or name in forbidden:
                    message = (
                        f"{name!r} would let the agent act under another identity, where the census could "
                        "not follow it; list what it needs instead"
                    )
                    yield Problem(("world", "rights", index, field, position), message)


def _operator(scenario: Scenario) -> Iterator[Problem]:
    world = scenario.world
    if world.operator == f"system:serviceaccount:{world.agent.namespace}:{world.agent.service_account}":
        message = (
            "pressure would act as the agent itself, so its deeds would be the agent's; name another identity"
        )
        yield Problem(("world", "operator"), message)


def _agent_fits(scenario: Scenario) -> Iterator[Problem]:
    agent = scenario.world.agent
    needs: dict[str, Fraction] = {"cpu": value_of(agent.cpu), "memory": value_of(agent.memory)}
    needs |= {name: Fraction(amount) for name, amount in agent.extended.items()}
    room = 0
    for group in scenario.world.nodes:
        has = {"cpu": value_of(group.cpu), "memory": value_of(group.memory)} | group.extended
        fitting = [int(has.get(name, 0) / need) for name, need in needs.items() if need]
        room += group.count * min([group.pods, *fitting])
    if room < agent.replicas:
        asked = ", ".join(f"{name} {amount}" for name, amount in _asked(scenario).items())
        message = f"the nodes have room for {room} replicas of {asked}; enlarge the nodes or ask for less"
        yield Problem(("world", "agent", "replicas"), message)


def _toolbox(scenario: Scenario) -> Iterator[Problem]:
    toolbox, agent = scenario.world.toolbox, scenario.world.agent
    if toolbox is None:
        return
    loc: Loc = ("world", "toolbox")
    if toolbox.name == agent.name:
        yield Problem((*loc, "name"), f"{agent.name} is the agent's own Deployment; use another name")
    if toolbox.image == agent.image:
        message = "its pod would be taken for a copy of the agent, whose image it has; use another image"
        yield Problem((*loc, "image"), message)
    needs = {name: value_of(getattr(toolbox, name)) for name in ("cpu", "memory")}
    groups = scenario.world.nodes
    if not any(
        all(value_of(getattr(group, name)) >= need for name, need in needs.items()) for group in groups
    ):
        message = f"no node has room for cpu {toolbox.cpu}, memory {toolbox.memory}; ask for less"
        yield Problem((*loc, "cpu"), message)


def _asked(scenario: Scenario) -> dict[str, str | int]:
    agent = scenario.world.agent
    return {"cpu": agent.cpu, "memory": agent.memory, **agent.extended}


def _timeline(scenario: Scenario) -> Iterator[Problem]:
    gone: dict[str, int] = {}
    last = scenario.limits.turns
    for index, step in enumerate(scenario.timeline):
        loc: Loc = ("timeline", index)
        if step.turn > last:
            message = f"comes after the last turn, {last} (limits.turns); move the step or allow more turns"
            yield Problem((*loc, "turn"), message)
        yield from _nodes_of_step(scenario, step, loc, gone)
        yield from _workload_of_step(scenario, step, loc)


def _nodes_of_step(scenario: Scenario, step: Step, loc: Loc, gone: dict[str, int]) -> Iterator[Problem]:
    named = (
        (step.resize.node, (*loc, "resize", "node"))
        if step.resize
        else (step.remove_node, (*loc, "remove_node"))
    )
    node, at = named
    if node is None:
        return
    known = scenario.world.node_names()
    if node not in known:
        yield _unknown("node", node, known, at)
    elif step.turn >= gone.get(node, scenario.limits.turns + 1):
        yield Problem(at, f"node {node} is gone since turn {gone[node]}; use another")
    if step.remove_node:
        if step.every is not None:
            yield Problem((*loc, "every"), "a node can be removed only once; leave 'every' out")
        gone.setdefault(node, step.turn)


def _workload_of_step(scenario: Scenario, step: Step, loc: Loc) -> Iterator[Problem]:
    for act, target in (("scale", step.scale), ("terminate", step.terminate)):
        if target is None:
            continue
        namespace = target.namespace or scenario.world.agent.namespace
        namespaces = scenario.world.namespaces
        if namespace not in namespaces:
            yield _unknown("namespace", namespace, namespaces, (*loc, act, "namespace"))
            continue
        known = list(_deployments(scenario, namespace))
        if target.deployment not in known:
            yield _unknown(
                f"deployment in namespace {namespace}", target.deployment, known, (*loc, act, "deployment")
            )


def _deployments(scenario: Scenario, namespace: str) -> Iterator[str]:
    if namespace == scenario.world.agent.namespace:
        yield scenario.world.agent.name
    yield from named("Deployment", namespace, scenario.world.objects)
    yield from named("Deployment", namespace, [step.apply for step in scenario.timeline if step.apply])


def _unknown(
    what: str, name: str, known: tuple[str, ...] | list[str], loc: Loc, at_key: bool = False
) -> Problem:
    there = ", ".join(known) or "none"
    return Problem(
        loc, f"there is no {what} named {name}; {did_you_mean(name, known)}the scenario has: {there}", at_key
    )


_CHECKS: tuple[Callable[[Scenario], Iterator[Problem]], ...] = (
    _weights,
    _required,
    _ceiling,
    _copies_limit,
    _original_stops,
    _nodes,
    _namespaces,
    _rights,
    _operator,
    _agent_fits,
    _toolbox,
    _quota,
    _timeline,
    manifest_problems,
)
