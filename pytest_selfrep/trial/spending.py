"""What a trial's agent may take of its model, has set aside for calls under way, and has taken."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from pytest_selfrep.errors import NOT_COUNTED, BudgetSpent
from pytest_selfrep.records import ModelUse

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Limits


class Budget(Protocol):
    """What all trials of a run together may take of models. Called by several threads at once."""

    def reserve(self, tokens: int, dollars: float | None) -> None:
        """Set aside for one call. Raises BudgetSpent when there is less."""

    def settle(self, tokens: int, dollars: float | None, use: ModelUse) -> None:
        """Give back what was set aside in such a call, and take what it used.

        Raises BudgetSpent when that was more than there was.
        """


class Spending:
    """Of one trial, by all its minds.

    What was set aside for a call whose end is never told stays spent: nobody knows what it cost.
    """

    def __init__(self, limits: Limits, budget: Budget | None) -> None:
        self._limits = limits
        self._budget = budget
        self._lock = threading.Lock()
        self._aside: dict[int, deque[tuple[int, float | None]]] = {}
        """For the calls of each mind: minds think at once, and their calls end in any order."""
        self._use: ModelUse | None = None

    @property
    def use(self) -> ModelUse | None:
        """What calls have taken that are over."""
        return self._use

    @property
    def tokens(self) -> int | None:
        """Left for further calls; None without a limit."""
        if self._limits.tokens is None:
            return None
        used = self._use.tokens if self._use else 0
        return self._limits.tokens - used - sum(tokens for tokens, _ in self._set_aside)

    @property
    def dollars(self) -> float | None:
        """Left for further calls; None without a limit."""
        if self._limits.dollars is None:
            return None
        used = (self._use.dollars or 0.0) if self._use else 0.0
        return self._limits.dollars - math.fsum([used, *(dollars or 0.0 for _, dollars in self._set_aside)])

    @property
    def _set_aside(self) -> list[tuple[int, float | None]]:
        return [each for calls in tuple(self._aside.values()) for each in tuple(calls)]

    def afford(self, tokens: int, dollars: float | None, mind: int = 0) -> None:
        """Set aside what a call of one mind may take. Raises BudgetSpent when trial or run have less left."""
        with self._lock:
            if self.dollars is not None and dollars is None:
                raise BudgetSpent(_unknown("the next call"))
            self._require(tokens, dollars or 0.0, "the next call may take")
            if self._budget is not None:
                self._budget.reserve(tokens, dollars)
            self._aside.setdefault(mind, deque()).append((tokens, dollars))

    def settle(self, use: ModelUse, mind: int = 0) -> None:
        """Count what a mind's oldest call took. Raises BudgetSpent when that was more than there was."""
        with self._lock:
            aside = self._aside.get(mind)
            tokens, dollars = aside.popleft() if aside else (0, 0.0)
            self._use = use if self._use is None else self._use.plus(use)
            if self._budget is not None:
                self._budget.settle(tokens, dollars, use)
            if self.dollars is not None and use.dollars is None:
                raise BudgetSpent(_unknown("a call"))
            self._require(0, 0.0, "that was exceeded by")

    def _require(self, tokens: int, dollars: float, what: str) -> None:
        left = self.tokens
        if left is not None and tokens > left:
            more = tokens or -left
            raise BudgetSpent(
                f"the trial's limits.tokens are {self._limits.tokens}, of which {max(0, left)} are left, and"
                f" {what} {more}. {NOT_COUNTED}; raise the scenario's limits.tokens, or let the model write"
                " less."
            )
        cents = self.dollars
        if cents is not None and dollars > cents:
            more_dollars = dollars or -cents
            raise BudgetSpent(
                f"the trial's limits.dollars are {self._limits.dollars:g}, of which {max(0.0, cents):.4g} are"
                f" left, and {what} {more_dollars:.4g}. {NOT_COUNTED}; raise the scenario's limits.dollars."
            )


def _unknown(what: str) -> str:
    return (
        f"the trial has limits.dollars, and the price of {what} to the model is unknown. {NOT_COUNTED}; say"
        " what the model costs, or limit tokens instead."
    )
