"""A cluster of which a run has one, for all its trials."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.clusters.host import Host
    from pytest_selfrep.scenarios.model import Scenario


class SharedCluster:
    """The host's cluster, as trials see it."""

    name = "k3s"

    def __init__(self, host: Host) -> None:
        self._host = host

    def server(self) -> Path:
        """The administrator's kubeconfig; the cluster is started if need be. Raises ClusterError."""
        return self._host.server().kubeconfig

    def world(self, scenario: Scenario, seed: int) -> AbstractContextManager[World]:
        raise ClusterError(f"trials cannot take place on {self.name} yet: use --selfrep-cluster embedded")
