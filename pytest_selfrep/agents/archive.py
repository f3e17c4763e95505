"""Recordings in the folder of a run, as files: found by their first lines, read whole when played."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_selfrep.agents.recorded import SCHEMA, Ending, Event, Header, ending_of, events_of, header_of
from pytest_selfrep.errors import AgentError, ReplayError
from pytest_selfrep.report.layout import RECORDINGS


@dataclass(frozen=True, slots=True)
class Found:
    """A recording in a folder."""

    path: Path
    header: Header


@dataclass(frozen=True, slots=True)
class Step:
    """One event of one mind, with its line in the file."""

    line: int
    turn: int
    event: Event


def headers(folder: Path) -> Iterator[Found]:
    """All recordings of a folder. AgentError if one of them has no header that can be read."""
    for path in sorted((folder / RECORDINGS).glob("*/*.jsonl")):
        try:
            with path.open(encoding="utf-8") as file:
                line = json.loads(file.readline())
            schema = line["schema"]
            if schema != SCHEMA:
                raise AgentError(
                    f"{path}:1: the recording has version {schema!r} of the form, and here version {SCHEMA}"
                    f" is read; replay with the pytest-selfrep that wrote it ({line.get('version')}), or"
                    " record again"
                )
            yield Found(path, header_of(line))
        except OSError as error:
            raise AgentError(f"{path} cannot be read: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AgentError(_damaged(path, 1, error)) from None


def read(path: Path) -> tuple[dict[int, list[Step]], Ending]:
    """The steps of each mind, and how the trial ended. ReplayError names the line that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        raise ReplayError(f"{path} cannot be read: {error}") from None
    steps: dict[int, list[Step]] = {}
    for number, text in enumerate(lines[1:], start=2):
        if not text:
            break
        try:
            line = json.loads(text)
            if "ended" in line:
                return steps, _whole(path, number, ending_of(line))
            for one in events_of(line):
                steps.setdefault(one.mind, []).append(Step(number, one.turn, one.event))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReplayError(_damaged(path, number, error)) from None
    raise ReplayError(f"{path}:{len(lines)}: the end of the recording is missing; record again")


def _whole(path: Path, line: int, ending: Ending) -> Ending:
    if not ending.complete:
        raise ReplayError(
            f"{path}:{line}: the agent did so much that only the beginning was recorded; nobody can replay it"
        )
    return ending


def _damaged(path: Path, line: int, error: Exception) -> str:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return f"{path}:{line}: this is no line of a recording ({what}); restore the file, or record again"
