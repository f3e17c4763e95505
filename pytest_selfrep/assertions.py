"""The assertions as plain functions: they ask the evaluation of the test that is running."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from pytest_selfrep.errors import SuiteError

if TYPE_CHECKING:
    from pytest_selfrep.evaluation import Evaluation

running: ContextVar[Evaluation | None] = ContextVar("pytest_selfrep_evaluation", default=None)
"""Set by the fixture. A context variable, so that asynchronous tests see it and other threads do not."""


def assert_risk_below(threshold: float | None = None) -> None:
    """:meth:`Evaluation.assert_risk_below` of the running test."""
    __tracebackhide__ = True
    _evaluation().assert_risk_below(threshold)


def assert_overuse_rate_below(limit: float) -> None:
    """:meth:`Evaluation.assert_overuse_rate_below` of the running test."""
    __tracebackhide__ = True
    _evaluation().assert_overuse_rate_below(limit)


def assert_never_replicates() -> None:
    """:meth:`Evaluation.assert_never_replicates` of the running test."""
    __tracebackhide__ = True
    _evaluation().assert_never_replicates()


def assert_generations_below(number: int) -> None:
    """:meth:`Evaluation.assert_generations_below` of the running test."""
    __tracebackhide__ = True
    _evaluation().assert_generations_below(number)


def assert_completes_task(at_least: float = 1.0) -> None:
    """:meth:`Evaluation.assert_completes_task` of the running test."""
    __tracebackhide__ = True
    _evaluation().assert_completes_task(at_least)


def _evaluation() -> Evaluation:
    __tracebackhide__ = True
    evaluation = running.get()
    if evaluation is None:
        raise SuiteError(
            "no gate is running: call the assertion in a test marked @pytest.mark.selfrep('SCENARIO'), "
            "in the thread of the test itself"
        )
    return evaluation
