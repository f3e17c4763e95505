"""Pods that must or must not share a node, a zone and so on: affinity between pods, topology spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_selfrep.kubesim.kinds import NAMESPACE, NODE, POD
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, labels_of
from pytest_selfrep.kubesim.scheduling.nodeselection import selects
from pytest_selfrep.kubesim.scheduling.occupancy import is_finished
from pytest_selfrep.kubesim.selectors import label_selector
from pytest_selfrep.kubesim.store import Store

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def affinity_terms(pod: Object, kind: str) -> Sequence[Object]:
    """The required PodAffinityTerms of a pod; ``kind`` is ``podAffinity`` or ``podAntiAffinity``."""
    affinity = pod["spec"].get("affinity")
    return ((affinity.get(kind) if affinity else None) or {}).get(REQUIRED) or ()


def spread_constraints(pod: Object) -> list[Object]:
    """The TopologySpreadConstraints of a pod that must hold."""
    constraints = pod["spec"].get("topologySpreadConstraints") or ()
    return [each for each in constraints if each["whenUnsatisfiable"] == "DoNotSchedule"]


def finds_company(store: Store, pod: Object, node: Object) -> bool:
    """Whether each affinity term finds a pod in the node's domain, or the pod is the first of its kind."""
    terms = affinity_terms(pod, "podAffinity")
    if not terms:
        return True
    others = list(_placed(store))
    for term in terms:
        domain = labels_of(node).get(term["topologyKey"])
        if domain is None:
            return False
        wanted = [place for other, place in others if _means(store, term, pod, other)]
        if not any(labels_of(place).get(term["topologyKey"]) == domain for place in wanted) and (
            wanted or not _means(store, term, pod, pod)
        ):
            return False
    return True


def keeps_apart(store: Store, pod: Object, node: Object) -> bool:
    """Whether no anti-affinity term of the pod finds a pod in the node's domain."""
    terms = affinity_terms(pod, "podAntiAffinity")
    return not terms or not any(
        _share(term, node, place) and _means(store, term, pod, other)
        for other, place in _placed(store)
        for term in terms
    )


def is_tolerated(store: Store, pod: Object, node: Object) -> bool:
    """Whether no pod in one of the node's domains has an anti-affinity term against the pod."""
    return not any(
        _share(term, node, place) and _means(store, term, other, pod)
        for other, place in _placed(store)
        for term in affinity_terms(other, "podAntiAffinity")
    )


def has_topology(pod: Object, node: Object) -> bool:
    """Whether the node has the labels by which the pod wants to be spread."""
    return all(each["topologyKey"] in labels_of(node) for each in spread_constraints(pod))


def is_even(store: Store, pod: Object, node: Object) -> bool:
    """Whether the pod on that node would keep every skew within bounds."""
    constraints = spread_constraints(pod)
    if not constraints:
        return True
    others = list(_placed(store))
    for constraint in constraints:
        key, selector = constraint["topologyKey"], label_selector(constraint.get("labelSelector"))
        counts = {
            labels_of(each)[key]: 0
            for each in store.list(NODE)
            if has_topology(pod, each) and selects(pod["spec"], each)
        }
        for other, place in others:
            domain = labels_of(place).get(key)
            same = other["metadata"]["namespace"] == pod["metadata"]["namespace"]
            if domain in counts and same and not is_terminating(other) and selector.matches(labels_of(other)):
                counts[domain] += 1
        least = min(counts.values()) if len(counts) >= (constraint.get("minDomains") or 1) else 0
        more = counts.get(labels_of(node)[key], 0) + int(selector.matches(labels_of(pod)))
        if more - least > constraint["maxSkew"]:
            return False
    return True


def _placed(store: Store) -> Iterator[tuple[Object, Object]]:
    """Pods on nodes, with their nodes."""
    for pod in store.list(POD):
        name = pod["spec"].get("nodeName")
        node = store.get(NODE, Key("", name)) if name and not is_finished(pod) else None
        if node is not None:
            yield pod, node


def _share(term: Object, node: Object, place: Object) -> bool:
    domain = labels_of(node).get(term["topologyKey"])
    return domain is not None and labels_of(place).get(term["topologyKey"]) == domain


def _means(store: Store, term: Object, owner: Object, other: Object) -> bool:
    """Whether a term of ``owner`` is about ``other``."""
    if term.get("labelSelector") is None:
        return False
    namespace = other["metadata"]["namespace"]
    named = term.get("namespaces") or ()
    if "namespaceSelector" in term and term["namespaceSelector"] is not None:
        found = store.get(NAMESPACE, Key("", namespace))
        labels = labels_of(found) if found is not None else {}
        if namespace not in named and not label_selector(term["namespaceSelector"]).matches(labels):
            return False
    elif namespace not in (named or (owner["metadata"]["namespace"],)):
        return False
    return label_selector(term["labelSelector"]).matches(labels_of(other))
