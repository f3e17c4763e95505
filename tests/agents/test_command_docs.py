"""What the docs say of command-line agents is what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pytest_selfrep.agents.command import CommandAgent, container, host, words
from pytest_selfrep.agents.command.outfit import BRIDGE_COPY, GIVEN, PLACEHOLDERS
from pytest_selfrep.tools import shell
from pytest_selfrep.tools.mcp import Endpoint, messages, server

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "agents.md").read_text(encoding="utf-8")
SECTION = REFERENCE[REFERENCE.index("## A command line") : REFERENCE.index("## An image that lives")]
TOOLS = (DOCS / "reference" / "tools.md").read_text(encoding="utf-8")
OVER_MCP = TOOLS[TOOLS.index("## Over MCP") :]
HOW_TO = (DOCS / "how-to" / "test-a-command-line-agent.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", CommandAgent.model_fields)
def test_the_reference_has_every_field(field: str) -> None:
    assert f"\n| `{field}` |" in SECTION


def test_the_reference_has_no_other_field() -> None:
    table = SECTION[: SECTION.index("| placeholder |")]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) == CommandAgent.model_fields.keys()


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_the_reference_has_every_placeholder(name: str) -> None:
    assert f"`{{{name}}}`" in SECTION


@pytest.mark.parametrize("name", GIVEN)
def test_the_reference_says_what_the_program_finds(name: str) -> None:
    assert f"`{name}`" in SECTION


def test_the_reference_has_the_bounds() -> None:
    said = " ".join(SECTION.split())
    assert host.MOST_PROCESSES == container.MOST_PROCESSES
    assert f"{host.MOST_PROCESSES} processes at once" in said
    assert f"print {words.MOST_PRINTED // 1_000_000} MB" in said
    assert f"up to {shell.HEAD + shell.TAIL:,} bytes" in said
    assert f"{container.MEMORY[:-1]} GiB of memory" in said
    assert f"{container.CPUS} processors" in said
    assert f"`/tmp` of {container.SCRATCH[:-1]} GiB" in said
    assert f"write {container.MOST_WRITTEN >> 30} GiB to disk" in said


def test_the_page_of_tools_says_what_the_server_is() -> None:
    assert f"Protocol versions {messages.VERSIONS[0]} to {messages.VERSIONS[-1]}" in OVER_MCP
    assert f"every {server.PATIENCE_SECONDS:.0f} seconds" in OVER_MCP
    assert messages.OVER in OVER_MCP
    for name in ("url", "headers", "http_config", "stdio_config", "environment"):
        assert hasattr(Endpoint("http://x", "y"), name)
        assert f"`{name}" in OVER_MCP


def test_the_files_that_are_shown_describe_agents() -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", HOW_TO, re.MULTILINE | re.DOTALL)
    agents = [CommandAgent.model_validate(yaml.safe_load(text)) for text in shown]

    assert [agent.name for agent in agents] == ["claude", "mine", "codex"]
    assert BRIDGE_COPY in agents[2].files[".codex/config.toml"]
