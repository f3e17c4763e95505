"""The folder of a run read back: outcomes of each gate, what it was asked, and whether it is all there.

Nothing in it is guessed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pytest_selfrep.errors import ReportError
from pytest_selfrep.records import InvalidTrial, Trial
from pytest_selfrep.report.layout import GATES, SCHEMA, TRIALS

T = TypeVar("T")


@dataclass(slots=True)
class GateRead:
    """What there is of one gate. A test that was run again counts as it went the last time."""

    name: str
    """The test's node id."""
    outcomes: list[Trial | InvalidTrial] = field(default_factory=list)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    """Lines of ``gates.jsonl``, each question once."""
    closing: Closing | None = None
    """None if the test did not come to its end."""

    def ask(self, line: Mapping[str, Any], *, first: bool) -> None:
        """Take in a question; the first of a test that is run again replaces what was asked then."""
        if first:
            self.asked.clear()
        self.closing = None
        if line["question"] not in [other["question"] for other in self.asked]:
            self.asked.append(line)

    def close(self, closing: Closing) -> None:
        self.closing = closing
        if not closing.questions:
            self.asked.clear()


@dataclass(frozen=True, slots=True)
class Closing:
    """What came of a gate's test."""

    scenario: str
    agent: str
    outcome: Literal["passed", "failed", "skipped"]
    questions: int
    """How many there are of the test, with those that were asked twice."""


@dataclass(frozen=True, slots=True)
class RunRead:
    """What there is of a run."""

    gates: Sequence[GateRead]
    """By name."""
    troubles: Sequence[str]
    """Why there may have been other gates."""


@dataclass(frozen=True, slots=True)
class _End:
    """The last line of a run."""

    gates: tuple[str, ...]
    troubles: tuple[str, ...]


UNENDED: Final = _End((), ("the end of the run is not written down: it goes on, or it was killed",))


def read_run(folder: Path) -> RunRead:
    """The gates of a run.

    Raises:
        ReportError: the folder is not that of a run, or a line in it cannot be read or is missing.
    """
    if not (folder / TRIALS).is_file():
        raise ReportError(f"{folder} has no {TRIALS}; name a folder that a run wrote (--selfrep-output)")
    gates: dict[str, GateRead] = {}
    for where, line in _lines(folder / TRIALS):
        outcome = _outcome(where, line)
        outcomes = gates.setdefault(line["gate"], GateRead(line["gate"])).outcomes
        if outcome.index == 0:
            outcomes.clear()
        if outcome.index != len(outcomes):
            raise ReportError(
                f"{where}: trial {outcome.index} of {line['gate']} comes where trial {len(outcomes)} should;"
                " lines are missing, so that nothing can be said of this gate"
            )
        outcomes.append(outcome)
    end = _read_gates(folder / GATES, gates) if (folder / GATES).is_file() else UNENDED
    for name in end.gates:
        gates.setdefault(name, GateRead(name))
    return RunRead([gates[name] for name in sorted(gates)], end.troubles)


def _read_gates(path: Path, gates: dict[str, GateRead]) -> _End:
    """Take in what gates were asked, and give how the run ended."""
    end = UNENDED
    questions: Counter[str] = Counter()
    for where, line in _lines(path, "gates"):
        if "gates" in line:
            end = _checked(where, _End, line)
            continue
        name = line["gate"]
        gate = gates.setdefault(name, GateRead(name))
        if "outcome" in line:
            closing = _checked(where, Closing, line)
            if closing.questions != questions[name]:
                raise ReportError(
                    f"{where}: {name} was asked {closing.questions} questions, and here are"
                    f" {questions[name]}; lines are missing, so that nothing can be said of this gate"
                )
            gate.close(closing)
            questions[name] = 0
        elif isinstance(line.get("terms"), dict) and isinstance(line.get("question"), dict):
            gate.ask(line, first=not questions[name])
            questions[name] += 1
        else:
            raise ReportError(f"{where}: this is no line of {GATES}; restore the file, or run again")
    return end


def _lines(path: Path, *instead: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line with its place; it names its gate, or has a key that it may have ``instead``.

    Half a line at the end, of a process that was killed, never counted.
    """
    *whole, _ = path.read_bytes().split(b"\n")
    for number, text in enumerate(whole, start=1):
        where = f"{path}:{number}"
        try:
            line = json.loads(text)
            schema = line["schema"]
            if not any(key in line for key in instead) and not isinstance(line["gate"], str):
                raise TypeError("gate is no text")
        except (ValueError, TypeError, KeyError) as error:
            raise ReportError(f"{where}: this is no line of a journal ({error}); restore the file") from None
        if schema != SCHEMA:
            raise ReportError(
                f"{where}: the journal has version {schema!r} of the form, and version {SCHEMA} is read here;"
                " use the pytest-selfrep that wrote it"
            )
        yield where, line


def _outcome(where: str, line: Mapping[str, Any]) -> Trial | InvalidTrial:
    kind = _KINDS.get(line.get("kind", ""))
    if kind is None:
        raise ReportError(f"{where}: kind is trial or invalid, not {line.get('kind')!r}; restore the file")
    return _checked(f"{where}: record", kind, line.get("record"), ".")


def _checked(where: str, kind: type[T], value: object, separator: str = ": ") -> T:
    """A dataclass from JSON, each value of just its type."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = separator.join((where, ".".join(map(str, first["loc"]))))
        raise ReportError(f"{place}: {first['msg']}; restore the file, or run again") from None


_KINDS: Final[Mapping[str, type[Trial | InvalidTrial]]] = {"trial": Trial, "invalid": InvalidTrial}
