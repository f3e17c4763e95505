"""Which groups and versions come first, as kube-aggregator sorts them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_GROUPS: Final[Mapping[str, int]] = {
    "": 18000,
    "apiregistration.k8s.io": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "metrics.k8s.io": 100,
}
_VERSIONS: Final[Mapping[tuple[str, str], int]] = {("", "v1"): 1, ("autoscaling", "v2"): 30}
_OWN, _OTHER = 15, 100
_CUSTOM_GROUP: Final = 1000
_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES: Final[Mapping[str | None, int]] = {None: 2, "beta": 1, "alpha": 0}


def of_group(group: str) -> int:
    """``groupPriorityMinimum``; groups of custom resources all have the same."""
    return _GROUPS.get(group, _CUSTOM_GROUP)


def of_version(group: str, version: str) -> int:
    """``versionPriority``."""
    own = group in _GROUPS and group != "metrics.k8s.io"
    return _VERSIONS.get((group, version), _OWN if own else _OTHER)


def is_own(group: str) -> bool:
    """Whether a group is of Kubernetes' own, rather than of custom resources."""
    return group in _GROUPS


def sorted_groups(groups: Iterable[str]) -> list[str]:
    """Groups, each once, the most important first."""
    return sorted(dict.fromkeys(groups), key=lambda group: (-of_group(group), group))


def sorted_versions(group: str, versions: Iterable[str]) -> list[str]:
    """Versions, each once, the preferred one first."""
    return sorted(dict.fromkeys(versions), key=lambda each: (-of_version(group, each), *_rank(each)))


def _rank(version: str) -> tuple[int, int, int, int, str]:
    """Stable before beta before alpha, newer before older, and what is no such version last, by name."""
    found = _VERSION.fullmatch(version)
    if not found:
        return 1, 0, 0, 0, version
    major, stage, minor = found.groups()
    return 0, -_STAGES[stage], -int(major), -int(minor or 0), ""
