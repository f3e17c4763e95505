"""What a shell does itself: ``cd``, ``export``, ``read``, ``set``, ``exec``, ``wait`` and their like."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_selfrep.kubesim.containers.files import FileProblem, absolute
from pytest_selfrep.kubesim.containers.process import decoded, encoded
from pytest_selfrep.kubesim.containers.shell import Exit, Leave, Return, Shell
from pytest_selfrep.kubesim.containers.tasks import KILLED, Steps, Wait
from pytest_selfrep.kubesim.containers.words import NAME

Builtin = Callable[[Shell, list[str]], Steps]
Simple = Callable[[Shell, list[str]], int]
_SIGNALS = {"1": "HUP", "2": "INT", "9": "KILL", "15": "TERM"}
SIGNALS: Mapping[str, int] = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15}


def _at_once(simple: Simple) -> Builtin:
    def steps(shell: Shell, words: list[str]) -> Steps:
        yield from ()
        return simple(shell, words)

    return steps


def _number(shell: Shell, words: list[str], default: int) -> int:
    if len(words) < 2:
        return default
    if not words[1].lstrip("-").isdigit():
        shell.complain(f"{words[0]}: line 0: Illegal number: {words[1]}")
        raise Exit(2)
    return int(words[1])


def _cd(shell: Shell, words: list[str]) -> int:
    target = words[1] if len(words) > 1 else shell.variables.get("HOME", "/root")
    if target == "-":
        target = shell.variables.get("OLDPWD", shell.cwd)
        shell.process.out(target + "\n")
    path = absolute(target, shell.cwd)
    try:
        shell.files.directory(path)
    except FileProblem as problem:
        shell.complain(f"cd: line 0: can't cd to {target}: {problem}")
        return 2
    shell.variables["OLDPWD"], shell.cwd = shell.cwd, path
    shell.variables["PWD"] = path
    return 0


def _exit(shell: Shell, words: list[str]) -> int:
    raise Exit(_number(shell, words, shell.status) % 256)


def _return(shell: Shell, words: list[str]) -> int:
    raise Return(_number(shell, words, shell.status) % 256)


def _break(shell: Shell, words: list[str]) -> int:
    raise Leave(_number(shell, words, 1), again=words[0] == "continue")


def _export(shell: Shell, words: list[str]) -> int:
    if words[0] == "export" and (len(words) == 1 or words[1] == "-p"):
        for name in sorted(shell.exported):
            if name in shell.variables:
                shell.process.out(f"export {name}={_quoted(shell.variables[name])}\n")
        return 0
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if NAME.fullmatch(name) is None:
            shell.complain(f"{words[0]}: line 0: {name}: bad variable name")
            raise Exit(2)
        if equals:
            shell.assign(name, value)
        elif words[0] == "local":
            shell.assign(name, "")
        if words[0] == "export":
            shell.exported.add(name)
    return 0


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _unset(shell: Shell, words: list[str]) -> int:
    for name in words[1:]:
        if name == "-f":
            continue
        shell.variables.pop(name, None)
        shell.exported.discard(name)
        if "-f" in words:
            shell.functions.pop(name, None)
    return 0


def _set(shell: Shell, words: list[str]) -> int:
    rest = words[1:]
    if not rest:
        for name in sorted(shell.variables):
            shell.process.out(f"{name}={_quoted(shell.variables[name])}\n")
        return 0
    while rest and rest[0][:1] in "-+" and rest[0] not in ("-", "--"):
        flags = rest.pop(0)
        letters = set(flags[1:])
        if "o" in letters:
            letters.discard("o")
            letters |= {"errexit": {"e"}, "nounset": {"u"}, "xtrace": {"x"}}.get(
                rest.pop(0) if rest else "", set()
            )
        shell.options = shell.options | letters if flags[0] == "-" else shell.options - letters
    if rest:
        shell.arguments = rest[1:] if rest[0] == "--" else rest
    return 0


def _shift(shell: Shell, words: list[str]) -> int:
    count = _number(shell, words, 1)
    if count > len(shell.arguments):
        return 1
    del shell.arguments[:count]
    return 0


def _trap(shell: Shell, words: list[str]) -> int:
    for name in words[2:]:
        signal = "EXIT" if name == "0" else _SIGNALS.get(name, name.removeprefix("SIG"))
        if words[1] == "-":
            shell.traps.pop(signal, None)
        else:
            shell.traps[signal] = words[1]
    return 0


def _umask(shell: Shell, words: list[str]) -> int:
    if len(words) == 1:
        shell.process.out("0022\n")
    return 0


def _type(shell: Shell, words: list[str]) -> int:
    code = 0
    for name in words[1:]:
        if name in BUILTINS:
            shell.process.out(f"{name} is a shell builtin\n")
        elif name in shell.functions:
            shell.process.out(f"{name} is a function\n")
        elif path := shell.world.which(name, shell.variables.get("PATH", "")):
            shell.process.out(f"{name} is {path}\n")
        else:
            shell.process.out(f"{name}: not found\n")
            code = 127
    return code


def _kill(shell: Shell, words: list[str]) -> int:
    rest, signal = words[1:], "TERM"
    if rest[:1] == ["-l"]:
        shell.process.out("".join(f"{number:>2}) {name}\n" for name, number in SIGNALS.items()))
        return 0
    if rest and rest[0] == "-s" and len(rest) > 1:
        signal, rest = rest[1], rest[2:]
    elif rest and rest[0].startswith("-"):
        signal, rest = rest[0][1:], rest[1:]
    signal = signal.removeprefix("SIG")
    number = int(signal) if signal.isdigit() else SIGNALS.get(signal)
    if number is None:
        shell.complain(f"kill: bad signal name '{signal}'")
        return 1
    if not rest:
        shell.complain("kill: you need to specify whom to kill")
        return 1
    code = 0
    for pid in rest:
        if not pid.isdigit():
            shell.complain(f"kill: invalid number '{pid}'")
            code = 1
        elif not _signal(shell, int(pid), number):
            shell.complain(f"can't kill pid {pid}: No such process")
            code = 1
    return code


def _signal(shell: Shell, pid: int, number: int) -> bool:
    if pid == shell.process.pid and number not in (0, 18):
        raise Exit(KILLED - 9 + number)
    for task in shell.engine.tasks:
        if task.pid == pid and task.code is None:
            if number:
                task.kill(KILLED - 9 + number)
            return True
    return shell.world.signal(pid, number)


def _eval(shell: Shell, words: list[str]) -> Steps:
    return (yield from shell.source(" ".join(words[1:])))


def _dot(shell: Shell, words: list[str]) -> Steps:
    try:
        text = decoded(shell.files.read(absolute(words[1] if len(words) > 1 else "", shell.cwd)))
    except FileProblem:
        shell.complain(
            f".: line 0: can't open '{words[1] if len(words) > 1 else ''}': No such file or directory"
        )
        raise Exit(2) from None
    return (yield from shell.source(text))


def _exec(shell: Shell, words: list[str]) -> Steps:
    if len(words) == 1:
        return 0
    code = yield from shell.program(words[1:], {})
    raise Exit(code)


def _command(shell: Shell, words: list[str]) -> Steps:
    rest = words[1:]
    if rest[:1] in (["-v"], ["-V"]):
        name = rest[1] if len(rest) > 1 else ""
        path = name if name in BUILTINS else shell.world.which(name, shell.variables.get("PATH", ""))
        if path:
            shell.process.out(path + "\n")
        return 0 if path else 127
    if not rest:
        return 0
    builtin = BUILTINS.get(rest[0])
    return (yield from builtin(shell, rest) if builtin else shell.program(rest, {}))


def _read(shell: Shell, words: list[str]) -> Steps:
    raw, names = False, []
    rest = words[1:]
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        flag = rest.pop(0)
        raw = raw or "r" in flag
        if flag == "-p" and rest:
            shell.process.stderr.write(encoded(rest.pop(0)))
        elif flag in ("-t", "-n") and rest:
            rest.pop(0)
    names = rest or ["REPLY"]
    line = decoded((yield from shell.process.read_line())).replace("\0", "")
    ended = line.endswith("\n")
    text = line.removesuffix("\n")
    if not raw:
        text = text.replace("\\", "")
    separators = shell.variables.get("IFS", " \t\n")
    rest_of_line = text.strip(separators) if separators else text
    for name in names[:-1]:
        at = next((i for i, char in enumerate(rest_of_line) if char in separators), len(rest_of_line))
        shell.assign(name, rest_of_line[:at])
        rest_of_line = rest_of_line[at + 1 :].lstrip(" \t")
    shell.assign(names[-1], rest_of_line)
    return 0 if ended else 1


def _wait(shell: Shell, words: list[str]) -> Steps:
    waited = [job for job in shell.jobs if not words[1:] or str(job.pid) in words[1:]]
    while any(job.code is None for job in waited):
        yield Wait(ready=lambda: all(job.code is not None for job in waited))
    return (waited[-1].code or 0) if waited and words[1:] else 0


def _nothing(shell: Shell, words: list[str]) -> int:
    return 0


BUILTINS: Mapping[str, Builtin] = {
    **{
        name: _at_once(simple)
        for name, simple in {
            ":": _nothing,
            "alias": _nothing,
            "break": _break,
            "cd": _cd,
            "continue": _break,
            "exit": _exit,
            "export": _export,
            "kill": _kill,
            "local": _export,
            "readonly": _export,
            "return": _return,
            "set": _set,
            "shift": _shift,
            "trap": _trap,
            "type": _type,
            "ulimit": _nothing,
            "umask": _umask,
            "unset": _unset,
        }.items()
    },
    ".": _dot,
    "command": _command,
    "eval": _eval,
    "exec": _exec,
    "read": _read,
    "wait": _wait,
}
"""Builtins by name; what is a program too (``echo``, ``test``) is not among them."""
