"""What trials of a model cost beside the model's own time: ``python benchmarks/models.py``.

The model is the tests' own server in a process of its own, which takes a second for each answer. Prints each
figure beside its budget, and exits with 1 if one is missed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from figures import Figures

from pytest_selfrep.agents import resolve as resolve_agent
from pytest_selfrep.agents.base import Agent
from pytest_selfrep.agents.given import Given
from pytest_selfrep.clusters import resolve as resolve_cluster
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.runner import TrialRun, run_trial

SERVER = Path(__file__).resolve().parent.parent / "tests" / "agents" / "model_server.py"
TRIALS = 10
LATENCY = 1.0
"""Seconds."""
CALLS = 4
"""Of a trial."""


def main() -> None:
    figures = Figures()
    with server(LATENCY) as url:
        trial = trials_of(url)
        trial(TRIALS)  # imports and caches
        alone = seconds_of(lambda: trial(0))
        in_turn = seconds_of(lambda: [trial(index) for index in range(TRIALS)])
        with ThreadPoolExecutor(TRIALS) as threads:
            together = seconds_of(lambda: list(threads.map(trial, range(TRIALS))))
    figures.show("one trial of a model, beside the model's time", alone - CALLS * LATENCY, "s", most=0.5)
    figures.show(f"{TRIALS} trials at once, to one after another", in_turn / together, "times", least=8)
    figures.show(f"{TRIALS} trials at once, to one alone", together / alone, "times", most=1.5)
    figures.conclude()


@contextmanager
def server(latency: float) -> Iterator[str]:
    """The URL of a model server in a process of its own."""
    command = [sys.executable, str(SERVER), "looking", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def trials_of(url: str) -> Callable[[int], TrialRun]:
    scenario, cluster = load("load-balancing"), resolve_cluster("embedded")
    agent = resolve_agent("openai/m", given=Given((f"api_base={url}",)))
    assert isinstance(agent, Agent)

    def run(index: int) -> TrialRun:
        found = run_trial(scenario, agent, cluster, index=index, seed=index)
        assert found.record.usage.model is not None
        assert found.record.usage.model.calls == CALLS
        return found

    return run


def seconds_of(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
