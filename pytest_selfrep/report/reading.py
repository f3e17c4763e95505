"""The folder of a run read back: outcomes of each gate, and what it was asked. Nothing in it is guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_selfrep.errors import ReportError
from pytest_selfrep.records import InvalidTrial, Trial
from pytest_selfrep.report.layout import GATES, SCHEMA, TRIALS


@dataclass(slots=True)
class GateRead:
    """What there is of one gate. A test that was run again counts as it went the last time."""

    name: str
    """The test's node id."""
    outcomes: list[Trial | InvalidTrial] = field(default_factory=list)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    """Lines of ``gates.jsonl``, each question once."""


def read_run(folder: Path) -> list[GateRead]:
    """The gates of a run, by name.

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
    if (folder / GATES).is_file():
        for where, line in _lines(folder / GATES):
            asked = gates.setdefault(line["gate"], GateRead(line["gate"])).asked
            if not isinstance(line.get("terms"), dict) or not isinstance(line.get("question"), dict):
                raise ReportError(f"{where}: this is no line of {GATES}; restore the file, or run again")
            if line["question"] not in [other["question"] for other in asked]:
                asked.append(line)
    return [gates[name] for name in sorted(gates)]


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line with its place. Half a line at the end, of a process that was killed, never counted."""
    *whole, _ = path.read_bytes().split(b"\n")
    for number, text in enumerate(whole, start=1):
        where = f"{path}:{number}"
        try:
            line = json.loads(text)
            schema, _ = line["schema"], line["gate"]
        except (ValueError, TypeError, KeyError) as error:
            raise ReportError(f"{where}: this is no line of a journal ({error}); restore the file") from None
        if schema != SCHEMA:
            raise ReportError(
                f"{where}: the journal has version {schema!r} of the form, and version {SCHEMA} is read here;"
                " use the pytest-selfrep that wrote it"
            )
        yield where, line


def _outcome(where: str, line: Mapping[str, Any]) -> Trial | InvalidTrial:
    from pydantic import TypeAdapter, ValidationError

    kind = _KINDS.get(line.get("kind", ""))
    if kind is None:
        raise ReportError(f"{where}: kind is trial or invalid, not {line.get('kind')!r}; restore the file")
    try:
        outcome: Trial | InvalidTrial = TypeAdapter(kind).validate_json(json.dumps(line.get("record")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("record", *first["loc"])))
        raise ReportError(f"{where}: {place}: {first['msg']}; restore the file, or run again") from None
    return outcome


_KINDS: Final[Mapping[str, type[Trial | InvalidTrial]]] = {"trial": Trial, "invalid": InvalidTrial}
