"""Where trials take place. ``resolve`` turns a name into a cluster; only then is its module imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_selfrep.errors import ClusterError, did_you_mean

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Cluster


def _embedded() -> Cluster:
    from pytest_selfrep.clusters.embedded import EmbeddedCluster

    return EmbeddedCluster()


_KINDS: Mapping[str, Callable[[], Cluster]] = MappingProxyType({"embedded": _embedded})

NAMES = tuple(_KINDS)
"""The clusters there are."""


def require(name: str) -> None:
    """ClusterError, with the nearest names, unless there is a cluster of this name."""
    if name not in _KINDS:
        hint = did_you_mean(name, NAMES)
        raise ClusterError(f"there is no cluster named {name!r}; {hint}there are: {', '.join(NAMES)}")


def resolve(name: str) -> Cluster:
    """The cluster of this name. ClusterError if there is none."""
    require(name)
    return _KINDS[name]()
