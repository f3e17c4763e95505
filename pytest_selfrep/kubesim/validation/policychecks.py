"""What is checked of quotas, limit ranges, disruption budgets, autoscalers, roles and bindings."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    at_least,
    forbidden,
    int_or_percent,
    invalid,
    invalid_go,
    label_selector,
    one_of,
    qualified_name,
    required,
    unsupported,
)
from pytest_selfrep.kubesim.validation.quotascopes import scope_causes

_LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
_SAID = {"min": "min", "defaultRequest": "default request", "default": "default", "max": "max"}
_ORDER = (
    ("min", "max", "min", "min"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest"),
    ("min", "default", "default", "min"),
    ("default", "max", "default", "max"),
)
"""Lower field, higher field, which of the two is blamed, and whose value is shown."""
_SUBJECTS = ("ServiceAccount", "User", "Group")
_STANDARD = (
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "hugepages-",
    "limits.",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.",
    "resourcequotas",
    "secrets",
    "services",
    "storage",
)
"""What the names that quotas know without a domain begin with."""
_COUNTS = ("pods", "services", "secrets", "configmaps", "resourcequotas", "count/")


def quota_causes(quota: Object, old: Object | None) -> list[Cause]:
    spec = quota["spec"]
    causes: list[Cause] = []
    for name, text in (spec.get("hard") or {}).items():
        at, amount = f"spec.hard[{name}]", quantity.parse(text)
        if qualified_name(name):
            causes.append(invalid(at, name, qualified_name(name)))
        elif "/" not in name and not name.startswith(_STANDARD):
            causes.append(invalid(at, name, "must be a standard resource type or fully qualified"))
            causes.append(invalid(at, name, "must be a standard resource for quota"))
        if amount < 0:
            causes.append(invalid(at, text, "must be greater than or equal to 0"))
        elif name.startswith(_COUNTS) and amount.denominator != 1:
            causes.append(invalid_go(at, quantity.canonical(text), "must be an integer"))
    causes += scope_causes(spec)
    if old is not None and (spec.get("scopes") or []) != (old["spec"].get("scopes") or []):
        causes.append(invalid("spec.scopes", spec.get("scopes"), "field is immutable"))
    return causes


def limit_range_causes(limit_range: Object, _old: Object | None) -> list[Cause]:
    causes: list[Cause] = []
    for index, item in enumerate(limit_range["spec"].get("limits") or ()):
        at = f"spec.limits[{index}]"
        if not item.get("type"):
            causes.append(required(f"{at}.type"))
            continue
        if item["type"] not in _LIMIT_TYPES and "/" not in item["type"]:
            why = "must be a standard limit type or fully qualified"
            causes.append(invalid(f"{at}.type", item["type"], why))
        if item["type"] == "Pod":
            for field in ("default", "defaultRequest"):
                if item.get(field):
                    causes.append(forbidden(f"{at}.{field}", "may not be specified when `type` is 'Pod'"))
        if item["type"] == "PersistentVolumeClaim" and not any(
            "storage" in (item.get(field) or {}) for field in ("min", "max")
        ):
            why = "either minimum or maximum storage value is required, but neither was provided"
            causes.append(required(f"{at}.limits", why))
        causes += _order_causes(item, at)
    return causes


def _order_causes(item: Object, at: str) -> Iterable[Cause]:
    """min <= defaultRequest <= default <= max, compared in the order of Kubernetes."""
    for name in sorted({name for field in _SAID for name in item.get(field) or ()}):
        for lower, higher, blamed, shown in _ORDER:
            small, big = (item.get(lower) or {}).get(name), (item.get(higher) or {}).get(name)
            if small is not None and big is not None and quantity.exceeds(small, big):
                why = f"{_SAID[lower]} value {small} is greater than {_SAID[higher]} value {big}"
                yield invalid_go(f"{at}.{blamed}[{name}]", item[shown][name], why)


def budget_causes(budget: Object, _old: Object | None) -> list[Cause]:
    spec = budget["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    causes: list[Cause] = []
    if least is not None and most is not None:
        shown = f"policy.PodDisruptionBudgetSpec{{MinAvailable:{least!r}, MaxUnavailable:{most!r}}}"
        causes.append(invalid_go("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    causes += int_or_percent("spec.minAvailable", least)
    causes += int_or_percent("spec.maxUnavailable", most)
    causes += label_selector("spec.selector", spec.get("selector"))
    return causes


def autoscaler_causes(autoscaler: Object, _old: Object | None) -> list[Cause]:
    spec = autoscaler["spec"]
    target, least, most = spec.get("scaleTargetRef") or {}, spec["minReplicas"], spec.get("maxReplicas", 0)
    causes = [required(f"spec.scaleTargetRef.{field}") for field in ("kind", "name") if not target.get(field)]
    if least < 1:
        causes.append(invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        causes.append(invalid("spec.maxReplicas", most, "must be greater than 0"))
    if most < least:
        causes.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    for index, metric in enumerate(spec["metrics"]):
        causes += _metric_causes(metric, f"spec.metrics[{index}]")
    return causes


def _metric_causes(metric: Object, at: str) -> Iterable[Cause]:
    kinds = ("ContainerResource", "External", "Object", "Pods", "Resource")
    kind = metric.get("type") or ""
    if not kind:
        yield required(f"{at}.type", "must specify a metric source type")
        return
    if kind not in kinds:
        yield unsupported(f"{at}.type", kind, kinds)
        return
    field = kind[0].lower() + kind[1:]
    source = metric.get(field)
    if source is None:
        yield required(f"{at}.{field}", "must populate information for the given metric source")
    elif kind == "Resource":
        if not source.get("name"):
            yield required(f"{at}.resource.name", "must specify a resource name")
        target = source.get("target") or {}
        yield from at_least(f"{at}.resource.target.averageUtilization", target.get("averageUtilization"), 1)
        if target.get("averageUtilization") is None and target.get("averageValue") is None:
            why = "must set either a target raw value or a target utilization"
            yield required(f"{at}.resource.target.averageUtilization", why)


def role_causes(role: Object, _old: Object | None) -> list[Cause]:
    causes: list[Cause] = []
    for index, rule in enumerate(role.get("rules") or ()):
        at = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.append(required(f"{at}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if role["metadata"].get("namespace"):
                why = "namespaced rules cannot apply to non-resource URLs"
                causes.append(invalid(f"{at}.nonResourceURLs", rule["nonResourceURLs"], why))
            continue
        if not rule.get("apiGroups"):
            why = "resource rules must supply at least one api group"
            causes.append(required(f"{at}.apiGroups", why))
        if not rule.get("resources"):
            causes.append(required(f"{at}.resources", "resource rules must supply at least one resource"))
    return [*causes, *_aggregation_causes(role.get("aggregationRule"))]


def _aggregation_causes(rule: Object | None) -> Iterable[Cause]:
    if rule is None:
        return
    at = "aggregationRule.clusterRoleSelectors"
    selectors = rule.get("clusterRoleSelectors") or ()
    if not selectors:
        yield required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for index, selector in enumerate(selectors):
        yield from label_selector(f"{at}[{index}]", selector)


def binding_causes(binding: Object, old: Object | None) -> list[Cause]:
    ref = binding["roleRef"]
    namespaced = bool(binding["metadata"].get("namespace"))
    causes = list(one_of("roleRef.apiGroup", ref["apiGroup"], ("rbac.authorization.k8s.io",)))
    causes += one_of(
        "roleRef.kind", ref.get("kind", ""), ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    )
    if not ref.get("name"):
        causes.append(required("roleRef.name"))
    if old is not None and old["roleRef"] != ref:
        shown = f'APIGroup:"{ref["apiGroup"]}", Kind:"{ref.get("kind", "")}", Name:"{ref.get("name", "")}"'
        causes.append(invalid_go("roleRef", f"rbac.RoleRef{{{shown}}}", "cannot change roleRef"))
    for index, subject in enumerate(binding.get("subjects") or ()):
        at = f"subjects[{index}]"
        if not subject.get("name"):
            causes.append(required(f"{at}.name"))
        causes += one_of(f"{at}.kind", subject.get("kind", ""), _SUBJECTS)
        unplaced = subject.get("kind") == "ServiceAccount" and not subject.get("namespace")
        if unplaced and not namespaced:
            causes.append(required(f"{at}.namespace"))
    return causes
