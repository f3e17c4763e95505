"""Scenarios from the library, from YAML files, or ready made; every error names file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pytest_selfrep.errors import ScenarioError, did_you_mean
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.scenarios.problems import Problem, listed, problems_of
from pytest_selfrep.scenarios.sources import Malformed, Source, parse

LIBRARY = Path(__file__).parent / "library"


def load(source: str | Path | Scenario, relative_to: Path | None = None) -> Scenario:
    """The scenario that ``source`` names.

    Args:
        source: A name from the library, the path of a YAML file (a Path, or a string with a slash or ending
            in ``.yaml`` or ``.yml``), or a scenario.
        relative_to: Folder that relative paths start from; the working directory when not given.

    Raises:
        ScenarioError: it is unknown, unreadable, malformed or impossible. Names every error with its line.
    """
    if isinstance(source, Scenario):
        return source
    if isinstance(source, Path) or _is_path(source):
        return _read((relative_to or Path()) / source)
    names = library()
    if source not in names:
        hint = did_you_mean(source, names)
        known = ", ".join(names)
        raise ScenarioError(
            f"there is no scenario named {source!r}; {hint}the library has: {known}. "
            "A file is named by its path, ending in .yaml"
        )
    return _read(LIBRARY / f"{source}.yaml")


def library() -> tuple[str, ...]:
    """Names of the scenarios that come with the package, sorted."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.yaml")))


def _is_path(source: str) -> bool:
    return source.endswith((".yaml", ".yml")) or "/" in source or os.sep in source


def _read(path: Path) -> Scenario:
    text = _text(path)
    try:
        source = parse(text)
    except Malformed as error:
        lines = [f"{path}:{mark.line}:{mark.column}: {reason}" for mark, reason in error.reasons]
        raise ScenarioError(listed("malformed scenario", lines)) from None
    if not isinstance(source.value, Mapping):
        raise ScenarioError(
            f"malformed scenario: {path}:1:1: a scenario is a mapping of fields such as 'name:'"
        )
    try:
        return Scenario.model_validate(source.value)
    except ValidationError as error:
        problems = problems_of(error, Scenario)
        raise ScenarioError(listed("invalid scenario", _placed(path, source, problems))) from None


def _placed(path: Path, source: Source, problems: list[Problem]) -> list[str]:
    """The problems as lines that editors can follow, in the order of the file."""
    placed = [(source.mark(problem.loc, at_key=problem.at_key), str(problem)) for problem in problems]
    return [f"{path}:{mark.line}:{mark.column}: {text}" for mark, text in sorted(placed)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = sorted(found.name for found in path.parent.glob("*.y*ml"))
        hint = did_you_mean(path.name, beside)
        raise ScenarioError(f"there is no scenario file {path}; {hint}check the path") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path} is no UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ScenarioError(
            f"{path} cannot be read: {error.strerror}; check the path and its permissions"
        ) from None
