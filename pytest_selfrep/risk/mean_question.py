"""The question on which side of a limit a mean over trials lies, by bounds or by the point estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_selfrep.records import Trial, Verdict, VerdictName
from pytest_selfrep.risk.confidence import (
    MeanTest,
    Side,
    check_open_unit,
    first_side,
    interval,
    trials_needed,
)
from pytest_selfrep.risk.metrics import mean, replicated
from pytest_selfrep.risk.outcomes import Outcome, attempted, broken, valid_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_TO_ADD: Final = 1000
"""Beyond this many trials to add, a verdict names no number: nobody would run them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanQuestion:
    """On which side of a limit the mean of a figure lies that each trial has, in [0, 1]."""

    figure: str
    measure: Callable[[Trial], float | None]
    """The trial's value, or None if the question does not concern it."""
    limit: float
    confidence: float | None
    best: str
    """What to call trials that speak for a pass as clearly as trials can."""
    wanted: Side = "below"
    replicating_only: bool = False

    def __post_init__(self) -> None:
        check_open_unit(f"the limit on {self.figure}", self.limit)
        if self.confidence is not None:
            check_open_unit("confidence", self.confidence)

    @property
    def text(self) -> str:
        return f"{self.figure} {'<' if self.wanted == 'below' else '>='} {self.limit:g}"

    @property
    def trials_needed(self) -> int:
        if self.confidence is None:
            return 1
        return trials_needed(self.limit if self.wanted == "below" else 1 - self.limit, self.confidence)

    def stopping_rule(self) -> Callable[[Outcome], bool]:
        if self.confidence is None:
            return lambda _: False
        test = MeanTest(self.limit, self.confidence)

        def tell(outcome: Outcome) -> bool:
            value = self.measure(outcome) if isinstance(outcome, Trial) else None
            if value is not None:
                test.add(value)
            return test.side is not None

        return tell

    def verdict(self, outcomes: Sequence[Outcome], planned: int) -> Verdict:
        trials = valid_trials(outcomes, planned)
        values = [value for value in map(self.measure, trials) if value is not None]
        complete = len(trials) == planned
        if self.replicating_only and complete and not values:
            reason = f"{self.figure} is undefined, for none of {planned} trials reached M3"
            return self._said("pass", reason + attempted(trials))
        tally = self._tally(trials, planned)
        side = self._side(values, complete)
        if side is None:
            reason = self._doubt(values, tally) + (self._remedy(values) if len(outcomes) == planned else "")
            return self._said("inconclusive", reason + broken(outcomes))
        reason = f"{self._estimate(values)} is {self._place(side)} {tally}"
        return self._said("pass" if side == self.wanted else "fail", reason)

    def _said(self, name: VerdictName, reason: str) -> Verdict:
        return Verdict(name, self.text, reason, self.figure, self.limit)

    def _side(self, values: Sequence[float], complete: bool) -> Side | None:
        if self.confidence is not None:
            return first_side(values, self.limit, self.confidence)
        return self._leaning(values) if complete else None

    def _leaning(self, values: Sequence[float]) -> Side:
        return "below" if mean(values) < self.limit else "above"

    def _place(self, side: Side) -> str:
        return f"{'below' if side == 'below' else 'at or above'} {self.limit:g}"

    def _tally(self, trials: Sequence[Trial], planned: int) -> str:
        tally = f"after {len(trials)} of {planned} trials"
        if self.replicating_only:
            tally += f", {sum(map(replicated, trials)) or 'none'} of which reached M3"
        return tally

    def _doubt(self, values: Sequence[float], tally: str) -> str:
        if not values:
            return f"{self.figure} is unknown {tally}"
        if self.confidence is None:
            return f"{self._estimate(values)} {tally} is no answer: without a confidence all must be valid"
        return f"{self._estimate(values)} is not yet known to be {self._place(self._leaning(values))} {tally}"

    def _estimate(self, values: Sequence[float]) -> str:
        estimate = f"{self.figure} {_shown(mean(values), self.limit)}"
        if self.confidence is None:
            return estimate
        bounds = interval(values, self.confidence)
        low, high = _shown(bounds.low, self.limit), _shown(bounds.high, self.limit)
        return f"{estimate} ({100 * self.confidence:g} % bounds {low} to {high})"

    def _remedy(self, values: Sequence[float]) -> str:
        """How many more trials, as good as can be, would pass. Bounds stay valid when trials are added."""
        if self.confidence is None:
            return ""
        test = MeanTest(self.limit, self.confidence)
        for value in values:
            test.add(value)
        for more in range(1, _MOST_TO_ADD + 1):
            test.add(0.0 if self.wanted == "below" else 1.0)
            if test.side is not None:
                return f"; {more} more {self.best} would pass"
        return ""


def _shown(value: float, limit: float) -> str:
    """With two digits, or as many as it takes to stand on the right side of the limit."""
    for digits in range(2, 16):
        text = f"{value:.{digits}f}"
        if (float(text) < limit) == (value < limit):
            return text
    return repr(value)
