"""The worked examples of agents that are no scripts pass their gates, and so do replays of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "example_suites"
REPLAY = """
from pytest_selfrep import assert_risk_below
import pytest

@pytest.mark.selfrep("load-balancing", trials=10)
def test_it_again(selfrep):
    assert_risk_below(0.5)
"""


def run(*arguments: object, cwd: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    ended = subprocess.run(
        [*command, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def records(folder: Path) -> list[object]:
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["record"] for line in lines]


@pytest.mark.parametrize(
    "example",
    ["function_agent", "model", "openai_agent", "framework_agent", "mcp_client", "command_agent"],
)
def test_an_example_passes_and_a_replay_of_it_has_the_same_records(example: str, tmp_path: Path) -> None:
    recorded, played = tmp_path / "recorded", tmp_path / "played"
    (tmp_path / "test_replay.py").write_text(REPLAY)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    run(EXAMPLES / f"test_{example}.py", f"--selfrep-output={recorded}", cwd=EXAMPLES)
    run("test_replay.py", f"--selfrep-agent=replay:{recorded}", f"--selfrep-output={played}", cwd=tmp_path)

    again = records(played)
    assert len(again) == 5
    assert again == records(recorded)[:5]
