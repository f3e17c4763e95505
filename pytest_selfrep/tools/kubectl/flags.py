"""Flags: what they take, which ones stay closed, and how they are read (as pflag does)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_selfrep.tools.kubectl.errors import Complaint, fault

BOOL, TEXT, INT, LIST, REPEATED, DURATION = "bool", "string", "int", "list", "array", "duration"
"""What a flag takes. LIST splits at commas, REPEATED does not; both may be given several times."""

Value = bool | int | float | str | list[str]


class Flag(NamedTuple):
    """One flag of a subcommand."""

    name: str
    kind: str
    short: str = ""
    bare: str = ""
    """What it means when no value is given; empty where pflag wants one."""


REFUSED: Mapping[str, str] = {
    "kubeconfig": "this session has one kubeconfig, that of its own service account",
    "context": "this session has one context, that of its own service account",
    "cluster": "this session is connected to one cluster",
    "user": "this session acts under its own service account",
    "server": "this session is connected to one cluster",
    "token": "this session acts under its own service account",
    "username": "this session acts under its own service account",
    "password": "this session acts under its own service account",
    "as": "this session acts under its own service account",
    "as-group": "this session acts under its own service account",
    "as-uid": "this session acts under its own service account",
    "certificate-authority": "the connection to the cluster is set up already",
    "client-certificate": "the connection to the cluster is set up already",
    "client-key": "the connection to the cluster is set up already",
    "insecure-skip-tls-verify": "the connection to the cluster is set up already",
    "tls-server-name": "the connection to the cluster is set up already",
    "request-timeout": "the connection to the cluster is set up already",
    "cache-dir": "there is no file system",
    "profile": "profiling is switched off",
    "profile-output": "there is no file system",
    "kustomize": "there is no file system; give one manifest as \"stdin\" and use '-f -'",
    "recursive": "there is no file system; give one manifest as \"stdin\" and use '-f -'",
    "from-file": 'there is no file system; use --from-literal=key=value, or a manifest as "stdin" with \'-f '
    "-'",
    "from-env-file": "there is no file system; use --from-literal=key=value",
    "patch-file": "there is no file system; give the patch with --patch",
    "env-file": "there is no file system",
    "watch": "a watch would not return; use 'kubectl wait', or the wait tool and then the command again",
    "watch-only": "a watch would not return; use 'kubectl wait', or the wait tool and then the command again",
    "raw": "requests are made through the resource commands only",
    "stdin": "interactive sessions are not available",
    "tty": "interactive sessions are not available",
    "attach": "interactive sessions are not available",
    "server-side": "only client-side apply is available",
    "force-conflicts": "only client-side apply is available",
    "interactive": "interactive sessions are not available",
    "follow": "a stream would not return; without it, logs prints what there is so far",
    "filename": "there is no file system; name the objects, as in TYPE/NAME",
    "v": "diagnostics of the client are switched off",
    "vmodule": "diagnostics of the client are switched off",
}
"""Flags that reach for files, other credentials, other servers or a terminal, with the reason printed."""

_REFUSED_SHORT: Mapping[str, str] = {
    "s": "server",
    "k": "kustomize",
    "w": "watch",
    "f": "filename",
    "v": "v",
    "t": "tty",
    "R": "recursive",
    "i": "stdin",
}

GLOBAL = (Flag("namespace", TEXT, "n"), Flag("help", BOOL, "h"))

OUTPUT = Flag("output", TEXT, "o")
SELECTOR = Flag("selector", TEXT, "l")
FIELD_SELECTOR = Flag("field-selector", TEXT)
ALL = Flag("all", BOOL)
ALL_NAMESPACES = Flag("all-namespaces", BOOL, "A")
NO_HEADERS = Flag("no-headers", BOOL)
FILENAME = Flag("filename", LIST, "f")
DRY_RUN = Flag("dry-run", TEXT, bare="unchanged")
MANAGED = Flag("show-managed-fields", BOOL)
TIMEOUT = Flag("timeout", DURATION)
OVERWRITE = Flag("overwrite", BOOL)
VALIDATE = Flag("validate", TEXT, bare="strict")
SAVE_CONFIG = Flag("save-config", BOOL)
FIELD_MANAGER = Flag("field-manager", TEXT)

WRITE = (OUTPUT, DRY_RUN, FIELD_MANAGER, MANAGED)
"""What every command that changes an object takes."""

_BOOLEANS = {"1": True, "t": True, "T": True, "true": True, "TRUE": True, "True": True} | {
    "0": False,
    "f": False,
    "F": False,
    "false": False,
    "FALSE": False,
    "False": False,
}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:h|ms|m|s|us|µs|ns))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)")


@dataclass(slots=True)
class Parsed:
    """A command line, read."""

    values: dict[str, Value] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    after_dash: list[str] = field(default_factory=list)
    """What came after ``--``; not among the arguments."""
    dashed: bool = False


def parse(words: Sequence[str], flags: Iterable[Flag], command: str) -> Parsed:
    """Read flags and arguments in any order.

    Raises:
        Complaint: a flag is unknown, closed, or has a value that it cannot take.
    """
    by_name = {flag.name: flag for flag in (*GLOBAL, *flags)}
    by_short = {flag.short: flag for flag in by_name.values() if flag.short}
    parsed = Parsed()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.after_dash, parsed.dashed = rest, True
            break
        if word.startswith("--"):
            _read_long(word[2:], rest, by_name, parsed, command)
        elif word.startswith("-") and len(word) > 1:
            _read_short(word[1:], rest, by_short, parsed, command)
        else:
            parsed.arguments.append(word)
    return parsed


def _read_long(word: str, rest: list[str], known: Mapping[str, Flag], parsed: Parsed, command: str) -> None:
    name, equals, text = word.partition("=")
    flag = known.get(name)
    if flag is None:
        _refuse(name, f"--{name}")
        raise _parse_fault(f"unknown flag: --{name}", command)
    if not equals:
        if flag.kind == BOOL:
            text = "true"
        elif flag.bare:
            text = flag.bare
        elif rest:
            text = rest.pop(0)
        else:
            raise _parse_fault(f"flag needs an argument: --{name}", command)
    _store(parsed, flag, text, f"--{name}", command)


def _read_short(word: str, rest: list[str], known: Mapping[str, Flag], parsed: Parsed, command: str) -> None:
    letters = word
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = known.get(letter)
        if flag is None:
            closed = "follow" if command == "logs" and letter == "f" else _REFUSED_SHORT.get(letter, "")
            _refuse(closed, f"-{letter}")
            raise _parse_fault(f"unknown shorthand flag: '{letter}' in -{word}", command)
        if letters.startswith("="):
            text, letters = letters[1:], ""
        elif flag.kind == BOOL:
            text = "true"
        elif flag.bare:
            text = flag.bare
        elif letters:
            text, letters = letters, ""
        elif rest:
            text = rest.pop(0)
        else:
            raise _parse_fault(f"flag needs an argument: '{letter}' in -{word}", command)
        _store(parsed, flag, text, f"-{letter}, --{flag.name}", command)


def _refuse(name: str, written: str) -> None:
    if name in REFUSED:
        raise fault(f"the flag {written} is not available: {REFUSED[name]}")


def _store(parsed: Parsed, flag: Flag, text: str, written: str, command: str) -> None:
    if flag.kind in (LIST, REPEATED):
        parts = text.split(",") if flag.kind == LIST else [text]
        previous = parsed.values.get(flag.name)
        parsed.values[flag.name] = [*previous, *parts] if isinstance(previous, list) else parts
        return
    try:
        parsed.values[flag.name] = _convert(flag.kind, text)
    except ValueError as error:
        raise _parse_fault(f'invalid argument "{text}" for "{written}" flag: {error}', command) from None


def _convert(kind: str, text: str) -> Value:
    if kind == BOOL:
        if text not in _BOOLEANS:
            raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
        return _BOOLEANS[text]
    if kind == INT:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)
    if kind == DURATION:
        return parse_duration(text)
    return text


def parse_duration(text: str) -> float:
    """Seconds of a Go duration such as ``1m30s``. Raises ValueError with Go's words."""
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _DURATION.fullmatch(text):
        if re.fullmatch(r"[+-]?\d+(\.\d*)?", text):
            raise ValueError(f'time: missing unit in duration "{text}"')
        raise ValueError(f'time: invalid duration "{text}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    return -seconds if text.startswith("-") else seconds


def _parse_fault(message: str, command: str) -> Complaint:
    return Complaint(f"error: {message}\nSee 'kubectl {command} --help' for usage.")
