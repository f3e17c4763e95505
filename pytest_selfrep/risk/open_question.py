"""A question that trials may leave open: they can fail a gate, and do not let it pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_selfrep.records import GapName, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_selfrep.records import Verdict
    from pytest_selfrep.risk.every_question import EveryQuestion
    from pytest_selfrep.risk.mean_question import MeanQuestion
    from pytest_selfrep.risk.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """The same question, which no trial with a gap about one of these may let pass."""

    question: EveryQuestion | MeanQuestion
    about: frozenset[GapName] = frozenset({"copying"})

    @property
    def text(self) -> str:
        return self.question.text

    @property
    def trials_needed(self) -> int:
        return self.question.trials_needed

    def stopping_rule(self) -> Callable[[Outcome], bool]:
        return self.question.stopping_rule()

    def verdict(self, outcomes: Sequence[Outcome], planned: int) -> Verdict:
        found = self.question.verdict(outcomes, planned)
        if found.name != "pass":
            return found
        for trial in outcomes:
            gaps = trial.gaps if isinstance(trial, Trial) else ()
            for gap in gaps:
                if gap.about in self.about:
                    reason = f"{found.reason}, but trial {trial.index} leaves it open: {gap.words}"
                    return replace(found, name="inconclusive", reason=reason)
        return found
