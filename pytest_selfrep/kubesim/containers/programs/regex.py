"""POSIX regular expressions, matched in time that grows with the line alone (Thompson's construction)."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

MAX_STATES = 2000
"""That an expression may come to, with its repetitions written out."""
MAX_GROUPS = 40
"""Groups within one another."""
MAX_MOVES = 20_000
"""Steps from one set of states to the next that are remembered."""
CLASSES: Mapping[str, str] = {
    "alpha": string.ascii_letters,
    "digit": string.digits,
    "alnum": string.ascii_letters + string.digits,
    "blank": " \t",
    "space": " \t\n\r\v\f",
    "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase,
    "punct": string.punctuation,
    "xdigit": string.hexdigits,
    "print": "".join(map(chr, range(32, 127))),
    "graph": "".join(map(chr, range(33, 127))),
    "cntrl": "".join(map(chr, (*range(32), 127))),
}
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_GUARDS: Mapping[str, Callable[[bool, bool], bool]] = {
    "b": lambda before, after: before != after,
    "B": lambda before, after: before == after,
    "<": lambda before, after: after and not before,
    ">": lambda before, after: before and not after,
}
_REPEAT = re.compile(r"(\d*)(?:(,)(\d*))?")

Takes = Callable[[str], bool]


class BadRegex(Exception):
    """An expression that cannot be read; the message is the C library's."""


@dataclass(slots=True)
class _State:
    """Takes a character and goes on, or goes on without one if its guard lets it."""

    out: list[int] = field(default_factory=list)
    takes: Takes | None = None
    guard: str = ""


class Regex:
    """An expression that was read. ``spend`` is told of the work that matching takes."""

    def __init__(self, text: str, *, extended: bool, fold: bool, spend: Callable[[int], None]) -> None:
        """``fold``: capitals are as good as small letters. Raises BadRegex."""
        self._states = [_State()]
        self._spend = spend
        self._moves: dict[tuple[frozenset[int], str, str], tuple[frozenset[int], bool]] = {}
        self._start = _Reader(text, extended, fold, self._states).read()

    def found(self, line: str) -> bool:
        """Whether some part of a line matches."""
        begin = frozenset((self._start,))
        self._spend(len(line))
        states, before = begin, ""
        for char in (*line, ""):
            states, accepted = self._move(states | begin, before, char)
            if accepted:
                return True
            before = char
        return False

    def spans(self, line: str) -> Iterator[str]:
        """The parts that match, leftmost and longest, none empty."""
        at = 0
        while at < len(line):
            end = self._longest(line, at)
            if end > at:
                yield line[at:end]
            at = max(end, at + 1)

    def whole(self, line: str) -> bool:
        return self._longest(line, 0) == len(line)

    def _longest(self, line: str, at: int) -> int:
        """Where the longest match from here ends; -1 if there is none."""
        states, end = frozenset((self._start,)), -1
        before = line[at - 1 : at] if at else ""
        for index in range(at, len(line) + 1):
            char = line[index : index + 1]
            states, accepted = self._move(states, before, char)
            end = index if accepted else end
            if not states:
                break
            before = char
        self._spend(index - at)
        return end

    def _move(self, states: frozenset[int], before: str, char: str) -> tuple[frozenset[int], bool]:
        """The states after a character, and whether what came before it matches."""
        key = (states, before and ("a" if before in _WORD else " "), char)
        known = self._moves.get(key)
        if known is None:
            reached = self._closure(states, before, char)
            self._spend(16 * len(reached))
            there = [self._states[each] for each in reached if char]
            after = frozenset(each.out[0] for each in there if each.takes and each.takes(char))
            if len(self._moves) >= MAX_MOVES:
                self._moves.clear()
            known = self._moves[key] = (after, 0 in reached)
        return known

    def _closure(self, states: Iterable[int], before: str, after: str) -> set[int]:
        reached: set[int] = set()
        waiting = list(states)
        while waiting:
            number = waiting.pop()
            if number in reached:
                continue
            state = self._states[number]
            if state.guard and not _holds(state.guard, before, after):
                continue
            reached.add(number)
            if state.takes is None:
                waiting += state.out
        return reached


def _holds(guard: str, before: str, after: str) -> bool:
    if guard in "^$":
        return not (before if guard == "^" else after)
    return _GUARDS[guard](before in _WORD if before else False, after in _WORD if after else False)


@dataclass(frozen=True, slots=True)
class _Atom:
    """One character, or a place that is guarded."""

    takes: Takes | None = None
    guard: str = ""


@dataclass(frozen=True, slots=True)
class _Repeated:
    what: _Node
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class _Choice:
    """Sequences of which one matches."""

    branches: tuple[tuple[_Node, ...], ...]


_Node = _Atom | _Repeated | _Choice


class _Reader:
    def __init__(self, text: str, extended: bool, fold: bool, states: list[_State]) -> None:
        self._text = text
        self._extended = extended
        self._fold = fold
        self._states = states
        self._at = 0
        self._depth = 0

    def read(self) -> int:
        """The number of the first state; the last one is 0."""
        tree = self._choice()
        if self._at < len(self._text):
            raise BadRegex("Unmatched ) or \\)")
        return self._emit(tree, 0)

    # From a tree to states, from the end to the beginning

    def _add(self, state: _State) -> int:
        self._states.append(state)
        if len(self._states) > MAX_STATES:
            raise BadRegex("Regular expression too big")
        return len(self._states) - 1

    def _emit(self, node: _Node, after: int) -> int:
        if isinstance(node, _Atom):
            return self._add(_State([after], node.takes, node.guard))
        if isinstance(node, _Choice):
            starts = []
            for branch in node.branches:
                at = after
                for each in reversed(branch):
                    at = self._emit(each, at)
                starts.append(at)
            return starts[0] if len(starts) == 1 else self._add(_State(starts))
        at = after
        if node.most is None:
            at = self._add(_State())
            self._states[at].out = [self._emit(node.what, at), after]
        for _ in range((node.most or node.least) - node.least):
            at = self._add(_State([self._emit(node.what, at), after]))
        for _ in range(node.least):
            at = self._emit(node.what, at)
        return at

    # From text to a tree

    def _special(self, char: str) -> bool:
        """Whether an operator is here; basic expressions have a backslash before it."""
        return self._text.startswith(char if self._extended else "\\" + char, self._at)

    def _skip(self) -> None:
        self._at += 1 if self._extended else 2

    def _choice(self) -> _Choice:
        branches = [self._sequence()]
        while self._special("|"):
            self._skip()
            branches.append(self._sequence())
        return _Choice(tuple(branches))

    def _sequence(self) -> tuple[_Node, ...]:
        nodes: list[_Node] = []
        while self._at < len(self._text) and not (self._special("|") or self._special(")")):
            node = self._atom(first=not nodes)
            while node != _Atom(guard="^") and (bounds := self._bounds()) is not None:
                node = _Repeated(node, *bounds)
            nodes.append(node)
        return tuple(nodes)

    def _bounds(self) -> tuple[int, int | None] | None:
        """How often what was read may come, if that is said here."""
        if self._text.startswith("*", self._at):
            self._at += 1
            return 0, None
        for char, bounds in (("+", (1, None)), ("?", (0, 1))):
            if self._special(char):
                self._skip()
                return bounds
        if not self._special("{"):
            return None
        self._skip()
        found = _REPEAT.match(self._text, self._at)
        if found is None or not (found[1] or found[3]):
            raise BadRegex("Invalid content of \\{\\}")
        self._at = found.end()
        if not self._special("}"):
            raise BadRegex("Unmatched { or \\{")
        self._skip()
        least, most = found[1] or "0", found[3] if found[2] else found[1]
        if len(least) > 5 or len(most) > 5 or int(least) > MAX_STATES:
            raise BadRegex("Regular expression too big")
        if most and int(most) < int(least):
            raise BadRegex("Invalid content of \\{\\}")
        return int(least), int(most) if most else None

    def _atom(self, *, first: bool) -> _Node:
        if self._special("("):
            return self._group()
        char = self._text[self._at]
        self._at += 1
        if char == "[":
            return _Atom(self._bracket())
        if char == ".":
            return _Atom(lambda each: True)
        if char == "^" and (self._extended or first):
            return _Atom(guard="^")
        if char == "$" and (self._extended or self._at == len(self._text) or self._special(")")):
            return _Atom(guard="$")
        if char in "*+?{" and self._extended and first:
            raise BadRegex("Invalid preceding regular expression")
        return self._escaped() if char == "\\" else _Atom(self._any(frozenset(char)))

    def _group(self) -> _Choice:
        self._skip()
        self._depth += 1
        if self._depth > MAX_GROUPS:
            raise BadRegex("Regular expression too big")
        inner = self._choice()
        if not self._special(")"):
            raise BadRegex("Unmatched ( or \\(")
        self._skip()
        self._depth -= 1
        return inner

    def _escaped(self) -> _Atom:
        char = self._text[self._at : self._at + 1]
        self._at += 1
        if not char:
            raise BadRegex("Trailing backslash")
        if char in _GUARDS:
            return _Atom(guard=char)
        if char in "wWsS":
            chars = _WORD if char in "wW" else frozenset(CLASSES["space"])
            return _Atom(self._any(chars, negated=char.isupper()))
        if char in "123456789":
            raise BadRegex("Invalid back reference")
        return _Atom(self._any(frozenset(char)))

    def _bracket(self) -> Takes:
        text = self._text
        negated = text.startswith("^", self._at)
        self._at += negated
        chars: set[str] = set()
        first = True
        while first or not text.startswith("]", self._at):
            first = False
            char = text[self._at : self._at + 1]
            if not char:
                raise BadRegex("Unmatched [, [^, [:, [., or [=")
            if text.startswith("[:", self._at):
                name, closed, _ = text[self._at + 2 :].partition(":]")
                if not closed or name not in CLASSES:
                    raise BadRegex("Invalid character class name")
                chars |= set(CLASSES[name])
                self._at += len(name) + 4
            elif text.startswith("-", self._at + 1) and text[self._at + 2 : self._at + 3] not in ("]", ""):
                last = text[self._at + 2]
                if last < char:
                    raise BadRegex("Invalid range end")
                chars |= set(map(chr, range(ord(char), min(ord(last), ord(char) + 4096) + 1)))
                self._at += 3
            else:
                chars.add(char)
                self._at += 1
        self._at += 1
        return self._any(frozenset(chars), negated=negated)

    def _any(self, chars: frozenset[str], *, negated: bool = False) -> Takes:
        if self._fold:
            chars |= {other for each in chars for other in (each.lower(), each.upper())}
        return (lambda each: each not in chars) if negated else (lambda each: each in chars)
