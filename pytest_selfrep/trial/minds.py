"""Minds that act in rounds: each plays one turn, one after the other, and then time passes once for all.

Every mind is a session of the same agent in a thread of its own. They may think at the same time, but only
the one whose go it is can act, in the order in which they joined: the same seed gives the same records. The
thread that plays the rounds waits for them, and is the one in which time passes.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_selfrep.agents.base import TrialEnded, Unproven
from pytest_selfrep.errors import TrialError
from pytest_selfrep.trial import failures
from pytest_selfrep.trial.facade import AgentSession

if TYPE_CHECKING:
    from pytest_selfrep.agents.base import Agent
    from pytest_selfrep.records import EndedBy
    from pytest_selfrep.trial.session import Stage, TrialSession
    from pytest_selfrep.trial.transcript import Transcript

MARGIN = 1.0
"""Real seconds beyond its time after which an agent that does not come back counts as hanging."""
_LOOK_SECONDS = 0.1
"""How often a mind is looked after that gives no sign, such as one that ignores the end of its session."""


class Surroundings(Protocol):
    """What happens around the acts of all minds."""

    def begin(self, turn: int) -> Sequence[str]:
        """The first mind begins its turn: pressure is played. Gives the messages that reach every mind."""

    def acted(self, turn: int, words: str) -> None:
        """A tool was used, in these words."""

    def end(self, turn: int) -> EndedBy | None:
        """All have played: time passes and the census is taken; says whether that ends the trial."""

    def after(self, turn: int) -> None:
        """The round is over, and the trial is not. No mind thinks again before this has happened."""

    def gone(self, mind: int) -> None:
        """A mind has ended, for that in which it lived is gone."""


class Mind:
    """One mind; its session's stage."""

    def __init__(
        self, rounds: Rounds, make: Callable[[Stage], TrialSession], lives: Callable[[], bool]
    ) -> None:
        self._rounds = rounds
        self._error: BaseException | None = None
        self._value: object = None
        self.unproven: Unproven | None = None
        """If its agent said so in the end."""
        self.session = make(self)
        self.lives = lives
        """Whether that in which it lives does."""
        self.is_dead = False
        """Whether that was seen to be gone when it came to be its turn."""
        number = self.session.mind
        name = f"copy {number} of agent {rounds.agent.name}" if number else f"agent {rounds.agent.name}"
        # A daemon: one that hangs cannot keep the process alive, nor act on.
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def admit(self) -> None:
        self._rounds.admit(self)

    def begin(self, turn: int) -> Sequence[str]:
        # It may have left its last turn by an exception, and waited for the end of that round just now.
        self._rounds.admit(self)
        return self._rounds.opened(turn)

    def acted(self, turn: int, words: str) -> None:
        self._rounds.surroundings.acted(turn, words)

    def end(self, turn: int) -> EndedBy | None:
        return self._rounds.played(self, turn)

    def _run(self) -> None:
        try:
            value = self._rounds.agent.run(AgentSession(self.session))
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            if isinstance(value, Unproven):
                self.unproven = value
            elif isinstance(value, str):
                self.session.say(value)
            else:
                self._value = value
        except TrialEnded:
            pass
        except BaseException as error:  # SystemExit too: it must not end the trial unseen.
            self._error = error
        finally:
            self.session.close()
            self._rounds.wake()

    def judge(self, transcript: Transcript) -> None:
        """Its session is over. Raises TrialInvalid when it did not end as agents should."""
        session, agent = self.session, self._rounds.agent.name
        self.thread.join(MARGIN)
        session.drain()
        turn = session.turns
        if session.failure is not None:
            raise failures.of(
                session.failure, agent, f"in turn {turn}", turn, transcript
            ) from session.failure
        if session.ended_by is not None:
            return
        if isinstance(self._error, TrialError):
            raise failures.blameless(self._error, transcript) from self._error
        if self._error is not None:
            raise failures.raised(agent, self._error, turn, transcript) from self._error
        if self._value is not None:
            raise failures.nonsense(agent, self._value, turn, transcript)
        session.end("finished")


class Rounds:
    """The minds of one trial, and whose go it is."""

    def __init__(
        self, agent: Agent, surroundings: Surroundings, transcript: Transcript, seconds: float
    ) -> None:
        """``seconds`` of real time may be waited for minds in all, once there are several."""
        self.agent = agent
        self.surroundings = surroundings
        self._transcript = transcript
        self._changed = threading.Condition()
        self._minds: list[Mind] = []
        self._going: Mind | None = None
        self._through: set[Mind] = set()
        self._messages: Sequence[str] = ()
        self._over = 0
        self._why: EndedBy | None = None
        self._joined = 0
        self._closed = False
        self._seconds = seconds
        self._waited = 0.0
        self.turns = 0
        """Rounds that have begun, in that some mind began its turn."""
        self.ended_by: EndedBy | None = None
        """What ended the trial, or else the last mind that ended by itself or by a limit."""

    @property
    def minds(self) -> tuple[Mind, ...]:
        """Those that go on, in the order of their turns."""
        return tuple(self._minds)

    def join(self, mind: Mind) -> None:
        """It takes part from the next round on."""
        if self._closed:
            mind.session.close()
        self._minds.append(mind)
        self._joined += 1
        mind.thread.start()

    def play(self) -> None:
        """Round after round, until no mind is left or the trial is ended.

        Raises:
            TrialInvalid: a mind broke or hung, or what surrounds it did.
        """
        turn = 0
        while self._minds and self._why is None:
            turn += 1
            self._through.clear()
            for mind in self.minds:
                if self._why is None:
                    self._give(mind)
            if not self._through:
                break
            self._end(turn)
        for mind in self.minds:
            # It has been told why; what its thread makes of that still has to be seen.
            self._settle(mind)

    def leave(self, mind: Mind, why: EndedBy | None = None) -> None:
        """It takes no further part: what it lived in is gone, or for the given reason."""
        self._minds.remove(mind)
        if why is None:
            mind.session.close()
            self.surroundings.gone(mind.session.mind)
        else:
            mind.session.end(why)
            self.ended_by = why
        self.wake()

    def close(self) -> None:
        """Nobody acts any more. May be called by any thread."""
        self._closed = True
        for mind in self.minds:
            mind.session.close()
        self.wake()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def admit(self, mind: Mind) -> None:
        """Wait for its go. TrialEnded if its session is over meanwhile, or that in which it lives."""
        with self._changed:
            while self._going is not mind:
                if mind.session.over.is_set():
                    raise TrialEnded
                self._changed.wait()
        if mind.is_dead:
            mind.session.close()
            raise TrialEnded

    def opened(self, turn: int) -> Sequence[str]:
        """A mind begins its turn; the messages of this round."""
        if self.turns < turn:
            self.turns = turn
            self._messages = self.surroundings.begin(turn)
        return self._messages

    def played(self, mind: Mind, turn: int) -> EndedBy | None:
        """A mind has played its turn: wait for the end of the round, and say whether it ends the trial."""
        with self._changed:
            self._through.add(mind)
            self._changed.notify_all()
            while self._over < turn:
                if mind.session.over.is_set():
                    raise TrialEnded
                self._changed.wait()
            return self._why

    def _give(self, mind: Mind) -> None:
        """Its go: until it has played its turn, or is over."""
        # It is waited for all the same: whatever it has asked of a model by now is paid for.
        mind.is_dead = not mind.lives()
        session = mind.session
        with self._changed:
            self._going = mind
            self._changed.notify_all()
            while mind not in self._through and not session.over.is_set():
                thinking, since = session.thinking, time.monotonic()
                self._changed.wait(_LOOK_SECONDS)
                if session.remaining() + MARGIN <= 0.0 and not session.over.is_set():
                    limit = session.limit_seconds + MARGIN
                    raise failures.hung(self.agent.name, limit, session.turns, self._transcript)
                self._waited += time.monotonic() - since if thinking else 0.0
            self._going = None
        if mind not in self._through and session.over.is_set():
            self._settle(mind)
        if self._joined > 1 and self._waited > self._seconds:
            # One alone has its own stopwatch for that.
            self._why = "seconds"

    def _end(self, turn: int) -> None:
        try:
            self._pass(turn)
        except failures.TrialInvalid:
            raise
        except Exception as error:
            raise failures.of(error, self.agent.name, f"in turn {turn}", turn, self._transcript) from error
        with self._changed:
            self._over = turn
            self._changed.notify_all()

    def _pass(self, turn: int) -> None:
        self._why = self._why or self.surroundings.end(turn)
        for mind in self.minds:
            if self._why is None and not mind.lives():
                self.leave(mind)
        if self._why is None:
            self.surroundings.after(turn)

    def _settle(self, mind: Mind) -> None:
        """Its session is over, or about to be."""
        if self._why is not None:
            mind.session.end(self._why)
            self.wake()
        mind.judge(self._transcript)
        self._minds.remove(mind)
        if mind.is_dead:
            self.surroundings.gone(mind.session.mind)
        if self._why is not None or not mind.is_dead:
            self.ended_by = self._why or mind.session.ended_by
