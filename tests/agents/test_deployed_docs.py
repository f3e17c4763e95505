"""What the docs say of agents that live in the cluster is what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pytest_selfrep.agents.deployed import GIVEN, MESSAGES_FILE, TASK_FILE, Destination, ImageAgent
from pytest_selfrep.trial import pod_logs, watched

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "agents.md").read_text(encoding="utf-8")
SECTION = REFERENCE[REFERENCE.index("## An image that lives in the cluster") :]
HOW_TO = (DOCS / "how-to" / "test-an-agent-that-lives-in-the-cluster.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", [*ImageAgent.model_fields, *Destination.model_fields])
def test_the_reference_has_every_field(field: str) -> None:
    assert f"`{field}`" in SECTION


@pytest.mark.parametrize(
    "field", re.findall(r"^\| `([a-z_]+)`(?:, `([a-z_]+)`)? \| [a-z]+", SECTION, re.MULTILINE)
)
def test_the_reference_has_no_other_field(field: tuple[str, str]) -> None:
    assert {name for name in field if name} <= ImageAgent.model_fields.keys()


@pytest.mark.parametrize("given", [*GIVEN, MESSAGES_FILE, TASK_FILE])
def test_the_reference_says_what_the_agent_finds(given: str) -> None:
    assert f"`{given}`" in SECTION


def test_the_reference_has_the_bounds() -> None:
    assert f"up to {pod_logs.MOST_LOGS} pods, {pod_logs.LONGEST_LOG // 1000} kB each" in SECTION
    assert f"within {watched.LOOKS} seconds" in SECTION
    assert f"up to {watched.MOST_DEEDS}." in SECTION


def test_the_files_that_are_shown_describe_agents() -> None:
    shown = re.findall(r"^ *```yaml\n(.*?)^ *```$", HOW_TO, re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    for text in shown:
        assert ImageAgent.model_validate(yaml.safe_load(text)).name == "mine"


def test_the_object_that_is_shown_is_an_agent() -> None:
    (shown,) = re.findall(r"return (ImageAgent\(.*?\n    \))", HOW_TO, re.DOTALL)
    found = eval(shown, {"ImageAgent": ImageAgent})
    assert found.env_from_environment == ("ANTHROPIC_API_KEY",)
