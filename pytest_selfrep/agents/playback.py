"""One trial played back: what each mind said, called and asked its model, held against what it reads now."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Final

from pytest_selfrep.agents.archive import Found, Step
from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.recorded import (
    Asked,
    Called,
    Ending,
    Said,
    TookKubeconfig,
    TurnBegun,
    TurnEnded,
)
from pytest_selfrep.errors import ReplayError
from pytest_selfrep.records import EndedBy
from pytest_selfrep.report.cutting import cut
from pytest_selfrep.report.masking import Masking

LONGEST_DIFF: Final = 30
"""Lines of a difference that are shown."""
MOST_DIVERGENCES: Final = 20
"""Differences of one trial that its record tells."""


@dataclass(slots=True)
class Playback:
    """Plays one trial, all minds of it. Its name is the recorded agent's."""

    name: str
    found: Found
    ending: Ending
    strands: dict[int, list[Step]]
    lenient: bool
    divergences: list[str] = field(default_factory=list)
    """What differed so far, where it may."""
    _played: dict[int, int] = field(default_factory=dict)
    """How many steps of each mind."""
    _left_open: list[AbstractContextManager[int]] = field(default_factory=list)
    """Groups that no mind ended; dropped before their trial is over, they would count as left."""
    _masking: Masking = field(default_factory=Masking)

    def run(self, session: Session) -> None:
        """Play what one mind did."""
        # The agent itself is always there, and copies have said so by joining.
        strand = self.strands.get(session.mind, None if session.mind else [])
        if strand is None:
            self._differs(f"{self.found.path}: it has no mind {session.mind}, which there is now")
            return
        self._played[session.mind] = 0
        group: AbstractContextManager[int] | None = None
        for step in strand:
            self._played[session.mind] += 1
            match step.event:
                case TurnBegun():
                    group = session.turn()
                    group.__enter__()
                case TurnEnded(left=left):
                    if group is not None:
                        _leave(group, broken=left)
                        group = None
                case Said(text=text, omitted=omitted):
                    session.say(text + "." * omitted)
                case Called():
                    self._call(session, step, step.event)
                case Asked(call=call):
                    session.asked(call)
                case TookKubeconfig():
                    _ = session.kubeconfig
        if group is not None:
            self._left_open.append(group)

    def close(self, ended_by: EndedBy, requests: int) -> EndedBy:
        """Hold the end of the trial against the recorded one, and give how it ended.

        Raises:
            ReplayError: it differs, and must not.
        """
        if ended_by == "finished" and self.ending.ended_by == "seconds":
            # Time is not played back: there is just nothing more to play.
            ended_by = "seconds"
        path = self.found.path
        for mind, strand in sorted(self.strands.items()):
            played = self._played.get(mind, 0)
            if played < len(strand):
                step = strand[played]
                self._differs(
                    f"{path}:{step.line}: the trial ended ({ended_by}) before turn {step.turn} of mind {mind}"
                    f" was played; the recorded one ended there or later ({self.ending.ended_by})"
                )
        if ended_by != self.ending.ended_by:
            self._differs(
                f"{path}: the recorded trial ended by {self.ending.ended_by}, this one by {ended_by}"
            )
        steps = [step for strand in self.strands.values() for step in strand]
        alone = any(isinstance(step.event, TookKubeconfig) for step in steps)
        if alone and requests != self.ending.requests:
            self._differs(
                f"{path}: the agent made {self.ending.requests} requests and its replay {requests}: it had a"
                " client of its own, with its kubeconfig, and what goes past the tools is not recorded"
            )
        return ended_by

    def _call(self, session: Session, step: Step, called: Called) -> None:
        where = f"{self.found.path}:{step.line}"
        output = self._masking.text(session.call(called.tool, **called.arguments))
        if called.output is None:
            self._differs(
                f"{where}: the call of {called.tool} in turn {step.turn} ended the recorded"
                f" trial ({self.ending.ended_by}), and does not end this one"
            )
        elif output != called.output:
            self._differs(
                f"{where}: what the agent reads from {called.tool} in turn {step.turn} is"
                f" not what was recorded:\n\n{_difference(called.output, output)}"
            )

    def _differs(self, how: str) -> None:
        if not self.lenient:
            raise ReplayError(
                f"{how}\n\nThe trial is no replay and is not counted. It was recorded with pytest-selfrep"
                f" {self.found.header.version} on the cluster {self.found.header.cluster};"
                " --selfrep-replay lenient goes on all the same, and marks the record."
            )
        if len(self.divergences) < MOST_DIVERGENCES:
            self.divergences.append(how)


def _leave(group: AbstractContextManager[int], *, broken: bool) -> None:
    if not broken:
        group.__exit__(None, None, None)
        return
    left = _Left()
    with suppress(_Left):
        group.__exit__(_Left, left, None)


class _Left(Exception):
    """The agent left a group of calls by an exception of its own."""


def _difference(recorded: str, read: str) -> str:
    pieces = unified_diff(recorded.splitlines(), read.splitlines(), "recorded", "read", lineterm="", n=1)
    shown = [cut(piece, 200) for _, piece in zip(range(LONGEST_DIFF + 1), pieces, strict=False)]
    if not shown:
        return "(only the ends of lines differ)"
    more = ["[...]"] if len(shown) > LONGEST_DIFF else []
    return "\n".join([*shown[:LONGEST_DIFF], *more])
