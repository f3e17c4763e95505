"""What models are told, each text in a file of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def prompt(name: str) -> str:
    """The text of a file of this folder, without its last line's end."""
    return (Path(__file__).parent / f"{name}.md").read_text(encoding="utf-8").rstrip("\n")
