"""Where trials take place. ``resolve`` turns a name into a cluster; only then is its module imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_selfrep.errors import ClusterError, did_you_mean

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Cluster
    from pytest_selfrep.clusters.host import Host
    from pytest_selfrep.scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class Terms:
    """On which worlds are made in a cluster that is shared."""

    allow_egress: bool = False
    """Whether a cluster will do that lets pods out."""
    pace: float = 1.0
    """How many times faster than in the scenario time passes."""
    keep: bool = False
    """Whether the cluster outlives the run, and is to be left clean."""
    place: Place | None = None
    """Where a cluster is that exists."""
    toolbox_image: str = ""
    """Of agents' toolboxes; the scenario's own if none is given."""
    mark: str = ""
    """Of what this process makes where a cluster exists, by which another finds it; empty: one of its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """A context of a kubeconfig, and the images that its cluster can pull."""

    kubeconfig: Path
    context: str
    stand_in: str = ""
    """``IMAGE [COMMAND...]`` of the agent's body; clusters.substitutes has a default."""
    bystander: str = ""
    """The same of all others."""
    namespaces: tuple[str, ...] = ()
    """To make do with; none: each world has some of its own."""


def _embedded(host: Host | None, terms: Terms) -> Cluster:
    from pytest_selfrep.clusters.embedded import EmbeddedCluster

    return EmbeddedCluster()


def _k3s(host: Host | None, terms: Terms) -> Cluster:
    from pytest_selfrep.clusters.shared import HostSupply, SharedCluster

    if host is None:
        raise ClusterError("a k3s belongs to a run of pytest, which starts and removes it")
    return SharedCluster(HostSupply(host), terms)


def _existing(host: Host | None, terms: Terms) -> Cluster:
    from pytest_selfrep.clusters.shared import Existing, SharedCluster
    from pytest_selfrep.clusters.substitutes import Program, Substitutes

    place = terms.place
    if place is None:
        raise ClusterError("--selfrep-cluster existing needs --selfrep-context NAME")
    usual = Substitutes()
    substitutes = Substitutes(
        Program.of(place.stand_in) if place.stand_in else usual.agent,
        Program.of(place.bystander) if place.bystander else usual.others,
    )
    supply = Existing(place.kubeconfig, place.context, substitutes, place.namespaces, terms.mark)
    return SharedCluster(supply, replace(terms, keep=True))


_KINDS: Mapping[str, Callable[[Host | None, Terms], Cluster]] = MappingProxyType(
    {"embedded": _embedded, "k3s": _k3s, "existing": _existing}
)

NAMES = tuple(_KINDS)
"""The clusters that are offered."""

REAL = ("k3s", "existing")
"""Those that are there for more than one trial, with pods that run."""

HOSTED = ("k3s",)
"""Those of which a run has one, with an owner (clusters.host)."""


def require(name: str) -> None:
    """ClusterError, with the nearest names or what to install, unless there is a cluster of this name."""
    if name not in _KINDS:
        hint = did_you_mean(name, NAMES)
        raise ClusterError(f"there is no cluster named {name!r}; {hint}there are: {', '.join(NAMES)}")
    if name in REAL and find_spec("kubernetes") is None:
        raise ClusterError(
            "a real cluster needs a Python package that is not installed (kubernetes): "
            "pip install 'pytest-selfrep[k3s]'"
        )


def require_room(scenario: Scenario, given: Sequence[str]) -> None:
    """ClusterError if a scenario has more namespaces than were given, and some were."""
    if given:
        from pytest_selfrep.clusters.given_namespaces import require_enough
        from pytest_selfrep.clusters.placing import namespaces_of

        require_enough(given, namespaces_of(scenario))


def resolve(name: str, host: Host | None = None, terms: Terms | None = None) -> Cluster:
    """The cluster of this name; for those of HOSTED, the run's host. ClusterError if there is none."""
    require(name)
    return _KINDS[name](host, terms or Terms())
