"""A trial's conversation with a model: asks, as often as is honest, and does what it answers."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from itertools import count
from typing import Final

from pytest_selfrep.agents.base import JsonObject, ModelCall, Session
from pytest_selfrep.agents.llm.answer import Answer
from pytest_selfrep.agents.llm.deadline import within
from pytest_selfrep.agents.llm.provider import Model, Tokens
from pytest_selfrep.agents.llm.trouble import LATE, Trouble
from pytest_selfrep.agents.llm.words import understood, worded
from pytest_selfrep.agents.prompts import prompt
from pytest_selfrep.errors import ProviderError
from pytest_selfrep.records import ModelUse
from pytest_selfrep.tools.base import JsonSchema

FINISH: Final = "finish"
TALKS: Final = 3
"""Answers in a row that use no tool, after which the agent has had its say."""
LONGEST_WAIT: Final = 60.0
"""Seconds before a further try. A provider that asks for more is not waited for."""
MOST_READ: Final = 20_000
"""Characters of what a tool gave back that the model is shown: of its beginning and of its end."""
MARGIN: Final = 0.5
"""Seconds of a trial that are kept for what is done about a call without an answer."""
_WRAPPING: Final = 1000
"""Tokens that a provider may add to a request of its own accord, to explain tools."""


class Chat:
    """What a scaffold asks a model through. One for each mind of each trial."""

    def __init__(self, session: Session, model: Model) -> None:
        self._session = session
        self._model = model
        self._talks = 0
        self._shown: list[JsonObject] = []
        self._counted: tuple[list[JsonObject], int] = ([], 0)
        self._lost = 0.0
        """Seconds that went to calls that failed."""
        self._last = ""
        """Why the latest of them did."""

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
        fresh = [message for message in messages if message not in self._shown]
        self._shown = list(messages)
        answer = self._tried(sent, offered, fresh)
        self._shown.append(answer.message)
        return understood(answer) if tools and not self._model.native else answer

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
        self._talks = 0
        results: list[JsonObject] = []
        with self._session.turn():
            self._say(answer)
            for call in answer.calls:
                self._require_time()
                output = self._session.call(call.name, **call.arguments)
                results.append(
                    {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": _cut(output)}
                )
        return [answer.message, *results]

    def say(self, answer: Answer) -> None:
        """Record what the model thought or said, without a turn of its own."""
        self._require_time()
        self._say(answer)

    def _talked(self, answer: Answer) -> list[JsonObject]:
        self._require_time()
        with self._session.turn():
            self._say(answer)
        self._talks += 1
        if self._talks >= TALKS:
            self._session.finish()
        text = prompt("no-tool")
        if answer.misread:
            text = prompt("unreadable-tool").replace("{why}", answer.misread)
        return [answer.message, {"role": "user", "content": text}]

    def _say(self, answer: Answer) -> None:
        for words in (answer.thoughts, answer.text):
            if words.strip():
                self._session.say(words)

    def _tried(self, sent: list[JsonObject], offered: list[JsonSchema], fresh: list[JsonObject]) -> Answer:
        """Ask until there is an answer. Every try is afforded beforehand, and told afterwards."""
        for tries in count():
            self._require_time()
            found = self._once(sent, offered, fresh if tries == 0 else [], tries)
            if isinstance(found, Answer):
                return found
            wait = self._hoped_for(found, tries)
            time.sleep(wait)
            self._lost += wait
        raise AssertionError  # There is always another try, or an error.

    def _once(
        self, sent: list[JsonObject], offered: list[JsonSchema], fresh: list[JsonObject], tries: int
    ) -> Answer | Trouble:
        reads, writes = self._most_read(sent, offered), self._model.most
        price = self._model.price(reads, writes)
        self._session.afford(reads + writes, price)
        begun = time.monotonic()
        seconds = self._model.settings.timeout
        left = max(0.0, self._session.limits.seconds - MARGIN)
        found, taken = self._asked(sent, offered, min(seconds, left))
        if isinstance(found, Trouble):
            self._lost += time.monotonic() - begun
            self._last = found.reason
            if found.late and left <= seconds:
                # Whether it was slow or its provider hung, nobody can tell.
                raise self._failed(found, tries, ": the trial's limits.seconds are over")
        self._require_time()
        message = None
        if isinstance(found, Trouble) and found.free:
            taken = Tokens(0, 0, 0.0)
        elif taken is None:
            # Nobody has counted: it is taken for the most that it can have been.
            taken = Tokens(reads, writes, price)
        elif isinstance(found, Answer):
            self._counted = ([*sent, found.message], taken.prompt + taken.completion)
        if isinstance(found, Answer):
            message = found.message
        use = ModelUse(int(tries == 0), int(tries > 0), taken.prompt, taken.completion, taken.dollars)
        self._session.asked(ModelCall(tuple(fresh), message, use))
        return found

    def _most_read(self, sent: list[JsonObject], offered: list[JsonSchema]) -> int:
        """More tokens than the model will have to read: none is shorter than a byte."""
        known, tokens = self._counted
        if known and sent[: len(known)] == known:
            return tokens + _bytes(sent[len(known) :]) + _WRAPPING
        return _bytes(sent) + _bytes(offered) + _WRAPPING

    def _asked(
        self, sent: list[JsonObject], offered: list[JsonSchema], seconds: float
    ) -> tuple[Answer | Trouble, Tokens | None]:
        # The deadline is for what its timeout does not see. Both end before the agent is taken for hanging.
        patient = seconds + MARGIN / 2
        found = within(patient, lambda: self._model.ask(sent, offered, max(seconds, MARGIN / 2)))
        return (LATE, None) if found is None else found

    def _hoped_for(self, trouble: Trouble, tries: int) -> float:
        """Seconds to wait before another try. ProviderError if there is to be none."""
        settings = self._model.settings
        if not trouble.again or tries >= settings.retries:
            raise self._failed(trouble, tries)
        wait = 0.0 if trouble.fresh else settings.backoff * 2**tries * self._spread(tries)
        wait = max(min(wait, LONGEST_WAIT), trouble.wait or 0.0)
        if wait > LONGEST_WAIT:
            raise self._failed(trouble, tries, f", and asks for {wait:g} s of patience")
        if wait >= self._session.limits.seconds:
            raise self._failed(trouble, tries, ", and the trial's limits.seconds are over")
        return wait

    def _spread(self, tries: int) -> float:
        """From a half to one: trials that were refused together are not to come back together."""
        text = f"{self._session.seed} {self._session.mind} {tries}"
        return 0.5 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**33

    def _require_time(self) -> None:
        """Time that the provider took for nothing is no end of the agent's making."""
        if self._lost and self._session.limits.seconds <= 0.0:
            raise ProviderError(
                f"model {self._model.name!r}: the trial's limits.seconds are over, of which {self._lost:.0f}"
                f" went to calls that failed: {self._last}. {_UNCOUNTED}."
            )

    def _failed(self, trouble: Trouble, tries: int, more: str = "") -> ProviderError:
        after = f" (tried {tries + 1} times)" if tries else ""
        return ProviderError(
            f"model {self._model.name!r}: {trouble.reason}{more}{after}. {_UNCOUNTED}.",
            retriable=trouble.fresh,
        )


_UNCOUNTED = "The trial says nothing of the agent's risk and is not counted"


def _bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace"))


def _cut(text: str) -> str:
    if len(text) <= MOST_READ:
        return text
    half = MOST_READ // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"
