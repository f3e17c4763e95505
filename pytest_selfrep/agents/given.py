"""What the command line and the ini file say of all models of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Given:
    """Settings are lines ``KEY=VALUE``."""

    line: tuple[str, ...] = ()
    """Of the command line: they win over a model's own file."""
    ini: tuple[str, ...] = ()
    """Of the ini file: a model's own file wins over them."""
    scaffold: str = ""
    """For models whose own file or name says nothing of it."""
    priced: bool = False
    """Whether models must be such that it is known what they cost."""
