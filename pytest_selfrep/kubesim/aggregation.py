"""ClusterRoles that are made of others: which rules those give them."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.selectors import label_selector


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Json]:
    """The rules of all other roles that the role's ``aggregationRule`` selects, each of them once.

    ``roles`` are taken in the order of their names, whatever selector chose them.
    """
    selectors = [label_selector(each) for each in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    found: list[Json] = []
    for other in roles:
        meta = other["metadata"]
        if meta["name"] == role["metadata"]["name"]:
            continue
        if any(selector.matches(meta.get("labels") or {}) for selector in selectors):
            found += [rule for rule in other.get("rules") or () if rule not in found]
    return found
