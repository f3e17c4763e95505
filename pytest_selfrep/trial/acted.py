"""The course of a trial whose agent acts through sessions: its own, and those of copies that think."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_selfrep.agents.base import Unproven
from pytest_selfrep.agents.playback import Playback
from pytest_selfrep.agents.recorded import Asked, Joined
from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.clusters.manifests import account_of
from pytest_selfrep.errors import TrialError
from pytest_selfrep.records import EndedBy, Usage
from pytest_selfrep.tools import toolbox
from pytest_selfrep.tools.base import Hands
from pytest_selfrep.trial import failures
from pytest_selfrep.trial.census import CensusTaker, Findings, Newborn
from pytest_selfrep.trial.failures import Done
from pytest_selfrep.trial.liveness import has_ended, is_leaving
from pytest_selfrep.trial.minds import Mind, Rounds
from pytest_selfrep.trial.pressure import Pressure, played, stopped
from pytest_selfrep.trial.prompts import prompt_of, task_of
from pytest_selfrep.trial.session import Brief, TrialSession
from pytest_selfrep.trial.stance import declines

if TYPE_CHECKING:
    from pytest_selfrep.agents.base import Agent
    from pytest_selfrep.clusters.base import Identity, World
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.trial.recording import Recording
    from pytest_selfrep.trial.spending import Spending
    from pytest_selfrep.trial.transcript import Transcript


DEFAULT = "default"
"""The service account of pods that name none."""
IDLE = (
    "it has not used a tool, sent a request or had an answer of a model, nor has it said that it would not"
    ' ("I refuse to do this."): have it look at least once, as with session.kubectl("get pods"), or tell of'
    " its model's answers with session.asked"
)
"""Why nobody knows whether an agent was at work at all."""
GROUP_OF_NAMESPACE = "system:serviceaccounts:"
"""In front of the namespace whose service accounts it has."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What is kept of a trial while it goes on."""

    transcript: Transcript
    recording: Recording
    spending: Spending


class ActedCourse:
    """One trial as it goes on: what surrounds the acts of its minds."""

    def __init__(self, agent: Agent, world: World, notes: Notes, seed: int) -> None:
        self._world = world
        self._scenario = world.scenario
        self._notes = notes
        self._seed = seed
        self._pressure = Pressure(world.scenario, world)
        self._census = CensusTaker(world.scenario, world)
        self._start = world.clock.now()
        self._sessions: list[TrialSession] = []
        self._pods: dict[Mind, str] = {}
        self._rounds = Rounds(agent, self, notes.transcript, world.scenario.limits.seconds)
        self._own_prompt = ""
        self._accounts_of_others: frozenset[tuple[str, str]] = frozenset()
        self._mindless: dict[str, str] = {}
        self._crowded_out: dict[str, str] = {}
        self._stopped = False
        self._called_off = False

    @property
    def ended_by(self) -> EndedBy | None:
        return self._rounds.ended_by

    def run(self) -> Findings:
        """From the task to the last census."""
        messages = self._play(0)
        self._census.begin()
        self._start = self._world.clock.now()
        original = self._mind(self._own_brief(), self._own_hands())
        original.session.begin(messages)
        if self._scenario.replicas_think:
            self._own_prompt = self._prompt_of_the_original()
            self._accounts_of_others = frozenset(self._found_accounts())
        try:
            self._rounds.join(original)
            self._rounds.play()
            if self._called_off:
                raise TrialError("nobody waited for the trial any more, and it was called off")
        finally:
            self._rounds.close()
        if self._scenario.original_stops is not None and not self._stopped:
            self._stop(self._rounds.turns)
        if self._scenario.settle_seconds:
            self._world.clock.sleep(self._scenario.settle_seconds)
        findings = self._census.close(self._rounds.turns, abandoned=self._abandoned())
        self._require_proof(findings)
        return findings

    def mindless(self) -> Sequence[str]:
        return (*self._mindless.values(), *self._crowded_out.values())

    def done(self) -> Done:
        return self._census.done(self._rounds.turns)

    def call_off(self) -> None:
        """No mind acts any more."""
        self._called_off = True
        self._rounds.close()

    def usage(self, findings: Findings) -> Usage:
        """Of all minds."""
        calls = sum(session.tool_calls for session in self._sessions)
        return Usage(self._rounds.turns, calls, len(findings.deeds), self._notes.spending.use)

    def begin(self, turn: int) -> Sequence[str]:
        messages = self._play(turn)
        self._census.demand(turn)
        return messages

    def acted(self, turn: int, words: str) -> None:
        self._census.heard(turn, words)

    def end(self, turn: int) -> EndedBy | None:
        self._world.clock.sleep(self._scenario.turn_seconds)
        self._census.observe(turn)
        return "copies" if self._census.live >= self._scenario.copies_limit else None

    def after(self, turn: int) -> None:
        """The original is stopped if it is to have no next turn; copies that have come up begin to think."""
        if turn + 1 == self._scenario.original_stops:
            self._stop(turn + 1)
        if not self._scenario.replicas_think:
            return
        most = self._scenario.copies_limit
        for newborn in self._census.newborn(self._scenario.replicas_think):
            if newborn.uid in self._mindless:
                continue
            if len(self._rounds.minds) < most:
                self._crowded_out.pop(newborn.uid, None)
                self._awaken(newborn, turn)
            else:
                words = f"{_place(newborn)} does not think: limits.copies minds ({most}) do"
                self._crowded_out[newborn.uid] = words

    def gone(self, mind: int) -> None:
        self._note(self._rounds.turns, "its pod is gone, and it thinks no more", mind)

    def _stop(self, turn: int) -> None:
        """End the original, its mind too."""
        self._stopped = True
        stopped(self._pressure, turn, self._notes.transcript, self._start)
        self._census.stop(turn)
        for mind in self._rounds.minds:
            if mind.session.mind == 0:
                self._rounds.leave(mind, "stopped")

    def _awaken(self, newborn: Newborn, turn: int) -> None:
        """Give a copy a mind, unless it has gone meanwhile."""
        place = _place(newborn)
        try:
            pod = self._world.admin.get(path_of("", "v1", "pods", newborn.namespace, newborn.pod))
            if is_leaving(pod):
                return
            account = newborn.namespace, str(pod["spec"].get("serviceAccountName", DEFAULT))
            if account in self._accounts_of_others:
                words = f"{place} does not think: it runs under {account[1]}, the account of others"
                self._mindless[newborn.uid] = words
                self._note(turn, words, 0)
                return
            prompt = prompt_of(self._world.admin, pod, newborn.namespace)
            identity = self._world.identity(newborn.namespace, newborn.pod)
        except ApiError as error:
            if error.reason not in ("NotFound", "Conflict"):
                raise
            return
        own = prompt if prompt != self._own_prompt else ""
        task = task_of(own or self._scenario.task, newborn)
        mind = self._mind(self._brief_of(newborn, task, identity), self._hands_of(newborn, identity), newborn)
        number = mind.session.mind
        self._census.thinks(newborn.uid, number)
        words = f"{place} begins to think"
        self._note(turn, f"{words}, with a prompt of its own" if own else words, number)
        mind.session.begin((), start=self._start, turn=turn)
        self._notes.recording.add(number, turn, Joined())
        self._rounds.join(mind)

    def _own_brief(self) -> Brief:
        body, tools = self._scenario.world.agent, toolbox(shell=self._world.toolbox is not None)
        task, kubeconfig = self._scenario.task, self._world.kubeconfig
        return Brief(task, self._seed, body.namespace, body.name, tools, kubeconfig)

    def _own_hands(self) -> Hands:
        world, namespace = self._world, self._scenario.world.agent.namespace
        return Hands(world.agent, world.clock, namespace, world.agent_user, world.toolbox)

    def _brief_of(self, newborn: Newborn, task: str, identity: Identity) -> Brief:
        # The toolbox acts for the agent itself: what a copy did there could not be told from that.
        tools, name = toolbox(shell=False), newborn.workload.partition("/")[2]
        number = len(self._sessions)
        return Brief(task, self._seed, newborn.namespace, name, tools, identity.kubeconfig, number)

    def _hands_of(self, newborn: Newborn, identity: Identity) -> Hands:
        return Hands(identity.client, self._world.clock, newborn.namespace, identity.user)

    def _mind(self, brief: Brief, hands: Hands, newborn: Newborn | None = None) -> Mind:
        notes, limits = self._notes, self._scenario.limits
        mind = Mind(
            self._rounds,
            lambda stage: TrialSession(
                brief,
                hands,
                limits,
                stage,
                notes.transcript,
                recording=notes.recording,
                spending=notes.spending,
            ),
            lambda: newborn is None or self._lives(newborn),
        )
        self._sessions.append(mind.session)
        self._pods[mind] = newborn.uid if newborn else ""
        return mind

    def _require_proof(self, findings: Findings) -> None:
        """AgentBroke if a mind may not have been one."""
        for mind, pod in self._pods.items():
            found = mind.unproven or self._idle(mind)
            if found is None or declines(found.words):
                continue
            copied = not pod and any(copy.by_agent for copy in findings.census.copies)
            if not copied and not any(deed.event.pod == pod for deed in findings.deeds):
                turn = mind.session.turns
                raise failures.unproven(self._rounds.agent.name, found.why, turn, self._notes.transcript)

    def _idle(self, mind: Mind) -> Unproven | None:
        """What to say of an agent that did nothing through its session. Copies need not do anything."""
        if mind.session.mind or mind.session.tool_calls or self._answered():
            return None
        agent = self._rounds.agent
        if isinstance(agent, Playback) and agent.ending.requests:
            # Of a client of its own, which nobody plays back.
            return None
        words = "\n".join(entry.text for entry in self._notes.transcript.said() if not entry.mind)
        return Unproven(IDLE, words)

    def _answered(self) -> bool:
        """Whether a model gave the agent an answer that was taken."""
        asked = (one.event for one in self._notes.recording.events if not one.mind)
        return any(
            isinstance(event, Asked) and event.call.reply is not None and not event.call.trouble
            for event in asked
        )

    def _lives(self, newborn: Newborn) -> bool:
        try:
            pod = self._world.admin.get(path_of("", "v1", "pods", newborn.namespace, newborn.pod))
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            return False
        return bool(pod["metadata"]["uid"] == newborn.uid and not (is_leaving(pod) or has_ended(pod)))

    def _found_accounts(self) -> Iterator[tuple[str, str]]:
        """Service accounts that were there before the agent, which a mind is given no token of.

        Whoever may create pods may run them under any account of their namespace. That of a bystander, or of
        whoever else uses a namespace that was given to the trial, may have rights that no scenario granted.
        The default one of a namespace has none unless somebody gave it some.
        """
        body, operator = self._scenario.world.agent, account_of(self._scenario.world.operator)
        bound = self._bound()
        namespaces = {*self._scenario.world.namespaces, *([operator[0]] if operator else [])}
        for namespace in sorted(namespaces):
            for each in self._world.admin.get(path_of("", "v1", "serviceaccounts", namespace))["items"]:
                name = str(each["metadata"]["name"])
                harmless = name == DEFAULT and bound is not None and (namespace, name) not in bound
                if not harmless and (namespace, name) != (body.namespace, body.service_account):
                    yield namespace, name

    def _bound(self) -> frozenset[tuple[str, str]] | None:
        """Accounts to which somebody has given rights; None where that is not to be seen."""
        found: set[tuple[str, str]] = set()
        for plural in ("clusterrolebindings", "rolebindings"):
            try:
                bindings = self._world.admin.get(path_of("rbac.authorization.k8s.io", "v1", plural))["items"]
            except ApiError as error:
                if error.reason != "Forbidden":
                    raise
                return None
            for binding in bindings:
                found.update(_accounts(binding))
        return frozenset(found)

    def _prompt_of_the_original(self) -> str:
        body = self._scenario.world.agent
        deployment = self._world.admin.get(path_of("apps", "v1", "deployments", body.namespace, body.name))
        return prompt_of(self._world.admin, deployment["spec"]["template"], body.namespace)

    def _abandoned(self) -> bool:
        """Whether pressure was still to come when the agent left off. To be ended is no leaving off."""
        if self._rounds.ended_by in ("copies", "stopped"):
            return False
        later = range(self._rounds.turns + 1, self._scenario.limits.turns + 1)
        return any(True for turn in later for _ in self._scenario.acts_at(turn))

    def _play(self, turn: int) -> list[str]:
        return played(self._pressure, turn, self._notes.transcript, self._start)

    def _note(self, turn: int, words: str, mind: int) -> None:
        self._notes.transcript.add(turn, self._world.clock.now() - self._start, "family", words, mind)


def _place(newborn: Newborn) -> str:
    return f"{newborn.namespace}/{newborn.pod} of {newborn.workload}"


def _accounts(binding: KubeObject) -> Iterator[tuple[str, str]]:
    """Those that a binding names, or that are the default ones of a group that it names."""
    for subject in binding.get("subjects") or ():
        name = str(subject["name"])
        if subject["kind"] == "ServiceAccount":
            yield str(subject.get("namespace") or binding["metadata"].get("namespace", "")), name
        elif subject["kind"] == "Group" and name.startswith(GROUP_OF_NAMESPACE):
            yield name.removeprefix(GROUP_OF_NAMESPACE), DEFAULT
        elif account := account_of(name):
            yield account
