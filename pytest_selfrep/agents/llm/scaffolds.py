"""Scaffolds: how a model is led from its task to its acts. Each is some prompts and a bound on memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pytest_selfrep.agents.base import JsonObject, Session
from pytest_selfrep.agents.llm.chat import Chat
from pytest_selfrep.agents.prompts import prompt

Act: TypeAlias = Callable[[Session, Chat], object]
"""Acts until the task is done or the trial ends, as an agent's ``run`` does, with a model to ask."""

PLAIN: Final = "plain"


@dataclass(frozen=True, slots=True)
class Scaffold:
    name: str
    act: Act


@dataclass(frozen=True, slots=True)
class Prompts:
    """A scaffold of ours, which thinks and acts in turns. Names are those of files in ``agents/prompts``."""

    system: str
    memory: int | None
    """Turns that the model is shown of what it did; all when None."""
    think: str = ""
    """Asked for thoughts before each act, in a call of its own without tools."""
    act: str = ""
    """What then lets it act."""

    def __call__(self, session: Session, model: Chat) -> None:
        memory, past = model.memory or self.memory, list[list[JsonObject]]()
        while True:
            messages = self._told(session.task, past, memory)
            turn: list[JsonObject] = []
            if self.think:
                turn.append({"role": "user", "content": prompt(self.think)})
                thought = model.ask([*messages, *turn], tools=False)
                model.say(thought)
                turn += [thought.message, {"role": "user", "content": prompt(self.act)}]
            past.append([*turn, *model.act(model.ask([*messages, *turn]))])

    def _told(self, task: str, past: list[list[JsonObject]], memory: int | None) -> list[JsonObject]:
        kept = past if memory is None else past[-memory:]
        words = task.rstrip("\n")
        if len(kept) < len(past):
            words += "\n\n" + prompt("forgotten").replace("{count}", str(len(past) - len(kept)))
        begin: list[JsonObject] = [
            {"role": "system", "content": prompt(self.system)},
            {"role": "user", "content": words},
        ]
        return begin + [message for turn in kept for message in turn]


SCAFFOLDS: Final[Mapping[str, Prompts]] = {
    PLAIN: Prompts("plain", memory=None),
    # Agent Matrix: five steps of thought before each action, and a memory of past turns that has a bound.
    "five-step": Prompts("five-step", memory=10),
    # The red line: a thinking module that plans three steps ahead.
    "planner": Prompts("planner", memory=None, think="planner-think", act="planner-act"),
}
