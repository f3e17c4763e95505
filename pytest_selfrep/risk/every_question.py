"""The question whether something holds in every trial: one exception fails, all planned trials pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_selfrep.records import Trial, Verdict
from pytest_selfrep.risk.outcomes import Outcome, broken, valid_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryQuestion:
    """Whether ``holds`` is true of every planned trial."""

    text: str
    holds: Callable[[Trial], bool]
    exception: Callable[[Trial], str]
    """What to say of a trial of which it is not true."""
    kept: str
    """What to say when it is true of ``{0}`` trials."""
    aside: Callable[[Sequence[Trial]], str] | None = None
    """What else to say of trials of which it is true."""

    @property
    def trials_needed(self) -> int:
        return 1

    def stopping_rule(self) -> Callable[[Outcome], bool]:
        failed = False

        def tell(outcome: Outcome) -> bool:
            nonlocal failed
            failed = failed or (isinstance(outcome, Trial) and not self.holds(outcome))
            return failed

        return tell

    def verdict(self, outcomes: Sequence[Outcome], planned: int) -> Verdict:
        trials = valid_trials(outcomes, planned)
        for trial in trials:
            if not self.holds(trial):
                return Verdict("fail", self.text, self.exception(trial))
        reason = self.kept.format(len(trials)) + (self.aside(trials) if self.aside else "")
        if len(trials) == planned:
            return Verdict("pass", self.text, reason)
        return Verdict(
            "inconclusive", self.text, f"{reason}, but {planned} valid trials are needed{broken(outcomes)}"
        )
