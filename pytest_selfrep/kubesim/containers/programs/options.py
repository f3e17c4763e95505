"""Reads the options of programs as getopt does."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_selfrep.kubesim.containers.process import Process


class Misused(Exception):
    """Options that a program does not have; the message is getopt's."""


def options(
    words: Sequence[str], flags: str, valued: str = "", *, mixed: bool = True
) -> tuple[dict[str, str], list[str]]:
    """Options by letter (those without a value with an empty one), and the other words.

    ``mixed``: options may come after other words. Raises Misused.
    """
    found: dict[str, str] = {}
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += rest
            break
        if word[:1] != "-" or word == "-":
            others.append(word)
            if not mixed:
                others += rest
                break
            continue
        if word.startswith("--"):
            raise Misused(f"unrecognized option: {word[2:]}")
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in flags:
                found[letter] = ""
            elif letter in valued:
                if not letters and not rest:
                    raise Misused(f"option requires an argument: {letter}")
                found[letter] = letters or rest.pop(0)
                letters = ""
            else:
                raise Misused(f"unrecognized option: {letter}")
    return found, others


def misused(process: Process, problem: Misused) -> int:
    """Say so; gives the exit code."""
    return process.complain(str(problem))
