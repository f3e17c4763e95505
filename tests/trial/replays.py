"""Runs that are recorded and replayed without pytest around them: a gate's trials, into a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_selfrep.agents import in_run, resolve
from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.replay import ReplayAgent
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.records import InvalidTrial, Trial
from pytest_selfrep.report.journal import Journal
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.trial.judge import Judge
from pytest_selfrep.trial.series import Plan, Series
from pytest_selfrep.trial.spending import Budget

GATE = "suite.py::test_gate"


def run(
    folder: Path,
    agent: Callable[[Session], object] | str,
    scenario: Scenario,
    *,
    trials: int = 1,
    seed: int = 0,
    lenient: bool = False,
    gate: str = GATE,
    budget: Budget | None = None,
    judge: Judge | None = None,
) -> list[Trial | InvalidTrial]:
    """Run a gate's first trials, and write them to a folder."""
    found = in_run(resolve(agent), folder, lenient=lenient)
    named = found.spec if isinstance(found, ReplayAgent) else found.name
    plan = Plan(f"{gate}[{named}]", scenario, found, EmbeddedCluster(), seed, 1, budget, judge, gate)
    journal = Journal(folder, str(folder))
    series = Series(plan, journal)
    try:
        return [series.next() for _ in range(trials)]
    finally:
        series.close()
        journal.close()


def replayed(
    folder: Path, scenario: Scenario, *, trials: int = 1, seed: int = 0, lenient: bool = False
) -> list[Trial | InvalidTrial]:
    """Play back what was recorded in a folder, into another one beside it."""
    return run(
        folder.with_name("again"), f"replay:{folder}", scenario, trials=trials, seed=seed, lenient=lenient
    )


def records(folder: Path) -> list[str]:
    """The records of a journal, to the byte."""
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.dumps(json.loads(line)["record"]) for line in lines]


def recordings(folder: Path) -> list[Path]:
    return sorted((folder / "recordings").rglob("*.jsonl"))


def edited(path: Path, line: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a line, counted from 1, of a recording."""
    lines = path.read_text(encoding="utf-8").split("\n")
    value = json.loads(lines[line - 1])
    change(value)
    lines[line - 1] = json.dumps(value)
    path.write_text("\n".join(lines), encoding="utf-8")
