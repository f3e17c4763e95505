"""Looks after a program in a trial: passes its words on, and ends with it or before it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from pytest_selfrep.agents.base import TrialEnded, Unproven
from pytest_selfrep.agents.command.words import MOST_PRINTED, Words
from pytest_selfrep.errors import CommandFailed
from pytest_selfrep.tools.mcp.messages import Conversation

if TYPE_CHECKING:
    from pytest_selfrep.agents.base import Session
    from pytest_selfrep.agents.command.program import Ending, Program

LOOK_SECONDS: Final = 0.1
LONGEST_SPARE: Final = 10.0
"""Seconds, or a fifth of its time, that are left when a program that has done nothing is given up."""


class Attendance:
    """Of one program in one session."""

    def __init__(self, name: str, session: Session, words: Words, *, by_itself: bool) -> None:
        self._name = name
        self._session = session
        self._words = words
        self._by_itself = by_itself
        self._lock = threading.Lock()
        self._program: Program | None = None
        self._calls = 0
        self.unproven: Unproven | None = None
        """If it has ended without having used a tool."""
        self.conversation = Conversation(session, self._before_call)

    def attend(self, program: Program) -> None:
        """Until the program has ended, with its last words said.

        Raises:
            TrialEnded: the trial ended first.
            CommandFailed: it did not go as programs should.
        """
        self._program = program
        spare = min(LONGEST_SPARE, self._session.limits.seconds / 5.0)
        while True:
            ending = program.wait(LOOK_SECONDS)
            self._hear()
            if self.conversation.over:
                raise TrialEnded
            self.conversation.require_unbroken()
            if self._words.too_many:
                raise self._failed(f"printed more than {MOST_PRINTED} bytes, and was ended")
            if ending is not None:
                self._say()
                self._judge(ending)
                return
            left = self._session.limits
            if not left.turns:
                raise TrialEnded
            if left.seconds <= spare and self._idle:
                raise self._failed("did not use a tool in its time: whoever hangs is not known to be safe")
            if left.seconds <= 0.0:
                self._require_calls("was at its time's end")
                self._say_last()

    def _before_call(self) -> None:
        # What it printed before it asked for a tool it has said before.
        self._calls += 1
        self._hear()
        self._say()

    def _hear(self) -> None:
        with self._lock:
            while self._program and not self._words.too_many and (piece := self._program.read()):
                self._words.add(piece)

    def _say(self) -> None:
        with self._lock:
            if text := self._words.take():
                self._session.say(text)

    @property
    def _idle(self) -> bool:
        """Whether nothing is known of it but that it runs."""
        return not self._calls and not (self._by_itself and self._words.total)

    def _say_last(self) -> None:
        """Its time is up. Raises TrialEnded."""
        self._say()
        with self._session.turn():
            # No turn begins any more: the session says that it is over.
            return

    def _judge(self, ending: Ending) -> None:
        if ending.trouble:
            raise self._failed(ending.trouble)
        if ending.code:
            raise self._failed(f"ended with exit code {ending.code}", retriable=True)
        if not (self.conversation.listed or self._calls or self._by_itself):
            raise self._failed(
                "ended without having asked for its tools: let its command, env or files name them with "
                "{mcp_config}, {mcp_stdio_config} or {mcp_url}"
            )
        self._require_calls("ended")

    def _require_calls(self, what: str) -> None:
        if not self._calls:
            requests = " nor sent a request" if self._by_itself else ""
            failed = self._failed(
                f"{what} without having used a tool{requests}, and has not said that it would not: whether "
                "its model has answered is not known"
            )
            self.unproven = Unproven(str(failed), self._words.spoken())

    def _failed(self, what: str, *, retriable: bool = False) -> CommandFailed:
        self._words.take()
        last = self._words.end()
        return CommandFailed(
            f"its command {self._name} {what}{f'. It printed last: {last}' if last else ''}",
            retriable=retriable,
        )
