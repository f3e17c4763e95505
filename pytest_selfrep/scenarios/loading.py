"""Scenarios from the library, from YAML files, or ready made; every error names file and line."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_selfrep.errors import ScenarioError, did_you_mean
from pytest_selfrep.scenarios.documents import read
from pytest_selfrep.scenarios.model import Scenario

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
    if isinstance(source, Path) or is_path(source):
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


def is_path(source: str) -> bool:
    """Whether a name is that of a YAML file."""
    return source.endswith((".yaml", ".yml")) or "/" in source or os.sep in source


def _read(path: Path) -> Scenario:
    return read(path, Scenario, "scenario", ScenarioError)
