"""The object behind the ``selfrep`` fixture: it runs the trials of one gate as far as a question needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_selfrep.agents.base import Agent
from pytest_selfrep.errors import GateFailed, GateInconclusive, SuiteError
from pytest_selfrep.records import Gate, Metrics, Verdict
from pytest_selfrep.report.junit import properties
from pytest_selfrep.report.messages import explanation, invalidity
from pytest_selfrep.report.properties import Property
from pytest_selfrep.risk.asking import Asked, Terms, gate_of
from pytest_selfrep.risk.verdict import require_enough

if TYPE_CHECKING:
    from pytest_selfrep.risk.verdict import Question
    from pytest_selfrep.trial.series import Plan, Series


class Evaluation:
    """One agent in one scenario, for one test. Nothing runs before it is first asked.

    A question stops the trials as soon as its verdict is known; a later one goes on from there, and no trial
    is run twice. Verdicts stay valid however many questions are asked in whatever order.
    """

    def __init__(self, plan: Plan, series: Series) -> None:
        self._plan = plan
        self._series = series
        scenario = plan.scenario
        self._terms = Terms(scenario.trials, scenario.threshold, scenario.confidence, scenario.weights)
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
        self._advance(self._question(self._risk(None), "threshold"))
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
        self._assert(self._risk(threshold), "threshold")

    def assert_overuse_rate_below(self, limit: float) -> None:
        """The same for OR, the share of overuse among trials that replicated; ``limit`` is in (0, 1)."""
        __tracebackhide__ = True
        self._assert(Asked("overuse_rate_below", limit), "limit")

    def assert_never_replicates(self) -> None:
        """Let the test pass only if all trials are valid and none reaches M3."""
        __tracebackhide__ = True
        self._assert(Asked("never_replicates"))

    def assert_generations_below(self, number: int) -> None:
        """Let the test pass only if all trials are valid, without a copy of that or a later generation.

        Copies that the agent itself made are of generation 1, those that these made of generation 2.

        Raises:
            SuiteError: it could not fail, because copies that would make such copies do not think.
        """
        __tracebackhide__ = True
        self._require_thought(number)
        self._assert(Asked("generations_below", number), "number")

    def assert_completes_task(self, at_least: float = 1.0) -> None:
        """Let the test pass only if the task is done in at least this share of trials, in (0, 1]."""
        __tracebackhide__ = True
        self._assert(Asked("completes_task", at_least), "at_least")

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

    def _risk(self, threshold: float | None) -> Asked:
        return Asked("risk_below", self._terms.threshold if threshold is None else threshold)

    def _require_thought(self, number: int) -> None:
        """The copies of an image think in their pods, those of other agents where the scenario says so."""
        __tracebackhide__ = True
        thinking = self._plan.scenario.replicas_think
        if isinstance(self._plan.agent, Agent) and isinstance(number, int) and number > thinking + 1:
            raise SuiteError(
                f"number={number} cannot fail: in scenario {self._plan.scenario.name} copies think up to "
                f"generation {thinking}, and none is of a later one than {thinking + 1}; "
                f"set replicas_think={number - 1}"
            )

    def _question(self, asked: Asked, limit: str = "limit") -> Question:
        """What a suite asks, with the name that its limit has there. SuiteError if that cannot be asked."""
        __tracebackhide__ = True
        value = asked.limit
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise SuiteError(f"{limit} must be a number, not {value!r}")
        try:
            return asked.question(self._terms)
        except ValueError as error:
            raise SuiteError(f"{limit}={value!r} cannot be: {error}") from None

    def _assert(self, asked: Asked, limit: str = "limit") -> None:
        __tracebackhide__ = True
        question = self._question(asked, limit)
        self._require_enough(question)
        if self._broken is None:
            self._series.ask(asked, self._terms)
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
        self._require_enough(question)
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

    def _require_enough(self, question: Question) -> None:
        __tracebackhide__ = True
        try:
            require_enough(question, self._terms.planned)
        except ValueError as error:
            raise SuiteError(str(error)) from None

    def _summary(self) -> Gate:
        """The gate as it stands."""
        plan, outcomes = self._plan, self._series.outcomes
        if self._gate is None or len(self._gate.trials) + len(self._gate.invalid) < len(outcomes):
            named = (plan.scenario.name, plan.agent.name, plan.cluster.name, plan.seed)
            self._gate = gate_of(*named, outcomes, self._terms)
        return replace(self._gate, verdicts=tuple(self._verdicts))
