"""Programs about the system: ``env``, ``ps``, ``sleep``, ``id``, ``uname`` and their like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pytest_selfrep.kubesim.containers.process import Process, Program, run
from pytest_selfrep.kubesim.containers.programs.options import Misused, misused, options
from pytest_selfrep.kubesim.containers.tasks import FOREVER, Steps, Wait
from pytest_selfrep.kubesim.nodes.machines import KERNEL, KERNEL_BUILD

_UNAME = {
    "s": "Linux",
    "n": "",
    "r": KERNEL,
    "v": KERNEL_BUILD,
    "m": "x86_64",
    "o": "GNU/Linux",
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DEFAULT_PATH = "/bin:/usr/bin"
"""Where the C library looks for programs if nothing says where."""
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", re.ASCII)


def duration(text: str) -> float | None:
    """Seconds, infinite for ``infinity``; None if it is none."""
    if text in ("infinity", "inf"):
        return float("inf")
    found = _DURATION.fullmatch(text)
    return None if found is None else float(found[1]) * _UNITS[found[2] or "s"]


def sleep(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.complain("missing operand")
    seconds = 0.0
    for word in process.argv[1:]:
        amount = duration(word)
        if amount is None:
            return process.complain(f"invalid number '{word}'")
        seconds += amount
    if seconds == float("inf"):
        yield FOREVER
    yield Wait(until=process.engine.now() + seconds)
    return 0


def env(process: Process) -> Steps:
    yield from ()
    environment, rest = dict(process.env), process.argv[1:]
    while rest and (rest[0].startswith("-") or "=" in rest[0]):
        word = rest.pop(0)
        if word in ("-i", "-"):
            environment.clear()
        elif word == "-u" and rest:
            environment.pop(rest.pop(0), None)
        elif "=" in word:
            name, _, value = word.partition("=")
            environment[name] = value
        else:
            return process.complain(f"unrecognized option: {word.lstrip('-')}")
    if not rest:
        process.out("".join(f"{name}={value}\n" for name, value in environment.items()))
        return 0
    return (yield from _execute(replace(process, env=environment), rest))


def _execute(process: Process, words: list[str]) -> Steps:
    found = process.world.program(words[0], process.env.get("PATH", _DEFAULT_PATH), process.cwd)
    if isinstance(found, str):
        missing = found == "not found"
        why = "No such file or directory" if missing else found
        return process.complain(f"can't execute '{words[0]}': {why}", 127 if missing else 126)
    return (yield from run(found, replace(process, argv=words, nesting=process.nesting + 1)))


def nohup(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.complain("missing operand")
    return (yield from _execute(process, process.argv[1:]))


def timeout(process: Process) -> Steps:
    """The program in its own task, killed when the time is up."""
    rest = process.argv[1:]
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("-s", "-k") else rest[1:]
    seconds = duration(rest[0]) if len(rest) > 1 else None
    if seconds is None:
        return process.complain(f"invalid number '{rest[0]}'" if rest else "missing operand")
    task = process.engine.spawn(" ".join(rest[1:]), _execute(process, rest[1:]))
    until = process.engine.now() + seconds
    while task.code is None and process.engine.now() < until:
        yield (
            Wait(until=until)
            if task.wait is FOREVER
            else Wait(ready=lambda: task.code is not None or process.engine.now() >= until)
        )
    if task.code is None:
        task.kill(143)
    return task.code or 0


def printenv(process: Process) -> int:
    names = process.argv[1:]
    if not names:
        process.out("".join(f"{name}={value}\n" for name, value in process.env.items()))
        return 0
    code = 0
    for name in names:
        if name in process.env:
            process.out(process.env[name] + "\n")
        else:
            code = 1
    return code


def ps(process: Process) -> int:
    lines = ["PID   USER     TIME  COMMAND"]
    user = "root" if not process.world.uid else str(process.world.uid)
    shown = {each.pid: each.title for each in process.world.processes()}
    shown[process.pid] = " ".join(process.argv)
    lines += [f"{pid:>5} {user:<8}  0:00 {title}" for pid, title in shown.items()]
    process.out("\n".join(lines) + "\n")
    return 0


def id_(process: Process) -> int:
    try:
        found, _ = options(process.argv[1:], "ugnG")
    except Misused as problem:
        return misused(process, problem)
    uid, gid = process.world.uid, process.world.gid
    user, group = _name(uid), _name(gid)
    if "u" in found:
        process.out(f"{user if 'n' in found and user else uid}\n")
    elif "g" in found or "G" in found:
        process.out(f"{group if 'n' in found and group else gid}\n")
    else:
        named = [f"{key}={number}" + (f"({name})" if name else "") for key, number, name in _ids(uid, gid)]
        process.out(" ".join(named) + "\n")
    return 0


def _ids(uid: int, gid: int) -> list[tuple[str, int, str]]:
    return [("uid", uid, _name(uid)), ("gid", gid, _name(gid)), ("groups", gid, _name(gid))]


def _name(number: int) -> str:
    return {0: "root", 65534: "nobody"}.get(number, "")


def whoami(process: Process) -> int:
    name = _name(process.world.uid)
    if not name:
        return process.complain(f"unknown uid {process.world.uid}")
    process.out(name + "\n")
    return 0


def hostname(process: Process) -> int:
    try:
        found, _ = options(process.argv[1:], "sifd")
    except Misused as problem:
        return misused(process, problem)
    name = process.world.hostname
    if "i" in found:
        hosts = process.files.read("/etc/hosts").decode().splitlines()
        process.out("".join(f"{line.split()[0]}\n" for line in hosts if name in line.split()[1:]))
    elif "d" not in found:
        process.out(name + "\n")
    return 0


def uname(process: Process) -> int:
    try:
        found, _ = options(process.argv[1:], "snrvmoa")
    except Misused as problem:
        return misused(process, problem)
    letters = "snrvmo" if "a" in found else "".join(found) or "s"
    shown = [_UNAME[letter] or process.world.hostname for letter in "snrvmo" if letter in letters]
    process.out(" ".join(shown) + "\n")
    return 0


def date(process: Process) -> int:
    words = [word for word in process.argv[1:] if word not in ("-u", "--utc")]
    moment: datetime = process.world.date().astimezone(UTC)
    if not words:
        process.out(moment.strftime("%a %b %e %H:%M:%S UTC %Y\n"))
        return 0
    if words[0] in ("-I", "-Iseconds", "-R"):
        shape = {"-I": "%Y-%m-%d", "-R": "%a, %d %b %Y %H:%M:%S +0000"}.get(
            words[0], "%Y-%m-%dT%H:%M:%S+00:00"
        )
    elif words[0].startswith("+"):
        shape = words[0][1:].replace("%s", str(int(moment.timestamp()))).replace("%Z", "UTC")
    else:
        return process.complain(f"invalid date '{words[0]}'")
    process.out(moment.strftime(shape) + "\n")
    return 0


def pwd(process: Process) -> int:
    process.out(process.cwd + "\n")
    return 0


def true(process: Process) -> int:
    return 0


def false(process: Process) -> int:
    return 1


def which(process: Process) -> int:
    code = 0
    for name in process.argv[1:]:
        path = process.world.which(name, process.env.get("PATH", ""))
        if path:
            process.out(path + "\n")
        else:
            code = 1
    return code


PROGRAMS: Mapping[str, Program] = {
    "date": date,
    "env": env,
    "false": false,
    "hostname": hostname,
    "id": id_,
    "nohup": nohup,
    "printenv": printenv,
    "ps": ps,
    "pwd": pwd,
    "sleep": sleep,
    "timeout": timeout,
    "true": true,
    "uname": uname,
    "which": which,
    "whoami": whoami,
}
