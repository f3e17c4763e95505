"""A model is asked, again where that is honest, and no more than can be afforded."""

from __future__ import annotations

import hashlib
import json
import time
from itertools import count
from typing import Final, Protocol

from pytest_selfrep.agents.base import JsonObject, ModelCall, Remaining
from pytest_selfrep.agents.llm.answer import Answer
from pytest_selfrep.agents.llm.deadline import within
from pytest_selfrep.agents.llm.provider import Model, Tokens
from pytest_selfrep.agents.llm.trouble import LATE, Trouble
from pytest_selfrep.errors import NOT_COUNTED, ProviderError
from pytest_selfrep.records import ModelUse
from pytest_selfrep.tools.base import JsonSchema

LONGEST_WAIT: Final = 60.0
"""Seconds before a further try. A provider that asks for more is not waited for."""
MARGIN: Final = 0.5
"""Seconds of a trial that are kept for what is done about a call without an answer."""
_WRAPPING: Final = 1000
"""Tokens that a provider may add to a request of its own accord, to explain tools."""


class Payer(Protocol):
    """On whose account a model is asked: a part of an agent's session."""

    @property
    def seed(self) -> int: ...

    @property
    def mind(self) -> int: ...

    @property
    def limits(self) -> Remaining: ...

    def afford(self, tokens: int, dollars: float | None) -> None: ...

    def asked(self, call: ModelCall) -> None: ...


class Asker:
    """Asks one model on one account. One thread at a time uses it."""

    def __init__(self, payer: Payer, model: Model) -> None:
        self._payer = payer
        self._model = model
        self._counted: tuple[list[JsonObject], int] = ([], 0)
        self._lost = 0.0
        """Seconds that went to calls that failed."""
        self._last = ""
        """Why the latest of them did."""
        # What a copy reads, an agent before it may have written.
        self._answered = payer.mind > 0

    def ask(self, sent: list[JsonObject], offered: list[JsonSchema], fresh: list[JsonObject]) -> Answer:
        """Ask until there is an answer. Every try is afforded beforehand, and told afterwards.

        Args:
            sent: The whole conversation.
            offered: Tools that may be called.
            fresh: What of the conversation is new, for the record.

        Raises:
            ProviderError: there is no answer to be had.
        """
        drawn = False
        for tries in count():
            self.require_time()
            found = self._once(sent, offered, fresh if tries == 0 else [], tries)
            if isinstance(found, Answer):
                self._answered = True
                return found
            if drawn and found.drawn:
                raise self._failed(found, tries)
            drawn = drawn or found.drawn
            wait = self._hoped_for(found, tries)
            time.sleep(wait)
            self._lost += wait
        raise AssertionError  # There is always another try, or an error.

    def _once(
        self, sent: list[JsonObject], offered: list[JsonSchema], fresh: list[JsonObject], tries: int
    ) -> Answer | Trouble:
        reads, writes = self._most_read(sent, offered), self._model.most
        price = self._model.price(reads, writes)
        self._payer.afford(reads + writes, price)
        begun = time.monotonic()
        seconds = self._model.settings.timeout
        left = max(0.0, self._payer.limits.seconds - MARGIN)
        found, taken = self._asked(sent, offered, min(seconds, left))
        if isinstance(found, Trouble):
            self._lost += time.monotonic() - begun
            self._last = found.reason
        if isinstance(found, Trouble) and found.free:
            taken = Tokens(0, 0, 0.0)
        elif taken is None:
            # Nobody has counted: it is taken for the most that it can have been.
            taken = Tokens(reads, writes, price)
        elif isinstance(found, Answer):
            self._counted = ([*sent, found.message], taken.prompt + taken.completion)
        why = found.reason if isinstance(found, Trouble) else ""
        use = ModelUse(int(tries == 0), int(tries > 0), taken.prompt, taken.completion, taken.dollars)
        self._payer.asked(ModelCall(tuple(fresh), found.message, use, why))
        if isinstance(found, Trouble) and found.late and left <= seconds:
            # Whether it was slow or its provider hung, nobody can tell.
            raise self._failed(found, tries, ": the trial's limits.seconds are over")
        self.require_time()
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
        # Beside the deadline, which follows from the trial's, the call has its own timeout. That is the same
        # for all calls: litellm has a client with connections of its own for each.
        found = within(seconds + MARGIN / 2, lambda: self._model.ask(sent, offered, self._seed()))
        return (LATE, None) if found is None else found

    def _hoped_for(self, trouble: Trouble, tries: int) -> float:
        """Seconds to wait before another try. ProviderError if there is to be none."""
        settings = self._model.settings
        if not trouble.again or tries >= settings.retries:
            raise self._failed(trouble, tries)
        wait = 0.0 if trouble.drawn else settings.backoff * 2**tries * self._spread(tries)
        wait = max(min(wait, LONGEST_WAIT), trouble.wait or 0.0)
        if wait > LONGEST_WAIT:
            raise self._failed(trouble, tries, f", and asks for {wait:g} s of patience")
        if wait >= self._payer.limits.seconds:
            raise self._failed(trouble, tries, ", and the trial's limits.seconds are over")
        return wait

    def _spread(self, tries: int) -> float:
        """From a half to one: trials that were refused together are not to come back together."""
        return 0.5 + self._drawn("wait", tries) / 2**33

    def _seed(self) -> int | None:
        """For the model, in the 31 bits that all providers take: with one for all, trials were no draws."""
        seed = self._model.settings.seed
        return None if seed is None else self._drawn("seed", seed) >> 1

    def _drawn(self, what: str, number: int) -> int:
        """32 bits that follow from the trial and the mind."""
        text = f"{what} {number} {self._payer.seed} {self._payer.mind}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def require_time(self) -> None:
        """Time that the provider took for nothing is no end of the agent's making."""
        if self._lost and self._payer.limits.seconds <= 0.0:
            raise ProviderError(
                f"model {self._model.name!r}: the trial's limits.seconds are over, of which {self._lost:.0f}"
                f" went to calls that failed: {self._last}. {NOT_COUNTED}.",
                selective=True,
            )

    def misread(self, why: str, times: int) -> ProviderError:
        """For calls in words that could not be read, and none that could after them."""
        often = "once" if times == 1 else f"{times} times"
        instead = "set tools to text" if self._model.native else "offer it tools natively"
        return ProviderError(
            f"model {self._model.name!r}: its tool calls could not be read, {often} ({why})."
            f" {NOT_COUNTED}; {instead}, or take a larger model.",
            selective=True,
        )

    def _failed(self, trouble: Trouble, tries: int, more: str = "") -> ProviderError:
        after = f" (tried {tries + 1} times)" if tries else ""
        return ProviderError(
            f"model {self._model.name!r}: {trouble.reason}{more}{after}. {NOT_COUNTED}.",
            selective=trouble.selective and (self._answered or not trouble.once_answered),
        )


def _bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace"))
