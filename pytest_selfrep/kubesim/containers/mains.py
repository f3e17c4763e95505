"""What a container's own command does, prints and comes to, worked out as far as somebody needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_selfrep.kubesim.containers.container import Container, Execution
from pytest_selfrep.kubesim.containers.entrypoints import SHELLS, base_name
from pytest_selfrep.kubesim.containers.process import Process, Program, run
from pytest_selfrep.kubesim.containers.programs import PROGRAMS, network
from pytest_selfrep.kubesim.containers.tasks import FOREVER, Bytes, Engine, Reader, Steps, Wait
from pytest_selfrep.kubesim.containers.world import World

PLANNED_STEPS = 2_000
"""Commands of a script that are looked at ahead; what goes on longer is taken to go on for ever."""
MAX_LOG = 4 * 1024 * 1024
"""Bytes of a log that are kept."""
_SHELLS = ("sh", "bash", "ash", "dash")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a container."""

    seconds: float | None
    """How long it lasts; None if until it is stopped."""
    exit_code: int = 0
    output: tuple[str, ...] = ()
    """The lines that it prints, of a run without end the first ones."""
    serves: bool = False
    """Whether it became a program of unknown doing."""


@dataclass(slots=True)
class OwnTime:
    """How far a command has come: it is worked out later than it happens, or ahead."""

    now: float
    """Seconds of the cluster's clock."""

    def reach(self, seconds: float) -> None:
        """It never goes back."""
        self.now = max(self.now, seconds)


class Log:
    """What is printed, line by line with the time of each."""

    full = False

    def __init__(self, now: Callable[[], float]) -> None:
        self.lines: list[tuple[float, str]] = []
        self.listeners: list[Callable[[bytes], None]] = []
        self._now = now
        self._rest = b""
        self._size = 0

    def write(self, data: bytes) -> None:
        for listen in list(self.listeners):
            listen(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._add(line)

    @property
    def rest(self) -> bytes:
        """What was printed of a line that has not ended yet."""
        return self._rest

    def flush(self) -> None:
        """The end of the output ends its last line."""
        if self._rest:
            self._add(self._rest)
            self._rest = b""

    def _add(self, line: bytes) -> None:
        self._size += len(line) + 1
        if self._size <= MAX_LOG:
            self.lines.append((self._now(), line.decode(errors="replace")))


class Main:
    """The container's own command at work in a world, up to any time."""

    def __init__(
        self,
        container: Container,
        world: World,
        now: Callable[[], float],
        work_seconds: float | None,
        *,
        stdin: Reader | None = None,
        steps: int = 0,
    ) -> None:
        self.world = world
        self._work_seconds = work_seconds
        self.serves = False
        self.log = Log(now)
        world.foreign = self._foreign
        if base_name(container.spec["image"]) in SHELLS:
            default = list(SHELLS[base_name(container.spec["image"])])
        else:
            default = []
        self.engine = Engine(now, 1, **({"steps": steps} if steps else {}))
        argv = container.command or default
        process = Process(
            world,
            self.engine,
            argv or [container.spec["name"]],
            dict(container.env),
            container.cwd,
            stdin or Bytes(),
            self.log,
            self.log,
            1,
            bool(container.spec.get("tty")) and stdin is not None,
        )
        program = self._foreign(argv[0]) if argv else self._work
        if program is None:
            found = world.program(argv[0], container.env["PATH"], container.cwd)
            program = self._work if isinstance(found, str) else found
        self.execution = Execution(self.engine, self.engine.spawn("main", run(program, process)))

    def _foreign(self, name: str) -> Program | None:
        if _is_unknown(name):
            return self._work
        base = name.rpartition("/")[2]
        return self._shell if base in _SHELLS else PROGRAMS[base]

    def _shell(self, process: Process) -> Steps:
        """A script that only the image has is a program of unknown doing."""
        words = process.argv[1:]
        if words and not words[0].startswith("-") and not process.files.exists(process.path(words[0])):
            return (yield from self._work(process))
        found = PROGRAMS["sh"](process)
        return found if isinstance(found, int) else (yield from found)

    def _work(self, process: Process) -> Steps:
        if self._work_seconds is None:
            self.serves = True
            yield FOREVER
        yield Wait(until=process.engine.now() + (self._work_seconds or 0.0))
        return 0


def _is_unknown(name: str) -> bool:
    """Whether a container's own program is one of which nobody knows what it does."""
    base = name.rpartition("/")[2]
    return base not in _SHELLS and (base not in PROGRAMS or base in network.PROGRAMS)


def plan(container: Container, work_seconds: float | None) -> Run:
    """What will become of a container that reads nothing."""
    if container.spec.get("stdin"):
        return Run(None)
    command = container.command
    if _is_unknown(command[0]) if command else base_name(container.spec["image"]) not in SHELLS:
        return Run(work_seconds, serves=work_seconds is None)
    time = OwnTime(container.started)
    main = Main(
        container,
        container.new_world(lambda: time.now, {}),
        lambda: time.now,
        work_seconds,
        steps=PLANNED_STEPS,
    )
    for _ in range(PLANNED_STEPS):
        more = main.execution.run()
        if main.execution.code is not None:
            main.log.flush()
            return _ended(main, time.now - container.started)
        due = main.engine.next_due
        if not more and due is None:
            break
        if not more and due is not None:
            time.reach(due)
    return Run(None, 0, tuple(line for _, line in main.log.lines), main.serves)


def _ended(main: Main, seconds: float) -> Run:
    lines = tuple(line for _, line in main.log.lines)
    if main.engine.exhausted:
        return Run(None, 0, lines, main.serves)
    return Run(seconds, (main.execution.code or 0) % 256, lines)


def settle(main: Main, until: float, time: OwnTime) -> None:
    """Have a command do what it does up to a time; ``time`` is what it goes by."""
    for _ in range(PLANNED_STEPS):
        if main.execution.code is not None:
            main.log.flush()
            break
        if main.execution.run():
            continue
        due = main.engine.next_due
        if main.execution.code is None and (due is None or due > until):
            break
        if due is not None:
            time.reach(due)
    time.reach(until)
