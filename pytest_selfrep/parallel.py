"""Under pytest-xdist: what the controller tells its workers, so that all of them write to one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pytest

_KEY: Final = "selfrep"


@dataclass(frozen=True, slots=True)
class Run:
    """What the processes of one run share."""

    id: str
    output: Path


class Worker(Protocol):
    """What is needed of xdist's own class, which has no types."""

    workerinput: dict[str, object]


class Controller:
    """Hooks of the process that starts the workers."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Worker) -> None:
        node.workerinput[_KEY] = {"id": self._run.id, "output": str(self._run.output)}


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def shared_run(config: pytest.Config) -> Run:
    """In a worker, the run that the controller began."""
    told: dict[str, str] = getattr(config, "workerinput", {})[_KEY]
    return Run(told["id"], Path(told["output"]))
