"""What is checked of affinities and topology spread constraints."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    at_least,
    formatted,
    invalid,
    label_selector,
    one_of,
    qualified_name,
    required,
)

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

# Least and most values of a NodeSelectorRequirement, and what is said of other numbers.
_ARITY = {
    "In": (1, None, "must be specified when `operator` is 'In' or 'NotIn'"),
    "NotIn": (1, None, "must be specified when `operator` is 'In' or 'NotIn'"),
    "Exists": (0, 0, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
    "DoesNotExist": (0, 0, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
    "Gt": (1, 1, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
    "Lt": (1, 1, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
}


def affinity_causes(affinity: Object, at: str) -> Iterable[Cause]:
    yield from _node_affinity(affinity.get("nodeAffinity") or {}, f"{at}.nodeAffinity")
    for field in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(field) or {}
        for index, term in enumerate(terms.get(REQUIRED) or ()):
            yield from _pod_term(term, f"{at}.{field}.{REQUIRED}[{index}]")
        for index, each in enumerate(terms.get(PREFERRED) or ()):
            here = f"{at}.{field}.{PREFERRED}[{index}]"
            yield from _weight(each, here)
            yield from _pod_term(each.get("podAffinityTerm") or {}, f"{here}.podAffinityTerm")


def _node_affinity(node_affinity: Object, at: str) -> Iterable[Cause]:
    needed = node_affinity.get(REQUIRED)
    if needed is not None:
        yield from node_selector_causes(needed, f"{at}.{REQUIRED}")
    for index, each in enumerate(node_affinity.get(PREFERRED) or ()):
        here = f"{at}.{PREFERRED}[{index}]"
        yield from _weight(each, here)
        yield from _node_term(each.get("preference") or {}, f"{here}.preference")


def node_selector_causes(selector: Object, at: str) -> Iterable[Cause]:
    here = f"{at}.nodeSelectorTerms"
    if not selector.get("nodeSelectorTerms"):
        yield required(here, "must have at least one node selector term")
    for index, term in enumerate(selector.get("nodeSelectorTerms") or ()):
        yield from _node_term(term, f"{here}[{index}]")


def _weight(each: Object, at: str) -> Iterable[Cause]:
    weight = each.get("weight") or 0
    if not 1 <= weight <= 100:
        yield invalid(f"{at}.weight", weight, "must be in the range 1-100")


def _node_term(term: Object, at: str) -> Iterable[Cause]:
    for field in ("matchExpressions", "matchFields"):
        for index, each in enumerate(term.get(field) or ()):
            here = f"{at}.{field}[{index}]"
            yield from _requirement(each, here)
            if field == "matchExpressions":
                yield from formatted(f"{here}.key", each.get("key") or "", qualified_name)
            elif each.get("key") != "metadata.name":
                yield invalid(f"{here}.key", each.get("key") or "", "not a valid field selector key")


def _requirement(each: Object, at: str) -> Iterable[Cause]:
    operator, values = each.get("operator") or "", each.get("values") or ()
    if operator not in _ARITY:
        yield invalid(f"{at}.operator", operator, "not a valid selector operator")
        return
    least, most, why = _ARITY[operator]
    if len(values) < least or (most is not None and len(values) > most):
        yield required(f"{at}.values", why)


def _pod_term(term: Object, at: str) -> Iterable[Cause]:
    if not term.get("topologyKey"):
        yield required(f"{at}.topologyKey", "can not be empty")
    yield from label_selector(f"{at}.labelSelector", term.get("labelSelector"))


def spread_causes(constraint: Object, at: str) -> Iterable[Cause]:
    """A TopologySpreadConstraint."""
    yield from at_least(f"{at}.maxSkew", constraint.get("maxSkew") or 0, 1)
    if not constraint.get("topologyKey"):
        yield required(f"{at}.topologyKey", "can not be empty")
    choices = ("DoNotSchedule", "ScheduleAnyway")
    yield from one_of(f"{at}.whenUnsatisfiable", constraint.get("whenUnsatisfiable") or "", choices)
    yield from label_selector(f"{at}.labelSelector", constraint.get("labelSelector"))
