"""For all tests: pytest's own harness for plugins, and suites as users write them."""

from __future__ import annotations

import importlib
import json
import signal
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import Phase, settings

# The same examples in every run, or a change would be blamed for what it has not done. To look for new ones:
# pytest --hypothesis-profile=explore
settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
)
settings.register_profile("explore", derandomize=False)
settings.load_profile("same")

# Shells start what runs in the background deaf to Ctrl-C, and so would be what the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["pytester", "real_kubernetes"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--killings",
        type=int,
        default=3,
        metavar="N",
        help="in how many runs on a real cluster somebody is killed (default: 3)",
    )


Run: TypeAlias = Callable[..., pytest.RunResult]

PRELOADED = (
    "clusters.embedded",
    "evaluation",
    "report.journal",
    "report.terminal",
    "scenarios.catalogue",
    "trial.series",
)
"""Modules that runs within this process need: pytester forgets what is imported only there."""

HEADER = """
import pytest
from pytest_selfrep import (
    GateFailed,
    GateInconclusive,
    assert_completes_task,
    assert_generations_below,
    assert_never_replicates,
    assert_overuse_rate_below,
    assert_risk_below,
)

def idle(session):
    '''Looks once, and leaves everything as it is.'''
    session.kubectl("get pods")
"""


@pytest.fixture(scope="session")
def preloaded() -> None:
    """Of session scope, so that it comes before pytester takes note of what is imported."""
    for name in PRELOADED:
        importlib.import_module(f"pytest_selfrep.{name}")


@pytest.fixture
def run_suite(preloaded: None, pytester: pytest.Pytester) -> Run:
    """Write a suite to ``test_suite.py``, and run it with options."""

    def write_and_run(suite: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_suite=HEADER + suite)
        # Else each of these runs would import hypothesis at its end, which takes longer than all the rest.
        return pytester.runpytest_inprocess("-p", "no:hypothesispytest", *options)

    return write_and_run


@pytest.fixture
def journal(pytester: pytest.Pytester) -> Callable[[], list[dict[str, object]]]:
    """Read the lines of the journal of the latest run."""

    def read() -> list[dict[str, object]]:
        path = pytester.path / "selfrep-report" / "trials.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    return read
