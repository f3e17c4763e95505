"""Under pytest-xdist: what the controller tells its workers, so that all share one run and one cluster."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Collection, Sequence
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
        """Where it is written down what models take of the run's budget."""
        return Path(tempfile.gettempdir(), f"selfrep-{self.id}.purse")

    def open_purse(self) -> None:
        """Once in a run: where its workers are started, or else at its first gate."""
        self.purse.touch(mode=0o600, exist_ok=False)


class _Told(TypedDict):
    id: str
    output: str
    desk: tuple[str, str] | None
    """Where the cluster is to be asked for, and with which key."""
    mark: str
    """Of what the worker makes in a cluster."""


class Worker(Protocol):
    """What is needed of xdist's own class, which has no types."""

    workerinput: dict[str, object]


TidyUp = Callable[[Collection[str]], Sequence[str]]
"""Removes what workers with these marks left in the cluster, for they were killed; in words what stayed."""


class Controller:
    """Hooks of the process that starts the workers."""

    def __init__(self, run: Run, desk: tuple[str, str] | None, left: list[str], tidy_up: TidyUp) -> None:
        """``left`` takes in what could not be removed from the cluster, in words."""
        self._told: _Told = {"id": run.id, "output": str(run.output), "desk": desk, "mark": ""}
        self._left = left
        self._tidy_up = tidy_up
        self._workers: dict[str, object] = {}
        """By their marks."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Worker) -> None:
        mark = secrets.token_hex(5)
        self._workers[mark] = node
        node.workerinput[_KEY] = {**self._told, "mark": mark}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """When xdist has ended all workers, by force if need be."""
        killed: list[str] = []
        for mark, node in self._workers.items():
            output = getattr(node, "workeroutput", {})
            if _KEY in output:
                self._left += output[_KEY]
            else:
                killed.append(mark)
        if killed:
            self._left += self._tidy_up(killed)


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

    return Asking(*desk)


def mark(config: pytest.Config) -> str:
    """Of what this process makes in a cluster; empty where no other would tidy up after it."""
    return _told(config)["mark"] if is_worker(config) else ""


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
