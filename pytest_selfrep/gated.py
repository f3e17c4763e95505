"""Whom a test is run for: agents that are named, its suite's own, or recordings in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_selfrep.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_selfrep.options import Settings

FIXTURE: Final = "selfrep"
AGENT: Final = "selfrep_agent"
NAMED_AGENT: Final = "selfrep_named_agent"


def parametrise(metafunc: pytest.Metafunc, settings: Settings) -> None:
    """Have a test run once for each agent that is named. A replay stands for a suite's own."""
    names = metafunc.fixturenames
    # A suite that defines its own selfrep_agent, and does not ask for ours in it, does not have this name.
    named = NAMED_AGENT in names
    replays = settings.replays if {FIXTURE, AGENT} <= set(names) and not _has_agents(metafunc) else ()
    if replays and not named:
        metafunc.parametrize(AGENT, replays, ids=replays)
    elif replays and replays == settings.agents:
        pairs = [(each, each) for each in replays]
        metafunc.parametrize([AGENT, NAMED_AGENT], pairs, ids=replays)
    elif named and settings.agents:
        metafunc.parametrize(NAMED_AGENT, settings.agents, ids=settings.agents)


def require_replayed(item: pytest.Item, settings: Settings, agent: object) -> None:
    """SuiteError if a recording was to be played, and what the fixture gave is not that."""
    replays, named = settings.replays, _parameters(item).get(NAMED_AGENT)
    if not replays or (named is not None and named not in replays):
        return
    if not (isinstance(agent, str) and agent in replays):
        raise SuiteError(
            f"{item.nodeid} has an agent of its own, which {' and '.join(replays)} cannot stand for: do not "
            "parametrise the test over selfrep_agent, and where that wraps agents, name none beside replays"
        )


def named(item: pytest.Item) -> str:
    """The agent that a test is run for, as it was named; empty if none was."""
    parameters = _parameters(item)
    agent = parameters.get(NAMED_AGENT) or parameters.get(AGENT)
    return agent if isinstance(agent, str) else ""


def test_of(item: pytest.Item) -> str:
    """The test's node id whatever its agent: its other parameters by name and, where that is plain, value."""
    others = [
        f"{name}={value}" if isinstance(value, str | int | float | None) else name
        for name, value in _parameters(item).items()
        if name not in (AGENT, NAMED_AGENT)
    ]
    name = getattr(item, "originalname", None) or item.name
    test = f"{item.parent.nodeid}::{name}" if item.parent else name
    return f"{test}[{', '.join(others)}]" if others else test


def _has_agents(metafunc: pytest.Metafunc) -> bool:
    """Whether the test itself is parametrised over agents."""
    marks = metafunc.definition.iter_markers("parametrize")
    return any(AGENT in str([*mark.args[:1], mark.kwargs.get("argnames")]) for mark in marks)


def _parameters(item: pytest.Item) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return found
