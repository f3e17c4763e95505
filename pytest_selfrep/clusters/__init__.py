"""Where trials take place. ``resolve`` turns a name into a cluster; only then is its module imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_selfrep.errors import ClusterError, did_you_mean

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Cluster
    from pytest_selfrep.clusters.host import Host


def _embedded(host: Host | None) -> Cluster:
    from pytest_selfrep.clusters.embedded import EmbeddedCluster

    return EmbeddedCluster()


def _k3s(host: Host | None) -> Cluster:
    from pytest_selfrep.clusters.shared import SharedCluster

    if host is None:
        raise ClusterError("a k3s belongs to a run of pytest, which starts and removes it")
    return SharedCluster(host)


_KINDS: Mapping[str, Callable[[Host | None], Cluster]] = MappingProxyType(
    {"embedded": _embedded, "k3s": _k3s}
)

NAMES = ("embedded",)
"""The clusters that are offered."""

HOSTED = ("k3s",)
"""Those of which a run has one, with an owner (clusters.host)."""


def require(name: str) -> None:
    """ClusterError, with the nearest names, unless there is a cluster of this name."""
    if name not in _KINDS:
        hint = did_you_mean(name, NAMES)
        raise ClusterError(f"there is no cluster named {name!r}; {hint}there are: {', '.join(NAMES)}")


def resolve(name: str, host: Host | None = None) -> Cluster:
    """The cluster of this name; for those of HOSTED, the run's host. ClusterError if there is none."""
    require(name)
    return _KINDS[name](host)
