"""What is checked of a ResourceQuota's scopes: which there are, what they can count, and what contradicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import go_strings, invalid, invalid_go, required

_SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
)
_CONTRADICTORY = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_COMPUTED = ("cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory")
"""What all scopes but BestEffort can count besides pods."""
_STANDARD = (
    *_COMPUTED,
    "configmaps",
    "ephemeral-storage",
    "limits.ephemeral-storage",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.ephemeral-storage",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
)
"""Names of which it is known whether scopes can count them; others are let through."""
_SELECTED = "spec.scopeSelector.matchExpressions"
_EXISTS = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
    "ResourceQuotaScopeCrossNamespacePodAffinity"
)


def scope_causes(spec: Object) -> Iterable[Cause]:
    """A ResourceQuotaSpec."""
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid_go("spec.scopes", _go(scopes), "unsupported scope")
        for _ in _uncountable(scope, spec):
            yield invalid_go("spec.scopes", _go(scopes), "unsupported scope applied to resource")
    for _ in _contradictions(scopes):
        yield invalid_go("spec.scopes", _go(scopes), "conflicting scopes")
    if spec.get("scopeSelector"):
        yield from _selector_causes(spec, spec["scopeSelector"].get("matchExpressions") or [])


def _selector_causes(spec: Object, expressions: Sequence[Object]) -> Iterable[Cause]:
    for each in expressions:
        scope, operator, values = each.get("scopeName", ""), each.get("operator", ""), each.get("values")
        if scope not in _SCOPES:
            yield invalid(f"{_SELECTED}.scopeName", scope, "unsupported scope")
        for _ in _uncountable(scope, spec):
            yield invalid_go(_SELECTED, _go_selector(expressions), "unsupported scope applied to resource")
        if scope in _SCOPES and scope != "PriorityClass" and operator != "Exists":
            yield invalid(f"{_SELECTED}.operator", operator, _EXISTS)
        if operator in ("In", "NotIn"):
            if not values:
                why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                yield required(f"{_SELECTED}.values", why)
        elif operator not in ("Exists", "DoesNotExist"):
            yield invalid(f"{_SELECTED}.operator", operator, "not a valid selector operator")
        elif values:
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            yield invalid_go(f"{_SELECTED}.values", go_strings(values), why)
    for _ in _contradictions([each.get("scopeName", "") for each in expressions]):
        yield invalid_go(_SELECTED, _go(spec.get("scopes")), "conflicting scopes")


def _uncountable(scope: str, spec: Object) -> Sequence[str]:
    """What the quota counts and a scope cannot."""
    countable = ("pods",) if scope == "BestEffort" else ("pods", *_COMPUTED)
    hard = spec.get("hard") or {}
    return [name for name in hard if scope in _SCOPES and name in _STANDARD and name not in countable]


def _contradictions(scopes: Sequence[str]) -> Sequence[tuple[str, str]]:
    return [pair for pair in _CONTRADICTORY if all(each in scopes for each in pair)]


def _go(scopes: Sequence[str] | None) -> str:
    listed = ", ".join(f'"{each}"' for each in scopes or ())
    return f"[]core.ResourceQuotaScope{{{listed}}}" if scopes else "[]core.ResourceQuotaScope(nil)"


def _go_selector(expressions: Sequence[Object]) -> str:
    listed = ", ".join(
        f'core.ScopedResourceSelectorRequirement{{ScopeName:"{each.get("scopeName", "")}", '
        f'Operator:"{each.get("operator", "")}", Values:{go_strings(each.get("values"))}}}'
        for each in expressions
    )
    requirements = f"[]core.ScopedResourceSelectorRequirement{{{listed}}}"
    return f"core.ScopeSelector{{MatchExpressions:{requirements}}}"
