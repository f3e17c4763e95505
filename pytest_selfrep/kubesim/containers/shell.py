"""Runs shell scripts: lists, pipelines, redirections, compound commands, functions."""

from __future__ import annotations

import fnmatch
from collections.abc import Generator, Sequence
from dataclasses import replace

from pytest_selfrep.kubesim.containers import expansion
from pytest_selfrep.kubesim.containers.expansion import ExpansionProblem
from pytest_selfrep.kubesim.containers.files import FileProblem, FileSystem
from pytest_selfrep.kubesim.containers.parser import parse
from pytest_selfrep.kubesim.containers.process import Process, decoded, encoded, run
from pytest_selfrep.kubesim.containers.redirections import Captured, Streams, redirected
from pytest_selfrep.kubesim.containers.syntax import (
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Item,
    Loop,
    Pipeline,
    Script,
    Simple,
    Substitution,
    SyntaxProblem,
    Text,
)
from pytest_selfrep.kubesim.containers.tasks import (
    MAX_NESTING,
    STACK_FULL,
    TURN,
    BrokenPipe,
    Bytes,
    Engine,
    Killed,
    Pipe,
    Steps,
    Task,
    Wait,
)
from pytest_selfrep.kubesim.containers.world import World

_WITHOUT_PATH = ("[", "echo", "false", "printf", "pwd", "test", "true")
"""Programs that a shell has itself, wherever it looks for others."""


class Exit(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Return(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Leave(Exception):
    """``break``, or ``continue``, out of so many loops."""

    def __init__(self, levels: int, again: bool) -> None:
        super().__init__(levels)
        self.levels = levels
        self.again = again


class Shell:
    """A shell: its variables, functions and place."""

    def __init__(self, process: Process, name: str = "sh", arguments: Sequence[str] = ()) -> None:
        self.process = process
        self.cwd = process.cwd
        self.name = name
        self.arguments: list[str] = list(arguments)
        self.variables: dict[str, str] = dict(process.env)
        self.exported: set[str] = set(process.env)
        self.functions: dict[str, Command] = {}
        self.options: set[str] = set()
        self.status = 0
        self.traps: dict[str, str] = {}
        self.jobs: list[Task] = []
        self.nesting = process.nesting
        self._tested = 0
        self.variables.setdefault("PWD", self.cwd)
        self.variables["SHLVL"] = str(int(self.variables.get("SHLVL", "0") or 0) + 1)
        self.exported |= {"SHLVL", "PWD"}

    # What expansion asks for

    @property
    def world(self) -> World:
        return self.process.world

    @property
    def engine(self) -> Engine:
        return self.process.engine

    @property
    def files(self) -> FileSystem:
        return self.process.files

    @property
    def streams(self) -> Streams:
        return Streams(self.process.stdin, self.process.stdout, self.process.stderr)

    def value(self, name: str) -> str | None:
        if name.isdigit():
            index = int(name)
            if index == 0:
                return self.name
            return self.arguments[index - 1] if index <= len(self.arguments) else None
        special = {
            "?": lambda: str(self.status),
            "$": lambda: str(self.process.pid),
            "#": lambda: str(len(self.arguments)),
            "!": lambda: str(self.jobs[-1].pid) if self.jobs else "",
            "-": lambda: "".join(sorted(self.options)),
            "@": lambda: " ".join(self.arguments),
            "*": lambda: " ".join(self.arguments),
            "RANDOM": lambda: str(self.world.random() % 32768),
        }.get(name)
        if special is not None:
            return special()
        found = self.variables.get(name)
        if found is None and "u" in self.options:
            raise ExpansionProblem(f"{name}: parameter not set")
        return found

    def assign(self, name: str, value: str) -> None:
        if len(value) > expansion.MAX_LENGTH:
            raise Killed
        self.variables[name] = value

    def substitute(self, body: Script) -> Generator[Wait, None, str]:
        captured = Captured(self.engine)
        streams = replace(self.streams, stdout=captured)
        self.status = yield from self.fork(streams).whole(body)
        return decoded(bytes(captured.data).replace(b"\0", b""))

    def spend(self, count: int) -> None:
        self.engine.spend(count)

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.variables if name in self.exported}

    def fork(self, streams: Streams) -> Shell:
        """A shell of its own with the same variables."""
        if self.nesting >= MAX_NESTING:
            raise Killed(STACK_FULL)
        process = replace(
            self.process,
            nesting=self.nesting + 1,
            env=self.environment(),
            cwd=self.cwd,
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
        )
        child = Shell(process, self.name, self.arguments)
        child.variables, child.exported = dict(self.variables), set(self.exported)
        child.functions, child.options = dict(self.functions), set(self.options)
        child.status, child.jobs = self.status, list(self.jobs)
        return child

    def complain(self, message: str) -> None:
        self.process.stderr.write(encoded(f"{self.name.rpartition('/')[2]}: {message}\n"))

    # Running

    def source(self, text: str) -> Steps:
        """Run a script's text to its end. Raises Exit."""
        if self.nesting >= MAX_NESTING:
            raise Killed(STACK_FULL)
        self.engine.spend(len(text))
        try:
            script = parse(text)
        except SyntaxProblem as problem:
            self.complain(f"syntax error: {problem}")
            raise Exit(2) from None
        self.nesting += 1
        try:
            return (yield from self.script(script))
        finally:
            self.nesting -= 1

    def whole(self, script: Script) -> Steps:
        """Run a script as all that this shell does."""
        return self.to_end(self.script(script))

    def to_end(self, steps: Steps) -> Steps:
        """Take the steps of all that this shell does, and those of its end."""
        try:
            code = yield from steps
        except Exit as ended:
            code = ended.code
        except Return as ended:
            code = ended.code
        except Leave:
            code = 0
        return (yield from self.ended(code))

    def ended(self, code: int) -> Steps:
        """The trap for the end, if one is set."""
        action = self.traps.pop("EXIT", "")
        if action:
            try:
                yield from self.source(action)
            except Exit as ended:
                return ended.code
        return code

    def script(self, script: Script) -> Steps:
        for item in script:
            if item.background:
                self._start(item)
                self.status = 0
            else:
                yield from self._list(item)
        return self.status

    def _start(self, item: Item) -> None:
        child = self.fork(replace(self.streams, stdin=Bytes()))
        self.jobs.append(self.engine.spawn(self.name, child.whole((replace(item, background=False),))))

    def _list(self, item: Item) -> Steps:
        last = len(item.pipelines) - 1
        for index, (operator, pipeline) in enumerate(item.pipelines):
            if (operator == "&&" and self.status) or (operator == "||" and not self.status):
                continue
            tested = index < last or pipeline.negated
            self._tested += tested
            try:
                self.status = yield from self._pipeline(pipeline)
            except ExpansionProblem as problem:
                self.complain(str(problem))
                raise Exit(2) from None
            finally:
                self._tested -= tested
            if self.status and "e" in self.options and not self._tested:
                raise Exit(self.status)
        return self.status

    def _pipeline(self, pipeline: Pipeline) -> Steps:
        if len(pipeline.commands) == 1:
            code = yield from self.command(pipeline.commands[0])
        else:
            code = yield from self._piped(pipeline.commands)
        return int(not code) if pipeline.negated else code

    def _piped(self, commands: Sequence[Command]) -> Steps:
        tasks: list[Task] = []
        source: Pipe | None = None
        for index, command in enumerate(commands):
            sink = Pipe() if index < len(commands) - 1 else None
            streams = Streams(source or self.process.stdin, sink or self.process.stdout, self.process.stderr)
            child = self.fork(streams)
            tasks.append(self.engine.spawn(self.name, _stage(child, command, source, sink)))
            source = sink
        while any(task.code is None for task in tasks):
            yield Wait(ready=lambda: all(task.code is not None for task in tasks))
        return tasks[-1].code or 0

    def command(self, command: Command) -> Steps:
        """Run one command with its redirections."""
        self.engine.step()
        outer = self.process
        try:
            if command.redirects:
                streams = yield from redirected(self, self.streams, command.redirects)
                self.process = replace(
                    outer, stdin=streams.stdin, stdout=streams.stdout, stderr=streams.stderr
                )
            return (yield from self._run(command))
        except FileProblem as problem:
            self.complain(str(problem))
            return 1
        finally:
            if command.redirects and not self._keeps_redirects(command):
                self.process = outer

    def _keeps_redirects(self, command: Command) -> bool:
        what = command.what
        return isinstance(what, Simple) and what.words == ((Text("exec"),),)

    def _run(self, command: Command) -> Steps:
        what = command.what
        match what:
            case Simple():
                return (yield from self._simple(what))
            case Group(subshell=True):
                return (yield from self.fork(self.streams).whole(what.body))
            case Group():
                return (yield from self.script(what.body))
            case If():
                return (yield from self._if(what))
            case Loop():
                return (yield from self._loop(what))
            case For():
                return (yield from self._for(what))
            case Case():
                return (yield from self._case(what))
            case Function():
                self.functions[what.name] = what.body
        return 0

    def _if(self, what: If) -> Steps:
        for condition, body in what.branches:
            if condition is None or (yield from self._condition(condition)):
                return (yield from self.script(body))
        return 0

    def _condition(self, script: Script) -> Generator[Wait, None, bool]:
        self._tested += 1
        try:
            return (yield from self.script(script)) == 0
        finally:
            self._tested -= 1

    def _loop(self, what: Loop) -> Steps:
        code = 0
        while (yield from self._condition(what.condition)) != what.until:
            yield TURN
            try:
                code = yield from self.script(what.body)
            except Leave as leaving:
                if not _stays(leaving):
                    break
        return code

    def _for(self, what: For) -> Steps:
        code = 0
        words = self.arguments if what.words is None else (yield from expansion.fields(self, what.words))
        for word in list(words):
            yield TURN
            self.assign(what.name, word)
            try:
                code = yield from self.script(what.body)
            except Leave as leaving:
                if not _stays(leaving):
                    break
        return code

    def _case(self, what: Case) -> Steps:
        word = yield from expansion.text(self, what.word)
        for patterns, body in what.arms:
            for each in patterns:
                shape = yield from expansion.pattern(self, each)
                self.engine.spend(len(word) * (1 + shape.count("*")))
                if fnmatch.fnmatchcase(word, shape):
                    return (yield from self.script(body))
        return 0

    def _simple(self, what: Simple) -> Steps:
        words = yield from expansion.fields(self, what.words)
        values = {}
        for name, word in what.assignments:
            values[name] = yield from expansion.text(self, word)
        if not words:
            for name, value in values.items():
                self.assign(name, value)
            return self.status if _substitutes(what) else 0
        if "x" in self.options:
            self.process.stderr.write(encoded(f"+ {' '.join(words)}\n"))
        return (yield from self.invoke(words, values))

    def invoke(self, words: Sequence[str], values: dict[str, str] | None = None) -> Steps:
        """Run a function, builtin or program by its words."""
        from pytest_selfrep.kubesim.containers.builtins import BUILTINS

        name = words[0]
        builtin, function = BUILTINS.get(name), self.functions.get(name)
        if function is not None:
            for each, value in (values or {}).items():
                self.assign(each, value)
            return (yield from self._call(function, words[1:]))
        if builtin is not None:
            for each, value in (values or {}).items():
                self.assign(each, value)
            return (yield from builtin(self, list(words)))
        return (yield from self.program(words, values or {}))

    def _call(self, function: Command, arguments: Sequence[str]) -> Steps:
        if self.nesting >= MAX_NESTING:
            raise Killed(STACK_FULL)
        outer, self.arguments = self.arguments, list(arguments)
        self.nesting += 1
        try:
            return (yield from self.command(function))
        except Return as returned:
            return returned.code
        finally:
            self.arguments = outer
            self.nesting -= 1

    def program(self, words: Sequence[str], values: dict[str, str]) -> Steps:
        """Run what is no part of the shell."""
        environment = {**self.environment(), **values}
        process = replace(
            self.process,
            argv=list(words),
            env=environment,
            cwd=self.cwd,
            pid=self.engine.next_pid(),
            nesting=self.nesting + 1,
        )
        path = environment.get("PATH", self.variables.get("PATH", ""))
        if words[0] in _WITHOUT_PATH:
            path = "/bin"
        found = self.world.program(words[0], path, self.cwd)
        if isinstance(found, str):
            self.complain(f"{words[0]}: {found}")
            return 127 if found == "not found" else 126
        return (yield from run(found, process))


def _stays(leaving: Leave) -> bool:
    """Whether this loop goes on. Raises Leave if outer loops are meant."""
    if leaving.levels > 1:
        raise Leave(leaving.levels - 1, leaving.again)
    return leaving.again


def _substitutes(what: Simple) -> bool:
    words = (*what.words, *(word for _, word in what.assignments))
    return any(isinstance(part, Substitution) for word in words for part in word)


def _stage(child: Shell, command: Command, source: Pipe | None, sink: Pipe | None) -> Steps:
    """One command of a pipeline, which lets go of its pipes at the end."""
    try:
        return (yield from child.whole((Item((("", Pipeline((command,))),)),)))
    except BrokenPipe:
        return 141
    finally:
        if sink is not None:
            sink.end()
        if source is not None:
            source.abandon()
