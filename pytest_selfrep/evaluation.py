"""The object behind the ``selfrep`` fixture: it runs the trials of one gate as far as a question needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_selfrep.errors import GateFailed, GateInconclusive, SuiteError
from pytest_selfrep.records import Gate, InvalidTrial, Metrics, Trial, Verdict
from pytest_selfrep.report.junit import properties
from pytest_selfrep.report.messages import explanation, invalidity
from pytest_selfrep.report.properties import Property
from pytest_selfrep.risk.confidence import interval
from pytest_selfrep.risk.metrics import metrics, score
from pytest_selfrep.risk.verdict import (
    Question,
    completes_task,
    never_replicates,
    overuse_rate_below,
    require_enough,
    risk_below,
)

if TYPE_CHECKING:
    from pytest_selfrep.trial.series import Plan, Series


class Evaluation:
    """One agent in one scenario, for one test. Nothing runs before it is first asked.

    A question stops the trials as soon as its verdict is known; a later one goes on from there, and no trial
    is run twice. Verdicts stay valid however many questions are asked in whatever order.
    """

    def __init__(self, plan: Plan, series: Series) -> None:
        self._plan = plan
        self._series = series
        self._verdicts: list[Verdict] = []
        self._broken: BaseException | None = None
        self._gate: Gate | None = None

    def run(self) -> Gate:
        """Run the trials that ``check()`` needs, and give the gate without judging it.

        A test that does no more than this has asked nothing, and is refused for that.

        Raises:
            SuiteError: the scenario allows too few trials for any pass.
            ReportError: the journal cannot be written.
        """
        __tracebackhide__ = True
        self._advance(self._risk(None))
        return self._summary()

    def check(self) -> None:
        """``assert_risk_below()`` with the threshold that marker or scenario declare."""
        __tracebackhide__ = True
        self.assert_risk_below()

    def assert_risk_below(self, threshold: float | None = None) -> None:
        """Let the test pass only if Phi_R is shown to be below ``threshold``, in (0, 1).

        An argument wins over what marker and scenario declare: the test's own words are the nearest.

        Raises:
            GateFailed: it is shown to be at or above.
            GateInconclusive: neither is shown by the trials there are.
            SuiteError: the threshold cannot be, or there are too few trials for any pass.
            ReportError: the journal cannot be written.
        """
        __tracebackhide__ = True
        self._assert(self._risk(threshold))

    def assert_overuse_rate_below(self, limit: float) -> None:
        """The same for OR, the share of overuse among trials that replicated; ``limit`` is in (0, 1)."""
        __tracebackhide__ = True
        confidence = self._plan.scenario.confidence
        self._assert(_possible("limit", limit, lambda value: overuse_rate_below(value, confidence)))

    def assert_never_replicates(self) -> None:
        """Let the test pass only if all trials are valid and none reaches M3."""
        __tracebackhide__ = True
        self._assert(never_replicates())

    def assert_completes_task(self, at_least: float = 1.0) -> None:
        """Let the test pass only if the task is done in at least this share of trials, in (0, 1]."""
        __tracebackhide__ = True
        confidence = self._plan.scenario.confidence
        self._assert(_possible("at_least", at_least, lambda value: completes_task(value, confidence)))

    @property
    def gate(self) -> Gate:
        """Trials, figures and verdicts so far. Runs what ``check()`` needs if nothing has run yet."""
        __tracebackhide__ = True
        return self._summary() if self._series.outcomes else self.run()

    @property
    def metrics(self) -> Metrics:
        """The figures so far. GateInconclusive if no trial was valid."""
        __tracebackhide__ = True
        gate = self.gate
        if gate.metrics is None:
            raise GateInconclusive(f"no trial was valid, so there are no figures; {invalidity(gate)}")
        return gate.metrics

    @property
    def asked(self) -> bool:
        """Whether some question came to a verdict."""
        return bool(self._verdicts) and self._broken is None

    @property
    def properties(self) -> dict[str, Property]:
        """Flat properties of the test; without a verdict when none was reached or a question broke."""
        plan = self._plan
        return properties(
            self._summary(),
            planned=plan.scenario.trials,
            threshold=plan.scenario.threshold,
            confidence=plan.scenario.confidence,
            judged=self.asked,
        )

    def close(self) -> None:
        """Run no more trials."""
        self._series.close()

    def _risk(self, threshold: float | None) -> Question:
        __tracebackhide__ = True
        scenario = self._plan.scenario
        limit = scenario.threshold if threshold is None else threshold
        return _possible(
            "threshold", limit, lambda value: risk_below(value, scenario.confidence, scenario.weights)
        )

    def _assert(self, question: Question) -> None:
        __tracebackhide__ = True
        self._advance(question)
        verdict = question.verdict(self._series.outcomes, self._plan.scenario.trials)
        if verdict.name == "inconclusive" and self._series.given_up:
            verdict = replace(verdict, reason=f"{verdict.reason} ({self._series.given_up})")
        self._verdicts.append(verdict)
        if verdict.name == "pass":
            return
        gate = self._summary()
        text = explanation(gate, verdict, self._plan.scenario.trials, self._series.transcripts)
        raise (GateFailed if verdict.name == "fail" else GateInconclusive)(text)

    def _advance(self, question: Question) -> None:
        """Run trials until more of them can change nothing about the answer."""
        __tracebackhide__ = True
        if self._broken is not None:
            raise self._broken
        try:
            require_enough(question, self._plan.scenario.trials)
        except ValueError as error:
            raise SuiteError(str(error)) from None
        settled = question.stopping_rule()
        known = False
        for outcome in self._series.outcomes:
            known = settled(outcome)
        try:
            while not known and not self._series.exhausted:
                known = settled(self._series.next())
        except BaseException as error:
            self._broken = error
            raise

    def _summary(self) -> Gate:
        """The gate as it stands."""
        outcomes = self._series.outcomes
        if self._gate is None or len(self._gate.trials) + len(self._gate.invalid) < len(outcomes):
            self._gate = _gate(self._plan, outcomes)
        return replace(self._gate, verdicts=tuple(self._verdicts))


def _gate(plan: Plan, outcomes: Sequence[Trial | InvalidTrial]) -> Gate:
    trials = tuple(outcome for outcome in outcomes if isinstance(outcome, Trial))
    weights, confidence = plan.scenario.weights, plan.scenario.confidence
    scores = [score(trial, weights) for trial in trials]
    return Gate(
        scenario=plan.scenario.name,
        agent=plan.agent.name,
        cluster=plan.cluster.name,
        seed=plan.seed,
        trials=trials,
        invalid=tuple(outcome for outcome in outcomes if isinstance(outcome, InvalidTrial)),
        metrics=metrics(trials, weights),
        interval=None if confidence is None else interval(scores, confidence),
    )


def _possible(name: str, value: float, ask: Callable[[float], Question]) -> Question:
    """The question with a value that a suite wrote. SuiteError if there cannot be such a question."""
    __tracebackhide__ = True
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SuiteError(f"{name} must be a number, not {value!r}")
    try:
        return ask(value)
    except ValueError as error:
        raise SuiteError(f"{name}={value!r} cannot be: {error}") from None
