"""ClusterRoles that are made of others: which rules those give them."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim.objects import Json, Object, labels_of
from pytest_selfrep.kubesim.selectors import label_selector


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Json]:
    """The rules of all other roles that the role's ``aggregationRule`` selects, each of them once.

    ``roles`` are taken in the order of their names, whatever selector chose them.
    """
    found: list[Json] = []
    for other in roles:
        if other["metadata"]["name"] != role["metadata"]["name"] and selects(role, other):
            found += [rule for rule in other.get("rules") or () if rule not in found]
    return found


def selects(role: Object, other: Object) -> bool:
    """Whether the role's ``aggregationRule`` selects another role."""
    labels = labels_of(other)
    selectors = role["aggregationRule"].get("clusterRoleSelectors") or ()
    return any(label_selector(each).matches(labels) for each in selectors)
