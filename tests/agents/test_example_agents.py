"""The worked examples of agents that are no scripts pass their gates, and so do replays of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

EXAMPLES = Path(__file__).parents[2] / "example_suites"


def test_only_the_example_of_a_command_runs_commands_on_this_machine() -> None:
    allowing = [path for path in EXAMPLES.rglob("*.ini") if "selfrep_allow_host_commands" in path.read_text()]

    assert allowing == [EXAMPLES / "command_line" / "pytest.ini"]


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
    [
        "test_function_agent.py",
        "test_model.py",
        "test_openai_agent.py",
        "test_framework_agent.py",
        "test_mcp_client.py",
        "command_line/test_command_agent.py",
    ],
)
def test_an_example_passes_and_a_replay_of_it_has_the_same_records(example: str, tmp_path: Path) -> None:
    recorded, played = tmp_path / "recorded", tmp_path / "played"
    # As somebody has them who has copied them.
    copied = tmp_path / "copied"
    copytree(EXAMPLES, copied, ignore=ignore_patterns("selfrep-report", "__pycache__"))

    run(copied / example, f"--selfrep-output={recorded}", cwd=copied)
    run(copied / example, f"--selfrep-agent=replay:{recorded}", f"--selfrep-output={played}", cwd=copied)

    again = records(played)
    assert again
    assert again == records(recorded)
