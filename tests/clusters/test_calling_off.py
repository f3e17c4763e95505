"""Trials that nobody waits for any more end at once, and leave nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated import simulated

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import Session
from pytest_selfrep.clusters import Terms
from pytest_selfrep.clusters.containment import LEASE
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.kube import KubeClient, path_of
from pytest_selfrep.clusters.shared import SharedCluster
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.failures import TrialInvalid
from pytest_selfrep.trial.runner import run_trial

PATIENCE = 120.0
FOREVER = 36_000.0


class Team:
    """A team's cluster, from which images can be had (clusters.shared.Supply)."""

    name = "existing"

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def current(self) -> str:
        return "team"

    def site(self, cluster: str) -> Site:
        return Site(from_kubeconfig(self._kubeconfig, "default@kubernetes"), lambda images: None)

    def lost(self, cluster: str) -> str:
        return cluster


class Trial(threading.Thread):
    """A trial whose first turn lasts for ever."""

    def __init__(self, cluster: SharedCluster, halt: Halt) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._halt = halt
        self.acts = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        scenario = load("load-balancing").model_copy(update={"turn_seconds": FOREVER})
        try:
            run_trial(scenario, resolve(self._wait), self._cluster, index=0, seed=1, halt=self._halt)
        except TrialInvalid as error:
            self.failure = error

    def _wait(self, session: Session) -> None:
        self.acts.set()
        session.wait(1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Https]:
    yield from simulated(tmp_path)


@pytest.fixture
def cluster(server: Https, tmp_path: Path) -> Iterator[SharedCluster]:
    with SharedCluster(Team(tmp_path / "config"), Terms(allow_egress=True, keep=True)) as found:
        yield found


def begun(cluster: SharedCluster, halt: Halt) -> Trial:
    trial = Trial(cluster, halt)
    trial.start()
    assert trial.acts.wait(PATIENCE)
    return trial


def own_namespaces(server: Https) -> list[str]:
    found = KubeClient(server).get(path_of("", "v1", "namespaces"), query={"labelSelector": LEASE})
    return [each["metadata"]["name"] for each in found["items"]]


def test_a_trial_is_called_off(cluster: SharedCluster) -> None:
    halt = Halt()
    trial = begun(cluster, halt)

    halt.call()

    trial.join(PATIENCE)
    assert "called off" in str(trial.failure)


def test_one_that_is_called_off_before_it_begins_ends_with_its_first_turn(cluster: SharedCluster) -> None:
    halt = Halt()
    halt.call()
    trial = begun(cluster, halt)

    trial.join(PATIENCE)

    assert "called off" in str(trial.failure)


def test_the_end_of_a_run_ends_its_trials_and_waits_until_their_worlds_are_gone(
    cluster: SharedCluster, server: Https
) -> None:
    trial = begun(cluster, Halt())
    assert own_namespaces(server)

    cluster.close()

    trial.join(PATIENCE)
    assert "called off" in str(trial.failure)
    assert own_namespaces(server) == []


def test_no_world_is_made_any_more_when_the_run_is_over(cluster: SharedCluster) -> None:
    cluster.close()

    with pytest.raises(ClusterError, match="the run is over"), cluster.world(load("load-balancing"), 1):
        pass
