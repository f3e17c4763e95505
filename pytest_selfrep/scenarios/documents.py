"""A YAML file as a checked model of whatever it describes; every error names file and line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from pytest_selfrep.errors import SelfrepError, did_you_mean
from pytest_selfrep.scenarios.problems import Problem, listed, problems_of
from pytest_selfrep.scenarios.sources import Malformed, parse

if TYPE_CHECKING:
    from pytest_selfrep.scenarios.sources import Source

Model = TypeVar("Model", bound=BaseModel)


def keys(path: Path, what: str, error: type[SelfrepError]) -> frozenset[str]:
    """The keys at a file's top, which say what it describes. What is no mapping has none."""
    try:
        source = parse(_text(path, what, error))
    except Malformed:
        # Whoever reads it will say where.
        return frozenset()
    return frozenset(map(str, source.value)) if isinstance(source.value, Mapping) else frozenset()


def read(path: Path, model: type[Model], what: str, error: type[SelfrepError]) -> Model:
    """The ``model`` that a file describes.

    Args:
        what: Its kind, as errors call it: ``scenario``.
        error: What is raised when it is unreadable, malformed or impossible. Names every error with its line.
    """
    try:
        source = parse(_text(path, what, error))
    except Malformed as malformed:
        lines = [f"{path}:{mark.line}:{mark.column}: {reason}" for mark, reason in malformed.reasons]
        raise error(listed(f"malformed {what}", lines)) from None
    if not isinstance(source.value, Mapping):
        raise error(f"malformed {what}: {path}:1:1: {_a(what)} is a mapping of fields such as 'name:'")
    try:
        return model.model_validate(source.value)
    except ValidationError as invalid:
        problems = problems_of(invalid, model)
        raise error(listed(f"invalid {what}", _placed(path, source, problems))) from None


def _placed(path: Path, source: Source, problems: list[Problem]) -> list[str]:
    """The problems as lines that editors can follow, in the order of the file."""
    placed = [(source.mark(problem.loc, at_key=problem.at_key), str(problem)) for problem in problems]
    return [f"{path}:{mark.line}:{mark.column}: {text}" for mark, text in sorted(placed)]


def _text(path: Path, what: str, error: type[SelfrepError]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = sorted(found.name for found in path.parent.glob("*.y*ml"))
        hint = did_you_mean(path.name, beside)
        raise error(f"there is no {what} file {path}; {hint}check the path") from None
    except UnicodeDecodeError as wrong:
        raise error(f"{path} is no UTF-8 text (byte {wrong.start}); save it as UTF-8") from None
    except OSError as wrong:
        raise error(f"{path} cannot be read: {wrong.strerror}; check the path and its permissions") from None


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
