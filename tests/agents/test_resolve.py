"""How users name agents, and what they are told when they name them wrongly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.scripted import SCRIPTS, draw
from pytest_selfrep.errors import AgentError


def careful(session: Session) -> None:
    """Does nothing at all."""


async def unhurried(session: Session) -> str:
    return "done"


class Careful:
    name = "careful"

    def run(self, session: Session) -> None:
        """Does nothing at all."""


class Callable:
    def __call__(self, session: Session) -> None:
        """Does nothing at all."""


INSTANCE = Careful()
NUMBER = 42


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to import from; what is imported from it is forgotten again."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripted_agents_go_by_their_names(name: str) -> None:
    assert resolve(f"scripted/{name}").name == f"scripted/{name}"


def test_every_script_says_in_a_line_what_it_does() -> None:
    for script in SCRIPTS.values():
        assert script.line
        assert "\n" not in script.line
        assert script.policy.__doc__


def test_a_function_is_named_after_its_module() -> None:
    assert resolve(careful).name == f"{__name__}:careful"
    assert resolve(unhurried).name == f"{__name__}:unhurried"


def test_a_callable_object_is_named_after_its_class() -> None:
    assert resolve(Callable()).name == f"{__name__}:Callable"


def test_an_agent_object_is_taken_as_it_is() -> None:
    assert resolve(INSTANCE) is INSTANCE


def test_a_function_is_found_by_its_import_path(on_path: Path) -> None:
    (on_path / "my_agents.py").write_text("def careful(session): pass\nclass Box:\n    inner = careful\n")
    assert resolve("my_agents:careful").name == "my_agents:careful"
    assert resolve("my_agents:Box.inner").name == "my_agents:careful"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("scripted/horder", "did you mean 'hoarder'?"),
        ("scripted/horder", "steady, hoarder, survivor, paralysed, misreader, blocked, replicator, decliner"),
        ("scripted/hoarder@0", "above 0 and at most 1"),
        ("scripted/hoarder@1.5", "above 0 and at most 1"),
        ("scripted/hoarder@often", "'often' must be a number"),
        ("scripted/hoarder@", "'' must be a number"),
        ("scripted/hoarder@nan", "above 0 and at most 1"),
        ("gpt", "module:function"),
        ("no_such_module_here:agent", "module 'no_such_module_here' cannot be imported"),
        ("json:dumpz", "did you mean 'dump' or 'dumps'?"),
        ("json:", "json"),
        (42, "agent 42 is of type int"),
        (Careful, "is a class; name an instance"),
        (lambda: None, "must take one argument, the session"),
        (lambda session, task: None, "must take one argument, the session"),
    ],
)
def test_what_is_no_agent_is_refused_with_a_remedy(spec: object, words: str) -> None:
    with pytest.raises(AgentError) as refused:
        resolve(spec)
    assert words in str(refused.value)


def test_a_module_that_breaks_is_told_from_one_that_is_missing(on_path: Path) -> None:
    (on_path / "broken_agents.py").write_text("1 / 0\n")
    with pytest.raises(AgentError, match="importing 'broken_agents' raised ZeroDivisionError"):
        resolve("broken_agents:careful")


def test_what_an_import_path_names_must_be_an_agent(on_path: Path) -> None:
    (on_path / "odd_agents.py").write_text("NUMBER = 42\n")
    with pytest.raises(AgentError, match="is of type int; it must be a function"):
        resolve("odd_agents:NUMBER")


def test_draws_are_even_and_only_the_seed_decides() -> None:
    draws = [draw(seed) for seed in range(4000)]
    assert draws == [draw(seed) for seed in range(4000)]
    assert 0.27 < sum(each < 0.3 for each in draws) / len(draws) < 0.33
    assert min(draws) >= 0.0
    assert max(draws) < 1.0


def test_naming_agents_imports_nothing_heavy() -> None:
    heavy = ("pydantic", "aiohttp", "kubernetes", "litellm", "orjson", "yaml")
    code = (
        "import sys; from pytest_selfrep.agents import resolve; resolve('scripted/hoarder@0.3');"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
