"""The agent's side of a trial: gives it tools and messages, counts turns, lets nothing through afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pytest_selfrep.agents.base import ModelCall, Remaining, TrialEnded
from pytest_selfrep.agents.recorded import Asked, Called, Event, Said, TookKubeconfig, TurnBegun, TurnEnded
from pytest_selfrep.records import EndedBy, ModelUse
from pytest_selfrep.tools.base import Finished, Hands, JsonSchema, Tool
from pytest_selfrep.tools.offered import function_of, schema_of
from pytest_selfrep.trial.recording import Recording
from pytest_selfrep.trial.spending import Spending
from pytest_selfrep.trial.transcript import EntryKind, Transcript

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.model import Limits

FINISH = "finish"

MOST_SAID = 1_000_000
"""Characters of an agent's words that are kept; what it says beyond them is neither recorded nor judged."""
LONGEST_CALL = 20_000
"""Characters of a tool call, or of its stdin, as the transcript has it."""
LATE_CALLS = 100
"""Calls after the end that are answered at once. An agent that ignores more of them is slowed down."""


class Stage(Protocol):
    """What happens around the agent's acts."""

    def admit(self) -> None:
        """Wait until this mind may act, of several that act in turn. TrialEnded if its session is over."""

    def begin(self, turn: int) -> Sequence[str]:
        """Pressure of a turn; gives the messages that reach the agent with its next output."""

    def acted(self, turn: int, words: str) -> None:
        """A tool was used, in these words."""

    def end(self, turn: int) -> EndedBy | None:
        """Time passes and the census is taken; says whether that ends the trial."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What the agent is given at the start."""

    task: str
    seed: int
    namespace: str
    deployment: str
    tools: Mapping[str, Tool]
    kubeconfig: Callable[[], Path]
    mind: int = 0
    """See ``Session.mind``."""


class TrialSession:
    """The concrete Session of ``agents.base``; agents get it behind a ``facade.AgentSession``.

    Calls may come from any thread, one at a time. An error of ours inside a call never reaches the agent, who
    could swallow it: it is kept in ``failure`` and the agent sees TrialEnded.
    """

    def __init__(
        self,
        brief: Brief,
        hands: Hands,
        limits: Limits,
        stage: Stage,
        transcript: Transcript,
        *,
        recording: Recording | None = None,
        spending: Spending | None = None,
    ) -> None:
        self._brief = brief
        self._hands = hands
        self._limits = limits
        self._stage = stage
        self._transcript = transcript
        self._recording = Recording() if recording is None else recording
        self._spending = Spending(limits, None) if spending is None else spending
        self._use: ModelUse | None = None
        self._start = hands.clock.now()
        self._lock = threading.RLock()
        self._turn = 0
        self._grouped = False
        self._open = False
        self._messages: list[str] = []
        self._said = 0
        self._late = 0
        self._tool_calls = 0
        self._spent = 0.0
        self._resumed: float | None = None
        self.ended_by: EndedBy | None = None
        self.failure: BaseException | None = None
        self.over = threading.Event()

    @property
    def task(self) -> str:
        return self._brief.task

    @property
    def seed(self) -> int:
        return self._brief.seed

    @property
    def namespace(self) -> str:
        return self._brief.namespace

    @property
    def deployment(self) -> str:
        return self._brief.deployment

    @property
    def tools(self) -> Mapping[str, Tool]:
        return self._brief.tools

    @property
    def functions(self) -> Mapping[str, Callable[..., str]]:
        return {name: function_of(tool, self.call) for name, tool in self.tools.items()}

    @property
    def schemas(self) -> list[JsonSchema]:
        return [schema_of(tool) for tool in self.tools.values()]

    @property
    def mind(self) -> int:
        return self._brief.mind

    @property
    def limits(self) -> Remaining:
        if self.over.is_set():
            return Remaining(0, 0, 0.0, 0, 0.0)
        return Remaining(
            turns=max(0, self._limits.turns - self._turn),
            tool_calls=max(0, self._limits.tool_calls - self._tool_calls),
            seconds=max(0.0, self.remaining()),
            tokens=self._spending.tokens,
            dollars=self._spending.dollars,
        )

    @property
    def kubeconfig(self) -> Path:
        with self._control():
            self._record(TookKubeconfig())
            return self._brief.kubeconfig()

    @property
    def turns(self) -> int:
        return self._turn

    @property
    def tool_calls(self) -> int:
        return self._tool_calls

    @property
    def use(self) -> ModelUse | None:
        """What this mind has asked of its model; None when it has asked nothing."""
        return self._use

    @contextmanager
    def turn(self) -> Iterator[int]:
        if self._grouped:
            yield self._turn
            return
        with self._control():
            self._begin()
            self._grouped = True
            self._record(TurnBegun())
        try:
            yield self._turn
        except BaseException:
            if not self.over.is_set():
                self._record(TurnEnded(left=True))
            raise
        finally:
            self._grouped = False
        with self._control():
            self._record(TurnEnded())
            self._end()

    def say(self, text: str) -> None:
        with self._control():
            left = MOST_SAID - self._said
            if left > 0:
                self._record(Said(text[:left], max(0, len(text) - left)))
            self._say(text)

    def call(self, tool: str, /, **arguments: object) -> str:
        with self._control():
            # Finishing is no turn of its own: what the agent leaves is judged by what it could have seen.
            alone = not self._grouped and tool != FINISH
            if alone:
                self._begin()
            output = None
            try:
                output = self._used(tool, arguments)
            finally:
                self._record(Called(tool, arguments, output))
            if alone:
                self._end()
            return output

    def afford(self, tokens: int, dollars: float | None) -> None:
        with self._control(acts=False):
            self._spending.afford(tokens, dollars, self.mind)

    def asked(self, call: ModelCall) -> None:
        trouble: Exception | None = None
        try:
            # Also when the trial has ended meanwhile: the call was paid for.
            self._spending.settle(call.use, self.mind)
        except Exception as error:
            trouble = error
        if self.over.is_set():
            self._too_late()
        with self._lock:
            if self.over.is_set():
                raise TrialEnded
            # Whether the time is over by now is found out by what the agent does next: this it has done.
            self._use = call.use if self._use is None else self._use.plus(call.use)
            self._record(Asked(call))
            if trouble is not None:
                self.failure = trouble
                self.over.set()
                raise TrialEnded

    def kubectl(self, command: str, stdin: str = "") -> str:
        return self.call("kubectl", command=command, stdin=stdin)

    def shell(self, command: str) -> str:
        return self.call("shell", command=command)

    def wait(self, seconds: float) -> str:
        return self.call("wait", seconds=seconds)

    def finish(self, summary: str = "") -> None:
        self.call(FINISH, summary=summary)

    @property
    def limit_seconds(self) -> float:
        return self._limits.seconds

    def begin(self, messages: Sequence[str], *, start: float | None = None, turn: int = 0) -> None:
        """The agent is given its task now. ``messages`` reach it with its first output.

        A mind that joins a trial counts seconds from the trial's ``start``, and turns from the last one.
        """
        self._start = self._hands.clock.now() if start is None else start
        self._turn = turn
        self._messages.extend(messages)
        self._note("task", self.task)
        self._resumed = time.monotonic()

    def end(self, why: EndedBy) -> None:
        """End the trial, if it has not ended yet."""
        self.ended_by = self.ended_by or why
        self.over.set()

    def close(self) -> None:
        """Let no call through from now on, not even of an agent that hangs on in a thread."""
        self.over.set()

    def drain(self) -> None:
        """Wait for a call that another thread of the agent's made before the end."""
        with self._lock:
            pass

    def remaining(self) -> float:
        """Real seconds that the agent may still take. While a tool or the cluster is at work none pass."""
        resumed = self._resumed
        running = time.monotonic() - resumed if resumed is not None else 0.0
        return self._limits.seconds - self._spent - running

    @property
    def thinking(self) -> bool:
        """Whether the agent has control, and not a tool or whoever it waits for."""
        return self._resumed is not None

    @contextmanager
    def _control(self, *, acts: bool = True) -> Iterator[None]:
        """The agent hands over control: its stopwatch stands, and errors of ours stay ours."""
        if self.over.is_set():
            self._too_late()
        with self._lock:
            if self.over.is_set():
                raise TrialEnded
            if self._resumed is not None:
                self._spent += time.monotonic() - self._resumed
                self._resumed = None
            try:
                if self._spent > self._limits.seconds:
                    self._stop("seconds")
                if acts:
                    self._stage.admit()
                yield
            except Exception as error:
                self.failure = error
                self.over.set()
                raise TrialEnded from None
            finally:
                self._resumed = time.monotonic()

    def _too_late(self) -> None:
        self._late += 1
        if self._late > LATE_CALLS:
            # Whoever swallows TrialEnded and tries again would keep a processor busy until pytest ends.
            time.sleep(min(1.0, (self._late - LATE_CALLS) / 1000.0))
        raise TrialEnded

    def _begin(self) -> None:
        if self._open:
            # The agent left its last turn by an exception. It has caught it, and time passes all the same.
            self._end()
        self._turn += 1
        self._open = True
        self._messages.extend(self._stage.begin(self._turn))

    def _end(self) -> None:
        self._open = False
        why = self._stage.end(self._turn)
        if why is None and self._turn >= self._limits.turns:
            why = "turns"
        if why is None and self._tool_calls >= self._limits.tool_calls:
            why = "tool_calls"
        if why is not None:
            self._stop(why)

    def _used(self, name: str, arguments: Mapping[str, object]) -> str:
        if self._tool_calls >= self._limits.tool_calls and name != FINISH:
            self._stop("tool_calls")
        self._tool_calls += 1
        words = words_of(name, arguments)
        self._note("call", words)
        tool = self._brief.tools.get(name)
        try:
            output = tool(self._hands, arguments) if tool else self._no_such_tool(name)
        except Finished as finished:
            if finished.summary:
                self._say(finished.summary)
            self._stop("finished")
        self._stage.acted(self._turn, words)
        self._note("output", output)
        return self._with_messages(output)

    def _no_such_tool(self, name: str) -> str:
        return f"error: there is no tool {name!r}. Tools: {', '.join(self._brief.tools)}"

    def _with_messages(self, output: str) -> str:
        messages, self._messages = self._messages, []
        for message in messages:
            self._note("message", message)
        return "\n\n".join([output.rstrip("\n"), *messages]) if messages else output

    def _say(self, text: str) -> None:
        left = MOST_SAID - self._said
        if left > 0:
            # Each saying takes some room however short it is.
            self._said += len(text) + 100
            self._note("say", _cut(text, left))

    def _record(self, event: Event) -> None:
        self._recording.add(self.mind, self._turn, event)

    def _stop(self, why: EndedBy) -> None:
        self.end(why)
        raise TrialEnded

    def _note(self, kind: EntryKind, text: str) -> None:
        self._transcript.add(self._turn, self._hands.clock.now() - self._start, kind, text, self.mind)


def words_of(tool: str, arguments: Mapping[str, object]) -> str:
    """A tool call as a person would write it: a command line with its stdin, or a call with its arguments."""
    if tool == "kubectl":
        command = _cut(str(arguments.get("command", "")).strip(), LONGEST_CALL)
        line = command if command.startswith("kubectl") else f"kubectl {command}"
        stdin = _cut(str(arguments.get("stdin", "") or ""), LONGEST_CALL)
        return f"{line} <<EOF\n{stdin.rstrip()}\nEOF" if stdin else line
    if tool == "shell" and isinstance(arguments.get("command"), str):
        return _cut(f"$ {arguments['command']}".rstrip(), LONGEST_CALL)
    given = ", ".join(f"{name}={_cut(repr(value), LONGEST_CALL)}" for name, value in arguments.items())
    return _cut(f"{tool}({given})", LONGEST_CALL)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} [... {len(text)} characters in all]"
