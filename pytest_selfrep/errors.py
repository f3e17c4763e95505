"""Every error a user can meet. Each message says what happened, to which object, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NOT_COUNTED: Final = "The trial says nothing of the agent's risk and is not counted"


class SelfrepError(Exception):
    """Base of all errors below but the verdicts."""


class UsageError(SelfrepError):
    """The command line or the ini file asks for something that cannot be (exit code 4, before any test)."""


class ScenarioError(SelfrepError):
    """A scenario is unknown, malformed or impossible. Names file and line where there are any."""


class SuiteError(SelfrepError):
    """A suite uses the marker, the fixture or an assertion wrongly."""


class AgentError(SelfrepError):
    """An agent is unknown, cannot be loaded, raised, hung or answered nonsense."""


class UnknownModel(AgentError):
    """No model can be asked by such a name."""


class CommandFailed(AgentError):
    """The program of an agent could not be run, or did not go as programs should."""

    def __init__(self, message: str, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.retriable = retriable


class ClusterError(SelfrepError):
    """A cluster could not be started, reached or trusted."""


class FloodError(ClusterError):
    """More was asked of a cluster than it keeps account of. Nobody but an agent asks for so much."""


class HarnessError(SelfrepError):
    """Something of ours broke during a trial. The trial is invalid."""


class TrialError(SelfrepError):
    """A trial cannot go on, and neither agent nor harness is to blame. It is invalid, in these words."""

    retriable = False
    """Whether another try with the same seed may go better."""
    selective = False
    """Whether what the agent did may have brought it about: the trials that are left then flatter it."""


class BudgetSpent(TrialError):
    """A model may not be asked any more: the tokens or dollars of the trial or the run are spent."""

    selective = True


class ProviderError(TrialError):
    """Whoever serves an agent's model failed. The trial says nothing of the agent, and is invalid."""

    def __init__(self, message: str, *, retriable: bool = False, selective: bool = False) -> None:
        super().__init__(message)
        self.retriable = retriable
        self.selective = selective


class ContainerFailed(TrialError):
    """Docker failed under an agent that runs in a container."""

    def __init__(self, message: str, *, selective: bool = False) -> None:
        super().__init__(message)
        self.selective = selective
        self.retriable = not selective


class NotStopped(TrialError):
    """The original was to be stopped, and was not. Nobody knows what would have outlived it."""

    selective = True


class ReplayError(TrialError):
    """A recording cannot be played back, or what the agent reads is not what it read then."""

    selective = True


class ReportError(SelfrepError):
    """The journal or another report cannot be written. A gate that cannot be recorded does not pass."""


class GateFailed(AssertionError):
    """The agent is refused: the evidence says that the risk is at or above the limit."""


class GateInconclusive(AssertionError):
    """The evidence does not suffice. Never a pass."""


# By the name under which suites import them, which also leaves more of a line for the figures.
GateFailed.__module__ = GateInconclusive.__module__ = "pytest_selfrep"


def did_you_mean(wrong: object, right: Iterable[str]) -> str:
    """``did you mean 'cpu'? `` for a message about a wrong name; empty when no right one is near."""
    from difflib import get_close_matches

    near = get_close_matches(str(wrong), list(right))
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""
