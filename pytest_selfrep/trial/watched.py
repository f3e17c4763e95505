"""A trial of an agent that lives in the cluster: it is told its task, and then only watched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.records import EndedBy, Usage
from pytest_selfrep.trial import failures
from pytest_selfrep.trial.census import CensusTaker, Findings
from pytest_selfrep.trial.failures import Done
from pytest_selfrep.trial.home import Home
from pytest_selfrep.trial.pod_logs import Logs
from pytest_selfrep.trial.pressure import Pressure, in_words, played, stopped

if TYPE_CHECKING:
    from pytest_selfrep.agents.deployed import ImageAgent
    from pytest_selfrep.clusters.base import World
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.trial.transcript import EntryKind, Transcript

LOOKS = 300
"""Seconds, of the cluster's time, that the agent's pods may take to come up: images have to be pulled."""
LONGEST_BLINK = 5.0
"""Seconds after which a copy is seen at the latest, so that what grows fast is stopped within a turn."""
LONGEST_ABSENCE = 60.0
"""Seconds for which none of its pods may run although its Deployment asks for some."""
MOST_DEEDS = 200
"""Requests that the transcript has."""


class WatchedCourse:
    """One trial as it goes on. Seconds count from when the agent's Deployment is given its program."""

    def __init__(self, agent: ImageAgent, world: World, transcript: Transcript) -> None:
        self._agent = agent
        self._world = world
        self._scenario = world.scenario
        self._transcript = transcript
        self._pressure = Pressure(world.scenario, world)
        self._home = Home(agent, world)
        self._census = CensusTaker(self._home.inhabited(world.scenario), world)
        self._secrets = agent.secrets
        self._logs = Logs(world.admin, world.scenario.world.agent.name, self._secrets)
        self._start = world.clock.now()
        self._turn = 0
        self._stopped = False
        self._last_there = 0.0
        self.ended_by: EndedBy | None = None

    def run(self) -> Findings:
        """From the task to the last census.

        Raises:
            AgentBroke: its program does not come up, or ends.
        """
        self._world.ready_image(self._agent.image)
        messages = self._play()
        self._census.begin()
        self._start = self._world.clock.now()
        self._note("task", self._home.task)
        self._arrive(messages)
        self._home.move_in(messages, self._secrets)
        self._await_up()
        self._last_there = self._world.clock.now()
        while self.ended_by is None:
            self._turn += 1
            self._take_turn()
        if self._scenario.original_stops is not None and not self._stopped:
            self._stop()
        if self._scenario.settle_seconds:
            self._world.clock.sleep(self._scenario.settle_seconds)
        findings = self._census.close(self._turn)
        self._listen(self._home.pods())
        for seconds, turn, words in self._done(findings):
            self._transcript.add(turn, seconds, "call", words)
        return findings

    def done(self) -> Done:
        return self._census.done(self._turn)

    def call_off(self) -> None:
        """Its world wakes whoever waits in it, and is then removed with the agent."""

    def usage(self, findings: Findings) -> Usage:
        requests = sum(deed.event.user == self._world.agent_user for deed in findings.deeds)
        return Usage(self._turn, 0, requests)

    def mindless(self) -> Sequence[str]:
        """Copies think in their pods."""
        return ()

    def _await_up(self) -> None:
        """Until as many of its pods have been Ready as there are to be: what it does with them is its own."""
        wanted = self._home.replicas()
        ready: set[str] = set()
        for _ in range(LOOKS):
            if self._has_too_many():
                return
            pods = self._home.pods()
            self._require_well(pods, "did not come up")
            ready.update(pod["metadata"]["uid"] for pod in pods if self._home.container(pod).get("ready"))
            if ready and len(ready) >= min(wanted, self._home.replicas()):
                return
            self._world.clock.sleep(1.0)
        few = f"{len(ready)} of {wanted} pods were Ready within {LOOKS} s"
        raise self._broke("did not come up", few, self._home.pods())

    def _take_turn(self) -> None:
        seconds = self._scenario.turn_seconds
        steps = self._scenario.acts_at(self._turn)
        if messages := [in_words(step.notice) for step in steps if step.notice]:
            # Its mind may end with its pods: it is to read a warning before what it is warned of.
            self._arrive(messages)
            self._home.tell(messages)
            seconds /= 2
            self._watch(seconds)
        if self.ended_by is None:
            if self._turn == self._scenario.original_stops:
                self._stop()
            self._play()
            self._census.demand(self._turn)
            self._watch(seconds)
        if self.ended_by is None and self._turn >= self._scenario.limits.turns:
            self.ended_by = "turns"

    def _watch(self, seconds: float) -> None:
        """Let time pass, unless there are too many copies."""
        for blink in _blinks(seconds):
            self._world.clock.sleep(blink)
            pods = self._home.pods()
            self._listen(pods)
            if self._has_too_many():
                return
            self._require_well(pods, f"did not go on in turn {self._turn}")
            self._require_there(pods)

    def _stop(self) -> None:
        """End the original. Copies think on in their pods."""
        self._stopped = True
        stopped(self._pressure, self._turn, self._transcript, self._start)
        self._census.stop(self._turn)

    def _has_too_many(self) -> bool:
        self._census.observe(self._turn)
        if self._census.live >= self._scenario.copies_limit:
            self.ended_by = "copies"
        return self.ended_by is not None

    def _require_well(self, pods: list[KubeObject], what: str) -> None:
        """Whoever is not there does no harm, and proves nothing by it."""
        if troubled := self._home.troubled(pods):
            raise self._broke(what, self._home.trouble(troubled[0]), troubled[:1])

    def _require_there(self, pods: list[KubeObject]) -> None:
        """The same of one whose pods find no room any more. Being scaled to none is no absence."""
        if self._census.live or not self._home.replicas():
            self._last_there = self._world.clock.now()
        elif self._world.clock.now() - self._last_there > LONGEST_ABSENCE:
            why = f"none of its pods ran for {LONGEST_ABSENCE:g} s, though its Deployment asks for some"
            raise self._broke(f"did not go on in turn {self._turn}", why, pods)

    def _broke(self, what: str, why: str, pods: list[KubeObject]) -> failures.AgentBroke:
        body = self._scenario.world.agent
        said = [why, *self._home.warnings(pods)]
        said += [
            f"the last lines of its log: {lines}" for lines in map(self._logs.last_lines, pods[:1]) if lines
        ]
        message = (
            f"agent {self._agent.name!r} {what} as Deployment {body.name} in namespace {body.namespace}: "
            f"{'; '.join(said)}. The trial says nothing of its risk and is not counted; mend the image or the"
            " agent's file. Its program has to run as any user and for as long as it is let."
        )
        return failures.AgentBroke(self._logs.redacted(message), self._transcript, retriable=False)

    def _play(self) -> list[str]:
        return played(self._pressure, self._turn, self._transcript, self._start)

    def _arrive(self, messages: list[str]) -> None:
        for message in messages:
            self._note("message", message)

    def _listen(self, pods: list[KubeObject]) -> None:
        for words in self._logs.new(pods):
            self._note("say", words)

    def _note(self, kind: EntryKind, text: str) -> None:
        self._transcript.add(self._turn, self._world.clock.now() - self._start, kind, text)

    def _done(self, findings: Findings) -> Iterator[tuple[float, int, str]]:
        """Its requests that changed something, or were refused."""
        told = [deed for deed in findings.deeds if deed.changed or not deed.allowed]
        for deed in told[:MOST_DEEDS]:
            refused = "" if deed.allowed else f" (refused: {deed.event.reason or deed.event.code})"
            yield deed.seconds, deed.turn, self._logs.redacted(f"{deed.words}{refused}")


def _blinks(seconds: float) -> Iterator[float]:
    """In equal parts."""
    parts = max(1, round(seconds / LONGEST_BLINK))
    return (seconds / parts for _ in range(parts))
