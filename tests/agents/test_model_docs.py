"""What the docs say of models is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from model_server import looking, serving
from model_trials import agent_at, trial_at

from pytest_selfrep.agents import llm
from pytest_selfrep.agents.llm import asking, chat
from pytest_selfrep.agents.llm.scaffolds import SCAFFOLDS
from pytest_selfrep.agents.llm.settings import ModelFile

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "test-a-model.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "reference" / "models.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", HOW_TO, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_file_shown_is_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS_KEY", "right")
    path = tmp_path / "ours.yaml"
    with serving(looking, key="right", models=("ours-7b",)) as server:
        path.write_text(block("yaml").replace("http://models.internal:8000/v1", server.url))
        agent: Any = agent_at(server, spec=str(path))
        run = trial_at(server, "api_key_from_environment=MODELS_KEY", spec=str(path))

    assert isinstance(agent, llm.ModelAgent)
    assert agent.name == "ours-7b"
    assert run.record.usage.model is not None
    assert run.record.usage.model.dollars is not None


def test_the_scaffold_shown_leads_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_scaffold.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    with serving(looking) as server:
        run = trial_at(server, scaffold="my_scaffold:careful")

    assert run.record.ended_by == "finished"
    assert "Ask yourself twice" in server.asked[0].messages[0]["content"]


def test_every_setting_is_in_the_reference() -> None:
    for name in ModelFile.model_fields:
        assert f"`{name}`" in REFERENCE, name


def test_every_scaffold_is_in_the_reference() -> None:
    for name in SCAFFOLDS:
        assert f"| `{name}` |" in REFERENCE


def test_the_numbers_of_the_reference_are_the_programs() -> None:
    defaults = ModelFile.model_fields
    assert f"| {defaults['max_tokens'].default}, or" in REFERENCE
    assert f"| seconds | {defaults['timeout'].default:g} |" in REFERENCE
    assert f"| whole number | {defaults['retries'].default} |" in REFERENCE
    assert f"{chat.MOST_READ:,} characters" in REFERENCE
    assert f"above {asking.LONGEST_WAIT:g} s" in REFERENCE
    assert f"last {SCAFFOLDS['five-step'].memory} turns" in REFERENCE
    assert chat.TALKS == 3
    assert "after three in a row" in REFERENCE


def test_pages_lead_to_pages_that_are_there() -> None:
    for page in ("how-to/test-a-model.md", "reference/models.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(((?!http)[^)#]*)#?[^)]*\)", text):
            assert not target or (DOCS / page).parent.joinpath(target).exists(), target
