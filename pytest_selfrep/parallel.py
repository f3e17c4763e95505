"""Under pytest-xdist: what the controller tells its workers, so that all share one run and one cluster."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict

import pytest

if TYPE_CHECKING:
    from pytest_selfrep.clusters.desk import Asking

_KEY: Final = "selfrep"


@dataclass(frozen=True, slots=True)
class Run:
    """What the processes of one run share."""

    id: str
    output: Path

    @property
    def purse(self) -> Path:
        """Where it is written down what models take of the run's budget, once they take any."""
        return Path(tempfile.gettempdir(), f"selfrep-{self.id}.purse")


class _Told(TypedDict):
    id: str
    output: str
    desk: tuple[str, str] | None
    """Where the cluster is to be asked for, and with which key."""


class Worker(Protocol):
    """What is needed of xdist's own class, which has no types."""

    workerinput: dict[str, object]


class Controller:
    """Hooks of the process that starts the workers."""

    def __init__(self, run: Run, desk: tuple[str, str] | None, left: list[str]) -> None:
        """``left`` takes in what workers could not remove from the cluster, in words."""
        self._told: _Told = {"id": run.id, "output": str(run.output), "desk": desk}
        self._left = left

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Worker) -> None:
        node.workerinput[_KEY] = self._told

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        # One that crashed has no output.
        self._left += getattr(node, "workeroutput", {}).get(_KEY, [])


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def shared_run(config: pytest.Config) -> Run:
    """In a worker, the run that the controller began."""
    told = _told(config)
    return Run(told["id"], Path(told["output"]))


def shared_cluster(config: pytest.Config) -> Asking | None:
    """In a worker, the cluster of its controller; None if that has none."""
    desk = _told(config)["desk"]
    if desk is None:
        return None
    from pytest_selfrep.clusters.desk import Asking

    return Asking(*desk, worker=_input(config)["workerid"])


def tell_left(config: pytest.Config, left: list[str]) -> None:
    """In a worker: what is left in the cluster, for the controller's summary."""
    output: dict[str, object] = getattr(config, "workeroutput", {})
    output[_KEY] = left


def _told(config: pytest.Config) -> _Told:
    told: _Told = _input(config)[_KEY]
    return told


def _input(config: pytest.Config) -> dict[str, Any]:
    """Values of any kind, by xdist and plugins."""
    found: dict[str, Any] = getattr(config, "workerinput", {})
    return found
