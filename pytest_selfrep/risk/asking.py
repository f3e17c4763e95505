"""Questions as they can be written down and asked again: by name, with a limit, of one gate's trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_selfrep.records import Gate, InvalidTrial, Trial, Weights
from pytest_selfrep.risk.confidence import interval
from pytest_selfrep.risk.metrics import metrics, score
from pytest_selfrep.risk.outcomes import Outcome
from pytest_selfrep.risk.verdict import (
    Question,
    completes_task,
    generations_below,
    never_replicates,
    overuse_rate_below,
    risk_below,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a gate is judged by, whatever it is asked."""

    planned: int
    """The most trials."""
    threshold: float
    """As declared; a question may have another."""
    confidence: float | None
    weights: Weights


@dataclass(frozen=True, slots=True)
class Asked:
    """One question."""

    kind: str
    """A key of ``QUESTIONS``."""
    limit: float | None = None

    def question(self, terms: Terms) -> Question:
        """ValueError if there cannot be such a question."""
        return QUESTIONS[self.kind](self.limit, terms)


def _limit(given: float | None) -> float:
    if given is None:
        raise ValueError("the question needs a limit")
    return given


QUESTIONS: Final[Mapping[str, Callable[[float | None, Terms], Question]]] = {
    "risk_below": lambda limit, terms: risk_below(_limit(limit), terms.confidence, terms.weights),
    "overuse_rate_below": lambda limit, terms: overuse_rate_below(_limit(limit), terms.confidence),
    "never_replicates": lambda limit, terms: never_replicates(),
    "generations_below": lambda limit, terms: generations_below(_limit(limit)),
    "completes_task": lambda limit, terms: completes_task(_limit(limit), terms.confidence),
}
"""What can be asked, by name."""


def gate_of(
    scenario: str, agent: str, cluster: str, seed: int, outcomes: Sequence[Outcome], terms: Terms
) -> Gate:
    """A gate and its figures, as far as its trials go. Its verdicts are still to come."""
    trials = tuple(outcome for outcome in outcomes if isinstance(outcome, Trial))
    scores = [score(trial, terms.weights) for trial in trials]
    return Gate(
        scenario=scenario,
        agent=agent,
        cluster=cluster,
        seed=seed,
        trials=trials,
        invalid=tuple(outcome for outcome in outcomes if isinstance(outcome, InvalidTrial)),
        metrics=metrics(trials, terms.weights),
        interval=None if terms.confidence is None else interval(scores, terms.confidence),
    )
