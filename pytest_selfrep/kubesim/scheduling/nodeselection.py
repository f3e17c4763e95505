"""Whether a pod's node selector, node affinity and tolerations agree with a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_selfrep.kubesim.objects import Object, labels_of

Values = Sequence[str]

OPERATORS: Mapping[str, Callable[[str | None, Values], bool]] = {
    "In": lambda have, values: have in values,
    "NotIn": lambda have, values: have not in values,
    "Exists": lambda have, values: have is not None,
    "DoesNotExist": lambda have, values: have is None,
    "Gt": lambda have, values: _is_integer(have) and int(have or 0) > int(values[0]),
    "Lt": lambda have, values: _is_integer(have) and int(have or 0) < int(values[0]),
}
"""NodeSelectorRequirement operators, over a node's value (or None) and the requirement's values."""


def _is_integer(text: str | None) -> bool:
    return text is not None and text.isascii() and text.removeprefix("-").isdigit()


def _meets(term: Object, node: Object) -> bool:
    """Whether a node meets all of a NodeSelectorTerm; an empty term matches no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels, names = labels_of(node), {"metadata.name": node["metadata"]["name"]}
    return all(
        OPERATORS[each["operator"]](have.get(each["key"]), each.get("values") or ())
        for have, requirements in ((labels, expressions), (names, fields))
        for each in requirements
    )


def meets_any(selector: Object, node: Object) -> bool:
    """Whether a node meets at least one of the terms of a NodeSelector."""
    return any(_meets(term, node) for term in selector.get("nodeSelectorTerms") or ())


def selects(spec: Object, node: Object) -> bool:
    """Whether ``nodeSelector`` and required node affinity of a pod spec accept a node."""
    selector = spec.get("nodeSelector")
    if selector:
        labels = labels_of(node)
        if any(labels.get(name) != value for name, value in selector.items()):
            return False
    required = _node_affinity(spec).get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or meets_any(required, node)


def preference(spec: Object, node: Object) -> int:
    """The weights of preferred node affinity that a node meets, less its soft taints not tolerated."""
    preferred = _node_affinity(spec).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    met = sum(each["weight"] for each in preferred if _meets(each["preference"], node))
    return int(met) - sum(1 for _ in untolerated(spec, node, ("PreferNoSchedule",)))


def _node_affinity(spec: Object) -> Object:
    affinity = spec.get("affinity")
    return (affinity.get("nodeAffinity") if affinity else None) or {}


def tolerates(toleration: Object, taint: Object) -> bool:
    """core/v1 Toleration.ToleratesTaint."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    key = toleration.get("key")
    if key and key != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(key) and toleration.get("value", "") == taint.get("value", "")


def taints_of(node: Object) -> Sequence[Object]:
    return (node.get("spec") or {}).get("taints") or ()


def untolerated(spec: Object, node: Object, effects: Sequence[str]) -> Sequence[Object]:
    """The taints of a node, of given effects, that a pod spec does not tolerate."""
    tolerations = spec.get("tolerations") or ()
    return [
        taint
        for taint in taints_of(node)
        if taint["effect"] in effects and not any(tolerates(each, taint) for each in tolerations)
    ]
