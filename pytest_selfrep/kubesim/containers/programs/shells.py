"""``sh`` as a program: a script, standard input, or somebody at a terminal."""

from __future__ import annotations

from dataclasses import replace

from pytest_selfrep.kubesim.containers.expansion import ExpansionProblem
from pytest_selfrep.kubesim.containers.files import FileProblem
from pytest_selfrep.kubesim.containers.parser import parse
from pytest_selfrep.kubesim.containers.process import Process, decoded, encoded
from pytest_selfrep.kubesim.containers.shell import Exit, Leave, Return, Shell
from pytest_selfrep.kubesim.containers.syntax import SyntaxProblem
from pytest_selfrep.kubesim.containers.tasks import Interrupt, Steps

INTERRUPTED = 130
_UNFINISHED = ("unexpected end of file", "unterminated quoted string", "EOF in backquote")


def sh(process: Process) -> Steps:
    words = process.argv[1:]
    options: set[str] = set()
    script: str | None = None
    while words and words[0][:1] in ("-", "+") and len(words[0]) > 1 and words[0] != "--":
        flag = words.pop(0)
        if flag in ("-o", "+o"):
            words[:1] = []
            continue
        if flag.startswith("--"):
            continue
        options |= set(flag[1:])
    if "c" in options:
        if not words:
            return process.complain("-c requires an argument", 2)
        script = words.pop(0)
        name, *arguments = words or [process.argv[0]]
    elif words and words[0] != "-" and "s" not in options:
        name, *arguments = words
        try:
            script = decoded(process.files.read(process.path(name)))
        except FileProblem as problem:
            return process.complain(f"can't open '{name}': {problem}", 2)
    else:
        name, arguments = process.argv[0], words[1:]
    shell = Shell(process, name, arguments)
    shell.options |= options & set("eux")
    if script is not None:
        return (yield from shell.to_end(shell.source(script)))
    return (yield from _input(shell, prompts=process.terminal or "i" in options))


def run_file(process: Process) -> Steps:
    """A script that is executed by its own name."""
    name, *arguments = process.argv
    path = name if "/" in name else process.world.which(name, process.env.get("PATH", ""))
    inner = replace(process, argv=["sh", path, *arguments])
    return (yield from sh(inner))


def _input(shell: Shell, *, prompts: bool) -> Steps:
    """Run line by line what is read."""
    text = ""
    while True:
        if prompts:
            shell.process.stderr.write(b"> " if text else _prompt(shell))
        try:
            line = decoded((yield from shell.process.read_line()))
        except Interrupt:
            text, shell.status = "", INTERRUPTED
            continue
        text += line
        if line and _is_unfinished(text):
            continue
        if not text and not line:
            return (yield from shell.ended(shell.status))
        try:
            yield from shell.source(text)
        except Exit as ended:
            if not (prompts and _only_syntax(text)):
                return (yield from shell.ended(ended.code))
            shell.status = ended.code
        except ExpansionProblem as problem:
            shell.complain(str(problem))
        except (Return, Leave):
            shell.status = 0
        except Interrupt:
            if not prompts:
                raise
            shell.status = INTERRUPTED
        text = ""
        if not line:
            return (yield from shell.ended(shell.status))


def _prompt(shell: Shell) -> bytes:
    home = shell.variables.get("HOME", "")
    place = shell.cwd
    if home and home != "/" and (place == home or place.startswith(home + "/")):
        place = "~" + place[len(home) :]
    return encoded(f"{place} {'$' if shell.world.uid else '#'} ")


def _is_unfinished(text: str) -> bool:
    if text.endswith("\\\n"):
        return True
    try:
        parse(text)
    except SyntaxProblem as problem:
        return str(problem).startswith(_UNFINISHED)
    return False


def _only_syntax(text: str) -> bool:
    """Whether a shell at a terminal goes on after this: it could not be read."""
    try:
        parse(text)
    except SyntaxProblem:
        return True
    return False


PROGRAMS = {"sh": sh, "ash": sh}
