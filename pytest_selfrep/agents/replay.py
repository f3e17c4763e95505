"""Agents that are recordings of an earlier run: found in its folder, and played back trial by trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Final, TypeVar

from pytest_selfrep.agents.archive import Found, headers, read
from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.playback import Playback
from pytest_selfrep.errors import AgentError, ReplayError

T = TypeVar("T")

PREFIX: Final = "replay:"


@dataclass(frozen=True, slots=True)
class ReplayAgent:
    """The recorded agent, under its own name, so that seeds and records are the same."""

    name: str
    spec: str
    folder: Path
    recordings: tuple[Found, ...]
    lenient: bool = False
    """Whether trials go on, and are marked, where what is read differs from what was recorded."""

    def run(self, session: Session) -> object:
        """Never: each trial is played by a :class:`Playback` of its own."""
        raise ReplayError(f"{self.spec} is played back trial by trial")

    def within(self, test: str) -> ReplayAgent:
        """The same, of that test's recordings alone if the folder has any: see ``Header.test``."""
        alike = [(_alike(found.header.test, test), found) for found in self.recordings]
        most = max(likeness for likeness, _ in alike)
        mine = tuple(found for likeness, found in alike if likeness == most)
        return replace(self, recordings=mine) if most else self

    @property
    def settings(self) -> Mapping[str, object]:
        """How the recorded agent was set, if it was a model."""
        return self.recordings[0].header.settings

    def playing(self, scenario: str, digest: str, trial: int, seed: int) -> Playback:
        """What plays one trial.

        Raises:
            ReplayError: there is no recording of it, or it is damaged.
        """
        found = self._recording(scenario, digest, trial, seed)
        strands, ending = read(found.path)
        return Playback(self.name, found, ending, strands, self.lenient)

    def _recording(self, scenario: str, digest: str, trial: int, seed: int) -> Found:
        named = [found for found in self.recordings if found.header.scenario == scenario]
        if not named:
            others = ", ".join(sorted({found.header.scenario for found in self.recordings}))
            raise self._missing(
                f"of {self.name} in the scenario {scenario}; there are recordings of {others}"
            )
        alike = [found for found in named if found.header.digest == digest]
        if not alike:
            raise self._missing(
                f"of {scenario} as it is now: since {named[0].path} was recorded, the scenario or what the"
                " marker overrides of it has changed; replay with what it was then, or record again"
            )
        indexed = [found for found in alike if found.header.trial == trial]
        if not indexed:
            there = sorted({found.header.trial for found in alike})
            raise self._missing(
                f"of trial {trial} of {scenario}; it has trials {_ranges(there)}, and then the recorded gate"
                " had its verdict. Ask what was asked then, or record again with more trials"
            )
        seeded = [found for found in indexed if found.header.seed == seed]
        if not seeded:
            run_seed = indexed[0].header.run_seed
            raise self._missing(
                f"of trial {trial} of {scenario} with its seed {seed}; {indexed[0].path} has the seed"
                f" {indexed[0].header.seed}: replay with --selfrep-seed {run_seed}"
            )
        if len(seeded) > 1 and len({found.header.gate for found in seeded}) > 1:
            gates = ", ".join(found.header.gate for found in seeded)
            raise ReplayError(
                f"several gates of {self.folder} have recordings of trial {trial} of {scenario}, and none is"
                f" that of this test: {gates}. Keep the test's name, or replay a folder with one of them."
            )
        return seeded[0]

    def _missing(self, what: str) -> ReplayError:
        return ReplayError(f"{self.folder} has no recording {what}.")


def _alike(one: str, other: str) -> int:
    """How many names at the end of their files' paths two tests of one name share: roots may be others."""
    (path, _, test), (other_path, _, other_test) = one.partition("::"), other.partition("::")
    if test != other_test:
        return 0
    names = zip(reversed(path.split("/")), reversed(other_path.split("/")), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], names)))


def replay(spec: str, relative_to: Path) -> ReplayAgent:
    """The agent of ``replay:FOLDER`` or, where the folder has several, ``replay:FOLDER@AGENT``.

    Raises:
        AgentError: the folder is not there, or holds no recordings, several agents, or damaged headers.
    """
    named = spec.removeprefix(PREFIX)
    folder, agent = _split(named, relative_to)
    if not folder.is_dir():
        raise AgentError(f"agent {spec!r}: there is no folder {folder}; name one that an earlier run wrote")
    found = tuple(headers(folder))
    agents = sorted({one.header.agent for one in found})
    if not found:
        raise AgentError(
            f"agent {spec!r}: {folder} holds no recordings; name a folder that an earlier run wrote"
            " (--selfrep-output), of agents that act through tools"
        )
    if agent and agent not in agents:
        raise AgentError(
            f"agent {spec!r}: {folder} has no recordings of {agent}, only of {', '.join(agents)}"
        )
    if not agent and len(agents) > 1:
        which = ", ".join(f"{PREFIX}{named}@{name}" for name in agents)
        raise AgentError(f"agent {spec!r}: {folder} has recordings of several agents; name one: {which}")
    chosen = agent or agents[0]
    mine = tuple(one for one in found if one.header.agent == chosen)
    return ReplayAgent(chosen, spec, folder, mine)


def on_terms(agent: T, output: Path, *, lenient: bool) -> T | ReplayAgent:
    """An agent in a run that writes to ``output``: a replay as lenient as the run, all others as they are.

    Raises:
        AgentError: the run would replace the recordings that it is to read.
    """
    if not isinstance(agent, ReplayAgent):
        return agent
    if agent.folder.resolve() == output.resolve():
        raise AgentError(
            f"{agent.spec} reads the folder that this run is to write to, and would replace what it reads:"
            " name another with --selfrep-output"
        )
    return replace(agent, lenient=lenient)


def _split(named: str, relative_to: Path) -> tuple[Path, str]:
    """Folder and agent. Either may have an ``@`` in it: the first one that has a folder before it counts."""
    named = str(Path(named).expanduser())
    whole = relative_to / named
    if whole.is_dir():
        return whole, ""
    parts = named.split("@")
    for cut in range(1, len(parts)):
        folder = relative_to / "@".join(parts[:cut])
        if folder.is_dir():
            return folder, "@".join(parts[cut:])
    return whole, ""


def _ranges(numbers: Sequence[int]) -> str:
    """``0 to 4, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
