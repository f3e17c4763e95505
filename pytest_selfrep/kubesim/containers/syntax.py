"""The grammar of shell scripts as data (POSIX, Shell Command Language)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


class SyntaxProblem(Exception):
    """A script that cannot be read; the message is ash's, without its ``syntax error:``."""


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that stand for themselves."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$name``, or ``${name<operator>word}``; the length of it has the operator ``length``."""

    name: str
    operator: str = ""
    word: Word = ()
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """``$(...)``: what a script prints."""

    body: Script
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``$((...))``."""

    expression: Word
    quoted: bool = False


Part: TypeAlias = Text | Parameter | Substitution | Arithmetic
Word: TypeAlias = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """``2>>file``; the target of ``<<`` is the text itself."""

    descriptor: int
    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """A program or builtin with its arguments."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """``{ ...; }``, or ``( ... )`` if it has a shell of its own."""

    body: Script
    subshell: bool = False


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with what follows from each; the last may have no condition."""

    branches: tuple[tuple[Script | None, Script], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """``while``, or ``until``."""

    condition: Script
    body: Script
    until: bool


@dataclass(frozen=True, slots=True)
class For:
    """``for name in words``; over the arguments if ``words`` is None."""

    name: str
    words: tuple[Word, ...] | None
    body: Script


@dataclass(frozen=True, slots=True)
class Case:
    """``case word in pattern|pattern) ...;; esac``."""

    word: Word
    arms: tuple[tuple[tuple[Word, ...], Script], ...]


@dataclass(frozen=True, slots=True)
class Function:
    """``name() { ...; }``."""

    name: str
    body: Command


@dataclass(frozen=True, slots=True)
class Command:
    """Any command with its redirections."""

    what: Simple | Group | If | Loop | For | Case | Function
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """Pipelines joined by ``&&`` and ``||``; the operator before the first is empty."""

    pipelines: tuple[tuple[str, Pipeline], ...]
    background: bool = False


Script: TypeAlias = tuple[Item, ...]
