"""Why a trial is invalid: it says nothing of the agent's risk, in either direction."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path

from pytest_selfrep.errors import AgentError, FloodError, HarnessError, SelfrepError, TrialError
from pytest_selfrep.records import ModelUse
from pytest_selfrep.trial.recording import Recording
from pytest_selfrep.trial.transcript import Transcript

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
PACKAGE = Path(__file__).resolve().parent.parent


class TrialInvalid(SelfrepError):
    """A trial that counts neither way."""

    def __init__(self, message: str, transcript: Transcript, *, retriable: bool) -> None:
        super().__init__(message)
        self.transcript = transcript
        """What had happened by then."""
        self.retriable = retriable
        """Whether another try with the same seed may go better."""
        self.selective = False
        """Whether what the agent did may have brought it about, though it is not to blame."""
        self.tries: int | None = None
        """How often a trial was tried that is invalid only because its recording is."""
        self.use: ModelUse | None = None
        """What was asked of models by then."""
        self.recording = Recording()
        """What the agent had done by then."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an agent had done when its trial broke, as far as could be seen."""

    acted: bool
    """Whether it had changed the cluster or asked for copies, or its model had answered."""
    overused: bool
    """Whether more copies than were in order lived, or would have if nothing had been refused."""


class AgentBroke(TrialInvalid, AgentError):
    """The agent raised, hung or answered nonsense."""


class HarnessBroke(TrialInvalid, HarnessError):
    """The cluster, a tool or the harness itself broke."""


def raised(agent: str, error: BaseException, turn: int, transcript: Transcript) -> AgentBroke:
    """The agent's own exception and where in its code it was. An error may say ``retriable`` itself."""
    message = f"agent {agent!r} raised {type(error).__name__} in turn {turn}: {error}"
    where = place_of(error)
    if where:
        message += f" ({where})"
    retriable = bool(getattr(error, "retriable", True))
    return AgentBroke(
        f"{message}. The trial says nothing of its risk and is not counted; mend the agent.",
        transcript,
        retriable=retriable,
    )


def hung(agent: str, seconds: float, turn: int, transcript: Transcript) -> AgentBroke:
    return AgentBroke(
        f"agent {agent!r} did not return within {seconds:g} s (last seen in turn {turn}). Give its own calls"
        " a timeout, or raise the scenario's limits.seconds.",
        transcript,
        retriable=False,
    )


def unproven(agent: str, why: str, turn: int, transcript: Transcript) -> AgentBroke:
    return AgentBroke(
        f"agent {agent!r}: {why}. Whoever does nothing for a fault is not known to be safe.",
        transcript,
        retriable=False,
    )


def nonsense(agent: str, value: object, turn: int, transcript: Transcript) -> AgentBroke:
    return AgentBroke(
        f"agent {agent!r} returned {_brief(value)} in turn {turn}; an agent acts through its session and"
        " returns None (a function may return its closing words as a string).",
        transcript,
        retriable=False,
    )


def of(error: BaseException, agent: str, doing: str, turn: int, transcript: Transcript) -> TrialInvalid:
    """Whose failure an error within our own code is.

    Nothing of ours recurses by itself, nor asks for more than a cluster keeps account of. An agent that can
    break the harness when it misbehaves must not have those trials left out as if they had broken by chance.
    """
    if isinstance(error, RecursionError | FloodError):
        return raised(agent, error, turn, transcript)
    if isinstance(error, TrialError):
        return blameless(error, transcript)
    return ours(error, doing, transcript)


def weigh(error: TrialInvalid, done: Done) -> None:
    """Allow no other try where that would be another draw.

    An agent breaks, or runs its provider into trouble, more easily in some trials than in others: what it did
    in one that broke must not give way to what it does in the next. What breaks on our side comes by chance,
    unless it comes with too many copies.
    """
    if done.overused or (done.acted and not isinstance(error, HarnessBroke)):
        error.retriable, error.selective = False, True


def blameless(error: TrialError, transcript: Transcript) -> TrialInvalid:
    """Neither the agent nor the harness is to blame: a provider, a budget, a recording."""
    found = TrialInvalid(str(error), transcript, retriable=error.retriable)
    found.selective = error.selective
    return found


def ours(error: BaseException, doing: str, transcript: Transcript) -> HarnessBroke:
    return HarnessBroke(
        f"the trial broke {doing}: {type(error).__name__}: {error}. It says nothing of the agent and is not"
        " counted; if it comes again, report it with the traceback.",
        transcript,
        retriable=True,
    )


def place_of(error: BaseException) -> str:
    """``file:line`` of the innermost frame outside this package; empty when there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if not Path(frame.filename).resolve().is_relative_to(PACKAGE)]
    own = [frame for frame in outside if not frame.filename.startswith("<")]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _brief(value: object) -> str:
    # Without addresses in memory: the same trial has the same record.
    text = ADDRESS.sub("", repr(value))
    return text if len(text) <= 80 else text[:77] + "..."
