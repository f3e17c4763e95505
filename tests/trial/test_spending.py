"""Budgets of tokens and dollars: nothing is asked of a model that trial or run cannot afford."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from trial_scenes import shop

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import ModelCall, Session
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.errors import AgentError, BudgetSpent, TrialError
from pytest_selfrep.records import ModelUse
from pytest_selfrep.scenarios.model import Limits
from pytest_selfrep.trial.failures import TrialInvalid
from pytest_selfrep.trial.runner import TrialRun, run_trial
from pytest_selfrep.trial.spending import Spending


def use(tokens: int, dollars: float | None = 0.0) -> ModelUse:
    return ModelUse(1, 0, tokens, 0, dollars)


def run(act: Callable[[Session], object], budget: Purse | None = None, **limits: float) -> TrialRun:
    scenario = shop(limits=limits)
    return run_trial(scenario, resolve(act), EmbeddedCluster(), index=0, seed=1, budget=budget)


class Purse:
    """A budget of a run, in tokens."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def reserve(self, tokens: int, dollars: float | None) -> None:
        if tokens > self.tokens:
            raise BudgetSpent(f"the run has {self.tokens} tokens left")
        self.tokens -= tokens

    def settle(self, tokens: int, dollars: float | None, use: ModelUse) -> None:
        self.tokens += tokens - use.tokens


def test_what_was_set_aside_is_given_back_and_what_was_used_is_taken() -> None:
    spending = Spending(Limits(tokens=100, dollars=1.0), None)
    spending.afford(80, 0.5)
    assert (spending.tokens, spending.dollars) == (20, 0.5)
    spending.settle(use(30, 0.25))
    assert (spending.tokens, spending.dollars) == (70, 0.75)


def test_several_calls_at_once_cannot_set_aside_the_same_tokens() -> None:
    spending = Spending(Limits(tokens=100), None)
    spending.afford(60, None)
    with pytest.raises(BudgetSpent, match=r"limits\.tokens are 100, of which 40 are left.* may take 60"):
        spending.afford(60, None)


def test_what_one_mind_set_aside_is_not_given_back_for_the_call_of_another() -> None:
    purse = Purse(1000)
    spending = Spending(Limits(tokens=500), purse)
    spending.afford(300, None, mind=0)
    spending.afford(100, None, mind=1)
    spending.settle(use(10), mind=1)
    assert (spending.tokens, purse.tokens) == (190, 690)
    spending.settle(use(20), mind=0)
    assert (spending.tokens, purse.tokens) == (470, 970)


def test_an_unknown_price_cannot_be_afforded_where_dollars_are_limited() -> None:
    with pytest.raises(BudgetSpent, match="price of the next call to the model is unknown"):
        Spending(Limits(dollars=5.0), None).afford(1, None)


def test_a_call_that_took_more_than_there_was_is_too_much_afterwards() -> None:
    spending = Spending(Limits(tokens=100), None)
    with pytest.raises(BudgetSpent, match="exceeded by 20"):
        spending.settle(use(120))


def test_one_unknown_price_makes_the_sum_unknown_and_never_zero() -> None:
    assert use(5, 0.5).plus(use(7, None)) == ModelUse(2, 0, 12, 0, None)


def test_a_record_has_what_the_model_took() -> None:
    def asks(session: Session) -> None:
        assert session.limits.tokens == 100
        session.afford(50, None)
        session.asked(ModelCall(({"role": "user", "content": "Well?"},), None, ModelUse(1, 2, 10, 5, None)))
        session.asked(ModelCall((), {"role": "assistant"}, use(20, 0.5)))
        assert session.limits.tokens == 65

    assert run(asks, tokens=100).record.usage.model == ModelUse(2, 2, 30, 5, None)
    assert run(lambda session: session.finish()).record.usage.model is None


def test_a_trial_that_cannot_afford_its_model_is_invalid_and_not_tried_again() -> None:
    asked = False

    def asks(session: Session) -> None:
        nonlocal asked
        session.afford(101, None)
        asked = True

    with pytest.raises(TrialInvalid, match=r"limits\.tokens are 100") as caught:
        run(asks, tokens=100)
    assert not asked
    assert not caught.value.retriable
    assert not isinstance(caught.value, AgentError)


def test_the_budget_of_the_run_ends_a_trial_too() -> None:
    purse = Purse(100)

    def asks(session: Session) -> None:
        for _ in range(3):
            session.afford(50, None)
            session.asked(ModelCall((), None, use(40)))

    with pytest.raises(TrialInvalid, match="the run has 20 tokens left"):
        run(asks, purse)
    assert purse.tokens == 20


def test_a_call_that_is_over_after_the_trial_still_costs() -> None:
    purse = Purse(100)

    def asks(session: Session) -> None:
        session.afford(50, None)
        try:
            session.finish()
        finally:
            session.asked(ModelCall((), None, use(10)))

    assert run(asks, purse).record.usage.model == use(10)
    assert purse.tokens == 90


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.afford(-1, None),
        lambda session: session.afford(1, float("nan")),
        lambda session: session.asked(ModelCall((), None, use(-5))),
        lambda session: session.asked(ModelCall(("words",), None, use(5))),  # type: ignore[arg-type]  # So it is.
    ],
)
def test_an_agent_that_counts_nonsense_breaks(act: Callable[[Session], object]) -> None:
    with pytest.raises(AgentError, match="raised"):
        run(act)


def test_an_agent_may_say_that_neither_it_nor_the_harness_is_to_blame() -> None:
    class Down(TrialError):
        retriable = True

    def fails(session: Session) -> None:
        raise Down("the model is down")

    with pytest.raises(TrialInvalid, match=r"^the model is down$") as caught:
        run(fails)
    assert caught.value.retriable
    assert not isinstance(caught.value, AgentError)
