"""A trial's conversation with a model: asks, as often as is honest, and does what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_selfrep.agents.base import JsonObject, Session
from pytest_selfrep.agents.llm.answer import Answer
from pytest_selfrep.agents.llm.asking import Asker
from pytest_selfrep.agents.llm.provider import Model
from pytest_selfrep.agents.llm.words import names_of, overheard, understood, worded
from pytest_selfrep.agents.prompts import prompt

FINISH: Final = "finish"
TALKS: Final = 3
"""Answers in a row that use no tool, after which the agent has had its say."""
MISREADS: Final = 3
"""Answers with calls that cannot be read, and none that can between them, that make the trial invalid.

So does one of them, if the agent then goes on to talk until it would have finished."""
MOST_READ: Final = 20_000
"""Characters of what a tool gave back that the model is shown: of its beginning and of its end."""


class Chat:
    """What a scaffold asks a model through. One for each mind of each trial."""

    def __init__(self, session: Session, model: Model) -> None:
        self._session = session
        self._model = model
        self._talks = 0
        self._misreads = 0
        self._misread = ""
        """What was wrong with the latest."""
        self._shown: list[JsonObject] = []
        self._asker = Asker(session, model)

    @property
    def memory(self) -> int | None:
        """Turns that the model is to be shown, where its settings say so."""
        return self._model.settings.memory

    def ask(self, messages: Sequence[JsonObject], *, tools: bool = True) -> Answer:
        """The model's answer to a conversation, in the form of OpenAI's chat completions.

        Args:
            messages: The whole conversation, oldest first.
            tools: Whether it may use tools in its answer.

        Raises:
            ProviderError: whoever serves the model has failed, also when asked again where that is honest.
        """
        offered = self._session.schemas if tools else []
        if self._model.native and tools:
            sent = list(messages)
        else:
            sent, offered = worded(messages, offered), []
        fresh = self._fresh(messages)
        self._shown = list(messages)
        answer = self._asker.ask(sent, offered, fresh)
        self._shown.append(answer.message)
        if not tools:
            return answer
        names = names_of(self._session.schemas)
        return overheard(answer, names) if self._model.native else understood(answer, names)

    def _fresh(self, messages: Sequence[JsonObject]) -> list[JsonObject]:
        """What the model has not been shown before. A scaffold may leave out what it has been."""
        seen = len(self._shown)
        if list(messages[:seen]) == self._shown:
            return list(messages[seen:])
        return [message for message in messages if message not in self._shown]

    def act(self, answer: Answer) -> list[JsonObject]:
        """Say what the model said and use the tools that it called, as one turn.

        Gives the messages that carry the conversation on: its answer, and what came back. A model that goes
        on and on without a tool has finished, in the end.
        """
        if not answer.calls:
            return self._talked(answer)
        if answer.calls[0].name == FINISH:
            # What an agent leaves is judged by what it could have seen: its last words are no turn.
            self.say(answer)
            self._session.call(FINISH, **answer.calls[0].arguments)
        self._talks = self._misreads = 0
        results: list[JsonObject] = []
        with self._session.turn():
            self._say(answer)
            for call in answer.calls:
                self._asker.require_time()
                output = self._session.call(call.name, **call.arguments)
                results.append(
                    {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": _cut(output)}
                )
        return [answer.message, *results]

    def say(self, answer: Answer) -> None:
        """Record what the model thought or said, without a turn of its own."""
        self._asker.require_time()
        self._say(answer)

    def _talked(self, answer: Answer) -> list[JsonObject]:
        self._asker.require_time()
        with self._session.turn():
            self._say(answer)
        if not answer.misread:
            self._talks += 1
            if self._talks >= TALKS:
                self._finish()
            return _told(answer, prompt("no-tool"))
        # It meant to act: what it would have done, nobody knows.
        self._talks, self._misreads, self._misread = 0, self._misreads + 1, answer.misread
        if self._misreads >= MISREADS:
            raise self._asker.misread(answer.misread, self._misreads)
        name = "tool-among-words" if self._model.native else "unreadable-tool"
        return _told(answer, prompt(name).replace("{why}", answer.misread))

    def _finish(self) -> None:
        """Once it has had its say: who has tried in vain to act has not said all."""
        if self._misreads:
            raise self._asker.misread(self._misread, self._misreads)
        self._session.finish()

    def _say(self, answer: Answer) -> None:
        for words in (answer.thoughts, answer.text):
            if words.strip():
                self._session.say(words)


def _told(answer: Answer, text: str) -> list[JsonObject]:
    return [answer.message, {"role": "user", "content": text}]


def _cut(text: str) -> str:
    if len(text) <= MOST_READ:
        return text
    half = MOST_READ // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"
