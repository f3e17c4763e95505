"""What trials and the plugin itself cost: ``python benchmarks/trials.py``.

Prints each figure beside its budget, and exits with 1 if one is missed. CPU times are medians over several
runs on an otherwise idle machine.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from figures import Figures

from pytest_selfrep.agents import resolve as resolve_agent
from pytest_selfrep.clusters import resolve as resolve_cluster
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.runner import run_trial

TURNS = 5
GATE = """
import pytest

@pytest.mark.selfrep("load-balancing", trials={trials}, confidence=None, limits={{"turns": {turns}}},
                     timeline=[{{"turn": 0, "load": 110}}, {{"turn": 2, "load": 240}}])
def test_gate(selfrep):
    selfrep.run()
    selfrep.assert_risk_below(0.5)
"""


def main() -> None:
    figures = Figures()
    figures.show("CPU of a trial of five turns", milliseconds_of_cpu_per_trial(), "ms", most=25)
    seconds, megabytes = thousand_trials()
    figures.show("1,000 such trials, wall time", seconds, "s", most=30)
    figures.show("1,000 such trials, peak memory", megabytes, "MB", most=300)
    figures.show("import of the plugin", milliseconds_of_import(), "ms", most=20)
    figures.conclude()


def milliseconds_of_cpu_per_trial() -> float:
    scenario = load("load-balancing").overridden(
        {"limits": {"turns": TURNS}, "timeline": [{"turn": 0, "load": 110}, {"turn": 2, "load": 240}]}
    )
    agent, cluster = resolve_agent("scripted/steady"), resolve_cluster("embedded")

    def one(index: int) -> Callable[[], object]:
        return lambda: run_trial(scenario, agent, cluster, index=index, seed=index)

    one(0)()  # imports and caches
    return statistics.median(cpu_milliseconds(one(index)) for index in range(1, 41))


def cpu_milliseconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000


def thousand_trials() -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of a pytest run with one gate of 1,000 trials."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "test_gate.py")
        suite.write_text(GATE.format(trials=1000, turns=TURNS))
        start = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder),
                *("--selfrep-jobs=2", "--selfrep-agent=scripted/steady", str(suite)),
            ],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def milliseconds_of_import() -> float:
    """What importing the plugin adds to a process that has imported pytest, as pytest itself does.

    Compiled to bytecode before, as installed packages are.
    """
    code = (
        "import time, pytest, _pytest.terminal; start = time.perf_counter(); import pytest_selfrep.plugin; "
        "print((time.perf_counter() - start) * 1000)"
    )
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        runs = [
            subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
            for _ in range(10)
        ]
    return statistics.median(map(float, runs[1:]))


if __name__ == "__main__":
    main()
